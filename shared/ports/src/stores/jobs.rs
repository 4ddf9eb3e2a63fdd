//! Jobs and their counts.

use async_trait::async_trait;
use domain::Timestamp;
use domain::job::{
    Job, JobId, JobKind, PageRead, Pause, PausedBy, Plan, Progress, SalesforceStatus,
};
use domain::tally::Tally;
use domain::unit::UnitCopy;

use super::StoreError;

/// What came of a transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// The job has moved.
    Now,
    /// It was there already, so nothing has changed; also when a lost answer is repeated.
    Already,
    /// From where it is, it cannot go there.
    Refused(SalesforceStatus),
    /// There is no such job.
    Unknown,
}

/// How things stand with a unit, before anybody works on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// Its job is cancelled: nothing more is done for it.
    pub cancelled: bool,
    /// It is counted already: this is another copy of it.
    pub counted: bool,
    /// Another copy of it is being sent to mOS, or was handed on from there: that one is counted.
    pub superseded: bool,
}

/// Whether a copy of a unit may be sent to mOS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sending {
    /// It is the first: none of the unit's copies has been sent since the last step.
    First,
    /// This very copy was about to be sent before; nobody knows whether it was.
    Again,
    /// Another copy was about to be sent, or has been: it is that one's to go on.
    Superseded,
    /// The unit is counted: nothing is left to be done for it.
    Counted,
    /// Its job is cancelled, and this copy was not about to be sent. One of an earlier step may have
    /// been.
    Cancelled,
}

/// A place in the history: when a job was requested, and its id.
pub type HistoryPosition = (Timestamp, JobId);

