//! The HTTP doors: sign-in, REST API, and the test's own admin door.
mod admin;
mod auth;
mod browser;
mod bulk;
mod collections;
mod composite;
mod data;
mod query;
mod replication;
mod reply;
mod schemas;
mod soap;
mod tree;

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::Response;
use axum::{Router, body};
use flate2::read::{GzDecoder, ZlibDecoder};

use crate::bulk::Jobs;
use crate::faults::{Faults, HttpFault};
use crate::org::Org;
use crate::pubsub::EventLog;
use crate::tokens::Tokens;
use reply::Reply;

/// What the doors work on.
pub(crate) struct App {
    pub(crate) jobs: Arc<Jobs>,
    pub(crate) org: Arc<Org>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) log: Arc<EventLog>,
    /// The base of every URL handed out, without a slash at its end.
    pub(crate) instance_url: String,
    pub(crate) client: Client,
    pub(crate) counters: Counters,
    pub(crate) cursors: query::Cursors,
    pub(crate) codes: auth::Codes,
    pub(crate) approvals: browser::Approvals,
}

/// The connected app that may sign in.
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) secret: String,
    /// The run-as user of client credentials.
    pub(crate) username: String,
    /// What users sign in with over SOAP, and the token that stands after it.
    pub(crate) password: String,
    pub(crate) security_token: String,
    /// Whether a refresh token is good for one use.
    pub(crate) rotates_refresh_tokens: bool,
    /// PEM: a public key or a certificate. Without it JWT bearer is refused.
    pub(crate) jwt_public_key: Option<Vec<u8>>,
}

/// Requests counted by door.
#[derive(Default)]
pub(crate) struct Counters(Mutex<BTreeMap<String, u64>>);

impl Counters {
    fn add(&self, door: &str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.get_mut(door) {
            Some(count) => *count += 1,
            None => {
                counts.insert(door.to_owned(), 1);
            }
        }
    }

    /// Calls that count against the org's API allowance: all of the data API.
    pub(crate) fn api_calls(&self) -> u64 {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let api = counts.iter().filter(|(door, _)| door.starts_with("data."));
        api.map(|(_, count)| count).sum()
    }

    /// Requests to one door.
    pub(crate) fn of(&self, door: &str) -> u64 {
        self.all().get(door).copied().unwrap_or_default()
    }

    fn all(&self) -> BTreeMap<String, u64> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl App {
    /// Calls that count against the org's API allowance, as the org says it; all of it while a
    /// fault has the allowance used up.
    pub(crate) fn api_usage(&self) -> u64 {
        if self.faults.quota_exhausted() {
            DAILY_API_REQUESTS
        } else {
            self.counters.api_calls()
        }
    }
}

/// The org's API allowance for a day.
pub(crate) const DAILY_API_REQUESTS: u64 = 100_000;

/// The largest request body.
const MAX_BODY: usize = 50 * 1024 * 1024;

/// The longest path with its query, in bytes.
const MAX_URL: usize = 16 * 1024;

/// A request read whole.
pub(crate) struct Incoming {
    pub(crate) method: Method,
    /// The path's parts, decoded; empty ones left out, so that trailing slashes do not matter.
    pub(crate) path: Vec<String>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Incoming {
    /// A query parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A header that is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The session id in `Authorization`.
    pub(crate) fn bearer(&self) -> Option<&str> {
        let (scheme, token) = self.header("authorization")?.split_once(' ')?;
        let known = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("oauth");
        known.then_some(token.trim())
    }
}

pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new().fallback(handle).with_state(app)
}

async fn handle(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let most = if bulk::is_upload(parts.uri.path()) {
        bulk::MAX_UPLOAD
    } else {
        MAX_BODY
    };
    let Ok(body) = body::to_bytes(body, most).await else {
        return Reply::status(413).into_response();
    };
    let Some(body) = unpacked(&parts.headers, body, most) else {
        return Reply::status(413).into_response();
    };
    let target = parts
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str());
    // Salesforce takes no longer URL; what is longer belongs into a body.
    if target.len() > MAX_URL {
        return Reply::status(414).into_response();
    }
    let (path, query) = split_url(target);
    let incoming = Incoming {
        method: method(parts.method, &query),
        path,
        query,
        headers: parts.headers,
        body,
    };
    let path: Vec<&str> = incoming.path.iter().map(String::as_str).collect();
    match path.as_slice() {
        ["healthz"] => Reply::json(200, &serde_json::json!({"status": "ok"})).into_response(),
        ["admin", rest @ ..] => admin::answer(&app, &incoming, rest).into_response(),
        path => public(&app, &incoming, path).await,
    }
}

