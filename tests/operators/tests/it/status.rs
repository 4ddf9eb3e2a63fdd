//! The status: the verdict first, its reason, and numbers that are true.

use std::collections::BTreeMap;
use std::time::Duration;

use console::views::{ApiView, PollView, TroubleKind, Verdict, WindowsView};
use domain::allowance::ApiShare;
use domain::failure::FailureKind;
use domain::job::{JobId, JobKind, PausedBy, SalesforceStatus};
use domain::tally::{Count, Tally};
use domain::unit::{Lane, MESSAGE_TYPE, MESSAGE_VERSION, QueueName, Stage};
use domain::{ObjectKind, Timestamp};
use ports::queue::Message;
use ports::source::ReplayId;
use ports::stores::{
    Dependency, OLDEST, PollState, PollUnderWay, Report, StreamState, UNSETTLED, WorkerState,
};
use runtime::figures;

use crate::desk::{Desk, TOPIC, record};
use crate::web::{Browser, VIEWER};

/// Everything runs, has been heard, and nothing is to be done.
async fn at_rest() -> Desk {
    let desk = Desk::open();
    desk.workers_run().await;
    let stream = StreamState {
        position: ReplayId(vec![1, 255]),
        at_end: true,
        window_over: false,
        heard: desk.now(),
        last_event: None,
    };
    let position = &desk.stores.position;
    position.store_stream(TOPIC, &stream).await.unwrap();
    let permissions = &desk.stores.permissions;
    permissions.mark_polled(desk.now()).await.unwrap();
    desk
}

async fn reason(desk: &Desk) -> String {
    let status = desk.ops.status().await.unwrap();
    assert_eq!(status.verdict, Verdict::Degraded, "{}", status.reason);
    status.reason
}

#[tokio::test]
async fn nothing_to_do_is_healthy_and_at_rest() {
    let desk = at_rest().await;
    let status = desk.ops.status().await.unwrap();
    assert_eq!(status.verdict, Verdict::Healthy);
    assert_eq!(status.reason, "everything heard from Salesforce is in mOS");
    assert!(status.at_rest);
    assert_eq!(status.stream.unwrap().position, "01ff");
    assert_eq!(status.last_sync_all, None);
    assert!(status.stages.iter().all(|stage| stage.oldest.is_none()));
    assert_eq!(status.queues.unwrap().len(), 6);
    assert_eq!((status.troubles, status.dead), (Vec::new(), Some(0)));
}

#[tokio::test]
async fn what_does_not_answer_is_out_of_reach_while_its_worker_says_so() {
    let desk = at_rest().await;
    let loader = |out_of_reach| Report {
        at: desk.now(),
        state: WorkerState::Paused("no answer".to_owned()),
        figures: BTreeMap::new(),
        out_of_reach,
    };
    let reports = &desk.stores.reports;
    let silent = loader([Dependency::Mos].into());
    reports.report("loader", &silent).await.unwrap();
    let status = desk.ops.status().await.unwrap();
    assert_eq!(status.verdict, Verdict::OutOfReach);
    assert!(status.reason.contains("no answer"), "{}", status.reason);
    // Paused for another reason.
    reports.report("loader", &loader([].into())).await.unwrap();
    let status = desk.ops.status().await.unwrap();
    assert_eq!(status.verdict, Verdict::Degraded);
    // A worker that is gone says nothing about what answers now.
    reports.report("loader", &silent).await.unwrap();
    desk.pass(60);
    let status = desk.ops.status().await.unwrap();
    assert_eq!(status.verdict, Verdict::Degraded);
}

#[tokio::test]
async fn the_last_sync_all_is_told_behind_however_many_other_jobs() {
    let desk = at_rest().await;
    let failed = desk.job(JobKind::Backfill, "failed").await;
    let end = async |job: &JobId, to| desk.transition(job, to, Some("why")).await;
    end(&failed.id, SalesforceStatus::Failed).await;
    assert!(reason(&desk).await.contains("has failed: why"));
    desk.pass(1);
    let sync_all = desk.job(JobKind::SyncAll, "all").await;
    for to in [SalesforceStatus::Extracting, SalesforceStatus::Sealed] {
        end(&sync_all.id, to).await;
    }
    desk.many_small_jobs().await;
    let status = desk.ops.status().await.unwrap();
    let last = status.last_sync_all.expect("there is one");
    assert_eq!(last.id, sync_all.id.to_string());
}

