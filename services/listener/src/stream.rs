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

use crate::{Active, gaps, in_words, publish};

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
    // The reader only moves answers along, so that asking for more never waits for a publish. When
    // the stream ends, what is in hand is finished first: positions are stored in order, so a batch
    // dropped half-way would be passed over for ever.
    let reading = read(active, stream, sender);
    tokio::pin!(reading);
    let mut ended = None;
    let taken = {
        let taking = takeover.run();
        tokio::pin!(taking);
        loop {
            tokio::select! {
                biased;
                error = &mut reading, if ended.is_none() => ended = Some(error),
                taken = &mut taking => break taken,
            }
        }
    };
    match taken {
        Ok(()) => {
            let error = ended.unwrap_or_else(|| {
                SourceError::Unreachable("the event stream is not read any more".to_owned())
            });
            Ended::Source(error, takeover.heard)
        }
        Err(reason) => Ended::Ground(reason),
    }
}

/// An answer of the server, and when it came: what changed later it knows nothing of, however long
/// it takes until its position is stored.
struct Heard {
    batch: StreamBatch,
    at: Timestamp,
}

async fn read(
    active: &Active,
    mut stream: Box<dyn EventStream>,
    sender: mpsc::Sender<Heard>,
) -> SourceError {
    loop {
        match stream.next().await {
            Ok(batch) => {
                let at = active.listener.clock.now();
                if sender.send(Heard { batch, at }).await.is_err() {
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
    receiver: mpsc::Receiver<Heard>,
    state: Option<StreamState>,
    heard: bool,
}

impl Takeover<'_> {
    /// Takes answers until the reader has ended, or something on our side fails.
    async fn run(&mut self) -> Result<(), String> {
        while let Some(batch) = self.receiver.recv().await {
            self.take(batch).await?;
        }
        Ok(())
    }

    async fn take(&mut self, first: Heard) -> Result<(), String> {
        self.heard = true;
        let Heard { batch, at } = self.with_company(first).await;
        let StreamBatch { events, latest } = batch;
        if events.is_empty() {
            return self.settle(at, latest.clone(), latest, None).await;
        }
        publish::room(self.active, Lane::Live).await?;
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
                self.publish(std::mem::replace(&mut pending, rest)).await?;
            }
            last = Some(replay);
        }
        self.publish(pending).await?;
        let position = last.unwrap_or_else(|| latest.clone());
        self.settle(at, position, latest, Some(at)).await
    }

    /// Waits a moment for further events, so that what happens together travels together.
    async fn with_company(&mut self, first: Heard) -> Heard {
        let mut all = first;
        if all.batch.events.is_empty() {
            return all;
        }
        let until = tokio::time::Instant::now() + LINGER;
        while all.batch.events.len() < MAX_RECORDS {
            match tokio::time::timeout_at(until, self.receiver.recv()).await {
                Ok(Some(next)) => {
                    all.batch.events.extend(next.batch.events);
                    all.batch.latest = next.batch.latest;
                    all.at = next.at;
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

    async fn publish(&self, records: Vec<UnitRecord>) -> Result<(), String> {
        if records.is_empty() {
            return Ok(());
        }
        publish::live(self.active, records, self.active.listener.clock.now()).await
    }

    /// Everything up to `position` is with the broker: stores it. The very first position comes with
    /// the first load, which begins after it.
    async fn settle(
        &mut self,
        heard: Timestamp,
        position: ReplayId,
        latest: ReplayId,
        event: Option<Timestamp>,
    ) -> Result<(), String> {
        let listener = &self.active.listener;
        let now = listener.clock.now();
        if self.state.is_none() {
            // Before the position, so that no moment shows a stream without its first load; the
            // reader of jobs waits for the position.
            first_load(self.active, now).await?;
        }
        let state = StreamState {
            at_end: position == latest,
            position,
            heard,
            last_event: event.or_else(|| self.state.as_ref().and_then(|state| state.last_event)),
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

/// Asks for the first load, once per org.
pub(crate) async fn first_load(active: &Active, now: Timestamp) -> Result<(), String> {
    let id = JobId::new(
        JobKind::SyncAll,
        uuid::Uuid::new_v5(
            &uuid::Uuid::NAMESPACE_OID,
            format!("first load of {}", active.org).as_bytes(),
        ),
    );
    let job = Job::queued(id.clone(), JobKind::SyncAll, JobScope::Everything, now);
    active
        .listener
        .stores
        .jobs
        .create(&job)
        .await
        .map_err(in_words)?;
    active
        .log(
            LogLevel::Info,
            "job",
            Some(&id),
            "the first load of this org is queued".to_owned(),
        )
        .await
        .map_err(in_words)
}
