//! The words of people without a command line. Sentences of mosync name what can be done by the
//! command that does it, which is what the command line shows; on pages and in mails the same is
//! called as the console's pages call it.

use std::borrow::Cow;

/// How a command begins in a sentence.
const COMMAND: &str = "`mosync ";

/// Whole phrases, where a name in the place of the command would not do.
const PHRASES: &[(&str, &str)] = &[
    (
        "start `mosync permission` or `mosync all`",
        "ask whoever runs mosync to start its permission service",
    ),
    (
        "run `mosync topology apply`",
        "ask whoever runs mosync to prepare the message broker for it",
    ),
    ("run `mosync sync-all`", "start “Sync all data to mOS”"),
];

/// Commands, and what pages call them. A command that begins as another one does stands before it.
const NAMES: &[(&str, &str)] = &[
    ("dead list", "Dead Messages"),
    ("jobs", "Jobs"),
    ("left", "Left the scope"),
    ("notify list", "Notifications"),
    ("notify test", "“Send a test” there"),
    ("parked list", "Parked Records"),
    ("parked retry", "“Retry now” in Parked Records"),
    (
        "settings confirm-org",
        "“Confirm this org” on the first-run checklist",
    ),
    ("settings get", "mOS Settings"),
    ("settings history", "History of mOS Settings"),
    (
        "settings set admin-emails",
        "mOS Admin Email Notification in mOS Settings",
    ),
    ("settings set disabled", "Disable mOS Sync in mOS Settings"),
    ("status", "Sync Status"),
    ("sync-all", "“Sync all data to mOS”"),
    ("users", "mOS Users"),
];

/// What a command is called that no page has.
const ELSEWHERE: &str = "the command line of mosync";

/// A sentence as pages and mails say it.
pub(crate) fn on_pages(text: &str) -> Cow<'_, str> {
    if !text.contains(COMMAND) {
        return Cow::Borrowed(text);
    }
    let mut text = text.to_owned();
    for (phrase, words) in PHRASES {
        text = text.replace(phrase, words);
    }
    let mut said = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some((before, behind)) = rest.split_once(COMMAND) {
        let (command, behind) = behind.split_once('`').unwrap_or((behind, ""));
        // Where to look stands beside it on a page.
        if let (Some(before), Some(behind)) =
            (before.strip_suffix(" (see "), behind.strip_prefix(')'))
        {
            said.push_str(before);
            rest = behind;
            continue;
        }
        said.push_str(before);
        said.push_str(name_of(command).unwrap_or(ELSEWHERE));
        rest = behind;
    }
    Cow::Owned(said + rest)
}

fn name_of(command: &str) -> Option<&'static str> {
    let mut names = NAMES.iter();
    let (_, name) = names.find(|(begins, _)| {
        let rest = command.strip_prefix(begins);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    })?;
    Some(name)
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    #[test]
    fn commands_are_called_as_pages_call_them() {
        for (said, shown) in [
            ("all (is) well", "all (is) well"),
            (
                "2 messages are dead (see `mosync dead list`); 1 record is parked (see `mosync parked list`); the end",
                "2 messages are dead; 1 record is parked; the end",
            ),
            (
                "2 gaps are not caught up; run `mosync sync-all`",
                "2 gaps are not caught up; start “Sync all data to mOS”",
            ),
            (
                "`mosync parked retry 006000000000001AAA` takes it up again",
                "“Retry now” in Parked Records takes it up again",
            ),
            (
                "no one (see `mosync notify list`, and try again with `mosync notify test`)",
                "no one (see Notifications, and try again with “Send a test” there)",
            ),
            ("`mosync settings", "the command line of mosync"),
        ] {
            assert_eq!(on_pages(said), shown);
        }
    }

    /// Where there are no pages: what the API's callers are told who have no token, and what the
    /// operators of the servers do.
    const NOT_ON_PAGES: [&str; 1] = ["console-token"];

    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }

    #[test]
    fn every_command_that_a_sentence_names_has_a_name_on_pages() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut files = Vec::new();
        for part in ["shared", "services"] {
            for member in std::fs::read_dir(root.join(part)).unwrap() {
                let member = member.unwrap().path();
                // The commands themselves are for whoever types them.
                if !member.ends_with("services/mosync") {
                    sources(&member.join("src"), &mut files);
                }
            }
        }
        let mut seen = 0;
        for file in files {
            // The names themselves, and what tests make of them.
            if file.ends_with("console/src/wording.rs") {
                continue;
            }
            let text = std::fs::read_to_string(&file).unwrap();
            for line in text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
            {
                let mut line = line.to_owned();
                for (phrase, _) in PHRASES {
                    line = line.replace(phrase, "");
                }
                for part in line.split(COMMAND).skip(1) {
                    let Some((command, _)) = part.split_once('`') else {
                        continue;
                    };
                    seen += 1;
                    let is_known = name_of(command).is_some() || NOT_ON_PAGES.contains(&command);
                    assert!(
                        is_known,
                        "{}: `mosync {command}` has no name",
                        file.display()
                    );
                }
            }
        }
        assert!(seen > 20, "only {seen} commands are named anywhere");
    }
}
