//! Units of a job that the queue has lost ([`missing`]). They are published again, where that can be done with the same records under the
//! same indices; else what they held is read again under new ones.

use std::collections::BTreeSet;

use domain::job::{Cursor, JobScope, PageRead, SalesforceStatus, Statement};
use domain::unit::{Cause, Lane, MAX_RECORDS, UnitRecord};
use domain::{SalesforceId, Ticket};
use ports::source::{BulkState, SourceError};
use ports::stores::LogLevel;
use runtime::worker::Outage;

use super::bulk::{Place, Results, Rows};
use super::publish::{BATCH, Batch, Reading};
use super::trouble::Trouble;
use super::{Reader, move_to, plan_of, rest};
use crate::{missing, publish};

/// Units published again in a turn.
const AT_ONCE: usize = 5 * BATCH;
/// Publishes lost units of the job again; whether there were any.
pub(super) async fn look(reading: &mut Reading<'_>, reader: &mut Reader) -> Result<bool, Trouble> {
    let (active, job) = (reading.active, reading.job);
    if job.pending() == 0 || !reader.watch.is_over(active, job, Lane::Bulk).await? {
        return Ok(false);
    }
    let lost = missing::lost(active, job, AT_ONCE).await?;
    if lost.is_empty() {
        return Ok(false);
    }
    reader.watch = missing::Watch::default();
    if job.salesforce == SalesforceStatus::Cancelled {
        abandon(reading, &lost).await?;
        return Ok(true);
    }
    let message = format!(
        "{} units of {} are in no queue and not counted: they are published again",
        lost.len(),
        job.id
    );
    active
        .log(LogLevel::Warning, "job", Some(&job.id), message.clone())
        .await?;
    if job.salesforce == SalesforceStatus::Sealed {
        let extracting = SalesforceStatus::Extracting;
        move_to(active, job, extracting, LogLevel::Warning, None, message)
            .await
            .map_err(Outage::Other)?;
    }
    let indices = lost.iter().copied().collect::<Vec<_>>();
    let jobs = &active.listener.stores.jobs;
    jobs.forget_sendings(&job.id, &indices)
        .await
        .map_err(Outage::from)?;
    if let JobScope::Records { records } = &job.scope {
        for index in lost {
            let unit = records_of(records, index);
            again(reading, index, reading.progress.generation, None, unit).await?;
        }
        return Ok(true);
    }
    by_ledger(reading, reader, lost).await?;
    Ok(true)
}

/// The same records that a job of named records has under an index.
pub(super) fn records_of(
    records: &BTreeSet<(domain::ObjectKind, SalesforceId)>,
    index: u64,
) -> Vec<UnitRecord> {
    let before = usize::try_from(index)
        .unwrap_or(usize::MAX)
        .saturating_mul(MAX_RECORDS);
    let unit = records.iter().skip(before).take(MAX_RECORDS);
    unit.map(|(object, id)| publish::record(*object, *id, Cause::Reread))
        .collect()
}

async fn again(
    reading: &Reading<'_>,
    index: u64,
    generation: u32,
    ticket: Option<Ticket>,
    records: Vec<UnitRecord>,
) -> Result<(), Outage> {
    let place = publish::Place {
        job: reading.job.id.clone(),
        index,
        generation,
        lane: Lane::Bulk,
    };
    publish::unit(reading.active, place, ticket, records)
        .await
        .map_err(Outage::Other)
}

async fn abandon(reading: &Reading<'_>, lost: &BTreeSet<u64>) -> Result<(), Outage> {
    let lost = lost.iter().copied().collect::<Vec<_>>();
    let jobs = &reading.active.listener.stores.jobs;
    Ok(jobs.abandon(&reading.job.id, &lost).await?)
}

