//! The snapshot reader by itself: a listener, an org, and somebody who counts every unit that it
//! publishes. Salesforce breaks its promises here in ways that scripts leave out.

#![expect(
    clippy::large_futures,
    reason = "the size of a listener matters to nobody here"
)]

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use domain::job::{
    Cursor, Form, Job, JobId, JobKind, JobScope, MosStatus, Pause, PausedBy, Plan, SalesforceShown,
    SalesforceStatus, Statement, Way,
};
use domain::permission::{Grant, PermissionSnapshot};
use domain::tally::Count;
use domain::unit::{Cause, Envelope, Lane, QueueName, Stage};
use domain::{ObjectKind, Row, SalesforceId};
use embedded::{Embedded, Location};
use fake_salesforce::dml::Dml;
use fake_salesforce::org::Org;
use fake_salesforce::pubsub::EventLog;
use ports::Clock;
use ports::queue::Queue;
use ports::source::{
    ApiAllowance, BulkPage, BulkQuery, BulkQueryId, BulkState, EventStream, FieldDescription,
    Organization, Page, Source, SourceError, StreamStart,
};
use ports::stores::{LogQuery, PositionStore, Stores};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::chance::{Chance, Rates};
use crate::clock::SimClock;
use crate::jobs::SimJobs;
use crate::moves::until;
use crate::mutants::Mutant;
use crate::queue::{SimQueue, Units};
use crate::source::SimSource;
use crate::world::TOPIC;

mod chunks;
mod heavy;
mod nameless;
mod position;
mod retries;
mod window;

/// More than two units of them.
const DEALS: usize = 450;
const PATIENCE: Duration = Duration::from_secs(4 * 3600);

/// Runs beside the test, until it is aborted or the test ends.
fn started<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    TaskTracker::new().spawn(task)
}

/// How Salesforce breaks its promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Breach {
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
    const fn reason(self) -> &'static str {
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
struct Breaching {
    inner: SimSource,
    breach: Mutex<Option<Breach>>,
    times: AtomicU32,
    /// So many statements with a semi-join are taken yet.
    joins_taken: AtomicU32,
    /// So many statements with a semi-join are refused yet, in the words for a hidden field.
    joins_unseen: AtomicU32,
    quota: AtomicU32,
    /// The code with which deals are not counted.
    uncounted: Mutex<Option<&'static str>>,
    /// Nobody can subscribe to the stream.
    is_silent: AtomicBool,
    /// It does not say which org it is, and takes a minute for that.
    is_nameless: AtomicBool,
    /// Where the listener keeps the stream's position, and the first statement about records that
    /// came before there was one.
    position: Arc<dyn PositionStore>,
    early: Mutex<Option<String>>,
    /// What the rows of each answer to a statement weigh.
    answers: Mutex<Vec<usize>>,
    removed: Mutex<BTreeSet<BulkQueryId>>,
    created: Mutex<BTreeSet<BulkQueryId>>,
}

impl Breaching {
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

/// A listener and somebody who counts.
struct Bench {
    clock: Arc<SimClock>,
    chance: Arc<Chance>,
    org: Arc<Org>,
    embedded: Embedded,
    /// As the listener sees them.
    stores: Stores,
    queue: Arc<dyn Queue>,
    units: Arc<Units>,
    source: Arc<Breaching>,
    bulk_from: u64,
    lives: AtomicU32,
}

impl Bench {
    async fn new(seed: u64, bulk_from: u64) -> Self {
        Self::with(seed, bulk_from, Mutant::None).await
    }

