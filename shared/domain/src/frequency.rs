//! How often the stream is taken: as it comes, or in windows.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// How often changes are taken from Salesforce (mOS Settings, Frequency). Written as text:
/// `real_time`, `every_5_min` (15, 30, 60), `daily_at_06:30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Frequency {
    /// As they happen.
    #[default]
    RealTime,
    /// In windows that begin at full multiples of the interval.
    Every(Interval),
    /// In one window a day, at this time of the org's zone.
    Daily(ClockTime),
}

/// From window to window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interval {
    /// 5 minutes.
    Five,
    /// 15 minutes.
    Fifteen,
    /// 30 minutes.
    Thirty,
    /// 60 minutes.
    Sixty,
}

impl Interval {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Five, Self::Fifteen, Self::Thirty, Self::Sixty];

    /// How many minutes.
    #[must_use]
    pub const fn minutes(self) -> u8 {
        match self {
            Self::Five => 5,
            Self::Fifteen => 15,
            Self::Thirty => 30,
            Self::Sixty => 60,
        }
    }
}

/// A time of day, to the minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockTime(jiff::civil::Time);

impl FromStr for ClockTime {
    type Err = UnknownFrequency;

    /// Reads `06:30`.
    fn from_str(text: &str) -> Result<Self, UnknownFrequency> {
        let unknown = || UnknownFrequency(text.to_owned());
        let two_digits = |text: &str| {
            (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()))
                .then(|| text.parse::<i8>().ok())
                .flatten()
        };
        let (hour, minute) = text.split_once(':').ok_or_else(unknown)?;
        let (hour, minute) = two_digits(hour)
            .zip(two_digits(minute))
            .ok_or_else(unknown)?;
        jiff::civil::Time::new(hour, minute, 0, 0)
            .map(Self)
            .map_err(|_out_of_range| unknown())
    }
}

impl fmt::Display for ClockTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0.hour(), self.0.minute())
    }
}

/// A text that is no frequency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the frequency `{0}` is not known; write real_time, every_5_min, every_15_min, every_30_min, every_60_min, or daily_at_ and a time such as daily_at_06:30"
)]
pub struct UnknownFrequency(String);

impl FromStr for Frequency {
    type Err = UnknownFrequency;

    fn from_str(text: &str) -> Result<Self, UnknownFrequency> {
        let unknown = || UnknownFrequency(text.to_owned());
        if text == "real_time" {
            return Ok(Self::RealTime);
        }
        if let Some(time) = text.strip_prefix("daily_at_") {
            return time.parse().map(Self::Daily).map_err(|_unknown| unknown());
        }
        Interval::ALL
            .into_iter()
            .map(Self::Every)
            .find(|every| every.to_string() == text)
            .ok_or_else(unknown)
    }
}

impl TryFrom<String> for Frequency {
    type Error = UnknownFrequency;

    fn try_from(text: String) -> Result<Self, UnknownFrequency> {
        text.parse()
    }
}

impl From<Frequency> for String {
    fn from(frequency: Frequency) -> Self {
        frequency.to_string()
    }
}

impl fmt::Display for Frequency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RealTime => f.pad("real_time"),
            Self::Every(interval) => write!(f, "every_{}_min", interval.minutes()),
            Self::Daily(time) => write!(f, "daily_at_{time}"),
        }
    }
}

impl Frequency {
    /// When the first window begins after that moment; `None` in real time, where there are none.
    /// `zone` is the org's, by its IANA name; one that nobody knows counts as UTC. Where clocks go
    /// forward over the time of a daily window, it begins as much later; where they go back over
    /// it, the first time.
    #[must_use]
    pub fn next_window(self, after: Timestamp, zone: &str) -> Option<Timestamp> {
        match self {
            Self::RealTime => None,
            Self::Every(interval) => {
                let length = Duration::from_secs(u64::from(interval.minutes()) * 60);
                let micros = i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
                let begun = after.as_micros().div_euclid(micros) * micros;
                Some(Timestamp::from_micros(begun).after(length))
            }
            Self::Daily(ClockTime(time)) => {
                let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
                let instant = jiff::Timestamp::from_microsecond(after.as_micros()).ok()?;
                let today = instant.to_zoned(zone.clone()).date();
                let days = [Some(today), today.tomorrow().ok()];
                days.into_iter()
                    .flatten()
                    .filter_map(|day| {
                        let at = DateTime::from_parts(day, time)
                            .to_zoned(zone.clone())
                            .ok()?;
                        Some(Timestamp::from_micros(at.timestamp().as_microsecond()))
                    })
                    .find(|at| *at > after)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn texts_and_frequencies_agree() {
        for text in [
            "real_time",
            "every_5_min",
            "every_15_min",
            "every_30_min",
            "every_60_min",
            "daily_at_00:00",
            "daily_at_23:59",
        ] {
            let frequency = text.parse::<Frequency>().unwrap();
            assert_eq!(frequency.to_string(), text);
            let json = serde_json::to_string(&frequency).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Frequency>(&json).unwrap(), frequency);
        }
        for text in [
            "",
            "Real time",
            "every_10_min",
            "every_05_min",
            "daily_at_24:00",
            "daily_at_6:30",
            "daily_at_06:30:00",
            "daily_at_+6:30",
            "daily",
        ] {
            let fault = text.parse::<Frequency>().unwrap_err().to_string();
            assert!(fault.contains(&format!("`{text}`")), "{fault}");
        }
    }

    #[test]
    fn windows_begin_at_full_multiples() {
        let next = |interval, after| Frequency::Every(interval).next_window(at(after), "UTC");
        let noon = "2026-06-15T12:00:00Z";
        assert_eq!(
            next(Interval::Fifteen, noon),
            Some(at("2026-06-15T12:15:00Z"))
        );
        assert_eq!(
            next(Interval::Five, "2026-06-15T11:59:59.999Z"),
            Some(at(noon))
        );
        assert_eq!(
            next(Interval::Sixty, "2026-06-15T23:20:00Z"),
            Some(at("2026-06-16T00:00:00Z"))
        );
        assert_eq!(Frequency::RealTime.next_window(at(noon), "UTC"), None);
    }

    #[test]
    fn a_daily_window_keeps_the_zone_s_time() {
        let daily = |text: &str| Frequency::Daily(text.parse().unwrap());
        let next = |time, zone, after| daily(time).next_window(at(after), zone);
        assert_eq!(
            next("06:30", "Europe/Berlin", "2026-06-15T04:29:59Z"),
            Some(at("2026-06-15T04:30:00Z"))
        );
        assert_eq!(
            next("06:30", "Europe/Berlin", "2026-06-15T04:30:00Z"),
            Some(at("2026-06-16T04:30:00Z"))
        );
        // Clocks go forward from 02:00 to 03:00, and back from 03:00 to 02:00.
        assert_eq!(
            next("02:30", "Europe/Berlin", "2026-03-28T12:00:00Z"),
            Some(at("2026-03-29T01:30:00Z"))
        );
        assert_eq!(
            next("02:30", "Europe/Berlin", "2026-10-24T12:00:00Z"),
            Some(at("2026-10-25T00:30:00Z"))
        );
        assert_eq!(
            next("02:30", "Europe/Berlin", "2026-10-25T00:30:00Z"),
            Some(at("2026-10-26T01:30:00Z"))
        );
        assert_eq!(
            next("06:30", "Nowhere/Else", "2026-06-15T00:00:00Z"),
            Some(at("2026-06-15T06:30:00Z"))
        );
    }
}
