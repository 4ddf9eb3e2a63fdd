//! One reading of all stores, the verdict first.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::failure::{FailureKind, unreadable_advice};
use domain::frequency::Frequency;
use domain::job::{Job, JobId, JobKind, MosStatus, SalesforceStatus};
use domain::permission::PermissionSnapshot;
use domain::settings::Settings;
use domain::tally::Count;
use domain::unit::{Lane, QueueName, Stage};
use domain::{ObjectKind, Timestamp};
use futures::future::try_join_all;
use ports::queue::LinkLost;
use ports::stores::{
    Gap, OLDEST, ParkedFilter, PollState, Report, SILENT, StreamState, UNSETTLED, WorkerState,
};
use runtime::{expiring, figures};

use super::Operations;
use crate::OpsError;
use crate::views::{
    ApiView, ExpiryView, HourView, JobView, PollView, StageView, StatusView, StreamView,
    TroubleKind, TroubleView, UnreadableView, Verdict, WindowsView,
};

/// The jobs that are shown.
const JOBS: usize = 20;
/// How many jobs are looked through for those that have come to their end.
pub(super) const HISTORY: usize = 500;
/// How many unreadable records are told apart by object.
const UNREADABLE: usize = 1_000;
/// Who must report.
pub(super) const WORKERS: [&str; 4] = ["listener", "filter", "permission", "loader"];
/// How long nothing may be heard of the stream: Salesforce keeps events for 72 hours.
pub(super) const LATE: Duration = Duration::from_secs(48 * 3_600);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// The three stages with the worker of each.
const STAGES: [(Stage, &str); 3] = [
    (Stage::Filter, "filter"),
    (Stage::Permission, "permission"),
    (Stage::Load, "loader"),
];

