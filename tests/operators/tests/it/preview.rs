//! What a save would do, asked over the API before it: in numbers, in words, as a list.

use std::collections::BTreeSet;

use console::Client;
use console::views::{EffectView, PreviewView, PreviewedSearch};
use domain::job::{Extracted, Job, JobId, JobKind, JobScope, SalesforceStatus};
use domain::permission::{Grant, PermissionSnapshot};
use domain::tally::Count;
use domain::{ObjectKind, SalesforceId, Timestamp};
use futures::TryStreamExt as _;
use ports::source::Source as _;
use serde_json::{Value, json};

use crate::desk::{Desk, Door, ORG};
use crate::salesforce::{insert, insert_all, user};
use crate::settings::save;

const PATH: &str = "/api/v1/settings/preview";

/// Somebody with permission has deals of these amounts, and somebody without has some too.
async fn furnished(amounts: &[u32]) -> (Desk, Vec<String>) {
    let desk = Desk::open();
    let org = &desk.salesforce;
    let (ada, bea) = (user(org, "Ada"), user(org, "Bea"));
    let deal = |owner: &str, amount: &u32| {
        let fields = json!({"Name": format!("=Deal of {amount}"), "StageName": "Prospecting",
            "CloseDate": "2027-01-01", "OwnerId": owner, "Amount": amount});
        insert(org, "Opportunity", &fields)
    };
    let deals = amounts.iter().map(|amount| deal(&ada, amount)).collect();
    for amount in amounts {
        deal(&bea, amount);
    }
    let grant = Grant {
        permission_set: "mOS_User".to_owned(),
        group: None,
        expires: None,
    };
    let snapshot = PermissionSnapshot {
        number: 1,
        taken: desk.now(),
        holders: [(SalesforceId::parse(&ada).unwrap(), [grant].into())].into(),
        ..PermissionSnapshot::default()
    };
    let permissions = &desk.stores.permissions;
    permissions.store(&snapshot, None).await.unwrap();
    (desk, deals)
}

fn above(amount: &str) -> Value {
    json!({"filter": {"conditions": [
        {"field": "Amount", "operator": "greater_than", "values": [amount]},
    ]}})
}

async fn preview(door: &Door, settings: &Value) -> PreviewView {
    let answer = door.post(PATH, &json!({ "settings": settings })).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    serde_json::from_value(answer.json()).unwrap()
}

#[tokio::test]
async fn what_leaves_and_what_enters_is_told_and_nothing_is_saved() {
    let (desk, deals) = furnished(&[5, 10, 15, 20]).await;
    let door = desk.door().await;
    let view = preview(&door, &above("10")).await;
    assert_eq!((view.base, view.snapshot), (0, Some(1)));
    assert_eq!(view.enters.count, Some(0));
    let leaves: Vec<_> = view
        .leaves
        .sample
        .iter()
        .map(|one| one.id.as_str())
        .collect();
    assert_eq!(leaves, deals[..2]);
    assert_eq!(view.leaves.sample[0].name.as_deref(), Some("=Deal of 5"));
    assert_eq!(view.leaves.sample[0].owner_name.as_deref(), Some("Ada"));
    assert!(view.words.iter().any(|one| one.contains("stays in mOS")));
    assert_eq!(desk.ops.settings().await.unwrap().revision, 0);

    save(&door, 0, above("10")).await;
    let view = preview(&door, &json!({})).await;
    assert_eq!((view.enters.count, view.leaves.count), (Some(2), Some(0)));
    assert_eq!(view.sent_again.count, Some(0));
    let cost = view.job.unwrap();
    // One count, one page, and what belongs to one unit.
    assert_eq!(cost.records, Some(2));
    assert_eq!((cost.api_calls.counting, cost.api_calls.reading), (1, 1));
    assert_eq!((cost.api_calls.around, cost.api_calls.total), (5, 7));
    assert_eq!(cost.rate, None);
    let same = preview(&door, &above("10")).await;
    assert!(same.changes.is_empty() && same.job.is_none(), "{same:?}");
}

#[tokio::test]
async fn what_the_requests_of_a_job_leave_out_is_said() {
    let (desk, _) = furnished(&[5]).await;
    let door = desk.door().await;
    let is_said = |view: &PreviewView| {
        let mut words = view.words.iter();
        words.any(|one| one.contains("each service, ask Salesforce once which fields there are"))
    };
    assert!(is_said(&preview(&door, &above("10")).await));
    // A save without a job makes nobody ask.
    let document = json!({"admin_emails": ["ada@example.com"]});
    assert!(!is_said(&preview(&door, &document).await));
}

