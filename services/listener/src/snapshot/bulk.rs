//! Statements with many rows: a Bulk API 2.0 query, whose results are read page by page as they
//! come off the network.
//!
//! The sequence of a query's rows never changes, but how they are dealt out to pages may; so units
//! are cut from the sequence, across pages, and a place in it is a page and the rows before it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use domain::ObjectKind;
use domain::job::{BULK_PAGE, Cursor, Statement};
use domain::unit::{Cause, Lane, UnitRecord};
use domain::{Row, Ticket};
use ports::source::{BulkPage, BulkQueryId, BulkState, Source, SourceError};
use runtime::worker::Outage;
use tokio::time::Instant;

use super::before::Before;
use super::cut::{self, Cutter};
use super::plan;
use super::publish::{Batch, Reading, Units};
use super::trouble::Trouble;
use crate::publish::has_room;

/// Rows taken from a page at a time: they may be large.
const PIECE: usize = 50;
/// Batches published in a turn, at most.
const BATCHES: usize = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE: Duration = Duration::from_secs(30);

/// A query of which the reader knows more than its cursor says.
#[derive(Default)]
pub(super) struct Query {
    results: Option<Results>,
    asked: Option<Asked>,
}

/// When a running query was last asked how far it is.
struct Asked {
    pause: Duration,
    next: Instant,
    records: u64,
}

/// What a turn with a query came to.
pub(super) enum Turn {
    /// Salesforce is still at work.
    Waits,
    /// There are more rows.
    More,
    /// All rows are published.
    Done,
}

impl Query {
    /// Asks Salesforce to begin, under a ticket taken before. A crash before the cursor is written
    /// leaves a query that nobody reads, and that goes away by itself.
    pub(super) async fn create(
        &mut self,
        reading: &mut Reading<'_>,
        statement: &Statement,
    ) -> Result<(), Trouble> {
        let active = reading.active;
        let (ticket, rules) = active.rules.ticket().await?;
        let query = plan::soql(
            (&*rules, ticket.version.time()),
            statement,
            &reading.job.scope,
            reading.before.as_deref(),
        );
        let soql = query.to_soql();
        let created = active.listener.source.create_bulk_query(&soql).await;
        let created = created.map_err(Into::into);
        let id = active.rules.seen_anew_if_refused(created);
        let id = id.map_err(Trouble::of_statement)?;
        tracing::info!(job = %reading.job.id, query = %id, object = %statement.object, "Salesforce reads");
        *self = Self::default();
        reading.change(|progress| {
            progress.cursor = Cursor::Bulk {
                query: id.0,
                columns: query.select,
                ticket,
                locator: None,
                rows: 0,
                total_rows: 0,
            };
        });
        Ok(reading.flush().await?)
    }

    /// Publishes a few batches of the query that the cursor names, or asks how far it is.
    pub(super) async fn read(
        &mut self,
        reading: &mut Reading<'_>,
        statement: &Statement,
    ) -> Result<Turn, Trouble> {
        let Some(place) = Place::of(&reading.progress.cursor) else {
            return Ok(Turn::Done);
        };
        let mut results = match self.results.take() {
            Some(results) => results,
            None => match self.open(reading, &place, statement).await? {
                Some(results) => results,
                None => return Ok(Turn::Waits),
            },
        };
        for batch in 0..BATCHES {
            // A turn began with room in the lane, and other jobs have to find some after it.
            if batch > 0
                && !has_room(reading.active, Lane::Bulk)
                    .await
                    .map_err(Outage::Other)?
            {
                break;
            }
            let source = &*reading.active.listener.source;
            let begin = reading.progress.cursor.clone();
            let units = results.batch(source).await?;
            let ends = results.is_at_end();
            if !units.is_empty() {
                let page = results.is_news(&begin).then_some(begin);
                let then = place.at(&results);
                let ticket = Some(place.ticket);
                reading
                    .publish(Batch {
                        ticket,
                        units,
                        page,
                        then,
                    })
                    .await?;
            }
            if ends {
                return Ok(Turn::Done);
            }
        }
        self.results = Some(results);
        Ok(Turn::More)
    }

