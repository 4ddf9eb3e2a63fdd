//! Who holds mOS permission, and who does not though it matters.

use domain::permission::{Grant, NearMiss};
use domain::{SalesforceId, Timestamp};
use serde::{Deserialize, Serialize};

/// Everybody who holds permission, and who owns matching opportunities or holds a permission set
/// without it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsersView {
    /// When this was read.
    pub read_at: Timestamp,
    /// When the newest permission poll whose findings are in force was begun.
    pub permissions_polled: Option<Timestamp>,
    /// The number of the snapshot that is told of.
    pub snapshot: u64,
    /// Why SOQL does not say the filter exactly, so that the counts are of at most so many; empty
    /// where they are exact.
    pub why_not_exact: Vec<String>,
    /// Holders, those with the most opportunities first.
    pub holders: Vec<HolderView>,
    /// Others, those with the most matching opportunities first.
    pub others: Vec<OtherView>,
    /// How many others there are beyond these.
    pub others_left_off: u64,
    /// Matching opportunities of all others: not synced.
    pub others_opportunities: u64,
}

/// A user as Salesforce names them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserView {
    /// `005...`.
    pub id: SalesforceId,
    /// Absent when the user cannot be read.
    pub name: Option<String>,
    /// Absent when the user cannot be read.
    pub username: Option<String>,
    /// Absent when the user cannot be read.
    pub is_active: Option<bool>,
    /// Frozen users count all the same. Absent when the integration user may not see it.
    pub is_frozen: Option<bool>,
}

/// Who holds permission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HolderView {
    /// Who.
    pub user: UserView,
    /// Each way in which they hold it.
    pub grants: Vec<Grant>,
    /// When the last of these runs out; absent: never.
    pub until: Option<Timestamp>,
    /// What they hold that does not count.
    pub not_counted: Vec<NearMiss>,
    /// Their opportunities in scope.
    pub opportunities: u64,
    /// The evidence in words.
    pub words: Vec<String>,
}

/// Who does not hold permission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherView {
    /// Who.
    pub user: UserView,
    /// What they hold that does not count.
    pub not_counted: Vec<NearMiss>,
    /// Their opportunities that would be in scope if they did.
    pub opportunities: u64,
    /// Why they do not, in words.
    pub words: Vec<String>,
}
