//! Orgs from folders of CSV files.
use std::path::Path;

use fake_salesforce::load::LoadError;
use serde_json::json;

use crate::common::org;

fn tiny() -> &'static Path {
    Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/it/testdata/tiny-org"
    ))
}

#[test]
fn a_folder_loads_completely_and_keeps_ids_and_stamps() {
    let (org, _) = org();
    org.load_dir(tiny()).unwrap();
    for (entity, count) in [
        // The integration user is there already.
        ("User", 3),
        ("Account", 2),
        ("Contact", 2),
        ("Opportunity", 3),
        ("OpportunityContactRole", 1),
        ("PermissionSetGroupComponent", 1),
    ] {
        assert_eq!(org.records(entity).len(), count, "{entity}");
    }
    let deal = org.record("Opportunity", "0065g0000000kliAAA").unwrap();
    assert_eq!(deal.get("Name"), json!("A \"quoted\",\nbroken name"));
    assert_eq!(deal.get("Amount"), json!(1_200_000.0));
    assert_eq!(
        deal.get("CreatedDate"),
        json!("2025-07-11T20:33:14.000+0000")
    );
    assert_eq!(
        deal.get("SystemModstamp"),
        json!("2026-04-29T21:01:47.000+0000")
    );
    assert_eq!(deal.get("LastModifiedDate"), deal.get("SystemModstamp"));
    assert_eq!(
        org.record("Opportunity", "0065g0000000klkAAA")
            .unwrap()
            .get("AccountId"),
        json!(null)
    );
    let query = |soql: &str| org.query(soql, false).unwrap();
    let sets = query("SELECT Name FROM PermissionSet WHERE Type = 'Regular' ORDER BY Name");
    assert_eq!(
        sets.iter()
            .map(|row| row["Name"].as_str().unwrap())
            .collect::<Vec<_>>(),
        ["mOS_Admin", "mOS_User"]
    );
    let group = query(
        "SELECT AssigneeId, PermissionSet.Type, PermissionSetGroup.DeveloperName FROM PermissionSetAssignment WHERE PermissionSetGroupId != null",
    );
    assert_eq!(group[0]["PermissionSet"]["Type"], "Group");
    assert_eq!(
        group[0]["PermissionSetGroup"]["DeveloperName"],
        "Sales_Apps"
    );
}

#[test]
fn a_bad_record_is_named_and_nothing_is_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("Account.csv");
    std::fs::write(
        &file,
        "Id,Name\n0015g0000000kliAAA,Fine\n0015g0000000kljAAB,Bad checksum\n",
    )
    .unwrap();
    let (org, _) = org();
    let error = org.load_dir(dir.path()).unwrap_err();
    assert!(
        matches!(&error, LoadError::Record { record: 2, error, .. } if error.code == "MALFORMED_ID"),
        "{error}"
    );
    assert!(org.records("Account").is_empty());
    std::fs::rename(&file, dir.path().join("Nonsense.csv")).unwrap();
    assert!(matches!(
        org.load_dir(dir.path()),
        Err(LoadError::Object { .. })
    ));
}
