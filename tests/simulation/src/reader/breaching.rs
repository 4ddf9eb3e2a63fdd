//! A Salesforce that breaks its promises in ways that scripts leave out.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use domain::{ObjectKind, Row, SalesforceId};
use ports::source::{
    ApiAllowance, BulkPage, BulkQuery, BulkQueryId, BulkState, EventStream, FieldDescription,
    Organization, Page, Source, SourceError, StreamStart,
};
use ports::stores::PositionStore;

use crate::source::SimSource;
use crate::world::TOPIC;

/// How Salesforce breaks its promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Breach {
    Fails,
    Aborted,
    Expires,
    Garbage,
    FewerRows,
    MoreRows,
    OtherHeader,
    /// The results are refused, not the statement.
    Results,
    /// The query takes Salesforce too long.
    TooSlow,
    /// Salesforce is at work on it, row by row.
    Working,
}

impl Breach {
    /// The words in which people are told.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::Fails => "Salesforce gave up the query for Opportunity: simulated failure",
            Self::Aborted => "somebody aborted the query for Opportunity",
            Self::Expires => "have expired in Salesforce",
            Self::Garbage => "rows were promised for a page",
            Self::FewerRows | Self::MoreRows => "rows were promised for the query",
            Self::OtherHeader => "Fax",
            Self::TooSlow => "QUERY_TIMEOUT : simulated",
            Self::Working => "",
            Self::Results => "INVALID_QUERY_LOCATOR: the results timed out",
        }
    }
}

/// A Salesforce that breaks its promises a number of times.
pub(super) struct Breaching {
    pub(super) inner: SimSource,
    breach: Mutex<Option<Breach>>,
    times: AtomicU32,
    /// So many statements with a semi-join are taken yet.
    pub(super) joins_taken: AtomicU32,
    /// So many statements with a semi-join are refused yet, in the words for a hidden field.
    pub(super) joins_unseen: AtomicU32,
    pub(super) quota: AtomicU32,
    /// The code with which deals are not counted.
    pub(super) uncounted: Mutex<Option<&'static str>>,
    /// Nobody can subscribe to the stream.
    pub(super) is_silent: AtomicBool,
    /// It does not say which org it is, and takes a minute for that.
    pub(super) is_nameless: AtomicBool,
    /// Where the listener keeps the stream's position, and the first statement about records that
    /// came before there was one.
    position: Arc<dyn PositionStore>,
    pub(super) early: Mutex<Option<String>>,
    /// What the rows of each answer to a statement weigh.
    pub(super) answers: Mutex<Vec<usize>>,
    pub(super) removed: Mutex<BTreeSet<BulkQueryId>>,
    pub(super) created: Mutex<BTreeSet<BulkQueryId>>,
}

impl Breaching {
    /// Keeps its promises until it is told otherwise.
    pub(super) fn new(inner: SimSource, position: Arc<dyn PositionStore>) -> Self {
        Self {
            inner,
            breach: Mutex::default(),
            times: AtomicU32::new(0),
            joins_taken: AtomicU32::new(u32::MAX),
            joins_unseen: AtomicU32::new(0),
            quota: AtomicU32::new(0),
            uncounted: Mutex::default(),
            is_silent: AtomicBool::new(false),
            is_nameless: AtomicBool::new(false),
            position,
            early: Mutex::default(),
            answers: Mutex::default(),
            removed: Mutex::default(),
            created: Mutex::default(),
        }
    }

    /// Breaks this promise so many times.
    pub(super) fn breaks(&self, breach: Breach, times: u32) {
        *self.breach.lock().unwrap_or_else(PoisonError::into_inner) = Some(breach);
        self.times.store(times, Ordering::SeqCst);
    }

    fn breaches(&self, breach: Breach) -> bool {
        let set = *self.breach.lock().unwrap_or_else(PoisonError::into_inner) == Some(breach);
        set && self
            .times
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            })
            .is_ok()
    }

    async fn is_in_time(&self, soql: &str) {
        let mut objects = ObjectKind::ALL.into_iter();
        let is_about_records = objects.any(|object| soql.contains(&format!("FROM {object} ")));
        if is_about_records && self.position.stream(TOPIC).await.unwrap().is_none() {
            let mut early = self.early.lock().unwrap_or_else(PoisonError::into_inner);
            early.get_or_insert(soql.to_owned());
        }
    }

    fn answer_to(&self, soql: &str) -> Result<(), SourceError> {
        let is_taken = |left: &AtomicU32| {
            let take = |left: u32| left.checked_sub(1);
            let taken = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take);
            taken.is_ok()
        };
        let uncounted = *self
            .uncounted
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(code) = uncounted
            && soql.starts_with("SELECT COUNT() FROM Opportunity ")
        {
            return Err(SourceError::Refused {
                code: code.to_owned(),
                message: "simulated".to_owned(),
            });
        }
        if soql.contains("Id IN (SELECT") && is_taken(&self.joins_unseen) {
            return Err(SourceError::Refused {
                code: "INVALID_FIELD".to_owned(),
                message: "No such column 'OwnerId' on entity 'Opportunity'".to_owned(),
            });
        }
        if soql.contains("Id IN (SELECT") && !is_taken(&self.joins_taken) {
            return Err(SourceError::Refused {
                code: "MALFORMED_QUERY".to_owned(),
                message: "semi join sub-selects are not allowed".to_owned(),
            });
        }
        Ok(())
    }
}

