//! A status store that does not answer: nothing can be kept in it, and it is told all the same.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use console::{Notifier, Operations};
use domain::notification::{Event, Matter, Notice, Notification, Settled, Way};
use ports::courier::{Courier, KeptMail};
use ports::stores::{LeaseStore, StoreError, Stores};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::desk::{Desk, TOPIC};

/// Leases of a store that is away for a while.
struct Away {
    real: Arc<dyn LeaseStore>,
    away: AtomicBool,
}

#[async_trait]
impl LeaseStore for Away {
    async fn hold(&self, name: &str, holder: &str, long: Duration) -> Result<bool, StoreError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(StoreError::Unreachable("connection refused".to_owned()));
        }
        self.real.hold(name, holder, long).await
    }

    async fn release(&self, name: &str, holder: &str) -> Result<(), StoreError> {
        self.real.release(name, holder).await
    }
}

/// Takes everything.
#[derive(Default)]
struct Taker(Mutex<Vec<(Matter, Event, String)>>);

#[async_trait]
impl Courier for Taker {
    async fn kept(&self, _notice: &Notice) -> Result<Option<KeptMail>, String> {
        Ok(None)
    }

    fn ways(&self, _addresses: &[String]) -> Vec<Way> {
        vec![Way::Webhook]
    }

    async fn deliver(&self, notification: &Notification, _way: &Way) -> Settled {
        let notice = &notification.notice;
        let said = (notice.matter, notice.event, notice.object.clone());
        self.0.lock().unwrap().push(said);
        Settled::Sent("taken".to_owned())
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_told_once_and_that_it_is_back() {
    let desk = Desk::open();
    let away = Arc::new(Away {
        real: Arc::clone(&desk.stores.lease),
        away: AtomicBool::new(false),
    });
    let stores = Stores {
        lease: Arc::<Away>::clone(&away),
        ..desk.stores.clone()
    };
    let queue = Arc::clone(&desk.queue);
    let ops = Operations::new(stores, queue, desk.clock(), desk.source(), TOPIC);
    let taker = Arc::new(Taker::default());
    let courier = Arc::<Taker>::clone(&taker);
    let keep = Duration::from_secs(86_400);
    let notifier = Notifier::new(ops, courier, "a test".to_owned(), keep);
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    let running = tasks.spawn(notifier.run(stop.clone()));
    let told = |seconds: u64| {
        let taker = Arc::clone(&taker);
        async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            taker.0.lock().unwrap().clone()
        }
    };
    assert_eq!(told(60).await, []);
    away.away.store(true, Ordering::SeqCst);
    // A restart of the store is nobody's trouble.
    assert_eq!(told(4 * 60).await, []);
    let store = |event| (Matter::OutOfReach, event, "the status store".to_owned());
    assert_eq!(told(2 * 60).await, [store(Event::Opened)]);
    assert_eq!(told(3_600).await, [store(Event::Opened)]);
    away.away.store(false, Ordering::SeqCst);
    let both = [store(Event::Opened), store(Event::Closed)];
    assert_eq!(told(60).await, both);
    stop.cancel();
    running.await.unwrap();
    let kept = desk.stores.outbox.list(None, 9).await.unwrap();
    let mut events = kept.iter().map(|one| one.notice.event).collect::<Vec<_>>();
    events.sort_unstable();
    assert_eq!(events, [Event::Opened, Event::Closed]);
    assert_eq!(kept[0].notice.incident, kept[1].notice.incident);
}
