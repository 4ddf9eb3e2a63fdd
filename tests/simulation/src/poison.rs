//! I7: a record over which a worker fails parks alone; the others of its unit go on, and the unit
//! is counted.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use domain::failure::FailureKind;
use domain::job::JobId;
use domain::tally::Count;
use domain::unit::{Cause, Envelope, Lane, QueueName, Stage, UnitCopy, UnitRecord};
use domain::{ObjectKind, SalesforceId};
use embedded::{Embedded, Location};
use ports::Clock;
use ports::stores::ParkedFilter;
use runtime::gate::{Gate, Gates};
use runtime::worker::{Handler, Outage, Verdict, Worker};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::clock::SimClock;

/// Panics over one record, and passes everything else on.
struct Touchy {
    poison: SalesforceId,
    gate: watch::Receiver<Gate>,
}

#[async_trait]
impl Handler for Touchy {
    fn stage(&self) -> Stage {
        Stage::Filter
    }

    fn gate(&self) -> watch::Receiver<Gate> {
        self.gate.clone()
    }

    async fn handle(&self, unit: Envelope, _copy: &UnitCopy) -> Result<Verdict, Outage> {
        assert!(unit.records.iter().all(|record| record.id != self.poison));
        Ok(Verdict::pass_on(
            QueueName::new(Stage::Permission, unit.lane),
            unit,
        ))
    }
}

pub(crate) fn id(n: usize) -> SalesforceId {
    SalesforceId::parse(&format!("00600000000000{n}")).unwrap()
}

pub(crate) fn unit(ids: &[SalesforceId]) -> Envelope {
    let job = JobId::of("live-2026-06-15T12");
    let record = |id: &SalesforceId| UnitRecord {
        object: ObjectKind::Opportunity,
        id: *id,
        cause: Cause::Reread,
        row: None,
        owners: BTreeSet::new(),
        last_word: false,
        entering: false,
    };
    let org = SalesforceId::parse("00D000000000001").unwrap();
    let records = ids.iter().map(record).collect();
    let published = domain::Timestamp::default();
    Envelope::new(job, 0, Lane::Live, org, published, records)
}

/// What is parked, and what reaches the next stage, after the touchy worker has had the unit.
async fn handled(ids: &[SalesforceId]) -> (Embedded, Option<Envelope>) {
    let clock = SimClock::begin() as Arc<dyn Clock>;
    let embedded = Embedded::open(Location::Memory, Arc::clone(&clock)).unwrap();
    let (queue, stores) = (embedded.queue(), embedded.stores());
    let first = QueueName::new(Stage::Filter, Lane::Live);
    let unit = unit(ids);
    let index = stores.jobs.open_live_unit(&unit.job, clock.now()).await;
    assert_eq!(index, Ok(unit.index));
    runtime::worker::publish(&*queue, first, &unit)
        .await
        .unwrap();
    let gates = Gates::default();
    let handler = Touchy {
        poison: id(3),
        gate: gates.watch(),
    };
    let worker = Worker {
        queue: Arc::clone(&queue),
        stores: stores.clone(),
        clock,
        handler: Arc::new(handler),
        lane: Lane::Live,
        concurrency: 2,
        in_hand: runtime::in_hand::InHand::default(),
        outages: runtime::outages::Outages::default(),
        apart: runtime::worker::Apart::default(),
    };
    let stop = CancellationToken::new();
    let next = QueueName::new(Stage::Permission, Lane::Live);
    let mut passed_on = queue.subscribe(next, 1).await.unwrap();
    let passed_on = tokio::select! {
        () = worker.run(stop.clone()) => None,
        unit = async {
            let incoming = passed_on.next().await.unwrap();
            // A worker that were killed now would not come to it any more.
            let parked = stores.parked.list(&ParkedFilter::default(), None, 1).await.unwrap();
            assert!(!parked.is_empty(), "published before it was parked");
            Envelope::decode(&incoming.message.body).unwrap()
        } => Some(unit),
        () = tokio::time::sleep(Duration::from_secs(60)) => None,
    };
    (embedded, passed_on)
}

#[tokio::test(start_paused = true)]
async fn a_record_that_makes_a_worker_panic_parks_alone() {
    let ids = (1..=5).map(id).collect::<Vec<_>>();
    let (embedded, passed_on) = handled(&ids).await;
    let passed_on = passed_on.expect("the others go on");
    let others = passed_on.records.iter().map(|record| record.id);
    assert_eq!(others.collect::<Vec<_>>(), [id(1), id(2), id(4), id(5)]);
    let count = |count| passed_on.tally.get(ObjectKind::Opportunity, count);
    assert_eq!((count(Count::Read), count(Count::Parked)), (5, 1));
    let parked = embedded
        .stores()
        .parked
        .list(&ParkedFilter::default(), None, 10)
        .await
        .unwrap();
    let parked = parked.iter().map(|parked| (parked.id, parked.kind));
    assert_eq!(parked.collect::<Vec<_>>(), [(id(3), FailureKind::Poison)]);
}

