//! `/composite` and `/composite/batch`: several requests in one call.
use axum::body::Bytes;
use axum::http::{HeaderMap, Method};
use serde::Deserialize;
use serde_json::{Value, json};

use super::data::{self, Caller};
use super::reply::Reply;
use super::{App, Incoming, split_url};
use crate::commit::Row;
use crate::dml::{Dml, DmlResult};
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
/// With `allOrNone`, a part that fails undoes the others; a read that fails after the last write
/// comes too late for that here.
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
        return Ok(all_or_none(app, caller, asked.composite_request));
    }
    let mut answers: Vec<(String, Value)> = Vec::new();
    let mut statuses = Vec::new();
    let (mut failed, mut wrote) = (false, false);
    for part in asked.composite_request {
        let (status, answer) = if failed && asked.all_or_none {
            halted()
        } else {
            let url = with_references(&part.url, &answers);
            let known = url.and_then(|url| Ok((url, referenced(part.body, &answers)?)));
            let reply = match known {
                Ok((url, body)) => run(app, caller, &part.method, &url, &body),
                Err(error) => Reply::from(error),
            };
            reply.into_parts()
        };
        failed |= status >= 400;
        wrote |= status < 400 && part.method != "GET";
        statuses.push(status);
        answers.push((part.reference_id, answer));
    }
    let undone = failed && asked.all_or_none && !wrote;
    let responses = answers.into_iter().zip(statuses);
    let responses = responses.map(|((reference_id, body), status)| {
        if undone && status < 400 {
            let (status, body) = halted();
            return response(caller, status, &body, &reference_id);
        }
        response(caller, status, &body, &reference_id)
    });
    let responses: Vec<Value> = responses.collect();
    Ok(Reply::json(200, &json!({"compositeResponse": responses})))
}

/// A part's answer in that of the whole.
fn response(caller: &Caller, status: u16, body: &Value, reference_id: &str) -> Value {
    let made = body.get("id").and_then(Value::as_str);
    let headers = match made.filter(|_| status == 201) {
        Some(record_id) => json!({"Location": data::place(caller, record_id)}),
        None => json!({}),
    };
    json!({
        "body": body,
        "httpHeaders": headers,
        "httpStatusCode": status,
        "referenceId": reference_id,
    })
}

/// All writes of the parts in one transaction. Reads before the last write see the org as it was
/// before, those after it as it is then.
fn all_or_none(app: &App, caller: &Caller, parts: Vec<Part>) -> Reply {
    let last_write = parts.iter().rposition(|part| part.method != "GET");
    let last_write = last_write.unwrap_or_default();
    let mut answers: Vec<Option<(u16, Value)>> = Vec::new();
    for (place, part) in parts.iter().enumerate() {
        let early = part.method == "GET" && place < last_write;
        let known = known_so_far(&parts, &[], &answers, &[]);
        // What refers to a write is read after all of them.
        let url = with_references(&part.url, &known).ok();
        let url = url.filter(|_| early);
        answers.push(url.map(|url| run(app, caller, "GET", &url, &Value::Null).into_parts()));
    }
    let unread = answers.iter().flatten().any(|(status, _)| *status >= 400);
    let is_write = |place: &usize| parts.get(*place).is_some_and(|part| part.method != "GET");
    let writes = (0..parts.len()).filter(|place| !unread && is_write(place));
    let writes: Vec<usize> = writes.collect();
    let steps = writes.iter().map(|place| {
        let (parts, writes, answers) = (&parts, &writes, &answers);
        move |done: &[DmlResult]| {
            let known = known_so_far(parts, writes, answers, done);
            let part = parts.get(*place);
            let part = part.ok_or_else(|| ApiError::new("UNKNOWN_EXCEPTION", "no such part"))?;
            let body = referenced(part.body.clone(), &known)?;
            as_dml(
                app,
                &part.method,
                &with_references(&part.url, &known)?,
                body,
            )
        }
    });
    let (results, failed) = app.org.write_in_turn(&caller.user, &caller.origin, steps);
    let failed = failed || unread;
    let known = known_so_far(&parts, &writes, &answers, &results);
    for (order, place) in writes.iter().enumerate() {
        let answer = match results.get(order) {
            Some(DmlResult {
                error: Some(error), ..
            }) => Reply::from(error.clone()).into_parts(),
            Some(result) if !failed => written(parts.get(*place), result),
            Some(_) | None => halted(),
        };
        if let Some(slot) = answers.get_mut(*place) {
            *slot = Some(answer);
        }
    }
    let responses = parts.iter().zip(answers).map(|(part, answer)| {
        let (status, body) = match answer {
            Some((status, _)) if failed && status < 400 => halted(),
            Some(answer) => answer,
            None if failed => halted(),
            None => read_late(app, caller, &part.url, &known).into_parts(),
        };
        response(caller, status, &body, &part.reference_id)
    });
    let responses: Vec<Value> = responses.collect();
    Reply::json(200, &json!({"compositeResponse": responses}))
}

/// A read that may refer to what was written.
fn read_late(app: &App, caller: &Caller, url: &str, known: &[(String, Value)]) -> Reply {
    match with_references(url, known) {
        Ok(url) => run(app, caller, "GET", &url, &Value::Null),
        Err(error) => Reply::from(error),
    }
}

