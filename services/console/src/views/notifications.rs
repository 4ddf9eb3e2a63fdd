//! Notifications, and how far each has come.

use domain::Timestamp;
use domain::notification::{
    Delivery, DeliveryState, Event, Incident, Matter, Notification, Way, plain,
};
use domain::right::Right;
use ports::courier::KeptMail;
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
    /// The page of the console where more can be seen, as a path.
    pub page: String,
    /// Where it went, and whether it arrived; nowhere when there was nobody to tell.
    pub deliveries: Vec<DeliveryView>,
}

/// A notification on one of its ways.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryView {
    /// `mail`, `folder` or `webhook`.
    pub by: String,
    /// How many addresses: one for a mail, those that it names for a file, none for a webhook.
    pub receivers: u64,
    /// The addresses themselves; administrators alone see them.
    pub to: Vec<String>,
    /// How far it has come.
    pub state: DeliveryState,
    /// Attempts that were begun.
    pub attempts: u32,
    /// When it is tried next; absent when it is not.
    pub due: Option<Timestamp>,
    /// When the last attempt ended.
    pub tried: Option<Timestamp>,
    /// What came of the last attempt, in words; those of a server, which may name an address, are
    /// told to administrators alone as they are.
    pub said: Option<String>,
}

/// A page of notifications, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationList {
    /// Incidents that are not over, the newest first.
    pub open: Vec<IncidentView>,
    /// The notifications.
    pub notifications: Vec<NotificationView>,
    /// `before` of the next page; absent on the last.
    pub next: Option<String>,
}

/// An incident that is not over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentView {
    /// What its notifications have as `incident`.
    pub id: String,
    /// What it is about.
    pub matter: Matter,
    /// The object, service or job.
    pub object: String,
    /// How many, as of the last look.
    pub count: u64,
    /// Why, in words.
    pub cause: String,
    /// What to do.
    pub advice: String,
    /// The page of the console where more can be seen, as a path.
    pub page: String,
    /// Since when it has been so.
    pub since: Timestamp,
    /// When it was last told; absent while it has not lasted long enough.
    pub told: Option<Timestamp>,
    /// How often it was told.
    pub messages: u64,
}

impl From<&Incident> for IncidentView {
    fn from(incident: &Incident) -> Self {
        let condition = incident.condition.clone();
        Self {
            id: incident.id.clone(),
            matter: condition.matter,
            object: condition.object,
            count: condition.count,
            cause: condition.cause,
            advice: condition.advice,
            page: condition.page,
            since: incident.first,
            told: incident.told.map(|(at, _)| at),
            messages: incident.messages,
        }
    }
}

/// A mail that lies in the folder, as a mail program shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailView {
    /// The name of its file.
    pub file: String,
    /// Who sent it.
    pub from: String,
    /// The addresses that it names; administrators alone see them.
    pub to: Vec<String>,
    /// Its subject.
    pub subject: String,
    /// Its plain text.
    pub text: String,
}

impl MailView {
    /// As far as somebody with that right may see it.
    pub(crate) fn of(mail: KeptMail, may: Right) -> Self {
        Self {
            file: mail.file,
            from: mail.from,
            to: if sees_addresses(may) {
                mail.to
            } else {
                Vec::new()
            },
            subject: mail.subject,
            text: mail.text,
        }
    }
}

/// Addresses are of people: who may change them sees them.
fn sees_addresses(may: Right) -> bool {
    may.covers(Right::Administer)
}

/// What came of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestView {
    /// The id of what was sent, which is a notification as others are.
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

impl From<&Delivery> for TriedView {
    fn from(delivery: &Delivery) -> Self {
        let (by, to) = by_and_to(&delivery.way);
        Self {
            by,
            to,
            taken: delivery.state == DeliveryState::Sent,
            said: delivery.said.clone().unwrap_or_default(),
        }
    }
}

/// A way in words, and its addresses.
fn by_and_to(way: &Way) -> (String, Vec<String>) {
    match way {
        Way::Mail { to } => ("mail".to_owned(), vec![to.clone()]),
        Way::Folder { to } => ("folder".to_owned(), to.clone()),
        Way::Webhook => ("webhook".to_owned(), Vec::new()),
    }
}

impl NotificationView {
    /// As far as somebody with that right may see it.
    #[must_use]
    pub fn of(notification: &Notification, may: Right) -> Self {
        let notice = notification.notice.clone();
        let deliveries = notification.deliveries.iter().map(|delivery| {
            let (by, to) = by_and_to(&delivery.way);
            let (receivers, said) = (to.len(), delivery.said.clone());
            let (to, said) = if sees_addresses(may) {
                (to, said)
            } else {
                (Vec::new(), said.map(|said| plain(&said)))
            };
            DeliveryView {
                by,
                receivers: u64::try_from(receivers).unwrap_or(u64::MAX),
                to,
                state: delivery.state,
                attempts: delivery.attempts,
                due: delivery.due,
                tried: delivery.tried,
                said,
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
            page: notice.page,
        }
    }
}
