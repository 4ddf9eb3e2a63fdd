//! The one HTTP client: time limits, user agent, connection pool, and the count of API calls.

mod stream;

use std::error::Error as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use ports::source::SourceError;

use crate::fault::Fault;

pub(crate) use stream::Stream;

/// How long until a connection must stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an idle connection is kept.
const POOL_IDLE: Duration = Duration::from_secs(60);
/// The largest answer that is read. A page has at most 2,000 rows.
const MAX_BODY: usize = 128 * 1024 * 1024;

/// Stamped as `changeOrigin` on the events of our own writes and shown in the org's API usage.
const CALL_OPTIONS: &str = concat!("client=mosync/", env!("CARGO_PKG_VERSION"));

/// Sends requests and keeps count of them.
#[derive(Debug)]
pub(crate) struct Http {
    pub(crate) client: reqwest::Client,
    /// Without a deadline for the whole answer: for those that are read piece by piece.
    pub(crate) streams: reqwest::Client,
    calls: AtomicU64,
    used: AtomicU64,
    max: AtomicU64,
}

/// How much of the org's daily API requests is used, as the newest answer's header said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiUsage {
    /// Requests in the last 24 hours, by all clients of the org.
    pub used: u64,
    /// What the org may use.
    pub max: u64,
}

/// An answer with its body read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Reads the body.
    pub(crate) async fn of(mut response: reqwest::Response) -> Result<Self, Fault> {
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| unreachable_by(&error))?
        {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(Fault::lasting(SourceError::Garbled(format!(
                    "an answer of more than {} MiB",
                    MAX_BODY >> 20
                ))));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Self {
            status,
            retry_after,
            body,
        })
    }
}

impl Http {
    /// `direct`: no proxy is asked, because the server is on this machine.
    pub(crate) fn new(request_timeout: Duration, direct: bool) -> Result<Self, reqwest::Error> {
        Ok(Self {
            client: client(Some(request_timeout), direct)?,
            streams: client(None, direct)?,
            calls: AtomicU64::new(0),
            used: AtomicU64::new(0),
            max: AtomicU64::new(0),
        })
    }

    /// Sends a data API request; it counts against the org's allowance. The body is not read
    /// yet.
    pub(crate) async fn open(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<reqwest::Response, Fault> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let response = request
            .send()
            .await
            .map_err(|error| unreachable_by(&error))?;
        if let Some(usage) = response
            .headers()
            .get("sforce-limit-info")
            .and_then(|value| value.to_str().ok())
            .and_then(api_usage)
        {
            self.used.store(usage.used, Ordering::Relaxed);
            self.max.store(usage.max, Ordering::Relaxed);
        }
        Ok(response)
    }

    /// Sends a request that is no API call: a sign-in.
    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer, Fault> {
        let response = request
            .send()
            .await
            .map_err(|error| unreachable_by(&error))?;
        Answer::of(response).await
    }

    /// Data API requests sent so far.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// What the newest answer said about the org's usage.
    pub(crate) fn usage(&self) -> Option<ApiUsage> {
        let max = self.max.load(Ordering::Relaxed);
        (max > 0).then(|| ApiUsage {
            used: self.used.load(Ordering::Relaxed),
            max,
        })
    }
}

fn client(
    request_timeout: Option<Duration>,
    direct: bool,
) -> Result<reqwest::Client, reqwest::Error> {
    let headers = HeaderMap::from_iter([
        (
            header::HeaderName::from_static("sforce-call-options"),
            HeaderValue::from_static(CALL_OPTIONS),
        ),
        (header::ACCEPT, HeaderValue::from_static("application/json")),
    ]);
    let builder = reqwest::Client::builder()
        .user_agent(concat!("mosync/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE)
        // A redirect would hand the token to another address; Salesforce's API never sends one.
        .redirect(reqwest::redirect::Policy::none());
    let builder = match request_timeout {
        Some(timeout) => builder.timeout(timeout),
        None => builder,
    };
    if direct {
        builder.no_proxy().build()
    } else {
        builder.build()
    }
}

/// Without the URL, which holds the query and with it values of the filter.
fn unreachable_by(error: &reqwest::Error) -> Fault {
    let kind = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    };
    Fault::passing(SourceError::Unreachable(match root_of(error) {
        Some(root) => format!("{kind}: {root}"),
        None => kind.to_owned(),
    }))
}

/// The innermost cause.
fn root_of(error: &reqwest::Error) -> Option<String> {
    let mut cause = error.source();
    let mut root = None;
    while let Some(inner) = cause {
        root = Some(inner.to_string());
        cause = inner.source();
    }
    root
}

/// Seconds; Salesforce does not send dates.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers
        .get(header::RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
        .map(Duration::from_secs)
}

/// Reads `api-usage=18/5000; per-app-api-usage=17/250(appName=x)`.
fn api_usage(header: &str) -> Option<ApiUsage> {
    let usage = header
        .split(';')
        .find_map(|part| part.trim().strip_prefix("api-usage="))?;
    let (used, max) = usage.split_once('/')?;
    Some(ApiUsage {
        used: used.trim().parse().ok()?,
        max: max.trim().parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_header_is_read_with_and_without_an_app_quota() {
        assert_eq!(
            api_usage("api-usage=18/5000"),
            Some(ApiUsage {
                used: 18,
                max: 5000
            })
        );
        assert_eq!(
            api_usage("api-usage=25/5000; per-app-api-usage=17/250(appName=sample)"),
            Some(ApiUsage {
                used: 25,
                max: 5000
            })
        );
        assert_eq!(api_usage("per-app-api-usage=17/250(appName=sample)"), None);
        assert_eq!(api_usage("api-usage=many"), None);
    }
}
