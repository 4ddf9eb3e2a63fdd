//! The ten clauses of [`crate::queue`], and what its methods say of themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::Timestamp;
use domain::unit::{Lane, QueueName, Stage};
use tokio::task::JoinSet;

use super::{soon, until};
use crate::queue::{DeadAction, Incoming, Message, PublishError, Queue, Subscription};

/// A broker of its own for each clause, with all six queues, empty.
#[async_trait]
pub trait QueueHarness: Send + Sync {
    /// A fresh link to the broker.
    async fn queue(&self) -> Arc<dyn Queue>;
    /// Stops the broker and starts it again: links break, what is durable stays.
    async fn restart_broker(&self);
    /// Removes a queue, so that publishing to it is unroutable.
    async fn remove_queue(&self, queue: QueueName);
    /// The clock by which the adapter judges `retry_at`.
    fn now(&self) -> Timestamp;
}

/// Expands to one test for each clause; the expression makes a [`QueueHarness`] and may await.
#[macro_export]
macro_rules! queue_conformance {
    ($harness:expr) => {
        $crate::queue_conformance!(@ $harness;
            c1_publish_survives_restart
            c1_retries_and_dead_letters_survive_restart
            c2_no_queue_is_unroutable
            c3_messages_of_a_dead_consumer_come_again
            c4_dropped_delivery_comes_back
            c5_never_more_than_prefetch
            c6_retry_is_never_early_and_blocks_nobody
            c6_waiting_messages_are_counted
            c7_dead_letter_keeps_everything_and_replays
            c7_dead_letter_is_discarded
            c8_settling_after_the_link_died_is_an_error
            c9_unreadable_bodies_arrive_raw
            c10_duplicates_are_delivered
            depth_counts_what_is_ready
            full_queue_refuses_until_it_is_drained
            stopped_subscription_takes_nothing_more
        );
    };
    (@ $harness:expr; $($clause:ident)*) => {
        $(
            #[tokio::test]
            async fn $clause() {
                let harness = $harness;
                $crate::conformance::queue::$clause(&harness).await;
            }
        )*
    };
}

const LIVE: QueueName = QueueName::new(Stage::Load, Lane::Live);
const BULK: QueueName = QueueName::new(Stage::Filter, Lane::Bulk);
/// Where a bulk queue refuses more.
const MAX_READY_BULK: usize = 1_200;

fn message(id: &str) -> Message {
    Message {
        id: id.to_owned(),
        kind: "conformance".to_owned(),
        version: 1,
        body: format!("body of {id}").into_bytes(),
    }
}

async fn publish(queue: &dyn Queue, to: QueueName, message: &Message) {
    soon("publish", queue.publish(to, message))
        .await
        .expect("the message is published");
}

async fn subscribe(queue: &dyn Queue, from: QueueName, prefetch: u16) -> Box<dyn Subscription> {
    soon("subscribe", queue.subscribe(from, prefetch))
        .await
        .expect("the queue can be subscribed to")
}

async fn next(subscription: &mut Box<dyn Subscription>) -> Incoming {
    soon("next delivery", subscription.next())
        .await
        .expect("the link holds")
}

async fn ack(incoming: Incoming) {
    soon("ack", incoming.delivery.ack())
        .await
        .expect("the message is acknowledged");
}

/// Clause 1: `Ok` from publish means that the message survives a restart of the broker.
pub async fn c1_publish_survives_restart(harness: &dyn QueueHarness) {
    let queue = harness.queue().await;
    let mut missing = BTreeMap::new();
    for id in ["one", "two", "three"] {
        publish(&*queue, LIVE, &message(id)).await;
        missing.insert(id.to_owned(), message(id));
    }
    drop(queue);
    harness.restart_broker().await;
    let queue = harness.queue().await;
    let mut subscription = subscribe(&*queue, LIVE, 10).await;
    while !missing.is_empty() {
        let incoming = next(&mut subscription).await;
        if let Some(published) = missing.remove(&incoming.message.id) {
            assert_eq!(*incoming.message, published);
        }
        ack(incoming).await;
    }
}

