//! The pages of jobs: the list, and each with what may be ordered.

use domain::ObjectKind;
use domain::failure::FailureKind;
use domain::job::{Extracted, JobKind, SalesforceStatus};
use domain::parked::Dismissal;

use super::{half_done, verdict};
use crate::desk::Desk;
use crate::web::{Browser, OPERATOR, VIEWER, between, next_page};

#[tokio::test]
async fn a_job_is_paused_resumed_and_cancelled_with_a_reason() {
    let desk = Desk::open();
    let job = half_done(&desk).await;
    let browser = Browser::of(&desk, OPERATOR).await;
    let path = format!("/jobs/{}", job.id);
    let order = |deed: &str| format!("{path}/{deed}");
    let page = browser.page(&path).await;
    assert!(
        page.contains("Every record that came in has gone out"),
        "{page}"
    );
    assert!(page.contains(">777<") && page.contains(">1,000<"));
    // Where a page that is live says that it is not up to date.
    assert!(
        page.contains("<div data-live-part=\"trouble\"></div>"),
        "{page}"
    );

    let reason = [("reason", "for <b>lunch</b>")];
    let paused = browser.send(&path, &order("pause"), &reason).await;
    assert_eq!(paused.status, 200, "{}", paused.text());
    assert!(
        paused.text().contains("for &lt;b&gt;lunch"),
        "{}",
        paused.text()
    );
    // What every page shows is as it is after the order.
    let held = verdict(&paused.text());
    assert!(held.contains("is paused: "), "{held}");
    let pause = desk.stored(&job.id).await.paused.unwrap();
    assert_eq!(pause.why, "paused by otto@example.com: for <b>lunch</b>");
    let resumed = browser.send(&path, &order("resume"), &[]).await;
    assert_eq!(resumed.status, 200, "{}", resumed.text());
    assert_eq!(desk.stored(&job.id).await.paused, None);
    // Somebody was faster.
    let again = browser.send(&path, &order("resume"), &[]).await;
    assert_eq!(again.status, 409);
    assert!(again.text().contains("is not paused"), "{}", again.text());

    let no_reason = browser
        .send(&path, &order("cancel"), &[("reason", " ")])
        .await;
    assert_eq!(no_reason.status, 400);
    let text = no_reason.text();
    assert!(
        text.contains("id=\"reason-error\"") && text.contains("aria-invalid"),
        "{text}"
    );
    // A script that reads the page anew leaves that where it is.
    assert!(!text.contains("data-live-own=\"orders\""), "{text}");
    let anew = browser.page(&path).await;
    assert!(anew.contains("data-live-own=\"orders\""), "{anew}");
    assert_ne!(
        desk.stored(&job.id).await.salesforce,
        SalesforceStatus::Cancelled
    );
    let cancelled = browser
        .send(&path, &order("cancel"), &[("reason", "enough")])
        .await;
    assert_eq!(cancelled.status, 200);
    assert_eq!(
        desk.stored(&job.id).await.salesforce,
        SalesforceStatus::Cancelled
    );
    assert_eq!(
        desk.log().await[0].message,
        "cancelled by otto@example.com: enough"
    );
    assert_eq!(browser.get("/jobs/nobody").await.status, 404);
}

#[tokio::test]
async fn whoever_listens_to_a_job_s_page_hears_of_both_its_states() {
    let desk = Desk::open();
    let job = half_done(&desk).await;
    let browser = Browser::of(&desk, OPERATOR).await;
    let path = format!("/jobs/{}", job.id);
    let heard = async || {
        let page = browser.page(&path).await;
        between(
            &page,
            "data-live-own=\"said\" aria-live=\"polite\">",
            "</p>",
        )
    };
    let before = heard().await;
    assert!(
        before.starts_with("Sync all data: Salesforce Job Status Extracting, mOS Job Status "),
        "{before}"
    );
    let reason = [("reason", "enough")];
    let cancelled = browser
        .send(&path, &format!("{path}/cancel"), &reason)
        .await;
    assert_eq!(cancelled.status, 200, "{}", cancelled.text());
    let after = heard().await;
    assert!(
        after.starts_with("Sync all data: Salesforce Job Status Cancelled, mOS Job Status "),
        "{after}"
    );
    // Whether the figures still come is heard, too.
    let page = browser.page(&path).await;
    assert!(page.contains("id=\"live-state\" role=\"status\""), "{page}");
}

