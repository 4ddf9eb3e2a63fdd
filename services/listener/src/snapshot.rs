//! The snapshot reader: turns what a job asks for into units, page by page.
//!
//! Opportunities are read by SOQL in the order of their ids, each page under a ticket taken before
//! it; what belongs to them is added by the permission worker under the same ticket. How far the
//! reader has come is stored after each page's units are confirmed, so a listener that dies reads
//! at most one page again, under the same indices.

use std::time::Duration;

use domain::job::{Job, JobScope, Progress, SalesforceStatus};
use domain::rule::Rules;
use domain::soql;
use domain::unit::{Cause, Lane, MAX_RECORDS, MAX_ROW_BYTES, UnitRecord};
use domain::{ObjectKind, SalesforceId, Ticket};
use ports::source::SourceError;
use ports::stores::LogLevel;
use runtime::worker::Outage;
use tokio_util::sync::CancellationToken;

use crate::publish::{self, Place};
use crate::{Active, in_words};

/// The rows of a page, SOQL's own largest.
const PAGE: usize = 2_000;
/// More owners than fit into one statement are left to the permission worker.
const MAX_OWNERS: usize = 400;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(60);

/// Reads a job to its end, from where it was left.
pub(crate) async fn read(
    active: &Active,
    job: Job,
    stop: &CancellationToken,
) -> Result<(), String> {
    let jobs = &active.listener.stores.jobs;
    if job.salesforce == SalesforceStatus::Queued {
        jobs.set_salesforce(
            &job.id,
            SalesforceStatus::Extracting,
            active.listener.clock.now(),
            None,
        )
        .await
        .map_err(in_words)?;
        active
            .log(
                LogLevel::Info,
                "job",
                Some(&job.id),
                format!("{} has begun", job.id),
            )
            .await
            .map_err(in_words)?;
    }
    let sealed = match &job.scope {
        JobScope::Records { records } => {
            let records = records.iter().copied().collect::<Vec<_>>();
            read_records(active, &job, &records).await?;
            Ok(())
        }
        JobScope::Everything
        | JobScope::Owners { .. }
        | JobScope::Since { .. }
        | JobScope::Stream => read_pages(active, &job, stop).await,
    };
    let now = active.listener.clock.now();
    match sealed {
        Ok(()) if stop.is_cancelled() => Ok(()),
        Ok(()) => {
            jobs.set_salesforce(&job.id, SalesforceStatus::Sealed, now, None)
                .await
                .map_err(in_words)?;
            active
                .log(
                    LogLevel::Info,
                    "job",
                    Some(&job.id),
                    format!("{} has published everything there was to read", job.id),
                )
                .await
                .map_err(in_words)
        }
        Err(PageError::Refused(reason)) => {
            jobs.set_salesforce(&job.id, SalesforceStatus::Failed, now, Some(&reason))
                .await
                .map_err(in_words)?;
            active
                .log(
                    LogLevel::Error,
                    "job",
                    Some(&job.id),
                    format!("{} has failed: {reason}", job.id),
                )
                .await
                .map_err(in_words)
        }
        Err(PageError::Ground(reason)) => Err(reason),
    }
}

/// Records that are named: they are read back by the filter worker.
async fn read_records(
    active: &Active,
    job: &Job,
    records: &[(ObjectKind, SalesforceId)],
) -> Result<(), String> {
    for (index, chunk) in (0_u64..).zip(records.chunks(MAX_RECORDS)) {
        if index < job.progress.next_index {
            continue;
        }
        publish::room(active, Lane::Bulk).await?;
        let units = chunk
            .iter()
            .map(|(object, id)| publish::record(*object, *id, Cause::Reread))
            .collect();
        publish::unit(
            active,
            Place {
                job: job.id.clone(),
                index,
                lane: Lane::Bulk,
            },
            None,
            units,
        )
        .await?;
        let progress = Progress {
            after: None,
            next_index: index + 1,
        };
        active
            .listener
            .stores
            .jobs
            .advance(&job.id, &progress, active.listener.clock.now())
            .await
            .map_err(in_words)?;
    }
    Ok(())
}

enum PageError {
    /// Salesforce will not answer this query, however often it is asked.
    Refused(String),
    /// A store or the broker.
    Ground(String),
}

async fn read_pages(active: &Active, job: &Job, stop: &CancellationToken) -> Result<(), PageError> {
    let mut progress = job.progress.clone();
    let mut pause = FIRST_PAUSE;
    while !stop.is_cancelled() {
        publish::room(active, Lane::Bulk)
            .await
            .map_err(PageError::Ground)?;
        let (ticket, rows) = match page(active, job, &progress).await {
            Ok(page) => page,
            Err(Outage::Source(SourceError::Refused { code, message })) => {
                return Err(PageError::Refused(format!("{code}: {message}")));
            }
            Err(Outage::Source(error)) => {
                tracing::warn!(job = %job.id, "a page could not be read and is asked for again: {error}");
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return Ok(()),
                    () = tokio::time::sleep(pause) => {}
                }
                pause = (pause * 2).min(LAST_PAUSE);
                continue;
            }
            Err(error @ (Outage::Store(_) | Outage::Other(_))) => {
                return Err(PageError::Ground(error.to_string()));
            }
        };
        pause = FIRST_PAUSE;
        let full = rows.len() >= PAGE;
        let Some(last) = rows.last().map(|record| record.id) else {
            return Ok(());
        };
        for unit in units(rows) {
            let place = Place {
                job: job.id.clone(),
                index: progress.next_index,
                lane: Lane::Bulk,
            };
            publish::unit(active, place, Some(ticket), unit)
                .await
                .map_err(PageError::Ground)?;
            progress.next_index += 1;
        }
        progress.after = Some(last);
        let now = active.listener.clock.now();
        active
            .listener
            .stores
            .jobs
            .advance(&job.id, &progress, now)
            .await
            .map_err(|error| PageError::Ground(error.to_string()))?;
        if !full {
            return Ok(());
        }
    }
    Ok(())
}

/// The next page, under the ticket taken before it was asked for.
async fn page(
    active: &Active,
    job: &Job,
    progress: &Progress,
) -> Result<(Ticket, Vec<UnitRecord>), Outage> {
    let (ticket, rules) = active.rules.ticket().await?;
    let soql = statement(&rules, &job.scope, progress.after);
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
    if let JobScope::Owners { owners } = scope
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
        JobScope::Since { since } => conditions.push(format!(
            "(IsClosed = false OR SystemModstamp >= {})",
            since.to_soql()
        )),
        JobScope::Everything
        | JobScope::Owners { .. }
        | JobScope::Records { .. }
        | JobScope::Stream => conditions.push("IsClosed = false".to_owned()),
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
