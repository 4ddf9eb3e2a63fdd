//! Settings.

use async_trait::async_trait;
use domain::job::Job;
use domain::settings::SettingsRevision;

use super::StoreError;

/// Settings. Every revision is kept.
#[async_trait]
pub trait SettingsStore: Send + Sync {
    /// What is in force; [`SettingsRevision::initial`] before the first save.
    async fn current(&self) -> Result<SettingsRevision, StoreError>;

    /// Saves `next`, made from revision `next.revision - 1`, which must still be in force, and the
    /// backfill it causes, in one step. Repeating the very same save is `Ok`.
    async fn save(&self, next: &SettingsRevision, backfill: Option<&Job>)
    -> Result<(), StoreError>;

    /// A revision by its number; 0 is [`SettingsRevision::initial`].
    async fn revision(&self, number: u64) -> Result<Option<SettingsRevision>, StoreError>;

    /// The newest revisions below `before`, newest first, at most `limit`; without the initial one.
    async fn history(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<SettingsRevision>, StoreError>;

    /// Puts back revisions that were kept elsewhere, oldest first, with their numbers, so that the
    /// last of them is in force and no number is given twice. Only where nobody has saved
    /// anything: what mosync saved by itself ([`SettingsRevision::is_by_person`]) gives way, a
    /// person's save is [`StoreError::Conflict`] and stays. Repeating the very same restore is
    /// `Ok`; so is one of nothing.
    async fn restore(&self, revisions: &[SettingsRevision]) -> Result<(), StoreError>;
}
