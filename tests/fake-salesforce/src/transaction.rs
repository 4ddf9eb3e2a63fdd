//! One transaction: steps staged over the committed records, with defaults, cascades and checks.

mod insert;
mod remove;
mod update;

use crate::commit::{ChangeKind, Row, RowChange};
use crate::derive::{Draft, Stage};
use crate::dml::{Dml, DmlResult};
use crate::error::ApiError;
use crate::org::{State, Writer, Written};
use crate::record::{Cell, CellRef, Record};
use crate::schema::{self, Entity, Field};
use crate::{id, time};

/// Steps staged over the committed state.
pub(crate) struct Transaction<'a> {
    state: &'a State,
    pub(crate) writer: &'a mut Writer,
    user: String,
    stamp: String,
    written: Written,
    /// What staging replaced, so that a failed step leaves nothing behind.
    undo: Vec<(String, Option<Option<Record>>)>,
    /// Loading: ids and read-only fields are taken as given.
    pub(crate) trusted: bool,
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(
        state: &'a State,
        writer: &'a mut Writer,
        user: &str,
        at_micros: i64,
    ) -> Self {
        Transaction {
            state,
            writer,
            user: user.to_owned(),
            stamp: time::stamp(at_micros),
            written: Written::default(),
            undo: Vec::new(),
            trusted: false,
        }
    }

    /// A transaction that takes ids and read-only fields as given.
    pub(crate) fn trusted(
        state: &'a State,
        writer: &'a mut Writer,
        user: &str,
        at_micros: i64,
    ) -> Self {
        let mut transaction = Self::new(state, writer, user, at_micros);
        transaction.trusted = true;
        transaction
    }

    /// Goes on with what an earlier transaction staged and nobody committed.
    pub(crate) fn resume(&mut self, written: Written) {
        self.written = written;
    }

    pub(crate) fn finish(self) -> Written {
        self.written
    }

    /// The permission set of this API name, made where there is none.
    pub(crate) fn permission_set(&mut self, name: &str) -> Result<String, ApiError> {
        self.named("PermissionSet", "Name", name)
    }

    /// The permission set group of this API name, made with its own set where there is none.
    pub(crate) fn permission_set_group(&mut self, name: &str) -> Result<String, ApiError> {
        self.named("PermissionSetGroup", "DeveloperName", name)
    }

    fn named(&mut self, entity: &str, field: &str, name: &str) -> Result<String, ApiError> {
        let known = self.all(entity).find(|row| row.text(field) == Some(name));
        if let Some(known) = known {
            return Ok(known.id().to_owned());
        }
        let entity = self.entity(entity)?;
        self.insert(entity, &row([(field, name.to_owned())]))
    }

    /// Does one step, or nothing of it.
    pub(crate) fn step(&mut self, op: Dml) -> DmlResult {
        self.undo.clear();
        let (changes, silent) = (self.written.changes.len(), self.written.silent.len());
        let mut created = false;
        let done = match op {
            Dml::Insert { entity, fields } => {
                created = true;
                self.entity(&entity)
                    .and_then(|entity| self.insert(entity, &fields))
            }
            Dml::Upsert {
                entity,
                field,
                value,
                fields,
            } => self
                .entity(&entity)
                .and_then(|entity| self.upsert(entity, &field, &value, &fields))
                .map(|(id, made)| {
                    created = made;
                    id
                }),
            Dml::Update { entity, id, fields } => self
                .entity(&entity)
                .and_then(|entity| self.update(entity, &id, &fields)),
            Dml::Delete { entity, id } => self
                .entity(&entity)
                .and_then(|entity| self.delete(entity, &id)),
            Dml::Undelete { entity, id } => self
                .entity(&entity)
                .and_then(|entity| self.undelete(entity, &id)),
            Dml::Merge {
                entity,
                winner,
                losers,
            } => self
                .entity(&entity)
                .and_then(|entity| self.merge(entity, &winner, &losers)),
        };
        match done {
            Ok(id) => DmlResult {
                id: Some(id),
                created,
                error: None,
            },
            Err(error) => {
                self.written.changes.truncate(changes);
                self.written.silent.truncate(silent);
                while let Some((id, replaced)) = self.undo.pop() {
                    match replaced {
                        Some(record) => self.written.records.insert(id, record),
                        None => self.written.records.remove(&id),
                    };
                }
                DmlResult {
                    id: None,
                    created: false,
                    error: Some(error),
                }
            }
        }
    }

    /// A record's cells, to be changed under the object's present description.
    fn draft(&self, record: &Record) -> Draft {
        let entity = record.entity();
        let entity = self.state.entity(entity.name).unwrap_or(entity);
        Draft {
            entity,
            cells: record.cells_for(entity),
        }
    }

    fn entity(&self, name: &str) -> Result<&'static Entity, ApiError> {
        self.state.entity(name).ok_or_else(|| {
            ApiError::new(
                "INVALID_TYPE",
                format!("sObject type '{name}' is not supported."),
            )
        })
    }

    /// The stamps of a write.
    fn touch(&self, draft: &mut Draft) {
        draft.set("LastModifiedDate", Cell::from(self.stamp.as_str()));
        draft.set("SystemModstamp", Cell::from(self.stamp.as_str()));
        draft.set("LastModifiedById", Cell::from(self.user.as_str()));
    }

    pub(crate) fn set_fields(&mut self, before: &Record, fields: &[(&str, Cell)]) {
        let mut draft = self.draft(before);
        for (field, cell) in fields {
            draft.set(field, cell.clone());
        }
        self.touch(&mut draft);
        self.change(before, draft.finish());
    }

    fn change(&mut self, before: &Record, after: Record) {
        let changed = differing(before, &after);
        self.stage(after.id().to_owned(), Some(after.clone()));
        self.push(ChangeKind::Update, Some(before.clone()), after, changed);
    }

    fn push(
        &mut self,
        kind: ChangeKind,
        before: Option<Record>,
        after: Record,
        changed: Vec<String>,
    ) {
        self.written.changes.push(RowChange {
            entity: after.entity().name.to_owned(),
            id: after.id().to_owned(),
            kind,
            before,
            after,
            changed,
        });
    }

    fn stage(&mut self, record_id: String, record: Option<Record>) {
        let replaced = self.written.records.insert(record_id.clone(), record);
        self.undo.push((record_id, replaced));
    }

    pub(crate) fn current(&self, record_id: &str) -> Option<&Record> {
        match self.written.records.get(record_id) {
            Some(staged) => staged.as_ref(),
            None => self.state.by_id(record_id),
        }
    }

    /// Every record of an object as this transaction sees it, deleted ones included.
    fn all(&self, entity: &str) -> impl Iterator<Item = &Record> {
        let staged = self.of_object(entity);
        let committed = self
            .state
            .table(entity)
            .into_iter()
            .flat_map(|table| table.all())
            .filter(|record| !self.written.records.contains_key(record.id()));
        committed.chain(staged)
    }

    /// The staged records of an object: its ids begin with its key prefix.
    fn of_object(&self, entity: &str) -> impl Iterator<Item = &Record> {
        let prefix = schema::entity(entity).map_or("~", |entity| entity.prefix);
        self.written
            .records
            .range(prefix.to_owned()..)
            .take_while(move |(record_id, _)| record_id.starts_with(prefix))
            .filter_map(|(_, record)| record.as_ref())
    }

    /// The records not deleted whose `field` is `parent`, in id order.
    fn children(&self, entity: &str, field: &str, parent: &str) -> Vec<Record> {
        let Some(table) = self.state.table(entity) else {
            return Vec::new();
        };
        let position = self.state.entity(entity);
        let Some(position) = position.and_then(|entity| entity.position(field)) else {
            return Vec::new();
        };
        let committed = table
            .referring(position, parent)
            .into_iter()
            .flatten()
            .filter(|record| !self.written.records.contains_key(record.id()));
        let staged = self
            .of_object(entity)
            .filter(|record| record.text(field) == Some(parent));
        let mut children: Vec<Record> = committed
            .chain(staged)
            .filter(|record| !record.flag("IsDeleted"))
            .cloned()
            .collect();
        children.sort_by(|left, right| left.id().cmp(right.id()));
        children
    }

    fn find(&self, entity: &Entity, record_id: &str) -> Result<Record, ApiError> {
        let whole = id::to_18(record_id).filter(|whole| whole.starts_with(entity.prefix));
        let Some(whole) = whole else {
            return Err(ApiError::on_field(
                "MALFORMED_ID",
                format!(
                    "{} ID: id value of incorrect type: {record_id}",
                    entity.name
                ),
                "Id",
            ));
        };
        self.current(&whole).cloned().ok_or_else(|| {
            ApiError::new("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
        })
    }

    fn alive(&self, entity: &Entity, record_id: &str) -> Result<Record, ApiError> {
        let record = self.find(entity, record_id)?;
        if record.flag("IsDeleted") {
            return Err(ApiError::new("ENTITY_IS_DELETED", "entity is deleted"));
        }
        Ok(record)
    }

    fn writable<'e>(
        &self,
        entity: &'e Entity,
        name: &str,
        allowed: fn(&Field) -> bool,
    ) -> Result<Option<(usize, &'e Field)>, ApiError> {
        if name == "attributes" {
            return Ok(None);
        }
        let found = if self.trusted {
            let position = entity.position(name);
            position.and_then(|position| Some((position, entity.fields.get(position)?)))
        } else {
            entity.visible(name)
        };
        let Some((position, field)) = found else {
            return Err(ApiError::new(
                "INVALID_FIELD",
                format!("No such column '{name}' on sobject of type {}", entity.name),
            ));
        };
        if !allowed(field) && !self.trusted {
            return Err(ApiError::on_field(
                "INVALID_FIELD_FOR_INSERT_UPDATE",
                format!(
                    "Unable to create/update fields: {}. Please check the security settings of this field and verify that it is read/write for your profile or permission set.",
                    field.name
                ),
                field.name,
            ));
        }
        Ok(Some((position, field)))
    }

    fn check_reference(&self, entity: &Entity, field: &Field, cell: &Cell) -> Result<(), ApiError> {
        let (Some(_), Some(target)) = (field.reference, cell.text()) else {
            return Ok(());
        };
        match self.current(target) {
            Some(record) if !record.flag("IsDeleted") || self.trusted => Ok(()),
            Some(_) => Err(ApiError::on_field(
                "ENTITY_IS_DELETED",
                "entity is deleted",
                field.name,
            )),
            // A file may name a manager before it names the manager's own row.
            None if self.trusted && field.reference.map(|to| to.0) == Some(entity.name) => Ok(()),
            None => Err(ApiError::on_field(
                "INVALID_CROSS_REFERENCE_KEY",
                "invalid cross reference id",
                field.name,
            )),
        }
    }

    fn stage_of(&self, label: &str) -> Stage {
        let row = self
            .all("OpportunityStage")
            .find(|row| row.text("ApiName") == Some(label));
        match row {
            Some(row) => Stage::of(row),
            // A value outside the list is kept, as Salesforce does for an unrestricted picklist.
            None => Stage {
                category: Cell::from("Pipeline"),
                category_name: Cell::from("Pipeline"),
                ..Stage::default()
            },
        }
    }

    fn fiscal_start(&self) -> i64 {
        match self
            .all("Organization")
            .next()
            .map(|org| org.cell("FiscalYearStartMonth"))
        {
            Some(CellRef::Int(month)) => month,
            _ => 1,
        }
    }
}

