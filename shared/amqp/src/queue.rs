//! The port, on whichever session is alive.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backoff::{BackoffBuilder, ExponentialBuilder};
use domain::unit::QueueName;
use lapin::uri::AMQPUri;
use ports::Clock;
use ports::queue::{DeadAction, DeadLetter, LinkLost, Message, PublishError, Queue, Subscription};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::consumer::{AmqpSubscription, passes_on};
use crate::dead;
use crate::envelope::{self, Headers};
use crate::session::{self, ConnectError, Fault, Refusal, Session};
use crate::topology::{EXCHANGE, LADDER};

/// How long a call waits for a lost link to come back.
const REBUILD: Duration = Duration::from_secs(30);

/// The queues, on `RabbitMQ`.
#[derive(Debug)]
pub struct Amqp {
    uri: AMQPUri,
    clock: Arc<dyn Clock>,
    /// The lock is held while a session is built, so that one caller builds it for all. `None`
    /// before the first.
    session: Mutex<Option<Arc<Session>>>,
    /// Two looks at the dead letters at a time would each see half of them.
    dead: Mutex<()>,
}

impl Amqp {
    /// Connects to the broker at `amqp://` or `amqps://`, once: whether to try again is the
    /// caller's choice. A link lost later is rebuilt by itself.
    ///
    /// # Errors
    /// [`ConnectError`] says whether the address is wrong, nobody answers, or the broker is not
    /// prepared for this version.
    pub async fn connect(url: &str, clock: Arc<dyn Clock>) -> Result<Self, ConnectError> {
        let amqp = Self::unconnected(url, clock)?;
        let session = Session::start(&amqp.uri).await?;
        *amqp.session.lock().await = Some(Arc::new(session));
        Ok(amqp)
    }

    /// The same without a link, for whoever can do something while the broker is away: whatever is
    /// asked first builds one.
    ///
    /// # Errors
    /// [`ConnectError::Url`].
    pub fn unconnected(url: &str, clock: Arc<dyn Clock>) -> Result<Self, ConnectError> {
        let uri = session::parse(url).map_err(|fault| ConnectError::Url(fault.to_string()))?;
        Ok(Self {
            uri,
            clock,
            session: Mutex::new(None),
            dead: Mutex::new(()),
        })
    }

    /// The session in use; a new one, when that is dead.
    async fn session(&self) -> Result<Arc<Session>, LinkLost> {
        let deadline = Instant::now() + REBUILD;
        // Whoever builds the session holds the lock for as long. Those who wait for it do not
        // start over with their own time when that has failed: each would wait for all before it.
        let Ok(mut slot) = timeout_at(deadline, self.session.lock()).await else {
            return Err(LinkLost(format!(
                "no connection to the message broker within {} s",
                REBUILD.as_secs()
            )));
        };
        if let Some(session) = slot.as_ref() {
            if session.is_alive() {
                return Ok(Arc::clone(session));
            }
            session.end().await;
        }
        let mut waits = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(Duration::from_secs(5))
            .with_jitter()
            .without_max_times()
            .build();
        loop {
            match Session::start(&self.uri).await {
                Ok(session) => {
                    tracing::info!("connected to the message broker");
                    let session = Arc::new(session);
                    *slot = Some(Arc::clone(&session));
                    return Ok(session);
                }
                Err(error) => {
                    let wait = waits.next().unwrap_or(REBUILD);
                    if Instant::now() + wait >= deadline {
                        return Err(LinkLost(error.to_string()));
                    }
                    tracing::debug!(%error, ?wait, "no connection to the message broker yet");
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    async fn ready(&self, queue: &str) -> Result<u64, LinkLost> {
        let session = self.session().await?;
        session
            .ready(queue)
            .await
            .map_err(|fault| ended(&session, &fault))
    }
}

/// A fault as the port tells it.
pub(crate) fn lost(fault: &Fault) -> LinkLost {
    LinkLost(fault.to_string())
}

/// A fault that ends the session, unless the broker only said that something is missing.
fn ended(session: &Session, fault: &Fault) -> LinkLost {
    if !fault.is_not_found() {
        session.give_up();
    }
    lost(fault)
}

#[async_trait]
impl Queue for Amqp {
    async fn publish(&self, to: QueueName, message: &Message) -> Result<(), PublishError> {
        let session = self.session().await?;
        let properties = envelope::properties(message, &Headers::default());
        session
            .publish(EXCHANGE, to.name(), &message.body, properties)
            .await
            .map_err(|refusal| match refusal {
                Refusal::Unroutable => PublishError::Unroutable(to.name().to_owned()),
                Refusal::Full => PublishError::Full(to.name().to_owned()),
                Refusal::Lost(Fault::HeldBack) => PublishError::HeldBack,
                Refusal::Lost(fault) => PublishError::Lost(lost(&fault)),
            })
    }

    async fn subscribe(
        &self,
        from: QueueName,
        prefetch: u16,
    ) -> Result<Box<dyn Subscription>, LinkLost> {
        let session = self.session().await?;
        if session.holds_back() && passes_on(from) {
            return Err(lost(&Fault::HeldBack));
        }
        let clock = Arc::clone(&self.clock);
        let subscription = AmqpSubscription::start(Arc::clone(&session), clock, from, prefetch)
            .await
            .map_err(|fault| ended(&session, &fault))?;
        Ok(Box::new(subscription))
    }

    async fn publish_dead(
        &self,
        message: &Message,
        from: &str,
        reason: &str,
    ) -> Result<(), LinkLost> {
        let session = self.session().await?;
        dead::publish(&session, message, from, reason, self.clock.now())
            .await
            .map_err(|refusal| match refusal {
                Refusal::Lost(fault) => lost(&fault),
                Refusal::Full | Refusal::Unroutable => LinkLost(
                    "the broker has no queue for dead letters; run `mosync topology apply`"
                        .to_owned(),
                ),
            })
    }

    async fn depth(&self, of: QueueName) -> Result<u64, LinkLost> {
        self.ready(of.name()).await
    }

    async fn waiting(&self) -> Result<u64, LinkLost> {
        let mut waiting = 0;
        for rung in LADDER {
            waiting += self.ready(rung.name).await?;
        }
        Ok(waiting)
    }

    async fn dead_letters(&self, max: usize) -> Result<Vec<DeadLetter>, LinkLost> {
        let _alone = self.dead.lock().await;
        let session = self.session().await?;
        dead::look(&session, max)
            .await
            .map_err(|fault| ended(&session, &fault))
    }

    async fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, LinkLost> {
        let _alone = self.dead.lock().await;
        let session = self.session().await?;
        dead::find(&session, id)
            .await
            .map_err(|fault| ended(&session, &fault))
    }

    async fn dead_count(&self) -> Result<u64, LinkLost> {
        self.ready(crate::topology::DEAD).await
    }

    async fn settle_dead(&self, id: &str, action: DeadAction) -> Result<bool, LinkLost> {
        let _alone = self.dead.lock().await;
        let session = self.session().await?;
        dead::settle(&session, id, action)
            .await
            .map_err(|fault| ended(&session, &fault))
    }
}
