//! What the integration user may read: whole objects, and all of their records. Records that may no
//! longer be seen vanish from every answer without a word, and come back without an event.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Row, SalesforceId, soql};
use ports::source::{Source, SourceError};
use runtime::readback::{RelatedQuery, for_each_related, for_each_row};

/// The objects that have object permissions. Contact roles follow their opportunities, and users
/// have none.
const OBJECTS: [&str; 3] = ["Account", "Contact", "Opportunity"];
const ALL_DATA: &str = "all data";
/// The permissions of a set that let the user see every record of every object.
const OF_ALL_DATA: [(&str, &str); 2] = [
    ("PermissionsViewAllData", "View All Data"),
    ("PermissionsModifyAllData", "Modify All Data"),
];
const OF_OBJECT: [(&str, &str); 3] = [
    ("PermissionsRead", "Read"),
    ("PermissionsViewAllRecords", "View All Records"),
    ("PermissionsModifyAllRecords", "Modify All Records"),
];

/// Object, or all data, to the permissions by which the user reads it, as Setup names them.
pub(super) type Access = BTreeMap<String, BTreeSet<String>>;

/// What the profile and the permission sets of the integration user give together; `None` where
/// the user may not see that.
pub(super) async fn read(source: &dyn Source) -> Result<Option<Access>, SourceError> {
    match try_read(source).await {
        Ok(access) => Ok(Some(access)),
        Err(SourceError::Refused { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn try_read(source: &dyn Source) -> Result<Access, SourceError> {
    let user = source.user().await?;
    let mut access = Access::new();
    let mut sets = BTreeSet::new();
    // The profile's own set is assigned like any other, and a group's is the one that Salesforce
    // keeps for it (Object Reference, PermissionSetAssignment).
    let soql = format!(
        "SELECT PermissionSetId, IsActive, IsRevoked, PermissionSet.PermissionsViewAllData, PermissionSet.PermissionsModifyAllData FROM PermissionSetAssignment WHERE AssigneeId = {}",
        soql::quote(user.as_str())
    );
    for_each_row(source, &soql, false, |row| {
        assigned(row, &mut sets, &mut access);
        true
    })
    .await?;
    let and = format!(" AND SobjectType IN {}", soql::in_list(OBJECTS));
    let query = RelatedQuery {
        select: "SobjectType, PermissionsRead, PermissionsViewAllRecords, PermissionsModifyAllRecords",
        from: "ObjectPermissions",
        field: "ParentId",
        and: &and,
    };
    for_each_related(source, query, &sets, |row| {
        let Ok(fields) = row.fields() else { return };
        let object = fields.text("SobjectType").unwrap_or_default();
        for (field, name) in OF_OBJECT {
            if fields.flag(field) {
                give(&mut access, &object, name);
            }
        }
    })
    .await?;
    Ok(access)
}

fn assigned(row: &Row, sets: &mut BTreeSet<SalesforceId>, access: &mut Access) {
    let Ok(fields) = row.fields() else { return };
    if !fields.flag("IsActive") || fields.flag("IsRevoked") {
        return;
    }
    sets.extend(fields.id("PermissionSetId"));
    for (field, name) in OF_ALL_DATA {
        if fields.flag(&format!("PermissionSet.{field}")) {
            give(access, ALL_DATA, name);
        }
    }
}

fn give(access: &mut Access, object: &str, name: &str) {
    let of_object = access.entry(object.to_owned()).or_default();
    of_object.insert(name.to_owned());
}

/// What differs, in sentences.
pub(super) fn moved(before: &Access, now: &Access) -> Vec<String> {
    let none = BTreeSet::new();
    let objects = OBJECTS.into_iter().chain([ALL_DATA]);
    objects
        .flat_map(|object| {
            let old = before.get(object).unwrap_or(&none);
            let new = now.get(object).unwrap_or(&none);
            let lost = old.difference(new).map(move |name| {
                format!(
                    "the integration user no longer has {name} of {object}: records may have become invisible, and mOS keeps what it has; restore it"
                )
            });
            let gained = new.difference(old).map(move |name| {
                format!("the integration user has {name} of {object} now")
            });
            lost.chain(gained).collect::<Vec<_>>()
        })
        .collect()
}
