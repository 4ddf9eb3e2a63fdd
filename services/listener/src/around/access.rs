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
const USERS: &str = "users";
/// The permissions of a set that let the user see every record: of every object, or of users.
const OF_SET: [(&str, &str, &str); 3] = [
    ("PermissionsViewAllData", ALL_DATA, "View All Data"),
    ("PermissionsModifyAllData", ALL_DATA, "Modify All Data"),
    ("PermissionsViewAllUsers", USERS, "View All Users"),
];
const READ: &str = "Read";
const OF_OBJECT: [(&str, &str); 3] = [
    ("PermissionsRead", READ),
    ("PermissionsViewAllRecords", "View All Records"),
    ("PermissionsModifyAllRecords", "Modify All Records"),
];

/// Object, all data or users, to the permissions by which the user reads it, as Setup names them.
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
        "SELECT PermissionSetId, IsActive, IsRevoked, PermissionSet.PermissionsViewAllData, PermissionSet.PermissionsModifyAllData, PermissionSet.PermissionsViewAllUsers FROM PermissionSetAssignment WHERE AssigneeId = {}",
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
    for (field, object, name) in OF_SET {
        if fields.flag(&format!("PermissionSet.{field}")) {
            give(access, object, name);
        }
    }
}

fn give(access: &mut Access, object: &str, name: &str) {
    let of_object = access.entry(object.to_owned()).or_default();
    of_object.insert(name.to_owned());
}

/// What the user may not see, and what to do; `None` where it sees everything. What is not shared with
/// it is in no answer, and a channel of several objects leaves out the events of such a one; those of
/// users need View All Users, whatever else the user may see (Change Data Capture Developer Guide,
/// required permissions).
pub(super) fn blind_spots(access: &Access, users_are_polled: bool) -> Option<String> {
    let users = (!users_are_polled && !access.contains_key(USERS)).then(|| {
        "the integration user does not have View All Users: the event stream leaves out the changes of users without a word; give it View All Users by its profile or a permission set, or poll users (salesforce.polled_objects)".to_owned()
    });
    let found: Vec<String> = of_records(access).into_iter().chain(users).collect();
    (!found.is_empty()).then(|| found.join("; "))
}

/// The objects of which it may not see every record.
fn of_records(access: &Access) -> Option<String> {
    if access.contains_key(ALL_DATA) {
        return None;
    }
    let sees_shared_alone = |object: &&str| {
        let given = access.get(*object);
        given.is_none_or(|given| given.iter().all(|name| name == READ))
    };
    let objects: Vec<&str> = OBJECTS.into_iter().filter(sees_shared_alone).collect();
    (!objects.is_empty()).then(|| {
        format!(
            "the integration user has neither View All Data nor View All Records of {}: records that are not shared with it are not in mOS, and their changes may not be heard of; give it View All Records of these objects by its profile or a permission set",
            objects.join(", ")
        )
    })
}

/// What differs, in sentences.
pub(super) fn moved(before: &Access, now: &Access) -> Vec<String> {
    let none = BTreeSet::new();
    let objects = OBJECTS.into_iter().chain([ALL_DATA, USERS]);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_object_of_which_only_shared_records_are_seen_is_a_blind_spot() {
        let mut access = Access::new();
        for (object, name) in [
            ("Account", "Modify All Records"),
            ("Contact", READ),
            ("Opportunity", READ),
            ("Opportunity", "View All Records"),
        ] {
            give(&mut access, object, name);
        }
        let told = blind_spots(&access, true).unwrap();
        assert!(told.contains("View All Records of Contact:"), "{told}");
        let nothing = blind_spots(&Access::new(), true).unwrap();
        assert!(nothing.contains("of Account, Contact, Opportunity:"));
        for name in ["View All Data", "Modify All Data"] {
            let mut access = access.clone();
            give(&mut access, ALL_DATA, name);
            assert_eq!(blind_spots(&access, true), None);
        }
    }

    #[test]
    fn users_whose_changes_are_not_told_are_a_blind_spot_unless_they_are_polled() {
        let mut access = Access::new();
        give(&mut access, ALL_DATA, "View All Data");
        let told = blind_spots(&access, false).unwrap();
        assert!(told.contains("does not have View All Users:"), "{told}");
        assert_eq!(blind_spots(&access, true), None);
        let both = blind_spots(&Access::new(), false).unwrap();
        assert!(both.contains("View All Records of Account") && both.contains("View All Users:"));
        give(&mut access, USERS, "View All Users");
        assert_eq!(blind_spots(&access, false), None);
    }
}
