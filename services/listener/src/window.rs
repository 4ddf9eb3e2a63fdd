//! The stream in windows: opened where it was left, read up to the moment of its opening, and closed
//! again. What happens to a record within a window is one change of it.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::tally::{Count, Tally};
use domain::unit::{Cause, Lane, MAX_RECORDS};
use domain::{ObjectKind, SalesforceId, Timestamp};
use ports::source::{EventStream, ReplayId, SourceError, StreamBatch, StreamEvent};
use runtime::figures;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::settled::{Reach, Settled};
use crate::stream::{self, Ended};
use crate::switches::Switches;
use crate::{Active, publish};

/// With more records a window is published in parts: at about a kilobyte each, with the names of
/// their changed fields, this is what it may take of memory.
const MOST_RECORDS: usize = 20_000;
/// So is one that takes longer, whatever the org's clock and this one say of its end.
const LONGEST_PART: Duration = Duration::from_secs(5 * 60);
/// And one that hears nothing for so long: the keep-alive that ends it may be minutes away.
const LULL: Duration = Duration::from_secs(10);

/// Takes one window: up to the end of the stream or, where that never comes, to the first change
/// that was committed after the window was opened. What was read before the stream breaks off is
/// published.
pub(crate) async fn take(
    active: &Active,
    stream: Box<dyn EventStream>,
    settled: Settled<'_>,
    switches: &mut watch::Receiver<Switches>,
) -> Ended {
    let window = Window {
        active,
        opened: active.listener.clock.now(),
        changes: Changes::default(),
        last: None,
        committed: None,
        heard: None,
        part_begun: Instant::now(),
        all: (0, 0),
    };
    let taken = window.run(stream, settled, switches).await;
    taken.unwrap_or_else(Ended::Ground)
}

struct Window<'a> {
    active: &'a Active,
    /// By this machine's clock. Where the org's is ahead of it, the last changes before are left to
    /// the next window.
    opened: Timestamp,
    changes: Changes,
    /// The last event that was taken.
    last: Option<ReplayId>,
    /// When the last event was committed that could be read.
    committed: Option<Timestamp>,
    /// When the server last answered.
    heard: Option<Timestamp>,
    /// When the part that has not been published was begun.
    part_begun: Instant,
    /// Changes and records of the parts that are published.
    all: (u64, u64),
}

/// What is next to be done.
enum Next {
    Take(Result<StreamBatch, SourceError>),
    PublishPart,
    /// Another way to take the stream was chosen, or none at all.
    Leave,
}

