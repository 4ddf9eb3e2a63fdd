//! The `OpenAPI` document: every route is in it and everything in it is a route, and whatever is
//! really answered has the documented shape.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use console::Operations;
use console::api::{DOCUMENT, rights, routes};
use console::rights::Right;
use domain::failure::FailureKind;
use domain::job::{Extracted, JobId, JobKind, Pause, PausedBy, SalesforceStatus};
use domain::parked::Dismissal;
use domain::permission::{Grant, NearMiss, Obstacle, PermissionSnapshot};
use domain::unit::QueueName;
use domain::{ObjectKind, Timestamp};
use http::Method;
use operators::faults;
use ports::queue::{DeadAction, DeadLetter, LinkLost, Message, PublishError, Queue, Subscription};
use ports::source::ReplayId;
use ports::stores::{Gap, GapCause, OLDEST, PollState, Report, StreamState, WorkerState};
use runtime::figures;
use serde_json::{Value, json};

use crate::desk::{Answer, Desk, Door, TOKEN, TOPIC};

fn document() -> Value {
    serde_json::from_str(DOCUMENT).unwrap()
}

#[test]
fn every_route_is_documented_and_everything_documented_is_a_route() {
    let document = document();
    let mut documented = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            documented.insert(format!("{method} {path}"));
        }
    }
    let served = routes()
        .flat_map(|(path, methods)| methods.iter().map(move |method| format!("{method} {path}")));
    assert_eq!(documented, served.collect());
    assert_eq!(document["openapi"], "3.1.0");
}

/// What was asked and answered, each held to the document.
struct Notebook {
    document: Value,
    seen: BTreeSet<String>,
}

impl Notebook {
    /// `path` as documented, `real` as asked.
    async fn ask(&mut self, door: &Door, method: Method, path: &str, real: &str, body: &str) {
        let answer = door.ask(method.clone(), real, Some(TOKEN), body).await;
        let request = &self.document["paths"][path][method.as_str().to_lowercase()]["requestBody"];
        let schema = &request["content"]["application/json"]["schema"];
        if answer.status == 200 && !body.is_empty() && !schema.is_null() {
            let told: Value = serde_json::from_str(body).unwrap();
            assert_eq!(
                faults(&self.document, schema, &told),
                [""; 0],
                "{real} {body}"
            );
        }
        self.check(&method, path, &answer);
    }

    fn check(&mut self, method: &Method, path: &str, answer: &Answer) {
        let method = method.as_str().to_lowercase();
        let status = answer.status.as_u16();
        let described = &self.document["paths"][path][&method]["responses"][status.to_string()];
        let place = format!("{method} {path} {status}");
        assert!(
            !described.is_null(),
            "{place} is not documented: {answer:?}"
        );
        let media = answer.headers["content-type"].to_str().unwrap();
        let media = media.split(';').next().unwrap();
        let schema = &described["content"][media]["schema"];
        assert!(!schema.is_null(), "{place} answers {media}");
        if media == "application/json" {
            let faults = faults(&self.document, schema, &answer.json());
            assert_eq!(faults, [""; 0], "{place}: {:#}", answer.json());
        }
        self.seen.insert(place);
    }
}

