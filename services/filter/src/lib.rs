//! The filter worker: changes in, records that match the opportunity filter out, each with the
//! owners through which it matches.
//!
//! An opportunity matches by its own row. A user, account, contact or contact role matches through
//! the opportunities it hangs on; all that is kept of those is who owns them.

mod hangs_on;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::change::ChangeType;
use domain::rule::{Match, Rules};
use domain::tally::Count;
use domain::unit::{Cause, Envelope, QueueName, Stage, UnitCopy, UnitRecord};
use domain::{ObjectKind, SalesforceId, Ticket, Timestamp};
use ports::source::Source;
use runtime::gate::Gate;
use runtime::readback::{self, Read, RulesInForce};
use runtime::worker::{Handler, Outage, Verdict, Void};
use tokio::sync::watch;

/// The rows of opportunities that a reader brought along are read again when they are older: half of
/// what the loader allows, so that a unit does not have to come back from there.
const MAX_ROW_AGE: Duration = Duration::from_secs(30);

/// The filter stage.
pub struct Filter {
    source: Arc<dyn Source>,
    rules: RulesInForce,
    gate: watch::Sender<Gate>,
}

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Filter")
    }
}

impl Filter {
    /// Reads rows from `source`, rules and tickets from `stores`.
    #[must_use]
    pub fn new(source: Arc<dyn Source>, stores: ports::stores::Stores) -> Self {
        let rules = RulesInForce::new(stores, Arc::clone(&source));
        Self {
            source,
            rules,
            gate: watch::Sender::new(Gate::Open),
        }
    }
}

#[async_trait]
impl Handler for Filter {
    fn stage(&self) -> Stage {
        Stage::Filter
    }

    fn gate(&self) -> watch::Receiver<Gate> {
        self.gate.subscribe()
    }

    async fn handle(&self, unit: Envelope, _copy: &UnitCopy) -> Result<Verdict, Outage> {
        self.rules.seen_anew_if_refused(self.filter(unit).await)
    }
}

impl Filter {
    async fn filter(&self, unit: Envelope) -> Result<Verdict, Outage> {
        let (fresh, rules) = self.rules.ticket().await?;
        let mut unit = collapse(unit);
        skip_untouched(&mut unit, &rules);
        let mut lost = Lost::default();
        let ticket = match unit.ticket {
            Some(ticket) if may_be_used(&unit, ticket, fresh) => {
                unit.scoped = (!judges_itself(&unit)).then(|| fresh.version.time());
                ticket
            }
            _ => {
                lost = read_rows(&*self.source, &mut unit, &rules).await?;
                unit.scoped = None;
                fresh
            }
        };
        unit.ticket = Some(ticket);
        let times = Times {
            rows: ticket.version.time(),
            now: fresh.version.time(),
        };
        let void = judge(&*self.source, &mut unit, &rules, times).await?;
        let mut verdict = if unit.records.is_empty() {
            Verdict::finished(unit)
        } else {
            Verdict::pass_on(QueueName::new(Stage::Permission, unit.lane), unit)
        };
        let records = lost.gone.into_iter().chain(void).collect();
        verdict.unpark = Void {
            records,
            version: ticket.version,
        };
        let unreadable = lost.unreadable.into_iter();
        verdict.park = unreadable
            .map(|(object, id)| readback::unreadable(object, id, Stage::Filter, fresh))
            .collect();
        Ok(verdict)
    }
}

/// Rows that the reader brought along are good under its ticket as long as the rules are still the
/// same; everything else is read now, under the fresh ticket. Opportunities are judged by their own
/// row, so an old one might let out a deal that has left the scope; the others are judged by
/// opportunities that are looked at now.
fn may_be_used(unit: &Envelope, ticket: Ticket, fresh: Ticket) -> bool {
    let age = fresh.version.time().since(ticket.version.time());
    ticket.rule_revision == fresh.rule_revision
        && unit.records.iter().all(|record| record.row.is_some())
        && (age <= MAX_ROW_AGE || !judges_itself(unit))
}

