//! Rules that change in time, worked out by hand.

use oracle::{Epoch, Kind, OrgProfile, Settings, Timeline};
use serde_json::{Value, json};

use crate::org::*;

fn filter(field: &str, operator: &str, value: &str) -> Value {
    let condition = json!({ "field": field, "operator": operator, "values": [value] });
    json!({ "filter": { "conditions": [condition] } })
}

/// Settings from these seconds on.
fn epochs<'s>(settings: &'s [(i64, Settings)]) -> Vec<Epoch<'s>> {
    settings
        .iter()
        .map(|(from, settings)| Epoch {
            from_micros: from * SECOND,
            settings,
        })
        .collect()
}

fn played<'h>(org: &'h Org, epochs: &[Epoch<'h>], until: i64) -> Timeline<'h> {
    Timeline::of_epochs(&org.history, epochs, until * SECOND).unwrap()
}

/// When a record was in scope, in seconds; -1 while it lasts.
fn seconds(timeline: &Timeline<'_>, kind: Kind, id: &str) -> Vec<(i64, i64)> {
    let spans = timeline.spans(kind, id).iter();
    spans
        .map(|span| (span.from / SECOND, span.to.map_or(-1, |to| to / SECOND)))
        .collect()
}

#[test]
fn a_save_moves_the_scope_at_its_moment() {
    let mut org = Org::family();
    org.at(30)
        .update("Opportunity", "o", json!({ "Amount": 10 }));
    let saved = [
        (5, settings(json!({}))),
        (10, settings(filter("Amount", "greater_than", "5000"))),
        (20, settings(filter("Amount", "greater_than", "1000"))),
        (40, settings(json!({}))),
    ];
    let timeline = played(&org, &epochs(&saved), 100);
    for (kind, id) in [
        (Kind::Opportunity, "o"),
        (Kind::User, "u"),
        (Kind::Contact, "c"),
    ] {
        assert_eq!(
            seconds(&timeline, kind, id),
            [(5, 10), (20, 30), (40, -1)],
            "nothing is in scope before the first settings"
        );
    }
    assert_eq!(seconds(&timeline, Kind::Contact, "d"), []);
    let early = played(&org, &epochs(&saved), 9);
    assert!(early.in_scope(Kind::Opportunity, "o"));
    assert!(!played(&org, &epochs(&saved), 10).in_scope(Kind::Opportunity, "o"));
}

#[test]
fn a_relative_date_turns_at_midnight_of_its_zone() {
    let mut org = Org::new();
    org.user("u").grant("g", "u").deal("o", "u");
    org.at(0)
        .update("Opportunity", "o", json!({ "CloseDate": "1970-01-02" }));
    let tokyo = OrgProfile {
        time_zone: "Asia/Tokyo".to_owned(),
        ..OrgProfile::default()
    };
    let today = settings(filter("CloseDate", "equals", "TODAY")).in_org(tokyo);
    const HOUR: i64 = 3_600;
    let timeline = Timeline::new(&org.history, &today, 100 * HOUR * SECOND).unwrap();
    assert_eq!(
        seconds(&timeline, Kind::Opportunity, "o"),
        [(15 * HOUR, 39 * HOUR)]
    );
    // Rules saved later turn in their own zone, those before them no more.
    let saved = [
        (0, today),
        (20 * HOUR, settings(filter("CloseDate", "equals", "TODAY"))),
    ];
    let timeline = played(&org, &epochs(&saved), 100 * HOUR);
    assert_eq!(
        seconds(&timeline, Kind::Opportunity, "o"),
        [(15 * HOUR, 20 * HOUR), (24 * HOUR, 48 * HOUR)]
    );
}

#[test]
fn nothing_is_sent_while_the_switch_is_off_and_what_closed_meanwhile_has_its_last_word() {
    let mut org = Org::family();
    let saved = [
        (0, settings(json!({}))),
        (10, settings(json!({ "disabled": true }))),
        (30, settings(json!({}))),
    ];
    org.at(20)
        .update("Opportunity", "o", json!({ "IsClosed": true }));
    let epochs = epochs(&saved);
    let off = played(&org, &epochs, 15);
    let before = perfect(&org, &saved[0].1, 0);
    let fields = |kind, id: &str| before.get(kind, id).map(|record| record.fields.clone());
    assert!(off.audit(|_, _| None).is_clean(), "nothing is due");
    assert!(off.last_words(fields).is_empty());
    assert!(!off.in_scope(Kind::Opportunity, "nobody"));
    let requests = ledger(vec![
        sent(9.0, "opportunity", "o", 1.0),
        sent(11.0, "opportunity", "o", 1.0),
        sent(15.0, "opportunity", "o", 1.0),
        sent(31.0, "opportunity", "o", 1.0),
    ]);
    let on = played(&org, &epochs, 100);
    let late = on.while_disabled(&requests, 2 * SECOND);
    assert_eq!(late.len(), 1);
    assert_eq!(late[0].at_micros, 15 * SECOND);
    assert_eq!(late[0].left_before_micros, Some(5 * SECOND));
    assert_eq!(on.last_words(fields).len(), 1, "it is on again");
}

#[test]
fn who_hears_late_takes_for_in_scope_what_was_a_moment_ago() {
    let mut org = Org::family();
    org.at(10).delete("PermissionSetAssignment", "g");
    // Nobody has heard yet that u lost the permission: what u gets seems to come into scope.
    org.at(12).deal("p", "v");
    org.at(14)
        .update("Opportunity", "p", json!({ "OwnerId": "u" }));
    let defaults = [(0, settings(json!({})))];
    let epochs = epochs(&defaults);
    let strict = played(&org, &epochs, 100);
    assert_eq!(seconds(&strict, Kind::Opportunity, "p"), []);
    let late = Timeline::with_lag(&org.history, &epochs, 100 * SECOND, 5 * SECOND).unwrap();
    assert_eq!(seconds(&late, Kind::Opportunity, "p"), [(14, 15)]);
    assert_eq!(seconds(&late, Kind::Opportunity, "o"), [(0, 15)]);

    // A permission that is given back in time was never lost to him.
    org.at(16).grant("h", "u");
    let late = Timeline::with_lag(&org.history, &epochs, 100 * SECOND, 10 * SECOND).unwrap();
    assert_eq!(seconds(&late, Kind::Opportunity, "p"), [(14, -1)]);
}

#[test]
fn who_hears_late_of_settings_goes_by_the_old_ones_as_well() {
    let mut org = Org::family();
    let saved = [
        (0, settings(filter("Amount", "greater_than", "1000"))),
        (10, settings(filter("Amount", "greater_than", "5000"))),
    ];
    org.at(12)
        .update("Opportunity", "o", json!({ "Amount": 10 }));
    org.at(13)
        .update("Opportunity", "o", json!({ "Amount": 2000 }));
    let epochs = epochs(&saved);
    let late = Timeline::with_lag(&org.history, &epochs, 100 * SECOND, 5 * SECOND).unwrap();
    assert_eq!(
        seconds(&late, Kind::Opportunity, "o"),
        [(0, 12), (13, 15)],
        "by the old settings, for five seconds more"
    );
    assert_eq!(
        seconds(&played(&org, &epochs, 100), Kind::Opportunity, "o"),
        [(0, 10)]
    );
}

#[test]
fn a_mapping_is_audited_from_its_save_on() {
    let mut org = Org::family();
    org.at(1).update(
        "Opportunity",
        "o",
        json!({ "Term__c": 2.5, "Arr__c": 1e3, "NextStep": "Call" }),
    );
    let row = |mos: &str, salesforce: &str, term: Value| json!({ "object": "Opportunity", "mos_field": mos, "salesforce_field": salesforce, "active": true, "contract_term_type": term });
    let mut off = row("stage", "StageName", Value::Null);
    off["active"] = json!(false);
    let mapped = settings(json!({ "mapping": [
        row("name", "NextStep", Value::Null),
        row("contract_term", "Term__c", json!("half_yearly")),
        row("arr", "Arr__c", Value::Null),
        off,
    ] }));
    let scope = oracle::in_scope(&org.history, SECOND, &mapped).unwrap();
    let deal = scope
        .iter()
        .find(|(record, _)| record.kind == Kind::Opportunity)
        .unwrap()
        .1;
    let deal = Value::from(deal.clone());
    for (field, value) in [("name", "Call"), ("contract_term", "15"), ("arr", "1000")] {
        assert_eq!(deal[field], value);
    }
    assert_eq!(deal.get("stage"), None, "a row that is not active");
    assert!(deal["owner_id"].is_string(), "mapped as standard");
    let saved = [(0, settings(json!({}))), (10, mapped)];
    let epochs = epochs(&saved);
    let before = perfect(&org, &saved[0].1, 1);
    let fields = |kind, id: &str| before.get(kind, id).map(|record| record.fields.clone());
    assert!(played(&org, &epochs, 9).audit(fields).is_clean());
    let audit = played(&org, &epochs, 10).audit(fields);
    let stale: Vec<&str> = audit.stale.iter().map(|it| it.field.as_str()).collect();
    assert_eq!(stale, ["name", "contract_term", "arr"]);
    assert!(audit.missing.is_empty());
}

#[test]
fn the_org_is_read_from_its_own_rows() {
    let mut org = Org::new();
    org.at(5).create(
        "Organization",
        "00D",
        json!({ "TimeZoneSidKey": "Europe/Berlin", "DefaultLocaleSidKey": "de_DE", "FiscalYearStartMonth": 4 }),
    );
    org.at(6).create(
        "User",
        "me",
        json!({ "TimeZoneSidKey": "Asia/Tokyo", "LocaleSidKey": "en_US" }),
    );
    org.at(7)
        .create(
            "CurrencyType",
            "e",
            json!({ "IsoCode": "EUR", "IsCorporate": true, "ConversionRate": 1 }),
        )
        .create(
            "CurrencyType",
            "d",
            json!({ "IsoCode": "USD", "IsCorporate": false, "ConversionRate": 1.25 }),
        );
    org.at(8)
        .create(
            "FiscalYearSettings",
            "f",
            json!({ "IsStandardYear": false }),
        )
        .create(
            "Period",
            "y",
            json!({ "Type": "Year", "StartDate": "2026-02-01", "EndDate": "2027-01-30" }),
        );
    let profile = |seconds: i64| OrgProfile::at(&org.history, "me", seconds * SECOND);
    assert_eq!(profile(4), OrgProfile::default());
    let early = profile(6);
    assert_eq!(
        (early.time_zone.as_str(), early.user_time_zone.as_str()),
        ("Europe/Berlin", "Asia/Tokyo")
    );
    assert_eq!((early.first_weekday, early.user_first_weekday), (1, 0));
    assert_eq!(early.fiscal, oracle::Fiscal::Standard { start_month: 4 });
    assert_eq!(early.currencies, None);
    let currencies = profile(7).currencies.unwrap();
    assert_eq!(currencies.corporate, "EUR");
    assert_eq!(currencies.rates["USD"], "1.25");
    assert!(matches!(profile(8).fiscal, oracle::Fiscal::Custom { years, .. } if years.len() == 1));
}

#[test]
fn what_left_the_scope_holds_what_it_said_while_it_was_in() {
    let mut org = Org::family();
    org.at(10)
        .update("Opportunity", "o", json!({ "NextStep": "Call" }));
    org.at(20)
        .update("Opportunity", "o", json!({ "OwnerId": "v" }));
    org.at(30)
        .update("Opportunity", "o", json!({ "NextStep": "Wait" }));
    let defaults = Settings::default();
    let ids = [(Kind::Opportunity, "o")];
    let before = perfect(&org, &defaults, 9);
    let altered = |fields: Value| {
        let mos = changed(&before, &ids, (Kind::Opportunity, "o", fields));
        let timeline = Timeline::new(&org.history, &defaults, 100 * SECOND).unwrap();
        let altered = timeline.altered_outside(&mos, 5 * SECOND).into_iter();
        altered.map(|it| it.field).collect::<Vec<_>>()
    };
    assert_eq!(altered(json!({})), Vec::<String>::new());
    assert!(altered(json!({ "next_step": "Call" })).is_empty());
    assert_eq!(altered(json!({ "next_step": "Wait" })), ["next_step"]);
    assert_eq!(altered(json!({ "amount": 1 })), ["amount"]);
    assert!(altered(json!({ "owner_id": "v" })).is_empty(), "as it left");
    assert!(altered(json!({ "unmapped": 1 })).is_empty());
    // In scope, it is the audit's matter.
    let timeline = Timeline::new(&org.history, &defaults, 15 * SECOND).unwrap();
    let wrong = changed(
        &before,
        &ids,
        (Kind::Opportunity, "o", json!({ "amount": 1 })),
    );
    assert_eq!(timeline.altered_outside(&wrong, SECOND), []);
}
