//! One request, one verdict. Nothing is tried twice here: the loader decides about that.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use domain::{ObjectKind, SalesforceId, Timestamp, Version};
use ports::target::{Held, Listed, Outcome, Target, TargetError, Upsert};
use reqwest::header::{
    AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use reqwest::{Response, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::answer::{outcomes, shortened};
use crate::http::{self, ConfigError};
use crate::pause::pause;
use crate::wire::{self, Refusal};

/// More than this is not read of an answer: 500 results with the longest messages have 2 MiB.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;
/// More than this is not read of an answer that only explains an error.
const MAX_REFUSAL_BYTES: usize = 64 * 1024;
const PROBE_KEY: &str = "mosync-probe";
/// What mOS calls a key under which it keeps the answer to another body.
const KEY_REUSED: &str = "key_reused";

/// How to reach mOS.
#[derive(Debug, Clone)]
pub struct Config {
    /// Scheme and host, and a path where mOS's API does not start at the root.
    pub base_url: Url,
    /// A key with ingest right.
    pub api_key: SecretString,
    /// For a whole request, from connecting to the answer's last byte.
    pub request_timeout: Duration,
    /// Allows http to other machines.
    pub plaintext_allowed: bool,
}

impl Config {
    /// With 30 s for a request, and plaintext to this machine only.
    #[must_use]
    pub const fn new(base_url: Url, api_key: SecretString) -> Self {
        Self {
            base_url,
            api_key,
            request_timeout: Duration::from_secs(30),
            plaintext_allowed: false,
        }
    }
}

/// mOS behind its ingest contract.
#[derive(Clone)]
pub struct Mos {
    client: reqwest::Client,
    /// `.../v1/records`.
    records_url: Url,
    upsert_url: Url,
    authorization: HeaderValue,
    request_timeout: Duration,
}

impl fmt::Debug for Mos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mos")
            .field("upsert_url", &self.upsert_url.as_str())
            .finish_non_exhaustive()
    }
}

impl Mos {
    /// Prepares the client; nothing is sent yet.
    ///
    /// # Errors
    /// [`ConfigError`] when the address or the key cannot be used.
    pub fn connect(config: Config) -> Result<Self, ConfigError> {
        http::check_url(&config.base_url, config.plaintext_allowed)?;
        if config.request_timeout.is_zero() {
            return Err(ConfigError::Timeout);
        }
        let client = http::client(config.request_timeout, &config.base_url)?;
        Ok(Self {
            client,
            authorization: authorization(&config.api_key)?,
            upsert_url: below(&config.base_url, &["v1", "records", "upsert"])?,
            records_url: below(&config.base_url, &["v1", "records"])?,
            request_timeout: config.request_timeout,
        })
    }

    /// Sends a request's body and reads the answer of 200.
    async fn send(&self, idempotency_key: &str, body: Vec<u8>) -> Result<Vec<u8>, TargetError> {
        let key = HeaderValue::from_str(idempotency_key).map_err(|_not_a_header| {
            TargetError::Unprocessable("the idempotency key is no header value".to_owned())
        })?;
        let headers = HeaderMap::from_iter([
            (AUTHORIZATION, self.authorization.clone()),
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (HeaderName::from_static("idempotency-key"), key),
        ]);
        let response = self
            .client
            .post(self.upsert_url.clone())
            .headers(headers)
            .body(body)
            .send()
            .await
            .map_err(|error| self.unreachable(&error))?;
        if response.status() == StatusCode::OK {
            self.read_answer(response).await
        } else {
            Err(refusal(response).await)
        }
    }

