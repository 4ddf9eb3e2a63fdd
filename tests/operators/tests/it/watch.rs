//! The operators' pages: they show what the API says, escape what comes from outside, and order what
//! may be ordered.

mod jobs;
mod logs;
mod messages;
mod parked;
mod sync_status;

use domain::job::{Extracted, Job, JobId, JobKind, SalesforceStatus};
use domain::parked::Dismissal;
use domain::tally::{Count, Tally};
use domain::{ObjectKind, Timestamp};
use ports::stores::{GapCause, LogLevel, WorkerState};

use crate::desk::{Desk, record};
use crate::web::{Browser, INSTANCE, OPERATOR, VIEWER, between};

const EVIL: &str = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>";

/// A job that has read some and counted some.
async fn half_done(desk: &Desk) -> Job {
    let job = desk.job(JobKind::SyncAll, "half").await;
    let jobs = &desk.stores.jobs;
    desk.transition(&job.id, SalesforceStatus::Extracting, None)
        .await;
    let mut progress = job.progress.clone();
    (progress.announced, progress.next_index) = (2, 2);
    progress.objects.insert(
        ObjectKind::Account,
        Extracted {
            total: Some(3_456),
            read: 1_234,
            units: 2,
            errors: 1,
            last_error: Some(format!("Salesforce said {EVIL}")),
            started: Some(desk.now()),
            ..Extracted::default()
        },
    );
    jobs.advance(&job.id, &progress, None, desk.now())
        .await
        .unwrap();
    let mut tally = Tally::default();
    tally.add_many(ObjectKind::Account, Count::Read, 1_000);
    tally.add_many(ObjectKind::Account, Count::Created, 777);
    tally.add_many(ObjectKind::Account, Count::Filtered, 220);
    tally.add_many(ObjectKind::Account, Count::Parked, 3);
    desk.pass(10);
    jobs.count(&job.id, 0, None, &tally, desk.now())
        .await
        .unwrap();
    desk.stored(&job.id).await
}

/// How the sync is, as the top of the page says it.
fn verdict(page: &str) -> String {
    between(page, "id=\"verdict\"", "</div>")
}

#[tokio::test]
async fn every_page_stands_empty_and_full_and_escapes_what_comes_from_outside() {
    let desk = Desk::open();
    let browser = Browser::of(&desk, OPERATOR).await;
    let lists = ["/sync-status", "/jobs", "/parked", "/parked/dead", "/logs"];
    for path in lists {
        let page = browser.page(path).await;
        assert!(page.contains("class=\"empty\""), "{path}: {page}");
    }
    let job = half_done(&desk).await;
    let parked = desk
        .park(1, |parked| {
            parked.message = EVIL.to_owned();
            parked.code = Some(EVIL.to_owned());
            parked.job = Some(job.id.clone());
        })
        .await;
    desk.park(2, |parked| {
        parked.dismissed = Some(Dismissal {
            at: Timestamp::from_micros(0),
            by: EVIL.to_owned(),
            reason: EVIL.to_owned(),
        });
    })
    .await;
    desk.die(EVIL, b"no unit at all".to_vec()).await;
    desk.write(EVIL, |line| {
        line.level = LogLevel::Error;
        line.topic = EVIL.to_owned();
        line.job = Some(JobId::of(EVIL));
        line.record = Some((ObjectKind::Contact, parked.id));
    })
    .await;
    desk.gap("a", GapCause::Overflow, EVIL, &job).await;
    let dead = browser.page("/parked/dead").await;
    let message = between(
        &dead,
        "<td role=\"cell\" data-column=\"Message\"><a href=\"",
        "\"",
    );
    let of_job = format!("/jobs/{}", job.id);
    let of_record = format!("/logs?record={}", parked.id);
    let evil_search = format!("/logs?topic={}", "%22%3E%3Cscript%3Ealert(1)%3C/script%3E");
    let evil_group = "/parked?group=%22%3E%3Cscript%3E";
    let mut full = lists.to_vec();
    full.extend([
        of_job.as_str(),
        of_record.as_str(),
        message.as_str(),
        "/parked?dismissed=yes",
        "/jobs?kind=sync_all",
        evil_search.as_str(),
        evil_group,
    ]);
    for path in full {
        let page = browser.page(path).await;
        for raw in ["<script>", "<img", "onerror=alert(1)>", "<i>Operator"] {
            assert!(!page.contains(raw), "{raw} in {path}: {page}");
        }
        // Nothing that the policy of the pages would not run or draw.
        assert!(
            !page.contains(" style=") && !page.contains(" onclick="),
            "{path}"
        );
    }
    let page = browser.page("/parked").await;
    let link = format!("href=\"{INSTANCE}/lightning/r/{}/view\"", parked.id);
    assert!(page.contains(&link), "{page}");
}

