//! Small documents, and the count of API requests.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{StoreHarness, at};
use crate::stores::{CALLS_KEPT, hour_of};

const HOUR: Duration = Duration::from_secs(3_600);

/// The last document of each name, also after a restart.
pub async fn notes_are_replaced_and_kept(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    assert_eq!(stores.notes.note("swept").await, Ok(None));
    for (name, document) in [("swept", "{}"), ("org", "\"ä\""), ("swept", "{\"at\":1}")] {
        assert_eq!(stores.notes.keep(name, document).await, Ok(()));
    }
    harness.restart().await;
    let stores = harness.stores().await;
    assert_eq!(
        stores.notes.note("swept").await,
        Ok(Some("{\"at\":1}".to_owned()))
    );
    assert_eq!(stores.notes.note("org").await, Ok(Some("\"ä\"".to_owned())));
}

/// Requests are added up by hour, and told from an hour on.
pub async fn calls_are_counted_by_hour(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let (first, later) = (at(0), at(0).after(HOUR));
    assert_eq!(stores.calls.calls(at(0)).await, Ok(BTreeMap::new()));
    for (at, calls) in [(first, 3), (later, 10), (first, 4)] {
        assert_eq!(stores.calls.add_calls(at, calls).await, Ok(()));
    }
    harness.restart().await;
    let stores = harness.stores().await;
    let both = BTreeMap::from([(hour_of(first), 7), (hour_of(later), 10)]);
    assert_eq!(stores.calls.calls(first).await, Ok(both));
    let last = BTreeMap::from([(hour_of(later), 10)]);
    assert_eq!(stores.calls.calls(later).await, Ok(last));
}

/// What nobody asks for any more goes.
pub async fn calls_of_old_hours_are_forgotten(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let (old, now) = (at(0), at(0).after(CALLS_KEPT + HOUR));
    stores.calls.add_calls(old, 3).await.expect("counted");
    stores.calls.add_calls(now, 4).await.expect("counted");
    let left = BTreeMap::from([(hour_of(now), 4)]);
    assert_eq!(stores.calls.calls(old).await, Ok(left));
}
