//! The sync rule: which opportunities qualify, and what hangs on them.
//!
//! An opportunity qualifies when it is not deleted, its owner holds mOS permission, the filter
//! matches it, and it is open or "sync closed" is on. In scope are the qualifying opportunities and
//! their owners, accounts, contact roles and the contacts on those roles.

mod effect;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::change::ChangeType;
use crate::filter::{self, Asked, CompiledFilter, ConditionResult, FilterFault, Pushdown};
use crate::id::SalesforceId;
use crate::mapping::{self, Mapping};
use crate::object::ObjectKind;
use crate::permission::PermissionSnapshot;
use crate::row::Fields;
use crate::settings::SettingsRevision;
use crate::time::Timestamp;
use crate::unit::Cause;

pub use effect::{Effect, Effects};

/// How long after its stamp a change may be committed; there is no documented bound.
const COMMITTED_LATEST: Duration = Duration::from_secs(600);

/// Everything an administrator decided that the rule depends on, ready to be applied.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The revision they were made from.
    pub rule_revision: u64,
    /// When they were saved, or later.
    saved: Timestamp,
    visible: Visible,
    calculated: Visible,
    filter: CompiledFilter,
    sync_closed: bool,
    mapping: Mapping,
}

/// The fields of each object that the integration user can see, from describe, and the paths to
/// parents' fields among those that the rules name.
pub type Visible = BTreeMap<ObjectKind, BTreeSet<String>>;

/// What the rule says of an opportunity, its owner apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// It qualifies if its owner holds permission.
    Qualifies,
    /// It would, were it not closed.
    ClosedOnly,
    /// The filter does not match.
    No,
}

impl Rules {
    /// The rules of a settings revision.
    ///
    /// # Errors
    /// The filter's faults; a stored revision has none, it was validated when saved.
    pub fn of(revision: &SettingsRevision, visible: Visible) -> Result<Self, Vec<FilterFault>> {
        Ok(Self {
            rule_revision: revision.rule_revision,
            saved: revision.saved,
            visible,
            calculated: Visible::new(),
            filter: revision
                .settings
                .compile_filter(&revision.field_types, &revision.org)?,
            sync_closed: revision.settings.sync_closed,
            mapping: revision.settings.mapping.clone(),
        })
    }

    /// The same rules, told which fields of each object are formulas or roll-ups.
    #[must_use]
    pub fn with_calculated(mut self, calculated: Visible) -> Self {
        self.calculated = calculated;
        self
    }

    /// The field mapping in force.
    #[must_use]
    pub const fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// Whether closed opportunities qualify.
    #[must_use]
    pub const fn sync_closed(&self) -> bool {
        self.sync_closed
    }

    /// Judges an opportunity that is not deleted by its current row, with relative dates counted
    /// from the day that it is at `at`: the time of the ticket under which the row was read.
    #[must_use]
    pub fn judge(&self, opportunity: &Fields<'_>, at: Timestamp) -> Match {
        if !self.filter.matches(opportunity, at) {
            Match::No
        } else if self.sync_closed || !opportunity.flag("IsClosed") {
            Match::Qualifies
        } else {
            Match::ClosedOnly
        }
    }

    /// What each condition of the filter made of an opportunity at `at`.
    #[must_use]
    pub fn explain(&self, opportunity: &Fields<'_>, at: Timestamp) -> Vec<ConditionResult> {
        self.filter.explain(opportunity, at)
    }

    /// Whether an opportunity may qualify on one day and not on another without being changed.
    #[must_use]
    pub fn is_relative(&self) -> bool {
        self.filter.is_relative()
    }

    /// The next moment after `at` at which the range of a date literal of the filter moves; `None`
    /// where none does.
    #[must_use]
    pub fn next_turn(&self, at: Timestamp) -> Option<Timestamp> {
        self.filter.next_turn(at)
    }

    /// The date literals of the filter that have no range at `at`, in sentences; while there are
    /// any, the filter matches nothing.
    #[must_use]
    pub fn undefined(&self, at: Timestamp) -> Vec<FilterFault> {
        self.filter.undefined(at)
    }

    /// The SOQL condition of the opportunities that the filter matches at `at`, open or closed,
    /// whoever owns them; fields are prefixed by `path`, `""` for queries of Opportunity and
    /// `"Opportunity."` for those of its children. It may let through more than the filter matches
    /// and says so.
    #[must_use]
    pub fn soql_condition(&self, path: &str, at: Timestamp) -> Pushdown {
        self.filter.to_soql(path, at)
    }

