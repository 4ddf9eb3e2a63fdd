//! The loop that every worker runs: take a unit, let the handler judge it, publish, record, settle.
//!
//! A handler returns a [`Verdict`]; only this loop settles deliveries, always in the same order:
//! publish with confirm, park, count, settle. Each step is safe to repeat, so being killed between
//! any two of them costs a redelivery and nothing else.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::failure::{FailureKind, Policy};
use domain::job::JobId;
use domain::parked::Parked;
use domain::tally::{Count, Tally};
use domain::unit::{
    Envelope, Lane, MESSAGE_TYPE, MESSAGE_VERSION, QueueName, Stage, UnitCopy, UnitRecord,
};
use domain::{ObjectKind, SalesforceId, Ticket, Version};
use futures::FutureExt;
use ports::Clock;
use ports::queue::{Delivery, Incoming, LinkLost, Message, PublishError, Queue};
use ports::source::SourceError;
use ports::stores::{LogEntry, LogLevel, Standing, StoreError, Stores};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::gate::Gate;
use crate::in_hand::InHand;
use crate::outages::{BROKER, Outages};
use crate::reasons::Reason;

/// No unit stays in hand longer than this.
const HANDLING_LIMIT: Duration = Duration::from_secs(240);
/// The pause after an outage, doubled from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(30);
/// How long a unit that met an outage waits before it is tried again.
const OUTAGE_RETRY: Duration = Duration::from_secs(5);
/// What the units in hand on a lane may weigh together, in bytes of their messages as they come or
/// as they are sent on; one more is taken while they weigh less. Each is in memory several times
/// over: as it came, read, and as it is sent on.
const MOST_BYTES: usize = 4 << 20;
/// From how many units before it is known what the next one grows to.
const GROWN: usize = 16;
/// How many units of the bulk lane run at a time beside live ones.
const BESIDE_LIVE: u16 = 2;
/// Parked records of one unit of which each has a line in the integration log; the rest have one
/// together.
const PARKED_LINES: usize = 10;
/// How long the loop waits for room in a full queue before it hands the unit back.
const FULL_LIMIT: Duration = Duration::from_secs(120);

/// What is to be done about a unit.
#[derive(Debug)]
pub struct Verdict {
    /// Units to publish, each to its queue.
    pub publish: Vec<(QueueName, Envelope)>,
    /// Records to park.
    pub park: Vec<Parked>,
    /// Records whose parked entries are void.
    pub unpark: Void,
    /// The unit's tally, when its last record is terminal.
    pub count: Option<Counted>,
    /// Then settle it so.
    pub settle: Settle,
}

impl Verdict {
    /// Passes the unit on to the next stage.
    #[must_use]
    pub fn pass_on(to: QueueName, unit: Envelope) -> Self {
        Self {
            publish: vec![(to, unit)],
            park: Vec::new(),
            unpark: Void::default(),
            count: None,
            settle: Settle::Ack,
        }
    }

    /// Sends the unit back to where rows are read.
    #[must_use]
    pub fn read_again(unit: Envelope) -> Self {
        Self::pass_on(QueueName::new(Stage::Filter, unit.lane), unit.unread())
    }

    /// Nothing is to be done about this copy of a unit: another one is counted.
    #[must_use]
    pub fn left_to_another() -> Self {
        Self {
            publish: Vec::new(),
            park: Vec::new(),
            unpark: Void::default(),
            count: None,
            settle: Settle::Ack,
        }
    }

    /// Nothing more is done for what is left of a cancelled job's unit.
    #[must_use]
    pub fn cancelled(mut unit: Envelope) -> Self {
        for record in std::mem::take(&mut unit.records) {
            unit.tally.add(record.object, Count::Cancelled);
        }
        Self::finished(unit)
    }

    /// Nothing is left to be done for the unit: counts it.
    #[must_use]
    pub fn finished(unit: Envelope) -> Self {
        let count = Some(Counted {
            job: unit.job,
            index: unit.index,
            tally: unit.tally,
        });
        Self {
            publish: Vec::new(),
            park: Vec::new(),
            unpark: Void::default(),
            count,
            settle: Settle::Ack,
        }
    }
}

