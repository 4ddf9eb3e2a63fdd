//! Who somebody is in the console, and what comes with it.

pub use domain::right::Right;

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
