//! From a transaction to its change events: what is collapsed, merged, listed and left out.
use std::collections::{BTreeMap, BTreeSet};

use super::avro::{Datum, Misfit, Writer, datum};
use super::bitmap::FieldSet;
use super::schema::{CHANGE_TYPES, EventSchema, Field, Scalar, Shape};
use crate::commit::{ChangeKind, Commit, RowChange};
use crate::record::Record;

/// An event of more bytes than this becomes a gap event.
const MAX_PAYLOAD: usize = 1024 * 1024;

/// How many records one event names at most: a chunk of the platform's triggers.
const MAX_IDS: usize = 200;

/// How many field changes of a transaction are told; the rest is one overflow event an object.
pub(crate) const MAX_CHANGES: usize = 100_000;

/// The id that an overflow event names.
pub(crate) const OVERFLOW_ID: &str = "000000000000000AAA";

/// Fields that can change without a change event.
const SILENT: [&str; 5] = [
    "SystemModstamp",
    "LastViewedDate",
    "LastReferencedDate",
    "LastActivityDate",
    "LastLoginDate",
];

/// An event before the log gives it a replay id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Encoded {
    pub(crate) entity: String,
    pub(crate) schema_id: String,
    pub(crate) sequence: usize,
    pub(crate) payload: Vec<u8>,
}

/// The part of the header that all events of a transaction share.
#[derive(Clone, Debug)]
pub(crate) struct Transaction<'a> {
    pub(crate) key: &'a str,
    pub(crate) number: i64,
    pub(crate) stamp_ms: i64,
    pub(crate) user: &'a str,
    pub(crate) origin: &'a str,
}

/// What an event says, without the records it says it of.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    /// Position in the enum of change types.
    pub(crate) change_type: usize,
    pub(crate) nulled: FieldSet,
    pub(crate) diff: FieldSet,
    pub(crate) changed: FieldSet,
    pub(crate) values: Vec<Datum>,
}

impl Body {
    /// A body without fields.
    pub(crate) fn header_only(schema: &EventSchema, change_type: usize) -> Self {
        Body {
            change_type,
            nulled: FieldSet::default(),
            diff: FieldSet::default(),
            changed: FieldSet::default(),
            values: vec![Datum::Null; schema.fields.len()],
        }
    }

    /// How many changes of fields this is, at least one.
    fn weight(&self) -> usize {
        let told = self.values.iter().filter(|value| **value != Datum::Null);
        told.count().max(1)
    }

    fn write_values(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        self.values.iter().for_each(|value| writer.optional(value));
        writer.into_bytes()
    }
}

/// Position of a change type in the enum; gap types have names of their own.
pub(crate) fn change_type(name: &str) -> usize {
    CHANGE_TYPES
        .iter()
        .position(|known| *known == name)
        .unwrap_or_default()
}

/// `CREATE`, `UPDATE`, `DELETE` or `UNDELETE`.
pub(crate) fn change_name(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Create => "CREATE",
        ChangeKind::Update => "UPDATE",
        ChangeKind::Delete => "DELETE",
        ChangeKind::Undelete => "UNDELETE",
    }
}

/// The raw Avro datum of one event.
pub(crate) fn write(
    schema: &EventSchema,
    transaction: &Transaction<'_>,
    sequence: usize,
    ids: &[String],
    body: &Body,
) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.text(&schema.entity);
    writer.texts(ids);
    writer.integer(i64::try_from(body.change_type).unwrap_or_default());
    writer.text(transaction.origin);
    writer.text(transaction.key);
    writer.integer(i64::try_from(sequence).unwrap_or_default());
    writer.integer(transaction.stamp_ms);
    writer.integer(transaction.number);
    writer.text(transaction.user);
    writer.texts(&body.nulled.encode());
    writer.texts(&body.diff.encode());
    writer.texts(&body.changed.encode());
    let mut payload = writer.into_bytes();
    payload.extend(body.write_values());
    payload
}

/// The events of a transaction, in order, for at most `max_changes` changes of fields. Objects
/// without a schema have none, but count in the sequence, which therefore has gaps.
pub(crate) fn events(
    commit: &Commit,
    schemas: &BTreeMap<String, EventSchema>,
    max_changes: usize,
) -> Vec<Encoded> {
    let transaction = Transaction {
        key: &commit.transaction_key,
        number: commit.number,
        stamp_ms: commit.stamp_ms,
        user: &commit.user,
        origin: &commit.origin,
    };
    let mut encoded = Vec::new();
    for (index, group) in groups(commit, schemas, max_changes).into_iter().enumerate() {
        let Some((schema, body)) = group.content else {
            continue;
        };
        let sequence = index + 1;
        let payload = write(schema, &transaction, sequence, &group.ids, &body);
        let payload = if payload.len() > MAX_PAYLOAD {
            let gap = Body::header_only(schema, gap_of(body.change_type));
            write(schema, &transaction, sequence, &group.ids, &gap)
        } else {
            payload
        };
        encoded.push(Encoded {
            entity: schema.entity.clone(),
            schema_id: schema.id.clone(),
            sequence,
            payload,
        });
    }
    encoded
}

