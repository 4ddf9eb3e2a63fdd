//! The job store behind small delays, so that a crash can fall before and after each of its steps;
//! and the faults that can be planted in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use domain::Timestamp;
use domain::job::{
    Job, JobId, JobKind, PageRead, Pause, PausedBy, Plan, Progress, SalesforceStatus,
};
use domain::tally::Tally;
use domain::unit::UnitCopy;
use ports::stores::{HistoryPosition, JobStore, Moved, Sending, Standing, StoreError};

use crate::chance::Chance;
use crate::mutants::Mutant;

const STEP_MS: u64 = 5;

pub(crate) struct SimJobs {
    inner: Arc<dyn JobStore>,
    chance: Arc<Chance>,
    mutant: Mutant,
    recounted: AtomicU64,
}

impl SimJobs {
    pub(crate) fn new(inner: Arc<dyn JobStore>, chance: Arc<Chance>, mutant: Mutant) -> Self {
        Self {
            inner,
            chance,
            mutant,
            recounted: AtomicU64::new(1 << 20),
        }
    }

    /// A step of the store, at which a process may die before and after.
    async fn step<T>(&self, step: impl Future<Output = T>) -> T {
        self.chance.delay(STEP_MS).await;
        let answer = step.await;
        self.chance.delay(STEP_MS).await;
        answer
    }

    async fn announced(&self, id: &JobId) -> Result<u64, StoreError> {
        let job = self.inner.get(id).await?;
        Ok(job.map(|job| job.progress.announced).unwrap_or_default())
    }

    fn as_seen(&self, mut job: Job) -> Job {
        if self.mutant == Mutant::ForgetsAnnounced {
            job.progress.announced = job.progress.next_index;
        }
        job
    }
}

#[async_trait]
impl JobStore for SimJobs {
    async fn create(&self, job: &Job) -> Result<(), StoreError> {
        let is_lost = job.kind == JobKind::Sweep && self.mutant == Mutant::NeverSweeps
            || job.kind == JobKind::Refresh && self.mutant == Mutant::NeverRefreshes;
        if is_lost {
            return Ok(());
        }
        self.step(self.inner.create(job)).await
    }

    async fn create_unless_running(&self, job: &Job) -> Result<Job, StoreError> {
        self.step(self.inner.create_unless_running(job)).await
    }

    async fn get(&self, id: &JobId) -> Result<Option<Job>, StoreError> {
        let job = self.inner.get(id).await?;
        Ok(job.map(|job| self.as_seen(job)))
    }

    async fn list(&self, max: usize) -> Result<Vec<Job>, StoreError> {
        self.inner.list(max).await
    }

    async fn page(
        &self,
        before: Option<HistoryPosition>,
        max: usize,
    ) -> Result<Vec<Job>, StoreError> {
        self.inner.page(before, max).await
    }

    async fn newest(&self, kind: JobKind) -> Result<Option<Job>, StoreError> {
        self.inner.newest(kind).await
    }

    async fn unfinished(&self) -> Result<Vec<Job>, StoreError> {
        let jobs = self.inner.unfinished().await?;
        Ok(jobs.into_iter().map(|job| self.as_seen(job)).collect())
    }

    async fn open_live_unit(&self, id: &JobId, at: Timestamp) -> Result<u64, StoreError> {
        self.step(self.inner.open_live_unit(id, at)).await
    }

    async fn confirm_live_units(&self) -> Result<(), StoreError> {
        self.step(self.inner.confirm_live_units()).await
    }

    async fn abandon_live_units(&self) -> Result<(), StoreError> {
        self.inner.abandon_live_units().await
    }

    async fn transition(
        &self,
        id: &JobId,
        to: SalesforceStatus,
        at: Timestamp,
        error: Option<&str>,
    ) -> Result<Moved, StoreError> {
        self.chance
            .note(format!("{id} becomes {} {error:?}", to.name()));
        self.step(self.inner.transition(id, to, at, error)).await
    }

    async fn set_plan(&self, id: &JobId, plan: &Plan, at: Timestamp) -> Result<Moved, StoreError> {
        self.step(self.inner.set_plan(id, plan, at)).await
    }

    async fn plan(&self, id: &JobId) -> Result<Option<Plan>, StoreError> {
        self.inner.plan(id).await
    }

    async fn advance(
        &self,
        id: &JobId,
        progress: &Progress,
        page: Option<&PageRead>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.chance.note(format!("{id} has come to {progress:?}"));
        self.step(self.inner.advance(id, progress, page, at)).await
    }

    async fn announce(
        &self,
        id: &JobId,
        known: u64,
        progress: &Progress,
        page: Option<&PageRead>,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.chance.note(format!("{id} announces {progress:?}"));
        // What the store knows and the reader has forgotten.
        let known = if self.mutant == Mutant::ForgetsAnnounced {
            self.announced(id).await?
        } else {
            known
        };
        self.step(self.inner.announce(id, known, progress, page, at))
            .await
    }

    async fn pages(&self, id: &JobId) -> Result<Vec<PageRead>, StoreError> {
        self.inner.pages(id).await
    }

    async fn pause(&self, id: &JobId, pause: &Pause) -> Result<bool, StoreError> {
        self.step(self.inner.pause(id, pause)).await
    }

    async fn resume(&self, id: &JobId, by: PausedBy, at: Timestamp) -> Result<bool, StoreError> {
        self.step(self.inner.resume(id, by, at)).await
    }

    async fn count(
        &self,
        id: &JobId,
        index: u64,
        copy: Option<&UnitCopy>,
        tally: &Tally,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.chance
            .note(format!("{id} {index} is counted: {tally:?}"));
        let first = self
            .step(self.inner.count(id, index, copy, tally, at))
            .await?;
        if !first && self.mutant == Mutant::CountsTwice {
            let fresh = self.recounted.fetch_add(1, Ordering::SeqCst);
            return self.inner.count(id, fresh, None, tally, at).await;
        }
        Ok(first)
    }

    async fn standing(&self, id: &JobId, index: u64, step: u32) -> Result<Standing, StoreError> {
        let standing = self.step(self.inner.standing(id, index, step)).await?;
        Ok(Standing {
            counted: standing.counted && self.mutant != Mutant::CountsTwice,
            ..standing
        })
    }

    async fn begin_sending(
        &self,
        id: &JobId,
        index: u64,
        copy: &UnitCopy,
        take: bool,
    ) -> Result<Sending, StoreError> {
        let take = take && self.mutant != Mutant::SendsEveryCopy;
        let begin = self.inner.begin_sending(id, index, copy, take);
        let begun = self.step(begin).await?;
        self.chance
            .note(format!("{id} {index} step {} is {begun:?}", copy.step));
        let marker_lost = self.mutant == Mutant::CountsTwice && begun == Sending::Counted;
        Ok(if marker_lost { Sending::First } else { begun })
    }

    async fn forget_sendings(&self, id: &JobId, indices: &[u64]) -> Result<(), StoreError> {
        self.step(self.inner.forget_sendings(id, indices)).await
    }

    async fn missing(&self, id: &JobId, max: usize) -> Result<Vec<u64>, StoreError> {
        self.inner.missing(id, max).await
    }

    async fn abandon(&self, id: &JobId, indices: &[u64]) -> Result<(), StoreError> {
        self.chance.note(format!("{id} gives up {indices:?}"));
        self.step(self.inner.abandon(id, indices)).await
    }

    async fn prune(&self, ended_before: Timestamp, max: usize) -> Result<u64, StoreError> {
        self.inner.prune(ended_before, max).await
    }
}
