//! The same over real sockets: keys, pages, faults that only a connection can show.

use std::time::Duration;

use fake_mos::{
    DEFAULT_API_KEY, Fault, Options, READ_ONLY_KEY, RecordType, Running, start, system_clock,
};
use serde_json::{Value, json};

use crate::desk::*;

pub(crate) struct Door {
    pub(crate) running: Running,
    client: reqwest::Client,
}

impl Door {
    pub(crate) async fn open() -> Self {
        let options = Options {
            http: "127.0.0.1:0".parse().unwrap(),
            api_key: DEFAULT_API_KEY.to_owned(),
            ..Options::default()
        };
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(20))
            .build()
            .unwrap();
        Self {
            running: start(options, system_clock()).await.unwrap(),
            client,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.http)
    }

    pub(crate) fn upsert(
        &self,
        key: &str,
        body: impl Into<reqwest::Body>,
    ) -> reqwest::RequestBuilder {
        self.client
            .post(self.url("/v1/records/upsert"))
            .bearer_auth(DEFAULT_API_KEY)
            .header("Idempotency-Key", key)
            .body(body)
    }

    pub(crate) fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.get(self.url(path)).bearer_auth(DEFAULT_API_KEY)
    }

    pub(crate) async fn get_json(&self, path: &str) -> Value {
        self.get(path).send().await.unwrap().json().await.unwrap()
    }

    pub(crate) async fn fault(&self, fault: &Value) -> u16 {
        let request = self.client.post(self.url("/admin/faults")).json(fault);
        request.send().await.unwrap().status().as_u16()
    }
}

pub(crate) fn body(records: &[Value]) -> String {
    json!({ "records": records }).to_string()
}

#[tokio::test]
async fn keys_decide_who_may_write_and_who_may_read() {
    let door = Door::open().await;
    let post = |key: Option<&str>| {
        let request = door
            .client
            .post(door.url("/v1/records/upsert"))
            .header("Idempotency-Key", "k");
        let request = match key {
            Some(key) => request.bearer_auth(key),
            None => request,
        };
        request.body(body(&[owner(1)])).send()
    };
    assert_eq!(post(None).await.unwrap().status(), 401);
    assert_eq!(post(Some("wrong")).await.unwrap().status(), 401);
    assert_eq!(post(Some(READ_ONLY_KEY)).await.unwrap().status(), 403);
    assert_eq!(post(Some(DEFAULT_API_KEY)).await.unwrap().status(), 200);
    let url = door.url("/v1/records/user");
    let read = |key: &str| door.client.get(&url).bearer_auth(key).send();
    assert_eq!(read("wrong").await.unwrap().status(), 401);
    assert_eq!(read(READ_ONLY_KEY).await.unwrap().status(), 200);
    let statuses: Vec<u16> = door
        .running
        .mos
        .ledger_since(0)
        .iter()
        .map(|entry| entry.status)
        .collect();
    assert_eq!(statuses, [401, 401, 403, 200]);
    door.running.stop().await;
}

#[tokio::test]
async fn nothing_can_be_deleted() {
    let door = Door::open().await;
    door.upsert("k", body(&family(1))).send().await.unwrap();
    for path in [
        "/v1/records/upsert",
        "/v1/records/user",
        &format!("/v1/records/user/{OWNER}"),
    ] {
        let request = door
            .client
            .delete(door.url(path))
            .bearer_auth(DEFAULT_API_KEY);
        assert_eq!(request.send().await.unwrap().status(), 405, "{path}");
    }
    assert_eq!(door.running.mos.records(RecordType::User).len(), 1);
    door.running.stop().await;
}

