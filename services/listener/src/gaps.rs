//! The gap ledger: every hole in the stream is written down together with the job that fills it.

use domain::job::{Job, JobId, JobKind, JobScope, MosStatus, SalesforceStatus};
use domain::{ObjectKind, Timestamp};
use ports::source::{ReplayId, SourceError, Undecodable};
use ports::stores::{Gap, GapCause, LogLevel, StreamState};

use crate::{Active, in_words};

/// How far before a hole its catch-up begins: stamps have whole seconds, and become visible late
/// (Salesforce commits after it stamps).
const MARGIN: std::time::Duration = std::time::Duration::from_secs(600);


/// Salesforce no longer knows the stored position: nobody knows what was missed, so everything is
/// read, and the stream is taken from its oldest event. Never from the newest.
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

/// An event that cannot be read: its bytes are set aside, and what it may have said is caught up.
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
    let aside = ports::queue::Message {
        id: format!("event-{}", replay.to_hex()),
        kind: format!("avro/{schema_id}"),
        version: 1,
        body: payload.clone(),
    };
    listener
        .queue
        .set_aside(&aside, &listener.topic, reason)
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

/// Closes the gaps whose jobs have brought everything.
pub(crate) async fn close_filled(active: &Active) -> Result<(), String> {
    let stores = &active.listener.stores;
    for gap in stores.position.open_gaps().await.map_err(in_words)? {
        let Some(job) = stores.jobs.get(&gap.job).await.map_err(in_words)? else {
            continue;
        };
        if matches!(
            job.outcome(),
            Some(MosStatus::Completed | MosStatus::CompletedWithErrors)
        ) {
            stores
                .position
                .close_gap(&gap.id, active.listener.clock.now())
                .await
                .map_err(in_words)?;
            active
                .log(
                    LogLevel::Info,
                    "gap",
                    Some(&job.id),
                    format!("gap closed: {}", gap.evidence),
                )
                .await
                .map_err(in_words)?;
        }
    }
    Ok(())
}
