//! The queues as tables.

use std::sync::Arc;

use async_trait::async_trait;
use domain::Timestamp;
use domain::unit::{Lane, QueueName};
use ports::queue::{
    DeadAction, DeadLetter, Delivery, Incoming, LinkLost, Message, PublishError, Queue,
    Subscription,
};
use rusqlite::{OptionalExtension, Row, params};

use crate::core::{Core, Fault, Pending, Tx, limit, of_sql};

/// Ready messages at which a live queue refuses more: four times the window of 2,000 units above
/// which the listener holds back.
pub const MAX_READY_LIVE: u64 = 8_000;
/// Ready messages at which a bulk queue refuses more: far beyond the window of its source.
pub const MAX_READY_BULK: u64 = 1_200;

/// The queues of a database.
pub(crate) struct Tables(pub(crate) Arc<Core>);

pub(crate) async fn remove(core: &Core, queue: QueueName) -> Result<(), LinkLost> {
    core.run(move |tx| {
        tx.db
            .execute("DELETE FROM queues WHERE name = ?1", [queue.name()])?;
        Ok(())
    })
    .await
    .map_err(LinkLost::from)
}

enum Published {
    Yes,
    NoQueue,
    Full,
}

#[async_trait]
impl Queue for Tables {
    async fn publish(&self, to: QueueName, message: &Message) -> Result<(), PublishError> {
        let message = message.clone();
        let published = self.0.run(move |tx| insert(tx, to, &message)).await;
        match published.map_err(LinkLost::from)? {
            Published::Yes => Ok(()),
            Published::NoQueue => Err(PublishError::Unroutable(to.name().to_owned())),
            Published::Full => Err(PublishError::Full(to.name().to_owned())),
        }
    }

    async fn subscribe(
        &self,
        from: QueueName,
        prefetch: u16,
    ) -> Result<Box<dyn Subscription>, LinkLost> {
        Ok(Box::new(Link {
            core: Arc::clone(&self.0),
            epoch: self.0.epoch(),
            number: self.0.new_link(),
            queue: from,
            prefetch,
            taking: true,
            pending: None,
        }))
    }

    async fn publish_dead(
        &self,
        message: &Message,
        from: &str,
        reason: &str,
    ) -> Result<(), LinkLost> {
        let (message, from, reason) = (message.clone(), from.to_owned(), reason.to_owned());
        let step = self.0.run(move |tx| {
            let Message {
                id,
                kind,
                version,
                body,
            } = message;
            tx.db
                .prepare_cached(
                    "INSERT INTO dead (queue, id, kind, version, body, attempt, reason, since)
                     SELECT ?1, ?2, ?3, ?4, ?5, 0, ?6, ?7
                     WHERE NOT EXISTS (SELECT 1 FROM dead WHERE id = ?2 AND queue = ?1)",
                )?
                .execute(params![
                    from,
                    id,
                    kind,
                    version,
                    body,
                    reason,
                    tx.now.as_micros()
                ])?;
            Ok(())
        });
        Ok(step.await?)
    }

    async fn depth(&self, of: QueueName) -> Result<u64, LinkLost> {
        let depth = self.0.run(move |tx| {
            Ok(tx
                .db
                .prepare_cached(
                    "SELECT count(*) FROM messages
                     WHERE queue = ?1 AND link IS NULL AND due <= ?2",
                )?
                .query_row(params![of.name(), tx.now.as_micros()], |row| row.get(0))?)
        });
        Ok(of_sql(depth.await?))
    }

    async fn waiting(&self) -> Result<u64, LinkLost> {
        let waiting = self.0.run(|tx| {
            Ok(tx
                .db
                .prepare_cached(
                    "SELECT count(*) FROM messages
                     WHERE queue IN (SELECT name FROM queues) AND link IS NULL AND due > ?1",
                )?
                .query_row([tx.now.as_micros()], |row| row.get(0))?)
        });
        Ok(of_sql(waiting.await?))
    }

