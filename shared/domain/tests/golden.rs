//! The shapes that outlive a version: what lies in queues and stores when mosync is updated. A file
//! per kind; a change here is a change of the wire, and needs a new version number or a reader for
//! both.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of these tests is not marked as one"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use domain::allowance::ApiShare;
use domain::change::ChangeType;
use domain::failure::FailureKind;
use domain::filter::{BlankRule, Condition, FieldType, Filter, Operator, ZoneOf};
use domain::job::{
    Cursor, Extracted, Form, Job, JobId, JobKind, JobScope, PageRead, Pause, PausedBy, Plan,
    Progress, SalesforceStatus, Statement, Way,
};
use domain::mapping::{ContractTermType, Mapping, MappingRow};
use domain::notification::{
    self, Board, Event, Finding, Matter, Notice, Notification, Settled, notice_id,
};
use domain::org::{Currencies, DatedRate, Fiscal, OrgProfile, Period, PeriodKind, Weekday};
use domain::parked::{Dismissal, Parked, Release};
use domain::permission::{Grant, NearMiss, Obstacle, PermissionSnapshot};
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
        step: 0,
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
        frequency: "daily_at_06:30".parse().unwrap(),
        api_share: ApiShare::new(30, 5).unwrap(),
        filter,
        blanks: BlankRule::Drop,
        zone: ZoneOf::User,
        admin_emails: vec!["ada@example.com".to_owned()],
        org: Some(id("00D000000000001")),
        mapping: Mapping::new(vec![MappingRow {
            object: ObjectKind::Opportunity,
            mos_field: "contract_term".to_owned(),
            salesforce_field: "Term__c".to_owned(),
            active: true,
            contract_term_type: Some(ContractTermType::HalfYearly),
        }])
        .unwrap(),
    };
    let types = BTreeMap::from([
        ("Amount".to_owned(), FieldType::Currency),
        ("Type".to_owned(), FieldType::Picklist),
    ]);
    golden(
        "settings_revision.json",
        &SettingsRevision::initial().next(
            settings,
            types,
            org(),
            "somebody",
            at(1_795_270_000_000_000),
        ),
    );
}

fn org() -> OrgProfile {
    let day = |text: &str| text.parse().unwrap();
    OrgProfile {
        id: Some(id("00D000000000001")),
        is_sandbox: true,
        time_zone: "America/New_York".to_owned(),
        first_weekday: Weekday::Sunday,
        user_time_zone: "Europe/Berlin".to_owned(),
        user_first_weekday: Weekday::Monday,
        fiscal: Fiscal::Custom {
            periods: vec![Period {
                kind: PeriodKind::Quarter,
                start: day("2026-02-01"),
                end: day("2026-05-02"),
            }],
        },
        currencies: Some(Currencies {
            corporate: "USD".to_owned(),
            rates: BTreeMap::from([
                ("EUR".to_owned(), "0.92".to_owned()),
                ("USD".to_owned(), "1".to_owned()),
            ]),
            dated: vec![DatedRate {
                currency: "EUR".to_owned(),
                start: day("2026-01-01"),
                next: None,
                rate: "0.93".to_owned(),
            }],
        }),
    }
}

#[test]
fn a_revision_without_a_profile_is_read_with_the_default_one() {
    let stored = r#"{"revision":3,"rule_revision":2,"saved":5,"author":"somebody","settings":{},"field_types":{}}"#;
    let revision: SettingsRevision = serde_json::from_str(stored).unwrap();
    assert_eq!(revision.org, OrgProfile::default());
    assert_eq!(revision.settings, Settings::default());
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
        OrgProfile::default(),
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
        OrgProfile::default(),
        "somebody",
        at(2),
    );
    assert_eq!((closed.revision, closed.rule_revision), (2, 1));
    let mut last = closed;
    for (number, change) in [
        (
            3,
            Settings {
                blanks: BlankRule::Drop,
                ..last.settings.clone()
            },
        ),
        (
            4,
            Settings {
                zone: ZoneOf::User,
                ..last.settings.clone()
            },
        ),
    ] {
        let next = last.next(
            change,
            BTreeMap::new(),
            OrgProfile::default(),
            "somebody",
            at(3),
        );
        assert_eq!(next.revision, number);
        assert_eq!(
            next.rule_revision,
            last.rule_revision + 1,
            "{:?}",
            next.settings
        );
        last = next;
    }
}

