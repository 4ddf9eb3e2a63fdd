//! JSON values to cells: the checks that a write meets before anything else.
use serde_json::Value;

use crate::error::ApiError;
use crate::record::Cell;
use crate::schema::{Entity, Field, FieldType};
use crate::{id, time};

/// A field's new value, checked against its type and length.
pub(crate) fn cell(entity: &Entity, field: &Field, value: &Value) -> Result<Cell, ApiError> {
    if value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty()) {
        return Ok(if field.kind == FieldType::Boolean {
            Cell::Bool(false)
        } else {
            Cell::Null
        });
    }
    match field.kind {
        FieldType::Boolean => boolean(value).ok_or_else(|| unreadable("boolean", field, value)),
        FieldType::Int => integer(value).ok_or_else(|| unreadable("int", field, value)),
        FieldType::Double | FieldType::Currency | FieldType::Percent => number(field, value),
        FieldType::Date => {
            let text = value.as_str().and_then(time::date);
            text.map(|text| Cell::from(text.as_str()))
                .ok_or_else(|| unreadable("date", field, value))
        }
        FieldType::DateTime => {
            let text = value.as_str().and_then(time::datetime);
            text.map(|text| Cell::from(text.as_str()))
                .ok_or_else(|| unreadable("datetime", field, value))
        }
        FieldType::Time => {
            let text = value.as_str().and_then(time::of_day);
            text.map(|text| Cell::from(text.as_str()))
                .ok_or_else(|| unreadable("time", field, value))
        }
        FieldType::Id | FieldType::Reference => reference(entity, field, value),
        FieldType::Text
        | FieldType::TextArea
        | FieldType::Picklist
        | FieldType::MultiPicklist
        | FieldType::Email
        | FieldType::Phone
        | FieldType::Url => text(field, value),
    }
}

/// The text that a key field's value is looked up by: of a number, `12` and `12.0` are one value.
/// `None` where the field can not hold it.
pub(crate) fn key(entity: &Entity, field: &Field, given: &str) -> Option<String> {
    let stored = cell(entity, field, &Value::from(given)).ok()?;
    if stored.is_null() {
        return None;
    }
    let text = stored.text().map(str::to_owned);
    Some(text.unwrap_or_else(|| stored.json().to_string()))
}

fn boolean(value: &Value) -> Option<Cell> {
    match value {
        Value::Bool(flag) => Some(Cell::Bool(*flag)),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(Cell::Bool(true)),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(Cell::Bool(false)),
        Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    }
}

fn float(value: &Value) -> Option<f64> {
    let number: f64 = match value.as_str() {
        Some(text) => text.trim().parse().ok()?,
        None => value.as_f64()?,
    };
    number.is_finite().then_some(number)
}

fn integer(value: &Value) -> Option<Cell> {
    let number = float(value)?;
    if number.fract() != 0.0 || number.abs() > 2_147_483_647.0 {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a whole number within 32 bits"
    )]
    let whole = number as i64;
    Some(Cell::Int(whole))
}

fn number(field: &Field, value: &Value) -> Result<Cell, ApiError> {
    let number = float(value).ok_or_else(|| unreadable("double", field, value))?;
    let whole_digits = field.precision.saturating_sub(field.scale);
    let digits = i32::try_from(whole_digits).unwrap_or(18);
    if number.abs() >= 10_f64.powi(digits) {
        return Err(ApiError::on_field(
            "NUMBER_OUTSIDE_VALID_RANGE",
            format!(
                "{}: value outside of valid range on numeric field",
                field.name
            ),
            field.name,
        ));
    }
    Ok(Cell::Num(rounded(number, field.scale)))
}

/// A number cut to the digits that its field keeps, half away from zero.
pub(crate) fn rounded(number: f64, scale: u32) -> f64 {
    let factor = 10_f64.powi(i32::try_from(scale).unwrap_or_default());
    let scaled = number * factor;
    if scaled.abs() < 9e15 {
        scaled.round() / factor
    } else {
        number
    }
}

fn text(field: &Field, value: &Value) -> Result<Cell, ApiError> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            return Err(unreadable("string", field, value));
        }
    };
    let limit = usize::try_from(field.length).unwrap_or(usize::MAX);
    if limit > 0 && text.chars().count() > limit {
        return Err(ApiError::on_field(
            "STRING_TOO_LONG",
            format!("{}: data value too large (max length={limit})", field.name),
            field.name,
        ));
    }
    if field.kind == FieldType::Email && !looks_like_email(&text) {
        return Err(ApiError::on_field(
            "INVALID_EMAIL_ADDRESS",
            format!("{}: invalid email address", field.name),
            field.name,
        ));
    }
    Ok(Cell::from(text.as_str()))
}

fn looks_like_email(text: &str) -> bool {
    text.split_once('@')
        .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !text.contains(' '))
}

fn reference(entity: &Entity, field: &Field, value: &Value) -> Result<Cell, ApiError> {
    let malformed = || {
        ApiError::on_field(
            "MALFORMED_ID",
            format!("{}: id value of incorrect type", field.name),
            field.name,
        )
    };
    let given = value.as_str().ok_or_else(malformed)?;
    let whole = id::to_18(given).ok_or_else(malformed)?;
    let belongs_to = id::entity_of(&whole).map(|found| found.name);
    let expected = field.reference.map_or(entity.name, |(target, _)| target);
    let leads_there = |target| target == expected || field.also_leads_to(entity) == Some(target);
    if belongs_to.is_some_and(leads_there) {
        Ok(Cell::from(whole.as_str()))
    } else {
        Err(malformed())
    }
}

fn unreadable(kind: &str, field: &Field, value: &Value) -> ApiError {
    let token = match value {
        Value::String(_) => "VALUE_STRING",
        Value::Number(_) => "VALUE_NUMBER",
        Value::Bool(_) => "VALUE_BOOLEAN",
        Value::Array(_) => "START_ARRAY",
        Value::Object(_) => "START_OBJECT",
        Value::Null => "VALUE_NULL",
    };
    ApiError::on_field(
        "JSON_PARSER_ERROR",
        format!(
            "Cannot deserialize instance of {kind} from {token} value or request may be missing a required field ({})",
            field.name
        ),
        field.name,
    )
}
