//! What is wrong at the moment, as the stores know it. The same things that the status shows; what
//! comes from Salesforce, mOS or a worker in words is told without anything that may be a value.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::error_group::ErrorGroup;
use domain::failure::FailureKind;
use domain::job::{Job, JobKind, MosStatus, PausedBy};
use domain::notification::{Board, Condition, Event, Finding, Matter, Notice, notice_id, plain};
use domain::settings::Settings;
use domain::unit::Stage;
use domain::{ObjectKind, Timestamp};
use ports::stores::{
    Gap, GapCause, LOST_FIELDS, ParkedFilter, Report, StoreError, StreamState, WorkerState,
};
use runtime::figures;

use super::super::Operations;
use super::super::status::{HISTORY, LATE, SILENT, WORKERS};

/// Parked records of a reason that are looked at to say which they are.
const LOOKED_THROUGH: usize = 1_000;
/// Lines of a list within a notification.
const LINES: usize = 10;
/// A job may be over for so long before the look that first sees it: clocks of processes differ,
/// and its end is written a little later than it says.
const MARGIN: Duration = Duration::from_secs(10 * 60);

impl Operations {
    /// Looks at everything.
    ///
    /// # Errors
    /// [`StoreError`]; a broker that does not answer is a finding.
    pub(super) async fn finding(
        &self,
        board: &Board,
        now: Timestamp,
    ) -> Result<Finding, StoreError> {
        let stores = &self.stores;
        let settings = stores.settings.current().await?.settings;
        let workers = stores.reports.reports().await?;
        let gaps = stores.position.gaps().await?;
        let stream = stores.position.stream(&self.topic).await?;
        let parked = stores.parked.counts().await?;
        let jobs = stores.jobs.list(HISTORY).await?;
        let permissions = stores.permissions.latest().await?;
        let lost = self.lost_fields().await?;

        let mut finding = Finding::default();
        match self.queue.dead_count().await {
            Ok(dead) => finding.conditions.extend(of_dead(dead)),
            Err(error) => {
                finding.unknown.insert(Matter::MessagesSetAside);
                finding.conditions.push(of_broker(&error.to_string()));
            }
        }
        for (kind, count) in parked {
            let known = board.incidents.get(&parked_key(kind));
            let known = known.filter(|known| known.condition.count == count);
            finding.conditions.push(match known {
                Some(known) => known.condition.clone(),
                None => self.of_parked(kind, count).await?,
            });
        }
        finding.conditions.extend(of_gaps(&gaps, board.looked));
        finding.conditions.extend(of_stream(stream.as_ref(), now));
        finding.conditions.extend(of_fields(&lost));
        finding
            .conditions
            .extend(of_workers(&workers, &settings, !lost.is_empty(), now));
        finding.conditions.extend(of_quota(&workers, &jobs));
        finding.conditions.extend(of_held_jobs(&jobs, now));
        if let Some(leaving) = permissions.leaving(now) {
            finding.conditions.push(Condition {
                key: "permissions_expiring".to_owned(),
                matter: Matter::PermissionsExpiring,
                object: "users who hold mOS permission".to_owned(),
                count: count_of(leaving.users.len()),
                cause: format!("their permission set assignments end, the first at {}", leaving.first),
                advice: "Renew the assignments in Salesforce if that is not meant; `mosync users` names them.".to_owned(),
                page: "/users".to_owned(),
                details: Vec::new(),
            });
        }
        finding.happened = of_ended_jobs(&jobs, board);
        Ok(finding)
    }

    async fn lost_fields(&self) -> Result<Vec<String>, StoreError> {
        let Some(note) = self.stores.notes.note(LOST_FIELDS).await? else {
            return Ok(Vec::new());
        };
        let lost: BTreeSet<(ObjectKind, String)> = serde_json::from_str(&note)
            .map_err(|error| StoreError::Corrupt(format!("the note {LOST_FIELDS}: {error}")))?;
        let named = lost
            .into_iter()
            .map(|(object, field)| format!("{object}.{field}"));
        Ok(named.collect())
    }

    async fn of_parked(&self, kind: FailureKind, count: u64) -> Result<Condition, StoreError> {
        let filter = ParkedFilter {
            kind: Some(kind),
            dismissed: Some(false),
            ..ParkedFilter::default()
        };
        let records = self
            .stores
            .parked
            .list(&filter, None, LOOKED_THROUGH)
            .await?;
        let objects = records
            .iter()
            .map(|record| record.object.api_name())
            .collect::<BTreeSet<_>>();
        let groups = ErrorGroup::of(&records);
        let details = groups.iter().take(LINES).map(|group| {
            let stage = stage_name(group.stage);
            format!("{} at {stage}: {}", group.count, plain(&group.cause))
        });
        Ok(Condition {
            key: parked_key(kind),
            matter: Matter::RecordsParked,
            object: objects.into_iter().collect::<Vec<_>>().join(", "),
            count,
            cause: kind.cause().to_owned(),
            advice: kind.advice().to_owned(),
            page: "/parked".to_owned(),
            details: details.collect(),
        })
    }
}

