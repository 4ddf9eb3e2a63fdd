//! Results: their CSV and their pages.
use std::io::Read;

use fake_salesforce::dml::Dml;
use fake_salesforce::server::Options;
use flate2::read::GzDecoder;
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{V, lines, open, with_accounts};
use crate::common::{insert, one, update};

#[tokio::test]
async fn every_value_is_written_as_real_orgs_write_it() {
    let door = open(Options::default()).await;
    let org = &door.running.org;
    let account = insert(
        org,
        "Account",
        json!({"Name": "Acme \"Q\", Inc.", "AnnualRevenue": 16_147_805_824_397_i64, "NumberOfEmployees": 12_345_678}),
    );
    let opportunity = insert(
        org,
        "Opportunity",
        json!({
            "Name": "Line one\nline \"two\", é",
            "AccountId": account,
            "StageName": "Prospecting",
            "CloseDate": "2026-07-01",
            "Amount": 1_234_567.5,
        }),
    );
    insert(
        org,
        "Opportunity",
        json!({"Name": "\\ 'alone'", "StageName": "Closed Won", "CloseDate": "2026-07-02", "Amount": 9_999_999}),
    );
    let soql = "SELECT name, Id, AMOUNT, CloseDate, CreatedDate, IsClosed, Probability, NextStep, account.NAME, Account.AnnualRevenue, Account.NumberOfEmployees, Account.Owner.Username FROM Opportunity ORDER BY Id";
    let id = door.queried(soql).await;
    let page = door.page(&id, "").await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!((page.rows.as_str(), page.locator.as_str()), ("2", "null"));
    let second = org.records("Opportunity")[1].id().to_owned();
    let expected = format!(
        "\"Name\",\"Id\",\"Amount\",\"CloseDate\",\"CreatedDate\",\"IsClosed\",\"Probability\",\"NextStep\",\"Account.Name\",\"Account.AnnualRevenue\",\"Account.NumberOfEmployees\",\"Account.Owner.Username\"\n\
         \"Line one\nline \"\"two\"\", é\",\"{opportunity}\",\"1234567.5\",\"2026-07-01\",\"2026-06-15T12:00:00.000Z\",\"false\",\"10.0\",\"\",\"Acme \"\"Q\"\", Inc.\",\"1.6147805824397E13\",\"12345678\",\"integration@fake.example.com\"\n\
         \"\\ 'alone'\",\"{second}\",\"9999999.0\",\"2026-07-02\",\"2026-06-15T12:00:00.000Z\",\"true\",\"100.0\",\"\",\"\",\"\",\"\",\"\"\n"
    );
    assert_eq!(page.body, expected);
}

#[tokio::test]
async fn every_delimiter_and_both_line_ends() {
    let door = with_accounts(2).await;
    for (delimiter, sign) in [
        ("COMMA", ","),
        ("TAB", "\t"),
        ("SEMICOLON", ";"),
        ("PIPE", "|"),
        ("CARET", "^"),
        ("BACKQUOTE", "`"),
    ] {
        for (ending, end) in [("LF", "\n"), ("CRLF", "\r\n")] {
            let body = json!({
                "operation": "query",
                "query": "SELECT Name, Phone FROM Account ORDER BY Name",
                "contentType": "CSV",
                "columnDelimiter": delimiter,
                "lineEnding": ending,
                "concurrencyMode": "Parallel",
            });
            let id = door.query_with(body).await;
            let job = door.complete(&id).await;
            assert_eq!(job["columnDelimiter"], delimiter);
            assert_eq!(job["lineEnding"], ending);
            let rows = [
                format!("\"Name\"{sign}\"Phone\""),
                format!("\"A0\"{sign}\"\""),
                format!("\"A1\"{sign}\"\""),
            ];
            let expected: String = rows.iter().map(|row| format!("{row}{end}")).collect();
            assert_eq!(door.page(&id, "").await.body, expected);
        }
    }
}

#[tokio::test]
async fn no_rows_are_a_header() {
    let door = open(Options::default()).await;
    let id = door.queried("SELECT Id, Name FROM Account").await;
    let job = door.complete(&id).await;
    assert_eq!(job["numberRecordsProcessed"], 0);
    let page = door.page(&id, "maxRecords=10").await;
    assert_eq!(page.body, "\"Id\",\"Name\"\n");
    assert_eq!((page.rows.as_str(), page.locator.as_str()), ("0", "null"));
}

#[tokio::test]
async fn pages_are_read_in_any_order_at_once_and_again_while_records_change() {
    let door = with_accounts(250).await;
    let id = door.queried("SELECT Id, Name FROM Account").await;
    let first = door.all(&id, 100).await;
    let counts: Vec<&str> = first.iter().map(|page| page.rows.as_str()).collect();
    assert_eq!(counts, ["100", "100", "50"]);
    let header = "\"Id\",\"Name\"\n";
    assert!(first.iter().all(|page| page.body.starts_with(header)));
    let names = |page: &super::Page| lines(&page.body).len();
    assert_eq!(first.iter().map(names).collect::<Vec<_>>(), [100, 100, 50]);
    let org = &door.running.org;
    let records = org.records("Account");
    update(org, "Account", records[0].id(), json!({"Name": "changed"}));
    let delete = Dml::Delete {
        entity: "Account".to_owned(),
        id: records[120].id().to_owned(),
    };
    one(org, delete);
    insert(org, "Account", json!({"Name": "new"}));
    let locators = [&first[1].locator, &first[0].locator];
    let requests = locators.map(|locator| format!("maxRecords=100&locator={locator}"));
    let (third, second, again) = tokio::join!(
        door.page(&id, &requests[0]),
        door.page(&id, &requests[1]),
        door.page(&id, "maxRecords=100"),
    );
    assert_eq!(third.body, first[2].body);
    assert_eq!(second.body, first[1].body);
    assert_eq!(again.body, first[0].body);
    // Another size cuts the same rows otherwise; the service may give fewer than asked for.
    let whole = door.page(&id, "").await;
    assert_eq!(
        (whole.rows.as_str(), whole.locator.as_str()),
        ("250", "null")
    );
    door.fault(json!({"kind": "bulk_page_rows", "rows": 70}))
        .await;
    let smaller = door.all(&id, 100).await;
    let counts: Vec<&str> = smaller.iter().map(|page| page.rows.as_str()).collect();
    assert_eq!(counts, ["70", "70", "70", "40"]);
    let together: Vec<&str> = smaller.iter().flat_map(|page| lines(&page.body)).collect();
    assert_eq!(together, lines(&whole.body));
}

