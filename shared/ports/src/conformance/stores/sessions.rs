//! Who has signed in to the console.

use std::time::Duration;

use domain::{ObjectKind, Timestamp};

use super::{StoreHarness, at, id};
use crate::stores::{Session, Stores};

fn session(opened: Timestamp) -> Session {
    Session {
        user: id(ObjectKind::User, 7),
        username: "anna@example.com".to_owned(),
        name: "Anna \"Ä\" Berg".to_owned(),
        instance_url: "https://example.my.salesforce.com".to_owned(),
        opened,
        seen: opened,
    }
}

async fn found(stores: &Stores, key: &str) -> Option<Session> {
    stores.sessions.session(key).await.expect("answers")
}

/// A session is found by its key until it is ended, also after a restart, and is ended once.
pub async fn sessions_begin_and_end(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    assert_eq!(found(&stores, "a").await, None);
    assert_eq!(stores.sessions.open("a", &session(at(0))).await, Ok(()));
    assert_eq!(stores.sessions.open("b", &session(at(1))).await, Ok(()));
    harness.restart().await;
    let stores = harness.stores().await;
    assert_eq!(found(&stores, "a").await, Some(session(at(0))));
    assert_eq!(found(&stores, "b").await, Some(session(at(1))));
    let closed = stores.sessions.close("a").await;
    assert_eq!(closed, Ok(Some(session(at(0)))));
    assert_eq!(stores.sessions.close("a").await, Ok(None));
    assert_eq!(found(&stores, "a").await, None);
    assert_eq!(found(&stores, "b").await, Some(session(at(1))));
}

/// When somebody was last here only moves on, and brings back no session that has ended.
pub async fn sessions_are_seen_while_they_last(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    stores
        .sessions
        .open("a", &session(at(0)))
        .await
        .expect("opened");
    for (seen, then) in [(at(5), at(5)), (at(3), at(5)), (at(9), at(9))] {
        assert_eq!(stores.sessions.seen("a", seen).await, Ok(()));
        let known = found(&stores, "a").await.expect("there");
        assert_eq!((known.opened, known.seen), (at(0), then));
    }
    let closed = stores.sessions.close("a").await.expect("closed");
    assert_eq!(closed.map(|session| session.seen), Some(at(9)));
    assert_eq!(stores.sessions.seen("a", at(10)).await, Ok(()));
    assert_eq!(found(&stores, "a").await, None);
}

/// Sessions that are too old, or idle for too long, are forgotten; the others stay.
pub async fn sessions_are_forgotten_by_age_and_idleness(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let hour = Duration::from_secs(3_600);
    let now = at(0).after(hour * 13);
    for (key, opened, seen) in [
        ("old", at(0), now),
        ("idle", at(0).after(hour * 10), at(0).after(hour * 11)),
        ("good", at(0).after(hour * 10), now),
    ] {
        stores
            .sessions
            .open(key, &session(opened))
            .await
            .expect("opened");
        stores.sessions.seen(key, seen).await.expect("seen");
    }
    let forgotten = stores
        .sessions
        .forget(now.before(hour * 12), now.before(hour))
        .await;
    assert_eq!(forgotten, Ok(2));
    for (key, is_there) in [("old", false), ("idle", false), ("good", true)] {
        assert_eq!(found(&stores, key).await.is_some(), is_there, "{key}");
    }
}
