//! What left the scope and is still in mOS.

use domain::{SalesforceId, Timestamp};
use serde::{Deserialize, Serialize};

/// A stretch of the opportunities that mOS holds, in the order of their ids, with those that do
/// not qualify now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftView {
    /// When mOS and Salesforce were asked.
    pub read_at: Timestamp,
    /// The revision of the settings by which they were judged.
    pub settings_revision: u64,
    /// The number of the permission snapshot by which they were judged.
    pub snapshot: u64,
    /// How many opportunities mOS holds in this stretch.
    pub held: u64,
    /// Those of them that do not qualify: they stay in mOS as they are and receive nothing more.
    pub left: Vec<LeftRecord>,
    /// `after` of the next stretch; absent on the last.
    pub next: Option<String>,
}

/// An opportunity that is in mOS and does not qualify.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftRecord {
    /// As mOS has it.
    pub id: String,
    /// What Salesforce calls it; absent when there is no row.
    pub name: Option<String>,
    /// Its owner; absent when there is no row.
    pub owner: Option<SalesforceId>,
    /// Why it does not qualify.
    pub why: LeftWhy,
}

/// Why an opportunity does not qualify; where several apply, the first of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftWhy {
    /// It is in Salesforce's recycle bin.
    Deleted,
    /// Salesforce neither shows it nor has it in the recycle bin: purged, or hidden from the
    /// integration user.
    NotVisible,
    /// The opportunity filter does not match it.
    Filter,
    /// It is closed, and closed ones are not synced.
    Closed,
    /// Its owner holds no mOS permission.
    OwnerWithoutPermission,
}

impl LeftWhy {
    /// Every reason, in their order.
    pub const ALL: [Self; 5] = [
        Self::Deleted,
        Self::NotVisible,
        Self::Filter,
        Self::Closed,
        Self::OwnerWithoutPermission,
    ];

    /// For a person.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Deleted => "deleted in Salesforce",
            Self::NotVisible => "not visible to the integration user, or gone from the recycle bin",
            Self::Filter => "the filter does not match",
            Self::Closed => "closed",
            Self::OwnerWithoutPermission => "the owner holds no mOS permission",
        }
    }

    /// In the API and in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::NotVisible => "not_visible",
            Self::Filter => "filter",
            Self::Closed => "closed",
            Self::OwnerWithoutPermission => "owner_without_permission",
        }
    }
}
