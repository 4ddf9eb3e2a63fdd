//! The stores' suite and the adapter's own faults, against a real Redis. One server for all tests,
//! one at a time, each in a deployment of its own.
#![expect(clippy::unwrap_used, reason = "the harness panics where a test would")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use domain::job::JobId;
use domain::tally::{Count, Tally};
use domain::{ObjectKind, Timestamp};
use ports::conformance::stores::StoreHarness;
use ports::stores::{LogEntry, LogLevel, StoreError, Stores};
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
        .count(&JobId::of("live-other"), 0, &one_created(), at(1))
        .await
        .unwrap();
    proxy.behave(Behaviour {
        swallow_answers: true,
        ..Behaviour::default()
    });
    let tally = one_created();
    let counting = stores.jobs.count(&job, index, &tally, at(1));
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
        stores.jobs.count(&job, index, &tally, at(2)).await,
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
        let log = format!("mosync:{{{}}}:log", harness.deployment);
        loop {
            let units: u64 = harness
                .command(redis::cmd("HGET").arg(&key).arg("units"))
                .await;
            let lines: u64 = harness.command(redis::cmd("LLEN").arg(&log)).await;
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
    assert_eq!(stores.log.recent(10).await.unwrap().len(), 2);
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
