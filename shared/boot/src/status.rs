//! What `mosync status` shows: one reading of all stores, the verdict first.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::failure::FailureKind;
use domain::job::{Job, JobKind, MosStatus, SalesforceStatus};
use domain::tally::Tally;
use domain::unit::QueueName;
use domain::{ObjectKind, Timestamp};
use ports::stores::{Gap, PollState, Report, StreamState, WorkerState};
use serde::Serialize;

use crate::{Adapters, BootError};

/// A worker that has not reported for so long is not running.
const SILENT: Duration = Duration::from_secs(15);
/// The jobs that are shown.
const JOBS: usize = 20;

/// One reading of everything.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// `healthy` or `degraded`.
    pub verdict: Verdict,
    /// Why, in one sentence.
    pub reason: String,
    /// Whether everything that has changed in Salesforce, as far as it has been heard, is in mOS
    /// or parked: position at the stream's end, no unit on the way, permissions read.
    pub at_rest: bool,
    /// What keeps it from being at rest.
    pub waiting_for: Vec<String>,
    /// When this was read, in microseconds.
    pub read_at: Timestamp,
    /// The event stream.
    pub stream: Option<StreamState>,
    /// How far the objects that are polled have been read; `None` before the first time.
    pub polls: BTreeMap<ObjectKind, Option<PollState>>,
    /// When the newest permission poll whose findings are in force was begun.
    pub permissions_polled: Option<Timestamp>,
    /// Users who hold permission.
    pub permitted_users: usize,
    /// The settings revision in force.
    pub settings_revision: u64,
    /// Messages ready, by queue.
    pub queues: BTreeMap<&'static str, u64>,
    /// Messages waiting to be retried.
    pub waiting_to_retry: u64,
    /// Messages set aside.
    pub dead: u64,
    /// Parked records by reason.
    pub parked: BTreeMap<FailureKind, u64>,
    /// Gaps that are open.
    pub open_gaps: Vec<Gap>,
    /// What the workers say of themselves.
    pub workers: BTreeMap<String, Report>,
    /// The newest jobs.
    pub jobs: Vec<JobStatus>,
}

/// Healthy or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All is well.
    Healthy,
    /// Somebody should look.
    Degraded,
}

/// A job as it is shown.
#[derive(Debug, Clone, Serialize)]
pub struct JobStatus {
    /// Its id.
    pub id: String,
    /// Why it runs.
    pub kind: JobKind,
    /// Salesforce Job Status.
    pub salesforce: SalesforceStatus,
    /// mOS Job Status.
    pub mos: MosStatus,
    /// Units published, and on the way.
    pub units: u64,
    /// Units not yet counted.
    pub pending: u64,
    /// What has become of the records.
    pub tally: Tally,
    /// Why it failed.
    pub error: Option<String>,
}

