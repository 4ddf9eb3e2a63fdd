//! The gap ledger: every hole in the stream is written down together with the job that fills it.

use domain::job::{Job, JobId, JobKind, JobScope, MosStatus, SalesforceStatus};
use domain::{ObjectKind, Timestamp};
use ports::source::{ReplayId, SourceError, Undecodable};
use ports::stores::{Gap, GapCause, LogLevel, StreamState};

use crate::lost_live::Lost;
use crate::{Active, in_words};

/// How far before a hole its catch-up begins: stamps have whole seconds, and become visible late
/// (Salesforce commits after it stamps).
const MARGIN: std::time::Duration = std::time::Duration::from_secs(600);

/// A live unit may name changes that are as much older: so long does Salesforce keep events.
const OLDEST: std::time::Duration = std::time::Duration::from_secs(72 * 3_600);
/// Jobs of the history looked through at a time.
const PAGE: usize = 100;

/// Salesforce no longer knows the stored position: nobody knows what was missed, so everything is
/// read, and the stream is taken from its oldest event. Never from the newest. A sync-all that runs
/// already is no help: it has read in part before what was missed (ADR 17).
pub(crate) async fn position_rejected(active: &Active, error: &SourceError) -> Result<(), String> {
    let listener = &active.listener;
    let Some(state) = listener
        .stores
        .position
        .stream(&listener.topic)
        .await
        .map_err(in_words)?
    else {
        return Ok(());
    };
    let since = state.heard;
    let evidence = format!(
        "position {} of {}: {error}",
        state.position.to_hex(),
        listener.topic
    );
    open(
        active,
        GapCause::PositionRejected,
        since,
        evidence,
        JobKind::SyncAll,
        JobScope::Since {
            since: since.before(MARGIN),
        },
    )
    .await?;
    let earliest = StreamState {
        position: ReplayId(Vec::new()),
        at_end: false,
        window_over: false,
        ..state
    };
    listener
        .stores
        .position
        .store_stream(&listener.topic, &earliest)
        .await
        .map_err(in_words)
}

/// An event that stands for any record of an object. Whatever the object is, its records are in
/// mOS through opportunities, so all of those are read, with what belongs to them.
pub(crate) async fn all_of(
    active: &Active,
    object: ObjectKind,
    cause: GapCause,
    committed: Timestamp,
    transaction: &str,
) -> Result<(), String> {
    let since = committed.before(MARGIN);
    let evidence = format!("an event for all records of {object} in transaction {transaction}");
    open(
        active,
        cause,
        committed,
        evidence,
        JobKind::CatchUp,
        JobScope::Since { since },
    )
    .await
}

/// An event that cannot be read: its bytes are a dead message, and what it may have said is caught up.
pub(crate) async fn undecodable(
    active: &Active,
    replay: &ReplayId,
    event: &Undecodable,
) -> Result<(), String> {
    let Undecodable {
        schema_id,
        reason,
        payload,
    } = event;
    let listener = &active.listener;
    let dead = ports::queue::Message {
        id: format!("event-{}", replay.to_hex()),
        kind: format!("avro/{schema_id}"),
        version: 1,
        body: payload.clone(),
    };
    listener
        .queue
        .publish_dead(&dead, &listener.topic, reason)
        .await
        .map_err(in_words)?;
    // Nobody can read when it was committed: not before the stream was last heard without it.
    let stored = listener.stores.position.stream(&listener.topic).await;
    let now = listener.clock.now();
    let since = stored
        .map_err(in_words)?
        .map_or(now, |state| state.heard.min(now));
    let evidence = format!(
        "the event at position {} with schema {schema_id} cannot be read: {reason}",
        replay.to_hex()
    );
    open(
        active,
        GapCause::Undecodable,
        since,
        evidence,
        JobKind::CatchUp,
        JobScope::Since {
            since: since.before(MARGIN),
        },
    )
    .await
}

