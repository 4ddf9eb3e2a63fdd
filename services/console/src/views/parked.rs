//! Parked records, one by one and by cause.

use domain::failure::FailureKind;
use domain::parked::Parked;
use domain::unit::Stage;
use domain::{ObjectKind, SalesforceId, Timestamp};
use serde::{Deserialize, Serialize};

/// A record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordId {
    /// Which object.
    pub object: ObjectKind,
    /// Which record.
    pub id: SalesforceId,
}

impl From<(ObjectKind, SalesforceId)> for RecordId {
    fn from((object, id): (ObjectKind, SalesforceId)) -> Self {
        Self { object, id }
    }
}

/// A parked record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedView {
    /// Which object.
    pub object: ObjectKind,
    /// Which record.
    pub id: SalesforceId,
    /// Where it failed.
    pub stage: Stage,
    /// Why.
    pub kind: FailureKind,
    /// mOS's own code, where mOS gave one.
    pub code: Option<String>,
    /// The other side's own words.
    pub message: String,
    /// What to do.
    pub advice: String,
    /// The record it waits for.
    pub parent: Option<RecordId>,
    /// First time it was parked.
    pub since: Timestamp,
    /// How often it has been taken up again.
    pub retries: u32,
    /// When it is taken up again by itself.
    pub retry_at: Option<Timestamp>,
    /// The job whose unit it was in.
    pub job: Option<String>,
    /// The group it belongs to.
    pub group: String,
    /// Who dismissed it, when, and why.
    pub dismissed: Option<DismissalView>,
}

/// A person's decision about a parked record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DismissalView {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// Parked records in the order of object and id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedList {
    /// The records.
    pub records: Vec<ParkedView>,
    /// `after` of the next page; absent on the last.
    pub next: Option<String>,
}

/// Parked records with the same cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupView {
    /// By which it is named when it is retried or dismissed: it follows from stage, kind and cause.
    pub id: String,
    /// Where they failed.
    pub stage: Stage,
    /// Why.
    pub kind: FailureKind,
    /// What they have in common: the record they wait for in the end, else mOS's code, else the kind.
    pub cause: String,
    /// What to do.
    pub advice: String,
    /// How many records.
    pub count: u64,
    /// When the first of them was parked.
    pub first: Timestamp,
    /// When the last of them failed.
    pub last: Timestamp,
    /// Some of them.
    pub samples: Vec<RecordId>,
    /// Whether these are dismissed ones.
    pub dismissed: bool,
}

/// All groups: open ones first, then the largest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Groups {
    /// The groups.
    pub groups: Vec<GroupView>,
    /// Open records, all groups together.
    pub open: u64,
    /// Dismissed records, all groups together.
    pub dismissed: u64,
}

/// Which parked records to list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParkedSearch {
    /// Of this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// For this reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// That wait for this record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Of this job's units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// Of this group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Dismissed ones only, or open ones only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dismissed: Option<bool>,
    /// The page's beginning: `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Records a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// Which groups of parked records.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupSearch {
    /// Of this job's units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
}

/// Which parked records something is to be done about: exactly one of records, group and all; those of
/// a group, or all, narrowed by the rest.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// These, by record id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<String>,
    /// Those of a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Every open one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// Of this object alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// For this reason alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Those alone that wait for this record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Of this job's units alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// The dismissed ones instead of the open ones, to have them tried again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dismissed: bool,
    /// Of a group, or all: how many of them were seen. Where there are more by now, nothing is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<u64>,
    /// Why; a dismissal needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Selection {
    /// Whether a group, or all, is narrowed.
    pub(crate) const fn is_narrowed(&self) -> bool {
        self.object.is_some()
            || self.kind.is_some()
            || self.parent.is_some()
            || self.job.is_some()
            || self.dismissed
    }

    /// The same records as a list.
    pub(crate) fn search(&self) -> ParkedSearch {
        ParkedSearch {
            object: self.object.clone(),
            kind: self.kind.clone(),
            parent: self.parent.clone(),
            job: self.job.clone(),
            group: self.group.clone(),
            dismissed: Some(self.dismissed),
            after: None,
            limit: None,
        }
    }
}

/// What was done about parked records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touched {
    /// How many records.
    pub records: u64,
}

impl ParkedView {
    /// The entry, in its group.
    #[must_use]
    pub fn of(parked: Parked, group: String) -> Self {
        Self {
            object: parked.object,
            id: parked.id,
            stage: parked.stage,
            kind: parked.kind,
            code: parked.code,
            message: parked.message,
            advice: parked.kind.advice().to_owned(),
            parent: parked.parent.map(RecordId::from),
            since: parked.since,
            retries: parked.retries,
            retry_at: parked.retry_at,
            job: parked.job.map(|job| job.to_string()),
            group,
            dismissed: parked.dismissed.map(|dismissal| DismissalView {
                at: dismissal.at,
                by: dismissal.by,
                reason: dismissal.reason,
            }),
        }
    }
}
