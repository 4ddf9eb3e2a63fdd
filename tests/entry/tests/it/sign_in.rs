//! Signing in, staying in, and getting out.

use domain::SalesforceId;
use reqwest::StatusCode;
use url::Url;

use crate::browser::{Browser, Page, between, signed_in};
use crate::house::{ANNA, House, NILS, OTTO, VERA};

const SESSION: &str = "mosync";

#[tokio::test]
async fn an_administrator_signs_in_and_comes_to_where_they_wanted() {
    let house = House::open().await;
    let browser = Browser::new(&house);
    let asked = browser.get("/access?x=1").await;
    assert_eq!(asked.status, StatusCode::UNAUTHORIZED);
    let begin = between(&asked.text, "href=\"/sign-in", "\"").replace("&amp;", "&");
    let begun = browser.get(&format!("/sign-in{begin}")).await;
    let salesforce = begun.to();
    let asks: std::collections::BTreeMap<_, _> = salesforce.query_pairs().into_owned().collect();
    assert_eq!(asks["code_challenge_method"], "S256");
    assert_eq!(asks["scope"], "openid");
    assert_eq!(asks["redirect_uri"], house.url("/sign-in/back"));
    assert!(asks["state"].len() == 64 && asks["nonce"].len() == 64);
    let back = browser.at_salesforce(salesforce, ANNA).await;
    let inside = browser
        .send(browser.request(reqwest::Method::GET, &path(&back)))
        .await;
    assert_eq!(inside.status, StatusCode::SEE_OTHER, "{}", inside.text);
    assert_eq!(inside.to().as_str(), house.url("/access?x=1"));
    let page = browser.get("/access").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("Administrator"), "{}", page.text);
    assert!(!page.text.contains("O'Person <b>"), "names are escaped");
    assert!(house.trail().await[0].contains("anna@fake.example.com signed in as Administrator"));
}

fn path(url: &Url) -> String {
    format!("{}?{}", url.path(), url.query().unwrap_or_default())
}

#[tokio::test]
async fn no_token_of_salesforce_outlives_the_sign_in() {
    let house = House::open().await;
    let browser = signed_in(&house, ANNA).await;
    // What the browser holds is no session of Salesforce, and the stand-in has none of the app's left
    // but the one of mosync's own reading.
    let id = browser.cookie(SESSION).unwrap();
    assert!(!house.salesforce.tokens.check(&id));
    let revoked = house.salesforce.requests("oauth2.revoke");
    assert_eq!(revoked, 2, "the access token and the refresh token");
}

#[tokio::test]
async fn who_has_no_role_is_told_whom_to_ask() {
    let house = House::open().await;
    let browser = Browser::new(&house);
    let page = browser.sign_in(NILS).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(
        page.text.contains("Ask a Salesforce administrator"),
        "{}",
        page.text
    );
    assert!(
        page.text.contains("One user holds it today."),
        "{}",
        page.text
    );
    assert!(
        !page.text.contains("anna@"),
        "nobody is named to who may not see"
    );
    assert_eq!(browser.cookie(SESSION), None);
    assert!(house.trail().await[0].contains("nils@fake.example.com was refused"));
}

#[tokio::test]
async fn another_org_is_refused() {
    let house = House::open().await;
    house.pin("00D000000000999").await;
    let browser = Browser::new(&house);
    let page = browser.sign_in(ANNA).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(page.text.contains("another org"), "{}", page.text);
    assert_eq!(browser.cookie(SESSION), None);
    let theirs = SalesforceId::parse(house.salesforce.org.org_id()).unwrap();
    let told =
        format!("{ANNA} of org {theirs} was refused: this console is for org 00D000000000999EAA");
    assert_eq!(house.trail().await, [told]);
}

