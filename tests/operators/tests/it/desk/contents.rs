//! What an operator may find at the desk.

use std::collections::BTreeSet;

use domain::failure::FailureKind;
use domain::job::{Job, JobId, JobKind, JobScope, Pause, PausedBy, SalesforceStatus};
use domain::parked::Parked;
use domain::tally::{Count, Tally};
use domain::unit::{
    Cause, Envelope, Lane, MESSAGE_TYPE, MESSAGE_VERSION, QueueName, Stage, UnitRecord,
};
use domain::{ObjectKind, SalesforceId, Timestamp, Version};
use ports::queue::Message;
use ports::stores::{Gap, GapCause, LogEntry, LogLevel, LogQuery, Report, WorkerState};

use super::{Desk, record};

impl Desk {
    /// A job of a kind, queued.
    pub(crate) async fn job(&self, kind: JobKind, name: &str) -> Job {
        let id = JobId::new(kind, domain::job::uuid_of(name));
        let job = Job::queued(id, kind, JobScope::Everything, self.now());
        self.stores.jobs.create(&job).await.unwrap();
        job
    }

    /// More newer jobs, all of them over, than are looked through.
    pub(crate) async fn many_small_jobs(&self) {
        self.pass(1);
        for number in 0..505 {
            let retry = self.job(JobKind::Retry, &number.to_string()).await;
            let cancelled = SalesforceStatus::Cancelled;
            self.transition(&retry.id, cancelled, None).await;
        }
    }

    /// Moves a job on, and says why where it failed.
    pub(crate) async fn transition(&self, job: &JobId, to: SalesforceStatus, why: Option<&str>) {
        let jobs = &self.stores.jobs;
        let moved = jobs.transition(job, to, self.now(), why).await;
        moved.unwrap();
    }

    /// Holds a job, until then where that is known.
    pub(crate) async fn pause(
        &self,
        job: &JobId,
        by: PausedBy,
        why: &str,
        until: Option<Timestamp>,
    ) {
        let pause = Pause {
            since: self.now(),
            by,
            why: why.to_owned(),
            until,
        };
        assert!(self.stores.jobs.pause(job, &pause).await.unwrap());
    }

    pub(crate) async fn stored(&self, id: &JobId) -> Job {
        self.stores.jobs.get(id).await.unwrap().unwrap()
    }

    /// A unit of live changes, and what became of them within so many seconds; the hour's job.
    pub(crate) async fn live(
        &self,
        object: ObjectKind,
        seconds: i64,
        became: &[(Count, u64)],
    ) -> JobId {
        let live = JobId::live(self.now());
        let jobs = &self.stores.jobs;
        let index = jobs.open_live_unit(&live, self.now()).await.unwrap();
        self.pass(seconds);
        let mut tally = Tally::default();
        for (count, records) in became {
            tally.add_many(object, *count, *records);
        }
        let counted = jobs.count(&live, index, None, &tally, self.now()).await;
        assert!(counted.unwrap());
        live
    }

    /// A hole in what was heard, which this job fills.
    pub(crate) async fn gap(&self, id: &str, cause: GapCause, evidence: &str, job: &Job) {
        let gap = Gap {
            id: id.to_owned(),
            cause,
            since: self.now(),
            opened: self.now(),
            evidence: evidence.to_owned(),
            job: job.id.clone(),
            closed: None,
        };
        self.stores.position.open_gap(&gap, job).await.unwrap();
    }

    /// What a worker says of itself.
    pub(crate) async fn report(&self, worker: &str, state: WorkerState, figures: &[(&str, i64)]) {
        let figures = figures.iter();
        let report = Report {
            at: self.now(),
            state,
            figures: figures
                .map(|(name, value)| ((*name).to_owned(), *value))
                .collect(),
            out_of_reach: BTreeSet::new(),
        };
        self.stores.reports.report(worker, &report).await.unwrap();
    }

    /// All workers say that they run.
    pub(crate) async fn workers_run(&self) {
        for worker in ["listener", "filter", "permission", "loader"] {
            self.report(worker, WorkerState::Running, &[]).await;
        }
    }

    /// A parked contact that mOS refuses.
    pub(crate) async fn park(&self, number: u32, change: impl FnOnce(&mut Parked)) -> Parked {
        let mut parked = Parked {
            object: ObjectKind::Contact,
            id: record(ObjectKind::Contact, number),
            stage: Stage::Load,
            kind: FailureKind::ValueTooLong,
            code: Some("value_too_long".to_owned()),
            message: "title is too long".to_owned(),
            parent: None,
            rule_revision: 0,
            version: Version::at(self.now()),
            since: self.now(),
            retries: 0,
            retry_at: None,
            released: None,
            job: None,
            dismissed: None,
        };
        change(&mut parked);
        self.stores
            .parked
            .park(std::slice::from_ref(&parked))
            .await
            .unwrap();
        parked
    }

    /// A unit of a job, of so many contacts, with one more that was filtered already.
    pub(crate) fn unit(&self, job: &JobId, index: u64, contacts: u32) -> Envelope {
        let contact = |number| UnitRecord {
            object: ObjectKind::Contact,
            id: record(ObjectKind::Contact, number),
            cause: Cause::Snapshot,
            row: None,
            owners: BTreeSet::new(),
            last_word: false,
            entering: false,
        };
        let org = SalesforceId::parse("00D000000000001").unwrap();
        let records = (0..contacts).map(contact).collect();
        let mut unit = Envelope::new(job.clone(), index, Lane::Bulk, org, self.now(), records);
        unit.tally.add(ObjectKind::Contact, Count::Read);
        unit.tally.add(ObjectKind::Contact, Count::Filtered);
        unit
    }

    /// A message that a worker could not process: its id.
    pub(crate) async fn die(&self, id: &str, body: Vec<u8>) -> String {
        let from = QueueName::new(Stage::Load, Lane::Bulk);
        let message = Message {
            id: id.to_owned(),
            kind: MESSAGE_TYPE.to_owned(),
            version: MESSAGE_VERSION,
            body,
        };
        self.queue.publish(from, &message).await.unwrap();
        let mut subscription = self.queue.subscribe(from, 1).await.unwrap();
        let incoming = subscription.next().await.unwrap();
        incoming
            .delivery
            .dead_letter("nobody can process it")
            .await
            .unwrap();
        id.to_owned()
    }

    /// The integration log, newest first.
    pub(crate) async fn log(&self) -> Vec<LogEntry> {
        let page = self
            .stores
            .log
            .search(&LogQuery::default(), None, 1000)
            .await
            .unwrap();
        page.entries.into_iter().map(|(_, entry)| entry).collect()
    }

    /// A line of the integration log.
    pub(crate) async fn write(&self, message: &str, change: impl FnOnce(&mut LogEntry)) {
        let mut line = LogEntry {
            at: self.now(),
            level: LogLevel::Info,
            topic: "job".to_owned(),
            job: None,
            record: None,
            message: message.to_owned(),
        };
        change(&mut line);
        self.stores.log.append(&line).await.unwrap();
    }
}
