//! Fields of the org, for whoever writes a filter or a mapping.

use domain::filter::{FieldType, Operator};
use serde::{Deserialize, Serialize};

/// A field that can be named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldView {
    /// API name, or the path to it: `RecordType.DeveloperName`.
    pub name: String,
    /// Its label in the integration user's language.
    pub label: String,
    /// What kind of values it has.
    pub field_type: FieldType,
    /// Whether a filter may name it.
    pub filterable: bool,
    /// A formula or roll-up: it changes without an event.
    pub calculated: bool,
    /// The operators that fit, where a filter may name it.
    pub operators: Vec<Operator>,
    /// The active values of a picklist, by their API names.
    pub values: Vec<String>,
}

/// Fields of an object, by their labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldList {
    /// Them.
    pub fields: Vec<FieldView>,
}
