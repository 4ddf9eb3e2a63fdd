//! The words of a notification.

use super::{Event, Matter, Notice};

/// No cause is longer, in characters.
const LONGEST: usize = 300;

impl Notice {
    /// What has happened, in one line.
    #[must_use]
    pub fn headline(&self) -> String {
        let (object, count) = (&self.object, self.count);
        let what = match self.matter {
            Matter::RecordsParked => {
                let records = counted(count, "record is", "records are");
                format!("{records} parked ({object})")
            }
            Matter::DeadMessages => {
                let messages = counted(count, "message is", "messages are");
                format!("{messages} dead")
            }
            Matter::Gap => {
                let gaps = counted(count, "gap", "gaps");
                format!("{gaps} in {object}")
            }
            Matter::JobFinished => format!("{object} has finished"),
            Matter::JobFailed => format!("{object} has failed"),
            Matter::JobStalled => {
                let jobs = counted(count, "job is", "jobs are");
                format!("{jobs} stalled")
            }
            Matter::JobsPaused => {
                let jobs = counted(count, "job is", "jobs are");
                format!("{jobs} paused")
            }
            Matter::Quota => format!("{object} wait for the org's API allowance"),
            Matter::PermissionsExpiring => {
                let users = counted(count, "user loses", "users lose");
                format!("{users} mOS permission within 7 days")
            }
            Matter::OutOfReach => format!("{object} is out of reach"),
            Matter::ServiceFailing => format!("{object} cannot do its work"),
            Matter::ServiceSilent => format!("{object} has not been heard of"),
            Matter::SyncPaused => format!("the sync is paused ({object})"),
            Matter::SyncDisabled => "mOS Sync is disabled".to_owned(),
            Matter::FieldsLost => {
                let fields = counted(count, "field", "fields");
                format!("{fields} in the settings can no longer be seen ({object})")
            }
            Matter::StreamLate => {
                "the event stream is silent, and events may be lost soon".to_owned()
            }
            Matter::Test => "this is a test".to_owned(),
        };
        match self.event {
            Event::Opened | Event::Happened => what,
            Event::Grown => format!("still, and more: {what}"),
            Event::Closed => format!("over: {what}"),
        }
    }

    /// How long it lasted, in words.
    #[must_use]
    pub fn lasted(&self) -> Option<String> {
        let seconds = self.lasted_s?;
        Some(match (seconds / 3_600, seconds / 60 % 60) {
            (0, 0) => format!("{seconds} s"),
            (0, minutes) => format!("{minutes} min"),
            (hours, minutes) => format!("{hours} h {minutes} min"),
        })
    }
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A sentence of a service as it may leave the installation: one line, and nothing in it that may
/// be the value of a field. What stands in quotes, behind a comparison or around an `@` is left
/// out; Salesforce and mOS repeat in their messages what they were asked.
#[must_use]
pub fn plain(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let mut said = String::new();
    let mut rest = line.chars().peekable();
    let mut before = ' ';
    while let Some(char) = rest.next() {
        // An apostrophe within a word opens nothing.
        let opens = matches!(char, '"' | '`') || (char == '\'' && !before.is_alphanumeric());
        if opens {
            let mut closed = false;
            let mut escaped = false;
            for inner in rest.by_ref() {
                if inner == char && !escaped {
                    closed = true;
                    break;
                }
                escaped = inner == '\\' && !escaped;
            }
            said.push_str("...");
            before = '.';
            if !closed {
                break;
            }
            continue;
        }
        said.push(char);
        before = char;
        if matches!(char, '<' | '>' | '=') {
            while let Some(more) = rest.next_if(|more| matches!(more, '<' | '>' | '=' | ' ')) {
                said.push(more);
            }
            let quoted = rest
                .peek()
                .is_some_and(|next| matches!(next, '\'' | '"' | '`'));
            if !quoted {
                let mut left_out = false;
                while rest
                    .next_if(|more| !more.is_whitespace() && *more != ')')
                    .is_some()
                {
                    left_out = true;
                }
                if left_out {
                    said.push_str("...");
                }
            }
            before = ' ';
        }
    }
    let words = said.split_whitespace().map(|word| {
        if word.contains('@') {
            "...".to_owned()
        } else {
            word.to_owned()
        }
    });
    let said = words.collect::<Vec<_>>().join(" ");
    if said.chars().count() <= LONGEST {
        return said;
    }
    let cut = said.chars().take(LONGEST).collect::<String>();
    format!("{cut}...")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_value_is_left_out() {
        for (said, wanted) in [
            (
                "mOS answers 503; mosync tries again",
                "mOS answers 503; mosync tries again",
            ),
            (
                "MALFORMED_QUERY: WHERE Name = 'O\\'Brien Ltd' AND Amount >= 10000) ORDER",
                "MALFORMED_QUERY: WHERE Name = ... AND Amount >= ...) ORDER",
            ),
            (
                "title \"Chief Secret Officer\" is too long",
                "title ... is too long",
            ),
            ("unexpected token: 'half a value", "unexpected token: ..."),
            ("no user anna.berg@example.com here", "no user ... here"),
            (
                "the org's allowance is used up",
                "the org's allowance is used up",
            ),
            (
                "`Geheim GmbH` is refused\nsecond line 4711",
                "... is refused",
            ),
            ("CloseDate>2026-01-01 is odd", "CloseDate>... is odd"),
        ] {
            assert_eq!(plain(said), wanted);
        }
        assert_eq!(plain(&"x".repeat(1_000)).chars().count(), LONGEST + 3);
    }
}
