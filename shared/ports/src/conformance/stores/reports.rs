//! What the workers say of themselves.

use std::collections::BTreeMap;

use super::{StoreHarness, at};
use crate::stores::{Dependency, Report, WorkerState};

/// The last report of each worker, also after a restart.
pub async fn reports_are_replaced(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let report = |seconds, state| Report {
        at: at(seconds),
        state,
        figures: BTreeMap::from([("in_hand".to_owned(), -seconds)]),
        out_of_reach: (seconds == 3)
            .then_some(Dependency::Mos)
            .into_iter()
            .collect(),
    };
    let running = report(1, WorkerState::Running);
    let paused = report(2, WorkerState::Paused("mOS Sync is disabled".to_owned()));
    let failing = report(3, WorkerState::Failing("no answer".to_owned()));
    assert_eq!(stores.reports.reports().await, Ok(BTreeMap::new()));
    for (worker, report) in [
        ("filter", &running),
        ("loader", &running),
        ("loader", &paused),
        ("filter", &failing),
    ] {
        assert_eq!(stores.reports.report(worker, report).await, Ok(()));
    }
    harness.restart().await;
    let stores = harness.stores().await;
    let expected = BTreeMap::from([
        ("filter".to_owned(), failing),
        ("loader".to_owned(), paused),
    ]);
    assert_eq!(stores.reports.reports().await, Ok(expected));
}
