//! Parked records.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::failure::{FailureKind, retry_delay};
use domain::parked::Parked;
use domain::{ObjectKind, SalesforceId, Timestamp};
use ports::stores::{ParkedStore, StoreError};
use rusqlite::{OptionalExtension, Params, params};

use crate::core::{Fault, Tx, limit, of_doc, of_sql, to_doc};
use crate::stores::Tables;

#[async_trait]
impl ParkedStore for Tables {
    async fn park(&self, records: &[Parked]) -> Result<(), StoreError> {
        let records = records.to_owned();
        let parked = self.0.run(move |tx| {
            for mut record in records {
                if let Some(before) = get(tx, record.object, &record.id)? {
                    record.since = before.since;
                    record.retries = before.retries;
                }
                put(tx, &record)?;
            }
            Ok(())
        });
        Ok(parked.await?)
    }

    async fn accepted(
        &self,
        records: &[(ObjectKind, SalesforceId)],
    ) -> Result<Vec<Parked>, StoreError> {
        let records = records.to_owned();
        let released = self.0.run(move |tx| {
            for (object, id) in &records {
                remove(tx, *object, id)?;
            }
            let mut released = Vec::new();
            for (object, id) in &records {
                released.extend(select(
                    tx,
                    "SELECT doc FROM parked WHERE parent_object = ?1 AND parent_id = ?2
                     ORDER BY object, id",
                    params![place(*object), id.as_str()],
                )?);
            }
            Ok(released)
        });
        Ok(released.await?)
    }

    async fn clear(&self, records: &[(ObjectKind, SalesforceId)]) -> Result<(), StoreError> {
        let records = records.to_owned();
        let cleared = self.0.run(move |tx| {
            for (object, id) in &records {
                remove(tx, *object, id)?;
            }
            Ok(())
        });
        Ok(cleared.await?)
    }

    async fn list(
        &self,
        after: Option<(ObjectKind, SalesforceId)>,
        max: usize,
    ) -> Result<Vec<Parked>, StoreError> {
        let page = self.0.run(move |tx| {
            let (object, id) = after.map_or((-1, String::new()), |(object, id)| {
                (place(object), id.as_str().to_owned())
            });
            select(
                tx,
                "SELECT doc FROM parked WHERE (object, id) > (?1, ?2)
                 ORDER BY object, id LIMIT ?3",
                params![object, id, limit(max)],
            )
        });
        Ok(page.await?)
    }

    async fn counts(&self) -> Result<BTreeMap<FailureKind, u64>, StoreError> {
        let counts = self.0.run(|tx| {
            let mut select = tx
                .db
                .prepare_cached("SELECT kind, count(*) FROM parked GROUP BY kind")?;
            let mut rows = select.query([])?;
            let mut counts = BTreeMap::new();
            while let Some(row) = rows.next()? {
                counts.insert(of_doc(&row.get::<_, String>(0)?)?, of_sql(row.get(1)?));
            }
            Ok(counts)
        });
        Ok(counts.await?)
    }

    async fn take_due(&self, now: Timestamp, max: usize) -> Result<Vec<Parked>, StoreError> {
        let taken = self.0.run(move |tx| {
            let mut due = select(
                tx,
                "SELECT doc FROM parked WHERE retry_at <= ?1
                 ORDER BY retry_at, object, id LIMIT ?2",
                params![now.as_micros(), limit(max)],
            )?;
            for record in &mut due {
                record.retries = record.retries.saturating_add(1);
                record.retry_at = retry_delay(record.retries).map(|delay| now.after(delay));
                put(tx, record)?;
            }
            Ok(due)
        });
        Ok(taken.await?)
    }
}

/// The object's place in the dependency order, the order of the list.
fn place(object: ObjectKind) -> i64 {
    object as i64
}

fn get(tx: &Tx<'_>, object: ObjectKind, id: &SalesforceId) -> Result<Option<Parked>, Fault> {
    let doc: Option<String> = tx
        .db
        .prepare_cached("SELECT doc FROM parked WHERE object = ?1 AND id = ?2")?
        .query_row(params![place(object), id.as_str()], |row| row.get(0))
        .optional()?;
    doc.as_deref().map(of_doc).transpose()
}

fn put(tx: &Tx<'_>, record: &Parked) -> Result<(), Fault> {
    let parent = record.parent.as_ref();
    tx.db
        .prepare_cached(
            "INSERT OR REPLACE INTO parked
             (object, id, kind, parent_object, parent_id, retry_at, doc)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            place(record.object),
            record.id.as_str(),
            to_doc(&record.kind)?,
            parent.map(|(object, _)| place(*object)),
            parent.map(|(_, id)| id.as_str()),
            record.retry_at.map(Timestamp::as_micros),
            to_doc(record)?
        ])?;
    Ok(())
}

fn remove(tx: &Tx<'_>, object: ObjectKind, id: &SalesforceId) -> Result<(), Fault> {
    tx.db
        .prepare_cached("DELETE FROM parked WHERE object = ?1 AND id = ?2")?
        .execute(params![place(object), id.as_str()])?;
    Ok(())
}

fn select(tx: &Tx<'_>, sql: &str, params: impl Params) -> Result<Vec<Parked>, Fault> {
    let mut select = tx.db.prepare_cached(sql)?;
    let mut rows = select.query(params)?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        records.push(of_doc(&row.get::<_, String>(0)?)?);
    }
    Ok(records)
}