/// An org's worth of everything that can be shown.
pub(crate) async fn furnished() -> Desk {
    let mut desk = Desk::open();
    let (_mos, target) = crate::left::open_mos().await;
    let owner = crate::desk::record(ObjectKind::User, 7).to_string();
    crate::left::hold(
        &*target,
        ObjectKind::User,
        &owner,
        r#"{"name": "Somebody"}"#,
    )
    .await;
    for number in 1..3 {
        let deal = crate::desk::record(ObjectKind::Opportunity, number).to_string();
        let fields = json!({"name": "Gone", "owner_id": owner}).to_string();
        crate::left::hold(&*target, ObjectKind::Opportunity, &deal, &fields).await;
    }
    desk.ops = desk
        .ops
        .asking(target)
        .polling([ObjectKind::User, ObjectKind::Contact].into());
    let now = desk.now();
    let stores = &desk.stores;
    let stream = StreamState {
        position: ReplayId(vec![7]),
        at_end: false,
        window_over: false,
        heard: now,
        last_event: Some(now),
    };
    stores.position.store_stream(TOPIC, &stream).await.unwrap();
    let poll = PollState {
        from: now,
        under_way: None,
        polled: Some(now),
        found: None,
        hole: false,
    };
    stores
        .position
        .store_poll(ObjectKind::User, &poll)
        .await
        .unwrap();
    for (worker, state) in [
        ("listener", WorkerState::Running),
        ("filter", WorkerState::Paused("disabled".to_owned())),
        ("loader", WorkerState::Failing("no mOS".to_owned())),
    ] {
        let figures = [
            OLDEST,
            figures::NEXT_WINDOW,
            figures::API_MAX,
            figures::API_USED,
            figures::API_OURS,
            figures::API_BULK_HELD_UNTIL,
            figures::API_LIVE_HELD_UNTIL,
        ];
        let figures = figures.map(|name| (name.to_owned(), now.as_micros()));
        let figures = figures.into();
        let report = Report {
            at: now,
            state,
            figures,
            out_of_reach: BTreeSet::new(),
        };
        stores.reports.report(worker, &report).await.unwrap();
    }
    desk.save(|settings| settings.frequency = "every_15_min".parse().unwrap())
        .await;
    let load = desk.job(JobKind::SyncAll, "load").await;
    for to in [SalesforceStatus::Counting, SalesforceStatus::Extracting] {
        stores
            .jobs
            .transition(&load.id, to, now, None)
            .await
            .unwrap();
    }
    let mut progress = load.progress.clone();
    (progress.announced, progress.next_index) = (2, 2);
    let extracted = Extracted {
        total: Some(500),
        read: 300,
        units: 2,
        errors: 1,
        last_error: Some("a query failed".to_owned()),
        started: Some(now),
        finished: Some(now),
        ..Extracted::default()
    };
    progress.objects.insert(ObjectKind::Contact, extracted);
    stores
        .jobs
        .advance(&load.id, &progress, None, now)
        .await
        .unwrap();
    let unit = desk.unit(&load.id, 0, 3);
    let tally = &unit.tally;
    desk.pass(5);
    stores
        .jobs
        .count(&load.id, 0, None, tally, desk.now())
        .await
        .unwrap();
    let held = desk.job(JobKind::Backfill, "held").await;
    let pause = Pause {
        since: now,
        by: PausedBy::Quota,
        why: "the allowance is used up".to_owned(),
        until: Some(desk.now()),
    };
    stores.jobs.pause(&held.id, &pause).await.unwrap();
    let failed = desk.job(JobKind::CatchUp, "failed").await;
    let why = Some("no access");
    let to = SalesforceStatus::Failed;
    stores
        .jobs
        .transition(&failed.id, to, now, why)
        .await
        .unwrap();
    stores
        .jobs
        .open_live_unit(&JobId::live(now), now)
        .await
        .unwrap();
    for (id, cause) in [
        ("overflow", GapCause::Overflow),
        ("poll", GapCause::NotHeard),
    ] {
        let gap = Gap {
            id: id.to_owned(),
            cause,
            since: now,
            opened: now,
            evidence: "seen by a test".to_owned(),
            job: failed.id.clone(),
            closed: None,
        };
        stores.position.open_gap(&gap, &failed).await.unwrap();
    }
    desk.park(1, |parked| {
        parked.parent = Some((
            ObjectKind::Account,
            crate::desk::record(ObjectKind::Account, 1),
        ));
        parked.retry_at = Some(now);
        parked.job = Some(load.id.clone());
    })
    .await;
    let dismissed = desk.park(2, |_| {}).await;
    let dismissal = Dismissal {
        at: now,
        by: "somebody".to_owned(),
        reason: "a test".to_owned(),
    };
    stores
        .parked
        .dismiss(&[dismissed.record()], &dismissal)
        .await
        .unwrap();
    desk.park(3, |_| {}).await;
    desk.park(4, |parked| parked.kind = FailureKind::Unreadable)
        .await;
    let unit = desk.unit(&load.id, 1, 2);
    desk.die("unit", unit.encode().unwrap()).await;
    desk.die("garbage", b"?".to_vec()).await;
    let event = Message {
        id: "event".to_owned(),
        kind: "salesforce.event".to_owned(),
        version: 1,
        body: Vec::new(),
    };
    desk.queue
        .publish_dead(&event, "the stream", "no schema")
        .await
        .unwrap();
    desk
}

