//! The clock of a process.

use domain::Timestamp;
use ports::Clock;

/// The machine's clock. It may step; the ticket store's high-water mark deals with that.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place that reads the machine's clock; everything else takes a Clock"
        )]
        let now = std::time::SystemTime::now();
        let since_epoch = now
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_microseconds_since_1970() {
        let clock = SystemClock;
        let first = clock.now();
        assert!(first > Timestamp::parse("2025-01-01T00:00:00Z").unwrap());
        assert!(first < Timestamp::parse("2200-01-01T00:00:00Z").unwrap());
    }
}
