//! Whether an opportunity matches the filter, with the meaning list views and SOQL give it.

use std::cmp::Ordering;

use jiff::Timestamp;

use crate::calendar::{self, Day, Literal, Zone};
use crate::history::{Cell, History, Row};
use crate::number::Number;
use crate::settings::{Blanks, Condition, Operator, Settings, SettingsError, Tree};

/// A filter ready to be asked.
#[derive(Debug)]
pub(crate) struct Matcher<'s> {
    settings: &'s Settings,
    tree: Tree,
    zone: Zone,
    /// By condition and value: the date literal that the value is, if it is one.
    literals: Vec<Vec<Option<Literal>>>,
}

/// The filter at a moment: what its relative dates mean on that day.
#[derive(Debug, Clone)]
pub(crate) struct Today {
    days: Vec<Vec<Option<(Day, Day)>>>,
    /// A fiscal date lies beyond the fiscal years that the org has defined. Salesforce refuses such
    /// a query, so the filter matches nothing.
    undefined: bool,
}

/// One value of one condition, about one row.
struct Question<'a> {
    matcher: &'a Matcher<'a>,
    history: &'a History,
    row: &'a Row,
    field: &'a str,
    cell: Option<&'a Cell>,
    value: &'a str,
    /// Where the value is a date literal: its days.
    days: Option<(Day, Day)>,
}

impl<'s> Matcher<'s> {
    pub(crate) fn new(settings: &'s Settings) -> Result<Self, SettingsError> {
        let conditions = &settings.filter.conditions;
        Ok(Self {
            settings,
            tree: settings.filter.tree()?,
            zone: Zone::named(settings.zone_name()),
            literals: conditions
                .iter()
                .map(|condition| condition.values.iter().map(|v| Literal::parse(v)).collect())
                .collect(),
        })
    }

    /// Whether the filter means something else tomorrow.
    pub(crate) fn is_relative(&self) -> bool {
        self.literals.iter().flatten().any(Option::is_some)
    }

    /// The next moment at which it does (microseconds since 1970).
    pub(crate) fn next_turn(&self, micros: i64) -> Option<i64> {
        let tomorrow = self.zone.day_at(micros) + 1;
        self.is_relative().then(|| self.zone.begins(tomorrow))
    }

    /// The local day of a moment: as long as it lasts, so does what [`Matcher::today`] says.
    pub(crate) fn day_at(&self, micros: i64) -> Day {
        self.zone.day_at(micros)
    }

    /// What the filter means on a day.
    pub(crate) fn today(&self, day: Day) -> Today {
        let first_weekday = self.settings.first_weekday();
        let days = |literal: &Option<Literal>| {
            literal.and_then(|literal| literal.days(day, first_weekday, &self.settings.org.fiscal))
        };
        let literals = self.literals.iter().flatten().flatten();
        Today {
            undefined: literals
                .clone()
                .any(|literal| days(&Some(*literal)).is_none()),
            days: self
                .literals
                .iter()
                .map(|values| values.iter().map(days).collect())
                .collect(),
        }
    }

    pub(crate) fn matches(&self, today: &Today, history: &History, row: &Row) -> bool {
        !today.undefined && self.node(&self.tree, today, history, row) == Some(true)
    }

    /// `None` where nobody can say, which only blanks can bring about.
    fn node(&self, tree: &Tree, today: &Today, history: &History, row: &Row) -> Option<bool> {
        let inside = |inner: &[Tree], decisive: bool| {
            let mut said = Some(!decisive);
            for tree in inner {
                match self.node(tree, today, history, row) {
                    Some(it) if it == decisive => return Some(decisive),
                    Some(_) => {}
                    None => said = None,
                }
            }
            said
        };
        match tree {
            Tree::Row(position) => self.holds(*position, today, history, row),
            Tree::Not(inner) => self.node(inner, today, history, row).map(|it| !it),
            Tree::All(inner) => inside(inner, false),
            Tree::Any(inner) => inside(inner, true),
        }
    }