impl Verdict {
    /// What the rows of the units weigh that are to be published.
    fn row_bytes(&self) -> usize {
        let records = self.publish.iter().flat_map(|(_, unit)| &unit.records);
        let rows = records.filter_map(|record| record.row.as_ref());
        rows.map(|row| row.get().len()).sum()
    }
}

/// What the units in hand weigh. One that comes as a list of ids may grow to megabytes when its
/// rows are read; it is taken to weigh what the heaviest of those before it came to.
struct Weight {
    in_hand: usize,
    /// What the last units grew to; nothing is known at first.
    grown: VecDeque<usize>,
    unknown: usize,
}

impl Weight {
    /// Few are taken until it is known what they grow to, but by the loader, which sends nothing on.
    fn of(stage: Stage) -> Self {
        Self {
            in_hand: 0,
            grown: VecDeque::with_capacity(GROWN),
            unknown: match stage {
                Stage::Filter | Stage::Permission => MOST_BYTES / 2,
                Stage::Load => 0,
            },
        }
    }

    const fn has_room(&self) -> bool {
        self.in_hand < MOST_BYTES
    }

    /// Takes a unit whose message has so many bytes: what it is taken to weigh.
    fn take(&mut self, message: usize) -> usize {
        let grown = self.grown.iter().copied().max();
        let weight = message.max(grown.unwrap_or(self.unknown));
        self.in_hand = self.in_hand.saturating_add(weight);
        weight
    }

    const fn put_down(&mut self, weight: usize) {
        self.in_hand = self.in_hand.saturating_sub(weight);
    }

    fn learn(&mut self, grown: usize) {
        // A unit of which nothing was read, such as a cancelled one, says nothing of others.
        if grown == 0 {
            return;
        }
        if self.grown.len() == GROWN {
            self.grown.pop_front();
        }
        self.grown.push_back(grown);
    }
}

/// Records that are gone, or out of scope, as of a version.
#[derive(Debug, Default)]
pub struct Void {
    /// Which.
    pub records: Vec<(ObjectKind, SalesforceId)>,
    /// The version of the rows that showed it; what is parked from newer ones stays.
    pub version: Version,
}

/// A unit that is to be counted.
#[derive(Debug)]
pub struct Counted {
    /// In which job.
    pub job: JobId,
    /// Under which index.
    pub index: u64,
    /// With what became of its records.
    pub tally: Tally,
}

/// How a delivery is settled.
#[derive(Debug)]
pub enum Settle {
    /// Done with.
    Ack,
    /// Delivered again after this long, with what is left of the unit.
    RetryAfter(Duration, Box<Envelope>),
}

/// Something the whole stage depends on is out of reach; the unit itself is not at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Outage {
    /// Salesforce.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The status store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Anything else, in words.
    #[error("{0}")]
    Other(String),
}

/// What a stage does with a unit.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Which stage this is.
    fn stage(&self) -> Stage;

    /// Judges a unit, of which this is one copy. Called again with the same unit whenever anything
    /// was not completed.
    async fn handle(&self, unit: Envelope, copy: &UnitCopy) -> Result<Verdict, Outage>;

    /// Whether the stage may take units at all.
    fn gate(&self) -> watch::Receiver<Gate>;
}

/// Runs a handler on one lane of its stage.
#[derive(Clone)]
pub struct Worker {
    /// The queues.
    pub queue: Arc<dyn Queue>,
    /// The stores.
    pub stores: Stores,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The stage.
    pub handler: Arc<dyn Handler>,
    /// The lane.
    pub lane: Lane,
    /// How many units at a time; fewer of the bulk lane while there are live units.
    pub concurrency: u16,
    /// What the process has in hand, for the status.
    pub in_hand: InHand,
    /// What keeps it from its work, for the status and the log.
    pub outages: Outages,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker")
            .field("lane", &self.lane)
            .finish_non_exhaustive()
    }
}

/// How a unit's handling ended, as far as the loop must know.
enum Ended {
    Settled,
    Outage(Trouble),
}

/// Why a session ended before its time.
struct Trouble {
    /// See [`Reasons`](crate::reasons::Reasons).
    about: &'static str,
    reason: Reason,
}

