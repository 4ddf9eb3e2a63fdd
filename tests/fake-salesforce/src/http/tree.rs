//! `/composite/tree`: records with their children, in one transaction.
use serde::Deserialize;
use serde_json::{Value, json};

use super::data::Caller;
use super::reply::Reply;
use super::{App, Incoming};
use crate::commit::Row;
use crate::dml::{Dml, DmlResult};
use crate::error::ApiError;
use crate::schema::Entity;

const MAX_RECORDS: usize = 200;

/// How deep children may nest.
const MAX_DEPTH: usize = 5;

#[derive(Deserialize)]
struct Tree {
    records: Vec<Row>,
}

/// A record of the tree, before its parent's id is known.
struct Node {
    reference: String,
    entity: &'static str,
    fields: Row,
    /// The place of its parent in the list, and the field that refers to it.
    parent: Option<(usize, &'static str)>,
}

/// Makes the records, parents first, all or none.
pub(crate) fn tree(
    app: &App,
    incoming: &Incoming,
    caller: &Caller,
    entity: &'static Entity,
) -> Result<Reply, ApiError> {
    let tree: Tree = serde_json::from_slice(&incoming.body)
        .map_err(|error| ApiError::new("JSON_PARSER_ERROR", error.to_string()))?;
    let mut nodes = Vec::new();
    for record in tree.records {
        flatten(app, entity, record, None, 1, &mut nodes)?;
    }
    if nodes.len() > MAX_RECORDS {
        return Err(ApiError::new(
            "EXCEEDED_ID_LIMIT",
            format!("a tree has at most {MAX_RECORDS} records"),
        ));
    }
    let references: Vec<String> = nodes.iter().map(|node| node.reference.clone()).collect();
    let steps = nodes.into_iter().map(|node| {
        move |done: &[DmlResult]| {
            let mut fields = node.fields;
            if let Some((parent, field)) = node.parent {
                let id = done.get(parent).and_then(|parent| parent.id.clone());
                fields.insert(field.to_owned(), id.into());
            }
            Ok(Dml::Insert {
                entity: node.entity.to_owned(),
                fields,
            })
        }
    });
    let (results, failed) = app.org.write_in_turn(&caller.user, &caller.origin, steps);
    let answers = references.iter().zip(&results);
    if failed {
        let failures: Vec<Value> = answers
            .filter_map(|(reference, result)| {
                let error = result.error.as_ref()?;
                Some(json!({"referenceId": reference, "errors": [{
                    "statusCode": error.code, "message": error.message, "fields": error.fields,
                }]}))
            })
            .collect();
        return Ok(Reply::json(
            400,
            &json!({"hasErrors": true, "results": failures}),
        ));
    }
    let made: Vec<Value> = answers
        .map(|(reference, result)| json!({"referenceId": reference, "id": result.id}))
        .collect();
    Ok(Reply::json(
        201,
        &json!({"hasErrors": false, "results": made}),
    ))
}

fn flatten(
    app: &App,
    entity: &'static Entity,
    record: Row,
    parent: Option<(usize, &'static str)>,
    depth: usize,
    nodes: &mut Vec<Node>,
) -> Result<(), ApiError> {
    if depth > MAX_DEPTH {
        return Err(ApiError::new(
            "INVALID_ARGUMENT",
            format!("a tree is at most {MAX_DEPTH} levels deep"),
        ));
    }
    let attributes = record.get("attributes").cloned().unwrap_or_default();
    let reference = attributes.get("referenceId").and_then(Value::as_str);
    let reference = reference.ok_or_else(|| {
        ApiError::new(
            "INVALID_ARGUMENT",
            "every record needs attributes.referenceId",
        )
    })?;
    if nodes.iter().any(|node| node.reference == reference) {
        return Err(ApiError::new(
            "INVALID_ARGUMENT",
            format!("the referenceId {reference} is given twice"),
        ));
    }
    let place = nodes.len();
    nodes.push(Node {
        reference: reference.to_owned(),
        entity: entity.name,
        fields: Row::new(),
        parent,
    });
    let mut fields = Row::new();
    for (name, value) in record {
        let list = value.get("records").and_then(Value::as_array);
        let Some(children) = list else {
            if name != "attributes" {
                fields.insert(name, value);
            }
            continue;
        };
        let (child, field) = relation(app, entity, &name)?;
        for record in children {
            let record = record.as_object().cloned().unwrap_or_default();
            flatten(app, child, record, Some((place, field)), depth + 1, nodes)?;
        }
    }
    if let Some(node) = nodes.get_mut(place) {
        node.fields = fields;
    }
    Ok(())
}

/// The object behind a child relationship, and its field that refers to the parent.
fn relation(
    app: &App,
    parent: &Entity,
    name: &str,
) -> Result<(&'static Entity, &'static str), ApiError> {
    let state = app.org.state();
    let found = state.entities.values().find_map(|child| {
        let field = child.fields.iter().find(|field| {
            let relationship = child.child_relationship(field, parent.name);
            relationship.is_some_and(|known| known.eq_ignore_ascii_case(name))
        })?;
        Some((*child, field.name))
    });
    found.ok_or_else(|| {
        ApiError::new(
            "INVALID_FIELD",
            format!("{} has no child relationship {name}", parent.name),
        )
    })
}
