//! The oracle's verdict over a world: the audit, last words, and what was sent out of scope.

use fake_mos::RecordType;
use oracle::{History, Kind, MosLedger, MosRecord, MosState, Settings, Timeline};

use crate::world::World;

/// Longest that a request takes, a poll interval, and the time without a permission worker, in
/// which nobody reads permissions.
const SLACK_MICROS: i64 = 31_000_000;

/// Everything that is wrong, in words; `parked` names what may be missing or stale.
pub(crate) fn faults(world: &World, settings: &str, parked: &[String]) -> Vec<String> {
    let commits = world.salesforce.org.commits_since(0);
    let commits = commits.iter().map(|commit| &**commit).collect::<Vec<_>>();
    let history = History::from_json(&serde_json::to_string(&commits).unwrap()).unwrap();
    let settings = Settings::from_json(settings).unwrap();
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
    for sent in timeline.out_of_scope(&ledger(world), SLACK_MICROS) {
        faults.push(format!(
            "sent out of scope: {} {} at {}",
            sent.kind, sent.id, sent.at_micros
        ));
    }
    faults
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
        entries: requests
            .iter()
            .map(|entry| serde_json::from_value(serde_json::to_value(&**entry).unwrap()).unwrap())
            .collect(),
    }
}