impl Trouble {
    fn of_broker(why: String) -> Self {
        Self {
            about: BROKER,
            reason: why.into(),
        }
    }

    fn of_worker(why: String) -> Self {
        Outage::Other(why).into()
    }
}

impl From<Outage> for Trouble {
    fn from(outage: Outage) -> Self {
        let (about, reason) = match &outage {
            Outage::Source(error) => ("salesforce", error.into()),
            Outage::Store(error) => ("store", error.to_string().into()),
            Outage::Other(why) => ("worker", why.as_str().into()),
        };
        Self { about, reason }
    }
}

impl Worker {
    /// Takes units until `stop`; then finishes what is in hand.
    pub async fn run(self, stop: CancellationToken) {
        let mut gate = self.handler.gate();
        let mut pause = FIRST_PAUSE;
        while !stop.is_cancelled() {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                opened = gate.wait_for(|gate| *gate == Gate::Open) => {
                    if opened.is_err() {
                        break;
                    }
                }
            }
            let mut settled = false;
            match self.session(&mut gate, &stop, &mut settled).await {
                Ok(()) => pause = FIRST_PAUSE,
                Err(Trouble { about, reason }) => {
                    if settled {
                        pause = FIRST_PAUSE;
                    }
                    tracing::warn!(stage = ?self.handler.stage(), lane = ?self.lane, pause_ms = pause.as_millis(), "{}", reason.why);
                    let now = self.clock.now();
                    self.outages.met(self.lane, about, reason, now);
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => break,
                        () = tokio::time::sleep(pause) => {}
                    }
                    pause = (pause * 2).min(LAST_PAUSE);
                }
            }
        }
    }

    /// One connection's life: until the stop, a closed gate (both `Ok`), a lost link or an outage.
    async fn session(
        &self,
        gate: &mut watch::Receiver<Gate>,
        stop: &CancellationToken,
        settled: &mut bool,
    ) -> Result<(), Trouble> {
        let from = QueueName::new(self.handler.stage(), self.lane);
        let mut subscription = self
            .queue
            .subscribe(from, self.concurrency)
            .await
            .map_err(|lost| Trouble::of_broker(lost.to_string()))?;
        self.outages.connected(self.lane);
        let mut running = JoinSet::new();
        let mut weight = Weight::of(self.handler.stage());
        let ended = loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break Ok(()),
                closed = gate.wait_for(|gate| *gate != Gate::Open) => {
                    if let Ok(reason) = closed.map(|gate| gate.clone()) {
                        tracing::info!(stage = ?from.stage, lane = ?from.lane, ?reason, "pausing");
                    }
                    break Ok(());
                }
                Some(done) = running.join_next() => match done {
                    Ok((taken, ended)) => {
                        weight.put_down(taken);
                        match ended {
                            Ok((Ended::Settled, grown)) => {
                                weight.learn(grown);
                                *settled = true;
                                self.outages.settled(self.lane);
                            }
                            Ok((Ended::Outage(trouble), _)) => break Err(trouble),
                            Err(lost @ LinkLost(_)) => {
                                break Err(Trouble::of_broker(lost.to_string()));
                            }
                        }
                    }
                    Err(panicked) => break Err(Trouble::of_worker(format!("handling a unit failed unexpectedly: {panicked}"))),
                },
                incoming = subscription.next(), if running.len() < self.at_once() && weight.has_room() => match incoming {
                    Ok(incoming) => {
                        let worker = self.clone();
                        let taken = weight.take(incoming.message.body.len());
                        running.spawn(async move { (taken, worker.process(incoming).await) });
                    }
                    Err(lost) => break Err(Trouble::of_broker(lost.to_string())),
                },
            }
        };
        // A subscription that has just been lost cannot be stopped; that changes nothing.
        if let Err(lost) = subscription.stop_taking().await {
            tracing::debug!(%lost, "the subscription was gone already");
        }
        while running.join_next().await.is_some() {}
        ended
    }

    /// How many units may run now. What Salesforce, mOS and this machine can do is shared by both
    /// lanes, so a full load leaves it to live changes while there are any.
    fn at_once(&self) -> usize {
        let yields = self.lane == Lane::Bulk && self.in_hand.is_live(self.clock.now());
        usize::from(if yields {
            self.concurrency.min(BESIDE_LIVE)
        } else {
            self.concurrency
        })
    }

    /// How it ended, and what the unit weighed when it was sent on.
    async fn process(&self, incoming: Incoming) -> Result<(Ended, usize), LinkLost> {
        let Incoming {
            message, delivery, ..
        } = incoming;
        let unit = match decode(&message) {
            Ok(unit) => unit,
            Err(reason) => {
                tracing::error!(
                    unit = message.id,
                    "a message cannot be read and is set aside: {reason}"
                );
                delivery.dead_letter(&reason).await?;
                let line = format!(
                    "a message of the {} stage cannot be read and is set aside: {reason}",
                    self.handler.stage().name()
                );
                if let Err(error) = self.log(LogLevel::Error, "dead", None, None, line).await {
                    tracing::warn!("that a message was set aside is not in the log: {error}");
                }
                return Ok((Ended::Settled, 0));
            }
        };
        let held = self.in_hand.take(&unit, &self.clock);
        let job = unit.job.clone();
        let at = QueueName::new(self.handler.stage(), self.lane);
        let copy = copy_of(at, &unit, &message.body);
        let judged = match self.standing(&unit).await {
            Ok(
                Standing { counted: true, .. }
                | Standing {
                    superseded: true, ..
                },
            ) => {
                tracing::debug!(%job, index = unit.index, "another copy of this unit is counted, or will be");
                Ok(Verdict::left_to_another())
            }
            Ok(Standing {
                cancelled: true, ..
            }) => Ok(Verdict::cancelled(unit)),
            Ok(Standing { .. }) => self.judge(unit, &message, &copy).await,
            Err(error) => Err(error.into()),
        };
        match judged {
            Ok(mut verdict) => {
                for parked in &mut verdict.park {
                    parked.job = Some(job.clone());
                }
                let comes_again = matches!(verdict.settle, Settle::RetryAfter(..));
                let grown = verdict.row_bytes();
                let ended = self.carry_out(verdict, &copy, delivery).await?;
                if matches!(ended, Ended::Settled) && !comes_again {
                    held.settled();
                }
                Ok((ended, grown))
            }
            Err(outage) => {
                delivery
                    .retry_at(self.clock.now().after(OUTAGE_RETRY), None)
                    .await?;
                Ok((Ended::Outage(outage.into()), 0))
            }
        }
    }

    /// What is done about a unit before its stage looks at it: nothing more for a cancelled job,
    /// nothing twice for what is counted already, so that a job's counts are mOS's own. Live units
    /// are not asked about: they are counted as often as they are redelivered after a crash. The
    /// loader asks by itself, just before it sends.
    async fn standing(&self, unit: &Envelope) -> Result<Standing, StoreError> {
        match (self.lane, self.handler.stage()) {
            (Lane::Live, _) | (Lane::Bulk, Stage::Load) => Ok(Standing::default()),
            (Lane::Bulk, Stage::Filter | Stage::Permission) => {
                let jobs = &self.stores.jobs;
                jobs.standing(&unit.job, unit.index, unit.step).await
            }
        }
    }

    /// The handler's verdict; a unit that makes it panic is judged without the records that do.
    async fn judge(
        &self,
        unit: Envelope,
        message: &Message,
        copy: &UnitCopy,
    ) -> Result<Verdict, Outage> {
        match self.guarded(unit, copy).await {
            Ok(verdict) => verdict,
            Err(Panicked) => {
                let unit = decode(message).map_err(Outage::Other)?;
                self.judge_without_poison(unit, copy).await
            }
        }
    }

    async fn guarded(
        &self,
        unit: Envelope,
        copy: &UnitCopy,
    ) -> Result<Result<Verdict, Outage>, Panicked> {
        let handling = AssertUnwindSafe(self.handler.handle(unit, copy)).catch_unwind();
        match tokio::time::timeout(HANDLING_LIMIT, handling).await {
            Ok(Ok(verdict)) => Ok(verdict),
            Ok(Err(_payload)) => Err(Panicked),
            Err(_elapsed) => Ok(Err(Outage::Other(format!(
                "a unit was not done within {} s and is tried again",
                HANDLING_LIMIT.as_secs()
            )))),
        }
    }

    /// Tries every record alone, without carrying anything out but what the handler itself does
    /// (which is safe to repeat), parks those that panic, and judges the rest together.
    async fn judge_without_poison(
        &self,
        mut unit: Envelope,
        copy: &UnitCopy,
    ) -> Result<Verdict, Outage> {
        if self.handler.stage() == Stage::Load {
            return self.judge_one_by_one(unit, copy).await;
        }
        let mut poison = Vec::new();
        for record in &unit.records {
            let alone = Envelope {
                records: vec![record.clone()],
                ..unit.clone()
            };
            if self.guarded(alone, copy).await.is_err() {
                poison.push((record.object, record.id));
            }
        }
        if poison.is_empty() {
            return Err(Outage::Other(
                "a unit fails as a whole though none of its records does; it is tried again"
                    .to_owned(),
            ));
        }
        let (bad, good): (Vec<UnitRecord>, Vec<UnitRecord>) = unit
            .records
            .into_iter()
            .partition(|record| poison.contains(&(record.object, record.id)));
        unit.records = good;
        let parked = bad
            .iter()
            .map(|record| self.poisoned(&unit, record))
            .collect::<Vec<_>>();
        for record in &bad {
            tracing::error!(object = %record.object, record = %record.id, stage = ?self.handler.stage(), "a record makes mosync fail and is parked alone");
            unit.tally.add(record.object, Count::Parked);
        }
        let mut verdict = if unit.records.is_empty() {
            Verdict::finished(unit)
        } else {
            match self.guarded(unit, copy).await {
                Ok(verdict) => verdict?,
                Err(Panicked) => {
                    return Err(Outage::Other(
                        "a unit still fails without its bad records; it is tried again".to_owned(),
                    ));
                }
            }
        };
        verdict.park.extend(parked);
        Ok(verdict)
    }

    /// Tries every record alone where that sends it, and puts together what became of them: sent
    /// once more with the others, each would be answered as one that mOS has already. Tried again
    /// after an outage, mOS repeats its answers.
    async fn judge_one_by_one(&self, unit: Envelope, copy: &UnitCopy) -> Result<Verdict, Outage> {
        let mut whole = Envelope {
            records: Vec::new(),
            tally: Tally::default(),
            ..unit.clone()
        };
        let alone = whole.clone();
        whole.tally.merge(&unit.tally);
        let mut park = Vec::new();
        let mut void = Void::default();
        let mut is_read_again = false;
        let mut wait = None;
        for record in &unit.records {
            let alone = Envelope {
                records: vec![record.clone()],
                ..alone.clone()
            };
            let Ok(verdict) = self.guarded(alone, copy).await else {
                tracing::error!(object = %record.object, record = %record.id, stage = ?self.handler.stage(), "a record makes mosync fail and is parked alone");
                whole.tally.add(record.object, Count::Parked);
                park.push(self.poisoned(&unit, record));
                continue;
            };
            let Verdict {
                publish,
                park: parked,
                unpark,
                count,
                settle,
            } = verdict?;
            park.extend(parked);
            void.records.extend(unpark.records);
            void.version = unpark.version;
            let left = match (count, publish.into_iter().next(), settle) {
                (Some(counted), ..) => {
                    whole.tally.merge(&counted.tally);
                    continue;
                }
                (None, Some((_, left)), _) => {
                    is_read_again = true;
                    left
                }
                (None, None, Settle::RetryAfter(after, left)) => {
                    wait = wait.max(Some(after));
                    *left
                }
                (None, None, Settle::Ack) => return Ok(Verdict::left_to_another()),
            };
            whole.tally.merge(&left.tally);
            whole.records.extend(left.records);
            whole.rereads = whole.rereads.max(left.rereads);
            whole.attempts = whole.attempts.max(left.attempts);
            whole.outages = whole.outages.max(left.outages);
            whole.step = whole.step.max(left.step);
        }
        let mut verdict = match wait {
            _ if is_read_again => Verdict::read_again(whole),
            Some(wait) => Verdict {
                settle: Settle::RetryAfter(wait, Box::new(whole)),
                ..Verdict::left_to_another()
            },
            None => Verdict::finished(whole),
        };
        verdict.park = park;
        verdict.unpark = void;
        Ok(verdict)
    }

    fn poisoned(&self, unit: &Envelope, record: &UnitRecord) -> Parked {
        let now = self.clock.now();
        let message = "mosync failed while handling this record".to_owned();
        let ticket = unit.ticket.unwrap_or(Ticket {
            version: Version::at(now),
            rule_revision: 0,
            snapshot: 0,
        });
        let record = (record.object, record.id);
        Parked::new(
            record,
            self.handler.stage(),
            FailureKind::Poison,
            message,
            ticket,
            now,
        )
    }

    async fn carry_out(
        &self,
        verdict: Verdict,
        copy: &UnitCopy,
        delivery: Box<dyn Delivery>,
    ) -> Result<Ended, LinkLost> {
        for (to, unit) in &verdict.publish {
            if let Err(reason) = publish(&*self.queue, *to, unit).await {
                return Ok(Ended::Outage(Trouble::of_broker(reason)));
            }
        }
        if let Err(error) = self.record(&verdict, copy).await {
            return Ok(Ended::Outage(Outage::from(error).into()));
        }
        match verdict.settle {
            Settle::Ack => delivery.ack().await?,
            Settle::RetryAfter(after, unit) => match unit.encode() {
                Ok(body) => {
                    delivery
                        .retry_at(self.clock.now().after(after), Some(body))
                        .await?;
                }
                Err(error) => {
                    return Ok(Ended::Outage(Trouble::of_worker(format!(
                        "a unit could not be written: {error}"
                    ))));
                }
            },
        }
        Ok(Ended::Settled)
    }

    async fn record(&self, verdict: &Verdict, copy: &UnitCopy) -> Result<(), StoreError> {
        if !verdict.park.is_empty() {
            self.stores.parked.park(&verdict.park).await?;
            self.log_parked(&verdict.park).await?;
        }
        let Void { records, version } = &verdict.unpark;
        if !records.is_empty() {
            self.stores.parked.clear(records, *version).await?;
        }
        if let Some(counted) = &verdict.count {
            let copy = (self.lane == Lane::Bulk).then_some(copy);
            let first = self
                .stores
                .jobs
                .count(
                    &counted.job,
                    counted.index,
                    copy,
                    &counted.tally,
                    self.clock.now(),
                )
                .await?;
            if !first {
                tracing::debug!(job = %counted.job, index = counted.index, "not counted: it was before, or another copy of it is being sent");
            }
        }
        Ok(())
    }
}

