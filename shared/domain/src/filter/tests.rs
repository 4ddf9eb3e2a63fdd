//! The filter as its users see it: documents in, verdicts out.

use std::cmp::Ordering;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::org::OrgProfile;
use crate::row::Row;
use crate::time::Timestamp;

const OWNER: &str = "005Dp000000PpjsIAC";
const OWNER_15: &str = "005Dp000000Ppjs";

fn types() -> FieldTypes {
    [
        ("Name", FieldType::Text),
        ("StageName", FieldType::Picklist),
        ("Regions__c", FieldType::MultiPicklist),
        ("IsPrivate", FieldType::Boolean),
        ("Score__c", FieldType::Number),
        ("Amount", FieldType::Currency),
        ("Probability", FieldType::Percent),
        ("CloseDate", FieldType::Date),
        ("CreatedDate", FieldType::DateTime),
        ("Call__c", FieldType::Time),
        ("Id", FieldType::Id),
        ("OwnerId", FieldType::Reference),
        ("Account.Industry", FieldType::Picklist),
    ]
    .into_iter()
    .map(|(field, field_type)| (field.to_owned(), field_type))
    .collect()
}

const AT: Timestamp = Timestamp::from_micros(1_781_524_800_000_000);

/// UTC, one currency, negations keep blanks.
fn plain() -> Meaning<'static> {
    static ORG: LazyLock<OrgProfile> = LazyLock::new(OrgProfile::default);
    Meaning {
        org: &ORG,
        zone: ZoneOf::Org,
        blanks: BlankRule::Keep,
    }
}

fn condition(field: &str, operator: Operator, values: &[&str]) -> Condition {
    Condition {
        field: field.to_owned(),
        operator,
        values: values.iter().map(|value| (*value).to_owned()).collect(),
    }
}

fn filter(conditions: Vec<Condition>, logic: Option<&str>) -> Filter {
    Filter {
        conditions,
        logic: logic.map(str::to_owned),
    }
}

fn holds(field: &str, met: Value, operator: Operator, values: &[&str]) -> bool {
    let compiled = filter(vec![condition(field, operator, values)], None)
        .compile(&types(), plain())
        .unwrap_or_else(|faults| panic!("{field} {operator} {values:?}: {faults:?}"));
    let row = match field.split_once('.') {
        Some((parent, rest)) => Row::of(&json!({ parent: { rest: met } })),
        None => Row::of(&json!({ field: met })),
    };
    compiled.matches(&row.unwrap().fields().unwrap(), AT)
}

