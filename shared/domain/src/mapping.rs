//! The mapping: which Salesforce field fills which field in mOS.
//!
//! Fields depend on the record and the mapping alone, never on the scope: a reference is written
//! whether or not its target is in mOS.

mod contract;
mod touches;

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::id::SalesforceId;
use crate::object::ObjectKind;
use crate::row::Fields;
use crate::time::Timestamp;
use contract::{Shape, find};

pub use touches::touches;

/// Exists in orgs with several currencies only.
const CURRENCY_FIELD: &str = "CurrencyIsoCode";

/// One row of the mapping, as in the custom metadata type "mOS field mapping".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappingRow {
    /// The object on Salesforce's side.
    pub object: ObjectKind,
    /// The field's name in the ingest contract.
    pub mos_field: String,
    /// The API name of the Salesforce field, or a path to a parent's field.
    pub salesforce_field: String,
    /// Only active rows are synced.
    pub active: bool,
}

/// The whole mapping. Rows are kept in the contract's order, whatever order they came in, so that
/// equal mappings write equal bytes. The default maps every standard field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<MappingRow>", into = "Vec<MappingRow>")]
pub struct Mapping {
    rows: Vec<MappingRow>,
}

/// A row that no mapping may have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MappingRowFault {
    /// Not in the contract.
    #[error("the field mapping fills `{mos_field}` of {object}, but mOS has no such field there; use one of {}", names(*.object))]
    UnknownMosField {
        /// The row's object.
        object: ObjectKind,
        /// As written.
        mos_field: String,
    },
    /// Two active rows for one mOS field.
    #[error(
        "the field mapping fills `{mos_field}` of {object} twice; deactivate one of the two rows"
    )]
    MappedTwice {
        /// The rows' object.
        object: ObjectKind,
        /// The field.
        mos_field: String,
    },
    /// Not a field's API name.
    #[error(
        "the field mapping fills `{mos_field}` of {object} from `{salesforce_field}`, which cannot be a field; write its API name, such as Amount or ARR__c"
    )]
    NotAFieldName {
        /// The row's object.
        object: ObjectKind,
        /// The field to fill.
        mos_field: String,
        /// As written.
        salesforce_field: String,
    },
}

/// A record whose values do not fit the mapping; its values are not repeated, they may be personal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MappingFault {
    /// A date/time field of mOS is filled from something else.
    #[error(
        "`{salesforce_field}` of this {object} is not a date and time, but fills `{mos_field}`; map a date/time field to it"
    )]
    NotAMoment {
        /// The record's object.
        object: ObjectKind,
        /// The field to fill.
        mos_field: String,
        /// The field it comes from.
        salesforce_field: String,
    },
    /// A reference of mOS is filled from something that is not a record's id.
    #[error(
        "`{salesforce_field}` of this {object} is not a record id, but fills `{mos_field}`; map a lookup field to it"
    )]
    NotAnId {
        /// The record's object.
        object: ObjectKind,
        /// The field to fill.
        mos_field: String,
        /// The field it comes from.
        salesforce_field: String,
    },
    /// A compound field or a whole parent record.
    #[error(
        "`{salesforce_field}` of this {object} has several values, but fills the single field `{mos_field}`; map one of its parts, such as BillingStreet"
    )]
    NotAScalar {
        /// The record's object.
        object: ObjectKind,
        /// The field to fill.
        mos_field: String,
        /// The field it comes from.
        salesforce_field: String,
    },
    /// What was put together is not JSON.
    #[error("the fields of this {object} could not be written as JSON; read the record again")]
    NotWritable {
        /// The record's object.
        object: ObjectKind,
    },
}

