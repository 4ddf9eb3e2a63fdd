//! The integration log: searched, in pages, exported whole.

use console::OpsError;
use console::rights::Right;
use console::views::{LogLine, LogSearch};
use domain::ObjectKind;
use domain::job::JobId;
use ports::stores::{LogEntry, LogLevel};

use crate::desk::{Desk, record};

async fn write(desk: &Desk, number: u32, change: impl FnOnce(&mut LogEntry)) {
    desk.pass(1);
    desk.write(&format!("line {number}"), change).await;
}

async fn found(desk: &Desk, search: LogSearch) -> Vec<String> {
    let page = desk.ops.logs(&search, Right::Administer).await.unwrap();
    page.entries.into_iter().map(|line| line.message).collect()
}

#[tokio::test]
async fn lines_are_found_by_what_they_are_about() {
    let desk = Desk::open();
    let some = |text: &str| Some(text.to_owned());
    let job = JobId::of("sync_all-1");
    let contact = record(ObjectKind::Contact, 1);
    write(&desk, 1, |_| {}).await;
    write(&desk, 2, |line| line.job = Some(job.clone())).await;
    write(&desk, 3, |line| {
        line.record = Some((ObjectKind::Contact, contact));
        line.topic = "parked".to_owned();
    })
    .await;
    write(&desk, 4, |line| line.level = LogLevel::Error).await;
    let third = desk.now().before(std::time::Duration::from_secs(1));
    let search = LogSearch::default;
    for (search, lines) in [
        (search(), vec!["line 4", "line 3", "line 2", "line 1"]),
        (
            LogSearch {
                record: some(contact.as_str().get(..15).unwrap()),
                ..search()
            },
            vec!["line 3"],
        ),
        (
            LogSearch {
                job: some("sync_all-1"),
                ..search()
            },
            vec!["line 2"],
        ),
        (
            LogSearch {
                object: some("Contact"),
                ..search()
            },
            vec!["line 3"],
        ),
        (
            LogSearch {
                level: some("warning"),
                ..search()
            },
            vec!["line 4"],
        ),
        (
            LogSearch {
                topic: some("parked"),
                ..search()
            },
            vec!["line 3"],
        ),
        (
            LogSearch {
                since: some(&third.to_string()),
                ..search()
            },
            vec!["line 4", "line 3"],
        ),
        (
            LogSearch {
                until: some(&third.to_string()),
                ..search()
            },
            vec!["line 2", "line 1"],
        ),
    ] {
        assert_eq!(found(&desk, search.clone()).await, lines, "{search:?}");
    }
    for wrong in [
        LogSearch {
            level: some("loud"),
            ..search()
        },
        LogSearch {
            object: some("Lead"),
            ..search()
        },
        LogSearch {
            since: some("yesterday"),
            ..search()
        },
        LogSearch {
            before: some("x"),
            ..search()
        },
        LogSearch {
            record: some("x"),
            ..search()
        },
    ] {
        let refused = desk.ops.logs(&wrong, Right::Administer).await.unwrap_err();
        assert!(matches!(refused, OpsError::Invalid(_)), "{refused:?}");
    }
}

#[tokio::test]
async fn an_export_has_every_line_of_more_than_one_page() {
    let desk = Desk::open();
    for number in 0..2100 {
        write(&desk, number, |_| {}).await;
    }
    write(&desk, 0, |line| line.message = "=1+1".to_owned()).await;
    let door = desk.door().await;
    let jsonl = door.get("/api/v1/logs/export?format=jsonl").await;
    assert_eq!(jsonl.status, 200);
    let lines = std::str::from_utf8(&jsonl.body).unwrap().lines();
    let lines = lines.map(|line| serde_json::from_str::<LogLine>(line).unwrap());
    let lines = lines.collect::<Vec<_>>();
    assert_eq!(lines.len(), 2101);
    assert_eq!(lines[0].message, "=1+1");
    assert!(lines.iter().zip(&lines[1..]).all(|(a, b)| a.at > b.at));
    let csv = door.get("/api/v1/logs/export").await;
    assert_eq!(csv.headers["content-type"], "text/csv; charset=utf-8");
    let rows = std::str::from_utf8(&csv.body).unwrap();
    assert_eq!(rows.matches("\r\n").count(), 2102);
    assert!(rows.contains(",'=1+1\r\n"), "no cell is a formula");

    // In pages, by their places.
    let mut seen = 0;
    let mut path = "/api/v1/logs?limit=1000".to_owned();
    loop {
        let page = door.get(&path).await.json();
        seen += page["entries"].as_array().unwrap().len();
        let Some(next) = page["next"].as_str() else {
            break;
        };
        path = format!("/api/v1/logs?limit=1000&before={next}");
    }
    assert_eq!(seen, 2101);
}

#[tokio::test]
async fn who_came_in_is_told_to_administrators_alone() {
    let desk = Desk::open();
    write(&desk, 1, |_| {}).await;
    write(&desk, 2, |line| line.topic = "access".to_owned()).await;
    let search = LogSearch::default();
    let of = LogSearch {
        topic: Some("access".to_owned()),
        ..search.clone()
    };
    for (may, lines) in [
        (Right::Read, &["line 1"][..]),
        (Right::Operate, &["line 1"]),
        (Right::Administer, &["line 2", "line 1"]),
    ] {
        let page = desk.ops.logs(&search, may).await.unwrap();
        let told: Vec<_> = page.entries.into_iter().map(|line| line.message).collect();
        assert_eq!(told, lines, "{may:?}");
        let all = desk.ops.all_logs(&search, may).unwrap();
        let all: Vec<_> = futures::TryStreamExt::try_collect::<Vec<_>>(all)
            .await
            .unwrap();
        assert_eq!(all.concat().len(), lines.len(), "{may:?}");
        let is_told = desk.ops.logs(&of, may).await.is_ok();
        assert_eq!(is_told, may == Right::Administer, "{may:?}");
        assert_eq!(desk.ops.all_logs(&of, may).is_ok(), is_told);
    }
    let viewer = crate::web::Browser::of(&desk, crate::web::VIEWER).await;
    let page = viewer.page("/logs").await;
    assert!(page.contains("line 1") && !page.contains("line 2"));
    assert!(!page.contains("value=\"access\""));
    for path in ["/logs?topic=access", "/logs/export?topic=access"] {
        assert_eq!(viewer.get(path).await.status, 403, "{path}");
    }
    let file = viewer.page("/logs/export").await;
    assert!(file.contains("line 1") && !file.contains("line 2"));
}
