//! Semi-joins that Salesforce refuses, at once or late, or over which it takes too long.

use std::sync::atomic::Ordering;

use domain::ObjectKind;
use domain::job::{Form, MosStatus, SalesforceStatus};
use domain::tally::Count;

use super::bench::{Bench, started};
use super::breaching::Breach;

#[tokio::test(start_paused = true)]
async fn an_org_that_refuses_semi_joins_is_read_without() {
    let bench = Bench::new(4, 0).await;
    bench.source.joins_taken.store(0, Ordering::SeqCst);
    let listener = started(bench.listener());
    let _counting = bench.counts_all_but(&[]);
    let job = bench.until_over().await;
    assert_eq!(job.outcome(), Some(MosStatus::Completed));
    // All accounts, not only those of deals.
    assert_eq!(job.tally.get(ObjectKind::Account, Count::Read), 2);
    let plan = bench.plan(&job).await;
    assert_eq!(plan.notes.len(), 3);
    for statement in plan.phases.iter().flatten() {
        let around = statement.object < ObjectKind::Opportunity;
        assert_eq!(statement.form == Form::Plain, around);
    }
    assert!(bench.log_says("without the semi-join").await);
    listener.abort();
}

#[tokio::test(start_paused = true)]
async fn a_semi_join_that_is_refused_late_is_done_without() {
    let bench = Bench::new(5, 0).await;
    let listener = started(bench.listener());
    bench
        .until("it is being read", |job| {
            job.progress.phase == 0 && job.salesforce == SalesforceStatus::Extracting
        })
        .await;
    bench.source.joins_taken.store(0, Ordering::SeqCst);
    let _counting = bench.counts_all_but(&[]);
    let job = bench.until_over().await;
    bench.is_complete(&job, true).await;
    assert!(bench.log_says("without the semi-join").await);
    // What was counted is not what is read then.
    let plan = bench.plan(&job).await;
    for statement in plan.phases.iter().flatten() {
        let total = job.progress.objects[&statement.object].total;
        let is_plain = statement.form == Form::Plain;
        assert_eq!(total.is_none(), is_plain, "{statement:?}");
    }
    listener.abort();
}

/// The field is left out, and the semi-join stays.
#[tokio::test(start_paused = true)]
async fn a_field_that_is_hidden_in_mid_load_says_nothing_about_semi_joins() {
    for bulk_from in [0, 10_000] {
        let bench = Bench::new(17, bulk_from).await;
        let listener = started(bench.listener());
        bench
            .until("users are being read", |job| {
                let progress = &job.progress;
                job.salesforce == SalesforceStatus::Extracting
                    && (progress.phase, progress.statement) == (0, 0)
            })
            .await;
        bench.source.inner.hide("Account", "Phone");
        let _counting = bench.counts_all_but(&[]);
        let job = bench.until_over().await;
        bench.is_complete(&job, false).await;
        let plan = bench.plan(&job).await;
        assert_eq!(plan.notes, [""; 0]);
        assert!(bench.log_says("INVALID_FIELD").await);
        listener.abort();
    }
}

/// Once it may be a field that was hidden, or shown, at that moment.
#[tokio::test(start_paused = true)]
async fn a_semi_join_that_is_refused_as_a_field_is_done_without_the_second_time() {
    for (refusals, joins) in [(1, true), (2, false)] {
        let bench = Bench::new(18, 0).await;
        let refused = &bench.source.joins_unseen;
        refused.store(refusals, Ordering::SeqCst);
        let listener = started(bench.listener());
        let _counting = bench.counts_all_but(&[]);
        let job = bench.until_over().await;
        bench.is_complete(&job, false).await;
        let plan = bench.plan(&job).await;
        assert_eq!(plan.notes.is_empty(), joins, "{:?}", plan.notes);
        assert_eq!(plan.phases[0][0].form == Form::SemiJoin, joins);
        listener.abort();
    }
}

/// Salesforce takes the statement and gives it up later.
#[tokio::test(start_paused = true)]
async fn a_semi_join_that_takes_too_long_is_done_without() {
    let bench = Bench::new(16, 0).await;
    bench.source.breaks(Breach::TooSlow, 1);
    let listener = started(bench.listener());
    let _counting = bench.counts_all_but(&[]);
    let job = bench.until_over().await;
    bench.is_complete(&job, true).await;
    let plan = bench.plan(&job).await;
    assert_eq!(plan.notes.len(), 1, "{:?}", plan.notes);
    for statement in plan.phases.iter().flatten() {
        let was_slow = statement.object == ObjectKind::User;
        assert_eq!(statement.form == Form::Plain, was_slow);
    }
    assert!(bench.log_says("without the semi-join").await);
    listener.abort();
}

#[tokio::test(start_paused = true)]
async fn results_that_are_refused_say_nothing_about_semi_joins() {
    let bench = Bench::new(13, 0).await;
    bench.source.breaks(Breach::Results, 2);
    let listener = started(bench.listener());
    let _counting = bench.counts_all_but(&[]);
    let job = bench.until_over().await;
    bench.is_complete(&job, false).await;
    let plan = bench.plan(&job).await;
    assert_eq!(plan.notes, [""; 0]);
    assert!(bench.log_says("waits and asks again").await);
    assert!(bench.log_says(" goes on").await);
    listener.abort();
}
