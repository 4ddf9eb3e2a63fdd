//! Numbers as decimal texts. Salesforce's amounts have up to 18 digits and arrive as `0.10` over
//! REST and as `1.5E3` in bulk results; binary floating point would make some of them unequal.

use std::cmp::Ordering;

/// Exponents beyond this are kept at it: such numbers are far outside what Salesforce stores.
const EXPONENT_LIMIT: i64 = 1_000_000_000_000;

/// An exact decimal number: `0.d1d2d3... * 10^exponent`, with no leading and no trailing zero
/// among the digits. Zero has no digits. One number has one form, so equality is derived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decimal {
    negative: bool,
    exponent: i64,
    digits: Vec<u8>,
}

impl Decimal {
    /// Reads `-12`, `+.5`, `12.`, `0.10`, `1.5E3`, `9e-2`; everything else is not a number here,
    /// thousands separators and currency codes included.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, power) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, power)) => (mantissa, parse_power(power)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        if !whole
            .bytes()
            .chain(fraction.bytes())
            .all(|byte| byte.is_ascii_digit())
        {
            return None;
        }
        let point = i64::try_from(whole.len()).ok()?;
        Some(Self::normalised(
            negative,
            whole.bytes().chain(fraction.bytes()),
            point.saturating_add(power),
        ))
    }

    fn normalised(negative: bool, all_digits: impl Iterator<Item = u8>, point: i64) -> Self {
        let mut exponent = point;
        let mut digits = Vec::new();
        for digit in all_digits {
            if digits.is_empty() && digit == b'0' {
                exponent = exponent.saturating_sub(1);
            } else {
                digits.push(digit);
            }
        }
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        if digits.is_empty() {
            return Self {
                negative: false,
                exponent: 0,
                digits,
            };
        }
        Self {
            negative,
            exponent,
            digits,
        }
    }

    /// The number as SOQL literals with at most 15 digits, as many as binary floating point keeps,
    /// and at most so many of them after the point (no more than 15): the number itself twice, or
    /// its neighbours below and above. `None` when it has more than 18 digits before the point,
    /// which no field of Salesforce holds.
    pub(super) fn bracket(&self, fraction: i64) -> Option<(String, String)> {
        if self.exponent > 18 {
            return None;
        }
        // In units of ten to the power of this.
        let unit = self.exponent.saturating_sub(15).max(-fraction);
        let kept = usize::try_from(self.exponent.saturating_sub(unit)).unwrap_or(0);
        let mut near = 0_u64;
        for place in 0..kept {
            let digit = self.digits.get(place).copied().unwrap_or(b'0');
            near = near * 10 + u64::from(digit - b'0');
        }
        let far = near + u64::from(self.digits.len() > kept);
        let [near, far] = [near, far].map(|units| plain(self.negative, units, unit));
        Some(if self.negative {
            (far, near)
        } else {
            (near, far)
        })
    }

    pub(super) fn one() -> Self {
        Self {
            negative: false,
            exponent: 1,
            digits: vec![b'1'],
        }
    }

    pub(super) fn is_positive(&self) -> bool {
        self.sign() > 0
    }

    /// The exact product.
    pub(super) fn times(&self, other: &Self) -> Self {
        let mut columns = vec![0_u64; self.digits.len() + other.digits.len()];
        for (place, digit) in self.digits.iter().enumerate() {
            for (column, of_other) in columns.iter_mut().skip(place + 1).zip(&other.digits) {
                *column += u64::from(digit - b'0') * u64::from(of_other - b'0');
            }
        }
        let mut carry = 0;
        for column in columns.iter_mut().rev() {
            let sum = *column + carry;
            *column = sum % 10;
            carry = sum / 10;
        }
        Self::normalised(
            self.negative != other.negative,
            columns.into_iter().map(ascii),
            self.exponent.saturating_add(other.exponent),
        )
    }

    /// The quotient, cut where it has more than some forty digits; a last digit then tells that there
    /// were more, so that [`Self::bracket`] is right. `None` for a divisor that is zero or has more
    /// than 30 digits.
    pub(super) fn over(&self, divisor: &Self) -> Option<Self> {
        const DIGITS: usize = 40;
        let number = |digits: &[u8]| {
            digits
                .iter()
                .fold(0_u128, |sum, digit| sum * 10 + u128::from(digit - b'0'))
        };
        if divisor.digits.is_empty() || divisor.digits.len() > 30 {
            return None;
        }
        let by = number(&divisor.digits);
        let mut quotient = Vec::with_capacity(self.digits.len() + DIGITS);
        let mut rest = 0_u128;
        let zeros = std::iter::repeat_n(&b'0', DIGITS);
        for digit in self.digits.iter().chain(zeros) {
            rest = rest * 10 + u128::from(digit - b'0');
            quotient.push(ascii(u64::try_from(rest / by).unwrap_or(0)));
            rest %= by;
        }
        if rest > 0 {
            quotient.push(b'1');
        }
        let divisor_length = i64::try_from(divisor.digits.len()).ok()?;
        let point = self
            .exponent
            .saturating_sub(divisor.exponent)
            .saturating_add(divisor_length);
        Some(Self::normalised(
            self.negative != divisor.negative,
            quotient.into_iter(),
            point,
        ))
    }

    /// -1, 0 or 1.
    fn sign(&self) -> i8 {
        match (self.digits.is_empty(), self.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }
}