impl Window<'_> {
    async fn run(
        mut self,
        mut stream: Box<dyn EventStream>,
        mut settled: Settled<'_>,
        switches: &mut watch::Receiver<Switches>,
    ) -> Result<Ended, String> {
        loop {
            let answer = self.answer(&mut *stream, &mut settled, switches).await?;
            let Some(answer) = answer else {
                self.publish_part(&mut settled).await?;
                return Ok(Ended::Done);
            };
            let batch = match answer {
                Ok(batch) => batch,
                Err(error) => return self.broken_off(&mut settled, error).await,
            };
            self.heard = Some(self.active.listener.clock.now());
            let is_end = batch.events.is_empty();
            let is_over = batch.events.iter().any(|event| self.is_after(event));
            for event in batch.events {
                self.add(event).await?;
            }
            let reach = if is_end {
                Reach::Stream
            } else if is_over {
                Reach::Window {
                    opened: self.opened,
                }
            } else {
                if self.changes.records.len() >= MOST_RECORDS {
                    self.publish_part(&mut settled).await?;
                }
                continue;
            };
            let newest = is_end.then_some(batch.latest);
            self.publish(&mut settled, reach, newest).await?;
            self.report().await;
            return Ok(Ended::Done);
        }
    }

    /// The server's next answer; `None` when the window is to be left before that. Parts that are
    /// due meanwhile are published.
    async fn answer(
        &mut self,
        stream: &mut dyn EventStream,
        settled: &mut Settled<'_>,
        switches: &mut watch::Receiver<Switches>,
    ) -> Result<Option<Result<StreamBatch, SourceError>>, String> {
        let silent_since = Instant::now();
        // Asked once: an answer on its way must not be dropped.
        let mut answer = stream.next();
        loop {
            let due = (silent_since + LULL).min(self.part_begun + LONGEST_PART);
            let next = tokio::select! {
                biased;
                switched = switches.wait_for(Switches::ends_windows) => {
                    drop(switched);
                    Next::Leave
                }
                answer = &mut answer => Next::Take(answer),
                () = tokio::time::sleep_until(due), if !self.changes.records.is_empty() => {
                    Next::PublishPart
                }
            };
            match next {
                Next::Take(answer) => return Ok(Some(answer)),
                Next::PublishPart => self.publish_part(settled).await?,
                Next::Leave => return Ok(None),
            }
        }
    }

    /// Whether an event belongs to the windows after this one. Its own time has whole seconds.
    fn is_after(&self, event: &StreamEvent) -> bool {
        let body = event.body.as_ref();
        body.is_ok_and(|change| change.committed >= self.opened)
    }

    async fn add(&mut self, event: StreamEvent) -> Result<(), String> {
        let replay = event.replay.clone();
        if let Ok(change) = &event.body {
            self.committed = Some(change.committed);
        }
        for record in stream::records_of(self.active, event).await? {
            self.changes.add(record.object, record.id, record.cause);
        }
        self.last = Some(replay);
        Ok(())
    }

    /// Publishes what has been collected of a window that is not over.
    async fn publish_part(&mut self, settled: &mut Settled<'_>) -> Result<(), String> {
        let up_to = self.committed;
        self.publish(settled, Reach::Taken { up_to }, None).await
    }

    /// Publishes what has been collected, and stores the position of the last event or, at the end
    /// of the stream, the newest there is.
    async fn publish(
        &mut self,
        settled: &mut Settled<'_>,
        reach: Reach,
        newest: Option<ReplayId>,
    ) -> Result<(), String> {
        let changes = std::mem::take(&mut self.changes);
        self.all.0 += changes.count;
        self.all.1 += u64::try_from(changes.records.len()).unwrap_or(u64::MAX);
        let mut records = changes.records.into_iter().peekable();
        while records.peek().is_some() {
            publish::room(self.active, Lane::Live).await?;
            let mut collapsed = Tally::default();
            let mut unit = Vec::new();
            for ((object, id), change) in records.by_ref().take(MAX_RECORDS) {
                collapsed.add_many(object, Count::Collapsed, change.times - 1);
                unit.push(publish::record(object, id, change.cause));
            }
            let turn = publish::live_turn(self.active).await;
            let now = self.active.listener.clock.now();
            turn.publish(unit, &collapsed, now).await?;
            turn.confirm().await?;
        }
        self.part_begun = Instant::now();
        let answered = self
            .heard
            .unwrap_or_else(|| self.active.listener.clock.now());
        let had_events = self.last.is_some();
        match newest.or(self.last.take()) {
            Some(position) => settled.settle(position, reach, answered, had_events).await,
            None => Ok(()),
        }
    }

    async fn broken_off(
        &mut self,
        settled: &mut Settled<'_>,
        error: SourceError,
    ) -> Result<Ended, String> {
        self.publish_part(settled).await?;
        Ok(Ended::Source(error, self.heard.is_some()))
    }

    async fn report(&self) {
        let listener = &self.active.listener;
        let (changes, records) = self.all;
        let number = |value: u64| Some(i64::try_from(value).unwrap_or(i64::MAX));
        listener.figure(figures::WINDOW_CHANGES, number(changes));
        listener.figure(figures::WINDOW_RECORDS, number(records));
        tracing::info!(changes, records, "a window of the event stream was taken");
        listener.report_again().await;
    }
}

/// What a window has brought so far, one entry a record.
#[derive(Default)]
struct Changes {
    records: BTreeMap<(ObjectKind, SalesforceId), Change>,
    count: u64,
}

struct Change {
    cause: Cause,
    times: u64,
}

impl Changes {
    fn add(&mut self, object: ObjectKind, id: SalesforceId, cause: Cause) {
        self.count += 1;
        let key = (object, id);
        let change = match self.records.remove(&key) {
            None => Change { cause, times: 1 },
            Some(before) => Change {
                cause: before.cause.and_then(cause),
                times: before.times + 1,
            },
        };
        self.records.insert(key, change);
    }
}
