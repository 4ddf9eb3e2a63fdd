//! Where the stream is comes first: what changes during a load must be in the stream.

use std::sync::atomic::Ordering;
use std::time::Duration;

use domain::job::{Job, JobId, JobKind, JobScope, SalesforceStatus};
use ports::Clock as _;

use super::bench::{Bench, started};

#[tokio::test(start_paused = true)]
async fn nothing_is_read_before_a_position_of_the_stream_is_stored() {
    let bench = Bench::new(22, 0).await;
    bench.source.is_silent.store(true, Ordering::SeqCst);
    let id = JobId::new(JobKind::SyncAll, uuid::Uuid::from_u128(22));
    let now = bench.clock.now();
    let job = Job::queued(id.clone(), JobKind::SyncAll, JobScope::Everything, now);
    bench.stores.jobs.create(&job).await.unwrap();
    let _counting = bench.counts_all_but(&[]);
    let listener = started(bench.listener());
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    let waits = bench.job().await.unwrap();
    assert_eq!(waits.salesforce, SalesforceStatus::Queued);
    assert_eq!(*bench.source.early.lock().unwrap(), None);

    bench.source.is_silent.store(false, Ordering::SeqCst);
    let job = bench.until_over().await;
    assert_eq!(*bench.source.early.lock().unwrap(), None);
    // It is the first load of this org; there is no second one.
    assert_eq!(job.id, id);
    bench.is_complete(&job, false).await;
    listener.abort();
}
