//! Tickets: what a worker takes before it reads rows.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// The version of a record that mOS keeps: the microsecond at which the ticket was taken under
/// which the record was read, so whoever holds the higher version has seen every change that the
/// lower one had. Nineteen digits on the wire, zero-padded, so that texts compare as numbers do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Version(i64);

impl Version {
    /// The version of what is read after `time`.
    #[must_use]
    pub const fn at(time: Timestamp) -> Self {
        Self(time.as_micros())
    }

    /// The moment the ticket was taken.
    #[must_use]
    pub const fn time(self) -> Timestamp {
        Timestamp::from_micros(self.0)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:019}", self.0.max(0))
    }
}

/// One atomic, read-only answer of the ticket store: the time, the rules and the permissions under
/// which what is read next must be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The version of every row read under this ticket.
    pub version: Version,
    /// Moves with every save that touches filter, closed switch or mapping.
    pub rule_revision: u64,
    /// The permission snapshot in force.
    pub snapshot: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_texts_too() {
        let early = Version::at(Timestamp::from_micros(9));
        let late = Version::at(Timestamp::from_micros(1_732_276_800_123_456));
        assert_eq!(late.to_string(), "0001732276800123456");
        assert!(early < late && early.to_string() < late.to_string());
        assert_eq!(early.to_string().len(), late.to_string().len());
    }
}
