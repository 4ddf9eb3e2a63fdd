//! How far a full load runs ahead of the workers.

use std::time::Duration;

use domain::job::{Job, JobId, JobKind, JobScope, MosStatus};
use domain::unit::{Lane, QueueName, Stage};
use domain::{ObjectKind, SalesforceId};
use ports::Clock as _;

use super::{Bench, started};
use crate::moves::until;

/// Of these, a hundred units.
const RECORDS: usize = 20_000;
/// What may wait in the lane: live changes share their workers with no more.
const WAITING: u64 = 40;
/// What a turn of the reader adds to a lane that has room, at most.
const TURN: u64 = 20;

#[tokio::test(start_paused = true)]
async fn the_reader_waits_while_the_lane_is_full() {
    let bench = Bench::new(24, 10_000).await;
    let records = (0..RECORDS).map(|number| {
        let id = SalesforceId::parse(&format!("0060000000{number:05}")).unwrap();
        (ObjectKind::Opportunity, id)
    });
    let id = JobId::new(JobKind::Retry, uuid::Uuid::nil());
    let scope = JobScope::Records {
        records: records.collect(),
    };
    let now = bench.clock.now();
    let job = Job::queued(id.clone(), JobKind::Retry, scope, now);
    bench.stores.jobs.create(&job).await.unwrap();
    let queue = bench.embedded.queue();
    let filter = QueueName::new(Stage::Filter, Lane::Bulk);
    let listener = started(bench.listener());
    until("the lane is full", async || {
        queue.depth(filter).await.unwrap() >= WAITING
    })
    .await;
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    let waiting = queue.depth(filter).await.unwrap();
    assert!(waiting < WAITING + TURN, "{waiting} units wait");
    // And goes on when they are taken.
    let _counting = bench.counts_all_but(&[]);
    until("all is read", async || {
        let job = bench.stores.jobs.get(&id).await.unwrap().unwrap();
        job.outcome() == Some(MosStatus::Completed)
    })
    .await;
    listener.abort();
}
