//! Why a record is in scope in the end, or is not: the first reason that the rule's description gives.

use crate::filter::{Matcher, instant};
use crate::history::{Entity, Row};
use crate::ledger::Kind;
use crate::settings::{Settings, SettingsError};
use crate::timeline::{Timeline, entity_of};

/// Why a record is in scope, or is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It is.
    InScope,
    /// No commit ever told of it.
    NeverSeen,
    /// It was deleted.
    Deleted,
    /// The filter does not match the opportunity.
    Filtered,
    /// It is closed, and closed ones are not wanted.
    Closed,
    /// The owner is inactive and was given a permission set.
    OwnerInactive,
    /// The owner's assignments have all run out.
    Expired,
    /// The owner was given none.
    NoPermission,
    /// No opportunity in scope brings it.
    NothingBringsIt,
}

impl Timeline<'_> {
    /// Why a record is in scope at the moment `now`, up to which this was played, or is not.
    ///
    /// # Errors
    /// When the filter's logic cannot be read.
    pub fn reason(
        &self,
        settings: &Settings,
        now: i64,
        kind: Kind,
        id: &str,
    ) -> Result<Reason, SettingsError> {
        let entity = entity_of(kind);
        let Some(row) = self.row(entity, id) else {
            let mut told = self
                .history
                .moments()
                .iter()
                .flat_map(|moment| &moment.steps);
            let known = told.any(|step| step.entity == entity && &*step.id == id);
            return Ok(if known {
                Reason::Deleted
            } else {
                Reason::NeverSeen
            });
        };
        if self.in_scope(kind, id) {
            return Ok(Reason::InScope);
        }
        match kind {
            Kind::Opportunity => self.of_opportunity(settings, now, row),
            Kind::User => {
                let matcher = Matcher::new(&settings.filter)?;
                let owns = self.rows_of(Entity::Opportunity).any(|row| {
                    self.history.text(row, "OwnerId") == Some(id)
                        && matcher.matches(self.history, row)
                        && (settings.sync_closed || !self.history.flag(row, "IsClosed"))
                });
                Ok(if owns {
                    self.of_owner(settings, now, id)
                } else {
                    Reason::NothingBringsIt
                })
            }
            Kind::Company | Kind::Contact | Kind::ContactRole => Ok(Reason::NothingBringsIt),
        }
    }

    fn of_opportunity(
        &self,
        settings: &Settings,
        now: i64,
        row: &Row,
    ) -> Result<Reason, SettingsError> {
        if !Matcher::new(&settings.filter)?.matches(self.history, row) {
            return Ok(Reason::Filtered);
        }
        if !settings.sync_closed && self.history.flag(row, "IsClosed") {
            return Ok(Reason::Closed);
        }
        let owner = self.history.text(row, "OwnerId").unwrap_or_default();
        Ok(self.of_owner(settings, now, owner))
    }

    fn of_owner(&self, settings: &Settings, now: i64, owner: &str) -> Reason {
        let history = self.history;
        let wanted = |set: &str| {
            let row = self.row(Entity::PermissionSet, set);
            let name = row.and_then(|row| history.text(row, "Name"));
            name.is_some_and(|name| settings.permissions.sets.iter().any(|known| known == name))
        };
        let groups: Vec<&str> = self
            .rows_of(Entity::PermissionSetGroupComponent)
            .filter(|row| history.text(row, "PermissionSetId").is_some_and(wanted))
            .filter_map(|row| history.text(row, "PermissionSetGroupId"))
            .collect();
        let given: Vec<&Row> = self
            .rows_of(Entity::PermissionSetAssignment)
            .filter(|row| history.text(row, "AssigneeId") == Some(owner))
            .filter(|row| {
                let group = history.text(row, "PermissionSetGroupId");
                history.text(row, "PermissionSetId").is_some_and(wanted)
                    || group.is_some_and(|group| groups.contains(&group))
            })
            .collect();
        if given.is_empty() {
            return Reason::NoPermission;
        }
        let user = self.row(Entity::User, owner);
        if user.is_none_or(|row| !history.flag(row, "IsActive")) {
            return Reason::OwnerInactive;
        }
        let over = |row: &&Row| {
            let end = history.text(row, "ExpirationDate").and_then(instant);
            end.is_some_and(|end| end.as_microsecond() <= now)
        };
        if given.iter().all(over) {
            Reason::Expired
        } else {
            Reason::NoPermission
        }
    }
}
