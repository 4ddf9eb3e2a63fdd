//! Tokens of the API.

use domain::Timestamp;
use domain::right::Right;
use ports::stores::KnownToken;
use serde::{Deserialize, Serialize};

/// A token, without what opens the door.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenView {
    /// By which it is revoked.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What whoever presents it may do.
    pub scope: Right,
    /// When it was made.
    pub created: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// When it was last presented, to the minute; absent: never.
    pub used: Option<Timestamp>,
    /// When it was revoked; absent while it is in force.
    pub revoked: Option<Timestamp>,
    /// Who revoked it.
    pub revoked_by: Option<String>,
}

impl TokenView {
    /// The hash's first digits tell tokens apart, and are of no use to anybody.
    const ID: usize = 16;

    /// As it is shown.
    #[must_use]
    pub fn of(known: &KnownToken) -> Self {
        Self {
            id: known.token.hash.chars().take(Self::ID).collect(),
            name: known.token.name.clone(),
            scope: known.token.scope,
            created: known.token.created,
            created_by: known.token.created_by.clone(),
            used: known.used,
            revoked: known.revoked.as_ref().map(|revoked| revoked.at),
            revoked_by: known.revoked.as_ref().map(|revoked| revoked.by.clone()),
        }
    }
}

/// All tokens, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenList {
    /// Those that were revoked, too.
    pub tokens: Vec<TokenView>,
}

/// A token that is to be made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MakeToken {
    /// What people call it.
    pub name: String,
    /// `read`, `operate` or `administer`.
    pub scope: String,
}

/// A token that was made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewTokenView {
    /// What callers present. It is answered this once.
    pub secret: String,
    /// What is known of it from now on.
    pub token: TokenView,
}

impl std::fmt::Debug for NewTokenView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewTokenView")
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}
