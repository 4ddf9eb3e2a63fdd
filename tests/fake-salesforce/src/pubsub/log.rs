//! The event log: what was published, under which replay id, for how long it can be read.
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use super::avro::Datum;
use super::event::{self, Body, OVERFLOW_ID, Transaction};
use super::schema::{self, EventSchema};
use super::topic::Topic;
use crate::commit::{ChangeKind, Clock, Commit};
use crate::faults::{Faults, InjectedEvent};
use crate::ledger::Appended;
use crate::org::Org;
use crate::record::{Reader, push_number};
use crate::setup_fields::SchemaChange;

/// How long an event can be read: 72 hours.
const RETENTION_MICROS: i64 = 72 * 3600 * 1_000_000;

/// On a quiet stream keep-alives name a new position this often, so that a position stored from
/// one does not age out.
const HEAD_LIFE_MICROS: i64 = 3600 * 1_000_000;

/// The log's first position; like all of them it means nothing.
const FIRST_POSITION: u64 = 0x0010_db4d;

/// A published event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place in the stream, opaque to readers.
    pub replay_id: Vec<u8>,
    /// The UUID that a duplicate shares.
    pub event_id: String,
    /// The schema that the payload was written with.
    pub schema_id: String,
    /// API name of the object.
    pub entity: String,
    /// Raw Avro.
    pub payload: Vec<u8>,
    /// When it was published, microseconds since the epoch.
    pub at_micros: i64,
}

/// A replay id that the log does not resume from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// No replay id where one is needed.
    #[error("The Replay ID validation failed. Ensure that the Replay ID is valid.")]
    Empty,
    /// Garbage, too old, or from before the stream began anew.
    #[error(
        "The replayId is corrupted or has aged out of the retention window. Ensure that the \
         Replay ID is valid."
    )]
    Corrupted,
}

/// An event can not be injected as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InjectError {
    /// The object has no change events.
    #[error(
        "{0} has no change events; name Account, Contact, Opportunity, OpportunityContactRole or User"
    )]
    NoSuchEntity(String),
    /// The object's events do not carry the field as text.
    #[error("{entity} events carry no text field {field}")]
    NoSuchField {
        /// API name of the object.
        entity: String,
        /// API name of the field.
        field: String,
    },
    /// The field can not be added.
    #[error("{field} can not be added to {entity}: it exists or its type is unknown")]
    FieldNotAdded {
        /// API name of the object.
        entity: String,
        /// API name of the field.
        field: String,
    },
}

/// What a reader gets.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    /// The events of the topic, oldest first.
    pub(crate) events: Vec<Arc<StoredEvent>>,
    /// Up to where the stream was read: the last of the events, or the head if there are no more.
    pub(crate) position: u64,
    /// The replay id of that position.
    pub(crate) replay_id: Vec<u8>,
}

/// The events of the last 72 hours and the schemas they were written with. The events are on
/// disk; in memory is where each begins.
pub struct EventLog {
    org_id: String,
    file: Appended,
    clock: Clock,
    state: Mutex<State>,
    head: watch::Sender<u64>,
    faults: OnceLock<Arc<Faults>>,
}

struct State {
    current: BTreeMap<String, EventSchema>,
    /// By schema id, past versions included.
    schemas: BTreeMap<String, String>,
    /// Every position that was handed out and may still be resumed from.
    positions: BTreeMap<u64, Position>,
    head: u64,
    head_at: i64,
    /// Positions before this one are refused.
    valid_from: u64,
    /// The number of times that all replay ids were made invalid.
    replay_epoch: u64,
    wide_replay_ids: bool,
    random: u64,
    duplicates: usize,
    last_commit: i64,
    last_user: String,
    injected: u64,
    /// Objects whose changes are not published.
    unselected: BTreeSet<String>,
}

struct Position {
    at_micros: i64,
    /// `None` for a position of a keep-alive.
    event: Option<Kept>,
}

