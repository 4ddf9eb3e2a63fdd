//! How many API requests were made, by hour.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::Timestamp;
use ports::stores::{CALLS_KEPT, CallStore, StoreError, hour_of};

use crate::link::{Link, script};

#[async_trait]
impl CallStore for Link {
    async fn add_calls(&self, at: Timestamp, calls: u64) -> Result<(), StoreError> {
        let arguments = [
            hour_of(at).as_micros().to_string(),
            calls.to_string(),
            at.before(CALLS_KEPT).as_micros().to_string(),
        ];
        self.run(script!("add_calls"), &arguments).await
    }

    async fn calls(&self, since: Timestamp) -> Result<BTreeMap<Timestamp, u64>, StoreError> {
        let all: BTreeMap<i64, u64> = self
            .ask(redis::cmd("HGETALL").arg(self.key("calls")))
            .await?;
        let hours = all
            .into_iter()
            .map(|(hour, calls)| (Timestamp::from_micros(hour), calls));
        Ok(hours.filter(|(hour, _)| *hour >= hour_of(since)).collect())
    }
}
