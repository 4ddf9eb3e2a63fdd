//! Parked records.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::failure::FailureKind;
use domain::job::{Job, JobId};
use domain::parked::{Dismissal, Parked};
use domain::{ObjectKind, SalesforceId, Timestamp, Version};

use super::StoreError;

/// Which parked records; the default is all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ParkedFilter {
    /// Of this object.
    pub object: Option<ObjectKind>,
    /// For this reason.
    pub kind: Option<FailureKind>,
    /// That wait for this record.
    pub parent: Option<(ObjectKind, SalesforceId)>,
    /// Whose unit was one of this job.
    pub job: Option<JobId>,
    /// Dismissed ones only, or open ones only.
    pub dismissed: Option<bool>,
}

impl ParkedFilter {
    /// Whether this record is one of those.
    #[must_use]
    pub fn matches(&self, record: &Parked) -> bool {
        self.object.is_none_or(|object| record.object == object)
            && self.kind.is_none_or(|kind| record.kind == kind)
            && (self.parent.is_none() || self.parent == record.parent)
            && (self.job.is_none() || self.job == record.job)
            && self
                .dismissed
                .is_none_or(|dismissed| record.dismissed.is_some() == dismissed)
    }
}

/// Parked records, at most one entry per record. An entry is open, or dismissed by a person.
#[async_trait]
pub trait ParkedStore: Send + Sync {
    /// Adds or replaces entries; an entry's `since`, `retries` and `released` outlive its
    /// replacement. So does
    /// the time at which it is taken up again, unless the replacement waits for a person: a record
    /// that fails whenever it is retried is retried ever later, and after its last retry no more,
    /// whatever time the replacement names. An entry of a newer version stays as it is. A
    /// dismissed entry stays dismissed under the same version and is open again under a newer one.
    async fn park(&self, records: &[Parked]) -> Result<(), StoreError>;
    /// mOS has accepted rows of this version of these records: clears their entries, except those
    /// of a newer version. Open entries that wait for one of these records as their parent are
    /// released ([`Parked::release`]): they name no parent any more and are due `now`, for
    /// [`Self::take_due`] to take up. Answers how many this call released; nobody is released
    /// twice, so a repeat answers 0.
    async fn accepted(
        &self,
        records: &[(ObjectKind, SalesforceId)],
        version: Version,
        now: Timestamp,
    ) -> Result<u64, StoreError>;
    /// Clears entries without an acceptance, except those of a newer version: as of this version
    /// the record is gone or has left the scope. Releases nobody.
    async fn clear(
        &self,
        records: &[(ObjectKind, SalesforceId)],
        version: Version,
    ) -> Result<(), StoreError>;
    /// The entry of a record.
    async fn get(
        &self,
        object: ObjectKind,
        id: &SalesforceId,
    ) -> Result<Option<Parked>, StoreError>;
    /// Entries that match, in the order of object and id, after the given one.
    async fn list(
        &self,
        filter: &ParkedFilter,
        after: Option<(ObjectKind, SalesforceId)>,
        max: usize,
    ) -> Result<Vec<Parked>, StoreError>;
    /// How many are open, by reason.
    async fn counts(&self) -> Result<BTreeMap<FailureKind, u64>, StoreError>;
    /// Takes up open entries whose time has come: the retry job that reads them back, whose scope
    /// names them; `None` when there are none. In the same step the job is created, their
    /// `retries` raised and their `retry_at` moved on by [`domain::failure::retry_delay`], so that
    /// none is taken up and forgotten, or by two schedulers.
    async fn take_due(&self, now: Timestamp, max: usize) -> Result<Option<Job>, StoreError>;
    /// A person wants these tried again: their entries are open and due `now`. How many there are.
    async fn retry(
        &self,
        records: &[(ObjectKind, SalesforceId)],
        now: Timestamp,
    ) -> Result<u64, StoreError>;
    /// Dismisses entries: they stay, are not open and never due. How many there are.
    async fn dismiss(
        &self,
        records: &[(ObjectKind, SalesforceId)],
        dismissal: &Dismissal,
    ) -> Result<u64, StoreError>;
}
