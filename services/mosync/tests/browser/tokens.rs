//! API tokens: made, used, revoked.

use browser::World;
use browser::world::ANNA;

use crate::{signed_in, world};

/// What the API answers to whoever presents this token.
pub(crate) async fn status_for(token: &str, world: &World) -> u16 {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let asked = client.get(world.page("/api/v1/status")).bearer_auth(token);
    asked.send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_made_used_and_revoked_and_then_refused() {
    let world = world(5).await;
    let browser = signed_in(&world, ANNA).await;
    browser.go(&world.page("/access")).await;
    browser.until_shown("No token has been made here").await;
    browser.fill("#name", "Monthly report").await;
    browser.choose("#scope", "read").await;
    browser.press("Make token").await;
    let token = browser.text("#new-token").await;
    assert_eq!(status_for(&token, &world).await, 200);

    // Shown once, and never again.
    browser.go(&world.page("/access")).await;
    let row = browser.text("tbody tr").await;
    assert!(
        row.contains("Monthly report") && row.contains("In force"),
        "{row}"
    );
    assert!(!row.contains("never"), "it was used: {row}");
    assert!(
        !browser
            .says("document.documentElement.outerHTML")
            .await
            .as_str()
            .unwrap()
            .contains(&token)
    );

    browser.press("Revoke Monthly report").await;
    browser.until_shown("is revoked").await;
    let row = browser.text("tbody tr").await;
    assert!(row.contains("Revoked") && row.contains(ANNA), "{row}");
    assert_eq!(status_for(&token, &world).await, 401);
}
