//! The form of an answer's rows.
use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::commit::Row;
use crate::error::ApiError;
use crate::record::Record;
use crate::schema::Entity;
use crate::soql::lexer::malformed;
use crate::soql::parser::{Function, Item, Names, Query};
use crate::soql::path::{self, Scope};
use crate::soql::plan::Plan;

/// The form of a row: fields in the order selected, those of a parent nested under it.
#[derive(Default)]
pub(crate) struct Shape {
    parts: Vec<Part>,
}

enum Part {
    Field(&'static str, usize),
    /// A compound address: its name, and what its parts' names begin with.
    Address(&'static str, &'static str),
    /// The relationship's name and the reference's position.
    Parent(&'static str, usize, Shape),
    /// A parent whose fields follow from its object: by object, and for all others.
    TypeOf(&'static str, usize, Vec<(&'static str, Shape)>, Shape),
    Children(Box<Children>),
}

/// The records that refer to a row's record.
struct Children {
    relationship: String,
    /// Which of their fields refers to it.
    position: usize,
    plan: Plan,
    query: Query,
    shape: Shape,
}

impl Part {
    fn name(&self) -> &str {
        match self {
            Part::Field(name, _)
            | Part::Address(name, _)
            | Part::Parent(name, _, _)
            | Part::TypeOf(name, ..) => name,
            Part::Children(children) => &children.relationship,
        }
    }
}

impl Shape {
    /// The shape of a query's rows, for a query that is not grouped.
    pub(crate) fn of(
        scope: &Scope<'_>,
        root: &'static Entity,
        query: &Query,
    ) -> Result<Self, ApiError> {
        let alias = query.alias.as_deref();
        let mut shape = Shape::default();
        for (item, renamed) in &query.select {
            match item {
                Item::Field(_) if renamed.is_some() => {
                    return Err(malformed("only aggregate expressions use field aliasing"));
                }
                Item::Field(names) => shape.add(scope, root, alias, names)?,
                Item::Group(group) => shape.add_group(root, group, query.limit)?,
                Item::TypeOf(names, branches, otherwise) => {
                    shape.add_type_of(scope, root, names, branches, otherwise)?;
                }
                Item::Children(query) => shape.add_children(scope, root, query)?,
                Item::Aggregate(Function::Count, None) => {
                    return Err(malformed("COUNT() must be the only thing that is selected"));
                }
                Item::Aggregate(..) | Item::Date(..) | Item::Grouping(_) => {
                    return Err(malformed("this function needs a grouped query"));
                }
            }
        }
        Ok(shape)
    }

    pub(crate) fn add(
        &mut self,
        scope: &Scope<'_>,
        root: &'static Entity,
        alias: Option<&str>,
        names: &Names,
    ) -> Result<(), ApiError> {
        let (hops, entity, last) = scope.parents(root, alias, names)?;
        let (mut shape, mut from) = (self, root);
        for hop in hops {
            (shape, from) = shape.parent(scope, from, hop);
        }
        let address = entity
            .addresses
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(last));
        let part = match (entity.visible(last), address) {
            (Some((position, field)), _) => Part::Field(field.name, position),
            (None, Some((name, prefix))) => Part::Address(name, prefix),
            (None, None) => return Err(path::no_column(scope.soql, entity, last, names.column)),
        };
        if shape.parts.iter().any(|known| known.name() == part.name()) {
            return Err(ApiError::new(
                "INVALID_FIELD",
                format!("duplicate field selected: {}", names.parts.join(".")),
            ));
        }
        shape.parts.push(part);
        Ok(())
    }

