//! The smaller stores.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use domain::job::Job;
use domain::permission::PermissionSnapshot;
use domain::settings::SettingsRevision;
use domain::{ObjectKind, Ticket, Timestamp, Version};
use ports::stores::{
    Gap, LeaseStore, PermissionStore, PollState, PositionStore, Report, ReportStore, SettingsStore,
    StoreError, StreamState, TicketStore,
};
use rusqlite::{OptionalExtension, Params, params};
use serde::de::DeserializeOwned;

use crate::core::{Core, Fault, Tx, of_doc, to_doc, to_sql};
use crate::jobs;

/// Permission snapshots that are kept.
const SNAPSHOTS: u64 = 100;
/// The stored mark of the ticket clock runs ahead by this much, so that a ticket seldom writes.
const MARK_AHEAD: Duration = Duration::from_millis(250);
/// A clock that is behind by less is let catch up while tickets count on by the microsecond; it
/// covers the mark that runs ahead over a restart.
const MAX_STEP_BACK: Duration = Duration::from_millis(500);

/// The stores of a database.
pub(crate) struct Tables(pub(crate) Arc<Core>);

fn doc<T: DeserializeOwned>(
    tx: &Tx<'_>,
    sql: &str,
    params: impl Params,
) -> Result<Option<T>, Fault> {
    let doc: Option<String> = tx
        .db
        .prepare_cached(sql)?
        .query_row(params, |row| row.get(0))
        .optional()?;
    doc.as_deref().map(of_doc).transpose()
}

fn docs<T: DeserializeOwned>(tx: &Tx<'_>, sql: &str, params: impl Params) -> Result<Vec<T>, Fault> {
    let mut select = tx.db.prepare_cached(sql)?;
    let mut rows = select.query(params)?;
    let mut docs = Vec::new();
    while let Some(row) = rows.next()? {
        docs.push(of_doc(&row.get::<_, String>(0)?)?);
    }
    Ok(docs)
}

fn mark(tx: &Tx<'_>, name: &str) -> Result<Option<Timestamp>, Fault> {
    Ok(tx
        .db
        .prepare_cached("SELECT value FROM marks WHERE name = ?1")?
        .query_row([name], |row| row.get(0).map(Timestamp::from_micros))
        .optional()?)
}

/// Moves a mark, forwards only.
fn raise(tx: &Tx<'_>, name: &str, to: Timestamp) -> Result<(), Fault> {
    tx.db
        .prepare_cached(
            "INSERT INTO marks (name, value) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)",
        )?
        .execute(params![name, to.as_micros()])?;
    Ok(())
}

#[async_trait]
impl PositionStore for Tables {
    async fn stream(&self, topic: &str) -> Result<Option<StreamState>, StoreError> {
        let topic = topic.to_owned();
        let state = self
            .0
            .run(move |tx| doc(tx, "SELECT doc FROM streams WHERE topic = ?1", [topic]));
        Ok(state.await?)
    }

    async fn store_stream(&self, topic: &str, state: &StreamState) -> Result<(), StoreError> {
        let topic = topic.to_owned();
        let state = state.clone();
        let stored = self.0.run(move |tx| {
            tx.db
                .prepare_cached("INSERT OR REPLACE INTO streams (topic, doc) VALUES (?1, ?2)")?
                .execute([topic, to_doc(&state)?])?;
            Ok(())
        });
        Ok(stored.await?)
    }

    async fn poll(&self, object: ObjectKind) -> Result<Option<PollState>, StoreError> {
        let object = object.api_name();
        let state = self
            .0
            .run(move |tx| doc(tx, "SELECT doc FROM polls WHERE object = ?1", [object]));
        Ok(state.await?)
    }

    async fn store_poll(&self, object: ObjectKind, state: &PollState) -> Result<(), StoreError> {
        let object = object.api_name();
        let state = state.clone();
        let stored = self.0.run(move |tx| {
            tx.db
                .prepare_cached("INSERT OR REPLACE INTO polls (object, doc) VALUES (?1, ?2)")?
                .execute(params![object, to_doc(&state)?])?;
            Ok(())
        });
        Ok(stored.await?)
    }

    async fn open_gap(&self, gap: &Gap, job: &Job) -> Result<(), StoreError> {
        let gap = gap.clone();
        let job = job.clone();
        let opened = self.0.run(move |tx| {
            let new = tx
                .db
                .prepare_cached("INSERT OR IGNORE INTO gaps (id, opened, doc) VALUES (?1, ?2, ?3)")?
                .execute(params![gap.id, gap.opened.as_micros(), to_doc(&gap)?])?;
            if new > 0 {
                jobs::create(tx, &job)?;
            }
            Ok(())
        });
        Ok(opened.await?)
    }

    async fn close_gap(&self, id: &str, at: Timestamp) -> Result<(), StoreError> {
        let id = id.to_owned();
        let closed = self.0.run(move |tx| {
            let gap: Option<Gap> = doc(tx, "SELECT doc FROM gaps WHERE id = ?1", [&id])?;
            if let Some(mut gap) = gap
                && gap.closed.is_none()
            {
                gap.closed = Some(at);
                tx.db
                    .prepare_cached("UPDATE gaps SET doc = ?2 WHERE id = ?1")?
                    .execute([id, to_doc(&gap)?])?;
            }
            Ok(())
        });
        Ok(closed.await?)
    }

