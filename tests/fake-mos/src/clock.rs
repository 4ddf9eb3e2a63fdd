//! Where this server takes the time from.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Answers the time as microseconds since 1970-01-01T00:00:00Z.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The machine's clock.
#[must_use]
pub fn system_clock() -> Clock {
    Arc::new(|| {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place where this server asks the machine for the time; everything else is given a Clock"
        )]
        let now = SystemTime::now();
        now.duration_since(UNIX_EPOCH)
            .ok()
            .and_then(|since| i64::try_from(since.as_micros()).ok())
            .unwrap_or(0)
    })
}