#[tokio::test]
async fn whatever_is_answered_has_the_documented_shape_and_the_other_way_round() {
    let desk = furnished().await;
    let door = desk.door().await;
    let mut book = Notebook {
        document: document(),
        seen: BTreeSet::new(),
    };
    let (get, post) = (Method::GET, Method::POST);
    let load = desk
        .ops
        .jobs(&console::views::JobSearch::default())
        .await
        .unwrap();
    let load = load.jobs.iter().find(|job| job.kind == JobKind::SyncAll);
    let load = load.unwrap().id.clone();
    let contact = crate::desk::record(ObjectKind::Contact, 1);
    let long = format!("{{\"reason\": \"{}\"}}", "x".repeat(70_000));
    let named = json!({"records": [contact]}).to_string();
    let with_reason = json!({"records": [contact], "reason": "a test"}).to_string();
    let nobody = json!({"records": [crate::desk::record(ObjectKind::Contact, 99)], "reason": "x"});
    let nobody = nobody.to_string();
    let reason = json!({"reason": "a test"}).to_string();
    let more = json!({"all": true, "seen": 0}).to_string();
    let more_with_reason = json!({"all": true, "seen": 0, "reason": "x"}).to_string();

    for path in ["/api/v1/users", "/api/v1/users/export", "/api/v1/left"] {
        book.ask(&door, get.clone(), path, path, "").await;
    }
    let folder = tempfile::tempdir().unwrap();
    let told = notifications(&mut book, &desk, folder.path()).await;
    store_permissions(&desk).await;
    for (path, query, body) in [
        ("/api/v1/status", "", ""),
        ("/api/v1/org", "", ""),
        ("/api/v1/users", "", ""),
        ("/api/v1/users/export", "", ""),
        ("/api/v1/checklist", "", ""),
        ("/api/v1/sync-all/expected", "", ""),
        ("/api/v1/left", "", ""),
        ("/api/v1/left", "?limit=1", ""),
        ("/api/v1/left", "?limit=0", ""),
        ("/api/v1/jobs", "?limit=2", ""),
        ("/api/v1/jobs", "?before=x", ""),
        ("/api/v1/parked", "?limit=1&dismissed=false", ""),
        ("/api/v1/parked", "", ""),
        ("/api/v1/parked", "?after=x", ""),
        ("/api/v1/parked/groups", "", ""),
        ("/api/v1/parked/groups", "?jobs=x", ""),
        ("/api/v1/dead", "", ""),
        ("/api/v1/dead", "?limit=0", ""),
        ("/api/v1/notifications", "", ""),
        ("/api/v1/notifications", "?limit=1", ""),
        ("/api/v1/notifications", "?before=nobody", ""),
        ("/api/v1/jobs/export", "?state=failed", ""),
        ("/api/v1/jobs/export", "?format=jsonl", ""),
        ("/api/v1/jobs/export", "?state=odd", ""),
        ("/api/v1/parked/export", "?dismissed=true", ""),
        ("/api/v1/parked/export", "?format=jsonl", ""),
        ("/api/v1/parked/export", "?object=Lead", ""),
        ("/api/v1/dead/export", "", ""),
        ("/api/v1/dead/export", "?format=jsonl", ""),
        ("/api/v1/dead/export", "?limit=1", ""),
        ("/api/v1/notifications/export", "", ""),
        ("/api/v1/notifications/export", "?format=jsonl", ""),
        ("/api/v1/notifications/export", "?format=xml", ""),
        ("/api/v1/logs", "?limit=1", ""),
        ("/api/v1/logs", "?since=x", ""),
        ("/api/v1/logs/export", "", ""),
        ("/api/v1/logs/export", "?format=jsonl", ""),
        ("/api/v1/logs/export", "?format=xml", ""),
        ("/api/openapi.json", "", ""),
    ] {
        let real = format!("{path}{query}");
        book.ask(&door, get.clone(), path, &real, body).await;
    }
    for (path, name) in [
        ("/api/v1/jobs/{job}", load.as_str()),
        ("/api/v1/jobs/{job}", "nobody"),
        ("/api/v1/dead/{message}", "unit"),
        ("/api/v1/dead/{message}", "garbage"),
        ("/api/v1/dead/{message}", "nobody"),
        ("/api/v1/fields/{object}", "Opportunity"),
        ("/api/v1/fields/{object}", "Lead"),
        ("/api/v1/notifications/{notification}", told.as_str()),
        ("/api/v1/notifications/{notification}", "nobody"),
    ] {
        let real = path.replace("{job}", name).replace("{message}", name);
        let real = real.replace("{notification}", name);
        let real = real.replace("{object}", name);
        book.ask(&door, get.clone(), path, &real, "").await;
    }
    for (path, name, body) in [
        ("/api/v1/sync-all", "", ""),
        ("/api/v1/jobs/{job}/pause", load.as_str(), reason.as_str()),
        ("/api/v1/jobs/{job}/pause", "nobody", ""),
        ("/api/v1/jobs/{job}/pause", load.as_str(), "["),
        ("/api/v1/jobs/{job}/pause", load.as_str(), long.as_str()),
        ("/api/v1/jobs/{job}/resume", load.as_str(), ""),
        ("/api/v1/jobs/{job}/resume", load.as_str(), ""),
        ("/api/v1/jobs/{job}/resume", "nobody", ""),
        ("/api/v1/jobs/{job}/cancel", load.as_str(), reason.as_str()),
        ("/api/v1/jobs/{job}/cancel", load.as_str(), ""),
        ("/api/v1/jobs/{job}/cancel", load.as_str(), "["),
        ("/api/v1/jobs/{job}/cancel", load.as_str(), long.as_str()),
        ("/api/v1/jobs/{job}/cancel", "nobody", ""),
        ("/api/v1/parked/retry", "", named.as_str()),
        ("/api/v1/parked/retry", "", nobody.as_str()),
        ("/api/v1/parked/retry", "", "{}"),
        ("/api/v1/parked/retry", "", more.as_str()),
        ("/api/v1/parked/retry", "", long.as_str()),
        ("/api/v1/parked/dismiss", "", with_reason.as_str()),
        ("/api/v1/parked/dismiss", "", nobody.as_str()),
        ("/api/v1/parked/dismiss", "", named.as_str()),
        ("/api/v1/parked/dismiss", "", more_with_reason.as_str()),
        ("/api/v1/parked/dismiss", "", long.as_str()),
        ("/api/v1/dead/{message}/replay", "garbage", ""),
        ("/api/v1/dead/{message}/replay", "garbage", ""),
        ("/api/v1/dead/{message}/replay", "event", ""),
        ("/api/v1/dead/{message}/discard", "unit", reason.as_str()),
        ("/api/v1/dead/{message}/discard", "unit", reason.as_str()),
        ("/api/v1/dead/{message}/discard", "event", ""),
        ("/api/v1/dead/{message}/discard", "event", long.as_str()),
    ] {
        let real = path.replace("{job}", name).replace("{message}", name);
        book.ask(&door, post.clone(), path, &real, body).await;
    }
    // The job is over now: nothing is left of it to be held or ended.
    for path in ["/api/v1/jobs/{job}/pause", "/api/v1/jobs/{job}/cancel"] {
        let real = path.replace("{job}", &load);
        book.ask(&door, post.clone(), path, &real, "").await;
    }

    explanations(&mut book, &desk, &door).await;
    settings(&mut book, &desk, &door, &long).await;
    let reader = tokens(&mut book, &door, &long).await;

    // Without a token, and with stores out of reach.
    let far = out_of_reach(&desk).await;
    for (path, methods) in routes() {
        for method in methods {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let too_long = "x".repeat(17_000);
            let real = format!("{path}?{too_long}");
            let answer = door.ask(method.clone(), &real, Some(TOKEN), "").await;
            book.check(&method, path, &answer);
            let headers = [("x-long", too_long.as_str())];
            let answer = door.ask_with(method.clone(), path, Some(TOKEN), "", &headers);
            book.check(&method, path, &answer.await);
            if path == "/api/openapi.json" {
                continue;
            }
            let answer = door.ask(method.clone(), path, None, "").await;
            book.check(&method, path, &answer);
            // A path that is no text.
            if let Some((before, _)) = path.split_once('{') {
                let after = path.rsplit_once('}').unwrap().1;
                let real = format!("{before}%FF{after}");
                let answer = door.ask(method.clone(), &real, Some(TOKEN), "").await;
                assert_eq!(answer.status, 400, "{method} {path}");
                book.check(&method, path, &answer);
            }
            // With a token that may only read.
            if rights().any(|(of, _, needs)| of == path && needs > Right::Read) {
                let answer = door.ask(method.clone(), path, Some(&reader), "").await;
                assert_eq!(answer.status, 403, "{method} {path}");
                book.check(&method, path, &answer);
            }
            if ["/api/v1/status", "/api/v1/dead"].contains(&path) {
                book.ask(&far, method, path, path, "").await;
            }
        }
    }

    // The other way round: nothing in the document that was not seen, but stores out of reach or
    // spoilt, too many requests and bodies that come too slowly, which every path can meet, and that somebody without a role may not even
    // read, which tests of the console see.
    let only_reads = |place: &&String| {
        let path = place.split(' ').nth(1).unwrap_or_default();
        rights().any(|(of, _, needs)| of == path && needs == Right::Read)
    };
    let mut described = BTreeSet::new();
    for (path, methods) in book.document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            for status in operation["responses"].as_object().unwrap().keys() {
                described.insert(format!("{method} {path} {status}"));
            }
        }
    }
    let unseen = described
        .difference(&book.seen)
        .filter(|place| {
            ![" 500", " 503", " 429", " 408"]
                .iter()
                .any(|end| place.ends_with(end))
        })
        .filter(|place| !(place.ends_with(" 403") && only_reads(place)));
    assert_eq!(unseen.collect::<Vec<_>>(), Vec::<&String>::new());
}

