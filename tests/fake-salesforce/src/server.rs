//! The fake org as a server: its options, its start and its end.
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bulk::Jobs;
use crate::commit::Clock;
use crate::dml::Dml;
use crate::faults::Faults;
use crate::http::{App, Client, Counters, router};
use crate::org::Org;
use crate::pubsub::{self, EventLog, Timing};
use crate::setup::DEFAULT_USERNAME;
use crate::tokens::Tokens;

/// The consumer key that signs in where none is configured.
pub const DEFAULT_CLIENT_ID: &str = "fake-client-id";

/// The consumer secret that signs in where none is configured.
pub const DEFAULT_CLIENT_SECRET: &str = "fake-client-secret";

/// The password of every user where none is configured.
pub const DEFAULT_PASSWORD: &str = "fake-password";

/// The security token that stands after the password where none is configured.
pub const DEFAULT_SECURITY_TOKEN: &str = "fake-token";

/// How the fake org is served.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Where the HTTP doors listen; port 0 takes any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443")]
    pub http: SocketAddr,
    /// Where the Pub/Sub API listens; port 0 takes any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7443")]
    pub grpc: SocketAddr,
    /// Certificate chain in PEM; with it both listeners speak TLS
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the certificate in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// The instance URL that sign-ins answer; the HTTP address where not given
    #[arg(long, value_name = "URL")]
    pub instance_url: Option<String>,
    /// Loads the records of a folder of CSV files, one an object
    #[arg(long, value_name = "DIR", conflicts_with = "opportunities")]
    pub load: Option<PathBuf>,
    /// Makes an org of this many opportunities
    #[arg(long, value_name = "N")]
    pub opportunities: Option<usize>,
    /// What ids, keys and the generated org follow from
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Seconds between keep-alives of an idle subscription
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub keepalive_s: u64,
    /// Consumer key
    #[arg(long, value_name = "ID", default_value = DEFAULT_CLIENT_ID)]
    pub client_id: String,
    /// Consumer secret
    #[arg(long, value_name = "SECRET", default_value = DEFAULT_CLIENT_SECRET)]
    pub client_secret: String,
    /// The integration user's name, who client credentials run as
    #[arg(long, value_name = "NAME", default_value = DEFAULT_USERNAME)]
    pub username: String,
    /// Password of every user, for sign-in over SOAP
    #[arg(long, value_name = "TEXT", default_value = DEFAULT_PASSWORD)]
    pub password: String,
    /// Security token that clients append to the password
    #[arg(long, value_name = "TEXT", default_value = DEFAULT_SECURITY_TOKEN)]
    pub security_token: String,
    /// A refresh token is good for one use and is answered with the next
    #[arg(long)]
    pub rotate_refresh_tokens: bool,
    /// Folder for the ledgers; a temporary file each where not given, gone when the process ends
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Public key or certificate in PEM that JWT assertions are checked with
    #[arg(long, value_name = "FILE")]
    pub jwt_public_key: Option<PathBuf>,
}

impl Default for Options {
    /// Plain text on free ports of the loopback, an empty org, the documented client and user.
    fn default() -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Options {
            http: any,
            grpc: any,
            tls_cert: None,
            tls_key: None,
            instance_url: None,
            load: None,
            opportunities: None,
            seed: 1,
            keepalive_s: 60,
            client_id: DEFAULT_CLIENT_ID.to_owned(),
            client_secret: DEFAULT_CLIENT_SECRET.to_owned(),
            username: DEFAULT_USERNAME.to_owned(),
            password: DEFAULT_PASSWORD.to_owned(),
            security_token: DEFAULT_SECURITY_TOKEN.to_owned(),
            rotate_refresh_tokens: false,
            data: None,
            jwt_public_key: None,
        }
    }
}

/// A fake org being served.
pub struct Running {
    /// The org, for writes and reads in process.
    pub org: Arc<Org>,
    /// The faults, for asking for some in process.
    pub faults: Arc<Faults>,
    /// The sign-in tokens.
    pub tokens: Arc<Tokens>,
    /// Where the HTTP doors listen.
    pub http: SocketAddr,
    /// Where the Pub/Sub API listens.
    pub grpc: SocketAddr,
    app: Arc<App>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("http", &self.http)
            .field("grpc", &self.grpc)
            .finish_non_exhaustive()
    }
}

impl Running {
    /// The instance URL that sign-ins answer.
    pub fn instance_url(&self) -> &str {
        &self.app.instance_url
    }

    /// Requests to a door so far, such as `oauth2.revoke`.
    pub fn requests(&self, door: &str) -> u64 {
        self.app.counters.of(door)
    }

    /// Calls of the data API so far: those that count against the org's allowance.
    pub fn api_calls(&self) -> u64 {
        self.app.counters.api_calls()
    }

