//! `/composite/sobjects`: up to 200 writes, or 2,000 reads, in one call.
use std::collections::BTreeSet;

use axum::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::data::{Caller, body_object, entity_of_record, found};
use super::reply::Reply;
use super::{App, Incoming};
use crate::commit::Row;
use crate::dml::{Dml, DmlResult};
use crate::error::ApiError;
use crate::id;

const MAX_WRITES: usize = 200;
const MAX_READS: usize = 2000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Writes {
    #[serde(default)]
    all_or_none: bool,
    records: Vec<Row>,
}

/// Answers a request below `/composite/sobjects`.
pub(crate) fn answer(
    app: &App,
    incoming: &Incoming,
    caller: &Caller,
    path: &[&str],
) -> Result<Reply, ApiError> {
    match (&incoming.method, path) {
        (&Method::POST, []) => {
            let writes = writes(incoming)?;
            let ops = writes.records.into_iter().map(insert).collect();
            Ok(write(app, caller, writes.all_or_none, ops))
        }
        (&Method::PATCH, []) => {
            let writes = writes(incoming)?;
            let ops = writes.records.into_iter().map(update).collect();
            Ok(write(app, caller, writes.all_or_none, ops))
        }
        (&Method::PATCH, [entity, field]) => {
            let entity = found(entity)?;
            let by_id = field.eq_ignore_ascii_case("Id");
            let known = app.org.entity(entity.name).unwrap_or(entity);
            let external = known
                .visible(field)
                .is_some_and(|(_, field)| field.external_id);
            if !by_id && !external {
                return Err(no_external_id(field));
            }
            let writes = writes(incoming)?;
            let mut keys = BTreeSet::new();
            let ops = writes.records.into_iter().map(|record| {
                let has_id = record.keys().any(|key| key.eq_ignore_ascii_case("Id"));
                if !by_id {
                    let op = upsert(entity.name, field, record)?;
                    once(&mut keys, field, &op).map(|()| op)
                } else if has_id {
                    update(record)
                } else {
                    Ok(Dml::Insert {
                        entity: entity.name.to_owned(),
                        fields: record,
                    })
                }
            });
            Ok(write_as(
                app,
                caller,
                writes.all_or_none,
                ops.collect(),
                true,
            ))
        }
        (&Method::DELETE, []) => delete(app, incoming, caller),
        (&Method::POST, [entity]) => {
            let body = body_object(incoming)?;
            let list = |name: &str| -> Result<Vec<String>, ApiError> {
                let value = body.get(name).cloned().unwrap_or_default();
                serde_json::from_value(value)
                    .map_err(|error| ApiError::new("JSON_PARSER_ERROR", format!("{name}: {error}")))
            };
            read(app, caller, entity, &list("ids")?, &list("fields")?)
        }
        (&Method::GET, [entity]) => {
            let list = |name: &str| -> Vec<String> {
                let value = incoming.parameter(name).unwrap_or_default();
                value
                    .split(',')
                    .map(|part| part.trim().to_owned())
                    .collect()
            };
            read(app, caller, entity, &list("ids"), &list("fields"))
        }
        _ => Ok(Reply::not_found()),
    }
}

fn read(
    app: &App,
    caller: &Caller,
    entity: &str,
    ids: &[String],
    fields: &[String],
) -> Result<Reply, ApiError> {
    let entity = found(entity)?;
    if ids.len() > MAX_READS {
        return Err(ApiError::new(
            "EXCEEDED_ID_LIMIT",
            format!(
                "record limit reached. cannot retrieve more than {MAX_READS} records in this call."
            ),
        ));
    }
    if fields.is_empty() || ids.is_empty() {
        return Err(ApiError::new(
            "INVALID_ARGUMENT",
            "ids and fields are required",
        ));
    }
    let rows = app
        .org
        .retrieve_as(entity.name, ids, fields, Some(&caller.version))?;
    Ok(Reply::json(200, &rows))
}

fn writes(incoming: &Incoming) -> Result<Writes, ApiError> {
    let writes: Writes = serde_json::from_slice(&incoming.body)
        .map_err(|error| ApiError::new("JSON_PARSER_ERROR", error.to_string()))?;
    too_many(writes.records.len())?;
    Ok(writes)
}

fn too_many(count: usize) -> Result<(), ApiError> {
    if count > MAX_WRITES {
        return Err(ApiError::new(
            "EXCEEDED_ID_LIMIT",
            format!(
                "record limit reached. cannot submit more than {MAX_WRITES} records in this call."
            ),
        ));
    }
    Ok(())
}

/// The answer to a field that is no external id of the object.
pub(crate) fn no_external_id(field: &str) -> ApiError {
    ApiError::new(
        "NOT_FOUND",
        format!("Provided external ID field does not exist or is not accessible: {field}"),
    )
}

