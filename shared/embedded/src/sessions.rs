//! Who has signed in to the console.

use async_trait::async_trait;
use domain::Timestamp;
use ports::stores::{Session, SessionStore, StoreError};
use rusqlite::{OptionalExtension, Row, params};

use crate::core::{Fault, Tx, of_doc, to_doc};
use crate::stores::Tables;

/// The document, and when the person was last here.
type Stored = (String, i64);

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok((row.get(0)?, row.get(1)?))
}

fn session_of((doc, seen): Stored) -> Result<Session, Fault> {
    let mut session: Session = of_doc(&doc)?;
    session.seen = Timestamp::from_micros(seen);
    Ok(session)
}

fn find(tx: &Tx<'_>, key: &str) -> Result<Option<Session>, Fault> {
    let found = tx
        .db
        .prepare_cached("SELECT doc, seen FROM sessions WHERE key = ?1")?
        .query_row([key], stored)
        .optional()?;
    found.map(session_of).transpose()
}

#[async_trait]
impl SessionStore for Tables {
    async fn open(&self, key: &str, session: &Session) -> Result<(), StoreError> {
        let (key, session) = (key.to_owned(), session.clone());
        let opened = self.0.run(move |tx| {
            tx.db
                .prepare_cached(
                    "INSERT OR REPLACE INTO sessions (key, opened, seen, doc)
                     VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![
                    key,
                    session.opened.as_micros(),
                    session.seen.as_micros(),
                    to_doc(&session)?
                ])?;
            Ok(())
        });
        Ok(opened.await?)
    }

    async fn session(&self, key: &str) -> Result<Option<Session>, StoreError> {
        let key = key.to_owned();
        Ok(self.0.run(move |tx| find(tx, &key)).await?)
    }

    async fn seen(&self, key: &str, at: Timestamp) -> Result<(), StoreError> {
        let key = key.to_owned();
        let noted = self.0.run(move |tx| {
            tx.db
                .prepare_cached("UPDATE sessions SET seen = max(seen, ?2) WHERE key = ?1")?
                .execute(params![key, at.as_micros()])?;
            Ok(())
        });
        Ok(noted.await?)
    }

    async fn close(&self, key: &str) -> Result<Option<Session>, StoreError> {
        let key = key.to_owned();
        let closed = self.0.run(move |tx| {
            let session = find(tx, &key)?;
            tx.db
                .prepare_cached("DELETE FROM sessions WHERE key = ?1")?
                .execute([key])?;
            Ok(session)
        });
        Ok(closed.await?)
    }

    async fn forget(
        &self,
        opened_before: Timestamp,
        seen_before: Timestamp,
    ) -> Result<u64, StoreError> {
        let forgotten = self.0.run(move |tx| {
            let rows = tx
                .db
                .prepare_cached("DELETE FROM sessions WHERE opened < ?1 OR seen < ?2")?
                .execute([opened_before.as_micros(), seen_before.as_micros()])?;
            Ok(u64::try_from(rows).unwrap_or(u64::MAX))
        });
        Ok(forgotten.await?)
    }
}
