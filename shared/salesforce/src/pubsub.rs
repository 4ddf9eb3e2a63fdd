//! The Pub/Sub API: one subscription, from its opening to its end. It does not reopen itself:
//! whoever holds the stored position does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backoff::Retryable;
use futures::future::BoxFuture;
use ports::source::{
    EventStream, ReplayId, SourceError, StreamBatch, StreamEvent, StreamStart, Undecodable,
};
use pubsub_proto::pub_sub_client::PubSubClient;
use pubsub_proto::{ConsumerEvent, FetchRequest, FetchResponse, ReplayPreset, SchemaRequest};
use secrecy::ExposeSecret;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status, Streaming};

use crate::Core;
use crate::auth::Session;
use crate::avro::EventSchema;
use crate::fault::{Fault, shortened};

/// How many events may be on their way; Salesforce treats more as this.
const WINDOW: i32 = 100;
/// Below so many, more are asked for. This happens when an answer arrives, not when it has been
/// worked off: with nothing asked for, Salesforce ends the stream after 60 s. What arrives while
/// nobody reads waits in HTTP/2's own window, so memory stays bounded.
const LOW_WATER: i32 = 50;
/// A hundred events of 1 MB, and some. The library's default is 4 MiB.
const MAX_MESSAGE: usize = 128 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long opening waits for the server's first sign, to report a refusal at once. A server may
/// also stay silent until the first event; then the watchdog takes over.
const OPENING: Duration = Duration::from_secs(10);
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);
/// What every error code begins with.
const CODE_PREFIX: &str = "sfdc.platform.eventbus.grpc.";

/// Opens a subscription.
pub(crate) async fn subscribe(
    core: Arc<Core>,
    topic: &str,
    start: StreamStart,
) -> Result<Box<dyn EventStream>, SourceError> {
    let session = core
        .auth
        .session(&core.http)
        .await
        .map_err(|fault| fault.error)?;
    let client = PubSubClient::new(channel(&core).map_err(|error| {
        SourceError::Unreachable(format!("the Pub/Sub address cannot be used: {error}"))
    })?)
    .max_decoding_message_size(MAX_MESSAGE);
    let (phase, demand) = open(&client, &session, topic, &start)?;
    let latest = match &start {
        StreamStart::After(replay) => Some(replay.clone()),
        StreamStart::Latest | StreamStart::Earliest => None,
    };
    let mut subscription = Subscription {
        heard: Instant::now(),
        core,
        client,
        session,
        topic: topic.to_owned(),
        start,
        phase,
        demand,
        outstanding: WINDOW,
        greeted: false,
        renewed: false,
        received: None,
        latest,
    };
    match timeout(OPENING, subscription.opened()).await {
        Ok(opened) => opened?,
        Err(_no_sign_yet) => tracing::debug!(topic, "subscription requested, no answer yet"),
    }
    Ok(Box::new(subscription))
}

/// An open subscription.
struct Subscription {
    core: Arc<Core>,
    client: PubSubClient<Channel>,
    session: Arc<Session>,
    topic: String,
    start: StreamStart,
    phase: Phase,
    demand: mpsc::Sender<FetchRequest>,
    /// Events asked for and not yet received.
    outstanding: i32,
    /// When the server last said something.
    heard: Instant,
    /// Whether it ever sent an answer on this stream.
    greeted: bool,
    /// Whether the session has been renewed for this subscription.
    renewed: bool,
    /// An answer that has been received and not handed over, because its schemas were being
    /// loaded when the caller stopped waiting.
    received: Option<FetchResponse>,
    latest: Option<ReplayId>,
}

