//! Dates, times and what a condition may name in their place.

use std::cmp::Ordering;

use jiff::civil;

use super::literal::{CountFault, Literal};
use crate::time::Timestamp;

/// What a condition on a date or date/time field compares with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DateValue {
    /// A calendar day.
    Day(civil::Date),
    /// A moment; for date/time fields only.
    Instant(Timestamp),
    /// Days that depend on when it is asked.
    Relative(Literal),
}

/// Days, the last one included. A field equals them when it lies inside, is less when it lies
/// before the first and greater when it lies after the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Days {
    pub(super) first: civil::Date,
    pub(super) last: civil::Date,
}

/// A stretch of time, compared like [`Days`]; the end is not part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
}

/// Why a text is no value of the type it is wanted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ValueFault {
    /// The number of `LAST_N_DAYS:30` and its like is out of bounds.
    Count(CountFault),
    /// `USD5000` in an org with one currency.
    OneCurrency,
    /// A code that is none of the org's currencies.
    UnknownCurrency,
    /// Everything else.
    Unreadable,
}

impl DateValue {
    /// Reads a literal, `2026-01-31` or, where moments are allowed, `2026-01-31T12:00:00Z` with any
    /// offset.
    pub(super) fn parse(text: &str, moments: bool) -> Result<Self, ValueFault> {
        if let Some(literal) = Literal::parse(text) {
            return literal.map(Self::Relative).map_err(ValueFault::Count);
        }
        if let Some(day) = day(text) {
            return Ok(Self::Day(day));
        }
        match instant(text) {
            Some(at) if moments => Ok(Self::Instant(at)),
            _ => Err(ValueFault::Unreadable),
        }
    }

    /// The literal, if it is one.
    pub(super) const fn literal(&self) -> Option<&Literal> {
        match self {
            Self::Relative(literal) => Some(literal),
            Self::Day(_) | Self::Instant(_) => None,
        }
    }
}

impl Days {
    /// Where a day lies, seen from these.
    pub(super) fn place(&self, met: civil::Date) -> Ordering {
        if met < self.first {
            Ordering::Less
        } else if met > self.last {
            Ordering::Greater
        } else {
            Ordering::Equal
        }
    }
}

impl Stretch {
    /// Where a moment lies, seen from this.
    pub(super) fn place(&self, met: Timestamp) -> Ordering {
        if met < self.start {
            Ordering::Less
        } else if met >= self.end {
            Ordering::Greater
        } else {
            Ordering::Equal
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

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
