//! What [`crate::stores`] promises, a function for each promise.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::failure::{FailureKind, retry_delay};
use domain::filter::FieldTypes;
use domain::job::{Job, JobId, JobKind, JobScope, MosStatus, Progress, SalesforceStatus};
use domain::parked::Parked;
use domain::permission::{Grant, PermissionSnapshot};
use domain::settings::{Settings, SettingsRevision};
use domain::tally::{Count, Tally};
use domain::unit::Stage;
use domain::{ObjectKind, SalesforceId, Timestamp, Version};
use tokio::task::JoinSet;

pub use super::polls::poll_state_is_replaced_and_kept;
use super::until;
use crate::source::ReplayId;
use crate::stores::{
    Gap, GapCause, LogEntry, LogLevel, Report, StoreError, Stores, StreamState, WorkerState,
};

/// A store of its own for each promise, empty.
#[async_trait]
pub trait StoreHarness: Send + Sync {
    /// A fresh link to the store.
    async fn stores(&self) -> Stores;
    /// Stops the store and starts it again; what is durable stays.
    async fn restart(&self);
    /// Sets the store's clock forward by that many microseconds, or back by a negative number;
    /// `false` where nobody can.
    fn step_clock(&self, by_micros: i64) -> bool;
}

/// Expands to one test for each promise; the expression makes a [`StoreHarness`] and may await.
#[macro_export]
macro_rules! store_conformance {
    ($harness:expr) => {
        $crate::store_conformance!(@ $harness;
            position_is_replaced_and_kept
            poll_state_is_replaced_and_kept
            gap_opens_once_together_with_its_job
            gap_closes_once
            gaps_are_listed_oldest_first
            ticket_time_never_goes_back
            ticket_names_rules_and_permissions
            ticket_is_refused_when_the_clock_stepped_back
            settings_are_initial_then_what_was_saved
            settings_bring_their_backfill
            settings_refuse_a_save_on_an_outdated_revision
            permissions_are_empty_then_what_was_stored
            permissions_and_their_backfill_are_one_step
            permissions_keep_the_last_hundred
            permissions_remember_the_newest_poll
            job_is_created_once
            job_moves_only_forwards
            job_reader_goes_on_where_it_was
            jobs_are_listed_newest_first
            jobs_unfinished_are_those_not_over
            live_units_are_numbered_densely
            live_unit_in_doubt_is_abandoned_alone
            live_unit_abandoned_may_still_be_counted
            live_units_confirmed_or_counted_are_not_abandoned
            unit_is_counted_once
            unit_of_an_unknown_job_is_counted
            parked_entry_keeps_since_and_retries
            parked_entry_is_not_replaced_by_an_older_one
            parked_entries_leave_when_accepted
            parked_children_are_released_once
            parked_entries_are_cleared
            parked_entries_are_listed_in_pages
            parked_entries_are_counted_by_reason
            parked_entries_are_taken_up_when_due_by_one
            last_words_overtake_older_rows
            last_words_keep_the_highest_version
            last_words_are_forgotten_after_a_day
            log_answers_the_newest_first
            lease_has_one_holder
            lease_runs_out
            reports_are_replaced
        );
    };
    (@ $harness:expr; $($promise:ident)*) => {
        $(
            #[tokio::test]
            async fn $promise() {
                let harness = $harness;
                $crate::conformance::stores::$promise(&harness).await;
            }
        )*
    };
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(1_790_000_000_000_000 + seconds * 1_000_000 + 123)
}

fn id(object: ObjectKind, number: u32) -> SalesforceId {
    SalesforceId::parse(&format!("{}0000000{number:05}", object.key_prefix()))
        .expect("fifteen letters and digits")
}

fn job_id(kind: JobKind, name: &str) -> JobId {
    JobId::of(&format!("{}-{name}", kind.name()))
}

fn job(name: &str, requested: Timestamp) -> Job {
    let kind = JobKind::Backfill;
    let owners = BTreeSet::from([id(ObjectKind::User, 1), id(ObjectKind::User, 2)]);
    Job::queued(
        job_id(kind, name),
        kind,
        JobScope::Owners {
            owners,
            since: at(1),
        },
        requested,
    )
}

fn tally(records: u64) -> Tally {
    let mut tally = Tally::default();
    tally.add_many(ObjectKind::Opportunity, Count::Read, records);
    tally.add_many(ObjectKind::Opportunity, Count::Created, records);
    tally
}

async fn get(stores: &Stores, id: &JobId) -> Job {
    let found = stores.jobs.get(id).await.expect("the store answers");
    found.expect("the job is there")
}

fn ids(jobs: &[Job]) -> Vec<&str> {
    jobs.iter().map(|job| job.id.as_str()).collect()
}

/// A position is `None` before it is stored, then what was stored last, each channel its own, also
/// after a restart.
pub async fn position_is_replaced_and_kept(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    assert_eq!(stores.position.stream("/data/A").await, Ok(None));
    let first = StreamState {
        position: ReplayId(vec![0, 1, 255]),
        at_end: false,
        heard: at(1),
        last_event: None,
    };
    let second = StreamState {
        position: ReplayId(vec![0, 2, 0]),
        at_end: true,
        heard: at(2),
        last_event: Some(at(2)),
    };
    for state in [&first, &second] {
        let stored = stores.position.store_stream("/data/A", state).await;
        assert_eq!(stored, Ok(()));
    }
    let stored = stores.position.store_stream("/data/B", &first).await;
    assert_eq!(stored, Ok(()));
    harness.restart().await;
    let stores = harness.stores().await;
    assert_eq!(stores.position.stream("/data/A").await, Ok(Some(second)));
    assert_eq!(stores.position.stream("/data/B").await, Ok(Some(first)));
    assert_eq!(stores.position.stream("/data/C").await, Ok(None));
}