    /// Ends both servers and waits for them.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Serves a new org, filled as the options say, on the clock given.
///
/// # Errors
/// An address in use, a file that cannot be read, a record that is refused.
pub async fn start(options: Options, clock: Clock) -> anyhow::Result<Running> {
    let org = Org::new_in(clock, options.seed, options.data.as_deref())
        .context("cannot make the ledger; choose another --data")?;
    if options.username != DEFAULT_USERNAME {
        rename(&org, &options.username)?;
    }
    if let Some(dir) = &options.load {
        org.load_dir(dir)?;
    }
    if let Some(opportunities) = options.opportunities {
        org.generate(opportunities, options.seed);
    }
    serve(options, org).await
}

/// Serves an org that exists already.
///
/// # Errors
/// An address in use or a file that cannot be read.
pub async fn serve(options: Options, org: Arc<Org>) -> anyhow::Result<Running> {
    let tls = match (&options.tls_cert, &options.tls_key) {
        (Some(cert), Some(key)) => Some((read(cert)?, read(key)?)),
        _ => None,
    };
    let jwt_public_key = options.jwt_public_key.as_deref().map(read).transpose()?;
    let http_listener = std::net::TcpListener::bind(options.http)
        .with_context(|| format!("cannot listen on {}; choose another --http", options.http))?;
    http_listener.set_nonblocking(true)?;
    let grpc_listener = TcpListener::bind(options.grpc)
        .await
        .with_context(|| format!("cannot listen on {}; choose another --grpc", options.grpc))?;
    let (http, grpc) = (http_listener.local_addr()?, grpc_listener.local_addr()?);
    let scheme = if tls.is_some() { "https" } else { "http" };
    let own_url = format!("{scheme}://{http}");
    let instance_url = options.instance_url.unwrap_or(own_url);

    let faults = Arc::new(Faults::default());
    let tokens = Arc::new(Tokens::new(
        org.org_id(),
        org.clock(),
        Arc::clone(&faults),
        options.seed,
    ));
    // Commits are captured from here on.
    let log = EventLog::attach_in(&org, options.data.as_deref())
        .context("cannot make the file of the events; choose another --data")?;
    log.obey(&faults, &org);
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let app = Arc::new(App {
        jobs: Arc::new(Jobs::new(
            Arc::clone(&org),
            Arc::clone(&faults),
            tasks.clone(),
            stop.clone(),
        )),
        org: Arc::clone(&org),
        log: Arc::clone(&log),
        faults: Arc::clone(&faults),
        tokens: Arc::clone(&tokens),
        instance_url: instance_url.trim_end_matches('/').to_owned(),
        client: Client {
            id: options.client_id,
            secret: options.client_secret,
            username: options.username,
            password: options.password,
            security_token: options.security_token,
            rotates_refresh_tokens: options.rotate_refresh_tokens,
            jwt_public_key,
        },
        counters: Counters::default(),
        cursors: Default::default(),
        codes: Default::default(),
        approvals: Default::default(),
    });
    let grpc_server = pubsub::serve_log(
        grpc_listener,
        log,
        Arc::clone(&org),
        Arc::clone(&faults),
        Arc::clone(&tokens),
        Timing::with_keepalive(Duration::from_secs(options.keepalive_s)),
        tls.clone(),
        stop.clone(),
    );
    tasks.spawn(async move {
        if let Err(error) = grpc_server.await {
            tracing::error!(%error, "the Pub/Sub server ended");
        }
    });
    let tls = tls.map(|(cert, key)| tls_config(&cert, &key)).transpose()?;
    tasks.spawn(serve_http(
        http_listener,
        Arc::clone(&app),
        tls,
        stop.clone(),
    ));
    Ok(Running {
        org,
        faults,
        tokens,
        http,
        grpc,
        app,
        tasks,
        stop,
    })
}

/// Serves until Ctrl-C, and says where.
///
/// # Errors
/// As [`start`].
pub async fn run(options: Options) -> anyhow::Result<()> {
    let running = start(options, system_clock()).await?;
    say(&running);
    tokio::signal::ctrl_c().await?;
    running.stop().await;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the person who started it reads this")]
fn say(running: &Running) {
    println!("fake Salesforce org {}", running.org.org_id());
    println!(
        "  HTTP     {} (instance URL {})",
        running.http,
        running.instance_url()
    );
    println!("  Pub/Sub  {}", running.grpc);
}

/// The machine's clock.
pub fn system_clock() -> Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the fake org meets real time"
    )]
    let now = || {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| {
            i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
        })
    };
    Arc::new(now)
}

async fn serve_http(
    listener: std::net::TcpListener,
    app: Arc<App>,
    tls: Option<RustlsConfig>,
    stop: CancellationToken,
) {
    let handle = Handle::new();
    let service = router(app).into_make_service();
    let serving = {
        let handle = handle.clone();
        async move {
            match tls {
                Some(tls) => {
                    let server = axum_server::from_tcp_rustls(listener, tls)?;
                    server.handle(handle).serve(service).await
                }
                None => {
                    let server = axum_server::from_tcp(listener)?;
                    server.handle(handle).serve(service).await
                }
            }
        }
    };
    tokio::select! {
        ended = serving => {
            if let Err(error) = ended {
                tracing::error!(%error, "the HTTP server ended");
            }
        }
        () = stop.cancelled() => handle.shutdown(),
    }
}

fn tls_config(cert: &[u8], key: &[u8]) -> anyhow::Result<RustlsConfig> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(cert)
        .collect::<Result<_, _>>()
        .context("--tls-cert is no PEM certificate chain")?;
    let key = PrivateKeyDer::from_pem_slice(key).context("--tls-key is no PEM private key")?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("--tls-cert and --tls-key do not belong together")?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(RustlsConfig::from_config(Arc::new(config)))
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn rename(org: &Org, username: &str) -> anyhow::Result<()> {
    let fields = json!({"Username": username});
    let op = Dml::Update {
        entity: "User".to_owned(),
        id: org.admin_id().to_owned(),
        fields: fields.as_object().cloned().unwrap_or_default(),
    };
    org.transact(org.admin_id(), "", vec![op])
        .with_context(|| {
            format!("the user name {username} is refused; choose another --username")
        })?;
    Ok(())
}
