//! Tokens that programs present to the API.

use async_trait::async_trait;
use domain::Timestamp;
use domain::right::Right;
use serde::{Deserialize, Serialize};

use super::StoreError;

/// A token, known by its hash alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiToken {
    /// The SHA-256 of the token in hexadecimal digits.
    pub hash: String,
    /// What people call it.
    pub name: String,
    /// What whoever presents it may do.
    pub scope: Right,
    /// When it was made.
    pub created: Timestamp,
    /// Who made it.
    pub created_by: String,
}

/// A token, and what has become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownToken {
    /// The token.
    pub token: ApiToken,
    /// When it was last presented; `None`: never.
    pub used: Option<Timestamp>,
    /// When it was revoked, and by whom.
    pub revoked: Option<Revoked>,
}

/// A token's end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
}

/// Tokens by their hash. None is ever removed: who could do what must be known later, too.
#[async_trait]
pub trait TokenStore: Send + Sync {
    /// Adds a token; one of a hash that is known is left as it is.
    async fn add_token(&self, token: &ApiToken) -> Result<(), StoreError>;
    /// The token of that hash.
    async fn token(&self, hash: &str) -> Result<Option<KnownToken>, StoreError>;
    /// All of them, the newest first.
    async fn tokens(&self) -> Result<Vec<KnownToken>, StoreError>;
    /// A token was presented. Never back in time; one that is not known stays unknown.
    async fn used(&self, hash: &str, at: Timestamp) -> Result<(), StoreError>;
    /// Revokes a token for ever; the first who does is named. One that is not known stays unknown.
    async fn revoke(&self, hash: &str, revoked: &Revoked) -> Result<(), StoreError>;
}
