//! The org: its records, its ledger of transactions, and who is told of them.
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::commit::{Clock, Commit, RowChange};
use crate::id;
use crate::ledger::{History, Ledger};
use crate::record::{Cell, Record};
use crate::schema::Entity;
use crate::setup_fields::SchemaHook;
use crate::table::{Key, Table};
use crate::{schema, time};

/// Who is told of a commit.
pub type Hook = Box<dyn Fn(&Arc<Commit>) + Send + Sync>;

/// A Salesforce org: its records in memory, its ledger on disk.
///
/// Reads see committed transactions only, each query those of one moment; they never hold up a
/// write, nor a write them. Writes go one transaction at a time; whoever registered
/// with [`Org::on_commit`] is told of each in commit order, before the writer gets its answer.
pub struct Org {
    clock: Clock,
    offset_micros: Arc<AtomicI64>,
    org_id: String,
    admin_id: String,
    founded_at: i64,
    /// Held for the whole of a write, hooks included: this is what makes commit order.
    writer: Mutex<Writer>,
    state: RwLock<Arc<State>>,
    ledger: Arc<Ledger>,
    hooks: Mutex<Vec<Hook>>,
    pub(crate) schema_hooks: Mutex<Vec<SchemaHook>>,
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

/// The committed records and what describes them. Copies share what did not change.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) tables: BTreeMap<&'static str, Table>,
    pub(crate) entities: BTreeMap<&'static str, &'static Entity>,
    /// When an object was last described anew, microseconds since the epoch.
    pub(crate) described_at: BTreeMap<&'static str, i64>,
    /// Records that the integration user may not see.
    pub(crate) hidden: Arc<BTreeSet<Key>>,
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
    ///
    /// # Panics
    /// Where no temporary file can be made for the ledger.
    pub fn new(clock: Clock, seed: u64) -> Arc<Org> {
        match Org::new_in(clock, seed, None) {
            Ok(org) => org,
            Err(error) => panic!("no temporary file for the ledger can be made: {error}"),
        }
    }

    /// The same with its ledger as the file `commits` in a folder; a temporary file without a name
    /// where none is given, which goes with the process.
    ///
    /// # Errors
    /// The file can not be made.
    pub fn new_in(clock: Clock, seed: u64, folder: Option<&Path>) -> io::Result<Arc<Org>> {
        let offset_micros = Arc::new(AtomicI64::new(0));
        let shifted: Clock = {
            let offset = Arc::clone(&offset_micros);
            Arc::new(move || clock() + offset.load(Ordering::Relaxed))
        };
        let tables = schema::entities()
            .iter()
            .map(|entity| (entity.name, Table::new(entity)))
            .collect();
        let founded_at = shifted();
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
            state: RwLock::new(Arc::new(State {
                tables,
                entities: schema::entities()
                    .iter()
                    .filter(|entity| !entity.optional)
                    .map(|entity| (entity.name, entity))
                    .collect(),
                described_at: BTreeMap::new(),
                hidden: Arc::default(),
            })),
            founded_at,
            ledger: Arc::new(Ledger::new(folder)?),
            hooks: Mutex::default(),
            schema_hooks: Mutex::default(),
        });
        org.install_setup();
        Ok(org)
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
    /// without change events appear like all others. All of it is read into memory: for long
    /// ledgers see [`Org::history`].
    pub fn commits_since(&self, index: usize) -> Vec<Arc<Commit>> {
        self.history(index, usize::MAX).map(Arc::new).collect()
    }

    /// At most `limit` commits of the ledger from `index` on, each read from disk when asked for.
    pub fn history(&self, index: usize, limit: usize) -> History {
        History {
            ledger: Arc::clone(&self.ledger),
            next: index,
            end: self.ledger.len().min(index.saturating_add(limit)),
        }
    }

    /// How many commits the ledger has.
    pub fn commits(&self) -> usize {
        self.ledger.len()
    }

    /// When an object was last described anew, microseconds since the epoch.
    pub(crate) fn described_at_micros(&self, entity: &str) -> i64 {
        let state = self.state();
        let at = state.described_at.get(entity).copied();
        at.unwrap_or(self.founded_at)
    }

    /// An object as it is described now, by its name in any case.
    pub fn entity(&self, name: &str) -> Option<&'static Entity> {
        self.state().entity(name)
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

    /// The committed state at this moment; later commits do not change it.
    pub(crate) fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the state. The caller holds the writer.
    pub(crate) fn alter(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut state));
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
        if let Err(error) = self.ledger.push(&commit) {
            // Going on without it would let an audit pass that proves nothing.
            panic!("the ledger can not be written, is the disk full? {error}");
        }
        self.alter(|state| {
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
        });
        let hooks = self.hooks.lock().unwrap_or_else(PoisonError::into_inner);
        for hook in hooks.iter() {
            hook(&commit);
        }
        commit
    }
}

impl Writer {
    /// The next id of an object.
    pub(crate) fn mint(&mut self, entity: &'static Entity) -> String {
        let next = self.sequences.entry(entity.name).or_insert(FIRST_SEQUENCE);
        *next += 1;
        id::mint(entity.prefix, *next)
    }
}

impl State {
    /// An object as it is described now, by its name in any case.
    pub(crate) fn entity(&self, name: &str) -> Option<&'static Entity> {
        self.entities.get(name).copied().or_else(|| {
            let mut known = self.entities.values();
            known
                .find(|known| known.name.eq_ignore_ascii_case(name))
                .copied()
        })
    }

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
        record.at(position).owned()
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
