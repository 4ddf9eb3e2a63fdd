//! The loop that every worker runs: take a unit, let the handler judge it, publish, record, settle.
//!
//! A handler returns a [`Verdict`]; only this loop settles deliveries, always in the same order:
//! park, publish with confirm, count, settle. Each step is safe to repeat, so being killed between
//! any two of them costs a redelivery and nothing else.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::hex::hex;
use domain::unit::{Envelope, Lane, MESSAGE_TYPE, MESSAGE_VERSION, QueueName, Stage, UnitCopy};
use ports::Clock;
use ports::queue::{Delivery, Incoming, LinkLost, Message, PublishError, Queue};
use ports::source::SourceError;
use ports::stores::{LogLevel, Standing, StoreError, Stores};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

mod heavy;
mod log;
mod poison;
mod trial;
mod verdict;
mod weight;

pub use self::trial::Apart;
pub use self::verdict::{Counted, Settle, Verdict, Void};
use self::weight::Weight;
use crate::gate::Gate;
use crate::in_hand::InHand;
use crate::outages::{BROKER, Outages};
use crate::reasons::Reason;

/// The pause after an outage, doubled from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(30);
/// How long a unit that met an outage waits before it is tried again.
const OUTAGE_RETRY: Duration = Duration::from_secs(5);
/// How many units of the bulk lane run at a time beside live ones.
const BESIDE_LIVE: u16 = 2;
/// How long the loop waits for room, in a full queue or in the broker, before it hands the unit back.
const FULL_LIMIT: Duration = Duration::from_secs(120);

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

    /// What a handling of the unit has come to that was cut off, where that can be found out without
    /// doing anything anew; `None` where nothing has come of it, or nobody can know. Asked before
    /// the unit is taken apart, of a stage that writes.
    async fn came_to(&self, _unit: Envelope, _copy: &UnitCopy) -> Result<Option<Verdict>, Outage> {
        Ok(None)
    }

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
    /// Of the process: what may end it is handled apart from all else.
    pub apart: Apart,
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
        let _taking = self.in_hand.taking(self.lane, self.clock.now());
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

    /// How it ended, and what the unit's rows weighed once they were read.
    async fn process(&self, incoming: Incoming) -> Result<(Ended, usize), LinkLost> {
        let Incoming {
            message,
            returned,
            delivery,
            ..
        } = incoming;
        let unit = match decode(&message) {
            Ok(unit) => unit,
            Err(reason) => {
                tracing::error!(
                    unit = message.id,
                    "a message cannot be read, so it is dead: {reason}"
                );
                delivery.dead_letter(&reason).await?;
                let line = format!(
                    "a message of the {} stage cannot be read, so it is dead: {reason}",
                    self.handler.stage().name()
                );
                if let Err(error) = self.log(LogLevel::Error, "dead", None, None, line).await {
                    tracing::warn!("that a message is dead is not in the log: {error}");
                }
                return Ok((Ended::Settled, 0));
            }
        };
        let held = self.in_hand.take(&unit, &self.clock);
        let job = unit.job.clone();
        let trial = self.suspected(&unit, returned);
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
            Ok(Standing { .. }) => self.judge(unit, &message, &copy, trial.as_deref()).await,
            Err(error) => Err(error.into()),
        };
        let judged = match judged {
            Ok(verdict) => self.lightened(verdict).await.map_err(Outage::from),
            Err(outage) => Err(outage),
        };
        match judged {
            Ok((mut verdict, grown)) => {
                for parked in &mut verdict.park {
                    parked.job = Some(job.clone());
                }
                let comes_again = matches!(verdict.settle, Settle::RetryAfter(..));
                let ended = self.carry_out(verdict, &copy, delivery).await?;
                if let (Ended::Settled, Some(name)) = (&ended, &trial) {
                    self.acquitted(name).await;
                }
                if matches!(ended, Ended::Settled) && !comes_again {
                    held.settled();
                }
                Ok((ended, grown))
            }
            Err(outage) => {
                delivery
                    .retry_at(self.clock.now().after(OUTAGE_RETRY), None)
                    .await?;
                if let Some(name) = trial {
                    self.acquitted(&name).await;
                }
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

    async fn carry_out(
        &self,
        verdict: Verdict,
        copy: &UnitCopy,
        delivery: Box<dyn Delivery>,
    ) -> Result<Ended, LinkLost> {
        // Before the rest goes on: counted further on, a unit that comes again after a kill is looked
        // at no more.
        if let Err(error) = self.park(&verdict).await {
            return Ok(Ended::Outage(Outage::from(error).into()));
        }
        for (to, unit) in &verdict.publish {
            if let Err(reason) = publish(&*self.queue, *to, unit).await {
                return Ok(Ended::Outage(Trouble::of_broker(reason)));
            }
        }
        if let Err(error) = self.count(&verdict, copy).await {
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

    async fn park(&self, verdict: &Verdict) -> Result<(), StoreError> {
        if !verdict.park.is_empty() {
            self.stores.parked.park(&verdict.park).await?;
            self.log_parked(&verdict.park).await?;
        }
        let Void { records, version } = &verdict.unpark;
        if !records.is_empty() {
            self.stores.parked.clear(records, *version).await?;
        }
        Ok(())
    }

    async fn count(&self, verdict: &Verdict, copy: &UnitCopy) -> Result<(), StoreError> {
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

/// Which of the unit's copies this message is, in the queue that it was delivered from.
#[must_use]
pub fn copy_of(at: QueueName, unit: &Envelope, body: &[u8]) -> UnitCopy {
    let is_named = at == QueueName::new(Stage::Load, Lane::Bulk);
    let content = is_named.then(|| hex(&Sha256::digest(body)));
    UnitCopy {
        step: unit.step,
        content,
    }
}

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

/// Publishes a unit, waiting for room where a queue or the broker is full.
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
            Err(PublishError::Full(_) | PublishError::HeldBack)
                if tokio::time::Instant::now() + pause < deadline =>
            {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(2));
            }
            Err(
                error @ (PublishError::Full(_)
                | PublishError::HeldBack
                | PublishError::Unroutable(_)
                | PublishError::Lost(_)),
            ) => return Err(error.to_string()),
        }
    }
}
