//! Jobs: one row each, their sums in rows of their own, and a row for every unit that was counted
//! or abandoned.

use async_trait::async_trait;
use domain::job::{Job, JobId, Progress, SalesforceStatus};
use domain::tally::{Count, Tally};
use domain::{ObjectKind, SalesforceId, Timestamp};
use ports::stores::{JobStore, StoreError};
use rusqlite::{OptionalExtension, Params, Row, params};

use crate::core::{Fault, Tx, limit, of_doc, of_sql, to_doc, to_sql};
use crate::stores::Tables;

#[async_trait]
impl JobStore for Tables {
    async fn create(&self, job: &Job) -> Result<(), StoreError> {
        let job = job.clone();
        Ok(self.0.run(move |tx| create(tx, &job)).await?)
    }

    async fn get(&self, id: &JobId) -> Result<Option<Job>, StoreError> {
        let id = id.clone();
        let found = self.0.run(move |tx| {
            Ok(select(tx, "WHERE id = ?1", [id.as_str()])?
                .into_iter()
                .next())
        });
        Ok(found.await?)
    }

    async fn list(&self, max: usize) -> Result<Vec<Job>, StoreError> {
        let jobs = self.0.run(move |tx| {
            select(
                tx,
                "ORDER BY requested DESC, rowid DESC LIMIT ?1",
                [limit(max)],
            )
        });
        Ok(jobs.await?)
    }

    async fn unfinished(&self) -> Result<Vec<Job>, StoreError> {
        let jobs = self.0.run(|tx| {
            // What the query leaves out is over by its columns alone.
            let mut jobs = select(
                tx,
                "WHERE salesforce < ?1 OR (salesforce = ?1 AND units > counted + abandoned)
                 ORDER BY requested, rowid",
                [rank(SalesforceStatus::Sealed)],
            )?;
            jobs.retain(|job| !job.is_over());
            Ok(jobs)
        });
        Ok(jobs.await?)
    }

    async fn open_live_unit(&self, id: &JobId, at: Timestamp) -> Result<u64, StoreError> {
        let id = id.clone();
        let index = self.0.run(move |tx| {
            create(tx, &Job::of_lost_history(&id, at))?;
            let units: i64 = tx
                .db
                .prepare_cached("UPDATE jobs SET units = units + 1 WHERE id = ?1 RETURNING units")?
                .query_row([id.as_str()], |row| row.get(0))?;
            tx.db
                .prepare_cached(
                    "INSERT OR REPLACE INTO in_doubt (only, job, unit) VALUES (1, ?1, ?2)",
                )?
                .execute(params![id.as_str(), units - 1])?;
            Ok(of_sql(units - 1))
        });
        Ok(index.await?)
    }

    async fn confirm_live_units(&self) -> Result<(), StoreError> {
        Ok(self.0.run(no_doubt).await?)
    }

    async fn abandon_live_units(&self) -> Result<(), StoreError> {
        let abandoned = self.0.run(|tx| {
            let abandoned: Option<String> = tx
                .db
                .prepare_cached(
                    "INSERT OR IGNORE INTO abandoned (job, unit) SELECT job, unit FROM in_doubt
                     WHERE (job, unit) NOT IN (SELECT job, unit FROM counted)
                     RETURNING job",
                )?
                .query_row([], |row| row.get(0))
                .optional()?;
            if let Some(job) = abandoned {
                tx.db
                    .prepare_cached("UPDATE jobs SET abandoned = abandoned + 1 WHERE id = ?1")?
                    .execute([job])?;
            }
            no_doubt(tx)
        });
        Ok(abandoned.await?)
    }

    async fn advance(
        &self,
        id: &JobId,
        progress: &Progress,
        _at: Timestamp,
    ) -> Result<(), StoreError> {
        let id = id.clone();
        let progress = progress.clone();
        let advanced = self.0.run(move |tx| {
            tx.db
                .prepare_cached(
                    "UPDATE jobs SET after = ?2, next_index = ?3, units = max(units, ?3)
                     WHERE id = ?1",
                )?
                .execute(params![
                    id.as_str(),
                    progress.after.map(|after| after.as_str().to_owned()),
                    to_sql(progress.next_index)
                ])?;
            Ok(())
        });
        Ok(advanced.await?)
    }