impl Worker {
    /// Says of records which could not be brought on, and why. A unit that comes again after a
    /// crash says so again.
    async fn log_parked(&self, parked: &[Parked]) -> Result<(), StoreError> {
        for record in parked.iter().take(PARKED_LINES) {
            let code = record.code.as_deref().unwrap_or(record.kind.name());
            let then = match record.kind.policy() {
                Policy::RetryByItself => "it is tried again by itself",
                Policy::WaitForParent => "it waits for that record",
                Policy::Person => "somebody has to act",
            };
            let message = format!(
                "{} {} is parked at the {} stage ({code}): {}; {then}",
                record.object,
                record.id,
                record.stage.name(),
                record.kind.cause()
            );
            let level = match record.kind.policy() {
                Policy::RetryByItself | Policy::WaitForParent => LogLevel::Warning,
                Policy::Person => LogLevel::Error,
            };
            let job = record.job.clone();
            self.log(level, "parked", job, Some(record.record()), message)
                .await?;
        }
        let more = parked.len().saturating_sub(PARKED_LINES);
        if more > 0 {
            let job = parked.first().and_then(|record| record.job.clone());
            let message =
                format!("{more} more records of this unit are parked (see `mosync parked list`)");
            self.log(LogLevel::Warning, "parked", job, None, message)
                .await?;
        }
        Ok(())
    }

