//! Jobs that are cancelled while units of theirs wait for a worker: mOS hears nothing of these, what
//! it has stays as it is, and they are counted as cancelled.

use console::Caller;
use domain::job::{Job, JobId, JobKind, JobScope, MosStatus};
use domain::tally::Count;
use domain::unit::{Lane, QueueName, Stage};
use ports::Clock as _;
use serde_json::json;

use crate::judge;
use crate::moves::until;
use crate::office::Office;
use crate::world::Service;

/// More than one unit of them, each with an account of its own.
const DEALS: usize = 250;

async fn office() -> Office {
    let (office, _) = Office::with_owner(|office, owner| {
        for number in 0..DEALS {
            let account = office.insert("Account", &json!({ "Name": format!("{number}") }));
            office.deal(owner, &json!({ "AccountId": account }));
        }
    })
    .await;
    office
}

async fn job(office: &Office, id: &JobId) -> Job {
    let job = office.world.stores.jobs.get(id).await.unwrap();
    job.unwrap()
}

/// Asks for a job that reads everything in scope.
async fn ask_for(office: &Office, kind: JobKind) -> JobId {
    let id = JobId::new(kind, uuid::Uuid::from_u128(1));
    let now = office.world.clock.now();
    let job = Job::queued(id.clone(), kind, JobScope::Everything, now);
    office.world.stores.jobs.create(&job).await.unwrap();
    id
}

/// The first load is in mOS; the worker of a stage is down while a job is read, and starts again
/// when it is cancelled.
async fn is_cancelled_before(service: Service, stage: Stage, kind: JobKind, units: u64) {
    let case = format!("{kind:?} before {service:?}");
    let mut office = office().await;
    office.world.kill(service).await;
    let id = ask_for(&office, kind).await;
    let queue = office.world.embedded.queue();
    let waits = QueueName::new(stage, Lane::Bulk);
    until(&case, async || queue.depth(waits).await.unwrap() == units).await;
    let ops = office.world.operations();
    let cancelled = ops.cancel_job(id.as_str(), None, Caller::CommandLine).await;
    cancelled.unwrap();
    let (requests, had) = (
        office.world.mos.ledger_len(),
        judge::holdings(&office.world),
    );
    office.world.start(service);
    until(&case, async || job(&office, &id).await.is_over()).await;
    office.rest().await;
    let job = job(&office, &id).await;
    assert_eq!(job.outcome(), Some(MosStatus::Cancelled), "{case}");
    assert_eq!(job.failure(), None, "{case}");
    // None of them was given up as lost.
    let counts = (job.units, job.counted, job.abandoned);
    assert_eq!(counts, (units, units, 0), "{case}");
    let total = |count| job.tally.total(count);
    let came_in = total(Count::Read) + total(Count::Added);
    assert!(came_in >= DEALS as u64, "{case}: {:?}", job.tally);
    assert_eq!(total(Count::Cancelled), came_in, "{case}: {:?}", job.tally);
    assert_eq!(office.world.mos.ledger_len(), requests, "{case}");
    assert_eq!(judge::holdings(&office.world), had, "{case}");
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_worker_is_counted_as_cancelled_and_not_sent() {
    for (service, stage) in [
        (Service::Filter, Stage::Filter),
        (Service::Permission, Stage::Permission),
        (Service::Loader, Stage::Load),
    ] {
        // A sync-all waits with its first phase, users and accounts.
        is_cancelled_before(service, stage, JobKind::SyncAll, 3).await;
        is_cancelled_before(service, stage, JobKind::Backfill, 2).await;
    }
}
