//! Notifications: what has been told of which incident, and what is still on its way.

use async_trait::async_trait;
use domain::Timestamp;
use domain::notification::{Board, Notification};

use super::StoreError;

/// A place in the list of notifications: when one was found, and its id.
pub type OutboxPosition = (Timestamp, String);

/// The board of incidents, and the outbox.
#[async_trait]
pub trait OutboxStore: Send + Sync {
    /// The board; `None` before it was first kept.
    async fn board(&self) -> Result<Option<Board>, StoreError>;
    /// Replaces the board of revision `board.revision - 1` and adds notifications, in one step;
    /// those whose id is known already are left as they are. [`StoreError::Conflict`] when another
    /// process was first. Repeating the very same step is `Ok`.
    async fn post(&self, board: &Board, notifications: &[Notification]) -> Result<(), StoreError>;
    /// Notifications of which something is due by that time, the longest due first.
    async fn due(&self, by: Timestamp, max: usize) -> Result<Vec<Notification>, StoreError>;
    /// Replaces a notification that is at step `next.step - 1`; `false`, and nothing changes, when
    /// it is at another one or unknown. Repeating the very same step is `true`.
    async fn replace(&self, next: &Notification) -> Result<bool, StoreError>;
    /// One of them.
    async fn notification(&self, id: &str) -> Result<Option<Notification>, StoreError>;
    /// Those before that place, newest first; of the same time the highest id first.
    async fn list(
        &self,
        before: Option<&OutboxPosition>,
        max: usize,
    ) -> Result<Vec<Notification>, StoreError>;
    /// How many have failed on one of their ways since then ([`Notification::failed`]).
    async fn failed(&self, since: Timestamp) -> Result<u64, StoreError>;
    /// Forgets notifications found before that time of which nothing is due: how many.
    async fn forget(&self, before: Timestamp, max: usize) -> Result<u64, StoreError>;
}