#[tokio::test]
async fn what_salesforce_refuses_is_told_as_its_refusal_and_no_fault_of_mosync() {
    let desk = furnished().await;
    store_permissions(&desk).await;
    let deal = desk.salesforce.records("Opportunity").remove(0);
    let closed = json!({"settings": {"sync_closed": true}});
    let closed = serde_json::from_value(closed).unwrap();
    let preview = desk.ops.preview_settings(&closed).await.unwrap().id;
    desk.org.refuses_opportunities();
    let door = desk.door().await;
    let mut book = Notebook {
        document: document(),
        seen: BTreeSet::new(),
    };
    for (path, name) in [
        ("/api/v1/explain/{id}", deal.id()),
        ("/api/v1/fields/{object}", "Opportunity"),
        ("/api/v1/left", ""),
        (
            "/api/v1/settings/preview/{preview}/export",
            preview.as_str(),
        ),
        ("/api/v1/users", ""),
    ] {
        let real = path.replace("{id}", name).replace("{object}", name);
        let answer = door.get(&real.replace("{preview}", name)).await;
        assert_eq!(answer.status, 503, "{path}: {answer:?}");
        book.check(&Method::GET, path, &answer);
        let sentence = answer.sentence();
        for words in ["INVALID_TYPE", "let the integration user read it"] {
            assert!(sentence.contains(words), "{path}: {sentence}");
        }
    }
    let expected = door.get("/api/v1/sync-all/expected").await;
    assert_eq!(expected.status, 200, "{expected:?}");
    let why_not = expected.json()["why_not"].to_string();
    assert!(why_not.contains("INVALID_TYPE"), "{why_not}");
}

