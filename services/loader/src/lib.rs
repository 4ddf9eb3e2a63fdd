//! The loader worker: writes units to mOS, parents before children.
//!
//! Just before sending it looks once more at everything that may have changed while the unit
//! waited: the rules (an older revision goes back to be read again) and the permissions (whose
//! owners have lost theirs is dropped). What mOS answers decides record by record.

mod circuit;
pub mod gates;
mod limiter;
mod outcome;
mod request;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::job::{Job, JobId, JobKind, JobScope};
use domain::permission::PermissionSnapshot;
use domain::rule::is_permitted;
use domain::tally::Count;
use domain::unit::{Cause, Envelope, Lane, Stage, UnitCopy};
use domain::{ObjectKind, SalesforceId, Ticket, Timestamp};
use ports::Clock;
use ports::source::Source;
use ports::stores::{Sending, Stores};
use ports::target::{Target, TargetError};
use runtime::gate::Gate;
use runtime::readback::RulesInForce;
use runtime::worker::{Handler, Outage, Verdict, Void};
use tokio::sync::watch;

pub use circuit::Circuit;
pub use limiter::Limiter;

use outcome::Sorted;
use request::{Mapped, Repeat, Round, Sender, Sent};

/// The first wait of a record that mOS was too busy for; the ladder's next rungs follow.
const RETRIES: [Duration; 3] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(120),
];

/// Rows that were read longer ago are read again before they are sent.
const MAX_AGE: Duration = Duration::from_secs(60);

/// After so many times without any answer, what is left of a unit is parked as `retry_later`.
const MAX_OUTAGES: u32 = 6;

/// Why sending stopped before its end.
#[derive(Debug, Clone, Copy)]
struct Stopped {
    /// How long what is left waits.
    wait: Duration,
    /// mOS gave no answer; it did not ask for a pause, nor refuse the key.
    unanswered: bool,
}

impl Stopped {
    /// The gate decides when it goes on.
    const BY_SETTINGS: Self = Self {
        wait: circuit::UNIT_WAIT,
        unanswered: false,
    };
}

/// The load stage.
pub struct Loader {
    target: Arc<dyn Target>,
    stores: Stores,
    clock: Arc<dyn Clock>,
    rules: RulesInForce,
    limiter: Arc<Limiter>,
    circuit: Arc<Circuit>,
    gate: watch::Receiver<Gate>,
    max_age: Duration,
}

impl std::fmt::Debug for Loader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Loader")
    }
}

impl Loader {
    /// Writes to `target`. `gate` is the one that [`gates::Gates`] and `circuit` keep.
    #[must_use]
    pub fn new(
        target: Arc<dyn Target>,
        source: Arc<dyn Source>,
        stores: Stores,
        clock: Arc<dyn Clock>,
        circuit: Arc<Circuit>,
        gate: watch::Receiver<Gate>,
    ) -> Self {
        let rules = RulesInForce::new(stores.clone(), source);
        Self {
            target,
            stores,
            clock,
            rules,
            limiter: Arc::new(Limiter::default()),
            circuit,
            gate,
            max_age: MAX_AGE,
        }
    }

