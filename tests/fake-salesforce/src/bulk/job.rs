//! What both kinds of jobs have.
use serde::Serialize;
use serde_json::{Value, json};

use super::Format;
use crate::error::ApiError;
use crate::schema::Entity;
use crate::time;

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum JobState {
    /// An ingest job that waits for its data.
    Open,
    /// Waits for its turn.
    UploadComplete,
    InProgress,
    JobComplete,
    Failed,
    Aborted,
}

impl JobState {
    /// Nothing more happens.
    pub(crate) fn is_final(self) -> bool {
        matches!(
            self,
            JobState::JobComplete | JobState::Failed | JobState::Aborted
        )
    }
}

/// What a job was created with.
pub(crate) struct Head {
    pub(crate) id: String,
    pub(crate) operation: &'static str,
    pub(crate) entity: &'static Entity,
    pub(crate) user: String,
    /// By the org's clock, in milliseconds since the epoch.
    pub(crate) created_ms: i64,
    /// For example `67.0`.
    pub(crate) version: String,
    pub(crate) format: Format,
}

impl Head {
    /// The part of a job's JSON that every answer has.
    pub(crate) fn json(&self, state: JobState, modified_ms: i64) -> Value {
        let version: f64 = self.version.parse().unwrap_or_default();
        json!({
            "id": self.id,
            "operation": self.operation,
            "object": self.entity.name,
            "createdById": self.user,
            "createdDate": time::datetime_text(whole_second(self.created_ms)),
            "systemModstamp": time::datetime_text(whole_second(modified_ms)),
            "state": state,
            "concurrencyMode": "Parallel",
            "contentType": "CSV",
            "apiVersion": version,
            "lineEnding": self.format.line_ending,
            "columnDelimiter": self.format.delimiter,
        })
    }
}

fn whole_second(ms: i64) -> i64 {
    ms.div_euclid(1000) * 1000
}

/// A job asked for what its state does not allow.
pub(crate) fn wrong_state(message: impl Into<String>) -> ApiError {
    ApiError::new("INVALIDJOBSTATE", message)
}
