//! The filter builder: rows of field, operator and values, and how they combine.

use domain::filter::{FieldType, MAX_CONDITIONS, Operator};
use maud::{Markup, html};

use super::written::{Faults, Written, WrittenRow};
use super::{ROWS, values};
use crate::pages::parts::form::Field;
use crate::pages::parts::notice;
use crate::views::FieldView;

/// The id of the place where it is said what has become of the builder.
pub(super) const SAID: &str = "filter-said";

/// The literals that are offered for dates; others may be written.
const DATES: &[&str] = &[
    "TODAY",
    "YESTERDAY",
    "TOMORROW",
    "THIS_WEEK",
    "LAST_WEEK",
    "NEXT_WEEK",
    "THIS_MONTH",
    "LAST_MONTH",
    "NEXT_MONTH",
    "THIS_QUARTER",
    "LAST_QUARTER",
    "NEXT_QUARTER",
    "THIS_YEAR",
    "LAST_YEAR",
    "NEXT_YEAR",
    "THIS_FISCAL_QUARTER",
    "THIS_FISCAL_YEAR",
    "LAST_N_DAYS:30",
    "NEXT_N_DAYS:30",
    "LAST_N_MONTHS:6",
    "NEXT_N_MONTHS:6",
    "N_DAYS_AGO:7",
];

/// What can be chosen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice<'a> {
    pub(super) fields: &'a [FieldView],
}

impl<'a> Choice<'a> {
    fn find(self, name: &str) -> Option<&'a FieldView> {
        self.fields.iter().find(|field| field.name == name)
    }

    fn operators(self, name: &str) -> &'a [Operator] {
        match self.find(name) {
            Some(field) if !field.operators.is_empty() => &field.operators,
            _ => &Operator::ALL,
        }
    }

    /// Gives rows whose field was changed an operator that fits, and no values of another field. What
    /// was written before a field was chosen was written for it.
    pub(super) fn settle(self, written: &mut Written) {
        for row in &mut written.rows {
            if row.was != row.field {
                if !row.was.is_empty() {
                    row.values.clear();
                }
                row.was.clone_from(&row.field);
            }
            let fitting = self.operators(&row.field);
            if !fitting
                .iter()
                .any(|operator| operator.name() == row.operator)
                && let Some(first) = fitting.first()
            {
                first.name().clone_into(&mut row.operator);
            }
        }
    }
}

/// What list views call them.
pub(super) const fn operator_label(operator: Operator) -> &'static str {
    match operator {
        Operator::Equals => "equals",
        Operator::NotEqual => "not equal to",
        Operator::StartsWith => "starts with",
        Operator::Contains => "contains",
        Operator::NotContain => "does not contain",
        Operator::LessThan => "less than",
        Operator::GreaterThan => "greater than",
        Operator::LessOrEqual => "less or equal",
        Operator::GreaterOrEqual => "greater or equal",
        Operator::Includes => "includes",
        Operator::Excludes => "excludes",
    }
}

/// What is read aloud when a script has replaced the builder.
fn said(written: &Written) -> String {
    match written.rows.len() {
        1 => "1 condition".to_owned(),
        number => format!("{number} conditions"),
    }
}

/// The whole builder; a script replaces it by what is answered at `data-replace`, and another has
/// `data-said` read aloud in the place of [`SAID`], which stays.
pub(super) fn builder(written: &Written, faults: &Faults, choice: Choice<'_>) -> Markup {
    let formulas: Vec<&str> = written
        .rows
        .iter()
        .filter_map(|row| choice.find(&row.field))
        .filter(|field| field.calculated)
        .map(|field| field.label.as_str())
        .collect();
    html! {
        div #filter data-replace=(ROWS) data-said=(said(written)) data-said-in=(SAID) {
            p.help {
                "Only opportunities that match are synced. Without a condition, all are. At most "
                (MAX_CONDITIONS) " conditions."
            }
            @if let Some(error) = faults.of("rows") { p.error role="alert" { (error) } }
            @if !formulas.is_empty() {
                (notice::warning(&html! {
                    "The filter uses a formula or roll-up (" (formulas.join(", ")) "). Salesforce tells nobody when its value changes by itself, so such opportunities enter or leave the scope only with the next refresh, and not at once."
                }))
            }
            @if written.rows.is_empty() {
                p.no-rows { "No condition: every opportunity whose owner has mOS permission is synced." }
            }
            ol.filter-rows {
                @for (number, written) in (1..).zip(&written.rows) {
                    li { (row(number, written, faults, choice)) }
                }
            }
            div.filter-buttons {
                @if written.rows.len() < MAX_CONDITIONS {
                    button.button type="submit" name="do" value="add" data-partial formnovalidate { "Add condition" }
                }
                @if !written.rows.is_empty() {
                    button.button.without-script type="submit" name="do" value="refresh" data-partial formnovalidate { "Show operators and values of the chosen fields" }
                }
            }
            (dates())
            @if written.rows.len() > 1 || !written.logic.is_empty() || faults.of("logic").is_some() {
                (Field::new("logic", "Filter logic")
                    .help("How the conditions combine, such as 1 AND (2 OR 3). Empty: all must hold.")
                    .error(faults.of("logic").as_deref())
                    .input("text", &written.logic))
            }
        }
    }
}

