//! Full loads at size: exact to the last record, beside live changes, through kills, in little
//! memory.
//!
//! The plain run loads 5,000 opportunities and kills in 3 rounds. `tests/run.sh --long` loads
//! 200,000 and kills in 20; its figures are printed.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::author::Author;
use crate::chance::Chance;
use crate::judge;
use crate::steps::updating;
use crate::world::{Options, WORKERS, World};

/// What mOS answers for a record that it takes, as both ledgers name it.
const ANSWERS: [&str; 4] = ["created", "updated", "unchanged", "stale"];
/// What a worker may hold in memory.
const MEMORY_MIB: f64 = 64.0;
/// Where rows hold texts of 30,000 characters: pages of about 4 MiB are in memory, and units of them.
/// As it is built for tests a worker has half of this before it begins.
const LONG_TEXTS_MIB: f64 = 112.0;
/// Live changes a second.
const LIVE: f64 = 100.0;

/// How large the org is, and how often everything is killed.
struct Size {
    opportunities: usize,
    rounds: usize,
    /// How long changes go on while no load runs.
    idle: Duration,
    patience: Duration,
}

fn size() -> Size {
    let variable = |wanted: &str| {
        std::env::vars()
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.parse::<usize>().unwrap())
    };
    let opportunities = variable("E2E_LOAD_OPPORTUNITIES").unwrap_or(5_000);
    Size {
        opportunities,
        rounds: variable("E2E_LOAD_ROUNDS").unwrap_or(3),
        idle: Duration::from_secs(if opportunities > 5_000 { 60 } else { 5 }),
        patience: Duration::from_secs(300 + opportunities as u64 / 10),
    }
}

