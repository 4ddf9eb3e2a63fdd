//! What is wrong with a configuration, in words.

use std::fmt;

/// One fault: where, what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key, the environment variable or the file at fault.
    pub key: String,
    /// What is wrong. Never a secret's value.
    pub fault: String,
    /// What to do.
    pub fix: String,
}

impl Fault {
    pub(crate) fn new(
        key: impl Into<String>,
        fault: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            key: key.into(),
            fault: fault.into(),
            fix: fix.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.key, self.fault, self.fix)
    }
}

/// Everything that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// At least one.
    pub faults: Vec<Fault>,
}

impl ConfigError {
    pub(crate) fn of(fault: Fault) -> Self {
        Self {
            faults: vec![fault],
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.faults.len() {
            1 => f.write_str("the configuration has a fault:")?,
            many => write!(f, "the configuration has {many} faults:")?,
        }
        for fault in &self.faults {
            write!(f, "\n  {fault}")?;
        }
        Ok(())
    }
}