    async fn log(
        &self,
        level: LogLevel,
        topic: &str,
        job: Option<JobId>,
        record: Option<(ObjectKind, SalesforceId)>,
        message: String,
    ) -> Result<(), StoreError> {
        let entry = LogEntry {
            at: self.clock.now(),
            level,
            topic: topic.to_owned(),
            job,
            record,
            message,
        };
        self.stores.log.append(&entry).await
    }
}

/// Which of the unit's copies this message is, in the queue that it was delivered from.
#[must_use]
pub fn copy_of(at: QueueName, unit: &Envelope, body: &[u8]) -> UnitCopy {
    let content = (at == QueueName::new(Stage::Load, Lane::Bulk)).then(|| {
        let digest = Sha256::digest(body);
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    });
    UnitCopy {
        step: unit.step,
        content,
    }
}

struct Panicked;

fn decode(message: &Message) -> Result<Envelope, String> {
    if message.kind != MESSAGE_TYPE {
        return Err(format!(
            "its type is `{}`, this stage reads `{MESSAGE_TYPE}`",
            message.kind
        ));
    }
    if message.version != MESSAGE_VERSION {
        return Err(format!(
            "its version is {}, this mosync reads version {MESSAGE_VERSION}; update the worker, then replay it",
            message.version
        ));
    }
    Envelope::decode(&message.body)
        .map_err(|error| format!("its body is not a unit: {}", without_values(&error)))
}

