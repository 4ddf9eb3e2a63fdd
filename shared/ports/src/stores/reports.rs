//! What each worker last said of itself.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use domain::Timestamp;
use serde::{Deserialize, Serialize};

use super::StoreError;

/// What a worker says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// When.
    pub at: Timestamp,
    /// `running`, or why not, in words.
    pub state: WorkerState,
    /// Further figures, by name.
    #[serde(default)]
    pub figures: BTreeMap<String, i64>,
    /// What does not answer it, when that is why it does not run.
    #[serde(default)]
    pub out_of_reach: BTreeSet<Dependency>,
}

/// What mosync stands between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dependency {
    /// Where records come from.
    Salesforce,
    /// Where they go.
    Mos,
}

impl Dependency {
    /// The name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Salesforce => "Salesforce",
            Self::Mos => "mOS",
        }
    }
}

/// Whether a worker works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", content = "why", rename_all = "snake_case")]
pub enum WorkerState {
    /// It does.
    Running,
    /// It deliberately does not, for this reason.
    Paused(String),
    /// It cannot, for this reason, and tries again.
    Failing(String),
}

/// The workers' last reports.
#[async_trait]
pub trait ReportStore: Send + Sync {
    /// Replaces the report of a worker (`filter`, `loader`, ...).
    async fn report(&self, worker: &str, report: &Report) -> Result<(), StoreError>;
    /// All reports by worker.
    async fn reports(&self) -> Result<BTreeMap<String, Report>, StoreError>;
}
