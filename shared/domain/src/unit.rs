//! Units: what travels through the queues. Up to 200 triggering records at a time, never split
//! once published, with the tally of what has become of them so far.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::change::ChangeType;
use crate::id::SalesforceId;
use crate::job::JobId;
use crate::object::ObjectKind;
use crate::row::Row;
use crate::tally::{Count, Tally};
use crate::ticket::Ticket;
use crate::time::Timestamp;

/// How many triggering records a unit may carry.
pub const MAX_RECORDS: usize = 200;
/// How many bytes the rows of a snapshot unit may have together (soft: the last row may exceed).
pub const MAX_ROW_BYTES: usize = 1024 * 1024;
/// The `type` property of a unit's message.
pub const MESSAGE_TYPE: &str = "mosync.unit";
/// The version of the envelope's shape, in the message's properties. A worker refuses others.
pub const MESSAGE_VERSION: u32 = 1;

/// Which of the two separate ways through all queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Changes as they happen.
    Live,
    /// Full loads, backfills, catch-ups.
    Bulk,
}

/// The three workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Reads current rows and matches the opportunity filter.
    Filter,
    /// Keeps what has a permitted owner, adds companions.
    Permission,
    /// Writes to mOS.
    Load,
}

impl Stage {
    /// The name in sentences.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Permission => "permission",
            Self::Load => "load",
        }
    }
}

/// Stage and lane: the name of a queue and the routing key to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct QueueName {
    /// Whose queue.
    pub stage: Stage,
    /// Which lane.
    pub lane: Lane,
}

impl QueueName {
    /// All six.
    pub const ALL: [Self; 6] = [
        Self::new(Stage::Filter, Lane::Live),
        Self::new(Stage::Filter, Lane::Bulk),
        Self::new(Stage::Permission, Lane::Live),
        Self::new(Stage::Permission, Lane::Bulk),
        Self::new(Stage::Load, Lane::Live),
        Self::new(Stage::Load, Lane::Bulk),
    ];

    /// The queue of a stage and lane.
    #[must_use]
    pub const fn new(stage: Stage, lane: Lane) -> Self {
        Self { stage, lane }
    }

    /// Its name in the broker.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match (self.stage, self.lane) {
            (Stage::Filter, Lane::Live) => "filter.live",
            (Stage::Filter, Lane::Bulk) => "filter.bulk",
            (Stage::Permission, Lane::Live) => "permission.live",
            (Stage::Permission, Lane::Bulk) => "permission.bulk",
            (Stage::Load, Lane::Live) => "load.live",
            (Stage::Load, Lane::Bulk) => "load.bulk",
        }
    }

    /// From its name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|queue| queue.name() == name)
    }
}

/// A unit with everything about it that does not change from record to record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// Derived from job and index, so that a repeat has the same.
    pub id: uuid::Uuid,
    /// The job that counts it.
    pub job: JobId,
    /// Dense within the job: the bit that marks it as counted.
    pub index: u64,
    /// Which run of the job's phase published it.
    pub generation: u32,
    /// Its lane.
    pub lane: Lane,
    /// The org it comes from.
    pub org: SalesforceId,
    /// When the listener first published it.
    pub published: Timestamp,
    /// How often it was sent back for another read.
    pub rereads: u32,
    /// How often mOS was too busy for what is left of it.
    pub attempts: u32,
    /// How often mOS did not answer for it at all.
    pub outages: u32,
    /// How often the loader has handed on what was left of it once it had begun to send it. A copy
    /// that has come less far than another is outdated.
    #[serde(default, skip_serializing_if = "is_default")]
    pub step: u32,
    /// W3C trace context.
    pub traceparent: String,
    /// The ticket under which the rows were read; absent while nothing has been read.
    pub ticket: Option<Ticket>,
    /// When it was last asked whether the records are in scope, where that was later than the
    /// ticket: rows of a long query hang on opportunities that are looked at only in the filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scoped: Option<Timestamp>,
    /// What is still to be done, parents before children once companions have been added.
    pub records: Vec<UnitRecord>,
    /// What has become of the others.
    pub tally: Tally,
}

