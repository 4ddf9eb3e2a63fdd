//! The HTTP doors through real sockets.
use std::sync::Arc;
use std::time::Duration;

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

    pub(crate) async fn sign_in(&self) -> Value {
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
pub(crate) async fn read(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or_default())
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

/// The longest that anything is waited for.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) async fn admin(door: &Door, method: Method, path: &str, body: Value) -> StatusCode {
    let url = door.url(path);
    door.client
        .request(method, url)
        .json(&body)
        .send()
        .await
        .unwrap()
        .status()
}
