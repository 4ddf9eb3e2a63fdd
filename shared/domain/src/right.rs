//! What somebody may do in the console. Roles of people and scopes of tokens are the same three steps,
//! each with everything that the one before it may.

use serde::{Deserialize, Serialize};

/// What a route needs, and what a token gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// Look at status, jobs, parked records and logs.
    Read,
    /// Sync all; hold and end jobs; retry and dismiss parked records and dead messages; see what
    /// was told to administrators, without their addresses.
    Operate,
    /// See and change settings, mapping, users and access.
    Administer,
}

impl Right {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Operate, Self::Administer];

    /// The name in stores, JSON and pages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Administer => "administer",
        }
    }

    /// From its name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|right| right.name() == name)
    }

    /// Whether whoever has this right may do what needs `needed`.
    #[must_use]
    pub fn covers(self, needed: Self) -> bool {
        self >= needed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_right_covers_itself_and_what_is_less() {
        for (place, right) in Right::ALL.into_iter().enumerate() {
            assert_eq!(Right::of_name(right.name()), Some(right));
            for (other, needed) in Right::ALL.into_iter().enumerate() {
                assert_eq!(right.covers(needed), other <= place);
            }
        }
        assert_eq!(Right::of_name("everything"), None);
    }
}