    /// Whether an opportunity qualifies by these rules at `at` and does not by those `before` them
    /// at `then`, owners apart.
    #[must_use]
    pub fn enters(
        &self,
        before: &Self,
        opportunity: &Fields<'_>,
        at: Timestamp,
        then: Timestamp,
    ) -> bool {
        self.judge(opportunity, at) == Match::Qualifies
            && before.judge(opportunity, then) != Match::Qualifies
    }

    /// The SOQL condition of the opportunities that [`Self::enters`] tells of: what a change of the
    /// rules, or with the same rules the passing of time, lets in. (With both turned around: what
    /// leaves.) Nothing that is let through by mistake is ever taken away: where SOQL cannot say
    /// what the rules before left out, the condition lets through more.
    #[must_use]
    pub fn entering(&self, before: &Self, path: &str, at: Timestamp, then: Timestamp) -> Pushdown {
        self.entering_or_stamped(before, path, (at, then), None)
    }

    /// The same, and of what qualifies by these rules also what was stamped since a time: what the
    /// rules before make of its row now is not what they made of it then.
    #[must_use]
    pub fn entering_or_stamped(
        &self,
        before: &Self,
        path: &str,
        (at, then): (Timestamp, Timestamp),
        since: Option<Timestamp>,
    ) -> Pushdown {
        // Of what is open, nothing was too closed before.
        let closed =
            (self.sync_closed && !before.sync_closed).then(|| format!("{path}IsClosed = true"));
        let stamped = since.map(|since| format!("{path}SystemModstamp >= {}", since.to_soql()));
        let beside = closed.into_iter().chain(stamped).collect();
        let new = Asked::matched(&self.filter, at, "");
        let old = Asked::not_matched(&before.filter, then, beside, " of the rules before");
        let mut found = filter::all_of(&[new, old], path);
        if let Some(open) = self.open_condition(path, None) {
            found.condition = Some(match found.condition {
                Some(condition) => format!("{condition} AND {open}"),
                None => open,
            });
        }
        found
    }

    /// Whether [`Self::entering_or_stamped`] leaves an opportunity out because of these rules, those
    /// before: it qualified by them at `then`, and was not stamped since that time.
    #[must_use]
    pub fn had(&self, opportunity: &Fields<'_>, then: Timestamp, since: Option<Timestamp>) -> bool {
        since.is_none_or(|since| !may_be_stamped(opportunity, since))
            && self.judge(opportunity, then) == Match::Qualifies
    }

    /// The SOQL condition of the opportunities that are not too closed to qualify; `None` while
    /// closed ones are synced too. With `closed_since`, those that may have closed since that time
    /// are let through as well, for their last word.
    #[must_use]
    pub fn open_condition(&self, path: &str, closed_since: Option<Timestamp>) -> Option<String> {
        if self.sync_closed {
            return None;
        }
        Some(match closed_since {
            None => format!("{path}IsClosed = false"),
            Some(since) => format!(
                "({path}IsClosed = false OR {path}SystemModstamp >= {})",
                since.to_soql()
            ),
        })
    }

    /// The fields of an opportunity that the rule looks at, beside its owner.
    #[must_use]
    pub fn judged_fields(&self) -> BTreeSet<String> {
        let mut fields = self.filter.fields().clone();
        fields.insert("IsClosed".to_owned());
        fields.insert("OwnerId".to_owned());
        fields
    }

    /// The fields to read of an object's records: mapped, judged and relation fields. A mapped field
    /// that the integration user cannot see is left out: asked for, it would make the whole read
    /// fail, and what is not read is left alone in mOS.
    #[must_use]
    pub fn fields_to_read(&self, object: ObjectKind) -> BTreeSet<String> {
        let mut fields = self.mapping.salesforce_fields(object);
        if let Some(visible) = self.visible.get(&object) {
            fields.retain(|field| visible.contains(field));
        }
        fields.insert("Id".to_owned());
        fields.extend(
            relation_fields(object)
                .iter()
                .map(|field| (*field).to_owned()),
        );
        if object == ObjectKind::Opportunity {
            fields.extend(self.judged_fields());
        }
        fields
    }

