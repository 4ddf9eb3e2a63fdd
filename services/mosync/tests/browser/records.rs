//! A record that mOS refuses: found in the logs, retried among the parked, explained.

use browser::world::{ANNA, OTTO};
use browser::{Browser, World};
use fake_mos::{Fault, RejectCode};
use serde_json::{Value, json};

use crate::{signed_in, world};

/// mOS refuses an opportunity, which is parked for that; its id.
pub(crate) async fn refused(world: &World) -> String {
    let id = world.open_deals().pop().unwrap();
    let status = refuse(world, &id).await;
    assert_eq!(status["parked"], json!({"value_too_long": 1}));
    id
}

/// The same of one that is named; the status then.
pub(crate) async fn refuse(world: &World, id: &str) -> Value {
    world.break_mos(Fault::Reject {
        code: RejectCode::ValueTooLong,
        field: Some("name".to_owned()),
        probability: None,
        ids: vec![id.to_owned()],
        count: None,
    });
    world.update("Opportunity", id, &json!({"NextStep": "Call back"}));
    world.rest().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_is_found_in_the_logs_and_followed_to_its_job() {
    let world = world(20).await;
    world.break_salesforce(fake_salesforce::faults::Fault::Truncated {
        entity: "Opportunity".to_owned(),
    });
    world
        .until("an event is dead", |status| status["dead"] == 1)
        .await;
    world.rest().await;
    let browser = signed_in(&world, OTTO).await;
    browser.go(&world.page("/logs")).await;
    assert!(
        browser
            .texts("tbody .badge")
            .await
            .contains(&"Info".to_owned())
    );
    browser.choose("#level", "warning").await;
    browser.press("Search").await;
    browser
        .until("a search", "location.search.includes('level=warning')")
        .await;
    let line = browser.until("the line of the event", "[...document.querySelectorAll('tbody tr')].find((it) => it.innerText.includes('cannot be read'))?.innerText").await;
    assert!(line.as_str().unwrap().contains("Warning"), "{line}");
    let levels = browser.texts("tbody .badge").await;
    assert!(levels.iter().all(|level| level != "Info"), "{levels:?}");
    browser.click("tbody a[href^='/jobs/catch_up']").await;
    browser.until_titled("Catch up a gap").await;

    browser.go(&world.page("/logs?since=yesterday")).await;
    browser.until_shown("Nothing was searched").await;
    assert!(!browser.text("#since-error").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_has_a_timeline_with_the_way_to_salesforce() {
    let world = world(20).await;
    let id = refused(&world).await;
    let reason = ["parked", "dismiss", &id, "--reason", "Agreed with sales"];
    let dismissed = world.mosync(&reason).await;
    assert_eq!(dismissed.code, Some(0), "{}", dismissed.stderr);
    let browser = signed_in(&world, OTTO).await;
    browser.go(&world.page("/logs")).await;
    browser.fill("#record", &id).await;
    browser.press("Search").await;
    browser.until_shown(&format!("Timeline of {id}")).await;
    let lines = browser.texts(".timeline li").await;
    assert!(lines[0].contains("Agreed with sales"), "{lines:?}");
    let link = browser
        .says("document.querySelector('main a.record').href")
        .await;
    let expected = format!("{}/lightning/r/{id}/view", world.salesforce.instance_url());
    assert_eq!(link, expected.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_record_is_retried_and_leaves_the_list() {
    let world = world(20).await;
    let id = refused(&world).await;
    let browser = signed_in(&world, OTTO).await;
    browser.go(&world.page("/sync-status")).await;
    browser.press("1 parked").await;
    browser.until_titled("Parked Records").await;
    browser.until_shown("Shorten the field").await;

    // Nothing ticked: said in place.
    browser.press("Retry now").await;
    browser.until_shown("Tick the records").await;
    // Read aloud at once.
    let alert = browser.text("[role=alert]").await;
    assert!(alert.contains("Tick the records"), "{alert}");
    browser.click(&format!("#record-{id}")).await;
    // A dismissal wants a reason.
    browser.press("Dismiss").await;
    assert!(
        browser.text("#reason-error").await.contains("reason"),
        "{}",
        browser.shown().await
    );
    assert_eq!(
        browser
            .says(&format!("document.getElementById('record-{id}').checked"))
            .await,
        true
    );

    world.break_mos(Fault::Clear);
    browser.press("Retry now").await;
    browser
        .until_shown("1 record will be read back from Salesforce")
        .await;
    let said = browser.text("main [role=status]:not(:empty)").await;
    assert!(said.contains("1 record will be read back"), "{said}");
    let status = world.rest().await;
    assert_eq!(status["parked"], json!({}));
    browser.go(&world.page("/parked")).await;
    browser.until_shown("No record is parked.").await;
}

async fn explain(browser: &Browser, what: &str) -> String {
    browser.fill("#record", what).await;
    browser.press("Explain").await;
    browser.text(".answer").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_explained_by_its_id_or_its_address() {
    let world = world(20).await;
    let id = refused(&world).await;
    let browser = signed_in(&world, ANNA).await;
    browser.go(&world.page("/explain")).await;
    let answer = explain(&browser, &id).await;
    assert!(answer.contains("Needs attention"), "{answer}");
    let steps = browser.texts(".chain h3").await;
    for step in ["In Salesforce", "Opportunity filter", "Parked", "In mOS"] {
        assert!(
            steps.iter().any(|it| it.starts_with(step)),
            "{step}: {steps:?}"
        );
    }

    world.break_mos(Fault::Clear);
    let retried = world.mosync(&["parked", "retry", &id]).await;
    assert_eq!(retried.code, Some(0), "{}", retried.stderr);
    world.rest().await;
    browser.go(&world.page("/explain")).await;
    let address = format!(
        "{}/lightning/r/Opportunity/{id}/view",
        world.salesforce.instance_url()
    );
    let answer = explain(&browser, &address).await;
    assert!(answer.contains("In mOS, and current"), "{answer}");

    browser.go(&world.page("/explain")).await;
    browser.fill("#record", "no id").await;
    browser.press("Explain").await;
    assert!(!browser.text("#record-error").await.is_empty());
}
