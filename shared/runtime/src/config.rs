//! The configuration: one TOML file, every key overridable by the environment, secrets also from
//! files of their own. All faults are told at once, each with key, fault and fix.

mod faults;
mod keys;
mod network;
mod notify;
mod reader;
mod values;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::ObjectKind;
use secrecy::SecretString;
use url::Url;

pub use faults::{ConfigError, Fault};
pub use network::{Network, NoNetwork};
use reader::Reader;

/// The environment variable that names the file when the command line does not.
pub const FILE_VARIABLE: &str = "MOSYNC_CONFIG";

/// Everything that a mosync process must know before it starts.
#[derive(Debug, Clone)]
pub struct Config {
    /// What kind of installation.
    pub environment: Environment,
    /// Unencrypted connections to other machines are allowed.
    pub allow_plaintext: bool,
    /// The org.
    pub salesforce: Salesforce,
    /// The target.
    pub mos: Mos,
    /// Where work and status are kept.
    pub transport: Transport,
    /// Who holds mOS permission.
    pub permissions: Permissions,
    /// Health answers.
    pub http: Http,
    /// The console: pages and the API.
    pub console: Console,
    /// How notifications leave.
    pub notify: Notify,
    /// How long history is kept.
    pub retention: Retention,
    /// Log lines.
    pub log: Log,
}

/// What kind of installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// Somebody tries things out.
    Development,
    /// People depend on it.
    Production,
}

/// How to reach and to read the org.
#[derive(Debug, Clone)]
pub struct Salesforce {
    /// The org's My Domain, or `https://login.salesforce.com`.
    pub login_url: Url,
    /// Such as `67.0`.
    pub api_version: String,
    /// The connected app's consumer key.
    pub client_id: String,
    /// How mosync proves itself.
    pub sign_in: SignIn,
    /// The JWT's `aud`, where it is not the login URL.
    pub audience: Option<String>,
    /// The Pub/Sub API.
    pub pubsub_endpoint: Url,
    /// The change event channel.
    pub topic: String,
    /// The objects that are polled, because they are not selected for change capture.
    pub polled_objects: BTreeSet<ObjectKind>,
    /// How often each of them is polled.
    pub polled_every: Duration,
    /// How often objects with formulas are read again.
    pub refreshed_every: Duration,
    /// API names of the permission sets that grant mOS.
    pub permission_sets: Vec<String>,
    /// The namespace prefix of those permission sets; empty for none.
    pub namespace: String,
    /// Holders must have this permission set licence; empty: not checked.
    pub permission_set_licence: String,
    /// Holders must have a licence of the managed package with this namespace; empty: not checked.
    pub package_namespace: String,
    /// For one HTTP request.
    pub request_timeout: Duration,
    /// The event stream counts as dead after so much silence.
    pub watchdog: Duration,
    /// A job's statements with more rows than this are read by the Bulk API.
    pub bulk_from: u64,
}

/// How mosync signs in to Salesforce.
#[derive(Debug, Clone)]
pub enum SignIn {
    /// OAuth 2.0 JWT bearer: a certificate's private key speaks for a user.
    JwtBearer {
        /// The integration user.
        username: String,
        /// PEM.
        private_key: SecretString,
    },
    /// OAuth 2.0 client credentials: the connected app names the user.
    ClientCredentials {
        /// The consumer secret.
        client_secret: SecretString,
    },
}

/// How to reach mOS.
#[derive(Debug, Clone)]
pub struct Mos {
    /// Scheme and host.
    pub url: Url,
    /// A key with ingest right.
    pub api_key: SecretString,
    /// For one request.
    pub request_timeout: Duration,
}

/// Where work and status are kept.
#[derive(Debug, Clone)]
pub enum Transport {
    /// A broker and a Redis server.
    Servers {
        /// `amqp` or `amqps`, with user, password and virtual host.
        rabbitmq_url: SecretString,
        /// `redis` or `rediss`, with user, password and database.
        redis_url: SecretString,
        /// The prefix of all keys and of nothing else: two installations can share a Redis.
        deployment: String,
    },
    /// Files of this process alone.
    Embedded {
        /// Where its files are.
        folder: PathBuf,
    },
}

/// Who holds mOS permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permissions {
    /// How often Salesforce is asked.
    pub poll: Duration,
}

/// Health answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Http {
    /// Where `/healthz` and `/readyz` answer; `None`: nowhere.
    pub listen: Option<SocketAddr>,
}

/// The console: pages and the API.
#[derive(Debug, Clone)]
pub struct Console {
    /// Where it listens; `None`: the caller's choice on this machine's loopback.
    pub listen: Option<SocketAddr>,
    /// The SHA-256 of the token that callers present; `None`: nobody from outside may call.
    pub token_sha256: Option<TokenHash>,
    /// The file in which every revision of the settings is written down; `None`: in the embedded
    /// folder, or, with servers, nowhere.
    pub journal: Option<PathBuf>,
    /// The consumer key of the connected app that people sign in through; `None`: the same app as
    /// mosync's own.
    pub client_id: Option<String>,
    /// Its consumer secret; `None`: the app goes without, or it is mosync's own.
    pub client_secret: Option<SecretString>,
    /// The API name of the permission set whose holders are administrators, without namespace.
    pub admin_permission_set: String,
    /// Salesforce usernames of the operators, in lower case.
    pub operators: BTreeSet<String>,
    /// Salesforce usernames of the viewers, in lower case.
    pub viewers: BTreeSet<String>,
    /// Origins whose pages may show the console in a frame, such as the org's Lightning domain.
    pub frame_ancestors: Vec<String>,
    /// Proxies that are believed when they say whom they ask for.
    pub trusted_proxies: Vec<Network>,
    /// Where people open it, without a path: for the sign-in and for links in notifications; `None`: where it
    /// listens, if that is this machine's alone.
    pub public_url: Option<Url>,
}