    /// The results from the cursor on, once Salesforce has them all.
    async fn open(
        &mut self,
        reading: &mut Reading<'_>,
        place: &Place,
        statement: &Statement,
    ) -> Result<Option<Results>, Trouble> {
        let object = statement.object;
        let now = Instant::now();
        let asked = self.asked.get_or_insert(Asked {
            pause: FIRST_PAUSE,
            next: now,
            records: 0,
        });
        if now < asked.next {
            return Ok(None);
        }
        let source = &*reading.active.listener.source;
        let query = source.bulk_query(&place.query).await?;
        match query.state {
            BulkState::UploadComplete | BulkState::InProgress => {
                asked.next = now + asked.pause;
                asked.pause = (asked.pause * 2).min(LAST_PAUSE);
                if query.records > asked.records {
                    asked.records = query.records;
                    // It goes on: a sign of life for whoever looks at the job.
                    reading.change(|_progress| {});
                }
                Ok(None)
            }
            BulkState::Failed => {
                // A field may have been hidden since it was asked for.
                reading.active.rules.see_anew();
                let why = query.error.as_deref().unwrap_or("no reason given");
                Err(Trouble::Broken {
                    about: plan::about_failure(why),
                    reason: format!("Salesforce gave up the query for {object}: {why}"),
                })
            }
            BulkState::Aborted => Err(Trouble::broken(format!(
                "somebody aborted the query for {object} in Salesforce"
            ))),
            BulkState::JobComplete => {
                // They may all be gone since: it is asked once more, and then believed.
                if let Some(counted @ 1..) = statement.total
                    && query.records == 0
                    && reading.progress.generation == 0
                {
                    return Err(Trouble::broken(format!(
                        "{counted} rows of {object} were counted, and the query has none"
                    )));
                }
                let rows = Rows::of(reading, object, query.records);
                Ok(Some(Results::open(source, place, rows).await?))
            }
        }
    }
}

/// A cursor within a query.
pub(super) struct Place {
    query: BulkQueryId,
    columns: Vec<String>,
    pub(super) ticket: Ticket,
    locator: Option<String>,
    rows: u64,
    before: u64,
}

impl Place {
    pub(super) const fn id(&self) -> &BulkQueryId {
        &self.query
    }

    pub(super) fn of(cursor: &Cursor) -> Option<Self> {
        match cursor {
            Cursor::Start | Cursor::Rest { .. } => None,
            Cursor::Bulk {
                query,
                columns,
                ticket,
                locator,
                rows,
                total_rows,
            } => Some(Self {
                query: BulkQueryId(query.clone()),
                columns: columns.clone(),
                ticket: *ticket,
                locator: locator.clone(),
                rows: *rows,
                before: *total_rows,
            }),
        }
    }

    /// The same query, where its results have been read to.
    fn at(&self, results: &Results) -> Cursor {
        let (page, rows) = results.place();
        Cursor::Bulk {
            query: self.query.0.clone(),
            columns: self.columns.clone(),
            ticket: self.ticket,
            locator: page.locator.clone(),
            rows,
            total_rows: page.before,
        }
    }
}

/// A page of results: where it is, and the query's rows before it.
struct PageAt {
    locator: Option<String>,
    before: u64,
}

struct Taken {
    /// `None`: left out.
    record: Option<UnitRecord>,
    page: Arc<PageAt>,
    /// Its place in the page.
    row: u64,
}

/// What the rows of a query are.
pub(super) struct Rows {
    object: ObjectKind,
    cause: Cause,
    before: Option<Arc<Before>>,
    /// How many the whole query has.
    expected: u64,
}

impl Rows {
    pub(super) fn of(reading: &Reading<'_>, object: ObjectKind, expected: u64) -> Self {
        Self {
            object,
            cause: plan::cause(reading.job, object),
            before: reading.before.clone(),
            expected,
        }
    }

    /// A row as a record, unless it is left out.
    fn record(&self, row: Row) -> Result<Option<UnitRecord>, SourceError> {
        if self.before.as_ref().is_some_and(|before| before.had(&row)) {
            return Ok(None);
        }
        cut::record(self.object, row, &self.cause).map(Some)
    }
}

/// The results of a complete query, from a place on.
pub(super) struct Results {
    query: BulkQueryId,
    columns: Vec<String>,
    rows: Rows,
    page: Box<dyn BulkPage>,
    at: Arc<PageAt>,
    /// Rows that have come of this page.
    came: u64,
    /// Rows that have come and are in no unit yet.
    waiting: VecDeque<Taken>,
    /// The last page has come to its end.
    ended: bool,
    /// Where the last page begins that the job's ledger knows.
    known: Option<Option<String>>,
}

