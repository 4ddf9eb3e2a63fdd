//! Settings over the API: saved, refused with a sentence for each fault, compared, taken back.

use std::time::Duration;

use console::access::Access;
use console::views::SaveSettings;
use console::{Author, Caller, Client};
use domain::filter::FieldTypes;
use domain::job::{JobId, JobScope};
use domain::settings::MOSYNC;
use http::{Method, StatusCode};
use ports::stores::LogEntry;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::desk::{Answer, Desk, Door, FOLDER_TOKEN, ORG, TOKEN};

const PATH: &str = "/api/v1/settings";

/// mosync writes down by itself which org it works on.
pub(crate) async fn pin(desk: &Desk, org: &str) {
    let pinned = desk.save_as(MOSYNC, FieldTypes::new(), |settings| {
        settings.org = Some(org.parse().unwrap());
    });
    pinned.await;
}

pub(crate) async fn save(door: &Door, base: u64, settings: Value) -> Answer {
    let body = json!({"base": base, "settings": settings});
    door.post(PATH, &body).await
}

/// Saves what must be accepted: the answer.
async fn saved(door: &Door, base: u64, settings: Value) -> Value {
    let answer = save(door, base, settings).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    answer.json()
}

fn condition(field: &str, operator: &str, value: &str) -> Value {
    json!({"field": field, "operator": operator, "values": [value]})
}

fn above(amount: &str) -> Value {
    json!({"conditions": [condition("Amount", "greater_than", amount)]})
}

fn words(changes: &Value) -> Vec<&str> {
    let changes = changes.as_array().unwrap().iter();
    changes
        .map(|change| change["words"].as_str().unwrap())
        .collect()
}

