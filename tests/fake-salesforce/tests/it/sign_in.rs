//! Who gets in, by which flow, and for how long.
use std::path::PathBuf;

use fake_salesforce::server::{DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, Options};
use fake_salesforce::setup::DEFAULT_USERNAME;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::common::NOW;
use crate::doors::{Door, V, open, read};

fn testdata(name: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/testdata");
    PathBuf::from(folder).join(name)
}

#[tokio::test]
async fn sign_in_by_client_credentials_in_body_or_basic() {
    let door = open(Options::default()).await;
    let answer = door.sign_in().await;
    assert_eq!(
        answer["instance_url"],
        format!("http://{}", door.running.http)
    );
    assert_eq!(answer["token_type"], "Bearer");
    assert_eq!(answer["issued_at"], (NOW / 1000).to_string());
    assert!(
        answer["access_token"]
            .as_str()
            .unwrap()
            .starts_with(door.running.org.org_id().get(..15).unwrap())
    );
    let basic = door
        .client
        .post(door.url("/services/oauth2/token"))
        .basic_auth(DEFAULT_CLIENT_ID, Some(DEFAULT_CLIENT_SECRET))
        .form(&[("grant_type", "client_credentials")]);
    assert_eq!(basic.send().await.unwrap().status(), StatusCode::OK);
    let (status, answer) = door
        .token_request(&[
            ("grant_type", "client_credentials"),
            ("client_id", DEFAULT_CLIENT_ID),
            ("client_secret", "wrong"),
        ])
        .await;
    assert_eq!(
        (status, &answer["error"]),
        (StatusCode::UNAUTHORIZED, &json!("invalid_client"))
    );
    let (status, answer) = door.token_request(&[("grant_type", "magic")]).await;
    assert_eq!(
        (status, &answer["error"]),
        (StatusCode::BAD_REQUEST, &json!("unsupported_grant_type"))
    );
    door.running.stop().await;
}

#[tokio::test]
async fn sign_in_by_jwt_checks_signature_audience_time_and_user() {
    let options = Options {
        jwt_public_key: Some(testdata("jwt-test.pub")),
        ..Options::default()
    };
    let door = open(options).await;
    let pem = std::fs::read(testdata("jwt-test.key")).unwrap();
    let key = jsonwebtoken::EncodingKey::from_rsa_pem(&pem).unwrap();
    let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256);
    let soon = NOW / 1_000_000 + 180;
    let claims = |change: &dyn Fn(&mut Value)| {
        let mut claims = json!({"iss": DEFAULT_CLIENT_ID, "sub": DEFAULT_USERNAME,
                                "aud": "https://login.salesforce.com", "exp": soon});
        change(&mut claims);
        claims
    };
    let attempt = async |claims: Value| {
        let assertion = jsonwebtoken::encode(&header, &claims, &key).unwrap();
        let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
        let form = [("grant_type", grant), ("assertion", &assertion)];
        let (_, answer) = door.token_request(&form).await;
        match answer.get("error") {
            None => "ok".to_owned(),
            Some(_) => answer["error_description"].as_str().unwrap().to_owned(),
        }
    };
    assert_eq!(attempt(claims(&|_| ())).await, "ok");
    assert_eq!(
        attempt(claims(&|c| c["exp"] = json!(soon.to_string()))).await,
        "ok"
    );
    let own = door.url("");
    assert_eq!(attempt(claims(&|c| c["aud"] = json!(own))).await, "ok");
    assert_eq!(
        attempt(claims(&|c| c["aud"] = json!("https://evil.example"))).await,
        "audience is invalid"
    );
    assert_eq!(
        attempt(claims(&|c| c["exp"] = json!(soon - 200))).await,
        "expired authorization code"
    );
    assert_eq!(
        attempt(claims(&|c| c["iss"] = json!("other"))).await,
        "client identifier invalid"
    );
    assert_eq!(
        attempt(claims(&|c| c["sub"] = json!("x@y"))).await,
        "user hasn't approved this consumer"
    );
    // As recorded from clients: no `typ`, the org's own domain, colons that are not escaped.
    let mut bare = header.clone();
    bare.typ = None;
    let own_domain = claims(&|c| c["aud"] = json!("https://acme.my.salesforce.com"));
    let assertion = jsonwebtoken::encode(&bare, &own_domain, &key).unwrap();
    let raw =
        format!("grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion={assertion}");
    let request = door.client.post(door.url("/services/oauth2/token"));
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let (status, answer) = read(request.body(raw).send().await.unwrap()).await;
    assert_eq!(status, StatusCode::OK);
    for key in [
        "access_token",
        "instance_url",
        "id",
        "issued_at",
        "signature",
        "token_type",
        "scope",
    ] {
        assert!(answer[key].is_string(), "{key}: {answer}");
    }
    let (status, answer) = door
        .token_request(&[
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", "a.b.c"),
        ])
        .await;
    assert_eq!(
        (status, &answer["error_description"]),
        (StatusCode::BAD_REQUEST, &json!("invalid assertion"))
    );
    door.running.stop().await;
}