#[tokio::test]
async fn a_planted_session_is_not_taken_over() {
    let house = House::open().await;
    let planted = "a".repeat(64);
    let browser = Browser::new(&house);
    browser.plant(SESSION, Some(&planted));
    browser.sign_in(ANNA).await;
    let own = browser.cookie(SESSION).unwrap();
    assert_ne!(own, planted);
    let thief = Browser::new(&house);
    thief.plant(SESSION, Some(&planted));
    assert_eq!(
        thief.get("/sync-status").await.status,
        StatusCode::UNAUTHORIZED
    );
    // Signing in again ends the session before.
    browser.sign_in(ANNA).await;
    assert_ne!(browser.cookie(SESSION).unwrap(), own);
    thief.plant(SESSION, Some(&own));
    assert_eq!(
        thief.get("/sync-status").await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn a_code_is_good_for_the_browser_that_asked_for_it_alone() {
    let house = House::open().await;
    let (mine, other) = (Browser::new(&house), Browser::new(&house));
    let begun = mine.get("/sign-in?return=%2F").await;
    let back = mine.at_salesforce(begun.to(), ANNA).await;
    // Somebody is lured to the address with another's code.
    other.get("/sign-in?return=%2F").await;
    let lured = other.get(&path(&back)).await;
    assert_eq!(lured.status, StatusCode::BAD_REQUEST, "{}", lured.text);
    assert_eq!(other.cookie(SESSION), None);
    // Without the cookie of the sign-in nobody comes in either.
    let bare = Browser::new(&house).get(&path(&back)).await;
    assert_eq!(bare.status, StatusCode::BAD_REQUEST);
    assert_eq!(mine.get(&path(&back)).await.status, StatusCode::SEE_OTHER);
    // A code is good once.
    assert_ne!(mine.get(&path(&back)).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn nobody_is_sent_to_another_site() {
    let house = House::open().await;
    for to in [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/sync-status/../..//evil.example",
        "javascript:alert(1)",
        "/sign-out",
    ] {
        let browser = Browser::new(&house);
        let request = browser.request(reqwest::Method::GET, "/sign-in");
        let begun = browser.send(request.query(&[("return", to)])).await;
        let back = browser.at_salesforce(begun.to(), ANNA).await;
        let inside = browser.get(&path(&back)).await;
        assert_eq!(inside.to().as_str(), house.url("/sync-status"), "{to}");
    }
}

#[tokio::test]
async fn a_session_ends_when_idle_and_after_twelve_hours_and_when_signed_out() {
    let house = House::open().await;
    let browser = signed_in(&house, ANNA).await;
    let is_in = async || browser.get("/sync-status").await.status == StatusCode::OK;
    house.pass(29 * 60);
    assert!(is_in().await);
    house.pass(29 * 60);
    assert!(is_in().await, "somebody was there meanwhile");
    // So is somebody who writes into a form for long, whose script says so.
    house.pass(29 * 60);
    let home = browser.request(reqwest::Method::HEAD, "/");
    assert_eq!(browser.send(home).await.status, StatusCode::SEE_OTHER);
    house.pass(29 * 60);
    assert!(is_in().await, "somebody was writing meanwhile");
    house.pass(30 * 60);
    assert!(!is_in().await, "idle for half an hour");

    browser.sign_in(ANNA).await;
    for _ in 0..(12 * 60 / 20 - 1) {
        house.pass(20 * 60);
        assert!(is_in().await);
    }
    house.pass(20 * 60);
    assert!(!is_in().await, "after twelve hours");

    browser.sign_in(ANNA).await;
    let id = browser.cookie(SESSION).unwrap();
    let token = browser.get("/sync-status").await.form_token();
    let out = browser.post("/sign-out", &[("form_token", &token)]).await;
    assert_eq!(out.status, StatusCode::OK, "{}", out.text);
    assert_eq!(browser.cookie(SESSION), None);
    assert_eq!(house.trail().await[0], format!("{ANNA} signed out"));
    browser.plant(SESSION, Some(&id));
    assert!(!is_in().await, "the session itself has ended");
}

#[tokio::test]
async fn a_permission_that_is_taken_away_counts_at_the_next_request() {
    let house = House::open().await;
    let browser = signed_in(&house, ANNA).await;
    assert_eq!(browser.get("/access").await.status, StatusCode::OK);
    house.administrators(&[]).await;
    let page = browser.get("/access").await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(page.text.contains("Ask a Salesforce administrator"));
    let script = browser.get("/api/v1/settings").await;
    assert_eq!(script.status, StatusCode::FORBIDDEN);
    house.administrators(&[house.anna]).await;
    assert_eq!(browser.get("/access").await.status, StatusCode::OK);
}

#[tokio::test]
async fn roles_are_shown() {
    let house = House::open().await;
    for (username, role) in [
        (ANNA, "Administrator"),
        (OTTO, "Operator"),
        (VERA, "Viewer"),
    ] {
        let browser = signed_in(&house, username).await;
        let page = browser.get("/sync-status").await;
        assert_eq!(between(&page.text, "class=\"viewer-role\">", "<"), role);
    }
}

#[tokio::test]
async fn a_refusal_of_salesforce_is_told() {
    let house = House::open().await;
    let browser = Browser::new(&house);
    let begun = browser.get("/sign-in?return=%2F").await;
    let pairs: std::collections::BTreeMap<_, _> = begun.to().query_pairs().into_owned().collect();
    let state = &pairs["state"];
    let page = browser
        .get(&format!(
            "/sign-in/back?error=access_denied&error_description=no%3Cscript%3E&state={state}"
        ))
        .await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(page.text.contains("access_denied") && !page.text.contains("<script>"));
}

#[tokio::test]
async fn a_frame_gets_a_session_of_its_own_by_a_code_for_it_alone() {
    let house = House::framed_by(&["https://acme.lightning.force.com"]).await;
    let frame = Browser::new(&house);
    let asked = frame.get("/sync-status").await;
    assert_eq!(asked.status, StatusCode::UNAUTHORIZED);
    let mark = between(&asked.text, "data-frame=\"", "\"").to_owned();
    // A window of its own has other cookies than the frame.
    let window = Browser::new(&house);
    let begun = window
        .get(&format!("/sign-in?return=%2F&frame={mark}"))
        .await;
    let back = window.at_salesforce(begun.to(), ANNA).await;
    let done = window.get(&path(&back)).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text);
    assert_eq!(window.cookie("__Host-mosync"), None);
    let code = between(&done.text, "data-code=\"", "\"").to_owned();
    let form = [("code", code.as_str()), ("return", "/access")];
    // Another frame, and another site.
    let thief = Browser::new(&house);
    thief.get("/sync-status").await;
    assert_eq!(
        thief.post("/sign-in/frame", &form).await.status,
        StatusCode::BAD_REQUEST
    );
    let evil = Some("https://evil.example");
    let crossed = frame.post_from(evil, "/sign-in/frame", &form).await;
    assert_eq!(crossed.status, StatusCode::FORBIDDEN);
    let taken = frame.post("/sign-in/frame", &form).await;
    assert_eq!(taken.status, StatusCode::SEE_OTHER, "{}", taken.text);
    assert_eq!(taken.to().as_str(), house.url("/access"));
    for line in taken.set_cookies() {
        assert!(
            line.ends_with("; Secure; SameSite=None; Partitioned"),
            "{line}"
        );
    }
    assert_eq!(frame.get("/access").await.status, StatusCode::OK);
    // Once.
    assert_ne!(
        frame.post("/sign-in/frame", &form).await.status,
        StatusCode::SEE_OTHER
    );
}

#[tokio::test]
async fn a_code_for_a_frame_is_good_for_a_minute() {
    let house = House::framed_by(&["https://acme.lightning.force.com"]).await;
    let frame = Browser::new(&house);
    let asked = frame.get("/sync-status").await;
    let mark = between(&asked.text, "data-frame=\"", "\"").to_owned();
    let window = Browser::new(&house);
    let begun = window
        .get(&format!("/sign-in?return=%2F&frame={mark}"))
        .await;
    let back = window.at_salesforce(begun.to(), ANNA).await;
    let done = window.get(&path(&back)).await;
    let code = between(&done.text, "data-code=\"", "\"").to_owned();
    house.pass(61);
    let late = frame
        .post("/sign-in/frame", &[("code", code.as_str())])
        .await;
    assert_eq!(late.status, StatusCode::BAD_REQUEST);
}

/// Signs a frame in by a window of its own, which has these cookies; what the frame, which then
/// wants to go there, is answered.
async fn taken_by(window: &Browser<'_>, frame: &Browser<'_>, mark: &str, to: &str) -> Page {
    let begun = window
        .get(&format!("/sign-in?return=%2F&frame={mark}"))
        .await;
    let back = window.at_salesforce(begun.to(), ANNA).await;
    let done = window.get(&path(&back)).await;
    let code = between(&done.text, "data-code=\"", "\"").to_owned();
    let form = [("code", code.as_str()), ("return", to)];
    frame.post("/sign-in/frame", &form).await
}

async fn sign_in_by(window: &Browser<'_>, frame: &Browser<'_>, mark: &str) -> StatusCode {
    taken_by(window, frame, mark, "/access").await.status
}

fn mark(asked: &Page) -> String {
    between(&asked.text, "data-frame=\"", "\"").to_owned()
}

#[tokio::test]
async fn a_frame_is_not_sent_to_another_site() {
    let house = House::framed_by(&["https://acme.lightning.force.com"]).await;
    let (frame, window) = (Browser::new(&house), Browser::new(&house));
    let mark = mark(&frame.get("/sync-status").await);
    for to in [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/sign-out",
        "",
    ] {
        let taken = taken_by(&window, &frame, &mark, to).await;
        assert_eq!(taken.status, StatusCode::SEE_OTHER, "{to}: {}", taken.text);
        assert_eq!(taken.to().as_str(), house.url("/sync-status"), "{to}");
    }
}

#[tokio::test]
async fn the_window_of_a_frame_leaves_the_session_of_other_tabs_alone() {
    let house = House::framed_by(&["https://acme.lightning.force.com"]).await;
    // A tab with the console itself, and a Salesforce tab with the console in it.
    let tab = signed_in(&house, ANNA).await;
    let frame = Browser::new(&house);
    let first = mark(&frame.get("/sync-status").await);
    assert_eq!(
        sign_in_by(&tab, &frame, &first).await,
        StatusCode::SEE_OTHER
    );
    assert_eq!(tab.get("/access").await.status, StatusCode::OK);
    assert_eq!(frame.get("/access").await.status, StatusCode::OK);
    // The frame's own session before is not kept.
    let old = frame.cookie("__Host-mosync").unwrap();
    assert_eq!(
        sign_in_by(&tab, &frame, &first).await,
        StatusCode::SEE_OTHER
    );
    assert_ne!(frame.cookie("__Host-mosync").unwrap(), old);
    frame.plant("__Host-mosync", Some(&old));
    assert_eq!(frame.get("/access").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn every_salesforce_tab_can_sign_in_however_long_it_was_open() {
    let house = House::framed_by(&["https://acme.lightning.force.com"]).await;
    let (frames, window) = (Browser::new(&house), Browser::new(&house));
    // Two tabs have their cookies in common, and each is told where its news are to be had.
    let asked = frames.get("/sync-status").await;
    for line in asked.set_cookies() {
        assert!(!line.contains("Max-Age"), "{line}");
    }
    let (one, other) = (mark(&asked), mark(&frames.get("/jobs").await));
    frames.get("/events").await;
    house.pass(11 * 60);
    for mark in [one, other] {
        let taken = sign_in_by(&window, &frames, &mark).await;
        assert_eq!(taken, StatusCode::SEE_OTHER);
        frames.plant("__Host-mosync", None);
    }
    // What somebody else has put there is no secret.
    frames.plant("__Host-mosync-frame", Some("x"));
    let mark = mark(&frames.get("/sync-status").await);
    assert_ne!(frames.cookie("__Host-mosync-frame").unwrap(), "x");
    assert_eq!(mark.len(), 64);
}

#[tokio::test]
async fn a_page_that_is_open_and_nobody_looks_at_keeps_no_session_from_ending() {
    let house = House::open().await;
    let browser = signed_in(&house, ANNA).await;
    // A script of the page reads it again by itself.
    let by_itself = async || browser.get_by_itself("/jobs").await;
    for _ in 0..7 {
        house.pass(4 * 60);
        assert_eq!(browser.get("/events").await.status, StatusCode::OK);
        assert_eq!(by_itself().await.status, StatusCode::OK);
    }
    house.pass(2 * 60);
    assert_eq!(
        browser.get("/events").await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(by_itself().await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_sign_in_for_no_frame_of_the_consoles_is_not_begun() {
    let house = House::open().await;
    let browser = Browser::new(&house);
    for frame in [
        "x;%20Domain=example.com".to_owned(),
        "x".to_owned(),
        "g".repeat(64),
        format!("{}.", "a".repeat(64)),
    ] {
        let begun = browser.get(&format!("/sign-in?frame={frame}")).await;
        assert_eq!(begun.status, StatusCode::BAD_REQUEST, "{frame}");
        assert!(begun.set_cookies().is_empty(), "{frame}");
        assert!(begun.text.contains("none of the console"), "{}", begun.text);
    }
}

#[tokio::test]
async fn a_code_that_salesforce_refuses_is_no_outage() {
    let house = House::open().await;
    let browser = Browser::new(&house);
    let begun = browser.get("/sign-in?return=%2F").await;
    let back = browser.at_salesforce(begun.to(), ANNA).await;
    let state = back.query_pairs().find(|(name, _)| name == "state");
    let state = state.unwrap().1.into_owned();
    let page = browser
        .get(&format!("/sign-in/back?code=nonsense&state={state}"))
        .await;
    assert_eq!(page.status, StatusCode::FORBIDDEN, "{}", page.text);
    assert!(page.text.contains("begin again"), "{}", page.text);
}
