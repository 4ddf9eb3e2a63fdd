//! Live units that the queue has lost. The stream's position has moved past their changes, and nobody
//! knows any more which records they named: that is a gap like any other.

use std::collections::BTreeMap;

use domain::job::{Job, JobId};
use domain::unit::Lane;
use ports::stores::LogLevel;

use crate::missing::{self, Watch};
use crate::{Active, gaps, in_words};

/// More than a lane can hold.
const AT_ONCE: usize = 10_000;

/// Since when nothing has moved for which live job.
#[derive(Default)]
pub(crate) struct Watches(BTreeMap<JobId, Watch>);

/// Units of a live job that are lost.
pub(crate) struct Lost<'a> {
    pub(crate) job: &'a Job,
    /// By their indices, ascending.
    pub(crate) units: Vec<u64>,
}

impl Watches {
    /// Looks for units of the live jobs that are lost, opens a gap for them, and waits for them no
    /// longer. While an hour lasts in which changes never cease, it is not quiet enough to tell;
    /// afterwards it is.
    pub(crate) async fn look(&mut self, active: &Active, jobs: &[Job]) -> Result<(), String> {
        let mut watches = std::mem::take(&mut self.0);
        let mut lost = Vec::new();
        for job in jobs.iter().filter(|job| job.pending() > 0) {
            let mut watch = watches.remove(&job.id).unwrap_or_default();
            let is_over = watch.is_over(active, job, Lane::Live).await;
            // A publish may be waiting for the broker: its unit is announced and in no queue yet.
            if is_over.map_err(in_words)? && active.live.try_lock().is_ok() {
                let missing = missing::lost(active, job, AT_ONCE).await;
                let mut units = missing.map_err(in_words)?;
                // What was published since the job was looked at is on its way.
                units.retain(|unit| *unit < job.units);
                if !units.is_empty() {
                    let units = units.into_iter().collect();
                    lost.push(Lost { job, units });
                }
            }
            self.0.insert(job.id.clone(), watch);
        }
        if lost.is_empty() {
            return Ok(());
        }
        // First, so that a crash in between finds them lost again and the gap the same.
        gaps::units_lost(active, &lost).await?;
        for Lost { job, units } in lost {
            let jobs = &active.listener.stores.jobs;
            jobs.abandon(&job.id, &units).await.map_err(in_words)?;
            let message = format!(
                "{} units of {} are in no queue and not counted, and are not waited for any more: a gap is open for their changes",
                units.len(),
                job.id
            );
            let logged = active.log(LogLevel::Warning, "job", Some(&job.id), message);
            logged.await.map_err(in_words)?;
        }
        Ok(())
    }
}
