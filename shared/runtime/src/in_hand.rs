//! What a worker has taken and not settled, for the status: how many units, and how old the oldest
//! is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::Timestamp;
use domain::unit::{Envelope, Lane};
use ports::Clock;
use ports::stores::{OLDEST, UNSETTLED};

/// A unit that was handed back, and has not come again although the worker has been taking units for
/// so long, has gone to another process.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// Live units come as thick as that while there is live work.
const LIVE_WITHIN: Duration = Duration::from_secs(1);

/// The units of one worker process, both lanes. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct InHand(Arc<Mutex<Units>>);

#[derive(Debug, Default)]
struct Units {
    held: BTreeMap<u128, Held>,
    /// When the worker last took a live unit.
    live: Option<Timestamp>,
    /// Since when it has been taking what comes, by lane; nothing comes while a gate is closed.
    taking: BTreeMap<Lane, Timestamp>,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    lane: Lane,
    published: Timestamp,
    /// Since when it is back in its queue, or waits to be retried.
    handed_back: Option<Timestamp>,
}

impl Held {
    /// Whether it has gone to another process, as far as can be told.
    fn is_gone(&self, taking: Option<Timestamp>, now: Timestamp) -> bool {
        match (self.handed_back, taking) {
            (Some(back), Some(taking)) => now.since(back.max(taking)) >= FORGOTTEN_AFTER,
            (None, _) | (_, None) => false,
        }
    }
}

/// The time in which a worker takes the units of a lane. Dropped, it takes no more.
#[derive(Debug)]
#[must_use]
pub struct Taking {
    units: InHand,
    lane: Lane,
}

/// A unit in hand. Dropped without having been settled, the unit comes again.
#[derive(Debug)]
#[must_use]
pub struct Holding {
    units: InHand,
    unit: u128,
    clock: Arc<dyn Clock>,
}

impl InHand {
    /// The worker takes the units of a lane from now on.
    pub fn taking(&self, lane: Lane, now: Timestamp) -> Taking {
        self.change(|units| units.taking.insert(lane, now));
        Taking {
            units: self.clone(),
            lane,
        }
    }

    /// The worker has taken a unit.
    pub fn take(&self, unit: &Envelope, clock: &Arc<dyn Clock>) -> Holding {
        let held = Held {
            lane: unit.lane,
            published: unit.published,
            handed_back: None,
        };
        let (lane, unit) = (unit.lane, unit.id.as_u128());
        let now = clock.now();
        self.change(|units| {
            units.held.insert(unit, held);
            if lane == Lane::Live {
                units.live = Some(now);
            }
        });
        Holding {
            units: self.clone(),
            unit,
            clock: Arc::clone(clock),
        }
    }

    /// Whether live units are being worked on.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.change(|units| {
            units
                .live
                .is_some_and(|taken| now.since(taken) < LIVE_WITHIN)
        })
    }

    /// The figures for a report, as of now.
    #[must_use]
    pub fn figures(&self, now: Timestamp) -> BTreeMap<String, i64> {
        self.change(|units| {
            let Units { held, taking, .. } = &mut *units;
            held.retain(|_, held| !held.is_gone(taking.get(&held.lane).copied(), now));
            let unsettled = i64::try_from(units.held.len()).unwrap_or(i64::MAX);
            let oldest = units
                .held
                .values()
                .map(|held| held.published.as_micros())
                .min();
            [
                Some((UNSETTLED.to_owned(), unsettled)),
                oldest.map(|oldest| (OLDEST.to_owned(), oldest)),
            ]
            .into_iter()
            .flatten()
            .collect()
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Units) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        self.units.change(|units| units.taking.remove(&self.lane));
    }
}

impl Holding {
    /// The unit is done with here.
    pub fn settled(self) {
        self.units.change(|units| units.held.remove(&self.unit));
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        let now = self.clock.now();
        self.units.change(|units| {
            if let Some(held) = units.held.get_mut(&self.unit) {
                held.handed_back = Some(now);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use domain::SalesforceId;
    use domain::job::JobId;
    use domain::unit::Lane;

    use super::*;

    #[derive(Debug, Default)]
    struct Minutes(AtomicI64);

    impl Clock for Minutes {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(self.0.load(Ordering::SeqCst) * 60_000_000)
        }
    }

    fn unit(index: u64, published: i64) -> Envelope {
        let job = JobId::of("live-2026-11-22T14");
        let org = SalesforceId::parse("00D000000000001").unwrap();
        let published = Timestamp::from_micros(published);
        Envelope::new(job, index, Lane::Live, org, published, Vec::new())
    }

    /// How many units are told at that minute, and when the oldest was published.
    fn told(units: &InHand, minutes: &Minutes, minute: i64) -> (i64, Option<i64>) {
        minutes.0.store(minute, Ordering::SeqCst);
        let figures = units.figures(minutes.now());
        (figures[UNSETTLED], figures.get(OLDEST).copied())
    }

    #[test]
    fn the_oldest_is_told_until_it_is_settled_also_while_it_waits_to_come_again() {
        let minutes = Arc::new(Minutes::default());
        let clock: Arc<dyn Clock> = Arc::<Minutes>::clone(&minutes);
        let units = InHand::default();
        let told = |minute| told(&units, &minutes, minute);
        let _taking = units.taking(Lane::Live, clock.now());
        assert_eq!(told(0), (0, None));
        let young = units.take(&unit(2, 700), &clock);
        let old = units.take(&unit(1, 300), &clock);
        assert_eq!(told(0), (2, Some(300)));
        // Handed back: it is still there for somebody to take.
        drop(old);
        assert_eq!(told(9), (2, Some(300)));
        units.take(&unit(1, 300), &clock).settled();
        assert_eq!(told(9), (1, Some(700)));
        // Another process has taken it meanwhile.
        drop(young);
        assert_eq!(told(18), (1, Some(700)));
        assert_eq!(told(19), (0, None));
    }

    #[test]
    fn what_was_handed_back_is_told_for_as_long_as_nothing_is_taken() {
        let minutes = Arc::new(Minutes::default());
        let clock: Arc<dyn Clock> = Arc::<Minutes>::clone(&minutes);
        let units = InHand::default();
        let told = |minute| told(&units, &minutes, minute);
        let taking = units.taking(Lane::Live, clock.now());
        drop(units.take(&unit(1, 300), &clock));
        drop(taking);
        // A gate is closed for hours; the other lane's is not.
        let _bulk = units.taking(Lane::Bulk, clock.now());
        assert_eq!(told(200), (1, Some(300)));
        let _taking = units.taking(Lane::Live, clock.now());
        assert_eq!(told(209), (1, Some(300)));
        assert_eq!(told(210), (0, None));
    }
}
