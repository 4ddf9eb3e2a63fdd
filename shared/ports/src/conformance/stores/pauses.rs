//! Pauses of jobs.

use std::time::Duration;

use domain::Timestamp;
use domain::job::{JobId, Pause, PausedBy, SalesforceStatus};

use super::{StoreHarness, at, get, job_in};
use crate::stores::{Moved, Stores};

fn by(who: PausedBy, since: Timestamp) -> Pause {
    Pause {
        since,
        by: who,
        why: format!("\"{}\" said so", who.name()),
        until: (who == PausedBy::Quota).then(|| since.after(Duration::from_secs(60))),
    }
}

async fn held(stores: &Stores, id: &JobId) -> (Option<Pause>, u64, Option<Timestamp>) {
    let job = get(stores, id).await;
    (job.paused, job.paused_for.as_secs(), job.resumed)
}

/// A pause survives a restart and ends when it is lifted; pauses add up.
pub async fn job_pause_is_held_and_lifted(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let id = job_in(&stores, "one", SalesforceStatus::Extracting).await;
    let jobs = &stores.jobs;
    for who in [PausedBy::Person, PausedBy::Quota] {
        assert_eq!(jobs.resume(&id, who, at(5)).await, Ok(false));
    }
    let first = by(PausedBy::Quota, at(10));
    assert_eq!(jobs.pause(&id, &first).await, Ok(true));
    harness.restart().await;
    let stores = harness.stores().await;
    let jobs = &stores.jobs;
    assert_eq!(held(&stores, &id).await, (Some(first), 0, None));
    assert_eq!(jobs.resume(&id, PausedBy::Quota, at(17)).await, Ok(true));
    assert_eq!(held(&stores, &id).await, (None, 7, Some(at(17))));
    let second = by(PausedBy::Person, at(20));
    assert_eq!(jobs.pause(&id, &second).await, Ok(true));
    assert_eq!(jobs.resume(&id, PausedBy::Person, at(25)).await, Ok(true));
    assert_eq!(held(&stores, &id).await, (None, 12, Some(at(25))));
    let unknown = JobId::of("backfill-unknown");
    assert_eq!(jobs.pause(&unknown, &second).await, Ok(false));
    let resumed = jobs.resume(&unknown, PausedBy::Person, at(25)).await;
    assert_eq!(resumed, Ok(false));
    assert_eq!(jobs.get(&unknown).await, Ok(None));
}

/// A person's pause replaces the quota's and not the other way round, and only a person lifts it;
/// a person lifts the quota's as well, and the quota sets its own anew.
pub async fn job_pause_of_a_person_wins(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let id = job_in(&stores, "one", SalesforceStatus::Queued).await;
    let jobs = &stores.jobs;
    let (quota, longer) = (by(PausedBy::Quota, at(10)), by(PausedBy::Quota, at(14)));
    assert_eq!(jobs.pause(&id, &quota).await, Ok(true));
    assert_eq!(jobs.pause(&id, &longer).await, Ok(true));
    let replaced = (Some(longer), 4, Some(at(14)));
    assert_eq!(held(&stores, &id).await, replaced);
    let person = by(PausedBy::Person, at(20));
    assert_eq!(jobs.pause(&id, &person).await, Ok(true));
    let in_force = (Some(person), 10, Some(at(20)));
    assert_eq!(held(&stores, &id).await, in_force);
    for other in [by(PausedBy::Quota, at(21)), by(PausedBy::Person, at(21))] {
        assert_eq!(jobs.pause(&id, &other).await, Ok(false));
    }
    assert_eq!(jobs.resume(&id, PausedBy::Quota, at(30)).await, Ok(false));
    assert_eq!(held(&stores, &id).await, in_force);
    assert_eq!(jobs.resume(&id, PausedBy::Person, at(30)).await, Ok(true));
    assert_eq!(held(&stores, &id).await, (None, 20, Some(at(30))));
    let again = by(PausedBy::Quota, at(40));
    assert_eq!(jobs.pause(&id, &again).await, Ok(true));
    assert_eq!(jobs.resume(&id, PausedBy::Person, at(41)).await, Ok(true));
    assert_eq!(held(&stores, &id).await, (None, 21, Some(at(41))));
}

/// Whose answer was lost asks again: nothing is added twice, what has been lifted meanwhile stays
/// lifted, and a later pause is not lifted by an earlier request.
pub async fn job_pause_is_repeated_without_effect(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let id = job_in(&stores, "one", SalesforceStatus::Extracting).await;
    let jobs = &stores.jobs;
    let pause = by(PausedBy::Person, at(10));
    for _ in 0..2 {
        assert_eq!(jobs.pause(&id, &pause).await, Ok(true));
    }
    for lifted in [true, false] {
        let resumed = jobs.resume(&id, PausedBy::Person, at(15)).await;
        assert_eq!(resumed, Ok(lifted));
        assert_eq!(held(&stores, &id).await, (None, 5, Some(at(15))));
    }
    assert_eq!(jobs.pause(&id, &pause).await, Ok(true));
    assert_eq!(held(&stores, &id).await, (None, 5, Some(at(15))));
    let later = by(PausedBy::Person, at(20));
    assert_eq!(jobs.pause(&id, &later).await, Ok(true));
    let resumed = jobs.resume(&id, PausedBy::Person, at(15)).await;
    assert_eq!(resumed, Ok(false));
    assert_eq!(held(&stores, &id).await, (Some(later), 5, Some(at(15))));
}

/// What is over is not held; what fails or is cancelled while it is held is held no longer.
pub async fn job_that_is_over_is_not_held(harness: &dyn StoreHarness) {
    use SalesforceStatus::{Cancelled, Failed, Sealed};
    let stores = harness.stores().await;
    let jobs = &stores.jobs;
    let pause = by(PausedBy::Person, at(10));
    for status in [Sealed, Failed, Cancelled] {
        let id = job_in(&stores, status.name(), status).await;
        assert_eq!(jobs.pause(&id, &pause).await, Ok(false));
        assert_eq!(held(&stores, &id).await, (None, 0, None));
    }
    for status in [Failed, Cancelled] {
        let name = format!("held-{}", status.name());
        let id = job_in(&stores, &name, SalesforceStatus::Counting).await;
        assert_eq!(jobs.pause(&id, &pause).await, Ok(true));
        let moved = jobs.transition(&id, status, at(12), None).await;
        assert_eq!(moved, Ok(Moved::Now));
        assert_eq!(held(&stores, &id).await, (None, 2, Some(at(12))));
    }
}
