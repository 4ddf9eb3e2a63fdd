//! What exists in the broker: one table, declared and compared by `mosync topology apply`, and
//! marked by an exchange named after its hash, which workers look for when they connect.

use std::time::Duration;

use domain::hex::hex;
use domain::unit::{Lane, QueueName};
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ExchangeKind};
use sha2::{Digest, Sha256};

use crate::session::{self, Fault};

/// The direct exchange that every unit is published to, with its queue's name as routing key.
pub(crate) const EXCHANGE: &str = "mosync";
/// The fanout exchange and the queue of dead letters.
pub(crate) const DEAD: &str = "dead";
/// A message that came back this often without being settled is beyond what its worker can do about
/// it. High, because a worker that pauses hands back what it holds, and each return counts up to
/// 4.2; and because finding the records over which a process dies takes five deaths for the first of
/// a unit, and two for each more.
pub(crate) const DELIVERY_LIMIT: i64 = 100;
/// Looking at dead letters hands them back each time, which must never use up their limit.
const DEAD_DELIVERY_LIMIT: i64 = 2_000_000_000;
/// Four times the window up to which the sources publish: an alarm, not a brake.
const MAX_LENGTH_LIVE: i64 = 8_000;
/// Far beyond the window of the bulk sources, and an alarm like the other.
const MAX_LENGTH_BULK: i64 = 1_200;

/// One step of the retry ladder: a fanout exchange and a queue of one name. A fanout exchange keeps
/// the routing key of the publish, and the queue dead-letters with it, so the routing key is the
/// queue to return to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rung {
    /// Exchange and queue.
    pub(crate) name: &'static str,
    /// How long a message stays.
    pub(crate) wait: Duration,
}

/// The retry ladder, shortest first. What comes back while a broker starts may find its queue not up
/// yet and is then tried again by the broker after three minutes
/// (`dead_letter_worker_publisher_confirm_timeout`): late, never lost.
pub(crate) const LADDER: [Rung; 3] = [
    Rung {
        name: "retry.5s",
        wait: Duration::from_secs(5),
    },
    Rung {
        name: "retry.30s",
        wait: Duration::from_secs(30),
    },
    Rung {
        name: "retry.2m",
        wait: Duration::from_secs(120),
    },
];

/// A queue as it must be.
#[derive(Debug, Clone)]
struct QueueRow {
    name: &'static str,
    /// The exchange it is bound to; the routing key is its own name.
    exchange: &'static str,
    arguments: Vec<(&'static str, Argument)>,
}

#[derive(Debug, Clone, Copy)]
enum Argument {
    Text(&'static str),
    Number(i64),
}

/// An exchange as it must be; all are durable.
const EXCHANGES: [(&str, Kind); 5] = [
    (EXCHANGE, Kind::Direct),
    (DEAD, Kind::Fanout),
    ("retry.5s", Kind::Fanout),
    ("retry.30s", Kind::Fanout),
    ("retry.2m", Kind::Fanout),
];

#[derive(Debug, Clone, Copy)]
enum Kind {
    Direct,
    Fanout,
}

impl Kind {
    const fn lapin(self) -> ExchangeKind {
        match self {
            Self::Direct => ExchangeKind::Direct,
            Self::Fanout => ExchangeKind::Fanout,
        }
    }
}

/// The table.
fn queues() -> Vec<QueueRow> {
    use Argument::{Number, Text};
    let mut rows = vec![QueueRow {
        name: DEAD,
        exchange: DEAD,
        arguments: vec![
            ("x-queue-type", Text("quorum")),
            ("x-delivery-limit", Number(DEAD_DELIVERY_LIMIT)),
        ],
    }];
    for rung in LADDER {
        rows.push(QueueRow {
            name: rung.name,
            exchange: rung.name,
            arguments: vec![
                ("x-queue-type", Text("quorum")),
                (
                    "x-message-ttl",
                    Number(i64::try_from(rung.wait.as_millis()).unwrap_or(i64::MAX)),
                ),
                ("x-dead-letter-exchange", Text(EXCHANGE)),
                ("x-dead-letter-strategy", Text("at-least-once")),
                ("x-overflow", Text("reject-publish")),
            ],
        });
    }
    for queue in QueueName::ALL {
        let longest = match queue.lane {
            Lane::Live => MAX_LENGTH_LIVE,
            Lane::Bulk => MAX_LENGTH_BULK,
        };
        rows.push(QueueRow {
            name: queue.name(),
            exchange: EXCHANGE,
            arguments: vec![
                ("x-queue-type", Text("quorum")),
                ("x-delivery-limit", Number(DELIVERY_LIMIT)),
                ("x-max-length", Number(longest)),
                ("x-overflow", Text("reject-publish")),
                ("x-dead-letter-exchange", Text(DEAD)),
                ("x-dead-letter-strategy", Text("at-least-once")),
            ],
        });
    }
    rows
}

/// The name of the exchange that marks a broker to which this version's table has been applied.
#[must_use]
pub fn marker() -> String {
    let table = format!("{EXCHANGES:?}{:?}", queues());
    let digest = Sha256::digest(table.as_bytes());
    let hash = hex(digest.get(..6).unwrap_or_default());
    format!("mosync.topology.{hash}")
}

/// What an apply did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Queues that did not exist.
    pub created: Vec<String>,
    /// Queues that were there already, as they must be.
    pub unchanged: Vec<String>,
    /// The exchange that marks the broker as prepared for this version.
    pub marker: String,
}

/// Why the topology could not be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The address is not one.
    #[error("{0}")]
    Url(String),
    /// The broker did not do it.
    #[error(
        "the message broker could not be prepared ({0}); check that it runs, and that its user may configure exchanges and queues"
    )]
    Broker(String),
    /// Something of that name exists and is made differently.
    #[error(
        "in the broker, {} made by another version or by hand, and differ from what this version needs; for each: stop what publishes, let the workers empty it, delete it (`rabbitmqctl delete_queue NAME`), then run `mosync topology apply` again", list(.0)
    )]
    Differs(Vec<String>),
}

