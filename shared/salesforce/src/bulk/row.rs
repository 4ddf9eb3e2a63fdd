//! A record of the CSV as the JSON object that REST would send.

use domain::Row;
use serde::ser::{Error as _, SerializeMap as _};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::columns::{Columns, Content, Kind, Member};
use super::csv::Record;
use super::number::plain;

/// The row of a record; the error names the column whose value does not fit its type, and not
/// the value.
pub(super) fn row(columns: &Columns, record: Record<'_>) -> Result<Row, String> {
    if record.len() != columns.len() {
        return Err(format!(
            "it has {} values for {} columns",
            record.len(),
            columns.len()
        ));
    }
    Row::of(&Object {
        members: &columns.members,
        record,
    })
    .map_err(|error| error.to_string())
}

struct Object<'row> {
    members: &'row [Member],
    record: Record<'row>,
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(self.members.len()))?;
        for Member { name, content } in self.members {
            match content {
                Content::Value { column, kind } => {
                    let text = self
                        .record
                        .get(*column)
                        .ok_or_else(|| S::Error::custom(format!("{name} is not UTF-8")))?;
                    object.serialize_entry(
                        name,
                        &Value {
                            name,
                            text,
                            kind: *kind,
                        },
                    )?;
                }
                Content::Parent { reference, members } => {
                    let has_parent = match reference {
                        Some(column) => self.has(*column),
                        None => members.iter().any(|member| self.has_any(member)),
                    };
                    let parent = has_parent.then_some(Object {
                        members,
                        record: self.record,
                    });
                    object.serialize_entry(name, &parent)?;
                }
            }
        }
        object.end()
    }
}

impl Object<'_> {
    fn has(&self, column: usize) -> bool {
        self.record.get(column).is_some_and(|text| !text.is_empty())
    }

    fn has_any(&self, member: &Member) -> bool {
        match &member.content {
            Content::Value { column, .. } => self.has(*column),
            Content::Parent { members, .. } => members.iter().any(|member| self.has_any(member)),
        }
    }
}

struct Value<'row> {
    name: &'row str,
    text: &'row str,
    kind: Kind,
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let unfit = |what: &str| S::Error::custom(format!("{} is not a {what}", self.name));
        match (self.kind, self.text) {
            // Salesforce stores no empty texts.
            (_, "") => serializer.serialize_unit(),
            (Kind::Text, text) => serializer.serialize_str(text),
            (Kind::Boolean, "true") => serializer.serialize_bool(true),
            (Kind::Boolean, "false") => serializer.serialize_bool(false),
            (Kind::Boolean, _) => Err(unfit("checkbox")),
            (Kind::Number, text) => {
                let digits = plain(text).ok_or_else(|| unfit("number"))?;
                serde_json::from_str::<&RawValue>(&digits)
                    .map_err(|_place| unfit("number"))?
                    .serialize(serializer)
            }
            // Bulk results write `Z` where REST writes `+0000`.
            (Kind::DateTime, text) => match text.strip_suffix('Z') {
                Some(local) => serializer.collect_str(&format_args!("{local}+0000")),
                None => serializer.serialize_str(text),
            },
        }
    }
}