/// Where a JSON error is, without the words that may quote a value.
fn without_values(error: &serde_json::Error) -> String {
    format!(
        "{:?} error at line {}, column {}",
        error.classify(),
        error.line(),
        error.column()
    )
}

/// Publishes a unit, waiting for room where a queue is full.
///
/// # Errors
/// In words, when the link is lost, no queue takes it or there is no room for too long.
pub async fn publish(queue: &dyn Queue, to: QueueName, unit: &Envelope) -> Result<(), String> {
    let body = unit
        .encode()
        .map_err(|error| format!("a unit could not be written: {error}"))?;
    let message = Message {
        id: unit.id.to_string(),
        kind: MESSAGE_TYPE.to_owned(),
        version: MESSAGE_VERSION,
        body,
    };
    let deadline = tokio::time::Instant::now() + FULL_LIMIT;
    let mut pause = Duration::from_millis(50);
    loop {
        match queue.publish(to, &message).await {
            Ok(()) => return Ok(()),
            Err(PublishError::Full(_)) if tokio::time::Instant::now() + pause < deadline => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(2));
            }
            Err(
                error @ (PublishError::Full(_)
                | PublishError::Unroutable(_)
                | PublishError::Lost(_)),
            ) => return Err(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many units whose messages are small are taken at a time, at most.
    fn taken(weight: &mut Weight) -> Vec<usize> {
        let mut taken = Vec::new();
        while weight.has_room() && taken.len() < 8 {
            taken.push(weight.take(1_000));
        }
        taken
    }

    #[test]
    fn units_that_grow_heavy_are_taken_one_at_a_time() {
        let mut weight = Weight::of(Stage::Filter);
        let mut at_once = Vec::new();
        // Nothing is known, then they stay small, then one grows to all there is room for.
        for grown in [50_000, 50_000, 2 * MOST_BYTES, 1_000] {
            let taken = taken(&mut weight);
            at_once.push(taken.len());
            for taken in taken {
                weight.put_down(taken);
            }
            weight.learn(grown);
        }
        assert_eq!(at_once, [2, 8, 8, 1]);
        assert_eq!(weight.in_hand, 0);
        for _ in 0..GROWN {
            weight.learn(1_000);
        }
        assert_eq!(taken(&mut weight).len(), 8);
    }

    #[test]
    fn units_of_which_nothing_was_read_say_nothing_of_others() {
        let mut weight = Weight::of(Stage::Filter);
        weight.learn(MOST_BYTES);
        for _ in 0..2 * GROWN {
            weight.learn(0);
        }
        assert_eq!(taken(&mut weight).len(), 1);
    }

    #[test]
    fn the_loader_weighs_what_comes() {
        let mut weight = Weight::of(Stage::Load);
        assert_eq!(taken(&mut weight).len(), 8);
        weight.take(MOST_BYTES);
        assert!(!weight.has_room());
    }
}