/// The gap type that stands in for a change type.
fn gap_of(kind: usize) -> usize {
    let name = CHANGE_TYPES.get(kind).copied().unwrap_or_default();
    change_type(&format!("GAP_{name}"))
}

/// Records of one object that the same thing happened to.
struct Group<'a> {
    ids: Vec<String>,
    /// `None` for objects that have no events.
    content: Option<(&'a EventSchema, Body)>,
}

/// What merged records have in common: object, change type, changed and cleared fields, values.
type SameChange = (String, usize, Vec<String>, Vec<String>, Vec<u8>);

fn groups<'a>(
    commit: &Commit,
    schemas: &'a BTreeMap<String, EventSchema>,
    max_changes: usize,
) -> Vec<Group<'a>> {
    let mut changes = 0;
    let mut overflowed: BTreeSet<String> = BTreeSet::new();
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut open: BTreeMap<SameChange, usize> = BTreeMap::new();
    for change in collapse(&commit.changes) {
        let Some(schema) = schemas.get(&change.entity) else {
            let key = (change.entity.clone(), 0, Vec::new(), Vec::new(), Vec::new());
            open.entry(key).or_insert_with(|| {
                groups.push(Group {
                    ids: Vec::new(),
                    content: None,
                });
                groups.len() - 1
            });
            continue;
        };
        let Some(body) = body(schema, &change) else {
            continue;
        };
        changes += body.weight();
        if changes > max_changes {
            if overflowed.insert(change.entity) {
                let overflow = Body::header_only(schema, change_type("GAP_OVERFLOW"));
                groups.push(Group {
                    ids: vec![OVERFLOW_ID.to_owned()],
                    content: Some((schema, overflow)),
                });
            }
            continue;
        }
        let key = (
            change.entity.clone(),
            body.change_type,
            body.changed.encode(),
            body.nulled.encode(),
            body.write_values(),
        );
        let same = open.get(&key).and_then(|index| groups.get_mut(*index));
        match same {
            Some(group) if group.ids.len() < MAX_IDS => group.ids.push(change.id),
            Some(_) | None => {
                open.insert(key, groups.len());
                groups.push(Group {
                    ids: vec![change.id],
                    content: Some((schema, body)),
                });
            }
        }
    }
    groups
}

/// All that a transaction did to one record.
struct Collapsed {
    entity: String,
    id: String,
    kind: ChangeKind,
    before: Option<Record>,
    after: Record,
    changed: BTreeSet<String>,
}

/// One change a record, in the order in which the records were first touched: the kind of the
/// first step, the state after the last one. What a transaction both made and deleted never was.
fn collapse(changes: &[RowChange]) -> Vec<Collapsed> {
    let mut order: Vec<(&str, &str)> = Vec::new();
    let mut steps: BTreeMap<(&str, &str), Vec<&RowChange>> = BTreeMap::new();
    for change in changes {
        let key = (change.entity.as_str(), change.id.as_str());
        let of_record = steps.entry(key).or_default();
        if of_record.is_empty() {
            order.push(key);
        }
        of_record.push(change);
    }
    order
        .into_iter()
        .filter_map(|key| {
            let of_record = steps.get(&key)?;
            let (first, last) = (of_record.first()?, of_record.last()?);
            Some(Collapsed {
                entity: first.entity.clone(),
                id: first.id.clone(),
                kind: collapsed_kind(of_record)?,
                before: first.before.clone(),
                after: last.after.clone(),
                changed: of_record
                    .iter()
                    .flat_map(|step| step.changed.iter().cloned())
                    .collect(),
            })
        })
        .collect()
}

fn collapsed_kind(steps: &[&RowChange]) -> Option<ChangeKind> {
    let first = steps.first()?.kind;
    let last = steps.last()?.kind;
    let came_back = steps.iter().any(|step| step.kind == ChangeKind::Undelete);
    match (first, last) {
        (ChangeKind::Create, ChangeKind::Delete) => None,
        (ChangeKind::Create, _) => Some(ChangeKind::Create),
        (_, ChangeKind::Delete) => Some(ChangeKind::Delete),
        (_, _) if came_back => Some(ChangeKind::Undelete),
        (kind, _) => Some(kind),
    }
}

