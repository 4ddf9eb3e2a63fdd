//! Tickets.

use std::time::Duration;

use domain::settings::SettingsRevision;

use super::{StoreHarness, at, revision, snapshot};
use crate::stores::StoreError;

/// Ticket times never go back, not over restarts and not between links.
pub async fn ticket_time_never_goes_back(harness: &dyn StoreHarness) {
    let mut before = None;
    for _ in 0..3 {
        let (one, other) = (harness.stores().await, harness.stores().await);
        for number in 0..50 {
            let stores = if number % 2 == 0 { &one } else { &other };
            let ticket = stores.ticket.take().await.expect("the clock goes on");
            if let Some(before) = before {
                assert!(ticket.version >= before, "{before} then {}", ticket.version);
            }
            before = Some(ticket.version);
        }
        harness.restart().await;
    }
}

/// A ticket names the rule revision and the permission snapshot in force.
pub async fn ticket_names_rules_and_permissions(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let ticket = stores.ticket.take().await.expect("a ticket");
    assert_eq!((ticket.rule_revision, ticket.snapshot), (0, 0));
    let disabled = revision(&SettingsRevision::initial(), |settings| {
        settings.disabled = true;
    });
    assert_eq!(stores.settings.save(&disabled, None).await, Ok(()));
    let ticket = stores.ticket.take().await.expect("a ticket");
    assert_eq!(ticket.rule_revision, 0, "the rules are the same");
    let closed = revision(&disabled, |settings| settings.sync_closed = true);
    assert_eq!(stores.settings.save(&closed, None).await, Ok(()));
    let stored = stores.permissions.store(&snapshot(1, at(1)), None).await;
    assert_eq!(stored, Ok(()));
    let ticket = stores.ticket.take().await.expect("a ticket");
    assert_eq!((ticket.rule_revision, ticket.snapshot), (1, 1));
}

/// A clock that stepped back is refused, by how much it did, until it has caught up; also by a
/// store that was restarted meanwhile. Only where the clock can be set.
pub async fn ticket_is_refused_when_the_clock_stepped_back(harness: &dyn StoreHarness) {
    const HOUR: Duration = Duration::from_secs(3600);
    let stores = harness.stores().await;
    let before = stores.ticket.take().await.expect("a ticket");
    if !harness.step_clock(-3_600_000_000) {
        return;
    }
    for _ in 0..2 {
        match harness.stores().await.ticket.take().await {
            Err(StoreError::ClockSteppedBack(by)) => {
                assert!(
                    (HOUR / 2..HOUR + Duration::from_secs(1)).contains(&by),
                    "{by:?}"
                );
            }
            other => panic!("an hour before the last ticket: {other:?}"),
        }
        harness.restart().await;
    }
    assert!(harness.step_clock(3_600_000_000));
    let after = harness.stores().await.ticket.take().await;
    assert!(after.expect("a ticket").version >= before.version);
}
