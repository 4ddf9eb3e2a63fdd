//! Cases worked out by hand.

use oracle::{
    ChangeKind, Kind, MosLedger, MosState, Outcome, Settings, audit, last_words, latency,
    out_of_scope, percentile,
};
use serde_json::{Value, json};

use crate::org::*;

const ALL: [&str; 5] = [
    "user u",
    "company a",
    "contact c",
    "opportunity o",
    "contact_role r",
];

#[test]
fn a_qualifying_opportunity_brings_its_owner_account_roles_and_their_contacts() {
    let mut org = Org::family();
    let defaults = Settings::default();
    assert_eq!(
        org.scope(&defaults, 0),
        ALL,
        "contact d hangs on nothing, user v owns nothing"
    );
    org.at(1).create(
        "OpportunityContactRole",
        "s",
        json!({ "OpportunityId": "o", "ContactId": "d" }),
    );
    assert_eq!(org.scope(&defaults, 1).len(), 7);
    org.at(2)
        .update("OpportunityContactRole", "r", json!({ "ContactId": "d" }));
    assert_eq!(
        org.scope(&defaults, 2).len(),
        6,
        "both roles name d now, nobody names c"
    );
    org.at(3).delete("OpportunityContactRole", "s");
    org.at(4).delete("OpportunityContactRole", "r");
    assert_eq!(org.scope(&defaults, 3).len(), 5);
    assert_eq!(
        org.scope(&defaults, 4),
        ["user u", "company a", "opportunity o"]
    );
    assert_eq!(org.scope(&defaults, 0), ALL, "the past is as it was");
}

#[test]
fn deleted_records_are_out_and_undeleted_ones_are_back() {
    let mut org = Org::family();
    let defaults = Settings::default();
    org.at(1).delete("Opportunity", "o");
    assert!(org.scope(&defaults, 1).is_empty());
    org.at(2).undelete("Opportunity", "o");
    assert_eq!(org.scope(&defaults, 2), ALL);
    org.at(3).delete("Account", "a");
    assert!(!org.scope(&defaults, 3).contains(&"company a".to_owned()));
    assert_eq!(org.scope(&defaults, 3).len(), 4);
}

#[test]
fn permission_is_direct_or_through_a_group_and_needs_an_active_user() {
    let defaults = Settings::default();
    let mut org = Org::family();
    org.at(1).delete("PermissionSetAssignment", "g");
    assert!(org.scope(&defaults, 1).is_empty());
    let through = |group: &str| json!({ "AssigneeId": "u", "PermissionSetId": "aggregate", "PermissionSetGroupId": group });
    org.at(2)
        .create("PermissionSetAssignment", "h", through("elsewhere"));
    assert!(
        org.scope(&defaults, 2).is_empty(),
        "a group without the set"
    );
    org.at(3)
        .create("PermissionSetAssignment", "i", through("group"));
    assert_eq!(org.scope(&defaults, 3), ALL);
    org.at(4).delete("PermissionSetGroupComponent", "part");
    assert!(org.scope(&defaults, 4).is_empty());
    org.at(5).create(
        "PermissionSetGroupComponent",
        "p2",
        json!({ "PermissionSetGroupId": "group", "PermissionSetId": "set" }),
    );
    assert_eq!(org.scope(&defaults, 5), ALL);
    org.at(6)
        .update("PermissionSet", "set", json!({ "Name": "Renamed" }));
    assert!(org.scope(&defaults, 6).is_empty());
    org.at(7)
        .update("PermissionSet", "other", json!({ "Name": "mOS_Admin" }));
    org.at(8).create(
        "PermissionSetAssignment",
        "j",
        json!({ "AssigneeId": "u", "PermissionSetId": "other" }),
    );
    assert_eq!(org.scope(&defaults, 8), ALL);
    org.at(9).update("User", "u", json!({ "IsActive": false }));
    assert!(org.scope(&defaults, 9).is_empty());
    org.at(10).update("User", "u", json!({ "IsActive": true }));
    org.at(11)
        .update("PermissionSetAssignment", "j", json!({ "IsRevoked": true }));
    assert_eq!(org.scope(&defaults, 10), ALL);
    assert!(org.scope(&defaults, 11).is_empty());
}

