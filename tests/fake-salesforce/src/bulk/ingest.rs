//! Ingest jobs: created, given their CSV, processed in the background 200 rows a transaction.
use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::job::wrong_state;
use super::query::Results;
use super::spool::Writer;
use super::upload::{Line, Upload, by_key, is_key};
use super::{Format, Head, JobState, Jobs};
use crate::dml::Dml;
use crate::error::ApiError;
use crate::schema::Entity;

/// Rows of one transaction.
const CHUNK: usize = 200;

/// What an ingest job does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Insert,
    Update,
    /// By this field.
    Upsert {
        key: &'static str,
    },
    Delete,
}

impl Operation {
    /// The operation of this name.
    ///
    /// # Errors
    /// A name that is none, an upsert without a key, a hard delete: nobody in this org may do that.
    pub(crate) fn parse(
        name: &str,
        key: Option<&str>,
        entity: &'static Entity,
    ) -> Result<Self, ApiError> {
        let invalid = |message: String| Err(ApiError::new("INVALIDJOB", message));
        match (name, key) {
            ("upsert", Some(key)) => match is_key(entity, key) {
                Some(key) => Ok(Operation::Upsert { key }),
                None => invalid(format!(
                    "InvalidJob : Field name provided, {key} does not match an External ID for {}",
                    entity.name
                )),
            },
            ("upsert", None) => {
                invalid("InvalidJob : External ID was blank for an upsert job".to_owned())
            }
            ("insert" | "update" | "delete", Some(_)) => invalid(format!(
                "InvalidJob : External ID is not allowed for {name}"
            )),
            ("insert", None) => Ok(Operation::Insert),
            ("update", None) => Ok(Operation::Update),
            ("delete", None) => Ok(Operation::Delete),
            ("hardDelete", _) => Err(ApiError::new(
                "FEATURENOTENABLED",
                "FeatureNotEnabled : hardDelete operation requires special user profile permission, please contact your system administrator",
            )),
            (other, _) => invalid(format!("InvalidJob : Unknown operation {other}")),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Operation::Insert => "insert",
            Operation::Update => "update",
            Operation::Upsert { .. } => "upsert",
            Operation::Delete => "delete",
        }
    }
}

/// What a client asks for.
pub(crate) struct IngestRequest {
    pub(crate) entity: &'static Entity,
    pub(crate) operation: Operation,
    pub(crate) format: Format,
    pub(crate) user: String,
    pub(crate) version: String,
    /// `changeOrigin` of what it writes.
    pub(crate) origin: String,
}

/// An ingest job.
pub(crate) struct IngestJob {
    pub(crate) head: Head,
    operation: Operation,
    origin: String,
    progress: Mutex<Progress>,
    cancelled: CancellationToken,
}

struct Progress {
    state: JobState,
    modified_ms: i64,
    data: Option<Bytes>,
    processed: u64,
    failed: u64,
    error: Option<String>,
    began: Option<Instant>,
    took: Duration,
    done: Option<Done>,
}

/// The rows of a job that has ended, by what became of them.
struct Done {
    successful: Arc<Results>,
    failed: Arc<Results>,
    unprocessed: Left,
}

enum Left {
    Rows(Arc<Results>),
    /// The upload as it was given.
    Whole(Bytes),
}

/// Which rows of a job that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Records {
    Successful,
    Failed,
    Unprocessed,
}

/// Rows to be answered.
pub(crate) enum Answered {
    Spooled(Arc<Results>),
    Whole(Bytes),
}

impl Jobs {
    /// Creates an ingest job that waits for its data.
    pub(crate) fn create_ingest(&self, request: IngestRequest) -> Value {
        let now_ms = self.now_ms();
        let job = Arc::new(IngestJob {
            head: Head {
                id: self.mint(),
                operation: request.operation.name(),
                entity: request.entity,
                user: request.user,
                created_ms: now_ms,
                version: request.version,
                format: request.format,
            },
            operation: request.operation,
            origin: request.origin,
            progress: Mutex::new(Progress {
                state: JobState::Open,
                modified_ms: now_ms,
                data: None,
                processed: 0,
                failed: 0,
                error: None,
                began: None,
                took: Duration::ZERO,
                done: None,
            }),
            cancelled: self.stop.child_token(),
        });
        let created = job.created_json(JobState::Open, now_ms);
        self.ingests().insert(job.head.id.clone(), job);
        created
    }

