//! Rest, as the system itself reports it in its stores.

use std::time::Duration;

use domain::failure::FailureKind;
use domain::job::{JobId, JobKind};
use domain::parked::Parked;
use domain::unit::QueueName;
use ports::Clock;
use ports::stores::ParkedFilter;

use crate::world::{TOPIC, World};

/// As long as a parked record may take that is taken up after 10 minutes, then hourly.
const PATIENCE: Duration = Duration::from_secs(4 * 3600);
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A unit that an earlier listener published is in nobody's count any more while a worker has it in
/// hand, so rest must last.
const IN_HAND: Duration = Duration::from_secs(10);

/// Waits for rest after a last write at that moment.
///
/// # Errors
/// What is still going on when patience is over.
pub(crate) async fn wait(world: &World, last_write: domain::Timestamp) -> Result<(), String> {
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        let mut looked = look(world, last_write).await;
        if looked.is_ok() {
            tokio::time::sleep(IN_HAND).await;
            looked = look(world, last_write).await;
        }
        let Err(why) = looked else {
            return Ok(());
        };
        if tokio::time::Instant::now() > until {
            return Err(format!("no rest: {why}"));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

async fn look(world: &World, last_write: domain::Timestamp) -> Result<(), String> {
    let stores = &world.stores;
    let stream = stores
        .position
        .stream(TOPIC)
        .await
        .unwrap()
        .ok_or("no position is stored")?;
    if !stream.at_end || stream.heard <= last_write {
        return Err(format!(
            "the stream is at its end: {}, heard {}",
            stream.at_end, stream.heard
        ));
    }
    for object in &world.polled {
        let poll = stores.position.poll(*object).await.unwrap();
        let polled = poll.and_then(|poll| poll.polled);
        if polled.is_none_or(|polled| polled <= last_write) {
            return Err(format!("{object} was last polled {polled:?}"));
        }
    }
    let polled = stores.permissions.last_poll().await.unwrap();
    if polled.is_none_or(|polled| polled <= last_write) {
        return Err(format!("permissions were last polled {polled:?}"));
    }
    let queue = world.embedded.queue();
    for name in QueueName::ALL {
        let depth = queue.depth(name).await.unwrap();
        if depth > 0 {
            return Err(format!("{depth} units in {}", name.name()));
        }
    }
    let waiting = queue.waiting().await.unwrap();
    if waiting > 0 {
        return Err(format!("{waiting} units wait to be retried"));
    }
    let hour = JobId::live(world.clock.now());
    for job in stores.jobs.unfinished().await.unwrap() {
        if job.id != hour || job.kind != JobKind::Live || job.pending() > 0 {
            return Err(format!(
                "{} is {:?} with {} of {} units on the way",
                job.id,
                job.salesforce,
                job.pending(),
                job.units
            ));
        }
    }
    for gap in stores.position.gaps().await.unwrap() {
        if gap.closed.is_none() {
            return Err(format!("a gap stays open: {}", gap.evidence));
        }
    }
    let retried = parked(world)
        .await
        .into_iter()
        .find(|parked| parked.kind == FailureKind::RetryLater);
    match retried {
        Some(parked) => Err(format!("{} is parked to be retried", parked.id)),
        None => Ok(()),
    }
}

pub(crate) async fn parked(world: &World) -> Vec<Parked> {
    world
        .stores
        .parked
        .list(&ParkedFilter::default(), None, 100_000)
        .await
        .unwrap()
}
