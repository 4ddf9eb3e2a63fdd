//! Too much at once, and too large.

use std::time::Duration;

use console::api::{Bounds, rights};
use reqwest::{Method, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

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
    // What a form asks for while somebody writes in it is no order.
    for _ in 0..70 {
        let form = [("form_token", token.as_str()), ("do", "add")];
        let page = browser.post("/settings/rows", &form).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    }
    let preview = browser.post("/settings", &[("form_token", &token)]).await;
    assert_eq!(preview.status, StatusCode::TOO_MANY_REQUESTS);
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

#[tokio::test]
async fn what_salesforce_has_to_answer_is_counted_apart_by_session_and_token() {
    let house = House::open().await;
    let browser = signed_in(&house, ANNA).await;
    let program = Browser::new(&house);
    let mut answered = [0, 0];
    let mut last = browser.get("/explain").await;
    for _ in 0..70 {
        last = browser.get("/explain").await;
        answered[0] += u32::from(last.status == StatusCode::OK);
        let request = program.request(Method::GET, "/api/v1/explain/nothing");
        let told = program.send(request.bearer_auth(CONFIGURED)).await;
        answered[1] += u32::from(told.status == StatusCode::BAD_REQUEST);
    }
    assert_eq!(answered, [59, 60]);
    assert_eq!(last.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(
        last.text.contains("that Salesforce has to answer"),
        "{}",
        last.text
    );
    // Everything else goes on.
    assert_eq!(browser.get("/jobs").await.status, StatusCode::OK);
    let request = program.request(Method::GET, "/api/v1/org");
    let told = program.send(request.bearer_auth(CONFIGURED)).await;
    assert_eq!(told.status, StatusCode::OK);
    house.pass(60);
    assert_eq!(browser.get("/explain").await.status, StatusCode::OK);
}

#[tokio::test]
async fn no_path_that_salesforce_has_to_answer_for_is_asked_more_often_than_the_others() {
    let house = House::open().await;
    let program = Browser::new(&house);
    let ask = async |method: Method, path: &str| {
        let request = program.request(method, path).bearer_auth(CONFIGURED);
        program.send(request).await.status
    };
    for (method, path) in [
        (Method::GET, "/api/v1/checklist"),
        (Method::POST, "/api/v1/settings"),
        (Method::POST, "/api/v1/settings/validate"),
        (Method::POST, "/api/v1/settings/revert"),
        (Method::POST, "/api/v1/settings/import-mapping"),
        (Method::POST, "/api/v1/settings/confirm-org"),
    ] {
        house.pass(60);
        for _ in 0..60 {
            // Spent with what asks least.
            let told = ask(Method::GET, "/api/v1/explain/nothing").await;
            assert_eq!(told, StatusCode::BAD_REQUEST, "{path}");
        }
        let told = ask(method, path).await;
        assert_eq!(told, StatusCode::TOO_MANY_REQUESTS, "{path}");
    }
    // What is only read there is read from the database.
    let told = ask(Method::GET, "/api/v1/settings").await;
    assert_eq!(told, StatusCode::OK);

    let browser = signed_in(&house, ANNA).await;
    for _ in 0..60 {
        browser.get("/explain").await;
    }
    for path in ["/settings/checklist", "/left", "/left/export"] {
        let told = browser.get(path).await.status;
        assert_eq!(told, StatusCode::TOO_MANY_REQUESTS, "{path}");
    }
}

#[tokio::test]
async fn behind_a_trusted_proxy_everybody_is_counted_by_their_own_address() {
    let house = House::behind(&["127.0.0.0/8", "10.0.0.0/8"]).await;
    let from = async |forwarded: &str, path: &str| {
        let browser = Browser::new(&house);
        let request = browser.request(Method::GET, path);
        let request = request.header("x-forwarded-for", forwarded);
        browser.send(request).await.status
    };
    for number in 0..60 {
        // Whatever the client writes itself, it is the same one.
        let forwarded = format!("198.51.100.{number}, 192.0.2.1, 10.0.0.7");
        assert_eq!(from(&forwarded, "/sign-in").await, StatusCode::SEE_OTHER);
    }
    let spent = from("198.51.100.99, 192.0.2.1", "/sign-in").await;
    assert_eq!(spent, StatusCode::TOO_MANY_REQUESTS);
    for other in ["192.0.2.2", "192.0.2.1, 192.0.2.2", "2001:db8::1"] {
        assert_eq!(from(other, "/sign-in").await, StatusCode::SEE_OTHER);
    }
    for _ in 0..120 {
        assert_eq!(from("192.0.2.3", "/").await, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(from("192.0.2.3", "/").await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(from("192.0.2.4", "/").await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn what_nobody_vouches_for_says_nothing_of_where_somebody_comes_from() {
    let house = House::open().await;
    let stranger = Browser::new(&house);
    let mut refused = 0;
    for number in 0..70 {
        let request = stranger.request(Method::GET, "/sign-in");
        let request = request.header("x-forwarded-for", format!("192.0.2.{number}"));
        let page = stranger.send(request).await;
        refused += u32::from(page.status == StatusCode::TOO_MANY_REQUESTS);
    }
    assert_eq!(refused, 10);
}

#[tokio::test]
async fn every_door_counts_and_who_is_in_stays_in() {
    let house = House::open().await;
    let inside = signed_in(&house, ANNA).await;
    let token = inside.get("/access").await.form_token();
    house.pass(60);
    let stranger = Browser::new(&house);
    stranger.plant("mosync", Some(&"a".repeat(64)));
    let doors = [
        (Method::GET, "/nothing"),
        (Method::PUT, "/sync-status"),
        (Method::POST, "/sign-out"),
        (Method::GET, "/api/v1/status"),
        (Method::GET, "/sync-status"),
    ];
    for number in 0..150 {
        let (method, path) = doors[number % doors.len()].clone();
        let request = stranger.request(method, path).form(&[("form_token", "x")]);
        let request = request.header("origin", house.origin());
        let is_refused = stranger.send(request).await.status == StatusCode::TOO_MANY_REQUESTS;
        assert_eq!(is_refused, number >= 120, "{number} {path}");
    }
    for (method, path) in &doors {
        let request = stranger
            .request(method.clone(), path)
            .form(&[("form_token", "x")]);
        let request = request.header("origin", house.origin());
        let page = stranger.send(request).await;
        assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS, "{path}");
    }
    // A token that is none, from the same address.
    let program = stranger
        .request(Method::GET, "/api/v1/status")
        .bearer_auth("a guess");
    let page = stranger.send(program).await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    // Who was in before is served, and so is the token of the configuration.
    assert_eq!(inside.get("/access").await.status, StatusCode::OK);
    let form = [
        ("form_token", token.as_str()),
        ("name", "x"),
        ("scope", "read"),
    ];
    let made = inside.post("/access/tokens", &form).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text);
    let program = inside
        .request(Method::GET, "/api/v1/status")
        .bearer_auth(CONFIGURED);
    assert_eq!(inside.send(program).await.status, StatusCode::OK);
    // And who signs in now.
    let late = signed_in(&house, ANNA).await;
    assert_eq!(late.get("/access").await.status, StatusCode::OK);
    let taken = Browser::new(&house);
    let mut refused = 0;
    for _ in 0..70 {
        let page = taken.post("/sign-in/frame", &[("code", "x")]).await;
        refused += u32::from(page.status == StatusCode::TOO_MANY_REQUESTS);
    }
    assert!(refused >= 10, "{refused}");
}

#[tokio::test]
async fn who_asks_too_often_is_told_without_anything_that_has_to_be_read() {
    let house = House::open().await;
    let browser = signed_in(&house, ANNA).await;
    let mut last = browser.get("/nothing").await;
    for _ in 0..600 {
        last = browser.get("/nothing").await;
    }
    assert_eq!(last.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(last.text.contains("class=\"bare\""), "{}", last.text);
    assert!(!last.text.contains("id=\"verdict\""));
}

/// A connection on which what is written is sent.
async fn dial(house: &House, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// What comes until the other end has closed.
async fn to_the_end(mut stream: TcpStream) -> String {
    let mut heard = Vec::new();
    // Closed with what was sent unread, that is a reset.
    let _read = stream.read_to_end(&mut heard).await;
    String::from_utf8_lossy(&heard).into_owned()
}

#[tokio::test]
async fn who_sends_little_at_a_time_is_not_waited_for() {
    let house = House::within(Bounds {
        headers: Duration::from_millis(300),
        body: Duration::from_millis(300),
        ..Bounds::default()
    })
    .await;
    // No request, half of one, and half a body.
    for begun in ["", "GET / HTTP/1.1\r\nhost: x\r\nx-slow: "] {
        let stream = dial(&house, begun).await;
        let heard = to_the_end(stream).await;
        assert!(!heard.contains("200 OK"), "{heard}");
    }
    let form = "POST /sign-in/frame HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 40\r\n\r\ncode=";
    let heard = to_the_end(dial(&house, form).await).await;
    assert!(heard.starts_with("HTTP/1.1 408 "), "{heard}");
    assert!(heard.contains("did not come to its end"), "{heard}");
    let json = format!(
        "POST /api/v1/tokens HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {CONFIGURED}\r\ncontent-type: application/json\r\ncontent-length: 400\r\n\r\n{{"
    );
    let heard = to_the_end(dial(&house, &json).await).await;
    assert!(heard.starts_with("HTTP/1.1 408 "), "{heard}");
    assert!(heard.contains("\"error\""), "{heard}");
    assert!(house.stores.tokens.tokens().await.unwrap().is_empty());
}

#[tokio::test]
async fn connections_beyond_the_bounds_are_closed_and_places_come_free() {
    let house = House::within(Bounds {
        of_one_address: 4,
        ..Bounds::default()
    })
    .await;
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut stream = dial(&house, "GET /assets/times.js HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let mut byte = [0];
        stream.read_exact(&mut byte).await.unwrap();
        held.push(stream);
    }
    assert_eq!(asked_once(&house).await, "", "there is no place");
    held.pop();
    // The server hears of it in its own time.
    while !asked_once(&house).await.starts_with("HTTP/1.1 200") {}
}

/// What is answered on a connection of its own; nothing where that is closed.
async fn asked_once(house: &House) -> String {
    let asked = "GET /assets/times.js HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    match stream.write_all(asked.as_bytes()).await {
        Ok(()) => to_the_end(stream).await,
        Err(_closed) => String::new(),
    }
}

#[tokio::test]
async fn hundreds_of_slow_connections_keep_nobody_out() {
    let house = House::within(Bounds {
        connections: 100,
        of_one_address: 90,
        headers: Duration::from_millis(500),
        ..Bounds::default()
    })
    .await;
    let mut slow = Vec::new();
    for _ in 0..400 {
        if let Ok(stream) = TcpStream::connect(house.address).await {
            slow.push(stream);
        }
    }
    // Those that are in are closed when they have sent nothing for as long.
    loop {
        let page = Browser::new(&house).try_get("/sign-in").await;
        if page == Some(StatusCode::SEE_OTHER) {
            break;
        }
    }
    drop(slow);
}
