//! Settings.

use domain::job::{Job, JobId, JobKind, JobScope};
use domain::settings::SettingsRevision;

use super::{StoreHarness, at, revision};
use crate::stores::StoreError;

/// Settings are the initial ones before the first save, then what was saved, also after a restart.
/// Repeating a save whose answer was lost is no conflict.
pub async fn settings_are_initial_then_what_was_saved(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let initial = SettingsRevision::initial();
    assert_eq!(stores.settings.current().await, Ok(initial.clone()));
    let first = revision(&initial, |settings| settings.sync_closed = true);
    let second = revision(&first, |settings| settings.run_in_sandbox = true);
    for next in [&first, &second, &second] {
        assert_eq!(stores.settings.save(next, None).await, Ok(()));
    }
    harness.restart().await;
    let stores = harness.stores().await;
    assert_eq!(stores.settings.current().await, Ok(second));
}

/// A save and the backfill it causes are one step: both are there, or neither.
pub async fn settings_bring_their_backfill(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let initial = SettingsRevision::initial();
    let wider = revision(&initial, |settings| settings.sync_closed = true);
    let refused = revision(&wider, |settings| settings.sync_closed = false);
    let job = |name| {
        let id = JobId::new(JobKind::Backfill, domain::job::uuid_of(name));
        Job::queued(id, JobKind::Backfill, JobScope::Everything, at(7))
    };
    let (wanted, unwanted) = (job("wanted"), job("unwanted"));
    assert_eq!(
        stores.settings.save(&refused, Some(&unwanted)).await,
        Err(StoreError::Conflict { current: 0 })
    );
    assert_eq!(stores.settings.save(&wider, Some(&wanted)).await, Ok(()));
    assert_eq!(stores.jobs.get(&unwanted.id).await, Ok(None));
    assert_eq!(stores.jobs.get(&wanted.id).await, Ok(Some(wanted)));
}

/// Of two saves made from the same revision the second is refused, and changes nothing.
pub async fn settings_refuse_a_save_on_an_outdated_revision(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let initial = SettingsRevision::initial();
    let mine = revision(&initial, |settings| settings.sync_closed = true);
    let theirs = revision(&initial, |settings| settings.disabled = true);
    let ahead = revision(&theirs, |_| {});
    assert_eq!(
        stores.settings.save(&ahead, None).await,
        Err(StoreError::Conflict { current: 0 })
    );
    assert_eq!(stores.settings.save(&mine, None).await, Ok(()));
    assert_eq!(
        stores.settings.save(&theirs, None).await,
        Err(StoreError::Conflict { current: 1 })
    );
    assert_eq!(stores.settings.current().await, Ok(mine));
}
