//! A Salesforce that hangs when it is asked which org it is.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ports::Clock as _;
use ports::stores::{SILENT, WorkerState};

use super::bench::{Bench, started};

/// Nobody takes it for one that is gone, and no other takes its place.
#[tokio::test(start_paused = true)]
async fn a_listener_that_waits_for_the_org_is_heard_of_and_keeps_its_lease() {
    let bench = Bench::new(23, 0).await;
    bench.source.is_nameless.store(true, Ordering::SeqCst);
    let mut heard = bench.clock.now();
    let listener = started(bench.listener());
    for second in 1..=200 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let lease = &bench.stores.lease;
        let taken = lease.hold("listener", "another", Duration::from_secs(1));
        assert!(!taken.await.unwrap(), "after {second} s");
        let reports = bench.stores.reports.reports().await.unwrap();
        if let Some(report) = reports.get("listener") {
            assert!(matches!(report.state, WorkerState::Failing(_)));
            heard = report.at;
        }
        let silent = bench.clock.now().since(heard);
        assert!(silent < SILENT, "after {second} s: {silent:?}");
    }
    listener.abort();
}