fn faults(answer: &Answer) -> Vec<String> {
    let json = answer.json();
    let faults = json["error"]["faults"].as_array().unwrap().iter();
    faults
        .map(|fault| fault["message"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_save_is_in_force_with_its_author_its_job_and_its_line_in_the_log() {
    let desk = Desk::open();
    let door = desk.door().await;
    let first = door.get(PATH).await.json();
    assert_eq!(
        (&first["revision"], &first["saved"]),
        (&json!(0), &Value::Null)
    );
    let document = json!({
        "admin_emails": "ada@example.com, bo@example.com",
        "filter": above("50000"),
    });
    let answer = saved(&door, 0, document).await;
    assert_eq!(
        (&answer["saved"], &answer["revision"]),
        (&json!(true), &json!(1))
    );
    assert_eq!(
        words(&answer["changes"]),
        [
            "mOS Admin Email Notification 1: added: ada@example.com",
            "mOS Admin Email Notification 2: added: bo@example.com",
            "Opportunity Filter, condition 1: added: Amount greater_than 50000",
        ]
    );
    let job = desk
        .stored(&JobId::of(answer["job"].as_str().unwrap()))
        .await;
    assert_eq!(
        job.scope,
        JobScope::Entering {
            before: 0,
            then: desk.now(),
            stamped_since: Some(desk.now()),
        }
    );
    let now = door.get(PATH).await.json();
    assert_eq!(now["author"], "the API token");
    assert_eq!(now["rule_revision"], 1);
    assert_eq!(
        now["settings"]["admin_emails"],
        json!(["ada@example.com", "bo@example.com"])
    );
    let stored = desk.stores.settings.current().await.unwrap();
    assert!(stored.field_types.contains_key("Amount") && stored.field_types.len() == 1);

    // What does not touch the rules reads nothing anew.
    let document = json!({"filter": above("50000"), "disabled": true});
    let answer = saved(&door, 1, document).await;
    assert_eq!(answer["job"], Value::Null);
    assert_eq!(door.get(PATH).await.json()["rule_revision"], 1);

    let log = desk.log().await;
    let told = log.iter().map(|line: &LogEntry| line.message.as_str());
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            "settings revision 2 saved by the API token: mOS Admin Email Notification removed; mOS Admin Email Notification removed; Disable mOS Sync: off \u{2192} on",
            "settings revision 1 saved by the API token: mOS Admin Email Notification added; mOS Admin Email Notification added; Opportunity Filter, condition 1 added (Amount)",
        ]
    );
}

#[tokio::test]
async fn a_save_without_a_difference_makes_no_revision() {
    let desk = Desk::open();
    let door = desk.door().await;
    saved(&door, 0, json!({"sync_closed": true})).await;
    let answer = saved(&door, 1, json!({"sync_closed": true, "filter": {}})).await;
    assert_eq!(
        (&answer["saved"], &answer["revision"]),
        (&json!(false), &json!(1))
    );
    assert_eq!(answer["changes"], json!([]));
    assert_eq!(desk.log().await.len(), 1);
}

#[tokio::test]
async fn whatever_is_wrong_is_refused_with_its_sentence_and_nothing_changes() {
    let desk = Desk::open();
    let door = desk.door().await;
    saved(&door, 0, json!({"admin_emails": ["ada@example.com"]})).await;
    let eleven = (0..11).map(|n| condition("Amount", "greater_than", &n.to_string()));
    let three = |logic: &str| {
        let row = condition("Amount", "greater_than", "1");
        json!({"conditions": [row, row, row], "logic": logic})
    };
    let one = |row: Value| json!({"filter": {"conditions": [row]}});
    let mapped = |mos_field: &str, salesforce_field: &str| {
        json!({"mapping": [{"object": "Opportunity", "mos_field": mos_field,
            "salesforce_field": salesforce_field, "active": true}]})
    };
    for (settings, sentences) in [
        (
            json!({"filter": {"conditions": eleven.collect::<Vec<_>>()}}),
            &["11 conditions, it may have at most 10"][..],
        ),
        (
            one(condition("NoSuchField", "equals", "1")),
            &[
                "condition 1: Opportunity has no field `NoSuchField` that the integration user can see; check the spelling of its API name, and the field-level security",
            ],
        ),
        (
            one(condition("amount", "equals", "1")),
            &["write `Amount`, capitals count"],
        ),
        (
            one(condition("Description", "equals", "1")),
            &["Salesforce cannot filter by `Description`"],
        ),
        (
            one(condition("Site__c", "equals", "1")),
            &["of a kind that no filter can use"],
        ),
        (
            one(condition("Amount", "contains", "1")),
            &["contains cannot be used on the currency field `Amount`; use one of equals"],
        ),
        (
            one(condition("Amount", "greater_than", "much")),
            &["cannot be read; write a plain number"],
        ),
        (
            one(condition("Amount", "resembles", "1")),
            &["unknown variant `resembles`"],
        ),
        (
            json!({"filter": three("1 AND 2 OR 3")}),
            &["mixes AND and OR"],
        ),
        (
            json!({"filter": three("1 AND 2")}),
            &["does not use condition 3"],
        ),
        (
            json!({"filter": three("1 AND 2 AND 3 AND 4")}),
            &["names condition 4"],
        ),
        (json!({"filter": {"logic": "1"}}), &["names condition 1"]),
        (
            json!({"admin_emails": "ada@example.com, bo"}),
            &["address 2 (`bo`) has no domain"],
        ),
        (
            json!({"admin_emails": ["x", "y@z", "Ada@example.com", "ada@example.com"]}),
            &[
                "address 1 (`x`)",
                "address 2 (`y@z`)",
                "address 4 (`ada@example.com`) is the same as address 3",
            ],
        ),
        (
            mapped("arr", "Name"),
            &["fills `arr` of Opportunity from `Name`, a text field, but mOS wants a number"],
        ),
        (
            mapped("arr", "ARR__c"),
            &["fills `arr` of Opportunity from `ARR__c`, which Opportunity does not have"],
        ),
        (
            mapped("colour", "Amount"),
            &["fills `colour` of Opportunity, but mOS has no such field there"],
        ),
        (json!({"sync_close": true}), &["`sync_close` is no setting"]),
        (
            json!({"disabled": "perhaps"}),
            &["`disabled` cannot be read"],
        ),
        (
            json!({"org": "00D000000000002"}),
            &["connected to the org 00D000000000001EAA (Acme)"],
        ),
        (json!({"org": "Acme"}), &["`org` cannot be read"]),
        (json!([]), &["a settings document is a JSON object"]),
    ] {
        let answer = save(&door, 1, settings.clone()).await;
        assert_eq!(
            answer.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{settings} {:?}",
            answer.body
        );
        let found = faults(&answer);
        assert_eq!(found.len(), sentences.len(), "{settings}: {found:#?}");
        for sentence in sentences {
            assert!(
                found.iter().any(|fault| fault.contains(sentence)),
                "{sentence}: {found:#?}"
            );
        }
        assert!(answer.sentence().contains("nothing was changed"));
    }
    // Written as text: JSON itself would drop the first of the two.
    let twice = r#"{"base": 1, "settings": {"disabled": true, "disabled": false}}"#;
    let answer = door.ask(Method::POST, PATH, Some(TOKEN), twice).await;
    assert_eq!(
        faults(&answer),
        ["`disabled` is written more than once; keep one of them"]
    );

    assert_eq!(desk.stores.settings.current().await.unwrap().revision, 1);
    assert_eq!(desk.log().await.len(), 1);
    assert!(desk.stores.jobs.list(9).await.unwrap().is_empty());
}

#[tokio::test]
async fn every_fault_of_a_document_is_told_at_once() {
    let desk = Desk::open();
    let door = desk.door().await;
    let document = json!({
        "disable": true,
        "admin_emails": ["ada"],
        "org": "00D000000000002",
        "filter": {"logic": "1 AND 2 OR 5", "conditions": [
            condition("NoSuchField", "equals", "1"),
            condition("Amount", "greater_than", "much"),
            condition("Amount", "resembles", "much"),
        ]},
    });
    let refused = save(&door, 0, document.clone()).await;
    let found = faults(&refused);
    assert!(found.len() >= 7, "{found:#?}");
    let asked = json!({"settings": document});
    let looked_at = door.post("/api/v1/settings/validate", &asked).await.json();
    let looked_at = looked_at["faults"].as_array().unwrap().len();
    assert_eq!(
        looked_at,
        found.len(),
        "the look before the save finds the same"
    );
}

#[tokio::test]
async fn the_second_of_two_administrators_sees_both_changes_and_chooses() {
    let desk = Desk::open();
    let door = desk.door().await;
    saved(&door, 0, json!({"sync_closed": true})).await;
    let theirs = json!({"sync_closed": true, "filter": above("1")});
    saved(&door, 1, theirs.clone()).await;

    // Another setting: both can be put together.
    let mine = json!({"sync_closed": true, "disabled": true});
    let refused = save(&door, 1, mine.clone()).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    let error = refused.json()["error"].clone();
    let conflict = &error["conflict"];
    assert_eq!(error["code"], "settings_conflict");
    assert_eq!(
        words(&conflict["theirs"]),
        ["Opportunity Filter, condition 1: added: Amount greater_than 1"]
    );
    assert_eq!(
        words(&conflict["yours"]),
        ["Disable mOS Sync: off \u{2192} on"]
    );
    assert_eq!(
        (&conflict["base"], &conflict["current"]["revision"]),
        (&json!(1), &json!(2))
    );
    for word in [
        "nothing was changed",
        "Amount greater_than 1",
        "Disable mOS Sync",
    ] {
        assert!(refused.sentence().contains(word), "{}", refused.sentence());
    }
    assert_eq!(desk.stores.settings.current().await.unwrap().revision, 2);
    let together = saved(&door, 2, conflict["merged"].clone()).await;
    assert_eq!(
        words(&together["changes"]),
        ["Disable mOS Sync: off \u{2192} on"]
    );

    // The same setting: one has to give way, or not, as the second decides.
    let mine = json!({"sync_closed": true, "filter": above("7")});
    let refused = save(&door, 1, mine.clone()).await.json();
    let conflict = &refused["error"]["conflict"];
    assert_eq!(
        (&conflict["merged"], &conflict["both"]),
        (&Value::Null, &json!(["filter"]))
    );
    let answer = saved(&door, 3, mine).await;
    assert_eq!(
        words(&answer["changes"]),
        [
            "Disable mOS Sync: on \u{2192} off",
            "Opportunity Filter, condition 1: Amount greater_than 1 \u{2192} Amount greater_than 7"
        ]
    );
}

#[tokio::test]
async fn what_mosync_writes_by_itself_is_in_nobodys_way() {
    let desk = Desk::open();
    let door = desk.door().await;
    pin(&desk, ORG).await;
    let answer = saved(&door, 0, json!({"disabled": true})).await;
    assert_eq!(answer["revision"], 2);
    let now = door.get(PATH).await.json();
    assert_eq!(now["settings"]["org"], ORG, "the org stays");
}

#[tokio::test]
async fn without_salesforce_a_filter_is_refused_and_sync_can_still_be_disabled() {
    let desk = Desk::open();
    let door = desk.door().await;
    saved(&door, 0, json!({"filter": above("1")})).await;
    desk.org.answers(false);
    let refused = save(&door, 1, json!({"filter": above("2")})).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    for word in ["nothing was changed", "save again when Salesforce answers"] {
        assert!(refused.sentence().contains(word), "{}", refused.sentence());
    }
    assert_eq!(desk.stores.settings.current().await.unwrap().revision, 1);
    // What is wrong anyway is told all the same.
    let refused = save(&door, 1, json!({"filter": above("2"), "x": 1})).await;
    assert_eq!(faults(&refused).len(), 2);
    saved(&door, 1, json!({"filter": above("1"), "disabled": true})).await;
    desk.org.answers(true);
    saved(&door, 2, json!({"filter": above("2")})).await;
}

#[tokio::test]
async fn the_past_is_listed_compared_and_taken_back() {
    let desk = Desk::open();
    let door = desk.door().await;
    saved(&door, 0, json!({"filter": above("1")})).await;
    desk.pass(60);
    saved(&door, 1, json!({"filter": above("2")})).await;
    saved(&door, 2, json!({"filter": above("2"), "disabled": true})).await;
    let history = door.get("/api/v1/settings/history?limit=2").await.json();
    let revisions = history["revisions"].as_array().unwrap();
    assert_eq!(
        words(&revisions[0]["changes"]),
        ["Disable mOS Sync: off \u{2192} on"]
    );
    assert_eq!(revisions[1]["saved"], desk.now().as_micros());
    assert_eq!(history["next"], 2);
    let rest = door
        .get("/api/v1/settings/history?limit=2&before=2")
        .await
        .json();
    assert_eq!(rest["revisions"].as_array().unwrap().len(), 1);
    assert_eq!(rest["next"], Value::Null);

    let newest = door.get("/api/v1/settings/diff").await.json();
    assert_eq!((&newest["from"], &newest["to"]), (&json!(2), &json!(3)));
    assert_eq!(
        words(&newest["changes"]),
        ["Disable mOS Sync: off \u{2192} on"]
    );
    let all = door.get("/api/v1/settings/diff?from=0&to=2").await.json();
    assert_eq!(
        words(&all["changes"]),
        ["Opportunity Filter, condition 1: added: Amount greater_than 2"]
    );
    assert_eq!(door.get("/api/v1/settings/diff?from=9").await.status, 404);
    let second = door.get("/api/v1/settings/revisions/2").await.json();
    assert_eq!(
        second["settings"]["filter"]["conditions"][0]["values"],
        json!(["2"])
    );

    // First what it would do, then done, as a new revision.
    let revert = "/api/v1/settings/revert";
    let effect = door
        .post(revert, &json!({"to": 1, "dry_run": true}))
        .await
        .json();
    assert_eq!(
        (&effect["saved"], &effect["revision"]),
        (&json!(false), &json!(3))
    );
    assert_eq!(words(&effect["changes"]).len(), 2);
    assert_eq!(door.post(revert, &json!({"to": 1})).await.status, 400);
    let done = door.post(revert, &json!({"to": 1, "base": 3})).await.json();
    assert_eq!(
        (&done["saved"], &done["revision"]),
        (&json!(true), &json!(4))
    );
    assert_eq!(done["changes"], effect["changes"]);
    let now = door.get(PATH).await.json();
    let first = door.get("/api/v1/settings/revisions/1").await.json();
    assert_eq!(now["settings"], first["settings"]);
    assert_eq!(
        door.post(revert, &json!({"to": 2, "base": 3})).await.status,
        409
    );

    // Which org is served was confirmed since, and stays.
    saved(&door, 4, json!({"filter": above("1"), "org": ORG})).await;
    let only_the_filter =
        ["Opportunity Filter, condition 1: Amount greater_than 1 \u{2192} Amount greater_than 2"];
    for asked in [
        json!({"to": 2, "dry_run": true}),
        json!({"to": 2, "base": 5}),
    ] {
        let done = door.post(revert, &asked).await.json();
        assert_eq!(words(&done["changes"]), only_the_filter, "{asked}");
    }
    let now = door.get(PATH).await.json();
    assert_eq!(
        (&now["revision"], &now["settings"]["org"]),
        (&json!(6), &json!(ORG))
    );

    // The org has moved on: what could be saved once is refused now.
    desk.org.hides("Amount");
    let refused = door.post(revert, &json!({"to": 1, "base": 6})).await;
    assert!(
        faults(&refused)[0].contains("no field `Amount`"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn what_is_exported_can_be_imported() {
    let desk = Desk::open();
    let door = desk.door().await;
    let document = json!({
        "admin_emails": ["ada@example.com"], "sync_closed": true, "org": ORG,
        "filter": {"conditions": [condition("Name", "starts_with", "A")], "logic": "1"},
    });
    saved(&door, 0, document).await;
    let file = door.get("/api/v1/settings/export").await.json();
    assert!(
        file.get("org").is_none(),
        "a file belongs to no org: {file}"
    );
    let same = saved(&door, 1, file.clone()).await;
    assert_eq!(same["saved"], false);
    saved(&door, 1, json!({})).await;
    let old = door.get("/api/v1/settings/export?revision=1").await.json();
    assert_eq!(old, file);
    saved(&door, 2, old).await;
    let now = door.get(PATH).await.json();
    assert_eq!(now["settings"]["admin_emails"], json!(["ada@example.com"]));
    assert_eq!(now["settings"]["org"], ORG);
}

#[tokio::test]
async fn only_the_connected_org_can_be_confirmed_and_is_then_read_whole() {
    let desk = Desk::open();
    let door = desk.door().await;
    pin(&desk, "00D000000000009").await;
    let confirm = "/api/v1/settings/confirm-org";
    let other = door.post(confirm, &json!({"org": "00D000000000002"})).await;
    assert!(faults(&other)[0].contains("only that one can be confirmed"));
    assert_eq!(
        door.post(confirm, &json!({"org": "Acme"})).await.status,
        400
    );
    desk.org.answers(false);
    assert_eq!(door.post(confirm, &json!({"org": ORG})).await.status, 503);
    desk.org.answers(true);
    let done = door.post(confirm, &json!({"org": ORG})).await.json();
    assert_eq!(
        words(&done["changes"]),
        [format!("Connected org: 00D000000000009EAA \u{2192} {ORG}")]
    );
    let job = desk.stored(&JobId::of(done["job"].as_str().unwrap())).await;
    assert_eq!(job.scope, JobScope::Everything);
}

#[tokio::test]
async fn a_command_is_signed_by_its_user_and_the_api_by_its_token() {
    let desk = Desk::open();
    let door = desk.door().await;
    let access = Access {
        address: door.address,
        token: FOLDER_TOKEN.to_owned(),
    };
    let user = || Some("ada".to_owned());
    for (client, disabled) in [
        (Client::of_process(access), true),
        (Client::inside(desk.ops.clone()), false),
    ] {
        let client = client.on_behalf_of(user());
        let base = client.settings().await.unwrap().revision;
        let document = json!({"disabled": disabled});
        let document = serde_json::value::to_raw_value(&document).unwrap();
        client.save_settings(base, &document).await.unwrap();
        let author = client.settings().await.unwrap().author;
        assert_eq!(author, "ada (command line)");
    }
    // Whoever has the API's token cannot pass for a user of this machine.
    let body = json!({"base": 2, "settings": {"disabled": true}}).to_string();
    let header = [("mosync-user", "root")];
    let answer = door
        .ask_with(Method::POST, PATH, Some(TOKEN), &body, &header)
        .await;
    assert_eq!(answer.status, 200);
    let author = desk.stores.settings.current().await.unwrap().author;
    assert_eq!(author, "the API token");
}

/// A formula changes without an event, in the filter and in the mapping.
#[tokio::test]
async fn whoever_names_a_formula_is_warned_and_nobody_twice() {
    let desk = Desk::open();
    let door = desk.door().await;
    desk.org.calculates("Amount");
    let row = json!({"object": "Opportunity", "mos_field": "arr", "salesforce_field": "Amount", "active": true});
    let document = json!({"filter": above("1"), "mapping": [row]});
    let body = json!({"base": 0, "settings": document});
    let before = door.post("/api/v1/settings/validate", &body).await.json();
    let answer = saved(&door, 0, document.clone()).await;
    assert_eq!(
        answer["warnings"], before["warnings"],
        "told before the save"
    );
    let warnings = answer["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    for (warning, words) in warnings.iter().zip([
        "the filter names Amount, a formula",
        "the field mapping names Amount of Opportunity, a formula",
    ]) {
        assert!(warning.as_str().unwrap().contains(words), "{warning}");
    }
    let mut more = document;
    more["sync_closed"] = json!(true);
    let answer = saved(&door, 1, more).await;
    assert_eq!(answer["warnings"], json!([]), "nothing is newly named");
    let plain =
        json!({"filter": {"conditions": [condition("StageName", "equals", "Prospecting")]}});
    assert_eq!(saved(&door, 2, plain).await["warnings"], json!([]));
}

/// Salesforce takes the question and says nothing, for minutes.
#[tokio::test(start_paused = true)]
async fn whoever_switches_the_sync_off_does_not_wait_for_an_org_that_says_nothing() {
    let desk = Desk::open();
    let held = desk.org.keeps_waiting();
    let began = Instant::now();
    // The form's lists, once for all who open it.
    for object in ["Opportunity", "Account", "Opportunity"] {
        let refused = desk.ops.fields(object).await.unwrap_err();
        let told = refused.to_string();
        assert!(told.contains("no answer within 10 s"), "{told}");
    }
    assert!(began.elapsed() < Duration::from_secs(11));
    let off = json!({"base": 0, "settings": {"disabled": true}});
    let off: SaveSettings = serde_json::from_value(off).unwrap();
    let looked_at = desk.ops.preview_settings(&off).await.unwrap();
    assert_eq!(looked_at.changes.len(), 1, "{looked_at:?}");
    let author = Author::of(&Caller::CommandLine, None);
    let saved = desk.ops.save_settings(&off, &author).await.unwrap();
    assert!(saved.saved, "{saved:?}");
    assert!(began.elapsed() < Duration::from_secs(22));
    let expected = desk.ops.expected_sync_all().await.unwrap();
    let why = expected.why_not.join("; ");
    assert!(why.contains("no answer within 10 s"), "{why}");
    let items = desk.ops.checklist().await.unwrap().items;
    assert!(items[0].evidence.contains("no answer"), "{items:?}");
    assert!(began.elapsed() < Duration::from_secs(60));
    drop(held);
    // It is asked again before long.
    desk.pass(31);
    assert!(desk.ops.fields("Opportunity").await.is_ok());
}
