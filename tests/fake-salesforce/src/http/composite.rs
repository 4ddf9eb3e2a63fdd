//! `/composite` and `/composite/batch`: several requests in one call.
use axum::body::Bytes;
use axum::http::{HeaderMap, Method};
use serde::Deserialize;
use serde_json::{Value, json};

use super::data::{self, Caller};
use super::reply::Reply;
use super::{App, Incoming, split_url};
use crate::error::ApiError;

const MAX_PARTS: usize = 25;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Composite {
    #[serde(default)]
    all_or_none: bool,
    composite_request: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    method: String,
    url: String,
    reference_id: String,
    #[serde(default)]
    body: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Batch {
    #[serde(default)]
    halt_on_error: bool,
    batch_requests: Vec<BatchPart>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchPart {
    method: String,
    url: String,
    #[serde(default)]
    rich_input: Value,
}

/// Runs the parts one after the other; later ones may use `@{referenceId.field}` of earlier ones.
pub(crate) fn composite(
    app: &App,
    incoming: &Incoming,
    caller: &Caller,
) -> Result<Reply, ApiError> {
    let asked: Composite = read(incoming)?;
    too_many(asked.composite_request.len())?;
    let writes = asked.composite_request.iter();
    let writes = writes.filter(|part| part.method != "GET").count();
    if asked.all_or_none && writes > 1 {
        return Err(ApiError::new(
            "INVALID_ARGUMENT",
            "allOrNone over several writes is not known here; send them as one /composite/sobjects",
        ));
    }
    let mut answers: Vec<(String, Value)> = Vec::new();
    let mut responses = Vec::new();
    for part in asked.composite_request {
        let url = with_references(&part.url, &answers);
        let body = referenced(part.body, &answers);
        let (status, answer) = run(app, caller, &part.method, &url, &body).into_parts();
        responses.push(json!({
            "body": answer,
            "httpHeaders": {},
            "httpStatusCode": status,
            "referenceId": part.reference_id,
        }));
        answers.push((part.reference_id, answer));
    }
    Ok(Reply::json(200, &json!({"compositeResponse": responses})))
}

/// Runs the parts one after the other, independent of each other.
pub(crate) fn batch(app: &App, incoming: &Incoming, caller: &Caller) -> Result<Reply, ApiError> {
    let asked: Batch = read(incoming)?;
    too_many(asked.batch_requests.len())?;
    let (mut results, mut failed) = (Vec::new(), false);
    for part in asked.batch_requests {
        if failed && asked.halt_on_error {
            results.push(json!({"statusCode": 412, "result": [{
                "errorCode": "BATCH_PROCESSING_HALTED",
                "message": "Batch processing halted per request",
            }]}));
            continue;
        }
        let (status, answer) =
            run(app, caller, &part.method, &part.url, &part.rich_input).into_parts();
        failed |= status >= 400;
        results.push(json!({"statusCode": status, "result": answer}));
    }
    Ok(Reply::json(
        200,
        &json!({"hasErrors": failed, "results": results}),
    ))
}

fn read<T: serde::de::DeserializeOwned>(incoming: &Incoming) -> Result<T, ApiError> {
    serde_json::from_slice(&incoming.body)
        .map_err(|error| ApiError::new("JSON_PARSER_ERROR", error.to_string()))
}

fn too_many(count: usize) -> Result<(), ApiError> {
    if count > MAX_PARTS {
        return Err(ApiError::new(
            "INVALID_ARGUMENT",
            format!("at most {MAX_PARTS} requests in one call"),
        ));
    }
    Ok(())
}

/// One part, its URL with or without `/services/data` before the version.
fn run(app: &App, caller: &Caller, method: &str, url: &str, body: &Value) -> Reply {
    let (path, query) = split_url(url);
    let incoming = Incoming {
        method: Method::from_bytes(method.as_bytes()).unwrap_or(Method::GET),
        path,
        query,
        headers: HeaderMap::new(),
        body: Bytes::from(body.to_string()),
    };
    let parts: Vec<&str> = incoming.path.iter().map(String::as_str).collect();
    let rest = match parts.as_slice() {
        ["services", "data", _, rest @ ..] => rest,
        [version, rest @ ..] if version.starts_with('v') => rest,
        _ => return Reply::not_found(),
    };
    if rest.first() == Some(&"composite") && rest.get(1) != Some(&"sobjects") {
        return Reply::from(ApiError::new(
            "INVALID_ARGUMENT",
            "composite calls do not nest",
        ));
    }
    data::route(app, &incoming, caller, rest).unwrap_or_else(Reply::from)
}

fn referenced(value: Value, answers: &[(String, Value)]) -> Value {
    match value {
        Value::String(text) => Value::String(with_references(&text, answers)),
        Value::Array(list) => list
            .into_iter()
            .map(|value| referenced(value, answers))
            .collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(name, value)| (name, referenced(value, answers)))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

/// A text with every `@{referenceId.path}` replaced by what the earlier answer says there.
fn with_references(text: &str, answers: &[(String, Value)]) -> String {
    let mut done = String::new();
    let mut rest = text;
    while let Some((before, from)) = rest.split_once("@{") {
        done.push_str(before);
        let Some((name, after)) = from.split_once('}') else {
            done.push_str("@{");
            rest = from;
            continue;
        };
        match looked_up(name, answers) {
            Some(found) => done.push_str(&found),
            None => {
                done.push_str("@{");
                done.push_str(name);
                done.push('}');
            }
        }
        rest = after;
    }
    done + rest
}

fn looked_up(name: &str, answers: &[(String, Value)]) -> Option<String> {
    let (reference, path) = name.split_once('.')?;
    let (_, answer) = answers.iter().find(|(id, _)| id == reference)?;
    let pointer = path.replace('[', ".").replace(']', "").replace('.', "/");
    let found = answer.pointer(&format!("/{pointer}"))?;
    Some(
        found
            .as_str()
            .map_or_else(|| found.to_string(), str::to_owned),
    )
}
