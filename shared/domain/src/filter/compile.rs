//! From a saved filter to one that judges rows: every text is checked and read once.

use std::collections::BTreeSet;

use jiff::civil;

use super::calendar::Calendar;
use super::date::{DateValue, ValueFault, time_of_day};
use super::decimal::Decimal;
use super::kinds::{FieldType, Operator, operators};
use super::literal::CountFault;
use super::logic::{Logic, LogicFault};
use super::matching::{CompiledCondition, CompiledFilter, Terms};
use super::meaning::Meaning;
use super::money::{self, Money, Rates};
use super::{Condition, FieldTypes, Filter, MAX_CONDITIONS};
use crate::id::SalesforceId;
use crate::org;

/// Everything that is wrong with a filter, in sentences.
#[must_use]
pub fn in_words(faults: &[FilterFault]) -> String {
    let faults = faults.iter().map(FilterFault::to_string);
    faults.collect::<Vec<_>>().join("; ")
}

/// What is wrong with a filter, for the administrator who wrote it. Conditions and values are
/// counted from 1; values themselves are never repeated, they may be personal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterFault {
    /// More than [`MAX_CONDITIONS`].
    #[error("the filter has {count} conditions, it may have at most {MAX_CONDITIONS}; remove some")]
    TooMany {
        /// How many it has.
        count: usize,
    },
    /// Describe does not list the field, or not as one that can be filtered by.
    #[error(
        "condition {condition}: Opportunity has no field `{field}` that can be filtered by; check the spelling of its API name, capitals included, and that the integration user may see it"
    )]
    UnknownField {
        /// Which row.
        condition: usize,
        /// As written.
        field: String,
    },
    /// Such as `contains` on a number.
    #[error("condition {condition}: {operator} cannot be used on the {field_type} field `{field}`; use one of {}", names(operators(.field, *.field_type)))]
    OperatorDoesNotFit {
        /// Which row.
        condition: usize,
        /// Its field.
        field: String,
        /// As written.
        operator: Operator,
        /// The field's type.
        field_type: FieldType,
    },
    /// Blank goes with `equals` and `not_equal` only.
    #[error(
        "condition {condition}: {operator} on `{field}` needs a value; to ask for blank fields use equals without a value"
    )]
    ValueMissing {
        /// Which row.
        condition: usize,
        /// Its field.
        field: String,
        /// As written.
        operator: Operator,
    },
    /// The value cannot be read as the field's type.
    #[error("condition {condition}: value {value} for the {field_type} field `{field}` cannot be read; {}", spelling(*.field_type))]
    UnreadableValue {
        /// Which row.
        condition: usize,
        /// Which of its values.
        value: usize,
        /// Its field.
        field: String,
        /// The field's type.
        field_type: FieldType,
    },
    /// `NEXT_N_DAYS:0`, `LAST_N_YEARS:500`.
    #[error(
        "condition {condition}: value {value} for `{field}` counts too few or too many; write a number from {least} to {most}"
    )]
    CountOutOfBounds {
        /// Which row.
        condition: usize,
        /// Which of its values.
        value: usize,
        /// Its field.
        field: String,
        /// The smallest number that makes sense.
        least: u32,
        /// The largest.
        most: u32,
    },
    /// A literal of fiscal years that the org has not defined.
    #[error(
        "condition {condition}: value {value} for `{field}` needs fiscal years that the org has not defined; define them in Salesforce (Setup, Fiscal Year) or write fixed dates. Until then the filter matches nothing"
    )]
    FiscalYearUndefined {
        /// Which row.
        condition: usize,
        /// Which of its values.
        value: usize,
        /// Its field.
        field: String,
    },
    /// `USD5000` in an org with one currency.
    #[error(
        "condition {condition}: value {value} for `{field}` names a currency, and this org has only one; write the number alone"
    )]
    OneCurrency {
        /// Which row.
        condition: usize,
        /// Which of its values.
        value: usize,
        /// Its field.
        field: String,
    },
    /// A currency that the org does not have.
    #[error(
        "condition {condition}: value {value} for `{field}` names a currency that this org does not have; write one of its currencies before the number, such as EUR5000, or the number alone for the corporate currency"
    )]
    UnknownCurrency {
        /// Which row.
        condition: usize,
        /// Which of its values.
        value: usize,
        /// Its field.
        field: String,
    },
    /// The zone of the org, or of the integration user, is not in the database of zones.
    #[error(
        "the filter compares dates in the time zone `{zone}`, which mosync does not know; choose another time zone in Salesforce, or the other one in the setting `zone`"
    )]
    UnknownZone {
        /// As Salesforce names it.
        zone: String,
    },
    /// The logic string.
    #[error(transparent)]
    Logic(#[from] LogicFault),
}

