//! The page Field Mapping.

use domain::settings::Settings;
use http::StatusCode;
use serde_json::json;

use super::{furnished, in_force, saved};
use crate::visitor::{untick, write};

#[tokio::test]
async fn a_mapping_is_changed_refused_in_place_and_taken_back() {
    let (desk, visitor) = furnished(&[]).await;
    let page = visitor.get("/mapping").await;
    let form = page.form("/mapping");
    let number = |mos_field: &str| {
        let mos = form
            .iter()
            .position(|(name, value)| name.starts_with("mos.") && value == mos_field);
        form[mos.unwrap()]
            .0
            .strip_prefix("mos.")
            .unwrap()
            .to_owned()
    };
    // As it comes: nothing to save.
    visitor
        .send("/mapping", &form)
        .await
        .has("there is nothing to save");
    let (arr, term, stage) = (number("arr"), number("contract_term"), number("stage"));
    for (field, word) in [
        ("Nothing__c", "does not have"),
        ("no field", "cannot be a field"),
        ("CloseDate", "date field"),
    ] {
        let mut wrong = form.clone();
        write(&mut wrong, &format!("field.{arr}"), field);
        let refused = visitor.send("/mapping", &wrong).await;
        assert_eq!(refused.status, 422, "{field}");
        let error = refused.error_at(&format!("field.{arr}"));
        assert!(error.contains(word), "{field}: {error}");
        assert_eq!(in_force(&desk).await.0, 0);
    }
    let mut right = form.clone();
    write(&mut right, &format!("field.{arr}"), "Amount");
    write(&mut right, &format!("field.{term}"), "Weighted__c");
    write(&mut right, &format!("term.{term}"), "yearly");
    untick(&mut right, &format!("active.{stage}"));
    saved(&visitor, "/mapping", &right).await;
    let door = desk.door().await;
    let api = door.get("/api/v1/settings").await.json();
    assert_eq!(
        api["settings"]["mapping"],
        json!([
            {"object": "Opportunity", "mos_field": "stage", "salesforce_field": "StageName", "active": false},
            {"object": "Opportunity", "mos_field": "arr", "salesforce_field": "Amount", "active": true},
            {"object": "Opportunity", "mos_field": "contract_term", "salesforce_field": "Weighted__c",
             "active": true, "contract_term_type": "yearly"},
        ])
    );
    let csv = visitor.get("/mapping/export").await.html;
    for line in [
        "object,mos_field,salesforce_field,active,standard,contract_term_type",
        "Opportunity,stage,StageName,no,StageName,",
        "Opportunity,arr,Amount,yes,,",
        "Opportunity,contract_term,Weighted__c,yes,,yearly",
        "Opportunity,one_off_cost,,,,",
    ] {
        assert!(csv.lines().any(|one| one == line), "{line}: {csv}");
    }
    // Back to the standard, row by row.
    let mut form = visitor.form("/mapping").await;
    for number in [&arr, &term, &stage] {
        let mut sent = form.clone();
        sent.push(("do".to_owned(), format!("remove.{number}")));
        form = visitor.send("/mapping", &sent).await.form("/mapping");
    }
    saved(&visitor, "/mapping", &form).await;
    assert_eq!(in_force(&desk).await.1.mapping, Settings::default().mapping);
}

#[tokio::test]
async fn the_mapping_that_the_org_keeps_is_looked_at_and_taken_over() {
    use fake_salesforce::setup_mapping::FieldMapping;
    let record = |name: &str, mos_field: &str, field: &str| FieldMapping {
        developer_name: name.to_owned(),
        object: "Opportunity".to_owned(),
        mos_field: mos_field.to_owned(),
        salesforce_field: field.to_owned(),
        is_active: true,
        contract_term_type: "Monthly".to_owned(),
    };
    let (desk, visitor) = furnished(&[]).await;
    let path = "/mapping/take-over";
    let form = visitor.get("/mapping").await.form(path);
    let none = visitor.send(path, &form).await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
    none.has("The org's mapping was not taken over.");
    none.has("no custom metadata type mOS_Field_Mapping__mdt");
    none.has("id=\"mapping\"");
    let wrong = [record("Arr", "arr", "Gone__c")];
    desk.salesforce.deploy_field_mapping(&wrong).unwrap();
    let refused = visitor.send(path, &form).await;
    assert_eq!(
        refused.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{}",
        refused.html
    );
    refused.has("The record Arr: ");
    let right = [record("Arr", "arr", "Amount")];
    desk.salesforce.deploy_field_mapping(&right).unwrap();
    saved(&visitor, path, &form).await;
    let (revision, settings) = in_force(&desk).await;
    assert_eq!(revision, 1);
    let arr = settings
        .mapping
        .rows()
        .iter()
        .find(|row| row.mos_field == "arr");
    assert_eq!(arr.unwrap().salesforce_field, "Amount");
}