#[tokio::test]
async fn why_a_job_was_to_be_paused_is_not_put_down_as_why_it_is_cancelled() {
    let desk = Desk::open();
    let job = half_done(&desk).await;
    let browser = Browser::of(&desk, OPERATOR).await;
    let path = format!("/jobs/{}", job.id);
    // While the reason is typed, the last of it is read.
    desk.transition(&job.id, SalesforceStatus::Sealed, None)
        .await;
    let reason = [("reason", "only over lunch")];
    let refused = browser.send(&path, &format!("{path}/pause"), &reason).await;
    assert_eq!(refused.status, 409, "{}", refused.text());
    let text = refused.text();
    assert!(text.contains("Cancel this job"), "{text}");
    assert!(!text.contains("only over lunch"), "{text}");
}

#[tokio::test]
async fn a_job_of_named_records_is_not_shown_as_reading_when_it_is_over() {
    let desk = Desk::open();
    let retry = desk.job(JobKind::Retry, "retry").await;
    let jobs = &desk.stores.jobs;
    desk.transition(&retry.id, SalesforceStatus::Extracting, None)
        .await;
    let mut progress = retry.progress.clone();
    // The filter reads them, so the reader never writes down when that was done.
    let named = Extracted {
        total: Some(1),
        started: Some(desk.now()),
        ..Extracted::default()
    };
    progress.objects.insert(ObjectKind::Contact, named);
    let advanced = jobs.advance(&retry.id, &progress, None, desk.now()).await;
    advanced.unwrap();
    let browser = Browser::of(&desk, VIEWER).await;
    let path = format!("/jobs/{}", retry.id);
    let page = browser.page(&path).await;
    assert!(page.contains("Reading since <time"), "{page}");
    desk.transition(&retry.id, SalesforceStatus::Sealed, None)
        .await;
    let page = browser.page(&path).await;
    assert!(page.contains("Reading began <time"), "{page}");
    assert!(!page.contains("Reading since"), "{page}");
}

#[tokio::test]
async fn a_job_says_how_many_of_its_parked_records_still_are_and_leads_to_those() {
    let desk = Desk::open();
    let job = half_done(&desk).await;
    let of_job = desk
        .park(1, |parked| parked.job = Some(job.id.clone()))
        .await;
    let dismissed = desk
        .park(2, |parked| {
            parked.job = Some(job.id.clone());
            parked.dismissed = Some(Dismissal {
                at: desk.now(),
                by: "somebody".to_owned(),
                reason: "a test".to_owned(),
            });
        })
        .await;
    // The third is another job's by now.
    desk.park(3, |_| {}).await;
    let browser = Browser::of(&desk, OPERATOR).await;
    let path = format!("/jobs/{}", job.id);
    let page = browser.page("/sync-status").await;
    let to_job = format!("3 records were parked. <a href=\"{path}\">See why, and what to do</a>");
    assert!(page.contains(&to_job), "{page}");
    let listed = format!("<a href=\"/parked?job={}\">See why", job.id);
    let page = browser.page(&path).await;
    assert!(
        page.contains(&format!("3 records were parked. {listed}")),
        "{page}"
    );

    let (failed, why) = (SalesforceStatus::Failed, Some("no access"));
    desk.transition(&job.id, failed, why).await;
    let page = browser.page(&path).await;
    let logged = format!("<a href=\"/logs?job={}&amp;level=warning\">", job.id);
    let told = "3 records were parked: 1 still is under this job, 1 is dismissed. 1 no longer is: ";
    for told in [told, &listed, &logged, "List the dismissed ones"] {
        assert!(page.contains(told), "{told} in {page}");
    }
    let group = between(&page, "<a class=\"button\" href=\"/parked?group=", "\"");
    let of_group = format!("/parked?group={}", group.replace("&amp;", "&"));
    let group = browser.page(&of_group).await;
    assert_eq!(group.matches("name=\"record\"").count(), 1, "{group}");
    // Its number says nothing to anybody.
    let heading = "<h2>Open records: A text is too long for mOS</h2>";
    assert!(group.contains(heading), "{group}");

    let records = [of_job.record(), dismissed.record()];
    let parked = &desk.stores.parked;
    parked.clear(&records, of_job.version).await.unwrap();
    let page = browser.page(&path).await;
    for told in [
        "3 records were parked: 0 still are under this job. 3 no longer are: ",
        "No record is parked under this job any more.",
        &logged,
    ] {
        assert!(page.contains(told), "{told} in {page}");
    }
    assert!(!page.contains("/parked?job="), "{page}");
}

