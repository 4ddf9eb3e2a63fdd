//! The suites of the ports against this adapter, in a folder and in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

use async_trait::async_trait;
use domain::Timestamp;
use domain::unit::QueueName;
use embedded::{Embedded, Location};
use ports::Clock;
use ports::conformance::queue::QueueHarness;
use ports::conformance::stores::StoreHarness;
use ports::queue::Queue;
use ports::stores::Stores;
use tempfile::TempDir;

/// The machine's clock, set by a number of microseconds.
#[derive(Debug, Default)]
struct SetClock(AtomicI64);

impl Clock for SetClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "these tests run in real time, as an adapter does"
    )]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .expect("the machine's clock is past 1970");
        let set_by = self.0.load(Ordering::SeqCst);
        Timestamp::from_micros(set_by).after(since_epoch)
    }
}

/// One database for one clause.
struct Harness {
    embedded: Embedded,
    clock: Arc<SetClock>,
    _folder: Option<TempDir>,
}

impl Harness {
    fn in_memory() -> Self {
        Self::open(Location::Memory, None)
    }

    fn in_a_folder() -> Self {
        let folder = tempfile::tempdir().expect("a folder of its own");
        Self::open(Location::File(folder.path().join("data")), Some(folder))
    }

    fn open(location: Location, folder: Option<TempDir>) -> Self {
        let clock = Arc::new(SetClock::default());
        Self {
            embedded: Embedded::open(location, Arc::clone(&clock) as Arc<dyn Clock>)
                .expect("a new database opens"),
            clock,
            _folder: folder,
        }
    }
}

#[async_trait]
impl QueueHarness for Harness {
    async fn queue(&self) -> Arc<dyn Queue> {
        self.embedded.queue()
    }

    async fn restart_broker(&self) {
        self.embedded.restart().expect("it opens again");
    }

    async fn remove_queue(&self, queue: QueueName) {
        self.embedded
            .remove_queue(queue)
            .await
            .expect("the queue goes");
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

#[async_trait]
impl StoreHarness for Harness {
    async fn stores(&self) -> Stores {
        self.embedded.stores()
    }

    async fn restart(&self) {
        self.embedded.restart().expect("it opens again");
    }

    fn step_clock(&self, by_micros: i64) -> bool {
        self.clock.0.fetch_add(by_micros, Ordering::SeqCst);
        true
    }
}

mod in_a_folder {
    mod queue {
        ports::queue_conformance!(crate::Harness::in_a_folder());
    }
    mod stores {
        ports::store_conformance!(crate::Harness::in_a_folder());
    }
}

mod in_memory {
    mod queue {
        ports::queue_conformance!(crate::Harness::in_memory());
    }
    mod stores {
        ports::store_conformance!(crate::Harness::in_memory());
    }
}
