//! One life of the link: two connections, because a broker that blocks publishers must not stop
//! acknowledgements. It is never repaired, only replaced.

use std::future::Future;
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueDeclareOptions,
};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::FieldTable;
use lapin::uri::AMQPUri;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ErrorKind,
    ExchangeKind,
};
use ports::queue::HELD_BACK;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::topology;

/// For every answer of the broker but a confirm.
const ANSWER: Duration = Duration::from_secs(10);
/// For a confirm: a quorum queue writes to disk first, and a broker that is short of memory or disk
/// does not confirm at all.
const CONFIRM: Duration = Duration::from_secs(30);
/// A blocked connection does not even close.
const CLOSE: Duration = Duration::from_secs(2);
/// A peer counts as dead after twice this.
const HEARTBEAT_SECONDS: u16 = 15;
/// Publishes under way at a time; each has a channel to itself.
const PUBLISHES: usize = 64;

/// Why no connection came about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The address is not one.
    #[error("{0}")]
    Url(String),
    /// Nobody answers there, or refuses us.
    #[error(
        "the message broker cannot be reached ({0}); check that it runs, and its address, user and password"
    )]
    Unreachable(String),
    /// The broker is not prepared for this version.
    #[error(
        "the broker is not prepared for this version of mosync (it has no exchange `{marker}`); run `mosync topology apply`"
    )]
    Topology {
        /// The exchange that is missing.
        marker: String,
    },
}

/// What went wrong on a link, in words that hold no address and no secret.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Fault {
    #[error("no answer within {0:?}")]
    Deadline(Duration),
    #[error("{0}")]
    Lapin(#[from] lapin::Error),
    #[error("it {HELD_BACK}")]
    HeldBack,
    #[error("{0}")]
    Said(String),
}

impl Fault {
    pub(crate) fn is_not_found(&self) -> bool {
        self.soft_error() == Some(AMQPSoftError::NOTFOUND)
    }

    pub(crate) fn is_precondition_failed(&self) -> bool {
        self.soft_error() == Some(AMQPSoftError::PRECONDITIONFAILED)
    }

    fn soft_error(&self) -> Option<AMQPSoftError> {
        let Self::Lapin(error) = self else {
            return None;
        };
        let ErrorKind::ProtocolError(said) = error.kind() else {
            return None;
        };
        match said.kind() {
            AMQPErrorKind::Soft(soft) => Some(soft.clone()),
            AMQPErrorKind::Hard(_) => None,
        }
    }
}

/// What a broker said to a publish.
#[derive(Debug, Clone)]
pub(crate) enum Refusal {
    /// No queue, or no such exchange.
    Unroutable,
    /// `basic.nack`: the queue is at its limit (or cannot write at the moment).
    Full,
    /// Nobody knows.
    Lost(Fault),
}

/// Waits for the broker's answer, but not for ever.
pub(crate) async fn within_deadline<T>(
    answer: impl Future<Output = lapin::Result<T>>,
) -> Result<T, Fault> {
    within(ANSWER, answer).await
}

async fn within<T>(
    patience: Duration,
    answer: impl Future<Output = lapin::Result<T>>,
) -> Result<T, Fault> {
    match timeout(patience, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_elapsed) => Err(Fault::Deadline(patience)),
    }
}

/// Reads `amqp://` or `amqps://`.
pub(crate) fn parse(url: &str) -> Result<AMQPUri, Fault> {
    // The parser's own message may repeat the address, which holds a password.
    let mut uri = AMQPUri::from_str(url).map_err(|_address| {
        Fault::Said(
            "the message broker's address is not of the form amqp://user:password@host:5672/vhost (or amqps://); correct it in the configuration"
                .to_owned(),
        )
    })?;
    uri.query.heartbeat = Some(HEARTBEAT_SECONDS);
    uri.query.connection_timeout = u64::try_from(ANSWER.as_millis()).ok();
    Ok(uri)
}

/// Opens one connection; lapin's own recovery stays off, see the module's first line.
pub(crate) async fn open(uri: &AMQPUri, name: &str) -> Result<Connection, Fault> {
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    within_deadline(Connection::connect_uri(uri.clone(), properties)).await
}

/// Closes politely, but does not wait long: dropping closes too.
pub(crate) async fn close(connection: Connection) {
    if let Err(fault) = within(CLOSE, connection.close(200, "bye".into())).await {
        tracing::debug!(%fault, "a broker connection did not close in time and was dropped");
    }
}

/// Two connections and the channels that publishes take turns with.
#[derive(Debug)]
pub(crate) struct Session {
    publish: Connection,
    consume: Connection,
    /// Confirming channels that wait for their next publish. One publish at a time on each, so
    /// that a returned message can only belong to the publish whose confirm it precedes; lapin
    /// hands returns to whichever confirm completes next.
    publishers: Mutex<Vec<Channel>>,
    turns: Semaphore,
    broken: AtomicBool,
}

