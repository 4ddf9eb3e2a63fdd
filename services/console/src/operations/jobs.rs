//! Jobs: started, looked at, held, ended.

use domain::Timestamp;
use domain::job::{Job, JobId, JobKind, JobScope, Pause, PausedBy, SalesforceStatus};
use ports::stores::{HistoryPosition, Moved};

use super::{About, Caller, Operations, page_size, reason_of};
use crate::OpsError;
use crate::views::{JobList, JobView, SyncAllView};

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
    /// [`OpsError::Invalid`] for a place or number that is none.
    pub async fn jobs(
        &self,
        before: Option<&str>,
        limit: Option<usize>,
    ) -> Result<JobList, OpsError> {
        let now = self.now();
        let max = page_size(limit)?;
        let before = before.map(place_of).transpose()?;
        let mut jobs = self.stores.jobs.page(before, max + 1).await?;
        let more = jobs.len() > max;
        jobs.truncate(max);
        let next = jobs.last().filter(|_| more).map(place);
        Ok(JobList {
            jobs: jobs.iter().map(|job| JobView::of(job, now)).collect(),
            next,
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
    /// [`OpsError::NotFound`], [`OpsError::Conflict`] when it is over or live.
    pub async fn pause_job(
        &self,
        id: &str,
        reason: Option<String>,
        caller: Caller,
    ) -> Result<JobView, OpsError> {
        let job = self.steerable(id, "paused").await?;
        let why = reason_of(reason).map_or_else(
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
            self.note(About::job(&job.id), &caller, why).await?;
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
    /// [`OpsError::NotFound`], [`OpsError::Conflict`] when it is over or live.
    pub async fn cancel_job(
        &self,
        id: &str,
        reason: Option<String>,
        caller: Caller,
    ) -> Result<JobView, OpsError> {
        let job = self.steerable(id, "cancelled").await?;
        let at = self.now();
        let to = SalesforceStatus::Cancelled;
        match self.stores.jobs.transition(&job.id, to, at, None).await? {
            Moved::Now => {
                let why = reason_of(reason)
                    .map(|reason| format!(": {reason}"))
                    .unwrap_or_default();
                let message = format!("cancelled by {}{why}", caller.name());
                self.note(About::job(&job.id), &caller, message).await?;
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
