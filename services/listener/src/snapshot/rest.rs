//! Statements with few rows: REST pages in the order of ids, each under a ticket of its own.
//!
//! A page is in memory as a whole, and a row may have texts of 32,000 characters: how many rows a
//! page has follows from what the rows before weighed ([`PageSize`]).

use domain::job::{Cursor, FIRST_PAGE, LOAD_PAGE, Statement};
use domain::soql;
use domain::unit::{Cause, UnitRecord};
use domain::{ObjectKind, SalesforceId, Ticket};
use ports::source::{Source, SourceError};
use runtime::worker::Outage;

use super::cut::{self, Cutter};
use super::plan;
use super::publish::{Batch, Reading, Units};
use super::trouble::Trouble;

/// The rows of a page, however heavy they are.
const FEWEST: usize = 50;
/// What a page should weigh at most.
const PAGE_BYTES: usize = 4 << 20;

/// How many rows of an object are asked for at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageSize {
    of: Option<ObjectKind>,
    rows: usize,
}

impl Default for PageSize {
    fn default() -> Self {
        Self {
            of: None,
            rows: FIRST_PAGE,
        }
    }
}

impl PageSize {
    /// The rows to ask for now. Should no answer come, it may have been too large: fewer are asked
    /// for then.
    fn ask(&mut self, object: ObjectKind) -> usize {
        if self.of.replace(object) != Some(object) {
            self.rows = FIRST_PAGE;
        }
        let asked = self.rows;
        self.rows = (asked / 2).max(FEWEST);
        asked
    }

    /// The next page has as many rows of the average weight of these as it may weigh.
    fn learn(&mut self, asked: usize, came: &[UnitRecord]) {
        let rows = came.iter().filter_map(|record| record.row.as_ref());
        let bytes = rows.map(|row| row.get().len()).sum::<usize>();
        let average = bytes.checked_div(came.len());
        self.rows = average.map_or(asked, |average| {
            (PAGE_BYTES / average.max(1)).clamp(FEWEST, LOAD_PAGE)
        });
    }
}

/// Reads the next page and publishes it; whether it was the last.
pub(super) async fn read(
    reading: &mut Reading<'_>,
    statement: &Statement,
    after: Option<SalesforceId>,
    size: &mut PageSize,
) -> Result<bool, Trouble> {
    let Page {
        ticket,
        records,
        end,
    } = page(reading, statement, (after, None), size).await?;
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
    (after, until): (Option<SalesforceId>, Option<SalesforceId>),
    size: &mut PageSize,
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
    let asked = size.ask(statement.object);
    let soql = query.page_soql(after, asked);
    let cause = plan::cause(reading.job, statement.object);
    let source = &*active.listener.source;
    let first = source.query(&soql, false).await.map_err(Outage::from);
    let first = active.rules.seen_anew_if_refused(first);
    let first = first.map_err(Trouble::of_statement)?;
    let mut records = rows(source, first, statement.object, &cause).await?;
    size.learn(asked, &records);
    let full = records.len() >= asked;
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
    let mut batch = Units::default();
    for row in rows {
        batch.extend(cutter.push(row));
        if batch.is_full() {
            batches.push(std::mem::take(&mut batch).take());
        }
    }
    batch.extend(cutter.rest());
    let last = batch.take();
    if !last.is_empty() {
        batches.push(last);
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

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Row;

    fn rows(number: usize, bytes: usize) -> Vec<UnitRecord> {
        let row = |number| {
            let id = format!("006{number:012}");
            let row = serde_json::json!({ "Id": id, "Description": "x".repeat(bytes) });
            let row = Row::of(&row).unwrap();
            cut::record(ObjectKind::Opportunity, row, &Cause::FullLoad).unwrap()
        };
        (0..number).map(row).collect()
    }

    #[test]
    fn pages_have_fewer_rows_when_these_are_large() {
        let mut size = PageSize::default();
        let mut asked = Vec::new();
        for bytes in [10, 30_000, 200_000, 10, 10] {
            let most = size.ask(ObjectKind::Opportunity);
            asked.push(most);
            size.learn(most, &rows(most, bytes));
        }
        assert_eq!(asked, [100, 400, 139, 50, 400]);
        // Nothing is known of another object, and nothing is learnt from no row.
        let first = size.ask(ObjectKind::Contact);
        size.learn(first, &[]);
        let again = size.ask(ObjectKind::Contact);
        assert_eq!((first, again), (100, 100));
        // That one was not answered.
        assert_eq!(size.ask(ObjectKind::Contact), 50);
    }

    #[test]
    fn what_is_published_together_is_bounded_by_its_weight() {
        let small = batches(rows(2_001, 10));
        assert_eq!(small.iter().map(Vec::len).collect::<Vec<_>>(), [10, 1]);
        let large = batches(rows(400, 30_000));
        let weight = |batch: &Vec<Vec<UnitRecord>>| {
            let rows = batch
                .iter()
                .flatten()
                .filter_map(|record| record.row.as_ref());
            rows.map(|row| row.get().len()).sum::<usize>()
        };
        assert!(large.len() > 2);
        assert!(large.iter().all(|batch| weight(batch) < 6 << 20));
    }
}