    async fn gaps(&self) -> Result<Vec<Gap>, StoreError> {
        let gaps = self
            .0
            .run(|tx| docs(tx, "SELECT doc FROM gaps ORDER BY opened, rowid", []));
        Ok(gaps.await?)
    }

    async fn open_gaps(&self) -> Result<Vec<Gap>, StoreError> {
        let open = "SELECT doc FROM gaps WHERE json_extract(doc, '$.closed') IS NULL
                    ORDER BY opened, rowid";
        Ok(self.0.run(|tx| docs(tx, open, [])).await?)
    }

    async fn forget_gaps(&self, closed_before: Timestamp) -> Result<u64, StoreError> {
        let forgotten = self.0.run(move |tx| {
            let forgotten = tx
                .db
                .prepare_cached("DELETE FROM gaps WHERE json_extract(doc, '$.closed') < ?1")?
                .execute([closed_before.as_micros()])?;
            Ok(u64::try_from(forgotten).unwrap_or(u64::MAX))
        });
        Ok(forgotten.await?)
    }
}

#[async_trait]
impl TicketStore for Tables {
    async fn take(&self) -> Result<Ticket, StoreError> {
        let last = self.0.last_ticket();
        let ticket = self.0.run(move |tx| {
            let stored = mark(tx, "ticket")?.unwrap_or_default();
            let before = match last.load(Ordering::SeqCst) {
                0 => stored,
                micros => Timestamp::from_micros(micros),
            };
            let behind = before.since(tx.now);
            if behind > MAX_STEP_BACK {
                return Err(StoreError::ClockSteppedBack(behind).into());
            }
            let time = tx.now.max(before.after(Duration::from_micros(1)));
            if time > stored {
                raise(tx, "ticket", time.max(tx.now.after(MARK_AHEAD)))?;
            }
            last.store(time.as_micros(), Ordering::SeqCst);
            Ok(Ticket {
                version: Version::at(time),
                rule_revision: settings(tx)?.rule_revision,
                snapshot: latest_number(tx)?,
            })
        });
        Ok(ticket.await?)
    }
}

fn settings(tx: &Tx<'_>) -> Result<SettingsRevision, Fault> {
    let saved = doc(
        tx,
        "SELECT doc FROM settings ORDER BY revision DESC LIMIT 1",
        [],
    )?;
    Ok(saved.unwrap_or_else(SettingsRevision::initial))
}

#[async_trait]
impl SettingsStore for Tables {
    async fn current(&self) -> Result<SettingsRevision, StoreError> {
        Ok(self.0.run(settings).await?)
    }

    async fn save(
        &self,
        next: &SettingsRevision,
        backfill: Option<&Job>,
    ) -> Result<(), StoreError> {
        let (next, backfill) = (next.clone(), backfill.cloned());
        let saved = self.0.run(move |tx| {
            let current = settings(tx)?;
            if current == next {
                // The answer to the first try was lost.
                return Ok(());
            }
            if next.revision != current.revision + 1 {
                return Err(Fault(StoreError::Conflict {
                    current: current.revision,
                }));
            }
            tx.db.execute(
                "INSERT INTO settings (revision, doc) VALUES (?1, ?2)",
                params![to_sql(next.revision), to_doc(&next)?],
            )?;
            if let Some(job) = &backfill {
                jobs::create(tx, job)?;
            }
            Ok(())
        });
        Ok(saved.await?)
    }

    async fn revision(&self, number: u64) -> Result<Option<SettingsRevision>, StoreError> {
        if number == 0 {
            return Ok(Some(SettingsRevision::initial()));
        }
        let sql = "SELECT doc FROM settings WHERE revision = ?1";
        Ok(self.0.run(move |tx| doc(tx, sql, [to_sql(number)])).await?)
    }

