//! Objects that no change events come from are polled: the records that were stamped since the
//! last time are published as live changes, by id; the filter worker reads them.
//!
//! A poll reads in the order of (`SystemModstamp`, `Id`), page by page, deleted records too. It
//! begins before the end of the one before, because a record is stamped before its transaction is
//! committed and visible.

use std::time::Duration;

use domain::soql;
use domain::tally::Tally;
use domain::unit::{Cause, Lane, MAX_RECORDS};
use domain::{ObjectKind, Row, SalesforceId, Timestamp};
use ports::source::SourceError;
use ports::stores::{LogLevel, PollState, PollUnderWay};
use runtime::readback;
use runtime::worker::Outage;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::seen::{Seen, Stamped};
use crate::switches::{self, Switches};
use crate::{Active, gaps, in_words, publish};

/// The rows of a page, SOQL's own largest.
const PAGE: usize = 2_000;
/// How long after its stamp a record may become visible. Salesforce documents no bound; Airbyte's
/// users lost records (airbytehq/airbyte issues 27146 and 42537), and five minutes is the least
/// that is in use.
const OVERLAP: Duration = Duration::from_secs(600);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Polls until `stop`, or until a store or the broker fails.
pub(crate) async fn run(active: &Active, stop: &CancellationToken) -> Result<(), String> {
    let objects = active.listener.polling.objects.iter().copied();
    let mut rounds = objects.map(Round::of).collect::<Vec<_>>();
    if rounds.is_empty() {
        stop.cancelled().await;
        return Ok(());
    }
    let mut switched = active.switches.subscribe();
    while !stop.is_cancelled() {
        let switches = switched.borrow_and_update().clone();
        let mut next = None::<Instant>;
        for round in &mut rounds {
            let mut due = round.due(active, &switches).await?;
            if due.is_some_and(|due| due <= Instant::now()) {
                round.turn(active).await?;
                due = round.due(active, &switches).await?;
            }
            next = next.into_iter().chain(due).min();
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = switches::until(next, &mut switched) => {}
        }
    }
    Ok(())
}

/// Waits until every polled object has a place to begin at: what changes during the first load
/// must be found by the polls after it.
pub(crate) async fn all_begun(active: &Active) -> Result<(), String> {
    for object in &active.listener.polling.objects {
        while state(active, *object).await.map_err(in_words)?.is_none() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
    Ok(())
}

/// One object's polls.
struct Round {
    object: ObjectKind,
    /// When the last poll of this life was begun.
    begun: Option<Instant>,
    /// The poll has not come to its end.
    more: bool,
    /// After a failure.
    again: Option<Instant>,
    failures: u32,
    seen: Seen,
}

/// What came of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// There is more to read.
    More,
    /// The poll has come to its end.
    Done,
}

impl Round {
    fn of(object: ObjectKind) -> Self {
        Self {
            object,
            begun: None,
            more: false,
            again: None,
            failures: 0,
            seen: Seen::default(),
        }
    }

    /// When the next page is to be read; `None` while the org's allowance has no room. Polls begin
    /// one after the other in real time, and with the windows otherwise.
    async fn due(&self, active: &Active, switches: &Switches) -> Result<Option<Instant>, String> {
        let now = Instant::now();
        if switches.live_held.is_some() {
            return Ok(None);
        }
        if self.more || self.again.is_some() {
            return Ok(Some(self.again.unwrap_or(now)));
        }
        if switches.is_real_time() {
            let every = active.listener.polling.every;
            return Ok(Some(self.begun.map_or(now, |begun| begun + every)));
        }
        let state = state(active, self.object).await.map_err(in_words)?;
        let polled = state
            .filter(|state| state.under_way.is_none())
            .and_then(|state| state.polled);
        let next = polled.and_then(|last| switches.frequency.next_window(last, &switches.zone));
        Ok(Some(
            next.map_or(now, |next| switches::moment(active, next)),
        ))
    }

