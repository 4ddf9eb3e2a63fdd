//! Notes of units over which workers die.

use super::{StoreHarness, at};

/// A note is replaced by the next of its unit, outlives a restart, and ends without any other.
pub async fn trials_are_kept_until_they_end(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    assert_eq!(stores.trials.trial("one").await, Ok(None));
    assert_eq!(stores.trials.end("one").await, Ok(()));
    for (unit, note) in [("one", "1"), ("two", "1"), ("one", "\"ä\"")] {
        assert_eq!(stores.trials.keep(unit, note, at(1)).await, Ok(()));
    }
    harness.restart().await;
    let stores = harness.stores().await;
    let note = stores.trials.trial("one").await;
    assert_eq!(note, Ok(Some("\"ä\"".to_owned())));
    assert_eq!(stores.trials.end("one").await, Ok(()));
    assert_eq!(stores.trials.trial("one").await, Ok(None));
    assert_eq!(stores.trials.trial("two").await, Ok(Some("1".to_owned())));
}

/// A note outlives a day less a second and not a day; the next of its unit begins the day anew.
pub async fn trials_are_forgotten_after_a_day(harness: &dyn StoreHarness) {
    const DAY: i64 = 24 * 60 * 60;
    let stores = harness.stores().await;
    let trials = &stores.trials;
    for (unit, now) in [("one", 10), ("two", 10), ("two", 11), ("three", 9 + DAY)] {
        assert_eq!(trials.keep(unit, "note", at(now)).await, Ok(()));
    }
    assert_eq!(trials.trial("one").await, Ok(Some("note".to_owned())));
    assert_eq!(trials.keep("three", "note", at(10 + DAY)).await, Ok(()));
    assert_eq!(trials.trial("one").await, Ok(None));
    assert_eq!(trials.trial("two").await, Ok(Some("note".to_owned())));
}
