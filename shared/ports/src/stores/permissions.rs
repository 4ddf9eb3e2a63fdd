//! Permission snapshots.

use async_trait::async_trait;
use domain::Timestamp;
use domain::job::Job;
use domain::permission::PermissionSnapshot;

use super::StoreError;

/// Permission snapshots.
#[async_trait]
pub trait PermissionStore: Send + Sync {
    /// The newest snapshot; the empty one of number 0 before the first poll.
    async fn latest(&self) -> Result<PermissionSnapshot, StoreError>;
    /// A snapshot by number; `None` when it is no longer kept (the last 100 are).
    async fn snapshot(&self, number: u64) -> Result<Option<PermissionSnapshot>, StoreError>;
    /// Stores the snapshot that follows `snapshot.number - 1` and the backfill it causes, in one
    /// step. [`StoreError::Conflict`] when another poller was first.
    async fn store(
        &self,
        snapshot: &PermissionSnapshot,
        backfill: Option<&Job>,
    ) -> Result<(), StoreError>;
    /// A poll begun at that time found nothing that is not stored.
    async fn mark_polled(&self, begun: Timestamp) -> Result<(), StoreError>;
    /// When the newest poll whose findings are stored was begun.
    async fn last_poll(&self) -> Result<Option<Timestamp>, StoreError>;
}
