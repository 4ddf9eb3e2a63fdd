//! The snapshot reader: turns what a job asks for into units, page by page.
//!
//! Opportunities are read by SOQL in the order of their ids, each page under a ticket taken before
//! it; what belongs to them is added by the permission worker under the same ticket. Units are
//! announced before they are published, and how far the reader has come is stored when a page's
//! units are confirmed. So a listener that dies reads at most one page again: units that it had
//! announced of that page are waited for no more, and its rows go out under new indices.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::job::{Cursor, Job, JobScope, Progress, SalesforceStatus};
use domain::rule::Rules;
use domain::soql;
use domain::unit::{Cause, Lane, MAX_RECORDS, MAX_ROW_BYTES, UnitRecord};
use domain::{ObjectKind, SalesforceId, Ticket};
use ports::source::SourceError;
use ports::stores::{LogLevel, Moved};
use runtime::worker::Outage;
use tokio::time::Instant;

use crate::publish::{self, Place};
use crate::{Active, in_words};

/// The rows of a page, SOQL's own largest.
const PAGE: usize = 2_000;
/// More owners than fit into one statement are left to the permission worker.
const MAX_OWNERS: usize = 400;
/// So often a page may be refused (what can be seen may just have changed) before the job fails.
const REFUSALS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(60);

/// How patient the reader is with one job: Salesforce may be out of reach, or refuse for a while.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    failures: u32,
    refusals: u32,
    not_before: Option<Instant>,
}

impl Patience {
    fn is_waiting(&self) -> bool {
        self.not_before.is_some_and(|until| Instant::now() < until)
    }

    fn wait(&mut self) {
        let pause = FIRST_PAUSE * 2_u32.saturating_pow(self.failures.min(10));
        self.not_before = Some(Instant::now() + pause.min(LAST_PAUSE));
        self.failures += 1;
    }
}

/// What came of a turn.
enum Turn {
    /// There is more to read.
    More,
    /// Everything that there was is published.
    Done,
}

/// Gives a job one turn, a page at most, so that no job keeps others waiting. Whether it read
/// something.
pub(crate) async fn turn(
    active: &Active,
    job: &Job,
    patience: &mut Patience,
) -> Result<bool, String> {
    if patience.is_waiting() || !publish::has_room(active, Lane::Bulk).await? {
        return Ok(false);
    }
    if job.salesforce == SalesforceStatus::Queued {
        let begun = format!("{} has begun", job.id);
        let moved = move_to(
            active,
            job,
            SalesforceStatus::Extracting,
            LogLevel::Info,
            None,
            begun,
        )
        .await?;
        if !moved {
            // Somebody has cancelled it.
            return Ok(false);
        }
    }
    let turn = match &job.scope {
        JobScope::Records { records } => read_records(active, job, records).await,
        JobScope::Everything
        | JobScope::Owners { .. }
        | JobScope::Since { .. }
        | JobScope::Stream => read_page(active, job).await,
    };
    match active.rules.seen_anew_if_refused(turn) {
        Ok(Turn::More) => {
            *patience = Patience::default();
            Ok(true)
        }
        Ok(Turn::Done) => {
            let done = format!("{} has published everything there was to read", job.id);
            move_to(
                active,
                job,
                SalesforceStatus::Sealed,
                LogLevel::Info,
                None,
                done,
            )
            .await?;
            Ok(true)
        }
        Err(Outage::Source(SourceError::Refused { code, message })) => {
            patience.refusals += 1;
            let reason = format!("{code}: {message}");
            if patience.refusals >= REFUSALS {
                let failed = format!("{} has failed: {reason}", job.id);
                let failure = Some(reason.as_str());
                move_to(
                    active,
                    job,
                    SalesforceStatus::Failed,
                    LogLevel::Error,
                    failure,
                    failed,
                )
                .await?;
                return Ok(false);
            }
            tracing::warn!(job = %job.id, "a page was refused and is asked for again: {reason}");
            patience.wait();
            Ok(false)
        }
        Err(Outage::Source(error)) => {
            tracing::warn!(job = %job.id, "a page could not be read and is asked for again: {error}");
            patience.wait();
            Ok(false)
        }
        Err(error @ (Outage::Store(_) | Outage::Other(_))) => Err(error.to_string()),
    }
}

