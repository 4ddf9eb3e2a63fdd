//! Requests that are made from the `OpenAPI` document, right and wrong, by the hundred; whatever is
//! answered must be what the document says. What fails is shrunk and shown as a line for curl.
//!
//! `MOSYNC_API_REQUESTS=5000` asks more of every operation, `MOSYNC_API_SEED` others.

mod description;
mod generate;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use console::rights::Right;
use domain::ObjectKind;
use http::{HeaderMap, Method, Request, StatusCode, header};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use proptest::strategy::Union;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;

use crate::desk::{Desk, Door, TOKEN};
use description::{Description, Operation};
use generate::{Ask, Known, Who};

/// Of each operation, when nothing else is asked for.
const REQUESTS: u32 = 200;
/// Of all operations by turns on one and the same desk.
const MIXED: u32 = 2_000;
/// What a refusal says at least, and at most: a sentence, and not the request come back.
const SENTENCE: std::ops::RangeInclusive<usize> = 12..=16_384;

#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the test chooses how much and which"
)]
fn asked<N: std::str::FromStr>(name: &str) -> Option<N> {
    let value = std::env::var(name).ok()?;
    let number = value.parse().ok();
    Some(number.unwrap_or_else(|| panic!("{name} is not a number")))
}

fn runner(requests: u32) -> TestRunner {
    let seed: u64 = asked("MOSYNC_API_SEED").unwrap_or(1);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases: requests,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

/// A console with something of everything, and who may ask it.
struct Office {
    desk: Desk,
    door: Door,
    document: Arc<Description>,
    known: Arc<Known>,
    tokens: BTreeMap<&'static str, String>,
    line: tokio::sync::Mutex<Line>,
    /// What was answered to each operation.
    seen: Mutex<BTreeMap<String, BTreeSet<u16>>>,
    /// Where its mails lie.
    _folder: tempfile::TempDir,
}

impl Office {
    async fn open(document: &Arc<Description>) -> Self {
        let mut desk = crate::furnished::furnished().await;
        for number in 0..6 {
            let name = format!("more {number}");
            let job = desk.job(domain::job::JobKind::Backfill, &name).await;
            let unit = desk.unit(&job.id, 0, 2);
            desk.die(&format!("dead-{number}"), unit.encode().unwrap())
                .await;
            desk.park(20 + number, |_| {}).await;
        }
        crate::furnished::store_permissions(&desk).await;
        let mapped = json!({
            "developer_name": "Contract_Term", "object": "Opportunity", "mos_field": "Contract Term",
            "salesforce_field": "Amount", "is_active": true, "contract_term_type": "Monthly",
        });
        let mapped = [serde_json::from_value(mapped).unwrap()];
        desk.salesforce.deploy_field_mapping(&mapped).unwrap();
        let folder = tempfile::tempdir().unwrap();
        desk.ops = crate::furnished::telling(&desk, folder.path()).await;
        let door = desk.door().await;
        let line = Line::to(door.address).await;
        let mut office = Self {
            desk,
            door,
            document: Arc::clone(document),
            known: Arc::default(),
            tokens: BTreeMap::new(),
            line: tokio::sync::Mutex::new(line),
            seen: Mutex::default(),
            _folder: folder,
        };
        for (name, scope) in [
            ("revoked", "administer"),
            ("read", "read"),
            ("operate", "operate"),
            ("administer", "administer"),
        ] {
            let (id, secret) = office.token(name, scope).await;
            if name == "revoked" {
                office
                    .post(&format!("/api/v1/tokens/{id}/revoke"), &json!({}))
                    .await;
            }
            office.tokens.insert(name, secret);
        }
        office.known = Arc::new(office.known().await);
        office
    }

    async fn token(&self, name: &str, scope: &str) -> (String, String) {
        let made = self
            .post("/api/v1/tokens", &json!({"name": name, "scope": scope}))
            .await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&made["token"]["id"]), text(&made["secret"]))
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self.door.post(path, body).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    /// What is there to be named.
    async fn known(&self) -> Known {
        let list = async |path: &str, name: &str, part: &str| {
            let answer = self.door.get(path).await.json();
            let list = answer[name].as_array().unwrap().clone();
            let texts = list.iter().filter_map(|one| one[part].as_str());
            texts.map(str::to_owned).collect::<Vec<_>>()
        };
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let mut victims = Vec::new();
        for number in 0..5 {
            victims.push(self.token(&format!("victim {number}"), "read").await.0);
        }
        let preview = self
            .post(
                "/api/v1/settings/preview",
                &json!({"settings": {"sync_closed": true}}),
            )
            .await;
        let preview = preview["id"].as_str().unwrap().to_owned();
        let contacts = (0..8).map(|number| crate::desk::record(ObjectKind::Contact, number));
        let mut records: Vec<String> = contacts.map(|id| id.to_string()).collect();
        for entity in ["User", "Opportunity"] {
            let all = self.desk.salesforce.records(entity);
            records.extend(all.iter().map(|record| record.id().to_owned()));
        }
        let jobs = list("/api/v1/jobs", "jobs", "id").await;
        let fields = list("/api/v1/fields/Opportunity", "fields", "name").await;
        Known::from([
            ("job", jobs),
            ("message", list("/api/v1/dead", "messages", "id").await),
            (
                "notification",
                list("/api/v1/notifications", "notifications", "id").await,
            ),
            ("group", list("/api/v1/parked/groups", "groups", "id").await),
            ("token", victims),
            ("preview", vec![preview]),
            ("record", records.clone()),
            ("records", records.clone()),
            ("parent", records.clone()),
            ("id", records),
            ("object", own(&["User", "Opportunity", "Contact", "Lead"])),
            ("revision", own(&["0", "1", "2"])),
            ("org", own(&[crate::desk::ORG, "00D000000000002EAA"])),
            ("field", fields.clone()),
            ("salesforce_field", fields),
            ("mos_field", own(&["next_step", "amount", "contract_term"])),
            ("values", own(&["1", "500", "Prospecting", "TODAY", ""])),
            ("logic", own(&["1", "1 AND 2", "1 OR (2 AND 3)"])),
            ("topic", own(&["job", "settings", "parked", "access"])),
            (
                "admin_emails",
                own(&["ada@example.com", "bo@example.com", "nobody"]),
            ),
        ])
    }

    fn secret(&self, who: Who) -> Option<&str> {
        let of = |name| self.tokens.get(name).map(String::as_str);
        match who {
            Who::Nobody => None,
            Who::Stranger => Some("not-a-token"),
            Who::Revoked => of("revoked"),
            Who::Reader => of("read"),
            Who::Operator => of("operate"),
            Who::Administrator => of("administer"),
            Who::Configured => Some(TOKEN),
        }
    }

    /// Asks, and holds the answer to the document.
    async fn check(&self, ask: &Ask) -> Result<(), String> {
        // A second each, so that nobody asks too often by mosync's clock.
        self.desk.pass(1);
        let mut line = self.line.lock().await;
        let answer = line.ask(ask, self.secret(ask.who)).await?;
        drop(line);
        let operation = &self.document.operations[ask.operation];
        let judge = Judge {
            document: &self.document,
            operation,
            ask,
            answer: &answer,
        };
        let judged = judge.judge();
        if judged.is_ok() && ask.method == operation.method {
            let mut seen = self.seen.lock().unwrap();
            let statuses = seen.entry(operation.name()).or_default();
            statuses.insert(answer.status.as_u16());
        }
        judged.map_err(|fault| format!("{fault}\nanswered: {answer}"))
    }
}

