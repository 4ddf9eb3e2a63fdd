//! What Salesforce says of who holds the permission sets: every assignment of the sets themselves
//! and of the groups that have them, of whomever, with the licences that are asked for. What counts
//! of it is decided by [`domain::permission::decide()`].

use std::collections::{BTreeMap, BTreeSet};

use crate::readback::{RelatedQuery, fields, for_each_related, rows};
use domain::permission::{Assignment, Grant, Licensed, Reading};
use domain::row::Fields;
use domain::{Row, SalesforceId, Timestamp, soql};
use ports::source::{Source, SourceError};

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

/// A group that has one of the sets or several.
#[derive(Debug, Clone)]
struct Group {
    name: String,
    needs_activation: bool,
    /// The sets, and whether each needs activation.
    sets: BTreeSet<(String, bool)>,
}

/// Everybody's assignments, and who is licensed.
///
/// # Errors
/// Salesforce's, and [`SourceError::Garbled`] for a row that cannot be understood.
pub async fn read(
    source: &dyn Source,
    requirements: &Requirements,
) -> Result<Reading, SourceError> {
    let mut reading = assignments(source, requirements, "").await?;
    if let Some(licence) = &requirements.permission_set_licence {
        let condition = format!(
            "PermissionSetLicense.DeveloperName = {}",
            soql::quote(licence)
        );
        let users = users(
            source,
            "AssigneeId",
            "PermissionSetLicenseAssign",
            &condition,
        )
        .await?;
        reading.permission_set_licence = Some(Licensed {
            name: licence.clone(),
            users,
        });
    }
    if let Some(namespace) = &requirements.package_namespace {
        let condition = format!(
            "PackageLicense.NamespacePrefix = {}",
            soql::quote(namespace)
        );
        let users = users(source, "UserId", "UserPackageLicense", &condition).await?;
        reading.package_licence = Some(Licensed {
            name: namespace.clone(),
            users,
        });
    }
    Ok(reading)
}

/// One user's assignments, whatever licences are asked for.
///
/// # Errors
/// Those of [`read`].
pub async fn read_of(
    source: &dyn Source,
    requirements: &Requirements,
    user: SalesforceId,
) -> Result<Reading, SourceError> {
    let theirs = format!(" AND AssigneeId = {}", soql::quote(user.as_str()));
    assignments(source, requirements, &theirs).await
}

/// The assignments that meet further conditions, each beginning with ` AND `.
async fn assignments(
    source: &dyn Source,
    requirements: &Requirements,
    and: &str,
) -> Result<Reading, SourceError> {
    let mut reading = Reading {
        assignments: direct(source, requirements, and).await?,
        ..Reading::default()
    };
    through_groups(source, requirements, and, &mut reading).await?;
    Ok(reading)
}

/// What is asked of every assignment.
const ASSIGNMENT: &str = "AssigneeId, Assignee.IsActive, ExpirationDate, IsActive, IsRevoked";

/// Assignments of the sets themselves. The row of a group's assignment names the set that Salesforce
/// keeps for the group, whose name may be anything.
async fn direct(
    source: &dyn Source,
    requirements: &Requirements,
    and: &str,
) -> Result<Vec<Assignment>, SourceError> {
    let soql = format!(
        "SELECT {ASSIGNMENT}, PermissionSet.Name, PermissionSet.HasActivationRequired FROM PermissionSetAssignment WHERE {} AND PermissionSetGroupId = null{and}",
        names_a_set(requirements)
    );
    let rows = rows(source, &soql).await?;
    let assignments = rows.iter().map(|row| {
        let fields = fields(row)?;
        let grant = Grant {
            permission_set: qualified(requirements, &text(&fields, "PermissionSet.Name")?),
            group: None,
            expires: expiry(&fields)?,
        };
        let needs_activation = fields.flag("PermissionSet.HasActivationRequired");
        assignment(&fields, grant, needs_activation, false)
    });
    assignments.collect()
}

/// Assignments of groups that have a set: their rows name the group, not the set (Object
/// Reference, `PermissionSetAssignment`).
async fn through_groups(
    source: &dyn Source,
    requirements: &Requirements,
    and: &str,
    reading: &mut Reading,
) -> Result<(), SourceError> {
    let groups = groups(source, requirements, reading).await?;
    let select = format!("{ASSIGNMENT}, PermissionSetGroupId");
    let query = RelatedQuery {
        select: &select,
        from: "PermissionSetAssignment",
        field: "PermissionSetGroupId",
        and,
    };
    let mut found = Ok(());
    for_each_related(source, query, &groups.keys().copied().collect(), |row| {
        if found.is_ok() {
            found = of_group(row, &groups, &mut reading.assignments);
        }
    })
    .await?;
    found
}