/// Tokens made, refused and revoked; one that may only read.
async fn tokens(book: &mut Notebook, door: &Door, long: &str) -> String {
    let path = "/api/v1/tokens";
    let post = Method::POST;
    let report = json!({"name": "Report", "scope": "read"}).to_string();
    let made = door.ask(post.clone(), path, Some(TOKEN), &report).await;
    book.check(&post, path, &made);
    for body in [
        report.as_str(),
        "{\"name\": \"\", \"scope\": \"read\"}",
        long,
    ] {
        book.ask(door, post.clone(), path, path, body).await;
    }
    let mut made = made.json();
    let secret = made["secret"].take().as_str().unwrap().to_owned();
    let other = json!({"name": "Other", "scope": "operate"}).to_string();
    let other = door.ask(post.clone(), path, Some(TOKEN), &other).await;
    let id = other.json()["token"]["id"].as_str().unwrap().to_owned();
    let revoke = "/api/v1/tokens/{token}/revoke";
    for id in [id.as_str(), "nobody"] {
        let real = revoke.replace("{token}", id);
        book.ask(door, post.clone(), revoke, &real, "").await;
    }
    book.ask(door, Method::GET, path, path, "").await;
    secret
}

/// Records of every object, and what is none.
async fn explanations(book: &mut Notebook, desk: &Desk, door: &Door) {
    let path = "/api/v1/explain/{id}";
    let mut asked: Vec<String> = ["User", "Opportunity"]
        .into_iter()
        .flat_map(|entity| desk.salesforce.records(entity))
        .map(|record| record.id().to_owned())
        .collect();
    // Parked, and never seen.
    asked.extend(
        [1, 4, 77].map(|number| crate::desk::record(ObjectKind::Contact, number).to_string()),
    );
    asked.push("%3F".to_owned());
    asked.push("500000000000001".to_owned());
    for id in asked {
        let real = path.replace("{id}", &id);
        book.ask(door, Method::GET, path, &real, "").await;
    }
}