/// Moves the job, and says so in the log; `false` when it cannot go there any more.
async fn move_to(
    active: &Active,
    job: &Job,
    status: SalesforceStatus,
    level: LogLevel,
    failure: Option<&str>,
    message: String,
) -> Result<bool, String> {
    let now = active.listener.clock.now();
    let jobs = &active.listener.stores.jobs;
    let moved = jobs
        .transition(&job.id, status, now, failure)
        .await
        .map_err(in_words)?;
    match moved {
        // Already: the answer was lost, and the line with it.
        Moved::Now | Moved::Already => {
            active
                .log(level, "job", Some(&job.id), message)
                .await
                .map_err(in_words)?;
            Ok(true)
        }
        Moved::Refused(_) | Moved::Unknown => Ok(false),
    }
}

/// Units of which nobody knows whether they were published are waited for no more; should they
/// come, their counts take them back.
pub(crate) async fn give_up_doubtful(active: &Active, job: &Job) -> Result<Progress, Outage> {
    let mut progress = job.progress.clone();
    if progress.announced > progress.next_index {
        let doubtful = (progress.next_index..progress.announced).collect::<Vec<_>>();
        let jobs = &active.listener.stores.jobs;
        jobs.abandon(&job.id, &doubtful).await?;
        progress.next_index = progress.announced;
        advance(active, job, &progress).await?;
    }
    Ok(progress)
}

/// Records that are named: they are read back by the filter worker.
async fn read_records(
    active: &Active,
    job: &Job,
    records: &BTreeSet<(ObjectKind, SalesforceId)>,
) -> Result<Turn, Outage> {
    let index = job.progress.next_index;
    let done = usize::try_from(index)
        .unwrap_or(usize::MAX)
        .saturating_mul(MAX_RECORDS);
    let unit = records
        .iter()
        .skip(done)
        .take(MAX_RECORDS)
        .map(|(object, id)| publish::record(*object, *id, Cause::Reread))
        .collect::<Vec<_>>();
    if unit.is_empty() {
        return Ok(Turn::Done);
    }
    let last = done.saturating_add(unit.len()) >= records.len();
    let mut progress = job.progress.clone();
    // The same records make the same unit, so one in doubt is published again.
    progress.announced = progress.announced.max(index + 1);
    advance(active, job, &progress).await?;
    publish_next(active, job, &mut progress, None, unit).await?;
    advance(active, job, &progress).await?;
    Ok(if last { Turn::Done } else { Turn::More })
}

/// The next page, published as units.
async fn read_page(active: &Active, job: &Job) -> Result<Turn, Outage> {
    let mut progress = give_up_doubtful(active, job).await?;
    let (ticket, rows) = page(active, job, &progress).await?;
    let full = rows.len() >= PAGE;
    let Some(last) = rows.last().map(|record| record.id) else {
        return Ok(Turn::Done);
    };
    let units = units(rows);
    progress.announced += u64::try_from(units.len()).unwrap_or(u64::MAX);
    advance(active, job, &progress).await?;
    for unit in units {
        publish_next(active, job, &mut progress, Some(ticket), unit).await?;
    }
    progress.cursor = Cursor::Rest { after: Some(last) };
    advance(active, job, &progress).await?;
    Ok(if full { Turn::More } else { Turn::Done })
}

