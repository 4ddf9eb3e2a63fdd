//! Last words that mOS had no deal for: one hash of versions, and when each may be forgotten.

use async_trait::async_trait;
use domain::{SalesforceId, Timestamp, Version};
use ports::stores::{LAST_WORD_KEPT, LastWordStore, StoreError};

use crate::link::{Link, script};

#[async_trait]
impl LastWordStore for Link {
    async fn mark(
        &self,
        deals: &[(SalesforceId, Version)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut arguments = vec![
            now.as_micros().to_string(),
            now.after(LAST_WORD_KEPT).as_micros().to_string(),
        ];
        arguments.extend(versions(deals));
        self.run(script!("mark_last_words"), &arguments).await
    }

    async fn overtaken(
        &self,
        created: &[(SalesforceId, Version)],
    ) -> Result<Vec<SalesforceId>, StoreError> {
        let arguments: Vec<String> = versions(created).collect();
        let overtaken: Vec<String> = self.run(script!("overtaken"), &arguments).await?;
        overtaken
            .iter()
            .map(|id| {
                SalesforceId::parse(id).map_err(|error| StoreError::Corrupt(error.to_string()))
            })
            .collect()
    }
}

fn versions(deals: &[(SalesforceId, Version)]) -> impl Iterator<Item = String> {
    deals
        .iter()
        .flat_map(|(id, version)| [id.to_string(), version.time().as_micros().to_string()])
}
