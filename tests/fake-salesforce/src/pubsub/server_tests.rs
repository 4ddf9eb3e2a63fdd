//! A real client against the server, over loopback.
use std::sync::Arc;
use std::time::Duration;

use pubsub_proto::pub_sub_client::PubSubClient;
use pubsub_proto::{
    FetchRequest, FetchResponse, ManagedFetchRequest, PublishRequest, ReplayPreset, SchemaRequest,
    TopicRequest,
};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status, Streaming};

use super::log::EventLog;
use super::server::{Timing, serve, serve_log};
use super::testing::{ACCOUNT, OPPORTUNITY, TestClock, commit, decode, renamed, update};
use crate::commit::Commit;
use crate::faults::{Fault, Faults, GapKind};
use crate::org::Org;
use crate::tokens::Tokens;

const ALL: &str = "/data/ChangeEvents";

/// Longer than any test waits for something that comes.
const SOON: Duration = Duration::from_secs(20);

/// Never, for a test.
const LONG: Duration = Duration::from_secs(3600);

const PATIENT: Timing = Timing {
    keepalive: LONG,
    idle_close: LONG,
};

const CHATTY: Timing = Timing {
    keepalive: Duration::from_millis(20),
    idle_close: LONG,
};

struct Server {
    log: Arc<EventLog>,
    org: Arc<Org>,
    faults: Arc<Faults>,
    token: String,
    channel: Channel,
    stop: CancellationToken,
    tasks: TaskTracker,
}