impl FilterFault {
    /// Where in a settings document it is, such as `filter.conditions[2].values`; rows are counted
    /// from 1.
    #[must_use]
    pub fn at(&self) -> String {
        let (condition, part) = match self {
            Self::TooMany { .. } => return "filter.conditions".to_owned(),
            Self::UnknownZone { .. } => return "zone".to_owned(),
            Self::Logic(_) => return "filter.logic".to_owned(),
            Self::UnknownField { condition, .. } => (condition, "field"),
            Self::OperatorDoesNotFit { condition, .. } => (condition, "operator"),
            Self::ValueMissing { condition, .. }
            | Self::UnreadableValue { condition, .. }
            | Self::CountOutOfBounds { condition, .. }
            | Self::FiscalYearUndefined { condition, .. }
            | Self::OneCurrency { condition, .. }
            | Self::UnknownCurrency { condition, .. } => (condition, "values"),
        };
        format!("filter.conditions[{condition}].{part}")
    }
}

/// A condition's values, read as its field's type; `None` is blank.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operands {
    /// Lower-cased; blank is the empty text.
    Text(Vec<Option<String>>),
    /// Sets of lower-cased items; blank is the empty set.
    Items(Vec<Option<BTreeSet<String>>>),
    /// Blank is false.
    Flag(Vec<bool>),
    Number(Vec<Option<Decimal>>),
    Money(Vec<Option<Money>>),
    Date(Vec<Option<DateValue>>),
    DateTime(Vec<Option<DateValue>>),
    Time(Vec<Option<civil::Time>>),
    Id(Vec<Option<SalesforceId>>),
    /// First characters of ids.
    IdPrefix(Vec<String>),
}

pub(super) fn compile(
    filter: &Filter,
    types: &FieldTypes,
    meaning: Meaning<'_>,
) -> Result<CompiledFilter, Vec<FilterFault>> {
    let mut faults = Vec::new();
    let count = filter.conditions.len();
    if count > MAX_CONDITIONS {
        faults.push(FilterFault::TooMany { count });
    }
    let rates = meaning.org.currencies.as_ref().map(Rates::of);
    let mut conditions = Vec::with_capacity(count);
    for (number, condition) in (1..).zip(&filter.conditions) {
        match compile_condition(number, condition, types, rates.as_ref()) {
            Ok(compiled) => conditions.push(compiled),
            Err(found) => faults.extend(found),
        }
    }
    let logic = match filter
        .logic
        .as_deref()
        .filter(|text| !text.trim().is_empty())
    {
        None => Logic::all_of(count),
        Some(text) => Logic::parse(text, count).unwrap_or_else(|found| {
            faults.extend(found.into_iter().map(FilterFault::Logic));
            Logic::all_of(count)
        }),
    };
    let calendar = calendar(meaning, &conditions).map_err(|fault| faults.push(fault));
    match calendar {
        Ok(calendar) if faults.is_empty() => {
            let terms = Terms {
                calendar,
                rates,
                blanks: meaning.blanks,
            };
            Ok(CompiledFilter::new(conditions, logic, terms))
        }
        _ => Err(faults),
    }
}