impl Operations {
    /// How the sync is. A broker that does not answer is one of the things that are wrong.
    ///
    /// # Errors
    /// [`OpsError::OutOfReach`] when a store does not answer.
    pub async fn status(&self) -> Result<StatusView, OpsError> {
        let stores = &self.stores;
        let now = self.now();
        let stream = stores.position.stream(&self.topic).await?;
        let mut polls = BTreeMap::new();
        for object in &self.polled {
            polls.insert(*object, stores.position.poll(*object).await?);
        }
        let in_queues = self.of_broker(self.in_queues()).await;
        // Before the jobs: whoever sees this poll must see the backfill that it has asked for.
        let permissions_polled = stores.permissions.last_poll().await?;
        let unfinished = stores.jobs.unfinished().await?;
        let workers = stores.reports.reports().await?;
        let open_gaps = stores.position.open_gaps().await?;
        let parked = stores.parked.counts().await?;
        let last_sync_all = stores.jobs.newest(JobKind::SyncAll).await?;
        let jobs = stores.jobs.list(HISTORY).await?;
        let jobs = with_last_sync_all(jobs, last_sync_all.as_ref());
        let live = self.live_jobs(now).await?;

        let waiting_for = waiting_for(&Seen {
            stream: stream.as_ref(),
            polls: &polls,
            permissions_polled,
            in_queues: in_queues.as_ref().ok(),
            unfinished: &unfinished,
            gaps: open_gaps.len(),
        });
        let revision = stores.settings.current().await?;
        let windows = windows(&revision.settings, workers.get("listener"), &live, now);
        let mut troubles = Vec::new();
        let mut tell = |about, messages: Vec<String>| {
            let told = messages.into_iter();
            troubles.extend(told.map(|message| TroubleView { about, message }));
        };
        let lost = in_queues.as_ref().err();
        tell(
            TroubleKind::Broker,
            lost.map(LinkLost::to_string).into_iter().collect(),
        );
        tell(TroubleKind::Worker, of_workers(&workers, now));
        tell(
            TroubleKind::Stream,
            of_stream(stream.as_ref(), now).into_iter().collect(),
        );
        let dead = in_queues.as_ref().ok().map(|queues| queues.dead);
        tell(TroubleKind::Messages, of_dead(dead).into_iter().collect());
        tell(
            TroubleKind::Parked,
            of_parked(&parked).into_iter().collect(),
        );
        tell(TroubleKind::Gap, self.of_gaps(&open_gaps).await?);
        tell(TroubleKind::Job, of_jobs(&jobs, &unfinished, now));
        let at_rest = waiting_for.is_empty();
        let reason = match (troubles.is_empty(), at_rest) {
            (false, _) => {
                let told = troubles.iter().map(|trouble| trouble.message.as_str());
                told.collect::<Vec<_>>().join("; ")
            }
            (true, true) => match windows.as_ref().and_then(|windows| windows.next) {
                Some(next) => {
                    format!("everything heard from Salesforce is in mOS; next window at {next}")
                }
                None => "everything heard from Salesforce is in mOS".to_owned(),
            },
            (true, false) => format!("working: {}", waiting_for.join(", ")),
        };
        let permissions = stores.permissions.latest().await?;
        let permitted = permissions.permitted(now).len();
        let expiring = expiry_view(&permissions, workers.get("permission"), now);
        let undelivered = stores.outbox.failed(now.before(DAY)).await?;
        let unreadable = self.unreadable(&parked).await?;
        let told_apart = unreadable.values().map(|view| view.records).sum();
        let unreadable_left_off = parked
            .get(&FailureKind::Unreadable)
            .map_or(0, |all| all.saturating_sub(told_apart));
        let out_of_reach = in_queues.is_err() || out_of_reach(&workers, now);
        let in_queues = in_queues.ok();
        let this_hour = JobId::live(now);
        Ok(StatusView {
            verdict: if troubles.is_empty() {
                Verdict::Healthy
            } else if out_of_reach {
                Verdict::OutOfReach
            } else {
                Verdict::Degraded
            },
            reason,
            troubles,
            at_rest,
            waiting_for,
            read_at: now,
            stream: stream.map(StreamView::from),
            windows,
            api: api(&revision.settings, workers.get("listener")),
            polls: polls
                .into_iter()
                .map(|(object, state)| (object, state.map(PollView::from)))
                .collect(),
            permissions_polled,
            permitted_users: u64::try_from(permitted).unwrap_or(u64::MAX),
            warnings: expiring
                .iter()
                .map(warning)
                .chain(super::notifications::undelivered(undelivered))
                .collect(),
            expiring,
            settings_revision: revision.revision,
            stages: STAGES
                .into_iter()
                .map(|(stage, worker)| {
                    stage_view(stage, workers.get(worker), in_queues.as_ref(), now)
                })
                .collect(),
            waiting_to_retry: in_queues.as_ref().map(|queues| queues.waiting),
            queues: in_queues.map(|queues| queues.ready),
            dead,
            parked,
            unreadable,
            unreadable_left_off,
            open_gaps,
            workers,
            last_sync_all: last_sync_all.map(|job| JobView::of(&job, now)),
            last_ended: last_ended(&jobs).map(|job| JobView::of(job, now)),
            jobs: jobs
                .iter()
                .take(JOBS)
                .map(|job| JobView::of(job, now))
                .collect(),
            unfinished: unfinished
                .iter()
                .rev()
                .filter(|job| job.kind != JobKind::Live)
                .map(|job| JobView::of(job, now))
                .collect(),
            live: live
                .iter()
                .find(|job| job.id == this_hour)
                .map(|job| JobView::of(job, now)),
            hours: hours(&live, now),
        })
    }
}

/// What the broker says of its queues.
struct InQueues {
    /// Messages ready, by queue.
    ready: BTreeMap<String, u64>,
    /// Messages waiting to be retried.
    waiting: u64,
    /// Dead messages.
    dead: u64,
}

impl Operations {
    async fn in_queues(&self) -> Result<InQueues, LinkLost> {
        let mut ready = BTreeMap::new();
        for queue in QueueName::ALL {
            ready.insert(queue.name().to_owned(), self.queue.depth(queue).await?);
        }
        Ok(InQueues {
            ready,
            waiting: self.queue.waiting().await?,
            dead: self.queue.dead_count().await?,
        })
    }

    /// The jobs of live changes of this hour and of the 24 before it. They are asked for by their
    /// ids, because any number of other jobs may be newer.
    async fn live_jobs(&self, now: Timestamp) -> Result<Vec<Job>, OpsError> {
        let hours = (0..=24).map(|ago| JobId::live(now.before(HOUR * ago)));
        let jobs = hours.map(|id| async move { self.stores.jobs.get(&id).await });
        let jobs = try_join_all(jobs).await?;
        Ok(jobs.into_iter().flatten().collect())
    }

