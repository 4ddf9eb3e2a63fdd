//! What the job of a save costs: the requests that its plan makes, and the time that it takes at the
//! rate of the jobs before it.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::job::{BULK_PAGE, FIRST_PAGE, Job, JobScope, LOAD_PAGE, MosStatus, Pace, Way};
use domain::load_soql::{self, Narrowed, Statement};
use domain::rule::Effect;
use domain::unit::MAX_RECORDS;
use domain::{ObjectKind, Timestamp};

use super::Foreseen;
use super::sets::Sought;
use crate::OpsError;
use crate::operations::Operations;
use crate::views::{CallsView, CostView, RateView};

/// Creating a bulk query, asking once whether it is ready, removing it.
const AROUND_BULK: u64 = 3;
/// Contact roles, accounts, contacts and owners of the opportunities of a unit, and at last whether
/// these are still in scope.
const COMPANIONS_OF_UNIT: u64 = 5;
/// Jobs that are looked at for how fast they were.
const LOOKED_AT: usize = 200;
/// Jobs from which a rate is taken.
const MEASURED: usize = 5;
/// Fewer records say nothing about a rate.
const FEWEST: u64 = 200;

/// What the job of a save reads.
pub(super) struct Plan {
    statements: Vec<Statement>,
}

impl Plan {
    pub(super) fn of(foreseen: &Foreseen, job: &Job) -> Self {
        let entering = match (&job.scope, foreseen.sought(Effect::Enters)) {
            (JobScope::Entering { .. }, Sought::Those(sought)) => {
                Some(sought.condition.unwrap_or_default())
            }
            _ => None,
        };
        let narrowed = Narrowed {
            at: foreseen.at,
            owners: Some(&foreseen.owners),
            instead: entering.as_deref(),
            ..Narrowed::default()
        };
        let is_read = |object: &ObjectKind| match &job.scope {
            JobScope::Objects { objects } => objects.contains(object),
            JobScope::Everything
            | JobScope::Owners { .. }
            | JobScope::Since { .. }
            | JobScope::Entering { .. }
            | JobScope::Stages { .. }
            | JobScope::Records { .. }
            | JobScope::Stream => *object == ObjectKind::Opportunity,
        };
        let objects = ObjectKind::ALL.into_iter().filter(is_read);
        Self {
            statements: objects
                .flat_map(|object| load_soql::statements(&foreseen.after, object, narrowed))
                .collect(),
        }
    }

    /// What a sync-all reads: every object.
    pub(super) fn of_everything(foreseen: &Foreseen) -> Self {
        let narrowed = Narrowed {
            at: foreseen.at,
            owners: Some(&foreseen.owners),
            ..Narrowed::default()
        };
        Self {
            statements: ObjectKind::ALL
                .into_iter()
                .flat_map(|object| load_soql::statements(&foreseen.after, object, narrowed))
                .collect(),
        }
    }

    /// What was counted, object by object; `None` where something of it was not.
    pub(super) fn by_object(&self, totals: &[Option<u64>]) -> BTreeMap<ObjectKind, Option<u64>> {
        let mut sums: BTreeMap<_, _> = ObjectKind::ALL.map(|object| (object, Some(0))).into();
        for (statement, total) in self.statements.iter().zip(totals) {
            let sum = sums.entry(statement.from).or_insert(Some(0));
            *sum = sum.zip(*total).map(|(sum, total): (u64, u64)| sum + total);
        }
        sums
    }

    /// The queries that count it.
    pub(super) fn counts(&self) -> Vec<String> {
        self.statements.iter().map(Statement::count_soql).collect()
    }

    fn reads_all_objects(&self) -> bool {
        let mut objects = self.statements.iter().map(|statement| statement.from);
        objects.any(|object| object != ObjectKind::Opportunity)
    }
}

/// Requests for the rows of a statement.
fn reading(way: Way, total: Option<u64>) -> u64 {
    match (way, total) {
        // Behind a full page there may be another.
        (Way::Rest, Some(total)) => match total.checked_sub(FIRST_PAGE as u64) {
            Some(behind) => behind / LOAD_PAGE as u64 + 2,
            None => 1,
        },
        (Way::Bulk, Some(total)) => total.div_ceil(u64::from(BULK_PAGE)).max(1) + AROUND_BULK,
        (Way::Rest | Way::Bulk, None) => 1 + AROUND_BULK,
    }
}

impl Operations {
    pub(super) async fn cost(
        &self,
        plan: &Plan,
        totals: &[Option<u64>],
        entering: Option<u64>,
    ) -> Result<CostView, OpsError> {
        let mut cost = CostView {
            records: totals.iter().copied().sum(),
            rest_statements: 0,
            bulk_statements: 0,
            api_calls: CallsView {
                counting: totals.len() as u64,
                reading: 0,
                around: 0,
                total: 0,
                at_least: false,
            },
            api_calls_left: None,
            rate: None,
            seconds: None,
        };
        let calls = &mut cost.api_calls;
        let all_objects = plan.reads_all_objects();
        for (statement, total) in plan.statements.iter().zip(totals) {
            let way = Way::of(statement, *total, self.bulk_from);
            match way {
                Way::Rest => cost.rest_statements += 1,
                Way::Bulk => cost.bulk_statements += 1,
            }
            calls.reading += reading(way, *total);
            calls.at_least |= total.is_none();
            let units = total.unwrap_or_default().div_ceil(MAX_RECORDS as u64);
            if statement.from != ObjectKind::Opportunity {
                // Through whose opportunities they are in scope.
                calls.around += units;
            }
        }
        if !all_objects {
            let entering = entering.or(cost.records).unwrap_or_default();
            calls.around = entering.div_ceil(MAX_RECORDS as u64) * COMPANIONS_OF_UNIT;
        }
        calls.total = calls.counting + calls.reading + calls.around;
        cost.api_calls_left = self
            .source
            .limits()
            .await
            .ok()
            .map(|limits| limits.remaining);
        cost.rate = rate(
            &self.stores.jobs.list(LOOKED_AT).await?,
            all_objects,
            self.now(),
        );
        cost.seconds = match (&cost.rate, cost.records) {
            (Some(rate), Some(records)) => {
                let taken = Duration::try_from_secs_f64(records as f64 / rate.per_second);
                taken.ok().map(|taken| taken.as_secs().max(1))
            }
            _ => None,
        };
        Ok(cost)
    }
}

