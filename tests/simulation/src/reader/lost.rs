//! Units that the queue loses: they are read and published once more.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::job::{Cursor, Job, JobId, JobKind, JobScope, MosStatus};
use domain::tally::Count;
use domain::{ObjectKind, SalesforceId};
use ports::Clock;
use ports::source::Source;

use super::bench::{Bench, DEALS, PATIENCE, started};

#[tokio::test(start_paused = true)]
async fn units_that_the_queue_loses_are_published_again() {
    // Users and accounts come first, then a contact, then deals, then roles.
    for bulk_from in [0, 10_000] {
        for lost in [&[0, 1][..], &[3], &[4, 5], &[3, 4, 5, 6], &[0, 2, 7]] {
            let bench = Bench::new(6, bulk_from).await;
            let _counting = bench.counts_all_but(lost);
            let listener = started(bench.listener());
            let job = bench.until_over().await;
            bench.is_complete(&job, bulk_from > 0).await;
            assert!(bench.log_says("published again").await);
            listener.abort();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn lost_units_whose_query_is_gone_are_read_again() {
    let bench = Bench::new(7, 0).await;
    // The last unit of deals.
    let _counting = bench.counts_all_but(&[5]);
    let listener = started(bench.listener());
    bench
        .until("the deals are published", |job| {
            job.progress.phase == 2 && job.progress.statement == 1
        })
        .await;
    let created = bench.source.created.lock().unwrap().clone();
    for query in created {
        bench.source.remove_bulk_query(&query).await.unwrap();
    }
    let job = bench.until_over().await;
    bench.is_complete(&job, true).await;
    assert!(job.progress.generation > 0 || bench.log_says("begins again").await);
    listener.abort();
}

#[tokio::test(start_paused = true)]
async fn records_that_are_named_keep_their_indices() {
    let bench = Bench::new(11, 0).await;
    let _counting = bench.counts_all_but(&[0, 2]);
    let records = bench.org.records("Opportunity");
    let records = records
        .iter()
        .map(|deal| {
            (
                ObjectKind::Opportunity,
                SalesforceId::parse(deal.id()).unwrap(),
            )
        })
        .collect::<BTreeSet<_>>();
    let id = JobId::new(JobKind::Retry, uuid::Uuid::nil());
    let scope = JobScope::Records { records };
    let now = bench.clock.now();
    let job = Job::queued(id.clone(), JobKind::Retry, scope, now);
    bench.stores.jobs.create(&job).await.unwrap();
    let listener = started(bench.listener());
    let until = tokio::time::Instant::now() + PATIENCE;
    let job = loop {
        let job = bench.stores.jobs.get(&id).await.unwrap().unwrap();
        if job.is_over() {
            break job;
        }
        assert!(tokio::time::Instant::now() < until, "{job:?}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    assert_eq!(job.outcome(), Some(MosStatus::Completed));
    assert_eq!((job.units, job.counted), (3, 3));
    assert_eq!(
        job.tally.get(ObjectKind::Opportunity, Count::Read),
        DEALS as u64
    );
    assert_eq!(job.progress.cursor, Cursor::Start);
    assert_eq!(bench.units.faults(), Vec::<String>::new());
    listener.abort();
}
