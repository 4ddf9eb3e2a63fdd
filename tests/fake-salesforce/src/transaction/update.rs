//! Changed records, with what follows from the change.

use std::collections::BTreeSet;

use super::{Transaction, differing, not_supported};
use crate::commit::{ChangeKind, Row, RowChange};
use crate::derive::{self, Draft, Stage};
use crate::error::ApiError;
use crate::record::{Cell, Record};
use crate::schema::{Entity, Field};
use crate::value;

impl Transaction<'_> {
    pub(super) fn update(
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

    /// Ticking `IsPrimary` on one role unticks it on the opportunity's others.
    pub(super) fn only_primary(&mut self, role: &Record) -> Result<(), ApiError> {
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
}
