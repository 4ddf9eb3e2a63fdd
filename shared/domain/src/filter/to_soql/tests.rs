//! What filters say in SOQL.

use super::super::{Condition, FieldTypes, Filter, Meaning, ZoneOf};
use super::*;
use crate::org::OrgProfile;

fn pushed(conditions: &[(&str, Operator, &[&str])], logic: Option<&str>, path: &str) -> Pushdown {
    let types: FieldTypes = [
        ("Name", FieldType::Text),
        ("StageName", FieldType::Picklist),
        ("Regions__c", FieldType::MultiPicklist),
        ("IsPrivate", FieldType::Boolean),
        ("PushCount", FieldType::Number),
        ("Score__c", FieldType::Number),
        ("Amount", FieldType::Currency),
        ("CloseDate", FieldType::Date),
        ("CreatedDate", FieldType::DateTime),
        ("Call__c", FieldType::Time),
        ("OwnerId", FieldType::Reference),
    ]
    .into_iter()
    .map(|(field, field_type)| (field.to_owned(), field_type))
    .collect();
    let conditions = conditions
        .iter()
        .map(|(field, operator, values)| Condition {
            field: (*field).to_owned(),
            operator: *operator,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        })
        .collect();
    let logic = logic.map(str::to_owned);
    let filter = Filter { conditions, logic };
    let org = OrgProfile::default();
    let meaning = Meaning {
        org: &org,
        zone: ZoneOf::Org,
        blanks: BlankRule::Keep,
    };
    let at = Timestamp::from_micros(1_781_524_800_000_000);
    filter.compile(&types, meaning).unwrap().to_soql(path, at)
}

fn says(condition: (&str, Operator, &[&str]), exact: bool, soql: &str) {
    let found = pushed(&[condition], None, "");
    assert_eq!(found.condition.as_deref(), Some(soql), "{condition:?}");
    assert_eq!(found.exact, exact, "{condition:?}");
    assert_eq!(found.why_not.len(), usize::from(!exact), "{condition:?}");
}

#[test]
fn texts_are_quoted_and_wildcards_escaped() {
    use Operator::*;
    says(
        ("Name", Equals, &["O'Neill \\"]),
        true,
        r"Name = 'O\'Neill \\'",
    );
    says(
        ("Name", Equals, &["a", "b", ""]),
        true,
        "(Name IN ('a','b') OR Name = null)",
    );
    says(
        ("Name", NotEqual, &["a"]),
        true,
        "(Name != 'a' OR Name = null)",
    );
    says(
        ("Name", NotEqual, &["a", "b", ""]),
        true,
        "Name NOT IN ('a','b') AND Name != null",
    );
    says(("Name", Equals, &[]), true, "Name = null");
    says(("Name", NotEqual, &[]), true, "Name != null");
    says(
        ("Name", StartsWith, &["100%_"]),
        true,
        r"Name LIKE '100\%\_%'",
    );
    says(
        ("StageName", Contains, &["it's", "é"]),
        true,
        r"(StageName LIKE '%it\'s%' OR StageName LIKE '%é%')",
    );
    says(
        ("Name", NotContain, &["a", "b"]),
        true,
        "(((NOT Name LIKE '%a%') AND (NOT Name LIKE '%b%')) OR Name = null)",
    );
}

#[test]
fn what_may_be_compared_otherwise_is_asked_for_by_more() {
    use Operator::*;
    says(("Name", Equals, &["Straße"]), false, "Name LIKE 'Stra%e'");
    says(("Name", Equals, &["Acme "]), false, "Name LIKE 'Acme%'");
    says(("Name", StartsWith, &["a\\b"]), false, "Name LIKE 'a_b%'");
    says(("Name", LessThan, &["m"]), false, "Name != null");
    let long = "x".repeat(4_000);
    says(("Name", Equals, &[&long]), false, "Name != null");
    says(("Name", Contains, &[&long]), false, "Name != null");
    let none = pushed(&[("Name", NotEqual, &["Straße"])], None, "");
    assert_eq!((none.condition, none.exact), (None, false));
    assert_eq!(
        pushed(&[("Name", LessThan, &["secret"])], None, "").why_not,
        ["condition 1 (`Name` less_than): SOQL orders texts by the locale of the running user"]
    );
}

#[test]
fn numbers_have_no_exponent_and_no_more_digits_than_are_certain() {
    use Operator::*;
    says(("Amount", GreaterThan, &["1.5E3"]), true, "Amount > 1500");
    says(("Amount", LessOrEqual, &["-.50"]), true, "Amount <= -0.5");
    says(
        ("Amount", NotEqual, &["75"]),
        true,
        "(Amount != 75 OR Amount = null)",
    );
    says(
        ("Amount", Equals, &["9007199254740993"]),
        false,
        "Amount > 9007199254740990 AND Amount < 9007199254741000",
    );
    says(("Amount", LessThan, &["1e30"]), false, "Amount != null");
    says(("Score__c", Equals, &["1.5"]), true, "Score__c = 1.5");
    says(("PushCount", GreaterThan, &["1.5"]), false, "PushCount > 1");
    says(
        ("PushCount", Equals, &["3000000000"]),
        false,
        "PushCount != null",
    );
}