async fn start(timing: Timing) -> Server {
    let org = Org::new(TestClock::default().clock(), 7);
    let faults = Arc::new(Faults::default());
    let tokens = Arc::new(Tokens::new(
        org.org_id(),
        org.clock(),
        Arc::clone(&faults),
        7,
    ));
    let log = EventLog::attach(&org);
    log.obey(&faults, &org);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    let token = tokens.issue(org.admin_id());
    let serving = serve_log(
        listener,
        Arc::clone(&log),
        Arc::clone(&org),
        Arc::clone(&faults),
        tokens,
        timing,
        None,
        stop.clone(),
    );
    tasks.spawn(serving);
    tasks.close();
    let channel = Endpoint::from_shared(format!("http://{address}"))
        .unwrap()
        .connect_lazy();
    Server {
        log,
        org,
        faults,
        token,
        channel,
        stop,
        tasks,
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A Subscribe call from the client's side.
struct Call {
    asking: Option<mpsc::Sender<FetchRequest>>,
    responses: Streaming<FetchResponse>,
}

impl Server {
    fn client(&self) -> PubSubClient<Channel> {
        PubSubClient::new(self.channel.clone()).max_decoding_message_size(64 * 1024 * 1024)
    }

    fn with_headers<T>(&self, message: T) -> Request<T> {
        let org_id = self.org.org_id().to_owned();
        headers(
            message,
            &[
                ("accesstoken", &self.token),
                ("instanceurl", "https://example.my.salesforce.com"),
                ("tenantid", &org_id),
            ],
        )
    }

    async fn open(&self) -> Call {
        let (asking, requests) = mpsc::channel(16);
        let request = self.with_headers(ReceiverStream::new(requests));
        let mut client = self.client();
        let response = timeout(SOON, client.subscribe(request)).await;
        let responses = response.expect("headers in time").expect("admitted");
        Call {
            asking: Some(asking),
            responses: responses.into_inner(),
        }
    }

    async fn subscribe(&self, request: FetchRequest) -> Call {
        let call = self.open().await;
        call.ask(request).await;
        call
    }

    /// Publishes opportunity updates, one transaction each.
    fn publish(&self, names: &[&str]) {
        for name in names {
            self.log.append(&rename(name));
        }
    }
}

impl Call {
    async fn ask(&self, request: FetchRequest) {
        self.asking.as_ref().unwrap().send(request).await.unwrap();
    }

    async fn more(&self, num_requested: i32) {
        self.ask(FetchRequest {
            num_requested,
            ..FetchRequest::default()
        })
        .await;
    }

    async fn end(&mut self) -> Result<Option<FetchResponse>, Status> {
        let next = timeout(SOON, self.responses.message()).await;
        next.expect("a response in time")
    }

    async fn next(&mut self) -> FetchResponse {
        self.end().await.expect("no error").expect("no end")
    }

    async fn error(&mut self) -> Status {
        self.end().await.expect_err("an error")
    }
}

fn headers<T>(message: T, headers: &[(&'static str, &str)]) -> Request<T> {
    let mut request = Request::new(message);
    for (name, value) in headers {
        request.metadata_mut().insert(*name, value.parse().unwrap());
    }
    request
}

fn rename(name: &str) -> Commit {
    let mut renaming = commit(vec![renamed(OPPORTUNITY, name)]);
    name.clone_into(&mut renaming.transaction_key);
    renaming
}

fn fetch(topic_name: &str, preset: ReplayPreset, num_requested: i32) -> FetchRequest {
    FetchRequest {
        topic_name: topic_name.to_owned(),
        replay_preset: preset.into(),
        num_requested,
        ..FetchRequest::default()
    }
}

fn custom(replay_id: &[u8], num_requested: i32) -> FetchRequest {
    FetchRequest {
        replay_id: replay_id.to_vec(),
        ..fetch(ALL, ReplayPreset::Custom, num_requested)
    }
}

fn code(status: &Status) -> &str {
    let trailer = status.metadata().get("error-code");
    let code = trailer
        .map(|value| value.to_str().unwrap())
        .unwrap_or_default();
    code.strip_prefix("sfdc.platform.eventbus.grpc.")
        .unwrap_or(code)
}

fn names(server: &Server, response: &FetchResponse) -> Vec<String> {
    response
        .events
        .iter()
        .map(|consumed| {
            let event = consumed.event.as_ref().unwrap();
            let decoded = decode(&server.log, &event.schema_id, &event.payload);
            decoded["Name"].as_str().unwrap_or_default().to_owned()
        })
        .collect()
}

#[tokio::test]
async fn an_open_stream_gets_what_is_committed_from_then_on() {
    let server = start(CHATTY).await;
    server.publish(&["before"]);
    let mut call = server.subscribe(fetch(ALL, ReplayPreset::Latest, 10)).await;
    // The first keep-alive proves that the request was taken.
    assert!(call.next().await.events.is_empty());
    server.publish(&["after"]);
    let mut response = call.next().await;
    while response.events.is_empty() {
        response = call.next().await;
    }
    assert_eq!(names(&server, &response), ["after"]);
    assert_eq!(response.pending_num_requested, 9);
    assert_eq!(response.latest_replay_id, response.events[0].replay_id);
    assert_eq!(response.rpc_id.len(), 36);
    let event = response.events[0].event.as_ref().unwrap();
    assert_eq!(event.id.len(), 36);
    assert!(event.headers.is_empty());
}

#[tokio::test]
async fn an_event_is_there_at_once() {
    let server = start(PATIENT).await;
    server.publish(&["first"]);
    let mut call = server
        .subscribe(fetch(ALL, ReplayPreset::Earliest, 100))
        .await;
    assert_eq!(call.next().await.events.len(), 1);
    let mut latencies = Vec::new();
    for number in 0..49 {
        let published = Instant::now();
        server.publish(&[&number.to_string()]);
        assert_eq!(call.next().await.events.len(), 1);
        latencies.push(published.elapsed());
    }
    latencies.sort();
    // Less than a delayed acknowledgement takes, whatever else the machine is doing.
    assert!(latencies[25] < Duration::from_millis(30), "{latencies:?}");
}

#[tokio::test]
async fn a_backlog_comes_in_one_response_and_never_beyond_the_demand() {
    let server = start(PATIENT).await;
    server.publish(&["a", "b", "c", "d", "e"]);
    let mut call = server
        .subscribe(fetch(ALL, ReplayPreset::Earliest, 2))
        .await;
    let response = call.next().await;
    assert_eq!(names(&server, &response), ["a", "b"]);
    assert_eq!(response.pending_num_requested, 0);
    call.more(100).await;
    let response = call.next().await;
    assert_eq!(names(&server, &response), ["c", "d", "e"]);
    assert_eq!(response.pending_num_requested, 97);

    let stored = response.events[0].replay_id.clone();
    let mut call = server.subscribe(custom(&stored, 5)).await;
    assert_eq!(names(&server, &call.next().await), ["d", "e"]);
}

#[tokio::test]
async fn demand_adds_up_to_a_hundred() {
    let server = start(CHATTY).await;
    let mut call = server.subscribe(fetch(ALL, ReplayPreset::Latest, 60)).await;
    assert_eq!(call.next().await.pending_num_requested, 60);
    call.more(60).await;
    while call.next().await.pending_num_requested == 60 {}
    let many: Vec<String> = (0..130).map(|number| number.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    server.publish(&many);
    let mut seen = 0;
    loop {
        let response = call.next().await;
        seen += response.events.len();
        if response.pending_num_requested == 0 {
            break;
        }
    }
    assert_eq!(seen, 100);
    call.more(100).await;
    while seen < 130 {
        seen += call.next().await.events.len();
    }
    assert_eq!(seen, 130);
}

#[tokio::test]
async fn keepalives_are_empty_and_name_a_position_to_resume_from() {
    let server = start(CHATTY).await;
    let mut call = server
        .subscribe(fetch("/data/AccountChangeEvent", ReplayPreset::Latest, 3))
        .await;
    let first = call.next().await;
    assert!(first.events.is_empty());
    assert_eq!(first.pending_num_requested, 3);
    // Events of another topic move the position, too.
    server.publish(&["not an account"]);
    let mut position = call.next().await;
    while position.latest_replay_id == first.latest_replay_id {
        assert!(position.events.is_empty());
        position = call.next().await;
    }
    server.publish(&["later"]);
    let mut resumed = server
        .subscribe(custom(&position.latest_replay_id, 5))
        .await;
    let mut response = resumed.next().await;
    while response.events.is_empty() {
        response = resumed.next().await;
    }
    assert_eq!(names(&server, &response), ["later"]);
}

#[tokio::test]
async fn a_topic_carries_its_object_only() {
    let server = start(PATIENT).await;
    server.publish(&["opportunity"]);
    let renamed_account = update("Account", ACCOUNT, json!({"Name": "Acme"}), &["Name"]);
    server.log.append(&commit(vec![renamed_account]));
    for (topic, expected) in [
        ("/data/AccountChangeEvent", vec!["Acme"]),
        ("/data/OpportunityChangeEvent", vec!["opportunity"]),
        (ALL, vec!["opportunity", "Acme"]),
        ("/data/mOS__chn", vec!["opportunity", "Acme"]),
    ] {
        let mut call = server
            .subscribe(fetch(topic, ReplayPreset::Earliest, 9))
            .await;
        assert_eq!(names(&server, &call.next().await), expected, "{topic}");
    }
}

#[tokio::test]
async fn a_call_without_demand_is_ended() {
    let server = start(Timing {
        keepalive: LONG,
        idle_close: Duration::from_millis(50),
    })
    .await;
    server.publish(&["a"]);
    let mut call = server
        .subscribe(fetch(ALL, ReplayPreset::Earliest, 1))
        .await;
    assert_eq!(call.next().await.pending_num_requested, 0);
    assert_eq!(call.end().await.expect("in peace"), None);
}

#[tokio::test]
async fn after_the_client_closed_its_half_the_rest_is_delivered() {
    let server = start(PATIENT).await;
    let mut call = server
        .subscribe(fetch(ALL, ReplayPreset::Earliest, 2))
        .await;
    call.asking = None;
    server.publish(&["a"]);
    assert_eq!(names(&server, &call.next().await), ["a"]);
    server.publish(&["b", "c"]);
    assert_eq!(names(&server, &call.next().await), ["b"]);
    assert_eq!(call.end().await.expect("in peace"), None);
}

#[tokio::test]
async fn faulty_requests_are_refused_by_their_code() {
    let server = start(PATIENT).await;
    let latest = |topic: &str, count: i32| fetch(topic, ReplayPreset::Latest, count);
    let unknown_preset = FetchRequest {
        replay_preset: 7,
        ..latest(ALL, 1)
    };
    let fetch_code = |suffix: &str| format!("subscription.fetch.{suffix}");
    let invalid = Code::InvalidArgument;
    for (request, status, expected) in [
        (latest("", 1), invalid, "topic.validation.empty".to_owned()),
        (
            latest("/data/LeadChangeEvent", 1),
            Code::NotFound,
            "topic.not.found".to_owned(),
        ),
        (
            latest(ALL, 0),
            invalid,
            fetch_code("requested.events.invalid"),
        ),
        (
            latest(ALL, -5),
            invalid,
            fetch_code("requested.events.invalid"),
        ),
        (
            custom(&[], 1),
            invalid,
            fetch_code("replayid.validation.failed"),
        ),
        (
            custom(&[1, 2, 3], 1),
            invalid,
            fetch_code("replayid.corrupted"),
        ),
        (
            custom(&[0; 8], 1),
            invalid,
            fetch_code("replayid.corrupted"),
        ),
        (unknown_preset, invalid, fetch_code("request.invalid")),
    ] {
        let error = server.subscribe(request.clone()).await.error().await;
        assert_eq!(error.code(), status, "{request:?}");
        assert_eq!(code(&error), expected, "{request:?}");
        assert!(error.message().contains("rpcId: "), "{}", error.message());
    }

    let mut call = server.subscribe(latest(ALL, 1)).await;
    call.ask(latest("/data/AccountChangeEvent", 1)).await;
    assert_eq!(
        code(&call.error().await),
        "subscription.fetch.topic.mismatch"
    );
    let mut call = server.subscribe(latest(ALL, 1)).await;
    call.more(0).await;
    assert_eq!(
        code(&call.error().await),
        "subscription.fetch.requested.events.invalid"
    );
    // Replay settings of a later request are ignored, the same topic is fine.
    server.publish(&["a"]);
    let mut call = server
        .subscribe(fetch(ALL, ReplayPreset::Earliest, 1))
        .await;
    call.ask(custom(&[1, 2, 3], 1)).await;
    assert_eq!(names(&server, &call.next().await), ["a"]);
}

#[tokio::test]
async fn only_the_three_right_headers_are_admitted() {
    let server = start(PATIENT).await;
    let topic = || TopicRequest {
        topic_name: ALL.to_owned(),
    };
    let org_id = server.org.org_id().to_owned();
    let short_id = org_id.get(..15).unwrap().to_owned();
    let token = server.token.clone();
    let url = "https://example.my.salesforce.com";
    let all = [
        ("accesstoken", token.as_str()),
        ("instanceurl", url),
        ("tenantid", org_id.as_str()),
    ];
    let mut client = server.client();

    for good in [
        [all[0], all[1], ("tenantid", &short_id)],
        [all[0], ("instanceurl", "http://127.0.0.1:8080"), all[2]],
    ] {
        client.get_topic(headers(topic(), &good)).await.unwrap();
    }
    let auth = "service.auth.error";
    let bad_header = "service.auth.headers.invalid";
    let cases: [(&[_], &str); 8] = [
        (&[("accesstoken", "wrong"), all[1], all[2]], auth),
        (&[all[0], all[1], ("tenantid", "00D000000000000EAA")], auth),
        (&[all[0], all[1], ("tenantid", "00D")], auth),
        (
            &[all[0], ("instanceurl", "http://example.com"), all[2]],
            bad_header,
        ),
        (
            &[all[0], ("instanceurl", "example.com"), all[2]],
            bad_header,
        ),
        (&[all[1], all[2]], bad_header),
        (&[all[0], all[2]], bad_header),
        (&[all[0], all[1]], bad_header),
    ];
    for (sent, expected) in cases {
        let error = client.get_topic(headers(topic(), sent)).await.unwrap_err();
        assert_eq!(error.code(), Code::Unauthenticated);
        assert_eq!(code(&error), expected);
        let message = error.message();
        assert!(
            message.starts_with(
                "An authentication exception occurred. Provide valid authentication via metadata \
                 headers. rpcId: "
            ),
            "{message}"
        );
    }
    // Every door asks for them.
    let nothing = || Request::new(tokio_stream::empty::<FetchRequest>());
    let refused = client.subscribe(nothing()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let refused = client
        .get_schema(SchemaRequest::default())
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn an_expired_token_leaves_open_streams_alone() {
    let server = start(PATIENT).await;
    let mut call = server
        .subscribe(fetch(ALL, ReplayPreset::Earliest, 9))
        .await;
    server.faults.apply(Fault::ExpireTokens {});
    server.publish(&["a"]);
    assert_eq!(names(&server, &call.next().await), ["a"]);
    let request = server.with_headers(SchemaRequest::default());
    let refused = server.client().get_schema(request).await.unwrap_err();
    assert_eq!(code(&refused), "service.auth.error");
}

#[tokio::test]
async fn topics_and_schemas_are_described() {
    let server = start(PATIENT).await;
    let mut client = server.client();
    let topic = |name: &str| {
        server.with_headers(TopicRequest {
            topic_name: name.to_owned(),
        })
    };
    let schema = |id: &str| {
        server.with_headers(SchemaRequest {
            schema_id: id.to_owned(),
        })
    };
    let account = client
        .get_topic(topic("/data/AccountChangeEvent"))
        .await
        .unwrap();
    let account = account.into_inner();
    assert!(account.can_subscribe && !account.can_publish);
    let mut other = server.client();
    let (one, two) = tokio::join!(
        client.get_schema(schema(&account.schema_id)),
        other.get_schema(schema(&account.schema_id))
    );
    let one = one.unwrap().into_inner();
    assert_eq!(one.schema_json, two.unwrap().into_inner().schema_json);
    assert_eq!(one.schema_id, account.schema_id);
    apache_avro::Schema::parse_str(&one.schema_json).unwrap();

    let channel = client.get_topic(topic(ALL)).await.unwrap().into_inner();
    assert_eq!(channel.schema_id, "");
    let missing = client.get_topic(topic("/data/Nothing")).await.unwrap_err();
    assert_eq!(
        (missing.code(), code(&missing)),
        (Code::NotFound, "topic.not.found")
    );
    let empty = client.get_topic(topic("")).await.unwrap_err();
    assert_eq!(code(&empty), "topic.validation.empty");
    let unknown = client
        .get_schema(schema("0123456789012345678901"))
        .await
        .unwrap_err();
    assert_eq!(code(&unknown), "schema.validation.failed");
}

#[tokio::test]
async fn doors_that_are_not_there_say_so() {
    let server = start(PATIENT).await;
    let mut client = server.client();
    let publish = server.with_headers(PublishRequest::default());
    let publish = client.publish(publish).await.unwrap_err();
    let stream = server.with_headers(tokio_stream::empty::<PublishRequest>());
    let stream = client.publish_stream(stream).await.unwrap_err();
    let managed = server.with_headers(tokio_stream::empty::<ManagedFetchRequest>());
    let managed = client.managed_subscribe(managed).await.unwrap_err();
    for refused in [publish, stream, managed] {
        assert_eq!(refused.code(), Code::Unimplemented);
    }
}

#[tokio::test]
async fn a_stream_mixes_schemas_when_a_field_is_added() {
    let server = start(PATIENT).await;
    server.publish(&["a"]);
    server
        .log
        .add_field("Opportunity", "Region__c", "Text")
        .unwrap();
    server.publish(&["b"]);
    let mut call = server
        .subscribe(fetch(ALL, ReplayPreset::Earliest, 9))
        .await;
    let response = call.next().await;
    assert_eq!(names(&server, &response), ["a", "b"]);
    let ids: Vec<&str> = response
        .events
        .iter()
        .map(|event| event.event.as_ref().unwrap().schema_id.as_str())
        .collect();
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn dropped_streams_end_without_a_code_and_can_be_resumed() {
    let server = start(PATIENT).await;
    server.publish(&["a"]);
    let mut call = server
        .subscribe(fetch(ALL, ReplayPreset::Earliest, 9))
        .await;
    let stored = call.next().await.latest_replay_id;
    server.faults.apply(Fault::DropStreams {});
    let error = call.error().await;
    assert_eq!((error.code(), code(&error)), (Code::Unavailable, ""));
    server.publish(&["b"]);
    let mut call = server.subscribe(custom(&stored, 9)).await;
    assert_eq!(names(&server, &call.next().await), ["b"]);
}

#[tokio::test]
async fn stalled_streams_are_silent_until_it_is_over() {
    let server = start(CHATTY).await;
    let mut call = server.subscribe(fetch(ALL, ReplayPreset::Latest, 9)).await;
    assert!(call.next().await.events.is_empty());
    let stalled = Instant::now();
    server.faults.apply(Fault::StallStreams { ms: 300 });
    server.publish(&["a"]);
    let mut response = call.next().await;
    // A keep-alive may have been on its way.
    while response.events.is_empty() {
        response = call.next().await;
    }
    assert!(stalled.elapsed() >= Duration::from_millis(300));
    assert_eq!(names(&server, &response), ["a"]);
}

#[tokio::test]
async fn invalid_replay_ids_are_refused_and_the_stream_begins_anew() {
    let server = start(PATIENT).await;
    server.publish(&["a"]);
    let mut open = server
        .subscribe(fetch(ALL, ReplayPreset::Earliest, 9))
        .await;
    let stored = open.next().await.latest_replay_id;
    server.faults.apply(Fault::InvalidateReplayIds {});
    let error = server.subscribe(custom(&stored, 9)).await.error().await;
    assert_eq!(code(&error), "subscription.fetch.replayid.corrupted");
    server.publish(&["b"]);
    assert_eq!(names(&server, &open.next().await), ["b"]);
    let mut anew = server
        .subscribe(fetch(ALL, ReplayPreset::Earliest, 9))
        .await;
    assert_eq!(names(&server, &anew.next().await), ["b"]);
}

#[tokio::test]
async fn injected_and_duplicated_events_reach_open_streams() {
    let server = start(PATIENT).await;
    let mut call = server
        .subscribe(fetch(ALL, ReplayPreset::Earliest, 99))
        .await;
    server.faults.apply(Fault::DuplicateNext { count: 1 });
    server.publish(&["a"]);
    server.faults.apply(Fault::Gap {
        entity: "Account".to_owned(),
        ids: vec![ACCOUNT.to_owned()],
        change: GapKind::Delete,
    });
    server.faults.apply(Fault::Overflow {
        entity: "Contact".to_owned(),
    });
    server.faults.apply(Fault::Wildcard {
        entity: "User".to_owned(),
    });
    let mut events = Vec::new();
    while events.len() < 5 {
        events.extend(call.next().await.events);
    }
    let ids: Vec<&str> = events
        .iter()
        .map(|event| event.event.as_ref().unwrap().id.as_str())
        .collect();
    assert_eq!(ids[0], ids[1]);
    assert_ne!(events[0].replay_id, events[1].replay_id);
    let told: Vec<serde_json::Value> = events[2..]
        .iter()
        .map(|event| {
            let event = event.event.as_ref().unwrap();
            let decoded = decode(&server.log, &event.schema_id, &event.payload);
            let header = &decoded["ChangeEventHeader"];
            json!([header["changeType"], header["recordIds"][0]])
        })
        .collect();
    assert_eq!(
        told,
        [
            json!(["GAP_DELETE", ACCOUNT]),
            json!(["GAP_OVERFLOW", "000000000000000AAA"]),
            json!(["UPDATE", "005*"]),
        ]
    );
}

#[tokio::test]
async fn large_events_share_no_response() {
    let server = start(PATIENT).await;
    for name in 0..5 {
        let text = "x".repeat(1_000_000);
        let fields = json!({"Name": name.to_string(), "Description": text});
        let changed = ["Name", "Description"];
        let large = update("Opportunity", OPPORTUNITY, fields, &changed);
        server.log.append(&commit(vec![large]));
    }
    let mut call = server
        .subscribe(fetch(ALL, ReplayPreset::Earliest, 100))
        .await;
    let first = call.next().await;
    assert!(first.events.len() < 5);
    let mut seen = names(&server, &first);
    while seen.len() < 5 {
        seen.extend(names(&server, &call.next().await));
    }
    assert_eq!(seen, ["0", "1", "2", "3", "4"]);
}

#[tokio::test]
async fn stopping_ends_the_calls_and_the_server() {
    let server = start(PATIENT).await;
    server.publish(&["a"]);
    let mut call = server
        .subscribe(fetch(ALL, ReplayPreset::Earliest, 9))
        .await;
    assert_eq!(call.next().await.events.len(), 1);
    server.stop.cancel();
    assert_eq!(code(&call.error().await), "service.unavailable");
    timeout(SOON, server.tasks.wait())
        .await
        .expect("the server ends");
}

#[tokio::test]
async fn with_a_certificate_it_speaks_tls() {
    let certificate = include_bytes!("testdata/localhost.pem").to_vec();
    let key = include_bytes!("testdata/localhost.key").to_vec();
    let org = Org::new(TestClock::default().clock(), 7);
    let faults = Arc::new(Faults::default());
    let tokens = Arc::new(Tokens::new(
        org.org_id(),
        org.clock(),
        Arc::clone(&faults),
        7,
    ));
    let token = tokens.issue(org.admin_id());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    let serving = serve(
        listener,
        Arc::clone(&org),
        faults,
        tokens,
        LONG,
        Some((certificate.clone(), key)),
        stop.clone(),
    );
    // Commits count from the call on, whenever the future is first polled.
    org.generate(2, 1);
    tasks.spawn(serving);
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(certificate));
    let channel = Endpoint::from_shared(format!("https://localhost:{port}"))
        .unwrap()
        .tls_config(tls)
        .unwrap()
        .connect_lazy();
    let request = headers(
        tokio_stream::once(fetch(ALL, ReplayPreset::Earliest, 100)),
        &[
            ("accesstoken", &token),
            ("instanceurl", "https://example.my.salesforce.com"),
            ("tenantid", org.org_id()),
        ],
    );
    let response = PubSubClient::new(channel).subscribe(request).await;
    let mut responses = response.unwrap().into_inner();
    let first = timeout(SOON, responses.message()).await.expect("in time");
    assert!(!first.unwrap().unwrap().events.is_empty());
    stop.cancel();
    tasks.close();
    timeout(SOON, tasks.wait()).await.expect("the server ends");
}