enum Phase {
    Opening(BoxFuture<'static, Result<Streaming<FetchResponse>, Status>>),
    Open(Box<Streaming<FetchResponse>>),
    Ended,
}

#[async_trait]
impl EventStream for Subscription {
    /// May be dropped while it waits; nothing is lost.
    async fn next(&mut self) -> Result<StreamBatch, SourceError> {
        loop {
            if self.received.is_some()
                && let Some(batch) = self.deliver().await?
            {
                return Ok(batch);
            }
            let watchdog = self.core.watchdog;
            match timeout_at(self.heard + watchdog, self.message()).await {
                Err(_silence) => {
                    self.phase = Phase::Ended;
                    return Err(SourceError::Unreachable(format!(
                        "nothing was heard on the event stream for {} s",
                        watchdog.as_secs()
                    )));
                }
                Ok(received) => {
                    let response = received?;
                    self.heard = Instant::now();
                    self.greeted = true;
                    self.ask_for_more(&response);
                    self.received = Some(response);
                }
            }
        }
    }
}

impl Subscription {
    /// Waits until the server has accepted or refused.
    async fn opened(&mut self) -> Result<(), SourceError> {
        while let Phase::Opening(opening) = &mut self.phase {
            match opening.await {
                Ok(stream) => self.phase = Phase::Open(Box::new(stream)),
                Err(status) => self.recover(&status).await?,
            }
        }
        Ok(())
    }

    /// The server's next answer.
    async fn message(&mut self) -> Result<FetchResponse, SourceError> {
        loop {
            self.opened().await?;
            let Phase::Open(stream) = &mut self.phase else {
                return Err(SourceError::Unreachable(
                    "the event stream has ended".to_owned(),
                ));
            };
            match stream.message().await {
                Ok(Some(response)) => return Ok(response),
                Ok(None) => {
                    self.phase = Phase::Ended;
                    return Err(SourceError::Unreachable(
                        "the server ended the event stream".to_owned(),
                    ));
                }
                Err(status) => self.recover(&status).await?,
            }
        }
    }

    /// Opens anew with a new session when the first one was not accepted; any other error ends
    /// the subscription.
    async fn recover(&mut self, status: &Status) -> Result<(), SourceError> {
        self.phase = Phase::Ended;
        if self.greeted || self.renewed || Reason::of(status) != Reason::Auth {
            return Err(source_error(status));
        }
        self.renewed = true;
        self.session = self
            .core
            .auth
            .renew(&self.session, &self.core.http)
            .await
            .map_err(|fault| fault.error)?;
        (self.phase, self.demand) = open(&self.client, &self.session, &self.topic, &self.start)?;
        self.outstanding = WINDOW;
        Ok(())
    }

    fn ask_for_more(&mut self, response: &FetchResponse) {
        let arrived = i32::try_from(response.events.len()).unwrap_or(i32::MAX);
        self.outstanding = self.outstanding.saturating_sub(arrived).max(0);
        if response.pending_num_requested <= 0 {
            self.outstanding = 0;
        }
        if self.outstanding >= LOW_WATER {
            return;
        }
        let request = FetchRequest {
            topic_name: self.topic.clone(),
            num_requested: WINDOW - self.outstanding,
            ..FetchRequest::default()
        };
        // When the server takes no requests at the moment, the next answer brings another chance;
        // when it is gone, the stream says so.
        if self.demand.try_send(request).is_ok() {
            self.outstanding = WINDOW;
        }
    }

