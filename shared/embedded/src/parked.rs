//! Parked records.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::failure::{FailureKind, retry_delay};
use domain::parked::Parked;
use domain::{ObjectKind, SalesforceId, Timestamp, Version};
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
                    if before.version > record.version {
                        continue;
                    }
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
        version: Version,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let records = records.to_owned();
        let released = self.0.run(move |tx| {
            remove(tx, &records, version)?;
            let mut released = 0;
            for (object, id) in &records {
                let children = select(
                    tx,
                    "SELECT doc FROM parked WHERE parent_object = ?1 AND parent_id = ?2",
                    params![place(*object), id.as_str()],
                )?;
                for mut child in children {
                    child.parent = None;
                    child.retry_at = Some(now);
                    put(tx, &child)?;
                    released += 1;
                }
            }
            Ok(released)
        });
        Ok(released.await?)
    }

    async fn clear(
        &self,
        records: &[(ObjectKind, SalesforceId)],
        version: Version,
    ) -> Result<(), StoreError> {
        let records = records.to_owned();
        let cleared = self.0.run(move |tx| remove(tx, &records, version));
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
             (object, id, kind, version, parent_object, parent_id, retry_at, doc)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            place(record.object),
            record.id.as_str(),
            to_doc(&record.kind)?,
            record.version.time().as_micros(),
            parent.map(|(object, _)| place(*object)),
            parent.map(|(_, id)| id.as_str()),
            record.retry_at.map(Timestamp::as_micros),
            to_doc(record)?
        ])?;
    Ok(())
}

/// Removes the entries of these records that are not newer than the version.
fn remove(
    tx: &Tx<'_>,
    records: &[(ObjectKind, SalesforceId)],
    version: Version,
) -> Result<(), Fault> {
    let mut remove = tx
        .db
        .prepare_cached("DELETE FROM parked WHERE object = ?1 AND id = ?2 AND version <= ?3")?;
    for (object, id) in records {
        remove.execute(params![
            place(*object),
            id.as_str(),
            version.time().as_micros()
        ])?;
    }
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
