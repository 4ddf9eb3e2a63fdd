//! Each rule of the contract, in process.

use fake_mos::{BODY_BYTES_MAX, Fault, Outcome, RECORDS_MAX, RecordType, RejectCode};
use serde_json::{Value, json};

use crate::desk::*;

const HOUR: i64 = 3_600 * 1_000_000;

#[test]
fn records_are_created_updated_unchanged_or_stale_by_version() {
    let desk = Desk::new();
    assert_eq!(desk.one(&owner(10)), "created");
    assert_eq!(desk.one(&owner(11)), "unchanged");
    assert_eq!(
        desk.mos.records(RecordType::User)[0].version,
        version(11),
        "taken over"
    );
    assert_eq!(desk.one(&owner(10)), "stale");
    let renamed = |number| record("user", OWNER, number, json!({ "name": "Ada King" }));
    assert_eq!(desk.one(&renamed(10)), "stale");
    assert_eq!(
        desk.one(&renamed(11)),
        "updated",
        "equal: applied when a field differs"
    );
    assert_eq!(desk.one(&renamed(11)), "unchanged", "equal and the same");
    assert_eq!(desk.one(&renamed(12)), "unchanged");
    let stored = desk.mos.record(RecordType::User, OWNER).unwrap();
    assert_eq!(stored.fields["name"], "Ada King");
    assert_eq!(
        stored.fields["is_active"], true,
        "an absent field is left alone"
    );
}

#[test]
fn null_clears_and_a_cleared_field_is_as_one_never_sent() {
    let desk = Desk::new();
    desk.one(&record(
        "user",
        OWNER,
        1,
        json!({ "name": "Ada", "title": "Countess" }),
    ));
    let clear = |number| {
        record(
            "user",
            OWNER,
            number,
            json!({ "title": null, "email": null }),
        )
    };
    assert_eq!(desk.one(&clear(2)), "updated");
    assert_eq!(desk.one(&clear(3)), "unchanged");
    let stored = desk.mos.record(RecordType::User, OWNER).unwrap();
    assert_eq!(Value::from(stored.fields), json!({ "name": "Ada" }));
}

#[test]
fn one_spelling_of_a_value_is_no_difference_from_another() {
    let desk = Desk::new();
    desk.send(&family(1));
    let amount = |number, amount: &str| {
        format!(
            r#"{{"records":[{{"type":"opportunity","external_id":"{DEAL}","version":"{}","fields":{{"amount":{amount}}}}}]}}"#,
            version(number)
        )
    };
    let (_, answer) = desk.send_raw(&amount(2, "1200.500"));
    assert_eq!(verdicts(&answer), ["unchanged"]);
    let (_, answer) = desk.send_raw(&amount(3, "\"1200.5\""));
    assert_eq!(verdicts(&answer), ["unchanged"]);
    let (_, answer) = desk.send_raw(&amount(4, "123456789012345678.91"));
    assert_eq!(verdicts(&answer), ["updated"]);
    let stored = desk.mos.record(RecordType::Opportunity, DEAL).unwrap();
    assert_eq!(stored.fields["amount"], "123456789012345678.91");
}

#[test]
fn records_are_applied_in_the_order_given() {
    let desk = Desk::new();
    let (_, answer) = desk.send(&[role(1), deal(1), contact(1), company(1), owner(1)]);
    assert_eq!(
        verdicts(&answer),
        [
            "rejected:parent_missing",
            "rejected:parent_missing",
            "created",
            "created",
            "created"
        ]
    );
    let (_, answer) = desk.send(&family(2));
    assert_eq!(
        verdicts(&answer),
        ["unchanged", "unchanged", "unchanged", "created", "created"]
    );
}

