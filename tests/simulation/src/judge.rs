//! The verdict over a script: the oracle's audit, what was sent out of scope, and the sums.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::job::{MosStatus, SalesforceStatus};
use domain::settings::SettingsRevision;
use fake_mos::{RecordType, RejectCode};
use oracle::{History, MosLedger, MosRecord, MosState, Settings};
use serde_json::Value;

use crate::rest;
use crate::world::{POLL, World};

/// Longest a request to mOS or Salesforce takes here, and what a poll that failed adds.
const REQUEST: Duration = Duration::from_secs(30);

/// Settings and the moment from which they were in force.
pub(crate) struct Epoch {
    pub(crate) from: i64,
    pub(crate) revision: SettingsRevision,
}

/// Everything that is wrong, in words.
pub(crate) async fn faults(world: &World, epochs: &[Epoch]) -> Vec<String> {
    let mut faults = Vec::new();
    let commits = world.org.commits_since(0);
    let commits = commits.iter().map(|commit| &**commit).collect::<Vec<_>>();
    let history = History::from_json(&serde_json::to_string(&commits).unwrap()).unwrap();
    let settings = epochs.iter().map(settings_of).collect::<Vec<_>>();
    let mos = state(world);
    let now = world.clock.micros();
    let parked = rest::parked(world).await;

    let last = settings.last().unwrap();
    let audit = oracle::audit(&history, last, &mos, now).unwrap();
    for record in &audit.missing {
        faults.push(format!("missing: {} {}", record.kind, record.id));
    }
    for mismatch in &audit.stale {
        faults.push(format!(
            "stale: {} {} {}: {} in Salesforce, {} in mOS",
            mismatch.record.kind,
            mismatch.record.id,
            mismatch.field,
            mismatch.expected,
            mismatch.got
        ));
    }
    for parked in &parked {
        faults.push(format!(
            "parked for no good reason: {} {} {:?} {} waits for {:?}",
            parked.object, parked.id, parked.kind, parked.message, parked.parent
        ));
    }
    if epochs.len() == 1 {
        for mismatch in oracle::last_words(&history, last, &mos, now).unwrap() {
            faults.push(format!("no last word: {}", mismatch.record.id));
        }
    }
    faults.extend(out_of_scope(world, &history, epochs, &settings));
    faults.extend(rejections(world));
    faults.extend(jobs(world).await);
    if world.embedded.queue().dead_count().await.unwrap()
        != world
            .chance
            .trace()
            .iter()
            .filter(|line| line.contains("is made unreadable"))
            .map(|line| line.split("event ").nth(1).map(str::to_owned))
            .collect::<BTreeSet<_>>()
            .len() as u64
    {
        faults.push("there are other dead letters than unreadable events".to_owned());
    }
    faults
}

fn settings_of(epoch: &Epoch) -> Settings {
    Settings::from_json(&serde_json::to_string(&epoch.revision.settings).unwrap()).unwrap()
}

fn state(world: &World) -> MosState {
    RecordType::ALL
        .into_iter()
        .flat_map(|kind| world.mos.records(kind))
        .map(|record| {
            serde_json::from_value::<MosRecord>(serde_json::to_value(record).unwrap()).unwrap()
        })
        .collect()
}

/// I12: what was sent had been in scope a moment before, by the settings in force then.
fn out_of_scope(
    world: &World,
    history: &History,
    epochs: &[Epoch],
    settings: &[Settings],
) -> Vec<String> {
    let slack = i64::try_from((POLL + REQUEST).as_micros()).unwrap();
    let requests = world.mos.ledger_since(0);
    let ledger: MosLedger = MosLedger {
        entries: requests
            .iter()
            .map(|entry| {
                serde_json::from_value(serde_json::to_value(&**entry).unwrap()).unwrap()
            })
            .collect(),
    };
    let mut found: Option<BTreeSet<(i64, String, String)>> = None;
    for (place, (epoch, settings)) in epochs.iter().zip(settings).enumerate() {
        let until = epochs.get(place + 1).map_or(i64::MAX, |next| next.from);
        let flagged = oracle::out_of_scope(history, settings, &ledger, slack)
            .unwrap()
            .into_iter()
            .map(|record| (record.at_micros, record.kind, record.id))
            .collect::<BTreeSet<_>>();
        // Where these settings were not in force at all, they excuse nothing.
        let excused = |at: i64| at >= epoch.from && at - slack < until;
        found = Some(match found {
            None => ledger
                .entries
                .iter()
                .flat_map(|entry| {
                    entry.records.iter().map(|record| {
                        (
                            entry.at_micros,
                            record.kind.clone(),
                            record.external_id.clone(),
                        )
                    })
                })
                .filter(|sent| !excused(sent.0) || flagged.contains(sent))
                .collect(),
            Some(before) => before
                .into_iter()
                .filter(|sent| !excused(sent.0) || flagged.contains(sent))
                .collect(),
        });
    }
    found
        .unwrap_or_default()
        .into_iter()
        .map(|(at, kind, id)| {
            format!(
                "sent out of scope: {kind} {id} at {}",
                domain::Timestamp::from_micros(at)
            )
        })
        .collect()
}

/// Nothing that mOS said may be a refusal that nobody ordered.
fn rejections(world: &World) -> Vec<String> {
    let mut faults = Vec::new();
    for entry in world.mos.ledger_since(0) {
        if entry.status != 200 && entry.status != 0 {
            faults.push(format!("mOS answered {}", entry.status));
        }
        for record in &entry.records {
            if let Some(code) = record.error_code
                && !matches!(code, RejectCode::Busy | RejectCode::ParentMissing)
            {
                faults.push(format!(
                    "mOS rejected {} {}: {code:?} {:?}",
                    record.kind, record.external_id, record.error_message
                ));
            }
        }
    }
    faults
}

/// I3: the sums of every job that is over close; I4: and it says that it is done.
async fn jobs(world: &World) -> Vec<String> {
    let mut faults = Vec::new();
    for job in world.stores.jobs.list(100_000).await.unwrap() {
        if job.salesforce == SalesforceStatus::Failed || job.mos() == MosStatus::Failed {
            faults.push(format!("{} has failed: {:?}", job.id, job.error));
        }
        let difference = job.tally.difference();
        if job.pending() == 0 && !difference.is_empty() {
            faults.push(format!("the sums of {} do not close: {difference:?}", job.id));
        }
    }
    for gap in world.stores.position.gaps().await.unwrap() {
        if gap.closed.is_none() {
            faults.push(format!("a gap stays open: {}", gap.evidence));
        }
    }
    faults
}

/// Everything mOS holds, for comparing two runs.
pub(crate) fn holdings(world: &World) -> Value {
    RecordType::ALL
        .into_iter()
        .map(|kind| serde_json::to_value(world.mos.records(kind)).unwrap())
        .collect()
}