#[tokio::test]
async fn troubles_and_hours_are_told_behind_however_many_other_jobs() {
    let desk = at_rest().await;
    let became = [(Count::Read, 7), (Count::Updated, 7)];
    desk.live(ObjectKind::Account, 0, &became).await;
    let held = desk.job(JobKind::Backfill, "held").await;
    desk.pause(&held.id, PausedBy::Person, "lunch", None).await;
    let load = desk.job(JobKind::SyncAll, "all").await;
    let (failed, why) = (SalesforceStatus::Failed, Some("no access"));
    desk.transition(&load.id, failed, why).await;

    desk.many_small_jobs().await;
    let status = desk.ops.status().await.unwrap();
    let troubles = status.troubles.iter().map(|trouble| &trouble.message);
    let expected = [
        format!("{} has failed: no access", load.id),
        format!("{} is paused: lunch", held.id),
    ];
    assert_eq!(troubles.collect::<Vec<_>>(), expected.each_ref());
    let hour = status.hours.last().unwrap();
    assert_eq!((hour.read, hour.sent), (7, 7));
}

#[tokio::test]
async fn windows_and_the_allowance_are_told() {
    let desk = at_rest().await;
    let status = desk.ops.status().await.unwrap();
    assert_eq!((status.windows, status.api), (None, None));
    desk.save(|settings| {
        settings.frequency = "every_15_min".parse().unwrap();
        settings.api_share = ApiShare::new(40, 5).unwrap();
    })
    .await;
    let next = Timestamp::from_micros(1_790_000_100_000_000);
    let told = [
        (figures::NEXT_WINDOW, next.as_micros()),
        (figures::WINDOW_CHANGES, 70),
        (figures::WINDOW_RECORDS, 30),
        (figures::API_MAX, 15_000),
        (figures::API_USED, 7_000),
        (figures::API_OURS, 2_000),
        (figures::API_BULK_HELD_UNTIL, next.as_micros()),
    ];
    desk.report("listener", WorkerState::Running, &told).await;
    // Of the last day, and of the day before.
    for (hours_ago, collapsed) in [(1, 40), (30, 1_000)] {
        let at = desk.now().before(Duration::from_secs(3_600 * hours_ago));
        let job = JobId::live(at);
        let index = desk.stores.jobs.open_live_unit(&job, at).await.unwrap();
        let mut tally = Tally::default();
        tally.add_many(ObjectKind::Account, Count::Read, collapsed);
        tally.add_many(ObjectKind::Account, Count::Collapsed, collapsed);
        desk.stores
            .jobs
            .count(&job, index, None, &tally, at)
            .await
            .unwrap();
    }
    let status = desk.ops.status().await.unwrap();
    assert_eq!(status.verdict, Verdict::Healthy);
    assert_eq!(
        status.reason,
        format!("everything heard from Salesforce is in mOS; next window at {next}")
    );
    let windows = WindowsView {
        frequency: "every_15_min".to_owned(),
        next: Some(next),
        changes: 70,
        records: 30,
        reads_saved: 40,
    };
    assert_eq!(status.windows, Some(windows));
    let page = Browser::of(&desk, VIEWER).await.page("/sync-status").await;
    let told = "the last one brought 70 changes of 30 records; 40 reads of a record saved in 24 h";
    assert!(page.contains(told), "{page}");
    let busy = StreamState {
        position: ReplayId(vec![2]),
        at_end: false,
        window_over: true,
        heard: desk.now(),
        last_event: Some(desk.now()),
    };
    let position = &desk.stores.position;
    position.store_stream(TOPIC, &busy).await.unwrap();
    let waiting_for = desk.ops.status().await.unwrap().waiting_for;
    let to_come = waiting_for
        .iter()
        .any(|what| what == "events that the next window brings");
    assert!(to_come, "there is no rest: {waiting_for:?}");
    let api = ApiView {
        max: 15_000,
        used: 7_000,
        ours: 2_000,
        share: 6_000,
        reserve: 750,
        bulk_held_until: Some(next),
        live_held_until: None,
    };
    assert_eq!(status.api, Some(api));
}

