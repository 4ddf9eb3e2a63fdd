//! The HTTP doors through real sockets.
use std::path::PathBuf;
use std::sync::Arc;

use fake_salesforce::dml::Dml;
use fake_salesforce::server::{
    DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, DEFAULT_PASSWORD, Options, Running, start,
};
use fake_salesforce::setup::DEFAULT_USERNAME;
use pubsub_proto::pub_sub_client::PubSubClient;
use pubsub_proto::{FetchRequest, FetchResponse, ReplayPreset};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio_stream::StreamExt;
use tonic::Streaming;
use tonic::transport::Channel;

use crate::common::{Hands, NOW, insert, standing_clock};

pub(crate) const V: &str = "/services/data/v67.0";

pub(crate) struct Door {
    pub(crate) running: Running,
    pub(crate) client: Client,
    pub(crate) token: String,
    pub(crate) hands: Hands,
}

fn testdata(name: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/testdata");
    PathBuf::from(folder).join(name)
}

pub(crate) async fn open(options: Options) -> Door {
    let (clock, hands) = standing_clock();
    let running = start(options, clock).await.unwrap();
    let builder = Client::builder().redirect(reqwest::redirect::Policy::none());
    let mut door = Door {
        running,
        client: builder.build().unwrap(),
        token: String::new(),
        hands,
    };
    let answer = door.sign_in().await;
    door.token = answer["access_token"].as_str().unwrap().to_owned();
    door
}

impl Door {
    /// What a person does with a browser: logs in, lets the app in; where the browser is sent then.
    pub(crate) async fn browse(&self, address: &str) -> url::Url {
        let send = async |request: RequestBuilder| request.send().await.unwrap();
        let page = send(self.client.get(address)).await;
        assert_eq!(page.status(), StatusCode::OK);
        assert!(page.text().await.unwrap().contains("login_form"));
        let log_in = |password: &str| {
            let form = [("username", DEFAULT_USERNAME), ("pw", password)];
            self.client.post(address).form(&form)
        };
        let wrong = send(log_in("wrong")).await;
        assert!(wrong.headers().get("set-cookie").is_none());
        assert!(
            wrong
                .text()
                .await
                .unwrap()
                .contains("Please check your username")
        );
        let logged_in = send(log_in(DEFAULT_PASSWORD)).await;
        assert_eq!(logged_in.status(), StatusCode::FOUND);
        let cookie = logged_in.headers()["set-cookie"].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let again = logged_in.headers()["location"].to_str().unwrap();
        let again = self.url(again);
        let asked = send(self.client.get(&again).header("cookie", &cookie)).await;
        assert!(asked.text().await.unwrap().contains("Allow Access?"));
        let allow = self.client.post(&again).header("cookie", &cookie);
        let allowed = send(allow.form(&[("approval", "allow")])).await;
        assert_eq!(allowed.status(), StatusCode::FOUND);
        // Nobody is asked twice.
        let next = send(self.client.get(&again).header("cookie", &cookie)).await;
        assert_eq!(next.status(), StatusCode::FOUND);
        url::Url::parse(allowed.headers()["location"].to_str().unwrap()).unwrap()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.running.instance_url())
    }

    async fn sign_in(&self) -> Value {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", DEFAULT_CLIENT_ID),
            ("client_secret", DEFAULT_CLIENT_SECRET),
        ];
        let (status, answer) = self.token_request(&form).await;
        assert_eq!(status, StatusCode::OK);
        answer
    }

    pub(crate) async fn token_request(&self, form: &[(&str, &str)]) -> (StatusCode, Value) {
        let url = self.url("/services/oauth2/token");
        let response = self.client.post(url).form(form).send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    pub(crate) fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, self.url(path));
        request.bearer_auth(&self.token)
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        read(self.ask(Method::GET, path).send().await.unwrap()).await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Value,
    ) -> (StatusCode, Value) {
        read(self.ask(method, path).json(&body).send().await.unwrap()).await
    }

    pub(crate) async fn query(&self, soql: &str) -> (StatusCode, Value) {
        let request = self.ask(Method::GET, &format!("{V}/query/"));
        read(request.query(&[("q", soql)]).send().await.unwrap()).await
    }

    /// The first hundred events of a topic, from the beginning on, as long as its client is held.
    pub(crate) async fn events(
        &self,
        topic: &str,
    ) -> (PubSubClient<Channel>, Streaming<FetchResponse>) {
        let address = format!("http://{}", self.running.grpc);
        let mut client = PubSubClient::connect(address).await.unwrap();
        let fetch = FetchRequest {
            topic_name: topic.to_owned(),
            replay_preset: ReplayPreset::Earliest.into(),
            num_requested: 100,
            ..FetchRequest::default()
        };
        // The call stays open while its request stream does.
        let demand = tokio_stream::once(fetch).chain(tokio_stream::pending());
        let mut request = tonic::Request::new(demand);
        let metadata = [
            ("accesstoken", self.token.as_str()),
            ("instanceurl", "https://acme.my.salesforce.com"),
            ("tenantid", self.running.org.org_id()),
        ];
        for (key, value) in metadata {
            request.metadata_mut().insert(key, value.parse().unwrap());
        }
        let stream = client.subscribe(request).await.unwrap().into_inner();
        (client, stream)
    }

    pub(crate) async fn fault(&self, fault: Value) {
        let url = self.url("/admin/faults");
        let response = self.client.post(url).json(&fault).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
    }
}

