//! The stores' suite and the adapter's own faults, against a real Redis. One server for all tests,
//! one at a time, each in a deployment of its own.
#![expect(clippy::unwrap_used, reason = "the harness panics where a test would")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use domain::failure::FailureKind;
use domain::job::{Job, JobId, JobKind, JobScope, Pause, PausedBy, SalesforceStatus};
use domain::parked::Parked;
use domain::tally::{Count, Tally};
use domain::unit::Stage;
use domain::{ObjectKind, SalesforceId, Ticket, Timestamp, Version};
use ports::conformance::stores::StoreHarness;
use ports::stores::{
    LogEntry, LogLevel, LogQuery, Moved, ParkedFilter, Report, StoreError, Stores, UNSETTLED,
    WorkerState,
};
use redis_store::RedisStore;
use testkit::proxy::Behaviour;
use testkit::{Redis, TcpProxy};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::spawn_blocking;

static SERVER: LazyLock<Arc<Mutex<Redis>>> = LazyLock::new(|| Arc::new(Mutex::new(Redis::start())));
static DEPLOYMENTS: AtomicU32 = AtomicU32::new(0);

/// The server for as long as the test runs, and a deployment on it.
struct Harness {
    server: Mutex<Option<OwnedMutexGuard<Redis>>>,
    url: String,
    port: u16,
    deployment: String,
}

impl Harness {
    async fn new() -> Self {
        let server = spawn_blocking(|| Arc::clone(&*SERVER)).await.unwrap();
        let server = server.lock_owned().await;
        Self {
            url: server.url.clone(),
            port: server.port(),
            deployment: format!("test{}", DEPLOYMENTS.fetch_add(1, Ordering::SeqCst)),
            server: Mutex::new(Some(server)),
        }
    }

    async fn with_server(&self, deed: impl FnOnce(&mut Redis) + Send + 'static) {
        let mut slot = self.server.lock().await;
        let mut server = slot.take().unwrap();
        let done = spawn_blocking(move || {
            deed(&mut server);
            server
        });
        *slot = Some(done.await.unwrap());
    }

    /// Stores behind a proxy.
    async fn behind_a_proxy(&self) -> (Stores, TcpProxy) {
        let proxy = TcpProxy::start(self.port).await;
        let url = format!("redis://127.0.0.1:{}/", proxy.port());
        let stores = RedisStore::connect(&url, &self.deployment).await.unwrap();
        (stores, proxy)
    }