#[tokio::test(start_paused = true)]
async fn a_unit_of_nothing_but_poison_is_counted_and_its_record_parked() {
    let (embedded, passed_on) = handled(&[id(3)]).await;
    assert_eq!(passed_on, None);
    let stores = embedded.stores();
    let parked = stores
        .parked
        .list(&ParkedFilter::default(), None, 10)
        .await
        .unwrap();
    assert_eq!(parked.len(), 1);
    assert_eq!((parked[0].id, parked[0].kind), (id(3), FailureKind::Poison));
    let job = stores.jobs.get(&JobId::of("live-2026-06-15T12")).await;
    let job = job.unwrap().expect("the hour's job");
    assert_eq!(job.pending(), 0);
    assert!(job.tally.difference().is_empty());
}

const LANES: [Lane; 2] = [Lane::Live, Lane::Bulk];

/// Ends its process over some records, as a stack overflow does: nobody catches it, and whatever
/// else the process has in hand comes again, too.
#[derive(Default)]
struct Deadly {
    over: BTreeSet<SalesforceId>,
    /// Somebody else ends it in these handlings, counted from 0.
    by_chance: BTreeSet<usize>,
    /// What the stage depends on is out of reach in these.
    outages: BTreeSet<usize>,
    handlings: AtomicUsize,
    deaths: AtomicUsize,
    dies: Notify,
    gates: Gates,
}

#[async_trait]
impl Handler for Deadly {
    fn stage(&self) -> Stage {
        Stage::Filter
    }

    fn gate(&self) -> watch::Receiver<Gate> {
        self.gates.watch()
    }

    async fn handle(&self, unit: Envelope, _copy: &UnitCopy) -> Result<Verdict, Outage> {
        let handling = self.handlings.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(10)).await;
        let is_over = |record: &UnitRecord| self.over.contains(&record.id);
        if self.by_chance.contains(&handling) || unit.records.iter().any(is_over) {
            self.deaths.fetch_add(1, Ordering::SeqCst);
            self.dies.notify_one();
            std::future::pending::<()>().await;
        }
        if self.outages.contains(&handling) {
            return Err(Outage::Other("simulated".to_owned()));
        }
        // Whoever is quicker than the deadly one is done before it.
        tokio::time::sleep(Duration::from_millis(10)).await;
        Ok(Verdict::pass_on(
            QueueName::new(Stage::Permission, unit.lane),
            unit,
        ))
    }
}

