//! The gRPC service: who may call, topics, schemas, and the doors that this org does not have.
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::Stream;
use pubsub_proto::pub_sub_server::{PubSub, PubSubServer};
use pubsub_proto::{
    FetchRequest, FetchResponse, ManagedFetchRequest, ManagedFetchResponse, PublishRequest,
    PublishResponse, SchemaInfo, SchemaRequest, TopicInfo, TopicRequest,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataMap;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Code, Request, Response, Status, Streaming};

use super::log::{self, EventLog};
use super::status;
use super::subscription::Subscription;
use super::topic::Topic;
use crate::faults::Faults;
use crate::org::Org;
use crate::tokens::Tokens;

/// Calls at once on one connection.
const MAX_STREAMS: u32 = 1000;

/// How long a subscription waits before it does what it does when nothing happens.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Silence before an empty response; Salesforce promises one every 270 s.
    pub keepalive: Duration,
    /// Time without demand before the server ends the call; Salesforce takes 60 s.
    pub idle_close: Duration,
}

impl Timing {
    /// Keep-alives at this interval, the rest as Salesforce has it.
    pub fn with_keepalive(keepalive: Duration) -> Self {
        Timing {
            keepalive,
            idle_close: Duration::from_secs(60),
        }
    }
}

/// Serves the org's change events until `stop`. The org's commits are captured from this call on,
/// not from the future's first poll. `tls` is a certificate chain and its key, both PEM.
///
/// # Errors
/// The future ends with the transport's error, a bad certificate among them.
pub fn serve(
    listener: TcpListener,
    org: Arc<Org>,
    faults: Arc<Faults>,
    tokens: Arc<Tokens>,
    keepalive: Duration,
    tls: Option<(Vec<u8>, Vec<u8>)>,
    stop: CancellationToken,
) -> impl Future<Output = Result<(), tonic::transport::Error>> + Send {
    let log = EventLog::attach(&org);
    log.obey(&faults, &org);
    let timing = Timing::with_keepalive(keepalive);
    serve_log(listener, log, org, faults, tokens, timing, tls, stop)
}

/// Serves a log that exists already, as [`serve`] does.
///
/// # Errors
/// The transport's, a bad certificate among them.
#[expect(
    clippy::too_many_arguments,
    reason = "what a server of its own needs; called once"
)]
pub async fn serve_log(
    listener: TcpListener,
    log: Arc<EventLog>,
    org: Arc<Org>,
    faults: Arc<Faults>,
    tokens: Arc<Tokens>,
    timing: Timing,
    tls: Option<(Vec<u8>, Vec<u8>)>,
    stop: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    let service = Service {
        log,
        org,
        faults,
        tokens,
        timing,
        stop: stop.clone(),
        calls: AtomicU64::new(0),
    };
    let mut server = Server::builder().max_concurrent_streams(MAX_STREAMS);
    if let Some((certificate, key)) = tls {
        let identity = Identity::from_pem(certificate, key);
        server = server.tls_config(ServerTlsConfig::new().identity(identity))?;
    }
    // Without this an event waits up to 40 ms for the acknowledgement of the one before it.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    server
        .add_service(PubSubServer::new(service))
        .serve_with_incoming_shutdown(incoming, stop.cancelled_owned())
        .await
}

struct Service {
    log: Arc<EventLog>,
    org: Arc<Org>,
    faults: Arc<Faults>,
    tokens: Arc<Tokens>,
    timing: Timing,
    stop: CancellationToken,
    calls: AtomicU64,
}

impl Service {
    /// A call's id, which its answers and errors carry.
    fn rpc_id(&self) -> String {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        log::uuid(&[b"rpc", self.org.org_id().as_bytes(), &call.to_be_bytes()])
    }

    /// Admits a call by its three metadata headers.
    fn admit(&self, metadata: &MetadataMap) -> Result<String, Status> {
        let rpc_id = self.rpc_id();
        let header = |name: &str| metadata.get(name).and_then(|value| value.to_str().ok());
        let (Some(token), Some(instance), Some(tenant)) = (
            header("accesstoken"),
            header("instanceurl"),
            header("tenantid"),
        ) else {
            return Err(status::headers_invalid(&rpc_id));
        };
        if !is_instance_url(instance) {
            return Err(status::headers_invalid(&rpc_id));
        }
        if !is_same_org(tenant, self.org.org_id()) || !self.tokens.check(token) {
            return Err(status::unauthenticated(&rpc_id));
        }
        Ok(rpc_id)
    }
}