    /// Closes a job's upload and begins to process it.
    pub(crate) fn close_ingest(self: &Arc<Self>, job: &Arc<IngestJob>) -> Result<Value, ApiError> {
        let now_ms = self.now_ms();
        let data = {
            let mut progress = job.progress();
            if progress.state != JobState::Open {
                return Err(wrong_state(format!(
                    "Closing already {:?} job not allowed",
                    progress.state
                )));
            }
            progress.state = JobState::UploadComplete;
            progress.modified_ms = now_ms;
            progress.data.clone()
        };
        let (jobs, worked) = (Arc::clone(self), Arc::clone(job));
        self.work(move || worked.process(&jobs, data.unwrap_or_default()));
        Ok(job.created_json(JobState::UploadComplete, now_ms))
    }

    /// Aborts a job that has not ended. Rows in hand are still written.
    pub(crate) fn abort_ingest(&self, job: &IngestJob) -> Result<Value, ApiError> {
        let now_ms = self.now_ms();
        let mut progress = job.progress();
        if progress.state.is_final() {
            return Err(wrong_state(format!(
                "Aborting already {:?} job not allowed",
                progress.state
            )));
        }
        job.cancelled.cancel();
        if matches!(progress.state, JobState::Open) {
            let data = progress.data.take().unwrap_or_default();
            progress.done = Some(job.nothing_done(data).map_err(broken)?);
        }
        progress.state = JobState::Aborted;
        progress.modified_ms = now_ms;
        Ok(job.created_json(JobState::Aborted, now_ms))
    }

    /// Removes a job that is not being worked on.
    pub(crate) fn delete_ingest(&self, job: &IngestJob) -> Result<(), ApiError> {
        let state = job.progress().state;
        if !state.is_final() {
            return Err(ApiError::new(
                "API_ERROR",
                format!(
                    "Error encountered when deleting the job because the job is not terminated (state {state:?})"
                ),
            ));
        }
        self.ingests().remove(&job.head.id);
        Ok(())
    }
}

impl IngestJob {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the job's data.
    ///
    /// # Errors
    /// A job that is closed, or that has its data already.
    pub(crate) fn upload(&self, data: Bytes) -> Result<(), ApiError> {
        let mut progress = self.progress();
        if progress.state != JobState::Open {
            return Err(wrong_state(format!(
                "Data can be uploaded to an Open job only; the job is {:?}",
                progress.state
            )));
        }
        if progress.data.is_some() {
            return Err(wrong_state(
                "Found multiple contents for job: create another job for more data",
            ));
        }
        progress.data = Some(data);
        Ok(())
    }

    /// The job as creating and patching it answers.
    fn created_json(&self, state: JobState, modified_ms: i64) -> Value {
        let mut json = self.head.json(state, modified_ms);
        if let Value::Object(json) = &mut json {
            let url = format!(
                "services/data/v{}/jobs/ingest/{}/batches",
                self.head.version, self.head.id
            );
            json.insert("contentUrl".to_owned(), Value::from(url));
            if let Operation::Upsert { key } = self.operation {
                json.insert("externalIdFieldName".to_owned(), Value::from(key));
            }
        }
        json
    }

    /// The job as `GET` answers it.
    pub(crate) fn json(&self) -> Value {
        let progress = self.progress();
        let mut json = self.created_json(progress.state, progress.modified_ms);
        let took = u64::try_from(progress.took.as_millis()).unwrap_or(u64::MAX);
        let more = json!({
            "jobType": "V2Ingest",
            "numberRecordsProcessed": progress.processed,
            "numberRecordsFailed": progress.failed,
            "retries": 0,
            "totalProcessingTime": took,
            "apiActiveProcessingTime": took,
            "apexProcessingTime": 0,
        });
        if let (Value::Object(json), Value::Object(more)) = (&mut json, more) {
            json.extend(more);
            if let Some(error) = &progress.error {
                json.insert("errorMessage".to_owned(), Value::from(error.as_str()));
            }
        }
        json
    }

    /// Rows of the job, once it has ended.
    ///
    /// # Errors
    /// A job that has not.
    pub(crate) fn records(&self, which: Records) -> Result<Answered, ApiError> {
        let progress = self.progress();
        let Some(done) = &progress.done else {
            return Err(wrong_state(format!(
                "The job has no results yet: it is in state {:?}",
                progress.state
            )));
        };
        Ok(match (which, &done.unprocessed) {
            (Records::Successful, _) => Answered::Spooled(Arc::clone(&done.successful)),
            (Records::Failed, _) => Answered::Spooled(Arc::clone(&done.failed)),
            (Records::Unprocessed, Left::Rows(rows)) => Answered::Spooled(Arc::clone(rows)),
            (Records::Unprocessed, Left::Whole(data)) => Answered::Whole(data.clone()),
        })
    }

