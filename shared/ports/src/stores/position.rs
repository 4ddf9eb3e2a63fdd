//! Stream positions, how far objects have been polled, and the gap ledger.

use async_trait::async_trait;
use domain::job::{Job, JobId};
use domain::{ObjectKind, SalesforceId, Timestamp};
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::source::ReplayId;

/// How far the event stream has been taken over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamState {
    /// Everything up to here is in the queues or further.
    pub position: ReplayId,
    /// Whether that is the newest position the server has named.
    pub at_end: bool,
    /// Whether a window has come to its end here, although events were still coming.
    #[serde(default)]
    pub window_over: bool,
    /// Up to when everything has been heard: when the server last answered, or earlier where more is
    /// still to come.
    pub heard: Timestamp,
    /// When the last event arrived.
    pub last_event: Option<Timestamp>,
}

/// How far an object that is polled, because nothing may be heard of it, has been read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollState {
    /// The next poll begins here: every record whose `SystemModstamp` is earlier is in the queues
    /// or further, as it was then.
    pub from: Timestamp,
    /// The poll under way, once it has come somewhere.
    pub under_way: Option<PollUnderWay>,
    /// When the last poll that came to the end of the object was begun.
    pub polled: Option<Timestamp>,
    /// When a poll last came upon a change.
    pub found: Option<Timestamp>,
    /// Whether what happened to the object before is still to be written into the gap ledger.
    pub hole: bool,
}

/// Where a poll that has not come to its end goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollUnderWay {
    /// When it was begun.
    pub begun: Timestamp,
    /// `SystemModstamp` of the last record that is in the queues.
    pub stamp: Timestamp,
    /// That record; those of the same stamp come in the order of their ids.
    pub id: SalesforceId,
}

/// A hole in the stream, or in what it can show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Derived from cause and evidence, so that noticing it twice opens one.
    pub id: String,
    /// What made it.
    pub cause: GapCause,
    /// Changes since then may be missing.
    pub since: Timestamp,
    /// When it was noticed.
    pub opened: Timestamp,
    /// What shows it.
    pub evidence: String,
    /// The job that closes it.
    pub job: JobId,
    /// When that job had brought everything.
    pub closed: Option<Timestamp>,
}

/// What makes a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapCause {
    /// Salesforce no longer accepts the stored position.
    PositionRejected,
    /// `GAP_OVERFLOW`: more changes in a transaction than the stream carries.
    Overflow,
    /// A wildcard event: every record of an object.
    Wildcard,
    /// An event that could not be decoded.
    Undecodable,
    /// An object that is polled from now on: nobody knows what of it was heard before.
    NotHeard,
    /// Units with changes that the stream has brought were lost by the queue.
    UnitsLost,
}

/// Stream positions, one per channel, how far objects have been polled, and the gap ledger.
#[async_trait]
pub trait PositionStore: Send + Sync {
    /// The state of a channel; `None` where none was ever stored.
    async fn stream(&self, topic: &str) -> Result<Option<StreamState>, StoreError>;
    /// Replaces it.
    async fn store_stream(&self, topic: &str, state: &StreamState) -> Result<(), StoreError>;
    /// How far an object has been polled; `None` where it never was.
    async fn poll(&self, object: ObjectKind) -> Result<Option<PollState>, StoreError>;
    /// Replaces it.
    async fn store_poll(&self, object: ObjectKind, state: &PollState) -> Result<(), StoreError>;
    /// Opens a gap together with the job that closes it, in one step; does nothing when a gap of
    /// that id exists.
    async fn open_gap(&self, gap: &Gap, job: &Job) -> Result<(), StoreError>;
    /// Closes it; does nothing when it is closed.
    async fn close_gap(&self, id: &str, at: Timestamp) -> Result<(), StoreError>;
    /// All gaps, oldest first.
    async fn gaps(&self) -> Result<Vec<Gap>, StoreError>;
    /// Those that are not closed, oldest first.
    async fn open_gaps(&self) -> Result<Vec<Gap>, StoreError>;
    /// Forgets those that were closed before that time: how many.
    async fn forget_gaps(&self, closed_before: Timestamp) -> Result<u64, StoreError>;
}
