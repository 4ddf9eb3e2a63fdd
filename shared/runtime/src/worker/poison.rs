//! A record that makes its worker panic must not keep the others of its unit from mOS.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use domain::failure::FailureKind;
use domain::parked::Parked;
use domain::tally::{Count, Tally};
use domain::unit::{Envelope, Stage, UnitCopy, UnitRecord};
use domain::{Ticket, Version};
use futures::FutureExt;
use ports::queue::Message;

use super::{Outage, Settle, Verdict, Void, Worker, decode};

/// No unit stays in hand longer than this.
const HANDLING_LIMIT: Duration = Duration::from_secs(240);

struct Panicked;

impl Worker {
    /// The handler's verdict; a unit that makes it panic is judged without the records that do.
    pub(super) async fn judge(
        &self,
        unit: Envelope,
        message: &Message,
        copy: &UnitCopy,
    ) -> Result<Verdict, Outage> {
        match self.guarded(unit, copy).await {
            Ok(verdict) => verdict,
            Err(Panicked) => {
                let unit = decode(message).map_err(Outage::Other)?;
                self.judge_without_poison(unit, copy).await
            }
        }
    }

    async fn guarded(
        &self,
        unit: Envelope,
        copy: &UnitCopy,
    ) -> Result<Result<Verdict, Outage>, Panicked> {
        let handling = AssertUnwindSafe(self.handler.handle(unit, copy)).catch_unwind();
        match tokio::time::timeout(HANDLING_LIMIT, handling).await {
            Ok(Ok(verdict)) => Ok(verdict),
            Ok(Err(_payload)) => Err(Panicked),
            Err(_elapsed) => Ok(Err(Outage::Other(format!(
                "a unit was not done within {} s and is tried again",
                HANDLING_LIMIT.as_secs()
            )))),
        }
    }

    /// Tries every record alone, without carrying anything out but what the handler itself does
    /// (which is safe to repeat), parks those that panic, and judges the rest together.
    async fn judge_without_poison(
        &self,
        mut unit: Envelope,
        copy: &UnitCopy,
    ) -> Result<Verdict, Outage> {
        if self.handler.stage() == Stage::Load {
            return self.judge_one_by_one(unit, copy).await;
        }
        let mut poison = Vec::new();
        for record in &unit.records {
            let alone = Envelope {
                records: vec![record.clone()],
                ..unit.clone()
            };
            if self.guarded(alone, copy).await.is_err() {
                poison.push((record.object, record.id));
            }
        }
        if poison.is_empty() {
            return Err(Outage::Other(
                "a unit fails as a whole though none of its records does; it is tried again"
                    .to_owned(),
            ));
        }
        let (bad, good): (Vec<UnitRecord>, Vec<UnitRecord>) = unit
            .records
            .into_iter()
            .partition(|record| poison.contains(&(record.object, record.id)));
        unit.records = good;
        let parked = bad
            .iter()
            .map(|record| self.poisoned(&unit, record))
            .collect::<Vec<_>>();
        for record in &bad {
            unit.tally.add(record.object, Count::Parked);
        }
        let mut verdict = if unit.records.is_empty() {
            Verdict::finished(unit)
        } else {
            match self.guarded(unit, copy).await {
                Ok(verdict) => verdict?,
                Err(Panicked) => {
                    return Err(Outage::Other(
                        "a unit still fails without its bad records; it is tried again".to_owned(),
                    ));
                }
            }
        };
        verdict.park.extend(parked);
        Ok(verdict)
    }

    /// Tries every record alone where that sends it, and puts together what became of them: sent
    /// once more with the others, each would be answered as one that mOS has already. Tried again
    /// after an outage, mOS repeats its answers.
    async fn judge_one_by_one(&self, unit: Envelope, copy: &UnitCopy) -> Result<Verdict, Outage> {
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
            let Ok(verdict) = self.guarded(alone, copy).await else {
                whole.tally.add(record.object, Count::Parked);
                park.push(self.poisoned(&unit, record));
                continue;
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

    fn poisoned(&self, unit: &Envelope, record: &UnitRecord) -> Parked {
        tracing::error!(object = %record.object, record = %record.id, stage = ?self.handler.stage(), "a record makes mosync fail and is parked alone");
        let now = self.clock.now();
        let message = "mosync failed while handling this record".to_owned();
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
            message,
            ticket,
            now,
        )
    }
}
