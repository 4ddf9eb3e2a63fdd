//! The page Sync Status: its numbers are those of the API.

use domain::ObjectKind;
use domain::failure::FailureKind;
use domain::job::{Job, JobKind, SalesforceStatus};
use domain::tally::Count;
use domain::unit::{Lane, QueueName, Stage};
use ports::queue::Message;
use ports::stores::{OLDEST, UNSETTLED, WorkerState};
use runtime::figures;
use serde_json::Value;

use super::half_done;
use crate::desk::Desk;
use crate::web::{Browser, OPERATOR, VIEWER, between};

fn thousands(number: &Value) -> String {
    let digits = number.as_u64().unwrap().to_string();
    match digits.split_at_checked(digits.len().saturating_sub(3)) {
        Some((thousands, rest)) if !thousands.is_empty() => format!("{thousands},{rest}"),
        _ => digits,
    }
}

/// The value under a figure's name.
fn figure(page: &str, name: &str) -> String {
    between(page, &format!("<dt>{name}</dt><dd>"), "</dd>")
}

#[tokio::test]
async fn sync_status_shows_the_numbers_of_the_api() {
    let desk = Desk::open();
    let job = half_done(&desk).await;
    desk.park(1, |_| {}).await;
    let told = [
        (figures::API_MAX, 15_000),
        (figures::API_USED, 7_123),
        (figures::API_OURS, 2_001),
    ];
    desk.report("listener", WorkerState::Running, &told).await;
    let became = [
        (Count::Read, 4_321),
        (Count::Updated, 321),
        (Count::Skipped, 4_000),
    ];
    let live = desk.live(ObjectKind::Contact, 10, &became).await;

    let browser = Browser::of(&desk, VIEWER).await;
    let hour = browser.page(&format!("/jobs/{live}")).await;
    assert_eq!(figure(&hour, "Records read"), "4,321");
    let page = browser.page("/sync-status").await;
    let api = browser.door.get("/api/v1/status").await.json();
    let of_job = &api["last_sync_all"];
    assert_eq!(of_job["id"], job.id.as_str());
    for heading in ["Salesforce Job Status", "mOS Job Status"] {
        assert!(
            page.contains(&format!("<h2>{heading}</h2>")),
            "{heading}: {page}"
        );
    }
    let account = &of_job["objects"]["Account"];
    assert_eq!(
        figure(&page, "Records read"),
        format!(
            "{} of {}",
            thousands(&account["read"]),
            thousands(&account["total"])
        )
    );
    assert_eq!(
        figure(&page, "Records done"),
        format!(
            "{} of {}",
            thousands(&of_job["done"]),
            thousands(&of_job["total"])
        )
    );
    assert_eq!(figure(&page, "Done"), format!("{} %", of_job["percent"]));
    assert_eq!(
        figure(&page, "Records/s"),
        format!("{:.1}", of_job["per_second"].as_f64().unwrap())
    );
    let seconds = of_job["remaining_s"].as_u64().unwrap();
    assert_eq!(figure(&page, "Time left"), format!("{seconds} s"));
    assert_eq!(
        figure(&page, "Created or updated"),
        thousands(&account["tally"]["created"])
    );
    let hours = api["hours"].as_array().unwrap();
    assert_eq!(hours.len(), 24);
    let now = &hours[23];
    assert_eq!((&now["read"], &now["sent"]), (&4_321.into(), &321.into()));
    assert_eq!(figure(&page, "Changes this hour"), thousands(&now["read"]));
    assert!(page.contains("4,321 changes came, 321 records were created or updated"));
    let live = &api["jobs"][0];
    assert_eq!(live["kind"], "live");
    let rate = live["per_second"]
        .as_f64()
        .map_or("0.0".to_owned(), |rate| format!("{rate:.1}"));
    assert_eq!(figure(&page, "Changes/s this hour"), rate);
    assert_eq!(figure(&page, "Parked records"), "1");
    let allowance = &api["api"];
    assert!(page.contains(&format!(
        "{} of {} used",
        thousands(&allowance["used"]),
        thousands(&allowance["max"])
    )));
    assert!(page.contains(&format!(
        "{} of them by mosync",
        thousands(&allowance["ours"])
    )));
    // Advice with what is wrong.
    assert!(page.contains(FailureKind::ValueTooLong.advice()));
    assert!(
        page.contains("&lt;script&gt;") && !page.contains("<script>"),
        "{page}"
    );
}

