//! What moves while units are on their way: what was read before is not sent as it was.

use std::time::Duration;

use domain::ObjectKind;
use domain::tally::Count;
use domain::unit::{Lane, QueueName, Stage};
use fake_mos::RecordType;
use serde_json::json;
use tokio::time::Instant;

use crate::moves::until;
use crate::office::Office;
use crate::source::Slow;
use crate::world::Service;

/// Younger units are not sent back for their age.
const MINUTE: Duration = Duration::from_secs(60);

/// An office whose loader is down, and a user, who holds permission or not.
async fn without_a_loader(is_permitted: bool) -> (Office, String) {
    let mut owner = String::new();
    let mut office = Office::open(|office| {
        owner = office.user("Ada");
        if is_permitted {
            office.grant(&owner);
        }
    })
    .await;
    office.world.kill(Service::Loader).await;
    (office, owner)
}

/// A small deal and a large one.
fn deals(office: &Office, owner: &str) -> [String; 2] {
    [10, 1_000].map(|amount| office.deal(owner, &json!({ "Amount": amount })))
}

/// The deals, read since then, wait for mOS in that lane, when a filter is saved that lets in the
/// large one alone.
async fn the_large_one_alone_is_sent(
    office: &mut Office,
    lane: Lane,
    [small, large]: [String; 2],
    read: Instant,
) {
    let queue = office.world.embedded.queue();
    let load = QueueName::new(Stage::Load, lane);
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

#[tokio::test(start_paused = true)]
async fn what_the_rules_before_let_through_is_not_sent_under_others() {
    let (mut office, owner) = without_a_loader(true).await;
    let read = Instant::now();
    let deals = deals(&office, &owner);
    the_large_one_alone_is_sent(&mut office, Lane::Live, deals, read).await;
}

/// Whatever reads them: here it is the job of a grant.
#[tokio::test(start_paused = true)]
async fn what_a_job_has_read_under_the_rules_before_is_not_sent_under_others() {
    let (mut office, owner) = without_a_loader(false).await;
    let deals = deals(&office, &owner);
    // Nobody needs their events any more.
    office.rest().await;
    let read = Instant::now();
    office.grant(&owner);
    office.world.permission_poll().once().await.unwrap();
    the_large_one_alone_is_sent(&mut office, Lane::Bulk, deals, read).await;
}

/// Its account is read behind its roles, and then nothing has it in scope any more.
#[tokio::test(start_paused = true)]
async fn what_belongs_to_a_deal_that_closes_while_it_is_read_is_not_sent() {
    let mut account = String::new();
    let (office, owner) = Office::with_owner(|office, _| {
        account = office.insert("Account", &json!({ "Name": "Acme" }));
    })
    .await;
    let salesforce = &office.world.salesforce;
    let roles = "FROM OpportunityContactRole";
    salesforce.slow_down(Some(Slow {
        words: roles,
        time: MINUTE / 4,
        gives_up: false,
    }));
    salesforce.reads();
    let deal = office.deal(&owner, &json!({ "AccountId": account }));
    until("its roles are asked for", async || {
        salesforce.reads().iter().any(|soql| soql.contains(roles))
    })
    .await;
    let lost = json!({ "StageName": "Closed Lost" });
    office.update("Opportunity", &deal, &lost);
    office.update("Account", &account, &json!({ "Name": "Secret" }));
    office.rest().await;
    let name = office.in_mos(RecordType::Company, &account, "name");
    assert_eq!(name, None);
    let has_deal = office.has(RecordType::Opportunity, &deal);
    assert!(!has_deal, "a last word creates nothing");
}
