//! Parked records: a hash each, found by order, by time, and by the parent they wait for.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use domain::failure::{FailureKind, retry_delay};
use domain::parked::Parked;
use domain::{ObjectKind, SalesforceId, Timestamp, Version};
use ports::stores::{ParkedStore, StoreError};

use crate::link::{Link, of_doc, script, to_doc};

/// Body, since, retries, due, parent.
type Entry = (String, i64, u32, String, String);

#[async_trait]
impl ParkedStore for Link {
    async fn park(&self, records: &[Parked]) -> Result<(), StoreError> {
        let mut arguments = Vec::new();
        for record in records {
            let parent = record.parent.map(|(object, id)| member(object, &id));
            let due = record.retry_at.map(|due| due.as_micros().to_string());
            arguments.extend([
                member(record.object, &record.id),
                to_doc(record)?,
                record.version.time().as_micros().to_string(),
                record.since.as_micros().to_string(),
                record.retries.to_string(),
                due.unwrap_or_default(),
                record.kind.name().to_owned(),
                parent.unwrap_or_default(),
            ]);
        }
        self.run(script!("park"), &arguments).await
    }

    async fn accepted(
        &self,
        records: &[(ObjectKind, SalesforceId)],
        version: Version,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut arguments = vec![
            version.time().as_micros().to_string(),
            now.as_micros().to_string(),
        ];
        arguments.extend(members(records));
        self.run(script!("accepted"), &arguments).await
    }

    async fn clear(
        &self,
        records: &[(ObjectKind, SalesforceId)],
        version: Version,
    ) -> Result<(), StoreError> {
        // Those that wait for a record that is gone go on waiting, for a person to see.
        let mut arguments = vec![version.time().as_micros().to_string()];
        arguments.extend(members(records));
        self.run(script!("clear"), &arguments).await
    }

    async fn list(
        &self,
        after: Option<(ObjectKind, SalesforceId)>,
        max: usize,
    ) -> Result<Vec<Parked>, StoreError> {
        let from = match after {
            None => "-".to_owned(),
            Some((object, id)) => format!("({}", member(object, &id)),
        };
        read(
            self.run(script!("list_parked"), &[from, max.to_string()])
                .await?,
        )
    }

    async fn counts(&self) -> Result<BTreeMap<FailureKind, u64>, StoreError> {
        let counts: BTreeMap<String, u64> = self
            .ask(redis::cmd("HGETALL").arg(self.key("parked:counts")))
            .await?;
        counts
            .into_iter()
            .map(|(kind, records)| Ok((of_doc(&format!("\"{kind}\""))?, records)))
            .collect()
    }

    async fn take_due(&self, now: Timestamp, max: usize) -> Result<Vec<Parked>, StoreError> {
        let _turn = self.one_at_a_time.lock().await;
        let mut arguments = vec![
            now.as_micros().to_string(),
            max.to_string(),
            self.client(),
            self.next_call(),
        ];
        arguments.extend(
            (1..)
                .map_while(retry_delay)
                .map(|delay: Duration| delay.as_micros().to_string()),
        );
        read(self.run(script!("take_due"), &arguments).await?)
    }
}

fn members(records: &[(ObjectKind, SalesforceId)]) -> impl Iterator<Item = String> {
    records.iter().map(|(object, id)| member(*object, id))
}

/// Sorts by the object's place in the dependency order, then by id.
fn member(object: ObjectKind, id: &SalesforceId) -> String {
    let place = ObjectKind::ALL
        .into_iter()
        .position(|known| known == object)
        .unwrap_or_default();
    format!("{place}{id}")
}

fn read(entries: Vec<Entry>) -> Result<Vec<Parked>, StoreError> {
    entries
        .into_iter()
        .map(|(body, since, retries, due, parent)| {
            let mut record: Parked = of_doc(&body)?;
            record.since = Timestamp::from_micros(since);
            record.retries = retries;
            // Empty: never.
            record.retry_at = due.parse().ok().map(Timestamp::from_micros);
            if parent.is_empty() {
                record.parent = None;
            }
            Ok(record)
        })
        .collect()
}
