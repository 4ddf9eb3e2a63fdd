//! The REST data API: queries, retrieve, describe, limits.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use backoff::{ExponentialBuilder, Retryable};
use domain::filter::FieldType;
use domain::{ObjectKind, Row, SalesforceId};
use http::StatusCode;
use ports::source::{ApiAllowance, FieldDescription, Organization, Page, SourceError};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use url::Url;

use crate::Core;
use crate::auth::Session;
use crate::fault::{Fault, shortened};
use crate::http::{Answer, Stream};

/// How often a request is repeated after the first attempt.
pub(crate) const REPEATS: usize = 3;
const FIRST_DELAY: Duration = Duration::from_millis(250);
const LONGEST_DELAY: Duration = Duration::from_secs(10);
/// How many ids one retrieve takes (composite/sobjects).
const RETRIEVE_IDS: usize = 2_000;
/// Salesforce refuses 16,384 bytes of URL and headers; the token and the other headers need some.
const MAX_URL: usize = 15_000;

impl Core {
    pub(crate) async fn organization(&self) -> Result<Organization, SourceError> {
        let page = self
            .query(
                "SELECT Id, Name, IsSandbox, TimeZoneSidKey FROM Organization",
                false,
            )
            .await?;
        let row = page
            .rows
            .first()
            .ok_or_else(|| SourceError::Garbled("the org has no Organization record".to_owned()))?;
        let organization: OrganizationRow = serde_json::from_str(row.get())
            .map_err(|error| garbled("the Organization record", &error))?;
        Ok(Organization {
            id: organization.id,
            name: organization.name,
            is_sandbox: organization.is_sandbox,
            time_zone: organization.time_zone,
        })
    }

    pub(crate) async fn query(&self, soql: &str, deleted: bool) -> Result<Page, SourceError> {
        let resource = if deleted { "queryAll" } else { "query" };
        let answer = self
            .call(|session| {
                let mut url = self.data_url(session, resource)?;
                url.query_pairs_mut().append_pair("q", soql);
                if url.as_str().len() > MAX_URL {
                    return Err(SourceError::Refused { code: "URI_TOO_LONG".to_owned(), message: format!("the query takes more than {MAX_URL} bytes in a URL; ask for fewer fields or ids at once") });
                }
                Ok(self.http.client.get(url))
            })
            .await
            .map_err(|fault| fault.error)?;
        page(&answer)
    }

    pub(crate) async fn next_page(&self, locator: &str) -> Result<Page, SourceError> {
        let answer = self
            .call(|session| Ok(self.http.client.get(self.page_url(session, locator)?)))
            .await
            .map_err(|fault| unknown_locator(fault.error))?;
        page(&answer)
    }

    pub(crate) async fn retrieve(
        &self,
        object: ObjectKind,
        ids: &[SalesforceId],
        fields: &[String],
    ) -> Result<Vec<Option<Row>>, SourceError> {
        let mut rows = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(RETRIEVE_IDS) {
            let body = Retrieve { ids: chunk, fields };
            let answer = self
                .call(|session| {
                    Ok(self
                        .http
                        .client
                        .post(self.data_url(session, &format!("composite/sobjects/{object}"))?)
                        .json(&body))
                })
                .await
                .map_err(|fault| fault.error)?;
            let found: Vec<Option<Row>> = parse("a retrieve", &answer)?;
            if found.len() != chunk.len() {
                return Err(SourceError::Garbled(format!(
                    "{} records were asked for and {} answered",
                    chunk.len(),
                    found.len()
                )));
            }
            for (id, row) in chunk.iter().zip(&found) {
                if let Some(row) = row {
                    check_identity(row, *id)?;
                }
            }
            rows.extend(found);
        }
        Ok(rows)
    }

    pub(crate) async fn describe(
        &self,
        object: &str,
    ) -> Result<Vec<FieldDescription>, SourceError> {
        let fields = self.described(object).await?;
        Ok(fields
            .into_iter()
            .map(|field| FieldDescription {
                field_type: FieldType::of_describe(&field.field_type),
                name: field.name,
                label: field.label,
                filterable: field.filterable,
                calculated: field.calculated,
                reference_to: field.reference_to,
                values: field
                    .picklist_values
                    .into_iter()
                    .filter(|value| value.active)
                    .map(|value| value.value)
                    .collect(),
                relationship: field.relationship_name,
            })
            .collect())
    }

