//! The events of commits and the log that keeps them.
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::avro::Datum;
use super::event::{self, Body, Transaction};
use super::log::{EventLog, InjectError, ReplayError};
use super::schema::{self, Place, Scalar, Shape};
use super::testing::{
    ACCOUNT, OPPORTUNITY, START_MICROS, TestClock, USER, all, change, commit, decode, decoded, log,
    renamed, update,
};
use crate::commit::ChangeKind;
use crate::dml::Dml;
use crate::faults::{Fault, Faults, GapKind};
use crate::org::Org;
use crate::schema::FieldType;

const STAMP_MS: i64 = START_MICROS / 1000;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn header(event: &Value) -> &Value {
    &event["ChangeEventHeader"]
}

#[test]
fn golden_vector_a() {
    let (log, _) = log();
    let id = "00K000000000001EAA";
    log.append(&commit(vec![update(
        "OpportunityContactRole",
        id,
        json!({}),
        &["Role", "LastModifiedDate"],
    )]));
    assert_eq!(
        hex(&all(&log)[0].payload),
        "2c4f70706f7274756e697479436f6e74616374526f6c65022430304b303030303030303030303031\
         454141000238636f6d2f73616c6573666f7263652f6170692f726573742f36372e30483030303030\
         3030302d303030302d303030302d303030302d3030303030303030303030310280a0d5edee66c2e4\
         8190de0c243030353030303030303030303030314141410208307830380000020830783438000000\
         0000000280a0d5edee6600"
    );
}

#[test]
fn golden_vector_b() {
    let (log, _) = log();
    let lost = json!({
        "StageName": "Closed Lost", "Probability": 0, "ExpectedRevenue": 0, "IsClosed": true,
        "ForecastCategory": "Omitted", "ForecastCategoryName": "Omitted",
        "LastStageChangeDate": super::testing::STAMP,
    });
    let changed = [
        "StageName",
        "Probability",
        "ExpectedRevenue",
        "NextStep",
        "IsClosed",
        "ForecastCategory",
        "ForecastCategoryName",
        "LastModifiedDate",
        "LastStageChangeDate",
    ];
    log.append(&commit(vec![
        update("Opportunity", OPPORTUNITY, lost.clone(), &changed),
        update("Opportunity", "006000000000002AAA", lost, &changed),
    ]));
    let events = all(&log);
    assert_eq!(events.len(), 1);
    assert_eq!(
        hex(&events[0].payload),
        "164f70706f7274756e69747904243030363030303030303030303030314141412430303630303030\
         3030303030303032414141000238636f6d2f73616c6573666f7263652f6170692f726573742f3637\
         2e304830303030303030302d303030302d303030302d303030302d30303030303030303030303102\
         80a0d5edee66c2e48190de0c24303035303030303030303030303031414141020c30783130303000\
         0002143078303530333531413000000000000216436c6f736564204c6f7374000200000000000000\
         000200000000000000000000000000020100020e4f6d6974746564020e4f6d697474656400000000\
         00000280a0d5edee66000280a0d5edee6600000000"
    );
}

#[test]
fn an_event_captured_from_a_real_org() {
    let schemas = schema::initial();
    let account = schemas
        .iter()
        .find(|known| known.entity == "Account")
        .unwrap();
    let transaction = Transaction {
        key: "00033c92-748b-4bdc-87ca-a4904c5f0e7e",
        number: 218_791_688_481,
        stamp_ms: 1_685_217_197_000,
        user: "005Dp000000PpjsIAC",
        origin: "com/salesforce/api/soap/57.0;client=SfdcInternalAPI/",
    };
    let mut body = Body::header_only(account, 1);
    // That org's schema has 84 fields after the header.
    body.values = vec![Datum::Null; 84];
    body.values[0] = Datum::Text("Burlington Textiles Corp of Americsg".to_owned());
    body.values[22] = Datum::Integer(1_685_217_197_000);
    for field in [1, 23] {
        body.changed.insert(Place { field, part: None });
    }
    let ids = ["001Dp00000H8YVWIA3".to_owned()];
    assert_eq!(
        hex(&event::write(account, &transaction, 1, &ids, &body)),
        "0e4163636f756e740224303031447030303030304838595657494133000268636f6d2f73616c6573\
         666f7263652f6170692f736f61702f35372e303b636c69656e743d53666463496e7465726e616c41\
         50492f4830303033336339322d373438622d346264632d383763612d613439303463356630653765\
         0290efadec8b62c2e48190de0c24303035447030303030303050706a734941430000021030783830\
         303030320002484275726c696e67746f6e2054657874696c657320436f7270206f6620416d657269\
         6373670000000000000000000000000000000000000000000290efadec8b62000000000000000000\
         00000000000000000000000000000000000000000000000000000000000000000000000000000000\
         000000000000000000000000"
    );
}

