//! Salesforce, as the port [`Source`]: sign-in ([`mod@config`]), the REST data API, bulk queries, the
//! Pub/Sub API, and change events from Avro ([`avro`]).
//!
//! The process installs a rustls crypto provider before the first connection.

mod auth;
pub mod avro;
mod bitmap;
mod bulk;
pub mod config;
mod fault;
mod http;
mod pubsub;
mod rest;
mod schema;
mod sign_in;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::{ObjectKind, Row, SalesforceId};
use ports::Clock;
use ports::source::{
    ApiAllowance, BulkPage, BulkQuery, BulkQueryId, EventStream, FieldDescription, Organization,
    Page, Source, SourceError, StreamStart,
};
use url::Url;

pub use avro::{DecodeError, EventSchema, decode_event};
pub use config::{Config, ConfigError, Grant};
pub use http::ApiUsage;
pub use sign_in::{App, sign_in};

/// An org, reached over HTTPS and gRPC. Copies share session, connections and counters.
#[derive(Debug, Clone)]
pub struct Salesforce {
    core: Arc<Core>,
}

/// What all calls share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) auth: auth::Auth,
    pub(crate) http: http::Http,
    pub(crate) schemas: schema::SchemaCache,
    pub(crate) bulk_columns: bulk::Remembered,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) api_version: String,
    pub(crate) pubsub_endpoint: Url,
    pub(crate) watchdog: Duration,
    pub(crate) request_timeout: Duration,
}

/// Prepares the way to an org. Nothing is sent: the first call signs in.
///
/// # Errors
/// [`ConfigError`] names the value that cannot be right.
pub fn connect(config: Config, clock: Arc<dyn Clock>) -> Result<Salesforce, ConfigError> {
    config.check()?;
    let http = http::Http::new(
        config.request_timeout,
        config::is_loopback(&config.login_url),
    )
    .map_err(|error| ConfigError::Client(error.to_string()))?;
    let auth = auth::Auth::new(&config, Arc::clone(&clock))?;
    let Config {
        api_version,
        pubsub_endpoint,
        watchdog,
        request_timeout,
        ..
    } = config;
    Ok(Salesforce {
        core: Arc::new(Core {
            auth,
            http,
            schemas: schema::SchemaCache::default(),
            bulk_columns: bulk::Remembered::default(),
            clock,
            api_version,
            pubsub_endpoint,
            watchdog,
            request_timeout,
        }),
    })
}

impl Salesforce {
    /// The org's daily API usage by all its clients, as the newest answer said.
    #[must_use]
    pub fn api_usage(&self) -> Option<ApiUsage> {
        self.core.http.usage()
    }
}

#[async_trait]
impl Source for Salesforce {
    async fn organization(&self) -> Result<Organization, SourceError> {
        self.core.organization().await
    }

    async fn user(&self) -> Result<SalesforceId, SourceError> {
        let session = self.core.auth.session(&self.core.http).await;
        session
            .map(|session| session.user_id)
            .map_err(|fault| fault.error)
    }

    async fn query(&self, soql: &str, deleted: bool) -> Result<Page, SourceError> {
        self.core.query(soql, deleted).await
    }

    async fn next_page(&self, locator: &str) -> Result<Page, SourceError> {
        self.core.next_page(locator).await
    }

    async fn retrieve(
        &self,
        object: ObjectKind,
        ids: &[SalesforceId],
        fields: &[String],
    ) -> Result<Vec<Option<Row>>, SourceError> {
        self.core.retrieve(object, ids, fields).await
    }

    async fn describe(&self, object: &str) -> Result<Vec<FieldDescription>, SourceError> {
        self.core.describe(object).await
    }

    async fn limits(&self) -> Result<ApiAllowance, SourceError> {
        self.core.limits().await
    }

    fn api_calls(&self) -> u64 {
        self.core.http.calls()
    }

    async fn create_bulk_query(&self, soql: &str) -> Result<BulkQueryId, SourceError> {
        self.core.create_bulk_query(soql).await
    }

    async fn bulk_query(&self, id: &BulkQueryId) -> Result<BulkQuery, SourceError> {
        self.core.bulk_query(id).await
    }

    async fn bulk_results(
        &self,
        id: &BulkQueryId,
        columns: &[String],
        locator: Option<&str>,
        max_rows: u32,
    ) -> Result<Box<dyn BulkPage>, SourceError> {
        self.core.bulk_results(id, columns, locator, max_rows).await
    }

    async fn remove_bulk_query(&self, id: &BulkQueryId) -> Result<(), SourceError> {
        self.core.remove_bulk_query(id).await
    }

    async fn subscribe(
        &self,
        topic: &str,
        from: StreamStart,
    ) -> Result<Box<dyn EventStream>, SourceError> {
        pubsub::subscribe(Arc::clone(&self.core), topic, from).await
    }
}