/// Status and JSON body, null where there is none.
async fn read(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or_default())
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
async fn queries_come_in_pages_that_can_be_read_again() {
    let options = Options {
        opportunities: Some(450),
        ..Options::default()
    };
    let mut door = open(options).await;
    let soql = "SELECT Id, Account.Name FROM Opportunity ORDER BY Id";
    let request = door.ask(Method::GET, &format!("{V}/query"));
    let request = request.header("Sforce-Query-Options", "batchSize=200");
    let (status, first) = read(request.query(&[("q", soql)]).send().await.unwrap()).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        (&first["totalSize"], &first["done"]),
        (&json!(450), &json!(false))
    );
    let record = &first["records"][0];
    assert_eq!(record["attributes"]["type"], "Opportunity");
    let id = record["Id"].as_str().unwrap();
    assert_eq!(
        record["attributes"]["url"],
        format!("{V}/sobjects/Opportunity/{id}")
    );
    let next = first["nextRecordsUrl"].as_str().unwrap();
    assert!(next.starts_with(&format!("{V}/query/01g")) && next.ends_with("-200"));
    let (_, second) = door.get(&format!("{next}?q=ignored")).await;
    let (_, again) = door.get(next).await;
    assert_eq!(second, again);
    let (_, third) = door.get(second["nextRecordsUrl"].as_str().unwrap()).await;
    assert_eq!(third["records"].as_array().unwrap().len(), 50);
    assert_eq!(third["done"], true);
    assert!(third.get("nextRecordsUrl").is_none());
    let (status, error) = door
        .get(&format!("{V}/query/01g000000000000AAA-2000"))
        .await;
    assert_eq!(
        (status, &error[0]["errorCode"]),
        (StatusCode::BAD_REQUEST, &json!("INVALID_QUERY_LOCATOR"))
    );
    let (_, count) = door.query("SELECT COUNT() FROM Opportunity").await;
    assert_eq!(
        count,
        json!({"totalSize": 450, "done": true, "records": []})
    );
    let (_, count) = door.query("SELECT COUNT(Id) FROM Opportunity").await;
    assert_eq!(
        count["records"][0],
        json!({"attributes": {"type": "AggregateResult"}, "expr0": 450})
    );
    let (status, error) = door.query("SELECT Nope FROM Opportunity").await;
    assert_eq!(
        (status, &error[0]["errorCode"]),
        (StatusCode::BAD_REQUEST, &json!("INVALID_FIELD"))
    );
    // For two days.
    for (seconds, expected) in [
        (2 * 24 * 3600 - 1, StatusCode::OK),
        (1, StatusCode::BAD_REQUEST),
    ] {
        door.hands.forward_s(seconds);
        let answer = door.sign_in().await;
        door.token = answer["access_token"].as_str().unwrap().to_owned();
        assert_eq!(door.get(next).await.0, expected);
    }
    door.running.stop().await;
}

