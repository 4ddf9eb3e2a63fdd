//! Several requests or records in one call.
use fake_salesforce::server::Options;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::common::insert;
use crate::doors::{V, open};

#[tokio::test]
async fn collections_write_and_read_in_one_call() {
    let door = open(Options::default()).await;
    let path = format!("{V}/composite/sobjects");
    let account = |name: Value| json!({"attributes": {"type": "Account"}, "Name": name});
    let body = json!({"allOrNone": false, "records": [account(json!("A")), account(Value::Null), account(json!("B"))]});
    let (status, made) = door.send(Method::POST, &path, body).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(made[0]["success"], true);
    assert_eq!(made[1]["errors"][0]["statusCode"], "REQUIRED_FIELD_MISSING");
    let ids = [
        made[0]["id"].as_str().unwrap(),
        made[2]["id"].as_str().unwrap(),
    ];
    let update = json!({"allOrNone": true, "records": [
        {"attributes": {"type": "Account"}, "id": ids[0], "Name": "A2"},
        {"attributes": {"type": "Account"}, "id": "001000000000001AAA", "Name": "X"},
    ]});
    let (_, updated) = door.send(Method::PATCH, &path, update).await;
    assert_eq!(
        updated[0]["errors"][0]["statusCode"],
        "ALL_OR_NONE_OPERATION_ROLLED_BACK"
    );
    let wanted = json!({"ids": [ids[1], "001000000000001AAA", ids[0], ids[1]], "fields": ["Name"]});
    let (status, rows) = door
        .send(Method::POST, &format!("{path}/Account"), wanted)
        .await;
    assert_eq!(status, StatusCode::OK);
    let names: Vec<&Value> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["Name"])
        .collect();
    assert_eq!(names, [&json!("B"), &Value::Null, &json!("A"), &json!("B")]);
    assert!(rows[1].is_null());
    let wanted = json!({"ids": ids, "fields": ["Nope"]});
    let (status, error) = door
        .send(Method::POST, &format!("{path}/Account"), wanted)
        .await;
    assert_eq!(
        (status, &error[0]["errorCode"]),
        (StatusCode::BAD_REQUEST, &json!("INVALID_FIELD"))
    );
    let many = json!({"ids": vec![ids[0]; 2001], "fields": ["Name"]});
    let (status, _) = door
        .send(Method::POST, &format!("{path}/Account"), many)
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let delete = format!("{path}?ids={},{}&allOrNone=true", ids[0], ids[1]);
    let (_, gone) = door.send(Method::DELETE, &delete, Value::Null).await;
    assert_eq!(
        gone[1],
        json!({"id": ids[1], "success": true, "errors": []})
    );
    door.running.stop().await;
}

#[tokio::test]
async fn several_requests_in_one_call() {
    let door = open(Options::default()).await;
    let calls = door.running.api_calls();
    let body = json!({"compositeRequest": [
        {"method": "POST", "url": format!("{V}/sobjects/Account"), "referenceId": "made", "body": {"Name": "A & B"}},
        {"method": "POST", "url": format!("{V}/sobjects/Contact"), "referenceId": "person",
         "body": {"LastName": "C", "AccountId": "@{made.id}"}},
        {"method": "GET", "url": format!("{V}/query?q=SELECT+Account.Name+FROM+Contact+WHERE+Id='@{{person.id}}'"),
         "referenceId": "read"},
        {"method": "GET", "url": format!("{V}/sobjects/Nope/describe"), "referenceId": "bad"},
    ]});
    let (status, answer) = door
        .send(Method::POST, &format!("{V}/composite"), body)
        .await;
    assert_eq!(status, StatusCode::OK);
    let parts = &answer["compositeResponse"];
    assert_eq!(parts[0]["httpStatusCode"], 201);
    let id = parts[0]["body"]["id"].as_str().unwrap();
    let place = json!({"Location": format!("{V}/sobjects/Account/{id}")});
    assert_eq!(parts[0]["httpHeaders"], place);
    assert_eq!(parts[2]["httpHeaders"], json!({}));
    assert_eq!(parts[2]["body"]["records"][0]["Account"]["Name"], "A & B");
    assert_eq!(
        (&parts[3]["httpStatusCode"], &parts[3]["referenceId"]),
        (&json!(404), &json!("bad"))
    );
    let body = json!({"batchRequests": [
        {"method": "GET", "url": "v67.0/limits"},
        {"method": "GET", "url": "v67.0/sobjects/Nope"},
    ]});
    let (_, answer) = door
        .send(Method::POST, &format!("{V}/composite/batch"), body)
        .await;
    assert_eq!(answer["hasErrors"], true);
    assert_eq!(answer["results"][0]["statusCode"], 200);
    assert_eq!(answer["results"][1]["statusCode"], 404);
    assert_eq!(door.running.api_calls(), calls + 2);
    let body = json!({"haltOnError": true, "batchRequests": [
        {"method": "POST", "url": "v67.0/sobjects/Account", "richInput": {}},
        {"method": "POST", "url": "v67.0/sobjects/Account", "richInput": {"Name": "Halted"}},
    ]});
    let (_, answer) = door
        .send(Method::POST, &format!("{V}/composite/batch"), body)
        .await;
    let results = &answer["results"];
    assert_eq!(results[0]["statusCode"], 400);
    assert_eq!(results[1]["statusCode"], 412);
    let code = &results[1]["result"][0]["errorCode"];
    assert_eq!(code, "BATCH_PROCESSING_HALTED");
    assert_eq!(door.running.org.records("Account").len(), 1);
    door.running.stop().await;
}

