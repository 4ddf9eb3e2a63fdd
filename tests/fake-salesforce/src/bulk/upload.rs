//! The CSV that an ingest job is given: its shape checked, its rows read one by one.
use axum::body::Bytes;
use serde_json::Value;

use super::{Format, LineEnding, Operation};
use crate::commit::Row;
use crate::error::ApiError;
use crate::org::State;
use crate::schema::Entity;
use crate::{id, value};

/// What stands for null; an empty value means: leave the field alone.
const NULL: &str = "#N/A";

const BOM: &[u8] = b"\xef\xbb\xbf";

/// An upload whose header fits its object.
pub(crate) struct Upload {
    data: Bytes,
    format: Format,
    pub(crate) headers: Vec<String>,
    columns: Vec<Column>,
}

enum Column {
    Field(&'static str),
    /// `Owner.Username`: the record that has this value in its key field.
    Key {
        reference: &'static str,
        target: &'static Entity,
        field: &'static str,
    },
}

/// A row as it was given, and what it asks for.
pub(crate) struct Line {
    pub(crate) values: Vec<String>,
    pub(crate) fields: Result<Row, ApiError>,
}

impl Upload {
    /// Checks an upload as a whole.
    ///
    /// # Errors
    /// The job's `errorMessage`: with it the job fails and no row is processed.
    pub(crate) fn new(
        data: Bytes,
        entity: &'static Entity,
        operation: &Operation,
        format: Format,
        state: &State,
    ) -> Result<Self, String> {
        let data = match data.strip_prefix(BOM) {
            Some(rest) => data.slice_ref(rest),
            None => data,
        };
        if std::str::from_utf8(&data).is_err() {
            return Err("ClientInputError : Failed to read the data: it is not UTF-8".to_owned());
        }
        check_line_ending(&data, format.line_ending)?;
        if data.iter().filter(|byte| **byte == b'"').count() % 2 == 1 {
            return Err(
                "ClientInputError : Failed to parse CSV: a quoted value is not closed".to_owned(),
            );
        }
        let mut reader = reader(&data, format);
        let headers = reader
            .headers()
            .map_err(|error| format!("ClientInputError : Failed to parse CSV: {error}"))?;
        let headers: Vec<String> = headers.iter().map(|name| name.trim().to_owned()).collect();
        if headers.is_empty() {
            return Err("InvalidBatch : No header row was found".to_owned());
        }
        let columns = headers
            .iter()
            .map(|name| {
                column(state, entity, name)
                    .ok_or_else(|| format!("InvalidBatch : Field name not found : {name}"))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let key = match operation {
            Operation::Insert => None,
            Operation::Update | Operation::Delete => Some("Id"),
            Operation::Upsert { key } => Some(*key),
        };
        let has = |name: &str| {
            columns
                .iter()
                .any(|column| matches!(column, Column::Field(field) if *field == name))
        };
        if let Some(key) = key.filter(|key| !has(key)) {
            return Err(format!("InvalidBatch : Field name not found : {key}"));
        }
        for (number, record) in reader.records().enumerate() {
            let record = record
                .map_err(|error| format!("ClientInputError : Failed to parse CSV: {error}"))?;
            if record.len() != headers.len() {
                return Err(format!(
                    "ClientInputError : Row {} has {} values, the header has {}",
                    number + 1,
                    record.len(),
                    headers.len()
                ));
            }
        }
        Ok(Upload {
            data,
            format,
            headers,
            columns,
        })
    }

    /// The rows in order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Vec<String>> {
        // Every row was read once already: none fails now.
        let records = reader(&self.data, self.format).into_records().flatten();
        records.map(|record| record.iter().map(str::to_owned).collect())
    }

    /// What a row asks for, by the org as it stands.
    pub(crate) fn line(&self, values: Vec<String>, state: &State) -> Line {
        let mut fields = Ok(Row::new());
        for (column, text) in self.columns.iter().zip(&values) {
            if text.is_empty() {
                continue;
            }
            let value = if text == NULL {
                Value::Null
            } else {
                Value::from(text.as_str())
            };
            let (name, value) = match column {
                Column::Field(name) => (*name, value),
                Column::Key { reference, .. } if value.is_null() => (*reference, value),
                Column::Key {
                    reference,
                    target,
                    field,
                } => match by_key(state, target, field, text) {
                    Some(id) => (*reference, Value::from(id)),
                    None => {
                        fields = Err(ApiError::new(
                            "INVALID_FIELD",
                            format!(
                                "Foreign key external ID: {} not found for field {field} in entity {}",
                                text.to_lowercase(),
                                target.name
                            ),
                        ));
                        break;
                    }
                },
            };
            if let Ok(fields) = &mut fields {
                fields.insert(name.to_owned(), value);
            }
        }
        Line { values, fields }
    }
}

/// Whether a field's value names one record: the id, a user's name, and external ids.
pub(crate) fn is_key(entity: &'static Entity, field: &str) -> Option<&'static str> {
    if field.eq_ignore_ascii_case("Id") {
        Some("Id")
    } else if entity.name == "User" && field.eq_ignore_ascii_case("Username") {
        Some("Username")
    } else {
        let (_, external) = entity
            .visible(field)
            .filter(|(_, field)| field.external_id)?;
        Some(external.name)
    }
}

/// The id of the record, not deleted, with this value in its key field.
pub(crate) fn by_key(state: &State, entity: &Entity, field: &str, value: &str) -> Option<String> {
    let table = state.table(entity.name)?;
    let (position, known) = entity.visible(field)?;
    let found = if field == "Id" {
        table.get(&id::to_18(value)?)
    } else if known.external_id {
        let found = table.external(position, &value::key(entity, known, value)?);
        found.into_iter().find(|record| !record.flag("IsDeleted"))
    } else {
        table.all().find(|record| {
            record
                .text(field)
                .is_some_and(|text| text.eq_ignore_ascii_case(value))
        })
    };
    let alive = found.filter(|record| !record.flag("IsDeleted"))?;
    Some(alive.id().to_owned())
}

fn column(state: &State, entity: &'static Entity, name: &str) -> Option<Column> {
    if let Some((relationship, key)) = name.split_once('.') {
        let (position, target) = entity.relationship(relationship)?;
        let target = state.entity(target)?;
        return Some(Column::Key {
            reference: entity.fields.get(position)?.name,
            target,
            field: is_key(target, key)?,
        });
    }
    Some(Column::Field(entity.visible(name)?.1.name))
}

fn reader(data: &[u8], format: Format) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new()
        .delimiter(format.delimiter.byte())
        .flexible(true)
        .from_reader(data)
}

/// The first line must end as the job says.
fn check_line_ending(data: &[u8], expected: LineEnding) -> Result<(), String> {
    let mut quoted = false;
    let end = data.iter().position(|byte| {
        quoted ^= *byte == b'"';
        *byte == b'\n' && !quoted
    });
    let Some(end) = end else { return Ok(()) };
    let before = end.checked_sub(1).and_then(|place| data.get(place));
    let found = if before == Some(&b'\r') {
        LineEnding::Crlf
    } else {
        LineEnding::Lf
    };
    if found == expected {
        return Ok(());
    }
    let name = match expected {
        LineEnding::Lf => "LF",
        LineEnding::Crlf => "CRLF",
    };
    Err(format!(
        "ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is {name}"
    ))
}
