//! Rows that are asked for: pages, children, what has changed since.
use fake_salesforce::server::Options;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::common::insert;
use crate::doors::{V, open, read};

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
async fn children_of_a_row_come_in_pages_of_their_own() {
    let door = open(Options::default()).await;
    let account = insert(&door.running.org, "Account", json!({"Name": "Parent"}));
    for number in 0..450 {
        insert(
            &door.running.org,
            "Contact",
            json!({"LastName": format!("C{number}"), "AccountId": account}),
        );
    }
    let soql = "SELECT Name, (SELECT LastName FROM Contacts ORDER BY Id) FROM Account";
    let request = door
        .ask(Method::GET, &format!("{V}/query/"))
        .query(&[("q", soql)]);
    let response = request
        .header("sforce-query-options", "batchSize=200")
        .send()
        .await
        .unwrap();
    let page: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    let mut children = page["records"][0]["Contacts"].clone();
    assert_eq!(
        (&children["totalSize"], &children["done"]),
        (&json!(450), &json!(false))
    );
    let mut names: Vec<Value> = children["records"].as_array().unwrap().clone();
    while let Some(next) = children["nextRecordsUrl"].as_str().map(str::to_owned) {
        children = door.get(&next).await.1;
        names.extend(children["records"].as_array().unwrap().iter().cloned());
    }
    assert_eq!(names.len(), 450);
    assert_eq!(names[449]["LastName"], "C449");
}

#[tokio::test]
async fn changed_and_deleted_ids_are_told_by_span() {
    let door = open(Options::default()).await;
    let kept = insert(&door.running.org, "Account", json!({"Name": "Kept"}));
    let gone = insert(&door.running.org, "Account", json!({"Name": "Gone"}));
    door.send(
        Method::DELETE,
        &format!("{V}/sobjects/Account/{gone}"),
        json!({}),
    )
    .await;
    door.hands.forward_s(120);
    let span = "start=2026-06-15T11:00:00Z&end=2026-06-15T13:00:00%2B00:00";
    let (_, updated) = door
        .get(&format!("{V}/sobjects/Account/updated/?{span}"))
        .await;
    assert_eq!(updated["ids"], json!([kept]));
    assert_eq!(updated["latestDateCovered"], "2026-06-15T12:02:00.000+0000");
    let (_, deleted) = door
        .get(&format!("{V}/sobjects/Account/deleted/?{span}"))
        .await;
    assert_eq!(deleted["deletedRecords"][0]["id"], json!(gone));
    assert_eq!(deleted["deletedRecords"].as_array().unwrap().len(), 1);
    let short = "start=2026-06-15T11:00:00Z&end=2026-06-15T11:00:30Z";
    let (status, refused) = door
        .get(&format!("{V}/sobjects/Account/updated?{short}"))
        .await;
    assert_eq!(
        (status, &refused[0]["errorCode"]),
        (StatusCode::BAD_REQUEST, &json!("INVALID_REPLICATION_DATE"))
    );
}
