//! A record as Salesforce returned it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::id::SalesforceId;

/// A record's JSON object, byte for byte as Salesforce sent it. Workers pass it on without writing
/// it anew; who needs a field looks into it with [`Row::fields`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Row(Box<RawValue>);

/// The row is not a JSON object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a record that Salesforce returned is not a JSON object; nothing can be read from it")]
pub struct NotAnObject;

impl Row {
    /// Wraps a JSON value.
    #[must_use]
    pub const fn new(raw: Box<RawValue>) -> Self {
        Self(raw)
    }

    /// Writes an object as a row; for adapters that do not receive JSON text, and for tests.
    ///
    /// # Errors
    /// When the value cannot be written as JSON.
    pub fn of<T: Serialize>(value: &T) -> Result<Self, serde_json::Error> {
        serde_json::value::to_raw_value(value).map(Self)
    }

    /// The JSON text.
    #[must_use]
    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// Opens the object, without reading any value yet.
    ///
    /// # Errors
    /// [`NotAnObject`] when it is something else.
    pub fn fields(&self) -> Result<Fields<'_>, NotAnObject> {
        serde_json::from_str(self.0.get())
            .map(Fields)
            .map_err(|_not_json| NotAnObject)
    }
}

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

/// The values of a row by field name. Parent fields are asked for as `Owner.IsActive`.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Fields<'row>(#[serde(borrow)] BTreeMap<Cow<'row, str>, &'row RawValue>);

impl<'row> Fields<'row> {
    /// The JSON text of a field: `None` when the row does not have it, `Some("null")` when empty.
    #[must_use]
    pub fn raw(&self, field: &str) -> Option<Cow<'row, str>> {
        if let Some(value) = self.0.get(field) {
            return Some(Cow::Borrowed(value.get()));
        }
        let (parent, rest) = field.split_once('.')?;
        let value = self.0.get(parent)?;
        if value.get() == "null" {
            return Some(Cow::Borrowed("null"));
        }
        let inner: Fields<'_> = serde_json::from_str(value.get()).ok()?;
        inner.raw(rest).map(|text| Cow::Owned(text.into_owned()))
    }

    /// A field's text; `None` when absent, empty, or not a text.
    #[must_use]
    pub fn text(&self, field: &str) -> Option<String> {
        serde_json::from_str::<Option<String>>(&self.raw(field)?)
            .ok()
            .flatten()
    }

    /// A field's id; `None` when absent, empty, or no id.
    #[must_use]
    pub fn id(&self, field: &str) -> Option<SalesforceId> {
        SalesforceId::parse(&self.text(field)?).ok()
    }

    /// A checkbox; Salesforce has no empty ones, so what is absent is false.
    #[must_use]
    pub fn flag(&self, field: &str) -> bool {
        self.raw(field).is_some_and(|text| text == "true")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_in_the_row_and_its_parents() {
        let row = Row::new(RawValue::from_string(r#"{"Id":"006000000000001AAA","Name":"A \"b\" é","IsClosed":false,"Amount":1.5E3,"Owner":{"IsActive":true,"Profile":null}}"#.to_owned()).unwrap());
        let fields = row.fields().unwrap();
        assert_eq!(fields.id("Id").unwrap().as_str(), "006000000000001AAA");
        assert_eq!(fields.text("Name").as_deref(), Some("A \"b\" é"));
        assert_eq!(fields.raw("Amount").as_deref(), Some("1.5E3"));
        assert!(fields.flag("Owner.IsActive"));
        assert_eq!(fields.raw("Owner.Profile.Name").as_deref(), Some("null"));
        assert_eq!(fields.raw("Missing"), None);
        assert!(!fields.flag("IsClosed"));
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        assert_eq!(
            Row::new(RawValue::from_string("[1]".to_owned()).unwrap())
                .fields()
                .err(),
            Some(NotAnObject)
        );
    }
}