fn gap(name: &str, opened: Timestamp, job: &Job) -> Gap {
    Gap {
        id: name.to_owned(),
        cause: GapCause::Overflow,
        since: at(-60),
        opened,
        evidence: "event 17".to_owned(),
        job: job.id.clone(),
        closed: None,
    }
}

/// Noticing a gap twice opens one gap and creates one job, both or neither.
pub async fn gap_opens_once_together_with_its_job(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let (job, other) = (job("one", at(1)), job("two", at(2)));
    let gap_one = gap("gap", at(1), &job);
    let opened = stores.position.open_gap(&gap_one, &job).await;
    assert_eq!(opened, Ok(()));
    let again = stores
        .position
        .open_gap(&gap("gap", at(2), &other), &other)
        .await;
    assert_eq!(again, Ok(()));
    harness.restart().await;
    let stores = harness.stores().await;
    assert_eq!(stores.position.gaps().await, Ok(vec![gap_one]));
    assert_eq!(stores.jobs.list(10).await, Ok(vec![job]));
}

/// The first close stands; an unknown gap is no error.
pub async fn gap_closes_once(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let job = job("one", at(1));
    let open = gap("gap", at(1), &job);
    assert_eq!(stores.position.open_gap(&open, &job).await, Ok(()));
    for (name, when) in [("gap", at(5)), ("gap", at(9)), ("unknown", at(5))] {
        assert_eq!(stores.position.close_gap(name, when).await, Ok(()));
    }
    let mut expected = gap("gap", at(1), &job);
    expected.closed = Some(at(5));
    assert_eq!(stores.position.gaps().await, Ok(vec![expected]));
}

