//! Judging rows.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde::Serialize;

use super::compile::{Operands, items, lower_case};
use super::date::{day, instant, time_of_day};
use super::decimal::Decimal;
use super::kinds::{FieldType, Operator};
use super::logic::Logic;
use crate::id::SalesforceId;
use crate::row::Fields;

/// A filter that has been checked and can judge rows.
#[derive(Debug, Clone)]
pub struct CompiledFilter {
    pub(super) conditions: Vec<CompiledCondition>,
    pub(super) logic: Logic,
    fields: BTreeSet<String>,
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
    /// Whether the condition holds.
    pub matched: bool,
}

impl CompiledFilter {
    pub(super) fn new(conditions: Vec<CompiledCondition>, logic: Logic) -> Self {
        let fields = conditions
            .iter()
            .map(|condition| condition.field.clone())
            .collect();
        Self {
            conditions,
            logic,
            fields,
        }
    }

    /// Whether the filter matches the row.
    #[must_use]
    pub fn matches(&self, row: &Fields<'_>) -> bool {
        self.logic.holds(&|index| {
            self.conditions
                .get(index)
                .is_some_and(|condition| condition.holds(row))
        })
    }

    /// What each condition made of the row, in the filter's order.
    #[must_use]
    pub fn explain(&self, row: &Fields<'_>) -> Vec<ConditionResult> {
        self.conditions
            .iter()
            .map(|condition| ConditionResult {
                field: condition.field.clone(),
                operator: condition.operator,
                met: met_text(row, &condition.field).map(Cow::into_owned),
                matched: condition.holds(row),
            })
            .collect()
    }

    /// The fields a row must have been read with.
    #[must_use]
    pub const fn fields(&self) -> &BTreeSet<String> {
        &self.fields
    }
}

impl CompiledCondition {
    fn holds(&self, row: &Fields<'_>) -> bool {
        let text = met_text(row, &self.field);
        let text = text.as_deref();
        match self.operator.negated() {
            Some(positive) => !self.any(positive, text),
            None => self.any(self.operator, text),
        }
    }

    /// Whether a positive operator holds for any of the values.
    fn any(&self, operator: Operator, met: Option<&str>) -> bool {
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
            Operands::Flag(values) => values.contains(&(met == Some("true"))),
            Operands::Number(values) => any_value(
                met.and_then(Decimal::parse).as_ref(),
                values,
                |met, value| ordered(operator, met.cmp(value)),
            ),
            Operands::Date(values) => {
                any_value(met.and_then(day).as_ref(), values, |met, value| {
                    ordered(operator, value.place_of_day(*met))
                })
            }
            Operands::DateTime(values) => {
                any_value(met.and_then(instant).as_ref(), values, |met, value| {
                    ordered(operator, value.place_of_instant(*met))
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
            Operands::IdPrefix(prefixes) => met.and_then(id).is_some_and(|met| {
                prefixes
                    .iter()
                    .any(|prefix| met.as_str().starts_with(prefix))
            }),
        }
    }
}

/// Whether a comparison holds for any value; blank equals blank and compares with nothing else.
/// (Only `equals` and its negation are compiled with a blank value.)
fn any_value<M, V>(met: Option<&M>, values: &[Option<V>], holds: impl Fn(&M, &V) -> bool) -> bool {
    values.iter().any(|value| match (met, value) {
        (None, None) => true,
        (Some(met), Some(value)) => holds(met, value),
        (None, Some(_)) | (Some(_), None) => false,
    })
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