    async fn with(seed: u64, bulk_from: u64, mutant: Mutant) -> Self {
        let clock = SimClock::begin();
        let chance = Chance::of_seed(seed, Rates::NONE, Arc::clone(&clock));
        let org = Org::new(clock.closure(), seed);
        let log = EventLog::attach(&org);
        let embedded =
            Embedded::open(Location::Memory, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        let mut stores = embedded.stores();
        let jobs = SimJobs::new(Arc::clone(&stores.jobs), Arc::clone(&chance), mutant);
        stores.jobs = Arc::new(jobs);
        let units = Arc::new(Units::default());
        let queue = Arc::new(SimQueue {
            inner: embedded.queue(),
            chance: Arc::clone(&chance),
            units: Arc::clone(&units),
            acks_first: false,
        });
        let source = Arc::new(Breaching {
            inner: SimSource::new(Arc::clone(&org), log, Arc::clone(&chance)),
            breach: Mutex::default(),
            times: AtomicU32::new(0),
            joins_taken: AtomicU32::new(u32::MAX),
            joins_unseen: AtomicU32::new(0),
            quota: AtomicU32::new(0),
            uncounted: Mutex::default(),
            is_silent: AtomicBool::new(false),
            is_nameless: AtomicBool::new(false),
            position: Arc::clone(&stores.position),
            early: Mutex::default(),
            answers: Mutex::default(),
            removed: Mutex::default(),
            created: Mutex::default(),
        });
        let bench = Self {
            clock,
            chance,
            org,
            embedded,
            stores,
            queue,
            units,
            source,
            bulk_from,
            lives: AtomicU32::new(0),
        };
        bench.fill().await;
        bench
    }

    /// An owner with permission, an account, a contact, deals with a role each on every tenth.
    async fn fill(&self) {
        let insert = |entity: &str, fields: serde_json::Value| Dml::Insert {
            entity: entity.to_owned(),
            fields: fields.as_object().cloned().unwrap(),
        };
        let add = |ops: Vec<Dml>| {
            self.org
                .transact(self.org.admin_id(), "simulation", ops)
                .unwrap();
        };
        add(vec![
            insert(
                "User",
                json!({ "Username": "a@example.com", "LastName": "A", "Email": "a@example.com" }),
            ),
            insert("Account", json!({ "Name": "A" })),
            insert("Account", json!({ "Name": "Nobody's" })),
            insert("Contact", json!({ "LastName": "C" })),
        ]);
        let first = |entity: &str| {
            let admin = self.org.admin_id();
            let found = self.org.records(entity);
            let found = found.iter().find(|record| record.id() != admin);
            found.unwrap().id().to_owned()
        };
        let (owner, account, contact) = (first("User"), first("Account"), first("Contact"));
        for deals in (0..DEALS).collect::<Vec<_>>().chunks(150) {
            let deals = deals.iter().map(|number| {
                insert(
                    "Opportunity",
                    json!({
                        "Name": format!("deal {number}"),
                        "StageName": "Prospecting",
                        "CloseDate": "2026-12-01",
                        "OwnerId": owner,
                        "AccountId": account,
                    }),
                )
            });
            add(deals.collect());
        }
        let deals = self.org.records("Opportunity");
        let roles = deals.iter().step_by(10).map(|deal| {
            insert(
                "OpportunityContactRole",
                json!({ "OpportunityId": deal.id(), "ContactId": contact }),
            )
        });
        add(roles.collect());
        let grant = Grant {
            permission_set: "mOS_User".to_owned(),
            group: None,
            expires: None,
        };
        let snapshot = PermissionSnapshot {
            number: 1,
            taken: self.clock.now(),
            holders: [(
                SalesforceId::parse(&owner).unwrap(),
                BTreeSet::from([grant]),
            )]
            .into(),
            ..PermissionSnapshot::default()
        };
        let permissions = &self.stores.permissions;
        permissions.store(&snapshot, None).await.unwrap();
    }

    fn listener(&self) -> impl Future<Output = ()> + Send + 'static {
        let life = self.lives.fetch_add(1, Ordering::SeqCst);
        let listener = listener::Listener::new(
            Arc::clone(&self.source) as Arc<dyn Source>,
            Arc::clone(&self.queue),
            self.stores.clone(),
            Arc::clone(&self.clock) as Arc<dyn Clock>,
            TOPIC,
            format!("life {life}"),
        );
        Arc::new(listener.with_bulk_from(self.bulk_from)).run(CancellationToken::new())
    }

    /// Counts every unit that is published, but loses the first copy of the unit of each of these
    /// positions in the order of arrival.
    fn counts_all_but(&self, lost: &[usize]) -> JoinHandle<Vec<Envelope>> {
        self.counts(lost, None)
    }

    /// The same; with a time, one unit after the other is counted, and each takes so long.
    fn counts(&self, lost: &[usize], each: Option<Duration>) -> JoinHandle<Vec<Envelope>> {
        let lost = lost.iter().copied().collect::<BTreeSet<_>>();
        let queue = self.embedded.queue();
        let jobs = Arc::clone(&self.embedded.stores().jobs);
        let clock = Arc::clone(&self.clock);
        started(async move {
            let filter = QueueName::new(Stage::Filter, Lane::Bulk);
            let at_a_time = if each.is_some() { 1 } else { 100 };
            let mut units = queue.subscribe(filter, at_a_time).await.unwrap();
            let mut seen = 0;
            loop {
                let incoming = units.next().await.unwrap();
                if let Some(each) = each {
                    tokio::time::sleep(each).await;
                }
                let unit = Envelope::decode(&incoming.message.body).unwrap();
                incoming.delivery.ack().await.unwrap();
                seen += 1;
                if lost.contains(&(seen - 1)) {
                    continue;
                }
                let mut tally = unit.tally.clone();
                for record in &unit.records {
                    assert!(matches!(
                        record.cause,
                        Cause::FullLoad | Cause::Reread | Cause::Snapshot
                    ));
                    tally.add(record.object, Count::Created);
                }
                let now = clock.now();
                jobs.count(&unit.job, unit.index, None, &tally, now)
                    .await
                    .unwrap();
            }
        })
    }