#[tokio::test]
async fn what_changes_by_itself_is_read_aloud_and_the_chart_has_its_numbers() {
    let desk = Desk::open();
    let became = [(Count::Read, 4_321), (Count::Updated, 4_321)];
    desk.live(ObjectKind::Contact, 0, &became).await;
    let browser = Browser::of(&desk, OPERATOR).await;
    let page = browser.page("/sync-status").await;
    for part in [
        "data-live-part=\"said\" aria-live=\"polite\"",
        "id=\"live-state\" role=\"status\"",
        "<summary>The same in numbers</summary>",
        "data-column=\"Changes that came\">4,321</td>",
        "Times are in <span data-zone>UTC</span>",
        "href=\"/settings/sync-all\">Sync all data to mOS</a>",
        "<h2>Salesforce Job Status",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    let viewer = Browser::of(&desk, VIEWER).await;
    let page = viewer.page("/sync-status").await;
    assert!(!page.contains("Sync all data to mOS</a>"), "{page}");
    // Of fifty tick boxes none is called as another.
    let parked = desk.park(1, |_| {}).await;
    let page = browser.page("/parked").await;
    let label = format!(
        "<label for=\"record-{0}\">Contact<span class=\"only-read\"> {0}</span>",
        parked.id
    );
    assert!(page.contains(&label), "{page}");
}

#[tokio::test]
async fn what_is_wrong_stays_named_beside_parked_records_and_behind_many_jobs() {
    let desk = Desk::open();
    let failed = desk.job(JobKind::Backfill, "failed").await;
    let why = Some("no <b>rows</b>");
    desk.transition(&failed.id, SalesforceStatus::Failed, why)
        .await;
    desk.park(1, |_| {}).await;
    let became = [(Count::Read, 50), (Count::Updated, 50)];
    desk.live(ObjectKind::Contact, 10, &became).await;
    let running = desk.job(JobKind::Backfill, "running").await;
    for number in 0..25 {
        desk.pass(1);
        let retry = desk.job(JobKind::Retry, &format!("retry {number}")).await;
        desk.transition(&retry.id, SalesforceStatus::Cancelled, None)
            .await;
    }
    let browser = Browser::of(&desk, VIEWER).await;
    let page = browser.page("/sync-status").await;
    let attention = between(&page, "<h2>Needs attention</h2>", "</section>");
    for told in [
        "no &lt;b&gt;rows&lt;/b&gt;",
        "The loader has never run.",
        "1 parked: ",
    ] {
        assert!(attention.contains(told), "{told} in {attention}");
    }
    let api = browser.door.get("/api/v1/status").await.json();
    let rate = api["live"]["per_second"].as_f64().unwrap();
    assert!(rate > 0.0);
    assert_eq!(figure(&page, "Changes/s this hour"), format!("{rate:.1}"));
    let shown = "<strong>Running: </strong>Backfill: ";
    assert!(page.contains(shown), "{page}");
    assert!(
        page.contains(&format!("href=\"/jobs/{}\">Open the job", running.id)),
        "{page}"
    );
}

#[tokio::test]
async fn the_latest_job_is_the_one_that_ended_last_behind_however_many_newer_ones() {
    let desk = Desk::open();
    let end = async |job: &Job| {
        desk.transition(&job.id, SalesforceStatus::Cancelled, None)
            .await;
        desk.pass(1);
    };
    let long = desk.job(JobKind::Backfill, "long").await;
    for number in 0..25 {
        end(&desk.job(JobKind::Retry, &number.to_string()).await).await;
    }
    end(&long).await;
    // Live changes are no sync.
    end(&desk.job(JobKind::Live, "an hour").await).await;
    let browser = Browser::of(&desk, VIEWER).await;
    let api = browser.door.get("/api/v1/status").await.json();
    assert_eq!(api["last_ended"]["id"], long.id.as_str());
    let page = browser.page("/sync-status").await;
    for told in [
        format!("Most recent sync: <a href=\"/jobs/{}\">", long.id),
        "<strong>Latest: </strong>Backfill: ".to_owned(),
    ] {
        assert!(page.contains(&told), "{told} in {page}");
    }
}

#[tokio::test]
async fn lag_and_queues_are_those_of_the_api() {
    let desk = Desk::open();
    let browser = Browser::of(&desk, VIEWER).await;
    let lag = async || figure(&browser.page("/sync-status").await, "Lag");
    assert_eq!(lag().await, "none");
    let began = desk.now();
    desk.pass(75);
    let tells = async |worker: &str, figures: &[(&str, i64)]| {
        desk.report(worker, WorkerState::Running, figures).await;
    };
    tells("loader", &[(OLDEST, began.as_micros()), (UNSETTLED, 2)]).await;
    assert_eq!(lag().await, "1 min 15 s");
    // The oldest of all stages.
    let younger = desk.now().as_micros();
    tells("permission", &[(OLDEST, younger), (UNSETTLED, 1)]).await;
    assert_eq!(lag().await, "1 min 15 s");
    for (number, stage) in [(1, Stage::Load), (2, Stage::Filter), (3, Stage::Load)] {
        let message = Message {
            id: format!("m-{number}"),
            kind: "a test".to_owned(),
            version: 1,
            body: b"x".to_vec(),
        };
        let queue = QueueName::new(stage, Lane::Live);
        desk.queue.publish(queue, &message).await.unwrap();
    }
    let page = browser.page("/sync-status").await;
    assert_eq!(figure(&page, "Units in queues"), "3");
    let api = browser.door.get("/api/v1/status").await.json();
    assert_eq!(api["queues"]["load.live"], 2);
    assert_eq!(api["stages"][2]["oldest_age_s"], 75);
    // Nobody has looked at what is before the filter; and then nobody at anything.
    assert_eq!(lag().await, "1 min 15 s or more");
    tells("loader", &[]).await;
    tells("permission", &[]).await;
    assert_eq!(lag().await, "not known");
    let page = browser.page("/sync-status").await;
    let untold = "data-column=\"Oldest\">not known";
    assert_eq!(page.matches(untold).count(), 2);
}
