//! Leases.

use std::time::Duration;

use async_trait::async_trait;

use super::StoreError;

/// Who may do what only one process at a time may do.
#[async_trait]
pub trait LeaseStore: Send + Sync {
    /// Takes or renews the lease; `false` while another holds it.
    async fn hold(
        &self,
        name: &str,
        holder: &str,
        for_how_long: Duration,
    ) -> Result<bool, StoreError>;
    /// Gives it back, if it is still `holder`'s.
    async fn release(&self, name: &str, holder: &str) -> Result<(), StoreError>;
}