    /// Another age than a minute after which rows are read again before they are sent. What is
    /// sent must have been in scope within the poll interval and the request timeout before.
    #[must_use]
    pub const fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// Sends what is in the unit and sorts the answers. `begun`: see [`Sender`].
    async fn load(
        &self,
        mut unit: Envelope,
        ticket: Ticket,
        (repeat, begun): (Repeat, bool),
    ) -> Result<Verdict, Outage> {
        // Always in the same order, so that a request sent anew is the one that was sent.
        unit.records
            .sort_by_key(|record| (record.object, record.id));
        let mut sorted = Sorted::new(&unit, self.clock.now());
        let mapped = self.map(&mut unit, &mut sorted).await?;
        let sender = Sender {
            loader: self,
            unit: &unit,
            version: ticket.version,
            repeat,
            begun,
        };
        let (mut left, mut stopped) = send_all(sender, Round::First, mapped, &mut sorted).await;
        if stopped.is_some_and(|stopped| stopped.unanswered) {
            // mOS may have applied what it has not answered, and says so only to the same request:
            // nothing that was answered before it may come into that one.
            sorted.put_off();
        }
        let skipped = std::mem::take(&mut sorted.skipped);
        if !skipped.is_empty() {
            // An older row that creates the deal may be on its way. Whoever creates it after this
            // mark finds the mark; what was created before it is found by sending once more.
            let deals = skipped.iter().map(|deal| (deal.record.id, ticket.version));
            let deals = deals.collect::<Vec<_>>();
            self.stores
                .last_words
                .mark(&deals, self.clock.now())
                .await?;
            let (again, trouble) =
                send_all(sender, Round::LastWordAgain, skipped, &mut sorted).await;
            left.extend(again);
            stopped = stopped.or(trouble);
        }
        if !repeat.may_be_new() && stopped.is_some() {
            return Err(Outage::Other(format!(
                "mOS does not say what it has had of unit {}; it is asked again",
                unit.id
            )));
        }
        self.say_overtaken_words(&unit, ticket, &sorted.created)
            .await?;
        if !sorted.accepted.is_empty() {
            let now = self.clock.now();
            let parked = &self.stores.parked;
            parked
                .accepted(&sorted.accepted, ticket.version, now)
                .await?;
        }
        if stopped.is_some_and(|stopped| stopped.unanswered) {
            unit.outages += 1;
        }
        if unit.outages >= MAX_OUTAGES {
            // mOS answers others, or nothing would be sent; these are taken up again later.
            for record in left.drain(..) {
                sorted.unanswered(&record.record);
            }
        }
        Ok(conclude(unit, sorted, left, stopped, repeat))
    }

    /// Deals that have just been created from rows older than their last word are read again, so
    /// that none stays open in mOS for ever.
    async fn say_overtaken_words(
        &self,
        unit: &Envelope,
        ticket: Ticket,
        created: &[SalesforceId],
    ) -> Result<(), Outage> {
        if created.is_empty() {
            return Ok(());
        }
        let versions = created.iter().map(|id| (*id, ticket.version));
        let overtaken = self
            .stores
            .last_words
            .overtaken(&versions.collect::<Vec<_>>())
            .await?;
        if overtaken.is_empty() {
            return Ok(());
        }
        let records = overtaken
            .into_iter()
            .map(|id| (ObjectKind::Opportunity, id))
            .collect::<BTreeSet<_>>();
        // The same unit that is handled again asks for the same job.
        let name = format!(
            "last words after {} at attempt {}.{}: {records:?}",
            unit.id, unit.rereads, unit.attempts
        );
        let id = JobId::new(JobKind::Retry, domain::job::uuid_of(&name));
        let scope = JobScope::Records { records };
        let job = Job::queued(id, JobKind::Retry, scope, self.clock.now());
        Ok(self.stores.jobs.create(&job).await?)
    }

    /// Turns rows into mOS fields; what cannot be mapped is parked.
    async fn map(&self, unit: &mut Envelope, sorted: &mut Sorted) -> Result<Vec<Mapped>, Outage> {
        let (_, rules) = self.rules.ticket().await?;
        let mut mapped = Vec::with_capacity(unit.records.len());
        for record in std::mem::take(&mut unit.records) {
            match request::map(&record, rules.mapping()) {
                Ok(fields) => mapped.push(Mapped { record, fields }),
                Err(reason) => sorted.unmappable(&record, reason),
            }
        }
        Ok(mapped)
    }
}

/// Sends records in as many requests as they need, until one fails as a whole: what was not
/// answered then, and how long it waits.
async fn send_all(
    sender: Sender<'_>,
    round: Round,
    records: Vec<Mapped>,
    sorted: &mut Sorted,
) -> (Vec<Mapped>, Option<Stopped>) {
    let Loader {
        limiter, circuit, ..
    } = sender.loader;
    let mut left = Vec::new();
    let mut chunks = request::chunks(records).into_iter();
    for chunk in chunks.by_ref() {
        let Sent {
            answered,
            at_fault,
            unsent,
            trouble,
            stopped,
        } = request::send(sender, round, chunk).await;
        for (record, outcome) in answered {
            sorted.take(record, outcome, round);
        }
        for record in at_fault {
            sorted.unanswered(&record.record);
        }
        left.extend(unsent);
        if stopped {
            left.extend(chunks.flatten());
            return (left, Some(Stopped::BY_SETTINGS));
        }
        if let Some(trouble) = trouble {
            limiter.backed_off();
            let stopped = Stopped {
                wait: circuit.failed(&trouble),
                unanswered: matches!(trouble, TargetError::Unreachable(_)),
            };
            left.extend(chunks.flatten());
            return (left, Some(stopped));
        }
        circuit.succeeded();
        limiter.succeeded();
    }
    (left, None)
}

