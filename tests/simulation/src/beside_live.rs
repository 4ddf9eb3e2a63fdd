//! A worker's bulk lane makes room while there are live units.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use domain::job::{JobId, JobKind};
use domain::unit::{Envelope, Lane, QueueName, Stage, UnitCopy};
use embedded::{Embedded, Location};
use ports::Clock;
use runtime::gate::{Gate, Gates};
use runtime::in_hand::InHand;
use runtime::worker::{Handler, Outage, Verdict, Worker};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::SimClock;
use crate::poison;

/// Units that are there, and how many the worker may have at a time.
const UNITS: u64 = 30;
const AT_A_TIME: u16 = 8;
const HANDLING: Duration = Duration::from_secs(10);

/// Takes its time over every unit, and knows how many it has had at a time.
struct Slow {
    gate: watch::Receiver<Gate>,
    now: AtomicUsize,
    most: AtomicUsize,
}

#[async_trait]
impl Handler for Slow {
    fn stage(&self) -> Stage {
        Stage::Load
    }

    fn gate(&self) -> watch::Receiver<Gate> {
        self.gate.clone()
    }

    async fn handle(&self, _unit: Envelope, _copy: &UnitCopy) -> Result<Verdict, Outage> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        tokio::time::sleep(HANDLING).await;
        self.now.fetch_sub(1, Ordering::SeqCst);
        Ok(Verdict::left_to_another())
    }
}

fn bulk_unit(index: u64) -> Envelope {
    let job = JobId::new(JobKind::SyncAll, uuid::Uuid::nil());
    Envelope {
        id: Envelope::id_of(&job, index),
        job,
        index,
        lane: Lane::Bulk,
        ..poison::unit(&[poison::id(1)])
    }
}

/// The most units of the bulk lane that are in hand at a time within half a second.
async fn most_at_a_time(is_live: bool) -> usize {
    let clock = SimClock::begin() as Arc<dyn Clock>;
    let embedded = Embedded::open(Location::Memory, Arc::clone(&clock)).unwrap();
    let queue = embedded.queue();
    let from = QueueName::new(Stage::Load, Lane::Bulk);
    for index in 0..UNITS {
        runtime::worker::publish(&*queue, from, &bulk_unit(index))
            .await
            .unwrap();
    }
    let gates = Gates::default();
    let handler = Arc::new(Slow {
        gate: gates.watch(),
        now: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
    });
    let in_hand = InHand::default();
    let worker = Worker {
        queue: Arc::clone(&queue),
        stores: embedded.stores(),
        clock: Arc::clone(&clock),
        handler: Arc::clone(&handler) as Arc<dyn Handler>,
        lane: Lane::Bulk,
        concurrency: AT_A_TIME,
        in_hand: in_hand.clone(),
        outages: runtime::outages::Outages::default(),
        apart: runtime::worker::Apart::default(),
    };
    let _live = is_live.then(|| in_hand.take(&poison::unit(&[poison::id(2)]), &clock));
    let stop = CancellationToken::new();
    tokio::select! {
        () = worker.run(stop) => {}
        () = tokio::time::sleep(HANDLING / 20) => {}
    }
    handler.most.load(Ordering::SeqCst)
}

#[tokio::test(start_paused = true)]
async fn the_bulk_lane_leaves_a_worker_to_live_units() {
    assert_eq!(most_at_a_time(false).await, usize::from(AT_A_TIME));
    assert_eq!(most_at_a_time(true).await, 2);
}