#[tokio::test]
async fn the_browser_flow_with_pkce_gives_a_refresh_token() {
    let door = open(Options::default()).await;
    // RFC 7636, appendix B.
    let (verifier, challenge) = (
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    );
    let redirect = "http://localhost:1/callback";
    let pairs = [
        ("response_type", "code"),
        ("client_id", DEFAULT_CLIENT_ID),
        ("redirect_uri", redirect),
        ("state", "s 1"),
        ("code_challenge", challenge),
        ("code_challenge_method", "S256"),
    ];
    let address = door.url("/services/oauth2/authorize");
    let address = url::Url::parse_with_params(&address, pairs).unwrap();
    let location = door.browse(address.as_str()).await;
    let pairs: Vec<(String, String)> = location.query_pairs().into_owned().collect();
    assert_eq!(pairs[1], ("state".to_owned(), "s 1".to_owned()));
    let redeem = async |verifier: &str| {
        door.token_request(&[
            ("grant_type", "authorization_code"),
            ("code", &pairs[0].1),
            ("client_id", DEFAULT_CLIENT_ID),
            ("redirect_uri", redirect),
            ("code_verifier", verifier),
        ])
        .await
    };
    let (status, answer) = redeem(verifier).await;
    assert_eq!(status, StatusCode::OK);
    let first = answer["access_token"].as_str().unwrap();
    let refresh = answer["refresh_token"].as_str().unwrap();
    let (status, answer) = redeem(verifier).await;
    assert_eq!(
        (status, &answer["error"]),
        (StatusCode::BAD_REQUEST, &json!("invalid_grant"))
    );
    let (status, answer) = door
        .token_request(&[
            ("grant_type", "refresh_token"),
            ("client_id", DEFAULT_CLIENT_ID),
            ("refresh_token", refresh),
        ])
        .await;
    assert_eq!(status, StatusCode::OK);
    let session = answer["access_token"].as_str().unwrap();
    let tokens = &door.running.tokens;
    assert!(tokens.check(session));
    let (status, answer) = door
        .token_request(&[
            ("grant_type", "refresh_token"),
            ("client_id", DEFAULT_CLIENT_ID),
            ("client_secret", "wrong"),
            ("refresh_token", refresh),
        ])
        .await;
    assert_eq!(
        (status, &answer["error"]),
        (StatusCode::UNAUTHORIZED, &json!("invalid_client"))
    );
    // With a refresh token end the sessions that came of it, and no others.
    let revoke = door.client.post(door.url("/services/oauth2/revoke"));
    let revoked = revoke.form(&[("token", refresh)]).send().await.unwrap();
    assert_eq!(revoked.status(), StatusCode::OK);
    assert!(!tokens.check(first) && !tokens.check(session));
    assert!(tokens.check(&door.token));
    door.running.stop().await;
}

