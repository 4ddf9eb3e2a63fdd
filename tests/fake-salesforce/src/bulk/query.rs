//! Query jobs: created, computed in the background, read by the page.
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::faults::{End, Script};
use super::job::wrong_state;
use super::spool::{Spool, Writer};
use super::{Format, Head, JobState, Jobs};
use crate::error::ApiError;
use crate::org::Org;
use crate::soql::BulkQuery;

/// Rows of a page where none are asked for. The service picks its own size here.
const PAGE_ROWS: u64 = 100_000;

/// What a client asks for.
pub(crate) struct QueryRequest {
    pub(crate) soql: String,
    /// `queryAll`
    pub(crate) all_rows: bool,
    pub(crate) format: Format,
    pub(crate) user: String,
    pub(crate) version: String,
}

/// A query job.
pub(crate) struct QueryJob {
    pub(crate) head: Head,
    query: BulkQuery,
    progress: Mutex<Progress>,
    /// Rows written so far.
    rows: AtomicU64,
    cancelled: CancellationToken,
}

struct Progress {
    state: JobState,
    modified_ms: i64,
    /// What `numberRecordsProcessed` says, once the job has ended.
    processed: Option<u64>,
    error: Option<String>,
    began: Option<Instant>,
    took: Duration,
    result: Option<Arc<Results>>,
}

/// The rows of a job.
pub(crate) struct Results {
    pub(crate) header: Vec<u8>,
    pub(crate) spool: Spool,
}

/// Rows to be answered: from `first` on, so many.
pub(crate) struct Page {
    pub(crate) results: Arc<Results>,
    pub(crate) first: u64,
    pub(crate) rows: u64,
    /// From 1.
    pub(crate) number: usize,
}

impl Page {
    /// The first row of the next page; `None` on the last.
    pub(crate) fn next(&self) -> Option<u64> {
        let next = self.first + self.rows;
        (next < self.results.spool.rows()).then_some(next)
    }
}

impl Jobs {
    /// Creates a query job and begins to work on it.
    ///
    /// # Errors
    /// A query that the Bulk API does not take, or no more jobs for today.
    pub(crate) fn create_query(self: &Arc<Self>, request: QueryRequest) -> Result<Value, ApiError> {
        let query = self.org.bulk_query(&request.soql, request.all_rows)?;
        let now_ms = self.now_ms();
        self.quota.take(now_ms)?;
        let script = self.faults.bulk.take_script(query.entity.name);
        let job = Arc::new(QueryJob {
            head: Head {
                id: self.mint(),
                operation: if request.all_rows {
                    "queryAll"
                } else {
                    "query"
                },
                entity: query.entity,
                user: request.user,
                created_ms: now_ms,
                version: request.version,
                format: request.format,
            },
            query,
            progress: Mutex::new(Progress {
                state: JobState::UploadComplete,
                modified_ms: now_ms,
                processed: None,
                error: None,
                began: None,
                took: Duration::ZERO,
                result: None,
            }),
            rows: AtomicU64::new(0),
            cancelled: self.stop.child_token(),
        });
        let created = job.head.json(JobState::UploadComplete, now_ms);
        self.queries().insert(job.head.id.clone(), Arc::clone(&job));
        self.tasks.spawn(run(Arc::clone(self), job, script));
        Ok(created)
    }

    /// Removes a job that has ended.
    pub(crate) fn delete_query(&self, job: &QueryJob) -> Result<(), ApiError> {
        let state = job.progress().state;
        if !state.is_final() {
            return Err(ApiError::new(
                "API_ERROR",
                format!(
                    "Error encountered when deleting the job because the job is not terminated (state {state:?})"
                ),
            ));
        }
        self.queries().remove(&job.head.id);
        Ok(())
    }

    /// A job whose retention is over before its time.
    pub(crate) fn expire_query(&self, job: &QueryJob) {
        self.queries().remove(&job.head.id);
    }

    /// Aborts a job that has not ended.
    pub(crate) fn abort_query(&self, job: &QueryJob) -> Result<(), ApiError> {
        let state = job.progress().state;
        if !job.end(self, JobState::Aborted, None, None) {
            return Err(wrong_state(format!(
                "Aborting already {state:?} job not allowed"
            )));
        }
        job.cancelled.cancel();
        Ok(())
    }
}

/// Works on a job as its script wants it. An abort ends it between any two steps.
async fn run(jobs: Arc<Jobs>, job: Arc<QueryJob>, script: Script) {
    let cancelled = job.cancelled.clone();
    let work = async {
        let mut released = jobs.faults.bulk.released();
        tokio::time::sleep(script.queued).await;
        job.begin(&jobs);
        tokio::time::sleep(script.working).await;
        if script.hangs && released.changed().await.is_err() {
            return;
        }
        match script.end {
            Some(End::Failed(message)) => {
                job.end(&jobs, JobState::Failed, Some(message), None);
            }
            Some(End::Aborted) => {
                job.end(&jobs, JobState::Aborted, None, None);
            }
            None => {
                let (worker, job) = (Arc::clone(&jobs), Arc::clone(&job));
                jobs.work(move || job.compute(&worker, script.miscount));
            }
        }
    };
    tokio::select! {
        () = cancelled.cancelled() => {}
        () = work => {}
    }
}

