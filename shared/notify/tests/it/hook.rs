//! The webhook, on a real HTTP server.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use domain::notification::{Event, Matter, Settled, Way};
use notify::{Config, Notify, SIGNATURE, Webhook};
use ports::courier::Courier;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::{NOW, config, courier, notice, to};

const SECRET: &str = "a secret of the test's";

/// A receiver that answers what it is told to.
struct Receiver {
    address: SocketAddr,
    heard: Arc<Heard>,
    _stop: DropGuard,
}

#[derive(Default)]
struct Heard {
    posts: Mutex<Vec<(HeaderMap, Bytes)>>,
    answer: Mutex<u16>,
}

async fn hear(State(heard): State<Arc<Heard>>, headers: HeaderMap, body: Bytes) -> Response {
    heard.posts.lock().unwrap().push((headers, body));
    let answer = *heard.answer.lock().unwrap();
    if answer == 0 {
        std::future::pending::<()>().await;
    }
    let status = StatusCode::from_u16(answer).unwrap();
    (status, [(header::LOCATION, "/elsewhere")]).into_response()
}

impl Receiver {
    async fn start(answer: u16) -> Self {
        let heard = Arc::new(Heard::default());
        *heard.answer.lock().unwrap() = answer;
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().fallback(hear).with_state(Arc::clone(&heard));
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        TaskTracker::new().spawn(stopped.run_until_cancelled_owned(async move {
            axum::serve(listener, app).await.unwrap();
        }));
        Self {
            address,
            heard,
            _stop: stop.drop_guard(),
        }
    }

    fn posts(&self) -> Vec<(HeaderMap, Bytes)> {
        self.heard.posts.lock().unwrap().clone()
    }

    fn courier(&self, host: &str) -> Notify {
        let url = format!(
            "http://{host}:{}/hook?key=of-the-receiver",
            self.address.port()
        );
        courier(Config {
            webhook: Some(Webhook {
                url: url.parse().unwrap(),
                secret: SECRET.to_owned().into(),
            }),
            timeout: Duration::from_millis(if *self.heard.answer.lock().unwrap() == 0 {
                300
            } else {
                20_000
            }),
            ..config()
        })
    }
}

async fn send(courier: &Notify) -> Settled {
    let letter = to(courier, notice(Matter::RecordsParked, Event::Opened), &[]);
    assert_eq!(letter.deliveries.len(), 1);
    courier.deliver(&letter, &Way::Webhook).await
}

/// HMAC (RFC 2104) by its definition, as a receiver without a library would.
fn hmac_sha256(key: &[u8], message: &[u8]) -> String {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key);
    let digest = |pad: u8, message: &[u8]| {
        let mut hash = Sha256::new();
        hash.update(block.map(|byte| byte ^ pad));
        hash.update(message);
        hash.finalize()
    };
    let outer = digest(0x5c, &digest(0x36, message));
    outer.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_post_is_signed_and_has_the_id_of_the_event() {
    let receiver = Receiver::start(204).await;
    let courier = receiver.courier("localhost");
    for _again in 0..2 {
        let settled = send(&courier).await;
        assert!(matches!(settled, Settled::Sent(_)), "{settled:?}");
    }
    let posts = receiver.posts();
    let (headers, body) = &posts[0];
    assert_eq!(posts[1].1, *body, "a repetition is the same");
    let said = headers[SIGNATURE].to_str().unwrap();
    let mut signed = format!("{NOW}.").into_bytes();
    signed.extend_from_slice(body);
    let expected = format!("t={NOW}, v1={}", hmac_sha256(SECRET.as_bytes(), &signed));
    assert_eq!(said, expected);
    assert_eq!(headers["content-type"], "application/json");
    let told: serde_json::Value = serde_json::from_slice(body).unwrap();
    let known = notice(Matter::RecordsParked, Event::Opened);
    assert_eq!(
        told,
        serde_json::json!({
            "id": known.id, "incident": known.incident, "matter": "records_parked",
            "event": "opened", "at": "2026-09-21T14:13:20.000Z",
            "headline": "812 records are parked (Contact)", "object": "Contact", "count": 812,
            "cause": known.cause, "advice": known.advice, "details": known.details,
            "lasted_s": null, "url": "https://mosync.acme.example/parked"
        })
    );
}

#[tokio::test]
async fn no_redirect_is_followed_and_every_refusal_has_its_end() {
    for (answer, word, again) in [
        (302, "302: redirects are not followed", true),
        (307, "307: redirects are not followed", true),
        (404, "404", true),
        (503, "503", true),
        (410, "410", false),
        (0, "did not answer within", true),
    ] {
        let receiver = Receiver::start(answer).await;
        let settled = send(&receiver.courier("127.0.0.1")).await;
        let (why, later) = match &settled {
            Settled::Later(why) => (why, true),
            Settled::Never(why) => (why, false),
            other => panic!("{answer}: {other:?}"),
        };
        assert!(why.contains(word), "{answer}: {why}");
        assert_eq!(later, again, "{answer}");
        assert!(!why.contains("of-the-receiver"), "{why}");
        assert_eq!(receiver.posts().len(), 1, "{answer}");
    }
}

#[tokio::test]
async fn nobody_there_is_told_without_the_address() {
    let receiver = Receiver::start(204).await;
    let courier = receiver.courier("127.0.0.1");
    drop(receiver);
    loop {
        match send(&courier).await {
            // The port is given back a moment later.
            Settled::Sent(_) => {}
            Settled::Later(why) => {
                assert!(why.contains("cannot be reached"), "{why}");
                assert!(!why.contains("of-the-receiver"), "{why}");
                return;
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn addresses_that_must_not_be_asked_are_refused() {
    for url in [
        "http://hooks.acme.example/",
        "https://169.254.169.254/",
        "https://[fe80::1]/",
        "https://ada:pa55word@hooks.acme.example/",
    ] {
        let config = Config {
            webhook: Some(Webhook {
                url: url.parse().unwrap(),
                secret: SECRET.to_owned().into(),
            }),
            ..config()
        };
        let refused = Notify::new(config, Arc::new(super::Stopped)).unwrap_err();
        assert!(refused.to_string().contains("notify.webhook_url"), "{url}");
    }
}
