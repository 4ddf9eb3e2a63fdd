//! Notes of units over which workers die.

use async_trait::async_trait;
use domain::Timestamp;
use ports::stores::{StoreError, TRIAL_KEPT, TrialStore};
use rusqlite::{OptionalExtension, params};

use crate::stores::Tables;

#[async_trait]
impl TrialStore for Tables {
    async fn trial(&self, unit: &str) -> Result<Option<String>, StoreError> {
        let unit = unit.to_owned();
        let note = self.0.run(move |tx| {
            Ok(tx
                .db
                .prepare_cached("SELECT doc FROM trials WHERE unit = ?1")?
                .query_row([unit], |row| row.get(0))
                .optional()?)
        });
        Ok(note.await?)
    }

    async fn keep(&self, unit: &str, note: &str, now: Timestamp) -> Result<(), StoreError> {
        let (unit, note) = (unit.to_owned(), note.to_owned());
        let kept = self.0.run(move |tx| {
            tx.db
                .prepare_cached("DELETE FROM trials WHERE until <= ?1")?
                .execute([now.as_micros()])?;
            tx.db
                .prepare_cached(
                    "INSERT OR REPLACE INTO trials (unit, until, doc) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![unit, now.after(TRIAL_KEPT).as_micros(), note])?;
            Ok(())
        });
        Ok(kept.await?)
    }

    async fn end(&self, unit: &str) -> Result<(), StoreError> {
        let unit = unit.to_owned();
        let ended = self.0.run(move |tx| {
            tx.db
                .prepare_cached("DELETE FROM trials WHERE unit = ?1")?
                .execute([unit])?;
            Ok(())
        });
        Ok(ended.await?)
    }
}
