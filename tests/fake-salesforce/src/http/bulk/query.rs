//! `/jobs/query`
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::Deserialize;
use serde_json::json;

use super::super::data::Caller;
use super::super::reply::Reply;
use super::super::{App, Incoming};
use super::{Patch, Shape, body, invalid_job, list as listing, not_found, page};
use crate::bulk::{PageFault, QueryJob, QueryRequest};
use crate::error::ApiError;

/// Pages named by one answer of `resultPages`.
const RESULT_PAGES: usize = 5;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Create {
    operation: Option<String>,
    query: Option<String>,
    content_type: Option<String>,
    column_delimiter: Option<String>,
    line_ending: Option<String>,
    /// Parallel is all there is; clients send it all the same.
    concurrency_mode: Option<String>,
}

pub(super) fn create(app: &App, incoming: &Incoming, caller: &Caller) -> Result<Reply, ApiError> {
    let asked: Create = body(incoming)?;
    let all_rows = match asked.operation.as_deref() {
        Some("query") => false,
        Some("queryAll") => true,
        Some(other) => {
            return Err(invalid_job(format!(
                "{other} is no operation of a query job"
            )));
        }
        None => return Err(invalid_job("Must specify an operation".to_owned())),
    };
    let soql = asked.query.unwrap_or_default();
    if soql.trim().is_empty() {
        return Err(invalid_job("Must specify a query".to_owned()));
    }
    if let Some(other) = asked.concurrency_mode
        && other != "Parallel"
    {
        return Err(invalid_job(format!("Unsupported concurrencyMode {other}")));
    }
    let shape = Shape {
        content_type: asked.content_type,
        column_delimiter: asked.column_delimiter,
        line_ending: asked.line_ending,
    };
    let created = app.jobs.create_query(QueryRequest {
        soql,
        all_rows,
        format: shape.format()?,
        user: caller.user.clone(),
        version: caller.version.clone(),
    })?;
    Ok(Reply::json(200, &created))
}

pub(super) fn list(app: &App, incoming: &Incoming, caller: &Caller) -> Result<Reply, ApiError> {
    let wanted = incoming.parameter("isPkChunkingEnabled");
    let jobs: Vec<Arc<QueryJob>> = app.jobs.queries().values().cloned().collect();
    let jobs = jobs
        .iter()
        .filter(|job| wanted.is_none_or(|wanted| wanted == job.splittable().to_string()))
        .map(|job| (job.head.id.clone(), job.json()));
    listing::reply(incoming, caller, "query", "V2Query", jobs)
}

pub(super) fn get(app: &App, id: &str) -> Result<Reply, ApiError> {
    Ok(Reply::json(200, &found(app, id)?.json()))
}

pub(super) fn patch(app: &App, incoming: &Incoming, id: &str) -> Result<Reply, ApiError> {
    let job = found(app, id)?;
    let Patch { state } = body(incoming)?;
    if state != "Aborted" {
        return Err(ApiError::new(
            "INVALIDJOBSTATE",
            format!("A query job can only be set to Aborted, not to {state}"),
        ));
    }
    app.jobs.abort_query(&job)?;
    Ok(Reply::json(200, &job.json()))
}

pub(super) fn delete(app: &App, id: &str) -> Result<Reply, ApiError> {
    app.jobs.delete_query(&*found(app, id)?)?;
    Ok(Reply::status(204))
}

pub(super) fn results(
    app: &App,
    incoming: &Incoming,
    caller: &Caller,
    id: &str,
) -> Result<Reply, ApiError> {
    let job = readable(app, caller, id)?;
    let asked = max_records(incoming)?;
    let page = job.page(first_row(incoming)?, asked, app.jobs.page_rows())?;
    let fault = app.jobs.take_page_fault(job.head.entity.name, page.number);
    match fault {
        Some(PageFault::Expired) => {
            app.counters.add("fault.bulk_results_expired");
            app.jobs.expire_query(&job);
            return Err(not_found());
        }
        Some(PageFault::ServerError { status }) => {
            app.counters.add("fault.bulk_page_5xx");
            let error = json!([{
                "message": "The server is temporarily unavailable.",
                "errorCode": "SERVER_UNAVAILABLE",
            }]);
            return Ok(Reply::json(status, &error));
        }
        _ => {}
    }
    let next = page.next().map(locator);
    let rows = page.rows.to_string();
    Ok(page::reply(app, incoming, page, fault)
        .header("sforce-locator", next.as_deref().unwrap_or("null"))
        .header("sforce-numberofrecords", &rows))
}

pub(super) fn result_pages(
    app: &App,
    incoming: &Incoming,
    caller: &Caller,
    id: &str,
) -> Result<Reply, ApiError> {
    let job = readable(app, caller, id)?;
    let asked = max_records(incoming)?;
    let base = format!("/services/data/v{}/jobs/query/{id}", caller.version);
    let size = asked.map(|rows| format!("&maxRecords={rows}"));
    let size = size.unwrap_or_default();
    let (mut pages, mut next) = (Vec::new(), Some(first_row(incoming)?));
    while let Some(first) = next
        && pages.len() < RESULT_PAGES
    {
        let page = job.page(first, asked, app.jobs.page_rows())?;
        let place = locator(first);
        pages.push(json!({"resultUrl": format!("{base}/results?locator={place}{size}")}));
        next = page.next();
    }
    let next = next.map(|first| format!("{base}/resultPages?locator={}{size}", locator(first)));
    Ok(Reply::json(
        200,
        &json!({"resultPages": pages, "nextRecordsUrl": next, "done": next.is_none()}),
    ))
}

fn found(app: &App, id: &str) -> Result<Arc<QueryJob>, ApiError> {
    let id = crate::id::to_18(id).ok_or_else(not_found)?;
    app.jobs.queries().get(&id).cloned().ok_or_else(not_found)
}

/// A job whose results this caller's version may read.
fn readable(app: &App, caller: &Caller, id: &str) -> Result<Arc<QueryJob>, ApiError> {
    let job = found(app, id)?;
    if job.head.version != caller.version {
        return Err(ApiError::new(
            "VERSION_CONFLICT",
            format!(
                "The job was created with API version {}; read its results with the same",
                job.head.version
            ),
        ));
    }
    Ok(job)
}

fn max_records(incoming: &Incoming) -> Result<Option<u64>, ApiError> {
    let Some(text) = incoming.parameter("maxRecords") else {
        return Ok(None);
    };
    match text.parse() {
        Ok(rows) if rows > 0 => Ok(Some(rows)),
        _ => Err(ApiError::new(
            "API_ERROR",
            format!("maxRecords must be a positive number, not {text}"),
        )),
    }
}

/// The row that a locator stands for; the first where there is none.
fn first_row(incoming: &Incoming) -> Result<u64, ApiError> {
    let Some(locator) = incoming.parameter("locator") else {
        return Ok(0);
    };
    let decoded = STANDARD_NO_PAD.decode(locator).ok();
    decoded
        .and_then(|text| String::from_utf8(text).ok())
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| ApiError::new("INVALID_QUERY_LOCATOR", "invalid query locator"))
}

fn locator(row: u64) -> String {
    STANDARD_NO_PAD.encode(row.to_string())
}
