//! Requests to mOS: a unit's records in order, in as few requests as the contract's limits allow,
//! and, when mOS cannot take one, in halves down to the record at fault.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::Version;
use domain::hex::hex;
use domain::mapping::Mapping;
use domain::unit::{Envelope, UnitRecord};
use ports::target::{Outcome, RejectCode, TargetError, Upsert};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::Loader;

/// The contract's limits: 500 records, 4 MiB. Half a MiB is left for the request's own words.
const MAX_RECORDS: usize = 500;
const MAX_BYTES: usize = 3_670_016;
/// The code under which a record that mOS cannot even read is sorted.
pub(crate) const UNPROCESSABLE: &str = "unprocessable";
/// After so many times without an answer a unit is suspected to hold a record that mOS
/// fails over, and is halved.
const SUSPECT_AFTER: u32 = 2;
/// That many failures in a row without one success are mOS's fault, not a record's.
const FAILURES_WITHOUT_SUCCESS: u32 = 12;

/// No unit is sent for longer than this in one go; it must stay well below the runner's limit.
const SENDING_LIMIT: Duration = Duration::from_secs(100);

/// A record with its mOS fields.
#[derive(Debug)]
pub(crate) struct Mapped {
    pub(crate) record: UnitRecord,
    pub(crate) fields: Box<RawValue>,
}

/// Which sending of a record within one attempt this is. mOS repeats its answer to a repeated
/// request; the second time it has to look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Round {
    /// The first.
    First,
    /// A last word that did not arrive, after it was marked.
    LastWordAgain,
}

/// Whether a request may be new to mOS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It may.
    OrNew,
    /// It may not: its rows are too old, or the rules are others. What was sent before is sent once
    /// more for its answer, and nothing else is sent.
    Only,
    /// The same, of a job that is cancelled: what mOS has not had is not sent any more, by any copy.
    Last,
}

impl Repeat {
    pub(crate) const fn may_be_new(self) -> bool {
        matches!(self, Self::OrNew)
    }
}

/// What does not change from request to request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sender<'a> {
    pub(crate) loader: &'a Loader,
    pub(crate) unit: &'a Envelope,
    pub(crate) version: Version,
    pub(crate) repeat: Repeat,
    /// This very copy was about to be sent before: it may have been, in part, when its loader was
    /// killed.
    pub(crate) begun: bool,
}

/// How a request, or the halves of it, went.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) answered: Vec<(Mapped, Outcome)>,
    /// mOS fails over these, and not over the others.
    pub(crate) at_fault: Vec<Mapped>,
    pub(crate) unsent: Vec<Mapped>,
    pub(crate) trouble: Option<TargetError>,
    /// The settings have forbidden to go on.
    pub(crate) stopped: bool,
}

/// The mOS fields of a record.
pub(crate) fn map(record: &UnitRecord, mapping: &Mapping) -> Result<Box<RawValue>, String> {
    let row = record.row.as_ref().ok_or("the record came without a row")?;
    let fields = row.fields().map_err(|error| error.to_string())?;
    mapping
        .map(record.object, &fields)
        .map_err(|fault| fault.to_string())
}

/// The record without the reference to its owner, which mOS then leaves as it is.
pub(crate) fn without_owner(mut mapped: Mapped) -> Mapped {
    let fields = serde_json::from_str::<BTreeMap<&str, &RawValue>>(mapped.fields.get());
    let stripped = fields.and_then(|mut fields| {
        fields.remove("owner_id");
        serde_json::value::to_raw_value(&fields)
    });
    // What was written by the mapping can be read; if not, mOS says what it thinks of it.
    if let Ok(stripped) = stripped {
        mapped.fields = stripped;
    }
    mapped
}

