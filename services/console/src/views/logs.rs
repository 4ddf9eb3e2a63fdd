//! The integration log.

use domain::{ObjectKind, SalesforceId, Timestamp};
use ports::stores::{LogEntry, LogLevel};
use serde::{Deserialize, Serialize};

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When.
    pub at: Timestamp,
    /// The same for people: ISO 8601, UTC.
    pub time: String,
    /// How bad.
    pub level: LogLevel,
    /// What it is about.
    pub topic: String,
    /// The job concerned.
    pub job: Option<String>,
    /// The object of the record concerned.
    pub object: Option<ObjectKind>,
    /// The record concerned.
    pub record: Option<SalesforceId>,
    /// The sentence.
    pub message: String,
}

impl From<LogEntry> for LogLine {
    fn from(entry: LogEntry) -> Self {
        Self {
            at: entry.at,
            time: entry.at.to_string(),
            level: entry.level,
            topic: entry.topic,
            job: entry.job.map(|job| job.to_string()),
            object: entry.record.map(|(object, _)| object),
            record: entry.record.map(|(_, id)| id),
            message: entry.message,
        }
    }
}

/// Some lines, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPageView {
    /// The lines.
    pub entries: Vec<LogLine>,
    /// `before` of the next page; absent on the last.
    pub next: Option<String>,
}

/// Which lines of the log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSearch {
    /// About this record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// About this job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// About a record of this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// At least this bad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// Of this topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// With these words in its sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Written at this time or later, ISO 8601.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Written before this time, ISO 8601.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The page's beginning: `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Lines a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Of an export.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
}

/// How an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// RFC 4180, with a line of headings.
    Csv,
    /// A JSON object a line.
    Jsonl,
}
