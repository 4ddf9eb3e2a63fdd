//! Jobs: one row each, their sums in rows of their own, and a row for every unit that was counted
//! or abandoned.

mod row;
mod units;

use async_trait::async_trait;
use domain::Timestamp;
use domain::job::{
    Job, JobId, JobKind, PageRead, Pause, PausedBy, Plan, Progress, SalesforceStatus,
};
use domain::tally::Tally;
use domain::unit::UnitCopy;
use ports::stores::{HistoryPosition, JobStore, Moved, Sending, Standing, StoreError};
use rusqlite::{OptionalExtension, params};

use crate::core::{Fault, Tx, limit, of_doc, to_doc, to_sql};
use crate::stores::Tables;

pub(crate) use row::create;

/// What is over by its columns alone, but for the sums, which make no difference to that:
/// [`Job::is_over`].
const OVER: &str = "(salesforce = 'failed'
    OR (salesforce IN ('sealed', 'cancelled') AND units <= counted + abandoned))";

#[async_trait]
impl JobStore for Tables {
    async fn create(&self, job: &Job) -> Result<(), StoreError> {
        let job = job.clone();
        Ok(self.0.run(move |tx| create(tx, &job)).await?)
    }

    async fn create_unless_running(&self, job: &Job) -> Result<Job, StoreError> {
        let job = job.clone();
        let running = self.0.run(move |tx| {
            if let Some(known) = row::get(tx, &job.id)? {
                return Ok(known);
            }
            let running = row::select(
                tx,
                &format!(
                    "WHERE kind = ?1 AND salesforce <> 'cancelled' AND NOT {OVER} ORDER BY requested, id LIMIT 1"
                ),
                [job.kind.name()],
            )?;
            if let Some(running) = running.into_iter().next() {
                return Ok(running);
            }
            create(tx, &job)?;
            Ok(job)
        });
        Ok(running.await?)
    }

    async fn get(&self, id: &JobId) -> Result<Option<Job>, StoreError> {
        let id = id.clone();
        Ok(self.0.run(move |tx| row::get(tx, &id)).await?)
    }

    async fn list(&self, max: usize) -> Result<Vec<Job>, StoreError> {
        self.page(None, max).await
    }

    async fn page(
        &self,
        before: Option<HistoryPosition>,
        max: usize,
    ) -> Result<Vec<Job>, StoreError> {
        let jobs = self.0.run(move |tx| match before {
            None => row::select(
                tx,
                "ORDER BY requested DESC, id DESC LIMIT ?1",
                [limit(max)],
            ),
            Some((requested, id)) => row::select(
                tx,
                "WHERE (requested, id) < (?1, ?2) ORDER BY requested DESC, id DESC LIMIT ?3",
                params![requested.as_micros(), id.as_str(), limit(max)],
            ),
        });
        Ok(jobs.await?)
    }

    async fn newest(&self, kind: JobKind) -> Result<Option<Job>, StoreError> {
        let newest = self.0.run(move |tx| {
            row::select(
                tx,
                "WHERE kind = ?1 ORDER BY requested DESC, id DESC LIMIT 1",
                [kind.name()],
            )
        });
        Ok(newest.await?.into_iter().next())
    }

    async fn unfinished(&self) -> Result<Vec<Job>, StoreError> {
        let jobs = self
            .0
            .run(|tx| row::select(tx, &format!("WHERE NOT {OVER} ORDER BY requested, id"), []));
        Ok(jobs.await?)
    }

    async fn open_live_unit(&self, id: &JobId, at: Timestamp) -> Result<u64, StoreError> {
        let id = id.clone();
        Ok(self.0.run(move |tx| units::open_live(tx, &id, at)).await?)
    }

    async fn confirm_live_units(&self) -> Result<(), StoreError> {
        Ok(self.0.run(units::no_doubt).await?)
    }

    async fn abandon_live_units(&self) -> Result<(), StoreError> {
        Ok(self.0.run(units::abandon_live).await?)
    }