/// Keeps a job that has brought so many opportunities in so many seconds.
async fn brought(desk: &Desk, records: u64, seconds: i64) -> Job {
    let id = JobId::new(JobKind::Backfill, domain::job::uuid_of("brought"));
    let mut job = Job::queued(id, JobKind::Backfill, JobScope::Everything, desk.now());
    job.started = Some(desk.now());
    let extracted = Extracted {
        total: Some(records),
        read: records,
        started: Some(desk.now()),
        ..Extracted::default()
    };
    let objects = &mut job.progress.objects;
    objects.insert(ObjectKind::Opportunity, extracted);
    for count in [Count::Read, Count::Created] {
        job.tally.add_many(ObjectKind::Opportunity, count, records);
    }
    desk.pass(seconds);
    job.salesforce = SalesforceStatus::Sealed;
    job.sealed = Some(desk.now());
    job.last_counted = Some(desk.now());
    desk.stores.jobs.create(&job).await.unwrap();
    job
}

#[tokio::test]
async fn the_time_needed_follows_from_how_fast_the_last_job_was() {
    let amounts: Vec<u32> = (1..=300).collect();
    let (desk, _) = furnished(&amounts).await;
    let door = desk.door().await;
    let job = brought(&desk, 1_000, 10).await;
    save(&door, 0, above("300")).await;
    let cost = preview(&door, &json!({})).await.job.unwrap();
    assert_eq!(cost.rate.unwrap().jobs, [job.id.to_string()]);
    assert_eq!((cost.records, cost.seconds), (Some(300), Some(3)));
    // A part of a second is one.
    let cost = preview(&door, &above("250")).await.job.unwrap();
    assert_eq!((cost.records, cost.seconds), (Some(50), Some(1)));
}

#[tokio::test]
async fn what_salesforce_cannot_count_in_time_has_no_number() {
    let (desk, _) = furnished(&[5, 10]).await;
    let door = desk.door().await;
    desk.org.counts_no_more();
    let view = preview(&door, &above("7")).await;
    assert_eq!((view.leaves.count, view.leaves.exact), (None, false));
    assert_eq!(
        view.leaves.why,
        ["Salesforce cannot count them in time"],
        "{view:?}"
    );
    let cost = view.job.unwrap();
    assert_eq!((cost.records, cost.seconds), (None, None));
    assert!(cost.api_calls.at_least, "{cost:?}");
}

#[tokio::test]
async fn another_mapping_sends_all_in_scope_again() {
    let (desk, deals) = furnished(&[5, 10, 15]).await;
    let door = desk.door().await;
    let mut document = above("7");
    document["mapping"] = json!([{"object": "Opportunity", "mos_field": "next_step",
        "salesforce_field": "Name", "active": true}]);
    let view = preview(&door, &document).await;
    assert_eq!(view.leaves.count, Some(1));
    let again: Vec<_> = view
        .sent_again
        .sample
        .iter()
        .map(|one| one.id.as_str())
        .collect();
    assert_eq!(again, deals[1..]);
    assert!(
        view.words
            .iter()
            .any(|one| one.contains("the mapping differs"))
    );
}

/// SOQL orders texts by the locale of whoever asks, so that every deal is read and judged.
#[tokio::test]
async fn what_soql_cannot_say_is_judged_beyond_a_full_page() {
    let (desk, deals) = furnished(&[1]).await;
    let owner = desk.salesforce.record("Opportunity", &deals[0]).unwrap();
    let owner = owner.text("OwnerId").unwrap();
    let more = (1..=domain::job::REST_PAGE).map(|number| {
        let is_last = number == domain::job::REST_PAGE;
        let name = if is_last { "Zebra" } else { "Ape" };
        json!({"Name": name, "StageName": "Prospecting", "CloseDate": "2027-01-01",
            "OwnerId": owner})
    });
    let more = insert_all(&desk.salesforce, "Opportunity", more);
    let last = more.last().unwrap().as_str();
    let door = desk.door().await;
    let document = json!({"filter": {"conditions": [
        {"field": "Name", "operator": "less_than", "values": ["M"]},
    ]}});
    let view = preview(&door, &document).await;
    let leaves = &view.leaves;
    assert_eq!(
        (leaves.count, leaves.exact, leaves.judged),
        (Some(1), true, Some(2_001)),
        "{leaves:?}"
    );
    assert_eq!(leaves.sample[0].id.as_str(), last);
    let path = format!("{PATH}/{}/opportunities?effect=leaves", view.id);
    let page = door.get(&path).await.json();
    let listed = page["opportunities"].as_array().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["id"], last);
}

