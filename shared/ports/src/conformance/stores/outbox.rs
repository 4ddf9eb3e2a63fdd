//! Notifications.

use std::time::Duration;

use domain::Timestamp;
use domain::notification::{
    Board, Condition, Event, Finding, Matter, Notice, Notification, Settled, Way, notice_id,
};

use super::{StoreHarness, at};
use crate::stores::{OutboxStore, StoreError};

fn notice(name: &str, found: Timestamp) -> Notice {
    Notice {
        id: notice_id(name, "opened"),
        incident: name.to_owned(),
        matter: Matter::Gap,
        event: Event::Opened,
        at: found,
        object: "the event stream".to_owned(),
        count: 1,
        cause: "an overflow: `ä`".to_owned(),
        advice: "Nothing to do.".to_owned(),
        page: "/gaps".to_owned(),
        details: vec!["a line".to_owned()],
        lasted_s: None,
    }
}

fn letter(name: &str, found: Timestamp) -> Notification {
    let to = "ada@example.com".to_owned();
    Notification::new(notice(name, found), [Way::Mail { to }, Way::Webhook])
}

fn board(revision: u64) -> Board {
    let finding = Finding {
        conditions: vec![Condition {
            key: "gap/overflow".to_owned(),
            matter: Matter::Gap,
            object: "the event stream".to_owned(),
            count: revision,
            cause: String::new(),
            advice: String::new(),
            page: "/gaps".to_owned(),
            details: Vec::new(),
        }],
        ..Finding::default()
    };
    let (mut board, _) = Board::new(at(0)).after(&finding, at(1));
    board.revision = revision;
    board
}

async fn posted(outbox: &dyn OutboxStore, letters: &[Notification]) {
    assert_eq!(outbox.post(&board(1), letters).await, Ok(()));
}

/// The board and what is to be told of it are one step, which only the first of two processes
/// makes, and which can be repeated.
pub async fn outbox_and_board_are_one_step(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let outbox = &stores.outbox;
    assert_eq!(outbox.board().await, Ok(None));
    let (one, other) = (letter("one", at(1)), letter("other", at(2)));
    let first = [one.clone()];
    for _answer_lost in 0..2 {
        assert_eq!(outbox.post(&board(1), &first).await, Ok(()));
    }
    // Another process looked at the same board and has found something else.
    let late = Board {
        looked: at(9),
        ..board(1)
    };
    assert_eq!(
        outbox.post(&late, std::slice::from_ref(&other)).await,
        Err(StoreError::Conflict { current: 1 })
    );
    assert_eq!(
        outbox.post(&board(3), std::slice::from_ref(&other)).await,
        Err(StoreError::Conflict { current: 1 })
    );
    assert_eq!(outbox.notification(other.id()).await, Ok(None));
    harness.restart().await;
    let outbox = harness.stores().await.outbox;
    assert_eq!(outbox.board().await, Ok(Some(board(1))));
    assert_eq!(outbox.notification(one.id()).await, Ok(Some(one.clone())));
    assert_eq!(outbox.post(&board(2), &[other]).await, Ok(()));
    assert_eq!(outbox.board().await, Ok(Some(board(2))));
}

/// A notification that is known stays as far as it has come.
pub async fn outbox_takes_a_notification_once(harness: &dyn StoreHarness) {
    let outbox = harness.stores().await.outbox;
    let found = letter("one", at(1));
    posted(&*outbox, std::slice::from_ref(&found)).await;
    let begun = found.begun(0, at(5));
    assert_eq!(outbox.replace(&begun).await, Ok(true));
    let again = letter("one", at(1));
    assert_eq!(outbox.post(&board(2), &[again]).await, Ok(()));
    assert_eq!(outbox.notification(found.id()).await, Ok(Some(begun)));
}

