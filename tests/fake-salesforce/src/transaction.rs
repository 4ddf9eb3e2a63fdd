//! One transaction: steps staged over the committed records, with defaults, cascades and checks.
use std::collections::BTreeSet;

use serde_json::Value;

use crate::commit::{ChangeKind, Row, RowChange};
use crate::derive::{self, Draft, Stage};
use crate::dml::{Dml, DmlResult};
use crate::error::ApiError;
use crate::org::{State, Writer, Written};
use crate::record::{Cell, CellRef, Record};
use crate::schema::{self, Entity, Field};
use crate::setup::ADMINISTRATOR;
use crate::{id, time, value};

/// What hangs on a record and goes with it: object, its reference field, parent's object.
const CASCADES: [(&str, &str, &str); 7] = [
    ("Opportunity", "AccountId", "Account"),
    ("Contact", "AccountId", "Account"),
    ("OpportunityContactRole", "OpportunityId", "Opportunity"),
    (
        "PermissionSetGroupComponent",
        "PermissionSetGroupId",
        "PermissionSetGroup",
    ),
    (
        "PermissionSet",
        "PermissionSetGroupId",
        "PermissionSetGroup",
    ),
    (
        "PermissionSetGroupComponent",
        "PermissionSetId",
        "PermissionSet",
    ),
    ("UserPackageLicense", "PackageLicenseId", "PackageLicense"),
];

