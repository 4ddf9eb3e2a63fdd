//! Notifications, and how far each has come.

use domain::Timestamp;
use domain::notification::{DeliveryState, Event, Matter, Notification, Way};
use serde::{Deserialize, Serialize};

/// A notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationView {
    /// Its id, which a mail has in its `Message-ID`, and a webhook as `id`.
    pub id: String,
    /// What all notifications of an incident have in common.
    pub incident: String,
    /// What it is about.
    pub matter: Matter,
    /// What has happened.
    pub event: Event,
    /// When that was found.
    pub at: Timestamp,
    /// What has happened, in one line.
    pub headline: String,
    /// The object, service or job.
    pub object: String,
    /// How many.
    pub count: u64,
    /// Why, in words.
    pub cause: String,
    /// What to do.
    pub advice: String,
    /// Further lines.
    pub details: Vec<String>,
    /// How long it lasted, in seconds; absent while it does.
    pub lasted_s: Option<u64>,
    /// Where it went, and whether it arrived; nowhere when there was nobody to tell.
    pub deliveries: Vec<DeliveryView>,
}

/// A notification on one of its ways.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryView {
    /// `mail`, `folder` or `webhook`.
    pub by: String,
    /// The addresses: one for a mail, those that it names for a file, none for a webhook.
    pub to: Vec<String>,
    /// How far it has come.
    pub state: DeliveryState,
    /// Attempts that were begun.
    pub attempts: u32,
    /// When it is tried next; absent when it is not.
    pub due: Option<Timestamp>,
    /// When the last attempt ended.
    pub tried: Option<Timestamp>,
    /// What came of the last attempt, in words.
    pub said: Option<String>,
}

/// A page of notifications, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationList {
    /// The notifications.
    pub notifications: Vec<NotificationView>,
    /// `before` of the next page; absent on the last.
    pub next: Option<String>,
}

/// What came of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestView {
    /// The id of what was sent.
    pub id: String,
    /// Each receiver.
    pub tried: Vec<TriedView>,
}

/// A receiver of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriedView {
    /// `mail`, `folder` or `webhook`.
    pub by: String,
    /// The addresses.
    pub to: Vec<String>,
    /// Whether it was taken.
    pub taken: bool,
    /// What the server answered, or why it was not reached.
    pub said: String,
}

/// A way in words, and its addresses.
pub(crate) fn by_and_to(way: &Way) -> (String, Vec<String>) {
    match way {
        Way::Mail { to } => ("mail".to_owned(), vec![to.clone()]),
        Way::Folder { to } => ("folder".to_owned(), to.clone()),
        Way::Webhook => ("webhook".to_owned(), Vec::new()),
    }
}

impl NotificationView {
    /// As it is shown.
    #[must_use]
    pub fn of(notification: &Notification) -> Self {
        let notice = notification.notice.clone();
        let deliveries = notification.deliveries.iter().map(|delivery| {
            let (by, to) = by_and_to(&delivery.way);
            DeliveryView {
                by,
                to,
                state: delivery.state,
                attempts: delivery.attempts,
                due: delivery.due,
                tried: delivery.tried,
                said: delivery.said.clone(),
            }
        });
        Self {
            headline: notice.headline(),
            deliveries: deliveries.collect(),
            id: notice.id,
            incident: notice.incident,
            matter: notice.matter,
            event: notice.event,
            at: notice.at,
            object: notice.object,
            count: notice.count,
            cause: notice.cause,
            advice: notice.advice,
            details: notice.details,
            lasted_s: notice.lasted_s,
        }
    }
}