/// Oldest first, by the time they were opened.
pub async fn gaps_are_listed_oldest_first(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    for (name, opened) in [("b", at(2)), ("c", at(3)), ("a", at(1))] {
        let job = job(name, opened);
        let gap = gap(name, opened, &job);
        assert_eq!(stores.position.open_gap(&gap, &job).await, Ok(()));
    }
    let gaps = stores.position.gaps().await.expect("the store answers");
    let names: Vec<_> = gaps.iter().map(|gap| gap.id.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
}

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

fn revision(before: &SettingsRevision, change: impl FnOnce(&mut Settings)) -> SettingsRevision {
    let mut settings = before.settings.clone();
    change(&mut settings);
    before.next(settings, FieldTypes::new(), "ada@example.com", at(7))
}

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

fn snapshot(number: u64, taken: Timestamp) -> PermissionSnapshot {
    let grant = Grant {
        permission_set: "mOS_User".to_owned(),
        group: Some("Sales".to_owned()),
        expires: Some(at(99)),
    };
    PermissionSnapshot {
        number,
        taken,
        holders: BTreeMap::from([(id(ObjectKind::User, 1), BTreeSet::from([grant]))]),
    }
}

/// The empty snapshot 0 before the first poll, then what was stored, also after a restart.
/// Repeating a step whose answer was lost is no conflict.
pub async fn permissions_are_empty_then_what_was_stored(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let empty = PermissionSnapshot::default();
    assert_eq!(stores.permissions.latest().await, Ok(empty));
    assert_eq!(stores.permissions.snapshot(1).await, Ok(None));
    let (first, second) = (snapshot(1, at(1)), snapshot(2, at(2)));
    for next in [&first, &second, &second] {
        assert_eq!(stores.permissions.store(next, None).await, Ok(()));
    }
    harness.restart().await;
    let stores = harness.stores().await;
    assert_eq!(stores.permissions.latest().await, Ok(second.clone()));
    assert_eq!(stores.permissions.snapshot(1).await, Ok(Some(first)));
    assert_eq!(stores.permissions.snapshot(2).await, Ok(Some(second)));
    assert_eq!(stores.permissions.snapshot(3).await, Ok(None));
}

/// A snapshot and its backfill are stored both or neither: of two pollers one is refused, with its
/// backfill.
pub async fn permissions_and_their_backfill_are_one_step(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let (mine, theirs) = (job("mine", at(1)), job("theirs", at(2)));
    let first = snapshot(1, at(1));
    let stored = stores.permissions.store(&first, Some(&mine)).await;
    assert_eq!(stored, Ok(()));
    let refused = stores
        .permissions
        .store(&snapshot(1, at(2)), Some(&theirs))
        .await;
    assert_eq!(refused, Err(StoreError::Conflict { current: 1 }));
    let refused = stores
        .permissions
        .store(&snapshot(3, at(2)), Some(&theirs))
        .await;
    assert_eq!(refused, Err(StoreError::Conflict { current: 1 }));
    assert_eq!(stores.permissions.latest().await, Ok(first));
    assert_eq!(stores.jobs.list(10).await, Ok(vec![mine]));
}

/// The last hundred snapshots can still be asked for.
pub async fn permissions_keep_the_last_hundred(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    for number in 1..=101 {
        let next = snapshot(number, at(1));
        assert_eq!(stores.permissions.store(&next, None).await, Ok(()));
    }
    assert_eq!(stores.permissions.snapshot(1).await, Ok(None));
    let oldest = stores.permissions.snapshot(2).await;
    assert_eq!(oldest, Ok(Some(snapshot(2, at(1)))));
}

/// The newest poll is remembered, whether or not it found something, and never an older one.
pub async fn permissions_remember_the_newest_poll(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    assert_eq!(stores.permissions.last_poll().await, Ok(None));
    let stored = stores.permissions.store(&snapshot(1, at(5)), None).await;
    assert_eq!(stored, Ok(()));
    assert_eq!(stores.permissions.last_poll().await, Ok(Some(at(5))));
    for begun in [at(9), at(7)] {
        assert_eq!(stores.permissions.mark_polled(begun).await, Ok(()));
    }
    assert_eq!(stores.permissions.last_poll().await, Ok(Some(at(9))));
}

/// The first job of an id stands, whole, also after a restart.
pub async fn job_is_created_once(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let mut full = job("one", at(1));
    full.started = Some(at(2));
    full.sealed = Some(at(3));
    full.salesforce = SalesforceStatus::Sealed;
    full.progress = Progress {
        after: Some(id(ObjectKind::Opportunity, 7)),
        next_index: 4,
    };
    full.units = 4;
    full.counted = 2;
    full.abandoned = 1;
    full.last_counted = Some(at(4));
    full.tally = tally(17);
    full.error = Some("none yet".to_owned());
    assert_eq!(stores.jobs.get(&full.id).await, Ok(None));
    assert_eq!(stores.jobs.create(&full).await, Ok(()));
    assert_eq!(stores.jobs.create(&job("one", at(9))).await, Ok(()));
    harness.restart().await;
    let stores = harness.stores().await;
    assert_eq!(get(&stores, &full.id).await, full);
    let mut everything = full.clone();
    everything.id = job_id(JobKind::SyncAll, "all");
    everything.kind = JobKind::SyncAll;
    for scope in [
        JobScope::Everything,
        JobScope::Since { since: at(0) },
        JobScope::Records {
            records: BTreeSet::from([(ObjectKind::Account, id(ObjectKind::Account, 1))]),
        },
    ] {
        everything.id = JobId::of(&format!("{}+", everything.id));
        everything.scope = scope;
        assert_eq!(stores.jobs.create(&everything).await, Ok(()));
        assert_eq!(get(&stores, &everything.id).await, everything);
    }
}

/// Queued, extracting, then sealed or failed; never back, never from one end to the other.
pub async fn job_moves_only_forwards(harness: &dyn StoreHarness) {
    use SalesforceStatus::{Extracting, Failed, Queued, Sealed};
    let stores = harness.stores().await;
    let jobs = &stores.jobs;
    let (good, bad) = (job("good", at(1)), job("bad", at(1)));
    for job in [&good, &bad] {
        assert_eq!(jobs.create(job).await, Ok(()));
    }
    let unknown = job_id(JobKind::Backfill, "unknown");
    assert_eq!(
        jobs.set_salesforce(&unknown, Extracting, at(2), None).await,
        Ok(())
    );
    assert_eq!(jobs.get(&unknown).await, Ok(None));
    for (status, when) in [(Extracting, at(2)), (Extracting, at(3)), (Queued, at(4))] {
        let set = jobs.set_salesforce(&good.id, status, when, None).await;
        assert_eq!(set, Ok(()));
    }
    let extracting = get(&stores, &good.id).await;
    assert_eq!(extracting.salesforce, Extracting);
    assert_eq!(extracting.started, Some(at(2)));
    assert_eq!(extracting.sealed, None);
    for (status, when, error) in [
        (Sealed, at(5), None),
        (Extracting, at(6), None),
        (Failed, at(7), Some("too late")),
        (Sealed, at(8), None),
    ] {
        let set = jobs.set_salesforce(&good.id, status, when, error).await;
        assert_eq!(set, Ok(()));
    }
    let sealed = get(&stores, &good.id).await;
    assert_eq!(sealed.salesforce, Sealed);
    assert_eq!(sealed.started, Some(at(2)));
    assert_eq!(sealed.sealed, Some(at(5)));
    assert_eq!(sealed.error, None);
    for (status, error) in [(Failed, Some("no access")), (Sealed, None)] {
        let set = jobs.set_salesforce(&bad.id, status, at(5), error).await;
        assert_eq!(set, Ok(()));
    }
    let failed = get(&stores, &bad.id).await;
    assert_eq!(failed.salesforce, Failed);
    assert_eq!(failed.sealed, None);
    assert_eq!(failed.error.as_deref(), Some("no access"));
    assert_eq!(failed.mos(), MosStatus::Failed);
}

/// The reader's progress is kept, and every unit below its next index is published.
pub async fn job_reader_goes_on_where_it_was(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let job = job("one", at(1));
    assert_eq!(stores.jobs.create(&job).await, Ok(()));
    let mut progress = Progress::default();
    for number in [3, 8] {
        progress = Progress {
            after: Some(id(ObjectKind::Opportunity, number)),
            next_index: u64::from(number),
        };
        let advanced = stores.jobs.advance(&job.id, &progress, at(2)).await;
        assert_eq!(advanced, Ok(()));
    }
    harness.restart().await;
    let found = get(&harness.stores().await, &job.id).await;
    assert_eq!(found.progress, progress);
    assert_eq!(found.units, 8);
}

/// Newest first by the time they were requested, as many as asked for.
pub async fn jobs_are_listed_newest_first(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    for (name, requested) in [("b", at(2)), ("c", at(3)), ("a", at(1))] {
        assert_eq!(stores.jobs.create(&job(name, requested)).await, Ok(()));
    }
    let all = stores.jobs.list(10).await.expect("the store answers");
    assert_eq!(ids(&all), ["backfill-c", "backfill-b", "backfill-a"]);
    let two = stores.jobs.list(2).await.expect("the store answers");
    assert_eq!(ids(&two), ["backfill-c", "backfill-b"]);
}

/// Unfinished is what is not over, oldest first; the last unit's count ends a sealed job.
pub async fn jobs_unfinished_are_those_not_over(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let jobs = &stores.jobs;
    for (name, requested) in [("sealed", at(3)), ("failed", at(2)), ("queued", at(1))] {
        assert_eq!(jobs.create(&job(name, requested)).await, Ok(()));
    }
    let sealed = job_id(JobKind::Backfill, "sealed");
    let failed = job_id(JobKind::Backfill, "failed");
    let progress = Progress {
        after: None,
        next_index: 2,
    };
    assert_eq!(jobs.advance(&sealed, &progress, at(4)).await, Ok(()));
    for (id, status) in [
        (&sealed, SalesforceStatus::Sealed),
        (&failed, SalesforceStatus::Failed),
    ] {
        assert_eq!(jobs.set_salesforce(id, status, at(5), None).await, Ok(()));
    }
    let unfinished = async || jobs.unfinished().await.expect("the store answers");
    assert_eq!(
        ids(&unfinished().await),
        ["backfill-queued", "backfill-sealed"]
    );
    assert_eq!(jobs.count(&sealed, 0, &tally(1), at(6)).await, Ok(true));
    assert_eq!(jobs.count(&sealed, 0, &tally(1), at(6)).await, Ok(false));
    assert_eq!(
        ids(&unfinished().await),
        ["backfill-queued", "backfill-sealed"]
    );
    assert_eq!(jobs.count(&sealed, 1, &tally(1), at(7)).await, Ok(true));
    assert_eq!(ids(&unfinished().await), ["backfill-queued"]);
    assert_eq!(get(&stores, &sealed).await.mos(), MosStatus::Completed);
}

/// Live units get 0, 1, 2, ...; the first creates the job, which is extracting from then on.
pub async fn live_units_are_numbered_densely(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let (hour, next) = (JobId::live(at(0)), JobId::live(at(7200)));
    for index in 0..3 {
        let when = at(i64::try_from(index).unwrap_or_default());
        assert_eq!(stores.jobs.open_live_unit(&hour, when).await, Ok(index));
    }
    assert_eq!(stores.jobs.open_live_unit(&next, at(7200)).await, Ok(0));
    harness.restart().await;
    let stores = harness.stores().await;
    assert_eq!(stores.jobs.open_live_unit(&hour, at(9)).await, Ok(3));
    let job = get(&stores, &hour).await;
    assert_eq!(job.kind, JobKind::Live);
    assert_eq!(job.scope, JobScope::Stream);
    assert_eq!(job.requested, at(0));
    assert_eq!(job.started, Some(at(0)));
    assert_eq!(job.salesforce, SalesforceStatus::Extracting);
    assert_eq!(job.units, 4);
    assert_eq!(job.pending(), 4);
}

async fn live(stores: &Stores, id: &JobId) -> (u64, u64, u64, u64) {
    let job = get(stores, id).await;
    (job.units, job.counted, job.abandoned, job.pending())
}

/// A new listener does not wait for the unit that the old one opened last, whatever its hour, and
/// for no other: the ones before are confirmed. Repeating it, also over a restart, gives up no
/// more; other kinds of job give nothing up.
pub async fn live_unit_in_doubt_is_abandoned_alone(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let jobs = &stores.jobs;
    assert_eq!(jobs.abandon_live_units().await, Ok(()));
    let (hour, next) = (JobId::live(at(0)), JobId::live(at(7200)));
    let other = job("one", at(0));
    assert_eq!(jobs.create(&other).await, Ok(()));
    let progress = Progress {
        after: None,
        next_index: 5,
    };
    assert_eq!(jobs.advance(&other.id, &progress, at(1)).await, Ok(()));
    for index in 0..3 {
        assert_eq!(jobs.open_live_unit(&hour, at(0)).await, Ok(index));
    }
    assert_eq!(jobs.open_live_unit(&next, at(7200)).await, Ok(0));
    assert_eq!(jobs.open_live_unit(&next, at(7201)).await, Ok(1));
    harness.restart().await;
    let stores = harness.stores().await;
    let jobs = &stores.jobs;
    assert_eq!(jobs.abandon_live_units().await, Ok(()));
    assert_eq!(live(&stores, &hour).await, (3, 0, 0, 3));
    assert_eq!(live(&stores, &next).await, (2, 0, 1, 1));
    harness.restart().await;
    let stores = harness.stores().await;
    let jobs = &stores.jobs;
    assert_eq!(jobs.abandon_live_units().await, Ok(()));
    assert_eq!(live(&stores, &hour).await, (3, 0, 0, 3));
    assert_eq!(live(&stores, &next).await, (2, 0, 1, 1));
    assert_eq!(get(&stores, &other.id).await.pending(), 5);
    // What was given up is all that the hour waited for.
    assert_eq!(jobs.count(&next, 0, &tally(1), at(7202)).await, Ok(true));
    assert_eq!(live(&stores, &next).await, (2, 1, 1, 0));
}

/// Once its count arrives, an abandoned unit is one like any other; no other unit's count takes it
/// back, and its own does so once.
pub async fn live_unit_abandoned_may_still_be_counted(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let jobs = &stores.jobs;
    let hour = JobId::live(at(0));
    for last in [1, 3] {
        for index in [last - 1, last] {
            assert_eq!(jobs.open_live_unit(&hour, at(0)).await, Ok(index));
        }
        assert_eq!(jobs.abandon_live_units().await, Ok(()));
    }
    assert_eq!(live(&stores, &hour).await, (4, 0, 2, 2));
    // Those below and between are counted as they always were.
    for index in [2, 0] {
        assert_eq!(jobs.count(&hour, index, &tally(1), at(1)).await, Ok(true));
    }
    assert_eq!(live(&stores, &hour).await, (4, 2, 2, 0));
    harness.restart().await;
    let stores = harness.stores().await;
    let jobs = &stores.jobs;
    for new in [true, false] {
        assert_eq!(jobs.count(&hour, 1, &tally(1), at(2)).await, Ok(new));
        assert_eq!(live(&stores, &hour).await, (4, 3, 1, 0));
    }
    // The new listener's units are waited for.
    assert_eq!(jobs.open_live_unit(&hour, at(3)).await, Ok(4));
    assert_eq!(live(&stores, &hour).await, (5, 3, 1, 1));
    assert_eq!(jobs.count(&hour, 4, &tally(1), at(3)).await, Ok(true));
    assert_eq!(jobs.count(&hour, 3, &tally(1), at(4)).await, Ok(true));
    assert_eq!(live(&stores, &hour).await, (5, 5, 0, 0));
}

/// A unit that is confirmed, or has been counted, is given up by nobody; a unit that is opened
/// after a confirmation is in doubt again.
pub async fn live_units_confirmed_or_counted_are_not_abandoned(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let jobs = &stores.jobs;
    let hour = JobId::live(at(0));
    assert_eq!(jobs.confirm_live_units().await, Ok(()));
    assert_eq!(jobs.open_live_unit(&hour, at(0)).await, Ok(0));
    for _ in 0..2 {
        assert_eq!(jobs.confirm_live_units().await, Ok(()));
    }
    assert_eq!(jobs.abandon_live_units().await, Ok(()));
    assert_eq!(live(&stores, &hour).await, (1, 0, 0, 1));
    assert_eq!(jobs.open_live_unit(&hour, at(1)).await, Ok(1));
    assert_eq!(jobs.count(&hour, 1, &tally(1), at(1)).await, Ok(true));
    assert_eq!(jobs.abandon_live_units().await, Ok(()));
    assert_eq!(live(&stores, &hour).await, (2, 1, 0, 1));
    assert_eq!(jobs.open_live_unit(&hour, at(2)).await, Ok(2));
    assert_eq!(jobs.abandon_live_units().await, Ok(()));
    assert_eq!(live(&stores, &hour).await, (3, 1, 1, 1));
}

/// Whoever counts a unit first counts it, whatever the others say at the same time, also over a
/// restart.
pub async fn unit_is_counted_once(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let job = job("one", at(1));
    assert_eq!(stores.jobs.create(&job).await, Ok(()));
    let mut counting = JoinSet::new();
    for copy in 0..4 {
        for index in 0..10 {
            let (jobs, id) = (Arc::clone(&stores.jobs), job.id.clone());
            counting
                .spawn(async move { jobs.count(&id, index, &tally(index + 1), at(copy)).await });
        }
    }
    let counted = counting.join_all().await;
    let first = counted.iter().filter(|counted| **counted == Ok(true));
    assert_eq!(first.count(), 10);
    assert!(counted.iter().all(Result::is_ok));
    harness.restart().await;
    let stores = harness.stores().await;
    let again = stores.jobs.count(&job.id, 3, &tally(4), at(9)).await;
    assert_eq!(again, Ok(false));
    let found = get(&stores, &job.id).await;
    assert_eq!(found.counted, 10);
    assert_eq!(found.tally, tally(55));
    let one = tally(1);
    let far = stores.jobs.count(&job.id, 1_000_000, &one, at(10)).await;
    assert_eq!(far, Ok(true));
    assert_eq!(get(&stores, &job.id).await.last_counted, Some(at(10)));
}

/// Units whose job's history was lost are counted all the same, under a job of their kind.
pub async fn unit_of_an_unknown_job_is_counted(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    for kind in [
        JobKind::SyncAll,
        JobKind::Backfill,
        JobKind::CatchUp,
        JobKind::Retry,
        JobKind::Live,
    ] {
        let id = job_id(kind, "lost");
        for (new, index) in [(true, 7), (false, 7), (true, 8)] {
            let counted = stores.jobs.count(&id, index, &tally(1), at(1)).await;
            assert_eq!(counted, Ok(new));
        }
        let job = get(&stores, &id).await;
        assert_eq!(job.kind, kind);
        assert_eq!(job.counted, 2);
        assert_eq!(job.tally, tally(2));
    }
}

fn parked(object: ObjectKind, number: u32) -> Parked {
    Parked {
        object,
        id: id(object, number),
        stage: Stage::Load,
        kind: FailureKind::InvalidField,
        message: "the \"amount\" is no number".to_owned(),
        parent: None,
        rule_revision: 3,
        version: Version::at(at(5)),
        since: at(0),
        retries: 0,
        retry_at: None,
    }
}

fn key(record: &Parked) -> (ObjectKind, SalesforceId) {
    (record.object, record.id)
}

/// One entry per record; a replacement keeps since when and how often, and replaces the rest.
pub async fn parked_entry_keeps_since_and_retries(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let mut first = parked(ObjectKind::Account, 1);
    first.retries = 4;
    assert_eq!(stores.parked.park(&[first.clone()]).await, Ok(()));
    let mut second = first.clone();
    second.kind = FailureKind::RetryLater;
    second.message = "busy".to_owned();
    second.version = Version::at(at(6));
    second.since = at(50);
    second.retries = 0;
    second.retry_at = Some(at(60));
    assert_eq!(stores.parked.park(&[second.clone()]).await, Ok(()));
    harness.restart().await;
    let stores = harness.stores().await;
    second.since = first.since;
    second.retries = first.retries;
    assert_eq!(stores.parked.list(None, 10).await, Ok(vec![second]));
}

async fn parked_ids(stores: &Stores) -> Vec<(ObjectKind, SalesforceId)> {
    let list = stores.parked.list(None, 100).await;
    list.expect("the store answers").iter().map(key).collect()
}

/// What failed with an older row does not replace what failed with a newer one; of the same
/// version the last one stands.
pub async fn parked_entry_is_not_replaced_by_an_older_one(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let newer = parked(ObjectKind::Account, 1);
    let mut older = newer.clone();
    older.version = Version::at(Timestamp::from_micros(at(5).as_micros() - 1));
    older.kind = FailureKind::RetryLater;
    older.parent = Some((ObjectKind::User, id(ObjectKind::User, 1)));
    older.retry_at = Some(at(6));
    // In one call the order of the entries makes no difference either.
    for records in [
        &[newer.clone(), older.clone()],
        &[older.clone(), newer.clone()],
    ] {
        assert_eq!(stores.parked.park(records).await, Ok(()));
        assert_eq!(stores.parked.park(&[older.clone()]).await, Ok(()));
        let list = stores.parked.list(None, 10).await;
        assert_eq!(list, Ok(vec![newer.clone()]));
    }
    let counts = BTreeMap::from([(newer.kind, 1)]);
    assert_eq!(stores.parked.counts().await, Ok(counts));
    assert_eq!(stores.parked.take_due(at(7), 10).await, Ok(vec![]));
    let user = (ObjectKind::User, id(ObjectKind::User, 1));
    let accepted = stores.parked.accepted(&[user], older.version, at(7)).await;
    assert_eq!(accepted, Ok(0));
    let mut same = older;
    same.version = newer.version;
    assert_eq!(stores.parked.park(&[same.clone()]).await, Ok(()));
    assert_eq!(stores.parked.list(None, 10).await, Ok(vec![same]));
}

/// An acceptance clears the record's entry, unless it failed with a newer row than was accepted.
pub async fn parked_entries_leave_when_accepted(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let (mut older, same, mut newer, other) = (
        parked(ObjectKind::Account, 1),
        parked(ObjectKind::Account, 2),
        parked(ObjectKind::Account, 3),
        parked(ObjectKind::Account, 4),
    );
    older.version = Version::at(at(4));
    newer.version = Version::at(Timestamp::from_micros(at(5).as_micros() + 1));
    let all = [older.clone(), same.clone(), newer.clone(), other.clone()];
    assert_eq!(stores.parked.park(&all).await, Ok(()));
    let unknown = (ObjectKind::User, id(ObjectKind::User, 9));
    let records = [unknown, key(&older), key(&same), key(&newer)];
    for _ in 0..2 {
        let accepted = stores.parked.accepted(&records, same.version, at(9)).await;
        assert_eq!(accepted, Ok(0), "nobody waits for them");
        let list = stores.parked.list(None, 10).await;
        assert_eq!(list, Ok(vec![newer.clone(), other.clone()]));
    }
    let accepted = stores.parked.accepted(&records, newer.version, at(9)).await;
    assert_eq!(accepted, Ok(0));
    assert_eq!(parked_ids(&stores).await, [key(&other)]);
}

/// Whoever waits for an accepted record, of whatever version, waits no longer: it is due, and
/// taken up once. It stays until it is accepted itself.
pub async fn parked_children_are_released_once(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let account = parked(ObjectKind::Account, 1);
    let mut contact = parked(ObjectKind::Contact, 1);
    contact.parent = Some(key(&account));
    contact.version = Version::at(at(30));
    let mut deal = parked(ObjectKind::Opportunity, 1);
    deal.parent = Some(key(&account));
    deal.retry_at = Some(at(9000));
    deal.retries = domain::failure::MAX_RETRIES_BY_ITSELF;
    let mut other = parked(ObjectKind::Opportunity, 2);
    other.parent = Some((ObjectKind::Account, id(ObjectKind::Account, 2)));
    let mut role = parked(ObjectKind::OpportunityContactRole, 1);
    role.parent = Some(key(&account));
    let all = [
        account.clone(),
        contact.clone(),
        deal.clone(),
        other.clone(),
        role.clone(),
    ];
    assert_eq!(stores.parked.park(&all).await, Ok(()));
    // One that waits for another parent by now, and one accepted together with its parent, are
    // not released.
    role.parent = other.parent;
    assert_eq!(stores.parked.park(&[role.clone()]).await, Ok(()));
    let mut together = parked(ObjectKind::Contact, 2);
    together.parent = Some(key(&account));
    assert_eq!(stores.parked.park(&[together.clone()]).await, Ok(()));
    let accepted = async |records: &[(ObjectKind, SalesforceId)], now| {
        let version = account.version;
        stores.parked.accepted(records, version, now).await
    };
    let both = [key(&account), key(&together)];
    assert_eq!(accepted(&both, at(20)).await, Ok(2));
    contact.parent = None;
    contact.retry_at = Some(at(20));
    deal.parent = None;
    deal.retry_at = Some(at(20));
    let list = stores.parked.list(None, 10).await;
    let expected = vec![contact.clone(), deal.clone(), other.clone(), role.clone()];
    assert_eq!(list, Ok(expected));
    assert_eq!(accepted(&both, at(21)).await, Ok(0));
    assert_eq!(stores.parked.take_due(at(19), 10).await, Ok(vec![]));
    let mut taken = stores
        .parked
        .take_due(at(20), 10)
        .await
        .expect("the store answers");
    taken.sort_by_key(key);
    contact.retries = 1;
    contact.retry_at = retry_delay(1).map(|delay| at(20).after(delay));
    deal.retries = domain::failure::MAX_RETRIES_BY_ITSELF + 1;
    deal.retry_at = None;
    assert_eq!(taken, [contact.clone(), deal]);
    assert_eq!(accepted(&[key(&account)], at(22)).await, Ok(0));
    assert_eq!(stores.parked.take_due(at(22), 10).await, Ok(vec![]));
    // Parked under the same parent once more, it is released once more.
    contact.parent = Some(key(&account));
    contact.retry_at = None;
    assert_eq!(stores.parked.park(&[contact]).await, Ok(()));
    assert_eq!(accepted(&[key(&account)], at(23)).await, Ok(1));
}

/// A cleared entry is gone, unless it failed with a newer row than was judged; nobody is released.
pub async fn parked_entries_are_cleared(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let (one, mut two, mut newer, mut child) = (
        parked(ObjectKind::Account, 1),
        parked(ObjectKind::Account, 2),
        parked(ObjectKind::Account, 3),
        parked(ObjectKind::Contact, 1),
    );
    two.version = Version::at(at(4));
    newer.version = Version::at(Timestamp::from_micros(at(5).as_micros() + 1));
    child.parent = Some(key(&one));
    let all = [one.clone(), two.clone(), newer.clone(), child.clone()];
    assert_eq!(stores.parked.park(&all).await, Ok(()));
    let unknown = (ObjectKind::User, id(ObjectKind::User, 9));
    let records = [key(&one), key(&newer), unknown];
    for _ in 0..2 {
        assert_eq!(stores.parked.clear(&records, one.version).await, Ok(()));
        let list = stores.parked.list(None, 10).await;
        assert_eq!(list, Ok(vec![two.clone(), newer.clone(), child.clone()]));
    }
    let records = [key(&two), key(&newer)];
    assert_eq!(stores.parked.clear(&records, newer.version).await, Ok(()));
    assert_eq!(stores.parked.list(None, 10).await, Ok(vec![child.clone()]));
    // It still waits, and an acceptance of the record that was cleared releases it.
    let accepted = stores
        .parked
        .accepted(&[key(&one)], one.version, at(9))
        .await;
    assert_eq!(accepted, Ok(1));
}

/// The list is in the order of object and id, and goes on after any entry, present or not.
pub async fn parked_entries_are_listed_in_pages(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let ordered = [
        parked(ObjectKind::User, 2),
        parked(ObjectKind::Account, 1),
        parked(ObjectKind::Account, 3),
        parked(ObjectKind::Contact, 1),
        parked(ObjectKind::Opportunity, 1),
        parked(ObjectKind::OpportunityContactRole, 1),
    ];
    let mut shuffled = ordered.clone();
    shuffled.reverse();
    assert_eq!(stores.parked.park(&shuffled).await, Ok(()));
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = stores.parked.list(after, 2).await.expect("a page");
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = Some(key(last));
        seen.extend(page);
        assert!(seen.len() <= ordered.len(), "a page begins after the last");
    }
    assert_eq!(seen, ordered);
    let absent = (ObjectKind::Account, id(ObjectKind::Account, 2));
    let page = stores.parked.list(Some(absent), 1).await.expect("a page");
    assert_eq!(page, [parked(ObjectKind::Account, 3)]);
}

