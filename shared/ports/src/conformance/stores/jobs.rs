//! Jobs: made, moved, read, listed, forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use domain::job::{
    Cursor, Extracted, Form, Job, JobId, JobKind, JobScope, MosStatus, PageRead, Pause, PausedBy,
    Plan, Progress, SalesforceStatus, Statement, Way,
};
use domain::{ObjectKind, Ticket, Timestamp, Version};
use tokio::task::JoinSet;

use super::{StoreHarness, at, get, id, ids, job, job_id, tally};
use crate::stores::{Moved, Stores};

/// A progress with something in every field.
fn full_progress(next_index: u64) -> Progress {
    Progress {
        writes: 0,
        phase: 1,
        statement: 2,
        generation: 3,
        cursor: Cursor::Bulk {
            query: "750000000000001".to_owned(),
            columns: vec!["Id".to_owned()],
            ticket: Ticket {
                version: Version::at(at(1)),
                rule_revision: 2,
                snapshot: 3,
            },
            locator: Some("MTAw".to_owned()),
            rows: 400,
            total_rows: 10_000,
        },
        next_index,
        announced: next_index + 3,
        objects: BTreeMap::from([(
            ObjectKind::Contact,
            Extracted {
                total: Some(20_000),
                again: 1,
                read: 10_400,
                units: next_index,
                errors: 2,
                last_error: Some("\"timeout\"".to_owned()),
                started: Some(at(2)),
                finished: None,
            },
        )]),
    }
}

/// Units published and confirmed, and nothing else.
pub(super) fn published(units: u64) -> Progress {
    Progress {
        next_index: units,
        announced: units,
        ..Progress::default()
    }
}

/// Creates the job and brings it where it is wanted, by allowed steps.
pub(super) async fn job_in(stores: &Stores, name: &str, status: SalesforceStatus) -> JobId {
    use SalesforceStatus::{Cancelled, Counting, Extracting, Failed, Queued, Sealed};
    let job = job(name, at(1));
    assert_eq!(stores.jobs.create(&job).await, Ok(()));
    let way: &[SalesforceStatus] = match status {
        Queued => &[],
        Counting => &[Counting],
        Extracting => &[Extracting],
        Sealed => &[Extracting, Sealed],
        Failed => &[Failed],
        Cancelled => &[Cancelled],
    };
    for to in way {
        let moved = stores.jobs.transition(&job.id, *to, at(2), None).await;
        assert_eq!(moved, Ok(Moved::Now));
    }
    job.id
}

