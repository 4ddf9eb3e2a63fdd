//! mOS Job Status in the integration log: what has changed since it was last told. What was told is
//! kept, so that nothing that happens while no listener runs is left out.

use std::collections::BTreeMap;

use domain::Timestamp;
use domain::job::{Job, JobId, MosStatus, STALLED_AFTER};
use domain::tally::Count;
use ports::stores::LogLevel;

use crate::{Active, in_words};

/// The note with what was told of jobs that were not over then.
const NOTE: &str = "jobs_told";

/// mOS Job Status of each job that was not over, as it was told.
pub(crate) struct Told(BTreeMap<JobId, MosStatus>);

impl Told {
    pub(crate) async fn load(active: &Active) -> Result<Self, String> {
        let note = active.listener.stores.notes.note(NOTE).await;
        let told = note.map_err(in_words)?.and_then(|note| {
            // One that cannot be read costs a repetition.
            serde_json::from_str(&note).ok()
        });
        Ok(Self(told.unwrap_or_default()))
    }

    /// Tells what has changed; `open` are all jobs that are not over.
    pub(crate) async fn look(&mut self, active: &Active, open: &[Job]) -> Result<(), String> {
        let listener = &active.listener;
        let now = listener.clock.now();
        let known = std::mem::take(&mut self.0);
        let mut told = BTreeMap::new();
        for job in open {
            let status = job.mos(now);
            let before = known.get(&job.id).copied();
            let before = before.unwrap_or(MosStatus::Waiting);
            if status != before {
                say(active, job, before, now).await?;
            }
            told.insert(job.id.clone(), status);
        }
        let over = known.iter().filter(|(id, _)| !told.contains_key(*id));
        for (id, before) in over {
            // A job that is pruned already was over for as long as history is kept.
            let job = listener.stores.jobs.get(id).await.map_err(in_words)?;
            if let Some(job) = job {
                say(active, &job, *before, now).await?;
            }
        }
        let changed = told != known;
        self.0 = told;
        if changed {
            let note = serde_json::to_string(&self.0).map_err(in_words)?;
            let kept = listener.stores.notes.keep(NOTE, &note).await;
            kept.map_err(in_words)?;
        }
        Ok(())
    }
}

async fn say(active: &Active, job: &Job, before: MosStatus, now: Timestamp) -> Result<(), String> {
    let (level, message) = line(job, before, now);
    let logged = active.log(level, "job", Some(&job.id), message).await;
    logged.map_err(in_words)
}

/// What has become of the job on mOS's side.
fn line(job: &Job, before: MosStatus, now: Timestamp) -> (LogLevel, String) {
    let id = &job.id;
    match job.mos(now) {
        MosStatus::Waiting => (LogLevel::Info, format!("{id} waits to be loaded into mOS")),
        MosStatus::Loading if before == MosStatus::Stalled => (
            LogLevel::Info,
            format!("{id} goes on: units of it arrive in mOS again"),
        ),
        MosStatus::Loading => (LogLevel::Info, format!("{id} is being loaded into mOS")),
        MosStatus::Stalled => (
            LogLevel::Warning,
            format!(
                "{id} is stalled: nothing has come of it for {} min, {} units are on their way",
                STALLED_AFTER.as_secs() / 60,
                job.pending()
            ),
        ),
        MosStatus::Completed => (
            LogLevel::Info,
            format!("{id} is completed in mOS: {}", counts(job)),
        ),
        MosStatus::CompletedWithErrors => (
            LogLevel::Warning,
            format!("{id} is completed in mOS with errors: {}", counts(job)),
        ),
        MosStatus::Failed => (
            LogLevel::Error,
            format!(
                "{id} has failed in mOS ({}): {}",
                job.failure().unwrap_or_default(),
                counts(job)
            ),
        ),
        MosStatus::Cancelled => {
            let open = job.failure();
            (
                open.as_ref().map_or(LogLevel::Warning, |_| LogLevel::Error),
                format!(
                    "{id} is cancelled in mOS, nothing of it is on its way{}: {}",
                    open.map(|why| format!(", but {why}")).unwrap_or_default(),
                    counts(job)
                ),
            )
        }
    }
}

/// What became of its records, of all objects together.
fn counts(job: &Job) -> String {
    let counts = Count::ALL
        .into_iter()
        .map(|count| (count, job.tally.total(count)))
        .filter(|(_, records)| *records > 0)
        .map(|(count, records)| format!("{records} {}", count.name().replace('_', " ")))
        .collect::<Vec<_>>();
    if counts.is_empty() {
        "nothing was to be sent".to_owned()
    } else {
        counts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ObjectKind;
    use domain::job::{JobKind, JobScope, SalesforceStatus};

    #[test]
    fn a_cancelled_job_whose_sums_do_not_close_is_an_error_with_the_difference() {
        let now = Timestamp::from_micros(1);
        let id = JobId::of("sync_all-a");
        let mut job = Job::queued(id, JobKind::SyncAll, JobScope::Everything, now);
        job.salesforce = SalesforceStatus::Cancelled;
        job.tally.add_many(ObjectKind::Contact, Count::Read, 3);
        job.tally.add_many(ObjectKind::Contact, Count::Cancelled, 1);
        let (level, open) = line(&job, MosStatus::Loading, now);
        assert_eq!(level, LogLevel::Error);
        assert!(open.contains("Contact: 2 went in"), "{open}");
        job.tally.add_many(ObjectKind::Contact, Count::Cancelled, 2);
        let (level, closed) = line(&job, MosStatus::Loading, now);
        assert_eq!(level, LogLevel::Warning);
        assert!(closed.ends_with(": 3 read, 3 cancelled"), "{closed}");
    }
}
