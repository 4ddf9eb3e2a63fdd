//! Dates, times and what a condition may name in their place.

use std::cmp::Ordering;

use jiff::civil::{self, date};

use crate::time::Timestamp;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// What a condition on a date or date/time field compares with. It is a stretch of time: a field
/// equals it when it lies inside, is less when it lies before its start and greater when it lies
/// at or after its end; so ranges with other bounds compare by the same two functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DateValue {
    /// A calendar day; for a date/time field, that day in UTC.
    Day(civil::Date),
    /// A moment; for date/time fields only.
    Instant(Timestamp),
}

/// Why a text is no value of the type it is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueFault {
    /// `LAST_N_DAYS:30` and its like.
    Relative,
    /// Everything else.
    Unreadable,
}

impl DateValue {
    /// Reads `2026-01-31` or, where moments are allowed, `2026-01-31T12:00:00Z` with any offset.
    pub(super) fn parse(text: &str, moments: bool) -> Result<Self, ValueFault> {
        if is_relative(text) {
            return Err(ValueFault::Relative);
        }
        if let Some(day) = day(text) {
            return Ok(Self::Day(day));
        }
        match instant(text) {
            Some(at) if moments => Ok(Self::Instant(at)),
            _ => Err(ValueFault::Unreadable),
        }
    }

    /// Where a date field lies, seen from this value.
    pub(super) fn place_of_day(&self, met: civil::Date) -> Ordering {
        match self {
            Self::Day(own) => met.cmp(own),
            // Refused when the filter is compiled; by the rule above, seen from the day's start.
            Self::Instant(own) => start_of(met).cmp(&own.as_micros()),
        }
    }

    /// Where a date/time field lies, seen from this value.
    pub(super) fn place_of_instant(&self, met: Timestamp) -> Ordering {
        match self {
            Self::Instant(own) => met.cmp(own),
            Self::Day(own) => {
                let start = start_of(*own);
                if met.as_micros() < start {
                    Ordering::Less
                } else if met.as_micros() >= start.saturating_add(MICROS_PER_DAY) {
                    Ordering::Greater
                } else {
                    Ordering::Equal
                }
            }
        }
    }
}

/// Microseconds from the epoch to the day's start in UTC.
pub(super) fn start_of(day: civil::Date) -> i64 {
    day.duration_since(date(1970, 1, 1))
        .as_secs()
        .saturating_mul(1_000_000)
}

/// Reads `2026-01-31` and nothing longer or shorter.
pub(super) fn day(text: &str) -> Option<civil::Date> {
    let shaped = text.len() == 10
        && text.bytes().enumerate().all(|(place, byte)| {
            if place == 4 || place == 7 {
                byte == b'-'
            } else {
                byte.is_ascii_digit()
            }
        });
    if shaped { text.parse().ok() } else { None }
}

/// Reads a moment: date, `T`, time, and `Z` or an offset.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    // The parser of moments also takes a blank or a lower-case t, which Salesforce does not write.
    if text.as_bytes().get(10) != Some(&b'T') || day(text.get(..10)?).is_none() {
        return None;
    }
    Timestamp::parse(text)
}

/// Reads `10:15`, `10:15:30` or Salesforce's `10:15:30.000Z`.
pub(super) fn time_of_day(text: &str) -> Option<civil::Time> {
    let plain = text.strip_suffix('Z').unwrap_or(text);
    let shaped = plain.as_bytes().get(2) == Some(&b':')
        && plain
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b':' || byte == b'.');
    if shaped { plain.parse().ok() } else { None }
}

/// Whether the text is a relative date literal, spelled as in SOQL (`LAST_N_DAYS:30`) or as in list
/// views (`LAST 30 DAYS`).
fn is_relative(text: &str) -> bool {
    let upper = text.trim().to_ascii_uppercase().replace(' ', "_");
    let (name, count) = match upper.split_once(':') {
        Some((name, count)) => (name, Some(count)),
        None => (upper.as_str(), None),
    };
    match count {
        Some(count) => is_count(count) && counted_unit(name).is_some_and(|number| number == "N"),
        None => {
            matches!(name, "YESTERDAY" | "TODAY" | "TOMORROW")
                || whole_unit(name)
                || counted_unit(name).is_some_and(is_count)
        }
    }
}

/// `THIS_WEEK`, `LAST_FISCAL_YEAR`, ...
fn whole_unit(name: &str) -> bool {
    name.split_once('_').is_some_and(|(which, unit)| {
        matches!(which, "LAST" | "THIS" | "NEXT")
            && matches!(
                unit,
                "WEEK" | "MONTH" | "QUARTER" | "YEAR" | "FISCAL_QUARTER" | "FISCAL_YEAR"
            )
    })
}