#[test]
fn a_grant_runs_out_without_a_commit() {
    let mut org = Org::family();
    let defaults = Settings::default();
    org.at(1).update(
        "PermissionSetAssignment",
        "g",
        json!({ "ExpirationDate": "1970-01-01T00:01:00.000+0000" }),
    );
    assert_eq!(org.scope(&defaults, 59), ALL);
    assert!(org.scope(&defaults, 60).is_empty());
    // Sent at 61 s with 2 s of slack: fine. At 70 s: not.
    let report = |at| {
        out_of_scope(
            &org.history,
            &defaults,
            &ledger(vec![sent(at, "contact", "c", 1.0)]),
            2 * SECOND,
        )
        .unwrap()
    };
    assert_eq!(report(61.0), []);
    assert_eq!(report(70.0)[0].left_before_micros, Some(10 * SECOND));
    // Two grants: the longer one counts; an extension counts.
    org.at(100).update(
        "PermissionSetAssignment",
        "g",
        json!({ "ExpirationDate": "1970-01-01T00:03:00.000+0000" }),
    );
    org.at(120).create("PermissionSetAssignment", "h", json!({ "AssigneeId": "u", "PermissionSetId": "set", "ExpirationDate": "1970-01-01T00:05:00.000Z" }));
    assert_eq!(org.scope(&defaults, 100), ALL);
    assert_eq!(org.scope(&defaults, 200), ALL);
    assert!(org.scope(&defaults, 300).is_empty());
}

#[test]
fn closed_opportunities_need_the_switch_and_the_filter_needs_a_match() {
    let mut org = Org::family();
    org.at(1).update(
        "Opportunity",
        "o",
        json!({ "IsClosed": true, "StageName": "Closed Won" }),
    );
    assert!(org.scope(&Settings::default(), 1).is_empty());
    assert_eq!(org.scope(&settings(json!({ "sync_closed": true })), 1), ALL);
    assert!(
        org.scope(
            &settings(json!({ "sync_closed": true, "disabled": true })),
            1
        )
        .is_empty()
    );
    let filter = |operator: &str| {
        settings(json!({ "filter": { "conditions": [
            { "field": "Amount", "operator": operator, "values": ["1000"] },
            { "field": "StageName", "operator": "starts_with", "values": ["closed"] },
        ], "logic": "1 AND NOT 2" } }))
    };
    assert_eq!(org.scope(&filter("greater_than"), 0), ALL);
    assert!(org.scope(&filter("less_than"), 0).is_empty());
    assert!(org.scope(&filter("greater_than"), 1).is_empty());
}

#[test]
fn an_audit_names_what_is_missing_and_which_field_is_stale() {
    let org = Org::family();
    let defaults = Settings::default();
    let good = perfect(&org, &defaults, 0);
    let verdict = |mos: &MosState| audit(&org.history, &defaults, mos, 0).unwrap();
    assert!(verdict(&good).is_clean());
    assert_eq!(verdict(&MosState::default()).missing.len(), 5);

    let ids = [
        (Kind::User, "u"),
        (Kind::Company, "a"),
        (Kind::Contact, "c"),
        (Kind::Opportunity, "o"),
        (Kind::ContactRole, "r"),
    ];
    let with = |kind, id, fields: Value| verdict(&changed(&good, &ids, (kind, id, fields)));
    // The same in other words.
    assert!(with(Kind::Opportunity, "o", json!({ "amount": "1200.50" })).is_clean());
    assert!(with(Kind::Opportunity, "o", json!({ "amount": 1200.5 })).is_clean());
    assert!(
        with(
            Kind::Opportunity,
            "o",
            json!({ "created_at": "2026-01-01T02:00:00+02:00" })
        )
        .is_clean()
    );
    assert!(
        with(
            Kind::Company,
            "a",
            json!({ "annual_revenue": "5000000", "employees": "12.0" })
        )
        .is_clean()
    );
    assert!(with(Kind::Contact, "c", json!({ "email": null, "unmapped": 1 })).is_clean());
    // Different.
    for (kind, id, field, value) in [
        (Kind::Opportunity, "o", "amount", json!("1200.51")),
        (Kind::Opportunity, "o", "amount", Value::Null),
        (
            Kind::Opportunity,
            "o",
            "created_at",
            json!("2026-01-01T00:00:01.000Z"),
        ),
        (Kind::Opportunity, "o", "name", json!("deal o")),
        (Kind::Opportunity, "o", "next_step", json!("Call")),
        (Kind::User, "u", "is_active", json!("true")),
        (Kind::Company, "a", "employees", json!(13)),
        (Kind::ContactRole, "r", "contact_id", json!("d")),
    ] {
        let found = with(kind, id, json!({ field: value }));
        assert!(found.missing.is_empty());
        assert_eq!(found.stale.len(), 1, "{field}");
        let mismatch = &found.stale[0];
        assert_eq!((mismatch.field.as_str(), &mismatch.got), (field, &value));
        assert!(found.without(|parked, _| parked == kind).is_clean());
    }
    let less = changed(&good, &ids[..4], (Kind::User, "u", json!({})));
    assert_eq!(
        serde_json::to_value(verdict(&less)).unwrap(),
        json!({ "missing": [{ "type": "contact_role", "id": "r" }], "stale": [] })
    );
}

