//! What an administrator does in Setup while clients are at work: custom fields come and go, and
//! field-level security hides fields from whoever signs in.
use std::sync::PoisonError;

use serde::Deserialize;

use crate::commit::Row;
use crate::error::ApiError;
use crate::org::Org;
use crate::schema::{Entity, Field, FieldType};
use crate::transaction::Transaction;
use crate::value;

/// A custom field to be made.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomField {
    /// API name of the object.
    pub entity: String,
    /// API name of the field; ends with `__c`.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: CustomType,
    /// Characters at most, of a text; 255 where not given.
    #[serde(default = "default_length")]
    pub length: u32,
    /// Digits in all, of a number.
    #[serde(default = "default_precision")]
    pub precision: u32,
    /// Digits after the point, of a number.
    #[serde(default)]
    pub scale: u32,
    /// Records can be upserted by it.
    #[serde(default)]
    pub external_id: bool,
    /// No two records may have the same value.
    #[serde(default)]
    pub unique: bool,
    /// The values of a picklist.
    #[serde(default)]
    pub values: Vec<String>,
    /// A formula or roll-up: nobody writes it, no event tells of it, and what it says changes with
    /// [`Org::recalculate`].
    #[serde(default)]
    pub calculated: bool,
}

/// What a formula says of some records from now on.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recalculation {
    /// API name of the object.
    pub entity: String,
    /// API name of the calculated field.
    pub field: String,
    /// Record id to value.
    pub values: Row,
}

/// The values that a custom picklist has from now on.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PicklistValues {
    /// API name of the object.
    pub entity: String,
    /// API name of the field.
    pub field: String,
    /// All of them.
    pub values: Vec<String>,
}

/// A custom field's type, by describe's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CustomType {
    /// `string`
    String,
    /// `textarea`
    TextArea,
    /// `picklist`
    Picklist,
    /// `multipicklist`
    MultiPicklist,
    /// `boolean`
    Boolean,
    /// `double`
    Double,
    /// `currency`
    Currency,
    /// `percent`
    Percent,
    /// `date`
    Date,
    /// `datetime`
    DateTime,
    /// `time`
    Time,
    /// `email`
    Email,
    /// `phone`
    Phone,
    /// `url`
    Url,
}

fn default_length() -> u32 {
    255
}

fn default_precision() -> u32 {
    18
}

impl CustomType {
    fn field_type(self) -> FieldType {
        match self {
            CustomType::String => FieldType::Text,
            CustomType::TextArea => FieldType::TextArea,
            CustomType::Picklist => FieldType::Picklist,
            CustomType::MultiPicklist => FieldType::MultiPicklist,
            CustomType::Boolean => FieldType::Boolean,
            CustomType::Double => FieldType::Double,
            CustomType::Currency => FieldType::Currency,
            CustomType::Percent => FieldType::Percent,
            CustomType::Date => FieldType::Date,
            CustomType::DateTime => FieldType::DateTime,
            CustomType::Time => FieldType::Time,
            CustomType::Email => FieldType::Email,
            CustomType::Phone => FieldType::Phone,
            CustomType::Url => FieldType::Url,
        }
    }

    /// What change events call the type.
    fn event_type(self) -> &'static str {
        match self {
            CustomType::String => "Text",
            CustomType::TextArea => "StringPlusClob",
            CustomType::Picklist => "DynamicEnum",
            CustomType::MultiPicklist => "MultiEnum",
            CustomType::Boolean => "Boolean",
            CustomType::Double => "Double",
            CustomType::Currency => "Currency",
            CustomType::Percent => "Percent",
            CustomType::Date => "DateOnly",
            CustomType::DateTime => "DateTime",
            CustomType::Time => "TimeOnly",
            CustomType::Email => "Email",
            CustomType::Phone => "Phone",
            CustomType::Url => "Url",
        }
    }
}