#[tokio::test]
async fn single_records_are_made_changed_and_deleted() {
    let door = open(Options::default()).await;
    let path = format!("{V}/sobjects/Account/");
    let fields = json!({"Name": "Acme", "BillingCity": "Oslo"});
    let response = door.ask(Method::POST, &path).json(&fields).send().await;
    let response = response.unwrap();
    let place = response.headers()["location"].to_str().unwrap().to_owned();
    let (status, made) = read(response).await;
    assert_eq!(
        (status, &made["success"], &made["errors"]),
        (StatusCode::CREATED, &json!(true), &json!([]))
    );
    let id = made["id"].as_str().unwrap();
    let one = format!("{V}/sobjects/Account/{id}");
    assert_eq!(place, one);
    let request = door
        .ask(Method::PATCH, &one)
        .header("Sforce-Call-Options", "client=their-app")
        .json(&json!({"Name": "Acme 2"}));
    assert_eq!(
        request.send().await.unwrap().status(),
        StatusCode::NO_CONTENT
    );
    let (status, row) = door.get(&format!("{one}?fields=Name,BillingAddress")).await;
    assert_eq!((status, &row["Name"]), (StatusCode::OK, &json!("Acme 2")));
    assert_eq!(row["BillingAddress"]["city"], "Oslo");
    let (status, error) = door.send(Method::PATCH, &one, json!({"Nope": 1})).await;
    assert_eq!(
        (status, &error[0]["errorCode"]),
        (StatusCode::BAD_REQUEST, &json!("INVALID_FIELD"))
    );
    let (status, error) = door.send(Method::POST, &path, json!({})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(error[0]["fields"], json!(["Name"]));
    let (status, _) = door.send(Method::DELETE, &one, Value::Null).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (status, error) = door.get(&one).await;
    assert_eq!(
        (status, &error[0]["errorCode"]),
        (StatusCode::NOT_FOUND, &json!("ENTITY_IS_DELETED"))
    );
    let soql = format!("SELECT IsDeleted FROM Account WHERE Id = '{id}'");
    for (resource, found) in [("query", 0), ("queryAll", 1), ("queryall", 1)] {
        let request = door.ask(Method::GET, &format!("{V}/{resource}/"));
        let request = request.query(&[("q", soql.as_str())]);
        let (_, rows) = read(request.send().await.unwrap()).await;
        assert_eq!(rows["totalSize"], found, "{resource}");
    }
    let admin = door.client.post(door.url("/admin/undelete"));
    let restored = admin
        .json(&json!({"entity": "Account", "ids": [id]}))
        .send()
        .await
        .unwrap();
    assert_eq!(restored.status(), StatusCode::OK);
    assert_eq!(door.get(&one).await.0, StatusCode::OK);
    let (status, _) = door.get(&format!("{V}/sobjects/Nope/{id}")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    // A client that has lost the id says so in the path.
    let lost = format!("{V}/sobjects/Account/undefined");
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        let (status, error) = door.send(method, &lost, json!({})).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        let message = "Provided external ID field does not exist or is not accessible: undefined";
        let expected = json!([{"errorCode": "NOT_FOUND", "message": message}]);
        assert_eq!(error, expected);
    }
    let commits = door.running.org.commits_since(0);
    let origins: Vec<&str> = commits
        .iter()
        .rev()
        .take(4)
        .map(|commit| commit.origin.as_str())
        .collect();
    assert_eq!(
        origins,
        [
            "SfdcInternalAPI/",
            "com/salesforce/api/rest/67.0",
            "com/salesforce/api/rest/67.0;client=their-app",
            "com/salesforce/api/rest/67.0"
        ]
    );
    door.running.stop().await;
}

#[tokio::test]
async fn collections_write_and_read_in_one_call() {
    let door = open(Options::default()).await;
    let path = format!("{V}/composite/sobjects");
    let account = |name: Value| json!({"attributes": {"type": "Account"}, "Name": name});
    let body = json!({"allOrNone": false, "records": [account(json!("A")), account(Value::Null), account(json!("B"))]});
    let (status, made) = door.send(Method::POST, &path, body).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(made[0]["success"], true);
    assert_eq!(made[1]["errors"][0]["statusCode"], "REQUIRED_FIELD_MISSING");
    let ids = [
        made[0]["id"].as_str().unwrap(),
        made[2]["id"].as_str().unwrap(),
    ];
    let update = json!({"allOrNone": true, "records": [
        {"attributes": {"type": "Account"}, "id": ids[0], "Name": "A2"},
        {"attributes": {"type": "Account"}, "id": "001000000000001AAA", "Name": "X"},
    ]});
    let (_, updated) = door.send(Method::PATCH, &path, update).await;
    assert_eq!(
        updated[0]["errors"][0]["statusCode"],
        "ALL_OR_NONE_OPERATION_ROLLED_BACK"
    );
    let wanted = json!({"ids": [ids[1], "001000000000001AAA", ids[0], ids[1]], "fields": ["Name"]});
    let (status, rows) = door
        .send(Method::POST, &format!("{path}/Account"), wanted)
        .await;
    assert_eq!(status, StatusCode::OK);
    let names: Vec<&Value> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["Name"])
        .collect();
    assert_eq!(names, [&json!("B"), &Value::Null, &json!("A"), &json!("B")]);
    assert!(rows[1].is_null());
    let wanted = json!({"ids": ids, "fields": ["Nope"]});
    let (status, error) = door
        .send(Method::POST, &format!("{path}/Account"), wanted)
        .await;
    assert_eq!(
        (status, &error[0]["errorCode"]),
        (StatusCode::BAD_REQUEST, &json!("INVALID_FIELD"))
    );
    let many = json!({"ids": vec![ids[0]; 2001], "fields": ["Name"]});
    let (status, _) = door
        .send(Method::POST, &format!("{path}/Account"), many)
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let delete = format!("{path}?ids={},{}&allOrNone=true", ids[0], ids[1]);
    let (_, gone) = door.send(Method::DELETE, &delete, Value::Null).await;
    assert_eq!(
        gone[1],
        json!({"id": ids[1], "success": true, "errors": []})
    );
    door.running.stop().await;
}

