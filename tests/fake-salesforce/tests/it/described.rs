//! What the org says of its objects and of itself, and what it hides.
use fake_salesforce::server::Options;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::common::insert;
use crate::doors::{V, admin, open, read};
use crate::external_ids::external_key;

/// What clients read a field into (facts of the wire, describe): strict ones want every key.
const FIELD_KEYS: &str = "aggregatable autoNumber byteLength calculated calculatedFormula cascadeDelete caseSensitive compoundFieldName controllerName createable custom defaultValue defaultValueFormula defaultedOnCreate dependentPicklist deprecatedAndHidden digits displayLocationInDecimal encrypted externalId extraTypeInfo filterable filteredLookupInfo groupable highScaleNumber htmlFormatted idLookup inlineHelpText label length mask maskType name nameField namePointing nillable permissionable picklistValues precision queryByDistance referenceTargetField referenceTo relationshipName relationshipOrder restrictedDelete restrictedPicklist scale soapType sortable type unique updateable writeRequiresMasterRead";

#[tokio::test]
async fn describe_versions_and_limits() {
    let door = open(Options::default()).await;
    let versions = door
        .client
        .get(door.url("/services/data/"))
        .send()
        .await
        .unwrap();
    let (_, versions) = read(versions).await;
    let last = versions.as_array().unwrap().last().unwrap();
    assert_eq!(
        last,
        &json!({"label": "Winter '27", "url": "/services/data/v68.0", "version": "68.0"})
    );
    let (_, all) = door.get(&format!("{V}/sobjects/")).await;
    assert!(
        all["sobjects"]
            .as_array()
            .unwrap()
            .iter()
            .any(|object| object["name"] == "PermissionSetAssignment")
    );
    let (status, described) = door
        .get(&format!("{V}/sobjects/Opportunity/describe"))
        .await;
    assert_eq!(status, StatusCode::OK);
    let fields = described["fields"].as_array().unwrap();
    let field = |name: &str| fields.iter().find(|field| field["name"] == name).unwrap();
    assert_eq!(field("OwnerId")["relationshipName"], "Owner");
    assert_eq!(field("OwnerId")["referenceTo"], json!(["User"]));
    assert_eq!(field("Amount")["type"], "currency");
    assert_eq!(
        (&field("Amount")["precision"], &field("Amount")["scale"]),
        (&json!(18), &json!(2))
    );
    assert_eq!(field("Description")["filterable"], false);
    assert_eq!(field("IsClosed")["updateable"], false);
    assert_eq!(
        field("StageName")["picklistValues"]
            .as_array()
            .unwrap()
            .len(),
        10
    );
    let (status, _) = door.get(&format!("{V}/sobjects/Nope/describe")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = door.get("/services/data/v20.0/limits").await;
    assert_eq!(status, StatusCode::GONE);
    let response = door
        .ask(Method::GET, &format!("{V}/limits"))
        .send()
        .await
        .unwrap();
    let used = door.running.api_calls();
    assert_eq!(
        response.headers()["sforce-limit-info"],
        format!("api-usage={used}/100000")
    );
    let limits: Value = response.json().await.unwrap();
    assert_eq!(
        limits["DailyApiRequests"],
        json!({"Max": 100_000, "Remaining": 100_000 - used})
    );
    door.running.stop().await;
}

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