/// A filter with one condition, in an org that differs in one part: only where the filter depends on
/// that part do the rules move. Whose zone and weeks count is a setting.
#[test]
fn the_org_moves_the_rules_where_the_filter_depends_on_it() {
    let zone = OrgProfile {
        time_zone: "Asia/Kathmandu".to_owned(),
        ..OrgProfile::default()
    };
    let user = OrgProfile {
        user_time_zone: "Asia/Kathmandu".to_owned(),
        ..OrgProfile::default()
    };
    let week = OrgProfile {
        first_weekday: Weekday::Monday,
        ..OrgProfile::default()
    };
    let user_week = OrgProfile {
        user_first_weekday: Weekday::Monday,
        ..OrgProfile::default()
    };
    let fiscal = OrgProfile {
        fiscal: Fiscal::Standard { start_month: 2 },
        ..OrgProfile::default()
    };
    let currencies = OrgProfile {
        currencies: Some(Currencies::default()),
        ..OrgProfile::default()
    };
    let sandbox = OrgProfile {
        is_sandbox: true,
        ..OrgProfile::default()
    };
    let of_org = [
        ("CloseDate", FieldType::Date, "2026-01-31", &[][..]),
        ("CloseDate", FieldType::Date, "TODAY", &[&zone][..]),
        ("CloseDate", FieldType::Date, "THIS WEEK", &[&zone, &week]),
        ("CloseDate", FieldType::Date, "THIS_QUARTER", &[&zone]),
        (
            "CloseDate",
            FieldType::Date,
            "LAST_FISCAL_YEAR",
            &[&zone, &fiscal],
        ),
        ("CreatedDate", FieldType::DateTime, "2026-01-31", &[&zone]),
        (
            "CreatedDate",
            FieldType::DateTime,
            "2026-01-31T00:00:00Z",
            &[],
        ),
        ("Amount", FieldType::Currency, "5", &[&currencies]),
        ("Name", FieldType::Text, "TODAY", &[]),
    ];
    let of_user = [
        ("CloseDate", FieldType::Date, "2026-01-31", &[][..]),
        ("CloseDate", FieldType::Date, "TODAY", &[&user][..]),
        (
            "CloseDate",
            FieldType::Date,
            "THIS WEEK",
            &[&user, &user_week],
        ),
        (
            "CloseDate",
            FieldType::Date,
            "LAST_FISCAL_YEAR",
            &[&user, &fiscal],
        ),
        ("CreatedDate", FieldType::DateTime, "2026-01-31", &[&user]),
        ("Amount", FieldType::Currency, "5", &[&currencies]),
    ];
    let of_org = of_org.map(|line| (ZoneOf::Org, line));
    let of_user = of_user.map(|line| (ZoneOf::User, line));
    for (zone_of, (field, field_type, value, moving)) in of_org.into_iter().chain(of_user) {
        let condition = Condition {
            field: field.to_owned(),
            operator: Operator::Equals,
            values: vec![value.to_owned()],
        };
        let settings = Settings {
            filter: Filter {
                conditions: vec![condition],
                logic: None,
            },
            zone: zone_of,
            ..Settings::default()
        };
        let types = BTreeMap::from([(field.to_owned(), field_type)]);
        let before = SettingsRevision::initial().next(
            settings.clone(),
            types.clone(),
            OrgProfile::default(),
            "somebody",
            at(1),
        );
        for org in [
            &zone,
            &user,
            &week,
            &user_week,
            &fiscal,
            &currencies,
            &sandbox,
        ] {
            let after = before.next(
                settings.clone(),
                types.clone(),
                org.clone(),
                "mosync",
                at(2),
            );
            let moves = after.rule_revision != before.rule_revision;
            assert_eq!(
                moves,
                moving.contains(&org),
                "{zone_of:?} {field} {value} {org:?}"
            );
        }
    }
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
            writes: 0,
            phase: 1,
            statement: 2,
            generation: 1,
            cursor: cursor(),
            next_index: 3,
            announced: 4,
            objects: BTreeMap::from([(
                ObjectKind::Opportunity,
                Extracted {
                    total: Some(700),
                    again: 0,
                    read: 600,
                    units: 3,
                    errors: 1,
                    last_error: Some("QUERY_TIMEOUT".to_owned()),
                    started: Some(at(2)),
                    finished: None,
                },
            )]),
        },
        units: 4,
        counted: 1,
        abandoned: 1,
        last_advanced: Some(at(3)),
        last_counted: Some(at(3)),
        paused: Some(Pause {
            since: at(4),
            by: PausedBy::Quota,
            why: "the org's API allowance is used up".to_owned(),
            until: Some(at(5)),
        }),
        paused_for: std::time::Duration::from_micros(7),
        resumed: Some(at(2)),
        tally: tally(),
        ..Job::queued(
            JobId::new(JobKind::Backfill, domain::job::uuid_of("golden")),
            JobKind::Backfill,
            scope,
            at(1),
        )
    };
    assert_eq!(job.pending(), 2);
    golden("job.json", &job);
}

