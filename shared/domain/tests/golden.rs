//! The shapes that outlive a version: what lies in queues and stores when mosync is updated. A file
//! per kind; a change here is a change of the wire, and needs a new version number or a reader for
//! both.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of these tests is not marked as one"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use domain::change::ChangeType;
use domain::failure::FailureKind;
use domain::filter::{Condition, FieldType, Filter, Operator};
use domain::job::{Job, JobId, JobKind, JobScope, Progress, SalesforceStatus};
use domain::parked::Parked;
use domain::permission::{Grant, PermissionSnapshot};
use domain::settings::{Settings, SettingsRevision};
use domain::tally::{Count, Tally};
use domain::unit::{Cause, Envelope, Lane, MESSAGE_VERSION, Stage, UnitRecord};
use domain::{ObjectKind, Row, SalesforceId, Ticket, Timestamp, Version};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Written as in the file, and read from the file as it was.
fn golden<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(name: &str, value: &T) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    let written = serde_json::to_string_pretty(value).unwrap();
    let stored = std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{}: {error}; it should hold:\n{written}", file.display()));
    assert_eq!(written, stored.trim_end(), "{name} has another shape now");
    // Compact, as it travels.
    let compact = serde_json::to_string(value).unwrap();
    assert_eq!(&serde_json::from_str::<T>(&compact).unwrap(), value);
}

