//! Units that the queue has lost: they were confirmed, are in no queue and in no hands, and are not
//! counted.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::Timestamp;
use domain::job::Job;
use domain::unit::{Envelope, Lane, QueueName, Stage};
use ports::queue::LinkLost;
use ports::stores::{OLDEST, SILENT};
use runtime::worker::Outage;
use tokio::time::Instant;

use crate::Active;

/// The queues must have been empty, and nothing published or counted, for so long.
const QUIET_FOR: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Who takes units, by the names of their reports.
const WORKERS: [&str; 3] = ["filter", "permission", "loader"];
/// Dead letters looked through.
const DEAD: usize = 1_000;

/// Since when the queues have been quiet.
#[derive(Default)]
pub(crate) struct Watch {
    quiet: Option<Quiet>,
    next: Option<Instant>,
}

struct Quiet {
    since: Instant,
    /// Units of the job, and those of them that were counted.
    units: (u64, u64),
}

impl Watch {
    /// Whether nothing has moved for long enough. What passes from a queue into a worker's hands is
    /// seen by no one for a moment, so it must stay like that for a while.
    pub(crate) async fn is_over(
        &mut self,
        active: &Active,
        job: &Job,
        lane: Lane,
    ) -> Result<bool, Outage> {
        let now = Instant::now();
        if self.next.is_some_and(|next| now < next) {
            return Ok(false);
        }
        self.next = Some(now + LOOK_EVERY);
        if !is_empty(active, lane).await? || is_in_hands(active).await? {
            self.quiet = None;
            return Ok(false);
        }
        let units = (job.units, job.counted);
        let known = self.quiet.take().filter(|quiet| quiet.units == units);
        let quiet = self
            .quiet
            .insert(known.unwrap_or(Quiet { since: now, units }));
        Ok(now.duration_since(quiet.since) >= QUIET_FOR)
    }
}

/// Whether no unit of the lane is in any queue, and none waits for its next attempt.
async fn is_empty(active: &Active, lane: Lane) -> Result<bool, Outage> {
    let queue = &active.listener.queue;
    for stage in [Stage::Filter, Stage::Permission, Stage::Load] {
        let depth = queue.depth(QueueName::new(stage, lane)).await;
        if depth.map_err(link_lost)? > 0 {
            return Ok(false);
        }
    }
    Ok(queue.waiting().await.map_err(link_lost)? == 0)
}

/// Whether a worker holds something that was published a while ago, or none of its processes has been
/// heard of. What one that hangs beside others holds is read again: it counts once.
async fn is_in_hands(active: &Active) -> Result<bool, Outage> {
    let now = active.listener.clock.now();
    let reports = active.listener.stores.reports.reports().await?;
    Ok(WORKERS.iter().any(|worker| {
        reports.get(*worker).is_some_and(|report| {
            let oldest = report.figures.get(OLDEST);
            let oldest = oldest.map(|published| Timestamp::from_micros(*published));
            now.since(report.at) > SILENT
                || oldest.is_some_and(|published| now.since(published) > LOOK_EVERY)
        })
    }))
}

/// Those of the job's units that are missing and not among the dead letters, where somebody has to
/// look at them.
pub(crate) async fn lost(active: &Active, job: &Job, max: usize) -> Result<BTreeSet<u64>, Outage> {
    let listener = &active.listener;
    let missing = listener.stores.jobs.missing(&job.id, max).await?;
    let mut missing = missing.into_iter().collect::<BTreeSet<_>>();
    if !missing.is_empty() {
        // A unit behind those that are looked through would be taken for lost.
        let most = u64::try_from(DEAD).unwrap_or(u64::MAX);
        if listener.queue.dead_count().await.map_err(link_lost)? > most {
            return Ok(BTreeSet::new());
        }
        let dead = listener.queue.dead_letters(DEAD).await;
        let dead = dead.map_err(link_lost)?.into_iter();
        let dead = dead.map(|letter| letter.message.id);
        let dead = dead.collect::<BTreeSet<_>>();
        missing.retain(|index| !dead.contains(&Envelope::id_of(&job.id, *index).to_string()));
    }
    Ok(missing)
}

fn link_lost(lost: LinkLost) -> Outage {
    Outage::Other(lost.to_string())
}