/// Whether the scope of some of the unit's records is decided by their own rows.
fn judges_itself(unit: &Envelope) -> bool {
    let mut objects = unit.records.iter().map(|record| record.object);
    objects.any(|object| object == ObjectKind::Opportunity)
}

/// Several changes of one record in a unit become one: the current row answers all of them.
fn collapse(mut unit: Envelope) -> Envelope {
    let mut kept = BTreeMap::<(ObjectKind, SalesforceId), UnitRecord>::new();
    let mut order = Vec::new();
    for record in std::mem::take(&mut unit.records) {
        let key = (record.object, record.id);
        match kept.remove(&key) {
            None => {
                order.push(key);
                kept.insert(key, record);
            }
            Some(earlier) => {
                unit.tally.add(record.object, Count::Collapsed);
                kept.insert(
                    key,
                    UnitRecord {
                        cause: earlier.cause.and_then(record.cause),
                        ..record
                    },
                );
            }
        }
    }
    unit.records = order
        .into_iter()
        .filter_map(|key| kept.remove(&key))
        .collect();
    unit
}

fn skip_untouched(unit: &mut Envelope, rules: &Rules) {
    let tally = &mut unit.tally;
    unit.records.retain(|record| {
        let touched = rules.is_touched_by(record.object, &record.cause);
        if !touched {
            tally.add(record.object, Count::Skipped);
        }
        touched
    });
}

/// Records that have left a unit because they have no row.
#[derive(Default)]
struct Lost {
    gone: Vec<(ObjectKind, SalesforceId)>,
    unreadable: Vec<(ObjectKind, SalesforceId)>,
}

/// Puts the current row into every record; what has none any more is counted and leaves the unit.
async fn read_rows(
    source: &dyn Source,
    unit: &mut Envelope,
    rules: &Rules,
) -> Result<Lost, Outage> {
    let mut ids = BTreeMap::<ObjectKind, BTreeSet<SalesforceId>>::new();
    for record in &unit.records {
        ids.entry(record.object).or_default().insert(record.id);
    }
    let mut rows = BTreeMap::new();
    for (object, ids) in ids {
        rows.insert(
            object,
            readback::read(source, object, &ids, &rules.fields_to_read(object)).await?,
        );
    }
    let mut lost = Lost::default();
    for mut record in std::mem::take(&mut unit.records) {
        let deleted = matches!(
            record.cause,
            Cause::Event {
                change_type: ChangeType::Delete,
                ..
            }
        );
        match rows
            .get_mut(&record.object)
            .and_then(|rows| rows.remove(&record.id))
            .unwrap_or(Read::Absent)
        {
            Read::Row(row) => {
                record.row = Some(row);
                unit.records.push(record);
            }
            read @ (Read::Deleted | Read::Absent) if read == Read::Deleted || deleted => {
                unit.tally.add(record.object, Count::Gone);
                lost.gone.push((record.object, record.id));
            }
            Read::Deleted | Read::Absent => {
                tracing::warn!(object = %record.object, record = %record.id, "a record that changed is not visible to the integration user, or was purged");
                unit.tally.add(record.object, Count::Unreadable);
                lost.unreadable.push((record.object, record.id));
            }
        }
    }
    Ok(lost)
}

/// From when relative dates of the filter are counted.
#[derive(Clone, Copy)]
struct Times {
    /// When the unit's rows were read.
    rows: Timestamp,
    /// When the opportunities around them are.
    now: Timestamp,
}