/// Reads the status of a channel and of the objects that are polled.
///
/// # Errors
/// When the stores or the broker are out of reach.
pub async fn read(
    adapters: &Adapters,
    topic: &str,
    polled: &BTreeSet<ObjectKind>,
) -> Result<Status, BootError> {
    let out_of_reach = |lost: ports::queue::LinkLost| BootError::OutOfReach(lost.to_string());
    let stores = &adapters.stores;
    let read_at = adapters.clock.now();
    let stream = stores.position.stream(topic).await?;
    let mut polls = BTreeMap::new();
    for object in polled {
        polls.insert(*object, stores.position.poll(*object).await?);
    }
    let mut queues = BTreeMap::new();
    for queue in QueueName::ALL {
        queues.insert(
            queue.name(),
            adapters.queue.depth(queue).await.map_err(out_of_reach)?,
        );
    }
    let waiting_to_retry = adapters.queue.waiting().await.map_err(out_of_reach)?;
    let dead = adapters.queue.dead_count().await.map_err(out_of_reach)?;
    // Before the jobs: whoever sees this poll must see the backfill that it has asked for.
    let permissions_polled = stores.permissions.last_poll().await?;
    let unfinished = stores.jobs.unfinished().await?;
    let mut waiting_for = Vec::new();
    match &stream {
        None => waiting_for.push("the first answer of the event stream".to_owned()),
        Some(state) if !state.at_end => {
            waiting_for.push("events that are not published yet".to_owned());
        }
        Some(_) => {}
    }
    let found = polls.values().flatten().filter_map(|poll| poll.found);
    let last_event = stream.as_ref().and_then(|state| state.last_event);
    let last_event = found.chain(last_event).max();
    waiting_for.extend(polls.iter().filter_map(|(object, poll)| {
        // What is heard was perhaps written together with what only a poll can find.
        let polled = poll.as_ref().and_then(|poll| poll.polled);
        match polled {
            None => Some(format!("the first poll of {object}")),
            Some(_) if last_event > polled => {
                Some(format!("a poll of {object} after the last change"))
            }
            Some(_) => None,
        }
    }));
    if permissions_polled.is_none() {
        waiting_for.push("the first reading of permissions".to_owned());
    } else if last_event > permissions_polled {
        waiting_for.push("a reading of permissions after the last change".to_owned());
    }
    let ready = queues.values().sum::<u64>();
    if ready + waiting_to_retry > 0 {
        waiting_for.push(format!(
            "{ready} units in queues, {waiting_to_retry} waiting to be retried"
        ));
    }
    for job in &unfinished {
        if job.pending() > 0 {
            waiting_for.push(format!("{} units of {}", job.pending(), job.id));
        } else if job.kind != JobKind::Live && job.salesforce != SalesforceStatus::Sealed {
            waiting_for.push(format!("{} to be read", job.id));
        }
    }
    let workers = stores.reports.reports().await?;
    let open_gaps = stores
        .position
        .gaps()
        .await?
        .into_iter()
        .filter(|gap| gap.closed.is_none())
        .collect::<Vec<_>>();
    if !open_gaps.is_empty() {
        waiting_for.push(format!("{} gaps to be caught up", open_gaps.len()));
    }
    let jobs = stores
        .jobs
        .list(JOBS)
        .await?
        .into_iter()
        .map(JobStatus::from)
        .collect::<Vec<_>>();
    let parked = stores.parked.counts().await?;
    let troubles = troubles(&workers, read_at, dead, &open_gaps, &parked, &jobs);
    let at_rest = waiting_for.is_empty();
    let reason = match (troubles.is_empty(), at_rest) {
        (false, _) => troubles.join("; "),
        (true, true) => "everything heard from Salesforce is in mOS".to_owned(),
        (true, false) => format!("working: {}", waiting_for.join(", ")),
    };
    Ok(Status {
        verdict: if troubles.is_empty() {
            Verdict::Healthy
        } else {
            Verdict::Degraded
        },
        reason,
        at_rest,
        waiting_for,
        read_at,
        stream,
        polls,
        permissions_polled,
        permitted_users: stores.permissions.latest().await?.permitted(read_at).len(),
        settings_revision: stores.settings.current().await?.revision,
        queues,
        waiting_to_retry,
        dead,
        parked,
        open_gaps,
        workers,
        jobs,
    })
}

fn troubles(
    workers: &BTreeMap<String, Report>,
    now: Timestamp,
    dead: u64,
    gaps: &[Gap],
    parked: &BTreeMap<FailureKind, u64>,
    jobs: &[JobStatus],
) -> Vec<String> {
    let mut troubles = Vec::new();
    for service in crate::Service::ALL {
        match workers.get(service.name()) {
            None => troubles.push(format!("the {} has never run", service.name())),
            Some(report) => match &report.state {
                WorkerState::Paused(why) => {
                    troubles.push(format!("the {} is paused: {why}", service.name()));
                }
                WorkerState::Failing(why) => {
                    troubles.push(format!("the {} fails: {why}", service.name()));
                }
                WorkerState::Running if now.since(report.at) > SILENT => {
                    troubles.push(format!(
                        "the {} has not been heard of for {} s; is it running?",
                        service.name(),
                        now.since(report.at).as_secs()
                    ));
                }
                WorkerState::Running => {}
            },
        }
    }
    if dead > 0 {
        troubles.push(format!(
            "{dead} messages could not be read and are set aside"
        ));
    }
    let need_a_person = parked.values().sum::<u64>();
    if need_a_person > 0 {
        troubles.push(format!(
            "{need_a_person} records are parked (see `mosync parked list`)"
        ));
    }
    if !gaps.is_empty() {
        troubles.push(format!(
            "{} gaps in the event stream are being caught up",
            gaps.len()
        ));
    }
    troubles.extend(
        jobs.iter()
            .filter(|job| job.mos == MosStatus::Failed)
            .map(|job| format!("{} has failed: {}", job.id, why(job))),
    );
    troubles
}

