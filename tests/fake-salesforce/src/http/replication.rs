//! `/sobjects/<S>/updated` and `/deleted`: the ids of what changed or went in a span of time.
use std::ops::Bound;

use serde_json::{Value, json};

use super::reply::Reply;
use super::{App, Incoming};
use crate::error::ApiError;
use crate::schema::Entity;
use crate::table::instant;
use crate::time;

const MINUTE_MS: i64 = 60_000;

/// How far back changes can be asked for: 30 days, and deletions: 15.
const UPDATED_DAYS: i64 = 30;
const DELETED_DAYS: i64 = 15;
const DAY_MS: i64 = 86_400_000;

/// The most ids of one answer.
const MAX_IDS: usize = 600_000;

/// A span in whole minutes, in milliseconds since the epoch.
struct Span {
    start: i64,
    end: i64,
}

/// `GET /sobjects/<S>/updated?start=&end=`.
pub(crate) fn updated(
    app: &App,
    incoming: &Incoming,
    entity: &'static Entity,
) -> Result<Reply, ApiError> {
    replicated(entity)?;
    let span = span(app, incoming, UPDATED_DAYS)?;
    let state = app.org.state();
    let records = state.table(entity.name).into_iter().flat_map(|table| {
        let (from, to) = bounds(&span);
        table.by_stamp(from, to)
    });
    let ids: Vec<&str> = records
        .filter(|record| !record.flag("IsDeleted"))
        .map(|record| record.id())
        .take(MAX_IDS + 1)
        .collect();
    too_many(ids.len())?;
    Ok(Reply::json(
        200,
        &json!({"ids": ids, "latestDateCovered": time::datetime_text(span.end)}),
    ))
}

/// `GET /sobjects/<S>/deleted?start=&end=`.
pub(crate) fn deleted(
    app: &App,
    incoming: &Incoming,
    entity: &'static Entity,
) -> Result<Reply, ApiError> {
    replicated(entity)?;
    let span = span(app, incoming, DELETED_DAYS)?;
    let state = app.org.state();
    let records = state.table(entity.name).into_iter().flat_map(|table| {
        let (from, to) = bounds(&span);
        table.by_stamp(from, to)
    });
    let gone: Vec<Value> = records
        .filter(|record| record.flag("IsDeleted"))
        .map(|record| json!({"id": record.id(), "deletedDate": record.get("SystemModstamp")}))
        .take(MAX_IDS + 1)
        .collect();
    too_many(gone.len())?;
    let earliest = now_ms(app) - DELETED_DAYS * DAY_MS;
    Ok(Reply::json(
        200,
        &json!({
            "deletedRecords": gone,
            "earliestDateAvailable": time::datetime_text(earliest),
            "latestDateCovered": time::datetime_text(span.end),
        }),
    ))
}

fn replicated(entity: &Entity) -> Result<(), ApiError> {
    if entity.is_replicated() {
        return Ok(());
    }
    Err(ApiError::new(
        "INVALID_TYPE_FOR_OPERATION",
        format!("object {} is not replicateable", entity.name),
    ))
}

fn too_many(count: usize) -> Result<(), ApiError> {
    if count <= MAX_IDS {
        return Ok(());
    }
    Err(ApiError::new(
        "EXCEEDED_ID_LIMIT",
        format!("more than {MAX_IDS} ids; ask for a shorter span"),
    ))
}

fn bounds(span: &Span) -> (Bound<u64>, Bound<u64>) {
    let at = |ms: i64| instant(&time::datetime_text(ms));
    (
        Bound::Included(at(span.start)),
        Bound::Excluded(at(span.end)),
    )
}

fn span(app: &App, incoming: &Incoming, days: i64) -> Result<Span, ApiError> {
    let minute = |name: &str| {
        let text = incoming.parameter(name);
        // A plus sign that was not escaped arrives as a blank.
        let text = text.map(|text| text.replace(' ', "+"));
        let ms = text.as_deref().and_then(time::milliseconds);
        ms.map(|ms| ms.div_euclid(MINUTE_MS) * MINUTE_MS)
            .ok_or_else(|| {
                ApiError::new(
                    "INVALID_REPLICATION_DATE",
                    format!("{name} must be a date and time with offset, in ISO 8601"),
                )
            })
    };
    let (start, end) = (minute("start")?, minute("end")?);
    if end - start < MINUTE_MS {
        return Err(ApiError::new(
            "INVALID_REPLICATION_DATE",
            "startDate must be at least one minute before endDate",
        ));
    }
    let now = now_ms(app);
    if start < now - days * DAY_MS {
        return Err(ApiError::new(
            "INVALID_REPLICATION_DATE",
            format!("startDate cannot be more than {days} days ago"),
        ));
    }
    // Nothing of the present minute is covered: more may come.
    let covered = now.div_euclid(MINUTE_MS) * MINUTE_MS;
    Ok(Span {
        start,
        end: end.min(covered.max(start)),
    })
}

fn now_ms(app: &App) -> i64 {
    app.org.now_micros().div_euclid(1000)
}