    /// Decodes what was received; `None` for a keep-alive without any known position.
    async fn deliver(&mut self) -> Result<Option<StreamBatch>, SourceError> {
        let ids: BTreeSet<&str> = self
            .received
            .iter()
            .flat_map(|response| &response.events)
            .filter_map(|event| event.event.as_ref())
            .map(|event| event.schema_id.as_str())
            .collect();
        let mut schemas: BTreeMap<String, Result<Arc<EventSchema>, String>> = BTreeMap::new();
        for id in ids {
            let schema = match self
                .core
                .schemas
                .get(id, || self.core.load_schema(&self.client, id))
                .await
            {
                Ok(schema) => Ok(schema),
                Err(SchemaFault::Unusable(reason)) => Err(reason),
                Err(SchemaFault::Source(error)) => return Err(error),
            };
            schemas.insert(id.to_owned(), schema);
        }
        let Some(response) = self.received.take() else {
            return Ok(None);
        };
        let events: Vec<StreamEvent> = response
            .events
            .into_iter()
            .map(|event| decoded(event, &schemas))
            .collect();
        let newest = if response.latest_replay_id.is_empty() {
            events.last().map(|event| event.replay.clone())
        } else {
            Some(ReplayId(response.latest_replay_id))
        };
        if newest.is_some() {
            self.latest = newest;
        }
        Ok(self
            .latest
            .clone()
            .map(|latest| StreamBatch { events, latest }))
    }
}

fn decoded(
    event: ConsumerEvent,
    schemas: &BTreeMap<String, Result<Arc<EventSchema>, String>>,
) -> StreamEvent {
    let replay = ReplayId(event.replay_id);
    let Some(event) = event.event else {
        return StreamEvent {
            replay,
            body: Err(Undecodable {
                schema_id: String::new(),
                reason: "the event is empty".to_owned(),
                payload: Vec::new(),
            }),
        };
    };
    let body = match schemas.get(&event.schema_id) {
        Some(Ok(schema)) => schema
            .decode(&event.payload)
            .map_err(|error| error.to_string()),
        Some(Err(reason)) => Err(reason.clone()),
        None => Err("its schema was not loaded".to_owned()),
    };
    StreamEvent {
        replay,
        body: body.map_err(|reason| Undecodable {
            schema_id: event.schema_id,
            reason,
            payload: event.payload,
        }),
    }
}

/// Why a schema is not there.
enum SchemaFault {
    /// Salesforce does not know it, or it is none: the event cannot be read, now or later.
    Unusable(String),
    /// It could not be asked for.
    Source(SourceError),
}

impl Core {
    async fn load_schema(
        &self,
        client: &PubSubClient<Channel>,
        id: &str,
    ) -> Result<EventSchema, SchemaFault> {
        let ask = || async {
            let session = self
                .auth
                .session(&self.http)
                .await
                .map_err(SchemaAttempt::SignIn)?;
            match self.get_schema(client, &session, id).await {
                Err(SchemaAttempt::Status(status)) if Reason::of(&status) == Reason::Auth => {
                    let session = self
                        .auth
                        .renew(&session, &self.http)
                        .await
                        .map_err(SchemaAttempt::SignIn)?;
                    self.get_schema(client, &session, id).await
                }
                other => other,
            }
        };
        let json = ask
            .retry(self.delays())
            .when(SchemaAttempt::is_transient)
            .await
            .map_err(|failed| match failed {
                SchemaAttempt::SignIn(fault) => SchemaFault::Source(fault.error),
                SchemaAttempt::Status(status)
                    if matches!(status.code(), Code::NotFound | Code::InvalidArgument) =>
                {
                    SchemaFault::Unusable("Salesforce does not know its schema".to_owned())
                }
                SchemaAttempt::Status(status) => SchemaFault::Source(source_error(&status)),
            })?;
        EventSchema::parse(&json).map_err(|error| SchemaFault::Unusable(error.to_string()))
    }

