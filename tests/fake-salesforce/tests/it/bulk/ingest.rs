//! Ingest jobs.
use std::io::Write;

use fake_salesforce::dml::Dml;
use fake_salesforce::server::Options;
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Door, V, open, with_accounts};
use crate::common::{insert, one};

impl Door {
    async fn ingest(&self, job: Value) -> String {
        let path = format!("{V}/jobs/ingest");
        let (status, job) = self.send(Method::POST, &path, job).await;
        assert_eq!(status, StatusCode::OK, "{job}");
        job["id"].as_str().unwrap().to_owned()
    }

    async fn upload(&self, id: &str, csv: impl Into<Vec<u8>>) -> StatusCode {
        let path = format!("{V}/jobs/ingest/{id}/batches");
        let request = self
            .ask(Method::PUT, &path)
            .header("content-type", "text/csv");
        request.body(csv.into()).send().await.unwrap().status()
    }

    async fn set(&self, id: &str, state: &str) -> (StatusCode, Value) {
        let path = format!("{V}/jobs/ingest/{id}");
        self.send(Method::PATCH, &path, json!({"state": state}))
            .await
    }

    /// Runs a job to this state.
    async fn load(&self, job: Value, csv: impl Into<Vec<u8>>, state: &str) -> (String, Value) {
        let id = self.ingest(job).await;
        assert_eq!(self.upload(&id, csv).await, StatusCode::CREATED);
        assert_eq!(self.set(&id, "UploadComplete").await.0, StatusCode::OK);
        let job = self.reach("ingest", &id, state).await;
        (id, job)
    }

    async fn rows(&self, id: &str, which: &str) -> String {
        let page = self.page_at(&format!("{V}/jobs/ingest/{id}/{which}")).await;
        assert_eq!(page.status, StatusCode::OK);
        page.body
    }

    fn account(&self, name: &str) -> Option<fake_salesforce::record::Record> {
        let records = self.running.org.records("Account");
        records
            .into_iter()
            .find(|record| record.text("Name") == Some(name))
    }
}

