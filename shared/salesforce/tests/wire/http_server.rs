//! An HTTP server that records what it is asked and answers as a test says.

use std::fmt::Debug;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, Version};
use axum::response::{IntoResponse, Response};
use domain::Timestamp;
use futures::{StreamExt, stream};
use ports::Clock;
use salesforce::{Config, Grant, Salesforce};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;
use url::Url;

pub(crate) const ORG: &str = "00D000000000001EAA";

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    /// Which request of this path it is, counted from 0.
    pub(crate) nth: usize,
}

/// What to answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    pub(crate) body: String,
    /// Answer only after this time.
    pub(crate) delay: Duration,
    /// Sent piece by piece instead of `body`.
    pub(crate) pieces: Option<(Vec<Vec<u8>>, End)>,
    /// The same for a body that is made while it is sent: pieces up to the first that there is not.
    pub(crate) made: Option<Made>,
}

/// Makes the next piece.
pub(crate) struct Made(pub(crate) Box<dyn FnMut() -> Option<Vec<u8>> + Send>);

impl Debug for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Made")
    }
}

/// What follows the last piece.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    Regular,
    /// The connection is closed, and nothing else says that it is the end.
    Unmarked,
    /// The connection is closed too early.
    Broken,
    /// Nothing, ever.
    Silent,
}

impl Reply {
    pub(crate) fn ok(body: impl Into<String>) -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
            body: body.into(),
            delay: Duration::ZERO,
            pieces: None,
            made: None,
        }
    }

    pub(crate) fn error(status: u16, code: &str) -> Self {
        Self {
            status,
            ..Self::ok(format!(
                r#"[{{"message":"as the test says","errorCode":"{code}"}}]"#
            ))
        }
    }
}

type Respond = dyn Fn(&Seen) -> Reply + Send + Sync;

#[derive(Clone)]
struct Shared {
    url: Url,
    seen: Arc<Mutex<Vec<Seen>>>,
    respond: Arc<Respond>,
}

/// A running server.
pub(crate) struct Server {
    pub(crate) url: Url,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Requests to the token endpoint are answered with the tokens T1, T2, ... unless `respond`
    /// answers them with another status than 404.
    pub(crate) async fn start(respond: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let seen = Arc::default();
        let shared = Shared {
            url: url.clone(),
            seen: Arc::clone(&seen),
            respond: Arc::new(respond),
        };
        let app = Router::new().fallback(answer).with_state(shared);
        TaskTracker::new().spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, seen }
    }

    pub(crate) fn seen(&self, path: &str) -> Vec<Seen> {
        self.seen
            .lock()
            .unwrap()
            .iter()
            .filter(|seen| seen.target.starts_with(path))
            .cloned()
            .collect()
    }

    pub(crate) fn sign_ins(&self) -> usize {
        self.seen(TOKEN_PATH).len()
    }

    /// A client of this server.
    pub(crate) fn client(&self) -> Salesforce {
        salesforce::connect(self.config(), Arc::new(FixedClock)).unwrap()
    }

    pub(crate) fn config(&self) -> Config {
        Config {
            login_url: self.url.clone(),
            api_version: salesforce::config::API_VERSION.to_owned(),
            grant: Grant::ClientCredentials {
                client_id: "app".to_owned(),
                client_secret: "hush".to_owned().into(),
            },
            pubsub_endpoint: self.url.clone(),
            watchdog: Duration::from_secs(30),
            request_timeout: Duration::from_secs(20),
            plaintext_allowed: false,
        }
    }
}

pub(crate) const TOKEN_PATH: &str = "/services/oauth2/token";

async fn answer(
    State(shared): State<Shared>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let target = uri.to_string();
    let seen = {
        let mut all = shared.seen.lock().unwrap();
        let nth = all
            .iter()
            .filter(|earlier| earlier.target.split('?').next() == Some(uri.path()))
            .count();
        let seen = Seen {
            target,
            headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
            nth,
        };
        all.push(seen.clone());
        seen
    };
    let mut reply = (shared.respond)(&seen);
    if uri.path() == TOKEN_PATH && reply.status == 404 {
        reply = Reply::ok(token(&format!("T{}", seen.nth + 1), shared.url.as_str()));
    }
    tokio::time::sleep(reply.delay).await;
    let status = StatusCode::from_u16(reply.status).unwrap();
    let is_unmarked = matches!(reply.pieces, Some((_, End::Unmarked)));
    let mut response = match (reply.made, reply.pieces) {
        (Some(Made(mut next)), _) => {
            let pieces = std::iter::from_fn(move || next().map(Ok::<_, io::Error>));
            (status, Body::from_stream(stream::iter(pieces))).into_response()
        }
        (None, None) => (status, reply.body).into_response(),
        (None, Some((pieces, end))) => (status, streamed(pieces, end)).into_response(),
    };
    for (name, value) in reply.headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    if is_unmarked {
        *response.version_mut() = Version::HTTP_10;
    }
    response
}

fn streamed(pieces: Vec<Vec<u8>>, end: End) -> Body {
    let pieces = stream::iter(pieces.into_iter().map(Ok));
    match end {
        End::Regular | End::Unmarked => Body::from_stream(pieces),
        End::Broken => Body::from_stream(pieces.chain(stream::once(async {
            // What came before is sent while this one is not ready.
            tokio::task::yield_now().await;
            Err(io::Error::other("broken"))
        }))),
        End::Silent => Body::from_stream(pieces.chain(stream::pending())),
    }
}

/// A token endpoint's answer.
pub(crate) fn token(token: &str, instance_url: &str) -> String {
    format!(
        r#"{{"access_token":"{token}","instance_url":"{instance_url}","id":"https://login.salesforce.com/id/{ORG}/005000000000001AAA","token_type":"Bearer"}}"#
    )
}

pub(crate) fn not_found() -> Reply {
    Reply::error(404, "NOT_FOUND")
}

/// 2026-01-01T00:00:00Z, always.
#[derive(Debug)]
pub(crate) struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_767_225_600_000)
    }
}