    /// The fields as Salesforce describes them.
    pub(crate) async fn described(&self, object: &str) -> Result<Vec<FieldAnswer>, SourceError> {
        if object.is_empty()
            || !object
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            return Err(SourceError::Refused {
                code: "INVALID_TYPE".to_owned(),
                message: "an object's API name holds letters, digits and underscores only"
                    .to_owned(),
            });
        }
        let answer = self
            .call(|session| {
                Ok(self
                    .http
                    .client
                    .get(self.data_url(session, &format!("sobjects/{object}/describe"))?))
            })
            .await
            .map_err(|fault| fault.error)?;
        let description: ObjectAnswer = parse("a describe", &answer)?;
        Ok(description.fields)
    }

    pub(crate) async fn limits(&self) -> Result<ApiAllowance, SourceError> {
        let answer = self
            .call(|session| Ok(self.http.client.get(self.data_url(session, "limits")?)))
            .await
            .map_err(|fault| fault.error)?;
        let mut limits: BTreeMap<String, serde_json::Value> = parse("the limits", &answer)?;
        let daily = limits.remove("DailyApiRequests").ok_or_else(|| {
            SourceError::Garbled("the limits name no DailyApiRequests".to_owned())
        })?;
        let limit: Limit =
            serde_json::from_value(daily).map_err(|error| garbled("the limits", &error))?;
        Ok(ApiAllowance {
            max: limit.max,
            remaining: u64::try_from(limit.remaining).unwrap_or(0),
        })
    }

    /// Sends a request, and again if need be, and reads its answer.
    pub(crate) async fn call(
        &self,
        request: impl Fn(&Session) -> Result<reqwest::RequestBuilder, SourceError>,
    ) -> Result<Answer, Fault> {
        self.repeated(|| self.attempt(&request)).await
    }

    /// Attempts until one succeeds or fails for good, there have been enough or the time is up.
    pub(crate) async fn repeated<T, F>(&self, attempt: impl FnMut() -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let allowed = self.request_timeout * 2;
        let deadline = Instant::now() + allowed;
        let repeated = attempt
            .retry(self.delays())
            .when(|fault: &Fault| fault.transient)
            .adjust(|fault, delay| delay.map(|delay| fault.retry_after.unwrap_or(delay)).filter(|delay| Instant::now() + *delay < deadline))
            .notify(|fault, delay| tracing::debug!(error = %fault.error, delay_ms = delay.as_millis(), "Salesforce did not answer, trying again"));
        tokio::time::timeout_at(deadline, repeated)
            .await
            .unwrap_or_else(|_elapsed| {
                Err(Fault::passing(SourceError::Unreachable(format!(
                    "no answer within {} s",
                    allowed.as_secs()
                ))))
            })
    }

    /// The pauses between repeats.
    pub(crate) fn delays(&self) -> ExponentialBuilder {
        ExponentialBuilder::default()
            .with_min_delay(FIRST_DELAY)
            .with_max_delay(LONGEST_DELAY)
            .with_factor(3.0)
            .with_max_times(REPEATS)
            .with_jitter()
            .with_jitter_seed(self.clock.now().as_micros().unsigned_abs())
    }

    /// Sends a request, and again if need be, and leaves the body of its answer to be read
    /// piece by piece.
    pub(crate) async fn stream(
        &self,
        request: impl Fn(&Session) -> Result<reqwest::RequestBuilder, SourceError>,
    ) -> Result<Stream, Fault> {
        let attempt = || async {
            let opened = tokio::time::timeout(self.request_timeout, self.open(&request)).await;
            opened.unwrap_or_else(|_elapsed| {
                Err(Fault::passing(SourceError::Unreachable(
                    "no answer in time".to_owned(),
                )))
            })
        };
        let response = self.repeated(attempt).await?;
        Stream::of(response, self.request_timeout).map_err(Fault::lasting)
    }

    async fn attempt(
        &self,
        request: &impl Fn(&Session) -> Result<reqwest::RequestBuilder, SourceError>,
    ) -> Result<Answer, Fault> {
        Answer::of(self.open(request).await?).await
    }

    /// One attempt, to an answer that is a success; with a session that has expired, a second
    /// one after renewal.
    async fn open(
        &self,
        request: &impl Fn(&Session) -> Result<reqwest::RequestBuilder, SourceError>,
    ) -> Result<reqwest::Response, Fault> {
        let session = self.auth.session(&self.http).await?;
        let response = self.send(&session, request).await?;
        let response = if response.status() == StatusCode::UNAUTHORIZED {
            let session = self.auth.renew(&session, &self.http).await?;
            self.send(&session, request).await?
        } else {
            response
        };
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(Fault::of_answer(&Answer::of(response).await?))
        }
    }

    async fn send(
        &self,
        session: &Session,
        request: &impl Fn(&Session) -> Result<reqwest::RequestBuilder, SourceError>,
    ) -> Result<reqwest::Response, Fault> {
        let request = request(session)
            .map_err(Fault::lasting)?
            .bearer_auth(session.token.expose_secret());
        self.http.open(request).await
    }

    pub(crate) fn data_url(&self, session: &Session, resource: &str) -> Result<Url, SourceError> {
        joined(
            session,
            &format!("/services/data/v{}/{resource}", self.api_version),
        )
    }

    /// A page's address: a path of its own version (the documented form), a full address of the
    /// same instance, or the bare locator.
    fn page_url(&self, session: &Session, locator: &str) -> Result<Url, SourceError> {
        let url = if locator.starts_with('/') || locator.contains("://") {
            joined(session, locator)?
        } else {
            self.data_url(session, &format!("query/{locator}"))?
        };
        if url.origin() != session.instance_url.origin() {
            return Err(SourceError::Garbled(
                "the next page lies on another server, which does not get the token".to_owned(),
            ));
        }
        Ok(url)
    }
}

