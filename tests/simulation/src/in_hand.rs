//! What a worker tells of units that it has handed back.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::unit::{Envelope, Lane, QueueName, Stage, UnitCopy};
use embedded::{Embedded, Location};
use ports::Clock;
use ports::stores::OLDEST;
use runtime::gate::{Gate, Gates};
use runtime::in_hand::InHand;
use runtime::worker::{Handler, Outage, Verdict, Worker};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::SimClock;
use crate::poison;

const GATE: &str = "mos";

/// Sends nothing more from the first unit on.
struct Away(Arc<Gates>);

#[async_trait]
impl Handler for Away {
    fn stage(&self) -> Stage {
        Stage::Load
    }

    fn gate(&self) -> watch::Receiver<Gate> {
        self.0.watch()
    }

    async fn handle(&self, _unit: Envelope, _copy: &UnitCopy) -> Result<Verdict, Outage> {
        self.0.close(GATE, "mOS does not answer");
        Err(Outage::Other("mOS does not answer".to_owned()))
    }
}

#[tokio::test(start_paused = true)]
async fn the_age_of_what_was_handed_back_is_told_until_it_must_have_gone_elsewhere() {
    let clock = SimClock::begin() as Arc<dyn Clock>;
    let embedded = Embedded::open(Location::Memory, Arc::clone(&clock)).unwrap();
    let queue = embedded.queue();
    let from = QueueName::new(Stage::Load, Lane::Live);
    let unit = poison::unit(&[poison::id(1)]);
    let published = unit.published.as_micros();
    runtime::worker::publish(&*queue, from, &unit)
        .await
        .unwrap();
    let (gates, in_hand) = (Arc::new(Gates::default()), InHand::default());
    let worker = Worker {
        queue: Arc::clone(&queue),
        stores: embedded.stores(),
        clock: Arc::clone(&clock),
        handler: Arc::new(Away(Arc::clone(&gates))),
        lane: Lane::Live,
        concurrency: 2,
        in_hand: in_hand.clone(),
        outages: runtime::outages::Outages::default(),
        apart: runtime::worker::Apart::default(),
    };
    let oldest = || in_hand.figures(clock.now()).get(OLDEST).copied();
    let test = async {
        let mut gate = gates.watch();
        gate.wait_for(|gate| *gate != Gate::Open).await.unwrap();
        tokio::time::sleep(Duration::from_secs(2 * 3_600)).await;
        assert_eq!(oldest(), Some(published));
        // Another process takes it, which nobody tells this one.
        let mut other = queue.subscribe(from, 1).await.unwrap();
        let incoming = other.next().await.unwrap();
        incoming.delivery.ack().await.unwrap();
        gates.open(GATE);
        tokio::time::sleep(Duration::from_secs(500)).await;
        assert_eq!(oldest(), Some(published));
        tokio::time::sleep(Duration::from_secs(200)).await;
        assert_eq!(oldest(), None);
    };
    tokio::select! {
        () = worker.run(CancellationToken::new()) => panic!("the worker ended"),
        () = test => {}
    }
}
