//! Orders come from the console's own forms, or are refused.

use reqwest::{Method, StatusCode};

use crate::browser::{Browser, Page, between, signed_in};
use crate::house::{ANNA, House};

const MAKE: &str = "/access/tokens";

#[tokio::test]
async fn an_order_needs_the_token_of_its_session_and_the_consoles_own_origin() {
    let house = House::open().await;
    let browser = signed_in(&house, ANNA).await;
    let own = browser.get("/access").await.form_token();
    let other = signed_in(&house, ANNA)
        .await
        .get("/access")
        .await
        .form_token();
    assert_ne!(own, other);
    let origin = house.origin();
    let fields = [("name", "Report"), ("scope", "read")];
    for (place, from, token) in [
        ("no token", Some(origin.as_str()), None),
        ("empty token", Some(origin.as_str()), Some("")),
        (
            "another session's token",
            Some(origin.as_str()),
            Some(other.as_str()),
        ),
        (
            "another site",
            Some("https://evil.example"),
            Some(own.as_str()),
        ),
        ("no origin", None, Some(own.as_str())),
        ("an opaque origin", Some("null"), Some(own.as_str())),
    ] {
        let mut form = fields.to_vec();
        form.extend(token.map(|token| ("form_token", token)));
        let page = browser.post_from(from, MAKE, &form).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{place}: {}", page.text);
        assert!(page.text.contains("nothing was done"), "{place}");
    }
    let request = browser
        .request(Method::POST, MAKE)
        .header("origin", &origin)
        .header("sec-fetch-site", "cross-site")
        .form(&[("name", "Report"), ("scope", "read"), ("form_token", &own)]);
    assert_eq!(browser.send(request).await.status, StatusCode::FORBIDDEN);
    assert!(house.stores.tokens.tokens().await.unwrap().is_empty());
    let form = [
        ("name", "Report"),
        ("scope", "read"),
        ("form_token", own.as_str()),
    ];
    assert_eq!(browser.post(MAKE, &form).await.status, StatusCode::OK);
    assert_eq!(house.stores.tokens.tokens().await.unwrap().len(), 1);
}

/// Names and values that a page keeps, to be sent again.
fn kept(page: &Page) -> Vec<(String, String)> {
    let form = between(&page.text, "id=\"kept\"", "</form>");
    let fields = form.split("name=\"").skip(1);
    let fields = fields.map(|field| {
        let (name, rest) = field.split_once("\" value=\"").unwrap();
        let value = rest.split_once('"').unwrap().0.replace("&lt;", "<");
        (name.to_owned(), value.replace("&gt;", ">"))
    });
    fields.collect()
}

#[tokio::test]
async fn what_is_sent_when_its_session_has_ended_is_kept_and_sent_again() {
    const HALF: &str = "ada@acme.example, <b>half a name";
    let house = House::open().await;
    let browser = signed_in(&house, ANNA).await;
    // As boxes that are ticked are sent, whatever the page makes of them.
    let settings = [
        ("ticked", "2"),
        ("emails", HALF),
        ("do", "refresh"),
        ("ticked", "1"),
    ];
    let mapping = [
        ("object.1", "Opportunity"),
        ("mos.1", "next_step"),
        ("field.1", HALF),
        ("do", "refresh"),
    ];
    for (path, written) in [("/settings", &settings[..]), ("/mapping", &mapping)] {
        let old = browser.get(path).await.form_token();
        house.pass(30 * 60);
        let mut form = written.to_vec();
        form.push(("form_token", old.as_str()));
        let asked = browser.post(path, &form).await;
        assert_eq!(asked.status, StatusCode::UNAUTHORIZED, "{}", asked.text);
        assert!(asked.text.contains("kept on this page"), "{}", asked.text);
        assert!(asked.text.contains("target=\"_blank\""), "{}", asked.text);
        let send = async |page: &Page| {
            let fields = kept(page);
            let fields = fields.iter().map(|(name, value)| (&**name, &**value));
            browser.post(path, &fields.collect::<Vec<_>>()).await
        };
        // Who has signed in since sees first that nothing was done.
        browser.sign_in(ANNA).await;
        let again = send(&asked).await;
        assert_eq!(again.status, StatusCode::FORBIDDEN, "{}", again.text);
        assert!(again.text.contains("nothing was done"), "{}", again.text);
        for page in [&asked, &again] {
            let mut fields = kept(page);
            fields.retain(|(name, _)| name != "form_token");
            let fields = fields.iter().map(|(name, value)| (&**name, &**value));
            assert_eq!(fields.collect::<Vec<_>>(), written, "{}", page.text);
            assert!(!page.text.contains(&old) && !page.text.contains("<b>"));
        }
        // And what it is that would be done, by whom: another may have written it.
        let seen = between(&again.text, "<dl", "</dl>");
        for part in [path, "ada@acme.example, &lt;b&gt;half a name</dd>"] {
            assert!(seen.contains(part), "{part}: {seen}");
        }
        assert!(again.text.contains(ANNA), "{}", again.text);
        let form = send(&again).await;
        assert_eq!(form.status, StatusCode::OK, "{}", form.text);
        assert!(form.text.contains("ada@acme.example, &lt;b&gt;half a name"));
    }
}

