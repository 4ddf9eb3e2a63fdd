//! Who may see whom: domain <- ports <- runtime <- services; adapters see domain and ports; only
//! `boot` sees adapters and only `mosync` sees `boot`; what judges the product shares no code with it.

use architecture::{Dependency, Kind, Workspace};

use super::{finds, holds};

const CORE: [&str; 3] = ["domain", "ports", "runtime"];
const ADAPTERS: [&str; 6] = [
    "amqp",
    "embedded",
    "mos",
    "notify",
    "redis_store",
    "salesforce",
];
const JUDGES: [&str; 3] = ["fake-mos", "fake-salesforce", "oracle"];
/// The executable, and the feature through which alone it links stand-ins and judge.
const EXECUTABLE: &str = "mosync";
const DEMO: &str = "demo";

/// The libraries that speak to the outside, each with the crates of the product that may.
const CLIENTS: [(&str, &[&str]); 6] = [
    ("lapin", &["amqp"]),
    ("lettre", &["notify"]),
    ("redis", &["redis_store"]),
    ("reqwest", &["mos", "notify", "salesforce"]),
    ("rusqlite", &["embedded"]),
    ("tonic", &["pubsub_proto", "salesforce"]),
];
/// What a pure crate cannot use.
const IMPURE: [&str; 5] = ["async-trait", "rand", "tokio", "tokio-util", "tracing"];

/// Whom a crate of the product may see; `None`: it has no place yet.
fn may_see<'a>(workspace: &'a Workspace, name: &str) -> Option<Vec<&'a str>> {
    let services = || {
        workspace
            .folder("services")
            .into_iter()
            .filter(|service| *service != EXECUTABLE)
    };
    Some(match name {
        "domain" | "pubsub_proto" => vec![],
        "ports" => vec!["domain"],
        "runtime" => vec!["domain", "ports"],
        "salesforce" => vec!["domain", "ports", "pubsub_proto"],
        _ if ADAPTERS.contains(&name) => vec!["domain", "ports"],
        "boot" => services().chain(CORE).chain(ADAPTERS).collect(),
        EXECUTABLE => CORE.into_iter().chain(["boot"]).collect(),
        _ if services().any(|service| service == name) => CORE.to_vec(),
        _ => return None,
    })
}

/// Directions within the product.
fn wrong_directions(workspace: &Workspace) -> Vec<String> {
    let tests = workspace.folder("tests");
    let mut faults = Vec::new();
    for (name, member) in &workspace.members {
        if member.folder == "tests" {
            continue;
        }
        let Some(allowed) = may_see(workspace, name) else {
            faults.push(format!("{name} has no place in the directions"));
            continue;
        };
        for dependency in &member.dependencies {
            let seen = dependency.name.as_str();
            let excused = tests.contains(seen)
                && (dependency.kind == Kind::Dev || (name == EXECUTABLE && dependency.optional));
            if workspace.members.contains_key(seen) && !allowed.contains(&seen) && !excused {
                faults.push(format!("{name} must not see {seen}"));
            }
        }
    }
    faults
}

/// Stand-ins and oracle share nothing with the product but the generated wire code.
fn partial_judges(workspace: &Workspace) -> Vec<String> {
    let mut faults = Vec::new();
    for judge in JUDGES {
        let Some(member) = workspace.members.get(judge) else {
            faults.push(format!("{judge} is gone"));
            continue;
        };
        for Dependency { name, .. } in &member.dependencies {
            let common = workspace.members.get(name);
            if common.is_some_and(|common| common.folder != "tests") && name != "pubsub_proto" {
                faults.push(format!("{judge} shares {name} with what it judges"));
            }
        }
    }
    faults
}

/// Stand-ins are linked by the default feature `demo` and by nothing else.
fn stand_ins_without_the_feature(workspace: &Workspace) -> Vec<String> {
    let tests = workspace.folder("tests");
    let Some(executable) = workspace.members.get(EXECUTABLE) else {
        return vec![format!("{EXECUTABLE} is gone")];
    };
    let mut faults = Vec::new();
    if executable.features.get("default") != Some(&vec![DEMO.to_owned()]) {
        faults.push(format!("{EXECUTABLE}'s default feature is not {DEMO}"));
    }
    for dependency in &executable.dependencies {
        if dependency.kind == Kind::Dev || !tests.contains(dependency.name.as_str()) {
            continue;
        }
        let name = &dependency.name;
        if !dependency.optional {
            faults.push(format!("{EXECUTABLE} always links {name}"));
        }
        let switch = format!("dep:{name}");
        for (feature, parts) in &executable.features {
            if parts.contains(&switch) && feature != DEMO {
                faults.push(format!("{EXECUTABLE}'s feature {feature} links {name}"));
            }
        }
    }
    faults
}

