//! Salesforce, as far as mosync reads it.

use std::collections::BTreeSet;
use std::fmt;

use async_trait::async_trait;
use domain::change::ChangeEvent;
use domain::filter::FieldType;
use domain::hex::hex;
use domain::{ObjectKind, Row, SalesforceId};
use serde::{Deserialize, Serialize};

/// A Salesforce org. Every call is one request under a deadline of the adapter's own; an expired
/// session is renewed within the call.
#[async_trait]
pub trait Source: Send + Sync {
    /// The org's own record (`Organization`).
    async fn organization(&self) -> Result<Organization, SourceError>;

    /// The user as whom mosync reads.
    async fn user(&self) -> Result<SalesforceId, SourceError>;

    /// A SOQL query's first page. `deleted` asks for deleted rows too (`queryAll`).
    async fn query(&self, soql: &str, deleted: bool) -> Result<Page, SourceError>;

    /// A further page, by the locator of the page before.
    async fn next_page(&self, locator: &str) -> Result<Page, SourceError>;

    /// Records by id, at most 2,000 of one object; the answer is aligned with `ids`, `None` for
    /// what is deleted, unknown or not visible.
    async fn retrieve(
        &self,
        object: ObjectKind,
        ids: &[SalesforceId],
        fields: &[String],
    ) -> Result<Vec<Option<Row>>, SourceError>;

    /// The fields of an object that the integration user can see.
    async fn describe(&self, object: &str) -> Result<Vec<FieldDescription>, SourceError>;

    /// The org's API allowance for 24 hours.
    async fn limits(&self) -> Result<ApiAllowance, SourceError>;

    /// How many API requests this process has made so far, repeats included. They count against
    /// the org's allowance.
    fn api_calls(&self) -> u64;

    /// Starts a Bulk API 2.0 query job. Salesforce then works by itself; [`Self::bulk_query`] tells
    /// how far it is. Not every SOQL is taken: no aggregates, `OFFSET`, subqueries or compound
    /// fields. A query that it does not take is [`SourceError::Refused`], at once or as the
    /// [`BulkState::Failed`] of the job; a used-up allowance of jobs or of results is
    /// [`SourceError::Quota`]. When the answer is lost, a job that nobody knows may remain; it
    /// goes away after seven days.
    async fn create_bulk_query(&self, soql: &str) -> Result<BulkQueryId, SourceError>;

    /// How far a job is. [`SourceError::Expired`] when Salesforce does not know it (any more).
    async fn bulk_query(&self, id: &BulkQueryId) -> Result<BulkQuery, SourceError>;

    /// Opens a page of a complete job's results, from the beginning or from a locator, asking for
    /// at most `max_rows` rows; Salesforce may give fewer. Locators may be read again and in any
    /// order. The rows come as the network brings them.
    ///
    /// `columns` are the fields of the query's SELECT, in its order: an answer with others is
    /// [`SourceError::Garbled`]. Results are kept for seven days, then they are
    /// [`SourceError::Expired`]; a job that is not complete is [`SourceError::Refused`].
    async fn bulk_results(
        &self,
        id: &BulkQueryId,
        columns: &[String],
        locator: Option<&str>,
        max_rows: u32,
    ) -> Result<Box<dyn BulkPage>, SourceError>;

    /// Aborts the job if it runs, and removes it with its results. An unknown job is `Ok`.
    async fn remove_bulk_query(&self, id: &BulkQueryId) -> Result<(), SourceError>;

    /// Opens a change event channel. Dropping the stream closes it.
    async fn subscribe(
        &self,
        topic: &str,
        from: StreamStart,
    ) -> Result<Box<dyn EventStream>, SourceError>;
}

/// A page of bulk results on its way. Dropping it ends the transfer.
#[async_trait]
pub trait BulkPage: Send + Sync {
    /// How many rows the server says the page has (`Sforce-NumberOfRecords`).
    fn promised(&self) -> u64;

    /// Where the next page is; `None` on the last (`Sforce-Locator: null`).
    fn next(&self) -> Option<&str>;

    /// The next rows, at most `max` (one, if that is 0), in the server's order, and as a query
    /// of the same SELECT gives them but for `attributes`. Empty when the page has ended and as
    /// many rows came as promised; a page that ends with fewer, goes on with more, breaks off or
    /// is not CSV is [`SourceError::Garbled`], and silence [`SourceError::Unreachable`]. After an
    /// error nothing more comes: the page is opened again.
    ///
    /// Where the SELECT has `Account.Name` but not `AccountId`, an account whose selected fields
    /// are all empty looks like none.
    async fn rows(&mut self, max: usize) -> Result<Vec<Row>, SourceError>;
}

/// A Bulk API 2.0 query job, `750...`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BulkQueryId(pub String);

