//! What mosync remembers. Every step is atomic, and safe to repeat when its answer was lost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::failure::FailureKind;
use domain::job::{Job, JobId, Progress, SalesforceStatus};
use domain::parked::Parked;
use domain::permission::PermissionSnapshot;
use domain::settings::SettingsRevision;
use domain::tally::Tally;
use domain::{ObjectKind, SalesforceId, Ticket, Timestamp, Version};
use serde::{Deserialize, Serialize};

use crate::source::ReplayId;

/// Why a store did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No answer: nobody knows whether the step was done, so it is repeated.
    #[error(
        "the status store did not answer ({0}); mosync tries again by itself, check that it runs"
    )]
    Unreachable(String),
    /// What is stored cannot be read by this version.
    #[error(
        "an entry of the status store cannot be read ({0}); it was written by another version of mosync, or damaged"
    )]
    Corrupt(String),
    /// The store's clock shows an earlier time than it did before.
    #[error(
        "the status store's clock has stepped back by {0:?}; mosync waits until it has caught up, check the machine's time service"
    )]
    ClockSteppedBack(Duration),
    /// Somebody else saved meanwhile.
    #[error(
        "somebody else saved revision {current} meanwhile; look at their change, then save again"
    )]
    Conflict {
        /// The revision now in force.
        current: u64,
    },
}

/// All stores of one deployment.
#[derive(Clone)]
pub struct Stores {
    /// Stream positions and gaps.
    pub position: Arc<dyn PositionStore>,
    /// Tickets.
    pub ticket: Arc<dyn TicketStore>,
    /// Settings.
    pub settings: Arc<dyn SettingsStore>,
    /// Permission snapshots.
    pub permissions: Arc<dyn PermissionStore>,
    /// Jobs.
    pub jobs: Arc<dyn JobStore>,
    /// Parked records.
    pub parked: Arc<dyn ParkedStore>,
    /// Last words that mOS had no deal for.
    pub last_words: Arc<dyn LastWordStore>,
    /// The integration log.
    pub log: Arc<dyn LogStore>,
    /// Leases.
    pub lease: Arc<dyn LeaseStore>,
    /// What each worker last said of itself.
    pub reports: Arc<dyn ReportStore>,
}

impl std::fmt::Debug for Stores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stores")
    }
}

/// How far the event stream has been taken over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamState {
    /// Everything up to here is in the queues or further.
    pub position: ReplayId,
    /// Whether that is the newest position the server has named.
    pub at_end: bool,
    /// When the server last answered.
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
}

/// Tickets.
#[async_trait]
pub trait TicketStore: Send + Sync {
    /// Time, rule revision and permission snapshot number, in one atomic step. The time never goes
    /// back, not over restarts either.
    async fn take(&self) -> Result<Ticket, StoreError>;
}

/// Settings.
#[async_trait]
pub trait SettingsStore: Send + Sync {
    /// What is in force; [`SettingsRevision::initial`] before the first save.
    async fn current(&self) -> Result<SettingsRevision, StoreError>;
    /// Saves `next`, made from revision `next.revision - 1`, which must still be in force, and the
    /// backfill it causes, in one step. Repeating the very same save is `Ok`.
    async fn save(&self, next: &SettingsRevision, backfill: Option<&Job>)
    -> Result<(), StoreError>;
}

/// Permission snapshots.
#[async_trait]
pub trait PermissionStore: Send + Sync {
    /// The newest snapshot; the empty one of number 0 before the first poll.
    async fn latest(&self) -> Result<PermissionSnapshot, StoreError>;
    /// A snapshot by number; `None` when it is no longer kept (the last 100 are).
    async fn snapshot(&self, number: u64) -> Result<Option<PermissionSnapshot>, StoreError>;
    /// Stores the snapshot that follows `snapshot.number - 1` and the backfill it causes, in one
    /// step. [`StoreError::Conflict`] when another poller was first.
    async fn store(
        &self,
        snapshot: &PermissionSnapshot,
        backfill: Option<&Job>,
    ) -> Result<(), StoreError>;
    /// A poll begun at that time found nothing that is not stored.
    async fn mark_polled(&self, begun: Timestamp) -> Result<(), StoreError>;
    /// When the newest poll whose findings are stored was begun.
    async fn last_poll(&self) -> Result<Option<Timestamp>, StoreError>;
}

/// Jobs and their counts.
#[async_trait]
pub trait JobStore: Send + Sync {
    /// Adds a job; does nothing when one of that id exists.
    async fn create(&self, job: &Job) -> Result<(), StoreError>;
    /// A job by id.
    async fn get(&self, id: &JobId) -> Result<Option<Job>, StoreError>;
    /// Newest first, by the time they were requested.
    async fn list(&self, max: usize) -> Result<Vec<Job>, StoreError>;
    /// Those that are not over: queued, extracting, or with units on the way. Oldest first.
    async fn unfinished(&self) -> Result<Vec<Job>, StoreError>;
    /// Announces the next unit of a live job before it is published, creating the job with the
    /// first: its index. From now on this is the one unit in doubt, whether it has been published:
    /// a listener publishes live units strictly one after another, so the one before is confirmed.
    async fn open_live_unit(&self, id: &JobId, at: Timestamp) -> Result<u64, StoreError>;
    /// The queue has confirmed every live unit that was opened: none is in doubt any more.
    async fn confirm_live_units(&self) -> Result<(), StoreError>;
    /// A listener has taken over: the unit in doubt, of whichever live job, is not waited for any
    /// more unless it has been counted, and none is in doubt any more. Its changes are read from
    /// the stream again; should it have been published all the same, its count takes it back.
    async fn abandon_live_units(&self) -> Result<(), StoreError>;
    /// The reader of a job has come this far; every unit below `progress.next_index` is
    /// published.
    async fn advance(
        &self,
        id: &JobId,
        progress: &Progress,
        at: Timestamp,
    ) -> Result<(), StoreError>;
    /// Moves the Salesforce side: extracting, sealed, failed (with the reason). Only forwards.
    async fn set_salesforce(
        &self,
        id: &JobId,
        status: SalesforceStatus,
        at: Timestamp,
        error: Option<&str>,
    ) -> Result<(), StoreError>;
    /// Counts a unit, once: `true` the first time for this index, `false` ever after. The job is
    /// created when the store does not know it (its history was lost). An abandoned unit that is
    /// counted is not abandoned any more.
    async fn count(
        &self,
        id: &JobId,
        index: u64,
        tally: &Tally,
        at: Timestamp,
    ) -> Result<bool, StoreError>;
}

