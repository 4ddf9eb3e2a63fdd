//! How many requests run at a time: one more while all goes well, a tenth less when mOS pushes
//! back. Both lanes share the limit; live units go first.

use std::sync::{Arc, Mutex, PoisonError};

use domain::unit::Lane;
use tokio::sync::Notify;

/// The most requests at a time.
const MAX: f64 = 16.0;
/// How many to begin with.
const START: f64 = 2.0;

/// Adaptive concurrency (additive increase, multiplicative decrease).
#[derive(Debug)]
pub struct Limiter {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    limit: f64,
    in_flight: u32,
    live_waiting: u32,
}

impl Default for Limiter {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                limit: START,
                in_flight: 0,
                live_waiting: 0,
            }),
            changed: Notify::new(),
        }
    }
}

impl Limiter {
    /// Waits for a place. Bulk units wait while a live unit does.
    pub async fn acquire(self: &Arc<Self>, lane: Lane) -> Permit {
        let _waiting = (lane == Lane::Live).then(|| LiveWaiting::of(self));
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.take(lane) {
                return Permit(Arc::clone(self));
            }
            changed.await;
        }
    }

    fn take(&self, lane: Lane) -> bool {
        let mut state = self.lock();
        let room = f64::from(state.in_flight) < state.limit.floor();
        let mine = lane == Lane::Live || state.live_waiting == 0;
        if room && mine {
            state.in_flight += 1;
        }
        room && mine
    }

    /// A request was answered: room for one more, if all room was in use.
    pub fn succeeded(&self) {
        let mut state = self.lock();
        if f64::from(state.in_flight) >= state.limit.floor() {
            state.limit = (state.limit + 1.0 / state.limit).min(MAX);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// mOS pushed back, or did not answer.
    pub fn backed_off(&self) {
        let mut state = self.lock();
        state.limit = (state.limit * 0.9).max(1.0);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct LiveWaiting<'a>(&'a Limiter);

impl<'a> LiveWaiting<'a> {
    fn of(limiter: &'a Limiter) -> Self {
        limiter.lock().live_waiting += 1;
        Self(limiter)
    }
}

impl Drop for LiveWaiting<'_> {
    fn drop(&mut self) {
        self.0.lock().live_waiting -= 1;
        self.0.changed.notify_waiters();
    }
}

/// A place among the running requests, given back when dropped.
#[derive(Debug)]
pub struct Permit(Arc<Limiter>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.lock().in_flight -= 1;
        self.0.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn live_goes_first_and_the_limit_holds() {
        let limiter = Arc::new(Limiter::default());
        let first = limiter.acquire(Lane::Bulk).await;
        let _second = limiter.acquire(Lane::Bulk).await;
        assert!(
            !limiter.take(Lane::Live),
            "two are running, the limit is two"
        );
        let waiting = LiveWaiting::of(&limiter);
        drop(first);
        assert!(!limiter.take(Lane::Bulk), "a live unit waits");
        assert!(limiter.take(Lane::Live));
        drop(waiting);
    }

    #[tokio::test]
    async fn the_limit_grows_under_use_and_shrinks_under_pressure() {
        let limiter = Arc::new(Limiter::default());
        limiter.succeeded();
        assert!(limiter.lock().limit <= START, "not in full use");
        let _permits = [
            limiter.acquire(Lane::Live).await,
            limiter.acquire(Lane::Live).await,
        ];
        limiter.succeeded();
        limiter.succeeded();
        assert!(limiter.lock().limit > START + 0.8);
        for _ in 0..100 {
            limiter.backed_off();
        }
        assert!(
            (limiter.lock().limit - 1.0).abs() < f64::EPSILON,
            "never below one"
        );
    }
}