/// Clause 1, for messages that are not in a queue: those that wait to be retried and dead letters.
pub async fn c1_retries_and_dead_letters_survive_restart(harness: &dyn QueueHarness) {
    let queue = harness.queue().await;
    publish(&*queue, LIVE, &message("later")).await;
    publish(&*queue, LIVE, &message("never")).await;
    let mut subscription = subscribe(&*queue, LIVE, 10).await;
    let at = harness.now().after(Duration::from_secs(2));
    let mut left = BTreeSet::from(["later".to_owned(), "never".to_owned()]);
    while !left.is_empty() {
        let incoming = next(&mut subscription).await;
        left.remove(&incoming.message.id);
        if incoming.message.id == "later" {
            soon("retry", incoming.delivery.retry_at(at, None))
                .await
                .expect("it is sent to be retried");
        } else {
            soon("dead letter", incoming.delivery.dead_letter("a reason"))
                .await
                .expect("it is dead");
        }
    }
    drop(subscription);
    drop(queue);
    harness.restart_broker().await;
    let queue = harness.queue().await;
    let mut subscription = subscribe(&*queue, LIVE, 10).await;
    let incoming = next(&mut subscription).await;
    assert_eq!(*incoming.message, message("later"));
    assert!(harness.now() >= at, "delivered before its time");
    ack(incoming).await;
    until("the dead letter is there", async || {
        queue.dead_count().await == Ok(1)
    })
    .await;
}

/// Clause 2: no queue for it is `Unroutable`, never `Ok`; other queues go on.
pub async fn c2_no_queue_is_unroutable(harness: &dyn QueueHarness) {
    harness.remove_queue(LIVE).await;
    let queue = harness.queue().await;
    let refused = soon("publish", queue.publish(LIVE, &message("lost"))).await;
    assert_eq!(
        refused,
        Err(PublishError::Unroutable(LIVE.name().to_owned()))
    );
    publish(&*queue, BULK, &message("kept")).await;
    let mut subscription = subscribe(&*queue, BULK, 1).await;
    let incoming = next(&mut subscription).await;
    assert_eq!(*incoming.message, message("kept"));
    ack(incoming).await;
}

/// Clause 3: a consumer that dies: its messages are delivered again, attempt + 1 and returned + 1.
pub async fn c3_messages_of_a_dead_consumer_come_again(harness: &dyn QueueHarness) {
    let queue = harness.queue().await;
    publish(&*queue, LIVE, &message("one")).await;
    publish(&*queue, LIVE, &message("two")).await;
    let mut dying = subscribe(&*queue, LIVE, 10).await;
    let in_hand = [next(&mut dying).await, next(&mut dying).await];
    for incoming in &in_hand {
        assert_eq!(incoming.attempt, 0, "nobody had it before");
        assert_eq!(incoming.returned, 0, "nobody had it before");
    }
    // The deliveries outlive it here, as those of a killed process do: nobody settles them.
    drop(dying);
    let queue = harness.queue().await;
    let mut heir = subscribe(&*queue, LIVE, 10).await;
    let mut missing = BTreeSet::from(["one".to_owned(), "two".to_owned()]);
    while !missing.is_empty() {
        let incoming = next(&mut heir).await;
        assert_eq!(incoming.attempt, 1, "it was delivered once before");
        assert_eq!(incoming.returned, 1, "it was not settled then");
        assert_eq!(*incoming.message, message(&incoming.message.id));
        missing.remove(&incoming.message.id);
        ack(incoming).await;
    }
    drop(in_hand);
    drop(heir);
    until("nothing is left", async || queue.depth(LIVE).await == Ok(0)).await;
}