/// An assignment of a group is one of each of its sets.
fn of_group(
    row: &Row,
    groups: &BTreeMap<SalesforceId, Group>,
    assignments: &mut Vec<Assignment>,
) -> Result<(), SourceError> {
    let fields = fields(row)?;
    let group = id(&fields, "PermissionSetGroupId")?;
    let Some(group) = groups.get(&group) else {
        return Err(garbled("PermissionSetGroupId"));
    };
    for (set, needs_activation) in &group.sets {
        let grant = Grant {
            permission_set: set.clone(),
            group: Some(group.name.clone()),
            expires: expiry(&fields)?,
        };
        assignments.push(assignment(
            &fields,
            grant,
            *needs_activation,
            group.needs_activation,
        )?);
    }
    Ok(())
}

/// The groups that have one of the sets as a member. A muting set is a member too, but none of
/// these.
async fn groups(
    source: &dyn Source,
    requirements: &Requirements,
    reading: &mut Reading,
) -> Result<BTreeMap<SalesforceId, Group>, SourceError> {
    let soql = format!(
        "SELECT PermissionSetGroupId, PermissionSetGroup.DeveloperName, PermissionSetGroup.NamespacePrefix, PermissionSetGroup.Status, PermissionSetGroup.HasActivationRequired, PermissionSet.Name, PermissionSet.HasActivationRequired FROM PermissionSetGroupComponent WHERE {}",
        names_a_set(requirements)
    );
    let mut groups = BTreeMap::<SalesforceId, Group>::new();
    for row in rows(source, &soql).await? {
        let fields = fields(&row)?;
        let name = text(&fields, "PermissionSetGroup.DeveloperName")?;
        let name = match fields.text("PermissionSetGroup.NamespacePrefix") {
            Some(namespace) => format!("{namespace}__{name}"),
            None => name,
        };
        let status = text(&fields, "PermissionSetGroup.Status")?;
        if status != "Updated" {
            reading.unsettled_groups.insert(name.clone(), status);
        }
        let set = qualified(requirements, &text(&fields, "PermissionSet.Name")?);
        let group = id(&fields, "PermissionSetGroupId")?;
        let group = groups.entry(group).or_insert_with(|| Group {
            name,
            needs_activation: fields.flag("PermissionSetGroup.HasActivationRequired"),
            sets: BTreeSet::new(),
        });
        let needs_activation = fields.flag("PermissionSet.HasActivationRequired");
        group.sets.insert((set, needs_activation));
    }
    Ok(groups)
}

fn assignment(
    fields: &Fields<'_>,
    grant: Grant,
    set_needs_activation: bool,
    group_needs_activation: bool,
) -> Result<Assignment, SourceError> {
    Ok(Assignment {
        user: id(fields, "AssigneeId")?,
        user_is_active: fields.flag("Assignee.IsActive"),
        grant,
        is_active: fields.flag("IsActive"),
        is_revoked: fields.flag("IsRevoked"),
        set_needs_activation,
        group_needs_activation,
    })
}

async fn users(
    source: &dyn Source,
    field: &str,
    from: &str,
    condition: &str,
) -> Result<BTreeSet<SalesforceId>, SourceError> {
    let soql = format!("SELECT {field} FROM {from} WHERE {condition}");
    let rows = rows(source, &soql).await?;
    rows.iter().map(|row| id(&fields(row)?, field)).collect()
}

/// The name with its namespace, as Setup shows it.
fn qualified(requirements: &Requirements, name: &str) -> String {
    match requirements.namespace.as_str() {
        "" => name.to_owned(),
        namespace => format!("{namespace}__{name}"),
    }
}

fn names_a_set(requirements: &Requirements) -> String {
    let names = soql::in_list(requirements.permission_sets.iter().map(String::as_str));
    let namespace = match requirements.namespace.as_str() {
        "" => "null".to_owned(),
        namespace => soql::quote(namespace),
    };
    format!("PermissionSet.Name IN {names} AND PermissionSet.NamespacePrefix = {namespace}")
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
mod tests;
