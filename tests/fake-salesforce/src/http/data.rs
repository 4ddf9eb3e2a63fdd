//! `/services/data`: versions, resources, records.
use axum::http::Method;
use serde_json::{Map, Value, json};

use super::reply::Reply;
use super::{
    App, DAILY_API_REQUESTS, Incoming, auth, bulk, collections, composite, query, replication,
    schemas, tree,
};
use crate::bulk::MAX_QUERY_JOBS;
use crate::commit::Row;
use crate::dml::Dml;
use crate::error::ApiError;
use crate::{describe, id, schema, value};

/// The oldest and the newest version answered.
const VERSIONS: std::ops::RangeInclusive<u32> = 40..=68;

/// Who calls, and how its writes are marked.
pub(crate) struct Caller {
    pub(crate) user: String,
    pub(crate) origin: String,
    /// For example `67.0`.
    pub(crate) version: String,
}

impl Caller {
    /// For example 67.
    pub(crate) fn major(&self) -> u32 {
        let major = self.version.split('.').next().unwrap_or_default();
        major.parse().unwrap_or_default()
    }
}

/// Answers a request below `/services/data`.
pub(crate) fn answer(app: &App, incoming: &Incoming, path: &[&str]) -> Reply {
    let Some((version, rest)) = path.split_first() else {
        app.counters.add("versions");
        return versions();
    };
    let Some(version) = known_version(version) else {
        // A version that is still to come is as unknown as what is none.
        return if major(version).is_some_and(|major| major < *VERSIONS.start()) {
            Reply::from(ApiError::new(
                "UNSUPPORTED_API_VERSION",
                "The requested API version is not available here; use v40.0 to v68.0",
            ))
        } else {
            Reply::not_found()
        };
    };
    let session = incoming
        .bearer()
        .and_then(|token| app.tokens.session(token, true));
    let Some(session) = session else {
        app.counters.add("unauthorized");
        return Reply::from(ApiError::new(
            "INVALID_SESSION_ID",
            "Session expired or invalid",
        ));
    };
    app.counters
        .add(&format!("data.{}", rest.first().unwrap_or(&"resources")));
    if app.faults.quota_exhausted() {
        return Reply::from(ApiError::new(
            "REQUEST_LIMIT_EXCEEDED",
            "TotalRequests Limit exceeded.",
        ));
    }
    let caller = Caller {
        user: session.user,
        origin: origin(incoming, &version),
        version,
    };
    let readable = check_media_type(incoming);
    let reply = readable.and_then(|()| route(app, incoming, &caller, rest));
    reply.unwrap_or_else(Reply::from)
}

/// Bodies are JSON, which a form's are not, whatever is in them: `curl -d` says form where nothing
/// else is said. What comes by `PUT` is CSV and looked at by its reader.
fn check_media_type(incoming: &Incoming) -> Result<(), ApiError> {
    let is_read = matches!(incoming.method, Method::POST | Method::PATCH);
    let kind = incoming.header("content-type").filter(|_| is_read);
    let kind = kind.and_then(|kind| kind.split(';').next());
    let kind = kind.map_or("application/json", str::trim);
    if incoming.body.is_empty() || kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(ApiError::new(
        "UNSUPPORTED_MEDIA_TYPE",
        format!("MediaType of '{kind}' is not supported by this resource"),
    ))
}