/// Clause 4: a delivery that is dropped comes back while the consumer lives. How often it has, is
/// counted until it is settled.
pub async fn c4_dropped_delivery_comes_back(harness: &dyn QueueHarness) {
    let queue = harness.queue().await;
    publish(&*queue, LIVE, &message("one")).await;
    let mut subscription = subscribe(&*queue, LIVE, 1).await;
    for attempt in 0..3 {
        let incoming = next(&mut subscription).await;
        assert_eq!(*incoming.message, message("one"));
        assert_eq!((incoming.attempt, incoming.returned), (attempt, attempt));
        drop(incoming);
    }
    let incoming = next(&mut subscription).await;
    assert_eq!((incoming.attempt, incoming.returned), (3, 3));
    soon("retry", incoming.delivery.retry_at(harness.now(), None))
        .await
        .expect("it is sent to be retried");
    let incoming = next(&mut subscription).await;
    assert_eq!((incoming.attempt, incoming.returned), (4, 0));
    ack(incoming).await;
    until("nothing is left", async || queue.depth(LIVE).await == Ok(0)).await;
}

/// Clause 5: never more than `prefetch` deliveries are unsettled. What the first consumer may not
/// have, a second one gets; had the first taken more, the second would miss it.
pub async fn c5_never_more_than_prefetch(harness: &dyn QueueHarness) {
    let queue = harness.queue().await;
    for number in 0..10 {
        publish(&*queue, LIVE, &message(&format!("m{number}"))).await;
    }
    let mut full = subscribe(&*queue, LIVE, 3).await;
    let mut in_hand = Vec::new();
    for _ in 0..3 {
        in_hand.push(next(&mut full).await);
    }
    let mut one_more = full.next();
    let mut other = subscribe(&*queue, LIVE, 10).await;
    let mut seen: BTreeSet<String> = in_hand
        .iter()
        .map(|incoming| incoming.message.id.clone())
        .collect();
    while seen.len() < 10 {
        let incoming = tokio::select! {
            biased;
            _ = &mut one_more => panic!("a fourth delivery at a prefetch of three"),
            incoming = next(&mut other) => incoming,
        };
        seen.insert(incoming.message.id.clone());
        ack(incoming).await;
    }
    drop(other);
    ack(in_hand.remove(0)).await;
    publish(&*queue, LIVE, &message("one more")).await;
    let incoming = soon("the place that was freed is used", one_more)
        .await
        .expect("the link holds");
    assert_eq!(*incoming.message, message("one more"));
    ack(incoming).await;
    for incoming in in_hand {
        ack(incoming).await;
    }
}

/// Clause 6: a message sent with `retry_at(t)` is not seen before `t`, and blocks nobody behind
/// it. It comes with the new body, or its old one, attempt + 1.
pub async fn c6_retry_is_never_early_and_blocks_nobody(harness: &dyn QueueHarness) {
    let queue = harness.queue().await;
    let mut subscription = subscribe(&*queue, LIVE, 1).await;
    let at = harness.now().after(Duration::from_secs(2));
    for (id, body) in [("changed", Some(b"another body".to_vec())), ("same", None)] {
        publish(&*queue, LIVE, &message(id)).await;
        let incoming = next(&mut subscription).await;
        assert_eq!(incoming.message.id, id);
        soon("retry", incoming.delivery.retry_at(at, body))
            .await
            .expect("it is sent to be retried");
    }
    publish(&*queue, LIVE, &message("behind")).await;
    let incoming = next(&mut subscription).await;
    assert_eq!(*incoming.message, message("behind"), "nobody is blocked");
    assert_eq!(incoming.attempt, 0);
    ack(incoming).await;
    let mut changed = message("changed");
    changed.body = b"another body".to_vec();
    let mut missing = BTreeMap::from([("changed", changed), ("same", message("same"))]);
    while !missing.is_empty() {
        let incoming = next(&mut subscription).await;
        assert!(harness.now() >= at, "delivered before its time");
        assert_eq!(incoming.attempt, 1);
        if let Some(expected) = missing.remove(incoming.message.id.as_str()) {
            assert_eq!(*incoming.message, expected);
        }
        ack(incoming).await;
    }
}

