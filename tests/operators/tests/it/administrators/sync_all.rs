//! The page of "Sync all data to mOS": asked first, with what it takes, and refused where it cannot run.

use domain::job::JobKind;
use domain::settings::Settings;
use http::StatusCode;

use super::{brought_before, furnished};
use crate::desk::Desk;

#[tokio::test]
async fn sync_all_asks_first_and_says_why_it_cannot_run() {
    let (desk, visitor) = furnished(&[1, 2, 3]).await;
    let ask = visitor.get("/settings/sync-all").await;
    for told in [
        "No data is deleted on the mOS side.",
        "while the mOS account is a blank slate",
        "What it will read",
        "API requests",
        "<td role=\"cell\" data-column=\"Records\">3</td>",
    ] {
        ask.has(told);
    }
    assert_eq!(
        desk.stores.jobs.list(9).await.unwrap().len(),
        0,
        "asking starts nothing"
    );
    let started = visitor
        .send("/settings/sync-all", &ask.form("/settings/sync-all"))
        .await;
    assert_eq!(started.status, StatusCode::SEE_OTHER, "{}", started.html);
    let jobs = desk.stores.jobs.list(9).await.unwrap();
    assert_eq!((jobs.len(), jobs[0].kind), (1, JobKind::SyncAll));
    // A second one: not while the first runs, and the page leads to it.
    let busy = visitor.get("/settings/sync-all").await;
    busy.has("A sync-all runs already");
    busy.has(jobs[0].id.as_str());
    busy.has("disabled>Sync all data to mOS");
    let again = visitor
        .send("/settings/sync-all", &busy.form("/settings/sync-all"))
        .await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert_eq!(desk.stores.jobs.list(9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn sync_all_says_what_it_takes_as_the_api_does() {
    let (desk, visitor) = furnished(&[1, 2, 3]).await;
    let ask = visitor.get("/settings/sync-all").await;
    ask.has("not known: no job has shown yet how fast it goes here");
    brought_before(&desk).await;
    let expected = desk.ops.expected_sync_all().await.unwrap();
    let cost = expected.cost.unwrap();
    let calls = &cost.api_calls;
    assert!(cost.records.unwrap() > 3 && calls.total > 0, "{cost:?}");
    assert_eq!(calls.total, calls.counting + calls.reading + calls.around);
    let ask = visitor.get("/settings/sync-all").await;
    for told in [
        format!("<dt>Records to read</dt><dd>{}</dd>", cost.records.unwrap()),
        format!(
            "about {} ({} to count, {} to read, {} for what belongs to it)",
            calls.total, calls.counting, calls.reading, calls.around
        ),
        format!("about {} s, at 100 records a second", cost.seconds.unwrap()),
    ] {
        ask.has(&told);
    }
    for (object, records) in &expected.records {
        let object = format!("data-column=\"Object\">{object}</td>");
        let row = ask.html.split("<tr").find(|row| row.contains(&object));
        let records = format!("data-column=\"Records\">{}</td>", records.unwrap());
        assert!(row.unwrap().contains(&records), "{object}: {row:?}");
    }
}

#[tokio::test]
async fn sync_all_says_why_it_would_wait() {
    use ports::stores::WorkerState;
    use runtime::figures;
    let (desk, visitor) = furnished(&[1]).await;
    let works = async |figures: &[(&str, i64)]| {
        for worker in ["listener", "filter", "permission", "loader"] {
            desk.report(worker, WorkerState::Running, figures).await;
        }
    };
    let ask = visitor.get("/settings/sync-all").await;
    ask.has("It would not go through at once.");
    ask.has("The listener has never run.");
    works(&[]).await;
    let ask = visitor.get("/settings/sync-all").await;
    ask.lacks("It would not go through at once.");
    // Nearly everything is used; and all of it, until a moment.
    works(&[
        (figures::API_MAX, 1_000),
        (figures::API_USED, 300),
        (figures::API_OURS, 299),
    ])
    .await;
    desk.save(|settings| settings.api_share = domain::allowance::ApiShare::new(30, 5).unwrap())
        .await;
    let ask = visitor.get("/settings/sync-all").await;
    ask.has("and mosync may use 1 more today");
    let until = desk.now().after(std::time::Duration::from_secs(3_600));
    works(&[
        (figures::API_MAX, 1_000),
        (figures::API_USED, 300),
        (figures::API_OURS, 300),
        (figures::API_BULK_HELD_UNTIL, until.as_micros()),
    ])
    .await;
    let ask = visitor.get("/settings/sync-all").await;
    ask.has(&format!("is tried again at <time datetime=\"{until}\">"));
    // It may be ordered all the same: it waits for that.
    let started = visitor
        .send("/settings/sync-all", &ask.form("/settings/sync-all"))
        .await;
    assert_eq!(started.status, StatusCode::SEE_OTHER, "{}", started.html);
}

#[tokio::test]
async fn sync_all_is_refused_while_nothing_may_run() {
    for (change, word) in [
        (
            (|settings| settings.disabled = true) as fn(&mut Settings),
            "mOS Sync is disabled",
        ),
        (
            |settings| settings.org = Some("00D000000000009".parse().unwrap()),
            "confirm it",
        ),
    ] {
        let (desk, visitor) = furnished(&[1]).await;
        let ask = visitor.form("/settings/sync-all").await;
        desk.save(change).await;
        let refused = visitor.send("/settings/sync-all", &ask).await;
        assert_eq!(refused.status, StatusCode::CONFLICT);
        refused.has(word);
        assert_eq!(desk.stores.jobs.list(9).await.unwrap().len(), 0);
    }
    let (desk, visitor) = furnished(&[1]).await;
    desk.org.answers(false);
    visitor
        .get("/settings/sync-all")
        .await
        .has("Salesforce did not answer");
    // The integration user has lost its access.
    let (desk, visitor) = furnished(&[1]).await;
    desk.org.refuses_opportunities();
    let ask = visitor.get("/settings/sync-all").await;
    assert_eq!(ask.status, StatusCode::OK);
    ask.has("It cannot run now.");
    ask.has("INVALID_TYPE: sObject type Opportunity is not supported.");
    ask.has("disabled>Sync all data to mOS");
    let (desk, visitor) = furnished(&[1]).await;
    desk.org.is_sandbox();
    visitor
        .get("/settings/sync-all")
        .await
        .has("disabled>Sync all data to mOS");
    // Nobody has read who holds permission.
    let desk = Desk::open();
    let operator = crate::web::Browser::of(&desk, crate::web::OPERATOR).await;
    let ask = operator.page("/settings/sync-all").await;
    assert!(ask.contains("Permissions have not been read"), "{ask}");
    assert!(ask.contains("disabled>Sync all data to mOS"), "{ask}");
}
