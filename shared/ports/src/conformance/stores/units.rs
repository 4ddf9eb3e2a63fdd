//! Units: counted once, missing, abandoned.

use std::sync::Arc;

use domain::job::{JobId, JobKind, SalesforceStatus};
use domain::unit::UnitCopy;
use tokio::task::JoinSet;

use super::{StoreHarness, at, get, job, job_id, job_in, published, tally};
use crate::stores::{Moved, Sending, Standing, Stores};

/// Whoever counts a unit first counts it, whatever the others say at the same time, also over a
/// restart.
pub async fn unit_is_counted_once(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let job = job("one", at(1));
    assert_eq!(stores.jobs.create(&job).await, Ok(()));
    let mut counting = JoinSet::new();
    for copy in 0..4 {
        for index in 0..10 {
            let (jobs, id) = (Arc::clone(&stores.jobs), job.id.clone());
            counting.spawn(async move {
                jobs.count(&id, index, None, &tally(index + 1), at(copy))
                    .await
            });
        }
    }
    let counted = counting.join_all().await;
    let first = counted.iter().filter(|counted| **counted == Ok(true));
    assert_eq!(first.count(), 10);
    assert!(counted.iter().all(Result::is_ok));
    harness.restart().await;
    let stores = harness.stores().await;
    let again = stores.jobs.count(&job.id, 3, None, &tally(4), at(9)).await;
    assert_eq!(again, Ok(false));
    let found = get(&stores, &job.id).await;
    assert_eq!(found.counted, 10);
    assert_eq!(found.tally, tally(55));
    let one = tally(1);
    let far = stores
        .jobs
        .count(&job.id, 1_000_000, None, &one, at(10))
        .await;
    assert_eq!(far, Ok(true));
    assert_eq!(get(&stores, &job.id).await.last_counted, Some(at(10)));
}

/// Units whose job's history was lost are counted all the same, under a job of their kind.
pub async fn unit_of_an_unknown_job_is_counted(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    for kind in JobKind::ALL {
        let id = job_id(kind, "lost");
        for (new, index) in [(true, 7), (false, 7), (true, 8)] {
            let counted = stores.jobs.count(&id, index, None, &tally(1), at(1)).await;
            assert_eq!(counted, Ok(new));
        }
        let job = get(&stores, &id).await;
        assert_eq!(job.kind, kind);
        assert_eq!(job.counted, 2);
        assert_eq!(job.tally, tally(2));
    }
}

/// Whether the unit is counted and whether its job is cancelled, each by itself; nothing is known of
/// unknown ones.
pub async fn unit_standing_is_told(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let jobs = &stores.jobs;
    let standing = |cancelled, counted| {
        Ok(Standing {
            cancelled,
            counted,
            superseded: false,
        })
    };
    let unknown = job_id(JobKind::Backfill, "unknown");
    assert_eq!(jobs.standing(&unknown, 0, 0).await, standing(false, false));
    let id = job_in(&stores, "one", SalesforceStatus::Extracting).await;
    let other = job_in(&stores, "other", SalesforceStatus::Extracting).await;
    let progress = published(9);
    assert_eq!(jobs.advance(&id, &progress, None, at(2)).await, Ok(()));
    assert_eq!(jobs.count(&id, 7, None, &tally(1), at(3)).await, Ok(true));
    assert_eq!(jobs.abandon(&id, &[6]).await, Ok(()));
    assert_eq!(jobs.standing(&id, 6, 0).await, standing(false, false));
    assert_eq!(jobs.standing(&id, 7, 0).await, standing(false, true));
    assert_eq!(jobs.standing(&other, 7, 0).await, standing(false, false));
    let cancelled = SalesforceStatus::Cancelled;
    assert_eq!(
        jobs.transition(&id, cancelled, at(4), None).await,
        Ok(Moved::Now)
    );
    harness.restart().await;
    let stores = harness.stores().await;
    let jobs = &stores.jobs;
    assert_eq!(jobs.standing(&id, 6, 0).await, standing(true, false));
    assert_eq!(jobs.standing(&id, 7, 0).await, standing(true, true));
    assert_eq!(jobs.standing(&other, 7, 0).await, standing(false, false));
}

fn before_sending(step: u32) -> UnitCopy {
    UnitCopy {
        step,
        content: None,
    }
}

fn to_send(step: u32, content: &str) -> UnitCopy {
    UnitCopy {
        step,
        content: Some(content.to_owned()),
    }
}