fn parked_key(kind: FailureKind) -> String {
    format!("parked/{}", kind.name())
}

const fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Filter => "filter",
        Stage::Permission => "permission",
        Stage::Load => "load",
    }
}

fn count_of(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn of_dead(dead: u64) -> Option<Condition> {
    (dead > 0).then(|| Condition {
        key: "messages_set_aside".to_owned(),
        matter: Matter::MessagesSetAside,
        object: "messages in the dead queue".to_owned(),
        count: dead,
        cause: "no worker could process them".to_owned(),
        advice: "Look at them with `mosync dead list`, then replay or discard them.".to_owned(),
        page: "/dead".to_owned(),
        details: Vec::new(),
    })
}

fn of_broker(why: &str) -> Condition {
    Condition {
        key: "out_of_reach/broker".to_owned(),
        matter: Matter::OutOfReach,
        object: "the message broker".to_owned(),
        count: 1,
        cause: plain(why),
        advice: "Start it again, or correct the network. Changes wait in Salesforce meanwhile."
            .to_owned(),
        page: "/status".to_owned(),
        details: Vec::new(),
    }
}

/// Gaps by what made them, those included that were closed since the last look.
fn of_gaps(gaps: &[Gap], looked: Timestamp) -> Vec<Condition> {
    let mut by_cause = BTreeMap::<GapCause, Vec<&Gap>>::new();
    for gap in gaps {
        if gap.closed.is_none_or(|closed| closed > looked) {
            by_cause.entry(gap.cause).or_default().push(gap);
        }
    }
    let of_cause = |(cause, gaps): (GapCause, Vec<&Gap>)| {
        let (name, why) = match cause {
            GapCause::PositionRejected => (
                "position_rejected",
                "Salesforce no longer accepts the stored position",
            ),
            GapCause::Overflow => (
                "overflow",
                "a transaction changed more than the stream carries",
            ),
            GapCause::Wildcard => ("wildcard", "an event stands for every record of an object"),
            GapCause::Undecodable => ("undecodable", "an event could not be decoded"),
            GapCause::NotHeard => ("not_heard", "an object is polled from now on"),
        };
        let details = gaps.iter().take(LINES).map(|gap| {
            format!(
                "changes since {} may be missing; {} reads them",
                gap.since, gap.job
            )
        });
        Condition {
            key: format!("gap/{name}"),
            matter: Matter::Gap,
            object: "the event stream".to_owned(),
            count: count_of(gaps.len()),
            cause: why.to_owned(),
            advice: "Nothing to do: a job reads what may have been missed, and the gap closes when it has.".to_owned(),
            page: "/status".to_owned(),
            details: details.collect(),
        }
    };
    by_cause.into_iter().map(of_cause).collect()
}

fn of_stream(stream: Option<&StreamState>, now: Timestamp) -> Option<Condition> {
    let silent = now.since(stream?.heard);
    (silent > LATE).then(|| Condition {
        key: "stream_late".to_owned(),
        matter: Matter::StreamLate,
        object: "the event stream".to_owned(),
        count: 1,
        cause: "it was last heard more than 48 hours ago, and Salesforce keeps events for 72"
            .to_owned(),
        advice: "Start the listener, or correct what keeps it from Salesforce; `mosync status` says what that is. After 72 hours everything is read anew.".to_owned(),
        page: "/status".to_owned(),
        details: Vec::new(),
    })
}

fn of_fields(lost: &[String]) -> Option<Condition> {
    (!lost.is_empty()).then(|| Condition {
        key: "fields_lost".to_owned(),
        matter: Matter::FieldsLost,
        object: lost.join(", "),
        count: count_of(lost.len()),
        cause: "the integration user can no longer see what the settings name".to_owned(),
        advice: "Restore the access, or change mapping or filter. mOS keeps what it has."
            .to_owned(),
        page: "/settings".to_owned(),
        details: Vec::new(),
    })
}

fn of_workers(
    workers: &BTreeMap<String, Report>,
    settings: &Settings,
    fields_lost: bool,
    now: Timestamp,
) -> Vec<Condition> {
    let mut conditions = Vec::new();
    let mut paused = BTreeMap::<&str, String>::new();
    for worker in WORKERS {
        let of_worker = |matter: Matter, cause: String, advice: &str| Condition {
            key: format!("{}/{worker}", matter.name()),
            matter,
            object: format!("the {worker}"),
            count: 1,
            cause,
            advice: advice.to_owned(),
            page: "/status".to_owned(),
            details: Vec::new(),
        };
        let silent = |cause: String| {
            let advice = "See that it runs; what it has in hand is taken up again when it does.";
            of_worker(Matter::ServiceSilent, cause, advice)
        };
        let Some(report) = workers.get(worker) else {
            conditions.push(silent("it has never run".to_owned()));
            continue;
        };
        if now.since(report.at) > SILENT {
            conditions.push(silent(format!("its last report is of {}", report.at)));
            continue;
        }
        match &report.state {
            WorkerState::Running => {}
            WorkerState::Paused(why) => {
                paused.insert(worker, plain(why));
            }
            // That is told as what it is.
            WorkerState::Failing(why) if fields_lost && why.starts_with("the integration user can no longer see") => {}
            WorkerState::Failing(why) => conditions.push(of_worker(
                Matter::ServiceFailing,
                plain(why),
                "It tries again by itself. If it goes on, see that what it names answers, and that mosync may call it.",
            )),
        }
    }
    if settings.disabled {
        conditions.push(Condition {
            key: "sync_disabled".to_owned(),
            matter: Matter::SyncDisabled,
            object: "the whole sync".to_owned(),
            count: 1,
            cause: "an administrator has disabled it in mOS Settings".to_owned(),
            advice: "Nothing reaches mOS until it is enabled again; what changes meanwhile is caught up then, from Salesforce's events for 72 hours at most.".to_owned(),
            page: "/settings".to_owned(),
            details: Vec::new(),
        });
    } else if !paused.is_empty() {
        let names = paused.keys().map(|worker| format!("the {worker}"));
        let reasons = paused.values().cloned().collect::<BTreeSet<_>>();
        conditions.push(Condition {
            key: "sync_paused".to_owned(),
            matter: Matter::SyncPaused,
            object: names.collect::<Vec<_>>().join(", "),
            count: count_of(paused.len()),
            cause: reasons.into_iter().collect::<Vec<_>>().join("; "),
            advice: "It goes on by itself when the reason is gone. Nothing is lost meanwhile."
                .to_owned(),
            page: "/status".to_owned(),
            details: Vec::new(),
        });
    }
    conditions
}

/// What waits for the org's API allowance.
fn of_quota(workers: &BTreeMap<String, Report>, jobs: &[Job]) -> Vec<Condition> {
    let until = |name: &str| {
        let figure = workers.get("listener")?.figures.get(name).copied()?;
        Some(Timestamp::from_micros(figure))
    };
    let held = jobs.iter().filter(|job| !job.is_over());
    let mut held = held.filter_map(|job| {
        let pause = job.paused.as_ref()?;
        (pause.by == PausedBy::Quota).then_some(pause.until)
    });
    let bulk = until(figures::API_BULK_HELD_UNTIL)
        .map(Some)
        .or_else(|| held.next());
    let live = until(figures::API_LIVE_HELD_UNTIL).map(Some);
    let condition = |name: &str, what: &str, until: Option<Timestamp>| {
        Condition {
        key: format!("quota/{name}"),
        matter: Matter::Quota,
        object: what.to_owned(),
        count: 1,
        cause: until.map_or_else(
            || "the org's API allowance is used up".to_owned(),
            |until| format!("the org's API allowance is used up; it is tried again at {until}"),
        ),
        advice: "Nothing to do: it goes on by itself. If it happens often, give mosync a larger share (`mosync settings set api-share`) or the org more API calls.".to_owned(),
        page: "/status".to_owned(),
        details: Vec::new(),
    }
    };
    let bulk = bulk.map(|until| condition("bulk", "jobs that read in bulk", until));
    let live = live.map(|until| condition("live", "live changes", until));
    bulk.into_iter().chain(live).collect()
}

/// Jobs of which nothing comes, and those that somebody holds.
fn of_held_jobs(jobs: &[Job], now: Timestamp) -> Vec<Condition> {
    let unfinished = || jobs.iter().filter(|job| !job.is_over());
    let stalled = unfinished().filter(|job| job.is_stalled(now));
    let held = unfinished().filter(|job| {
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
        "`mosync status` says what keeps the services from their work.",
    );
    let held = of(
        held.collect(),
        "jobs_paused",
        Matter::JobsPaused,
        "somebody holds them",
        "Let them go on with `mosync jobs resume JOB`, or end them with `mosync jobs cancel JOB`.",
    );
    stalled.into_iter().chain(held).collect()
}

/// Jobs that have come to their end since the last look. That one is told of already is seen by
/// the id of the notice.
fn of_ended_jobs(jobs: &[Job], board: &Board) -> Vec<Notice> {
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
            plain(&job.failure().unwrap_or_default()),
            "See the job's page, or `mosync jobs show`. When the reason is gone, start a sync-all: it brings over what is missing.",
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
            "See `mosync parked list` for what to do about them.",
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