impl fmt::Display for BulkQueryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// How far a bulk query job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkQuery {
    /// Where in its life.
    pub state: BulkState,
    /// Rows read so far; in a complete job, all that its results have (`numberRecordsProcessed`).
    pub records: u64,
    /// Salesforce's words on a failed job, without values of the query.
    pub error: Option<String>,
}

/// The states of a bulk query job, by the names that Salesforce gives them. The last three are
/// final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BulkState {
    /// Accepted, waiting to be worked on.
    UploadComplete,
    /// Being worked on.
    InProgress,
    /// Done: the results can be read.
    JobComplete,
    /// Given up by Salesforce; [`BulkQuery::error`] says why.
    Failed,
    /// Ended by someone's request.
    Aborted,
}

/// An open subscription.
#[async_trait]
pub trait EventStream: Send {
    /// The next answer of the server: events, or a keep-alive without any. Silence longer than
    /// the adapter's watchdog is [`SourceError::Unreachable`].
    async fn next(&mut self) -> Result<StreamBatch, SourceError>;
}

/// Where a subscription starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamStart {
    /// With what comes from now on. Only where no position was ever stored.
    Latest,
    /// With the oldest event that Salesforce still keeps (72 hours).
    Earliest,
    /// Strictly after this position.
    After(ReplayId),
}

/// A position in the event stream: opaque bytes, never computed with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReplayId(pub Vec<u8>);

impl ReplayId {
    /// As hexadecimal digits, for people and for stores.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex(&self.0)
    }
}

impl fmt::Debug for ReplayId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

/// One answer of the event stream.
#[derive(Debug)]
pub struct StreamBatch {
    /// In stream order; empty in a keep-alive.
    pub events: Vec<StreamEvent>,
    /// The newest position of the server. It may be stored once every event before it is
    /// settled, from keep-alives too.
    pub latest: ReplayId,
}

/// One event of the stream.
#[derive(Debug)]
pub struct StreamEvent {
    /// Its position.
    pub replay: ReplayId,
    /// What it says, or why it cannot be read.
    pub body: Result<ChangeEvent, Undecodable>,
}

/// An event that no one can read; its bytes are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecodable {
    /// The schema it names.
    pub schema_id: String,
    /// What is wrong, without field values.
    pub reason: String,
    /// The raw Avro datum.
    pub payload: Vec<u8>,
}

/// The org's own record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organization {
    /// `00D...`, 18 characters.
    pub id: SalesforceId,
    /// The company's name.
    pub name: String,
    /// A sandbox or scratch org.
    pub is_sandbox: bool,
    /// The org's default time zone (`TimeZoneSidKey`).
    pub time_zone: String,
}

/// A page of query results.
#[derive(Debug)]
pub struct Page {
    /// How many rows the whole query has.
    pub total: u64,
    /// The rows of this page.
    pub rows: Vec<Row>,
    /// Where the next page is; `None` on the last.
    pub next: Option<String>,
}

/// One field of an object, from describe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldDescription {
    /// API name.
    pub name: String,
    /// Label in the integration user's language.
    pub label: String,
    /// What kind of values it has; `None` for kinds that neither filter nor mapping can use.
    pub field_type: Option<FieldType>,
    /// Whether SOQL can filter by it.
    pub filterable: bool,
    /// A formula or roll-up: it changes without an event.
    pub calculated: bool,
    /// The objects a reference points to.
    pub reference_to: BTreeSet<String>,
    /// The active values of a picklist, by their API names; none for other kinds.
    pub values: BTreeSet<String>,
    /// What a path through a reference calls the record it points to: `Account` of `AccountId`.
    pub relationship: Option<String>,
}

/// API requests per 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiAllowance {
    /// What the org may use.
    pub max: u64,
    /// What is left.
    pub remaining: u64,
}

/// Why Salesforce did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Network, time-out, 5xx: try again.
    #[error("Salesforce did not answer ({0}); mosync tries again by itself")]
    Unreachable(String),
    /// Credentials refused.
    #[error(
        "Salesforce refused the sign-in ({0}); check the client id, the user and the key or secret in the configuration"
    )]
    SignIn(String),
    /// The org's API allowance or the event delivery quota is used up.
    #[error("Salesforce's allowance is used up ({0}); mosync waits for the next window")]
    Quota(String),
    /// The stored position is not in the stream any more, or never was.
    #[error("Salesforce no longer accepts the stored stream position ({0})")]
    PositionRejected(String),
    /// A locator or result that has expired.
    #[error("a query's remaining pages have expired in Salesforce ({0}); the query starts again")]
    Expired(String),
    /// The request itself is wrong: unknown field, no access, malformed query.
    #[error("Salesforce refused the request ({code}: {message})")]
    Refused {
        /// Salesforce's error code, such as `INVALID_FIELD`.
        code: String,
        /// Salesforce's message.
        message: String,
    },
    /// The answer does not have the documented shape.
    #[error(
        "Salesforce's answer could not be read ({0}); if this goes on, compare the API version in the configuration"
    )]
    Garbled(String),
}