#[tokio::test]
async fn a_listing_pages_through_ids_with_digests() {
    let door = Door::open().await;
    let users: Vec<Value> = (1..=5)
        .map(|number| {
            record(
                "user",
                &format!("005{number:015}"),
                7,
                json!({ "name": "N", "title": format!("T{number}") }),
            )
        })
        .collect();
    door.upsert("k", body(&users)).send().await.unwrap();
    let first = door.get_json("/v1/records/user?limit=2&fields=name").await;
    let second = door
        .get_json("/v1/records/user?limit=4&fields=name,title&after=005000000000000002")
        .await;
    let ids = |page: &Value| -> Vec<String> {
        let records = page["records"].as_array().unwrap();
        records
            .iter()
            .map(|record| record["external_id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ids(&first), ["005000000000000001", "005000000000000002"]);
    assert_eq!(
        ids(&second),
        [
            "005000000000000003",
            "005000000000000004",
            "005000000000000005"
        ]
    );
    assert_eq!(
        first["records"][0]["digest"], first["records"][1]["digest"],
        "same named field"
    );
    assert_ne!(
        second["records"][0]["digest"],
        second["records"][1]["digest"]
    );
    // SHA-256 of {"name":"N"}
    assert_eq!(
        first["records"][0]["digest"],
        "8589973188d6700ceb0d83fe3ddecf4ceedc13dce10a6d255c6c9a25b45312e0"
    );
    assert_eq!(first["records"][0]["version"], version(7));

    let whole = door.get_json("/v1/records/user/005000000000000001").await;
    assert_eq!(
        whole,
        json!({ "type": "user", "external_id": "005000000000000001", "version": version(7), "fields": { "name": "N", "title": "T1" } })
    );
    for (path, status) in [
        ("/v1/records/user?limit=0", 422),
        ("/v1/records/user?limit=2001", 422),
        ("/v1/records/user?limit=x", 422),
        ("/v1/records/user?fields=shoe_size", 422),
        ("/v1/records/invoice", 404),
        ("/v1/records/user/005000000000000009", 404),
        ("/v1/records/invoice/005000000000000009", 404),
    ] {
        assert_eq!(
            door.get(path).send().await.unwrap().status(),
            status,
            "{path}"
        );
    }
    door.running.stop().await;
}

#[tokio::test]
async fn a_body_far_too_large_is_heard_out_and_refused() {
    let door = Door::open().await;
    let answer = door
        .upsert("k", vec![b' '; 9 * 1024 * 1024])
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 413);
    assert_eq!(code(&answer.json().await.unwrap()), "too_large");
    door.running.stop().await;
}

#[tokio::test]
async fn scripted_statuses_carry_retry_after() {
    let door = Door::open().await;
    assert_eq!(
        door.fault(&json!({ "fault": "status", "status": 429, "retry_after_s": 7, "count": 1 }))
            .await,
        204
    );
    assert_eq!(
        door.fault(&json!({ "fault": "status", "status": 500, "count": 1 }))
            .await,
        204
    );
    let answer = door.upsert("a", body(&[owner(1)])).send().await.unwrap();
    assert_eq!(answer.status(), 429);
    assert_eq!(answer.headers()["retry-after"], "7");
    assert_eq!(
        door.upsert("a", body(&[owner(1)]))
            .send()
            .await
            .unwrap()
            .status(),
        500
    );
    assert_eq!(
        door.upsert("a", body(&[owner(1)]))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    for nonsense in [
        json!({ "fault": "status", "status": 200 }),
        json!({ "fault": "earthquake" }),
        json!({ "fault": "hang", "counts": 1 }),
    ] {
        assert_eq!(door.fault(&nonsense).await, 422, "{nonsense}");
    }
    door.running.stop().await;
}

#[tokio::test]
async fn an_answer_can_be_lost_cut_or_garbled_after_the_records_were_applied() {
    let door = Door::open().await;
    for (number, fault) in ["apply_then_lose_answer", "truncated", "garbage"]
        .into_iter()
        .enumerate()
    {
        door.fault(&json!({ "fault": fault, "count": 1 })).await;
        let number = u64::try_from(number).unwrap() + 1;
        let sent = door.upsert(fault, body(&family(number))).send().await;
        match fault {
            "apply_then_lose_answer" => assert!(sent.is_err(), "no status line came"),
            "truncated" => {
                let answer = sent.unwrap();
                assert_eq!(answer.status(), 200);
                assert!(answer.bytes().await.is_err(), "shorter than it said");
            }
            _ => assert!(sent.unwrap().json::<Value>().await.is_err()),
        }
        let stored = door.running.mos.record(RecordType::User, OWNER).unwrap();
        assert_eq!(stored.version, version(number));
        let again = door
            .upsert(fault, body(&family(number)))
            .send()
            .await
            .unwrap();
        assert_eq!(
            verdicts(&again.json().await.unwrap()).len(),
            5,
            "repeated for its key"
        );
    }
    let ledger = door.get_json("/admin/ledger?after=1&limit=3").await;
    let seen: Vec<_> = ledger["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            (
                entry["index"].as_u64().unwrap(),
                entry["lost"] == true,
                entry["replayed"] == true,
            )
        })
        .collect();
    assert_eq!(seen, [(2, false, true), (3, true, false), (4, false, true)]);
    door.running.stop().await;
}

#[tokio::test]
async fn down_is_down_until_cleared() {
    let door = Door::open().await;
    assert_eq!(door.get_json("/healthz").await, json!({ "status": "ok" }));
    door.fault(&json!({ "fault": "down", "refuse": true }))
        .await;
    assert!(door.get("/healthz").send().await.is_err());
    assert!(door.upsert("k", body(&[owner(1)])).send().await.is_err());
    assert!(door.get("/v1/records/user").send().await.is_err());
    door.fault(&json!({ "fault": "clear" })).await;
    door.fault(&json!({ "fault": "down" })).await;
    assert_eq!(door.get("/healthz").send().await.unwrap().status(), 503);
    assert_eq!(
        door.upsert("k", body(&[owner(1)]))
            .send()
            .await
            .unwrap()
            .status(),
        503
    );
    assert_eq!(
        door.get("/v1/records/user").send().await.unwrap().status(),
        503
    );
    door.fault(&json!({ "fault": "clear" })).await;
    assert_eq!(
        door.upsert("k", body(&[owner(1)]))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    let counters = door.get_json("/admin/counters").await;
    assert_eq!(counters["by_status"], json!({ "0": 1, "200": 1, "503": 1 }));
    door.running.stop().await;
}

#[tokio::test]
async fn a_hang_ends_with_the_caller_or_with_the_server() {
    let door = Door::open().await;
    door.running.mos.fault(Fault::Hang { count: None }).unwrap();
    let impatient = door
        .upsert("k", body(&[owner(1)]))
        .timeout(Duration::from_millis(50));
    assert!(impatient.send().await.unwrap_err().is_timeout());
    let patient = door.upsert("k", body(&[owner(1)])).send();
    let patient = tokio_util::task::AbortOnDropHandle::new({
        let tasks = tokio_util::task::TaskTracker::new();
        tasks.spawn(patient)
    });
    while door.running.mos.ledger_since(0).len() < 2 {
        tokio::task::yield_now().await;
    }
    door.running.stop().await;
    assert!(patient.await.unwrap().is_err(), "closed without an answer");
}

#[tokio::test]
async fn a_slow_request_is_applied_though_its_caller_hung_up() {
    let door = Door::open().await;
    door.running
        .mos
        .fault(Fault::Slow {
            ms: 300,
            count: Some(1),
        })
        .unwrap();
    let impatient = door
        .upsert("k", body(&[owner(1)]))
        .timeout(Duration::from_millis(50));
    assert!(impatient.send().await.unwrap_err().is_timeout());
    while door.running.mos.records(RecordType::User).is_empty() {
        tokio::task::yield_now().await;
    }
    let entry = &door.running.mos.ledger_since(0)[0];
    assert!(
        entry.answered_micros - entry.at_micros >= 300_000,
        "arrival is before the wait"
    );
    assert_eq!(
        door.get_json("/admin/records/user").await["records"][0]["external_id"],
        OWNER
    );
    door.running.stop().await;
}
