//! Whether an opportunity matches the filter, with the meaning list views and SOQL give it.

use std::cmp::Ordering;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use crate::history::{Cell, History, Row};
use crate::number::Number;
use crate::settings::{Condition, Filter, Operator, SettingsError, Tree};

/// A filter ready to be asked.
#[derive(Debug)]
pub(crate) struct Matcher<'s> {
    conditions: &'s [Condition],
    tree: Tree,
}

impl<'s> Matcher<'s> {
    pub(crate) fn new(filter: &'s Filter) -> Result<Self, SettingsError> {
        Ok(Self {
            conditions: &filter.conditions,
            tree: filter.tree()?,
        })
    }

    pub(crate) fn matches(&self, history: &History, row: &Row) -> bool {
        self.node(&self.tree, history, row)
    }

    fn node(&self, tree: &Tree, history: &History, row: &Row) -> bool {
        match tree {
            Tree::Row(position) => self
                .conditions
                .get(*position)
                .is_some_and(|condition| holds(condition, history.cell(row, &condition.field))),
            Tree::Not(inner) => !self.node(inner, history, row),
            Tree::All(inner) => inner.iter().all(|tree| self.node(tree, history, row)),
            Tree::Any(inner) => inner.iter().any(|tree| self.node(tree, history, row)),
        }
    }
}

/// The negative operators are the negation of their twins, blanks included: two-valued logic.
fn holds(condition: &Condition, cell: Option<&Cell>) -> bool {
    let field = condition.field.as_str();
    let any = |test: fn(&str, Option<&Cell>, &str) -> bool| {
        if condition.values.is_empty() {
            test(field, cell, "")
        } else {
            condition
                .values
                .iter()
                .any(|value| test(field, cell, value))
        }
    };
    match condition.operator {
        Operator::Equals => any(equals),
        Operator::NotEqual => !any(equals),
        Operator::StartsWith => any(starts_with),
        Operator::Contains => any(contains),
        Operator::NotContain => !any(contains),
        Operator::Includes => any(includes),
        Operator::Excludes => !any(includes),
        Operator::LessThan => {
            any(|field, cell, value| side(field, cell, value) == Some(Ordering::Less))
        }
        Operator::GreaterThan => {
            any(|field, cell, value| side(field, cell, value) == Some(Ordering::Greater))
        }
        Operator::LessOrEqual => any(|field, cell, value| {
            side(field, cell, value).is_some_and(|side| side != Ordering::Greater)
        }),
        Operator::GreaterOrEqual => any(|field, cell, value| {
            side(field, cell, value).is_some_and(|side| side != Ordering::Less)
        }),
    }
}

fn equals(field: &str, cell: Option<&Cell>, value: &str) -> bool {
    match cell {
        None if value.eq_ignore_ascii_case("false") => is_checkbox(field),
        None => value.is_empty(),
        Some(Cell::Flag(flag)) => value.eq_ignore_ascii_case(if *flag { "true" } else { "false" }),
        Some(Cell::Text(text)) if is_id(field, text) => same_id(text, value),
        Some(Cell::Text(text)) if text.contains(';') && value.contains(';') => {
            chosen(text) == chosen(value)
        }
        Some(_) => side(field, cell, value) == Some(Ordering::Equal),
    }
}

fn starts_with(_: &str, cell: Option<&Cell>, value: &str) -> bool {
    text_test(cell, value, |text, value| text.starts_with(value))
}

fn contains(_: &str, cell: Option<&Cell>, value: &str) -> bool {
    text_test(cell, value, |text, value| text.contains(value))
}

/// Without regard to case; an empty value asks for blank.
fn text_test(cell: Option<&Cell>, value: &str, test: fn(&str, &str) -> bool) -> bool {
    match cell.and_then(Cell::text) {
        None => value.is_empty(),
        Some(_) if value.is_empty() => false,
        Some(text) => test(&text.to_lowercase(), &value.to_lowercase()),
    }
}

/// `a;b`: all of these are chosen.
fn includes(_: &str, cell: Option<&Cell>, value: &str) -> bool {
    match cell.and_then(Cell::text) {
        None => value.is_empty(),
        Some(_) if value.is_empty() => false,
        Some(text) => {
            let chosen = chosen(text);
            self::chosen(value)
                .iter()
                .all(|wanted| chosen.contains(wanted))
        }
    }
}

/// The values of a multi-select field, in one order and one case.
fn chosen(text: &str) -> Vec<String> {
    let mut values: Vec<String> = text
        .split(';')
        .map(|value| value.trim().to_lowercase())
        .filter(|value| !value.is_empty())
        .collect();
    values.sort_unstable();
    values.dedup();
    values
}

