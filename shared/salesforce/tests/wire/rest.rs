//! The REST data API.

use std::sync::Arc;
use std::time::Duration;

use domain::{ObjectKind, SalesforceId};
use ports::source::{ApiAllowance, Source, SourceError};
use salesforce::{ApiUsage, Config};

use crate::http_server::{FixedClock, ORG, Reply, Server, TOKEN_PATH, not_found};

const QUERY: &str = "/services/data/v67.0/query";

fn id(number: usize) -> SalesforceId {
    SalesforceId::parse(&format!("006{number:012}")).unwrap()
}

#[tokio::test]
async fn pages_are_followed_and_rows_stay_as_they_were_sent() {
    let first = r#"{"totalSize":3,"done":false,"nextRecordsUrl":"/services/data/v67.0/query/01g000-2","records":[{"Id":"1", "Amount":1.50E3},{"Id":"2"}]}"#;
    let last = r#"{"totalSize":3,"done":true,"records":[{"Name":"é \" "}]}"#;
    let server = Server::start(move |seen| match seen.target.as_str() {
        target if target.contains("?q=") => Reply::ok(first),
        "/services/data/v67.0/query/01g000-2" => Reply {
            headers: vec![("sforce-limit-info", "api-usage=18/5000")],
            ..Reply::ok(last)
        },
        _ => not_found(),
    })
    .await;
    let client = server.client();
    let soql = "SELECT Id FROM Opportunity WHERE Name = 'a+b & c%' AND CreatedDate > 2026-01-01T00:00:00+01:00";
    let page = client.query(soql, false).await.unwrap();
    assert_eq!((page.total, page.rows.len()), (3, 2));
    assert_eq!(page.rows[0].get(), r#"{"Id":"1", "Amount":1.50E3}"#);
    let locator = page.next.unwrap();
    let page = client.next_page(&locator).await.unwrap();
    assert_eq!(page.rows[0].get(), r#"{"Name":"é \" "}"#);
    assert_eq!(page.next, None);
    // The same page by its full address and by its bare locator.
    let absolute = server.url.join(&locator).unwrap();
    assert_eq!(
        client
            .next_page(absolute.as_str())
            .await
            .unwrap()
            .rows
            .len(),
        1
    );
    assert_eq!(client.next_page("01g000-2").await.unwrap().rows.len(), 1);

    let asked = &server.seen(QUERY)[0];
    let query = asked.target.split_once('?').unwrap().1;
    assert_eq!(
        url::form_urlencoded::parse(query.as_bytes())
            .next()
            .unwrap()
            .1,
        soql
    );
    assert!(
        asked.headers["sforce-call-options"]
            .to_str()
            .unwrap()
            .starts_with("client=mosync/")
    );
    assert_eq!(client.api_calls(), 4);
    assert_eq!(
        client.api_usage(),
        Some(ApiUsage {
            used: 18,
            max: 5000
        })
    );
}

#[tokio::test]
async fn deleted_rows_are_asked_for_with_query_all() {
    let server = Server::start(|seen| {
        if seen.target.starts_with("/services/data/v67.0/queryAll?q=") {
            Reply::ok(r#"{"totalSize":0,"done":true,"records":[]}"#)
        } else {
            not_found()
        }
    })
    .await;
    assert_eq!(
        server
            .client()
            .query("SELECT Id FROM Account", true)
            .await
            .unwrap()
            .total,
        0
    );
}

#[tokio::test]
async fn the_token_does_not_follow_a_page_to_another_server() {
    let server = Server::start(|_| not_found()).await;
    let stranger =
        Server::start(|_| Reply::ok(r#"{"totalSize":0,"done":true,"records":[]}"#)).await;
    let page = stranger
        .url
        .join("/services/data/v67.0/query/01g-1")
        .unwrap();
    assert!(matches!(
        server.client().next_page(page.as_str()).await,
        Err(SourceError::Garbled(_))
    ));
    assert!(stranger.seen("/").is_empty());
}

#[tokio::test]
async fn pages_that_make_no_sense_are_not_taken_for_ends() {
    for body in [
        r#"{"totalSize":3,"done":false,"records":[]}"#,
        r#"{"totalSize":1,"done":true,"records":[null]}"#,
        "<html>",
        r#"{"totalSize":1,"done":true,"recor"#,
        "",
    ] {
        let server = Server::start(move |seen| {
            if seen.target == TOKEN_PATH {
                not_found()
            } else {
                Reply::ok(body)
            }
        })
        .await;
        assert!(
            matches!(
                server.client().query("SELECT Id FROM Account", false).await,
                Err(SourceError::Garbled(_))
            ),
            "{body}"
        );
    }
}

#[tokio::test]
async fn what_passes_is_repeated_and_what_lasts_is_not() {
    for (status, code, requests) in [
        (429, "X", 2),
        (503, "SERVER_UNAVAILABLE", 2),
        (420, "", 2),
        (500, "UNKNOWN_EXCEPTION", 2),
        (400, "UNABLE_TO_LOCK_ROW", 2),
        (400, "INVALID_FIELD", 1),
        (403, "REQUEST_LIMIT_EXCEEDED", 1),
    ] {
        let server = Server::start(move |seen| match (seen.target.as_str(), seen.nth) {
            (TOKEN_PATH, _) => not_found(),
            (_, 0) => Reply {
                headers: vec![("retry-after", "0")],
                ..Reply::error(status, code)
            },
            _ => Reply::ok(r#"{"DailyApiRequests":{"Max":5,"Remaining":-2}}"#),
        })
        .await;
        let client = server.client();
        let answer = client.limits().await;
        assert_eq!(client.api_calls(), requests, "{status} {code}");
        match requests {
            2 => assert_eq!(
                answer,
                Ok(ApiAllowance {
                    max: 5,
                    remaining: 0
                })
            ),
            _ => assert!(answer.is_err()),
        }
    }
}

#[tokio::test]
async fn after_three_repeats_or_at_the_deadline_the_call_gives_up() {
    let server = Server::start(|seen| {
        if seen.target == TOKEN_PATH {
            not_found()
        } else {
            Reply {
                headers: vec![("retry-after", "0")],
                ..Reply::error(503, "SERVER_UNAVAILABLE")
            }
        }
    })
    .await;
    let client = server.client();
    assert!(
        matches!(client.limits().await, Err(SourceError::Unreachable(text)) if text.contains("SERVER_UNAVAILABLE"))
    );
    assert_eq!(client.api_calls(), 4);

    let far = Server::start(|seen| {
        if seen.target == TOKEN_PATH {
            not_found()
        } else {
            Reply {
                headers: vec![("retry-after", "3600")],
                ..Reply::error(429, "X")
            }
        }
    })
    .await;
    let client = far.client();
    assert!(matches!(
        client.limits().await,
        Err(SourceError::Unreachable(_))
    ));
    assert_eq!(client.api_calls(), 1);
}

#[tokio::test]
async fn a_server_that_hangs_or_is_gone_is_unreachable() {
    let server = Server::start(|seen| {
        if seen.target == TOKEN_PATH {
            not_found()
        } else {
            Reply {
                delay: Duration::from_secs(60),
                ..Reply::ok("{}")
            }
        }
    })
    .await;
    let config = Config {
        request_timeout: Duration::from_millis(200),
        ..server.config()
    };
    let client = salesforce::connect(config, Arc::new(FixedClock)).unwrap();
    assert!(matches!(
        client.limits().await,
        Err(SourceError::Unreachable(_))
    ));

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let config = Config {
        login_url: format!("http://{address}").parse().unwrap(),
        request_timeout: Duration::from_millis(500),
        ..server.config()
    };
    let error = salesforce::connect(config, Arc::new(FixedClock))
        .unwrap()
        .query("SELECT Id FROM Account WHERE Name = 'Secret'", false)
        .await
        .unwrap_err();
    assert!(matches!(error, SourceError::Unreachable(_)));
    assert!(!error.to_string().contains("Secret"));
}

#[tokio::test]
async fn errors_are_told_apart() {
    type Expected = fn(&SourceError) -> bool;
    let cases: [(u16, &str, Expected); 5] = [
        (403, "REQUEST_LIMIT_EXCEEDED", |error| {
            matches!(error, SourceError::Quota(_))
        }),
        (400, "INVALID_QUERY_LOCATOR", |error| {
            matches!(error, SourceError::Expired(_))
        }),
        (404, "NOT_FOUND", |error| {
            matches!(error, SourceError::Expired(_))
        }),
        (
            403,
            "API_DISABLED_FOR_ORG",
            |error| matches!(error, SourceError::Refused { code, .. } if code == "API_DISABLED_FOR_ORG"),
        ),
        (400, "QUERY_TIMEOUT", |error| {
            matches!(error, SourceError::Refused { .. })
        }),
    ];
    for (status, code, expected) in cases {
        let server = Server::start(move |seen| {
            if seen.target == TOKEN_PATH {
                not_found()
            } else {
                Reply::error(status, code)
            }
        })
        .await;
        let error = server
            .client()
            .next_page("/services/data/v67.0/query/01g-2000")
            .await
            .unwrap_err();
        assert!(expected(&error), "{code}: {error:?}");
    }
}

#[tokio::test]
async fn a_query_too_long_for_a_url_is_not_sent() {
    let server = Server::start(|_| not_found()).await;
    let error = server
        .client()
        .query(&"x".repeat(20_000), false)
        .await
        .unwrap_err();
    assert!(matches!(error, SourceError::Refused { code, .. } if code == "URI_TOO_LONG"));
    assert!(server.seen(QUERY).is_empty());
}

#[tokio::test]
async fn retrieved_rows_stay_with_their_ids() {
    let server = Server::start(|seen| {
        if seen.target != "/services/data/v67.0/composite/sobjects/Opportunity" {
            return not_found();
        }
        let asked: serde_json::Value = serde_json::from_str(&seen.body).unwrap();
        assert_eq!(asked["fields"], serde_json::json!(["Id", "Name"]));
        let rows: Vec<String> = asked["ids"]
            .as_array()
            .unwrap()
            .iter()
            .enumerate()
            .map(|(place, id)| {
                if place == 1 {
                    "null".to_owned()
                } else {
                    format!(r#"{{"Id":{id},"Name":null}}"#)
                }
            })
            .collect();
        Reply::ok(format!("[{}]", rows.join(",")))
    })
    .await;
    let client = server.client();
    let ids: Vec<SalesforceId> = (0..2_001).map(id).collect();
    let fields = ["Id".to_owned(), "Name".to_owned()];
    let rows = client
        .retrieve(ObjectKind::Opportunity, &ids, &fields)
        .await
        .unwrap();
    assert_eq!(rows.len(), ids.len());
    for (place, (id, row)) in ids.iter().zip(&rows).enumerate() {
        match row {
            Some(row) => assert_eq!(row.fields().unwrap().id("Id"), Some(*id)),
            None => assert_eq!(place, 1),
        }
    }
    assert_eq!(client.api_calls(), 2);
    assert_eq!(
        client
            .retrieve(ObjectKind::Opportunity, &[], &fields)
            .await
            .unwrap(),
        []
    );
    assert_eq!(client.api_calls(), 2);
}

#[tokio::test]
async fn rows_of_other_records_are_refused() {
    for body in [
        format!(r#"[{{"Id":"{}"}}]"#, id(2)),
        "[]".to_owned(),
        "[5]".to_owned(),
        "{}".to_owned(),
    ] {
        let server = Server::start(move |seen| {
            if seen.target == TOKEN_PATH {
                not_found()
            } else {
                Reply::ok(body.clone())
            }
        })
        .await;
        let answer = server
            .client()
            .retrieve(ObjectKind::Opportunity, &[id(1)], &["Id".to_owned()])
            .await;
        assert!(matches!(answer, Err(SourceError::Garbled(_))), "{answer:?}");
    }
}

#[tokio::test]
async fn describe_and_organization_are_read() {
    let server = Server::start(|seen| match seen.target.as_str() {
        "/services/data/v67.0/sobjects/Opportunity/describe" => Reply::ok(
            r#"{"name":"Opportunity","fields":[{"name":"Name","label":"Opportunity Name","type":"string","filterable":true,"calculated":false,"referenceTo":[],"new":1},
                {"name":"AccountId","label":"Account ID","type":"reference","filterable":true,"calculated":false,"referenceTo":["Account"]},
                {"name":"Place","type":"location","calculated":true}]}"#,
        ),
        target if target.contains("FROM+Organization") => Reply::ok(format!(r#"{{"totalSize":1,"done":true,"records":[{{"attributes":{{}},"Id":"{ORG}","Name":"Acme","IsSandbox":true,"TimeZoneSidKey":"Europe/Berlin"}}]}}"#)),
        _ => not_found(),
    })
    .await;
    let client = server.client();
    let fields = client.describe("Opportunity").await.unwrap();
    assert_eq!(fields.len(), 3);
    assert_eq!(
        (
            fields[0].label.as_str(),
            fields[0].filterable,
            fields[0].field_type.is_some()
        ),
        ("Opportunity Name", true, true)
    );
    assert!(fields[1].reference_to.contains("Account"));
    assert_eq!((fields[2].calculated, fields[2].field_type), (true, None));
    let organization = client.organization().await.unwrap();
    assert_eq!(
        (
            organization.id.as_str(),
            organization.is_sandbox,
            organization.time_zone.as_str()
        ),
        (ORG, true, "Europe/Berlin")
    );
    assert!(matches!(
        client.describe("../limits").await,
        Err(SourceError::Refused { .. })
    ));
}
