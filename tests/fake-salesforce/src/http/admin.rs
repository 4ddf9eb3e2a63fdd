//! `/admin`: the test's own door. Salesforce has nothing like it; nobody has to sign in.
use axum::http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::reply::Reply;
use super::{App, Incoming};
use crate::bulk::faults::BulkFault;
use crate::dml::Dml;
use crate::error::ApiError;
use crate::faults::Fault;
use crate::record::Record;
use crate::schema;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockOffset {
    offset_ms: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Undelete {
    entity: String,
    ids: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Merge {
    entity: String,
    winner: String,
    losers: Vec<String>,
}

/// Commits in one answer of the history where no limit is given.
const HISTORY_PAGE: usize = 1000;

/// Answers a request below `/admin`.
pub(crate) fn answer(app: &App, incoming: &Incoming, path: &[&str]) -> Reply {
    match (&incoming.method, path) {
        (&Method::POST, ["faults"]) if is_bulk_fault(incoming) => {
            match body::<BulkFault>(incoming) {
                Ok(fault) => {
                    app.jobs.apply(fault);
                    Reply::status(204)
                }
                Err(error) => Reply::from(error),
            }
        }
        (&Method::POST, ["faults"]) => match body::<Fault>(incoming) {
            Ok(fault) => {
                app.faults.apply(fill_ids(app, fault));
                Reply::status(204)
            }
            Err(error) => Reply::from(error),
        },
        (&Method::POST, ["clock"]) => match body::<ClockOffset>(incoming) {
            Ok(clock) => {
                app.org.set_clock_offset_ms(clock.offset_ms);
                Reply::json(200, &json!({"now_micros": app.org.now_micros()}))
            }
            Err(error) => Reply::from(error),
        },
        (&Method::POST, ["undelete"]) => match body::<Undelete>(incoming) {
            Ok(Undelete { entity, ids }) => {
                let ops = ids.into_iter().map(|id| Dml::Undelete {
                    entity: entity.clone(),
                    id,
                });
                transact(app, incoming, ops.collect())
            }
            Err(error) => Reply::from(error),
        },
        (&Method::POST, ["merge"]) => match body::<Merge>(incoming) {
            Ok(Merge {
                entity,
                winner,
                losers,
            }) => {
                let op = Dml::Merge {
                    entity,
                    winner,
                    losers,
                };
                transact(app, incoming, vec![op])
            }
            Err(error) => Reply::from(error),
        },
        (&Method::GET, ["history"]) => history(app, incoming),
        (&Method::GET, ["state", entity]) => match schema::entity(entity) {
            Some(entity) => {
                let records = app.org.records(entity.name);
                let rows: Vec<Value> = records.iter().map(|row| with_now(app, row)).collect();
                Reply::json(200, &rows)
            }
            None => Reply::not_found(),
        },
        (&Method::GET, ["counters"]) => Reply::json(
            200,
            &json!({"api_calls": app.counters.api_calls(), "doors": app.counters.all()}),
        ),
        _ => Reply::not_found(),
    }
}

/// The kinds of the Bulk API's faults all begin with its name.
fn is_bulk_fault(incoming: &Incoming) -> bool {
    let fault: Option<Value> = serde_json::from_slice(&incoming.body).ok();
    let kind = fault.as_ref().and_then(|fault| fault.get("kind"));
    kind.and_then(Value::as_str)
        .is_some_and(|kind| kind.starts_with("bulk_"))
}

/// A gap of no ids given is one of the object's first record.
fn fill_ids(app: &App, mut fault: Fault) -> Fault {
    if let Fault::Gap { entity, ids, .. } = &mut fault
        && ids.is_empty()
    {
        let first = app.org.records(entity).into_iter().next();
        ids.extend(first.map(|row| row.id().to_owned()));
    }
    fault
}

fn with_now(app: &App, record: &Record) -> Value {
    let mut row = record.row();
    for (field, cell) in app.org.computed_now(record) {
        row.insert(field.to_owned(), cell.json());
    }
    Value::Object(row)
}

fn transact(app: &App, incoming: &Incoming, ops: Vec<Dml>) -> Reply {
    let user = incoming.header("x-user").unwrap_or(app.org.admin_id());
    match app.org.transact(user, "SfdcInternalAPI/", ops) {
        Ok(results) => {
            let ids: Vec<_> = results.into_iter().map(|result| result.id).collect();
            Reply::json(200, &json!({"ids": ids}))
        }
        Err(error) => Reply::from(error),
    }
}

/// The ledger after its first `after` commits.
fn history(app: &App, incoming: &Incoming) -> Reply {
    let number = |name: &str| incoming.parameter(name).and_then(|text| text.parse().ok());
    let after: usize = number("after").unwrap_or(0);
    let limit: usize = number("limit").unwrap_or(HISTORY_PAGE);
    let commits = app.org.commits_since(after);
    let page: Vec<_> = commits.iter().take(limit).map(AsRef::as_ref).collect();
    Reply::json(200, &page)
}

fn body<T: DeserializeOwned>(incoming: &Incoming) -> Result<T, ApiError> {
    serde_json::from_slice(&incoming.body)
        .map_err(|error| ApiError::new("JSON_PARSER_ERROR", error.to_string()))
}
