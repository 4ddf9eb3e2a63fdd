//! Whom to sign in as.

use std::collections::BTreeSet;

use fake_salesforce::dml::Dml;
use fake_salesforce::org::Org;
use fake_salesforce::record::Record;
use fake_salesforce::server::DEFAULT_PASSWORD;
use serde_json::{Value, json};

use super::author::LEFT_ALONE;
use super::world::World;
use crate::exit::Failure;

const ADMIN_SET: &str = "mOS_Admin";

/// Sees to it that there is somebody of either kind in the org: a user who holds nothing, whom the
/// changes of the demo leave alone, and an administrator of the console where the org has none, with
/// the permission set where it has none of that either.
pub(super) fn prepare(org: &Org) -> Result<(), Failure> {
    if visitor(org).is_none() {
        add_user(org, "Vic", "Visitor")?;
    }
    if administrator(org).is_none() {
        let set = match admin_set(org) {
            Some(set) => set,
            None => insert(
                org,
                "PermissionSet",
                json!({"Name": ADMIN_SET, "Label": "mOS admin"}),
            )?,
        };
        let user = add_user(org, "Ada", "Administrator")?;
        let fields = json!({"AssigneeId": user, "PermissionSetId": set});
        insert(org, "PermissionSetAssignment", fields)?;
    }
    Ok(())
}

fn add_user(org: &Org, first: &str, last: &str) -> Result<String, Failure> {
    let username = format!("{}{LEFT_ALONE}", last.to_lowercase());
    let fields = json!({
        "FirstName": first, "LastName": last, "Username": username, "Email": username,
        "IsActive": true,
    });
    insert(org, "User", fields)
}

/// The id of what was inserted.
fn insert(org: &Org, entity: &str, fields: Value) -> Result<String, Failure> {
    let insert = Dml::Insert {
        entity: entity.to_owned(),
        fields: fields.as_object().cloned().unwrap_or_default(),
    };
    let unmade = |why: &str| {
        Failure::failed(format!(
            "the demo's org takes no {entity} to sign in with: {why}"
        ))
    };
    let made = org
        .transact(org.admin_id(), "", vec![insert])
        .map_err(|error| unmade(&error.to_string()))?;
    let made = made.into_iter().find_map(|made| made.id);
    made.ok_or_else(|| unmade("it answers no id"))
}

/// Where the console is, and whom to sign in as: an administrator and somebody without rights.
pub(super) fn lines(world: &World) -> Vec<String> {
    let org = &world.salesforce.org;
    let somebody = |user: &Record, what: &str| {
        let name = user.text("Username").unwrap_or_default();
        format!("sign in as {name} with the password {DEFAULT_PASSWORD}: {what}")
    };
    let administrator = administrator(org).map_or_else(
        || "this org has no permission set mOS_Admin, so nobody is an administrator".to_owned(),
        |user| {
            somebody(
                &user,
                "an administrator, who holds the permission set mOS admin",
            )
        },
    );
    let mut lines = vec![
        format!("the console: http://{}/", world.console),
        administrator,
    ];
    lines.extend(
        visitor(org).map(|user| somebody(&user, "a user without rights, who is told whom to ask")),
    );
    lines
}

/// An active user who holds the permission set itself, for good; through a group it counts too, but
/// one is enough here.
fn administrator(org: &Org) -> Option<Record> {
    let set = admin_set(org)?;
    let holders = assignees(org, |assignment| {
        assignment.text("PermissionSetId") == Some(set.as_str())
            && assignment.text("ExpirationDate").is_none()
    });
    active_users(org)
        .into_iter()
        .find(|user| holders.contains(user.id()))
}

/// An active user who has no right in the console and will not be given any. (Everybody has some
/// assignment: that of their profile.)
fn visitor(org: &Org) -> Option<Record> {
    let set = admin_set(org);
    let administrators = assignees(org, |assignment| {
        set.is_some() && assignment.text("PermissionSetId") == set.as_deref()
    });
    active_users(org).into_iter().find(|user| {
        let username = user.text("Username").unwrap_or_default();
        username.ends_with(LEFT_ALONE) && !administrators.contains(user.id())
    })
}

fn admin_set(org: &Org) -> Option<String> {
    let sets = org.records("PermissionSet");
    let admin = sets.iter().find(|set| set.text("Name") == Some(ADMIN_SET));
    admin.map(|set| set.id().to_owned())
}

fn active_users(org: &Org) -> Vec<Record> {
    let users = org.records("User");
    users
        .into_iter()
        .filter(|user| user.flag("IsActive"))
        .collect()
}

/// Users with an assignment that counts.
fn assignees(org: &Org, counts: impl Fn(&Record) -> bool) -> BTreeSet<String> {
    let assignments = org.records("PermissionSetAssignment");
    assignments
        .iter()
        .filter(|assignment| !assignment.flag("IsDeleted") && counts(assignment))
        .filter_map(|assignment| assignment.text("AssigneeId").map(str::to_owned))
        .collect()
}