    async fn set_salesforce(
        &self,
        id: &JobId,
        status: SalesforceStatus,
        at: Timestamp,
        error: Option<&str>,
    ) -> Result<(), StoreError> {
        let id = id.clone();
        let error = error.map(str::to_owned);
        let set = self.0.run(move |tx| {
            let (started, sealed) = match status {
                SalesforceStatus::Queued | SalesforceStatus::Failed => (None, None),
                SalesforceStatus::Extracting => (Some(at.as_micros()), None),
                SalesforceStatus::Sealed => (None, Some(at.as_micros())),
            };
            tx.db
                .prepare_cached(
                    "UPDATE jobs SET salesforce = ?2, started = coalesce(started, ?3),
                     sealed = coalesce(sealed, ?4), error = coalesce(?5, error)
                     WHERE id = ?1 AND salesforce < ?2 AND salesforce < ?6",
                )?
                .execute(params![
                    id.as_str(),
                    rank(status),
                    started,
                    sealed,
                    error,
                    rank(SalesforceStatus::Sealed)
                ])?;
            Ok(())
        });
        Ok(set.await?)
    }

    async fn count(
        &self,
        id: &JobId,
        index: u64,
        tally: &Tally,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let id = id.clone();
        let tally = tally.clone();
        Ok(self
            .0
            .run(move |tx| count(tx, &id, to_sql(index), &tally, at))
            .await?)
    }
}

fn no_doubt(tx: &Tx<'_>) -> Result<(), Fault> {
    tx.db.prepare_cached("DELETE FROM in_doubt")?.execute([])?;
    Ok(())
}

fn count(tx: &Tx<'_>, id: &JobId, index: i64, tally: &Tally, at: Timestamp) -> Result<bool, Fault> {
    let new = tx
        .db
        .prepare_cached("INSERT OR IGNORE INTO counted (job, unit) VALUES (?1, ?2)")?
        .execute(params![id.as_str(), index])?;
    if new == 0 {
        return Ok(false);
    }
    create(tx, &Job::of_lost_history(id, at))?;
    let was_abandoned = tx
        .db
        .prepare_cached("DELETE FROM abandoned WHERE job = ?1 AND unit = ?2")?
        .execute(params![id.as_str(), index])?
        > 0;
    tx.db
        .prepare_cached(
            "UPDATE jobs SET counted = counted + 1,
             last_counted = max(coalesce(last_counted, ?3), ?3),
             abandoned = abandoned - ?2
             WHERE id = ?1",
        )?
        .execute(params![id.as_str(), was_abandoned, at.as_micros()])?;
    add(tx, id, tally)?;
    Ok(true)
}

/// Adds a job unless there is one of that id.
pub(crate) fn create(tx: &Tx<'_>, job: &Job) -> Result<(), Fault> {
    let known = tx
        .db
        .prepare_cached("SELECT 1 FROM jobs WHERE id = ?1")?
        .exists([job.id.as_str()])?;
    if known {
        return Ok(());
    }
    tx.db
        .prepare_cached(
            "INSERT INTO jobs (id, kind, scope, requested, started, sealed, salesforce, after,
             next_index, units, counted, abandoned, last_counted, error)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        )?
        .execute(params![
            job.id.as_str(),
            job.kind.name(),
            to_doc(&job.scope)?,
            job.requested.as_micros(),
            job.started.map(Timestamp::as_micros),
            job.sealed.map(Timestamp::as_micros),
            rank(job.salesforce),
            job.progress.after.map(|after| after.as_str().to_owned()),
            to_sql(job.progress.next_index),
            to_sql(job.units),
            to_sql(job.counted),
            to_sql(job.abandoned),
            job.last_counted.map(Timestamp::as_micros),
            job.error
        ])?;
    add(tx, &job.id, &job.tally)
}

