//! What is asked of each part of the API, rightly and wrongly.

use std::path::Path;

use domain::ObjectKind;
use http::Method;
use serde_json::{Value, json};

use super::Notebook;
use crate::desk::{Desk, Door, ORG, TOKEN, record};
use crate::furnished::telling;

/// Tokens made, refused and revoked; one that may only read.
pub(super) async fn tokens(book: &mut Notebook, door: &Door, long: &str) -> String {
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
pub(super) async fn explanations(book: &mut Notebook, desk: &Desk, door: &Door) {
    let path = "/api/v1/explain/{id}";
    let mut asked: Vec<String> = ["User", "Opportunity"]
        .into_iter()
        .flat_map(|entity| desk.salesforce.records(entity))
        .map(|record| record.id().to_owned())
        .collect();
    // Parked, and never seen.
    asked.extend([1, 4, 77].map(|number| record(ObjectKind::Contact, number).to_string()));
    asked.push("%3F".to_owned());
    asked.push("500000000000001".to_owned());
    for id in asked {
        let real = path.replace("{id}", &id);
        book.ask(door, Method::GET, path, &real, "").await;
    }
}

/// Notifications on every way, and a test of them; answers the id of one.
pub(super) async fn notifications(book: &mut Notebook, desk: &Desk, folder: &Path) -> String {
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

/// Settings, asked for and saved, rightly and wrongly.
pub(super) async fn settings(book: &mut Notebook, desk: &Desk, door: &Door, long: &str) {
    let (get, post) = (Method::GET, Method::POST);
    let path = |name: &str| format!("/api/v1/settings{name}");
    let condition = json!({"field": "Amount", "operator": "less_than", "values": ["1"]});
    let full = json!({
        "admin_emails": ["ada@example.com"], "disabled": false, "run_in_sandbox": false,
        "sync_closed": true, "filter": {"conditions": [condition], "logic": "1"},
        "frequency": "real_time", "api_share": {"percent": 40, "reserve": 5},
        "mapping": [{"object": "Opportunity", "mos_field": "contract_term", "salesforce_field": "Amount",
            "active": true, "contract_term_type": "monthly"}],
        "org": ORG,
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
        ("/confirm-org", json!({"org": ORG}).to_string()),
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
