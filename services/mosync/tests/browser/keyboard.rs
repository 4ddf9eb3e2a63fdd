//! The console with the keyboard alone.

use browser::world::ANNA;
use browser::{Browser, Key};
use serde_json::json;

use crate::records::refused;
use crate::settings::settings;
use crate::{signed_in, world};

/// What has the focus, and how it is seen.
const FOCUSED: &str = "(() => {
  const it = document.activeElement;
  const box = it.getBoundingClientRect();
  const style = getComputedStyle(it);
  return {
    name: it.id || it.innerText?.trim() || it.name,
    // A table taller than the window is gone through in it.
    inside: box.width > 0 && box.height > 0 && box.left >= 0 && box.right <= innerWidth + 1
      && (it.matches('[role=region]') && box.height > innerHeight ? box.top < innerHeight && box.bottom > 0 : box.top >= 0 && box.bottom <= innerHeight + 1),
    marked: style.boxShadow !== 'none' || (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0),
    body: it === document.body,
  };
})()";

/// Goes through a page; what had the focus, in its order.
async fn through(browser: &Browser, page: &str, most: usize) -> Vec<String> {
    browser.go(page).await;
    let mut seen = Vec::new();
    loop {
        browser.key(Key::Tab).await;
        let focused = browser.says(FOCUSED).await;
        if focused["body"] == true {
            return seen;
        }
        let name = focused["name"].as_str().unwrap_or_default().to_owned();
        assert_eq!(
            focused["inside"], true,
            "{page}: {name} is outside of the window"
        );
        assert_eq!(
            focused["marked"], true,
            "{page}: {name} does not show that it has the focus"
        );
        assert!(
            seen.len() < most,
            "{page}: the focus goes round and round: {seen:?}"
        );
        seen.push(name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_can_be_gone_through_with_the_keyboard() {
    let world = world(5).await;
    let id = refused(&world).await;
    let browser = signed_in(&world, ANNA).await;
    for (path, reached) in [
        ("/sync-status", "All jobs"),
        ("/jobs", "Export CSV"),
        ("/parked", "Dismiss"),
        ("/logs", "Search"),
        ("/explain", "Explain"),
        ("/left", "Export CSV"),
        ("/users", "Export CSV"),
        ("/mapping", "Save"),
        ("/notifications", "Send a test"),
        ("/access", "Make token"),
        ("/settings/checklist", "mOS Settings"),
    ] {
        // Each of some sixty rows has three stops.
        let most = if path == "/mapping" { 250 } else { 90 };
        let seen = through(&browser, &world.page(path), most).await;
        assert_eq!(seen[0], "Skip to the page", "{path}");
        assert!(
            seen.iter().any(|name| name == reached),
            "{path}: {reached} is not reached: {seen:?}"
        );
    }

    // A parked record is dismissed from the keys: its box by the space bar, the order by Enter.
    browser.go(&world.page("/parked")).await;
    until_focused(&browser, &format!("record-{id}"), false).await;
    browser.write(" ").await;
    until_focused(&browser, "reason", false).await;
    browser.write("Agreed with sales").await;
    until_focused(&browser, "Dismiss", false).await;
    browser.key(Key::Enter).await;
    let status = world
        .until("the record is dismissed", |status| {
            status["parked"] == json!({})
        })
        .await;
    assert_eq!(status["dead"], 0);
}

/// Goes on, or back, until something has the focus.
async fn until_focused(browser: &Browser, name: &str, back: bool) {
    for _ in 0..60 {
        if back {
            browser.back_tab().await;
        } else {
            browser.key(Key::Tab).await;
        }
        if browser.says(FOCUSED).await["name"] == name {
            return;
        }
    }
    panic!("{name} is not reached");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_is_enough_and_the_focus_is_always_seen() {
    let world = world(5).await;
    let browser = signed_in(&world, ANNA).await;
    let seen = through(&browser, &world.page("/settings"), 60).await;
    let place = |name: &str| {
        let found = seen.iter().position(|it| it == name);
        found.unwrap_or_else(|| panic!("{name} is not reached: {seen:?}"))
    };
    assert_eq!(place("Skip to the page"), 0);
    let order = [
        "Jobs",
        "Save",
        "emails",
        "disabled",
        "frequency",
        "percent",
        "Add condition",
        "zone",
    ];
    let places = order.map(place);
    assert!(places.is_sorted(), "{seen:?}");

    // A condition that is removed leaves the focus to the one in its place; the last, to the next.
    browser.go(&world.page("/settings")).await;
    for number in 1..=3 {
        browser.press("Add condition").await;
        let focused = format!("document.activeElement.id === 'field.{number}'");
        browser.until("the new row has the focus", &focused).await;
    }
    browser.fill("[id='text.3']", "third").await;
    for (left, focused) in [(2, "field.2"), (1, "Add condition")] {
        let remove = "(document.querySelector(\"button[value='remove.2']\").focus(), true)";
        browser.says(remove).await;
        browser.key(Key::Enter).await;
        let rows = format!("document.querySelectorAll('.filter-row').length === {left}");
        browser.until("a row is gone", &rows).await;
        assert_eq!(browser.says(FOCUSED).await["name"], focused);
        let third = "document.getElementById('text.2')?.value ?? 'none'";
        let value = if left == 2 { "third" } else { "none" };
        assert_eq!(browser.says(third).await, value);
    }

    // From the link that skips the tabs to a switch, and by Enter to the save.
    browser.go(&world.page("/settings")).await;
    browser.key(Key::Tab).await;
    browser.key(Key::Enter).await;
    until_focused(&browser, "run_in_sandbox", false).await;
    browser.write(" ").await;
    until_focused(&browser, "Save", true).await;
    browser.key(Key::Enter).await;
    browser.until_titled("Save these settings?").await;
    until_focused(&browser, "Save", false).await;
    browser.key(Key::Enter).await;
    browser.until_shown("is saved and in force").await;
    assert_eq!(settings(&world).await["run_in_sandbox"], json!(true));
}
