//! A field's value: checked on its way in, held in one canonical form, shown as JSON.

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::schema::{FieldKind, FieldSpec};

/// The largest whole number that every JSON reader holds exactly.
const INTEGER_MAX: i64 = (1 << 53) - 1;
/// Digits of a decimal, before and after the point together.
const DECIMAL_DIGITS_MAX: usize = 20;

/// A value as it is held. Two values are the same exactly when their held forms are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Held {
    /// Text, a date, an instant (UTC, milliseconds) or a reference.
    Text(Box<str>),
    Boolean(bool),
    Integer(i64),
    /// No exponent, no leading or trailing zeros, no negative zero.
    Decimal(Box<str>),
}

impl Held {
    /// As the API shows it: decimals are strings, so that no reader rounds them.
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Text(text) | Self::Decimal(text) => Value::from(text.as_ref()),
            Self::Boolean(flag) => Value::from(*flag),
            Self::Integer(number) => Value::from(*number),
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Boolean(_) | Self::Integer(_) | Self::Decimal(_) => None,
        }
    }
}

/// Why a value was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// `invalid_field`, with what the field wants.
    Invalid(&'static str),
    /// `value_too_long`, with the length the field takes.
    TooLong(usize),
}

/// Checks a value against its field. `Ok(None)` is null: clear the field.
pub(crate) fn accept(spec: &FieldSpec, raw: &RawValue) -> Result<Option<Held>, Refusal> {
    let held = match (spec.kind, Token::of(raw)) {
        (FieldKind::HardReference(_), Token::Null) => {
            return Err(Refusal::Invalid("a required reference cannot be null"));
        }
        (_, Token::Null) => return Ok(None),
        (FieldKind::Text(max), Token::Text(text)) => limited(text, max)?,
        (FieldKind::Email(max), Token::Text(text)) => email(text, max)?,
        (FieldKind::Choice(words), Token::Text(text)) => choice(text, words)?,
        (FieldKind::Currency, Token::Text(text)) => currency(text)?,
        (FieldKind::Boolean, Token::Boolean(flag)) => Held::Boolean(flag),
        (FieldKind::Integer, Token::Number(number)) => integer(number)?,
        (FieldKind::Decimal, Token::Number(number)) => decimal(number)?,
        (FieldKind::Decimal, Token::Text(text)) => decimal(&text)?,
        (FieldKind::Date, Token::Text(text)) => date(&text)?,
        (FieldKind::DateTime, Token::Text(text)) => instant(&text)?,
        (FieldKind::SoftReference | FieldKind::HardReference(_), Token::Text(text)) => {
            reference(text)?
        }
        (kind, _) => return Err(Refusal::Invalid(wanted(kind))),
    };
    Ok(Some(held))
}

/// A JSON value, with numbers as they were written.
enum Token<'a> {
    Null,
    Boolean(bool),
    Number(&'a str),
    Text(String),
    Nested,
}

impl<'a> Token<'a> {
    fn of(raw: &'a RawValue) -> Self {
        let text = raw.get();
        match serde_json::from_str::<Value>(text) {
            Ok(Value::Null) => Self::Null,
            Ok(Value::Bool(flag)) => Self::Boolean(flag),
            Ok(Value::Number(_)) => Self::Number(text),
            Ok(Value::String(string)) => Self::Text(string),
            Ok(Value::Array(_) | Value::Object(_)) | Err(_) => Self::Nested,
        }
    }
}

fn wanted(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Text(_) | FieldKind::Email(_) => "must be text",
        FieldKind::Choice(_) => "must be one of the field's words",
        FieldKind::Currency => "must be a currency code of three capital letters",
        FieldKind::Boolean => "must be true or false",
        FieldKind::Integer => "must be a whole number",
        FieldKind::Decimal => "must be a decimal number of at most 20 digits",
        FieldKind::Date => "must be a date, YYYY-MM-DD",
        FieldKind::DateTime => "must be an instant with its offset, as 2026-01-31T12:00:00.000Z",
        FieldKind::SoftReference | FieldKind::HardReference(_) => {
            "must be an external id of 18 letters and digits"
        }
    }
}

