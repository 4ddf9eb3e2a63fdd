//! A record that mOS refuses: found in the logs, retried among the parked, explained.

use browser::world::{ANNA, OTTO};
use browser::{Browser, World};
use fake_mos::{Fault, RejectCode};
use serde_json::json;

use crate::{signed_in, world};

/// mOS refuses an opportunity, which is parked for that; its id.
async fn refused(world: &World) -> String {
    let id = world.open_deals().pop().unwrap();
    world.break_mos(Fault::Reject {
        code: RejectCode::ValueTooLong,
        field: Some("name".to_owned()),
        probability: None,
        ids: vec![id.clone()],
        count: None,
    });
    world.update("Opportunity", &id, &json!({"NextStep": "Call back"}));
    let status = world.rest().await;
    assert_eq!(status["parked"], json!({"value_too_long": 1}));
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_is_found_in_the_logs_and_followed_to_its_record() {
    let world = world(20).await;
    let id = refused(&world).await;
    let browser = signed_in(&world, OTTO).await;
    browser.go(&world.page("/logs")).await;
    browser.choose("#level", "warning").await;
    browser.press("Search").await;
    let line = format!(
        "[...document.querySelectorAll('tbody tr')].find((it) => it.innerText.includes('{id}'))?.innerText"
    );
    let line = browser.until("the line of the record", &line).await;
    let line = line.as_str().unwrap();
    assert!(line.contains("Warning") || line.contains("Error"), "{line}");
    let levels = browser.texts("tbody .badge").await;
    assert!(levels.iter().all(|level| level != "Info"), "{levels:?}");

    browser.click(&format!("a[href='/logs?record={id}']")).await;
    browser.until_shown(&format!("Timeline of {id}")).await;
    assert!(!browser.texts(".timeline li").await.is_empty());
    // To the record's own page in Salesforce.
    let link = browser
        .says("document.querySelector('main a.record').href")
        .await;
    let expected = format!("{}/lightning/r/{id}/view", world.salesforce.instance_url());
    assert_eq!(link, expected.as_str());
    browser.fill("#since", "").await;
    browser.go(&world.page("/logs?since=yesterday")).await;
    browser.until_shown("Nothing was searched").await;
    assert!(!browser.text("#since-error").await.is_empty());
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