fn joined(session: &Session, path: &str) -> Result<Url, SourceError> {
    session.instance_url.join(path).map_err(|error| {
        SourceError::Garbled(format!("no address can be made for the request: {error}"))
    })
}

fn page(answer: &Answer) -> Result<Page, SourceError> {
    let query: QueryAnswer = parse("a query", answer)?;
    let next = match (query.done, query.next_records_url) {
        (true, _) => None,
        (false, Some(next)) => Some(next),
        (false, None) => {
            return Err(SourceError::Garbled(
                "a query's page is not the last and names no next one".to_owned(),
            ));
        }
    };
    if !query.records.iter().all(|row| row.get().starts_with('{')) {
        return Err(SourceError::Garbled(
            "a query's row is not an object".to_owned(),
        ));
    }
    Ok(Page {
        total: query.total_size,
        rows: query.records,
        next,
    })
}

pub(crate) fn parse<T: DeserializeOwned>(what: &str, answer: &Answer) -> Result<T, SourceError> {
    serde_json::from_slice(&answer.body).map_err(|error| garbled(what, &error))
}

/// Nothing but the locator can be unknown in a further page's address.
fn unknown_locator(error: SourceError) -> SourceError {
    if let SourceError::Refused { code, message } = &error
        && (code == "NOT_FOUND" || code == "HTTP_404")
    {
        return SourceError::Expired(format!("{code}: {message}"));
    }
    error
}

/// The parser's place, not its words, which may quote a value.
fn garbled(what: &str, error: &serde_json::Error) -> SourceError {
    let kind = match error.classify() {
        serde_json::error::Category::Data => "does not have the documented shape",
        serde_json::error::Category::Eof => "ends too early",
        serde_json::error::Category::Io | serde_json::error::Category::Syntax => "is not JSON",
    };
    SourceError::Garbled(shortened(&format!(
        "{what}'s answer {kind}, at line {} column {}",
        error.line(),
        error.column()
    )))
}

/// A row must never be taken for another record's.
fn check_identity(row: &Row, id: SalesforceId) -> Result<(), SourceError> {
    let identity: Identity<'_> =
        serde_json::from_str(row.get()).map_err(|error| garbled("a retrieve", &error))?;
    match identity.id {
        Some(found) if SalesforceId::parse(&found).ok() != Some(id) => Err(SourceError::Garbled(
            "a retrieve's rows are not in the order of the ids".to_owned(),
        )),
        _ => Ok(()),
    }
}

#[derive(Serialize)]
struct Retrieve<'call> {
    ids: &'call [SalesforceId],
    fields: &'call [String],
}

#[derive(Deserialize)]
struct Identity<'row> {
    #[serde(rename = "Id", borrow)]
    id: Option<Cow<'row, str>>,
}

#[derive(Deserialize)]
struct OrganizationRow {
    #[serde(rename = "Id")]
    id: SalesforceId,
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "IsSandbox")]
    is_sandbox: bool,
    #[serde(rename = "TimeZoneSidKey")]
    time_zone: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct QueryAnswer {
    total_size: u64,
    done: bool,
    next_records_url: Option<String>,
    records: Vec<Row>,
}

#[derive(Deserialize)]
struct ObjectAnswer {
    fields: Vec<FieldAnswer>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FieldAnswer {
    pub(crate) name: String,
    #[serde(default)]
    label: String,
    #[serde(rename = "type")]
    pub(crate) field_type: String,
    #[serde(default)]
    filterable: bool,
    #[serde(default)]
    calculated: bool,
    #[serde(default)]
    pub(crate) reference_to: BTreeSet<String>,
    #[serde(default)]
    picklist_values: Vec<PicklistValue>,
    /// What SOQL calls the record that a reference points to.
    pub(crate) relationship_name: Option<String>,
}

/// One value of a picklist; `value` is what rows and events carry, its label is translated.
#[derive(Debug, Clone, Deserialize)]
struct PicklistValue {
    value: String,
    #[serde(default)]
    active: bool,
}

/// `Remaining` can fall below zero, as the limit is soft.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Limit {
    max: u64,
    remaining: i64,
}