/// Counts by reason; reasons that no entry has are left out.
pub async fn parked_entries_are_counted_by_reason(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    assert_eq!(stores.parked.counts().await, Ok(BTreeMap::new()));
    let mut busy = parked(ObjectKind::Contact, 1);
    busy.kind = FailureKind::RetryLater;
    let all = [
        parked(ObjectKind::Account, 1),
        parked(ObjectKind::Account, 2),
        busy.clone(),
    ];
    assert_eq!(stores.parked.park(&all).await, Ok(()));
    let expected = BTreeMap::from([(FailureKind::InvalidField, 2), (FailureKind::RetryLater, 1)]);
    assert_eq!(stores.parked.counts().await, Ok(expected));
    // An entry that changes its reason leaves the old count, one that is cleared leaves both.
    busy.kind = FailureKind::InvalidField;
    assert_eq!(stores.parked.park(&[busy.clone()]).await, Ok(()));
    let cleared = stores.parked.clear(&[key(&busy)], busy.version).await;
    assert_eq!(cleared, Ok(()));
    let expected = BTreeMap::from([(FailureKind::InvalidField, 2)]);
    assert_eq!(stores.parked.counts().await, Ok(expected));
}

/// What is due is taken up once, with its retries raised and its next time set; what is not due,
/// or waits for a person, is not.
pub async fn parked_entries_are_taken_up_when_due_by_one(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let mut due = parked(ObjectKind::Account, 1);
    due.kind = FailureKind::RetryLater;
    due.retry_at = Some(at(10));
    let mut last = parked(ObjectKind::Account, 2);
    last.kind = FailureKind::RetryLater;
    last.retries = domain::failure::MAX_RETRIES_BY_ITSELF - 1;
    last.retry_at = Some(at(20));
    let mut later = parked(ObjectKind::Account, 3);
    later.kind = FailureKind::RetryLater;
    later.retry_at = Some(at(21));
    let person = parked(ObjectKind::Account, 4);
    let all = [due.clone(), last.clone(), later, person];
    assert_eq!(stores.parked.park(&all).await, Ok(()));
    assert_eq!(stores.parked.take_due(at(9), 10).await, Ok(vec![]));
    let mut taking = JoinSet::new();
    for _ in 0..4 {
        let parked = Arc::clone(&stores.parked);
        taking.spawn(async move { parked.take_due(at(20), 10).await });
    }
    let mut taken = Vec::new();
    for answer in taking.join_all().await {
        taken.extend(answer.expect("the store answers"));
    }
    taken.sort_by_key(key);
    due.retries = 1;
    due.retry_at = retry_delay(1).map(|delay| at(20).after(delay));
    last.retries = domain::failure::MAX_RETRIES_BY_ITSELF;
    last.retry_at = None;
    assert_eq!(taken, [due.clone(), last.clone()]);
    let list = stores.parked.list(None, 2).await;
    assert_eq!(list, Ok(vec![due.clone(), last]));
    // Hourly from then on; no more than asked for at a time.
    let far = at(100_000);
    let one = stores.parked.take_due(far, 1).await.expect("one");
    assert_eq!(one.len(), 1);
    let other = stores.parked.take_due(far, 10).await.expect("the other");
    assert_eq!(other.len(), 1);
    assert_ne!(one, other);
}

