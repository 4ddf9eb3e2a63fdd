//! Last words that mOS had no deal for.

use async_trait::async_trait;
use domain::{SalesforceId, Timestamp, Version};
use ports::stores::{LAST_WORD_KEPT, LastWordStore, StoreError};
use rusqlite::{OptionalExtension, params};

use crate::stores::Tables;

#[async_trait]
impl LastWordStore for Tables {
    async fn mark(
        &self,
        deals: &[(SalesforceId, Version)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let deals = deals.to_owned();
        let marked = self.0.run(move |tx| {
            tx.db
                .prepare_cached("DELETE FROM last_words WHERE until <= ?1")?
                .execute([now.as_micros()])?;
            let mut mark = tx.db.prepare_cached(
                "INSERT INTO last_words (id, version, until) VALUES (?1, ?2, ?3)
                 ON CONFLICT (id) DO UPDATE SET version = max(version, excluded.version),
                 until = max(until, excluded.until)",
            )?;
            let until = now.after(LAST_WORD_KEPT).as_micros();
            for (id, version) in &deals {
                mark.execute(params![id.as_str(), version.time().as_micros(), until])?;
            }
            Ok(())
        });
        Ok(marked.await?)
    }

    async fn overtaken(
        &self,
        created: &[(SalesforceId, Version)],
    ) -> Result<Vec<SalesforceId>, StoreError> {
        let created = created.to_owned();
        let overtaken = self.0.run(move |tx| {
            let mut marked = tx
                .db
                .prepare_cached("SELECT version FROM last_words WHERE id = ?1")?;
            let mut remove = tx
                .db
                .prepare_cached("DELETE FROM last_words WHERE id = ?1")?;
            let mut overtaken = Vec::new();
            for (id, version) in created {
                let mark: Option<i64> = marked
                    .query_row([id.as_str()], |row| row.get(0))
                    .optional()?;
                match mark {
                    Some(mark) if mark > version.time().as_micros() => overtaken.push(id),
                    Some(_no_higher) => {
                        remove.execute([id.as_str()])?;
                    }
                    None => {}
                }
            }
            Ok(overtaken)
        });
        Ok(overtaken.await?)
    }
}
