//! Parked records.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::failure::{FailureKind, retry_delay};
use domain::job::{Job, JobId};
use domain::parked::{Dismissal, Parked};
use domain::{ObjectKind, SalesforceId, Timestamp, Version};
use ports::stores::{ParkedFilter, ParkedStore, StoreError};
use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Params, params};

use crate::core::{Fault, Tx, limit, of_doc, of_sql, to_doc};
use crate::jobs;
use crate::stores::Tables;

/// Children that one step looks at.
const RELEASED_AT_ONCE: usize = 1_000;

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
                    record.released = before.released;
                    record.retry_at = record.retry_at.and_then(|asked| {
                        let goes_on = retry_delay(before.retries).map(|_delay| asked);
                        before.retry_at.or(goes_on)
                    });
                    if before.version == record.version && before.dismissed.is_some() {
                        record.dismissed = before.dismissed;
                        record.retry_at = None;
                    }
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
        let parents = records.to_owned();
        self.0.run(move |tx| remove(tx, &parents, version)).await?;
        let mut released = 0;
        // A parent may have any number of children; nobody waits long behind one step. What is not
        // released when this ends in between is, when the acceptance is repeated.
        let mut from = Some((0, None));
        while let Some(begin) = from {
            let parents = records.to_owned();
            let step = self.0.run(move |tx| release(tx, &parents, begin, now));
            let (some, next) = step.await?;
            released += some;
            from = next;
        }
        Ok(released)
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

    async fn get(
        &self,
        object: ObjectKind,
        id: &SalesforceId,
    ) -> Result<Option<Parked>, StoreError> {
        let id = *id;
        Ok(self.0.run(move |tx| get(tx, object, &id)).await?)
    }

    async fn list(
        &self,
        filter: &ParkedFilter,
        after: Option<(ObjectKind, SalesforceId)>,
        max: usize,
    ) -> Result<Vec<Parked>, StoreError> {
        let (sql, values) = statement(filter, after, max)?;
        let page = self
            .0
            .run(move |tx| select(tx, &sql, rusqlite::params_from_iter(values)));
        Ok(page.await?)
    }

    async fn counts(&self) -> Result<BTreeMap<FailureKind, u64>, StoreError> {
        let counts = self.0.run(|tx| {
            let mut select = tx.db.prepare_cached(
                "SELECT kind, count(*) FROM parked WHERE dismissed = 0 GROUP BY kind",
            )?;
            let mut rows = select.query([])?;
            let mut counts = BTreeMap::new();
            while let Some(row) = rows.next()? {
                counts.insert(of_doc(&row.get::<_, String>(0)?)?, of_sql(row.get(1)?));
            }
            Ok(counts)
        });
        Ok(counts.await?)
    }

    async fn take_due(&self, now: Timestamp, max: usize) -> Result<Option<Job>, StoreError> {
        let taken = self.0.run(move |tx| {
            let mut due = select(
                tx,
                "SELECT doc FROM parked WHERE retry_at <= ?1
                 ORDER BY retry_at, object, id LIMIT ?2",
                params![now.as_micros(), limit(max)],
            )?;
            if due.is_empty() {
                return Ok(None);
            }
            for record in &mut due {
                record.retries = record.retries.saturating_add(1);
                record.retry_at = retry_delay(record.retries).map(|delay| now.after(delay));
                put(tx, record)?;
            }
            // With the retries, because the same records may be due again at the same time.
            let names = due
                .iter()
                .map(|record| (record.id, record.retries))
                .collect::<Vec<_>>();
            let name = format!("retry at {} of {names:?}", now.as_micros());
            let records = due.iter().map(Parked::record).collect();
            let job = Job::retry(records, &name, now);
            jobs::create(tx, &job)?;
            Ok(Some(job))
        });
        Ok(taken.await?)
    }

    async fn retry(
        &self,
        records: &[(ObjectKind, SalesforceId)],
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let records = records.to_owned();
        let found = self.0.run(move |tx| {
            change(tx, &records, |record| {
                record.dismissed = None;
                record.retry_at = Some(now);
            })
        });
        Ok(found.await?)
    }

    async fn dismiss(
        &self,
        records: &[(ObjectKind, SalesforceId)],
        dismissal: &Dismissal,
    ) -> Result<u64, StoreError> {
        let records = records.to_owned();
        let dismissal = dismissal.clone();
        let found = self.0.run(move |tx| {
            change(tx, &records, |record| {
                record.dismissed = Some(dismissal.clone());
                record.retry_at = None;
            })
        });
        Ok(found.await?)
    }
}