/// Salesforce wants https; plain http is taken from a client on this machine, which talks to a
/// stand-in without a certificate.
fn is_instance_url(text: &str) -> bool {
    let Ok(url) = url::Url::parse(text) else {
        return false;
    };
    match url.scheme() {
        "https" => url.has_host(),
        "http" => match url.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        },
        _ => false,
    }
}

/// Ids of 15 and of 18 characters name the same org.
fn is_same_org(tenant: &str, org_id: &str) -> bool {
    matches!(tenant.len(), 15 | 18) && org_id.starts_with(tenant)
}

type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl PubSub for Service {
    type SubscribeStream = Responses<FetchResponse>;
    type PublishStreamStream = Responses<PublishResponse>;
    type ManagedSubscribeStream = Responses<ManagedFetchResponse>;

    async fn subscribe(
        &self,
        request: Request<Streaming<FetchRequest>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let rpc_id = self.admit(request.metadata())?;
        // The answer begins before the first request has come: some clients wait for its headers.
        let call = Subscription::new(
            Arc::clone(&self.log),
            &self.faults,
            self.timing,
            rpc_id,
            request.into_inner(),
            self.stop.clone(),
        );
        Ok(Response::new(Box::pin(call.responses())))
    }

    async fn get_schema(
        &self,
        request: Request<SchemaRequest>,
    ) -> Result<Response<SchemaInfo>, Status> {
        let rpc_id = self.admit(request.metadata())?;
        let schema_id = request.into_inner().schema_id;
        let Some(schema_json) = self.log.schema_json(&schema_id) else {
            return Err(status::status(
                Code::InvalidArgument,
                "schema.validation.failed",
                "The schema ID is not valid. Use the schema ID of an event or of a topic.",
                &rpc_id,
            ));
        };
        Ok(Response::new(SchemaInfo {
            schema_json,
            schema_id,
            rpc_id,
        }))
    }

    async fn get_topic(
        &self,
        request: Request<TopicRequest>,
    ) -> Result<Response<TopicInfo>, Status> {
        let rpc_id = self.admit(request.metadata())?;
        let topic_name = request.into_inner().topic_name;
        if topic_name.is_empty() {
            return Err(status::topic_empty(&rpc_id));
        }
        let captured = |entity: &str| self.log.schema_id(entity).is_some();
        let Some(topic) = Topic::parse(&topic_name, captured) else {
            return Err(status::topic_not_found(&rpc_id));
        };
        let schema_id = match topic {
            // Events of several objects have no schema in common.
            Topic::All => String::new(),
            Topic::One(entity) => self.log.schema_id(&entity).unwrap_or_default(),
        };
        Ok(Response::new(TopicInfo {
            topic_name,
            tenant_guid: format!("core/prod/{}", self.org.org_id()),
            can_publish: false,
            can_subscribe: true,
            schema_id,
            rpc_id,
        }))
    }

    async fn publish(
        &self,
        request: Request<PublishRequest>,
    ) -> Result<Response<PublishResponse>, Status> {
        self.admit(request.metadata())?;
        Err(no_publishing())
    }

    async fn publish_stream(
        &self,
        request: Request<Streaming<PublishRequest>>,
    ) -> Result<Response<Self::PublishStreamStream>, Status> {
        self.admit(request.metadata())?;
        Err(no_publishing())
    }

    async fn managed_subscribe(
        &self,
        request: Request<Streaming<ManagedFetchRequest>>,
    ) -> Result<Response<Self::ManagedSubscribeStream>, Status> {
        self.admit(request.metadata())?;
        Err(Status::unimplemented(
            "This stand-in has no managed subscriptions. Use Subscribe.",
        ))
    }
}

fn no_publishing() -> Status {
    Status::unimplemented(
        "This stand-in has change events only, and those can not be published. Write records.",
    )
}
