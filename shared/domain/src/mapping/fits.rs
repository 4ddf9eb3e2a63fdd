//! Whether an org has the fields that a mapping names, of types that fill the mOS fields.

use std::collections::BTreeSet;

use super::contract::{Shape, fields, find};
use super::{Mapping, MappingRow};
use crate::filter::FieldType;
use crate::object::ObjectKind;

/// A Salesforce field, from describe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// `None` for compound and binary fields.
    pub field_type: Option<FieldType>,
    /// The objects that a reference points to.
    pub reference_to: BTreeSet<String>,
}

/// Why a mapping cannot be saved for this org.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MappingFit {
    /// Describe does not list it.
    #[error(
        "the field mapping fills `{mos_field}` of {object} from `{salesforce_field}`, which {object} does not have or the integration user may not see; check the spelling of its API name, capitals included, and the user's field-level security"
    )]
    UnknownField {
        /// The row's object.
        object: ObjectKind,
        /// The field to fill.
        mos_field: String,
        /// As written.
        salesforce_field: String,
    },
    /// Of a type that says something else.
    #[error(
        "the field mapping fills `{mos_field}` of {object} from `{salesforce_field}`, a {found} field, but mOS wants {wanted}; choose another field"
    )]
    OtherType {
        /// The row's object.
        object: ObjectKind,
        /// The field to fill.
        mos_field: String,
        /// As written.
        salesforce_field: String,
        /// What it is.
        found: String,
        /// What it should be.
        wanted: String,
    },
    /// mOS refuses every record without it.
    #[error(
        "the field mapping does not fill `{mos_field}` of {object}, without which mOS takes no such record; map {default} to it"
    )]
    RequiredMissing {
        /// The object.
        object: ObjectKind,
        /// The field to fill.
        mos_field: &'static str,
        /// What fills it by default.
        default: &'static str,
    },
}

impl MappingFit {
    /// The mOS field that it is about.
    #[must_use]
    pub fn fills(&self) -> (ObjectKind, &str) {
        match self {
            Self::UnknownField {
                object, mos_field, ..
            }
            | Self::OtherType {
                object, mos_field, ..
            } => (*object, mos_field),
            Self::RequiredMissing {
                object, mos_field, ..
            } => (*object, mos_field),
        }
    }
}

impl Mapping {
    /// What keeps this mapping from being used in an org; `describe` answers for a field's API
    /// name or a path to a parent's field. Inactive rows may name what does not exist.
    pub fn fit(
        &self,
        mut describe: impl FnMut(ObjectKind, &str) -> Option<Described>,
    ) -> Vec<MappingFit> {
        let mut faults = Vec::new();
        for object in ObjectKind::ALL {
            let missing = fields(object).iter().filter(|field| {
                field.required && !self.active(object).any(|row| row.mos_field == field.name)
            });
            faults.extend(missing.map(|field| MappingFit::RequiredMissing {
                object,
                mos_field: field.name,
                default: field.default.unwrap_or_default(),
            }));
            for row in self.active(object) {
                faults.extend(judged(row, describe(object, &row.salesforce_field)));
            }
        }
        faults
    }
}

fn judged(row: &MappingRow, described: Option<Described>) -> Option<MappingFit> {
    let (object, mos_field, salesforce_field) = (
        row.object,
        row.mos_field.clone(),
        row.salesforce_field.clone(),
    );
    let Some(described) = described else {
        // The field of orgs with several currencies is in every default mapping.
        if Mapping::is_default(row) {
            return None;
        }
        return Some(MappingFit::UnknownField {
            object,
            mos_field,
            salesforce_field,
        });
    };
    let (_, field) = find(object, &row.mos_field)?;
    if fits(field.shape, &described) {
        return None;
    }
    let found = match described.field_type {
        None => "compound or binary".to_owned(),
        Some(FieldType::Reference) => {
            let targets = described.reference_to.into_iter().collect::<Vec<_>>();
            format!("lookup to {}", targets.join(" or "))
        }
        Some(other) => other.to_string(),
    };
    Some(MappingFit::OtherType {
        object,
        mos_field,
        salesforce_field,
        found,
        wanted: wanted(field.shape),
    })
}

/// Texts take everything that can be spelled out; a picklist may list numbers, days or true and
/// false, and a record whose value is none is parked.
fn fits(shape: Shape, described: &Described) -> bool {
    let Some(found) = described.field_type else {
        return false;
    };
    let is_list = found == FieldType::Picklist;
    match shape {
        Shape::Text => true,
        Shape::Number | Shape::Whole | Shape::Term => {
            let is_number = matches!(
                found,
                FieldType::Number | FieldType::Currency | FieldType::Percent
            );
            is_number || is_list
        }
        Shape::Flag => found == FieldType::Boolean || is_list,
        Shape::Day => found == FieldType::Date || is_list,
        Shape::Moment => found == FieldType::DateTime,
        Shape::Id(target) => {
            found == FieldType::Reference && described.reference_to.contains(target.api_name())
        }
    }
}

fn wanted(shape: Shape) -> String {
    match shape {
        Shape::Text => "a text",
        Shape::Number | Shape::Term => "a number",
        Shape::Whole => "a whole number",
        Shape::Flag => "a checkbox",
        Shape::Day => "a date",
        Shape::Moment => "a date/time",
        Shape::Id(target) => return format!("a lookup to {target}"),
    }
    .to_owned()
}
