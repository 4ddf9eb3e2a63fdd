//! The verdict: what the independent oracle says of both ledgers, once.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::Timestamp;
use fake_salesforce::commit::ChangeKind as CommitKind;
use oracle::{
    ChangeKind, History, LedgerEntry, LedgerRecord, MosLedger, Outcome, Settings, Timeline,
};
use serde::Serialize;

use super::changes::Made;
use super::world::{PERMISSION_POLL_S, REQUEST_TIMEOUT_S, World};
use crate::exit::Failure;

/// Records that a report names, of each kind.
const NAMED: usize = 20;

/// What the demo measured, as `--report` writes it.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Which queue and stores were used.
    adapters: &'static str,
    /// Records in scope that mOS lacks.
    missing: usize,
    /// Fields of records in scope that mOS has otherwise.
    stale: usize,
    /// Records sent that were not in scope.
    out_of_scope: usize,
    /// Deals that closed and still look open in mOS.
    unclosed: usize,
    /// Records that are parked.
    parked: u64,
    /// Changes that Salesforce accepted.
    changes: u64,
    /// The rate that was kept.
    changes_per_second: f64,
    /// From Salesforce's ledger to mOS's, over every change in scope.
    latency_ms: Latency,
    /// The most memory this process had, stand-ins included.
    peak_rss_mib: Option<f64>,
    /// Requests to the Salesforce API.
    salesforce_api_calls: u64,
    /// The first records at fault.
    at_fault: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Latency {
    samples: usize,
    /// `null`: infinite, or no sample.
    p50: Option<f64>,
    p99: Option<f64>,
    never_landed: usize,
}

/// Audits once.
pub(crate) async fn judge(
    world: &World,
    made: &Made,
    began: Timestamp,
    peak_rss_mib: Option<f64>,
) -> Result<Report, Failure> {
    let status = world.status().await?;
    let revision = world.adapters.stores.settings.current().await?;
    let document = serde_json::to_string(&revision.settings)
        .map_err(|error| Failure::failed(error.to_string()))?;
    let settings = Settings::from_json(&document)
        .map_err(|error| Failure::failed(format!("the judge cannot read the settings: {error}")))?;
    let at_once = history(world, Duration::ZERO)?;
    let timeline = Timeline::new(&at_once, &settings, world.now().as_micros())
        .map_err(|error| Failure::failed(error.to_string()))?;
    let ledger = ledger(world);
    let in_mos = |kind: oracle::Kind, id: &str| {
        Some(
            world
                .mos
                .mos
                .record(kind.as_str().parse().ok()?, id)?
                .fields,
        )
    };

    // In mOS, or parked with a reason that a person can read: the rule allows both.
    let parked = parked(world).await?;
    let audit = timeline
        .audit(in_mos)
        .without(|kind, id| parked.contains(&(kind.as_str(), id.to_owned())));
    let unclosed = timeline.last_words(in_mos);
    let slack =
        i64::try_from((PERMISSION_POLL_S + REQUEST_TIMEOUT_S) * 1_000_000).unwrap_or(i64::MAX);
    let mut out_of_scope = timeline.out_of_scope(&ledger, slack);
    // Two polls: one that has just begun, and its own length.
    let noticed = history(world, Duration::from_secs(2 * PERMISSION_POLL_S))?;
    let noticed = Timeline::new(&noticed, &settings, world.now().as_micros())
        .map_err(|error| Failure::failed(error.to_string()))?;
    let flagged = noticed.out_of_scope(&ledger, slack);
    let flagged = flagged.iter().map(|sent| (sent.at_micros, &sent.id));
    let flagged = flagged.collect::<BTreeSet<_>>();
    out_of_scope.retain(|sent| flagged.contains(&(sent.at_micros, &sent.id)));
    let samples = timeline.latency(&ledger, began.as_micros());
    let finite = |share| {
        oracle::percentile(&samples, share)
            .filter(|millis| millis.is_finite())
            .map(|millis| (millis * 10.0).round() / 10.0)
    };

    let mut at_fault = Vec::new();
    at_fault.extend(
        audit
            .missing
            .iter()
            .take(NAMED)
            .map(|record| format!("missing: {} {}", record.kind.as_str(), record.id)),
    );
    at_fault.extend(audit.stale.iter().take(NAMED).map(|found| {
        format!(
            "stale: {} {} {}",
            found.record.kind.as_str(),
            found.record.id,
            found.field
        )
    }));
    at_fault.extend(
        out_of_scope
            .iter()
            .take(NAMED)
            .map(|sent| format!("sent out of scope: {} {}", sent.kind, sent.id)),
    );
    at_fault.extend(
        unclosed
            .iter()
            .take(NAMED)
            .map(|found| format!("closed in Salesforce, open in mOS: {}", found.record.id)),
    );
    Ok(Report {
        adapters: world.adapters.name,
        missing: audit.missing.len(),
        stale: audit.stale.len(),
        out_of_scope: out_of_scope.len(),
        unclosed: unclosed.len(),
        parked: status.parked.values().sum(),
        changes: made.changes,
        changes_per_second: (made.changes as f64 / made.seconds.max(0.001) * 10.0).round() / 10.0,
        latency_ms: Latency {
            samples: samples.len(),
            p50: finite(50.0),
            p99: finite(99.0),
            never_landed: samples
                .iter()
                .filter(|sample| sample.landed.is_none())
                .count(),
        },
        peak_rss_mib,
        salesforce_api_calls: world.salesforce.api_calls(),
        at_fault,
    })
}

