//! Which fields the org has, as describe tells the integration user.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::filter::operators;
use domain::{ObjectKind, Timestamp};
use ports::source::{FieldDescription, SourceError};
use runtime::fields::PARENTS;
use tokio::sync::Mutex;

use super::{ONE_ANSWER, Operations, object_of, silence};
use crate::OpsError;
use crate::views::{FieldList, FieldView};

/// How long an answer is shown before it is asked again: whoever builds a filter asks often.
const FRESH: Duration = Duration::from_secs(60);
/// How long Salesforce is left alone after it has said nothing: the forms work without the lists, and
/// whoever wants to switch the sync off must not wait for them at every step.
const LEFT_ALONE: Duration = Duration::from_secs(30);

/// What was answered lately.
#[derive(Clone, Default)]
pub(super) struct FieldMemory(Arc<Mutex<Answered>>);

#[derive(Default)]
struct Answered {
    lists: BTreeMap<ObjectKind, (Timestamp, FieldList)>,
    /// Until when Salesforce is left alone.
    silent_until: Option<Timestamp>,
}

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
        if let Some((at, list)) = known.lists.get(&object)
            && now.since(*at) < FRESH
        {
            return Ok(list.clone());
        }
        if known.silent_until.is_some_and(|until| now < until) {
            return Err(silence());
        }
        let Ok(asked) = tokio::time::timeout(ONE_ANSWER, self.asked_fields(object)).await else {
            known.silent_until = Some(self.now().after(LEFT_ALONE));
            return Err(silence());
        };
        let list = asked?;
        known.lists.insert(object, (now, list.clone()));
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
