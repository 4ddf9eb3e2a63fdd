//! Bulk API 2.0: jobs that query and jobs that write, worked on in the background.
pub mod faults;
mod format;
mod ingest;
mod job;
pub(crate) mod number;
mod query;
mod quota;
mod spool;
mod upload;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::faults::Faults;
use crate::id;
use crate::org::Org;

pub(crate) use faults::PageFault;
pub(crate) use format::{Delimiter, Format, LineEnding};
pub(crate) use ingest::{Answered, IngestJob, IngestRequest, Operation, Records};
pub(crate) use job::{Head, JobState};
pub(crate) use query::{Page, QueryJob, QueryRequest, Results};
pub(crate) use quota::MAX_QUERY_JOBS;

/// How long a job and its results are kept: seven days, in milliseconds.
const KEPT_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// The jobs of an org, and who works on them.
pub(crate) struct Jobs {
    org: Arc<Org>,
    faults: Arc<Faults>,
    tasks: TaskTracker,
    stop: CancellationToken,
    minted: AtomicU64,
    pub(crate) quota: quota::Quota,
    queries: Mutex<BTreeMap<String, Arc<QueryJob>>>,
    ingests: Mutex<BTreeMap<String, Arc<IngestJob>>>,
}

impl Jobs {
    /// No jobs yet. Those to come run as `tasks` and end with `stop`.
    pub(crate) fn new(
        org: Arc<Org>,
        faults: Arc<Faults>,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        Jobs {
            org,
            faults,
            tasks,
            stop,
            minted: AtomicU64::new(0),
            quota: quota::Quota::default(),
            queries: Mutex::default(),
            ingests: Mutex::default(),
        }
    }

    /// The org's time in milliseconds since the epoch.
    fn now_ms(&self) -> i64 {
        self.org.now_micros().div_euclid(1000)
    }

    fn mint(&self) -> String {
        id::mint("750", self.minted.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Query jobs by id, those expired left out.
    pub(crate) fn queries(&self) -> MutexGuard<'_, BTreeMap<String, Arc<QueryJob>>> {
        let oldest = self.now_ms() - KEPT_MS;
        let mut jobs = self.queries.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.retain(|_, job| job.head.created_ms > oldest);
        jobs
    }

    /// Ingest jobs by id, those expired left out.
    pub(crate) fn ingests(&self) -> MutexGuard<'_, BTreeMap<String, Arc<IngestJob>>> {
        let oldest = self.now_ms() - KEPT_MS;
        let mut jobs = self.ingests.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.retain(|_, job| job.head.created_ms > oldest);
        jobs
    }

    /// Puts a fault in force.
    pub(crate) fn apply(&self, fault: faults::BulkFault) {
        if let faults::BulkFault::BulkQueryQuota { left } = fault {
            self.quota.leave(left, self.now_ms());
        }
        self.faults.bulk.apply(fault);
    }

    /// What the request for this page of results on this object meets; counts down.
    pub(crate) fn take_page_fault(&self, object: &str, page: usize) -> Option<PageFault> {
        self.faults.bulk.take_page(object, page)
    }

    /// The most rows of a page, where there is such a limit.
    pub(crate) fn page_rows(&self) -> Option<u64> {
        self.faults.bulk.page_rows()
    }

    /// A task that may block, awaited when the server stops.
    pub(crate) fn work(&self, f: impl FnOnce() + Send + 'static) {
        self.tasks.spawn_blocking(f);
    }
}
