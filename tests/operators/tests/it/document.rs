//! The `OpenAPI` document: every route is in it and everything in it is a route, and whatever is
//! really answered has the documented shape.

mod asked;

use std::collections::BTreeSet;

use console::api::{DOCUMENT, rights, routes};
use console::rights::Right;
use domain::job::JobKind;
use domain::{ObjectKind, Timestamp};
use http::Method;
use operators::faults;
use serde_json::{Value, json};

use crate::broker::without_broker;
use crate::desk::{Answer, Desk, Door, TOKEN, record};
use crate::furnished::{furnished, store_permissions};
use asked::{explanations, notifications, settings, tokens};

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
    let contact = record(ObjectKind::Contact, 1);
    let long = format!("{{\"reason\": \"{}\"}}", "x".repeat(70_000));
    let named = json!({"records": [contact]}).to_string();
    let with_reason = json!({"records": [contact], "reason": "a test"}).to_string();
    let nobody = json!({"records": [record(ObjectKind::Contact, 99)], "reason": "x"});
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
    // A door that has not yet counted what Salesforce has to answer.
    let door = desk.door().await;
    settings(&mut book, &desk, &door, &long).await;
    let reader = tokens(&mut book, &door, &long).await;

    // Without a token, and with stores out of reach.
    let door = desk.door().await;
    let far = desk.door_of(without_broker(&desk)).await;
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

#[tokio::test]
async fn times_are_microseconds() {
    let desk = Desk::open();
    let status = desk.ops.status().await.unwrap();
    let json = serde_json::to_value(&status).unwrap();
    let read_at = json["read_at"].as_i64().map(Timestamp::from_micros);
    assert_eq!(read_at, Some(desk.now()));
}