#[test]
fn hard_references_need_their_target_and_soft_ones_do_not() {
    let desk = Desk::new();
    assert_eq!(desk.one(&contact(1)), "created", "its company is not there");
    assert_eq!(desk.one(&company(1)), "created", "its owner is not there");
    assert_eq!(desk.one(&deal(1)), "rejected:parent_missing");
    desk.one(&owner(1));
    assert_eq!(desk.one(&deal(1)), "created");
    let elsewhere = record(
        "opportunity",
        DEAL,
        2,
        json!({ "owner_id": "005000000000002AAA" }),
    );
    assert_eq!(desk.one(&elsewhere), "rejected:parent_missing");
    assert_eq!(
        desk.mos
            .record(RecordType::Opportunity, DEAL)
            .unwrap()
            .version,
        version(1),
        "a rejected record leaves nothing behind"
    );
    let (_, answer) = desk.send(&[record(
        "contact_role",
        ROLE,
        1,
        json!({ "contact_id": CONTACT }),
    )]);
    assert_eq!(answer["results"][0]["error"]["code"], "invalid_field");
    assert_eq!(answer["results"][0]["error"]["field"], "opportunity_id");
    assert_eq!(desk.one(&role(1)), "created");
    let partial = record("contact_role", ROLE, 2, json!({ "role": "Evaluator" }));
    assert_eq!(desk.one(&partial), "updated", "stored references count");
}

#[test]
fn fields_are_checked_and_nothing_of_a_bad_record_is_written() {
    let desk = Desk::new();
    let bad = record("user", OWNER, 1, json!({ "name": "Ada", "shoe_size": 36 }));
    assert_eq!(desk.one(&bad), "rejected:invalid_field");
    let bad = record(
        "user",
        OWNER,
        1,
        json!({ "name": "Ada", "is_active": "yes" }),
    );
    assert_eq!(desk.one(&bad), "rejected:invalid_field");
    let long = record("user", OWNER, 1, json!({ "title": "x".repeat(81) }));
    assert_eq!(desk.one(&long), "rejected:value_too_long");
    let unknown = record("invoice", OWNER, 1, json!({}));
    assert_eq!(desk.one(&unknown), "rejected:unknown_type");
    assert!(desk.mos.records(RecordType::User).is_empty());
}

#[test]
fn if_exists_writes_only_what_is_there() {
    let desk = Desk::new();
    desk.one(&owner(1));
    let last_word = with(deal(5), "if_exists", json!(true));
    assert_eq!(desk.one(&last_word), "skipped");
    assert!(desk.mos.records(RecordType::Opportunity).is_empty());
    desk.one(&deal(6));
    assert_eq!(desk.one(&last_word), "stale");
    let closed = record("opportunity", DEAL, 7, json!({ "is_closed": true }));
    assert_eq!(desk.one(&with(closed, "if_exists", json!(true))), "updated");
}

#[test]
fn what_an_admin_deleted_stays_deleted_until_restored() {
    let desk = Desk::new();
    desk.send(&family(1));
    assert_eq!(
        desk.mos.deleted_in_mos(RecordType::Company, COMPANY),
        4,
        "a company takes contacts, opportunities and their roles with it"
    );
    assert_eq!(desk.mos.deleted_in_mos(RecordType::Company, COMPANY), 0);
    assert_eq!(desk.one(&company(2)), "rejected:deleted_in_mos");
    assert_eq!(desk.one(&deal(2)), "rejected:deleted_in_mos");
    assert_eq!(
        desk.one(&with(deal(2), "if_exists", json!(true))),
        "skipped"
    );
    let restore = |record| with(record, "restore", json!(true));
    assert_eq!(desk.one(&restore(role(2))), "rejected:parent_missing");
    assert_eq!(desk.one(&restore(deal(0))), "stale");
    assert!(desk.mos.record(RecordType::Opportunity, DEAL).is_none());
    assert_eq!(desk.one(&restore(deal(1))), "updated");
    assert_eq!(desk.one(&restore(contact(2))), "updated");
    assert_eq!(desk.one(&restore(role(2))), "updated");
    assert_eq!(
        desk.one(&restore(role(3))),
        "unchanged",
        "restoring what is there"
    );
    let fault = Fault::DeletedInMos {
        kind: RecordType::User,
        external_id: OWNER.to_owned(),
    };
    desk.mos.fault(fault).unwrap();
    assert!(desk.mos.records(RecordType::User).is_empty());
    assert_eq!(desk.one(&deal(4)), "rejected:parent_missing");
}