/// What is left of the unit decides how it goes on; everything else is terminal.
fn conclude(
    mut unit: Envelope,
    sorted: Sorted,
    unsent: Vec<Mapped>,
    stopped: Option<Stopped>,
    repeat: Repeat,
) -> Verdict {
    let Sorted {
        tally,
        park,
        left,
        orphans,
        ..
    } = sorted;
    unit.tally.merge(&tally);
    unit.records = left;
    unit.records
        .extend(unsent.into_iter().map(|mapped| mapped.record));
    let mut verdict = if repeat == Repeat::Last {
        unit.records.extend(orphans);
        Verdict::cancelled(unit)
    } else if !orphans.is_empty() {
        // Back to where rows are read: with the companions, the missing parent comes along.
        unit.records.extend(orphans);
        unit.rereads += 1;
        Verdict::read_again(one_step_on(unit))
    } else if unit.records.is_empty() {
        Verdict::finished(unit)
    } else if repeat == Repeat::Only {
        Verdict::read_again(one_step_on(unit))
    } else {
        let wait = stopped.map_or_else(|| rung(unit.attempts), |stopped| stopped.wait);
        // Only what mOS was too busy for uses up attempts; silence and pauses are nobody's fault.
        unit.attempts += u32::from(stopped.is_none());
        Verdict::later(wait, one_step_on(unit))
    };
    verdict.park = park;
    verdict
}

#[async_trait]
impl Handler for Loader {
    fn stage(&self) -> Stage {
        Stage::Load
    }

    fn gate(&self) -> watch::Receiver<Gate> {
        self.gate.clone()
    }

    async fn came_to(&self, unit: Envelope, _copy: &UnitCopy) -> Result<Option<Verdict>, Outage> {
        let Some(ticket) = unit.ticket else {
            return Ok(None);
        };
        let _permit = self.limiter.acquire(unit.lane).await;
        let records = unit.records.len();
        let verdict = self.load(unit, ticket, (Repeat::Only, true)).await?;
        let left = verdict.publish.iter().map(|(_, unit)| unit.records.len());
        // What mOS has not had is taken apart only where it has had nothing.
        Ok((left.sum::<usize>() < records).then_some(verdict))
    }