/// Where an event is in the file.
#[derive(Clone, Copy)]
struct Kept {
    entity: &'static str,
    start: u64,
    length: u32,
    /// How it was given out: with ten bytes or with eight.
    wide: bool,
}

impl std::fmt::Debug for EventLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventLog")
            .field("org_id", &self.org_id)
            .finish_non_exhaustive()
    }
}

impl EventLog {
    /// A log of all that the org commits from now on.
    ///
    /// # Panics
    /// Where no temporary file can be made for the events.
    pub fn attach(org: &Arc<Org>) -> Arc<EventLog> {
        match EventLog::attach_in(org, None) {
            Ok(log) => log,
            Err(error) => panic!("no temporary file for the events can be made: {error}"),
        }
    }

    /// The same with its events as the file `events` in a folder; a temporary file without a name
    /// where none is given, which goes with the process.
    ///
    /// # Errors
    /// The file can not be made.
    pub fn attach_in(org: &Arc<Org>, folder: Option<&Path>) -> io::Result<Arc<EventLog>> {
        let file = Appended::new(folder, "events")?;
        let log = Arc::new(EventLog::new(org.org_id(), org.clock(), file));
        let hook = Arc::clone(&log);
        org.on_commit(Box::new(move |commit| hook.append(commit)));
        let hook = Arc::clone(&log);
        org.on_schema(Box::new(move |change| hook.follow(change)));
        Ok(log)
    }

    /// An empty log.
    pub(crate) fn new(org_id: &str, clock: Clock, file: Appended) -> Self {
        let current: BTreeMap<String, EventSchema> = schema::initial()
            .into_iter()
            .map(|schema| (schema.entity.clone(), schema))
            .collect();
        let schemas = current
            .values()
            .map(|schema| (schema.id.clone(), schema.json.clone()))
            .collect();
        let now = clock();
        let first = Position {
            at_micros: now,
            event: None,
        };
        let seed = org_id
            .bytes()
            .fold(0_u64, |seed, byte| seed.wrapping_mul(31) + u64::from(byte));
        EventLog {
            org_id: org_id.to_owned(),
            file,
            clock,
            state: Mutex::new(State {
                current,
                schemas,
                positions: BTreeMap::from([(FIRST_POSITION, first)]),
                head: FIRST_POSITION,
                head_at: now,
                valid_from: FIRST_POSITION,
                replay_epoch: 0,
                wide_replay_ids: false,
                random: seed,
                duplicates: 0,
                last_commit: 0,
                last_user: OVERFLOW_ID.to_owned(),
                injected: 0,
                unselected: BTreeSet::new(),
            }),
            head: watch::Sender::new(FIRST_POSITION),
            faults: OnceLock::new(),
        }
    }

    /// Lets faults act on this log: injected events, duplicates, invalid replay ids. A gap that
    /// names no ids is of the object's first record in `org`. The first call counts.
    pub fn obey(self: &Arc<Self>, faults: &Arc<Faults>, org: &Arc<Org>) {
        if self.faults.set(Arc::clone(faults)).is_err() {
            return;
        }
        self.state().replay_epoch = faults.replay_epoch();
        let log = Arc::clone(self);
        let org = Arc::clone(org);
        faults.on_inject(Box::new(move |injected| {
            if let Err(error) = log.inject(injected, &org) {
                tracing::warn!(%error, "no event injected");
            }
        }));
    }

    /// Publishes a transaction's events.
    pub fn append(&self, commit: &Commit) {
        let mut state = self.settled();
        state.last_commit = commit.number;
        state.last_user.clone_from(&commit.user);
        for encoded in event::events(commit, &state.current, event::MAX_CHANGES) {
            if state.unselected.contains(&encoded.entity) {
                continue;
            }
            let event_id = uuid(&[
                self.org_id.as_bytes(),
                commit.transaction_key.as_bytes(),
                &encoded.sequence.to_be_bytes(),
            ]);
            self.publish(&mut state, &event_id, &encoded);
        }
        self.announce(&state);
    }

