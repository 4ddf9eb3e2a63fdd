//! Jobs: everything that publishes units, with one status for each of the two stages.

mod pace;
mod pause;
mod plan;
mod progress;
mod status;

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::SalesforceId;
use crate::object::ObjectKind;
use crate::settings::SettingsRevision;
use crate::tally::Tally;
use crate::time::Timestamp;

pub use pace::Pace;
pub use pause::{Pause, PausedBy};
pub use plan::{BULK_PAGE, FIRST_PAGE, Form, LOAD_PAGE, Plan, REST_PAGE, Statement, Way};
pub use progress::{Cursor, Extracted, PageRead, Progress};
pub use status::{MosStatus, STALLED_AFTER, SalesforceShown, SalesforceStatus};

/// A job's id: for live changes `live-2026-11-22T14` (one job per UTC hour), otherwise the kind and
/// a UUID.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(String);

impl JobId {
    /// The live job of the UTC hour.
    #[must_use]
    pub fn live(at: Timestamp) -> Self {
        let hour = jiff::Timestamp::from_microsecond(at.as_micros()).unwrap_or_default();
        Self(hour.strftime("live-%Y-%m-%dT%H").to_string())
    }

    /// A job of another kind.
    #[must_use]
    pub fn new(kind: JobKind, uuid: uuid::Uuid) -> Self {
        Self(format!("{}-{uuid}", kind.name()))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// From text, as stored or typed.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// The UUID of a name: who asks for the same job twice gets the same id.
#[must_use]
pub fn uuid_of(name: &str) -> uuid::Uuid {
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes())
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Why a job runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Everything in scope, from the beginning.
    SyncAll,
    /// What a wider filter or a new permission lets in.
    Backfill,
    /// What a hole in the stream may have hidden.
    CatchUp,
    /// What the calendar lets in: a relative date of the filter has moved.
    Sweep,
    /// What may have changed without an event: formulas, stages, the org around the records.
    Refresh,
    /// Parked records, read back.
    Retry,
    /// The changes of one UTC hour.
    Live,
}

impl JobKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::SyncAll,
        Self::Backfill,
        Self::CatchUp,
        Self::Sweep,
        Self::Refresh,
        Self::Retry,
        Self::Live,
    ];

    /// From its name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The name in ids, stores and pages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SyncAll => "sync_all",
            Self::Backfill => "backfill",
            Self::CatchUp => "catch_up",
            Self::Sweep => "sweep",
            Self::Refresh => "refresh",
            Self::Retry => "retry",
            Self::Live => "live",
        }
    }
}

/// What a job reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum JobScope {
    /// Every opportunity that may qualify.
    Everything,
    /// The opportunities of these owners, with those that have closed meanwhile.
    Owners {
        /// Users who have just been given permission.
        owners: BTreeSet<SalesforceId>,
        /// Since when a deal may have closed unnoticed.
        since: Timestamp,
    },
    /// Every opportunity that may qualify, and those touched since, so that none stays open in mOS
    /// for ever.
    Since {
        /// The beginning of the hole.
        since: Timestamp,
    },
    /// The opportunities that the rules let in and did not before, with what belongs to them.
    Entering {
        /// The settings revision with the rules before.
        before: u64,
        /// When those applied: their relative dates are counted from the day it was then.
        then: Timestamp,
        /// What was stamped since is read even where the rules before match it: by those nobody has
        /// looked at it. Absent where the rules are the same and every change was judged by them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stamped_since: Option<Timestamp>,
    },
    /// The records of these objects that are in scope; opportunities with what belongs to them.
    Objects {
        /// Which objects.
        objects: BTreeSet<ObjectKind>,
    },
    /// The opportunities that the filter matches in these stages, open or closed.
    Stages {
        /// API names.
        stages: BTreeSet<String>,
    },
    /// These records.
    Records {
        /// Object and id.
        records: BTreeSet<(ObjectKind, SalesforceId)>,
    },
    /// What the stream brings.
    Stream,
}