/// A connection that is used again.
struct Line {
    address: SocketAddr,
    sender: Option<SendRequest<Body>>,
    tasks: TaskTracker,
}

/// What was answered.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = String::from_utf8_lossy(&self.body);
        let beginning: String = text.chars().take(1_500).collect();
        write!(f, "{} {:?}\n{beginning}", self.status, self.headers)
    }
}

impl Line {
    async fn to(address: SocketAddr) -> Self {
        let mut line = Self {
            address,
            sender: None,
            tasks: TaskTracker::new(),
        };
        line.sender = Some(line.connect().await);
        line
    }

    async fn connect(&self) -> SendRequest<Body> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        self.tasks.spawn(connection);
        sender
    }

    async fn ask(&mut self, ask: &Ask, token: Option<&str>) -> Result<Answer, String> {
        let known = self.sender.take().filter(|_| ask.body.is_empty());
        let mut sender = match known {
            Some(sender) => sender,
            None => self.connect().await,
        };
        if sender.ready().await.is_err() {
            sender = self.connect().await;
        }
        let mut request = Request::builder()
            .method(ask.method.clone())
            .uri(ask.target())
            .header(header::HOST, "x");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(media) = ask.content_type {
            request = request.header(header::CONTENT_TYPE, media);
        }
        let request = request.body(Body::from(ask.body.clone())).unwrap();
        let broken = |what: &str, error: &dyn std::fmt::Display| {
            Err(format!("{what}: {error}; the handler may have panicked"))
        };
        let (head, body) = match sender.send_request(request).await {
            Ok(response) => response.into_parts(),
            Err(error) => return broken("no answer", &error),
        };
        let body = match axum::body::to_bytes(Body::new(body), usize::MAX).await {
            Ok(body) => body.to_vec(),
            Err(error) => return broken("the answer broke off", &error),
        };
        // A server that has not read the whole body closes after its answer.
        self.sender = ask.body.is_empty().then_some(sender);
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
        })
    }
}

