//! Query jobs from their creation to their end.
use fake_salesforce::server::Options;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{V, open, with_accounts};

#[tokio::test]
async fn a_job_is_created_computed_and_described() {
    let door = with_accounts(3).await;
    let asked = json!({"operation": "query", "query": "SELECT Id, Name FROM Account"});
    let (status, job) = door
        .send(Method::POST, &format!("{V}/jobs/query"), asked)
        .await;
    assert_eq!(status, StatusCode::OK);
    let id = job["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("750") && id.len() == 18, "{id}");
    let expected = json!({
        "id": id,
        "operation": "query",
        "object": "Account",
        "createdById": door.running.org.admin_id(),
        "createdDate": "2026-06-15T12:00:00.000+0000",
        "systemModstamp": "2026-06-15T12:00:00.000+0000",
        "state": "UploadComplete",
        "concurrencyMode": "Parallel",
        "contentType": "CSV",
        "apiVersion": 67.0,
        "lineEnding": "LF",
        "columnDelimiter": "COMMA",
    });
    assert_eq!(job, expected);
    // Clients ask for the rows' type when they make the job.
    for kind in ["text/csv", "application/xml", "*/*"] {
        let request = door.ask(Method::POST, &format!("{V}/jobs/query"));
        let asked = json!({"operation": "query", "query": "SELECT Id FROM Account"});
        let response = request.header("accept", kind).json(&asked).send().await;
        assert_eq!(response.unwrap().status(), StatusCode::OK, "{kind}");
    }
    let done = door.complete(&id).await;
    assert_eq!(done["jobType"], "V2Query");
    assert_eq!(done["numberRecordsProcessed"], 3);
    assert_eq!(done["retries"], 0);
    assert!(done["totalProcessingTime"].is_u64());
    assert_eq!(done["isPkChunkingSupported"], true);
    assert_eq!(done.get("errorMessage"), None);
    // By 15 characters, as every id; ORDER BY and LIMIT end the splitting by id.
    let (status, same) = door
        .get(&format!("{V}/jobs/query/{}", id.get(..15).unwrap()))
        .await;
    assert_eq!((status, &same["id"]), (StatusCode::OK, &done["id"]));
    for soql in [
        "SELECT Id FROM Account ORDER BY Name",
        "SELECT Id FROM Account LIMIT 1",
    ] {
        let id = door.query(soql).await;
        assert_eq!(door.complete(&id).await["isPkChunkingSupported"], false);
    }
}

#[tokio::test]
async fn what_a_job_can_not_be_is_refused_at_its_creation() {
    let door = open(Options::default()).await;
    let soql = "SELECT Id FROM Account";
    let refused = [
        (json!({"query": soql}), "INVALIDJOB"),
        (json!({"operation": "query"}), "INVALIDJOB"),
        (json!({"operation": "query", "query": " "}), "INVALIDJOB"),
        (json!({"operation": "insert", "query": soql}), "INVALIDJOB"),
        (
            json!({"operation": "query", "query": soql, "contentType": "XML"}),
            "INVALIDJOB",
        ),
        (
            json!({"operation": "query", "query": soql, "columnDelimiter": "SPACE"}),
            "INVALIDJOB",
        ),
        (
            json!({"operation": "query", "query": soql, "lineEnding": "CR"}),
            "INVALIDJOB",
        ),
        (
            json!({"operation": "query", "query": soql, "concurrencyMode": "Serial"}),
            "INVALIDJOB",
        ),
        (
            json!({"operation": "query", "query": soql, "surprise": 1}),
            "JSON_PARSER_ERROR",
        ),
        (
            json!({"operation": "query", "query": "SELECT Id FROM"}),
            "MALFORMED_QUERY",
        ),
        (
            json!({"operation": "query", "query": "SELECT Id FROM Nothing"}),
            "INVALID_TYPE",
        ),
        (
            json!({"operation": "query", "query": "SELECT Nothing FROM Account"}),
            "INVALID_FIELD",
        ),
        (
            json!({"operation": "query", "query": "SELECT Id FROM Account WHERE Nothing = 1"}),
            "INVALID_FIELD",
        ),
        (
            json!({"operation": "query", "query": "SELECT Id FROM Account ORDER BY Nothing"}),
            "INVALID_FIELD",
        ),
        (
            json!({"operation": "query", "query": "SELECT Name, Name FROM Account"}),
            "INVALID_FIELD",
        ),
    ];
    for (body, code) in refused {
        let (status, answer) = door
            .send(Method::POST, &format!("{V}/jobs/query"), body.clone())
            .await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(answer[0]["errorCode"], code, "{body}: {answer}");
    }
    let (_, list) = door.get(&format!("{V}/jobs/query")).await;
    assert_eq!(list["records"], json!([]));
}

#[tokio::test]
async fn queries_that_the_bulk_api_does_not_have_are_refused() {
    let door = open(Options::default()).await;
    for (soql, message) in [
        (
            "SELECT StageName, COUNT(Id) FROM Opportunity GROUP BY StageName",
            "Aggregate functions",
        ),
        (
            "SELECT StageName FROM Opportunity GROUP BY StageName",
            "GROUP BY",
        ),
        ("SELECT COUNT() FROM Account", "Aggregate functions"),
        (
            "SELECT MAX(Amount) m FROM Opportunity",
            "Aggregate functions",
        ),
        ("SELECT Id FROM Account LIMIT 5 OFFSET 5", "OFFSET"),
        (
            "SELECT TYPEOF Owner WHEN User THEN Name END FROM Account",
            "TYPEOF",
        ),
        (
            "SELECT Id, (SELECT Id FROM Contacts) FROM Account",
            "Aggregate Relationships",
        ),
        (
            "SELECT Id, BillingAddress FROM Account",
            "Selecting compound data not supported in Bulk Query",
        ),
        (
            "SELECT Id, Account.BillingAddress FROM Opportunity",
            "Selecting compound data not supported in Bulk Query",
        ),
    ] {
        let body = json!({"operation": "query", "query": soql});
        let (status, answer) = door
            .send(Method::POST, &format!("{V}/jobs/query"), body)
            .await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{soql}");
        assert_eq!(
            answer[0]["errorCode"], "FUNCTIONALITY_NOT_ENABLED",
            "{soql}"
        );
        let text = answer[0]["message"].as_str().unwrap();
        assert!(text.starts_with(message), "{soql}: {text}");
    }
    let all = "SELECT FIELDS(ALL) FROM Account LIMIT 10";
    let body = json!({"operation": "query", "query": all});
    let (status, _) = door
        .send(Method::POST, &format!("{V}/jobs/query"), body)
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    // Words that mean nothing where they stand here, and a semi-join.
    for soql in [
        "SELECT Id FROM Account WHERE Name = 'GROUP BY OFFSET (SELECT COUNT()'",
        "SELECT Id FROM Account WHERE Id IN (SELECT AccountId FROM Contact)",
        "SELECT FIELDS(STANDARD) FROM Account",
    ] {
        door.queried(soql).await;
    }
}

#[tokio::test]
async fn a_job_in_progress_has_no_results_and_can_be_aborted_and_then_deleted() {
    let door = with_accounts(2).await;
    door.fault(json!({"kind": "bulk_job_hangs"})).await;
    let id = door.query("SELECT Id FROM Account").await;
    let path = format!("{V}/jobs/query/{id}");
    door.reach("query", &id, "InProgress").await;
    let (status, answer) = door.get(&format!("{path}/results")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(answer[0]["errorCode"], "INVALIDJOBSTATE");
    let (status, answer) = door.send(Method::DELETE, &path, Value::Null).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(answer[0]["errorCode"], "API_ERROR");
    let text = answer[0]["message"].as_str().unwrap();
    assert!(text.contains("because the job is not terminated"), "{text}");
    let to = |state: &str| json!({"state": state});
    let (status, _) = door.send(Method::PATCH, &path, to("UploadComplete")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, job) = door.send(Method::PATCH, &path, to("Aborted")).await;
    assert_eq!((status, &job["state"]), (StatusCode::OK, &json!("Aborted")));
    // What releases those that hang does not bring this one back.
    door.fault(json!({"kind": "bulk_release"})).await;
    let other = door.queried("SELECT Id FROM Account").await;
    let (_, job) = door.get(&path).await;
    assert_eq!(job["state"], "Aborted");
    for id in [&id, &other] {
        let path = format!("{V}/jobs/query/{id}");
        let (status, answer) = door.send(Method::PATCH, &path, to("Aborted")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(answer[0]["errorCode"], "INVALIDJOBSTATE");
        let (status, _) = door.send(Method::DELETE, &path, Value::Null).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        for path in [path.clone(), format!("{path}/results")] {
            let (status, answer) = door.get(&path).await;
            assert_eq!(status, StatusCode::NOT_FOUND);
            assert_eq!(answer[0]["errorCode"], "NOT_FOUND");
        }
    }
}

#[tokio::test]
async fn jobs_are_listed_by_the_thousand() {
    let door = open(Options::default()).await;
    let mut created = Vec::new();
    for _ in 0..1001 {
        created.push(door.query("SELECT Id FROM Organization").await);
    }
    let ids = |list: &Value| -> Vec<String> {
        let records = list["records"].as_array().unwrap();
        let ids = records.iter().map(|job| job["id"].as_str().unwrap());
        ids.map(str::to_owned).collect()
    };
    let (status, first) = door.get(&format!("{V}/jobs/query")).await;
    assert_eq!((status, &first["done"]), (StatusCode::OK, &json!(false)));
    assert_eq!(ids(&first), created[..1000]);
    let next = first["nextRecordsUrl"].as_str().unwrap();
    let (_, second) = door.get(next).await;
    assert_eq!(ids(&second), created[1000..]);
    assert_eq!(second["done"], true);
    assert_eq!(second["nextRecordsUrl"], Value::Null);
    for (filter, found) in [
        ("jobType=V2Query", 1000),
        ("jobType=Classic", 0),
        ("isPkChunkingEnabled=false", 0),
        ("concurrencyMode=Serial", 0),
    ] {
        let (_, list) = door.get(&format!("{V}/jobs/query?{filter}")).await;
        assert_eq!(ids(&list).len(), found, "{filter}");
    }
    let (status, _) = door
        .get(&format!("{V}/jobs/query?queryLocator=nonsense"))
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn query_jobs_are_limited_in_a_day_that_rolls() {
    let mut door = open(Options::default()).await;
    door.query("SELECT Id FROM Account").await;
    let (_, limits) = door.get(&format!("{V}/limits")).await;
    let expected = json!({"Max": 10_000, "Remaining": 9_999});
    assert_eq!(limits["DailyBulkV2QueryJobs"], expected);
    door.fault(json!({"kind": "bulk_query_quota", "left": 1}))
        .await;
    door.query("SELECT Id FROM Account").await;
    let asked = json!({"operation": "query", "query": "SELECT Id FROM Account"});
    let path = format!("{V}/jobs/query");
    let (status, answer) = door.send(Method::POST, &path, asked).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(
        answer[0]["message"],
        "Max bulk v2 query jobs (10000) per 24 hrs has been reached"
    );
    door.hands.forward_s(24 * 3600);
    // The session has ended meanwhile.
    door.token = super::sign_in(&door).await;
    door.query("SELECT Id FROM Account").await;
}

#[tokio::test]
async fn every_request_counts_as_an_api_call() {
    let door = with_accounts(1).await;
    let id = door.queried("SELECT Id FROM Account").await;
    let before = door.running.api_calls();
    door.get(&format!("{V}/jobs/query/{id}")).await;
    door.page(&id, "").await;
    let response = door
        .ask(Method::GET, &format!("{V}/jobs/query/{id}/results"))
        .send()
        .await
        .unwrap();
    assert_eq!(door.running.api_calls(), before + 3);
    let usage = format!("api-usage={}/100000", before + 3);
    assert_eq!(response.headers()["sforce-limit-info"], usage.as_str());
}

#[tokio::test]
async fn versions_before_the_bulk_api_do_not_have_it() {
    let door = with_accounts(1).await;
    let body = json!({"operation": "query", "query": "SELECT Id FROM Account"});
    for (version, status) in [("46.0", StatusCode::NOT_FOUND), ("47.0", StatusCode::OK)] {
        let path = format!("/services/data/v{version}/jobs/query");
        let (answered, _) = door.send(Method::POST, &path, body.clone()).await;
        assert_eq!(answered, status, "{version}");
    }
    let (status, _) = door.get(&format!("{V}/jobs/nothing")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = door
        .send(Method::PUT, &format!("{V}/jobs/query"), body)
        .await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
}
