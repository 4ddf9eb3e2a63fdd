//! One mOS: its records, its memory of answers, its faults and its ledger behind one lock.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::clock::Clock;
use crate::digest::digest;
use crate::fault::{Fault, FaultError, Faults, Plan, Treatment};
use crate::ledger::{Ledger, LedgerEntry, LedgerRecord, Outcome, RejectCode};
use crate::outcomes::Tallies;
use crate::request::{BODY_BYTES_MAX, KEY_LENGTH_MAX, Refused, check, read};
use crate::schema::{RecordType, UnknownType};
use crate::store::{Store, StoredRecord};

/// How long an answer of 200 is kept and repeated for the same key: 24 hours.
const KEPT_MICROS: i64 = 24 * 3_600 * 1_000_000;
/// Records of a page of a listing, at most.
pub(crate) const PAGE_MAX: usize = 2_000;
/// Records of a page of a listing, unless told.
pub(crate) const PAGE_DEFAULT: usize = 500;

/// A key that may read and not write: 403 at the ingest door. For tests of that answer.
pub const READ_ONLY_KEY: &str = "mos-read-only-key";

/// One mOS. Everything that can be asked over HTTP can be asked here as well.
pub struct Mos {
    clock: Clock,
    api_key: String,
    state: Mutex<State>,
}

struct State {
    store: Store,
    faults: Faults,
    ledger: Ledger,
    seen: Seen,
    tallies: Tallies,
    /// Answers of 200 by idempotency key.
    kept: BTreeMap<String, Kept>,
    /// The length of every version here.
    version_digits: Option<usize>,
}

struct Kept {
    body_digest: [u8; 32],
    answered_micros: i64,
    /// The place of its entry in the ledger.
    place: usize,
    /// Its answer arrived whole at least once.
    delivered: bool,
}

/// Requests counted while they come.
#[derive(Default)]
struct Seen {
    by_status: BTreeMap<u16, u64>,
    lost: u64,
    replayed: u64,
    /// Records by type and outcome, repetitions left out.
    outcomes: BTreeMap<&'static str, BTreeMap<String, u64>>,
}

impl Seen {
    fn add(&mut self, entry: &LedgerEntry) {
        *self.by_status.entry(entry.status).or_default() += 1;
        self.lost += u64::from(entry.lost);
        self.replayed += u64::from(entry.replayed);
        if entry.replayed {
            return;
        }
        for record in &entry.records {
            let outcome = match record.outcome {
                Some(outcome) => json!(outcome).as_str().unwrap_or_default().to_owned(),
                None => "not_applied".to_owned(),
            };
            let kind = record
                .kind
                .parse::<RecordType>()
                .map_or("unknown", RecordType::as_str);
            let of_kind = self.outcomes.entry(kind).or_default();
            *of_kind.entry(outcome).or_default() += 1;
        }
    }
}

impl fmt::Debug for Mos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mos").finish_non_exhaustive()
    }
}

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Right {
    None,
    Read,
    Ingest,
}

/// An answer, and how it is to be delivered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) retry_after_s: Option<u64>,
    pub(crate) delivery: Delivery,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    Whole,
    /// Never answered, the connection stays open.
    Never,
    /// The connection is closed instead.
    Lost,
    Truncated,
    Garbage,
}

impl Answer {
    pub(crate) fn whole(status: u16, body: Value) -> Self {
        Self {
            status,
            body,
            retry_after_s: None,
            delivery: Delivery::Whole,
        }
    }

    pub(crate) fn refused(refused: Refused) -> Self {
        Self::whole(
            refused.status,
            json!({ "error": { "code": refused.code, "message": refused.message } }),
        )
    }
}

/// What a request that was heard comes to, before delivery.
struct Heard {
    answer: Answer,
    records: Vec<LedgerRecord>,
    replayed: bool,
}

impl Mos {
    /// An empty mOS that takes the time from `clock` and lets `api_key` write.
    ///
    /// # Panics
    /// Where no temporary file can be made for the ledger.
    pub fn new(clock: Clock, api_key: impl Into<String>) -> Arc<Self> {
        match Self::new_in(clock, api_key, None) {
            Ok(mos) => mos,
            Err(error) => panic!("no temporary file for the ledger can be made: {error}"),
        }
    }