/// The first job of an id stands, whole, also after a restart.
pub async fn job_is_created_once(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let mut full = job("one", at(1));
    full.started = Some(at(2));
    full.sealed = Some(at(3));
    full.ended = Some(at(9));
    full.salesforce = SalesforceStatus::Sealed;
    full.progress = full_progress(1);
    full.units = 4;
    full.counted = 2;
    full.abandoned = 1;
    full.last_advanced = Some(at(3));
    full.last_counted = Some(at(4));
    full.paused = Some(Pause {
        since: at(5),
        by: PausedBy::Quota,
        why: "the \"allowance\" is used up".to_owned(),
        until: Some(at(50)),
    });
    full.paused_for = Duration::from_micros(1_234_567);
    full.resumed = Some(at(2));
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

/// Every pair of statuses: a job moves where the table lets it, and nowhere else.
pub async fn job_moves_by_the_table(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    for from in SalesforceStatus::ALL {
        for to in SalesforceStatus::ALL {
            let name = format!("{}-{}", from.name(), to.name());
            let id = job_in(&stores, &name, from).await;
            let expected = match (from == to, from.may_become(to)) {
                (true, _) => Moved::Already,
                (false, true) => Moved::Now,
                (false, false) => Moved::Refused(from),
            };
            let moved = stores.jobs.transition(&id, to, at(3), None).await;
            assert_eq!(moved, Ok(expected), "{name}");
            let now = get(&stores, &id).await.salesforce;
            let there = if expected == Moved::Now { to } else { from };
            assert_eq!(now, there, "{name}");
        }
    }
    let unknown = job_id(JobKind::Backfill, "unknown");
    let moved = stores
        .jobs
        .transition(&unknown, SalesforceStatus::Extracting, at(2), None)
        .await;
    assert_eq!(moved, Ok(Moved::Unknown));
    assert_eq!(stores.jobs.get(&unknown).await, Ok(None));
}

/// A transition sets the time that belongs to it, once; a refused one sets nothing.
pub async fn job_transition_sets_its_times(harness: &dyn StoreHarness) {
    use SalesforceStatus::{Cancelled, Counting, Extracting, Failed, Sealed};
    let stores = harness.stores().await;
    let job = job("one", at(1));
    assert_eq!(stores.jobs.create(&job).await, Ok(()));
    let step = async |to, when, error: Option<&str>| {
        let moved = stores.jobs.transition(&job.id, to, when, error).await;
        assert!(moved.is_ok(), "{moved:?}");
        let now = get(&stores, &job.id).await;
        (now.started, now.sealed, now.ended, now.error)
    };
    let two = Some(at(2));
    assert_eq!(step(Counting, at(2), None).await, (two, None, None, None));
    assert_eq!(step(Counting, at(3), None).await, (two, None, None, None));
    assert_eq!(step(Extracting, at(3), None).await, (two, None, None, None));
    let sealed = (two, Some(at(4)), None, None);
    assert_eq!(step(Sealed, at(4), None).await, sealed);
    assert_eq!(step(Sealed, at(5), Some("no")).await, sealed);
    // What was lost is published again.
    assert_eq!(step(Extracting, at(6), None).await, (two, None, None, None));
    let sealed = (two, Some(at(7)), None, None);
    assert_eq!(step(Sealed, at(7), None).await, sealed);
    let failed = (two, Some(at(7)), Some(at(8)), Some("no access".to_owned()));
    assert_eq!(step(Failed, at(8), Some("no access")).await, failed);
    assert_eq!(step(Failed, at(9), Some("again")).await, failed);
    assert_eq!(step(Cancelled, at(9), Some("again")).await, failed);
    assert_eq!(get(&stores, &job.id).await.mos(at(9)), MosStatus::Failed);
}

/// One job of a kind at a time: who asks for another gets the one that runs, however many ask at
/// once, and a repeat gets its own. When it is over the next may run; kinds do not mind each other.
pub async fn job_of_a_kind_runs_alone(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let all = |name: &str| {
        let id = job_id(JobKind::SyncAll, name);
        Job::queued(id, JobKind::SyncAll, JobScope::Everything, at(1))
    };
    assert_eq!(stores.jobs.create(&job("other", at(0))).await, Ok(()));
    let mut asking = JoinSet::new();
    for number in 0..6 {
        let jobs = Arc::clone(&stores.jobs);
        let wanted = all(&number.to_string());
        asking.spawn(async move { jobs.create_unless_running(&wanted).await });
    }
    let answers = asking.join_all().await;
    let first = answers.first().cloned().expect("six have asked");
    let running = first.expect("the store answers");
    assert!(answers.iter().all(|answer| *answer == Ok(running.clone())));
    assert_eq!(stores.jobs.list(10).await.expect("jobs").len(), 2);
    let again = stores.jobs.create_unless_running(&running).await;
    assert_eq!(again, Ok(running.clone()));
    // Sealed with a unit on its way, it still runs; counted, it is over.
    let jobs = &stores.jobs;
    let advanced = jobs.advance(&running.id, &published(1), None, at(2)).await;
    assert_eq!(advanced, Ok(()));
    for to in [SalesforceStatus::Extracting, SalesforceStatus::Sealed] {
        let moved = jobs.transition(&running.id, to, at(3), None).await;
        assert_eq!(moved, Ok(Moved::Now));
    }
    let next = all("next");
    let answer = jobs.create_unless_running(&next).await.expect("an answer");
    assert_eq!(answer.id, running.id);
    assert_eq!(
        jobs.count(&running.id, 0, None, &tally(1), at(4)).await,
        Ok(true)
    );
    assert_eq!(jobs.create_unless_running(&next).await, Ok(next.clone()));
    // A repeat of the first is answered with what has become of it.
    let first = jobs.create_unless_running(&running).await;
    assert_eq!(
        first.expect("an answer").salesforce,
        SalesforceStatus::Sealed
    );
    // Cancelled, it keeps nobody from a new one, whatever became of its units.
    let advanced = jobs.advance(&next.id, &published(1), None, at(4)).await;
    assert_eq!(advanced, Ok(()));
    let moved = jobs
        .transition(&next.id, SalesforceStatus::Cancelled, at(5), None)
        .await;
    assert_eq!(moved, Ok(Moved::Now));
    assert!(!get(&stores, &next.id).await.is_over());
    let last = all("last");
    assert_eq!(jobs.create_unless_running(&last).await, Ok(last));
}

fn plan(revision: u64) -> Plan {
    Plan {
        rule_revision: revision,
        permission_snapshot: 4,
        phases: vec![vec![Statement {
            object: ObjectKind::Account,
            owners: Some(BTreeSet::from([id(ObjectKind::User, 1)])),
            form: Form::Plain,
            way: Way::Bulk,
            total: Some(9),
        }]],
        leaves_out: true,
        notes: vec!["the org refuses semi-joins".to_owned()],
    }
}

/// The plan and the move to extracting are one step; an extracting job's plan is replaced; a job
/// that cannot extract, or has published everything, gets none.
pub async fn job_plan_is_kept_with_the_move(harness: &dyn StoreHarness) {
    use SalesforceStatus::{Cancelled, Counting, Extracting, Failed, Queued, Sealed};
    let stores = harness.stores().await;
    for from in SalesforceStatus::ALL {
        let id = job_in(&stores, from.name(), from).await;
        assert_eq!(stores.jobs.plan(&id).await, Ok(None));
        let (moved, status) = match from {
            Queued | Counting => (Moved::Now, Extracting),
            Extracting => (Moved::Already, Extracting),
            Sealed | Failed | Cancelled => (Moved::Refused(from), from),
        };
        let set = stores.jobs.set_plan(&id, &plan(1), at(5)).await;
        assert_eq!(set, Ok(moved), "from {}", from.name());
        assert_eq!(get(&stores, &id).await.salesforce, status);
        let kept = (status == Extracting).then(|| plan(1));
        assert_eq!(stores.jobs.plan(&id).await, Ok(kept));
    }
    let counted = job_id(JobKind::Backfill, Counting.name());
    let set = stores.jobs.set_plan(&counted, &plan(2), at(6)).await;
    assert_eq!(set, Ok(Moved::Already));
    harness.restart().await;
    let stores = harness.stores().await;
    assert_eq!(stores.jobs.plan(&counted).await, Ok(Some(plan(2))));
    assert_eq!(get(&stores, &counted).await.started, Some(at(2)));
    let unknown = job_id(JobKind::Backfill, "unknown");
    let set = stores.jobs.set_plan(&unknown, &plan(1), at(6)).await;
    assert_eq!(set, Ok(Moved::Unknown));
    assert_eq!(stores.jobs.plan(&unknown).await, Ok(None));
}

/// The reader's progress is kept whole, and what is announced are the job's units.
pub async fn job_reader_goes_on_where_it_was(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let job = job("one", at(1));
    assert_eq!(stores.jobs.create(&job).await, Ok(()));
    let mut progress = Progress {
        cursor: Cursor::Rest {
            after: Some(id(ObjectKind::Opportunity, 3)),
        },
        ..published(3)
    };
    for when in [at(3), at(8)] {
        // A repeat changes nothing.
        for _ in 0..2 {
            let advanced = stores.jobs.advance(&job.id, &progress, None, when).await;
            assert_eq!(advanced, Ok(()));
            let found = get(&stores, &job.id).await;
            assert_eq!(found.progress, progress);
            assert_eq!(found.units, progress.announced);
        }
        progress = full_progress(8);
    }
    harness.restart().await;
    let found = get(&harness.stores().await, &job.id).await;
    assert_eq!(found.progress, full_progress(8));
    assert_eq!((found.units, found.pending()), (11, 11));
    assert_eq!(found.last_advanced, Some(at(8)));
}

/// A listener that has lost its lease without knowing cannot undo what its successor wrote.
pub async fn job_reader_that_is_outdated_changes_nothing(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let job = job("one", at(1));
    assert_eq!(stores.jobs.create(&job).await, Ok(()));
    let newest = full_progress(8);
    let advanced = stores.jobs.advance(&job.id, &newest, None, at(3)).await;
    assert_eq!(advanced, Ok(()));
    let page = page(0, 1);
    for (next_index, announced) in [(7, 11), (8, 10), (0, 0)] {
        let old = Progress {
            next_index,
            announced,
            ..Progress::default()
        };
        let advanced = stores.jobs.advance(&job.id, &old, Some(&page), at(4)).await;
        assert_eq!(advanced, Ok(()));
        assert_eq!(get(&stores, &job.id).await.progress, newest);
    }
    assert_eq!(stores.jobs.pages(&job.id).await, Ok(vec![]));
    let unknown = job_id(JobKind::Backfill, "unknown");
    let advanced = stores
        .jobs
        .advance(&unknown, &newest, Some(&page), at(4))
        .await;
    assert_eq!(advanced, Ok(()));
    assert_eq!(stores.jobs.get(&unknown).await, Ok(None));
    assert_eq!(stores.jobs.pages(&unknown).await, Ok(vec![]));
}

/// Of two readers that go on from the same place one writes, whatever it is; the other, which does
/// not know that, changes nothing.
pub async fn job_readers_do_not_overwrite_each_other(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let job = job("one", at(1));
    let jobs = &stores.jobs;
    assert_eq!(jobs.create(&job).await, Ok(()));
    let write = |writes, generation| Progress {
        writes,
        generation,
        ..published(8)
    };
    let page = page(0, 1);
    let advance = async |progress: &Progress, page: Option<&PageRead>| {
        let advanced = jobs.advance(&job.id, progress, page, at(3)).await;
        assert_eq!(advanced, Ok(()));
        get(&stores, &job.id).await.progress
    };
    let (first, one) = (write(1, 0), write(2, 1));
    assert_eq!(advance(&first, None).await, first);
    assert_eq!(advance(&one, None).await, one);
    // The other reader knows of the first only.
    for outdated in [write(2, 0), write(1, 0), write(0, 2)] {
        assert_eq!(advance(&outdated, Some(&page)).await, one);
        let announcement = Progress {
            announced: 9,
            ..outdated
        };
        let announced = jobs.announce(&job.id, 8, &announcement, Some(&page), at(4));
        assert_eq!(announced.await, Ok(false));
        assert_eq!(get(&stores, &job.id).await.progress, one);
    }
    assert_eq!(jobs.pages(&job.id).await, Ok(vec![]));
    assert_eq!(advance(&one, None).await, one);
    let next = write(3, 2);
    assert_eq!(advance(&next, None).await, next);
}

/// Of two readers that believe to be the only one, one announces an index; who repeats its own
/// announcement has made it.
pub async fn job_indices_are_announced_by_one_reader(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let job = job("one", at(1));
    assert_eq!(stores.jobs.create(&job).await, Ok(()));
    let announcing = |announced, generation| Progress {
        generation,
        announced,
        ..published(8)
    };
    let advanced = stores
        .jobs
        .advance(&job.id, &published(8), None, at(2))
        .await;
    assert_eq!(advanced, Ok(()));
    let (one, other) = (announcing(11, 0), announcing(12, 1));
    let (page, others) = (page(8, 3), page(9, 4));
    for again in [true, true] {
        let announced = stores.jobs.announce(&job.id, 8, &one, Some(&page), at(3));
        assert_eq!(announced.await, Ok(again));
    }
    for known in [8, 7, 12] {
        let announced = stores
            .jobs
            .announce(&job.id, known, &other, Some(&others), at(4));
        assert_eq!(announced.await, Ok(false));
    }
    let found = get(&stores, &job.id).await;
    assert_eq!((found.progress, found.units), (one, 11));
    assert_eq!(stores.jobs.pages(&job.id).await, Ok(vec![page]));
    let announced = stores.jobs.announce(&job.id, 11, &other, None, at(5)).await;
    assert_eq!(announced, Ok(true));
    let unknown = job_id(JobKind::Backfill, "unknown");
    let announced = stores.jobs.announce(&unknown, 0, &other, None, at(5)).await;
    assert_eq!(announced, Ok(false));
}

fn page(first_index: u64, units: u64) -> PageRead {
    PageRead {
        first_index,
        units,
        phase: 1,
        statement: 2,
        generation: 3,
        at: full_progress(0).cursor,
    }
}

/// A page is begun and ended under its first index; pages are listed in that order.
pub async fn job_pages_are_kept_by_their_first_index(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let job = job("one", at(1));
    assert_eq!(stores.jobs.create(&job).await, Ok(()));
    for (units, page) in [
        (0, page(0, 0)),
        (9, page(0, 9)),
        (9, page(9, 0)),
        (10, page(9, 1)),
        (10, page(10, 0)),
        (10, page(10, 0)),
    ] {
        let progress = published(units);
        let advanced = stores
            .jobs
            .advance(&job.id, &progress, Some(&page), at(2))
            .await;
        assert_eq!(advanced, Ok(()));
    }
    harness.restart().await;
    let pages = harness.stores().await.jobs.pages(&job.id).await;
    assert_eq!(pages, Ok(vec![page(0, 9), page(9, 1), page(10, 0)]));
}

/// Newest first by the time they were requested, of the same time by id; as many as asked for, and
/// from any place on.
pub async fn jobs_are_listed_newest_first(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let jobs = &stores.jobs;
    for (name, requested) in [
        ("b", at(2)),
        ("d", at(3)),
        ("c", at(2)),
        ("a", at(1)),
        ("e", at(2)),
    ] {
        assert_eq!(jobs.create(&job(name, requested)).await, Ok(()));
    }
    let ordered = [
        "backfill-d",
        "backfill-e",
        "backfill-c",
        "backfill-b",
        "backfill-a",
    ];
    let all = jobs.list(10).await.expect("the store answers");
    assert_eq!(ids(&all), ordered);
    let two = jobs.list(2).await.expect("the store answers");
    assert_eq!(ids(&two), ["backfill-d", "backfill-e"]);
    assert_eq!(jobs.list(0).await, Ok(vec![]));
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = jobs.page(before.clone(), 2).await.expect("a page");
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        before = Some((last.requested, last.id.clone()));
        seen.extend(page);
        assert!(seen.len() <= ordered.len(), "a page begins before the last");
    }
    assert_eq!(ids(&seen), ordered);
    let absent = (at(2), job_id(JobKind::Backfill, "ca"));
    let page = jobs.page(Some(absent), 1).await.expect("a page");
    assert_eq!(ids(&page), ["backfill-c"]);
}

