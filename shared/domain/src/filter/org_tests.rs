//! What the org and its settings make of a filter: zones, relative dates, currencies, blanks, record
//! types.

use serde_json::{Value, json};

use super::*;
use crate::org::{Currencies, DatedRate, Fiscal, OrgProfile, Period, PeriodKind, Weekday};
use crate::row::Row;
use crate::time::Timestamp;

fn types() -> FieldTypes {
    [
        ("Name", FieldType::Text),
        ("Regions__c", FieldType::MultiPicklist),
        ("IsPrivate", FieldType::Boolean),
        ("Amount", FieldType::Currency),
        ("Account.AnnualRevenue", FieldType::Currency),
        ("CloseDate", FieldType::Date),
        ("CreatedDate", FieldType::DateTime),
        ("RecordTypeId", FieldType::Reference),
        ("RecordType.DeveloperName", FieldType::Text),
        ("RecordType.Name", FieldType::Text),
    ]
    .into_iter()
    .map(|(field, field_type)| (field.to_owned(), field_type))
    .collect()
}

/// New York for the org, Kathmandu for the user.
fn org() -> OrgProfile {
    OrgProfile {
        time_zone: "America/New_York".to_owned(),
        first_weekday: Weekday::Sunday,
        user_time_zone: "Asia/Kathmandu".to_owned(),
        user_first_weekday: Weekday::Monday,
        ..OrgProfile::default()
    }
}

fn several_currencies() -> OrgProfile {
    let rates = [("USD", "1"), ("EUR", "0.8"), ("JPY", "150"), ("BAD", "0")];
    OrgProfile {
        currencies: Some(Currencies {
            corporate: "USD".to_owned(),
            rates: rates
                .iter()
                .map(|(code, rate)| ((*code).to_owned(), (*rate).to_owned()))
                .collect(),
            dated: Vec::new(),
        }),
        ..org()
    }
}

fn filter(conditions: &[(&str, Operator, &[&str])], logic: Option<&str>) -> Filter {
    let conditions = conditions
        .iter()
        .map(|(field, operator, values)| Condition {
            field: (*field).to_owned(),
            operator: *operator,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        })
        .collect();
    let logic = logic.map(str::to_owned);
    Filter { conditions, logic }
}

fn meaning(org: &OrgProfile) -> Meaning<'_> {
    Meaning {
        org,
        zone: ZoneOf::Org,
        blanks: BlankRule::Keep,
    }
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn matches(filter: &Filter, meaning: Meaning<'_>, row: &Value, now: &str) -> bool {
    let compiled = filter.compile(&types(), meaning);
    let compiled = compiled.unwrap_or_else(|faults| panic!("{filter:?}: {faults:?}"));
    let row = Row::of(row).unwrap();
    compiled.matches(&row.fields().unwrap(), at(now))
}