#[tokio::test]
async fn a_composite_of_all_or_none_leaves_all_or_none() {
    let door = open(Options::default()).await;
    let deal = |stage: Value| {
        json!({"compositeRequest": [
        {"method": "POST", "url": format!("{V}/sobjects/Account"), "referenceId": "account", "body": {"Name": "Composed"}},
        {"method": "POST", "url": format!("{V}/sobjects/Opportunity"), "referenceId": "deal",
         "body": {"Name": "Deal", "AccountId": "@{account.id}", "StageName": stage, "CloseDate": "2026-07-01"}},
        {"method": "GET", "url": format!("{V}/sobjects/Opportunity/@{{deal.id}}?fields=Name,AccountId"), "referenceId": "read"},
    ], "allOrNone": true})
    };
    let commits = door.running.org.commits();
    let (_, failed) = door
        .send(Method::POST, &format!("{V}/composite"), deal(Value::Null))
        .await;
    let codes: Vec<&Value> = (0..3)
        .map(|part| &failed["compositeResponse"][part]["body"][0]["errorCode"])
        .collect();
    assert_eq!(
        codes,
        [
            "PROCESSING_HALTED",
            "REQUIRED_FIELD_MISSING",
            "PROCESSING_HALTED"
        ]
    );
    assert_eq!(door.running.org.commits(), commits);
    let (_, done) = door
        .send(
            Method::POST,
            &format!("{V}/composite"),
            deal(json!("Prospecting")),
        )
        .await;
    let parts = &done["compositeResponse"];
    assert_eq!(parts[0]["httpStatusCode"], 201);
    assert_eq!(parts[2]["body"]["AccountId"], parts[0]["body"]["id"]);
    assert_eq!(door.running.org.commits(), commits + 1);
}

#[tokio::test]
async fn a_read_that_fails_undoes_the_writes_of_all_or_none_too() {
    let door = open(Options::default()).await;
    let old = insert(&door.running.org, "Account", json!({"Name": "Old"}));
    let commits = door.running.org.commits();
    let get = |reference: &str, url: &str| json!({"method": "GET", "url": format!("{V}/{url}"), "referenceId": reference});
    let make = |reference: &str, name: &str| json!({"method": "POST", "url": format!("{V}/sobjects/Account"), "referenceId": reference, "body": {"Name": name}});
    let missing = || get("missing", "sobjects/Account/001000000000001AAA");
    let all = get("all", "query?q=SELECT+Id+FROM+Account");
    for (parts, expected) in [
        (vec![missing(), make("a", "A")], vec![404, 400]),
        (
            vec![all.clone(), missing(), make("a", "A")],
            vec![400, 404, 400],
        ),
        (
            vec![all.clone(), missing(), make("a", "A"), make("b", "B")],
            vec![400, 404, 400, 400],
        ),
    ] {
        let body = json!({"compositeRequest": parts, "allOrNone": true});
        let (_, answer) = door
            .send(Method::POST, &format!("{V}/composite"), body)
            .await;
        let parts = answer["compositeResponse"].as_array().unwrap().iter();
        let statuses: Vec<_> = parts.map(|part| part["httpStatusCode"].clone()).collect();
        assert_eq!(statuses, expected);
    }
    assert_eq!(door.running.org.commits(), commits);
    // Reads may refer to each other, also before the writes.
    let body = json!({"compositeRequest": [
        all,
        get("old", "sobjects/Account/@{all.records[0].Id}"),
        make("a", "@{old.Name} A"),
        make("b", "@{old.Name} B"),
    ], "allOrNone": true});
    let (_, answer) = door
        .send(Method::POST, &format!("{V}/composite"), body)
        .await;
    assert_eq!(answer["compositeResponse"][1]["body"]["Id"], json!(old));
    let (_, found) = door.query("SELECT Name FROM Account ORDER BY Id").await;
    let rows = found["records"].as_array().unwrap().iter();
    let names: Vec<_> = rows.map(|row| row["Name"].clone()).collect();
    assert_eq!(names, ["Old", "Old A", "Old B"]);
}