    fn process(&self, jobs: &Jobs, data: Bytes) {
        {
            let mut progress = self.progress();
            progress.began = Some(Instant::now());
            if progress.state == JobState::UploadComplete {
                progress.state = JobState::InProgress;
                progress.modified_ms = jobs.now_ms();
            }
        }
        let format = self.head.format;
        let upload = {
            let state = jobs.org.state();
            Upload::new(
                data.clone(),
                self.head.entity,
                &self.operation,
                format,
                &state,
            )
        };
        let ended = match upload {
            Ok(upload) => self
                .write(jobs, &upload)
                .map_err(|error| format!("InternalServerError : {error}")),
            Err(message) => Err(message),
        };
        let (done, error) = match ended {
            Ok(done) => (Ok(done), None),
            Err(message) => (self.nothing_done(data), Some(message)),
        };
        let mut progress = self.progress();
        progress.data = None;
        progress.took = progress.began.map(|at| at.elapsed()).unwrap_or_default();
        progress.modified_ms = jobs.now_ms();
        let end = match (&error, &done) {
            (None, Ok(_)) => JobState::JobComplete,
            _ => JobState::Failed,
        };
        if progress.state != JobState::Aborted {
            progress.state = end;
            progress.error = error;
        }
        progress.done = done.ok();
    }