impl Results {
    pub(super) async fn open(
        source: &dyn Source,
        place: &Place,
        rows: Rows,
    ) -> Result<Self, SourceError> {
        let locator = place.locator.as_deref();
        let page = source.bulk_results(&place.query, &place.columns, locator, BULK_PAGE);
        let mut results = Self {
            page: page.await?,
            query: place.query.clone(),
            columns: place.columns.clone(),
            rows,
            at: Arc::new(PageAt {
                locator: place.locator.clone(),
                before: place.before,
            }),
            came: 0,
            waiting: VecDeque::new(),
            ended: false,
            known: None,
        };
        results.skip(source, place.rows).await?;
        Ok(results)
    }

    /// Passes over rows that are published.
    async fn skip(&mut self, source: &dyn Source, rows: u64) -> Result<(), SourceError> {
        for _ in 0..rows {
            if self.next(source).await?.is_none() {
                return Err(SourceError::Garbled(format!(
                    "the query for {} has fewer rows than it had before",
                    self.rows.object
                )));
            }
        }
        Ok(())
    }

    /// The next units, as many as are published together. After an error the results are opened
    /// anew.
    pub(super) async fn batch(
        &mut self,
        source: &dyn Source,
    ) -> Result<Vec<Vec<UnitRecord>>, SourceError> {
        let mut cutter = Cutter::default();
        let mut units = Units::default();
        while !units.is_full() {
            match self.next(source).await? {
                Some(Taken { record, .. }) => {
                    units.extend(record.and_then(|record| cutter.push(record)));
                }
                None => {
                    units.extend(cutter.rest());
                    break;
                }
            }
        }
        // Whether that was all is known only from what follows.
        if self.waiting.is_empty() {
            self.fetch(source).await?;
        }
        Ok(units.take())
    }

    async fn next(&mut self, source: &dyn Source) -> Result<Option<Taken>, SourceError> {
        if self.waiting.is_empty() {
            self.fetch(source).await?;
        }
        Ok(self.waiting.pop_front())
    }

    /// Has at least one row waiting, unless there is none any more.
    async fn fetch(&mut self, source: &dyn Source) -> Result<(), SourceError> {
        while self.waiting.is_empty() && !self.ended {
            let rows = self.page.rows(PIECE).await?;
            if rows.is_empty() {
                self.turn_over(source).await?;
            }
            for row in rows {
                let record = self.rows.record(row)?;
                self.waiting.push_back(Taken {
                    record,
                    page: Arc::clone(&self.at),
                    row: self.came,
                });
                self.came += 1;
            }
        }
        Ok(())
    }

    async fn turn_over(&mut self, source: &dyn Source) -> Result<(), SourceError> {
        let wrong = |promised: u64, came: u64, what: &str| {
            SourceError::Garbled(format!(
                "{promised} rows were promised for {what}, {came} came"
            ))
        };
        if self.came != self.page.promised() {
            return Err(wrong(self.page.promised(), self.came, "a page"));
        }
        let before = self.at.before + self.came;
        let Some(locator) = self.page.next().map(str::to_owned) else {
            if before != self.rows.expected {
                return Err(wrong(self.rows.expected, before, "the query"));
            }
            self.ended = true;
            return Ok(());
        };
        let page = source.bulk_results(&self.query, &self.columns, Some(&locator), BULK_PAGE);
        self.page = page.await?;
        self.at = Arc::new(PageAt {
            locator: Some(locator),
            before,
        });
        self.came = 0;
        Ok(())
    }

    fn is_at_end(&self) -> bool {
        self.ended && self.waiting.is_empty()
    }

    /// The place of the next row.
    fn place(&self) -> (&PageAt, u64) {
        match self.waiting.front() {
            Some(next) => (&next.page, next.row),
            None => (&self.at, self.came),
        }
    }

    /// Whether the ledger does not know the page yet in which units begin here.
    fn is_news(&mut self, begin: &Cursor) -> bool {
        let Cursor::Bulk { locator, .. } = begin else {
            return true;
        };
        let known = self.known.replace(locator.clone());
        known.as_ref() != Some(locator)
    }
}
