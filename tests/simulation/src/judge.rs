//! The verdict over a script: the oracle's audit, what was sent out of scope, and the sums.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::ObjectKind;
use domain::failure::FailureKind;
use domain::job::MosStatus;
use domain::parked::Parked;
use domain::settings::SettingsRevision;
use fake_mos::{Outcome, RecordType, RejectCode};
use oracle::{History, Kind, MosLedger, MosRecord, MosState, OrgProfile, Settings, Timeline};
use ports::stores::GapCause;
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

/// How long after "disabled" was saved a request may still arrive: what is promised, and one that
/// was on its way.
const SWITCHED_OFF: Duration = Duration::from_secs(2).saturating_add(REQUEST_ON_ITS_WAY);
const REQUEST_ON_ITS_WAY: Duration = Duration::from_secs(5);

/// Everything that is wrong, in words.
pub(crate) async fn faults(world: &World, epochs: &[Epoch]) -> Vec<String> {
    let mut faults = Vec::new();
    let commits = world.org.commits_since(0);
    let commits = commits.iter().map(|commit| &**commit).collect::<Vec<_>>();
    let history = History::from_json(&serde_json::to_string(&commits).unwrap()).unwrap();
    let settings = epochs
        .iter()
        .map(|epoch| settings_of(world, &history, epoch))
        .collect::<Vec<_>>();
    let rules = epochs.iter().zip(&settings);
    let rules = rules
        .map(|(epoch, settings)| oracle::Epoch {
            from_micros: epoch.from,
            settings,
        })
        .collect::<Vec<_>>();
    let mos = state(world);
    let now = world.clock.micros();
    let parked = rest::parked(world).await;
    let timeline = Timeline::of_epochs(&history, &rules, now).unwrap();
    let fields = |kind: Kind, id: &str| mos.get(kind, id).map(|record| record.fields.clone());

    let is_in_scope = |object: ObjectKind, id: &str| timeline.in_scope(oracle_kind(object), id);
    // A script's queue never loses anything, so what the listener takes for lost a worker has dropped.
    for gap in world.stores.position.gaps().await.unwrap() {
        if gap.cause == GapCause::UnitsLost {
            faults.push(format!("lost units: {}", gap.evidence));
        }
    }
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
    let audit = timeline.audit(fields).without(|kind, id| {
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
    for mismatch in timeline.last_words(fields) {
        faults.push(format!("no last word: {}", mismatch.record.id));
    }
    faults.extend(out_of_scope(world, &history, &rules, &mos));
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

/// What was saved, in the org as its own rows were then.
pub(crate) fn settings_of(world: &World, history: &History, epoch: &Epoch) -> Settings {
    Settings::from_json(&serde_json::to_string(&epoch.revision.settings).unwrap())
        .unwrap()
        .in_org(OrgProfile::at(history, world.org.admin_id(), epoch.from))
}

fn oracle_kind(object: ObjectKind) -> Kind {
    let mut kinds = Kind::ALL.into_iter();
    kinds
        .find(|kind| kind.as_str() == object.mos_type())
        .unwrap()
}

pub(crate) fn state(world: &World) -> MosState {
    RecordType::ALL
        .into_iter()
        .flat_map(|kind| world.mos.records(kind))
        .map(|record| {
            serde_json::from_value::<MosRecord>(serde_json::to_value(record).unwrap()).unwrap()
        })
        .collect()
}

/// What mOS was sent; a repeated answer wrote nothing.
pub(crate) fn ledger(world: &World) -> MosLedger {
    let requests = world.mos.ledger_since(0);
    let entries = requests.iter().filter(|entry| !entry.replayed);
    MosLedger {
        entries: entries
            .map(|entry| serde_json::from_value(serde_json::to_value(&**entry).unwrap()).unwrap())
            .collect(),
    }
}

/// I12: what was sent had been in scope a moment before, as far as can have been heard by then; and
/// nothing was sent while that was switched off.
fn out_of_scope(
    world: &World,
    history: &History,
    rules: &[oracle::Epoch<'_>],
    mos: &MosState,
) -> Vec<String> {
    let now = world.clock.micros();
    let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap();
    let slack = micros(POLL + REQUEST);
    let ledger = ledger(world);
    // Permissions are polled: a record that came to somebody who had just lost his was not in scope
    // at any moment, and is excused as well.
    let timeline = Timeline::with_lag(history, rules, now, slack).unwrap();
    let strays = timeline.out_of_scope(&ledger, slack);
    let disabled = timeline.while_disabled(&ledger, micros(SWITCHED_OFF));
    let said = |what: &str, sent: &oracle::OutOfScope| {
        format!(
            "{what}: {} {} at {}",
            sent.kind,
            sent.id,
            domain::Timestamp::from_micros(sent.at_micros)
        )
    };
    let altered = timeline.altered_outside(mos, slack);
    let altered = altered.iter().map(|it| {
        let record = &it.record;
        format!(
            "altered out of scope: {} {} {}: {} in mOS",
            record.kind, record.id, it.field, it.got
        )
    });
    let strays = strays.iter().map(|sent| said("sent out of scope", sent));
    let disabled = disabled
        .iter()
        .map(|sent| said("sent while disabled", sent));
    strays.chain(disabled).chain(altered).collect()
}

/// Nothing that mOS said may be a refusal that nobody ordered.
fn rejections(world: &World) -> Vec<String> {
    let mut faults = Vec::new();
    for entry in world.mos.ledger_since(0) {
        // Whether a key was answered is asked with a request of no records; `SimTarget` sees to it
        // that nothing else is.
        let is_question = entry.status == 422 && entry.records.is_empty();
        if entry.status != 200 && entry.status != 0 && !is_question {
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
