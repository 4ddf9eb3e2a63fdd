//! The integration log as an operator searches it, written by the services themselves: what held
//! them up, what became of jobs on both sides, and which records were refused.

use std::time::Duration;

use console::Caller;
use console::views::{LogLine, LogSearch};
use domain::job::{JobKind, SalesforceStatus};
use domain::{ObjectKind, SalesforceId};
use fake_mos::{Fault, RejectCode};
use ports::stores::LogLevel;
use serde_json::json;

use crate::chance::Rates;
use crate::office::Office;
use crate::world::Service;

/// Longer than a job must stand still to be stalled.
const A_WHILE: Duration = Duration::from_secs(15 * 60);
/// What no line may hold: somebody's name, address or business.
const SECRET: &str = "Zaphod";
const DEALS: usize = 15;

/// The lines that are found, oldest first.
async fn found(office: &Office, search: LogSearch) -> Vec<LogLine> {
    let search = LogSearch {
        limit: Some(500),
        ..search
    };
    let page = office
        .world
        .operations()
        .logs(&search, console::rights::Right::Administer)
        .await
        .unwrap();
    let mut lines = page.entries;
    lines.reverse();
    lines
}

async fn about_job(office: &Office, job: &str) -> Vec<String> {
    let search = LogSearch {
        job: Some(job.to_owned()),
        ..LogSearch::default()
    };
    let lines = found(office, search).await;
    lines.into_iter().map(|line| line.message).collect()
}

async fn about_topic(office: &Office, topic: &str) -> Vec<(LogLevel, String)> {
    let search = LogSearch {
        topic: Some(topic.to_owned()),
        ..LogSearch::default()
    };
    let lines = found(office, search).await;
    let lines = lines.into_iter().map(|line| (line.level, line.message));
    lines.collect()
}