#[tokio::test]
async fn several_requests_in_one_call() {
    let door = open(Options::default()).await;
    let calls = door.running.api_calls();
    let body = json!({"compositeRequest": [
        {"method": "POST", "url": format!("{V}/sobjects/Account"), "referenceId": "made", "body": {"Name": "A & B"}},
        {"method": "POST", "url": format!("{V}/sobjects/Contact"), "referenceId": "person",
         "body": {"LastName": "C", "AccountId": "@{made.id}"}},
        {"method": "GET", "url": format!("{V}/query?q=SELECT+Account.Name+FROM+Contact+WHERE+Id='@{{person.id}}'"),
         "referenceId": "read"},
        {"method": "GET", "url": format!("{V}/sobjects/Nope/describe"), "referenceId": "bad"},
    ]});
    let (status, answer) = door
        .send(Method::POST, &format!("{V}/composite"), body)
        .await;
    assert_eq!(status, StatusCode::OK);
    let parts = &answer["compositeResponse"];
    assert_eq!(parts[0]["httpStatusCode"], 201);
    let id = parts[0]["body"]["id"].as_str().unwrap();
    let place = json!({"Location": format!("{V}/sobjects/Account/{id}")});
    assert_eq!(parts[0]["httpHeaders"], place);
    assert_eq!(parts[2]["httpHeaders"], json!({}));
    assert_eq!(parts[2]["body"]["records"][0]["Account"]["Name"], "A & B");
    assert_eq!(
        (&parts[3]["httpStatusCode"], &parts[3]["referenceId"]),
        (&json!(404), &json!("bad"))
    );
    let body = json!({"batchRequests": [
        {"method": "GET", "url": "v67.0/limits"},
        {"method": "GET", "url": "v67.0/sobjects/Nope"},
    ]});
    let (_, answer) = door
        .send(Method::POST, &format!("{V}/composite/batch"), body)
        .await;
    assert_eq!(answer["hasErrors"], true);
    assert_eq!(answer["results"][0]["statusCode"], 200);
    assert_eq!(answer["results"][1]["statusCode"], 404);
    assert_eq!(door.running.api_calls(), calls + 2);
    let body = json!({"haltOnError": true, "batchRequests": [
        {"method": "POST", "url": "v67.0/sobjects/Account", "richInput": {}},
        {"method": "POST", "url": "v67.0/sobjects/Account", "richInput": {"Name": "Halted"}},
    ]});
    let (_, answer) = door
        .send(Method::POST, &format!("{V}/composite/batch"), body)
        .await;
    let results = &answer["results"];
    assert_eq!(results[0]["statusCode"], 400);
    assert_eq!(results[1]["statusCode"], 412);
    let code = &results[1]["result"][0]["errorCode"];
    assert_eq!(code, "BATCH_PROCESSING_HALTED");
    assert_eq!(door.running.org.records("Account").len(), 1);
    door.running.stop().await;
}

