//! The live path: change events to units.
//!
//! The stored position moves only when every unit of every event before it is confirmed by the
//! broker. Units are published one after the other, so "before it" needs no bookkeeping.

use std::str::FromStr;
use std::time::Duration;

use domain::change::{ChangeEvent, ChangeType, EventRecords};
use domain::job::{Job, JobId, JobKind, JobScope};
use domain::unit::{Cause, Lane, MAX_RECORDS, UnitRecord};
use domain::{ObjectKind, Timestamp};
use ports::source::{EventStream, ReplayId, SourceError, StreamBatch, StreamEvent, StreamStart};
use ports::stores::{GapCause, LogLevel, StreamState, WorkerState};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::publish::{self, LiveTurn};
use crate::{Active, gaps, in_words, poll};

/// A lone change waits this long for company.
const LINGER: Duration = Duration::from_millis(50);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(60);
/// Answers of the server that may wait here while a unit is published.
const AHEAD: usize = 8;

/// Follows the stream until `stop`, opening it again whenever it ends.
pub(crate) async fn follow(active: &Active, stop: &CancellationToken) -> Result<(), String> {
    let mut pause = FIRST_PAUSE;
    while !stop.is_cancelled() {
        let heard = match open_and_read(active).await {
            Ended::Source(error, heard) => {
                if matches!(error, SourceError::PositionRejected(_)) {
                    gaps::position_rejected(active, &error).await?;
                }
                tracing::warn!("the event stream ended: {error}");
                active
                    .listener
                    .report(WorkerState::Failing(error.to_string()))
                    .await;
                heard
            }
            // Stores and broker are this listener's ground: it starts again from the lease.
            Ended::Ground(reason) => return Err(reason),
        };
        if heard {
            pause = FIRST_PAUSE;
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(LAST_PAUSE);
    }
    Ok(())
}

enum Ended {
    /// Salesforce's side, and whether it had answered at all.
    Source(SourceError, bool),
    /// Ours.
    Ground(String),
}

async fn open_and_read(active: &Active) -> Ended {
    let listener = &active.listener;
    let stored = match listener.stores.position.stream(&listener.topic).await {
        Ok(stored) => stored,
        Err(error) => return Ended::Ground(error.to_string()),
    };
    let start = match &stored {
        Some(state) if !state.position.0.is_empty() => StreamStart::After(state.position.clone()),
        Some(_) => StreamStart::Earliest,
        None => StreamStart::Latest,
    };
    let stream = match listener.source.subscribe(&listener.topic, start).await {
        Ok(stream) => stream,
        Err(error) => return Ended::Source(error, false),
    };
    listener.report(WorkerState::Running).await;
    let (sender, receiver) = mpsc::channel(AHEAD);
    let mut takeover = Takeover {
        active,
        receiver,
        state: stored,
        heard: false,
    };
    // The reader only moves answers along, so that asking for more never waits for a publish.
    let ended = {
        let reading = read(active, stream, sender);
        let taking = takeover.run();
        tokio::pin!(reading, taking);
        tokio::select! {
            biased;
            error = &mut reading => match taking.await {
                // What had arrived before the stream ended was taken over to the last event: a
                // takeover that has begun is never dropped.
                Ok(()) => Ok(error),
                Err(reason) => Err(reason),
            },
            ended = &mut taking => Err(ended.err().unwrap_or_else(|| "the stream's reader is gone".to_owned())),
        }
    };
    match ended {
        Ok(error) => Ended::Source(error, takeover.heard),
        Err(reason) => Ended::Ground(reason),
    }
}

/// An answer of the server and when it arrived here.
struct Arrived {
    at: Timestamp,
    batch: StreamBatch,
}

/// Reads until the stream ends. The channel closes with it.
async fn read(
    active: &Active,
    mut stream: Box<dyn EventStream>,
    sender: mpsc::Sender<Arrived>,
) -> SourceError {
    loop {
        match stream.next().await {
            Ok(batch) => {
                let at = active.listener.clock.now();
                if sender.send(Arrived { at, batch }).await.is_err() {
                    return SourceError::Unreachable("the listener has stopped reading".to_owned());
                }
            }
            Err(error) => return error,
        }
    }
}

/// Turns answers of the server into units and positions.
struct Takeover<'a> {
    active: &'a Active,
    receiver: mpsc::Receiver<Arrived>,
    state: Option<StreamState>,
    heard: bool,
}

/// One or several answers of the server, taken over together.
struct Together {
    events: Vec<StreamEvent>,
    latest: ReplayId,
    /// When the last of them arrived.
    at: Timestamp,
    /// The last of them was a keep-alive: the server has nothing more for us at that time.
    to_the_end: bool,
}

