//! Change events from Avro: a raw datum, decoded with exactly the schema that its event names.
//!
//! The decoder below reads the end of its input inside a union as null and answers Ok, so a
//! datum that is cut short, or read with a schema that has more fields, would pass as an event
//! with fewer changes. [`Noting`] remembers every read that found too few bytes, and such a datum
//! is refused, as is one with bytes left over.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::sync::Once;

use apache_avro::Schema;
use apache_avro::error::Details;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::schema::RecordSchema;
use apache_avro::types::Value;
use domain::change::{ChangeEvent, ChangeType, EventRecords};
use domain::{SalesforceId, Timestamp};
use serde_json::json;

use crate::bitmap;
use crate::fault::shortened;

/// The name of every change event's first field.
pub(crate) const HEADER: &str = "ChangeEventHeader";
/// What one value may allocate. An event has at most 1 MB (Pub/Sub allocations); a list of ids
/// takes a multiple of that once decoded.
const MAX_ALLOCATION: usize = 16 * 1024 * 1024;
/// How deep records may be nested in a schema; change events have two levels.
const MAX_DEPTH: usize = 8;

/// Why an event or a schema cannot be read. Messages hold no field values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The schema.
    #[error(
        "this is not the Avro schema of a change event: {0}; take it from GetSchema by the id that the event names"
    )]
    Schema(String),
    /// The input ended inside a value.
    #[error(
        "the event ends in the middle: it was cut short, or it was written with another schema; use the schema that the event names"
    )]
    Truncated,
    /// The input goes on after the last field.
    #[error(
        "{0} bytes are left after the event's last field: it was written with another schema; use the schema that the event names"
    )]
    TrailingBytes(usize),
    /// The bytes contradict the schema.
    #[error(
        "the event's bytes do not follow the schema ({0}); use the schema that the event names"
    )]
    Malformed(&'static str),
    /// The event's header contradicts itself or the schema.
    #[error("the event's header cannot be right: {0}")]
    Header(String),
    /// A list of changed fields does not fit the schema.
    #[error(
        "the event's {list} do not fit the schema: {reason}; use the schema that the event names"
    )]
    Bitmap {
        /// `changedFields`, `nulledFields` or `diffFields`.
        list: &'static str,
        /// What is wrong.
        reason: String,
    },
}

/// The schema of a change event, ready for decoding.
#[derive(Debug)]
pub struct EventSchema {
    name: String,
    avro: Schema,
    fields: Vec<EventField>,
}

/// A field of the event; its place in the list is its bit in the header's bitmaps.
#[derive(Debug)]
pub(crate) struct EventField {
    pub(crate) name: String,
    /// Salesforce's `<role>:<data type>`.
    doc: Option<String>,
    /// Avro types that a value may have.
    types: Vec<String>,
    /// Names of a compound field's parts; their places are the bits of nested bitmaps.
    pub(crate) parts: Option<Vec<String>>,
}

/// A decoded datum: the header, and all fields with their values.
struct Datum {
    header: Header,
    fields: Vec<(String, Value)>,
}

/// What the header says, still as it was sent.
struct Header {
    entity: String,
    record_ids: Vec<String>,
    change_type: ChangeType,
    transaction_key: String,
    commit_timestamp: i64,
    commit_number: i64,
    changed: BTreeSet<String>,
    nulled: BTreeSet<String>,
    diff: BTreeSet<String>,
    records: EventRecords,
}

impl EventSchema {
    /// Reads a schema as `GetSchema` returns it.
    ///
    /// # Errors
    /// [`DecodeError::Schema`] when it is not Avro, or not a change event's.
    pub fn parse(schema_json: &str) -> Result<Self, DecodeError> {
        static CAPPED: Once = Once::new();
        CAPPED.call_once(|| {
            apache_avro::util::max_allocation_bytes(MAX_ALLOCATION);
        });
        let avro = Schema::parse_str(schema_json)
            .map_err(|error| DecodeError::Schema(shortened(&error.to_string())))?;
        let mut records = BTreeMap::new();
        collect_records(&avro, None, &mut Vec::new(), &mut records)?;
        let Schema::Record(event) = &avro else {
            return Err(DecodeError::Schema("it is not a record".to_owned()));
        };
        if event
            .fields
            .first()
            .is_none_or(|field| field.name != HEADER)
        {
            return Err(DecodeError::Schema(format!(
                "its first field is not {HEADER}"
            )));
        }
        let namespace = event.name.namespace();
        let fields = event
            .fields
            .iter()
            .map(|field| EventField {
                name: field.name.clone(),
                doc: field.doc.clone(),
                types: type_names(&field.schema),
                parts: parts_of(&field.schema, namespace, &records),
            })
            .collect();
        Ok(Self {
            name: event.name.name().to_owned(),
            fields,
            avro,
        })
    }