/// A page that ends before its time.
struct Shortened(Box<dyn BulkPage>);

#[async_trait]
impl BulkPage for Shortened {
    fn promised(&self) -> u64 {
        self.0.promised()
    }

    fn next(&self) -> Option<&str> {
        self.0.next()
    }

    async fn rows(&mut self, max: usize) -> Result<Vec<Row>, SourceError> {
        let mut rows = self.0.rows(max).await?;
        rows.pop();
        Ok(rows)
    }
}

#[async_trait]
impl Source for Breaching {
    async fn organization(&self) -> Result<Organization, SourceError> {
        if self.is_nameless.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_secs(60)).await;
            return Err(SourceError::Unreachable("simulated".to_owned()));
        }
        self.inner.organization().await
    }

    async fn user(&self) -> Result<SalesforceId, SourceError> {
        self.inner.user().await
    }

    async fn query(&self, soql: &str, deleted: bool) -> Result<Page, SourceError> {
        self.is_in_time(soql).await;
        self.answer_to(soql)?;
        let mut page = self.inner.query(soql, deleted).await?;
        // However a server deals out its answer, the reader has all of it in memory.
        while let Some(locator) = page.next.take() {
            let next = self.inner.next_page(&locator).await?;
            page.rows.extend(next.rows);
            page.next = next.next;
        }
        let weight = page.rows.iter().map(|row| row.get().len()).sum();
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.push(weight);
        Ok(page)
    }

    async fn next_page(&self, locator: &str) -> Result<Page, SourceError> {
        self.inner.next_page(locator).await
    }

    async fn retrieve(
        &self,
        object: ObjectKind,
        ids: &[SalesforceId],
        fields: &[String],
    ) -> Result<Vec<Option<Row>>, SourceError> {
        self.inner.retrieve(object, ids, fields).await
    }

    async fn describe(&self, object: &str) -> Result<Vec<FieldDescription>, SourceError> {
        self.inner.describe(object).await
    }

    async fn limits(&self) -> Result<ApiAllowance, SourceError> {
        self.inner.limits().await
    }

    fn api_calls(&self) -> u64 {
        self.inner.api_calls()
    }

    async fn create_bulk_query(&self, soql: &str) -> Result<BulkQueryId, SourceError> {
        self.is_in_time(soql).await;
        self.answer_to(soql)?;
        if self
            .quota
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            })
            .is_ok()
        {
            return Err(SourceError::Quota("REQUEST_LIMIT_EXCEEDED".to_owned()));
        }
        let id = self.inner.create_bulk_query(soql).await?;
        let mut created = self.created.lock().unwrap_or_else(PoisonError::into_inner);
        created.insert(id.clone());
        Ok(id)
    }

    async fn bulk_query(&self, id: &BulkQueryId) -> Result<BulkQuery, SourceError> {
        let mut query = self.inner.bulk_query(id).await?;
        if self.breaches(Breach::Fails) {
            query.state = BulkState::Failed;
            query.error = Some("simulated failure".to_owned());
        }
        if self.breaches(Breach::Working) {
            query.state = BulkState::InProgress;
            let left = self.times.load(Ordering::SeqCst);
            query.records = u64::from(u32::MAX - left);
        }
        if self.breaches(Breach::TooSlow) {
            query.state = BulkState::Failed;
            query.error = Some(Breach::TooSlow.reason().to_owned());
        }
        if self.breaches(Breach::Aborted) {
            query.state = BulkState::Aborted;
        }
        if self.breaches(Breach::Expires) {
            return Err(SourceError::Expired(format!("{id} is unknown")));
        }
        if query.state == BulkState::JobComplete && self.breaches(Breach::FewerRows) {
            query.records += 1;
        }
        if query.state == BulkState::JobComplete && self.breaches(Breach::MoreRows) {
            query.records -= 1;
        }
        Ok(query)
    }

    async fn bulk_results(
        &self,
        id: &BulkQueryId,
        columns: &[String],
        locator: Option<&str>,
        max_rows: u32,
    ) -> Result<Box<dyn BulkPage>, SourceError> {
        if self.breaches(Breach::Results) {
            return Err(SourceError::Refused {
                code: "INVALID_QUERY_LOCATOR".to_owned(),
                message: "the results timed out".to_owned(),
            });
        }
        if self.breaches(Breach::OtherHeader) {
            let columns = [columns, &["Fax".to_owned()]].concat();
            return self
                .inner
                .bulk_results(id, &columns, locator, max_rows)
                .await;
        }
        let page = self
            .inner
            .bulk_results(id, columns, locator, max_rows)
            .await?;
        if self.breaches(Breach::Garbage) {
            return Ok(Box::new(Shortened(page)));
        }
        Ok(page)
    }

    async fn remove_bulk_query(&self, id: &BulkQueryId) -> Result<(), SourceError> {
        self.removed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.clone());
        self.inner.remove_bulk_query(id).await
    }

    async fn subscribe(
        &self,
        topic: &str,
        from: StreamStart,
    ) -> Result<Box<dyn EventStream>, SourceError> {
        if self.is_silent.load(Ordering::SeqCst) {
            return Err(SourceError::Unreachable("simulated".to_owned()));
        }
        self.inner.subscribe(topic, from).await
    }
}
