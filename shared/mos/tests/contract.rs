//! The client against small servers, honest and lying.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test may panic as the test may"
)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use domain::{ObjectKind, SalesforceId, Timestamp, Version};
use mos::{Config, ConfigError, Mos};
use ports::target::{Held, Listed, Outcome, RejectCode, Target as _, TargetError, Upsert};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

const KEY: &str = "s3cret-key";
const FIRST: &str = "001000000000001AAA";
const SECOND: &str = "006000000000001AAA";

type Seen = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;
type Reply = Arc<dyn Fn() -> Response<Body> + Send + Sync>;

/// A server that gives the same answer to every request and keeps what it was sent.
struct Server {
    address: SocketAddr,
    seen: Seen,
}

async fn server(reply: impl Fn() -> Response<Body> + Send + Sync + 'static) -> Server {
    let seen = Seen::default();
    let reply: Reply = Arc::new(reply);
    let app = Router::new()
        .route("/v1/records/upsert", post(handle))
        .route("/tenant/7/v1/records/upsert", post(handle))
        .route("/tenant/7/v1/records/opportunity", get(handle_query))
        .route("/tenant/7/v1/records/opportunity/{id}", get(handle))
        .route("/v1/records/opportunity/{id}", get(handle))
        .with_state((Arc::clone(&seen), reply));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    TaskTracker::new().spawn(async move { axum::serve(listener, app).await });
    Server { address, seen }
}

/// Keeps what was asked after `?` in the place of a body.
async fn handle_query(
    State((seen, reply)): State<(Seen, Reply)>,
    headers: HeaderMap,
    uri: axum::http::Uri,
) -> Response<Body> {
    let query = uri.query().unwrap_or_default().to_owned();
    seen.lock().unwrap().push((headers, query.into()));
    reply()
}

async fn handle(
    State((seen, reply)): State<(Seen, Reply)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    seen.lock().unwrap().push((headers, body));
    reply()
}

impl Server {
    fn mos(&self) -> Mos {
        self.mos_at("", Duration::from_secs(30))
    }

    fn mos_at(&self, path: &str, request_timeout: Duration) -> Mos {
        let mut config = Config::new(
            format!("http://{}{path}", self.address).parse().unwrap(),
            KEY.into(),
        );
        config.request_timeout = request_timeout;
        Mos::connect(config).unwrap()
    }

    async fn upsert(&self) -> Result<Vec<Outcome>, TargetError> {
        self.mos().upsert("key-1", &two_records()).await
    }
}

fn status(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body.into()).unwrap()
}

fn results(results: Value) -> impl Fn() -> Response<Body> + Send + Sync + 'static {
    let body = json!({ "results": results }).to_string();
    move || status(200, &[], body.clone())
}

fn result(kind: &str, id: &str, status: &str) -> Value {
    json!({"type": kind, "external_id": id, "status": status})
}

fn record(object: ObjectKind, id: &str, fields: &str) -> Upsert {
    Upsert {
        object,
        id: SalesforceId::parse(id).unwrap(),
        version: Version::at(Timestamp::from_micros(1_732_276_800_123_456)),
        fields: RawValue::from_string(fields.to_owned()).unwrap(),
        if_exists: false,
    }
}

