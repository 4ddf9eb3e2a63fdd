//! Person accounts: an account that is a person, with a contact of its own that follows it.
use std::collections::BTreeSet;

use serde_json::Value;

use crate::commit::Row;
use crate::derive::{self, Draft};
use crate::error::ApiError;
use crate::org::Org;
use crate::record::{Cell, Record};
use crate::schema;
use crate::setup_fields::SchemaChange;
use crate::transaction::Transaction;

/// What an account has beyond a business account's fields, by the schema table's rules, and what
/// change events call its type. The parts of the name are in the event's `Name`.
const ON_ACCOUNT: [(&str, Option<&str>); 11] = [
    ("LastName string(80) @Name", None),
    ("FirstName string(40) @Name", None),
    ("Salutation picklist(40) @Name", None),
    ("IsPersonAccount boolean ro =false", None),
    (
        "PersonContactId ref(Contact,PersonContact) ro",
        Some("EntityId"),
    ),
    ("PersonMobilePhone phone(40)", Some("Phone")),
    ("PersonHomePhone phone(40)", Some("Phone")),
    ("PersonEmail email(80)", Some("Email")),
    ("PersonTitle string(80)", Some("Text")),
    ("PersonDepartment string(80)", Some("Text")),
    ("PersonBirthdate date", Some("DateOnly")),
];

/// A contact says whose it is.
const ON_CONTACT: [(&str, Option<&str>); 1] =
    [("IsPersonAccount boolean ro =false", Some("Boolean"))];

/// A person account's field and its contact's.
const MIRRORED: [(&str, &str); 11] = [
    ("LastName", "LastName"),
    ("FirstName", "FirstName"),
    ("Salutation", "Salutation"),
    ("Phone", "Phone"),
    ("OwnerId", "OwnerId"),
    ("PersonMobilePhone", "MobilePhone"),
    ("PersonHomePhone", "HomePhone"),
    ("PersonEmail", "Email"),
    ("PersonTitle", "Title"),
    ("PersonDepartment", "Department"),
    ("PersonBirthdate", "Birthdate"),
];

impl Org {
    /// Turns person accounts on, which Salesforce never turns off again: accounts and contacts have
    /// their fields, and an account that is inserted with a `LastName` is a person.
    pub fn enable_person_accounts(&self) {
        let writer = self.writer();
        for (object, added) in [("Account", &ON_ACCOUNT[..]), ("Contact", &ON_CONTACT[..])] {
            let Some(entity) = self.entity(object) else {
                continue;
            };
            if entity.position("IsPersonAccount").is_some() {
                continue;
            }
            let mut fields = entity.fields.clone();
            fields.extend(added.iter().map(|(line, _)| schema::field_line(line)));
            self.describe_anew(entity, fields);
            for (line, event_type) in added {
                let field = schema::field_line(line).name;
                if let Some(event_type) = event_type {
                    self.tell(&SchemaChange::Added {
                        entity: object.to_owned(),
                        field: field.to_owned(),
                        event_type,
                    });
                }
            }
        }
        drop(writer);
    }
}

impl Transaction<'_> {
    /// An account with a last name is a person: it is called like one, and has a contact.
    pub(crate) fn person_begun(
        &mut self,
        draft: &mut Draft,
        given: &BTreeSet<&str>,
    ) -> Result<(), ApiError> {
        if draft.get("LastName").is_null() {
            return Ok(());
        }
        if given.contains("Name") && !self.trusted {
            return Err(bad_field("Name"));
        }
        draft.set("IsPersonAccount", Cell::Bool(true));
        derive::person_name(draft);
        if let Some(contact) = schema::entity("Contact") {
            let id = self.writer.mint(contact);
            draft.set_if_null("PersonContactId", Cell::from(id.as_str()));
        }
        Ok(())
    }

    /// The contact that a person account comes with.
    pub(crate) fn contact_of_person(&mut self, account: &Record) -> Result<(), ApiError> {
        let Some(contact) = contact(account) else {
            return Ok(());
        };
        if self.current(&contact).is_some() {
            return Ok(());
        }
        let mut fields = Row::new();
        fields.insert("Id".to_owned(), contact.into());
        fields.insert("AccountId".to_owned(), account.id().into());
        fields.insert("IsPersonAccount".to_owned(), Value::Bool(true));
        for (from, to) in MIRRORED {
            fields.insert(to.to_owned(), account.get(from));
        }
        self.insert_by_system("Contact", &fields)
    }

    /// The contact follows its person.
    pub(crate) fn tell_contact(&mut self, account: &Record) {
        let contact = contact(account).and_then(|id| self.current(&id).cloned());
        let Some(contact) = contact else { return };
        let differs = |(from, to): &&(&str, &'static str)| account.cell(from) != contact.cell(to);
        let changed: Vec<(&str, Cell)> = MIRRORED
            .iter()
            .filter(differs)
            .map(|(from, to)| (*to, account.cell(from).owned()))
            .collect();
        if changed.is_empty() {
            return;
        }
        let mut fields = changed;
        let part = |field: &str| account.text(field).unwrap_or_default().to_owned();
        let name = format!("{} {}", part("FirstName"), part("LastName"));
        fields.push(("Name", Cell::from(name.trim())));
        self.set_fields(&contact, &fields);
    }

    /// A person is written through the account, by the parts of the name; a business account has
    /// no such parts.
    pub(crate) fn refuse_as_person(
        &self,
        before: &Record,
        given: &BTreeSet<&str>,
    ) -> Result<(), ApiError> {
        let person = before.flag("IsPersonAccount");
        let bad = match before.entity().name {
            "Contact" if person => given.iter().next().copied(),
            "Account" if person => given.get("Name").copied(),
            "Account" => ["LastName", "FirstName", "Salutation"]
                .into_iter()
                .find(|field| given.contains(field)),
            _ => None,
        };
        match bad {
            Some(field) if !self.trusted => Err(bad_field(field)),
            _ => Ok(()),
        }
    }
}

fn contact(account: &Record) -> Option<String> {
    account.text("PersonContactId").map(str::to_owned)
}

fn bad_field(field: &str) -> ApiError {
    ApiError::on_field(
        "INVALID_FIELD_FOR_INSERT_UPDATE",
        format!("bad field names on insert/update call: {field}"),
        field,
    )
}
