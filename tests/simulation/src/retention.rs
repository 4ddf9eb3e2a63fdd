//! What is older than is kept is forgotten, and nothing else.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::job::{Job, JobId, JobKind, JobScope, Pause, PausedBy, SalesforceStatus};
use ports::Clock as _;
use ports::stores::{Gap, GapCause, LogEntry, LogLevel, LogQuery};
use runtime::config::Retention;
use serde_json::json;

use crate::moves::until;
use crate::office::Office;

const HOUR: Duration = Duration::from_secs(3_600);
const LINES: u64 = 50;

async fn job(office: &Office, number: u128, kind: JobKind) -> Job {
    let id = JobId::new(kind, uuid::Uuid::from_u128(number));
    let now = office.world.clock.now();
    let job = Job::queued(id, kind, JobScope::Everything, now);
    office.world.stores.jobs.create(&job).await.unwrap();
    job
}

async fn gap_of(office: &Office, job: &Job) -> String {
    let gap = Gap {
        id: job.id.to_string(),
        cause: GapCause::Overflow,
        since: job.requested,
        opened: job.requested,
        evidence: "an event".to_owned(),
        job: job.id.clone(),
        closed: None,
    };
    let position = &office.world.stores.position;
    position.open_gap(&gap, job).await.unwrap();
    gap.id
}

/// The sentences of the log.
async fn log(office: &Office) -> Vec<String> {
    let log = &office.world.stores.log;
    let page = log.search(&LogQuery::default(), None, 10_000).await;
    let entries = page.unwrap().entries.into_iter();
    entries.map(|(_, entry)| entry.message).collect()
}

#[tokio::test(start_paused = true)]
async fn ended_jobs_closed_gaps_and_old_lines_are_forgotten_and_nothing_else() {
    let office = Office::open(|office| {
        office.world.retention = Retention {
            jobs: HOUR,
            log: 2 * HOUR,
            log_lines: LINES,
        };
        let owner = office.user("Ada");
        office.grant(&owner);
        office.deal(&owner, &json!({}));
    })
    .await;
    let stores = &office.world.stores;
    let now = office.world.clock.now();
    let loads = stores.jobs.newest(JobKind::SyncAll).await.unwrap();
    let first_load = loads.unwrap().id;
    // One that is over, with its gap; one that a person holds, with its gap.
    let over = job(&office, 1, JobKind::CatchUp).await;
    let closed = gap_of(&office, &over).await;
    let cancelled = SalesforceStatus::Cancelled;
    let moved = stores.jobs.transition(&over.id, cancelled, now, None).await;
    moved.unwrap();
    stores.position.close_gap(&closed, now).await.unwrap();
    let held = job(&office, 2, JobKind::CatchUp).await;
    let pause = Pause {
        since: now,
        by: PausedBy::Person,
        why: "lunch".to_owned(),
        until: None,
    };
    assert!(stores.jobs.pause(&held.id, &pause).await.unwrap());
    let open = gap_of(&office, &held).await;
    for number in 0..4 * LINES {
        let entry = LogEntry {
            at: office.world.clock.now(),
            level: LogLevel::Info,
            topic: "test".to_owned(),
            job: None,
            record: None,
            message: format!("line {number}."),
        };
        stores.log.append(&entry).await.unwrap();
    }
    let says = |log: &[String], line: u64| log.contains(&format!("line {line}."));
    let last = 4 * LINES - 1;

    until("the log is cut to its newest lines", async || {
        let log = log(&office).await;
        log.len() as u64 <= LINES && says(&log, last) && !says(&log, 0)
    })
    .await;
    let known = async |id: &JobId| stores.jobs.get(id).await.unwrap().is_some();
    assert!(known(&first_load).await && known(&over.id).await);
    let gaps = async || {
        let gaps = stores.position.gaps().await.unwrap().into_iter();
        gaps.map(|gap| gap.id).collect::<BTreeSet<_>>()
    };
    assert_eq!(gaps().await.len(), 2);

    // An hour later, and no sooner.
    tokio::time::sleep(HOUR / 2).await;
    assert!(known(&first_load).await && known(&over.id).await);
    tokio::time::sleep(HOUR).await;
    assert!(!known(&first_load).await && !known(&over.id).await);
    assert!(known(&held.id).await);
    assert_eq!(gaps().await, BTreeSet::from([open]));
    assert!(says(&log(&office).await, last));

    // Lines go with their time too, however few there are.
    tokio::time::sleep(HOUR).await;
    assert!(!says(&log(&office).await, last));
}