fn two_records() -> Vec<Upsert> {
    vec![
        record(
            ObjectKind::Account,
            FIRST,
            r#"{"name":"A", "annual_revenue":1.50E3}"#,
        ),
        Upsert {
            if_exists: true,
            ..record(ObjectKind::Opportunity, SECOND, r#"{"stage":null}"#)
        },
    ]
}

fn unreachable_text(result: Result<Vec<Outcome>, TargetError>) -> String {
    match result {
        Err(TargetError::Unreachable(text)) => text,
        other => panic!("not unreachable: {other:?}"),
    }
}

#[tokio::test]
async fn the_request_is_the_contracts_byte_for_byte() {
    let server = server(results(json!([
        result("company", FIRST, "created"),
        result("opportunity", SECOND, "skipped"),
    ])))
    .await;
    assert_eq!(
        server.upsert().await,
        Ok(vec![Outcome::Created, Outcome::Skipped])
    );
    let seen = server.seen.lock().unwrap().clone();
    let (headers, body) = &seen[0];
    assert_eq!(headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(headers["idempotency-key"], "key-1");
    assert_eq!(headers["content-type"], "application/json");
    assert!(
        headers["user-agent"]
            .to_str()
            .unwrap()
            .starts_with("mosync/")
    );
    assert_eq!(
        std::str::from_utf8(body).unwrap(),
        concat!(
            r#"{"records":[{"type":"company","external_id":"001000000000001AAA","version":"0001732276800123456","fields":{"name":"A", "annual_revenue":1.50E3},"if_exists":false,"restore":false},"#,
            r#"{"type":"opportunity","external_id":"006000000000001AAA","version":"0001732276800123456","fields":{"stage":null},"if_exists":true,"restore":false}]}"#
        )
    );
}

#[tokio::test]
async fn results_are_matched_in_any_order_and_every_status_is_known() {
    let names = [
        ("created", Outcome::Created),
        ("updated", Outcome::Updated),
        ("unchanged", Outcome::Unchanged),
        ("stale", Outcome::Stale),
        ("skipped", Outcome::Skipped),
        ("exploded", Outcome::Missing),
    ];
    for (name, expected) in names {
        let server = server(results(json!([
            result("opportunity", SECOND, name),
            result("company", FIRST, "unchanged"),
        ])))
        .await;
        assert_eq!(
            server.upsert().await,
            Ok(vec![Outcome::Unchanged, expected])
        );
    }
}

#[tokio::test]
async fn every_reason_to_reject_is_told_apart() {
    for (name, code) in [
        ("parent_missing", RejectCode::ParentMissing),
        ("busy", RejectCode::Busy),
        ("invalid_field", RejectCode::InvalidField),
        ("value_too_long", RejectCode::ValueTooLong),
        ("unknown_type", RejectCode::UnknownType),
        ("deleted_in_mos", RejectCode::DeletedInMos),
        ("tomorrow", RejectCode::Other("tomorrow".to_owned())),
    ] {
        let server = server(results(json!([
            {"type": "company", "external_id": FIRST, "status": "rejected",
             "error": {"code": name, "message": "no\u{7} good", "field": "amount"}},
            result("opportunity", SECOND, "rejected"),
        ])))
        .await;
        assert_eq!(
            server.upsert().await,
            Ok(vec![
                Outcome::Rejected {
                    code,
                    message: "no good".to_owned(),
                    field: Some("amount".to_owned()),
                },
                Outcome::Rejected {
                    code: RejectCode::Other("no_reason_given".to_owned()),
                    message: "mOS rejected the record without a reason".to_owned(),
                    field: None,
                },
            ])
        );
    }
}

#[tokio::test]
async fn what_is_not_mentioned_or_contradicted_is_missing() {
    let missing = Ok(vec![Outcome::Missing, Outcome::Created]);
    for lie in [
        json!([result("opportunity", SECOND, "created")]),
        // Twice and differently; twice the same is no contradiction.
        json!([
            result("company", FIRST, "created"),
            result("company", FIRST, "stale"),
            result("opportunity", SECOND, "created"),
            result("opportunity", SECOND, "created"),
        ]),
        // Another record, another type, another spelling, another shape.
        json!([
            result("company", "001000000000002AAA", "created"),
            result("contact", FIRST, "created"),
            result("company", &FIRST.to_lowercase(), "created"),
            result("opportunity", SECOND, "created"),
            {"type": "company", "external_id": FIRST, "status": 7},
            "nonsense", null, [],
        ]),
    ] {
        assert_eq!(server(results(lie)).await.upsert().await, missing);
    }
}

#[tokio::test]
async fn an_unreadable_answer_is_no_answer_and_is_not_quoted() {
    for body in [
        "",
        "<html>Ada</html>",
        r#"{"results":"Ada"}"#,
        "{}",
        r#"{"results":[{"type":"Ada"}"#,
    ] {
        let server = server(move || status(200, &[], body)).await;
        let text = unreachable_text(server.upsert().await);
        assert!(
            text.starts_with("its answer is not the contract's JSON, at line "),
            "{text}"
        );
        assert!(!text.contains("Ada"), "{text}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server {
        address: listener.local_addr().unwrap(),
        seen: Seen::default(),
    };
    TaskTracker::new().spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"}]}") {
            stream.read_buf(&mut request).await.unwrap();
        }
        let part = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"results\":[";
        stream.write_all(part).await.unwrap();
    });
    let text = unreachable_text(server.upsert().await);
    assert!(text.starts_with("the answer broke off: "), "{text}");
}

