//! How long a 429 asks to wait.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// When a 429 does not say, or not readably.
const DEFAULT: Duration = Duration::from_secs(5);
/// Longer pauses are cut to this: mOS is then asked again, and can say so again.
const LONGEST: Duration = Duration::from_secs(3600);

/// Reads `Retry-After`: seconds, or an HTTP date (RFC 9110, 10.2.3). A date is measured against
/// the answer's own `Date`, so that the two machines' clocks need not agree.
pub(crate) fn pause(retry_after: Option<&str>, date: Option<&str>) -> Duration {
    let Some(text) = retry_after.map(str::trim) else {
        return DEFAULT;
    };
    if let Ok(seconds) = text.parse::<u64>() {
        return Duration::from_secs(seconds).min(LONGEST);
    }
    let (Some(until), Some(now)) = (http_date(text), date.and_then(http_date)) else {
        return DEFAULT;
    };
    let seconds = until.as_second().saturating_sub(now.as_second());
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0)).min(LONGEST)
}

fn http_date(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_dates_and_nonsense() {
        let now = Some("Sun, 22 Nov 2026 10:00:00 GMT");
        for (retry_after, date, seconds) in [
            (Some("7"), None, 7),
            (Some(" 0 "), None, 0),
            (Some("86400"), None, 3600),
            (Some("Sun, 22 Nov 2026 10:00:42 GMT"), now, 42),
            (Some("Sun, 22 Nov 2026 09:00:00 GMT"), now, 0),
            (Some("Sun, 22 Nov 2026 10:00:42 GMT"), None, 5),
            (Some("99999999999999999999999"), None, 5),
            (Some("-3"), None, 5),
            (Some("soon"), now, 5),
            (None, now, 5),
        ] {
            assert_eq!(
                pause(retry_after, date),
                Duration::from_secs(seconds),
                "{retry_after:?}"
            );
        }
    }
}
