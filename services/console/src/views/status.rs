//! How the sync is, as a whole.

use std::collections::BTreeMap;

use domain::failure::FailureKind;
use domain::unit::Stage;
use domain::{ObjectKind, Timestamp};
use ports::stores::{Gap, PollState, Report, StreamState};
use serde::{Deserialize, Serialize};

use super::JobView;

/// One reading of everything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusView {
    /// Healthy, degraded, or a dependency out of reach.
    pub verdict: Verdict,
    /// Why, in one sentence.
    pub reason: String,
    /// What somebody should look at, most pressing first; none while it is healthy.
    pub troubles: Vec<TroubleView>,
    /// Whether everything that has changed in Salesforce, as far as it has been heard, is in mOS
    /// or parked: position at the stream's end, polled objects polled since, no unit on the way,
    /// permissions read.
    pub at_rest: bool,
    /// What keeps it from being at rest.
    pub waiting_for: Vec<String>,
    /// When this was read.
    pub read_at: Timestamp,
    /// The event stream; absent before its first answer.
    pub stream: Option<StreamView>,
    /// Where the stream is taken in windows; absent in real time.
    pub windows: Option<WindowsView>,
    /// The org's API allowance; absent until the listener has asked for it.
    pub api: Option<ApiView>,
    /// The objects that are polled; `None` before an object's first time.
    pub polls: BTreeMap<ObjectKind, Option<PollView>>,
    /// When the newest permission poll whose findings are in force was begun.
    pub permissions_polled: Option<Timestamp>,
    /// Users who hold permission.
    pub permitted_users: u64,
    /// Whose permission runs out within seven days. That is a warning and no trouble: the verdict
    /// stays, until it happens and after.
    pub expiring: Option<ExpiryView>,
    /// What somebody should know and that is no trouble, a sentence each.
    pub warnings: Vec<String>,
    /// The settings revision in force.
    pub settings_revision: u64,
    /// The stages, in the order in which a change goes through them.
    pub stages: Vec<StageView>,
    /// Messages ready, by queue; absent while the broker does not answer.
    pub queues: Option<BTreeMap<String, u64>>,
    /// Messages waiting to be retried; absent while the broker does not answer.
    pub waiting_to_retry: Option<u64>,
    /// Dead messages; absent while the broker does not answer.
    pub dead: Option<u64>,
    /// Open parked records by reason.
    pub parked: BTreeMap<FailureKind, u64>,
    /// Open parked records that Salesforce does not show to the integration user, by object; among
    /// the first thousand of them.
    pub unreadable: BTreeMap<ObjectKind, UnreadableView>,
    /// How many there are beyond these.
    pub unreadable_left_off: u64,
    /// Gaps that are open.
    pub open_gaps: Vec<Gap>,
    /// What the workers say of themselves.
    pub workers: BTreeMap<String, Report>,
    /// The newest sync-all; absent when there is none.
    pub last_sync_all: Option<JobView>,
    /// The job that came to its end last, those of live changes aside; among the newest 500 jobs and
    /// the newest sync-all. Absent before the first end.
    pub last_ended: Option<JobView>,
    /// The newest jobs.
    pub jobs: Vec<JobView>,
    /// Every job that is not over, the newest first, however many came after it; without those of
    /// live changes.
    pub unfinished: Vec<JobView>,
    /// The job of this hour's live changes; absent before the first of them.
    pub live: Option<JobView>,
    /// What the event stream and the polls brought in each of the last 24 hours, the oldest first;
    /// from the live job of each.
    pub hours: Vec<HourView>,
}

/// Something that somebody should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TroubleView {
    /// What it is about.
    pub about: TroubleKind,
    /// What is wrong, in one sentence.
    pub message: String,
}

/// What a trouble is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TroubleKind {
    /// The message broker.
    Broker,
    /// A worker.
    Worker,
    /// The event stream.
    Stream,
    /// Dead messages.
    Messages,
    /// Parked records.
    Parked,
    /// Gaps in the event stream.
    Gap,
    /// A job.
    Job,
}

