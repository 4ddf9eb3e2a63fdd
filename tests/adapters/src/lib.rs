//! What the tests of the adapters share.

use std::time::SystemTime;

use domain::Timestamp;
use ports::Clock;

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct MachineClock;

impl Clock for MachineClock {
    #[expect(clippy::disallowed_methods, reason = "real servers run in real time")]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::default().after(since_epoch)
    }
}
