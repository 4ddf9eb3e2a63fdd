//! Jobs: one sync-all at a time, steered by people, each order in the log.

use console::views::JobSearch;
use console::{Caller, OpsError};
use domain::job::{JobId, JobKind, MosStatus, SalesforceShown, SalesforceStatus};
use domain::tally::{Count, Tally};
use domain::{ObjectKind, Timestamp};

use crate::desk::Desk;

const BY: Caller = Caller::Api;

#[tokio::test]
async fn a_second_sync_all_is_the_first_one() {
    let desk = Desk::open();
    let first = desk.ops.sync_all(BY).await.unwrap();
    assert!(first.started);
    assert_eq!(first.job.kind, JobKind::SyncAll);
    assert_eq!(first.job.salesforce, SalesforceShown::Queued);
    assert_eq!(first.job.mos, MosStatus::Waiting);
    desk.pass(1);
    let second = desk.ops.sync_all(Caller::CommandLine).await.unwrap();
    assert!(!second.started);
    assert_eq!(second.job.id, first.job.id);
    assert_eq!(
        desk.ops
            .jobs(&JobSearch::default())
            .await
            .unwrap()
            .jobs
            .len(),
        1
    );
    let log = desk.log().await;
    assert_eq!(log.len(), 2);
    assert!(log[0].message.contains("no second one"), "{log:?}");
    assert!(log[1].message.contains("the API"), "{log:?}");
    let of_first = JobId::of(&first.job.id);
    assert!(log.iter().all(|line| line.job.as_ref() == Some(&of_first)));

    // Once it is over, the next one starts.
    desk.ops.cancel_job(&first.job.id, None, BY).await.unwrap();
    let third = desk.ops.sync_all(BY).await.unwrap();
    assert!(third.started);
    assert_ne!(third.job.id, first.job.id);
}

#[tokio::test]
async fn a_job_is_paused_resumed_and_cancelled_and_says_so() {
    let desk = Desk::open();
    let job = desk.job(JobKind::SyncAll, "a").await;
    let id = job.id.as_str();
    let reason = || Some("month's end".to_owned());
    let paused = desk.ops.pause_job(id, reason(), BY).await.unwrap();
    assert_eq!(paused.salesforce, SalesforceShown::Paused);
    let pause = paused.paused.unwrap();
    assert_eq!(pause.why, "paused by the API: month's end");
    assert_eq!(pause.until, None);
    // Paused is paused: nothing changes, and nothing is logged twice.
    let again = desk.ops.pause_job(id, None, BY).await.unwrap();
    assert_eq!(again.paused.unwrap().why, pause.why);
    desk.pass(10);
    let resumed = desk.ops.resume_job(id, BY).await.unwrap();
    assert_eq!(resumed.paused, None);
    let refused = desk.ops.resume_job(id, BY).await.unwrap_err();
    assert!(matches!(refused, OpsError::Conflict(_)), "{refused:?}");
    let cancelled = desk.ops.cancel_job(id, reason(), BY).await.unwrap();
    assert_eq!(cancelled.salesforce, SalesforceShown::Cancelled);
    assert_eq!(cancelled.mos, MosStatus::Cancelled);
    assert_eq!(cancelled.over, Some(desk.now()));
    let told = desk.log().await;
    let told = told.iter().map(|line| line.message.as_str());
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            "cancelled by the API: month's end",
            "resumed by the API",
            "paused by the API: month's end"
        ]
    );
    for refused in [
        desk.ops.cancel_job(id, None, BY).await,
        desk.ops.pause_job(id, None, BY).await,
        desk.ops.resume_job(id, BY).await,
    ] {
        let refused = refused.unwrap_err();
        assert!(matches!(refused, OpsError::Conflict(_)), "{refused:?}");
        assert!(refused.to_string().contains("is over (cancelled)"));
    }
}

#[tokio::test]
async fn what_is_done_is_not_cancelled_and_what_is_live_is_not_steered() {
    let desk = Desk::open();
    let job = desk.job(JobKind::Backfill, "a").await;
    for to in [SalesforceStatus::Extracting, SalesforceStatus::Sealed] {
        desk.transition(&job.id, to, None).await;
    }
    let refused = desk.ops.cancel_job(job.id.as_str(), None, BY).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("is over (completed)"), "{refused}");
    let stored = desk.stored(&job.id).await;
    assert_eq!(stored.salesforce, SalesforceStatus::Sealed);

    let live = JobId::live(desk.now());
    let at = desk.now();
    desk.stores.jobs.open_live_unit(&live, at).await.unwrap();
    for refused in [
        desk.ops.cancel_job(live.as_str(), None, BY).await,
        desk.ops.pause_job(live.as_str(), None, BY).await,
    ] {
        let refused = refused.unwrap_err();
        assert!(matches!(refused, OpsError::Conflict(_)), "{refused:?}");
        assert!(refused.to_string().contains("live changes"), "{refused}");
    }
    let unknown = desk.ops.job("nobody").await.unwrap_err();
    assert!(matches!(unknown, OpsError::NotFound(_)), "{unknown:?}");
    assert!(desk.log().await.is_empty());
}