fn dates() -> Markup {
    html! {
        datalist #date-literals {
            @for literal in DATES { option value=(literal) {} }
        }
    }
}

fn row(number: usize, row: &WrittenRow, faults: &Faults, choice: Choice<'_>) -> Markup {
    let field_name = format!("field.{number}");
    let operator_name = format!("operator.{number}");
    let (field_fault, operator_fault) = (faults.of(&field_name), faults.of(&operator_name));
    let field = Field::new(&field_name, "Field").error(field_fault.as_deref());
    let operator = Field::new(&operator_name, "Operator").error(operator_fault.as_deref());
    let operators = operators(row, choice);
    html! {
        fieldset.filter-row {
            legend { "Condition " (number) }
            input type="hidden" name=(format!("was.{number}")) value=(row.field);
            (field.around(&picker(&field_name, &row.field, field_fault.as_deref(), choice)))
            (operator.select_with(&operators, &row.operator))
            (values(number, row, faults, choice))
            button.button.remove type="submit" name="do" value=(format!("remove.{number}")) data-partial formnovalidate {
                "Remove" span.only-read { " condition " (number) }
            }
        }
    }
}

/// Fields by their labels, those of the record type apart; what is written and is not among them stays.
fn picker(name: &str, chosen: &str, fault: Option<&str>, choice: Choice<'_>) -> Markup {
    let usable = |field: &&FieldView| field.filterable;
    let (parents, own): (Vec<&FieldView>, Vec<&FieldView>) = choice
        .fields
        .iter()
        .filter(usable)
        .partition(|field| field.name.contains('.'));
    let known = chosen.is_empty() || own.iter().chain(&parents).any(|field| field.name == chosen);
    let options = |fields: &[&FieldView]| {
        html! {
            @for field in fields {
                option value=(field.name) selected[field.name == chosen] {
                    (field.label) " (" (field.name) ")" @if field.calculated { ", formula" }
                }
            }
        }
    };
    html! {
        select id=(name) name=(name) data-refresh
            aria-invalid=[fault.map(|_| "true")]
            aria-describedby=[fault.map(|_| format!("{name}-error"))] {
            option value="" selected[chosen.is_empty()] { "Choose a field" }
            @if !known { option value=(chosen) selected { (chosen) } }
            optgroup label="Opportunity" { (options(&own)) }
            @if !parents.is_empty() { optgroup label="Record Type" { (options(&parents)) } }
        }
    }
}

fn operators(row: &WrittenRow, choice: Choice<'_>) -> Vec<(String, String)> {
    let fitting = choice.operators(&row.field).iter();
    let mut options: Vec<(String, String)> = fitting
        .map(|operator| {
            (
                operator.name().to_owned(),
                operator_label(*operator).to_owned(),
            )
        })
        .collect();
    if !row.operator.is_empty() && !options.iter().any(|(name, _)| *name == row.operator) {
        let known = Operator::ALL
            .into_iter()
            .find(|known| known.name() == row.operator);
        let label = known.map_or(row.operator.as_str(), |known| operator_label(known));
        options.push((row.operator.clone(), label.to_owned()));
    }
    options
}

