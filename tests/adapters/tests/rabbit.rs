//! The queue's suite and the adapter's own faults, against a real `RabbitMQ`: the machine's, or the
//! one of another Debian release that `MOSYNC_BROKER4_ROOT` names. One broker for all tests, one at
//! a time, each on a virtual host of its own.
#![expect(clippy::unwrap_used, reason = "the harness panics where a test would")]

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use adapters::MachineClock;
use amqp::topology::{self, ApplyError};
use amqp::{Amqp, ConnectError};
use async_trait::async_trait;
use domain::Timestamp;
use domain::unit::{Lane, QueueName, Stage};
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties};
use ports::Clock;
use ports::conformance::queue::QueueHarness;
use ports::queue::{LinkLost, Message, PublishError, Queue};
use testkit::{Rabbit, TcpProxy};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::{JoinSet, spawn_blocking};

static BROKER: LazyLock<Arc<Mutex<Rabbit>>> =
    LazyLock::new(|| Arc::new(Mutex::new(Rabbit::start_4().unwrap_or_else(Rabbit::start))));

const LIVE: QueueName = QueueName::new(Stage::Load, Lane::Live);
const PASSED_ON: QueueName = QueueName::new(Stage::Filter, Lane::Live);
/// For whatever must come at all: a test that waits for ever keeps all others from the broker.
const PATIENCE: Duration = Duration::from_secs(120);

