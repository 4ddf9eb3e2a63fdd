//! Settings.

use domain::job::{Job, JobId, JobKind, JobScope};
use domain::settings::{MOSYNC, SettingsRevision};

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

/// Every revision is found by its number and in the history, newest first, page by page.
pub async fn settings_remember_every_revision(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let initial = SettingsRevision::initial();
    assert_eq!(stores.settings.revision(0).await, Ok(Some(initial.clone())));
    assert_eq!(stores.settings.history(None, 5).await, Ok(Vec::new()));
    let mut saved = vec![initial];
    for round in 0..5 {
        let last = saved.last().expect("there is one");
        let next = revision(last, |settings| settings.disabled = round % 2 == 0);
        assert_eq!(stores.settings.save(&next, None).await, Ok(()));
        saved.push(next);
    }
    harness.restart().await;
    let stores = harness.stores().await;
    for revision in &saved {
        let found = stores.settings.revision(revision.revision).await;
        assert_eq!(found, Ok(Some(revision.clone())));
    }
    assert_eq!(stores.settings.revision(6).await, Ok(None));
    let newest_first = saved.iter().skip(1).rev().cloned().collect::<Vec<_>>();
    for (before, limit, from, to) in [
        (None, 9, 0, 5),
        (None, 2, 0, 2),
        (Some(4), 2, 2, 4),
        (Some(2), 2, 4, 5),
        (Some(1), 2, 5, 5),
        (Some(99), 1, 0, 1),
    ] {
        let page = stores.settings.history(before, limit).await;
        let wanted = newest_first.get(from..to).map(<[_]>::to_vec);
        assert_eq!(page.ok(), wanted, "{before:?} {limit}");
    }
}

/// What was kept elsewhere is put back with its numbers, in force and in the history, once or
/// twice; the next save goes on counting.
pub async fn settings_are_restored_with_their_numbers(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let first = revision(&SettingsRevision::initial(), |settings| {
        settings.sync_closed = true;
    });
    let second = revision(&first, |settings| settings.disabled = true);
    let third = revision(&second, |settings| settings.sync_closed = false);
    // The history may have holes.
    let kept = [first.clone(), third.clone()];
    assert_eq!(stores.settings.restore(&[]).await, Ok(()));
    for _ in 0..2 {
        assert_eq!(stores.settings.restore(&kept).await, Ok(()));
        assert_eq!(stores.settings.current().await, Ok(third.clone()));
    }
    let ticket = stores.ticket.take().await.expect("the store answers");
    assert_eq!(ticket.rule_revision, third.rule_revision);
    harness.restart().await;
    let stores = harness.stores().await;
    let newest_first = vec![third.clone(), first];
    assert_eq!(stores.settings.history(None, 9).await, Ok(newest_first));
    assert_eq!(stores.settings.revision(2).await, Ok(None));
    let next = revision(&third, |settings| settings.run_in_sandbox = true);
    assert_eq!(next.revision, 4);
    assert_eq!(stores.settings.save(&next, None).await, Ok(()));
}

/// A restore takes nothing from a person: it is refused once somebody has saved. What mosync
/// saved by itself gives way.
pub async fn settings_are_restored_only_where_nobody_saved(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let initial = SettingsRevision::initial();
    let mut pinned = revision(&initial, |settings| settings.run_in_sandbox = true);
    pinned.author = MOSYNC.to_owned();
    assert_eq!(stores.settings.save(&pinned, None).await, Ok(()));
    let kept = revision(&initial, |settings| settings.sync_closed = true);
    assert_eq!(
        stores.settings.restore(std::slice::from_ref(&kept)).await,
        Ok(())
    );
    assert_eq!(stores.settings.current().await, Ok(kept.clone()));
    assert_eq!(
        stores.settings.history(None, 9).await,
        Ok(vec![kept.clone()])
    );
    let other = revision(&initial, |settings| settings.disabled = true);
    assert_eq!(
        stores.settings.restore(&[other]).await,
        Err(StoreError::Conflict { current: 1 })
    );
    // A person's save stays one when mosync has saved after it.
    let mut later = revision(&kept, |settings| settings.run_in_sandbox = true);
    later.author = MOSYNC.to_owned();
    assert_eq!(stores.settings.save(&later, None).await, Ok(()));
    assert_eq!(
        stores.settings.restore(std::slice::from_ref(&pinned)).await,
        Err(StoreError::Conflict { current: 2 })
    );
    assert_eq!(stores.settings.current().await, Ok(later));
}
