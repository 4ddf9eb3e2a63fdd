//! Stores and queues in memory, and the API on a socket.

mod contents;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::body::{Body, Bytes};
use console::api::{Keys, Server};
use console::{Console, Operations, token};
use domain::filter::FieldTypes;
use domain::settings::{Settings, SettingsRevision};
use domain::{ObjectKind, SalesforceId, Timestamp};
use embedded::{Embedded, Location};
use fake_salesforce::org::Org;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use ports::Clock;
use ports::queue::Queue;
use ports::source::Source;
use ports::stores::Stores;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use crate::org::{DeskOrg, ORG};

pub(crate) const TOPIC: &str = "/data/ChangeEvents";
pub(crate) const TOKEN: &str = "a token of the test's";
pub(crate) const FOLDER_TOKEN: &str = "a token from a folder";

/// Seconds since 1970.
pub(crate) const NOW: i64 = 1_790_000_000;

#[derive(Debug)]
pub(crate) struct HandClock(AtomicI64);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

pub(crate) struct Desk {
    pub(crate) org: Arc<DeskOrg>,
    pub(crate) stores: Stores,
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) ops: Operations,
    pub(crate) salesforce: Arc<Org>,
    clock: Arc<HandClock>,
}

impl Desk {
    pub(crate) fn open() -> Self {
        let clock = Arc::new(HandClock(AtomicI64::new(NOW * 1_000_000)));
        let shared: Arc<dyn Clock> = Arc::<HandClock>::clone(&clock);
        let embedded = Embedded::open(Location::Memory, Arc::clone(&shared)).unwrap();
        let (stores, queue) = (embedded.stores(), embedded.queue());
        let of_org = Arc::<HandClock>::clone(&clock);
        let salesforce = Org::new(Arc::new(move || of_org.now().as_micros()), 1);
        let org = Arc::new(DeskOrg::of(Arc::clone(&salesforce)));
        let ops = Operations::new(
            stores.clone(),
            Arc::clone(&queue),
            shared,
            Arc::<DeskOrg>::clone(&org),
            TOPIC,
        );
        Self {
            org,
            stores,
            queue,
            ops,
            salesforce,
            clock,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Time goes on.
    pub(crate) fn pass(&self, seconds: i64) {
        self.clock
            .0
            .fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }

    /// Saves changed settings.
    pub(crate) async fn save(&self, change: impl FnOnce(&mut Settings)) {
        self.save_as("a test", FieldTypes::new(), change).await;
    }

    /// The same as this author, where the filtered fields are of these types.
    pub(crate) async fn save_as(
        &self,
        author: &str,
        types: FieldTypes,
        change: impl FnOnce(&mut Settings),
    ) -> SettingsRevision {
        let current = self.stores.settings.current().await.unwrap();
        let mut settings = current.settings.clone();
        change(&mut settings);
        let next = current.next(settings, types, current.org.clone(), author, self.now());
        self.stores.settings.save(&next, None).await.unwrap();
        next
    }

    /// The API on a port of its own.
    pub(crate) async fn door(&self) -> Door {
        self.door_with(Keys {
            configured: Some(token::hash(TOKEN)),
            folder: Some(token::hash(FOLDER_TOKEN)),
        })
        .await
    }

    pub(crate) async fn door_with(&self, keys: Keys) -> Door {
        open(self.ops.clone(), keys).await
    }

    /// The API of other operations.
    pub(crate) async fn door_of(&self, ops: Operations) -> Door {
        let keys = Keys {
            configured: Some(token::hash(TOKEN)),
            folder: None,
        };
        open(ops, keys).await
    }

    /// Whatever this console serves.
    pub(crate) async fn door_to(&self, console: Console) -> Door {
        serve(|_| console).await
    }

    pub(crate) fn source(&self) -> Arc<dyn Source> {
        Arc::<DeskOrg>::clone(&self.org)
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::<HandClock>::clone(&self.clock)
    }
}

async fn open(ops: Operations, keys: Keys) -> Door {
    serve(|_| Console::new(ops, keys)).await
}

/// A console that is told its own address.
pub(crate) async fn serve(console: impl FnOnce(SocketAddr) -> Console) -> Door {
    let server = Server::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = server.address();
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    tasks.spawn(server.run(console(address), stop.clone()));
    Door {
        address,
        tasks,
        _stop: stop.drop_guard(),
    }
}

pub(crate) fn record(object: ObjectKind, number: u32) -> SalesforceId {
    SalesforceId::parse(&format!("{}0000000{number:05}", object.key_prefix())).unwrap()
}

/// A running API.
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    tasks: TaskTracker,
    _stop: tokio_util::sync::DropGuard,
}

/// What it answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    /// The sentence of an error.
    pub(crate) fn sentence(&self) -> String {
        let json = self.json();
        json["error"]["message"].as_str().unwrap().to_owned()
    }
}

impl Door {
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, Some(TOKEN), "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::POST, path, Some(TOKEN), &body.to_string())
            .await
    }

    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: &str,
    ) -> Answer {
        self.ask_with(method, path, token, body, &[]).await
    }

    /// With further headers.
    pub(crate) async fn ask_with(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        whole(self.send(method, path, token, body, headers).await).await
    }

    /// The answer as it comes in.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: &str,
        headers: &[(&str, &str)],
    ) -> Response<Incoming> {
        let mut all = vec![("content-type", "application/json")];
        let bearer = token.map(|token| format!("Bearer {token}"));
        all.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
        all.extend(headers);
        self.send_as(method, path, body, &all).await
    }

    /// With these headers alone.
    pub(crate) async fn ask_as(
        &self,
        method: Method,
        path: &str,
        body: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        whole(self.send_as(method, path, body, headers).await).await
    }

    async fn send_as(
        &self,
        method: Method,
        path: &str,
        body: &str,
        headers: &[(&str, &str)],
    ) -> Response<Incoming> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake::<_, Body>(TokioIo::new(stream))
                .await
                .unwrap();
        self.tasks.spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "x");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        sender.send_request(request).await.unwrap()
    }
}

async fn whole(response: Response<Incoming>) -> Answer {
    let (head, body) = response.into_parts();
    Answer {
        status: head.status,
        headers: head.headers,
        body: axum::body::to_bytes(Body::new(body), usize::MAX)
            .await
            .unwrap(),
    }
}