/// Notifications on every way, and a test of them; answers the id of one.
async fn notifications(book: &mut Notebook, desk: &Desk, folder: &Path) -> String {
    let path = "/api/v1/notifications/test";
    let post = Method::POST;
    let door = desk.door().await;
    book.ask(&door, post.clone(), path, path, "").await;
    let ops = telling(desk, folder).await;
    let told = desk.stores.outbox.list(None, 9).await.unwrap();
    assert!(told.len() > 1, "{told:?}");
    let told = told[0].id();
    let door = desk.door_of(ops).await;
    book.ask(&door, post, path, path, "").await;
    let path = "/api/v1/notifications/{notification}/mail";
    for id in [told, "nobody"] {
        let real = path.replace("{notification}", id);
        book.ask(&door, Method::GET, path, &real, "").await;
    }
    told.to_owned()
}

/// The desk's operations, with mails that go into a folder; what is to be told there was.
pub(crate) async fn telling(desk: &Desk, folder: &Path) -> Operations {
    let config = notify::Config {
        from: "mosync@acme.example".to_owned(),
        public_url: None,
        smtp: None,
        folder: Some(folder.to_owned()),
        webhook: None,
        timeout: std::time::Duration::from_secs(20),
    };
    let courier: Arc<dyn ports::courier::Courier> =
        Arc::new(notify::Notify::new(config, desk.clock()).unwrap());
    let keep = std::time::Duration::from_secs(86_400);
    let ops = desk.ops.clone().telling(Arc::clone(&courier));
    let mut notifier = console::Notifier::new(ops.clone(), courier, "a test".to_owned(), keep);
    notifier
        .round(&tokio_util::sync::CancellationToken::new())
        .await
        .unwrap();
    ops
}

/// A holder who leaves soon, with a deal, and another whose assignment does not count.
pub(crate) async fn store_permissions(desk: &Desk) {
    let user = |name: &str| {
        let username = format!("{name}@example.com");
        let fields = json!({"LastName": name, "Username": username, "Email": username});
        crate::salesforce::insert(&desk.salesforce, "User", &fields)
    };
    let (ada, bea) = (user("Ada"), user("Bea"));
    let deal = json!({"Name": "Deal", "StageName": "Prospecting", "CloseDate": "2027-01-01", "OwnerId": ada});
    crate::salesforce::insert(&desk.salesforce, "Opportunity", &deal);
    let id = |text: &str| domain::SalesforceId::parse(text).unwrap();
    let grant = Grant {
        permission_set: "mOS_User".to_owned(),
        group: Some("Sales".to_owned()),
        expires: Some(desk.now().after(std::time::Duration::from_secs(60))),
    };
    let miss = NearMiss {
        grant: grant.clone(),
        because: [
            Obstacle::UserInactive,
            Obstacle::NoPackageLicence {
                namespace: "mos".to_owned(),
            },
        ]
        .into(),
    };
    let snapshot = PermissionSnapshot {
        number: 1,
        taken: desk.now(),
        holders: [(id(&ada), [grant].into())].into(),
        near_misses: [(id(&bea), [miss].into())].into(),
        ..PermissionSnapshot::default()
    };
    let permissions = &desk.stores.permissions;
    permissions.store(&snapshot, None).await.unwrap();
}

