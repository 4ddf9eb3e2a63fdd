//! What became of the records, counted while they come: cheap to read however long the ledger is.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::ledger::{LedgerEntry, Outcome, RejectCode};
use crate::schema::RecordType;

/// How often each outcome was answered for records of one type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Outcomes {
    /// New in mOS.
    pub created: u64,
    /// Changed.
    pub updated: u64,
    /// Nothing differed.
    pub unchanged: u64,
    /// mOS had a newer version.
    pub stale: u64,
    /// `if_exists`, and mOS did not have it.
    pub skipped: u64,
    /// Not written, by reason; reasons that never came up are left out.
    pub rejected: BTreeMap<RejectCode, u64>,
}

impl Outcomes {
    /// All records, whatever became of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        let written = self.created + self.updated + self.unchanged + self.stale + self.skipped;
        written + self.rejected.values().sum::<u64>()
    }

    fn add(&mut self, outcome: Outcome, code: Option<RejectCode>) {
        match outcome {
            Outcome::Created => self.created += 1,
            Outcome::Updated => self.updated += 1,
            Outcome::Unchanged => self.unchanged += 1,
            Outcome::Stale => self.stale += 1,
            Outcome::Skipped => self.skipped += 1,
            Outcome::Rejected => {
                if let Some(code) = code {
                    *self.rejected.entry(code).or_default() += 1;
                }
            }
        }
    }
}

/// Outcomes by record type. Every type is there; records of a type that mOS does not know are not
/// among them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tally(pub BTreeMap<RecordType, Outcomes>);

impl Default for Tally {
    fn default() -> Self {
        Self(
            RecordType::ALL
                .into_iter()
                .map(|kind| (kind, Outcomes::default()))
                .collect(),
        )
    }
}

impl Tally {
    pub(crate) fn add(&mut self, entry: &LedgerEntry) {
        for record in &entry.records {
            if let (Ok(kind), Some(outcome)) = (record.kind.parse::<RecordType>(), record.outcome) {
                let of_kind = self.0.entry(kind).or_default();
                of_kind.add(outcome, record.error_code);
            }
        }
    }
}

/// What `GET /admin/outcomes` answers. A request and its repetitions under the same
/// `Idempotency-Key` count once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tallies {
    /// Keys under which records were applied.
    pub keys: u64,
    /// What was applied, whether or not its answer arrived.
    pub applied: Tally,
    /// What was applied and answered at least once whole, at first or when asked again: what a
    /// caller can know of.
    pub delivered: Tally,
}
