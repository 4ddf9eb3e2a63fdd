//! What becomes of each record after mOS has answered.

use domain::failure::{FailureKind, MAX_ATTEMPTS, MAX_PARENT_REREADS};
use domain::parked::Parked;
use domain::tally::{Count, Tally};
use domain::unit::{Cause, Envelope, Stage, UnitRecord};
use domain::{ObjectKind, SalesforceId, Ticket, Timestamp, Version};
use ports::target::{Outcome, RejectCode};

use crate::request::{self, Mapped, Round};

/// The records of a unit, sorted by how they go on.
pub(crate) struct Sorted {
    /// Those that are terminal.
    pub(crate) tally: Tally,
    /// Those to park; they are in the tally.
    pub(crate) park: Vec<Parked>,
    /// Those that mOS holds now: whoever waits for them may go on.
    pub(crate) accepted: Vec<(ObjectKind, SalesforceId)>,
    /// Deals among them that mOS did not have before.
    pub(crate) created: Vec<SalesforceId>,
    /// Last words that did not arrive: mOS does not have the deal, or not its owner.
    pub(crate) skipped: Vec<Mapped>,
    /// Those to send again.
    pub(crate) left: Vec<UnitRecord>,
    /// Those whose parent mOS lacks, to be read again with it.
    pub(crate) orphans: Vec<UnitRecord>,
    attempts: u32,
    rereads: u32,
    ticket: Ticket,
    now: Timestamp,
}

impl Sorted {
    pub(crate) fn new(unit: &Envelope, now: Timestamp) -> Self {
        Self {
            tally: Tally::default(),
            park: Vec::new(),
            accepted: Vec::new(),
            created: Vec::new(),
            skipped: Vec::new(),
            left: Vec::new(),
            orphans: Vec::new(),
            attempts: unit.attempts,
            rereads: unit.rereads,
            // Without a ticket it is older than anything else that is known of its records.
            ticket: unit.ticket.unwrap_or(Ticket {
                version: Version::default(),
                rule_revision: 0,
                snapshot: 0,
            }),
            now,
        }
    }

    pub(crate) fn take(&mut self, sent: Mapped, outcome: Outcome, round: Round) {
        let count = match outcome {
            Outcome::Created => {
                if sent.record.object == ObjectKind::Opportunity {
                    self.created.push(sent.record.id);
                }
                Count::Created
            }
            Outcome::Updated => Count::Updated,
            Outcome::Unchanged => Count::Unchanged,
            Outcome::Stale => Count::Stale,
            Outcome::Skipped if round == Round::First => return self.skipped.push(sent),
            // mOS never had the deal, so there is no last word to say.
            Outcome::Skipped => return self.tally.add(sent.record.object, Count::Unchanged),
            Outcome::Missing => {
                return self.again_or_later(sent, "mOS's answer did not mention the record");
            }
            Outcome::Rejected {
                code,
                message,
                field,
            } => return self.rejected(sent, &code, message, field.as_deref(), round),
        };
        self.tally.add(sent.record.object, count);
        self.accepted.push((sent.record.object, sent.record.id));
    }

    fn rejected(
        &mut self,
        sent: Mapped,
        code: &RejectCode,
        message: String,
        field: Option<&str>,
        round: Round,
    ) {
        if *code == RejectCode::ParentMissing && sent.record.last_word && round == Round::First {
            // The deal leaves the scope with this word, and so need not bring its new owner.
            return self.skipped.push(request::without_owner(sent));
        }
        let kind = match code {
            RejectCode::Busy => return self.again_or_later(sent, &message),
            RejectCode::ParentMissing if self.rereads < MAX_PARENT_REREADS => {
                return self.orphans.push(UnitRecord {
                    cause: Cause::Reread,
                    ..sent.record
                });
            }
            RejectCode::ParentMissing => FailureKind::ParentMissing,
            RejectCode::InvalidField => FailureKind::InvalidField,
            RejectCode::ValueTooLong => FailureKind::ValueTooLong,
            RejectCode::UnknownType => FailureKind::UnknownType,
            RejectCode::DeletedInMos => FailureKind::DeletedInMos,
            RejectCode::Other(code) if code == request::UNPROCESSABLE => FailureKind::Unprocessable,
            RejectCode::Other(_) => FailureKind::Refused,
        };
        let parent = if kind == FailureKind::ParentMissing {
            missing_parent(&sent.record, field)
        } else {
            None
        };
        self.park(&sent.record, kind, Some(code.name()), message, parent);
    }

    fn again_or_later(&mut self, sent: Mapped, message: &str) {
        if self.attempts + 1 < MAX_ATTEMPTS {
            self.left.push(sent.record);
        } else {
            self.park(
                &sent.record,
                FailureKind::RetryLater,
                None,
                message.to_owned(),
                None,
            );
        }
    }

    /// Parks a record for which mOS gave no answer, time and again.
    pub(crate) fn unanswered(&mut self, record: &UnitRecord) {
        let message = "mOS does not answer when this record is sent".to_owned();
        self.park(record, FailureKind::RetryLater, None, message, None);
    }

    /// Parks what would go on with the unit, to be taken up again by itself.
    pub(crate) fn put_off(&mut self) {
        let mut later = std::mem::take(&mut self.left);
        later.append(&mut self.orphans);
        let skipped = std::mem::take(&mut self.skipped);
        later.extend(skipped.into_iter().map(|skipped| skipped.record));
        for record in &later {
            let message = "mOS could not take this record yet, and then did not answer".to_owned();
            self.park(record, FailureKind::RetryLater, None, message, None);
        }
    }

    /// Parks a record whose row has no place in mOS.
    pub(crate) fn unmappable(&mut self, record: &UnitRecord, reason: String) {
        self.park(record, FailureKind::Unmappable, None, reason, None);
    }

    fn park(
        &mut self,
        record: &UnitRecord,
        kind: FailureKind,
        code: Option<&str>,
        message: String,
        parent: Option<(ObjectKind, SalesforceId)>,
    ) {
        self.tally.add(record.object, Count::Parked);
        let record = (record.object, record.id);
        self.park.push(Parked {
            code: code.map(str::to_owned),
            parent,
            ..Parked::new(record, Stage::Load, kind, message, self.ticket, self.now)
        });
    }
}

/// The record that a hard reference points to (ingest contract: the only ones that can be missing).
fn missing_parent(record: &UnitRecord, field: Option<&str>) -> Option<(ObjectKind, SalesforceId)> {
    let (object, salesforce_field) = match (record.object, field) {
        (ObjectKind::Opportunity, _) => (ObjectKind::User, "OwnerId"),
        (ObjectKind::OpportunityContactRole, Some("opportunity_id")) => {
            (ObjectKind::Opportunity, "OpportunityId")
        }
        (ObjectKind::OpportunityContactRole, _) => (ObjectKind::Contact, "ContactId"),
        (ObjectKind::User | ObjectKind::Account | ObjectKind::Contact, _) => return None,
    };
    Some((
        object,
        record.row.as_ref()?.fields().ok()?.id(salesforce_field)?,
    ))
}
