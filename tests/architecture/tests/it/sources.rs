//! The text files: nothing left undone, no test switched off, no path of one person's machine, no
//! second name for a thing.

use std::path::Path;

use architecture::root;

use super::{finds, holds};

/// Folders that hold nothing of the project's own: built, kept by git, or made by
/// `deploy/make-secrets.sh`.
const FOREIGN: [&str; 3] = ["target", ".git", "secrets"];

/// Marks of what is not finished. In two parts, so that this file does not hold them.
const UNFINISHED: [[&str; 2]; 4] = [
    ["#[ign", "ore"],
    ["todo", "!("],
    ["unimplemented", "!("],
    ["FIX", "ME"],
];

/// What dead messages are not called, in two parts as well. Stores may hold the name of before.
const NOT_DEAD: [[&str; 2]; 2] = [["set ", "aside"], ["set_", "aside"]];
const NAME_BEFORE: &str = "messages_set";

/// Folders in which people keep their own things.
const PRIVATE: [&str; 4] = ["home", "root", "Users", "work"];

fn faults_of(name: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let place = format!("{name}:{}", index + 1);
        for mark in UNFINISHED.map(|parts| parts.concat()) {
            if line.contains(&mark) {
                faults.push(format!("{place} holds `{mark}`"));
            }
        }
        for other in NOT_DEAD.map(|parts| parts.concat()) {
            if line.to_lowercase().contains(&other) && !line.contains(NAME_BEFORE) {
                faults.push(format!("{place} says `{other}` of what is dead"));
            }
        }
        for folder in PRIVATE {
            let path = format!("/{folder}/");
            let own = line.match_indices(&path).any(|(at, _)| {
                let before = line[..at].chars().next_back();
                let after = line[at + path.len()..].chars().next();
                // `https://host/work/x` and `./work/x` are no paths of a machine.
                !before.is_some_and(|char| char.is_alphanumeric() || "._-}$/".contains(char))
                    && after.is_some_and(|char| char.is_ascii_alphanumeric())
            });
            if own {
                faults.push(format!("{place} names a machine's own folder {path}"));
            }
        }
    }
    faults
}

fn read_folder(folder: &Path, faults: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let path = entry.path();
        let name = entry.file_name();
        if FOREIGN.iter().any(|foreign| name == *foreign) {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            // Another folder that cargo builds in.
            if !path.join("CACHEDIR.TAG").exists() {
                read_folder(&path, faults);
            }
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            faults.extend(faults_of(&name, &text));
        }
    }
}

#[test]
fn nothing_is_left_undone_and_no_machine_is_named() {
    let mut faults = Vec::new();
    read_folder(&root(), &mut faults);
    holds(&faults);
}

#[test]
fn what_is_left_undone_is_found() {
    for mark in UNFINISHED.map(|parts| parts.concat()) {
        finds(
            &faults_of("a.rs", &format!("fine\n    {mark}")),
            &format!("a.rs:2 holds `{mark}`"),
        );
    }
}

#[test]
fn another_name_for_dead_messages_is_found() {
    for other in NOT_DEAD.map(|parts| parts.concat()) {
        finds(
            &faults_of("a.rs", &format!("1 message is {other}")),
            &format!("a.rs:1 says `{other}` of what is dead"),
        );
    }
}

#[test]
fn a_machines_own_folder_is_found() {
    for folder in PRIVATE {
        finds(
            &faults_of("a.md", &format!("see \"/{folder}/anna/x\"")),
            &format!("a.md:1 names a machine's own folder /{folder}/"),
        );
    }
    holds(&faults_of(
        "a.md",
        "https://example.com/home/x and ./work/x",
    ));
}
