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

#[tokio::test(start_paused = true)]
async fn what_is_too_large_for_one_message_is_read_in_several() {
    let mut records = std::collections::BTreeSet::new();
    let office = Office::open(|office| {
        let owner = office.user("Ada");
        office.grant(&owner);
        let text = json!({ "Description": "\u{20ac}".repeat(TEXT) });
        for _ in 0..DEALS {
            let deal = SalesforceId::parse(&office.deal(&owner, &text)).unwrap();
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
    retries.retain(|job| job.kind == JobKind::Retry);
    assert!(retries.iter().all(Job::is_over), "{retries:?}");
    assert!(retries.len() > 1, "{retries:?}");
    assert!(retries.iter().all(|job| job.tally.difference().is_empty()));
    // mOS has answered for each once, and none had to wait as a parked record.
    let answered = retries.iter().map(|job| {
        let of = |count| job.tally.get(ObjectKind::Opportunity, count);
        of(Count::Unchanged) + of(Count::Updated)
    });
    assert_eq!(answered.sum::<u64>(), DEALS as u64);
    assert_eq!(rest::parked(&office.world).await, []);
    assert_eq!(office.world.embedded.queue().dead_count().await, Ok(0));
}