/// What became of the live changes of an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HourView {
    /// When it began, in UTC.
    pub from: Timestamp,
    /// Changes that were heard or polled.
    pub read: u64,
    /// Records that mOS created or updated, companions among them.
    pub sent: u64,
    /// Records that were parked.
    pub parked: u64,
}

/// The stream, where it is taken in windows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowsView {
    /// How often, as the settings say it.
    pub frequency: String,
    /// When the next one begins; absent while one is being taken, and before the listener has said.
    pub next: Option<Timestamp>,
    /// Changes that the last one brought.
    pub changes: u64,
    /// Records that they were changes of.
    pub records: u64,
    /// Changes of the live jobs of the last 24 hours that needed no read-back of their own, because
    /// they were collapsed with another change of the same record.
    pub reads_saved: u64,
}

/// The org's API allowance, in requests per 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiView {
    /// What the org may use.
    pub max: u64,
    /// What all its clients together have used.
    pub used: u64,
    /// What mosync has used of that, by its own count.
    pub ours: u64,
    /// After so many of its own, mosync stops to read in bulk.
    pub share: u64,
    /// So many are left to the customer; with twice as many left, bulk reading stops.
    pub reserve: u64,
    /// When bulk reading is tried again; absent while it is not held.
    pub bulk_held_until: Option<Timestamp>,
    /// When live changes are tried again; absent while they are not held.
    pub live_held_until: Option<Timestamp>,
}

/// Healthy or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All is well.
    Healthy,
    /// Somebody should look.
    Degraded,
    /// So should somebody: Salesforce, mOS or the message broker does not answer.
    OutOfReach,
}

impl Verdict {
    /// The name in JSON and pages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::OutOfReach => "out_of_reach",
        }
    }
}

/// Permissions that run out soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpiryView {
    /// How many users lose permission, if nothing is done.
    pub users: u64,
    /// When the first of them does.
    pub first: Timestamp,
    /// How many opportunities in scope they own, which then are synced no more; absent until it
    /// was counted.
    pub opportunities: Option<u64>,
}

/// Records of an object that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreadableView {
    /// How many.
    pub records: u64,
    /// What to do.
    pub advice: String,
}

/// What is before a stage and not done with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageView {
    /// Which one.
    pub stage: Stage,
    /// Units ready in its queues, both lanes together; absent while the broker does not answer.
    pub ready: Option<u64>,
    /// Units its worker has taken and not settled: in hand, or handed back and not taken again.
    pub unsettled: u64,
    /// When the listener published the oldest of those that are not settled. A queue gives out
    /// what came first, so what is ready behind it is younger. Absent when the worker has taken
    /// nothing that is not settled; then what is ready, if anything, has not been looked at, and
    /// nobody knows its age.
    pub oldest: Option<Timestamp>,
    /// Seconds since then.
    pub oldest_age_s: Option<u64>,
}

/// The event stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamView {
    /// Everything up to here is in the queues or further; hexadecimal digits.
    pub position: String,
    /// Whether that is the newest position the server has named.
    pub at_end: bool,
    /// The last event or keep-alive.
    pub heard: Timestamp,
    /// The last event.
    pub last_event: Option<Timestamp>,
}

impl From<StreamState> for StreamView {
    fn from(state: StreamState) -> Self {
        Self {
            position: state.position.to_hex(),
            at_end: state.at_end,
            heard: state.heard,
            last_event: state.last_event,
        }
    }
}

/// An object that is polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollView {
    /// Every record that Salesforce stamped earlier is in the queues or further, as it was then;
    /// the next poll begins here.
    pub from: Timestamp,
    /// Whether a poll has read some of the object and not yet all.
    pub under_way: bool,
    /// When the last poll that came to the end of the object was begun.
    pub polled: Option<Timestamp>,
    /// When a poll last came upon a change.
    pub found: Option<Timestamp>,
}

impl From<PollState> for PollView {
    fn from(state: PollState) -> Self {
        Self {
            from: state.from,
            under_way: state.under_way.is_some(),
            polled: state.polled,
            found: state.found,
        }
    }
}