/// How fast the last jobs were that ended well: those that read all objects, or opportunities with
/// what belongs to them, and only where there are none of the kind, the others.
fn rate(jobs: &[Job], all_objects: bool, now: Timestamp) -> Option<RateView> {
    let is_alike = |job: &Job| (job.progress.objects.len() > 1) == all_objects;
    measured(jobs.iter().filter(|job| is_alike(job)), now).or_else(|| measured(jobs.iter(), now))
}

fn measured<'j>(jobs: impl Iterator<Item = &'j Job>, now: Timestamp) -> Option<RateView> {
    let ended_well = |job: &&Job| {
        matches!(
            job.outcome(),
            Some(MosStatus::Completed | MosStatus::CompletedWithErrors)
        ) && !job.progress.objects.is_empty()
    };
    let paces = jobs.filter(ended_well).filter_map(|job| {
        let pace = Pace::of(job, now);
        Some((job, pace.done, pace.per_second.filter(|rate| *rate > 0.0)?))
    });
    let paces: Vec<_> = paces.take(MEASURED).collect();
    let done: u64 = paces.iter().map(|(_, done, _)| done).sum();
    let seconds: f64 = paces
        .iter()
        .map(|(_, done, per_second)| *done as f64 / per_second)
        .sum();
    (done >= FEWEST && seconds > 0.0).then(|| RateView {
        per_second: done as f64 / seconds,
        jobs: paces.iter().map(|(job, ..)| job.id.to_string()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use domain::job::{Extracted, JobId, JobKind, SalesforceStatus};
    use domain::tally::{Count, Tally};

    use super::*;

    #[test]
    fn pages_are_counted_as_they_are_read() {
        for (way, total, calls) in [
            (Way::Rest, 0, 1),
            (Way::Rest, 99, 1),
            (Way::Rest, 100, 2),
            (Way::Rest, 499, 2),
            (Way::Rest, 500, 3),
            (Way::Bulk, 0, 4),
            (Way::Bulk, 10_000, 4),
            (Way::Bulk, 100_000, 13),
        ] {
            assert_eq!(reading(way, Some(total)), calls, "{way:?} {total}");
        }
        assert_eq!(reading(Way::Bulk, None), 4);
    }

    /// A job that has read so many opportunities in so many seconds.
    fn job(name: &str, read: u64, seconds: i64, objects: &[ObjectKind]) -> Job {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let id = JobId::new(JobKind::Backfill, domain::job::uuid_of(name));
        let scope = JobScope::Everything;
        let mut job = Job::queued(id, JobKind::Backfill, scope, at(0));
        for object in objects {
            let extracted = Extracted {
                total: Some(read),
                read,
                started: Some(at(10)),
                ..Extracted::default()
            };
            job.progress.objects.insert(*object, extracted);
        }
        job.started = Some(at(10));
        job.salesforce = SalesforceStatus::Sealed;
        job.sealed = Some(at(10 + seconds));
        job.ended = Some(at(10 + seconds));
        job.last_counted = Some(at(10 + seconds));
        let mut tally = Tally::default();
        tally.add_many(ObjectKind::Opportunity, Count::Read, read);
        tally.add_many(ObjectKind::Opportunity, Count::Created, read);
        job.tally = tally;
        job
    }

    #[test]
    fn the_rate_is_that_of_the_last_jobs_of_the_kind() {
        let one = [ObjectKind::Opportunity];
        let all = ObjectKind::ALL;
        let now = Timestamp::from_micros(1_000_000_000_000);
        let jobs = [
            job("a", 3_000, 30, &one),
            job("b", 1_000, 10, &all),
            job("c", 1_000, 70, &one),
        ];
        let found = rate(&jobs, false, now).unwrap();
        assert!((found.per_second - 40.0).abs() < 1e-9, "{found:?}");
        assert_eq!(found.jobs, [jobs[0].id.to_string(), jobs[2].id.to_string()]);
        let found = rate(&jobs, true, now).unwrap();
        assert!((found.per_second - 100.0).abs() < 1e-9, "{found:?}");
        // Of another kind rather than of none.
        assert!(rate(&jobs[..1], true, now).is_some());
        // A handful of records says nothing.
        assert_eq!(rate(&[job("d", 3, 2, &one)], false, now), None);
        let mut failed = job("e", 3_000, 30, &one);
        failed.salesforce = SalesforceStatus::Failed;
        assert_eq!(rate(&[failed], false, now), None);
    }
}
