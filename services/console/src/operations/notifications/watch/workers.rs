//! What the services say of themselves.

use std::collections::{BTreeMap, BTreeSet};

use domain::Timestamp;
use domain::job::{Job, PausedBy};
use domain::notification::{Condition, Matter};
use domain::settings::Settings;
use ports::stores::{Report, SILENT, WorkerState};
use runtime::figures;

use super::{count_of, in_words};
use crate::operations::status::WORKERS;

/// Services that do not work, or are not heard of, and whether somebody wants it so.
pub(super) fn of_workers(
    workers: &BTreeMap<String, Report>,
    settings: &Settings,
    fields_lost: bool,
    now: Timestamp,
) -> Vec<Condition> {
    let mut conditions = Vec::new();
    let mut paused = BTreeMap::<&str, String>::new();
    for worker in WORKERS {
        let of_worker = |matter: Matter, cause: String, advice: &str| Condition {
            key: format!("{}/{worker}", matter.name()),
            matter,
            object: format!("the {worker}"),
            count: 1,
            cause,
            advice: advice.to_owned(),
            page: "/sync-status".to_owned(),
            details: Vec::new(),
        };
        let silent = |cause: String| {
            let advice = "See that it runs; what it has in hand is taken up again when it does.";
            of_worker(Matter::ServiceSilent, cause, advice)
        };
        let Some(report) = workers.get(worker) else {
            conditions.push(silent("it has never run".to_owned()));
            continue;
        };
        if now.since(report.at) > SILENT {
            conditions.push(silent(format!("its last report is of {}", report.at)));
            continue;
        }
        match &report.state {
            WorkerState::Running => {}
            WorkerState::Paused(why) => {
                paused.insert(worker, in_words(why));
            }
            // That is told as what it is.
            WorkerState::Failing(why) if fields_lost && why.starts_with("the integration user can no longer see") => {}
            WorkerState::Failing(why) => conditions.push(of_worker(
                Matter::ServiceFailing,
                in_words(why),
                "It tries again by itself. If it goes on, see that what it names answers, and that mosync may call it.",
            )),
        }
    }
    if settings.disabled {
        conditions.push(Condition {
            key: "sync_disabled".to_owned(),
            matter: Matter::SyncDisabled,
            object: "the whole sync".to_owned(),
            count: 1,
            cause: "an administrator has disabled it in mOS Settings".to_owned(),
            advice: "Nothing reaches mOS until it is enabled again; what changes meanwhile is caught up then, from Salesforce's events for 72 hours at most.".to_owned(),
            page: "/settings".to_owned(),
            details: Vec::new(),
        });
    } else if !paused.is_empty() {
        let names = paused.keys().map(|worker| format!("the {worker}"));
        let reasons = paused.values().cloned().collect::<BTreeSet<_>>();
        conditions.push(Condition {
            key: "sync_paused".to_owned(),
            matter: Matter::SyncPaused,
            object: names.collect::<Vec<_>>().join(", "),
            count: count_of(paused.len()),
            cause: reasons.into_iter().collect::<Vec<_>>().join("; "),
            advice: "It goes on by itself when the reason is gone. Nothing is lost meanwhile."
                .to_owned(),
            page: "/sync-status".to_owned(),
            details: Vec::new(),
        });
    }
    conditions
}

/// What waits for the org's API allowance.
pub(super) fn of_quota(workers: &BTreeMap<String, Report>, unfinished: &[Job]) -> Vec<Condition> {
    let until = |name: &str| {
        let figure = workers.get("listener")?.figures.get(name).copied()?;
        Some(Timestamp::from_micros(figure))
    };
    let mut held = unfinished.iter().filter_map(|job| {
        let pause = job.paused.as_ref()?;
        (pause.by == PausedBy::Quota).then_some(pause.until)
    });
    let bulk = until(figures::API_BULK_HELD_UNTIL)
        .map(Some)
        .or_else(|| held.next());
    let live = until(figures::API_LIVE_HELD_UNTIL).map(Some);
    let condition = |name: &str, what: &str, until: Option<Timestamp>| {
        Condition {
        key: format!("quota/{name}"),
        matter: Matter::Quota,
        object: what.to_owned(),
        count: 1,
        cause: until.map_or_else(
            || "the org's API allowance is used up".to_owned(),
            |until| format!("the org's API allowance is used up; it is tried again at {until}"),
        ),
        advice: "Nothing to do: it goes on by itself. If it happens often, give mosync a larger share (Share of the API allowance, in mOS Settings) or the org more API calls.".to_owned(),
        page: "/sync-status".to_owned(),
        details: Vec::new(),
    }
    };
    let bulk = bulk.map(|until| condition("bulk", "jobs that read in bulk", until));
    let live = live.map(|until| condition("live", "live changes", until));
    bulk.into_iter().chain(live).collect()
}
