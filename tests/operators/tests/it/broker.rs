//! A broker that is away: the status says so, pages are shown, and what needs no broker is done.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use console::Operations;
use console::views::{TroubleKind, Verdict};
use domain::unit::QueueName;
use ports::queue::{DeadAction, DeadLetter, LinkLost, Message, PublishError, Queue, Subscription};
use tokio::time::Instant;

use crate::desk::{Desk, TOPIC};
use crate::visitor::{Visitor, permit};
use crate::web::{Browser, OPERATOR};

/// The same stores, whose broker is gone.
pub(crate) fn without_broker(desk: &Desk) -> Operations {
    Operations::new(
        desk.stores.clone(),
        Arc::new(Gone),
        desk.clock(),
        desk.source(),
        TOPIC,
    )
}

struct Gone;

fn gone() -> LinkLost {
    LinkLost("connection refused".to_owned())
}

#[async_trait]
impl Queue for Gone {
    async fn publish(&self, _to: QueueName, _message: &Message) -> Result<(), PublishError> {
        Err(gone().into())
    }
    async fn subscribe(
        &self,
        _from: QueueName,
        _prefetch: u16,
    ) -> Result<Box<dyn Subscription>, LinkLost> {
        Err(gone())
    }
    async fn publish_dead(
        &self,
        _message: &Message,
        _from: &str,
        _reason: &str,
    ) -> Result<(), LinkLost> {
        Err(gone())
    }
    async fn depth(&self, _of: QueueName) -> Result<u64, LinkLost> {
        Err(gone())
    }
    async fn waiting(&self) -> Result<u64, LinkLost> {
        Err(gone())
    }
    async fn dead_letters(&self, _max: usize) -> Result<Vec<DeadLetter>, LinkLost> {
        Err(gone())
    }
    async fn dead_letter(&self, _id: &str) -> Result<Option<DeadLetter>, LinkLost> {
        Err(gone())
    }
    async fn dead_count(&self) -> Result<u64, LinkLost> {
        Err(gone())
    }
    async fn settle_dead(&self, _id: &str, _action: DeadAction) -> Result<bool, LinkLost> {
        Err(gone())
    }
}

#[tokio::test]
async fn a_broker_out_of_reach_is_a_trouble_and_the_rest_is_told() {
    let mut desk = Desk::open();
    desk.park(1, |_| {}).await;
    desk.ops = without_broker(&desk);
    let status = desk.ops.status().await.unwrap();
    assert_eq!(status.verdict, Verdict::OutOfReach);
    let first = &status.troubles[0];
    assert_eq!(first.about, TroubleKind::Broker);
    assert!(first.message.contains("connection refused"), "{first:?}");
    assert!(
        status.reason.starts_with(&first.message),
        "{}",
        status.reason
    );
    assert_eq!(
        (status.queues, status.waiting_to_retry, status.dead),
        (None, None, None)
    );
    assert!(status.stages.iter().all(|stage| stage.ready.is_none()));
    assert!(!status.at_rest, "nobody knows what is in the queues");
    assert_eq!(status.parked.values().sum::<u64>(), 1);
}

#[tokio::test]
async fn pages_are_shown_and_orders_done_without_a_broker() {
    let mut desk = Desk::open();
    let parked = desk.park(1, |_| {}).await;
    desk.ops = without_broker(&desk);
    let browser = Browser::of(&desk, OPERATOR).await;
    for path in ["/sync-status", "/jobs", "/parked", "/logs", "/explain"] {
        let page = browser.page(path).await;
        assert!(page.contains("connection to the message broker"), "{path}");
    }
    let dead = browser.get("/parked/dead").await;
    assert_eq!(dead.status, 503, "{}", dead.text());
    let form = [("record", parked.id.as_str()), ("reason", "a test")];
    let done = browser.send("/parked", "/parked/dismiss", &form).await;
    assert!(
        done.status.is_redirection() || done.status.is_success(),
        "{}",
        done.text()
    );

    permit(&desk, &[]).await;
    let visitor = Visitor::administrator(&desk).await;
    let mut form = visitor.form("/settings").await;
    crate::visitor::write(&mut form, "disabled", "on");
    let look = visitor.send("/settings", &form).await;
    let saved = look.form("/settings/save");
    let saved = visitor.send("/settings/save", &saved).await;
    assert_eq!(saved.status, 303, "{}", saved.html);
    let settings = desk.stores.settings.current().await.unwrap().settings;
    assert!(settings.disabled);
}

/// Takes every question, and answers none.
#[derive(Default)]
struct Mute(AtomicU32);

impl Mute {
    async fn silence<T>(&self) -> T {
        self.0.fetch_add(1, Ordering::SeqCst);
        pending().await
    }
}

#[async_trait]
impl Queue for Mute {
    async fn publish(&self, _to: QueueName, _message: &Message) -> Result<(), PublishError> {
        self.silence().await
    }
    async fn subscribe(
        &self,
        _from: QueueName,
        _prefetch: u16,
    ) -> Result<Box<dyn Subscription>, LinkLost> {
        self.silence().await
    }
    async fn publish_dead(
        &self,
        _message: &Message,
        _from: &str,
        _reason: &str,
    ) -> Result<(), LinkLost> {
        self.silence().await
    }
    async fn depth(&self, _of: QueueName) -> Result<u64, LinkLost> {
        self.silence().await
    }
    async fn waiting(&self) -> Result<u64, LinkLost> {
        self.silence().await
    }
    async fn dead_letters(&self, _max: usize) -> Result<Vec<DeadLetter>, LinkLost> {
        self.silence().await
    }
    async fn dead_letter(&self, _id: &str) -> Result<Option<DeadLetter>, LinkLost> {
        self.silence().await
    }
    async fn dead_count(&self) -> Result<u64, LinkLost> {
        self.silence().await
    }
    async fn settle_dead(&self, _id: &str, _action: DeadAction) -> Result<bool, LinkLost> {
        self.silence().await
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_long_for_a_broker_that_says_nothing_and_the_next_do_not_wait_at_all() {
    let desk = Desk::open();
    let mute = Arc::new(Mute::default());
    let queue: Arc<dyn Queue> = Arc::<Mute>::clone(&mute);
    let ops = Operations::new(
        desk.stores.clone(),
        queue,
        desk.clock(),
        desk.source(),
        TOPIC,
    );
    let asked = || mute.0.load(Ordering::SeqCst);
    let began = Instant::now();
    for _ in 0..5 {
        let status = ops.status().await.unwrap();
        assert_eq!(status.verdict, Verdict::OutOfReach);
        assert!(status.reason.contains("no answer within 3 s"));
    }
    assert!(ops.dead(None).await.is_err());
    assert_eq!(asked(), 1, "it is left alone for a while");
    assert!(began.elapsed() < Duration::from_secs(4));
    desk.pass(6);
    ops.status().await.unwrap();
    assert_eq!(asked(), 2);
}