#[test]
fn an_answer_of_200_is_repeated_for_its_key_for_a_day() {
    let desk = Desk::new();
    let body = json!({ "records": [owner(1)] }).to_string();
    let send = |body: &str| desk.mos.handle_upsert(Some("same"), body.as_bytes());
    let first = send(&body);
    assert_eq!(verdicts(&first.1), ["created"]);
    desk.hands.forward(24 * HOUR);
    assert_eq!(send(&body), first, "repeated, not applied");
    let other = json!({ "records": [owner(2)] }).to_string();
    let (status, answer) = send(&other);
    assert_eq!((status, code(&answer).as_str()), (422, "key_reused"));
    let nothing = json!({ "records": [] }).to_string();
    let (status, answer) = send(&nothing);
    assert_eq!((status, code(&answer).as_str()), (422, "key_reused"));
    desk.hands.forward(1);
    let (status, answer) = send(&nothing);
    assert_eq!((status, code(&answer).as_str()), (422, "malformed"));
    assert_eq!(
        verdicts(&send(&body).1),
        ["unchanged"],
        "forgotten, so applied again"
    );
    let replayed: Vec<bool> = desk
        .mos
        .ledger_since(0)
        .iter()
        .map(|entry| entry.replayed)
        .collect();
    assert_eq!(replayed, [false, true, false, false, false, false]);
    assert_eq!(
        desk.mos.ledger_since(1)[0].records[0].outcome,
        Some(Outcome::Created)
    );
}

#[test]
fn refusals_are_never_kept() {
    let desk = Desk::new();
    let send = |body: &str| desk.mos.handle_upsert(Some("same"), body.as_bytes()).0;
    assert_eq!(send("{"), 422);
    let fault = Fault::Status {
        status: 503,
        retry_after_s: None,
        count: Some(1),
    };
    desk.mos.fault(fault).unwrap();
    let body = json!({ "records": [owner(1)] }).to_string();
    assert_eq!(send(&body), 503);
    assert_eq!(send(&body), 200);
}