#[tokio::test]
async fn an_endless_answer_is_not_read_to_its_end() {
    let server = server(|| {
        let endless = futures::stream::repeat_with(|| {
            Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 65536]))
        });
        status(200, &[], Body::from_stream(endless))
    })
    .await;
    assert_eq!(
        unreachable_text(server.upsert().await),
        "its answer is larger than 8 MiB"
    );
}

#[tokio::test]
async fn a_silent_or_dribbling_server_is_left_after_the_time_limit() {
    let limit = Duration::from_millis(200);
    let silent = server(|| {
        status(
            200,
            &[],
            Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>()),
        )
    })
    .await;
    let text = unreachable_text(silent.mos_at("", limit).upsert("k", &two_records()).await);
    assert_eq!(text, "no answer within 0.2 s");

    // Accepts connections and never speaks.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mute = Server {
        address: mute.local_addr().unwrap(),
        seen: keep(mute),
    };
    let text = unreachable_text(mute.mos_at("", limit).upsert("k", &two_records()).await);
    assert_eq!(text, "no answer within 0.2 s");
}

/// Keeps a listener open without accepting, for as long as the test runs.
fn keep(listener: TcpListener) -> Seen {
    TaskTracker::new().spawn(async move {
        std::future::pending::<()>().await;
        drop(listener);
    });
    Seen::default()
}

#[tokio::test]
async fn nobody_listening_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = Server {
        address: listener.local_addr().unwrap(),
        seen: Seen::default(),
    };
    drop(listener);
    let text = unreachable_text(gone.upsert().await);
    assert!(
        text.starts_with("no connection: Connection refused"),
        "{text}"
    );
}

#[tokio::test]
async fn every_status_has_its_meaning() {
    let reused = r#"{"error":{"code":"key_reused","message":"m"}}"#;
    let other = r#"{"error":{"code":"bad_version","message":"version is not 19 digits"}}"#;
    for (code, headers, body, expected) in [
        (401, vec![], "", TargetError::Forbidden("HTTP 401".to_owned())),
        (403, vec![], "", TargetError::Forbidden("HTTP 403".to_owned())),
        (413, vec![], "", TargetError::TooLarge),
        (422, vec![], other, TargetError::Unprocessable("bad_version: version is not 19 digits".to_owned())),
        (422, vec![], "<html>", TargetError::Unprocessable("without a readable reason".to_owned())),
        (422, vec![], reused, TargetError::Unprocessable("key_reused: the idempotency key was used with another body; send the request under a new key".to_owned())),
        (429, vec![("retry-after", "7")], "", TargetError::Throttled(Duration::from_secs(7))),
        (429, vec![], "", TargetError::Throttled(Duration::from_secs(5))),
        (
            429,
            vec![
                ("date", "Sun, 22 Nov 2026 10:00:00 GMT"),
                ("retry-after", "Sun, 22 Nov 2026 10:01:00 GMT"),
            ],
            "",
            TargetError::Throttled(Duration::from_secs(60)),
        ),
        (500, vec![], "", TargetError::Unreachable("HTTP 500".to_owned())),
        (503, vec![("retry-after", "7")], "", TargetError::Unreachable("HTTP 503".to_owned())),
        (204, vec![], "", TargetError::Unreachable("HTTP 204".to_owned())),
        (400, vec![], "", TargetError::Unreachable("HTTP 400".to_owned())),
        (404, vec![], "", TargetError::Unreachable("HTTP 404: that address is not mOS's ingest API; check mos.url".to_owned())),
        (307, vec![("location", "http://127.0.0.1:1/")], "", TargetError::Unreachable("HTTP 307, a redirect, which is not followed; check mos.url".to_owned())),
    ] {
        let reply_headers = headers.clone();
        let server = server(move || status(code, &reply_headers, body)).await;
        assert_eq!(server.upsert().await, Err(expected), "{code} {headers:?}");
        assert_eq!(server.seen.lock().unwrap().len(), 1, "{code} was tried again");
    }
}

