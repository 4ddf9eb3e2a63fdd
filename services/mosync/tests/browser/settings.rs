//! mOS Settings: a filter is built, previewed and saved; wrong values; changes that are not saved.

use browser::world::ANNA;
use browser::{Browser, Scripts, World};
use serde_json::{Value, json};

use crate::{signed_in, signed_in_with, world};

/// The settings in force.
pub(crate) async fn settings(world: &World) -> Value {
    let answer = world.mosync(&["settings", "export"]).await;
    assert_eq!(answer.code, Some(0), "{}", answer.stderr);
    serde_json::from_str(&answer.stdout).unwrap()
}

/// The value under a figure's name.
pub(crate) async fn figure(browser: &Browser, name: &str) -> String {
    let expression = format!(
        "[...document.querySelectorAll('.figures > div')].find((it) => it.querySelector('dt').innerText === {})?.querySelector('dd').innerText",
        json!(name)
    );
    let said = browser
        .until(&format!("the figure {name}"), &expression)
        .await;
    said.as_str().unwrap().to_owned()
}

/// Adds a condition, and waits until its row is there, which is the one of that number then.
pub(crate) async fn add_condition(browser: &Browser, number: usize) {
    browser.press("Add condition").await;
    let row = format!("document.getElementById('field.{number}')");
    browser.until("a further row", &row).await;
}

/// Looks at the save of what is written, and does it.
pub(crate) async fn save(browser: &Browser) {
    browser.press("Save").await;
    browser.until_titled("Save these settings?").await;
    browser.press("Save").await;
    browser.until_shown("is saved and in force").await;
}

/// The values that a list offers.
async fn offered(browser: &Browser, selector: &str) -> Vec<String> {
    browser.texts(&format!("{selector} option")).await
}

