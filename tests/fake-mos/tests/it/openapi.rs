//! Holds `deploy/mos-openapi.yaml` to the fake: every path, status, header, code, limit and field
//! the fake has is in the document and the other way round, and what is really sent and answered
//! fits its schemas.

use std::collections::BTreeSet;

use fake_mos::{
    BODY_BYTES_MAX, DEFAULT_API_KEY, FieldKind, KEY_LENGTH_MAX, READ_ONLY_KEY, RECORDS_MAX,
    RecordType, VERSION_DIGITS_MAX,
};
use serde_json::{Value, json};

use crate::desk::*;
use crate::doors::{Door, body};
use crate::schema::Document;

fn document() -> Document {
    let text = include_str!("../../../../deploy/mos-openapi.yaml");
    Document(serde_yaml_ng::from_str(text).unwrap())
}

fn names(list: &Value) -> BTreeSet<String> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap().to_owned())
        .collect()
}

/// One exchange with the fake, checked against the document; what it showed is noted.
struct Notebook {
    document: Document,
    door: Door,
    /// "path status", with 5XX for all of them.
    answers: BTreeSet<String>,
    error_codes: BTreeSet<String>,
    outcomes: BTreeSet<String>,
    reject_codes: BTreeSet<String>,
}

impl Notebook {
    async fn exchange(
        &mut self,
        path: &str,
        method: &str,
        request: reqwest::RequestBuilder,
    ) -> Value {
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let answer: Value = response.json().await.unwrap();
        let shown = if status >= 500 {
            "5XX".to_owned()
        } else {
            status.to_string()
        };
        let responses = &self.document.0["paths"][path][method]["responses"];
        assert!(
            !responses.is_null(),
            "{method} {path} is not in the document"
        );
        let described = self.document.resolve(
            responses
                .get(&shown)
                .unwrap_or_else(|| panic!("{method} {path} {shown} is not in the document")),
        );
        assert_eq!(headers["content-type"], "application/json");
        if headers.contains_key("retry-after") {
            let schema = &described["headers"]["Retry-After"]["schema"];
            let seconds: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
            assert_eq!(self.document.faults(schema, &json!(seconds)), [""; 0]);
        }
        let schema = &described["content"]["application/json"]["schema"];
        assert_eq!(
            self.document.faults(schema, &answer),
            [""; 0],
            "{method} {path} {shown}: {answer}"
        );

        self.answers.insert(format!("{method} {path} {shown}"));
        if let Some(code) = answer["error"]["code"].as_str() {
            self.error_codes.insert(code.to_owned());
        }
        for result in answer["results"].as_array().into_iter().flatten() {
            self.outcomes
                .insert(result["status"].as_str().unwrap().to_owned());
            if let Some(code) = result["error"]["code"].as_str() {
                self.reject_codes.insert(code.to_owned());
            }
        }
        answer
    }

    /// An upsert whose body fits the document's schema.
    async fn upsert(&mut self, key: &str, records: &[Value]) -> Value {
        let schema = json!({ "$ref": "#/components/schemas/UpsertRequest" });
        let sent = json!({ "records": records });
        assert_eq!(self.document.faults(&schema, &sent), [""; 0], "{sent}");
        let request = self.door.upsert(key, sent.to_string());
        self.exchange("/v1/records/upsert", "post", request).await
    }

    /// An upsert whose body the document forbids, as the fake does.
    async fn wrong(&mut self, key: &str, sent: &Value) {
        let schema = json!({ "$ref": "#/components/schemas/UpsertRequest" });
        assert!(!self.document.faults(&schema, sent).is_empty(), "{sent}");
        let request = self.door.upsert(key, sent.to_string());
        self.exchange("/v1/records/upsert", "post", request).await;
    }

    async fn read(&mut self, path: &str, real: &str) -> Value {
        let request = self.door.get(real);
        self.exchange(path, "get", request).await
    }
}

