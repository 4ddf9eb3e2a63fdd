//! The oracle's verdict over a world: the audit, last words, and what was sent out of scope.

use std::collections::BTreeMap;
use std::sync::Arc;

use fake_mos::{Outcome, RecordType};
use fake_salesforce::commit::Commit;
use oracle::{History, Kind, MosLedger, MosRecord, MosState, Settings, Timeline};
use serde_json::Value;

use crate::world::World;

/// Everything that is wrong, in words; `parked` names what may be missing or stale.
pub(crate) fn faults(world: &World, settings: &str, parked: &[String]) -> Vec<String> {
    let commits = commits(world);
    let settings = Settings::from_json(settings).unwrap();
    let history = history(&commits);
    let timeline = Timeline::new(&history, &settings, world.now()).unwrap();
    let state = state(world);
    let in_mos = |kind: Kind, id: &str| Some(state.get(kind, id)?.fields.clone());
    let audit = timeline
        .audit(in_mos)
        .without(|_, id| parked.iter().any(|parked| parked == id));

    let mut faults = Vec::new();
    for record in &audit.missing {
        faults.push(format!("missing: {} {}", record.kind, record.id));
    }
    for found in &audit.stale {
        faults.push(format!(
            "stale: {} {} {}: {} in Salesforce, {} in mOS",
            found.record.kind, found.record.id, found.field, found.expected, found.got
        ));
    }
    for found in timeline.last_words(in_mos) {
        faults.push(format!("no last word: {}", found.record.id));
    }
    let ledger = ledger(world);
    let slack = i64::try_from(world.slack.as_micros()).unwrap();
    let mut out_of_scope = timeline.out_of_scope(&ledger, slack);
    if !out_of_scope.is_empty() {
        let late = late_revocations(&commits, slack);
        let late = Timeline::new(&late, &settings, world.now()).unwrap();
        let excused = late.out_of_scope(&ledger, slack);
        out_of_scope.retain(|sent| {
            excused
                .iter()
                .any(|other| (other.at_micros, &other.id) == (sent.at_micros, &sent.id))
        });
    }
    for sent in &out_of_scope {
        faults.push(format!(
            "sent out of scope: {} {} at {}",
            sent.kind, sent.id, sent.at_micros
        ));
    }
    faults
}

fn commits(world: &World) -> Vec<Arc<Commit>> {
    world.salesforce.org.commits_since(0)
}

fn history(commits: &[Arc<Commit>]) -> History {
    let commits = commits.iter().map(|commit| &**commit).collect::<Vec<_>>();
    History::from_json(&serde_json::to_string(&commits).unwrap()).unwrap()
}

/// The same history, with every loss of permission as late as a poll may notice it: a record that
/// came to somebody who had just lost his permission was in scope at no moment, and is excused.
fn late_revocations(commits: &[Arc<Commit>], slack: i64) -> History {
    let mut all = Vec::<Value>::new();
    for commit in commits {
        let mut at_once = serde_json::to_value(&**commit).unwrap();
        let mut late = at_once.clone();
        late["at_micros"] = (commit.at_micros + slack).into();
        let removed = |change: &Value| {
            let entity = change["entity"].as_str().unwrap();
            change["kind"] == "DELETE"
                && ["PermissionSetAssignment", "PermissionSetGroupComponent"].contains(&entity)
        };
        let deactivated =
            |change: &Value| change["entity"] == "User" && change["after"]["IsActive"] == false;
        let changes = at_once["changes"].as_array_mut().unwrap();
        let mut delayed = changes.clone();
        delayed.retain(|change| removed(change) || deactivated(change));
        changes.retain(|change| !removed(change));
        for change in changes.iter_mut().filter(|change| deactivated(change)) {
            change["after"]["IsActive"] = true.into();
        }
        all.push(at_once);
        if !delayed.is_empty() {
            late["changes"] = delayed.into();
            late["silent"] = Value::Array(Vec::new());
            all.push(late);
        }
    }
    all.sort_by_key(|commit| commit["at_micros"].as_i64());
    History::from_json(&serde_json::to_string(&all).unwrap()).unwrap()
}