/// Splits a unit's records into requests, in order.
pub(crate) fn chunks(records: Vec<Mapped>) -> Vec<Vec<Mapped>> {
    let mut chunks = Vec::new();
    let mut chunk = Vec::new();
    let mut bytes = 0;
    for record in records {
        let size = record.fields.get().len();
        if !chunk.is_empty() && (chunk.len() == MAX_RECORDS || bytes + size > MAX_BYTES) {
            chunks.push(std::mem::take(&mut chunk));
            bytes = 0;
        }
        bytes += size;
        chunk.push(record);
    }
    if !chunk.is_empty() {
        chunks.push(chunk);
    }
    chunks
}

/// Sends a chunk. What is asked for its answer alone is asked for as it was sent: as a whole at
/// first, then in the parts of each silence, and of the sending that did not come to its end.
pub(crate) async fn send(sender: Sender<'_>, round: Round, chunk: Vec<Mapped>) -> Sent {
    let outages = sender.unit.outages;
    let deadline = Instant::now() + SENDING_LIMIT;
    if sender.repeat.may_be_new() {
        return send_in_parts(sender, round, chunk, outages, deadline).await;
    }
    let mut all = send_in_parts(sender, round, chunk, 0, deadline).await;
    for earlier in SUSPECT_AFTER + 1..outages.saturating_add(u32::from(sender.begun)) {
        if all.unsent.is_empty() || all.stopped || all.trouble.is_some() {
            break;
        }
        let rest = std::mem::take(&mut all.unsent);
        let sent = send_in_parts(sender, round, rest, earlier, deadline).await;
        all.answered.extend(sent.answered);
        all.at_fault.extend(sent.at_fault);
        all.unsent = sent.unsent;
        all.trouble = sent.trouble;
        all.stopped = sent.stopped;
    }
    all
}

/// Sends a chunk in the parts of a unit with so many silences. What mOS refuses to read or to
/// swallow is halved until the records at fault are alone; so is, after repeated silence, what makes
/// mOS fail.
async fn send_in_parts(
    sender: Sender<'_>,
    round: Round,
    chunk: Vec<Mapped>,
    outages: u32,
    deadline: Instant,
) -> Sent {
    let unit = sender.unit;
    let mut sent = Sent {
        answered: Vec::new(),
        at_fault: Vec::new(),
        unsent: Vec::new(),
        trouble: None,
        stopped: false,
    };
    let mut failing = Vec::new();
    let mut failures = 0_u32;
    let mut succeeded = false;
    let mut parts = suspect_parts(chunk, outages);
    while let Some(mut part) = parts.pop() {
        if sender.loader.circuit.is_stopped() {
            sent.stopped = true;
            sent.unsent.append(&mut part);
            sent.unsent.extend(parts.into_iter().rev().flatten());
            break;
        }
        if Instant::now() >= deadline {
            // What is answered is kept, so that every attempt leaves less to do.
            sent.unsent.append(&mut part);
            sent.unsent.extend(parts.into_iter().rev().flatten());
            sent.trouble = Some(TargetError::Unreachable(
                "the request took too long in all its parts".to_owned(),
            ));
            break;
        }
        let error = match sender.request(round, &mut part).await {
            Ok(Some(outcomes)) => {
                succeeded = true;
                sent.answered.extend(part.into_iter().zip(outcomes));
                continue;
            }
            Ok(None) => {
                sent.unsent.append(&mut part);
                continue;
            }
            Err(error) => error,
        };
        failures += 1;
        let at_fault = match &error {
            TargetError::TooLarge | TargetError::Unprocessable(_) => true,
            // A question without an answer says nothing of the records, and mOS knows nothing of
            // halves that were never sent.
            TargetError::Unreachable(_) => {
                sender.repeat.may_be_new()
                    && unit.outages >= SUSPECT_AFTER
                    && (succeeded || failures < FAILURES_WITHOUT_SUCCESS)
            }
            TargetError::Throttled(_) | TargetError::Forbidden(_) => false,
        };
        if at_fault && part.len() > 1 {
            let second = part.split_off(part.len() / 2);
            parts.push(second);
            parts.push(part);
        } else if matches!(error, TargetError::TooLarge | TargetError::Unprocessable(_)) {
            let outcome = Outcome::Rejected {
                code: RejectCode::Other(UNPROCESSABLE.to_owned()),
                message: error.to_string(),
                field: None,
            };
            sent.answered
                .extend(part.into_iter().map(|mapped| (mapped, outcome.clone())));
        } else if at_fault {
            failing.append(&mut part);
        } else {
            sent.unsent.append(&mut part);
            sent.unsent.extend(parts.into_iter().rev().flatten());
            sent.trouble = Some(error);
            break;
        }
    }
    if succeeded {
        sent.at_fault = failing;
    } else if !failing.is_empty() {
        failing.append(&mut sent.unsent);
        sent.unsent = failing;
        if !sent.stopped {
            sent.trouble.get_or_insert(TargetError::Unreachable(
                "no part of the request was answered".to_owned(),
            ));
        }
    }
    sent
}

