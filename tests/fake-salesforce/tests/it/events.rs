//! Whatever door is used, a write is an event.
use fake_salesforce::server::Options;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::doors::{DEADLINE, Door, V, open};
use crate::external_ids::external_key;
use crate::soap::soap;

/// Inserts an account with a job of the Bulk API and waits for the job's end.
async fn bulk_insert(door: &Door, name: &str) {
    let job = json!({"object": "Account", "operation": "insert"});
    let jobs = format!("{V}/jobs/ingest");
    let (_, job) = door.send(Method::POST, &jobs, job).await;
    let job = format!("{jobs}/{}", job["id"].as_str().unwrap());
    let upload = door.ask(Method::PUT, &format!("{job}/batches"));
    let upload = upload.header("content-type", "text/csv");
    upload.body(format!("Name\n{name}\n")).send().await.unwrap();
    let close = json!({"state": "UploadComplete"});
    door.send(Method::PATCH, &job, close).await;
    let ended = async { while door.get(&job).await.1["state"] != "JobComplete" {} };
    tokio::time::timeout(DEADLINE, ended).await.unwrap();
}

#[tokio::test]
async fn what_is_written_by_any_door_is_an_event() {
    let door = open(Options::default()).await;
    external_key(&door).await;
    let account =
        |name: &str| json!({"attributes": {"type": "Account", "referenceId": name}, "Name": name});
    let single = json!({"Name": "single"});
    let list = json!({"records": [account("listed")]});
    let tree = json!({"records": [account("planted")]});
    let part = json!({"method": "POST", "url": format!("{V}/sobjects/Account"), "referenceId": "a", "body": {"Name": "composed"}});
    for (method, path, body) in [
        (Method::POST, "sobjects/Account", single),
        (Method::POST, "composite/sobjects", list),
        (Method::POST, "composite/tree/Account", tree),
        (
            Method::POST,
            "composite",
            json!({"compositeRequest": [part]}),
        ),
        (
            Method::PATCH,
            "sobjects/Account/Erp__c/1",
            json!({"Name": "upserted"}),
        ),
    ] {
        let (status, answer) = door.send(method, &format!("{V}/{path}"), body).await;
        assert!(status.is_success(), "{path}: {answer}");
    }
    bulk_insert(&door, "loaded").await;
    let records = door.running.org.records("Account");
    let names: Vec<_> = records.iter().map(|row| row.text("Name")).collect();
    let expected = [
        "single", "listed", "planted", "composed", "upserted", "loaded",
    ];
    assert_eq!(names, expected.map(Some));
    let last = records[5].id();
    let path = format!("{V}/sobjects/Account/{last}");
    door.send(Method::PATCH, &path, json!({"Phone": "1"})).await;
    door.send(Method::DELETE, &path, json!({})).await;
    let token = &door.token;
    let undelete = format!(
        "<SessionHeader><sessionId>{token}</sessionId></SessionHeader><undelete><ids>{last}</ids></undelete>"
    );
    assert_eq!(soap(&door, &undelete).await.0, StatusCode::OK);
    let (_client, mut stream) = door.events("/data/AccountChangeEvent").await;
    let nine = async {
        let mut payloads = Vec::new();
        while payloads.len() < 9 {
            let events = stream.message().await.unwrap().unwrap().events.into_iter();
            payloads.extend(events.map(|event| event.event.unwrap().payload));
        }
        payloads
    };
    let payloads = tokio::time::timeout(DEADLINE, nine).await.unwrap();
    let made = records.iter().map(|row| row.id()).chain([last; 3]);
    for (payload, id) in payloads.iter().zip(made) {
        let mut windows = payload.windows(id.len());
        assert!(windows.any(|window| window == id.as_bytes()), "{id}");
    }
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