#[tokio::test]
async fn a_part_that_refers_to_nothing_is_halted_and_one_that_refers_to_null_is_not() {
    let door = open(Options::default()).await;
    let old = insert(&door.running.org, "Account", json!({"Name": "Old"}));
    let make = |reference: &str, fields: Value| json!({"method": "POST", "url": format!("{V}/sobjects/Account"), "referenceId": reference, "body": fields});
    let read = |reference: &str, url: String| json!({"method": "GET", "url": url, "referenceId": reference});
    let body = json!({"compositeRequest": [
        read("none", format!("{V}/query?q=SELECT+Id+FROM+Contact")),
        make("halted", json!({"Name": "Of @{none.records[0].Id}"})),
        read("halted_too", format!("{V}/sobjects/Account/@{{halted.id}}")),
        read("old", format!("{V}/sobjects/Account/{old}?fields=Name,Phone")),
        make("copy", json!({"Name": "@{old.Name} too", "Phone": "@{old.Phone}"})),
        {"method": "POST", "url": format!("{V}/composite/sobjects"), "referenceId": "list",
         "body": {"records": [{"attributes": {"type": "Account"}, "Name": "Listed"}]}},
        make("child", json!({"Name": "Child", "ParentId": "@{list[0].id}"})),
    ]});
    let (status, answer) = door
        .send(Method::POST, &format!("{V}/composite"), body)
        .await;
    assert_eq!(status, StatusCode::OK);
    let parts = answer["compositeResponse"].as_array().unwrap();
    let statuses: Vec<&Value> = parts.iter().map(|part| &part["httpStatusCode"]).collect();
    assert_eq!(statuses, [200, 400, 400, 200, 201, 200, 201]);
    let error = &parts[1]["body"][0];
    assert_eq!(error["errorCode"], "PROCESSING_HALTED");
    let message = error["message"].as_str().unwrap();
    let expected = "Invalid reference specified. No value for none.records[0].Id found in none.";
    assert!(message.starts_with(expected), "{message}");
    let (_, found) = door
        .query("SELECT Name, Phone, Parent.Name FROM Account ORDER BY Id")
        .await;
    let rows = found["records"].as_array().unwrap().iter();
    let rows: Vec<_> = rows
        .map(|row| (&row["Name"], &row["Phone"], &row["Parent"]["Name"]))
        .collect();
    let null = &Value::Null;
    assert_eq!(
        rows,
        [
            (&json!("Old"), null, null),
            (&json!("Old too"), null, null),
            (&json!("Listed"), null, null),
            (&json!("Child"), null, &json!("Listed")),
        ]
    );
}

#[tokio::test]
async fn a_tree_is_made_whole_or_not_at_all() {
    let door = open(Options::default()).await;
    let tree = |last: Value| {
        json!({"records": [{
            "attributes": {"type": "Account", "referenceId": "a"}, "Name": "Root",
            "Contacts": {"records": [{"attributes": {"type": "Contact", "referenceId": "c"}, "LastName": last}]},
        }]})
    };
    let path = format!("{V}/composite/tree/Account");
    let (status, failed) = door.send(Method::POST, &path, tree(Value::Null)).await;
    assert_eq!(
        (status, &failed["hasErrors"]),
        (StatusCode::BAD_REQUEST, &json!(true))
    );
    assert_eq!(failed["results"][0]["referenceId"], "c");
    assert!(door.running.org.records("Account").is_empty());
    let (status, made) = door.send(Method::POST, &path, tree(json!("Leaf"))).await;
    assert_eq!(status, StatusCode::CREATED);
    let contact = made["results"][1]["id"].as_str().unwrap();
    let contact = door.running.org.record("Contact", contact).unwrap();
    assert_eq!(contact.get("AccountId"), made["results"][0]["id"]);
}