/// The newest of a kind is found behind however many of others.
pub async fn the_newest_job_of_a_kind_is_found(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let kind = JobKind::SyncAll;
    assert_eq!(stores.jobs.newest(kind).await, Ok(None));
    let of = |kind, name: &str, seconds| {
        let scope = JobScope::Everything;
        Job::queued(job_id(kind, name), kind, scope, at(seconds))
    };
    let [older, mut newest] = [of(kind, "a", 3), of(kind, "b", 5)];
    // Of the same time the one with the highest id.
    let mut same = of(kind, "c", 5);
    if same.id > newest.id {
        std::mem::swap(&mut same, &mut newest);
    }
    for job in [&newest, &older, &same] {
        assert_eq!(stores.jobs.create(job).await, Ok(()));
    }
    for number in 0..1_200 {
        let other = of(JobKind::Retry, &number.to_string(), 6 + number);
        assert_eq!(stores.jobs.create(&other).await, Ok(()));
    }
    assert_eq!(stores.jobs.newest(kind).await, Ok(Some(newest)));
    assert_eq!(stores.jobs.newest(JobKind::Refresh).await, Ok(None));
}

/// Unfinished is what is not over, oldest first: the last unit's count ends a sealed or cancelled
/// job, and one that publishes again is unfinished again.
pub async fn jobs_unfinished_are_those_not_over(harness: &dyn StoreHarness) {
    use SalesforceStatus::{Cancelled, Extracting, Failed, Sealed};
    let stores = harness.stores().await;
    let jobs = &stores.jobs;
    for (name, requested) in [
        ("cancelled", at(4)),
        ("sealed", at(3)),
        ("failed", at(2)),
        ("queued", at(1)),
    ] {
        assert_eq!(jobs.create(&job(name, requested)).await, Ok(()));
    }
    let named = |name| job_id(JobKind::Backfill, name);
    let (sealed, cancelled) = (named("sealed"), named("cancelled"));
    let move_to = async |id: &JobId, to, when: Timestamp| {
        let moved = jobs.transition(id, to, when, None).await;
        assert_eq!(moved, Ok(Moved::Now));
    };
    for id in [&sealed, &cancelled] {
        move_to(id, Extracting, at(4)).await;
        assert_eq!(jobs.advance(id, &published(2), None, at(4)).await, Ok(()));
    }
    move_to(&sealed, Sealed, at(5)).await;
    move_to(&cancelled, Cancelled, at(5)).await;
    move_to(&named("failed"), Failed, at(5)).await;
    let unfinished = async || {
        let jobs = jobs.unfinished().await.expect("the store answers");
        ids(&jobs).join(" ")
    };
    let before = "backfill-queued backfill-sealed backfill-cancelled";
    assert_eq!(unfinished().await, before);
    for index in 0..2 {
        for id in [&sealed, &cancelled] {
            assert_eq!(unfinished().await, before);
            assert_eq!(
                jobs.count(id, index, None, &tally(1), at(6)).await,
                Ok(true)
            );
            assert_eq!(
                jobs.count(id, index, None, &tally(1), at(6)).await,
                Ok(false)
            );
            if (index, id) == (1, &sealed) {
                break;
            }
        }
    }
    assert_eq!(unfinished().await, "backfill-queued backfill-cancelled");
    assert_eq!(get(&stores, &sealed).await.mos(at(7)), MosStatus::Completed);
    assert_eq!(
        jobs.count(&cancelled, 1, None, &tally(1), at(6)).await,
        Ok(true)
    );
    assert_eq!(unfinished().await, "backfill-queued");
    let over = get(&stores, &cancelled).await;
    assert_eq!(over.mos(at(7)), MosStatus::Cancelled);
    move_to(&sealed, Extracting, at(8)).await;
    assert_eq!(unfinished().await, "backfill-queued backfill-sealed");
}

