//! The pace of jobs that go on in steps.

use proptest::prelude::*;

use super::*;
use crate::job::{JobId, JobKind, JobScope, Pause, PausedBy, SalesforceStatus};

fn at(seconds: f64) -> Timestamp {
    Timestamp::from_micros(1_790_000_000_000_000).after(Duration::from_secs_f64(seconds))
}

/// A job that has been extracting one object since second 0.
fn job(total: Option<u64>) -> Job {
    let mut job = Job::queued(
        JobId::of("sync_all-a"),
        JobKind::SyncAll,
        JobScope::Everything,
        at(0.0),
    );
    job.salesforce = SalesforceStatus::Extracting;
    job.started = Some(at(0.0));
    job.progress.objects.insert(
        ObjectKind::Opportunity,
        Extracted {
            total,
            started: Some(at(0.0)),
            ..Extracted::default()
        },
    );
    job
}

/// A unit of so many records is counted, with a companion for every third.
fn count(job: &mut Job, records: u64, second: f64) {
    let tally = &mut job.tally;
    tally.add_many(ObjectKind::Opportunity, Count::Read, records);
    tally.add_many(ObjectKind::Opportunity, Count::Created, records / 2);
    tally.add_many(
        ObjectKind::Opportunity,
        Count::Filtered,
        records - records / 2,
    );
    tally.add_many(ObjectKind::Account, Count::Added, records / 3);
    tally.add_many(ObjectKind::Account, Count::Updated, records / 3);
    job.counted += 1;
    job.last_counted = Some(at(second));
}

fn read(job: &mut Job, records: u64) {
    let object = job
        .progress
        .objects
        .get_mut(&ObjectKind::Opportunity)
        .unwrap();
    object.read += records;
    object.units += 1;
    job.units += 1;
}

#[test]
fn nothing_is_promised_while_nobody_can_know() {
    let unknown = Pace::of(&job(None), at(10.0));
    assert_eq!(
        (unknown.total, unknown.percent, unknown.remaining),
        (None, None, None)
    );
    let mut going = job(Some(1_000));
    assert_eq!(
        Pace::of(&going, at(10.0)).remaining,
        None,
        "nothing is done"
    );
    read(&mut going, 200);
    count(&mut going, 200, 10.0);
    let pace = Pace::of(&going, at(10.0));
    assert_eq!((pace.done, pace.total), (200, Some(1_000)));
    assert_eq!(pace.per_second, Some(20.0));
    assert_eq!(pace.remaining, Some(Duration::from_secs(40)));
    assert_eq!(pace.percent, Some(20.0));
    assert_eq!(Pace::of(&going, at(400.0)).remaining, None, "stalled");
    let mut failed = going.clone();
    failed.salesforce = SalesforceStatus::Failed;
    assert_eq!(Pace::of(&failed, at(10.0)).remaining, None);
    let mut two = going.clone();
    let other = Extracted::default();
    two.progress.objects.insert(ObjectKind::Contact, other);
    assert_eq!(
        Pace::of(&two, at(10.0)).total,
        None,
        "one total is not known"
    );
    assert_eq!(
        Pace::of_object(&two, ObjectKind::Contact, at(10.0))
            .unwrap()
            .total,
        None
    );
    let object = Pace::of_object(&two, ObjectKind::Opportunity, at(10.0)).unwrap();
    assert_eq!(object, pace);
    assert_eq!(Pace::of_object(&two, ObjectKind::Account, at(10.0)), None);
}

/// Its phase came after others.
#[test]
fn an_objects_time_begins_with_its_own_reading() {
    let mut job = job(Some(1_000));
    let deals = job.progress.objects.get_mut(&ObjectKind::Opportunity);
    deals.unwrap().started = Some(at(30.0));
    read(&mut job, 200);
    count(&mut job, 200, 40.0);
    let deals = Pace::of_object(&job, ObjectKind::Opportunity, at(40.0)).unwrap();
    assert_eq!(deals.per_second, Some(20.0));
    assert_eq!(deals.remaining, Some(Duration::from_secs(40)));
}

