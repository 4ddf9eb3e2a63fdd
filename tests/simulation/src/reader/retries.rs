//! Parked records are taken up again at the pace at which they can be read.

use std::time::Duration;

use domain::failure::FailureKind;
use domain::job::{Job, JobKind, SalesforceShown};
use domain::parked::Parked;
use domain::unit::Stage;
use ports::Clock;
use ports::stores::ParkedFilter;

use super::bench::{Bench, started};
use super::window::{WAITING, deal, long_job, waiting};
use crate::moves::until;

/// A parked record that is due now.
async fn park(bench: &Bench, number: usize) {
    let now = bench.clock.now();
    let ticket = bench.stores.ticket.take().await.unwrap();
    let why = (Stage::Load, FailureKind::RetryLater);
    let said = "simulated".to_owned();
    let mut parked = Parked::new(deal(number), why.0, why.1, said, ticket, now);
    parked.retry_at = Some(now);
    bench.stores.parked.park(&[parked]).await.unwrap();
}

/// How often each parked record was taken up.
async fn taken_up(bench: &Bench) -> Vec<u32> {
    let parked = &bench.stores.parked;
    let parked = parked.list(&ParkedFilter::default(), None, 100).await;
    parked.unwrap().iter().map(|it| it.retries).collect()
}

async fn retry_jobs(bench: &Bench) -> Vec<Job> {
    let mut jobs = bench.stores.jobs.list(100).await.unwrap();
    jobs.retain(|job| job.kind == JobKind::Retry);
    jobs
}

#[tokio::test(start_paused = true)]
async fn parked_records_stay_while_those_taken_up_before_them_are_not_read() {
    let bench = Bench::new(26, 10_000).await;
    long_job(&bench).await;
    let listener = started(bench.listener());
    until("the lane is full", async || {
        waiting(&bench).await >= WAITING
    })
    .await;
    for number in 0..8 {
        park(&bench, number).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    // Longer than until the first of them are due again.
    tokio::time::sleep(Duration::from_secs(4_000)).await;
    assert_eq!(taken_up(&bench).await, [1, 1, 1, 0, 0, 0, 0, 0]);
    assert_eq!(retry_jobs(&bench).await.len(), 3);
    // The others come together once there is room.
    let _counting = bench.counts_all_but(&[]);
    until("all are taken up", async || {
        taken_up(&bench).await == [2, 2, 2, 1, 1, 1, 1, 1]
    })
    .await;
    assert_eq!(retry_jobs(&bench).await.len(), 4);
    listener.abort();
}

#[tokio::test(start_paused = true)]
async fn no_retry_is_used_up_while_jobs_wait_for_the_allowance() {
    let bench = Bench::new(27, 10_000).await;
    // Less than twice the reserve is left of the org's allowance.
    bench.source.inner.allow(1_000, 150);
    let listener = started(bench.listener());
    bench
        .until("the first load is held", |job| {
            job.salesforce_shown() == SalesforceShown::PausedQuota
        })
        .await;
    park(&bench, 0).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(taken_up(&bench).await, [0]);
    assert_eq!(retry_jobs(&bench).await, []);
    bench.source.inner.allow(100_000, 100_000);
    until("it is taken up", async || taken_up(&bench).await == [1]).await;
    listener.abort();
}