    /// Reads a page at most, so that no object keeps others waiting.
    async fn turn(&mut self, active: &Active) -> Result<(), String> {
        if !self.more && self.again.is_none() {
            self.begun = Some(Instant::now());
        }
        match self.page(active).await {
            Ok(turn) => {
                self.more = turn == Turn::More;
                self.again = None;
                self.worked(active).await
            }
            Err(Outage::Source(error)) => {
                let pause = FIRST_PAUSE * 2_u32.saturating_pow(self.failures.min(10));
                self.again = Some(Instant::now() + pause.min(LAST_PAUSE));
                self.failed(active, &error).await
            }
            Err(error @ (Outage::Store(_) | Outage::Other(_))) => Err(error.to_string()),
        }
    }

    async fn worked(&mut self, active: &Active) -> Result<(), String> {
        if self.failures == 0 {
            return Ok(());
        }
        self.failures = 0;
        active.listener.report_poll(self.object, None).await;
        let message = format!("{} is polled again", self.object);
        let logged = active.log(LogLevel::Info, "poll", None, message).await;
        logged.map_err(in_words)
    }

    async fn failed(&mut self, active: &Active, error: &SourceError) -> Result<(), String> {
        self.failures += 1;
        let message = format!("{} cannot be polled: {error}", self.object);
        active
            .listener
            .report_poll(self.object, Some(message.clone()))
            .await;
        if self.failures > 1 {
            tracing::debug!("{message}");
            return Ok(());
        }
        let logged = active.log(LogLevel::Warning, "poll", None, message).await;
        logged.map_err(in_words)
    }

    async fn page(&mut self, active: &Active) -> Result<Turn, Outage> {
        let Some(mut now) = state(active, self.object).await? else {
            begin(active, self.object).await?;
            return Ok(Turn::More);
        };
        if now.hole {
            write_down_holes(active).await?;
            now.hole = false;
        }
        let begun = active.listener.clock.now();
        let begun = now.under_way.map_or(begun, |poll| poll.begun);
        let asked = Instant::now();
        let rows = read(active, &statement(self.object, now.from, now.under_way)).await?;
        let changes = self.seen.changes(&rows, asked);
        self.publish(active, &changes.ids)
            .await
            .map_err(Outage::Other)?;
        let end = active.listener.clock.now();
        if changes.any_new {
            now.found = Some(end);
        }
        if let Some(last) = rows.last() {
            now.under_way = Some(PollUnderWay {
                begun,
                stamp: last.stamp,
                id: last.id,
            });
        }
        let more = rows.len() >= PAGE;
        if !more {
            // A record may have become visible behind the reader for as long as the poll took.
            let back = OVERLAP + end.since(begun);
            let reached = now.under_way.take().map(|poll| poll.stamp.before(back));
            now.from = reached.map_or(now.from, |reached| reached.max(now.from));
            now.polled = Some(begun);
            self.seen.forget_before(now.from);
        }
        store(active, self.object, &now).await?;
        Ok(if more { Turn::More } else { Turn::Done })
    }

    /// Returns when the queue has everything.
    async fn publish(&self, active: &Active, ids: &[SalesforceId]) -> Result<(), String> {
        for ids in ids.chunks(MAX_RECORDS) {
            publish::room(active, Lane::Live).await?;
            let records = ids
                .iter()
                .map(|id| publish::record(self.object, *id, Cause::Reread))
                .collect();
            // A unit at a time, so that the stream waits for no more than one.
            let turn = publish::live_turn(active).await;
            let now = active.listener.clock.now();
            turn.publish(records, &Tally::default(), now).await?;
            turn.confirm().await?;
        }
        Ok(())
    }
}

/// Writes what may not have been heard of all polled objects into the gap ledger.
async fn write_down_holes(active: &Active) -> Result<(), Outage> {
    let mut holes = Vec::new();
    for object in active.listener.polling.objects.iter().copied() {
        let state = state(active, object).await?;
        holes.extend(
            state
                .filter(|state| state.hole)
                .map(|state| (object, state)),
        );
    }
    let since = holes.iter().map(|(object, state)| (*object, state.from));
    let told = gaps::not_heard(active, &since.collect::<Vec<_>>()).await;
    told.map_err(Outage::Other)?;
    for (object, mut state) in holes {
        state.hole = false;
        store(active, object, &state).await?;
    }
    Ok(())
}