fn add(tx: &Tx<'_>, id: &JobId, tally: &Tally) -> Result<(), Fault> {
    let mut add = tx.db.prepare_cached(
        "INSERT INTO tallies (job, object, count, records) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (job, object, count) DO UPDATE SET records = records + excluded.records",
    )?;
    for (object, count, records) in tally.iter() {
        add.execute(params![
            id.as_str(),
            object as i64,
            count.name(),
            to_sql(records)
        ])?;
    }
    Ok(())
}

/// Queued, extracting, then one of the two ends: a status moves only to a higher rank.
fn rank(status: SalesforceStatus) -> i64 {
    match status {
        SalesforceStatus::Queued => 0,
        SalesforceStatus::Extracting => 1,
        SalesforceStatus::Sealed => 2,
        SalesforceStatus::Failed => 3,
    }
}

fn of_rank(rank: i64) -> SalesforceStatus {
    match rank {
        0 => SalesforceStatus::Queued,
        1 => SalesforceStatus::Extracting,
        2 => SalesforceStatus::Sealed,
        _ => SalesforceStatus::Failed,
    }
}

fn select(tx: &Tx<'_>, which: &str, params: impl Params) -> Result<Vec<Job>, Fault> {
    let mut select = tx.db.prepare_cached(&format!(
        "SELECT id, kind, scope, requested, started, sealed, salesforce, after, next_index, units,
         counted, abandoned, last_counted, error FROM jobs {which}"
    ))?;
    let mut rows = select.query(params)?;
    let mut jobs = Vec::new();
    while let Some(row) = rows.next()? {
        jobs.push(job(tx, row)?);
    }
    Ok(jobs)
}

fn job(tx: &Tx<'_>, row: &Row<'_>) -> Result<Job, Fault> {
    let id = JobId::of(&row.get::<_, String>(0)?);
    let kind = of_doc(&format!("\"{}\"", row.get::<_, String>(1)?))?;
    let after: Option<String> = row.get(7)?;
    let time = |column| -> rusqlite::Result<Option<Timestamp>> {
        Ok(row
            .get::<_, Option<i64>>(column)?
            .map(Timestamp::from_micros))
    };
    Ok(Job {
        tally: tally(tx, &id)?,
        kind,
        scope: of_doc(&row.get::<_, String>(2)?)?,
        requested: Timestamp::from_micros(row.get(3)?),
        started: time(4)?,
        sealed: time(5)?,
        salesforce: of_rank(row.get(6)?),
        progress: Progress {
            after: after
                .map(|after| SalesforceId::parse(&after))
                .transpose()
                .map_err(|fault| StoreError::Corrupt(format!("{id}: {fault}")))?,
            next_index: of_sql(row.get(8)?),
        },
        units: of_sql(row.get(9)?),
        counted: of_sql(row.get(10)?),
        abandoned: of_sql(row.get(11)?),
        last_counted: time(12)?,
        error: row.get(13)?,
        id,
    })
}

fn tally(tx: &Tx<'_>, id: &JobId) -> Result<Tally, Fault> {
    let mut select = tx
        .db
        .prepare_cached("SELECT object, count, records FROM tallies WHERE job = ?1")?;
    let mut rows = select.query([id.as_str()])?;
    let mut tally = Tally::default();
    while let Some(row) = rows.next()? {
        let (object, count): (i64, String) = (row.get(0)?, row.get(1)?);
        let object = ObjectKind::ALL
            .into_iter()
            .find(|kind| *kind as i64 == object);
        let (Some(object), Some(count)) = (object, Count::of_name(&count)) else {
            return Err(StoreError::Corrupt(format!("{id}: a count named {count}")).into());
        };
        tally.add_many(object, count, of_sql(row.get(2)?));
    }
    Ok(tally)
}