#[tokio::test]
async fn a_job_is_created_filled_closed_and_described() {
    let door = open(Options::default()).await;
    let asked = json!({"object": "account", "operation": "insert", "contentType": "CSV", "lineEnding": "LF"});
    let (status, job) = door
        .send(Method::POST, &format!("{V}/jobs/ingest"), asked)
        .await;
    assert_eq!(status, StatusCode::OK);
    let id = job["id"].as_str().unwrap();
    let expected = json!({
        "id": id,
        "operation": "insert",
        "object": "Account",
        "createdById": door.running.org.admin_id(),
        "createdDate": "2026-06-15T12:00:00.000+0000",
        "systemModstamp": "2026-06-15T12:00:00.000+0000",
        "state": "Open",
        "concurrencyMode": "Parallel",
        "contentType": "CSV",
        "apiVersion": 67.0,
        "lineEnding": "LF",
        "columnDelimiter": "COMMA",
        "contentUrl": format!("services/data/v67.0/jobs/ingest/{id}/batches"),
    });
    assert_eq!(job, expected);
    // The client finds the upload by `contentUrl`.
    let url = format!("/{}", job["contentUrl"].as_str().unwrap());
    let request = door
        .ask(Method::PUT, &url)
        .header("content-type", "text/csv; charset=UTF-8");
    let response = request.body("Name\nAcme\n").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(response.text().await.unwrap(), "");
    assert_eq!(
        door.upload(id, "Name\nAgain\n").await,
        StatusCode::BAD_REQUEST
    );
    let early = door
        .get(&format!("{V}/jobs/ingest/{id}/successfulResults"))
        .await;
    assert_eq!(early.0, StatusCode::BAD_REQUEST);
    let (status, closed) = door.set(id, "UploadComplete").await;
    assert_eq!(
        (status, &closed["state"]),
        (StatusCode::OK, &json!("UploadComplete"))
    );
    let done = door.reach("ingest", id, "JobComplete").await;
    assert_eq!(done["jobType"], "V2Ingest");
    assert_eq!(done["numberRecordsProcessed"], 1);
    assert_eq!(done["numberRecordsFailed"], 0);
    for late in ["UploadComplete", "Aborted", "Open"] {
        assert_eq!(door.set(id, late).await.0, StatusCode::BAD_REQUEST);
    }
    assert_eq!(
        door.upload(id, "Name\nAgain\n").await,
        StatusCode::BAD_REQUEST
    );
    let (_, list) = door.get(&format!("{V}/jobs/ingest")).await;
    assert_eq!((&list["done"], &list["records"][0]), (&json!(true), &done));
    let path = format!("{V}/jobs/ingest/{id}");
    let (status, _) = door.send(Method::DELETE, &path, Value::Null).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(door.get(&path).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_a_job_can_not_be_is_refused_at_its_creation() {
    let door = open(Options::default()).await;
    for (body, code) in [
        (json!({"operation": "insert"}), "INVALIDJOB"),
        (
            json!({"object": "Nothing", "operation": "insert"}),
            "INVALIDJOB",
        ),
        (json!({"object": "Account"}), "INVALIDJOB"),
        (
            json!({"object": "Account", "operation": "query"}),
            "INVALIDJOB",
        ),
        (
            json!({"object": "Account", "operation": "upsert"}),
            "INVALIDJOB",
        ),
        (
            json!({"object": "Account", "operation": "upsert", "externalIdFieldName": "Phone"}),
            "INVALIDJOB",
        ),
        (
            json!({"object": "Account", "operation": "insert", "externalIdFieldName": "Id"}),
            "INVALIDJOB",
        ),
        (
            json!({"object": "Account", "operation": "insert", "contentType": "JSON"}),
            "INVALIDJOB",
        ),
        (
            json!({"object": "Account", "operation": "insert", "lineEnding": "CR"}),
            "INVALIDJOB",
        ),
        (
            json!({"object": "Account", "operation": "hardDelete"}),
            "FEATURENOTENABLED",
        ),
        (
            json!({"object": "Account", "operation": "insert", "surprise": 1}),
            "JSON_PARSER_ERROR",
        ),
    ] {
        let (status, answer) = door
            .send(Method::POST, &format!("{V}/jobs/ingest"), body.clone())
            .await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(answer[0]["errorCode"], code, "{body}: {answer}");
    }
    let id = door
        .ingest(json!({"object": "Account", "operation": "insert"}))
        .await;
    let path = format!("{V}/jobs/ingest/{id}/batches");
    let (status, _) = door.send(Method::PUT, &path, json!({})).await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn rows_are_inserted_and_those_that_fail_do_not_undo_the_others() {
    let door = open(Options::default()).await;
    let csv = "Name,NumberOfEmployees,BillingCity\n\"Acme, \"\"Q\"\"\nInc.\",12,\n,5,Oslo\nGlobex,many,Oslo\nInitech,,Kyōto\n";
    let job = json!({"object": "Account", "operation": "insert"});
    let (id, done) = door.load(job, csv, "JobComplete").await;
    assert_eq!(done["numberRecordsProcessed"], 4);
    assert_eq!(done["numberRecordsFailed"], 2);
    let acme = door.account("Acme, \"Q\"\nInc.").unwrap();
    let initech = door.account("Initech").unwrap();
    assert_eq!(acme.get("NumberOfEmployees"), 12);
    assert_eq!(initech.get("BillingCity"), "Kyōto");
    let header = "\"sf__Id\",\"sf__Created\",\"Name\",\"NumberOfEmployees\",\"BillingCity\"\n";
    let expected = format!(
        "{header}\"{}\",\"true\",\"Acme, \"\"Q\"\"\nInc.\",\"12\",\"\"\n\"{}\",\"true\",\"Initech\",\"\",\"Kyōto\"\n",
        acme.id(),
        initech.id()
    );
    assert_eq!(door.rows(&id, "successfulResults").await, expected);
    let failed = door.rows(&id, "failedResults").await;
    let rows: Vec<&str> = failed.lines().collect();
    assert_eq!(
        rows[0],
        "\"sf__Id\",\"sf__Error\",\"Name\",\"NumberOfEmployees\",\"BillingCity\""
    );
    assert_eq!(
        rows[1],
        "\"\",\"REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name --\",\"\",\"5\",\"Oslo\""
    );
    assert!(
        rows[2].starts_with("\"\",\"JSON_PARSER_ERROR:"),
        "{}",
        rows[2]
    );
    assert!(rows[2].ends_with(":NumberOfEmployees --\",\"Globex\",\"many\",\"Oslo\""));
    assert_eq!(
        door.rows(&id, "unprocessedrecords").await,
        "\"Name\",\"NumberOfEmployees\",\"BillingCity\"\n"
    );
}

#[tokio::test]
async fn rows_are_updated_and_only_the_sign_for_null_empties_a_field() {
    let door = open(Options::default()).await;
    let org = &door.running.org;
    let id = insert(
        org,
        "Account",
        json!({"Name": "Acme", "Phone": "1", "Fax": "2"}),
    );
    let csv = format!("Id,Name,Phone,Fax\n{id},,#N/A,3\n,x,,\n001000000000001AAA,x,,\n");
    let job = json!({"object": "Account", "operation": "update"});
    let (job, done) = door.load(job, csv, "JobComplete").await;
    assert_eq!(done["numberRecordsFailed"], 2);
    let record = org.record("Account", &id).unwrap();
    assert_eq!(record.get("Name"), "Acme");
    assert_eq!(record.get("Phone"), Value::Null);
    assert_eq!(record.get("Fax"), "3");
    let successful = door.rows(&job, "successfulResults").await;
    assert!(successful.contains(&format!(
        "\"{id}\",\"false\",\"{id}\",\"\",\"#N/A\",\"3\"\n"
    )));
    let failed = door.rows(&job, "failedResults").await;
    assert!(failed.contains("\"\",\"MISSING_ARGUMENT:Id not specified in an update call:Id --\""));
    assert!(failed.contains("\"001000000000001AAA\",\""));
}

#[tokio::test]
async fn rows_are_upserted_by_a_key_and_refer_to_others_by_theirs() {
    let door = with_accounts(1).await;
    let org = &door.running.org;
    let account = org.records("Account")[0].id().to_owned();
    let csv = format!(
        "Id,Name,Owner.Username\n{account},Renamed,\n,New,INTEGRATION@fake.example.com\n,Lost,nobody@example.com\n"
    );
    let job = json!({"object": "Account", "operation": "upsert", "externalIdFieldName": "id"});
    let (id, done) = door.load(job, csv, "JobComplete").await;
    assert_eq!(done["externalIdFieldName"], "Id");
    assert_eq!(done["numberRecordsFailed"], 1);
    let new = door.account("New").unwrap();
    assert_eq!(new.text("OwnerId"), Some(org.admin_id()));
    let successful = door.rows(&id, "successfulResults").await;
    assert!(successful.contains(&format!("\"{account}\",\"false\"")));
    assert!(successful.contains(&format!("\"{}\",\"true\"", new.id())));
    let failed = door.rows(&id, "failedResults").await;
    assert!(failed.contains("Foreign key external ID: nobody@example.com not found"));

    let csv = "Username,LastName,Email,CommunityNickname\nada@example.com,Ada,ada@example.com,ada\nADA@example.com,Twice,a@example.com,a\nintegration@fake.example.com,Changed,,\n";
    let job = json!({"object": "User", "operation": "upsert", "externalIdFieldName": "Username"});
    let (id, done) = door.load(job, csv, "JobComplete").await;
    assert_eq!(done["numberRecordsFailed"], 1);
    let failed = door.rows(&id, "failedResults").await;
    assert!(failed.contains("DUPLICATE_VALUE:"), "{failed}");
    let admin = org.record("User", org.admin_id()).unwrap();
    assert_eq!(admin.text("LastName"), Some("Changed"));
}

#[tokio::test]
async fn rows_are_upserted_by_the_external_id_of_the_one_record_that_is_not_deleted() {
    let door = open(Options::default()).await;
    let org = &door.running.org;
    for field in [
        json!({"entity": "Account", "name": "Erp__c", "type": "string", "length": 20, "external_id": true}),
        json!({"entity": "Account", "name": "Number__c", "type": "double", "external_id": true}),
    ] {
        org.add_field(&serde_json::from_value(field).unwrap())
            .unwrap();
    }
    let id = insert(org, "Account", json!({"Name": "Gone", "Erp__c": "A-1"}));
    let entity = "Account".to_owned();
    one(org, Dml::Delete { entity, id });
    let alive = json!({"Name": "Alive", "Erp__c": "A-1", "Number__c": 12});
    let alive = insert(org, "Account", alive);
    let upsert =
        |key: &str| json!({"object": "Account", "operation": "upsert", "externalIdFieldName": key});
    let csv = "Erp__c,Name\na-1,Again\nB-2,New\n";
    let (id, done) = door.load(upsert("Erp__c"), csv, "JobComplete").await;
    assert_eq!(done["numberRecordsFailed"], 0);
    let successful = door.rows(&id, "successfulResults").await;
    let rows: Vec<&str> = successful.lines().skip(1).collect();
    assert_eq!(rows[0], format!("\"{alive}\",\"false\",\"a-1\",\"Again\""));
    assert!(
        rows[1].ends_with(",\"true\",\"B-2\",\"New\""),
        "{successful}"
    );
    // A number is the same however it is written, also where another record refers by it.
    let csv = "Number__c,Name\n12,Twelve\n12.0,Dozen\n";
    let (_, done) = door.load(upsert("Number__c"), csv, "JobComplete").await;
    assert_eq!(done["numberRecordsFailed"], 0);
    assert!(door.account("Dozen").is_some_and(|row| row.id() == alive));
    let job = json!({"object": "Contact", "operation": "insert"});
    let csv = "LastName,Account.Number__c\nCid,12\n";
    let (_, done) = door.load(job, csv, "JobComplete").await;
    assert_eq!(done["numberRecordsFailed"], 0);
    assert_eq!(org.records("Contact")[0].text("AccountId"), Some(&*alive));
    // Which of two is meant nobody knows.
    insert(org, "Account", json!({"Name": "Twin", "Erp__c": "b-2"}));
    let csv = "Erp__c,Name\nB-2,Newer\n";
    let (id, done) = door.load(upsert("Erp__c"), csv, "JobComplete").await;
    assert_eq!(done["numberRecordsFailed"], 1);
    let failed = door.rows(&id, "failedResults").await;
    assert!(failed.contains("\"DUPLICATE_EXTERNAL_ID:"), "{failed}");
    assert!(door.account("Newer").is_none());
}

#[tokio::test]
async fn rows_are_deleted() {
    let door = with_accounts(3).await;
    let org = &door.running.org;
    let ids: Vec<String> = org
        .records("Account")
        .iter()
        .map(|row| row.id().to_owned())
        .collect();
    let csv = format!("Id\n{}\n{}\n{}\n", ids[0], ids[2], ids[2]);
    let job = json!({"object": "Account", "operation": "delete"});
    let (id, done) = door.load(job, csv, "JobComplete").await;
    assert_eq!(done["numberRecordsFailed"], 1);
    let deleted: Vec<bool> = org
        .records("Account")
        .iter()
        .map(|row| row.flag("IsDeleted"))
        .collect();
    assert_eq!(deleted, [true, false, true]);
    let failed = door.rows(&id, "failedResults").await;
    assert!(
        failed.contains(&format!("\"{}\",\"ENTITY_IS_DELETED:", ids[2])),
        "{failed}"
    );
}

#[tokio::test]
async fn every_200_rows_are_one_transaction_of_the_bulk_api() {
    let door = open(Options::default()).await;
    let org = &door.running.org;
    let before = org.commits_since(0).len();
    let rows: String = (0..450).map(|number| format!("B{number}\n")).collect();
    let id = door
        .ingest(json!({"object": "Account", "operation": "insert"}))
        .await;
    door.upload(&id, format!("Name\n{rows}")).await;
    let path = format!("{V}/jobs/ingest/{id}");
    let close = door
        .ask(Method::PATCH, &path)
        .json(&json!({"state": "UploadComplete"}));
    close.send().await.unwrap();
    door.reach("ingest", &id, "JobComplete").await;
    let commits = org.commits_since(before);
    let sizes: Vec<usize> = commits.iter().map(|commit| commit.changes.len()).collect();
    assert_eq!(sizes, [200, 200, 50]);
    for commit in &commits {
        assert_eq!(commit.origin, "com/salesforce/api/bulkapi/67.0");
    }
    // The client that creates a job names itself in the events of its rows.
    let request = door.ask(Method::POST, &format!("{V}/jobs/ingest"));
    let request = request.header("sforce-call-options", "client=loader");
    let response = request.json(&json!({"object": "Account", "operation": "insert"}));
    let job: Value = response.send().await.unwrap().json().await.unwrap();
    let id = job["id"].as_str().unwrap();
    door.upload(id, "Name\nlast\n").await;
    door.set(id, "UploadComplete").await;
    door.reach("ingest", id, "JobComplete").await;
    let origin = org.commits_since(before + 3)[0].origin.clone();
    assert_eq!(origin, "com/salesforce/api/bulkapi/67.0;client=loader");
}

#[tokio::test]
async fn every_delimiter_both_line_ends_and_a_byte_order_mark() {
    let door = open(Options::default()).await;
    for (delimiter, sign) in [
        ("COMMA", ","),
        ("TAB", "\t"),
        ("SEMICOLON", ";"),
        ("PIPE", "|"),
        ("CARET", "^"),
        ("BACKQUOTE", "`"),
    ] {
        for (ending, end) in [("LF", "\n"), ("CRLF", "\r\n")] {
            let name = format!("{delimiter} {ending}");
            let csv =
                format!("\u{feff}Name{sign}Phone{end}\"{name}\"{sign}\"a{sign}\"\"{end}\"{end}");
            let job = json!({
                "object": "Account", "operation": "insert",
                "columnDelimiter": delimiter, "lineEnding": ending,
            });
            let (id, _) = door.load(job, csv, "JobComplete").await;
            let account = door.account(&name).unwrap();
            let phone = format!("a{sign}\"{end}");
            assert_eq!(account.text("Phone"), Some(phone.trim_end()), "{name}");
            let expected = format!(
                "\"sf__Id\"{sign}\"sf__Created\"{sign}\"Name\"{sign}\"Phone\"{end}\"{}\"{sign}\"true\"{sign}\"{name}\"{sign}\"a{sign}\"\"{end}\"{end}",
                account.id()
            );
            assert_eq!(door.rows(&id, "successfulResults").await, expected);
        }
    }
}

#[tokio::test]
async fn data_that_does_not_fit_the_job_fails_it_whole() {
    let door = open(Options::default()).await;
    let insert =
        |ending: &str| json!({"object": "Account", "operation": "insert", "lineEnding": ending});
    let update = json!({"object": "Account", "operation": "update"});
    let cases: [(Value, &[u8], &str); 9] = [
        (
            insert("LF"),
            b"Name\r\nx\r\n",
            "ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is LF",
        ),
        (
            insert("CRLF"),
            b"Name\nx\n",
            "ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is CRLF",
        ),
        (
            insert("LF"),
            b"Name;Phone\nx;1\n",
            "InvalidBatch : Field name not found : Name;Phone",
        ),
        (
            insert("LF"),
            b"Name,Nothing\nx,1\n",
            "InvalidBatch : Field name not found : Nothing",
        ),
        (
            insert("LF"),
            b"Name\n\"x\n",
            "ClientInputError : Failed to parse CSV: a quoted value is not closed",
        ),
        (
            insert("LF"),
            b"Name,Phone\nx,1\ny\n",
            "ClientInputError : Row 2 has 1 values, the header has 2",
        ),
        (
            insert("LF"),
            b"Name\n\xff\n",
            "ClientInputError : Failed to read the data: it is not UTF-8",
        ),
        (insert("LF"), b"", "InvalidBatch : No header row was found"),
        (
            update,
            b"Name\nx\n",
            "InvalidBatch : Field name not found : Id",
        ),
    ];
    let before = door.running.org.commits_since(0).len();
    for (job, csv, message) in cases {
        let (id, failed) = door.load(job, csv, "Failed").await;
        assert_eq!(failed["errorMessage"], message);
        assert_eq!(failed["numberRecordsProcessed"], 0);
        let path = format!("{V}/jobs/ingest/{id}/unprocessedrecords");
        let left = door.ask(Method::GET, &path).send().await.unwrap();
        assert_eq!(left.bytes().await.unwrap(), csv);
        let none = door.rows(&id, "successfulResults").await;
        assert_eq!(
            none,
            if message.ends_with("CRLF") {
                "\"sf__Id\",\"sf__Created\"\r\n"
            } else {
                "\"sf__Id\",\"sf__Created\"\n"
            }
        );
    }
    assert_eq!(door.running.org.commits_since(0).len(), before);
}

#[tokio::test]
async fn an_upload_may_come_compressed() {
    let door = open(Options::default()).await;
    let job = json!({"object": "Account", "operation": "insert"});
    let id = door.ingest(job).await;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(b"Name\nPacked\n").unwrap();
    let path = format!("{V}/jobs/ingest/{id}/batches");
    let request = door
        .ask(Method::PUT, &path)
        .header("content-type", "text/csv");
    let request = request.header("content-encoding", "gzip");
    let response = request.body(encoder.finish().unwrap()).send().await;
    assert_eq!(response.unwrap().status(), StatusCode::CREATED);
    door.set(&id, "UploadComplete").await;
    door.reach("ingest", &id, "JobComplete").await;
    assert!(door.account("Packed").is_some());
}

#[tokio::test]
async fn an_aborted_job_leaves_its_rows_unprocessed() {
    let door = open(Options::default()).await;
    let job = json!({"object": "Account", "operation": "insert"});
    let id = door.ingest(job).await;
    door.upload(&id, "Name\nAcme\n").await;
    let path = format!("{V}/jobs/ingest/{id}");
    let (status, answer) = door.send(Method::DELETE, &path, Value::Null).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(answer[0]["errorCode"], "API_ERROR");
    let (status, aborted) = door.set(&id, "Aborted").await;
    assert_eq!(
        (status, &aborted["state"]),
        (StatusCode::OK, &json!("Aborted"))
    );
    assert_eq!(door.rows(&id, "unprocessedrecords").await, "Name\nAcme\n");
    assert!(door.account("Acme").is_none());
    let (status, _) = door.set(&id, "UploadComplete").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_upload_has_150_megabytes_at_most() {
    let door = open(Options::default()).await;
    let id = door
        .ingest(json!({"object": "Account", "operation": "insert"}))
        .await;
    let status = door.upload(&id, vec![b'x'; 150_000_001]).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    // More than any other request may have.
    let mut csv = b"Name\nA\n".to_vec();
    csv.resize(60_000_000, b'\n');
    assert_eq!(door.upload(&id, csv).await, StatusCode::CREATED);
    door.set(&id, "UploadComplete").await;
    let done = door.reach("ingest", &id, "JobComplete").await;
    assert_eq!(done["numberRecordsProcessed"], 1);
}