/// Clause 6, as seen from outside: what waits for its time is waiting, not ready.
pub async fn c6_waiting_messages_are_counted(harness: &dyn QueueHarness) {
    let queue = harness.queue().await;
    until("nothing waits at first", async || {
        queue.waiting().await == Ok(0)
    })
    .await;
    for lane in [LIVE, BULK] {
        publish(&*queue, lane, &message("one")).await;
        let mut subscription = subscribe(&*queue, lane, 1).await;
        let incoming = next(&mut subscription).await;
        let at = harness.now().after(Duration::from_secs(3600));
        soon("retry", incoming.delivery.retry_at(at, None))
            .await
            .expect("it is sent to be retried");
    }
    until("two wait", async || queue.waiting().await == Ok(2)).await;
    assert_eq!(queue.depth(LIVE).await, Ok(0));
    assert_eq!(queue.depth(BULK).await, Ok(0));
}

/// Clause 7: a dead letter keeps its bytes, headers and reason, and can be replayed.
pub async fn c7_dead_letter_keeps_everything_and_replays(harness: &dyn QueueHarness) {
    let queue = harness.queue().await;
    let sent = Message {
        id: "odd".to_owned(),
        kind: "conformance.odd".to_owned(),
        version: 7,
        body: vec![0, 159, 146, 150, 255],
    };
    publish(&*queue, BULK, &sent).await;
    let mut subscription = subscribe(&*queue, BULK, 1).await;
    let incoming = next(&mut subscription).await;
    let before = harness.now();
    let reason = "nobody can read it; \"quotes\" and ünïcode stay";
    soon("dead letter", incoming.delivery.dead_letter(reason))
        .await
        .expect("it is dead");
    until("one dead letter", async || {
        queue.dead_count().await == Ok(1)
    })
    .await;
    let letters = soon("dead letters", queue.dead_letters(10))
        .await
        .expect("dead letters can be read");
    let letter = letters.first().expect("there is one");
    assert_eq!(letters.len(), 1);
    assert_eq!(letter.message, sent);
    assert_eq!(letter.queue, BULK.name());
    assert_eq!(letter.reason, reason);
    assert_eq!(letter.attempt, 1, "it was delivered once");
    let since = letter.since.expect("it is known since when");
    assert!((before..=harness.now()).contains(&since), "{since}");
    assert_eq!(
        queue.dead_letter("odd").await.as_ref(),
        Ok(&Some(letter.clone()))
    );
    assert_eq!(queue.dead_letter("unknown").await, Ok(None));
    assert_eq!(
        queue.settle_dead("unknown", DeadAction::Replay).await,
        Ok(false)
    );
    assert_eq!(queue.dead_count().await, Ok(1), "looking takes nothing");
    assert_eq!(queue.settle_dead("odd", DeadAction::Replay).await, Ok(true));
    let incoming = next(&mut subscription).await;
    assert_eq!(*incoming.message, sent);
    ack(incoming).await;
    until("no dead letter", async || queue.dead_count().await == Ok(0)).await;
}

/// Clause 7: a dead letter that is discarded is gone, the others stay, oldest first.
pub async fn c7_dead_letter_is_discarded(harness: &dyn QueueHarness) {
    let queue = harness.queue().await;
    let mut subscription = subscribe(&*queue, LIVE, 1).await;
    for id in ["one", "two", "three"] {
        publish(&*queue, LIVE, &message(id)).await;
        let incoming = next(&mut subscription).await;
        soon("dead letter", incoming.delivery.dead_letter("a reason"))
            .await
            .expect("it is dead");
    }
    until("three dead letters", async || {
        queue.dead_count().await == Ok(3)
    })
    .await;
    assert_eq!(
        queue.settle_dead("two", DeadAction::Discard).await,
        Ok(true)
    );
    until("two dead letters", async || {
        queue.dead_count().await == Ok(2)
    })
    .await;
    // Found wherever it is.
    for id in ["one", "three"] {
        let letter = queue.dead_letter(id).await.expect("it can be read");
        assert_eq!(letter.map(|letter| letter.message.id).as_deref(), Some(id));
    }
    assert_eq!(queue.dead_letter("two").await, Ok(None));
    let ids = async |max| -> Vec<String> {
        let letters = queue.dead_letters(max).await.expect("they can be read");
        letters
            .into_iter()
            .map(|letter| letter.message.id)
            .collect()
    };
    assert_eq!(ids(10).await, ["one", "three"]);
    assert_eq!(ids(1).await, ["one"]);
    assert_eq!(queue.depth(LIVE).await, Ok(0), "nothing was replayed");
}

