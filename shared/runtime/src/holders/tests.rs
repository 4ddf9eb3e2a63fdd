use async_trait::async_trait;
use domain::ObjectKind;
use domain::permission::{Decision, Obstacle, decide};
use ports::source::{
    ApiAllowance, BulkPage, BulkQuery, BulkQueryId, EventStream, FieldDescription, Organization,
    Page, StreamStart,
};
use serde_json::{Value, json};

use super::*;

/// Answers queries by the object they ask, and checks the conditions; promises so many rows more
/// than come.
struct Org(BTreeMap<&'static str, Vec<Value>>, u64);

#[async_trait]
impl Source for Org {
    async fn query(&self, soql: &str, deleted: bool) -> Result<Page, SourceError> {
        assert!(!deleted);
        let from = soql
            .split(" FROM ")
            .nth(1)
            .unwrap()
            .split(' ')
            .next()
            .unwrap();
        let kind = match from {
            "PermissionSetAssignment" if soql.contains("PermissionSetGroupId IN ('0PG") => {
                "by group"
            }
            "PermissionSetAssignment" => {
                assert!(soql.contains("PermissionSet.Name IN ('mOS_Admin','mOS_User')"));
                assert!(soql.ends_with(" AND PermissionSetGroupId = null"), "{soql}");
                "direct"
            }
            other => other,
        };
        let rows = self.0.get(kind).cloned().unwrap_or_default();
        Ok(Page {
            total: rows.len() as u64 + self.1,
            rows: rows.iter().map(|row| Row::of(row).unwrap()).collect(),
            next: None,
        })
    }
    async fn organization(&self) -> Result<Organization, SourceError> {
        unreachable!("not asked for")
    }
    async fn user(&self) -> Result<SalesforceId, SourceError> {
        unreachable!("not asked for")
    }
    fn api_calls(&self) -> u64 {
        unreachable!("not asked for")
    }
    async fn next_page(&self, _: &str) -> Result<Page, SourceError> {
        unreachable!("one page each")
    }
    async fn retrieve(
        &self,
        _: ObjectKind,
        _: &[SalesforceId],
        _: &[String],
    ) -> Result<Vec<Option<Row>>, SourceError> {
        unreachable!("not asked for")
    }
    async fn describe(&self, _: &str) -> Result<Vec<FieldDescription>, SourceError> {
        unreachable!("not asked for")
    }
    async fn limits(&self) -> Result<ApiAllowance, SourceError> {
        unreachable!("not asked for")
    }
    async fn create_bulk_query(&self, _: &str) -> Result<BulkQueryId, SourceError> {
        unreachable!("not asked for")
    }
    async fn bulk_query(&self, _: &BulkQueryId) -> Result<BulkQuery, SourceError> {
        unreachable!("not asked for")
    }
    async fn bulk_results(
        &self,
        _: &BulkQueryId,
        _: &[String],
        _: Option<&str>,
        _: u32,
    ) -> Result<Box<dyn BulkPage>, SourceError> {
        unreachable!("not asked for")
    }
    async fn remove_bulk_query(&self, _: &BulkQueryId) -> Result<(), SourceError> {
        unreachable!("not asked for")
    }
    async fn subscribe(
        &self,
        _: &str,
        _: StreamStart,
    ) -> Result<Box<dyn EventStream>, SourceError> {
        unreachable!("not asked for")
    }
}

fn user(n: u8) -> SalesforceId {
    SalesforceId::parse(&format!("00500000000000{n}")).unwrap()
}

const GROUP: &str = "0PG000000000001";

fn direct(n: u8) -> Value {
    json!({
        "AssigneeId": user(n),
        "Assignee": {"IsActive": true},
        "PermissionSet": {"Name": "mOS_User", "HasActivationRequired": false},
        "ExpirationDate": null,
        "IsActive": true,
        "IsRevoked": false,
    })
}

fn by_group(n: u8) -> Value {
    json!({
        "AssigneeId": user(n),
        "Assignee": {"IsActive": true},
        "PermissionSetGroupId": GROUP,
        "ExpirationDate": null,
        "IsActive": true,
        "IsRevoked": false,
    })
}

fn component(set: &str) -> Value {
    json!({
        "PermissionSetGroupId": GROUP,
        "PermissionSetGroup": {"DeveloperName": "Sales_Apps", "NamespacePrefix": null, "Status": "Updated", "HasActivationRequired": false},
        "PermissionSet": {"Name": set, "HasActivationRequired": false},
    })
}

fn with(mut row: Value, path: &str, value: Value) -> Value {
    *row.pointer_mut(path).unwrap() = value;
    row
}

fn org() -> Org {
    let licensed = |n| json!({ "AssigneeId": user(n) });
    let of_package = |n| json!({ "UserId": user(n) });
    let until = json!("2027-01-01T00:00:00.000+0000");
    let rows = BTreeMap::from([
        (
            "direct",
            vec![direct(1), with(direct(2), "/ExpirationDate", until)],
        ),
        ("PermissionSetGroupComponent", vec![component("mOS_User")]),
        ("by group", vec![by_group(3)]),
        ("PermissionSetLicenseAssign", vec![licensed(1), licensed(3)]),
        ("UserPackageLicense", vec![of_package(3), of_package(9)]),
    ]);
    Org(rows, 0)
}

fn requirements() -> Requirements {
    Requirements {
        permission_sets: vec!["mOS_Admin".to_owned(), "mOS_User".to_owned()],
        namespace: String::new(),
        permission_set_licence: None,
        package_namespace: None,
    }
}

fn now() -> Timestamp {
    Timestamp::parse("2026-11-22T00:00:00Z").unwrap()
}

async fn decided(org: &Org, requirements: &Requirements) -> Decision {
    decide(&read(org, requirements).await.unwrap(), now())
}

async fn who(org: &Org, requirements: &Requirements) -> Vec<SalesforceId> {
    decided(org, requirements)
        .await
        .holders
        .into_keys()
        .collect()
}

#[tokio::test]
async fn sets_are_held_directly_and_through_groups() {
    let holders = decided(&org(), &requirements()).await.holders;
    assert_eq!(
        holders.keys().copied().collect::<Vec<_>>(),
        [user(1), user(2), user(3)]
    );
    let grant = |n| holders[&user(n)].first().unwrap().clone();
    assert_eq!(grant(1).expires, None);
    assert_eq!(
        grant(2).expires,
        Timestamp::parse("2027-01-01T00:00:00.000Z")
    );
    assert_eq!(grant(3).group.as_deref(), Some("Sales_Apps"));
}

#[tokio::test]
async fn a_group_with_both_sets_gives_both() {
    let mut org = org();
    let components = org.0.get_mut("PermissionSetGroupComponent").unwrap();
    components.push(component("mOS_Admin"));
    let holders = decided(&org, &requirements()).await.holders;
    let sets = holders[&user(3)].iter().map(|grant| &*grant.permission_set);
    assert_eq!(sets.collect::<Vec<_>>(), ["mOS_Admin", "mOS_User"]);
}

#[tokio::test]
async fn what_salesforce_says_of_an_assignment_reaches_the_rule() {
    for (place, path, value, obstacle) in [
        (
            "direct",
            "/Assignee/IsActive",
            json!(false),
            Obstacle::UserInactive,
        ),
        ("direct", "/IsActive", json!(false), Obstacle::NotActive),
        ("direct", "/IsRevoked", json!(true), Obstacle::Revoked),
        (
            "direct",
            "/ExpirationDate",
            json!("2026-11-22T00:00:00.000+0000"),
            Obstacle::Expired,
        ),
        (
            "direct",
            "/PermissionSet/HasActivationRequired",
            json!(true),
            Obstacle::SetNeedsActivation,
        ),
        (
            "by group",
            "/Assignee/IsActive",
            json!(false),
            Obstacle::UserInactive,
        ),
        ("by group", "/IsRevoked", json!(true), Obstacle::Revoked),
        (
            "PermissionSetGroupComponent",
            "/PermissionSetGroup/HasActivationRequired",
            json!(true),
            Obstacle::GroupNeedsActivation,
        ),
        (
            "PermissionSetGroupComponent",
            "/PermissionSet/HasActivationRequired",
            json!(true),
            Obstacle::SetNeedsActivation,
        ),
    ] {
        let mut org = org();
        let row = &mut org.0.get_mut(place).unwrap()[0];
        *row = with(row.clone(), path, value);
        let decision = decided(&org, &requirements()).await;
        let user = if place == "direct" { user(1) } else { user(3) };
        assert!(!decision.holders.contains_key(&user), "{place} {path}");
        let miss = decision.near_misses[&user].first().unwrap();
        assert_eq!(miss.because, [obstacle].into(), "{place} {path}");
    }
}

#[tokio::test]
async fn a_group_that_is_being_computed_counts_and_is_remarked() {
    let mut org = org();
    let row = &mut org.0.get_mut("PermissionSetGroupComponent").unwrap()[0];
    *row = with(row.clone(), "/PermissionSetGroup/Status", json!("Outdated"));
    let reading = read(&org, &requirements()).await.unwrap();
    assert_eq!(reading.unsettled_groups["Sales_Apps"], "Outdated");
    assert!(decide(&reading, now()).holders.contains_key(&user(3)));
}

#[tokio::test]
async fn licences_are_asked_for_only_where_configured() {
    let licence = Requirements {
        permission_set_licence: Some("mOS".to_owned()),
        ..requirements()
    };
    assert_eq!(who(&org(), &licence).await, [user(1), user(3)]);
    let package = Requirements {
        package_namespace: Some("mos".to_owned()),
        ..requirements()
    };
    assert_eq!(who(&org(), &package).await, [user(3)]);
    let both = Requirements {
        package_namespace: Some("mos".to_owned()),
        ..licence
    };
    assert_eq!(who(&org(), &both).await, [user(3)]);
    let decision = decided(&org(), &both).await;
    let miss = decision.near_misses[&user(1)].first().unwrap();
    let namespace = "mos".to_owned();
    assert_eq!(
        miss.because,
        [Obstacle::NoPackageLicence { namespace }].into()
    );
}

#[tokio::test]
async fn an_expiry_that_cannot_be_read_is_no_permission_for_ever() {
    for place in ["direct", "by group"] {
        let mut org = org();
        org.0.get_mut(place).unwrap()[0]["ExpirationDate"] = json!("soon");
        assert!(matches!(
            read(&org, &requirements()).await,
            Err(SourceError::Garbled(_))
        ));
    }
}

/// Who was left out would have lost permission.
#[tokio::test]
async fn an_answer_with_fewer_rows_than_it_promises_decides_nothing() {
    let short = Org(org().0, 1);
    let answer = read(&short, &requirements()).await;
    assert!(matches!(answer, Err(SourceError::Garbled(_))), "{answer:?}");
}

#[tokio::test]
async fn a_namespace_is_part_of_the_name() {
    assert!(names_a_set(&requirements()).ends_with("NamespacePrefix = null"));
    let packaged = Requirements {
        namespace: "mos".to_owned(),
        ..requirements()
    };
    assert!(names_a_set(&packaged).ends_with("NamespacePrefix = 'mos'"));
    let holders = decided(&org(), &packaged).await.holders;
    let grants = holders.values().flatten();
    assert!(
        grants
            .into_iter()
            .all(|grant| grant.permission_set == "mos__mOS_User")
    );
}