fn state(world: &World) -> MosState {
    RecordType::ALL
        .into_iter()
        .flat_map(|kind| world.mos.mos.records(kind))
        .map(|record| {
            serde_json::from_value::<MosRecord>(serde_json::to_value(record).unwrap()).unwrap()
        })
        .collect()
}

fn ledger(world: &World) -> MosLedger {
    let requests = world.mos.mos.ledger_since(0);
    MosLedger {
        // A repeated answer wrote nothing.
        entries: requests
            .iter()
            .filter(|entry| !entry.replayed)
            .map(|entry| serde_json::from_value(serde_json::to_value(&**entry).unwrap()).unwrap())
            .collect(),
    }
}

/// How long changes in scope took from Salesforce's ledger to mOS's. What never arrived counts as
/// for ever.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Latency {
    changes: usize,
    p50_ms: f64,
    pub(crate) p99_ms: f64,
}

impl std::fmt::Display for Latency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            changes,
            p50_ms,
            p99_ms,
        } = self;
        write!(
            f,
            "{changes} changes in scope, p50 {p50_ms:.0} ms, p99 {p99_ms:.0} ms"
        )
    }
}

/// Of each span of time, first and last moment.
pub(crate) fn latencies(world: &World, spans: &[(i64, i64)]) -> Vec<Latency> {
    let commits = commits(world);
    let history = history(&commits);
    let settings = Settings::from_json(&world.settings).unwrap();
    let timeline = Timeline::new(&history, &settings, world.now()).unwrap();
    let ledger = ledger(world);
    let of_span = |(from, to): &(i64, i64)| {
        let mut samples = timeline.latency(&ledger, *from);
        samples.retain(|sample| sample.changed_at <= *to);
        let share = |share| oracle::percentile(&samples, share).unwrap_or(f64::NAN);
        Latency {
            changes: samples.len(),
            p50_ms: share(50.0),
            p99_ms: share(99.0),
        }
    };
    spans.iter().map(of_span).collect()
}

/// How often mOS's own ledger has each of these answers, object by object. A request repeated under
/// its key counts once, and so does a last word that finds no deal, which is said twice on purpose.
pub(crate) fn answers(
    world: &World,
    wanted: &[&'static str],
) -> BTreeMap<(String, &'static str), u64> {
    let mut last_words = BTreeMap::new();
    let mut answers = BTreeMap::new();
    for request in world.mos.mos.ledger_since(0) {
        for record in request.records.iter().filter(|_| !request.replayed) {
            let Some(outcome) = record.outcome else {
                continue;
            };
            if record.if_exists {
                let word = (record.external_id.clone(), record.version.clone());
                last_words.insert(word, (record.kind.clone(), outcome));
            } else if let Some(answer) = answer(outcome, wanted) {
                let object = object_of(&record.kind).to_owned();
                *answers.entry((object, answer)).or_default() += 1;
            }
        }
    }
    for (kind, outcome) in last_words.into_values() {
        if let Some(answer) = answer(outcome, wanted) {
            *answers
                .entry((object_of(&kind).to_owned(), answer))
                .or_default() += 1;
        }
    }
    answers
}

/// An outcome by the name under which jobs count it, if it is wanted.
fn answer(outcome: Outcome, wanted: &[&'static str]) -> Option<&'static str> {
    let name = match outcome {
        Outcome::Created => "created",
        Outcome::Updated => "updated",
        // A last word for a deal that mOS does not have changes nothing.
        Outcome::Unchanged | Outcome::Skipped => "unchanged",
        Outcome::Stale => "stale",
        Outcome::Rejected => "rejected",
    };
    wanted.iter().find(|wanted| **wanted == name).copied()
}

/// Salesforce's name of what mOS calls so.
fn object_of(kind: &str) -> &str {
    match kind {
        "user" => "User",
        "company" => "Account",
        "contact" => "Contact",
        "opportunity" => "Opportunity",
        "contact_role" => "OpportunityContactRole",
        other => panic!("{other}"),
    }
}
