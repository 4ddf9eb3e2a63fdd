//! The operators' pages: they show what the API says, escape what comes from outside, and order what
//! may be ordered.

use domain::failure::FailureKind;
use domain::job::{Extracted, Job, JobId, JobKind, SalesforceStatus};
use domain::parked::Dismissal;
use domain::tally::{Count, Tally};
use domain::unit::Stage;
use domain::{ObjectKind, Timestamp};
use ports::stores::{Gap, GapCause, LogEntry, LogLevel, Report, WorkerState};
use runtime::figures;
use serde_json::Value;

use crate::desk::{Desk, record};
use crate::web::{Browser, INSTANCE, OPERATOR, VIEWER, between};

const EVIL: &str = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>";

/// A job that has read some and counted some.
async fn half_done(desk: &Desk) -> Job {
    let job = desk.job(JobKind::SyncAll, "half").await;
    let jobs = &desk.stores.jobs;
    jobs.transition(&job.id, SalesforceStatus::Extracting, desk.now(), None)
        .await
        .unwrap();
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

fn thousands(number: &Value) -> String {
    let digits = number.as_u64().unwrap().to_string();
    match digits.split_at_checked(digits.len().saturating_sub(3)) {
        Some((thousands, rest)) if !thousands.is_empty() => format!("{thousands},{rest}"),
        _ => digits,
    }
}

/// How the sync is, as the top of the page says it.
fn verdict(page: &str) -> String {
    between(page, "id=\"verdict\"", "</div>")
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
    let report = Report {
        at: desk.now(),
        state: WorkerState::Running,
        figures: told.map(|(name, value)| (name.to_owned(), value)).into(),
        out_of_reach: std::collections::BTreeSet::new(),
    };
    desk.stores
        .reports
        .report("listener", &report)
        .await
        .unwrap();
    let live = JobId::live(desk.now());
    let index = desk
        .stores
        .jobs
        .open_live_unit(&live, desk.now())
        .await
        .unwrap();
    let mut tally = Tally::default();
    tally.add_many(ObjectKind::Contact, Count::Read, 4_321);
    tally.add_many(ObjectKind::Contact, Count::Updated, 321);
    tally.add_many(ObjectKind::Contact, Count::Skipped, 4_000);
    desk.pass(10);
    desk.stores
        .jobs
        .count(&live, index, None, &tally, desk.now())
        .await
        .unwrap();

    let browser = Browser::of(&desk, VIEWER).await;
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
    let line = LogEntry {
        at: desk.now(),
        level: LogLevel::Error,
        topic: EVIL.to_owned(),
        job: Some(JobId::of(EVIL)),
        record: Some((ObjectKind::Contact, parked.id)),
        message: EVIL.to_owned(),
    };
    desk.stores.log.append(&line).await.unwrap();
    let gap = Gap {
        id: "a".to_owned(),
        cause: GapCause::Overflow,
        since: desk.now(),
        opened: desk.now(),
        evidence: EVIL.to_owned(),
        job: job.id.clone(),
        closed: None,
    };
    desk.stores.position.open_gap(&gap, &job).await.unwrap();
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
    let sealed = SalesforceStatus::Sealed;
    let moved = desk
        .stores
        .jobs
        .transition(&job.id, sealed, desk.now(), None);
    moved.await.unwrap();
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
    let moved = async |status| {
        let moved = jobs.transition(&retry.id, status, desk.now(), None).await;
        moved.unwrap();
    };
    moved(SalesforceStatus::Extracting).await;
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
    moved(SalesforceStatus::Sealed).await;
    let page = browser.page(&path).await;
    assert!(page.contains("Reading began <time"), "{page}");
    assert!(!page.contains("Reading since"), "{page}");
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

#[tokio::test]
async fn parked_records_are_retried_and_dismissed_one_by_one_by_group_and_all() {
    let desk = Desk::open();
    for number in 0..120 {
        desk.park(number, |_| {}).await;
    }
    for number in 500..503 {
        desk.park(number, |parked| {
            parked.kind = FailureKind::Refused;
            parked.code = Some("frozen".to_owned());
            parked.stage = Stage::Load;
        })
        .await;
    }
    let browser = Browser::of(&desk, OPERATOR).await;
    let page = browser.page("/parked").await;
    assert!(page.contains("123 open, 0 dismissed"), "{page}");
    assert_eq!(page.matches("name=\"record\"").count(), 50);
    // Through all pages.
    let mut seen = 50;
    let mut next = between(&page, "rel=\"next\"", ">");
    let mut text = page;
    while text.contains("rel=\"next\"") {
        let links = text.split("<a class=\"button\" href=\"").skip(1);
        let link = links
            .map(|rest| rest.split('>').next().unwrap())
            .find(|link| link.contains("rel=\"next\""));
        let path = link
            .unwrap()
            .split('"')
            .next()
            .unwrap()
            .replace("&amp;", "&");
        text = browser.page(&path).await;
        seen += text.matches("name=\"record\"").count();
        next = path;
    }
    assert!(next.contains("after="), "{next}");
    assert_eq!(seen, 123);

    let one = record(ObjectKind::Contact, 3).to_string();
    let two = record(ObjectKind::Contact, 4).to_string();
    let retried = browser
        .send(
            "/parked",
            "/parked/retry",
            &[("record", &one), ("record", &two), ("which", "records")],
        )
        .await;
    assert!(
        retried.text().contains("2 records will be read back"),
        "{}",
        retried.text()
    );
    let only = browser
        .send(
            "/parked",
            "/parked/retry",
            &[("only", &one), ("which", "all")],
        )
        .await;
    assert!(
        only.text().contains("1 record will be read back"),
        "{}",
        only.text()
    );
    let none = browser
        .send("/parked", "/parked/retry", &[("which", "records")])
        .await;
    assert_eq!(none.status, 400);
    assert!(none.text().contains("Tick the records"), "{}", none.text());
    let strange = browser
        .send("/parked", "/parked/retry", &[("record", "<b>x")])
        .await;
    assert_eq!(strange.status, 400);
    assert!(strange.text().contains("&lt;b&gt;x"), "{}", strange.text());

    // A dismissal without a reason is refused in place, and what was ticked stays ticked.
    let unreasoned = browser
        .send(
            "/parked",
            "/parked/dismiss",
            &[("record", &one), ("which", "records")],
        )
        .await;
    assert_eq!(unreasoned.status, 400);
    let text = unreasoned.text();
    assert!(text.contains("id=\"reason-error\""), "{text}");
    assert!(text.contains(&format!("value=\"{one}\" checked")), "{text}");

    let groups = browser.door.get("/api/v1/parked/groups").await.json();
    let frozen = groups["groups"][1]["id"].as_str().unwrap().to_owned();
    let of_group = browser.page(&format!("/parked?group={frozen}")).await;
    assert_eq!(of_group.matches("name=\"record\"").count(), 3, "{of_group}");
    let dismissed = browser
        .send(
            "/parked",
            "/parked/dismiss",
            &[
                ("which", "all"),
                ("seen", "3"),
                ("group", &frozen),
                ("reason", "a <b>test</b> account"),
            ],
        )
        .await;
    assert!(
        dismissed.text().contains("3 records dismissed"),
        "{}",
        dismissed.text()
    );
    let gone = browser.page("/parked?dismissed=yes").await;
    assert!(gone.contains("a &lt;b&gt;test&lt;/b&gt; account"), "{gone}");
    let group = browser
        .send(
            "/parked",
            "/parked/retry",
            &[("in_group", groups["groups"][0]["id"].as_str().unwrap())],
        )
        .await;
    assert!(
        group.text().contains("120 records will be"),
        "{}",
        group.text()
    );
    let all = browser
        .send(
            "/parked",
            "/parked/dismiss",
            &[("which", "all"), ("seen", "120"), ("reason", "x")],
        )
        .await;
    let text = all.text();
    assert!(text.contains("120 records dismissed"), "{text}");
    assert!(text.contains("0 open, 123 dismissed"), "{text}");
    let verdict = verdict(&text);
    assert!(!verdict.contains("parked"), "{verdict}");
    assert_eq!(
        desk.stores
            .parked
            .counts()
            .await
            .unwrap()
            .values()
            .sum::<u64>(),
        0
    );
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
async fn all_means_all_that_the_filter_shows_and_says_how_many() {
    let desk = Desk::open();
    let job = half_done(&desk).await;
    for number in 0..60 {
        desk.park(number, |parked| {
            parked.job = (number < 55).then(|| job.id.clone());
        })
        .await;
    }
    desk.park(200, |parked| {
        parked.object = ObjectKind::Account;
        parked.id = record(ObjectKind::Account, 200);
    })
    .await;
    let browser = Browser::of(&desk, OPERATOR).await;
    let everything = browser.page("/parked").await;
    assert!(everything.contains("All 61 open records<"), "{everything}");
    let path = format!("/parked?object=Contact&job={}", job.id);
    let listed = browser.page(&path).await;
    let option = "All 55 open records that the filter shows";
    assert!(listed.contains(option), "{listed}");
    let filter = [("object", "Contact"), ("job", job.id.as_str())];
    for (name, value) in filter {
        let field = format!("name=\"{name}\" value=\"{value}\"");
        assert_eq!(listed.matches(&field).count(), 2, "in both forms");
    }
    let mut sent = vec![("which", "all"), ("seen", "55"), ("reason", "a test")];
    sent.extend(filter);
    let dismissed = browser.send("/parked", "/parked/dismiss", &sent).await;
    let text = dismissed.text();
    assert!(text.contains("55 records dismissed"), "{text}");
    let line = &desk.log().await[0].message;
    let told = format!(
        "55 parked records, object Contact, job {}: dismissed by",
        job.id
    );
    assert!(line.starts_with(&told), "{line}");
    let left = desk.stores.parked.counts().await.unwrap();
    assert_eq!(left.values().sum::<u64>(), 6);
    // And the way back, of the same records.
    let path = format!("/parked?dismissed=yes&job={}", job.id);
    let listed = browser.page(&path).await;
    let option = "All 55 dismissed records that the filter shows";
    assert!(listed.contains(option), "{listed}");
    assert!(!listed.contains(">Dismiss<"), "{listed}");
    let sent = [
        ("which", "all"),
        ("seen", "55"),
        ("dismissed", "yes"),
        ("job", job.id.as_str()),
    ];
    let retried = browser.send("/parked", "/parked/retry", &sent).await;
    assert!(retried.text().contains("55 records will be read back"));
    let open = desk.stores.parked.counts().await.unwrap();
    assert_eq!(open.values().sum::<u64>(), 61);
}

#[tokio::test]
async fn whoever_orders_on_a_later_page_of_parked_records_stays_on_it() {
    let desk = Desk::open();
    let mut ids = Vec::new();
    for number in 0..52 {
        ids.push(desk.park(number, |_| {}).await.id.to_string());
    }
    let browser = Browser::of(&desk, OPERATOR).await;
    let first = browser.page("/parked").await;
    // They are in the order of their ids, not in that of time.
    assert!(
        first.contains(">Next page<") && !first.contains(">Older<"),
        "{first}"
    );
    assert!(!first.contains("name=\"after\""), "{first}");
    let (before, _) = first.split_once("\" rel=\"next\"").unwrap();
    let (_, next) = before.rsplit_once("href=\"").unwrap();
    let later = browser.page(next).await;
    assert!(later.contains(">First page<"), "{later}");
    let last: Vec<&str> = ids[50..].iter().map(String::as_str).collect();
    let after = between(&later, "name=\"after\" value=\"", "\"");
    let ticked = |id: &str| format!("name=\"record\" value=\"{id}\" checked");

    // No reason: the tick is where it was set.
    let mut sent = vec![("record", last[0]), ("after", after.as_str())];
    let refused = browser.send(next, "/parked/dismiss", &sent).await;
    assert_eq!(refused.status, 400);
    let text = refused.text();
    assert!(text.contains(&ticked(last[0])), "{text}");
    assert!(
        text.contains(&format!("name=\"after\" value=\"{after}\"")),
        "{text}"
    );

    // Done: the same page, without the record.
    sent.push(("reason", "a test"));
    let dismissed = browser.send(next, "/parked/dismiss", &sent).await;
    let text = dismissed.text();
    assert!(text.contains("1 record dismissed"), "{text}");
    let has = |text: &str, id: &str| text.contains(&format!("name=\"record\" value=\"{id}\""));
    assert!(!has(&text, last[0]) && has(&text, last[1]), "{text}");
    assert!(!has(&text, &ids[0]), "{text}");

    // Nothing is left of it: what is left begins on the first page.
    sent[0].1 = last[1];
    let dismissed = browser.send(next, "/parked/dismiss", &sent).await;
    let text = dismissed.text();
    assert!(text.contains("1 record dismissed"), "{text}");
    assert!(has(&text, &ids[0]), "{text}");
    assert!(!text.contains("No record is like that"), "{text}");
    assert!(!text.contains("name=\"after\""), "{text}");
}

#[tokio::test]
async fn all_that_were_shown_are_not_more_than_were_shown() {
    let desk = Desk::open();
    let job = desk.job(JobKind::Backfill, "load").await;
    // So many that their number is kept for a while.
    for number in 0..600 {
        desk.park(number, |parked| {
            parked.job = (number == 0).then(|| job.id.clone());
        })
        .await;
    }
    let browser = Browser::of(&desk, OPERATOR).await;
    let path = format!("/parked?job={}", job.id);
    let page = browser.page(&path).await;
    assert!(page.contains("name=\"seen\" value=\"1\""), "{page}");
    // One more comes while the reason is typed; as many are open as before.
    desk.pass(1);
    desk.park(1, |parked| parked.job = Some(job.id.clone()))
        .await;
    let order = async |seen: &str| {
        let of_all = [
            ("which", "all"),
            ("seen", seen),
            ("job", job.id.as_str()),
            ("reason", "an old import"),
        ];
        browser.send(&path, "/parked/dismiss", &of_all).await
    };
    let refused = order("1").await;
    assert_eq!(refused.status, 409);
    let text = refused.text();
    for told in [
        "There are 2 of these records by now",
        "<option value=\"all\" selected>All 2 open records that the filter shows<",
        "name=\"seen\" value=\"2\"",
        "value=\"an old import\"",
    ] {
        assert!(text.contains(told), "{told} in {text}");
    }
    assert!(desk.log().await.is_empty());
    assert_eq!(order("many").await.status, 400);
    let done = order("2").await;
    assert!(
        done.text().contains("2 records dismissed"),
        "{}",
        done.text()
    );
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

    let jobs = &desk.stores.jobs;
    let (failed, why) = (SalesforceStatus::Failed, Some("no access"));
    let moved = jobs.transition(&job.id, failed, desk.now(), why).await;
    moved.unwrap();
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
async fn dead_messages_are_shown_sent_back_and_discarded() {
    let desk = Desk::open();
    let job = half_done(&desk).await;
    let unit = desk.unit(&job.id, 1, 2);
    let id = desk.die(&unit.id.to_string(), unit.encode().unwrap()).await;
    let browser = Browser::of(&desk, OPERATOR).await;
    let list = browser.page("/parked/dead").await;
    assert!(
        list.contains("nobody can process it") && list.contains("load.bulk"),
        "{list}"
    );
    let path = between(
        &list,
        "<td role=\"cell\" data-column=\"Message\"><a href=\"",
        "\"",
    );
    let page = browser.page(&path).await;
    let contact = record(ObjectKind::Contact, 1).to_string();
    assert!(
        page.contains(&contact) && page.contains(job.id.as_str()),
        "{page}"
    );
    let sent_back = browser.send(&path, &format!("{path}/replay"), &[]).await;
    assert!(
        sent_back.text().contains("was sent back"),
        "{}",
        sent_back.text()
    );
    assert_eq!(desk.queue.dead_count().await.unwrap(), 0);
    let gone = browser
        .send("/parked/dead", &format!("{path}/replay"), &[])
        .await;
    assert_eq!(gone.status, 404);

    let mut subscription = desk
        .queue
        .subscribe(
            domain::unit::QueueName::new(Stage::Load, domain::unit::Lane::Bulk),
            1,
        )
        .await
        .unwrap();
    let back = subscription.next().await.unwrap();
    back.delivery.dead_letter("again").await.unwrap();
    let no_reason = browser.send(&path, &format!("{path}/discard"), &[]).await;
    assert_eq!(no_reason.status, 400);
    assert!(
        no_reason.text().contains("id=\"reason-error\""),
        "{}",
        no_reason.text()
    );
    let discarded = browser
        .send(
            &path,
            &format!("{path}/discard"),
            &[("reason", "a broken import")],
        )
        .await;
    assert!(
        discarded.text().contains("2 of its records are counted"),
        "{}",
        discarded.text()
    );
    let verdict = verdict(&discarded.text());
    assert!(!verdict.contains("set aside"), "{verdict}");
    assert_eq!(desk.queue.dead_count().await.unwrap(), 0);
    assert!(
        desk.log()
            .await
            .iter()
            .any(|line| line.message.contains(&id))
    );
}

#[tokio::test]
async fn every_moment_in_a_sentence_is_shown_in_the_zone_of_whoever_looks() {
    let desk = Desk::open();
    let job = half_done(&desk).await;
    let at = desk.now();
    let paused = WorkerState::Paused(format!("mOS answers again at {at}"));
    let report = Report {
        at,
        state: paused,
        figures: std::collections::BTreeMap::new(),
        out_of_reach: std::collections::BTreeSet::new(),
    };
    let reports = &desk.stores.reports;
    reports.report("loader", &report).await.unwrap();
    let gap = Gap {
        id: "a".to_owned(),
        cause: GapCause::Overflow,
        since: at,
        opened: at,
        evidence: format!("nothing was heard from {at} on"),
        job: job.id.clone(),
        closed: None,
    };
    desk.stores.position.open_gap(&gap, &job).await.unwrap();
    let line = LogEntry {
        at,
        level: LogLevel::Info,
        topic: "job".to_owned(),
        job: None,
        record: None,
        message: format!("the window of {at}, the next one (at {at})"),
    };
    desk.stores.log.append(&line).await.unwrap();
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

#[tokio::test]
async fn what_changes_by_itself_is_read_aloud_and_the_chart_has_its_numbers() {
    let desk = Desk::open();
    let live = JobId::live(desk.now());
    let jobs = &desk.stores.jobs;
    let index = jobs.open_live_unit(&live, desk.now()).await.unwrap();
    let mut tally = Tally::default();
    tally.add_many(ObjectKind::Contact, Count::Read, 4_321);
    tally.add_many(ObjectKind::Contact, Count::Updated, 4_321);
    jobs.count(&live, index, None, &tally, desk.now())
        .await
        .unwrap();
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
    let jobs = &desk.stores.jobs;
    jobs.transition(
        &failed.id,
        SalesforceStatus::Failed,
        desk.now(),
        Some("no <b>rows</b>"),
    )
    .await
    .unwrap();
    desk.park(1, |_| {}).await;
    let live = JobId::live(desk.now());
    let index = jobs.open_live_unit(&live, desk.now()).await.unwrap();
    let mut tally = Tally::default();
    tally.add_many(ObjectKind::Contact, Count::Read, 50);
    tally.add_many(ObjectKind::Contact, Count::Updated, 50);
    desk.pass(10);
    jobs.count(&live, index, None, &tally, desk.now())
        .await
        .unwrap();
    let running = desk.job(JobKind::Backfill, "running").await;
    for number in 0..25 {
        desk.pass(1);
        let retry = desk.job(JobKind::Retry, &format!("retry {number}")).await;
        jobs.transition(&retry.id, SalesforceStatus::Cancelled, desk.now(), None)
            .await
            .unwrap();
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
        let to = SalesforceStatus::Cancelled;
        let moved = desk.stores.jobs.transition(&job.id, to, desk.now(), None);
        moved.await.unwrap();
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
    use domain::unit::{Lane, QueueName};
    use ports::stores::{OLDEST, UNSETTLED};
    let desk = Desk::open();
    let browser = Browser::of(&desk, VIEWER).await;
    let lag = async || figure(&browser.page("/sync-status").await, "Lag");
    assert_eq!(lag().await, "none");
    let began = desk.now();
    desk.pass(75);
    let report = Report {
        at: desk.now(),
        state: WorkerState::Running,
        figures: [
            (OLDEST.to_owned(), began.as_micros()),
            (UNSETTLED.to_owned(), 2),
        ]
        .into(),
        out_of_reach: std::collections::BTreeSet::new(),
    };
    let reports = &desk.stores.reports;
    reports.report("loader", &report).await.unwrap();
    assert_eq!(lag().await, "1 min 15 s");
    // The oldest of all stages.
    let younger = Report {
        figures: [
            (OLDEST.to_owned(), desk.now().as_micros()),
            (UNSETTLED.to_owned(), 1),
        ]
        .into(),
        ..report.clone()
    };
    reports.report("permission", &younger).await.unwrap();
    assert_eq!(lag().await, "1 min 15 s");
    for (number, stage) in [(1, Stage::Load), (2, Stage::Filter), (3, Stage::Load)] {
        let message = ports::queue::Message {
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
    let anew = Report {
        figures: [].into(),
        ..report
    };
    reports.report("loader", &anew).await.unwrap();
    reports.report("permission", &anew).await.unwrap();
    assert_eq!(lag().await, "not known");
    let page = browser.page("/sync-status").await;
    let untold = "data-column=\"Oldest\">not known";
    assert_eq!(page.matches(untold).count(), 2);
}

#[tokio::test]
async fn the_log_is_searched_paged_and_exported() {
    let desk = Desk::open();
    let contact = record(ObjectKind::Contact, 7);
    for number in 0..250_u32 {
        let is_contact = number % 50 == 0;
        let line = LogEntry {
            at: desk.now(),
            level: if is_contact {
                LogLevel::Error
            } else {
                LogLevel::Info
            },
            topic: if is_contact { "mos" } else { "job" }.to_owned(),
            job: None,
            record: is_contact.then_some((ObjectKind::Contact, contact)),
            message: format!("=line {number}"),
        };
        desk.stores.log.append(&line).await.unwrap();
        desk.pass(1);
    }
    let browser = Browser::of(&desk, VIEWER).await;
    let mut path = "/logs".to_owned();
    let mut seen = 0;
    loop {
        let page = browser.page(&path).await;
        seen += page
            .matches("<td role=\"cell\" data-column=\"Level\">")
            .count();
        let Some((before, _)) = page.split_once("\" rel=\"next\"") else {
            break;
        };
        path = before
            .rsplit("href=\"")
            .next()
            .unwrap()
            .replace("&amp;", "&");
    }
    assert_eq!(seen, 250);
    let found = browser.page("/logs?text=line+249").await;
    assert_eq!(
        found.matches(" data-column=\"Level\">").count(),
        1,
        "{found}"
    );
    assert!(found.contains("=line 249") && found.contains("value=\"line 249\""));
    for (field, value) in [
        ("object", "Lead"),
        ("until", "yesterday"),
        ("level", "loud"),
    ] {
        let refused = browser.get(&format!("/logs?{field}={value}")).await;
        assert_eq!(refused.status, 400, "{field}");
        assert!(
            refused.text().contains(&format!("id=\"{field}-error\"")),
            "{field}"
        );
    }
    let timeline = browser.page(&format!("/logs?record={contact}")).await;
    assert_eq!(
        timeline.matches("<li class=\"error\">").count(),
        5,
        "{timeline}"
    );
    assert!(timeline.contains(&format!("Timeline of {contact}")));
    let errors = browser
        .page("/logs?level=error&topic=mos&object=Contact")
        .await;
    assert_eq!(
        errors
            .matches("<td role=\"cell\" data-column=\"Level\">")
            .count(),
        5
    );
    // The word says it, not the colour alone.
    assert!(errors.contains("<span class=\"badge bad\">Error</span>"));
    let began = Timestamp::from_micros(crate::desk::NOW * 1_000_000).to_string();
    let minute = began.get(..16).unwrap();
    let day = began.get(..10).unwrap();
    let early = browser.page(&format!("/logs?until={minute}")).await;
    assert!(early.contains("No line is like that"), "{early}");
    let since = browser.page(&format!("/logs?since={day}T00:00:00")).await;
    assert!(since.contains("line 249"), "{since}");

    let wrong = browser
        .get("/logs?record=x&since=yesterday&level=loud&topic=job")
        .await;
    assert_eq!(wrong.status, 400);
    let text = wrong.text();
    for field in ["record", "since", "level"] {
        assert!(
            text.contains(&format!("id=\"{field}-error\"")),
            "{field}: {text}"
        );
    }
    assert!(
        text.contains("value=\"yesterday") && !text.contains("id=\"topic-error\""),
        "{text}"
    );

    let csv = browser.get("/logs/export?format=csv&topic=mos").await;
    assert_eq!(
        csv.headers["content-disposition"],
        "attachment; filename=\"mosync-log.csv\""
    );
    let csv = csv.text();
    assert_eq!(csv.lines().count(), 6, "{csv}");
    assert!(csv.contains(",'=line 200"), "{csv}");
    let json = browser.get("/logs/export?format=jsonl").await.text();
    assert_eq!(json.lines().count(), 250);
    assert!(
        json.lines()
            .all(|line| serde_json::from_str::<Value>(line).is_ok())
    );
    let refused = browser.get("/logs/export?since=yesterday").await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("yesterday"), "{}", refused.text());
}

#[tokio::test]
async fn jobs_are_filtered_paged_and_exported_and_so_are_the_others() {
    let desk = Desk::open();
    half_done(&desk).await;
    for number in 0..600 {
        desk.pass(1);
        let job = desk.job(JobKind::Retry, &number.to_string()).await;
        if number % 100 == 0 {
            let jobs = &desk.stores.jobs;
            jobs.transition(&job.id, SalesforceStatus::Failed, desk.now(), Some("=why"))
                .await
                .unwrap();
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
    let mut path = "/jobs?kind=retry".to_owned();
    let mut seen = 0;
    loop {
        let page = browser.page(&path).await;
        seen += rows(&page);
        let Some((before, _)) = page.split_once("\" rel=\"next\"") else {
            break;
        };
        path = before
            .rsplit("href=\"")
            .next()
            .unwrap()
            .replace("&amp;", "&");
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
