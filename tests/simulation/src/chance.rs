//! Everything random in a script comes from here, and everything that happens is written down.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::clock::SimClock;

/// How often each fault happens, as a share of the occasions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rates {
    pub(crate) source_unreachable: f64,
    /// A poll does not see a record that was stamped in the last minutes.
    pub(crate) seen_late: f64,
    /// Per step of a bulk query job.
    pub(crate) bulk_fails: f64,
    /// Per question after a complete bulk query job, and a quarter per page.
    pub(crate) bulk_expires: f64,
    /// Per piece of a page.
    pub(crate) bulk_breaks: f64,
    pub(crate) stream_drop: f64,
    pub(crate) event_as_gap: f64,
    pub(crate) event_as_all: f64,
    pub(crate) undecodable: f64,
    pub(crate) publish_refused: f64,
    pub(crate) confirm_lost: f64,
    pub(crate) ack_lost: f64,
    pub(crate) store_fails: f64,
    pub(crate) mos_unreachable: f64,
    pub(crate) mos_answer_lost: f64,
    pub(crate) mos_throttles: f64,
    pub(crate) mos_busy: f64,
    pub(crate) mos_slow: f64,
    /// Per step of the script.
    pub(crate) crash: f64,
    /// Per step of the script.
    pub(crate) restart_broker: f64,
}

impl Rates {
    pub(crate) const NONE: Self = Self {
        source_unreachable: 0.0,
        seen_late: 0.0,
        bulk_fails: 0.0,
        bulk_expires: 0.0,
        bulk_breaks: 0.0,
        stream_drop: 0.0,
        event_as_gap: 0.0,
        event_as_all: 0.0,
        undecodable: 0.0,
        publish_refused: 0.0,
        confirm_lost: 0.0,
        ack_lost: 0.0,
        store_fails: 0.0,
        mos_unreachable: 0.0,
        mos_answer_lost: 0.0,
        mos_throttles: 0.0,
        mos_busy: 0.0,
        mos_slow: 0.0,
        crash: 0.0,
        restart_broker: 0.0,
    };

    pub(crate) const FULL: Self = Self {
        source_unreachable: 0.02,
        seen_late: 0.2,
        bulk_fails: 0.02,
        bulk_expires: 0.02,
        bulk_breaks: 0.02,
        stream_drop: 0.02,
        event_as_gap: 0.03,
        event_as_all: 0.01,
        undecodable: 0.01,
        publish_refused: 0.02,
        confirm_lost: 0.02,
        ack_lost: 0.02,
        store_fails: 0.01,
        mos_unreachable: 0.05,
        mos_answer_lost: 0.05,
        mos_throttles: 0.02,
        mos_busy: 0.05,
        mos_slow: 0.1,
        crash: 0.10,
        restart_broker: 0.03,
    };
}

/// The script's only source of randomness, its faults and its trace.
#[derive(Debug)]
pub(crate) struct Chance {
    random: Mutex<StdRng>,
    faulty: AtomicBool,
    rates: Rates,
    trace: Mutex<Vec<String>>,
    clock: Arc<SimClock>,
}

impl Chance {
    pub(crate) fn of_seed(seed: u64, rates: Rates, clock: Arc<SimClock>) -> Arc<Self> {
        Arc::new(Self {
            random: Mutex::new(StdRng::seed_from_u64(seed)),
            faulty: AtomicBool::new(false),
            rates,
            trace: Mutex::default(),
            clock,
        })
    }

    fn with<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.random.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A number below `end`; 0 for an empty range.
    pub(crate) fn below(&self, end: usize) -> usize {
        if end == 0 {
            0
        } else {
            self.with(|random| random.random_range(0..end))
        }
    }

    pub(crate) fn between(&self, from: u64, to: u64) -> u64 {
        self.with(|random| random.random_range(from..=to))
    }

    pub(crate) fn happens(&self, share: f64) -> bool {
        self.with(|random| random.random_bool(share))
    }

    pub(crate) fn pick<'a, T>(&self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }

    /// From how many rows on a script reads by bulk queries: all, some or none of them.
    pub(crate) fn bulk_from(&self) -> u64 {
        *self.pick(&[0, 0, 2, 5, 10_000]).unwrap()
    }

    /// Whether a fault happens now.
    pub(crate) fn fault(&self, rate: impl FnOnce(&Rates) -> f64) -> bool {
        self.faulty.load(Ordering::SeqCst) && self.happens(rate(&self.rates))
    }

    pub(crate) fn is_faultless(&self) -> bool {
        self.rates == Rates::NONE
    }

    pub(crate) fn set_faulty(&self, faulty: bool) {
        self.faulty.store(faulty, Ordering::SeqCst);
    }

    /// Sleeps up to that many milliseconds of simulated time.
    pub(crate) async fn delay(&self, up_to_ms: u64) {
        let pause = self.between(0, up_to_ms);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }

    pub(crate) fn now(&self) -> domain::Timestamp {
        ports::Clock::now(&*self.clock)
    }

    /// Writes down what happens.
    pub(crate) fn note(&self, what: impl std::fmt::Display) {
        let at = self.now();
        self.trace
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(format!("{at} {what}"));
    }

    pub(crate) fn trace(&self) -> Vec<String> {
        self.trace
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