/// Chooses the field of a condition, and waits until what fits it is there.
async fn choose_field(browser: &Browser, number: usize, field: &str) {
    browser
        .choose(&format!("[id='field.{number}']"), field)
        .await;
    browser
        .until(
            "the row is of the chosen field",
            &format!("document.querySelector(\"[name='was.{number}']\")?.value === '{field}'"),
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_is_built_previewed_and_saved() {
    let world = world(60).await;
    let deals = world.open_deals();
    let browser = signed_in(&world, ANNA).await;
    browser.go(&world.page("/settings")).await;
    browser.until_shown("No condition").await;

    // A picklist: its values are the org's.
    add_condition(&browser, 1).await;
    let fields = offered(&browser, "[id='field.1']").await;
    assert!(
        fields.contains(&"Stage Name (StageName)".to_owned()),
        "{fields:?}"
    );
    choose_field(&browser, 1, "StageName").await;
    let stages = browser.texts(".choice-list label").await;
    assert!(
        stages.iter().any(|stage| stage == "Needs Analysis"),
        "{stages:?}"
    );
    browser.click("[name='value.1'][value='Prospecting']").await;
    browser
        .click("[name='value.1'][value='Qualification']")
        .await;

    // An amount: operators that fit numbers.
    add_condition(&browser, 2).await;
    choose_field(&browser, 2, "Amount").await;
    let operators = offered(&browser, "[id='operator.2']").await;
    assert!(
        operators.contains(&"greater or equal".to_owned()),
        "{operators:?}"
    );
    assert!(!operators.contains(&"contains".to_owned()), "{operators:?}");
    browser
        .choose("[id='operator.2']", "greater_or_equal")
        .await;
    browser.until("the operator is chosen", "document.getElementById('operator.2').value === 'greater_or_equal' && !document.hidden").await;
    browser.fill("[id='text.2']", "400000").await;

    // A date: literals are offered.
    add_condition(&browser, 3).await;
    choose_field(&browser, 3, "CloseDate").await;
    let listed = browser
        .says("document.getElementById('text.3').list?.options.length ?? 0")
        .await;
    assert!(listed.as_u64() > Some(10), "{listed}");
    browser.fill("[id='text.3']", "LAST_N_DAYS:400").await;
    browser.fill("#logic", "1 AND (2 OR 3)").await;

    browser.press("Save").await;
    browser.until_titled("Save these settings?").await;
    browser.until_shown("Stage").await;
    // What leaves, counted by hand. No deal of the org closed more than 120 days ago.
    let today = browser.says("new Date().toISOString().slice(0, 10)").await;
    let stays = |id: &&String| {
        let deal = world.salesforce.org.record("Opportunity", id).unwrap();
        let row = deal.row();
        let stage = row["StageName"].as_str().unwrap();
        let amount = row["Amount"].as_f64().unwrap_or_default();
        let closes = row["CloseDate"].as_str().unwrap();
        ["Prospecting", "Qualification"].contains(&stage)
            && (amount >= 400_000.0 || closes <= today.as_str().unwrap())
    };
    let staying = deals.iter().filter(stays).count();
    assert!(
        (1..deals.len()).contains(&staying),
        "{staying} of {}",
        deals.len()
    );
    assert_eq!(
        figure(&browser, "Leave it").await,
        (deals.len() - staying).to_string()
    );
    assert_eq!(figure(&browser, "Enter the sync").await, "0");
    assert_eq!(
        settings(&world).await["filter"]["conditions"],
        json!([]),
        "nothing is saved yet"
    );

    browser.press("Save").await;
    browser.until_titled("mOS Settings").await;
    browser.until_shown("is saved and in force").await;
    let saved = settings(&world).await;
    assert_eq!(
        saved["filter"],
        json!({
            "conditions": [
                {"field": "StageName", "operator": "equals", "values": ["Prospecting", "Qualification"]},
                {"field": "Amount", "operator": "greater_or_equal", "values": ["400000"]},
                {"field": "CloseDate", "operator": "equals", "values": ["LAST_N_DAYS:400"]},
            ],
            "logic": "1 AND (2 OR 3)"
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_values_are_refused_where_they_are_and_stay_to_be_mended() {
    let world = world(5).await;
    let before = settings(&world).await;
    let browser = signed_in(&world, ANNA).await;
    browser.go(&world.page("/settings")).await;
    add_condition(&browser, 1).await;
    choose_field(&browser, 1, "Amount").await;
    browser.fill("[id='text.1']", "much").await;
    browser
        .fill("#emails", "anna@acme.example, nobody at all")
        .await;
    browser.fill("#percent", "a lot").await;
    browser.press("Save").await;
    browser.until_shown("Nothing was saved.").await;
    for (field, written) in [
        ("text.1", "much"),
        ("emails", "anna@acme.example, nobody at all"),
        ("percent", "a lot"),
    ] {
        let said = browser.text(&format!("[id='{field}-error']")).await;
        assert!(said.len() > 10 && said.ends_with('.'), "{field}: {said:?}");
        let state = format!(
            "(() => {{ const it = document.getElementById('{field}'); return [it.value, it.getAttribute('aria-invalid'), it.getAttribute('aria-describedby').split(' ').includes('{field}-error')]; }})()"
        );
        assert_eq!(browser.says(&state).await, json!([written, "true", true]));
        // Beside its field: right below it.
        let gap = format!(
            "document.getElementById('{field}-error').getBoundingClientRect().top - document.getElementById('{field}').getBoundingClientRect().bottom"
        );
        let gap = browser.says(&gap).await.as_f64().unwrap();
        assert!((0.0..12.0).contains(&gap), "{field}: {gap} px");
    }
    assert_eq!(settings(&world).await, before);

    // Mended, it is previewed.
    browser.fill("[id='text.1']", "100").await;
    browser.fill("#emails", "anna@acme.example").await;
    browser.fill("#percent", "40").await;
    browser.press("Save").await;
    browser.until_titled("Save these settings?").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unsaved_changes_are_not_left_behind_without_a_word() {
    let world = world(5).await;
    let browser = signed_in_with(Scripts::Asking, &world, ANNA).await;
    browser.go(&world.page("/settings")).await;
    // Nothing was touched: no question.
    browser.click("nav a[href='/jobs']").await;
    browser.until_titled("Jobs").await;

    browser.go(&world.page("/settings")).await;
    browser.fill("#emails", "anna@acme.example").await;
    browser.click("nav a[href='/jobs']").await;
    browser.answer(false).await;
    assert_eq!(browser.path().await, "/settings");
    let kept = browser
        .says("document.getElementById('emails').value")
        .await;
    assert_eq!(kept, "anna@acme.example");

    // A row that the server has added is unsaved, too.
    browser.fill("#emails", "").await;
    add_condition(&browser, 1).await;
    browser.click("nav a[href='/jobs']").await;
    browser.answer(true).await;
    browser.until_titled("Jobs").await;

    // The way to the save asks nothing.
    browser.go(&world.page("/settings")).await;
    browser.fill("#emails", "anna@acme.example").await;
    save(&browser).await;
}

/// Keeps the answers to the page's own questions back.
const HOLD: &str = "window.held = [];
  const asked = window.fetch;
  window.fetch = (...what) => asked(...what).then((answer) => new Promise((go) => window.held.push(() => go(answer))));";
/// Lets one of them go, if there is one.
const LET_GO: &str = "(window.held.shift()?.(), true)";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_while_an_answer_is_on_the_way_is_kept() {
    let world = world(5).await;
    let browser = signed_in(&world, ANNA).await;
    browser.go(&world.page("/settings")).await;
    for number in [1, 2] {
        add_condition(&browser, number).await;
    }
    choose_field(&browser, 1, "Amount").await;
    browser.run(HOLD, Vec::new()).await.unwrap();
    // Two questions, and something that is written before the first is answered.
    browser.choose("[id='field.2']", "CloseDate").await;
    browser
        .until("the answer is there", "window.held.length === 1")
        .await;
    browser.press("Add condition").await;
    browser.fill("[id='text.1']", "1000").await;
    let done = format!(
        "{LET_GO} && document.querySelector(\"[name='was.2']\").value === 'CloseDate' && document.getElementById('field.3')"
    );
    browser.until("both are answered", &done).await;
    let written = "document.getElementById('text.1').value";
    assert_eq!(browser.says(written).await, "1000");
}

/// Counts the page's own questions, and answers them with `window.instead` where that is there.
const COUNT: &str = "window.asked = [];
  const ask = window.fetch;
  window.fetch = (...what) => {
    const by_itself = new Headers(what[1]?.headers).get('x-mosync-by-itself');
    window.asked.push([what[0], what[1]?.method, by_itself]);
    return window.instead ? window.instead() : ask(...what);
  };";
/// As the arrow keys go through a list, more often than orders may be given within a minute.
const THROUGH: &str = "const list = document.getElementById('field.1');
  for (let step = 1; step <= 70; step += 1) {
    if (step < 70) list.selectedIndex = 1 + step % 9;
    else list.value = 'Amount';
    list.dispatchEvent(new Event('change', { bubbles: true }));
  }";

/// The address that somebody writes, in a form with one condition; the page's questions are counted.
async fn written(world: &World, browser: &Browser) -> &'static str {
    const ADDRESS: &str = "anna.berg@acme.example";
    browser.go(&world.page("/settings")).await;
    browser.fill("#emails", ADDRESS).await;
    add_condition(browser, 1).await;
    browser.run(COUNT, Vec::new()).await.unwrap();
    ADDRESS
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_go_through_a_list_ask_once_and_what_cannot_be_asked_loses_nothing() {
    let world = world(5).await;
    let browser = signed_in(&world, ANNA).await;
    let address = written(&world, &browser).await;
    browser.run(THROUGH, Vec::new()).await.unwrap();
    let is_of =
        |field: &str| format!("document.querySelector(\"[name='was.1']\").value === '{field}'");
    browser.until("the list rests", &is_of("Amount")).await;
    assert_eq!(
        browser.says("window.asked").await,
        json!([["/settings/rows", "POST", null]])
    );

    for (instead, field, told) in [
        (
            "Promise.resolve(new Response('<p>mosync</p><section class=fault><p>Wait 12 s.</p></section>', { status: 429 }))",
            "CloseDate",
            "Wait 12 s. What you wrote is still here.",
        ),
        (
            "Promise.resolve(new Response('', { status: 401 }))",
            "Name",
            "Your session has ended",
        ),
        (
            "Promise.reject(new TypeError('no connection'))",
            "StageName",
            "The console does not answer. What you wrote is still here.",
        ),
    ] {
        let script = format!("window.instead = () => {instead}");
        browser.run(&script, Vec::new()).await.unwrap();
        browser.choose("[id='field.1']", field).await;
        browser.until_shown(told).await;
        assert_eq!(browser.path().await, "/settings");
        let kept =
            "[document.getElementById('emails').value, document.getElementById('field.1').value]";
        assert_eq!(browser.says(kept).await, json!([address, field]));
    }
    // Asked again, when there is an answer.
    let script = "window.instead = null";
    browser.run(script, Vec::new()).await.unwrap();
    browser.press("Show operators and values").await;
    browser
        .until("what fits is there", &is_of("StageName"))
        .await;
    let told = "document.getElementById('told').hidden";
    assert_eq!(browser.says(told).await, true);
}

/// Six minutes pass.
const LATER: &str = "const now = Date.now;
  Date.now = () => now() + 360000;";

#[tokio::test(flavor = "multi_thread")]
async fn whoever_writes_for_long_is_there_and_is_told_when_the_session_has_ended() {
    let world = world(5).await;
    let browser = signed_in(&world, ANNA).await;
    let address = written(&world, &browser).await;
    browser.fill("#emails", address).await;
    assert_eq!(browser.says("window.asked").await, json!([]));
    browser.run(LATER, Vec::new()).await.unwrap();
    browser.fill("#emails", address).await;
    // Once, and not as what a page asks by itself.
    assert_eq!(
        browser.says("window.asked").await,
        json!([["/", "HEAD", null]])
    );
    let ended = format!(
        "{LATER} window.instead = () => Promise.resolve(new Response(null, {{ status: 401 }}));"
    );
    browser.run(&ended, Vec::new()).await.unwrap();
    browser.fill("#percent", "40").await;
    browser.until_shown("Your session has ended").await;
    let kept = "document.getElementById('emails').value";
    assert_eq!(browser.says(kept).await, address);
}
