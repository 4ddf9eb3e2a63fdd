//! What a job reads, fixed when its reading begins.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::id::SalesforceId;
use crate::load_soql;
use crate::object::ObjectKind;
use crate::soql;

/// The rows of a REST page, SOQL's own largest.
pub const REST_PAGE: usize = 2_000;
/// The rows of a REST page that a job reads, at most: it is in memory as a whole, and each row may
/// have a text of 32,000 characters. Two units.
pub const LOAD_PAGE: usize = 400;
/// The rows of the first page of an object, when what its rows weigh is not known.
pub const FIRST_PAGE: usize = 100;
/// The rows asked for with a page of a bulk query's results.
pub const BULK_PAGE: u32 = 10_000;

/// The statements of a job. Fixed when the counting ends, so that a reader that begins anew in the
/// middle of the job cuts the same units from the same rows, whatever was saved or granted
/// meanwhile: what those changes let in has jobs of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The rules whose filter is pushed down.
    pub rule_revision: u64,
    /// The permission snapshot whose owners are pushed down.
    pub permission_snapshot: u64,
    /// The statements of each phase. A phase begins when every unit of the one before is counted.
    pub phases: Vec<Vec<Statement>>,
    /// Rows that the rules before let in are left out, see
    /// [`JobScope::Entering`](super::JobScope::Entering).
    #[serde(default)]
    pub leaves_out: bool,
    /// What was done otherwise than usual and why, for people.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// One query: an object, as far as it belongs to these owners.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The object read.
    pub object: ObjectKind,
    /// The owners pushed down; `None`: all, and the permission worker sorts them out.
    pub owners: Option<BTreeSet<SalesforceId>>,
    /// How much of the filter is pushed down.
    pub form: Form,
    /// Which API reads it.
    pub way: Way,
    /// What `COUNT()` answered.
    pub total: Option<u64>,
}

/// How much of the rule a statement carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// All of it, with semi-joins for what hangs on opportunities.
    SemiJoin,
    /// Without semi-joins, which this org has refused: more rows, sorted out by the workers.
    Plain,
}

/// Which API reads a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// REST pages in the order of ids.
    Rest,
    /// Bulk API 2.0.
    Bulk,
}

impl Way {
    /// The way for a statement with so many rows: many are read by the Bulk API, and so are those of
    /// which nobody knows how many, and those whose pages are asked for with too many words for a
    /// URL.
    #[must_use]
    pub fn of(query: &load_soql::Statement, total: Option<u64>, bulk_from: u64) -> Self {
        /// `Id > '...' AND `, written for a URL.
        const ROOM_FOR_ID: usize = 60;
        let in_url = soql::length_in_url(&query.page_soql(None, REST_PAGE)) + ROOM_FOR_ID;
        let few = total.is_some_and(|total| total <= bulk_from);
        if few && in_url <= soql::MAX_IN_URL {
            Self::Rest
        } else {
            Self::Bulk
        }
    }
}