/// What the event of this change says; `None` where the change makes no event.
fn body(schema: &EventSchema, change: &Collapsed) -> Option<Body> {
    let kind = change_type(change_name(change.kind));
    let made = match change.kind {
        ChangeKind::Delete => return Some(Body::header_only(schema, kind)),
        ChangeKind::Create | ChangeKind::Undelete => full(schema, &change.after, kind),
        ChangeKind::Update => {
            let silent = |leaf: &String| SILENT.contains(&leaf.as_str());
            if change.changed.iter().all(silent) {
                return None;
            }
            delta(schema, change, kind)
        }
    };
    // Salesforce, too, sends a gap event where a value can not be converted.
    Some(made.unwrap_or_else(|_misfit| Body::header_only(schema, gap_of(kind))))
}

/// Every field of the record.
fn full(schema: &EventSchema, after: &Record, change_type: usize) -> Result<Body, Misfit> {
    let mut body = Body::header_only(schema, change_type);
    body.values = schema
        .fields
        .iter()
        .map(|field| value(field, after, |_| true))
        .collect::<Result<_, _>>()?;
    Ok(body)
}

/// The fields that changed, and who changed them when.
fn delta(schema: &EventSchema, change: &Collapsed, kind: usize) -> Result<Body, Misfit> {
    let mut leaves = change.changed.clone();
    leaves.insert("LastModifiedDate".to_owned());
    leaves.remove("LastModifiedById");
    let modifier = |record: &Record| record.get("LastModifiedById");
    if change.before.as_ref().map(modifier) != Some(modifier(&change.after)) {
        leaves.insert("LastModifiedById".to_owned());
    }

    leaves.retain(|leaf| !is_hidden(&change.after, leaf));

    let mut body = Body::header_only(schema, kind);
    for leaf in &leaves {
        let Some(place) = schema.place(leaf) else {
            continue;
        };
        body.changed.insert(place);
        if change.after.get(leaf).is_null() {
            body.nulled.insert(place);
        }
    }
    body.changed.fold(schema);
    body.nulled.fold(schema);
    body.values = schema
        .fields
        .iter()
        .enumerate()
        .map(|(index, field)| {
            let position = index + 1;
            if !body.changed.touches(position) {
                return Ok(Datum::Null);
            }
            value(field, &change.after, |part| {
                body.changed.has_part(position, part)
            })
        })
        .collect::<Result<_, _>>()?;
    Ok(body)
}

/// Whether field-level security keeps a field from subscribers: its schema lists it, its events
/// never do.
fn is_hidden(record: &Record, leaf: &str) -> bool {
    record
        .entity()
        .field(leaf)
        .is_some_and(|field| field.hidden)
}

/// A field's value, of a compound one the parts that `wanted` names.
fn value(field: &Field, record: &Record, wanted: impl Fn(usize) -> bool) -> Result<Datum, Misfit> {
    if is_hidden(record, &field.name) {
        return Ok(Datum::Null);
    }
    match &field.shape {
        Shape::Scalar(Scalar::Names) => Ok(Datum::Texts(switched_on(&field.name, record))),
        Shape::Scalar(scalar) => datum(*scalar, &record.get(&field.name)),
        Shape::SwitchableName if record.flag("IsPersonAccount") => {
            let parts = ["Salutation", "FirstName", "LastName"];
            let parts = parts.map(|part| datum(Scalar::Text, &record.get(part)));
            Ok(Datum::Person(parts.into_iter().collect::<Result<_, _>>()?))
        }
        Shape::SwitchableName => datum(Scalar::Text, &record.get(&field.name)),
        Shape::Compound(_, parts) => {
            let values = parts
                .iter()
                .enumerate()
                .map(|(index, part)| {
                    if wanted(index) && !is_hidden(record, &part.leaf) {
                        datum(part.scalar, &record.get(&part.leaf))
                    } else {
                        Ok(Datum::Null)
                    }
                })
                .collect::<Result<Vec<_>, _>>()?;
            let empty = values.iter().all(|value| *value == Datum::Null);
            Ok(if empty {
                Datum::Null
            } else {
                Datum::Record(values)
            })
        }
    }
}

/// The names of the preferences of a list that are on.
fn switched_on(list: &str, record: &Record) -> Vec<String> {
    let fields = record.entity().fields.iter();
    fields
        .map(|field| field.name)
        .filter(|name| name.starts_with(list) && record.flag(name))
        .map(str::to_owned)
        .collect()
}
