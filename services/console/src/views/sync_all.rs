//! What a sync-all would do, told before it.

use std::collections::BTreeMap;

use domain::{ObjectKind, Timestamp};
use serde::{Deserialize, Serialize};

use super::{CostView, JobView};

/// What "Sync all data to mOS" would read and take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExpectedSyncAll {
    /// When this was counted.
    pub at: Timestamp,
    /// Why it cannot run now, and what to do, a sentence each; empty when it can.
    pub why_not: Vec<String>,
    /// Why it would begin later than now, or pause meanwhile, a sentence each. It goes on by itself when
    /// that is over.
    #[serde(default)]
    pub waits: Vec<String>,
    /// The sync-all that runs already.
    pub running: Option<JobView>,
    /// Records in scope by object, as Salesforce counts them; null where it cannot in time.
    pub records: BTreeMap<ObjectKind, Option<u64>>,
    /// Requests and time; absent where nothing could be counted.
    pub cost: Option<CostView>,
}
