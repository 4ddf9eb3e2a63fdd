//! Tokens of programs: made in the console, shown once, used, revoked.

use std::time::Duration;

use domain::Timestamp;
use reqwest::{Method, StatusCode};

use crate::browser::{Browser, Page, between, signed_in};
use crate::house::{ANNA, CONFIGURED, House};

async fn call(browser: &Browser<'_>, method: Method, path: &str, token: &str) -> Page {
    let request = browser.request(method, path).bearer_auth(token);
    browser.send(request).await
}

#[tokio::test]
async fn a_token_is_shown_once_used_within_its_scope_and_revoked() {
    let house = House::open().await;
    let browser = signed_in(&house, ANNA).await;
    let form_token = browser.get("/access").await.form_token();
    let form = [
        ("name", "Report"),
        ("scope", "read"),
        ("form_token", &form_token),
    ];
    let made = browser.post("/access/tokens", &form).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text);
    let token = between(&made.text, "id=\"new-token\">", "<").to_owned();
    let shown = browser.get("/access").await;
    assert!(!shown.text.contains(&token), "shown once");
    assert!(shown.text.contains("Report") && shown.text.contains(">never<"));
    let known = house.stores.tokens.tokens().await.unwrap();
    assert!(
        !format!("{known:?}").contains(&token),
        "the hash alone is kept"
    );

    let program = Browser::new(&house);
    let read = call(&program, Method::GET, "/api/v1/status", &token).await;
    assert_eq!(read.status, StatusCode::OK, "{}", read.text);
    for (method, path) in [
        (Method::POST, "/api/v1/sync-all"),
        (Method::GET, "/api/v1/settings"),
        (Method::GET, "/api/v1/tokens"),
    ] {
        let refused = call(&program, method, path, &token).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path}");
        assert!(
            refused.text.contains("this token may read"),
            "{}",
            refused.text
        );
    }
    let last_used = async || {
        let shown = browser.get("/access").await.text;
        let cell = between(&shown, "data-column=\"Last used\">", "</td>");
        Timestamp::parse(between(cell, "datetime=\"", "\"")).unwrap()
    };
    let first = last_used().await;
    house.pass(90);
    let again = call(&program, Method::GET, "/api/v1/status", &token).await;
    assert_eq!(again.status, StatusCode::OK, "{}", again.text);
    assert_eq!(last_used().await.since(first), Duration::from_secs(90));

    let id: String = known[0].token.hash.chars().take(16).collect();
    let revoke = format!("/access/tokens/{id}/revoke");
    let revoked = browser.post(&revoke, &[("form_token", &form_token)]).await;
    assert_eq!(revoked.status, StatusCode::OK, "{}", revoked.text);
    let gone = call(&program, Method::GET, "/api/v1/status", &token).await;
    assert_eq!(gone.status, StatusCode::UNAUTHORIZED);
    let trail = house.trail().await;
    let expected = [
        "API token `Report` was revoked by anna@fake.example.com",
        "API token `Report` was used for the first time",
        "API token `Report` with scope read was made by anna@fake.example.com",
        "anna@fake.example.com signed in as Administrator",
    ];
    assert_eq!(trail, expected);
}

#[tokio::test]
async fn orders_name_the_token_that_gave_them() {
    let house = House::open().await;
    let program = Browser::new(&house);
    let body = "{\"name\":\"Night job\",\"scope\":\"operate\"}";
    let make = program
        .request(Method::POST, "/api/v1/tokens")
        .bearer_auth(CONFIGURED)
        .header("content-type", "application/json")
        .body(body);
    let made = program.send(make).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text);
    let made: serde_json::Value = serde_json::from_str(&made.text).unwrap();
    let token = made["secret"].as_str().unwrap();
    let done = call(&program, Method::POST, "/api/v1/sync-all", token).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text);
    let log = call(&program, Method::GET, "/api/v1/logs?topic=job", token).await;
    assert!(
        log.text.contains("asked for by the API token `Night job`"),
        "{}",
        log.text
    );
    let id = made["token"]["id"].as_str().unwrap();
    let revoke = format!("/api/v1/tokens/{id}/revoke");
    let revoked = call(&program, Method::POST, &revoke, CONFIGURED).await;
    assert!(
        revoked.text.contains("\"revoked_by\":\"the API\""),
        "{}",
        revoked.text
    );
    let unknown = call(
        &program,
        Method::POST,
        "/api/v1/tokens/0/revoke",
        CONFIGURED,
    )
    .await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}