/// The calendar of the filter's days. A zone that no day is in does not matter.
fn calendar(
    meaning: Meaning<'_>,
    conditions: &[CompiledCondition],
) -> Result<Calendar, FilterFault> {
    let zone = org::zone(meaning.time_zone());
    let zone = match zone {
        Some(zone) => zone,
        None if conditions.iter().any(CompiledCondition::has_days) => {
            let zone = meaning.time_zone().to_owned();
            return Err(FilterFault::UnknownZone { zone });
        }
        None => jiff::tz::TimeZone::UTC,
    };
    Ok(Calendar::new(
        zone,
        meaning.first_weekday(),
        &meaning.org.fiscal,
    ))
}

fn compile_condition(
    number: usize,
    condition: &Condition,
    types: &FieldTypes,
    rates: Option<&Rates>,
) -> Result<CompiledCondition, Vec<FilterFault>> {
    let field = &condition.field;
    let operator = condition.operator;
    let Some(field_type) = types.get(field).copied() else {
        return Err(vec![FilterFault::UnknownField {
            condition: number,
            field: field.clone(),
        }]);
    };
    if !operators(field, field_type).contains(&operator) {
        return Err(vec![FilterFault::OperatorDoesNotFit {
            condition: number,
            field: field.clone(),
            operator,
            field_type,
        }]);
    }
    let reader = Reader {
        number,
        condition,
        field_type,
    };
    let operands = operands(&reader, rates)?;
    let texts = condition.values.iter();
    Ok(CompiledCondition {
        field: field.clone(),
        field_type,
        operator,
        texts: texts.map(|text| reader.trimmed(text).to_owned()).collect(),
        operands,
    })
}

fn operands(reader: &Reader<'_>, rates: Option<&Rates>) -> Result<Operands, Vec<FilterFault>> {
    let operator = reader.condition.operator;
    Ok(match reader.field_type {
        FieldType::Text | FieldType::Picklist => {
            Operands::Text(reader.each(|text| Ok(lower_case(text)))?)
        }
        FieldType::MultiPicklist => Operands::Items(reader.each(|text| Ok(items(text)))?),
        FieldType::Boolean => {
            let flags = reader.each(|text| flag(text).ok_or(ValueFault::Unreadable))?;
            Operands::Flag(flags.into_iter().map(|value| value == Some(true)).collect())
        }
        FieldType::Currency if let Some(rates) = rates => {
            Operands::Money(reader.each(|text| rates.money(text))?)
        }
        FieldType::Number | FieldType::Currency | FieldType::Percent => {
            Operands::Number(reader.each(|text| reader.number(text))?)
        }
        FieldType::Date => Operands::Date(reader.each(|text| DateValue::parse(text, false))?),
        FieldType::DateTime => {
            Operands::DateTime(reader.each(|text| DateValue::parse(text, true))?)
        }
        FieldType::Time => {
            Operands::Time(reader.each(|text| time_of_day(text).ok_or(ValueFault::Unreadable))?)
        }
        FieldType::Id | FieldType::Reference if operator == Operator::StartsWith => {
            let prefixes = reader.each(|text| id_prefix(text).ok_or(ValueFault::Unreadable))?;
            Operands::IdPrefix(prefixes.into_iter().flatten().collect())
        }
        FieldType::Id | FieldType::Reference => Operands::Id(
            reader
                .each(|text| SalesforceId::parse(text).map_err(|_fault| ValueFault::Unreadable))?,
        ),
    })
}

/// Reads the values of one condition and words what is wrong with them.
struct Reader<'filter> {
    number: usize,
    condition: &'filter Condition,
    field_type: FieldType,
}

