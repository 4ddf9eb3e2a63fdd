//! mOS, as far as mosync writes it. There is no delete here, and there never may be.

use std::time::Duration;

use async_trait::async_trait;
use domain::{ObjectKind, SalesforceId, Version};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// mOS's ingest contract.
#[async_trait]
pub trait Target: Send + Sync {
    /// Writes records in the order given, parents before children, at most 500 of them.
    /// `idempotency_key` is the same when the very same request is repeated.
    async fn upsert(
        &self,
        idempotency_key: &str,
        records: &[Upsert],
    ) -> Result<Vec<Outcome>, TargetError>;

    /// Whether mOS keeps an answer under this key, which it repeats when the request is repeated,
    /// without applying anything again. `false` also where mOS does not say.
    async fn has_answered(&self, idempotency_key: &str) -> Result<bool, TargetError>;

    /// Whether mOS answers at all (the circuit breaker's probe): an upsert of nothing.
    async fn probe(&self) -> Result<(), TargetError>;

    /// The records of an object that mOS holds, in the order of their external ids by bytes, from
    /// the first one greater than `after` on, at most `limit` of them (contract: up to 2,000).
    /// Fewer than `limit` are the last. What an mOS administrator removed is not among them.
    async fn list(
        &self,
        object: ObjectKind,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Listed>, TargetError>;

    /// What mOS holds of a record; `None` when it does not have it.
    async fn record(
        &self,
        object: ObjectKind,
        id: &SalesforceId,
    ) -> Result<Option<Held>, TargetError>;
}

/// The most records of one page of [`Target::list`] (ingest contract).
pub const MAX_LISTED: usize = 2_000;

/// A record that mOS holds, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// As mOS has it; of what mosync wrote, Salesforce's id with 18 characters.
    pub external_id: String,
}

/// A record as mOS holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The version last written.
    pub version: Version,
    /// mOS field name to value; an empty field is absent, decimals are texts (ingest contract).
    pub fields: Map<String, Value>,
}

/// One record to write.
#[derive(Debug, Clone)]
pub struct Upsert {
    /// Which of the five objects.
    pub object: ObjectKind,
    /// Salesforce's id, the external id in mOS.
    pub id: SalesforceId,
    /// The version of the row it was made from.
    pub version: Version,
    /// mOS field name to value, a JSON object.
    pub fields: Box<RawValue>,
    /// Write only what mOS already has (the last word of a deal that closed).
    pub if_exists: bool,
}

/// What mOS did with one record; the answer is aligned with the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was new.
    Created,
    /// At least one field changed.
    Updated,
    /// Nothing differed.
    Unchanged,
    /// mOS holds a newer version.
    Stale,
    /// `if_exists`, and mOS does not have it.
    Skipped,
    /// Not written.
    Rejected {
        /// The contract's code, such as `parent_missing`.
        code: RejectCode,
        /// mOS's own words.
        message: String,
        /// The field at fault.
        field: Option<String>,
    },
    /// mOS's answer does not mention the record: nobody knows, so it is sent again.
    Missing,
}

/// Why mOS did not write a record (ingest contract).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RejectCode {
    /// A hard reference points to a record mOS does not have.
    ParentMissing,
    /// Try again.
    Busy,
    /// A field's value is not acceptable.
    InvalidField,
    /// A text is too long.
    ValueTooLong,
    /// mOS does not know the type.
    UnknownType,
    /// An mOS administrator removed the record.
    DeletedInMos,
    /// A code this version does not know.
    Other(String),
}

impl RejectCode {
    /// The contract's code.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::ParentMissing => "parent_missing",
            Self::Busy => "busy",
            Self::InvalidField => "invalid_field",
            Self::ValueTooLong => "value_too_long",
            Self::UnknownType => "unknown_type",
            Self::DeletedInMos => "deleted_in_mos",
            Self::Other(code) => code,
        }
    }
}

/// Why a request as a whole was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Network, time-out, 5xx, unreadable answer. It may or may not have been applied.
    #[error("mOS did not answer ({0}); mosync tries again by itself")]
    Unreachable(String),
    /// 429: wait this long before any further request.
    #[error("mOS asks for a pause of {} s", .0.as_secs())]
    Throttled(Duration),
    /// 401 or 403.
    #[error("mOS refused the API key ({0}); put a key with ingest right into the configuration")]
    Forbidden(String),
    /// 413: too many records or bytes.
    #[error("mOS found the request too large")]
    TooLarge,
    /// 422: at least one record makes the request unreadable.
    #[error("mOS could not read the request ({0})")]
    Unprocessable(String),
}
