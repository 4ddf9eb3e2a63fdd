//! The doors: the ingest contract under `/v1`, the test's own under `/admin`.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Duration, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::fault::Fault;
use crate::mos::{Answer, Delivery, GARBAGE, Mos, Right, unauthorized, unavailable};
use crate::request::BODY_BYTES_MAX;
use crate::schema::RecordType;
use crate::socket::Scissors;

/// How much of an oversized body is read before the answer, so that the caller can hear the 413
/// instead of a reset connection.
const DRAIN_BYTES_MAX: usize = 16 * BODY_BYTES_MAX;
/// Ledger entries of a page, at most.
const LEDGER_PAGE_MAX: usize = 10_000;

/// What every handler shares.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) mos: Arc<Mos>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stopping: CancellationToken,
}

pub(crate) fn router(shared: Shared) -> Router {
    Router::new()
        .route("/v1/records/upsert", post(upsert))
        .route("/v1/records/{type}", get(list))
        .route("/v1/records/{type}/{external_id}", get(one))
        .route("/healthz", get(healthz))
        .route("/admin/faults", post(set_fault))
        .route("/admin/ledger", get(ledger))
        .route("/admin/records/{type}", get(admin_records))
        .route("/admin/counters", get(counters))
        .route("/admin/outcomes", get(outcomes))
        .with_state(shared)
}

async fn upsert(
    State(shared): State<Shared>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let arrived = shared.mos.now();
    let plan = shared.mos.plan();
    let body = match to_bytes(body, DRAIN_BYTES_MAX).await {
        Ok(body) => body,
        Err(_cut_or_huge) => {
            // Either the caller left, or nothing this large is worth reading to its end.
            scissors.cut_all();
            return StatusCode::PAYLOAD_TOO_LARGE.into_response();
        }
    };
    let key = headers
        .get("idempotency-key")
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let right = shared.mos.right_of(bearer(&headers));

    // On a task of its own: a caller that hangs up does not stop what was begun.
    let mos = Arc::clone(&shared.mos);
    let stopping = shared.stopping.clone();
    let work = shared.tasks.spawn(async move {
        if plan.delay_ms > 0 {
            tokio::select! {
                () = sleep(Duration::from_millis(plan.delay_ms)) => {}
                () = stopping.cancelled() => {}
            }
        }
        mos.upsert(arrived, plan, right, key.as_deref(), &body)
    });
    match work.await {
        Ok(answer) => deliver(answer, &scissors, &shared.stopping).await,
        Err(_panicked) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[derive(Deserialize)]
struct Listing {
    #[serde(default)]
    after: String,
    limit: Option<String>,
    fields: Option<String>,
}

async fn list(
    State(shared): State<Shared>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    Path(kind): Path<String>,
    Query(listing): Query<Listing>,
    headers: HeaderMap,
) -> Response {
    let answer = readable(&shared.mos, &headers, &scissors).unwrap_or_else(|| {
        shared.mos.list(
            &kind,
            &listing.after,
            listing.limit.as_deref(),
            listing.fields.as_deref(),
        )
    });
    deliver(answer, &scissors, &shared.stopping).await
}

async fn one(
    State(shared): State<Shared>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    Path((kind, external_id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let answer = readable(&shared.mos, &headers, &scissors)
        .unwrap_or_else(|| shared.mos.one(&kind, &external_id));
    deliver(answer, &scissors, &shared.stopping).await
}

/// The answer of a reading door that stays shut.
fn readable(mos: &Mos, headers: &HeaderMap, scissors: &Scissors) -> Option<Answer> {
    if let Some(refuse) = mos.down() {
        if refuse {
            scissors.cut_all();
        }
        return Some(unavailable());
    }
    match mos.right_of(bearer(headers)) {
        Right::None => Some(unauthorized()),
        Right::Read | Right::Ingest => None,
    }
}

async fn healthz(
    State(shared): State<Shared>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
) -> Response {
    let answer = match shared.mos.down() {
        Some(refuse) => {
            if refuse {
                scissors.cut_all();
            }
            unavailable()
        }
        None => Answer::whole(200, json!({ "status": "ok" })),
    };
    deliver(answer, &scissors, &shared.stopping).await
}

async fn set_fault(State(shared): State<Shared>, body: Body) -> Response {
    let fault = match to_bytes(body, BODY_BYTES_MAX).await {
        Ok(body) => serde_json::from_slice::<Fault>(&body),
        Err(_unreadable) => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
    };
    let done = fault
        .map_err(|error| error.to_string())
        .and_then(|fault| shared.mos.fault(fault).map_err(|error| error.to_string()));
    match done {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(message) => json_response(
            422,
            &json!({ "error": { "code": "malformed", "message": message } }),
        ),
    }
}

#[derive(Deserialize)]
struct LedgerPage {
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

/// A page of the ledger, each entry read from disk when it is sent.
async fn ledger(State(shared): State<Shared>, Query(page): Query<LedgerPage>) -> Response {
    let limit = page.limit.unwrap_or(LEDGER_PAGE_MAX).min(LEDGER_PAGE_MAX);
    let first = usize::try_from(page.after).unwrap_or(usize::MAX);
    let end = shared.mos.ledger_len().min(first.saturating_add(limit));
    let entries = (first..end).filter_map(move |place| {
        let mut line = shared.mos.ledger_line(place)?;
        if place > first {
            line.insert(0, b',');
        }
        Some(line)
    });
    let opened = std::iter::once(b"{\"entries\":[".to_vec());
    let closed = std::iter::once(b"]}".to_vec());
    let pieces = opened.chain(entries).chain(closed);
    let pieces = pieces.map(Ok::<_, std::convert::Infallible>);
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (kind, Body::from_stream(futures::stream::iter(pieces))).into_response()
}

async fn outcomes(State(shared): State<Shared>) -> Response {
    json_response(200, &json!(shared.mos.outcomes()))
}

async fn admin_records(State(shared): State<Shared>, Path(kind): Path<String>) -> Response {
    match kind.parse::<RecordType>() {
        Ok(kind) => json_response(200, &json!({ "records": shared.mos.records(kind) })),
        Err(unknown) => json_response(
            404,
            &json!({ "error": { "code": "unknown_type", "message": unknown.to_string() } }),
        ),
    }
}

async fn counters(State(shared): State<Shared>) -> Response {
    json_response(200, &shared.mos.counters())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(key)
}

async fn deliver(answer: Answer, scissors: &Scissors, stopping: &CancellationToken) -> Response {
    match answer.delivery {
        Delivery::Whole => {}
        Delivery::Never => {
            stopping.cancelled().await;
            scissors.cut_all();
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        Delivery::Lost => {
            scissors.cut_all();
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        Delivery::Truncated => scissors.cut_tail(answer.body.to_string().len() / 2),
        Delivery::Garbage => {
            let kind = [(header::CONTENT_TYPE, "application/json")];
            return (StatusCode::OK, kind, GARBAGE).into_response();
        }
    }
    let mut response = json_response(answer.status, &answer.body);
    if let Some(seconds) = answer.retry_after_s {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn json_response(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (status, kind, body.to_string()).into_response()
}
