//! The five objects that mosync keeps in step.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A Salesforce object that has a counterpart in mOS, in dependency order: what comes later may
/// refer to what comes earlier, never the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ObjectKind {
    /// A person who owns opportunities.
    User,
    /// A company.
    Account,
    /// A person at a company.
    Contact,
    /// A deal.
    Opportunity,
    /// The part a contact plays in a deal.
    OpportunityContactRole,
}

impl ObjectKind {
    /// All five, parents first.
    pub const ALL: [Self; 5] = [
        Self::User,
        Self::Account,
        Self::Contact,
        Self::Opportunity,
        Self::OpportunityContactRole,
    ];

    /// The object's API name in Salesforce.
    #[must_use]
    pub const fn api_name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Account => "Account",
            Self::Contact => "Contact",
            Self::Opportunity => "Opportunity",
            Self::OpportunityContactRole => "OpportunityContactRole",
        }
    }

    /// The type's name in mOS (ingest contract).
    #[must_use]
    pub const fn mos_type(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Account => "company",
            Self::Contact => "contact",
            Self::Opportunity => "opportunity",
            Self::OpportunityContactRole => "contact_role",
        }
    }

    /// The first three characters of the object's ids.
    #[must_use]
    pub const fn key_prefix(self) -> &'static str {
        match self {
            Self::User => "005",
            Self::Account => "001",
            Self::Contact => "003",
            Self::Opportunity => "006",
            Self::OpportunityContactRole => "00K",
        }
    }

    /// The object whose ids start with this prefix, if it is one of the five.
    #[must_use]
    pub fn of_prefix(prefix: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|object| object.key_prefix() == prefix)
    }
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.api_name())
    }
}

/// The name is none of the five objects.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not one of the objects mosync keeps in step (User, Account, Contact, Opportunity, OpportunityContactRole)"
)]
pub struct UnknownObject(pub String);

impl FromStr for ObjectKind {
    type Err = UnknownObject;
    fn from_str(name: &str) -> Result<Self, UnknownObject> {
        Self::ALL
            .into_iter()
            .find(|object| object.api_name() == name)
            .ok_or_else(|| UnknownObject(name.to_owned()))
    }
}
