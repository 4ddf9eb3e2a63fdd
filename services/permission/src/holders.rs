//! Who holds mOS permission, read from Salesforce: assignments of the permission sets themselves and
//! of groups that hold them, of active users, with the licences that are asked for.

use std::collections::{BTreeMap, BTreeSet};

use domain::permission::Grant;
use domain::row::Fields;
use domain::{Row, SalesforceId, Timestamp, soql};
use ports::source::{Source, SourceError};
use runtime::readback::for_each_row;

/// Which permission sets and licences count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirements {
    /// API names of the permission sets, any of which gives permission.
    pub permission_sets: Vec<String>,
    /// The namespace of the package they come from; empty for the org's own.
    pub namespace: String,
    /// Holders must also have this permission set licence (developer name), if any is named.
    pub permission_set_licence: Option<String>,
    /// Holders must also have a licence of the package of this namespace, if any is named.
    pub package_namespace: Option<String>,
}

/// User to grants.
pub(crate) type Holders = BTreeMap<SalesforceId, BTreeSet<Grant>>;

/// Reads all of it.
pub(crate) async fn read(
    source: &dyn Source,
    requirements: &Requirements,
) -> Result<Holders, SourceError> {
    let mut holders = Holders::new();
    direct(source, requirements, &mut holders).await?;
    through_groups(source, requirements, &mut holders).await?;
    if let Some(licence) = &requirements.permission_set_licence {
        let condition = format!(
            "PermissionSetLicense.DeveloperName = {}",
            soql::quote(licence)
        );
        let licensed = users(
            source,
            "AssigneeId",
            "PermissionSetLicenseAssign",
            &condition,
        )
        .await?;
        holders.retain(|user, _| licensed.contains(user));
    }
    if let Some(namespace) = &requirements.package_namespace {
        let condition = format!(
            "PackageLicense.NamespacePrefix = {}",
            soql::quote(namespace)
        );
        let licensed = users(source, "UserId", "UserPackageLicense", &condition).await?;
        holders.retain(|user, _| licensed.contains(user));
    }
    Ok(holders)
}

/// Assignments of the sets themselves.
async fn direct(
    source: &dyn Source,
    requirements: &Requirements,
    holders: &mut Holders,
) -> Result<(), SourceError> {
    let soql = format!(
        "SELECT AssigneeId, PermissionSet.Name, ExpirationDate FROM PermissionSetAssignment WHERE {} AND Assignee.IsActive = true AND IsActive = true",
        names_a_set(requirements)
    );
    for row in rows(source, &soql).await? {
        let fields = opened(&row)?;
        let grant = Grant {
            permission_set: text(&fields, "PermissionSet.Name")?,
            group: None,
            expires: expiry(&fields)?,
        };
        let user = id(&fields, "AssigneeId")?;
        holders.entry(user).or_default().insert(grant);
    }
    Ok(())
}

/// Assignments of groups that hold a set: their rows name the group, not the set (Object
/// Reference, `PermissionSetAssignment`).
async fn through_groups(
    source: &dyn Source,
    requirements: &Requirements,
    holders: &mut Holders,
) -> Result<(), SourceError> {
    let mut sets_of = BTreeMap::<SalesforceId, BTreeSet<String>>::new();
    let soql = format!(
        "SELECT PermissionSetGroupId, PermissionSet.Name FROM PermissionSetGroupComponent WHERE {}",
        names_a_set(requirements)
    );
    for row in rows(source, &soql).await? {
        let fields = opened(&row)?;
        let set = text(&fields, "PermissionSet.Name")?;
        let group = id(&fields, "PermissionSetGroupId")?;
        sets_of.entry(group).or_default().insert(set);
    }
    if sets_of.is_empty() {
        return Ok(());
    }
    let soql = format!(
        "SELECT AssigneeId, PermissionSetGroupId, PermissionSetGroup.DeveloperName, ExpirationDate FROM PermissionSetAssignment WHERE PermissionSetGroupId IN {} AND Assignee.IsActive = true AND IsActive = true",
        soql::in_list(sets_of.keys().map(SalesforceId::as_str))
    );
    for row in rows(source, &soql).await? {
        let fields = opened(&row)?;
        let user = id(&fields, "AssigneeId")?;
        let group = id(&fields, "PermissionSetGroupId")?;
        let name = text(&fields, "PermissionSetGroup.DeveloperName")?;
        let expires = expiry(&fields)?;
        for set in sets_of.get(&group).into_iter().flatten() {
            holders.entry(user).or_default().insert(Grant {
                permission_set: set.clone(),
                group: Some(name.clone()),
                expires,
            });
        }
    }
    Ok(())
}

async fn users(
    source: &dyn Source,
    field: &str,
    from: &str,
    condition: &str,
) -> Result<BTreeSet<SalesforceId>, SourceError> {
    let soql = format!("SELECT {field} FROM {from} WHERE {condition}");
    let rows = rows(source, &soql).await?;
    rows.iter().map(|row| id(&opened(row)?, field)).collect()
}

