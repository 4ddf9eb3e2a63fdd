//! Signing in and staying signed in.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use ports::source::{Source, SourceError};
use salesforce::{Config, ConfigError, Grant};
use url::Url;

use crate::http_server::{FixedClock, ORG, Reply, Server, TOKEN_PATH, not_found, token};

const LIMITS: &str = r#"{"DailyApiRequests":{"Max":15000,"Remaining":14998}}"#;

fn jwt(audience: Option<&str>) -> Grant {
    Grant::Jwt {
        client_id: "app".to_owned(),
        username: "integration@example.com".to_owned(),
        audience: audience.map(str::to_owned),
        private_key_pem: include_str!("../data/jwt-key.pem").to_owned().into(),
    }
}

#[tokio::test]
async fn the_assertion_is_signed_and_says_who_asks_whom_until_when() {
    let server = Server::start(|seen| {
        if seen.target.ends_with("/limits") {
            Reply::ok(LIMITS)
        } else {
            not_found()
        }
    })
    .await;
    let config = Config {
        grant: jwt(Some("https://login.salesforce.com")),
        ..server.config()
    };
    salesforce::connect(config, Arc::new(FixedClock))
        .unwrap()
        .limits()
        .await
        .unwrap();

    let request = server.seen(TOKEN_PATH).remove(0);
    let form: Vec<(String, String)> = url::form_urlencoded::parse(request.body.as_bytes())
        .into_owned()
        .collect();
    assert_eq!(
        form[0],
        (
            "grant_type".to_owned(),
            "urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned()
        )
    );
    let mut validation = Validation::new(Algorithm::RS256);
    validation.validate_exp = false;
    validation.set_audience(&["https://login.salesforce.com"]);
    let key = DecodingKey::from_rsa_pem(include_bytes!("../data/jwt-key.pub.pem")).unwrap();
    let claims = jsonwebtoken::decode::<serde_json::Value>(&form[1].1, &key, &validation)
        .unwrap()
        .claims;
    assert_eq!(
        claims,
        serde_json::json!({"iss": "app", "sub": "integration@example.com", "aud": "https://login.salesforce.com", "exp": 1_767_225_780})
    );
}

#[tokio::test]
async fn without_an_audience_the_login_address_is_the_audience() {
    let server = Server::start(|seen| {
        if seen.target.ends_with("/limits") {
            Reply::ok(LIMITS)
        } else {
            not_found()
        }
    })
    .await;
    let config = Config {
        grant: jwt(None),
        ..server.config()
    };
    salesforce::connect(config, Arc::new(FixedClock))
        .unwrap()
        .limits()
        .await
        .unwrap();
    let body = server.seen(TOKEN_PATH).remove(0).body;
    let assertion = url::form_urlencoded::parse(body.as_bytes())
        .find(|(key, _)| key == "assertion")
        .unwrap()
        .1
        .into_owned();
    let claims = jsonwebtoken::dangerous::insecure_decode::<serde_json::Value>(&assertion)
        .unwrap()
        .claims;
    assert_eq!(claims["aud"], server.url.origin().ascii_serialization());
}

#[tokio::test]
async fn many_expired_calls_renew_the_session_once() {
    let server = Server::start(|seen| {
        match seen
            .headers
            .get("authorization")
            .map(|value| value.to_str().unwrap())
        {
            Some("Bearer T1") => Reply {
                delay: Duration::from_millis(50),
                ..Reply::error(401, "INVALID_SESSION_ID")
            },
            Some("Bearer T2") => Reply::ok(LIMITS),
            _ => not_found(),
        }
    })
    .await;
    let client = server.client();
    let answers = join_all((0..16).map(|_| client.limits())).await;
    assert!(
        answers.iter().all(|answer| answer
            .as_ref()
            .is_ok_and(|limits| limits.remaining == 14_998)),
        "{answers:?}"
    );
    assert_eq!(server.sign_ins(), 2);
}

