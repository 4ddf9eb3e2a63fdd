//! Two copies of a unit on their way at once, read at different times, and the loader killed in the
//! middle of a request: what the job counts is what mOS did.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use domain::failure::FailureKind;
use domain::job::{Job, JobId, JobKind, JobScope, MosStatus, Progress, SalesforceStatus};
use domain::permission::PermissionSnapshot;
use domain::tally::Count;
use domain::unit::{Cause, Envelope, Lane, QueueName, Stage, UnitRecord};
use domain::{ObjectKind, Row, SalesforceId};
use embedded::{Embedded, Location};
use fake_mos::{Fault, Mos, RecordType, RejectCode};
use fake_salesforce::org::Org;
use fake_salesforce::pubsub::EventLog;
use ports::Clock;
use ports::queue::Queue;
use ports::stores::Stores;
use ports::target::{Held, Listed, Outcome, Target, TargetError, Upsert};
use runtime::gate::Gates;
use runtime::worker::Worker;
use serde_json::json;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::chance::{Chance, Rates};
use crate::clock::SimClock;
use crate::jobs::SimJobs;
use crate::mutants::Mutant;
use crate::permissions::held_by;
use crate::source::SimSource;
use crate::target::SimTarget;

const RECORDS: usize = 5;
const LOAD: QueueName = QueueName::new(Stage::Load, Lane::Bulk);
const FILTER: QueueName = QueueName::new(Stage::Filter, Lane::Bulk);
const PATIENCE: Duration = Duration::from_secs(3_600);

/// Where the loader is killed in its first request, or the one that is named instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Killed {
    Never,
    BeforeMosApplies,
    AfterMosHasApplied,
    /// Not killed: the request breaks off, and mOS has not had it.
    Unreached,
    /// Not killed: mOS has had the request, and its answer is lost.
    Unheard,
}

/// An mOS of which one answer does not come until it may: the loader is killed then, or has none.
struct Stuck {
    inner: SimTarget,
    at: Killed,
    /// Which request's.
    request: AtomicUsize,
    requests: AtomicUsize,
    reached: Notify,
    goes_on: Notify,
    /// A record that the loader fails over.
    poison: Mutex<Option<SalesforceId>>,
    /// So many questions for an answer have none themselves.
    questions_lost: AtomicUsize,
    /// Records over which its process dies.
    deadly: Mutex<BTreeSet<SalesforceId>>,
}

#[async_trait]
impl Target for Stuck {
    async fn upsert(&self, key: &str, records: &[Upsert]) -> Result<Vec<Outcome>, TargetError> {
        let poison = *self.poison.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(
            records.iter().all(|record| Some(record.id) != poison),
            "poison"
        );
        let is_deadly = {
            let deadly = self.deadly.lock().unwrap_or_else(PoisonError::into_inner);
            records.iter().any(|record| deadly.contains(&record.id))
        };
        if is_deadly {
            self.reached.notify_one();
            std::future::pending::<()>().await;
        }
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        if number == self.request.load(Ordering::SeqCst) && self.at != Killed::Never {
            if matches!(self.at, Killed::AfterMosHasApplied | Killed::Unheard) {
                self.inner.upsert(key, records).await?;
            }
            self.reached.notify_one();
            self.goes_on.notified().await;
            if matches!(self.at, Killed::Unreached | Killed::Unheard) {
                return Err(TargetError::Unreachable("simulated".to_owned()));
            }
        }
        self.inner.upsert(key, records).await
    }

    async fn has_answered(&self, key: &str) -> Result<bool, TargetError> {
        if let Some(lost) = self.questions_lost.load(Ordering::SeqCst).checked_sub(1) {
            self.questions_lost.store(lost, Ordering::SeqCst);
            return Err(TargetError::Unreachable("simulated".to_owned()));
        }
        self.inner.has_answered(key).await
    }

    async fn probe(&self) -> Result<(), TargetError> {
        self.inner.probe().await
    }

