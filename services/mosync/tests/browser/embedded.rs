//! The console within a tab of Salesforce: in a frame of a page of another site, over https, in a
//! browser that keeps no cookies of other sites.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use browser::world::ANNA;
use browser::{Browser, Scripts, World};
use testkit::TlsFront;

use crate::settings::{save, settings};

/// A site with one page, which shows an address in a frame.
struct Site(TcpListener);

impl Site {
    fn new() -> Self {
        Self(TcpListener::bind(("127.0.0.1", 0)).unwrap())
    }

    fn origin(&self) -> String {
        format!("http://{}", self.0.local_addr().unwrap())
    }

    /// Serves it until the tests end.
    fn show(self, address: &str) {
        let page = format!(
            "<!doctype html><title>Lightning</title><iframe src=\"{address}\" width=1280 height=720></iframe>"
        );
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{page}",
            page.len()
        );
        std::thread::spawn(move || {
            for stream in self.0.incoming() {
                let (Ok(mut stream), answer) = (stream, answer.clone()) else {
                    return;
                };
                // A browser connects before it knows what to ask.
                std::thread::spawn(move || {
                    if stream.read(&mut [0; 4096])? == 0 {
                        return Ok(());
                    }
                    stream.write_all(answer.as_bytes())
                });
            }
        });
    }
}

/// Ends the session without leaving the page.
const SIGN_OUT: &str = "const form_token = document.querySelector('[name=form_token]').value;
  return fetch('/sign-out', { method: 'POST', body: new URLSearchParams({ form_token }) }).then((answer) => answer.ok);";

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_saved_within_a_tab_of_salesforce_and_of_no_other_site() {
    let front = TlsFront::start().await;
    let (listed, stranger) = (Site::new(), Site::new());
    let more = format!(
        "console.public_url = {:?}\nconsole.frame_ancestors = [{:?}]\n",
        front.origin(),
        listed.origin()
    );
    let world = World::start(env!("CARGO_BIN_EXE_mosync"), 5, &more).await;
    front.lead_to(world.port());
    let (tab, elsewhere) = (listed.origin(), stranger.origin());
    let page = format!("{}/settings", front.origin());
    listed.show(&page);
    stranger.show(&page);

    let browser = Browser::open(Scripts::On).await;
    browser.go(&tab).await;
    browser.enter_frame("iframe").await;
    // Salesforce's own login is not shown in frames: it opens in a window, which closes by itself.
    browser.press("Sign in with Salesforce").await;
    browser.go_to_window(2).await;
    browser.sign_in_within_a_window(ANNA).await;
    browser.go_to_window(1).await;
    browser.enter_frame("iframe").await;
    browser.until_titled("mOS Settings").await;

    browser.fill("#emails", "anna.berg@acme.example").await;
    save(&browser).await;
    let saved = settings(&world).await;
    assert_eq!(saved["admin_emails"][0], "anna.berg@acme.example");

    // The session ends while somebody writes; Salesforce still knows them.
    browser.fill("#emails", "sales-ops@acme.example").await;
    browser.run(SIGN_OUT, Vec::new()).await.unwrap();
    browser.press("Save").await;
    browser.until_shown("kept on this page").await;
    browser.press("Sign in with Salesforce").await;
    browser.press("Send it again").await;
    browser.until_titled("Save these settings?").await;
    browser.press("Save").await;
    browser.until_shown("is saved and in force").await;
    let saved = settings(&world).await;
    assert_eq!(saved["admin_emails"][0], "sales-ops@acme.example");

    // Its session is of that tab alone.
    browser.go(&page).await;
    browser.until_shown("Sign in with Salesforce").await;

    // No other site may show it, signed in or not.
    browser.go(&elsewhere).await;
    browser.enter_frame("iframe").await;
    let shown = browser
        .until(
            "the frame is loaded",
            "document.readyState === 'complete' && location.href !== 'about:blank' && location.href",
        )
        .await;
    assert!(
        shown.as_str().unwrap().starts_with("chrome-error:"),
        "{shown}"
    );
}
