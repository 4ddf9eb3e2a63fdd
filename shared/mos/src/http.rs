//! The one place that makes HTTP clients and that decides which addresses they may talk to.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use url::{Host, Url};

/// A connection must stand after this time, or sooner when the whole request has less.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// An idle connection is kept this long, which is shorter than usual load balancers do.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);
/// Idle connections kept: as many as the loader writes side by side.
const IDLE_CONNECTIONS: usize = 16;
const USER_AGENT: &str = concat!("mosync/", env!("CARGO_PKG_VERSION"));

/// Why mOS cannot be talked to with this configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Neither http nor https, or without a host.
    #[error("mos.url is not a web address; write it as https://HOST")]
    NotAWebAddress,
    /// Unencrypted, and neither to this machine nor allowed.
    #[error(
        "mos.url is not encrypted; write https:// instead of http://, or set allow_plaintext = true for a test installation"
    )]
    Plaintext,
    /// User name, password, query or fragment in the address.
    #[error(
        "mos.url holds more than a host and a path; take out user name, password, `?` and `#`, and put the key into mos.api_key"
    )]
    Extras,
    /// An address that only reaches services of the hosting machine.
    #[error("mos.url is a link-local address, which is never mOS; write mOS's own host name")]
    LinkLocal,
    /// Empty, or with characters that no header can carry.
    #[error("mos.api_key is empty or holds characters that no API key has; copy the key again")]
    ApiKey,
    /// No time at all for a request.
    #[error("mos.request_timeout_s is 0; write at least 1 second, 30 is usual")]
    Timeout,
    /// TLS or the resolver could not be set up.
    #[error(
        "the HTTP client could not be set up; check that this machine has its certificate authorities installed (package ca-certificates)"
    )]
    Client(#[source] reqwest::Error),
}

/// A client with all time limits set. Redirects are off: they would carry the API key elsewhere.
pub(crate) fn client(
    request_timeout: Duration,
    base: &Url,
) -> Result<reqwest::Client, ConfigError> {
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(request_timeout.min(CONNECT_TIMEOUT))
        .timeout(request_timeout)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .tcp_nodelay(true);
    if is_loopback(base) {
        // A proxy elsewhere cannot reach this machine's own loopback.
        builder = builder.no_proxy();
    }
    builder.build().map_err(ConfigError::Client)
}

/// Refuses addresses that mosync must not send the API key to.
pub(crate) fn check_url(url: &Url, plaintext_allowed: bool) -> Result<(), ConfigError> {
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(ConfigError::NotAWebAddress);
    }
    if !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err(ConfigError::Extras);
    }
    if is_link_local(url) {
        return Err(ConfigError::LinkLocal);
    }
    if url.scheme() == "http" && !plaintext_allowed && !is_loopback(url) {
        return Err(ConfigError::Plaintext);
    }
    Ok(())
}

fn address(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(v4) => Some(IpAddr::V4(v4)),
        Host::Ipv6(v6) => Some(unmapped(v6)),
        Host::Domain(_) => None,
    }
}

fn unmapped(v6: Ipv6Addr) -> IpAddr {
    v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4)
}

fn is_loopback(url: &Url) -> bool {
    match address(url) {
        Some(ip) => ip.is_loopback(),
        None => url.host_str() == Some("localhost"),
    }
}

fn is_link_local(url: &Url) -> bool {
    match address(url) {
        Some(IpAddr::V4(v4)) => v4.is_link_local(),
        Some(IpAddr::V6(v6)) => v6.is_unicast_link_local(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(url: &str, plaintext_allowed: bool) -> String {
        match check_url(&url.parse().unwrap(), plaintext_allowed) {
            Ok(()) => "fine".to_owned(),
            Err(fault) => format!("{fault:?}"),
        }
    }

    #[test]
    fn only_encrypted_or_own_addresses_pass() {
        for (url, allowed, expected) in [
            ("https://mos.example.com", false, "fine"),
            ("https://mos.example.com/tenant/7", false, "fine"),
            ("http://127.0.0.1:8090", false, "fine"),
            ("http://localhost:8090", false, "fine"),
            ("http://[::1]:8090", false, "fine"),
            ("http://mos:8090", false, "Plaintext"),
            ("http://mos:8090", true, "fine"),
            ("http://localhost.evil.example", false, "Plaintext"),
            ("ftp://mos.example.com", true, "NotAWebAddress"),
            ("https://user:pw@mos.example.com", false, "Extras"),
            ("https://mos.example.com/?key=1", false, "Extras"),
            ("https://169.254.169.254", true, "LinkLocal"),
            ("https://[::ffff:169.254.169.254]", true, "LinkLocal"),
            ("https://[fe80::1]", true, "LinkLocal"),
        ] {
            assert_eq!(verdict(url, allowed), expected, "{url}");
        }
    }
}
