//! Publishing units, held back by the depth of their lane: only the sources wait, so that no ring
//! of full queues can lock up.

use std::time::Duration;

use domain::job::JobId;
use domain::tally::{Count, Tally};
use domain::unit::{Cause, Envelope, Lane, QueueName, Stage, UnitRecord};
use domain::{Ticket, Timestamp};
use ports::queue::Queue;
use tokio::sync::MutexGuard;

use crate::{Active, in_words};

/// How many units may wait in a lane before its source waits.
const LIVE_WINDOW: u64 = 2_000;
/// Rows that have waited for long are read again, which makes the others wait for longer: enough to
/// keep every stage busy until the next look, and no more.
const BULK_WINDOW: u64 = 40;
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Which place in which job a unit takes.
pub(crate) struct Place {
    pub(crate) job: JobId,
    pub(crate) index: u64,
    /// Which run of the job's phase it is from.
    pub(crate) generation: u32,
    pub(crate) lane: Lane,
}

/// Publishes one unit to the filter stage; returns when the broker has it.
pub(crate) async fn unit(
    active: &Active,
    place: Place,
    ticket: Option<Ticket>,
    records: Vec<UnitRecord>,
) -> Result<(), String> {
    unit_of(active, place, ticket, records, &Tally::default()).await
}

/// The same for records of which some stand for several changes, which are counted as collapsed.
async fn unit_of(
    active: &Active,
    place: Place,
    ticket: Option<Ticket>,
    records: Vec<UnitRecord>,
    collapsed: &Tally,
) -> Result<(), String> {
    let Place {
        job,
        index,
        generation,
        lane,
    } = place;
    let now = active.listener.clock.now();
    let mut unit = Envelope::new(job, index, lane, active.org, now, records);
    for (object, _, changes) in collapsed.iter() {
        unit.tally.add_many(object, Count::Read, changes);
    }
    unit.tally.merge(collapsed);
    unit.generation = generation;
    unit.ticket = ticket;
    unit.traceparent = traceparent(unit.id);
    runtime::worker::publish(
        &*active.listener.queue,
        QueueName::new(Stage::Filter, lane),
        &unit,
    )
    .await
}

/// The right to publish live units. The store knows of one that is in doubt, so they are published
/// strictly one after the other, and the stream and the polls take turns.
pub(crate) struct LiveTurn<'a> {
    active: &'a Active,
    _turn: MutexGuard<'a, ()>,
}

/// Waits for the right to publish live units.
pub(crate) async fn live_turn(active: &Active) -> LiveTurn<'_> {
    LiveTurn {
        active,
        _turn: active.live.lock().await,
    }
}

impl LiveTurn<'_> {
    /// Publishes live changes as a unit of the hour's job; `collapsed` are the changes beyond one of
    /// each record.
    pub(crate) async fn publish(
        &self,
        records: Vec<UnitRecord>,
        collapsed: &Tally,
        at: Timestamp,
    ) -> Result<(), String> {
        let job = JobId::live(at);
        let jobs = &self.active.listener.stores.jobs;
        let index = jobs.open_live_unit(&job, at).await.map_err(in_words)?;
        let place = Place {
            job,
            index,
            generation: 0,
            lane: Lane::Live,
        };
        unit_of(self.active, place, None, records, collapsed).await
    }

    /// Ends the turn: the queue has confirmed every unit. A turn that ends otherwise leaves its
    /// last unit in doubt, and the listener starts again from its lease.
    pub(crate) async fn confirm(self) -> Result<(), String> {
        let jobs = &self.active.listener.stores.jobs;
        jobs.confirm_live_units().await.map_err(in_words)
    }
}

/// Waits until the lane has room for more.
pub(crate) async fn room(active: &Active, lane: Lane) -> Result<(), String> {
    while !has_room(active, lane).await? {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Ok(())
}

/// Whether the lane has room for more.
pub(crate) async fn has_room(active: &Active, lane: Lane) -> Result<bool, String> {
    let window = match lane {
        Lane::Live => LIVE_WINDOW,
        Lane::Bulk => BULK_WINDOW,
    };
    Ok(on_the_way(&*active.listener.queue, lane).await? < window)
}

async fn on_the_way(queue: &dyn Queue, lane: Lane) -> Result<u64, String> {
    let mut units = 0;
    for stage in [Stage::Filter, Stage::Permission, Stage::Load] {
        units += queue
            .depth(QueueName::new(stage, lane))
            .await
            .map_err(in_words)?;
    }
    Ok(units)
}

/// A record that is to be read again.
pub(crate) fn record(
    object: domain::ObjectKind,
    id: domain::SalesforceId,
    cause: Cause,
) -> UnitRecord {
    UnitRecord {
        object,
        id,
        cause,
        row: None,
        owners: std::collections::BTreeSet::new(),
        last_word: false,
        entering: false,
    }
}

/// W3C trace context whose trace is the unit.
fn traceparent(id: uuid::Uuid) -> String {
    let trace = id.simple().to_string();
    let span = trace.get(..16).unwrap_or_default();
    format!("00-{trace}-{span}-01")
}
