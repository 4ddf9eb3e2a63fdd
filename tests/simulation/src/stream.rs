//! The stream's end, as the listener stores it for whoever asks whether all is at rest.

use std::time::Duration;

use ports::Clock;

use crate::chance::Rates;
use crate::moves::add_accounts;
use crate::mutants::Mutant;
use crate::world::{Service, TOPIC, World};

const LOOK_AGAIN: Duration = Duration::from_millis(7);
const EVENTS: usize = 400;

/// Answers of the server that bring events say nothing about how many are still to come.
#[tokio::test(start_paused = true)]
async fn the_end_of_the_stream_is_not_claimed_before_the_last_event() {
    let mut world = World::new(1, Rates::NONE, Mutant::None);
    let position = &std::sync::Arc::clone(&world.stores.position);
    let at_end = async || {
        let state = position.stream(TOPIC).await.unwrap();
        state
            .filter(|state| state.at_end)
            .map(|state| state.position)
    };
    world.start(Service::Listener);
    while at_end().await.is_none() {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    let last_event = async || position.stream(TOPIC).await.unwrap().unwrap().last_event;
    assert_eq!(last_event().await, None, "keep-alives are no events");
    world.kill(Service::Listener).await;
    let first = at_end().await;
    for _ in 0..EVENTS {
        add_accounts(&world, 1);
    }
    world.start(Service::Listener);
    let end = loop {
        tokio::time::sleep(LOOK_AGAIN).await;
        match at_end().await {
            // What the listener that was killed had stored.
            known if known == first => {}
            Some(end) => break end,
            None => {}
        }
    };
    let missed = world.log.events_after(Some(&end.0), EVENTS).unwrap();
    assert_eq!(missed.len(), 0, "events were still at the server");
    let heard = last_event().await.unwrap();
    // Keep-alives that follow leave it where it was.
    let stored = async || position.stream(TOPIC).await.unwrap().unwrap().heard;
    while stored().await <= heard {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    assert_eq!(last_event().await, Some(heard));
}

/// A gap in what is still to come begins no later than it: a deal that has closed there would never
/// be closed in mOS.
#[tokio::test(start_paused = true)]
async fn a_stream_that_is_behind_is_heard_up_to_what_was_taken_of_it() {
    let mut world = World::new(1, Rates::NONE, Mutant::None);
    let position = &std::sync::Arc::clone(&world.stores.position);
    let state = async || position.stream(TOPIC).await.unwrap();
    world.start(Service::Listener);
    while state().await.is_none_or(|state| !state.at_end) {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    world.kill(Service::Listener).await;
    for _ in 0..EVENTS {
        add_accounts(&world, 1);
    }
    let written = world.clock.now();
    tokio::time::sleep(Duration::from_secs(5 * 3_600)).await;
    world.start(Service::Listener);
    while state().await.unwrap().at_end {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    let behind = state().await.unwrap();
    assert!(behind.heard <= written, "{behind:?}");
    assert!(behind.last_event.unwrap() > written, "{behind:?}");
    while !state().await.unwrap().at_end {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    assert!(state().await.unwrap().heard > written);
}
