//! Who may do what, over every route there is.

use console::rights::Right;
use reqwest::{Method, StatusCode};

use crate::browser::{Browser, signed_in};
use crate::house::{ANNA, CONFIGURED, House, OTTO, VERA};
use crate::pages::filled;

/// Whether the answer is one to somebody who may.
fn got_in(status: StatusCode) -> bool {
    !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

/// Every route with its method and the right that the table gives it.
fn every_route() -> Vec<(Method, String, Right)> {
    console::pages::routes()
        .chain(console::api::rights())
        .flat_map(|(path, methods, needs)| {
            let one =
                move |method: &&str| (method.to_uppercase().parse().unwrap(), filled(path), needs);
            methods.iter().map(one).collect::<Vec<_>>()
        })
        .collect()
}

#[tokio::test]
async fn each_role_reaches_what_its_right_covers_and_nothing_else() {
    let house = House::open().await;
    for (username, right) in [
        (VERA, Right::Read),
        (OTTO, Right::Operate),
        (ANNA, Right::Administer),
    ] {
        let browser = signed_in(&house, username).await;
        let token = browser.get("/sync-status").await.form_token();
        for (method, path, needs) in every_route() {
            // Other minutes, so that nobody is told to wait.
            house.pass(60);
            let mut request = browser
                .request(method.clone(), &path)
                .header("origin", house.origin())
                .header("mosync-form-token", &token);
            if !path.starts_with("/api/") && method != Method::GET {
                request = request.form(&[("form_token", &token)]);
            }
            let page = browser.send(request).await;
            assert_eq!(
                got_in(page.status),
                right.covers(needs),
                "{username}: {method} {path} {}",
                page.status
            );
            // Sessions end when idle; so many routes there are.
            browser.get("/sync-status").await;
        }
    }
}

#[tokio::test]
async fn nobody_reaches_anything_without_a_session_or_a_token() {
    let house = House::open().await;
    let stranger = Browser::new(&house);
    for (method, path, _) in every_route() {
        house.pass(60);
        let page = stranger.send(stranger.request(method.clone(), &path)).await;
        assert_eq!(page.status, StatusCode::UNAUTHORIZED, "{method} {path}");
    }
}

#[tokio::test]
async fn the_table_gives_settings_users_and_access_to_administrators_alone() {
    for (path, _, needs) in console::pages::routes().chain(console::api::rights()) {
        let words = [
            "settings",
            "mapping",
            "users",
            "access",
            "tokens",
            "fields",
            "checklist",
        ];
        // The button stands on the page of the settings, and is an operator's too.
        let is_for_administrators = path != "/settings/sync-all"
            && (path.ends_with("/notifications/test")
                || words.iter().any(|word| path.contains(word)));
        assert_eq!(needs == Right::Administer, is_for_administrators, "{path}");
        // What was told is for who can do something about it.
        if path.contains("/notifications") {
            assert!(needs >= Right::Operate, "{path}");
        }
        let orders = [
            "pause", "resume", "cancel", "retry", "dismiss", "replay", "discard", "sync-all",
        ];
        if orders.iter().any(|word| path.ends_with(word)) {
            assert_eq!(needs, Right::Operate, "{path}");
        }
    }
}

#[tokio::test]
async fn the_token_of_the_configuration_administers() {
    let house = House::open().await;
    let program = Browser::new(&house);
    for (path, status) in [
        ("/api/v1/settings", 200),
        ("/api/v1/tokens", 200),
        ("/access", 401),
    ] {
        let request = program.request(Method::GET, path).bearer_auth(CONFIGURED);
        assert_eq!(
            program.send(request).await.status.as_u16(),
            status,
            "{path}"
        );
    }
}

#[tokio::test]
async fn who_is_deactivated_or_frozen_in_salesforce_is_out_within_five_minutes() {
    let house = House::open().await;
    for username in [ANNA, OTTO, VERA] {
        for field in ["IsActive", "IsFrozen"] {
            let browser = signed_in(&house, username).await;
            house.lets_in(username, field, false);
            let page = browser.get("/sync-status").await;
            assert_eq!(page.status, StatusCode::OK, "Salesforce was just asked");
            house.pass(5 * 60 + 1);
            let page = browser.get("/sync-status").await;
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{username} {field}");
            let page = browser.get("/api/v1/status").await;
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{username} {field}");
            // And back, as soon as Salesforce says so.
            house.lets_in(username, field, true);
            house.pass(5 * 60 + 1);
            let page = browser.get("/sync-status").await;
            assert_eq!(page.status, StatusCode::OK, "{username} {field}");
        }
    }
}

#[tokio::test]
async fn while_salesforce_does_not_answer_everybody_is_as_before() {
    let house = House::open().await;
    let (in_, out) = (signed_in(&house, OTTO).await, signed_in(&house, VERA).await);
    house.lets_in(VERA, "IsActive", false);
    house.pass(5 * 60 + 1);
    let page = out.get("/sync-status").await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    let fault = fake_salesforce::faults::Fault::Quota { exhausted: true };
    house.salesforce.faults.apply(fault);
    house.lets_in(VERA, "IsActive", true);
    house.pass(5 * 60 + 1);
    let page = in_.get("/sync-status").await;
    assert_eq!(page.status, StatusCode::OK);
    let page = out.get("/sync-status").await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn who_lost_the_permission_set_is_no_administrator_after_five_minutes_without_a_poll() {
    let house = House::open().await;
    let browser = signed_in(&house, ANNA).await;
    // Nobody reads permissions any more; Salesforce is asked, and says the same.
    house.pass(5 * 60 + 1);
    assert_eq!(browser.get("/access").await.status, StatusCode::OK);
    house.assign_by_group(house.anna);
    house.pass(5 * 60 + 1);
    assert_eq!(browser.get("/access").await.status, StatusCode::OK);
    house.takes_away(house.anna);
    assert_eq!(
        browser.get("/access").await.status,
        StatusCode::OK,
        "just asked"
    );
    house.pass(5 * 60 + 1);
    for path in ["/access", "/sync-status", "/api/v1/settings"] {
        let page = browser.get(path).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{path}");
    }
    let again = Browser::new(&house).sign_in(ANNA).await;
    assert_eq!(again.status, StatusCode::FORBIDDEN, "{}", again.text);
    // A poll counts again, whatever was said meanwhile.
    house.administrators(&[house.anna]).await;
    assert_eq!(browser.get("/access").await.status, StatusCode::OK);
}

#[tokio::test]
async fn who_cannot_be_checked_may_look_and_do_nothing_that_administrators_do() {
    let house = House::open().await;
    let browser = signed_in(&house, ANNA).await;
    let token = browser.get("/access").await.form_token();
    let fault = fake_salesforce::faults::Fault::Quota { exhausted: true };
    house.salesforce.faults.apply(fault);
    house.pass(4 * 60);
    assert_eq!(browser.get("/access").await.status, StatusCode::OK);
    house.pass(60 + 1);
    let page = browser.get("/access").await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        page.text.contains("Salesforce does not answer"),
        "{}",
        page.text
    );
    let form = [
        ("form_token", token.as_str()),
        ("name", "x"),
        ("scope", "read"),
    ];
    let order = browser.post("/access/tokens", &form).await;
    assert_eq!(order.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(house.stores.tokens.tokens().await.unwrap().is_empty());
    assert_eq!(browser.get("/sync-status").await.status, StatusCode::OK);
    let fault = fake_salesforce::faults::Fault::Quota { exhausted: false };
    house.salesforce.faults.apply(fault);
    house.pass(61);
    assert_eq!(browser.get("/access").await.status, StatusCode::OK);
}
