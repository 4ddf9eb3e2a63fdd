//! Judging rows.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde::Serialize;

use super::FilterFault;
use super::calendar::Calendar;
use super::compile::{Operands, items, lower_case};
use super::date::{DateValue, day, instant, time_of_day};
use super::decimal::Decimal;
use super::kinds::{FieldType, Operator};
use super::logic::Logic;
use super::meaning::BlankRule;
use super::money::{Money, Rates, currency_field};
use crate::id::SalesforceId;
use crate::row::Fields;
use crate::time::Timestamp;

/// A filter that has been checked and can judge rows.
#[derive(Debug, Clone)]
pub struct CompiledFilter {
    pub(super) conditions: Vec<CompiledCondition>,
    pub(super) logic: Logic,
    pub(super) terms: Terms,
    fields: BTreeSet<String>,
}

/// What all conditions are read with.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    pub(super) calendar: Calendar,
    /// `None` in an org with one currency.
    pub(super) rates: Option<Rates>,
    pub(super) blanks: BlankRule,
}

/// The same at a moment.
#[derive(Clone, Copy)]
pub(super) struct TermsAt<'t> {
    pub(super) terms: &'t Terms,
    pub(super) at: Timestamp,
}

#[derive(Debug, Clone)]
pub(super) struct CompiledCondition {
    pub(super) field: String,
    pub(super) field_type: FieldType,
    pub(super) operator: Operator,
    /// The values as written.
    pub(super) texts: Vec<String>,
    /// The same values, read.
    pub(super) operands: Operands,
}

/// What one condition made of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConditionResult {
    /// The condition's field.
    pub field: String,
    /// How it was compared.
    pub operator: Operator,
    /// The row's value as text, for people; `None` when the row has none.
    pub met: Option<String>,
    /// Whether the condition holds; `None` where nobody can say, which is so with blank fields
    /// alone, and only where they are dropped.
    pub holds: Option<bool>,
}

impl CompiledFilter {
    pub(super) fn new(conditions: Vec<CompiledCondition>, logic: Logic, terms: Terms) -> Self {
        let mut fields = BTreeSet::new();
        for condition in &conditions {
            fields.insert(condition.field.clone());
            if let (Operands::Money(_), Some(rates)) = (&condition.operands, &terms.rates) {
                fields.insert(currency_field(&condition.field));
                if rates.is_dated(&condition.field) {
                    fields.insert(RATE_DAY.to_owned());
                }
            }
        }
        Self {
            conditions,
            logic,
            terms,
            fields,
        }
    }

    /// Whether the filter matches the row, with relative dates counted from the day that it is at
    /// `at`. While a date literal has no range ([`Self::undefined`]) it matches nothing.
    #[must_use]
    pub fn matches(&self, row: &Fields<'_>, at: Timestamp) -> bool {
        let now = self.at(at);
        let truth = |index: usize| self.conditions.get(index)?.truth(row, now);
        self.is_defined(at) && self.logic.truth(&truth) == Some(true)
    }

    /// What each condition made of the row at `at`, in the filter's order.
    #[must_use]
    pub fn explain(&self, row: &Fields<'_>, at: Timestamp) -> Vec<ConditionResult> {
        let now = self.at(at);
        self.conditions
            .iter()
            .map(|condition| ConditionResult {
                field: condition.field.clone(),
                operator: condition.operator,
                met: met_text(row, &condition.field).map(Cow::into_owned),
                holds: condition.truth(row, now),
            })
            .collect()
    }

    /// The fields a row must have been read with.
    #[must_use]
    pub const fn fields(&self) -> &BTreeSet<String> {
        &self.fields
    }

    /// Whether what it matches depends on the day.
    #[must_use]
    pub fn is_relative(&self) -> bool {
        self.literals().next().is_some()
    }

    /// The next moment after `at` at which the range of a date literal moves; `None` where none
    /// does.
    #[must_use]
    pub fn next_turn(&self, at: Timestamp) -> Option<Timestamp> {
        self.literals()
            .filter_map(|(_, _, value)| self.terms.calendar.next_turn(value.literal()?.unit, at))
            .min()
    }

