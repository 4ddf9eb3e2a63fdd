//! The webhook: a signed POST for each notice.

use std::error::Error as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use domain::Timestamp;
use domain::hex::hex;
use domain::notification::{Notice, Settled};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use sha2::Sha256;
use url::{Host, Url};

use crate::{ConfigError, Webhook};

/// The header with time and signature: `t=SECONDS, v1=HEX`, where `HEX` is the HMAC-SHA256 of
/// `SECONDS.BODY` under the secret.
pub const SIGNATURE: &str = "x-mosync-signature";
const AGENT: &str = concat!("mosync/", env!("CARGO_PKG_VERSION"));

/// What is posted; times are RFC 3339.
#[derive(Debug, Serialize)]
struct Posted<'a> {
    id: &'a str,
    incident: &'a str,
    matter: &'a str,
    event: &'a str,
    at: String,
    headline: String,
    object: &'a str,
    count: u64,
    cause: &'a str,
    advice: &'a str,
    details: &'a [String],
    lasted_s: Option<u64>,
    url: Option<String>,
}

/// Where webhooks go.
pub(crate) struct Hook {
    url: Url,
    secret: SecretString,
    client: Client,
    timeout: Duration,
}

impl Hook {
    pub(crate) fn new(webhook: Webhook, timeout: Duration) -> Result<Self, ConfigError> {
        let Webhook { url, secret } = webhook;
        let own = is_own(&url);
        if let Some(why) = fault(&url) {
            return Err(ConfigError::Webhook(why));
        }
        let resolver = Resolver {
            only_own: url.scheme() == "http",
        };
        let client = Client::builder()
            .redirect(Policy::none())
            .timeout(timeout)
            .user_agent(AGENT)
            .dns_resolver(resolver);
        let client = if own { client.no_proxy() } else { client };
        Ok(Self {
            url,
            secret,
            client: client.build().map_err(ConfigError::Client)?,
            timeout,
        })
    }

    /// Posts a notice.
    pub(crate) async fn send(
        &self,
        notice: &Notice,
        link: Option<String>,
        now: Timestamp,
    ) -> Settled {
        let posted = Posted {
            id: &notice.id,
            incident: &notice.incident,
            matter: notice.matter.name(),
            event: notice.event.name(),
            at: notice.at.to_string(),
            headline: notice.headline(),
            object: &notice.object,
            count: notice.count,
            cause: &notice.cause,
            advice: &notice.advice,
            details: &notice.details,
            lasted_s: notice.lasted_s,
            url: link,
        };
        let Ok(body) = serde_json::to_vec(&posted) else {
            return Settled::Never("the notification cannot be written as JSON".to_owned());
        };
        let seconds = now.as_micros().div_euclid(1_000_000);
        let signature = signature(self.secret.expose_secret(), seconds, &body);
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(SIGNATURE, signature)
            .body(body);
        match request.send().await.map(|answer| answer.status()) {
            Ok(status) if status.is_success() => {
                Settled::Sent(format!("the webhook has answered {}", status.as_u16()))
            }
            Ok(status) if status == StatusCode::GONE => Settled::Never(
                "the webhook has answered 410: it is gone for good; take notify.webhook_url out"
                    .to_owned(),
            ),
            Ok(status) if status.is_redirection() => Settled::Later(format!(
                "the webhook has answered {}: redirects are not followed, correct notify.webhook_url",
                status.as_u16()
            )),
            Ok(status) => Settled::Later(format!("the webhook has answered {}", status.as_u16())),
            Err(error) if error.is_timeout() => Settled::Later(format!(
                "the webhook did not answer within {} s",
                self.timeout.as_secs()
            )),
            Err(error) => Settled::Later(format!("the webhook cannot be reached: {}", root(error))),
        }
    }
}

/// The innermost cause, without the address, which may hold a secret.
fn root(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause = error.source();
    let mut words = error.to_string();
    while let Some(inner) = cause {
        words = inner.to_string();
        cause = inner.source();
    }
    words
}

fn signature(secret: &str, seconds: i64, body: &[u8]) -> String {
    // HMAC takes keys of every length.
    let hash = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map(|mut mac| {
        mac.update(format!("{seconds}.").as_bytes());
        mac.update(body);
        mac.finalize().into_bytes()
    });
    let hash = hash.map(|hash| hex(&hash)).unwrap_or_default();
    format!("t={seconds}, v1={hash}")
}

/// Why an address must not be asked.
fn fault(url: &Url) -> Option<&'static str> {
    match url.scheme() {
        "https" => {}
        "http" if is_own(url) => {}
        "http" => return Some("is not encrypted; write https://"),
        _ => return Some("does not start with https://"),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Some("holds a user or a password; the signature is what proves who posts");
    }
    match ip(url) {
        Some(ip) if is_forbidden(ip) => {
            Some("is a link-local address or none of a service; write the service's own host name")
        }
        Some(_) | None => None,
    }
}

fn ip(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(v4) => Some(IpAddr::V4(v4)),
        Host::Ipv6(v6) => Some(IpAddr::V6(v6)),
        Host::Domain(_) => None,
    }
}

fn is_own(url: &Url) -> bool {
    match ip(url) {
        Some(ip) => unmapped(ip).is_loopback(),
        None => url.host_str() == Some("localhost"),
    }
}

fn unmapped(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(ip, IpAddr::V4),
    }
}

/// Link-local addresses are those of the hosting machine's own services, which must not be asked
/// on behalf of somebody who can write a configuration or a name server's answers.
fn is_forbidden(ip: IpAddr) -> bool {
    match unmapped(ip) {
        IpAddr::V4(v4) => {
            v4.is_link_local() || v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast()
        }
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_unspecified() || v6.is_multicast(),
    }
}

/// Asks the system, and drops what must not be asked: a name may lead anywhere.
struct Resolver {
    /// Without encryption only this machine is asked.
    only_own: bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let only_own = self.only_own;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found = found
                .filter(|address| !is_forbidden(address.ip()))
                .filter(|address| !only_own || unmapped(address.ip()).is_loopback())
                .collect::<Vec<SocketAddr>>();
            if found.is_empty() {
                return Err("the name leads to no address that may be asked".into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_encrypted_or_own_addresses_pass() {
        for (url, fine) in [
            ("https://hooks.example.com/a?b=c", true),
            ("https://10.1.2.3/", true),
            ("http://127.0.0.1:8080/hook", true),
            ("http://[::1]/hook", true),
            ("http://localhost/hook", true),
            ("http://hooks.example.com/", false),
            ("http://10.1.2.3/", false),
            ("https://169.254.169.254/latest", false),
            ("https://[fe80::1]/", false),
            ("https://[::ffff:169.254.169.254]/", false),
            ("https://0.0.0.0/", false),
            ("https://ada:secret@hooks.example.com/", false),
            ("ftp://hooks.example.com/", false),
        ] {
            assert_eq!(fault(&url.parse().unwrap()).is_none(), fine, "{url}");
        }
    }

    #[test]
    fn the_signature_is_the_published_one() {
        // Computed with: printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac s3cret
        assert_eq!(
            signature("s3cret", 1_700_000_000, b"{\"a\":1}"),
            "t=1700000000, v1=1698a50bc74d1ff1db85c4e0a5297c2ad9fdba245d5737cdb789e4cc6e098940"
        );
    }
}