fn limited(text: String, max: usize) -> Result<Held, Refusal> {
    if text.chars().count() > max {
        return Err(Refusal::TooLong(max));
    }
    Ok(Held::Text(text.into()))
}

fn email(text: String, max: usize) -> Result<Held, Refusal> {
    let whole = text
        .split_once('@')
        .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty());
    if !whole {
        return Err(Refusal::Invalid("must be an e-mail address"));
    }
    limited(text, max)
}

fn choice(text: String, words: &[&str]) -> Result<Held, Refusal> {
    if words.contains(&text.as_str()) {
        Ok(Held::Text(text.into()))
    } else {
        Err(Refusal::Invalid("must be one of the field's words"))
    }
}

fn currency(text: String) -> Result<Held, Refusal> {
    if text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        Ok(Held::Text(text.into()))
    } else {
        Err(Refusal::Invalid(wanted(FieldKind::Currency)))
    }
}

/// Salesforce writes some integers with a point (`120.0`), so the value decides, not the spelling.
fn integer(number: &str) -> Result<Held, Refusal> {
    canonical_decimal(number)
        .and_then(|text| text.parse::<i64>().ok())
        .filter(|value| (-INTEGER_MAX..=INTEGER_MAX).contains(value))
        .map(Held::Integer)
        .ok_or(Refusal::Invalid(wanted(FieldKind::Integer)))
}

fn decimal(text: &str) -> Result<Held, Refusal> {
    canonical_decimal(text)
        .filter(|text| text.bytes().filter(u8::is_ascii_digit).count() <= DECIMAL_DIGITS_MAX)
        .map(|text| Held::Decimal(text.into()))
        .ok_or(Refusal::Invalid(wanted(FieldKind::Decimal)))
}

fn date(text: &str) -> Result<Held, Refusal> {
    let strict = text.len() == 10 && text.parse::<Date>().is_ok();
    if strict {
        Ok(Held::Text(text.into()))
    } else {
        Err(Refusal::Invalid(wanted(FieldKind::Date)))
    }
}

fn instant(text: &str) -> Result<Held, Refusal> {
    text.parse::<Timestamp>()
        .map(|instant| {
            let canonical = instant.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
            Held::Text(canonical.into())
        })
        .map_err(|_unreadable| Refusal::Invalid(wanted(FieldKind::DateTime)))
}

fn reference(text: String) -> Result<Held, Refusal> {
    if is_external_id(&text) {
        Ok(Held::Text(text.into()))
    } else {
        Err(Refusal::Invalid(wanted(FieldKind::SoftReference)))
    }
}