/// Keeps the records that match, with their owners; answers those that do not.
async fn judge(
    source: &dyn Source,
    unit: &mut Envelope,
    rules: &Rules,
    times: Times,
) -> Result<Vec<(ObjectKind, SalesforceId)>, Outage> {
    let mut owners = hangs_on::owners(source, unit, rules, times.now).await?;
    let mut void = Vec::new();
    for mut record in std::mem::take(&mut unit.records) {
        let matched = match record.object {
            ObjectKind::Opportunity => judge_opportunity(&mut record, rules, times.rows),
            ObjectKind::User
            | ObjectKind::Account
            | ObjectKind::Contact
            | ObjectKind::OpportunityContactRole => {
                record.owners = owners
                    .remove(&(record.object, record.id))
                    .unwrap_or_default();
                !record.owners.is_empty()
            }
        };
        if matched {
            record.entering = !record.last_word && rules.may_enter(record.object, &record.cause);
            unit.records.push(record);
        } else {
            unit.tally.add(record.object, Count::Filtered);
            void.push((record.object, record.id));
        }
    }
    Ok(void)
}

fn judge_opportunity(record: &mut UnitRecord, rules: &Rules, at: Timestamp) -> bool {
    let Some((verdict, owner)) = record.row.as_ref().and_then(|row| {
        let fields = row.fields().ok()?;
        Some((rules.judge(&fields, at), fields.id("OwnerId")))
    }) else {
        return false;
    };
    record.owners = owner.into_iter().collect();
    match verdict {
        Match::Qualifies => !record.owners.is_empty(),
        Match::ClosedOnly => {
            record.last_word = may_have_closed(&record.cause);
            record.last_word && !record.owners.is_empty()
        }
        Match::No => false,
    }
}

/// Whether the change may be the one by which a deal closed.
fn may_have_closed(cause: &Cause) -> bool {
    match cause {
        Cause::Event {
            change_type: ChangeType::Create | ChangeType::Delete,
            ..
        } => false,
        Cause::Event {
            change_type: ChangeType::Update,
            changed,
            ..
        } => changed.is_empty() || changed.contains("IsClosed") || changed.contains("StageName"),
        Cause::Event { .. } | Cause::Snapshot | Cause::FullLoad | Cause::Reread => true,
        Cause::Companion => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::unit::Lane;
    use domain::{Row, Timestamp, Version};

    const READ: Timestamp = Timestamp::from_micros(1_795_270_000_000_000);

    fn ticket(after: Duration, rule_revision: u64) -> Ticket {
        Ticket {
            version: Version::at(READ.after(after)),
            rule_revision,
            snapshot: 1,
        }
    }

    fn unit_of(object: ObjectKind) -> Envelope {
        let job = domain::job::JobId::of("sync_all-test");
        let id = SalesforceId::parse("006000000000001").unwrap();
        let record = UnitRecord {
            object,
            id,
            cause: Cause::FullLoad,
            row: Some(Row::of(&serde_json::json!({"Id": id.as_str()})).unwrap()),
            owners: BTreeSet::new(),
            last_word: false,
            entering: false,
        };
        let org = SalesforceId::parse("00D000000000001").unwrap();
        Envelope {
            ticket: Some(ticket(Duration::ZERO, 1)),
            ..Envelope::new(job, 0, Lane::Bulk, org, READ, vec![record])
        }
    }

    fn used(object: ObjectKind, fresh: Ticket) -> bool {
        may_be_used(&unit_of(object), ticket(Duration::ZERO, 1), fresh)
    }

    #[test]
    fn old_rows_of_opportunities_are_read_again_others_are_not() {
        let later = ticket(MAX_ROW_AGE + Duration::from_secs(1), 1);
        assert!(!used(ObjectKind::Opportunity, later));
        assert!(used(ObjectKind::Account, later));
        assert!(used(ObjectKind::Opportunity, ticket(MAX_ROW_AGE, 1)));
    }

    #[test]
    fn rows_read_under_other_rules_are_read_again() {
        assert!(!used(ObjectKind::Account, ticket(Duration::ZERO, 2)));
    }

    #[test]
    fn a_record_without_its_row_is_read() {
        let mut unit = unit_of(ObjectKind::Account);
        unit.records.iter_mut().for_each(|record| record.row = None);
        let ticket = ticket(Duration::ZERO, 1);
        assert!(!may_be_used(&unit, ticket, ticket));
    }
}