#[tokio::test]
async fn whatever_the_fake_answers_is_in_the_document_and_the_other_way_round() {
    let mut book = Notebook {
        document: document(),
        door: Door::open().await,
        answers: BTreeSet::new(),
        error_codes: BTreeSet::new(),
        outcomes: BTreeSet::new(),
        reject_codes: BTreeSet::new(),
    };

    // Records: every outcome and every code.
    book.upsert("1", &family(10)).await;
    book.upsert(
        "2",
        &[
            record(
                "user",
                OWNER,
                11,
                json!({ "name": "Ada King", "email": "ada@example.com", "title": null }),
            ),
            company(11),
            contact(9),
            with(
                record("opportunity", "006000000000002AAA", 11, json!({})),
                "if_exists",
                json!(true),
            ),
            record(
                "opportunity",
                "006000000000003AAA",
                11,
                json!({ "owner_id": "005000000000009AAA" }),
            ),
            record("user", "005000000000003AAA", 11, json!({ "is_active": 1 })),
            record(
                "user",
                "005000000000004AAA",
                11,
                json!({ "title": "x".repeat(81) }),
            ),
            record("invoice", "005000000000005AAA", 11, json!({})),
        ],
    )
    .await;
    book.door
        .running
        .mos
        .deleted_in_mos(RecordType::ContactRole, ROLE);
    book.door
        .fault(&json!({ "fault": "reject", "code": "busy", "ids": [OWNER], "count": 1 }))
        .await;
    book.upsert("3", &[owner(12), role(12)]).await;
    book.upsert("4", &[with(role(12), "restore", json!(true))])
        .await;

    // Requests refused as a whole.
    book.wrong("5", &json!({ "records": [] })).await;
    book.wrong(
        "5",
        &json!({ "records": [with(owner(1), "delete", json!(true))] }),
    )
    .await;
    book.wrong(
        "5",
        &json!({ "records": [with(owner(1), "external_id", json!("005"))] }),
    )
    .await;
    book.wrong(
        "5",
        &json!({ "records": [with(owner(1), "version", json!("one"))] }),
    )
    .await;
    book.wrong("5", &json!({ "records": [with(owner(1), "version", json!("1".repeat(VERSION_DIGITS_MAX + 1)))] })).await;
    let many: Vec<Value> = (0..=RECORDS_MAX)
        .map(|n| record("user", &format!("005{n:015}"), 1, json!({})))
        .collect();
    book.wrong("5", &json!({ "records": many })).await;
    book.upsert("5", &[owner(1), owner(1)]).await;
    book.upsert("1", &[owner(1)]).await;
    for (api_key, key) in [
        ("wrong", Some("6")),
        (READ_ONLY_KEY, Some("6")),
        (DEFAULT_API_KEY, None),
    ] {
        let request = reqwest::Client::builder()
            .build()
            .unwrap()
            .post(book.door.url("/v1/records/upsert"));
        let request = request.bearer_auth(api_key).body(body(&[owner(1)]));
        let request = match key {
            Some(key) => request.header("Idempotency-Key", key),
            None => request,
        };
        book.exchange("/v1/records/upsert", "post", request).await;
    }
    for status in [429, 500, 503] {
        book.door
            .fault(&json!({ "fault": "status", "status": status, "retry_after_s": 1, "count": 1 }))
            .await;
        book.upsert("7", &[owner(1)]).await;
    }

    // Reading.
    let (list, one) = ("/v1/records/{type}", "/v1/records/{type}/{external_id}");
    for kind in RecordType::ALL {
        let page = book
            .read(list, &format!("/v1/records/{kind}?limit=2000"))
            .await;
        for record in page["records"].as_array().unwrap() {
            let id = record["external_id"].as_str().unwrap();
            book.read(one, &format!("/v1/records/{kind}/{id}")).await;
        }
        assert!(!page["records"].as_array().unwrap().is_empty());
    }
    book.read(list, "/v1/records/user?limit=2001").await;
    book.read(list, "/v1/records/invoice").await;
    book.read(one, "/v1/records/user/005000000000009AAA").await;
    for (path, real) in [
        (list, "/v1/records/user".to_owned()),
        (one, format!("/v1/records/user/{OWNER}")),
    ] {
        let request = reqwest::Client::builder()
            .build()
            .unwrap()
            .get(book.door.url(&real));
        book.exchange(path, "get", request.bearer_auth("wrong"))
            .await;
        book.door.fault(&json!({ "fault": "down" })).await;
        book.read(path, &real).await;
        book.door.fault(&json!({ "fault": "clear" })).await;
    }

    // The other way round: nothing in the document that was not seen.
    let mut described = BTreeSet::new();
    for (path, methods) in book.document.0["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            for status in operation["responses"].as_object().unwrap().keys() {
                described.insert(format!("{method} {path} {status}"));
            }
        }
    }
    assert_eq!(book.answers, described);
    let schemas = &book.document.0["components"]["schemas"];
    assert_eq!(book.error_codes, names(&schemas["ErrorCode"]["enum"]));
    assert_eq!(book.outcomes, names(&schemas["Outcome"]["enum"]));
    assert_eq!(book.reject_codes, names(&schemas["RejectCode"]["enum"]));
    book.door.running.stop().await;
}

