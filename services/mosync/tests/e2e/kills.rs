//! Killed without warning, one after the other: workers, broker, store.

use crate::chance::Chance;
use crate::people;
use crate::world::{Options, WORKERS, World, pending, ready};

/// The three that take units from a queue.
const CONSUMERS: [&str; 3] = ["filter", "permission", "load"];

/// The process that serves a stage.
fn worker_of(stage: &str) -> &'static str {
    match stage {
        "filter" => "filter",
        "permission" => "permission",
        "load" => "loader",
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_amid_live_changes_costs_nothing() {
    let mut world = World::at_rest(Options::default()).await;
    world.audit("after the first load", &[]);
    let chance = Chance::of_seed(1);
    for stage in CONSUMERS {
        let worker = worker_of(stage);
        people::work(&world, &chance, 12).await;
        world.freeze(worker);
        people::work(&world, &chance, 6).await;
        world.touch_all_deals();
        let written = world.now();
        world
            .until_lasting("units are in the frozen worker's hands", |status| {
                status["stream"]["heard"].as_i64() > Some(written)
                    && status["stream"]["at_end"] == true
                    && pending(status) > 0
            })
            .await;
        world.kill9(worker);
        world.until_redelivered(&format!("{stage}.live")).await;
        people::work(&world, &chance, 4).await;
        world.start(worker);
        world
            .rest_and_audit(&format!("{worker} was killed\n{}", chance.trace()))
            .await;
    }
    for _ in 0..2 {
        people::work(&world, &chance, 12).await;
        world.kill9("listener");
        people::work(&world, &chance, 8).await;
        world.start("listener");
        people::work(&world, &chance, 4).await;
        world
            .rest_and_audit(&format!("the listener was killed\n{}", chance.trace()))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_in_the_first_load_costs_nothing() {
    for stage in CONSUMERS {
        let worker = worker_of(stage);
        let options = Options {
            opportunities: 250,
            ..Options::default()
        };
        let mut world = World::prepare(options).await;
        // The loader takes nothing before permissions are known.
        let before = ["permission"].into_iter().filter(|_| stage == "load");
        let started = before.chain([worker]).collect::<Vec<_>>();
        for worker in &started {
            world.start(worker);
        }
        world.until_consumed(&format!("{stage}.bulk")).await;
        world.freeze(worker);
        for other in WORKERS.into_iter().filter(|other| !started.contains(other)) {
            world.start(other);
        }
        world
            .until_lasting("the load is in the frozen worker's hands", |status| {
                pending(status) > 0 && ready(status) == 0
            })
            .await;
        world.kill9(worker);
        world.until_redelivered(&format!("{stage}.bulk")).await;
        world.start(worker);
        world
            .rest_and_audit(&format!("{worker} was killed in the first load"))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_is_killed_while_it_reads_the_org_reads_on() {
    let options = Options {
        opportunities: 250,
        ..Options::default()
    };
    let mut world = World::prepare(options).await;
    world.start_all();
    world
        .until("the first load has begun", |status| {
            !status["jobs"].as_array().unwrap().is_empty()
        })
        .await;
    world.kill9("listener");
    people::work(&world, &Chance::of_seed(2), 5).await;
    world.start("listener");
    world.rest_and_audit("the listener was killed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_and_the_store_may_be_killed_amid_live_changes() {
    let mut world = World::at_rest(Options::default()).await;
    let chance = Chance::of_seed(3);
    people::work(&world, &chance, 10).await;
    world.with_servers(|servers| servers.rabbit.kill9()).await;
    what_needs_no_broker_goes_on(&world).await;
    people::work(&world, &chance, 10).await;
    world.with_servers(|servers| servers.rabbit.restart()).await;
    people::work(&world, &chance, 10).await;
    world
        .rest_and_audit(&format!("the broker was killed\n{}", chance.trace()))
        .await;

    people::work(&world, &chance, 10).await;
    world.with_servers(|servers| servers.redis.kill9()).await;
    people::work(&world, &chance, 10).await;
    world.with_servers(|servers| servers.redis.restart()).await;
    people::work(&world, &chance, 10).await;
    world
        .rest_and_audit(&format!("Redis was killed\n{}", chance.trace()))
        .await;
}

/// With the broker dead: the status is told and says what is wrong, and orders that are a matter of
/// the store alone are done.
async fn what_needs_no_broker_goes_on(world: &World) {
    let status = world.mosync(&["status"]).await;
    assert_eq!(status.code, Some(3), "{status:?}");
    let first = status.stdout.lines().next().unwrap_or_default();
    assert!(
        first.starts_with("out_of_reach: ") && first.contains("message broker"),
        "{status:?}"
    );
    for value in ["on", "off"] {
        let saved = world.mosync(&["settings", "set", "disabled", value]).await;
        assert_eq!(saved.code, Some(0), "{saved:?}");
    }
    let dead = world.mosync(&["dead", "list"]).await;
    assert_eq!(dead.code, Some(3), "{dead:?}");
}