#[tokio::test]
async fn who_may_only_look_sees_no_orders_and_is_refused() {
    let desk = Desk::open();
    let job = half_done(&desk).await;
    let parked = desk.park(1, |_| {}).await;
    let dead = desk.die("m-1", b"x".to_vec()).await;
    let viewer = Browser::of(&desk, VIEWER).await;
    let of_job = format!("/jobs/{}", job.id);
    let of_dead = format!("/parked/dead/message/{dead}");
    let mut token = String::new();
    for path in [of_job.as_str(), "/parked", of_dead.as_str()] {
        let page = viewer.page(path).await;
        token = between(&page, "name=\"form_token\" value=\"", "\"");
        // The one that is left signs out.
        assert_eq!(page.matches("method=\"post\"").count(), 1, "{path}: {page}");
        assert!(!page.contains("type=\"checkbox\""), "{path}");
    }
    let id = parked.id.to_string();
    for (to, values) in [
        (format!("{of_job}/pause"), vec![]),
        (format!("{of_job}/cancel"), vec![("reason", "x")]),
        ("/parked/retry".to_owned(), vec![("record", id.as_str())]),
        (
            "/parked/dismiss".to_owned(),
            vec![("which", "all"), ("reason", "x")],
        ),
        (format!("{of_dead}/replay"), vec![]),
        (format!("{of_dead}/discard"), vec![("reason", "x")]),
    ] {
        let refused = viewer.send_as(&token, &to, &values).await;
        assert_eq!(refused.status, 403, "{to}");
        assert!(refused.text().contains("Viewer") || refused.text().contains("viewer"));
    }
    assert_eq!(desk.stored(&job.id).await.paused, None);
    assert_eq!(desk.queue.dead_count().await.unwrap(), 1);
    assert!(desk.log().await.is_empty());
    // And nobody without the session's token.
    let operator = Browser::of(&desk, OPERATOR).await;
    let forged = operator
        .send_as(&token, &format!("{of_job}/pause"), &[])
        .await;
    assert_eq!(forged.status, 403);
    assert_eq!(desk.stored(&job.id).await.paused, None);
}

/// Where Enter in the field with that id sends its form: to the first button of that form, wherever
/// on the page it stands.
fn entered(page: &str, id: &str) -> (String, String) {
    let forms: Vec<&str> = page.split("<form ").skip(1).collect();
    let field = format!(" id=\"{id}\"");
    let holds = |form: &&&str| form.split("</form>").next().unwrap().contains(&field);
    let form = forms.iter().find(holds).unwrap();
    let form = form.split("</form>").next().unwrap();
    let mut buttons = form.split("<button ").skip(1);
    // Those of other forms are named by the id of theirs.
    let own = buttons.find(|button| !button.contains(" form=\"")).unwrap();
    let tag = own.split('>').next().unwrap();
    let to = if tag.contains("formaction=") {
        between(tag, "formaction=\"", "\"")
    } else {
        between(form, "action=\"", "\"")
    };
    (to, between(own, ">", "<"))
}

#[tokio::test]
async fn enter_in_a_reason_gives_the_order_that_the_reason_is_for() {
    let desk = Desk::open();
    let job = half_done(&desk).await;
    desk.park(1, |_| {}).await;
    let dead = desk.die("m-1", b"x".to_vec()).await;
    let browser = Browser::of(&desk, OPERATOR).await;
    let page = browser.page("/parked").await;
    assert_eq!(
        entered(&page, "reason"),
        ("/parked/dismiss".to_owned(), "Dismiss".to_owned())
    );
    let ticked = format!("record-{}", record(ObjectKind::Contact, 1));
    assert_eq!(
        entered(&page, &ticked).1,
        "Dismiss",
        "refused without a reason"
    );
    let path = format!("/jobs/{}", job.id);
    let page = browser.page(&path).await;
    assert_eq!(
        entered(&page, "reason"),
        (format!("{path}/cancel"), "Cancel this job".to_owned())
    );
    assert_eq!(
        entered(&page, "pause-reason"),
        (format!("{path}/pause"), "Pause".to_owned())
    );
    let path = format!("/parked/dead/message/{dead}");
    let page = browser.page(&path).await;
    assert_eq!(
        entered(&page, "reason"),
        (format!("{path}/discard"), "Discard".to_owned())
    );
}

#[tokio::test]
async fn every_moment_in_a_sentence_is_shown_in_the_zone_of_whoever_looks() {
    let desk = Desk::open();
    let job = half_done(&desk).await;
    let at = desk.now();
    let paused = WorkerState::Paused(format!("mOS answers again at {at}"));
    desk.report("loader", paused, &[]).await;
    let evidence = format!("nothing was heard from {at} on");
    desk.gap("a", GapCause::Overflow, &evidence, &job).await;
    let line = format!("the window of {at}, the next one (at {at})");
    desk.write(&line, |_| {}).await;
    let browser = Browser::of(&desk, OPERATOR).await;
    for path in ["/sync-status", "/logs", "/jobs", "/settings/sync-all"] {
        let page = browser.page(path).await;
        // Each stands in an attribute of its own element, and nowhere as text.
        for (before, _) in page.match_indices(&at.to_string()) {
            let before = page.get(..before).unwrap();
            assert!(
                before.ends_with("datetime=\"") || before.ends_with("data-clock=\""),
                "{path}: {}",
                before.get(before.len().saturating_sub(200)..).unwrap()
            );
        }
        assert!(
            page.contains(&format!("datetime=\"{at}\"")),
            "{path}: {page}"
        );
    }
    let page = browser.page("/sync-status").await;
    assert!(
        page.contains("<strong>Gap: More changes in a transaction"),
        "{page}"
    );
    // The log is asked in that zone as well: a script writes it there, and sends the moment.
    let asked = browser.page(&format!("/logs?since={at}")).await;
    let shown = at.to_string().get(..19).unwrap().to_owned();
    let field = format!("type=\"datetime-local\" step=\"1\" value=\"{shown}\" data-moment");
    assert!(asked.contains(&field), "{asked}");
    assert!(asked.contains("From (UTC)") && asked.contains("/assets/moments.js"));
}
