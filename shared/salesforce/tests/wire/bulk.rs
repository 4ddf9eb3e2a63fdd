//! The life of bulk query jobs.

use ports::source::{BulkQuery, BulkQueryId, BulkState, Source, SourceError};

use crate::http_server::{Reply, Server, TOKEN_PATH, not_found};

const JOBS: &str = "/services/data/v67.0/jobs/query";
const JOB: &str = "/services/data/v67.0/jobs/query/750R0000000zlh9IAA";

fn job_id() -> BulkQueryId {
    BulkQueryId("750R0000000zlh9IAA".to_owned())
}

/// Everything but sign-ins is answered so.
async fn answering(reply: impl Fn() -> Reply + Send + Sync + 'static) -> Server {
    Server::start(move |seen| {
        if seen.target == TOKEN_PATH {
            not_found()
        } else {
            reply()
        }
    })
    .await
}

#[tokio::test]
async fn a_job_is_created_with_its_query_in_the_body() {
    let server = answering(|| {
        Reply::ok(r#"{"id":"750R0000000zlh9IAA","operation":"query","object":"Account","state":"UploadComplete","concurrencyMode":"Parallel","contentType":"CSV","apiVersion":67.0,"lineEnding":"LF","columnDelimiter":"COMMA"}"#)
    })
    .await;
    let soql = format!(
        "SELECT Id FROM Account WHERE Name = '{}'",
        "x".repeat(20_000)
    );
    assert_eq!(server.client().create_bulk_query(&soql).await, Ok(job_id()));
    let asked = &server.seen(JOBS)[0];
    assert_eq!(asked.target, JOBS);
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&asked.body).unwrap(),
        serde_json::json!({"operation": "query", "query": soql, "contentType": "CSV", "columnDelimiter": "COMMA", "lineEnding": "LF"})
    );
}