    /// The same with its ledger as the file `ledger.jsonl` in a folder; a temporary file without a
    /// name where none is given, which goes with the process.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn new_in(
        clock: Clock,
        api_key: impl Into<String>,
        folder: Option<&Path>,
    ) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            clock,
            api_key: api_key.into(),
            state: Mutex::new(State {
                store: Store::default(),
                faults: Faults::default(),
                ledger: Ledger::new(folder)?,
                seen: Seen::default(),
                tallies: Tallies::default(),
                kept: BTreeMap::new(),
                version_digits: None,
            }),
        }))
    }

    /// One upsert request by a caller whose key was accepted: `Idempotency-Key` and body in,
    /// status and body out. Status 0 with null: no answer came (hang, connection closed, answer
    /// cut off). Faults apply, except that nobody waits for `slow`.
    pub fn handle_upsert(&self, key: Option<&str>, body: &[u8]) -> (u16, Value) {
        let arrived = self.now();
        let plan = self.plan();
        let answer = self.upsert(arrived, plan, Right::Ingest, key, body);
        match answer.delivery {
            Delivery::Whole => (answer.status, answer.body),
            Delivery::Garbage => (answer.status, Value::from(GARBAGE)),
            Delivery::Never | Delivery::Lost | Delivery::Truncated => (0, Value::Null),
        }
    }

    /// The records of a type, in the order of their ids; without those deleted in mOS.
    pub fn records(&self, kind: RecordType) -> Vec<StoredRecord> {
        self.state().store.after(kind, "").collect()
    }

    /// One record.
    pub fn record(&self, kind: RecordType, external_id: &str) -> Option<StoredRecord> {
        self.state().store.get(kind, external_id)
    }

    /// The ledger after an index; 0 for all of it. Everything is read into memory: for long
    /// ledgers ask page by page, or for [`Mos::outcomes`].
    pub fn ledger_since(&self, index: u64) -> Vec<Arc<LedgerEntry>> {
        self.ledger_page(index, usize::MAX)
    }

    /// At most `limit` entries of the ledger after an index.
    pub fn ledger_page(&self, index: u64, limit: usize) -> Vec<Arc<LedgerEntry>> {
        let from = usize::try_from(index).unwrap_or(usize::MAX);
        let end = self.ledger_len().min(from.saturating_add(limit));
        // The lock is taken anew for each, so that nobody waits for a long reading.
        (from..end)
            .filter_map(|place| self.state().ledger.entry(place).map(Arc::new))
            .collect()
    }

    /// How many entries the ledger has.
    pub fn ledger_len(&self) -> usize {
        self.state().ledger.len()
    }

    /// An entry of the ledger as a line of JSON; the first is at 0.
    pub(crate) fn ledger_line(&self, place: usize) -> Option<Vec<u8>> {
        self.state().ledger.line(place)
    }

    /// What became of the records, each `Idempotency-Key` counted once.
    pub fn outcomes(&self) -> Tallies {
        self.state().tallies.clone()
    }

    /// Scripts a fault, deletes a record in mOS, or clears all faults.
    ///
    /// # Errors
    /// A status or probability that cannot be.
    pub fn fault(&self, fault: Fault) -> Result<(), FaultError> {
        let mut state = self.state();
        match fault {
            Fault::Clear => state.faults.clear(),
            Fault::DeletedInMos { kind, external_id } => {
                state.store.delete(kind, &external_id);
            }
            fault @ (Fault::Slow { .. }
            | Fault::Status { .. }
            | Fault::Hang { .. }
            | Fault::ApplyThenLoseAnswer { .. }
            | Fault::Reject { .. }
            | Fault::Garbage { .. }
            | Fault::Truncated { .. }
            | Fault::Shuffled { .. }
            | Fault::Short { .. }
            | Fault::FailOver { .. }
            | Fault::Down { .. }) => state.faults.add(fault)?,
        }
        Ok(())
    }

    /// How many of the faults that were asked for are still in force.
    pub fn faults_left(&self) -> usize {
        self.state().faults.left()
    }

    /// What an mOS admin does in the product: removes a record and what hangs on it (a company's
    /// contacts and opportunities, their roles). Says how many records went.
    pub fn deleted_in_mos(&self, kind: RecordType, external_id: &str) -> usize {
        self.state().store.delete(kind, external_id)
    }

    /// Requests by status, records by type and outcome, and what is held, as JSON.
    pub fn counters(&self) -> Value {
        let state = self.state();
        let held: Map<String, Value> = RecordType::ALL
            .into_iter()
            .map(|kind| {
                let count = state.store.count(kind);
                (kind.as_str().to_owned(), Value::from(count))
            })
            .collect();
        let by_status = state.seen.by_status.iter();
        let by_status: BTreeMap<String, u64> = by_status
            .map(|(status, count)| (status.to_string(), *count))
            .collect();
        json!({
            "requests": state.ledger.len(),
            "by_status": by_status,
            "replayed": state.seen.replayed,
            "lost": state.seen.lost,
            "records": state.seen.outcomes,
            "held": held,
        })
    }

    pub(crate) fn now(&self) -> i64 {
        (self.clock)()
    }

    pub(crate) fn plan(&self) -> Plan {
        self.state().faults.plan()
    }

    /// Whether everything is out of order; and if so, whether connections are closed at once.
    pub(crate) fn down(&self) -> Option<bool> {
        self.state().faults.down()
    }

    pub(crate) fn right_of(&self, api_key: Option<&str>) -> Right {
        match api_key {
            Some(key) if key == self.api_key => Right::Ingest,
            Some(READ_ONLY_KEY) => Right::Read,
            _ => Right::None,
        }
    }

    /// Carries out one upsert request under a plan and writes it into the ledger.
    pub(crate) fn upsert(
        &self,
        arrived: i64,
        plan: Plan,
        right: Right,
        key: Option<&str>,
        body: &[u8],
    ) -> Answer {
        let now = self.now();
        let mut state = self.state();
        let mut heard = state.hear(now, plan.treatment, right, key, body);
        let answered = self.now();
        let delivery = heard.answer.delivery;
        let entry = LedgerEntry {
            index: u64::try_from(state.ledger.len())
                .unwrap_or(u64::MAX)
                .saturating_add(1),
            at_micros: arrived,
            answered_micros: answered,
            idempotency_key: key.map(str::to_owned),
            status: heard.answer.status,
            lost: delivery != Delivery::Whole,
            replayed: heard.replayed,
            records: std::mem::take(&mut heard.records),
        };
        if let (200, Some(key)) = (entry.status, key) {
            state.tally(now, key, body, &entry);
        }
        state.seen.add(&entry);
        if let Err(error) = state.ledger.push(&entry) {
            // Going on without it would let an audit pass that proves nothing.
            panic!("the ledger can not be written, is the disk full? {error}");
        }
        heard.answer
    }

    /// `GET /v1/records/{type}`: ids, versions and digests after an id.
    pub(crate) fn list(
        &self,
        kind: &str,
        after: &str,
        limit: Option<&str>,
        fields: Option<&str>,
    ) -> Answer {
        let Ok(kind) = kind.parse::<RecordType>() else {
            return unknown_type();
        };
        let limit = match limit.map(str::parse::<usize>) {
            None => PAGE_DEFAULT,
            Some(Ok(limit)) if (1..=PAGE_MAX).contains(&limit) => limit,
            Some(_) => {
                return Answer::refused(Refused::new(
                    422,
                    "malformed",
                    format!("limit is a number from 1 to {PAGE_MAX}"),
                ));
            }
        };
        let names: Vec<&str> = match fields {
            Some(fields) => fields.split(',').collect(),
            None => kind.fields().iter().map(|field| field.name).collect(),
        };
        if names.iter().any(|name| kind.field(name).is_none()) {
            return Answer::refused(Refused::new(
                422,
                "malformed",
                format!("fields names a field that mOS does not have on {kind}"),
            ));
        }
        let state = self.state();
        let records: Vec<Value> = state
            .store
            .after(kind, after)
            .take(limit)
            .map(|record| {
                json!({
                    "external_id": record.external_id,
                    "version": record.version,
                    "digest": digest(names.iter().copied(), &record.fields),
                })
            })
            .collect();
        Answer::whole(200, json!({ "records": records }))
    }

    /// `GET /v1/records/{type}/{external_id}`.
    pub(crate) fn one(&self, kind: &str, external_id: &str) -> Answer {
        let Ok(kind) = kind.parse::<RecordType>() else {
            return unknown_type();
        };
        match self.record(kind, external_id) {
            Some(record) => Answer::whole(200, json!(record)),
            None => Answer::refused(Refused::new(
                404,
                "not_found",
                format!("mOS has no such {kind}"),
            )),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The body of an answer that is no JSON.
pub(crate) const GARBAGE: &str = "<html><body>It works!</body></html>";

impl State {
    /// Decides over one request. The order is: out of order, key, scripted status, records that it
    /// fails over, size, idempotency, body, records.
    fn hear(
        &mut self,
        now: i64,
        treatment: Treatment,
        right: Right,
        key: Option<&str>,
        body: &[u8],
    ) -> Heard {
        let refusal = match (treatment, right) {
            (Treatment::Down { refuse: true }, _) => Some(no_answer(Delivery::Lost)),
            (Treatment::Down { refuse: false }, _) => Some(scripted(503, None)),
            (_, Right::None) => Some(unauthorized()),
            (_, Right::Read) => Some(Answer::refused(Refused::new(
                403,
                "forbidden",
                "this key may read and not ingest",
            ))),
            (Treatment::Hang, _) => Some(no_answer(Delivery::Never)),
            (
                Treatment::Status {
                    status,
                    retry_after_s,
                },
                _,
            ) => Some(scripted(status, retry_after_s)),
            (
                Treatment::Proceed
                | Treatment::Lose
                | Treatment::Garbage
                | Treatment::Truncated
                | Treatment::Shuffled
                | Treatment::Short,
                Right::Ingest,
            ) => None,
        };
        if let Some(answer) = refusal {
            return not_applied(answer, body);
        }
        let failed = not_applied(scripted(500, None), body);
        let holds_poison = failed
            .records
            .iter()
            .any(|record| self.faults.fails_over(&record.external_id));
        if holds_poison {
            return failed;
        }
        match self.ingest(now, key, body) {
            Ok((records, replayed)) => Heard {
                answer: delivered(treatment, &records),
                records,
                replayed,
            },
            Err(refused) => not_applied(Answer::refused(refused), body),
        }
    }

    fn ingest(
        &mut self,
        now: i64,
        key: Option<&str>,
        body: &[u8],
    ) -> Result<(Vec<LedgerRecord>, bool), Refused> {
        if body.len() > BODY_BYTES_MAX {
            return Err(Refused::new(
                413,
                "too_large",
                format!("{} bytes; at most {BODY_BYTES_MAX} in a body", body.len()),
            ));
        }
        let key = key
            .filter(|key| (1..=KEY_LENGTH_MAX).contains(&key.len()))
            .ok_or_else(|| {
                Refused::new(
                    422,
                    "key_missing",
                    format!("send an Idempotency-Key of 1 to {KEY_LENGTH_MAX} characters"),
                )
            })?;
        if let Some(kept) = self.kept.get(key).filter(|kept| kept.valid(now)) {
            if kept.body_digest != body_digest(body) {
                return Err(Refused::new(
                    422,
                    "key_reused",
                    "this Idempotency-Key was used for another body",
                ));
            }
            let entry = self.ledger.entry(kept.place);
            return Ok((entry.map(|entry| entry.records).unwrap_or_default(), true));
        }

        let incoming = read(body)?;
        self.version_digits = check(&incoming, self.version_digits)?;
        let mut records = Vec::with_capacity(incoming.len());
        for record in incoming {
            let verdict = match self.faults.rejection(&record.external_id) {
                Some((code, field)) => {
                    let message = message_of(code, field.as_deref());
                    Err((code, field, message))
                }
                None => self
                    .store
                    .apply(&record)
                    .map_err(|rejection| (rejection.code, rejection.field, rejection.message)),
            };
            records.push(judged(record.into_ledger(), verdict));
        }
        Ok((records, false))
    }

    /// Counts what was applied, and remembers the answer for its key. `entry` is the next of the
    /// ledger.
    fn tally(&mut self, now: i64, key: &str, body: &[u8], entry: &LedgerEntry) {
        // Forget what has run out, once in a while: the map is walked whole.
        if self.kept.len().is_multiple_of(1_024) {
            self.kept.retain(|_, kept| kept.valid(now));
        }
        if entry.replayed {
            if let Some(kept) = self.kept.get_mut(key)
                && !kept.delivered
                && !entry.lost
            {
                kept.delivered = true;
                self.tallies.delivered.add(entry);
            }
            return;
        }
        self.tallies.keys += 1;
        self.tallies.applied.add(entry);
        if !entry.lost {
            self.tallies.delivered.add(entry);
        }
        let kept = Kept {
            body_digest: body_digest(body),
            answered_micros: entry.answered_micros,
            place: self.ledger.len(),
            delivered: !entry.lost,
        };
        self.kept.insert(key.to_owned(), kept);
    }
}

impl Kept {
    fn valid(&self, now: i64) -> bool {
        now.saturating_sub(self.answered_micros) <= KEPT_MICROS
    }
}

/// What mOS says of a record that a fault rejects: as it would say it of one that deserves it.
fn message_of(code: RejectCode, field: Option<&str>) -> String {
    let field = field.unwrap_or("a field");
    match code {
        RejectCode::ParentMissing => "the record that it refers to is not in mOS".to_owned(),
        RejectCode::Busy => "the record is being edited in mOS".to_owned(),
        RejectCode::InvalidField => format!("mOS does not accept the value of {field}"),
        RejectCode::ValueTooLong => format!("the text of {field} is longer than mOS keeps"),
        RejectCode::UnknownType => "mOS does not know this type of record".to_owned(),
        RejectCode::DeletedInMos => "an administrator of mOS has deleted the record".to_owned(),
    }
}

fn judged(
    mut record: LedgerRecord,
    verdict: Result<Outcome, (RejectCode, Option<String>, String)>,
) -> LedgerRecord {
    match verdict {
        Ok(outcome) => record.outcome = Some(outcome),
        Err((code, field, message)) => {
            record.outcome = Some(Outcome::Rejected);
            record.error_code = Some(code);
            record.error_field = field;
            record.error_message = Some(message);
        }
    }
    record
}

/// A 200 for these records, as the treatment delivers it.
fn delivered(treatment: Treatment, records: &[LedgerRecord]) -> Answer {
    let mut results: Vec<Value> = records.iter().map(LedgerRecord::result).collect();
    let delivery = match treatment {
        Treatment::Shuffled => {
            results.reverse();
            Delivery::Whole
        }
        Treatment::Short => {
            results.pop();
            Delivery::Whole
        }
        Treatment::Lose => Delivery::Lost,
        Treatment::Garbage => Delivery::Garbage,
        Treatment::Truncated => Delivery::Truncated,
        Treatment::Proceed
        | Treatment::Status { .. }
        | Treatment::Down { .. }
        | Treatment::Hang => Delivery::Whole,
    };
    let mut answer = Answer::whole(200, json!({ "results": results }));
    answer.delivery = delivery;
    answer
}

fn not_applied(answer: Answer, body: &[u8]) -> Heard {
    let records = if body.len() > BODY_BYTES_MAX {
        Vec::new()
    } else {
        read(body).unwrap_or_default()
    };
    Heard {
        answer,
        records: records
            .into_iter()
            .map(|record| record.into_ledger())
            .collect(),
        replayed: false,
    }
}

fn no_answer(delivery: Delivery) -> Answer {
    Answer {
        status: 0,
        body: Value::Null,
        retry_after_s: None,
        delivery,
    }
}

fn scripted(status: u16, retry_after_s: Option<u64>) -> Answer {
    let (code, message) = if status == 429 {
        (
            "rate_limited",
            "too many requests; wait as Retry-After says",
        )
    } else {
        ("unavailable", "mOS is out of order; try again")
    };
    Answer {
        retry_after_s,
        ..Answer::refused(Refused::new(status, code, message))
    }
}

pub(crate) fn unavailable() -> Answer {
    scripted(503, None)
}

pub(crate) fn unauthorized() -> Answer {
    Answer::refused(Refused::new(
        401,
        "unauthorized",
        "send Authorization: Bearer and a valid API key",
    ))
}

fn unknown_type() -> Answer {
    Answer::refused(Refused::new(404, "unknown_type", UnknownType.to_string()))
}

fn body_digest(body: &[u8]) -> [u8; 32] {
    Sha256::digest(body).into()
}
