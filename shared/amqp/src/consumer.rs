//! Taking from a queue, and settling what was taken.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::Timestamp;
use domain::unit::{QueueName, Stage};
use futures::{FutureExt, StreamExt};
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
    BasicRejectOptions,
};
use lapin::types::FieldTable;
use lapin::{Acker, Channel, Consumer};
use ports::Clock;
use ports::queue::{Delivery, Incoming, LinkLost, Message, Subscription};
use tokio::time::Instant;

use crate::envelope::{self, Death, Headers};
use crate::queue::lost;
use crate::session::{Fault, Refusal, Session, within_deadline};
use crate::topology::{DEAD, EXCHANGE, LADDER};

/// How long a delivery is kept for a broker that takes no messages: as long as a worker may have one
/// in hand, well below the half hour after which the broker takes it back.
const HELD_BACK_LIMIT: Duration = Duration::from_secs(240);

/// A consumer on a channel of its own. Dropping it closes the channel, by which the broker takes
/// back everything unsettled, whether it was shown or not.
pub(crate) struct AmqpSubscription {
    session: Arc<Session>,
    channel: Channel,
    consumer: Consumer,
    clock: Arc<dyn Clock>,
    from: QueueName,
    stopped: bool,
}

impl AmqpSubscription {
    pub(crate) async fn start(
        session: Arc<Session>,
        clock: Arc<dyn Clock>,
        from: QueueName,
        prefetch: u16,
    ) -> Result<Self, Fault> {
        let channel = session.channel().await?;
        // Without a limit the broker sends everything it has.
        within_deadline(channel.basic_qos(prefetch.max(1), BasicQosOptions::default())).await?;
        let consumer = within_deadline(channel.basic_consume(
            from.name().into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        ))
        .await?;
        Ok(Self {
            session,
            channel,
            consumer,
            clock,
            from,
            stopped: false,
        })
    }

    /// The next message of the queue, whatever its time.
    async fn take(&mut self) -> Result<Held, LinkLost> {
        match self.consumer.next().await {
            Some(Ok(delivery)) if self.session.holds_back() && passes_on(self.from) => {
                give_back(&delivery.acker).await?;
                Err(lost(&Fault::HeldBack))
            }
            Some(Ok(delivery)) => Ok(Held {
                attempt: envelope::attempt(&delivery.properties),
                returned: envelope::returned(&delivery.properties),
                headers: envelope::headers(&delivery.properties),
                message: envelope::message(&delivery.properties, delivery.data),
                settler: Settler {
                    session: Arc::clone(&self.session),
                    acker: Some(delivery.acker),
                    clock: Arc::clone(&self.clock),
                    from: self.from,
                },
            }),
            // After the first error the stream may stay silent for ever.
            Some(Err(error)) => Err(lost(&Fault::from(error))),
            // The broker cancelled the consumer: its queue was deleted, or a delivery was held
            // for too long.
            None => Err(LinkLost(format!(
                "the broker ended the consumer of `{}`",
                self.from.name()
            ))),
        }
    }
}

struct Held {
    message: Message,
    headers: Headers,
    attempt: u32,
    returned: u32,
    settler: Settler,
}

#[async_trait]
impl Subscription for AmqpSubscription {
    async fn next(&mut self) -> Result<Incoming, LinkLost> {
        loop {
            if self.stopped {
                return Err(LinkLost("the consumer was stopped".to_owned()));
            }
            let held = self.take().await?;
            match held.headers.not_before {
                // A rung is rarely as long as the wait: what comes back early climbs another.
                Some(due) if due > self.clock.now() => {
                    held.settler
                        .send_up(&held.message, held.attempt, due)
                        .await?;
                }
                Some(_) | None => {
                    let message = Arc::new(held.message);
                    return Ok(Incoming {
                        attempt: held.attempt,
                        returned: held.returned,
                        delivery: Box::new(AmqpDelivery {
                            message: Arc::clone(&message),
                            attempt: held.attempt,
                            settler: held.settler,
                        }),
                        message,
                    });
                }
            }
        }
    }

    async fn stop_taking(&mut self) -> Result<(), LinkLost> {
        if self.stopped {
            return Ok(());
        }
        self.stopped = true;
        let tag = self.consumer.tag();
        within_deadline(
            self.channel
                .basic_cancel(tag, BasicCancelOptions::default()),
        )
        .await
        .map_err(|fault| lost(&fault))?;
        // What the broker had sent ahead and nobody has seen goes back.
        while let Some(Some(Ok(unseen))) = self.consumer.next().now_or_never() {
            give_back(&unseen.acker).await?;
        }
        Ok(())
    }
}

/// Whether what is taken from there has to be sent on. While the broker takes nothing it would come
/// back again and again, until it counts as poison. What the last stage takes is acknowledged, and
/// makes room.
pub(crate) fn passes_on(from: QueueName) -> bool {
    match from.stage {
        Stage::Filter | Stage::Permission => true,
        Stage::Load => false,
    }
}

/// Gives back what nobody has seen. `nack`, because from 4.3 on that does not count as a delivery.
async fn give_back(acker: &Acker) -> Result<(), LinkLost> {
    let requeue = BasicNackOptions {
        requeue: true,
        ..BasicNackOptions::default()
    };
    within_deadline(acker.nack(requeue))
        .await
        .map_err(|fault| lost(&fault))?;
    Ok(())
}

