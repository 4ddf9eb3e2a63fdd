//! `/admin`: the test's own door. Salesforce has nothing like it; nobody has to sign in.
use std::ops::Bound;
use std::sync::Arc;

use axum::body::Bytes;
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
use crate::org::Org;
use crate::record::Record;
use crate::schema::{self, Entity};
use crate::setup_fields::{CustomField, PicklistValues, Recalculation};
use crate::setup_mapping::FieldMapping;
use crate::setup_org::{NewFiscalYear, NewRecordType, OrgCurrencies};
use crate::table::Key;

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
struct FieldSecurity {
    entity: String,
    field: String,
    hidden: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sharing {
    id: String,
    hidden: bool,
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
        (&Method::POST, ["fields"]) => {
            done(body::<CustomField>(incoming).and_then(|field| app.org.add_field(&field)))
        }
        (&Method::DELETE, ["fields", entity, field]) => done(app.org.remove_field(entity, field)),
        (&Method::POST, ["picklist-values"]) => done(
            body::<PicklistValues>(incoming)
                .and_then(|wanted| app.org.set_picklist_values(&wanted)),
        ),
        (&Method::POST, ["field-security"]) => done(
            body::<FieldSecurity>(incoming)
                .and_then(|wish| app.org.hide_field(&wish.entity, &wish.field, wish.hidden)),
        ),
        (&Method::POST, ["sharing"]) => done(
            body::<Sharing>(incoming).and_then(|wish| app.org.hide_record(&wish.id, wish.hidden)),
        ),
        (&Method::POST, ["person-accounts"]) => {
            app.org.enable_person_accounts();
            Reply::status(204)
        }
        (&Method::POST, ["recalculate"]) => {
            done(body::<Recalculation>(incoming).and_then(|wish| app.org.recalculate(&wish)))
        }
        (&Method::POST, ["currencies"]) => done(
            body::<OrgCurrencies>(incoming).and_then(|wanted| app.org.enable_currencies(&wanted)),
        ),
        (&Method::POST, ["record-types"]) => {
            let made =
                body::<NewRecordType>(incoming).and_then(|wanted| app.org.add_record_type(&wanted));
            made.map_or_else(Reply::from, |id| Reply::json(200, &json!({"id": id})))
        }
        (&Method::POST, ["field-mapping"]) => done(
            body::<Vec<FieldMapping>>(incoming)
                .and_then(|wanted| app.org.deploy_field_mapping(&wanted)),
        ),
        (&Method::POST, ["fiscal-years"]) => done(
            body::<Vec<NewFiscalYear>>(incoming)
                .and_then(|years| app.org.define_fiscal_years(&years)),
        ),
        (&Method::GET, ["history"]) => history(app, incoming),
        (&Method::GET, ["state", entity]) => match schema::entity(entity) {
            Some(entity) => state(app, incoming, entity),
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

fn with_now(org: &Org, record: &Record) -> Value {
    let mut row = record.row();
    for (field, cell) in org.computed_now(record) {
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

/// The records of an object in id order, read piece by piece; after an id and at most so many
/// where that is asked.
fn state(app: &App, incoming: &Incoming, entity: &'static Entity) -> Reply {
    let limit = incoming.parameter("limit");
    let mut left = limit
        .and_then(|text| text.parse().ok())
        .unwrap_or(usize::MAX);
    let after = incoming.parameter("after").map(Key::of);
    let mut from = after.map_or(Bound::Unbounded, Bound::Excluded);
    let org = Arc::clone(&app.org);
    let state = org.state();
    list(std::iter::from_fn(move || {
        let table = state.table(entity.name)?;
        let next = table.range(from, Bound::Unbounded).next()?;
        left = left.checked_sub(1)?;
        from = Bound::Excluded(Key::of(next.id()));
        Some(with_now(&org, next).to_string())
    }))
}

/// The ledger after its first `after` commits, read from disk commit by commit.
fn history(app: &App, incoming: &Incoming) -> Reply {
    let number = |name: &str| incoming.parameter(name).and_then(|text| text.parse().ok());
    let after: usize = number("after").unwrap_or(0);
    let limit: usize = number("limit").unwrap_or(HISTORY_PAGE);
    let commits = app.org.history(after, limit);
    list(commits.map(|commit| serde_json::to_string(&commit).unwrap_or_default()))
}

/// A JSON list that is written while it is sent.
fn list(items: impl Iterator<Item = String> + Send + 'static) -> Reply {
    let mut first = true;
    let items = items.map(move |item| {
        let before = if std::mem::take(&mut first) { "" } else { "," };
        Bytes::from(format!("{before}{item}"))
    });
    let open = std::iter::once(Bytes::from_static(b"["));
    let close = std::iter::once(Bytes::from_static(b"]"));
    Reply::pieces(open.chain(items).chain(close))
}

fn done(result: Result<(), ApiError>) -> Reply {
    result.map_or_else(Reply::from, |()| Reply::status(204))
}

fn body<T: DeserializeOwned>(incoming: &Incoming) -> Result<T, ApiError> {
    serde_json::from_slice(&incoming.body)
        .map_err(|error| ApiError::new("JSON_PARSER_ERROR", error.to_string()))
}
