//! The gap ledger: what opens a gap, and what closes it.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::job::{Job, JobId, JobKind, JobScope, SalesforceStatus};
use domain::unit::{Lane, QueueName, Stage};
use domain::{ObjectKind, Timestamp};
use fake_mos::RecordType;
use ports::Clock;
use ports::stores::{Gap, GapCause, LogLevel, LogQuery};
use serde_json::json;

use crate::moves::until;
use crate::office::Office;
use crate::world::{Service, World};

async fn gaps(world: &World) -> Vec<Gap> {
    world.stores.position.gaps().await.unwrap()
}

/// Takes the next live unit from the queue, as a broker does that loses its disk.
async fn lose_a_live_unit(office: &Office) {
    let filter = QueueName::new(Stage::Filter, Lane::Live);
    let queue = office.world.embedded.queue();
    let mut taker = queue.subscribe(filter, 1).await.unwrap();
    let incoming = taker.next().await.unwrap();
    incoming.delivery.ack().await.unwrap();
}

/// A deal in mOS, whose owner holds permission.
async fn office_with_a_deal() -> (Office, String) {
    let mut deal = String::new();
    let (office, _) = Office::with_owner(|office, owner| {
        deal = office.deal(owner, &json!({}));
    })
    .await;
    (office, deal)
}

/// The same, and the queue has lost a live unit of it.
async fn office_with_a_lost_unit() -> (Office, String) {
    let (mut office, deal) = office_with_a_deal().await;
    office.world.kill(Service::Filter).await;
    office.update("Opportunity", &deal, &json!({ "NextStep": "lost" }));
    lose_a_live_unit(&office).await;
    office.world.start(Service::Filter);
    (office, deal)
}

/// The position has moved past them, and no event brings them again.
#[tokio::test(start_paused = true)]
async fn live_units_that_the_queue_loses_open_a_gap() {
    let (office, deal) = office_with_a_lost_unit().await;
    until("the gap", async || !gaps(&office.world).await.is_empty()).await;
    office.rest().await;
    let step = office.in_mos(RecordType::Opportunity, &deal, "next_step");
    assert_eq!(step, Some(json!("lost")));
    let gaps = gaps(&office.world).await;
    let [gap] = gaps.as_slice() else {
        panic!("{gaps:?}");
    };
    assert_eq!(gap.cause, GapCause::UnitsLost);
    assert!(gap.evidence.contains("1 of live-"), "{}", gap.evidence);
    // And in the log, where it is found by its job.
    let query = LogQuery {
        topic: Some("gap".to_owned()),
        job: Some(gap.job.clone()),
        ..LogQuery::default()
    };
    let log = &office.world.stores.log;
    let lines = log.search(&query, None, 100).await.unwrap().entries;
    let lines = lines.into_iter().rev();
    let lines = lines.map(|(_, line)| (line.level, line.message));
    let expected = [
        (LogLevel::Warning, format!("gap opened: {}", gap.evidence)),
        (
            LogLevel::Info,
            format!("gap closed by {}: {}", gap.job, gap.evidence),
        ),
    ];
    assert_eq!(lines.collect::<Vec<_>>(), expected);
    let job = office
        .world
        .stores
        .jobs
        .get(&gap.job)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(job.kind, JobKind::CatchUp);
}