#[tokio::test]
async fn a_stream_that_was_not_heard_for_two_days_is_a_trouble() {
    let desk = at_rest().await;
    desk.pass(48 * 3_600 + 60);
    let told = reason(&desk).await;
    assert!(
        told.contains("the event stream was last heard 48 h ago"),
        "{told}"
    );
}

#[tokio::test]
async fn work_is_healthy_and_named() {
    let desk = at_rest().await;
    let job = desk.job(JobKind::SyncAll, "a").await;
    let status = desk.ops.status().await.unwrap();
    assert_eq!(status.verdict, Verdict::Healthy);
    assert!(!status.at_rest);
    assert_eq!(status.reason, format!("working: {} to be read", job.id));
    assert_eq!(status.last_sync_all.unwrap().id, job.id.as_str());
}

#[tokio::test]
async fn each_trouble_has_its_reason() {
    let desk = Desk::open();
    let first = reason(&desk).await;
    assert!(first.contains("the listener has never run"), "{first}");

    let desk = at_rest().await;
    desk.pass(16);
    assert!(
        reason(&desk)
            .await
            .contains("the loader has not been heard of for 16 s")
    );

    let desk = at_rest().await;
    let paused = WorkerState::Paused("mOS is down".to_owned());
    desk.report("loader", paused, &[]).await;
    assert_eq!(reason(&desk).await, "the loader is paused: mOS is down");

    // Whatever it said last, one that is gone is told as gone.
    for last in [
        WorkerState::Paused("mOS is down".to_owned()),
        WorkerState::Failing("no such field".to_owned()),
    ] {
        let desk = at_rest().await;
        desk.report("loader", last, &[]).await;
        desk.pass(16);
        for worker in ["listener", "filter", "permission"] {
            desk.report(worker, WorkerState::Running, &[]).await;
        }
        assert_eq!(
            reason(&desk).await,
            "the loader has not been heard of for 16 s; is it running?"
        );
    }

    let desk = at_rest().await;
    desk.park(1, |_| {}).await;
    assert!(reason(&desk).await.contains("1 record is parked"));
    desk.die("x", b"?".to_vec()).await;
    assert!(reason(&desk).await.contains("1 message is dead"));

    let desk = at_rest().await;
    let job = desk.job(JobKind::SyncAll, "a").await;
    let why = "the org's allowance is used up";
    desk.pause(&job.id, PausedBy::Quota, why, None).await;
    let told = reason(&desk).await;
    assert_eq!(told, format!("{} is paused: {why}", job.id));
}

#[tokio::test]
async fn a_job_that_stands_still_is_stalled_and_one_that_failed_is_made_good_by_a_later_load() {
    let desk = at_rest().await;
    let failed = desk.job(JobKind::Backfill, "a").await;
    let (to, why) = (SalesforceStatus::Failed, Some("no access"));
    desk.transition(&failed.id, to, why).await;
    let told = reason(&desk).await;
    assert_eq!(told, format!("{} has failed: no access", failed.id));

    desk.pass(1);
    let load = desk.job(JobKind::SyncAll, "b").await;
    for to in [SalesforceStatus::Extracting, SalesforceStatus::Sealed] {
        desk.transition(&load.id, to, None).await;
    }
    let status = desk.ops.status().await.unwrap();
    assert_eq!(status.verdict, Verdict::Healthy, "{}", status.reason);

    let stuck = desk.job(JobKind::Backfill, "c").await;
    desk.pass(300);
    desk.workers_run().await;
    let told = reason(&desk).await;
    assert!(
        told.starts_with(&format!("{} is stalled", stuck.id)),
        "{told}"
    );
}

