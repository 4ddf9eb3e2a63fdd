//! The verdict over a script: the oracle's audit, what was sent out of scope, and the sums.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::ObjectKind;
use domain::failure::FailureKind;
use domain::job::MosStatus;
use domain::parked::Parked;
use domain::settings::SettingsRevision;
use fake_mos::{Outcome, RecordType, RejectCode};
use fake_salesforce::commit::Commit;
use oracle::{History, MosLedger, MosRecord, MosState, Settings};
use serde_json::Value;

use crate::rest;
use crate::world::{POLL, TOPIC, World};

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
    let in_scope = oracle::in_scope(&history, now, last).unwrap();
    let is_in_scope = |object: ObjectKind, id: &str| {
        in_scope
            .keys()
            .any(|record| record.kind.as_str() == object.mos_type() && record.id == id)
    };
    // A contact role whose contact is in the recycle bin waits for it, and is said to.
    let waits_in_vain = |parked: &Parked| {
        parked.kind == FailureKind::ParentMissing
            && parked.parent.is_some_and(|(object, id)| {
                world
                    .org
                    .record(object.api_name(), id.as_str())
                    .is_none_or(|parent| parent.flag("IsDeleted"))
            })
    };
    let audit = oracle::audit(&history, last, &mos, now)
        .unwrap()
        .without(|kind, id| {
            parked.iter().any(|parked| {
                parked.object.mos_type() == kind.as_str()
                    && parked.id.as_str() == id
                    && waits_in_vain(parked)
            })
        });
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
        // The last word of a deal whose new owner mOS was never told of stays parked.
        let beyond = parked.kind == FailureKind::ParentMissing
            && !is_in_scope(parked.object, parked.id.as_str());
        if waits_in_vain(parked) || beyond {
            continue;
        }
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
    faults.extend(out_of_scope(
        world,
        &history,
        &late_revocations(&commits),
        epochs,
        &settings,
    ));
    faults.extend(rejections(world));
    faults.extend(jobs(world).await);
    faults.extend(against_ledger(world).await);
    faults.extend(world.units.faults());
    for dead in world.embedded.queue().dead_letters(10_000).await.unwrap() {
        if dead.queue != TOPIC {
            faults.push(format!(
                "a dead letter from {}: {}",
                dead.queue, dead.reason
            ));
        }
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
    late: &History,
    epochs: &[Epoch],
    settings: &[Settings],
) -> Vec<String> {
    let slack = i64::try_from((POLL + REQUEST).as_micros()).unwrap();
    let requests = world.mos.ledger_since(0);
    let ledger: MosLedger = MosLedger {
        // A repeated answer wrote nothing.
        entries: requests
            .iter()
            .filter(|entry| !entry.replayed)
            .map(|entry| serde_json::from_value(serde_json::to_value(&**entry).unwrap()).unwrap())
            .collect(),
    };
    let mut found: Option<BTreeSet<(i64, String, String)>> = None;
    for (place, (epoch, settings)) in epochs.iter().zip(settings).enumerate() {
        let until = epochs.get(place + 1).map_or(i64::MAX, |next| next.from);
        let flagged_in = |history: &History| {
            oracle::out_of_scope(history, settings, &ledger, slack)
                .unwrap()
                .into_iter()
                .map(|record| (record.at_micros, record.kind, record.id))
                .collect::<BTreeSet<_>>()
        };
        let flagged = flagged_in(history);
        // Permissions are polled: a record that came to somebody who had just lost his was not in
        // scope at any moment, and is excused as well.
        let flagged = &flagged & &flagged_in(late);
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

/// The same history, with every loss of permission as late as a poll may notice it.
fn late_revocations(commits: &[&Commit]) -> History {
    let lag = i64::try_from((POLL + REQUEST).as_micros()).unwrap();
    let mut all = Vec::<Value>::new();
    for commit in commits {
        let mut at_once = serde_json::to_value(commit).unwrap();
        let mut late = at_once.clone();
        late["at_micros"] = (commit.at_micros + lag).into();
        let lost = |change: &Value| match change["entity"].as_str().unwrap() {
            "PermissionSetAssignment" | "PermissionSetGroupComponent" => change["kind"] == "DELETE",
            "User" => change["after"]["IsActive"] == false,
            _ => false,
        };
        let changes = at_once["changes"].as_array_mut().unwrap();
        let mut delayed = changes.clone();
        delayed.retain(lost);
        for change in changes.iter_mut() {
            if change["entity"] == "User" {
                change["after"]["IsActive"] = true.into();
            }
            if let Some(end) = change["after"]["ExpirationDate"]
                .as_str()
                .and_then(domain::Timestamp::parse)
            {
                let end = end.after(POLL + REQUEST).to_soql();
                change["after"]["ExpirationDate"] = end.replace('Z', ".000+0000").into();
            }
        }
        changes.retain(|change| !(change["kind"] == "DELETE" && lost(change)));
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
        if job.outcome() == Some(MosStatus::Failed) {
            faults.push(format!("{} has failed: {:?}", job.id, job.failure()));
        }
        if job.pending() == 0 && job.counted + job.abandoned != job.units {
            faults.push(format!(
                "{} has counted {} and given up {} of {} units",
                job.id, job.counted, job.abandoned, job.units
            ));
        }
        let difference = job.tally.difference();
        if job.pending() == 0 && !difference.is_empty() {
            faults.push(format!(
                "the sums of {} do not close: {difference:?}",
                job.id
            ));
        }
    }
    faults
}

/// I3: the jobs say no more than mOS's own ledger; and, where nothing was ever redelivered, exactly
/// what it says, per object and outcome.
async fn against_ledger(world: &World) -> Vec<String> {
    let mut said = BTreeMap::<(String, &str), u64>::new();
    for job in world.stores.jobs.list(100_000).await.unwrap() {
        for (object, count, records) in job.tally.iter() {
            *said
                .entry((object.mos_type().to_owned(), count.name()))
                .or_default() += records;
        }
    }
    let mut done = BTreeMap::<(String, &str), u64>::new();
    let mut last_words = BTreeSet::new();
    for entry in world.mos.ledger_since(0) {
        if entry.replayed {
            continue;
        }
        for record in &entry.records {
            let outcome = match record.outcome {
                Some(Outcome::Created) => "created",
                Some(Outcome::Updated) => "updated",
                Some(Outcome::Unchanged) => "unchanged",
                // A last word that mOS has no deal for is sent twice, and is one record.
                Some(Outcome::Skipped) => {
                    let word = (record.external_id.clone(), record.version.clone());
                    if !last_words.insert(word) {
                        continue;
                    }
                    "unchanged"
                }
                Some(Outcome::Stale) => "stale",
                Some(Outcome::Rejected) | None => continue,
            };
            *done.entry((record.kind.clone(), outcome)).or_default() += 1;
        }
    }
    let mut faults = Vec::new();
    for kind in ObjectKind::ALL {
        for outcome in ["created", "updated", "unchanged", "stale"] {
            let key = (kind.mos_type().to_owned(), outcome);
            let said = said.get(&key).copied().unwrap_or_default();
            let done = done.get(&key).copied().unwrap_or_default();
            let wrong = if world.is_faultless() {
                said != done
            } else {
                said > done
            };
            if wrong {
                faults.push(format!(
                    "the jobs count {said} of {kind} as {outcome}, mOS counts {done}"
                ));
            }
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