/// What became of units of these records in a process that is started again whenever it has died:
/// the ids that reach the next stage, unit by unit, those that are parked, and how often it died.
/// Of two units one comes in each lane.
async fn survived(
    deadly: Deadly,
    units: &[&[usize]],
) -> (BTreeSet<Vec<SalesforceId>>, Vec<SalesforceId>, usize) {
    let clock = SimClock::begin() as Arc<dyn Clock>;
    let embedded = Embedded::open(Location::Memory, Arc::clone(&clock)).unwrap();
    let (queue, stores) = (embedded.queue(), embedded.stores());
    let deadly = Arc::new(deadly);
    let mut published = Vec::new();
    for (ids, lane) in units.iter().zip(LANES) {
        let ids = ids.iter().map(|n| id(*n)).collect::<Vec<_>>();
        let job = JobId::of(&format!("retry-{lane:?}"));
        let unit = Envelope {
            id: Envelope::id_of(&job, 0),
            job,
            lane,
            ..unit(&ids)
        };
        runtime::worker::publish(&*queue, QueueName::new(Stage::Filter, lane), &unit)
            .await
            .unwrap();
        published.push(unit);
    }
    let supervised = async {
        loop {
            let apart = runtime::worker::Apart::default();
            let worker = |lane| Worker {
                queue: Arc::clone(&queue),
                stores: stores.clone(),
                clock: Arc::clone(&clock),
                handler: Arc::clone(&deadly) as Arc<dyn Handler>,
                lane,
                concurrency: 2,
                in_hand: runtime::in_hand::InHand::default(),
                outages: runtime::outages::Outages::default(),
                apart: apart.clone(),
            };
            let [live, bulk] = LANES.map(|lane| worker(lane).run(CancellationToken::new()));
            tokio::select! {
                () = live => panic!("the worker ended"),
                () = bulk => panic!("the worker ended"),
                () = deadly.dies.notified() => {}
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let mut passed_on = BTreeSet::new();
    let all_pass = async {
        for lane in LANES.into_iter().take(units.len()) {
            let next = QueueName::new(Stage::Permission, lane);
            let mut subscription = queue.subscribe(next, 1).await.unwrap();
            let incoming = subscription.next().await.unwrap();
            let unit = Envelope::decode(&incoming.message.body).unwrap();
            let count = |count| unit.tally.get(ObjectKind::Opportunity, count);
            let all = count(Count::Parked) + unit.records.len() as u64;
            assert_eq!(count(Count::Read), all, "what is not parked goes on");
            passed_on.insert(unit.records.iter().map(|record| record.id).collect());
            incoming.delivery.ack().await.unwrap();
        }
        // What follows the publish is done, too.
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    tokio::select! {
        () = supervised => {}
        () = all_pass => {}
        () = tokio::time::sleep(Duration::from_secs(600)) => {}
    }
    for unit in published {
        let note = stores.trials.trial(&format!("filter/{}", unit.id)).await;
        assert_eq!(note, Ok(None), "the note has outlived its unit");
    }
    let parked = stores
        .parked
        .list(&ParkedFilter::default(), None, 10)
        .await
        .unwrap();
    let parked = parked.into_iter().map(|parked| {
        assert_eq!(parked.kind, FailureKind::Poison);
        parked.id
    });
    let deaths = deadly.deaths.load(Ordering::SeqCst);
    (passed_on, parked.collect(), deaths)
}

fn ids(units: &[&[usize]]) -> BTreeSet<Vec<SalesforceId>> {
    let ids = |unit: &&[usize]| unit.iter().map(|n| id(*n)).collect();
    units.iter().map(ids).collect()
}

/// The first of a unit takes seven deaths: two beside others, three apart, two alone.
#[tokio::test(start_paused = true)]
async fn records_over_which_the_process_dies_park_alone() {
    for (over, others, deaths) in [
        (vec![3], vec![1, 2, 4, 5], 7),
        (vec![2, 4], vec![1, 3, 5], 9),
    ] {
        let deadly = Deadly {
            over: over.iter().map(|n| id(*n)).collect(),
            ..Deadly::default()
        };
        let (passed_on, parked, died) = survived(deadly, &[&[1, 2, 3, 4, 5]]).await;
        assert_eq!(passed_on, ids(&[&others]), "{over:?}");
        assert_eq!(parked, over.iter().map(|n| id(*n)).collect::<Vec<_>>());
        assert_eq!(died, deaths, "{over:?}");
    }
}

/// A process that is killed again and again, also while a record is tried alone, had nothing to do
/// with any record, unless it was the same one twice.
#[tokio::test(start_paused = true)]
async fn a_process_killed_by_chance_parks_nobody() {
    // Beside others, once more, three times apart; then over the second record alone, then over the first one.
    for alone in [vec![], vec![6], vec![6, 7], vec![6, 9], vec![7, 8]] {
        let killed = alone.len() + 5;
        let deadly = Deadly {
            by_chance: (0..5).chain(alone.clone()).collect(),
            ..Deadly::default()
        };
        let (passed_on, parked, deaths) = survived(deadly, &[&[1, 2, 3]]).await;
        assert_eq!((parked, deaths), (vec![], killed), "{alone:?}");
        assert_eq!(passed_on, ids(&[&[1, 2, 3]]), "{alone:?}");
    }
}

/// What it depends on was out of reach each time that the record was tried alone: it returned.
#[tokio::test(start_paused = true)]
async fn an_outage_while_a_record_is_tried_alone_is_no_death() {
    let deadly = Deadly {
        by_chance: (0..5).chain([6, 7, 9, 10]).collect(),
        outages: BTreeSet::from([5, 8]),
        ..Deadly::default()
    };
    let (passed_on, parked, deaths) = survived(deadly, &[&[1, 2, 3]]).await;
    assert_eq!((parked, deaths), (vec![], 9));
    assert_eq!(passed_on, ids(&[&[1, 2, 3]]));
}

/// Nor is one while the unit is handled apart as a whole: its records are not tried alone for it.
#[tokio::test(start_paused = true)]
async fn an_outage_while_a_unit_is_handled_apart_is_no_death() {
    let deadly = Deadly {
        by_chance: [0, 1, 3, 4, 6, 7].into(),
        outages: BTreeSet::from([2, 5, 8]),
        ..Deadly::default()
    };
    let (passed_on, ..) = survived(deadly, &[&[1, 2, 3]]).await;
    assert_eq!(passed_on, ids(&[&[1, 2, 3]]));
}

/// Whatever was in hand together comes under suspicion together, and is not tried together.
#[tokio::test(start_paused = true)]
async fn what_is_in_hand_beside_a_deadly_record_is_not_held_to_be_deadly() {
    let deadly = Deadly {
        over: BTreeSet::from([id(3)]),
        ..Deadly::default()
    };
    let (passed_on, parked, deaths) = survived(deadly, &[&[1, 2], &[3, 4]]).await;
    assert_eq!(passed_on, ids(&[&[1, 2], &[4]]));
    assert_eq!((parked, deaths), (vec![id(3)], 7));
}
