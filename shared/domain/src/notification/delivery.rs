//! How far a notification has come on each of its ways.
//!
//! A notification is written down together with what has been told of its incident, in one step.
//! Each of its ways then goes `pending` -> `sending` -> `sent`. Whoever is killed while sending
//! leaves `sending` behind; after [`SENDING_FOR`] it is sent again, as the very same message with
//! the very same id. So a message is never lost, and never sent twice but over a crash or a broken
//! connection; then the receiver knows the repetition by its id.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Matter, Notice};
use crate::time::Timestamp;

/// How often a way is tried.
pub const MAX_ATTEMPTS: u32 = 9;
/// Longer than any attempt may take: after that, whoever was sending is gone.
pub const SENDING_FOR: Duration = Duration::from_secs(120);

/// How long until the next attempt, after so many; `None`: there is none.
#[must_use]
pub const fn pause_after(attempts: u32) -> Option<Duration> {
    let seconds = match attempts {
        0 => 0,
        1 => 30,
        2 => 2 * 60,
        3 => 10 * 60,
        4 => 30 * 60,
        5 => 3_600,
        6 => 3 * 3_600,
        7 => 6 * 3_600,
        8 => 12 * 3_600,
        _ => return None,
    };
    Some(Duration::from_secs(seconds))
}

/// Where a notification goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Way {
    /// A mail to one address.
    Mail {
        /// The address.
        to: String,
    },
    /// A file in the folder of mails.
    Folder {
        /// The addresses that the mail names.
        to: Vec<String>,
    },
    /// The webhook.
    Webhook,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It waits for its first attempt, or its next.
    Pending,
    /// An attempt is under way, or was when its process was killed.
    Sending,
    /// The receiver has taken it.
    Sent,
    /// Nobody tries any more.
    Failed,
    /// Nobody wants it any more: the address has left the settings.
    Dropped,
}

impl DeliveryState {
    /// The name in stores, JSON and pages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }
}

/// A notification on one of its ways.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Where it goes.
    pub way: Way,
    /// How far it has come.
    pub state: DeliveryState,
    /// Attempts that were begun.
    pub attempts: u32,
    /// When something is to be done next; absent when nothing is.
    pub due: Option<Timestamp>,
    /// When the last attempt ended.
    pub tried: Option<Timestamp>,
    /// What came of the last attempt, in words.
    pub said: Option<String>,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// The receiver has taken it, and said so.
    Sent(String),
    /// It has not, and may later.
    Later(String),
    /// It has not, and will not.
    Never(String),
    /// It is not wanted any more.
    Unwanted(String),
}

/// A notice on its ways.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// What is told.
    pub notice: Notice,
    /// Moves with every change, so that of two processes one makes it.
    pub step: u64,
    /// Where to; nowhere when there was nobody to tell.
    pub deliveries: Vec<Delivery>,
}

impl Notification {
    /// About to go these ways.
    #[must_use]
    pub fn new(notice: Notice, ways: impl IntoIterator<Item = Way>) -> Self {
        let due = Some(notice.at);
        let deliveries = ways.into_iter().map(|way| Delivery {
            way,
            state: DeliveryState::Pending,
            attempts: 0,
            due,
            tried: None,
            said: None,
        });
        Self {
            deliveries: deliveries.collect(),
            notice,
            step: 0,
        }
    }

