//! What each worker last said of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use domain::Timestamp;
use serde::{Deserialize, Serialize};

use super::StoreError;

/// The figure of a report with how many units are not settled.
pub const UNSETTLED: &str = "unsettled";
/// The figure of a report with the time at which the listener published the oldest of them, in
/// microseconds since 1970; absent when there is none.
pub const OLDEST: &str = "oldest_published";

/// A worker that has not reported for so long is not running.
pub const SILENT: Duration = Duration::from_secs(15);

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

impl Report {
    /// What the processes of one worker say together. Those that were not heard of for [`SILENT`]
    /// when the newest report came are gone. `None` of no reports.
    #[must_use]
    pub fn of_processes(mut reports: Vec<Self>) -> Option<Self> {
        reports.sort_by_key(|report| report.at);
        let mut whole = reports.pop()?;
        reports.retain(|report| whole.at.since(report.at) <= SILENT);
        // What is known already is newer.
        for report in reports.into_iter().rev() {
            if report.state.gravity() > whole.state.gravity() {
                whole.state = report.state;
            }
            whole.out_of_reach.extend(report.out_of_reach);
            for (name, figure) in report.figures {
                let known = whole.figures.entry(name);
                match known.key().as_str() {
                    UNSETTLED => *known.or_default() += figure,
                    OLDEST => {
                        known
                            .and_modify(|oldest| *oldest = figure.min(*oldest))
                            .or_insert(figure);
                    }
                    // Of the one process that works at a time, what it said last.
                    _ => {
                        known.or_insert(figure);
                    }
                }
            }
        }
        Some(whole)
    }
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

impl WorkerState {
    const fn gravity(&self) -> u8 {
        match self {
            Self::Running => 0,
            Self::Paused(_) => 1,
            Self::Failing(_) => 2,
        }
    }
}

/// The workers' last reports.
#[async_trait]
pub trait ReportStore: Send + Sync {
    /// Replaces what this process last said of its worker (`filter`, `loader`, ...).
    async fn report(&self, worker: &str, report: &Report) -> Result<(), StoreError>;
    /// All reports by worker, those of several processes as [`Report::of_processes`].
    async fn reports(&self) -> Result<BTreeMap<String, Report>, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(seconds: i64, state: WorkerState, figures: &[(&str, i64)]) -> Report {
        let figures = figures.iter();
        Report {
            at: Timestamp::from_micros(seconds * 1_000_000),
            state,
            figures: figures
                .map(|(name, figure)| ((*name).to_owned(), *figure))
                .collect(),
            out_of_reach: BTreeSet::new(),
        }
    }

    #[test]
    fn processes_of_a_worker_hold_units_together_and_the_worst_state_is_told() {
        assert_eq!(Report::of_processes(Vec::new()), None);
        let failing = || WorkerState::Failing("no answer".to_owned());
        let gone = report(5, failing(), &[(UNSETTLED, 100), (OLDEST, 1)]);
        let idle = report(20, WorkerState::Running, &[(UNSETTLED, 0)]);
        let busy = report(21, WorkerState::Running, &[(UNSETTLED, 3), (OLDEST, 7)]);
        let busier = report(6, WorkerState::Running, &[(UNSETTLED, 4), (OLDEST, 6)]);
        let together = |reports: &[&Report]| {
            let reports = reports.iter().map(|report| (*report).clone());
            Report::of_processes(reports.collect()).unwrap()
        };
        assert_eq!(
            together(&[&busy, &gone, &busier, &idle]),
            report(21, WorkerState::Running, &[(UNSETTLED, 7), (OLDEST, 6)])
        );
        assert_eq!(together(&[&gone]), gone);
        let [first, then, last] = [(10, 1), (11, 2), (12, 3)].map(|(at, figure)| {
            let figures = [("api_used", figure)];
            report(
                at,
                WorkerState::Running,
                if at == 12 { &[] } else { &figures },
            )
        });
        let used = together(&[&then, &last, &first]).figures["api_used"];
        assert_eq!(used, 2, "what was said last");
        let mut failing = report(19, failing(), &[(UNSETTLED, 0)]);
        failing.out_of_reach.insert(Dependency::Mos);
        let whole = together(&[&failing, &idle]);
        assert_eq!(whole.at, idle.at);
        assert_eq!(
            (whole.state, whole.out_of_reach),
            (failing.state, failing.out_of_reach)
        );
    }
}
