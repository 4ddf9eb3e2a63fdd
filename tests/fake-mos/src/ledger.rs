//! What was asked and what was answered: one entry for every upsert request that arrived, on disk.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// What became of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is new.
    Created,
    /// At least one field differed and was written.
    Updated,
    /// No field differed; the version was still taken over.
    Unchanged,
    /// mOS has a newer version; nothing was written.
    Stale,
    /// `if_exists`, and mOS does not have it.
    Skipped,
    /// Not written, for the reason given.
    Rejected,
}

/// Why a record was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectCode {
    /// The target of a hard reference is not in mOS.
    ParentMissing,
    /// The record is locked; try again.
    Busy,
    /// A field mOS does not know, or a value it does not accept.
    InvalidField,
    /// A text longer than its field.
    ValueTooLong,
    /// A record type mOS does not know.
    UnknownType,
    /// An mOS admin removed the record.
    DeletedInMos,
}

/// One upsert request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// 1, 2, 3 ... in the order of answers.
    pub index: u64,
    /// When the request arrived, before anything was applied (microseconds).
    pub at_micros: i64,
    /// When the answer was ready (microseconds).
    pub answered_micros: i64,
    /// The `Idempotency-Key` header.
    pub idempotency_key: Option<String>,
    /// The status of the answer; 0 when none was made (hang, connection refused).
    pub status: u16,
    /// The caller got no answer it could read.
    pub lost: bool,
    /// The answer was an earlier one, repeated; nothing was applied.
    pub replayed: bool,
    /// The records of the request, as far as its body could be read.
    pub records: Vec<LedgerRecord>,
}

/// One record of a request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LedgerRecord {
    /// The type, as sent.
    #[serde(rename = "type")]
    pub kind: String,
    /// The external id, as sent.
    pub external_id: String,
    /// The version, as sent.
    pub version: String,
    /// Write only what mOS has.
    pub if_exists: bool,
    /// Bring back what an mOS admin deleted.
    pub restore: bool,
    /// What became of it; `None` when the request as a whole was not applied.
    pub outcome: Option<Outcome>,
    /// Why it was rejected.
    pub error_code: Option<RejectCode>,
    /// The field at fault.
    pub error_field: Option<String>,
    /// The sentence that explains the rejection.
    pub error_message: Option<String>,
    /// The fields, byte for byte as sent.
    pub fields: Box<RawValue>,
}

impl LedgerRecord {
    /// This record's line in the answer.
    pub(crate) fn result(&self) -> Value {
        let mut result = json!({
            "type": self.kind,
            "external_id": self.external_id,
            "status": self.outcome,
        });
        if let (Some(code), Some(line)) = (self.error_code, result.as_object_mut()) {
            line.insert(
                "error".to_owned(),
                json!({ "code": code, "message": self.error_message, "field": self.error_field }),
            );
        }
        result
    }
}

/// The entries as lines of JSON in a file. In memory are eight bytes for each.
pub(crate) struct Ledger {
    file: File,
    /// Where each entry begins.
    starts: Vec<u64>,
    end: u64,
}

impl Ledger {
    /// An empty ledger: the file `ledger.jsonl` in the folder, or a temporary file without a name
    /// that goes with the process, however that ends.
    pub(crate) fn new(folder: Option<&Path>) -> io::Result<Self> {
        let file = match folder {
            Some(folder) => {
                std::fs::create_dir_all(folder)?;
                let mut options = File::options();
                let options = options.read(true).write(true).create(true).truncate(true);
                options.open(folder.join("ledger.jsonl"))?
            }
            None => tempfile::tempfile()?,
        };
        Ok(Self {
            file,
            starts: Vec::new(),
            end: 0,
        })
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.starts.len()
    }

    pub(crate) fn push(&mut self, entry: &LedgerEntry) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        self.file.write_all_at(&line, self.end)?;
        self.starts.push(self.end);
        self.end = self
            .end
            .saturating_add(u64::try_from(line.len()).unwrap_or(u64::MAX));
        Ok(())
    }

    /// The line of the entry at a place, the first is at 0; `None` where there is none.
    pub(crate) fn line(&self, place: usize) -> Option<Vec<u8>> {
        let start = *self.starts.get(place)?;
        let end = self.starts.get(place + 1).copied().unwrap_or(self.end);
        // Without the line's end.
        let length = usize::try_from(end.checked_sub(start)?)
            .ok()?
            .checked_sub(1)?;
        let mut line = vec![0; length];
        match self.file.read_exact_at(&mut line, start) {
            Ok(()) => Some(line),
            Err(error) => {
                tracing::error!(%error, place, "an entry of the ledger can not be read back");
                None
            }
        }
    }

    /// The entry at a place.
    pub(crate) fn entry(&self, place: usize) -> Option<LedgerEntry> {
        serde_json::from_slice(&self.line(place)?)
            .inspect_err(|error| tracing::error!(%error, place, "an entry is no JSON"))
            .ok()
    }
}
