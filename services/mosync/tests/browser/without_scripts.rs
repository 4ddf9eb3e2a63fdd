//! Everything but live updates works in a browser without JavaScript.

use browser::Scripts;
use browser::world::ANNA;
use fake_mos::Fault;
use serde_json::json;

use crate::records::refused;
use crate::settings::{add_condition, figure, settings};
use crate::tokens::status_for;
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
    add_condition(&browser, 1).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_while_the_session_ends_goes_through_the_sign_in() {
    let world = world(5).await;
    let browser = signed_in_with(Scripts::Off, &world, ANNA).await;
    browser.go(&world.page("/settings")).await;
    browser.fill("#emails", "anna@acme.example").await;
    browser.click("#run_in_sandbox").await;
    browser.forget().await;
    browser.press("Save").await;
    browser.until_shown("kept on this page").await;

    browser.press("Sign in with Salesforce").await;
    browser.go_to_window(2).await;
    browser.sign_in_at_salesforce(ANNA).await;
    browser.until_titled("Sync Status").await;
    browser.close_window().await;
    browser.go_to_window(1).await;
    browser.press("Go on").await;
    browser.until_titled("Nothing was done yet").await;
    browser.press("Send it again").await;
    browser.until_titled("Save these settings?").await;
    browser.press("Save").await;
    browser.until_shown("is saved and in force").await;
    let saved = settings(&world).await;
    assert_eq!(saved["admin_emails"], json!(["anna@acme.example"]));
    assert_eq!(saved["run_in_sandbox"], json!(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_jobs_and_tokens_are_seen_to_without_scripts() {
    let world = world(20).await;
    let id = refused(&world).await;
    let browser = signed_in_with(Scripts::Off, &world, ANNA).await;

    // The error is found, and explained from there.
    browser.go(&world.page("/logs")).await;
    browser.choose("#level", "error").await;
    browser.fill("#record", &id).await;
    browser.press("Search").await;
    browser.until_shown(&format!("Timeline of {id}")).await;
    let lines = browser.texts(".timeline li").await;
    assert!(lines[0].contains("parked at the load stage"), "{lines:?}");
    browser.press("Explain").await;
    let answer = browser.text(".answer").await;
    assert!(answer.contains("Needs attention"), "{answer}");

    // It is mended in mOS, and tried again.
    world.break_mos(Fault::Clear);
    browser.go(&world.page("/parked")).await;
    browser.click(&format!("#record-{id}")).await;
    browser.press("Retry now").await;
    browser
        .until_shown("1 record will be read back from Salesforce")
        .await;
    assert_eq!(world.rest().await["parked"], json!({}));
    browser.go(&world.page("/explain")).await;
    browser.fill("#record", &id).await;
    browser.press("Explain").await;
    let answer = browser.text(".answer").await;
    assert!(answer.contains("In mOS, and current"), "{answer}");

    // All is sent; how far that is, is read again by hand.
    browser.go(&world.page("/settings")).await;
    browser.press("Sync all data to mOS").await;
    browser.until_titled("Sync all data to mOS?").await;
    browser.press("Sync all data to mOS").await;
    browser.until_titled("Sync all data").await;
    let job = world.rest().await["last_sync_all"].clone();
    let path = format!("/jobs/{}", job["id"].as_str().unwrap());
    assert_eq!(browser.path().await, path);
    browser.press("Read again").await;
    browser
        .until(
            "the job is seen completed",
            "[...document.querySelectorAll('main .badge')].slice(0, 2).map((it) => it.innerText).join() === 'Completed,Completed'",
        )
        .await;
    let all = &job["total"];
    assert_eq!(
        figure(&browser, "Records done").await,
        format!("{all} of {all}")
    );

    browser.go(&world.page("/access")).await;
    browser.fill("#name", "Monthly report").await;
    browser.press("Make token").await;
    let token = browser.text("#new-token").await;
    assert_eq!(status_for(&token, &world).await, 200);
    browser.press("Revoke Monthly report").await;
    browser.until_shown("is revoked").await;
    assert_eq!(status_for(&token, &world).await, 401);
}