#[tokio::test]
async fn the_age_of_the_oldest_is_what_the_worker_has_taken_and_not_settled() {
    let desk = at_rest().await;
    let published = desk.now();
    desk.pass(41);
    let figures = [(UNSETTLED, 3), (OLDEST, published.as_micros())];
    desk.report("loader", WorkerState::Running, &figures).await;
    let message = Message {
        id: "m".to_owned(),
        kind: MESSAGE_TYPE.to_owned(),
        version: MESSAGE_VERSION,
        body: Vec::new(),
    };
    for lane in [Lane::Live, Lane::Bulk] {
        let queue = QueueName::new(Stage::Load, lane);
        desk.queue.publish(queue, &message).await.unwrap();
    }
    let filter = QueueName::new(Stage::Filter, Lane::Live);
    desk.queue.publish(filter, &message).await.unwrap();
    let stages = desk.ops.status().await.unwrap().stages;
    let [filter, _, load] = stages[..] else {
        panic!("{stages:?}")
    };
    assert_eq!(
        (load.oldest, load.oldest_age_s),
        (Some(published), Some(41))
    );
    assert_eq!((load.unsettled, load.ready), (3, Some(2)));
    // Nobody has looked at it, so nobody knows.
    assert_eq!((filter.ready, filter.oldest), (Some(1), None));
}

fn poll(polled: Option<Timestamp>, found: Option<Timestamp>) -> PollState {
    PollState {
        from: Timestamp::default(),
        under_way: None,
        polled,
        found,
        hole: false,
    }
}

/// What is waited for with the last event a minute ago, permissions polled ten seconds ago, and
/// users and accounts polled so many seconds ago, with changes found so many seconds ago.
async fn waited_for(
    users: (u64, Option<u64>),
    accounts: Option<(Option<u64>, Option<u64>)>,
) -> Vec<String> {
    let desk = at_rest().await;
    desk.pass(900);
    let now = desk.now();
    let ago = |seconds: u64| now.before(Duration::from_secs(seconds));
    let position = &desk.stores.position;
    let stream = StreamState {
        position: ReplayId(vec![1]),
        at_end: true,
        window_over: false,
        heard: now,
        last_event: Some(ago(60)),
    };
    position.store_stream(TOPIC, &stream).await.unwrap();
    let permissions = &desk.stores.permissions;
    permissions.mark_polled(ago(10)).await.unwrap();
    let (polled, found) = users;
    let state = poll(Some(ago(polled)), found.map(ago));
    let stored = position.store_poll(ObjectKind::User, &state);
    stored.await.unwrap();
    if let Some((polled, found)) = accounts {
        let state = poll(polled.map(ago), found.map(ago));
        let stored = position.store_poll(ObjectKind::Account, &state);
        stored.await.unwrap();
    }
    let polled = [ObjectKind::User, ObjectKind::Account].into();
    let status = desk.ops.clone().polling(polled).status().await.unwrap();
    assert_eq!(status.at_rest, status.waiting_for.is_empty());
    status.waiting_for
}

#[tokio::test]
async fn rest_is_when_every_polled_object_was_polled_after_the_last_change() {
    let never = waited_for((30, None), None).await;
    assert_eq!(never, ["the first poll of Account"]);
    let first_under_way = waited_for((30, None), Some((None, Some(40)))).await;
    assert_eq!(first_under_way, ["the first poll of Account"]);
    let before_the_event = waited_for((30, None), Some((Some(61), None))).await;
    assert_eq!(
        before_the_event,
        ["a poll of Account after the last change"]
    );
    // What the poll of accounts came upon may have been written together with users.
    let before_a_find = waited_for((30, None), Some((Some(15), Some(20)))).await;
    assert_eq!(before_a_find, ["a poll of User after the last change"]);
    let permissions = waited_for((4, None), Some((Some(4), Some(5)))).await;
    assert_eq!(
        permissions,
        ["a reading of permissions after the last change"]
    );
    let rest = waited_for((30, None), Some((Some(25), Some(50)))).await;
    assert!(rest.is_empty(), "{rest:?}");
}

