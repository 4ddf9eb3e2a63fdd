//! New records, with their defaults and what is made along with them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Transaction, ambiguous, not_supported, row, text_of};
use crate::commit::{ChangeKind, Row};
use crate::derive::{self, Draft};
use crate::error::ApiError;
use crate::record::{Cell, Record};
use crate::schema::{Entity, Field};
use crate::setup::ADMINISTRATOR;
use crate::value;

impl Transaction<'_> {
    /// A new record; the answer is its id.
    pub(crate) fn insert(
        &mut self,
        entity: &'static Entity,
        fields: &Row,
    ) -> Result<String, ApiError> {
        // Loaders name the objects of the table; the org may describe them anew.
        let entity = self.state.entity(entity.name).unwrap_or(entity);
        if !entity.can.create && !self.trusted {
            return Err(not_supported(entity, "create"));
        }
        let mut draft = Draft {
            entity,
            cells: vec![Cell::Null; entity.fields.len()],
        };
        let mut given = BTreeSet::new();
        for (name, value) in fields {
            let related = self.related(entity, name, value)?;
            let (name, value) = match &related {
                Some((name, value)) => (*name, value),
                None => (name.as_str(), value),
            };
            let Some((position, field)) = self.writable(entity, name, Field::creatable)? else {
                continue;
            };
            let cell = value::cell(entity, field, value)?;
            self.check_reference(entity, field, &cell)?;
            // An empty value on insert lets the default stand, except where null was the wish.
            if !cell.is_null() {
                given.insert(field.name);
            }
            draft.put(position, cell);
        }
        for (position, field) in entity.fields.iter().enumerate() {
            if let Some(default) = field.default
                && draft.cells.get(position).is_some_and(Cell::is_null)
            {
                draft.put(position, value::cell(entity, field, &default.into())?);
            }
        }
        self.insert_defaults(&mut draft, &given)?;
        let missing: Vec<&str> = entity
            .fields
            .iter()
            .zip(&draft.cells)
            .filter(|(field, cell)| field.required && cell.is_null())
            .map(|(field, _)| field.name)
            .collect();
        if !missing.is_empty() {
            return Err(ApiError {
                code: "REQUIRED_FIELD_MISSING",
                message: format!("Required fields are missing: [{}]", missing.join(", ")),
                fields: missing.into_iter().map(str::to_owned).collect(),
            });
        }
        let record_id = match draft.get("Id").text() {
            Some(record_id) => record_id.to_owned(),
            None => self.writer.mint(entity),
        };
        if self.current(&record_id).is_some() {
            return Err(ApiError::on_field(
                "DUPLICATE_VALUE",
                format!(
                    "duplicate value found: Id duplicates value on record with id: {record_id}"
                ),
                "Id",
            ));
        }
        draft.set("Id", Cell::from(record_id.as_str()));
        let record = draft.finish();
        self.check_unique(&record)?;
        self.stage(record_id.clone(), Some(record.clone()));
        self.push(ChangeKind::Create, None, record.clone(), Vec::new());
        self.after_insert(&record)?;
        Ok(record_id)
    }

    fn insert_defaults(
        &mut self,
        draft: &mut Draft,
        given: &BTreeSet<&str>,
    ) -> Result<(), ApiError> {
        let (stamp, user) = (
            Cell::from(self.stamp.as_str()),
            Cell::from(self.user.as_str()),
        );
        draft.set_if_null("CreatedDate", stamp.clone());
        draft.set_if_null("CreatedById", user.clone());
        let created = draft.get("CreatedDate").clone();
        let modified = if given.contains("SystemModstamp") {
            draft.get("SystemModstamp").clone()
        } else if given.contains("CreatedDate") {
            created
        } else {
            stamp
        };
        draft.set_if_null("SystemModstamp", modified.clone());
        draft.set_if_null("LastModifiedDate", modified.clone());
        draft.set_if_null("LastModifiedById", user.clone());
        draft.set_if_null("OwnerId", user);
        match draft.entity.name {
            "Contact" | "User" => derive::person_name(draft),
            "Account" => self.person_begun(draft, given)?,
            "Opportunity" => {
                let stage = self.stage_of(draft.get("StageName").text().unwrap_or_default());
                let category = given.contains("ForecastCategoryName");
                let (closed, won) = (draft.get("IsClosed").clone(), draft.get("IsWon").clone());
                derive::from_stage(draft, &stage, category, given.contains("Probability"));
                if self.trusted && given.contains("IsClosed") {
                    draft.set("IsClosed", closed);
                    draft.set("IsWon", won);
                }
                draft.set_if_null("PushCount", Cell::Int(0));
                draft.set_if_null("LastStageChangeDate", modified);
                derive::opportunity_sums(draft, self.fiscal_start());
            }
            "PermissionSet" => {
                let name = draft.get("Name").clone();
                draft.set_if_null("Label", name);
            }
            "PermissionSetGroup" => {
                let name = draft.get("DeveloperName").clone();
                draft.set_if_null("MasterLabel", name);
            }
            "PermissionSetLicense" => {
                let name = draft.get("DeveloperName").clone();
                draft.set_if_null("MasterLabel", name);
            }
            "PermissionSetAssignment" => self.assignment_target(draft)?,
            _ => {}
        }
        if draft.entity.name == "User" {
            let profile = self
                .all("Profile")
                .find(|profile| profile.text("Name") == Some("Standard User"))
                .map(|profile| Cell::from(profile.id()));
            draft.set_if_null("ProfileId", profile.unwrap_or_default());
            let alias: String = draft
                .get("LastName")
                .text()
                .unwrap_or_default()
                .chars()
                .take(8)
                .collect();
            draft.set_if_null("Alias", Cell::from(alias.as_str()));
        }
        Ok(())
    }

    /// An assignment of a group carries the group's own set.
    fn assignment_target(&mut self, draft: &mut Draft) -> Result<(), ApiError> {
        if let Some(group) = draft.get("PermissionSetGroupId").text() {
            let aggregate = self
                .children("PermissionSet", "PermissionSetGroupId", group)
                .into_iter()
                .next();
            let aggregate = aggregate
                .map(|set| Cell::from(set.id()))
                .unwrap_or_default();
            draft.set("PermissionSetId", aggregate);
        }
        if draft.get("PermissionSetId").is_null() {
            return Err(ApiError::on_field(
                "REQUIRED_FIELD_MISSING",
                "Required fields are missing: [PermissionSetId]",
                "PermissionSetId",
            ));
        }
        Ok(())
    }

    fn after_insert(&mut self, record: &Record) -> Result<(), ApiError> {
        match record.entity().name {
            "OpportunityContactRole" if !self.trusted => self.only_primary(record),
            "Account" => self.contact_of_person(record),
            "Profile" => {
                // Administrators see and change everything; everybody else needs more than a profile.
                let all_data = (record.text("Name") == Some(ADMINISTRATOR)).to_string();
                let set = row([
                    ("Name", format!("X{}", record.id())),
                    ("Label", record.id().to_owned()),
                    ("ProfileId", record.id().to_owned()),
                    ("IsOwnedByProfile", "true".to_owned()),
                    ("IsCustom", "false".to_owned()),
                    ("Type", "Profile".to_owned()),
                    ("PermissionsViewAllData", all_data.clone()),
                    ("PermissionsModifyAllData", all_data.clone()),
                    ("PermissionsViewAllUsers", all_data),
                ]);
                self.insert_by_system("PermissionSet", &set)
            }
            "PermissionSetGroup" => {
                let set = row([
                    ("Name", format!("X{}", record.id())),
                    (
                        "Label",
                        record.text("MasterLabel").unwrap_or_default().to_owned(),
                    ),
                    ("PermissionSetGroupId", record.id().to_owned()),
                    ("Type", "Group".to_owned()),
                ]);
                self.insert_by_system("PermissionSet", &set)
            }
            "User" => {
                let profile = record.text("ProfileId").unwrap_or_default();
                let owned = self
                    .children("PermissionSet", "ProfileId", profile)
                    .into_iter()
                    .find(|set| set.flag("IsOwnedByProfile"));
                let login = row([("UserId", record.id().to_owned())]);
                self.insert_by_system("UserLogin", &login)?;
                let Some(owned) = owned else { return Ok(()) };
                let assignment = row([
                    ("AssigneeId", record.id().to_owned()),
                    ("PermissionSetId", owned.id().to_owned()),
                ]);
                self.insert_by_system("PermissionSetAssignment", &assignment)
            }
            _ => Ok(()),
        }
    }

    /// A record that the system makes, read-only fields included.
    pub(crate) fn insert_by_system(&mut self, entity: &str, fields: &Row) -> Result<(), ApiError> {
        let entity = self.entity(entity)?;
        let trusted = std::mem::replace(&mut self.trusted, true);
        let done = self.insert(entity, fields);
        self.trusted = trusted;
        done.map(|_| ())
    }

    pub(super) fn check_unique(&self, record: &Record) -> Result<(), ApiError> {
        match record.entity().name {
            "User" => {
                let name = record.text("Username").unwrap_or_default();
                let taken = self.all("User").any(|other| {
                    other.id() != record.id()
                        && other
                            .text("Username")
                            .is_some_and(|other| other.eq_ignore_ascii_case(name))
                });
                if taken {
                    return Err(ApiError::on_field(
                        "DUPLICATE_USERNAME",
                        "Duplicate Username. The username already exists in this or another Salesforce organization.",
                        "Username",
                    ));
                }
            }
            "PermissionSetAssignment" => {
                let assignee = record.text("AssigneeId").unwrap_or_default();
                let twin = self
                    .children("PermissionSetAssignment", "AssigneeId", assignee)
                    .into_iter()
                    .find(|other| {
                        other.id() != record.id()
                            && other.text("PermissionSetId") == record.text("PermissionSetId")
                    });
                if let Some(twin) = twin {
                    return Err(ApiError::on_field(
                        "DUPLICATE_VALUE",
                        format!(
                            "Duplicate PermissionSetAssignment. Assignee: {assignee}; existing record: {}",
                            twin.id()
                        ),
                        "PermissionSetId",
                    ));
                }
            }
            _ => {}
        }
        self.check_custom_unique(record)
    }

    fn check_custom_unique(&self, record: &Record) -> Result<(), ApiError> {
        let entity = record.entity();
        let unique = entity.fields.iter().enumerate();
        let unique = unique.filter(|(_, field)| field.unique && field.name.ends_with("__c"));
        for (position, field) in unique {
            let cell = record.at(position);
            if cell.is_null() {
                continue;
            }
            let twin = self.by_external(entity, position, &text_of(cell));
            let twin = twin.into_iter().find(|other| other.id() != record.id());
            if let Some(twin) = twin {
                return Err(ApiError::on_field(
                    "DUPLICATE_VALUE",
                    format!(
                        "duplicate value found: {} duplicates value on record with id: {}",
                        field.name,
                        twin.id()
                    ),
                    field.name,
                ));
            }
        }
        Ok(())
    }

    /// The records, not deleted, with this value of an external id or unique field.
    fn by_external(&self, entity: &Entity, position: usize, value: &str) -> Vec<Record> {
        let table = self.state.table(entity.name);
        let committed = table
            .map(|table| table.external(position, value))
            .unwrap_or_default()
            .into_iter()
            .filter(|record| !self.written.records.contains_key(record.id()));
        let staged = self.of_object(entity.name).filter(|record| {
            let cell = record.at(position);
            !cell.is_null() && text_of(cell).to_lowercase() == value.to_lowercase()
        });
        committed
            .chain(staged)
            .filter(|record| !record.flag("IsDeleted"))
            .cloned()
            .collect()
    }

    /// Updates the record that has this external id, or makes one.
    pub(super) fn upsert(
        &mut self,
        entity: &'static Entity,
        field: &str,
        value: &Value,
        fields: &Row,
    ) -> Result<(String, bool), ApiError> {
        let found = entity.visible(field).filter(|(_, field)| field.external_id);
        let Some((position, external)) = found else {
            return Err(ApiError::new(
                "NOT_FOUND",
                format!("Provided external ID field does not exist or is not accessible: {field}"),
            ));
        };
        let cell = value::cell(entity, external, value)?;
        if cell.is_null() {
            return Err(ApiError::on_field(
                "MISSING_ARGUMENT",
                format!("{} not specified", external.name),
                external.name,
            ));
        }
        let mut fields = fields.clone();
        fields.retain(|name, _| !name.eq_ignore_ascii_case(external.name));
        let found = self.by_external(entity, position, &text_of(cell.view()));
        match found.as_slice() {
            [] => {
                fields.insert(external.name.to_owned(), value.clone());
                Ok((self.insert(entity, &fields)?, true))
            }
            [one] => Ok((self.update(entity, one.id(), &fields)?, false)),
            several => Err(ambiguous(external, several)),
        }
    }

    /// The reference field and the id that `"Account": {"Erp__c": "A-1"}` stands for: that of the
    /// record with this external id. `None` of what refers to nothing in this way.
    pub(super) fn related(
        &self,
        entity: &'static Entity,
        name: &str,
        value: &Value,
    ) -> Result<Option<(&'static str, Value)>, ApiError> {
        let Some(given) = value.as_object() else {
            return Ok(None);
        };
        let Some((reference, target)) = entity.relationship(name) else {
            return Ok(None);
        };
        let mut keys = given.iter().filter(|(key, _)| *key != "attributes");
        let (Some(reference), Some((key, value)), None) =
            (entity.fields.get(reference), keys.next(), keys.next())
        else {
            return Ok(None);
        };
        let target = self.entity(target)?;
        let external = target
            .visible(key)
            .filter(|(_, field)| field.external_id || field.name == "Username");
        let Some((position, external)) = external else {
            return Err(ApiError::new(
                "INVALID_FIELD",
                format!(
                    "Field name provided, {key} does not match an External ID for {}",
                    target.name
                ),
            ));
        };
        let cell = value::cell(target, external, value)?;
        let found = self.by_external(target, position, &text_of(cell.view()));
        match found.as_slice() {
            [one] => Ok(Some((reference.name, one.id().into()))),
            [] => Err(ApiError::new(
                "INVALID_FIELD",
                format!(
                    "Foreign key external ID: {} not found for field {} in entity {}",
                    text_of(cell.view()).to_lowercase(),
                    external.name,
                    target.name
                ),
            )),
            several => Err(ambiguous(external, several)),
        }
    }
}
