//! What somebody does with a page, and sees on it. Whatever is looked for is waited for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fantoccini::Locator;
use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::key::Key;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{Browser, LOOK_AGAIN, PATIENCE};

/// The page is being exchanged for another one, or this part of it is: worth another look.
fn is_passing(error: &CmdError) -> bool {
    error.is_no_such_element()
        || error.is_stale_element_reference()
        || error.is_javascript_error()
        || error.is_no_such_window()
}

impl Browser {
    /// Goes to an address and waits until the page is there.
    ///
    /// # Panics
    /// When Chromium does not get there.
    pub async fn go(&self, address: &str) {
        let went = self.client.goto(address).await;
        went.unwrap_or_else(|error| panic!("{address}: {error}"));
    }

    /// Where it is: path and what follows it.
    ///
    /// # Panics
    /// When Chromium does not answer.
    pub async fn path(&self) -> String {
        let address = self.client.current_url().await.expect("an address");
        let query = address.query().map(|query| format!("?{query}"));
        format!("{}{}", address.path(), query.unwrap_or_default())
    }

    /// Runs a script as the body of a function, whatever the page's own scripts may.
    ///
    /// # Errors
    /// Those of the script, and of a page that is just being left.
    pub async fn run(&self, script: &str, arguments: Vec<Value>) -> Result<Value, CmdError> {
        self.client.execute(script, arguments).await
    }

