//! Jobs: everything that publishes units, with one status for each of the two stages.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::SalesforceId;
use crate::object::ObjectKind;
use crate::tally::Tally;
use crate::time::Timestamp;

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
    /// Parked records, read back.
    Retry,
    /// The changes of one UTC hour.
    Live,
}

impl JobKind {
    /// The name in ids, stores and pages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SyncAll => "sync_all",
            Self::Backfill => "backfill",
            Self::CatchUp => "catch_up",
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
    /// These records.
    Records {
        /// Object and id.
        records: BTreeSet<(ObjectKind, SalesforceId)>,
    },
    /// What the stream brings.
    Stream,
}

/// Salesforce Job Status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SalesforceStatus {
    /// Not begun.
    Queued,
    /// Reading and publishing.
    Extracting,
    /// Everything that there was to publish is published.
    Sealed,
    /// Given up, see the job's error.
    Failed,
}

/// mOS Job Status, derived from the Salesforce side, the counted units and the sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MosStatus {
    /// No unit counted yet.
    Waiting,
    /// Units on the way.
    Loading,
    /// Sealed, every unit counted, sums closed, nothing parked.
    Completed,
    /// As completed, with parked records.
    CompletedWithErrors,
    /// The Salesforce side failed, or the sums do not close.
    Failed,
}

/// How far the reader of a job has come; written after the units it counts are confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// The last id read, the key of the next page.
    pub after: Option<SalesforceId>,
    /// The index of the next unit.
    pub next_index: u64,
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
    /// When the last unit was published.
    pub sealed: Option<Timestamp>,
    /// Salesforce Job Status.
    pub salesforce: SalesforceStatus,
    /// Where the reader goes on.
    pub progress: Progress,
    /// Units published so far.
    pub units: u64,
    /// Units counted so far.
    pub counted: u64,
    /// Units given up by a listener that died before it knew them confirmed.
    pub abandoned: u64,
    /// When the last unit was counted.
    pub last_counted: Option<Timestamp>,
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
            salesforce: SalesforceStatus::Queued,
            progress: Progress::default(),
            units: 0,
            counted: 0,
            abandoned: 0,
            last_counted: None,
            tally: Tally::default(),
            error: None,
        }
    }

    /// A job that a store has to make up from a unit of it: the first unit of a live hour opens it,
    /// or its history was lost while its units were on their way.
    #[must_use]
    pub fn of_lost_history(id: &JobId, at: Timestamp) -> Self {
        let kind = [
            JobKind::SyncAll,
            JobKind::Backfill,
            JobKind::CatchUp,
            JobKind::Retry,
        ]
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
            job.error = Some(
                "the job's history was lost with the store; the stream's position was lost with it, so a new first load brings everything over, see that it completes"
                    .to_owned(),
            );
        }
        job
    }

    /// Units on the way.
    #[must_use]
    pub const fn pending(&self) -> u64 {
        self.units
            .saturating_sub(self.counted)
            .saturating_sub(self.abandoned)
    }

    /// Whether nothing more will come of it. A live hour is open for as long as the hour is.
    #[must_use]
    pub fn is_over(&self) -> bool {
        match self.mos() {
            MosStatus::Waiting | MosStatus::Loading => false,
            MosStatus::Completed | MosStatus::CompletedWithErrors | MosStatus::Failed => true,
        }
    }

    /// mOS Job Status.
    #[must_use]
    pub fn mos(&self) -> MosStatus {
        if self.salesforce == SalesforceStatus::Failed {
            return MosStatus::Failed;
        }
        if self.salesforce != SalesforceStatus::Sealed || self.pending() > 0 {
            return if self.counted == 0 {
                MosStatus::Waiting
            } else {
                MosStatus::Loading
            };
        }
        if !self.tally.difference().is_empty() {
            return MosStatus::Failed;
        }
        if self.tally.total(crate::tally::Count::Parked) > 0 {
            MosStatus::CompletedWithErrors
        } else {
            MosStatus::Completed
        }
    }
}