fn cursor() -> Cursor {
    Cursor::Bulk {
        query: "750000000000001AAA".to_owned(),
        columns: vec!["Id".to_owned(), "Name".to_owned()],
        ticket: Ticket {
            version: Version::at(at(1)),
            rule_revision: 4,
            snapshot: 9,
        },
        locator: Some("MTAwMDA".to_owned()),
        rows: 400,
        total_rows: 10_000,
    }
}

#[test]
fn cursors_and_pages() {
    let page = |first_index, cursor| PageRead {
        first_index,
        units: 50,
        phase: 1,
        statement: 2,
        generation: 1,
        at: cursor,
    };
    let after = Some(id("006000000000001"));
    golden(
        "pages.json",
        &vec![
            page(0, Cursor::Start),
            page(50, Cursor::Rest { after }),
            page(100, cursor()),
        ],
    );
}

#[test]
fn scopes() {
    golden(
        "scopes.json",
        &vec![
            JobScope::Entering {
                before: 3,
                then: at(1_795_270_000_000_000),
                stamped_since: None,
            },
            JobScope::Entering {
                before: 3,
                then: at(1_795_270_000_000_000),
                stamped_since: Some(at(1_795_270_000_000_000)),
            },
            JobScope::Objects {
                objects: BTreeSet::from([ObjectKind::Account]),
            },
            JobScope::Stages {
                stages: BTreeSet::from(["Closed Won".to_owned()]),
            },
        ],
    );
}

#[test]
fn a_save_that_moves_the_rules_has_a_job_that_names_the_revision_before() {
    let save = |before: &SettingsRevision, change: fn(&mut Settings), saved| {
        let mut settings = before.settings.clone();
        change(&mut settings);
        before.next(
            settings,
            BTreeMap::new(),
            before.org.clone(),
            "somebody",
            at(saved),
        )
    };
    let first = SettingsRevision::initial();
    let disabled = save(&first, |settings| settings.disabled = true, 5);
    assert_eq!(Job::of_save(&first, &disabled), None);
    let closed = save(&disabled, |settings| settings.sync_closed = true, 7);
    let job = Job::of_save(&disabled, &closed).unwrap();
    assert_eq!(job.kind, JobKind::Backfill);
    let entering = JobScope::Entering {
        before: 1,
        then: at(7),
        stamped_since: Some(at(7)),
    };
    assert_eq!(job.scope, entering);
    assert_eq!(Job::of_save(&disabled, &closed), Some(job));

    // Whatever moves the scope alone, what is in scope by both rules is not read again.
    let changes: [fn(&mut Settings); 4] = [
        |settings| {
            settings.filter.conditions.push(Condition {
                field: "Name".to_owned(),
                operator: Operator::Equals,
                values: vec!["Acme".to_owned()],
            });
        },
        |settings| settings.sync_closed = false,
        |settings| settings.blanks = BlankRule::Drop,
        |settings| settings.zone = ZoneOf::User,
    ];
    for change in changes {
        let saved = save(&closed, change, 9);
        let entering = JobScope::Entering {
            before: 2,
            then: at(9),
            stamped_since: Some(at(9)),
        };
        let scope = Job::of_save(&closed, &saved).map(|job| job.scope);
        assert_eq!(scope, Some(entering), "{:?}", saved.settings);
    }
    let mapped = save(
        &closed,
        |settings| {
            settings.zone = ZoneOf::User;
            settings.mapping = Mapping::new(vec![MappingRow {
                object: ObjectKind::Opportunity,
                mos_field: "contract_term".to_owned(),
                salesforce_field: "Term__c".to_owned(),
                active: true,
                contract_term_type: None,
            }])
            .unwrap();
        },
        9,
    );
    let everything = JobScope::Objects {
        objects: ObjectKind::ALL.into_iter().collect(),
    };
    let scope = Job::of_save(&closed, &mapped).map(|job| job.scope);
    assert_eq!(scope, Some(everything));
}