/// Settings, asked for and saved, rightly and wrongly.
async fn settings(book: &mut Notebook, desk: &Desk, door: &Door, long: &str) {
    let (get, post) = (Method::GET, Method::POST);
    let path = |name: &str| format!("/api/v1/settings{name}");
    let condition = json!({"field": "Amount", "operator": "less_than", "values": ["1"]});
    let full = json!({
        "admin_emails": ["ada@example.com"], "disabled": false, "run_in_sandbox": false,
        "sync_closed": true, "filter": {"conditions": [condition], "logic": "1"},
        "frequency": "real_time", "api_share": {"percent": 40, "reserve": 5},
        "mapping": [{"object": "Opportunity", "mos_field": "contract_term", "salesforce_field": "Amount",
            "active": true, "contract_term_type": "monthly"}],
        "org": crate::desk::ORG,
    });
    // Saved by others before.
    let first = desk.stores.settings.current().await.unwrap().revision;
    let save =
        |base: u64, settings: &Value| json!({"base": base, "settings": settings}).to_string();
    let texts = json!({"admin_emails": "ada@example.com,bo@example.com"});
    let mut mixed = full.clone();
    mixed["disabled"] = json!(true);
    let (wrong, stale) = (
        save(first + 2, &json!({"disabled": 1})),
        save(first + 1, &mixed),
    );
    for (name, body) in [
        ("", save(first, &full)),
        ("", save(first + 1, &texts)),
        ("", wrong.clone()),
        ("", stale),
        // Both changed the addresses.
        (
            "",
            save(first + 1, &json!({"admin_emails": ["x@example.com"]})),
        ),
        ("", save(99, &full)),
        ("", json!({"settings": full}).to_string()),
        ("", long.to_owned()),
        ("/validate", save(first + 2, &mixed)),
        ("/validate", wrong),
        ("/validate", save(99, &full)),
        ("/validate", "{}".to_owned()),
        ("/validate", long.to_owned()),
        ("/preview", save(first + 2, &full)),
        ("/preview", json!({"settings": mixed}).to_string()),
        ("/preview", save(first + 2, &json!({"disabled": 1}))),
        ("/preview", save(first + 1, &mixed)),
        ("/preview", save(99, &full)),
        ("/preview", "{}".to_owned()),
        ("/preview", long.to_owned()),
        (
            "/revert",
            json!({"to": first + 1, "dry_run": true}).to_string(),
        ),
        (
            "/revert",
            json!({"to": first + 1, "base": first + 1}).to_string(),
        ),
        ("/revert", json!({"to": 99, "base": first + 2}).to_string()),
        ("/revert", "{}".to_owned()),
        ("/revert", long.to_owned()),
        ("/confirm-org", json!({"org": crate::desk::ORG}).to_string()),
        (
            "/confirm-org",
            json!({"org": "00D000000000002"}).to_string(),
        ),
        ("/confirm-org", "{}".to_owned()),
        ("/confirm-org", long.to_owned()),
    ] {
        let path = path(name);
        book.ask(door, post.clone(), &path, &path, &body).await;
    }
    desk.org.hides("Amount");
    let gone = json!({"to": first + 1, "base": first + 2}).to_string();
    book.ask(door, post, &path("/revert"), &path("/revert"), &gone)
        .await;
    import_mapping(book, desk, door, long).await;
    desk.org.shows_amount();
    previewed(book, desk, door, &full).await;
    for (name, query) in [
        ("", ""),
        ("/history", ""),
        ("/history", "?limit=1"),
        ("/history", "?limit=0"),
        ("/diff", ""),
        ("/diff", "?from=0&to=1"),
        ("/diff", "?from=x"),
        ("/diff", "?to=99"),
        ("/export", ""),
        ("/export", "?revision=1"),
        ("/export", "?revision=99"),
        ("/export", "?revision=x"),
    ] {
        let path = path(name);
        let real = format!("{path}{query}");
        book.ask(door, get.clone(), &path, &real, "").await;
    }
    let one = path("/revisions/{revision}");
    for number in ["0", "1", "99", "x"] {
        let real = one.replace("{revision}", number);
        book.ask(door, get.clone(), &one, &real, "").await;
    }
}

/// The org's own field mapping, rightly and wrongly.
async fn import_mapping(book: &mut Notebook, desk: &Desk, door: &Door, long: &str) {
    let path = "/api/v1/settings/import-mapping";
    let deploy = |name: &str, salesforce_field: &str| {
        let record = json!({
            "developer_name": name, "object": "Opportunity", "mos_field": name,
            "salesforce_field": salesforce_field, "is_active": true,
        });
        let records = [serde_json::from_value(record).unwrap()];
        desk.salesforce.deploy_field_mapping(&records).unwrap();
    };
    let now = desk.stores.settings.current().await.unwrap().revision;
    let (look, save) = (json!({"dry_run": true}), json!({"base": now}));
    // No such type, then a record, then one more that does not fit, then all well but late.
    for (name, salesforce_field, asked) in [
        (None, "", look.to_string()),
        (Some("type"), "LeadSource", look.to_string()),
        (Some("type"), "StageName", look.to_string()),
        (Some("type"), "StageName", save.to_string()),
        (Some("type"), "Name", save.to_string()),
        (None, "", "{}".to_owned()),
        (None, "", long.to_owned()),
    ] {
        if let Some(name) = name {
            deploy(name, salesforce_field);
        }
        book.ask(door, Method::POST, path, path, &asked).await;
    }
}