    /// The negative operators are the negation of their twins. A blank has no value: it is not what
    /// was named, or, where the settings say so, nobody knows.
    fn holds(&self, position: usize, today: &Today, history: &History, row: &Row) -> Option<bool> {
        let condition = self.settings.filter.conditions.get(position)?;
        let days = today.days.get(position)?;
        let cell = history.cell_at(row, &condition.field);
        let holds = |value, days| {
            let question = Question {
                matcher: self,
                history,
                row,
                field: &condition.field,
                cell,
                value,
                days,
            };
            question.holds(condition.operator)
        };
        let any = if condition.values.is_empty() {
            holds("", None)
        } else {
            let mut values = condition.values.iter().zip(days);
            values.any(|(value, days)| holds(value, *days))
        };
        let blank = cell.is_none() && !is_checkbox(&condition.field);
        if blank && !any && self.settings.blanks == Blanks::Drop && !asks_for_blank_only(condition)
        {
            return None;
        }
        Some(match condition.operator {
            Operator::NotEqual | Operator::NotContain | Operator::Excludes => !any,
            Operator::Equals
            | Operator::StartsWith
            | Operator::Contains
            | Operator::LessThan
            | Operator::GreaterThan
            | Operator::LessOrEqual
            | Operator::GreaterOrEqual
            | Operator::Includes => any,
        })
    }
}

/// Of a condition without a value it is always known whether it holds.
fn asks_for_blank_only(condition: &Condition) -> bool {
    condition.values.iter().all(String::is_empty)
}

impl Question<'_> {
    /// What the operator asks; of a negative one, what it denies.
    fn holds(&self, operator: Operator) -> bool {
        let on = |sides: &[Ordering]| self.side().is_some_and(|side| sides.contains(&side));
        match operator {
            Operator::Equals | Operator::NotEqual => self.equals(),
            Operator::StartsWith => self.text_test(|text, value| text.starts_with(value)),
            Operator::Contains | Operator::NotContain => {
                self.text_test(|text, value| text.contains(value))
            }
            Operator::Includes | Operator::Excludes => self.includes(),
            Operator::LessThan => on(&[Ordering::Less]),
            Operator::GreaterThan => on(&[Ordering::Greater]),
            Operator::LessOrEqual => on(&[Ordering::Less, Ordering::Equal]),
            Operator::GreaterOrEqual => on(&[Ordering::Equal, Ordering::Greater]),
        }
    }

    fn equals(&self) -> bool {
        let value = self.value;
        match self.cell {
            None if value.eq_ignore_ascii_case("false") => is_checkbox(self.field),
            None => value.is_empty(),
            Some(Cell::Flag(flag)) => {
                value.eq_ignore_ascii_case(if *flag { "true" } else { "false" })
            }
            Some(Cell::Text(text)) if is_id(self.field, text) => same_id(text, value),
            Some(Cell::Text(text)) if text.contains(';') && value.contains(';') => {
                chosen(text) == chosen(value)
            }
            Some(_) => self.side() == Some(Ordering::Equal),
        }
    }

    /// Without regard to case; an empty value asks for blank.
    fn text_test(&self, test: fn(&str, &str) -> bool) -> bool {
        match self.cell.and_then(Cell::text) {
            None => self.value.is_empty(),
            Some(_) if self.value.is_empty() => false,
            Some(text) => test(&text.to_lowercase(), &self.value.to_lowercase()),
        }
    }

    /// `a;b`: all of these are chosen.
    fn includes(&self) -> bool {
        match self.cell.and_then(Cell::text) {
            None => self.value.is_empty(),
            Some(_) if self.value.is_empty() => false,
            Some(text) => {
                let has = chosen(text);
                chosen(self.value).iter().all(|wanted| has.contains(wanted))
            }
        }
    }

    /// On which side of the value the field lies; `None` where they cannot be compared, and for
    /// blanks.
    fn side(&self) -> Option<Ordering> {
        if self.value.is_empty() {
            return None;
        }
        match self.cell? {
            Cell::Flag(_) => None,
            Cell::Number(number) => self.amount_side(number),
            Cell::Text(text) => match (instant(text), calendar::day(text)) {
                (Some(instant), _) => self.instant_side(instant),
                (None, Some(day)) => {
                    let (first, after) = self.days()?;
                    Some(range_side(day, first, after))
                }
                (None, None) => Some(text.to_lowercase().cmp(&self.value.to_lowercase())),
            },
        }
    }

    /// The days of the value, a date or a literal.
    fn days(&self) -> Option<(Day, Day)> {
        if self.is_literal() {
            return self.days;
        }
        let day = calendar::day(self.value)?;
        Some((day, day + 1))
    }

    fn is_literal(&self) -> bool {
        Literal::parse(self.value).is_some()
    }

    /// An instant against an instant, or against days, which are a range of instants.
    fn instant_side(&self, field: Timestamp) -> Option<Ordering> {
        if let Some(value) = instant(self.value) {
            return Some(field.cmp(&value));
        }
        let (first, after) = self.days()?;
        let zone = &self.matcher.zone;
        Some(range_side(
            field.as_microsecond(),
            zone.begins(first),
            zone.begins(after),
        ))
    }

    /// Amounts of money are compared by what they are worth, other numbers as they are.
    fn amount_side(&self, number: &str) -> Option<Ordering> {
        let settings = self.matcher.settings;
        let field = Number::parse(number)?;
        let currencies = settings
            .org
            .currencies
            .as_ref()
            .filter(|_| settings.is_money(self.field));
        let Some(currencies) = currencies else {
            return Some(field.cmp(&Number::parse(self.value)?));
        };
        let (code, value) = money(self.value).unwrap_or((&currencies.corporate, self.value));
        let own = self.history.text(self.row, "CurrencyIsoCode");
        let rate = |code: &str| Number::parse(currencies.rates.get(code)?);
        // In terms of the corporate currency both are divided by their rates: crosswise multiplied.
        let left = field.times(rate(code)?)?;
        let right = Number::parse(value)?.times(rate(own.unwrap_or(&currencies.corporate))?)?;
        Some(left.cmp(&right))
    }
}

