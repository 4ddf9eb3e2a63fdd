//! How to reach an org.

use std::time::Duration;

use secrecy::SecretString;
use url::{Host, Url};

/// The API version whose answers this crate knows.
pub const API_VERSION: &str = "67.0";
/// Silence on the event stream after which the connection counts as dead. Salesforce sends a
/// keep-alive at least every 270 s.
pub const WATCHDOG: Duration = Duration::from_secs(330);
/// How long one request may take. Salesforce ends a query after 120 s.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(130);

/// How to reach an org.
#[derive(Debug, Clone)]
pub struct Config {
    /// `https://login.salesforce.com`, `https://test.salesforce.com` or the org's own address,
    /// which client credentials need.
    pub login_url: Url,
    /// Such as [`API_VERSION`].
    pub api_version: String,
    /// How to sign in.
    pub grant: Grant,
    /// Such as `https://api.pubsub.salesforce.com:7443`.
    pub pubsub_endpoint: Url,
    /// Such as [`WATCHDOG`].
    pub watchdog: Duration,
    /// For one attempt; a call with its repeats takes at most twice as long. Such as
    /// [`REQUEST_TIMEOUT`].
    pub request_timeout: Duration,
    /// Allows `http://` to other hosts than this machine; for test set-ups.
    pub plaintext_allowed: bool,
}

/// How to sign in.
#[derive(Debug, Clone)]
pub enum Grant {
    /// JWT bearer: the app knows the certificate, we hold its private key.
    Jwt {
        /// The app's consumer key.
        client_id: String,
        /// The integration user.
        username: String,
        /// The assertion's audience; the login address when absent.
        audience: Option<String>,
        /// An RSA key, PEM.
        private_key_pem: SecretString,
    },
    /// Client credentials; the app names the user.
    ClientCredentials {
        /// The app's consumer key.
        client_id: String,
        /// The app's consumer secret.
        client_secret: SecretString,
    },
}

/// What is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// An address that would carry secrets in the clear, or none that can be used.
    #[error(
        "{key} must be an https address, and this one is not ({url}); plain http is for this machine only"
    )]
    Address {
        /// The configuration's key.
        key: &'static str,
        /// The address, without user name, password and query.
        url: String,
    },
    /// Not of the form `67.0`.
    #[error("the API version `{0}` is not of the form `67.0`; write digits, a dot and a zero")]
    ApiVersion(String),
    /// The private key cannot be read.
    #[error(
        "the private key is not an RSA key in PEM form; it begins with `-----BEGIN PRIVATE KEY-----` or `-----BEGIN RSA PRIVATE KEY-----`"
    )]
    PrivateKey,
    /// A value that may not be empty is.
    #[error("{0} is empty; copy it from the app in Salesforce's setup")]
    Empty(&'static str),
    /// The HTTP client cannot be made.
    #[error(
        "the HTTP client could not be made ({0}); check this machine's certificates and proxy settings"
    )]
    Client(String),
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        check_address("login_url", &self.login_url, self.plaintext_allowed)?;
        check_address(
            "pubsub_endpoint",
            &self.pubsub_endpoint,
            self.plaintext_allowed,
        )?;
        let is_version = self
            .api_version
            .split_once('.')
            .is_some_and(|(major, minor)| {
                !major.is_empty() && major.bytes().all(|byte| byte.is_ascii_digit()) && minor == "0"
            });
        if !is_version {
            return Err(ConfigError::ApiVersion(self.api_version.clone()));
        }
        match &self.grant {
            Grant::Jwt { client_id, .. } | Grant::ClientCredentials { client_id, .. }
                if client_id.trim().is_empty() =>
            {
                Err(ConfigError::Empty("client_id"))
            }
            Grant::Jwt { username, .. } if username.trim().is_empty() => {
                Err(ConfigError::Empty("username"))
            }
            Grant::Jwt { .. } | Grant::ClientCredentials { .. } => Ok(()),
        }
    }
}

/// Whether `http://` may be used for this host.
pub(crate) fn allows_plaintext(url: &Url, plaintext_allowed: bool) -> bool {
    plaintext_allowed || is_loopback(url)
}

pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

pub(crate) fn check_address(
    key: &'static str,
    url: &Url,
    plaintext_allowed: bool,
) -> Result<(), ConfigError> {
    let fits = match url.scheme() {
        "https" => url.has_host(),
        "http" => allows_plaintext(url, plaintext_allowed),
        _ => false,
    };
    if fits {
        Ok(())
    } else {
        Err(ConfigError::Address {
            key,
            url: url.origin().ascii_serialization(),
        })
    }
}