#[tokio::test]
async fn polls_are_shown_object_by_object() {
    let desk = at_rest().await;
    let mut state = poll(Some(desk.now()), None);
    state.under_way = Some(PollUnderWay {
        begun: desk.now(),
        stamp: desk.now(),
        id: record(ObjectKind::User, 1),
    });
    let position = &desk.stores.position;
    let stored = position.store_poll(ObjectKind::User, &state);
    stored.await.unwrap();
    let polled = [ObjectKind::User, ObjectKind::Contact].into();
    let status = desk.ops.clone().polling(polled).status().await.unwrap();
    let view = PollView {
        from: Timestamp::default(),
        under_way: true,
        polled: Some(desk.now()),
        found: None,
    };
    let shown = [(ObjectKind::User, Some(view)), (ObjectKind::Contact, None)];
    assert_eq!(status.polls, shown.into());
}

/// What Salesforce does not show is told object by object, with what to do.
#[tokio::test]
async fn records_that_cannot_be_seen_are_counted_by_object() {
    let desk = at_rest().await;
    for (number, object) in [
        (1, ObjectKind::Account),
        (2, ObjectKind::Account),
        (3, ObjectKind::User),
    ] {
        desk.park(number, |parked| {
            (parked.object, parked.id) = (object, record(object, number));
            parked.kind = FailureKind::Unreadable;
        })
        .await;
    }
    desk.park(4, |_| {}).await;
    let status = desk.ops.status().await.unwrap();
    let counted = status.unreadable.iter();
    let counted: Vec<_> = counted
        .map(|(object, view)| (*object, view.records))
        .collect();
    assert_eq!(counted, [(ObjectKind::User, 1), (ObjectKind::Account, 2)]);
    let advice = &status.unreadable[&ObjectKind::Account].advice;
    assert!(advice.contains("View All Records on Account"), "{advice}");
    assert_eq!(status.unreadable_left_off, 0);
    assert_eq!(status.verdict, Verdict::Degraded);
}

#[tokio::test]
async fn troubles_are_a_list_of_their_own() {
    let desk = at_rest().await;
    desk.park(1, |_| {}).await;
    let paused = WorkerState::Paused("disabled".to_owned());
    desk.report("loader", paused, &[]).await;
    desk.die("one", b"?".to_vec()).await;
    let status = desk.ops.status().await.unwrap();
    let about: Vec<_> = status
        .troubles
        .iter()
        .map(|trouble| trouble.about)
        .collect();
    assert_eq!(
        about,
        [
            TroubleKind::Worker,
            TroubleKind::Messages,
            TroubleKind::Parked
        ]
    );
    let told: Vec<_> = status.troubles.into_iter().map(|it| it.message).collect();
    assert_eq!(status.reason, told.join("; "));
    assert!(told[0].contains("the loader is paused: disabled"));
}

#[tokio::test]
async fn what_runs_is_told_behind_however_many_other_jobs() {
    let desk = at_rest().await;
    let became = [(Count::Read, 7), (Count::Filtered, 7)];
    let live = desk.live(ObjectKind::Account, 0, &became).await;
    let backfill = desk.job(JobKind::Backfill, "long").await;
    for number in 0..30 {
        desk.pass(1);
        let retry = desk.job(JobKind::Retry, &number.to_string()).await;
        desk.transition(&retry.id, SalesforceStatus::Cancelled, None)
            .await;
    }
    let running = desk.job(JobKind::Retry, "the last").await;
    let status = desk.ops.status().await.unwrap();
    let unfinished: Vec<_> = status
        .unfinished
        .iter()
        .map(|job| job.id.as_str())
        .collect();
    assert_eq!(unfinished, [running.id.as_str(), backfill.id.as_str()]);
    let told = status.live.expect("the hour has a job");
    assert_eq!((told.id.as_str(), told.done), (live.as_str(), 7));
    assert!(status.jobs.iter().all(|job| job.id != told.id));
    desk.pass(3_600);
    assert_eq!(desk.ops.status().await.unwrap().live, None);
}