    async fn list(
        &self,
        object: ObjectKind,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Listed>, TargetError> {
        self.inner.list(object, after, limit).await
    }

    async fn record(
        &self,
        object: ObjectKind,
        id: &SalesforceId,
    ) -> Result<Option<Held>, TargetError> {
        self.inner.record(object, id).await
    }
}

struct Bench {
    clock: Arc<SimClock>,
    mos: Arc<Mos>,
    target: Arc<Stuck>,
    source: Arc<SimSource>,
    queue: Arc<dyn Queue>,
    stores: Stores,
    tracker: TaskTracker,
    job: JobId,
}

fn owner() -> SalesforceId {
    SalesforceId::parse("005000000000001").unwrap()
}

impl Bench {
    async fn new(killed: Killed, mutant: Mutant) -> Self {
        let clock = SimClock::begin();
        let chance = Chance::of_seed(1, Rates::NONE, Arc::clone(&clock));
        let org = Org::new(clock.closure(), 1);
        let log = EventLog::attach(&org);
        let mos = Mos::new(clock.closure(), "key");
        let embedded =
            Embedded::open(Location::Memory, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        let mut stores = embedded.stores();
        let jobs = SimJobs::new(Arc::clone(&stores.jobs), Arc::clone(&chance), mutant);
        stores.jobs = Arc::new(jobs);
        let snapshot = held_by(owner(), clock.now());
        stores.permissions.store(&snapshot, None).await.unwrap();
        let job = JobId::of("sync_all-copies");
        let scope = JobScope::Everything;
        let queued = Job::queued(job.clone(), JobKind::SyncAll, scope, clock.now());
        let jobs = &stores.jobs;
        jobs.create(&queued).await.unwrap();
        for status in [SalesforceStatus::Counting, SalesforceStatus::Extracting] {
            let moved = jobs.transition(&job, status, clock.now(), None).await;
            moved.unwrap();
        }
        let progress = Progress {
            next_index: 1,
            announced: 1,
            ..Progress::default()
        };
        let now = clock.now();
        jobs.advance(&job, &progress, None, now).await.unwrap();
        Self {
            target: Arc::new(Stuck {
                inner: SimTarget {
                    mos: Arc::clone(&mos),
                    chance: Arc::clone(&chance),
                    unguarded: None,
                },
                at: killed,
                request: AtomicUsize::new(0),
                requests: AtomicUsize::new(0),
                reached: Notify::new(),
                goes_on: Notify::new(),
                poison: Mutex::default(),
                questions_lost: AtomicUsize::new(0),
                deadly: Mutex::default(),
            }),
            source: Arc::new(SimSource::new(org, log, chance)),
            queue: embedded.queue(),
            clock,
            mos,
            stores,
            tracker: TaskTracker::new(),
            job,
        }
    }

    /// The unit as it comes to the load stage when it is read now; its accounts have that name.
    async fn read(&self, name: &str) -> Envelope {
        self.read_many(RECORDS, name).await
    }

    async fn read_many(&self, records: usize, name: &str) -> Envelope {
        let records = (0..records).map(|number| {
            let id = SalesforceId::parse(&format!("001{number:012}")).unwrap();
            UnitRecord {
                object: ObjectKind::Account,
                id,
                cause: Cause::FullLoad,
                row: Some(Row::of(&json!({ "Id": id.as_str(), "Name": name })).unwrap()),
                owners: BTreeSet::from([owner()]),
                last_word: false,
                entering: false,
            }
        });
        let (job, records) = (self.job.clone(), records.collect());
        let org = SalesforceId::parse("00D000000000001").unwrap();
        let now = self.clock.now();
        Envelope {
            ticket: Some(self.stores.ticket.take().await.unwrap()),
            ..Envelope::new(job, 0, Lane::Bulk, org, now, records)
        }
    }

    async fn publish(&self, unit: &Envelope) {
        runtime::worker::publish(&*self.queue, LOAD, unit)
            .await
            .unwrap();
    }

    /// Has the unit applied by mOS as a whole and then come to the load stage again, as after so many
    /// silences.
    async fn publish_after_silences(&self, unit: Envelope, outages: u32) {
        self.publish(&unit).await;
        let loader = self.loader(1);
        self.target.reached.notified().await;
        kill(loader).await;
        let mut taken = self.queue.subscribe(LOAD, 1).await.unwrap();
        let first = taken.next().await.unwrap();
        first.delivery.ack().await.unwrap();
        drop(taken);
        self.publish(&Envelope {
            outages,
            step: 1,
            ..unit
        })
        .await;
    }

    async fn cancel(&self) {
        let (jobs, now) = (&self.stores.jobs, self.clock.now());
        let cancelled = SalesforceStatus::Cancelled;
        let moved = jobs.transition(&self.job, cancelled, now, None).await;
        moved.unwrap();
    }

    fn loader(&self, at_a_time: u16) -> JoinHandle<()> {
        let gates = Arc::new(Gates::default());
        let stage = loader::Loader::new(
            Arc::clone(&self.target) as Arc<dyn Target>,
            Arc::clone(&self.source) as Arc<dyn ports::source::Source>,
            self.stores.clone(),
            Arc::clone(&self.clock) as Arc<dyn Clock>,
            Arc::new(loader::Circuit::new(Arc::clone(&gates))),
            gates.watch(),
        );
        let worker = Worker {
            queue: Arc::clone(&self.queue),
            stores: self.stores.clone(),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            handler: Arc::new(stage),
            lane: Lane::Bulk,
            concurrency: at_a_time,
            in_hand: runtime::in_hand::InHand::default(),
            outages: runtime::outages::Outages::default(),
            apart: runtime::worker::Apart::default(),
        };
        self.tracker.spawn(worker.run(CancellationToken::new()))
    }

    /// What the filter and the permission worker do about a unit that is to be read again.
    async fn read_again_what_is_sent_back(&self) {
        let mut back = self.queue.subscribe(FILTER, 1).await.unwrap();
        loop {
            let incoming = back.next().await.unwrap();
            let old = Envelope::decode(&incoming.message.body).unwrap();
            let fresh = self.read("read again").await;
            let ids = old.records.iter().map(|record| record.id);
            let ids = ids.collect::<BTreeSet<_>>();
            let standing = self.stores.jobs.standing(&old.job, old.index, old.step);
            if !standing.await.unwrap().superseded {
                let mut records = fresh.records;
                records.retain(|record| ids.contains(&record.id));
                self.publish(&Envelope {
                    records,
                    ticket: fresh.ticket,
                    ..old
                })
                .await;
            }
            incoming.delivery.ack().await.unwrap();
        }
    }

    /// Until no copy is left anywhere.
    async fn settled(&self) {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let mut left = self.queue.waiting().await.unwrap();
            for queue in [FILTER, LOAD] {
                left += self.queue.depth(queue).await.unwrap();
            }
            let job = self.stores.jobs.get(&self.job).await.unwrap().unwrap();
            if left == 0 && job.pending() == 0 {
                return;
            }
            assert!(tokio::time::Instant::now() < until, "{left} left, {job:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// mOS created so many and did nothing else, and that is what is counted.
    async fn assert_created(&self, created: u64, about: &str) {
        let (counted, done) = self.counted_and_done().await;
        assert_eq!(counted, done, "{about}");
        assert_eq!(counted, [created, 0, 0, 0], "{about}");
    }

    /// What the job says became of its records, and what mOS did: created, updated, unchanged,
    /// stale.
    async fn counted_and_done(&self) -> ([u64; 4], [u64; 4]) {
        let job = self.stores.jobs.get(&self.job).await.unwrap().unwrap();
        assert!(job.tally.difference().is_empty(), "{job:?}");
        let counts = [
            Count::Created,
            Count::Updated,
            Count::Unchanged,
            Count::Stale,
        ];
        let done = self.mos.outcomes().applied;
        let done = done.0.get(&RecordType::Company);
        let done = done.map(|done| [done.created, done.updated, done.unchanged, done.stale]);
        (
            counts.map(|count| job.tally.get(ObjectKind::Account, count)),
            done.unwrap_or_default(),
        )
    }
}

async fn kill(loader: JoinHandle<()>) {
    loader.abort();
    assert!(loader.await.unwrap_err().is_cancelled());
}

/// In which order the copies come, how many are taken at a time, where the loader is killed, and
/// how long nobody is there then.
type Case = ([usize; 3], u16, Killed, Duration);

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for order in [[0, 1, 2], [1, 0, 2], [0, 2, 1]] {
        for at_a_time in [1, 3] {
            for killed in [
                Killed::Never,
                Killed::BeforeMosApplies,
                Killed::AfterMosHasApplied,
            ] {
                for outage in [0, 600] {
                    cases.push((order, at_a_time, killed, Duration::from_secs(outage)));
                }
            }
        }
    }
    cases
}

/// Plays one case to its end: what is wrong then, in words.
async fn play((order, at_a_time, killed, outage): Case, mutant: Mutant) -> Option<String> {
    let bench = Bench::new(killed, mutant).await;
    // A copy of the first as it is, and another that was read later and differs.
    let first = bench.read("as it was").await;
    let later = bench.read("as it is").await;
    let copies = [&first, &later, &first];
    for copy in order {
        bench.publish(copies[copy]).await;
    }
    let loader = bench.loader(at_a_time);
    let loader = if killed == Killed::Never {
        loader
    } else {
        bench.target.reached.notified().await;
        kill(loader).await;
        tokio::time::sleep(outage).await;
        bench.loader(at_a_time)
    };
    tokio::select! {
        () = bench.settled() => {}
        () = bench.read_again_what_is_sent_back() => {}
    }
    loader.abort();
    let (counted, done) = bench.counted_and_done().await;
    if counted != done || counted != [RECORDS as u64, 0, 0, 0] {
        return Some(format!("counted {counted:?}, done {done:?}"));
    }
    if killed == Killed::BeforeMosApplies && outage > Duration::from_secs(60) {
        let id = SalesforceId::parse("001000000000000").unwrap();
        let account = bench.mos.record(RecordType::Company, id.as_str()).unwrap();
        // What had not arrived in time is not sent as it was.
        let sent = &account.fields["name"];
        return (*sent != "read again").then(|| format!("{sent} was sent ten minutes later"));
    }
    None
}

#[tokio::test(start_paused = true)]
async fn what_is_counted_is_what_mos_did_whichever_copy_comes_first() {
    for case in cases() {
        assert_eq!(play(case, Mutant::None).await, None, "{case:?}");
    }
}

/// A record over which the loader fails when it sends it parks alone; what is counted of the others
/// is what mOS did.
#[tokio::test(start_paused = true)]
async fn what_is_sent_beside_poison_is_counted_as_mos_did_it() {
    let bench = Bench::new(Killed::Never, Mutant::None).await;
    let unit = bench.read("as it was").await;
    let poison = unit.records[2].id;
    *bench.target.poison.lock().unwrap() = Some(poison);
    bench.publish(&unit).await;
    let loader = bench.loader(1);
    bench.settled().await;
    loader.abort();
    bench.assert_created(RECORDS as u64 - 1, "").await;
    let parked = &bench.stores.parked;
    let entry = parked.get(ObjectKind::Account, &poison).await.unwrap();
    assert_eq!(entry.unwrap().kind, FailureKind::Poison);
    assert_eq!(parked.counts().await.unwrap().values().sum::<u64>(), 1);
}

/// Killed five times in a row before it counts what mOS has answered, the loader counts that: it
/// asks for it before it tries the records alone.
#[tokio::test(start_paused = true)]
async fn kills_in_a_row_do_not_change_what_is_counted() {
    let bench = Bench::new(Killed::AfterMosHasApplied, Mutant::None).await;
    let unit = bench.read("as it was").await;
    bench.publish(&unit).await;
    for killed in 0..5 {
        bench.target.request.store(killed, Ordering::SeqCst);
        let loader = bench.loader(1);
        bench.target.reached.notified().await;
        kill(loader).await;
    }
    let loader = bench.loader(1);
    bench.settled().await;
    loader.abort();
    bench.assert_created(RECORDS as u64, "").await;
}

/// Records over which the loader's process dies when it sends them park alone; what is counted of
/// the others is what mOS did, and the job completes.
#[tokio::test(start_paused = true)]
async fn what_is_sent_beside_records_that_kill_the_loader_is_counted_as_mos_did_it() {
    let bench = Bench::new(Killed::Never, Mutant::None).await;
    let unit = bench.read("as it was").await;
    let deadly = [1, 3].map(|place| unit.records[place].id);
    bench.target.deadly.lock().unwrap().extend(deadly);
    bench.publish(&unit).await;
    let supervised = async {
        loop {
            let loader = bench.loader(1);
            bench.target.reached.notified().await;
            loader.abort();
            assert!(loader.await.unwrap_err().is_cancelled());
        }
    };
    tokio::select! {
        () = supervised => {}
        () = bench.settled() => {}
    }
    bench.assert_created(RECORDS as u64 - 2, "").await;
    let parked = &bench.stores.parked;
    for id in deadly {
        let entry = parked.get(ObjectKind::Account, &id).await.unwrap();
        assert_eq!(entry.unwrap().kind, FailureKind::Poison);
    }
    assert_eq!(parked.counts().await.unwrap().values().sum::<u64>(), 2);
    let (jobs, now) = (&bench.stores.jobs, bench.clock.now());
    let sealed = jobs.transition(&bench.job, SalesforceStatus::Sealed, now, None);
    sealed.await.unwrap();
    let job = jobs.get(&bench.job).await.unwrap().unwrap();
    assert_eq!(job.outcome(), Some(MosStatus::CompletedWithErrors));
}

/// The loader is killed in its first request, and then the records' owner loses permission: what
/// mOS had by then is counted as it did it, and what it had not is not sent any more.
#[tokio::test(start_paused = true)]
async fn what_mos_had_before_its_owner_lost_permission_is_counted_as_sent() {
    for (killed, created) in [
        (Killed::AfterMosHasApplied, RECORDS as u64),
        (Killed::BeforeMosApplies, 0),
    ] {
        let bench = Bench::new(killed, Mutant::None).await;
        let unit = bench.read("as it was").await;
        bench.publish(&unit).await;
        let loader = bench.loader(1);
        bench.target.reached.notified().await;
        kill(loader).await;
        let snapshot = PermissionSnapshot {
            number: 2,
            taken: bench.clock.now(),
            ..PermissionSnapshot::default()
        };
        let stored = bench.stores.permissions.store(&snapshot, None).await;
        stored.unwrap();
        let loader = bench.loader(1);
        tokio::select! {
            () = bench.settled() => {}
            () = bench.read_again_what_is_sent_back() => {}
        }
        loader.abort();
        let job = bench.stores.jobs.get(&bench.job).await.unwrap().unwrap();
        assert!(job.tally.difference().is_empty(), "{killed:?}: {job:?}");
        let count = |count| job.tally.get(ObjectKind::Account, count);
        let done = bench.mos.outcomes().applied.0;
        let done = done.get(&RecordType::Company);
        let done = done.map_or(0, |done| done.created + done.updated + done.unchanged);
        assert_eq!(
            (count(Count::Created), done),
            (created, created),
            "{killed:?}"
        );
        let dropped = RECORDS as u64 - created;
        assert_eq!(count(Count::NotPermitted), dropped, "{killed:?}");
    }
}

/// A job is cancelled while the loader is in the middle of a request, which comes to its end, is cut
/// off by a kill, or has no answer. What was begun is counted as mOS did it, what was not, or has
/// not come to mOS, is counted as cancelled and not sent.
#[tokio::test(start_paused = true)]
async fn what_was_begun_when_its_job_was_cancelled_is_counted_as_mos_did_it() {
    let all = RECORDS as u64;
    for (killed, dies, had) in [
        (Killed::BeforeMosApplies, false, all),
        (Killed::BeforeMosApplies, true, all),
        (Killed::AfterMosHasApplied, true, all),
        (Killed::Unheard, false, all),
        (Killed::Unreached, false, 0),
    ] {
        let bench = Bench::new(killed, Mutant::None).await;
        let (jobs, now) = (&bench.stores.jobs, bench.clock.now());
        let progress = Progress {
            next_index: 2,
            announced: 2,
            ..Progress::default()
        };
        let advanced = jobs.advance(&bench.job, &progress, None, now).await;
        advanced.unwrap();
        let unit = bench.read("begun").await;
        bench.publish(&unit).await;
        let mut waits = bench.read("not begun").await;
        waits.index = 1;
        waits.id = Envelope::id_of(&bench.job, 1);
        bench.publish(&waits).await;
        let mut loader = bench.loader(1);
        bench.target.reached.notified().await;
        let cancelled = SalesforceStatus::Cancelled;
        let moved = jobs.transition(&bench.job, cancelled, now, None).await;
        moved.unwrap();
        if dies {
            kill(loader).await;
            loader = bench.loader(1);
        } else {
            bench.target.goes_on.notify_one();
        }
        bench.settled().await;
        loader.abort();
        bench
            .assert_created(had, &format!("{killed:?}, {dies}"))
            .await;
        let job = jobs.get(&bench.job).await.unwrap().unwrap();
        let left = job.tally.get(ObjectKind::Account, Count::Cancelled);
        assert_eq!(left, 2 * all - had, "{killed:?}, {dies}");
        let account = &unit.records[0].id;
        let account = bench.mos.record(RecordType::Company, account.as_str());
        let name = account.map(|account| account.fields["name"].clone());
        assert_eq!(name, (had > 0).then(|| json!("begun")), "{killed:?}");
    }
}

/// mOS has had the first request, and no answer arrived, time and again: a unit like that would be
/// sent in parts now, of which mOS knows nothing.
#[tokio::test(start_paused = true)]
async fn what_mos_had_as_a_whole_is_found_after_many_silences() {
    let bench = Bench::new(Killed::AfterMosHasApplied, Mutant::None).await;
    let unit = bench.read("as it was").await;
    bench.publish_after_silences(unit, 3).await;
    bench.cancel().await;
    let loader = bench.loader(1);
    bench.settled().await;
    loader.abort();
    bench.assert_created(RECORDS as u64, "").await;
}

/// The question for it has no answer at first either. It is asked again as it was: of halves that
/// were never sent mOS knows nothing.
#[tokio::test(start_paused = true)]
async fn what_mos_had_is_asked_for_as_it_was_sent_until_mos_says_it() {
    for is_cancelled in [true, false] {
        let bench = Bench::new(Killed::AfterMosHasApplied, Mutant::None).await;
        let unit = bench.read("as it was").await;
        bench.publish_after_silences(unit, 3).await;
        if is_cancelled {
            bench.cancel().await;
        } else {
            // Too old to be sent as it is.
            tokio::time::sleep(Duration::from_secs(600)).await;
        }
        bench.target.questions_lost.store(1, Ordering::SeqCst);
        let loader = bench.loader(1);
        tokio::select! {
            () = bench.settled() => {}
            () = bench.read_again_what_is_sent_back() => {}
        }
        loader.abort();
        bench
            .assert_created(RECORDS as u64, &format!("{is_cancelled}"))
            .await;
    }
}

/// After many silences a unit is sent in parts, and the loader is killed in the third of them. What
/// mOS has had is found by these parts, also when the rest has grown too old to be sent.
#[tokio::test(start_paused = true)]
async fn what_mos_had_in_parts_when_the_loader_was_killed_is_found() {
    let bench = Bench::new(Killed::AfterMosHasApplied, Mutant::None).await;
    bench.target.request.store(2, Ordering::SeqCst);
    let unit = bench.read("as it was").await;
    bench
        .publish(&Envelope {
            outages: 3,
            step: 1,
            ..unit
        })
        .await;
    let loader = bench.loader(1);
    bench.target.reached.notified().await;
    kill(loader).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    let loader = bench.loader(1);
    tokio::select! {
        () = bench.settled() => {}
        () = bench.read_again_what_is_sent_back() => {}
    }
    loader.abort();
    bench.assert_created(RECORDS as u64, "").await;
}

/// Of a unit that needs two requests, mOS does not take one record of the first, and its answer to
/// the second is lost: that one is sent again as it was, and mOS says what it did.
#[tokio::test(start_paused = true)]
async fn what_mos_had_after_a_record_that_it_did_not_take_is_counted_as_it_did_it() {
    let all = 500 + RECORDS;
    for code in [RejectCode::Busy, RejectCode::ParentMissing] {
        let bench = Bench::new(Killed::Unheard, Mutant::None).await;
        bench.target.request.store(1, Ordering::SeqCst);
        let unit = bench.read_many(all, "as it was").await;
        let refused = unit.records[2].id;
        let once = Fault::Reject {
            code,
            field: None,
            probability: None,
            ids: vec![refused.as_str().to_owned()],
            count: Some(1),
        };
        bench.mos.fault(once).unwrap();
        bench.publish(&unit).await;
        let loader = bench.loader(1);
        bench.target.reached.notified().await;
        bench.target.goes_on.notify_one();
        bench.settled().await;
        loader.abort();
        bench
            .assert_created(all as u64 - 1, &format!("{code:?}"))
            .await;
        let parked = &bench.stores.parked;
        let entry = parked.get(ObjectKind::Account, &refused).await.unwrap();
        assert_eq!(entry.unwrap().kind, FailureKind::RetryLater, "{code:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_note_of_what_is_sent_the_counts_are_wrong() {
    for case in cases() {
        if play(case, Mutant::SendsEveryCopy).await.is_some() {
            return;
        }
    }
    panic!("no case shows it");
}
