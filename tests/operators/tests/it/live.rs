//! What is live on pages, over real HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use console::Operations;
use domain::job::JobKind;
use futures::StreamExt as _;
use ports::stores::{Report, ReportStore, StoreError, Stores};
use serde_json::Value;
use tokio::time::Instant;

use crate::desk::{Desk, TOPIC};
use crate::web::{Browser, VIEWER};

/// Server-sent events as they come.
struct Events {
    stream: axum::body::BodyDataStream,
    text: String,
}

/// An event: its id, and the parts that it brings.
struct Event {
    id: String,
    parts: Value,
}

impl Events {
    async fn open(browser: &Browser, path: &str, last: Option<&str>) -> Self {
        let headers: Vec<(&str, &str)> = last.map(|id| ("last-event-id", id)).into_iter().collect();
        let response = browser.listen(path, &headers).await;
        assert_eq!(response.status(), 200);
        let media = response.headers()["content-type"].to_str().unwrap();
        assert!(media.starts_with("text/event-stream"), "{media}");
        Self {
            stream: Body::new(response.into_body()).into_data_stream(),
            text: String::new(),
        }
    }

    /// The next one that brings parts.
    async fn next(&mut self) -> Event {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| {
                    let line = event.lines().find_map(|line| line.strip_prefix(name));
                    line.map(|value| value.trim_start().to_owned())
                };
                if let (Some(id), Some(data)) = (field("id:"), field("data:")) {
                    assert_eq!(field("event:").as_deref(), Some("parts"));
                    let parts = serde_json::from_str(&data).unwrap();
                    return Event { id, parts };
                }
                continue;
            }
            let chunk = self.stream.next().await.unwrap().unwrap();
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

fn has(event: &Event, part: &str) -> bool {
    event.parts.get(part).is_some()
}

#[tokio::test]
async fn what_changes_is_told_and_nothing_is_missed_by_whoever_was_away() {
    let desk = Desk::open();
    let browser = Browser::of(&desk, VIEWER).await;
    let mut events = Events::open(&browser, "/events", None).await;
    let first = events.next().await;
    for part in ["now", "job", "jobs", "verdict", "recent", "said", "hours"] {
        assert!(has(&first, part), "{part}");
    }
    let page = browser.page("/sync-status").await;
    for (name, content) in first.parts.as_object().unwrap() {
        let content = content.as_str().unwrap();
        assert!(page.contains(content), "{name}: {content}\n{page}");
    }

    let job = desk.job(JobKind::SyncAll, "a").await;
    let second = events.next().await;
    let shown = second.parts["job"].as_str().unwrap();
    assert!(
        shown.contains(job.id.as_str()) && shown.contains("Queued"),
        "{shown}"
    );
    assert!(
        second.parts["said"]
            .as_str()
            .unwrap()
            .contains("Sync all data")
    );
    // What has not changed is not sent again.
    assert!(
        !has(&second, "hours") && !has(&second, "stream"),
        "{}",
        second.parts
    );
    drop(events);

    // Away, while something else changes.
    desk.park(1, |_| {}).await;
    let mut again = Events::open(&browser, "/events", Some(&second.id)).await;
    let third = again.next().await;
    let attention = third.parts["attention"].as_str().unwrap();
    assert!(attention.contains("1 parked"), "{attention}");
    assert!(!has(&third, "job"), "{}", third.parts);
    // From before the job: both.
    let mut older = Events::open(&browser, &format!("/events?after={}", first.id), None).await;
    let both = older.next().await;
    assert!(has(&both, "job") && has(&both, "attention") && !has(&both, "hours"));
    // Of a process that is gone, or nonsense: everything.
    for strange in ["1-1", "x"] {
        let mut new = Events::open(&browser, "/events", Some(strange)).await;
        assert!(has(&new.next().await, "hours"), "{strange}");
    }
}

#[tokio::test]
async fn two_hundred_pages_are_all_told() {
    let desk = Desk::open();
    let mut browser = Browser::of(&desk, VIEWER).await;
    let mut pages = Vec::new();
    for number in 0..200 {
        if number % 25 == 0 {
            browser.sign_in_again(&desk, VIEWER).await;
        }
        pages.push(Events::open(&browser, "/events", None).await);
    }
    let first = futures::future::join_all(pages.iter_mut().map(Events::next)).await;
    let job = desk.job(JobKind::SyncAll, "a").await;
    let second = futures::future::join_all(pages.iter_mut().map(Events::next)).await;
    assert!(first.iter().all(|event| has(event, "hours")));
    for event in second {
        let shown = event.parts["job"].as_str().unwrap();
        assert!(shown.contains(job.id.as_str()), "{shown}");
    }
}

#[tokio::test]
async fn a_session_has_so_many_live_pages_and_no_more() {
    let desk = Desk::open();
    let browser = Browser::of(&desk, VIEWER).await;
    let mut pages = Vec::new();
    for _ in 0..32 {
        pages.push(Events::open(&browser, "/events", None).await);
    }
    let beyond = browser.get("/events").await;
    assert_eq!(beyond.status, 429);
    assert!(beyond.text().contains("close some of them"));
}

/// However long a page is open, whether it may hear more is looked at again.
#[tokio::test]
async fn a_live_page_has_to_ask_again_after_minutes_and_hears_nothing_when_its_session_is_over() {
    let desk = Desk::open();
    let browser = Browser::of(&desk, VIEWER).await;
    let opened = Instant::now();
    let mut events = Events::open(&browser, "/events", None).await;
    events.next().await;
    // It keeps no session from ending.
    desk.pass(31 * 60);
    tokio::time::pause();
    while let Some(chunk) = events.stream.next().await {
        chunk.unwrap();
        assert!(opened.elapsed() < Duration::from_secs(600), "it goes on");
    }
    tokio::time::resume();
    assert_eq!(browser.get("/events").await.status, 401);
}

#[tokio::test]
async fn strangers_hear_nothing() {
    let desk = Desk::open();
    let browser = Browser::of(&desk, "nils@example.com").await;
    let answer = browser.get("/events").await;
    assert_eq!(answer.status, 403);
    let nobody = browser
        .door
        .ask(http::Method::GET, "/events", None, "")
        .await;
    let media = nobody.headers.get("content-type");
    let is_stream = media.is_some_and(|media| media.as_bytes().starts_with(b"text/event-stream"));
    assert!(!is_stream, "{nobody:?}");
}

/// What the workers say, in a store that is away for a while.
struct Away {
    real: Arc<dyn ReportStore>,
    away: AtomicBool,
}

#[async_trait]
impl ReportStore for Away {
    async fn report(&self, worker: &str, report: &Report) -> Result<(), StoreError> {
        self.real.report(worker, report).await
    }

