//! Units that grow when their rows are read, beyond what the broker takes in one message.

use std::time::Duration;

use domain::job::{Job, JobKind};
use domain::tally::Count;
use domain::{ObjectKind, SalesforceId};
use ports::Clock;
use serde_json::json;

use crate::office::Office;
use crate::rest;

/// A whole unit of them.
const DEALS: usize = 200;
/// As many characters as Salesforce takes, of three bytes each: the unit comes to 19 MB.
const TEXT: usize = 32_000;
const SOON: Duration = Duration::from_secs(300);

/// Which records have the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heavy {
    Deals,
    /// What they bring along, each an account of its own. Before them in the unit, it alone is more
    /// than a message takes.
    Accounts,
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_for_one_message_is_read_in_several() {
    read_again(Heavy::Deals).await;
}

#[tokio::test(start_paused = true)]
async fn deals_arrive_however_large_all_is_that_they_bring_along() {
    read_again(Heavy::Accounts).await;
}

/// Reads all deals again, and waits until they are in mOS with what they bring along.
async fn read_again(heavy: Heavy) {
    let mut records = std::collections::BTreeSet::new();
    let (office, _) = Office::with_owner(|office, owner| {
        let text = json!({ "Description": "\u{20ac}".repeat(TEXT) });
        for number in 0..DEALS {
            let deal = match heavy {
                Heavy::Deals => office.deal(owner, &text),
                Heavy::Accounts => {
                    let mut account = text.clone();
                    account["Name"] = json!(format!("Account {number}"));
                    let account = office.insert("Account", &account);
                    office.deal(owner, &json!({ "AccountId": account }))
                }
            };
            let deal = SalesforceId::parse(&deal).unwrap();
            records.insert((ObjectKind::Opportunity, deal));
        }
    })
    .await;
    let jobs = &office.world.stores.jobs;
    let now = office.world.clock.now();
    jobs.create(&Job::retry(records, "all of them", now))
        .await
        .unwrap();
    tokio::time::sleep(SOON).await;
    let mut retries = jobs.list(100).await.unwrap();
    retries.retain(|job| job.kind == JobKind::Retry && job.requested >= now);
    assert!(retries.iter().all(Job::is_over), "{heavy:?}: {retries:?}");
    assert!(retries.len() > 1, "{heavy:?}: {retries:?}");
    assert!(retries.iter().all(|job| job.tally.difference().is_empty()));
    // mOS has answered for each once, and none had to wait as a parked record.
    let answered = |object| {
        let answered = retries.iter().map(|job| {
            let of = |count| job.tally.get(object, count);
            of(Count::Unchanged) + of(Count::Updated)
        });
        answered.sum::<u64>()
    };
    let deals = answered(ObjectKind::Opportunity);
    assert_eq!(deals, DEALS as u64, "{heavy:?}");
    let accounts = if heavy == Heavy::Accounts { DEALS } else { 0 };
    assert_eq!(answered(ObjectKind::Account), accounts as u64, "{heavy:?}");
    assert_eq!(rest::parked(&office.world).await, []);
    assert_eq!(office.world.embedded.queue().dead_count().await, Ok(0));
}