/// How notifications leave.
#[derive(Debug, Clone)]
pub struct Notify {
    /// Where mails come from.
    pub from: String,
    /// The mail server; `None`: mails are files in the folder.
    pub smtp: Option<Smtp>,
    /// The folder of mails; `None`: notifications are kept in the store alone.
    pub folder: Option<PathBuf>,
    /// The webhook.
    pub webhook: Option<Webhook>,
    /// For one mail, or one request to the webhook.
    pub timeout: Duration,
}

/// A mail server.
#[derive(Debug, Clone)]
pub struct Smtp {
    /// Its name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How it is encrypted.
    pub tls: SmtpTls,
    /// PEM certificates that are trusted beside the system's.
    pub ca: Option<Vec<u8>>,
    /// User and password.
    pub login: Option<(String, SecretString)>,
}

/// How a mail server's connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpTls {
    /// By STARTTLS.
    StartTls,
    /// From the first byte.
    Implicit,
    /// Not at all.
    Off,
}

/// A webhook.
#[derive(Clone)]
pub struct Webhook {
    /// Where it goes; it may hold a secret.
    pub url: Url,
    /// What it is signed with.
    pub secret: SecretString,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Webhook")
    }
}

/// The SHA-256 of a token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash(pub [u8; 32]);

impl std::fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenHash")
    }
}

/// How long history is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Jobs, after they have ended.
    pub jobs: Duration,
    /// Lines of the integration log, at most.
    pub log_lines: u64,
    /// Lines of the integration log, no longer than this.
    pub log: Duration,
}

impl Default for Retention {
    /// What the configuration says when it says nothing.
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            jobs: DAY * 90,
            log_lines: 100_000,
            log: DAY * 30,
        }
    }
}

/// Log lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// For people or for machines.
    pub format: LogFormat,
    /// Levels, as `tracing_subscriber::EnvFilter` reads them.
    pub filter: String,
}

/// For people or for machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// A line of text each.
    Text,
    /// A JSON object each.
    Json,
}

impl Config {
    /// Reads the file (else the one that `MOSYNC_CONFIG` names, else none) and the environment,
    /// which the caller has read: `MOSYNC_<SECTION>_<KEY>` wins over the file, an empty value
    /// counts as absent, lists are written with commas. Relative paths start at the working folder.
    ///
    /// # Errors
    /// [`ConfigError`] with every fault there is.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let environment: Vec<(String, String)> = environment.into_iter().collect();
        let named = environment
            .iter()
            .find(|(name, value)| name == FILE_VARIABLE && !value.is_empty())
            .map(|(_, value)| PathBuf::from(OsString::from(value)));
        let file = file.map(Path::to_path_buf).or(named);
        let text = match &file {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path).map_err(|fault| {
                ConfigError::of(Fault::new(
                    path.display().to_string(),
                    format!("the configuration file cannot be read ({fault})"),
                    format!("correct --config or {FILE_VARIABLE}, or the file's permissions"),
                ))
            })?,
        };
        Self::read(&text, environment)
    }

    /// From the file's text and the environment.
    ///
    /// # Errors
    /// [`ConfigError`] with every fault there is.
    pub fn read(
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut reader = Reader::of(text, environment)?;
        let config = Self::of(&mut reader);
        let faults = reader.into_faults();
        match config {
            Some(config) if faults.is_empty() => Ok(config),
            _ => Err(ConfigError { faults }),
        }
    }

    /// Reads every section before it gives up, so that every fault is found.
    fn of(reader: &mut Reader) -> Option<Self> {
        let environment = reader.choice(
            "environment",
            &[
                ("development", Environment::Development),
                ("production", Environment::Production),
            ],
        );
        let plaintext = reader.flag("allow_plaintext");
        let allow_plaintext = plaintext.unwrap_or(false);
        let salesforce = values::salesforce(reader, allow_plaintext);
        let mos = values::mos(reader, allow_plaintext);
        let transport = values::transport(reader, allow_plaintext, environment);
        let permissions = values::permissions(reader);
        let http = values::http(reader);
        let console = values::console(reader, allow_plaintext);
        if let (Some(salesforce), Some(console)) = (&salesforce, &console) {
            values::admin_is_read(reader, salesforce, console);
        }
        let notify = notify::notify(reader, allow_plaintext, transport.as_ref());
        let retention = values::retention(reader);
        let log = values::log(reader);
        Some(Self {
            environment: environment?,
            allow_plaintext: plaintext?,
            salesforce: salesforce?,
            mos: mos?,
            transport: transport?,
            permissions: permissions?,
            http: http?,
            console: console?,
            notify: notify?,
            retention: retention?,
            log: log?,
        })
    }
}

#[cfg(test)]
mod tests;