#[tokio::test]
async fn the_states_are_told_with_count_and_reason() {
    for (body, expected) in [
        (
            r#"{"id":"750","object":"Account","state":"UploadComplete"}"#,
            BulkQuery {
                state: BulkState::UploadComplete,
                records: 0,
                error: None,
            },
        ),
        (
            r#"{"id":"750","object":"Account","state":"InProgress","numberRecordsProcessed":200,"errorMessage":""}"#,
            BulkQuery {
                state: BulkState::InProgress,
                records: 200,
                error: None,
            },
        ),
        (
            r#"{"id":"750","object":"Account","state":"JobComplete","numberRecordsProcessed":500,"retries":0,"totalProcessingTime":334,"jobType":"V2Query"}"#,
            BulkQuery {
                state: BulkState::JobComplete,
                records: 500,
                error: None,
            },
        ),
        (
            r#"{"id":"750","object":"Account","state":"Aborted","errorMessage":null}"#,
            BulkQuery {
                state: BulkState::Aborted,
                records: 0,
                error: None,
            },
        ),
        (
            r#"{"id":"750","object":"Account","state":"Failed","errorMessage":"INVALID_FIELD: \nWHERE Name = 'Secret'\n ^\nERROR at Row:1:Column:8\nNo such column 'Nme'."}"#,
            BulkQuery {
                state: BulkState::Failed,
                records: 0,
                error: Some("No such column '...'.".to_owned()),
            },
        ),
    ] {
        let server = answering(move || Reply::ok(body)).await;
        assert_eq!(
            server.client().bulk_query(&job_id()).await,
            Ok(expected),
            "{body}"
        );
        assert_eq!(server.seen(JOBS)[0].target, JOB);
    }
    for body in [
        r#"{"id":"750","object":"A","state":"Sleeping"}"#,
        // Nobody knows then whether all rows came.
        r#"{"id":"750","object":"A","state":"JobComplete"}"#,
        r#"{"id":"750","object":"A","state":"JobComplete","numberRecordsProcessed":null}"#,
    ] {
        let server = answering(move || Reply::ok(body)).await;
        let answer = server.client().bulk_query(&job_id()).await;
        assert!(
            matches!(answer, Err(SourceError::Garbled(_))),
            "{body}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn used_up_allowances_and_unknown_jobs_are_told_apart_from_refusals() {
    type Expected = fn(&SourceError) -> bool;
    let cases: [(u16, &str, &str, Expected); 6] = [
        (
            400,
            "API_ERROR",
            "Max bulk v2 query jobs (10000) per 24 hrs has been reached",
            |error| matches!(error, SourceError::Quota(_)),
        ),
        (
            400,
            "API_ERROR",
            "Max bulk v2 query result size stored (1000000000) kb per 24 hrs has been exceeded",
            |error| matches!(error, SourceError::Quota(_)),
        ),
        (400, "LIMIT_EXCEEDED", "words", |error| {
            matches!(error, SourceError::Quota(_))
        }),
        (
            404,
            "NOT_FOUND",
            "The requested resource does not exist",
            |error| matches!(error, SourceError::Expired(_)),
        ),
        (409, "API_ERROR", "another version", |error| {
            matches!(error, SourceError::Refused { .. })
        }),
        (
            400,
            "INVALIDENTITY",
            "not supported by the Bulk API",
            |error| matches!(error, SourceError::Refused { .. }),
        ),
    ];
    for (status, code, message, expected) in cases {
        let body = format!(r#"[{{"errorCode":"{code}","message":"{message}"}}]"#);
        let server = answering(move || Reply {
            status,
            ..Reply::ok(body.clone())
        })
        .await;
        let client = server.client();
        let asked = client.bulk_query(&job_id()).await.unwrap_err();
        let columns = ["Id".to_owned()];
        let opened = client
            .bulk_results(&job_id(), &columns, None, 1)
            .await
            .err()
            .unwrap();
        assert!(
            expected(&asked) && expected(&opened),
            "{message}: {asked:?} {opened:?}"
        );
        // A resource that does not exist is no expired job when there is no job yet.
        let created = client
            .create_bulk_query("SELECT Id FROM Account")
            .await
            .unwrap_err();
        match status {
            404 => assert!(matches!(created, SourceError::Refused { .. })),
            _ => assert!(expected(&created), "{message}: {created:?}"),
        }
    }
}

#[tokio::test]
async fn a_job_that_ended_is_removed_and_one_that_is_unknown_is_gone() {
    for reply in [
        || Reply {
            status: 204,
            ..Reply::ok("")
        },
        || Reply::error(404, "NOT_FOUND"),
    ] {
        let server = answering(reply).await;
        assert_eq!(server.client().remove_bulk_query(&job_id()).await, Ok(()));
        assert_eq!(server.seen(JOB).len(), 1);
    }
}

#[tokio::test]
async fn a_job_that_runs_is_aborted_and_then_removed() {
    // Removal is refused until the abort has come, and once more while it takes effect.
    let server = Server::start(|seen| match (seen.target.as_str(), seen.nth) {
        (TOKEN_PATH, _) => not_found(),
        (JOB, 1) => {
            assert_eq!(seen.body, r#"{"state":"Aborted"}"#);
            Reply::ok("{}")
        }
        (JOB, 0 | 2) => {
            assert_eq!(seen.body, "");
            Reply::error(400, "API_ERROR")
        }
        _ => Reply {
            status: 204,
            ..Reply::ok("")
        },
    })
    .await;
    assert_eq!(server.client().remove_bulk_query(&job_id()).await, Ok(()));
    assert_eq!(server.seen(JOB).len(), 4);
}

#[tokio::test]
async fn a_removal_that_is_refused_for_good_says_so() {
    let server = answering(|| Reply::error(403, "INSUFFICIENT_ACCESS")).await;
    assert!(matches!(
        server.client().remove_bulk_query(&job_id()).await,
        Err(SourceError::Refused { .. })
    ));
}

#[tokio::test]
async fn an_id_that_is_none_reaches_no_other_resource() {
    let server = answering(not_found).await;
    for id in ["", "../../sobjects/Account/001", "750?x", "750/results"] {
        let id = BulkQueryId(id.to_owned());
        assert!(matches!(
            server.client().remove_bulk_query(&id).await,
            Err(SourceError::Garbled(_))
        ));
    }
    assert!(server.seen("/services/data").is_empty());
}
