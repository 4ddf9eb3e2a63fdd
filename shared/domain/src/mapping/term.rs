//! In what a contract's term is counted.

use std::fmt;

use serde::{Deserialize, Serialize};

/// `ContractTermType` of the custom metadata type "mOS field mapping": what the numbers in the
/// Salesforce field count.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum ContractTermType {
    /// Months.
    #[default]
    Monthly,
    /// Quarters of a year.
    Quarterly,
    /// Halves of a year.
    HalfYearly,
    /// Years.
    Yearly,
}

impl ContractTermType {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Monthly,
        Self::Quarterly,
        Self::HalfYearly,
        Self::Yearly,
    ];

    /// As mOS and its custom metadata type spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Monthly => "Monthly",
            Self::Quarterly => "Quarterly",
            Self::HalfYearly => "Half Yearly",
            Self::Yearly => "Yearly",
        }
    }

    /// How many months one is.
    #[must_use]
    pub const fn months(self) -> u32 {
        match self {
            Self::Monthly => 1,
            Self::Quarterly => 3,
            Self::HalfYearly => 6,
            Self::Yearly => 12,
        }
    }
}

impl fmt::Display for ContractTermType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
