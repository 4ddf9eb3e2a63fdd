//! How many API requests were made, by hour.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::Timestamp;
use ports::stores::{CALLS_KEPT, CallStore, StoreError, hour_of};
use rusqlite::params;

use crate::core::{of_sql, to_sql};
use crate::stores::Tables;

#[async_trait]
impl CallStore for Tables {
    async fn add_calls(&self, at: Timestamp, calls: u64) -> Result<(), StoreError> {
        let added = self.0.run(move |tx| {
            tx.db
                .prepare_cached(
                    "INSERT INTO calls (hour, calls) VALUES (?1, ?2)
                     ON CONFLICT (hour) DO UPDATE SET calls = calls + excluded.calls",
                )?
                .execute(params![hour_of(at).as_micros(), to_sql(calls)])?;
            tx.db
                .prepare_cached("DELETE FROM calls WHERE hour < ?1")?
                .execute([at.before(CALLS_KEPT).as_micros()])?;
            Ok(())
        });
        Ok(added.await?)
    }

    async fn calls(&self, since: Timestamp) -> Result<BTreeMap<Timestamp, u64>, StoreError> {
        let calls = self.0.run(move |tx| {
            let mut select = tx
                .db
                .prepare_cached("SELECT hour, calls FROM calls WHERE hour >= ?1")?;
            let mut rows = select.query([hour_of(since).as_micros()])?;
            let mut calls = BTreeMap::new();
            while let Some(row) = rows.next()? {
                calls.insert(Timestamp::from_micros(row.get(0)?), of_sql(row.get(1)?));
            }
            Ok(calls)
        });
        Ok(calls.await?)
    }
}
