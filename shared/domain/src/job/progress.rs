//! How far the reader of a job has come.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::SalesforceId;
use crate::object::ObjectKind;
use crate::ticket::Ticket;
use crate::time::Timestamp;

/// How far the reader of a job has come: one document, replaced in one step. Only the one reader,
/// which holds the listener's lease, writes it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// How often it has been written; who writes, counts. 0 while nobody counts.
    #[serde(default, skip_serializing_if = "is_default")]
    pub writes: u64,
    /// Which phase of the plan.
    #[serde(default)]
    pub phase: u32,
    /// Which statement of the phase.
    #[serde(default)]
    pub statement: u32,
    /// How often this phase was begun again.
    #[serde(default)]
    pub generation: u32,
    /// Where in the statement.
    #[serde(default)]
    pub cursor: Cursor,
    /// Every unit below this index is confirmed by the queue, or abandoned. Never goes back.
    pub next_index: u64,
    /// Units from `next_index` up to here may have been published: in doubt after a crash. Never
    /// goes back.
    #[serde(default)]
    pub announced: u64,
    /// What has been read of each object.
    #[serde(default)]
    pub objects: BTreeMap<ObjectKind, Extracted>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Progress {
    /// Whether its writer does not know what is stored: another has written as often, or more
    /// often. What is written twice is known.
    #[must_use]
    pub fn is_outdated_by(&self, stored: &Self) -> bool {
        stored.writes > self.writes
            || (stored.writes == self.writes && self.writes > 0 && stored != self)
    }
}

/// Where the reader is within a statement.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "in", rename_all = "snake_case")]
pub enum Cursor {
    /// Not begun.
    #[default]
    Start,
    /// Between two REST pages, in the order of ids.
    Rest {
        /// The last id read, the key of the next page.
        after: Option<SalesforceId>,
    },
    /// In the results of a Bulk API query.
    Bulk {
        /// The query job's id.
        query: String,
        /// The fields of its SELECT, in their order.
        columns: Vec<String>,
        /// The ticket taken before the query job was created.
        ticket: Ticket,
        /// The page of results being read; `None` for the first.
        locator: Option<String>,
        /// Rows of this page that are published.
        rows: u64,
        /// Rows of this query published before this page.
        total_rows: u64,
    },
}

/// What has been read of an object.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Extracted {
    /// What `COUNT()` answered, over all statements; `None` while it is not known, and from when
    /// other rows are read than were counted. Otherwise never changed: the percentage is a share of
    /// it.
    pub total: Option<u64>,
    /// Rows that were read by an earlier generation and are read once more, beyond `total`.
    #[serde(default)]
    pub again: u64,
    /// Rows published.
    pub read: u64,
    /// Units published.
    pub units: u64,
    /// Refusals and failures while reading.
    pub errors: u64,
    /// The last of them, in words.
    pub last_error: Option<String>,
    /// When its first statement began.
    pub started: Option<Timestamp>,
    /// When its last statement ended.
    pub finished: Option<Timestamp>,
}

/// A page that was read: which units came of which rows, so that units that are lost can be
/// published again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageRead {
    /// The index of its first unit; a page is known by it.
    pub first_index: u64,
    /// How many units it became; 0 while it is being read.
    pub units: u64,
    /// Which phase of the plan.
    pub phase: u32,
    /// Which statement of the phase.
    pub statement: u32,
    /// Which run of the phase.
    pub generation: u32,
    /// Where the page begins.
    pub at: Cursor,
}