fn deal(number: u32, seconds: i64) -> (SalesforceId, Version) {
    let id = id(ObjectKind::Opportunity, number);
    (id, Version::at(at(seconds)))
}

/// A deal created from a row older than its last word is named, however often it is asked, until
/// it is created from a row as new as that; also over a restart.
pub async fn last_words_overtake_older_rows(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let created = [deal(1, 1), deal(2, 2), deal(3, 3), deal(4, 4)];
    let ask = async |stores: &Stores| stores.last_words.overtaken(&created).await;
    assert_eq!(ask(&stores).await, Ok(vec![]));
    // Older than the row, as old, newer, newer by a microsecond.
    let newer_by_one = Version::at(Timestamp::from_micros(at(4).as_micros() + 1));
    let marks = [
        deal(1, 0),
        deal(2, 2),
        deal(3, 4),
        (deal(4, 4).0, newer_by_one),
    ];
    assert_eq!(stores.last_words.mark(&marks, at(5)).await, Ok(()));
    assert_eq!(stores.last_words.mark(&[], at(5)).await, Ok(()));
    harness.restart().await;
    let stores = harness.stores().await;
    let overtaken = vec![deal(3, 3).0, deal(4, 4).0];
    for _ in 0..2 {
        assert_eq!(ask(&stores).await, Ok(overtaken.clone()));
    }
    // The first two have lost their marks, so an older row is not overtaken by them any more.
    let older = [deal(1, -1), deal(2, 1)];
    assert_eq!(stores.last_words.overtaken(&older).await, Ok(vec![]));
    let same = [deal(3, 4), deal(4, 5)];
    assert_eq!(stores.last_words.overtaken(&same).await, Ok(vec![]));
    assert_eq!(ask(&stores).await, Ok(vec![]));
    assert_eq!(stores.last_words.overtaken(&[]).await, Ok(vec![]));
}

