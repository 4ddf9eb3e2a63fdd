//! The two statuses of a job: what the reader may do, and what is shown.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Job, JobKind, PausedBy};
use crate::tally::Count;
use crate::time::Timestamp;

/// A job is stalled when nothing has happened for so long although something should.
pub const STALLED_AFTER: Duration = Duration::from_secs(5 * 60);

/// Salesforce Job Status as the stores keep it. [`SalesforceStatus::may_become`] is the one table
/// of its transitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SalesforceStatus {
    /// Not begun.
    Queued,
    /// Asking how many records there are.
    Counting,
    /// Reading and publishing.
    Extracting,
    /// Everything that there was to publish is published.
    Sealed,
    /// Given up, see the job's error. Final.
    Failed,
    /// Ended by a person: nothing more is published. Final.
    Cancelled,
}

impl SalesforceStatus {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Queued,
        Self::Counting,
        Self::Extracting,
        Self::Sealed,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The name in stores, JSON and pages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Counting => "counting",
            Self::Extracting => "extracting",
            Self::Sealed => "sealed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// From its name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// Whether a job may move from here to there. From sealed it goes back to extracting when
    /// units were lost and are published again; nothing leaves failed and cancelled.
    #[must_use]
    pub const fn may_become(self, to: Self) -> bool {
        match self {
            Self::Queued => matches!(
                to,
                Self::Counting | Self::Extracting | Self::Failed | Self::Cancelled
            ),
            Self::Counting => matches!(to, Self::Extracting | Self::Failed | Self::Cancelled),
            Self::Extracting => matches!(to, Self::Sealed | Self::Failed | Self::Cancelled),
            Self::Sealed => matches!(to, Self::Extracting | Self::Failed | Self::Cancelled),
            Self::Failed | Self::Cancelled => false,
        }
    }

    /// The statuses from which a job may move here.
    pub fn comes_from(self) -> impl Iterator<Item = Self> {
        Self::ALL
            .into_iter()
            .filter(move |from| from.may_become(self))
    }

    /// Whether nothing follows.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Failed | Self::Cancelled)
    }
}

/// Salesforce Job Status as people see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SalesforceShown {
    /// Not begun.
    Queued,
    /// Asking how many records there are.
    Counting,
    /// Reading and publishing.
    Extracting,
    /// Everything is published, and units are still on their way.
    Sealed,
    /// Everything is published and counted.
    Completed,
    /// Given up, see the job's error.
    Failed,
    /// Ended by a person.
    Cancelled,
    /// Held by a person, who has to resume it.
    Paused,
    /// Held because the org's API allowance is used up; goes on by itself.
    PausedQuota,
}

/// mOS Job Status, derived from the Salesforce side, the counted units and the sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MosStatus {
    /// No unit counted yet.
    Waiting,
    /// Units on the way.
    Loading,
    /// Something should happen, and nothing has for [`STALLED_AFTER`].
    Stalled,
    /// Sealed, every unit counted, sums closed, nothing parked.
    Completed,
    /// As completed, with parked records.
    CompletedWithErrors,
    /// The Salesforce side failed, or the sums do not close; see [`Job::failure`].
    Failed,
    /// Cancelled, and nothing is on its way any more.
    Cancelled,
}

impl SalesforceShown {
    /// The name in JSON and pages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Counting => "counting",
            Self::Extracting => "extracting",
            Self::Sealed => "sealed",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Paused => "paused",
            Self::PausedQuota => "paused_quota",
        }
    }
}

