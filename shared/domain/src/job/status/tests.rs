//! Success is never a default.

use super::SalesforceStatus::{Cancelled, Counting, Extracting, Failed, Queued, Sealed};
use super::*;
use crate::job::{JobId, JobScope, Pause};
use crate::object::ObjectKind;
use crate::tally::Tally;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(1_790_000_000_000_000 + seconds * 1_000_000)
}

fn job(salesforce: SalesforceStatus, units: u64, counted: u64, tally: Tally) -> Job {
    let queued = Job::queued(
        JobId::of("sync_all-a"),
        JobKind::SyncAll,
        JobScope::Everything,
        at(0),
    );
    Job {
        salesforce,
        units,
        counted,
        tally,
        ..queued
    }
}

fn closed() -> Tally {
    let mut tally = Tally::default();
    tally.add_many(ObjectKind::Account, Count::Read, 2);
    tally.add_many(ObjectKind::Account, Count::Created, 2);
    tally
}

fn held(by: PausedBy) -> Option<Pause> {
    Some(Pause {
        since: at(1),
        by,
        why: "so".to_owned(),
        until: None,
    })
}

/// The table written out once more, every pair.
#[test]
fn every_transition_is_allowed_or_refused_as_written() {
    let allowed = [
        (Queued, Counting),
        (Queued, Extracting),
        (Queued, Failed),
        (Queued, Cancelled),
        (Counting, Extracting),
        (Counting, Failed),
        (Counting, Cancelled),
        (Extracting, Sealed),
        (Extracting, Failed),
        (Extracting, Cancelled),
        (Sealed, Extracting),
        (Sealed, Failed),
        (Sealed, Cancelled),
    ];
    for from in SalesforceStatus::ALL {
        for to in SalesforceStatus::ALL {
            let expected = allowed.contains(&(from, to));
            assert_eq!(from.may_become(to), expected, "{from:?} to {to:?}");
            assert_eq!(to.comes_from().any(|before| before == from), expected);
        }
        let is_final = !allowed.iter().any(|(before, _)| *before == from);
        assert_eq!(from.is_final(), is_final);
    }
}

#[test]
fn names_and_json_agree() {
    for status in SalesforceStatus::ALL {
        assert_eq!(SalesforceStatus::of_name(status.name()), Some(status));
        assert_eq!(serde_json::to_value(status).unwrap(), status.name());
    }
    for by in [PausedBy::Person, PausedBy::Quota] {
        assert_eq!(serde_json::to_value(by).unwrap(), by.name());
    }
    for mos in [
        MosStatus::Waiting,
        MosStatus::Stalled,
        MosStatus::CompletedWithErrors,
    ] {
        assert_eq!(serde_json::to_value(mos).unwrap(), mos.name());
    }
    let quota = SalesforceShown::PausedQuota;
    assert_eq!(serde_json::to_value(quota).unwrap(), quota.name());
    for kind in JobKind::ALL {
        assert_eq!(JobKind::of_name(kind.name()), Some(kind));
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
    }
}

#[test]
fn completed_only_when_sealed_counted_and_closed() {
    let shown = |job: &Job| (job.salesforce_shown(), job.mos(at(1)));
    let done = job(Sealed, 2, 2, closed());
    let completed = SalesforceShown::Completed;
    assert_eq!(shown(&done), (completed, MosStatus::Completed));
    assert_eq!(done.failure(), None);
    let sealed = SalesforceShown::Sealed;
    let loading = job(Sealed, 2, 1, closed());
    assert_eq!(shown(&loading), (sealed, MosStatus::Loading));
    let waiting = job(Sealed, 2, 0, Tally::default());
    assert_eq!(shown(&waiting), (sealed, MosStatus::Waiting));
    let reading = job(Extracting, 2, 2, closed());
    let extracting = SalesforceShown::Extracting;
    assert_eq!(shown(&reading), (extracting, MosStatus::Loading));
    let empty = job(Sealed, 0, 0, Tally::default());
    assert_eq!(shown(&empty), (completed, MosStatus::Completed));
    let abandoned = Job {
        abandoned: 1,
        ..job(Sealed, 2, 1, closed())
    };
    assert_eq!(shown(&abandoned), (completed, MosStatus::Completed));
    let mut parked = closed();
    parked.add(ObjectKind::Contact, Count::Read);
    parked.add(ObjectKind::Contact, Count::Parked);
    let with_errors = job(Sealed, 1, 1, parked);
    assert_eq!(with_errors.mos(at(1)), MosStatus::CompletedWithErrors);
    for job in [done, empty, with_errors, abandoned] {
        assert!(job.is_over());
    }
    for job in [loading, waiting, reading] {
        assert!(!job.is_over());
        assert_eq!(job.over_since(), None);
    }
}

