//! The types of the fields that a filter names.

use domain::filter::{FieldType, FieldTypes, Filter};
use ports::source::{FieldDescription, Source, SourceError};

/// The parents of an opportunity whose fields a filter may name by a path. Record types are set-up
/// and change with the org's; a field of an account or owner would have to be noticed on all its
/// opportunities when it changes there.
pub const PARENTS: [&str; 1] = ["RecordType"];

/// The types of the fields of Opportunity, and of those of its record type where a path in `filter`
/// leads to them (`RecordType.DeveloperName`). What describe does not list, or not as one that can
/// be filtered by, has none, and the filter that names it is refused.
///
/// # Errors
/// Salesforce's.
pub async fn types(source: &dyn Source, filter: &Filter) -> Result<FieldTypes, SourceError> {
    let own = source.describe("Opportunity").await?;
    let mut types: FieldTypes = own
        .iter()
        .filter_map(|field| Some((field.name.clone(), type_of(field)?)))
        .collect();
    let paths = filter.fields();
    for parent in PARENTS {
        let named: Vec<(&String, &str)> = paths
            .iter()
            .filter_map(|path| Some((path, path.strip_prefix(parent)?.strip_prefix('.')?)))
            .collect();
        let leads_there = |field: &FieldDescription| {
            field.relationship.as_deref() == Some(parent) && field.reference_to.contains(parent)
        };
        if named.is_empty() || !own.iter().any(leads_there) {
            continue;
        }
        let fields = source.describe(parent).await?;
        for (path, name) in named {
            let field = fields.iter().find(|field| field.name == name);
            types.extend(field.and_then(type_of).map(|found| (path.clone(), found)));
        }
    }
    Ok(types)
}

fn type_of(field: &FieldDescription) -> Option<FieldType> {
    field.field_type.filter(|_| field.filterable)
}