/// Of an hour in which changes never cease too, once it is over.
#[tokio::test(start_paused = true)]
async fn a_live_unit_that_is_lost_among_others_opens_a_gap() {
    let (office, deal) = office_with_a_lost_unit().await;
    let account = office.insert("Account", &json!({ "Name": "busy" }));
    for change in 0..600 {
        let change = json!({ "Name": format!("busy {change}") });
        office.update("Account", &account, &change);
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    let causes = gaps(&office.world).await;
    let causes = causes.iter().map(|gap| gap.cause).collect::<Vec<_>>();
    assert_eq!(causes, [GapCause::UnitsLost]);
    office.rest().await;
    let step = office.in_mos(RecordType::Opportunity, &deal, "next_step");
    assert_eq!(step, Some(json!("lost")));
}

/// A gap whose job was cancelled before it began.
async fn a_gap_without_hope(world: &World) -> Gap {
    let now = world.clock.now();
    let id = JobId::new(JobKind::CatchUp, uuid::Uuid::from_u128(17));
    let scope = JobScope::Since { since: now };
    let job = Job::queued(id.clone(), JobKind::CatchUp, scope, now);
    let gap = Gap {
        id: "17".to_owned(),
        cause: GapCause::Overflow,
        since: now,
        opened: now,
        evidence: "event 17".to_owned(),
        job: id.clone(),
        closed: None,
    };
    world.stores.position.open_gap(&gap, &job).await.unwrap();
    let cancelled = SalesforceStatus::Cancelled;
    let jobs = &world.stores.jobs;
    jobs.transition(&id, cancelled, now, None).await.unwrap();
    gap
}

async fn reason(world: &World) -> String {
    world.operations().status().await.unwrap().reason
}

async fn sync_all(world: &World, scope: JobScope, requested: Timestamp) -> Job {
    let name = format!("{scope:?} {requested}");
    let id = JobId::new(JobKind::SyncAll, domain::job::uuid_of(&name));
    let job = Job::queued(id, JobKind::SyncAll, scope, requested);
    world.stores.jobs.create(&job).await.unwrap();
    until("the sync-all", async || {
        let job = world.stores.jobs.get(&job.id).await.unwrap();
        job.is_some_and(|job| job.is_over())
    })
    .await;
    job
}

#[tokio::test(start_paused = true)]
async fn a_gap_whose_job_was_cancelled_is_closed_by_a_later_sync_all() {
    let (office, _deal) = office_with_a_deal().await;
    let world = &office.world;
    let before = world.clock.now();
    let gap = a_gap_without_hope(world).await;
    let why = reason(world).await;
    assert!(why.contains(&format!("{} was cancelled", gap.job)), "{why}");
    assert!(why.contains("run `mosync sync-all`"), "{why}");
    assert!(!why.contains("being caught up"), "{why}");
    // Neither one that was asked for before, nor one that reads less.
    sync_all(world, JobScope::Everything, before).await;
    let now = world.clock.now();
    sync_all(world, JobScope::Since { since: now }, now).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(gaps(world).await, std::slice::from_ref(&gap));
    sync_all(world, JobScope::Everything, world.clock.now()).await;
    until("the gap closes", async || {
        gaps(world).await.iter().all(|gap| gap.closed.is_some())
    })
    .await;
}

/// The sync-all may have ended while no listener looked.
#[tokio::test(start_paused = true)]
async fn a_gap_that_was_filled_meanwhile_is_closed_by_the_next_listener() {
    let (mut office, _deal) = office_with_a_deal().await;
    office.world.kill(Service::Listener).await;
    a_gap_without_hope(&office.world).await;
    let world = &office.world;
    let now = world.clock.now();
    let id = JobId::new(JobKind::SyncAll, uuid::Uuid::from_u128(18));
    let job = Job::queued(id.clone(), JobKind::SyncAll, JobScope::Everything, now);
    let jobs = &world.stores.jobs;
    jobs.create(&job).await.unwrap();
    for status in [SalesforceStatus::Extracting, SalesforceStatus::Sealed] {
        jobs.transition(&id, status, now, None).await.unwrap();
    }
    office.world.start(Service::Listener);
    until("the gap closes", async || {
        let gaps = gaps(&office.world).await;
        gaps.iter().all(|gap| gap.closed.is_some())
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn several_objects_that_are_polled_later_bring_one_sync_all() {
    let (mut office, _deal) = office_with_a_deal().await;
    let world = &mut office.world;
    world.kill(Service::Listener).await;
    let polled = [ObjectKind::User, ObjectKind::Account, ObjectKind::Contact];
    world.poll(BTreeSet::from(polled));
    world.start(Service::Listener);
    until("the gaps", async || gaps(world).await.len() == polled.len()).await;
    office.rest().await;
    let world = &office.world;
    let gaps = gaps(world).await;
    assert!(gaps.iter().all(|gap| gap.cause == GapCause::NotHeard));
    let jobs = gaps.iter().map(|gap| gap.job.clone());
    let jobs = jobs.collect::<BTreeSet<_>>();
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    let all = world.stores.jobs.list(1_000).await.unwrap();
    let sync_alls = all.iter().filter(|job| job.kind == JobKind::SyncAll);
    assert_eq!(sync_alls.count(), 2, "the first load and this one");
}

/// A sync-all that has not begun yet reads what the gap has hidden too.
#[tokio::test(start_paused = true)]
async fn an_object_that_is_polled_later_waits_for_the_sync_all_to_come() {
    let (mut office, _deal) = office_with_a_deal().await;
    let world = &mut office.world;
    world.kill(Service::Listener).await;
    let now = world.clock.now();
    let id = JobId::new(JobKind::SyncAll, uuid::Uuid::from_u128(19));
    let job = Job::queued(id.clone(), JobKind::SyncAll, JobScope::Everything, now);
    world.stores.jobs.create(&job).await.unwrap();
    let pause = domain::job::Pause {
        since: now,
        by: domain::job::PausedBy::Person,
        why: "lunch".to_owned(),
        until: None,
    };
    world.stores.jobs.pause(&id, &pause).await.unwrap();
    world.poll(BTreeSet::from([ObjectKind::Contact]));
    world.start(Service::Listener);
    until("the gap", async || !gaps(world).await.is_empty()).await;
    assert_eq!(gaps(world).await[0].job, id);
}
