//! What mOS holds and what it was sent, as the stand-in for mOS shows both.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A type of record in mOS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// From User.
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

impl Kind {
    /// Every type.
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

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One record in mOS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MosRecord {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Its Salesforce id.
    pub external_id: String,
    /// The version last written.
    pub version: String,
    /// Its fields; decimals may be text or numbers, an empty field is null or absent.
    pub fields: Map<String, Value>,
}

/// Everything mOS holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MosState {
    records: BTreeMap<(Kind, String), MosRecord>,
}

impl MosState {
    /// One record.
    #[must_use]
    pub fn get(&self, kind: Kind, external_id: &str) -> Option<&MosRecord> {
        self.records.get(&(kind, external_id.to_owned()))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &MosRecord> {
        self.records.values()
    }
}

impl FromIterator<MosRecord> for MosState {
    fn from_iter<I: IntoIterator<Item = MosRecord>>(records: I) -> Self {
        Self {
            records: records
                .into_iter()
                .map(|record| ((record.kind, record.external_id.clone()), record))
                .collect(),
        }
    }
}

/// Every request mOS received.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct MosLedger {
    /// The requests, in any order.
    pub entries: Vec<LedgerEntry>,
}

/// One request. Other keys are passed over.
#[derive(Debug, Clone, Deserialize)]
pub struct LedgerEntry {
    /// When it arrived, microseconds since 1970.
    pub at_micros: i64,
    /// When it was answered.
    pub answered_micros: i64,
    /// The status of the answer; 0 for none.
    pub status: u16,
    /// The records it carried.
    pub records: Vec<LedgerRecord>,
}

/// One record of a request.
#[derive(Debug, Clone, Deserialize)]
pub struct LedgerRecord {
    /// The type, as sent.
    #[serde(rename = "type")]
    pub kind: String,
    /// The external id, as sent.
    pub external_id: String,
    /// The version, as sent: microseconds, padded with zeros.
    pub version: String,
    /// Sent as something to write only where mOS has it.
    pub if_exists: bool,
    /// What became of it; `None` when the request as a whole failed.
    pub outcome: Option<Outcome>,
}

/// What became of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the contract's")]
pub enum Outcome {
    Created,
    Updated,
    Unchanged,
    Stale,
    Skipped,
    Rejected,
}
