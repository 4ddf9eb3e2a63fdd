//! Notes of units over which workers die.

use std::time::Duration;

use async_trait::async_trait;
use domain::Timestamp;

use super::StoreError;

/// How long a note of a [`TrialStore`] is kept, longer than a unit takes to be judged.
pub const TRIAL_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// What a worker is about to handle, written down before, so that whoever gets the unit after its
/// death knows over what it died.
#[async_trait]
pub trait TrialStore: Send + Sync {
    /// The note of a unit.
    async fn trial(&self, unit: &str) -> Result<Option<String>, StoreError>;
    /// Adds or replaces it. It is kept for [`TRIAL_KEPT`], and older ones are forgotten.
    async fn keep(&self, unit: &str, note: &str, now: Timestamp) -> Result<(), StoreError>;
    /// Removes it, if there is one.
    async fn end(&self, unit: &str) -> Result<(), StoreError>;
}
