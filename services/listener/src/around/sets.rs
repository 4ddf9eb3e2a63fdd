//! The definitions of the permission sets that give mOS permission, and of the groups that have
//! them. Who holds them is polled by the permission worker; here it is told what became of the sets.

use std::collections::{BTreeMap, BTreeSet};

use domain::{SalesforceId, soql};
use ports::source::{Source, SourceError};
use runtime::readback::for_each_row;
use serde::{Deserialize, Serialize};

/// The permission sets to watch, as the configuration names them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PermissionSets {
    /// API names.
    pub names: Vec<String>,
    /// The namespace of the package they come from; empty for the org's own.
    pub namespace: String,
}

/// What there is of them in the org.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Definitions {
    sets: BTreeMap<SalesforceId, Set>,
    /// By id.
    groups: BTreeMap<SalesforceId, Group>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Set {
    name: String,
    needs_activation: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Group {
    name: String,
    needs_activation: bool,
    /// The sets that it has, by name.
    sets: BTreeSet<String>,
}

/// Reads them: those of the names, and those that had them `before`, whatever they are called now.
pub(super) async fn read(
    source: &dyn Source,
    wanted: &PermissionSets,
    before: Option<&Definitions>,
) -> Result<Definitions, SourceError> {
    let mut found = Definitions::default();
    let names = soql::in_list(wanted.names.iter().map(String::as_str));
    let namespace = match wanted.namespace.as_str() {
        "" => "null".to_owned(),
        namespace => soql::quote(namespace),
    };
    let known = before.map(|before| &before.sets).into_iter().flatten();
    let known: Vec<&str> = known.map(|(id, _)| id.as_str()).collect();
    let or_known = if known.is_empty() {
        String::new()
    } else {
        format!(" OR Id IN {}", soql::in_list(known))
    };
    let soql = format!(
        "SELECT Id, Name, HasActivationRequired FROM PermissionSet WHERE (Name IN {names} AND NamespacePrefix = {namespace}){or_known}"
    );
    for_each_row(source, &soql, false, |row| {
        if let Ok(fields) = row.fields()
            && let Some(id) = fields.id("Id")
        {
            let set = Set {
                name: fields.text("Name").unwrap_or_default(),
                needs_activation: fields.flag("HasActivationRequired"),
            };
            found.sets.insert(id, set);
        }
        true
    })
    .await?;
    let soql = format!(
        "SELECT PermissionSetGroupId, PermissionSetGroup.DeveloperName, PermissionSetGroup.HasActivationRequired, PermissionSet.Name FROM PermissionSetGroupComponent WHERE PermissionSet.Name IN {names} AND PermissionSet.NamespacePrefix = {namespace}"
    );
    for_each_row(source, &soql, false, |row| {
        if let Ok(fields) = row.fields()
            && let Some(id) = fields.id("PermissionSetGroupId")
        {
            let group = found.groups.entry(id).or_insert_with(|| Group {
                name: fields
                    .text("PermissionSetGroup.DeveloperName")
                    .unwrap_or_default(),
                needs_activation: fields.flag("PermissionSetGroup.HasActivationRequired"),
                sets: BTreeSet::new(),
            });
            group.sets.extend(fields.text("PermissionSet.Name"));
        }
        true
    })
    .await?;
    Ok(found)
}

impl Definitions {
    /// Which of the wanted sets the org has.
    fn names<'a>(&'a self, wanted: &'a PermissionSets) -> BTreeSet<&'a str> {
        let names = self.sets.values().map(|set| set.name.as_str());
        names
            .filter(|name| wanted.names.iter().any(|wanted| wanted == name))
            .collect()
    }

    /// The wanted sets that were there and are not.
    pub(super) fn lost(&self, before: &Self, wanted: &PermissionSets) -> BTreeSet<String> {
        let now = self.names(wanted);
        let lost = before.names(wanted).into_iter();
        lost.filter(|name| !now.contains(name))
            .map(str::to_owned)
            .collect()
    }

    /// Whether the org has a set of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.sets.values().any(|set| set.name == name)
    }

    /// What differs, in sentences.
    pub(super) fn moved(&self, before: &Self, wanted: &PermissionSets) -> Vec<String> {
        let is_wanted = |set: &Set| wanted.names.contains(&set.name);
        let mut said = Vec::new();
        for (id, old) in before.sets.iter().filter(|(_, set)| is_wanted(set)) {
            let name = &old.name;
            match self.sets.get(id) {
                None if self.has(name) => said.push(format!(
                    "the permission set {name} was made anew: the assignments of the old one are gone"
                )),
                None => said.push(format!(
                    "the permission set {name} is gone: nobody holds mOS permission through it; deploy it again or change salesforce.permission_sets"
                )),
                Some(now) if now.name != *name => said.push(format!(
                    "the permission set {name} is called {} now: nobody holds mOS permission through it; rename it or change salesforce.permission_sets",
                    now.name
                )),
                Some(now) if now.needs_activation != old.needs_activation => {
                    said.push(format!("the permission set {name} {}", activation(now.needs_activation)));
                }
                Some(_) => {}
            }
        }
        let had = before.names(wanted);
        let new = self
            .names(wanted)
            .into_iter()
            .filter(|name| !had.contains(name));
        said.extend(new.map(|name| format!("there is a permission set {name} now")));
        said.extend(self.moved_groups(before));
        said
    }

    fn moved_groups(&self, before: &Self) -> Vec<String> {
        let none = BTreeSet::new();
        let all: BTreeSet<_> = before.groups.keys().chain(self.groups.keys()).collect();
        let mut said = Vec::new();
        for id in all {
            let (old, new) = (before.groups.get(id), self.groups.get(id));
            let Some(name) = new.or(old).map(|group| &group.name) else {
                continue;
            };
            let had = old.map_or(&none, |group| &group.sets);
            let has = new.map_or(&none, |group| &group.sets);
            let lost = had.difference(has);
            said.extend(
                lost.map(|set| format!("the permission set group {name} no longer has {set}")),
            );
            let gained = has.difference(had);
            said.extend(gained.map(|set| format!("the permission set group {name} has {set} now")));
            if let (Some(old), Some(new)) = (old, new)
                && old.needs_activation != new.needs_activation
            {
                said.push(format!(
                    "the permission set group {name} {}",
                    activation(new.needs_activation)
                ));
            }
        }
        said
    }
}

const fn activation(needed: bool) -> &'static str {
    if needed {
        "needs a session's activation now, so that it no longer counts"
    } else {
        "needs no session's activation any more, so that it counts"
    }
}