/// What a previewed save does something to.
async fn previewed(book: &mut Notebook, desk: &Desk, door: &Door, full: &Value) {
    let of = async |settings: Value| {
        let asked = serde_json::from_value(json!({ "settings": settings })).unwrap();
        desk.ops.preview_settings(&asked).await.unwrap().id
    };
    let (seen, nobody) = (of(full.clone()).await, "nobody".to_owned());
    // What its filter names is hidden, so nobody can tell what it let in.
    let by_amount = json!({ "base": desk.ops.settings().await.unwrap().revision, "settings": {
        "filter": { "conditions": [{"field": "Amount", "operator": "less_than", "values": ["2"]}] },
    } });
    let by_amount = serde_json::from_value(by_amount).unwrap();
    let author = console::Author::of(&console::Caller::Api, None);
    let saved = desk.ops.save_settings(&by_amount, &author).await.unwrap();
    desk.org.hides("Amount");
    let unseen = of(json!({})).await;
    desk.org.shows_amount();
    let back = json!({ "base": saved.revision, "settings": full });
    let back = serde_json::from_value(back).unwrap();
    desk.ops.save_settings(&back, &author).await.unwrap();

    for (preview, part, query) in [
        (&seen, "opportunities", "?effect=enters&limit=1"),
        (&seen, "opportunities", "?effect=leaves"),
        (&seen, "opportunities", ""),
        (&seen, "opportunities", "?effect=stays"),
        (&unseen, "opportunities", "?effect=enters"),
        (&unseen, "opportunities", "?effect=leaves"),
        (&nobody, "opportunities", "?effect=leaves"),
        (&seen, "export", ""),
        (&seen, "export", "?format=jsonl&effect=enters"),
        (&seen, "export", "?format=xml"),
        (&unseen, "export", ""),
        (&unseen, "export", "?effect=leaves"),
        (&nobody, "export", ""),
    ] {
        let path = format!("/api/v1/settings/preview/{{preview}}/{part}");
        let real = path.replace("{preview}", preview) + query;
        book.ask(door, Method::GET, &path, &real, "").await;
    }
}

/// The API of stores whose broker is gone.
async fn out_of_reach(desk: &Desk) -> Door {
    desk.door_of(without_broker(desk)).await
}

/// The same stores, whose broker is gone.
pub(crate) fn without_broker(desk: &Desk) -> Operations {
    let org = Arc::<crate::desk::DeskOrg>::clone(&desk.org);
    Operations::new(
        desk.stores.clone(),
        Arc::new(Gone),
        desk.clock(),
        org,
        TOPIC,
    )
}

struct Gone;

fn gone() -> LinkLost {
    LinkLost("connection refused".to_owned())
}

#[async_trait]
impl Queue for Gone {
    async fn publish(&self, _to: QueueName, _message: &Message) -> Result<(), PublishError> {
        Err(gone().into())
    }
    async fn subscribe(
        &self,
        _from: QueueName,
        _prefetch: u16,
    ) -> Result<Box<dyn Subscription>, LinkLost> {
        Err(gone())
    }
    async fn publish_dead(
        &self,
        _message: &Message,
        _from: &str,
        _reason: &str,
    ) -> Result<(), LinkLost> {
        Err(gone())
    }
    async fn depth(&self, _of: QueueName) -> Result<u64, LinkLost> {
        Err(gone())
    }
    async fn waiting(&self) -> Result<u64, LinkLost> {
        Err(gone())
    }
    async fn dead_letters(&self, _max: usize) -> Result<Vec<DeadLetter>, LinkLost> {
        Err(gone())
    }
    async fn dead_letter(&self, _id: &str) -> Result<Option<DeadLetter>, LinkLost> {
        Err(gone())
    }
    async fn dead_count(&self) -> Result<u64, LinkLost> {
        Err(gone())
    }
    async fn settle_dead(&self, _id: &str, _action: DeadAction) -> Result<bool, LinkLost> {
        Err(gone())
    }
}

#[tokio::test]
async fn times_are_microseconds() {
    let desk = Desk::open();
    let status = desk.ops.status().await.unwrap();
    let json = serde_json::to_value(&status).unwrap();
    let read_at = json["read_at"].as_i64().map(Timestamp::from_micros);
    assert_eq!(read_at, Some(desk.now()));
}
