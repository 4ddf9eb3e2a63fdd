//! Field names of a query to places in records.
use jiff::tz::TimeZone;

use crate::error::ApiError;
use crate::org::State;
use crate::record::{Cell, Record};
use crate::schema::{Entity, Field, FieldType};
use crate::soql::dates::Calendar;
use crate::soql::functions::DateFunction;
use crate::soql::parser::{Item, Names};

/// What a query is read and answered against.
pub(crate) struct Scope<'a> {
    pub(crate) state: &'a State,
    /// The query, for error excerpts.
    pub(crate) soql: &'a str,
    /// The org's time in the stored form.
    pub(crate) now: String,
    /// Whether deleted records are visible.
    pub(crate) all_rows: bool,
    /// The running user's zone.
    pub(crate) zone: TimeZone,
    /// What date literals are counted by, in that zone.
    pub(crate) calendar: Calendar,
}

/// A field, reached over parents.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    /// The reference fields to follow, by position.
    pub(crate) hops: Vec<usize>,
    /// The field's own position in the last object.
    pub(crate) position: usize,
    pub(crate) field: &'static Field,
    /// What is made of the value.
    pub(crate) function: Option<DateFunction>,
}

impl Path {
    /// The type of what [`Scope::value`] gives.
    pub(crate) fn kind(&self) -> FieldType {
        match self.function {
            None => self.field.kind,
            Some(function) => function.kind(),
        }
    }

    /// Whether it is a field of the query's own object, as it is stored.
    pub(crate) fn is_own(&self) -> bool {
        self.hops.is_empty() && self.function.is_none()
    }

    /// Whether another path leads to the same value.
    pub(crate) fn is(&self, other: &Path) -> bool {
        self.hops == other.hops
            && self.position == other.position
            && self.function == other.function
    }
}

/// Up to this many parents may be followed.
const MAX_HOPS: usize = 5;

impl<'a> Scope<'a> {
    /// The record a reference leads to, where it is there and visible.
    pub(crate) fn parent(&self, record: &Record, position: usize) -> Option<&'a Record> {
        let state: &'a State = self.state;
        let parent = state.by_id(record.at(position).text()?)?;
        // A group's component may be a muting set, which is no permission set.
        let (target, _) = record.entity().fields.get(position)?.reference?;
        let visible = (self.all_rows || !parent.flag("IsDeleted")) && state.is_visible(parent);
        (visible && parent.entity().name == target).then_some(parent)
    }

    /// A field's value; null where a parent is missing on the way.
    pub(crate) fn value(&self, record: &Record, path: &Path) -> Cell {
        let cell = self.stored(record, path);
        match path.function {
            None => cell,
            Some(function) => function.of(&cell, &self.zone, self.calendar.fiscal_start),
        }
    }

    fn stored(&self, record: &Record, path: &Path) -> Cell {
        let Some((first, rest)) = path.hops.split_first() else {
            return self.state.cell_now(record, path.position, &self.now);
        };
        let mut parent = self.parent(record, *first);
        for hop in rest {
            parent = parent.and_then(|parent| self.parent(parent, *hop));
        }
        parent.map_or(Cell::Null, |parent| {
            self.state.cell_now(parent, path.position, &self.now)
        })
    }

    /// The parents that names lead over, and the object they end at. The last name is left.
    pub(crate) fn parents<'n>(
        &self,
        root: &'static Entity,
        alias: Option<&str>,
        names: &'n Names,
    ) -> Result<(Vec<usize>, &'static Entity, &'n str), ApiError> {
        let Some((last, mut leading)) = names.parts.split_last() else {
            return Err(no_column(self.soql, root, "", names.column));
        };
        if let Some((first, rest)) = leading.split_first() {
            let itself = alias.is_some_and(|alias| alias.eq_ignore_ascii_case(first))
                || (root.name.eq_ignore_ascii_case(first) && root.relationship(first).is_none());
            if itself {
                leading = rest;
            }
        }
        let (mut hops, mut entity) = (Vec::new(), root);
        for name in leading {
            let found = entity.relationship(name);
            let found =
                found.and_then(|(position, target)| Some((position, self.state.entity(target)?)));
            let Some((position, target)) = found else {
                return Err(excerpt(
                    self.soql,
                    names.column,
                    &format!(
                        "Didn't understand relationship '{name}' in field path. If you are attempting to use a custom relationship, be sure to append the '__r' after the custom relationship name. Please reference your WSDL or the describe call for the appropriate names."
                    ),
                ));
            };
            hops.push(position);
            entity = target;
        }
        if hops.len() > MAX_HOPS {
            return Err(ApiError::new(
                "MALFORMED_QUERY",
                format!("cannot have more than {MAX_HOPS} levels of relationships"),
            ));
        }
        Ok((hops, entity, last))
    }

    /// The place of a leaf field.
    pub(crate) fn resolve(
        &self,
        root: &'static Entity,
        alias: Option<&str>,
        names: &Names,
    ) -> Result<Path, ApiError> {
        let (hops, entity, last) = self.parents(root, alias, names)?;
        match entity.visible(last) {
            Some((position, field)) => Ok(Path {
                hops,
                position,
                field,
                function: None,
            }),
            None => Err(no_column(self.soql, entity, last, names.column)),
        }
    }
}