/// The control that fits the field and the operator.
fn values(number: usize, row: &WrittenRow, faults: &Faults, choice: Choice<'_>) -> Markup {
    let name = format!("text.{number}");
    let fault = faults.of(&name);
    let field = choice.find(&row.field);
    let input = |help: &'static str, list: Option<&str>| {
        let described = Field::new(&name, "Value")
            .help(help)
            .error(fault.as_deref());
        described.input_with("text", &values::write(&row.values), list)
    };
    let Some(field) = field else {
        return input("Several with commas between them.", None);
    };
    if field.field_type == FieldType::Boolean {
        return checkbox(number, row, fault.as_deref());
    }
    let among = |names: &[&str]| names.contains(&row.operator.as_str());
    let one_of_list = (field.field_type == FieldType::Picklist && among(&["equals", "not_equal"]))
        || (field.field_type == FieldType::MultiPicklist && among(&["includes", "excludes"]));
    if one_of_list && !field.values.is_empty() {
        return choices(number, row, field, fault.as_deref());
    }
    match field.field_type {
        FieldType::Date => input(
            "A day such as 2026-12-31, or a literal such as THIS_QUARTER or LAST_N_DAYS:30.",
            Some("date-literals"),
        ),
        FieldType::DateTime => input(
            "A day, a time such as 2026-12-31T18:00:00Z, or a literal such as TODAY.",
            Some("date-literals"),
        ),
        FieldType::Time => input("A time of day, such as 14:30.", None),
        FieldType::Number | FieldType::Percent => input("A number, such as 75.", None),
        FieldType::Currency => input(
            "A number, in the corporate currency or with a code before it: EUR5000.",
            None,
        ),
        FieldType::MultiPicklist => input("Items of one set with semicolons: a;b.", None),
        FieldType::Id | FieldType::Reference => input("A record's id.", None),
        FieldType::Text | FieldType::Picklist | FieldType::Boolean => input(
            "Several with commas between them; quotes around one with a comma. Empty: blank.",
            None,
        ),
    }
}

fn checkbox(number: usize, row: &WrittenRow, fault: Option<&str>) -> Markup {
    let name = format!("text.{number}");
    let options = [("true", "True"), ("false", "False")];
    let chosen = row.values.first().map_or("", String::as_str).to_lowercase();
    let known = options.iter().any(|(value, _)| *value == chosen);
    let mut options: Vec<(String, String)> = options
        .iter()
        .map(|(value, label)| ((*value).to_owned(), (*label).to_owned()))
        .collect();
    if !known && !chosen.is_empty() {
        options.push((chosen.clone(), chosen.clone()));
    }
    Field::new(&name, "Value")
        .error(fault)
        .select_with(&options, &chosen)
}

/// Values of a picklist to be ticked; what is written and is not among them stays.
fn choices(number: usize, row: &WrittenRow, field: &FieldView, fault: Option<&str>) -> Markup {
    let name = format!("value.{number}");
    let is_ticked = |value: &str| {
        row.values
            .iter()
            .any(|ticked| ticked.eq_ignore_ascii_case(value))
    };
    let listed = |value: &String| {
        field
            .values
            .iter()
            .any(|known| known.eq_ignore_ascii_case(value))
    };
    let others = row
        .values
        .iter()
        .filter(|value| !value.is_empty() && !listed(value));
    let tick = |place: usize, value: &str, label: &str, ticked: bool| {
        let id = format!("{name}.{place}");
        html! {
            div {
                input type="checkbox" id=(id) name=(name) value=(value) checked[ticked];
                label for=(id) { (label) }
            }
        }
    };
    html! {
        fieldset.choices aria-describedby=[fault.map(|_| format!("text.{number}-error"))] {
            legend { "Values" }
            div.choice-list tabindex="0" {
                // Those that are ticked first: the list may be longer than what is seen of it.
                @for ticked in [true, false] {
                    @for (place, value) in field.values.iter().enumerate().filter(|(_, value)| is_ticked(value) == ticked) {
                        (tick(place, value, value, ticked))
                    }
                }
                @for (place, value) in (field.values.len()..).zip(others) {
                    (tick(place, value, &format!("{value} (not in the list)"), true))
                }
            }
            @if let Some(fault) = fault { p.error id=(format!("text.{number}-error")) { (fault) } }
            p.help { "Any of those ticked; none ticked: blank." }
        }
    }
}
