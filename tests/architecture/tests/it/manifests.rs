//! The manifests: nothing declared that nobody uses, and one lint table for everybody.

use std::collections::BTreeSet;

use architecture::{Workspace, root};

use super::{finds, holds};

/// Generated code, which no lint table was written for.
const GENERATED: &str = "pubsub_proto";

fn declared() -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = toml::from_str(&text).unwrap();
    manifest["workspace"]["dependencies"]
        .as_table()
        .unwrap()
        .keys()
        .cloned()
        .collect()
}

fn unused(declared: &BTreeSet<String>, workspace: &Workspace) -> Vec<String> {
    let used: BTreeSet<&str> = workspace
        .members
        .values()
        .flat_map(|member| &member.dependencies)
        .map(|dependency| dependency.known_as.as_str())
        .collect();
    declared
        .iter()
        .filter(|name| !used.contains(name.as_str()))
        .map(|name| format!("no crate uses the workspace dependency {name}"))
        .collect()
}

fn lenient(workspace: &Workspace) -> Vec<String> {
    workspace
        .members
        .iter()
        .filter(|(name, _)| *name != GENERATED)
        .filter(|(_, member)| {
            let lints = member.manifest.get("lints");
            let inherited = lints.and_then(|lints| lints.get("workspace"));
            inherited.and_then(toml::Value::as_bool) != Some(true)
        })
        .map(|(name, _)| format!("{name} has no `[lints] workspace = true`"))
        .collect()
}

#[test]
fn every_workspace_dependency_is_used() {
    holds(&unused(&declared(), &Workspace::read()));
}

#[test]
fn an_unused_workspace_dependency_is_found() {
    let mut declared = declared();
    declared.insert("unheard-of".to_owned());
    finds(
        &unused(&declared, &Workspace::read()),
        "no crate uses the workspace dependency unheard-of",
    );
}

#[test]
fn every_crate_carries_the_lint_table() {
    holds(&lenient(&Workspace::read()));
}

#[test]
fn a_crate_without_the_lint_table_is_found() {
    let mut workspace = Workspace::read();
    let member = workspace.members.get_mut("filter").unwrap();
    member.manifest.remove("lints");
    finds(
        &lenient(&workspace),
        "filter has no `[lints] workspace = true`",
    );
}
