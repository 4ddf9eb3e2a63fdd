//! What every page and every answer has.

use console::api;
use reqwest::{Method, StatusCode};

use crate::browser::{Browser, signed_in};
use crate::house::{ANNA, House};

/// Every path there is, pages and API, with something in place of names.
pub(crate) fn every_path() -> Vec<(Method, String)> {
    let open = [
        ("/sign-in", &["get"][..]),
        ("/sign-in/back", &["get"][..]),
        ("/sign-in/frame", &["post"][..]),
        ("/sign-out", &["post"][..]),
        ("/assets/console.css", &["get"][..]),
        ("/nothing", &["get"][..]),
        ("/api/v1/nothing", &["get"][..]),
    ];
    let pages = console::pages::routes().map(|(path, methods, _)| (path, methods));
    pages
        .chain(api::routes())
        .chain(open)
        .flat_map(|(path, methods)| methods.iter().map(move |method| (*method, path)))
        .map(|(method, path)| (method.to_uppercase().parse().unwrap(), filled(path)))
        .collect()
}

pub(crate) fn filled(path: &str) -> String {
    let parts = path.split('/');
    let parts = parts.map(|part| if part.starts_with('{') { "x" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn every_answer_tells_the_browser_what_it_may() {
    let house = House::open().await;
    let browsers = [Browser::new(&house), signed_in(&house, ANNA).await];
    for browser in &browsers {
        for (method, path) in every_path() {
            let request = browser.request(method.clone(), &path);
            let page = browser.send(request).await;
            let place = format!("{method} {path}");
            let policy = page.headers["content-security-policy"].to_str().unwrap();
            assert_eq!(
                policy,
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
                "{place}"
            );
            assert_eq!(page.headers["x-content-type-options"], "nosniff", "{place}");
            assert_eq!(page.headers["referrer-policy"], "same-origin", "{place}");
            assert_eq!(page.headers["x-frame-options"], "DENY", "{place}");
            // What is somebody's own is kept by no browser and no proxy, whatever the answer is.
            let kept = page.headers["cache-control"].to_str().unwrap();
            let may = match path.as_str() {
                "/assets/console.css" => "public, max-age=31536000, immutable",
                // Let in, it is a stream.
                "/events" if page.status == StatusCode::OK => "no-cache",
                _ => "no-store",
            };
            assert_eq!(kept, may, "{place}");
        }
    }
}

#[tokio::test]
async fn only_the_configured_pages_may_show_the_console_in_a_frame() {
    let house = House::framed_by(&[
        "https://acme.lightning.force.com",
        "https://acme.my.salesforce.com",
    ])
    .await;
    let page = Browser::new(&house).get("/").await;
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.ends_with(
            "; frame-ancestors https://acme.lightning.force.com https://acme.my.salesforce.com"
        ),
        "{policy}"
    );
    assert!(!page.headers.contains_key("x-frame-options"));
}

#[tokio::test]
async fn a_page_has_no_inline_script_and_no_secret() {
    let house = House::open().await;
    let browser = signed_in(&house, ANNA).await;
    let id = browser.cookie("mosync").unwrap();
    for (path, methods, _) in console::pages::routes() {
        if !methods.contains(&"get") || path.contains('{') || path == "/" {
            continue;
        }
        let page = browser.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.text);
        if page.headers["content-type"] != "text/html; charset=utf-8" {
            // A download, or the stream of news.
            continue;
        }
        assert!(
            page.text.starts_with("<!DOCTYPE html><html lang=\"en\">"),
            "{path}"
        );
        for script in page.text.split("<script").skip(1) {
            assert!(
                script.starts_with(" src=\"/assets/"),
                "{path}: {script:.60}"
            );
        }
        for wrong in ["<style", " style=\"", " onclick=", "javascript:"] {
            assert!(!page.text.contains(wrong), "{path} has {wrong}");
        }
        let hash = console::token::hash_in_words(&console::token::hash(&id));
        for secret in [
            id.as_str(),
            hash.as_str(),
            "fake-client-secret",
            "fake-password",
        ] {
            assert!(!page.text.contains(secret), "{path}");
        }
        // The frame: the org, the state, the most recent sync, the viewer.
        for part in [
            house.salesforce.org.org_id(),
            "Most recent sync",
            "id=\"verdict\"",
            "Anna",
        ] {
            assert!(page.text.contains(part), "{path} lacks {part}");
        }
        assert_eq!(page.headers["cache-control"], "no-store", "{path}");
    }
}

#[tokio::test]
async fn assets_are_kept_for_ever_and_nothing_else_is_served() {
    let house = House::open().await;
    let browser = Browser::new(&house);
    let page = browser.get("/").await;
    for name in ["console.css", "times.js", "mosync.svg"] {
        let at = page
            .text
            .split('"')
            .find(|part| part.starts_with(&format!("/assets/{name}?v=")));
        let asset = browser.get(at.unwrap()).await;
        assert_eq!(asset.status, StatusCode::OK);
        let cached = asset.headers["cache-control"].to_str().unwrap();
        assert_eq!(cached, "public, max-age=31536000, immutable");
    }
    for path in [
        "/assets/..%2f..%2fCargo.toml",
        "/assets/%2e%2e/Cargo.toml",
        "/assets/console.css%00",
        "/assets//etc/passwd",
        "/assets/",
    ] {
        let page = browser.get(path).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_path_that_is_none_is_told_in_the_frame_or_in_json() {
    let house = House::open().await;
    let browser = signed_in(&house, ANNA).await;
    let page = browser.get("/nothing%3Cscript%3E").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(page.text.contains("There is no such page") && page.text.contains("class=\"tabs\""));
    assert!(!page.text.contains("<script>"));
    let wrong = browser.request(Method::PUT, "/sync-status");
    assert_eq!(
        browser.send(wrong).await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
    let json = browser.get("/api/nothing").await;
    assert_eq!(json.status, StatusCode::NOT_FOUND);
    assert!(json.text.starts_with("{\"error\""), "{}", json.text);
}

#[tokio::test]
async fn the_page_and_the_api_say_the_same() {
    let house = House::open().await;
    let browser = signed_in(&house, ANNA).await;
    let page = browser.get("/sync-status").await;
    let status = browser.get("/api/v1/status").await;
    let status: serde_json::Value = serde_json::from_str(&status.text).unwrap();
    let verdict = status["verdict"].as_str().unwrap();
    assert!(
        page.text.to_lowercase().contains(&format!(">{verdict}<")),
        "{verdict}"
    );
    let jobs = status["jobs"].as_array().unwrap();
    assert!(
        jobs.iter()
            .all(|job| page.text.contains(job["id"].as_str().unwrap()))
    );
    let permitted = status["permitted_users"].to_string();
    assert!(
        page.text
            .contains(&format!("{permitted} users hold mOS permission"))
    );
}

#[tokio::test]
async fn nonsense_is_answered_by_a_page_with_a_sentence() {
    let house = House::open().await;
    let browser = signed_in(&house, ANNA).await;
    let origin = house.origin();
    let token = browser.get("/access").await.form_token();
    for (method, path) in every_path() {
        if path.starts_with("/api/") || path == "/events" || path == "/sign-out" {
            continue;
        }
        let mut asked = vec![
            format!("{path}?before=x&saved=x&return=a&return=b&frame=%FF&code=1&code=2&limit=x"),
            format!("{path}?%FF=%FF&=&&"),
        ];
        asked.extend(path.contains("/x").then(|| path.replace("/x", "/%FF")));
        for address in asked {
            // Other minutes, so that nobody is told to wait.
            house.pass(60);
            let mut request = browser.request(method.clone(), &address);
            if method == Method::POST {
                let form =
                    format!("form_token={token}&base=x&base=y&of=-1&revision=x&settings=%FF");
                request = request
                    .header("origin", &origin)
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body(form);
            }
            let page = browser.send(request).await;
            let place = format!("{method} {address} {}: {}", page.status, page.text);
            let media = page.headers.get("content-type");
            let media = media
                .and_then(|media| media.to_str().ok())
                .unwrap_or_default();
            let is_sent_on = page.status.is_redirection();
            let is_file = page.status == StatusCode::OK && !media.starts_with("text/plain");
            assert!(!page.status.is_server_error(), "{place}");
            assert!(
                is_sent_on || is_file || media.starts_with("text/html"),
                "{place}"
            );
            if page.status.is_client_error() {
                assert!(page.text.starts_with("<!DOCTYPE html>"), "{place}");
                assert!(
                    page.text.contains(".</p>") || page.text.contains("<p>"),
                    "{place}"
                );
            }
        }
    }
    for (address, said) in [
        ("/settings/history?before=x", "what stands after"),
        ("/settings?saved=x", "what stands after"),
        ("/sign-in?return=a&return=b", "what stands after"),
        ("/jobs/%FF", "the address cannot be read"),
    ] {
        let page = browser.get(address).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{address}");
        let text = page.text.to_lowercase();
        assert!(text.contains(said), "{address}: {text}");
    }
}
