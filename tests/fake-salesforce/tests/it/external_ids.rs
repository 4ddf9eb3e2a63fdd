//! Records known by a key of somebody else's.
use fake_salesforce::server::Options;
use fake_salesforce::setup::DEFAULT_USERNAME;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::common::insert;
use crate::doors::{Door, V, admin, open};

pub(crate) async fn external_key(door: &Door) {
    let field = json!({"entity": "Account", "name": "Erp__c", "type": "string", "length": 20, "external_id": true, "unique": true});
    assert_eq!(
        admin(door, Method::POST, "/admin/fields", field).await,
        StatusCode::NO_CONTENT
    );
}

#[tokio::test]
async fn records_are_upserted_by_external_id_alone_and_in_collections() {
    let door = open(Options::default()).await;
    external_key(&door).await;
    let path = format!("{V}/sobjects/Account/Erp__c/A-1");
    let (status, made) = door
        .send(Method::PATCH, &path, json!({"Name": "One"}))
        .await;
    assert_eq!(
        (status, &made["created"]),
        (StatusCode::CREATED, &json!(true))
    );
    let (status, again) = door
        .send(Method::PATCH, &path, json!({"Name": "Uno"}))
        .await;
    assert_eq!((status, &again["created"]), (StatusCode::OK, &json!(false)));
    assert_eq!(made["id"], again["id"]);
    assert_eq!(door.get(&path).await.1["Name"], "Uno");
    let body = json!({"allOrNone": false, "records": [
        {"attributes": {"type": "Account"}, "Erp__c": "a-1", "Name": "Eins"},
        {"attributes": {"type": "Account"}, "Erp__c": "B-2", "Name": "Two"},
        {"attributes": {"type": "Account"}, "Name": "None"},
        {"attributes": {"type": "Account"}, "Erp__c": "b-2", "Name": "Twice"},
    ]});
    let (_, answers) = door
        .send(
            Method::PATCH,
            &format!("{V}/composite/sobjects/Account/Erp__c"),
            body,
        )
        .await;
    assert_eq!(answers[0]["created"], false);
    assert_eq!(answers[0]["id"], made["id"]);
    assert_eq!(answers[1]["created"], true);
    assert_eq!(answers[2]["errors"][0]["statusCode"], "MISSING_ARGUMENT");
    assert_eq!(answers[3]["errors"][0]["statusCode"], "DUPLICATE_VALUE");
    let twin = json!({"Name": "Twin", "Erp__c": "b-2"});
    let (status, refused) = door
        .send(Method::POST, &format!("{V}/sobjects/Account"), twin)
        .await;
    assert_eq!(
        (status, &refused[0]["errorCode"]),
        (StatusCode::BAD_REQUEST, &json!("DUPLICATE_VALUE"))
    );
    let (status, _) = door
        .send(
            Method::PATCH,
            &format!("{V}/sobjects/Account/Name/x"),
            json!({}),
        )
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_record_refers_to_another_by_its_external_id() {
    let door = open(Options::default()).await;
    external_key(&door).await;
    let org = &door.running.org;
    let account = json!({"Name": "Acme", "Erp__c": "A-1"});
    let account = insert(org, "Account", account);
    let path = format!("{V}/sobjects/Contact");
    let contact = |key: &str| json!({"LastName": "Cid", "Account": {"attributes": {"type": "Account"}, "Erp__c": key}, "Owner": {"Username": DEFAULT_USERNAME}});
    let (status, made) = door.send(Method::POST, &path, contact("a-1")).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let made = format!("{path}/{}", made["id"].as_str().unwrap());
    assert_eq!(door.get(&made).await.1["AccountId"], json!(account));
    let (status, refused) = door.send(Method::POST, &path, contact("B-2")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let message = "Foreign key external ID: b-2 not found for field Erp__c in entity Account";
    assert_eq!(
        refused,
        json!([{"errorCode": "INVALID_FIELD", "message": message}])
    );
    let other = insert(org, "Account", json!({"Name": "Other", "Erp__c": "B-2"}));
    let moved = json!({"Account": {"Erp__c": "b-2"}});
    let (status, _) = door.send(Method::PATCH, &made, moved).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(door.get(&made).await.1["AccountId"], json!(other));
}

#[tokio::test]
async fn the_key_of_an_upsert_stands_in_its_url_alone_and_is_that_of_one_record() {
    let door = open(Options::default()).await;
    for (name, kind) in [("Erp__c", "string"), ("Number__c", "double")] {
        let field = json!({"entity": "Account", "name": name, "type": kind, "external_id": true});
        let status = admin(&door, Method::POST, "/admin/fields", field).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
    }
    let org = &door.running.org;
    let path = format!("{V}/sobjects/Account/erp__c/A-1");
    let body = json!({"Name": "One", "Number__c": 12});
    let (status, made) = door.send(Method::PATCH, &path, body).await;
    assert_eq!(status, StatusCode::CREATED);
    for (key, value) in [("Erp__c", json!("A-1")), ("Id", made["id"].clone())] {
        let (status, refused) = door
            .send(Method::PATCH, &path, json!({"Name": "Two", key: value}))
            .await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        let message = format!("The {key} field should not be specified in the sobject data.");
        let expected = json!([{"errorCode": "INVALID_FIELD", "message": message}]);
        assert_eq!(refused, expected);
    }
    // Versions before 46.0 say nothing of a record that was there.
    let old = path.replace("/v67.0/", "/v45.0/");
    let (status, nothing) = door.send(Method::PATCH, &old, json!({"Name": "Two"})).await;
    assert_eq!((status, nothing), (StatusCode::NO_CONTENT, Value::Null));
    let by_number = format!("{V}/sobjects/Account/Number__c/12");
    let (status, found) = door.get(&by_number).await;
    assert_eq!((status, &found["Name"]), (StatusCode::OK, &json!("Two")));
    let twin = insert(org, "Account", json!({"Name": "Twin", "Erp__c": "a-1"}));
    let both = [made["id"].as_str().unwrap(), twin.as_str()];
    let both = both.map(|id| format!("{V}/sobjects/Account/{id}"));
    let commits = org.commits();
    let (status, choices) = door.get(&path).await;
    assert_eq!(
        (status, choices),
        (StatusCode::MULTIPLE_CHOICES, json!(both))
    );
    let (status, choices) = door.send(Method::PATCH, &path, json!({"Name": "X"})).await;
    assert_eq!(
        (status, choices),
        (StatusCode::MULTIPLE_CHOICES, json!(both))
    );
    assert_eq!(org.commits(), commits);
}
