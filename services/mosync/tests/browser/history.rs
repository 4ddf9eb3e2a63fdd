//! The history of mOS Settings, and the way back.

use browser::world::ANNA;
use serde_json::json;

use crate::settings::settings;
use crate::{signed_in, world};

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_is_reverted_after_a_look_at_what_that_does() {
    let world = world(5).await;
    for switch in ["on", "off"] {
        let saved = world
            .mosync(&["settings", "set", "sync-closed", switch])
            .await;
        assert_eq!(saved.code, Some(0), "{}", saved.stderr);
    }
    world.rest().await;
    let saved = world
        .mosync(&["settings", "set", "admin-emails", "anna@acme.example"])
        .await;
    assert_eq!(saved.code, Some(0), "{}", saved.stderr);
    let last = world.status().await["settings_revision"].as_u64().unwrap();
    let closed_too = last - 2;

    let browser = signed_in(&world, ANNA).await;
    browser.go(&world.page("/settings")).await;
    browser.press("History").await;
    browser.until_titled("History of mOS Settings").await;
    let rows = browser.texts("tbody tr").await;
    assert!(
        rows[0].contains("In force") && rows[0].contains("anna@acme.example"),
        "{rows:?}"
    );
    assert!(!rows[0].contains("Revert"), "{rows:?}");

    browser
        .press(&format!("Revert to this revision {closed_too}"))
        .await;
    browser.until_titled("Save these settings?").await;
    browser.until_shown("Sync closed").await;
    assert_eq!(
        settings(&world).await["sync_closed"],
        json!(false),
        "nothing is saved yet"
    );
    browser.press("Save").await;
    browser.until_shown("is saved and in force").await;
    let now = settings(&world).await;
    assert_eq!(now["sync_closed"], json!(true));
    assert_eq!(
        now.get("admin_emails")
            .filter(|emails| **emails != json!([])),
        None
    );
    assert_eq!(world.status().await["settings_revision"], last + 1);

    browser.press("What it changed").await;
    browser.until_titled("History of mOS Settings").await;
    let rows = browser.texts("tbody tr").await;
    assert!(
        rows[0].contains(&(last + 1).to_string()) && rows[0].contains(ANNA),
        "{rows:?}"
    );
}
