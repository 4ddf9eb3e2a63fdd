//! The gap ledger: what opens a gap, and what closes it.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::job::{Job, JobId, JobKind, JobScope, SalesforceStatus};
use domain::unit::{Lane, QueueName, Stage};
use domain::{ObjectKind, Timestamp};
use fake_mos::RecordType;
use ports::Clock;
use ports::stores::{Gap, GapCause};
use serde_json::json;

use crate::moves::until;
use crate::office::Office;
use crate::world::{Service, World};

async fn gaps(world: &World) -> Vec<Gap> {
    world.stores.position.gaps().await.unwrap()
}

/// A deal in mOS, whose owner holds permission.
async fn office_with_a_deal() -> (Office, String) {
    let mut deal = String::new();
    let office = Office::open(|office| {
        let owner = office.user("Ada");
        office.grant(&owner);
        deal = office.deal(&owner, &json!({}));
    })
    .await;
    (office, deal)
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