async fn prepare(size: &Size) -> World {
    let options = Options {
        opportunities: size.opportunities,
        all_in_scope: true,
        // Two of the phases by the Bulk API even in a small org, the others by pages.
        bulk_from: Some(2_000),
        patience: size.patience,
        // At size as mosync comes: what is read again after a shorter time is a burden of its own.
        permissions_poll_s: if size.opportunities > 5_000 { 60 } else { 1 },
        ..Options::default()
    };
    World::prepare(options).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_load_is_exact_and_small() {
    let size = size();
    let mut world = prepare(&size).await;
    world.start_all();
    let began = Instant::now();
    let mut memory = Memory::default();
    let job = loaded(&world, &mut memory).await;
    let seconds = began.elapsed().as_secs_f64();
    world.rest_and_audit("after the full load").await;
    assert_every_record_was_read_once(&job);
    assert_counts(&world).await;
    memory.assert_small();
    let records = job["done"].as_u64().unwrap();
    println!(
        "full load: {} opportunities, {records} records in {seconds:.1} s, {:.0} a second; {}",
        size.opportunities,
        records as f64 / seconds,
        memory.in_words()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_load_beside_live_changes_is_exact() {
    let size = size();
    let mut world = prepare(&size).await;
    world.start_all();
    // The position is stored by then: from here on the stream brings every change.
    world
        .until("the load is counted", |status| total(status).is_some())
        .await;
    let mut memory = Memory::default();
    let mut author = Author::new(&world.salesforce.org, 7);
    let busy_began = world.now();
    let rate = changes_until(&world, &mut author, loaded(&world, &mut memory)).await;
    let busy_ended = world.now();
    world
        .rest_and_audit("a full load beside live changes")
        .await;

    let idle_began = world.now();
    let idle_rate = changes_until(&world, &mut author, tokio::time::sleep(size.idle)).await;
    world.rest_and_audit("live changes after the load").await;
    assert_counts(&world).await;
    let spans = [(busy_began, busy_ended), (idle_began, i64::MAX)];
    let [busy, idle] = judge::latencies(&world, &spans)[..] else {
        panic!("a latency for each span");
    };
    println!(
        "full load beside live changes: {rate:.0} a second, {busy}; after it {idle_rate:.0} a second, {idle}; {}",
        memory.in_words()
    );
    // Bars, and no assertions: how fast it is says more of the machine than of a change.
    let slowest = f64::max(1_000.0, 3.0 * idle.p99_ms);
    let bar = |is_met| if is_met { "met" } else { "MISSED" };
    println!(
        "bar {}: live p99 during the load {:.0} ms, at most {slowest:.0}",
        bar(busy.p99_ms <= slowest),
        busy.p99_ms
    );
    println!(
        "bar {}: live changes during the load {rate:.0} a second, at least {:.0}",
        bar(rate >= 0.95 * LIVE),
        0.95 * LIVE
    );
    memory.assert_small();
}

/// Descriptions of the length that Salesforce allows, read by pages, back after a change, and by a
/// bulk query. A peak may be shorter than any look at a process: the system has noted it.
#[tokio::test(flavor = "multi_thread")]
async fn long_texts_take_little_memory() {
    let mut world = World::prepare(Options {
        // Together 48 MiB of texts: not to be in memory at once.
        opportunities: 1_600,
        all_in_scope: true,
        ..Options::default()
    })
    .await;
    let org = &world.salesforce.org;
    let deals = org.records("Opportunity").into_iter();
    let described = deals.filter(|deal| !deal.flag("IsDeleted")).map(|deal| {
        let text = format!("{} \"so\",\n", deal.id()).repeat(1_100);
        let fields = serde_json::json!({ "Description": text });
        updating("Opportunity", deal.id(), &fields)
    });
    org.transact(org.admin_id(), "test", described.collect())
        .unwrap();
    world.start_all();
    loaded(&world, &mut Memory::default()).await;
    world.rest_and_audit("long texts by pages").await;
    world.touch_all_deals();
    world.rest_and_audit("long texts that were read back").await;
    world.assert_peaks(LONG_TEXTS_MIB);
    world.kill9("listener");
    world.start_with("listener", &[("MOSYNC_SALESFORCE_BULK_FROM", "1")]);
    let answer = world.mosync(&["sync-all", "--wait"]).await;
    assert_eq!(answer.code, Some(0), "{answer:?}");
    world.rest_and_audit("long texts by a bulk query").await;
    world.assert_peaks(LONG_TEXTS_MIB);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_load_through_kills_is_exact_and_reads_nothing_twice() {
    let size = size();
    let mut world = prepare(&size).await;
    world.start_all();
    let chance = Chance::of_seed(u64::try_from(size.rounds).unwrap());
    let total = world
        .until("the load is counted", |status| total(status).is_some())
        .await;
    let total = total_of_all(&total);
    // Each worker once a round; the broker and the store in turns.
    let servers = (0..size.rounds).map(|round| ["broker", "store"][round % 2]);
    let workers = (0..size.rounds).flat_map(|_| WORKERS);
    let mut kills = servers
        .chain(workers)
        .map(|victim| (chance.below(90), victim))
        .collect::<Vec<_>>();
    kills.sort_unstable();
    let killed = kills.len();
    for (percent, victim) in kills {
        let threshold = total * percent as u64 / 100;
        world
            .until("the load goes on", |status| done(status) >= threshold)
            .await;
        match victim {
            "broker" => {
                world
                    .with_servers(|servers| {
                        servers.rabbit.kill9();
                        servers.rabbit.restart();
                    })
                    .await;
            }
            "store" => {
                world
                    .with_servers(|servers| {
                        servers.redis.kill9();
                        servers.redis.restart();
                    })
                    .await;
            }
            worker => {
                world.kill9(worker);
                world.start(worker);
            }
        }
    }
    let mut memory = Memory::default();
    let job = loaded(&world, &mut memory).await;
    world
        .rest_and_audit("after a full load through kills")
        .await;
    assert_every_record_was_read_once(&job);
    assert_counts(&world).await;
    println!(
        "full load through {killed} kills: {} opportunities, {} records, exact",
        size.opportunities, job["done"]
    );
}

/// The newest sync-all, once it has ended well; the workers' memory is looked at meanwhile.
async fn loaded(world: &World, memory: &mut Memory) -> Value {
    let memory = std::cell::RefCell::new(memory);
    let status = world
        .until("the full load ends", |status| {
            memory.borrow_mut().look(world);
            !status["last_sync_all"]["over"].is_null()
        })
        .await;
    let job = status["last_sync_all"].clone();
    assert_eq!(job["mos"], "completed", "{job:#}");
    assert_eq!(job["salesforce"], "completed", "{job:#}");
    assert_eq!(job["percent"], 100.0, "{job:#}");
    job
}

/// Makes live changes until the future ends; how many a second it became.
async fn changes_until<T>(world: &World, author: &mut Author, end: impl Future<Output = T>) -> f64 {
    let began = Instant::now();
    let mut changes = 0_u32;
    let mut tick = tokio::time::interval(Duration::from_secs_f64(1.0 / LIVE));
    let mut end = std::pin::pin!(end);
    loop {
        tokio::select! {
            biased;
            _ = &mut end => return f64::from(changes) / began.elapsed().as_secs_f64(),
            _ = tick.tick() => {
                changes += u32::from(author.change(&world.salesforce.org));
            }
        }
    }
}

fn total(status: &Value) -> Option<u64> {
    let job = &status["last_sync_all"];
    let begun = !job["started"].is_null() && job["salesforce"] != "counting";
    job["total"].as_u64().filter(|_| begun)
}

fn total_of_all(status: &Value) -> u64 {
    total(status).unwrap()
}

fn done(status: &Value) -> u64 {
    status["last_sync_all"]["done"].as_u64().unwrap_or(0)
}

/// In an org that nobody changes, the reader publishes exactly what was counted before.
fn assert_every_record_was_read_once(job: &Value) {
    let objects = job["objects"].as_object().unwrap();
    assert_eq!(objects.len(), 5, "{job:#}");
    for (object, view) in objects {
        assert_eq!(view["read"], view["total"], "{object}: {job:#}");
        assert_eq!(view["tally"]["read"], view["total"], "{object}: {job:#}");
    }
}

/// What all jobs together say of mOS's answers is what mOS's own ledger says, object by object and
/// outcome by outcome.
async fn assert_counts(world: &World) {
    let answer = world.mosync(&["jobs", "--json", "--limit", "500"]).await;
    assert_eq!(answer.code, Some(0), "{answer:?}");
    let list: Value = serde_json::from_str(&answer.stdout).unwrap();
    let mut counted = BTreeMap::<(String, &str), u64>::new();
    for job in list["jobs"].as_array().unwrap() {
        for (object, tally) in job["tally"].as_object().unwrap() {
            for answer in ANSWERS {
                *counted.entry((object.clone(), answer)).or_default() +=
                    tally[answer].as_u64().unwrap_or(0);
            }
        }
    }
    counted.retain(|_, records| *records > 0);
    assert_eq!(counted, judge::answers(world, &ANSWERS), "{list:#}");
}

/// The workers' resident memory, as the system tells it.
#[derive(Default)]
struct Memory(BTreeMap<&'static str, Vec<f64>>);

impl Memory {
    fn look(&mut self, world: &World) {
        for worker in WORKERS {
            if let Some(mib) = world.resident_mib(worker) {
                self.0.entry(worker).or_default().push(mib);
            }
        }
    }

    fn most(samples: &[f64]) -> f64 {
        samples.iter().copied().fold(0.0, f64::max)
    }

    /// Under the limit, and no more in the second half than in the first and a quarter.
    fn assert_small(&self) {
        for (worker, samples) in &self.0 {
            let most = Self::most(samples);
            assert!(most < MEMORY_MIB, "{worker}: {most:.1} MiB");
            let (first, second) = samples.split_at(samples.len() / 2);
            assert!(
                Self::most(second) <= Self::most(first) * 1.25 || samples.len() < 20,
                "{worker} grows: {:.1} MiB, then {:.1}",
                Self::most(first),
                Self::most(second)
            );
        }
    }

    fn in_words(&self) -> String {
        let workers = self
            .0
            .iter()
            .map(|(worker, samples)| format!("{worker} {:.1} MiB", Self::most(samples)))
            .collect::<Vec<_>>();
        format!("most memory: {}", workers.join(", "))
    }
}