/// Answers a signed-in request below the version.
pub(crate) fn route(
    app: &App,
    incoming: &Incoming,
    caller: &Caller,
    path: &[&str],
) -> Result<Reply, ApiError> {
    let version = &caller.version;
    match (&incoming.method, path) {
        (&Method::GET, []) => Ok(resources(app, caller)),
        (&Method::GET, ["composite"]) => {
            let names = ["batch", "sobjects", "tree"];
            Ok(Reply::json(200, &below(caller, "composite/", &names)))
        }
        (&Method::GET, ["jobs"]) => {
            let names = ["ingest", "query"];
            Ok(Reply::json(200, &below(caller, "jobs/", &names)))
        }
        (&Method::GET, ["query"]) => Ok(query::first_page(app, incoming, version, false)),
        (&Method::GET, ["queryAll" | "queryall"]) => {
            Ok(query::first_page(app, incoming, version, true))
        }
        (&Method::GET, ["query" | "queryAll" | "queryall", cursor]) => {
            Ok(query::next_page(app, cursor, version))
        }
        (&Method::GET, ["limits"]) => Ok(limits(app)),
        (&Method::GET, ["sobjects"]) => Ok(Reply::json(
            200,
            &describe::global(&app.org.state(), version),
        )),
        (&Method::GET, ["sobjects", entity, "describe"]) => {
            describe(app, incoming, version, entity)
        }
        (&Method::GET, ["sobjects", entity]) => {
            let mut described = app.org.describe_as(found(entity)?.name, version)?;
            if let Value::Object(described) = &mut described {
                described.retain(|key, _| key != "fields" && key != "childRelationships");
            }
            let answer = json!({"objectDescribe": described, "recentItems": []});
            Ok(Reply::json(200, &answer))
        }
        (&Method::POST, ["sobjects", entity]) => create(app, incoming, caller, entity),
        (&Method::GET, ["sobjects", entity, "eventSchema"]) => {
            schemas::by_event(app, incoming, entity)
        }
        (&Method::GET, ["event", "eventSchema", id]) => schemas::by_id(app, incoming, id),
        (&Method::GET, ["sobjects", entity, "updated"]) => {
            replication::updated(app, incoming, found(entity)?)
        }
        (&Method::GET, ["sobjects", entity, "deleted"]) => {
            replication::deleted(app, incoming, found(entity)?)
        }
        (method, ["sobjects", entity, key]) => record(app, incoming, caller, method, entity, key),
        (&Method::PATCH | &Method::POST, ["sobjects", entity, field, key])
            if !field.eq_ignore_ascii_case("Id") && is_external(app, entity, field) =>
        {
            upsert(app, incoming, caller, found(entity)?, field, key)
        }
        (method, ["sobjects", entity, field, key]) => {
            match by_field(app, found(entity)?, field, key)?.as_slice() {
                [one] => record(app, incoming, caller, method, entity, one),
                [] => Ok(Reply::not_found()),
                several => Ok(choices(caller, several)),
            }
        }
        (&Method::POST, ["composite"]) => composite::composite(app, incoming, caller),
        (&Method::POST, ["composite", "batch"]) => composite::batch(app, incoming, caller),
        (&Method::POST, ["composite", "tree", entity]) => {
            tree::tree(app, incoming, caller, found(entity)?)
        }
        (_, ["jobs", rest @ ..]) => bulk::answer(app, incoming, caller, rest),
        (_, ["composite", "sobjects", rest @ ..]) => {
            collections::answer(app, incoming, caller, rest)
        }
        (
            _,
            []
            | ["query" | "queryAll" | "limits" | "sobjects", ..]
            | ["composite"]
            | ["composite", "batch" | "tree", ..],
        ) => Err(ApiError::new(
            "METHOD_NOT_ALLOWED",
            format!("HTTP Method '{}' not allowed", incoming.method),
        )),
        _ => Ok(Reply::not_found()),
    }
}

fn create(
    app: &App,
    incoming: &Incoming,
    caller: &Caller,
    entity: &str,
) -> Result<Reply, ApiError> {
    let op = Dml::Insert {
        entity: found(entity)?.name.to_owned(),
        fields: body_object(incoming)?,
    };
    let results = app.org.transact(&caller.user, &caller.origin, vec![op])?;
    let record_id = results.into_iter().next().and_then(|result| result.id);
    let created = json!({"id": record_id, "success": true, "errors": []});
    let place = place(caller, &record_id.unwrap_or_default());
    Ok(Reply::json(201, &created).header("location", &place))
}

