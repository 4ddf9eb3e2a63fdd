//! Why a record is in mOS in the end, or is not: the first reason that the rule's description gives.

use std::collections::{BTreeMap, BTreeSet};

use crate::filter::{Matcher, Today, instant};
use crate::history::{Entity, Row};
use crate::ledger::{Kind, MosLedger, MosState, Outcome};
use crate::settings::{Settings, SettingsError};
use crate::timeline::{Timeline, entity_of};

/// Why a record is in mOS, or is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// In scope, and mOS holds it as it is.
    Current,
    /// In scope, and mOS does not hold it as it is.
    Behind,
    /// As [`Self::Behind`], while the synchronisation is switched off.
    Disabled,
    /// In scope, and the last that mOS said of it was a rejection.
    Rejected,
    /// No commit ever told of it.
    NeverSeen,
    /// It was deleted.
    Deleted,
    /// The filter does not match the opportunity.
    Filtered,
    /// The opportunity is closed, and closed ones are not wanted.
    Closed,
    /// As [`Self::Closed`], and mOS has been told.
    LastWord,
    /// The owner is inactive and was given a permission set.
    OwnerInactive,
    /// The owner was given one, and that has run out.
    Expired,
    /// The owner was given one, and it is revoked, or waits for a session that activates it.
    NotInForce,
    /// The owner was given none.
    NoPermission,
    /// No opportunity refers to it.
    NoOpportunity,
    /// Opportunities refer to it, and none of them would be wanted of any owner.
    NoneWanted,
    /// Opportunities that would be wanted refer to it, and none of their owners has permission.
    NobodyPermitted,
    /// Of an object that is not synchronised.
    OtherObject,
}

/// The reasons at the end of a history.
#[derive(Debug)]
pub struct Reasons<'t, 'h> {
    timeline: &'t Timeline<'h>,
    settings: &'t Settings,
    disabled: bool,
    now: i64,
    matcher: Matcher<'t>,
    today: Today,
    mos: &'t MosState,
    /// In scope, and not in mOS as they are.
    behind: BTreeSet<(Kind, String)>,
    /// What mOS said of each record last.
    last: BTreeMap<(Kind, String), Outcome>,
}

impl<'h> Timeline<'h> {
    /// The reasons at the moment `now`, up to which this was played under settings that are not
    /// disabled; `disabled` says whether they are.
    ///
    /// # Errors
    /// When the filter's logic cannot be read.
    pub fn reasons<'t>(
        &'t self,
        (settings, disabled): (&'t Settings, bool),
        now: i64,
        mos: &'t MosState,
        ledger: &MosLedger,
    ) -> Result<Reasons<'t, 'h>, SettingsError> {
        let matcher = Matcher::new(settings)?;
        let today = matcher.today(matcher.day_at(now));
        let audit = self.audit(|kind, id| mos.get(kind, id).map(|record| record.fields.clone()));
        let stale = audit.stale.into_iter().map(|mismatch| mismatch.record);
        let behind = audit.missing.into_iter().chain(stale);
        let mut entries: Vec<_> = ledger.entries.iter().collect();
        entries.sort_by_key(|entry| entry.at_micros);
        let said = entries.into_iter().flat_map(|entry| &entry.records);
        let last = said.filter_map(|record| {
            let key = (Kind::named(&record.kind)?, record.external_id.clone());
            Some((key, record.outcome?))
        });
        Ok(Reasons {
            timeline: self,
            settings,
            disabled,
            now,
            matcher,
            today,
            mos,
            behind: behind.map(|record| (record.kind, record.id)).collect(),
            last: last.collect(),
        })
    }
}

impl Reasons<'_, '_> {
    /// Of a record; `None` for the type is one of another object.
    #[must_use]
    pub fn of(&self, kind: Option<Kind>, id: &str) -> Reason {
        let Some(kind) = kind else {
            return Reason::OtherObject;
        };
        let entity = entity_of(kind);
        let Some(row) = self.timeline.row(entity, id) else {
            let moments = self.timeline.history.moments().iter();
            let mut told = moments.flat_map(|moment| &moment.steps);
            let known = told.any(|step| step.entity == entity && &*step.id == id);
            return if known {
                Reason::Deleted
            } else {
                Reason::NeverSeen
            };
        };
        if self.timeline.in_scope(kind, id) {
            return self.in_scope(kind, id);
        }
        match kind {
            Kind::Opportunity => self.of_opportunity(row, id),
            Kind::ContactRole => {
                let of = self.text(row, "OpportunityId");
                let of = of.and_then(|of| self.timeline.row(Entity::Opportunity, of));
                // A role has no last word of its own.
                of.map_or(Reason::NoOpportunity, |row| self.of_opportunity(row, ""))
            }
            Kind::User => self.companion(self.referring("OwnerId", id), Some(id)),
            Kind::Company => self.companion(self.referring("AccountId", id), None),
            Kind::Contact => {
                let roles = self.timeline.rows_of(Entity::OpportunityContactRole);
                let of = roles
                    .filter(|role| self.text(role, "ContactId") == Some(id))
                    .filter_map(|role| self.text(role, "OpportunityId"))
                    .filter_map(|of| self.timeline.row(Entity::Opportunity, of));
                self.companion(of.collect(), None)
            }
        }
    }

