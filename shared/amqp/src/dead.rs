//! Looking at dead letters and settling them.

use std::time::Duration;

use domain::Timestamp;
use domain::hex::hex;
use domain::unit::QueueName;
use lapin::Channel;
use lapin::message::BasicGetMessage;
use lapin::options::{BasicAckOptions, BasicGetOptions};
use ports::queue::{DeadAction, DeadLetter, Message};
use sha2::{Digest as _, Sha256};

use crate::envelope::{self, Death, Headers};
use crate::session::{Fault, Refusal, Session, within_deadline};
use crate::topology::{DEAD, EXCHANGE};

/// How often to look whether the broker has put back what was only looked at, and for how long.
const RETURN_POLL: Duration = Duration::from_millis(20);
const RETURN_POLLS: u32 = 100;

/// The first dead letters. They are taken on a channel of its own and go back when it closes.
pub(crate) async fn look(session: &Session, max: usize) -> Result<Vec<DeadLetter>, Fault> {
    let channel = session.channel().await?;
    let mut letters = Vec::new();
    while letters.len() < max {
        let Some(taken) = take(&channel).await? else {
            break;
        };
        letters.push(letter(&taken));
    }
    put_back(session, channel, letters.len()).await?;
    Ok(letters)
}

/// The dead letter of that message id. Those before it are taken with it, and go back when the
/// channel closes.
pub(crate) async fn find(session: &Session, id: &str) -> Result<Option<DeadLetter>, Fault> {
    let channel = session.channel().await?;
    let mut held = 0;
    let mut found = None;
    while found.is_none() {
        let Some(taken) = take(&channel).await? else {
            break;
        };
        held += 1;
        found = Some(letter(&taken)).filter(|letter| letter.message.id == id);
    }
    put_back(session, channel, held).await?;
    Ok(found)
}

/// Replays or discards the dead letter of that message id; `false` when there is none, or when it
/// has no queue to go back to.
pub(crate) async fn settle(session: &Session, id: &str, action: DeadAction) -> Result<bool, Fault> {
    let channel = session.channel().await?;
    let mut others = 0;
    let mut found = None;
    while found.is_none() {
        let Some(taken) = take(&channel).await? else {
            break;
        };
        if letter(&taken).message.id == id {
            found = Some(taken);
        } else {
            others += 1;
        }
    }
    let settled = match &found {
        Some(taken) if may(action, taken) => act(session, taken, action).await.map(|()| true),
        Some(_) => {
            others += 1;
            Ok(false)
        }
        None => Ok(false),
    };
    put_back(session, channel, others).await?;
    settled
}

/// What is dead without ever having been in a queue has none to go back to.
fn may(action: DeadAction, taken: &BasicGetMessage) -> bool {
    match action {
        DeadAction::Discard => true,
        DeadAction::Replay => QueueName::of_name(&letter(taken).queue).is_some(),
    }
}

/// Publishes a message among the dead letters.
pub(crate) async fn publish(
    session: &Session,
    message: &Message,
    from: &str,
    reason: &str,
    at: Timestamp,
) -> Result<(), Refusal> {
    let headers = Headers {
        death: Some(Death {
            reason: reason.to_owned(),
            queue: from.to_owned(),
            at: Some(at),
        }),
        ..Headers::default()
    };
    let properties = envelope::properties(message, &headers);
    // A routing key is short, and a fanout exchange does not read it.
    session.publish(DEAD, "", &message.body, properties).await
}

async fn act(session: &Session, taken: &BasicGetMessage, action: DeadAction) -> Result<(), Fault> {
    match action {
        DeadAction::Discard => {}
        DeadAction::Replay => {
            let letter = letter(taken);
            // A fresh start: its attempts are not held against it.
            let properties = envelope::properties(&letter.message, &Headers::default());
            session
                .publish(EXCHANGE, &letter.queue, &letter.message.body, properties)
                .await
                .map_err(|refusal| match refusal {
                    Refusal::Lost(fault) => fault,
                    Refusal::Full => Fault::Said(format!("the queue `{}` is full", letter.queue)),
                    Refusal::Unroutable => {
                        Fault::Said(format!("the broker has no queue `{}`", letter.queue))
                    }
                })?;
        }
    }
    match within_deadline(taken.delivery.acker.ack(BasicAckOptions::default())).await? {
        true => Ok(()),
        false => Err(Fault::Said("the link is gone".to_owned())),
    }
}

async fn take(channel: &Channel) -> Result<Option<BasicGetMessage>, Fault> {
    within_deadline(channel.basic_get(DEAD.into(), BasicGetOptions::default())).await
}

fn letter(taken: &BasicGetMessage) -> DeadLetter {
    let delivery = &taken.delivery;
    let (death, attempt) = envelope::death(&delivery.properties, delivery.routing_key.as_str());
    let mut message = envelope::message(&delivery.properties, delivery.data.clone());
    if message.id.is_empty() {
        message.id = id_of(&death, &message.body);
    }
    DeadLetter {
        message,
        queue: death.queue,
        reason: death.reason,
        attempt,
        since: death.at,
    }
}

/// By which people name a message that a stranger published without a message id: the same
/// whenever it is looked at.
fn id_of(death: &Death, body: &[u8]) -> String {
    let since = death.at.map_or(0, Timestamp::as_micros);
    let mut digest = Sha256::new();
    digest.update(&death.queue);
    digest.update(since.to_be_bytes());
    digest.update(body);
    let digest = digest.finalize();
    let hash = hex(digest.get(..8).unwrap_or_default());
    format!("without-id-{hash}")
}

/// Closes the channel, then waits until the queue shows again what the channel held: the broker
/// answers the close first and requeues afterwards, and whoever looks next must find them.
async fn put_back(session: &Session, channel: Channel, held: usize) -> Result<(), Fault> {
    within_deadline(channel.close(200, "seen".into())).await?;
    let held = u64::try_from(held).unwrap_or(u64::MAX);
    for _ in 0..RETURN_POLLS {
        if session.ready(DEAD).await? >= held {
            break;
        }
        tokio::time::sleep(RETURN_POLL).await;
    }
    Ok(())
}
