//! The workspace as `cargo metadata` describes it, for the rules in this crate's tests.
#![expect(
    clippy::expect_used,
    reason = "a test tool: it panics where a test would"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// All members.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// By package name.
    pub members: BTreeMap<String, Member>,
}

/// One crate of the workspace.
#[derive(Debug, Clone)]
pub struct Member {
    /// `services`, `shared` or `tests`.
    pub folder: String,
    /// What it depends on, workspace members and others.
    pub dependencies: Vec<Dependency>,
    /// Features with what they turn on.
    pub features: BTreeMap<String, Vec<String>>,
    /// Its `Cargo.toml`.
    pub manifest: toml::Table,
}

/// One line of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The package.
    pub name: String,
    /// The name it has in the manifest and in the code.
    pub known_as: String,
    /// In which of the three tables.
    pub kind: Kind,
    /// Only with a feature.
    pub optional: bool,
}

/// In which table a dependency is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `[dependencies]`.
    Normal,
    /// `[dev-dependencies]`.
    Dev,
    /// `[build-dependencies]`.
    Build,
}

/// The folder of the workspace.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("this crate is two folders below the workspace")
        .to_owned()
}

impl Workspace {
    /// Asks cargo.
    ///
    /// # Panics
    /// When cargo does not answer as documented.
    #[must_use]
    pub fn read() -> Self {
        let output = Command::new(env!("CARGO"))
            .args([
                "metadata",
                "--format-version",
                "1",
                "--no-deps",
                "--offline",
            ])
            .current_dir(root())
            .output()
            .expect("cargo can be run");
        assert!(
            output.status.success(),
            "cargo metadata failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let metadata: Value =
            serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
        let members = list(&metadata, "packages")
            .iter()
            .map(|package| (text(package, "name").to_owned(), Member::of(package)))
            .collect();
        Self { members }
    }

    /// The members in a folder.
    #[must_use]
    pub fn folder(&self, folder: &str) -> BTreeSet<&str> {
        self.members
            .iter()
            .filter(|(_, member)| member.folder == folder)
            .map(|(name, _)| name.as_str())
            .collect()
    }
}

impl Member {
    fn of(package: &Value) -> Self {
        let path = Path::new(text(package, "manifest_path"));
        let folder = path
            .ancestors()
            .nth(2)
            .and_then(Path::file_name)
            .and_then(|name| name.to_str())
            .expect("a member is in a folder of the workspace")
            .to_owned();
        let features = package
            .get("features")
            .and_then(Value::as_object)
            .expect("a package has features")
            .iter()
            .map(|(feature, parts)| {
                let parts = parts.as_array().into_iter().flatten();
                let parts = parts.filter_map(Value::as_str).map(str::to_owned).collect();
                (feature.clone(), parts)
            })
            .collect();
        let manifest = std::fs::read_to_string(path).expect("a manifest can be read");
        Self {
            folder,
            dependencies: list(package, "dependencies")
                .iter()
                .map(Dependency::of)
                .collect(),
            features,
            manifest: toml::from_str(&manifest).expect("a manifest is TOML"),
        }
    }
}

impl Dependency {
    fn of(dependency: &Value) -> Self {
        let name = text(dependency, "name").to_owned();
        let kind = match dependency.get("kind").and_then(Value::as_str) {
            Some("dev") => Kind::Dev,
            Some("build") => Kind::Build,
            _ => Kind::Normal,
        };
        Self {
            known_as: dependency
                .get("rename")
                .and_then(Value::as_str)
                .unwrap_or(&name)
                .to_owned(),
            kind,
            optional: dependency.get("optional").and_then(Value::as_bool) == Some(true),
            name,
        }
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value
        .get(key)
        .and_then(Value::as_str)
        .expect("cargo metadata has this text")
}

fn list<'a>(value: &'a Value, key: &str) -> &'a Vec<Value> {
    value
        .get(key)
        .and_then(Value::as_array)
        .expect("cargo metadata has this list")
}