    /// Up to `max` events after `replay`, of all objects; `None` reads from the oldest one.
    ///
    /// # Errors
    /// [`ReplayError`] where the log does not resume from this replay id.
    pub fn events_after(
        &self,
        replay: Option<&[u8]>,
        max: usize,
    ) -> Result<Vec<StoredEvent>, ReplayError> {
        let position = match replay {
            None => self.earliest(),
            Some(replay) => self.resume(replay)?,
        };
        let batch = self.read(position, &Topic::All, max, usize::MAX);
        Ok(batch
            .events
            .iter()
            .map(|event| StoredEvent::clone(event))
            .collect())
    }

    /// The replay id of the stream's end: what comes later comes after it.
    pub fn latest_replay_id(&self) -> Vec<u8> {
        let mut state = self.settled();
        let head = self.fresh_head(&mut state);
        state.replay_id(head)
    }

    /// A schema by its id, past versions included.
    pub fn schema_json(&self, id: &str) -> Option<String> {
        self.state().schemas.get(id).cloned()
    }

    /// The id of the schema that the object's next event is written with.
    pub fn schema_id(&self, entity: &str) -> Option<String> {
        Some(self.state().current.get(entity)?.id.clone())
    }

    /// Adds a custom field to an object's events, as creating one in Setup does: later events are
    /// written with another schema. `data_type` is the events' name for it, for example `Text`.
    ///
    /// # Errors
    /// The object has no events, the field exists, or the type is unknown.
    pub fn add_field(
        &self,
        entity: &str,
        field: &str,
        data_type: &str,
    ) -> Result<String, InjectError> {
        let mut state = self.state();
        let schema = state.schema(entity)?;
        let Some(next) = schema.with_custom_field(field, data_type) else {
            return Err(InjectError::FieldNotAdded {
                entity: entity.to_owned(),
                field: field.to_owned(),
            });
        };
        let id = next.id.clone();
        state.schemas.insert(id.clone(), next.json.clone());
        state.current.insert(entity.to_owned(), next);
        Ok(id)
    }

    /// Selects an object for change capture, as Setup does, or takes the selection back: from then
    /// on its changes are published, or are not. In the beginning every object is selected.
    pub fn select(&self, entity: &str, selected: bool) {
        let mut state = self.state();
        if selected {
            state.unselected.remove(entity);
        } else {
            state.unselected.insert(entity.to_owned());
        }
    }

    /// Takes over what was changed in Setup.
    fn follow(&self, change: &SchemaChange) {
        match change {
            SchemaChange::Added {
                entity,
                field,
                event_type,
            } => {
                // Objects without change events have no schema to change.
                if self.schema_id(entity).is_some()
                    && let Err(error) = self.add_field(entity, field, event_type)
                {
                    tracing::warn!(%error, "the field has no place in the events");
                }
            }
            SchemaChange::Removed { entity, field } => {
                let mut state = self.state();
                let next = state.current.get(entity);
                let next = next.and_then(|schema| schema.without_custom_field(field));
                if let Some(next) = next {
                    state.schemas.insert(next.id.clone(), next.json.clone());
                    state.current.insert(entity.clone(), next);
                }
            }
        }
    }

    /// From now on replay ids have ten bytes (true) or eight.
    pub fn set_wide_replay_ids(&self, wide: bool) {
        self.state().wide_replay_ids = wide;
    }

    /// The next `count` events are published twice: same event id and payload, new replay id.
    pub fn duplicate_next(&self, count: usize) {
        self.state().duplicates += count;
    }

    /// Every replay id handed out so far is refused from now on; open streams go on.
    pub fn invalidate_replay_ids(&self) {
        let mut state = self.settled();
        self.begin_anew(&mut state);
    }

    /// Publishes a gap event of these records: header only.
    ///
    /// # Errors
    /// The object has no change events.
    pub fn gap(&self, entity: &str, ids: &[String], kind: ChangeKind) -> Result<(), InjectError> {
        let name = format!("GAP_{}", event::change_name(kind));
        self.publish_injected(entity, 0, |schema| {
            let body = Body::header_only(schema, event::change_type(&name));
            Ok((ids.to_vec(), body))
        })
    }

