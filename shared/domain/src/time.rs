//! Points in time.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point in time in microseconds since 1970-01-01T00:00:00Z.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since the epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From milliseconds since the epoch, the unit of change events.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1000))
    }

    /// Reads what Salesforce writes: `2026-01-01T00:00:00.000+0000` (REST) or `...000Z` (Bulk).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let iso = match text.strip_suffix("+0000") {
            Some(head) => format!("{head}Z"),
            None => text.to_owned(),
        };
        iso.parse::<jiff::Timestamp>()
            .ok()
            .map(|instant| Self(instant.as_microsecond()))
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since the epoch, rounded down.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This much later.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)),
        )
    }

    /// This much earlier.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)),
        )
    }

    /// How long since `earlier`; zero when that lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// As a SOQL datetime literal: UTC, whole seconds, rounded down.
    #[must_use]
    pub fn to_soql(self) -> String {
        let seconds = self.0.div_euclid(1_000_000);
        jiff::Timestamp::from_second(seconds)
            .unwrap_or_default()
            .strftime("%Y-%m-%dT%H:%M:%SZ")
            .to_string()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instant = jiff::Timestamp::from_microsecond(self.0).unwrap_or_default();
        f.pad(&instant.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_salesforce_are_read() {
        let rest = Timestamp::parse("2024-07-24T14:05:58.000+0000").unwrap();
        assert_eq!(Timestamp::parse("2024-07-24T14:05:58.000Z"), Some(rest));
        assert_eq!(rest.to_soql(), "2024-07-24T14:05:58Z");
        assert_eq!(rest.to_string(), "2024-07-24T14:05:58.000Z");
        assert_eq!(Timestamp::parse("yesterday"), None);
    }
}