/// References that a merge moves from the losers to the winner.
const REPARENTED: [(&str, &str, &str); 5] = [
    ("Opportunity", "AccountId", "Account"),
    ("Contact", "AccountId", "Account"),
    ("Account", "ParentId", "Account"),
    ("OpportunityContactRole", "ContactId", "Contact"),
    ("Contact", "ReportsToId", "Contact"),
];

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

    // ---- insert

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

    fn check_unique(&self, record: &Record) -> Result<(), ApiError> {
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

    // ---- upsert

    /// Updates the record that has this external id, or makes one.
    fn upsert(
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
    fn related(
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

    // ---- update

    fn update(
        &mut self,
        entity: &'static Entity,
        record_id: &str,
        fields: &Row,
    ) -> Result<String, ApiError> {
        if !entity.can.update {
            return Err(not_supported(entity, "update"));
        }
        let before = self.alive(entity, record_id)?;
        let mut draft = self.draft(&before);
        let mut given = BTreeSet::new();
        for (name, value) in fields {
            if name.eq_ignore_ascii_case("Id") {
                continue;
            }
            let related = self.related(entity, name, value)?;
            let (name, value) = match &related {
                Some((name, value)) => (*name, value),
                None => (name.as_str(), value),
            };
            let Some((position, field)) = self.writable(entity, name, Field::changeable)? else {
                continue;
            };
            let cell = value::cell(entity, field, value)?;
            if field.required && cell.is_null() {
                return Err(ApiError {
                    code: "REQUIRED_FIELD_MISSING",
                    message: format!("Required fields are missing: [{}]", field.name),
                    fields: vec![field.name.to_owned()],
                });
            }
            if cell.view() != before.at(position) {
                self.check_reference(entity, field, &cell)?;
            }
            given.insert(field.name);
            draft.put(position, cell);
        }
        self.refuse_as_person(&before, &given)?;
        self.update_defaults(&before, &mut draft, &given);
        let after = draft.finish();
        self.check_unique(&after)?;
        self.change(&before, after.clone());
        match entity.name {
            "OpportunityContactRole" => self.only_primary(&after)?,
            "OpportunityStage" => self.retype(&before, &after),
            "Account" => self.tell_contact(&after),
            _ => {}
        }
        Ok(after.id().to_owned())
    }

    fn update_defaults(&self, before: &Record, draft: &mut Draft, given: &BTreeSet<&str>) {
        self.touch(draft);
        match draft.entity.name {
            "Contact" | "User" => derive::person_name(draft),
            "Account" if before.flag("IsPersonAccount") => derive::person_name(draft),
            "Opportunity" => {
                if draft.get("StageName").view() != before.cell("StageName") {
                    let stage = self.stage_of(draft.get("StageName").text().unwrap_or_default());
                    derive::from_stage(
                        draft,
                        &stage,
                        given.contains("ForecastCategoryName"),
                        given.contains("Probability"),
                    );
                    draft.set("LastStageChangeDate", Cell::from(self.stamp.as_str()));
                } else if given.contains("ForecastCategoryName") {
                    let name = draft.get("ForecastCategoryName").text().unwrap_or_default();
                    let category = derive::category_of(name);
                    draft.set("ForecastCategory", Cell::from(category));
                }
                if derive::pushed(before.cell("CloseDate"), draft.get("CloseDate").view())
                    && let Cell::Int(count) = *draft.get("PushCount")
                {
                    draft.set("PushCount", Cell::Int(count + 1));
                }
                derive::opportunity_sums(draft, self.fiscal_start());
            }
            _ => {}
        }
    }

    /// The stamps of a write.
    fn touch(&self, draft: &mut Draft) {
        draft.set("LastModifiedDate", Cell::from(self.stamp.as_str()));
        draft.set("SystemModstamp", Cell::from(self.stamp.as_str()));
        draft.set("LastModifiedById", Cell::from(self.user.as_str()));
    }

    /// Ticking `IsPrimary` on one role unticks it on the opportunity's others.
    fn only_primary(&mut self, role: &Record) -> Result<(), ApiError> {
        if !role.flag("IsPrimary") {
            return Ok(());
        }
        let opportunity = role.text("OpportunityId").unwrap_or_default();
        let others = self.children("OpportunityContactRole", "OpportunityId", opportunity);
        for other in others {
            if other.id() != role.id() && other.flag("IsPrimary") {
                self.set_fields(&other, &[("IsPrimary", Cell::Bool(false))]);
            }
        }
        Ok(())
    }

    /// A stage that now means something else turns its opportunities with it, unnoticed: no stamp
    /// moves and no event is sent.
    fn retype(&mut self, before: &Record, after: &Record) {
        let (old, new) = (Stage::of(before), Stage::of(after));
        let same_type = (old.closed, old.won, &old.category, &old.category_name)
            == (new.closed, new.won, &new.category, &new.category_name);
        if same_type {
            return;
        }
        let Some(label) = after.text("ApiName").map(str::to_owned) else {
            return;
        };
        let affected: Vec<Record> = self
            .all("Opportunity")
            .filter(|row| row.text("StageName") == Some(&label))
            .cloned()
            .collect();
        for old in affected {
            let mut draft = self.draft(&old);
            derive::from_stage(&mut draft, &new, false, true);
            self.turn_silently(old, draft.finish());
        }
    }

    /// A calculated field says something else of a record.
    pub(crate) fn recalculate(
        &mut self,
        entity: &'static Entity,
        record_id: &str,
        position: usize,
        cell: Cell,
    ) -> Result<(), ApiError> {
        let old = self.alive(entity, record_id)?;
        let mut draft = self.draft(&old);
        draft.put(position, cell);
        self.turn_silently(old, draft.finish());
        Ok(())
    }

    /// A record is another, and nobody has written it.
    fn turn_silently(&mut self, old: Record, turned: Record) {
        self.written.silent.push(RowChange {
            entity: turned.entity().name.to_owned(),
            id: old.id().to_owned(),
            kind: ChangeKind::Update,
            changed: differing(&old, &turned),
            before: Some(old),
            after: turned.clone(),
        });
        self.stage(turned.id().to_owned(), Some(turned));
    }

    // ---- delete and undelete

    fn delete(&mut self, entity: &'static Entity, record_id: &str) -> Result<String, ApiError> {
        if !entity.can.delete {
            return Err(not_supported(entity, "delete"));
        }
        let record = self.alive(entity, record_id)?;
        if matches!(entity.name, "PermissionSet" | "PermissionSetGroup")
            && self.is_assigned(&record)
        {
            return Err(ApiError::new(
                "DELETE_FAILED",
                "Your attempt to delete this permission set could not be completed because it is assigned to users.",
            ));
        }
        let mut gone = Vec::new();
        self.delete_tree(&record, None, &mut gone);
        gone.remove(0);
        self.writer.went_along.insert(record.id().to_owned(), gone);
        Ok(record.id().to_owned())
    }

    fn is_assigned(&self, record: &Record) -> bool {
        let field = if record.entity().name == "PermissionSet" {
            "PermissionSetId"
        } else {
            "PermissionSetGroupId"
        };
        !self
            .children("PermissionSetAssignment", field, record.id())
            .is_empty()
    }

    /// Deletes a record and then what hangs on it; `gone` collects the ids.
    fn delete_tree(&mut self, record: &Record, master: Option<&str>, gone: &mut Vec<String>) {
        let entity = record.entity();
        let record_id = record.id().to_owned();
        gone.push(record_id.clone());
        if entity.can.recycle_bin {
            let mut draft = self.draft(record);
            draft.set("IsDeleted", Cell::Bool(true));
            if let Some(master) = master {
                draft.set("MasterRecordId", Cell::from(master));
            }
            self.touch(&mut draft);
            self.stage(record_id.clone(), Some(draft.finish()));
        } else {
            self.stage(record_id.clone(), None);
        }
        self.push(
            ChangeKind::Delete,
            Some(record.clone()),
            record.clone(),
            Vec::new(),
        );
        for (child, field, parent) in CASCADES {
            if parent != entity.name {
                continue;
            }
            for child in self.children(child, field, &record_id) {
                self.delete_tree(&child, None, gone);
            }
        }
    }

    fn undelete(&mut self, entity: &'static Entity, record_id: &str) -> Result<String, ApiError> {
        if !entity.can.undelete {
            return Err(not_supported(entity, "undelete"));
        }
        let record = self.find(entity, record_id)?;
        if !record.flag("IsDeleted") {
            return Err(ApiError::new(
                "UNDELETE_FAILED",
                "Entity is not in the recycle bin",
            ));
        }
        self.restore(&record);
        let along = self
            .writer
            .went_along
            .remove(record.id())
            .unwrap_or_default();
        for child in along {
            if let Some(child) = self.current(&child).cloned()
                && child.flag("IsDeleted")
            {
                self.restore(&child);
            }
        }
        Ok(record.id().to_owned())
    }

    /// Takes one record out of the recycle bin. A parent that is still in there is let go of.
    fn restore(&mut self, record: &Record) {
        let mut draft = self.draft(record);
        draft.set("IsDeleted", Cell::Bool(false));
        draft.set("MasterRecordId", Cell::Null);
        let parent = draft.get("AccountId").text();
        let orphaned = parent
            .and_then(|parent| self.current(parent))
            .is_some_and(|parent| parent.flag("IsDeleted"));
        if orphaned {
            draft.set("AccountId", Cell::Null);
        }
        self.touch(&mut draft);
        let restored = draft.finish();
        self.stage(restored.id().to_owned(), Some(restored.clone()));
        self.push(
            ChangeKind::Undelete,
            Some(record.clone()),
            restored,
            Vec::new(),
        );
    }

    // ---- merge

    fn merge(
        &mut self,
        entity: &'static Entity,
        winner: &str,
        losers: &[String],
    ) -> Result<String, ApiError> {
        if !entity.can.merge {
            return Err(not_supported(entity, "merge"));
        }
        let winner = self.alive(entity, winner)?;
        if losers.is_empty() || losers.len() > 2 {
            return Err(ApiError::new(
                "INVALID_ARGUMENT",
                "merge takes one or two records to merge",
            ));
        }
        let mut loser_records = Vec::new();
        for loser in losers {
            let loser = self.alive(entity, loser)?;
            if loser.id() == winner.id() {
                return Err(ApiError::new(
                    "INVALID_ARGUMENT",
                    "a record cannot be merged into itself",
                ));
            }
            loser_records.push(loser);
        }
        let mut draft = self.draft(&winner);
        for (position, field) in entity.fields.iter().enumerate() {
            let empty = draft.cells.get(position).is_some_and(Cell::is_null);
            if !empty || !field.updateable || field.reference.is_some() {
                continue;
            }
            let taken = loser_records.iter().map(|loser| loser.at(position));
            if let Some(cell) = taken.into_iter().find(|cell| !cell.is_null()) {
                draft.put(position, cell.owned());
            }
        }
        if entity.name == "Contact" {
            derive::person_name(&mut draft);
        }
        self.touch(&mut draft);
        self.change(&winner, draft.finish());
        for loser in &loser_records {
            self.delete_merged(loser, winner.id());
        }
        Ok(winner.id().to_owned())
    }

    fn delete_merged(&mut self, loser: &Record, winner: &str) {
        let moved: Vec<(Record, &str)> = REPARENTED
            .iter()
            .filter(|(_, _, parent)| *parent == loser.entity().name)
            .flat_map(|(child, field, _)| {
                let children = self.children(child, field, loser.id());
                children.into_iter().map(move |child| (child, *field))
            })
            .collect();
        let mut draft = self.draft(loser);
        draft.set("IsDeleted", Cell::Bool(true));
        draft.set("MasterRecordId", Cell::from(winner));
        self.touch(&mut draft);
        self.stage(loser.id().to_owned(), Some(draft.finish()));
        self.push(
            ChangeKind::Delete,
            Some(loser.clone()),
            loser.clone(),
            Vec::new(),
        );
        for (child, field) in moved {
            // A winner that reported to the loser must not report to itself.
            let target = if child.id() == winner {
                Cell::Null
            } else {
                Cell::from(winner)
            };
            let Some(child) = self.current(child.id()).cloned() else {
                continue;
            };
            self.set_fields(&child, &[(field, target)]);
        }
    }

    // ---- shared

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