    async fn dead_letters(&self, max: usize) -> Result<Vec<DeadLetter>, LinkLost> {
        let letters = self.0.run(move |tx| {
            let mut select = tx.db.prepare_cached(
                "SELECT id, kind, version, body, queue, reason, attempt, since FROM dead
                 ORDER BY seq LIMIT ?1",
            )?;
            let letters = select.query_map([limit(max)], dead_letter)?;
            Ok(letters.collect::<Result<Vec<_>, _>>()?)
        });
        Ok(letters.await?)
    }

    async fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, LinkLost> {
        let id = id.to_owned();
        let letter = self.0.run(move |tx| {
            let mut select = tx.db.prepare_cached(
                "SELECT id, kind, version, body, queue, reason, attempt, since FROM dead
                 WHERE id = ?1 ORDER BY seq LIMIT 1",
            )?;
            Ok(select.query_row([id], dead_letter).optional()?)
        });
        Ok(letter.await?)
    }

    async fn dead_count(&self) -> Result<u64, LinkLost> {
        let count = self.0.run(|tx| {
            Ok(tx
                .db
                .query_row("SELECT count(*) FROM dead", [], |row| row.get(0))?)
        });
        Ok(of_sql(count.await?))
    }

    async fn settle_dead(&self, id: &str, action: DeadAction) -> Result<bool, LinkLost> {
        let id = id.to_owned();
        Ok(self.0.run(move |tx| settle_dead(tx, &id, action)).await?)
    }
}

fn insert(tx: &Tx<'_>, to: QueueName, message: &Message) -> Result<Published, Fault> {
    let max_ready = match to.lane {
        Lane::Live => MAX_READY_LIVE,
        Lane::Bulk => MAX_READY_BULK,
    };
    let known = tx
        .db
        .prepare_cached("SELECT 1 FROM queues WHERE name = ?1")?
        .exists([to.name()])?;
    if !known {
        return Ok(Published::NoQueue);
    }
    let full = tx
        .db
        .prepare_cached(
            "SELECT 1 FROM messages WHERE queue = ?1 AND link IS NULL AND due <= ?2
             LIMIT 1 OFFSET ?3",
        )?
        .exists(params![
            to.name(),
            tx.now.as_micros(),
            crate::core::to_sql(max_ready - 1)
        ])?;
    if full {
        return Ok(Published::Full);
    }
    tx.db
        .prepare_cached(
            "INSERT INTO messages (queue, id, kind, version, body, attempt, due)
             VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6)",
        )?
        .execute(params![
            to.name(),
            message.id,
            message.kind,
            message.version,
            message.body,
            tx.now.as_micros()
        ])?;
    tx.wake(to.name());
    Ok(Published::Yes)
}

fn settle_dead(tx: &Tx<'_>, id: &str, action: DeadAction) -> Result<bool, Fault> {
    let found: Option<(i64, String)> = tx
        .db
        .prepare_cached("SELECT seq, queue FROM dead WHERE id = ?1 ORDER BY seq LIMIT 1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((seq, queue)) = found else {
        return Ok(false);
    };
    if action == DeadAction::Replay {
        if QueueName::of_name(&queue).is_none() {
            return Ok(false);
        }
        tx.db
            .prepare_cached(
                "INSERT INTO messages (queue, id, kind, version, body, attempt, due)
                 SELECT queue, id, kind, version, body, 0, ?2 FROM dead WHERE seq = ?1",
            )?
            .execute(params![seq, tx.now.as_micros()])?;
        tx.wake(&queue);
    }
    tx.db
        .prepare_cached("DELETE FROM dead WHERE seq = ?1")?
        .execute([seq])?;
    Ok(true)
}

fn dead_letter(row: &Row<'_>) -> rusqlite::Result<DeadLetter> {
    Ok(DeadLetter {
        message: message(row)?,
        queue: row.get(4)?,
        reason: row.get(5)?,
        attempt: row.get(6)?,
        since: Some(Timestamp::from_micros(row.get(7)?)),
    })
}

/// The first four columns of a query.
fn message(row: &Row<'_>) -> rusqlite::Result<Message> {
    Ok(Message {
        id: row.get(0)?,
        kind: row.get(1)?,
        version: row.get(2)?,
        body: row.get(3)?,
    })
}

