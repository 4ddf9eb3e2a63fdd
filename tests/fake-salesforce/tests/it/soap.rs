//! The SOAP door: signing in, and bringing back what was deleted.
use fake_salesforce::server::{DEFAULT_PASSWORD, DEFAULT_SECURITY_TOKEN, Options};
use fake_salesforce::setup::DEFAULT_USERNAME;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::common::{insert, update};
use crate::doors::{Door, V, open};

pub(crate) async fn soap(door: &Door, body: &str) -> (StatusCode, String) {
    let url = door.url("/services/Soap/u/59.0");
    let envelope = format!(
        "<env:Envelope xmlns:env=\"http://schemas.xmlsoap.org/soap/envelope/\"><env:Body>{body}</env:Body></env:Envelope>"
    );
    let request = door
        .client
        .post(url)
        .header("soapaction", "login")
        .body(envelope);
    let response = request.send().await.unwrap();
    (response.status(), response.text().await.unwrap())
}

fn login(password: &str) -> String {
    format!(
        "<n1:login xmlns:n1=\"urn:partner.soap.sforce.com\"><n1:username>{DEFAULT_USERNAME}</n1:username><n1:password>{password}</n1:password></n1:login>"
    )
}

fn inside<'t>(text: &'t str, name: &str) -> &'t str {
    let (_, after) = text
        .split_once(&format!("<{name}>"))
        .unwrap_or_else(|| panic!("no {name} in {text}"));
    after.split_once(&format!("</{name}>")).unwrap().0
}

#[tokio::test]
async fn soap_signs_in_with_password_and_token_and_brings_back_deleted_records() {
    let mut door = open(Options::default()).await;
    let (status, text) = soap(
        &door,
        &login(&format!("{DEFAULT_PASSWORD}{DEFAULT_SECURITY_TOKEN}")),
    )
    .await;
    assert_eq!(status, StatusCode::OK);
    // Clients read by position: serverUrl is the 4th, sessionId the 5th, userInfo the 7th.
    let order = [
        "<metadataServerUrl>",
        "<passwordExpired>",
        "<sandbox>",
        "<serverUrl>",
        "<sessionId>",
        "<userId>",
        "<userInfo>",
    ];
    let places: Vec<usize> = order.iter().map(|name| text.find(name).unwrap()).collect();
    assert!(places.is_sorted());
    let org_id = door.running.org.org_id().to_owned();
    assert_eq!(inside(&text, "organizationId"), org_id);
    assert_eq!(inside(&text, "sandbox"), "false");
    assert!(inside(&text, "serverUrl").ends_with(&format!(
        "/services/Soap/u/59.0/{}",
        org_id.get(..15).unwrap()
    )));
    door.token = inside(&text, "sessionId").to_owned();
    assert_eq!(door.get(&format!("{V}/limits")).await.0, StatusCode::OK);

    let account = insert(&door.running.org, "Account", json!({"Name": "Gone"}));
    door.send(
        Method::DELETE,
        &format!("{V}/sobjects/Account/{account}"),
        json!({}),
    )
    .await;
    let body = format!(
        "<SessionHeader><sessionId>{}</sessionId></SessionHeader><undelete><ids>{account}</ids></undelete>",
        door.token
    );
    let (status, text) = soap(&door, &body).await;
    assert_eq!((status, inside(&text, "success")), (StatusCode::OK, "true"));
    assert!(
        !door
            .running
            .org
            .record("Account", &account)
            .unwrap()
            .flag("IsDeleted")
    );

    for (password, code) in [
        (DEFAULT_PASSWORD, "LOGIN_MUST_USE_SECURITY_TOKEN"),
        ("wrong", "INVALID_LOGIN"),
    ] {
        let (status, text) = soap(&door, &login(password)).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(inside(&text, "sf:exceptionCode"), code);
        assert_eq!(inside(&text, "faultcode"), format!("sf:{code}"));
    }
    let sandbox = json!({"IsSandbox": true});
    update(&door.running.org, "Organization", &org_id, sandbox);
    let whole = format!("{DEFAULT_PASSWORD}{DEFAULT_SECURITY_TOKEN}");
    let (_, text) = soap(&door, &login(&whole)).await;
    assert_eq!(inside(&text, "sandbox"), "true");
    let (_, text) = soap(&door, "<logout/>").await;
    assert_eq!(inside(&text, "sf:exceptionCode"), "INVALID_SESSION_ID");
}
