//! The outages that a worker has met and not got over, for its report and the integration log.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::Timestamp;
use domain::unit::Lane;

use crate::reasons::{Reason, Reasons};

/// What the reason is about while the broker cannot be reached.
pub(crate) const BROKER: &str = "broker";

/// An outage that was not met again for so long is over, or another process's: the unit that met it
/// comes again within seconds, and no unit stays in hand for so long.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(300);

/// For so long an outage is told at least, whatever else is settled: the unit that met it comes again
/// sooner and may meet it again, while others that do not need what fails are settled.
const TOLD_FOR: Duration = Duration::from_secs(15);

/// The last outage of each lane of one worker process. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Outages(Arc<Mutex<BTreeMap<Lane, Met>>>);

#[derive(Debug, Clone)]
struct Met {
    about: &'static str,
    reason: Reason,
    at: Timestamp,
    /// A unit of the lane was settled since.
    settled: bool,
}

impl Outages {
    /// What there is as of now.
    #[must_use]
    pub fn reasons(&self, now: Timestamp) -> Reasons {
        let mut reasons = Reasons::default();
        for met in self.lock().values() {
            let told_for = if met.settled {
                TOLD_FOR
            } else {
                FORGOTTEN_AFTER
            };
            if now.since(met.at) < told_for {
                reasons.insert(met.about, met.reason.clone());
            }
        }
        reasons
    }

    /// A lane has met one.
    pub(crate) fn met(&self, lane: Lane, about: &'static str, reason: Reason, at: Timestamp) {
        let met = Met {
            about,
            reason,
            at,
            settled: false,
        };
        self.lock().insert(lane, met);
    }

    /// A unit of the lane was settled.
    pub(crate) fn settled(&self, lane: Lane) {
        if let Some(met) = self.lock().get_mut(&lane) {
            met.settled = true;
        }
    }

    /// The lane has subscribed to its queue.
    pub(crate) fn connected(&self, lane: Lane) {
        let mut lanes = self.lock();
        if lanes.get(&lane).is_some_and(|met| met.about == BROKER) {
            lanes.remove(&lane);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Lane, Met>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn an_outage_is_told_until_a_unit_of_its_lane_is_settled() {
        let outages = Outages::default();
        let told = |seconds| outages.reasons(at(seconds)).to_string();
        assert_eq!(told(0), "");
        outages.met(Lane::Live, "salesforce", "no answer".into(), at(0));
        outages.met(Lane::Bulk, BROKER, "link lost".into(), at(0));
        assert_eq!(told(1), "link lost; no answer");
        // Connected again says nothing about Salesforce.
        outages.connected(Lane::Bulk);
        outages.connected(Lane::Live);
        outages.settled(Lane::Bulk);
        assert_eq!(told(299), "no answer");
        outages.settled(Lane::Live);
        assert_eq!(told(14), "no answer");
        assert_eq!(told(15), "");
        // Met again by one unit while others are settled.
        outages.met(Lane::Live, "salesforce", "no answer".into(), at(10));
        outages.settled(Lane::Live);
        assert_eq!(told(24), "no answer");
    }

    #[test]
    fn an_outage_that_is_not_met_again_is_forgotten() {
        let outages = Outages::default();
        outages.met(Lane::Live, "salesforce", "no answer".into(), at(0));
        assert!(!outages.reasons(at(299)).is_empty());
        assert!(outages.reasons(at(300)).is_empty());
        outages.met(Lane::Live, "salesforce", "no answer".into(), at(290));
        assert!(!outages.reasons(at(300)).is_empty());
    }
}
