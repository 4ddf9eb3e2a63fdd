//! Doors that fewer clients use: SOAP sign-in, external ids, trees, replication, Setup.
use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::common::{insert, update};
use crate::doors::{Door, V, open};
use fake_salesforce::server::{DEFAULT_PASSWORD, DEFAULT_SECURITY_TOKEN, Options};
use fake_salesforce::setup::DEFAULT_USERNAME;

/// The longest that anything is waited for.
const DEADLINE: Duration = Duration::from_secs(60);

async fn soap(door: &Door, body: &str) -> (StatusCode, String) {
    let url = door.url("/services/Soap/u/59.0");
    let envelope = format!(
        "<env:Envelope xmlns:env=\"http://schemas.xmlsoap.org/soap/envelope/\"><env:Body>{body}</env:Body></env:Envelope>"
    );
    let request = door
        .client
        .post(url)
        .header("soapaction", "login")
        .body(envelope);
    let response = request.send().await.unwrap();
    (response.status(), response.text().await.unwrap())
}

fn login(password: &str) -> String {
    format!(
        "<n1:login xmlns:n1=\"urn:partner.soap.sforce.com\"><n1:username>{DEFAULT_USERNAME}</n1:username><n1:password>{password}</n1:password></n1:login>"
    )
}

fn inside<'t>(text: &'t str, name: &str) -> &'t str {
    let (_, after) = text
        .split_once(&format!("<{name}>"))
        .unwrap_or_else(|| panic!("no {name} in {text}"));
    after.split_once(&format!("</{name}>")).unwrap().0
}

#[tokio::test]
async fn soap_signs_in_with_password_and_token_and_brings_back_deleted_records() {
    let mut door = open(Options::default()).await;
    let (status, text) = soap(
        &door,
        &login(&format!("{DEFAULT_PASSWORD}{DEFAULT_SECURITY_TOKEN}")),
    )
    .await;
    assert_eq!(status, StatusCode::OK);
    // Clients read by position: serverUrl is the 4th, sessionId the 5th, userInfo the 7th.
    let order = [
        "<metadataServerUrl>",
        "<passwordExpired>",
        "<sandbox>",
        "<serverUrl>",
        "<sessionId>",
        "<userId>",
        "<userInfo>",
    ];
    let places: Vec<usize> = order.iter().map(|name| text.find(name).unwrap()).collect();
    assert!(places.is_sorted());
    let org_id = door.running.org.org_id().to_owned();
    assert_eq!(inside(&text, "organizationId"), org_id);
    assert_eq!(inside(&text, "sandbox"), "false");
    assert!(inside(&text, "serverUrl").ends_with(&format!(
        "/services/Soap/u/59.0/{}",
        org_id.get(..15).unwrap()
    )));
    door.token = inside(&text, "sessionId").to_owned();
    assert_eq!(door.get(&format!("{V}/limits")).await.0, StatusCode::OK);

    let account = insert(&door.running.org, "Account", json!({"Name": "Gone"}));
    door.send(
        Method::DELETE,
        &format!("{V}/sobjects/Account/{account}"),
        json!({}),
    )
    .await;
    let body = format!(
        "<SessionHeader><sessionId>{}</sessionId></SessionHeader><undelete><ids>{account}</ids></undelete>",
        door.token
    );
    let (status, text) = soap(&door, &body).await;
    assert_eq!((status, inside(&text, "success")), (StatusCode::OK, "true"));
    assert!(
        !door
            .running
            .org
            .record("Account", &account)
            .unwrap()
            .flag("IsDeleted")
    );

    for (password, code) in [
        (DEFAULT_PASSWORD, "LOGIN_MUST_USE_SECURITY_TOKEN"),
        ("wrong", "INVALID_LOGIN"),
    ] {
        let (status, text) = soap(&door, &login(password)).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(inside(&text, "sf:exceptionCode"), code);
        assert_eq!(inside(&text, "faultcode"), format!("sf:{code}"));
    }
    let sandbox = json!({"IsSandbox": true});
    update(&door.running.org, "Organization", &org_id, sandbox);
    let whole = format!("{DEFAULT_PASSWORD}{DEFAULT_SECURITY_TOKEN}");
    let (_, text) = soap(&door, &login(&whole)).await;
    assert_eq!(inside(&text, "sandbox"), "true");
    let (_, text) = soap(&door, "<logout/>").await;
    assert_eq!(inside(&text, "sf:exceptionCode"), "INVALID_SESSION_ID");
}

async fn admin(door: &Door, method: Method, path: &str, body: Value) -> StatusCode {
    let url = door.url(path);
    door.client
        .request(method, url)
        .json(&body)
        .send()
        .await
        .unwrap()
        .status()
}