    /// Waits until the append-only file, switched on again, is written anew: a server that is
    /// killed before begins with the old one.
    async fn whole_on_disk(&self) {
        loop {
            let info: String = self.command(redis::cmd("INFO").arg("persistence")).await;
            if [
                "aof_enabled:1",
                "aof_rewrite_in_progress:0",
                "aof_rewrite_scheduled:0",
            ]
            .iter()
            .all(|done| info.contains(done))
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn command<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> T {
        let client = redis::Client::open(self.url.as_str()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        command.query_async(&mut connection).await.unwrap()
    }
}

#[async_trait]
impl StoreHarness for Harness {
    async fn stores(&self) -> Stores {
        RedisStore::connect(&self.url, &self.deployment)
            .await
            .unwrap()
    }

    async fn restart(&self) {
        self.with_server(Redis::restart).await;
    }

    /// The server reads the machine's clock.
    fn step_clock(&self, _by_micros: i64) -> bool {
        false
    }
}

/// Answers that vanish on their way, and a hash in which the server shows what it has done.
struct Lost<'h> {
    harness: &'h Harness,
    proxy: &'h TcpProxy,
    key: &'h str,
}

impl<'h> Lost<'h> {
    fn new(harness: &'h Harness, proxy: &'h TcpProxy, key: &'h str) -> Self {
        Self {
            harness,
            proxy,
            key,
        }
    }

    async fn field(&self, name: &str) -> String {
        let value: Option<String> = self
            .harness
            .command(redis::cmd("HGET").arg(self.key).arg(name))
            .await;
        value.unwrap_or_default()
    }

    /// What the step answers when its first answer vanished after it was done.
    async fn answer<T>(&self, step: impl Future<Output = T>, is_done: impl AsyncFn() -> bool) -> T {
        self.proxy.behave(Behaviour {
            swallow_answers: true,
            ..Behaviour::default()
        });
        let healing = async {
            while !is_done().await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            self.proxy.heal();
            self.proxy.cut();
        };
        let (answer, ()) = tokio::join!(step, healing);
        answer
    }

    /// The same where the last of several answers is to be lost: all are slow, and the connection
    /// is cut while the last is on its way.
    async fn answer_in_flight<T>(
        &self,
        step: impl Future<Output = T>,
        is_done: impl AsyncFn() -> bool,
    ) -> T {
        self.proxy.behave(Behaviour {
            delay: Duration::from_millis(500),
            ..Behaviour::default()
        });
        let healing = async {
            while !is_done().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            self.proxy.heal();
            self.proxy.cut();
        };
        let (answer, ()) = tokio::join!(step, healing);
        answer
    }
}

ports::store_conformance!(Harness::new().await);

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(1_732_276_800_000 + second * 1000)
}

fn one_created() -> Tally {
    let mut tally = Tally::default();
    tally.add(ObjectKind::Opportunity, Count::Read);
    tally.add(ObjectKind::Opportunity, Count::Created);
    tally
}

#[tokio::test]
async fn every_script_is_loaded_again_when_the_server_forgot_it() {
    let harness = Harness::new().await;
    let stores = harness.stores().await;
    stores.ticket.take().await.unwrap();
    harness
        .command::<()>(redis::cmd("SCRIPT").arg("FLUSH"))
        .await;
    stores.ticket.take().await.unwrap();
}

/// What one process holds is not hidden by another that holds nothing, and a process that is gone
/// is not kept for ever.
#[tokio::test]
async fn processes_of_one_worker_report_beside_each_other() {
    let harness = Harness::new().await;
    let (one, two) = (harness.stores().await, harness.stores().await);
    let report = |seconds, unsettled| Report {
        at: at(seconds),
        state: WorkerState::Running,
        figures: BTreeMap::from([(UNSETTLED.to_owned(), unsettled)]),
        out_of_reach: BTreeSet::new(),
    };
    let loader = async || {
        let reports = one.reports.reports().await.unwrap();
        let [(worker, report)] = <[_; 1]>::try_from(Vec::from_iter(reports)).unwrap();
        assert_eq!(worker, "loader");
        (report.at, report.figures[UNSETTLED])
    };
    one.reports.report("loader", &report(1, 5)).await.unwrap();
    two.reports.report("loader", &report(2, 0)).await.unwrap();
    assert_eq!(loader().await, (at(2), 5));
    one.reports.report("loader", &report(3, 2)).await.unwrap();
    assert_eq!(loader().await, (at(3), 2));
    two.reports.report("loader", &report(60, 1)).await.unwrap();
    assert_eq!(loader().await, (at(60), 1));
    // Somebody's clock was an hour fast once.
    one.reports
        .report("loader", &report(3_600, 9))
        .await
        .unwrap();
    two.reports.report("loader", &report(61, 1)).await.unwrap();
    assert_eq!(loader().await, (at(61), 1));
    let key = format!("mosync:{{{}}}:reports", harness.deployment);
    let kept: u64 = harness.command(redis::cmd("HLEN").arg(key)).await;
    assert_eq!(kept, 1);
}

/// What a version parked that did not know of releases is read, released and taken up.
#[tokio::test]
async fn what_was_parked_before_releases_were_noted_is_read() {
    let harness = Harness::new().await;
    let stores = harness.stores().await;
    let parent = SalesforceId::parse("005000000000001AAA").unwrap();
    let ticket = Ticket {
        version: Version::at(at(1)),
        rule_revision: 0,
        snapshot: 0,
    };
    let id = SalesforceId::parse("001000000000001AAA").unwrap();
    let parked = Parked {
        parent: Some((ObjectKind::User, parent)),
        ..Parked::new(
            (ObjectKind::Account, id),
            Stage::Load,
            FailureKind::ParentMissing,
            "no owner".to_owned(),
            ticket,
            at(1),
        )
    };
    stores
        .parked
        .park(std::slice::from_ref(&parked))
        .await
        .unwrap();
    let key = format!("mosync:{{{}}}:parked:1{id}", harness.deployment);
    let mut forget = redis::cmd("HDEL");
    forget.arg(key).arg("released_by").arg("released_at");
    assert_eq!(harness.command::<u64>(&forget).await, 2);
    let entry = stores.parked.get(ObjectKind::Account, &id).await.unwrap();
    assert_eq!(entry, Some(parked));
    let accepted = [(ObjectKind::User, parent)];
    let released = stores
        .parked
        .accepted(&accepted, Version::at(at(2)), at(2))
        .await;
    assert_eq!(released, Ok(1));
    assert!(stores.parked.take_due(at(2), 10).await.unwrap().is_some());
}

/// The server did it, its answer was lost: the repeat changes nothing.
#[tokio::test]
async fn a_lost_answer_counts_once() {
    let harness = Harness::new().await;
    let (stores, proxy) = harness.behind_a_proxy().await;
    let job = JobId::live(at(0));
    let index = stores.jobs.open_live_unit(&job, at(0)).await.unwrap();
    // Load the script, so that the call whose answer vanishes is the one that counts.
    stores
        .jobs
        .count(&JobId::of("live-other"), 0, None, &one_created(), at(1))
        .await
        .unwrap();
    proxy.behave(Behaviour {
        swallow_answers: true,
        ..Behaviour::default()
    });
    let tally = one_created();
    let counting = stores.jobs.count(&job, index, None, &tally, at(1));
    let healing = async {
        let marks = format!("mosync:{{{}}}:marks:{job}", harness.deployment);
        while !harness
            .command::<bool>(redis::cmd("EXISTS").arg(&marks))
            .await
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        proxy.heal();
        proxy.cut();
    };
    let (first, ()) = tokio::join!(counting, healing);
    assert_eq!(first, Ok(false), "the lost answer was the `true`");
    assert_eq!(
        stores.jobs.count(&job, index, None, &tally, at(2)).await,
        Ok(false)
    );
    let job = stores.jobs.get(&job).await.unwrap().unwrap();
    assert_eq!((job.units, job.counted, job.pending()), (1, 1, 0));
    assert_eq!(job.tally, one_created());
}

#[tokio::test]
async fn a_lost_answer_opens_one_unit_and_writes_one_line() {
    let harness = Harness::new().await;
    let (stores, proxy) = harness.behind_a_proxy().await;
    let job = JobId::live(at(0));
    let entry = |message: &str| LogEntry {
        at: at(0),
        level: LogLevel::Info,
        topic: "stream".to_owned(),
        job: None,
        record: None,
        message: message.to_owned(),
    };
    assert_eq!(stores.jobs.open_live_unit(&job, at(0)).await, Ok(0));
    stores.log.append(&entry("first")).await.unwrap();
    proxy.behave(Behaviour {
        swallow_answers: true,
        ..Behaviour::default()
    });
    let healing = async {
        let key = format!("mosync:{{{}}}:job:{job}", harness.deployment);
        let log = format!("mosync:{{{}}}:log:lines", harness.deployment);
        loop {
            let units: u64 = harness
                .command(redis::cmd("HGET").arg(&key).arg("units"))
                .await;
            let lines: u64 = harness.command(redis::cmd("XLEN").arg(&log)).await;
            if (units, lines) == (2, 2) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        proxy.heal();
        proxy.cut();
    };
    let second = entry("second");
    let (opened, logged, ()) = tokio::join!(
        stores.jobs.open_live_unit(&job, at(1)),
        stores.log.append(&second),
        healing
    );
    assert_eq!((opened, logged), (Ok(1), Ok(())));
    assert_eq!(stores.jobs.open_live_unit(&job, at(2)).await, Ok(2));
    let page = stores.log.search(&LogQuery::default(), None, 10).await;
    assert_eq!(page.unwrap().entries.len(), 2);
}

/// The steps of a job, each done by the server and its answer lost: the repeat finds it done.
#[tokio::test]
async fn a_lost_answer_moves_pauses_and_takes_up_once() {
    let harness = Harness::new().await;
    let (stores, proxy) = harness.behind_a_proxy().await;
    let job = Job::queued(
        JobId::of("sync_all-one"),
        JobKind::SyncAll,
        JobScope::Everything,
        at(0),
    );
    let key = format!("mosync:{{{}}}:job:{}", harness.deployment, job.id);
    let (jobs, id) = (&stores.jobs, &job.id);
    jobs.create(&job).await.unwrap();
    // Every script is loaded, so that the call whose answer vanishes is the one that does it.
    let other = JobId::of("sync_all-other");
    let pause = Pause {
        since: at(10),
        by: PausedBy::Person,
        why: "the weekend".to_owned(),
        until: None,
    };
    jobs.transition(&other, SalesforceStatus::Extracting, at(1), None)
        .await
        .unwrap();
    jobs.pause(&other, &pause).await.unwrap();
    jobs.resume(&other, PausedBy::Person, at(1)).await.unwrap();

    let lost = Lost::new(&harness, &proxy, &key);
    let extracting = SalesforceStatus::Extracting;
    let moved = lost
        .answer(jobs.transition(id, extracting, at(1), None), async || {
            lost.field("salesforce").await == "extracting"
        })
        .await;
    assert_eq!(moved, Ok(Moved::Already));
    let paused = lost
        .answer(jobs.pause(id, &pause), async || {
            lost.field("paused_by").await == "person"
        })
        .await;
    assert_eq!(paused, Ok(true));
    let resumed = lost
        .answer(jobs.resume(id, PausedBy::Person, at(17)), async || {
            lost.field("paused_by").await.is_empty()
        })
        .await;
    assert_eq!(resumed, Ok(false), "the lost answer was the `true`");
    assert_eq!(jobs.pause(id, &pause).await, Ok(true));
    let found = jobs.get(id).await.unwrap().unwrap();
    assert_eq!(
        (found.paused, found.paused_for),
        (None, Duration::from_secs(7))
    );
}

/// Taking up parked records, its answer lost: the repeat answers the job that was made.
#[tokio::test]
async fn a_lost_answer_takes_up_once() {
    let harness = Harness::new().await;
    let (stores, proxy) = harness.behind_a_proxy().await;
    let parked = |number: u32| Parked {
        object: ObjectKind::Account,
        id: SalesforceId::parse(&format!("0010000000{number:05}")).unwrap(),
        stage: Stage::Load,
        kind: FailureKind::RetryLater,
        code: None,
        message: "busy".to_owned(),
        parent: None,
        rule_revision: 0,
        version: Version::at(at(0)),
        since: at(0),
        retries: 0,
        retry_at: Some(at(i64::from(number))),
        released: None,
        job: None,
        dismissed: None,
    };
    stores.parked.park(&[parked(1), parked(2)]).await.unwrap();
    // Loads the script.
    stores.parked.take_due(at(1), 10).await.unwrap().unwrap();
    let retries = async || {
        let list = stores.parked.list(&ParkedFilter::default(), None, 10).await;
        let list = list.unwrap();
        list.iter().map(|parked| parked.retries).collect::<Vec<_>>()
    };
    assert_eq!(retries().await, [1, 0]);
    let key = format!("mosync:{{{}}}:parked:1{}", harness.deployment, parked(2).id);
    // The look at what is due is answered, the step that follows is not.
    let lost = Lost::new(&harness, &proxy, &key);
    let taken = lost
        .answer_in_flight(stores.parked.take_due(at(2), 10), async || {
            lost.field("retries").await == "1"
        })
        .await;
    let job = taken.unwrap().unwrap();
    assert_eq!(retries().await, [1, 1]);
    assert_eq!(stores.jobs.get(&job.id).await, Ok(Some(job)));
    assert_eq!(stores.jobs.list(10).await.unwrap().len(), 2);
}

/// Thousands of lines and units, as one deployment has them: the answer is right. How long it takes
/// is printed.
#[tokio::test]
async fn a_long_log_is_searched_to_its_beginning() {
    const LINES: i64 = 20_000;
    let harness = Harness::new().await;
    let stores = harness.stores().await;
    let record = (
        ObjectKind::Account,
        SalesforceId::parse("001000000000001").unwrap(),
    );
    let mut writing = tokio::task::JoinSet::new();
    for first in 0..20 {
        let log = Arc::clone(&stores.log);
        writing.spawn(async move {
            for number in (first..LINES).step_by(20) {
                let line = LogEntry {
                    at: at(number),
                    level: if number == 17 {
                        LogLevel::Error
                    } else {
                        LogLevel::Info
                    },
                    topic: "stream".to_owned(),
                    job: None,
                    record: (number == 0).then_some(record),
                    message: format!("line {number}"),
                };
                log.append(&line).await.unwrap();
            }
        });
    }
    writing.join_all().await;
    let all = LogQuery::default();
    let queries = [
        (
            LogQuery {
                record: Some(record),
                ..all.clone()
            },
            "line 0",
        ),
        (
            LogQuery {
                level: Some(LogLevel::Warning),
                ..all.clone()
            },
            "line 17",
        ),
        (
            LogQuery {
                text: Some("LINE 4711".to_owned()),
                ..all.clone()
            },
            "line 4711",
        ),
    ];
    for (query, message) in &queries {
        let begun = tokio::time::Instant::now();
        let page = stores.log.search(query, None, 10).await.unwrap();
        println!("{LINES} lines were searched in {:?}", begun.elapsed());
        let found = page.entries.iter().map(|(_, line)| line.message.as_str());
        assert_eq!(found.collect::<Vec<_>>(), [*message]);
        assert_eq!(page.next, None);
    }
    // What helps to search goes with the lines.
    let words = format!("mosync:{{{}}}:log:words:*", harness.deployment);
    let keys = async || {
        let mut command = redis::cmd("KEYS");
        harness
            .command::<Vec<String>>(command.arg(&words))
            .await
            .len()
    };
    assert!(keys().await > 50);
    let forgotten = stores.log.trim(100, at(0)).await.unwrap();
    assert_eq!(forgotten, LINES as u64 - 100);
    assert!(keys().await <= 2);
    let page = stores.log.search(&all, None, 1_000).await.unwrap();
    assert_eq!(page.entries.len(), 100);
}

#[tokio::test]
async fn a_killed_server_keeps_what_it_has_answered() {
    let harness = Harness::new().await;
    let stores = harness.stores().await;
    let job = JobId::live(at(0));
    for _ in 0..50 {
        stores.jobs.open_live_unit(&job, at(0)).await.unwrap();
    }
    let before = stores.ticket.take().await.unwrap();
    harness
        .with_server(|server| {
            server.kill9();
            server.restart();
        })
        .await;
    // Also which unit was in doubt.
    stores.jobs.abandon_live_units().await.unwrap();
    let found = stores.jobs.get(&job).await.unwrap().unwrap();
    assert_eq!((found.units, found.abandoned), (50, 1));
    assert_eq!(stores.jobs.open_live_unit(&job, at(1)).await, Ok(50));
    let after = stores.ticket.take().await.unwrap();
    assert!(after.version > before.version);
}

/// The stored mark of a clock that was an hour ahead.
#[tokio::test]
async fn a_clock_that_stepped_back_is_refused() {
    let harness = Harness::new().await;
    let stores = harness.stores().await;
    let ticket = stores.ticket.take().await.unwrap();
    let ahead = ticket.version.time().after(Duration::from_secs(3600));
    harness
        .command::<()>(
            redis::cmd("SET")
                .arg(format!("mosync:{{{}}}:ticket:seen", harness.deployment))
                .arg(ahead.as_micros()),
        )
        .await;
    let refused = stores.ticket.take().await;
    assert!(
        matches!(refused, Err(StoreError::ClockSteppedBack(by)) if by > Duration::from_secs(3500)),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_forgetful_server_is_warned_of() {
    let harness = Harness::new().await;
    assert!(RedisStore::warnings(&harness.url).await.unwrap().is_empty());
    for (setting, bad, good) in [
        ("appendonly", "no", "yes"),
        ("maxmemory-policy", "allkeys-lru", "noeviction"),
    ] {
        let set = |value: &str| {
            let mut command = redis::cmd("CONFIG");
            command.arg("SET").arg(setting).arg(value);
            command
        };
        harness.command::<()>(&set(bad)).await;
        let warnings = RedisStore::warnings(&harness.url).await.unwrap();
        harness.command::<()>(&set(good)).await;
        harness.whole_on_disk().await;
        assert_eq!(warnings.len(), 1);
        assert!(warnings.iter().all(|warning| warning.contains(setting)));
    }
}

#[tokio::test]
async fn a_server_that_is_gone_is_an_error_without_its_password() {
    let refused = RedisStore::connect("redis://:geheim@127.0.0.1:1/", "any").await;
    let error = refused.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable(_)));
    assert!(!error.to_string().contains("geheim"), "{error}");
}
