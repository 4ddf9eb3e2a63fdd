//! Small documents by name.

use async_trait::async_trait;
use ports::stores::{NoteStore, StoreError};

use crate::link::Link;

#[async_trait]
impl NoteStore for Link {
    async fn note(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.ask(redis::cmd("HGET").arg(self.key("notes")).arg(name))
            .await
    }

    async fn keep(&self, name: &str, document: &str) -> Result<(), StoreError> {
        self.ask(
            redis::cmd("HSET")
                .arg(self.key("notes"))
                .arg(name)
                .arg(document),
        )
        .await
    }
}