    async fn job(&self) -> Option<Job> {
        let jobs = self.embedded.stores().jobs.list(10).await.unwrap();
        jobs.into_iter().find(|job| job.kind == JobKind::SyncAll)
    }

    /// Waits for the first load to be so.
    async fn until(&self, what: &str, is_so: impl Fn(&Job) -> bool) -> Job {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let job = self.job().await;
            if let Some(job) = &job
                && is_so(job)
            {
                return job.clone();
            }
            assert!(
                tokio::time::Instant::now() < until,
                "{what}: {job:?}\n{}",
                self.chance.trace().join("\n")
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn until_over(&self) -> Job {
        self.until("it is never over", Job::is_over).await
    }

    /// Every row in scope was read, counted once, and every query is gone.
    async fn is_complete(&self, job: &Job, units_read_again: bool) {
        assert_eq!(
            job.outcome(),
            Some(MosStatus::Completed),
            "{:?}",
            job.failure()
        );
        assert_eq!(self.units.faults(), Vec::<String>::new());
        for (object, rows) in [
            (ObjectKind::User, 1),
            (ObjectKind::Account, 1),
            (ObjectKind::Contact, 1),
            (ObjectKind::Opportunity, DEALS as u64),
            (
                ObjectKind::OpportunityContactRole,
                DEALS.div_ceil(10) as u64,
            ),
        ] {
            let read = job.tally.get(object, Count::Read);
            assert_eq!(job.tally.get(object, Count::Created), read);
            if units_read_again {
                assert!(read >= rows, "{read} of {rows} {object}");
            } else {
                assert_eq!(read, rows, "{object}");
                assert_eq!(job.progress.objects[&object].read, rows);
                assert_eq!(job.progress.objects[&object].total, Some(rows));
            }
            assert!(job.progress.objects[&object].finished.is_some());
        }
        // The last of them are removed once the job is over.
        let until = tokio::time::Instant::now() + PATIENCE;
        while *self.source.created.lock().unwrap() != *self.source.removed.lock().unwrap() {
            assert!(tokio::time::Instant::now() < until, "queries stay");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    async fn log_says(&self, words: &str) -> bool {
        let log = &self.stores.log;
        let all = LogQuery::default();
        let page = log.search(&all, None, 10_000).await.unwrap();
        page.entries
            .iter()
            .any(|(_, entry)| entry.job.is_some() && entry.message.contains(words))
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_load_reads_everything_by_either_way() {
    for bulk_from in [0, 10, 10_000] {
        let bench = Bench::new(1, bulk_from).await;
        let _counting = bench.counts_all_but(&[]);
        let listener = started(bench.listener());
        let job = bench.until_over().await;
        bench.is_complete(&job, false).await;
        let plan = bench.stores.jobs.plan(&job.id).await.unwrap().unwrap();
        // Parents first.
        let objects = |phase: &Vec<Statement>| {
            let objects = phase.iter().map(|statement| statement.object);
            objects.collect::<Vec<_>>()
        };
        assert_eq!(
            plan.phases.iter().map(objects).collect::<Vec<_>>(),
            [
                vec![ObjectKind::User, ObjectKind::Account],
                vec![ObjectKind::Contact],
                vec![ObjectKind::Opportunity],
                vec![ObjectKind::OpportunityContactRole],
            ]
        );
        for statement in plan.phases.iter().flatten() {
            let bulk = statement.total.unwrap() > bulk_from;
            assert_eq!(statement.way == Way::Bulk, bulk);
        }
        let asked = bench.source.created.lock().unwrap().len();
        assert_eq!(
            asked,
            [5, 2, 0][[0, 10, 10_000]
                .iter()
                .position(|from| *from == bulk_from)
                .unwrap()]
        );
        listener.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_phase_waits_until_the_one_before_is_counted() {
    let bench = Bench::new(2, 0).await;
    let listener = started(bench.listener());
    let waits = bench
        .until("the first phase is published", |job| {
            job.progress.statement == 2
        })
        .await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let still = bench.job().await.unwrap();
    assert_eq!(still.progress, waits.progress);
    assert_eq!((still.progress.phase, still.units), (0, 2));
    let _counting = bench.counts_all_but(&[]);
    let job = bench.until_over().await;
    bench.is_complete(&job, false).await;
    listener.abort();
}

#[tokio::test(start_paused = true)]
async fn a_broken_promise_begins_the_phase_again_and_then_fails_the_job() {
    for breach in [
        Breach::Fails,
        Breach::Aborted,
        Breach::Expires,
        Breach::Garbage,
        Breach::FewerRows,
        Breach::MoreRows,
        Breach::OtherHeader,
        Breach::Results,
        Breach::TooSlow,
    ] {
        // Garbage may be the line's fault: the page is asked for again before the query is.
        let once = match breach {
            Breach::Fails
            | Breach::Aborted
            | Breach::Expires
            | Breach::TooSlow
            | Breach::Working => 1,
            Breach::Garbage
            | Breach::FewerRows
            | Breach::MoreRows
            | Breach::OtherHeader
            | Breach::Results => 4,
        };
        for (times, completes) in [(once, true), (once * 3, true), (100_000, false)] {
            let bench = Bench::new(3, 10).await;
            *bench.source.breach.lock().unwrap() = Some(breach);
            bench.source.times.store(times, Ordering::SeqCst);
            let _counting = bench.counts_all_but(&[]);
            let listener = started(bench.listener());
            let job = bench.until_over().await;
            if completes {
                bench.is_complete(&job, true).await;
            } else {
                assert_eq!(job.outcome(), Some(MosStatus::Failed), "{breach:?}");
                assert_eq!(job.salesforce, SalesforceStatus::Failed);
                let why = job.failure().unwrap();
                assert!(why.contains(breach.reason()), "{breach:?}: {why}");
                // The line follows the job's end.
                let said = format!("has failed: {why}");
                until(&said, async || bench.log_says(&said).await).await;
                assert_eq!(job.progress.generation, 4);
            }
            assert!(bench.log_says("begins again").await, "{breach:?}");
            let deals = &job.progress.objects[&ObjectKind::Opportunity];
            let begun_again = if completes { times / once } else { 4 };
            assert_eq!(deals.errors, u64::from(begun_again), "{breach:?}");
            let error = deals.last_error.as_deref().unwrap();
            assert!(error.contains(breach.reason()), "{breach:?}: {error}");
            listener.abort();
        }
    }
}

/// That there is nothing left is believed the second time.
#[tokio::test(start_paused = true)]
async fn a_query_with_none_of_the_rows_that_were_counted_is_made_once_more() {
    let bench = Bench::new(19, 10).await;
    let listener = started(bench.listener());
    bench
        .until("everything is counted", |job| {
            job.salesforce == SalesforceStatus::Extracting
        })
        .await;
    for deals in bench.org.records("Opportunity").chunks(150) {
        let deletes = deals.iter().map(|deal| Dml::Delete {
            entity: "Opportunity".to_owned(),
            id: deal.id().to_owned(),
        });
        let admin = bench.org.admin_id();
        let deletes = deletes.collect();
        bench.org.transact(admin, "simulation", deletes).unwrap();
    }
    let _counting = bench.counts_all_but(&[]);
    let job = bench.until_over().await;
    assert_eq!(job.outcome(), Some(MosStatus::Completed));
    let deals = &job.progress.objects[&ObjectKind::Opportunity];
    assert_eq!((deals.total, deals.read), (Some(DEALS as u64), 0));
    assert!(bench.log_says("rows of Opportunity were counted").await);
    listener.abort();
}

/// A large query takes Salesforce a quarter of an hour, and it says how far it is.
#[tokio::test(start_paused = true)]
async fn a_query_that_makes_progress_does_not_stall_its_job() {
    let bench = Bench::new(17, 10).await;
    *bench.source.breach.lock().unwrap() = Some(Breach::Working);
    bench.source.times.store(36, Ordering::SeqCst);
    let _counting = bench.counts_all_but(&[]);
    let listener = started(bench.listener());
    let begun = tokio::time::Instant::now();
    let job = bench
        .until("it is never over", |job| {
            assert!(!job.is_stalled(bench.clock.now()), "{job:?}");
            job.is_over()
        })
        .await;
    assert!(begun.elapsed() > Duration::from_secs(15 * 60));
    bench.is_complete(&job, false).await;
    listener.abort();
}

#[tokio::test(start_paused = true)]
async fn owners_whose_permission_has_run_out_are_not_read() {
    let bench = Bench::new(18, 10).await;
    let permissions = &bench.stores.permissions;
    let mut snapshot = permissions.latest().await.unwrap();
    let [owner] = snapshot.holders.keys().copied().collect::<Vec<_>>()[..] else {
        panic!("one holder")
    };
    let over = Grant {
        permission_set: "mOS_User".to_owned(),
        group: None,
        expires: Some(bench.clock.now().before(Duration::from_secs(1))),
    };
    let former = SalesforceId::parse(bench.org.admin_id()).unwrap();
    snapshot.holders.insert(former, [over].into());
    snapshot.number += 1;
    permissions.store(&snapshot, None).await.unwrap();
    let _counting = bench.counts_all_but(&[]);
    let listener = started(bench.listener());
    let job = bench.until_over().await;
    let plan = bench.stores.jobs.plan(&job.id).await.unwrap().unwrap();
    for statement in plan.phases.iter().flatten() {
        assert_eq!(statement.owners, Some([owner].into()), "{statement:?}");
    }
    listener.abort();
}

#[tokio::test(start_paused = true)]
async fn an_org_that_refuses_semi_joins_is_read_without() {
    let bench = Bench::new(4, 0).await;
    bench.source.joins_taken.store(0, Ordering::SeqCst);
    let listener = started(bench.listener());
    let _counting = bench.counts_all_but(&[]);
    let job = bench.until_over().await;
    assert_eq!(job.outcome(), Some(MosStatus::Completed));
    // All accounts, not only those of deals.
    assert_eq!(job.tally.get(ObjectKind::Account, Count::Read), 2);
    let plan = bench.stores.jobs.plan(&job.id).await.unwrap().unwrap();
    assert_eq!(plan.notes.len(), 3);
    for statement in plan.phases.iter().flatten() {
        let around = statement.object < ObjectKind::Opportunity;
        assert_eq!(statement.form == Form::Plain, around);
    }
    assert!(bench.log_says("without the semi-join").await);
    listener.abort();
}

#[tokio::test(start_paused = true)]
async fn a_semi_join_that_is_refused_late_is_done_without() {
    let bench = Bench::new(5, 0).await;
    let listener = started(bench.listener());
    bench
        .until("it is being read", |job| {
            job.progress.phase == 0 && job.salesforce == SalesforceStatus::Extracting
        })
        .await;
    bench.source.joins_taken.store(0, Ordering::SeqCst);
    let _counting = bench.counts_all_but(&[]);
    let job = bench.until_over().await;
    bench.is_complete(&job, true).await;
    assert!(bench.log_says("without the semi-join").await);
    // What was counted is not what is read then.
    let plan = bench.stores.jobs.plan(&job.id).await.unwrap().unwrap();
    for statement in plan.phases.iter().flatten() {
        let total = job.progress.objects[&statement.object].total;
        let is_plain = statement.form == Form::Plain;
        assert_eq!(total.is_none(), is_plain, "{statement:?}");
    }
    listener.abort();
}

/// The field is left out, and the semi-join stays.
#[tokio::test(start_paused = true)]
async fn a_field_that_is_hidden_in_mid_load_says_nothing_about_semi_joins() {
    for bulk_from in [0, 10_000] {
        let bench = Bench::new(17, bulk_from).await;
        let listener = started(bench.listener());
        bench
            .until("users are being read", |job| {
                let progress = &job.progress;
                job.salesforce == SalesforceStatus::Extracting
                    && (progress.phase, progress.statement) == (0, 0)
            })
            .await;
        bench.source.inner.hide("Account", "Phone");
        let _counting = bench.counts_all_but(&[]);
        let job = bench.until_over().await;
        bench.is_complete(&job, false).await;
        let plan = bench.stores.jobs.plan(&job.id).await.unwrap().unwrap();
        assert_eq!(plan.notes, [""; 0]);
        assert!(bench.log_says("INVALID_FIELD").await);
        listener.abort();
    }
}

/// Once it may be a field that was hidden, or shown, at that moment.
#[tokio::test(start_paused = true)]
async fn a_semi_join_that_is_refused_as_a_field_is_done_without_the_second_time() {
    for (refusals, joins) in [(1, true), (2, false)] {
        let bench = Bench::new(18, 0).await;
        let refused = &bench.source.joins_unseen;
        refused.store(refusals, Ordering::SeqCst);
        let listener = started(bench.listener());
        let _counting = bench.counts_all_but(&[]);
        let job = bench.until_over().await;
        bench.is_complete(&job, false).await;
        let plan = bench.stores.jobs.plan(&job.id).await.unwrap().unwrap();
        assert_eq!(plan.notes.is_empty(), joins, "{:?}", plan.notes);
        assert_eq!(plan.phases[0][0].form == Form::SemiJoin, joins);
        listener.abort();
    }
}

/// Salesforce takes the statement and gives it up later.
#[tokio::test(start_paused = true)]
async fn a_semi_join_that_takes_too_long_is_done_without() {
    let bench = Bench::new(16, 0).await;
    *bench.source.breach.lock().unwrap() = Some(Breach::TooSlow);
    bench.source.times.store(1, Ordering::SeqCst);
    let listener = started(bench.listener());
    let _counting = bench.counts_all_but(&[]);
    let job = bench.until_over().await;
    bench.is_complete(&job, true).await;
    let plan = bench.stores.jobs.plan(&job.id).await.unwrap().unwrap();
    assert_eq!(plan.notes.len(), 1, "{:?}", plan.notes);
    for statement in plan.phases.iter().flatten() {
        let was_slow = statement.object == ObjectKind::User;
        assert_eq!(statement.form == Form::Plain, was_slow);
    }
    assert!(bench.log_says("without the semi-join").await);
    listener.abort();
}

#[tokio::test(start_paused = true)]
async fn results_that_are_refused_say_nothing_about_semi_joins() {
    let bench = Bench::new(13, 0).await;
    *bench.source.breach.lock().unwrap() = Some(Breach::Results);
    bench.source.times.store(2, Ordering::SeqCst);
    let listener = started(bench.listener());
    let _counting = bench.counts_all_but(&[]);
    let job = bench.until_over().await;
    bench.is_complete(&job, false).await;
    let plan = bench.stores.jobs.plan(&job.id).await.unwrap().unwrap();
    assert_eq!(plan.notes, [""; 0]);
    assert!(bench.log_says("waits and asks again").await);
    assert!(bench.log_says(" goes on").await);
    listener.abort();
}

/// Too many to be counted in time, or asked for with too many words for a URL.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_counted_is_read_by_a_bulk_query_with_an_unknown_total() {
    for code in ["QUERY_TIMEOUT", "URI_TOO_LONG"] {
        let bench = Bench::new(15, 10_000).await;
        *bench.source.uncounted.lock().unwrap() = Some(code);
        let listener = started(bench.listener());
        let _counting = bench.counts_all_but(&[]);
        let job = bench.until_over().await;
        assert_eq!(job.outcome(), Some(MosStatus::Completed));
        let deals = &job.progress.objects[&ObjectKind::Opportunity];
        assert_eq!((deals.total, deals.read), (None, DEALS as u64));
        let plan = bench.stores.jobs.plan(&job.id).await.unwrap().unwrap();
        for statement in plan.phases.iter().flatten() {
            let is_deals = statement.object == ObjectKind::Opportunity;
            assert_eq!(statement.way == Way::Bulk, is_deals, "{statement:?}");
        }
        assert!(bench.log_says("an unknown number of Opportunity").await);
        listener.abort();
    }
}

/// A job whose status was damaged is given up, and nothing else is.
#[tokio::test(start_paused = true)]
async fn a_damaged_job_fails_alone() {
    let bench = Bench::new(14, 10_000).await;
    let jobs = &bench.stores.jobs;
    let now = bench.clock.now();
    let add = async |number, scope| {
        let id = JobId::new(JobKind::Backfill, uuid::Uuid::from_u128(number));
        let job = Job::queued(id.clone(), JobKind::Backfill, scope, now);
        jobs.create(&job).await.unwrap();
        id
    };
    let without_plan = add(1, JobScope::Everything).await;
    let extracting = SalesforceStatus::Extracting;
    let moved = jobs.transition(&without_plan, extracting, now, None).await;
    moved.unwrap();
    let entering = JobScope::Entering {
        before: 77,
        then: now,
        stamped_since: Some(now),
    };
    let lost_settings = add(2, entering).await;
    let plan = Plan {
        rule_revision: 0,
        permission_snapshot: 1,
        phases: Vec::new(),
        leaves_out: true,
        notes: Vec::new(),
    };
    jobs.set_plan(&lost_settings, &plan, now).await.unwrap();
    let listener = started(bench.listener());
    let _counting = bench.counts_all_but(&[]);
    let job = bench.until_over().await;
    bench.is_complete(&job, false).await;
    for (id, why) in [
        (without_plan, "has no plan"),
        (lost_settings, "settings that are lost"),
    ] {
        let job = jobs.get(&id).await.unwrap().unwrap();
        assert_eq!(job.salesforce, SalesforceStatus::Failed);
        let error = job.error.unwrap();
        assert!(error.contains(why), "{error}");
        assert!(error.contains("start a sync-all"), "{error}");
    }
    assert!(bench.log_says("has failed").await);
    listener.abort();
}

#[tokio::test(start_paused = true)]
async fn units_that_the_queue_loses_are_published_again() {
    // Users and accounts come first, then a contact, then deals, then roles.
    for bulk_from in [0, 10_000] {
        for lost in [&[0, 1][..], &[3], &[4, 5], &[3, 4, 5, 6], &[0, 2, 7]] {
            let bench = Bench::new(6, bulk_from).await;
            let _counting = bench.counts_all_but(lost);
            let listener = started(bench.listener());
            let job = bench.until_over().await;
            bench.is_complete(&job, bulk_from > 0).await;
            assert!(bench.log_says("published again").await);
            listener.abort();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn lost_units_whose_query_is_gone_are_read_again() {
    let bench = Bench::new(7, 0).await;
    // The last unit of deals.
    let _counting = bench.counts_all_but(&[5]);
    let listener = started(bench.listener());
    bench
        .until("the deals are published", |job| {
            job.progress.phase == 2 && job.progress.statement == 1
        })
        .await;
    let created = bench.source.created.lock().unwrap().clone();
    for query in created {
        bench.source.remove_bulk_query(&query).await.unwrap();
    }
    let job = bench.until_over().await;
    bench.is_complete(&job, true).await;
    assert!(job.progress.generation > 0 || bench.log_says("begins again").await);
    listener.abort();
}

#[tokio::test(start_paused = true)]
async fn a_person_s_pause_holds_and_a_cancelled_job_ends() {
    let bench = Bench::new(8, 0).await;
    let listener = started(bench.listener());
    let jobs = Arc::clone(&bench.embedded.stores().jobs);
    let id = bench.until("it is there", |_job| true).await.id;
    let pause = Pause {
        since: bench.clock.now(),
        by: PausedBy::Person,
        why: "lunch".to_owned(),
        until: None,
    };
    assert_eq!(jobs.pause(&id, &pause).await, Ok(true));
    // A turn that had begun may still come to its end.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let held = bench.job().await.unwrap();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let still = bench.job().await.unwrap();
    assert_eq!(held.progress, still.progress);
    assert_eq!(still.salesforce_shown(), SalesforceShown::Paused);
    assert_eq!(
        jobs.resume(&id, PausedBy::Person, bench.clock.now()).await,
        Ok(true)
    );
    bench
        .until("it goes on", |job| {
            job.progress.next_index > still.progress.next_index
        })
        .await;
    let now = bench.clock.now();
    let cancelled = SalesforceStatus::Cancelled;
    jobs.transition(&id, cancelled, now, None).await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let units = bench.job().await.unwrap().units;
    let _counting = bench.counts_all_but(&[0]);
    let job = bench.until_over().await;
    assert_eq!(job.outcome(), Some(MosStatus::Cancelled));
    // What was lost of it is not published again.
    assert_eq!(
        (job.units, job.counted, job.abandoned),
        (units, units - 1, 1)
    );
    listener.abort();
}

#[tokio::test(start_paused = true)]
async fn a_used_up_allowance_holds_the_job_until_it_is_tried_again() {
    let bench = Bench::new(9, 0).await;
    bench.source.quota.store(2, Ordering::SeqCst);
    let listener = started(bench.listener());
    let _counting = bench.counts_all_but(&[]);
    let held = bench
        .until("it is held", |job| {
            job.salesforce_shown() == SalesforceShown::PausedQuota
        })
        .await;
    assert!(held.paused.unwrap().until.is_some());
    let job = bench.until_over().await;
    bench.is_complete(&job, false).await;
    assert!(job.paused_for >= Duration::from_secs(120));
    assert!(bench.log_says("is held until").await);
    assert!(bench.log_says("is tried again").await);
    listener.abort();
}

/// Lives until it has been polled so often; whether it was killed by that.
async fn killed_after(polls: u32, life: impl Future<Output = ()>, over: &JoinHandle<()>) -> bool {
    let mut life = pin!(life);
    let mut polled = 0;
    poll_fn(|context| {
        if over.is_finished() {
            return Poll::Ready(false);
        }
        if polled == polls {
            return Poll::Ready(true);
        }
        polled += 1;
        life.as_mut().poll(context).map(|()| false)
    })
    .await
}

/// Killed while units may or may not have been published, and cancelled before anybody looks again.
#[tokio::test(start_paused = true)]
async fn a_cancelled_job_gives_up_what_may_have_been_published() {
    for polls in 1.. {
        let bench = Arc::new(Bench::new(19, 10_000).await);
        let waiting = Arc::clone(&bench);
        let over = started(async move {
            waiting.until_over().await;
        });
        assert!(killed_after(polls, bench.listener(), &over).await);
        let Some(job) = bench.job().await else {
            continue;
        };
        if job.progress.announced <= job.progress.next_index {
            continue;
        }
        let (jobs, now) = (&bench.stores.jobs, bench.clock.now());
        let moved = jobs.transition(&job.id, SalesforceStatus::Cancelled, now, None);
        moved.await.unwrap();
        let _counting = bench.counts_all_but(&[]);
        let listener = started(bench.listener());
        let job = bench.until_over().await;
        assert_eq!(job.outcome(), Some(MosStatus::Cancelled));
        assert!(job.abandoned > 0, "{job:?}");
        listener.abort();
        return;
    }
}

/// A kill at one await after the other: the same units under the same indices, or new ones.
async fn killed_everywhere(bulk_from: u64, mutant: Mutant, stride: u32) -> Vec<String> {
    let mut polls = 1;
    loop {
        let bench = Arc::new(Bench::with(10, bulk_from, mutant).await);
        let _counting = bench.counts_all_but(&[]);
        let waiting = Arc::clone(&bench);
        let over = started(async move {
            waiting.until_over().await;
        });
        let killed = killed_after(polls, bench.listener(), &over).await;
        if !killed {
            return Vec::new();
        }
        // Meanwhile the org goes on: pages are no longer what they were.
        let deal = bench.org.records("Opportunity")[7].id().to_owned();
        let delete = Dml::Delete {
            entity: "Opportunity".to_owned(),
            id: deal,
        };
        let admin = bench.org.admin_id();
        bench
            .org
            .transact(admin, "simulation", vec![delete])
            .unwrap();
        let listener = started(bench.listener());
        let job = bench.until_over().await;
        let faults = bench.units.faults();
        if !faults.is_empty() {
            return faults;
        }
        assert_eq!(
            job.outcome(),
            Some(MosStatus::Completed),
            "after {polls} polls"
        );
        let read = job.tally.get(ObjectKind::Opportunity, Count::Read);
        assert!(read >= DEALS as u64 - 1, "{read} after {polls} polls");
        assert_eq!(job.tally.get(ObjectKind::Opportunity, Count::Created), read);
        listener.abort();
        polls += stride;
    }
}

#[tokio::test(start_paused = true)]
async fn a_kill_at_any_await_of_bulk_reading_leaves_units_what_they_are() {
    assert_eq!(
        killed_everywhere(0, Mutant::None, 7).await,
        Vec::<String>::new()
    );
}

#[tokio::test(start_paused = true)]
async fn a_kill_at_any_await_of_rest_reading_uses_no_index_twice() {
    assert_eq!(
        killed_everywhere(10_000, Mutant::None, 5).await,
        Vec::<String>::new()
    );
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_forgets_what_it_announced_is_seen() {
    let faults = killed_everywhere(10_000, Mutant::ForgetsAnnounced, 1).await;
    assert!(
        !faults.is_empty(),
        "indices were used for other records unnoticed"
    );
}

#[tokio::test(start_paused = true)]
async fn records_that_are_named_keep_their_indices() {
    let bench = Bench::new(11, 0).await;
    let _counting = bench.counts_all_but(&[0, 2]);
    let records = bench.org.records("Opportunity");
    let records = records
        .iter()
        .map(|deal| {
            (
                ObjectKind::Opportunity,
                SalesforceId::parse(deal.id()).unwrap(),
            )
        })
        .collect::<BTreeSet<_>>();
    let id = JobId::new(JobKind::Retry, uuid::Uuid::nil());
    let scope = JobScope::Records { records };
    let now = bench.clock.now();
    let job = Job::queued(id.clone(), JobKind::Retry, scope, now);
    bench.stores.jobs.create(&job).await.unwrap();
    let listener = started(bench.listener());
    let until = tokio::time::Instant::now() + PATIENCE;
    let job = loop {
        let job = bench.stores.jobs.get(&id).await.unwrap().unwrap();
        if job.is_over() {
            break job;
        }
        assert!(tokio::time::Instant::now() < until, "{job:?}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    assert_eq!(job.outcome(), Some(MosStatus::Completed));
    assert_eq!((job.units, job.counted), (3, 3));
    assert_eq!(
        job.tally.get(ObjectKind::Opportunity, Count::Read),
        DEALS as u64
    );
    assert_eq!(job.progress.cursor, Cursor::Start);
    assert_eq!(bench.units.faults(), Vec::<String>::new());
    listener.abort();
}
