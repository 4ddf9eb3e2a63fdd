//! What mosync remembers. Every step is atomic, and safe to repeat when its answer was lost.

mod calls;
mod jobs;
mod last_words;
mod lease;
mod log;
mod notes;
mod outbox;
mod parked;
mod permissions;
mod position;
mod reports;
mod sessions;
mod settings;
mod ticket;
mod tokens;
mod trials;

use std::sync::Arc;
use std::time::Duration;

pub use calls::{CALLS_KEPT, CallStore, hour_of};
pub use jobs::{HistoryPosition, JobStore, Moved, Sending, Standing};
pub use last_words::{LAST_WORD_KEPT, LastWordStore};
pub use lease::LeaseStore;
pub use log::{LogEntry, LogLevel, LogPage, LogPosition, LogQuery, LogStore};
pub use notes::{LOST_FIELDS, NoteStore, UNSEEN_FIELDS};
pub use outbox::{OutboxPosition, OutboxStore};
pub use parked::{ParkedFilter, ParkedStore};
pub use permissions::PermissionStore;
pub use position::{Gap, GapCause, PollState, PollUnderWay, PositionStore, StreamState};
pub use reports::{Dependency, OLDEST, Report, ReportStore, SILENT, UNSETTLED, WorkerState};
pub use sessions::{Session, SessionStore};
pub use settings::SettingsStore;
pub use ticket::TicketStore;
pub use tokens::{ApiToken, KnownToken, Revoked, TokenStore};
pub use trials::{TRIAL_KEPT, TrialStore};

/// Why a store did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No answer: nobody knows whether the step was done, so it is repeated.
    #[error(
        "the status store did not answer ({0}); mosync tries again by itself, check that it runs"
    )]
    Unreachable(String),
    /// What is stored cannot be read by this version.
    #[error(
        "an entry of the status store cannot be read ({0}); it was written by another version of mosync, or damaged"
    )]
    Corrupt(String),
    /// The store's clock shows an earlier time than it did before.
    #[error(
        "the status store's clock has stepped back by {0:?}; mosync waits until it has caught up, check the machine's time service"
    )]
    ClockSteppedBack(Duration),
    /// Somebody else saved meanwhile.
    #[error(
        "somebody else saved revision {current} meanwhile; look at their change, then save again"
    )]
    Conflict {
        /// The revision now in force.
        current: u64,
    },
}

/// All stores of one deployment.
#[derive(Clone)]
pub struct Stores {
    /// Stream positions, polls and gaps.
    pub position: Arc<dyn PositionStore>,
    /// Tickets.
    pub ticket: Arc<dyn TicketStore>,
    /// Settings.
    pub settings: Arc<dyn SettingsStore>,
    /// Permission snapshots.
    pub permissions: Arc<dyn PermissionStore>,
    /// Jobs.
    pub jobs: Arc<dyn JobStore>,
    /// Parked records.
    pub parked: Arc<dyn ParkedStore>,
    /// Last words that mOS had no deal for.
    pub last_words: Arc<dyn LastWordStore>,
    /// Units over which workers die.
    pub trials: Arc<dyn TrialStore>,
    /// The integration log.
    pub log: Arc<dyn LogStore>,
    /// Leases.
    pub lease: Arc<dyn LeaseStore>,
    /// What each worker last said of itself.
    pub reports: Arc<dyn ReportStore>,
    /// Small documents.
    pub notes: Arc<dyn NoteStore>,
    /// API requests made.
    pub calls: Arc<dyn CallStore>,
    /// Who has signed in to the console.
    pub sessions: Arc<dyn SessionStore>,
    /// Tokens of the API.
    pub tokens: Arc<dyn TokenStore>,
    /// Notifications.
    pub outbox: Arc<dyn OutboxStore>,
}

impl std::fmt::Debug for Stores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stores")
    }
}
