//! The verdicts: audit, out of scope, last words, latency.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::history::{History, Row};
use crate::ledger::{Kind, MosLedger, MosState, Outcome};
use crate::settings::{Settings, SettingsError};
use crate::timeline::{RecordId, Span, Timeline};

/// What mOS lacks, and what it holds wrongly.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Audit {
    /// In scope and not in mOS.
    pub missing: Vec<RecordId>,
    /// In scope and in mOS, with a field that differs.
    pub stale: Vec<Mismatch>,
}

impl Audit {
    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.missing.is_empty() && self.stale.is_empty()
    }

    /// Leaves out what is parked with a reason; `parked` says which records those are.
    #[must_use]
    pub fn without(mut self, parked: impl Fn(Kind, &str) -> bool) -> Self {
        self.missing
            .retain(|record| !parked(record.kind, &record.id));
        self.stale
            .retain(|mismatch| !parked(mismatch.record.kind, &mismatch.record.id));
        self
    }
}

/// A field that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mismatch {
    /// The record.
    #[serde(flatten)]
    pub record: RecordId,
    /// The mOS field.
    pub field: String,
    /// What Salesforce says.
    pub expected: Value,
    /// What mOS holds.
    pub got: Value,
}

/// A record that was sent though it was not in scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutOfScope {
    /// The type, as sent.
    #[serde(rename = "type")]
    pub kind: String,
    /// The id, as sent.
    pub id: String,
    /// When the request arrived (microseconds).
    pub at_micros: i64,
    /// How long before the request the record had left the scope (microseconds); `None` when it
    /// had never been in it.
    pub left_before_micros: Option<i64>,
}

/// How long one change took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LatencySample {
    /// The record's type in mOS.
    pub object: Kind,
    /// Its id.
    pub id: String,
    /// When it changed in Salesforce (microseconds).
    pub changed_at: i64,
    /// When mOS answered for a row read after that; `None`: never.
    pub landed: Option<i64>,
}

/// Everything in scope at the moment `now`, with the fields mOS should hold.
///
/// # Errors
/// When the filter's logic cannot be read.
pub fn in_scope(
    history: &History,
    now: i64,
    settings: &Settings,
) -> Result<BTreeMap<RecordId, Map<String, Value>>, SettingsError> {
    let timeline = Timeline::new(history, settings, now)?;
    Ok(timeline
        .scope()
        .map(|((kind, id), row)| {
            let fields = timeline.mapping.fields(kind).iter();
            let fields = fields
                .map(|field| (field.mos.clone(), timeline.expected(field, row)))
                .collect();
            (record(kind, id), fields)
        })
        .collect())
}

/// Compares mOS with what is in scope at the moment `now`.
///
/// # Errors
/// When the filter's logic cannot be read.
pub fn audit(
    history: &History,
    settings: &Settings,
    mos: &MosState,
    now: i64,
) -> Result<Audit, SettingsError> {
    let timeline = Timeline::new(history, settings, now)?;
    Ok(timeline.audit(|kind, id| mos.get(kind, id).map(|record| record.fields.clone())))
}

/// Records that were sent though they were in scope at no moment of the `slack_micros` before their
/// request arrived. The last word of an opportunity that closed is excepted.
///
/// # Errors
/// When the filter's logic cannot be read.
pub fn out_of_scope(
    history: &History,
    settings: &Settings,
    ledger: &MosLedger,
    slack_micros: i64,
) -> Result<Vec<OutOfScope>, SettingsError> {
    let timeline = Timeline::new(history, settings, end(history, ledger))?;
    Ok(timeline.out_of_scope(ledger, slack_micros))
}

/// How long each change since `since_micros` took: of records that were in scope right after it and
/// without interruption to the end, where a mapped field changed or the change brought the record
/// into scope.
///
/// # Errors
/// When the filter's logic cannot be read.
pub fn latency(
    history: &History,
    settings: &Settings,
    ledger: &MosLedger,
    since_micros: i64,
) -> Result<Vec<LatencySample>, SettingsError> {
    let timeline = Timeline::new(history, settings, end(history, ledger))?;
    Ok(timeline.latency(ledger, since_micros))
}

/// Opportunities that closed while in scope, are in mOS, and are not closed there.
///
/// # Errors
/// When the filter's logic cannot be read.
pub fn last_words(
    history: &History,
    settings: &Settings,
    mos: &MosState,
    now: i64,
) -> Result<Vec<Mismatch>, SettingsError> {
    let timeline = Timeline::new(history, settings, now)?;
    Ok(timeline.last_words(|kind, id| mos.get(kind, id).map(|record| record.fields.clone())))
}

