//! People who have signed in to the console.

use async_trait::async_trait;
use domain::{SalesforceId, Timestamp};
use serde::{Deserialize, Serialize};

use super::StoreError;

/// A person who has signed in. No token of Salesforce, and no right: that is asked anew each time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Who, `005...`.
    pub user: SalesforceId,
    /// Their Salesforce username.
    pub username: String,
    /// What Salesforce calls them.
    pub name: String,
    /// Where the org's own pages are, without a slash at the end.
    pub instance_url: String,
    /// When they signed in.
    pub opened: Timestamp,
    /// When they were last here.
    pub seen: Timestamp,
}

/// Sessions by a key, which is a hash of what the browser holds.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Begins a session.
    async fn open(&self, key: &str, session: &Session) -> Result<(), StoreError>;
    /// The session of that key.
    async fn session(&self, key: &str) -> Result<Option<Session>, StoreError>;
    /// Somebody was here. Never back in time, and a session that has ended stays so.
    async fn seen(&self, key: &str, at: Timestamp) -> Result<(), StoreError>;
    /// Ends a session: of several who end it at once, one is told what it was.
    async fn close(&self, key: &str) -> Result<Option<Session>, StoreError>;
    /// Ends those opened before one time or last seen before another. How many.
    async fn forget(
        &self,
        opened_before: Timestamp,
        seen_before: Timestamp,
    ) -> Result<u64, StoreError>;
}