#[tokio::test]
async fn a_session_says_who_it_is_and_ends() {
    let door = open(Options::default()).await;
    let (status, info) = door.get("/services/oauth2/userinfo").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(info["user_id"], door.running.org.admin_id());
    assert_eq!(info["organization_id"], door.running.org.org_id());
    assert_eq!(info["preferred_username"], DEFAULT_USERNAME);
    let sub = info["sub"].as_str().unwrap();
    let identity = door
        .client
        .get(sub)
        .bearer_auth(&door.token)
        .send()
        .await
        .unwrap();
    let (status, identity) = read(identity).await;
    assert_eq!(
        (status, &identity["active"]),
        (StatusCode::OK, &json!(true))
    );
    let introspect = async || {
        let request = door.client.post(door.url("/services/oauth2/introspect"));
        let request = request.basic_auth(DEFAULT_CLIENT_ID, Some(DEFAULT_CLIENT_SECRET));
        read(
            request
                .form(&[("token", &door.token)])
                .send()
                .await
                .unwrap(),
        )
        .await
        .1
    };
    let told = introspect().await;
    assert_eq!(told["active"], true);
    assert_eq!(told["exp"], NOW / 1_000_000 + 7200);
    let revoke = door.client.post(door.url("/services/oauth2/revoke"));
    let revoked = revoke.form(&[("token", &door.token)]).send().await.unwrap();
    assert_eq!(revoked.status(), StatusCode::OK);
    assert_eq!(introspect().await, json!({"active": false}));
    let (status, error) = door.get(&format!("{V}/limits")).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        error,
        json!([{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}])
    );
    door.running.stop().await;
}

#[tokio::test]
async fn sessions_end_by_fault_and_after_two_idle_hours() {
    let mut door = open(Options::default()).await;
    let status = async |door: &Door| door.get(&format!("{V}/limits/")).await.0;
    door.hands.forward_s(7000);
    assert_eq!(status(&door).await, StatusCode::OK);
    door.hands.forward_s(7000);
    assert_eq!(status(&door).await, StatusCode::OK);
    door.fault(json!({"kind": "expire_tokens"})).await;
    assert_eq!(status(&door).await, StatusCode::UNAUTHORIZED);
    door.token = door.sign_in().await["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(status(&door).await, StatusCode::OK);
    door.hands.forward_s(7201);
    assert_eq!(status(&door).await, StatusCode::UNAUTHORIZED);
    door.running.stop().await;
}

#[tokio::test]
async fn an_id_token_is_checked_with_the_published_key() {
    let door = open(Options {
        rotate_refresh_tokens: true,
        ..Options::default()
    })
    .await;
    let url = door.url("/services/oauth2/authorize?response_type=code&client_id=fake-client-id&redirect_uri=http%3A%2F%2Flocalhost%2Fcb&scope=openid%20api&nonce=n-1");
    let target = door.browse(&url).await.to_string();
    let code = target.split_once("code=").unwrap().1.to_owned();
    let code = url_decoded(&code);
    let (status, granted) = door
        .token_request(&[
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", "http://localhost/cb"),
            ("client_id", "fake-client-id"),
            ("client_secret", "fake-client-secret"),
        ])
        .await;
    assert_eq!(status, StatusCode::OK, "{granted}");
    let keys: Value = door
        .client
        .get(door.url("/id/keys"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let key = &keys["keys"][0];
    let key = jsonwebtoken::DecodingKey::from_rsa_components(
        key["n"].as_str().unwrap(),
        key["e"].as_str().unwrap(),
    )
    .unwrap();
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
    validation.validate_exp = false;
    validation.set_audience(&["fake-client-id"]);
    let claims: Value =
        jsonwebtoken::decode(granted["id_token"].as_str().unwrap(), &key, &validation)
            .unwrap()
            .claims;
    assert_eq!(claims["nonce"], "n-1");
    assert_eq!(claims["sub"], granted["id"]);

    let first = granted["refresh_token"].as_str().unwrap().to_owned();
    let refresh = |token: String| {
        let door = &door;
        async move {
            door.token_request(&[
                ("grant_type", "refresh_token"),
                ("client_id", "fake-client-id"),
                ("refresh_token", &token),
            ])
            .await
        }
    };
    let (status, renewed) = refresh(first.clone()).await;
    assert_eq!(status, StatusCode::OK);
    assert_ne!(renewed["refresh_token"], json!(first));
    assert_eq!(refresh(first).await.0, StatusCode::BAD_REQUEST);
}

fn url_decoded(text: &str) -> String {
    let form = format!("x={text}");
    let url = reqwest::Url::parse(&format!("http://localhost/?{form}")).unwrap();
    url.query_pairs().next().unwrap().1.into_owned()
}