/// The duty to settle one delivery. Dropped unsettled, it is rejected back into its queue, which
/// counts as a delivery, so that a message whose handler panics every time ends among the dead.
struct Settler {
    session: Arc<Session>,
    acker: Option<Acker>,
    clock: Arc<dyn Clock>,
    from: QueueName,
}

impl Settler {
    async fn ack(mut self) -> Result<(), LinkLost> {
        let Some(acker) = self.acker.take() else {
            return Ok(());
        };
        match within_deadline(acker.ack(BasicAckOptions::default())).await {
            Ok(true) => Ok(()),
            // The channel is gone; the broker has the message back.
            Ok(false) => Err(LinkLost(
                "the link on which the message came is gone".to_owned(),
            )),
            Err(fault) => {
                self.session.give_up();
                Err(lost(&fault))
            }
        }
    }

    /// Publishes anew, then acknowledges: a crash between the two makes a duplicate, never a loss.
    async fn replace(
        self,
        exchange: &str,
        message: &Message,
        headers: &Headers,
    ) -> Result<(), LinkLost> {
        let until = Instant::now() + HELD_BACK_LIMIT;
        let published = loop {
            let properties = envelope::properties(message, headers);
            let published = self
                .session
                .publish(exchange, self.from.name(), &message.body, properties)
                .await;
            // Given back, it would come again at once, and be as far.
            match published {
                Err(Refusal::Lost(Fault::HeldBack)) if Instant::now() < until => {
                    self.session.until_it_takes(until).await;
                }
                Ok(()) | Err(Refusal::Lost(_) | Refusal::Full | Refusal::Unroutable) => {
                    break published;
                }
            }
        };
        match published {
            Ok(()) => self.ack().await,
            Err(Refusal::Lost(fault)) => Err(lost(&fault)),
            Err(Refusal::Full) => Err(LinkLost(format!("the broker refused it at `{exchange}`"))),
            Err(Refusal::Unroutable) => Err(LinkLost(format!(
                "the broker has no queue behind `{exchange}`; run `mosync topology apply`"
            ))),
        }
    }

    /// Sends it to wait: on the longest rung that ends in time, else on the shortest; straight
    /// back when it is due.
    async fn send_up(
        self,
        message: &Message,
        attempt: u32,
        due: Timestamp,
    ) -> Result<(), LinkLost> {
        let exchange = rung_for(self.clock.now(), due);
        let headers = Headers {
            attempt,
            not_before: Some(due),
            death: None,
        };
        self.replace(exchange, message, &headers).await
    }
}

fn rung_for(now: Timestamp, due: Timestamp) -> &'static str {
    if due <= now {
        return EXCHANGE;
    }
    let wait = due.since(now);
    let [shortest, ..] = LADDER;
    LADDER
        .iter()
        .rev()
        .find(|rung| rung.wait <= wait)
        .unwrap_or(&shortest)
        .name
}

impl Drop for Settler {
    fn drop(&mut self) {
        if let Some(acker) = self.acker.take() {
            let requeue = BasicRejectOptions { requeue: true };
            // The first poll hands the frame to the connection; nobody waits for it to be written.
            if let Some(Err(error)) = acker.reject(requeue).now_or_never() {
                tracing::debug!(%error, "a dropped delivery comes back with its channel");
            }
        }
    }
}

struct AmqpDelivery {
    message: Arc<Message>,
    attempt: u32,
    settler: Settler,
}

#[async_trait]
impl Delivery for AmqpDelivery {
    async fn ack(self: Box<Self>) -> Result<(), LinkLost> {
        self.settler.ack().await
    }

    async fn retry_at(
        self: Box<Self>,
        at: Timestamp,
        body: Option<Vec<u8>>,
    ) -> Result<(), LinkLost> {
        let Self {
            message,
            attempt,
            settler,
        } = *self;
        let changed = body.map(|body| Message {
            id: message.id.clone(),
            kind: message.kind.clone(),
            version: message.version,
            body,
        });
        settler
            .send_up(
                changed.as_ref().unwrap_or(&message),
                attempt.saturating_add(1),
                at,
            )
            .await
    }

    async fn dead_letter(self: Box<Self>, reason: &str) -> Result<(), LinkLost> {
        let headers = Headers {
            // This delivery is one more that it has had.
            attempt: self.attempt.saturating_add(1),
            not_before: None,
            death: Some(Death {
                reason: reason.to_owned(),
                queue: self.settler.from.name().to_owned(),
                at: Some(self.settler.clock.now()),
            }),
        };
        let Self {
            message, settler, ..
        } = *self;
        settler.replace(DEAD, &message, &headers).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_rung_ends_after_the_time_except_the_shortest() {
        let now = Timestamp::from_millis(1_000_000);
        let in_ms = |ms: i64| Timestamp::from_millis(1_000_000 + ms);
        for (wait, rung) in [
            (-1, EXCHANGE),
            (0, EXCHANGE),
            (1, "retry.5s"),
            (29_999, "retry.5s"),
            (30_000, "retry.30s"),
            (119_999, "retry.30s"),
            (3_600_000, "retry.2m"),
        ] {
            assert_eq!(rung_for(now, in_ms(wait)), rung, "{wait} ms");
        }
    }
}