impl Mapping {
    /// Checks rows and takes them.
    ///
    /// # Errors
    /// Everything that is wrong with them, not only the first fault.
    pub fn new(mut rows: Vec<MappingRow>) -> Result<Self, Vec<MappingRowFault>> {
        let mut faults = Vec::new();
        let mut filled = BTreeSet::new();
        for row in &rows {
            let (object, mos_field) = (row.object, row.mos_field.clone());
            if find(object, &mos_field).is_none() {
                faults.push(MappingRowFault::UnknownMosField { object, mos_field });
                continue;
            }
            if !is_field_path(&row.salesforce_field) {
                let salesforce_field = row.salesforce_field.clone();
                faults.push(MappingRowFault::NotAFieldName {
                    object,
                    mos_field: mos_field.clone(),
                    salesforce_field,
                });
            }
            if row.active && !filled.insert((object, row.mos_field.as_str())) {
                faults.push(MappingRowFault::MappedTwice { object, mos_field });
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        rows.sort_by_key(|row| {
            (
                row.object,
                find(row.object, &row.mos_field).map(|(place, _)| place),
            )
        });
        Ok(Self { rows })
    }

    /// All rows, inactive ones included, in the contract's order.
    #[must_use]
    pub fn rows(&self) -> &[MappingRow] {
        &self.rows
    }

    /// The Salesforce fields that the object's active rows name. `Id` is among them only where it
    /// is mapped.
    #[must_use]
    pub fn salesforce_fields(&self, object: ObjectKind) -> BTreeSet<String> {
        self.active(object)
            .map(|row| row.salesforce_field.clone())
            .collect()
    }

    /// As [`Self::salesforce_fields`], without `CurrencyIsoCode` in an org that has one currency:
    /// there the field does not exist and a query that names it fails.
    #[must_use]
    pub fn fields_for(&self, object: ObjectKind, multi_currency: bool) -> BTreeSet<String> {
        let mut fields = self.salesforce_fields(object);
        fields.retain(|field| multi_currency || last_segment(field) != CURRENCY_FIELD);
        fields
    }

    /// Writes the record's mOS fields as a JSON object. Values are the row's own JSON texts,
    /// numbers in the spelling in which they came; ids are written with 18 characters, points in
    /// time as `2026-01-01T00:00:00.000Z`. Null stays null (bulk results have empty texts in its
    /// place, so these are null too); a field that the row does not have is left out, so that mOS
    /// leaves it alone.
    ///
    /// # Errors
    /// When a value cannot be what the mOS field wants.
    pub fn map(&self, object: ObjectKind, row: &Fields<'_>) -> Result<Box<RawValue>, MappingFault> {
        let mut json = String::from("{");
        for mapped in self.active(object) {
            let Some(raw) = row.raw(&mapped.salesforce_field) else {
                continue;
            };
            if json.len() > 1 {
                json.push(',');
            }
            json.push('"');
            json.push_str(&mapped.mos_field);
            json.push_str("\":");
            json.push_str(&written(mapped, raw)?);
        }
        json.push('}');
        RawValue::from_string(json).map_err(|_not_json| MappingFault::NotWritable { object })
    }

    fn active(&self, object: ObjectKind) -> impl Iterator<Item = &MappingRow> {
        self.rows
            .iter()
            .filter(move |row| row.active && row.object == object)
    }
}

/// A value as mOS wants it.
fn written<'row>(mapped: &MappingRow, raw: Cow<'row, str>) -> Result<Cow<'row, str>, MappingFault> {
    if raw == "null" || raw == "\"\"" {
        return Ok(Cow::Borrowed("null"));
    }
    let object = mapped.object;
    let names = || (mapped.mos_field.clone(), mapped.salesforce_field.clone());
    if raw.starts_with(['{', '[']) {
        let (mos_field, salesforce_field) = names();
        return Err(MappingFault::NotAScalar {
            object,
            mos_field,
            salesforce_field,
        });
    }
    let shape = find(object, &mapped.mos_field).map_or(Shape::Plain, |(_, field)| field.shape);
    match shape {
        Shape::Plain => Ok(raw),
        Shape::Id => match text_of(&raw).and_then(|text| SalesforceId::parse(&text).ok()) {
            Some(id) => Ok(Cow::Owned(format!("\"{id}\""))),
            None => {
                let (mos_field, salesforce_field) = names();
                Err(MappingFault::NotAnId {
                    object,
                    mos_field,
                    salesforce_field,
                })
            }
        },
        Shape::Moment => match text_of(&raw).and_then(|text| Timestamp::parse(&text)) {
            Some(at) => Ok(Cow::Owned(format!("\"{at}\""))),
            None => {
                let (mos_field, salesforce_field) = names();
                Err(MappingFault::NotAMoment {
                    object,
                    mos_field,
                    salesforce_field,
                })
            }
        },
    }
}

fn text_of(raw: &str) -> Option<String> {
    serde_json::from_str(raw).ok()
}

fn last_segment(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// Letters, digits and underscores, each segment of a path starting with a letter.
fn is_field_path(path: &str) -> bool {
    path.split('.').all(|segment| {
        segment.starts_with(|first: char| first.is_ascii_alphabetic())
            && segment
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

fn names(object: ObjectKind) -> String {
    contract::fields(object)
        .iter()
        .map(|field| field.name)
        .collect::<Vec<_>>()
        .join(", ")
}

impl Default for Mapping {
    fn default() -> Self {
        let rows = ObjectKind::ALL
            .into_iter()
            .flat_map(|object| {
                contract::fields(object)
                    .iter()
                    .map(move |field| (object, field))
            })
            .filter_map(|(object, field)| {
                Some(MappingRow {
                    object,
                    mos_field: field.name.to_owned(),
                    salesforce_field: field.default?.to_owned(),
                    active: true,
                })
            })
            .collect();
        Self { rows }
    }
}

/// Everything that is wrong with a mapping that was read from a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct MappingRowFaults(pub Vec<MappingRowFault>);

impl TryFrom<Vec<MappingRow>> for Mapping {
    type Error = MappingRowFaults;
    fn try_from(rows: Vec<MappingRow>) -> Result<Self, MappingRowFaults> {
        Self::new(rows).map_err(MappingRowFaults)
    }
}

impl From<Mapping> for Vec<MappingRow> {
    fn from(mapping: Mapping) -> Self {
        mapping.rows
    }
}

#[cfg(test)]
mod tests;
