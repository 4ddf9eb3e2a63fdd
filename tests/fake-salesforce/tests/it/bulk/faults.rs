//! Faults of query jobs and their results.
use std::io::Read;

use flate2::read::GzDecoder;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Door, V, lines, with_accounts};

const SOQL: &str = "SELECT Id, Name FROM Account";

#[tokio::test]
async fn jobs_fail_and_are_aborted_as_asked_for_by_object() {
    let door = with_accounts(3).await;
    door.fault(json!({"kind": "bulk_job_failed", "object": "Account"}))
        .await;
    door.fault(json!({"kind": "bulk_job_failed", "object": "account", "message": "QUERY_TIMEOUT : too long"}))
        .await;
    door.fault(json!({"kind": "bulk_job_aborted", "object": "Contact", "count": 2}))
        .await;
    let messages = [
        "InternalServerError : Retried more than fifteen times",
        "QUERY_TIMEOUT : too long",
    ];
    for message in messages {
        let id = door.query(SOQL).await;
        let job = door.reach("query", &id, "Failed").await;
        assert_eq!(job["errorMessage"], message);
        assert_eq!(job["numberRecordsProcessed"], 0);
        let page = door.page(&id, "").await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST);
    }
    for _ in 0..2 {
        let id = door.query("SELECT Id FROM Contact").await;
        door.reach("query", &id, "Aborted").await;
    }
    // All used up.
    door.queried(SOQL).await;
    door.queried("SELECT Id FROM Contact").await;
}

#[tokio::test]
async fn a_job_hangs_until_it_is_released() {
    let door = with_accounts(3).await;
    door.fault(json!({"kind": "bulk_job_hangs", "object": "Account"}))
        .await;
    let id = door.query(SOQL).await;
    door.reach("query", &id, "InProgress").await;
    door.queried("SELECT Id FROM Contact").await;
    let (_, job) = door.get(&format!("{V}/jobs/query/{id}")).await;
    assert_eq!(job["state"], "InProgress");
    // Its rows are those of when it is computed.
    let org = &door.running.org;
    crate::common::insert(org, "Account", json!({"Name": "late"}));
    door.fault(json!({"kind": "bulk_release"})).await;
    assert_eq!(door.complete(&id).await["numberRecordsProcessed"], 4);
}

