//! Records that go, with what hangs on them, that come back, and that are merged into one.

use super::{Transaction, not_supported};
use crate::commit::ChangeKind;
use crate::derive;
use crate::error::ApiError;
use crate::record::{Cell, Record};
use crate::schema::Entity;

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

impl Transaction<'_> {
    pub(super) fn delete(
        &mut self,
        entity: &'static Entity,
        record_id: &str,
    ) -> Result<String, ApiError> {
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

    pub(super) fn undelete(
        &mut self,
        entity: &'static Entity,
        record_id: &str,
    ) -> Result<String, ApiError> {
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

    pub(super) fn merge(
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
}
