//! How many API requests mosync has made.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use domain::Timestamp;

use super::StoreError;

/// How long the count of an hour is kept.
pub const CALLS_KEPT: Duration = Duration::from_secs(48 * 60 * 60);

/// The API requests of all processes of a deployment together, by UTC hour.
#[async_trait]
pub trait CallStore: Send + Sync {
    /// Adds requests to the hour of that moment, and forgets hours that began longer than
    /// [`CALLS_KEPT`] before. Where the answer was lost and the step is repeated, they may count
    /// twice.
    async fn add_calls(&self, at: Timestamp, calls: u64) -> Result<(), StoreError>;
    /// The requests of the hours that end after `since`, by when each began.
    async fn calls(&self, since: Timestamp) -> Result<BTreeMap<Timestamp, u64>, StoreError>;
}

/// When the UTC hour of a moment began.
#[must_use]
pub const fn hour_of(at: Timestamp) -> Timestamp {
    const HOUR: i64 = 3_600_000_000;
    Timestamp::from_micros(at.as_micros().div_euclid(HOUR) * HOUR)
}
