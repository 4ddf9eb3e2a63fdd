//! Dead messages.

use domain::Timestamp;
use serde::{Deserialize, Serialize};

use super::RecordId;

/// A dead message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadView {
    /// Its id.
    pub id: String,
    /// The queue it goes back to; absent when it never was in one.
    pub queue: Option<String>,
    /// Why it is here.
    pub reason: String,
    /// When it came here, where the broker says.
    pub since: Option<Timestamp>,
    /// How often it had been delivered.
    pub deliveries: u32,
    /// What it says it is.
    pub message_type: String,
    /// How long its body is.
    pub bytes: u64,
    /// The job of its unit; absent when nobody can read it.
    pub job: Option<String>,
    /// The unit's index in the job.
    pub index: Option<u64>,
    /// The records of its unit of which it is not known yet what becomes of them; absent in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<Vec<RecordId>>,
}

/// The first dead messages, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadList {
    /// The messages.
    pub messages: Vec<DeadView>,
    /// How many there are in all.
    pub total: u64,
}

/// What was done about a dead message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadOutcome {
    /// Which message.
    pub id: String,
    /// Its records that are counted as cancelled; 0 when it was sent back, or nobody can read it.
    pub cancelled: u64,
}