impl Scope<'_> {
    /// The place of what stands left of an operator or in GROUP BY: a field, or a date function of
    /// one.
    pub(crate) fn resolve_item(
        &self,
        root: &'static Entity,
        alias: Option<&str>,
        item: &Item,
    ) -> Result<Path, ApiError> {
        match item {
            Item::Field(names) => self.resolve(root, alias, names),
            Item::Date(function, names) => {
                let mut path = self.resolve(root, alias, names)?;
                let fits = match path.field.kind {
                    FieldType::DateTime => true,
                    FieldType::Date => !function.needs_time(),
                    FieldType::Id
                    | FieldType::Reference
                    | FieldType::Text
                    | FieldType::TextArea
                    | FieldType::Picklist
                    | FieldType::MultiPicklist
                    | FieldType::Boolean
                    | FieldType::Int
                    | FieldType::Double
                    | FieldType::Currency
                    | FieldType::Percent
                    | FieldType::Email
                    | FieldType::Phone
                    | FieldType::Time
                    | FieldType::Url => false,
                };
                if !fits {
                    return Err(ApiError::new(
                        "INVALID_FIELD",
                        format!(
                            "field {} of type {} can not be used with this date function",
                            path.field.name,
                            path.field.kind.name()
                        ),
                    ));
                }
                path.function = Some(*function);
                Ok(path)
            }
            Item::Aggregate(..) | Item::Grouping(_) => Err(ApiError::new(
                "MALFORMED_QUERY",
                "aggregate functions stand in SELECT, HAVING and ORDER BY of a grouped query only",
            )),
            Item::Group(_) | Item::TypeOf(..) | Item::Children(_) => Err(ApiError::new(
                "MALFORMED_QUERY",
                "unexpected token: only a field can stand here",
            )),
        }
    }
}

/// The error for an unknown field, with the excerpt that Salesforce shows.
pub(crate) fn no_column(soql: &str, entity: &Entity, name: &str, column: usize) -> ApiError {
    let message = format!(
        "No such column '{name}' on entity '{}'. If you are attempting to use a custom field, be sure to append the '__c' after the custom field name. Please reference your WSDL or the describe call for the appropriate names.",
        entity.name
    );
    excerpt(soql, column, &message)
}

fn excerpt(soql: &str, column: usize, message: &str) -> ApiError {
    let before: String = soql.chars().take(column.saturating_sub(1)).collect();
    let shown_before: String = {
        let count = before.chars().count();
        before.chars().skip(count.saturating_sub(20)).collect()
    };
    let after: String = soql
        .chars()
        .skip(column.saturating_sub(1))
        .take(20)
        .collect();
    let caret = " ".repeat(shown_before.chars().count());
    ApiError::new(
        "INVALID_FIELD",
        format!("\n{shown_before}{after}\n{caret}^\nERROR at Row:1:Column:{column}\n{message}"),
    )
}