/// Of several copies that are about to be sent at the same time one is the first, and stays the one;
/// what only asks takes nothing. The others are superseded, at every stage, until a step further.
pub async fn one_copy_of_a_unit_is_sent(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let id = job_in(&stores, "one", SalesforceStatus::Extracting).await;
    let copy = to_send(0, "x");
    let asked = stores.jobs.begin_sending(&id, 3, &copy, false).await;
    assert_eq!(asked, Ok(Sending::First));
    let mut copies = JoinSet::new();
    for copy in ["a", "b", "c"] {
        let (jobs, id) = (Arc::clone(&stores.jobs), id.clone());
        copies.spawn(async move {
            let begun = jobs.begin_sending(&id, 3, &to_send(0, copy), true).await;
            (copy, begun.expect("the store answers"))
        });
    }
    let begun = copies.join_all().await;
    let of = |wanted| begun.iter().filter(move |(_, begun)| *begun == wanted);
    assert_eq!(of(Sending::First).count(), 1, "{begun:?}");
    assert_eq!(of(Sending::Superseded).count(), 2, "{begun:?}");
    let (first, _) = of(Sending::First).next().expect("one is");
    let (other, _) = of(Sending::Superseded).next().expect("two are");

    harness.restart().await;
    let stores = harness.stores().await;
    let jobs = &stores.jobs;
    let begin = async |index, copy: &UnitCopy| {
        let begun = jobs.begin_sending(&id, index, copy, true).await;
        begun.expect("the store answers")
    };
    let superseded = async |step| {
        let standing = jobs.standing(&id, 3, step).await;
        standing.expect("the store answers").superseded
    };
    assert_eq!(begin(3, &to_send(0, first)).await, Sending::Again);
    assert_eq!(begin(3, &to_send(0, other)).await, Sending::Superseded);
    assert_eq!(begin(4, &to_send(0, other)).await, Sending::First);
    assert!(superseded(0).await && !superseded(1).await);
    // What was left of the first goes on, and takes over.
    assert_eq!(begin(3, &to_send(1, "left")).await, Sending::First);
    assert_eq!(begin(3, &to_send(0, first)).await, Sending::Superseded);
    assert_eq!(begin(3, &to_send(1, "other")).await, Sending::Superseded);
    assert!(superseded(1).await && !superseded(2).await);
    // Lost: any other may be sent.
    assert_eq!(jobs.forget_sendings(&id, &[]).await, Ok(()));
    assert_eq!(jobs.forget_sendings(&id, &[3, 9]).await, Ok(()));
    assert!(!superseded(0).await);
    assert_eq!(begin(3, &to_send(0, other)).await, Sending::First);
}

/// While a copy is being sent, no other is counted, at whichever stage it is; and what is begun in
/// a job that is cancelled then is brought to its end.
pub async fn the_copy_that_is_sent_is_counted(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let jobs = &stores.jobs;
    let id = job_in(&stores, "one", SalesforceStatus::Extracting).await;
    let sent = to_send(1, "sent");
    let begin = async |index, copy: &UnitCopy| {
        let begun = jobs.begin_sending(&id, index, copy, true).await;
        begun.expect("the store answers")
    };
    let count = async |index, copy: &UnitCopy| {
        let counted = jobs.count(&id, index, Some(copy), &tally(1), at(3)).await;
        counted.expect("the store answers")
    };
    assert_eq!(begin(0, &sent).await, Sending::First);
    for other in [
        to_send(1, "other"),
        to_send(0, "sent"),
        before_sending(1),
        before_sending(0),
    ] {
        assert!(!count(0, &other).await, "{other:?}");
    }
    assert_eq!(get(&stores, &id).await.counted, 0);
    assert!(count(0, &sent).await);
    assert!(!count(0, &sent).await);
    assert_eq!(begin(0, &sent).await, Sending::Counted);
    assert_eq!(begin(0, &to_send(2, "later")).await, Sending::Counted);
    // What it was handed on as takes over; nothing is being sent of those that end before.
    assert_eq!(begin(1, &sent).await, Sending::First);
    assert!(count(1, &before_sending(2)).await);
    assert!(count(2, &before_sending(0)).await);

    assert_eq!(begin(3, &sent).await, Sending::First);
    let cancelled = SalesforceStatus::Cancelled;
    let moved = jobs.transition(&id, cancelled, at(4), None).await;
    assert_eq!(moved, Ok(Moved::Now));
    assert_eq!(begin(4, &sent).await, Sending::Cancelled);
    assert!(!count(3, &before_sending(0)).await);
    assert_eq!(begin(3, &sent).await, Sending::Again);
    assert!(count(3, &sent).await);
    assert_eq!(get(&stores, &id).await.counted, 4);
}

async fn counts(stores: &Stores, id: &JobId) -> (u64, u64, u64, u64) {
    let job = get(stores, id).await;
    (job.units, job.counted, job.abandoned, job.pending())
}