/// Parked records, at most one entry per record.
#[async_trait]
pub trait ParkedStore: Send + Sync {
    /// Adds or replaces entries; an entry's `since` and `retries` outlive its replacement. An
    /// entry of a newer version stays as it is.
    async fn park(&self, records: &[Parked]) -> Result<(), StoreError>;
    /// mOS has accepted rows of this version of these records: clears their entries, except those
    /// of a newer version. Entries that wait for one of these records as their parent are
    /// released: they name no parent any more and are due `now`, for [`Self::take_due`] to take
    /// up. Answers how many this call released; nobody is released twice, so a repeat answers 0.
    async fn accepted(
        &self,
        records: &[(ObjectKind, SalesforceId)],
        version: Version,
        now: Timestamp,
    ) -> Result<u64, StoreError>;
    /// Clears entries without an acceptance, except those of a newer version: as of this version
    /// the record is gone or has left the scope. Releases nobody.
    async fn clear(
        &self,
        records: &[(ObjectKind, SalesforceId)],
        version: Version,
    ) -> Result<(), StoreError>;
    /// Entries in the order of object and id, after the given one.
    async fn list(
        &self,
        after: Option<(ObjectKind, SalesforceId)>,
        max: usize,
    ) -> Result<Vec<Parked>, StoreError>;
    /// How many, by reason.
    async fn counts(&self) -> Result<BTreeMap<FailureKind, u64>, StoreError>;
    /// Takes up entries whose time has come: answers them with `retries` raised and `retry_at`
    /// moved on by [`domain::failure::retry_delay`], in one step, so that two schedulers do not
    /// take up the same.
    async fn take_due(&self, now: Timestamp, max: usize) -> Result<Vec<Parked>, StoreError>;
}

/// How long a mark of a [`LastWordStore`] is kept, longer than a unit is on its way.
pub const LAST_WORD_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Deals whose last word found nothing in mOS, because an older row that creates them was still on
/// its way: such a deal would stay open in mOS for ever.
#[async_trait]
pub trait LastWordStore: Send + Sync {
    /// mOS did not have these deals when their last word, of this version, was sent. The highest
    /// version of a deal is kept, for [`LAST_WORD_KEPT`] after its newest mark.
    async fn mark(
        &self,
        deals: &[(SalesforceId, Version)],
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// These deals have just been created in mOS from rows of these versions: which of them have a
    /// mark of a higher version? Such marks stay, so that the question can be repeated; a mark
    /// that is not higher is removed.
    async fn overtaken(
        &self,
        created: &[(SalesforceId, Version)],
    ) -> Result<Vec<SalesforceId>, StoreError>;
}

/// One line of the integration log. No field values, ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// When.
    pub at: Timestamp,
    /// How bad.
    pub level: LogLevel,
    /// What it is about: `stream`, `poll`, `gap`, `job`, `settings`, `permissions`, `mos`, `parked`.
    pub topic: String,
    /// The job concerned.
    pub job: Option<JobId>,
    /// The record concerned.
    pub record: Option<(ObjectKind, SalesforceId)>,
    /// The sentence.
    pub message: String,
}

/// How bad a line of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// For the record.
    Info,
    /// Worth a look.
    Warning,
    /// A person should act.
    Error,
}

/// The integration log, the newest 100,000 lines.
#[async_trait]
pub trait LogStore: Send + Sync {
    /// Adds a line.
    async fn append(&self, entry: &LogEntry) -> Result<(), StoreError>;
    /// The newest lines, newest first.
    async fn recent(&self, max: usize) -> Result<Vec<LogEntry>, StoreError>;
}

/// Who may do what only one process at a time may do.
#[async_trait]
pub trait LeaseStore: Send + Sync {
    /// Takes or renews the lease; `false` while another holds it.
    async fn hold(
        &self,
        name: &str,
        holder: &str,
        for_how_long: Duration,
    ) -> Result<bool, StoreError>;
    /// Gives it back, if it is still `holder`'s.
    async fn release(&self, name: &str, holder: &str) -> Result<(), StoreError>;
}

/// What a worker says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// When.
    pub at: Timestamp,
    /// `running`, or why not, in words.
    pub state: WorkerState,
    /// Further figures, by name.
    #[serde(default)]
    pub figures: BTreeMap<String, i64>,
}

/// Whether a worker works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", content = "why", rename_all = "snake_case")]
pub enum WorkerState {
    /// It does.
    Running,
    /// It deliberately does not, for this reason.
    Paused(String),
    /// It cannot, for this reason, and tries again.
    Failing(String),
}

/// The workers' last reports.
#[async_trait]
pub trait ReportStore: Send + Sync {
    /// Replaces the report of a worker (`filter`, `loader`, ...).
    async fn report(&self, worker: &str, report: &Report) -> Result<(), StoreError>;
    /// All reports by worker.
    async fn reports(&self) -> Result<BTreeMap<String, Report>, StoreError>;
}