#[tokio::test]
async fn jobs_are_filtered_paged_and_exported_and_so_are_the_others() {
    let desk = Desk::open();
    half_done(&desk).await;
    for number in 0..600 {
        desk.pass(1);
        let job = desk.job(JobKind::Retry, &number.to_string()).await;
        if number % 100 == 0 {
            let (failed, why) = (SalesforceStatus::Failed, Some("=why"));
            desk.transition(&job.id, failed, why).await;
        }
    }
    let browser = Browser::of(&desk, VIEWER).await;
    let rows = |page: &str| {
        page.matches("<td role=\"cell\" data-column=\"Job\">")
            .count()
    };
    let first = browser.page("/jobs").await;
    assert_eq!(rows(&first), 50);
    let sync_all = browser.page("/jobs?kind=sync_all").await;
    assert_eq!(rows(&sync_all), 1, "{sync_all}");
    let failed = browser.page("/jobs?kind=retry&state=failed").await;
    assert_eq!(rows(&failed), 6, "{failed}");
    let api = browser.door.get("/api/v1/jobs?state=failed").await.json();
    assert_eq!(api["jobs"].as_array().unwrap().len(), 6);
    let mut next = Some("/jobs?kind=retry".to_owned());
    let mut seen = 0;
    while let Some(path) = next {
        let page = browser.page(&path).await;
        seen += rows(&page);
        next = next_page(&page);
    }
    assert_eq!(seen, 600);
    // At the field; the other keeps its value, and there is something to look at.
    let wrong = browser.get("/jobs?kind=nonsense&state=failed").await;
    assert_eq!(wrong.status, 400);
    let text = wrong.text();
    for part in [
        "<select id=\"kind\" name=\"kind\" aria-invalid=\"true\" aria-describedby=\"kind-error\">",
        "id=\"kind-error\">Kind `nonsense` is not known",
        "<option value=\"failed\" selected>",
        "All jobs are shown: correct what is marked.",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("id=\"state-error\""), "{text}");
    assert_eq!(rows(&text), 50);
    // What has no field is told above the list.
    let wrong = browser.get("/jobs?before=nonsense").await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.text().contains("`nonsense`"), "{}", wrong.text());
    let csv = browser.get("/jobs/export").await.text();
    assert_eq!(csv.lines().count(), 602);
    assert!(csv.contains(",'=why"), "a formula");
    let csv = browser
        .get("/jobs/export?kind=retry&state=failed")
        .await
        .text();
    assert_eq!(csv.lines().count(), 7, "{csv}");

    for number in 0..700 {
        desk.park(number, |parked| parked.message = "-1+1".to_owned())
            .await;
    }
    let csv = browser.get("/parked/export").await;
    assert_eq!(csv.headers["content-type"], "text/csv; charset=utf-8");
    let csv = csv.text();
    assert_eq!(csv.lines().count(), 701);
    assert!(csv.contains(",'-1+1,"), "{csv}");
    let wrong = browser.get("/parked?object=Lead&kind=loud&job=x").await;
    assert_eq!(wrong.status, 400);
    let text = wrong.text();
    for part in [
        "id=\"object-error\">",
        "id=\"kind-error\">Kind `loud` is not known",
        "name=\"job\" type=\"text\" value=\"x\"",
        "Nothing was searched: correct what is marked.",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("id=\"job-error\""), "{text}");
    // Of what the page shows alone.
    desk.park(700, |parked| parked.kind = FailureKind::Poison)
        .await;
    let page = browser.page("/parked?kind=poison").await;
    let filter = between(&page, "href=\"/parked/export", "\"");
    let csv = browser.get(&format!("/parked/export{filter}")).await.text();
    assert_eq!(csv.lines().count(), 2, "{csv}");
    assert!(csv.contains(",poison,"), "{csv}");
    desk.die("m-1", b"x".to_vec()).await;
    let csv = browser.get("/parked/dead/export").await.text();
    assert_eq!(csv.lines().count(), 2, "{csv}");
}