    async fn handle(&self, mut unit: Envelope, copy: &UnitCopy) -> Result<Verdict, Outage> {
        let Some(ticket) = unit.ticket else {
            return Err(Outage::Other(
                "a unit came to the load stage without a ticket; it was not filtered".to_owned(),
            ));
        };
        // The place first: what is looked at next must not grow old while the unit waits for it.
        let _permit = self.limiter.acquire(unit.lane).await;
        if self.circuit.is_stopped() {
            // Nothing was sent; it is taken up again when the gate lets it.
            return Ok(Verdict::later(circuit::UNIT_WAIT, unit));
        }
        let now = self.stores.ticket.take().await?;
        let reason = why_not(&unit, ticket, now, self.max_age);
        let sending = self
            .begin(&unit, copy, reason.is_none() || unit.outages > 0)
            .await?;
        let repeat = match (sending, reason) {
            (Sending::Counted | Sending::Superseded, _) => {
                tracing::info!(unit = %unit.id, step = unit.step, "another copy of this unit is counted, or will be");
                return Ok(Verdict::left_to_another());
            }
            (Sending::Cancelled, _) if unit.outages == 0 => return Ok(Verdict::cancelled(unit)),
            // It was begun, and mOS was silent: what it has had is not cancelled.
            (Sending::Cancelled, _) => Repeat::Last,
            (Sending::First | Sending::Again, None) => Repeat::OrNew,
            (Sending::First, Some(reason)) if unit.outages == 0 => {
                tracing::info!(unit = %unit.id, "{reason}; it is read again");
                return Ok(Verdict::read_again(unit));
            }
            // It was sent before, or may have been.
            (Sending::First | Sending::Again, Some(reason)) => {
                tracing::info!(unit = %unit.id, "{reason}; what mOS has not had of it is read again");
                Repeat::Only
            }
        };
        let snapshot = self.stores.permissions.latest().await?;
        let at = now.version.time();
        let (repeat, void) = if !may_have_been_sent(&unit, sending) {
            (repeat, drop_unpermitted(&mut unit, &snapshot, at))
        } else if repeat.may_be_new()
            && unit
                .records
                .iter()
                .any(|record| !is_permitted(&record.owners, &snapshot, at))
        {
            // mOS may have what is not permitted any more: what it answered is counted, the rest
            // is read again and then left out.
            (Repeat::Only, Vec::new())
        } else {
            (repeat, Vec::new())
        };
        let mut verdict = if unit.records.is_empty() {
            Verdict::finished(unit)
        } else {
            let begun = sending == Sending::Again;
            self.load(unit, ticket, (repeat, begun)).await?
        };
        verdict.unpark = Void {
            records: void,
            version: ticket.version,
        };
        Ok(verdict)
    }
}

impl Loader {
    /// Whether this copy may be sent. Of a job's units one copy is, whatever has become of others;
    /// live units are not held to that.
    async fn begin(&self, unit: &Envelope, copy: &UnitCopy, take: bool) -> Result<Sending, Outage> {
        match unit.lane {
            Lane::Live => Ok(Sending::First),
            Lane::Bulk => {
                let jobs = &self.stores.jobs;
                Ok(jobs
                    .begin_sending(&unit.job, unit.index, copy, take)
                    .await?)
            }
        }
    }
}

/// Whether mOS may have had this unit before, without its answer having arrived.
fn may_have_been_sent(unit: &Envelope, sending: Sending) -> bool {
    sending == Sending::Again || unit.outages > 0
}

/// Why the unit must not be sent as it is.
fn why_not(
    unit: &Envelope,
    ticket: Ticket,
    now: Ticket,
    max_age: Duration,
) -> Option<&'static str> {
    if now.rule_revision != ticket.rule_revision {
        Some("the rules have changed since this unit was read")
    } else if is_outdated(unit, ticket, now, max_age) {
        Some("this unit was read too long ago")
    } else {
        None
    }
}

/// What is left of a unit after it has been sent: other copies of it are outdated.
fn one_step_on(mut unit: Envelope) -> Envelope {
    unit.step += 1;
    unit
}

/// Whether so much time has passed since the unit's scope was asked that its records may have left the scope
/// unnoticed, because mOS or a worker was out of reach. A unit that was slow to be read may be
/// older, so that a backlog does not keep it from ever arriving.
fn is_outdated(unit: &Envelope, ticket: Ticket, now: Ticket, max_age: Duration) -> bool {
    let read = unit.scoped.unwrap_or_else(|| ticket.version.time());
    now.version.time().since(read) > max_age.max(read.since(unit.published) / 4)
}

/// How long a record that mOS was too busy for waits, after so many attempts before.
fn rung(attempts: u32) -> Duration {
    let [first, second, last] = RETRIES;
    match attempts {
        0 => first,
        1 => second,
        _ => last,
    }
}

/// Whose owners have lost their permission meanwhile leaves the unit.
fn drop_unpermitted(
    unit: &mut Envelope,
    snapshot: &PermissionSnapshot,
    at: Timestamp,
) -> Vec<(ObjectKind, SalesforceId)> {
    let mut void = Vec::new();
    let tally = &mut unit.tally;
    unit.records.retain(|record| {
        let permitted = is_permitted(&record.owners, snapshot, at);
        if !permitted {
            tally.add(record.object, Count::NotPermitted);
            // A companion came with the owners of one deal only: it may be in scope by another.
            if record.cause != Cause::Companion {
                void.push((record.object, record.id));
            }
        }
        permitted
    });
    void
}
