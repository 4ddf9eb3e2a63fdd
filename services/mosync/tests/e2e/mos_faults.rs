//! mOS in trouble: out of order, throttling, silent, losing its answers, refusing records.

use fake_mos::{Fault, RecordType, RejectCode};
use serde_json::{Value, json};

use crate::chance::Chance;
use crate::people;
use crate::steps::updating;
use crate::world::{Options, World};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_to_an_mos_in_trouble_arrives_when_it_is_well() {
    let mut world = World::at_rest(Options {
        mos_request_timeout_s: 2,
        ..Options::default()
    })
    .await;
    let chance = Chance::of_seed(4);
    for refuse in [false, true] {
        break_mos(&world, Fault::Down { refuse });
        people::work(&world, &chance, 6).await;
        world.touch_all_deals();
        let status = the_loader_pauses(&world).await;
        assert_eq!(status["verdict"], "out_of_reach");
        assert_eq!(world.mosync(&["status"]).await.code, Some(3));
        assert_eq!(status["parked"], json!({}), "an outage parks nothing");
        break_mos(&world, Fault::Clear);
        world.rest_and_audit("mOS was out of order").await;
    }

    // Requests that are swallowed, applied and not answered, answered with nonsense: one after the
    // other, so that each meets records, and no probe of a loader that waits.
    let before = world.mos.mos.ledger_since(0).len();
    for fault in [
        Fault::Hang { count: Some(1) },
        Fault::ApplyThenLoseAnswer { count: Some(1) },
        Fault::Garbage { count: Some(1) },
        Fault::Truncated { count: Some(1) },
        Fault::Shuffled { count: Some(1) },
        Fault::Short { count: Some(1) },
    ] {
        break_mos(&world, fault);
        world.touch_all_deals();
        let is_met = |_status: &Value| world.mos.mos.faults_left() == 0;
        world.until("the fault is met", is_met).await;
        world.rest().await;
    }
    people::work(&world, &chance, 6).await;
    world.rest_and_audit("mOS lost requests and answers").await;
    let ledger = world.mos.mos.ledger_since(0);
    let lost = ledger.iter().skip(before).filter(|entry| entry.lost);
    assert!(lost.count() >= 3, "the faults were met");

    // The whole destination pauses for as long as mOS asks.
    break_mos(
        &world,
        Fault::Status {
            status: 429,
            retry_after_s: Some(3),
            count: Some(1),
        },
    );
    people::work(&world, &chance, 10).await;
    world.touch_all_deals();
    world.rest_and_audit("mOS asked for a pause").await;
    let ledger = world.mos.mos.ledger_since(0);
    let asked = ledger.iter().find(|entry| entry.status == 429).unwrap();
    let (from, until) = (asked.at_micros + 500_000, asked.at_micros + 2_900_000);
    let within = ledger
        .iter()
        .filter(|entry| (from..until).contains(&entry.at_micros))
        .count();
    assert_eq!(within, 0, "nothing is sent while mOS wants a pause");

    // A key that mOS refuses is no record's fault.
    world.kill9("loader");
    world.start_with("loader", &[("MOSYNC_MOS_API_KEY", "no-such-key")]);
    world.touch_all_deals();
    let status = the_loader_pauses(&world).await;
    assert_eq!(status["parked"], json!({}));
    world.kill9("loader");
    world.start("loader");
    world.rest_and_audit("mOS refused the key").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_mos_refuses_is_parked_alone_with_its_reason_and_comes_when_it_may() {
    let world = World::at_rest(Options::default()).await;
    let deals = world.mos.mos.records(RecordType::Opportunity);
    let mut deals = deals
        .iter()
        .map(|deal| deal.external_id.clone())
        .filter(|id| {
            let deal = world.salesforce.org.record("Opportunity", id).unwrap();
            !deal.flag("IsClosed")
        });
    let codes = [
        (RejectCode::Busy, "retry_later"),
        (RejectCode::InvalidField, "invalid_field"),
        (RejectCode::ValueTooLong, "value_too_long"),
        (RejectCode::UnknownType, "unknown_type"),
        (RejectCode::DeletedInMos, "deleted_in_mos"),
        (RejectCode::ParentMissing, "parent_missing"),
    ];
    let mut expected = Vec::new();
    for (code, kind) in codes {
        let id = deals.next().unwrap();
        break_mos(
            &world,
            Fault::Reject {
                code,
                field: Some("name".to_owned()),
                probability: None,
                ids: vec![id.clone()],
                count: None,
            },
        );
        expected.push((id, kind));
    }
    let poison = deals.next().unwrap();
    break_mos(
        &world,
        Fault::FailOver {
            ids: vec![poison.clone()],
        },
    );
    expected.push((poison, "retry_later"));
    drop(deals);
    world.touch_all_deals();
    let status = world.rest().await;
    let ids = expected
        .iter()
        .map(|(id, _)| id.clone())
        .collect::<Vec<_>>();
    world.audit("records were refused", &ids);
    assert_eq!(
        status["parked"],
        json!({
            "retry_later": 2, "parent_missing": 1, "invalid_field": 1, "value_too_long": 1,
            "deleted_in_mos": 1, "unknown_type": 1
        })
    );

    let listed = world.mosync(&["parked", "list", "--all", "--json"]).await;
    assert_eq!(listed.code, Some(0), "{}", listed.stderr);
    let parked = listed
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .collect::<Vec<_>>();
    assert_eq!(parked.len(), expected.len());
    let people_see = world.mosync(&["parked", "list"]).await.stdout;
    for (id, kind) in &expected {
        let entry = parked.iter().find(|entry| entry["id"] == **id).unwrap();
        assert_eq!(entry["kind"], *kind);
        let by_itself = ["retry_later", "parent_missing"].contains(kind);
        assert_eq!(entry["retry_at"].is_i64(), by_itself, "{entry}");
        assert!(people_see.contains(id.as_str()), "{people_see}");
    }
    assert!(people_see.contains("Shorten the field"), "{people_see}");

    // The parent arrives, and its child follows by itself; the others follow their next change.
    break_mos(&world, Fault::Clear);
    let (orphan, _) = expected.last().map(|_| expected[5].clone()).unwrap();
    let owner = world.salesforce.org.record("Opportunity", &orphan).unwrap();
    let owner = owner.text("OwnerId").unwrap();
    let org = &world.salesforce.org;
    let touch = updating("User", owner, &json!({"Title": "Parent"}));
    org.transact(org.admin_id(), "test", vec![touch]).unwrap();
    let status = world.rest().await;
    assert_eq!(status["parked"].get("parent_missing"), None, "{status:#}");
    let others = ids
        .into_iter()
        .filter(|id| *id != orphan)
        .collect::<Vec<_>>();
    world.audit("the parent has arrived", &others);
    world.touch_all_deals();
    world.rest_and_audit("mOS refuses nothing any more").await;
}

fn break_mos(world: &World, fault: Fault) {
    world.mos.mos.fault(fault).unwrap();
}

async fn the_loader_pauses(world: &World) -> Value {
    world
        .until("the loader pauses", |status| paused(status).is_some())
        .await
}

/// Why the loader pauses, if it does.
fn paused(status: &Value) -> Option<&str> {
    let state = &status["workers"]["loader"]["state"];
    state["why"].as_str().filter(|_| state["is"] == "paused")
}