#[tokio::test]
async fn what_is_read_already_is_not_paused() {
    let desk = Desk::open();
    let job = desk.job(JobKind::SyncAll, "a").await;
    let id = job.id.as_str();
    let jobs = &desk.stores.jobs;
    let mut progress = job.progress.clone();
    (progress.announced, progress.next_index) = (2, 2);
    for to in [SalesforceStatus::Extracting, SalesforceStatus::Sealed] {
        desk.transition(&job.id, to, None).await;
        jobs.advance(&job.id, &progress, None, desk.now())
            .await
            .unwrap();
    }
    for (to, why) in [
        (SalesforceStatus::Sealed, "is read and published already"),
        (SalesforceStatus::Cancelled, "is cancelled"),
    ] {
        desk.transition(&job.id, to, None).await;
        let refused = desk.ops.pause_job(id, None, BY).await.unwrap_err();
        assert!(matches!(refused, OpsError::Conflict(_)), "{refused:?}");
        assert!(refused.to_string().contains(why), "{refused}");
        assert_eq!(desk.stored(&job.id).await.paused, None);
    }
}

#[tokio::test]
async fn jobs_that_wait_are_found() {
    let desk = Desk::open();
    let waiting = desk.job(JobKind::Backfill, "a").await;
    let cancelled = desk.job(JobKind::Backfill, "b").await;
    let ended = desk.ops.cancel_job(cancelled.id.as_str(), None, BY).await;
    ended.unwrap();
    let search = JobSearch {
        state: Some("waiting".to_owned()),
        ..JobSearch::default()
    };
    let found = desk.ops.jobs(&search).await.unwrap().jobs;
    let found = found.iter().map(|job| job.id.as_str()).collect::<Vec<_>>();
    assert_eq!(found, [waiting.id.as_str()]);
}

#[tokio::test]
async fn the_history_comes_in_pages_without_a_hole() {
    let desk = Desk::open();
    let mut expected = Vec::new();
    for number in 0..7 {
        // Some at the same time.
        desk.pass(number % 2);
        let job = desk.job(JobKind::Retry, &number.to_string()).await;
        expected.push((job.requested, job.id.to_string()));
    }
    expected.sort();
    expected.reverse();
    let mut seen = Vec::<(Timestamp, String)>::new();
    let mut before = None;
    loop {
        let search = JobSearch {
            before,
            limit: Some(3),
            ..JobSearch::default()
        };
        let page = desk.ops.jobs(&search).await.unwrap();
        assert!(page.jobs.len() <= 3);
        seen.extend(page.jobs.iter().map(|job| (job.requested, job.id.clone())));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, expected);
    for (before, limit) in [(Some("x"), None), (None, Some(0)), (None, Some(1001))] {
        let search = JobSearch {
            before: before.map(str::to_owned),
            limit,
            ..JobSearch::default()
        };
        let refused = desk.ops.jobs(&search).await.unwrap_err();
        assert!(matches!(refused, OpsError::Invalid(_)), "{refused:?}");
    }
}

#[tokio::test]
async fn both_sides_are_shown_object_by_object() {
    let desk = Desk::open();
    let job = desk.job(JobKind::SyncAll, "a").await;
    let jobs = &desk.stores.jobs;
    desk.transition(&job.id, SalesforceStatus::Extracting, None)
        .await;
    let mut progress = job.progress.clone();
    progress.next_index = 2;
    progress.announced = 2;
    let extracted = domain::job::Extracted {
        total: Some(400),
        read: 300,
        units: 2,
        started: Some(desk.now()),
        ..domain::job::Extracted::default()
    };
    progress.objects.insert(ObjectKind::Contact, extracted);
    jobs.advance(&job.id, &progress, None, desk.now())
        .await
        .unwrap();
    desk.pass(10);
    let mut tally = Tally::default();
    tally.add_many(ObjectKind::Contact, Count::Read, 100);
    tally.add_many(ObjectKind::Contact, Count::Created, 100);
    assert!(
        jobs.count(&job.id, 0, None, &tally, desk.now())
            .await
            .unwrap()
    );
    let view = desk.ops.job(job.id.as_str()).await.unwrap();
    assert_eq!(view.salesforce, SalesforceShown::Extracting);
    assert_eq!(view.mos, MosStatus::Loading);
    assert_eq!((view.units, view.pending), (2, 1));
    assert_eq!((view.done, view.total), (100, Some(400)));
    assert_eq!(view.percent, Some(25.0));
    assert_eq!(view.per_second, Some(10.0));
    assert_eq!(view.remaining_s, Some(30));
    let contact = &view.objects[&ObjectKind::Contact];
    assert_eq!((contact.total, contact.read), (Some(400), 300));
    assert_eq!(contact.tally[&Count::Created], 100);
    assert_eq!(contact.pending, Some(200));
    assert_eq!(view.objects.len(), 1);
    desk.pass(300);
    let stalled = desk.ops.job(job.id.as_str()).await.unwrap();
    assert_eq!(stalled.mos, MosStatus::Stalled);
    assert_eq!(stalled.remaining_s, None);
}
