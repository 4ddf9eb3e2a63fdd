//! Every page in its states, at a desk, on a tablet and on a phone: nothing of WCAG 2.1, levels A and
//! AA, that can be found by a program is broken, nothing is wider than the window, the verdict has its
//! room, and the words are those of a page: no commands of a shell, no times as programs write them.

use std::sync::Mutex;

use browser::tour::{self, Sight};
use browser::{Browser, axe};

/// Width, height, and whether the rules are checked: they find at 1024 what they find at 1440.
const SIZES: [(u32, u32, bool); 4] = [
    (1440, 900, true),
    // As narrow as the state line is in three columns.
    (1040, 768, false),
    (1024, 768, false),
    (390, 844, true),
];
/// Whether the verdict is pressed together when the org's name and the last sync take their room.
const SQUEEZED: &str = "(() => {
  const state = document.querySelector('.state');
  if (!state) return false;
  const [org, verdict, sync] = state.children;
  const said = [org.innerHTML, sync.innerHTML];
  for (const neighbour of [org, sync]) neighbour.textContent = 'As long as it gets. '.repeat(12);
  const width = verdict.getBoundingClientRect().width;
  [org.innerHTML, sync.innerHTML] = said;
  return width < 240;
})()";
/// Texts that are seen, but for log lines, which are what was written down, and for code.
const TEXTS: &str = "(() => {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (texts.nextNode()) {
    const place = texts.currentNode.parentElement;
    if (!place.closest('.log, .timeline, code, script, noscript') && place.checkVisibility()) found.push(texts.currentNode.data);
  }
  return found;
})()";
const EXECUTABLE: &str = env!("CARGO_BIN_EXE_mosync");

/// What only programs and their operators understand.
fn is_foreign(text: &str) -> bool {
    let is_time = |word: &str| {
        let shape = word
            .chars()
            .map(|letter| if letter.is_ascii_digit() { '0' } else { letter });
        shape.collect::<String>().contains("0000-00-00T00:00")
    };
    // How a time can be written is no moment in time.
    let is_example = text.contains("; write it as ");
    text.contains("`mosync ") || (!is_example && text.split_whitespace().any(is_time))
}

/// What is wrong with a page.
async fn faults(browser: &Browser, sight: Sight) -> Vec<String> {
    let mut faults = Vec::new();
    let texts = browser.says(TEXTS).await;
    let texts = texts
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|text| text.as_str());
    let foreign = texts.filter(|text| is_foreign(text));
    faults.extend(foreign.map(|text| format!("{}: {text}", sight.name)));
    for (width, height, checked) in SIZES {
        browser.size(width, height).await;
        let place = format!("{} at {width}", sight.name);
        let wide = browser.says("document.documentElement.scrollWidth").await;
        if wide.as_u64() > Some(u64::from(width)) {
            faults.push(format!("{place}: the page is {wide} wide"));
        }
        if browser.says(SQUEEZED).await == true {
            faults.push(format!("{place}: the verdict is squeezed"));
        }
        if !checked {
            continue;
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