#[test]
fn the_documents_limits_are_the_fakes() {
    let document = document();
    let schemas = &document.0["components"]["schemas"];
    assert_eq!(
        schemas["UpsertRequest"]["properties"]["records"]["maxItems"],
        RECORDS_MAX
    );
    assert_eq!(
        schemas["Version"]["pattern"],
        format!("^[0-9]{{1,{VERSION_DIGITS_MAX}}}$")
    );
    let key = &document.0["components"]["parameters"]["IdempotencyKey"]["schema"];
    assert_eq!(key["maxLength"], KEY_LENGTH_MAX);
    let body = &document.0["paths"]["/v1/records/upsert"]["post"]["requestBody"]["description"];
    assert!(body.as_str().unwrap().contains(&BODY_BYTES_MAX.to_string()));
    let operations: Vec<&String> = document.0["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|methods| methods.as_object().unwrap().keys())
        .collect();
    assert_eq!(
        operations,
        ["post", "get", "get"],
        "and no door that deletes"
    );
}

#[test]
fn the_documents_fields_are_the_fakes() {
    let document = document();
    let schemas = &document.0["components"]["schemas"];
    assert_eq!(
        names(&schemas["RecordType"]["enum"]),
        RecordType::ALL
            .iter()
            .map(|kind| kind.as_str().to_owned())
            .collect()
    );
    for (kind, schema) in [
        (RecordType::User, "UserFields"),
        (RecordType::Company, "CompanyFields"),
        (RecordType::Contact, "ContactFields"),
        (RecordType::Opportunity, "OpportunityFields"),
        (RecordType::ContactRole, "ContactRoleFields"),
    ] {
        let described: BTreeSet<(String, String)> = schemas[schema]["properties"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, schema)| {
                let target = schema["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
                (name.clone(), target.to_owned())
            })
            .collect();
        let known: BTreeSet<(String, String)> = kind
            .fields()
            .iter()
            .map(|field| (field.name.to_owned(), schema_of(field.kind)))
            .collect();
        assert_eq!(described, known, "{kind}");
        for field in kind.fields() {
            if let Some(max) = field.kind.length_max() {
                assert_eq!(schemas[&schema_of(field.kind)]["maxLength"], max);
            }
        }
    }
}

fn schema_of(kind: FieldKind) -> String {
    match kind {
        FieldKind::Text(max) => format!("Text{max}"),
        FieldKind::Email(max) => format!("Email{max}"),
        FieldKind::Choice(_) => "ContractTermType".to_owned(),
        FieldKind::Currency => "Currency".to_owned(),
        FieldKind::Boolean => "Boolean".to_owned(),
        FieldKind::Integer => "Integer".to_owned(),
        FieldKind::Decimal => "Decimal".to_owned(),
        FieldKind::Date => "Date".to_owned(),
        FieldKind::DateTime => "DateTime".to_owned(),
        FieldKind::SoftReference => "SoftReference".to_owned(),
        FieldKind::HardReference(_) => "HardReference".to_owned(),
    }
}
