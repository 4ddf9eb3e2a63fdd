//! The mapping: which Salesforce field fills which field in mOS.
//!
//! Fields depend on the record and the mapping alone, never on the scope: a reference is written
//! whether or not its target is in mOS.

mod contract;
mod convert;
mod fits;
mod held;
pub mod metadata;
mod term;
mod touches;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::object::ObjectKind;
use crate::row::Fields;
use contract::{Shape, find};

pub use convert::Wanted;
pub use fits::{Described, MappingFit};
pub use held::differing;
pub use term::ContractTermType;
pub use touches::touches;

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
    /// What the numbers of a contract term count; months unless said otherwise. mOS always gets
    /// months.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract_term_type: Option<ContractTermType>,
}

impl MappingRow {
    /// The mOS field that it is about.
    fn fills(&self) -> (ObjectKind, &str) {
        (self.object, &self.mos_field)
    }
}

fn owned((object, field): (ObjectKind, &str)) -> (ObjectKind, String) {
    (object, field.to_owned())
}

/// The whole mapping: the standard rows, and what an administrator put in their place or beside
/// them. Written down are the rows of those mOS fields alone that are not mapped as standard. Rows
/// are kept in the contract's order, whatever order they came in, so that equal mappings write equal
/// bytes.
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
    /// A unit where nothing is counted in it.
    #[error(
        "the field mapping gives `{mos_field}` of {object} a contract term type, which only `contract_term` of Opportunity has; remove it"
    )]
    TermTypeElsewhere {
        /// The row's object.
        object: ObjectKind,
        /// The field.
        mos_field: String,
    },
}

/// A record whose value does not fit the mapping; the value is not repeated, it may be personal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{salesforce_field}` of this {object} {}", explained(*.wanted, .mos_field))]
pub struct MappingFault {
    /// The record's object.
    pub object: ObjectKind,
    /// The field to fill.
    pub mos_field: String,
    /// The field it comes from.
    pub salesforce_field: String,
    /// What it should be.
    pub wanted: Wanted,
}

/// Why a record's mOS fields could not be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// A value does not fit.
    #[error(transparent)]
    Value(#[from] MappingFault),
    /// What was put together is not JSON.
    #[error("the fields of this {object} could not be written as JSON; read the record again")]
    NotWritable {
        /// The record's object.
        object: ObjectKind,
    },
}

fn explained(wanted: Wanted, mos_field: &str) -> String {
    let (is, map) = match wanted {
        Wanted::OneValue => {
            return format!(
                "has several values, but fills the single field `{mos_field}`; map one of its parts, such as BillingStreet"
            );
        }
        Wanted::Number => ("not a number", "a number field"),
        Wanted::WholeNumber => ("not a whole number", "a number field without decimals"),
        Wanted::Checkbox => ("neither true nor false", "a checkbox"),
        Wanted::Date => ("not a date", "a date field"),
        Wanted::DateTime => ("not a date and time", "a date/time field"),
        Wanted::RecordId => ("not a record id", "a lookup field"),
    };
    format!("is {is}, but fills `{mos_field}`; correct the record, or map {map} to it")
}

impl Mapping {
    /// Checks rows and takes them; mOS fields that none of them names are mapped as standard.
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
            if row.contract_term_type.is_some() && !is_term(row) {
                faults.push(MappingRowFault::TermTypeElsewhere {
                    object,
                    mos_field: mos_field.clone(),
                });
            }
            if row.active && !filled.insert((object, row.mos_field.as_str())) {
                faults.push(MappingRowFault::MappedTwice { object, mos_field });
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let named: BTreeSet<_> = rows.iter().map(MappingRow::fills).map(owned).collect();
        let standard = Self::default().rows.into_iter();
        rows.extend(standard.filter(|row| !named.contains(&owned(row.fills()))));
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

    /// Writes the record's mOS fields as a JSON object. Values are the row's own JSON texts where
    /// they fit, numbers in the spelling in which they came; ids are written with 18 characters,
    /// points in time as `2026-01-01T00:00:00.000Z`, contract terms in months. Null stays null; a
    /// field that the row does not have is left out, so that mOS leaves it alone.
    ///
    /// # Errors
    /// The first value that cannot be what the mOS field wants.
    pub fn map(&self, object: ObjectKind, row: &Fields<'_>) -> Result<Box<RawValue>, MapError> {
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
            let value = convert::converted(mapped, raw)?;
            json.push_str(&value);
            if is_term(mapped) {
                json.push_str(convert::term_type(&value));
            }
        }
        json.push('}');
        RawValue::from_string(json).map_err(|_not_json| MapError::NotWritable { object })
    }

    /// The rows of the mOS fields that are not mapped as standard.
    #[must_use]
    pub fn deviations(&self) -> Vec<MappingRow> {
        let standard = Self::default();
        let differs = |row: &&MappingRow| {
            let (object, field) = row.fills();
            !self.of(object, field).eq(standard.of(object, field))
        };
        self.rows.iter().filter(differs).cloned().collect()
    }

    /// Whether the row is one that every mapping begins with.
    #[must_use]
    pub fn is_default(row: &MappingRow) -> bool {
        let standard = find(row.object, &row.mos_field).and_then(|(_, field)| field.default);
        standard == Some(row.salesforce_field.as_str())
    }

    /// The rows of one mOS field.
    fn of(&self, object: ObjectKind, mos_field: &str) -> impl Iterator<Item = &MappingRow> {
        self.rows
            .iter()
            .filter(move |row| row.fills() == (object, mos_field))
    }

    fn active(&self, object: ObjectKind) -> impl Iterator<Item = &MappingRow> {
        self.rows
            .iter()
            .filter(move |row| row.active && row.object == object)
    }
}

fn is_term(row: &MappingRow) -> bool {
    find(row.object, &row.mos_field).is_some_and(|(_, field)| field.shape == Shape::Term)
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
                    contract_term_type: None,
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
        mapping.deviations()
    }
}

#[cfg(test)]
mod tests;
