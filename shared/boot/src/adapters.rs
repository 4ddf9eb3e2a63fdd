//! From configuration to adapters.

use std::sync::Arc;

use embedded::{Embedded, Location};
use ports::Clock;
use ports::queue::Queue;
use ports::source::Source;
use ports::stores::{StoreError, Stores};
use ports::target::Target;
use runtime::config::{Config, SignIn, Transport};
use runtime::worker::Apart;
use secrecy::ExposeSecret;

/// Why the process cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The configuration is right in form but cannot be used.
    #[error("{0}")]
    Configuration(String),
    /// Something outside is out of reach.
    #[error("{0}")]
    OutOfReach(String),
    /// Another process holds the embedded folder.
    #[error("{0}")]
    InUse(String),
}

impl From<StoreError> for BootError {
    fn from(error: StoreError) -> Self {
        Self::OutOfReach(error.to_string())
    }
}

/// Queue and stores of one deployment.
#[derive(Clone)]
pub struct Adapters {
    /// The queues.
    pub queue: Arc<dyn Queue>,
    /// The stores.
    pub stores: Stores,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What may end this process is handled apart from all else in it.
    pub apart: Apart,
    /// What they are, for people: `embedded`, or `RabbitMQ and Redis`.
    pub name: &'static str,
}

impl std::fmt::Debug for Adapters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Adapters")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Adapters {
    /// Connects to what the configuration names.
    ///
    /// # Errors
    /// [`BootError`].
    pub async fn connect(transport: &Transport, clock: Arc<dyn Clock>) -> Result<Self, BootError> {
        Self::with_broker(transport, clock, false).await
    }

    /// The same for operators, who can do something while the broker is away: whatever needs it says
    /// so then.
    ///
    /// # Errors
    /// [`BootError`].
    pub async fn connect_for_operators(
        transport: &Transport,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BootError> {
        Self::with_broker(transport, clock, true).await
    }

    async fn with_broker(
        transport: &Transport,
        clock: Arc<dyn Clock>,
        may_be_away: bool,
    ) -> Result<Self, BootError> {
        match transport {
            Transport::Embedded { folder } => {
                let embedded = Embedded::open(Location::File(folder.clone()), Arc::clone(&clock))
                    .map_err(of_folder)?;
                Ok(Self {
                    queue: embedded.queue(),
                    stores: embedded.stores(),
                    clock,
                    apart: Apart::default(),
                    name: "embedded",
                })
            }
            Transport::Servers {
                rabbitmq_url,
                redis_url,
                deployment,
            } => {
                let stores =
                    redis_store::RedisStore::connect(redis_url.expose_secret(), deployment)
                        .await
                        .map_err(of_redis)?;
                let url = rabbitmq_url.expose_secret();
                let queue = match amqp::Amqp::connect(url, Arc::clone(&clock)).await {
                    Err(amqp::ConnectError::Unreachable(why)) if may_be_away => {
                        tracing::warn!(why, "the message broker cannot be reached");
                        amqp::Amqp::unconnected(url, Arc::clone(&clock))
                    }
                    connected => connected,
                };
                let queue = queue.map_err(of_broker)?;
                Ok(Self {
                    queue: Arc::new(queue),
                    stores,
                    clock,
                    apart: Apart::default(),
                    name: "RabbitMQ and Redis",
                })
            }
        }
    }
}

fn of_folder(error: embedded::OpenError) -> BootError {
    let cause = std::error::Error::source(&error)
        .map(|cause| format!(": {cause}"))
        .unwrap_or_default();
    let message = format!("{error}{cause}");
    match error {
        embedded::OpenError::InUse(_) => BootError::InUse(message),
        embedded::OpenError::Folder { .. }
        | embedded::OpenError::Newer { .. }
        | embedded::OpenError::Older { .. }
        | embedded::OpenError::Database(_)
        | embedded::OpenError::Thread(_) => BootError::Configuration(message),
    }
}

fn of_redis(error: StoreError) -> BootError {
    match error {
        // Nothing runs yet that would try again.
        StoreError::Unreachable(why) => BootError::OutOfReach(format!(
            "Redis cannot be reached ({why}); check that it runs, and its address, user and password"
        )),
        error @ (StoreError::Corrupt(_)
        | StoreError::ClockSteppedBack(_)
        | StoreError::Conflict { .. }) => error.into(),
    }
}

fn of_broker(error: amqp::ConnectError) -> BootError {
    match error {
        amqp::ConnectError::Url(_) | amqp::ConnectError::Topology { .. } => {
            BootError::Configuration(error.to_string())
        }
        amqp::ConnectError::Unreachable(_) => BootError::OutOfReach(error.to_string()),
    }
}

/// Declares what the broker must have, and says what it did.
///
/// # Errors
/// [`BootError`]; embedded queues need none of it.
pub async fn apply_topology(transport: &Transport) -> Result<Vec<String>, BootError> {
    use amqp::topology::ApplyError;
    let Transport::Servers { rabbitmq_url, .. } = transport else {
        return Err(BootError::Configuration(
            "the embedded queues need no topology; it is for RabbitMQ".to_owned(),
        ));
    };
    let applied = amqp::topology::apply(rabbitmq_url.expose_secret())
        .await
        .map_err(|error| match error {
            ApplyError::Url(_) | ApplyError::Differs(_) => {
                BootError::Configuration(error.to_string())
            }
            ApplyError::Broker(_) => BootError::OutOfReach(error.to_string()),
        })?;
    let list = |names: &[String]| {
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        }
    };
    Ok(vec![
        format!("queues made: {}", list(&applied.created)),
        format!("queues there already: {}", list(&applied.unchanged)),
    ])
}

/// The Salesforce org; signs in with the first request.
///
/// # Errors
/// [`BootError::Configuration`].
pub fn salesforce(config: &Config, clock: Arc<dyn Clock>) -> Result<Arc<dyn Source>, BootError> {
    let from = &config.salesforce;
    let grant = match &from.sign_in {
        SignIn::JwtBearer {
            username,
            private_key,
        } => salesforce::Grant::Jwt {
            client_id: from.client_id.clone(),
            username: username.clone(),
            audience: from.audience.clone(),
            private_key_pem: private_key.clone(),
        },
        SignIn::ClientCredentials { client_secret } => salesforce::Grant::ClientCredentials {
            client_id: from.client_id.clone(),
            client_secret: client_secret.clone(),
        },
    };
    let config = salesforce::Config {
        login_url: from.login_url.clone(),
        api_version: from.api_version.clone(),
        grant,
        pubsub_endpoint: from.pubsub_endpoint.clone(),
        watchdog: from.watchdog,
        request_timeout: from.request_timeout,
        plaintext_allowed: config.allow_plaintext,
    };
    let connected = salesforce::connect(config, clock)
        .map_err(|error| BootError::Configuration(error.to_string()))?;
    Ok(Arc::new(connected))
}

/// mOS.
///
/// # Errors
/// [`BootError::Configuration`].
pub fn target(config: &Config) -> Result<Arc<dyn Target>, BootError> {
    let config = mos::Config {
        base_url: config.mos.url.clone(),
        api_key: config.mos.api_key.clone(),
        request_timeout: config.mos.request_timeout,
        plaintext_allowed: config.allow_plaintext,
    };
    let connected =
        mos::Mos::connect(config).map_err(|error| BootError::Configuration(error.to_string()))?;
    Ok(Arc::new(connected))
}
