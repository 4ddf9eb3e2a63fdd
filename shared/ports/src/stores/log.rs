//! The integration log.

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use domain::job::JobId;
use domain::{ObjectKind, SalesforceId, Timestamp};
use serde::{Deserialize, Serialize};

use super::StoreError;

/// One line of the integration log. No field values, ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// When.
    pub at: Timestamp,
    /// How bad.
    pub level: LogLevel,
    /// What it is about, such as stream, job, parked, salesforce or mos.
    pub topic: String,
    /// The job concerned.
    pub job: Option<JobId>,
    /// The record concerned.
    pub record: Option<(ObjectKind, SalesforceId)>,
    /// The sentence.
    pub message: String,
}

/// How bad a line of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// For the record.
    Info,
    /// Worth a look.
    Warning,
    /// A person should act.
    Error,
}

impl LogLevel {
    /// All of them, mildest first.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Error];

    /// The name in stores, JSON and pages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// From its name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }
}

/// Which lines of the log; the default is all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogQuery {
    /// About this record.
    pub record: Option<(ObjectKind, SalesforceId)>,
    /// About this job.
    pub job: Option<JobId>,
    /// About a record of this object.
    pub object: Option<ObjectKind>,
    /// At least this bad.
    pub level: Option<LogLevel>,
    /// Of this topic.
    pub topic: Option<String>,
    /// Not of this one.
    pub without_topic: Option<String>,
    /// With these words in its sentence; the letters A to Z are the same as a to z.
    pub text: Option<String>,
    /// Written at this time or later.
    pub since: Option<Timestamp>,
    /// Written before this time.
    pub until: Option<Timestamp>,
}

impl LogQuery {
    /// Whether this line is one of those.
    #[must_use]
    pub fn matches(&self, entry: &LogEntry) -> bool {
        let object = entry.record.as_ref().map(|(object, _)| *object);
        (self.record.is_none() || self.record == entry.record)
            && (self.job.is_none() || self.job == entry.job)
            && (self.object.is_none() || self.object == object)
            && self.level.is_none_or(|level| entry.level >= level)
            && self
                .topic
                .as_ref()
                .is_none_or(|topic| entry.topic == *topic)
            && self
                .without_topic
                .as_ref()
                .is_none_or(|topic| entry.topic != *topic)
            && self.text.as_ref().is_none_or(|text| says(entry, text))
            && self.since.is_none_or(|since| entry.at >= since)
            && self.until.is_none_or(|until| entry.at < until)
    }
}

fn says(entry: &LogEntry, text: &str) -> bool {
    let message = entry.message.to_ascii_lowercase();
    message.contains(&text.to_ascii_lowercase())
}

/// The place of a line in the log: the later it was written, the higher. It stays as it is while
/// older lines are forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogPosition(pub u64);

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for LogPosition {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// Some lines, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogPage {
    /// The lines with their places.
    pub entries: Vec<(LogPosition, LogEntry)>,
    /// Where to go on; `None` when no older line matches.
    pub next: Option<LogPosition>,
}

/// The integration log.
#[async_trait]
pub trait LogStore: Send + Sync {
    /// Adds a line.
    async fn append(&self, entry: &LogEntry) -> Result<(), StoreError>;
    /// The newest lines that match, newest first, of those before a place.
    async fn search(
        &self,
        query: &LogQuery,
        before: Option<LogPosition>,
        max: usize,
    ) -> Result<LogPage, StoreError>;
    /// Forgets the oldest lines: all but the newest `lines`, and those written before `since` up
    /// to the first that was not. How many.
    async fn trim(&self, lines: u64, since: Timestamp) -> Result<u64, StoreError>;
}