#[test]
fn a_body_that_is_not_understood_is_422_and_changes_nothing() {
    let desk = Desk::new();
    let good = owner(1).to_string();
    let with_text = |from: &str, to: &str| {
        let changed = good.replace(from, to);
        assert_ne!(changed, good, "{from}");
        format!(r#"{{"records":[{changed}]}}"#)
    };
    for (body, expected) in [
        (String::new(), "malformed"),
        ("[]".to_owned(), "malformed"),
        (r#"{"records":[]}"#.to_owned(), "malformed"),
        (r#"{"records":[],"more":1}"#.to_owned(), "malformed"),
        (with_text("\"type\":\"user\"", "\"type\":1"), "malformed"),
        (with_text("\"version\"", "\"versions\""), "malformed"),
        (
            with_text("\"type\":\"user\"", "\"type\":\"user\",\"delete\":true"),
            "malformed",
        ),
        (with_text(OWNER, "005"), "malformed"),
        (with_text(OWNER, "005000000000001AA-"), "malformed"),
        (
            with_text("\"is_active\":true", "\"name\":\"twice\""),
            "malformed",
        ),
        (
            with_text("{\"name\":\"Ada Lovelace\",\"is_active\":true}", "[]"),
            "malformed",
        ),
        (
            with_text(&version(1), "00000000000000000-1"),
            "invalid_version",
        ),
        (with_text(&version(1), ""), "invalid_version"),
        (
            format!(r#"{{"records":[{good},{good}]}}"#),
            "duplicate_record",
        ),
        (
            format!(
                r#"{{"records":[{},{}]}}"#,
                owner(1),
                with(company(1), "version", json!("1"))
            ),
            "invalid_version",
        ),
    ] {
        assert_eq!(desk.refused(&body), (422, expected.to_owned()), "{body}");
    }
    assert_eq!(
        desk.mos
            .handle_upsert(Some("x"), b"{\"records\":[\"\xff\"]}")
            .0,
        422
    );
    assert!(desk.mos.records(RecordType::User).is_empty());

    assert_eq!(desk.one(&owner(1)), "created");
    let body = format!(
        r#"{{"records":[{}]}}"#,
        with(owner(2), "version", json!("00000000000000000002"))
    );
    assert_eq!(
        desk.refused(&body),
        (422, "invalid_version".to_owned()),
        "another length than the store's"
    );
}

#[test]
fn a_key_is_required() {
    let desk = Desk::new();
    let body = json!({ "records": [owner(1)] }).to_string();
    let long = "k".repeat(256);
    for key in [None, Some(""), Some(long.as_str())] {
        let (status, answer) = desk.mos.handle_upsert(key, body.as_bytes());
        assert_eq!((status, code(&answer).as_str()), (422, "key_missing"));
    }
}

#[test]
fn too_many_records_or_bytes_are_413() {
    let desk = Desk::new();
    let records: Vec<Value> = (0..=RECORDS_MAX)
        .map(|number| record("user", &format!("005{number:015}"), 1, json!({})))
        .collect();
    assert_eq!(desk.send(&records).0, 413);
    assert!(desk.mos.records(RecordType::User).is_empty());
    assert_eq!(desk.send(&records[..RECORDS_MAX]).0, 200);
    assert_eq!(desk.mos.records(RecordType::User).len(), RECORDS_MAX);

    let body = json!({ "records": [owner(1)] }).to_string();
    let exact = format!("{body}{}", " ".repeat(BODY_BYTES_MAX - body.len()));
    assert_eq!(desk.send_raw(&exact).0, 200);
    assert_eq!(
        desk.refused(&format!("{exact} ")),
        (413, "too_large".to_owned())
    );
}

#[test]
fn the_ledger_holds_every_request_also_those_that_failed() {
    let desk = Desk::new();
    desk.hands.forward(1_000);
    desk.one(&owner(1));
    desk.hands.forward(1_000);
    desk.mos
        .fault(Fault::Status {
            status: 429,
            retry_after_s: Some(3),
            count: Some(1),
        })
        .unwrap();
    desk.send(&[owner(2)]);
    desk.send_raw("nonsense");
    desk.mos
        .fault(Fault::ApplyThenLoseAnswer { count: Some(1) })
        .unwrap();
    assert_eq!(desk.send(&[owner(3), deal(3)]), (0, Value::Null));

    let ledger = desk.mos.ledger_since(0);
    let seen: Vec<_> = ledger
        .iter()
        .map(|entry| {
            (
                entry.index,
                entry.at_micros,
                entry.status,
                entry.lost,
                entry.records.len(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (1, 1_000, 200, false, 1),
            (2, 2_000, 429, false, 1),
            (3, 2_000, 422, false, 0),
            (4, 2_000, 200, true, 2),
        ]
    );
    assert_eq!(ledger[1].records[0].outcome, None);
    assert_eq!(ledger[1].records[0].version, version(2));
    assert_eq!(ledger[3].records[0].outcome, Some(Outcome::Unchanged));
    assert_eq!(ledger[3].records[1].outcome, Some(Outcome::Created));
    assert_eq!(desk.mos.ledger_since(3).len(), 1);
    assert!(desk.mos.ledger_since(4).is_empty());
    let as_json = serde_json::to_value(&*ledger[3]).unwrap();
    assert_eq!(as_json["records"][1]["type"], "opportunity");
    assert_eq!(as_json["records"][1]["fields"]["amount"], 1200.5);
    assert_eq!(as_json["idempotency_key"], "key-4");
    assert_eq!(
        desk.mos.counters()["by_status"],
        json!({ "200": 2, "422": 1, "429": 1 })
    );
    assert_eq!(
        desk.mos.counters()["records"]["user"],
        json!({ "created": 1, "not_applied": 1, "unchanged": 1 })
    );
    assert_eq!(desk.mos.counters()["held"]["opportunity"], 1);
}

#[test]
fn a_lost_answer_can_be_asked_for_again() {
    let desk = Desk::new();
    let body = json!({ "records": [owner(1)] }).to_string();
    for fault in [
        Fault::ApplyThenLoseAnswer { count: Some(1) },
        Fault::Truncated { count: Some(1) },
    ] {
        desk.mos.fault(fault).unwrap();
        assert_eq!(desk.mos.handle_upsert(Some("k"), body.as_bytes()).0, 0);
    }
    let (status, answer) = desk.mos.handle_upsert(Some("k"), body.as_bytes());
    assert_eq!(
        (status, verdicts(&answer)),
        (200, vec!["created".to_owned()])
    );
}

#[test]
fn faults_count_down_and_clear() {
    let desk = Desk::new();
    desk.mos.fault(Fault::Hang { count: Some(1) }).unwrap();
    assert_eq!(desk.send(&[owner(1)]), (0, Value::Null));
    assert!(
        desk.mos.records(RecordType::User).is_empty(),
        "a hang applies nothing"
    );

    desk.mos.fault(Fault::Garbage { count: Some(1) }).unwrap();
    assert!(desk.send(&[owner(1)]).1.is_string());

    desk.mos.fault(Fault::Shuffled { count: Some(1) }).unwrap();
    let (_, answer) = desk.send(&[owner(2), company(2)]);
    assert_eq!(answer["results"][0]["type"], "company");

    desk.mos.fault(Fault::Short { count: Some(1) }).unwrap();
    let (_, answer) = desk.send(&[owner(3), company(3)]);
    assert_eq!(answer["results"].as_array().unwrap().len(), 1);

    desk.mos.fault(Fault::Down { refuse: false }).unwrap();
    assert_eq!(desk.send(&[owner(4)]).0, 503);
    assert_eq!(desk.send(&[owner(4)]).0, 503);
    desk.mos.fault(Fault::Clear).unwrap();
    assert_eq!(desk.one(&owner(4)), "unchanged");

    assert!(
        desk.mos
            .fault(Fault::Status {
                status: 404,
                retry_after_s: None,
                count: None
            })
            .is_err()
    );
}

#[test]
fn records_can_be_rejected_by_id_by_number_and_by_chance() {
    let reject = |code, ids: &[&str], probability, count| Fault::Reject {
        code,
        field: None,
        probability,
        ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        count,
    };
    let desk = Desk::new();
    desk.mos
        .fault(reject(RejectCode::Busy, &[COMPANY], None, Some(1)))
        .unwrap();
    let (_, answer) = desk.send(&[owner(1), company(1)]);
    assert_eq!(verdicts(&answer), ["created", "rejected:busy"]);
    let (_, answer) = desk.send(&[owner(2), company(2)]);
    assert_eq!(verdicts(&answer), ["unchanged", "created"]);

    desk.mos
        .fault(reject(RejectCode::Busy, &[], Some(0.25), None))
        .unwrap();
    let busy = (10..1_010)
        .filter(|number| desk.one(&owner(*number)) == "rejected:busy")
        .count();
    assert!((200..300).contains(&busy), "{busy} of 1000 at a quarter");
    assert!(
        desk.mos
            .fault(reject(RejectCode::Busy, &[], Some(1.5), None))
            .is_err()
    );
}