#[test]
fn sums_that_do_not_close_fail_with_object_and_number() {
    let mut tally = closed();
    tally.add_many(ObjectKind::Contact, Count::Read, 3);
    tally.add_many(ObjectKind::User, Count::Gone, 2);
    let open = job(Sealed, 2, 2, tally);
    assert_eq!(open.mos(at(1)), MosStatus::Failed);
    let failure = open.failure().unwrap();
    assert!(failure.contains("Contact: 3 went in"), "{failure}");
    assert!(failure.contains("User: 2 more came out"), "{failure}");
    assert!(!failure.contains("Account"), "{failure}");
    let given_up = Job {
        error: Some("no access".to_owned()),
        ..job(Failed, 2, 0, Tally::default())
    };
    assert_eq!(given_up.mos(at(1)), MosStatus::Failed);
    assert_eq!(given_up.failure().as_deref(), Some("no access"));
    assert!(job(Failed, 0, 0, closed()).failure().is_some());
}

#[test]
fn cancelled_shows_once_nothing_is_on_its_way() {
    let loading = job(Cancelled, 2, 1, closed());
    assert_eq!(loading.salesforce_shown(), SalesforceShown::Cancelled);
    assert_eq!(loading.mos(at(1)), MosStatus::Loading);
    let over = job(Cancelled, 2, 2, closed());
    assert_eq!(over.mos(at(1)), MosStatus::Cancelled);
    assert_eq!(over.failure(), None);
    // What was left of it is accounted for as well.
    let mut tally = closed();
    tally.add_many(ObjectKind::Contact, Count::Read, 3);
    tally.add_many(ObjectKind::Contact, Count::Cancelled, 1);
    let open = job(Cancelled, 2, 2, tally);
    assert_eq!(open.mos(at(1)), MosStatus::Cancelled);
    let failure = open.failure().unwrap();
    assert!(failure.contains("Contact: 2 went in"), "{failure}");
}

#[test]
fn a_pause_shows_until_the_job_is_over() {
    for (by, shown) in [
        (PausedBy::Person, SalesforceShown::Paused),
        (PausedBy::Quota, SalesforceShown::PausedQuota),
    ] {
        for (salesforce, units, shown) in [
            (Queued, 0, shown),
            (Counting, 0, shown),
            (Extracting, 2, shown),
            (Sealed, 2, shown),
            (Sealed, 0, SalesforceShown::Completed),
            (Failed, 2, SalesforceShown::Failed),
            (Cancelled, 2, SalesforceShown::Cancelled),
        ] {
            let paused = Job {
                paused: held(by),
                ..job(salesforce, units, 0, Tally::default())
            };
            assert_eq!(paused.salesforce_shown(), shown);
        }
    }
}

#[test]
fn stalled_after_five_minutes_of_nothing() {
    let limit = i64::try_from(STALLED_AFTER.as_secs()).unwrap();
    let reading = Job {
        started: Some(at(10)),
        ..job(Extracting, 3, 1, closed())
    };
    assert_eq!(reading.mos(at(10 + limit - 1)), MosStatus::Loading);
    assert_eq!(reading.mos(at(10 + limit)), MosStatus::Stalled);
    // Whatever happens begins the five minutes anew.
    let later = [
        Job {
            last_counted: Some(at(20)),
            ..reading.clone()
        },
        Job {
            last_advanced: Some(at(20)),
            ..reading.clone()
        },
        Job {
            resumed: Some(at(20)),
            ..reading.clone()
        },
    ];
    for job in later {
        assert_eq!(job.mos(at(19 + limit)), MosStatus::Loading);
        assert_eq!(job.mos(at(20 + limit)), MosStatus::Stalled);
    }
    let paused = Job {
        paused: held(PausedBy::Quota),
        ..reading.clone()
    };
    assert_eq!(paused.mos(at(9_999)), MosStatus::Loading);
    assert_eq!(
        job(Queued, 0, 0, closed()).mos(at(limit)),
        MosStatus::Stalled
    );
    assert_eq!(
        job(Sealed, 2, 1, closed()).mos(at(limit)),
        MosStatus::Stalled
    );
    assert_eq!(
        job(Sealed, 2, 2, closed()).mos(at(limit)),
        MosStatus::Completed
    );
    assert_eq!(
        job(Cancelled, 2, 1, closed()).mos(at(limit)),
        MosStatus::Stalled
    );
    // A quiet hour is not stalled, one whose units do not arrive is.
    let live = |counted| Job {
        kind: JobKind::Live,
        ..job(Extracting, 2, counted, closed())
    };
    assert_eq!(live(2).mos(at(limit)), MosStatus::Loading);
    assert_eq!(live(1).mos(at(limit)), MosStatus::Stalled);
}

#[test]
fn it_is_over_since_the_last_thing_that_happened() {
    let sealed = Job {
        sealed: Some(at(5)),
        last_counted: Some(at(9)),
        ..job(Sealed, 1, 1, closed())
    };
    assert_eq!(sealed.over_since(), Some(at(9)));
    let cancelled = Job {
        ended: Some(at(12)),
        ..job(Cancelled, 0, 0, closed())
    };
    assert_eq!(cancelled.over_since(), Some(at(12)));
}
