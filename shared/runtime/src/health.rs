//! Two addresses for whoever watches over the process: does it live, and is it ready.

use std::collections::BTreeMap;
use std::future::IntoFuture as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What a check says before it has been set.
const STARTING: &str = "starting";

/// The named checks of a process. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<String, Result<(), String>>>>);

impl Readiness {
    /// With checks that are not ready until they are set.
    #[must_use]
    pub fn expecting<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let readiness = Self::default();
        for name in names {
            readiness.set(name, Err(STARTING.to_owned()));
        }
        readiness
    }

    /// The present state of one check, or the reason why it is not ready. The reason is shown to
    /// whoever asks: no secrets, no field values.
    pub fn set(&self, name: &str, state: Result<(), String>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned(), state);
    }

    /// All checks as they are now; ready when every one is.
    #[must_use]
    pub fn report(&self) -> ReadinessReport {
        let checks: Vec<Check> = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(|(name, state)| Check {
                name: name.clone(),
                ok: state.is_ok(),
                reason: state.clone().err(),
            })
            .collect();
        ReadinessReport {
            ready: checks.iter().all(|check| check.ok),
            checks,
        }
    }
}

/// What `/readyz` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReadinessReport {
    /// Every check is ok.
    pub ready: bool,
    /// By name.
    pub checks: Vec<Check>,
}

/// One named check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked.
    pub name: String,
    /// Whether it is ready.
    pub ok: bool,
    /// Why not.
    pub reason: Option<String>,
}

/// Why the health server does not run.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// The port is taken or not allowed, or the address is not this machine's.
    #[error(
        "cannot listen on {address} for /healthz and /readyz; set http.listen to a free address"
    )]
    Bind {
        /// As configured.
        address: SocketAddr,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// It listened, and then failed.
    #[error("the server for /healthz and /readyz failed; restart mosync")]
    Serve(#[source] std::io::Error),
}

/// A bound, not yet running server.
#[derive(Debug)]
pub struct HealthServer {
    listener: TcpListener,
    address: SocketAddr,
    readiness: Readiness,
}

impl HealthServer {
    /// Takes the port, so that a taken one is noticed at the start.
    ///
    /// # Errors
    /// [`HealthError::Bind`] with the system's reason.
    pub async fn bind(address: SocketAddr, readiness: Readiness) -> Result<Self, HealthError> {
        let bind = |source| HealthError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        Ok(Self {
            listener,
            address,
            readiness,
        })
    }

    /// Where it listens; with the real port when port 0 was asked for.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop`. Requests in progress are dropped then: they are not worth waiting for.
    ///
    /// # Errors
    /// [`HealthError::Serve`] when the system takes the listener away.
    pub async fn run(self, stop: CancellationToken) -> Result<(), HealthError> {
        let server = axum::serve(self.listener, router(self.readiness)).into_future();
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            ended = server => ended.map_err(HealthError::Serve),
        }
    }
}

fn router(readiness: Readiness) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(readiness)
}

/// What `/healthz` answers.
#[derive(Serialize)]
struct Alive {
    alive: bool,
}

async fn healthz() -> Json<Alive> {
    Json(Alive { alive: true })
}

async fn readyz(State(readiness): State<Readiness>) -> (StatusCode, Json<ReadinessReport>) {
    let report = readiness.report();
    let status = if report.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(report))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio_util::task::TaskTracker;

    use super::*;

    const ANY_PORT: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

    async fn get(address: SocketAddr, path: &str) -> (u16, serde_json::Value) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_default())
    }

    #[tokio::test]
    async fn ready_when_every_check_is() {
        let readiness = Readiness::expecting(["queue", "store"]);
        let server = HealthServer::bind(ANY_PORT, readiness.clone())
            .await
            .unwrap();
        let address = server.address();
        let stop = CancellationToken::new();
        let tracker = TaskTracker::new();
        let running = tracker.spawn(server.run(stop.clone()));

        assert_eq!(
            get(address, "/healthz").await,
            (200, serde_json::json!({"alive": true}))
        );
        readiness.set("queue", Ok(()));
        assert_eq!(
            get(address, "/readyz").await,
            (
                503,
                serde_json::json!({"ready": false, "checks": [
                    {"name": "queue", "ok": true, "reason": null},
                    {"name": "store", "ok": false, "reason": "starting"},
                ]})
            )
        );
        readiness.set("store", Ok(()));
        let (status, body) = get(address, "/readyz").await;
        assert_eq!(
            (status, &body["ready"]),
            (200, &serde_json::Value::Bool(true))
        );
        readiness.set("queue", Err("RabbitMQ does not answer".to_owned()));
        let (status, body) = get(address, "/readyz").await;
        assert_eq!(status, 503);
        assert_eq!(body["checks"][0]["reason"], "RabbitMQ does not answer");
        assert_eq!(get(address, "/other").await.0, 404);

        stop.cancel();
        running.await.unwrap().unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn a_taken_port_is_named() {
        let first = HealthServer::bind(ANY_PORT, Readiness::default())
            .await
            .unwrap();
        let fault = HealthServer::bind(first.address(), Readiness::default())
            .await
            .unwrap_err();
        assert_eq!(
            fault.to_string(),
            format!(
                "cannot listen on {} for /healthz and /readyz; set http.listen to a free address",
                first.address()
            )
        );
    }
}
