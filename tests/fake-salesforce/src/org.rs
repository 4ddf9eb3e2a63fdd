//! The org: its records, its ledger of transactions, and who is told of them.
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::commit::{Clock, Commit, RowChange};
use crate::id;
use crate::record::{Cell, Record};
use crate::table::Table;
use crate::{schema, time};

/// Who is told of a commit.
pub type Hook = Box<dyn Fn(&Arc<Commit>) + Send + Sync>;

/// A Salesforce org in memory.
///
/// Reads see committed transactions only. Writes go one transaction at a time; whoever registered
/// with [`Org::on_commit`] is told of each in commit order, before the writer gets its answer.
pub struct Org {
    clock: Clock,
    offset_micros: Arc<AtomicI64>,
    org_id: String,
    admin_id: String,
    /// Held for the whole of a write, hooks included: this is what makes commit order.
    writer: Mutex<Writer>,
    state: RwLock<State>,
    hooks: Mutex<Vec<Hook>>,
}

/// What only a writer needs.
pub(crate) struct Writer {
    pub(crate) random: StdRng,
    commit_number: i64,
    sequences: BTreeMap<&'static str, u64>,
    /// A deleted record to the ids that went to the recycle bin because of it.
    pub(crate) went_along: BTreeMap<String, Vec<String>>,
}

/// What a transaction did, ready to be committed.
#[derive(Default)]
pub(crate) struct Written {
    pub(crate) changes: Vec<RowChange>,
    pub(crate) silent: Vec<RowChange>,
    /// Every record touched; `None` where it is gone for good.
    pub(crate) records: BTreeMap<String, Option<Record>>,
}

/// The committed records and the ledger.
pub(crate) struct State {
    pub(crate) tables: BTreeMap<&'static str, Table>,
    ledger: Vec<Arc<Commit>>,
}

impl std::fmt::Debug for Org {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Org")
            .field("org_id", &self.org_id)
            .finish_non_exhaustive()
    }
}

/// Where the ids minted here begin: far above those of loaded files, so that they never meet.
const FIRST_SEQUENCE: u64 = 10_000_000_000;

impl Org {
    /// An org with an integration user, the default opportunity stages, a profile and nothing else.
    /// The same seed and the same calls make the same ids, numbers and keys.
    pub fn new(clock: Clock, seed: u64) -> Arc<Org> {
        let offset_micros = Arc::new(AtomicI64::new(0));
        let shifted: Clock = {
            let offset = Arc::clone(&offset_micros);
            Arc::new(move || clock() + offset.load(Ordering::Relaxed))
        };
        let tables = schema::entities()
            .iter()
            .map(|entity| (entity.name, Table::new(entity)))
            .collect();
        let org = Arc::new(Org {
            clock: shifted,
            offset_micros,
            org_id: id::mint("00D", seed % 1_000_000 + 1),
            admin_id: id::mint("005", 1),
            writer: Mutex::new(Writer {
                random: StdRng::seed_from_u64(seed),
                commit_number: 218_791_688_000,
                sequences: BTreeMap::new(),
                went_along: BTreeMap::new(),
            }),
            state: RwLock::new(State {
                tables,
                ledger: Vec::new(),
            }),
            hooks: Mutex::default(),
        });
        org.install_setup();
        org
    }

    /// The 18-character organization id.
    pub fn org_id(&self) -> &str {
        &self.org_id
    }

    /// The 18-character id of the integration user, who every client signs in as.
    pub fn admin_id(&self) -> &str {
        &self.admin_id
    }

    /// The org's time in microseconds since the epoch: the clock it was made with, and the offset.
    pub fn now_micros(&self) -> i64 {
        (self.clock)()
    }

    /// The org's clock, offset included.
    pub fn clock(&self) -> Clock {
        Arc::clone(&self.clock)
    }

    /// Moves the org's time away from its clock, in milliseconds; 0 undoes it.
    pub fn set_clock_offset_ms(&self, offset_ms: i64) {
        self.offset_micros
            .store(offset_ms.saturating_mul(1000), Ordering::Relaxed);
    }

