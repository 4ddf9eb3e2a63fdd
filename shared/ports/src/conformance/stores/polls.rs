//! How far objects have been polled.

use domain::ObjectKind;

use super::{StoreHarness, at, id};
use crate::stores::{PollState, PollUnderWay};

/// Each object has a state of its own, replaced as a whole and kept over a restart.
pub async fn poll_state_is_replaced_and_kept(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    assert_eq!(stores.position.poll(ObjectKind::User).await, Ok(None));
    let first = PollState {
        from: at(-600),
        under_way: None,
        polled: None,
        found: None,
        hole: true,
    };
    let second = PollState {
        from: at(-300),
        under_way: Some(PollUnderWay {
            begun: at(1),
            stamp: at(0),
            id: id(ObjectKind::User, 1),
        }),
        polled: Some(at(-60)),
        found: Some(at(2)),
        hole: false,
    };
    for state in [&first, &second] {
        let stored = stores.position.store_poll(ObjectKind::User, state).await;
        assert_eq!(stored, Ok(()));
    }
    let stored = stores.position.store_poll(ObjectKind::Account, &first);
    assert_eq!(stored.await, Ok(()));
    harness.restart().await;
    let position = harness.stores().await.position;
    assert_eq!(position.poll(ObjectKind::User).await, Ok(Some(second)));
    assert_eq!(position.poll(ObjectKind::Account).await, Ok(Some(first)));
    assert_eq!(position.poll(ObjectKind::Contact).await, Ok(None));
    assert_eq!(position.stream("User").await, Ok(None));
}
