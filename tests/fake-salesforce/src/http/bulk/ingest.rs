//! `/jobs/ingest`
use std::sync::Arc;

use serde::Deserialize;

use super::super::data::Caller;
use super::super::reply::Reply;
use super::super::{App, Incoming};
use super::{Patch, Shape, body, invalid_job, list as listing, not_found, page};
use crate::bulk::{Answered, IngestJob, IngestRequest, Operation, Records};
use crate::error::ApiError;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Create {
    object: Option<String>,
    operation: Option<String>,
    external_id_field_name: Option<String>,
    content_type: Option<String>,
    column_delimiter: Option<String>,
    line_ending: Option<String>,
    /// Leads and cases have such rules, this org has neither; null is what clients send.
    #[serde(rename = "assignmentRuleId")]
    _assignment_rule_id: Option<()>,
}

pub(super) fn create(app: &App, incoming: &Incoming, caller: &Caller) -> Result<Reply, ApiError> {
    let asked: Create = body(incoming)?;
    let object = asked.object.unwrap_or_default();
    let Some(entity) = app.org.entity(&object) else {
        return Err(invalid_job(format!("Unable to find object: {object}")));
    };
    let Some(operation) = asked.operation else {
        return Err(invalid_job("Must specify an operation".to_owned()));
    };
    let key = asked.external_id_field_name.filter(|key| !key.is_empty());
    let operation = Operation::parse(&operation, key.as_deref(), entity)?;
    let shape = Shape {
        content_type: asked.content_type,
        column_delimiter: asked.column_delimiter,
        line_ending: asked.line_ending,
    };
    let created = app.jobs.create_ingest(IngestRequest {
        entity,
        operation,
        format: shape.format()?,
        user: caller.user.clone(),
        version: caller.version.clone(),
        origin: caller.origin.replacen("/rest/", "/bulkapi/", 1),
    });
    Ok(Reply::json(200, &created))
}

pub(super) fn list(app: &App, incoming: &Incoming, caller: &Caller) -> Result<Reply, ApiError> {
    let jobs: Vec<Arc<IngestJob>> = app.jobs.ingests().values().cloned().collect();
    let jobs = jobs.iter().map(|job| (job.head.id.clone(), job.json()));
    listing::reply(incoming, caller, "ingest", "V2Ingest", jobs)
}

pub(super) fn get(app: &App, id: &str) -> Result<Reply, ApiError> {
    Ok(Reply::json(200, &found(app, id)?.json()))
}

pub(super) fn patch(app: &App, incoming: &Incoming, id: &str) -> Result<Reply, ApiError> {
    let job = found(app, id)?;
    let Patch { state } = body(incoming)?;
    let patched = match state.as_str() {
        "UploadComplete" => app.jobs.close_ingest(&job)?,
        "Aborted" => app.jobs.abort_ingest(&job)?,
        other => {
            return Err(ApiError::new(
                "INVALIDJOBSTATE",
                format!("A job can be set to UploadComplete or Aborted, not to {other}"),
            ));
        }
    };
    Ok(Reply::json(200, &patched))
}

pub(super) fn delete(app: &App, id: &str) -> Result<Reply, ApiError> {
    app.jobs.delete_ingest(&*found(app, id)?)?;
    Ok(Reply::status(204))
}

pub(super) fn upload(app: &App, incoming: &Incoming, id: &str) -> Result<Reply, ApiError> {
    let job = found(app, id)?;
    let csv = incoming
        .header("content-type")
        .is_some_and(|kind| kind.trim().to_ascii_lowercase().starts_with("text/csv"));
    if !csv {
        return Err(ApiError::new(
            "UNSUPPORTED_MEDIA_TYPE",
            "Content-Type must be text/csv",
        ));
    }
    job.upload(incoming.body.clone())?;
    Ok(Reply::status(201))
}

pub(super) fn records(
    app: &App,
    incoming: &Incoming,
    id: &str,
    which: &str,
) -> Result<Reply, ApiError> {
    let which = match which.to_ascii_lowercase().as_str() {
        "successfulresults" => Records::Successful,
        "failedresults" => Records::Failed,
        "unprocessedrecords" => Records::Unprocessed,
        _ => return Err(not_found()),
    };
    Ok(match found(app, id)?.records(which)? {
        Answered::Spooled(results) => page::whole(app, incoming, results),
        Answered::Whole(data) => page::raw(&data),
    })
}

fn found(app: &App, id: &str) -> Result<Arc<IngestJob>, ApiError> {
    let id = crate::id::to_18(id).ok_or_else(not_found)?;
    app.jobs.ingests().get(&id).cloned().ok_or_else(not_found)
}