/// A request, its answer, and what the document says of both.
struct Judge<'a> {
    document: &'a Description,
    operation: &'a Operation,
    ask: &'a Ask,
    answer: &'a Answer,
}

/// What the document lets be expected of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// This status.
    Exactly(u16),
    /// To be refused for what it is, by one of the 4xx that the document names.
    Refused,
    /// Whatever the document names, but that the caller is not known or not allowed.
    Described,
}

impl Judge<'_> {
    fn judge(&self) -> Result<(), String> {
        let Answer {
            status,
            headers,
            body,
        } = self.answer;
        if status.is_server_error() {
            return Err("no request may make the server fail".to_owned());
        }
        self.headers()?;
        let media = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default();
        if self.ask.method == self.operation.method {
            self.described(media)?;
        }
        if !status.is_success() {
            if media != "application/json" {
                return Err(format!("a refusal is JSON, and this is `{media}`"));
            }
            sentence(body)?;
        }
        self.expected()
    }

    /// The status is documented, with this kind of content, of that shape.
    fn described(&self, media: &str) -> Result<(), String> {
        let code = self.answer.status.as_u16().to_string();
        let Some(response) = self.operation.described["responses"].get(&code) else {
            return Err(format!(
                "{} does not document {code}",
                self.operation.name()
            ));
        };
        let Some(content) = response["content"].get(media) else {
            return Err(format!("{code} is not documented to be `{media}`"));
        };
        let value = if media == "application/json" {
            let parsed = serde_json::from_slice(&self.answer.body);
            parsed.map_err(|error| format!("the answer is no JSON: {error}"))?
        } else {
            let text = std::str::from_utf8(&self.answer.body);
            Value::from(text.map_err(|error| format!("the answer is no UTF-8: {error}"))?)
        };
        let faults = self.document.faults(&content["schema"], &value);
        if faults.is_empty() {
            Ok(())
        } else {
            Err(format!(
                "the answer is not as documented:\n{}",
                faults.join("\n")
            ))
        }
    }

    /// What every answer carries, of the API as of the pages.
    fn headers(&self) -> Result<(), String> {
        let headers = &self.answer.headers;
        let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        for (name, wanted) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("x-frame-options", "DENY"),
        ] {
            if value(name) != Some(wanted) {
                return Err(format!("{name} is {:?}", value(name)));
            }
        }
        let policy = value("content-security-policy").unwrap_or_default();
        for part in [
            "default-src 'none'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            if !policy.contains(part) {
                return Err(format!(
                    "the content security policy lacks {part}: {policy}"
                ));
            }
        }
        let asks = value("www-authenticate") == Some("Bearer");
        if (self.answer.status == StatusCode::UNAUTHORIZED) != asks {
            return Err("401 and `WWW-Authenticate: Bearer` go together".to_owned());
        }
        Ok(())
    }

    fn expected(&self) -> Result<(), String> {
        let code = self.answer.status.as_u16();
        let expected = self.what_to_expect();
        let is_met = match expected {
            Expected::Exactly(wanted) => code == wanted,
            Expected::Refused => (400..500).contains(&code) && ![401, 403].contains(&code),
            Expected::Described => code != 401 && (code != 403 || self.is_of_access()),
        };
        if !is_met {
            return Err(format!("expected {expected:?}, and not {code}"));
        }
        // What the document calls right may be refused for what it means, not for how it is written.
        if expected == Expected::Described && code == 400 {
            let text = String::from_utf8_lossy(&self.answer.body);
            for words in ["cannot be understood", "cannot be read"] {
                if text.contains(words) {
                    return Err("the document says that this can be understood".to_owned());
                }
            }
        }
        Ok(())
    }

    /// Whether it asks for the lines that name who came in, which are for administrators.
    fn is_of_access(&self) -> bool {
        let mut query = self.ask.query.iter();
        self.ask.path.starts_with("/api/v1/logs")
            && query.any(|(name, value)| name == "topic" && value == "access")
    }

    fn what_to_expect(&self) -> Expected {
        let ask = self.ask;
        if ask.target().len() > 8 * 1024 {
            return Expected::Exactly(414);
        }
        let has = match ask.who {
            Who::Nobody | Who::Stranger | Who::Revoked => None,
            Who::Reader => Some(Right::Read),
            Who::Operator => Some(Right::Operate),
            Who::Administrator | Who::Configured => Some(Right::Administer),
        };
        if ask.method != self.operation.method {
            return Expected::Exactly(405);
        }
        match (self.operation.needs, has) {
            (Some(_), None) => return Expected::Exactly(401),
            (Some(needs), Some(has)) if !has.covers(needs) => return Expected::Exactly(403),
            _ => {}
        }
        if self.fits() {
            Expected::Described
        } else {
            Expected::Refused
        }
    }

    /// Whether the request is one that the document describes.
    fn fits(&self) -> bool {
        !self.ask.path.contains("%FF") && self.query_fits() && self.body_fits()
    }

    fn query_fits(&self) -> bool {
        // What is asked after `?` of a path that asks nothing is nobody's.
        if self.operation.parameters_in("query").next().is_none() {
            return true;
        }
        let mut names = BTreeSet::new();
        self.ask.query.iter().all(|(name, text)| {
            let mut parameters = self.operation.parameters_in("query");
            let parameter = parameters.find(|parameter| parameter["name"] == name.as_str());
            let Some(parameter) = parameter else {
                return false;
            };
            let schema = self.document.resolved(&parameter["schema"]);
            let value = match schema["type"].as_str() {
                Some("integer") => text.parse::<i64>().map_or(Value::Null, Value::from),
                Some("boolean") => text.parse::<bool>().map_or(Value::Null, Value::from),
                _ => Value::from(text.as_str()),
            };
            names.insert(name) && self.document.faults(&schema, &value).is_empty()
        })
    }

    fn body_fits(&self) -> bool {
        let body = &self.ask.body;
        let Some(schema) = self.operation.body_schema() else {
            return true;
        };
        if body.is_empty() {
            return !self.operation.needs_body();
        }
        let media = self.ask.content_type.unwrap_or_default();
        let is_json = media.split(';').next() == Some("application/json");
        let Ok(value) = serde_json::from_slice::<Value>(body) else {
            return false;
        };
        let is_repeated = body.as_slice() == generate::REPEATED.as_bytes();
        is_json
            && !is_repeated
            && body.len() <= 64 * 1024
            && self.document.faults(schema, &value).is_empty()
    }
}

