//! Rules that change while units are on their way: what was read under the rules before is not sent
//! as it was.

use std::time::Duration;

use domain::ObjectKind;
use domain::tally::Count;
use domain::unit::{Lane, QueueName, Stage};
use fake_mos::RecordType;
use serde_json::json;

use crate::moves::until;
use crate::office::Office;
use crate::world::Service;

/// Younger units are not sent back for their age.
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn what_the_rules_before_let_through_is_not_sent_under_others() {
    let (mut office, owner) = Office::with_owner(|_, _| {}).await;
    office.world.kill(Service::Loader).await;
    let read = tokio::time::Instant::now();
    let small = office.deal(&owner, &json!({ "Amount": 10 }));
    let large = office.deal(&owner, &json!({ "Amount": 1_000 }));
    let queue = office.world.embedded.queue();
    let load = QueueName::new(Stage::Load, Lane::Live);
    until("the deals wait for mOS", async || {
        queue.depth(load).await.unwrap() > 0
    })
    .await;
    let condition = json!({ "field": "Amount", "operator": "greater_than", "values": ["500"] });
    office
        .save(&json!({ "filter": { "conditions": [condition] } }))
        .await;
    office.world.start(Service::Loader);
    until("the large deal", async || {
        office.has(RecordType::Opportunity, &large)
    })
    .await;
    assert!(read.elapsed() < MINUTE, "nothing was sent back for its age");
    office.rest().await;
    assert!(!office.has(RecordType::Opportunity, &small));
    let filtered = office.counted(ObjectKind::Opportunity, Count::Filtered);
    assert_eq!(filtered.await, 1, "the small one, read again");
}