    /// Publishes an overflow event: more of the object changed than events were made for.
    ///
    /// # Errors
    /// The object has no change events.
    pub fn overflow(&self, entity: &str) -> Result<(), InjectError> {
        self.publish_injected(entity, 0, |schema| {
            let body = Body::header_only(schema, event::change_type("GAP_OVERFLOW"));
            Ok((vec![OVERFLOW_ID.to_owned()], body))
        })
    }

    /// Publishes the event of a field type conversion that lost data: an update without fields
    /// whose one id is the key prefix and an asterisk.
    ///
    /// # Errors
    /// The object has no change events.
    pub fn wildcard(&self, entity: &str) -> Result<(), InjectError> {
        self.publish_injected(entity, 0, |schema| {
            let body = Body::header_only(schema, event::change_type("UPDATE"));
            Ok((vec![format!("{}*", schema.prefix)], body))
        })
    }

    /// Publishes an event whose payload ends too early.
    ///
    /// # Errors
    /// The object has no change events.
    pub fn truncated(&self, entity: &str) -> Result<(), InjectError> {
        self.publish_injected(entity, 3, |schema| {
            let body = Body::header_only(schema, event::change_type("UPDATE"));
            Ok((vec![OVERFLOW_ID.to_owned()], body))
        })
    }

    /// Publishes an update whose value of a text field is a unified diff: the field is listed in
    /// `diffFields` and `changedFields`.
    ///
    /// # Errors
    /// The object has no change events, or its events no such text field.
    pub fn diff(&self, entity: &str, id: &str, field: &str, diff: &str) -> Result<(), InjectError> {
        let stamp_ms = self.whole_second_ms();
        self.publish_injected(entity, 0, |schema| {
            let mut body = Body::header_only(schema, event::change_type("UPDATE"));
            let values = [
                (field, Datum::Text(diff.to_owned())),
                ("LastModifiedDate", Datum::Integer(stamp_ms)),
            ];
            for (name, value) in values {
                let is_text = !matches!(value, Datum::Text(_)) || schema.is_text(name);
                let place = schema.place(name).filter(|_| is_text);
                let slot = place.and_then(|place| body.values.get_mut(place.field - 1));
                let (Some(place), Some(slot)) = (place, slot) else {
                    return Err(InjectError::NoSuchField {
                        entity: entity.to_owned(),
                        field: name.to_owned(),
                    });
                };
                *slot = value;
                body.changed.insert(place);
                if name == field {
                    body.diff.insert(place);
                }
            }
            Ok((vec![id.to_owned()], body))
        })
    }

    /// Publishes what a fault asks for.
    ///
    /// # Errors
    /// The object has no change events.
    pub fn inject(&self, injected: &InjectedEvent, org: &Org) -> Result<(), InjectError> {
        match injected {
            InjectedEvent::Gap { entity, ids, kind } if ids.is_empty() => {
                let first = org.records(entity).first().map(|row| row.id().to_owned());
                self.gap(entity, &Vec::from_iter(first), *kind)
            }
            InjectedEvent::Gap { entity, ids, kind } => self.gap(entity, ids, *kind),
            InjectedEvent::Overflow { entity } => self.overflow(entity),
            InjectedEvent::Wildcard { entity } => self.wildcard(entity),
            InjectedEvent::Truncated { entity } => self.truncated(entity),
        }
    }