/// The latency, in milliseconds, that `share` percent of the samples did not exceed (nearest rank).
/// Infinite when one that never landed is among them; `None` without samples.
#[must_use]
pub fn percentile(samples: &[LatencySample], share: f64) -> Option<f64> {
    let mut micros: Vec<i64> = samples
        .iter()
        .map(|sample| {
            sample
                .landed
                .map_or(i64::MAX, |landed| landed.saturating_sub(sample.changed_at))
        })
        .collect();
    micros.sort_unstable();
    let rank = (share / 100.0 * micros.len() as f64).ceil().max(1.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank is a whole number from 1 to the number of samples"
    )]
    let position = rank as usize - 1;
    let last = micros.len().checked_sub(1)?;
    let value = *micros.get(position.min(last))?;
    Some(if value == i64::MAX {
        f64::INFINITY
    } else {
        value as f64 / 1_000.0
    })
}

impl Timeline<'_> {
    /// Compares with mOS, which is asked record by record for its fields.
    pub fn audit(&self, mos: impl Fn(Kind, &str) -> Option<Map<String, Value>>) -> Audit {
        let mut audit = Audit::default();
        for ((kind, id), row) in self.scope() {
            let Some(got) = mos(kind, id) else {
                audit.missing.push(record(kind, id));
                continue;
            };
            for field in self.mapping.fields(kind) {
                let expected = self.expected(field, row);
                let got = got.get(&field.mos);
                if !field.agrees(&expected, got) {
                    audit.stale.push(Mismatch {
                        record: record(kind, id),
                        field: field.mos.clone(),
                        expected,
                        got: got.cloned().unwrap_or_default(),
                    });
                }
            }
        }
        audit
    }

    /// See [`out_of_scope`]; every request counts, whatever became of it. An opportunity that would
    /// qualify were it open may be sent with `if_exists`.
    #[must_use]
    pub fn out_of_scope(&self, ledger: &MosLedger, slack_micros: i64) -> Vec<OutOfScope> {
        let mut found = Vec::new();
        for entry in &ledger.entries {
            let (from, to) = (
                entry.at_micros.saturating_sub(slack_micros),
                entry.at_micros,
            );
            for sent in &entry.records {
                let kind = Kind::named(&sent.kind);
                let id = sent.external_id.as_str();
                let spans = kind.map_or(&[][..], |kind| self.spans(kind, id));
                let closed = self.closed.get(id).map_or(&[][..], Vec::as_slice);
                let last_word = sent.if_exists && kind == Some(Kind::Opportunity);
                let fine = spans.iter().any(|span| span.touches(from, to))
                    || last_word && closed.iter().any(|span| span.touches(from, to));
                if !fine {
                    let ends = spans.iter().filter_map(|span| span.to);
                    found.push(OutOfScope {
                        kind: sent.kind.clone(),
                        id: id.to_owned(),
                        at_micros: to,
                        left_before_micros: ends.filter(|end| *end <= to).max().map(|end| to - end),
                    });
                }
            }
        }
        found
    }

    /// Fields in mOS of records that are out of scope at the end, which say what the record said at
    /// no moment at which it was in scope, nor in the `slack_micros` after: what left the scope
    /// stays as it was.
    #[must_use]
    pub fn altered_outside(&self, mos: &MosState, slack_micros: i64) -> Vec<Mismatch> {
        let versions = self.versions();
        let mut found = Vec::new();
        for held in mos.iter() {
            let (kind, id) = (held.kind, held.external_id.as_str());
            if self.in_scope(kind, id) {
                continue;
            }
            let none = Vec::new();
            let said = versions.get(&(kind, id)).unwrap_or(&none);
            let closed = self.closed.get(id).filter(|_| kind == Kind::Opportunity);
            let closed = closed.map_or(&[][..], Vec::as_slice);
            let spans: Vec<&Span> = self.spans(kind, id).iter().chain(closed).collect();
            let rows: Vec<&Row> = said
                .iter()
                .enumerate()
                .filter(|(place, (from, _))| {
                    let until = said.get(place + 1).map_or(i64::MAX, |(next, _)| *next);
                    let from = from.saturating_sub(slack_micros);
                    spans.iter().any(|span| span.touches(from, until))
                })
                .filter_map(|(_, (_, row))| *row)
                .collect();
            for (name, got) in &held.fields {
                let mapped = self
                    .mappings
                    .iter()
                    .flat_map(|mapping| mapping.fields(kind));
                let mapped: Vec<_> = mapped.filter(|field| field.mos == *name).collect();
                // What a parent said at the time is not looked up.
                if mapped.iter().any(|field| field.is_path()) {
                    continue;
                }
                let said_so = mapped.iter().any(|field| {
                    let mut said = rows.iter().map(|row| field.expected(self.history, row));
                    said.any(|expected| field.agrees(&expected, Some(got)))
                });
                if !mapped.is_empty() && !said_so {
                    found.push(Mismatch {
                        record: record(kind, id),
                        field: name.clone(),
                        expected: Value::Null,
                        got: got.clone(),
                    });
                }
            }
        }
        found
    }

    /// Records that were sent while the synchronisation had been switched off for longer than
    /// `slack_micros`.
    #[must_use]
    pub fn while_disabled(&self, ledger: &MosLedger, slack_micros: i64) -> Vec<OutOfScope> {
        let mut found = Vec::new();
        for entry in &ledger.entries {
            let at_micros = entry.at_micros;
            let since = self.disabled.iter().find(|span| {
                let begun = span.from.saturating_add(slack_micros) < at_micros;
                begun && span.to.is_none_or(|to| to >= at_micros)
            });
            let Some(since) = since else { continue };
            found.extend(entry.records.iter().map(|sent| OutOfScope {
                kind: sent.kind.clone(),
                id: sent.external_id.clone(),
                at_micros,
                left_before_micros: Some(at_micros - since.from),
            }));
        }
        found
    }

    /// See [`last_words`]; mOS is asked record by record for its fields.
    pub fn last_words(
        &self,
        mos: impl Fn(Kind, &str) -> Option<Map<String, Value>>,
    ) -> Vec<Mismatch> {
        if self.is_disabled() {
            return Vec::new();
        }
        let expected = Value::Bool(true);
        let spoken: BTreeSet<&str> = self
            .closings
            .iter()
            .filter(|closing| {
                // Still closed, and its owner and the filter have not changed their minds since.
                let spans = self.closed.get(closing.id).map_or(&[][..], Vec::as_slice);
                spans.iter().any(|span| span.lasts_since(closing.at_micros))
            })
            .map(|closing| closing.id)
            .collect();
        spoken
            .into_iter()
            .filter_map(|id| {
                let fields = mos(Kind::Opportunity, id)?;
                let got = fields.get("is_closed").cloned().unwrap_or_default();
                (got != expected).then(|| Mismatch {
                    record: record(Kind::Opportunity, id),
                    field: "is_closed".to_owned(),
                    expected: expected.clone(),
                    got,
                })
            })
            .collect()
    }

    /// See [`latency`].
    #[must_use]
    pub fn latency(&self, ledger: &MosLedger, since_micros: i64) -> Vec<LatencySample> {
        let landings = landings(ledger);
        self.touches
            .iter()
            .filter(|touch| touch.at_micros >= since_micros)
            .filter(|touch| {
                self.spans.get(&touch.key).is_some_and(|spans| {
                    spans.iter().any(|span| {
                        let entered = span.from == touch.at_micros;
                        span.lasts_since(touch.at_micros) && (touch.mapped || entered)
                    })
                })
            })
            .map(|touch| LatencySample {
                object: touch.key.0,
                id: touch.key.1.to_owned(),
                changed_at: touch.at_micros,
                landed: landings
                    .get(&touch.key)
                    .and_then(|versions| versions.range(touch.at_micros..).next())
                    .map(|(_, landed)| *landed),
            })
            .collect()
    }
}