#[test]
fn a_part_of_a_compound_field_has_a_bit_of_its_own() {
    let (log, _) = log();
    log.append(&commit(vec![update(
        "Account",
        ACCOUNT,
        json!({"Name": "Acme", "BillingStreet": "1 Way", "BillingCity": "Oslo"}),
        &["BillingStreet"],
    )]));
    log.append(&commit(vec![update(
        "Account",
        ACCOUNT,
        json!({"Name": "Acme", "BillingCity": "Oslo"}),
        &["BillingStreet"],
    )]));
    let events = decoded(&log);
    assert_eq!(
        header(&events[0])["changedFields"],
        json!(["0x400000", "4-0x01"])
    );
    assert_eq!(header(&events[0])["nulledFields"], json!([]));
    assert_eq!(events[0]["BillingAddress"], json!({"Street": "1 Way"}));
    assert_eq!(events[0].get("Name"), None);
    assert_eq!(header(&events[1])["nulledFields"], json!(["4-0x01"]));
    assert_eq!(events[1].get("BillingAddress"), None);
}

#[test]
fn a_create_carries_the_whole_record() {
    let (log, _) = log();
    let fields = json!({
        "FirstName": "Ada", "LastName": "Byron", "AccountId": ACCOUNT, "Birthdate": "2022-05-31",
        "DoNotCall": false, "MailingCity": "London", "MailingLatitude": 51.5,
    });
    let id = "003000000000001AAA";
    let made = change("Contact", id, ChangeKind::Create, None, fields.clone(), &[]);
    let back = change(
        "Contact",
        id,
        ChangeKind::Undelete,
        Some(json!({})),
        fields,
        &[],
    );
    log.append(&commit(vec![made]));
    log.append(&commit(vec![back]));
    for (event, kind) in decoded(&log).iter().zip(["CREATE", "UNDELETE"]) {
        assert_eq!(
            *event,
            json!({
                "ChangeEventHeader": {
                    "entityName": "Contact", "recordIds": [id], "changeType": kind,
                    "changeOrigin": "com/salesforce/api/rest/67.0",
                    "transactionKey": "00000000-0000-0000-0000-000000000001",
                    "sequenceNumber": 1, "commitTimestamp": STAMP_MS,
                    "commitNumber": 218_791_688_481_i64, "commitUser": USER,
                    "nulledFields": [], "diffFields": [], "changedFields": [],
                },
                "AccountId": ACCOUNT,
                "Name": {"FirstName": "Ada", "LastName": "Byron"},
                "MailingAddress": {"City": "London", "Latitude": 51.5},
                "Birthdate": 1_653_955_200_000_i64,
                "DoNotCall": false,
                "CreatedDate": STAMP_MS, "CreatedById": USER,
                "LastModifiedDate": STAMP_MS, "LastModifiedById": USER,
            })
        );
    }
}

#[test]
fn a_delete_is_a_header() {
    let (log, _) = log();
    let gone = |id: &str| {
        change(
            "Opportunity",
            id,
            ChangeKind::Delete,
            Some(json!({})),
            json!({"Name": id}),
            &[],
        )
    };
    log.append(&commit(vec![gone(OPPORTUNITY), gone("006000000000002AAA")]));
    let events = decoded(&log);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].as_object().unwrap().len(), 1);
    assert_eq!(header(&events[0])["changeType"], "DELETE");
    assert_eq!(
        header(&events[0])["recordIds"],
        json!([OPPORTUNITY, "006000000000002AAA"])
    );
}

