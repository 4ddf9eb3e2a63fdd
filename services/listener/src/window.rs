//! The stream in windows: opened where it was left, read to its end, and closed again. What happens
//! to a record within a window is one change of it.

use std::collections::BTreeMap;

use domain::tally::{Count, Tally};
use domain::unit::{Cause, Lane, MAX_RECORDS};
use domain::{ObjectKind, SalesforceId, Timestamp};
use ports::source::{EventStream, ReplayId, SourceError};
use runtime::figures;

use crate::settled::Settled;
use crate::stream::{self, Ended};
use crate::{Active, publish};

/// With more records a window is published in parts: at about a kilobyte each, with the names of
/// their changed fields, this is what it may take of memory.
const MOST_RECORDS: usize = 20_000;

/// Takes one window. What was read before the stream breaks off is published.
pub(crate) async fn take(
    active: &Active,
    mut stream: Box<dyn EventStream>,
    mut settled: Settled<'_>,
) -> Ended {
    let mut window = Window {
        active,
        changes: Changes::default(),
        last: None,
        heard: None,
        all: (0, 0),
    };
    loop {
        let batch = match stream.next().await {
            Ok(batch) => batch,
            Err(error) => return window.broken_off(&mut settled, error).await,
        };
        window.heard = Some(active.listener.clock.now());
        let is_end = batch.events.is_empty();
        for event in batch.events {
            if let Err(reason) = window.add(event).await {
                return Ended::Ground(reason);
            }
        }
        let settling = if is_end {
            window.publish(&mut settled, Some(batch.latest)).await
        } else if window.changes.records.len() >= MOST_RECORDS {
            window.publish(&mut settled, None).await
        } else {
            continue;
        };
        match settling {
            Ok(()) if is_end => break,
            Ok(()) => {}
            Err(reason) => return Ended::Ground(reason),
        }
    }
    window.report().await;
    Ended::Done
}

struct Window<'a> {
    active: &'a Active,
    changes: Changes,
    /// The last event that was taken.
    last: Option<ReplayId>,
    /// When the server last answered.
    heard: Option<Timestamp>,
    /// Changes and records of the parts that are published.
    all: (u64, u64),
}

impl Window<'_> {
    async fn add(&mut self, event: ports::source::StreamEvent) -> Result<(), String> {
        let replay = event.replay.clone();
        for record in stream::records_of(self.active, event).await? {
            self.changes.add(record.object, record.id, record.cause);
        }
        self.last = Some(replay);
        Ok(())
    }

    /// Publishes what has been collected, and stores the position of the last event or, at the end
    /// of the stream, the newest there is.
    async fn publish(
        &mut self,
        settled: &mut Settled<'_>,
        end: Option<ReplayId>,
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
        let heard = self.heard.take();
        let heard = heard.unwrap_or_else(|| self.active.listener.clock.now());
        let had_events = self.last.is_some();
        let at_end = end.is_some();
        match end.or(self.last.take()) {
            Some(position) => settled.settle(position, at_end, heard, had_events).await,
            None => Ok(()),
        }
    }

    async fn broken_off(mut self, settled: &mut Settled<'_>, error: SourceError) -> Ended {
        let heard = self.heard.is_some();
        match self.publish(settled, None).await {
            Ok(()) => Ended::Source(error, heard),
            Err(reason) => Ended::Ground(reason),
        }
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
