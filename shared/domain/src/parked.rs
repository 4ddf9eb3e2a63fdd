//! Parked records: references to what could not be brought to mOS, with the reason.

use serde::{Deserialize, Serialize};

use crate::failure::FailureKind;
use crate::id::SalesforceId;
use crate::object::ObjectKind;
use crate::ticket::Version;
use crate::time::Timestamp;
use crate::unit::Stage;

/// A record that waits for somebody or something. It holds no field values: retrying it reads it
/// back from Salesforce.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// Which object.
    pub object: ObjectKind,
    /// Which record.
    pub id: SalesforceId,
    /// Where it failed.
    pub stage: Stage,
    /// Why.
    pub kind: FailureKind,
    /// The other side's own words, without field values.
    pub message: String,
    /// The record it waits for, when its parent is missing in mOS.
    pub parent: Option<(ObjectKind, SalesforceId)>,
    /// The rules in force when it failed.
    pub rule_revision: u64,
    /// The version of the row it failed with; what is older cannot clear it.
    pub version: Version,
    /// First time it was parked.
    pub since: Timestamp,
    /// How often it has been taken up again.
    pub retries: u32,
    /// When it is taken up again by itself; never, when a person has to act first.
    pub retry_at: Option<Timestamp>,
}