    /// Writes the rows, a transaction for every 200, until the job is aborted.
    fn write(&self, jobs: &Jobs, upload: &Upload) -> io::Result<Done> {
        let format = self.head.format;
        let mut books = Books {
            format,
            successful: Writer::new()?,
            failed: Writer::new()?,
        };
        let mut rows = upload.rows().peekable();
        while rows.peek().is_some() && !self.cancelled.is_cancelled() {
            let chunk: Vec<Vec<String>> = rows.by_ref().take(CHUNK).collect();
            let steps = self.steps(jobs, upload, chunk);
            let outcomes = self.commit(jobs, steps);
            let failed = outcomes.iter().filter(|outcome| outcome.error.is_some());
            let (count, failed) = (outcomes.len(), failed.count());
            for outcome in &outcomes {
                books.enter(outcome)?;
            }
            let mut progress = self.progress();
            progress.processed += u64::try_from(count).unwrap_or_default();
            progress.failed += u64::try_from(failed).unwrap_or_default();
        }
        let mut left = Writer::new()?;
        for row in rows {
            left.push(&format.row(row.iter().map(String::as_str)))?;
        }
        let headers = || upload.headers.iter().map(String::as_str);
        let with = |first: [&'static str; 2]| format.row(first.into_iter().chain(headers()));
        let results = |header, writer: Writer| -> io::Result<Arc<Results>> {
            let spool = writer.finish()?;
            Ok(Arc::new(Results { header, spool }))
        };
        Ok(Done {
            successful: results(with(["sf__Id", "sf__Created"]), books.successful)?,
            failed: results(with(["sf__Id", "sf__Error"]), books.failed)?,
            unprocessed: Left::Rows(results(format.row(headers()), left)?),
        })
    }

    /// The results of a job of which no row was processed.
    fn nothing_done(&self, data: Bytes) -> io::Result<Done> {
        let format = self.head.format;
        let empty = |header: [&str; 2]| -> io::Result<Arc<Results>> {
            Ok(Arc::new(Results {
                header: format.row(header),
                spool: Writer::new()?.finish()?,
            }))
        };
        Ok(Done {
            successful: empty(["sf__Id", "sf__Created"])?,
            failed: empty(["sf__Id", "sf__Error"])?,
            unprocessed: Left::Whole(data),
        })
    }

    /// What each row of a chunk asks for.
    fn steps(&self, jobs: &Jobs, upload: &Upload, chunk: Vec<Vec<String>>) -> Vec<Step> {
        let state = jobs.org.state();
        let mut keys = BTreeSet::new();
        chunk
            .into_iter()
            .map(|values| {
                let Line { values, fields } = upload.line(values, &state);
                let entity = self.head.entity.name.to_owned();
                let id = |fields: &mut crate::commit::Row| match fields.shift_remove("Id") {
                    Some(Value::String(id)) => Ok(id),
                    _ => Err(ApiError::on_field(
                        "MISSING_ARGUMENT",
                        format!("Id not specified in an {} call", self.operation.name()),
                        "Id",
                    )),
                };
                let op = fields.and_then(|mut fields| {
                    Ok(match self.operation {
                        Operation::Insert => Dml::Insert { entity, fields },
                        Operation::Update => Dml::Update {
                            entity,
                            id: id(&mut fields)?,
                            fields,
                        },
                        Operation::Delete => Dml::Delete {
                            entity,
                            id: id(&mut fields)?,
                        },
                        Operation::Upsert { key: "Id" } => match id(&mut fields) {
                            Ok(id) => Dml::Update { entity, id, fields },
                            Err(_) => Dml::Insert { entity, fields },
                        },
                        Operation::Upsert { key } => {
                            let value = fields.get(key).and_then(Value::as_str);
                            let Some(value) = value.map(str::to_lowercase) else {
                                return Err(ApiError::on_field(
                                    "MISSING_ARGUMENT",
                                    format!("{key} not specified"),
                                    key,
                                ));
                            };
                            if !keys.insert(value.clone()) {
                                return Err(ApiError::on_field(
                                    "DUPLICATE_VALUE",
                                    format!("Duplicate external id specified: {value}"),
                                    key,
                                ));
                            }
                            // A user's name is a key without being an external id.
                            if key == "Username" {
                                match by_key(&state, self.head.entity, key, &value) {
                                    Some(id) => {
                                        fields.shift_remove(key);
                                        Dml::Update { entity, id, fields }
                                    }
                                    None => Dml::Insert { entity, fields },
                                }
                            } else {
                                Dml::Upsert {
                                    entity,
                                    field: key.to_owned(),
                                    value: fields.shift_remove(key).unwrap_or_default(),
                                    fields,
                                }
                            }
                        }
                    })
                });
                Step { values, op }
            })
            .collect()
    }

    /// Writes a chunk in one transaction; a row that fails does not undo the others.
    fn commit(&self, jobs: &Jobs, steps: Vec<Step>) -> Vec<Outcome> {
        let (mut outcomes, mut ops, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for (place, Step { values, op }) in steps.into_iter().enumerate() {
            let (mut id, mut error) = (String::new(), None);
            match op {
                Ok(op) => {
                    match &op {
                        Dml::Update { id: given, .. } | Dml::Delete { id: given, .. } => {
                            id.clone_from(given);
                        }
                        Dml::Insert { .. }
                        | Dml::Upsert { .. }
                        | Dml::Undelete { .. }
                        | Dml::Merge { .. } => {}
                    }
                    ops.push(op);
                    places.push(place);
                }
                Err(refused) => error = Some(refused),
            }
            outcomes.push(Outcome {
                values,
                id,
                created: false,
                error,
            });
        }
        let results = jobs.org.write(&self.head.user, &self.origin, ops, false);
        for (place, result) in places.into_iter().zip(results) {
            if let Some(outcome) = outcomes.get_mut(place) {
                (outcome.error, outcome.created) = (result.error, result.created);
                if let Some(id) = result.id {
                    outcome.id = id;
                }
            }
        }
        outcomes
    }
}

fn broken(error: io::Error) -> ApiError {
    ApiError::new("UNKNOWN_EXCEPTION", error.to_string())
}

/// A row and what it asks for.
struct Step {
    values: Vec<String>,
    op: Result<Dml, ApiError>,
}

/// A row and what became of it.
struct Outcome {
    values: Vec<String>,
    id: String,
    created: bool,
    error: Option<ApiError>,
}

/// Where outcomes are written.
struct Books {
    format: Format,
    successful: Writer,
    failed: Writer,
}

impl Books {
    fn enter(&mut self, outcome: &Outcome) -> io::Result<()> {
        let values = outcome.values.iter().map(String::as_str);
        match &outcome.error {
            None => {
                let created = if outcome.created { "true" } else { "false" };
                let first = [outcome.id.as_str(), created];
                let row = self.format.row(first.into_iter().chain(values));
                self.successful.push(&row)
            }
            Some(error) => {
                let error = format!(
                    "{}:{}:{} --",
                    error.code,
                    error.message,
                    error.fields.join(" ")
                );
                let first = [outcome.id.as_str(), error.as_str()];
                let row = self.format.row(first.into_iter().chain(values));
                self.failed.push(&row)
            }
        }
    }
}