/// On which side of the value the field lies; `None` where they cannot be compared, and for blanks.
fn side(_field: &str, cell: Option<&Cell>, value: &str) -> Option<Ordering> {
    if value.is_empty() {
        return None;
    }
    match cell? {
        Cell::Flag(_) => None,
        Cell::Number(number) => Some(Number::parse(number)?.cmp(&Number::parse(value)?)),
        Cell::Text(text) => match (instant(text), date(text)) {
            (Some(instant), _) => instant_side(instant, value),
            (None, Some(day)) => date(value).map(|value| day.cmp(&value)),
            (None, None) => Some(text.to_lowercase().cmp(&value.to_lowercase())),
        },
    }
}

/// An instant against an instant, or against a day, which is a range (here in UTC).
fn instant_side(field: Timestamp, value: &str) -> Option<Ordering> {
    if let Some(value) = instant(value) {
        return Some(field.cmp(&value));
    }
    let midnight = |day: Date| {
        day.to_datetime(Time::midnight())
            .to_zoned(TimeZone::UTC)
            .ok()
            .map(|zoned| zoned.timestamp())
    };
    let day = date(value)?;
    if field < midnight(day)? {
        Some(Ordering::Less)
    } else if field < midnight(day.checked_add(1.day()).ok()?)? {
        Some(Ordering::Equal)
    } else {
        Some(Ordering::Greater)
    }
}

fn date(text: &str) -> Option<Date> {
    (text.len() == 10).then(|| text.parse().ok()).flatten()
}

/// A datetime as Salesforce writes it. Nothing shorter: `2026` is text.
pub(crate) fn instant(text: &str) -> Option<Timestamp> {
    (text.len() >= 20).then(|| text.parse().ok()).flatten()
}

/// Standard checkboxes: a checkbox is never blank, and what is not ticked is false.
fn is_checkbox(field: &str) -> bool {
    (field.starts_with("Is") || field.starts_with("Has")) && !field.ends_with("Id")
}

