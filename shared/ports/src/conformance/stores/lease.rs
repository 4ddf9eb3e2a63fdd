//! Leases.

use std::time::Duration;

use super::StoreHarness;
use crate::conformance::until;

/// One holder at a time, who may renew and give back; nobody gives back another's lease.
pub async fn lease_has_one_holder(harness: &dyn StoreHarness) {
    const HOUR: Duration = Duration::from_secs(3600);
    let stores = harness.stores().await;
    let lease = &stores.lease;
    assert_eq!(lease.hold("listener", "a", HOUR).await, Ok(true));
    assert_eq!(lease.hold("listener", "b", HOUR).await, Ok(false));
    assert_eq!(lease.hold("listener", "a", HOUR).await, Ok(true));
    assert_eq!(lease.hold("scheduler", "b", HOUR).await, Ok(true));
    assert_eq!(lease.release("listener", "b").await, Ok(()));
    assert_eq!(lease.hold("listener", "b", HOUR).await, Ok(false));
    assert_eq!(lease.release("listener", "a").await, Ok(()));
    assert_eq!(lease.hold("listener", "b", HOUR).await, Ok(true));
    assert_eq!(lease.hold("listener", "a", HOUR).await, Ok(false));
}

/// A lease that is not renewed runs out by itself, and not before; a renewal sets its end anew.
pub async fn lease_runs_out(harness: &dyn StoreHarness) {
    const SHORT: Duration = Duration::from_millis(300);
    const HOUR: Duration = Duration::from_secs(3600);
    let stores = harness.stores().await;
    let lease = &stores.lease;
    assert_eq!(lease.hold("listener", "a", HOUR).await, Ok(true));
    assert_eq!(lease.hold("listener", "a", SHORT).await, Ok(true));
    until("another can have it", async || {
        lease.hold("listener", "b", HOUR).await == Ok(true)
    })
    .await;
    assert_eq!(lease.hold("listener", "a", HOUR).await, Ok(false));
}
