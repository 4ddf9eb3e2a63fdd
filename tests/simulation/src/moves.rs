//! How the listener acts when an administrator or the org moves something: windows, disabling and
//! enabling again, the API allowance. The whole pipeline or the listener alone, without faults.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::allowance::ApiShare;
use domain::job::{JobKind, PausedBy, SalesforceShown};
use domain::settings::{Settings, SettingsRevision};
use domain::tally::Count;
use domain::unit::{Envelope, Lane, QueueName, Stage};
use domain::{ObjectKind, SalesforceId, Timestamp};
use ports::Clock;
use ports::queue::Subscription;
use ports::stores::{GapCause, LogQuery, StoreError, StreamState, WorkerState};
use runtime::figures;
use serde_json::{Value, json};

use crate::chance::Rates;
use crate::clock::in_its_own_time;
use crate::judge::{self, Epoch};
use crate::mutants::Mutant;
use crate::rest;
use crate::salesforce::{insert_all, transact, updating};
use crate::steps::People;
use crate::world::{Service, TOPIC, World};

const LOOK_AGAIN: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(30 * 3_600);

pub(crate) fn world(seed: u64) -> World {
    World::new(seed, Rates::NONE, Mutant::None)
}

pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let end = tokio::time::Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(tokio::time::Instant::now() < end, "not in time: {what}");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Saves changed settings, as an administrator does.
pub(crate) async fn save(world: &World, change: impl FnOnce(&mut Settings)) -> SettingsRevision {
    let mut wanted = Settings::default();
    let mut change = Some(change);
    loop {
        let current = world.stores.settings.current().await.unwrap();
        if let Some(change) = change.take() {
            wanted = current.settings.clone();
            change(&mut wanted);
        }
        wanted.org = current.settings.org;
        let next = current.next(
            wanted.clone(),
            current.field_types.clone(),
            current.org.clone(),
            "an administrator",
            world.clock.now(),
        );
        match world.stores.settings.save(&next, None).await {
            Ok(()) => return next,
            // mosync has just written down which org this is.
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

pub(crate) async fn stream(world: &World) -> Option<StreamState> {
    world.stores.position.stream(TOPIC).await.unwrap()
}

async fn state_of_listener(world: &World) -> Option<WorkerState> {
    let reports = world.stores.reports.reports().await.unwrap();
    reports.get("listener").map(|report| report.state.clone())
}

pub(crate) async fn figure(world: &World, name: &str) -> Option<i64> {
    let reports = world.stores.reports.reports().await.unwrap();
    reports.get("listener")?.figures.get(name).copied()
}

/// That many accounts, of one transaction and so of one stamp.
pub(crate) fn add_accounts(world: &World, number: usize) {
    let account = |place| json!({ "Name": format!("Account {place}") });
    insert_all(&world.org, "Account", (0..number).map(account));
}

pub(crate) fn rename_all(world: &World, name: &str) {
    let accounts = world.org.records("Account");
    let name = json!({ "Name": name });
    let renames = accounts.iter();
    let renames = renames.map(|account| updating("Account", account.id(), &name));
    transact(&world.org, renames);
}

/// Who takes live changes from the queue, one unit after the other.
pub(crate) async fn taker(world: &World) -> Box<dyn Subscription> {
    let live = QueueName::new(Stage::Filter, Lane::Live);
    world.embedded.queue().subscribe(live, 1).await.unwrap()
}

/// What was published as live changes.
#[derive(Debug, Default)]
pub(crate) struct Published {
    times: BTreeMap<SalesforceId, usize>,
    pub(crate) read: u64,
    collapsed: u64,
}

/// Takes what was published since the last time.
pub(crate) async fn published(world: &World, taker: &mut dyn Subscription) -> Published {
    let live = QueueName::new(Stage::Filter, Lane::Live);
    let mut all = Published::default();
    while world.embedded.queue().depth(live).await.unwrap() > 0 {
        let incoming = taker.next().await.unwrap();
        let unit = Envelope::decode(&incoming.message.body).unwrap();
        all.read += unit.tally.total(Count::Read);
        all.collapsed += unit.tally.total(Count::Collapsed);
        for record in unit.records {
            *all.times.entry(record.id).or_default() += 1;
        }
        incoming.delivery.ack().await.unwrap();
    }
    all
}

/// A listener alone that has heard of everything so far.
pub(crate) async fn listening(world: &mut World) -> Box<dyn Subscription> {
    world.start(Service::Listener);
    until("the first position", async || {
        stream(world).await.is_some_and(|stream| stream.at_end)
    })
    .await;
    let mut taker = taker(world).await;
    published(world, &mut *taker).await;
    taker
}

pub(crate) fn frequency(text: &str) -> impl FnOnce(&mut Settings) {
    let frequency = text.parse().unwrap();
    move |settings| settings.frequency = frequency
}

#[tokio::test(start_paused = true)]
async fn a_window_brings_each_record_once_and_counts_every_change() {
    let mut world = world(1);
    save(&world, frequency("every_15_min")).await;
    add_accounts(&world, 250);
    let mut taker = listening(&mut world).await;
    let begun = stream(&world).await.unwrap();
    let next = figure(&world, figures::NEXT_WINDOW).await.unwrap();
    // 12:00:00.25 is when the world begins.
    assert_eq!(
        Timestamp::from_micros(next).to_soql(),
        "2026-06-15T12:15:00Z"
    );
    for round in 0..20 {
        rename_all(&world, &format!("name {round}"));
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
    let before = published(&world, &mut *taker).await;
    assert_eq!(before.read, 0, "before its window nothing is taken");
    // Nor does a listener that is started anew take anything before.
    world.kill(Service::Listener).await;
    world.start(Service::Listener);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(stream(&world).await.unwrap(), begun);
    until("the window", async || {
        stream(&world)
            .await
            .is_some_and(|stream| stream.at_end && stream.heard > begun.heard)
    })
    .await;
    let heard = stream(&world).await.unwrap().heard;
    assert!(heard.since(Timestamp::from_micros(next)) < Duration::from_secs(10));
    let taken = published(&world, &mut *taker).await;
    assert_eq!(taken.times.len(), 250);
    assert!(taken.times.values().all(|times| *times == 1));
    assert_eq!((taken.read, taken.collapsed), (20 * 250, 19 * 250));
    assert_eq!(figure(&world, figures::WINDOW_CHANGES).await, Some(5_000));
    assert_eq!(figure(&world, figures::WINDOW_RECORDS).await, Some(250));
}

#[tokio::test(start_paused = true)]
async fn a_large_window_is_published_in_parts() {
    let mut world = world(1);
    save(&world, frequency("every_60_min")).await;
    let mut taker = listening(&mut world).await;
    for _ in 0..11 {
        add_accounts(&world, 2_000);
    }
    until("the first part", async || {
        let stream = stream(&world).await;
        stream.is_some_and(|stream| !stream.at_end)
    })
    .await;
    // What is stored is published, and another listener goes on behind it at once.
    world.kill(Service::Listener).await;
    let first = published(&world, &mut *taker).await.times.len();
    assert!((20_000..22_000).contains(&first), "{first}");
    world.start(Service::Listener);
    until("the rest", async || {
        stream(&world).await.is_some_and(|stream| stream.at_end)
    })
    .await;
    let rest = published(&world, &mut *taker).await.times.len();
    assert_eq!(first + rest, 22_000);
}

#[tokio::test(start_paused = true)]
async fn a_save_of_the_frequency_takes_effect_at_once() {
    let mut world = world(1);
    save(&world, frequency("daily_at_13:00")).await;
    add_accounts(&world, 1);
    let mut taker = listening(&mut world).await;
    rename_all(&world, "in vain");
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(published(&world, &mut *taker).await.read, 0);
    save(&world, frequency("real_time")).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(published(&world, &mut *taker).await.read, 1);
    assert_eq!(figure(&world, figures::NEXT_WINDOW).await, None);
    rename_all(&world, "at once");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(published(&world, &mut *taker).await.read, 1);
    save(&world, frequency("daily_at_13:00")).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    rename_all(&world, "at one o'clock");
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(published(&world, &mut *taker).await.read, 0);
    // 13:00 in the org's zone, which is GMT; it is about ten past noon.
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(published(&world, &mut *taker).await.read, 1);
}

/// Somebody writes all the time; how often by then.
async fn write_until(world: &World, end: Timestamp) -> u64 {
    let mut written = 0;
    while world.clock.now() < end {
        rename_all(world, &format!("name {written}"));
        written += 1;
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    written
}

/// As silent as Salesforce may be.
const KEEP_ALIVE: Duration = Duration::from_secs(270);

async fn next_window(world: &World) -> Timestamp {
    until("the next window is told", async || {
        figure(world, figures::NEXT_WINDOW).await.is_some()
    })
    .await;
    Timestamp::from_micros(figure(world, figures::NEXT_WINDOW).await.unwrap())
}

async fn is_open(world: &World) -> bool {
    figure(world, figures::NEXT_WINDOW).await.is_none()
}

#[tokio::test(start_paused = true)]
async fn a_window_ends_although_the_stream_never_falls_silent() {
    let mut world = world(1);
    save(&world, frequency("every_5_min")).await;
    add_accounts(&world, 1);
    let mut taker = listening(&mut world).await;
    world.salesforce.keep_alive_after(KEEP_ALIVE);
    let mut window = next_window(&world).await;
    // A window takes what was written before it, and the next what was written after that.
    let mut to_come = 0;
    for _ in 0..3 {
        to_come += write_until(&world, window.after(Duration::from_secs(15))).await;
        let taken = published(&world, &mut *taker).await;
        assert_eq!(taken.times.into_values().collect::<Vec<_>>(), [1]);
        assert_eq!(taken.collapsed, taken.read - 1);
        let after = to_come - taken.read;
        assert!((1..=4).contains(&after), "{after} of {to_come} are left");
        to_come = after;
        let state = stream(&world).await.unwrap();
        assert!(!state.at_end, "events are still coming");
        assert!(state.heard.since(window) < Duration::from_secs(10));
        window = window.after(Duration::from_secs(300));
        assert_eq!(next_window(&world).await, window);
        // What was committed since it was opened may be in the next one, whenever it was over.
        let state = stream(&world).await.unwrap();
        assert!(state.window_over);
        assert!(state.heard < state.last_event.unwrap(), "{state:?}");
        // A listener that is started anew keeps to it.
        world.kill(Service::Listener).await;
        world.start(Service::Listener);
    }
}

/// The window's end cannot be told by an org's clock that is an hour behind.
#[tokio::test(start_paused = true)]
async fn a_window_without_an_end_is_published_in_parts() {
    let mut world = world(1);
    save(&world, frequency("every_5_min")).await;
    add_accounts(&world, 1);
    let mut taker = listening(&mut world).await;
    world.salesforce.keep_alive_after(KEEP_ALIVE);
    world.salesforce.set_back(Duration::from_secs(3_600));
    let window = next_window(&world).await;
    write_until(&world, window.after(Duration::from_secs(315))).await;
    let taken = published(&world, &mut *taker).await;
    assert_eq!(taken.times.into_values().collect::<Vec<_>>(), [1]);
    assert!(taken.read > 100, "{}", taken.read);
    assert!(is_open(&world).await);
}

#[tokio::test(start_paused = true)]
async fn what_a_window_has_brought_does_not_wait_for_a_keep_alive() {
    let mut world = world(1);
    save(&world, frequency("every_15_min")).await;
    add_accounts(&world, 1);
    let mut taker = listening(&mut world).await;
    world.salesforce.keep_alive_after(KEEP_ALIVE);
    rename_all(&world, "before the window");
    let until_window = next_window(&world).await.since(world.clock.now());
    tokio::time::sleep(until_window + Duration::from_secs(15)).await;
    assert_eq!(published(&world, &mut *taker).await.read, 1);
    assert!(is_open(&world).await, "the server may have more");
    assert!(!stream(&world).await.unwrap().at_end);
    tokio::time::sleep(KEEP_ALIVE).await;
    assert!(!is_open(&world).await);
    assert!(stream(&world).await.unwrap().at_end);
}

#[tokio::test(start_paused = true)]
async fn a_window_that_is_being_taken_gives_way_at_once() {
    let mut world = world(1);
    save(&world, frequency("every_15_min")).await;
    add_accounts(&world, 1);
    let mut taker = listening(&mut world).await;
    // Nothing but an event ends a window by itself.
    world.salesforce.keep_alive_after(PATIENCE);
    rename_all(&world, "before the window");
    let until_window = next_window(&world).await.since(world.clock.now());
    tokio::time::sleep(until_window + Duration::from_secs(3)).await;
    assert!(is_open(&world).await);
    // To real time, with what it has brought so far.
    assert_eq!(published(&world, &mut *taker).await.read, 0);
    save(&world, frequency("real_time")).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(published(&world, &mut *taker).await.read, 1);
    for name in ["at once", "and again"] {
        rename_all(&world, name);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(published(&world, &mut *taker).await.read, 1, "{name}");
    }
    // To the org's allowance.
    save(&world, frequency("every_15_min")).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(is_open(&world).await, "real time has not come to the end");
    world.salesforce.allow(1_000, 100);
    let begun = world.clock.now();
    until("live changes wait", async || {
        matches!(
            state_of_listener(&world).await,
            Some(WorkerState::Paused(why)) if why.contains("live changes go on at")
        )
    })
    .await;
    assert!(world.clock.now().since(begun) < Duration::from_secs(600));
}

#[tokio::test(start_paused = true)]
async fn polls_keep_to_the_windows() {
    let mut world = world(1);
    world.poll([ObjectKind::Account].into());
    save(&world, frequency("every_30_min")).await;
    add_accounts(&world, 1);
    let mut taker = listening(&mut world).await;
    // What the overlap of the first polls brings again.
    tokio::time::sleep(Duration::from_secs(31 * 60)).await;
    published(&world, &mut *taker).await;
    rename_all(&world, "soon");
    tokio::time::sleep(Duration::from_secs(28 * 60)).await;
    assert_eq!(published(&world, &mut *taker).await.read, 0);
    tokio::time::sleep(Duration::from_secs(2 * 60)).await;
    assert_eq!(published(&world, &mut *taker).await.read, 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_late_is_told() {
    let mut world = world(1);
    save(&world, frequency("every_5_min")).await;
    listening(&mut world).await;
    world.kill(Service::Listener).await;
    tokio::time::sleep(Duration::from_secs(49 * 3_600)).await;
    world.start(Service::Listener);
    until("the warning", async || {
        let log = world
            .stores
            .log
            .search(&LogQuery::default(), None, 100)
            .await;
        let lines = log.unwrap().entries;
        lines
            .iter()
            .any(|(_, line)| line.topic == "stream" && line.message.contains("last heard 49 h ago"))
    })
    .await;
}

/// People, deals and permissions, everything in mOS and at rest.
pub(crate) async fn at_rest(world: &mut World) -> Vec<Epoch> {
    people(world).set_up();
    world.start_all();
    rest::wait(world, world.clock.now()).await.unwrap();
    vec![Epoch {
        from: 0,
        revision: world.stores.settings.current().await.unwrap(),
    }]
}

pub(crate) fn people(world: &World) -> People<'_> {
    People {
        org: &world.org,
        chance: &world.chance,
        clock: &world.clock,
    }
}

pub(crate) fn touch_deals(world: &World, what: &Value) {
    let deals = world.org.records("Opportunity");
    let deals = deals.iter().filter(|deal| !deal.flag("IsDeleted"));
    let updates = deals.map(|deal| updating("Opportunity", deal.id(), what));
    transact(&world.org, updates);
}

/// Disables the sync; answers when the listener has let go of the stream.
async fn disable(world: &World, epochs: &mut Vec<Epoch>) {
    let revision = save(world, |settings| settings.disabled = true).await;
    epochs.push(Epoch {
        from: world.clock.micros(),
        revision,
    });
    until("the listener pauses", async || {
        matches!(
            state_of_listener(world).await,
            Some(WorkerState::Paused(why)) if why.contains("disabled")
        )
    })
    .await;
}

async fn enable(world: &World, epochs: &mut Vec<Epoch>) {
    let revision = save(world, |settings| settings.disabled = false).await;
    epochs.push(Epoch {
        from: world.clock.micros(),
        revision,
    });
}

async fn jobs_of(world: &World, kind: JobKind) -> usize {
    let jobs = world.stores.jobs.list(1_000).await.unwrap();
    jobs.iter().filter(|job| job.kind == kind).count()
}

fn requests(world: &World) -> usize {
    world.mos.ledger_since(0).len()
}

#[tokio::test(start_paused = true)]
async fn what_changes_while_it_is_disabled_is_caught_up_from_the_stored_position() {
    for seed in 0..3 {
        let mut world = world(seed);
        let mut epochs = at_rest(&mut world).await;
        touch_deals(&world, &json!({ "NextStep": "on their way" }));
        disable(&world, &mut epochs).await;
        let (left, sent) = (stream(&world).await, requests(&world));
        for step in 0..5 {
            people(&world).step();
            touch_deals(&world, &json!({ "NextStep": format!("step {step}") }));
            tokio::time::sleep(Duration::from_secs(600)).await;
        }
        assert_eq!(stream(&world).await, left, "the stream stays where it is");
        assert_eq!(requests(&world), sent, "nothing is sent");
        enable(&world, &mut epochs).await;
        rest::wait(&world, world.clock.now()).await.unwrap();
        assert_eq!(judge::faults(&world, &epochs).await, [""; 0]);
        assert_eq!(jobs_of(&world, JobKind::SyncAll).await, 1, "the first load");
    }
}

#[tokio::test(start_paused = true)]
async fn a_position_that_is_refused_after_a_pause_brings_a_sync_all() {
    let mut world = world(4);
    let mut epochs = at_rest(&mut world).await;
    disable(&world, &mut epochs).await;
    touch_deals(&world, &json!({ "NextStep": "unheard" }));
    world.log.invalidate_replay_ids();
    enable(&world, &mut epochs).await;
    rest::wait(&world, world.clock.now()).await.unwrap();
    assert_eq!(judge::faults(&world, &epochs).await, [""; 0]);
    let gaps = world.stores.position.gaps().await.unwrap();
    let causes = gaps.iter().map(|gap| gap.cause).collect::<Vec<_>>();
    assert_eq!(causes, [GapCause::PositionRejected]);
    assert_eq!(jobs_of(&world, JobKind::SyncAll).await, 2);
}

#[tokio::test(start_paused = true)]
async fn bulk_reading_waits_for_the_allowance_before_live_changes_do() {
    let mut world = world(5);
    people(&world).set_up();
    // Less than twice the reserve is left of the org's allowance.
    world.salesforce.allow(1_000, 150);
    world.start_all();
    until("the first load waits", async || {
        let jobs = world.stores.jobs.list(100).await.unwrap();
        let load = jobs.iter().find(|job| job.kind == JobKind::SyncAll);
        load.is_some_and(|load| load.salesforce_shown() == SalesforceShown::PausedQuota)
    })
    .await;
    let jobs = world.stores.jobs.list(100).await.unwrap();
    let load = jobs.iter().find(|job| job.kind == JobKind::SyncAll);
    let pause = load.unwrap().paused.clone().unwrap();
    assert_eq!(pause.by, PausedBy::Quota);
    assert!(pause.why.contains("are left to the org"), "{}", pause.why);
    assert!(pause.until.unwrap() > world.clock.now());
    // Live changes go on.
    let sent = requests(&world);
    touch_deals(&world, &json!({ "NextStep": "live" }));
    until("live changes arrive", async || requests(&world) > sent).await;
    // Until only the reserve is left.
    world.salesforce.allow(1_000, 100);
    until("live changes wait", async || {
        matches!(
            state_of_listener(&world).await,
            Some(WorkerState::Paused(why)) if why.contains("live changes go on at")
        )
    })
    .await;
    let held_until = async || {
        let bulk = figure(&world, figures::API_BULK_HELD_UNTIL).await;
        let live = figure(&world, figures::API_LIVE_HELD_UNTIL).await;
        (bulk.unwrap(), live.unwrap())
    };
    let said = held_until().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(held_until().await, said, "a time that was said stands");
    let (left, sent) = (stream(&world).await, requests(&world));
    touch_deals(&world, &json!({ "NextStep": "later" }));
    tokio::time::sleep(Duration::from_secs(1_800)).await;
    assert_eq!((stream(&world).await, requests(&world)), (left, sent));
    world.salesforce.allow(1_000, 1_000);
    rest::wait(&world, world.clock.now()).await.unwrap();
    let epochs = [Epoch {
        from: 0,
        revision: world.stores.settings.current().await.unwrap(),
    }];
    assert_eq!(judge::faults(&world, &epochs).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_read_while_the_org_has_used_up_its_allowance() {
    let mut world = world(6);
    let epochs = at_rest(&mut world).await;
    // Every call is refused, the question how much is left too.
    world.salesforce.allow(1_000, 0);
    until("live changes wait", async || {
        figure(&world, figures::API_LIVE_HELD_UNTIL).await.is_some()
    })
    .await;
    touch_deals(&world, &json!({ "NextStep": "later" }));
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    world.salesforce.allow(1_000, 800);
    rest::wait(&world, world.clock.now()).await.unwrap();
    assert_eq!(figure(&world, figures::API_LIVE_HELD_UNTIL).await, None);
    assert_eq!(judge::faults(&world, &epochs).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn mosync_keeps_to_its_share_by_its_own_count() {
    let mut world = world(7);
    people(&world).set_up();
    world.salesforce.allow(10_000, 10_000);
    let now = world.clock.now();
    world.stores.calls.add_calls(now, 3_000).await.unwrap();
    save(&world, |settings| {
        settings.api_share = ApiShare::new(30, 10).unwrap();
    })
    .await;
    world.start(Service::Listener);
    until("bulk reading waits", async || {
        figure(&world, figures::API_BULK_HELD_UNTIL).await.is_some()
    })
    .await;
    let until_when = figure(&world, figures::API_BULK_HELD_UNTIL).await.unwrap();
    // The hour of the requests, and a day.
    assert_eq!(
        Timestamp::from_micros(until_when).to_soql(),
        "2026-06-16T13:00:00Z"
    );
    assert_eq!(figure(&world, figures::API_OURS).await, Some(3_000));
    assert_eq!(figure(&world, figures::API_LIVE_HELD_UNTIL).await, None);
    // An administrator who gives more lets it go on at once.
    save(&world, |settings| {
        settings.api_share = ApiShare::new(31, 10).unwrap();
    })
    .await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(figure(&world, figures::API_BULK_HELD_UNTIL).await, None);
}

/// Random steps under faults and crashes, while somebody changes the frequency and disables the
/// sync again and again.
async fn play(seed: u64) -> Vec<String> {
    let mut world = World::new(seed, Rates::FULL, Mutant::None);
    people(&world).set_up();
    let first = save(&world, frequency("every_5_min")).await;
    let mut epochs = vec![Epoch {
        from: 0,
        revision: first,
    }];
    world.chance.set_faulty(true);
    world.start_all();
    for _ in 0..30 {
        if world.chance.happens(Rates::FULL.crash) {
            let service = *world.chance.pick(&Service::ALL).unwrap();
            if !world.kill(service).await {
                world.start(service);
            }
        }
        if world.chance.happens(0.2) {
            let disabled = world.chance.happens(0.4);
            let taken = ["real_time", "every_5_min", "every_15_min"];
            let taken = frequency(world.chance.pick(&taken).unwrap());
            let revision = save(&world, |settings| {
                taken(settings);
                settings.disabled = disabled;
            });
            let revision = revision.await;
            epochs.push(Epoch {
                from: world.clock.micros(),
                revision,
            });
        }
        people(&world).step();
        let up_to_ms = if world.chance.happens(0.3) {
            400_000
        } else {
            3_000
        };
        world.chance.delay(up_to_ms).await;
    }
    let last_write = world.clock.now();
    world.chance.set_faulty(false);
    world.start_all();
    enable(&world, &mut epochs).await;
    match rest::wait(&world, last_write).await {
        Ok(()) => judge::faults(&world, &epochs).await,
        Err(why) => vec![why],
    }
}

#[test]
fn scripts_in_windows_and_with_pauses_end_as_the_oracle_says() {
    for seed in 0..12 {
        let faults = in_its_own_time(play(seed));
        assert_eq!(faults, [""; 0], "seed {seed}");
    }
}
