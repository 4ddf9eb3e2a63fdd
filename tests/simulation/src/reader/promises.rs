//! Queries that fail, expire or answer something else than was counted: they are made again, and not
//! for ever.

use std::time::Duration;

use domain::ObjectKind;
use domain::job::{MosStatus, SalesforceStatus, Way};
use ports::Clock;

use super::bench::{Bench, DEALS, started};
use super::breaching::Breach;
use crate::moves::until;
use crate::salesforce::{deleting, transact};

#[tokio::test(start_paused = true)]
async fn a_broken_promise_begins_the_phase_again_and_then_fails_the_job() {
    for breach in [
        Breach::Fails,
        Breach::Aborted,
        Breach::Expires,
        Breach::Garbage,
        Breach::FewerRows,
        Breach::MoreRows,
        Breach::OtherHeader,
        Breach::Results,
        Breach::TooSlow,
    ] {
        // Garbage may be the line's fault: the page is asked for again before the query is.
        let once = match breach {
            Breach::Fails
            | Breach::Aborted
            | Breach::Expires
            | Breach::TooSlow
            | Breach::Working => 1,
            Breach::Garbage
            | Breach::FewerRows
            | Breach::MoreRows
            | Breach::OtherHeader
            | Breach::Results => 4,
        };
        for (times, completes) in [(once, true), (once * 3, true), (100_000, false)] {
            let bench = Bench::new(3, 10).await;
            bench.source.breaks(breach, times);
            let _counting = bench.counts_all_but(&[]);
            let listener = started(bench.listener());
            let job = bench.until_over().await;
            if completes {
                bench.is_complete(&job, true).await;
            } else {
                assert_eq!(job.outcome(), Some(MosStatus::Failed), "{breach:?}");
                assert_eq!(job.salesforce, SalesforceStatus::Failed);
                let why = job.failure().unwrap();
                assert!(why.contains(breach.reason()), "{breach:?}: {why}");
                // The line follows the job's end.
                let said = format!("has failed: {why}");
                until(&said, async || bench.log_says(&said).await).await;
                assert_eq!(job.progress.generation, 4);
            }
            assert!(bench.log_says("begins again").await, "{breach:?}");
            let deals = &job.progress.objects[&ObjectKind::Opportunity];
            let begun_again = if completes { times / once } else { 4 };
            assert_eq!(deals.errors, u64::from(begun_again), "{breach:?}");
            let error = deals.last_error.as_deref().unwrap();
            assert!(error.contains(breach.reason()), "{breach:?}: {error}");
            listener.abort();
        }
    }
}

/// That there is nothing left is believed the second time.
#[tokio::test(start_paused = true)]
async fn a_query_with_none_of_the_rows_that_were_counted_is_made_once_more() {
    let bench = Bench::new(19, 10).await;
    let listener = started(bench.listener());
    bench
        .until("everything is counted", |job| {
            job.salesforce == SalesforceStatus::Extracting
        })
        .await;
    for deals in bench.org.records("Opportunity").chunks(150) {
        let deletes = deals.iter().map(|deal| deleting("Opportunity", deal.id()));
        transact(&bench.org, deletes);
    }
    let _counting = bench.counts_all_but(&[]);
    let job = bench.until_over().await;
    assert_eq!(job.outcome(), Some(MosStatus::Completed));
    let deals = &job.progress.objects[&ObjectKind::Opportunity];
    assert_eq!((deals.total, deals.read), (Some(DEALS as u64), 0));
    assert!(bench.log_says("rows of Opportunity were counted").await);
    listener.abort();
}

/// A large query takes Salesforce a quarter of an hour, and it says how far it is.
#[tokio::test(start_paused = true)]
async fn a_query_that_makes_progress_does_not_stall_its_job() {
    let bench = Bench::new(17, 10).await;
    bench.source.breaks(Breach::Working, 36);
    let _counting = bench.counts_all_but(&[]);
    let listener = started(bench.listener());
    let begun = tokio::time::Instant::now();
    let job = bench
        .until("it is never over", |job| {
            assert!(!job.is_stalled(bench.clock.now()), "{job:?}");
            job.is_over()
        })
        .await;
    assert!(begun.elapsed() > Duration::from_secs(15 * 60));
    bench.is_complete(&job, false).await;
    listener.abort();
}

/// Too many to be counted in time, or asked for with too many words for a URL.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_counted_is_read_by_a_bulk_query_with_an_unknown_total() {
    for code in ["QUERY_TIMEOUT", "URI_TOO_LONG"] {
        let bench = Bench::new(15, 10_000).await;
        *bench.source.uncounted.lock().unwrap() = Some(code);
        let listener = started(bench.listener());
        let _counting = bench.counts_all_but(&[]);
        let job = bench.until_over().await;
        assert_eq!(job.outcome(), Some(MosStatus::Completed));
        let deals = &job.progress.objects[&ObjectKind::Opportunity];
        assert_eq!((deals.total, deals.read), (None, DEALS as u64));
        let plan = bench.plan(&job).await;
        for statement in plan.phases.iter().flatten() {
            let is_deals = statement.object == ObjectKind::Opportunity;
            assert_eq!(statement.way == Way::Bulk, is_deals, "{statement:?}");
        }
        assert!(bench.log_says("an unknown number of Opportunity").await);
        listener.abort();
    }
}