/// The number's place of `LAST_N_DAYS`, `NEXT_90_DAYS`, `N_WEEKS_AGO`, ...
fn counted_unit(name: &str) -> Option<&str> {
    let counted = name
        .strip_suffix("_AGO")
        .or_else(|| name.strip_prefix("LAST_"))
        .or_else(|| name.strip_prefix("NEXT_"))?;
    let (number, unit) = counted.split_once('_')?;
    let known = matches!(
        unit,
        "DAY"
            | "DAYS"
            | "WEEK"
            | "WEEKS"
            | "MONTH"
            | "MONTHS"
            | "QUARTER"
            | "QUARTERS"
            | "YEAR"
            | "YEARS"
            | "FISCAL_QUARTER"
            | "FISCAL_QUARTERS"
            | "FISCAL_YEAR"
            | "FISCAL_YEARS"
    );
    known.then_some(number)
}

fn is_count(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_moments_are_read() {
        assert_eq!(
            DateValue::parse("2026-01-31", true),
            Ok(DateValue::Day(date(2026, 1, 31)))
        );
        let noon = Timestamp::parse("2026-01-31T12:00:00Z").unwrap();
        for text in [
            "2026-01-31T12:00:00Z",
            "2026-01-31T12:00:00.000+0000",
            "2026-01-31T14:00:00+02:00",
        ] {
            assert_eq!(
                DateValue::parse(text, true),
                Ok(DateValue::Instant(noon)),
                "{text}"
            );
            assert_eq!(
                DateValue::parse(text, false),
                Err(ValueFault::Unreadable),
                "{text}"
            );
        }
        for text in [
            "",
            "2026-02-30",
            "2026-1-31",
            "31.01.2026",
            "01/31/2026",
            "20260131",
            "2026-01-31T12:00:00",
            "2026-01-31 12:00:00Z",
            "2026-01-31é",
            "soon",
        ] {
            assert_eq!(
                DateValue::parse(text, true),
                Err(ValueFault::Unreadable),
                "{text}"
            );
        }
    }

    #[test]
    fn relative_literals_are_recognised() {
        for text in [
            "TODAY",
            "yesterday",
            "Tomorrow",
            "THIS_WEEK",
            "LAST_MONTH",
            "NEXT_FISCAL_QUARTER",
            "THIS QUARTER",
            "LAST_90_DAYS",
            "LAST_N_DAYS:30",
            "next_n_fiscal_years:2",
            "N_DAYS_AGO:7",
            "N_FISCAL_QUARTERS_AGO:1",
            "LAST 7 DAYS",
            "3 MONTHS AGO",
            "NEXT 1 WEEK",
        ] {
            assert_eq!(
                DateValue::parse(text, true),
                Err(ValueFault::Relative),
                "{text}"
            );
        }
        for text in [
            "LAST_N_DAYS",
            "LAST_N_DAYS:",
            "LAST_N_DAYS:x",
            "LAST_7_DAYS:7",
            "SOME_DAY",
            "THIS_CENTURY",
            "N_AGO",
            "_AGO",
        ] {
            assert_eq!(
                DateValue::parse(text, true),
                Err(ValueFault::Unreadable),
                "{text}"
            );
        }
    }

    #[test]
    fn a_day_is_a_stretch_of_utc() {
        let day = DateValue::Day(date(2026, 1, 31));
        for (text, place) in [
            ("2026-01-30T23:59:59.999Z", Ordering::Less),
            ("2026-01-31T00:00:00.000+0000", Ordering::Equal),
            ("2026-01-31T23:59:59.999Z", Ordering::Equal),
            ("2026-02-01T00:00:00.000Z", Ordering::Greater),
        ] {
            assert_eq!(
                day.place_of_instant(Timestamp::parse(text).unwrap()),
                place,
                "{text}"
            );
        }
        let before_the_epoch = DateValue::Day(date(1969, 12, 31));
        assert_eq!(
            before_the_epoch.place_of_instant(Timestamp::from_micros(-1)),
            Ordering::Equal
        );
        assert_eq!(
            before_the_epoch.place_of_instant(Timestamp::from_micros(0)),
            Ordering::Greater
        );
        assert_eq!(
            DateValue::Day(date(9999, 12, 31)).place_of_instant(Timestamp::from_micros(0)),
            Ordering::Less
        );
        assert_eq!(
            DateValue::Instant(Timestamp::from_micros(0)).place_of_day(date(1970, 1, 1)),
            Ordering::Equal
        );
    }

    #[test]
    fn times_of_day_are_read() {
        let quarter_past = civil::time(10, 15, 0, 0);
        for text in ["10:15", "10:15:00", "10:15:00.000Z", "10:15Z"] {
            assert_eq!(time_of_day(text), Some(quarter_past), "{text}");
        }
        for text in [
            "",
            "10",
            "1015",
            "25:00",
            "10:15 PM",
            "2026-01-31T10:15",
            "é0:15",
        ] {
            assert_eq!(time_of_day(text), None, "{text}");
        }
    }
}