#[tokio::test]
async fn describe_versions_and_limits() {
    let door = open(Options::default()).await;
    let versions = door
        .client
        .get(door.url("/services/data/"))
        .send()
        .await
        .unwrap();
    let (_, versions) = read(versions).await;
    let last = versions.as_array().unwrap().last().unwrap();
    assert_eq!(
        last,
        &json!({"label": "Winter '27", "url": "/services/data/v68.0", "version": "68.0"})
    );
    let (_, all) = door.get(&format!("{V}/sobjects/")).await;
    assert!(
        all["sobjects"]
            .as_array()
            .unwrap()
            .iter()
            .any(|object| object["name"] == "PermissionSetAssignment")
    );
    let (status, described) = door
        .get(&format!("{V}/sobjects/Opportunity/describe"))
        .await;
    assert_eq!(status, StatusCode::OK);
    let fields = described["fields"].as_array().unwrap();
    let field = |name: &str| fields.iter().find(|field| field["name"] == name).unwrap();
    assert_eq!(field("OwnerId")["relationshipName"], "Owner");
    assert_eq!(field("OwnerId")["referenceTo"], json!(["User"]));
    assert_eq!(field("Amount")["type"], "currency");
    assert_eq!(
        (&field("Amount")["precision"], &field("Amount")["scale"]),
        (&json!(18), &json!(2))
    );
    assert_eq!(field("Description")["filterable"], false);
    assert_eq!(field("IsClosed")["updateable"], false);
    assert_eq!(
        field("StageName")["picklistValues"]
            .as_array()
            .unwrap()
            .len(),
        10
    );
    let (status, _) = door.get(&format!("{V}/sobjects/Nope/describe")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = door.get("/services/data/v20.0/limits").await;
    assert_eq!(status, StatusCode::GONE);
    let response = door
        .ask(Method::GET, &format!("{V}/limits"))
        .send()
        .await
        .unwrap();
    let used = door.running.api_calls();
    assert_eq!(
        response.headers()["sforce-limit-info"],
        format!("api-usage={used}/100000")
    );
    let limits: Value = response.json().await.unwrap();
    assert_eq!(
        limits["DailyApiRequests"],
        json!({"Max": 100_000, "Remaining": 100_000 - used})
    );
    door.running.stop().await;
}

#[tokio::test]
async fn faults_and_the_ledger_are_reached_from_outside() {
    let door = open(Options::default()).await;
    let limits = format!("{V}/limits");
    door.fault(json!({"kind": "http_429", "count": 2, "retry_after_s": 7}))
        .await;
    let response = door.ask(Method::GET, &limits).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["retry-after"], "7");
    assert_eq!(door.get(&limits).await.0, StatusCode::TOO_MANY_REQUESTS);
    door.fault(json!({"kind": "http_5xx", "status": 502})).await;
    assert_eq!(door.get(&limits).await.0, StatusCode::BAD_GATEWAY);
    assert_eq!(door.get(&limits).await.0, StatusCode::OK);
    let bad = door
        .client
        .post(door.url("/admin/faults"))
        .json(&json!({"kind": "earthquake"}));
    assert_eq!(bad.send().await.unwrap().status(), StatusCode::BAD_REQUEST);
    let clock = door
        .client
        .post(door.url("/admin/clock"))
        .json(&json!({"offset_ms": 5000}));
    let (_, told) = read(clock.send().await.unwrap()).await;
    assert_eq!(told["now_micros"], NOW + 5_000_000);
    let id = insert(&door.running.org, "Account", json!({"Name": "A"}));
    let before = door.running.org.commits_since(0).len() - 1;
    let (_, history) = door
        .get(&format!("/admin/history?after={before}&limit=5"))
        .await;
    assert_eq!(history.as_array().unwrap().len(), 1);
    assert_eq!(history[0]["changes"][0]["id"], id);
    assert_eq!(history[0]["changes"][0]["kind"], "CREATE");
    assert_eq!(history[0]["changes"][0]["after"]["Name"], "A");
    assert_eq!(history[0]["at_micros"], NOW + 5_000_000);
    let (_, state) = door.get("/admin/state/Account").await;
    assert_eq!(state[0]["Id"], id);
    let (_, counters) = door.get("/admin/counters").await;
    assert_eq!(counters["api_calls"], door.running.api_calls());
    assert_eq!(counters["doors"]["fault.http_429"], 2);
    door.running.stop().await;
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

#[tokio::test]
async fn many_writers_leave_one_order() {
    let door = open(Options::default()).await;
    let org = Arc::clone(&door.running.org);
    let tasks = tokio_util::task::TaskTracker::new();
    for writer in 0..4 {
        let org = Arc::clone(&org);
        tasks.spawn_blocking(move || {
            for number in 0..25 {
                let fields = json!({"Name": format!("{writer}-{number}")});
                let op = Dml::Insert {
                    entity: "Account".to_owned(),
                    fields: fields.as_object().cloned().unwrap(),
                };
                org.transact(org.admin_id(), "", vec![op]).unwrap();
            }
        });
    }
    tasks.close();
    tasks.wait().await;
    let numbers: Vec<i64> = org
        .commits_since(0)
        .iter()
        .map(|commit| commit.number)
        .collect();
    assert_eq!(numbers.len(), 101);
    assert!(numbers.is_sorted_by(|left, right| left < right));
    door.running.stop().await;
}

#[tokio::test]
async fn a_write_by_rest_is_an_event_on_the_other_server_under_the_same_token() {
    let door = open(Options::default()).await;
    let path = format!("{V}/sobjects/Account");
    let (_, made) = door
        .send(Method::POST, &path, json!({"Name": "Acme"}))
        .await;
    let (_client, mut stream) = door.events("/data/AccountChangeEvent").await;
    let event = loop {
        let response = stream.message().await.unwrap().unwrap();
        if let Some(event) = response.events.into_iter().next() {
            break event.event.unwrap();
        }
    };
    let id = made["id"].as_str().unwrap().as_bytes();
    assert!(event.payload.windows(id.len()).any(|window| window == id));
    assert!(event.payload.windows(4).any(|window| window == b"Acme"));
    drop(stream);
    door.running.stop().await;
}