#[tokio::test]
async fn a_page_that_is_none_is_refused() {
    let door = with_accounts(3).await;
    let id = door.queried("SELECT Id FROM Account").await;
    for parameters in [
        "maxRecords=0",
        "maxRecords=x",
        "locator=null",
        "locator=%3F",
        // 3 in base 64: the row after the last.
        "locator=Mw",
    ] {
        let page = door.page(&id, parameters).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{parameters}");
    }
}

#[tokio::test]
async fn a_client_that_takes_gzip_gets_it() {
    let door = with_accounts(500).await;
    let id = door.queried("SELECT Id, Name FROM Account").await;
    let plain = door.page(&id, "maxRecords=400").await;
    let path = format!("{V}/jobs/query/{id}/results?maxRecords=400");
    let request = door.ask(Method::GET, &path);
    let response = request.header("accept-encoding", "gzip, deflate").send();
    let response = response.await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert_eq!(response.headers()["sforce-numberofrecords"], "400");
    let packed = response.bytes().await.unwrap();
    assert!(packed.len() < plain.body.len() / 2);
    let mut text = String::new();
    GzDecoder::new(packed.as_ref())
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, plain.body);
}

#[tokio::test]
async fn results_are_read_with_the_version_of_the_job() {
    let door = with_accounts(1).await;
    let id = door.queried("SELECT Id FROM Account").await;
    for resource in ["results", "resultPages"] {
        let path = format!("/services/data/v66.0/jobs/query/{id}/{resource}");
        let (status, answer) = door.get(&path).await;
        assert_eq!(status, StatusCode::CONFLICT, "{answer}");
    }
    let (status, _) = door
        .get(&format!("/services/data/v66.0/jobs/query/{id}"))
        .await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn result_pages_name_five_pages_at_once() {
    let door = with_accounts(13).await;
    let id = door.queried("SELECT Name FROM Account").await;
    let whole = door.page(&id, "").await.body;
    let mut next = format!("{V}/jobs/query/{id}/resultPages?maxRecords=2");
    let (mut sizes, mut rows) = (Vec::new(), Vec::new());
    loop {
        let (status, answer) = door.get(&next).await;
        assert_eq!(status, StatusCode::OK);
        let pages = answer["resultPages"].as_array().unwrap();
        sizes.push(pages.len());
        for page in pages {
            let page = door.page_at(page["resultUrl"].as_str().unwrap()).await;
            rows.extend(lines(&page.body).into_iter().map(str::to_owned));
        }
        assert_eq!(answer["done"], answer["nextRecordsUrl"].is_null());
        match answer["nextRecordsUrl"].as_str() {
            Some(url) => next = url.to_owned(),
            None => break,
        }
    }
    assert_eq!(sizes, [5, 2]);
    assert_eq!(rows, lines(&whole));
    let path = "/services/data/v57.0/jobs/query";
    let body = json!({"operation": "query", "query": "SELECT Id FROM Account"});
    let (_, job) = door.send(Method::POST, path, body).await;
    let old = format!("{path}/{}/resultPages", job["id"].as_str().unwrap());
    assert_eq!(door.get(&old).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn results_are_kept_for_seven_days() {
    let mut door = with_accounts(1).await;
    let id = door.queried("SELECT Id FROM Account").await;
    door.hands.forward_s(7 * 24 * 3600 - 1);
    door.token = super::sign_in(&door).await;
    assert_eq!(door.page(&id, "").await.status, StatusCode::OK);
    door.hands.forward_s(1);
    assert_eq!(door.page(&id, "").await.status, StatusCode::NOT_FOUND);
    let (status, _) = door.get(&format!("{V}/jobs/query/{id}")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn query_all_finds_deleted_records_and_filters_are_obeyed() {
    let door = with_accounts(4).await;
    let org = &door.running.org;
    let records = org.records("Account");
    let delete = |place: usize| Dml::Delete {
        entity: "Account".to_owned(),
        id: records[place].id().to_owned(),
    };
    one(org, delete(1));
    door.hands.forward_s(60);
    one(org, delete(2));
    let soql = "SELECT Name, IsDeleted FROM Account";
    let id = door.queried(soql).await;
    assert_eq!(
        lines(&door.page(&id, "").await.body),
        ["\"A0\",\"false\"", "\"A3\",\"false\""]
    );
    let all = json!({"operation": "queryAll", "query": format!("{soql} WHERE SystemModstamp > 2026-06-15T12:00:30.000Z")});
    let id = door.query_with(all).await;
    assert_eq!(door.complete(&id).await["operation"], "queryAll");
    assert_eq!(lines(&door.page(&id, "").await.body), ["\"A2\",\"true\""]);
}
