//! What mOS knows: record types, their fields, and what each field accepts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A type of record in mOS. Ordered as parents come before children.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordType {
    /// From Salesforce's User.
    User,
    /// From Account.
    Company,
    /// From Contact.
    Contact,
    /// From Opportunity.
    Opportunity,
    /// From `OpportunityContactRole`.
    ContactRole,
}

impl RecordType {
    /// All of them, parents first.
    pub const ALL: [Self; 5] = [
        Self::User,
        Self::Company,
        Self::Contact,
        Self::Opportunity,
        Self::ContactRole,
    ];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Company => "company",
            Self::Contact => "contact",
            Self::Opportunity => "opportunity",
            Self::ContactRole => "contact_role",
        }
    }

    /// Every field mOS knows of this type.
    #[must_use]
    pub fn fields(self) -> &'static [FieldSpec] {
        match self {
            Self::User => USER,
            Self::Company => COMPANY,
            Self::Contact => CONTACT,
            Self::Opportunity => OPPORTUNITY,
            Self::ContactRole => CONTACT_ROLE,
        }
    }

    /// The field of that name, if mOS has it on this type.
    #[must_use]
    pub fn field(self, name: &str) -> Option<&'static FieldSpec> {
        self.fields().iter().find(|field| field.name == name)
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RecordType {
    type Err = UnknownType;

    fn from_str(name: &str) -> Result<Self, UnknownType> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name)
            .ok_or(UnknownType)
    }
}

/// mOS has no such record type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("mOS has no such record type; it has user, company, contact, opportunity and contact_role")]
pub struct UnknownType;

/// One field of a record type.
#[derive(Debug, PartialEq, Eq)]
pub struct FieldSpec {
    /// The name on the wire.
    pub name: &'static str,
    /// What it accepts.
    pub kind: FieldKind,
}

/// What a field accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// Text of up to so many characters.
    Text(usize),
    /// Text with an @ inside, of up to so many characters.
    Email(usize),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Three capital letters (ISO 4217).
    Currency,
    /// true or false.
    Boolean,
    /// A whole number within +-(2^53 - 1).
    Integer,
    /// A decimal of up to 20 digits, as a JSON number or as a string.
    Decimal,
    /// A calendar day, YYYY-MM-DD.
    Date,
    /// An instant with its offset (RFC 3339).
    DateTime,
    /// Another record's external id: stored as given, linked when the target arrives.
    SoftReference,
    /// Another record's external id: required, and its target must be there.
    HardReference(RecordType),
}

impl FieldKind {
    /// The longest text the field takes, in characters.
    #[must_use]
    pub fn length_max(self) -> Option<usize> {
        match self {
            Self::Text(max) | Self::Email(max) => Some(max),
            Self::Choice(_)
            | Self::Currency
            | Self::Boolean
            | Self::Integer
            | Self::Decimal
            | Self::Date
            | Self::DateTime
            | Self::SoftReference
            | Self::HardReference(_) => None,
        }
    }
}

const fn field(name: &'static str, kind: FieldKind) -> FieldSpec {
    FieldSpec { name, kind }
}

const USER: &[FieldSpec] = &[
    field("name", FieldKind::Text(121)),
    field("first_name", FieldKind::Text(40)),
    field("last_name", FieldKind::Text(80)),
    field("email", FieldKind::Email(128)),
    field("username", FieldKind::Text(80)),
    field("title", FieldKind::Text(80)),
    field("is_active", FieldKind::Boolean),
    field("time_zone", FieldKind::Text(40)),
];

const COMPANY: &[FieldSpec] = &[
    field("name", FieldKind::Text(255)),
    field("website", FieldKind::Text(255)),
    field("phone", FieldKind::Text(40)),
    field("industry", FieldKind::Text(255)),
    field("type", FieldKind::Text(255)),
    field("employees", FieldKind::Integer),
    field("annual_revenue", FieldKind::Decimal),
    field("billing_street", FieldKind::Text(255)),
    field("billing_city", FieldKind::Text(40)),
    field("billing_state", FieldKind::Text(80)),
    field("billing_postal_code", FieldKind::Text(20)),
    field("billing_country", FieldKind::Text(80)),
    field("description", FieldKind::Text(32_000)),
    field("owner_id", FieldKind::SoftReference),
    field("parent_id", FieldKind::SoftReference),
];

const CONTACT: &[FieldSpec] = &[
    field("first_name", FieldKind::Text(40)),
    field("last_name", FieldKind::Text(80)),
    field("name", FieldKind::Text(121)),
    field("email", FieldKind::Email(80)),
    field("phone", FieldKind::Text(40)),
    field("mobile_phone", FieldKind::Text(40)),
    field("title", FieldKind::Text(128)),
    field("department", FieldKind::Text(80)),
    field("company_id", FieldKind::SoftReference),
];

const CONTRACT_TERM_TYPES: &[&str] = &["Monthly", "Quarterly", "Half Yearly", "Yearly"];

const OPPORTUNITY: &[FieldSpec] = &[
    field("name", FieldKind::Text(120)),
    field("stage", FieldKind::Text(255)),
    field("amount", FieldKind::Decimal),
    field("currency", FieldKind::Currency),
    field("probability", FieldKind::Decimal),
    field("close_date", FieldKind::Date),
    field("type", FieldKind::Text(255)),
    field("lead_source", FieldKind::Text(255)),
    field("next_step", FieldKind::Text(255)),
    field("forecast_category", FieldKind::Text(255)),
    field("description", FieldKind::Text(32_000)),
    field("is_closed", FieldKind::Boolean),
    field("is_won", FieldKind::Boolean),
    field("owner_id", FieldKind::HardReference(RecordType::User)),
    field("company_id", FieldKind::SoftReference),
    field("created_at", FieldKind::DateTime),
    field("last_modified_at", FieldKind::DateTime),
    field("arr", FieldKind::Decimal),
    field("contract_term", FieldKind::Decimal),
    field("contract_term_type", FieldKind::Choice(CONTRACT_TERM_TYPES)),
    field("total_contract_value", FieldKind::Decimal),
    field("one_off_cost", FieldKind::Decimal),
];

const CONTACT_ROLE: &[FieldSpec] = &[
    field(
        "opportunity_id",
        FieldKind::HardReference(RecordType::Opportunity),
    ),
    field("contact_id", FieldKind::HardReference(RecordType::Contact)),
    field("role", FieldKind::Text(255)),
    field("is_primary", FieldKind::Boolean),
];