impl Envelope {
    /// A unit as it is first published: each of its records is read, and nothing has become of any.
    #[must_use]
    pub fn new(
        job: JobId,
        index: u64,
        lane: Lane,
        org: SalesforceId,
        published: Timestamp,
        records: Vec<UnitRecord>,
    ) -> Self {
        let mut tally = Tally::default();
        for record in &records {
            tally.add(record.object, Count::Read);
        }
        Self {
            id: Self::id_of(&job, index),
            job,
            index,
            generation: 0,
            lane,
            org,
            published,
            rereads: 0,
            attempts: 0,
            outages: 0,
            step: 0,
            traceparent: String::new(),
            ticket: None,
            scoped: None,
            records,
            tally,
        }
    }

    /// The id of a unit: the same for the same job and index.
    #[must_use]
    pub fn id_of(job: &JobId, index: u64) -> uuid::Uuid {
        uuid::Uuid::new_v5(
            &uuid::Uuid::NAMESPACE_OID,
            format!("{job}/{index}").as_bytes(),
        )
    }

    /// The unit as it was before anything was read. Companions become records of their own: what
    /// they came along with may have arrived already, or have left the scope.
    #[must_use]
    pub fn unread(mut self) -> Self {
        self.records = self
            .records
            .into_iter()
            .map(|record| UnitRecord {
                object: record.object,
                id: record.id,
                cause: Cause::Reread,
                row: None,
                owners: BTreeSet::new(),
                last_word: false,
                entering: false,
            })
            .collect();
        self.ticket = None;
        self.scoped = None;
        self
    }

    /// Writes the message body.
    ///
    /// # Errors
    /// Never for values made by this program; the error is handed on for the caller to report.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// Reads a message body.
    ///
    /// # Errors
    /// When the body is not an envelope of this version.
    pub fn decode(body: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(body)
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Which of a unit's copies this is. A crash between a publish and what follows it leaves two, and
/// they may differ: one may have been read later than the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitCopy {
    /// [`Envelope::step`], as it was delivered.
    pub step: u32,
    /// What names the message, where it is about to be sent to mOS: a digest of its body. Before,
    /// nothing of it can have been sent, whatever is in it.
    pub content: Option<String>,
}

/// One record of a unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnitRecord {
    /// Which object.
    pub object: ObjectKind,
    /// Which record.
    pub id: SalesforceId,
    /// Why it is here.
    pub cause: Cause,
    /// Its current row, once read under the unit's ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<Row>,
    /// The owners of the matching opportunities it is or hangs on, once filtered.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub owners: BTreeSet<SalesforceId>,
    /// The one last word of a deal that closed: mOS writes it only when it has the deal.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub last_word: bool,
    /// For an opportunity: it may have entered the scope, so its companions must come along.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub entering: bool,
}

/// Why a record is in a unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Cause {
    /// A change event named it.
    Event {
        /// What happened.
        change_type: ChangeType,
        /// Which event fields changed; empty when the event does not say.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        changed: BTreeSet<String>,
        /// When it was committed in Salesforce; of several changes, the first.
        committed: Timestamp,
    },
    /// A job read it.
    Snapshot,
    /// A full load read it, which brings its companions along in phases of their own.
    FullLoad,
    /// It must be read again: a retry, an outdated unit, a missing parent.
    Reread,
    /// It belongs to an opportunity of the unit.
    Companion,
}

impl Cause {
    /// The cause that stands for two changes of one record, this one first: the union of their
    /// fields since the first, a deletion that came last, or a reread where they are of different
    /// kinds.
    #[must_use]
    pub fn and_then(self, later: Self) -> Self {
        match (self, later) {
            (
                Self::Event {
                    change_type: ChangeType::Update,
                    changed: mut fields,
                    committed: first,
                },
                Self::Event {
                    change_type: ChangeType::Update,
                    changed,
                    committed,
                },
            ) if !fields.is_empty() && !changed.is_empty() => {
                fields.extend(changed);
                Self::Event {
                    change_type: ChangeType::Update,
                    changed: fields,
                    committed: committed.min(first),
                }
            }
            (
                _,
                last @ Self::Event {
                    change_type: ChangeType::Delete,
                    ..
                },
            ) => last,
            _ => Self::Reread,
        }
    }
}
