//! Planted faults, to prove that the simulation sees such faults.

use std::sync::Arc;

use async_trait::async_trait;
use domain::ObjectKind;
use domain::tally::Count;
use domain::unit::{Cause, Envelope, Stage, UnitCopy};
use runtime::gate::Gate;
use runtime::worker::{Counted, Handler, Outage, Verdict};
use tokio::sync::watch;

/// Which fault is planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutant {
    None,
    /// Messages are acknowledged before the work.
    AcksFirst,
    /// mOS takes whatever comes last.
    NoVersionGuard,
    /// Accounts that belong to an opportunity are not sent along.
    LosesCompanions,
    /// The mark that lets a unit count once is missing.
    CountsTwice,
    /// Units are counted when they are passed on, before their last record is done.
    CountsEarly,
    /// The note of the copy that is being sent is missing.
    SendsEveryCopy,
    /// A reader that starts again does not know which units it had announced.
    ForgetsAnnounced,
    /// A save does not bring what it lets in.
    SavesWithoutBackfill,
    /// What the filter was when mosync started is what counts.
    KeepsOldFilter,
    /// Nobody looks whether the sync is disabled.
    IgnoresDisabled,
    /// Who newly holds permission gets only what changes from then on.
    GrantsWithoutBackfill,
    /// Who held permission once holds it for ever.
    RevokesUnheard,
    /// Midnights bring nothing.
    NeverSweeps,
    /// Stages of another type and formulas bring nothing.
    NeverRefreshes,
    /// Deals that close leave without a word.
    LosesLastWords,
}

/// What is done to what a stage comes to.
pub(crate) type Fault = fn(&mut Verdict);

/// A stage with a fault in what it comes to.
pub(crate) struct Faulty {
    pub(crate) stage: Arc<dyn Handler>,
    pub(crate) fault: Fault,
}

#[async_trait]
impl Handler for Faulty {
    fn stage(&self) -> Stage {
        self.stage.stage()
    }

    fn gate(&self) -> watch::Receiver<Gate> {
        self.stage.gate()
    }

    async fn handle(&self, unit: Envelope, copy: &UnitCopy) -> Result<Verdict, Outage> {
        let mut verdict = self.stage.handle(unit, copy).await?;
        (self.fault)(&mut verdict);
        Ok(verdict)
    }
}

/// A stage counts what it passes on.
pub(crate) fn counts_early(verdict: &mut Verdict) {
    if let Some((_, unit)) = verdict.publish.first() {
        verdict.count = Some(Counted {
            job: unit.job.clone(),
            index: unit.index,
            tally: unit.tally.clone(),
        });
    }
}

/// The permission stage loses its accounts; the sums are made to close.
pub(crate) fn loses_companions(verdict: &mut Verdict) {
    for (_, unit) in &mut verdict.publish {
        let tally = &mut unit.tally;
        unit.records.retain(|record| {
            let lost = record.object == ObjectKind::Account && record.cause == Cause::Companion;
            if lost {
                tally.add(record.object, Count::Gone);
            }
            !lost
        });
    }
}