/// A body as it was before its client compressed it; `None` where that is too large. What cannot be
/// unpacked stays as it is, for its reader to complain of.
fn unpacked(headers: &HeaderMap, body: Bytes, most: usize) -> Option<Bytes> {
    let encoding = headers.get(header::CONTENT_ENCODING);
    let encoding = encoding.and_then(|encoding| encoding.to_str().ok());
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let mut plain = Vec::new();
    let read = match encoding.map(str::trim) {
        Some("gzip") => GzDecoder::new(body.as_ref())
            .take(limit)
            .read_to_end(&mut plain),
        Some("deflate") => ZlibDecoder::new(body.as_ref())
            .take(limit)
            .read_to_end(&mut plain),
        Some(_) | None => return Some(body),
    };
    match read {
        Ok(bytes) if bytes > most => None,
        Ok(_) => Some(Bytes::from(plain)),
        Err(_) => Some(body),
    }
}

/// What a client wants: `POST` with `_HttpMethod=PATCH` stands for what not every HTTP library can
/// send, and `HEAD` for a `GET` of which the server sends the head.
fn method(sent: Method, query: &[(String, String)]) -> Method {
    let wanted = query.iter().find(|(name, _)| name == "_HttpMethod");
    let wanted = wanted.and_then(|(_, wanted)| Method::from_bytes(wanted.as_bytes()).ok());
    match wanted {
        Some(wanted) if sent == Method::POST => wanted,
        Some(_) | None if sent == Method::HEAD => Method::GET,
        Some(_) | None => sent,
    }
}

/// A path with its query to decoded parts and parameters.
pub(crate) fn split_url(url: &str) -> (Vec<String>, Vec<(String, String)>) {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let decode = |part: &str| {
        let encoded = format!("x={}", part.replace('+', "%2B").replace('&', "%26"));
        let decoded = url::form_urlencoded::parse(encoded.as_bytes()).next();
        decoded
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    };
    let parts = path.split('/').filter(|part| !part.is_empty());
    let parameters = url::form_urlencoded::parse(query.as_bytes()).into_owned();
    (parts.map(decode).collect(), parameters.collect())
}

/// What Salesforce has too: subject to faults, counted.
async fn public(app: &App, incoming: &Incoming, path: &[&str]) -> Response {
    match app.faults.take_http() {
        Some(HttpFault::TooManyRequests { retry_after_s }) => {
            app.counters.add("fault.http_429");
            let reply = Reply::status(429).header("retry-after", &retry_after_s.to_string());
            return reply.into_response();
        }
        Some(HttpFault::ServerError { status }) => {
            app.counters.add("fault.http_5xx");
            let error = serde_json::json!([{
                "message": "The server is temporarily unavailable.",
                "errorCode": "SERVER_UNAVAILABLE",
            }]);
            return Reply::json(status, &error).into_response();
        }
        Some(HttpFault::Slow { delay }) => {
            app.counters.add("fault.http_slow");
            tokio::time::sleep(delay).await;
        }
        None => {}
    }
    match path {
        ["services", "oauth2", door] => auth::answer(app, incoming, door).into_response(),
        ["id", org, user] => auth::identity(app, incoming, org, user).into_response(),
        [".well-known", "openid-configuration"] => auth::discovery(app).into_response(),
        ["services", "oauth2", "id", "keys"] | ["id", "keys"] => auth::keys(app).into_response(),
        ["services", "Soap", "u" | "c", version] | ["services", "Soap", "u" | "c", version, _] => {
            soap::answer(app, incoming, version).into_response()
        }
        // Bulk API 1.0 is not here, and says so in JSON.
        ["services", "async", ..] => {
            let error = serde_json::json!({
                "exceptionCode": "FeatureNotEnabled",
                "exceptionMessage": "Bulk API 1.0 is not available in this org",
            });
            Reply::json(404, &error).into_response()
        }
        ["services", "data", rest @ ..] => {
            let reply = data::answer(app, incoming, rest);
            let mut response = reply.into_response();
            let usage = format!("api-usage={}/{DAILY_API_REQUESTS}", app.api_usage());
            if let Ok(usage) = HeaderValue::from_str(&usage) {
                response.headers_mut().insert("sforce-limit-info", usage);
            }
            response.headers_mut().insert(
                header::CACHE_CONTROL,
                HeaderValue::from_static("no-cache,must-revalidate"),
            );
            response
        }
        _ => Reply::not_found().into_response(),
    }
}
