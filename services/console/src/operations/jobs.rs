//! Jobs: started, looked at, held, ended.

use domain::Timestamp;
use domain::job::{
    Job, JobId, JobKind, JobScope, MosStatus, Pause, PausedBy, SalesforceShown, SalesforceStatus,
};
use futures::Stream;
use ports::stores::{HistoryPosition, Moved};

use super::{About, Caller, MAX_PAGE, Operations, one_of, page_size, pages, reason_of};
use crate::OpsError;
use crate::views::{JobList, JobSearch, JobView, SyncAllView};

/// Jobs read at a time.
const LOOKED_THROUGH: usize = 200;

/// Every name of either status.
pub(crate) const STATES: [&str; 13] = [
    SalesforceShown::Queued.name(),
    SalesforceShown::Counting.name(),
    SalesforceShown::Extracting.name(),
    SalesforceShown::Sealed.name(),
    SalesforceShown::Paused.name(),
    SalesforceShown::PausedQuota.name(),
    MosStatus::Waiting.name(),
    MosStatus::Loading.name(),
    MosStatus::Stalled.name(),
    MosStatus::Completed.name(),
    MosStatus::CompletedWithErrors.name(),
    MosStatus::Failed.name(),
    MosStatus::Cancelled.name(),
];

/// Which jobs are looked for.
pub(crate) struct Wanted {
    kind: Option<JobKind>,
    state: Option<&'static str>,
}

impl Wanted {
    /// As a search asks for them.
    ///
    /// # Errors
    /// [`OpsError::Invalid`] names the value that cannot be understood.
    pub(crate) fn of(search: &JobSearch) -> Result<Self, OpsError> {
        let kind = search.kind.as_deref();
        let state = search.state.as_deref();
        Ok(Self {
            kind: kind
                .map(|text| one_of("kind", text, JobKind::ALL, |kind| kind.name()))
                .transpose()?,
            state: state
                .map(|text| one_of("state", text, STATES, |state| *state))
                .transpose()?,
        })
    }

    /// A job whose reading failed or was cancelled may still have units under way: what it is on
    /// either side counts.
    fn is(&self, job: &Job, now: Timestamp) -> bool {
        let is_so = |state| {
            let mos = job.mos(now).name();
            // Read completely is not yet completed.
            mos == state
                || job.salesforce_shown().name() == state && state != MosStatus::Completed.name()
        };
        self.kind.is_none_or(|kind| job.kind == kind) && self.state.is_none_or(is_so)
    }
}

impl Operations {
    /// Starts a sync-all, unless one runs: answers the one that runs now.
    ///
    /// # Errors
    /// [`OpsError`].
    pub async fn sync_all(&self, caller: Caller) -> Result<SyncAllView, OpsError> {
        let now = self.now();
        let name = format!(
            "sync-all asked for by {} at {}",
            caller.name(),
            now.as_micros()
        );
        let id = JobId::new(JobKind::SyncAll, domain::job::uuid_of(&name));
        let job = Job::queued(id, JobKind::SyncAll, JobScope::Everything, now);
        let running = self.stores.jobs.create_unless_running(&job).await?;
        let started = running.id == job.id;
        let message = if started {
            format!("a sync-all was asked for by {}", caller.name())
        } else {
            format!(
                "a sync-all was asked for by {} while this one runs; no second one was started",
                caller.name()
            )
        };
        self.note(About::job(&running.id), &caller, message).await?;
        Ok(SyncAllView {
            started,
            job: JobView::of(&running, now),
        })
    }

    /// The history, newest first.
    ///
    /// # Errors
    /// [`OpsError::Invalid`] for a place, number, kind or status that is none.
    pub async fn jobs(&self, search: &JobSearch) -> Result<JobList, OpsError> {
        let now = self.now();
        let max = page_size(search.limit)?;
        let wanted = Wanted::of(search)?;
        let mut before = search.before.as_deref().map(place_of).transpose()?;
        let mut found = Vec::new();
        // One more tells whether there is a next page.
        while found.len() <= max {
            let page = self.stores.jobs.page(before, LOOKED_THROUGH).await?;
            let is_last = page.len() < LOOKED_THROUGH;
            before = page.last().map(|job| (job.requested, job.id.clone()));
            found.extend(page.into_iter().filter(|job| wanted.is(job, now)));
            if is_last {
                break;
            }
        }
        let more = found.len() > max;
        found.truncate(max);
        let next = found.last().filter(|_| more).map(place);
        Ok(JobList {
            jobs: found.iter().map(|job| JobView::of(job, now)).collect(),
            next,
        })
    }

    /// The whole history, newest first, read page by page as it is taken.
    pub fn all_jobs(
        &self,
        search: &JobSearch,
    ) -> impl Stream<Item = Result<Vec<JobView>, OpsError>> + Send + use<> {
        let first = JobSearch {
            limit: Some(MAX_PAGE),
            ..search.clone()
        };
        let operations = self.clone();
        pages(first, move |search| {
            let operations = operations.clone();
            async move {
                let list = operations.jobs(&search).await?;
                let next = list.next.map(|before| JobSearch {
                    before: Some(before),
                    ..search
                });
                Ok((list.jobs, next))
            }
        })
    }

    /// One job.
    ///
    /// # Errors
    /// [`OpsError::NotFound`].
    pub async fn job(&self, id: &str) -> Result<JobView, OpsError> {
        Ok(JobView::of(&self.known(id).await?, self.now()))
    }

