//! Disabled and enabled again: nothing is sent meanwhile, everything afterwards.

use serde_json::Value;

use crate::world::{Options, World};

fn is_paused(status: &Value, worker: &str) -> bool {
    status["workers"][worker]["state"]["is"] == "paused"
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_while_it_is_disabled_arrives_when_it_is_enabled() {
    let mut world = World::at_rest(Options::default()).await;
    world.import("{\"disabled\": true}").await;
    let status = world
        .until("listener and loader pause", |status| {
            is_paused(status, "listener") && is_paused(status, "loader")
        })
        .await;
    assert_eq!(status["verdict"], "degraded");
    let position = status["stream"]["position"].clone();
    let sent = world.mos.mos.ledger_since(0).len();
    world.touch_all_deals();
    world
        .until_lasting("nothing is taken", |status| {
            status["stream"]["position"] == position
        })
        .await;
    assert_eq!(world.mos.mos.ledger_since(0).len(), sent);
    world.import("{}").await;
    let status = world.rest_and_audit("enabled again").await;
    assert_ne!(status["stream"]["position"], position);
    let jobs = status["jobs"].as_array().unwrap();
    let loads = jobs.iter().filter(|job| job["kind"] == "sync_all");
    assert_eq!(loads.count(), 1, "caught up from the stored position");
}