    /// Decodes a raw datum.
    ///
    /// # Errors
    /// [`DecodeError`] for whatever is not exactly one event of this schema.
    pub fn decode(&self, payload: &[u8]) -> Result<ChangeEvent, DecodeError> {
        let header = self.datum(payload)?.header;
        let mut changed = header.changed;
        changed.extend(header.nulled.iter().cloned());
        changed.extend(header.diff);
        Ok(ChangeEvent {
            entity: header.entity,
            records: header.records,
            change_type: header.change_type,
            committed: Timestamp::from_millis(header.commit_timestamp),
            commit_number: header.commit_number,
            transaction_key: header.transaction_key,
            changed,
            nulled: header.nulled,
        })
    }

    fn datum(&self, payload: &[u8]) -> Result<Datum, DecodeError> {
        let mut bytes = Noting {
            rest: payload,
            short: false,
        };
        let value = GenericDatumReader::builder(&self.avro)
            .build()
            .and_then(|reader| reader.read_value(&mut bytes));
        if bytes.short {
            return Err(DecodeError::Truncated);
        }
        let value =
            value.map_err(|error| DecodeError::Malformed(what_is_malformed(error.details())))?;
        if !bytes.rest.is_empty() {
            return Err(DecodeError::TrailingBytes(bytes.rest.len()));
        }
        let Value::Record(fields) = value else {
            return Err(DecodeError::Malformed("it is not a record"));
        };
        let header = fields
            .first()
            .ok_or(DecodeError::Malformed("it has no header"))
            .and_then(|(_, header)| self.header(header))?;
        Ok(Datum { header, fields })
    }

    fn header(&self, header: &Value) -> Result<Header, DecodeError> {
        let Value::Record(parts) = header else {
            return Err(DecodeError::Schema(format!("its {HEADER} is not a record")));
        };
        let entity = text(part(parts, "entityName")?, "entityName")?.to_owned();
        if self.name != event_name(&entity) {
            return Err(DecodeError::Header(format!(
                "its entity does not belong to the schema {}",
                self.name
            )));
        }
        let (Value::Enum(_, symbol) | Value::String(symbol)) = part(parts, "changeType")? else {
            return Err(missing("changeType"));
        };
        let change_type = ChangeType::of_symbol(symbol)
            .ok_or_else(|| DecodeError::Header(format!("the change type `{symbol}` is unknown")))?;
        let record_ids = texts(part(parts, "recordIds")?, "recordIds")?;
        Ok(Header {
            records: records_of(change_type, &record_ids)?,
            entity,
            record_ids,
            change_type,
            transaction_key: text(part(parts, "transactionKey")?, "transactionKey")?.to_owned(),
            commit_timestamp: long(part(parts, "commitTimestamp")?, "commitTimestamp")?,
            commit_number: long(part(parts, "commitNumber")?, "commitNumber")?,
            changed: self.field_names(parts, "changedFields")?,
            nulled: self.field_names(parts, "nulledFields")?,
            diff: self.field_names(parts, "diffFields")?,
        })
    }

    /// The fields that one of the header's bitmap lists names.
    fn field_names(
        &self,
        parts: &[(String, Value)],
        list: &'static str,
    ) -> Result<BTreeSet<String>, DecodeError> {
        let mut names = BTreeSet::new();
        for element in texts(part(parts, list)?, list)? {
            bitmap::add_names(&element, &self.fields, &mut names)
                .map_err(|reason| DecodeError::Bitmap { list, reason })?;
        }
        Ok(names)
    }