fn sentences(condition: (&str, Operator, &[&str]), org: &OrgProfile) -> Vec<String> {
    let compiled = filter(&[condition], None).compile(&types(), meaning(org));
    let faults = compiled.err().unwrap_or_default();
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn a_day_against_a_moment_is_that_day_in_the_chosen_zone() {
    let org = org();
    let of = |zone| Meaning {
        zone,
        ..meaning(&org)
    };
    let day = filter(&[("CreatedDate", Operator::Equals, &["2026-03-08"])], None);
    for (moment, in_org, in_users) in [
        ("2026-03-08T04:59:59.000+0000", false, true),
        ("2026-03-08T05:00:00.000+0000", true, true),
        ("2026-03-08T18:14:59.000+0000", true, true),
        ("2026-03-08T18:15:00.000+0000", true, false),
        // Clocks went forward: the day has 23 hours.
        ("2026-03-09T03:59:59.000+0000", true, false),
        ("2026-03-09T04:00:00.000+0000", false, false),
        ("2026-03-07T18:15:00.000+0000", false, true),
    ] {
        let row = json!({ "CreatedDate": moment });
        let now = "2026-01-01T00:00:00Z";
        assert_eq!(
            matches(&day, of(ZoneOf::Org), &row, now),
            in_org,
            "{moment}"
        );
        assert_eq!(
            matches(&day, of(ZoneOf::User), &row, now),
            in_users,
            "{moment}"
        );
    }
}

#[test]
fn relative_dates_are_counted_from_the_moment_of_judging() {
    let org = org();
    use Operator::*;
    let last = filter(&[("CloseDate", Equals, &["LAST 7 DAYS"])], None);
    let row = json!({ "CloseDate": "2026-08-05" });
    for (now, zone, expected) in [
        ("2026-08-12T12:00:00Z", ZoneOf::Org, true),
        ("2026-08-13T03:59:59Z", ZoneOf::Org, true),
        ("2026-08-13T04:00:00Z", ZoneOf::Org, false),
        ("2026-08-12T18:14:59Z", ZoneOf::User, true),
        ("2026-08-12T18:15:00Z", ZoneOf::User, false),
        ("2026-08-05T03:59:59Z", ZoneOf::Org, false),
        ("2026-08-05T04:00:00Z", ZoneOf::Org, true),
    ] {
        let meaning = Meaning {
            zone,
            ..meaning(&org)
        };
        assert_eq!(
            matches(&last, meaning, &row, now),
            expected,
            "{now} {zone:?}"
        );
    }
    let row = json!({ "CloseDate": "2026-08-12", "CreatedDate": "2026-08-09T04:00:00.000+0000" });
    for (field, operator, value, expected) in [
        ("CloseDate", LessThan, "THIS_WEEK", false),
        ("CloseDate", LessOrEqual, "THIS_WEEK", true),
        ("CloseDate", GreaterOrEqual, "THIS_WEEK", true),
        ("CloseDate", GreaterThan, "THIS_WEEK", false),
        ("CloseDate", GreaterThan, "LAST_WEEK", true),
        ("CloseDate", LessThan, "NEXT_WEEK", true),
        ("CloseDate", NotEqual, "THIS_WEEK", false),
        ("CloseDate", NotEqual, "TODAY", false),
        ("CreatedDate", Equals, "THIS_WEEK", true),
        ("CreatedDate", LessThan, "THIS_WEEK", false),
        ("CreatedDate", Equals, "N_DAYS_AGO:3", true),
    ] {
        let filter = filter(&[(field, operator, &[value])], None);
        let now = "2026-08-12T12:00:00Z";
        assert_eq!(
            matches(&filter, meaning(&org), &row, now),
            expected,
            "{field} {operator} {value}"
        );
    }
}

#[test]
fn the_next_turn_is_the_first_of_all_literals() {
    let org = org();
    let turn = |filter: &Filter, now: &str| {
        let compiled = filter.compile(&types(), meaning(&org)).unwrap();
        let turn = compiled.next_turn(at(now));
        assert_eq!(compiled.is_relative(), turn.is_some());
        turn.map(|turn| turn.to_soql())
    };
    let both = filter(
        &[
            ("CloseDate", Operator::Equals, &["THIS_MONTH", "2026-01-31"]),
            ("CreatedDate", Operator::GreaterThan, &["LAST_WEEK"]),
        ],
        None,
    );
    let now = "2026-08-12T12:00:00Z";
    assert_eq!(turn(&both, now).as_deref(), Some("2026-08-16T04:00:00Z"));
    let late = "2026-08-30T12:00:00Z";
    assert_eq!(turn(&both, late).as_deref(), Some("2026-09-01T04:00:00Z"));
    let fixed = filter(&[("CreatedDate", Operator::Equals, &["2026-01-31"])], None);
    assert_eq!(turn(&fixed, now), None);
}

#[test]
fn fiscal_years_that_nobody_defined_match_nothing() {
    let year = Period {
        kind: PeriodKind::Year,
        start: "2026-02-01".parse().unwrap(),
        end: "2027-02-06".parse().unwrap(),
    };
    let org = OrgProfile {
        fiscal: Fiscal::Custom {
            periods: vec![year],
        },
        ..org()
    };
    let one = ("CloseDate", Operator::Equals, &["THIS_FISCAL_YEAR"][..]);
    let other = ("CloseDate", Operator::NotEqual, &["LAST_FISCAL_YEAR"][..]);
    let row = json!({ "CloseDate": "2026-08-12" });
    let now = "2026-08-12T12:00:00Z";
    let this = filter(&[one], None);
    assert!(matches(&this, meaning(&org), &row, now));
    // Whatever else the filter says.
    for (conditions, logic) in [
        (&[other][..], None),
        (&[one, other], Some("1 OR 2")),
        (&[one, other], Some("1 OR NOT 2")),
    ] {
        let filter = filter(conditions, logic);
        assert!(!matches(&filter, meaning(&org), &row, now), "{logic:?}");
        let compiled = filter.compile(&types(), meaning(&org)).unwrap();
        let number = conditions.len();
        assert_eq!(
            compiled.undefined(at(now)),
            [FilterFault::FiscalYearUndefined {
                condition: number,
                value: 1,
                field: "CloseDate".to_owned()
            }]
        );
        let pushed = compiled.to_soql("", at(now));
        assert_eq!(pushed.condition.as_deref(), Some("Id = null"));
        assert!(pushed.exact);
    }
    let compiled = this.compile(&types(), meaning(&org)).unwrap();
    assert_eq!(compiled.undefined(at(now)), []);
    assert_eq!(compiled.undefined(at("2027-02-07T12:00:00Z")).len(), 1);
    let turn = compiled.next_turn(at(now)).map(|turn| turn.to_soql());
    assert_eq!(turn.as_deref(), Some("2027-02-07T05:00:00Z"));
}

#[test]
fn amounts_are_compared_by_the_rates() {
    let org = several_currencies();
    let now = "2026-08-12T12:00:00Z";
    use Operator::*;
    for (amount, currency, operator, value, expected) in [
        (json!(100), "USD", Equals, "100", true),
        (json!(80), "EUR", Equals, "100", true),
        (json!(80), "EUR", Equals, "USD100", true),
        (json!(80), "EUR", Equals, "EUR80", true),
        (json!(100), "USD", Equals, "eur80", true),
        (json!(80.01), "EUR", GreaterThan, "100", true),
        (json!(80.00), "EUR", GreaterThan, "100", false),
        (json!(15000), "JPY", Equals, "EUR80", true),
        (json!(14999), "JPY", LessThan, "EUR80", true),
        (json!(15000), "JPY", GreaterThan, "100.01", false),
        (json!(-80), "EUR", LessThan, "-99.99", true),
        (json!(-80), "EUR", LessThan, "EUR-79.99", true),
        (json!(0), "JPY", Equals, "0", true),
        // Not to be told apart in binary.
        (json!(0.08), "EUR", Equals, "0.1", true),
        // A currency without a rate makes an amount blank.
        (json!(100), "BAD", Equals, "100", false),
        (json!(100), "BAD", NotEqual, "100", true),
        (json!(100), "BAD", Equals, "", true),
        (json!(100), "XXX", NotEqual, "", false),
        (Value::Null, "EUR", LessThan, "100", false),
    ] {
        let filter = filter(&[("Amount", operator, &[value])], None);
        let row = json!({ "Amount": amount, "CurrencyIsoCode": currency });
        assert_eq!(
            matches(&filter, meaning(&org), &row, now),
            expected,
            "{currency} {amount} {operator} {value}"
        );
    }
    let filter = filter(
        &[
            ("Account.AnnualRevenue", GreaterOrEqual, &["100"]),
            ("Amount", Equals, &["5"]),
        ],
        Some("1 OR 2"),
    );
    let row = json!({
        "Amount": 80, "CurrencyIsoCode": "USD",
        "Account": { "AnnualRevenue": 80, "CurrencyIsoCode": "EUR" }
    });
    assert!(
        matches(&filter, meaning(&org), &row, now),
        "a parent has its own currency"
    );
    let compiled = filter.compile(&types(), meaning(&org)).unwrap();
    let fields: Vec<&str> = compiled.fields().iter().map(String::as_str).collect();
    assert_eq!(
        fields,
        [
            "Account.AnnualRevenue",
            "Account.CurrencyIsoCode",
            "Amount",
            "CurrencyIsoCode"
        ]
    );
}

#[test]
fn dated_rates_are_those_of_the_close_date() {
    let mut org = several_currencies();
    let day = |text: &str| text.parse().unwrap();
    let rate = |start, next: Option<&str>, rate: &str| DatedRate {
        currency: "EUR".to_owned(),
        start: day(start),
        next: next.map(day),
        rate: rate.to_owned(),
    };
    org.currencies.as_mut().unwrap().dated = vec![
        rate("2026-01-01", Some("2026-07-01"), "0.5"),
        rate("2026-07-01", None, "0.25"),
    ];
    let own = filter(&[("Amount", Operator::Equals, &["100"])], None);
    for (amount, close, expected) in [
        (50, "2026-06-30", true),
        (25, "2026-07-01", true),
        (50, "2026-07-01", false),
        (25, "2036-07-01", true),
        // Before the first dated rate.
        (80, "2025-12-31", true),
    ] {
        let row = json!({ "Amount": amount, "CurrencyIsoCode": "EUR", "CloseDate": close });
        let now = "2026-08-12T12:00:00Z";
        assert_eq!(
            matches(&own, meaning(&org), &row, now),
            expected,
            "{amount} {close}"
        );
    }
    let compiled = own.compile(&types(), meaning(&org)).unwrap();
    assert!(compiled.fields().contains("CloseDate"));
    let pushed = compiled.to_soql("", at("2026-08-12T12:00:00Z"));
    assert_eq!(pushed.condition.as_deref(), Some("Amount != null"));
    assert_eq!(
        pushed.why_not,
        [
            "condition 1 (`Amount` equals): it is not known by which of the org's dated rates SOQL converts an amount"
        ]
    );
    // Those of a parent are not converted by them.
    let parent = filter(
        &[("Account.AnnualRevenue", Operator::Equals, &["100"])],
        None,
    );
    let row = json!({ "CloseDate": "2026-08-12", "Account": { "AnnualRevenue": 80, "CurrencyIsoCode": "EUR" } });
    assert!(matches(
        &parent,
        meaning(&org),
        &row,
        "2026-08-12T12:00:00Z"
    ));
}

#[test]
fn each_currency_is_asked_for_by_its_own_number() {
    let mut org = several_currencies();
    org.currencies.as_mut().unwrap().rates.remove("JPY");
    let pushed = |operator, value, blanks| {
        let filter = filter(&[("Amount", operator, &[value])], None);
        let meaning = Meaning {
            blanks,
            ..meaning(&org)
        };
        let compiled = filter.compile(&types(), meaning).unwrap();
        let found = compiled.to_soql("Opportunity.", Timestamp::default());
        (
            found.condition.unwrap().replace("Opportunity.", "o."),
            found.exact,
        )
    };
    use Operator::*;
    assert_eq!(
        pushed(GreaterThan, "100", BlankRule::Keep),
        ("((o.CurrencyIsoCode = 'EUR' AND o.Amount > 80) OR (o.CurrencyIsoCode = 'USD' AND o.Amount > 100))".to_owned(), true)
    );
    assert_eq!(
        pushed(NotEqual, "EUR100", BlankRule::Keep),
        ("((o.CurrencyIsoCode = 'EUR' AND o.Amount != 100) OR (o.CurrencyIsoCode = 'USD' AND o.Amount != 125) OR o.Amount = null OR o.CurrencyIsoCode NOT IN ('EUR','USD'))".to_owned(), true)
    );
    assert_eq!(
        pushed(NotEqual, "EUR100", BlankRule::Drop),
        ("((o.CurrencyIsoCode = 'EUR' AND o.Amount != 100) OR (o.CurrencyIsoCode = 'USD' AND o.Amount != 125)) AND o.Amount != null AND o.CurrencyIsoCode IN ('EUR','USD')".to_owned(), true)
    );
    org.currencies
        .as_mut()
        .unwrap()
        .rates
        .insert("EUR".to_owned(), "0.3".to_owned());
    let filter = filter(&[("Amount", LessOrEqual, &["EUR1"])], None);
    let compiled = filter.compile(&types(), meaning(&org)).unwrap();
    let found = compiled.to_soql("", Timestamp::default());
    assert_eq!(
        found.condition.as_deref(),
        Some(
            "((CurrencyIsoCode = 'EUR' AND Amount <= 1) OR (CurrencyIsoCode = 'USD' AND Amount < 3.33333333333334))"
        )
    );
    assert!(!found.exact);
}

#[test]
fn a_code_needs_an_org_that_has_the_currency() {
    let one = org();
    let several = several_currencies();
    let asks = |value, org: &OrgProfile| sentences(("Amount", Operator::Equals, &[value]), org);
    assert_eq!(
        asks("USD5000", &one),
        [
            "condition 1: value 1 for `Amount` names a currency, and this org has only one; write the number alone"
        ]
    );
    assert!(asks("5000", &one).is_empty() && asks("EUR5000", &several).is_empty());
    assert_eq!(
        asks("GBP5000", &several),
        [
            "condition 1: value 1 for `Amount` names a currency that this org does not have; write one of its currencies before the number, such as EUR5000, or the number alone for the corporate currency"
        ]
    );
    for wrong in ["$5000", "US5000", "USD", "USD 5,000", "5000USD"] {
        for org in [&one, &several] {
            let sentences = asks(wrong, org);
            assert!(
                sentences.len() == 1 && sentences[0].contains("cannot be read"),
                "{wrong}: {sentences:?}"
            );
        }
    }
}

#[test]
fn counts_out_of_bounds_and_unknown_zones_are_refused_in_words() {
    let org = org();
    assert_eq!(
        sentences(
            ("CloseDate", Operator::Equals, &["TODAY", "NEXT_N_WEEKS:0"]),
            &org
        ),
        [
            "condition 1: value 2 for `CloseDate` counts too few or too many; write a number from 1 to 5200"
        ]
    );
    let nowhere = OrgProfile {
        time_zone: "Europe/Atlantis".to_owned(),
        ..org
    };
    let zone = "the filter compares dates in the time zone `Europe/Atlantis`, which mosync does not know; choose another time zone in Salesforce, or the other one in the setting `zone`";
    let today = ("CloseDate", Operator::Equals, &["TODAY"][..]);
    assert_eq!(sentences(today, &nowhere), [zone]);
    let day = ("CreatedDate", Operator::Equals, &["2026-01-31"][..]);
    assert_eq!(sentences(day, &nowhere), [zone]);
    for (field, value) in [
        ("CloseDate", "2026-01-31"),
        ("CreatedDate", "2026-01-31T00:00:00Z"),
        ("Name", "TODAY"),
    ] {
        assert!(
            sentences((field, Operator::Equals, &[value]), &nowhere).is_empty(),
            "{field}"
        );
    }
}

#[test]
fn blanks_satisfy_negations_or_nothing() {
    let org = org();
    let blank = json!({ "Name": null, "Regions__c": null, "CloseDate": null, "IsPrivate": null });
    let a = ("Name", Operator::Equals, &["a"][..]);
    for (conditions, logic, keep, drop) in [
        (
            &[("Name", Operator::NotEqual, &["a"][..])][..],
            None,
            true,
            false,
        ),
        (&[("Name", Operator::NotContain, &["a"])], None, true, false),
        (
            &[("Regions__c", Operator::Excludes, &["a"])],
            None,
            true,
            false,
        ),
        (&[a], Some("NOT 1"), true, false),
        (
            &[("CloseDate", Operator::LessThan, &["TODAY"])],
            Some("NOT 1"),
            true,
            false,
        ),
        (
            &[("CloseDate", Operator::NotEqual, &["TODAY"])],
            Some("NOT 1"),
            false,
            false,
        ),
        // What asks for blank knows.
        (&[("Name", Operator::Equals, &[])], None, true, true),
        (&[("Name", Operator::NotEqual, &[])], None, false, false),
        (&[("Name", Operator::Equals, &["a", ""])], None, true, true),
        (
            &[("Name", Operator::NotEqual, &["a", ""])],
            None,
            false,
            false,
        ),
        (
            &[("Name", Operator::NotEqual, &["a", ""])],
            Some("NOT 1"),
            true,
            true,
        ),
        // A checkbox is never blank.
        (
            &[("IsPrivate", Operator::NotEqual, &["true"])],
            None,
            true,
            true,
        ),
        // What is unknown does not decide what is known.
        (
            &[a, ("Name", Operator::Equals, &[])],
            Some("NOT 1 OR 2"),
            true,
            true,
        ),
        (
            &[a, ("Name", Operator::Equals, &[])],
            Some("NOT (1 AND NOT 2)"),
            true,
            true,
        ),
        (
            &[a, ("Name", Operator::NotEqual, &[])],
            Some("NOT (1 OR 2)"),
            true,
            false,
        ),
    ] {
        let filter = filter(conditions, logic);
        for (blanks, expected) in [(BlankRule::Keep, keep), (BlankRule::Drop, drop)] {
            let meaning = Meaning {
                blanks,
                ..meaning(&org)
            };
            let now = "2026-08-12T12:00:00Z";
            assert_eq!(
                matches(&filter, meaning, &blank, now),
                expected,
                "{filter:?} {blanks:?}"
            );
        }
    }
}

#[test]
fn record_types_are_or_are_not() {
    let org = org();
    let row = json!({
        "RecordTypeId": "012Dp000000Ppjs",
        "RecordType": { "DeveloperName": "New_Business", "Name": "New business" }
    });
    let now = "2026-08-12T12:00:00Z";
    use Operator::*;
    let id = crate::id::SalesforceId::parse("012Dp000000Ppjs").unwrap();
    for (field, operator, values, expected) in [
        ("RecordTypeId", Equals, &[id.as_str()][..], true),
        ("RecordTypeId", NotEqual, &["012000000000001"], true),
        (
            "RecordType.DeveloperName",
            Equals,
            &["renewal", "new_business"],
            true,
        ),
        (
            "RecordType.DeveloperName",
            NotEqual,
            &["New_Business"],
            false,
        ),
        ("RecordType.Name", Equals, &["NEW BUSINESS"], true),
    ] {
        let filter = filter(&[(field, operator, values)], None);
        assert_eq!(
            matches(&filter, meaning(&org), &row, now),
            expected,
            "{field} {operator}"
        );
    }
    let without = json!({ "RecordTypeId": null, "RecordType": null });
    let renewal = filter(
        &[("RecordType.DeveloperName", NotEqual, &["Renewal"])],
        None,
    );
    assert!(matches(&renewal, meaning(&org), &without, now));
    assert_eq!(
        sentences(("RecordTypeId", StartsWith, &["012"]), &org),
        [
            "condition 1: starts_with cannot be used on the lookup field `RecordTypeId`; use one of equals, not_equal"
        ]
    );
    assert_eq!(
        sentences(("RecordType.Name", Contains, &["new"]), &org),
        [
            "condition 1: contains cannot be used on the text field `RecordType.Name`; use one of equals, not_equal"
        ]
    );
}
