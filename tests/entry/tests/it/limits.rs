//! Too much at once, and too large.

use console::api::rights;
use reqwest::{Method, StatusCode};

use crate::browser::{Browser, signed_in};
use crate::house::{ANNA, CONFIGURED, House};

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let house = House::open().await;
    let browser = signed_in(&house, ANNA).await;
    let token = browser.get("/access").await.form_token();
    let name = "x".repeat(70_000);
    let form = [("form_token", token.as_str()), ("name", &name)];
    let page = browser.post("/access/tokens", &form).await;
    assert_eq!(page.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(page.text.contains("65536 bytes"), "{}", page.text);
    let header = browser
        .request(Method::GET, "/sync-status")
        .header("x-long", "y".repeat(17_000));
    let refused = browser.send(header).await;
    assert_eq!(refused.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let long = format!("/sync-status?x={}", "z".repeat(9_000));
    assert_eq!(browser.get(&long).await.status, StatusCode::URI_TOO_LONG);
}

#[tokio::test]
async fn thousands_of_requests_are_told_to_wait() {
    let house = House::open().await;
    let stranger = Browser::new(&house);
    let mut refused = 0;
    for _ in 0..2_000 {
        let page = stranger.get("/sync-status").await;
        refused += u32::from(page.status == StatusCode::TOO_MANY_REQUESTS);
    }
    assert_eq!(refused, 2_000 - 120);
    let mut refused = 0;
    for _ in 0..100 {
        let page = stranger.get("/sign-in").await;
        refused += u32::from(page.status == StatusCode::TOO_MANY_REQUESTS);
    }
    assert_eq!(refused, 40);
    // A minute later the door is open again, also for the same address.
    house.pass(60);
    assert_eq!(stranger.get("/sign-in").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn orders_are_counted_by_session_and_calls_by_token() {
    let house = House::open().await;
    let browser = signed_in(&house, ANNA).await;
    let token = browser.get("/access").await.form_token();
    let mut done = 0;
    for _ in 0..70 {
        let form = [("form_token", token.as_str()), ("name", "")];
        let page = browser.post("/access/tokens", &form).await;
        done += u32::from(page.status == StatusCode::BAD_REQUEST);
    }
    assert_eq!(done, 60);
    // Another session may.
    assert_eq!(browser.get("/access").await.status, StatusCode::OK);

    let program = Browser::new(&house);
    let mut done = 0;
    for _ in 0..1_300 {
        let request = program
            .request(Method::GET, "/api/v1/org")
            .bearer_auth(CONFIGURED);
        done += u32::from(program.send(request).await.status == StatusCode::OK);
    }
    assert_eq!(done, 1_200);
    assert!(rights().any(|(path, ..)| path == "/api/v1/org"));
}
