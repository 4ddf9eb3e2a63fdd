//! The life of a query job: create, ask, abort and remove ("Query Jobs" in the Bulk API 2.0
//! guide).

use backoff::Retryable;
use http::StatusCode;
use ports::source::{BulkQuery, BulkQueryId, BulkState, SourceError};
use serde::{Deserialize, Serialize};

use crate::Core;
use crate::fault::{Fault, presentable};
use crate::rest::parse;

/// What all allowances of bulk queries have in their words: "Max bulk v2 query jobs (10000) per
/// 24 hrs has been reached", "Max bulk v2 query result size stored (...) kb per 24 hrs has been
/// exceeded". They come as 400 under various codes.
const ALLOWANCE: &str = "max bulk v2 query";

impl Core {
    pub(crate) async fn create_bulk_query(&self, soql: &str) -> Result<BulkQueryId, SourceError> {
        let body = NewJob {
            operation: "query",
            query: soql,
            content_type: "CSV",
            column_delimiter: "COMMA",
            line_ending: "LF",
        };
        let answer = self
            .call(|session| {
                Ok(self
                    .http
                    .client
                    .post(self.data_url(session, "jobs/query")?)
                    .json(&body))
            })
            .await
            .map_err(|fault| with_allowances(fault.error))?;
        let created: CreatedJob = parse("a new bulk query", &answer)?;
        let id = BulkQueryId(created.id);
        job_path(&id)?;
        Ok(id)
    }

    pub(crate) async fn bulk_query(&self, id: &BulkQueryId) -> Result<BulkQuery, SourceError> {
        let job = self.bulk_job(id).await?;
        let records = match (job.state, job.number_records_processed) {
            (_, Some(records)) => records,
            // Taken for none, it would end a job that has read nothing.
            (BulkState::JobComplete, None) => {
                return Err(SourceError::Garbled(
                    "a complete bulk query does not say how many rows it has".to_owned(),
                ));
            }
            (
                BulkState::UploadComplete
                | BulkState::InProgress
                | BulkState::Failed
                | BulkState::Aborted,
                None,
            ) => 0,
        };
        Ok(BulkQuery {
            state: job.state,
            records,
            error: job
                .error_message
                .filter(|message| !message.trim().is_empty())
                // It may begin with the code, and quotes the query as REST errors do.
                .map(|message| presentable("MALFORMED_QUERY", &message)),
        })
    }

    /// The job as Salesforce describes it.
    pub(super) async fn bulk_job(&self, id: &BulkQueryId) -> Result<JobAnswer, SourceError> {
        let path = job_path(id)?;
        let answer = self
            .call(|session| Ok(self.http.client.get(self.data_url(session, &path)?)))
            .await
            .map_err(of_known_job)?;
        parse("a bulk query", &answer)
    }

    pub(crate) async fn remove_bulk_query(&self, id: &BulkQueryId) -> Result<(), SourceError> {
        self.forget_columns(id);
        match self.delete_job(id).await {
            // Most likely it still runs, which only an abort ends.
            Err(SourceError::Refused { .. }) => {}
            settled => return settled,
        }
        match self.abort_job(id).await {
            // It may have ended by itself meanwhile; the removal tells.
            Ok(()) | Err(SourceError::Refused { .. }) => {}
            Err(error) => return Err(error),
        }
        // An abort may take a moment to be seen.
        (|| self.delete_job(id))
            .retry(self.delays())
            .when(|error| matches!(error, SourceError::Refused { .. }))
            .await
    }

    async fn delete_job(&self, id: &BulkQueryId) -> Result<(), SourceError> {
        let path = job_path(id)?;
        let answer = self
            .call(|session| Ok(self.http.client.delete(self.data_url(session, &path)?)))
            .await;
        gone_is_fine(answer)
    }

    async fn abort_job(&self, id: &BulkQueryId) -> Result<(), SourceError> {
        let path = job_path(id)?;
        let answer = self
            .call(|session| {
                Ok(self
                    .http
                    .client
                    .patch(self.data_url(session, &path)?)
                    .json(&StateChange {
                        state: BulkState::Aborted,
                    }))
            })
            .await;
        gone_is_fine(answer)
    }
}

/// The job's path below the version. Ids come back from stores; one with other characters than an
/// id's could reach other resources.
pub(super) fn job_path(id: &BulkQueryId) -> Result<String, SourceError> {
    let BulkQueryId(text) = id;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(SourceError::Garbled(
            "a bulk query's id holds other characters than letters and digits".to_owned(),
        ));
    }
    Ok(format!("jobs/query/{text}"))
}

/// What a fault means for a job that was there.
pub(super) fn of_known_job(fault: Fault) -> SourceError {
    if let SourceError::Refused { code, message } = &fault.error
        && fault.status == Some(StatusCode::NOT_FOUND)
    {
        return SourceError::Expired(format!("{code}: {message}"));
    }
    with_allowances(fault.error)
}

fn with_allowances(error: SourceError) -> SourceError {
    if let SourceError::Refused { code, message } = &error
        && message.to_ascii_lowercase().contains(ALLOWANCE)
    {
        return SourceError::Quota(format!("{code}: {message}"));
    }
    error
}

fn gone_is_fine<T>(answer: Result<T, Fault>) -> Result<(), SourceError> {
    match answer.map_err(of_known_job) {
        Ok(_) | Err(SourceError::Expired(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewJob<'call> {
    operation: &'static str,
    query: &'call str,
    content_type: &'static str,
    column_delimiter: &'static str,
    line_ending: &'static str,
}

#[derive(Serialize)]
struct StateChange {
    state: BulkState,
}

#[derive(Deserialize)]
struct CreatedJob {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct JobAnswer {
    pub(super) object: String,
    state: BulkState,
    number_records_processed: Option<u64>,
    error_message: Option<String>,
}
