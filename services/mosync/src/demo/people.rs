//! Whom to sign in as.

use std::collections::BTreeSet;

use fake_salesforce::org::Org;
use fake_salesforce::record::Record;
use fake_salesforce::server::DEFAULT_PASSWORD;

use super::world::World;

const ADMIN_SET: &str = "mOS_Admin";
const SETS: [&str; 2] = [ADMIN_SET, "mOS_User"];

/// Where the console is, and whom to sign in as: an administrator and somebody without rights.
pub(super) fn lines(world: &World) -> Vec<String> {
    let org = &world.salesforce.org;
    let mut lines = vec![format!("the console: http://{}/", world.console)];
    let somebody = |who: &str, what: &str| {
        format!("sign in as {who} with the password {DEFAULT_PASSWORD}: {what}")
    };
    let administrators = holders_of_admin(org);
    let holders = holders(org);
    let users: Vec<Record> = active_users(org);
    let is_in = |ids: &BTreeSet<String>, user: &Record| ids.contains(user.id());
    let administrator = users.iter().find(|user| is_in(&administrators, user));
    lines.push(match administrator.and_then(|user| user.text("Username")) {
        Some(name) => somebody(
            name,
            "an administrator, who holds the permission set mOS admin",
        ),
        None => {
            "nobody in this org holds the permission set mOS admin, so nobody is an administrator"
                .to_owned()
        }
    });
    let stranger = users
        .iter()
        .find(|user| !is_in(&holders, user) && user.id() != org.admin_id());
    if let Some(name) = stranger.and_then(|user| user.text("Username")) {
        lines.push(somebody(
            name,
            "a user without rights, who is told whom to ask",
        ));
    }
    lines
}

fn active_users(org: &Org) -> Vec<Record> {
    let users = org.records("User");
    users
        .into_iter()
        .filter(|user| user.flag("IsActive"))
        .collect()
}

/// Users with the permission set itself; through a group it counts too, but one is enough here.
fn holders_of_admin(org: &Org) -> BTreeSet<String> {
    let sets = org.records("PermissionSet");
    let admin = sets.iter().find(|set| set.text("Name") == Some(ADMIN_SET));
    let Some(admin) = admin else {
        return BTreeSet::new();
    };
    assignees(org, |assignment| {
        assignment.text("PermissionSetId") == Some(admin.id())
    })
}

/// Users with mOS permission of any kind. Every user has some assignment: that of their profile.
fn holders(org: &Org) -> BTreeSet<String> {
    let sets = org.records("PermissionSet");
    let ours = |set: &&Record| {
        let name = set.text("Name");
        name.is_some_and(|name| SETS.contains(&name))
    };
    let ours: BTreeSet<&str> = sets.iter().filter(ours).map(Record::id).collect();
    assignees(org, |assignment| {
        let set = assignment.text("PermissionSetId");
        set.is_some_and(|set| ours.contains(set))
            || assignment.text("PermissionSetGroupId").is_some()
    })
}

fn assignees(org: &Org, counts: impl Fn(&Record) -> bool) -> BTreeSet<String> {
    let assignments = org.records("PermissionSetAssignment");
    assignments
        .iter()
        .filter(|assignment| !assignment.flag("IsDeleted") && counts(assignment))
        .filter_map(|assignment| assignment.text("AssigneeId").map(str::to_owned))
        .collect()
}
