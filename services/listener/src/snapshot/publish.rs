//! The exact cut: units are announced in the job, then published, then confirmed. So after a crash
//! it is known which units may be with the queue and which are.
//!
//! The confirmation of one batch and the announcement of the next are one step of the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::job::{Cursor, Job, PageRead, Progress};
use domain::unit::{Lane, UnitRecord};
use domain::{ObjectKind, Ticket};
use futures::future::join_all;
use runtime::worker::Outage;

use super::before::Before;
use crate::Active;
use crate::publish::{self, Place};

/// Units announced and published together: so many wait for their confirmations at the same time.
pub(super) const BATCH: usize = 10;
/// What the rows of units that are published together weigh, and one unit more at most: each is in
/// memory as it was read and as it is sent.
const BATCH_BYTES: usize = 4 << 20;

/// Units that will be published together.
#[derive(Debug, Default)]
pub(super) struct Units {
    units: Vec<Vec<UnitRecord>>,
    bytes: usize,
}

impl Units {
    pub(super) fn is_full(&self) -> bool {
        self.units.len() >= BATCH || self.bytes >= BATCH_BYTES
    }

    pub(super) fn extend(&mut self, unit: Option<Vec<UnitRecord>>) {
        if let Some(unit) = unit {
            let rows = unit.iter().filter_map(|record| record.row.as_ref());
            self.bytes += rows.map(|row| row.get().len()).sum::<usize>();
            self.units.push(unit);
        }
    }

    pub(super) fn take(self) -> Vec<Vec<UnitRecord>> {
        self.units
    }
}

/// A job's progress on its way through a turn.
pub(super) struct Reading<'a> {
    pub(super) active: &'a Active,
    pub(super) job: &'a Job,
    /// How far it has come, in part not written yet.
    pub(super) progress: Progress,
    /// What is left out, see [`Before`].
    pub(super) before: Option<Arc<Before>>,
    written: bool,
}

/// Units that follow one another, cut from the rows between two places of a statement.
pub(super) struct Batch {
    /// Under which its rows were read; `None` for records that are named and not read yet.
    pub(super) ticket: Option<Ticket>,
    pub(super) units: Vec<Vec<UnitRecord>>,
    /// Where the rows begin, if a page begins there.
    pub(super) page: Option<Cursor>,
    /// Where the reader is once they are published.
    pub(super) then: Cursor,
}

/// How many records of each object, in how many units.
struct Rows(BTreeMap<ObjectKind, (u64, u64)>);

impl Rows {
    fn of(units: &[Vec<UnitRecord>]) -> Self {
        let mut rows = BTreeMap::<ObjectKind, (u64, u64)>::new();
        for unit in units {
            let objects = unit.iter().map(|record| record.object);
            for object in objects.clone() {
                rows.entry(object).or_default().0 += 1;
            }
            for object in objects.collect::<BTreeSet<_>>() {
                rows.entry(object).or_default().1 += 1;
            }
        }
        Self(rows)
    }
}

impl<'a> Reading<'a> {
    pub(super) fn of(active: &'a Active, job: &'a Job) -> Self {
        Self {
            active,
            job,
            progress: job.progress.clone(),
            before: None,
            written: true,
        }
    }

    /// Changes what will be written with the next step.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress);
        self.written = false;
    }

    /// Announces a batch, publishes its units all at once and takes their confirmations to be
    /// written next.
    pub(super) async fn publish(&mut self, batch: Batch) -> Result<(), Outage> {
        let run = (self.progress.statement, self.progress.generation);
        self.publish_of(batch, run).await
    }

    /// The same for rows of a statement, and a run of its phase, that are not those of the cursor.
    pub(super) async fn publish_of(
        &mut self,
        batch: Batch,
        (statement, generation): (u32, u32),
    ) -> Result<(), Outage> {
        let Batch {
            ticket,
            units,
            page,
            then,
        } = batch;
        let first = self.progress.next_index;
        let end = first + units.len() as u64;
        let page = page.map(|at| PageRead {
            first_index: first,
            units: units.len() as u64,
            phase: self.progress.phase,
            statement,
            generation,
            at,
        });
        let known = self.progress.announced;
        // What was announced before a crash stays announced: it is published again here.
        self.change(|progress| progress.announced = progress.announced.max(end));
        if end > known {
            self.announce(known, page.as_ref()).await?;
        } else {
            self.write(page.as_ref()).await?;
        }
        let rows = Rows::of(&units);
        let published = (first..end).zip(units).map(|(index, records)| {
            let place = Place {
                job: self.job.id.clone(),
                index,
                generation,
                lane: Lane::Bulk,
            };
            publish::unit(self.active, place, ticket, records)
        });
        for published in join_all(published).await {
            published.map_err(Outage::Other)?;
        }
        self.change(|progress| {
            progress.next_index = end;
            progress.cursor = then;
            for (object, (read, units)) in rows.0 {
                let extracted = progress.objects.entry(object).or_default();
                extracted.read += read;
                extracted.units += units;
            }
        });
        Ok(())
    }

    /// Writes what is not written yet.
    pub(super) async fn flush(&mut self) -> Result<(), Outage> {
        if self.written {
            return Ok(());
        }
        self.write(None).await
    }

    async fn announce(&mut self, known: u64, page: Option<&PageRead>) -> Result<(), Outage> {
        let now = self.active.listener.clock.now();
        self.progress.writes += 1;
        let jobs = &self.active.listener.stores.jobs;
        let (id, progress) = (&self.job.id, &self.progress);
        if !jobs.announce(id, known, progress, page, now).await? {
            return Err(Outage::Other(format!(
                "another listener reads {id}; this one starts again"
            )));
        }
        self.written = true;
        Ok(())
    }

    async fn write(&mut self, page: Option<&PageRead>) -> Result<(), Outage> {
        let now = self.active.listener.clock.now();
        self.progress.writes += 1;
        let jobs = &self.active.listener.stores.jobs;
        jobs.advance(&self.job.id, &self.progress, page, now)
            .await?;
        self.written = true;
        Ok(())
    }

    /// Gives up waiting for units that may or may not have been published: what they hold is read
    /// again under other indices.
    pub(super) async fn abandon_doubtful(&mut self) -> Result<(), Outage> {
        let Progress {
            next_index,
            announced,
            ..
        } = self.progress;
        if next_index == announced {
            return Ok(());
        }
        let doubtful = (next_index..announced).collect::<Vec<_>>();
        let jobs = &self.active.listener.stores.jobs;
        jobs.abandon(&self.job.id, &doubtful).await?;
        tracing::info!(job = %self.job.id, units = doubtful.len(), "units that may not have been published are not waited for");
        self.change(|progress| progress.next_index = announced);
        Ok(())
    }
}