async fn publish_next(
    active: &Active,
    job: &Job,
    progress: &mut Progress,
    ticket: Option<Ticket>,
    unit: Vec<UnitRecord>,
) -> Result<(), Outage> {
    let place = Place {
        job: job.id.clone(),
        index: progress.next_index,
        lane: Lane::Bulk,
    };
    let objects = unit.iter().map(|record| record.object).collect::<Vec<_>>();
    publish::unit(active, place, ticket, unit)
        .await
        .map_err(Outage::Other)?;
    progress.next_index += 1;
    for object in &objects {
        progress.objects.entry(*object).or_default().read += 1;
    }
    for object in objects.into_iter().collect::<BTreeSet<_>>() {
        let extracted = progress.objects.entry(object).or_default();
        extracted.units += 1;
        extracted.started = extracted.started.or(job.started);
    }
    Ok(())
}

async fn advance(active: &Active, job: &Job, progress: &Progress) -> Result<(), Outage> {
    let now = active.listener.clock.now();
    let jobs = &active.listener.stores.jobs;
    Ok(jobs.advance(&job.id, progress, None, now).await?)
}

/// The next page, under the ticket taken before it was asked for.
async fn page(
    active: &Active,
    job: &Job,
    progress: &Progress,
) -> Result<(Ticket, Vec<UnitRecord>), Outage> {
    let (ticket, rules) = active.rules.ticket().await?;
    let after = match &progress.cursor {
        Cursor::Rest { after } => *after,
        Cursor::Start | Cursor::Bulk { .. } => None,
    };
    let soql = statement(&rules, &job.scope, after);
    let source = &active.listener.source;
    let mut answer = source.query(&soql, false).await?;
    let mut records = Vec::with_capacity(PAGE);
    loop {
        for row in answer.rows {
            let id = row.fields().ok().and_then(|fields| fields.id("Id"));
            let id =
                id.ok_or_else(|| SourceError::Garbled("a row came without its id".to_owned()))?;
            records.push(UnitRecord {
                row: Some(row),
                ..publish::record(ObjectKind::Opportunity, id, Cause::Snapshot)
            });
        }
        // A server may send less than a page at a time.
        match answer.next {
            Some(locator) => answer = source.next_page(&locator).await?,
            None => return Ok((ticket, records)),
        }
    }
}

fn statement(rules: &Rules, scope: &JobScope, after: Option<SalesforceId>) -> String {
    let fields = rules
        .fields_to_read(ObjectKind::Opportunity)
        .into_iter()
        .collect::<Vec<_>>()
        .join(", ");
    let mut conditions = Vec::new();
    if let Some(after) = after {
        conditions.push(format!("Id > {}", soql::quote(after.as_str())));
    }
    if let JobScope::Owners { owners, .. } = scope
        && owners.len() <= MAX_OWNERS
    {
        conditions.push(format!(
            "OwnerId IN {}",
            soql::in_list(owners.iter().map(SalesforceId::as_str))
        ));
    }
    match scope {
        _ if rules.sync_closed() => {}
        // What has closed meanwhile still gets its last word.
        JobScope::Since { since } | JobScope::Owners { since, .. } => conditions.push(format!(
            "(IsClosed = false OR SystemModstamp >= {})",
            since.to_soql()
        )),
        JobScope::Everything | JobScope::Records { .. } | JobScope::Stream => {
            conditions.push("IsClosed = false".to_owned());
        }
    }
    let conditions = if conditions.is_empty() {
        String::new()
    } else {
        format!(" WHERE {}", conditions.join(" AND "))
    };
    format!("SELECT {fields} FROM Opportunity{conditions} ORDER BY Id LIMIT {PAGE}")
}

/// Cuts rows into units: 200 rows or 1 MiB.
fn units(rows: Vec<UnitRecord>) -> Vec<Vec<UnitRecord>> {
    let mut units = Vec::new();
    let mut unit = Vec::new();
    let mut bytes = 0;
    for record in rows {
        bytes += record.row.as_ref().map_or(0, |row| row.get().len());
        unit.push(record);
        if unit.len() == MAX_RECORDS || bytes >= MAX_ROW_BYTES {
            units.push(std::mem::take(&mut unit));
            bytes = 0;
        }
    }
    if !unit.is_empty() {
        units.push(unit);
    }
    units
}