/// Clause 8: settling after the link died is an error, and the message comes again. That settling
/// twice does not compile is shown here:
///
/// ```compile_fail,E0382
/// async fn twice(delivery: Box<dyn ports::queue::Delivery>) {
///     let _first = delivery.ack().await;
///     let _second = delivery.ack().await;
/// }
/// ```
pub async fn c8_settling_after_the_link_died_is_an_error(harness: &dyn QueueHarness) {
    let queue = harness.queue().await;
    publish(&*queue, LIVE, &message("one")).await;
    publish(&*queue, LIVE, &message("two")).await;
    publish(&*queue, LIVE, &message("three")).await;
    let mut cut = subscribe(&*queue, LIVE, 10).await;
    let (one, two, three) = (
        next(&mut cut).await,
        next(&mut cut).await,
        next(&mut cut).await,
    );
    harness.restart_broker().await;
    let acked = soon("ack", one.delivery.ack()).await;
    assert!(acked.is_err(), "acknowledged over a dead link");
    let retried = soon("retry", two.delivery.retry_at(harness.now(), None)).await;
    assert!(retried.is_err(), "retried over a dead link");
    let buried = soon("dead letter", three.delivery.dead_letter("a reason")).await;
    assert!(buried.is_err(), "dead-lettered over a dead link");
    let taken = soon("next delivery", cut.next()).await;
    assert!(taken.is_err(), "delivered over a dead link");
    let queue = harness.queue().await;
    let mut subscription = subscribe(&*queue, LIVE, 10).await;
    let mut missing = BTreeSet::from(["one".to_owned(), "two".to_owned(), "three".to_owned()]);
    while !missing.is_empty() {
        let incoming = next(&mut subscription).await;
        assert!(incoming.attempt >= 1, "it was delivered before");
        missing.remove(&incoming.message.id);
        ack(incoming).await;
    }
}

/// Clause 9: a body that nobody can read reaches the consumer raw and harms no neighbour.
pub async fn c9_unreadable_bodies_arrive_raw(harness: &dyn QueueHarness) {
    let queue = harness.queue().await;
    let mut missing = BTreeMap::new();
    for (id, version, body) in [
        ("before", 1, b"{}".to_vec()),
        ("not text", 1, vec![0xff, 0x00, 0xfe]),
        ("empty", 1, Vec::new()),
        ("large", 1, vec![b'x'; 3 * 1024 * 1024]),
        ("of the future", 4_000_000_000, b"{}".to_vec()),
        ("after", 1, b"{}".to_vec()),
    ] {
        let sent = Message {
            id: id.to_owned(),
            kind: format!("kind of {id}"),
            version,
            body,
        };
        publish(&*queue, LIVE, &sent).await;
        missing.insert(id, sent);
    }
    let mut subscription = subscribe(&*queue, LIVE, 2).await;
    while !missing.is_empty() {
        let incoming = next(&mut subscription).await;
        if let Some(sent) = missing.remove(incoming.message.id.as_str()) {
            assert_eq!(*incoming.message, sent);
        }
        ack(incoming).await;
    }
}