/// What a look into the queue found.
enum Look {
    Taken(Taken),
    /// Nothing that may be taken now; the next message that waits for its time, if any.
    Nothing {
        next_due: Option<Timestamp>,
    },
}

/// A message that is in hand from now on.
struct Taken {
    seq: i64,
    attempt: u32,
    returned: u32,
    message: Message,
}

/// A subscription.
struct Link {
    core: Arc<Core>,
    epoch: i64,
    number: i64,
    queue: QueueName,
    prefetch: u16,
    taking: bool,
    /// A look whose caller was cancelled; its answer belongs to the next caller.
    pending: Option<Pending<Look>>,
}

impl Link {
    fn check(&self) -> Result<(), LinkLost> {
        if self.core.epoch() != self.epoch {
            return Err(LinkLost("the embedded queues were restarted".to_owned()));
        }
        if !self.taking {
            return Err(LinkLost("this subscription takes nothing more".to_owned()));
        }
        Ok(())
    }

    fn hand_over(&self, taken: Taken) -> Incoming {
        let Taken {
            seq,
            attempt,
            returned,
            message,
        } = taken;
        Incoming {
            message: Arc::new(message),
            attempt,
            returned,
            delivery: Box::new(InHand {
                core: Arc::clone(&self.core),
                link: self.number,
                seq,
                settled: false,
            }),
        }
    }
}