#[tokio::test]
async fn the_probe_is_an_upsert_of_nothing_under_the_bases_path() {
    let server = server(results(json!([]))).await;
    let mos = server.mos_at("/tenant/7/", Duration::from_secs(30));
    assert_eq!(mos.probe().await, Ok(()));
    assert_eq!(server.seen.lock().unwrap()[0].1, r#"{"records":[]}"#);
}

#[tokio::test]
async fn an_mos_that_finds_fault_with_nothing_answers() {
    let empty = r#"{"error":{"code":"malformed","message":"no records in the request"}}"#;
    let healthy = server(move || status(422, &[], empty)).await;
    assert_eq!(healthy.mos().probe().await, Ok(()));
    let ill = server(|| status(503, &[], "")).await;
    assert!(ill.mos().probe().await.is_err());
}

#[tokio::test]
async fn whether_a_key_was_answered_is_asked_without_records() {
    let error = |code: &str| json!({ "error": { "code": code } }).to_string();
    let answers = [("key_reused", true), ("malformed", false)];
    for (code, answered) in answers {
        let body = error(code);
        let server = server(move || status(422, &[], body.clone())).await;
        assert_eq!(server.mos().has_answered("k").await, Ok(answered));
        let seen = server.seen.lock().unwrap();
        assert_eq!(seen[0].0["idempotency-key"], "k");
        assert_eq!(seen[0].1, r#"{"records":[]}"#);
    }
    let lenient = server(results(json!([]))).await;
    assert_eq!(lenient.mos().has_answered("k").await, Ok(false));
    let ill = server(|| status(503, &[], "")).await;
    assert!(ill.mos().has_answered("k").await.is_err());
}

#[tokio::test]
async fn more_than_the_contract_takes_is_not_sent() {
    let server = server(results(json!([]))).await;
    let many = vec![two_records().remove(0); 501];
    assert_eq!(
        server.mos().upsert("k", &many).await,
        Err(TargetError::TooLarge)
    );
    let fields = format!(r#"{{"description":"{}"}}"#, "x".repeat(4 * 1024 * 1024));
    let large = [record(ObjectKind::Account, FIRST, &fields)];
    assert_eq!(
        server.mos().upsert("k", &large).await,
        Err(TargetError::TooLarge)
    );
    assert!(server.seen.lock().unwrap().is_empty());
}

#[test]
fn what_cannot_work_is_refused_at_the_start() {
    let connect = |url: &str, key: &str, timeout| {
        let mut config = Config::new(url.parse().unwrap(), key.into());
        config.request_timeout = Duration::from_secs(timeout);
        Mos::connect(config).unwrap_err()
    };
    assert!(matches!(
        connect("http://mos.example", KEY, 30),
        ConfigError::Plaintext
    ));
    assert!(matches!(
        connect("https://mos.example?a", KEY, 30),
        ConfigError::Extras
    ));
    assert!(matches!(
        connect("https://mos.example", "", 30),
        ConfigError::ApiKey
    ));
    assert!(matches!(
        connect("https://mos.example", "a\nb", 30),
        ConfigError::ApiKey
    ));
    assert!(matches!(
        connect("https://mos.example", KEY, 0),
        ConfigError::Timeout
    ));
}

#[test]
fn debug_shows_no_key() {
    let config = Config::new("https://mos.example".parse().unwrap(), KEY.into());
    let text = format!("{config:?} {:?}", Mos::connect(config.clone()).unwrap());
    assert!(
        text.contains("mos.example") && !text.contains(KEY),
        "{text}"
    );
}

fn second() -> SalesforceId {
    SalesforceId::parse(SECOND).unwrap()
}

async fn held(status_code: u16, body: impl Into<String>) -> Result<Option<Held>, TargetError> {
    let body = body.into();
    let server = server(move || status(status_code, &[], body.clone())).await;
    let mos = server.mos_at("/tenant/7", Duration::from_secs(30));
    let answer = mos.record(ObjectKind::Opportunity, &second()).await;
    let seen = server.seen.lock().unwrap();
    let (headers, body) = seen.first().unwrap();
    assert_eq!(headers["authorization"], format!("Bearer {KEY}"));
    assert!(body.is_empty());
    answer
}

#[tokio::test]
async fn what_mos_holds_is_read_whole() {
    let record = json!({
        "type": "opportunity", "external_id": SECOND, "version": "0001732276800123456",
        "fields": {"name": "Deal", "amount": "12.50"},
    });
    let found = held(200, record.to_string()).await.unwrap().unwrap();
    assert_eq!(
        found.version,
        Version::at(Timestamp::from_micros(1_732_276_800_123_456))
    );
    assert_eq!(found.fields["amount"], "12.50");
    assert_eq!(found.fields.len(), 2);
}

#[tokio::test]
async fn only_mos_itself_says_that_it_holds_nothing() {
    let none = json!({"error": {"code": "not_found", "message": "mOS has no such opportunity"}});
    assert_eq!(held(404, none.to_string()).await, Ok(None));
    for (code, body) in [(404, "<html>Not here</html>"), (503, ""), (200, "{}")] {
        let answer = held(code, body).await;
        assert!(
            matches!(answer, Err(TargetError::Unreachable(_))),
            "{code}: {answer:?}"
        );
    }
    let other = json!({
        "type": "opportunity", "external_id": FIRST, "version": "1", "fields": {},
    });
    let answer = held(200, other.to_string()).await;
    assert!(
        matches!(answer, Err(TargetError::Unreachable(_))),
        "{answer:?}"
    );
    let answer = held(401, "").await;
    assert!(
        matches!(answer, Err(TargetError::Forbidden(_))),
        "{answer:?}"
    );
}

async fn listed(status_code: u16, body: String) -> Result<Vec<Listed>, TargetError> {
    let server = server(move || status(status_code, &[], body.clone())).await;
    let mos = server.mos_at("/tenant/7", Duration::from_secs(30));
    let answer = mos.list(ObjectKind::Opportunity, FIRST, 2).await;
    let seen = server.seen.lock().unwrap();
    let (headers, query) = seen.first().unwrap();
    assert_eq!(headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(*query, format!("after={FIRST}&limit=2"));
    answer
}

#[tokio::test]
async fn what_mos_holds_is_listed_in_order() {
    let page = |ids: &[&str]| {
        let record = |id: &&str| json!({"external_id": id, "version": "1", "digest": "00"});
        json!({"records": ids.iter().map(record).collect::<Vec<_>>()}).to_string()
    };
    let answer = listed(200, page(&[SECOND, "not of Salesforce"]))
        .await
        .unwrap();
    let ids: Vec<&str> = answer.iter().map(|held| &*held.external_id).collect();
    assert_eq!(ids, [SECOND, "not of Salesforce"]);
    assert_eq!(listed(200, page(&[])).await, Ok(Vec::new()));
    // Else it would be asked for the same page for ever, or miss some.
    for ids in [&[SECOND, SECOND][..], &[FIRST], &["b", "a"]] {
        let answer = listed(200, page(ids)).await;
        assert!(
            matches!(&answer, Err(TargetError::Unreachable(why)) if why.contains("order")),
            "{answer:?}"
        );
    }
    for (code, body) in [(404, ""), (503, ""), (200, "{}")] {
        let answer = listed(code, body.to_owned()).await;
        assert!(
            matches!(answer, Err(TargetError::Unreachable(_))),
            "{answer:?}"
        );
    }
    let answer = listed(401, String::new()).await;
    assert!(
        matches!(answer, Err(TargetError::Forbidden(_))),
        "{answer:?}"
    );
}