fn record(
    app: &App,
    incoming: &Incoming,
    caller: &Caller,
    method: &Method,
    entity: &str,
    key: &str,
) -> Result<Reply, ApiError> {
    let entity = found(entity)?;
    let whole = id::to_18(key).filter(|whole| whole.starts_with(entity.prefix));
    let Some(record_id) = whole else {
        // What is not as long as an id is taken for the name of a key field.
        if !matches!(key.len(), 15 | 18) {
            return Err(collections::no_external_id(key));
        }
        return Err(ApiError::on_field(
            "MALFORMED_ID",
            format!("{} ID: id value of incorrect type: {key}", entity.name),
            "Id",
        ));
    };
    let current = app.org.record(entity.name, &record_id);
    let Some(current) = current else {
        return Ok(Reply::not_found());
    };
    if !app.org.state().is_visible(&current) {
        return Ok(Reply::not_found());
    }
    if current.flag("IsDeleted") {
        return Err(ApiError::new("ENTITY_IS_DELETED", "entity is deleted"));
    }
    let name = entity.name.to_owned();
    let op = match *method {
        Method::GET => {
            let fields: Vec<String> = match incoming.parameter("fields") {
                Some(list) => list.split(',').map(|name| name.trim().to_owned()).collect(),
                None => {
                    let described = app.org.entity(entity.name).unwrap_or(entity);
                    let leaves = described.fields.iter();
                    let leaves = leaves.filter(|field| !field.hidden && !field.removed);
                    let leaves = leaves.map(|field| field.name);
                    let addresses = entity.addresses.iter().map(|(name, _)| *name);
                    leaves.chain(addresses).map(str::to_owned).collect()
                }
            };
            let rows = app
                .org
                .retrieve_as(&name, &[record_id], &fields, Some(&caller.version))?;
            return Ok(match rows.into_iter().flatten().next() {
                Some(row) => Reply::json(200, &row),
                None => Reply::not_found(),
            });
        }
        Method::PATCH => {
            let fields = body_object(incoming)?;
            refuse_key(&fields, "Id")?;
            Dml::Update {
                entity: name,
                id: record_id,
                fields,
            }
        }
        Method::DELETE => Dml::Delete {
            entity: name,
            id: record_id,
        },
        _ => {
            return Err(ApiError::new(
                "METHOD_NOT_ALLOWED",
                format!("HTTP Method '{method}' not allowed. Allowed are HEAD,GET,PATCH,DELETE"),
            ));
        }
    };
    app.org.transact(&caller.user, &caller.origin, vec![op])?;
    Ok(Reply::status(204))
}

/// `GET /sobjects/<S>/describe`; 304 where the caller's copy is not older than the object's last
/// change.
fn describe(
    app: &App,
    incoming: &Incoming,
    version: &str,
    entity: &str,
) -> Result<Reply, ApiError> {
    let entity = found(entity)?;
    let changed_s = app
        .org
        .described_at_micros(entity.name)
        .div_euclid(1_000_000);
    let known = incoming.header("if-modified-since");
    let known = known.and_then(|known| jiff::fmt::rfc2822::parse(known).ok());
    if known.is_some_and(|known| known.timestamp().as_second() >= changed_s) {
        return Ok(Reply::status(304));
    }
    let described = app.org.describe_as(entity.name, version)?;
    let reply = Reply::json(200, &described);
    let changed = jiff::Timestamp::from_second(changed_s).unwrap_or_default();
    Ok(reply.header(
        "last-modified",
        &changed.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string(),
    ))
}

/// Whether records of the object can be upserted by this field.
pub(crate) fn is_external(app: &App, entity: &str, field: &str) -> bool {
    let described = app.org.entity(entity);
    described
        .and_then(|described| described.visible(field))
        .is_some_and(|(_, field)| field.external_id)
}

/// The first version that has a body for a record that was there before.
const FIRST_UPSERT_BODY: u32 = 46;