    async fn transition(
        &self,
        id: &JobId,
        to: SalesforceStatus,
        at: Timestamp,
        error: Option<&str>,
    ) -> Result<Moved, StoreError> {
        let id = id.clone();
        let error = error.map(str::to_owned);
        let moved = self
            .0
            .run(move |tx| transition(tx, &id, to, at, error.as_deref()));
        Ok(moved.await?)
    }

    async fn set_plan(&self, id: &JobId, plan: &Plan, at: Timestamp) -> Result<Moved, StoreError> {
        let (id, plan) = (id.clone(), plan.clone());
        let moved = self.0.run(move |tx| {
            let moved = match status(tx, &id)? {
                // A plan is made before anything is published.
                Some(SalesforceStatus::Sealed) => Moved::Refused(SalesforceStatus::Sealed),
                _ => transition(tx, &id, SalesforceStatus::Extracting, at, None)?,
            };
            if matches!(moved, Moved::Now | Moved::Already) {
                tx.db
                    .prepare_cached("INSERT OR REPLACE INTO plans (job, doc) VALUES (?1, ?2)")?
                    .execute([id.as_str(), &to_doc(&plan)?])?;
            }
            Ok(moved)
        });
        Ok(moved.await?)
    }

    async fn plan(&self, id: &JobId) -> Result<Option<Plan>, StoreError> {
        let id = id.clone();
        let plan = self.0.run(move |tx| {
            let doc: Option<String> = tx
                .db
                .prepare_cached("SELECT doc FROM plans WHERE job = ?1")?
                .query_row([id.as_str()], |row| row.get(0))
                .optional()?;
            doc.as_deref().map(of_doc).transpose()
        });
        Ok(plan.await?)
    }

    async fn advance(
        &self,
        id: &JobId,
        progress: &Progress,
        page: Option<&PageRead>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let (id, progress, page) = (id.clone(), progress.clone(), page.cloned());
        let advanced = self
            .0
            .run(move |tx| advance(tx, &id, &progress, page.as_ref(), at));
        Ok(advanced.await?)
    }

    async fn announce(
        &self,
        id: &JobId,
        known: u64,
        progress: &Progress,
        page: Option<&PageRead>,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let (id, progress, page) = (id.clone(), progress.clone(), page.cloned());
        let announced = self
            .0
            .run(move |tx| announce(tx, &id, known, (&progress, page.as_ref()), at));
        Ok(announced.await?)
    }

    async fn pages(&self, id: &JobId) -> Result<Vec<PageRead>, StoreError> {
        let id = id.clone();
        let pages = self.0.run(move |tx| {
            let mut select = tx
                .db
                .prepare_cached("SELECT doc FROM pages WHERE job = ?1 ORDER BY first_index")?;
            let mut rows = select.query([id.as_str()])?;
            let mut pages = Vec::new();
            while let Some(row) = rows.next()? {
                pages.push(of_doc(&row.get::<_, String>(0)?)?);
            }
            Ok(pages)
        });
        Ok(pages.await?)
    }

    async fn pause(&self, id: &JobId, pause: &Pause) -> Result<bool, StoreError> {
        let (id, pause) = (id.clone(), pause.clone());
        Ok(self.0.run(move |tx| hold(tx, &id, &pause)).await?)
    }

    async fn resume(&self, id: &JobId, by: PausedBy, at: Timestamp) -> Result<bool, StoreError> {
        let id = id.clone();
        let resumed = self.0.run(move |tx| {
            let pause = row::get(tx, &id)?.and_then(|job| job.paused);
            match pause {
                Some(pause) if by.overrules(pause.by) && pause.since <= at => {
                    lift(tx, &id, &pause, at)?;
                    Ok(true)
                }
                _ => Ok(false),
            }
        });
        Ok(resumed.await?)
    }

    async fn count(
        &self,
        id: &JobId,
        index: u64,
        copy: Option<&UnitCopy>,
        tally: &Tally,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let (id, copy, tally) = (id.clone(), copy.cloned(), tally.clone());
        let counted = self
            .0
            .run(move |tx| units::count(tx, (&id, index), copy.as_ref(), &tally, at));
        Ok(counted.await?)
    }