fn why(job: &JobStatus) -> String {
    job.error
        .clone()
        .unwrap_or_else(|| format!("its sums do not close: {:?}", job.tally.difference()))
}

impl From<Job> for JobStatus {
    fn from(job: Job) -> Self {
        Self {
            kind: job.kind,
            salesforce: job.salesforce,
            mos: job.mos(),
            units: job.units,
            pending: job.pending(),
            id: job.id.to_string(),
            tally: job.tally,
            error: job.error,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use embedded::{Embedded, Location};
    use ports::Clock;
    use ports::source::ReplayId;

    use super::*;

    #[derive(Debug)]
    struct Noon;

    impl Clock for Noon {
        fn now(&self) -> Timestamp {
            at(0)
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(1_790_000_000_000_000 + second * 1_000_000)
    }

    fn poll(polled: Option<i64>, found: Option<i64>) -> PollState {
        PollState {
            from: at(-900),
            under_way: None,
            polled: polled.map(at),
            found: found.map(at),
            hole: false,
        }
    }

    /// What is waited for with the last event at second -60, permissions polled at second -10,
    /// and users and accounts polled.
    async fn waited_for(user: Option<PollState>, account: Option<PollState>) -> Vec<String> {
        let clock = Arc::new(Noon) as Arc<dyn Clock>;
        let embedded = Embedded::open(Location::Memory, Arc::clone(&clock)).unwrap();
        let stores = embedded.stores();
        let stream = StreamState {
            position: ReplayId(vec![1]),
            at_end: true,
            heard: at(-1),
            last_event: Some(at(-60)),
        };
        let polls = [(ObjectKind::User, user), (ObjectKind::Account, account)];
        stores.position.store_stream("all", &stream).await.unwrap();
        stores.permissions.mark_polled(at(-10)).await.unwrap();
        for (object, state) in &polls {
            if let Some(state) = state {
                stores.position.store_poll(*object, state).await.unwrap();
            }
        }
        let adapters = Adapters {
            queue: embedded.queue(),
            stores,
            clock,
            name: "embedded",
        };
        let polled = polls.iter().map(|(object, _)| *object).collect();
        let status = read(&adapters, "all", &polled).await.unwrap();
        assert_eq!(status.at_rest, status.waiting_for.is_empty());
        status.waiting_for
    }

    #[tokio::test]
    async fn rest_is_when_every_polled_object_was_polled_after_the_last_change() {
        let users = poll(Some(-30), None);
        let never = waited_for(Some(users.clone()), None).await;
        assert_eq!(never, ["the first poll of Account"]);
        let first_under_way = waited_for(Some(users.clone()), Some(poll(None, Some(-40)))).await;
        assert_eq!(first_under_way, ["the first poll of Account"]);
        let before_the_event = waited_for(Some(users.clone()), Some(poll(Some(-61), None))).await;
        assert_eq!(
            before_the_event,
            ["a poll of Account after the last change"]
        );
        // What the poll of accounts came upon may have been written together with users.
        let before_a_find = waited_for(Some(users.clone()), Some(poll(Some(-15), Some(-20)))).await;
        assert_eq!(before_a_find, ["a poll of User after the last change"]);
        let permissions = waited_for(Some(poll(Some(-4), None)), Some(poll(Some(-4), Some(-5))));
        assert_eq!(
            permissions.await,
            ["a reading of permissions after the last change"]
        );
        let rest = waited_for(Some(users), Some(poll(Some(-25), Some(-50)))).await;
        assert!(rest.is_empty(), "{rest:?}");
    }
}
