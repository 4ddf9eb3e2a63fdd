//! A job, with both of its statuses.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::job::{Job, JobKind, JobScope, MosStatus, Pace, PausedBy, SalesforceShown};
use domain::tally::{Count, Tally};
use domain::{ObjectKind, Timestamp};
use serde::{Deserialize, Serialize};

/// A job as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobView {
    /// Its id.
    pub id: String,
    /// Why it runs.
    pub kind: JobKind,
    /// What it reads, in words.
    pub reads: String,
    /// Salesforce Job Status.
    pub salesforce: SalesforceShown,
    /// mOS Job Status.
    pub mos: MosStatus,
    /// When it was asked for.
    pub requested: Timestamp,
    /// When its reading began.
    pub started: Option<Timestamp>,
    /// When everything was published.
    pub sealed: Option<Timestamp>,
    /// Since when nothing more comes of it.
    pub over: Option<Timestamp>,
    /// The pause it is in.
    pub paused: Option<PauseView>,
    /// Units published so far.
    pub units: u64,
    /// Units that are not counted yet.
    pub pending: u64,
    /// Records read from Salesforce of which it is known what became of them.
    pub done: u64,
    /// Records there are to read; absent while Salesforce has not said.
    pub total: Option<u64>,
    /// 0 to 100; 100 only when it has ended well.
    pub percent: Option<f64>,
    /// Records a second, pauses left out.
    pub per_second: Option<f64>,
    /// Seconds it still takes at that rate; absent while nobody can know.
    pub remaining_s: Option<u64>,
    /// Both sides, object by object; what was never met is left out.
    pub objects: BTreeMap<ObjectKind, ObjectView>,
    /// What has become of the records.
    pub tally: Tally,
    /// Why it failed.
    pub error: Option<String>,
}

/// One object of a job.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ObjectView {
    /// Salesforce: what `COUNT()` said; absent where it was not asked.
    pub total: Option<u64>,
    /// Salesforce: records published by the reader.
    pub read: u64,
    /// Salesforce: units published by the reader.
    pub units: u64,
    /// Salesforce: refusals and failures while reading.
    pub errors: u64,
    /// Salesforce: the last of them, in words.
    pub last_error: Option<String>,
    /// Salesforce: when its reading began.
    pub started: Option<Timestamp>,
    /// Salesforce: when its reading ended.
    pub finished: Option<Timestamp>,
    /// mOS: what has become of the records, by name.
    pub tally: BTreeMap<Count, u64>,
    /// mOS: records published whose end is not counted yet; absent for a live hour and for
    /// companions, of which nobody knows how many are on their way.
    pub pending: Option<u64>,
    /// mOS: records a second, pauses left out.
    pub per_second: Option<f64>,
    /// mOS: seconds it still takes at that rate; absent while nobody can know.
    pub remaining_s: Option<u64>,
}

/// Why a job is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseView {
    /// Since when.
    pub since: Timestamp,
    /// Who holds it.
    pub by: PausedBy,
    /// Why, in words.
    pub why: String,
    /// When it goes on by itself; absent when a person has to resume it.
    pub until: Option<Timestamp>,
}

/// Jobs, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobList {
    /// The jobs.
    pub jobs: Vec<JobView>,
    /// `before` of the next page; absent on the last.
    pub next: Option<String>,
}

/// Which jobs of the history.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobSearch {
    /// Of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// With this status, on Salesforce's side or on that of mOS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The page's beginning: `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Jobs a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// What came of asking for a sync-all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SyncAllView {
    /// Whether this request started it; otherwise one was running.
    pub started: bool,
    /// The job that runs now.
    pub job: JobView,
}

/// Why somebody does something.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl JobView {
    /// The job as it is at this time.
    #[must_use]
    pub fn of(job: &Job, now: Timestamp) -> Self {
        let pace = Pace::of(job, now);
        Self {
            id: job.id.to_string(),
            kind: job.kind,
            reads: reads(&job.scope),
            salesforce: job.salesforce_shown(),
            mos: job.mos(now),
            requested: job.requested,
            started: job.started,
            sealed: job.sealed,
            over: job.over_since(),
            paused: job.paused.as_ref().map(|pause| PauseView {
                since: pause.since,
                by: pause.by,
                why: pause.why.clone(),
                until: pause.until,
            }),
            units: job.units,
            pending: job.pending(),
            done: pace.done,
            total: pace.total,
            percent: pace.percent.map(tenths),
            per_second: pace.per_second.map(tenths),
            remaining_s: pace.remaining.map(seconds_up),
            objects: ObjectKind::ALL
                .into_iter()
                .map(|object| (object, ObjectView::of(job, object, now)))
                .filter(|(_, view)| *view != ObjectView::default())
                .collect(),
            tally: job.tally.clone(),
            error: job.failure(),
        }
    }
}

impl ObjectView {
    fn of(job: &Job, object: ObjectKind, now: Timestamp) -> Self {
        let mut view = Self {
            tally: job
                .tally
                .iter()
                .filter(|(of, ..)| *of == object)
                .map(|(_, count, records)| (count, records))
                .collect(),
            ..Self::default()
        };
        let Some(extracted) = job.progress.objects.get(&object) else {
            return view;
        };
        view.total = extracted.total;
        view.read = extracted.read;
        view.units = extracted.units;
        view.errors = extracted.errors;
        view.last_error.clone_from(&extracted.last_error);
        view.started = extracted.started;
        view.finished = extracted.finished;
        // `read` of the tally is counted with the unit, `read` of the reader when it is published.
        let counted = job.tally.get(object, Count::Read);
        view.pending = Some(extracted.read.saturating_sub(counted));
        if let Some(pace) = Pace::of_object(job, object, now) {
            view.per_second = pace.per_second.map(tenths);
            view.remaining_s = pace.remaining.map(seconds_up);
        }
        view
    }
}

fn reads(scope: &JobScope) -> String {
    match scope {
        JobScope::Everything => "everything in scope".to_owned(),
        JobScope::Owners { owners, .. } => {
            format!("the opportunities of {} owners", owners.len())
        }
        JobScope::Since { since } => {
            format!("everything in scope, and what was touched since {since}")
        }
        JobScope::Entering { before, then, .. } => {
            format!("what has come into scope since settings revision {before} at {then}")
        }
        JobScope::Objects { objects } => {
            let names = objects.iter().map(|object| object.api_name());
            format!("every {} in scope", names.collect::<Vec<_>>().join(", "))
        }
        JobScope::Stages { stages } => {
            let names = stages.iter().cloned().collect::<Vec<_>>();
            format!("the opportunities in {}", names.join(", "))
        }
        JobScope::Records { records } => format!("{} records", records.len()),
        JobScope::Stream => "what the event stream brings".to_owned(),
    }
}

fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

/// Never 0 while something is left.
fn seconds_up(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}
