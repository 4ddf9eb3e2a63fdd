//! Everything the demo starts: stand-ins, servers if asked for, and mosync itself.

use std::net::SocketAddr;
use std::sync::Arc;

use boot::console::views::StatusView;
use boot::console::{Operations, token};
use boot::{Adapters, Service};
use domain::Timestamp;
use ports::Clock;
use runtime::config::Config;
use runtime::health::Readiness;
use runtime::lifecycle::Lifecycle;
use runtime::time::SystemClock;
use tokio_util::sync::CancellationToken;

use super::Options;
use crate::commands::serve;
use crate::exit::Failure;

/// How often permissions are polled, and how long a request to mOS may take: what was sent must
/// have been in scope at some moment of the two together before it.
pub(crate) const PERMISSION_POLL_S: u64 = 1;
pub(crate) const REQUEST_TIMEOUT_S: u64 = 30;

/// Everything of mosync that runs, until it is told to stop.
type Services = tokio::task::JoinHandle<Result<(), runtime::lifecycle::TaskFailed>>;

pub(crate) struct World {
    pub(crate) salesforce: fake_salesforce::server::Running,
    pub(crate) mos: fake_mos::Running,
    pub(crate) adapters: Adapters,
    /// Where the API for operators answers.
    pub(crate) console: SocketAddr,
    /// What it wants to hear.
    pub(crate) token: String,
    operations: Operations,
    stop: CancellationToken,
    services: Services,
    servers: Option<Servers>,
    _folder: tempfile::TempDir,
}

/// The machine's own `RabbitMQ` and Redis, ended with the demo.
struct Servers {
    rabbit: testkit::Rabbit,
    redis: testkit::Redis,
}

impl World {
    pub(crate) async fn start(options: &Options) -> Result<Self, Failure> {
        let clock = SystemClock;
        let now: fake_salesforce::commit::Clock = Arc::new(move || clock.now().as_micros());
        let salesforce = fake_salesforce::server::Options {
            load: options.load.clone(),
            opportunities: options.load.is_none().then_some(options.opportunities),
            seed: options.seed,
            keepalive_s: 1,
            ..fake_salesforce::server::Options::default()
        };
        let salesforce = fake_salesforce::server::start(salesforce, Arc::clone(&now))
            .await
            .map_err(|error| {
                Failure::usage(format!(
                    "the stand-in for Salesforce cannot start: {error:#}"
                ))
            })?;
        if !options.headless {
            super::people::prepare(&salesforce.org)?;
        }
        let mos = fake_mos::Options {
            http: ([127, 0, 0, 1], 0).into(),
            api_key: fake_mos::DEFAULT_API_KEY.to_owned(),
            ..fake_mos::Options::default()
        };
        let mos = fake_mos::start(mos, now)
            .await
            .map_err(|error| Failure::failed(error.to_string()))?;
        let folder = tempfile::tempdir().map_err(|error| {
            Failure::failed(format!("no temporary folder can be made: {error}"))
        })?;
        if options.real {
            let missing = testkit::missing_packages();
            if !missing.is_empty() {
                return Err(Failure::out_of_reach(format!(
                    "--real needs this machine's own servers; install the Debian packages {}, or leave --real out: the embedded queue and store need nothing",
                    missing.join(" and ")
                )));
            }
        }
        let servers = options.real.then(|| Servers {
            rabbit: testkit::Rabbit::start(),
            redis: testkit::Redis::start(),
        });
        let transport = match (&servers, &options.rabbitmq, &options.redis) {
            (Some(servers), ..) => servers_section(&servers.rabbit.url, &servers.redis.url),
            (None, Some(rabbitmq), Some(redis)) => servers_section(rabbitmq, redis),
            (None, ..) => format!(
                "[embedded]\nfolder = {:?}\n",
                folder.path().display().to_string()
            ),
        };
        let token = token::new_token().map_err(|error| {
            Failure::failed(format!("the system has no random numbers: {error}"))
        })?;
        let config = config(&salesforce, &mos, &transport, &token)?;
        if servers.is_some() || options.rabbitmq.is_some() {
            boot::apply_topology(&config.transport).await?;
        }
        let adapters = Adapters::connect(&config.transport, Arc::new(clock)).await?;
        let operations = adapters.operations(&config, None)?;
        let stop = CancellationToken::new();
        let (services, console) = start_services(&config, &adapters, &stop).await?;
        Ok(Self {
            salesforce,
            mos,
            adapters,
            console,
            token,
            operations,
            stop,
            services,
            servers,
            _folder: folder,
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.adapters.clock.now()
    }

    pub(crate) async fn status(&self) -> Result<StatusView, Failure> {
        Ok(self.operations.status().await?)
    }

    pub(crate) async fn stop(self) -> Result<(), Failure> {
        self.stop.cancel();
        let ended = self
            .services
            .await
            .map_err(|error| Failure::failed(error.to_string()))?;
        self.mos.stop().await;
        self.salesforce.stop().await;
        if let Some(mut servers) = self.servers {
            servers.rabbit.stop();
            servers.redis.stop();
        }
        ended.map_err(|error| Failure::failed(error.to_string()))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one task that outlives `start`; `stop` waits for it"
)]
async fn start_services(
    config: &Config,
    adapters: &Adapters,
    stop: &CancellationToken,
) -> Result<(Services, SocketAddr), Failure> {
    let source = boot::salesforce(config, Arc::clone(&adapters.clock))?;
    let target = boot::target(config)?;
    let lifecycle = Lifecycle::with_tokens(stop.clone(), CancellationToken::new());
    boot::count_calls(adapters, &source, &lifecycle);
    let readiness = Readiness::default();
    let console =
        boot::start_console(config, adapters, serve::ANY_PORT, &lifecycle, &readiness).await?;
    for service in Service::ALL {
        boot::start(
            service, config, adapters, &source, &target, &lifecycle, &readiness,
        );
    }
    Ok((tokio::spawn(lifecycle.wait()), console))
}

fn servers_section(rabbitmq: &str, redis: &str) -> String {
    // A deployment of its own, so that a demo never meets the data of another.
    let deployment = format!(
        "demo-{}-{}",
        std::process::id(),
        SystemClock.now().as_micros()
    );
    format!(
        "[queue]\nrabbitmq_url = {rabbitmq:?}\n[store]\nredis_url = {redis:?}\ndeployment = {deployment:?}\n"
    )
}

/// The demo's configuration, read like any other.
fn config(
    salesforce: &fake_salesforce::server::Running,
    mos: &fake_mos::Running,
    transport: &str,
    token: &str,
) -> Result<Config, Failure> {
    let text = format!(
        "allow_plaintext = true\n\
         [salesforce]\nlogin_url = \"http://{}\"\nclient_id = {:?}\nclient_secret = {:?}\npubsub_endpoint = \"http://{}\"\nwatchdog_s = 30\n\
         [mos]\nurl = \"http://{}\"\napi_key = {:?}\nrequest_timeout_s = {REQUEST_TIMEOUT_S}\n\
         [permissions]\npoll_s = {PERMISSION_POLL_S}\n[console]\ntoken_sha256 = \"{}\"\n{transport}",
        salesforce.http,
        fake_salesforce::server::DEFAULT_CLIENT_ID,
        fake_salesforce::server::DEFAULT_CLIENT_SECRET,
        salesforce.grpc,
        mos.http,
        fake_mos::DEFAULT_API_KEY,
        token::hash_in_words(&token::hash(token)),
    );
    Config::read(&text, []).map_err(|error| Failure::usage(error.to_string()))
}
