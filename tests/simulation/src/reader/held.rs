//! Jobs that a person or the allowance holds, or that come to their end unread.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use domain::job::{
    Job, JobId, JobKind, JobScope, MosStatus, Pause, PausedBy, Plan, SalesforceShown,
    SalesforceStatus,
};
use ports::Clock;

use super::bench::{Bench, started};

#[tokio::test(start_paused = true)]
async fn a_person_s_pause_holds_and_a_cancelled_job_ends() {
    let bench = Bench::new(8, 0).await;
    let listener = started(bench.listener());
    let jobs = Arc::clone(&bench.embedded.stores().jobs);
    let id = bench.until("it is there", |_job| true).await.id;
    let pause = Pause {
        since: bench.clock.now(),
        by: PausedBy::Person,
        why: "lunch".to_owned(),
        until: None,
    };
    assert_eq!(jobs.pause(&id, &pause).await, Ok(true));
    // A turn that had begun may still come to its end.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let held = bench.job().await.unwrap();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let still = bench.job().await.unwrap();
    assert_eq!(held.progress, still.progress);
    assert_eq!(still.salesforce_shown(), SalesforceShown::Paused);
    assert_eq!(
        jobs.resume(&id, PausedBy::Person, bench.clock.now()).await,
        Ok(true)
    );
    bench
        .until("it goes on", |job| {
            job.progress.next_index > still.progress.next_index
        })
        .await;
    let now = bench.clock.now();
    let cancelled = SalesforceStatus::Cancelled;
    jobs.transition(&id, cancelled, now, None).await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let units = bench.job().await.unwrap().units;
    let _counting = bench.counts_all_but(&[0]);
    let job = bench.until_over().await;
    assert_eq!(job.outcome(), Some(MosStatus::Cancelled));
    // What was lost of it is not published again.
    assert_eq!(
        (job.units, job.counted, job.abandoned),
        (units, units - 1, 1)
    );
    listener.abort();
}

#[tokio::test(start_paused = true)]
async fn a_used_up_allowance_holds_the_job_until_it_is_tried_again() {
    let bench = Bench::new(9, 0).await;
    bench.source.quota.store(2, Ordering::SeqCst);
    let listener = started(bench.listener());
    let _counting = bench.counts_all_but(&[]);
    let held = bench
        .until("it is held", |job| {
            job.salesforce_shown() == SalesforceShown::PausedQuota
        })
        .await;
    assert!(held.paused.unwrap().until.is_some());
    let job = bench.until_over().await;
    bench.is_complete(&job, false).await;
    assert!(job.paused_for >= Duration::from_secs(120));
    assert!(bench.log_says("is held until").await);
    assert!(bench.log_says("is tried again").await);
    listener.abort();
}

/// A job whose status was damaged is given up, and nothing else is.
#[tokio::test(start_paused = true)]
async fn a_damaged_job_fails_alone() {
    let bench = Bench::new(14, 10_000).await;
    let jobs = &bench.stores.jobs;
    let now = bench.clock.now();
    let add = async |number, scope| {
        let id = JobId::new(JobKind::Backfill, uuid::Uuid::from_u128(number));
        let job = Job::queued(id.clone(), JobKind::Backfill, scope, now);
        jobs.create(&job).await.unwrap();
        id
    };
    let without_plan = add(1, JobScope::Everything).await;
    let extracting = SalesforceStatus::Extracting;
    let moved = jobs.transition(&without_plan, extracting, now, None).await;
    moved.unwrap();
    let entering = JobScope::Entering {
        before: 77,
        then: now,
        stamped_since: Some(now),
    };
    let lost_settings = add(2, entering).await;
    let plan = Plan {
        rule_revision: 0,
        permission_snapshot: 1,
        phases: Vec::new(),
        leaves_out: true,
        notes: Vec::new(),
    };
    jobs.set_plan(&lost_settings, &plan, now).await.unwrap();
    let listener = started(bench.listener());
    let _counting = bench.counts_all_but(&[]);
    let job = bench.until_over().await;
    bench.is_complete(&job, false).await;
    for (id, why) in [
        (without_plan, "has no plan"),
        (lost_settings, "settings that are lost"),
    ] {
        let job = jobs.get(&id).await.unwrap().unwrap();
        assert_eq!(job.salesforce, SalesforceStatus::Failed);
        let error = job.error.unwrap();
        assert!(error.contains(why), "{error}");
        assert!(error.contains("start a sync-all"), "{error}");
    }
    assert!(bench.log_says("has failed").await);
    listener.abort();
}
