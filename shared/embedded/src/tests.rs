//! What the suites of the ports cannot ask of every adapter.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use domain::unit::{Lane, QueueName, Stage};
use domain::{ObjectKind, SalesforceId, Timestamp, Version};
use ports::Clock;
use ports::queue::Message;
use ports::stores::{LogEntry, LogLevel, LogQuery, StoreError};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::{Embedded, Location, OpenError};

const LIVE: QueueName = QueueName::new(Stage::Load, Lane::Live);

/// Says what it was told.
#[derive(Debug)]
struct Told(AtomicI64);

impl Clock for Told {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// Tokio's clock, which a test can pause.
#[derive(Debug)]
struct Virtual(Instant);

impl Clock for Virtual {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_000_000).after(self.0.elapsed())
    }
}

fn told(micros: i64) -> Arc<Told> {
    Arc::new(Told(AtomicI64::new(micros)))
}

fn in_folder(folder: &Path) -> Result<Embedded, OpenError> {
    Embedded::open(Location::File(folder.to_owned()), told(1))
}

fn message(number: usize) -> Message {
    Message {
        id: format!("m{number}"),
        kind: "test".to_owned(),
        version: 1,
        body: vec![0; 100],
    }
}

#[test]
fn a_second_opener_is_refused_and_told_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let first = in_folder(folder.path()).unwrap();
    let refused = in_folder(folder.path()).unwrap_err();
    assert!(matches!(refused, OpenError::InUse(_)));
    assert!(
        refused
            .to_string()
            .contains(&folder.path().display().to_string())
    );
    drop(first);
    in_folder(folder.path()).unwrap();
}

#[test]
fn a_database_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(in_folder(folder.path()).unwrap());
    let db = rusqlite::Connection::open(folder.path().join("mosync.db")).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    assert!(matches!(
        in_folder(folder.path()),
        Err(OpenError::Newer { found: 99, .. })
    ));
}

#[test]
fn a_database_from_before_the_first_release_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(in_folder(folder.path()).unwrap());
    let db = rusqlite::Connection::open(folder.path().join("mosync.db")).unwrap();
    db.pragma_update(None, "user_version", 1).unwrap();
    drop(db);
    assert!(matches!(
        in_folder(folder.path()),
        Err(OpenError::Older { found: 1 })
    ));
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let refused = in_folder(file.path()).unwrap_err();
    assert!(matches!(refused, OpenError::Folder { .. }));
}

/// What a power cut would leave is in the files as soon as publish has answered: a copy of them,
/// taken while the database is open, has the message.
#[tokio::test]
async fn published_is_on_disk_before_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let embedded = in_folder(folder.path()).unwrap();
    embedded.queue().publish(LIVE, &message(1)).await.unwrap();
    for file in ["mosync.db", "mosync.db-wal"] {
        std::fs::copy(folder.path().join(file), copy.path().join(file)).unwrap();
    }
    let restored = in_folder(copy.path()).unwrap();
    assert_eq!(restored.queue().depth(LIVE).await, Ok(1));
}

/// A message that was in hand when the process ended is delivered again, attempt + 1.
#[tokio::test]
async fn what_was_in_hand_is_ready_after_opening() {
    let folder = tempfile::tempdir().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let embedded = in_folder(folder.path()).unwrap();
    let queue = embedded.queue();
    queue.publish(LIVE, &message(1)).await.unwrap();
    let mut subscription = queue.subscribe(LIVE, 1).await.unwrap();
    let in_hand = subscription.next().await.unwrap();
    for file in ["mosync.db", "mosync.db-wal"] {
        std::fs::copy(folder.path().join(file), copy.path().join(file)).unwrap();
    }
    let reopened = in_folder(copy.path()).unwrap().queue();
    let mut subscription = reopened.subscribe(LIVE, 1).await.unwrap();
    let again = subscription.next().await.unwrap();
    assert_eq!((again.attempt, again.returned), (1, 1));
    drop(in_hand);
}

/// Publishes that are under way together share commits.
#[tokio::test]
async fn concurrent_publishes_share_commits() {
    let folder = tempfile::tempdir().unwrap();
    let embedded = in_folder(folder.path()).unwrap();
    let queue = embedded.queue();
    let mut publishing = JoinSet::new();
    for number in 0..500 {
        let queue = Arc::clone(&queue);
        publishing.spawn(async move { queue.publish(LIVE, &message(number)).await });
    }
    let published = publishing.join_all().await;
    assert!(published.iter().all(Result::is_ok));
    let commits = embedded.core.commits();
    assert!(commits < 250, "{commits} commits for 500 messages");
}

