//! The live path: change events to units.
//!
//! The stored position moves only when every unit of every event before it is confirmed by the
//! broker. Units are published one after the other, so "before it" needs no bookkeeping.

use std::str::FromStr;
use std::time::Duration;

use domain::change::{ChangeEvent, ChangeType, EventRecords};
use domain::tally::Tally;
use domain::unit::{Cause, Lane, MAX_RECORDS, UnitRecord};
use domain::{ObjectKind, Timestamp};
use ports::source::{EventStream, ReplayId, SourceError, StreamBatch, StreamEvent};
use ports::stores::{GapCause, LogLevel, WorkerState};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::publish::{self, LiveTurn};
use crate::settled::{Reach, Settled};
use crate::switches::{self, Held, Switches};
use crate::{Active, gaps, in_words, window};

/// A lone change waits this long for company.
const LINGER: Duration = Duration::from_millis(50);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(60);
/// Answers of the server that may wait here while a unit is published.
const AHEAD: usize = 8;

/// How late a window may be before somebody should look: Salesforce keeps events for 72 hours.
const LATE: Duration = Duration::from_secs(48 * 3_600);

/// Follows the stream until `stop`, opening it again whenever it ends: as long as it goes in real
/// time, else for a window at a time.
pub(crate) async fn follow(active: &Active, stop: &CancellationToken) -> Result<(), String> {
    let mut switches = active.switches.subscribe();
    let mut pause = FIRST_PAUSE;
    let mut said_late = false;
    while !stop.is_cancelled() {
        let settled = Settled::load(active).await?;
        let heard = settled.state.as_ref().map(|state| state.heard);
        say_if_late(active, heard, &mut said_late).await?;
        let in_force = switches.borrow_and_update().clone();
        let way = match due(active, &settled, &in_force) {
            Due::Now(way) => way,
            Due::Held(held) => {
                let why = format!("{}; live changes go on at {}", held.why, held.until);
                active.listener.report(WorkerState::Paused(why)).await;
                switches::until(None, &mut switches).await;
                continue;
            }
            Due::At(next) => {
                active.listener.report_window(Some(next)).await;
                let next = switches::moment(active, next);
                switches::until(Some(next), &mut switches).await;
                continue;
            }
        };
        let heard = match open_and_read(active, settled, way, &mut switches).await {
            Ended::Source(error, heard) => {
                if matches!(error, SourceError::PositionRejected(_)) {
                    gaps::position_rejected(active, &error).await?;
                }
                tracing::warn!("the event stream ended: {error}");
                active.listener.report_outage(&error).await;
                heard
            }
            Ended::Done => {
                pause = FIRST_PAUSE;
                continue;
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

/// How the stream is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    RealTime,
    Window,
}

/// When it is taken.
enum Due {
    Now(Way),
    /// The next window begins then.
    At(Timestamp),
    /// Not before the org's allowance has room.
    Held(Held),
}

fn due(active: &Active, settled: &Settled<'_>, switches: &Switches) -> Due {
    if let Some(held) = &switches.live_held {
        return Due::Held(held.clone());
    }
    if switches.is_real_time() {
        return Due::Now(Way::RealTime);
    }
    // A window that did not come to its end goes on at once, and so does what comes first of all.
    let last = settled.state.as_ref();
    let last = last.filter(|state| state.at_end || state.window_over);
    let next = last.and_then(|last| switches.frequency.next_window(last.heard, &switches.zone));
    match next {
        Some(next) if next > active.listener.clock.now() => Due::At(next),
        Some(_) | None => Due::Now(Way::Window),
    }
}

/// Says once that events may be lost when nothing changes.
async fn say_if_late(
    active: &Active,
    heard: Option<Timestamp>,
    said: &mut bool,
) -> Result<(), String> {
    let now = active.listener.clock.now();
    let Some(heard) = heard.filter(|heard| now.since(*heard) > LATE) else {
        *said = false;
        return Ok(());
    };
    if std::mem::replace(said, true) {
        return Ok(());
    }
    let message = format!(
        "the event stream was last heard {} h ago; Salesforce keeps events for 72 h, after that a sync-all is needed",
        now.since(heard).as_secs() / 3_600
    );
    let logged = active.log(LogLevel::Warning, "stream", None, message).await;
    logged.map_err(in_words)
}

/// How reading the stream ended.
pub(crate) enum Ended {
    /// By Salesforce, and whether it had answered at all.
    Source(SourceError, bool),
    /// On our ground.
    Ground(String),
    /// The window is over, or another way to take the stream was chosen.
    Done,
}

async fn open_and_read(
    active: &Active,
    settled: Settled<'_>,
    way: Way,
    switches: &mut watch::Receiver<Switches>,
) -> Ended {
    let listener = &active.listener;
    let stream = match listener
        .source
        .subscribe(&listener.topic, settled.start())
        .await
    {
        Ok(stream) => stream,
        Err(error) => return Ended::Source(error, false),
    };
    listener.report_window(None).await;
    if way == Way::Window {
        return window::take(active, stream, settled, switches).await;
    }
    let (sender, receiver) = mpsc::channel(AHEAD);
    let mut takeover = Takeover {
        active,
        receiver,
        settled,
        heard: false,
    };
    // The reader only moves answers along, so that asking for more never waits for a publish.
    let ended = {
        let reading = read(active, stream, sender);
        let taking = takeover.run(switches);
        tokio::pin!(reading, taking);
        tokio::select! {
            biased;
            error = &mut reading => match taking.await {
                // What had arrived before the stream ended was taken over to the last event: a
                // takeover that has begun is never dropped.
                Ok(()) => Ok(Some(error)),
                Err(reason) => Err(reason),
            },
            ended = &mut taking => ended.map(|()| None),
        }
    };
    match ended {
        Ok(Some(error)) => Ended::Source(error, takeover.heard),
        Ok(None) => Ended::Done,
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
    settled: Settled<'a>,
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
    /// Runs until the reader is gone and everything it had brought is taken over, or until the
    /// stream is no longer to be open all the time.
    async fn run(&mut self, switches: &mut watch::Receiver<Switches>) -> Result<(), String> {
        loop {
            let first = tokio::select! {
                biased;
                switched = switches.wait_for(|switches| !switches.is_real_time()) => {
                    drop(switched);
                    return Ok(());
                }
                first = self.receiver.recv() => first,
            };
            let Some(first) = first else {
                return Ok(());
            };
            self.take(first).await?;
        }
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
        let committed = last_committed(&events);
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
        let reach = if to_the_end && self.receiver.is_empty() {
            Reach::Stream
        } else {
            let up_to = if to_the_end { Some(at) } else { committed };
            Reach::Taken { up_to }
        };
        self.settled.settle(position, reach, at, had_events).await
    }

    /// Publishes everything the events name; answers the position of the last.
    async fn publish_all(&self, events: Vec<StreamEvent>) -> Result<Option<ReplayId>, String> {
        let turn = publish::live_turn(self.active).await;
        let mut pending = Vec::new();
        let mut last = None;
        for event in events {
            let replay = event.replay.clone();
            pending.extend(records_of(self.active, event).await?);
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

    async fn publish(&self, turn: &LiveTurn<'_>, records: Vec<UnitRecord>) -> Result<(), String> {
        if records.is_empty() {
            return Ok(());
        }
        turn.publish(records, &Tally::default(), self.active.listener.clock.now())
            .await
    }
}

/// When the last of the events was committed that can be read.
fn last_committed(events: &[StreamEvent]) -> Option<Timestamp> {
    let mut newest_first = events.iter().rev();
    newest_first.find_map(|event| Some(event.body.as_ref().ok()?.committed))
}

/// The records that an event names. What is wrong with it, or too much for it, is a gap.
pub(crate) async fn records_of(
    active: &Active,
    event: StreamEvent,
) -> Result<Vec<UnitRecord>, String> {
    let StreamEvent { replay, body } = event;
    let change = match body {
        Ok(change) => change,
        Err(undecodable) => {
            gaps::undecodable(active, &replay, &undecodable).await?;
            return Ok(Vec::new());
        }
    };
    let Ok(object) = ObjectKind::from_str(&change.entity) else {
        tracing::debug!(
            entity = change.entity,
            "an event of an object that is not synced"
        );
        return Ok(Vec::new());
    };
    let ChangeEvent {
        change_type,
        committed,
        changed,
        ..
    } = change;
    let ids = match change.records {
        EventRecords::Ids(ids) => ids,
        EventRecords::All => {
            let cause = if change_type == ChangeType::GapOverflow {
                GapCause::Overflow
            } else {
                GapCause::Wildcard
            };
            let transaction = &change.transaction_key;
            gaps::all_of(active, object, cause, committed, transaction).await?;
            return Ok(Vec::new());
        }
    };
    let record = |id| {
        let cause = Cause::Event {
            change_type,
            changed: changed.clone(),
            committed,
        };
        publish::record(object, id, cause)
    };
    Ok(ids.into_iter().map(record).collect())
}
