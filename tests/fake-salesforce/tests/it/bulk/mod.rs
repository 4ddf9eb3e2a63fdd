//! The Bulk API 2.0 through real sockets.
mod faults;
mod ingest;
mod queries;
mod results;

use std::time::Duration;

use fake_salesforce::server::{DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, Options, Running, start};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::common::{Hands, insert, standing_clock};

const V: &str = "/services/data/v67.0";

/// The longest that a job is waited for.
const DEADLINE: Duration = Duration::from_secs(60);

struct Door {
    running: Running,
    client: Client,
    token: String,
    hands: Hands,
}

/// A page of results as it came over the wire.
struct Page {
    status: StatusCode,
    locator: String,
    rows: String,
    body: String,
}

async fn open(options: Options) -> Door {
    let (clock, hands) = standing_clock();
    let running = start(options, clock).await.unwrap();
    let mut door = Door {
        running,
        client: Client::builder().build().unwrap(),
        token: String::new(),
        hands,
    };
    door.token = sign_in(&door).await;
    door
}

async fn sign_in(door: &Door) -> String {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", DEFAULT_CLIENT_ID),
        ("client_secret", DEFAULT_CLIENT_SECRET),
    ];
    let url = format!("{}/services/oauth2/token", door.running.instance_url());
    let response = door.client.post(url).form(&form).send().await.unwrap();
    let answer: Value = response.json().await.unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}

/// An org with these many accounts, named `A0`, `A1` and so on.
async fn with_accounts(count: usize) -> Door {
    let door = open(Options::default()).await;
    for number in 0..count {
        insert(
            &door.running.org,
            "Account",
            json!({"Name": format!("A{number}")}),
        );
    }
    door
}

impl Door {
    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.running.instance_url());
        self.client.request(method, url).bearer_auth(&self.token)
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        read(self.ask(Method::GET, path).send().await.unwrap()).await
    }

    async fn send(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        read(self.ask(method, path).json(&body).send().await.unwrap()).await
    }

    async fn fault(&self, fault: Value) {
        let (status, answer) = self.send(Method::POST, "/admin/faults", fault).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{answer}");
    }

    /// The id of a new query job.
    async fn query(&self, soql: &str) -> String {
        self.query_with(json!({"operation": "query", "query": soql}))
            .await
    }

    async fn query_with(&self, body: Value) -> String {
        let path = format!("{V}/jobs/query");
        let (status, job) = self.send(Method::POST, &path, body).await;
        assert_eq!(status, StatusCode::OK, "{job}");
        job["id"].as_str().unwrap().to_owned()
    }

    /// The id of a query job that has its results.
    async fn queried(&self, soql: &str) -> String {
        let id = self.query(soql).await;
        self.complete(&id).await;
        id
    }

    async fn complete(&self, id: &str) -> Value {
        self.reach("query", id, "JobComplete").await
    }

    /// Polls a job until it is in this state.
    async fn reach(&self, kind: &str, id: &str, state: &str) -> Value {
        let poll = async {
            loop {
                let (status, job) = self.get(&format!("{V}/jobs/{kind}/{id}")).await;
                assert_eq!(status, StatusCode::OK, "{job}");
                if job["state"] == state {
                    return job;
                }
            }
        };
        tokio::time::timeout(DEADLINE, poll).await.unwrap()
    }

    async fn page(&self, id: &str, parameters: &str) -> Page {
        self.page_at(&format!("{V}/jobs/query/{id}/results?{parameters}"))
            .await
    }

    async fn page_at(&self, path: &str) -> Page {
        let response = self.ask(Method::GET, path).send().await.unwrap();
        let header = |name: &str| {
            let value = response.headers().get(name);
            let value = value.map(|value| value.to_str().unwrap().to_owned());
            value.unwrap_or_default()
        };
        let (locator, rows) = (header("sforce-locator"), header("sforce-numberofrecords"));
        Page {
            status: response.status(),
            locator,
            rows,
            body: response.text().await.unwrap(),
        }
    }

    /// All pages of a job put together, without the headers.
    async fn all(&self, id: &str, rows: usize) -> Vec<Page> {
        let mut pages = vec![self.page(id, &format!("maxRecords={rows}")).await];
        while let Some(last) = pages.last()
            && last.locator != "null"
        {
            let next = format!("maxRecords={rows}&locator={}", last.locator);
            pages.push(self.page(id, &next).await);
        }
        pages
    }
}

/// Status and JSON body, null where there is none.
async fn read(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or_default())
}

/// The rows of a page, without the header.
fn lines(body: &str) -> Vec<&str> {
    body.lines().skip(1).collect()
}
