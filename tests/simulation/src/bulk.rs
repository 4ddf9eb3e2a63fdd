//! Bulk query jobs of the simulated Salesforce: they take their time, some fail, some lose their
//! results, and pages have sizes and orders of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use domain::Row;
use fake_salesforce::error::ApiError;
use fake_salesforce::org::Org;
use ports::source::{BulkPage, BulkQuery, BulkQueryId, BulkState, SourceError};

use crate::chance::Chance;

const LATENCY_MS: u64 = 50;

struct Job {
    soql: String,
    columns: Vec<String>,
    state: BulkState,
    rows: Vec<Row>,
    error: Option<String>,
}

/// All jobs of the org.
pub(crate) struct BulkJobs {
    org: Arc<Org>,
    chance: Arc<Chance>,
    jobs: Mutex<BTreeMap<BulkQueryId, Job>>,
    created: Mutex<u64>,
}

impl BulkJobs {
    pub(crate) fn new(org: Arc<Org>, chance: Arc<Chance>) -> Self {
        Self {
            org,
            chance,
            jobs: Mutex::default(),
            created: Mutex::default(),
        }
    }

    pub(crate) fn create(&self, soql: &str) -> Result<BulkQueryId, SourceError> {
        let columns = columns(soql)?;
        // What cannot be asked is refused at once.
        self.org
            .query(soql, false)
            .map_err(|error| self.refused(&error, soql))?;
        let id = {
            let mut created = self.created.lock().unwrap_or_else(PoisonError::into_inner);
            *created += 1;
            BulkQueryId(format!("750{created:015}"))
        };
        self.chance.note(format!("bulk query {id}: {soql}"));
        self.jobs().insert(
            id.clone(),
            Job {
                soql: soql.to_owned(),
                columns,
                state: BulkState::UploadComplete,
                rows: Vec::new(),
                error: None,
            },
        );
        Ok(id)
    }

    /// Asking moves the job on, sometimes.
    pub(crate) fn state(&self, id: &BulkQueryId) -> Result<BulkQuery, SourceError> {
        let mut jobs = self.jobs();
        let job = jobs.get_mut(id).ok_or_else(|| unknown(id))?;
        if self.chance.happens(0.7) {
            self.advance(id, job)?;
        }
        if job.state == BulkState::JobComplete && self.chance.fault(|rates| rates.bulk_expires) {
            self.chance.note(format!("bulk query {id} expires"));
            jobs.remove(id);
            return Err(unknown(id));
        }
        Ok(BulkQuery {
            state: job.state,
            records: job.rows.len() as u64,
            error: job.error.clone(),
        })
    }

    /// Rows are read in two goes at different moments, as a job of Salesforce is no snapshot.
    fn advance(&self, id: &BulkQueryId, job: &mut Job) -> Result<(), SourceError> {
        match job.state {
            BulkState::UploadComplete => {
                let mut rows = self.read(&job.soql)?;
                rows.truncate(self.chance.below(rows.len() + 1));
                job.rows = rows;
                job.state = BulkState::InProgress;
            }
            BulkState::InProgress if self.chance.fault(|rates| rates.bulk_fails) => {
                self.chance.note(format!("bulk query {id} fails"));
                job.state = BulkState::Failed;
                job.error = Some("simulated".to_owned());
                job.rows.clear();
            }
            BulkState::InProgress => {
                let early = job.rows.iter().filter_map(row_id).collect::<BTreeSet<_>>();
                let mut rows = self.read(&job.soql)?;
                if early.len() == job.rows.len() {
                    rows.retain(|row| row_id(row).is_none_or(|id| !early.contains(&id)));
                    rows.append(&mut job.rows);
                }
                job.rows = rows;
                self.shuffle(&mut job.rows);
                job.state = BulkState::JobComplete;
            }
            BulkState::JobComplete | BulkState::Failed | BulkState::Aborted => {}
        }
        Ok(())
    }