#[test]
fn what_left_the_scope_may_be_sent_for_the_slack_and_no_longer() {
    let mut org = Org::family();
    let defaults = Settings::default();
    org.at(10)
        .update("Opportunity", "o", json!({ "OwnerId": "v" }));
    org.at(20)
        .update("Opportunity", "o", json!({ "OwnerId": "u" }));
    let found =
        |entries| out_of_scope(&org.history, &defaults, &ledger(entries), 3 * SECOND).unwrap();
    for record in ALL {
        let (kind, id) = record.split_once(' ').unwrap();
        assert_eq!(
            found(vec![
                sent(5.0, kind, id, 1.0),
                sent(13.0, kind, id, 1.0),
                sent(20.0, kind, id, 20.0)
            ]),
            []
        );
        let late = found(vec![sent(13.1, kind, id, 1.0)]);
        assert_eq!(late[0].left_before_micros, Some(3_100_000), "{record}");
    }
    let never = found(vec![
        sent(5.0, "contact", "d", 1.0),
        sent(5.0, "user", "v", 1.0),
        sent(5.0, "invoice", "o", 1.0),
    ]);
    assert_eq!(
        never
            .iter()
            .map(|never| never.left_before_micros)
            .collect::<Vec<_>>(),
        [None, None, None]
    );
    // A request that failed was sent all the same.
    let mut failed = sent(15.0, "opportunity", "o", 1.0);
    failed.status = 503;
    failed.records[0].outcome = None;
    assert_eq!(found(vec![failed]).len(), 1);
}

#[test]
fn one_last_word_of_a_closed_opportunity_is_allowed_and_due() {
    let mut org = Org::family();
    let defaults = Settings::default();
    let before = perfect(&org, &defaults, 0);
    org.at(10).update(
        "Opportunity",
        "o",
        json!({ "IsClosed": true, "IsWon": true }),
    );

    let found = |entry| {
        out_of_scope(&org.history, &defaults, &ledger(vec![entry]), SECOND)
            .unwrap()
            .len()
    };
    assert_eq!(found(if_exists(sent(15.0, "opportunity", "o", 10.0))), 0);
    assert_eq!(
        found(sent(15.0, "opportunity", "o", 10.0)),
        1,
        "only with if_exists"
    );
    assert_eq!(
        found(if_exists(sent(15.0, "company", "a", 10.0))),
        1,
        "only the opportunity"
    );
    assert_eq!(
        found(sent(10.5, "company", "a", 10.0)),
        0,
        "within the slack"
    );

    let due = |org: &Org, mos: &MosState, at: i64| {
        last_words(&org.history, &defaults, mos, at * SECOND).unwrap()
    };
    let missed = due(&org, &before, 10);
    assert_eq!(
        (missed[0].record.id.as_str(), &missed[0].got),
        ("o", &json!(false))
    );
    assert_eq!(due(&org, &before, 9), [], "not closed yet");
    assert_eq!(
        due(&org, &MosState::default(), 10),
        [],
        "mOS does not have it"
    );
    let ids = [(Kind::Opportunity, "o")];
    let told = changed(
        &before,
        &ids,
        (Kind::Opportunity, "o", json!({ "is_closed": true })),
    );
    assert_eq!(due(&org, &told, 10), []);
    // Whose owner is out by now has no last word; and neither has one that closed while out.
    org.at(20)
        .update("Opportunity", "o", json!({ "OwnerId": "v" }));
    assert_eq!(due(&org, &before, 20), []);
    org.at(30)
        .update("Opportunity", "o", json!({ "IsClosed": false }));
    org.at(40)
        .update("Opportunity", "o", json!({ "IsClosed": true }));
    org.at(50)
        .update("Opportunity", "o", json!({ "OwnerId": "u" }));
    assert_eq!(due(&org, &before, 50), []);
    assert_eq!(
        last_words(
            &org.history,
            &settings(json!({ "sync_closed": true })),
            &before,
            10 * SECOND
        )
        .unwrap(),
        [],
        "an audit's matter"
    );
}

