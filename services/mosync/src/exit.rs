//! How the process ends: 0 done, 1 failed or audit not clean, 2 configuration or usage, 3 a
//! dependency out of reach.

use std::borrow::Cow;
use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use boot::BootError;
use boot::console::OpsError;

/// Why a command did not do its work.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// The work failed.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self {
            code: 1,
            message: message.into(),
        }
    }

    /// The person has to change something first.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            code: 2,
            message: message.into(),
        }
    }

    /// Something the command needs does not answer.
    pub(crate) fn out_of_reach(message: impl Into<String>) -> Self {
        Self {
            code: 3,
            message: message.into(),
        }
    }
}

impl Failure {
    /// Whether it may be over in a moment.
    pub(crate) const fn is_out_of_reach(&self) -> bool {
        self.code == 3
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<BootError> for Failure {
    fn from(error: BootError) -> Self {
        match error {
            BootError::Configuration(message) | BootError::InUse(message) => Self::usage(message),
            BootError::OutOfReach(message) => Self::out_of_reach(message),
        }
    }
}

impl From<OpsError> for Failure {
    fn from(error: OpsError) -> Self {
        let message = error.to_string();
        match error {
            OpsError::NotFound(_)
            | OpsError::Invalid(_)
            | OpsError::Refused(_)
            | OpsError::NotAllowed(_)
            | OpsError::Forbidden(_)
            | OpsError::TooMany(_)
            | OpsError::TooLarge(_)
            | OpsError::WrongMethod(_) => Self::usage(message),
            OpsError::Conflict(_) | OpsError::SettingsConflict(_) | OpsError::Broken(_) => {
                Self::failed(message)
            }
            OpsError::OutOfReach(_) => Self::out_of_reach(message),
        }
    }
}

impl From<ports::stores::StoreError> for Failure {
    fn from(error: ports::stores::StoreError) -> Self {
        Self::out_of_reach(error.to_string())
    }
}

/// Tells the person on stderr, and the caller by the code.
pub(crate) fn report(failure: &Failure) -> ExitCode {
    say(&format!("mosync: {}", failure.message));
    ExitCode::from(failure.code)
}

/// A line for the person at the terminal, beside the command's result. Who listens no more is not told.
pub(crate) fn say(line: &str) {
    writeln!(std::io::stderr().lock(), "{}", harmless(line)).unwrap_or_default();
}

/// A line of the command's result.
pub(crate) fn print(line: &str) {
    write_out(format!("{}\n", harmless(line)).as_bytes());
}

/// Clears a terminal and goes to its top.
pub(crate) fn clear_terminal() {
    write_out(b"\x1b[2J\x1b[H");
}

/// A result, or a piece of it, as it is. Whoever reads it may have seen enough, as `head` has: then
/// the command ends.
#[expect(
    clippy::exit,
    reason = "a result is printed when its work is done, and nobody is there to be told more"
)]
pub(crate) fn write_out(text: &[u8]) {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text).and_then(|()| out.flush());
    let Err(error) = written else { return };
    if error.kind() != ErrorKind::BrokenPipe {
        say(&format!(
            "mosync: the result cannot be written out: {error}"
        ));
    }
    std::process::exit(1);
}

/// What others have written, in Salesforce, in mOS or as a reason, moves nobody's terminal: control
/// characters are shown as JSON writes them, and in JSON mean the same so.
fn harmless(text: &str) -> Cow<'_, str> {
    let moves = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\t');
    if !text.contains(moves) {
        return Cow::Borrowed(text);
    }
    let shown = text.chars().map(|letter| {
        if moves(letter) {
            format!("\\u{:04x}", u32::from(letter))
        } else {
            letter.to_string()
        }
    });
    Cow::Owned(shown.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_printed_moves_a_terminal_and_json_stays_what_it_is() {
        for text in ["", "all\tis well\nhere, Ünal", "{\"a\": \"\\n\"}"] {
            assert!(matches!(harmless(text), Cow::Borrowed(same) if same == text));
        }
        assert_eq!(
            harmless("Deal\x1b]0;owned\x07 \x1b[2J\r\u{9b}31m"),
            "Deal\\u001b]0;owned\\u0007 \\u001b[2J\\u000d\\u009b31m"
        );
        let name = "back\\slash \u{85}\x7f \x1b";
        let json = serde_json::to_string(name).unwrap();
        let read: String = serde_json::from_str(&harmless(&json)).unwrap();
        assert_eq!(read, name);
    }
}
