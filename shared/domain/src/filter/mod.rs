//! The filter language of the opportunity filter.
use crate::row::Fields;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
/// Field types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    /// t
    Text,
}
/// Types by field.
pub type FieldTypes = BTreeMap<String, FieldType>;
/// Filter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {}
/// Fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterFault;
/// Compiled.
#[derive(Debug, Clone, Default)]
pub struct CompiledFilter(BTreeSet<String>);
impl Filter {
    /// c
    pub fn compile(&self, _types: &FieldTypes) -> Result<CompiledFilter, Vec<FilterFault>> {
        Ok(CompiledFilter::default())
    }
}
impl CompiledFilter {
    /// m
    #[must_use]
    pub fn matches(&self, _row: &Fields<'_>) -> bool {
        true
    }
    /// f
    #[must_use]
    pub fn fields(&self) -> &BTreeSet<String> {
        &self.0
    }
}