fn look(tx: &Tx<'_>, queue: QueueName, link: i64, prefetch: u16) -> Result<Look, Fault> {
    let in_hand: i64 = tx
        .db
        .prepare_cached("SELECT count(*) FROM messages WHERE link = ?1")?
        .query_row([link], |row| row.get(0))?;
    if in_hand >= i64::from(prefetch) {
        return Ok(Look::Nothing { next_due: None });
    }
    let next: Option<(i64, i64)> = tx
        .db
        .prepare_cached(
            "SELECT due, seq FROM messages WHERE queue = ?1 AND link IS NULL
             ORDER BY due, seq LIMIT 1",
        )?
        .query_row([queue.name()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((due, seq)) = next else {
        return Ok(Look::Nothing { next_due: None });
    };
    if due > tx.now.as_micros() {
        return Ok(Look::Nothing {
            next_due: Some(Timestamp::from_micros(due)),
        });
    }
    tx.db
        .prepare_cached("UPDATE messages SET link = ?1 WHERE seq = ?2")?
        .execute([link, seq])?;
    Ok(tx
        .db
        .prepare_cached(
            "SELECT id, kind, version, body, attempt, returned FROM messages WHERE seq = ?1",
        )?
        .query_row([seq], |row| {
            Ok(Look::Taken(Taken {
                seq,
                attempt: row.get(4)?,
                returned: row.get(5)?,
                message: message(row)?,
            }))
        })?)
}

#[async_trait]
impl Subscription for Link {
    async fn next(&mut self) -> Result<Incoming, LinkLost> {
        let arrivals = self.core.arrivals(self.queue);
        loop {
            // Asked for before the look, so that what arrives during it is not slept through.
            let arrival = arrivals.notified();
            self.check()?;
            let begun_earlier = self.pending.is_some();
            let pending = self.pending.get_or_insert_with(|| {
                let (queue, link, prefetch) = (self.queue, self.number, self.prefetch);
                self.core.submit(move |tx| look(tx, queue, link, prefetch))
            });
            let found = pending.answer().await;
            self.pending = None;
            match found? {
                Look::Taken(taken) => return Ok(self.hand_over(taken)),
                Look::Nothing { .. } if begun_earlier => {}
                Look::Nothing { next_due: None } => arrival.await,
                Look::Nothing {
                    next_due: Some(due),
                } => {
                    tokio::select! {
                        biased;
                        () = arrival => {}
                        () = tokio::time::sleep(due.since(self.core.now())) => {}
                    }
                }
            }
        }
    }

    async fn stop_taking(&mut self) -> Result<(), LinkLost> {
        self.check()?;
        self.taking = false;
        if let Some(mut pending) = self.pending.take()
            && let Look::Taken(taken) = pending.answer().await?
        {
            // Dropped unsettled: back it goes.
            drop(self.hand_over(taken));
        }
        Ok(())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let (queue, link) = (self.queue, self.number);
        drop(self.core.submit(move |tx| {
            let given_back = tx
                .db
                .prepare_cached(
                    "UPDATE messages SET link = NULL, attempt = attempt + 1,
                     returned = returned + 1 WHERE link = ?1",
                )?
                .execute([link])?;
            if given_back > 0 {
                tx.wake(queue.name());
            }
            Ok(())
        }));
    }
}

/// A message in hand.
struct InHand {
    core: Arc<Core>,
    link: i64,
    seq: i64,
    settled: bool,
}

/// What becomes of a message that was in hand.
enum Settle {
    Done,
    Back,
    Retry {
        at: Timestamp,
        body: Option<Vec<u8>>,
    },
    Dead {
        reason: String,
    },
}

impl InHand {
    fn submit(&mut self, settle: Settle) -> Pending<bool> {
        self.settled = true;
        let (seq, link) = (self.seq, self.link);
        self.core
            .submit(move |tx| settle_in_hand(tx, seq, link, &settle))
    }

    async fn settle(&mut self, settle: Settle) -> Result<(), LinkLost> {
        if self.submit(settle).answer().await? {
            Ok(())
        } else {
            Err(LinkLost(
                "the subscription that had the message in hand is gone".to_owned(),
            ))
        }
    }
}

/// Settles the message if the subscription still has it in hand; otherwise `false`.
fn settle_in_hand(tx: &Tx<'_>, seq: i64, link: i64, settle: &Settle) -> Result<bool, Fault> {
    let queue: Option<String> = tx
        .db
        .prepare_cached("SELECT queue FROM messages WHERE seq = ?1 AND link = ?2")?
        .query_row([seq, link], |row| row.get(0))
        .optional()?;
    let Some(queue) = queue else {
        return Ok(false);
    };
    match settle {
        Settle::Done => {}
        Settle::Back => {
            tx.db
                .prepare_cached(
                    "UPDATE messages SET link = NULL, attempt = attempt + 1,
                     returned = returned + 1 WHERE seq = ?1",
                )?
                .execute([seq])?;
        }
        Settle::Retry { at, body } => {
            tx.db
                .prepare_cached(
                    "UPDATE messages SET link = NULL, attempt = attempt + 1, returned = 0, due = ?2,
                     body = coalesce(?3, body) WHERE seq = ?1",
                )?
                .execute(params![seq, at.as_micros(), body])?;
        }
        Settle::Dead { reason } => {
            tx.db
                .prepare_cached(
                    "INSERT INTO dead (queue, id, kind, version, body, attempt, reason, since)
                     SELECT queue, id, kind, version, body, attempt + 1, ?2, ?3
                     FROM messages WHERE seq = ?1",
                )?
                .execute(params![seq, reason, tx.now.as_micros()])?;
        }
    }
    if matches!(settle, Settle::Done | Settle::Dead { .. }) {
        tx.db
            .prepare_cached("DELETE FROM messages WHERE seq = ?1")?
            .execute([seq])?;
    }
    // Also for the subscription itself, which may have been at its prefetch.
    tx.wake(&queue);
    Ok(true)
}

#[async_trait]
impl Delivery for InHand {
    async fn ack(mut self: Box<Self>) -> Result<(), LinkLost> {
        self.settle(Settle::Done).await
    }

    async fn retry_at(
        mut self: Box<Self>,
        at: Timestamp,
        body: Option<Vec<u8>>,
    ) -> Result<(), LinkLost> {
        self.settle(Settle::Retry { at, body }).await
    }

    async fn dead_letter(mut self: Box<Self>, reason: &str) -> Result<(), LinkLost> {
        let reason = reason.to_owned();
        self.settle(Settle::Dead { reason }).await
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        if !self.settled {
            drop(self.submit(Settle::Back));
        }
    }
}
