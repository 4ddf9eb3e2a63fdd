//! The units of live hours.

use domain::job::{JobId, JobKind, JobScope, Progress, SalesforceStatus};

use super::{StoreHarness, at, get, job, tally};
use crate::stores::Stores;

/// Live units get 0, 1, 2, ...; the first creates the job, which is extracting from then on.
pub async fn live_units_are_numbered_densely(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let (hour, next) = (JobId::live(at(0)), JobId::live(at(7200)));
    for index in 0..3 {
        let when = at(i64::try_from(index).unwrap_or_default());
        assert_eq!(stores.jobs.open_live_unit(&hour, when).await, Ok(index));
    }
    assert_eq!(stores.jobs.open_live_unit(&next, at(7200)).await, Ok(0));
    harness.restart().await;
    let stores = harness.stores().await;
    assert_eq!(stores.jobs.open_live_unit(&hour, at(9)).await, Ok(3));
    let job = get(&stores, &hour).await;
    assert_eq!(job.kind, JobKind::Live);
    assert_eq!(job.scope, JobScope::Stream);
    assert_eq!(job.requested, at(0));
    assert_eq!(job.started, Some(at(0)));
    assert_eq!(job.salesforce, SalesforceStatus::Extracting);
    assert_eq!(job.units, 4);
    assert_eq!(job.pending(), 4);
    assert_eq!(job.last_advanced, Some(at(9)));
}

async fn live(stores: &Stores, id: &JobId) -> (u64, u64, u64, u64) {
    let job = get(stores, id).await;
    (job.units, job.counted, job.abandoned, job.pending())
}

/// A new listener does not wait for the unit that the old one opened last, whatever its hour, and
/// for no other: the ones before are confirmed. Repeating it, also over a restart, gives up no
/// more; other kinds of job give nothing up.
pub async fn live_unit_in_doubt_is_abandoned_alone(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let jobs = &stores.jobs;
    assert_eq!(jobs.abandon_live_units().await, Ok(()));
    let (hour, next) = (JobId::live(at(0)), JobId::live(at(7200)));
    let other = job("one", at(0));
    assert_eq!(jobs.create(&other).await, Ok(()));
    let progress = Progress {
        next_index: 5,
        announced: 5,
        ..Progress::default()
    };
    let advanced = jobs.advance(&other.id, &progress, None, at(1)).await;
    assert_eq!(advanced, Ok(()));
    for index in 0..3 {
        assert_eq!(jobs.open_live_unit(&hour, at(0)).await, Ok(index));
    }
    assert_eq!(jobs.open_live_unit(&next, at(7200)).await, Ok(0));
    assert_eq!(jobs.open_live_unit(&next, at(7201)).await, Ok(1));
    harness.restart().await;
    let stores = harness.stores().await;
    let jobs = &stores.jobs;
    assert_eq!(jobs.abandon_live_units().await, Ok(()));
    assert_eq!(live(&stores, &hour).await, (3, 0, 0, 3));
    assert_eq!(live(&stores, &next).await, (2, 0, 1, 1));
    harness.restart().await;
    let stores = harness.stores().await;
    let jobs = &stores.jobs;
    assert_eq!(jobs.abandon_live_units().await, Ok(()));
    assert_eq!(live(&stores, &hour).await, (3, 0, 0, 3));
    assert_eq!(live(&stores, &next).await, (2, 0, 1, 1));
    assert_eq!(get(&stores, &other.id).await.pending(), 5);
    // What was given up is all that the hour waited for.
    assert_eq!(
        jobs.count(&next, 0, None, &tally(1), at(7202)).await,
        Ok(true)
    );
    assert_eq!(live(&stores, &next).await, (2, 1, 1, 0));
}

