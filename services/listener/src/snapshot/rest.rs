//! Statements with few rows: REST pages in the order of ids, each under a ticket of its own.

use domain::job::{Cursor, REST_PAGE, Statement};
use domain::soql;
use domain::unit::{Cause, UnitRecord};
use domain::{ObjectKind, SalesforceId, Ticket};
use ports::source::{Source, SourceError};
use runtime::worker::Outage;

use super::cut::{self, Cutter};
use super::plan;
use super::publish::{BATCH, Batch, Reading};
use super::trouble::Trouble;

/// Reads the next page and publishes it; whether it was the last.
pub(super) async fn read(
    reading: &mut Reading<'_>,
    statement: &Statement,
    after: Option<SalesforceId>,
) -> Result<bool, Trouble> {
    let Page {
        ticket,
        records,
        end,
    } = page(reading, statement, after, None).await?;
    let mut at = Some(reading.progress.cursor.clone());
    for units in batches(records) {
        let then = Cursor::Rest {
            after: units
                .last()
                .and_then(|unit| unit.last())
                .map(|record| record.id),
        };
        reading
            .publish(Batch {
                ticket: Some(ticket),
                units,
                page: at.take(),
                then,
            })
            .await?;
    }
    // Behind the last record there may be rows that are left out.
    if let Some(after) = end {
        reading.change(|progress| progress.cursor = Cursor::Rest { after: Some(after) });
    }
    Ok(end.is_none())
}

/// A page as it is published.
pub(super) struct Page {
    pub(super) ticket: Ticket,
    pub(super) records: Vec<UnitRecord>,
    /// Where the next page begins; `None` on the last.
    pub(super) end: Option<SalesforceId>,
}

/// A page of a statement, under the ticket taken before it was asked for: rows after one id, and
/// none after another.
pub(super) async fn page(
    reading: &Reading<'_>,
    statement: &Statement,
    after: Option<SalesforceId>,
    until: Option<SalesforceId>,
) -> Result<Page, Trouble> {
    let active = reading.active;
    let (ticket, rules) = active.rules.ticket().await?;
    let mut query = plan::soql(
        (&*rules, ticket.version.time()),
        statement,
        &reading.job.scope,
        reading.before.as_deref(),
    );
    if let Some(until) = until {
        let bound = format!("Id <= {}", soql::quote(until.as_str()));
        query.condition = Some(match query.condition {
            Some(condition) => format!("{bound} AND {condition}"),
            None => bound,
        });
    }
    let soql = query.page_soql(after, REST_PAGE);
    let cause = plan::cause(reading.job, statement.object);
    let source = &*active.listener.source;
    let first = source.query(&soql, false).await.map_err(Outage::from);
    let first = active.rules.seen_anew_if_refused(first);
    let first = first.map_err(Trouble::of_statement)?;
    let mut records = rows(source, first, statement.object, &cause).await?;
    let full = records.len() >= REST_PAGE;
    let end = records.last().map(|last| last.id).filter(|_| full);
    if let Some(before) = &reading.before {
        records.retain(|record| record.row.as_ref().is_none_or(|row| !before.had(row)));
    }
    Ok(Page {
        ticket,
        records,
        end,
    })
}

/// Rows as units, as many together as are published together.
pub(super) fn batches(rows: Vec<UnitRecord>) -> Vec<Vec<Vec<UnitRecord>>> {
    let mut cutter = Cutter::default();
    let mut batches = Vec::new();
    let mut batch = Vec::new();
    for row in rows {
        batch.extend(cutter.push(row));
        if batch.len() == BATCH {
            batches.push(std::mem::take(&mut batch));
        }
    }
    batch.extend(cutter.rest());
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

/// All rows of a query, of which a server may send less at a time than it was asked for.
async fn rows(
    source: &dyn Source,
    mut answer: ports::source::Page,
    object: ObjectKind,
    cause: &Cause,
) -> Result<Vec<UnitRecord>, SourceError> {
    let promised = answer.total;
    let mut records = Vec::new();
    loop {
        for row in answer.rows {
            records.push(cut::record(object, row, cause)?);
        }
        match answer.next {
            Some(locator) => answer = source.next_page(&locator).await?,
            None if records.len() as u64 == promised => return Ok(records),
            None => {
                return Err(SourceError::Garbled(format!(
                    "{promised} rows of {object} were promised, {} came",
                    records.len()
                )));
            }
        }
    }
}