#[tokio::test]
async fn a_slow_job_waits_and_then_works() {
    let door = with_accounts(1).await;
    door.fault(json!({"kind": "bulk_job_slow", "queued_ms": 3_600_000}))
        .await;
    let queued = door.query(SOQL).await;
    door.fault(json!({"kind": "bulk_job_slow", "ms": 3_600_000}))
        .await;
    let working = door.query(SOQL).await;
    door.fault(json!({"kind": "bulk_job_slow", "queued_ms": 5, "ms": 5}))
        .await;
    door.queried(SOQL).await;
    door.reach("query", &working, "InProgress").await;
    door.reach("query", &queued, "UploadComplete").await;
    for id in [queued, working] {
        let path = format!("{V}/jobs/query/{id}");
        let abort = json!({"state": "Aborted"});
        let (status, _) = door.send(Method::PATCH, &path, abort).await;
        assert_eq!(status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_job_miscounts_its_rows() {
    let door = with_accounts(5).await;
    for (by, said) in [(-2, 3), (1, 6)] {
        door.fault(json!({"kind": "bulk_job_miscounts", "by": by}))
            .await;
        let id = door.query(SOQL).await;
        assert_eq!(door.complete(&id).await["numberRecordsProcessed"], said);
        assert_eq!(door.page(&id, "").await.rows, "5");
    }
}

#[tokio::test]
async fn a_page_breaks_off_in_mid_row() {
    let door = with_accounts(4000).await;
    let id = door.queried(SOQL).await;
    let good = door.all(&id, 2000).await;
    let second = format!("maxRecords=2000&locator={}", good[0].locator);
    let path = format!("{V}/jobs/query/{id}/results?{second}");
    let truncated = |clean: bool| json!({"kind": "bulk_page_truncated", "page": 2, "clean": clean});
    // Plain: a connection that breaks, or a body that seems whole.
    door.fault(truncated(false)).await;
    let first = door.page(&id, "maxRecords=2000").await;
    assert_eq!(first.body, good[0].body);
    let response = door.ask(Method::GET, &path).send().await.unwrap();
    assert_eq!(response.headers()["sforce-numberofrecords"], "2000");
    response.bytes().await.unwrap_err();
    door.fault(truncated(true)).await;
    let cut = door.page(&id, &second).await;
    assert_eq!(cut.rows, "2000");
    assert!(good[1].body.starts_with(&cut.body));
    assert!(!cut.body.ends_with('\n') && lines(&cut.body).len() == 1001);
    // Compressed: likewise, and the stream has no end.
    for clean in [false, true] {
        door.fault(truncated(clean)).await;
        let request = door.ask(Method::GET, &path);
        let response = request.header("accept-encoding", "gzip").send().await;
        let packed = response.unwrap().bytes().await;
        assert_eq!(packed.is_ok(), clean);
        if let Ok(packed) = packed {
            let mut text = Vec::new();
            GzDecoder::new(packed.as_ref())
                .read_to_end(&mut text)
                .unwrap_err();
        }
    }
    assert_eq!(door.page(&id, &second).await.body, good[1].body);
}

#[tokio::test]
async fn a_page_has_fewer_rows_than_it_promises() {
    let door = with_accounts(10).await;
    let id = door.queried(SOQL).await;
    let good = door.page(&id, "maxRecords=4").await;
    door.fault(json!({"kind": "bulk_page_short", "missing": 3}))
        .await;
    let short = door.page(&id, "maxRecords=4").await;
    assert_eq!((short.rows, short.locator), (good.rows, good.locator));
    assert_eq!(lines(&short.body), lines(&good.body)[..1]);
}

#[tokio::test]
async fn a_page_is_garbage_or_has_another_header() {
    let door = with_accounts(3).await;
    let id = door.queried(SOQL).await;
    let good = door.page(&id, "").await;
    door.fault(json!({"kind": "bulk_page_garbage", "object": "Account"}))
        .await;
    let path = format!("{V}/jobs/query/{id}/results");
    let response = door.ask(Method::GET, &path).send().await.unwrap();
    let garbage = response.bytes().await.unwrap();
    assert!(std::str::from_utf8(&garbage).is_err());
    assert_eq!(garbage.iter().filter(|byte| **byte == b'"').count() % 2, 1);
    door.fault(json!({"kind": "bulk_page_header"})).await;
    let renamed = door.page(&id, "").await;
    let expected = good.body.replacen("\"Name\"", "\"Name_Renamed\"", 1);
    assert_eq!(renamed.body, expected);
}

#[tokio::test]
async fn results_expire_from_a_page_on() {
    let door = with_accounts(10).await;
    door.fault(json!({"kind": "bulk_results_expired", "page": 3}))
        .await;
    let id = door.queried(SOQL).await;
    let first = door.page(&id, "maxRecords=3").await;
    let second = door
        .page(&id, &format!("maxRecords=3&locator={}", first.locator))
        .await;
    assert_eq!(second.status, StatusCode::OK);
    for locator in [&second.locator, &first.locator] {
        let page = door
            .page(&id, &format!("maxRecords=3&locator={locator}"))
            .await;
        assert_eq!(page.status, StatusCode::NOT_FOUND);
        assert!(page.body.contains("NOT_FOUND"));
    }
    let (status, _) = door.get(&format!("{V}/jobs/query/{id}")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_page_is_answered_with_a_server_error_or_late() {
    let door = with_accounts(10).await;
    let id = door.queried(SOQL).await;
    let first = door.page(&id, "maxRecords=5").await;
    let second = format!("maxRecords=5&locator={}", first.locator);
    door.fault(json!({"kind": "bulk_page_5xx", "page": 2, "count": 2}))
        .await;
    door.fault(json!({"kind": "bulk_page_5xx", "page": 2, "status": 500}))
        .await;
    assert_eq!(door.page(&id, "maxRecords=5").await.status, StatusCode::OK);
    for status in [503, 503, 500] {
        assert_eq!(door.page(&id, &second).await.status, status);
    }
    door.fault(json!({"kind": "bulk_page_slow", "page": 2, "ms": 30}))
        .await;
    let begun = tokio::time::Instant::now();
    let slow = door.page(&id, &second).await;
    assert!(begun.elapsed() >= std::time::Duration::from_millis(30));
    assert_eq!(lines(&slow.body).len(), 5);
    let counters = counters(&door).await;
    assert_eq!(counters["doors"]["fault.bulk_page_5xx"], 3);
    assert_eq!(counters["doors"]["fault.bulk_page_slow"], 1);
}

async fn counters(door: &Door) -> Value {
    door.get("/admin/counters").await.1
}

#[tokio::test]
async fn a_fault_that_is_none_is_refused() {
    let door = with_accounts(0).await;
    for fault in [
        json!({"kind": "bulk_nothing"}),
        json!({"kind": "bulk_page_short", "mising": 1}),
        json!({"kind": "bulk_job_miscounts"}),
    ] {
        let (status, _) = door.send(Method::POST, "/admin/faults", fault).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
    }
}
