//! How the process ends: 0 done, 1 failed or audit not clean, 2 configuration or usage, 3 a
//! dependency out of reach.

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

/// A line for the person at the terminal.
#[expect(
    clippy::print_stderr,
    reason = "the one place where commands talk to a person beside their result"
)]
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}

/// A line of the command's result.
#[expect(
    clippy::print_stdout,
    reason = "the one place where commands print their result"
)]
pub(crate) fn print(line: &str) {
    println!("{line}");
}