impl Takeover<'_> {
    /// Runs until the reader is gone and everything it had brought is taken over.
    async fn run(&mut self) -> Result<(), String> {
        while let Some(first) = self.receiver.recv().await {
            self.take(first).await?;
        }
        Ok(())
    }

    async fn take(&mut self, first: Arrived) -> Result<(), String> {
        self.heard = true;
        let Together {
            events,
            latest,
            at,
            to_the_end,
        } = self.with_company(first).await;
        let had_events = !events.is_empty();
        let mut last = None;
        if had_events {
            publish::room(self.active, Lane::Live).await?;
            last = self.publish_all(events).await?;
        }
        // An event's answer names that event as the latest, however many are still to come; only
        // a keep-alive says that there are none.
        let position = if to_the_end {
            latest
        } else {
            last.unwrap_or(latest)
        };
        let at_end = to_the_end && self.receiver.is_empty();
        self.settle(position, at_end, at, had_events).await
    }

    /// Publishes everything the events name; answers the position of the last.
    async fn publish_all(&self, events: Vec<StreamEvent>) -> Result<Option<ReplayId>, String> {
        let turn = publish::live_turn(self.active).await;
        let mut pending = Vec::new();
        let mut last = None;
        for event in events {
            let StreamEvent { replay, body } = event;
            match body {
                Ok(change) => self.add(&mut pending, change).await?,
                Err(undecodable) => gaps::undecodable(self.active, &replay, &undecodable).await?,
            }
            while pending.len() >= MAX_RECORDS {
                let rest = pending.split_off(MAX_RECORDS);
                self.publish(&turn, std::mem::replace(&mut pending, rest))
                    .await?;
            }
            last = Some(replay);
        }
        self.publish(&turn, pending).await?;
        turn.confirm().await?;
        Ok(last)
    }

    /// Waits a moment for further events, so that what happens together travels together.
    async fn with_company(&mut self, first: Arrived) -> Together {
        let Arrived { at, batch } = first;
        let mut all = Together {
            to_the_end: batch.events.is_empty(),
            events: batch.events,
            latest: batch.latest,
            at,
        };
        let until = tokio::time::Instant::now() + LINGER;
        while !all.to_the_end && all.events.len() < MAX_RECORDS {
            match tokio::time::timeout_at(until, self.receiver.recv()).await {
                Ok(Some(Arrived { at, batch })) => {
                    all.to_the_end = batch.events.is_empty();
                    all.events.extend(batch.events);
                    all.latest = batch.latest;
                    all.at = at;
                }
                Ok(None) | Err(_) => break,
            }
        }
        all
    }

    async fn add(&self, pending: &mut Vec<UnitRecord>, change: ChangeEvent) -> Result<(), String> {
        let Ok(object) = ObjectKind::from_str(&change.entity) else {
            tracing::debug!(
                entity = change.entity,
                "an event of an object that is not synced"
            );
            return Ok(());
        };
        let ids = match change.records {
            EventRecords::Ids(ids) => ids,
            EventRecords::All => {
                let cause = if change.change_type == ChangeType::GapOverflow {
                    GapCause::Overflow
                } else {
                    GapCause::Wildcard
                };
                return gaps::all_of(
                    self.active,
                    object,
                    cause,
                    change.committed,
                    &change.transaction_key,
                )
                .await;
            }
        };
        for id in ids {
            let cause = Cause::Event {
                change_type: change.change_type,
                changed: change.changed.clone(),
                committed: change.committed,
            };
            pending.push(publish::record(object, id, cause));
        }
        Ok(())
    }

    async fn publish(&self, turn: &LiveTurn<'_>, records: Vec<UnitRecord>) -> Result<(), String> {
        if records.is_empty() {
            return Ok(());
        }
        turn.publish(records, self.active.listener.clock.now())
            .await
    }

    /// Everything up to `position` is with the broker: stores it. The very first position comes with
    /// the first load, which begins after it and after the first position of every polled object.
    async fn settle(
        &mut self,
        position: ReplayId,
        at_end: bool,
        heard: Timestamp,
        had_events: bool,
    ) -> Result<(), String> {
        let listener = &self.active.listener;
        if self.state.is_none() {
            poll::all_begun(self.active).await?;
            // Before the position, so that no moment shows a stream without its first load; the
            // reader of jobs waits for the position.
            first_load(self.active, &position).await?;
        }
        let before = self.state.as_ref().and_then(|state| state.last_event);
        let state = StreamState {
            position,
            at_end,
            heard,
            last_event: if had_events { Some(heard) } else { before },
        };
        listener
            .stores
            .position
            .store_stream(&listener.topic, &state)
            .await
            .map_err(in_words)?;
        self.state = Some(state);
        Ok(())
    }
}

/// Asks for the first load: once for the first position of an org, and again where the stores have
/// lost their history and with it the position.
async fn first_load(active: &Active, position: &ReplayId) -> Result<(), String> {
    let now = active.listener.clock.now();
    let name = format!("first load of {} from {}", active.org, position.to_hex());
    let id = JobId::new(JobKind::SyncAll, domain::job::uuid_of(&name));
    let job = Job::queued(id.clone(), JobKind::SyncAll, JobScope::Everything, now);
    let running = active
        .listener
        .stores
        .jobs
        .create_unless_running(&job)
        .await
        .map_err(in_words)?;
    let message = if running.id == id {
        "the first load of this org is queued".to_owned()
    } else {
        format!("{} runs and is the first load of this org", running.id)
    };
    active
        .log(LogLevel::Info, "job", Some(&running.id), message)
        .await
        .map_err(in_words)
}
