//! Reads the body of an upsert request: strictly, so that no misspelt key passes unnoticed.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::ledger::LedgerRecord;
use crate::value::is_external_id;

/// The most records a request may carry.
pub const RECORDS_MAX: usize = 500;
/// The most bytes a request's body may have.
pub const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The longest `Idempotency-Key`, in characters.
pub const KEY_LENGTH_MAX: usize = 255;
/// The most digits a version may have.
pub const VERSION_DIGITS_MAX: usize = 32;

/// One record as it was sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Incoming {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) external_id: String,
    pub(crate) version: String,
    pub(crate) fields: Box<RawValue>,
    #[serde(default)]
    pub(crate) if_exists: bool,
    #[serde(default)]
    pub(crate) restore: bool,
}

impl Incoming {
    /// Its line in the ledger, before anything is decided.
    pub(crate) fn into_ledger(self) -> LedgerRecord {
        LedgerRecord {
            kind: self.kind,
            external_id: self.external_id,
            version: self.version,
            if_exists: self.if_exists,
            restore: self.restore,
            outcome: None,
            error_code: None,
            error_field: None,
            error_message: None,
            fields: self.fields,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    records: Vec<Incoming>,
}

/// Why a request as a whole was refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Refused {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }
}

/// The records of a body, without judging them; for the ledger of refused requests too.
pub(crate) fn read(body: &[u8]) -> Result<Vec<Incoming>, Refused> {
    serde_json::from_slice::<Body>(body)
        .map(|body| body.records)
        .map_err(|error| {
            // The place, not serde's words: those may quote values.
            Refused::new(
                422,
                "malformed",
                format!(
                    "the body is not an upsert request (line {}, column {}); see the contract for its keys",
                    error.line(),
                    error.column()
                ),
            )
        })
}

/// Checks what makes a request wrong as a whole. `version_digits` is the length of every
/// version this store holds, if it holds any; the length to keep from now on is returned.
pub(crate) fn check(
    records: &[Incoming],
    version_digits: Option<usize>,
) -> Result<Option<usize>, Refused> {
    if records.len() > RECORDS_MAX {
        return Err(Refused::new(
            413,
            "too_large",
            format!(
                "{} records; at most {RECORDS_MAX} in a request",
                records.len()
            ),
        ));
    }
    if records.is_empty() {
        return Err(Refused::new(422, "malformed", "no records in the request"));
    }
    let mut digits = version_digits;
    let mut seen = BTreeSet::new();
    for (position, record) in records.iter().enumerate() {
        if !is_external_id(&record.external_id) {
            return Err(Refused::new(
                422,
                "malformed",
                format!("record {position}: an external_id has 18 letters and digits"),
            ));
        }
        let length = record.version.len();
        let numeric = record.version.bytes().all(|byte| byte.is_ascii_digit());
        if !numeric || length == 0 || length > VERSION_DIGITS_MAX {
            return Err(Refused::new(
                422,
                "invalid_version",
                format!(
                    "record {position}: a version has 1 to {VERSION_DIGITS_MAX} digits and nothing else"
                ),
            ));
        }
        if *digits.get_or_insert(length) != length {
            return Err(Refused::new(
                422,
                "invalid_version",
                format!(
                    "record {position}: all versions have the same number of digits, padded with zeros"
                ),
            ));
        }
        if !seen.insert((record.kind.as_str(), record.external_id.as_str())) {
            return Err(Refused::new(
                422,
                "duplicate_record",
                format!("record {position}: the same type and external_id twice in a request"),
            ));
        }
        if serde_json::from_str::<Fields>(record.fields.get()).is_err() {
            return Err(Refused::new(
                422,
                "malformed",
                format!("record {position}: fields is an object that names each field once"),
            ));
        }
    }
    Ok(digits)
}

/// A record's fields, each once, values as written.
pub(crate) struct Fields(pub(crate) Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields: Vec<(String, Box<RawValue>)> = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
            if fields.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom("a field is named twice"));
            }
            fields.push((name, value));
        }
        Ok(Fields(fields))
    }
}
