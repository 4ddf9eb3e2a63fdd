//! Dead messages: looked at, sent back, thrown away.

use domain::tally::Count;
use domain::unit::Envelope;
use domain::unit::{QueueName, UnitCopy};
use futures::Stream;
use ports::queue::{DeadAction, DeadLetter};

use super::{About, Caller, MAX_PAGE, Operations, page_size, reason_of};
use crate::OpsError;
use crate::views::{DeadList, DeadOutcome, DeadView, RecordId};

/// So many, the oldest, a broker can be asked for: each is taken and put back.
pub(crate) const EXPORTED: usize = MAX_PAGE;

impl Operations {
    /// The first dead messages, oldest first.
    ///
    /// # Errors
    /// [`OpsError`].
    pub async fn dead(&self, limit: Option<usize>) -> Result<DeadList, OpsError> {
        let max = page_size(limit)?;
        let letters = self.of_broker(self.queue.dead_letters(max)).await?;
        let messages = letters.into_iter().map(DeadMessage::from);
        let messages = messages.collect::<Vec<_>>();
        Ok(DeadList {
            messages: messages.iter().map(view).collect(),
            total: self.of_broker(self.queue.dead_count()).await?,
        })
    }

    /// The oldest, as many as are exported.
    pub fn all_dead(&self) -> impl Stream<Item = Result<Vec<DeadView>, OpsError>> + Send + use<> {
        let operations = self.clone();
        futures::stream::once(async move { Ok(operations.dead(Some(EXPORTED)).await?.messages) })
    }

    /// One message, with its records.
    ///
    /// # Errors
    /// [`OpsError::NotFound`].
    pub async fn dead_message(&self, id: &str) -> Result<DeadView, OpsError> {
        let message = self.found_dead(id).await?;
        let records = message.envelope.as_ref().map(|unit| {
            unit.records
                .iter()
                .map(|record| RecordId::from((record.object, record.id)))
                .collect()
        });
        Ok(DeadView {
            records,
            ..view(&message)
        })
    }

    /// Sends a message back to the queue it was in.
    ///
    /// # Errors
    /// [`OpsError::NotFound`], [`OpsError::Conflict`] when it never was in a queue.
    pub async fn replay_dead(&self, id: &str, caller: Caller) -> Result<DeadOutcome, OpsError> {
        let message = self.found_dead(id).await?;
        let Some(queue) = message.queue else {
            return Err(OpsError::Conflict(format!(
                "the message {id} never was in a queue, so there is none to send it back to; discard it when it is of no use any more"
            )));
        };
        if !self.queue.settle_dead(id, DeadAction::Replay).await? {
            return Err(gone(id));
        }
        let text = format!(
            "message {id} was sent back to {} by {}",
            queue.name(),
            caller.name()
        );
        self.note(about(&message), &caller, text).await?;
        Ok(DeadOutcome {
            id: id.to_owned(),
            cancelled: 0,
        })
    }

    /// Throws a message away. The records of its unit that are still open are counted as
    /// cancelled, so that the job's sums close, and named in the log.
    ///
    /// # Errors
    /// [`OpsError::Invalid`] without a reason or with too long a one, [`OpsError::NotFound`].
    pub async fn discard_dead(
        &self,
        id: &str,
        reason: Option<String>,
        caller: Caller,
    ) -> Result<DeadOutcome, OpsError> {
        let reason = reason_of(reason)?.ok_or_else(|| {
            OpsError::Invalid(
                "throwing a message away needs a reason, so that somebody who misses its records later knows why".to_owned(),
            )
        })?;
        let message = self.found_dead(id).await?;
        // First the count, which can be repeated, then the message: ended in between, it is still
        // there to be discarded.
        let cancelled = match &message.envelope {
            Some(unit) => self.count_cancelled(unit, message.copy.as_ref()).await?,
            None => 0,
        };
        if !self.queue.settle_dead(id, DeadAction::Discard).await? {
            return Err(gone(id));
        }
        let text = format!(
            "message {id} was discarded by {}: {reason}; {cancelled} records counted as cancelled",
            caller.name()
        );
        let about = about(&message).because(Some(&reason));
        self.note(about, &caller, text).await?;
        for record in message.envelope.iter().flat_map(|unit| &unit.records) {
            let about = About {
                record: Some((record.object, record.id)),
                ..about
            };
            let text = format!("not brought to mOS: message {id} was discarded: {reason}");
            self.note(about, &caller, text).await?;
        }
        Ok(DeadOutcome {
            id: id.to_owned(),
            cancelled,
        })
    }

    /// Closes a unit's tally: how many records it cancels. None when the unit was counted before, or
    /// another copy of it is being sent.
    async fn count_cancelled(
        &self,
        unit: &Envelope,
        copy: Option<&UnitCopy>,
    ) -> Result<u64, OpsError> {
        let mut tally = unit.tally.clone();
        for record in &unit.records {
            tally.add(record.object, Count::Cancelled);
        }
        let first = self
            .stores
            .jobs
            .count(&unit.job, unit.index, copy, &tally, self.now())
            .await?;
        let records = u64::try_from(unit.records.len()).unwrap_or(u64::MAX);
        Ok(if first { records } else { 0 })
    }

    async fn found_dead(&self, id: &str) -> Result<DeadMessage, OpsError> {
        let letter = self.of_broker(self.queue.dead_letter(id)).await?;
        letter.map(DeadMessage::from).ok_or_else(|| gone(id))
    }
}

/// A dead message, with its unit where it can be read.
struct DeadMessage {
    id: String,
    queue: Option<QueueName>,
    reason: String,
    since: Option<domain::Timestamp>,
    deliveries: u32,
    message_type: String,
    bytes: usize,
    envelope: Option<Envelope>,
    copy: Option<UnitCopy>,
}

impl From<DeadLetter> for DeadMessage {
    fn from(letter: DeadLetter) -> Self {
        let message = letter.message;
        let queue = QueueName::of_name(&letter.queue);
        let envelope = Envelope::decode(&message.body).ok();
        let copy = queue.zip(envelope.as_ref());
        Self {
            copy: copy.map(|(at, unit)| runtime::worker::copy_of(at, unit, &message.body)),
            queue,
            reason: letter.reason,
            since: letter.since,
            deliveries: letter.attempt,
            envelope,
            bytes: message.body.len(),
            message_type: message.kind,
            id: message.id,
        }
    }
}

fn about(message: &DeadMessage) -> About<'_> {
    About {
        topic: "dead",
        job: message.envelope.as_ref().map(|unit| &unit.job),
        record: None,
        reason: None,
    }
}

fn gone(id: &str) -> OpsError {
    OpsError::NotFound(format!(
        "no message `{id}` is dead; `mosync dead list` shows those that are"
    ))
}

fn view(message: &DeadMessage) -> DeadView {
    let unit = message.envelope.as_ref();
    DeadView {
        id: message.id.clone(),
        queue: message.queue.map(|queue| queue.name().to_owned()),
        reason: message.reason.clone(),
        since: message.since,
        deliveries: message.deliveries,
        message_type: message.message_type.clone(),
        bytes: u64::try_from(message.bytes).unwrap_or(u64::MAX),
        job: unit.map(|unit| unit.job.to_string()),
        index: unit.map(|unit| unit.index),
        records: None,
    }
}