/// Page by page: which rows the lost units were cut from.
async fn by_ledger(
    reading: &mut Reading<'_>,
    reader: &mut Reader,
    mut lost: BTreeSet<u64>,
) -> Result<(), Trouble> {
    let plan = plan_of(reading, reader).await?;
    let jobs = &reading.active.listener.stores.jobs;
    let pages = jobs.pages(&reading.job.id).await?;
    while let Some(first) = lost.first().copied() {
        let place = pages.partition_point(|page| page.first_index <= first);
        let next = pages.get(place);
        let later = next.map(|page| lost.split_off(&page.first_index));
        let of_page = std::mem::replace(&mut lost, later.unwrap_or_default());
        let Some(page) = place.checked_sub(1).and_then(|place| pages.get(place)) else {
            // Published before there was a ledger.
            return broken(
                reading,
                &of_page,
                reading.progress.phase,
                "they are in no page",
            )
            .await;
        };
        if page.phase == reading.progress.phase && page.generation < reading.progress.generation {
            // A later run of the phase has read the same once more.
            abandon(reading, &of_page).await?;
            continue;
        }
        let at = |place: u32| usize::try_from(place).unwrap_or(usize::MAX);
        let statements = plan.phases.get(at(page.phase));
        let Some(statement) = statements.and_then(|phase| phase.get(at(page.statement))) else {
            return broken(reading, &of_page, page.phase, "the plan is another one").await;
        };
        match Place::of(&page.at) {
            Some(query) => match same_rows(reading, page, statement, &query, &of_page).await {
                Ok(()) => {}
                Err(Trouble::Outage(Outage::Source(
                    error @ (SourceError::Expired(_)
                    | SourceError::Garbled(_)
                    | SourceError::Refused { .. }),
                ))) => {
                    let why = error.to_string();
                    return broken(reading, &of_page, page.phase, &why).await;
                }
                Err(trouble) => return Err(trouble),
            },
            None => {
                same_range(
                    reading,
                    page,
                    statement,
                    next.and_then(|next| end(page, next)),
                )
                .await?;
                abandon(reading, &of_page).await?;
            }
        }
    }
    Ok(())
}

/// The last id of a page's range, where the next page says so; else the range has no end.
fn end(page: &PageRead, next: &PageRead) -> Option<SalesforceId> {
    let run = |page: &PageRead| (page.phase, page.statement, page.generation);
    key(&next.at).filter(|end| run(page) == run(next) && Some(*end) > key(&page.at))
}

/// The key of a page of REST.
const fn key(at: &Cursor) -> Option<SalesforceId> {
    match at {
        Cursor::Rest { after } => *after,
        Cursor::Start | Cursor::Bulk { .. } => None,
    }
}

/// What the lost units held cannot be had any more: their phase begins again.
async fn broken(
    reading: &mut Reading<'_>,
    lost: &BTreeSet<u64>,
    phase: u32,
    why: &str,
) -> Result<(), Trouble> {
    abandon(reading, lost).await?;
    reading.change(|progress| progress.phase = phase);
    Err(Trouble::broken(format!(
        "{} units were lost and cannot be published again: {why}",
        lost.len()
    )))
}

/// The results of a bulk query are still there: the same rows give the same units.
async fn same_rows(
    reading: &Reading<'_>,
    page: &PageRead,
    statement: &Statement,
    query: &Place,
    lost: &BTreeSet<u64>,
) -> Result<(), Trouble> {
    let source = &*reading.active.listener.source;
    let state = source.bulk_query(query.id()).await?;
    if state.state != BulkState::JobComplete {
        let gone = format!("{} is {:?}", query.id(), state.state);
        return Err(SourceError::Expired(gone).into());
    }
    let rows = Rows::of(reading, statement.object, state.records);
    let mut results = Results::open(source, query, rows).await?;
    let mut index = page.first_index;
    let last = lost.last().copied().unwrap_or_default();
    while index <= last {
        let units = results.batch(source).await?;
        if units.is_empty() {
            let fewer = format!("{} has fewer rows than it had before", query.id());
            return Err(SourceError::Garbled(fewer).into());
        }
        for unit in units {
            if lost.contains(&index) {
                again(reading, index, page.generation, Some(query.ticket), unit).await?;
            }
            index += 1;
        }
    }
    Ok(())
}

/// Pages of REST are read as they are now, under new indices: all of the range between two keys.
async fn same_range(
    reading: &mut Reading<'_>,
    page: &PageRead,
    statement: &Statement,
    until: Option<SalesforceId>,
) -> Result<(), Trouble> {
    let active = reading.active;
    let mut after = key(&page.at);
    let mut size = rest::PageSize::default();
    loop {
        let rest::Page {
            ticket,
            records,
            end,
        } = rest::page(reading, statement, (after, until), &mut size).await?;
        let mut at = Some(Cursor::Rest { after });
        for units in rest::batches(records) {
            let then = reading.progress.cursor.clone();
            let batch = Batch {
                ticket: Some(ticket),
                units,
                page: at.take(),
                then,
            };
            let run = (page.statement, page.generation);
            reading.publish_of(batch, run).await?;
        }
        if end.is_none() {
            break;
        }
        after = end;
    }
    reading.flush().await?;
    tracing::info!(job = %reading.job.id, object = %statement.object, "rows of lost units were read again");
    active
        .log(
            LogLevel::Info,
            "job",
            Some(&reading.job.id),
            format!(
                "{} has read {} again where units were lost",
                reading.job.id, statement.object
            ),
        )
        .await?;
    Ok(())
}
