//! Notifications: documents by id, and sorted sets of when each was found, is due and has failed.

use async_trait::async_trait;
use domain::Timestamp;
use domain::notification::{Board, Notification};
use ports::stores::{OutboxPosition, OutboxStore, StoreError};

use crate::link::{Link, of_doc, script, to_doc};

#[async_trait]
impl OutboxStore for Link {
    async fn board(&self) -> Result<Option<Board>, StoreError> {
        let key = self.key("outbox:board");
        let doc: Option<String> = self
            .ask(redis::cmd("HGET").arg(key).arg("document"))
            .await?;
        doc.as_deref().map(of_doc).transpose()
    }

    async fn post(&self, board: &Board, notifications: &[Notification]) -> Result<(), StoreError> {
        let mut arguments = vec![board.revision.to_string(), to_doc(board)?];
        for notification in notifications {
            let found = notification.notice.at.as_micros().to_string();
            arguments.extend([notification.id().to_owned(), found]);
            arguments.extend(state(notification)?);
        }
        let kept: String = self.run(script!("post_notifications"), &arguments).await?;
        if kept.is_empty() {
            return Ok(());
        }
        Err(kept.parse().map_or_else(
            |_not_a_number| StoreError::Corrupt("a board without a revision".to_owned()),
            |current| StoreError::Conflict { current },
        ))
    }

    async fn due(&self, by: Timestamp, max: usize) -> Result<Vec<Notification>, StoreError> {
        let arguments = [by.as_micros().to_string(), max.to_string()];
        let docs: Vec<String> = self.run(script!("due_notifications"), &arguments).await?;
        docs.iter().map(|doc| of_doc(doc)).collect()
    }

    async fn replace(&self, next: &Notification) -> Result<bool, StoreError> {
        let mut arguments = vec![next.id().to_owned()];
        arguments.extend(state(next)?);
        self.run(script!("replace_notification"), &arguments).await
    }

    async fn notification(&self, id: &str) -> Result<Option<Notification>, StoreError> {
        let doc: Option<String> = self
            .ask(redis::cmd("HGET").arg(self.key("outbox")).arg(id))
            .await?;
        doc.as_deref().map(of_doc).transpose()
    }

    async fn list(
        &self,
        before: Option<&OutboxPosition>,
        max: usize,
    ) -> Result<Vec<Notification>, StoreError> {
        let (at, id) = before.map_or_else(Default::default, |(at, id)| {
            (at.as_micros().to_string(), id.clone())
        });
        let arguments = [at, id, max.to_string()];
        let docs: Vec<String> = self.run(script!("list_notifications"), &arguments).await?;
        docs.iter().map(|doc| of_doc(doc)).collect()
    }

    async fn failed(&self, since: Timestamp) -> Result<u64, StoreError> {
        let count = redis::cmd("ZCOUNT")
            .arg(self.key("outbox:failed"))
            .arg(since.as_micros())
            .arg("+inf")
            .to_owned();
        self.ask(&count).await
    }

    async fn forget(&self, before: Timestamp, max: usize) -> Result<u64, StoreError> {
        let arguments = [before.as_micros().to_string(), max.to_string()];
        self.run(script!("forget_notifications"), &arguments).await
    }
}

/// What the scripts take of a notification: document, step, due, failed.
fn state(notification: &Notification) -> Result<[String; 4], StoreError> {
    let time = |at: Option<Timestamp>| at.map_or_else(String::new, |at| at.as_micros().to_string());
    Ok([
        to_doc(notification)?,
        notification.step.to_string(),
        time(notification.due()),
        time(notification.failed()),
    ])
}