/// Waits until a line of a job says so.
async fn says(office: &Office, job: &str, what: &str) {
    let end = tokio::time::Instant::now() + A_WHILE;
    loop {
        let lines = about_job(office, job).await;
        if lines.iter().any(|line| line.contains(what)) {
            return;
        }
        assert!(tokio::time::Instant::now() < end, "{what}: {lines:#?}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Whether these are said in this order, with whatever else between them.
fn in_order(lines: &[String], said: &[&str]) {
    let mut lines_left = lines.iter();
    for what in said {
        assert!(
            lines_left.any(|line| line.contains(what)),
            "{what}: {lines:#?}"
        );
    }
}

/// An owner with deals, whose Salesforce or mOS fails like that once faults are on.
async fn office(rates: Rates) -> (Office, Vec<String>) {
    let mut deals = Vec::new();
    let office = Office::open_with(rates, |office| {
        let owner = office.user(SECRET);
        office.grant(&owner);
        for number in 0..DEALS {
            let fields = json!({ "Name": format!("{SECRET} {number}"), "NextStep": SECRET });
            deals.push(office.deal(&owner, &fields));
        }
    })
    .await;
    (office, deals)
}

async fn the_job(office: &Office, kind: JobKind) -> String {
    let jobs = office.world.stores.jobs.list(100).await.unwrap();
    let job = jobs.into_iter().find(|job| job.kind == kind).unwrap();
    job.id.to_string()
}

async fn nothing_personal(office: &Office) {
    for line in found(office, LogSearch::default()).await {
        let text = line.message.to_lowercase();
        assert!(!text.contains(&SECRET.to_lowercase()), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_mos_and_what_became_of_jobs_are_found() {
    let rates = Rates {
        mos_unreachable: 1.0,
        ..Rates::NONE
    };
    let (office, deals) = office(rates).await;
    let first = the_job(&office, JobKind::SyncAll).await;
    in_order(
        &about_job(&office, &first).await,
        &[
            "first load of this org is queued",
            "has begun",
            " reads ",
            "is being loaded into mOS",
            "has published everything",
            &format!("is completed in mOS: {} read", DEALS + 1),
        ],
    );
    assert_eq!(about_topic(&office, "mos").await, []);

    // mOS is down; a job that is under way then is stalled.
    office.world.chance.set_faulty(true);
    let ops = office.world.operations();
    let second = ops.sync_all(Caller::CommandLine).await.unwrap().job.id;
    says(&office, &second, "is stalled").await;
    let held = about_topic(&office, "mos").await;
    let [(LogLevel::Warning, why)] = held.as_slice() else {
        panic!("{held:#?}");
    };
    assert!(why.contains("the loader is held up since"), "{why}");
    assert!(why.contains("mOS did not answer"), "{why}");
    office.world.chance.set_faulty(false);
    office.rest().await;
    let held = about_topic(&office, "mos").await;
    let [_, (LogLevel::Info, over)] = held.as_slice() else {
        panic!("{held:#?}");
    };
    assert!(over.contains("the loader goes on since"), "{over}");
    in_order(
        &about_job(&office, &second).await,
        &[
            "is stalled",
            "has published everything",
            "is completed in mOS: ",
        ],
    );

    // Cancelled while something of it is on its way.
    office.world.chance.set_faulty(true);
    let third = ops.sync_all(Caller::CommandLine).await.unwrap().job.id;
    let under_way = async || {
        let job = ops.job(&third).await.unwrap();
        job.units > 0
    };
    while !under_way().await {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let cancelled = ops.cancel_job(&third, None, Caller::CommandLine).await;
    cancelled.unwrap();
    office.world.chance.set_faulty(false);
    office.rest().await;
    in_order(
        &about_job(&office, &third).await,
        &["has begun", "cancelled by", "is cancelled in mOS"],
    );
    // The levels tell them apart.
    let search = LogSearch {
        job: Some(third),
        level: Some("warning".to_owned()),
        ..LogSearch::default()
    };
    let warned = found(&office, search).await;
    assert!(
        warned
            .iter()
            .any(|line| line.message.contains("is cancelled in mOS")),
        "{warned:#?}"
    );
    assert!(warned.iter().all(|line| line.level >= LogLevel::Warning));
    office.update(
        "Opportunity",
        &deals[0],
        &json!({ "NextStep": "Zaphod again" }),
    );
    office.rest().await;
    nothing_personal(&office).await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_record_is_found_by_its_id_its_object_and_its_job() {
    let (office, deals) = office(Rates::NONE).await;
    let refuse = |ids: Vec<String>| Fault::Reject {
        code: RejectCode::InvalidField,
        field: Some("next_step".to_owned()),
        probability: None,
        ids,
        count: None,
    };
    let ids = |ids: &[String]| {
        let ids = ids.iter().map(|id| SalesforceId::parse(id).unwrap());
        ids.map(|id| id.to_string()).collect::<Vec<_>>()
    };
    let one = ids(&deals[..1]);
    office.world.mos.fault(refuse(one.clone())).unwrap();
    office.update(
        "Opportunity",
        &deals[0],
        &json!({ "NextStep": SECRET.repeat(2) }),
    );
    office.rest().await;
    let hour = the_job(&office, JobKind::Live).await;
    let error = Some("error".to_owned());
    let searches = [
        LogSearch {
            record: Some(one[0].clone()),
            ..LogSearch::default()
        },
        LogSearch {
            object: Some("Opportunity".to_owned()),
            level: error.clone(),
            ..LogSearch::default()
        },
        LogSearch {
            job: Some(hour),
            level: error.clone(),
            topic: Some("parked".to_owned()),
            ..LogSearch::default()
        },
    ];
    for search in searches {
        let lines = found(&office, search.clone()).await;
        let [line] = lines.as_slice() else {
            panic!("{search:?}: {lines:#?}");
        };
        assert_eq!(line.object, Some(ObjectKind::Opportunity));
        assert_eq!(line.record.map(|id| id.to_string()), Some(one[0].clone()));
        assert!(
            line.job
                .as_ref()
                .is_some_and(|job| job.starts_with("live-"))
        );
        assert!(line.message.contains("invalid_field"), "{}", line.message);
    }

    // Many at a time: some have a line each, the others one together.
    office.world.mos.fault(Fault::Clear).unwrap();
    office.world.mos.fault(refuse(ids(&deals))).unwrap();
    let ops = office.world.operations();
    let job = ops.sync_all(Caller::CommandLine).await.unwrap().job.id;
    office.rest().await;
    let search = LogSearch {
        job: Some(job.clone()),
        topic: Some("parked".to_owned()),
        ..LogSearch::default()
    };
    let lines = found(&office, search).await;
    let (each, together): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.record.is_some());
    assert_eq!((each.len(), together.len()), (10, 1), "{lines:#?}");
    assert!(
        together[0].message.starts_with("5 more records"),
        "{together:#?}"
    );
    says(&office, &job, "is completed in mOS with errors").await;
    nothing_personal(&office).await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_salesforce_does_not_answer_says_so_and_that_it_goes_on() {
    let rates = Rates {
        source_unreachable: 1.0,
        ..Rates::NONE
    };
    let (office, deals) = office(rates).await;
    office.world.chance.set_faulty(true);
    let filter = async || {
        let lines = about_topic(&office, "salesforce").await;
        let lines = lines.into_iter().map(|(_, line)| line);
        lines
            .filter(|line| line.contains("the filter"))
            .collect::<Vec<_>>()
    };
    for deal in &deals {
        office.update(
            "Opportunity",
            deal,
            &json!({ "NextStep": SECRET.repeat(2) }),
        );
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    let held = filter().await;
    assert!(
        held.first()
            .is_some_and(|line| line.contains("the filter is held up since")
                && line.contains("Salesforce did not answer")),
        "{held:#?}"
    );
    office.world.chance.set_faulty(false);
    office.rest().await;
    let end = tokio::time::Instant::now() + A_WHILE;
    loop {
        let held = filter().await;
        let last = held.last().unwrap();
        if last.contains("the filter goes on since") {
            break;
        }
        assert!(tokio::time::Instant::now() < end, "{held:#?}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    nothing_personal(&office).await;
}

#[tokio::test(start_paused = true)]
async fn what_ends_while_no_listener_runs_is_told_by_the_next_one() {
    let (mut office, _) = office(Rates::NONE).await;
    office.world.kill(Service::Loader).await;
    let ops = office.world.operations();
    let job = ops.sync_all(Caller::CommandLine).await.unwrap().job.id;
    // Users first: nothing of the rest is read before they are loaded.
    let state = async |office: &Office| {
        let job = office.world.operations().job(&job).await.unwrap();
        (job.salesforce, job.units)
    };
    while state(&office).await.1 == 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    office.world.kill(Service::Listener).await;
    let stores = &office.world.stores;
    let id = domain::job::JobId::of(&job);
    let now = ports::Clock::now(&*office.world.clock);
    let cancelled = SalesforceStatus::Cancelled;
    stores
        .jobs
        .transition(&id, cancelled, now, None)
        .await
        .unwrap();
    office.world.start(Service::Loader);
    let ended = async |office: &Office| office.world.operations().job(&job).await.unwrap().over;
    while ended(&office).await.is_none() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    office.world.start(Service::Listener);
    says(&office, &job, "is cancelled in mOS").await;
    office.rest().await;
    let lines = about_job(&office, &job).await;
    let told = lines
        .iter()
        .filter(|line| line.contains("is cancelled in mOS"));
    assert_eq!(told.count(), 1, "{lines:#?}");
}
