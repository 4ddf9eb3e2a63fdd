//! The embedded queue and ticket store behind small delays and lost answers, so that a crash can
//! fall between any two steps.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use domain::job::JobId;
use domain::tally::Count;
use domain::unit::{Envelope, Lane, QueueName, Stage};
use domain::{SalesforceId, Ticket, Timestamp};
use ports::queue::{
    DeadAction, DeadLetter, Delivery, Incoming, LinkLost, Message, PublishError, Queue,
    Subscription,
};
use ports::stores::{StoreError, TicketStore};

use crate::chance::Chance;

const STEP_MS: u64 = 20;
/// `RabbitMQ` 4 closes the channel on which a larger body comes.
const MAX_BODY: usize = 16 << 20;

/// The units that the reader has published, and those that were not what they were before.
#[derive(Default)]
pub(crate) struct Units {
    content: Mutex<BTreeMap<(JobId, u64), Vec<SalesforceId>>>,
    faults: Mutex<Vec<String>>,
    /// What the messages weigh that are on their way to the broker, and weighed at most.
    under_way: Mutex<(usize, usize)>,
}

impl Units {
    /// A unit of the reader's always has the same records under its index, however often it is
    /// published: whoever counts one copy of it counts them all.
    fn see(&self, message: &Message) {
        let Ok(unit) = Envelope::decode(&message.body) else {
            return;
        };
        // What a worker sends back to be read again has companions, or has lost some records.
        let read_again = unit.tally.iter().any(|(_, count, _)| count != Count::Read);
        if unit.lane != Lane::Bulk || read_again {
            return;
        }
        let mut ids = unit
            .records
            .iter()
            .map(|record| record.id)
            .collect::<Vec<_>>();
        ids.sort_unstable();
        let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        let known = content
            .entry((unit.job.clone(), unit.index))
            .or_insert_with(|| ids.clone());
        if *known != ids {
            let fault = format!("unit {} of {} has other records now", unit.index, unit.job);
            self.faults
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(fault);
        }
    }

    fn leaves(&self, message: &Message) {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        under_way.0 += message.body.len();
        under_way.1 = under_way.1.max(under_way.0);
    }

    fn arrives(&self, message: &Message) {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        under_way.0 -= message.body.len();
    }

    /// What messages that were published at the same time weighed, at most.
    pub(crate) fn heaviest(&self) -> usize {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .1
    }

    /// How often each record was published: in how many units it is.
    pub(crate) fn of_records(&self) -> BTreeMap<SalesforceId, usize> {
        let content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        let mut times = BTreeMap::new();
        for id in content.values().flatten() {
            *times.entry(*id).or_default() += 1;
        }
        times
    }