/// Jobs and their counts.
#[async_trait]
pub trait JobStore: Send + Sync {
    /// Adds a job; does nothing when one of that id exists.
    async fn create(&self, job: &Job) -> Result<(), StoreError>;
    /// Adds a job unless one of its kind is neither over ([`Job::is_over`]) nor cancelled, or one of
    /// its id exists: answers the job that is there now, which is `job` itself when it was added. Of several
    /// callers at the same time one adds its job, and all answers are the same.
    async fn create_unless_running(&self, job: &Job) -> Result<Job, StoreError>;
    /// A job by id.
    async fn get(&self, id: &JobId) -> Result<Option<Job>, StoreError>;
    /// Newest first, by the time they were requested.
    async fn list(&self, max: usize) -> Result<Vec<Job>, StoreError>;
    /// The history in pages: those before that place in the order of [`JobStore::list`], which
    /// orders jobs of the same time by id, the highest first.
    async fn page(
        &self,
        before: Option<HistoryPosition>,
        max: usize,
    ) -> Result<Vec<Job>, StoreError>;
    /// The first job of a kind in the order of [`JobStore::list`], however many of other kinds are
    /// newer.
    async fn newest(&self, kind: JobKind) -> Result<Option<Job>, StoreError>;
    /// Those that are not over ([`Job::is_over`]). Oldest first.
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
    /// Moves the Salesforce side, if [`SalesforceStatus::may_become`] allows it. `started` is the
    /// first time of counting or extracting, `sealed` the last time of sealed (absent while it
    /// extracts again), `ended` the time of failed or cancelled; the error is kept when it failed.
    /// A final status lifts a pause.
    async fn transition(
        &self,
        id: &JobId,
        to: SalesforceStatus,
        at: Timestamp,
        error: Option<&str>,
    ) -> Result<Moved, StoreError>;
    /// Fixes what the job reads and moves it to extracting, in one step, from wherever it may go
    /// there but sealed. A job that is extracting already gets this plan instead of its old one
    /// ([`Moved::Already`]).
    async fn set_plan(&self, id: &JobId, plan: &Plan, at: Timestamp) -> Result<Moved, StoreError>;
    /// The job's plan; `None` before there is one.
    async fn plan(&self, id: &JobId) -> Result<Option<Plan>, StoreError>;
    /// The reader of a job has come this far, `progress.announced` units are the job's. With
    /// `page`, the ledger's entry of that `first_index` is added or replaced in the same step.
    /// What an outdated reader writes, with `next_index` or `announced` below those stored, or
    /// without knowing what another has written ([`Progress::is_outdated_by`]), changes nothing.
    async fn advance(
        &self,
        id: &JobId,
        progress: &Progress,
        page: Option<&PageRead>,
        at: Timestamp,
    ) -> Result<(), StoreError>;
    /// As [`JobStore::advance`], by a reader that is about to publish the units from `known` on,
    /// which nobody has announced before: `false`, and nothing changes, when another reader has. So
    /// of two readers, one of which does not know that its lease is gone, only one uses an index.
    /// Repeating the same announcement is `true`.
    async fn announce(
        &self,
        id: &JobId,
        known: u64,
        progress: &Progress,
        page: Option<&PageRead>,
        at: Timestamp,
    ) -> Result<bool, StoreError>;
    /// The ledger of the job's pages, by first index.
    async fn pages(&self, id: &JobId) -> Result<Vec<PageRead>, StoreError>;
    /// Holds a job, if it is not over; `false` when it is, when there is none, or when the pause
    /// it is in is not one that this one overrules ([`PausedBy::overrules`]; a person's pause is
    /// never replaced). A pause that replaces one of the quota's ends that one. Repeating a pause
    /// that was set, in force or lifted meanwhile, is `true` and changes nothing.
    async fn pause(&self, id: &JobId, pause: &Pause) -> Result<bool, StoreError>;
    /// Lifts a pause that began by `at` and that `by` may lift: `paused_for` grows by its length.
    /// `false`, and nothing changes, when there is none (any more).
    async fn resume(&self, id: &JobId, by: PausedBy, at: Timestamp) -> Result<bool, StoreError>;
    /// Counts a unit, once: `true` the first time for this index, `false` ever after. The job is
    /// created when the store does not know it (its history was lost). An abandoned unit that is
    /// counted is not abandoned any more. Given the copy that is counted, also `false` when another
    /// one is being sent ([`JobStore::begin_sending`]): what becomes of that one is counted.
    async fn count(
        &self,
        id: &JobId,
        index: u64,
        copy: Option<&UnitCopy>,
        tally: &Tally,
        at: Timestamp,
    ) -> Result<bool, StoreError>;
    /// How things stand with a unit of which a copy of that step has come to a stage before the
    /// last. Of an unknown job's unit nothing is known.
    async fn standing(&self, id: &JobId, index: u64, step: u32) -> Result<Standing, StoreError>;
    /// Whether this copy may be sent to mOS, in one step with taking note that it will be: with
    /// `take`, a copy that is [`Sending::First`] is from now on the one of its step, and a repeat
    /// is [`Sending::Again`]. So mOS is sent one copy of each step and no other, and what it
    /// answers to that one is what is counted. A higher step takes over from a lower one. The note
    /// goes with the count.
    async fn begin_sending(
        &self,
        id: &JobId,
        index: u64,
        copy: &UnitCopy,
        take: bool,
    ) -> Result<Sending, StoreError>;
    /// The copies of these units that were about to be sent are lost: any other may be sent.
    async fn forget_sendings(&self, id: &JobId, indices: &[u64]) -> Result<(), StoreError>;
    /// Indices below `progress.next_index`, of a live job below `units`, that are neither counted
    /// nor abandoned, ascending.
    async fn missing(&self, id: &JobId, max: usize) -> Result<Vec<u64>, StoreError>;
    /// These announced units are not waited for any more, unless they are counted; a later count
    /// takes each back. Indices that were not announced are left out.
    async fn abandon(&self, id: &JobId, indices: &[u64]) -> Result<(), StoreError>;
    /// Forgets jobs that are over since before that time ([`Job::over_since`]), with everything
    /// about them, those requested first first: how many. A unit of a job that is forgotten would
    /// be counted anew, so nothing is forgotten that may still be on its way; but what was on its
    /// way when a job failed is not waited for.
    async fn prune(&self, ended_before: Timestamp, max: usize) -> Result<u64, StoreError>;
}