    /// The ledger from `index` on. The org's set-up and loads are its first commits; objects
    /// without change events appear like all others.
    pub fn commits_since(&self, index: usize) -> Vec<Arc<Commit>> {
        self.state()
            .ledger
            .get(index..)
            .map(<[_]>::to_vec)
            .unwrap_or_default()
    }

    /// Registers who is told of commits from now on: in commit order, one at a time, while the
    /// writer waits. The callee may read the org and must not write to it.
    pub fn on_commit(&self, f: Hook) {
        self.hooks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(f);
    }

    /// A record as it stands, deleted ones included.
    pub fn record(&self, entity: &str, record_id: &str) -> Option<Record> {
        let entity = schema::entity(entity)?;
        let record_id = id::to_18(record_id)?;
        self.state().table(entity.name)?.get(&record_id).cloned()
    }

    /// Every record of an object in id order, deleted ones included.
    pub fn records(&self, entity: &str) -> Vec<Record> {
        let Some(entity) = schema::entity(entity) else {
            return Vec::new();
        };
        let state = self.state();
        let table = state.table(entity.name);
        table
            .map(|table| table.all().cloned().collect())
            .unwrap_or_default()
    }

    /// The fields of a record that change with time alone, as they are now.
    pub(crate) fn computed_now(&self, record: &Record) -> Vec<(&'static str, Cell)> {
        let now = time::datetime_text(self.now_micros().div_euclid(1000));
        let state = self.state();
        let position = match record.entity().name {
            "PermissionSetAssignment" => record.entity().position("IsActive"),
            _ => None,
        };
        position
            .map(|position| ("IsActive", state.cell_now(record, position, &now)))
            .into_iter()
            .collect()
    }

    pub(crate) fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a transaction's records the committed ones, enters it into the ledger and tells the
    /// hooks. The caller holds the writer.
    pub(crate) fn commit(
        &self,
        writer: &mut Writer,
        at_micros: i64,
        user: &str,
        origin: &str,
        written: Written,
    ) -> Arc<Commit> {
        writer.commit_number += writer.random.random_range(1..=40);
        let commit = Arc::new(Commit {
            number: writer.commit_number,
            transaction_key: transaction_key(&mut writer.random),
            at_micros,
            stamp_ms: time::whole_second_ms(at_micros),
            user: user.to_owned(),
            origin: origin.to_owned(),
            changes: written.changes,
            silent: written.silent,
        });
        {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            for (record_id, record) in written.records {
                let Some(entity) = id::entity_of(&record_id) else {
                    continue;
                };
                let Some(table) = state.tables.get_mut(entity.name) else {
                    continue;
                };
                match record {
                    Some(record) => table.put(record),
                    None => table.remove(&record_id),
                }
            }
            state.ledger.push(Arc::clone(&commit));
        }
        let hooks = self.hooks.lock().unwrap_or_else(PoisonError::into_inner);
        for hook in hooks.iter() {
            hook(&commit);
        }
        commit
    }
}

impl Writer {
    /// The next id of an object.
    pub(crate) fn mint(&mut self, entity: &'static schema::Entity) -> String {
        let next = self.sequences.entry(entity.name).or_insert(FIRST_SEQUENCE);
        *next += 1;
        id::mint(entity.prefix, *next)
    }
}

impl State {
    pub(crate) fn table(&self, entity: &str) -> Option<&Table> {
        self.tables.get(entity)
    }

    /// A record by its id alone: its object follows from the key prefix.
    pub(crate) fn by_id(&self, record_id: &str) -> Option<&Record> {
        self.table(id::entity_of(record_id)?.name)?.get(record_id)
    }

    /// A field's value now. `PermissionSetAssignment.IsActive` follows from the expiry; all others
    /// are stored.
    pub(crate) fn cell_now(&self, record: &Record, position: usize, now: &str) -> Cell {
        let entity = record.entity();
        if entity.name == "PermissionSetAssignment"
            && entity.position("IsActive") == Some(position)
            && record.text("ExpirationDate").is_some_and(|end| end <= now)
        {
            return Cell::Bool(false);
        }
        record.at(position).clone()
    }
}

fn transaction_key(random: &mut StdRng) -> String {
    let (high, low): (u64, u64) = (random.random(), random.random());
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}