/// For each record, by version: the earliest answer that took this version or a newer one.
fn landings(ledger: &MosLedger) -> BTreeMap<(Kind, &str), BTreeMap<i64, i64>> {
    let mut landings: BTreeMap<(Kind, &str), BTreeMap<i64, i64>> = BTreeMap::new();
    for entry in ledger.entries.iter().filter(|entry| entry.status == 200) {
        for sent in &entry.records {
            let (Some(kind), Ok(version)) = (Kind::named(&sent.kind), sent.version.parse::<i64>())
            else {
                continue;
            };
            let taken = matches!(
                sent.outcome,
                Some(Outcome::Created | Outcome::Updated | Outcome::Unchanged)
            );
            if taken {
                landings
                    .entry((kind, sent.external_id.as_str()))
                    .or_default()
                    .entry(version)
                    .and_modify(|landed| *landed = (*landed).min(entry.answered_micros))
                    .or_insert(entry.answered_micros);
            }
        }
    }
    for versions in landings.values_mut() {
        let mut earliest = i64::MAX;
        for landed in versions.values_mut().rev() {
            earliest = earliest.min(*landed);
            *landed = earliest;
        }
    }
    landings
}

fn record(kind: Kind, id: &str) -> RecordId {
    RecordId {
        kind,
        id: id.to_owned(),
    }
}

/// The last moment anybody tells of.
fn end(history: &History, ledger: &MosLedger) -> i64 {
    let heard = ledger.entries.iter().map(|entry| entry.answered_micros);
    heard.chain(history.last_micros()).max().unwrap_or(0)
}
