//! A record over which its worker fails must not keep the others of its unit from mOS.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use domain::failure::FailureKind;
use domain::parked::Parked;
use domain::tally::{Count, Tally};
use domain::unit::{Envelope, Stage, UnitCopy, UnitRecord};
use domain::{Ticket, Version};
use futures::FutureExt;
use ports::queue::Message;

use super::trial::Trial;
use super::{Outage, Settle, Verdict, Void, Worker, decode};

/// No unit stays in hand longer than this.
const HANDLING_LIMIT: Duration = Duration::from_secs(240);

/// A record, or a unit, over which mosync fails: why it is parked.
pub(super) struct Poison(pub(super) &'static str);

const PANICKED: Poison = Poison("mosync failed while handling this record");

impl Worker {
    /// The handler's verdict; a unit that makes it panic is judged without the records that do, and
    /// so is one over which the process dies: on trial, under that name.
    pub(super) async fn judge(
        &self,
        unit: Envelope,
        message: &Message,
        copy: &UnitCopy,
        trial: Option<&str>,
    ) -> Result<Verdict, Outage> {
        if let Some(name) = trial {
            return self.judge_apart(unit, message, copy, name).await;
        }
        let _beside_others = self.apart.0.read().await;
        match self.guarded(unit, copy).await {
            Ok(verdict) => verdict,
            Err(Poison(_)) => {
                let unit = decode(message).map_err(Outage::Other)?;
                self.judge_without_poison(unit, copy, None).await
            }
        }
    }

    pub(super) async fn guarded(
        &self,
        unit: Envelope,
        copy: &UnitCopy,
    ) -> Result<Result<Verdict, Outage>, Poison> {
        caught(self.handler.handle(unit, copy)).await
    }

    /// Tries every record alone, without carrying anything out but what the handler itself does
    /// (which is safe to repeat), parks those over which it fails, and judges the rest together.
    pub(super) async fn judge_without_poison(
        &self,
        mut unit: Envelope,
        copy: &UnitCopy,
        mut trial: Option<&mut Trial<'_>>,
    ) -> Result<Verdict, Outage> {
        if self.handler.stage() == Stage::Load {
            return self.judge_one_by_one(unit, copy, trial).await;
        }
        let mut parked = Vec::new();
        for record in std::mem::take(&mut unit.records) {
            let alone = Envelope {
                records: vec![record.clone()],
                ..unit.clone()
            };
            let trial = trial.as_deref_mut();
            match self.judge_record(&record, alone, copy, trial).await {
                Ok(Ok(_)) => unit.records.push(record),
                Ok(Err(outage)) => return Err(outage),
                Err(poison) => {
                    unit.tally.add(record.object, Count::Parked);
                    parked.push(self.poisoned(&unit, &record, poison));
                }
            }
        }
        let mut verdict = if unit.records.is_empty() {
            Verdict::finished(unit)
        } else {
            match self.guarded(unit, copy).await {
                Ok(verdict) => verdict?,
                Err(Poison(_)) => {
                    return Err(Outage::Other(
                        "a unit fails as a whole though none of its records does; it is tried again"
                            .to_owned(),
                    ));
                }
            }
        };
        verdict.park.extend(parked);
        Ok(verdict)
    }

    /// Tries every record alone where that sends it, and puts together what became of them: sent
    /// once more with the others, each would be answered as one that mOS has already. For the same
    /// reason the unit is not taken apart where mOS has had it. Tried again after an outage, mOS
    /// repeats its answers.
    async fn judge_one_by_one(
        &self,
        unit: Envelope,
        copy: &UnitCopy,
        mut trial: Option<&mut Trial<'_>>,
    ) -> Result<Verdict, Outage> {
        let earlier = self.earlier(&unit, copy, trial.as_deref_mut()).await?;
        if let Some(verdict) = earlier {
            return Ok(verdict);
        }
        let mut whole = Envelope {
            records: Vec::new(),
            tally: Tally::default(),
            ..unit.clone()
        };
        let alone = whole.clone();
        whole.tally.merge(&unit.tally);
        let mut park = Vec::new();
        let mut void = Void::default();
        let mut is_read_again = false;
        let mut wait = None;
        for record in &unit.records {
            let alone = Envelope {
                records: vec![record.clone()],
                ..alone.clone()
            };
            let trial = trial.as_deref_mut();
            let verdict = match self.judge_record(record, alone, copy, trial).await {
                Ok(verdict) => verdict,
                Err(poison) => {
                    whole.tally.add(record.object, Count::Parked);
                    park.push(self.poisoned(&unit, record, poison));
                    continue;
                }
            };
            let Verdict {
                publish,
                park: parked,
                unpark,
                count,
                settle,
            } = verdict?;
            park.extend(parked);
            void.records.extend(unpark.records);
            void.version = unpark.version;
            let left = match (count, publish.into_iter().next(), settle) {
                (Some(counted), ..) => {
                    whole.tally.merge(&counted.tally);
                    continue;
                }
                (None, Some((_, left)), _) => {
                    is_read_again = true;
                    left
                }
                (None, None, Settle::RetryAfter(after, left)) => {
                    wait = wait.max(Some(after));
                    *left
                }
                (None, None, Settle::Ack) => return Ok(Verdict::left_to_another()),
            };
            whole.tally.merge(&left.tally);
            whole.records.extend(left.records);
            whole.rereads = whole.rereads.max(left.rereads);
            whole.attempts = whole.attempts.max(left.attempts);
            whole.outages = whole.outages.max(left.outages);
            whole.step = whole.step.max(left.step);
        }
        let mut verdict = match wait {
            _ if is_read_again => Verdict::read_again(whole),
            Some(wait) => Verdict::later(wait, whole),
            None => Verdict::finished(whole),
        };
        verdict.park = park;
        verdict.unpark = void;
        Ok(verdict)
    }

    fn poisoned(&self, unit: &Envelope, record: &UnitRecord, Poison(why): Poison) -> Parked {
        tracing::error!(object = %record.object, record = %record.id, stage = ?self.handler.stage(), "a record makes mosync fail and is parked alone");
        let now = self.clock.now();
        let ticket = unit.ticket.unwrap_or(Ticket {
            version: Version::at(now),
            rule_revision: 0,
            snapshot: 0,
        });
        let record = (record.object, record.id);
        Parked::new(
            record,
            self.handler.stage(),
            FailureKind::Poison,
            why.to_owned(),
            ticket,
            now,
        )
    }
}

/// What comes of it, unless it panics; not for ever.
pub(super) async fn caught<T>(
    handling: impl Future<Output = Result<T, Outage>>,
) -> Result<Result<T, Outage>, Poison> {
    let handling = AssertUnwindSafe(handling).catch_unwind();
    match tokio::time::timeout(HANDLING_LIMIT, handling).await {
        Ok(Ok(verdict)) => Ok(verdict),
        Ok(Err(_payload)) => Err(PANICKED),
        Err(_elapsed) => Ok(Err(Outage::Other(format!(
            "a unit was not done within {} s and is tried again",
            HANDLING_LIMIT.as_secs()
        )))),
    }
}