/// A refusal says why, in words.
fn sentence(body: &[u8]) -> Result<(), String> {
    let json: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let message = json["error"]["message"].as_str().unwrap_or_default();
    let is_sentence = SENTENCE.contains(&message.len())
        && message.trim().contains(' ')
        && !message.contains("panicked");
    if is_sentence {
        Ok(())
    } else {
        Err(format!("a refusal is a sentence, and this is {message:?}"))
    }
}

/// Asks requests of these operations on a desk of their own; what was answered to each.
fn ask_all(
    numbers: &[usize],
    requests: u32,
    document: &Arc<Description>,
) -> BTreeMap<String, BTreeSet<u16>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let office = runtime.block_on(Office::open(document));
    let strategies = numbers
        .iter()
        .map(|number| generate::asks(document, *number, &office.known));
    let strategy = Union::new(strategies.collect::<Vec<_>>());
    let outcome = runner(requests).run(&strategy, |ask| {
        let checked = runtime.block_on(office.check(&ask));
        checked.map_err(TestCaseError::fail)
    });
    if let Err(failed) = outcome {
        panic!("{failed}");
    }
    runtime.block_on(async { drop(office.line) });
    office.seen.into_inner().unwrap()
}

/// Every operation of a part of the API.
fn ask_each(belongs: impl Fn(&str) -> bool) {
    let document = Arc::new(Description::read());
    let requests = asked("MOSYNC_API_REQUESTS").unwrap_or(REQUESTS);
    let mut asked = 0;
    for (number, operation) in document.operations.iter().enumerate() {
        if !belongs(&operation.path) {
            continue;
        }
        asked += 1;
        let seen = ask_all(&[number], requests, &document);
        let seen = &seen[&operation.name()];
        // A test that is always refused shows nothing.
        let name = operation.name();
        assert!(seen.contains(&200), "{name} was never answered: {seen:?}");
        if operation.needs.is_some() {
            assert!(seen.contains(&401), "{name} let everybody in: {seen:?}");
        }
    }
    assert!(asked > 3, "only {asked} operations are there");
}