/// Once its count arrives, an abandoned unit is one like any other; no other unit's count takes it
/// back, and its own does so once.
pub async fn live_unit_abandoned_may_still_be_counted(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let jobs = &stores.jobs;
    let hour = JobId::live(at(0));
    for last in [1, 3] {
        for index in [last - 1, last] {
            assert_eq!(jobs.open_live_unit(&hour, at(0)).await, Ok(index));
        }
        assert_eq!(jobs.abandon_live_units().await, Ok(()));
    }
    assert_eq!(live(&stores, &hour).await, (4, 0, 2, 2));
    // Those below and between are counted as they always were.
    for index in [2, 0] {
        assert_eq!(
            jobs.count(&hour, index, None, &tally(1), at(1)).await,
            Ok(true)
        );
    }
    assert_eq!(live(&stores, &hour).await, (4, 2, 2, 0));
    harness.restart().await;
    let stores = harness.stores().await;
    let jobs = &stores.jobs;
    for new in [true, false] {
        assert_eq!(jobs.count(&hour, 1, None, &tally(1), at(2)).await, Ok(new));
        assert_eq!(live(&stores, &hour).await, (4, 3, 1, 0));
    }
    // The new listener's units are waited for.
    assert_eq!(jobs.open_live_unit(&hour, at(3)).await, Ok(4));
    assert_eq!(live(&stores, &hour).await, (5, 3, 1, 1));
    assert_eq!(jobs.count(&hour, 4, None, &tally(1), at(3)).await, Ok(true));
    assert_eq!(jobs.count(&hour, 3, None, &tally(1), at(4)).await, Ok(true));
    assert_eq!(live(&stores, &hour).await, (5, 5, 0, 0));
}

/// A unit that is confirmed, or has been counted, is given up by nobody; a unit that is opened
/// after a confirmation is in doubt again.
pub async fn live_units_confirmed_or_counted_are_not_abandoned(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let jobs = &stores.jobs;
    let hour = JobId::live(at(0));
    assert_eq!(jobs.confirm_live_units().await, Ok(()));
    assert_eq!(jobs.open_live_unit(&hour, at(0)).await, Ok(0));
    for _ in 0..2 {
        assert_eq!(jobs.confirm_live_units().await, Ok(()));
    }
    assert_eq!(jobs.abandon_live_units().await, Ok(()));
    assert_eq!(live(&stores, &hour).await, (1, 0, 0, 1));
    assert_eq!(jobs.open_live_unit(&hour, at(1)).await, Ok(1));
    assert_eq!(jobs.count(&hour, 1, None, &tally(1), at(1)).await, Ok(true));
    assert_eq!(jobs.abandon_live_units().await, Ok(()));
    assert_eq!(live(&stores, &hour).await, (2, 1, 0, 1));
    assert_eq!(jobs.open_live_unit(&hour, at(2)).await, Ok(2));
    assert_eq!(jobs.abandon_live_units().await, Ok(()));
    assert_eq!(live(&stores, &hour).await, (3, 1, 1, 1));
}

/// Live units that are neither counted nor abandoned are named; all that were opened have been
/// published, but for the one in doubt.
pub async fn live_units_missing_are_named(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let jobs = &stores.jobs;
    let hour = JobId::live(at(0));
    assert_eq!(jobs.missing(&hour, 10).await, Ok(vec![]));
    for index in 0..12 {
        assert_eq!(jobs.open_live_unit(&hour, at(0)).await, Ok(index));
    }
    for index in [0, 1, 4, 5, 6, 7, 8] {
        let counted = jobs.count(&hour, index, None, &tally(1), at(1)).await;
        assert_eq!(counted, Ok(true));
    }
    assert_eq!(jobs.abandon(&hour, &[2]).await, Ok(()));
    assert_eq!(jobs.missing(&hour, 10).await, Ok(vec![3, 9, 10, 11]));
    assert_eq!(jobs.missing(&hour, 2).await, Ok(vec![3, 9]));
    harness.restart().await;
    let stores = harness.stores().await;
    let jobs = &stores.jobs;
    assert_eq!(jobs.abandon(&hour, &[3, 9, 10, 11]).await, Ok(()));
    assert_eq!(jobs.missing(&hour, 10).await, Ok(vec![]));
    assert_eq!(live(&stores, &hour).await, (12, 7, 5, 0));
}
