//! What a verdict rests on beside the rule: the org, the gates, the stores, and mOS.

use domain::settings::SettingsRevision;
use domain::{ObjectKind, SalesforceId, Timestamp};
use ports::source::Organization;
use ports::stores::{LogQuery, Report, WorkerState};
use ports::target::{Held, TargetError};
use runtime::worker::Outage;
use serde_json::Map;

use super::Asked;
use crate::operations::{Operations, parked};
use crate::views::{ExplainCode, ExplainGate, ExplainMos, LogLine, ParkedView};

/// So many lines of the log.
const LINES: usize = 5;

pub(super) struct Facts {
    pub(super) gates: Vec<ExplainGate>,
    pub(super) next_window: Option<Timestamp>,
    pub(super) parked: Option<ParkedView>,
    pub(super) log: Vec<LogLine>,
    pub(super) last_job: Option<String>,
    pub(super) mos: Option<ExplainMos>,
}

impl Operations {
    /// All at once: nobody waits for one after the other.
    pub(super) async fn facts(&self, asked: &Asked) -> Result<Facts, Outage> {
        let query = LogQuery {
            record: Some((asked.object, asked.id)),
            ..LogQuery::default()
        };
        let (org, parked, log, reports, mos) = tokio::join!(
            self.source.organization(),
            self.stores.parked.get(asked.object, &asked.id),
            self.stores.log.search(&query, None, LINES),
            self.stores.reports.reports(),
            self.in_mos(asked.object, &asked.id),
        );
        let mut gates = of_settings(&asked.revision, &org?);
        gates.extend(
            reports?
                .iter()
                .filter_map(|(worker, report)| of_worker(worker, report)),
        );
        let parked = parked?;
        let log = log?.entries.into_iter().map(|(_, entry)| entry);
        let log: Vec<_> = log.collect();
        let known = log
            .iter()
            .filter_map(|line| Some((line.at, line.job.clone()?)));
        let of_parked = parked.iter();
        let of_parked =
            of_parked.filter_map(|parked| Some((parked.version.time(), parked.job.clone()?)));
        let last_job = known.chain(of_parked).max_by_key(|(at, _)| *at);
        let revision = &asked.revision;
        let frequency = revision.settings.frequency;
        Ok(Facts {
            gates,
            next_window: frequency.next_window(self.now(), &revision.org.time_zone),
            parked: parked.map(parked::view),
            log: log.into_iter().map(LogLine::from).collect(),
            last_job: last_job.map(|(_, job)| job.to_string()),
            mos,
        })
    }

    async fn in_mos(&self, object: ObjectKind, id: &SalesforceId) -> Option<ExplainMos> {
        let target = self.target.as_ref()?;
        Some(of_answer(target.record(object, id).await))
    }
}

fn of_answer(answer: Result<Option<Held>, TargetError>) -> ExplainMos {
    let mut view = ExplainMos {
        held: None,
        as_of: None,
        fields: Map::new(),
        differs: None,
        trouble: None,
    };
    match answer {
        Ok(None) => view.held = Some(false),
        Ok(Some(held)) => {
            view.held = Some(true);
            view.as_of = Some(held.version.time());
            view.fields = held.fields;
        }
        Err(error) => view.trouble = Some(error.to_string()),
    }
    view
}

fn of_settings(revision: &SettingsRevision, org: &Organization) -> Vec<ExplainGate> {
    let mut gates = Vec::new();
    if let Some(words) = runtime::org::refusal(revision, org) {
        let other = revision.settings.org.is_some_and(|pinned| pinned != org.id);
        let code = if other {
            ExplainCode::OtherOrg
        } else {
            ExplainCode::Sandbox
        };
        gates.push(ExplainGate {
            code: Some(code),
            words,
        });
    }
    if revision.settings.disabled {
        gates.push(ExplainGate {
            code: Some(ExplainCode::Disabled),
            words: "mOS Sync is disabled in mOS Settings".to_owned(),
        });
    }
    gates
}

fn of_worker(worker: &str, report: &Report) -> Option<ExplainGate> {
    let words = match &report.state {
        WorkerState::Running => return None,
        WorkerState::Paused(why) => format!("the {worker} waits: {why}"),
        WorkerState::Failing(why) => format!("the {worker} is in trouble: {why}"),
    };
    Some(ExplainGate { code: None, words })
}