    /// The stream's end, and a signal whenever it moves.
    pub(crate) fn head(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    /// The position of the stream's end.
    pub(crate) fn latest(&self) -> u64 {
        self.settled().head
    }

    /// The position before the oldest event.
    pub(crate) fn earliest(&self) -> u64 {
        self.settled().valid_from
    }

    /// The position that a replay id names.
    pub(crate) fn resume(&self, replay: &[u8]) -> Result<u64, ReplayError> {
        if replay.is_empty() {
            return Err(ReplayError::Empty);
        }
        let position = position_of(replay).ok_or(ReplayError::Corrupted)?;
        let state = self.settled();
        let known = position >= state.valid_from && state.positions.contains_key(&position);
        known.then_some(position).ok_or(ReplayError::Corrupted)
    }

    /// Events of a topic after a position, at most so many and not many more bytes than that.
    pub(crate) fn read(&self, after: u64, topic: &Topic, max: usize, bytes: usize) -> Batch {
        let mut state = self.settled();
        let mut events: Vec<Arc<StoredEvent>> = Vec::new();
        let mut size = 0_usize;
        let later = (Bound::Excluded(after), Bound::Unbounded);
        for (position, entry) in state.positions.range(later) {
            let Some(kept) = entry.event else { continue };
            if !topic.carries(kept.entity) {
                continue;
            }
            let event = self.load(*position, entry.at_micros, kept);
            let event = Arc::new(event);
            events.push(Arc::clone(&event));
            size += event.payload.len();
            if events.len() >= max || size >= bytes {
                return Batch {
                    replay_id: event.replay_id.clone(),
                    events,
                    position: *position,
                };
            }
        }
        let position = self.fresh_head(&mut state).max(after);
        Batch {
            replay_id: events.last().map_or_else(
                || state.replay_id(position),
                |event| event.replay_id.clone(),
            ),
            events,
            position,
        }
    }

    /// The payload lacks its last `missing` bytes.
    fn publish_injected(
        &self,
        entity: &str,
        missing: usize,
        make: impl FnOnce(&EventSchema) -> Result<(Vec<String>, Body), InjectError>,
    ) -> Result<(), InjectError> {
        let stamp_ms = self.whole_second_ms();
        let mut state = self.settled();
        let (ids, body) = make(state.schema(entity)?)?;
        state.injected += 1;
        state.last_commit += 1;
        let key = uuid(&[self.org_id.as_bytes(), &state.injected.to_be_bytes()]);
        let transaction = Transaction {
            key: &key,
            number: state.last_commit,
            stamp_ms,
            user: &state.last_user,
            origin: "",
        };
        let schema = state.schema(entity)?;
        let mut payload = event::write(schema, &transaction, 1, &ids, &body);
        payload.truncate(payload.len().saturating_sub(missing));
        let encoded = event::Encoded {
            entity: entity.to_owned(),
            schema_id: schema.id.clone(),
            sequence: 1,
            payload,
        };
        let event_id = uuid(&[b"event", key.as_bytes()]);
        self.publish(&mut state, &event_id, &encoded);
        self.announce(&state);
        Ok(())
    }

    fn publish(&self, state: &mut State, event_id: &str, encoded: &event::Encoded) {
        let twice = if state.duplicates > 0 {
            state.duplicates -= 1;
            true
        } else {
            self.faults
                .get()
                .is_some_and(|faults| faults.take_duplicate())
        };
        let now = (self.clock)();
        for _ in 0..=usize::from(twice) {
            let position = state.next_position();
            let event = self.keep(event_id, encoded, state.wide_replay_ids);
            state.add(position, now, Some(event));
        }
    }

    /// Writes an event to the file.
    fn keep(&self, event_id: &str, encoded: &event::Encoded, wide: bool) -> Kept {
        let mut bytes = Vec::with_capacity(encoded.payload.len() + 70);
        for part in [event_id.as_bytes(), encoded.schema_id.as_bytes()] {
            push_number(&mut bytes, u64::try_from(part.len()).unwrap_or_default());
            bytes.extend(part);
        }
        bytes.extend(&encoded.payload);
        let start = match self.file.append(&bytes) {
            Ok(start) => start,
            // An event that is not kept would be a loss that nobody asked for.
            Err(error) => panic!("the events can not be written, is the disk full? {error}"),
        };
        Kept {
            entity: crate::schema::entity(&encoded.entity).map_or("", |entity| entity.name),
            start,
            length: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            wide,
        }
    }

    /// Reads an event from the file.
    fn load(&self, position: u64, at_micros: i64, kept: Kept) -> StoredEvent {
        let length = usize::try_from(kept.length).unwrap_or_default();
        let bytes = self.file.read(kept.start, length).unwrap_or_else(|error| {
            tracing::error!(%error, "an event can not be read back");
            Vec::new()
        });
        let mut reader = Reader {
            packed: &bytes,
            place: 0,
        };
        let event_id = reader.text().unwrap_or_default().to_owned();
        let schema_id = reader.text().unwrap_or_default().to_owned();
        StoredEvent {
            replay_id: replay_id(position, kept.wide),
            event_id,
            schema_id,
            entity: kept.entity.to_owned(),
            payload: bytes.get(reader.place..).unwrap_or_default().to_vec(),
            at_micros,
        }
    }

    fn announce(&self, state: &State) {
        self.head.send_if_modified(|head| {
            let moved = *head != state.head;
            *head = state.head;
            moved
        });
    }

    /// The head, moved on if it is old.
    fn fresh_head(&self, state: &mut State) -> u64 {
        let now = (self.clock)();
        if now - state.head_at > HEAD_LIFE_MICROS {
            let position = state.next_position();
            state.add(position, now, None);
        }
        state.head
    }

    fn begin_anew(&self, state: &mut State) {
        let position = state.next_position();
        state.add(position, (self.clock)(), None);
        state.valid_from = position;
    }

    /// The state, with all that became due since it was last looked at.
    fn settled(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        if let Some(faults) = self.faults.get()
            && faults.replay_epoch() != state.replay_epoch
        {
            state.replay_epoch = faults.replay_epoch();
            self.begin_anew(&mut state);
        }
        let oldest = (self.clock)() - RETENTION_MICROS;
        while let Some(first) = state.positions.first_entry()
            && first.get().at_micros < oldest
        {
            let position = *first.key();
            first.remove();
            state.valid_from = state.valid_from.max(position);
        }
        state
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn whole_second_ms(&self) -> i64 {
        (self.clock)().div_euclid(1_000_000) * 1000
    }
}

impl State {
    fn schema(&self, entity: &str) -> Result<&EventSchema, InjectError> {
        let schema = self.current.get(entity);
        schema.ok_or_else(|| InjectError::NoSuchEntity(entity.to_owned()))
    }

    /// A position after the head, at a random distance.
    fn next_position(&mut self) -> u64 {
        // splitmix64
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        self.head + 1 + (mixed >> 32) % 40
    }

    fn add(&mut self, position: u64, at_micros: i64, event: Option<Kept>) {
        self.positions
            .insert(position, Position { at_micros, event });
        self.head = position;
        self.head_at = at_micros;
    }

    fn replay_id(&self, position: u64) -> Vec<u8> {
        replay_id(position, self.wide_replay_ids)
    }
}

/// Big-endian, in eight bytes or in ten of which the last two are zero.
fn replay_id(position: u64, wide: bool) -> Vec<u8> {
    let mut bytes = position.to_be_bytes().to_vec();
    if wide {
        bytes.extend([0, 0]);
    }
    bytes
}

fn position_of(replay: &[u8]) -> Option<u64> {
    let eight = match replay {
        [eight @ .., 0, 0] if eight.len() == 8 => eight,
        _ => replay,
    };
    Some(u64::from_be_bytes(eight.try_into().ok()?))
}

/// A UUID made of the digest of these parts.
pub(crate) fn uuid(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.len().to_be_bytes());
        hasher.update(part);
    }
    let mut number = hasher
        .finalize()
        .iter()
        .take(16)
        .fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    // Version 4, variant 1.
    number = number & !(0xf << 76) | 0x4 << 76;
    number = number & !(0x3 << 62) | 0x2 << 62;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        number >> 96,
        number >> 80 & 0xffff,
        number >> 64 & 0xffff,
        number >> 48 & 0xffff,
        number & 0xffff_ffff_ffff
    )
}
