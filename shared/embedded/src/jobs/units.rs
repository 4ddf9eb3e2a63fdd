//! The units of a job: counted once, abandoned, missing.

use domain::Timestamp;
use domain::job::{Job, JobId, SalesforceStatus};
use domain::tally::Tally;
use domain::unit::UnitCopy;
use ports::stores::{Sending, Standing};
use rusqlite::{OptionalExtension, params};

use super::row;
use crate::core::{Fault, Tx, of_sql, to_sql};

/// The next unit of a live job, in doubt from now on.
pub(super) fn open_live(tx: &Tx<'_>, id: &JobId, at: Timestamp) -> Result<u64, Fault> {
    row::create(tx, &Job::of_lost_history(id, at))?;
    let units: i64 = tx
        .db
        .prepare_cached(
            "UPDATE jobs SET units = units + 1,
             last_advanced = max(coalesce(last_advanced, ?2), ?2)
             WHERE id = ?1 RETURNING units",
        )?
        .query_row(params![id.as_str(), at.as_micros()], |row| row.get(0))?;
    tx.db
        .prepare_cached("INSERT OR REPLACE INTO in_doubt (only, job, unit) VALUES (1, ?1, ?2)")?
        .execute(params![id.as_str(), units - 1])?;
    Ok(of_sql(units - 1))
}

/// The live unit in doubt is given up, unless it has been counted.
pub(super) fn abandon_live(tx: &Tx<'_>) -> Result<(), Fault> {
    let doubt: Option<(String, i64)> = tx
        .db
        .prepare_cached("SELECT job, unit FROM in_doubt")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((job, unit)) = doubt {
        abandon(tx, &JobId::of(&job), &[of_sql(unit)])?;
    }
    no_doubt(tx)
}

/// No live unit is in doubt any more.
pub(super) fn no_doubt(tx: &Tx<'_>) -> Result<(), Fault> {
    tx.db.prepare_cached("DELETE FROM in_doubt")?.execute([])?;
    Ok(())
}

/// How things stand with a unit.
pub(super) fn standing(tx: &Tx<'_>, id: &JobId, index: u64, step: u32) -> Result<Standing, Fault> {
    Ok(Standing {
        cancelled: is_cancelled(tx, id)?,
        counted: is_counted(tx, id, index)?,
        superseded: sent(tx, id, index)?.is_some_and(|sent| sent.step >= step),
    })
}

fn is_counted(tx: &Tx<'_>, id: &JobId, index: u64) -> Result<bool, Fault> {
    Ok(tx
        .db
        .prepare_cached("SELECT 1 FROM counted WHERE job = ?1 AND unit = ?2")?
        .exists(params![id.as_str(), to_sql(index)])?)
}

fn is_cancelled(tx: &Tx<'_>, id: &JobId) -> Result<bool, Fault> {
    let status: Option<String> = tx
        .db
        .prepare_cached("SELECT salesforce FROM jobs WHERE id = ?1")?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?;
    Ok(status.as_deref() == Some(SalesforceStatus::Cancelled.name()))
}

/// The copy of a unit that is being sent.
fn sent(tx: &Tx<'_>, id: &JobId, index: u64) -> Result<Option<UnitCopy>, Fault> {
    Ok(tx
        .db
        .prepare_cached("SELECT step, copy FROM sendings WHERE job = ?1 AND unit = ?2")?
        .query_row(params![id.as_str(), to_sql(index)], |row| {
            Ok(UnitCopy {
                step: row.get(0)?,
                content: Some(row.get(1)?),
            })
        })
        .optional()?)
}

/// Whether the copy that is being sent leaves nothing to do for this one.
fn supersedes(sent: &UnitCopy, copy: &UnitCopy) -> bool {
    sent.step > copy.step || (sent.step == copy.step && sent.content != copy.content)
}

