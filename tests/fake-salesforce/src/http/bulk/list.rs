//! Lists of jobs by the page.
use serde_json::{Value, json};

use super::super::Incoming;
use super::super::data::Caller;
use super::super::reply::Reply;
use crate::error::ApiError;

/// Jobs of one page.
const PAGE: usize = 1000;

/// A page of jobs in the order of their creation: those after the id that `queryLocator` names.
/// `kind` is `query` or `ingest`, `job_type` what all of them are.
pub(super) fn reply(
    incoming: &Incoming,
    caller: &Caller,
    kind: &str,
    job_type: &str,
    jobs: impl Iterator<Item = (String, Value)>,
) -> Result<Reply, ApiError> {
    let after = incoming.parameter("queryLocator").unwrap_or_default();
    if !after.is_empty() && crate::id::to_18(after).is_none() {
        return Err(ApiError::new(
            "INVALID_QUERY_LOCATOR",
            "invalid query locator",
        ));
    }
    let wanted = |name: &str, own: &str| {
        incoming
            .parameter(name)
            .is_none_or(|wanted| wanted.eq_ignore_ascii_case(own))
    };
    let all = wanted("jobType", job_type) && wanted("concurrencyMode", "Parallel");
    let mut records: Vec<(String, Value)> = jobs
        .filter(|(id, _)| all && id.as_str() > after)
        .take(PAGE + 1)
        .collect();
    let done = records.len() <= PAGE;
    records.truncate(PAGE);
    let next = match records.last() {
        Some((last, _)) if !done => Value::from(format!(
            "/services/data/v{}/jobs/{kind}?queryLocator={last}",
            caller.version
        )),
        _ => Value::Null,
    };
    let records: Vec<Value> = records.into_iter().map(|(_, job)| job).collect();
    Ok(Reply::json(
        200,
        &json!({"done": done, "nextRecordsUrl": next, "records": records}),
    ))
}
