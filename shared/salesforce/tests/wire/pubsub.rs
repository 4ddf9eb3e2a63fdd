//! The Pub/Sub API, with the test playing the server answer by answer.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::change::ChangeType;
use futures::Stream;
use ports::source::{EventStream, ReplayId, Source, SourceError, StreamStart};
use pubsub_proto::pub_sub_server::{PubSub, PubSubServer};
use pubsub_proto::{
    ConsumerEvent, FetchRequest, FetchResponse, ManagedFetchRequest, ManagedFetchResponse,
    ProducerEvent, PublishRequest, PublishResponse, ReplayPreset, SchemaInfo, SchemaRequest,
    TopicInfo, TopicRequest,
};
use salesforce::{Config, Salesforce};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_util::task::TaskTracker;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use crate::events::contact_role_event;
use crate::http_server::{FixedClock, ORG, Server, not_found};

const TOPIC: &str = "/data/ChangeEvents";
const SCHEMA: &str = "a01VpgrsZNJdn-7KStJcxQ";
const PREFIX: &str = "sfdc.platform.eventbus.grpc.";

/// A Subscribe call, from the server's side.
struct Call {
    metadata: MetadataMap,
    requests: Streaming<FetchRequest>,
    answers: mpsc::Sender<Result<FetchResponse, Status>>,
}

impl Call {
    async fn request(&mut self) -> FetchRequest {
        self.requests.message().await.unwrap().unwrap()
    }

    async fn answer(&self, answer: Result<FetchResponse, Status>) {
        self.answers.send(answer).await.unwrap();
    }
}

struct Scripted {
    calls: mpsc::UnboundedSender<Call>,
    /// What the next Subscribe calls are refused with.
    refusals: Mutex<VecDeque<Status>>,
    schema_refusals: Mutex<VecDeque<Status>>,
    schema_requests: AtomicUsize,
    /// Each `GetSchema` call takes a permit.
    schema_gate: Semaphore,
}

/// A Pub/Sub server and a sign-in server beside it.
struct Hub {
    http: Server,
    endpoint: String,
    scripted: Arc<Scripted>,
    calls: mpsc::UnboundedReceiver<Call>,
}

impl Hub {
    async fn start() -> Self {
        let http = Server::start(|_| not_found()).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (sender, calls) = mpsc::unbounded_channel();
        let scripted = Arc::new(Scripted {
            calls: sender,
            refusals: Mutex::default(),
            schema_refusals: Mutex::default(),
            schema_requests: AtomicUsize::new(0),
            schema_gate: Semaphore::new(1000),
        });
        let service = PubSubServer::from_arc(Arc::clone(&scripted));
        TaskTracker::new().spawn(async move {
            tonic::transport::Server::builder()
                .add_service(service)
                .serve_with_incoming(TcpListenerStream::new(listener))
                .await
                .unwrap();
        });
        Self {
            http,
            endpoint,
            scripted,
            calls,
        }
    }

    fn client(&self, watchdog: Duration) -> Salesforce {
        let config = Config {
            pubsub_endpoint: self.endpoint.parse().unwrap(),
            watchdog,
            ..self.http.config()
        };
        salesforce::connect(config, Arc::new(FixedClock)).unwrap()
    }

    async fn open(&mut self, start: StreamStart) -> (Box<dyn EventStream>, Call) {
        let stream = self
            .client(Duration::from_secs(30))
            .subscribe(TOPIC, start)
            .await
            .unwrap();
        (stream, self.calls.recv().await.unwrap())
    }