/// A change of what the org's objects are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaChange {
    /// A custom field was made.
    Added {
        /// API name of the object.
        entity: String,
        /// API name of the field.
        field: String,
        /// What change events call its type, for example `DynamicEnum`.
        event_type: &'static str,
    },
    /// A custom field was deleted.
    Removed {
        /// API name of the object.
        entity: String,
        /// API name of the field.
        field: String,
    },
}

/// Who is told of changes of the objects.
pub type SchemaHook = Box<dyn Fn(&SchemaChange) + Send + Sync>;

impl Org {
    /// Makes a custom field. Queries, describe, writes and change events know it from now on.
    ///
    /// # Errors
    /// An unknown object, or a name that is taken or does not end with `__c`.
    pub fn add_field(&self, wanted: &CustomField) -> Result<(), ApiError> {
        let writer = self.writer();
        let entity = self.known(&wanted.entity)?;
        let free = entity.position(&wanted.name).is_none();
        let stem = wanted.name.strip_suffix("__c").unwrap_or_default();
        let named = stem.starts_with(|first: char| first.is_ascii_alphabetic())
            && stem.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !free || !named {
            return Err(ApiError::on_field(
                "DUPLICATE_DEVELOPER_NAME",
                format!(
                    "{} can not be a new custom field of {}: the name is taken, or it does not end with __c",
                    wanted.name, entity.name
                ),
                &wanted.name,
            ));
        }
        let mut fields = entity.fields.clone();
        fields.push(field(wanted));
        self.describe_anew(entity, fields);
        if wanted.calculated {
            return Ok(());
        }
        self.tell(&SchemaChange::Added {
            entity: entity.name.to_owned(),
            field: wanted.name.clone(),
            event_type: wanted.kind.event_type(),
        });
        drop(writer);
        Ok(())
    }

    /// Gives a custom picklist other values: describe lists these from now on. Records keep what they
    /// have.
    ///
    /// # Errors
    /// An unknown object, or no custom picklist of it.
    pub fn set_picklist_values(&self, wanted: &PicklistValues) -> Result<(), ApiError> {
        let writer = self.writer();
        let entity = self.known(&wanted.entity)?;
        let mut fields = entity.fields.clone();
        let position = entity.position(&wanted.field);
        let field = position.and_then(|position| fields.get_mut(position));
        let is_list = |field: &&mut Field| {
            field.name.ends_with("__c")
                && matches!(field.kind, FieldType::Picklist | FieldType::MultiPicklist)
        };
        let Some(field) = field.filter(is_list) else {
            return Err(no_field(entity, &wanted.field));
        };
        field.values = leaked(&wanted.values);
        self.describe_anew(entity, fields);
        drop(writer);
        Ok(())
    }

    /// Deletes a custom field: nobody sees it or its values any more.
    ///
    /// # Errors
    /// An unknown object, or no custom field of it.
    pub fn remove_field(&self, entity: &str, name: &str) -> Result<(), ApiError> {
        let writer = self.writer();
        let entity = self.known(entity)?;
        let mut fields = entity.fields.clone();
        let position = entity.position(name);
        let field = position.and_then(|position| fields.get_mut(position));
        let field = field.filter(|field| field.name.ends_with("__c"));
        let Some(field) = field else {
            return Err(no_field(entity, name));
        };
        field.removed = true;
        let name = field.name.to_owned();
        self.describe_anew(entity, fields);
        self.tell(&SchemaChange::Removed {
            entity: entity.name.to_owned(),
            field: name,
        });
        drop(writer);
        Ok(())
    }

    /// Hides a field from whoever signs in, or shows it again: describe does not list it, a query
    /// or write that names it is refused, and change events leave it out though their schema still
    /// has it.
    ///
    /// # Errors
    /// An unknown object or field, or `Id`.
    pub fn hide_field(&self, entity: &str, name: &str, hidden: bool) -> Result<(), ApiError> {
        let writer = self.writer();
        let entity = self.known(entity)?;
        let mut fields = entity.fields.clone();
        let position = entity.position(name).filter(|position| *position > 0);
        let Some(field) = position.and_then(|position| fields.get_mut(position)) else {
            return Err(no_field(entity, name));
        };
        field.hidden = hidden;
        self.describe_anew(entity, fields);
        drop(writer);
        Ok(())
    }