/// The ids of an effect's sample.
fn sampled(effect: &EffectView) -> Vec<&str> {
    let sample = effect.sample.iter();
    sample.map(|one| one.id.as_str()).collect()
}

#[tokio::test]
async fn where_a_filtered_field_is_hidden_all_in_scope_enters_and_nobody_knows_what_leaves() {
    let (desk, deals) = furnished(&[5, 10, 15, 20]).await;
    let door = desk.door().await;
    assert_eq!(save(&door, 0, above("10")).await.status, 200);
    desk.org.hides("Amount");
    // SOQL orders texts by the locale of whoever asks, so that each is judged here.
    let document = json!({"filter": {"conditions": [
        {"field": "Name", "operator": "less_than", "values": ["=Deal of 2"]},
    ]}});
    let view = preview(&door, &document).await;
    assert_eq!(sampled(&view.enters), deals[1..3], "{view:?}");
    assert_eq!(
        (view.enters.count, view.enters.judged, view.enters.exact),
        (Some(2), Some(4), true)
    );
    assert_eq!((view.leaves.count, view.leaves.exact), (None, false));
    assert_eq!(view.sent_again.count, Some(0));
    assert_eq!(view.job.unwrap().records, Some(4), "what SOQL can tell");
    for said in [&view.words, &view.leaves.why] {
        let is_told = said.iter().any(|one| one.contains("cannot see any more"));
        assert!(is_told, "{said:?}");
    }
    let list = format!("{PATH}/{}", view.id);
    let leaves = format!("{list}/opportunities?effect=leaves");
    let leaves = door.get(&leaves).await;
    assert_eq!(leaves.status, 409, "{:?}", leaves.body);
    let all = door.get(&format!("{list}/export?format=jsonl")).await;
    let all = String::from_utf8(all.body.to_vec()).unwrap();
    assert_eq!(all.lines().count(), 2, "{all}");
}

#[tokio::test]
async fn of_another_org_all_in_scope_enters_and_nothing_leaves() {
    let (desk, deals) = furnished(&[5, 10, 15, 20]).await;
    let door = desk.door().await;
    desk.save(|settings| settings.org = Some("00D000000000009".parse().unwrap()))
        .await;
    let mut document = above("10");
    document["org"] = json!(ORG);
    let view = preview(&door, &document).await;
    assert_eq!(sampled(&view.enters), deals[2..], "{view:?}");
    let counts = [&view.enters, &view.leaves, &view.sent_again].map(|effect| effect.count);
    assert_eq!(counts, [Some(2), Some(0), Some(0)]);
    let is_told = |one: &String| one.contains("the settings were for another org");
    assert!(view.words.iter().any(is_told), "{view:?}");
    assert_eq!(view.job.unwrap().records, Some(2));
}

#[tokio::test]
async fn the_whole_list_is_read_in_pages_and_as_a_file() {
    let (desk, deals) = furnished(&[1, 2, 3, 4, 5]).await;
    let door = desk.door().await;
    let id = preview(&door, &above("4")).await.id;
    let mut seen = Vec::new();
    let mut next = String::new();
    loop {
        let path = format!("{PATH}/{id}/opportunities?effect=leaves&limit=2{next}");
        let page = door.get(&path).await.json();
        for one in page["opportunities"].as_array().unwrap() {
            seen.push(one["id"].as_str().unwrap().to_owned());
        }
        let Some(after) = page["next"].as_str() else {
            break;
        };
        next = format!("&after={after}");
    }
    assert_eq!(seen, deals[..4]);
    let csv = door.get(&format!("{PATH}/{id}/export?effect=leaves")).await;
    let csv = String::from_utf8(csv.body.to_vec()).unwrap();
    let lines: Vec<_> = csv.split("\r\n").collect();
    assert_eq!(lines.len(), 6, "{csv}");
    assert_eq!(lines[0], "effect,id,name,owner,owner_name");
    assert!(lines[1].starts_with(&format!("leaves,{},'=Deal of 1,005", deals[0])));
    let jsonl = door.get(&format!("{PATH}/{id}/export?format=jsonl")).await;
    let jsonl = String::from_utf8(jsonl.body.to_vec()).unwrap();
    assert_eq!(jsonl.lines().count(), 4);
    // The list is of the moment at which it was asked, by the rules of that time.
    save(&door, 0, above("1000")).await;
    let later = door.get(&format!("{PATH}/{id}/export?format=jsonl")).await;
    assert_eq!(later.body.to_vec(), jsonl.into_bytes());
    assert_eq!(door.get(&format!("{PATH}/nobody/export")).await.status, 404);
}