    async fn reports(&self) -> Result<BTreeMap<String, Report>, StoreError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(StoreError::Unreachable("connection refused".to_owned()));
        }
        self.real.reports().await
    }
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_told_to_open_pages_until_it_does() {
    let mut desk = Desk::open();
    let away = Arc::new(Away {
        real: Arc::clone(&desk.stores.reports),
        away: AtomicBool::new(false),
    });
    let stores = Stores {
        reports: Arc::<Away>::clone(&away),
        ..desk.stores.clone()
    };
    let queue = Arc::clone(&desk.queue);
    desk.ops = Operations::new(stores, queue, desk.clock(), desk.source(), TOPIC);
    let browser = Browser::of(&desk, VIEWER).await;
    let mut events = Events::open(&browser, "/events", None).await;
    assert_eq!(events.next().await.parts["trouble"], "");

    away.away.store(true, Ordering::SeqCst);
    let told = events.next().await.parts;
    let trouble = told["trouble"].as_str().unwrap();
    for words in ["What you see is not up to date.", "connection refused"] {
        assert!(trouble.contains(words), "{words}: {trouble}");
    }
    let parts = told.as_object().unwrap();
    assert_eq!(parts.len(), 1, "the rest stays as it was: {told}");

    // Something to tell when it answers again, so that it is told.
    desk.park(1, |_| {}).await;
    away.away.store(false, Ordering::SeqCst);
    let back = events.next().await;
    assert!(has(&back, "attention"), "{}", back.parts);
    assert_eq!(back.parts["trouble"], "", "{}", back.parts);
}