    async fn read_answer(&self, mut response: Response) -> Result<Vec<u8>, TargetError> {
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| self.unreachable(&error))?
        {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(TargetError::Unreachable(format!(
                    "its answer is larger than {} MiB",
                    MAX_ANSWER_BYTES / 1024 / 1024
                )));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn unreachable(&self, error: &reqwest::Error) -> TargetError {
        let what = if error.is_timeout() {
            format!("no answer within {} s", self.request_timeout.as_secs_f32())
        } else if error.is_connect() {
            format!("no connection: {}", root_cause(error))
        } else if error.is_body() || error.is_decode() {
            format!("the answer broke off: {}", root_cause(error))
        } else {
            format!("the request broke off: {}", root_cause(error))
        };
        TargetError::Unreachable(what)
    }
}

#[async_trait]
impl Target for Mos {
    async fn upsert(
        &self,
        idempotency_key: &str,
        records: &[Upsert],
    ) -> Result<Vec<Outcome>, TargetError> {
        if records.len() > wire::MAX_RECORDS {
            return Err(TargetError::TooLarge);
        }
        let body = wire::body(records).map_err(unwritable)?;
        if body.len() > wire::MAX_BODY_BYTES {
            return Err(TargetError::TooLarge);
        }
        let answer = self.send(idempotency_key, body).await?;
        outcomes(&answer, records).map_err(|fault| unreadable(&fault))
    }

    async fn has_answered(&self, idempotency_key: &str) -> Result<bool, TargetError> {
        // A request that cannot be applied, whatever mOS thinks of it: if the key was used, it says
        // that before it looks at the records (contract, `Idempotency-Key`).
        let body = wire::body(&[]).map_err(unwritable)?;
        match self.send(idempotency_key, body).await {
            Ok(_answer) => Ok(false),
            Err(TargetError::Unprocessable(why)) => Ok(why.starts_with(KEY_REUSED)),
            Err(error) => Err(error),
        }
    }