/// Missing is what is confirmed, neither counted nor abandoned; ascending, as many as asked for.
pub async fn units_missing_are_named(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let jobs = &stores.jobs;
    let id = job_in(&stores, "one", SalesforceStatus::Extracting).await;
    assert_eq!(jobs.missing(&id, 10).await, Ok(vec![]));
    let mut progress = published(20);
    progress.announced = 23;
    assert_eq!(jobs.advance(&id, &progress, None, at(2)).await, Ok(()));
    for index in [0, 1, 2, 3, 4, 5, 6, 7, 9, 12, 13, 14, 21] {
        assert_eq!(
            jobs.count(&id, index, None, &tally(1), at(3)).await,
            Ok(true)
        );
    }
    assert_eq!(jobs.abandon(&id, &[10, 17, 22]).await, Ok(()));
    harness.restart().await;
    let stores = harness.stores().await;
    let jobs = &stores.jobs;
    let missing = vec![8, 11, 15, 16, 18, 19];
    assert_eq!(jobs.missing(&id, 10).await, Ok(missing.clone()));
    assert_eq!(jobs.missing(&id, 6).await, Ok(missing.clone()));
    assert_eq!(jobs.missing(&id, 2).await, Ok(vec![8, 11]));
    assert_eq!(jobs.missing(&id, 0).await, Ok(vec![]));
    for index in &missing {
        assert_eq!(
            jobs.count(&id, *index, None, &tally(1), at(4)).await,
            Ok(true)
        );
    }
    assert_eq!(jobs.missing(&id, 10).await, Ok(vec![]));
    let unknown = job_id(JobKind::Backfill, "unknown");
    assert_eq!(jobs.missing(&unknown, 10).await, Ok(vec![]));
}

/// A few that are missing among thousands are found, wherever they are.
pub async fn units_missing_are_found_among_many(harness: &dyn StoreHarness) {
    const UNITS: u64 = 5_000;
    let lost = [0, 1_023, 1_024, 4_095, UNITS - 1];
    let stores = harness.stores().await;
    let id = job_in(&stores, "one", SalesforceStatus::Extracting).await;
    let advanced = stores
        .jobs
        .advance(&id, &published(UNITS), None, at(2))
        .await;
    assert_eq!(advanced, Ok(()));
    let mut counting = JoinSet::new();
    for first in 0..50 {
        let (jobs, id) = (Arc::clone(&stores.jobs), id.clone());
        counting.spawn(async move {
            for index in (first..UNITS).step_by(50) {
                if !lost.contains(&index) {
                    let counted = jobs.count(&id, index, None, &tally(1), at(3)).await;
                    assert_eq!(counted, Ok(true));
                }
            }
        });
    }
    counting.join_all().await;
    let missing = stores.jobs.missing(&id, 100).await;
    assert_eq!(missing, Ok(lost.to_vec()));
    let all_but = UNITS - u64::try_from(lost.len()).unwrap_or_default();
    assert_eq!(get(&stores, &id).await.tally, tally(all_but));
}

/// Abandoned units are not waited for, each once; not those that are counted or were never
/// announced; a count takes one back.
pub async fn units_abandoned_are_not_waited_for(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let jobs = &stores.jobs;
    let id = job_in(&stores, "one", SalesforceStatus::Extracting).await;
    let mut progress = published(2);
    progress.announced = 6;
    assert_eq!(jobs.advance(&id, &progress, None, at(2)).await, Ok(()));
    assert_eq!(jobs.count(&id, 3, None, &tally(1), at(3)).await, Ok(true));
    assert_eq!(counts(&stores, &id).await, (6, 1, 0, 5));
    for _ in 0..2 {
        let abandoned = jobs.abandon(&id, &[2, 3, 4, 5, 6, 700, 4]).await;
        assert_eq!(abandoned, Ok(()));
        assert_eq!(counts(&stores, &id).await, (6, 1, 3, 2));
    }
    harness.restart().await;
    let stores = harness.stores().await;
    let jobs = &stores.jobs;
    for new in [true, false] {
        assert_eq!(jobs.count(&id, 4, None, &tally(1), at(4)).await, Ok(new));
        assert_eq!(counts(&stores, &id).await, (6, 2, 2, 2));
    }
    assert_eq!(jobs.abandon(&id, &[4]).await, Ok(()));
    assert_eq!(jobs.abandon(&id, &[]).await, Ok(()));
    assert_eq!(counts(&stores, &id).await, (6, 2, 2, 2));
    let unknown = job_id(JobKind::Backfill, "unknown");
    assert_eq!(jobs.abandon(&unknown, &[0]).await, Ok(()));
    assert_eq!(jobs.get(&unknown).await, Ok(None));
}
