//! What somebody may do here. Roles of people and scopes of tokens are the same three steps, each
//! with everything that the one before it may.

use serde::{Deserialize, Serialize};

/// What a route needs, and what a token gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// Look at status, jobs, parked records and logs.
    Read,
    /// Sync all; hold and end jobs; retry and dismiss parked records and messages set aside.
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

/// Who somebody is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Named in `console.viewers`.
    Viewer,
    /// Named in `console.operators`.
    Operator,
    /// Holds the permission set mOS admin.
    Administrator,
}

impl Role {
    /// The word for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "Viewer",
            Self::Operator => "Operator",
            Self::Administrator => "Administrator",
        }
    }

    /// What comes with it.
    #[must_use]
    pub const fn right(self) -> Right {
        match self {
            Self::Viewer => Right::Read,
            Self::Operator => Right::Operate,
            Self::Administrator => Right::Administer,
        }
    }
}