async fn external_key(door: &Door) {
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

/// Inserts an account with a job of the Bulk API and waits for the job's end.
async fn bulk_insert(door: &Door, name: &str) {
    let job = json!({"object": "Account", "operation": "insert"});
    let jobs = format!("{V}/jobs/ingest");
    let (_, job) = door.send(Method::POST, &jobs, job).await;
    let job = format!("{jobs}/{}", job["id"].as_str().unwrap());
    let upload = door.ask(Method::PUT, &format!("{job}/batches"));
    let upload = upload.header("content-type", "text/csv");
    upload.body(format!("Name\n{name}\n")).send().await.unwrap();
    let close = json!({"state": "UploadComplete"});
    door.send(Method::PATCH, &job, close).await;
    let ended = async { while door.get(&job).await.1["state"] != "JobComplete" {} };
    tokio::time::timeout(DEADLINE, ended).await.unwrap();
}

#[tokio::test]
async fn what_is_written_by_any_door_is_an_event() {
    let door = open(Options::default()).await;
    external_key(&door).await;
    let account =
        |name: &str| json!({"attributes": {"type": "Account", "referenceId": name}, "Name": name});
    let single = json!({"Name": "single"});
    let list = json!({"records": [account("listed")]});
    let tree = json!({"records": [account("planted")]});
    let part = json!({"method": "POST", "url": format!("{V}/sobjects/Account"), "referenceId": "a", "body": {"Name": "composed"}});
    for (method, path, body) in [
        (Method::POST, "sobjects/Account", single),
        (Method::POST, "composite/sobjects", list),
        (Method::POST, "composite/tree/Account", tree),
        (
            Method::POST,
            "composite",
            json!({"compositeRequest": [part]}),
        ),
        (
            Method::PATCH,
            "sobjects/Account/Erp__c/1",
            json!({"Name": "upserted"}),
        ),
    ] {
        let (status, answer) = door.send(method, &format!("{V}/{path}"), body).await;
        assert!(status.is_success(), "{path}: {answer}");
    }
    bulk_insert(&door, "loaded").await;
    let records = door.running.org.records("Account");
    let names: Vec<_> = records.iter().map(|row| row.text("Name")).collect();
    let expected = [
        "single", "listed", "planted", "composed", "upserted", "loaded",
    ];
    assert_eq!(names, expected.map(Some));
    let last = records[5].id();
    let path = format!("{V}/sobjects/Account/{last}");
    door.send(Method::PATCH, &path, json!({"Phone": "1"})).await;
    door.send(Method::DELETE, &path, json!({})).await;
    let token = &door.token;
    let undelete = format!(
        "<SessionHeader><sessionId>{token}</sessionId></SessionHeader><undelete><ids>{last}</ids></undelete>"
    );
    assert_eq!(soap(&door, &undelete).await.0, StatusCode::OK);
    let (_client, mut stream) = door.events("/data/AccountChangeEvent").await;
    let nine = async {
        let mut payloads = Vec::new();
        while payloads.len() < 9 {
            let events = stream.message().await.unwrap().unwrap().events.into_iter();
            payloads.extend(events.map(|event| event.event.unwrap().payload));
        }
        payloads
    };
    let payloads = tokio::time::timeout(DEADLINE, nine).await.unwrap();
    let made = records.iter().map(|row| row.id()).chain([last; 3]);
    for (payload, id) in payloads.iter().zip(made) {
        let mut windows = payload.windows(id.len());
        assert!(windows.any(|window| window == id.as_bytes()), "{id}");
    }
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

#[tokio::test]
async fn hidden_and_removed_fields_are_gone_from_every_door() {
    let door = open(Options::default()).await;
    external_key(&door).await;
    let before = door.running.org.describe("Account").unwrap();
    let listed = |describe: &Value, name: &str| {
        describe["fields"]
            .as_array()
            .unwrap()
            .iter()
            .any(|field| field["name"] == name)
    };
    assert!(listed(&before, "Erp__c") && listed(&before, "Industry"));
    let account = insert(
        &door.running.org,
        "Account",
        json!({"Name": "A", "Industry": "Energy", "Erp__c": "1"}),
    );
    let hide = |hidden: bool| json!({"entity": "Account", "field": "Industry", "hidden": hidden});
    assert_eq!(
        admin(&door, Method::POST, "/admin/field-security", hide(true)).await,
        StatusCode::NO_CONTENT
    );
    assert!(!listed(
        &door.running.org.describe("Account").unwrap(),
        "Industry"
    ));
    let (_, refused) = door.query("SELECT Industry FROM Account").await;
    assert_eq!(refused[0]["errorCode"], "INVALID_FIELD");
    let path = format!("{V}/sobjects/Account/{account}");
    let (status, refused) = door
        .send(Method::PATCH, &path, json!({"Industry": "Retail"}))
        .await;
    assert_eq!(
        (status, &refused[0]["errorCode"]),
        (StatusCode::BAD_REQUEST, &json!("INVALID_FIELD"))
    );
    assert!(door.get(&path).await.1.get("Industry").is_none());
    let (_, all) = door.query("SELECT FIELDS(ALL) FROM Account LIMIT 1").await;
    assert!(all["records"][0].get("Industry").is_none());
    assert_eq!(all["records"][0]["Erp__c"], "1");
    admin(&door, Method::POST, "/admin/field-security", hide(false)).await;
    assert_eq!(door.get(&path).await.1["Industry"], "Energy");

    assert_eq!(
        admin(
            &door,
            Method::DELETE,
            "/admin/fields/Account/Erp__c",
            json!({})
        )
        .await,
        StatusCode::NO_CONTENT
    );
    assert!(door.get(&path).await.1.get("Erp__c").is_none());
    let (_, refused) = door.query("SELECT Erp__c FROM Account").await;
    assert_eq!(refused[0]["errorCode"], "INVALID_FIELD");
    assert_eq!(
        admin(
            &door,
            Method::DELETE,
            "/admin/fields/Account/Name",
            json!({})
        )
        .await,
        StatusCode::BAD_REQUEST
    );
}

/// What clients read a field into (facts of the wire, describe): strict ones want every key.
const FIELD_KEYS: &str = "aggregatable autoNumber byteLength calculated calculatedFormula cascadeDelete caseSensitive compoundFieldName controllerName createable custom defaultValue defaultValueFormula defaultedOnCreate dependentPicklist deprecatedAndHidden digits displayLocationInDecimal encrypted externalId extraTypeInfo filterable filteredLookupInfo groupable highScaleNumber htmlFormatted idLookup inlineHelpText label length mask maskType name nameField namePointing nillable permissionable picklistValues precision queryByDistance referenceTargetField referenceTo relationshipName relationshipOrder restrictedDelete restrictedPicklist scale soapType sortable type unique updateable writeRequiresMasterRead";

#[tokio::test]
async fn every_field_of_every_object_is_described_by_the_same_keys() {
    let door = open(Options::default()).await;
    let field = json!({"entity": "Account", "name": "Regions__c", "type": "multipicklist", "values": ["EMEA"]});
    admin(&door, Method::POST, "/admin/fields", field).await;
    let kind = json!({"entity": "Account", "developer_name": "Partner", "name": "Our partners"});
    admin(&door, Method::POST, "/admin/record-types", kind).await;
    let (_, all) = door.get(&format!("{V}/sobjects")).await;
    for object in all["sobjects"].as_array().unwrap() {
        let name = object["name"].as_str().unwrap();
        let described = door.running.org.describe(name).unwrap();
        for field in described["fields"].as_array().unwrap() {
            for key in FIELD_KEYS.split(' ') {
                assert!(field.get(key).is_some(), "{name}.{}: {key}", field["name"]);
            }
        }
        let span = "start=2026-06-15T11:00:00Z&end=2026-06-15T12:00:00Z";
        let path = format!("{V}/sobjects/{name}/updated?{span}");
        let replicated = door.get(&path).await.0 == StatusCode::OK;
        assert_eq!(object["replicateable"], replicated, "{name}");
    }
    let account = door.running.org.describe("Account").unwrap();
    let fields = account["fields"].as_array().unwrap();
    let regions = fields.iter().find(|field| field["name"] == "Regions__c");
    for ability in ["aggregatable", "groupable", "sortable"] {
        assert_eq!(regions.unwrap()[ability], false, "{ability}");
    }
    let kinds = account["recordTypeInfos"].as_array().unwrap().iter();
    let told: Value = kinds
        .map(|kind| json!([kind["developerName"], kind["name"], kind["master"]]))
        .collect();
    let partner = json!(["Partner", "Our partners", false]);
    assert_eq!(told, json!([partner, ["Master", "Master", true]]));
}

#[tokio::test]
async fn a_used_up_quota_refuses_every_call_until_it_is_there_again() {
    let door = open(Options::default()).await;
    door.fault(json!({"kind": "quota", "exhausted": true}))
        .await;
    let request = door.ask(Method::GET, &format!("{V}/limits"));
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(
        response.headers()["sforce-limit-info"],
        "api-usage=100000/100000"
    );
    let refused: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(refused[0]["errorCode"], "REQUEST_LIMIT_EXCEEDED");
    door.fault(json!({"kind": "quota", "exhausted": false}))
        .await;
    assert_eq!(door.get(&format!("{V}/limits")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_client_that_can_only_get_and_post_names_the_method_in_the_url() {
    let door = open(Options::default()).await;
    let account = insert(&door.running.org, "Account", json!({"Name": "Old"}));
    let path = format!("{V}/sobjects/Account/{account}");
    let head = door.ask(Method::HEAD, &path).send().await.unwrap();
    assert_eq!(head.status(), StatusCode::OK);
    assert_eq!(head.text().await.unwrap(), "");
    let post = async |method: &str, body: Value| {
        let path = format!("{path}?_HttpMethod={method}");
        door.send(Method::POST, &path, body).await.0
    };
    let patched = post("PATCH", json!({"Name": "New"})).await;
    assert_eq!(patched, StatusCode::NO_CONTENT);
    assert_eq!(door.get(&path).await.1["Name"], "New");
    let (status, _) = door.send(Method::POST, &path, json!({})).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(post("DELETE", json!({})).await, StatusCode::NO_CONTENT);
    assert_eq!(door.get(&path).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn json_that_is_sent_as_a_form_is_not_read() {
    let door = open(Options::default()).await;
    let send = async |kind: &str| {
        let request = door.ask(Method::POST, &format!("{V}/sobjects/Account"));
        let request = request.header("content-type", kind);
        let response = request.body(r#"{"Name": "Acme"}"#).send().await.unwrap();
        let status = response.status();
        (status, response.json::<Value>().await.unwrap())
    };
    let (status, refused) = send("application/x-www-form-urlencoded").await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let expected = json!([{
        "errorCode": "UNSUPPORTED_MEDIA_TYPE",
        "message": "MediaType of 'application/x-www-form-urlencoded' is not supported by this resource",
    }]);
    assert_eq!(refused, expected);
    assert!(door.running.org.records("Account").is_empty());
    let (status, _) = send("Application/JSON; charset=UTF-8").await;
    assert_eq!(status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_client_may_compress_what_it_sends() {
    let door = open(Options::default()).await;
    let send = async |body: Vec<u8>| {
        let request = door.ask(Method::POST, &format!("{V}/sobjects/Account"));
        let request = request.header("content-type", "application/json");
        let request = request.header("content-encoding", "gzip").body(body);
        request.send().await.unwrap().status()
    };
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(br#"{"Name": "Packed"}"#).unwrap();
    let packed = encoder.finish().unwrap();
    assert_eq!(send(packed).await, StatusCode::CREATED);
    let records = door.running.org.records("Account");
    assert_eq!(records[0].text("Name"), Some("Packed"));
    assert_eq!(send(b"no gzip".to_vec()).await, StatusCode::BAD_REQUEST);
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
async fn an_id_token_is_checked_with_the_published_key() {
    let door = open(Options {
        rotate_refresh_tokens: true,
        ..Options::default()
    })
    .await;
    let url = door.url("/services/oauth2/authorize?response_type=code&client_id=fake-client-id&redirect_uri=http%3A%2F%2Flocalhost%2Fcb&scope=openid%20api&nonce=n-1");
    let target = door.browse(&url).await.to_string();
    let code = target.split_once("code=").unwrap().1.to_owned();
    let code = url_decoded(&code);
    let (status, granted) = door
        .token_request(&[
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", "http://localhost/cb"),
            ("client_id", "fake-client-id"),
            ("client_secret", "fake-client-secret"),
        ])
        .await;
    assert_eq!(status, StatusCode::OK, "{granted}");
    let keys: Value = door
        .client
        .get(door.url("/id/keys"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let key = &keys["keys"][0];
    let key = jsonwebtoken::DecodingKey::from_rsa_components(
        key["n"].as_str().unwrap(),
        key["e"].as_str().unwrap(),
    )
    .unwrap();
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
    validation.validate_exp = false;
    validation.set_audience(&["fake-client-id"]);
    let claims: Value =
        jsonwebtoken::decode(granted["id_token"].as_str().unwrap(), &key, &validation)
            .unwrap()
            .claims;
    assert_eq!(claims["nonce"], "n-1");
    assert_eq!(claims["sub"], granted["id"]);

    let first = granted["refresh_token"].as_str().unwrap().to_owned();
    let refresh = |token: String| {
        let door = &door;
        async move {
            door.token_request(&[
                ("grant_type", "refresh_token"),
                ("client_id", "fake-client-id"),
                ("refresh_token", &token),
            ])
            .await
        }
    };
    let (status, renewed) = refresh(first.clone()).await;
    assert_eq!(status, StatusCode::OK);
    assert_ne!(renewed["refresh_token"], json!(first));
    assert_eq!(refresh(first).await.0, StatusCode::BAD_REQUEST);
}

fn url_decoded(text: &str) -> String {
    let form = format!("x={text}");
    let url = reqwest::Url::parse(&format!("http://localhost/?{form}")).unwrap();
    url.query_pairs().next().unwrap().1.into_owned()
}

/// What clients were recorded to ask first (facts of the wire, what real clients send).
#[tokio::test]
async fn doors_that_clients_look_for_before_their_work_are_there() {
    let door = open(Options::default()).await;
    let (status, versions) = door.get("/services/data/").await;
    assert_eq!(status, StatusCode::OK);
    let versions = versions.as_array().unwrap();
    for version in ["40.0", "59.0", "67.0"] {
        let is_listed = versions.iter().any(|known| known["version"] == version);
        assert!(is_listed, "{version}: {versions:?}");
        let (status, _) = door
            .get(&format!("/services/data/v{version}/limits/"))
            .await;
        assert_eq!(status, StatusCode::OK, "{version}");
    }
    let (status, error) = door.get("/services/data/v39.0/limits/").await;
    assert_eq!(status, StatusCode::GONE);
    assert_eq!(error[0]["errorCode"], "UNSUPPORTED_API_VERSION");
    for none in ["v69.0", "v67", "v67.1", "latest"] {
        let (status, error) = door.get(&format!("/services/data/{none}/limits")).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{none}");
        assert_eq!(error[0]["errorCode"], "NOT_FOUND");
    }
    // jsforce finds out by the list of resources who has signed in.
    let (_, resources) = door.get(&format!("{V}/")).await;
    let identity = resources["identity"].as_str().unwrap();
    let identity = identity.strip_prefix(&door.url("")).unwrap();
    let address = format!("{identity}?format=json&oauth_token={}", door.token);
    let (status, identity) = door.get(&address).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(identity["username"], DEFAULT_USERNAME);
    for list in ["composite", "jobs"] {
        let (status, below) = door.get(resources[list].as_str().unwrap()).await;
        assert_eq!(status, StatusCode::OK, "{list}");
        assert!(below.as_object().is_some_and(|below| below.len() > 1));
    }
    for (method, path) in [(Method::DELETE, ""), (Method::GET, "/batch")] {
        let path = format!("{V}/composite{path}");
        let (status, error) = door.send(method, &path, json!({})).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(error[0]["errorCode"], "METHOD_NOT_ALLOWED");
    }

    let (status, bulk_1) = door.get("/services/async/59.0/job").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(bulk_1["exceptionCode"], "FeatureNotEnabled");

    let (status, discovered) = door.get("/.well-known/openid-configuration").await;
    assert_eq!(status, StatusCode::OK);
    for door_of in [
        "authorization",
        "token",
        "revocation",
        "userinfo",
        "introspection",
    ] {
        let address = discovered[format!("{door_of}_endpoint")].as_str().unwrap();
        assert!(
            address.starts_with(&door.url("/services/oauth2/")),
            "{address}"
        );
    }

    let (status, user) = door.get("/services/oauth2/userinfo").await;
    assert_eq!(status, StatusCode::OK);
    for claim in [
        "sub",
        "user_id",
        "organization_id",
        "preferred_username",
        "nickname",
        "name",
        "email",
        "email_verified",
        "given_name",
        "family_name",
        "zoneinfo",
        "photos",
        "profile",
        "picture",
        "address",
        "urls",
        "active",
        "user_type",
        "language",
        "locale",
        "utcOffset",
        "updated_at",
    ] {
        assert!(user.get(claim).is_some(), "{claim}: {user}");
    }
    assert_eq!(user["preferred_username"], DEFAULT_USERNAME);

    for object in [
        "Organization",
        "PermissionSet",
        "PermissionSetAssignment",
        "PermissionSetGroup",
        "PermissionSetGroupComponent",
        "OpportunityStage",
        "Profile",
        "UserRole",
    ] {
        let (status, described) = door.get(&format!("{V}/sobjects/{object}/describe/")).await;
        assert_eq!(status, StatusCode::OK, "{object}");
        assert_eq!(described["name"], object);
        let fields = described["fields"].as_array().unwrap();
        assert!(fields.iter().any(|field| field["name"] == "Id"), "{object}");
    }
}
