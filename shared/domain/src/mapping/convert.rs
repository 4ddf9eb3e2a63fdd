//! A Salesforce value as the mOS field wants it.

use std::borrow::Cow;

use jiff::civil;
use rust_decimal::Decimal;

use super::contract::{Shape, find};
use super::{MappingFault, MappingRow};
use crate::id::SalesforceId;
use crate::time::Timestamp;

/// What mOS is told beside a contract's term: that it is in months.
pub(super) fn term_type(term: &str) -> &'static str {
    if term == "null" {
        r#","contract_term_type":null"#
    } else {
        r#","contract_term_type":"Monthly""#
    }
}

/// The value's JSON text. Null stays null; bulk results have empty texts in its place, so these are
/// null too.
pub(super) fn converted<'row>(
    mapped: &MappingRow,
    raw: Cow<'row, str>,
) -> Result<Cow<'row, str>, MappingFault> {
    if raw == "null" || raw == "\"\"" {
        return Ok(Cow::Borrowed("null"));
    }
    let fault = |wanted| MappingFault {
        object: mapped.object,
        mos_field: mapped.mos_field.clone(),
        salesforce_field: mapped.salesforce_field.clone(),
        wanted,
    };
    if raw.starts_with(['{', '[']) {
        return Err(fault(Wanted::OneValue));
    }
    let shape =
        find(mapped.object, &mapped.mos_field).map_or(Shape::Text, |(_, field)| field.shape);
    let (value, wanted) = match shape {
        Shape::Text => return Ok(text(raw)),
        Shape::Number => (number(raw), Wanted::Number),
        Shape::Whole => (whole(&raw), Wanted::WholeNumber),
        Shape::Term => {
            let months = mapped.contract_term_type.unwrap_or_default().months();
            (times(&raw, months), Wanted::Number)
        }
        Shape::Flag => (flag(&raw), Wanted::Checkbox),
        Shape::Day => (day(raw), Wanted::Date),
        Shape::Moment => (moment(&raw), Wanted::DateTime),
        Shape::Id(_) => (id(&raw), Wanted::RecordId),
    };
    value.ok_or_else(|| fault(wanted))
}

/// What a mOS field is filled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Not a compound field or a whole parent record.
    OneValue,
    /// A number.
    Number,
    /// A number without a fraction.
    WholeNumber,
    /// True or false.
    Checkbox,
    /// A calendar day.
    Date,
    /// A point in time.
    DateTime,
    /// Another record's id.
    RecordId,
}

/// Numbers and flags are spelled out.
fn text(raw: Cow<'_, str>) -> Cow<'_, str> {
    if raw.starts_with('"') {
        raw
    } else {
        Cow::Owned(format!("\"{raw}\""))
    }
}

/// The number in its own spelling, so that amounts stay what they were to the last digit.
fn number(raw: Cow<'_, str>) -> Option<Cow<'_, str>> {
    match plain_text(&raw) {
        None => is_number(&raw).then_some(raw),
        Some(text) => {
            let text = text.trim().to_owned();
            is_number(&text).then_some(Cow::Owned(text))
        }
    }
}

/// Salesforce writes whole values of decimal fields as `12.0`.
fn whole<'a>(raw: &str) -> Option<Cow<'a, str>> {
    let number = decimal(raw)?;
    let is_whole = number.fract().is_zero();
    is_whole.then(|| Cow::Owned(number.trunc().normalize().to_string()))
}

fn times<'a>(raw: &str, factor: u32) -> Option<Cow<'a, str>> {
    let product = decimal(raw)?.checked_mul(Decimal::from(factor))?;
    Some(Cow::Owned(product.normalize().to_string()))
}

fn flag<'a>(raw: &str) -> Option<Cow<'a, str>> {
    let value = match plain_text(raw) {
        None => raw.to_owned(),
        Some(text) => text.trim().to_ascii_lowercase(),
    };
    matches!(value.as_str(), "true" | "false").then_some(Cow::Owned(value))
}

fn day(raw: Cow<'_, str>) -> Option<Cow<'_, str>> {
    let text = plain_text(&raw)?;
    let is_day = text.len() == 10 && text.parse::<civil::Date>().is_ok();
    is_day.then_some(raw)
}

fn moment<'a>(raw: &str) -> Option<Cow<'a, str>> {
    let at = Timestamp::parse(&plain_text(raw)?)?;
    Some(Cow::Owned(format!("\"{at}\"")))
}

fn id<'a>(raw: &str) -> Option<Cow<'a, str>> {
    let id = SalesforceId::parse(&plain_text(raw)?).ok()?;
    Some(Cow::Owned(format!("\"{id}\"")))
}

/// What a JSON string says; `None` for other JSON values.
fn plain_text(raw: &str) -> Option<String> {
    serde_json::from_str(raw).ok()
}

/// As JSON spells numbers.
fn is_number(text: &str) -> bool {
    serde_json::from_str::<serde_json::Number>(text).is_ok()
}

/// From a JSON number or the text of one; `None` beyond 28 digits too, which no field of
/// Salesforce has.
fn decimal(raw: &str) -> Option<Decimal> {
    let number = number(Cow::Borrowed(raw))?;
    if number.contains(['e', 'E']) {
        Decimal::from_scientific(&number).ok()
    } else {
        Decimal::from_str_exact(&number).ok()
    }
}
