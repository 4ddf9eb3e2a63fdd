//! The contract's JSON.

use ports::target::Upsert;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Most records of one request.
pub(crate) const MAX_RECORDS: usize = 500;
/// Most bytes of one request's body.
pub(crate) const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// A request's body; the fields' JSON is passed through as it is.
pub(crate) fn body(records: &[Upsert]) -> Result<Vec<u8>, serde_json::Error> {
    let records = records
        .iter()
        .map(|record| Record {
            kind: record.object.mos_type(),
            external_id: record.id.as_str(),
            version: record.version.to_string(),
            fields: &record.fields,
            if_exists: record.if_exists,
            restore: false,
        })
        .collect();
    serde_json::to_vec(&Request { records })
}

#[derive(Serialize)]
struct Request<'a> {
    records: Vec<Record<'a>>,
}

#[derive(Serialize)]
struct Record<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    external_id: &'a str,
    version: String,
    fields: &'a RawValue,
    if_exists: bool,
    /// Only a person may ask for what an mOS administrator deleted, never mosync by itself.
    restore: bool,
}

/// An answer of 200. The results stay unread so that a broken one spoils no other.
#[derive(Deserialize)]
pub(crate) struct Answer<'a> {
    #[serde(borrow)]
    pub(crate) results: Vec<&'a RawValue>,
}

/// One record's result.
#[derive(Deserialize)]
pub(crate) struct RecordResult {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) external_id: String,
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) error: Option<Fault>,
}

/// A page of a listing; versions and digests are left unread.
#[derive(Deserialize)]
pub(crate) struct Page {
    pub(crate) records: Vec<PageRecord>,
}

/// One record of it.
#[derive(Deserialize)]
pub(crate) struct PageRecord {
    pub(crate) external_id: String,
}

/// One whole record.
#[derive(Deserialize)]
pub(crate) struct WholeRecord {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) external_id: String,
    pub(crate) version: String,
    pub(crate) fields: Map<String, Value>,
}

/// The body of an answer that is no 200.
#[derive(Deserialize)]
pub(crate) struct Refusal {
    pub(crate) error: Fault,
}

/// What mOS says about a fault.
#[derive(Deserialize)]
pub(crate) struct Fault {
    pub(crate) code: String,
    #[serde(default)]
    pub(crate) message: Option<String>,
    #[serde(default)]
    pub(crate) field: Option<String>,
}
