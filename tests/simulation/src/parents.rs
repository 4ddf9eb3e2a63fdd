//! A record whose parent mOS lacks: it is read again at once, and its parent comes along.

use fake_mos::{Fault, LedgerRecord, Outcome, RecordType, RejectCode};
use fake_salesforce::dml::Dml;
use ports::Clock;
use serde_json::json;

use crate::chance::Rates;
use crate::mutants::Mutant;
use crate::rest;
use crate::steps::People;
use crate::world::World;

async fn rest(world: &World) {
    rest::wait(world, world.clock.now()).await.unwrap();
}

/// The records of every request since that one, in the order of the answers.
fn sent(world: &World, since: usize) -> Vec<LedgerRecord> {
    let entries = world.mos.ledger_since(since as u64);
    let records = entries.iter().flat_map(|entry| entry.records.clone());
    records.collect()
}

#[tokio::test(start_paused = true)]
async fn a_record_whose_parent_mos_lacks_is_read_again_with_it() {
    let mut world = World::new(1, Rates::NONE, Mutant::None);
    People {
        org: &world.org,
        chance: &world.chance,
        clock: &world.clock,
    }
    .set_up();
    world.start_all();
    rest(&world).await;
    let deal = world.mos.records(RecordType::Opportunity).remove(0);
    world
        .mos
        .fault(Fault::Reject {
            code: RejectCode::ParentMissing,
            field: Some("owner_id".to_owned()),
            probability: None,
            ids: vec![deal.external_id.clone()],
            count: Some(1),
        })
        .unwrap();
    let update = Dml::Update {
        entity: "Opportunity".to_owned(),
        id: deal.external_id.clone(),
        fields: json!({ "Name": "renamed" }).as_object().cloned().unwrap(),
    };
    let (user, before) = (world.org.admin_id(), world.mos.ledger_len());
    world.org.transact(user, "parents", vec![update]).unwrap();
    rest(&world).await;
    // What is parked is taken up after ten minutes at the earliest: this was read again at once.
    assert_eq!(rest::parked(&world).await, []);
    let sent = sent(&world, before);
    let place = |kind: &str, id: &str, outcome: Outcome| {
        sent.iter().position(|record| {
            (record.kind.as_str(), record.external_id.as_str()) == (kind, id)
                && record.outcome == Some(outcome)
        })
    };
    let owner = deal.fields["owner_id"].as_str().unwrap();
    let refused = place("opportunity", &deal.external_id, Outcome::Rejected);
    let owner = place("user", owner, Outcome::Unchanged);
    let written = place("opportunity", &deal.external_id, Outcome::Updated);
    assert!(
        refused.is_some() && refused < owner && owner < written,
        "{sent:?}"
    );
}
