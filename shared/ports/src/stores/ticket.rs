//! Tickets.

use async_trait::async_trait;
use domain::Ticket;

use super::StoreError;

/// Tickets.
#[async_trait]
pub trait TicketStore: Send + Sync {
    /// Time, rule revision and permission snapshot number, in one atomic step. The time never goes
    /// back, not over restarts either.
    async fn take(&self) -> Result<Ticket, StoreError>;
}
