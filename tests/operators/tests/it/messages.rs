//! Dead messages: sent back, or thrown away with their unit's tally closed.

use console::{Caller, OpsError};
use domain::ObjectKind;
use domain::job::{JobKind, MosStatus, SalesforceStatus};
use domain::tally::Count;
use domain::unit::{Lane, QueueName, Stage};
use ports::queue::Message;

use crate::desk::Desk;
use crate::web::{Browser, OPERATOR};

const BY: Caller = Caller::Api;

fn because(reason: &str) -> Option<String> {
    Some(reason.to_owned())
}

#[tokio::test]
async fn a_discarded_unit_is_counted_as_cancelled_and_its_records_are_named() {
    let desk = Desk::open();
    let job = desk.job(JobKind::Backfill, "a").await;
    let jobs = &desk.stores.jobs;
    let mut progress = job.progress.clone();
    (progress.announced, progress.next_index) = (1, 1);
    desk.transition(&job.id, SalesforceStatus::Extracting, None)
        .await;
    jobs.advance(&job.id, &progress, None, desk.now())
        .await
        .unwrap();
    desk.transition(&job.id, SalesforceStatus::Sealed, None)
        .await;
    let unit = desk.unit(&job.id, 0, 3);
    let id = desk.die(&unit.id.to_string(), unit.encode().unwrap()).await;

    let list = desk.ops.dead(None).await.unwrap();
    assert_eq!(list.total, 1);
    assert_eq!(list.messages[0].queue.as_deref(), Some("load.bulk"));
    assert_eq!(list.messages[0].job.as_deref(), Some(job.id.as_str()));
    assert_eq!(list.messages[0].records, None);
    let shown = desk.ops.dead_message(&id).await.unwrap();
    assert_eq!(shown.records.unwrap().len(), 3);

    for reason in [None, because(" "), because(&"x".repeat(501))] {
        let refused = desk.ops.discard_dead(&id, reason, BY).await.unwrap_err();
        assert!(matches!(refused, OpsError::Invalid(_)), "{refused:?}");
    }
    let gone = desk.ops.discard_dead(&id, because("a broken import"), BY);
    assert_eq!(gone.await.unwrap().cancelled, 3);
    let counted = desk.stored(&job.id).await;
    assert_eq!(counted.outcome(), Some(MosStatus::Completed));
    let contact = ObjectKind::Contact;
    assert_eq!(counted.tally.get(contact, Count::Cancelled), 3);
    assert_eq!(counted.tally.get(contact, Count::Filtered), 1);
    assert_eq!(desk.ops.dead(None).await.unwrap().total, 0);
    let log = desk.log().await;
    assert_eq!(log.len(), 4);
    assert!(log.iter().all(|line| line.job.as_ref() == Some(&job.id)));
    let named = log.iter().filter_map(|line| line.record);
    let expected = unit.records.iter().rev();
    let expected = expected.map(|record| (record.object, record.id));
    assert_eq!(named.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    assert!(
        log.iter()
            .all(|line| line.message.contains("broken import"))
    );
    let again = desk.ops.discard_dead(&id, because("x"), BY).await;
    assert!(matches!(again.unwrap_err(), OpsError::NotFound(_)));
}

#[tokio::test]
async fn a_copy_of_a_counted_unit_cancels_nothing() {
    let desk = Desk::open();
    let job = desk.job(JobKind::Backfill, "a").await;
    let unit = desk.unit(&job.id, 0, 3);
    let mut tally = unit.tally.clone();
    tally.add_many(ObjectKind::Contact, Count::Created, 3);
    let jobs = &desk.stores.jobs;
    assert!(
        jobs.count(&job.id, 0, None, &tally, desk.now())
            .await
            .unwrap()
    );
    let id = desk.die("a copy", unit.encode().unwrap()).await;
    let gone = desk.ops.discard_dead(&id, because("a copy"), BY).await;
    assert_eq!(gone.unwrap().cancelled, 0);
    assert_eq!(desk.stored(&job.id).await.tally, tally);
}

#[tokio::test]
async fn a_message_is_found_behind_however_many_others() {
    let desk = Desk::open();
    for number in 0..1_001 {
        let message = Message {
            id: format!("m-{number}"),
            kind: "salesforce.event".to_owned(),
            version: 1,
            body: b"?".to_vec(),
        };
        let dead = desk.queue.publish_dead(&message, "the event stream", "odd");
        dead.await.unwrap();
    }
    // The file has no more than a broker is asked for at once, and its page says so.
    let browser = Browser::of(&desk, OPERATOR).await;
    let page = browser.page("/parked/dead").await;
    for told in [
        "The oldest 200 of 1,001 are shown",
        "The CSV has the oldest 1,000 of them.",
    ] {
        assert!(page.contains(told), "{page}");
    }
    let file = browser.page("/parked/dead/export").await;
    assert_eq!(file.lines().count(), 1 + 1_000);

    let last = "m-1000";
    assert_eq!(desk.ops.dead_message(last).await.unwrap().id, last);
    let gone = desk.ops.discard_dead(last, because("seen"), BY).await;
    gone.unwrap();
    assert_eq!(desk.ops.dead(None).await.unwrap().total, 1_000);
    let page = browser.page("/parked/dead").await;
    assert!(!page.contains("The CSV has"), "{page}");
}

#[tokio::test]
async fn what_nobody_can_read_can_be_sent_back_or_thrown_away() {
    let desk = Desk::open();
    let id = desk.die("garbage", b"\xff\x00".to_vec()).await;
    let shown = desk.ops.dead_message(&id).await.unwrap();
    assert_eq!((shown.job, shown.records), (None, None));
    assert_eq!(shown.bytes, 2);
    assert_eq!(shown.reason, "nobody can process it");
    assert_eq!(shown.since, Some(desk.now()));
    let listed = desk.ops.dead(None).await.unwrap().messages;
    assert_eq!(listed[0].since, Some(desk.now()));
    desk.ops.replay_dead(&id, BY).await.unwrap();
    let queue = QueueName::new(Stage::Load, Lane::Bulk);
    assert_eq!(desk.queue.depth(queue).await.unwrap(), 1);
    assert_eq!(desk.queue.dead_count().await.unwrap(), 0);
    assert_eq!(
        desk.log().await[0].message,
        "message garbage was sent back to load.bulk by the API"
    );
    let gone = desk.ops.replay_dead(&id, BY).await.unwrap_err();
    assert!(matches!(gone, OpsError::NotFound(_)), "{gone:?}");

    let desk = Desk::open();
    let event = Message {
        id: "event".to_owned(),
        kind: "salesforce.event".to_owned(),
        version: 1,
        body: b"?".to_vec(),
    };
    desk.queue
        .publish_dead(&event, "the event stream", "no such schema")
        .await
        .unwrap();
    let refused = desk.ops.replay_dead("event", BY).await.unwrap_err();
    assert!(matches!(refused, OpsError::Conflict(_)), "{refused:?}");
    let gone = desk.ops.discard_dead("event", because("seen"), BY).await;
    assert_eq!(gone.unwrap().cancelled, 0);
    assert_eq!(desk.queue.dead_count().await.unwrap(), 0);
}
