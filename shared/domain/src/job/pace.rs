//! How fast a job goes, and how long it will take.

use std::time::Duration;

use super::{Extracted, Job};
use crate::object::ObjectKind;
use crate::tally::Count;
use crate::time::Timestamp;

/// How far a job has come and how fast it goes, from what is counted and from what Salesforce
/// said there is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Records read from Salesforce of which it is known what became of them.
    pub done: u64,
    /// Records there are to read; `None` while Salesforce has not said.
    pub total: Option<u64>,
    /// The share of what Salesforce counted at the beginning, 0 to 100; 100 only for a job that has
    /// ended well. It never goes back as a job goes on.
    pub percent: Option<f64>,
    /// Records a second since the reading began, pauses left out.
    pub per_second: Option<f64>,
    /// How much longer it takes at that rate; `None` while nobody can know: totals unknown,
    /// nothing done, paused, stalled, over.
    pub remaining: Option<Duration>,
}

impl Pace {
    /// The pace of a job, all objects together.
    #[must_use]
    pub fn of(job: &Job, now: Timestamp) -> Self {
        let objects = &job.progress.objects;
        let begun = objects.values().filter_map(|object| object.started).min();
        let total = |of: fn(&Extracted) -> Option<u64>| {
            (!objects.is_empty())
                .then(|| objects.values().map(of).sum::<Option<u64>>())
                .flatten()
        };
        Self::from_sums(
            job,
            now,
            Sums {
                done: ObjectKind::ALL
                    .into_iter()
                    .map(|object| done(job, object))
                    .sum(),
                counted: total(|object| object.total),
                expected: total(expected),
                begun: begun.or(job.started),
            },
        )
    }

    /// The pace of one object of a job; `None` where the reader reads none of it (companions,
    /// which the permission worker adds, have no total).
    #[must_use]
    pub fn of_object(job: &Job, object: ObjectKind, now: Timestamp) -> Option<Self> {
        let extracted = job.progress.objects.get(&object)?;
        Some(Self::from_sums(
            job,
            now,
            Sums {
                done: done(job, object),
                counted: extracted.total,
                expected: expected(extracted),
                begun: extracted.started,
            },
        ))
    }

    fn from_sums(job: &Job, now: Timestamp, sums: Sums) -> Self {
        let Sums {
            done,
            counted,
            expected,
            begun,
        } = sums;
        let until = job.over_since().map_or(now, |over| over.min(now));
        let active = begun.map(|begun| {
            until
                .since(begun)
                .saturating_sub(held_since(job, begun, until))
        });
        let per_second = active
            .filter(|active| !active.is_zero())
            .map(|active| done as f64 / active.as_secs_f64());
        let over = job.is_over();
        let going = !over && job.paused.is_none() && !job.is_stalled(now);
        let remaining = match (expected, per_second) {
            (Some(total), Some(rate)) if going && rate > 0.0 => {
                Duration::try_from_secs_f64(total.saturating_sub(done) as f64 / rate).ok()
            }
            _ => None,
        };
        Self {
            done,
            total: expected,
            percent: percent(job, done, counted),
            per_second,
            remaining,
        }
    }
}

struct Sums {
    done: u64,
    /// What `COUNT()` said.
    counted: Option<u64>,
    /// What is read, as far as is known.
    expected: Option<u64>,
    begun: Option<Timestamp>,
}

/// Ways out of what was read. A unit counts when its last record is terminal, so what is in the
/// tally is all terminal; companions come on top of what was read.
fn done(job: &Job, object: ObjectKind) -> u64 {
    let out: u64 = Count::ALL
        .into_iter()
        .filter(|count| !count.is_way_in())
        .map(|count| job.tally.get(object, count))
        .sum();
    out.saturating_sub(job.tally.get(object, Count::Added))
}

/// More may be read than was counted: records come up meanwhile, and a phase may begin again.
fn expected(object: &Extracted) -> Option<u64> {
    object
        .total
        .map(|total| total.saturating_add(object.again).max(object.read))
}

/// Pauses since then. The stored sum does not say when they were; a pause before the reading began
/// can only be one of a queued job, and is over in that case.
fn held_since(job: &Job, begun: Timestamp, until: Timestamp) -> Duration {
    let earlier = match job.resumed {
        Some(resumed) if resumed <= begun => Duration::ZERO,
        _ => job.paused_for,
    };
    let current = job
        .paused
        .as_ref()
        .map(|pause| until.since(pause.since.max(begun)));
    earlier + current.unwrap_or_default()
}

fn percent(job: &Job, done: u64, counted: Option<u64>) -> Option<f64> {
    /// While it runs, however much more than was counted there turns out to be.
    const ALMOST: f64 = 99.9;
    use super::MosStatus::{Completed, CompletedWithErrors};
    if matches!(job.outcome(), Some(Completed | CompletedWithErrors)) {
        return Some(100.0);
    }
    let counted = counted?;
    if counted == 0 {
        return Some(0.0);
    }
    Some((done as f64 / counted as f64 * 100.0).min(ALMOST))
}

#[cfg(test)]
mod tests;
