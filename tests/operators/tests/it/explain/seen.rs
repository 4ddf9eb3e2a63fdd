//! What was last seen of a record, and which job it was.

use domain::job::{Job, JobKind, SalesforceStatus};
use domain::{ObjectKind, Version};
use ports::source::ReplayId;
use ports::stores::StreamState;
use serde_json::json;

use super::case::{Case, DeskMos, operations};
use crate::desk::TOPIC;
use crate::salesforce::id;

#[tokio::test]
async fn what_was_last_seen_and_which_job_it_was_is_told() {
    let case = Case::open().await;
    let deal = case.deal(&json!({}));
    let changed = case.desk.now();
    let stores = &case.desk.stores;
    let heard = StreamState {
        position: ReplayId(vec![1, 2]),
        at_end: true,
        window_over: false,
        heard: changed,
        last_event: Some(changed),
    };
    stores.position.store_stream(TOPIC, &heard).await.unwrap();
    let early = case.desk.job(JobKind::SyncAll, "early").await;
    let (failed, why) = (SalesforceStatus::Failed, Some("no access"));
    case.desk.transition(&early.id, failed, why).await;
    case.desk.pass(10);
    let meanwhile = case.desk.job(JobKind::Backfill, "meanwhile").await;
    case.desk.pass(10);
    case.bring(ObjectKind::User, &case.owner).await;
    case.bring(ObjectKind::Opportunity, &deal).await;
    let version = Version::at(case.desk.now()).to_string();
    case.desk.pass(10);
    case.desk.job(JobKind::Retry, "late").await;

    let view = case.told(&deal).await;
    let mos = view.mos.unwrap();
    assert_eq!(mos.version, Some(version));
    assert_eq!(view.possible_jobs, [meanwhile.id.to_string()]);
    let seen = view.seen.unwrap();
    // Salesforce stamps to the second.
    assert_eq!(
        seen.modified.map(|at| at.as_micros() / 1_000_000),
        Some(changed.as_micros() / 1_000_000)
    );
    assert_eq!(seen.stream.unwrap().last_event, Some(changed));
    assert_eq!(seen.poll, None);

    let polled = operations(&case.desk, DeskMos(None)).polling([ObjectKind::Opportunity].into());
    let seen = polled.explain(&deal).await.unwrap().seen.unwrap();
    assert_eq!((seen.stream, seen.poll), (None, None), "not polled yet");
}

#[tokio::test]
async fn the_last_job_that_named_it_is_told() {
    let case = Case::open().await;
    let (deal, other) = (case.deal(&json!({})), case.deal(&json!({})));
    let desk = &case.desk;
    let line = async |record: &str, job: Option<&Job>| {
        desk.write("about a record", |line| {
            line.topic = "parked".to_owned();
            line.job = job.map(|job| job.id.clone());
            line.record = Some((ObjectKind::Opportunity, id(record)));
        })
        .await;
        desk.pass(10);
    };
    let last = async || case.told(&deal).await.last_job;
    assert_eq!(last().await, None);
    let first = desk.job(JobKind::Backfill, "first").await;
    line(&deal, Some(&first)).await;
    assert_eq!(last().await, Some(first.id.to_string()));
    line(&deal, None).await;
    let foreign = desk.job(JobKind::Backfill, "foreign").await;
    line(&other, Some(&foreign)).await;
    assert_eq!(last().await, Some(first.id.to_string()));
    let second = desk.job(JobKind::Retry, "second").await;
    desk.park(1, |parked| {
        parked.object = ObjectKind::Opportunity;
        parked.id = id(&deal);
        parked.job = Some(second.id.clone());
    })
    .await;
    assert_eq!(last().await, Some(second.id.to_string()));
    desk.pass(10);
    line(&deal, Some(&first)).await;
    assert_eq!(last().await, Some(first.id.to_string()));
}
