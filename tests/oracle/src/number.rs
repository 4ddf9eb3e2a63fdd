//! Decimals compared as numbers, whatever their spelling.

use std::cmp::Ordering;

/// A decimal: `digits` times ten to the power of `-scale`, without trailing zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Number {
    digits: i128,
    scale: i32,
}

impl Number {
    /// Reads `-12.50`, `1e3` and the like; `None` for anything else or beyond 30 digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let bare = whole.strip_prefix(['-', '+']).unwrap_or(whole);
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if bare.is_empty() && fraction.is_empty() || !all_digits(bare) || !all_digits(fraction) {
            return None;
        }
        if bare.len() + fraction.len() > 30 || !(-40..=40).contains(&exponent) {
            return None;
        }
        let magnitude: i128 = format!("0{bare}{fraction}").parse().ok()?;
        let mut number = Self {
            digits: if whole.starts_with('-') {
                -magnitude
            } else {
                magnitude
            },
            scale: i32::try_from(fraction.len()).ok()? - exponent,
        };
        number.shorten();
        Some(number)
    }

    /// The product; `None` beyond 38 digits.
    pub(crate) fn times(self, other: Self) -> Option<Self> {
        let mut product = Self {
            digits: self.digits.checked_mul(other.digits)?,
            scale: self.scale + other.scale,
        };
        product.shorten();
        Some(product)
    }

    fn shorten(&mut self) {
        if self.digits == 0 {
            self.scale = 0;
        }
        while self.digits != 0 && self.digits % 10 == 0 {
            self.digits /= 10;
            self.scale -= 1;
        }
    }

    /// As JSON writes it without an exponent.
    pub(crate) fn plain(self) -> String {
        let digits = self.digits.unsigned_abs().to_string();
        let sign = if self.digits < 0 { "-" } else { "" };
        let places = usize::try_from(self.scale).unwrap_or_default();
        if places == 0 {
            let zeros = usize::try_from(-self.scale).unwrap_or_default();
            return format!("{sign}{digits}{}", "0".repeat(zeros));
        }
        let padded = format!("{digits:0>width$}", width = places + 1);
        let (whole, fraction) = padded.split_at(padded.len() - places);
        format!("{sign}{whole}.{fraction}")
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.digits.signum() != other.digits.signum() || self.scale == other.scale {
            return self.digits.cmp(&other.digits);
        }
        let scale = self.scale.max(other.scale);
        let widened = |number: &Self| {
            let steps = u32::try_from(scale - number.scale).ok()?;
            number.digits.checked_mul(10_i128.checked_pow(steps)?)
        };
        match (widened(self), widened(other)) {
            (Some(left), Some(right)) => left.cmp(&right),
            // Only the one of smaller scale, which is by far the larger, can have overflowed.
            (None, _) => self.digits.cmp(&0),
            (_, None) => 0.cmp(&other.digits),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::parse(text).unwrap()
    }

    #[test]
    fn spelling_does_not_matter() {
        for (left, right) in [
            ("1", "1.0"),
            ("1e3", "1000"),
            ("-0", "0"),
            ("0.50", ".5"),
            ("12e-1", "1.2"),
        ] {
            assert_eq!(number(left), number(right), "{left} {right}");
        }
        for wrong in ["", "-", ".", "1,0", "abc", "1e", "0x1"] {
            assert_eq!(Number::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn products_are_exact_and_written_without_exponent() {
        for (left, right, product) in [
            ("2.5", "4", "10"),
            ("-0.1", "0.1", "-0.01"),
            ("1e3", "12", "12000"),
            ("0", "-7", "0"),
            ("12.34", "3", "37.02"),
        ] {
            let times = number(left).times(number(right)).unwrap();
            assert_eq!(times.plain(), product, "{left} {right}");
        }
        assert_eq!(
            number("9e30").times(number("1.1")).unwrap().plain().len(),
            31
        );
    }

    #[test]
    fn numbers_are_ordered() {
        let ascending = [
            "-1e30", "-2", "-1.5", "-0.01", "0", "1e-30", "0.01", "1.5", "2", "10", "1e30",
        ];
        for pair in ascending.windows(2) {
            assert!(number(pair[0]) < number(pair[1]), "{pair:?}");
            assert!(number(pair[1]) > number(pair[0]), "{pair:?}");
        }
    }
}