/// What later parts may refer to.
fn known_so_far(
    parts: &[Part],
    writes: &[usize],
    answers: &[Option<(u16, Value)>],
    done: &[DmlResult],
) -> Vec<(String, Value)> {
    let reads = parts.iter().zip(answers).filter_map(|(part, answer)| {
        let (_, body) = answer.as_ref()?;
        Some((part.reference_id.clone(), body.clone()))
    });
    let written = writes.iter().zip(done).filter_map(|(place, result)| {
        let part = parts.get(*place)?;
        let body = json!({"id": result.id, "success": result.success(), "errors": []});
        Some((part.reference_id.clone(), body))
    });
    reads.chain(written).collect()
}

/// The answer to a part that was undone, or never done, because another one failed.
fn halted() -> (u16, Value) {
    let message =
        "The transaction was rolled back since another operation in the same transaction failed.";
    (
        400,
        json!([{"errorCode": "PROCESSING_HALTED", "message": message}]),
    )
}

/// The answer to a part that was done.
fn written(part: Option<&Part>, result: &DmlResult) -> (u16, Value) {
    let creates = part.is_some_and(|part| part.method == "POST");
    if creates || result.created {
        let body = json!({"id": result.id, "success": true, "errors": []});
        (201, body)
    } else {
        (204, Value::Null)
    }
}

/// A write of one record.
fn as_dml(app: &App, method: &str, url: &str, body: Value) -> Result<Dml, ApiError> {
    let (path, _) = split_url(url);
    let parts: Vec<&str> = path.iter().map(String::as_str).collect();
    let rest = below_version(&parts).unwrap_or_default();
    let fields = match body {
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Row::new()
        }
    };
    let name = |entity: &str| Ok::<_, ApiError>(data::found(entity)?.name.to_owned());
    match (method, rest) {
        ("POST", ["sobjects", entity]) => Ok(Dml::Insert {
            entity: name(entity)?,
            fields,
        }),
        ("PATCH", ["sobjects", entity, id]) => {
            data::refuse_key(&fields, "Id")?;
            Ok(Dml::Update {
                entity: name(entity)?,
                id: (*id).to_owned(),
                fields,
            })
        }
        ("DELETE", ["sobjects", entity, id]) => Ok(Dml::Delete {
            entity: name(entity)?,
            id: (*id).to_owned(),
        }),
        ("PATCH", ["sobjects", entity, field, key]) if data::is_external(app, entity, field) => {
            data::refuse_key(&fields, "Id")?;
            data::refuse_key(&fields, field)?;
            Ok(Dml::Upsert {
                entity: name(entity)?,
                field: (*field).to_owned(),
                value: (*key).into(),
                fields,
            })
        }
        _ => Err(ApiError::new(
            "INVALID_ARGUMENT",
            format!("allOrNone takes writes of single records, not {method} {url}"),
        )),
    }
}

/// What stands after the version in a part's path.
fn below_version<'p, 'u>(parts: &'p [&'u str]) -> Option<&'p [&'u str]> {
    match parts {
        ["services", "data", _, rest @ ..] => Some(rest),
        [version, rest @ ..] if version.starts_with('v') => Some(rest),
        _ => None,
    }
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
    let Some(rest) = below_version(&parts) else {
        return Reply::not_found();
    };
    if rest.first() == Some(&"composite") && rest.get(1) != Some(&"sobjects") {
        return Reply::from(ApiError::new(
            "INVALID_ARGUMENT",
            "composite calls do not nest",
        ));
    }
    data::route(app, &incoming, caller, rest).unwrap_or_else(Reply::from)
}

/// A body with its references replaced. One that stands alone may lead to null.
fn referenced(value: Value, answers: &[(String, Value)]) -> Result<Value, ApiError> {
    Ok(match value {
        Value::String(text) => {
            let alone = text
                .strip_prefix("@{")
                .and_then(|name| name.strip_suffix('}'));
            let found = alone.and_then(|name| looked_up(name, answers));
            if found.is_some_and(Value::is_null) {
                Value::Null
            } else {
                Value::String(with_references(&text, answers)?)
            }
        }
        Value::Array(list) => {
            let list = list.into_iter().map(|value| referenced(value, answers));
            Value::Array(list.collect::<Result<_, ApiError>>()?)
        }
        Value::Object(map) => {
            let map = map.into_iter().map(|(name, value)| {
                let value = referenced(value, answers)?;
                Ok::<_, ApiError>((name, value))
            });
            Value::Object(map.collect::<Result<_, ApiError>>()?)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    })
}

/// A text with every `@{referenceId.path}` replaced by what the earlier answer says there.
///
/// # Errors
/// A reference that leads to nothing.
fn with_references(text: &str, answers: &[(String, Value)]) -> Result<String, ApiError> {
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
            Some(Value::String(found)) => done.push_str(found),
            Some(found) if !found.is_null() => done.push_str(&found.to_string()),
            Some(_) | None => return Err(no_value(name)),
        }
        rest = after;
    }
    Ok(done + rest)
}

/// What an earlier answer says at `referenceId.path`, where the answer is a list at
/// `referenceId[0].path`.
fn looked_up<'a>(name: &str, answers: &'a [(String, Value)]) -> Option<&'a Value> {
    let (reference, path) = name.split_at_checked(name.find(['.', '['])?)?;
    let (_, answer) = answers.iter().find(|(id, _)| id == reference)?;
    answer.pointer(&path.replace('[', ".").replace(']', "").replace('.', "/"))
}

fn no_value(name: &str) -> ApiError {
    let reference = name.split(['.', '[']).next().unwrap_or_default();
    ApiError::new(
        "PROCESSING_HALTED",
        format!(
            "Invalid reference specified. No value for {name} found in {reference}. Provided referenceId ('{name}') must start with a letter or a number, and it can contain only letters, numbers and underscores ('_')."
        ),
    )
}