    async fn standing(&self, id: &JobId, index: u64, step: u32) -> Result<Standing, StoreError> {
        let id = id.clone();
        Ok(self
            .0
            .run(move |tx| units::standing(tx, &id, index, step))
            .await?)
    }

    async fn begin_sending(
        &self,
        id: &JobId,
        index: u64,
        copy: &UnitCopy,
        take: bool,
    ) -> Result<Sending, StoreError> {
        let (id, copy) = (id.clone(), copy.clone());
        let begun = self
            .0
            .run(move |tx| units::begin_sending(tx, &id, index, &copy, take));
        Ok(begun.await?)
    }

    async fn forget_sendings(&self, id: &JobId, indices: &[u64]) -> Result<(), StoreError> {
        let (id, indices) = (id.clone(), indices.to_owned());
        let forgotten = self.0.run(move |tx| {
            indices
                .iter()
                .try_for_each(|index| units::forget_sending(tx, &id, *index))
        });
        Ok(forgotten.await?)
    }

    async fn missing(&self, id: &JobId, max: usize) -> Result<Vec<u64>, StoreError> {
        let id = id.clone();
        Ok(self.0.run(move |tx| units::missing(tx, &id, max)).await?)
    }

    async fn abandon(&self, id: &JobId, indices: &[u64]) -> Result<(), StoreError> {
        let (id, indices) = (id.clone(), indices.to_owned());
        Ok(self
            .0
            .run(move |tx| units::abandon(tx, &id, &indices))
            .await?)
    }

    async fn prune(&self, ended_before: Timestamp, max: usize) -> Result<u64, StoreError> {
        Ok(self.0.run(move |tx| prune(tx, ended_before, max)).await?)
    }
}

fn status(tx: &Tx<'_>, id: &JobId) -> Result<Option<SalesforceStatus>, Fault> {
    Ok(row::get(tx, id)?.map(|job| job.salesforce))
}

fn transition(
    tx: &Tx<'_>,
    id: &JobId,
    to: SalesforceStatus,
    at: Timestamp,
    error: Option<&str>,
) -> Result<Moved, Fault> {
    use SalesforceStatus::{Cancelled, Counting, Extracting, Failed, Queued, Sealed};
    let Some(job) = row::get(tx, id)? else {
        return Ok(Moved::Unknown);
    };
    if job.salesforce == to {
        return Ok(Moved::Already);
    }
    if !job.salesforce.may_become(to) {
        return Ok(Moved::Refused(job.salesforce));
    }
    if let (true, Some(pause)) = (to.is_final(), &job.paused) {
        lift(tx, id, pause, at)?;
    }
    let (started, sealed, ended) = match to {
        Queued => (job.started, job.sealed, None),
        Counting | Extracting => (job.started.or(Some(at)), None, None),
        Sealed => (job.started, Some(at), None),
        Failed | Cancelled => (job.started, job.sealed, Some(at)),
    };
    let error = error.filter(|_| to == Failed);
    tx.db
        .prepare_cached(
            "UPDATE jobs SET salesforce = ?2, started = ?3, sealed = ?4, ended = ?5,
             error = coalesce(?6, error) WHERE id = ?1",
        )?
        .execute(params![
            id.as_str(),
            to.name(),
            started.map(Timestamp::as_micros),
            sealed.map(Timestamp::as_micros),
            ended.map(Timestamp::as_micros),
            error
        ])?;
    Ok(Moved::Now)
}