    /// Holds a job until it is resumed, over restarts too.
    ///
    /// # Errors
    /// [`OpsError::Invalid`] for too long a reason, [`OpsError::NotFound`], [`OpsError::Conflict`] when
    /// it is over, cancelled or live, or has read everything.
    pub async fn pause_job(
        &self,
        id: &str,
        reason: Option<String>,
        caller: Caller,
    ) -> Result<JobView, OpsError> {
        let reason = reason_of(reason)?;
        let job = self.steerable(id, "paused").await?;
        if job.salesforce == SalesforceStatus::Sealed {
            return Err(OpsError::Conflict(format!(
                "everything that {id} reads is read and published already, so it cannot be paused; cancel it, or stop everything with `mosync settings set disabled on`"
            )));
        }
        if job.salesforce == SalesforceStatus::Cancelled {
            return Err(OpsError::Conflict(format!(
                "{id} is cancelled and nothing more of it is read, so it cannot be paused"
            )));
        }
        let why = reason.as_ref().map_or_else(
            || format!("paused by {}", caller.name()),
            |reason| format!("paused by {}: {reason}", caller.name()),
        );
        let pause = Pause {
            since: self.now(),
            by: PausedBy::Person,
            why: why.clone(),
            until: None,
        };
        if self.stores.jobs.pause(&job.id, &pause).await? {
            let about = About::job(&job.id).because(reason.as_deref());
            self.note(about, &caller, why).await?;
            return self.job(id).await;
        }
        let job = self.known(id).await?;
        if job.is_over() {
            return Err(over(&job, "paused"));
        }
        // Somebody was first; it is paused, as was asked for.
        Ok(JobView::of(&job, self.now()))
    }

    /// Lets a paused job go on.
    ///
    /// # Errors
    /// [`OpsError::NotFound`], [`OpsError::Conflict`] when it is not paused.
    pub async fn resume_job(&self, id: &str, caller: Caller) -> Result<JobView, OpsError> {
        let job = self.steerable(id, "resumed").await?;
        let at = self.now();
        if !self
            .stores
            .jobs
            .resume(&job.id, PausedBy::Person, at)
            .await?
        {
            return Err(OpsError::Conflict(format!(
                "{id} is not paused, so it cannot be resumed; it is {}",
                self.known(id).await?.salesforce_shown().name()
            )));
        }
        let message = format!("resumed by {}", caller.name());
        self.note(About::job(&job.id), &caller, message).await?;
        self.job(id).await
    }

    /// Ends a job: nothing more is published, what is in hand is finished, the rest is counted as
    /// cancelled, and nothing is undone.
    ///
    /// # Errors
    /// [`OpsError::Invalid`] for too long a reason, [`OpsError::NotFound`], [`OpsError::Conflict`] when
    /// it is over or live.
    pub async fn cancel_job(
        &self,
        id: &str,
        reason: Option<String>,
        caller: Caller,
    ) -> Result<JobView, OpsError> {
        let reason = reason_of(reason)?;
        let job = self.steerable(id, "cancelled").await?;
        let at = self.now();
        let to = SalesforceStatus::Cancelled;
        match self.stores.jobs.transition(&job.id, to, at, None).await? {
            Moved::Now => {
                let why = reason.as_ref().map(|reason| format!(": {reason}"));
                let why = why.unwrap_or_default();
                let message = format!("cancelled by {}{why}", caller.name());
                let about = About::job(&job.id).because(reason.as_deref());
                self.note(about, &caller, message).await?;
            }
            Moved::Already => {}
            Moved::Refused(_) => return Err(over(&self.known(id).await?, "cancelled")),
            Moved::Unknown => return Err(unknown(id)),
        }
        self.job(id).await
    }

    async fn known(&self, id: &str) -> Result<Job, OpsError> {
        let job = self.stores.jobs.get(&JobId::of(id)).await?;
        job.ok_or_else(|| unknown(id))
    }

    /// A job that a person may steer.
    async fn steerable(&self, id: &str, deed: &str) -> Result<Job, OpsError> {
        let job = self.known(id).await?;
        if job.kind == JobKind::Live {
            return Err(OpsError::Conflict(format!(
                "{id} counts live changes and cannot be {deed}; to stop everything, `mosync settings set disabled on`"
            )));
        }
        if job.is_over() {
            return Err(over(&job, deed));
        }
        Ok(job)
    }
}

fn unknown(id: &str) -> OpsError {
    OpsError::NotFound(format!(
        "there is no job `{id}`; `mosync jobs` lists those that are kept"
    ))
}

fn over(job: &Job, deed: &str) -> OpsError {
    let ended = job.salesforce_shown().name();
    OpsError::Conflict(format!(
        "{} is over ({ended}), so it cannot be {deed}; `mosync sync-all` starts a new one",
        job.id
    ))
}

/// A place in the history, as text.
fn place(job: &Job) -> String {
    format!("{}/{}", job.requested.as_micros(), job.id)
}

fn place_of(text: &str) -> Result<HistoryPosition, OpsError> {
    text.split_once('/')
        .and_then(|(micros, id)| {
            let micros = micros.parse().ok()?;
            Some((Timestamp::from_micros(micros), JobId::of(id)))
        })
        .ok_or_else(|| {
            OpsError::Invalid(format!(
                "before `{text}` is no place in the history; give `next` of the page before"
            ))
        })
}
