//! The snapshot reader: turns what a job asks for into units.
//!
//! A job is planned and counted ([`plan`]), then its statements are read, few rows by REST
//! ([`rest`]) and many by Bulk API 2.0 ([`bulk`]), cut into units ([`cut`]) and published so that
//! after a crash it is known which units may be with the queue ([`publish`]). What goes wrong is
//! met in [`trouble`], units that the queue has lost are published again in [`lost`].

mod before;
mod bulk;
mod cut;
mod lost;
mod plan;
mod publish;
mod rest;
mod trouble;

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::job::{Cursor, Job, JobScope, PausedBy, Plan, SalesforceStatus, Statement, Way};
use domain::unit::{Lane, MAX_RECORDS};
use domain::{ObjectKind, SalesforceId};
use ports::source::BulkQueryId;
use ports::stores::{LogLevel, Moved};
use runtime::worker::Outage;

use self::before::Before;
use self::plan::Counting;
use self::publish::{BATCH, Batch, Reading};
use self::trouble::{Patience, Trouble};
use crate::{Active, in_words};

/// What the reader keeps in mind of a job between its turns; lost without harm.
#[derive(Default)]
pub(crate) struct Reader {
    patience: Patience,
    draft: Option<plan::Draft>,
    plan: Option<Arc<Plan>>,
    before: Option<Arc<Before>>,
    query: bulk::Query,
    page: rest::PageSize,
    watch: crate::missing::Watch,
    /// It has been said that the job waits for the first permissions.
    waits: bool,
}

/// What came of a turn.
enum Turn {
    /// Nothing to do for now.
    Waits,
    /// There is more to do.
    More,
    /// Everything that there was is published.
    Done,
}

/// Gives a job one turn, a few batches at most, so that no job keeps others waiting. Whether it did
/// something.
pub(crate) async fn turn(active: &Active, job: &Job, reader: &mut Reader) -> Result<bool, String> {
    // A job that failed is over, and gets no turn.
    if job.salesforce == SalesforceStatus::Cancelled {
        return end(active, job, reader).await;
    }
    if is_held(active, job).await? {
        reader.query = bulk::Query::default();
        return Ok(false);
    }
    if reader.patience.is_waiting() || !crate::publish::has_room(active, Lane::Bulk).await? {
        return Ok(false);
    }
    let mut reading = Reading::of(active, job);
    let turn = step(&mut reading, reader).await;
    // What is confirmed is written also where the turn ended badly.
    reading.flush().await.map_err(in_words)?;
    match turn {
        Ok(Turn::Waits) => Ok(false),
        Ok(turn @ (Turn::More | Turn::Done)) => {
            if reader.patience.has_paid() {
                let message = format!("{} goes on", job.id);
                let logged = active.log(LogLevel::Info, "job", Some(&job.id), message);
                logged.await.map_err(in_words)?;
            }
            if matches!(turn, Turn::Done) {
                let message = format!("{} has published everything there was to read", job.id);
                let sealed = SalesforceStatus::Sealed;
                move_to(active, job, sealed, LogLevel::Info, None, message).await?;
            }
            Ok(true)
        }
        Err(trouble) => {
            trouble::meet(&mut reading, reader, trouble).await?;
            Ok(false)
        }
    }
}

/// The job is over, as far as the reader is concerned: its queries are removed.
pub(crate) async fn leave(active: &Active, job: &domain::job::JobId) -> Result<(), String> {
    remove_queries(active, job, None).await.map_err(in_words)
}

/// Whether somebody, or the org's allowance, holds the job.
async fn is_held(active: &Active, job: &Job) -> Result<bool, String> {
    let Some(pause) = &job.paused else {
        return Ok(false);
    };
    let now = active.listener.clock.now();
    if pause.by == PausedBy::Person || pause.until.is_none_or(|until| now < until) {
        return Ok(true);
    }
    let jobs = &active.listener.stores.jobs;
    let resumed = jobs.resume(&job.id, PausedBy::Quota, now).await;
    if resumed.map_err(in_words)? {
        let message = format!("{} is tried again after it was held", job.id);
        let logged = active.log(LogLevel::Info, "job", Some(&job.id), message);
        logged.await.map_err(in_words)?;
        return Ok(false);
    }
    Ok(true)
}

