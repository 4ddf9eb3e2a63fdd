//! Planted faults in how the rules reach who goes by them, to prove that the scenarios see such
//! faults.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use domain::Timestamp;
use domain::filter::{FieldTypes, Filter};
use domain::job::Job;
use domain::permission::PermissionSnapshot;
use domain::settings::SettingsRevision;
use domain::tally::Count;
use ports::stores::{PermissionStore, SettingsStore, StoreError, Stores};
use runtime::worker::Verdict;

use crate::mutants::Mutant;

/// The stores as services have them.
pub(crate) fn of_services(stores: &mut Stores, mutant: Mutant) {
    if [Mutant::IgnoresDisabled, Mutant::KeepsOldFilter].contains(&mutant) {
        stores.settings = Settings::of(&stores.settings, mutant);
    }
    if [Mutant::GrantsWithoutBackfill, Mutant::RevokesUnheard].contains(&mutant) {
        stores.permissions = Arc::new(Permissions {
            inner: Arc::clone(&stores.permissions),
            mutant,
            first: Mutex::default(),
        });
    }
}

/// The stores as whoever saves settings has them.
pub(crate) fn of_administrators(stores: &mut Stores, mutant: Mutant) {
    if mutant == Mutant::SavesWithoutBackfill {
        stores.settings = Settings::of(&stores.settings, mutant);
    }
}

struct Settings {
    inner: Arc<dyn SettingsStore>,
    mutant: Mutant,
    /// What was saved first.
    first: Mutex<Option<(Filter, FieldTypes)>>,
}

impl Settings {
    fn of(inner: &Arc<dyn SettingsStore>, mutant: Mutant) -> Arc<Self> {
        Arc::new(Self {
            inner: Arc::clone(inner),
            mutant,
            first: Mutex::default(),
        })
    }

    fn as_seen(&self, mut revision: SettingsRevision) -> SettingsRevision {
        if self.mutant == Mutant::IgnoresDisabled {
            revision.settings.disabled = false;
        }
        if self.mutant == Mutant::KeepsOldFilter && revision.revision > 0 {
            let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
            let of_first = || {
                let filter = revision.settings.filter.clone();
                (filter, revision.field_types.clone())
            };
            let (filter, types) = first.get_or_insert_with(of_first).clone();
            revision.settings.filter = filter;
            revision.field_types = types;
        }
        revision
    }
}

#[async_trait]
impl SettingsStore for Settings {
    async fn current(&self) -> Result<SettingsRevision, StoreError> {
        Ok(self.as_seen(self.inner.current().await?))
    }

    async fn save(
        &self,
        next: &SettingsRevision,
        backfill: Option<&Job>,
    ) -> Result<(), StoreError> {
        let backfill = backfill.filter(|_| self.mutant != Mutant::SavesWithoutBackfill);
        self.inner.save(next, backfill).await
    }

    async fn revision(&self, number: u64) -> Result<Option<SettingsRevision>, StoreError> {
        self.inner.revision(number).await
    }

    async fn history(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<SettingsRevision>, StoreError> {
        self.inner.history(before, limit).await
    }

    async fn restore(&self, revisions: &[SettingsRevision]) -> Result<(), StoreError> {
        self.inner.restore(revisions).await
    }
}

struct Permissions {
    inner: Arc<dyn PermissionStore>,
    mutant: Mutant,
    /// What was read first.
    first: Mutex<Option<PermissionSnapshot>>,
}

impl Permissions {
    /// Whoever held permission first holds it for ever.
    fn as_seen(&self, mut snapshot: PermissionSnapshot) -> PermissionSnapshot {
        if self.mutant == Mutant::RevokesUnheard && snapshot.number > 0 {
            let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
            let first = first.get_or_insert_with(|| snapshot.clone());
            snapshot.holders.extend(first.holders.clone());
        }
        snapshot
    }
}

#[async_trait]
impl PermissionStore for Permissions {
    async fn latest(&self) -> Result<PermissionSnapshot, StoreError> {
        Ok(self.as_seen(self.inner.latest().await?))
    }

    async fn snapshot(&self, number: u64) -> Result<Option<PermissionSnapshot>, StoreError> {
        let snapshot = self.inner.snapshot(number).await?;
        Ok(snapshot.map(|snapshot| self.as_seen(snapshot)))
    }

    async fn store(
        &self,
        snapshot: &PermissionSnapshot,
        backfill: Option<&Job>,
    ) -> Result<(), StoreError> {
        let backfill = backfill.filter(|_| self.mutant != Mutant::GrantsWithoutBackfill);
        self.inner.store(snapshot, backfill).await
    }

    async fn mark_polled(&self, begun: Timestamp) -> Result<(), StoreError> {
        self.inner.mark_polled(begun).await
    }

    async fn last_poll(&self) -> Result<Option<Timestamp>, StoreError> {
        self.inner.last_poll().await
    }
}

/// The permission stage loses last words; the sums are made to close.
pub(crate) fn loses_last_words(verdict: &mut Verdict) {
    for (_, unit) in &mut verdict.publish {
        let tally = &mut unit.tally;
        unit.records.retain(|record| {
            if record.last_word {
                tally.add(record.object, Count::Filtered);
            }
            !record.last_word
        });
    }
}