/// Updates the record with this external id, or makes one.
fn upsert(
    app: &App,
    incoming: &Incoming,
    caller: &Caller,
    entity: &schema::Entity,
    field: &str,
    key: &str,
) -> Result<Reply, ApiError> {
    let fields = body_object(incoming)?;
    refuse_key(&fields, "Id")?;
    refuse_key(&fields, field)?;
    let there = by_field(app, entity, field, key)?;
    if there.len() > 1 {
        return Ok(choices(caller, &there));
    }
    let op = Dml::Upsert {
        entity: entity.name.to_owned(),
        field: field.to_owned(),
        value: key.into(),
        fields,
    };
    let results = app.org.transact(&caller.user, &caller.origin, vec![op])?;
    let done = results.into_iter().next();
    let created = done.as_ref().is_some_and(|done| done.created);
    if !created && caller.major() < FIRST_UPSERT_BODY {
        return Ok(Reply::status(204));
    }
    let record_id = done.and_then(|done| done.id);
    let answer = json!({"id": record_id, "success": true, "errors": [], "created": created});
    if !created {
        return Ok(Reply::json(200, &answer));
    }
    let place = place(caller, &record_id.unwrap_or_default());
    Ok(Reply::json(201, &answer).header("location", &place))
}

/// The key of a record stands in the URL, and nowhere else.
pub(crate) fn refuse_key(fields: &Row, key: &str) -> Result<(), ApiError> {
    let named = fields.keys().find(|name| name.eq_ignore_ascii_case(key));
    named.map_or(Ok(()), |name| {
        Err(ApiError::new(
            "INVALID_FIELD",
            format!("The {name} field should not be specified in the sobject data."),
        ))
    })
}

/// The ids behind a value of a unique field or external id.
fn by_field(
    app: &App,
    entity: &schema::Entity,
    field: &str,
    key: &str,
) -> Result<Vec<String>, ApiError> {
    if field.eq_ignore_ascii_case("Id") {
        return Ok(vec![key.to_owned()]);
    }
    let state = app.org.state();
    let described = state.entity(entity.name).unwrap_or(entity);
    let (position, field) = described
        .visible(field)
        .filter(|(_, field)| field.external_id || field.name == "Username")
        .ok_or_else(|| collections::no_external_id(field))?;
    let value = value::key(described, field, key);
    let found = value
        .zip(state.table(entity.name))
        .map(|(value, table)| table.external(position, &value))
        .unwrap_or_default();
    let alive = found.iter().filter(|record| !record.flag("IsDeleted"));
    Ok(alive.map(|record| record.id().to_owned()).collect())
}

/// The answer where an external id is that of several records: where each is.
fn choices(caller: &Caller, ids: &[String]) -> Reply {
    let places: Vec<String> = ids.iter().map(|id| place(caller, id)).collect();
    Reply::json(300, &places)
}

/// Where a record is.
pub(crate) fn place(caller: &Caller, record_id: &str) -> String {
    let entity = id::entity_of(record_id).map_or("", |entity| entity.name);
    let version = &caller.version;
    format!("/services/data/v{version}/sobjects/{entity}/{record_id}")
}

/// An object named in a path: unknown ones are not found.
pub(crate) fn found(entity: &str) -> Result<&'static schema::Entity, ApiError> {
    schema::entity(entity)
        .ok_or_else(|| ApiError::new("NOT_FOUND", "The requested resource does not exist"))
}

/// The body as a JSON object.
pub(crate) fn body_object(incoming: &Incoming) -> Result<Row, ApiError> {
    serde_json::from_slice(&incoming.body)
        .map_err(|error| ApiError::new("JSON_PARSER_ERROR", format!("{error}")))
}