    pub(crate) fn results(
        &self,
        id: &BulkQueryId,
        columns: &[String],
        locator: Option<&str>,
        max_rows: u32,
    ) -> Result<SimPage, SourceError> {
        let mut jobs = self.jobs();
        if self.chance.fault(|rates| rates.bulk_expires / 4.0) {
            self.chance.note(format!("bulk query {id} expires"));
            jobs.remove(id);
        }
        let job = jobs.get(id).ok_or_else(|| unknown(id))?;
        if job.state != BulkState::JobComplete {
            return Err(SourceError::Refused {
                code: "INVALIDJOBSTATE".to_owned(),
                message: format!("bulk query {id} is not complete"),
            });
        }
        if !job
            .columns
            .iter()
            .map(|column| column.to_ascii_lowercase())
            .eq(columns.iter().map(|column| column.to_ascii_lowercase()))
        {
            return Err(SourceError::Garbled(format!(
                "bulk query {id} has the columns {:?}, not {columns:?}",
                job.columns
            )));
        }
        let start = match locator {
            None => 0,
            Some(locator) => locator
                .strip_prefix("bulk-")
                .and_then(|text| text.parse::<usize>().ok())
                .filter(|start| *start < job.rows.len())
                .ok_or_else(|| SourceError::Expired(locator.to_owned()))?,
        };
        let most = usize::try_from(max_rows.max(1)).unwrap();
        let size = if self.chance.happens(0.5) {
            most
        } else {
            1 + self.chance.below(most.min(20))
        };
        let end = start.saturating_add(size).min(job.rows.len());
        let rows = job.rows[start..end].to_vec();
        Ok(SimPage {
            chance: Arc::clone(&self.chance),
            promised: rows.len() as u64,
            next: (end < job.rows.len()).then(|| format!("bulk-{end}")),
            rows: rows.into_iter(),
            failed: None,
        })
    }

    pub(crate) fn remove(&self, id: &BulkQueryId) {
        if self.jobs().remove(id).is_some() {
            self.chance.note(format!("bulk query {id} is removed"));
        }
    }

    fn read(&self, soql: &str) -> Result<Vec<Row>, SourceError> {
        let found = self
            .org
            .query(soql, false)
            .map_err(|error| self.refused(&error, soql))?;
        Ok(found.iter().map(|row| Row::of(row).unwrap()).collect())
    }

    fn shuffle(&self, rows: &mut [Row]) {
        for end in (1..rows.len()).rev() {
            rows.swap(end, self.chance.below(end + 1));
        }
    }

    fn refused(&self, error: &ApiError, soql: &str) -> SourceError {
        self.chance.note(format!("REFUSED {error}: {soql}"));
        SourceError::Refused {
            code: error.code.to_owned(),
            message: error.message.clone(),
        }
    }

    fn jobs(&self) -> std::sync::MutexGuard<'_, BTreeMap<BulkQueryId, Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A page on its way; connections break in the middle.
pub(crate) struct SimPage {
    chance: Arc<Chance>,
    promised: u64,
    next: Option<String>,
    rows: std::vec::IntoIter<Row>,
    failed: Option<SourceError>,
}

#[async_trait]
impl BulkPage for SimPage {
    fn promised(&self) -> u64 {
        self.promised
    }

    fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }

    async fn rows(&mut self, max: usize) -> Result<Vec<Row>, SourceError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.chance.delay(LATENCY_MS).await;
        let error = if self.chance.fault(|rates| rates.bulk_breaks) {
            SourceError::Garbled("simulated".to_owned())
        } else if self.chance.fault(|rates| rates.source_unreachable) {
            SourceError::Unreachable("simulated".to_owned())
        } else {
            return Ok(self.rows.by_ref().take(max.max(1)).collect());
        };
        self.chance.note(format!("a bulk page breaks off: {error}"));
        self.failed = Some(error.clone());
        Err(error)
    }
}

/// What stands between SELECT and FROM. Bulk queries take no functions and no subqueries there.
fn columns(soql: &str) -> Result<Vec<String>, SourceError> {
    let lower = soql.to_ascii_lowercase();
    let end = lower.find(" from ").unwrap_or(soql.len());
    let list = soql.get("SELECT ".len()..end).unwrap_or_default();
    if list.contains('(') || lower.contains(" group by ") || lower.contains(" offset ") {
        return Err(SourceError::Refused {
            code: "API_ERROR".to_owned(),
            message: "a bulk query takes no functions, subqueries, GROUP BY or OFFSET".to_owned(),
        });
    }
    Ok(list
        .split(',')
        .map(|column| column.trim().to_owned())
        .collect())
}

fn row_id(row: &Row) -> Option<String> {
    row.fields().ok()?.text("Id")
}

fn unknown(id: &BulkQueryId) -> SourceError {
    SourceError::Expired(format!("bulk query {id} is unknown"))
}