impl Field {
    fn creatable(&self) -> bool {
        self.createable
    }

    fn changeable(&self) -> bool {
        self.updateable
    }
}

/// The fields whose values differ, and those that every write is said to change.
fn differing(before: &Record, after: &Record) -> Vec<String> {
    let fields = after.entity().fields.iter().enumerate();
    fields
        .filter(|(_, field)| !field.removed)
        .filter(|(position, field)| match field.name {
            "SystemModstamp" => false,
            "LastModifiedDate" => true,
            _ => before.at(*position) != after.at(*position),
        })
        .map(|(_, field)| field.name.to_owned())
        .collect()
}

/// A value as it is written in a path.
fn text_of(cell: CellRef<'_>) -> String {
    match cell.text() {
        Some(text) => text.to_owned(),
        None => cell.json().to_string(),
    }
}

/// Nobody knows which of the records with this external id is meant.
fn ambiguous(external: &Field, several: &[Record]) -> ApiError {
    let ids: Vec<&str> = several.iter().map(Record::id).collect();
    ApiError::on_field(
        "DUPLICATE_EXTERNAL_ID",
        format!(
            "{}: more than one record found for external id field: [{}]",
            external.name,
            ids.join(", ")
        ),
        external.name,
    )
}

fn not_supported(entity: &Entity, what: &str) -> ApiError {
    ApiError::new(
        "INVALID_TYPE_FOR_OPERATION",
        format!("entity type {} does not support {what}", entity.name),
    )
}

/// Fields from names and texts.
pub(crate) fn row<const N: usize>(fields: [(&str, String); N]) -> Row {
    let entries = fields.into_iter();
    entries
        .map(|(name, text)| (name.to_owned(), text.into()))
        .collect()
}
