//! Statements with few rows: REST pages in the order of ids, each under a ticket of its own.

use domain::ObjectKind;
use domain::SalesforceId;
use domain::job::{Cursor, Statement};
use domain::unit::{Cause, UnitRecord};
use ports::source::{Source, SourceError};
use runtime::worker::Outage;

use super::cut::{self, Cutter};
use super::plan;
use super::publish::{BATCH, Batch, Reading};

/// The rows of a page, SOQL's own largest.
pub(super) const PAGE: usize = 2_000;

/// Reads the next page and publishes it; whether it was the last.
pub(super) async fn read(
    reading: &mut Reading<'_>,
    statement: &Statement,
    after: Option<SalesforceId>,
) -> Result<bool, Outage> {
    let active = reading.active;
    let (ticket, rules) = active.rules.ticket().await?;
    let soql = plan::soql(&rules, statement, &reading.job.scope).page_soql(after, PAGE);
    let cause = plan::cause(reading.job);
    let rows = rows(&*active.listener.source, &soql, statement.object, &cause).await;
    let rows = active.rules.seen_anew_if_refused(rows.map_err(Outage::from))?;
    let last = rows.len() < PAGE;
    let mut cutter = Cutter::default();
    let mut units = rows
        .into_iter()
        .filter_map(|row| cutter.push(row))
        .collect::<Vec<_>>();
    units.extend(cutter.rest());
    let mut page = Some(reading.progress.cursor.clone());
    while !units.is_empty() {
        let later = units.split_off(units.len().min(BATCH));
        let batch = std::mem::replace(&mut units, later);
        let then = Cursor::Rest {
            after: batch.last().and_then(|unit| unit.last()).map(|record| record.id),
        };
        reading
            .publish(Batch {
                ticket: Some(ticket),
                units: batch,
                page: page.take(),
                then,
            })
            .await?;
    }
    Ok(last)
}

/// All rows of a query, of which a server may send less at a time.
pub(super) async fn rows(
    source: &dyn Source,
    soql: &str,
    object: ObjectKind,
    cause: &Cause,
) -> Result<Vec<UnitRecord>, SourceError> {
    let mut answer = source.query(soql, false).await?;
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