    /// Its notice's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.notice.id
    }

    /// When something is to be done about it; `None`: nothing is.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        self.deliveries.iter().filter_map(|way| way.due).min()
    }

    /// When a way of it last failed for good. A test never has: whoever ordered it was told the answer.
    #[must_use]
    pub fn failed(&self) -> Option<Timestamp> {
        if self.notice.matter == Matter::Test {
            return None;
        }
        let failed = |way: &&Delivery| way.state == DeliveryState::Failed;
        let failed = self.deliveries.iter().filter(failed);
        failed.filter_map(|way| way.tried).max()
    }

    /// The first of its ways that is due.
    #[must_use]
    pub fn next_due(&self, now: Timestamp) -> Option<usize> {
        let due = |way: &Delivery| way.due.is_some_and(|due| due <= now);
        self.deliveries.iter().position(due)
    }

    /// With an attempt on that way under way.
    #[must_use]
    pub fn begun(&self, place: usize, now: Timestamp) -> Self {
        self.with(place, |way| {
            way.state = DeliveryState::Sending;
            way.attempts += 1;
            way.due = Some(now.after(SENDING_FOR));
        })
    }

    /// With what came of the attempt on that way.
    #[must_use]
    pub fn settled(&self, place: usize, outcome: Settled, now: Timestamp) -> Self {
        self.with(place, |way| {
            let pause = pause_after(way.attempts);
            let (state, due, said) = match (outcome, pause) {
                (Settled::Sent(said), _) => (DeliveryState::Sent, None, said),
                (Settled::Later(said), Some(pause)) => {
                    (DeliveryState::Pending, Some(now.after(pause)), said)
                }
                (Settled::Later(said), None) => (
                    DeliveryState::Failed,
                    None,
                    format!("given up after {MAX_ATTEMPTS} attempts: {said}"),
                ),
                (Settled::Never(said), _) => (DeliveryState::Failed, None, said),
                (Settled::Unwanted(said), _) => (DeliveryState::Dropped, None, said),
            };
            way.state = state;
            way.due = due;
            way.tried = Some(now);
            way.said = Some(said);
        })
    }

    fn with(&self, place: usize, change: impl FnOnce(&mut Delivery)) -> Self {
        let mut next = self.clone();
        if let Some(way) = next.deliveries.get_mut(place) {
            change(way);
        }
        next.step += 1;
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notification::{Event, notice_id};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn notification() -> Notification {
        let notice = Notice {
            id: notice_id("i", "opened"),
            incident: "i".to_owned(),
            matter: Matter::Gap,
            event: Event::Opened,
            at: at(0),
            object: "the event stream".to_owned(),
            count: 1,
            cause: String::new(),
            advice: String::new(),
            page: "/".to_owned(),
            details: Vec::new(),
            lasted_s: None,
        };
        let to = "ada@example.com".to_owned();
        Notification::new(notice, [Way::Mail { to }, Way::Webhook])
    }

    #[test]
    fn pauses_grow_and_end() {
        let mut before = Duration::ZERO;
        for attempts in 1..MAX_ATTEMPTS {
            let pause = pause_after(attempts).unwrap();
            assert!(pause > before, "{attempts}");
            before = pause;
        }
        assert_eq!(pause_after(MAX_ATTEMPTS), None);
    }

    #[test]
    fn each_way_is_tried_until_it_has_an_end() {
        let mut letter = notification();
        assert_eq!(
            (letter.due(), letter.next_due(at(0))),
            (Some(at(0)), Some(0))
        );
        letter = letter.begun(0, at(0));
        assert_eq!(letter.deliveries[0].state, DeliveryState::Sending);
        // Its process is killed: it is nobody's for a while, and then anybody's.
        assert_eq!(
            letter.next_due(at(1)),
            Some(1),
            "the other way waits for nothing"
        );
        let later = at(0).after(SENDING_FOR);
        assert_eq!(letter.next_due(later), Some(0));
        letter = letter.begun(0, later);
        letter = letter.settled(0, Settled::Sent("250 taken".to_owned()), later);
        assert_eq!(letter.deliveries[0].attempts, 2);
        assert_eq!(letter.next_due(later), Some(1));

        let mut now = later;
        for attempt in 1..=MAX_ATTEMPTS {
            letter = letter.begun(1, now);
            letter = letter.settled(1, Settled::Later("no answer".to_owned()), now);
            let hook = &letter.deliveries[1];
            assert_eq!(hook.attempts, attempt);
            assert_eq!(hook.due.is_none(), attempt == MAX_ATTEMPTS);
            now = hook.due.unwrap_or(now);
        }
        assert_eq!(letter.deliveries[1].state, DeliveryState::Failed);
        assert_eq!((letter.due(), letter.failed()), (None, Some(now)));
        assert_eq!(letter.step, 3 + 2 * u64::from(MAX_ATTEMPTS));
    }

    #[test]
    fn a_test_that_does_not_arrive_is_no_failed_notification() {
        let failed = |matter| {
            let mut letter = notification();
            letter.notice.matter = matter;
            let refused = Settled::Never("550 nobody here".to_owned());
            letter.settled(0, refused, at(1)).failed()
        };
        assert_eq!(failed(Matter::Gap), Some(at(1)));
        assert_eq!(failed(Matter::Test), None);
    }
}