/// 18 letters and digits; mOS knows nothing of Salesforce's checksum.
pub(crate) fn is_external_id(text: &str) -> bool {
    text.len() == 18 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The one spelling of a decimal: `1.50e2`, `150.0` and `150` are all `150`.
pub(crate) fn canonical_decimal(text: &str) -> Option<String> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (mantissa, ""),
    };
    let digits = format!("{whole}{fraction}");
    if whole.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if !(-40..=40).contains(&exponent) || digits.len() > 80 {
        return None;
    }
    let point = i64::try_from(whole.len()).ok()?.saturating_add(exponent);
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
    let length = i64::try_from(digits.len()).ok()?;
    let padded = format!("{}{digits}{}", zeros(-point), zeros(point - length));
    let (whole, fraction) = padded.split_at_checked(usize::try_from(point.max(0)).ok()?)?;
    let whole = whole.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let unsigned = if fraction.is_empty() {
        whole.to_owned()
    } else {
        format!("{whole}.{fraction}")
    };
    Some(if negative && unsigned != "0" {
        format!("-{unsigned}")
    } else {
        unsigned
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::RecordType;

    fn try_field(kind: RecordType, name: &str, json: &str) -> Result<Option<Value>, Refusal> {
        let spec = kind.field(name).unwrap();
        let raw = RawValue::from_string(json.to_owned()).unwrap();
        accept(spec, &raw).map(|held| held.map(|held| held.to_json()))
    }

    #[test]
    fn decimals_have_one_spelling() {
        for (given, canonical) in [
            ("0", "0"),
            ("-0.00", "0"),
            ("150", "150"),
            ("150.0", "150"),
            ("1.50e2", "150"),
            ("1.5E+2", "150"),
            ("15e-1", "1.5"),
            ("15e-4", "0.0015"),
            ("0012.340", "12.34"),
            ("-0.5", "-0.5"),
            ("123456789012345678.12", "123456789012345678.12"),
        ] {
            assert_eq!(
                canonical_decimal(given).as_deref(),
                Some(canonical),
                "{given}"
            );
        }
        for wrong in [
            "", "-", ".5", "5.", "1,5", "+1", "1e", "abc", "NaN", "1e99", " 1",
        ] {
            assert_eq!(canonical_decimal(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_number_is_taken_as_it_was_written_not_as_a_float() {
        assert_eq!(
            try_field(RecordType::Opportunity, "amount", "123456789012345678.12"),
            Ok(Some(Value::from("123456789012345678.12")))
        );
        assert_eq!(
            try_field(RecordType::Opportunity, "amount", r#""75.50""#),
            Ok(Some(Value::from("75.5")))
        );
        assert!(try_field(RecordType::Opportunity, "amount", "1234567890123456789012").is_err());
    }

    #[test]
    fn each_kind_takes_its_own_and_refuses_the_rest() {
        use RecordType::{Company, Contact, ContactRole, Opportunity, User};
        for (kind, name, good) in [
            (User, "name", r#""Ada""#),
            (User, "email", r#""ada@example.com""#),
            (User, "is_active", "true"),
            (User, "title", "null"),
            (Company, "employees", "120"),
            (Company, "employees", "120.0"),
            (Company, "parent_id", r#""001000000000001AAA""#),
            (Contact, "company_id", "null"),
            (Opportunity, "currency", r#""EUR""#),
            (Opportunity, "close_date", r#""2026-02-28""#),
            (Opportunity, "contract_term_type", r#""Half Yearly""#),
            (ContactRole, "opportunity_id", r#""006000000000001AAA""#),
        ] {
            assert!(try_field(kind, name, good).is_ok(), "{name} {good}");
        }
        for (kind, name, bad) in [
            (User, "name", "1"),
            (User, "name", "{}"),
            (User, "email", r#""nobody""#),
            (User, "is_active", r#""true""#),
            (Company, "employees", "1.5"),
            (Company, "employees", r#""12""#),
            (Company, "employees", "9007199254740992"),
            (Company, "parent_id", r#""001""#),
            (Opportunity, "currency", r#""eur""#),
            (Opportunity, "close_date", r#""2026-02-30""#),
            (Opportunity, "close_date", r#""2026-02-28T00:00:00Z""#),
            (Opportunity, "created_at", r#""2026-02-28T00:00:00""#),
            (Opportunity, "contract_term_type", r#""Weekly""#),
            (Opportunity, "owner_id", "null"),
            (ContactRole, "is_primary", "1"),
        ] {
            assert!(
                matches!(try_field(kind, name, bad), Err(Refusal::Invalid(_))),
                "{name} {bad}"
            );
        }
    }

    #[test]
    fn instants_are_held_in_utc_whatever_offset_they_came_with() {
        for given in [
            r#""2026-01-31T12:00:00.000+0000""#,
            r#""2026-01-31T12:00:00Z""#,
            r#""2026-01-31T14:00:00.000+02:00""#,
        ] {
            assert_eq!(
                try_field(RecordType::Opportunity, "created_at", given),
                Ok(Some(Value::from("2026-01-31T12:00:00.000Z"))),
                "{given}"
            );
        }
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        let fits = format!("{:?}", "é".repeat(120));
        let long = format!("{:?}", "é".repeat(121));
        assert!(try_field(RecordType::Opportunity, "name", &fits).is_ok());
        assert_eq!(
            try_field(RecordType::Opportunity, "name", &long),
            Err(Refusal::TooLong(120))
        );
    }
}