#[test]
fn pauses_do_not_count_as_time() {
    let mut paused = job(Some(1_000));
    read(&mut paused, 200);
    count(&mut paused, 200, 10.0);
    paused.paused = Some(Pause {
        since: at(10.0),
        by: PausedBy::Quota,
        why: "so".to_owned(),
        until: None,
    });
    let pace = Pace::of(&paused, at(3_610.0));
    assert_eq!((pace.per_second, pace.remaining), (Some(20.0), None));
    paused.paused = None;
    paused.paused_for = Duration::from_secs(3_600);
    paused.resumed = Some(at(3_610.0));
    let pace = Pace::of(&paused, at(3_610.0));
    assert_eq!(pace.per_second, Some(20.0));
    assert_eq!(pace.remaining, Some(Duration::from_secs(40)));
    // One that was over before the reading began is no part of it.
    let mut queued_long = paused.clone();
    queued_long.paused_for = Duration::from_secs(5);
    queued_long.resumed = Some(at(0.0));
    assert_eq!(Pace::of(&queued_long, at(10.0)).per_second, Some(20.0));
}

#[test]
fn only_a_job_that_has_ended_well_is_at_a_hundred() {
    let mut job = job(Some(100));
    read(&mut job, 150);
    count(&mut job, 150, 10.0);
    let pace = Pace::of(&job, at(10.0));
    assert_eq!((pace.done, pace.total), (150, Some(150)));
    assert!(pace.percent.is_some_and(|percent| percent < 100.0));
    job.salesforce = SalesforceStatus::Sealed;
    assert_eq!(Pace::of(&job, at(10.0)).percent, Some(100.0));
    job.tally.add(ObjectKind::User, Count::Read);
    let percent = Pace::of(&job, at(10.0)).percent;
    assert!(
        percent.is_some_and(|percent| percent < 100.0),
        "its sums do not close"
    );
}

/// How a job goes on.
#[derive(Debug, Clone, Copy)]
enum Step {
    Read(u64),
    Count(u64),
    Again,
    Wait(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1_u64..=200).prop_map(Step::Read),
        (1_u64..=200).prop_map(Step::Count),
        Just(Step::Again),
        (1_u32..200).prop_map(Step::Wait),
    ]
}

proptest! {
    /// A run whose units take between half and one and a half times as long as the average: after
    /// a quarter the time that is left is known within 15 %.
    #[test]
    fn a_steady_runs_end_is_known_after_a_quarter(
        noise in prop::collection::vec(0.5_f64..1.5, 400..600),
        unit_seconds in 0.01_f64..5.0,
    ) {
        const UNIT: u64 = 200;
        let units = noise.len();
        let mut job = job(Some(UNIT * units as u64));
        let mut now = 0.0;
        let mut promised = Vec::new();
        for (done, noise) in noise.iter().enumerate() {
            read(&mut job, UNIT);
            now += unit_seconds * noise;
            count(&mut job, UNIT, now);
            if (done + 1) * 4 >= units && done + 1 < units {
                let remaining = Pace::of(&job, at(now)).remaining;
                prop_assert!(remaining.is_some());
                promised.push(now + remaining.unwrap_or_default().as_secs_f64());
            }
        }
        for end in promised {
            prop_assert!((end - now).abs() <= 0.15 * now, "{end} instead of {now}");
        }
    }

    /// Whatever is read, counted, or read again, the percentage does not go back.
    #[test]
    fn the_percentage_never_goes_back(steps in prop::collection::vec(step(), 1..80)) {
        let mut job = job(Some(2_000));
        let mut now = 0.0;
        let mut before = 0.0;
        for step in steps {
            match step {
                Step::Read(records) => read(&mut job, records),
                Step::Count(records) => count(&mut job, records, now),
                Step::Again => {
                    let object = job
                        .progress
                        .objects
                        .get_mut(&ObjectKind::Opportunity)
                        .unwrap();
                    object.again += object.read;
                    job.progress.generation += 1;
                }
                Step::Wait(seconds) => now += f64::from(seconds),
            }
            let percent = Pace::of(&job, at(now)).percent.unwrap_or(-1.0);
            prop_assert!(percent >= before && percent < 100.0, "{before} then {percent}");
            before = percent;
        }
        job.salesforce = SalesforceStatus::Sealed;
        job.units = job.counted;
        prop_assert_eq!(Pace::of(&job, at(now)).percent, Some(100.0));
    }
}
