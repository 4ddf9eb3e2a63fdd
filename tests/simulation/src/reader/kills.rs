//! A reader that is killed at any of its awaits, and another that goes on.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use domain::ObjectKind;
use domain::job::{MosStatus, SalesforceStatus};
use domain::tally::Count;
use ports::Clock;
use tokio::task::JoinHandle;

use super::bench::{Bench, DEALS, started};
use crate::mutants::Mutant;
use crate::salesforce::{deleting, transact};

/// Lives until it has been polled so often; whether it was killed by that.
async fn killed_after(polls: u32, life: impl Future<Output = ()>, over: &JoinHandle<()>) -> bool {
    let mut life = pin!(life);
    let mut polled = 0;
    poll_fn(|context| {
        if over.is_finished() {
            return Poll::Ready(false);
        }
        if polled == polls {
            return Poll::Ready(true);
        }
        polled += 1;
        life.as_mut().poll(context).map(|()| false)
    })
    .await
}

/// Killed while units may or may not have been published, and cancelled before anybody looks again.
#[tokio::test(start_paused = true)]
async fn a_cancelled_job_gives_up_what_may_have_been_published() {
    for polls in 1.. {
        let bench = Arc::new(Bench::new(19, 10_000).await);
        let waiting = Arc::clone(&bench);
        let over = started(async move {
            waiting.until_over().await;
        });
        assert!(killed_after(polls, bench.listener(), &over).await);
        let Some(job) = bench.job().await else {
            continue;
        };
        if job.progress.announced <= job.progress.next_index {
            continue;
        }
        let (jobs, now) = (&bench.stores.jobs, bench.clock.now());
        let moved = jobs.transition(&job.id, SalesforceStatus::Cancelled, now, None);
        moved.await.unwrap();
        let _counting = bench.counts_all_but(&[]);
        let listener = started(bench.listener());
        let job = bench.until_over().await;
        assert_eq!(job.outcome(), Some(MosStatus::Cancelled));
        assert!(job.abandoned > 0, "{job:?}");
        listener.abort();
        return;
    }
}

/// A kill at one await after the other: the same units under the same indices, or new ones.
async fn killed_everywhere(bulk_from: u64, mutant: Mutant, stride: u32) -> Vec<String> {
    let mut polls = 1;
    loop {
        let bench = Arc::new(Bench::with(10, bulk_from, mutant).await);
        let _counting = bench.counts_all_but(&[]);
        let waiting = Arc::clone(&bench);
        let over = started(async move {
            waiting.until_over().await;
        });
        let killed = killed_after(polls, bench.listener(), &over).await;
        if !killed {
            return Vec::new();
        }
        // Meanwhile the org goes on: pages are no longer what they were.
        let deals = bench.org.records("Opportunity");
        transact(&bench.org, [deleting("Opportunity", deals[7].id())]);
        let listener = started(bench.listener());
        let job = bench.until_over().await;
        let faults = bench.units.faults();
        if !faults.is_empty() {
            return faults;
        }
        assert_eq!(
            job.outcome(),
            Some(MosStatus::Completed),
            "after {polls} polls"
        );
        let read = job.tally.get(ObjectKind::Opportunity, Count::Read);
        assert!(read >= DEALS as u64 - 1, "{read} after {polls} polls");
        assert_eq!(job.tally.get(ObjectKind::Opportunity, Count::Created), read);
        listener.abort();
        polls += stride;
    }
}

#[tokio::test(start_paused = true)]
async fn a_kill_at_any_await_of_bulk_reading_leaves_units_what_they_are() {
    assert_eq!(
        killed_everywhere(0, Mutant::None, 7).await,
        Vec::<String>::new()
    );
}

#[tokio::test(start_paused = true)]
async fn a_kill_at_any_await_of_rest_reading_uses_no_index_twice() {
    assert_eq!(
        killed_everywhere(10_000, Mutant::None, 5).await,
        Vec::<String>::new()
    );
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_forgets_what_it_announced_is_seen() {
    let faults = killed_everywhere(10_000, Mutant::ForgetsAnnounced, 1).await;
    assert!(
        !faults.is_empty(),
        "indices were used for other records unnoticed"
    );
}
