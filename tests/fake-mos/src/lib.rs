//! A stand-in for mOS: the ingest contract of `deploy/mos-openapi.yaml`, strictly kept, with a
//! ledger of every request and faults on demand. `mosync demo` and the tests run against it.
//!
//! In process: [`Mos`]. Over HTTP: [`start`], or [`run`] for a command line. There is no door that
//! deletes anything.
//!
//! Beside the contract's doors under `/v1`, and without a key:
//!
//! | door | what for |
//! |---|---|
//! | `GET /healthz` | 200 `{"status":"ok"}`, 503 while down |
//! | `POST /admin/faults` | a [`Fault`] as JSON, `{"fault":"status","status":429,"retry_after_s":2,"count":3}`; 204 |
//! | `GET /admin/ledger?after=N&limit=M` | `{"entries":[...]}`, see [`LedgerEntry`]; at most 10,000 |
//! | `GET /admin/outcomes` | outcomes by record type, each idempotency key once, see [`Tallies`] |
//! | `GET /admin/records/{type}` | `{"records":[...]}`, whole, see [`StoredRecord`] |
//! | `GET /admin/counters` | requests by status, records by outcome, records held |

mod clock;
mod digest;
mod fault;
mod http;
mod ledger;
mod mos;
mod outcomes;
mod request;
mod schema;
mod socket;
mod store;
mod value;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use clock::{Clock, system_clock};
pub use fault::{Fault, FaultError};
pub use ledger::{LedgerEntry, LedgerRecord, Outcome, RejectCode};
pub use mos::{Mos, READ_ONLY_KEY};
pub use outcomes::{Outcomes, Tallies, Tally};
pub use request::{BODY_BYTES_MAX, KEY_LENGTH_MAX, RECORDS_MAX, VERSION_DIGITS_MAX};
pub use schema::{FieldKind, FieldSpec, RecordType, UnknownType};
pub use store::StoredRecord;

/// The API key of a fake that was not given one.
pub const DEFAULT_API_KEY: &str = "mos-demo-key";

/// How long stopping may take.
const STOP_MAX: Duration = Duration::from_secs(5);

/// How to run a fake mOS.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8092")]
    pub http: SocketAddr,
    /// API key that may write (a stand-in's key, no secret)
    #[arg(long, value_name = "KEY", default_value = DEFAULT_API_KEY)]
    pub api_key: String,
    /// Folder for the ledger; a temporary file where not given, gone when the process ends
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

impl Default for Options {
    /// A free port of the loopback and the documented key.
    fn default() -> Self {
        Self {
            http: SocketAddr::from(([127, 0, 0, 1], 0)),
            api_key: DEFAULT_API_KEY.to_owned(),
            data: None,
        }
    }
}

/// Why a fake mOS did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}; is another process there? Choose another with --http")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The ledger's file could not be made.
    #[error("cannot make the ledger; choose another folder with --data")]
    Ledger(#[source] io::Error),
    /// The system's signals could not be watched.
    #[error("cannot watch for the signal to stop")]
    Signal(#[source] io::Error),
}

/// A fake mOS that is listening.
#[derive(Debug)]
pub struct Running {
    /// The mOS behind the address.
    pub mos: Arc<Mos>,
    /// The address it listens on.
    pub http: SocketAddr,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl Running {
    /// Stops listening, ends requests that hang, and waits until nothing is left; at most five
    /// seconds, for callers that never finish what they began to send.
    pub async fn stop(self) {
        self.stopping.cancel();
        self.tasks.close();
        let done = tokio::time::timeout(STOP_MAX, self.tasks.wait()).await;
        if done.is_err() {
            tracing::warn!("the fake mOS stopped while a caller was still sending");
        }
    }
}

/// Starts a fake mOS.
///
/// # Errors
/// When the address cannot be bound or the ledger's file cannot be made.
pub async fn start(options: Options, clock: Clock) -> Result<Running, Error> {
    let bind = |source| Error::Bind {
        address: options.http,
        source,
    };
    let listener = TcpListener::bind(options.http).await.map_err(bind)?;
    let http = listener.local_addr().map_err(bind)?;
    let mos =
        Mos::new_in(clock, options.api_key, options.data.as_deref()).map_err(Error::Ledger)?;
    let stopping = CancellationToken::new();
    let tasks = TaskTracker::new();
    let router = http::router(http::Shared {
        mos: Arc::clone(&mos),
        tasks: tasks.clone(),
        stopping: stopping.clone(),
    });
    let service = router.into_make_service_with_connect_info::<socket::Scissors>();
    let serving = axum::serve(socket::CuttableListener(listener), service)
        .with_graceful_shutdown(stopping.clone().cancelled_owned());
    tasks.spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!(%error, "the fake mOS stopped serving");
        }
    });
    Ok(Running {
        mos,
        http,
        stopping,
        tasks,
    })
}

/// Runs a fake mOS until the process is told to stop (SIGINT or SIGTERM).
///
/// # Errors
/// When the address cannot be bound or signals cannot be watched.
pub async fn run(options: Options) -> Result<(), Error> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .map_err(Error::Signal)?;
    let running = start(options, system_clock()).await?;
    tracing::info!(http = %running.http, "fake mOS listening on http://{}", running.http);
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(Error::Signal)?,
        _ = terminate.recv() => {}
    }
    running.stop().await;
    Ok(())
}
