//! A job as a row, with its sums in rows of their own.

use domain::job::{Job, JobId, JobKind, SalesforceStatus};
use domain::tally::{Count, Tally};
use domain::{ObjectKind, Timestamp};
use ports::stores::StoreError;
use rusqlite::{Params, Row, params};

use crate::core::{Fault, Tx, of_doc, of_sql, to_doc, to_sql};

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
            "INSERT INTO jobs (id, kind, scope, requested, started, sealed, ended, salesforce,
             progress, next_index, announced, units, counted, abandoned, last_advanced,
             last_counted, paused, paused_for, resumed, error)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,
             ?18, ?19, ?20)",
        )?
        .execute(params![
            job.id.as_str(),
            job.kind.name(),
            to_doc(&job.scope)?,
            job.requested.as_micros(),
            job.started.map(Timestamp::as_micros),
            job.sealed.map(Timestamp::as_micros),
            job.ended.map(Timestamp::as_micros),
            job.salesforce.name(),
            to_doc(&job.progress)?,
            to_sql(job.progress.next_index),
            to_sql(job.progress.announced),
            to_sql(job.units),
            to_sql(job.counted),
            to_sql(job.abandoned),
            job.last_advanced.map(Timestamp::as_micros),
            job.last_counted.map(Timestamp::as_micros),
            job.paused.as_ref().map(to_doc).transpose()?,
            micros(job.paused_for),
            job.resumed.map(Timestamp::as_micros),
            job.error
        ])?;
    add(tx, &job.id, &job.tally)
}

/// Adds to a job's sums.
pub(super) fn add(tx: &Tx<'_>, id: &JobId, tally: &Tally) -> Result<(), Fault> {
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

/// The jobs that the rest of the statement names.
pub(super) fn select(tx: &Tx<'_>, which: &str, params: impl Params) -> Result<Vec<Job>, Fault> {
    let mut select = tx.db.prepare_cached(&format!(
        "SELECT id, kind, scope, requested, started, sealed, ended, salesforce, progress, units,
         counted, abandoned, last_advanced, last_counted, paused, paused_for, resumed, error
         FROM jobs {which}"
    ))?;
    let mut rows = select.query(params)?;
    let mut jobs = Vec::new();
    while let Some(row) = rows.next()? {
        jobs.push(job(tx, row)?);
    }
    Ok(jobs)
}

/// One job.
pub(super) fn get(tx: &Tx<'_>, id: &JobId) -> Result<Option<Job>, Fault> {
    Ok(select(tx, "WHERE id = ?1", [id.as_str()])?
        .into_iter()
        .next())
}

/// A duration as it is stored.
pub(super) fn micros(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn job(tx: &Tx<'_>, row: &Row<'_>) -> Result<Job, Fault> {
    let id = JobId::of(&row.get::<_, String>("id")?);
    let corrupt = |what: String| Fault(StoreError::Corrupt(format!("{id}: {what}")));
    let kind: String = row.get("kind")?;
    let kind = JobKind::of_name(&kind).ok_or_else(|| corrupt(format!("kind {kind}")))?;
    let status: String = row.get("salesforce")?;
    let salesforce =
        SalesforceStatus::of_name(&status).ok_or_else(|| corrupt(format!("status {status}")))?;
    let paused: Option<String> = row.get("paused")?;
    let time = |column: &str| -> rusqlite::Result<Option<Timestamp>> {
        Ok(row
            .get::<_, Option<i64>>(column)?
            .map(Timestamp::from_micros))
    };
    let number = |column: &str| -> rusqlite::Result<u64> { Ok(of_sql(row.get(column)?)) };
    Ok(Job {
        tally: tally(tx, &id)?,
        kind,
        scope: of_doc(&row.get::<_, String>("scope")?)?,
        requested: Timestamp::from_micros(row.get("requested")?),
        started: time("started")?,
        sealed: time("sealed")?,
        ended: time("ended")?,
        salesforce,
        progress: of_doc(&row.get::<_, String>("progress")?)?,
        units: number("units")?,
        counted: number("counted")?,
        abandoned: number("abandoned")?,
        last_advanced: time("last_advanced")?,
        last_counted: time("last_counted")?,
        paused: paused.as_deref().map(of_doc).transpose()?,
        paused_for: std::time::Duration::from_micros(number("paused_for")?),
        resumed: time("resumed")?,
        error: row.get("error")?,
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
