//! A gate for each lane. Tokio's watch channel wakes those who wait for it in an order that it
//! draws itself, by no seed of ours: two lanes that wait for the same gate would make two runs of a
//! script part. Here the script draws the order in which they are told.

use std::sync::Arc;

use async_trait::async_trait;
use domain::unit::{Envelope, Stage, UnitCopy};
use runtime::gate::Gate;
use runtime::worker::{Handler, Outage, Verdict};
use tokio::sync::watch;

use crate::chance::Chance;

/// A stage as one of its lanes sees it.
struct Lane {
    stage: Arc<dyn Handler>,
    gate: watch::Receiver<Gate>,
}

#[async_trait]
impl Handler for Lane {
    fn stage(&self) -> Stage {
        self.stage.stage()
    }

    fn gate(&self) -> watch::Receiver<Gate> {
        self.gate.clone()
    }

    async fn handle(&self, unit: Envelope, copy: &UnitCopy) -> Result<Verdict, Outage> {
        self.stage.handle(unit, copy).await
    }
}

/// The stage for each of two lanes, and what tells them of its gate for as long as it runs.
pub(crate) fn of(
    stage: Arc<dyn Handler>,
    chance: Arc<Chance>,
) -> ([Arc<dyn Handler>; 2], impl Future<Output = ()>) {
    let mut gate = stage.gate();
    let tellers = [(); 2].map(|()| watch::Sender::new(gate.borrow_and_update().clone()));
    let lanes = tellers.each_ref().map(|teller| {
        Arc::new(Lane {
            stage: Arc::clone(&stage),
            gate: teller.subscribe(),
        }) as Arc<dyn Handler>
    });
    let telling = async move {
        let mut tellers = tellers;
        while gate.changed().await.is_ok() {
            let now = gate.borrow_and_update().clone();
            if chance.happens(0.5) {
                tellers.reverse();
            }
            for teller in &tellers {
                teller.send_replace(now.clone());
            }
        }
    };
    (lanes, telling)
}
