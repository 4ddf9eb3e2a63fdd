//! A record over which the process dies must not keep the others of its unit from mOS either.
//!
//! Nobody is left then to say which record it was, so it is said before: a unit that has come back
//! too often is handled while the process has nothing else in hand, at first as a whole, then
//! record by record, and a note of what begins is kept in the store. What is still in the note when
//! the unit comes again has not returned.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::SalesforceId;
use domain::unit::{Envelope, UnitCopy, UnitRecord};
use ports::queue::Message;
use ports::stores::StoreError;
use serde::{Deserialize, Serialize};
use tokio::sync::RwLock;

use super::poison::{Poison, caught};
use super::{Outage, Verdict, Worker, decode};

/// How often a unit has come back unsettled before it is not handled beside others any more. Once
/// happens to whatever was in hand when a worker was stopped or its link was torn.
const SUSPICIOUS: u32 = 2;
/// Over how many deaths, handled apart as a whole, a unit's records are tried alone: more kills in a
/// row than an operator comes to. Sent again as a whole, a unit is answered by mOS as it was before.
const DEATHS_AS_A_WHOLE: u32 = 3;
/// Over how many deaths a record is given up. A first one may be anybody's doing who ends a process
/// in that moment.
const DEATHS: u32 = 2;

/// Why a record is parked that nobody has seen fail.
const DEADLY: &str = "mosync ended unexpectedly each time that it handled this record; see what ended it, then retry";

/// Keeps a unit over which the process may die apart from all others that it handles, which would
/// come under suspicion with it. One for all workers of a process: clones share it.
#[derive(Debug, Clone, Default)]
pub struct Apart(pub(super) Arc<RwLock<()>>);

/// A unit of which is written down what begins.
pub(super) struct Trial<'w> {
    worker: &'w Worker,
    /// Under which name.
    unit: &'w str,
    note: Note,
}

/// What has begun and has not returned.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Note {
    /// How often the unit has, as a whole.
    whole: u32,
    /// Whether the question for what has come of it has.
    asked: bool,
    /// How often a record has, alone.
    records: BTreeMap<SalesforceId, u32>,
}

impl Worker {
    /// Under which name a unit that has come back so often is on trial, if it is.
    pub(super) fn suspected(&self, unit: &Envelope, returned: u32) -> Option<String> {
        (returned >= SUSPICIOUS).then(|| format!("{}/{}", self.handler.stage().name(), unit.id))
    }

    /// The handler's verdict on a unit over which the process may die.
    pub(super) async fn judge_apart(
        &self,
        unit: Envelope,
        message: &Message,
        copy: &UnitCopy,
        name: &str,
    ) -> Result<Verdict, Outage> {
        let _nothing_else = self.apart.0.write().await;
        tracing::warn!(
            unit = name,
            "a unit keeps coming back unsettled and is handled apart"
        );
        let mut trial = self.trial(name).await?;
        let unit = if trial.note.whole >= DEATHS_AS_A_WHOLE {
            unit
        } else {
            trial.note.whole += 1;
            trial.keep().await?;
            match self.guarded(unit, copy).await {
                Ok(verdict) => return verdict,
                Err(Poison(_)) => decode(message).map_err(Outage::Other)?,
            }
        };
        self.judge_without_poison(unit, copy, Some(&mut trial))
            .await
    }

    async fn trial<'w>(&'w self, unit: &'w str) -> Result<Trial<'w>, StoreError> {
        let note = self.stores.trials.trial(unit).await?;
        let note = note.map_or_else(
            || Ok(Note::default()),
            |note| {
                serde_json::from_str(&note).map_err(|error| StoreError::Corrupt(error.to_string()))
            },
        )?;
        Ok(Trial {
            worker: self,
            unit,
            note,
        })
    }

    /// What was on trial is settled, or waits for what the stage depends on and begins anew, as its
    /// count at the broker does. Where that is not noted, the note is forgotten after a day.
    pub(super) async fn acquitted(&self, unit: &str) {
        if let Err(error) = self.stores.trials.end(unit).await {
            tracing::warn!(unit, "the note of a unit that is done with stays: {error}");
        }
    }
}

impl Worker {
    /// What a handling of the unit has come to that was cut off. On trial that is asked once, for the
    /// process may die of the question, too.
    pub(super) async fn earlier(
        &self,
        unit: &Envelope,
        copy: &UnitCopy,
        trial: Option<&mut Trial<'_>>,
    ) -> Result<Option<Verdict>, Outage> {
        if let Some(trial) = trial {
            if trial.note.asked {
                return Ok(None);
            }
            trial.note.asked = true;
            trial.keep().await?;
        }
        let earlier = caught(self.handler.came_to(unit.clone(), copy)).await;
        // What fails over a record will fail over that record alone.
        earlier.unwrap_or(Ok(None))
    }

    /// The handler's verdict on a record alone. On trial it is noted before; over what the process
    /// has died too often it is not asked any more.
    pub(super) async fn judge_record(
        &self,
        record: &UnitRecord,
        alone: Envelope,
        copy: &UnitCopy,
        trial: Option<&mut Trial<'_>>,
    ) -> Result<Result<Verdict, Outage>, Poison> {
        let Some(trial) = trial else {
            return self.guarded(alone, copy).await;
        };
        let begun = trial.note.records.entry(record.id).or_default();
        if *begun >= DEATHS {
            return Err(Poison(DEADLY));
        }
        *begun += 1;
        if let Err(error) = trial.keep().await {
            return Ok(Err(error.into()));
        }
        let handled = self.guarded(alone, copy).await;
        // The store hears of it with the next that begins, or with the unit's end.
        trial.note.records.remove(&record.id);
        handled
    }
}

impl Trial<'_> {
    async fn keep(&self) -> Result<(), StoreError> {
        let note = serde_json::to_string(&self.note)
            .map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let Worker { stores, clock, .. } = self.worker;
        stores.trials.keep(self.unit, &note, clock.now()).await
    }
}