    /// Open gaps, and those that nobody fills any more.
    async fn of_gaps(&self, gaps: &[Gap]) -> Result<Vec<String>, OpsError> {
        let mut filling = 0;
        let mut left = Vec::new();
        for gap in gaps {
            let job = self.stores.jobs.get(&gap.job).await?;
            match job.map(|job| job.outcome()) {
                None => left.push(format!("{} is forgotten", gap.job)),
                Some(Some(MosStatus::Cancelled)) => left.push(format!("{} was cancelled", gap.job)),
                Some(Some(MosStatus::Failed)) => left.push(format!("{} has failed", gap.job)),
                // It runs, or has just completed.
                Some(_) => filling += 1,
            }
        }
        let mut troubles = Vec::new();
        if filling > 0 {
            troubles.push(format!("{} being caught up", gaps_are(filling)));
        }
        if !left.is_empty() {
            troubles.push(format!(
                "{} not caught up ({}); run `mosync sync-all`",
                gaps_are(left.len()),
                left.join(", ")
            ));
        }
        Ok(troubles)
    }

    /// Parked records that cannot be read, by object.
    async fn unreadable(
        &self,
        parked: &BTreeMap<FailureKind, u64>,
    ) -> Result<BTreeMap<ObjectKind, UnreadableView>, OpsError> {
        let mut unreadable = BTreeMap::new();
        if !parked.contains_key(&FailureKind::Unreadable) {
            return Ok(unreadable);
        }
        let filter = ParkedFilter {
            kind: Some(FailureKind::Unreadable),
            dismissed: Some(false),
            ..ParkedFilter::default()
        };
        for record in self.stores.parked.list(&filter, None, UNREADABLE).await? {
            let view = unreadable
                .entry(record.object)
                .or_insert_with(|| UnreadableView {
                    records: 0,
                    advice: unreadable_advice(record.object).to_owned(),
                });
            view.records += 1;
        }
        Ok(unreadable)
    }
}

/// Whose permission runs out soon; what leaves with them, where the poller has counted it.
fn expiry_view(
    permissions: &PermissionSnapshot,
    poller: Option<&Report>,
    now: Timestamp,
) -> Option<ExpiryView> {
    let leaving = permissions.leaving(now)?;
    Some(ExpiryView {
        users: u64::try_from(leaving.users.len()).unwrap_or(u64::MAX),
        first: leaving.first,
        opportunities: poller.and_then(|report| expiring::opportunities(&report.figures, &leaving)),
    })
}

fn warning(expiring: &ExpiryView) -> String {
    let stops = match expiring.opportunities {
        Some(opportunities) => format!("{opportunities} opportunities will then be synced no more"),
        None => "how many opportunities will then be synced no more is being counted".to_owned(),
    };
    format!(
        "the mOS permission of {} users runs out within 7 days, the first at {}; {stops}. Renew the assignments in Salesforce if that is not meant (`mosync users` names them)",
        expiring.users, expiring.first
    )
}

/// What decides whether there is rest.
struct Seen<'a> {
    stream: Option<&'a StreamState>,
    polls: &'a BTreeMap<ObjectKind, Option<PollState>>,
    permissions_polled: Option<Timestamp>,
    /// `None`: the broker does not answer.
    in_queues: Option<&'a InQueues>,
    unfinished: &'a [Job],
    gaps: usize,
}

fn waiting_for(seen: &Seen<'_>) -> Vec<String> {
    let mut waiting_for = Vec::new();
    match seen.stream {
        None => waiting_for.push("the first answer of the event stream".to_owned()),
        Some(state) if state.window_over => {
            waiting_for.push("events that the next window brings".to_owned());
        }
        Some(state) if !state.at_end => {
            waiting_for.push("events that are not published yet".to_owned());
        }
        Some(_) => {}
    }
    let event = seen.stream.and_then(|state| state.last_event);
    let found = seen.polls.values().flatten().filter_map(|poll| poll.found);
    let last_change = found.chain(event).max();
    waiting_for.extend(polls_to_come(seen.polls, last_change));
    if seen.permissions_polled.is_none() {
        waiting_for.push("the first reading of permissions".to_owned());
    } else if last_change > seen.permissions_polled {
        waiting_for.push("a reading of permissions after the last change".to_owned());
    }
    match seen.in_queues {
        None => waiting_for.push("an answer of the message broker".to_owned()),
        Some(queues) => {
            let ready = queues.ready.values().sum();
            for (number, how) in [
                (ready, "in queues"),
                (queues.waiting, "waiting to be retried"),
            ] {
                if number > 0 {
                    let units = counted(number, "unit", "units");
                    waiting_for.push(format!("{units} {how}"));
                }
            }
        }
    }
    for job in seen.unfinished {
        if job.pending() > 0 {
            let units = counted(job.pending(), "unit", "units");
            waiting_for.push(format!("{units} of {}", job.id));
        } else if job.kind != JobKind::Live && job.salesforce != SalesforceStatus::Sealed {
            waiting_for.push(format!("{} to be read", job.id));
        }
    }
    if seen.gaps > 0 {
        waiting_for.push(format!("{} gaps to be caught up", seen.gaps));
    }
    waiting_for
}