impl Session {
    /// Connects, and checks that the broker is prepared for this version.
    pub(crate) async fn start(uri: &AMQPUri) -> Result<Self, ConnectError> {
        let unreachable = |fault: Fault| ConnectError::Unreachable(fault.to_string());
        let consume = open(uri, "mosync consume").await.map_err(unreachable)?;
        let publish = open(uri, "mosync publish").await.map_err(unreachable)?;
        let session = Self {
            publish,
            consume,
            publishers: Mutex::new(Vec::new()),
            turns: Semaphore::new(PUBLISHES),
            broken: AtomicBool::new(false),
        };
        let marker = topology::marker();
        let channel = session.channel().await.map_err(unreachable)?;
        within_deadline(channel.exchange_declare(
            marker.as_str().into(),
            ExchangeKind::Fanout,
            ExchangeDeclareOptions {
                passive: true,
                ..ExchangeDeclareOptions::default()
            },
            FieldTable::default(),
        ))
        .await
        .map_err(|fault| {
            if fault.is_not_found() {
                ConnectError::Topology { marker }
            } else {
                unreachable(fault)
            }
        })?;
        Ok(session)
    }

    /// Whether it can still be used.
    pub(crate) fn is_alive(&self) -> bool {
        !self.broken.load(Ordering::Acquire)
            && self.publish.status().connected()
            && self.consume.status().connected()
    }

    /// Nobody may use it any more: the next call starts a new one.
    pub(crate) fn give_up(&self) {
        self.broken.store(true, Ordering::Release);
    }

    /// Closes both connections, within a time limit.
    pub(crate) async fn end(&self) {
        self.give_up();
        let (consume, publish) = tokio::join!(
            within(CLOSE, self.consume.close(200, "bye".into())),
            within(CLOSE, self.publish.close(200, "bye".into())),
        );
        for fault in [consume.err(), publish.err()].into_iter().flatten() {
            tracing::debug!(%fault, "a broker connection did not close in time and was dropped");
        }
    }

    /// A new channel of the consuming connection.
    pub(crate) async fn channel(&self) -> Result<Channel, Fault> {
        within_deadline(self.consume.create_channel()).await
    }

    /// Messages ready in a queue; `Err` with a not-found when there is no such queue.
    pub(crate) async fn ready(&self, queue: &str) -> Result<u64, Fault> {
        let channel = self.channel().await?;
        let declared = within_deadline(channel.queue_declare(
            queue.into(),
            QueueDeclareOptions::durable().passive(),
            FieldTable::default(),
        ))
        .await?;
        Ok(u64::from(declared.message_count()))
    }

    /// Publishes persistently and mandatorily, and waits for the confirm.
    pub(crate) async fn publish(
        &self,
        exchange: &str,
        key: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<(), Refusal> {
        let Ok(_turn) = self.turns.acquire().await else {
            return Err(Refusal::Lost(Fault::Said("the link was closed".to_owned())));
        };
        // It would wait in the client's memory, and go out when there is room, beside the next attempt.
        if self.holds_back() {
            return Err(Refusal::Lost(Fault::HeldBack));
        }
        // A publish that is given up half-way drops its channel, and its confirm with it.
        let channel = self.publisher().await.map_err(Refusal::Lost)?;
        let confirmation = async {
            let confirm = within_deadline(channel.basic_publish(
                exchange.into(),
                key.into(),
                BasicPublishOptions {
                    mandatory: true,
                    ..BasicPublishOptions::default()
                },
                body,
                properties,
            ))
            .await?;
            within(CONFIRM, confirm).await
        }
        .await
        .map_err(|fault| {
            if fault.is_not_found() {
                Refusal::Unroutable
            } else {
                Refusal::Lost(self.publishing_failed(fault))
            }
        })?;
        let answer = match confirmation {
            Confirmation::Ack(None) => Ok(()),
            Confirmation::Ack(Some(_returned)) => Err(Refusal::Unroutable),
            Confirmation::Nack(_) => Err(Refusal::Full),
            Confirmation::NotRequested => {
                self.give_up();
                return Err(Refusal::Lost(Fault::Said(
                    "the broker did not confirm a publish".to_owned(),
                )));
            }
        };
        if let Ok(mut idle) = self.publishers.lock() {
            idle.push(channel);
        }
        answer
    }

    async fn publisher(&self) -> Result<Channel, Fault> {
        let idle = self.publishers.lock().ok().and_then(|mut idle| idle.pop());
        if let Some(channel) = idle.filter(|channel| channel.status().connected()) {
            return Ok(channel);
        }
        let made = async {
            let channel = within_deadline(self.publish.create_channel()).await?;
            within_deadline(channel.confirm_select(ConfirmSelectOptions::default())).await?;
            Ok(channel)
        }
        .await;
        made.map_err(|fault| self.publishing_failed(fault))
    }

    /// Whether the broker is short of memory or disk, and takes no messages: it says so to whoever
    /// publishes, once. Of a link that is lost it was the last word, and says nothing any more.
    pub(crate) fn holds_back(&self) -> bool {
        self.is_alive() && self.publish.status().blocked()
    }

    /// Waits until the broker takes messages again, at most until then.
    pub(crate) async fn until_it_takes(&self, until: Instant) {
        const LOOK_EVERY: Duration = Duration::from_millis(500);
        while self.holds_back() && Instant::now() < until {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Ends the session, unless the broker holds publishers back: that link is sound, a new one
    /// would be held back too, and ending it would return what consumers have in hand.
    fn publishing_failed(&self, fault: Fault) -> Fault {
        if self.holds_back() {
            return Fault::HeldBack;
        }
        self.give_up();
        fault
    }
}