impl Report {
    pub(crate) const fn is_clean(&self) -> bool {
        self.missing == 0 && self.stale == 0 && self.out_of_scope == 0 && self.unclosed == 0
    }

    /// For people.
    pub(crate) fn lines(&self) -> Vec<String> {
        let millis = |value: Option<f64>| {
            value.map_or_else(|| "infinite".to_owned(), |millis| format!("{millis} ms"))
        };
        let mut lines = vec![
            format!(
                "audit: missing {}, stale {}, sent out of scope {}",
                self.missing, self.stale, self.out_of_scope
            ),
            format!(
                "closed deals left open in mOS: {}; parked records: {}",
                self.unclosed, self.parked
            ),
            format!(
                "{} changes at {}/s over {}; {} of them in scope: p50 {}, p99 {}",
                self.changes,
                self.changes_per_second,
                self.adapters,
                self.latency_ms.samples,
                millis(self.latency_ms.p50),
                millis(self.latency_ms.p99)
            ),
            format!(
                "memory at most {} MiB, {} Salesforce API calls",
                self.peak_rss_mib
                    .map_or_else(|| "unknown".to_owned(), |mib| mib.to_string()),
                self.salesforce_api_calls
            ),
        ];
        lines.extend(self.at_fault.iter().cloned());
        lines
    }
}

async fn parked(world: &World) -> Result<BTreeSet<(&'static str, String)>, Failure> {
    let mut parked = BTreeSet::new();
    let mut after = None;
    loop {
        let page = world
            .adapters
            .stores
            .parked
            .list(&ports::stores::ParkedFilter::default(), after, 1000)
            .await?;
        let Some(last) = page.last() else {
            return Ok(parked);
        };
        after = Some((last.object, last.id));
        parked.extend(
            page.iter()
                .map(|entry| (entry.object.mos_type(), entry.id.to_string())),
        );
    }
}

/// What happened in Salesforce, with every revocation of a permission as late as `noticed_after`: a
/// record that came to somebody who had just lost his permission was in scope at no moment, yet no
/// poll could have known.
fn history(world: &World, noticed_after: Duration) -> Result<History, Failure> {
    let delay = i64::try_from(noticed_after.as_micros()).unwrap_or(i64::MAX);
    let commits = world.salesforce.org.commits_since(0);
    let mut moments = Vec::new();
    for commit in &commits {
        let (late, at_once): (Vec<_>, Vec<_>) = commit.changes.iter().partition(|change| {
            change.entity == "PermissionSetAssignment" && change.kind == CommitKind::Delete
        });
        let silent = commit.silent.iter().collect::<Vec<_>>();
        moments.push((commit.at_micros, at_once, silent));
        if !late.is_empty() {
            moments.push((commit.at_micros + delay, late, Vec::new()));
        }
    }
    moments.sort_by_key(|(at, ..)| *at);
    let mut history = History::default();
    for (at, changes, silent) in moments {
        history
            .begin(at)
            .map_err(|error| Failure::failed(error.to_string()))?;
        for change in changes {
            let row = change.after.row();
            history.change(&change.entity, &change.id, kind(change.kind), &row);
        }
        for change in silent {
            let row = change.after.row();
            history.silent_change(&change.entity, &change.id, kind(change.kind), &row);
        }
    }
    Ok(history)
}

const fn kind(kind: CommitKind) -> ChangeKind {
    match kind {
        CommitKind::Create => ChangeKind::Create,
        CommitKind::Update => ChangeKind::Update,
        CommitKind::Delete => ChangeKind::Delete,
        CommitKind::Undelete => ChangeKind::Undelete,
    }
}

fn ledger(world: &World) -> MosLedger {
    use fake_mos::Outcome as Kind;
    let outcome = |outcome: Kind| match outcome {
        Kind::Created => Outcome::Created,
        Kind::Updated => Outcome::Updated,
        Kind::Unchanged => Outcome::Unchanged,
        Kind::Stale => Outcome::Stale,
        Kind::Skipped => Outcome::Skipped,
        Kind::Rejected => Outcome::Rejected,
    };
    let entries = world
        .mos
        .mos
        .ledger_since(0)
        .into_iter()
        .map(|entry| LedgerEntry {
            at_micros: entry.at_micros,
            answered_micros: entry.answered_micros,
            status: entry.status,
            records: entry
                .records
                .iter()
                .map(|record| LedgerRecord {
                    kind: record.kind.clone(),
                    external_id: record.external_id.clone(),
                    version: record.version.clone(),
                    if_exists: record.if_exists,
                    outcome: record.outcome.map(outcome),
                })
                .collect(),
        });
    MosLedger {
        entries: entries.collect(),
    }
}