/// A job as the stores keep it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Why it runs.
    pub kind: JobKind,
    /// What it reads.
    pub scope: JobScope,
    /// When it was asked for.
    pub requested: Timestamp,
    /// When the reader began.
    pub started: Option<Timestamp>,
    /// When the last unit was published; not while units that were lost are published again.
    pub sealed: Option<Timestamp>,
    /// When it failed or was cancelled.
    #[serde(default)]
    pub ended: Option<Timestamp>,
    /// Salesforce Job Status as the reader moves it; [`Job::salesforce_shown`] is what people see.
    pub salesforce: SalesforceStatus,
    /// Where the reader goes on.
    pub progress: Progress,
    /// Units announced so far; for a job with a reader `progress.announced`.
    pub units: u64,
    /// Units counted so far.
    pub counted: u64,
    /// Units that nobody waits for any more, because it is not known whether they were published.
    pub abandoned: u64,
    /// When the reader last announced or confirmed units, or wrote how far it has come.
    #[serde(default)]
    pub last_advanced: Option<Timestamp>,
    /// When the last unit was counted.
    pub last_counted: Option<Timestamp>,
    /// The pause it is in.
    #[serde(default)]
    pub paused: Option<Pause>,
    /// How long its earlier pauses were together, in microseconds when stored.
    #[serde(default, with = "pause::micros")]
    pub paused_for: Duration,
    /// When its last pause ended.
    #[serde(default)]
    pub resumed: Option<Timestamp>,
    /// What has become of the records.
    pub tally: Tally,
    /// Why it failed.
    pub error: Option<String>,
}

impl Job {
    /// A new job, not begun.
    #[must_use]
    pub fn queued(id: JobId, kind: JobKind, scope: JobScope, requested: Timestamp) -> Self {
        Self {
            id,
            kind,
            scope,
            requested,
            started: None,
            sealed: None,
            ended: None,
            salesforce: SalesforceStatus::Queued,
            progress: Progress::default(),
            units: 0,
            counted: 0,
            abandoned: 0,
            last_advanced: None,
            last_counted: None,
            paused: None,
            paused_for: Duration::ZERO,
            resumed: None,
            tally: Tally::default(),
            error: None,
        }
    }

    /// A job that a store has to make up from a unit of it: the first unit of a live hour opens it,
    /// or its history was lost while its units were on their way.
    #[must_use]
    pub fn of_lost_history(id: &JobId, at: Timestamp) -> Self {
        let kind = JobKind::ALL
            .into_iter()
            .find(|kind| {
                id.as_str()
                    .strip_prefix(kind.name())
                    .is_some_and(|rest| rest.starts_with('-'))
            })
            .unwrap_or(JobKind::Live);
        let mut job = Self::queued(id.clone(), kind, JobScope::Stream, at);
        if kind == JobKind::Live {
            job.salesforce = SalesforceStatus::Extracting;
            job.started = Some(at);
        } else {
            // Nobody knows any more what it was to read, so nobody must take it for one to begin.
            job.salesforce = SalesforceStatus::Failed;
            job.ended = Some(at);
            job.error = Some(
                "the job's history was lost with the store; the stream's position was lost with it, so a new first load brings everything over, see that it completes"
                    .to_owned(),
            );
        }
        job
    }

    /// What a save lets in, to be stored together with it; `None` where it changes nothing of what
    /// is sent.
    #[must_use]
    pub fn of_save(before: &SettingsRevision, saved: &SettingsRevision) -> Option<Self> {
        if saved.rule_revision == before.rule_revision {
            return None;
        }
        let mut same_filter = saved.settings.clone();
        same_filter.filter = before.settings.filter.clone();
        same_filter.sync_closed = before.settings.sync_closed;
        same_filter.blanks = before.settings.blanks;
        same_filter.zone = before.settings.zone;
        // What is in scope already has to be sent again where more than the scope has changed.
        let scope = if before.settings.rules_differ(&same_filter) {
            JobScope::Objects {
                objects: ObjectKind::ALL.into_iter().collect(),
            }
        } else {
            JobScope::Entering {
                before: before.revision,
                then: saved.saved,
                stamped_since: Some(saved.saved),
            }
        };
        // The same save, repeated, asks for the same job.
        let name = format!(
            "settings revision {} of {}",
            saved.revision,
            saved.saved.as_micros()
        );
        let id = JobId::new(JobKind::Backfill, uuid_of(&name));
        Some(Self::queued(id, JobKind::Backfill, scope, saved.saved))
    }

    /// Records read back as a job of their own.
    #[must_use]
    pub fn retry(records: BTreeSet<(ObjectKind, SalesforceId)>, name: &str, at: Timestamp) -> Self {
        Self::queued(
            JobId::new(JobKind::Retry, uuid_of(name)),
            JobKind::Retry,
            JobScope::Records { records },
            at,
        )
    }

    /// Units on the way, or announced and in doubt.
    #[must_use]
    pub const fn pending(&self) -> u64 {
        self.units
            .saturating_sub(self.counted)
            .saturating_sub(self.abandoned)
    }
}
