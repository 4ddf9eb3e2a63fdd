//! Numbers as the Bulk API writes them.
use std::io::Write;

/// From here on, and below `SMALL`, a number is written as 1.2E7.
const LARGE: f64 = 1e7;
const SMALL: f64 = 1e-3;

/// A number as Salesforce's CSV has it: always with a point, `75000.0`, and in scientific notation
/// from ten million on, `9.12260031E8`: what Java makes of a double.
pub(crate) fn write(number: f64, out: &mut Vec<u8>) {
    let size = number.abs();
    let done = if number == 0.0 || (SMALL..LARGE).contains(&size) {
        write!(out, "{number:?}")
    } else {
        let text = format!("{number:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let point = if digits.contains('.') { "" } else { ".0" };
        write!(out, "{digits}{point}E{exponent}")
    };
    // A vector takes all that is written to it.
    debug_assert!(done.is_ok(), "writing to memory does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_look_as_in_results_of_real_orgs() {
        let text = |number: f64| {
            let mut out = Vec::new();
            write(number, &mut out);
            String::from_utf8(out).unwrap()
        };
        // forcedotcom/cli issue 3367, forcedotcom/dataloader issue 1204, the Bulk API's guide.
        assert_eq!(text(16_147_805_824_397.0), "1.6147805824397E13");
        assert_eq!(text(912_260_031.0), "9.12260031E8");
        assert_eq!(text(90_000_000.0), "9.0E7");
        assert_eq!(text(99_213_206.0), "9.9213206E7");
        assert_eq!(text(100.0), "100.0");
        assert_eq!(text(0.0), "0.0");
        assert_eq!(text(9_999_999.5), "9999999.5");
        assert_eq!(text(10_000_000.0), "1.0E7");
        assert_eq!(text(-12_345_678.9), "-1.23456789E7");
        assert_eq!(text(0.0005), "5.0E-4");
        assert_eq!(text(0.25), "0.25");
    }
}
