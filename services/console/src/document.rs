//! A settings document as somebody wrote it: read part by part, so that every fault is found.

use std::fmt;

use domain::ObjectKind;
use domain::filter::{Condition, Filter, Operator};
use domain::mapping::{Mapping, MappingRow};
use domain::settings::Settings;
use email_address::EmailAddress;
use serde::de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use crate::views::FaultView;

/// Stands in for a condition that cannot be read, so that the others keep their numbers.
pub(crate) const UNREADABLE: &str = "?";

/// JSON in which nothing that was written is lost: a name that is written twice is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    value: Value,
    repeated: Vec<String>,
}

/// What could be read of a document.
#[derive(Debug, Clone)]
pub(crate) struct Parsed {
    /// The settings; what could not be read is as it was before.
    pub(crate) settings: Settings,
    /// What is wrong with the rest.
    pub(crate) faults: Vec<FaultView>,
}

impl Document {
    /// Reads the document, as far as that needs nothing but itself. It replaces `base`; a document
    /// without `org` is for the same org.
    pub(crate) fn read(&self, base: &Settings) -> Parsed {
        let mut parsed = Parsed {
            settings: Settings {
                org: base.org,
                ..Settings::default()
            },
            faults: Vec::new(),
        };
        for name in &self.repeated {
            parsed.fault(
                name,
                format!("`{name}` is written more than once; keep one of them"),
            );
        }
        let Value::Object(parts) = &self.value else {
            parsed.fault(
                "",
                "a settings document is a JSON object such as {\"disabled\": true}; correct the document"
                    .to_owned(),
            );
            return parsed;
        };
        let mut whole = Map::new();
        for (name, value) in parts {
            match name.as_str() {
                "admin_emails" => parsed.settings.admin_emails = parsed.emails(value),
                "filter" => parsed.settings.filter = parsed.filter(value),
                "mapping" => parsed.settings.mapping = parsed.mapping(value),
                "org" if value.is_null() => {}
                _ => {
                    if parsed.read_alone(name, value) {
                        whole.insert(name.clone(), value.clone());
                    }
                }
            }
        }
        let Parsed { settings, .. } = &mut parsed;
        if let Ok(rest) = serde_json::from_value::<Settings>(Value::Object(whole)) {
            *settings = Settings {
                admin_emails: std::mem::take(&mut settings.admin_emails),
                filter: std::mem::take(&mut settings.filter),
                mapping: std::mem::take(&mut settings.mapping),
                org: rest.org.or(settings.org),
                ..rest
            };
        }
        parsed
    }
}

impl Parsed {
    fn fault(&mut self, at: &str, message: String) {
        let at = at.to_owned();
        self.faults.push(FaultView { at, message });
    }

    /// Whether a setting can be read; what is wrong with it is a fault.
    fn read_alone(&mut self, name: &str, value: &Value) -> bool {
        let alone = serde_json::from_value::<Settings>(json!({ name: value }));
        let error = match alone {
            // None of these settings is a list; of some serde would make what it holds.
            Ok(_) if value.is_array() => "it is not a list".to_owned(),
            Ok(_) => return true,
            Err(error) => error.to_string(),
        };
        let message = match error.split_once("expected one of ") {
            Some((what, known)) if what.starts_with("unknown field") && what.contains(name) => {
                format!("`{name}` is no setting; the settings are {known}")
            }
            _ => format!("`{name}` cannot be read: {error}"),
        };
        self.fault(name, message);
        false
    }