#[test]
fn plan() {
    golden(
        "plan.json",
        &Plan {
            rule_revision: 4,
            permission_snapshot: 9,
            phases: vec![
                vec![Statement {
                    object: ObjectKind::Account,
                    owners: Some(BTreeSet::from([id("005000000000001")])),
                    form: Form::SemiJoin,
                    way: Way::Bulk,
                    total: Some(20_000),
                }],
                vec![Statement {
                    object: ObjectKind::Contact,
                    owners: None,
                    form: Form::Plain,
                    way: Way::Rest,
                    total: None,
                }],
            ],
            leaves_out: true,
            notes: vec!["Contact is read without semi-joins".to_owned()],
        },
    );
}

/// Documents written before these fields came are read as what they meant.
#[test]
fn documents_without_the_later_fields_are_read() {
    let mut job = serde_json::to_value(Job::queued(
        JobId::of("backfill-a"),
        JobKind::Backfill,
        JobScope::Everything,
        at(1),
    ))
    .unwrap();
    let fields = job.as_object_mut().unwrap();
    for field in ["ended", "last_advanced", "paused", "paused_for", "resumed"] {
        assert!(fields.remove(field).is_some(), "{field}");
    }
    fields.insert(
        "progress".to_owned(),
        serde_json::json!({ "after": "006000000000001AAA", "next_index": 3 }),
    );
    let read: Job = serde_json::from_value(job).unwrap();
    assert_eq!(read.progress.next_index, 3);
    assert_eq!((read.paused, read.ended), (None, None));
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
            code: Some("parent_missing".to_owned()),
            message: "contact_id points to a record mOS does not have".to_owned(),
            parent: Some((ObjectKind::Contact, id("003000000000001"))),
            rule_revision: 4,
            version: Version::at(at(5)),
            since: at(1),
            retries: 0,
            retry_at: None,
            released: Some(Release {
                at: at(2),
                parent: (ObjectKind::Contact, id("003000000000001")),
            }),
            job: Some(JobId::of("live-2026-11-21T14")),
            dismissed: Some(Dismissal {
                at: at(6),
                by: "ada@example.com".to_owned(),
                reason: "left the company".to_owned(),
            }),
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
    let miss = NearMiss {
        grant: grant.clone(),
        because: BTreeSet::from([
            Obstacle::UserInactive,
            Obstacle::NoPermissionSetLicence {
                licence: "mOS".to_owned(),
            },
        ]),
    };
    let holders = BTreeMap::from([(id("005000000000001"), BTreeSet::from([grant]))]);
    let snapshot = PermissionSnapshot {
        number: 3,
        taken: at(1),
        holders,
        ..PermissionSnapshot::default()
    };
    golden("permission_snapshot.json", &snapshot);
    golden(
        "permission_snapshot_near_misses.json",
        &PermissionSnapshot {
            near_misses: BTreeMap::from([(id("005000000000002"), BTreeSet::from([miss]))]),
            near_misses_left_off: 1,
            unsettled_groups: BTreeMap::from([("Sales_Apps".to_owned(), "Failed".to_owned())]),
            ..snapshot
        },
    );
}

fn condition() -> notification::Condition {
    notification::Condition {
        key: "gap/overflow".to_owned(),
        matter: Matter::Gap,
        object: "the event stream".to_owned(),
        count: 2,
        cause: "an overflow".to_owned(),
        advice: "Nothing to do.".to_owned(),
        page: "/status".to_owned(),
        details: vec!["a line".to_owned()],
    }
}

#[test]
fn notification() {
    let (at, sent) = (at(1_795_270_000_000_000), at(1_795_270_001_000_000));
    let notice = Notice {
        id: notice_id("an incident", "2 closed"),
        incident: "an incident".to_owned(),
        matter: Matter::Gap,
        event: Event::Closed,
        at,
        object: "the event stream".to_owned(),
        count: 2,
        cause: "an overflow".to_owned(),
        advice: "Nothing to do.".to_owned(),
        page: "/status".to_owned(),
        details: vec!["a line".to_owned()],
        lasted_s: Some(90),
    };
    let ada = "ada@acme.example".to_owned();
    let ways = [
        notification::Way::Mail { to: ada.clone() },
        notification::Way::Folder { to: vec![ada] },
        notification::Way::Webhook,
    ];
    let sending = Notification::new(notice, ways).begun(0, at).begun(1, at);
    let settled = sending.settled(0, Settled::Sent("250 taken".to_owned()), sent);
    golden("notification.json", &settled);
}

#[test]
fn board() {
    let finding = Finding {
        conditions: vec![condition()],
        ..Finding::default()
    };
    let began = at(1_795_270_000_000_000);
    let (board, _) = Board::new(began).after(&finding, at(1_795_270_001_000_000));
    golden("board.json", &board);
}