/// Where to go on among the children of several parents: the parent's place, and the child after
/// which.
type From = (usize, Option<(ObjectKind, SalesforceId)>);

/// Releases open entries that wait for one of these records, until it has looked at
/// [`RELEASED_AT_ONCE`]. How many, and where to go on if there may be more.
fn release(
    tx: &Tx<'_>,
    parents: &[(ObjectKind, SalesforceId)],
    (first, mut after): From,
    now: Timestamp,
) -> Result<(u64, Option<From>), Fault> {
    let (mut released, mut looked) = (0, 0);
    for (number, parent) in parents.iter().enumerate().skip(first) {
        let (after_object, after_id) = after_place(after.take());
        let children = select(
            tx,
            "SELECT doc FROM parked
             WHERE parent_object = ?1 AND parent_id = ?2 AND dismissed = 0
             AND (object, id) > (?3, ?4) ORDER BY object, id LIMIT ?5",
            params![
                place(parent.0),
                parent.1.as_str(),
                after_object,
                after_id,
                limit(RELEASED_AT_ONCE - looked)
            ],
        )?;
        looked += children.len();
        let last = children.last().map(Parked::record);
        for mut child in children {
            let due = child.retry_at;
            let is_released = child.release(*parent, now);
            if is_released || child.retry_at != due {
                put(tx, &child)?;
            }
            released += u64::from(is_released);
        }
        if looked == RELEASED_AT_ONCE {
            return Ok((released, Some((number, last))));
        }
    }
    Ok((released, None))
}

/// Changes the entries of these records: how many there are, each once.
fn change(
    tx: &Tx<'_>,
    records: &[(ObjectKind, SalesforceId)],
    change: impl Fn(&mut Parked),
) -> Result<u64, Fault> {
    let mut found = 0;
    for (object, id) in records.iter().collect::<std::collections::BTreeSet<_>>() {
        if let Some(mut record) = get(tx, *object, id)? {
            change(&mut record);
            put(tx, &record)?;
            found += 1;
        }
    }
    Ok(found)
}

/// The statement that lists what matches, with its values.
fn statement(
    filter: &ParkedFilter,
    after: Option<(ObjectKind, SalesforceId)>,
    max: usize,
) -> Result<(String, Vec<Value>), StoreError> {
    let mut conditions = Vec::new();
    let mut values = Vec::new();
    let mut and = |condition: &str, value: Value| {
        values.push(value);
        conditions.push(format!("{condition} ?{}", values.len()));
    };
    if let Some(object) = filter.object {
        and("object =", Value::Integer(place(object)));
    }
    if let Some(kind) = filter.kind {
        and("kind =", Value::Text(to_doc(&kind)?));
    }
    if let Some((object, id)) = &filter.parent {
        and("parent_object =", Value::Integer(place(*object)));
        and("parent_id =", Value::Text(id.as_str().to_owned()));
    }
    if let Some(job) = &filter.job {
        and("job =", Value::Text(job.as_str().to_owned()));
    }
    if let Some(dismissed) = filter.dismissed {
        and("dismissed =", Value::Integer(dismissed.into()));
    }
    let (object, id) = after_place(after);
    conditions.push(format!(
        "(object, id) > (?{}, ?{})",
        values.len() + 1,
        values.len() + 2
    ));
    values.extend([
        Value::Integer(object),
        Value::Text(id),
        Value::Integer(limit(max)),
    ]);
    let sql = format!(
        "SELECT doc FROM parked WHERE {} ORDER BY object, id LIMIT ?{}",
        conditions.join(" AND "),
        values.len()
    );
    Ok((sql, values))
}

/// The place and id that all entries after the given one lie behind.
fn after_place(after: Option<(ObjectKind, SalesforceId)>) -> (i64, String) {
    after.map_or((-1, String::new()), |(object, id)| {
        (place(object), id.as_str().to_owned())
    })
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
             (object, id, kind, version, parent_object, parent_id, retry_at, job, dismissed, doc)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            place(record.object),
            record.id.as_str(),
            to_doc(&record.kind)?,
            record.version.time().as_micros(),
            parent.map(|(object, _)| place(*object)),
            parent.map(|(_, id)| id.as_str()),
            record.retry_at.map(Timestamp::as_micros),
            record.job.as_ref().map(JobId::as_str),
            record.dismissed.is_some(),
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
