//! A listener, an org, and somebody who counts every unit that the listener publishes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use domain::job::{Job, JobKind, MosStatus, Plan};
use domain::tally::Count;
use domain::unit::{Cause, Envelope, Lane, QueueName, Stage};
use domain::{ObjectKind, SalesforceId};
use embedded::{Embedded, Location};
use fake_salesforce::org::Org;
use fake_salesforce::pubsub::EventLog;
use ports::Clock;
use ports::queue::Queue;
use ports::source::Source;
use ports::stores::{LogQuery, Stores};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::breaching::Breaching;
use crate::chance::{Chance, Rates};
use crate::clock::SimClock;
use crate::jobs::SimJobs;
use crate::mutants::Mutant;
use crate::permissions::held_by;
use crate::queue::{SimQueue, Units};
use crate::salesforce::{insert_all, inserting, transact};
use crate::source::SimSource;
use crate::world::TOPIC;

/// More than two units of them.
pub(super) const DEALS: usize = 450;

pub(super) const PATIENCE: Duration = Duration::from_secs(4 * 3600);

/// Runs beside the test, until it is aborted or the test ends.
pub(super) fn started<T: Send + 'static>(
    task: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    TaskTracker::new().spawn(task)
}

/// A listener and somebody who counts.
pub(super) struct Bench {
    pub(super) clock: Arc<SimClock>,
    chance: Arc<Chance>,
    pub(super) org: Arc<Org>,
    pub(super) embedded: Embedded,
    /// As the listener sees them.
    pub(super) stores: Stores,
    queue: Arc<dyn Queue>,
    pub(super) units: Arc<Units>,
    pub(super) source: Arc<Breaching>,
    bulk_from: u64,
    lives: AtomicU32,
}

impl Bench {
    pub(super) async fn new(seed: u64, bulk_from: u64) -> Self {
        Self::with(seed, bulk_from, Mutant::None).await
    }

    pub(super) async fn with(seed: u64, bulk_from: u64, mutant: Mutant) -> Self {
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
        let inner = SimSource::new(Arc::clone(&org), log, Arc::clone(&chance));
        let source = Arc::new(Breaching::new(inner, Arc::clone(&stores.position)));
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
        let org = &self.org;
        let user =
            json!({ "Username": "a@example.com", "LastName": "A", "Email": "a@example.com" });
        let steps = [
            inserting("User", &user),
            inserting("Account", &json!({ "Name": "A" })),
            inserting("Account", &json!({ "Name": "Nobody's" })),
            inserting("Contact", &json!({ "LastName": "C" })),
        ];
        let [owner, account, _, contact] = &transact(org, steps)[..] else {
            panic!("four records")
        };
        for deals in (0..DEALS).collect::<Vec<_>>().chunks(150) {
            let deals = deals.iter().map(|number| {
                json!({
                    "Name": format!("deal {number}"),
                    "StageName": "Prospecting",
                    "CloseDate": "2026-12-01",
                    "OwnerId": owner,
                    "AccountId": account,
                })
            });
            insert_all(org, "Opportunity", deals);
        }
        let deals = org.records("Opportunity");
        let roles = deals.iter().step_by(10);
        let roles = roles.map(|deal| json!({ "OpportunityId": deal.id(), "ContactId": contact }));
        insert_all(org, "OpportunityContactRole", roles);
        let owner = SalesforceId::parse(owner).unwrap();
        let snapshot = held_by(owner, self.clock.now());
        let permissions = &self.stores.permissions;
        permissions.store(&snapshot, None).await.unwrap();
    }

    pub(super) fn listener(&self) -> impl Future<Output = ()> + Send + 'static {
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
    pub(super) fn counts_all_but(&self, lost: &[usize]) -> JoinHandle<Vec<Envelope>> {
        self.counts(lost, None)
    }

    /// The same; with a time, one unit after the other is counted, and each takes so long.
    pub(super) fn counts(
        &self,
        lost: &[usize],
        each: Option<Duration>,
    ) -> JoinHandle<Vec<Envelope>> {
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

    pub(super) async fn job(&self) -> Option<Job> {
        let jobs = self.embedded.stores().jobs.list(10).await.unwrap();
        jobs.into_iter().find(|job| job.kind == JobKind::SyncAll)
    }

    /// What a job reads.
    pub(super) async fn plan(&self, job: &Job) -> Plan {
        self.stores.jobs.plan(&job.id).await.unwrap().unwrap()
    }

    /// Waits for the first load to be so.
    pub(super) async fn until(&self, what: &str, is_so: impl Fn(&Job) -> bool) -> Job {
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

    pub(super) async fn until_over(&self) -> Job {
        self.until("it is never over", Job::is_over).await
    }

    /// Every row in scope was read, counted once, and every query is gone.
    pub(super) async fn is_complete(&self, job: &Job, units_read_again: bool) {
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

    pub(super) async fn log_says(&self, words: &str) -> bool {
        let log = &self.stores.log;
        let all = LogQuery::default();
        let page = log.search(&all, None, 10_000).await.unwrap();
        page.entries
            .iter()
            .any(|(_, entry)| entry.job.is_some() && entry.message.contains(words))
    }
}