fn faults(conditions: Vec<Condition>, logic: Option<&str>) -> Vec<String> {
    filter(conditions, logic)
        .compile(&types(), plain())
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// One line of a table: the row's value, then per operator the values it is given and the answer.
fn table(field: &str, lines: &[(Value, Operator, &[&str], bool)]) {
    for (met, operator, values, expected) in lines {
        assert_eq!(
            holds(field, met.clone(), *operator, values),
            *expected,
            "{field} {met} {operator} {values:?}"
        );
    }
}

/// What holds for every type: blanks, and each negation being the opposite of its positive form.
fn blanks_and_negations(field: &str, met: &Value, value: &str) {
    let field_type = types()[field];
    for operator in field_type.operators() {
        let on_blank = holds(field, Value::Null, *operator, &[value]);
        assert_eq!(
            on_blank,
            operator.negated().is_some(),
            "{field} null {operator} {value}: only negations keep blanks"
        );
        if let Some(positive) = operator.negated() {
            for met in [met, &Value::Null] {
                assert_ne!(
                    holds(field, met.clone(), *operator, &[value]),
                    holds(field, met.clone(), positive, &[value]),
                    "{field} {met} {operator}"
                );
            }
        }
    }
    for blank in [&[][..], &[""]] {
        assert!(
            holds(field, Value::Null, Operator::Equals, blank),
            "{field}"
        );
        assert!(
            !holds(field, met.clone(), Operator::Equals, blank),
            "{field}"
        );
        assert!(
            !holds(field, Value::Null, Operator::NotEqual, blank),
            "{field}"
        );
        assert!(
            holds(field, met.clone(), Operator::NotEqual, blank),
            "{field}"
        );
    }
    assert!(
        holds(field, Value::Null, Operator::Equals, &["", value]),
        "{field}: blank or the value"
    );
    assert!(
        !holds(field, Value::Null, Operator::NotEqual, &["", value]),
        "{field}"
    );
    for operator in Operator::ALL {
        let compiled =
            filter(vec![condition(field, operator, &[value])], None).compile(&types(), plain());
        assert_eq!(
            compiled.is_ok(),
            field_type.operators().contains(&operator),
            "{field} {operator}"
        );
    }
}

#[test]
fn texts() {
    use Operator::*;
    for field in ["Name", "StageName", "Account.Industry"] {
        blanks_and_negations(field, &json!("Acme"), "acme");
        table(
            field,
            &[
                (json!("Acme Ltd"), Equals, &["ACME LTD"], true),
                (json!("Acme Ltd"), Equals, &["Acme"], false),
                (json!("Acme Ltd"), Equals, &["Other", "acme ltd"], true),
                (json!("Acme Ltd"), NotEqual, &["Other", "acme ltd"], false),
                (json!("Acme Ltd"), NotEqual, &["Other", "Acme"], true),
                (json!("Acme Ltd"), StartsWith, &["ltd", "aCM"], true),
                (json!("Acme Ltd"), StartsWith, &["ltd"], false),
                (json!("Acme Ltd"), Contains, &["ME l"], true),
                (json!("Acme Ltd"), Contains, &["x", "y"], false),
                (json!("Acme Ltd"), NotContain, &["x", "ltd"], false),
                (json!("Acme Ltd"), NotContain, &["x", "y"], true),
                (json!("Acme Ltd"), Contains, &["%"], false),
                (json!("100 %"), Contains, &["%"], true),
                (json!("b"), LessThan, &["B"], false),
                (json!("b"), LessThan, &["C"], true),
                (json!("b"), LessOrEqual, &["B"], true),
                (json!("b"), GreaterThan, &["A"], true),
                (json!("b"), GreaterThan, &["c", "a"], true),
                (json!("b"), GreaterOrEqual, &["B"], true),
                (json!("b"), GreaterOrEqual, &["c"], false),
                (json!("ÅNGSTRÖM"), Equals, &["ångström"], true),
                (json!("ΟΔΟΣΑ"), Contains, &["ΟΔΟΣ"], true),
                (json!(""), Equals, &[], true),
                (json!(""), NotEqual, &["x"], true),
                (json!("a,b"), Equals, &["a,b"], true),
                (json!("say \"hi\"\n"), Contains, &["\"HI\""], true),
                (json!("null"), Equals, &[], false),
            ],
        );
    }
}

#[test]
fn multi_select_picklists() {
    use Operator::*;
    blanks_and_negations("Regions__c", &json!("EMEA;APAC"), "emea;apac");
    table(
        "Regions__c",
        &[
            (json!("EMEA;APAC"), Equals, &["APAC;EMEA"], true),
            (json!("EMEA;APAC"), Equals, &["EMEA"], false),
            (
                json!("EMEA;APAC"),
                Equals,
                &["EMEA", " apac ; emea ;"],
                true,
            ),
            (json!("EMEA;APAC"), NotEqual, &["EMEA"], true),
            (json!("EMEA;APAC"), Includes, &["EMEA"], true),
            (json!("EMEA;APAC"), Includes, &["EMEA;AMER"], false),
            (json!("EMEA;APAC;X"), Includes, &["apac;emea"], true),
            (json!("EMEA;APAC"), Includes, &["AMER", "APAC"], true),
            (json!("EMEA;APAC"), Excludes, &["AMER", "APAC"], false),
            (json!("EMEA;APAC"), Excludes, &["AMER", "EMEA;AMER"], true),
            (json!("EMEA"), Includes, &["EME"], false),
        ],
    );
}

#[test]
fn checkboxes() {
    use Operator::*;
    table(
        "IsPrivate",
        &[
            (json!(true), Equals, &["TRUE"], true),
            (json!(true), Equals, &["false"], false),
            (json!(true), NotEqual, &["true"], false),
            (json!("true"), Equals, &["true"], true),
            (json!(false), Equals, &["False"], true),
            (json!(null), Equals, &["false"], true),
            (json!(null), Equals, &["true"], false),
            (json!(null), NotEqual, &["true"], true),
            (json!(null), Equals, &[], true),
            (json!(true), NotEqual, &[""], true),
            (json!(true), Equals, &["true", "false"], true),
        ],
    );
    for operator in Operator::ALL {
        let compiled = filter(vec![condition("IsPrivate", operator, &["true"])], None)
            .compile(&types(), plain());
        assert_eq!(
            compiled.is_ok(),
            matches!(operator, Equals | NotEqual),
            "{operator}"
        );
    }
}

#[test]
fn numbers() {
    use Operator::*;
    for field in ["Score__c", "Amount", "Probability"] {
        blanks_and_negations(field, &json!(75.0), "75");
        table(
            field,
            &[
                (json!(75), Equals, &["75.0"], true),
                (json!(75.0), Equals, &["0.75"], false),
                (json!(0.1), Equals, &["0.10"], true),
                (json!("1.5E3"), Equals, &["1500"], true),
                (json!(1500), Equals, &[" 1.5e3 "], true),
                (json!(1500), NotEqual, &["1", "1500.00"], false),
                (json!(10), LessThan, &["9"], false),
                (json!(9), LessThan, &["10"], true),
                (json!(-10), LessThan, &["-9"], true),
                (json!(10), LessOrEqual, &["10"], true),
                (json!(10.01), LessOrEqual, &["10"], false),
                (json!(10.01), GreaterThan, &["10"], true),
                (json!(10), GreaterThan, &["10"], false),
                (json!(10), GreaterOrEqual, &["10.000"], true),
                (json!(0), Equals, &["-0"], true),
                (json!(0), Equals, &[], false),
                (
                    json!(9_007_199_254_740_993_i64),
                    Equals,
                    &["9007199254740992"],
                    false,
                ),
            ],
        );
    }
    let scientific = Row::new(
        serde_json::value::RawValue::from_string(r#"{"Amount":1.6147805824397E13}"#.to_owned())
            .unwrap(),
    );
    let compiled = filter(vec![condition("Amount", Equals, &["16147805824397"])], None)
        .compile(&types(), plain())
        .unwrap();
    assert!(compiled.matches(&scientific.fields().unwrap(), AT));
}

#[test]
fn dates_and_times() {
    use Operator::*;
    blanks_and_negations("CloseDate", &json!("2026-01-31"), "2026-01-31");
    table(
        "CloseDate",
        &[
            (
                json!("2026-01-31"),
                Equals,
                &["2026-02-01", " 2026-01-31 "],
                true,
            ),
            (json!("2026-01-31"), NotEqual, &["2026-01-31"], false),
            (json!("2026-01-31"), LessThan, &["2026-02-01"], true),
            (json!("2026-01-31"), LessThan, &["2026-01-31"], false),
            (json!("2026-01-31"), LessOrEqual, &["2026-01-31"], true),
            (json!("2026-01-31"), GreaterThan, &["2025-12-31"], true),
            (json!("2026-01-31"), GreaterOrEqual, &["2026-02-01"], false),
        ],
    );
    blanks_and_negations(
        "CreatedDate",
        &json!("2026-01-31T12:00:00.000+0000"),
        "2026-01-31",
    );
    for inside in ["2026-01-31T00:00:00.000+0000", "2026-01-31T23:59:59.000Z"] {
        table(
            "CreatedDate",
            &[
                (json!(inside), Equals, &["2026-01-31"], true),
                (json!(inside), NotEqual, &["2026-01-31"], false),
                (json!(inside), LessThan, &["2026-01-31"], false),
                (json!(inside), LessOrEqual, &["2026-01-31"], true),
                (json!(inside), GreaterThan, &["2026-01-31"], false),
                (json!(inside), GreaterOrEqual, &["2026-01-31"], true),
                (json!(inside), LessThan, &["2026-02-01"], true),
                (json!(inside), GreaterThan, &["2026-01-30"], true),
            ],
        );
    }
    table(
        "CreatedDate",
        &[
            (
                json!("2026-01-31T12:00:00.000+0000"),
                Equals,
                &["2026-01-31T12:00:00Z"],
                true,
            ),
            (
                json!("2026-01-31T12:00:00.000+0000"),
                Equals,
                &["2026-01-31T13:00:00+01:00"],
                true,
            ),
            (
                json!("2026-01-31T12:00:00.000+0000"),
                LessThan,
                &["2026-01-31T12:00:01Z"],
                true,
            ),
            (
                json!("2026-01-31T12:00:00.000+0000"),
                GreaterOrEqual,
                &["2026-01-31T12:00:01Z"],
                false,
            ),
        ],
    );
    blanks_and_negations("Call__c", &json!("10:15:00.000Z"), "10:15");
    table(
        "Call__c",
        &[
            (json!("10:15:00.000Z"), Equals, &["10:15"], true),
            (json!("10:15:00.000Z"), LessThan, &["10:15:01"], true),
            (
                json!("10:15:00.000Z"),
                GreaterThan,
                &["09:00:00.000Z"],
                true,
            ),
            (json!("10:15:00.000Z"), LessOrEqual, &["10:14"], false),
            (json!("10:15:00.000Z"), GreaterOrEqual, &["10:15"], true),
        ],
    );
}

#[test]
fn ids() {
    use Operator::*;
    for field in ["Id", "OwnerId"] {
        blanks_and_negations(field, &json!(OWNER), OWNER_15);
        table(
            field,
            &[
                (json!(OWNER), Equals, &[OWNER_15], true),
                (json!(OWNER_15), Equals, &[OWNER], true),
                (json!(OWNER), Equals, &["005dp000000Ppjs"], false),
                (json!(OWNER), NotEqual, &["005dp000000Ppjs"], true),
                (
                    json!("00K000000000001"),
                    Equals,
                    &["00k000000000001"],
                    false,
                ),
                (json!(OWNER), StartsWith, &["003", "005D"], true),
                (json!(OWNER), StartsWith, &["005d"], false),
                (json!("not an id"), Equals, &[], true),
            ],
        );
    }
}

#[test]
fn what_a_row_lacks_is_blank() {
    let empty = Row::of(&json!({"Account": null})).unwrap();
    for field in ["Name", "CloseDate", "Account.Industry"] {
        let compiled = filter(vec![condition(field, Operator::Equals, &[])], None)
            .compile(&types(), plain())
            .unwrap();
        assert!(compiled.matches(&empty.fields().unwrap(), AT), "{field}");
    }
}

#[test]
fn the_default_matches_everything() {
    let compiled = Filter::default()
        .compile(&FieldTypes::new(), plain())
        .unwrap();
    assert!(compiled.matches(&Row::of(&json!({})).unwrap().fields().unwrap(), AT));
    assert!(compiled.fields().is_empty());
}

#[test]
fn logic_combines_conditions() {
    let conditions = vec![
        condition("Amount", Operator::GreaterThan, &["100"]),
        condition("StageName", Operator::Equals, &["Prospecting"]),
        condition("Account.Industry", Operator::Equals, &["Banking"]),
    ];
    let row = Row::of(
        &json!({"Amount": 50, "StageName": "Prospecting", "Account": {"Industry": "Banking"}}),
    )
    .unwrap();
    let judge = |logic| {
        filter(conditions.clone(), logic)
            .compile(&types(), plain())
            .unwrap()
            .matches(&row.fields().unwrap(), AT)
    };
    assert!(!judge(None));
    assert!(!judge(Some("  ")));
    assert!(judge(Some("1 OR (2 AND 3)")));
    assert!(!judge(Some("1 AND (2 OR 3)")));
    assert!(judge(Some("NOT 1 AND 2 AND 3")));
}

#[test]
fn explanation_names_each_condition() {
    let saved = filter(
        vec![
            condition("Amount", Operator::GreaterThan, &["100"]),
            condition("Name", Operator::Contains, &["acme"]),
            condition("CloseDate", Operator::NotEqual, &[]),
        ],
        Some("1 OR 2 OR 3"),
    );
    let row = Row::of(&json!({"Amount": 50.5, "Name": "Acme \"1\"", "CloseDate": null})).unwrap();
    let compiled = saved.compile(&types(), plain()).unwrap();
    let explained = serde_json::to_value(compiled.explain(&row.fields().unwrap(), AT)).unwrap();
    assert_eq!(
        explained,
        json!([
            {"field": "Amount", "operator": "greater_than", "met": "50.5", "holds": false},
            {"field": "Name", "operator": "contains", "met": "Acme \"1\"", "holds": true},
            {"field": "CloseDate", "operator": "not_equal", "met": null, "holds": false},
        ])
    );
    assert_eq!(&saved.fields(), compiled.fields());
    assert_eq!(
        saved.fields().into_iter().collect::<Vec<_>>(),
        ["Amount", "CloseDate", "Name"]
    );
}

#[test]
fn documents() {
    let text = r#"{"conditions":[{"field":"Amount","operator":"greater_or_equal","values":["1000"]},{"field":"Name","operator":"not_equal"}],"logic":"1 and 2"}"#;
    let read: Filter = serde_json::from_str(text).unwrap();
    assert_eq!(
        read,
        filter(
            vec![
                condition("Amount", Operator::GreaterOrEqual, &["1000"]),
                condition("Name", Operator::NotEqual, &[])
            ],
            Some("1 and 2")
        )
    );
    assert_eq!(
        serde_json::from_str::<Filter>(&serde_json::to_string(&read).unwrap()).unwrap(),
        read
    );
    assert_eq!(
        serde_json::from_str::<Filter>("{}").unwrap(),
        Filter::default()
    );
    assert_eq!(
        serde_json::to_string(&Filter::default()).unwrap(),
        r#"{"conditions":[]}"#
    );
    for wrong in [
        r#"{"conditions":[],"logics":""}"#,
        r#"{"conditions":[{"field":"A","operator":"equals","value":["1"]}]}"#,
        r#"{"conditions":[{"field":"A","operator":"=","values":[]}]}"#,
    ] {
        assert!(serde_json::from_str::<Filter>(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn faults_are_sentences() {
    use Operator::*;
    assert_eq!(
        faults(vec![condition("Name", Equals, &["x"]); 11], None),
        ["the filter has 11 conditions, it may have at most 10; remove some"]
    );
    assert!(
        filter(vec![condition("Name", Equals, &["x"]); 10], None)
            .compile(&types(), plain())
            .is_ok()
    );
    assert_eq!(
        faults(vec![condition("name", Equals, &["x"])], None),
        [
            "condition 1: Opportunity has no field `name` that can be filtered by; check the spelling of its API name, capitals included, and that the integration user may see it"
        ]
    );
    assert_eq!(
        faults(vec![condition("Amount", Contains, &["5"])], None),
        [
            "condition 1: contains cannot be used on the currency field `Amount`; use one of equals, not_equal, less_than, greater_than, less_or_equal, greater_or_equal"
        ]
    );
    assert_eq!(
        faults(vec![condition("Amount", LessThan, &[])], None),
        [
            "condition 1: less_than on `Amount` needs a value; to ask for blank fields use equals without a value"
        ]
    );
    for (field, operator) in [
        ("Name", Contains),
        ("Name", StartsWith),
        ("Regions__c", Includes),
        ("CloseDate", GreaterThan),
        ("OwnerId", StartsWith),
    ] {
        assert_eq!(
            faults(vec![condition(field, operator, &[""])], None).len(),
            1,
            "{field} {operator}"
        );
    }
    assert_eq!(
        faults(vec![condition("Regions__c", Excludes, &[" ; "])], None).len(),
        1
    );
    for (field, value) in [
        ("Amount", "5000 USD"),
        ("Amount", "1,000"),
        ("Probability", "75%"),
        ("Score__c", "many"),
        ("CloseDate", "31.01.2026"),
        ("CloseDate", "2026-01-31T00:00:00Z"),
        ("CreatedDate", "2026-01-31T00:00:00"),
        ("Call__c", "noon"),
        ("IsPrivate", "yes"),
        ("OwnerId", "005dp000000PpjsIAC"),
        ("Id", "Acme"),
    ] {
        let found = faults(
            vec![
                condition("Name", Equals, &["x"]),
                condition(field, Equals, &["", value]),
            ],
            None,
        );
        assert_eq!(found.len(), 1, "{field} {value}");
        assert!(
            found[0].starts_with(&format!(
                "condition 2: value 2 for the {} field `{field}` cannot be read; write ",
                types()[field]
            )),
            "{}",
            found[0]
        );
        assert!(
            !found[0].contains(value),
            "a value is not repeated: {}",
            found[0]
        );
    }
    assert!(
        filter(vec![condition("Name", Equals, &["TODAY"])], None)
            .compile(&types(), plain())
            .is_ok(),
        "a text may be called so"
    );
    assert_eq!(
        faults(
            vec![
                condition("Amount", Equals, &["a", "b"]),
                condition("Gone", Equals, &[])
            ],
            Some("1")
        ),
        [
            "condition 1: value 1 for the currency field `Amount` cannot be read; write a plain number such as 1500 or 0.75, without separators or currency sign; with several currencies also one with its code such as EUR1500",
            "condition 1: value 2 for the currency field `Amount` cannot be read; write a plain number such as 1500 or 0.75, without separators or currency sign; with several currencies also one with its code such as EUR1500",
            "condition 2: Opportunity has no field `Gone` that can be filtered by; check the spelling of its API name, capitals included, and that the integration user may see it",
            "the filter logic does not use condition 2; add its number or remove the condition",
        ]
    );
    assert_eq!(
        faults(vec![], Some("1")),
        [
            "the filter logic names condition 1 at position 1, but the filter has 0 condition(s), counted from 1"
        ]
    );
}

/// A filter and a row over three small worlds of values, and what a plain reading of the language
/// says about them, written without the code under test.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "an operator without its own line must fail the test"
)]
mod naive {
    use super::*;

    #[derive(Debug, Clone)]
    pub(super) enum World {
        Word(Option<&'static str>, Operator, Vec<&'static str>),
        Amount(Option<i64>, Operator, Vec<i64>),
        Items(Option<Vec<&'static str>>, Operator, Vec<Vec<&'static str>>),
    }

    const WORDS: [&str; 6] = ["a", "A", "ab", "B", "ba", "aB"];
    const ITEMS: [&str; 3] = ["x", "Y", "z"];

    pub(super) fn world() -> impl Strategy<Value = World> {
        let word = (
            prop::option::of(prop::sample::select(&WORDS[..])),
            prop::sample::select(FieldType::Text.operators()),
            prop::collection::vec(prop::sample::select(&WORDS[..]), 1..3),
        );
        let amount = (
            prop::option::of(-3_i64..4),
            prop::sample::select(FieldType::Currency.operators()),
            prop::collection::vec(-3_i64..4, 1..3),
        );
        let some = || prop::sample::subsequence(&ITEMS[..], 1..=3).prop_shuffle();
        let items = (
            prop::option::of(some()),
            prop::sample::select(FieldType::MultiPicklist.operators()),
            prop::collection::vec(some(), 1..3),
        );
        prop_oneof![
            word.prop_map(|(met, operator, values)| World::Word(met, operator, values)),
            amount.prop_map(|(met, operator, values)| World::Amount(met, operator, values)),
            items.prop_map(|(met, operator, values)| World::Items(met, operator, values)),
        ]
    }

    impl World {
        pub(super) fn expected(&self) -> bool {
            match self {
                Self::Word(met, operator, values) => {
                    let met = met.map(str::to_lowercase);
                    let any = |test: &dyn Fn(&str, &str) -> bool| {
                        met.as_deref().is_some_and(|met| {
                            values.iter().any(|value| test(met, &value.to_lowercase()))
                        })
                    };
                    match operator {
                        Operator::StartsWith => any(&|met, value| met.starts_with(value)),
                        Operator::Contains => any(&|met, value| met.contains(value)),
                        Operator::NotContain => !any(&|met, value| met.contains(value)),
                        other => by_order(
                            *other,
                            met.as_ref().map(|met| {
                                values
                                    .iter()
                                    .map(|value| met.as_str().cmp(&value.to_lowercase()))
                                    .collect()
                            }),
                        ),
                    }
                }
                Self::Amount(met, operator, values) => by_order(
                    *operator,
                    met.map(|met| values.iter().map(|value| met.cmp(value)).collect()),
                ),
                Self::Items(met, operator, values) => {
                    let all =
                        |set: &[&str], value: &[&str]| value.iter().all(|item| set.contains(item));
                    let same = |value: &Vec<&str>| {
                        met.as_ref()
                            .is_some_and(|set| set.len() == value.len() && all(set, value))
                    };
                    let within =
                        |value: &Vec<&str>| met.as_ref().is_some_and(|set| all(set, value));
                    match operator {
                        Operator::Equals => values.iter().any(same),
                        Operator::NotEqual => !values.iter().any(same),
                        Operator::Includes => values.iter().any(within),
                        Operator::Excludes => !values.iter().any(within),
                        other => panic!("{other} is not for multi-select"),
                    }
                }
            }
        }

        pub(super) fn field(&self, index: usize) -> (String, FieldType) {
            match self {
                Self::Word(..) => (format!("Word{index}__c"), FieldType::Text),
                Self::Amount(..) => (format!("Amount{index}__c"), FieldType::Currency),
                Self::Items(..) => (format!("Items{index}__c"), FieldType::MultiPicklist),
            }
        }

        pub(super) fn met(&self) -> Value {
            match self {
                Self::Word(met, ..) => json!(met),
                Self::Amount(met, ..) => met.map_or(Value::Null, |met| json!(met as f64)),
                Self::Items(met, ..) => met
                    .as_ref()
                    .map_or(Value::Null, |items| json!(items.join(";"))),
            }
        }

        pub(super) fn condition(&self, field: &str) -> Condition {
            match self {
                Self::Word(_, operator, values) => condition(field, *operator, values),
                Self::Amount(_, operator, values) => Condition {
                    field: field.to_owned(),
                    operator: *operator,
                    values: values
                        .iter()
                        .map(|value| format!("{}e-1", value * 10))
                        .collect(),
                },
                Self::Items(_, operator, values) => Condition {
                    field: field.to_owned(),
                    operator: *operator,
                    values: values
                        .iter()
                        .map(|items| items.join(";").to_uppercase())
                        .collect(),
                },
            }
        }
    }

    fn by_order(operator: Operator, orders: Option<Vec<Ordering>>) -> bool {
        let any = |wanted: &[Ordering]| orders.iter().flatten().any(|order| wanted.contains(order));
        match operator {
            Operator::Equals => any(&[Ordering::Equal]),
            Operator::NotEqual => !any(&[Ordering::Equal]),
            Operator::LessThan => any(&[Ordering::Less]),
            Operator::GreaterThan => any(&[Ordering::Greater]),
            Operator::LessOrEqual => any(&[Ordering::Less, Ordering::Equal]),
            Operator::GreaterOrEqual => any(&[Ordering::Greater, Ordering::Equal]),
            other => panic!("{other} is not an order"),
        }
    }
}

proptest! {
    #[test]
    fn verdicts_are_the_naive_ones(worlds in prop::collection::vec(naive::world(), 0..5), any: bool) {
        let mut conditions = Vec::new();
        let mut field_types = FieldTypes::new();
        let mut row = serde_json::Map::new();
        for (index, world) in worlds.iter().enumerate() {
            let (field, field_type) = world.field(index);
            conditions.push(world.condition(&field));
            row.insert(field.clone(), world.met());
            field_types.insert(field, field_type);
        }
        let numbers: Vec<_> = (1..=worlds.len()).map(|number| number.to_string()).collect();
        let logic = (any && !worlds.is_empty()).then(|| numbers.join(" OR "));
        let compiled = Filter { conditions, logic: logic.clone() }.compile(&field_types, plain()).unwrap();
        let row = Row::of(&row).unwrap();
        let fields = row.fields().unwrap();
        let answers: Vec<bool> = worlds.iter().map(naive::World::expected).collect();
        let expected = if logic.is_some() { answers.contains(&true) } else { !answers.contains(&false) };
        prop_assert_eq!(compiled.matches(&fields, AT), expected);
        prop_assert_eq!(compiled.explain(&fields, AT).iter().map(|result| result.holds).collect::<Vec<_>>(), answers.iter().copied().map(Some).collect::<Vec<_>>());
    }

    #[test]
    fn any_filter_on_any_row_gives_a_verdict(
        field in prop::sample::select(types().into_keys().collect::<Vec<_>>()),
        operator in prop::sample::select(&Operator::ALL[..]),
        values in prop::collection::vec("[0-9TZ:.+e;-]{0,24}|.{0,12}", 0..4),
        logic in prop::option::of(".{0,12}|1"),
        met in prop_oneof![
            Just(Value::Null), any::<bool>().prop_map(Value::from), any::<f64>().prop_map(Value::from),
            "[0-9TZ:.+e;-]{0,24}|.{0,12}".prop_map(Value::from), Just(json!({"Industry": [1]})), Just(json!([])),
        ],
    ) {
        let saved = Filter { conditions: vec![Condition { field: field.clone(), operator, values }], logic };
        match saved.compile(&types(), plain()) {
            Ok(compiled) => {
                let key = field.split('.').next().unwrap();
                let row = Row::of(&json!({ key: met })).unwrap();
                let fields = row.fields().unwrap();
                let alone = compiled.explain(&fields, AT)[0].holds == Some(true);
                prop_assert_eq!(compiled.matches(&fields, AT), alone);
            }
            Err(faults) => prop_assert!(faults.iter().all(|fault| fault.to_string().len() > 20)),
        }
    }
}
