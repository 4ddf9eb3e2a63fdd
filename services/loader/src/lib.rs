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
use domain::unit::{Cause, Envelope, QueueName, Stage, UnitRecord};
use domain::{ObjectKind, SalesforceId, Ticket, Timestamp};
use ports::Clock;
use ports::source::Source;
use ports::stores::Stores;
use ports::target::Target;
use runtime::gate::Gate;
use runtime::readback::RulesInForce;
use runtime::worker::{Handler, Outage, Settle, Verdict};
use tokio::sync::watch;

pub use circuit::Circuit;
pub use limiter::Limiter;

use outcome::Sorted;
use request::{Mapped, Sent};

/// The first wait of a record that mOS was too busy for; the ladder's next rungs follow.
const RETRIES: [Duration; 3] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(120),
];

/// Rows that were read longer ago are read again before they are sent.
const MAX_AGE: Duration = Duration::from_secs(60);

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

    /// Sends what is in the unit and sorts the answers.
    async fn load(&self, mut unit: Envelope, ticket: Ticket) -> Result<Verdict, Outage> {
        let mut sorted = Sorted::new(&unit, self.clock.now());
        let mapped = self.map(&mut unit, &mut sorted).await?;
        let mut left = Vec::new();
        let mut chunks = request::chunks(mapped).into_iter();
        for chunk in chunks.by_ref() {
            let sent = request::send(self, &unit, ticket.version, chunk).await;
            let Sent {
                answered,
                unsent,
                trouble,
            } = sent;
            for (record, outcome) in answered {
                sorted.take(record, outcome);
            }
            if let Some(trouble) = trouble {
                left.extend(unsent);
                let wait = self.circuit.failed(&trouble);
                self.limiter.backed_off();
                left.extend(chunks.flatten());
                return self.conclude(unit, sorted, left, Some(wait)).await;
            }
            self.circuit.succeeded();
            self.limiter.succeeded();
        }
        self.conclude(unit, sorted, left, None).await
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

    /// What is left of the unit decides how it goes on; everything else is terminal.
    async fn conclude(
        &self,
        mut unit: Envelope,
        sorted: Sorted,
        unsent: Vec<Mapped>,
        outage: Option<Duration>,
    ) -> Result<Verdict, Outage> {
        let Sorted {
            tally,
            park,
            accepted,
            left,
            orphans,
            ..
        } = sorted;
        self.release_children(&unit, &accepted).await?;
        unit.tally.merge(&tally);
        unit.records = left;
        unit.records
            .extend(unsent.into_iter().map(|mapped| mapped.record));
        let mut verdict = if !orphans.is_empty() {
            // Back to where rows are read: with the companions, the missing parent comes along.
            unit.records.extend(orphans);
            unit.rereads += 1;
            Verdict::pass_on(QueueName::new(Stage::Filter, unit.lane), read_again(unit))
        } else if unit.records.is_empty() {
            Verdict::finished(unit)
        } else {
            let wait = outage.unwrap_or_else(|| rung(unit.attempts));
            unit.attempts += 1;
            unit.records
                .sort_by_key(|record| (record.object, record.id));
            Verdict {
                publish: Vec::new(),
                park: Vec::new(),
                unpark: Vec::new(),
                count: None,
                settle: Settle::RetryAfter(wait, Box::new(unit)),
            }
        };
        verdict.park = park;
        Ok(verdict)
    }

    /// Children that waited for a record which has now arrived are read again, as a job of their
    /// own. Done again after a crash it is the same job, or finds the same children still parked.
    async fn release_children(
        &self,
        unit: &Envelope,
        accepted: &[(ObjectKind, SalesforceId)],
    ) -> Result<(), Outage> {
        if accepted.is_empty() {
            return Ok(());
        }
        let waiting = self.stores.parked.accepted(accepted).await?;
        if waiting.is_empty() {
            return Ok(());
        }
        let records = waiting
            .iter()
            .map(|child| (child.object, child.id))
            .collect::<BTreeSet<_>>();
        let name = format!(
            "children of {} at attempt {}.{}: {records:?}",
            unit.id, unit.rereads, unit.attempts
        );
        let id = JobId::new(JobKind::Retry, domain::job::uuid_of(&name));
        let job = Job::queued(
            id,
            JobKind::Retry,
            JobScope::Records { records },
            self.clock.now(),
        );
        Ok(self.stores.jobs.create(&job).await?)
    }
}

#[async_trait]
impl Handler for Loader {
    fn stage(&self) -> Stage {
        Stage::Load
    }

    fn gate(&self) -> watch::Receiver<Gate> {
        self.gate.clone()
    }

    async fn handle(&self, mut unit: Envelope) -> Result<Verdict, Outage> {
        let Some(ticket) = unit.ticket else {
            return Err(Outage::Other(
                "a unit came to the load stage without a ticket; it was not filtered".to_owned(),
            ));
        };
        // The place first: what is looked at next must not grow old while the unit waits for it.
        let _permit = self.limiter.acquire(unit.lane).await;
        let now = self.stores.ticket.take().await?;
        if now.rule_revision != ticket.rule_revision {
            tracing::info!(unit = %unit.id, "the rules have changed since this unit was read; it is read again");
            return Ok(Verdict::pass_on(
                QueueName::new(Stage::Filter, unit.lane),
                read_again(unit),
            ));
        }
        if is_outdated(&unit, ticket, now, self.max_age) {
            tracing::info!(unit = %unit.id, "this unit was read too long ago; it is read again");
            return Ok(Verdict::pass_on(
                QueueName::new(Stage::Filter, unit.lane),
                read_again(unit),
            ));
        }
        let snapshot = self.stores.permissions.latest().await?;
        let void = drop_unpermitted(&mut unit, &snapshot, now.version.time());
        let mut verdict = if unit.records.is_empty() {
            Verdict::finished(unit)
        } else {
            self.load(unit, ticket).await?
        };
        verdict.unpark = void;
        Ok(verdict)
    }
}

/// Whether so much time has passed since the unit was read that its records may have left the scope
/// unnoticed, because mOS or a worker was out of reach. A unit that was slow to be read may be
/// older, so that a backlog does not keep it from ever arriving.
fn is_outdated(unit: &Envelope, ticket: Ticket, now: Ticket, max_age: Duration) -> bool {
    let read = ticket.version.time();
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

/// The unit as it was before anything was read. Companions become records of their own: what they
/// came along with may have arrived already.
fn read_again(mut unit: Envelope) -> Envelope {
    unit.records = unit
        .records
        .iter()
        .map(|record| reread(record.object, record.id))
        .collect();
    unit.ticket = None;
    unit
}

fn reread(object: ObjectKind, id: SalesforceId) -> UnitRecord {
    UnitRecord {
        object,
        id,
        cause: Cause::Reread,
        row: None,
        owners: BTreeSet::new(),
        last_word: false,
        entering: false,
    }
}