fn id(text: &str) -> SalesforceId {
    SalesforceId::parse(text).unwrap()
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn tally() -> Tally {
    let mut tally = Tally::default();
    tally.add_many(ObjectKind::Opportunity, Count::Read, 3);
    tally.add(ObjectKind::Opportunity, Count::Filtered);
    tally.add(ObjectKind::Account, Count::Added);
    tally
}

#[test]
fn envelope() {
    assert_eq!(MESSAGE_VERSION, 1, "the file below is of version 1");
    let job = JobId::live(at(1_795_270_000_000_000));
    let event = Cause::Event {
        change_type: ChangeType::Update,
        changed: BTreeSet::from(["Amount".to_owned(), "BillingAddress.Street".to_owned()]),
        committed: Timestamp::from_millis(1_795_270_000_000),
    };
    let record = |object, text: &str, cause| UnitRecord {
        object,
        id: id(text),
        cause,
        row: None,
        owners: BTreeSet::new(),
        last_word: false,
        entering: false,
    };
    let read = UnitRecord {
        row: Some(
            Row::of(&BTreeMap::from([
                ("Id", "006000000000002AAA"),
                ("Name", "Ünï \"q\""),
            ]))
            .unwrap(),
        ),
        owners: BTreeSet::from([id("005000000000001")]),
        last_word: true,
        entering: true,
        ..record(ObjectKind::Opportunity, "006000000000002", Cause::Snapshot)
    };
    let unit = Envelope {
        id: Envelope::id_of(&job, 7),
        index: 7,
        generation: 0,
        lane: Lane::Live,
        org: id("00D000000000001"),
        published: at(1_795_270_000_123_456),
        rereads: 1,
        attempts: 2,
        outages: 0,
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
        ticket: Some(Ticket {
            version: Version::at(at(1_795_270_000_123_456)),
            rule_revision: 4,
            snapshot: 9,
        }),
        scoped: Some(at(1_795_270_030_123_456)),
        records: vec![
            record(ObjectKind::Opportunity, "006000000000001", event),
            read,
            record(ObjectKind::Contact, "003000000000001", Cause::Reread),
            record(ObjectKind::Account, "001000000000001", Cause::Companion),
        ],
        tally: tally(),
        job,
    };
    golden("envelope.v1.json", &unit);
    assert_eq!(Envelope::decode(&unit.encode().unwrap()).unwrap(), unit);
    assert!(Envelope::decode(b"{\"id\":1}").is_err());
}

#[test]
fn ids_follow_from_job_and_index() {
    let job = JobId::live(at(1_795_270_000_000_000));
    assert_eq!(job.as_str(), "live-2026-11-21T14");
    assert_eq!(
        Envelope::id_of(&job, 7),
        Envelope::id_of(&JobId::of("live-2026-11-21T14"), 7)
    );
    assert_ne!(Envelope::id_of(&job, 7), Envelope::id_of(&job, 8));
}

#[test]
fn settings_revision() {
    let filter = Filter {
        conditions: vec![
            Condition {
                field: "Amount".to_owned(),
                operator: Operator::GreaterOrEqual,
                values: vec!["1000".to_owned()],
            },
            Condition {
                field: "Type".to_owned(),
                operator: Operator::NotEqual,
                values: vec!["Renewal".to_owned(), String::new()],
            },
        ],
        logic: Some("1 OR 2".to_owned()),
    };
    let settings = Settings {
        disabled: false,
        run_in_sandbox: true,
        sync_closed: true,
        filter,
    };
    let types = BTreeMap::from([
        ("Amount".to_owned(), FieldType::Currency),
        ("Type".to_owned(), FieldType::Picklist),
    ]);
    golden(
        "settings_revision.json",
        &SettingsRevision::initial().next(settings, types, "somebody", at(1_795_270_000_000_000)),
    );
}

#[test]
fn a_settings_document_may_leave_everything_out_and_nothing_else() {
    assert_eq!(
        serde_json::from_str::<Settings>("{}").unwrap(),
        Settings::default()
    );
    let default = Settings::default();
    assert!(
        !default.disabled
            && !default.run_in_sandbox
            && !default.sync_closed
            && default.filter.conditions.is_empty()
    );
    assert!(
        serde_json::from_str::<Settings>(r#"{"sync_close": true}"#)
            .unwrap_err()
            .to_string()
            .contains("sync_close")
    );
}

#[test]
fn only_what_qualifies_moves_the_rule_revision() {
    let first = SettingsRevision::initial();
    let disabled = first.next(
        Settings {
            disabled: true,
            ..Settings::default()
        },
        BTreeMap::new(),
        "somebody",
        at(1),
    );
    assert_eq!((disabled.revision, disabled.rule_revision), (1, 0));
    let closed = disabled.next(
        Settings {
            sync_closed: true,
            ..Settings::default()
        },
        BTreeMap::new(),
        "somebody",
        at(2),
    );
    assert_eq!((closed.revision, closed.rule_revision), (2, 1));
}

#[test]
fn job() {
    let scope = JobScope::Owners {
        owners: BTreeSet::from([id("005000000000001")]),
        since: at(1),
    };
    let job = Job {
        started: Some(at(2)),
        salesforce: SalesforceStatus::Extracting,
        progress: Progress {
            after: Some(id("006000000000001")),
            next_index: 3,
        },
        units: 3,
        counted: 1,
        abandoned: 1,
        last_counted: Some(at(3)),
        tally: tally(),
        ..Job::queued(
            JobId::new(JobKind::Backfill, domain::job::uuid_of("golden")),
            JobKind::Backfill,
            scope,
            at(1),
        )
    };
    assert_eq!(job.pending(), 1);
    golden("job.json", &job);
}

#[test]
fn parked_record() {
    golden(
        "parked.json",
        &Parked {
            object: ObjectKind::OpportunityContactRole,
            id: id("00K000000000001"),
            stage: Stage::Load,
            kind: FailureKind::ParentMissing,
            message: "contact_id points to a record mOS does not have".to_owned(),
            parent: Some((ObjectKind::Contact, id("003000000000001"))),
            rule_revision: 4,
            version: Version::at(at(5)),
            since: at(1),
            retries: 0,
            retry_at: None,
        },
    );
}

#[test]
fn permission_snapshot() {
    let grant = Grant {
        permission_set: "mOS_User".to_owned(),
        group: Some("Sales_Apps".to_owned()),
        expires: Some(at(5)),
    };
    let holders = BTreeMap::from([(id("005000000000001"), BTreeSet::from([grant]))]);
    golden(
        "permission_snapshot.json",
        &PermissionSnapshot {
            number: 3,
            taken: at(1),
            holders,
        },
    );
}

mod job_status {
    //! mOS Job Status follows from what is counted; success is never a default.

    use super::*;
    use domain::job::MosStatus;

    fn sealed(units: u64, counted: u64, tally: Tally) -> Job {
        let queued = Job::queued(
            JobId::new(JobKind::SyncAll, domain::job::uuid_of("a")),
            JobKind::SyncAll,
            JobScope::Everything,
            at(1),
        );
        Job {
            salesforce: SalesforceStatus::Sealed,
            units,
            counted,
            tally,
            ..queued
        }
    }

    fn closed_tally() -> Tally {
        let mut tally = Tally::default();
        tally.add_many(ObjectKind::Account, Count::Read, 2);
        tally.add_many(ObjectKind::Account, Count::Created, 2);
        tally
    }

    #[test]
    fn completed_only_when_sealed_counted_and_closed() {
        assert_eq!(sealed(2, 2, closed_tally()).mos(), MosStatus::Completed);
        assert_eq!(sealed(2, 1, closed_tally()).mos(), MosStatus::Loading);
        assert_eq!(sealed(2, 0, Tally::default()).mos(), MosStatus::Waiting);
        let extracting = Job {
            salesforce: SalesforceStatus::Extracting,
            ..sealed(2, 2, closed_tally())
        };
        assert_eq!(extracting.mos(), MosStatus::Loading);
        assert_eq!(
            sealed(2, 2, tally()).mos(),
            MosStatus::Failed,
            "its sums do not close"
        );
        let failed = Job {
            salesforce: SalesforceStatus::Failed,
            ..sealed(0, 0, Tally::default())
        };
        assert_eq!(failed.mos(), MosStatus::Failed);
    }

    #[test]
    fn parked_records_show() {
        let mut tally = closed_tally();
        tally.add(ObjectKind::Contact, Count::Read);
        tally.add(ObjectKind::Contact, Count::Parked);
        assert_eq!(sealed(1, 1, tally).mos(), MosStatus::CompletedWithErrors);
    }

    #[test]
    fn an_empty_job_is_complete() {
        assert_eq!(sealed(0, 0, Tally::default()).mos(), MosStatus::Completed);
    }
}