    /// The shape of a parent, made where there is none yet.
    fn parent(
        &mut self,
        scope: &Scope<'_>,
        from: &'static Entity,
        hop: usize,
    ) -> (&mut Shape, &'static Entity) {
        let reference = from.fields.get(hop).and_then(|field| field.reference);
        let (target, name) = reference.unwrap_or_default();
        let known = self
            .parts
            .iter()
            .position(|part| matches!(part, Part::Parent(_, position, _) if *position == hop));
        let place = known.unwrap_or(self.parts.len());
        if known.is_none() {
            self.parts.push(Part::Parent(name, hop, Shape::default()));
        }
        let target = scope.state.entity(target).unwrap_or(from);
        match self.parts.get_mut(place) {
            Some(Part::Parent(_, _, shape)) => (shape, target),
            _ => unreachable!("the part was found or pushed as a parent"),
        }
    }

    fn add_group(
        &mut self,
        root: &'static Entity,
        group: &str,
        limit: Option<usize>,
    ) -> Result<(), ApiError> {
        let unbounded = limit.is_none_or(|limit| limit > 200);
        let (standard, custom) = match group {
            "STANDARD" => (true, false),
            "ALL" | "CUSTOM" if unbounded => {
                return Err(malformed(format!(
                    "The SOQL FIELDS function must have a LIMIT of at most 200 for {group}"
                )));
            }
            "ALL" => (true, true),
            "CUSTOM" => (false, true),
            _ => return Err(malformed(format!("unexpected token: '{group}'"))),
        };
        let fields = root.fields.iter().enumerate().filter(|(_, field)| {
            let wanted = if field.name.ends_with("__c") {
                custom
            } else {
                standard
            };
            wanted && !field.hidden && !field.removed
        });
        let fields: Vec<_> = fields.collect();
        let named: BTreeSet<&str> = self.parts.iter().map(Part::name).collect();
        if let Some((_, twice)) = fields.iter().find(|(_, field)| named.contains(field.name)) {
            return Err(ApiError::new(
                "INVALID_FIELD",
                format!("duplicate field selected: {}", twice.name),
            ));
        }
        let fields = fields.into_iter();
        self.parts
            .extend(fields.map(|(position, field)| Part::Field(field.name, position)));
        if !standard {
            return Ok(());
        }
        let addresses = root.addresses.iter();
        self.parts
            .extend(addresses.map(|(name, prefix)| Part::Address(name, prefix)));
        Ok(())
    }