/// Libraries that speak to the outside stay in their adapter, and the core stays pure.
fn stray_libraries(workspace: &Workspace) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, member) in &workspace.members {
        if member.folder == "tests" {
            continue;
        }
        for dependency in &member.dependencies {
            if dependency.kind != Kind::Normal {
                continue;
            }
            let library = dependency.name.as_str();
            let stray = CLIENTS
                .iter()
                .any(|(client, homes)| *client == library && !homes.contains(&name.as_str()));
            let impure = name == "domain"
                && (IMPURE.contains(&library)
                    || CLIENTS.iter().any(|(client, _)| *client == library));
            if stray || impure {
                faults.push(format!("{name} must not use {library}"));
            }
        }
    }
    faults
}

fn with(from: &str, to: &str, kind: Kind, optional: bool) -> Workspace {
    let mut workspace = Workspace::read();
    let member = workspace.members.get_mut(from).unwrap();
    member.dependencies.push(Dependency {
        name: to.to_owned(),
        known_as: to.to_owned(),
        kind,
        optional,
    });
    workspace
}

#[test]
fn crates_see_only_what_they_may() {
    holds(&wrong_directions(&Workspace::read()));
}

#[test]
fn every_wrong_direction_is_found() {
    for (from, to) in [
        ("domain", "ports"),
        ("ports", "runtime"),
        ("runtime", "amqp"),
        ("filter", "permission"),
        ("loader", "mos"),
        ("listener", "boot"),
        ("amqp", "runtime"),
        ("redis_store", "embedded"),
        ("mos", "pubsub_proto"),
        ("mosync", "salesforce"),
        ("boot", "mosync"),
        ("boot", "testkit"),
        ("mosync", "testkit"),
    ] {
        for kind in [Kind::Normal, Kind::Build] {
            let faults = wrong_directions(&with(from, to, kind, false));
            finds(&faults, &format!("{from} must not see {to}"));
        }
    }
    let mut workspace = Workspace::read();
    let member = workspace.members["ports"].clone();
    workspace.members.insert("unplaced".to_owned(), member);
    finds(
        &wrong_directions(&workspace),
        "unplaced has no place in the directions",
    );
}

#[test]
fn judges_share_no_code_with_the_product() {
    holds(&partial_judges(&Workspace::read()));
}

#[test]
fn a_partial_judge_is_found() {
    for kind in [Kind::Normal, Kind::Dev, Kind::Build] {
        finds(
            &partial_judges(&with("oracle", "domain", kind, false)),
            "oracle shares domain with what it judges",
        );
    }
}

#[test]
fn stand_ins_come_with_the_demo_alone() {
    holds(&stand_ins_without_the_feature(&Workspace::read()));
}

#[test]
fn a_stand_in_in_the_production_image_is_found() {
    let mut workspace = Workspace::read();
    let executable = workspace.members.get_mut(EXECUTABLE).unwrap();
    for dependency in &mut executable.dependencies {
        if dependency.name == "oracle" {
            dependency.optional = false;
        }
    }
    finds(
        &stand_ins_without_the_feature(&workspace),
        "mosync always links oracle",
    );

    let mut workspace = Workspace::read();
    let executable = workspace.members.get_mut(EXECUTABLE).unwrap();
    executable
        .features
        .insert("extra".to_owned(), vec!["dep:fake-mos".to_owned()]);
    finds(
        &stand_ins_without_the_feature(&workspace),
        "mosync's feature extra links fake-mos",
    );

    let mut workspace = Workspace::read();
    let executable = workspace.members.get_mut(EXECUTABLE).unwrap();
    executable.features.insert("default".to_owned(), vec![]);
    finds(
        &stand_ins_without_the_feature(&workspace),
        "mosync's default feature is not demo",
    );
}

#[test]
fn libraries_for_the_outside_stay_in_their_adapter() {
    holds(&stray_libraries(&Workspace::read()));
}

#[test]
fn a_stray_library_is_found() {
    for (name, library) in [
        ("loader", "reqwest"),
        ("runtime", "redis"),
        ("domain", "tokio"),
        ("boot", "lapin"),
    ] {
        finds(
            &stray_libraries(&with(name, library, Kind::Normal, false)),
            &format!("{name} must not use {library}"),
        );
    }
}
