//! I7: a record over which a worker fails parks alone; the others of its unit go on, and the unit
//! is counted.

use std::collections::BTreeSet;
use std::sync::Arc;
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
use tokio::sync::watch;
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
