//! What a save does, in sentences.

use domain::frequency::Frequency;
use domain::settings::Settings;

use super::{Compared, Foreseen};
use crate::views::PreviewView;

/// The switches, and what else changes without any opportunity entering or leaving. `sandbox` tells
/// whether the connected org is one, where that is known.
pub(super) fn of_switches(
    before: &Settings,
    after: &Settings,
    sandbox: Option<bool>,
    starts_job: bool,
) -> Vec<String> {
    let mut words = Vec::new();
    let mut say = |sentence: &str| words.push(sentence.to_owned());
    match (before.disabled, after.disabled) {
        (false, true) => say(
            "mOS Sync is disabled: within two seconds nothing is sent to mOS any more, and what changes meanwhile is caught up when it is enabled again",
        ),
        (true, false) => say(
            "mOS Sync is enabled: what has changed while it was disabled is caught up, and jobs that wait go on",
        ),
        (true, true) if starts_job => {
            say(
                "mOS Sync is disabled: nothing is sent before it is enabled, the job waits until then",
            );
        }
        (true, true) | (false, false) => {}
    }
    match (before.run_in_sandbox, after.run_in_sandbox, sandbox) {
        (true, false, Some(true)) => {
            say("the connected org is a sandbox: from then on nothing is read or sent");
        }
        (false, true, Some(true)) => {
            say("the connected org is a sandbox: from then on it is synced with mOS");
        }
        (true, false, Some(false)) | (false, true, Some(false)) => {
            say("the connected org is no sandbox, so Run In Sandbox makes no difference now");
        }
        (true, false, None) | (false, true, None) => say(
            "Salesforce does not say whether the connected org is a sandbox, in which case Run In Sandbox decides whether anything is sent",
        ),
        (false, false, Some(true)) if starts_job => say(
            "the connected org is a sandbox and Run In Sandbox is off: nothing is sent before that is on",
        ),
        (false, false, _) | (true, true, _) => {}
    }
    match (before.sync_closed, after.sync_closed) {
        (false, true) => say("closed opportunities are synced too"),
        (true, false) => say(
            "closed opportunities are synced no more; a deal that closes from then on is sent once more with its closing state",
        ),
        (true, true) | (false, false) => {}
    }
    if before.frequency != after.frequency {
        words.push(of_frequency(after.frequency));
    }
    if before.api_share != after.api_share {
        words.push(
            "mosync takes another share of the org's API requests; what is synced is the same"
                .to_owned(),
        );
    }
    if before.admin_emails != after.admin_emails {
        words.push("other people are notified; what is synced is the same".to_owned());
    }
    words
}

fn of_frequency(frequency: Frequency) -> String {
    match frequency {
        Frequency::RealTime => "changes are sent as they happen, usually within a second".to_owned(),
        Frequency::Every(interval) => format!(
            "changes are taken every {} minutes: mOS is behind by up to that, and several changes of a record are one",
            interval.minutes()
        ),
        Frequency::Daily(_) => {
            "changes are taken once a day: mOS is behind by up to a day, and several changes of a record are one"
                .to_owned()
        }
    }
}

/// What the rules do to opportunities.
pub(super) fn of_rules(foreseen: &Foreseen, view: &PreviewView) -> Vec<String> {
    let mut words = Vec::new();
    let mut say = |sentence: &str| words.push(sentence.to_owned());
    match foreseen.compared {
        Compared::New(why) => say(why),
        Compared::Both { sent_again: true } => say(
            "the mapping differs: all that is in scope is read and sent again, with its users, accounts, contacts and contact roles",
        ),
        Compared::Both { sent_again: false } | Compared::Same => {}
    }
    if foreseen.owners.is_empty() {
        say("nobody holds mOS permission, so no opportunity is in scope by any filter");
    }
    if view.enters.count != Some(0) {
        say(
            "what enters is sent to mOS with its owners, accounts, contact roles and the contacts on them",
        );
    }
    if view.leaves.count != Some(0) {
        say("what leaves stays in mOS as it was, and receives nothing more");
    }
    if foreseen.after.is_relative() {
        say("the filter has relative dates: what enters as days go by is sent after each midnight");
    }
    // How many processes there are, nobody here knows.
    say(
        "the API requests of the job are not all: the save, and then each service, ask Salesforce once which fields there are, as a rule with five to ten requests each",
    );
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(change: impl Fn(&mut Settings), sandbox: Option<bool>) -> String {
        let before = Settings::default();
        let mut after = before.clone();
        change(&mut after);
        of_switches(&before, &after, sandbox, true).join("; ")
    }

    #[test]
    fn each_switch_is_said_in_words() {
        for (change, sandbox, words) in [
            ((|_| {}) as fn(&mut Settings), Some(false), ""),
            (
                |settings| settings.disabled = true,
                None,
                "within two seconds nothing is sent",
            ),
            (|_| {}, Some(true), "Run In Sandbox is off"),
            (
                |settings| settings.run_in_sandbox = true,
                Some(true),
                "from then on it is synced",
            ),
            (
                |settings| settings.run_in_sandbox = true,
                Some(false),
                "makes no difference",
            ),
            (
                |settings| settings.sync_closed = true,
                None,
                "closed opportunities are synced too",
            ),
            (
                |settings| settings.frequency = "every_15_min".parse().unwrap(),
                None,
                "every 15 minutes",
            ),
            (
                |settings| settings.frequency = "daily_at_06:30".parse().unwrap(),
                None,
                "once a day",
            ),
            (
                |settings| settings.admin_emails.push("a@example.com".to_owned()),
                None,
                "other people are notified",
            ),
        ] {
            let said = said(change, sandbox);
            assert!(said.contains(words), "{said} lacks {words}");
            assert!(!words.is_empty() || said.is_empty(), "{said}");
        }
    }

    #[test]
    fn what_is_switched_back_is_said_too() {
        let off = Settings::default();
        let mut on = off.clone();
        on.disabled = true;
        on.sync_closed = true;
        on.run_in_sandbox = true;
        let said = of_switches(&on, &off, Some(true), false).join("; ");
        for words in [
            "mOS Sync is enabled",
            "closed opportunities are synced no more",
            "from then on nothing is read or sent",
        ] {
            assert!(said.contains(words), "{said} lacks {words}");
        }
    }
}