    /// What an expression of the page's document says.
    ///
    /// # Panics
    /// When the expression fails.
    pub async fn says(&self, expression: &str) -> Value {
        let said = self.run(&format!("return {expression}"), Vec::new()).await;
        said.unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    /// Waits until an expression is neither false nor nothing; what it says then.
    ///
    /// # Panics
    /// When it does not come true in time, with what the page shows instead.
    pub async fn until(&self, what: &str, expression: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        let script = format!("return {expression}");
        loop {
            match self.run(&script, Vec::new()).await {
                Ok(Value::Null | Value::Bool(false)) => {}
                Ok(said) => return said,
                Err(error) if is_passing(&error) => {}
                Err(error) => panic!("{what}: {error}"),
            }
            if Instant::now() > deadline {
                panic!("{what} within {PATIENCE:?}; {}", self.shown().await);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Waits until the page shows a text.
    ///
    /// # Panics
    /// When it does not in time.
    pub async fn until_shown(&self, text: &str) {
        let quoted = json!(text);
        self.until(
            &format!("the page shows {text:?}"),
            &format!("document.body.innerText.includes({quoted})"),
        )
        .await;
    }

    /// Waits until the page's heading is this.
    ///
    /// # Panics
    /// When it is another one in time.
    pub async fn until_titled(&self, title: &str) {
        let quoted = json!(title);
        self.until(
            &format!("the page is {title:?}"),
            &format!("document.readyState === 'complete' && document.querySelector('h1, h2')?.innerText.trim() === {quoted}"),
        )
        .await;
    }

    /// Where it is and what it shows, for somebody who looks for a fault.
    pub async fn shown(&self) -> String {
        let address = self.client.current_url().await;
        let text = self.run("return document.body.innerText", Vec::new()).await;
        format!(
            "the browser is at {}, which shows:\n{}",
            address.map_or_else(|error| error.to_string(), |address| address.to_string()),
            match &text {
                Ok(text) => text.as_str().unwrap_or_default().to_owned(),
                Err(error) => error.to_string(),
            }
        )
    }

    /// Whether something matches a CSS selector now.
    ///
    /// # Panics
    /// When it is no selector.
    pub async fn has(&self, selector: &str) -> bool {
        let script = "return document.querySelector(arguments[0]) !== null";
        let said = self.run(script, vec![json!(selector)]).await;
        said.unwrap_or_else(|error| panic!("{selector}: {error}")) == true
    }

    /// What the first that matches shows.
    ///
    /// # Panics
    /// When nothing matches in time.
    pub async fn text(&self, selector: &str) -> String {
        let expression = format!("document.querySelector({})?.innerText", json!(selector));
        let said = self
            .until(&format!("{selector} is there"), &expression)
            .await;
        said.as_str().unwrap_or_default().trim().to_owned()
    }

    /// What each that matches shows.
    ///
    /// # Panics
    /// When it is no selector.
    pub async fn texts(&self, selector: &str) -> Vec<String> {
        let expression = format!(
            "[...document.querySelectorAll({})].map((it) => it.innerText.trim())",
            json!(selector)
        );
        let said = self.says(&expression).await;
        let texts = said.as_array().into_iter().flatten();
        texts
            .map(|text| text.as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// Does something with an element as soon as that can be done.
    async fn with<F>(&self, what: &str, find: Locator<'_>, does: impl Fn(Element) -> F)
    where
        F: Future<Output = Result<(), CmdError>>,
    {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let done = match self.client.find(find).await {
                Ok(element) => does(element).await,
                Err(error) => Err(error),
            };
            match done {
                Ok(()) => return,
                Err(error) if is_passing(&error) && Instant::now() < deadline => {}
                Err(error) => panic!("{what}: {error}; {}", self.shown().await),
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Clicks what matches, with the pointer: it has to be seen, and nothing may lie above it.
    ///
    /// # Panics
    /// When that cannot be done in time.
    pub async fn click(&self, selector: &str) {
        let click = |element: Element| async move { element.click().await };
        self.with(selector, Locator::Css(selector), click).await;
    }

    /// Clicks the first button or link whose text begins so.
    ///
    /// # Panics
    /// When there is none in time.
    pub async fn press(&self, label: &str) {
        let begins = format!("starts-with(normalize-space(.), \"{label}\")");
        let path = format!(
            "//main//button[{begins}] | //main//a[{begins}] | //body[not(.//main)]//button[{begins}] | //header//button[{begins}]"
        );
        let click = |element: Element| async move { element.click().await };
        self.with(label, Locator::XPath(&path), click).await;
    }

    /// Puts a text into a field in the place of what is there.
    ///
    /// # Panics
    /// When there is no such field in time.
    pub async fn fill(&self, selector: &str, text: &str) {
        let write = |element: Element| async move {
            element.clear().await?;
            element.send_keys(text).await
        };
        self.with(selector, Locator::Css(selector), write).await;
    }

    /// Chooses a value of a list.
    ///
    /// # Panics
    /// When there is no such list or value in time.
    pub async fn choose(&self, selector: &str, value: &str) {
        let choose = |element: Element| async move { element.select_by_value(value).await };
        self.with(selector, Locator::Css(selector), choose).await;
    }

    /// Presses a key, wherever the focus is.
    ///
    /// # Panics
    /// When Chromium takes no keys.
    pub async fn key(&self, key: Key) {
        self.strike(&[], char::from(key)).await;
    }

    /// Goes one element back.
    ///
    /// # Panics
    /// When Chromium takes no keys.
    pub async fn back_tab(&self) {
        self.strike(&[char::from(Key::Shift)], char::from(Key::Tab))
            .await;
    }

    /// Strikes a key on the keyboard, not on an element: what has the focus may at any moment be
    /// replaced by a live update, which gives the focus to the element in its place.
    async fn strike(&self, held: &[char], key: char) {
        let down = |value: &char| KeyAction::Down { value: *value };
        let up = |value: &char| KeyAction::Up { value: *value };
        let keys = held.iter().map(down).chain([down(&key), up(&key)]);
        let keys = keys.chain(held.iter().map(up));
        let keys = keys.fold(KeyActions::new("keyboard".to_owned()), KeyActions::then);
        let struck = self.client.perform_actions(keys).await;
        struck.unwrap_or_else(|error| panic!("{key:?}: {error}"));
    }

    /// Answers what the page asks before it is left, as soon as it asks: `true` leaves it.
    ///
    /// # Panics
    /// When it asks nothing in time.
    pub async fn answer(&self, leave: bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answered = if leave {
                self.client.accept_alert().await
            } else {
                self.client.dismiss_alert().await
            };
            match answered {
                Ok(()) => return,
                Err(error) if error.is_no_such_alert() && Instant::now() < deadline => {}
                Err(error) => panic!("the page asks before it is left: {error}"),
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Writes where the focus is.
    ///
    /// # Panics
    /// When Chromium takes no keys.
    pub async fn write(&self, text: &str) {
        for letter in text.chars() {
            self.strike(&[], letter).await;
        }
    }

    /// Makes the window so wide and high, however narrow: as a phone's is.
    ///
    /// # Panics
    /// When Chromium refuses.
    pub async fn size(&self, width: u32, height: u32) {
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", metrics)
            .await;
    }

    /// A picture of the whole page at a width, as PNG; at most so high.
    ///
    /// # Panics
    /// When Chromium makes none.
    pub async fn picture(&self, width: u32, highest: u32) -> Vec<u8> {
        self.size(width, 900).await;
        let height = self.says("document.documentElement.scrollHeight").await;
        let height = height
            .as_u64()
            .and_then(|height| u32::try_from(height).ok());
        let height = height.unwrap_or(900).clamp(600, highest);
        self.size(width, height).await;
        let picture = self
            .devtools("Page.captureScreenshot", json!({"format": "png"}))
            .await;
        let data = picture["data"].as_str().expect("a picture");
        STANDARD.decode(data).expect("base 64")
    }

    /// Goes into a frame of the page: what follows is about the document in it.
    ///
    /// # Panics
    /// When there is none in time.
    pub async fn enter_frame(&self, selector: &str) {
        let enter = |element: Element| async move { element.enter_frame().await };
        self.with(selector, Locator::Css(selector), enter).await;
    }

    /// Waits until there are so many windows, and goes to the one that was opened last.
    ///
    /// # Panics
    /// When there are not in time.
    pub async fn go_to_window(&self, number: usize) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let windows = self.client.windows().await.expect("a list of windows");
            if windows.len() == number {
                let last = windows.into_iter().next_back().expect("a window");
                let went = self.client.switch_to_window(last).await;
                return went.expect("the window can be gone to");
            }
            assert!(
                Instant::now() < deadline,
                "{number} windows within {PATIENCE:?}; there are {}",
                windows.len()
            );
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Closes the window that it is in; [`Self::go_to_window`] goes to another one.
    ///
    /// # Panics
    /// When Chromium refuses.
    pub async fn close_window(&self) {
        let closed = self.client.close_window().await;
        closed.expect("the window can be closed");
    }

    /// Forgets everybody who has signed in anywhere.
    ///
    /// # Panics
    /// When Chromium refuses.
    pub async fn forget(&self) {
        self.devtools("Network.clearBrowserCookies", json!({}))
            .await;
    }

    /// Signs in to the console through Salesforce, from any page of the console; ends where that
    /// ends.
    ///
    /// # Panics
    /// When a page on the way is not there.
    pub async fn sign_in(&self, username: &str) {
        self.press("Sign in with Salesforce").await;
        self.sign_in_at_salesforce(username).await;
    }

    /// The same from Salesforce's own page on.
    ///
    /// # Panics
    /// When a page on the way is not there.
    pub async fn sign_in_at_salesforce(&self, username: &str) {
        self.log_in(username).await;
        // Who has let the app in before is not asked again.
        let next = "document.querySelector('#oaapprove') ? 'ask' : document.title.includes('mosync') || document.querySelector('.card') ? 'in' : null";
        if self.until("Salesforce asks, or lets in", next).await == "ask" {
            self.click("#oaapprove").await;
        }
    }

    /// On Salesforce's own page: who somebody is.
    async fn log_in(&self, username: &str) {
        self.fill("#username", username).await;
        self.fill("#password", fake_salesforce::server::DEFAULT_PASSWORD)
            .await;
        self.click("#Login").await;
    }

    /// Signs in within a window that the console has opened for that, and that closes by itself.
    ///
    /// # Panics
    /// When a page on the way is not there.
    pub async fn sign_in_within_a_window(&self, username: &str) {
        self.log_in(username).await;
        self.until("Salesforce asks", "document.querySelector('#oaapprove')")
            .await;
        // Later, because the window goes before it could say that it was clicked.
        let later = "setTimeout(() => document.querySelector('#oaapprove').click())";
        let clicked = self.run(later, Vec::new()).await;
        clicked.expect("the page runs a script");
    }
}
