//! What the ledger remembers of a transaction.
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::record::Record;

/// API field name to value: datetimes `2026-01-01T00:00:00.000+0000`, dates `YYYY-MM-DD`, numbers
/// as JSON numbers, an empty field as null.
pub type Row = serde_json::Map<String, Value>;

/// The time in microseconds since the epoch.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// What happened to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ChangeKind {
    /// The record came into being.
    Create,
    /// Fields of it changed.
    Update,
    /// It went to the recycle bin, or away where its object has none.
    Delete,
    /// It came back from the recycle bin.
    Undelete,
}

/// One DML step on one record. A record may occur more than once in a transaction.
#[derive(Clone, Debug, Serialize)]
pub struct RowChange {
    /// API name of the object.
    pub entity: String,
    /// The 18-character id.
    pub id: String,
    /// What happened.
    pub kind: ChangeKind,
    /// The record before the step; `None` for a create.
    pub before: Option<Record>,
    /// The record after the step; for a delete the last state before it.
    pub after: Record,
    /// API names of the leaf fields whose value changed (`BillingStreet`, not `BillingAddress`),
    /// in schema order; empty unless `kind` is `Update`. `LastModifiedDate` is always listed where
    /// the object has it, `LastModifiedById` where the user is another than before,
    /// `SystemModstamp` never.
    pub changed: Vec<String>,
}

/// One transaction.
#[derive(Clone, Debug, Serialize)]
pub struct Commit {
    /// `commitNumber`; grows with every commit, not by one.
    pub number: i64,
    /// `transactionKey`, shaped like a UUID.
    pub transaction_key: String,
    /// When it was committed, microseconds since the epoch.
    pub at_micros: i64,
    /// The same in milliseconds cut to whole seconds, as Salesforce stamps records and events.
    pub stamp_ms: i64,
    /// The 18-character id of the user who wrote.
    pub user: String,
    /// `changeOrigin`, for example `com/salesforce/api/rest/67.0;client=demo`; may be empty.
    pub origin: String,
    /// The steps in DML order; the initial load is one commit with a step per record.
    pub changes: Vec<RowChange>,
    /// Records whose derived values moved without anybody writing them: the opportunities of a
    /// stage that was re-typed, records of which a formula says something else. No stamp moves and
    /// no change event is sent for these.
    pub silent: Vec<RowChange>,
}