fn is_of_settings(path: &str) -> bool {
    path.starts_with("/api/v1/settings")
}

fn is_of_records(path: &str) -> bool {
    ["parked", "dead", "explain", "left", "logs"]
        .iter()
        .any(|part| path.starts_with(&format!("/api/v1/{part}")))
}

#[test]
fn settings_answer_as_documented() {
    ask_each(is_of_settings);
}

#[test]
fn records_and_logs_answer_as_documented() {
    ask_each(is_of_records);
}

#[test]
fn everything_else_answers_as_documented() {
    ask_each(|path| !is_of_settings(path) && !is_of_records(path));
}

#[test]
fn all_operations_by_turns_answer_as_documented() {
    let document = Arc::new(Description::read());
    let all: Vec<usize> = (0..document.operations.len()).collect();
    let requests = asked("MOSYNC_API_REQUESTS").unwrap_or(MIXED);
    let seen = ask_all(&all, requests, &document);
    assert_eq!(seen.len(), all.len(), "some operation was never asked");
}

#[test]
fn the_document_names_the_scope_that_is_asked_for() {
    let document = Description::read();
    let mut named = BTreeMap::new();
    for operation in &document.operations {
        named.insert(operation.name(), operation.needs);
    }
    let mut asked = BTreeMap::from([("GET /api/openapi.json".to_owned(), None)]);
    for (path, methods, needs) in console::api::rights() {
        for method in methods {
            asked.insert(format!("{} {path}", method.to_uppercase()), Some(needs));
        }
    }
    assert_eq!(named, asked);
}

#[tokio::test]
async fn a_request_that_brings_too_much_is_told_so_in_a_sentence() {
    let desk = Desk::open();
    let door = desk.door().await;
    let long = "x".repeat(20_000);
    let headers = [("x-long", long.as_str())];
    let path = "/api/v1/status";
    let answer = door
        .ask_with(Method::GET, path, Some(TOKEN), "", &headers)
        .await;
    assert_eq!(answer.status, 431);
    assert!(answer.sentence().contains("16,384 bytes"), "{answer:?}");
    let answer = door.get(&format!("{path}?{long}")).await;
    assert_eq!(answer.status, 414);
    assert!(answer.sentence().contains("8,192 bytes"), "{answer:?}");
}