/// `changeOrigin` of what this request writes.
fn origin(incoming: &Incoming, version: &str) -> String {
    let client = incoming.header("sforce-call-options").and_then(|options| {
        let mut options = options.split(',');
        options.find_map(|option| option.trim().strip_prefix("client=").map(str::to_owned))
    });
    match client {
        Some(client) => format!("com/salesforce/api/rest/{version};client={client}"),
        None => format!("com/salesforce/api/rest/{version}"),
    }
}

fn known_version(part: &str) -> Option<String> {
    let number = part.strip_prefix('v')?;
    VERSIONS.contains(&major(part)?).then(|| number.to_owned())
}

/// `v67.0` to 67.
fn major(part: &str) -> Option<u32> {
    let (major, minor) = part.strip_prefix('v')?.split_once('.')?;
    let major = major.parse().ok()?;
    (minor == "0").then_some(major)
}

fn versions() -> Reply {
    let seasons = ["Spring", "Summer", "Winter"];
    let list: Vec<Value> = VERSIONS
        .map(|version| {
            // v40.0 is Summer '17; three releases a year, Winter counted to the year after.
            let steps = version - 40 + 1;
            let season = seasons.get(usize::try_from(steps % 3).unwrap_or_default());
            let season = season.copied().unwrap_or_default();
            let year = 17 + (version - 40 + 1) / 3 + u32::from(season == "Winter");
            json!({
                "label": format!("{season} '{year}"),
                "url": format!("/services/data/v{version}.0"),
                "version": format!("{version}.0"),
            })
        })
        .collect();
    Reply::json(200, &list)
}

fn resources(app: &App, caller: &Caller) -> Reply {
    let names = [
        "sobjects",
        "query",
        "queryAll",
        "limits",
        "composite",
        "jobs",
    ];
    let mut entries = below(caller, "", &names);
    let identity = auth::identity_url(app, &caller.user);
    entries.insert("identity".to_owned(), identity.into());
    Reply::json(200, &entries)
}

/// Resources by name, below a path with a slash at its end.
fn below(caller: &Caller, path: &str, names: &[&str]) -> Map<String, Value> {
    let version = &caller.version;
    let entries = names.iter().map(|name| {
        let url = format!("/services/data/v{version}/{path}{name}");
        ((*name).to_owned(), Value::from(url))
    });
    entries.collect()
}

fn limits(app: &App) -> Reply {
    let used = app.api_usage();
    let untouched = |max: u64| json!({"Max": max, "Remaining": max});
    Reply::json(
        200,
        &json!({
            "ConcurrentAsyncGetReportInstances": untouched(200),
            "DailyApiRequests": {
                "Max": DAILY_API_REQUESTS,
                "Remaining": DAILY_API_REQUESTS.saturating_sub(used),
            },
            "DailyAsyncApexExecutions": untouched(250_000),
            "DailyBulkApiBatches": untouched(15_000),
            "DailyBulkV2QueryFileStorageMB": untouched(976_562),
            "DailyBulkV2QueryJobs": {
                "Max": MAX_QUERY_JOBS,
                "Remaining": app.jobs.quota.left(app.org.now_micros().div_euclid(1000)),
            },
            "DailyDeliveredPlatformEvents": untouched(50_000),
            "DataStorageMB": untouched(10_240),
            "FileStorageMB": untouched(10_240),
            "HourlyPublishedPlatformEvents": untouched(250_000),
            "MonthlyPlatformEventsUsageEntitlement": untouched(0),
        }),
    )
}

/// A record that the caller names by `attributes.type` or by the path.
pub(crate) fn entity_of_record(record: &Row) -> Result<&'static schema::Entity, ApiError> {
    let name = record
        .get("attributes")
        .and_then(|attributes| attributes.get("type"))
        .and_then(Value::as_str);
    match name {
        Some(name) => schema::entity(name).ok_or_else(|| {
            ApiError::new(
                "INVALID_TYPE",
                format!("sObject type '{name}' is not supported."),
            )
        }),
        None => Err(ApiError::new(
            "INVALID_TYPE",
            "Must send an object type in attributes.type",
        )),
    }
}
