//! The connection: what is asked, how long an answer may take, and asking again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backoff::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use ports::stores::StoreError;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Cmd, FromRedisValue, RedisError, Script};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

/// An fsync may stall; later than this, the answer counts as lost.
const ANSWER: Duration = Duration::from_secs(2);
/// How long a step is repeated before its caller is told.
const PATIENCE: Duration = Duration::from_secs(10);

/// A script from `scripts/`, with what they share put before it.
macro_rules! script {
    ($name:literal) => {{
        static SCRIPT: std::sync::LazyLock<redis::Script> = std::sync::LazyLock::new(|| {
            redis::Script::new(concat!(
                include_str!("../scripts/lib.lua"),
                include_str!(concat!("../scripts/", $name, ".lua"))
            ))
        });
        &*SCRIPT
    }};
}
pub(crate) use script;

/// A connection that repairs itself, and the deployment whose keys it uses.
pub(crate) struct Link {
    manager: ConnectionManager,
    prefix: String,
    /// Unique among all processes that ever connected to this deployment.
    client: u64,
    calls: AtomicU64,
    /// Steps that remember only their newest call take turns.
    pub(crate) one_at_a_time: Mutex<()>,
}

impl Link {
    pub(crate) async fn open(url: &str, deployment: &str) -> Result<Self, StoreError> {
        // The client's own message may repeat the address, which holds a password.
        let client = Client::open(url).map_err(|_address| {
            StoreError::Unreachable(
                "its address is not of the form redis://:password@host:6379/0 (or rediss://), correct it in the configuration"
                    .to_owned(),
            )
        })?;
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(ANSWER))
            .set_connection_timeout(Some(ANSWER))
            .set_number_of_retries(2);
        let manager = ConnectionManager::new_with_config(client, config)
            .await
            .map_err(|error| unreachable(&error))?;
        let mut link = Self {
            manager,
            prefix: format!("mosync:{{{deployment}}}:"),
            client: 0,
            calls: AtomicU64::new(0),
            one_at_a_time: Mutex::new(()),
        };
        link.client = link
            .ask(redis::cmd("INCR").arg(link.key("clients")))
            .await?;
        Ok(link)
    }

    /// A key of this deployment.
    pub(crate) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// This process's name in marks.
    pub(crate) fn client(&self) -> String {
        self.client.to_string()
    }

    /// A number for a call, by which a repeat is known.
    pub(crate) fn next_call(&self) -> String {
        self.calls.fetch_add(1, Ordering::Relaxed).to_string()
    }

    /// Runs a script, again when its answer was lost.
    pub(crate) async fn run<T: FromRedisValue>(
        &self,
        script: &Script,
        arguments: &[String],
    ) -> Result<T, StoreError> {
        let mut invocation = script.key(&self.prefix);
        invocation.arg(arguments);
        let mut patience = Patience::new();
        loop {
            let mut connection = self.manager.clone();
            match invocation.invoke_async(&mut connection).await {
                Ok(answer) => return Ok(answer),
                Err(error) => patience.wait_after(&error).await?,
            }
        }
    }

    /// Runs a command that is as good twice as once.
    pub(crate) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        let mut patience = Patience::new();
        loop {
            let mut connection = self.manager.clone();
            match command.query_async(&mut connection).await {
                Ok(answer) => return Ok(answer),
                Err(error) => patience.wait_after(&error).await?,
            }
        }
    }

    /// What in the server's configuration lets it forget.
    pub(crate) async fn warnings(&self) -> Result<Vec<String>, StoreError> {
        let mut warnings = Vec::new();
        for (setting, wanted, why) in [
            (
                "appendonly",
                "yes",
                "after a restart of Redis the job history is lost and everything must be synced again",
            ),
            (
                "maxmemory-policy",
                "noeviction",
                "Redis may throw entries away when its memory is full",
            ),
        ] {
            let answer: Result<BTreeMap<String, String>, StoreError> =
                self.ask(redis::cmd("CONFIG").arg("GET").arg(setting)).await;
            match answer {
                Ok(found) => match found.get(setting).map(String::as_str) {
                    Some(value) if value == wanted => {}
                    value => warnings.push(format!(
                        "Redis is configured with {setting} {}, so {why}; set {setting} {wanted}",
                        value.unwrap_or("unknown")
                    )),
                },
                // Managed servers and narrow users refuse CONFIG.
                Err(error) => warnings.push(format!(
                    "Redis does not tell its {setting} ({error}); make sure that it is {wanted}"
                )),
            }
        }
        Ok(warnings)
    }
}

/// How long a step is repeated.
struct Patience {
    deadline: Instant,
    waits: ExponentialBackoff,
}

impl Patience {
    fn new() -> Self {
        Self {
            deadline: Instant::now() + PATIENCE,
            waits: ExponentialBuilder::default()
                .with_min_delay(Duration::from_millis(50))
                .with_max_delay(Duration::from_secs(1))
                .with_jitter()
                .without_max_times()
                .build(),
        }
    }

    /// Waits before the next try; an error when there is to be none.
    async fn wait_after(&mut self, error: &RedisError) -> Result<(), StoreError> {
        let wait = self.waits.next().unwrap_or(PATIENCE);
        if !may_pass(error) || Instant::now() + wait >= self.deadline {
            return Err(unreachable(error));
        }
        tracing::debug!(%error, ?wait, "the status store did not answer, asking again");
        sleep(wait).await;
        Ok(())
    }
}

/// Whether the same question may be answered in a moment.
fn may_pass(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || matches!(
            error.code(),
            Some("LOADING" | "BUSY" | "TRYAGAIN" | "MASTERDOWN" | "READONLY" | "CLUSTERDOWN")
        )
}

fn unreachable(error: &RedisError) -> StoreError {
    StoreError::Unreachable(error.to_string())
}

/// Writes a document.
pub(crate) fn to_doc<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// Reads a document.
pub(crate) fn of_doc<T: DeserializeOwned>(doc: &str) -> Result<T, StoreError> {
    serde_json::from_str(doc).map_err(|error| StoreError::Corrupt(error.to_string()))
}
