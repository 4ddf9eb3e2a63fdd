//! What the columns of a bulk query are: their canonical names, their types, and the object tree
//! that a row makes of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use domain::filter::FieldType;
use ports::source::{BulkQueryId, SourceError};

use super::csv::Record;
use crate::Core;
use crate::fault::shortened;
use crate::rest::FieldAnswer;

/// For how many jobs columns are remembered.
const MAX_REMEMBERED: usize = 64;

/// The columns of a SELECT.
#[derive(Debug)]
pub(super) struct Columns {
    /// As the caller named them.
    asked: Vec<String>,
    pub(super) members: Vec<Member>,
}

/// A member of a row's object.
#[derive(Debug)]
pub(super) struct Member {
    /// The canonical name of a field or a relation.
    pub(super) name: String,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    Value {
        column: usize,
        kind: Kind,
    },
    /// A parent record.
    Parent {
        /// The column of the reference to it, where the query has that.
        reference: Option<usize>,
        members: Vec<Member>,
    },
}

/// How a value is written in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    Boolean,
    DateTime,
}

/// Columns by job, so that each page does not describe the objects again.
#[derive(Debug, Default)]
pub(crate) struct Remembered(Mutex<BTreeMap<BulkQueryId, Arc<Columns>>>);

impl Core {
    /// The columns of a job's results, from what Salesforce says about the job and its objects.
    pub(super) async fn bulk_columns(
        &self,
        id: &BulkQueryId,
        asked: &[String],
    ) -> Result<Arc<Columns>, SourceError> {
        let remembered = self.remembered().get(id).map(Arc::clone);
        if let Some(columns) = remembered.filter(|columns| columns.asked == asked) {
            return Ok(columns);
        }
        let object = self.bulk_job(id).await?.object;
        let columns = Arc::new(self.columns_of(&object, asked).await?);
        let mut remembered = self.remembered();
        if remembered.len() >= MAX_REMEMBERED {
            remembered.pop_first();
        }
        remembered.insert(id.clone(), Arc::clone(&columns));
        Ok(columns)
    }