/// A change was perhaps written together with what only a poll can find.
fn polls_to_come(
    polls: &BTreeMap<ObjectKind, Option<PollState>>,
    last_change: Option<Timestamp>,
) -> impl Iterator<Item = String> {
    polls.iter().filter_map(move |(object, poll)| {
        let polled = poll.as_ref().and_then(|poll| poll.polled);
        match polled {
            None => Some(format!("the first poll of {object}")),
            Some(_) if last_change > polled => {
                Some(format!("a poll of {object} after the last change"))
            }
            Some(_) => None,
        }
    })
}

/// How the stream is taken, where it is not in real time.
fn windows(
    settings: &Settings,
    listener: Option<&Report>,
    live: &[Job],
    now: Timestamp,
) -> Option<WindowsView> {
    if settings.frequency == Frequency::RealTime {
        return None;
    }
    let since = now.before(DAY);
    let recent = live.iter().filter(|job| job.requested >= since);
    Some(WindowsView {
        frequency: settings.frequency.to_string(),
        next: figure(listener, figures::NEXT_WINDOW).map(Timestamp::from_micros),
        changes: count_of(listener, figures::WINDOW_CHANGES).unwrap_or_default(),
        records: count_of(listener, figures::WINDOW_RECORDS).unwrap_or_default(),
        reads_saved: recent.map(|job| job.tally.total(Count::Collapsed)).sum(),
    })
}

/// The live jobs, each of one hour, as the last 24 hours; an hour without a job had no change.
fn hours(live: &[Job], now: Timestamp) -> Vec<HourView> {
    let micros = i64::try_from(HOUR.as_micros()).unwrap_or(i64::MAX);
    let hour_of = |at: Timestamp| at.as_micros().div_euclid(micros);
    let this_hour = hour_of(now);
    let mut hours: BTreeMap<i64, HourView> = (this_hour - 23..=this_hour)
        .map(|hour| {
            let empty = HourView {
                from: Timestamp::from_micros(hour * micros),
                read: 0,
                sent: 0,
                parked: 0,
            };
            (hour, empty)
        })
        .collect();
    for job in live {
        let Some(view) = hours.get_mut(&hour_of(job.requested)) else {
            continue;
        };
        view.read += job.tally.total(Count::Read);
        view.sent += job.tally.total(Count::Created) + job.tally.total(Count::Updated);
        view.parked += job.tally.total(Count::Parked);
    }
    hours.into_values().collect()
}

pub(super) fn api(settings: &Settings, listener: Option<&Report>) -> Option<ApiView> {
    let max = count_of(listener, figures::API_MAX)?;
    let until = |name| figure(listener, name).map(Timestamp::from_micros);
    Some(ApiView {
        max,
        used: count_of(listener, figures::API_USED)?,
        ours: count_of(listener, figures::API_OURS)?,
        share: settings.api_share.share_of(max),
        reserve: settings.api_share.reserve_of(max),
        bulk_held_until: until(figures::API_BULK_HELD_UNTIL),
        live_held_until: until(figures::API_LIVE_HELD_UNTIL),
    })
}

fn figure(report: Option<&Report>, name: &str) -> Option<i64> {
    report.and_then(|report| report.figures.get(name)).copied()
}

fn count_of(report: Option<&Report>, name: &str) -> Option<u64> {
    u64::try_from(figure(report, name)?).ok()
}

/// Whether events may be lost when nothing changes.
fn of_stream(stream: Option<&StreamState>, now: Timestamp) -> Option<String> {
    let silent = now.since(stream?.heard);
    (silent > LATE).then(|| {
        format!(
            "the event stream was last heard {} h ago; Salesforce keeps events for 72 h, after that a sync-all is needed",
            silent.as_secs() / 3_600
        )
    })
}

/// Whether a worker that runs says that something does not answer it.
fn out_of_reach(workers: &BTreeMap<String, Report>, now: Timestamp) -> bool {
    workers
        .values()
        .any(|report| !report.out_of_reach.is_empty() && now.since(report.at) <= SILENT)
}