    /// The list of fields with their bit numbers.
    fn to_json(&self) -> serde_json::Value {
        let fields: Vec<serde_json::Value> = self
            .fields
            .iter()
            .enumerate()
            .map(|(bit, field)| {
                let mut entry = json!({ "bit": bit, "name": field.name, "types": field.types });
                if let Some(object) = entry.as_object_mut() {
                    if let Some(doc) = &field.doc {
                        object.insert("doc".to_owned(), json!(doc));
                    }
                    if let Some(parts) = &field.parts {
                        object.insert("parts".to_owned(), json!(parts));
                    }
                }
                entry
            })
            .collect();
        json!({ "event": self.name, "fields": fields })
    }
}

/// An event, or without payload its schema, as JSON for a person. Event: `event`, `header`, the
/// names in `changed`, `nulled` and `diff`, and in `values` every field that has one. Schema:
/// `event`, and `fields` with bit, name, Avro types and a compound's parts.
///
/// # Errors
/// [`DecodeError`] when schema or payload cannot be read.
pub fn decode_event(
    schema_json: &str,
    payload: Option<&[u8]>,
) -> Result<serde_json::Value, DecodeError> {
    let schema = EventSchema::parse(schema_json)?;
    let Some(payload) = payload else {
        return Ok(schema.to_json());
    };
    let Datum { header, fields } = schema.datum(payload)?;
    let mut json_header = serde_json::Value::Null;
    let mut values = serde_json::Map::new();
    for (name, value) in fields {
        let value = as_json(value);
        if name == HEADER {
            json_header = value;
        } else if !value.is_null() {
            values.insert(name, value);
        }
    }
    Ok(json!({
        "event": schema.name,
        "header": json_header,
        "changed": header.changed,
        "nulled": header.nulled,
        "diff": header.diff,
        "all_records": matches!(header.records, EventRecords::All),
        "record_count": header.record_ids.len(),
        "values": values,
    }))
}

/// Bytes that remember whether more were asked for than there are.
struct Noting<'bytes> {
    rest: &'bytes [u8],
    short: bool,
}

impl Read for Noting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.short |= buffer.len() > self.rest.len();
        self.rest.read(buffer)
    }
}

/// All records that a schema defines, by full name. A record inside itself is refused: decoding
/// it could go on for ever.
fn collect_records<'schema>(
    schema: &'schema Schema,
    namespace: Option<&str>,
    open: &mut Vec<String>,
    records: &mut BTreeMap<String, &'schema RecordSchema>,
) -> Result<(), DecodeError> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "every other kind of schema holds no further one"
    )]
    match schema {
        Schema::Record(record) => {
            let name = record.name.fullname(namespace);
            if open.len() >= MAX_DEPTH {
                return Err(DecodeError::Schema(
                    "its records are nested too deeply".to_owned(),
                ));
            }
            open.push(name.clone());
            for field in &record.fields {
                collect_records(
                    &field.schema,
                    record.name.namespace().or(namespace),
                    open,
                    records,
                )?;
            }
            open.pop();
            records.insert(name, record);
        }
        Schema::Union(union) => {
            for variant in union.variants() {
                collect_records(variant, namespace, open, records)?;
            }
        }
        Schema::Array(array) => collect_records(&array.items, namespace, open, records)?,
        Schema::Map(map) => collect_records(&map.types, namespace, open, records)?,
        Schema::Ref { name } if open.contains(&name.fullname(namespace)) => {
            return Err(DecodeError::Schema("it contains itself".to_owned()));
        }
        _ => {}
    }
    Ok(())
}

/// The parts of a compound field: those of its record, or of the record among its branches
/// (`[null, record]`, and `[null, string, record]` for a name that a person account has).
fn parts_of(
    schema: &Schema,
    namespace: Option<&str>,
    records: &BTreeMap<String, &RecordSchema>,
) -> Option<Vec<String>> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "only records have parts")]
    match schema {
        Schema::Record(record) => Some(
            record
                .fields
                .iter()
                .map(|field| field.name.clone())
                .collect(),
        ),
        Schema::Ref { name } => records.get(&name.fullname(namespace)).map(|record| {
            record
                .fields
                .iter()
                .map(|field| field.name.clone())
                .collect()
        }),
        Schema::Union(union) => union
            .variants()
            .iter()
            .find_map(|variant| parts_of(variant, namespace, records)),
        _ => None,
    }
}