    fn in_scope(&self, kind: Kind, id: &str) -> Reason {
        let key = (kind, id.to_owned());
        let rejected = self.last.get(&key) == Some(&Outcome::Rejected);
        let behind = rejected || self.behind.contains(&key);
        match (behind, self.disabled, rejected) {
            (false, _, _) => Reason::Current,
            (true, true, _) => Reason::Disabled,
            (true, false, true) => Reason::Rejected,
            (true, false, false) => Reason::Behind,
        }
    }

    fn of_opportunity(&self, row: &Row, id: &str) -> Reason {
        if !self.matches(row) {
            return Reason::Filtered;
        }
        if self.is_too_closed(row) {
            let held = self.mos.get(Kind::Opportunity, id);
            let told = held.and_then(|record| record.fields.get("is_closed")?.as_bool());
            return if told == Some(true) {
                Reason::LastWord
            } else {
                Reason::Closed
            };
        }
        self.of_owner(self.text(row, "OwnerId").unwrap_or_default())
    }

    /// What opportunities bring; `user` is who owns them all, if one does.
    fn companion(&self, opportunities: Vec<&Row>, user: Option<&str>) -> Reason {
        let mut wanted = opportunities
            .iter()
            .filter(|row| self.matches(row) && !self.is_too_closed(row));
        if opportunities.is_empty() {
            Reason::NoOpportunity
        } else if wanted.next().is_none() {
            Reason::NoneWanted
        } else {
            user.map_or(Reason::NobodyPermitted, |user| self.of_owner(user))
        }
    }

    fn of_owner(&self, owner: &str) -> Reason {
        let rows = self.timeline.rows_of(Entity::PermissionSetAssignment);
        let given: Vec<&Row> = rows
            .filter(|row| self.text(row, "AssigneeId") == Some(owner) && self.is_of_mos(row))
            .collect();
        let user = self.timeline.row(Entity::User, owner);
        let active = user.is_some_and(|row| self.flag(row, "IsActive"));
        if given.is_empty() {
            Reason::NoPermission
        } else if !active {
            Reason::OwnerInactive
        } else if given.iter().any(|row| !self.is_barred(row)) {
            Reason::Expired
        } else {
            Reason::NotInForce
        }
    }

    /// Whether an assignment gives one of the permission sets, in force or not.
    fn is_of_mos(&self, assignment: &Row) -> bool {
        let set = self.text(assignment, "PermissionSetId");
        let group = self.text(assignment, "PermissionSetGroupId");
        let is_member = |component: &&Row| {
            self.text(component, "PermissionSetGroupId") == group
                && self
                    .text(component, "PermissionSetId")
                    .is_some_and(|set| self.is_set(set))
        };
        let mut components = self.timeline.rows_of(Entity::PermissionSetGroupComponent);
        set.is_some_and(|set| self.is_set(set))
            || (group.is_some() && components.any(|component| is_member(&component)))
    }

    fn is_set(&self, id: &str) -> bool {
        let row = self.timeline.row(Entity::PermissionSet, id);
        let name = row.and_then(|row| self.text(row, "Name"));
        let sets = &self.settings.permissions.sets;
        name.is_some_and(|name| sets.iter().any(|set| set == name))
    }

    /// Revoked, of a set that a session has to activate, or not run out yet: then something else
    /// must be wrong with it.
    fn is_barred(&self, assignment: &Row) -> bool {
        let set = self.text(assignment, "PermissionSetId");
        let set = set.and_then(|set| self.timeline.row(Entity::PermissionSet, set));
        let end = self.text(assignment, "ExpirationDate").and_then(instant);
        self.flag(assignment, "IsRevoked")
            || set.is_some_and(|set| self.flag(set, "HasActivationRequired"))
            || end.is_none_or(|end| end.as_microsecond() > self.now)
    }

    fn referring(&self, field: &str, id: &str) -> Vec<&Row> {
        let rows = self.timeline.rows_of(Entity::Opportunity);
        rows.filter(|row| self.text(row, field) == Some(id))
            .collect()
    }

    fn matches(&self, opportunity: &Row) -> bool {
        let history = self.timeline.history;
        self.matcher.matches(&self.today, history, opportunity)
    }

    fn is_too_closed(&self, opportunity: &Row) -> bool {
        !self.settings.sync_closed && self.flag(opportunity, "IsClosed")
    }

    fn text<'r>(&self, row: &'r Row, field: &str) -> Option<&'r str> {
        self.timeline.history.text(row, field)
    }

    fn flag(&self, row: &Row, field: &str) -> bool {
        self.timeline.history.flag(row, field)
    }
}