/// Of two processes that begin the same step one has made it, and may be told so twice.
pub async fn outbox_step_is_made_by_one(harness: &dyn StoreHarness) {
    let outbox = harness.stores().await.outbox;
    let found = letter("one", at(1));
    assert_eq!(outbox.replace(&found.begun(0, at(5))).await, Ok(false));
    posted(&*outbox, std::slice::from_ref(&found)).await;
    let (mine, theirs) = (found.begun(0, at(5)), found.begun(0, at(6)));
    for _answer_lost in 0..2 {
        assert_eq!(outbox.replace(&mine).await, Ok(true));
    }
    assert_eq!(outbox.replace(&theirs).await, Ok(false));
    harness.restart().await;
    let outbox = harness.stores().await.outbox;
    assert_eq!(
        outbox.notification(found.id()).await,
        Ok(Some(mine.clone()))
    );
    let sent = mine.settled(0, Settled::Sent("250".to_owned()), at(7));
    assert_eq!(outbox.replace(&sent).await, Ok(true));
    assert_eq!(outbox.replace(&mine).await, Ok(false), "it never goes back");
}

/// What is due is found, the longest due first, until nothing is.
pub async fn outbox_finds_what_is_due(harness: &dyn StoreHarness) {
    let outbox = harness.stores().await.outbox;
    let letters = [letter("b", at(2)), letter("a", at(1)), letter("c", at(90))];
    posted(&*outbox, &letters).await;
    let ids = |found: Result<Vec<Notification>, StoreError>| {
        let found = found.expect("the store answers");
        let ids = found.iter().map(|one| one.notice.incident.clone());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ids(outbox.due(at(10), 9).await), ["a", "b"]);
    assert_eq!(ids(outbox.due(at(10), 1).await), ["a"]);
    assert_eq!(ids(outbox.due(at(0), 9).await), [""; 0]);
    let mut a = letters[1].clone();
    for (place, outcome) in [Settled::Sent(String::new()), Settled::Later(String::new())]
        .into_iter()
        .enumerate()
    {
        for next in [a.begun(place, at(10)), {
            let begun = a.begun(place, at(10));
            begun.settled(place, outcome.clone(), at(10))
        }] {
            assert_eq!(outbox.replace(&next).await, Ok(true));
            a = next;
        }
    }
    assert_eq!(ids(outbox.due(at(10), 9).await), ["b"]);
    let again = a.due().expect("it is tried again");
    assert_eq!(ids(outbox.due(again, 9).await), ["b", "a"]);
}

/// The newest first, in pages.
pub async fn outbox_is_listed_newest_first(harness: &dyn StoreHarness) {
    let outbox = harness.stores().await.outbox;
    let mut letters = (0..5)
        .map(|number| letter(&format!("n{number}"), at(number / 2)))
        .collect::<Vec<_>>();
    posted(&*outbox, &letters).await;
    letters.sort_by(|a, b| (b.notice.at, b.id()).cmp(&(a.notice.at, a.id())));
    assert_eq!(outbox.list(None, 9).await, Ok(letters.clone()));
    let mut listed = Vec::new();
    let mut before = None;
    loop {
        let page = outbox.list(before.as_ref(), 2).await.expect("a page");
        let Some(last) = page.last() else { break };
        before = Some((last.notice.at, last.id().to_owned()));
        listed.extend(page);
    }
    assert_eq!(listed, letters);
}

/// Failures are counted from a time on; what has come to its end is forgotten when it is old.
pub async fn outbox_counts_failures_and_forgets(harness: &dyn StoreHarness) {
    let outbox = harness.stores().await.outbox;
    let letters = [letter("a", at(1)), letter("b", at(2)), letter("c", at(3))];
    posted(&*outbox, &letters).await;
    for found in &letters[..2] {
        let mut now = found.clone();
        for place in 0..2 {
            for next in [now.begun(place, at(10)), {
                let begun = now.begun(place, at(10));
                begun.settled(place, Settled::Never("no".to_owned()), now.notice.at)
            }] {
                assert_eq!(outbox.replace(&next).await, Ok(true));
                now = next;
            }
        }
    }
    for (since, failed) in [(at(0), 2), (at(2), 1), (at(3), 0)] {
        assert_eq!(outbox.failed(since).await, Ok(failed));
    }
    let later = at(4).after(Duration::from_secs(1));
    assert_eq!(outbox.forget(at(2), 9).await, Ok(1));
    assert_eq!(outbox.failed(at(0)).await, Ok(1));
    assert_eq!(
        outbox.forget(later, 9).await,
        Ok(1),
        "one is still on its way"
    );
    let left = outbox.list(None, 9).await.expect("a page");
    assert_eq!(left, letters[2..]);
}
