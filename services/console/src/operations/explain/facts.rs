//! What a verdict rests on beside the rule: the org, the gates, the stores, and mOS.

use std::collections::BTreeMap;

use domain::frequency::Frequency;
use domain::job::{Job, JobId};
use domain::settings::SettingsRevision;
use domain::{ObjectKind, SalesforceId, Timestamp};
use ports::source::Organization;
use ports::stores::{LogQuery, Report, StoreError, WorkerState};
use ports::target::{Held, TargetError};
use runtime::figures;
use runtime::worker::Outage;
use serde_json::Map;

use super::Asked;
use crate::operations::{Operations, parked, status};
use crate::views::{ExplainCode, ExplainGate, ExplainMos, ExplainSeen, LogLine, ParkedView};

/// So many lines of the log.
const LINES: usize = 5;
/// Among so many jobs before it, the one that brought a record is looked for.
const JOBS: usize = 50;

pub(super) struct Facts {
    pub(super) gates: Vec<ExplainGate>,
    pub(super) next_window: Option<Timestamp>,
    pub(super) seen: ExplainSeen,
    pub(super) parked: Option<ParkedView>,
    pub(super) log: Vec<LogLine>,
    pub(super) last_job: Option<String>,
    pub(super) possible_jobs: Vec<String>,
    pub(super) mos: Option<ExplainMos>,
}

impl Operations {
    /// All at once: nobody waits for one after the other.
    pub(super) async fn facts(&self, asked: &Asked) -> Result<Facts, Outage> {
        let query = LogQuery {
            record: Some((asked.object, asked.id)),
            ..LogQuery::default()
        };
        let (org, parked, log, reports, seen, (mos, jobs)) = tokio::join!(
            self.source.organization(),
            self.stores.parked.get(asked.object, &asked.id),
            self.stores.log.search(&query, None, LINES),
            self.stores.reports.reports(),
            self.seen(asked.object),
            self.in_mos_by(asked.object, &asked.id),
        );
        let (org, reports) = (org?, reports?);
        let now = self.now();
        let mut gates = of_settings(&asked.revision, &org);
        gates.extend(
            reports
                .iter()
                .filter_map(|(worker, report)| of_worker(worker, report, now)),
        );
        let parked = parked?;
        let chains = self.chains(parked.as_slice()).await?;
        let log = log?.entries.into_iter().map(|(_, entry)| entry);
        let log: Vec<_> = log.collect();
        let of_log = log
            .iter()
            .filter_map(|line| Some((line.at, line.job.clone()?)));
        let of_parked = parked
            .iter()
            .filter_map(|parked| Some((parked.version.time(), parked.job.clone()?)));
        let last_job = of_log.chain(of_parked).max_by_key(|(at, _)| *at);
        let frequency = asked.revision.settings.frequency;
        Ok(Facts {
            gates,
            next_window: next_window(frequency, now, &org, &reports),
            seen: seen?,
            parked: parked.map(|parked| parked::view(parked, &chains)),
            log: log.into_iter().map(LogLine::from).collect(),
            last_job: last_job.map(|(_, job)| job.to_string()),
            possible_jobs: jobs?,
            mos,
        })
    }

    /// How far an object is heard of or polled.
    async fn seen(&self, object: ObjectKind) -> Result<ExplainSeen, StoreError> {
        let position = &self.stores.position;
        let mut seen = ExplainSeen {
            modified: None,
            stream: None,
            poll: None,
        };
        if self.polled.contains(&object) {
            seen.poll = position.poll(object).await?.map(Into::into);
        } else {
            seen.stream = position.stream(&self.topic).await?.map(Into::into);
        }
        Ok(seen)
    }

    /// What mOS holds, and the jobs that may have brought it. Nobody keeps which job brought which
    /// record, but what mOS holds was read while its job was under way.
    async fn in_mos_by(
        &self,
        object: ObjectKind,
        id: &SalesforceId,
    ) -> (Option<ExplainMos>, Result<Vec<String>, StoreError>) {
        let Some(target) = self.target.as_ref() else {
            return (None, Ok(Vec::new()));
        };
        let mos = of_answer(target.record(object, id).await);
        let jobs = match mos.as_of {
            Some(as_of) => self.under_way_at(as_of).await,
            None => Ok(Vec::new()),
        };
        (Some(mos), jobs)
    }

    async fn under_way_at(&self, at: Timestamp) -> Result<Vec<String>, StoreError> {
        // Jobs are in the order of their times, then ids; no id comes before the empty one.
        let just_after = Timestamp::from_micros(at.as_micros().saturating_add(1));
        let before = Some((just_after, JobId::of("")));
        let jobs = self.stores.jobs.page(before, JOBS).await?;
        let may_have = |job: &&Job| job.over_since().is_none_or(|end| end >= at);
        let jobs = jobs.iter().filter(may_have);
        Ok(jobs.map(|job| job.id.to_string()).collect())
    }
}

/// When changes are taken next: as the listener says, or, where nobody hears it, by the time of day
/// in the org. The profile in the settings is of the day of a save, and says nothing of today.
fn next_window(
    frequency: Frequency,
    now: Timestamp,
    org: &Organization,
    reports: &BTreeMap<String, Report>,
) -> Option<Timestamp> {
    let next = frequency.next_window(now, &org.time_zone)?;
    let listener = reports.get("listener");
    let said = listener.and_then(|report| report.figures.get(figures::NEXT_WINDOW));
    let said = said.map(|said| Timestamp::from_micros(*said));
    Some(said.filter(|said| *said > now).unwrap_or(next))
}

fn of_answer(answer: Result<Option<Held>, TargetError>) -> ExplainMos {
    let mut view = ExplainMos {
        held: None,
        version: None,
        as_of: None,
        fields: Map::new(),
        differs: None,
        trouble: None,
    };
    match answer {
        Ok(None) => view.held = Some(false),
        Ok(Some(held)) => {
            view.held = Some(true);
            view.version = Some(held.version.to_string());
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

fn of_worker(worker: &str, report: &Report, now: Timestamp) -> Option<ExplainGate> {
    let words = match (status::silent(worker, report, now), &report.state) {
        (Some(silent), _) => silent,
        (None, WorkerState::Running) => return None,
        (None, WorkerState::Paused(why)) => format!("the {worker} waits: {why}"),
        (None, WorkerState::Failing(why)) => format!("the {worker} is in trouble: {why}"),
    };
    Some(ExplainGate { code: None, words })
}