fn names_a_set(requirements: &Requirements) -> String {
    let names = soql::in_list(requirements.permission_sets.iter().map(String::as_str));
    let namespace = match requirements.namespace.as_str() {
        "" => "null".to_owned(),
        namespace => soql::quote(namespace),
    };
    format!("PermissionSet.Name IN {names} AND PermissionSet.NamespacePrefix = {namespace}")
}

async fn rows(source: &dyn Source, soql: &str) -> Result<Vec<Row>, SourceError> {
    let mut rows = Vec::new();
    for_each_row(source, soql, false, |row| {
        rows.push(row.clone());
        true
    })
    .await?;
    Ok(rows)
}

fn opened(row: &Row) -> Result<Fields<'_>, SourceError> {
    row.fields()
        .map_err(|error| SourceError::Garbled(error.to_string()))
}

fn id(fields: &Fields<'_>, field: &str) -> Result<SalesforceId, SourceError> {
    fields.id(field).ok_or_else(|| garbled(field))
}

fn text(fields: &Fields<'_>, field: &str) -> Result<String, SourceError> {
    fields.text(field).ok_or_else(|| garbled(field))
}

/// When an assignment runs out. One that cannot be read must not count as one that never does.
fn expiry(fields: &Fields<'_>) -> Result<Option<Timestamp>, SourceError> {
    match fields.text("ExpirationDate") {
        None => Ok(None),
        Some(text) => Timestamp::parse(&text)
            .map(Some)
            .ok_or_else(|| garbled("ExpirationDate")),
    }
}

fn garbled(field: &str) -> SourceError {
    SourceError::Garbled(format!("a permission row has no usable {field}"))
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use domain::ObjectKind;
    use ports::source::{
        ApiAllowance, BulkPage, BulkQuery, BulkQueryId, EventStream, FieldDescription,
        Organization, Page, StreamStart,
    };
    use serde_json::{Value, json};

    use super::*;

    /// Answers queries by the object they ask, and keeps the conditions.
    struct Org(BTreeMap<&'static str, Vec<Value>>);

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
                    assert!(
                        soql.contains("PermissionSet.Name IN ('mOS_Admin','mOS_User')"),
                        "{soql}"
                    );
                    "direct"
                }
                other => other,
            };
            let rows = self.0.get(kind).cloned().unwrap_or_default();
            Ok(Page {
                total: rows.len() as u64,
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
        fn api_calls(&self) -> u64 {
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

    fn org() -> Org {
        let direct = |n, expires: Value| json!({"AssigneeId": user(n), "PermissionSet": {"Name": "mOS_User"}, "ExpirationDate": expires});
        let component = json!({"PermissionSetGroupId": "0PG000000000001", "PermissionSet": {"Name": "mOS_User"}});
        let by_group = json!({"AssigneeId": user(3), "PermissionSetGroupId": "0PG000000000001", "PermissionSetGroup": {"DeveloperName": "Sales_Apps"}, "ExpirationDate": null});
        Org(BTreeMap::from([
            (
                "direct",
                vec![
                    direct(1, Value::Null),
                    direct(2, json!("2027-01-01T00:00:00.000+0000")),
                ],
            ),
            ("PermissionSetGroupComponent", vec![component]),
            ("by group", vec![by_group]),
            (
                "PermissionSetLicenseAssign",
                vec![
                    json!({"AssigneeId": user(1)}),
                    json!({"AssigneeId": user(3)}),
                ],
            ),
            (
                "UserPackageLicense",
                vec![json!({"UserId": user(3)}), json!({"UserId": user(9)})],
            ),
        ]))
    }

    fn requirements() -> Requirements {
        Requirements {
            permission_sets: vec!["mOS_Admin".to_owned(), "mOS_User".to_owned()],
            namespace: String::new(),
            permission_set_licence: None,
            package_namespace: None,
        }
    }

    async fn who(org: &Org, requirements: &Requirements) -> Vec<SalesforceId> {
        read(org, requirements).await.unwrap().into_keys().collect()
    }

    #[tokio::test]
    async fn sets_are_held_directly_and_through_groups() {
        let holders = read(&org(), &requirements()).await.unwrap();
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
    }

    #[tokio::test]
    async fn an_expiry_that_cannot_be_read_is_no_permission_for_ever() {
        let mut org = org();
        org.0.get_mut("direct").unwrap()[0]["ExpirationDate"] = json!("soon");
        assert!(matches!(
            read(&org, &requirements()).await,
            Err(SourceError::Garbled(_))
        ));
    }

    #[test]
    fn a_namespace_is_part_of_the_name() {
        assert!(names_a_set(&requirements()).ends_with("NamespacePrefix = null"));
        let packaged = Requirements {
            namespace: "mos".to_owned(),
            ..requirements()
        };
        assert!(names_a_set(&packaged).ends_with("NamespacePrefix = 'mos'"));
    }
}