    /// The fields that the mapping and the filter name and that the integration user cannot see.
    #[must_use]
    pub fn unseen(&self) -> BTreeSet<(ObjectKind, String)> {
        let mut unseen = BTreeSet::new();
        for (object, visible) in &self.visible {
            let mut named = self.mapping.salesforce_fields(*object);
            if *object == ObjectKind::Opportunity {
                named.extend(self.filter.fields().clone());
            }
            let hidden = named.into_iter().filter(|field| !visible.contains(field));
            unseen.extend(hidden.map(|field| (*object, field)));
        }
        unseen
    }

    /// Whether the integration user can see a field; of fields of other records nobody knows.
    #[must_use]
    pub fn sees(&self, object: ObjectKind, field: &str) -> bool {
        field.contains('.')
            || self
                .visible
                .get(&object)
                .is_none_or(|visible| visible.contains(field))
    }

    /// Whether a change that was committed then may be older than these rules. The rules before were
    /// to judge it and never have, while the backfill of the save goes by rows and takes what those
    /// rules match for known. Nothing that is committed later was stamped before the save, and what
    /// is stamped later the backfill does not leave out ([`Self::had`]).
    fn may_be_newer_than(&self, committed: Timestamp) -> bool {
        committed <= self.saved.after(COMMITTED_LATEST)
    }

    /// Whether a change of the record may alter one of these fields. A formula may be about any of
    /// the record's fields, and no event names it.
    fn touches(
        &self,
        object: ObjectKind,
        changed: &BTreeSet<String>,
        fields: &BTreeSet<String>,
    ) -> bool {
        let calculated = self.calculated.get(&object);
        calculated.is_some_and(|calculated| !calculated.is_disjoint(fields))
            || mapping::touches(object, changed, fields)
    }

    /// Whether a change can alter anything in mOS: it touches a mapped, judged or relation field,
    /// or does not say what it touches.
    #[must_use]
    pub fn is_touched_by(&self, object: ObjectKind, cause: &Cause) -> bool {
        match cause {
            Cause::Event {
                change_type: ChangeType::Update,
                changed,
                committed,
            } if !changed.is_empty() => {
                (object == ObjectKind::Opportunity && self.may_be_newer_than(*committed))
                    || self.touches(object, changed, &self.fields_to_read(object))
            }
            Cause::Event { .. }
            | Cause::Snapshot
            | Cause::FullLoad
            | Cause::Reread
            | Cause::Companion => true,
        }
    }

    /// Whether an opportunity or contact role may have entered the scope by this, so that what
    /// belongs to it must be sent along.
    #[must_use]
    pub fn may_enter(&self, object: ObjectKind, cause: &Cause) -> bool {
        match cause {
            Cause::Event {
                change_type,
                changed,
                committed,
            } => {
                if change_type.may_enter_scope() || changed.is_empty() {
                    return true;
                }
                if object == ObjectKind::Opportunity && self.may_be_newer_than(*committed) {
                    return true;
                }
                let mut entering: BTreeSet<String> = relation_fields(object)
                    .iter()
                    .map(|field| (*field).to_owned())
                    .collect();
                if object == ObjectKind::Opportunity {
                    entering.extend(self.judged_fields());
                    entering.insert("StageName".to_owned());
                }
                self.touches(object, changed, &entering)
            }
            Cause::Snapshot | Cause::Reread => true,
            Cause::FullLoad | Cause::Companion => false,
        }
    }
}

/// The fields through which an object's records hang together.
#[must_use]
pub const fn relation_fields(object: ObjectKind) -> &'static [&'static str] {
    match object {
        ObjectKind::Opportunity => &["OwnerId", "AccountId"],
        ObjectKind::OpportunityContactRole => &["OpportunityId", "ContactId"],
        ObjectKind::User | ObjectKind::Account | ObjectKind::Contact => &[],
    }
}

/// Whether a row was stamped at that time or later, in whole seconds as SOQL is asked.
fn may_be_stamped(opportunity: &Fields<'_>, since: Timestamp) -> bool {
    let seconds = |time: Timestamp| time.as_millis().div_euclid(1_000);
    let stamp = opportunity.text("SystemModstamp");
    let stamp = stamp.and_then(|stamp| Timestamp::parse(&stamp));
    stamp.is_none_or(|stamp| seconds(stamp) >= seconds(since))
}

/// Whether any of the owners holds permission at that time.
#[must_use]
pub fn is_permitted(
    owners: &BTreeSet<SalesforceId>,
    snapshot: &PermissionSnapshot,
    at: Timestamp,
) -> bool {
    owners.iter().any(|owner| snapshot.permits(owner, at))
}

#[cfg(test)]
mod tests;
