//! The pages of dead messages.

use domain::ObjectKind;
use domain::unit::{Lane, QueueName, Stage};

use super::{half_done, verdict};
use crate::desk::{Desk, record};
use crate::web::{Browser, OPERATOR, between};

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

    let from = QueueName::new(Stage::Load, Lane::Bulk);
    let mut subscription = desk.queue.subscribe(from, 1).await.unwrap();
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
    assert!(!verdict.contains("is dead"), "{verdict}");
    assert_eq!(desk.queue.dead_count().await.unwrap(), 0);
    assert!(
        desk.log()
            .await
            .iter()
            .any(|line| line.message.contains(&id))
    );
}
