//! Who gets in, through the stand-in org's real login and consent.

use browser::world::{ANNA, NILS, VERA};
use browser::{Browser, Scripts};

use crate::{signed_in, world};

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_signs_in_through_salesforce_and_out_again() {
    let world = world(5).await;
    let browser = Browser::open(Scripts::On).await;
    browser.go(&world.page("/jobs")).await;
    assert!(!browser.has("nav").await, "nobody is in yet");
    browser.sign_in(ANNA).await;
    // Back to where she wanted to go.
    browser.until_titled("Jobs").await;
    assert_eq!(browser.path().await, "/jobs");
    assert_eq!(browser.text(".viewer-name").await, "Anna Berg");
    assert_eq!(
        browser.text(".viewer-role").await.to_lowercase(),
        "administrator"
    );
    let tabs = browser.texts("nav .tabs a").await;
    assert!(tabs.iter().any(|tab| tab == "mOS Settings"), "{tabs:?}");
    // The connected org, and times in the zone of whoever looks, with the zone named.
    let org = world.salesforce.org.org_id().to_owned();
    assert!(browser.text(".state-org").await.contains(&org));
    let times = browser.texts("main time").await;
    assert!(!times.is_empty());
    for time in &times {
        assert!(time.contains("GMT+1") || time.contains("GMT+2"), "{time}");
    }

    browser.press("Sign out").await;
    browser.until_shown("You have signed out").await;
    browser.go(&world.page("/jobs")).await;
    browser.until_shown("Sign in with Salesforce").await;
    assert!(!browser.has("nav").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_role_is_told_whom_to_ask_and_a_viewer_sees_no_settings() {
    let world = world(5).await;
    let stranger = Browser::open(Scripts::On).await;
    stranger.go(&world.console).await;
    stranger.sign_in(NILS).await;
    stranger.until_titled("You have no access to mosync").await;
    for part in [
        "Nils Sand",
        NILS,
        "Ask a Salesforce administrator",
        "mOS admin",
    ] {
        stranger.until_shown(part).await;
    }
    assert!(!stranger.has("nav").await);
    stranger.go(&world.page("/settings")).await;
    stranger.until_shown("Sign in with Salesforce").await;
    drop(stranger);

    let viewer = signed_in(&world, VERA).await;
    let tabs = viewer.texts("nav .tabs a").await;
    assert!(!tabs.iter().any(|tab| tab == "mOS Settings"), "{tabs:?}");
    viewer.go(&world.page("/settings")).await;
    viewer.until_titled("This is not allowed").await;
    assert!(!viewer.has("main form").await);
}
