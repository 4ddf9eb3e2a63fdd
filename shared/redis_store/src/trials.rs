//! Notes of units over which workers die: one hash of documents, and when each may be forgotten.

use async_trait::async_trait;
use domain::Timestamp;
use ports::stores::{StoreError, TRIAL_KEPT, TrialStore};

use crate::link::{Link, script};

#[async_trait]
impl TrialStore for Link {
    async fn trial(&self, unit: &str) -> Result<Option<String>, StoreError> {
        self.ask(redis::cmd("HGET").arg(self.key("trials")).arg(unit))
            .await
    }

    async fn keep(&self, unit: &str, note: &str, now: Timestamp) -> Result<(), StoreError> {
        let arguments = [
            now.as_micros().to_string(),
            now.after(TRIAL_KEPT).as_micros().to_string(),
            unit.to_owned(),
            note.to_owned(),
        ];
        self.run(script!("keep_trial"), &arguments).await
    }

    async fn end(&self, unit: &str) -> Result<(), StoreError> {
        self.run(script!("end_trial"), &[unit.to_owned()]).await
    }
}
