//! Small documents by name.

use async_trait::async_trait;
use ports::stores::{NoteStore, StoreError};
use rusqlite::OptionalExtension;

use crate::stores::Tables;

#[async_trait]
impl NoteStore for Tables {
    async fn note(&self, name: &str) -> Result<Option<String>, StoreError> {
        let name = name.to_owned();
        let note = self.0.run(move |tx| {
            Ok(tx
                .db
                .prepare_cached("SELECT doc FROM notes WHERE name = ?1")?
                .query_row([name], |row| row.get(0))
                .optional()?)
        });
        Ok(note.await?)
    }

    async fn keep(&self, name: &str, document: &str) -> Result<(), StoreError> {
        let (name, document) = (name.to_owned(), document.to_owned());
        let kept = self.0.run(move |tx| {
            tx.db
                .prepare_cached("INSERT OR REPLACE INTO notes (name, doc) VALUES (?1, ?2)")?
                .execute([name, document])?;
            Ok(())
        });
        Ok(kept.await?)
    }
}