/// A job that was cancelled before everything was published: nobody waits for what may not have
/// been, nor for what was lost.
async fn end(active: &Active, job: &Job, reader: &mut Reader) -> Result<bool, String> {
    let mut reading = Reading::of(active, job);
    reading.abandon_doubtful().await.map_err(in_words)?;
    reading.flush().await.map_err(in_words)?;
    match lost::look(&mut reading, reader).await {
        Ok(found) => Ok(found),
        Err(trouble) => trouble::meet(&mut reading, reader, trouble)
            .await
            .map(|()| false),
    }
}

async fn step(reading: &mut Reading<'_>, reader: &mut Reader) -> Result<Turn, Trouble> {
    if reading.job.salesforce == SalesforceStatus::Sealed {
        return look_for_lost(reading, reader).await;
    }
    if let JobScope::Records { records } = &reading.job.scope {
        return read_records(reading, records).await;
    }
    if reading.job.salesforce == SalesforceStatus::Extracting {
        read_plan(reading, reader).await
    } else {
        count(reading, reader).await
    }
}

/// Everything is published; what the queue has lost of it is published again.
async fn look_for_lost(reading: &mut Reading<'_>, reader: &mut Reader) -> Result<Turn, Trouble> {
    Ok(if lost::look(reading, reader).await? {
        Turn::More
    } else {
        Turn::Waits
    })
}

/// Asks how much there is to read.
async fn count(reading: &mut Reading<'_>, reader: &mut Reader) -> Result<Turn, Trouble> {
    let (active, job) = (reading.active, reading.job);
    if job.salesforce == SalesforceStatus::Queued {
        let begun = format!("{} has begun: it asks how much there is to read", job.id);
        let counting = SalesforceStatus::Counting;
        move_to(active, job, counting, LogLevel::Info, None, begun)
            .await
            .map_err(Outage::Other)?;
    }
    match plan::count(active, job, &mut reader.draft).await? {
        Counting::More => Ok(Turn::More),
        Counting::Waits => {
            if !std::mem::replace(&mut reader.waits, true) {
                let message = format!(
                    "{} waits until it is known who holds mOS permission",
                    job.id
                );
                active
                    .log(LogLevel::Info, "job", Some(&job.id), message)
                    .await?;
            }
            Ok(Turn::Waits)
        }
        Counting::Done(plan) => {
            begin_reading(reading, &plan).await?;
            reader.plan = Some(Arc::new(plan));
            Ok(Turn::More)
        }
    }
}

/// Totals first, then the plan with which the reading begins: nobody sees the one without the
/// other.
async fn begin_reading(reading: &mut Reading<'_>, plan: &Plan) -> Result<(), Trouble> {
    let (active, job) = (reading.active, reading.job);
    let mut found = Vec::new();
    for object in ObjectKind::ALL {
        let of_object = plan.phases.iter().flatten();
        let of_object = of_object.filter(|statement| statement.object == object);
        let mut statements = of_object.peekable();
        if statements.peek().is_none() {
            continue;
        }
        let total = statements
            .map(|statement| statement.total)
            .sum::<Option<u64>>();
        reading.change(|progress| progress.objects.entry(object).or_default().total = total);
        found.push(match total {
            Some(total) => format!("{total} of {object}"),
            None => format!("an unknown number of {object}"),
        });
    }
    reading.flush().await?;
    let jobs = &active.listener.stores.jobs;
    let now = active.listener.clock.now();
    if jobs.set_plan(&job.id, plan, now).await? == Moved::Now {
        let found = if found.is_empty() {
            "nothing, nobody holds mOS permission".to_owned()
        } else {
            found.join(", ")
        };
        let message = format!("{} reads {found}", job.id);
        active
            .log(LogLevel::Info, "job", Some(&job.id), message)
            .await?;
        for note in &plan.notes {
            active
                .log(LogLevel::Warning, "job", Some(&job.id), note.clone())
                .await?;
        }
    }
    Ok(())
}