impl QueryJob {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, jobs: &Jobs) {
        let mut progress = self.progress();
        if progress.state == JobState::UploadComplete {
            progress.state = JobState::InProgress;
            progress.modified_ms = jobs.now_ms();
            progress.began = Some(Instant::now());
        }
    }

    /// Moves the job to its end; false where it had ended before.
    fn end(
        &self,
        jobs: &Jobs,
        state: JobState,
        error: Option<String>,
        done: Option<(u64, Arc<Results>)>,
    ) -> bool {
        let mut progress = self.progress();
        if progress.state.is_final() {
            return false;
        }
        progress.state = state;
        progress.modified_ms = jobs.now_ms();
        progress.took = progress.began.map(|at| at.elapsed()).unwrap_or_default();
        progress.error = error;
        if let Some((processed, results)) = done {
            progress.processed = Some(processed);
            progress.result = Some(results);
        }
        true
    }

    fn compute(&self, jobs: &Jobs, miscount: i64) {
        let stop = || self.cancelled.is_cancelled();
        let computed = compute(&jobs.org, &self.query, self.head.format, &self.rows, &stop);
        if stop() {
            return;
        }
        match computed {
            Ok(results) => {
                let processed = results.spool.rows().saturating_add_signed(miscount);
                let done = Some((processed, Arc::new(results)));
                self.end(jobs, JobState::JobComplete, None, done);
            }
            Err(message) => {
                self.end(jobs, JobState::Failed, Some(message), None);
            }
        }
    }

    /// The job as `GET` answers it.
    pub(crate) fn json(&self) -> Value {
        let progress = self.progress();
        let mut json = self.head.json(progress.state, progress.modified_ms);
        let processed = progress
            .processed
            .unwrap_or_else(|| self.rows.load(Ordering::Relaxed));
        let took = match (progress.state, progress.began) {
            (JobState::InProgress, Some(began)) => began.elapsed(),
            _ => progress.took,
        };
        let more = json!({
            "jobType": "V2Query",
            "numberRecordsProcessed": processed,
            "retries": 0,
            "totalProcessingTime": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "isPkChunkingSupported": self.query.splittable,
        });
        if let (Value::Object(json), Value::Object(more)) = (&mut json, more) {
            json.extend(more);
            if let Some(error) = &progress.error {
                json.insert("errorMessage".to_owned(), Value::from(error.as_str()));
            }
        }
        json
    }

    /// Whether the service may split the query by id.
    pub(crate) fn splittable(&self) -> bool {
        self.query.splittable
    }

    /// So many rows from `first` on, or as many as the service likes.
    ///
    /// # Errors
    /// A job that has no results, or a place beyond them.
    pub(crate) fn page(
        &self,
        first: u64,
        asked: Option<u64>,
        most: Option<u64>,
    ) -> Result<Page, ApiError> {
        let progress = self.progress();
        let Some(results) = &progress.result else {
            return Err(wrong_state(format!(
                "The job has no results: it is in state {:?}",
                progress.state
            )));
        };
        let total = results.spool.rows();
        if first > 0 && first >= total {
            return Err(ApiError::new(
                "INVALID_QUERY_LOCATOR",
                "invalid query locator",
            ));
        }
        let rows = asked.unwrap_or(PAGE_ROWS);
        let rows = most.map_or(rows, |most| rows.min(most));
        Ok(Page {
            results: Arc::clone(results),
            first,
            rows: rows.min(total - first),
            number: usize::try_from(first.div_ceil(rows) + 1).unwrap_or(usize::MAX),
        })
    }
}

/// Computes a result into a spool; the error is the job's message.
pub(crate) fn compute(
    org: &Org,
    query: &BulkQuery,
    format: Format,
    rows: &AtomicU64,
    stop: &dyn Fn() -> bool,
) -> Result<Results, String> {
    let failed = |error: io::Error| format!("InternalServerError : {error}");
    let records = org.bulk_records(query).map_err(|error| error.to_string())?;
    let mut writer = Writer::new().map_err(failed)?;
    let mut push = |row: &[u8]| writer.push(row);
    org.bulk_rows(query, &records, &format.style(), rows, stop, &mut push)
        .map_err(failed)?;
    drop(records);
    Ok(Results {
        header: format.row(query.headers()),
        spool: writer.finish().map_err(failed)?,
    })
}
