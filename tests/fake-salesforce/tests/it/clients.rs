//! What clients do beside their requests: methods, forms, compression, looking around.
use std::io::Write;
use std::path::PathBuf;

use fake_salesforce::server::{Options, start};
use fake_salesforce::setup::DEFAULT_USERNAME;
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::common::{insert, standing_clock};
use crate::doors::{V, open};

#[tokio::test]
async fn a_client_that_can_only_get_and_post_names_the_method_in_the_url() {
    let door = open(Options::default()).await;
    let account = insert(&door.running.org, "Account", json!({"Name": "Old"}));
    let path = format!("{V}/sobjects/Account/{account}");
    let head = door.ask(Method::HEAD, &path).send().await.unwrap();
    assert_eq!(head.status(), StatusCode::OK);
    assert_eq!(head.text().await.unwrap(), "");
    let post = async |method: &str, body: Value| {
        let path = format!("{path}?_HttpMethod={method}");
        door.send(Method::POST, &path, body).await.0
    };
    let patched = post("PATCH", json!({"Name": "New"})).await;
    assert_eq!(patched, StatusCode::NO_CONTENT);
    assert_eq!(door.get(&path).await.1["Name"], "New");
    let (status, _) = door.send(Method::POST, &path, json!({})).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(post("DELETE", json!({})).await, StatusCode::NO_CONTENT);
    assert_eq!(door.get(&path).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn json_that_is_sent_as_a_form_is_not_read() {
    let door = open(Options::default()).await;
    let send = async |kind: &str| {
        let request = door.ask(Method::POST, &format!("{V}/sobjects/Account"));
        let request = request.header("content-type", kind);
        let response = request.body(r#"{"Name": "Acme"}"#).send().await.unwrap();
        let status = response.status();
        (status, response.json::<Value>().await.unwrap())
    };
    let (status, refused) = send("application/x-www-form-urlencoded").await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let expected = json!([{
        "errorCode": "UNSUPPORTED_MEDIA_TYPE",
        "message": "MediaType of 'application/x-www-form-urlencoded' is not supported by this resource",
    }]);
    assert_eq!(refused, expected);
    assert!(door.running.org.records("Account").is_empty());
    let (status, _) = send("Application/JSON; charset=UTF-8").await;
    assert_eq!(status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_client_may_compress_what_it_sends() {
    let door = open(Options::default()).await;
    let send = async |body: Vec<u8>| {
        let request = door.ask(Method::POST, &format!("{V}/sobjects/Account"));
        let request = request.header("content-type", "application/json");
        let request = request.header("content-encoding", "gzip").body(body);
        request.send().await.unwrap().status()
    };
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(br#"{"Name": "Packed"}"#).unwrap();
    let packed = encoder.finish().unwrap();
    assert_eq!(send(packed).await, StatusCode::CREATED);
    let records = door.running.org.records("Account");
    assert_eq!(records[0].text("Name"), Some("Packed"));
    assert_eq!(send(b"no gzip".to_vec()).await, StatusCode::BAD_REQUEST);
}

/// What clients were recorded to ask first (facts of the wire, what real clients send).
#[tokio::test]
async fn doors_that_clients_look_for_before_their_work_are_there() {
    let door = open(Options::default()).await;
    let (status, versions) = door.get("/services/data/").await;
    assert_eq!(status, StatusCode::OK);
    let versions = versions.as_array().unwrap();
    for version in ["40.0", "59.0", "67.0"] {
        let is_listed = versions.iter().any(|known| known["version"] == version);
        assert!(is_listed, "{version}: {versions:?}");
        let (status, _) = door
            .get(&format!("/services/data/v{version}/limits/"))
            .await;
        assert_eq!(status, StatusCode::OK, "{version}");
    }
    let (status, error) = door.get("/services/data/v39.0/limits/").await;
    assert_eq!(status, StatusCode::GONE);
    assert_eq!(error[0]["errorCode"], "UNSUPPORTED_API_VERSION");
    for none in ["v69.0", "v67", "v67.1", "latest"] {
        let (status, error) = door.get(&format!("/services/data/{none}/limits")).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{none}");
        assert_eq!(error[0]["errorCode"], "NOT_FOUND");
    }
    // jsforce finds out by the list of resources who has signed in.
    let (_, resources) = door.get(&format!("{V}/")).await;
    let identity = resources["identity"].as_str().unwrap();
    let identity = identity.strip_prefix(&door.url("")).unwrap();
    let address = format!("{identity}?format=json&oauth_token={}", door.token);
    let (status, identity) = door.get(&address).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(identity["username"], DEFAULT_USERNAME);
    for list in ["composite", "jobs"] {
        let (status, below) = door.get(resources[list].as_str().unwrap()).await;
        assert_eq!(status, StatusCode::OK, "{list}");
        assert!(below.as_object().is_some_and(|below| below.len() > 1));
    }
    for (method, path) in [(Method::DELETE, ""), (Method::GET, "/batch")] {
        let path = format!("{V}/composite{path}");
        let (status, error) = door.send(method, &path, json!({})).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(error[0]["errorCode"], "METHOD_NOT_ALLOWED");
    }

    let (status, bulk_1) = door.get("/services/async/59.0/job").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(bulk_1["exceptionCode"], "FeatureNotEnabled");

    let (status, discovered) = door.get("/.well-known/openid-configuration").await;
    assert_eq!(status, StatusCode::OK);
    for door_of in [
        "authorization",
        "token",
        "revocation",
        "userinfo",
        "introspection",
    ] {
        let address = discovered[format!("{door_of}_endpoint")].as_str().unwrap();
        assert!(
            address.starts_with(&door.url("/services/oauth2/")),
            "{address}"
        );
    }

    let (status, user) = door.get("/services/oauth2/userinfo").await;
    assert_eq!(status, StatusCode::OK);
    for claim in [
        "sub",
        "user_id",
        "organization_id",
        "preferred_username",
        "nickname",
        "name",
        "email",
        "email_verified",
        "given_name",
        "family_name",
        "zoneinfo",
        "photos",
        "profile",
        "picture",
        "address",
        "urls",
        "active",
        "user_type",
        "language",
        "locale",
        "utcOffset",
        "updated_at",
    ] {
        assert!(user.get(claim).is_some(), "{claim}: {user}");
    }
    assert_eq!(user["preferred_username"], DEFAULT_USERNAME);

    for object in [
        "Organization",
        "PermissionSet",
        "PermissionSetAssignment",
        "PermissionSetGroup",
        "PermissionSetGroupComponent",
        "OpportunityStage",
        "Profile",
        "UserRole",
    ] {
        let (status, described) = door.get(&format!("{V}/sobjects/{object}/describe/")).await;
        assert_eq!(status, StatusCode::OK, "{object}");
        assert_eq!(described["name"], object);
        let fields = described["fields"].as_array().unwrap();
        assert!(fields.iter().any(|field| field["name"] == "Id"), "{object}");
    }
}

#[tokio::test]
async fn https_with_a_given_certificate_and_instance_url() {
    let pem = include_bytes!("../../src/pubsub/testdata/localhost.pem");
    let own = |name: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/pubsub/testdata");
        Some(PathBuf::from(folder).join(name))
    };
    let (clock, _) = standing_clock();
    let options = Options {
        tls_cert: own("localhost.pem"),
        tls_key: own("localhost.key"),
        instance_url: Some("https://acme.my.salesforce.com/".to_owned()),
        ..Options::default()
    };
    let running = start(options, clock).await.unwrap();
    assert_eq!(running.instance_url(), "https://acme.my.salesforce.com");
    let certificate = reqwest::Certificate::from_pem(pem).unwrap();
    let client = Client::builder()
        .tls_certs_only([certificate])
        .build()
        .unwrap();
    let url = format!("https://{}/healthz", running.http);
    assert_eq!(
        client.get(url).send().await.unwrap().status(),
        StatusCode::OK
    );
    running.stop().await;
}