/// Reads on where the cursor is.
async fn read_plan(reading: &mut Reading<'_>, reader: &mut Reader) -> Result<Turn, Trouble> {
    let plan = plan_of(reading, reader).await?;
    if !matches!(reading.progress.cursor, Cursor::Bulk { .. }) {
        reading.abandon_doubtful().await?;
    }
    let at = |place: u32| usize::try_from(place).unwrap_or(usize::MAX);
    let Some(statements) = plan.phases.get(at(reading.progress.phase)) else {
        return Ok(Turn::Done);
    };
    let Some(statement) = statements.get(at(reading.progress.statement)) else {
        return next_phase(reading, reader, plan.phases.len()).await;
    };
    let object = statement.object;
    let ended = match reading.progress.cursor.clone() {
        Cursor::Bulk { .. } => match reader.query.read(reading, statement).await? {
            bulk::Turn::Waits => return Ok(Turn::Waits),
            bulk::Turn::More => false,
            bulk::Turn::Done => true,
        },
        Cursor::Start if statement.way == Way::Bulk => {
            begin(reading, object);
            reader.query.create(reading, statement).await?;
            return Ok(Turn::More);
        }
        Cursor::Start => {
            begin(reading, object);
            rest::read(reading, statement, None, &mut reader.page).await?
        }
        Cursor::Rest { after } => rest::read(reading, statement, after, &mut reader.page).await?,
    };
    if ended {
        end_statement(reading, statements).await;
    }
    Ok(Turn::More)
}

/// The plan, with what it leaves out.
async fn plan_of(reading: &mut Reading<'_>, reader: &mut Reader) -> Result<Arc<Plan>, Trouble> {
    let plan = stored_plan(reading, reader).await?;
    if plan.leaves_out && reader.before.is_none() {
        let before = Before::of(reading.active, reading.job).await?;
        let before = before.ok_or_else(|| {
            Trouble::Hopeless(
                "it reads what has entered since settings that are lost; start a sync-all"
                    .to_owned(),
            )
        })?;
        reader.before = Some(Arc::new(before));
    }
    reading.before = reader.before.clone().filter(|_| plan.leaves_out);
    Ok(plan)
}

async fn stored_plan(reading: &Reading<'_>, reader: &mut Reader) -> Result<Arc<Plan>, Trouble> {
    if let Some(plan) = &reader.plan {
        return Ok(Arc::clone(plan));
    }
    let id = &reading.job.id;
    let jobs = &reading.active.listener.stores.jobs;
    let plan = jobs.plan(id).await?;
    let plan = plan.ok_or_else(|| {
        Trouble::Hopeless(
            "it is being read and has no plan: its status store was damaged; start a sync-all"
                .to_owned(),
        )
    })?;
    let plan = Arc::new(plan);
    reader.plan = Some(Arc::clone(&plan));
    Ok(plan)
}

fn begin(reading: &mut Reading<'_>, object: ObjectKind) {
    let now = reading.active.listener.clock.now();
    reading.change(|progress| {
        let extracted = progress.objects.entry(object).or_default();
        extracted.started.get_or_insert(now);
    });
}

/// Goes on to the next statement.
async fn end_statement(reading: &mut Reading<'_>, statements: &[Statement]) {
    let now = reading.active.listener.clock.now();
    let empty = match &reading.progress.cursor {
        Cursor::Bulk {
            query,
            rows: 0,
            total_rows: 0,
            ..
        } => Some(query.clone()),
        Cursor::Bulk { .. } | Cursor::Start | Cursor::Rest { .. } => None,
    };
    reading.change(|progress| {
        let done = usize::try_from(progress.statement).unwrap_or(usize::MAX);
        progress.statement += 1;
        progress.cursor = Cursor::Start;
        if let Some((ended, rest)) = statements.get(done..).and_then(<[_]>::split_first)
            && rest.iter().all(|later| later.object != ended.object)
        {
            let extracted = progress.objects.entry(ended.object).or_default();
            extracted.finished = Some(now);
        }
    });
    // The results of others are kept until their units are counted.
    if let Some(query) = empty {
        remove(reading.active, &query).await;
    }
}