/// `USD5000`.
fn money(value: &str) -> Option<(&str, &str)> {
    let (code, amount) = value.split_at_checked(3)?;
    let is_code = code.bytes().all(|byte| byte.is_ascii_uppercase());
    (is_code && Number::parse(amount).is_some()).then_some((code, amount))
}

fn range_side<T: Ord>(field: T, first: T, after: T) -> Ordering {
    if field < first {
        Ordering::Less
    } else if field < after {
        Ordering::Equal
    } else {
        Ordering::Greater
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
    use crate::org::{Currencies, OrgProfile};
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
        let settings = json!({ "filter": { "conditions": [{ "field": field, "operator": operator, "values": values }] } });
        let settings = Settings::from_json(&settings.to_string()).unwrap();
        ask_of(&history, &settings, 0)
    }

    /// Whether the filter matches the history's only row at a moment.
    fn ask_of(history: &History, settings: &Settings, micros: i64) -> bool {
        let matcher = Matcher::new(settings).unwrap();
        let today = matcher.today(matcher.day_at(micros));
        matcher.matches(&today, history, &history.moments()[0].steps[0].row)
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
    fn a_field_of_the_record_type_is_compared_like_one_of_the_record() {
        for (id, operator, expected) in [
            (json!("012A"), "equals", true),
            (json!("012A"), "not_equal", false),
            (json!("012B"), "equals", false),
            (Value::Null, "not_equal", true),
        ] {
            let mut history = of_row(json!({ "RecordTypeId": id }));
            let renewal = json!({ "DeveloperName": "Renewal" });
            let renewal = renewal.as_object().unwrap();
            history.change("RecordType", "012A", ChangeKind::Create, renewal);
            let condition = json!({ "field": "RecordType.DeveloperName", "operator": operator, "values": ["renewal"] });
            let settings = json!({ "filter": { "conditions": [condition] } });
            let settings = Settings::from_json(&settings.to_string()).unwrap();
            assert_eq!(ask_of(&history, &settings, 0), expected, "{id} {operator}");
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

    fn asked(document: Value, org: OrgProfile) -> Settings {
        Settings::from_json(&document.to_string())
            .unwrap()
            .in_org(org)
    }

    fn of_row(row: Value) -> History {
        let mut history = History::default();
        history.begin(0).unwrap();
        let row = row.as_object().unwrap();
        history.change("Opportunity", "006", ChangeKind::Create, row);
        history
    }

    fn micros(text: &str) -> i64 {
        instant(text).unwrap().as_microsecond()
    }

    #[test]
    fn relative_dates_are_judged_on_the_day_of_the_zone_that_is_chosen() {
        let org = OrgProfile {
            time_zone: "America/Los_Angeles".to_owned(),
            user_time_zone: "Asia/Tokyo".to_owned(),
            ..OrgProfile::default()
        };
        let filter = |zone: &str, field: &str, operator: &str, value: &str| {
            let condition = json!({ "field": field, "operator": operator, "values": [value] });
            asked(
                json!({ "zone": zone, "filter": { "conditions": [condition] } }),
                org.clone(),
            )
        };
        let deal = of_row(json!({
            "CloseDate": "2026-06-15",
            "CreatedDate": "2026-06-15T06:59:59.000+0000",
        }));
        // 2026-06-15 06:59 UTC is 14 June in Los Angeles and 15 June in Tokyo.
        let late = micros("2026-06-15T06:59:00Z");
        let later = micros("2026-06-15T07:00:00Z");
        for (zone, field, operator, value, at, expected) in [
            ("org", "CloseDate", "equals", "TODAY", late, false),
            ("org", "CloseDate", "equals", "TOMORROW", late, true),
            ("org", "CloseDate", "equals", "TODAY", later, true),
            ("user", "CloseDate", "equals", "TODAY", late, true),
            ("org", "CreatedDate", "equals", "TODAY", late, true),
            ("org", "CreatedDate", "equals", "YESTERDAY", later, true),
            ("user", "CreatedDate", "equals", "today", later, true),
            ("org", "CreatedDate", "equals", "2026-06-14", later, true),
            ("user", "CreatedDate", "equals", "2026-06-15", later, true),
            (
                "org",
                "CloseDate",
                "less_than",
                "NEXT_N_DAYS:3",
                late,
                false,
            ),
            (
                "org",
                "CloseDate",
                "less_or_equal",
                "NEXT 3 DAYS",
                late,
                true,
            ),
            ("org", "CloseDate", "greater_than", "TODAY", late, true),
            (
                "org",
                "CloseDate",
                "greater_or_equal",
                "THIS_YEAR",
                late,
                true,
            ),
            ("org", "CloseDate", "not_equal", "THIS_YEAR", late, false),
            ("org", "NextStep", "equals", "TODAY", late, false),
        ] {
            let settings = filter(zone, field, operator, value);
            assert_eq!(
                ask_of(&deal, &settings, at),
                expected,
                "{zone} {field} {operator} {value} at {at}"
            );
        }
        let settings = filter("org", "CloseDate", "equals", "TODAY");
        let matcher = Matcher::new(&settings).unwrap();
        assert_eq!(matcher.next_turn(late), Some(later));
        let fixed = filter("org", "CloseDate", "equals", "2026-06-15");
        assert_eq!(Matcher::new(&fixed).unwrap().next_turn(late), None);
    }

    #[test]
    fn blanks_match_what_denies_only_where_the_settings_say_so() {
        for (operator, values, matching, other) in [
            ("not_equal", json!(["x"]), true, false),
            ("not_contain", json!(["x"]), true, false),
            ("excludes", json!(["x"]), true, false),
            ("not_equal", json!([""]), false, false),
            ("equals", json!([""]), true, true),
        ] {
            for (blanks, expected) in [("keep", matching), ("drop", other)] {
                let condition =
                    json!({ "field": "NextStep", "operator": operator, "values": values });
                let settings = asked(
                    json!({ "blanks": blanks, "filter": { "conditions": [condition] } }),
                    OrgProfile::default(),
                );
                assert_eq!(
                    ask_of(&of_row(json!({})), &settings, 0),
                    expected,
                    "{operator} {values} {blanks}"
                );
            }
        }
    }

    #[test]
    fn what_nobody_knows_of_a_blank_is_no_match_however_it_is_turned() {
        for (logic, keep, drop) in [
            ("NOT 1", true, false),
            ("1 OR NOT 1", true, false),
            ("NOT (1 AND 2)", true, true),
            ("NOT (1 OR 2)", true, false),
            ("1 OR NOT 2", true, true),
            ("NOT 3", false, false),
            ("3", true, true),
        ] {
            let document = |blanks: &str| {
                let mut conditions = vec![
                    json!({ "field": "NextStep", "operator": "equals", "values": ["x"] }),
                    json!({ "field": "Name", "operator": "equals", "values": ["other"] }),
                    json!({ "field": "NextStep", "operator": "equals", "values": ["x", ""] }),
                ];
                let mut rest = String::new();
                for row in 1..=3 {
                    if !logic.contains(&row.to_string()) {
                        // Every condition must be used; this adds nothing.
                        rest.push_str(&format!(
                            " AND ({row} OR NOT {row} OR {})",
                            conditions.len() + 1
                        ));
                    }
                }
                conditions
                    .push(json!({ "field": "Name", "operator": "equals", "values": ["deal"] }));
                let logic = if rest.is_empty() {
                    format!("({logic}) AND 4")
                } else {
                    format!("({logic}){rest} AND 4")
                };
                json!({ "blanks": blanks, "filter": { "conditions": conditions, "logic": logic } })
            };
            let deal = of_row(json!({ "Name": "Deal" }));
            for (blanks, expected) in [("keep", keep), ("drop", drop)] {
                let settings = asked(document(blanks), OrgProfile::default());
                assert_eq!(ask_of(&deal, &settings, 0), expected, "{logic} {blanks}");
            }
        }
    }

    #[test]
    fn a_filter_over_fiscal_years_that_nobody_defined_matches_nothing() {
        let org = OrgProfile {
            fiscal: crate::org::Fiscal::Custom {
                years: Vec::new(),
                quarters: Vec::new(),
            },
            ..OrgProfile::default()
        };
        for (value, expected) in [("THIS_FISCAL_YEAR", false), ("THIS_YEAR", true)] {
            let condition =
                json!({ "field": "CloseDate", "operator": "not_equal", "values": [value] });
            let settings = asked(
                json!({ "filter": { "conditions": [condition] } }),
                org.clone(),
            );
            let deal = of_row(json!({ "CloseDate": "2001-01-01" }));
            assert_eq!(ask_of(&deal, &settings, 0), expected, "{value}");
        }
    }

    #[test]
    fn money_is_compared_by_what_it_is_worth() {
        let currencies = Currencies {
            corporate: "EUR".to_owned(),
            rates: [("EUR", "1"), ("USD", "1.25"), ("JPY", "160")]
                .map(|(code, rate)| (code.to_owned(), rate.to_owned()))
                .into(),
        };
        let ask = |currencies: Option<Currencies>, operator: &str, value: &str| {
            let condition = json!({ "field": "Amount", "operator": operator, "values": [value] });
            let org = OrgProfile {
                currencies,
                ..OrgProfile::default()
            };
            let settings = asked(json!({ "filter": { "conditions": [condition] } }), org);
            let deal = of_row(json!({ "Amount": 1000, "CurrencyIsoCode": "USD" }));
            ask_of(&deal, &settings, 0)
        };
        for (operator, value, expected) in [
            ("equals", "800", true),
            ("equals", "USD1000", true),
            ("equals", "JPY128000.0", true),
            ("less_than", "EUR801", true),
            ("greater_than", "EUR800", false),
            ("not_equal", "1000", true),
            ("equals", "GBP1", false),
        ] {
            let got = ask(Some(currencies.clone()), operator, value);
            assert_eq!(got, expected, "{operator} {value}");
        }
        assert!(ask(None, "equals", "1000"));
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