    /// Rows of the Field Mapping; mOS fields that no row names are mapped as standard.
    fn mapping(&mut self, value: &Value) -> Mapping {
        let items = match value {
            Value::Null => &[],
            Value::Array(items) => items.as_slice(),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                self.fault(
                    "mapping",
                    "Field Mapping is not a list of rows; write rows such as {\"object\": \"Opportunity\", \"mos_field\": \"arr\", \"salesforce_field\": \"ARR__c\", \"active\": true}"
                        .to_owned(),
                );
                &[]
            }
        };
        let mut rows = Vec::new();
        for (number, item) in (1..).zip(items) {
            match part::<MappingRow>(item) {
                Ok(row) => rows.push(row),
                Err(error) => self.fault(
                    &format!("mapping[{number}]"),
                    format!("Field Mapping, row {number} cannot be read: {error}"),
                ),
            }
        }
        Mapping::new(rows).unwrap_or_else(|faults| {
            for fault in faults {
                self.fault(&mapping_at(fault.fills()), fault.to_string());
            }
            Mapping::default()
        })
    }

    /// Addresses as a list, or in one text with commas.
    fn emails(&mut self, value: &Value) -> Vec<String> {
        let texts = match value {
            Value::Null => Vec::new(),
            Value::String(text) if text.trim().is_empty() => Vec::new(),
            Value::String(text) => text.split(',').collect(),
            Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
            Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
        };
        let readable = match value {
            Value::Null | Value::String(_) => true,
            Value::Array(items) => items.len() == texts.len(),
            Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
        };
        if !readable {
            self.fault(
                "admin_emails",
                "mOS Admin Email Notification is not a list of addresses; write [\"ada@example.com\"], or one text with commas between the addresses"
                    .to_owned(),
            );
        }
        let mut known = Vec::new();
        let mut emails = Vec::new();
        for (number, text) in (1..).zip(texts) {
            let address = text.trim();
            let folded = address.to_lowercase();
            let fault = address_fault(address).or_else(|| {
                let first = known.iter().position(|other| *other == folded)?;
                Some(format!(
                    "is the same as address {}; remove one of them",
                    first + 1
                ))
            });
            known.push(folded);
            match fault {
                None => emails.push(address.to_owned()),
                Some(fault) => self.fault(
                    &format!("admin_emails[{number}]"),
                    format!("mOS Admin Email Notification: address {number} (`{address}`) {fault}"),
                ),
            }
        }
        emails
    }

    fn filter(&mut self, value: &Value) -> Filter {
        let mut filter = Filter::default();
        let parts = match value {
            Value::Null => return filter,
            Value::Object(parts) => parts,
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                self.fault(
                    "filter",
                    "the filter is not a JSON object; write {\"conditions\": [...], \"logic\": \"1 AND 2\"}"
                        .to_owned(),
                );
                return filter;
            }
        };
        for (name, value) in parts {
            match (name.as_str(), value) {
                ("conditions", Value::Array(rows)) => {
                    for (number, row) in (1..).zip(rows) {
                        filter.conditions.push(self.condition(number, row));
                    }
                }
                ("conditions", Value::Null) | ("logic", Value::Null) => {}
                ("conditions", _) => self.fault(
                    "filter.conditions",
                    "the filter's conditions are not a list; write [{\"field\": ..., \"operator\": ..., \"values\": [...]}]"
                        .to_owned(),
                ),
                ("logic", Value::String(logic)) => filter.logic = Some(logic.clone()),
                ("logic", _) => self.fault(
                    "filter.logic",
                    "the filter logic is not a text; write it as \"1 AND (2 OR 3)\"".to_owned(),
                ),
                _ => self.fault(
                    &format!("filter.{name}"),
                    format!("the filter has no part `{name}`; its parts are `conditions` and `logic`"),
                ),
            }
        }
        filter
    }

    fn condition(&mut self, number: usize, row: &Value) -> Condition {
        match part::<Condition>(row) {
            Ok(condition) => condition,
            Err(error) => {
                self.fault(
                    &format!("filter.conditions[{number}]"),
                    format!("condition {number} cannot be read: {error}"),
                );
                Condition {
                    field: UNREADABLE.to_owned(),
                    operator: Operator::Equals,
                    values: Vec::new(),
                }
            }
        }
    }
}

/// Where the row of a mOS field is, whichever place it has among the rows.
pub(crate) fn mapping_at((object, mos_field): (ObjectKind, &str)) -> String {
    format!("mapping.{object}.{mos_field}")
}

/// What is read of a JSON object; serde would take a list of its values too.
fn part<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    if !value.is_object() {
        return Err("it is not a JSON object".to_owned());
    }
    serde_json::from_value(value.clone()).map_err(|error| error.to_string())
}

/// What is wrong with a mail address, to follow its name in a sentence.
fn address_fault(address: &str) -> Option<String> {
    use email_address::{Error, Options};
    let options = Options::default()
        .with_required_tld()
        .without_display_text()
        .without_domain_literal();
    if address.is_empty() {
        return Some("is empty; remove the comma too many".to_owned());
    }
    let error = EmailAddress::parse_with_options(address, options).err()?;
    Some(match error {
        Error::MissingSeparator | Error::DomainEmpty => {
            "has no domain; write it as name@example.com".to_owned()
        }
        Error::DomainTooFew => {
            "has a domain without a dot; write all of it, as in name@example.com".to_owned()
        }
        Error::LocalPartEmpty => "has nothing before the @; write name@example.com".to_owned(),
        Error::UnsupportedDisplayName | Error::MissingDisplayName => {
            "has a name around it; write the bare address, as in name@example.com".to_owned()
        }
        Error::UnsupportedDomainLiteral | Error::InvalidIPAddress => {
            "goes to a number instead of a domain; write name@example.com".to_owned()
        }
        Error::InvalidCharacter
        | Error::LocalPartTooLong
        | Error::DomainTooLong
        | Error::SubDomainEmpty
        | Error::SubDomainTooLong
        | Error::DomainInvalidSeparator
        | Error::UnbalancedQuotes
        | Error::InvalidComment
        | Error::MissingEndBracket => {
            format!("is no mail address ({error}); write it as name@example.com")
        }
    })
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut repeated = Vec::new();
        let value = Reading {
            at: String::new(),
            repeated: &mut repeated,
        };
        let value = serde::de::DeserializeSeed::deserialize(value, deserializer)?;
        Ok(Self { value, repeated })
    }
}

/// Reads a JSON value and notes names that come twice in an object.
struct Reading<'a> {
    at: String,
    repeated: &'a mut Vec<String>,
}