/// Of several last words of a deal the one of the highest version counts, in whatever order they
/// came.
pub async fn last_words_keep_the_highest_version(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    for seconds in [5, 7, 6] {
        let marked = stores.last_words.mark(&[deal(1, seconds)], at(8)).await;
        assert_eq!(marked, Ok(()));
    }
    let overtaken = stores.last_words.overtaken(&[deal(1, 6)]).await;
    assert_eq!(overtaken, Ok(vec![deal(1, 6).0]));
    assert_eq!(stores.last_words.overtaken(&[deal(1, 7)]).await, Ok(vec![]));
    assert_eq!(stores.last_words.overtaken(&[deal(1, 6)]).await, Ok(vec![]));
}

/// A mark outlives a day less a second and not a day; marking again begins the day anew.
pub async fn last_words_are_forgotten_after_a_day(harness: &dyn StoreHarness) {
    const DAY: i64 = 24 * 60 * 60;
    let stores = harness.stores().await;
    let words = &stores.last_words;
    let created = [deal(1, 1), deal(2, 1)];
    assert_eq!(words.mark(&[deal(1, 3), deal(2, 3)], at(10)).await, Ok(()));
    // Neither a lower version nor an earlier time shortens the day.
    for (number, now) in [(2, DAY), (2, 9)] {
        assert_eq!(words.mark(&[deal(number, 2)], at(now)).await, Ok(()));
    }
    let before = at(10 + DAY - 1);
    assert_eq!(words.mark(&[deal(9, 1)], before).await, Ok(()));
    let both = vec![deal(1, 1).0, deal(2, 1).0];
    assert_eq!(words.overtaken(&created).await, Ok(both));
    let after = at(10 + DAY);
    assert_eq!(words.mark(&[deal(9, 1)], after).await, Ok(()));
    let second = vec![deal(2, 1).0];
    assert_eq!(words.overtaken(&created).await, Ok(second));
}

/// The newest lines, newest first, as many as asked for.
pub async fn log_answers_the_newest_first(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let entry = |number: i64| LogEntry {
        at: at(number),
        level: LogLevel::Warning,
        topic: "gap".to_owned(),
        job: (number == 1).then(|| job_id(JobKind::CatchUp, "one")),
        record: (number == 2).then(|| (ObjectKind::Account, id(ObjectKind::Account, 1))),
        message: format!("line {number}"),
    };
    assert_eq!(stores.log.recent(10).await, Ok(vec![]));
    for number in 1..=3 {
        assert_eq!(stores.log.append(&entry(number)).await, Ok(()));
    }
    harness.restart().await;
    let stores = harness.stores().await;
    let all = vec![entry(3), entry(2), entry(1)];
    assert_eq!(stores.log.recent(10).await, Ok(all));
    assert_eq!(stores.log.recent(1).await, Ok(vec![entry(3)]));
}

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

/// The last report of each worker, also after a restart.
pub async fn reports_are_replaced(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let report = |seconds, state| Report {
        at: at(seconds),
        state,
        figures: BTreeMap::from([("in_hand".to_owned(), -seconds)]),
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