fn is_id(field: &str, text: &str) -> bool {
    (field.ends_with("Id") || field.ends_with("__c"))
        && text.len() == 18
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Ids are case-sensitive; the last three of 18 characters only repeat the case of the others.
fn same_id(id: &str, value: &str) -> bool {
    match value.len() {
        18 => id == value,
        15 => id.starts_with(value),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::ChangeKind;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    /// Whether `field operator values` holds for one value of that field.
    fn ask(field: &str, value: Value, operator: &str, values: Value) -> bool {
        let mut history = History::default();
        history.begin(0).unwrap();
        let row = json!({ field: value });
        history.change(
            "Opportunity",
            "006",
            ChangeKind::Create,
            row.as_object().unwrap(),
        );
        let filter: Filter = serde_json::from_value(
            json!({ "conditions": [{ "field": field, "operator": operator, "values": values }] }),
        )
        .unwrap();
        let matcher = Matcher::new(&filter).unwrap();
        matcher.matches(&history, &history.moments()[0].steps[0].row)
    }

    #[test]
    fn text_is_compared_without_case_and_values_are_alternatives() {
        for (operator, values, expected) in [
            ("equals", json!(["new customer"]), true),
            ("equals", json!(["x", "NEW CUSTOMER"]), true),
            ("equals", json!(["new"]), false),
            ("not_equal", json!(["x", "New Customer"]), false),
            ("not_equal", json!(["x"]), true),
            ("starts_with", json!(["new", "old"]), true),
            ("starts_with", json!(["customer"]), false),
            ("contains", json!(["CUST"]), true),
            ("not_contain", json!(["cust"]), false),
            ("not_contain", json!(["zzz"]), true),
            ("less_than", json!(["o"]), true),
            ("greater_than", json!(["NEW"]), true),
        ] {
            assert_eq!(
                ask("Type", json!("New Customer"), operator, values.clone()),
                expected,
                "{operator} {values}"
            );
        }
    }

    #[test]
    fn blanks_match_what_asks_for_them_and_what_denies() {
        for (operator, values, expected) in [
            ("equals", json!([""]), true),
            ("equals", json!([]), true),
            ("equals", json!(["", "x"]), true),
            ("equals", json!(["x"]), false),
            ("not_equal", json!([""]), false),
            ("not_equal", json!(["x"]), true),
            ("not_equal", json!(["x", ""]), false),
            ("contains", json!(["x"]), false),
            ("not_contain", json!(["x"]), true),
            ("starts_with", json!(["x"]), false),
            ("less_than", json!(["5"]), false),
            ("less_or_equal", json!(["5"]), false),
            ("greater_than", json!(["5"]), false),
            ("greater_or_equal", json!(["5"]), false),
            ("includes", json!(["x"]), false),
            ("excludes", json!(["x"]), true),
        ] {
            for blank in [Value::Null, json!("")] {
                assert_eq!(
                    ask("NextStep", blank, operator, values.clone()),
                    expected,
                    "{operator} {values}"
                );
            }
        }
    }

    #[test]
    fn numbers_dates_and_instants_are_compared_as_such() {
        for (field, value, operator, values, expected) in [
            ("Amount", json!(1200.5), "equals", json!(["1200.50"]), true),
            ("Amount", json!(1200), "greater_than", json!(["999"]), true),
            ("Amount", json!(1200), "less_than", json!(["x"]), false),
            ("Amount", json!(0), "equals", json!([""]), false),
            (
                "Probability",
                json!(75.0),
                "greater_or_equal",
                json!([75]),
                true,
            ),
            (
                "CloseDate",
                json!("2026-03-01"),
                "less_than",
                json!(["2026-10-01"]),
                true,
            ),
            (
                "CloseDate",
                json!("2026-03-01"),
                "equals",
                json!(["2026-03-01"]),
                true,
            ),
            (
                "CloseDate",
                json!("2026-03-01"),
                "greater_than",
                json!(["2026-03-01"]),
                false,
            ),
            (
                "CreatedDate",
                json!("2026-03-01T23:30:00.000+0000"),
                "equals",
                json!(["2026-03-01"]),
                true,
            ),
            (
                "CreatedDate",
                json!("2026-03-01T23:30:00.000+0000"),
                "less_or_equal",
                json!(["2026-03-01"]),
                true,
            ),
            (
                "CreatedDate",
                json!("2026-03-02T00:00:00.000+0000"),
                "greater_than",
                json!(["2026-03-01"]),
                true,
            ),
            (
                "CreatedDate",
                json!("2026-03-01T23:30:00.000+0000"),
                "equals",
                json!(["2026-03-02T01:30:00+02:00"]),
                true,
            ),
            ("IsPrivate", json!(true), "equals", json!(["TRUE"]), true),
            (
                "IsPrivate",
                json!(false),
                "not_equal",
                json!(["true"]),
                true,
            ),
            ("IsPrivate", Value::Null, "equals", json!(["false"]), true),
        ] {
            assert_eq!(
                ask(field, value.clone(), operator, values.clone()),
                expected,
                "{field} {value} {operator} {values}"
            );
        }
    }

    #[test]
    fn ids_are_compared_by_case_in_15_or_18_characters() {
        let id = json!("005000000000aBcAAA");
        assert!(ask(
            "OwnerId",
            id.clone(),
            "equals",
            json!(["005000000000aBcAAA"])
        ));
        assert!(ask(
            "OwnerId",
            id.clone(),
            "equals",
            json!(["005000000000aBc"])
        ));
        assert!(!ask(
            "OwnerId",
            id.clone(),
            "equals",
            json!(["005000000000abc"])
        ));
        assert!(ask(
            "OwnerId",
            id,
            "not_equal",
            json!(["005000000000ABCAAA"])
        ));
    }

    #[test]
    fn multi_select_values_are_sets() {
        let chosen = json!("Red;Green;Blue");
        for (operator, values, expected) in [
            ("includes", json!(["green"]), true),
            ("includes", json!(["Blue;Red"]), true),
            ("includes", json!(["Blue;Black", "Green"]), true),
            ("includes", json!(["Blue;Black"]), false),
            ("excludes", json!(["Black"]), true),
            ("excludes", json!(["Black", "Red"]), false),
            ("equals", json!(["Blue;Red;Green"]), true),
            ("equals", json!(["Blue;Red"]), false),
            ("not_equal", json!(["Blue;Red"]), true),
        ] {
            assert_eq!(
                ask("Colours__c", chosen.clone(), operator, values.clone()),
                expected,
                "{operator} {values}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_negative_operator_is_the_negation_of_its_twin(
            cell in proptest::option::of("[a-cA-C;]{0,4}"),
            values in proptest::collection::vec("[a-cA-C;]{0,3}", 0..3),
        ) {
            for (plain, negative) in [("equals", "not_equal"), ("contains", "not_contain"), ("includes", "excludes")] {
                prop_assert_ne!(
                    ask("NextStep", json!(cell), plain, json!(values)),
                    ask("NextStep", json!(cell), negative, json!(values))
                );
            }
        }

        #[test]
        fn a_number_is_on_exactly_one_side(cell in -1000_i32..1000, value in -1000_i32..1000) {
            let ask = |operator| ask("Amount", json!(f64::from(cell) / 4.0), operator, json!([f64::from(value) / 4.0]));
            let sides = [ask("less_than"), ask("equals"), ask("greater_than")];
            prop_assert_eq!(sides.iter().filter(|side| **side).count(), 1);
            prop_assert_eq!(ask("less_or_equal"), sides[0] || sides[1]);
            prop_assert_eq!(ask("greater_or_equal"), sides[1] || sides[2]);
        }
    }
}