    pub(crate) fn faults(&self) -> Vec<String> {
        self.faults
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

pub(crate) struct SimQueue {
    pub(crate) inner: Arc<dyn Queue>,
    pub(crate) chance: Arc<Chance>,
    pub(crate) units: Arc<Units>,
    /// A planted fault: messages are acknowledged before anything is done about them.
    pub(crate) acks_first: bool,
}

fn lost() -> LinkLost {
    LinkLost("simulated".to_owned())
}

#[async_trait]
impl Queue for SimQueue {
    async fn publish(&self, to: QueueName, message: &Message) -> Result<(), PublishError> {
        self.units.leaves(message);
        self.chance.delay(STEP_MS).await;
        self.units.arrives(message);
        if message.body.len() > MAX_BODY {
            self.chance.note(format!("{} is too large", message.id));
            return Err(lost().into());
        }
        if self.chance.fault(|rates| rates.publish_refused) {
            self.chance
                .note(format!("publish to {} refused", to.name()));
            return Err(lost().into());
        }
        if to == QueueName::new(Stage::Filter, Lane::Bulk) {
            self.units.see(message);
        }
        self.inner.publish(to, message).await?;
        self.chance
            .note(format!("{} takes {}", to.name(), message.id));
        self.chance.delay(STEP_MS).await;
        if self.chance.fault(|rates| rates.confirm_lost) {
            self.chance.note(format!("confirm of {} lost", message.id));
            return Err(lost().into());
        }
        Ok(())
    }

    async fn subscribe(
        &self,
        from: QueueName,
        prefetch: u16,
    ) -> Result<Box<dyn Subscription>, LinkLost> {
        Ok(Box::new(SimSubscription {
            inner: self.inner.subscribe(from, prefetch).await?,
            queue: Arc::clone(&self.inner),
            from,
            chance: Arc::clone(&self.chance),
            acks_first: self.acks_first,
        }))
    }

    async fn publish_dead(
        &self,
        message: &Message,
        from: &str,
        reason: &str,
    ) -> Result<(), LinkLost> {
        self.chance.delay(STEP_MS).await;
        self.inner.publish_dead(message, from, reason).await
    }

    async fn depth(&self, of: QueueName) -> Result<u64, LinkLost> {
        self.inner.depth(of).await
    }

    async fn waiting(&self) -> Result<u64, LinkLost> {
        self.inner.waiting().await
    }

    async fn dead_letters(&self, max: usize) -> Result<Vec<DeadLetter>, LinkLost> {
        self.inner.dead_letters(max).await
    }

    async fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, LinkLost> {
        self.inner.dead_letter(id).await
    }

    async fn dead_count(&self) -> Result<u64, LinkLost> {
        self.inner.dead_count().await
    }

    async fn settle_dead(&self, id: &str, action: DeadAction) -> Result<bool, LinkLost> {
        self.inner.settle_dead(id, action).await
    }
}

struct SimSubscription {
    inner: Box<dyn Subscription>,
    queue: Arc<dyn Queue>,
    from: QueueName,
    chance: Arc<Chance>,
    acks_first: bool,
}

#[async_trait]
impl Subscription for SimSubscription {
    async fn next(&mut self) -> Result<Incoming, LinkLost> {
        let Incoming {
            message,
            attempt,
            returned,
            delivery,
        } = self.inner.next().await?;
        let delivery: Box<dyn Delivery> = if self.acks_first {
            delivery.ack().await?;
            Box::new(Acknowledged {
                message: Message::clone(&message),
                queue: Arc::clone(&self.queue),
                from: self.from,
            })
        } else {
            Box::new(SimDelivery {
                inner: delivery,
                chance: Arc::clone(&self.chance),
            })
        };
        Ok(Incoming {
            message,
            attempt,
            returned,
            delivery,
        })
    }

    async fn stop_taking(&mut self) -> Result<(), LinkLost> {
        self.inner.stop_taking().await
    }
}

struct SimDelivery {
    inner: Box<dyn Delivery>,
    chance: Arc<Chance>,
}

/// Gets as far as the broker, or not.
async fn on_the_way(chance: Arc<Chance>) -> Result<(), LinkLost> {
    chance.delay(STEP_MS).await;
    if chance.fault(|rates| rates.ack_lost) {
        chance.note("a settlement is lost");
        return Err(lost());
    }
    Ok(())
}

#[async_trait]
impl Delivery for SimDelivery {
    async fn ack(self: Box<Self>) -> Result<(), LinkLost> {
        on_the_way(Arc::clone(&self.chance)).await?;
        self.inner.ack().await
    }

    async fn retry_at(
        self: Box<Self>,
        at: Timestamp,
        body: Option<Vec<u8>>,
    ) -> Result<(), LinkLost> {
        on_the_way(Arc::clone(&self.chance)).await?;
        self.inner.retry_at(at, body).await
    }

    async fn dead_letter(self: Box<Self>, reason: &str) -> Result<(), LinkLost> {
        self.chance.note(format!("DEAD LETTER {reason}"));
        self.inner.dead_letter(reason).await
    }
}

/// What is left of the duty when the message was acknowledged at once.
struct Acknowledged {
    message: Message,
    queue: Arc<dyn Queue>,
    from: QueueName,
}

#[async_trait]
impl Delivery for Acknowledged {
    async fn ack(self: Box<Self>) -> Result<(), LinkLost> {
        Ok(())
    }

    async fn retry_at(
        self: Box<Self>,
        _at: Timestamp,
        body: Option<Vec<u8>>,
    ) -> Result<(), LinkLost> {
        let message = Message {
            body: body.unwrap_or_else(|| self.message.body.clone()),
            ..self.message
        };
        self.queue
            .publish(self.from, &message)
            .await
            .map_err(|_refused| lost())
    }

    async fn dead_letter(self: Box<Self>, _reason: &str) -> Result<(), LinkLost> {
        Ok(())
    }
}

/// Tickets that take a moment and sometimes do not come.
pub(crate) struct SimTickets {
    pub(crate) inner: Arc<dyn TicketStore>,
    pub(crate) chance: Arc<Chance>,
}

#[async_trait]
impl TicketStore for SimTickets {
    async fn take(&self) -> Result<Ticket, StoreError> {
        self.chance.delay(5).await;
        if self.chance.fault(|rates| rates.store_fails) {
            return Err(StoreError::Unreachable("simulated".to_owned()));
        }
        let ticket = self.inner.take().await?;
        self.chance.delay(5).await;
        Ok(ticket)
    }
}
