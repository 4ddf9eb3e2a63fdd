//! The one clock of a script: it moves with tokio's paused time, and by a microsecond whenever it
//! is read, so that no two events share a moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use domain::Timestamp;
use ports::Clock;
use tokio::time::Instant;

/// 2026-06-15T12:00:00.250Z, a Monday.
pub(crate) const BEGINNING: i64 = 1_781_524_800_250_000;

#[derive(Debug)]
pub(crate) struct SimClock {
    begun: Instant,
    last: AtomicI64,
    /// Time that passed while nothing ran.
    skipped: AtomicI64,
}

impl SimClock {
    /// Begins now; inside the paused runtime.
    pub(crate) fn begin() -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            last: AtomicI64::new(BEGINNING),
            skipped: AtomicI64::new(0),
        })
    }

    /// Lets time pass of which no timer hears, as while a machine is off.
    pub(crate) fn skip(&self, time: Duration) {
        let micros = i64::try_from(time.as_micros()).unwrap();
        self.skipped.fetch_add(micros, Ordering::SeqCst);
    }

    pub(crate) fn micros(&self) -> i64 {
        let elapsed = i64::try_from(self.begun.elapsed().as_micros()).unwrap_or(i64::MAX);
        let elapsed = elapsed.saturating_add(self.skipped.load(Ordering::SeqCst));
        let next = (self.last.load(Ordering::SeqCst) + 1).max(BEGINNING + elapsed);
        self.last.store(next, Ordering::SeqCst);
        next
    }

    /// For the stand-ins, which take the time from a closure.
    pub(crate) fn closure(self: &Arc<Self>) -> Arc<dyn Fn() -> i64 + Send + Sync> {
        let clock = Arc::clone(self);
        Arc::new(move || clock.micros())
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.micros())
    }
}

/// Plays this to its end, in paused time of its own.
pub(crate) fn in_its_own_time<T>(played: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(played)
}
