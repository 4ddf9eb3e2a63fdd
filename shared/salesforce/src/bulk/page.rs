//! A page of results, read as it comes ("Get Results for a Query Job" in the Bulk API 2.0 guide).

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use domain::Row;
use http::header;
use ports::source::{BulkPage, BulkQueryId, SourceError};

use super::columns::Columns;
use super::csv::{Malformed, Reader};
use super::job::{job_path, of_known_job};
use super::row::row;
use crate::Core;
use crate::http::Stream;

/// Where the next page is, or the four letters `null`.
const LOCATOR: &str = "sforce-locator";
const LAST: &str = "null";
/// How many rows the page has.
const RECORDS: &str = "sforce-numberofrecords";

impl Core {
    pub(crate) async fn bulk_results(
        &self,
        id: &BulkQueryId,
        columns: &[String],
        locator: Option<&str>,
        max_rows: u32,
    ) -> Result<Box<dyn BulkPage>, SourceError> {
        let path = format!("{}/results", job_path(id)?);
        let columns = self.bulk_columns(id, columns).await?;
        let stream = self
            .stream(|session| {
                let mut url = self.data_url(session, &path)?;
                url.query_pairs_mut()
                    .append_pair("maxRecords", &max_rows.max(1).to_string());
                if let Some(locator) = locator {
                    url.query_pairs_mut().append_pair("locator", locator);
                }
                Ok(self
                    .http
                    .streams
                    .get(url)
                    .header(header::ACCEPT, "text/csv")
                    .header(header::ACCEPT_ENCODING, "gzip"))
            })
            .await
            .map_err(of_known_job)?;
        Ok(Box::new(ResultPage::of(stream, columns)?))
    }
}

/// A page on its way.
struct ResultPage {
    stream: Stream,
    columns: Arc<Columns>,
    promised: u64,
    next: Option<String>,
    /// What came and is not read yet.
    piece: Bytes,
    reader: Reader,
    header_came: bool,
    ended: bool,
    came: u64,
    /// Rows to hand out. Here and not in the call's future, which may be dropped.
    rows: Vec<Row>,
    failed: Option<SourceError>,
}

impl ResultPage {
    fn of(stream: Stream, columns: Arc<Columns>) -> Result<Self, SourceError> {
        let header = |name: &str| {
            stream.header(name).ok_or_else(|| {
                SourceError::Garbled(format!("a page of bulk results has no usable {name}"))
            })
        };
        let promised = header(RECORDS)?.trim().parse().map_err(|_not_digits| {
            SourceError::Garbled(format!("a page of bulk results has no number as {RECORDS}"))
        })?;
        let next = match header(LOCATOR)? {
            LAST => None,
            locator => Some(locator.to_owned()),
        };
        Ok(Self {
            stream,
            columns,
            promised,
            next,
            piece: Bytes::new(),
            reader: Reader::default(),
            header_came: false,
            ended: false,
            came: 0,
            rows: Vec::new(),
            failed: None,
        })
    }

    async fn fill(&mut self, max: usize) -> Result<(), SourceError> {
        while self.rows.len() < max && !self.ended {
            let (used, complete) = self
                .reader
                .read(&self.piece)
                .map_err(|malformed| self.malformed(malformed))?;
            let _read = self.piece.split_to(used);
            if complete {
                self.take()?;
                continue;
            }
            match self.stream.piece().await? {
                Some(piece) => self.piece = piece,
                None => self.end()?,
            }
        }
        Ok(())
    }

    /// Takes a complete record: the header or a row.
    fn take(&mut self) -> Result<(), SourceError> {
        let record = self
            .reader
            .record()
            .map_err(|malformed| self.malformed(malformed))?;
        if !self.header_came {
            self.columns.check_header(record).map_err(|difference| {
                SourceError::Garbled(format!(
                    "the header of a page of bulk results is not the query's: {difference}"
                ))
            })?;
            self.header_came = true;
            return Ok(());
        }
        self.came += 1;
        if self.came > self.promised {
            return Err(SourceError::Garbled(format!(
                "a page of bulk results has more rows than the {} it promised",
                self.promised
            )));
        }
        let row = row(&self.columns, record).map_err(|unfit| {
            SourceError::Garbled(format!(
                "row {} of a page of bulk results cannot be read: {unfit}",
                self.came
            ))
        })?;
        self.rows.push(row);
        Ok(())
    }

    fn end(&mut self) -> Result<(), SourceError> {
        self.ended = true;
        let has_last = self
            .reader
            .finish()
            .map_err(|malformed| self.malformed(malformed))?;
        if has_last {
            // Only a body whose end the protocol marks is known not to be cut there.
            if !self.stream.marks_its_end() {
                return Err(self.malformed("its last row has no line end"));
            }
            self.take()?;
        }
        if self.came < self.promised {
            return Err(SourceError::Garbled(format!(
                "a page of bulk results promised {} rows and ended after {}",
                self.promised, self.came
            )));
        }
        Ok(())
    }

    fn malformed(&self, malformed: Malformed) -> SourceError {
        SourceError::Garbled(format!(
            "a page of bulk results is not the CSV it should be: {malformed}, after row {} of {}",
            self.came, self.promised
        ))
    }
}

#[async_trait]
impl BulkPage for ResultPage {
    fn promised(&self) -> u64 {
        self.promised
    }

    fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }

    async fn rows(&mut self, max: usize) -> Result<Vec<Row>, SourceError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let max = max.max(1);
        if let Err(error) = self.fill(max).await {
            self.failed = Some(error.clone());
            return Err(error);
        }
        // A dropped call may have asked for more.
        let later = self.rows.split_off(max.min(self.rows.len()));
        Ok(std::mem::replace(&mut self.rows, later))
    }
}