#[test]
fn days_on_moments_are_stretches_of_utc() {
    use Operator::*;
    says(
        ("CloseDate", LessThan, &["2026-01-31"]),
        true,
        "CloseDate < 2026-01-31",
    );
    says(
        ("CloseDate", Equals, &["1600-01-01"]),
        false,
        "CloseDate != null",
    );
    says(
        ("CreatedDate", Equals, &["2026-01-31"]),
        true,
        "CreatedDate >= 2026-01-31T00:00:00Z AND CreatedDate < 2026-02-01T00:00:00Z",
    );
    says(
        ("CreatedDate", NotEqual, &["2026-01-31"]),
        true,
        "(CreatedDate < 2026-01-31T00:00:00Z OR CreatedDate >= 2026-02-01T00:00:00Z OR CreatedDate = null)",
    );
    says(
        ("CreatedDate", GreaterThan, &["2026-01-31T13:00:00+01:00"]),
        true,
        "CreatedDate > 2026-01-31T12:00:00Z",
    );
    says(
        ("CreatedDate", GreaterThan, &["2026-01-31T12:00:00.25Z"]),
        false,
        "CreatedDate > 2026-01-31T12:00:00Z",
    );
    says(
        ("Call__c", LessThan, &["10:15"]),
        true,
        "Call__c < 10:15:00.000Z",
    );
}

#[test]
fn choices_checkboxes_and_ids() {
    use Operator::*;
    says(
        ("Regions__c", Includes, &["a; b", "c"]),
        true,
        "(Regions__c INCLUDES ('a;b') OR Regions__c INCLUDES ('c'))",
    );
    says(
        ("Regions__c", Excludes, &["a"]),
        true,
        "(Regions__c EXCLUDES ('a') OR Regions__c = null)",
    );
    says(("Regions__c", Equals, &["a"]), true, "Regions__c = 'a'");
    says(
        ("Regions__c", Equals, &["b;a"]),
        false,
        "Regions__c INCLUDES ('b;a')",
    );
    says(("IsPrivate", Equals, &["TRUE"]), true, "IsPrivate = true");
    says(("IsPrivate", NotEqual, &[]), true, "IsPrivate = true");
    says(
        ("IsPrivate", NotEqual, &["true", "false"]),
        true,
        "Id = null",
    );
    says(
        ("OwnerId", Equals, &["005Dp000000Ppjs"]),
        true,
        "OwnerId = '005Dp000000PpjsIAC'",
    );
    says(("OwnerId", StartsWith, &["005"]), false, "OwnerId != null");
}

#[test]
fn a_not_is_carried_to_the_conditions_before_anything_is_weakened() {
    use Operator::*;
    let three = [
        ("Name", LessThan, &["m"][..]),
        ("Amount", GreaterThan, &["10"]),
        ("IsPrivate", Equals, &["true"]),
    ];
    let found = pushed(&three, Some("NOT (1 OR NOT 2) AND 3"), "Opportunity.");
    assert_eq!(
        found.condition.as_deref(),
        Some("Opportunity.Amount > 10 AND Opportunity.IsPrivate = true"),
        "what is not less than m may be blank or anything else"
    );
    assert!(!found.exact);
    let found = pushed(&three[1..], Some("NOT (1 AND (2 OR NOT 2))"), "");
    assert_eq!(
        found.condition.as_deref(),
        Some("(Amount <= 10 OR Amount = null OR (IsPrivate = false AND IsPrivate = true))")
    );
    assert!(found.exact);
    let found = pushed(&three, Some("1 OR 2 OR (2 AND 3)"), "");
    assert_eq!(
        found.condition.as_deref(),
        Some("(Name != null OR Amount > 10 OR (Amount > 10 AND IsPrivate = true))")
    );
    let nothing = pushed(&[], None, "");
    assert_eq!((nothing.condition, nothing.exact), (None, true));
}

#[test]
fn a_condition_too_long_for_a_query_is_left_out_alone() {
    use Operator::*;
    let many: Vec<String> = (0..2_000).map(|number| format!("Deal {number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let found = pushed(
        &[("Name", Equals, &many), ("IsPrivate", Equals, &["true"])],
        None,
        "",
    );
    assert_eq!(found.condition.as_deref(), Some("IsPrivate = true"));
    assert_eq!(
        found.why_not,
        ["condition 1 (`Name` equals): with it, the condition would be too long for a query"]
    );
    let found = pushed(&[("Name", Equals, &many)], Some("NOT 1"), "");
    assert_eq!((found.condition, found.exact), (None, false));
}

#[test]
fn relative_dates_are_written_as_the_days_they_are() {
    use Operator::*;
    // A Monday at noon.
    says(
        ("CloseDate", Equals, &["LAST_N_DAYS:7"]),
        true,
        "CloseDate >= 2026-06-08 AND CloseDate < 2026-06-16",
    );
    says(
        ("CloseDate", Equals, &["TODAY"]),
        true,
        "CloseDate = 2026-06-15",
    );
    says(
        ("CloseDate", NotEqual, &["THIS WEEK"]),
        true,
        "(CloseDate < 2026-06-14 OR CloseDate >= 2026-06-21 OR CloseDate = null)",
    );
    says(
        ("CloseDate", GreaterThan, &["THIS_MONTH"]),
        true,
        "CloseDate >= 2026-07-01",
    );
    says(
        ("CloseDate", LessOrEqual, &["THIS_MONTH"]),
        true,
        "CloseDate < 2026-07-01",
    );
    says(
        ("CreatedDate", Equals, &["YESTERDAY"]),
        true,
        "CreatedDate >= 2026-06-14T00:00:00Z AND CreatedDate < 2026-06-15T00:00:00Z",
    );
}
