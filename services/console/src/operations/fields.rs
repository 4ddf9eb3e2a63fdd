//! Which fields the org has, as describe tells the integration user.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::filter::operators;
use domain::{ObjectKind, Timestamp};
use ports::source::{FieldDescription, SourceError};
use runtime::fields::PARENTS;
use tokio::sync::Mutex;

use super::{Operations, object_of};
use crate::OpsError;
use crate::views::{FieldList, FieldView};

/// How long an answer is shown before it is asked again: whoever builds a filter asks often.
const FRESH: Duration = Duration::from_secs(60);

/// What was answered lately.
#[derive(Clone, Default)]
pub(super) struct FieldMemory(Arc<Mutex<BTreeMap<ObjectKind, (Timestamp, FieldList)>>>);

impl Operations {
    /// The fields of one of the five objects, by their labels. Those of Opportunity are followed by
    /// those of its record type, which filters may name too.
    ///
    /// # Errors
    /// [`OpsError::Invalid`] for another object, [`OpsError::OutOfReach`] when Salesforce does not
    /// answer.
    pub async fn fields(&self, object: &str) -> Result<FieldList, OpsError> {
        Ok(self.fields_of(object_of(object)?).await?)
    }

    pub(crate) async fn fields_of(&self, object: ObjectKind) -> Result<FieldList, SourceError> {
        let mut known = self.field_memory.0.lock().await;
        let now = self.now();
        if let Some((at, list)) = known.get(&object)
            && now.since(*at) < FRESH
        {
            return Ok(list.clone());
        }
        let list = self.asked_fields(object).await?;
        known.insert(object, (now, list.clone()));
        Ok(list)
    }

    async fn asked_fields(&self, object: ObjectKind) -> Result<FieldList, SourceError> {
        let own = self.source.describe(object.api_name()).await?;
        let mut parents = Vec::new();
        if object == ObjectKind::Opportunity {
            for parent in PARENTS {
                let leads_there = |field: &FieldDescription| {
                    field.relationship.as_deref() == Some(parent)
                        && field.reference_to.contains(parent)
                };
                if own.iter().any(leads_there) {
                    let fields = self.source.describe(parent).await?;
                    parents.extend(by_label(fields, parent));
                }
            }
        }
        let mut fields = by_label(own, "");
        fields.extend(parents);
        Ok(FieldList { fields })
    }
}

fn by_label(fields: Vec<FieldDescription>, parent: &str) -> Vec<FieldView> {
    let fields = fields.into_iter();
    let mut fields: Vec<FieldView> = fields.filter_map(|field| view(field, parent)).collect();
    fields.sort_by_cached_key(|field| (field.label.to_lowercase(), field.name.clone()));
    fields
}

fn view(field: FieldDescription, parent: &str) -> Option<FieldView> {
    let field_type = field.field_type?;
    let (name, label) = match parent {
        "" => (field.name, field.label),
        parent => (
            format!("{parent}.{}", field.name),
            format!("{parent}: {}", field.label),
        ),
    };
    let operators = if field.filterable {
        operators(&name, field_type).to_vec()
    } else {
        Vec::new()
    };
    Some(FieldView {
        field_type,
        filterable: field.filterable,
        calculated: field.calculated,
        operators,
        values: field.values.into_iter().collect(),
        name,
        label,
    })
}
