//! Change events: what Salesforce says has changed. The truth is read back afterwards.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::id::SalesforceId;
use crate::time::Timestamp;

/// What kind of change an event announces (Change Data Capture guide, `changeType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ChangeType {
    /// A new record.
    Create,
    /// Fields changed.
    Update,
    /// Into the recycle bin.
    Delete,
    /// Out of the recycle bin.
    Undelete,
    /// Something happened that the event cannot describe.
    GapCreate,
    /// As above.
    GapUpdate,
    /// As above.
    GapDelete,
    /// As above.
    GapUndelete,
    /// More changes in one transaction than the stream carries.
    GapOverflow,
    /// In the schema, undocumented.
    Snapshot,
}

impl ChangeType {
    /// From the Avro enum's symbol.
    #[must_use]
    pub fn of_symbol(symbol: &str) -> Option<Self> {
        Some(match symbol {
            "CREATE" => Self::Create,
            "UPDATE" => Self::Update,
            "DELETE" => Self::Delete,
            "UNDELETE" => Self::Undelete,
            "GAP_CREATE" => Self::GapCreate,
            "GAP_UPDATE" => Self::GapUpdate,
            "GAP_DELETE" => Self::GapDelete,
            "GAP_UNDELETE" => Self::GapUndelete,
            "GAP_OVERFLOW" => Self::GapOverflow,
            "SNAPSHOT" => Self::Snapshot,
            _ => return None,
        })
    }

    /// Whether the record may enter the scope by this change whatever fields it names.
    #[must_use]
    pub const fn may_enter_scope(self) -> bool {
        !matches!(self, Self::Update | Self::Delete)
    }
}

/// One decoded change event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeEvent {
    /// API name of the object; it may be one that mosync does not sync.
    pub entity: String,
    /// Which records.
    pub records: EventRecords,
    /// What happened.
    pub change_type: ChangeType,
    /// When the transaction was committed (whole seconds in practice).
    pub committed: Timestamp,
    /// Increases from transaction to transaction; for people.
    pub commit_number: i64,
    /// The same for all events of one transaction.
    pub transaction_key: String,
    /// Field names that changed; a compound's part is written `BillingAddress.Street`. Nulled and
    /// diffed fields are among them.
    pub changed: BTreeSet<String>,
    /// Field names that were cleared.
    pub nulled: BTreeSet<String>,
}

/// The records an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventRecords {
    /// These.
    Ids(Vec<SalesforceId>),
    /// Every record of the object: a wildcard (`001*`) or an overflow (the all-zero id).
    All,
}