#[test]
fn latency_runs_from_the_commit_to_the_first_row_read_after_it() {
    let mut org = Org::family();
    let defaults = Settings::default();
    org.at(10)
        .update("Opportunity", "o", json!({ "Amount": 1 }));
    org.at(11)
        .update("Opportunity", "o", json!({ "Amount": 2 }));
    org.at(12)
        .update("Opportunity", "o", json!({ "Fiscal": "2026 1" }));
    org.at(13).update("Contact", "d", json!({ "Phone": "1" }));
    org.at(14).update("Account", "a", json!({ "Phone": "1" }));
    let entries = vec![
        sent(10.5, "opportunity", "o", 10.2),
        sent(11.5, "opportunity", "o", 10.9),
        sent(13.0, "opportunity", "o", 11.0),
    ];
    let samples = latency(
        &org.history,
        &defaults,
        &ledger(entries.clone()),
        5 * SECOND,
    )
    .unwrap();
    let seen: Vec<_> = samples
        .iter()
        .map(|sample| (sample.object, sample.changed_at / SECOND, sample.landed))
        .collect();
    assert_eq!(
        seen,
        [
            (Kind::Opportunity, 10, Some(11 * SECOND)),
            (Kind::Opportunity, 11, Some(13 * SECOND + SECOND / 2)),
            (Kind::Company, 14, None),
        ],
        "no mapped field changed at 12 s; contact d is not in scope"
    );
    assert_eq!(percentile(&samples, 33.0), Some(1_000.0));
    assert_eq!(percentile(&samples, 50.0), Some(2_500.0));
    assert_eq!(percentile(&samples, 99.0), Some(f64::INFINITY));
    assert_eq!(percentile(&samples[..2], 99.0), Some(2_500.0));
    assert_eq!(percentile(&[], 50.0), None);

    // Refused or unanswered requests do not land.
    let landed = |change: fn(&mut oracle::LedgerEntry)| {
        let mut entry = sent(15.0, "company", "a", 14.5);
        change(&mut entry);
        latency(&org.history, &defaults, &ledger(vec![entry]), 14 * SECOND).unwrap()[0]
            .landed
            .is_some()
    };
    assert!(landed(|_| {}));
    assert!(landed(
        |entry| entry.records[0].outcome = Some(Outcome::Unchanged)
    ));
    assert!(!landed(
        |entry| entry.records[0].outcome = Some(Outcome::Rejected)
    ));
    assert!(!landed(
        |entry| entry.records[0].outcome = Some(Outcome::Stale)
    ));
    assert!(!landed(|entry| entry.status = 503));

    // A change that brings the record in counts; what leaves afterwards does not.
    org.at(20)
        .update("Opportunity", "o", json!({ "OwnerId": "v" }));
    org.at(21)
        .update("Opportunity", "o", json!({ "OwnerId": "u" }));
    let samples = latency(&org.history, &defaults, &MosLedger::default(), 5 * SECOND).unwrap();
    let times: Vec<i64> = samples
        .iter()
        .map(|sample| sample.changed_at / SECOND)
        .collect();
    assert_eq!(times, [21]);
}

