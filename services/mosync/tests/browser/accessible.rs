//! Every page in its states, at a desk and on a phone: nothing of WCAG 2.1, levels A and AA, that can
//! be found by a program is broken, and nothing is wider than the window.

use std::sync::Mutex;

use browser::tour::{self, Sight};
use browser::{Browser, axe};

const SIZES: [(u32, u32); 2] = [(1440, 900), (390, 844)];
const EXECUTABLE: &str = env!("CARGO_BIN_EXE_mosync");

/// What is wrong with a page.
async fn faults(browser: &Browser, sight: Sight) -> Vec<String> {
    let mut faults = Vec::new();
    for (width, height) in SIZES {
        browser.size(width, height).await;
        let place = format!("{} at {width}", sight.name);
        let wide = browser.says("document.documentElement.scrollWidth").await;
        if wide.as_u64() > Some(u64::from(width)) {
            faults.push(format!("{place}: the page is {wide} wide"));
        }
        let found = axe::faults(browser).await;
        faults.extend(found.into_iter().map(|fault| format!("{place}: {fault}")));
    }
    browser.size(1440, 900).await;
    faults
}

/// Looks at everything before it says what is wrong.
#[derive(Default)]
struct Found(Mutex<Vec<String>>);

impl Found {
    fn add(&self, faults: Vec<String>) {
        self.0.lock().unwrap().extend(faults);
    }

    fn nothing(self) {
        let faults = self.0.into_inner().unwrap();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_can_use_the_pages_while_there_is_nothing_yet() {
    let found = Found::default();
    let look = async |browser: &Browser, sight: Sight| found.add(faults(browser, sight).await);
    tour::empty(EXECUTABLE, look).await;
    found.nothing();
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_can_use_the_pages_when_they_are_full_and_busy() {
    let found = Found::default();
    let look = async |browser: &Browser, sight: Sight| found.add(faults(browser, sight).await);
    tour::full(EXECUTABLE, look).await;
    found.nothing();
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_can_use_the_pages_while_all_goes_wrong() {
    let found = Found::default();
    let look = async |browser: &Browser, sight: Sight| found.add(faults(browser, sight).await);
    tour::failing(EXECUTABLE, look).await;
    found.nothing();
}