async fn soon<T>(what: &str, it: impl Future<Output = T>) -> T {
    let came = tokio::time::timeout(PATIENCE, it).await;
    came.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

/// The broker for as long as the test runs, and its virtual host.
struct Harness {
    broker: Mutex<Option<OwnedMutexGuard<Rabbit>>>,
    url: String,
}

impl Harness {
    /// Without a topology.
    async fn bare() -> Self {
        let broker = spawn_blocking(|| Arc::clone(&*BROKER)).await.unwrap();
        let broker = broker.lock_owned().await;
        Self {
            url: broker.vhost(),
            broker: Mutex::new(Some(broker)),
        }
    }

    async fn new() -> Self {
        let harness = Self::bare().await;
        topology::apply(&harness.url).await.unwrap();
        harness
    }

    /// Does something to the broker that takes a while.
    async fn with_broker(&self, deed: impl FnOnce(&mut Rabbit) + Send + 'static) {
        let mut slot = self.broker.lock().await;
        let mut broker = slot.take().unwrap();
        let done = spawn_blocking(move || {
            deed(&mut broker);
            broker
        });
        *slot = Some(done.await.unwrap());
    }

    async fn amqp(&self) -> Amqp {
        Amqp::connect(&self.url, Arc::new(MachineClock))
            .await
            .unwrap()
    }
}

async fn admin(url: &str) -> Connection {
    Connection::connect(url, ConnectionProperties::default())
        .await
        .unwrap()
}

async fn delete_queue(url: &str, name: &str) {
    let connection = admin(url).await;
    let channel = connection.create_channel().await.unwrap();
    channel
        .queue_delete(name.into(), QueueDeleteOptions::default())
        .await
        .unwrap();
}

#[async_trait]
impl QueueHarness for Harness {
    async fn queue(&self) -> Arc<dyn Queue> {
        Arc::new(self.amqp().await)
    }

    async fn restart_broker(&self) {
        self.with_broker(Rabbit::restart).await;
    }

    async fn remove_queue(&self, queue: QueueName) {
        delete_queue(&self.url, queue.name()).await;
    }

    fn now(&self) -> Timestamp {
        MachineClock.now()
    }
}

ports::queue_conformance!(Harness::new().await);

fn message(id: &str) -> Message {
    Message {
        id: id.to_owned(),
        kind: "test".to_owned(),
        version: 1,
        body: id.as_bytes().to_vec(),
    }
}

/// Publishes until the broker has it.
async fn publish_for_sure(queue: &Amqp, id: &str) {
    loop {
        match queue.publish(LIVE, &message(id)).await {
            Ok(()) => return,
            Err(PublishError::Lost(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn a_second_apply_changes_nothing() {
    let harness = Harness::bare().await;
    let first = topology::apply(&harness.url).await.unwrap();
    assert_eq!((first.created.len(), first.unchanged.len()), (10, 0));
    let second = topology::apply(&harness.url).await.unwrap();
    assert_eq!((second.created.len(), second.unchanged.len()), (0, 10));
    assert_eq!(first.marker, second.marker);
}

#[tokio::test]
async fn a_worker_refuses_a_broker_that_is_not_prepared() {
    let harness = Harness::bare().await;
    let refused = Amqp::connect(&harness.url, Arc::new(MachineClock)).await;
    let error = refused.unwrap_err();
    assert_eq!(
        error,
        ConnectError::Topology {
            marker: topology::marker()
        }
    );
    assert!(error.to_string().contains("mosync topology apply"));
}

#[tokio::test]
async fn a_queue_that_differs_is_named_and_the_broker_not_marked() {
    let harness = Harness::bare().await;
    let connection = admin(&harness.url).await;
    let channel = connection.create_channel().await.unwrap();
    let mut arguments = FieldTable::default();
    arguments.insert(
        "x-queue-type".into(),
        AMQPValue::LongString("quorum".into()),
    );
    channel
        .queue_declare(
            "load.live".into(),
            QueueDeclareOptions::durable(),
            arguments,
        )
        .await
        .unwrap();
    let refused = topology::apply(&harness.url).await.unwrap_err();
    assert_eq!(refused, ApplyError::Differs(vec!["load.live".to_owned()]));
    assert!(refused.to_string().contains("delete_queue"));
    let refused = Amqp::connect(&harness.url, Arc::new(MachineClock)).await;
    assert!(matches!(refused, Err(ConnectError::Topology { .. })));
    delete_queue(&harness.url, "load.live").await;
    topology::apply(&harness.url).await.unwrap();
    harness.amqp().await;
}

#[tokio::test]
async fn addresses_and_errors_hold_no_password() {
    let refused = Amqp::connect("http://user:geheim@host/", Arc::new(MachineClock)).await;
    let said = refused.unwrap_err().to_string();
    assert!(!said.contains("geheim"), "{said}");
    let refused = Amqp::connect("amqp://user:geheim@127.0.0.1:1/", Arc::new(MachineClock)).await;
    let error = refused.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable(_)));
    assert!(!error.to_string().contains("geheim"), "{error}");
}

/// I1: what was confirmed is there after a kill without warning in the middle of publishing.
#[tokio::test]
async fn a_killed_broker_loses_nothing_confirmed() {
    const MESSAGES: usize = 2_000;
    let harness = Harness::new().await;
    // What was declared only now, this version of the broker may lose: not what is promised here.
    harness
        .with_broker(|broker| broker.write_down_declared())
        .await;
    let queue = Arc::new(harness.amqp().await);
    let next = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let mut publishing = JoinSet::new();
    for _ in 0..32 {
        let queue = Arc::clone(&queue);
        let next = Arc::clone(&next);
        publishing.spawn(async move {
            loop {
                let number = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                if number >= MESSAGES {
                    return;
                }
                publish_for_sure(&queue, &number.to_string()).await;
            }
        });
    }
    soon("the first publishes", async {
        while next.load(std::sync::atomic::Ordering::SeqCst) < MESSAGES / 4 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    harness
        .with_broker(|broker| {
            broker.kill9();
            broker.restart();
        })
        .await;
    soon("the other publishes", publishing.join_all()).await;
    let mut missing: BTreeSet<String> = (0..MESSAGES).map(|number| number.to_string()).collect();
    let mut subscription = queue.subscribe(LIVE, 200).await.unwrap();
    while !missing.is_empty() {
        let incoming = soon("every confirmed message", subscription.next()).await;
        let incoming = incoming.unwrap();
        missing.remove(&incoming.message.id);
        incoming.delivery.ack().await.unwrap();
    }
}

/// Nobody waits for a broker that does not come back longer than for the link to be rebuilt,
/// however many wait: the limit is each one's own, not one after the other.
#[tokio::test]
async fn all_who_wait_for_a_broker_that_is_gone_are_told_in_time() {
    let harness = Harness::new().await;
    let queue = Arc::new(harness.amqp().await);
    queue.publish(LIVE, &message("before")).await.unwrap();
    harness.with_broker(Rabbit::kill9).await;
    let mut publishing = JoinSet::new();
    for number in 0..4 {
        let queue = Arc::clone(&queue);
        publishing.spawn(async move { queue.publish(LIVE, &message(&number.to_string())).await });
    }
    // 30 s for the link, and an attempt that was begun before they were over.
    let told = tokio::time::timeout(Duration::from_secs(60), publishing.join_all()).await;
    harness.with_broker(Rabbit::restart).await;
    let told = told.expect("all are told");
    assert!(
        told.iter()
            .all(|told| matches!(told, Err(PublishError::Lost(_)))),
        "{told:?}"
    );
}

/// A lost link ends the subscription with an error; subscribing again is all it takes.
#[tokio::test]
async fn a_consumer_comes_back_after_its_link_was_cut() {
    let harness = Harness::new().await;
    let port = harness.broker.lock().await.as_ref().unwrap().port();
    let proxy = TcpProxy::start(port).await;
    let url = harness
        .url
        .replace(&format!(":{port}/"), &format!(":{}/", proxy.port()));
    let queue = Amqp::connect(&url, Arc::new(MachineClock)).await.unwrap();
    queue.publish(LIVE, &message("one")).await.unwrap();
    let mut subscription = queue.subscribe(LIVE, 10).await.unwrap();
    let in_hand = soon("the message", subscription.next()).await.unwrap();
    proxy.cut();
    let LinkLost(_) = soon("the loss", subscription.next()).await.unwrap_err();
    assert!(in_hand.delivery.ack().await.is_err());
    let mut subscription = queue.subscribe(LIVE, 10).await.unwrap();
    let again = soon("the message again", subscription.next())
        .await
        .unwrap();
    assert_eq!(*again.message, message("one"));
    assert_eq!((again.attempt, again.returned), (1, 1));
    again.delivery.ack().await.unwrap();
    queue.publish(LIVE, &message("two")).await.unwrap();
    let two = soon("the next message", subscription.next()).await.unwrap();
    assert_eq!(*two.message, message("two"));
}

/// What is to be passed on and is taken from a broker that takes nothing cannot be sent on. It would come back again and
/// again, until it counts as poison.
#[tokio::test]
async fn nothing_to_pass_on_is_taken_while_the_broker_takes_nothing() {
    let harness = Harness::new().await;
    let queue = Arc::new(harness.amqp().await);
    queue.publish(PASSED_ON, &message("one")).await.unwrap();
    let mut running = queue.subscribe(PASSED_ON, 1).await.unwrap();
    let in_hand = soon("the message", running.next()).await.unwrap();
    harness
        .with_broker(|broker| broker.be_short_of_memory(true))
        .await;
    let mut publishing = JoinSet::new();
    let publisher = Arc::clone(&queue);
    publishing.spawn(async move { publisher.publish(PASSED_ON, &message("two")).await });
    let LinkLost(refused) = soon("the refusal", async {
        loop {
            match queue.subscribe(PASSED_ON, 1).await {
                Ok(another) => drop(another),
                Err(lost) => break lost,
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert!(refused.contains("short of memory"), "{refused}");
    // A consumer that is running is given what came back, and does not hand it out.
    drop(in_hand);
    let LinkLost(ended) = soon("the end", running.next()).await.unwrap_err();
    assert_eq!(ended, refused);
    drop(running);
    harness
        .with_broker(|broker| broker.be_short_of_memory(false))
        .await;
    let mut again = soon("the subscription", async {
        loop {
            match queue.subscribe(PASSED_ON, 1).await {
                Ok(again) => break again,
                Err(LinkLost(why)) => assert_eq!(why, refused),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    soon("the message again", async {
        loop {
            let incoming = again.next().await.unwrap();
            let is_it = *incoming.message == message("one");
            incoming.delivery.ack().await.unwrap();
            if is_it {
                break;
            }
        }
    })
    .await;
}

/// Only then can the queues empty, and a unit that is to wait is not given back again and again.
#[tokio::test]
async fn the_last_stage_goes_on_while_the_broker_takes_nothing() {
    let harness = Harness::new().await;
    let queue = harness.amqp().await;
    for body in ["done", "to wait"] {
        queue.publish(LIVE, &message(body)).await.unwrap();
    }
    harness
        .with_broker(|broker| broker.be_short_of_memory(true))
        .await;
    let refused = queue.publish(LIVE, &message("more")).await;
    assert_eq!(refused, Err(PublishError::HeldBack));
    let mut subscription = queue.subscribe(LIVE, 1).await.unwrap();
    let done = soon("the first", subscription.next()).await.unwrap();
    assert_eq!(*done.message, message("done"));
    done.delivery.ack().await.unwrap();
    let to_wait = soon("the second", subscription.next()).await.unwrap();
    assert_eq!(*to_wait.message, message("to wait"));
    let now = MachineClock.now();
    let mut waiting = JoinSet::new();
    waiting.spawn(async move { to_wait.delivery.retry_at(now, None).await });
    tokio::task::yield_now().await;
    assert!(waiting.try_join_next().is_none());
    harness
        .with_broker(|broker| broker.be_short_of_memory(false))
        .await;
    let sent = soon("room", waiting.join_next()).await;
    assert_eq!(sent.unwrap().unwrap(), Ok(()));
    soon("the second again", async {
        loop {
            let incoming = subscription.next().await.unwrap();
            let (is_it, attempt) = (*incoming.message == message("to wait"), incoming.attempt);
            incoming.delivery.ack().await.unwrap();
            if is_it {
                break assert_eq!(attempt, 1);
            }
        }
    })
    .await;
}

/// What is not sent at all comes no second time, and whoever can wait knows it at once.
#[tokio::test]
async fn nothing_is_sent_to_a_broker_that_has_said_that_it_takes_nothing() {
    let harness = Harness::new().await;
    let queue = harness.amqp().await;
    // Each has a channel from then on.
    let before = message("before");
    let both = tokio::join!(queue.publish(LIVE, &before), queue.publish(LIVE, &before));
    assert_eq!(both, (Ok(()), Ok(())));
    harness
        .with_broker(|broker| broker.be_short_of_memory(true))
        .await;
    let refused = queue.publish(LIVE, &message("under way")).await;
    assert_eq!(refused, Err(PublishError::HeldBack));
    let never_sent = message("never sent");
    let again = queue.publish(LIVE, &never_sent);
    let refused = tokio::time::timeout(Duration::from_secs(5), again).await;
    assert_eq!(refused.unwrap(), Err(PublishError::HeldBack));
    harness
        .with_broker(|broker| broker.be_short_of_memory(false))
        .await;
}

/// What was to wait is back in its queue then, and its lane takes nothing before the waiting ends.
#[tokio::test]
async fn nobody_waits_for_room_on_a_link_that_is_lost() {
    let harness = Harness::new().await;
    let queue = harness.amqp().await;
    queue.publish(LIVE, &message("to wait")).await.unwrap();
    let mut subscription = queue.subscribe(LIVE, 1).await.unwrap();
    let to_wait = soon("the message", subscription.next()).await.unwrap();
    harness
        .with_broker(|broker| broker.be_short_of_memory(true))
        .await;
    let refused = queue.publish(LIVE, &message("more")).await;
    assert_eq!(refused, Err(PublishError::HeldBack));
    let now = MachineClock.now();
    let mut waiting = JoinSet::new();
    waiting.spawn(async move { to_wait.delivery.retry_at(now, None).await });
    tokio::task::yield_now().await;
    harness.with_broker(Rabbit::restart).await;
    let ended = soon("the end", waiting.join_next()).await;
    assert!(ended.unwrap().unwrap().is_err());
}

/// A message that its worker never settles ends among the dead, with a reason for a person.
#[tokio::test]
async fn the_delivery_limit_leads_to_the_dead_queue() {
    let harness = Harness::new().await;
    let queue = harness.amqp().await;
    queue.publish(LIVE, &message("poison")).await.unwrap();
    let mut subscription = queue.subscribe(LIVE, 1).await.unwrap();
    soon("the message is dead", async {
        loop {
            tokio::select! {
                incoming = subscription.next() => drop(incoming.unwrap()),
                () = tokio::time::sleep(Duration::from_millis(200)) => {
                    if queue.dead_count().await.unwrap() == 1 {
                        break;
                    }
                }
            }
        }
    })
    .await;
    let letters = queue.dead_letters(1).await.unwrap();
    let letter = letters.first().unwrap();
    assert_eq!(letter.message, message("poison"));
    assert_eq!(letter.queue, "load.live");
    assert!(letter.reason.contains("worker"), "{}", letter.reason);
    assert!(letter.attempt >= 100);
}
