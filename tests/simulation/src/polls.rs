//! Objects without change capture: where their polls begin, how they go on, and what they leave
//! out. The listener alone, and the units that it publishes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::job::JobKind;
use domain::unit::{Envelope, Lane, QueueName, Stage};
use domain::{ObjectKind, SalesforceId, Timestamp};
use ports::Clock;
use ports::queue::Subscription;
use ports::stores::{GapCause, PollState};
use serde_json::json;

use crate::chance::Rates;
use crate::moves::{add_accounts, taker};
use crate::mutants::Mutant;
use crate::salesforce::update;
use crate::source::Slow;
use crate::world::{POLL, Service, TOPIC, World};

const LOOK_AGAIN: Duration = Duration::from_millis(7);
const PATIENCE: Duration = Duration::from_secs(3_600);

fn world(seed: u64, rates: Rates, polled: &[ObjectKind]) -> World {
    let mut world = World::new(seed, rates, Mutant::None);
    world.poll(polled.iter().copied().collect());
    world
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let end = tokio::time::Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(tokio::time::Instant::now() < end, "not in time: {what}");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

async fn poll_of(world: &World, object: ObjectKind) -> Option<PollState> {
    world.stores.position.poll(object).await.unwrap()
}

/// Waits until as many further polls have come to their end.
async fn polled(world: &World, object: ObjectKind, times: u32) {
    for _ in 0..times {
        let before = poll_of(world, object).await.and_then(|poll| poll.polled);
        until("a further poll", async || {
            poll_of(world, object).await.and_then(|poll| poll.polled) > before
        })
        .await;
    }
}

/// How often each account was published as a live change; takes the units from the queue.
async fn published(world: &World, taker: &mut dyn Subscription) -> BTreeMap<SalesforceId, usize> {
    let live = QueueName::new(Stage::Filter, Lane::Live);
    let mut times = BTreeMap::new();
    while world.embedded.queue().depth(live).await.unwrap() > 0 {
        let incoming = taker.next().await.unwrap();
        let unit = Envelope::decode(&incoming.message.body).unwrap();
        for record in unit.records {
            assert_eq!(record.object, ObjectKind::Account);
            *times.entry(record.id).or_insert(0) += 1;
        }
        incoming.delivery.ack().await.unwrap();
    }
    times
}

#[tokio::test(start_paused = true)]
async fn every_polled_object_has_a_position_before_the_first_load() {
    let often_out_of_reach = Rates {
        source_unreachable: 0.6,
        ..Rates::NONE
    };
    for seed in 0..10 {
        let mut world = world(seed, often_out_of_reach, &ObjectKind::ALL);
        world.chance.set_faulty(true);
        world.start(Service::Listener);
        until("the first load", async || {
            let jobs = world.stores.jobs.list(10).await.unwrap();
            let stream = world.stores.position.stream(TOPIC).await.unwrap();
            if stream.is_none() && jobs.iter().all(|job| job.kind == JobKind::Live) {
                return false;
            }
            for object in ObjectKind::ALL {
                let poll = poll_of(&world, object).await;
                let begun = poll.expect("a load without a position to poll from");
                assert!(!begun.hole, "{object}: nothing was synced before");
            }
            true
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn thousands_of_records_of_one_stamp_are_published_and_then_left_out() {
    let mut world = world(1, Rates::NONE, &[ObjectKind::Account]);
    world.start(Service::Listener);
    polled(&world, ObjectKind::Account, 1).await;
    add_accounts(&world, 4_500);
    polled(&world, ObjectKind::Account, 3).await;
    let times = published(&world, &mut *taker(&world).await).await;
    assert_eq!(times.len(), 4_500);
    // Once more after that second: one of them may have changed twice within it.
    let times = times.values().copied().collect::<BTreeSet<_>>();
    assert_eq!(times, BTreeSet::from([2]));
}

/// Changes the only account; answers its stamp.
fn rename(world: &World, name: &str) -> String {
    let account = world.org.records("Account").remove(0);
    update(
        &world.org,
        "Account",
        account.id(),
        &json!({ "Name": name }),
    );
    let renamed = world.org.record("Account", account.id()).unwrap();
    renamed.text("SystemModstamp").unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_second_change_within_a_second_is_published() {
    for seed in 0..20 {
        let mut world = world(seed, Rates::NONE, &[ObjectKind::Account]);
        add_accounts(&world, 1);
        world.start(Service::Listener);
        polled(&world, ObjectKind::Account, 3).await;
        let mut taker = taker(&world).await;
        published(&world, &mut *taker).await;
        let last = poll_of(&world, ObjectKind::Account).await;
        let next = last.and_then(|poll| poll.polled).unwrap().after(POLL);
        let a_moment_before = next.since(world.clock.now()) - Duration::from_millis(50);
        tokio::time::sleep(a_moment_before).await;
        let first = rename(&world, "first");
        assert!(until_published(&world, &mut *taker).await);
        if rename(&world, "second") == first {
            assert!(until_published(&world, &mut *taker).await);
            return;
        }
    }
    panic!("no poll came between two changes of one second");
}

/// Waits for a poll that publishes something.
async fn until_published(world: &World, taker: &mut dyn Subscription) -> bool {
    let end = tokio::time::Instant::now() + POLL * 3;
    while tokio::time::Instant::now() < end {
        if !published(world, taker).await.is_empty() {
            return true;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    false
}

/// What a transaction has stamped may become visible behind the reader, for as long as it reads.
#[tokio::test(start_paused = true)]
async fn a_poll_that_took_long_begins_the_next_one_so_much_earlier() {
    const TOOK: Duration = Duration::from_secs(20 * 60);
    const OVERLAP: Duration = Duration::from_secs(10 * 60);
    let mut world = world(1, Rates::NONE, &[ObjectKind::Account]);
    add_accounts(&world, 1);
    world.start(Service::Listener);
    polled(&world, ObjectKind::Account, 1).await;
    tokio::time::sleep(3 * TOOK).await;
    world.salesforce.slow_down(Some(Slow {
        words: "ORDER BY SystemModstamp",
        time: TOOK,
        gives_up: false,
    }));
    let stamp = Timestamp::parse(&rename(&world, "late")).unwrap();
    polled(&world, ObjectKind::Account, 2).await;
    let next = poll_of(&world, ObjectKind::Account).await.unwrap().from;
    let latest = stamp.before(OVERLAP + TOOK);
    assert!(next <= latest, "{next} is later than {latest}");
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_was_interrupted_goes_on_where_it_was() {
    let mut world = world(1, Rates::NONE, &[ObjectKind::Account]);
    world.start(Service::Listener);
    polled(&world, ObjectKind::Account, 1).await;
    add_accounts(&world, 4_500);
    until("a poll under way", async || {
        let poll = poll_of(&world, ObjectKind::Account).await;
        poll.is_some_and(|poll| poll.under_way.is_some())
    })
    .await;
    world.kill(Service::Listener).await;
    let mut taker = taker(&world).await;
    let first = published(&world, &mut *taker).await;
    assert_eq!(first.len(), 2_000);
    world.start(Service::Listener);
    polled(&world, ObjectKind::Account, 1).await;
    let rest = published(&world, &mut *taker).await;
    assert_eq!(rest.len(), 2_500);
    assert!(rest.keys().all(|id| !first.contains_key(id)));
}

/// Else what is left out would wait for the next poll, in windows for a day.
#[tokio::test(start_paused = true)]
async fn a_poll_that_got_fewer_rows_than_promised_asks_again() {
    let mut world = world(1, Rates::NONE, &[ObjectKind::Account]);
    world.start(Service::Listener);
    polled(&world, ObjectKind::Account, 1).await;
    add_accounts(&world, 3);
    world
        .salesforce
        .cut_short("FROM Account WHERE SystemModstamp", 1);
    polled(&world, ObjectKind::Account, 1).await;
    assert_eq!(world.salesforce.to_be_cut_short(), 0);
    let times = published(&world, &mut *taker(&world).await).await;
    assert_eq!(times.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_polled_later_opens_a_gap_once() {
    let mut world = world(1, Rates::NONE, &[]);
    world.start(Service::Listener);
    until("the first position", async || {
        let stream = world.stores.position.stream(TOPIC).await.unwrap();
        stream.is_some()
    })
    .await;
    world.kill(Service::Listener).await;
    world.poll(BTreeSet::from([ObjectKind::Contact]));
    for _ in 0..2 {
        world.start(Service::Listener);
        polled(&world, ObjectKind::Contact, 2).await;
        world.kill(Service::Listener).await;
    }
    let gaps = world.stores.position.gaps().await.unwrap();
    let [gap] = gaps.as_slice() else {
        panic!("{gaps:?}");
    };
    assert_eq!(gap.cause, GapCause::NotHeard);
    assert!(gap.evidence.starts_with("Contact is polled from "));
    let job = world.stores.jobs.get(&gap.job).await.unwrap().unwrap();
    assert_eq!(job.kind, JobKind::SyncAll);
}

/// A record is stamped before it becomes visible: polls look back far enough to find it though
/// younger ones were seen meanwhile.
#[tokio::test(start_paused = true)]
async fn records_that_become_visible_late_are_published() {
    const RECORDS: usize = 40;
    let seen_late = Rates {
        seen_late: 0.7,
        ..Rates::NONE
    };
    let mut world = world(1, seen_late, &[ObjectKind::Account]);
    world.chance.set_faulty(true);
    world.start(Service::Listener);
    polled(&world, ObjectKind::Account, 1).await;
    for _ in 0..RECORDS {
        add_accounts(&world, 1);
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    polled(&world, ObjectKind::Account, 15).await;
    let times = published(&world, &mut *taker(&world).await).await;
    assert_eq!(times.len(), RECORDS);
}