/// A step that fails takes nothing along, neither of itself nor of those that share its commit.
#[tokio::test]
async fn a_failed_step_harms_no_other() {
    let embedded = Embedded::open(Location::Memory, told(1)).unwrap();
    let failed = embedded.core.run(|tx| {
        tx.db.execute("DELETE FROM queues", [])?;
        Err::<(), _>(StoreError::Conflict { current: 3 }.into())
    });
    assert!(failed.await.is_err());
    let queue = embedded.queue();
    assert_eq!(queue.publish(LIVE, &message(1)).await, Ok(()));
}

/// In memory nothing but tokio's paused clock moves: an hour's wait costs no time, and a wait that
/// was cancelled neither loses the message nor spends an attempt.
#[tokio::test(start_paused = true)]
async fn a_retry_in_an_hour_comes_at_once_in_paused_time() {
    let clock = Arc::new(Virtual(Instant::now()));
    let embedded = Embedded::open(Location::Memory, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    let queue = embedded.queue();
    queue.publish(LIVE, &message(1)).await.unwrap();
    let mut subscription = queue.subscribe(LIVE, 1).await.unwrap();
    let at = clock.now().after(Duration::from_secs(3600));
    let first = subscription.next().await.unwrap();
    first.delivery.retry_at(at, None).await.unwrap();
    for _ in 0..10 {
        let waited = tokio::time::timeout(Duration::from_secs(60), subscription.next()).await;
        assert!(waited.is_err());
    }
    let second = subscription.next().await.unwrap();
    assert_eq!(second.attempt, 1);
    assert!(clock.now() >= at);
    assert!(clock.now() < at.after(Duration::from_millis(5)));
}

/// In a folder a look whose caller went away is answered to the next caller.
#[tokio::test]
async fn a_cancelled_wait_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let queue = in_folder(folder.path()).unwrap().queue();
    let mut subscription = queue.subscribe(LIVE, 10).await.unwrap();
    for number in 0..50 {
        queue.publish(LIVE, &message(number)).await.unwrap();
        // Polled once, which submits the look, and dropped before it is answered.
        tokio::select! {
            biased;
            early = subscription.next() => drop(early),
            () = std::future::ready(()) => {}
        }
        let incoming = subscription.next().await.unwrap();
        assert_eq!(incoming.message.id, format!("m{number}"));
        assert_eq!(incoming.attempt, 0);
        incoming.delivery.ack().await.unwrap();
    }
}

/// The mark that is stored ahead is not mistaken for a clock that stepped back, and tickets of
/// one microsecond differ.
#[tokio::test]
async fn tickets_rise_by_the_microsecond_and_over_a_restart() {
    let clock = told(1_000_000_000);
    let embedded = Embedded::open(Location::Memory, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    let mut last = Version::at(Timestamp::default());
    for _ in 0..3 {
        for _ in 0..10 {
            let ticket = embedded.stores().ticket.take().await.unwrap();
            assert!(ticket.version > last);
            last = ticket.version;
        }
        embedded.restart().unwrap();
    }
    clock.0.store(1, Ordering::SeqCst);
    let refused = embedded.stores().ticket.take().await;
    assert!(matches!(refused, Err(StoreError::ClockSteppedBack(_))));
}

/// As many lines as are kept by default; how long the search takes is printed.
#[tokio::test]
async fn a_long_log_is_searched_to_its_beginning() {
    let embedded = Embedded::open(Location::Memory, told(1)).unwrap();
    let log = embedded.stores().log;
    let record = (
        ObjectKind::Account,
        SalesforceId::parse("001000000000001").unwrap(),
    );
    let line = |number: i64| LogEntry {
        at: Timestamp::from_micros(number),
        level: LogLevel::Info,
        topic: "stream".to_owned(),
        job: None,
        record: (number == 10).then_some(record),
        message: "a line".to_owned(),
    };
    for number in 0..100_010 {
        log.append(&line(number)).await.unwrap();
    }
    assert_eq!(log.trim(100_000, Timestamp::default()).await, Ok(10));
    let all = log.search(&LogQuery::default(), None, usize::MAX).await;
    let all = all.unwrap().entries;
    assert_eq!(all.len(), 100_000);
    let query = LogQuery {
        record: Some(record),
        ..LogQuery::default()
    };
    let begun = Instant::now();
    let found = log.search(&query, None, 10).await.unwrap();
    println!("100,000 lines were searched in {:?}", begun.elapsed());
    assert_eq!(found.entries.first(), all.last());
    assert_eq!((found.entries.len(), found.next), (1, None));
}
