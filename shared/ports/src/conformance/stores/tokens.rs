//! Tokens of the API.

use domain::right::Right;

use super::{StoreHarness, at};
use crate::stores::{ApiToken, KnownToken, Revoked};

fn token(hash: &str, created: i64) -> ApiToken {
    ApiToken {
        hash: hash.to_owned(),
        name: format!("Report \"{hash}\""),
        scope: Right::Operate,
        created: at(created),
        created_by: "anna@example.com".to_owned(),
    }
}

fn new(hash: &str, created: i64) -> KnownToken {
    KnownToken {
        token: token(hash, created),
        used: None,
        revoked: None,
    }
}

/// A token is found by its hash, also after a restart, and all are listed, newest first.
pub async fn tokens_are_known_by_their_hash(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    assert_eq!(stores.tokens.tokens().await, Ok(Vec::new()));
    for (hash, created) in [("a", 1), ("b", 2)] {
        let added = stores.tokens.add_token(&token(hash, created)).await;
        assert_eq!(added, Ok(()));
    }
    // Of a hash that is known.
    stores
        .tokens
        .add_token(&token("a", 9))
        .await
        .expect("added");
    harness.restart().await;
    let stores = harness.stores().await;
    assert_eq!(stores.tokens.token("a").await, Ok(Some(new("a", 1))));
    assert_eq!(stores.tokens.token("c").await, Ok(None));
    assert_eq!(
        stores.tokens.tokens().await,
        Ok(vec![new("b", 2), new("a", 1)])
    );
}

/// When a token was used only moves on.
pub async fn tokens_remember_their_last_use(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    stores
        .tokens
        .add_token(&token("a", 1))
        .await
        .expect("added");
    for (moment, then) in [(at(5), at(5)), (at(3), at(5)), (at(9), at(9))] {
        assert_eq!(stores.tokens.used("a", moment).await, Ok(()));
        let known = stores.tokens.token("a").await.expect("answers");
        assert_eq!(known.and_then(|known| known.used), Some(then));
    }
    assert_eq!(stores.tokens.used("nobody", at(1)).await, Ok(()));
    assert_eq!(stores.tokens.token("nobody").await, Ok(None));
}

/// A token that was revoked stays so, and names who was first; it is still listed.
pub async fn tokens_are_revoked_for_ever(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    stores
        .tokens
        .add_token(&token("a", 1))
        .await
        .expect("added");
    let revoked = |by: &str, when| Revoked {
        at: at(when),
        by: by.to_owned(),
    };
    for end in [revoked("ben", 4), revoked("cleo", 5)] {
        assert_eq!(stores.tokens.revoke("a", &end).await, Ok(()));
    }
    stores
        .tokens
        .revoke("nobody", &revoked("ben", 4))
        .await
        .expect("answers");
    stores
        .tokens
        .add_token(&token("a", 6))
        .await
        .expect("answers");
    let known = KnownToken {
        revoked: Some(revoked("ben", 4)),
        ..new("a", 1)
    };
    assert_eq!(stores.tokens.tokens().await, Ok(vec![known]));
}