fn list(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [one] => format!("{one} was"),
        many => format!("{} were", many.join(", ")),
    }
}

/// Declares every exchange, queue and binding, compares what exists, and marks the broker when
/// everything is as it must be. Safe to repeat.
///
/// `RabbitMQ` 3.x answers before what was declared is on disk: killed within the next seconds it
/// forgets the last of it. The mark is declared last, so that it is the first to be missed.
///
/// # Errors
/// [`ApplyError::Differs`] names every exchange and queue that exists in another form; all others
/// have been declared then, and the mark is not set.
pub async fn apply(url: &str) -> Result<Applied, ApplyError> {
    let uri = session::parse(url).map_err(|fault| ApplyError::Url(fault.to_string()))?;
    let connection = session::open(&uri, "mosync topology")
        .await
        .map_err(|fault| ApplyError::Broker(fault.to_string()))?;
    let outcome = declare_all(&connection).await;
    session::close(connection).await;
    outcome
}

async fn declare_all(connection: &Connection) -> Result<Applied, ApplyError> {
    let mut differs = Vec::new();
    for (name, kind) in EXCHANGES {
        if !declare_exchange(connection, name, kind).await? {
            differs.push(name.to_owned());
        }
    }
    let mut applied = Applied {
        created: Vec::new(),
        unchanged: Vec::new(),
        marker: marker(),
    };
    for row in queues() {
        match declare_queue(connection, &row).await? {
            Declared::Created => applied.created.push(row.name.to_owned()),
            Declared::Unchanged => applied.unchanged.push(row.name.to_owned()),
            Declared::Differs if differs.iter().any(|name| name == row.name) => {}
            Declared::Differs => differs.push(row.name.to_owned()),
        }
    }
    if !differs.is_empty() {
        return Err(ApplyError::Differs(differs));
    }
    declare_exchange(connection, &applied.marker, Kind::Fanout).await?;
    Ok(applied)
}

/// `false` when one of that name and another type exists.
async fn declare_exchange(
    connection: &Connection,
    name: &str,
    kind: Kind,
) -> Result<bool, ApplyError> {
    let channel = channel(connection).await?;
    let declared = session::within_deadline(channel.exchange_declare(
        name.into(),
        kind.lapin(),
        ExchangeDeclareOptions {
            durable: true,
            ..ExchangeDeclareOptions::default()
        },
        FieldTable::default(),
    ))
    .await;
    match declared {
        Ok(()) => Ok(true),
        Err(fault) if fault.is_precondition_failed() => Ok(false),
        Err(fault) => Err(broker(&fault)),
    }
}

enum Declared {
    Created,
    Unchanged,
    Differs,
}

async fn declare_queue(connection: &Connection, row: &QueueRow) -> Result<Declared, ApplyError> {
    // A passive declare compares nothing, it only says whether the queue exists. A refused
    // declare closes its channel, so each has one of its own.
    let probe = channel(connection).await?;
    let existed = match session::within_deadline(probe.queue_declare(
        row.name.into(),
        QueueDeclareOptions::durable().passive(),
        FieldTable::default(),
    ))
    .await
    {
        Ok(_) => true,
        Err(fault) if fault.is_not_found() => false,
        Err(fault) => return Err(broker(&fault)),
    };
    let channel = channel(connection).await?;
    let mut arguments = FieldTable::default();
    for (key, value) in &row.arguments {
        let value = match value {
            Argument::Text(text) => AMQPValue::LongString((*text).into()),
            Argument::Number(number) => AMQPValue::LongLongInt(*number),
        };
        arguments.insert((*key).into(), value);
    }
    let declared = session::within_deadline(channel.queue_declare(
        row.name.into(),
        QueueDeclareOptions::durable(),
        arguments,
    ))
    .await;
    match declared {
        Ok(_) => {}
        Err(fault) if fault.is_precondition_failed() => return Ok(Declared::Differs),
        Err(fault) => return Err(broker(&fault)),
    }
    session::within_deadline(channel.queue_bind(
        row.name.into(),
        row.exchange.into(),
        row.name.into(),
        QueueBindOptions::default(),
        FieldTable::default(),
    ))
    .await
    .map_err(|fault| broker(&fault))?;
    Ok(if existed {
        Declared::Unchanged
    } else {
        Declared::Created
    })
}

async fn channel(connection: &Connection) -> Result<Channel, ApplyError> {
    session::within_deadline(connection.create_channel())
        .await
        .map_err(|fault| broker(&fault))
}

fn broker(fault: &Fault) -> ApplyError {
    ApplyError::Broker(fault.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_the_same_every_time() {
        assert_eq!(marker(), marker());
        assert_eq!(marker().len(), "mosync.topology.".len() + 12);
    }

    #[test]
    fn every_queue_has_a_dead_letter_path_that_loses_nothing() {
        for row in queues().iter().filter(|row| row.name != DEAD) {
            for needed in [
                "x-dead-letter-exchange",
                "x-dead-letter-strategy",
                "x-overflow",
            ] {
                assert!(
                    row.arguments.iter().any(|(key, _)| *key == needed),
                    "{}: {needed}",
                    row.name
                );
            }
        }
        assert_eq!(queues().len(), QueueName::ALL.len() + LADDER.len() + 1);
    }

    #[test]
    fn every_exchange_that_is_bound_is_declared() {
        for row in queues() {
            assert!(EXCHANGES.iter().any(|(name, _)| *name == row.exchange));
        }
    }
}