impl Sender<'_> {
    /// One request: what became of its records; `None` when it is new to mOS and must not be.
    async fn request(
        self,
        round: Round,
        part: &mut [Mapped],
    ) -> Result<Option<Vec<Outcome>>, TargetError> {
        // The fields are lent to the request, for they are most of what is in memory.
        let upserts = part
            .iter_mut()
            .map(|mapped| upsert(mapped, self.version))
            .collect::<Vec<_>>();
        let answer = self.answer(round, &upserts).await;
        for (mapped, upsert) in part.iter_mut().zip(upserts) {
            mapped.fields = upsert.fields;
        }
        answer
    }

    async fn answer(
        self,
        round: Round,
        upserts: &[Upsert],
    ) -> Result<Option<Vec<Outcome>>, TargetError> {
        let key = idempotency_key(self.unit, round, upserts);
        let target = &self.loader.target;
        if !self.repeat.may_be_new() && !target.has_answered(&key).await? {
            return Ok(None);
        }
        target.upsert(&key, upserts).await.map(Some)
    }
}

/// The parts to begin with, the first to send last: the whole, or, for a unit that mOS has failed to
/// answer again and again, parts an eighth as large every time, so that a record over which
/// mOS hangs is alone after few of its time-outs.
fn suspect_parts(chunk: Vec<Mapped>, outages: u32) -> Vec<Vec<Mapped>> {
    let eighths = outages.saturating_sub(SUSPECT_AFTER).min(4);
    let size = (chunk.len() >> (3 * eighths)).max(1);
    let mut parts = Vec::new();
    let mut rest = chunk;
    while rest.len() > size {
        let later = rest.split_off(size);
        parts.push(std::mem::replace(&mut rest, later));
    }
    parts.push(rest);
    parts.reverse();
    parts
}

/// Takes the fields out of the record.
fn upsert(mapped: &mut Mapped, version: Version) -> Upsert {
    let Mapped { record, fields } = mapped;
    Upsert {
        object: record.object,
        id: record.id,
        version,
        fields: std::mem::replace(fields, RawValue::NULL.to_owned()),
        if_exists: record.last_word,
    }
}

/// The same for the very same request, another for any other: unit, attempt and content. A request
/// that was not answered is repeated as it was, so that mOS may say what became of it; one whose
/// answer is to be another the next time is another attempt.
fn idempotency_key(unit: &Envelope, round: Round, records: &[Upsert]) -> String {
    let mut digest = Sha256::new();
    digest.update(unit.id.as_bytes());
    digest.update(unit.rereads.to_be_bytes());
    digest.update(unit.attempts.to_be_bytes());
    digest.update([u8::from(round == Round::LastWordAgain)]);
    for record in records {
        digest.update(record.object.mos_type());
        digest.update(record.id.as_str());
        digest.update(record.version.to_string());
        digest.update([u8::from(record.if_exists)]);
        digest.update(record.fields.get());
    }
    hex(&digest.finalize())
}