    fn add_type_of(
        &mut self,
        scope: &Scope<'_>,
        root: &'static Entity,
        names: &Names,
        branches: &[(String, Vec<Names>)],
        otherwise: &[Names],
    ) -> Result<(), ApiError> {
        let relationship = names.parts.last().map(String::as_str).unwrap_or_default();
        let found = root.relationship(relationship);
        let found = found.filter(|_| names.parts.len() == 1);
        let found = found.and_then(|(hop, target)| Some((hop, scope.state.entity(target)?)));
        let Some((hop, target)) = found else {
            return Err(path::no_column(
                scope.soql,
                root,
                relationship,
                names.column,
            ));
        };
        let name = root
            .fields
            .get(hop)
            .and_then(|field| field.reference)
            .map_or("", |(_, name)| name);
        let shape = |entity: &'static Entity, fields: &[Names]| {
            let mut shape = Shape::default();
            for names in fields {
                shape.add(scope, entity, None, names)?;
            }
            Ok::<_, ApiError>(shape)
        };
        let mut cases = Vec::new();
        for (object, fields) in branches {
            let entity = super::run::known_entity(scope.state, object)?;
            cases.push((entity.name, shape(entity, fields)?));
        }
        let otherwise = shape(target, otherwise)?;
        self.parts.push(Part::TypeOf(name, hop, cases, otherwise));
        Ok(())
    }

    fn add_children(
        &mut self,
        scope: &Scope<'_>,
        root: &'static Entity,
        query: &Query,
    ) -> Result<(), ApiError> {
        let found = scope.state.entities.values().find_map(|child| {
            let fields = child.fields.iter().enumerate();
            let mut fields = fields.filter(|(_, field)| !field.hidden && !field.removed);
            fields.find_map(|(position, field)| {
                let name = child.child_relationship(field, root.name)?;
                name.eq_ignore_ascii_case(&query.from)
                    .then_some((*child, position, name))
            })
        });
        let Some((child, position, relationship)) = found else {
            return Err(ApiError::new(
                "INVALID_TYPE",
                format!(
                    "Didn't understand relationship '{}' in FROM part of query call. If you are attempting to use a custom relationship, be sure to append the '__r' after the custom relationship name. Please reference your WSDL or the describe call for the appropriate names.",
                    query.from
                ),
            ));
        };
        if !query.group_by.is_empty() {
            return Err(malformed("a child sub-select can not be grouped"));
        }
        let plan = Plan::of(scope, child, query, false)?;
        plan.check_order(scope, query)?;
        let shape = Shape::of(scope, child, query)?;
        if self.parts.iter().any(|part| part.name() == relationship) {
            return Err(malformed(format!(
                "the relationship {relationship} is selected twice"
            )));
        }
        self.parts.push(Part::Children(Box::new(Children {
            relationship,
            position,
            plan,
            query: query.clone(),
            shape,
        })));
        Ok(())
    }

    pub(crate) fn row(&self, scope: &Scope<'_>, record: &Record, version: Option<&str>) -> Row {
        let mut row = Row::new();
        if let Some(version) = version {
            row.insert("attributes".to_owned(), attributes(record, version));
        }
        for part in &self.parts {
            let value = match part {
                Part::Field(_, position) => {
                    scope.state.cell_now(record, *position, &scope.now).json()
                }
                Part::Address(_, prefix) => address(record, prefix),
                Part::Parent(_, position, shape) => match scope.parent(record, *position) {
                    Some(parent) => Value::Object(shape.row(scope, parent, version)),
                    None => Value::Null,
                },
                Part::TypeOf(_, position, cases, otherwise) => {
                    match scope.parent(record, *position) {
                        Some(parent) => {
                            let object = parent.entity().name;
                            let case = cases.iter().find(|(name, _)| *name == object);
                            let shape = case.map_or(otherwise, |(_, shape)| shape);
                            Value::Object(shape.row(scope, parent, version))
                        }
                        None => Value::Null,
                    }
                }
                Part::Children(children) => children.value(scope, record, version),
            };
            row.insert(part.name().to_owned(), value);
        }
        row
    }
}

impl Children {
    /// A result of its own; null where there are none.
    fn value(&self, scope: &Scope<'_>, parent: &Record, version: Option<&str>) -> Value {
        let table = scope.state.table(self.plan.root.name);
        let children = table.and_then(|table| table.referring(self.position, parent.id()));
        let children = children.into_iter().flatten();
        let found: Vec<&Record> = children
            .filter(|child| self.plan.finds(scope, child))
            .collect();
        let sorted = self.plan.sort(scope, &self.query, found);
        let rows: Vec<Value> = sorted
            .into_iter()
            .map(|child| Value::Object(self.shape.row(scope, child, version)))
            .collect();
        if rows.is_empty() {
            return Value::Null;
        }
        json!({"totalSize": rows.len(), "done": true, "records": rows})
    }
}

/// `attributes` of a record.
pub(crate) fn attributes(record: &Record, version: &str) -> Value {
    let entity = record.entity().name;
    json!({
        "type": entity,
        "url": format!("/services/data/v{version}/sobjects/{entity}/{}", record.id()),
    })
}

/// A compound address; null where all its parts are empty.
pub(crate) fn address(record: &Record, prefix: &str) -> Value {
    let part = |name: &str| {
        let found = record.entity().visible(&format!("{prefix}{name}"));
        found.map_or(Value::Null, |(position, _)| record.at(position).json())
    };
    let address = json!({
        "city": part("City"),
        "country": part("Country"),
        "geocodeAccuracy": part("GeocodeAccuracy"),
        "latitude": part("Latitude"),
        "longitude": part("Longitude"),
        "postalCode": part("PostalCode"),
        "state": part("State"),
        "street": part("Street"),
    });
    let empty = address
        .as_object()
        .is_some_and(|parts| parts.values().all(Value::is_null));
    if empty { Value::Null } else { address }
}
