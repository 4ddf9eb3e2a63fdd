//! Everything but live updates works in a browser without JavaScript.

use browser::Scripts;
use browser::world::ANNA;
use serde_json::json;

use crate::settings::settings;
use crate::{signed_in_with, world};

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_changed_previewed_and_saved_without_scripts() {
    let world = world(20).await;
    let browser = signed_in_with(Scripts::Off, &world, ANNA).await;
    // The page offers what a script would do by itself, and names the zone that its times are in.
    browser.until_shown("Read again").await;
    assert!(
        browser
            .texts("main time")
            .await
            .iter()
            .all(|time| time.ends_with("UTC"))
    );

    browser.go(&world.page("/settings")).await;
    assert!(!browser.has(".with-script").await, "no script has run");
    browser.click("#run_in_sandbox").await;
    browser.press("Add condition").await;
    browser
        .until("a row", "document.getElementById('field.1')")
        .await;
    browser.choose("[id='field.1']", "Amount").await;
    browser.press("Show operators and values").await;
    browser
        .until(
            "a row of the field",
            "document.querySelector(\"[name='was.1']\").value === 'Amount'",
        )
        .await;
    browser.choose("[id='operator.1']", "greater_than").await;
    browser.fill("[id='text.1']", "1").await;
    browser.press("Save").await;
    browser.until_titled("Save these settings?").await;
    browser.until_shown("Run In Sandbox").await;
    browser.press("Save").await;
    browser.until_shown("is saved and in force").await;
    let saved = settings(&world).await;
    assert_eq!(saved["run_in_sandbox"], json!(true));
    assert_eq!(
        saved["filter"]["conditions"],
        json!([{"field": "Amount", "operator": "greater_than", "values": ["1"]}])
    );
    browser.press("Sign out").await;
    browser.until_shown("You have signed out").await;
}