impl Reader<'_> {
    /// Reads each value, a blank one as `None`; no values at all are one blank.
    fn each<T>(
        &self,
        read: impl Fn(&str) -> Result<T, ValueFault>,
    ) -> Result<Vec<Option<T>>, Vec<FilterFault>> {
        let mut values = Vec::new();
        let mut faults = Vec::new();
        let blank = [String::new()];
        let texts = if self.condition.values.is_empty() {
            &blank[..]
        } else {
            &self.condition.values
        };
        for (place, text) in (1..).zip(texts) {
            let text = self.trimmed(text);
            if self.is_blank(text) {
                values.push(None);
                continue;
            }
            match read(text) {
                Ok(value) => values.push(Some(value)),
                Err(fault) => faults.push(self.fault(place, fault)),
            }
        }
        if !self.condition.operator.takes_blank()
            && texts.iter().any(|text| self.is_blank(self.trimmed(text)))
        {
            let Condition {
                field, operator, ..
            } = self.condition;
            faults.push(FilterFault::ValueMissing {
                condition: self.number,
                field: field.clone(),
                operator: *operator,
            });
        }
        if faults.is_empty() {
            Ok(values)
        } else {
            Err(faults)
        }
    }

    /// Blanks around a value mean something in a text ("ends with a blank") and nothing elsewhere.
    fn trimmed<'text>(&self, text: &'text str) -> &'text str {
        if matches!(self.field_type, FieldType::Text | FieldType::Picklist) {
            text
        } else {
            text.trim()
        }
    }

    fn is_blank(&self, text: &str) -> bool {
        text.is_empty() || (self.field_type == FieldType::MultiPicklist && items(text).is_empty())
    }

    fn number(&self, text: &str) -> Result<Decimal, ValueFault> {
        let with_code = self.field_type == FieldType::Currency && money::has_code(text);
        Decimal::parse(text).ok_or(if with_code {
            ValueFault::OneCurrency
        } else {
            ValueFault::Unreadable
        })
    }

    fn fault(&self, value: usize, fault: ValueFault) -> FilterFault {
        let (condition, field, field_type) =
            (self.number, self.condition.field.clone(), self.field_type);
        match fault {
            ValueFault::Count(CountFault { least, most }) => FilterFault::CountOutOfBounds {
                condition,
                value,
                field,
                least,
                most,
            },
            ValueFault::OneCurrency => FilterFault::OneCurrency {
                condition,
                value,
                field,
            },
            ValueFault::UnknownCurrency => FilterFault::UnknownCurrency {
                condition,
                value,
                field,
            },
            ValueFault::Unreadable => FilterFault::UnreadableValue {
                condition,
                value,
                field,
                field_type,
            },
        }
    }
}

/// Character by character, so that a text's parts are spelled alike inside it and alone: the
/// lower case of a whole word ends a Greek one in another letter.
pub(super) fn lower_case(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// The items of a multi-select value `a;b`.
pub(super) fn items(text: &str) -> BTreeSet<String> {
    text.split(';')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(lower_case)
        .collect()
}

fn flag(text: &str) -> Option<bool> {
    match text {
        yes if yes.eq_ignore_ascii_case("true") => Some(true),
        no if no.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

fn id_prefix(text: &str) -> Option<String> {
    let shaped = text.len() <= 18 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    shaped.then(|| text.to_owned())
}

fn names(operators: &[Operator]) -> String {
    operators
        .iter()
        .map(|operator| operator.name())
        .collect::<Vec<_>>()
        .join(", ")
}

const fn spelling(field_type: FieldType) -> &'static str {
    match field_type {
        FieldType::Boolean => "write true or false",
        FieldType::Number | FieldType::Percent => {
            "write a plain number such as 1500 or 0.75, without separators, currency or percent sign"
        }
        FieldType::Currency => {
            "write a plain number such as 1500 or 0.75, without separators or currency sign; with several currencies also one with its code such as EUR1500"
        }
        FieldType::Date => {
            "write a date such as 2026-01-31 or a relative one such as TODAY or LAST_N_DAYS:30"
        }
        FieldType::DateTime => {
            "write a date such as 2026-01-31, a relative one such as LAST_N_DAYS:30, or a time with its zone such as 2026-01-31T12:00:00Z"
        }
        FieldType::Time => "write a time such as 10:15 or 10:15:30",
        FieldType::Id | FieldType::Reference => {
            "write a record id of 15 or 18 characters as Salesforce shows it"
        }
        FieldType::Text | FieldType::Picklist | FieldType::MultiPicklist => "write a text",
    }
}