#[test]
fn what_closes_in_the_moment_it_would_have_come_in_has_no_last_word() {
    let mut org = Org::family();
    let defaults = Settings::default();
    let before = perfect(&org, &defaults, 0);
    org.at(1)
        .update("Opportunity", "o", json!({ "OwnerId": "v" }));
    org.at(2).update(
        "Opportunity",
        "o",
        json!({ "OwnerId": "u", "IsClosed": true }),
    );
    assert_eq!(
        last_words(&org.history, &defaults, &before, 2 * SECOND).unwrap(),
        []
    );
}

#[test]
fn what_is_sent_before_it_comes_into_scope_never_left_it() {
    let mut org = Org::family();
    org.at(10).create(
        "OpportunityContactRole",
        "s",
        json!({ "OpportunityId": "o", "ContactId": "d" }),
    );
    org.at(20).delete("OpportunityContactRole", "s");
    let early = ledger(vec![sent(5.0, "contact", "d", 1.0)]);
    let found = out_of_scope(&org.history, &Settings::default(), &early, SECOND).unwrap();
    assert_eq!(found[0].left_before_micros, None);
}

#[test]
fn a_change_of_an_unmapped_field_that_lets_a_record_in_is_a_sample_of_latency() {
    let mut org = Org::family();
    org.at(10)
        .update("Opportunity", "o", json!({ "Fiscal": "2026 1" }));
    let filtered = settings(json!({ "filter": { "conditions": [
        { "field": "Fiscal", "operator": "equals", "values": ["2026 1"] },
    ] } }));
    let samples = latency(&org.history, &filtered, &MosLedger::default(), SECOND).unwrap();
    assert_eq!(samples.len(), 1);
}

#[test]
fn what_moved_silently_counts_for_the_scope_and_not_for_the_latency() {
    let mut org = Org::family();
    org.at(10);
    let mut row = org.rows[&("Opportunity".to_owned(), "o".to_owned())].clone();
    row.insert("Probability".to_owned(), json!(20));
    org.history
        .silent_change("Opportunity", "o", ChangeKind::Update, &row);
    let defaults = Settings::default();
    let before = perfect(&org, &defaults, 0);
    let stale = audit(&org.history, &defaults, &before, 10 * SECOND)
        .unwrap()
        .stale;
    assert_eq!((stale.len(), stale[0].field.as_str()), (1, "probability"));
    assert_eq!(
        latency(&org.history, &defaults, &MosLedger::default(), SECOND).unwrap(),
        []
    );
    org.at(11);
    row.insert("IsClosed".to_owned(), json!(true));
    org.history
        .silent_change("Opportunity", "o", ChangeKind::Update, &row);
    assert!(org.scope(&defaults, 11).is_empty());
}

#[test]
fn commits_and_ledgers_are_read_as_the_stand_ins_write_them() {
    let commits = json!([{
        "number": 7, "transaction_key": "k", "at_micros": 5, "stamp_ms": 0, "user": "005", "origin": "",
        "changes": [
            { "entity": "Opportunity", "id": "o", "kind": "CREATE", "before": null, "after": { "Id": "o", "Amount": 1.5 }, "changed": [] },
            { "entity": "Lead", "id": "l", "kind": "Undelete", "before": null, "after": {}, "changed": [] },
        ],
        "silent": [],
    }]);
    let history = oracle::History::from_json(&commits.to_string()).unwrap();
    assert_eq!(history.last_micros(), Some(5));
    let ledger: MosLedger = serde_json::from_value(json!({ "entries": [{
        "index": 1, "at_micros": 1, "answered_micros": 2, "idempotency_key": null, "status": 200, "lost": false,
        "replayed": false, "records": [{ "type": "user", "external_id": "u", "version": "1", "if_exists": false,
        "restore": false, "outcome": "created", "error_code": null, "error_field": null, "error_message": null, "fields": {} }],
    }] }))
    .unwrap();
    assert_eq!(ledger.entries[0].records[0].outcome, Some(Outcome::Created));
    let backwards = json!([{ "at_micros": 5, "changes": [] }, { "at_micros": 4, "changes": [] }]);
    assert!(oracle::History::from_json(&backwards.to_string()).is_err());
}