    fn refuse(&self, status: Status) {
        self.scripted.refusals.lock().unwrap().push_back(status);
    }
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl PubSub for Scripted {
    type SubscribeStream = Answers<FetchResponse>;
    type PublishStreamStream = Answers<PublishResponse>;
    type ManagedSubscribeStream = Answers<ManagedFetchResponse>;

    async fn subscribe(
        &self,
        request: Request<Streaming<FetchRequest>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        if let Some(status) = self.refusals.lock().unwrap().pop_front() {
            return Err(status);
        }
        let (metadata, _, requests) = request.into_parts();
        let (answers, receiver) = mpsc::channel(64);
        self.calls
            .send(Call {
                metadata,
                requests,
                answers,
            })
            .unwrap();
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn get_schema(
        &self,
        request: Request<SchemaRequest>,
    ) -> Result<Response<SchemaInfo>, Status> {
        self.schema_requests.fetch_add(1, Ordering::SeqCst);
        self.schema_gate.acquire().await.unwrap().forget();
        assert_eq!(request.metadata().get("tenantid").unwrap(), ORG);
        if let Some(status) = self.schema_refusals.lock().unwrap().pop_front() {
            return Err(status);
        }
        match request.get_ref().schema_id.as_str() {
            SCHEMA => Ok(Response::new(SchemaInfo {
                schema_json: contact_role_event().1,
                schema_id: SCHEMA.to_owned(),
                rpc_id: String::new(),
            })),
            "broken" => Ok(Response::new(SchemaInfo {
                schema_json: "{}".to_owned(),
                ..SchemaInfo::default()
            })),
            _ => Err(Status::invalid_argument("no such schema")),
        }
    }

    async fn get_topic(&self, _: Request<TopicRequest>) -> Result<Response<TopicInfo>, Status> {
        Err(Status::unimplemented("get_topic"))
    }

    async fn publish(
        &self,
        _: Request<PublishRequest>,
    ) -> Result<Response<PublishResponse>, Status> {
        Err(Status::unimplemented("publish"))
    }

    async fn publish_stream(
        &self,
        _: Request<Streaming<PublishRequest>>,
    ) -> Result<Response<Self::PublishStreamStream>, Status> {
        Err(Status::unimplemented("publish_stream"))
    }

    async fn managed_subscribe(
        &self,
        _: Request<Streaming<ManagedFetchRequest>>,
    ) -> Result<Response<Self::ManagedSubscribeStream>, Status> {
        Err(Status::unimplemented("managed_subscribe"))
    }
}

fn status(code: tonic::Code, error_code: &str) -> Status {
    let mut metadata = MetadataMap::new();
    metadata.insert(
        "error-code",
        format!("{PREFIX}{error_code}").parse().unwrap(),
    );
    Status::with_metadata(code, "as the test says. rpcId: 1", metadata)
}

fn event(schema: &str, replay: u8) -> ConsumerEvent {
    ConsumerEvent {
        event: Some(ProducerEvent {
            id: format!("event {replay}"),
            schema_id: schema.to_owned(),
            payload: contact_role_event().0,
            headers: Vec::new(),
        }),
        replay_id: vec![0, replay],
    }
}

fn events(count: u8, pending: i32) -> FetchResponse {
    FetchResponse {
        events: (1..=count).map(|replay| event(SCHEMA, replay)).collect(),
        latest_replay_id: vec![0, count],
        rpc_id: String::new(),
        pending_num_requested: pending,
    }
}

fn keep_alive(replay: &[u8]) -> FetchResponse {
    FetchResponse {
        events: Vec::new(),
        latest_replay_id: replay.to_vec(),
        rpc_id: String::new(),
        pending_num_requested: 100,
    }
}

#[tokio::test]
async fn a_subscription_names_topic_position_and_org_and_hands_over_events() {
    let mut hub = Hub::start().await;
    let (mut stream, mut call) = hub.open(StreamStart::After(ReplayId(vec![1, 2, 3]))).await;
    let first = call.request().await;
    assert_eq!(
        (
            first.topic_name.as_str(),
            first.replay_preset(),
            first.replay_id.as_slice(),
            first.num_requested
        ),
        (TOPIC, ReplayPreset::Custom, &[1, 2, 3][..], 100)
    );
    assert_eq!(call.metadata.get("accesstoken").unwrap(), "T1");
    assert_eq!(call.metadata.get("tenantid").unwrap(), ORG);
    assert_eq!(
        call.metadata.get("instanceurl").unwrap(),
        hub.http.url.as_str().trim_end_matches('/')
    );

    call.answer(Ok(events(2, 98))).await;
    let batch = stream.next().await.unwrap();
    assert_eq!(batch.latest, ReplayId(vec![0, 2]));
    assert_eq!(
        batch
            .events
            .iter()
            .map(|event| event.replay.clone())
            .collect::<Vec<_>>(),
        [ReplayId(vec![0, 1]), ReplayId(vec![0, 2])]
    );
    assert_eq!(
        batch.events[0].body.as_ref().unwrap().change_type,
        ChangeType::Update
    );
}

#[tokio::test]
async fn starts_without_a_position_use_the_presets() {
    let mut hub = Hub::start().await;
    for (start, preset) in [
        (StreamStart::Latest, ReplayPreset::Latest),
        (StreamStart::Earliest, ReplayPreset::Earliest),
    ] {
        let (_stream, mut call) = hub.open(start).await;
        let first = call.request().await;
        assert_eq!(
            (first.replay_preset(), first.replay_id.is_empty()),
            (preset, true)
        );
    }
}

#[tokio::test]
async fn more_is_asked_for_below_the_low_water_mark_and_never_more_than_the_window() {
    let mut hub = Hub::start().await;
    let (mut stream, mut call) = hub.open(StreamStart::Latest).await;
    call.request().await;
    call.answer(Ok(events(50, 50))).await;
    stream.next().await.unwrap();
    call.answer(Ok(events(1, 49))).await;
    stream.next().await.unwrap();
    // Asked for by now, although nobody waits for the next answer; the position is not repeated.
    let more = call.request().await;
    assert_eq!((more.num_requested, more.replay_id.is_empty()), (51, true));
    // A server that has lost count is put right.
    call.answer(Ok(events(10, 0))).await;
    stream.next().await.unwrap();
    assert_eq!(call.request().await.num_requested, 100);
}

#[tokio::test]
async fn a_keep_alive_brings_a_position_and_no_events() {
    let mut hub = Hub::start().await;
    let (mut stream, call) = hub.open(StreamStart::Latest).await;
    // Without any known position there is nothing to hand over yet.
    call.answer(Ok(keep_alive(&[]))).await;
    call.answer(Ok(keep_alive(&[7, 7]))).await;
    let batch = stream.next().await.unwrap();
    assert_eq!(
        (batch.events.len(), batch.latest),
        (0, ReplayId(vec![7, 7]))
    );
    call.answer(Ok(keep_alive(&[]))).await;
    assert_eq!(stream.next().await.unwrap().latest, ReplayId(vec![7, 7]));
}

#[tokio::test]
async fn silence_ends_the_stream_however_often_the_caller_looks_away() {
    let mut hub = Hub::start().await;
    let mut stream = hub
        .client(Duration::from_millis(400))
        .subscribe(TOPIC, StreamStart::Latest)
        .await
        .unwrap();
    let _call = hub.calls.recv().await.unwrap();
    let started = tokio::time::Instant::now();
    let error = loop {
        if let Ok(answer) = tokio::time::timeout(Duration::from_millis(50), stream.next()).await {
            break answer.unwrap_err();
        }
        assert!(started.elapsed() < Duration::from_secs(20));
    };
    assert!(matches!(error, SourceError::Unreachable(text) if text.contains("nothing was heard")));
    assert!(matches!(
        stream.next().await,
        Err(SourceError::Unreachable(_))
    ));
}

#[tokio::test]
async fn the_end_of_a_stream_is_a_reason_to_open_it_again() {
    let mut hub = Hub::start().await;
    let (mut stream, call) = hub.open(StreamStart::Latest).await;
    call.answer(Ok(events(1, 99))).await;
    drop(call);
    assert_eq!(stream.next().await.unwrap().events.len(), 1);
    for _ in 0..2 {
        assert!(
            matches!(stream.next().await, Err(SourceError::Unreachable(text)) if text.contains("ended"))
        );
    }
}

#[tokio::test]
async fn error_codes_decide_what_the_caller_does() {
    type Expected = fn(&SourceError) -> bool;
    let position: Expected = |error| matches!(error, SourceError::PositionRejected(_));
    let quota: Expected = |error| matches!(error, SourceError::Quota(_));
    let refused: Expected = |error| matches!(error, SourceError::Refused { .. });
    let unreachable: Expected = |error| matches!(error, SourceError::Unreachable(_));
    use tonic::Code;
    let cases = [
        (
            status(
                Code::InvalidArgument,
                "subscription.fetch.replayid.corrupted",
            ),
            position,
        ),
        (
            status(
                Code::InvalidArgument,
                "subscription.fetch.replayid.validation.failed",
            ),
            position,
        ),
        (
            status(Code::ResourceExhausted, "subscription.limit.exceeded"),
            quota,
        ),
        (
            status(Code::ResourceExhausted, "concurrent.client.limit.exceeded"),
            unreachable,
        ),
        (status(Code::NotFound, "topic.not.found"), refused),
        (
            status(Code::PermissionDenied, "topic.meta.permission"),
            refused,
        ),
        (
            status(Code::Unavailable, "service.unavailable"),
            unreachable,
        ),
        (
            status(Code::Internal, "subscription.internal.error"),
            unreachable,
        ),
        (
            Status::internal("Received RST_STREAM with code 0"),
            unreachable,
        ),
        (Status::unavailable("upstream connect error"), unreachable),
    ];
    let mut hub = Hub::start().await;
    for (status, expected) in cases {
        // At the opening, and in the middle.
        hub.refuse(status.clone());
        let error = hub
            .client(Duration::from_secs(30))
            .subscribe(TOPIC, StreamStart::Latest)
            .await
            .err()
            .unwrap();
        assert!(expected(&error), "{error:?}");
        let (mut stream, call) = hub.open(StreamStart::Latest).await;
        call.answer(Ok(keep_alive(&[1]))).await;
        call.answer(Err(status)).await;
        stream.next().await.unwrap();
        let error = stream.next().await.unwrap_err();
        assert!(expected(&error), "{error:?}");
    }
}

#[tokio::test]
async fn a_session_refused_at_the_opening_is_renewed_once() {
    let mut hub = Hub::start().await;
    hub.refuse(status(tonic::Code::Unauthenticated, "service.auth.error"));
    let (_stream, mut call) = hub.open(StreamStart::After(ReplayId(vec![9]))).await;
    assert_eq!(call.metadata.get("accesstoken").unwrap(), "T2");
    assert_eq!(call.request().await.replay_id, [9]);

    // The refusal may also come after the headers.
    let mut stream = hub
        .client(Duration::from_secs(30))
        .subscribe(TOPIC, StreamStart::Latest)
        .await
        .unwrap();
    hub.calls
        .recv()
        .await
        .unwrap()
        .answer(Err(Status::unauthenticated("provide valid authentication")))
        .await;
    let next = stream.next();
    let play = async {
        let call = hub.calls.recv().await.unwrap();
        call.answer(Ok(keep_alive(&[5]))).await;
        call
    };
    let (batch, _call) = tokio::join!(next, play);
    assert_eq!(batch.unwrap().latest, ReplayId(vec![5]));

    hub.refuse(status(tonic::Code::Unauthenticated, "service.auth.error"));
    hub.refuse(status(tonic::Code::Unauthenticated, "service.auth.error"));
    assert!(matches!(
        hub.client(Duration::from_secs(30))
            .subscribe(TOPIC, StreamStart::Latest)
            .await
            .err(),
        Some(SourceError::SignIn(_))
    ));
}

#[tokio::test]
async fn a_schema_is_loaded_once_for_all_streams_and_events() {
    let mut hub = Hub::start().await;
    let client = hub.client(Duration::from_secs(30));
    let mut streams = Vec::new();
    for _ in 0..2 {
        let stream = client.subscribe(TOPIC, StreamStart::Latest).await.unwrap();
        let call = hub.calls.recv().await.unwrap();
        call.answer(Ok(events(20, 80))).await;
        streams.push((stream, call));
    }
    let [(one, call_one), (two, call_two)] = &mut streams[..] else {
        panic!("two streams")
    };
    let (one_batch, two_batch) = tokio::join!(one.next(), two.next());
    assert_eq!(
        (
            one_batch.unwrap().events.len(),
            two_batch.unwrap().events.len()
        ),
        (20, 20)
    );
    for (stream, call) in [(one, call_one), (two, call_two)] {
        call.answer(Ok(events(1, 79))).await;
        stream.next().await.unwrap();
    }
    assert_eq!(hub.scripted.schema_requests.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn looking_away_while_a_schema_loads_loses_no_event() {
    let mut hub = Hub::start().await;
    hub.scripted.schema_gate.forget_permits(1000);
    let (mut stream, call) = hub.open(StreamStart::Latest).await;
    call.answer(Ok(events(3, 97))).await;
    while hub.scripted.schema_requests.load(Ordering::SeqCst) == 0 {
        assert!(
            tokio::time::timeout(Duration::from_millis(20), stream.next())
                .await
                .is_err()
        );
    }
    hub.scripted.schema_gate.add_permits(10);
    assert_eq!(stream.next().await.unwrap().events.len(), 3);
}

#[tokio::test]
async fn an_event_that_cannot_be_read_keeps_its_place_and_bytes() {
    let mut hub = Hub::start().await;
    let (mut stream, call) = hub.open(StreamStart::Latest).await;
    let mut cut = event(SCHEMA, 4);
    cut.event.as_mut().unwrap().payload.pop();
    let empty = ConsumerEvent {
        event: None,
        replay_id: vec![0, 5],
    };
    call.answer(Ok(FetchResponse {
        events: vec![
            event(SCHEMA, 1),
            event("unknown", 2),
            event("broken", 3),
            cut,
            empty,
            event(SCHEMA, 6),
        ],
        latest_replay_id: vec![0, 6],
        rpc_id: String::new(),
        pending_num_requested: 94,
    }))
    .await;
    let batch = stream.next().await.unwrap();
    let readable: Vec<bool> = batch
        .events
        .iter()
        .map(|event| event.body.is_ok())
        .collect();
    assert_eq!(readable, [true, false, false, false, false, true]);
    let unknown = batch.events[1].body.as_ref().unwrap_err();
    assert_eq!(
        (unknown.schema_id.as_str(), &unknown.payload),
        ("unknown", &contact_role_event().0)
    );
    assert!(
        batch.events[3]
            .body
            .as_ref()
            .unwrap_err()
            .reason
            .contains("cut short")
    );
}

#[tokio::test]
async fn a_schema_that_cannot_be_asked_for_is_asked_for_again() {
    let mut hub = Hub::start().await;
    hub.scripted.schema_refusals.lock().unwrap().extend([
        Status::unauthenticated("expired"),
        Status::unavailable("busy"),
    ]);
    let (mut stream, call) = hub.open(StreamStart::Latest).await;
    call.answer(Ok(events(1, 99))).await;
    assert!(stream.next().await.unwrap().events[0].body.is_ok());
    assert_eq!(hub.http.sign_ins(), 2);
    assert_eq!(hub.scripted.schema_requests.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let hub = Hub::start().await;
    let config = Config {
        pubsub_endpoint: "http://127.0.0.1:9".parse().unwrap(),
        ..hub.http.config()
    };
    let client = salesforce::connect(config, Arc::new(FixedClock)).unwrap();
    assert!(matches!(
        client.subscribe(TOPIC, StreamStart::Latest).await.err(),
        Some(SourceError::Unreachable(_))
    ));
}
