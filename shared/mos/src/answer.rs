//! What an answer of 200 says about each record of the request. Nothing is taken for granted: the
//! order, the completeness and the shape of the results are the other side's word.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use ports::target::{Outcome, RejectCode, Upsert};

use crate::wire::{Answer, Fault, RecordResult};

/// Longest text of mOS that is kept, in characters.
pub(crate) const MAX_MESSAGE_CHARS: usize = 500;

/// The outcomes, aligned with `records`. What the answer does not mention, mentions unreadably, or
/// mentions twice and differently is [`Outcome::Missing`]; what was not asked about is ignored.
pub(crate) fn outcomes(body: &[u8], records: &[Upsert]) -> Result<Vec<Outcome>, serde_json::Error> {
    let answer: Answer<'_> = serde_json::from_slice(body)?;
    let mut said = BTreeMap::<(String, String), Outcome>::new();
    for raw in answer.results {
        let Ok(result) = serde_json::from_str::<RecordResult>(raw.get()) else {
            continue;
        };
        let outcome = outcome(&result.status, result.error);
        match said.entry((result.kind, result.external_id)) {
            Entry::Vacant(place) => {
                place.insert(outcome);
            }
            Entry::Occupied(mut place) => {
                if *place.get() != outcome {
                    place.insert(Outcome::Missing);
                }
            }
        }
    }
    Ok(records
        .iter()
        .map(|record| {
            let key = (
                record.object.mos_type().to_owned(),
                record.id.as_str().to_owned(),
            );
            said.get(&key).cloned().unwrap_or(Outcome::Missing)
        })
        .collect())
}

fn outcome(status: &str, error: Option<Fault>) -> Outcome {
    match status {
        "created" => Outcome::Created,
        "updated" => Outcome::Updated,
        "unchanged" => Outcome::Unchanged,
        "stale" => Outcome::Stale,
        "skipped" => Outcome::Skipped,
        "rejected" => rejected(error),
        // A status of the future: whether the record was written is not known.
        _ => Outcome::Missing,
    }
}

fn rejected(error: Option<Fault>) -> Outcome {
    let Some(error) = error else {
        return Outcome::Rejected {
            code: RejectCode::Other("no_reason_given".to_owned()),
            message: "mOS rejected the record without a reason".to_owned(),
            field: None,
        };
    };
    Outcome::Rejected {
        code: code(&error.code),
        message: shortened(&error.message.unwrap_or_default()),
        field: error.field.as_deref().map(shortened),
    }
}

fn code(name: &str) -> RejectCode {
    match name {
        "parent_missing" => RejectCode::ParentMissing,
        "busy" => RejectCode::Busy,
        "invalid_field" => RejectCode::InvalidField,
        "value_too_long" => RejectCode::ValueTooLong,
        "unknown_type" => RejectCode::UnknownType,
        "deleted_in_mos" => RejectCode::DeletedInMos,
        other => RejectCode::Other(shortened(other)),
    }
}

/// At most [`MAX_MESSAGE_CHARS`] of it, without control characters.
pub(crate) fn shortened(text: &str) -> String {
    text.chars()
        .filter(|char| !char.is_control())
        .take(MAX_MESSAGE_CHARS)
        .collect()
}
