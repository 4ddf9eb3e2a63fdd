//! Notifications: what is told to the administrators about the integration, and how far each has
//! come on its way. What is told is decided on the [`Board`]: one incident, few messages.
//!
//! A notification holds no field value and no record's content: objects, counts, causes, advice.

mod board;
mod delivery;
mod words;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

pub use board::{Board, CALM, Condition, Finding, GROWN_AFTER, Incident, REMIND_AFTER};
pub use delivery::{
    Delivery, DeliveryState, MAX_ATTEMPTS, Notification, SENDING_FOR, Settled, Way, pause_after,
};
pub use words::plain;

/// What a notification is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Matter {
    /// Records that could not be brought to mOS, for one reason.
    RecordsParked,
    /// Messages that no worker could process.
    #[serde(alias = "messages_set_aside")]
    DeadMessages,
    /// The event stream has a hole.
    Gap,
    /// A job has brought everything.
    JobFinished,
    /// A job has failed.
    JobFailed,
    /// Nothing comes of a job.
    JobStalled,
    /// Somebody holds jobs.
    JobsPaused,
    /// The org's API allowance is used up.
    Quota,
    /// The mOS permission of users runs out soon.
    PermissionsExpiring,
    /// What mosync works with does not answer.
    OutOfReach,
    /// A service cannot do its work.
    ServiceFailing,
    /// A service has not been heard of.
    ServiceSilent,
    /// Services wait, on purpose.
    SyncPaused,
    /// An administrator has disabled the sync.
    SyncDisabled,
    /// Fields that the settings name can no longer be seen.
    FieldsLost,
    /// The stream has been silent for almost as long as Salesforce keeps events.
    StreamLate,
    /// Somebody tries whether notifications arrive.
    Test,
}

impl Matter {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::RecordsParked,
        Self::DeadMessages,
        Self::Gap,
        Self::JobFinished,
        Self::JobFailed,
        Self::JobStalled,
        Self::JobsPaused,
        Self::Quota,
        Self::PermissionsExpiring,
        Self::OutOfReach,
        Self::ServiceFailing,
        Self::ServiceSilent,
        Self::SyncPaused,
        Self::SyncDisabled,
        Self::FieldsLost,
        Self::StreamLate,
        Self::Test,
    ];

    /// The name in stores, JSON and pages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RecordsParked => "records_parked",
            Self::DeadMessages => "dead_messages",
            Self::Gap => "gap",
            Self::JobFinished => "job_finished",
            Self::JobFailed => "job_failed",
            Self::JobStalled => "job_stalled",
            Self::JobsPaused => "jobs_paused",
            Self::Quota => "quota",
            Self::PermissionsExpiring => "permissions_expiring",
            Self::OutOfReach => "out_of_reach",
            Self::ServiceFailing => "service_failing",
            Self::ServiceSilent => "service_silent",
            Self::SyncPaused => "sync_paused",
            Self::SyncDisabled => "sync_disabled",
            Self::FieldsLost => "fields_lost",
            Self::StreamLate => "stream_late",
            Self::Test => "test",
        }
    }
}

/// What has happened to the matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// It has begun.
    Opened,
    /// It has become more.
    Grown,
    /// It is over.
    Closed,
    /// It has happened, once and for all.
    Happened,
}

impl Event {
    /// The name in stores, JSON and pages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Grown => "grown",
            Self::Closed => "closed",
            Self::Happened => "happened",
        }
    }
}

/// What is told, in parts. Every form of it (mail, file, webhook) is written from these alone, so
/// that a repetition is the same to the letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The same for the same event of the same incident, whoever finds it and however often.
    pub id: String,
    /// What all events of an incident have in common.
    pub incident: String,
    /// What it is about.
    pub matter: Matter,
    /// What has happened.
    pub event: Event,
    /// When that was found.
    pub at: Timestamp,
    /// The object, service or job.
    pub object: String,
    /// How many.
    pub count: u64,
    /// Why, in words.
    pub cause: String,
    /// What to do.
    pub advice: String,
    /// The page of the console, as a path.
    pub page: String,
    /// Further lines, such as a job's summary.
    pub details: Vec<String>,
    /// How long it lasted, in seconds, when it is over.
    pub lasted_s: Option<u64>,
}

/// The id of an event of an incident: a UUID of its name.
#[must_use]
pub fn notice_id(incident: &str, event: &str) -> String {
    crate::job::uuid_of(&format!("notification {incident} {event}")).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_messages_are_known_by_the_name_that_they_had() {
        let kept = serde_json::from_str::<Matter>("\"messages_set_aside\"");
        assert_eq!(kept.unwrap(), Matter::DeadMessages);
    }
}