fn upsert(entity: &str, field: &str, mut record: Row) -> Result<Dml, ApiError> {
    let key = record
        .keys()
        .find(|key| key.eq_ignore_ascii_case(field))
        .cloned()
        .unwrap_or_default();
    match record.shift_remove(&key) {
        Some(value) if !value.is_null() => Ok(Dml::Upsert {
            entity: entity.to_owned(),
            field: field.to_owned(),
            value,
            fields: record,
        }),
        _ => Err(ApiError::on_field(
            "MISSING_ARGUMENT",
            format!("{field} not specified"),
            field,
        )),
    }
}

/// Refuses a record whose key an earlier one of the call has.
fn once(keys: &mut BTreeSet<String>, field: &str, op: &Dml) -> Result<(), ApiError> {
    let Dml::Upsert { value, .. } = op else {
        return Ok(());
    };
    let key = value.as_str().map(str::to_lowercase);
    let key = key.unwrap_or_else(|| value.to_string());
    if keys.contains(&key) {
        let message = format!("Duplicate external id specified: {key}");
        return Err(ApiError::on_field("DUPLICATE_VALUE", message, field));
    }
    keys.insert(key);
    Ok(())
}

fn insert(record: Row) -> Result<Dml, ApiError> {
    Ok(Dml::Insert {
        entity: entity_of_record(&record)?.name.to_owned(),
        fields: record,
    })
}

fn update(mut record: Row) -> Result<Dml, ApiError> {
    let entity = entity_of_record(&record)?.name.to_owned();
    let key = record
        .keys()
        .find(|key| key.eq_ignore_ascii_case("Id"))
        .cloned()
        .unwrap_or_default();
    match record.shift_remove(&key) {
        Some(Value::String(id)) => Ok(Dml::Update {
            entity,
            id,
            fields: record,
        }),
        _ => Err(ApiError::on_field(
            "MISSING_ARGUMENT",
            "Id not specified in an update call",
            "Id",
        )),
    }
}

fn delete(app: &App, incoming: &Incoming, caller: &Caller) -> Result<Reply, ApiError> {
    let ids = incoming.parameter("ids").unwrap_or_default();
    let ids: Vec<&str> = ids.split(',').map(str::trim).collect();
    too_many(ids.len())?;
    let all_or_none = incoming
        .parameter("allOrNone")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let ops = ids.into_iter().map(|given| {
        let entity = id::to_18(given).as_deref().and_then(id::entity_of);
        match entity {
            Some(entity) => Ok(Dml::Delete {
                entity: entity.name.to_owned(),
                id: given.to_owned(),
            }),
            None => Err(ApiError::on_field(
                "MALFORMED_ID",
                format!("malformed id {given}"),
                "Id",
            )),
        }
    });
    Ok(write(app, caller, all_or_none, ops.collect()))
}

/// Writes what could be read as a write and answers in the order asked.
fn write(
    app: &App,
    caller: &Caller,
    all_or_none: bool,
    asked: Vec<Result<Dml, ApiError>>,
) -> Reply {
    write_as(app, caller, all_or_none, asked, false)
}

/// The same; `upserts` answer whether each record is new.
fn write_as(
    app: &App,
    caller: &Caller,
    all_or_none: bool,
    asked: Vec<Result<Dml, ApiError>>,
    upserts: bool,
) -> Reply {
    let unreadable = asked.iter().any(Result::is_err);
    let mut places = Vec::with_capacity(asked.len());
    let mut ops = Vec::new();
    for op in asked {
        places.push(op.map(|op| ops.push(op)));
    }
    let mut done = if all_or_none && unreadable {
        let rolled_back = ApiError::new(
            "ALL_OR_NONE_OPERATION_ROLLED_BACK",
            "Record rolled back because not all records were valid and the request was using AllOrNone header",
        );
        let results = ops.iter().map(|_| DmlResult {
            id: None,
            created: false,
            error: Some(rolled_back.clone()),
        });
        results.collect()
    } else {
        app.org.write(&caller.user, &caller.origin, ops, all_or_none)
    }
    .into_iter();
    let answers: Vec<Value> = places
        .into_iter()
        .map(|place| {
            let error = match place {
                Ok(()) => match done.next() {
                    Some(DmlResult {
                        id,
                        created,
                        error: None,
                    }) => {
                        let mut done = json!({"id": id, "success": true, "errors": []});
                        if upserts && let Value::Object(done) = &mut done {
                            done.insert("created".to_owned(), created.into());
                        }
                        return done;
                    }
                    Some(DmlResult {
                        error: Some(error), ..
                    }) => error,
                    None => ApiError::new("UNKNOWN_EXCEPTION", "no result"),
                },
                Err(error) => error,
            };
            json!({
                "success": false,
                "errors": [{
                    "statusCode": error.code,
                    "message": error.message,
                    "fields": error.fields,
                }],
            })
        })
        .collect();
    Reply::json(200, &answers)
}