impl<'de> serde::de::DeserializeSeed<'de> for Reading<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reading<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        serde_json::Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number that JSON cannot hold"))
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let inner = Reading {
                at: format!("{}[{}]", self.at, list.len() + 1),
                repeated: &mut *self.repeated,
            };
            match items.next_element_seed(inner)? {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let at = if self.at.is_empty() {
                name.clone()
            } else {
                format!("{}.{name}", self.at)
            };
            let inner = Reading {
                at: at.clone(),
                repeated: &mut *self.repeated,
            };
            let value = entries.next_value_seed(inner)?;
            if object.insert(name, value).is_some() {
                self.repeated.push(at);
            }
        }
        Ok(Value::Object(object))
    }
}

impl std::str::FromStr for Document {
    type Err = serde_json::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let document = serde_json::from_str::<Self>(text)?;
        if document.value.is_object() {
            Ok(document)
        } else {
            Err(serde_json::Error::custom("it is not a JSON object"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let document: Document = serde_json::from_str(text).unwrap();
        let parsed = document.read(&Settings::default());
        parsed
            .faults
            .into_iter()
            .map(|fault| fault.message)
            .collect()
    }

    fn read(text: &str) -> Settings {
        let document: Document = serde_json::from_str(text).unwrap();
        let parsed = document.read(&Settings::default());
        assert_eq!(parsed.faults, []);
        parsed.settings
    }

    #[test]
    fn every_fault_is_found_at_once() {
        let found = faults(
            r#"{"disabled": "yes", "sync_close": true, "run_in_sandbox": 1, "sync_closed": true,
                "sync_closed": false,
                "admin_emails": ["ada@example.com", "bob", 7],
                "filter": {"conditions": [{"field": "Amount", "operator": "is_like"},
                    {"operator": "equals"}, {"field": "Name", "operator": "equals", "value": "x"}],
                    "logik": "1", "logic": 3}}"#,
        );
        for word in [
            "`sync_closed` is written more than once",
            "`disabled` cannot be read",
            "`sync_close` is no setting; the settings are `admin_emails`",
            "`run_in_sandbox` cannot be read",
            "is not a list of addresses",
            "address 2 (`bob`) has no domain",
            "condition 1 cannot be read: unknown variant `is_like`",
            "condition 2 cannot be read: missing field `field`",
            "condition 3 cannot be read: unknown field `value`",
            "no part `logik`",
            "the filter logic is not a text",
        ] {
            assert!(
                found.iter().any(|fault| fault.contains(word)),
                "{word}: {found:#?}"
            );
        }
        assert_eq!(found.len(), 11, "{found:#?}");
    }

    #[test]
    fn addresses_come_as_a_list_or_with_commas() {
        let wanted = ["ada@example.com", "bob+mos@mail.example.co.uk"];
        for text in [
            r#"{"admin_emails": "ada@example.com, bob+mos@mail.example.co.uk"}"#,
            r#"{"admin_emails": [" ada@example.com ", "bob+mos@mail.example.co.uk"]}"#,
        ] {
            assert_eq!(read(text).admin_emails, wanted);
        }
        for text in [r#"{"admin_emails": ""}"#, r#"{"admin_emails": null}"#, "{}"] {
            assert_eq!(read(text).admin_emails, [""; 0]);
        }
    }

    #[test]
    fn each_wrong_address_gets_its_own_sentence() {
        for (address, word) in [
            ("ada", "no domain"),
            ("ada@", "no domain"),
            ("@example.com", "nothing before the @"),
            ("ada@example", "without a dot"),
            ("ada@exam ple.com", "no mail address"),
            ("ada@@example.com", "no mail address"),
            ("ada@[127.0.0.1]", "a number instead of a domain"),
            ("Ada <ada@example.com>", "a name around it"),
            ("ada@example.com\\r\\nBcc: x@example.com", "no mail address"),
            ("ada@example..com", "no mail address"),
        ] {
            let found = faults(&format!(
                r#"{{"admin_emails": ["x@example.com", "{address}"]}}"#
            ));
            assert!(
                found.len() == 1 && found[0].contains(word) && found[0].contains("address 2"),
                "{address}: {found:?}"
            );
        }
        let found = faults(r#"{"admin_emails": "a@x.org,,A@x.org,b"}"#);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].contains("address 2 (``) is empty"), "{found:?}");
        assert!(found[1].contains("address 3") && found[1].contains("same as address 1"));
    }

    #[test]
    fn a_document_without_an_org_is_for_the_same_one() {
        let org = "00D000000000001".parse().unwrap();
        let base = Settings {
            org: Some(org),
            disabled: true,
            ..Settings::default()
        };
        for (text, wanted) in [
            ("{}", org),
            (r#"{"org": null}"#, org),
            (
                r#"{"org": "00D000000000002"}"#,
                "00D000000000002".parse().unwrap(),
            ),
        ] {
            let document: Document = text.parse().unwrap();
            let settings = document.read(&base).settings;
            assert_eq!(settings.org, Some(wanted));
            assert!(!settings.disabled, "what is left out is as it comes");
        }
        assert!("[]".parse::<Document>().is_err());
    }
}
