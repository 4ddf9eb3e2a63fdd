//! The fields that the integration user can see, and what about them matters to the rules.

use std::collections::{BTreeMap, BTreeSet};

use domain::ObjectKind;
use domain::filter::FieldType;
use domain::rule::Rules;
use ports::source::{FieldDescription, Source, SourceError};
use runtime::describe::Fields;
use serde::{Deserialize, Serialize};

/// The fields of each object that can be seen, and the paths to parents' fields among those that
/// the rules name.
pub(crate) type Described = BTreeMap<ObjectKind, BTreeMap<String, Seen>>;

/// What is to be noticed of a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Absent for kinds that cannot be used.
    pub(super) kind: Option<FieldType>,
    pub(crate) calculated: bool,
    /// The active values of a picklist that the rules read; absent for other fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    values: Option<BTreeSet<String>>,
}

impl Seen {
    fn of(field: FieldDescription, is_wanted: bool) -> Self {
        let is_list = matches!(
            field.field_type,
            Some(FieldType::Picklist | FieldType::MultiPicklist)
        );
        Self {
            kind: field.field_type,
            calculated: field.calculated,
            values: (is_wanted && is_list).then_some(field.values),
        }
    }
}

/// Reads them.
pub(super) async fn describe(source: &dyn Source, rules: &Rules) -> Result<Described, SourceError> {
    let mut fields = Fields::new(source);
    let mut described = Described::new();
    for object in ObjectKind::ALL {
        let wanted = wanted(rules, object);
        let own = fields.of(object.api_name()).await?.iter();
        let mut seen: BTreeMap<String, Seen> = own
            .map(|field| {
                let is_wanted = wanted.contains(&field.name);
                (field.name.clone(), Seen::of(field.clone(), is_wanted))
            })
            .collect();
        for path in wanted.into_iter().filter(|field| field.contains('.')) {
            if let Some(field) = fields.find(object.api_name(), &path).await? {
                seen.insert(path, Seen::of(field, true));
            }
        }
        described.insert(object, seen);
    }
    Ok(described)
}

/// A field that the rules read and that is not what it was.
pub(super) struct Moved {
    pub(super) object: ObjectKind,
    pub(super) field: String,
    pub(super) how: How,
}

#[derive(PartialEq, Eq)]
pub(super) enum How {
    Lost,
    Found,
    OfAnotherType,
    /// A picklist with other values: those that are new and those that are gone.
    OtherValues {
        new: usize,
        gone: usize,
    },
}

impl Moved {
    /// What happened, in a sentence without values.
    pub(super) fn words(&self) -> String {
        let what = match self.how {
            How::Lost => {
                "can no longer be seen by the integration user: mOS keeps what it has; restore the access or change the mapping or filter".to_owned()
            }
            How::Found => "can be seen by the integration user now".to_owned(),
            How::OfAnotherType => "is of another type now".to_owned(),
            How::OtherValues { new, gone } => format!(
                "has other picklist values now: {new} new, {gone} gone; look whether the filter names one that is gone"
            ),
        };
        format!("{}.{} {what}", self.object, self.field)
    }

    /// Whether the rules themselves mean something else by it.
    pub(super) const fn moves_rules(&self) -> bool {
        !matches!(self.how, How::OtherValues { .. })
    }
}

/// Fields that the rules read and that cannot be seen any more.
pub(super) type Lost = BTreeSet<(ObjectKind, String)>;

/// What differs of the fields that the rules read; `lost` are those that were lost before, `missed`
/// those that somebody could not see meanwhile and reads no more.
pub(super) fn moved(
    rules: &Rules,
    before: &Described,
    now: &Described,
    lost: &Lost,
    missed: &Lost,
) -> Vec<Moved> {
    let none = BTreeMap::new();
    let mut moved = Vec::new();
    for object in ObjectKind::ALL {
        let old = before.get(&object).unwrap_or(&none);
        let new = now.get(&object).unwrap_or(&none);
        for field in wanted(rules, object) {
            let how = match (old.get(&field), new.get(&field)) {
                (Some(_), None) => How::Lost,
                // A path is looked up once a rule names it: that it was not there before says
                // nothing, unless it was lost.
                (None, Some(_))
                    if field.contains('.') && !lost.contains(&(object, field.clone())) =>
                {
                    continue;
                }
                (None, Some(_)) => How::Found,
                (Some(_), Some(_)) if missed.contains(&(object, field.clone())) => How::Found,
                (Some(old), Some(new)) if old.kind != new.kind => How::OfAnotherType,
                (Some(old), Some(new)) => match other_values(old, new) {
                    Some(how) => how,
                    None => continue,
                },
                (None, None) => continue,
            };
            moved.push(Moved { object, field, how });
        }
    }
    moved
}

/// Values that were not looked at before say nothing.
fn other_values(old: &Seen, new: &Seen) -> Option<How> {
    let (old, new) = (old.values.as_ref()?, new.values.as_ref()?);
    (old != new).then(|| How::OtherValues {
        new: new.difference(old).count(),
        gone: old.difference(new).count(),
    })
}

/// The fields that the rules would read, whether they can be seen or not.
pub(super) fn wanted(rules: &Rules, object: ObjectKind) -> BTreeSet<String> {
    let mut fields = rules.mapping().salesforce_fields(object);
    if object == ObjectKind::Opportunity {
        fields.extend(rules.judged_fields());
    }
    fields
}
