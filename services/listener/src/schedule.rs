//! What happens by itself from time to time: jobs are read, parked records taken up again, live
//! hours sealed, gaps closed, old history forgotten.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::Timestamp;
use domain::job::{Job, JobId, JobKind, JobScope, PausedBy, SalesforceStatus};
use ports::stores::{LogLevel, Moved};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::lost_live::Watches;
use crate::refresh::Looks;
use crate::snapshot::{self, Reader};
use crate::told::Told;
use crate::{Active, allowance, gaps, in_words, sweep};

const EVERY: Duration = Duration::from_millis(500);
/// Parked records per retry job.
const RETRY_BATCH: usize = 2_000;
/// Retry jobs that wait to be read; while there are so many, no more parked records are taken up.
const RETRIES_UNREAD: usize = 3;
/// How often it is asked whether a new day has begun for the filter.
const SWEEP_EVERY: Duration = Duration::from_secs(2);
/// How often old history is looked for.
const FORGET_EVERY: Duration = Duration::from_secs(600);
/// Jobs that one step forgets.
const FORGET_BATCH: usize = 200;

/// Runs until `stop`, or until a store or the broker fails.
pub(crate) async fn run(active: &Active, stop: &CancellationToken) -> Result<(), String> {
    let mut readers = Readers::default();
    let mut live = Watches::default();
    // Whatever ended while nobody looked may have filled gaps.
    let mut look_back = true;
    let mut forget_at = Instant::now();
    let mut sweep_at = Instant::now();
    let mut looks = Looks::default();
    let mut told = Told::load(active).await?;
    while !stop.is_cancelled() {
        // No query before a position is stored: what changes during a load must be in the stream.
        let listener = &active.listener;
        let position = listener.stores.position.stream(&listener.topic).await;
        if position.map_err(in_words)?.is_none() {
            tokio::time::sleep(EVERY).await;
            continue;
        }
        let open = listener.stores.jobs.unfinished().await;
        let open = open.map_err(in_words)?;
        seal_past_hours(active, &open).await?;
        take_up_parked(active, &open).await?;
        gaps::close_filled(active, std::mem::take(&mut look_back)).await?;
        if Instant::now() >= sweep_at {
            sweep::look(active, sweep::By::Sweep).await?;
            sweep_at = Instant::now() + SWEEP_EVERY;
        }
        looks.look(active).await?;
        if Instant::now() >= forget_at {
            forget(active).await?;
            forget_at = Instant::now() + FORGET_EVERY;
        }
        let unfinished = active.listener.stores.jobs.unfinished().await;
        let unfinished = unfinished.map_err(in_words)?;
        told.look(active, &unfinished).await?;
        let (hours, jobs) = unfinished
            .into_iter()
            .partition::<Vec<_>, _>(|job| job.kind == JobKind::Live);
        live.look(active, &hours).await?;
        let turns = read_jobs(active, jobs, &mut readers).await?;
        look_back = turns.any_over;
        if turns.any_busy {
            continue;
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
    Ok(())
}

/// The readers of the jobs that are not over, and whose turn it is.
#[derive(Default)]
struct Readers {
    of: BTreeMap<JobId, Reader>,
    /// The job that did something last: when it was asked for, and which it is.
    last: Option<(Timestamp, JobId)>,
}

/// What came of the turns of all jobs.
struct Turns {
    /// Some did something.
    any_busy: bool,
    /// Some are over since the turns before.
    any_over: bool,
}

/// Gives every job that is not over a turn, those first that come after the one that did something
/// last: while the lane is full, each finds room in turn, and none takes all of it.
async fn read_jobs(
    active: &Active,
    unfinished: Vec<Job>,
    readers: &mut Readers,
) -> Result<Turns, String> {
    let place = |job: &Job| (job.requested, job.id.clone());
    let last = readers.last.as_ref();
    let (next, others) = unfinished
        .into_iter()
        .partition::<Vec<_>, _>(|job| last.is_some_and(|last| place(job) > *last));
    let mut still_open = BTreeMap::new();
    let mut any_busy = false;
    for job in next.into_iter().chain(others) {
        let mut reader = readers.of.remove(&job.id).unwrap_or_default();
        if !allowance::holds(active, &job).await?
            && snapshot::turn(active, &job, &mut reader).await?
        {
            any_busy = true;
            readers.last = Some(place(&job));
        }
        still_open.insert(job.id, reader);
    }
    let over = std::mem::replace(&mut readers.of, still_open);
    let any_over = !over.is_empty();
    for over in over.into_keys() {
        snapshot::leave(active, &over).await?;
    }
    Ok(Turns { any_busy, any_over })
}

/// A live job is over when its hour is.
async fn seal_past_hours(active: &Active, open: &[Job]) -> Result<(), String> {
    let now = active.listener.clock.now();
    let current = JobId::live(now);
    let jobs = &active.listener.stores.jobs;
    for job in open {
        if job.kind == JobKind::Live
            && job.id != current
            && job.salesforce == SalesforceStatus::Extracting
        {
            let moved = jobs
                .transition(&job.id, SalesforceStatus::Sealed, now, None)
                .await
                .map_err(in_words)?;
            if matches!(moved, Moved::Now | Moved::Already) {
                let over = format!("{} has published everything: its hour is over", job.id);
                active
                    .log(LogLevel::Info, "job", Some(&job.id), over)
                    .await
                    .map_err(in_words)?;
            }
        }
    }
    Ok(())
}

/// Parked records whose time has come are read back as a job of their own; not while such jobs
/// cannot be read, because every one that is made uses up a retry of its records.
async fn take_up_parked(active: &Active, open: &[Job]) -> Result<(), String> {
    let unread = open.iter().filter(|job| is_retry_to_be_read(job)).count();
    if unread >= RETRIES_UNREAD || active.switches.borrow().bulk_held.is_some() {
        return Ok(());
    }
    let listener = &active.listener;
    let now = listener.clock.now();
    let taken = listener.stores.parked.take_due(now, RETRY_BATCH).await;
    let Some(job) = taken.map_err(in_words)? else {
        return Ok(());
    };
    let records = match &job.scope {
        JobScope::Records { records } => records.len(),
        JobScope::Everything
        | JobScope::Owners { .. }
        | JobScope::Since { .. }
        | JobScope::Entering { .. }
        | JobScope::Objects { .. }
        | JobScope::Stages { .. }
        | JobScope::Stream => 0,
    };
    let message = format!("{records} parked records are tried again");
    active
        .log(LogLevel::Info, "parked", Some(&job.id), message)
        .await
        .map_err(in_words)
}

/// Whether the job retries records that are not all published yet. One that a person holds keeps no
/// others waiting.
fn is_retry_to_be_read(job: &Job) -> bool {
    let held = job.paused.as_ref().map(|pause| pause.by);
    job.kind == JobKind::Retry
        && held != Some(PausedBy::Person)
        && match job.salesforce {
            SalesforceStatus::Queued
            | SalesforceStatus::Counting
            | SalesforceStatus::Extracting => true,
            SalesforceStatus::Sealed | SalesforceStatus::Failed | SalesforceStatus::Cancelled => {
                false
            }
        }
}

/// What is older than is kept is forgotten: jobs that are over, gaps that are closed, lines of the
/// log.
async fn forget(active: &Active) -> Result<(), String> {
    let listener = &active.listener;
    let retention = listener.retention;
    let now = listener.clock.now();
    let jobs = &listener.stores.jobs;
    let ended_before = now.before(retention.jobs);
    let full = u64::try_from(FORGET_BATCH).unwrap_or(u64::MAX);
    while jobs
        .prune(ended_before, FORGET_BATCH)
        .await
        .map_err(in_words)?
        == full
    {}
    let position = &listener.stores.position;
    position.forget_gaps(ended_before).await.map_err(in_words)?;
    let log = &listener.stores.log;
    log.trim(retention.log_lines, now.before(retention.log))
        .await
        .map_err(in_words)?;
    Ok(())
}
