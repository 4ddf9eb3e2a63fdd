//! How notifications leave.

use async_trait::async_trait;
use domain::notification::{Notification, Settled, Way};

/// Takes notifications to whoever is to read them.
#[async_trait]
pub trait Courier: Send + Sync {
    /// Which ways there are for a notification to these addresses.
    fn ways(&self, addresses: &[String]) -> Vec<Way>;
    /// Takes a notification one of its ways, within a minute. The same notification is the same
    /// message with the same id, however often it is sent.
    async fn deliver(&self, notification: &Notification, way: &Way) -> Settled;
}
