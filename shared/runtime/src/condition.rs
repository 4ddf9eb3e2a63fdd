//! How a worker is: whether it works, why not, and what it has in hand, as its report says.

use domain::Timestamp;
use ports::stores::{Report, WorkerState};
use tokio::sync::watch;

use crate::expiring::Expiring;
use crate::gate::Gate;
use crate::in_hand::InHand;
use crate::outages::Outages;
use crate::reasons::Reasons;

/// What a worker's report and the integration log are made of.
#[derive(Debug)]
pub struct Condition {
    /// Whether it may take units.
    pub gate: watch::Receiver<Gate>,
    /// What keeps it from its work although it may.
    pub outages: Outages,
    /// The units it has.
    pub in_hand: InHand,
    /// Whose permission runs out soon, told with the report of who polls permissions.
    pub soon: Option<watch::Receiver<Option<Expiring>>>,
}

impl Condition {
    /// What keeps it from its work.
    #[must_use]
    pub fn reasons(&self, now: Timestamp) -> Reasons {
        let closed = self.gate.borrow().reasons();
        closed.and(self.outages.reasons(now))
    }

    /// What it says of itself.
    #[must_use]
    pub fn report(&self, now: Timestamp) -> Report {
        let closed = self.gate.borrow().reasons();
        let failing = self.outages.reasons(now);
        let state = if !closed.is_empty() {
            WorkerState::Paused(closed.to_string())
        } else if !failing.is_empty() {
            WorkerState::Failing(failing.to_string())
        } else {
            WorkerState::Running
        };
        let mut figures = self.in_hand.figures(now);
        if let Some(expiring) = self.soon.as_ref().and_then(|soon| soon.borrow().clone()) {
            figures.extend(expiring.figures());
        }
        let reasons = closed.and(failing);
        let out_of_reach = reasons.iter().filter_map(|(_, reason)| reason.out_of_reach);
        Report {
            at: now,
            state,
            figures,
            out_of_reach: out_of_reach.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::unit::Lane;
    use ports::source::SourceError;
    use ports::stores::Dependency;

    use super::*;
    use crate::gate::Gates;
    use crate::reasons::Reason;

    #[test]
    fn a_worker_fails_while_it_does_not_get_over_an_outage_and_is_paused_by_its_gate() {
        let gates = Gates::default();
        let outages = Outages::default();
        let condition = Condition {
            gate: gates.watch(),
            outages: outages.clone(),
            in_hand: InHand::default(),
            soon: None,
        };
        let now = Timestamp::default();
        let later = now.after(std::time::Duration::from_secs(20));
        let report = || condition.report(now);
        assert_eq!(report().state, WorkerState::Running);
        let refused = SourceError::Refused {
            code: "INVALID_FIELD".to_owned(),
            message: "No such column".to_owned(),
        };
        outages.met(Lane::Live, "salesforce", (&refused).into(), now);
        let why = refused.to_string();
        assert_eq!(report().state, WorkerState::Failing(why.clone()));
        assert_eq!(report().out_of_reach, [].into());
        let silent = SourceError::Unreachable("timed out".to_owned());
        outages.met(Lane::Live, "salesforce", (&silent).into(), now);
        assert_eq!(report().out_of_reach, [Dependency::Salesforce].into());
        let silent = Reason {
            why: "mOS is down".to_owned(),
            out_of_reach: Some(Dependency::Mos),
        };
        gates.close("mos", silent);
        let paused = WorkerState::Paused("mOS is down".to_owned());
        assert_eq!(report().state, paused);
        let both = [Dependency::Salesforce, Dependency::Mos];
        assert_eq!(report().out_of_reach, both.into());
        gates.open("mos");
        outages.settled(Lane::Live);
        let over = condition.report(later);
        assert_eq!(over.state, WorkerState::Running);
        assert_eq!(over.out_of_reach, [].into());
    }
}