/// A command that opens the stores itself, as all do with `RabbitMQ` and Redis.
#[tokio::test]
async fn what_a_command_asks_of_salesforce_is_counted_to_the_end_of_its_answer() {
    let (desk, _) = furnished(&[1, 2, 3]).await;
    let client = Client::inside(desk.ops.clone());
    let document = serde_json::value::to_raw_value(&above("2")).unwrap();
    let view = client.preview_settings(0, &document).await.unwrap();
    let asked = desk.org.api_calls();
    let all = PreviewedSearch::default();
    let list = client.export_previewed(&view.id, &all).await.unwrap();
    let list: Vec<_> = list.try_collect().await.unwrap();
    assert!(!list.is_empty() && desk.org.api_calls() > asked);
    let counted = desk.stores.calls.calls(Timestamp::default()).await.unwrap();
    assert_eq!(counted.values().sum::<u64>(), desk.org.api_calls());
}

#[tokio::test]
async fn a_bad_document_is_refused_as_a_save_is() {
    let (desk, _) = furnished(&[]).await;
    let door = desk.door().await;
    for document in [
        json!({"disabled": 1, "admin_emails": "nobody"}),
        json!({"filter": {"conditions": [
            {"field": "Amount", "operator": "contains", "values": ["1"]},
            {"field": "Amuont", "operator": "equals", "values": ["1"]},
        ], "logic": "1 AND 2 OR 3"}}),
    ] {
        let saved = save(&door, 0, document.clone()).await;
        let body = json!({"base": 0, "settings": document});
        let foreseen = door.post(PATH, &body).await;
        assert_eq!(foreseen.status, 422);
        assert_eq!(foreseen.json(), saved.json());
    }
    // And so is one that was made from another revision than the one in force.
    save(&door, 0, json!({"sync_closed": true})).await;
    let body = json!({"base": 0, "settings": {"disabled": true}});
    let foreseen = door.post(PATH, &body).await;
    assert_eq!(foreseen.status, 409);
    let saved = save(&door, 0, json!({"disabled": true})).await;
    assert_eq!(foreseen.json(), saved.json());
}

#[tokio::test]
async fn switches_are_told_in_words_without_salesforce() {
    let desk = Desk::open();
    let door = desk.door().await;
    desk.org.answers(false);
    let document = json!({"disabled": true, "frequency": "every_15_min"});
    let view = preview(&door, &document).await;
    assert!(view.job.is_none() && view.snapshot.is_none());
    for words in ["within two seconds nothing is sent", "every 15 minutes"] {
        assert!(view.words.iter().any(|one| one.contains(words)), "{view:?}");
    }
    let body = json!({ "settings": {"sync_closed": true} });
    desk.org.answers(true);
    let answer = door.post(PATH, &body).await;
    assert_eq!(answer.status, 409, "nobody knows who holds permission");
    assert!(answer.sentence().contains("permissions"), "{answer:?}");
    let (desk, _) = furnished(&[1]).await;
    let door = desk.door().await;
    desk.org.answers(false);
    assert_eq!(door.post(PATH, &body).await.status, 503);
}

#[tokio::test]
async fn the_newest_previews_are_kept() {
    let (desk, _) = furnished(&[1]).await;
    let door = desk.door().await;
    let mut ids = Vec::new();
    for amount in 1..=21 {
        ids.push(preview(&door, &above(&amount.to_string())).await.id);
    }
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 21);
    let status = async |id: &str| {
        let path = format!("{PATH}/{id}/opportunities?effect=enters");
        door.get(&path).await.status.as_u16()
    };
    assert_eq!(status(&ids[0]).await, 404);
    assert_eq!(status(&ids[1]).await, 200);
    assert_eq!(status(&ids[20]).await, 200);
}