fn advance(
    tx: &Tx<'_>,
    id: &JobId,
    progress: &Progress,
    page: Option<&PageRead>,
    at: Timestamp,
) -> Result<(), Fault> {
    if row::get(tx, id)?.is_none_or(|stored| progress.is_outdated_by(&stored.progress)) {
        return Ok(());
    }
    let advanced = tx
        .db
        .prepare_cached(
            "UPDATE jobs SET progress = ?2, next_index = ?3, announced = ?4,
             units = max(units, ?4), last_advanced = max(coalesce(last_advanced, ?5), ?5)
             WHERE id = ?1 AND next_index <= ?3 AND announced <= ?4",
        )?
        .execute(params![
            id.as_str(),
            to_doc(progress)?,
            to_sql(progress.next_index),
            to_sql(progress.announced.max(progress.next_index)),
            at.as_micros()
        ])?;
    if let (1.., Some(page)) = (advanced, page) {
        tx.db
            .prepare_cached(
                "INSERT OR REPLACE INTO pages (job, first_index, doc) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![
                id.as_str(),
                to_sql(page.first_index),
                to_doc(page)?
            ])?;
    }
    Ok(())
}

/// Advances, unless another reader has announced more than this one knows.
fn announce(
    tx: &Tx<'_>,
    id: &JobId,
    known: u64,
    (progress, page): (&Progress, Option<&PageRead>),
    at: Timestamp,
) -> Result<bool, Fault> {
    let Some(stored) = row::get(tx, id)? else {
        return Ok(false);
    };
    let announced_by_another = stored.progress.announced != known && stored.progress != *progress;
    if announced_by_another || progress.is_outdated_by(&stored.progress) {
        return Ok(false);
    }
    advance(tx, id, progress, page, at)?;
    Ok(true)
}

fn hold(tx: &Tx<'_>, id: &JobId, pause: &Pause) -> Result<bool, Fault> {
    let Some(job) = row::get(tx, id)?.filter(|job| !job.is_over()) else {
        return Ok(false);
    };
    let lifted: Option<i64> = tx
        .db
        .prepare_cached("SELECT lifted FROM jobs WHERE id = ?1")?
        .query_row([id.as_str()], |row| row.get(0))?;
    if job.paused.as_ref() == Some(pause) || lifted == Some(pause.since.as_micros()) {
        // The answer to the first try was lost.
        return Ok(true);
    }
    if let Some(before) = &job.paused {
        if before.by == PausedBy::Person || !pause.by.overrules(before.by) {
            return Ok(false);
        }
        lift(tx, id, before, pause.since)?;
    }
    tx.db
        .prepare_cached("UPDATE jobs SET paused = ?2 WHERE id = ?1")?
        .execute([id.as_str(), &to_doc(pause)?])?;
    Ok(true)
}

/// Ends a pause.
fn lift(tx: &Tx<'_>, id: &JobId, pause: &Pause, at: Timestamp) -> Result<(), Fault> {
    tx.db
        .prepare_cached(
            "UPDATE jobs SET paused = NULL, paused_for = paused_for + ?2, resumed = ?3,
             lifted = ?4 WHERE id = ?1",
        )?
        .execute(params![
            id.as_str(),
            row::micros(at.since(pause.since)),
            at.as_micros(),
            pause.since.as_micros()
        ])?;
    Ok(())
}

fn prune(tx: &Tx<'_>, ended_before: Timestamp, max: usize) -> Result<u64, Fault> {
    let old: Vec<String> = tx
        .db
        .prepare_cached(&format!(
            "SELECT id FROM jobs WHERE {OVER} AND requested < ?1 AND coalesce(sealed, 0) < ?1
             AND coalesce(ended, 0) < ?1 AND coalesce(last_counted, 0) < ?1
             ORDER BY requested, id LIMIT ?2"
        ))?
        .query_map(params![ended_before.as_micros(), limit(max)], |row| {
            row.get(0)
        })?
        .collect::<rusqlite::Result<_>>()?;
    for id in &old {
        for sql in [
            "DELETE FROM jobs WHERE id = ?1",
            "DELETE FROM tallies WHERE job = ?1",
            "DELETE FROM counted WHERE job = ?1",
            "DELETE FROM abandoned WHERE job = ?1",
            "DELETE FROM sendings WHERE job = ?1",
            "DELETE FROM pages WHERE job = ?1",
            "DELETE FROM plans WHERE job = ?1",
        ] {
            tx.db.prepare_cached(sql)?.execute([id])?;
        }
    }
    Ok(u64::try_from(old.len()).unwrap_or(u64::MAX))
}
