//! Parked records: a hash each, found by order, by time, and by the parent they wait for.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use domain::failure::{FailureKind, retry_delay};
use domain::parked::Parked;
use domain::{ObjectKind, SalesforceId, Timestamp};
use ports::stores::{ParkedStore, StoreError};

use crate::link::{Link, of_doc, script, to_doc};

/// Body, since, retries, due.
type Entry = (String, i64, u32, String);

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
    ) -> Result<Vec<Parked>, StoreError> {
        let members: Vec<String> = records
            .iter()
            .map(|(object, id)| member(*object, id))
            .collect();
        read(self.run(script!("unpark"), &members).await?)
    }

    async fn clear(&self, records: &[(ObjectKind, SalesforceId)]) -> Result<(), StoreError> {
        // Those that wait for a record that is gone go on waiting, for a person to see.
        self.accepted(records).await.map(|_waiting| ())
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
        .map(|(body, since, retries, due)| {
            let mut record: Parked = of_doc(&body)?;
            record.since = Timestamp::from_micros(since);
            record.retries = retries;
            // Empty: never.
            record.retry_at = due.parse().ok().map(Timestamp::from_micros);
            Ok(record)
        })
        .collect()
}