    /// The date literals that have no range at `at`, because they need fiscal years that the org
    /// has not defined. Salesforce answers a query with such a literal with an error, whatever else
    /// it asks for; so the whole filter matches nothing then.
    #[must_use]
    pub fn undefined(&self, at: Timestamp) -> Vec<FilterFault> {
        self.literals()
            .filter(|(_, _, value)| self.terms.calendar.days(value, at).is_none())
            .map(|(condition, place, _)| FilterFault::FiscalYearUndefined {
                condition: condition + 1,
                value: place + 1,
                field: self
                    .conditions
                    .get(condition)
                    .map_or_else(String::new, |c| c.field.clone()),
            })
            .collect()
    }

    pub(super) fn is_defined(&self, at: Timestamp) -> bool {
        self.literals()
            .all(|(_, _, value)| self.terms.calendar.days(value, at).is_some())
    }

    pub(super) const fn at(&self, at: Timestamp) -> TermsAt<'_> {
        TermsAt {
            terms: &self.terms,
            at,
        }
    }

    /// The date literals, with the places of their condition and of their value in it.
    fn literals(&self) -> impl Iterator<Item = (usize, usize, &DateValue)> {
        self.conditions
            .iter()
            .enumerate()
            .flat_map(|(condition, compiled)| {
                let values = compiled.dates().iter().enumerate();
                values.filter_map(move |(place, value)| Some((condition, place, value.as_ref()?)))
            })
            .filter(|(_, _, value)| value.literal().is_some())
    }
}

/// The day whose rates count for an opportunity's amounts, where rates are dated.
pub(super) const RATE_DAY: &str = "CloseDate";

impl CompiledCondition {
    /// `None` where nobody knows, which is so with blank fields alone, and only where they are
    /// dropped.
    fn truth(&self, row: &Fields<'_>, now: TermsAt<'_>) -> Option<bool> {
        let (operator, negated) = match self.operator.negated() {
            Some(positive) => (positive, true),
            None => (self.operator, false),
        };
        let holds = match (self.any(operator, row, now), now.terms.blanks) {
            (Some(holds), _) => holds,
            (None, BlankRule::Keep) => false,
            (None, BlankRule::Drop) => return None,
        };
        Some(holds != negated)
    }

    /// Whether a positive operator holds for any of the values; `None` for a blank field that none
    /// of them asks for.
    fn any(&self, operator: Operator, row: &Fields<'_>, now: TermsAt<'_>) -> Option<bool> {
        let text = met_text(row, &self.field);
        let met = text.as_deref();
        let TermsAt { terms, at } = now;
        match &self.operands {
            Operands::Text(values) => {
                any_value(met.map(lower_case).as_ref(), values, |met, value| {
                    text_holds(operator, met, value)
                })
            }
            Operands::Items(values) => {
                let met = met.map(items).filter(|set| !set.is_empty());
                any_value(met.as_ref(), values, |met, value| {
                    if operator == Operator::Includes {
                        value.is_subset(met)
                    } else {
                        met == value
                    }
                })
            }
            Operands::Flag(values) => Some(values.contains(&(met == Some("true")))),
            Operands::Number(values) => any_value(
                met.and_then(Decimal::parse).as_ref(),
                values,
                |met, value| ordered(operator, met.cmp(value)),
            ),
            Operands::Money(values) => self.any_money(operator, row, met, values, terms),
            Operands::Date(values) => {
                any_value(met.and_then(day).as_ref(), values, |met, value| {
                    let days = terms.calendar.days(value, at);
                    days.is_some_and(|days| ordered(operator, days.place(*met)))
                })
            }
            Operands::DateTime(values) => {
                any_value(met.and_then(instant).as_ref(), values, |met, value| {
                    let stretch = terms.calendar.stretch(value, at);
                    stretch.is_some_and(|stretch| ordered(operator, stretch.place(*met)))
                })
            }
            Operands::Time(values) => {
                any_value(met.and_then(time_of_day).as_ref(), values, |met, value| {
                    ordered(operator, met.cmp(value))
                })
            }
            Operands::Id(values) => {
                any_value(met.and_then(id).as_ref(), values, |met, value| met == value)
            }
            Operands::IdPrefix(prefixes) => met.and_then(id).map(|met| {
                prefixes
                    .iter()
                    .any(|prefix| met.as_str().starts_with(prefix))
            }),
        }
    }

