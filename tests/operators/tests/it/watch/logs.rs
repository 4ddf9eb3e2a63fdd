//! The page of the integration log.

use domain::{ObjectKind, Timestamp};
use ports::stores::LogLevel;
use serde_json::Value;

use crate::desk::{Desk, NOW, record};
use crate::web::{Browser, VIEWER, next_page};

#[tokio::test]
async fn the_log_is_searched_paged_and_exported() {
    let desk = Desk::open();
    let contact = record(ObjectKind::Contact, 7);
    for number in 0..250_u32 {
        let is_contact = number % 50 == 0;
        desk.write(&format!("=line {number}"), |line| {
            if is_contact {
                line.level = LogLevel::Error;
                line.topic = "mos".to_owned();
                line.record = Some((ObjectKind::Contact, contact));
            }
        })
        .await;
        desk.pass(1);
    }
    let browser = Browser::of(&desk, VIEWER).await;
    let (mut next, mut seen) = (Some("/logs".to_owned()), 0);
    while let Some(path) = next {
        let page = browser.page(&path).await;
        seen += page
            .matches("<td role=\"cell\" data-column=\"Level\">")
            .count();
        next = next_page(&page);
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
    let began = Timestamp::from_micros(NOW * 1_000_000).to_string();
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
