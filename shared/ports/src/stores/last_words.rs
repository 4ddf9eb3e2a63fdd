//! Last words that mOS had no deal for.

use std::time::Duration;

use async_trait::async_trait;
use domain::{SalesforceId, Timestamp, Version};

use super::StoreError;

/// How long a mark of a [`LastWordStore`] is kept, longer than a unit is on its way.
pub const LAST_WORD_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Deals whose last word found nothing in mOS, because an older row that creates them was still on
/// its way: such a deal would stay open in mOS for ever.
#[async_trait]
pub trait LastWordStore: Send + Sync {
    /// mOS did not have these deals when their last word, of this version, was sent. The highest
    /// version of a deal is kept, for [`LAST_WORD_KEPT`] after its newest mark.
    async fn mark(
        &self,
        deals: &[(SalesforceId, Version)],
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// These deals have just been created in mOS from rows of these versions: which of them have a
    /// mark of a higher version? Such marks stay, so that the question can be repeated; a mark
    /// that is not higher is removed.
    async fn overtaken(
        &self,
        created: &[(SalesforceId, Version)],
    ) -> Result<Vec<SalesforceId>, StoreError>;
}
