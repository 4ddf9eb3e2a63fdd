//! Jobs that need somebody, and jobs that have come to their end.

use std::time::Duration;

use domain::job::{Job, JobKind, MosStatus, PausedBy};
use domain::notification::{Board, Condition, Event, Matter, Notice, notice_id};
use domain::{ObjectKind, Timestamp};

use super::{LINES, count_of, in_words};

/// A job may be over for so long before the look that first sees it: clocks of processes differ,
/// and its end is written a little later than it says.
const MARGIN: Duration = Duration::from_secs(10 * 60);

/// Jobs of which nothing comes, and those that somebody holds.
pub(super) fn of_held_jobs(unfinished: &[Job], now: Timestamp) -> Vec<Condition> {
    let stalled = unfinished.iter().filter(|job| job.is_stalled(now));
    let held = unfinished.iter().filter(|job| {
        let pause = job.paused.as_ref();
        pause.is_some_and(|pause| pause.by == PausedBy::Person)
    });
    let of = |jobs: Vec<&Job>, key: &str, matter, cause: &str, advice: &str| {
        let names = jobs.iter().take(LINES).map(|job| job.id.to_string());
        (!jobs.is_empty()).then(|| Condition {
            key: key.to_owned(),
            matter,
            object: "jobs".to_owned(),
            count: count_of(jobs.len()),
            cause: cause.to_owned(),
            advice: advice.to_owned(),
            page: "/jobs".to_owned(),
            details: names.collect(),
        })
    };
    let stalled = of(
        stalled.collect(),
        "jobs_stalled",
        Matter::JobStalled,
        "something should happen, and nothing has for 5 minutes",
        "Sync Status says what keeps the services from their work.",
    );
    let held = of(
        held.collect(),
        "jobs_paused",
        Matter::JobsPaused,
        "somebody holds them",
        "Resume or cancel each on its own page.",
    );
    stalled.into_iter().chain(held).collect()
}

/// Jobs that have come to their end since the last look. That one is told of already is seen by
/// the id of the notice.
pub(super) fn of_ended_jobs(jobs: &[Job], board: &Board) -> Vec<Notice> {
    let since = board.since.max(board.looked.before(MARGIN));
    let ended = jobs
        .iter()
        .filter(|job| job.over_since().is_some_and(|over| over >= since));
    ended.filter_map(of_ended_job).collect()
}

fn of_ended_job(job: &Job) -> Option<Notice> {
    let at = job.over_since()?;
    let (matter, cause, advice) = match (job.outcome()?, job.kind) {
        (MosStatus::Failed, _) => (
            Matter::JobFailed,
            in_words(&job.failure().unwrap_or_default()),
            "See the job's page. When the reason is gone, start “Sync all data to mOS”: it brings over what is missing.",
        ),
        (MosStatus::Completed, JobKind::SyncAll | JobKind::Backfill | JobKind::CatchUp) => (
            Matter::JobFinished,
            "everything that it was to bring is in mOS".to_owned(),
            "",
        ),
        (
            MosStatus::CompletedWithErrors,
            JobKind::SyncAll | JobKind::Backfill | JobKind::CatchUp,
        ) => (
            Matter::JobFinished,
            "everything that it was to bring is in mOS, but for records that are parked".to_owned(),
            "The page Parked Records says what to do about them.",
        ),
        // Those are many and small, or somebody has ended them on purpose.
        (MosStatus::Completed | MosStatus::CompletedWithErrors | MosStatus::Cancelled, _)
        | (MosStatus::Waiting | MosStatus::Loading | MosStatus::Stalled, _) => {
            return None;
        }
    };
    let incident = format!("job {}", job.id);
    let details = ObjectKind::ALL.into_iter().filter_map(|object| {
        let counts = job.tally.iter().filter(|(of, ..)| *of == object);
        let counts = counts.map(|(_, count, records)| format!("{} {records}", count.name()));
        let counts = counts.collect::<Vec<_>>();
        (!counts.is_empty()).then(|| format!("{object}: {}", counts.join(", ")))
    });
    let began = job.started.unwrap_or(job.requested);
    Some(Notice {
        id: notice_id(&incident, matter.name()),
        incident: notice_id(&incident, "incident"),
        matter,
        event: Event::Happened,
        at,
        object: format!("job {}", job.id),
        count: 1,
        cause,
        advice: advice.to_owned(),
        page: format!("/jobs/{}", job.id),
        details: details.collect(),
        lasted_s: Some(at.since(began).as_secs()),
    })
}