/// Live units that the queue has lost: the stream will not bring their changes again.
pub(crate) async fn units_lost(active: &Active, lost: &[Lost<'_>]) -> Result<(), String> {
    let now = active.listener.clock.now();
    let hours = lost.iter().map(|lost| lost.job.requested);
    let since = hours.min().unwrap_or(now);
    let units = lost.iter().filter_map(|Lost { job, units }| {
        let first = units.first()?;
        Some(format!(
            "{} of {} from its unit {first} on",
            units.len(),
            job.id
        ))
    });
    let units = units.collect::<Vec<_>>().join(", ");
    open(
        active,
        GapCause::UnitsLost,
        since,
        format!("units were lost by the queue: {units}"),
        JobKind::CatchUp,
        JobScope::Since {
            since: since.before(OLDEST).before(MARGIN),
        },
    )
    .await
}

/// Objects are polled from now on, in an org that is followed already: nobody knows which of their
/// changes were never heard of, so everything is read, once for all of them.
pub(crate) async fn not_heard(
    active: &Active,
    objects: &[(ObjectKind, Timestamp)],
) -> Result<(), String> {
    let mut job = sync_all_to_come(active).await?;
    for (object, from) in objects {
        let evidence = format!(
            "{object} is polled from {from} on, and what happened to it before may not have been heard"
        );
        let id = id_of(active, *from, &evidence);
        let job = job.get_or_insert_with(|| {
            let now = active.listener.clock.now();
            let (kind, scope) = (JobKind::SyncAll, JobScope::Everything);
            Job::queued(JobId::new(kind, id), kind, scope, now)
        });
        open_with(active, GapCause::NotHeard, *from, evidence, job).await?;
    }
    Ok(())
}

/// A sync-all that will read everything and has not begun to: whoever needs one now needs no other.
pub(crate) async fn sync_all_to_come(active: &Active) -> Result<Option<Job>, String> {
    let jobs = active.listener.stores.jobs.unfinished().await;
    let mut jobs = jobs.map_err(in_words)?.into_iter();
    Ok(jobs.find(|job| {
        job.kind == JobKind::SyncAll
            && job.scope == JobScope::Everything
            && job.salesforce == SalesforceStatus::Queued
    }))
}

/// The same evidence at the same time is the same gap, however often the stream repeats it.
fn id_of(active: &Active, since: Timestamp, evidence: &str) -> uuid::Uuid {
    domain::job::uuid_of(&format!("{} {since} {evidence}", active.org))
}

async fn open(
    active: &Active,
    cause: GapCause,
    since: Timestamp,
    evidence: String,
    kind: JobKind,
    scope: JobScope,
) -> Result<(), String> {
    let id = id_of(active, since, &evidence);
    let now = active.listener.clock.now();
    let job = Job::queued(JobId::new(kind, id), kind, scope, now);
    open_with(active, cause, since, evidence, &job).await
}

async fn open_with(
    active: &Active,
    cause: GapCause,
    since: Timestamp,
    evidence: String,
    job: &Job,
) -> Result<(), String> {
    let gap = Gap {
        id: id_of(active, since, &evidence).to_string(),
        cause,
        since,
        opened: active.listener.clock.now(),
        evidence: evidence.clone(),
        job: job.id.clone(),
        closed: None,
    };
    active
        .listener
        .stores
        .position
        .open_gap(&gap, job)
        .await
        .map_err(in_words)?;
    active
        .log(
            LogLevel::Warning,
            "gap",
            Some(&job.id),
            format!("gap opened: {evidence}"),
        )
        .await
        .map_err(in_words)
}

/// Closes the gaps whose jobs have brought everything. With `look_back`, also those whose jobs never
/// will and that a later sync-all has filled instead.
pub(crate) async fn close_filled(active: &Active, look_back: bool) -> Result<(), String> {
    let stores = &active.listener.stores;
    let mut stuck = Vec::new();
    for gap in stores.position.open_gaps().await.map_err(in_words)? {
        let job = stores.jobs.get(&gap.job).await.map_err(in_words)?;
        match &job {
            Some(job) if has_brought_everything(job) => close(active, &gap, job).await?,
            Some(job) if !job.is_over() => {}
            // It has failed, was cancelled, or is forgotten.
            Some(_) | None => stuck.push(gap),
        }
    }
    if !look_back || stuck.is_empty() {
        return Ok(());
    }
    let mut before = None;
    loop {
        let page = stores.jobs.page(before.take(), PAGE).await;
        let page = page.map_err(in_words)?;
        for job in page.iter().filter(|job| has_brought_everything(job)) {
            let (filled, open) = stuck
                .into_iter()
                .partition::<Vec<_>, _>(|gap| fills(job, gap));
            stuck = open;
            for gap in &filled {
                close(active, gap, job).await?;
            }
        }
        let Some(last) = page.last() else {
            return Ok(());
        };
        if stuck.iter().all(|gap| gap.opened > last.requested) {
            return Ok(());
        }
        before = Some((last.requested, last.id.clone()));
    }
}

fn has_brought_everything(job: &Job) -> bool {
    matches!(
        job.outcome(),
        Some(MosStatus::Completed | MosStatus::CompletedWithErrors)
    )
}

/// Whether the job has read whatever the gap may have hidden.
fn fills(job: &Job, gap: &Gap) -> bool {
    let reads_all = match &job.scope {
        JobScope::Everything => true,
        JobScope::Since { since } => *since <= gap.since,
        JobScope::Owners { .. }
        | JobScope::Entering { .. }
        | JobScope::Objects { .. }
        | JobScope::Stages { .. }
        | JobScope::Records { .. }
        | JobScope::Stream => false,
    };
    job.kind == JobKind::SyncAll && reads_all && job.requested >= gap.opened
}

async fn close(active: &Active, gap: &Gap, job: &Job) -> Result<(), String> {
    let now = active.listener.clock.now();
    let position = &active.listener.stores.position;
    let closed = position.close_gap(&gap.id, now).await;
    closed.map_err(in_words)?;
    let message = format!("gap closed by {}: {}", job.id, gap.evidence);
    let logged = active.log(LogLevel::Info, "gap", Some(&job.id), message);
    logged.await.map_err(in_words)
}
