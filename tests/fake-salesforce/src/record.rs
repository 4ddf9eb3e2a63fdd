//! A record's state at one moment, shared between the tables and the ledger.
use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::commit::Row;
use crate::schema::Entity;

/// One field's value. Dates and datetimes are text in Salesforce's form, which sorts by time.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Cell {
    /// Empty.
    #[default]
    Null,
    /// A checkbox.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Num(f64),
    /// Everything else.
    Text(Arc<str>),
}

impl Cell {
    /// The value as the REST API writes it.
    pub fn json(&self) -> Value {
        match self {
            Cell::Null => Value::Null,
            Cell::Bool(value) => Value::Bool(*value),
            Cell::Int(value) => Value::from(*value),
            Cell::Num(value) => Value::from(*value),
            Cell::Text(text) => Value::from(text.as_ref()),
        }
    }

    /// The text, where it is text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Cell::Text(text) => Some(text),
            Cell::Null | Cell::Bool(_) | Cell::Int(_) | Cell::Num(_) => None,
        }
    }

    /// Whether the field is empty.
    pub fn is_null(&self) -> bool {
        matches!(self, Cell::Null)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        if text.is_empty() {
            Cell::Null
        } else {
            Cell::Text(Arc::from(text))
        }
    }
}

impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Cell::Bool(value)
    }
}

/// A record's fields at one moment. Cloning shares them.
#[derive(Clone, PartialEq)]
pub struct Record {
    entity: &'static Entity,
    cells: Arc<[Cell]>,
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record")
            .field("entity", &self.entity.name)
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}

impl Record {
    /// A record of this object; `cells` in the order of the object's fields.
    pub(crate) fn new(entity: &'static Entity, cells: Vec<Cell>) -> Self {
        Record {
            entity,
            cells: cells.into(),
        }
    }

    /// The object's description.
    pub fn entity(&self) -> &'static Entity {
        self.entity
    }

    /// The 18-character id.
    pub fn id(&self) -> &str {
        self.text("Id").unwrap_or_default()
    }

    /// A field's value; null where the object has no such field.
    pub fn get(&self, field: &str) -> Value {
        self.cell(field).json()
    }

    /// A field's text; `None` where it is empty, no text, or no field of the object.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.cell(field).text()
    }

    /// Whether a checkbox is ticked.
    pub fn flag(&self, field: &str) -> bool {
        matches!(self.cell(field), Cell::Bool(true))
    }

    /// Every field of the object.
    pub fn row(&self) -> Row {
        let fields = self.entity.fields.iter().map(|field| field.name.to_owned());
        fields.zip(self.cells.iter().map(Cell::json)).collect()
    }

    pub(crate) fn cell(&self, field: &str) -> &Cell {
        match self.entity.position(field) {
            Some(position) => self.at(position),
            None => &Cell::Null,
        }
    }

    pub(crate) fn at(&self, position: usize) -> &Cell {
        self.cells.get(position).unwrap_or(&Cell::Null)
    }

    pub(crate) fn cells(&self) -> &[Cell] {
        &self.cells
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.cells.len()))?;
        for (field, cell) in self.entity.fields.iter().zip(self.cells.iter()) {
            map.serialize_entry(field.name, &cell.json())?;
        }
        map.end()
    }
}
