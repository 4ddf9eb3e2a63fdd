//! Who comes back from Salesforce's sign-in.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ports::sign_in::{Identity, Return, SignInError};
use salesforce::App;
use serde_json::{Value, json};

use crate::http_server::{ORG, Reply, Server, TOKEN_PATH, not_found};

/// What Salesforce says to a sign-in.
struct Answers {
    /// Within the id token.
    claims: Value,
    user: Value,
    instance_url: &'static str,
}

fn honest() -> Answers {
    Answers {
        claims: json!({ "nonce": "N", "aud": "app" }),
        user: json!({
            "user_id": "005000000000001AAA",
            "organization_id": ORG,
            "preferred_username": "ada@example.com",
            "name": "Ada",
            "active": true,
        }),
        instance_url: "https://acme.my.salesforce.com",
    }
}

/// Signs in with the nonce N through the app `app`. Whatever comes of it, both tokens are revoked.
async fn identify(answers: Answers) -> Result<Identity, SignInError> {
    let claims = URL_SAFE_NO_PAD.encode(answers.claims.to_string());
    let tokens = json!({
        "access_token": "T-access",
        "refresh_token": "T-refresh",
        "id_token": format!("e30.{claims}.c2ln"),
        "instance_url": answers.instance_url,
    });
    let server = Server::start(move |seen| match seen.target.as_str() {
        TOKEN_PATH => Reply::ok(tokens.to_string()),
        "/services/oauth2/userinfo" => Reply::ok(answers.user.to_string()),
        "/services/oauth2/revoke" => Reply::ok(""),
        _ => not_found(),
    })
    .await;
    let app = App {
        login_url: server.url.clone(),
        client_id: "app".to_owned(),
        client_secret: None,
        request_timeout: Duration::from_secs(20),
        plaintext_allowed: false,
    };
    let back = Return {
        redirect_uri: "https://mosync.example.com/sign-in/back",
        code: "C",
        verifier: "V",
        nonce: "N",
    };
    let identity = salesforce::sign_in(app).unwrap().identify(back).await;
    let revoked = server.seen("/services/oauth2/revoke").into_iter();
    let revoked: Vec<String> = revoked.map(|request| request.body).collect();
    assert_eq!(revoked, ["token=T-access", "token=T-refresh"]);
    identity
}

/// Makes an honest answer a wrong one.
type Spoil = fn(&mut Answers);

#[tokio::test]
async fn an_answer_of_another_sign_in_or_that_leads_nowhere_signs_nobody_in() {
    let identity = identify(honest()).await.unwrap();
    assert_eq!(identity.username, "ada@example.com");
    assert_eq!(identity.instance_url, "https://acme.my.salesforce.com");

    let another = "it belongs to another sign-in";
    let no_address = "its instance_url is not https";
    let spoilt: [(Spoil, &str); 6] = [
        (|answers| answers.claims["nonce"] = json!("M"), another),
        (|answers| answers.claims = json!({ "aud": "app" }), another),
        (|answers| answers.claims["aud"] = json!("other"), another),
        (
            |answers| answers.user["active"] = json!(false),
            "the user is not active",
        ),
        (
            |answers| answers.instance_url = "http://acme.my.salesforce.com",
            no_address,
        ),
        (
            |answers| answers.instance_url = "javascript:alert(1)",
            no_address,
        ),
    ];
    for (spoil, why) in spoilt {
        let mut answers = honest();
        spoil(&mut answers);
        let error = identify(answers).await.unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
}