    pub(super) fn forget_columns(&self, id: &BulkQueryId) {
        self.remembered().remove(id);
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, BTreeMap<BulkQueryId, Arc<Columns>>> {
        self.bulk_columns
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn columns_of(&self, object: &str, asked: &[String]) -> Result<Columns, SourceError> {
        let mut described = BTreeMap::new();
        let mut fields = Vec::new();
        for (column, name) in asked.iter().enumerate() {
            let field = self.resolved(&mut described, object, column, name).await?;
            fields.push(field);
        }
        Ok(Columns {
            asked: asked.to_vec(),
            members: members(&fields.iter().collect::<Vec<_>>(), 0, &fields),
        })
    }

    /// Follows a column's relations from object to object to its field.
    async fn resolved(
        &self,
        described: &mut Described,
        object: &str,
        column: usize,
        name: &str,
    ) -> Result<Field, SourceError> {
        let mut resolved = Field {
            column,
            path: Vec::new(),
            references: Vec::new(),
            kind: Kind::Text,
        };
        let mut objects = BTreeSet::from([object.to_owned()]);
        let mut parts = name.split('.').peekable();
        while let Some(part) = parts.next() {
            let is_relation = parts.peek().is_some();
            let field = self
                .field(described, &objects, part, is_relation)
                .await?
                .ok_or_else(|| SourceError::Refused {
                    code: "INVALID_FIELD".to_owned(),
                    message: format!(
                        "{object} has no field {name} that the integration user can see"
                    ),
                })?;
            if is_relation {
                resolved.references.push(field.name);
                resolved.path.extend(field.relationship_name);
                objects = field.reference_to;
            } else {
                resolved.kind = Kind::of(&field.field_type);
                resolved.path.push(field.name);
            }
        }
        Ok(resolved)
    }

    /// The field of that name, or the reference of that relation, in one of the objects.
    async fn field(
        &self,
        described: &mut Described,
        objects: &BTreeSet<String>,
        name: &str,
        is_relation: bool,
    ) -> Result<Option<FieldAnswer>, SourceError> {
        for object in objects {
            if !described.contains_key(object) {
                described.insert(object.clone(), self.described(object).await?);
            }
            let found = described.get(object).into_iter().flatten().find(|field| {
                let own = if is_relation {
                    field.relationship_name.as_deref()
                } else {
                    Some(field.name.as_str())
                };
                own.is_some_and(|own| own.eq_ignore_ascii_case(name))
            });
            if let Some(field) = found {
                return Ok(Some(field.clone()));
            }
        }
        Ok(None)
    }
}

type Described = BTreeMap<String, Vec<FieldAnswer>>;

/// A column, found in the describes.
#[derive(Debug)]
struct Field {
    column: usize,
    /// Canonical names: relations, then the field.
    path: Vec<String>,
    /// The reference field behind each relation of the path.
    references: Vec<String>,
    kind: Kind,
}

impl Field {
    /// Whether it is the reference behind the relation at that depth of another's path.
    fn is_reference_of(&self, other: &Self, depth: usize) -> bool {
        self.path.split_last().is_some_and(|(field, relations)| {
            other.references.get(depth) == Some(field) && other.path.get(..depth) == Some(relations)
        })
    }
}

/// The object of all fields that share a path up to `depth`; members come in the order of their
/// first column.
fn members(fields: &[&Field], depth: usize, all: &[Field]) -> Vec<Member> {
    let mut groups: Vec<(&str, Vec<&Field>)> = Vec::new();
    for field in fields {
        let Some(name) = field.path.get(depth) else {
            continue;
        };
        match groups.iter_mut().find(|(group, _)| group == name) {
            Some((_, group)) => group.push(field),
            None => groups.push((name, vec![field])),
        }
    }
    let member = |(name, group): (&str, Vec<&Field>)| {
        let first = group.first()?;
        let content = if first.path.len() == depth + 1 {
            Content::Value {
                column: first.column,
                kind: first.kind,
            }
        } else {
            Content::Parent {
                reference: all
                    .iter()
                    .find(|field| field.is_reference_of(first, depth))
                    .map(|field| field.column),
                members: members(&group, depth + 1, all),
            }
        };
        Some(Member {
            name: name.to_owned(),
            content,
        })
    };
    groups.into_iter().filter_map(member).collect()
}

impl Columns {
    pub(super) const fn len(&self) -> usize {
        self.asked.len()
    }

    /// Whether the header names exactly these columns; if not, what differs. SOQL does not tell
    /// capitals apart, so neither do headers.
    pub(super) fn check_header(&self, header: Record<'_>) -> Result<(), String> {
        for (place, asked) in self.asked.iter().enumerate() {
            match header.get(place) {
                Some(found) if found.eq_ignore_ascii_case(asked) => {}
                Some(found) => {
                    let found = shortened(found);
                    return Err(format!(
                        "column {} is {found:?} where {asked} was asked for",
                        place + 1
                    ));
                }
                None => return Err(format!("its columns end before {asked}")),
            }
        }
        match header.get(self.len()) {
            Some(more) => Err(format!(
                "it has the column {:?}, which nobody asked for",
                shortened(more)
            )),
            None => Ok(()),
        }
    }
}

impl Kind {
    fn of(describe_type: &str) -> Self {
        match FieldType::of_describe(describe_type) {
            Some(FieldType::Boolean) => Self::Boolean,
            Some(FieldType::Number | FieldType::Currency | FieldType::Percent) => Self::Number,
            Some(FieldType::DateTime) => Self::DateTime,
            Some(
                FieldType::Text
                | FieldType::Picklist
                | FieldType::MultiPicklist
                | FieldType::Date
                | FieldType::Time
                | FieldType::Id
                | FieldType::Reference,
            )
            | None => Self::Text,
        }
    }
}
