//! Datetimes and dates in Salesforce's forms.
use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

/// Microseconds cut to whole seconds, in milliseconds.
pub(crate) fn whole_second_ms(micros: i64) -> i64 {
    micros.div_euclid(1_000_000) * 1000
}

/// `2026-01-01T00:00:00.000+0000`, cut to whole seconds.
pub(crate) fn stamp(micros: i64) -> String {
    datetime_text(whole_second_ms(micros))
}

/// `2026-01-01T00:00:00.000+0000` of milliseconds since the epoch.
pub(crate) fn datetime_text(ms: i64) -> String {
    let time = Timestamp::from_millisecond(ms)
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .to_zoned(TimeZone::UTC);
    time.strftime("%Y-%m-%dT%H:%M:%S.%3f+0000").to_string()
}

/// A datetime in any of the forms that the APIs take, in the stored form: offset `Z`, `+0000` or
/// `+00:00`, with or without fraction.
pub(crate) fn datetime(text: &str) -> Option<String> {
    milliseconds(text).map(datetime_text)
}

/// A datetime in any of those forms, in milliseconds since the epoch.
pub(crate) fn milliseconds(text: &str) -> Option<i64> {
    if text.len() < 20 || !text.contains('T') {
        return None;
    }
    let parsed: Timestamp = match text.parse() {
        Ok(parsed) => parsed,
        Err(_) => {
            let (head, offset) = text.split_at_checked(text.len() - 5)?;
            let (hours, minutes) = offset.split_at_checked(3)?;
            format!("{head}{hours}:{minutes}").parse().ok()?
        }
    };
    Some(parsed.as_millisecond())
}

/// A date `YYYY-MM-DD`, checked against the calendar; a datetime's date where one is given.
pub(crate) fn date(text: &str) -> Option<String> {
    let head = text.get(..10)?;
    if text.len() > 10 {
        datetime(text)?;
    }
    let parsed: Date = head.parse().ok()?;
    Some(parsed.to_string())
}

/// A time of day `HH:MM:SS.mmmZ`, the fraction and the seconds as they are given or zero.
pub(crate) fn of_day(text: &str) -> Option<String> {
    let parsed: Time = text.strip_suffix('Z')?.parse().ok()?;
    Some(parsed.strftime("%H:%M:%S%.3fZ").to_string())
}
