//! What the tests of this module share: commits by hand, a clock by hand, decoded events.
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use apache_avro::types::Value as Avro;
use serde_json::{Value, json};

use super::log::{EventLog, StoredEvent};
use crate::commit::{ChangeKind, Clock, Commit, RowChange};
use crate::record::{Cell, Record};
use crate::schema;

pub(super) const START_MICROS: i64 = 1_767_225_600_000_000;
pub(super) const STAMP: &str = "2026-01-01T00:00:00.000+0000";
pub(super) const USER: &str = "005000000000001AAA";
pub(super) const OPPORTUNITY: &str = "006000000000001AAA";
pub(super) const ACCOUNT: &str = "001000000000001AAA";

/// A clock that stands until it is moved.
#[derive(Clone, Default)]
pub(super) struct TestClock(Arc<AtomicI64>);

impl TestClock {
    pub(super) fn clock(&self) -> Clock {
        let micros = Arc::clone(&self.0);
        Arc::new(move || START_MICROS + micros.load(Ordering::Relaxed))
    }

    pub(super) fn advance_hours(&self, hours: i64) {
        self.0.fetch_add(hours * 3_600_000_000, Ordering::Relaxed);
    }
}

pub(super) fn log() -> (Arc<EventLog>, TestClock) {
    let clock = TestClock::default();
    let file = crate::ledger::Appended::new(None, "events").unwrap();
    let log = EventLog::new("00D000000000001EAA", clock.clock(), file);
    (Arc::new(log), clock)
}

pub(super) fn record(entity: &str, id: &str, fields: Value) -> Record {
    let entity = schema::entity(entity).expect("an object of the org");
    let known: Vec<&str> = entity.fields.iter().map(|field| field.name).collect();
    for name in fields.as_object().expect("an object").keys() {
        assert!(
            known.contains(&name.as_str()),
            "{} has no {name}",
            entity.name
        );
    }
    let cells: Vec<Cell> = known
        .iter()
        .map(|name| match (*name, &fields[*name]) {
            ("Id", _) => Cell::from(id),
            (_, Value::Bool(on)) => Cell::Bool(*on),
            (_, Value::Number(number)) => match number.as_i64() {
                Some(whole) => Cell::Int(whole),
                None => Cell::Num(number.as_f64().unwrap()),
            },
            (_, Value::String(text)) => Cell::from(text.as_str()),
            ("LastModifiedDate" | "CreatedDate" | "SystemModstamp", _) => Cell::from(STAMP),
            ("LastModifiedById" | "CreatedById", _) => Cell::from(USER),
            _ => Cell::Null,
        })
        .collect();
    Record::new(entity, &cells)
}

pub(super) fn change(
    entity: &str,
    id: &str,
    kind: ChangeKind,
    before: Option<Value>,
    after: Value,
    changed: &[&str],
) -> RowChange {
    RowChange {
        entity: entity.to_owned(),
        id: id.to_owned(),
        kind,
        before: before.map(|fields| record(entity, id, fields)),
        after: record(entity, id, after),
        changed: changed.iter().map(|leaf| (*leaf).to_owned()).collect(),
    }
}

pub(super) fn update(entity: &str, id: &str, after: Value, changed: &[&str]) -> RowChange {
    change(
        entity,
        id,
        ChangeKind::Update,
        Some(json!({})),
        after,
        changed,
    )
}

/// An opportunity's update of one field, the plainest change there is.
pub(super) fn renamed(id: &str, name: &str) -> RowChange {
    update("Opportunity", id, json!({"Name": name}), &["Name"])
}

pub(super) fn commit(changes: Vec<RowChange>) -> Commit {
    Commit {
        number: 218_791_688_481,
        transaction_key: "00000000-0000-0000-0000-000000000001".to_owned(),
        at_micros: START_MICROS,
        stamp_ms: START_MICROS / 1000,
        user: USER.to_owned(),
        origin: "com/salesforce/api/rest/67.0".to_owned(),
        changes,
        silent: Vec::new(),
    }
}

/// All events of the log.
pub(super) fn all(log: &EventLog) -> Vec<StoredEvent> {
    log.events_after(None, usize::MAX).expect("from the oldest")
}

/// The event as JSON, by an Avro implementation that is not ours; absent fields left out.
pub(super) fn decode(log: &EventLog, schema_id: &str, payload: &[u8]) -> Value {
    let json = log.schema_json(schema_id).expect("the schema is known");
    let schema = apache_avro::Schema::parse_str(&json).expect("valid Avro");
    let mut rest = payload;
    let reader = apache_avro::reader::datum::GenericDatumReader::builder(&schema).build();
    let value = reader
        .expect("a reader")
        .read_value(&mut rest)
        .expect("decodes");
    assert!(rest.is_empty(), "{} bytes were not read", rest.len());
    plain(value)
}

pub(super) fn decoded(log: &EventLog) -> Vec<Value> {
    all(log)
        .iter()
        .map(|event| decode(log, &event.schema_id, &event.payload))
        .collect()
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other Avro type is a fault of the encoder"
)]
fn plain(value: Avro) -> Value {
    match value {
        Avro::Union(_, inner) => plain(*inner),
        Avro::Null => Value::Null,
        Avro::String(text) | Avro::Enum(_, text) => json!(text),
        Avro::Int(number) => json!(number),
        Avro::Long(number) => json!(number),
        Avro::Double(number) => json!(number),
        Avro::Boolean(on) => json!(on),
        Avro::Array(items) => items.into_iter().map(plain).collect(),
        Avro::Record(fields) => fields
            .into_iter()
            .map(|(name, value)| (name, plain(value)))
            .filter(|(_, value)| !value.is_null())
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => panic!("no change event has {other:?}"),
    }
}