    fn any_money(
        &self,
        operator: Operator,
        row: &Fields<'_>,
        met: Option<&str>,
        values: &[Option<Money>],
        terms: &Terms,
    ) -> Option<bool> {
        let rates = terms.rates.as_ref()?;
        let currency = row.text(&currency_field(&self.field)).unwrap_or_default();
        let day = rates
            .is_dated(&self.field)
            .then(|| row.text(RATE_DAY).as_deref().and_then(day))
            .flatten();
        let met = met
            .and_then(Decimal::parse)
            .filter(|_| rates.rate(&currency, None).is_some());
        any_value(met.as_ref(), values, |met, value| {
            let place = rates.place(met, &currency, value, day);
            place.is_some_and(|place| ordered(operator, place))
        })
    }

    /// The dates that it compares with; none where it is not about dates.
    pub(super) fn dates(&self) -> &[Option<DateValue>] {
        match &self.operands {
            Operands::Date(values) | Operands::DateTime(values) => values,
            Operands::Text(_)
            | Operands::Items(_)
            | Operands::Flag(_)
            | Operands::Number(_)
            | Operands::Money(_)
            | Operands::Time(_)
            | Operands::Id(_)
            | Operands::IdPrefix(_) => &[],
        }
    }

    /// Whether it depends on when a day begins.
    pub(super) fn has_days(&self) -> bool {
        let moments = matches!(self.operands, Operands::DateTime(_));
        self.dates().iter().flatten().any(|value| match value {
            DateValue::Relative(_) => true,
            DateValue::Day(_) => moments,
            DateValue::Instant(_) => false,
        })
    }
}

/// Whether a comparison holds for any value; blank equals blank and compares with nothing else.
/// (Only `equals` and its negation are compiled with a blank value.)
fn any_value<M, V>(
    met: Option<&M>,
    values: &[Option<V>],
    holds: impl Fn(&M, &V) -> bool,
) -> Option<bool> {
    match met {
        Some(met) => Some(values.iter().flatten().any(|value| holds(met, value))),
        None => values.iter().any(Option::is_none).then_some(true),
    }
}

fn text_holds(operator: Operator, met: &str, value: &str) -> bool {
    match operator {
        Operator::Contains => met.contains(value),
        Operator::StartsWith => met.starts_with(value),
        Operator::Equals
        | Operator::NotEqual
        | Operator::NotContain
        | Operator::LessThan
        | Operator::GreaterThan
        | Operator::LessOrEqual
        | Operator::GreaterOrEqual
        | Operator::Includes
        | Operator::Excludes => ordered(operator, met.cmp(value)),
    }
}

/// Whether an order between field and value satisfies the operator.
const fn ordered(operator: Operator, order: Ordering) -> bool {
    match operator {
        Operator::Equals => order.is_eq(),
        Operator::LessThan => order.is_lt(),
        Operator::GreaterThan => order.is_gt(),
        Operator::LessOrEqual => order.is_le(),
        Operator::GreaterOrEqual => order.is_ge(),
        Operator::NotEqual
        | Operator::StartsWith
        | Operator::Contains
        | Operator::NotContain
        | Operator::Includes
        | Operator::Excludes => false,
    }
}

/// A field's value as text, whether the row has it as a JSON text or as a number or flag; `None`
/// when it is blank.
fn met_text<'row>(row: &Fields<'row>, field: &str) -> Option<Cow<'row, str>> {
    let raw = row.raw(field)?;
    if raw.starts_with('"') {
        let text = serde_json::from_str::<String>(&raw).ok()?;
        return (!text.is_empty()).then_some(Cow::Owned(text));
    }
    (raw != "null").then_some(raw)
}

fn id(text: &str) -> Option<SalesforceId> {
    SalesforceId::parse(text).ok()
}