pub(super) fn of_workers(workers: &BTreeMap<String, Report>, now: Timestamp) -> Vec<String> {
    let mut troubles = Vec::new();
    for worker in WORKERS {
        let Some(report) = workers.get(worker) else {
            troubles.push(format!("the {worker} has never run"));
            continue;
        };
        // What one that is gone said last says nothing of now.
        if let Some(silent) = silent(worker, report, now) {
            troubles.push(silent);
            continue;
        }
        match &report.state {
            WorkerState::Paused(why) => {
                troubles.push(format!("the {worker} is paused: {why}"));
            }
            WorkerState::Failing(why) => troubles.push(format!("the {worker} fails: {why}")),
            WorkerState::Running => {}
        }
    }
    troubles
}

/// Of a worker that is not heard of any more.
pub(super) fn silent(worker: &str, report: &Report, now: Timestamp) -> Option<String> {
    let silent = now.since(report.at);
    (silent > SILENT).then(|| {
        format!(
            "the {worker} has not been heard of for {} s; is it running?",
            silent.as_secs()
        )
    })
}

fn of_dead(dead: Option<u64>) -> Option<String> {
    let dead = dead.filter(|dead| *dead > 0)?;
    let messages = counted(dead, "message is", "messages are");
    Some(format!("{messages} dead (see `mosync dead list`)"))
}

fn of_parked(parked: &BTreeMap<FailureKind, u64>) -> Option<String> {
    let parked = parked.values().sum::<u64>();
    let records = counted(parked, "record is", "records are");
    (parked > 0).then(|| format!("{records} parked (see `mosync parked list`)"))
}

fn gaps_are(number: usize) -> String {
    let number = u64::try_from(number).unwrap_or(u64::MAX);
    counted(
        number,
        "gap in the event stream is",
        "gaps in the event stream are",
    )
}

fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// The newest jobs, and the last sync-all, of which any number of others may be newer.
pub(super) fn with_last_sync_all(mut jobs: Vec<Job>, last: Option<&Job>) -> Vec<Job> {
    let left_out = last.filter(|last| jobs.iter().all(|job| job.id != last.id));
    jobs.extend(left_out.cloned());
    jobs
}

/// The job that came to its end last. Live changes go on all the time, and have none.
fn last_ended(jobs: &[Job]) -> Option<&Job> {
    let loads = jobs.iter().filter(|job| job.kind != JobKind::Live);
    let ended = loads.filter_map(|job| Some((job.over_since()?, job)));
    let last = ended.max_by_key(|(over, job)| (*over, job.requested));
    last.map(|(_, job)| job)
}

/// A job that failed is no trouble any more once a sync-all that was asked for later has brought
/// everything over.
fn of_jobs(jobs: &[Job], unfinished: &[Job], now: Timestamp) -> Vec<String> {
    let made_good = jobs
        .iter()
        .filter(|job| job.kind == JobKind::SyncAll)
        .filter(|job| {
            matches!(
                job.outcome(),
                Some(MosStatus::Completed | MosStatus::CompletedWithErrors)
            )
        })
        .map(|job| job.requested)
        .max();
    let is_trouble = |job: &&Job| made_good.is_none_or(|since| job.requested > since);
    let failed = jobs.iter().filter(is_trouble).filter_map(|job| {
        let why = job.failure()?;
        let how = match job.outcome() {
            Some(MosStatus::Cancelled) => "is cancelled, and its sums do not close",
            _ => "has failed",
        };
        Some(format!("{} {how}: {why}", job.id))
    });
    let held = unfinished.iter().rev().filter_map(|job| {
        if job.is_stalled(now) {
            return Some(format!(
                "{} is stalled: nothing has come of it for {} min, {} units are on their way",
                job.id,
                domain::job::STALLED_AFTER.as_secs() / 60,
                job.pending()
            ));
        }
        let pause = job.paused.as_ref()?;
        Some(format!("{} is paused: {}", job.id, pause.why))
    });
    failed.chain(held).collect()
}

fn stage_view(
    stage: Stage,
    report: Option<&Report>,
    in_queues: Option<&InQueues>,
    now: Timestamp,
) -> StageView {
    let ready = in_queues.map(|queues| {
        let of_lane = |lane| queues.ready.get(QueueName::new(stage, lane).name());
        let lanes = [Lane::Live, Lane::Bulk];
        lanes.into_iter().filter_map(of_lane).sum()
    });
    let unsettled = count_of(report, UNSETTLED).unwrap_or(0);
    let oldest = figure(report, OLDEST).map(Timestamp::from_micros);
    StageView {
        stage,
        ready,
        unsettled,
        oldest,
        oldest_age_s: oldest.map(|oldest| now.since(oldest).as_secs()),
    }
}