#[test]
fn the_modifier_is_named_when_it_is_another_one() {
    let (log, _) = log();
    let other = "005000000000002AAA";
    let after = |user: &str| json!({"Name": "a", "LastModifiedById": user});
    log.append(&commit(vec![change(
        "Opportunity",
        OPPORTUNITY,
        ChangeKind::Update,
        Some(after(USER)),
        after(other),
        &["Name", "LastModifiedById"],
    )]));
    log.append(&commit(vec![change(
        "Opportunity",
        OPPORTUNITY,
        ChangeKind::Update,
        Some(after(other)),
        after(other),
        &["Name"],
    )]));
    let events = decoded(&log);
    assert_eq!(events[0]["LastModifiedById"], other);
    assert_eq!(header(&events[0])["changedFields"], json!(["0x03000008"]));
    assert_eq!(events[1].get("LastModifiedById"), None);
    assert_eq!(header(&events[1])["changedFields"], json!(["0x01000008"]));
}

#[test]
fn only_the_same_change_is_merged_and_other_objects_leave_gaps_in_the_sequence() {
    let (log, _) = log();
    let permission = change(
        "PermissionSetAssignment",
        "0Pa000000000001CAA",
        ChangeKind::Create,
        None,
        json!({}),
        &[],
    );
    log.append(&commit(vec![
        renamed(OPPORTUNITY, "a"),
        permission,
        renamed("006000000000002AAA", "b"),
        renamed("006000000000003AAA", "a"),
    ]));
    let events = decoded(&log);
    let seen: Vec<(&Value, &Value)> = events
        .iter()
        .map(|event| {
            (
                &header(event)["recordIds"],
                &header(event)["sequenceNumber"],
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (&json!([OPPORTUNITY, "006000000000003AAA"]), &json!(1)),
            (&json!(["006000000000002AAA"]), &json!(3)),
        ]
    );
    let stored = all(&log);
    assert_ne!(stored[0].event_id, stored[1].event_id);
}

#[test]
fn an_event_names_200_records_at_most() {
    let (log, _) = log();
    let changes = (0..450)
        .map(|number| renamed(&format!("006{number:012}AAA"), "same"))
        .collect();
    log.append(&commit(changes));
    let sizes: Vec<usize> = decoded(&log)
        .iter()
        .map(|event| header(event)["recordIds"].as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [200, 200, 50]);
}

#[test]
fn a_transaction_too_large_ends_in_one_overflow_event_an_object() {
    let schemas: BTreeMap<String, schema::EventSchema> = schema::initial()
        .into_iter()
        .map(|schema| (schema.entity.clone(), schema))
        .collect();
    let account = |id: &str| update("Account", id, json!({"Name": "a"}), &["Name"]);
    let large = commit(vec![
        renamed(OPPORTUNITY, "a"),
        renamed("006000000000002AAA", "b"),
        renamed("006000000000003AAA", "c"),
        renamed("006000000000004AAA", "d"),
        account(ACCOUNT),
        account("001000000000002AAA"),
    ]);
    let (log, _) = log();
    // Each of these changes two fields: the name and the date of the last change.
    let told: Vec<Value> = event::events(&large, &schemas, 5)
        .iter()
        .map(|event| {
            let decoded = decode(&log, &event.schema_id, &event.payload);
            let header = header(&decoded);
            json!([
                header["changeType"],
                header["recordIds"][0],
                header["sequenceNumber"]
            ])
        })
        .collect();
    assert_eq!(
        told,
        [
            json!(["UPDATE", OPPORTUNITY, 1]),
            json!(["UPDATE", "006000000000002AAA", 2]),
            json!(["GAP_OVERFLOW", "000000000000000AAA", 3]),
            json!(["GAP_OVERFLOW", "000000000000000AAA", 4]),
        ]
    );
}

#[test]
fn the_steps_on_one_record_are_one_change() {
    use ChangeKind::{Create, Delete, Undelete, Update};
    let step = |kind: ChangeKind, name: &str| {
        let before = (kind != Create).then(|| json!({}));
        let changed: &[&str] = if kind == Update { &["Name"] } else { &[] };
        change(
            "Opportunity",
            OPPORTUNITY,
            kind,
            before,
            json!({"Name": name}),
            changed,
        )
    };
    let kinds = |kinds: &[ChangeKind]| -> Vec<(String, Value)> {
        let (log, _) = log();
        let steps = kinds.iter().enumerate();
        let steps = steps.map(|(number, kind)| step(*kind, &number.to_string()));
        log.append(&commit(steps.collect()));
        let events = decoded(&log);
        let seen = events.iter().map(|event| {
            let kind = header(event)["changeType"].as_str().unwrap().to_owned();
            (kind, event["Name"].clone())
        });
        seen.collect()
    };
    let one = |kind: &str, name: Value| vec![(kind.to_owned(), name)];
    assert_eq!(kinds(&[Create, Update]), one("CREATE", json!("1")));
    assert_eq!(kinds(&[Update, Update]), one("UPDATE", json!("1")));
    assert_eq!(kinds(&[Update, Delete]), one("DELETE", Value::Null));
    assert_eq!(kinds(&[Delete, Undelete]), one("UNDELETE", json!("1")));
    assert_eq!(kinds(&[Undelete, Update]), one("UNDELETE", json!("1")));
    assert_eq!(kinds(&[Create, Delete]), []);
}

#[test]
fn a_field_that_events_lack_still_makes_one() {
    let (log, _) = log();
    let role = "00K000000000001EAA";
    let primary = json!({"IsPrimary": true});
    log.append(&commit(vec![
        update("OpportunityContactRole", role, primary, &["IsPrimary"]),
        update("Account", ACCOUNT, json!({}), &["LastViewedDate"]),
        update("Account", ACCOUNT, json!({}), &[]),
    ]));
    let events = decoded(&log);
    assert_eq!(events.len(), 1);
    assert_eq!(header(&events[0])["changedFields"], json!(["0x40"]));
    assert_eq!(events[0]["LastModifiedDate"], STAMP_MS);
}

#[test]
fn what_does_not_fit_becomes_a_gap_event() {
    let (log, _) = log();
    let long = "x".repeat(1024 * 1024);
    log.append(&commit(vec![update(
        "Opportunity",
        OPPORTUNITY,
        json!({"Description": long}),
        &["Description"],
    )]));
    log.append(&commit(vec![change(
        "Account",
        ACCOUNT,
        ChangeKind::Create,
        None,
        json!({"NumberOfEmployees": 3_000_000_000_i64}),
        &[],
    )]));
    let kinds: Vec<Value> = decoded(&log)
        .iter()
        .map(|event| header(event)["changeType"].clone())
        .collect();
    assert_eq!(kinds, ["GAP_UPDATE", "GAP_CREATE"]);
}

#[test]
fn replay_ids_grow_by_random_steps_and_resume_strictly_after() {
    let (log, _) = log();
    let start = log.latest_replay_id();
    for name in ["a", "b", "c", "d", "e"] {
        log.append(&commit(vec![renamed(OPPORTUNITY, name)]));
    }
    let events = all(&log);
    let ids: Vec<u64> = events
        .iter()
        .map(|event| u64::from_be_bytes(event.replay_id.as_slice().try_into().unwrap()))
        .collect();
    let steps: Vec<u64> = ids.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(steps.iter().all(|step| *step > 0));
    assert!(steps.iter().any(|step| *step != steps[0]), "{steps:?}");
    assert_eq!(log.latest_replay_id(), events[4].replay_id);

    assert_eq!(log.events_after(Some(&start), 100).unwrap(), events);
    let third = &events[2].replay_id;
    assert_eq!(log.events_after(Some(third), 100).unwrap(), events[3..]);
    assert_eq!(log.events_after(Some(third), 1).unwrap(), events[3..4]);
    assert_eq!(log.events_after(Some(&events[4].replay_id), 1).unwrap(), []);

    assert_eq!(log.events_after(Some(&[]), 1), Err(ReplayError::Empty));
    let never = (ids[4] + 1).to_be_bytes();
    for garbage in [never.as_slice(), b"x", &[0; 10], &[0xff; 8]] {
        assert_eq!(
            log.events_after(Some(garbage), 1),
            Err(ReplayError::Corrupted)
        );
    }
}

#[test]
fn replay_ids_of_ten_bytes_mean_the_same() {
    let (log, _) = log();
    log.append(&commit(vec![renamed(OPPORTUNITY, "a")]));
    log.set_wide_replay_ids(true);
    log.append(&commit(vec![renamed(OPPORTUNITY, "b")]));
    let events = all(&log);
    assert_eq!(events[0].replay_id.len(), 8);
    assert_eq!(events[1].replay_id.len(), 10);
    assert!(events[1].replay_id.ends_with(&[0, 0]));
    let mut widened = events[0].replay_id.clone();
    widened.extend([0, 0]);
    assert_eq!(log.events_after(Some(&widened), 9).unwrap(), events[1..]);
    assert_eq!(log.events_after(Some(&events[1].replay_id), 9), Ok(vec![]));
}

#[test]
fn events_age_out_and_so_do_replay_ids_except_fresh_keepalive_positions() {
    let (log, clock) = log();
    log.append(&commit(vec![renamed(OPPORTUNITY, "a")]));
    let first = all(&log)[0].replay_id.clone();
    clock.advance_hours(48);
    assert_eq!(log.events_after(Some(&first), 1), Ok(vec![]));
    let quiet = log.latest_replay_id();
    assert!(quiet > first, "a quiet stream moves on");
    clock.advance_hours(48);
    assert_eq!(
        log.events_after(Some(&first), 1),
        Err(ReplayError::Corrupted)
    );
    assert_eq!(all(&log), []);
    log.append(&commit(vec![renamed(OPPORTUNITY, "b")]));
    assert_eq!(log.events_after(Some(&quiet), 9).unwrap().len(), 1);
}

#[test]
fn replay_ids_can_be_made_invalid() {
    let (log, _) = log();
    log.append(&commit(vec![renamed(OPPORTUNITY, "a")]));
    let before = log.latest_replay_id();
    log.invalidate_replay_ids();
    let after = log.latest_replay_id();
    log.append(&commit(vec![renamed(OPPORTUNITY, "b")]));
    assert_eq!(
        log.events_after(Some(&before), 9),
        Err(ReplayError::Corrupted)
    );
    assert_eq!(log.events_after(Some(&after), 9).unwrap().len(), 1);
    assert_eq!(all(&log).len(), 1);
}

#[test]
fn a_new_field_makes_a_new_schema_and_old_events_keep_theirs() {
    let (log, _) = log();
    log.append(&commit(vec![renamed(OPPORTUNITY, "a")]));
    let id = log
        .add_field("Opportunity", "Region__c", "DynamicEnum")
        .unwrap();
    log.append(&commit(vec![renamed(OPPORTUNITY, "b")]));
    let events = all(&log);
    assert_ne!(events[0].schema_id, events[1].schema_id);
    assert_eq!(events[1].schema_id, id);
    assert_eq!(log.schema_id("Opportunity"), Some(id));
    assert_eq!(decoded(&log)[1]["Name"], "b");
    assert!(matches!(
        log.add_field("Opportunity", "Region__c", "Text"),
        Err(InjectError::FieldNotAdded { .. })
    ));
    assert!(matches!(
        log.add_field("Lead", "Region__c", "Text"),
        Err(InjectError::NoSuchEntity(_))
    ));
    assert_eq!(log.schema_json("unknown"), None);
}

#[test]
fn a_duplicate_has_the_event_id_and_another_replay_id() {
    let (log, _) = log();
    log.duplicate_next(1);
    log.append(&commit(vec![renamed(OPPORTUNITY, "a")]));
    log.append(&commit(vec![renamed("006000000000002AAA", "b")]));
    let events = all(&log);
    assert_eq!(events.len(), 3);
    assert_eq!(events[0].event_id, events[1].event_id);
    assert_eq!(events[0].payload, events[1].payload);
    assert!(events[0].replay_id < events[1].replay_id);
    assert_eq!(events[0].event_id.len(), 36);
}

#[test]
fn injected_events_say_what_they_are() {
    let (log, _) = log();
    log.append(&commit(vec![renamed(OPPORTUNITY, "a")]));
    let ids = [ACCOUNT.to_owned()];
    log.gap("Account", &ids, ChangeKind::Delete).unwrap();
    log.overflow("Contact").unwrap();
    log.wildcard("OpportunityContactRole").unwrap();
    log.diff(
        "Opportunity",
        OPPORTUNITY,
        "Description",
        "--- \n+++ 0a\n@@ -1 +1 @@\n",
    )
    .unwrap();
    let events = decoded(&log);
    let told: Vec<Value> = events[1..]
        .iter()
        .map(|event| {
            let header = header(event);
            json!([
                header["changeType"],
                header["recordIds"],
                header["changedFields"],
                header["diffFields"]
            ])
        })
        .collect();
    assert_eq!(
        told,
        [
            json!(["GAP_DELETE", [ACCOUNT], [], []]),
            json!(["GAP_OVERFLOW", ["000000000000000AAA"], [], []]),
            json!(["UPDATE", ["00K*"], [], []]),
            json!(["UPDATE", [OPPORTUNITY], ["0x01000010"], ["0x10"]]),
        ]
    );
    assert_eq!(events[1].as_object().unwrap().len(), 1);
    assert_eq!(header(&events[1])["changeOrigin"], "");
    assert_eq!(header(&events[1])["sequenceNumber"], 1);
    let numbers: Vec<i64> = events
        .iter()
        .map(|event| header(event)["commitNumber"].as_i64().unwrap())
        .collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
    assert!(log.gap("Lead", &ids, ChangeKind::Update).is_err());
    assert!(log.diff("Opportunity", OPPORTUNITY, "Amount", "x").is_err());
}

#[test]
fn faults_reach_the_log() {
    let (log, clock) = log();
    let org = Org::new(clock.clock(), 1);
    let faults = Arc::new(Faults::default());
    log.obey(&faults, &org);
    let before = log.latest_replay_id();
    faults.apply(Fault::DuplicateNext { count: 1 });
    faults.apply(Fault::Gap {
        entity: "Account".to_owned(),
        ids: vec![ACCOUNT.to_owned()],
        change: GapKind::Update,
    });
    faults.apply(Fault::Overflow {
        entity: "Account".to_owned(),
    });
    faults.apply(Fault::Wildcard {
        entity: "Account".to_owned(),
    });
    faults.apply(Fault::Wildcard {
        entity: "Lead".to_owned(),
    });
    let kinds: Vec<Value> = decoded(&log)
        .iter()
        .map(|event| header(event)["changeType"].clone())
        .collect();
    assert_eq!(
        kinds,
        ["GAP_UPDATE", "GAP_UPDATE", "GAP_OVERFLOW", "UPDATE"]
    );
    faults.apply(Fault::InvalidateReplayIds {});
    assert_eq!(
        log.events_after(Some(&before), 9),
        Err(ReplayError::Corrupted)
    );
}

#[test]
fn two_logs_of_the_same_commits_are_alike() {
    let (one, _) = log();
    let (other, _) = log();
    for log in [&one, &other] {
        log.append(&commit(vec![renamed(OPPORTUNITY, "a")]));
        log.overflow("User").unwrap();
    }
    assert_eq!(all(&one), all(&other));
}

#[test]
fn the_orgs_own_writes_become_events() {
    let clock = TestClock::default();
    let org = Org::new(clock.clock(), 3);
    let log = EventLog::attach(&org);
    let write = |op: Dml| {
        let done = org.transact(
            org.admin_id(),
            "com/salesforce/api/rest/67.0;client=t",
            vec![op],
        );
        done.expect("written")[0].id.clone().expect("an id")
    };
    let fields = |value: Value| value.as_object().unwrap().clone();
    let insert = |entity: &str, value: Value| {
        write(Dml::Insert {
            entity: entity.to_owned(),
            fields: fields(value),
        })
    };
    let account = insert("Account", json!({"Name": "Acme", "NumberOfEmployees": 7}));
    let twin = insert("Account", json!({"Name": "Acme Inc"}));
    let contact = insert("Contact", json!({"LastName": "Byron", "AccountId": twin}));
    write(Dml::Update {
        entity: "Contact".to_owned(),
        id: contact.clone(),
        fields: fields(json!({"FirstName": "Ada", "MailingCity": "London"})),
    });
    write(Dml::Merge {
        entity: "Account".to_owned(),
        winner: account.clone(),
        losers: vec![twin.clone()],
    });
    write(Dml::Delete {
        entity: "Account".to_owned(),
        id: account.clone(),
    });
    write(Dml::Undelete {
        entity: "Account".to_owned(),
        id: account.clone(),
    });
    let mut told: Vec<(String, String, String)> = decoded(&log)
        .iter()
        .map(|event| {
            let header = header(event);
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (
                text(&header["transactionKey"]),
                text(&header["changeType"]),
                text(&header["recordIds"][0]),
            )
        })
        .collect();
    // Within a transaction the order of the objects is the org's affair.
    let keys: Vec<String> = org
        .commits_since(0)
        .iter()
        .map(|commit| commit.transaction_key.clone())
        .collect();
    let place = |key: &String| keys.iter().position(|known| known == key);
    told.sort_by_key(|(key, kind, id)| (place(key), kind.clone(), id.clone()));
    let told: Vec<(&str, &str)> = told
        .iter()
        .map(|(_, kind, id)| (kind.as_str(), id.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("CREATE", account.as_str()),
            ("CREATE", &twin),
            ("CREATE", &contact),
            ("UPDATE", &contact),
            ("DELETE", &twin),
            ("UPDATE", &account),
            ("UPDATE", &contact),
            ("DELETE", &account),
            ("DELETE", &contact),
            ("UNDELETE", &account),
            ("UNDELETE", &contact),
        ]
    );
    let renamed = &decoded(&log)[3];
    assert_eq!(
        header(renamed)["changedFields"],
        json!(["0x02000000", "2-0x02", "4-0x02"])
    );
    assert_eq!(renamed["Name"], json!({"FirstName": "Ada"}));
    assert_eq!(renamed["MailingAddress"], json!({"City": "London"}));
}

#[test]
fn every_record_of_a_generated_org_fits_its_events() {
    let org = Org::new(TestClock::default().clock(), 3);
    let log = EventLog::attach(&org);
    org.generate(60, 3);
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for event in decoded(&log) {
        assert_eq!(header(&event)["changeType"], "CREATE", "{event}");
        let entity = header(&event)["entityName"].as_str().unwrap().to_owned();
        *seen.entry(entity).or_default() += header(&event)["recordIds"].as_array().unwrap().len();
    }
    for (entity, told) in seen {
        let made = org.records(&entity).len();
        // The integration user was there before the log.
        let before = usize::from(entity == "User");
        assert_eq!(told + before, made, "{entity}");
    }
}

#[test]
fn the_events_types_are_those_of_the_orgs_fields() {
    for schema in schema::initial() {
        let entity = crate::schema::entity(&schema.entity).unwrap();
        for field in &schema.fields {
            let fits: &[FieldType] = match &field.shape {
                Shape::Compound(_, parts) => {
                    let lacking = parts.iter().find(|part| entity.field(&part.leaf).is_none());
                    let lacking = lacking.map_or("Salutation", |part| part.name);
                    assert_eq!(lacking, "Salutation", "{}", schema.entity);
                    continue;
                }
                Shape::Scalar(Scalar::Boolean) => &[FieldType::Boolean],
                Shape::Scalar(Scalar::Integer) => &[FieldType::Int],
                Shape::Scalar(Scalar::Double) => {
                    &[FieldType::Double, FieldType::Currency, FieldType::Percent]
                }
                Shape::Scalar(Scalar::DateTime) => &[FieldType::DateTime],
                Shape::Scalar(Scalar::DateOnly) => &[FieldType::Date],
                Shape::Scalar(Scalar::Text | Scalar::Names) | Shape::SwitchableName => continue,
            };
            if let Some(known) = entity.field(&field.name) {
                assert!(
                    fits.contains(&known.kind),
                    "{}.{}",
                    schema.entity,
                    field.name
                );
            }
        }
        // A field of the org that events lack is one of those that Salesforce leaves out.
        let lacking: Vec<&str> = entity
            .fields
            .iter()
            .map(|field| field.name)
            .filter(|name| schema.place(name).is_none())
            // Custom fields are for queries alone; events take them up by a schema change.
            .filter(|name| !name.ends_with("__c"))
            .collect();
        let left_out = [
            "Id",
            "IsDeleted",
            "MasterRecordId",
            "SystemModstamp",
            "LastActivityDate",
            "LastViewedDate",
            "LastReferencedDate",
            "Name",
            "PushCount",
            "FiscalQuarter",
            "FiscalYear",
            "Fiscal",
            "HasOpenActivity",
            "HasOverdueTask",
            "IsPrimary",
        ];
        let surprising: Vec<&&str> = lacking.iter().filter(|n| !left_out.contains(n)).collect();
        assert!(surprising.is_empty(), "{}: {surprising:?}", schema.entity);
    }
}
