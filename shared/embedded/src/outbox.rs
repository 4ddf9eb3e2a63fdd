//! Notifications: the board in one row, a row for each notification.

use async_trait::async_trait;
use domain::Timestamp;
use domain::notification::{Board, Notification};
use ports::stores::{OutboxPosition, OutboxStore, StoreError};
use rusqlite::{OptionalExtension, Params, params};

use crate::core::{Fault, Tx, limit, of_doc, of_sql, to_doc, to_sql};
use crate::stores::Tables;

#[async_trait]
impl OutboxStore for Tables {
    async fn board(&self) -> Result<Option<Board>, StoreError> {
        Ok(self.0.run(board).await?)
    }

    async fn post(&self, next: &Board, notifications: &[Notification]) -> Result<(), StoreError> {
        let (next, notifications) = (next.clone(), notifications.to_vec());
        let posted = self.0.run(move |tx| {
            let current = board(tx)?;
            if current.as_ref() == Some(&next) {
                // The answer to the first try was lost.
                return Ok(());
            }
            let current = current.map_or(0, |board| board.revision);
            if next.revision != current + 1 {
                return Err(Fault(StoreError::Conflict { current }));
            }
            tx.db
                .prepare_cached(
                    "INSERT OR REPLACE INTO board (only, revision, doc) VALUES (1, ?1, ?2)",
                )?
                .execute(params![to_sql(next.revision), to_doc(&next)?])?;
            for notification in &notifications {
                tx.db
                    .prepare_cached(
                        "INSERT OR IGNORE INTO outbox (id, found, step, due, failed, doc)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    )?
                    .execute(params![
                        notification.id(),
                        notification.notice.at.as_micros(),
                        to_sql(notification.step),
                        notification.due().map(Timestamp::as_micros),
                        notification.failed().map(Timestamp::as_micros),
                        to_doc(notification)?
                    ])?;
            }
            Ok(())
        });
        Ok(posted.await?)
    }

    async fn due(&self, by: Timestamp, max: usize) -> Result<Vec<Notification>, StoreError> {
        let due = self.0.run(move |tx| {
            let sql = "SELECT doc FROM outbox WHERE due <= ?1 ORDER BY due, id LIMIT ?2";
            notifications(tx, sql, params![by.as_micros(), limit(max)])
        });
        Ok(due.await?)
    }

    async fn replace(&self, next: &Notification) -> Result<bool, StoreError> {
        let next = next.clone();
        let replaced = self.0.run(move |tx| {
            let doc = to_doc(&next)?;
            let known: Option<(i64, String)> = tx
                .db
                .prepare_cached("SELECT step, doc FROM outbox WHERE id = ?1")?
                .query_row([next.id()], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let Some((step, known)) = known else {
                return Ok(false);
            };
            if known == doc {
                // The answer to the first try was lost.
                return Ok(true);
            }
            if of_sql(step) + 1 != next.step {
                return Ok(false);
            }
            tx.db
                .prepare_cached(
                    "UPDATE outbox SET step = ?2, due = ?3, failed = ?4, doc = ?5 WHERE id = ?1",
                )?
                .execute(params![
                    next.id(),
                    to_sql(next.step),
                    next.due().map(Timestamp::as_micros),
                    next.failed().map(Timestamp::as_micros),
                    doc
                ])?;
            Ok(true)
        });
        Ok(replaced.await?)
    }

    async fn notification(&self, id: &str) -> Result<Option<Notification>, StoreError> {
        let id = id.to_owned();
        let found = self.0.run(move |tx| {
            let found = notifications(tx, "SELECT doc FROM outbox WHERE id = ?1", [id])?;
            Ok(found.into_iter().next())
        });
        Ok(found.await?)
    }

    async fn list(
        &self,
        before: Option<&OutboxPosition>,
        max: usize,
    ) -> Result<Vec<Notification>, StoreError> {
        let (at, id) = before.map_or((i64::MAX, String::new()), |(at, id)| {
            (at.as_micros(), id.clone())
        });
        let list = self.0.run(move |tx| {
            let sql = "SELECT doc FROM outbox WHERE (found, id) < (?1, ?2)
                       ORDER BY found DESC, id DESC LIMIT ?3";
            notifications(tx, sql, params![at, id, limit(max)])
        });
        Ok(list.await?)
    }

    async fn failed(&self, since: Timestamp) -> Result<u64, StoreError> {
        let failed = self.0.run(move |tx| {
            let failed = tx
                .db
                .prepare_cached("SELECT count(*) FROM outbox WHERE failed >= ?1")?
                .query_row([since.as_micros()], |row| row.get(0))?;
            Ok(of_sql(failed))
        });
        Ok(failed.await?)
    }

    async fn forget(&self, before: Timestamp, max: usize) -> Result<u64, StoreError> {
        let forgotten = self.0.run(move |tx| {
            let forgotten = tx
                .db
                .prepare_cached(
                    "DELETE FROM outbox WHERE id IN (
                         SELECT id FROM outbox WHERE found < ?1 AND due IS NULL
                         ORDER BY found, id LIMIT ?2)",
                )?
                .execute(params![before.as_micros(), limit(max)])?;
            Ok(u64::try_from(forgotten).unwrap_or(u64::MAX))
        });
        Ok(forgotten.await?)
    }
}

fn board(tx: &Tx<'_>) -> Result<Option<Board>, Fault> {
    let doc: Option<String> = tx
        .db
        .prepare_cached("SELECT doc FROM board")?
        .query_row([], |row| row.get(0))
        .optional()?;
    doc.as_deref().map(of_doc).transpose()
}

fn notifications(tx: &Tx<'_>, sql: &str, values: impl Params) -> Result<Vec<Notification>, Fault> {
    let mut select = tx.db.prepare_cached(sql)?;
    let mut rows = select.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(of_doc(&row.get::<_, String>(0)?)?);
    }
    Ok(found)
}