    async fn probe(&self) -> Result<(), TargetError> {
        let body = wire::body(&[]).map_err(unwritable)?;
        match self.send(PROBE_KEY, body).await {
            Ok(answer) => outcomes(&answer, &[])
                .map(|_none| ())
                .map_err(|fault| unreadable(&fault)),
            // A request must hold at least one record, says the contract. Whoever finds fault with
            // the body has taken the key and is at work.
            Err(TargetError::Unprocessable(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn list(
        &self,
        object: ObjectKind,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Listed>, TargetError> {
        let mut url = below(&self.records_url, &[object.mos_type()])
            .map_err(|error| TargetError::Unprocessable(error.to_string()))?;
        url.query_pairs_mut()
            .append_pair("after", after)
            .append_pair("limit", &limit.to_string());
        let response = self
            .client
            .get(url)
            .header(AUTHORIZATION, self.authorization.clone())
            .send()
            .await
            .map_err(|error| self.unreachable(&error))?;
        if response.status() != StatusCode::OK {
            return Err(refusal(response).await);
        }
        let answer = self.read_answer(response).await?;
        listed(&answer, after)
    }

    async fn record(
        &self,
        object: ObjectKind,
        id: &SalesforceId,
    ) -> Result<Option<Held>, TargetError> {
        let url = below(&self.records_url, &[object.mos_type(), id.as_str()])
            .map_err(|error| TargetError::Unprocessable(error.to_string()))?;
        let response = self
            .client
            .get(url)
            .header(AUTHORIZATION, self.authorization.clone())
            .send()
            .await
            .map_err(|error| self.unreachable(&error))?;
        match response.status() {
            StatusCode::OK => {
                let answer = self.read_answer(response).await?;
                let held = held(&answer, object, id).map_err(|fault| unreadable(&fault))?;
                held.map(Some).ok_or_else(|| {
                    TargetError::Unreachable("its answer is about another record".to_owned())
                })
            }
            // Only mOS itself says so in the contract's words; a wrong address says 404 too.
            StatusCode::NOT_FOUND => {
                let body = self.read_answer(response).await?;
                match serde_json::from_slice::<Refusal>(&body) {
                    Ok(Refusal { error }) if error.code == "not_found" => Ok(None),
                    _ => Err(wrong_address(StatusCode::NOT_FOUND)),
                }
            }
            _ => Err(refusal(response).await),
        }
    }
}

/// A page of a listing. One that is not in order would be read for ever, or not to its end.
fn listed(answer: &[u8], after: &str) -> Result<Vec<Listed>, TargetError> {
    let page: wire::Page = serde_json::from_slice(answer).map_err(|fault| unreadable(&fault))?;
    let mut last = after.to_owned();
    let mut records = Vec::new();
    for wire::PageRecord { external_id } in page.records {
        if external_id <= last {
            return Err(TargetError::Unreachable(
                "its listing is not in the order of the external ids".to_owned(),
            ));
        }
        last.clone_from(&external_id);
        records.push(Listed { external_id });
    }
    Ok(records)
}

/// A whole record, if it is the one that was asked for.
fn held(
    answer: &[u8],
    object: ObjectKind,
    id: &SalesforceId,
) -> Result<Option<Held>, serde_json::Error> {
    let record: wire::WholeRecord = serde_json::from_slice(answer)?;
    let is_it = record.kind == object.mos_type() && record.external_id == id.as_str();
    let version = record.version.parse().map(Timestamp::from_micros);
    Ok(version.ok().filter(|_| is_it).map(|read| Held {
        version: Version::at(read),
        fields: record.fields,
    }))
}

/// An answer that is no 200.
async fn refusal(response: Response) -> TargetError {
    let status = response.status();
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            TargetError::Forbidden(format!("HTTP {}", status.as_u16()))
        }
        StatusCode::PAYLOAD_TOO_LARGE => TargetError::TooLarge,
        StatusCode::TOO_MANY_REQUESTS => TargetError::Throttled(pause(
            text(response.headers(), &RETRY_AFTER),
            text(response.headers(), &DATE),
        )),
        StatusCode::UNPROCESSABLE_ENTITY => TargetError::Unprocessable(explanation(response).await),
        _ if status.is_redirection() => TargetError::Unreachable(format!(
            "HTTP {}, a redirect, which is not followed; check mos.url",
            status.as_u16()
        )),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => wrong_address(status),
        // 5xx, and whatever the contract does not speak of: nothing is known about the records.
        _ => TargetError::Unreachable(format!("HTTP {}", status.as_u16())),
    }
}

/// mOS's own words about a 422.
async fn explanation(mut response: Response) -> String {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        if body.len() + chunk.len() > MAX_REFUSAL_BYTES {
            return "without a readable reason".to_owned();
        }
        body.extend_from_slice(&chunk);
    }
    let Ok(Refusal { error }) = serde_json::from_slice(&body) else {
        return "without a readable reason".to_owned();
    };
    if error.code == KEY_REUSED {
        return format!(
            "{KEY_REUSED}: the idempotency key was used with another body; send the request under a new key"
        );
    }
    format!(
        "{}: {}",
        shortened(&error.code),
        shortened(&error.message.unwrap_or_default())
    )
}

fn authorization(api_key: &SecretString) -> Result<HeaderValue, ConfigError> {
    let key = api_key.expose_secret();
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ConfigError::ApiKey);
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {key}"))
        .map_err(|_not_a_header| ConfigError::ApiKey)?;
    value.set_sensitive(true);
    Ok(value)
}

fn wrong_address(status: StatusCode) -> TargetError {
    TargetError::Unreachable(format!(
        "HTTP {}: that address is not mOS's ingest API; check mos.url",
        status.as_u16()
    ))
}

/// An address below another.
fn below(base: &Url, path: &[&str]) -> Result<Url, ConfigError> {
    let mut url = base.clone();
    url.path_segments_mut()
        .map_err(|()| ConfigError::NotAWebAddress)?
        .pop_if_empty()
        .extend(path);
    Ok(url)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The innermost cause; reqwest's own sentences around it repeat the address.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    while let Some(inner) = cause.and_then(std::error::Error::source) {
        cause = Some(inner);
    }
    cause.map_or_else(|| "no cause given".to_owned(), ToString::to_string)
}

/// Only place and kind: serde's full message may quote a value.
fn unreadable(fault: &serde_json::Error) -> TargetError {
    TargetError::Unreachable(format!(
        "its answer is not the contract's JSON, at line {} column {}",
        fault.line(),
        fault.column()
    ))
}

fn unwritable(_fault: serde_json::Error) -> TargetError {
    TargetError::Unprocessable("the request could not be written as JSON".to_owned())
}