    async fn history(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<SettingsRevision>, StoreError> {
        let before = before.map_or(i64::MAX, to_sql);
        let revisions = self.0.run(move |tx| {
            docs(
                tx,
                "SELECT doc FROM settings WHERE revision < ?1 ORDER BY revision DESC LIMIT ?2",
                params![before, crate::core::limit(limit)],
            )
        });
        Ok(revisions.await?)
    }

    async fn restore(&self, revisions: &[SettingsRevision]) -> Result<(), StoreError> {
        let revisions = revisions.to_vec();
        let restored = self.0.run(move |tx| {
            let there: Vec<SettingsRevision> =
                docs(tx, "SELECT doc FROM settings ORDER BY revision", [])?;
            // Nothing to restore, or the answer to the first try was lost.
            if revisions.is_empty() || there == revisions {
                return Ok(());
            }
            if there.iter().any(SettingsRevision::is_by_person) {
                return Err(Fault(StoreError::Conflict {
                    current: settings(tx)?.revision,
                }));
            }
            tx.db.execute("DELETE FROM settings", [])?;
            for revision in &revisions {
                tx.db.execute(
                    "INSERT INTO settings (revision, doc) VALUES (?1, ?2)",
                    params![to_sql(revision.revision), to_doc(revision)?],
                )?;
            }
            Ok(())
        });
        Ok(restored.await?)
    }
}

fn latest_number(tx: &Tx<'_>) -> Result<u64, Fault> {
    let number = tx
        .db
        .prepare_cached("SELECT coalesce(max(number), 0) FROM snapshots")?
        .query_row([], |row| row.get(0))?;
    Ok(crate::core::of_sql(number))
}

fn snapshot(tx: &Tx<'_>, number: u64) -> Result<Option<PermissionSnapshot>, Fault> {
    if number == 0 {
        return Ok(Some(PermissionSnapshot::default()));
    }
    doc(
        tx,
        "SELECT doc FROM snapshots WHERE number = ?1",
        [to_sql(number)],
    )
}

#[async_trait]
impl PermissionStore for Tables {
    async fn latest(&self) -> Result<PermissionSnapshot, StoreError> {
        let latest = self.0.run(|tx| snapshot(tx, latest_number(tx)?));
        Ok(latest.await?.unwrap_or_default())
    }

    async fn snapshot(&self, number: u64) -> Result<Option<PermissionSnapshot>, StoreError> {
        Ok(self.0.run(move |tx| snapshot(tx, number)).await?)
    }

    async fn store(
        &self,
        next: &PermissionSnapshot,
        backfill: Option<&Job>,
    ) -> Result<(), StoreError> {
        let next = next.clone();
        let backfill = backfill.cloned();
        let stored = self.0.run(move |tx| {
            let current = latest_number(tx)?;
            if next.number == current && snapshot(tx, current)?.as_ref() == Some(&next) {
                // The answer to the first try was lost.
                return Ok(());
            }
            if next.number != current + 1 {
                return Err(Fault(StoreError::Conflict { current }));
            }
            tx.db.execute(
                "INSERT INTO snapshots (number, doc) VALUES (?1, ?2)",
                params![to_sql(next.number), to_doc(&next)?],
            )?;
            tx.db.execute(
                "DELETE FROM snapshots WHERE number <= ?1",
                [to_sql(next.number.saturating_sub(SNAPSHOTS))],
            )?;
            if let Some(job) = &backfill {
                jobs::create(tx, job)?;
            }
            raise(tx, "last_poll", next.taken)
        });
        Ok(stored.await?)
    }

    async fn mark_polled(&self, begun: Timestamp) -> Result<(), StoreError> {
        Ok(self.0.run(move |tx| raise(tx, "last_poll", begun)).await?)
    }

    async fn last_poll(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.0.run(|tx| mark(tx, "last_poll")).await?)
    }
}

#[async_trait]
impl LeaseStore for Tables {
    async fn hold(
        &self,
        name: &str,
        holder: &str,
        for_how_long: Duration,
    ) -> Result<bool, StoreError> {
        let (name, holder) = (name.to_owned(), holder.to_owned());
        let held = self.0.run(move |tx| {
            let changed = tx
                .db
                .prepare_cached(
                    "INSERT INTO leases (name, holder, until) VALUES (?1, ?2, ?3)
                     ON CONFLICT (name) DO UPDATE SET holder = ?2, until = ?3
                     WHERE holder = ?2 OR until <= ?4",
                )?
                .execute(params![
                    name,
                    holder,
                    tx.now.after(for_how_long).as_micros(),
                    tx.now.as_micros()
                ])?;
            Ok(changed > 0)
        });
        Ok(held.await?)
    }

    async fn release(&self, name: &str, holder: &str) -> Result<(), StoreError> {
        let (name, holder) = (name.to_owned(), holder.to_owned());
        let released = self.0.run(move |tx| {
            tx.db
                .prepare_cached("DELETE FROM leases WHERE name = ?1 AND holder = ?2")?
                .execute([name, holder])?;
            Ok(())
        });
        Ok(released.await?)
    }
}

#[async_trait]
impl ReportStore for Tables {
    async fn report(&self, worker: &str, report: &Report) -> Result<(), StoreError> {
        let worker = worker.to_owned();
        let report = report.clone();
        let reported = self.0.run(move |tx| {
            tx.db
                .prepare_cached("INSERT OR REPLACE INTO reports (worker, doc) VALUES (?1, ?2)")?
                .execute([worker, to_doc(&report)?])?;
            Ok(())
        });
        Ok(reported.await?)
    }

    async fn reports(&self) -> Result<BTreeMap<String, Report>, StoreError> {
        let reports = self.0.run(|tx| {
            let mut select = tx.db.prepare_cached("SELECT worker, doc FROM reports")?;
            let mut rows = select.query([])?;
            let mut reports = BTreeMap::new();
            while let Some(row) = rows.next()? {
                reports.insert(row.get(0)?, of_doc(&row.get::<_, String>(1)?)?);
            }
            Ok(reports)
        });
        Ok(reports.await?)
    }
}
