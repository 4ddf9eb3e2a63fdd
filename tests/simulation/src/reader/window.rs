//! How far a full load runs ahead of the workers, and what it leaves to other jobs.

use std::time::Duration;

use domain::job::{Job, JobId, JobKind, JobScope, MosStatus};
use domain::unit::{Lane, QueueName, Stage};
use domain::{ObjectKind, SalesforceId};
use ports::Clock;
use serde_json::json;

use super::bench::{Bench, started};
use crate::moves::until;
use crate::salesforce::insert_all;

/// Of these, a hundred units.
const RECORDS: usize = 20_000;
/// What may wait in the lane: live changes share their workers with no more.
pub(super) const WAITING: u64 = 40;
/// What a turn of the reader adds to a lane that has room, at most.
const TURN: u64 = 20;
/// What is published together.
const BATCH: u64 = 10;
/// How long a slow worker has a unit in hand: the reader reads several meanwhile.
const A_UNIT: Duration = Duration::from_millis(500);

/// A record of the org, or of none.
pub(super) fn deal(number: usize) -> (ObjectKind, SalesforceId) {
    let id = SalesforceId::parse(&format!("0060000000{number:05}")).unwrap();
    (ObjectKind::Opportunity, id)
}

/// A job of so many records that are named.
async fn retry_of(bench: &Bench, records: usize) -> JobId {
    let kind = JobKind::Retry;
    let id = JobId::new(kind, uuid::Uuid::nil());
    let records = (0..records).map(deal).collect();
    let scope = JobScope::Records { records };
    let job = Job::queued(id.clone(), kind, scope, bench.clock.now());
    bench.stores.jobs.create(&job).await.unwrap();
    id
}

/// A job that reads a hundred units of deals, and nothing else.
pub(super) async fn long_job(bench: &Bench) -> JobId {
    add_deals(bench);
    let id = JobId::new(JobKind::Backfill, uuid::Uuid::nil());
    let scope = JobScope::Objects {
        objects: [ObjectKind::Opportunity].into(),
    };
    let job = Job::queued(id.clone(), JobKind::Backfill, scope, bench.clock.now());
    bench.stores.jobs.create(&job).await.unwrap();
    id
}

/// How many units wait in the lane.
pub(super) async fn waiting(bench: &Bench) -> u64 {
    let filter = QueueName::new(Stage::Filter, Lane::Bulk);
    bench.embedded.queue().depth(filter).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_reader_waits_while_the_lane_is_full() {
    let bench = Bench::new(24, 10_000).await;
    let id = long_job(&bench).await;
    let listener = started(bench.listener());
    until("the lane is full", async || {
        waiting(&bench).await >= WAITING
    })
    .await;
    tokio::time::sleep(Duration::from_secs(300)).await;
    let units = waiting(&bench).await;
    assert!(units < WAITING + TURN, "{units} units wait");
    // And goes on when they are taken.
    let _counting = bench.counts_all_but(&[]);
    until("all is read", async || {
        let job = bench.stores.jobs.get(&id).await.unwrap().unwrap();
        job.outcome() == Some(MosStatus::Completed)
    })
    .await;
    listener.abort();
}

/// A hundred units more of the bench's deals.
fn add_deals(bench: &Bench) {
    let org = &bench.org;
    let deals = org.records("Opportunity");
    let owner = deals[0].text("OwnerId").unwrap().to_owned();
    for numbers in (0..RECORDS).collect::<Vec<_>>().chunks(200) {
        let deals = numbers.iter().map(|number| {
            json!({ "Name": format!("one of many {number}"),
                "StageName": "Prospecting", "CloseDate": "2026-12-01", "OwnerId": owner })
        });
        insert_all(org, "Opportunity", deals);
    }
}

/// While the workers are slower than the reader, there is never more room than for one batch.
#[tokio::test(start_paused = true)]
async fn a_long_load_leaves_room_for_a_younger_job() {
    let bench = Bench::new(25, 0).await;
    add_deals(&bench);
    let listener = started(bench.listener());
    let _counting = bench.counts(&[], Some(A_UNIT));
    until("the load fills the lane", async || {
        waiting(&bench).await >= WAITING
    })
    .await;
    let id = retry_of(&bench, 2_000).await;
    until("the younger job is over", async || {
        let units = waiting(&bench).await;
        assert!(units < WAITING + BATCH, "{units} units wait");
        let job = bench.stores.jobs.get(&id).await.unwrap().unwrap();
        job.is_over()
    })
    .await;
    // It has waited for what was in the lane, not for the hundred units of the deals.
    let load = bench.job().await.unwrap();
    assert!(load.counted < 85, "{load:?}");
    listener.abort();
}