fn ascii(digit: u64) -> u8 {
    u8::try_from(digit).map_or(b'0', |digit| b'0' + digit)
}

/// So many units of ten to that power, without an exponent.
fn plain(negative: bool, units: u64, power: i64) -> String {
    let sign = if negative && units != 0 { "-" } else { "" };
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
    if power >= 0 {
        let zeros = if units == 0 {
            String::new()
        } else {
            zeros(power)
        };
        return format!("{sign}{units}{zeros}");
    }
    let digits = units.to_string();
    let places = usize::try_from(-power).unwrap_or(0);
    let padded = format!("{digits:0>width$}", width = places.saturating_add(1));
    let (whole, fraction) = padded.split_at(padded.len().saturating_sub(places));
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

fn parse_power(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Only digits are left, so what does not parse is too long for the type.
    let size = digits
        .parse::<i64>()
        .unwrap_or(EXPONENT_LIMIT)
        .min(EXPONENT_LIMIT);
    Some(if negative { -size } else { size })
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = self.sign();
        sign.cmp(&other.sign()).then_with(|| {
            let size = self
                .exponent
                .cmp(&other.exponent)
                .then_with(|| self.digits.cmp(&other.digits));
            if sign < 0 { size.reverse() } else { size }
        })
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str) -> Decimal {
        Decimal::parse(text).unwrap_or_else(|| panic!("{text} is a number"))
    }

    proptest! {
        #[test]
        fn a_product_over_one_factor_is_the_other(
            left in -1_000_000_000_000_i64..1_000_000_000_000,
            right in 1_i64..1_000_000_000_000,
            places in 0_i32..12,
        ) {
            let (left, right) = (number(&format!("{left}e-{places}")), number(&right.to_string()));
            let product = left.times(&right);
            prop_assert_eq!(product.over(&right), Some(left.clone()));
        }
    }

    #[test]
    fn spellings_of_one_number_are_equal() {
        for spellings in [
            &["0.1", "0.10", ".1", "1e-1", "0.01E1", "+0.1", "00.1"][..],
            &["1500", "1.5E3", "1500.00", "15e2", "0.0015E6", "1.5E+3"],
            &["0", "-0", "0.000", "0E9", "0e-7"],
            &["16147805824397", "1.6147805824397E13"],
            &["75", "75.0", "7.5E1", "75."],
            &["9007199254740993", "9.007199254740993E15"],
        ] {
            for spelling in spellings {
                assert_eq!(number(spelling), number(spellings[0]), "{spelling}");
            }
        }
        assert_ne!(
            number("9007199254740993"),
            number("9007199254740992"),
            "a double cannot tell these apart"
        );
    }

    #[test]
    fn products_are_exact_and_quotients_cut() {
        for (left, right, product) in [
            ("0.8", "100", "80"),
            ("-1.5", "1.5", "-2.25"),
            ("0", "-7", "0"),
            (
                "999999999999999999",
                "999999999999999999",
                "999999999999999998000000000000000001",
            ),
            ("1e-9", "1e9", "1"),
        ] {
            assert_eq!(
                number(left).times(&number(right)),
                number(product),
                "{left} * {right}"
            );
        }
        for (left, right, quotient) in [
            ("100", "0.8", "125"),
            ("-2.25", "1.5", "-1.5"),
            ("0", "3", "0"),
            ("1", "8", "0.125"),
            ("1e10", "2.5e-3", "4e12"),
            ("123456789012345678", "0.000001", "123456789012345678000000"),
        ] {
            assert_eq!(
                number(left).over(&number(right)),
                Some(number(quotient)),
                "{left} / {right}"
            );
        }
        assert_eq!(number("1").over(&number("0")), None);
        for (left, right, low, high) in [
            ("1", "3", "0.333333333333333", "0.333333333333334"),
            ("-2", "3", "-0.666666666666667", "-0.666666666666666"),
            ("1000", "7", "142.857142857142", "142.857142857143"),
        ] {
            let quotient = number(left).over(&number(right)).unwrap();
            assert_eq!(
                quotient.bracket(15),
                Some((low.to_owned(), high.to_owned())),
                "{left} / {right}"
            );
        }
    }

    #[test]
    fn a_bracket_is_the_number_or_its_neighbours() {
        for (text, fraction, low, high) in [
            ("0", 15, "0", "0"),
            ("1.50", 15, "1.5", "1.5"),
            ("-0.001", 15, "-0.001", "-0.001"),
            ("1e3", 15, "1000", "1000"),
            (
                "123456789012345000",
                15,
                "123456789012345000",
                "123456789012345000",
            ),
            (
                "9007199254740993",
                15,
                "9007199254740990",
                "9007199254741000",
            ),
            (
                "-9007199254740993",
                15,
                "-9007199254741000",
                "-9007199254740990",
            ),
            (
                "0.1234567890123456",
                15,
                "0.123456789012345",
                "0.123456789012346",
            ),
            (
                "999999999999999.9",
                15,
                "999999999999999",
                "1000000000000000",
            ),
            ("1e-300", 15, "0", "0.000000000000001"),
            ("-1e-300", 15, "-0.000000000000001", "0"),
            ("1.5", 0, "1", "2"),
            ("-1.5", 0, "-2", "-1"),
            ("-0.5", 0, "-1", "0"),
            ("7", 0, "7", "7"),
        ] {
            let (found_low, found_high) = number(text).bracket(fraction).unwrap();
            assert_eq!(
                (found_low.as_str(), found_high.as_str()),
                (low, high),
                "{text}"
            );
        }
        assert_eq!(number("1e18").bracket(15), None);
    }

    proptest! {
        #[test]
        fn a_bracket_holds_its_number(text in "-?[0-9]{1,18}(\\.[0-9]{1,20})?", fraction in 0_i64..16) {
            let value = number(&text);
            let (low, high) = value.bracket(fraction).unwrap();
            let (low, high) = (number(&low), number(&high));
            prop_assert!(low <= value && value <= high);
            prop_assert!(low == high || (low < value && value < high));
        }
    }

    #[test]
    fn order_is_that_of_the_numbers() {
        let ascending = [
            "-1e3",
            "-100.5",
            "-100",
            "-0.2",
            "-0.1",
            "-1E-9",
            "0",
            "1e-9",
            "0.05",
            "0.1",
            "0.11",
            "1",
            "9",
            "10",
            "10.01",
            "99",
            "100",
            "1e3",
            "1e99999999999999999999",
        ];
        for pair in ascending.windows(2) {
            assert_eq!(
                number(pair[0]).cmp(&number(pair[1])),
                Ordering::Less,
                "{pair:?}"
            );
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "", "-", "+", ".", "e5", "1e", "1e+", "1e1.5", "1,000", "USD5000", "1 000", " 1",
            "1.2.3", "--1", "0x10", "NaN", "inf", "٣",
        ] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn order_agrees_with_integers(left in -100_000_i64..100_000, right in -100_000_i64..100_000, scale in 0_u32..6) {
            let spell = |value: i64| format!("{value}e-{scale}");
            prop_assert_eq!(number(&spell(left)).cmp(&number(&spell(right))), left.cmp(&right));
        }

        #[test]
        fn trailing_zeros_and_powers_do_not_matter(whole in 0_u64.., fraction in "[0-9]{0,8}", zeros in 0_usize..5) {
            let plain = number(&format!("{whole}.{fraction}"));
            prop_assert_eq!(&number(&format!("00{whole}.{fraction}{}", "0".repeat(zeros))), &plain);
            prop_assert_eq!(&number(&format!("{whole}{fraction}E-{}", fraction.len())), &plain);
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,20}") {
            let _read = Decimal::parse(&text);
        }
    }
}
