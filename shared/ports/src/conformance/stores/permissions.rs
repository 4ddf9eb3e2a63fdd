//! Permission snapshots.

use domain::permission::PermissionSnapshot;

use super::{StoreHarness, at, job, snapshot};
use crate::stores::StoreError;

/// The empty snapshot 0 before the first poll, then what was stored, also after a restart.
/// Repeating a step whose answer was lost is no conflict.
pub async fn permissions_are_empty_then_what_was_stored(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let empty = PermissionSnapshot::default();
    assert_eq!(stores.permissions.latest().await, Ok(empty));
    assert_eq!(stores.permissions.snapshot(1).await, Ok(None));
    let (first, second) = (snapshot(1, at(1)), snapshot(2, at(2)));
    for next in [&first, &second, &second] {
        assert_eq!(stores.permissions.store(next, None).await, Ok(()));
    }
    harness.restart().await;
    let stores = harness.stores().await;
    assert_eq!(stores.permissions.latest().await, Ok(second.clone()));
    assert_eq!(stores.permissions.snapshot(1).await, Ok(Some(first)));
    assert_eq!(stores.permissions.snapshot(2).await, Ok(Some(second)));
    assert_eq!(stores.permissions.snapshot(3).await, Ok(None));
}

/// A snapshot and its backfill are stored both or neither: of two pollers one is refused, with its
/// backfill.
pub async fn permissions_and_their_backfill_are_one_step(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let (mine, theirs) = (job("mine", at(1)), job("theirs", at(2)));
    let first = snapshot(1, at(1));
    let stored = stores.permissions.store(&first, Some(&mine)).await;
    assert_eq!(stored, Ok(()));
    let refused = stores
        .permissions
        .store(&snapshot(1, at(2)), Some(&theirs))
        .await;
    assert_eq!(refused, Err(StoreError::Conflict { current: 1 }));
    let refused = stores
        .permissions
        .store(&snapshot(3, at(2)), Some(&theirs))
        .await;
    assert_eq!(refused, Err(StoreError::Conflict { current: 1 }));
    assert_eq!(stores.permissions.latest().await, Ok(first));
    assert_eq!(stores.jobs.list(10).await, Ok(vec![mine]));
}

/// The last hundred snapshots can still be asked for.
pub async fn permissions_keep_the_last_hundred(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    for number in 1..=101 {
        let next = snapshot(number, at(1));
        assert_eq!(stores.permissions.store(&next, None).await, Ok(()));
    }
    assert_eq!(stores.permissions.snapshot(1).await, Ok(None));
    let oldest = stores.permissions.snapshot(2).await;
    assert_eq!(oldest, Ok(Some(snapshot(2, at(1)))));
}

/// The newest poll is remembered, whether or not it found something, and never an older one.
pub async fn permissions_remember_the_newest_poll(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    assert_eq!(stores.permissions.last_poll().await, Ok(None));
    let stored = stores.permissions.store(&snapshot(1, at(5)), None).await;
    assert_eq!(stored, Ok(()));
    assert_eq!(stores.permissions.last_poll().await, Ok(Some(at(5))));
    for begun in [at(9), at(7)] {
        assert_eq!(stores.permissions.mark_polled(begun).await, Ok(()));
    }
    assert_eq!(stores.permissions.last_poll().await, Ok(Some(at(9))));
}