/// The next phase begins when every unit of this one is counted, so that parents are in mOS before
/// their children.
async fn next_phase(
    reading: &mut Reading<'_>,
    reader: &mut Reader,
    phases: usize,
) -> Result<Turn, Trouble> {
    let (active, job) = (reading.active, reading.job);
    let phase = reading.progress.phase;
    let last = usize::try_from(phase).is_ok_and(|phase| phase + 1 >= phases);
    if last {
        return Ok(Turn::Done);
    }
    if job.pending() > 0 {
        return look_for_lost(reading, reader).await;
    }
    remove_queries(active, &job.id, Some(phase)).await?;
    reading.change(|progress| {
        progress.phase += 1;
        progress.statement = 0;
        progress.generation = 0;
    });
    reading.flush().await?;
    let message = format!("{} begins phase {} of {phases}", job.id, phase + 2);
    active
        .log(LogLevel::Info, "job", Some(&job.id), message)
        .await?;
    Ok(Turn::More)
}

/// Records that are named: they are read back by the filter worker. The same index always has the
/// same records.
async fn read_records(
    reading: &mut Reading<'_>,
    records: &BTreeSet<(ObjectKind, SalesforceId)>,
) -> Result<Turn, Trouble> {
    let (active, job) = (reading.active, reading.job);
    if job.salesforce != SalesforceStatus::Extracting {
        let begun = format!("{} has begun", job.id);
        let extracting = SalesforceStatus::Extracting;
        move_to(active, job, extracting, LogLevel::Info, None, begun)
            .await
            .map_err(Outage::Other)?;
    }
    if reading.progress.objects.is_empty() {
        let now = active.listener.clock.now();
        reading.change(|progress| {
            for (object, _) in records {
                let extracted = progress.objects.entry(*object).or_default();
                *extracted.total.get_or_insert(0) += 1;
                extracted.started = Some(now);
            }
        });
    }
    let first = reading.progress.next_index;
    let needed = records.len().div_ceil(MAX_RECORDS) as u64;
    let units = (first..needed)
        .take(BATCH)
        .map(|index| lost::records_of(records, index))
        .collect::<Vec<_>>();
    let ended = first + units.len() as u64 >= needed;
    if !units.is_empty() {
        let then = Cursor::Start;
        reading
            .publish(Batch {
                ticket: None,
                units,
                page: None,
                then,
            })
            .await?;
    }
    Ok(if ended { Turn::Done } else { Turn::More })
}

/// Moves the job on; says so in the log if it was this call that moved it.
async fn move_to(
    active: &Active,
    job: &Job,
    status: SalesforceStatus,
    level: LogLevel,
    failure: Option<&str>,
    message: String,
) -> Result<(), String> {
    let now = active.listener.clock.now();
    let jobs = &active.listener.stores.jobs;
    let moved = jobs.transition(&job.id, status, now, failure).await;
    if moved.map_err(in_words)? == Moved::Now {
        let logged = active.log(level, "job", Some(&job.id), message);
        logged.await.map_err(in_words)?;
    }
    Ok(())
}

/// Removes the queries whose results nobody needs any more, of one phase or of all.
async fn remove_queries(
    active: &Active,
    job: &domain::job::JobId,
    phase: Option<u32>,
) -> Result<(), Outage> {
    let pages = active.listener.stores.jobs.pages(job).await?;
    let queries = pages
        .iter()
        .filter(|page| phase.is_none_or(|phase| page.phase == phase))
        .filter_map(|page| match &page.at {
            Cursor::Bulk { query, .. } => Some(query.as_str()),
            Cursor::Start | Cursor::Rest { .. } => None,
        })
        .collect::<BTreeSet<_>>();
    for query in queries {
        remove(active, query).await;
    }
    Ok(())
}

/// Removes a query; that it stays is no harm, it goes away by itself.
async fn remove(active: &Active, query: &str) {
    let id = BulkQueryId(query.to_owned());
    if let Err(error) = active.listener.source.remove_bulk_query(&id).await {
        tracing::info!(
            query,
            "could not be removed, and goes away by itself: {error}"
        );
    }
}