impl MosStatus {
    /// The name in JSON and pages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Loading => "loading",
            Self::Stalled => "stalled",
            Self::Completed => "completed",
            Self::CompletedWithErrors => "completed_with_errors",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Job {
    /// Salesforce Job Status as people see it.
    #[must_use]
    pub fn salesforce_shown(&self) -> SalesforceShown {
        match (self.salesforce, self.paused.as_ref().map(|pause| pause.by)) {
            (SalesforceStatus::Failed, _) => SalesforceShown::Failed,
            (SalesforceStatus::Cancelled, _) => SalesforceShown::Cancelled,
            (SalesforceStatus::Sealed, _) if self.pending() == 0 => SalesforceShown::Completed,
            (_, Some(PausedBy::Person)) => SalesforceShown::Paused,
            (_, Some(PausedBy::Quota)) => SalesforceShown::PausedQuota,
            (SalesforceStatus::Queued, None) => SalesforceShown::Queued,
            (SalesforceStatus::Counting, None) => SalesforceShown::Counting,
            (SalesforceStatus::Extracting, None) => SalesforceShown::Extracting,
            (SalesforceStatus::Sealed, None) => SalesforceShown::Sealed,
        }
    }

    /// mOS Job Status at this time.
    #[must_use]
    pub fn mos(&self, now: Timestamp) -> MosStatus {
        self.outcome().unwrap_or_else(|| {
            if self.is_stalled(now) {
                MosStatus::Stalled
            } else if self.counted == 0 {
                MosStatus::Waiting
            } else {
                MosStatus::Loading
            }
        })
    }

    /// How it has ended; `None` while something is still to come of it.
    #[must_use]
    pub fn outcome(&self) -> Option<MosStatus> {
        match self.salesforce {
            SalesforceStatus::Failed => Some(MosStatus::Failed),
            SalesforceStatus::Cancelled if self.pending() == 0 => Some(MosStatus::Cancelled),
            SalesforceStatus::Sealed if self.pending() == 0 => {
                Some(if !self.tally.difference().is_empty() {
                    MosStatus::Failed
                } else if self.tally.total(Count::Parked) > 0 {
                    MosStatus::CompletedWithErrors
                } else {
                    MosStatus::Completed
                })
            }
            SalesforceStatus::Queued
            | SalesforceStatus::Counting
            | SalesforceStatus::Extracting
            | SalesforceStatus::Sealed
            | SalesforceStatus::Cancelled => None,
        }
    }

    /// Whether nothing more will come of it. A live hour is open for as long as the hour is.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.outcome().is_some()
    }

    /// Since when nothing more comes of it; `None` while something does.
    #[must_use]
    pub fn over_since(&self) -> Option<Timestamp> {
        let last = [self.sealed, self.ended, self.last_counted];
        let last = last
            .into_iter()
            .flatten()
            .fold(self.requested, Timestamp::max);
        self.is_over().then_some(last)
    }

    /// What is wrong with its end: why it has failed, or by how much the sums of which object do not
    /// close. Those of a cancelled job close too: what was not sent is counted as cancelled.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        match self.outcome()? {
            MosStatus::Failed if self.salesforce == SalesforceStatus::Failed => {
                let unknown = || "it was given up without a reason".to_owned();
                Some(self.error.clone().unwrap_or_else(unknown))
            }
            MosStatus::Failed | MosStatus::Cancelled => self.open_sums(),
            MosStatus::Waiting
            | MosStatus::Loading
            | MosStatus::Stalled
            | MosStatus::Completed
            | MosStatus::CompletedWithErrors => None,
        }
    }

    /// By how much the sums of which object do not close.
    fn open_sums(&self) -> Option<String> {
        let differences = self
            .tally
            .difference()
            .into_iter()
            .map(|(object, records)| match u128::try_from(records) {
                Ok(missing) => format!("{object}: {missing} went in and never came out"),
                Err(_negative) => format!(
                    "{object}: {} more came out than went in",
                    records.unsigned_abs()
                ),
            })
            .collect::<Vec<_>>();
        (!differences.is_empty()).then(|| {
            format!(
                "its sums do not close ({}); run a sync-all, and report it with the log of this job",
                differences.join(", ")
            )
        })
    }

    /// Whether something should happen and nothing has for [`STALLED_AFTER`]: not over, not
    /// paused, something on its way or to be read.
    #[must_use]
    pub fn is_stalled(&self, now: Timestamp) -> bool {
        let to_be_read = match self.salesforce {
            // The stream may have nothing to say.
            _ if self.kind == JobKind::Live => false,
            SalesforceStatus::Queued
            | SalesforceStatus::Counting
            | SalesforceStatus::Extracting => true,
            SalesforceStatus::Sealed | SalesforceStatus::Failed | SalesforceStatus::Cancelled => {
                false
            }
        };
        let busy = to_be_read || self.pending() > 0;
        busy && !self.is_over() && self.paused.is_none() && {
            let happened = [
                self.started,
                self.sealed,
                self.ended,
                self.last_advanced,
                self.last_counted,
                self.resumed,
            ];
            let last = happened
                .into_iter()
                .flatten()
                .fold(self.requested, Timestamp::max);
            now.since(last) >= STALLED_AFTER
        }
    }
}

#[cfg(test)]
mod tests;
