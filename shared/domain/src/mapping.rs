//! mapping
use crate::object::ObjectKind;
use std::collections::BTreeSet;
/// Mapping.
#[derive(Debug, Clone, Default)]
pub struct Mapping {}
impl Mapping {
    /// f
    #[must_use]
    pub fn salesforce_fields(&self, _object: ObjectKind) -> BTreeSet<String> {
        BTreeSet::new()
    }
}
/// t
#[must_use]
pub fn touches(
    _object: ObjectKind,
    _changed: &BTreeSet<String>,
    _leaves: &BTreeSet<String>,
) -> bool {
    true
}
