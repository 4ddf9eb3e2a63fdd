//! `/jobs`: the Bulk API 2.0.
mod ingest;
mod list;
mod page;
mod query;

use axum::http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::data::Caller;
use super::reply::Reply;
use super::{App, Incoming};
use crate::bulk::{Delimiter, Format, LineEnding};
use crate::error::ApiError;

/// The largest upload of an ingest job.
pub(crate) const MAX_UPLOAD: usize = 150 * 1_000_000;

/// The first versions that have these.
const FIRST_INGEST: u32 = 41;
const FIRST_QUERY: u32 = 47;
const FIRST_RESULT_PAGES: u32 = 58;

/// Whether a request to this path brings an ingest job's data.
pub(crate) fn is_upload(path: &str) -> bool {
    path.contains("/jobs/ingest/") && path.trim_end_matches('/').ends_with("/batches")
}

/// Answers a signed-in request below `/jobs`.
pub(crate) fn answer(
    app: &App,
    incoming: &Incoming,
    caller: &Caller,
    path: &[&str],
) -> Result<Reply, ApiError> {
    let major = caller.major();
    match path {
        ["query", rest @ ..] if major >= FIRST_QUERY => match (&incoming.method, rest) {
            (&Method::POST, []) => query::create(app, incoming, caller),
            (&Method::GET, []) => query::list(app, incoming, caller),
            (&Method::GET, [id]) => query::get(app, id),
            (&Method::PATCH, [id]) => query::patch(app, incoming, id),
            (&Method::DELETE, [id]) => query::delete(app, id),
            (&Method::GET, [id, "results"]) => query::results(app, incoming, caller, id),
            (&Method::GET, [id, "resultPages"]) if major >= FIRST_RESULT_PAGES => {
                query::result_pages(app, incoming, caller, id)
            }
            (_, [] | [_] | [_, "results"]) => Err(not_allowed(incoming)),
            _ => Ok(Reply::not_found()),
        },
        ["ingest", rest @ ..] if major >= FIRST_INGEST => match (&incoming.method, rest) {
            (&Method::POST, []) => ingest::create(app, incoming, caller),
            (&Method::GET, []) => ingest::list(app, incoming, caller),
            (&Method::GET, [id]) => ingest::get(app, id),
            (&Method::PATCH, [id]) => ingest::patch(app, incoming, id),
            (&Method::DELETE, [id]) => ingest::delete(app, id),
            (&Method::PUT, [id, "batches"]) => ingest::upload(app, incoming, id),
            (&Method::GET, [id, which]) => ingest::records(app, incoming, id, which),
            (_, [] | [_] | [_, "batches"]) => Err(not_allowed(incoming)),
            _ => Ok(Reply::not_found()),
        },
        _ => Ok(Reply::not_found()),
    }
}

fn not_allowed(incoming: &Incoming) -> ApiError {
    ApiError::new(
        "METHOD_NOT_ALLOWED",
        format!("HTTP Method '{}' not allowed", incoming.method),
    )
}

fn not_found() -> ApiError {
    ApiError::new("NOT_FOUND", "The requested resource does not exist")
}

/// What a new job of either kind says about its CSV.
#[derive(Default)]
struct Shape {
    content_type: Option<String>,
    column_delimiter: Option<String>,
    line_ending: Option<String>,
}

impl Shape {
    fn format(&self) -> Result<Format, ApiError> {
        if let Some(other) = self.content_type.as_deref()
            && other != "CSV"
        {
            return Err(invalid_job(format!(
                "Unsupported content type {other}: only CSV is"
            )));
        }
        Ok(Format {
            delimiter: named::<Delimiter>("columnDelimiter", self.column_delimiter.as_deref())?,
            line_ending: named::<LineEnding>("lineEnding", self.line_ending.as_deref())?,
        })
    }
}

/// A value of an enumeration by its name; its first where none is given.
fn named<T: DeserializeOwned + Default>(field: &str, name: Option<&str>) -> Result<T, ApiError> {
    let Some(name) = name else {
        return Ok(T::default());
    };
    serde_json::from_value(name.into()).or(Err(invalid_job(format!(
        "Invalid value {name} for {field}"
    ))))
}

fn invalid_job(message: String) -> ApiError {
    ApiError::new("INVALIDJOB", format!("InvalidJob : {message}"))
}

/// The body as JSON of a known form.
fn body<T: DeserializeOwned>(incoming: &Incoming) -> Result<T, ApiError> {
    serde_json::from_slice(&incoming.body)
        .map_err(|error| ApiError::new("JSON_PARSER_ERROR", error.to_string()))
}

/// The body of `PATCH`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Patch {
    state: String,
}