/// Whether a copy may be sent, in one step with taking note that it will be.
pub(super) fn begin_sending(
    tx: &Tx<'_>,
    id: &JobId,
    index: u64,
    copy: &UnitCopy,
    take: bool,
) -> Result<Sending, Fault> {
    if is_counted(tx, id, index)? {
        return Ok(Sending::Counted);
    }
    match sent(tx, id, index)? {
        Some(sent) if sent == *copy => return Ok(Sending::Again),
        Some(sent) if supersedes(&sent, copy) => return Ok(Sending::Superseded),
        _ => {}
    }
    if is_cancelled(tx, id)? {
        return Ok(Sending::Cancelled);
    }
    if take {
        tx.db
            .prepare_cached(
                "INSERT OR REPLACE INTO sendings (job, unit, step, copy) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                id.as_str(),
                to_sql(index),
                copy.step,
                copy.content.as_deref().unwrap_or_default()
            ])?;
    }
    Ok(Sending::First)
}

/// No copy of the unit is being sent.
pub(super) fn forget_sending(tx: &Tx<'_>, id: &JobId, index: u64) -> Result<(), Fault> {
    tx.db
        .prepare_cached("DELETE FROM sendings WHERE job = ?1 AND unit = ?2")?
        .execute(params![id.as_str(), to_sql(index)])?;
    Ok(())
}

/// Gives up announced units that are not counted.
pub(super) fn abandon(tx: &Tx<'_>, id: &JobId, indices: &[u64]) -> Result<(), Fault> {
    let mut abandon = tx.db.prepare_cached(
        "INSERT OR IGNORE INTO abandoned (job, unit)
         SELECT id, ?2 FROM jobs WHERE id = ?1 AND ?2 < units
         AND NOT EXISTS (SELECT 1 FROM counted WHERE job = ?1 AND unit = ?2)",
    )?;
    let mut new = 0;
    for index in indices {
        new += abandon.execute(params![id.as_str(), to_sql(*index)])?;
    }
    tx.db
        .prepare_cached("UPDATE jobs SET abandoned = abandoned + ?2 WHERE id = ?1")?
        .execute(params![id.as_str(), i64::try_from(new).unwrap_or(i64::MAX)])?;
    Ok(())
}

/// Counts a unit, once.
pub(super) fn count(
    tx: &Tx<'_>,
    (id, index): (&JobId, u64),
    copy: Option<&UnitCopy>,
    tally: &Tally,
    at: Timestamp,
) -> Result<bool, Fault> {
    if let (Some(copy), Some(sent)) = (copy, sent(tx, id, index)?)
        && supersedes(&sent, copy)
    {
        return Ok(false);
    }
    forget_sending(tx, id, index)?;
    let index = to_sql(index);
    let new = tx
        .db
        .prepare_cached("INSERT OR IGNORE INTO counted (job, unit) VALUES (?1, ?2)")?
        .execute(params![id.as_str(), index])?;
    if new == 0 {
        return Ok(false);
    }
    row::create(tx, &Job::of_lost_history(id, at))?;
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
    row::add(tx, id, tally)?;
    Ok(true)
}

/// Published units of which nothing is known, ascending.
pub(super) fn missing(tx: &Tx<'_>, id: &JobId, max: usize) -> Result<Vec<u64>, Fault> {
    let next: Option<i64> = tx
        .db
        .prepare_cached(
            "SELECT CASE kind WHEN 'live' THEN units ELSE next_index END FROM jobs WHERE id = ?1",
        )?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?;
    let next = next.map_or(0, of_sql);
    let mut known = tx.db.prepare_cached(
        "SELECT unit FROM counted WHERE job = ?1 UNION SELECT unit FROM abandoned WHERE job = ?1
         ORDER BY unit",
    )?;
    let mut known = known.query([id.as_str()])?;
    let mut missing = Vec::new();
    let mut expected = 0;
    while expected < next && missing.len() < max {
        // Past the last row that is known, everything is missing.
        let found = match known.next()? {
            Some(row) => of_sql(row.get(0)?).min(next),
            None => next,
        };
        missing.extend((expected..found).take(max - missing.len()));
        expected = found + 1;
    }
    Ok(missing)
}
