//! `mosync users`, and a licence that the configuration asks for.

use std::time::Duration;

use fake_mos::RecordType;
use fake_salesforce::org::Org;
use ports::Clock as _;
use serde_json::{Value, json};

use crate::embedded::Embedded;
use crate::steps::{inserting, updating};

const DAY: Duration = Duration::from_secs(86_400);
const PATIENCE: Duration = Duration::from_secs(120);

fn update(org: &Org, entity: &str, id: &str, fields: &Value) {
    let update = vec![updating(entity, id, fields)];
    org.transact(org.admin_id(), "e2e", update).unwrap();
}

fn insert(org: &Org, entity: &str, fields: &Value) -> String {
    let insert = vec![inserting(entity, fields)];
    let made = org.transact(org.admin_id(), "e2e", insert).unwrap();
    made.into_iter().find_map(|made| made.id).unwrap()
}

/// One of those who hold permission through a group has the licence; nobody else does.
#[tokio::test(flavor = "multi_thread")]
async fn users_are_told_and_count_with_the_licence_that_the_configuration_asks_for() {
    let mut world = Embedded::prepare().await;
    let file = world.folder.path().join("mosync.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let asked = "[salesforce]\npermission_set_licence = \"mOS_Licence\"\n";
    std::fs::write(&file, text.replace("[salesforce]\n", asked)).unwrap();
    let org = std::sync::Arc::clone(&world.salesforce.org);
    let licence = json!({ "DeveloperName": "mOS_Licence" });
    let licence = insert(&org, "PermissionSetLicense", &licence);
    let assignments = org.records("PermissionSetAssignment");
    let deals = org.records("Opportunity");
    let owns_some = |user: &str| {
        let mut open = deals.iter().filter(|deal| !deal.flag("IsClosed"));
        open.any(|deal| deal.text("OwnerId") == Some(user))
    };
    let mut in_group = assignments
        .iter()
        .filter(|row| row.text("PermissionSetGroupId").is_some())
        .filter_map(|row| row.text("AssigneeId"));
    let holder = in_group.find(|user| owns_some(user)).unwrap();
    let given = json!({ "PermissionSetLicenseId": licence, "AssigneeId": holder });
    insert(&org, "PermissionSetLicenseAssign", &given);
    // It runs out within the days that are warned of.
    let end = runtime::time::SystemClock.now().after(DAY * 2);
    let expires = json!({ "ExpirationDate": end.to_string() });
    for row in &assignments {
        if row.text("AssigneeId") == Some(holder) {
            update(&org, "PermissionSetAssignment", row.id(), &expires);
        }
    }
    world.start();
    world.sync_all().await;

    let held = world.mos.mos.records(RecordType::Opportunity);
    assert!(!held.is_empty());
    assert!(held.iter().all(|deal| deal.fields["owner_id"] == holder));
    let told = world.mosync(&["users"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let mut lines = told.stdout.lines();
    let first = format!(
        "1 users hold mOS permission, with {} opportunities in scope; read ",
        held.len()
    );
    assert!(lines.next().unwrap().starts_with(&first), "{told:?}");
    assert!(lines.next().unwrap().starts_with(holder), "{told:?}");
    let through = lines.next().unwrap();
    for words in ["through the group", " until "] {
        assert!(through.contains(words), "{told:?}");
    }
    let others = lines.next().unwrap();
    assert!(others.contains("users without it own"), "{told:?}");
    assert!(told.stdout.contains("mOS_Licence"), "{told:?}");

    let json = world.mosync(&["users", "--json"]).await;
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    let [only] = &json["holders"].as_array().unwrap()[..] else {
        panic!("one holder: {json:#}");
    };
    assert_eq!(only["opportunities"], held.len());
    assert!(json["others_opportunities"].as_u64().unwrap() > 0);

    // What leaves with that permission is counted by the process that polls permissions, and told.
    let told = async {
        loop {
            let status = world.mosync(&["status", "--json"]).await;
            let status: Value = serde_json::from_str(&status.stdout).unwrap();
            if status["expiring"]["opportunities"] == held.len() {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let status = tokio::time::timeout(PATIENCE, told).await.unwrap();
    assert_eq!(status["expiring"]["users"], 1);
}
