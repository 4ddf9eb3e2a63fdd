//! Time as a parameter.

use std::fmt::Debug;

use domain::Timestamp;

/// Tells the time. Waiting is done with tokio's timers, which a test can pause.
pub trait Clock: Send + Sync + Debug {
    /// The time now, by this process's clock.
    fn now(&self) -> Timestamp;
}