async fn state(active: &Active, object: ObjectKind) -> Result<Option<PollState>, Outage> {
    Ok(active.listener.stores.position.poll(object).await?)
}

async fn store(active: &Active, object: ObjectKind, state: &PollState) -> Result<(), Outage> {
    let position = &active.listener.stores.position;
    Ok(position.store_poll(object, state).await?)
}

/// The first place: the newest stamp of the object, in Salesforce's own time. Where the stream has
/// a position already, this object's past may hold changes that nobody has heard of.
async fn begin(active: &Active, object: ObjectKind) -> Result<(), Outage> {
    let newest = format!(
        "SELECT Id, SystemModstamp FROM {object} ORDER BY SystemModstamp DESC, Id DESC LIMIT 1"
    );
    let newest = read(active, &newest).await?;
    let from = newest
        .first()
        .map_or_else(Timestamp::default, |newest| newest.stamp.before(OVERLAP));
    let listener = &active.listener;
    let stream = listener.stores.position.stream(&listener.topic).await?;
    let state = PollState {
        from,
        under_way: None,
        polled: None,
        found: None,
        hole: stream.is_some(),
    };
    store(active, object, &state).await?;
    let message = format!("{object} is polled from {from} on");
    Ok(active.log(LogLevel::Info, "poll", None, message).await?)
}

/// All rows of a statement, deleted ones too; a server may send less than a page at a time.
async fn read(active: &Active, soql: &str) -> Result<Vec<Stamped>, SourceError> {
    let source = &*active.listener.source;
    let mut rows = Vec::new();
    readback::for_each_row(source, soql, true, |row| {
        rows.push(stamped(row));
        true
    })
    .await?;
    let rows = rows.into_iter().collect::<Option<Vec<_>>>();
    rows.ok_or_else(|| {
        SourceError::Garbled("a row came without its id or SystemModstamp".to_owned())
    })
}

fn stamped(row: &Row) -> Option<Stamped> {
    let fields = row.fields().ok()?;
    Some(Stamped {
        id: fields.id("Id")?,
        stamp: Timestamp::parse(&fields.text("SystemModstamp")?)?,
    })
}

fn statement(object: ObjectKind, from: Timestamp, under_way: Option<PollUnderWay>) -> String {
    let since = match under_way {
        None => format!("SystemModstamp >= {}", literal(from)),
        Some(PollUnderWay { stamp, id, .. }) => {
            let (stamp, id) = (literal(stamp), soql::quote(id.as_str()));
            format!("(SystemModstamp > {stamp} OR (SystemModstamp = {stamp} AND Id > {id}))")
        }
    };
    format!(
        "SELECT Id, SystemModstamp FROM {object} WHERE {since} ORDER BY SystemModstamp, Id LIMIT {PAGE}"
    )
}

/// Stamps have whole seconds as far as anybody has seen. One rounded down would let a page be read
/// for ever.
fn literal(stamp: Timestamp) -> String {
    if stamp.as_millis() % 1_000 == 0 {
        stamp.to_soql()
    } else {
        stamp.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_go_on_after_the_last_record_of_the_same_stamp() {
        let stamp = Timestamp::parse("2026-03-01T10:00:05.000Z").unwrap();
        assert_eq!(
            statement(ObjectKind::User, stamp, None),
            "SELECT Id, SystemModstamp FROM User WHERE SystemModstamp >= 2026-03-01T10:00:05Z \
             ORDER BY SystemModstamp, Id LIMIT 2000"
        );
        let under_way = PollUnderWay {
            begun: stamp,
            stamp: stamp.after(Duration::from_millis(250)),
            id: SalesforceId::parse("005000000000001").unwrap(),
        };
        assert_eq!(
            statement(ObjectKind::User, stamp, Some(under_way)),
            "SELECT Id, SystemModstamp FROM User WHERE (SystemModstamp > 2026-03-01T10:00:05.250Z \
             OR (SystemModstamp = 2026-03-01T10:00:05.250Z AND Id > '005000000000001AAA')) \
             ORDER BY SystemModstamp, Id LIMIT 2000"
        );
    }
}
