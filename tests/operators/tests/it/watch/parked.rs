//! The page Parked Records: one by one, by group, all that the filter shows.

use domain::ObjectKind;
use domain::failure::FailureKind;
use domain::job::JobKind;
use domain::unit::Stage;

use super::{half_done, verdict};
use crate::desk::{Desk, record};
use crate::web::{Browser, OPERATOR, between, next_page};

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
    let (mut next, mut seen) = (next_page(&page), 50);
    while let Some(path) = next {
        assert!(path.contains("after="), "{path}");
        let page = browser.page(&path).await;
        seen += page.matches("name=\"record\"").count();
        next = next_page(&page);
    }
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