/// Forgotten are jobs that have been over since before the time, first requested first, with all
/// that was kept of them; no other.
pub async fn jobs_over_for_long_are_forgotten(harness: &dyn StoreHarness) {
    use SalesforceStatus::{Cancelled, Extracting, Failed, Queued, Sealed};
    let stores = harness.stores().await;
    let jobs = &stores.jobs;
    // Name, status at second 2, units, counted, when.
    for (name, status, units, counted_at) in [
        ("completed", Sealed, 1, Some(5)),
        ("counted-late", Sealed, 1, Some(10)),
        ("loading", Sealed, 1, None),
        ("failed", Failed, 0, None),
        ("failed-loading", Failed, 1, None),
        ("cancelled", Cancelled, 0, None),
        ("reading", Extracting, 0, None),
        ("queued", Queued, 0, None),
    ] {
        let id = job_in(&stores, name, status).await;
        let page = page(0, 0);
        let advanced = jobs
            .advance(&id, &published(units), Some(&page), at(2))
            .await;
        assert_eq!(advanced, Ok(()));
        if let Some(second) = counted_at {
            let counted = jobs.count(&id, 0, None, &tally(1), at(second)).await;
            assert_eq!(counted, Ok(true));
        }
    }
    let left = async || {
        let mut left = jobs
            .list(100)
            .await
            .expect("the store answers")
            .into_iter()
            .filter_map(|job| Some(job.id.as_str().strip_prefix("backfill-")?.to_owned()))
            .collect::<Vec<_>>();
        left.sort();
        left.join(" ")
    };
    assert_eq!(jobs.prune(at(2), 100).await, Ok(0));
    assert_eq!(jobs.prune(at(5), 1).await, Ok(1));
    // Of these, one has failed with a unit on its way that nobody will ever count.
    assert_eq!(jobs.prune(at(5), 100).await, Ok(2));
    assert_eq!(
        left().await,
        "completed counted-late loading queued reading"
    );
    assert_eq!(jobs.prune(at(10), 100).await, Ok(1));
    assert_eq!(jobs.prune(at(10), 100).await, Ok(0));
    harness.restart().await;
    let stores = harness.stores().await;
    let completed = job_id(JobKind::Backfill, "completed");
    assert_eq!(stores.jobs.get(&completed).await, Ok(None));
    assert_eq!(stores.jobs.pages(&completed).await, Ok(vec![]));
    assert_eq!(left().await, "counted-late loading queued reading");
    let kept = job_id(JobKind::Backfill, "counted-late");
    let again = stores.jobs.count(&kept, 0, None, &tally(1), at(11)).await;
    assert_eq!(again, Ok(false), "marks are kept as long as the job");
    assert_eq!(stores.jobs.prune(at(11), 100).await, Ok(1));
    // Nothing of it is left, not even its marks.
    let anew = stores.jobs.count(&kept, 0, None, &tally(1), at(12)).await;
    assert_eq!(anew, Ok(true));
    // Nor its sums.
    let completed = job_in(&stores, "completed", Queued).await;
    let tally = get(&stores, &completed).await.tally;
    assert_eq!(tally, domain::tally::Tally::default());
}