#[tokio::test]
async fn a_failed_sign_in_is_shared_by_all_who_waited_for_it_and_not_kept() {
    let server = Server::start(|seen| match (seen.target.as_str(), seen.nth) {
        (TOKEN_PATH, 0) => Reply {
            status: 400,
            delay: Duration::from_millis(300),
            ..Reply::ok(r#"{"error":"inactive_user","error_description":"user is inactive"}"#)
        },
        (target, _) if target.ends_with("/limits") => Reply::ok(LIMITS),
        _ => not_found(),
    })
    .await;
    let client = server.client();
    for answer in join_all((0..8).map(|_| client.limits())).await {
        let SourceError::SignIn(text) = answer.unwrap_err() else {
            panic!("not a sign-in error")
        };
        assert!(
            text.contains("inactive_user") && text.contains("activate"),
            "{text}"
        );
    }
    assert_eq!(server.sign_ins(), 1);
    client.limits().await.unwrap();
    assert_eq!(server.sign_ins(), 2);
}

#[tokio::test]
async fn a_session_that_is_refused_twice_is_a_sign_in_error() {
    let server = Server::start(|seen| {
        if seen.target == TOKEN_PATH {
            not_found()
        } else {
            Reply::error(401, "INVALID_SESSION_ID")
        }
    })
    .await;
    assert!(matches!(
        server.client().limits().await,
        Err(SourceError::SignIn(_))
    ));
    assert_eq!(server.sign_ins(), 2);
}

#[tokio::test]
async fn a_token_is_not_sent_to_an_instance_without_tls() {
    let server = Server::start(|_| Reply::ok(token("T1", "http://elsewhere.example.com"))).await;
    let SourceError::Garbled(text) = server.client().limits().await.unwrap_err() else {
        panic!("not refused")
    };
    assert!(text.contains("https") && !text.contains("T1"), "{text}");
}

#[tokio::test]
async fn an_unreadable_answer_to_the_sign_in_does_not_show_the_token() {
    let server =
        Server::start(|_| Reply::ok(r#"{"access_token":"T-secret","instance_url":5}"#)).await;
    let error = server.client().limits().await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("T-secret"));
    assert!(matches!(error, SourceError::Garbled(_)));
}

#[tokio::test]
async fn a_bad_configuration_is_refused_before_anything_is_sent() {
    let server = Server::start(|_| not_found()).await;
    let refuse = |config: Config| salesforce::connect(config, Arc::new(FixedClock)).unwrap_err();
    let elsewhere = Url::parse("http://login.example.com/?secret=1").unwrap();
    let error = refuse(Config {
        login_url: elsewhere.clone(),
        ..server.config()
    });
    assert_eq!(
        error,
        ConfigError::Address {
            key: "login_url",
            url: "http://login.example.com".to_owned()
        }
    );
    assert!(matches!(
        refuse(Config {
            pubsub_endpoint: elsewhere.clone(),
            ..server.config()
        }),
        ConfigError::Address {
            key: "pubsub_endpoint",
            ..
        }
    ));
    assert!(matches!(
        refuse(Config {
            api_version: "latest".to_owned(),
            ..server.config()
        }),
        ConfigError::ApiVersion(_)
    ));
    let grant = Grant::Jwt {
        client_id: "app".to_owned(),
        username: "u".to_owned(),
        audience: None,
        private_key_pem: "no key".to_owned().into(),
    };
    assert_eq!(
        refuse(Config {
            grant,
            ..server.config()
        }),
        ConfigError::PrivateKey
    );
    assert!(
        salesforce::connect(
            Config {
                login_url: elsewhere,
                plaintext_allowed: true,
                ..server.config()
            },
            Arc::new(FixedClock)
        )
        .is_ok()
    );
    assert_eq!(server.sign_ins(), 0);
    assert!(!format!("{:?}", server.config()).contains("hush"));
    assert_eq!(ORG.len(), 18);
}
