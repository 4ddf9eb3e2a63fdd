//! Settings.

use async_trait::async_trait;
use domain::job::Job;
use domain::settings::SettingsRevision;

use super::StoreError;

/// Settings.
#[async_trait]
pub trait SettingsStore: Send + Sync {
    /// What is in force; [`SettingsRevision::initial`] before the first save.
    async fn current(&self) -> Result<SettingsRevision, StoreError>;
    /// Saves `next`, made from revision `next.revision - 1`, which must still be in force, and the
    /// backfill it causes, in one step. Repeating the very same save is `Ok`.
    async fn save(&self, next: &SettingsRevision, backfill: Option<&Job>)
    -> Result<(), StoreError>;
}