/// The Avro types a value may have, null left out.
fn type_names(schema: &Schema) -> Vec<String> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what change events do not use is shown as it is called in the library"
    )]
    match schema {
        Schema::Null => Vec::new(),
        Schema::Boolean => vec!["boolean".to_owned()],
        Schema::Int => vec!["int".to_owned()],
        Schema::Long => vec!["long".to_owned()],
        Schema::Double => vec!["double".to_owned()],
        Schema::String => vec!["string".to_owned()],
        Schema::Array(array) => vec![format!(
            "array of {}",
            type_names(&array.items).join(" or ")
        )],
        Schema::Record(record) => vec![record.name.name().to_owned()],
        Schema::Ref { name } => vec![name.name().to_owned()],
        Schema::Union(union) => union.variants().iter().flat_map(type_names).collect(),
        other => vec![format!("{:?}", apache_avro::schema::SchemaKind::from(other)).to_lowercase()],
    }
}

/// Which records an event is about. The all-zero id and a wildcard such as `001*` stand for every
/// record of the object.
fn records_of(change_type: ChangeType, record_ids: &[String]) -> Result<EventRecords, DecodeError> {
    if record_ids.is_empty() {
        return Err(DecodeError::Header("it names no record".to_owned()));
    }
    let mut all = change_type == ChangeType::GapOverflow;
    let mut ids = Vec::with_capacity(record_ids.len());
    for text in record_ids {
        if text.strip_suffix('*').is_some_and(|prefix| {
            prefix.len() == 3 && prefix.bytes().all(|byte| byte.is_ascii_alphanumeric())
        }) {
            all = true;
            continue;
        }
        let id = SalesforceId::parse(text).map_err(|error| {
            DecodeError::Header(format!("one of its record ids is none ({error})"))
        })?;
        all |= id.is_empty_id();
        ids.push(id);
    }
    Ok(if all {
        EventRecords::All
    } else {
        EventRecords::Ids(ids)
    })
}

/// The event's name for an object: `AccountChangeEvent`, `Invoice__ChangeEvent`.
fn event_name(entity: &str) -> String {
    match entity.strip_suffix("__c") {
        Some(custom) => format!("{custom}__ChangeEvent"),
        None => format!("{entity}ChangeEvent"),
    }
}

fn missing(name: &str) -> DecodeError {
    DecodeError::Schema(format!("its {HEADER} has no proper {name}"))
}

fn part<'value>(
    parts: &'value [(String, Value)],
    name: &str,
) -> Result<&'value Value, DecodeError> {
    parts
        .iter()
        .find(|(part, _)| part == name)
        .map(|(_, value)| value)
        .ok_or_else(|| missing(name))
}

fn text<'value>(value: &'value Value, name: &str) -> Result<&'value str, DecodeError> {
    if let Value::String(text) = value {
        Ok(text)
    } else {
        Err(missing(name))
    }
}

fn texts(value: &Value, name: &str) -> Result<Vec<String>, DecodeError> {
    let Value::Array(items) = value else {
        return Err(missing(name));
    };
    items
        .iter()
        .map(|item| text(item, name).map(str::to_owned))
        .collect()
}

fn long(value: &Value, name: &str) -> Result<i64, DecodeError> {
    if let Value::Long(number) | Value::TimestampMillis(number) = value {
        Ok(*number)
    } else {
        Err(missing(name))
    }
}

/// The library's own messages may quote values, so they are not passed on.
fn what_is_malformed(details: &Details) -> &'static str {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "of the library's two hundred errors these say more than that it failed"
    )]
    match details {
        Details::ConvertToUtf8(_) => "a text is not UTF-8",
        Details::GetUnionVariant { .. } => "a field has a type that the schema does not offer",
        Details::GetEnumValue { .. } => "the change type is unknown",
        Details::BoolValue(_) => "a checkbox is neither true nor false",
        Details::MemoryAllocation { .. } => "a text or list claims to be longer than any event",
        _ => "a length or number is impossible",
    }
}

/// A value as JSON; what is empty is left out of records.
fn as_json(value: Value) -> serde_json::Value {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "plain values are turned into JSON by the library"
    )]
    match value {
        Value::Union(_, inner) => as_json(*inner),
        Value::Record(fields) => fields
            .into_iter()
            .map(|(name, value)| (name, as_json(value)))
            .filter(|(_, value)| !value.is_null())
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(items) => items.into_iter().map(as_json).collect(),
        plain => serde_json::Value::try_from(plain).unwrap_or_default(),
    }
}