/// The script of settings shows what stands there beside the form, which stays.
#[tokio::test]
async fn a_form_that_asks_in_the_background_is_told_that_its_session_has_ended() {
    let house = House::open().await;
    let browser = signed_in(&house, ANNA).await;
    let old = browser.get("/settings").await.form_token();
    house.pass(30 * 60);
    browser.sign_in(ANNA).await;
    let form = [("form_token", old.as_str()), ("do", "refresh")];
    let told = browser.post("/settings/rows", &form).await;
    assert_eq!(told.status, StatusCode::FORBIDDEN, "{}", told.text);
    let fault = between(&told.text, "class=\"fault\"", "</p>");
    assert!(fault.contains("a session that has ended"), "{fault}");
}

#[tokio::test]
async fn what_another_site_has_sent_is_kept_for_nobody() {
    let house = House::open().await;
    let stranger = Browser::new(&house);
    let evil = Some("https://evil.example");
    let form = [("emails", "eve@evil.example"), ("do", "refresh")];
    let asked = stranger.post_from(evil, "/settings", &form).await;
    assert_eq!(asked.status, StatusCode::UNAUTHORIZED);
    assert!(!asked.text.contains("eve@"), "{}", asked.text);
    let own = stranger.post("/settings", &form).await;
    assert!(own.text.contains("eve@evil.example"), "{}", own.text);
}

#[tokio::test]
async fn nobody_is_signed_out_by_another_site() {
    let house = House::open().await;
    let browser = signed_in(&house, ANNA).await;
    let token = browser.get("/access").await.form_token();
    let evil = Some("https://evil.example");
    let form = [("form_token", token.as_str())];
    let crossed = browser.post_from(evil, "/sign-out", &form).await;
    assert_eq!(crossed.status, StatusCode::FORBIDDEN);
    let bare = browser.post("/sign-out", &[]).await;
    assert_eq!(bare.status, StatusCode::FORBIDDEN);
    assert_eq!(browser.get("/access").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_script_orders_with_the_token_in_a_header() {
    let house = House::open().await;
    let browser = signed_in(&house, ANNA).await;
    let token = browser.get("/access").await.form_token();
    let order = |origin: &str, token: Option<&str>| {
        let request = browser
            .request(Method::POST, "/api/v1/sync-all")
            .header("origin", origin);
        browser.send(match token {
            Some(token) => request.header("mosync-form-token", token),
            None => request,
        })
    };
    let own = house.origin();
    assert_eq!(order(&own, None).await.status, StatusCode::FORBIDDEN);
    assert_eq!(
        order("https://evil.example", Some(&token)).await.status,
        StatusCode::FORBIDDEN
    );
    let done = order(&own, Some(&token)).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text);
    let log = browser.get("/api/v1/logs?topic=job").await;
    assert!(
        log.text
            .contains("a sync-all was asked for by anna@fake.example.com"),
        "{}",
        log.text
    );
}

#[tokio::test]
async fn a_form_that_is_wrong_says_so_in_place() {
    let house = House::open().await;
    let browser = signed_in(&house, ANNA).await;
    let token = browser.get("/access").await.form_token();
    let send = async |name: &str, scope: &str| {
        let form = [("name", name), ("scope", scope), ("form_token", &token)];
        browser.post(MAKE, &form).await
    };
    let empty = send(" ", "read").await;
    assert_eq!(empty.status, StatusCode::BAD_REQUEST);
    assert!(empty.text.contains("id=\"name-error\"") && empty.text.contains("needs a name"));
    let script = send("<script>alert(1)</script>", "everything").await;
    assert_eq!(script.status, StatusCode::BAD_REQUEST);
    // The sentence about the scope stands at the scope.
    assert!(
        script.text.contains("id=\"scope-error\""),
        "{}",
        script.text
    );
    assert!(
        !script.text.contains("id=\"name-error\""),
        "{}",
        script.text
    );
    assert!(!script.text.contains("<script>alert"), "{}", script.text);
    assert_eq!(send("<b>Report</b>", "read").await.status, StatusCode::OK);
    let twice = send("<b>Report</b>", "read").await;
    assert_eq!(twice.status, StatusCode::CONFLICT);
    assert!(!twice.text.contains("<b>Report</b>"));
}
