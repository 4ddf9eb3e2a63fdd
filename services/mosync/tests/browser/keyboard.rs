//! mOS Settings with the keyboard alone.

use browser::Key;
use browser::world::ANNA;
use serde_json::json;

use crate::settings::settings;
use crate::{signed_in, world};

/// What has the focus, and how it is seen.
const FOCUSED: &str = "(() => {
  const it = document.activeElement;
  const box = it.getBoundingClientRect();
  const style = getComputedStyle(it);
  return {
    name: it.id || it.innerText?.trim() || it.name,
    inside: box.width > 0 && box.height > 0 && box.left >= 0 && box.right <= innerWidth + 1 && box.top >= 0 && box.bottom <= innerHeight + 1,
    marked: style.boxShadow !== 'none' || (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0),
    body: it === document.body,
  };
})()";

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_is_enough_and_the_focus_is_always_seen() {
    let world = world(5).await;
    let browser = signed_in(&world, ANNA).await;
    browser.go(&world.page("/settings")).await;
    let mut seen = Vec::new();
    loop {
        browser.key(Key::Tab).await;
        let focused = browser.says(FOCUSED).await;
        if focused["body"] == true {
            break;
        }
        let name = focused["name"].as_str().unwrap().to_owned();
        assert_eq!(focused["inside"], true, "{name} is outside of the window");
        assert_eq!(
            focused["marked"], true,
            "{name} does not show that it has the focus"
        );
        assert!(seen.len() < 60, "the focus goes round and round: {seen:?}");
        seen.push(name);
    }
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

    // From the link that skips the tabs to a switch, and by Enter to the save.
    browser.go(&world.page("/settings")).await;
    browser.key(Key::Tab).await;
    browser.key(Key::Enter).await;
    let focus = async |name: &str, back: bool| {
        for _ in 0..40 {
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
    };
    focus("run_in_sandbox", false).await;
    browser.write(" ").await;
    focus("Save", true).await;
    browser.key(Key::Enter).await;
    browser.until_titled("Save these settings?").await;
    focus("Save", false).await;
    browser.key(Key::Enter).await;
    browser.until_shown("is saved and in force").await;
    assert_eq!(settings(&world).await["run_in_sandbox"], json!(true));
}