/// Clause 10: a message that is published twice is delivered twice: a queue drops nothing for
/// having seen its id. And what was given back comes after what it stood before.
pub async fn c10_duplicates_are_delivered(harness: &dyn QueueHarness) {
    let queue = harness.queue().await;
    for id in ["twice", "twice", "once"] {
        publish(&*queue, LIVE, &message(id)).await;
    }
    let mut subscription = subscribe(&*queue, LIVE, 10).await;
    let mut in_hand = Vec::new();
    for _ in 0..3 {
        in_hand.push(next(&mut subscription).await);
    }
    let mut ids: Vec<String> = in_hand
        .iter()
        .map(|incoming| incoming.message.id.clone())
        .collect();
    ids.sort();
    assert_eq!(ids, ["once", "twice", "twice"]);
    let given_back = in_hand.remove(0);
    let first = given_back.message.id.clone();
    for incoming in in_hand {
        ack(incoming).await;
    }
    drop(given_back);
    let again = next(&mut subscription).await;
    assert_eq!(again.message.id, first);
    assert_eq!(again.attempt, 1);
    ack(again).await;
}

/// `depth` counts what is ready in one queue, not what is in hand.
pub async fn depth_counts_what_is_ready(harness: &dyn QueueHarness) {
    let queue = harness.queue().await;
    for id in ["one", "two", "three"] {
        publish(&*queue, LIVE, &message(id)).await;
    }
    until("three are ready", async || queue.depth(LIVE).await == Ok(3)).await;
    assert_eq!(queue.depth(BULK).await, Ok(0));
    let mut subscription = subscribe(&*queue, LIVE, 1).await;
    let incoming = next(&mut subscription).await;
    until("two are ready", async || queue.depth(LIVE).await == Ok(2)).await;
    drop(incoming);
    drop(subscription);
    until("three are ready again", async || {
        queue.depth(LIVE).await == Ok(3)
    })
    .await;
}

/// A queue at its limit refuses with `Full`, and takes again once it has been drained.
pub async fn full_queue_refuses_until_it_is_drained(harness: &dyn QueueHarness) {
    let queue = harness.queue().await;
    let mut accepted = 0;
    while accepted <= 2 * MAX_READY_BULK {
        let mut publishing = JoinSet::new();
        for _ in 0..100 {
            let queue = Arc::clone(&queue);
            publishing.spawn(async move { queue.publish(BULK, &message("one of many")).await });
        }
        let mut full = false;
        for published in soon("publish", publishing.join_all()).await {
            match published {
                Ok(()) => accepted += 1,
                Err(PublishError::Full(name)) => {
                    assert_eq!(name, BULK.name());
                    full = true;
                }
                Err(other) => panic!("neither taken nor full: {other}"),
            }
        }
        if full {
            break;
        }
    }
    assert!(
        (MAX_READY_BULK..=2 * MAX_READY_BULK).contains(&accepted),
        "took {accepted} messages"
    );
    publish(&*queue, LIVE, &message("elsewhere")).await;
    let mut subscription = subscribe(&*queue, BULK, 100).await;
    for _ in 0..accepted {
        ack(next(&mut subscription).await).await;
    }
    until("there is room again", async || {
        queue.publish(BULK, &message("after")).await.is_ok()
    })
    .await;
}

/// After `stop_taking` nothing more is taken, and what is in hand can still be settled.
pub async fn stopped_subscription_takes_nothing_more(harness: &dyn QueueHarness) {
    let queue = harness.queue().await;
    publish(&*queue, LIVE, &message("in hand")).await;
    let mut stopped = subscribe(&*queue, LIVE, 10).await;
    let incoming = next(&mut stopped).await;
    soon("stop taking", stopped.stop_taking())
        .await
        .expect("the link holds");
    publish(&*queue, LIVE, &message("afterwards")).await;
    let mut other = subscribe(&*queue, LIVE, 10).await;
    let afterwards = next(&mut other).await;
    assert_eq!(*afterwards.message, message("afterwards"));
    ack(afterwards).await;
    ack(incoming).await;
    drop(stopped);
    publish(&*queue, LIVE, &message("last")).await;
    let last = next(&mut other).await;
    assert_eq!(*last.message, message("last"), "what was settled stays so");
    ack(last).await;
}
