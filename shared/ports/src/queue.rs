//! The queues between the workers. The trait is small and written from our need; everything about
//! exchanges, bindings and confirms is inside the adapters. Ten clauses hold for every adapter, one
//! test each in [`crate::conformance`]:
//!
//! 1. `Ok` from publish means that the message survives a restart of the broker.
//! 2. No queue for it is [`PublishError::Unroutable`], never `Ok`.
//! 3. A consumer that dies: its messages are delivered again, attempt + 1 and returned + 1.
//! 4. A [`Delivery`] that is dropped comes back while the consumer lives.
//! 5. Never more than `prefetch` deliveries are unsettled.
//! 6. A message sent with `retry_at(t)` is not seen before `t`, and blocks nobody behind it.
//! 7. A dead letter keeps its bytes, headers and reason, and can be replayed.
//! 8. Settling twice does not compile; settling after the link died is [`LinkLost`].
//! 9. A body that nobody can read reaches the consumer raw and harms no neighbour.
//! 10. Duplicates and reordering may happen. Order, exactly-once and priority are not promised.

use std::sync::Arc;

use async_trait::async_trait;
use domain::Timestamp;
use domain::unit::QueueName;

/// What travels: bytes with the few properties that every reader needs before it opens them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The unit's id (`message_id`).
    pub id: String,
    /// What the body is (`type`).
    pub kind: String,
    /// The version of the body's shape (header `version`).
    pub version: u32,
    /// The body.
    pub body: Vec<u8>,
}

/// The queues, whole.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Publishes durably: `Ok` only when the broker has it on disk in the named queue.
    async fn publish(&self, to: QueueName, message: &Message) -> Result<(), PublishError>;

    /// Starts to take from a queue, at most `prefetch` unsettled deliveries at a time.
    /// While the broker takes nothing, only the last stage takes from it, so that queues can empty:
    /// what other stages take has to be sent on.
    async fn subscribe(
        &self,
        from: QueueName,
        prefetch: u16,
    ) -> Result<Box<dyn Subscription>, LinkLost>;

    /// Publishes among the dead letters what never was in a queue, such as an event nobody can
    /// decode; it names where it came from. Durable like [`Queue::publish`].
    async fn publish_dead(
        &self,
        message: &Message,
        from: &str,
        reason: &str,
    ) -> Result<(), LinkLost>;

    /// Messages ready in a queue (not those in hand, nor waiting to be retried).
    async fn depth(&self, of: QueueName) -> Result<u64, LinkLost>;

    /// Messages waiting for their time to be retried, over all queues.
    async fn waiting(&self) -> Result<u64, LinkLost>;

    /// The first dead letters, oldest first, without taking them.
    async fn dead_letters(&self, max: usize) -> Result<Vec<DeadLetter>, LinkLost>;

    /// The dead letter of that message id, without taking it; `None` when there is none.
    async fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, LinkLost>;

    /// How many dead letters there are.
    async fn dead_count(&self) -> Result<u64, LinkLost>;

    /// Sends a dead letter back to its queue, or throws it away. `false` when there is none of
    /// that id, or when it is to be replayed and never was in a queue (see
    /// [`Queue::publish_dead`]).
    async fn settle_dead(&self, id: &str, action: DeadAction) -> Result<bool, LinkLost>;
}

/// A running consumer. Dropping it hands back what it holds.
#[async_trait]
pub trait Subscription: Send {
    /// The next delivery; waits for one.
    async fn next(&mut self) -> Result<Incoming, LinkLost>;

    /// Takes nothing more; what is in hand can still be settled.
    async fn stop_taking(&mut self) -> Result<(), LinkLost>;
}

/// A delivery and what was delivered.
pub struct Incoming {
    /// The message, which its delivery keeps as well.
    pub message: Arc<Message>,
    /// How often it has been delivered before, retries included.
    pub attempt: u32,
    /// How often it has come back unsettled since it was published, or last sent to be retried: its
    /// consumer died or let go of it.
    pub returned: u32,
    /// To settle it with.
    pub delivery: Box<dyn Delivery>,
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming")
            .field("id", &self.message.id)
            .field("attempt", &self.attempt)
            .field("returned", &self.returned)
            .finish_non_exhaustive()
    }
}

/// The duty to settle one message. Dropping it gives the message back.
#[async_trait]
pub trait Delivery: Send {
    /// Done with.
    async fn ack(self: Box<Self>) -> Result<(), LinkLost>;

    /// To be delivered again, never before `at` and late by at most a rung of the ladder; with
    /// another body when one is given. Attempt + 1, and returned is 0 again.
    async fn retry_at(
        self: Box<Self>,
        at: Timestamp,
        body: Option<Vec<u8>>,
    ) -> Result<(), LinkLost>;

    /// Nobody can process it: kept among the dead letters with its bytes, headers and this reason.
    async fn dead_letter(self: Box<Self>, reason: &str) -> Result<(), LinkLost>;
}

/// A dead message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The message, as it was.
    pub message: Message,
    /// The queue it came from, by name.
    pub queue: String,
    /// Why it is here.
    pub reason: String,
    /// How often it had been delivered.
    pub attempt: u32,
    /// Since when it is here, where the broker says.
    pub since: Option<Timestamp>,
}

/// What to do with a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadAction {
    /// Back to the queue it came from.
    Replay,
    /// Away with it.
    Discard,
}

/// The connection to the broker is gone; everything unsettled will be delivered again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the connection to the message broker was lost ({0}); mosync reconnects by itself, check that the broker runs"
)]
pub struct LinkLost(pub String);

/// What is wrong with a broker that takes no messages.
pub const HELD_BACK: &str =
    "is short of memory or disk and takes no messages until that has passed";

/// Why a message was not published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// No queue takes it.
    #[error("the broker has no queue `{0}`; run `mosync topology apply`")]
    Unroutable(String),
    /// The queue is at its limit.
    #[error("the queue `{0}` is full; mosync waits until its consumer catches up")]
    Full(String),
    /// The broker is short of memory or disk; publish it again.
    #[error("the message broker {HELD_BACK}")]
    HeldBack,
    /// Nobody knows whether the broker has it; publish it again.
    #[error(transparent)]
    Lost(#[from] LinkLost),
}