    /// Lets a formula say something else, as it does when what it looks at has changed or a day has
    /// passed: the records' values move, their stamps do not, and no event is sent.
    ///
    /// # Errors
    /// An unknown object, no calculated field of it, an unknown record, or a value that does not
    /// fit.
    pub fn recalculate(&self, wanted: &Recalculation) -> Result<(), ApiError> {
        let mut writer = self.writer();
        let at = self.now_micros();
        let entity = self.known(&wanted.entity)?;
        let position = entity.position(&wanted.field);
        let field = position.and_then(|position| Some((position, entity.fields.get(position)?)));
        let Some((position, field)) = field.filter(|(_, field)| field.is_calculated()) else {
            return Err(no_field(entity, &wanted.field));
        };
        let written = {
            let state = self.state();
            let mut transaction = Transaction::new(&state, &mut writer, self.admin_id(), at);
            for (record_id, value) in &wanted.values {
                let cell = value::cell(entity, field, value)?;
                transaction.recalculate(entity, record_id, position, cell)?;
            }
            transaction.finish()
        };
        self.commit(&mut writer, at, self.admin_id(), "", written);
        Ok(())
    }

    /// Registers who is told of changes of the objects from now on, while writers wait.
    pub fn on_schema(&self, hook: SchemaHook) {
        let mut hooks = self
            .schema_hooks
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        hooks.push(hook);
    }

    fn known(&self, name: &str) -> Result<&'static Entity, ApiError> {
        self.entity(name).ok_or_else(|| {
            ApiError::new(
                "INVALID_TYPE",
                format!("sObject type '{name}' is not supported."),
            )
        })
    }

    pub(crate) fn describe_anew(&self, entity: &Entity, fields: Vec<Field>) {
        let next = entity.with_fields(fields);
        let now = self.now_micros();
        self.alter(|state| {
            state.described_at.insert(next.name, now);
            state.entities.insert(next.name, next);
            if let Some(table) = state.tables.get_mut(next.name) {
                table.adopt(next);
            }
        });
    }

    pub(crate) fn tell(&self, change: &SchemaChange) {
        let hooks = self
            .schema_hooks
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        hooks.iter().for_each(|hook| hook(change));
    }
}

fn no_field(entity: &Entity, name: &str) -> ApiError {
    ApiError::new(
        "INVALID_FIELD",
        format!(
            "{} has no field {name} with which this can be done",
            entity.name
        ),
    )
}

fn leaked(values: &[String]) -> &'static [&'static str] {
    let values = values.iter();
    Vec::leak(values.map(|value| &*String::leak(value.clone())).collect())
}

/// Names live as long as the process: descriptions are few, and records point to them.
fn field(wanted: &CustomField) -> Field {
    let kind = wanted.kind.field_type();
    let number = kind.is_number();
    let sized = matches!(
        kind,
        FieldType::Text
            | FieldType::TextArea
            | FieldType::Picklist
            | FieldType::MultiPicklist
            | FieldType::Email
            | FieldType::Phone
            | FieldType::Url
    );
    Field {
        name: String::leak(wanted.name.clone()),
        kind,
        length: if sized { wanted.length } else { 0 },
        precision: if number { wanted.precision } else { 0 },
        scale: if number { wanted.scale } else { 0 },
        required: false,
        createable: !wanted.calculated,
        updateable: !wanted.calculated,
        filterable: kind != FieldType::TextArea,
        compound: None,
        reference: None,
        default: (kind == FieldType::Boolean).then_some("false"),
        external_id: wanted.external_id,
        unique: wanted.unique,
        values: leaked(&wanted.values),
        hidden: false,
        removed: false,
    }
}
