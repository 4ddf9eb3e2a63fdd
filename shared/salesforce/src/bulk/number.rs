//! Numbers, which bulk results write as `1.6147805824397E13` too, in REST's way of writing.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Exponents beyond this stand for no number that Salesforce stores.
const MAX_EXPONENT: i32 = 400;

/// The same number, digit by digit, as JSON without an exponent; `None` for what is no number.
pub(super) fn plain(text: &str) -> Option<Cow<'_, str>> {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => ("-", unsigned),
        None => ("", text),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.parse::<i32>().ok()?)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !fraction.is_none_or(is_digits) {
        return None;
    }
    match exponent {
        None if whole == "0" || !whole.starts_with('0') => Some(Cow::Borrowed(text)),
        exponent => written(
            sign,
            whole,
            fraction.unwrap_or_default(),
            exponent.unwrap_or(0),
        )
        .map(Cow::Owned),
    }
}

/// Moves the point by `exponent` digits.
fn written(sign: &str, whole: &str, fraction: &str, exponent: i32) -> Option<String> {
    if exponent.abs() > MAX_EXPONENT {
        return None;
    }
    let digits = format!("{whole}{fraction}");
    let point = i32::try_from(whole.len()).ok()?.checked_add(exponent)?;
    let (before, after) = match usize::try_from(point) {
        Err(_negative) => {
            let zeros = usize::try_from(point.unsigned_abs()).ok()?;
            (String::new(), format!("{}{digits}", "0".repeat(zeros)))
        }
        Ok(point) => match digits.split_at_checked(point) {
            Some((before, after)) => (before.to_owned(), after.to_owned()),
            None => (format!("{digits:0<point$}"), String::new()),
        },
    };
    let before = match before.trim_start_matches('0') {
        "" => "0",
        before => before,
    };
    let mut number = format!("{sign}{before}");
    if !after.is_empty() {
        write!(number, ".{after}").ok()?;
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents_are_written_out_without_a_digit_lost() {
        for (text, number) in [
            ("1.6147805824397E13", "16147805824397"),
            ("9.12260031E8", "912260031"),
            ("1.5E3", "1500"),
            ("-1.23456e2", "-123.456"),
            ("1.0E+2", "100"),
            ("1.50E1", "15.0"),
            ("2.5E-4", "0.00025"),
            ("12E-1", "1.2"),
            ("0.001E2", "0.1"),
            ("1E0", "1"),
            ("1E-1", "0.1"),
            ("007.5", "7.5"),
            ("0", "0"),
            ("-0.10", "-0.10"),
            ("123456789012345678.99", "123456789012345678.99"),
        ] {
            assert_eq!(plain(text).as_deref(), Some(number), "{text}");
            serde_json::from_str::<serde_json::Number>(number).unwrap();
        }
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in [
            "", "-", "abc", "1,5", "1.", ".5", "+1", "1E", "1E1.5", "1E999999", "NaN", "1 ", "٣",
        ] {
            assert_eq!(plain(text), None, "{text}");
        }
    }
}