    async fn get_schema(
        &self,
        client: &PubSubClient<Channel>,
        session: &Session,
        id: &str,
    ) -> Result<String, SchemaAttempt> {
        let request = authorised(
            session,
            SchemaRequest {
                schema_id: id.to_owned(),
            },
        )
        .map_err(|error| SchemaAttempt::SignIn(Fault::lasting(error)))?;
        let answer = timeout(self.request_timeout, client.clone().get_schema(request))
            .await
            .map_err(|_elapsed| {
                SchemaAttempt::Status(Status::deadline_exceeded("no answer in time"))
            })?;
        answer
            .map(|answer| answer.into_inner().schema_json)
            .map_err(SchemaAttempt::Status)
    }
}

/// How asking for a schema failed.
enum SchemaAttempt {
    SignIn(Fault),
    Status(Status),
}

impl SchemaAttempt {
    fn is_transient(&self) -> bool {
        match self {
            Self::SignIn(fault) => fault.transient,
            Self::Status(status) => {
                Reason::of(status) == Reason::Passing
                    && !matches!(status.code(), Code::NotFound | Code::InvalidArgument)
            }
        }
    }
}

/// A connection that is made when the first call needs it.
fn channel(core: &Core) -> Result<Channel, tonic::transport::Error> {
    let url = &core.pubsub_endpoint;
    let endpoint = Endpoint::from_shared(url.as_str().to_owned())?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_keepalive(Some(TCP_KEEPALIVE))
        .tcp_nodelay(true);
    let endpoint = if url.scheme() == "https" {
        endpoint.tls_config(ClientTlsConfig::new().with_native_roots())?
    } else {
        endpoint
    };
    Ok(endpoint.connect_lazy())
}

/// Starts a Subscribe call. Topic and position are in its first request only.
fn open(
    client: &PubSubClient<Channel>,
    session: &Session,
    topic: &str,
    start: &StreamStart,
) -> Result<(Phase, mpsc::Sender<FetchRequest>), SourceError> {
    let (preset, replay_id) = match start {
        StreamStart::Latest => (ReplayPreset::Latest, Vec::new()),
        StreamStart::Earliest => (ReplayPreset::Earliest, Vec::new()),
        StreamStart::After(replay) => (ReplayPreset::Custom, replay.0.clone()),
    };
    let first = FetchRequest {
        topic_name: topic.to_owned(),
        replay_preset: preset.into(),
        replay_id,
        num_requested: WINDOW,
        ..FetchRequest::default()
    };
    let (demand, requests) = mpsc::channel(8);
    demand
        .try_send(first)
        .map_err(|error| SourceError::Unreachable(error.to_string()))?;
    let request = authorised(session, ReceiverStream::new(requests))?;
    let mut client = client.clone();
    let opening = Box::pin(async move {
        client
            .subscribe(request)
            .await
            .map(tonic::Response::into_inner)
    });
    Ok((Phase::Opening(opening), demand))
}

/// Adds the three metadata keys that every call needs.
fn authorised<T>(session: &Session, message: T) -> Result<Request<T>, SourceError> {
    let ascii = |text: &str| {
        text.parse::<MetadataValue<Ascii>>()
            .map_err(|_may_quote_the_token| {
                SourceError::Garbled(
                    "the session cannot be written into a request header".to_owned(),
                )
            })
    };
    let mut request = Request::new(message);
    let mut token = ascii(session.token.expose_secret())?;
    token.set_sensitive(true);
    let metadata = request.metadata_mut();
    metadata.insert("accesstoken", token);
    metadata.insert(
        "instanceurl",
        ascii(session.instance_url.as_str().trim_end_matches('/'))?,
    );
    metadata.insert("tenantid", ascii(session.org_id.as_str())?);
    Ok(request)
}

/// What kind of error a call ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Auth,
    Position,
    Quota,
    /// Nothing will change until a person acts: topic, permission, licence.
    Refused,
    Passing,
}

impl Reason {
    /// By the code in the `error-code` trailer; without one by the status (Pub/Sub guide, "Handle errors").
    fn of(status: &Status) -> Self {
        let code = error_code(status).unwrap_or_default();
        match code.strip_prefix(CODE_PREFIX).unwrap_or(code) {
            "subscription.fetch.replayid.corrupted"
            | "subscription.fetch.replayid.validation.failed" => Self::Position,
            "subscription.limit.exceeded" => Self::Quota,
            "service.auth.error" => Self::Auth,
            "topic.not.found"
            | "topic.meta.permission"
            | "schema.meta.permission"
            | "service.tenant.license"
            | "subscription.topic.cannot.subscribe" => Self::Refused,
            _ if status.code() == Code::Unauthenticated => Self::Auth,
            _ => Self::Passing,
        }
    }
}

fn error_code(status: &Status) -> Option<&str> {
    status
        .metadata()
        .get("error-code")
        .and_then(|value| value.to_str().ok())
}

fn source_error(status: &Status) -> SourceError {
    let code = error_code(status).map_or_else(
        || format!("{:?}", status.code()),
        |code| code.strip_prefix(CODE_PREFIX).unwrap_or(code).to_owned(),
    );
    let message = shortened(status.message());
    let told = if message.is_empty() {
        code.clone()
    } else {
        format!("{code}: {message}")
    };
    match Reason::of(status) {
        Reason::Auth => SourceError::SignIn(told),
        Reason::Position => SourceError::PositionRejected(told),
        Reason::Quota => SourceError::Quota(told),
        Reason::Refused => SourceError::Refused { code, message },
        Reason::Passing => SourceError::Unreachable(told),
    }
}
