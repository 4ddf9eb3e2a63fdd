//! The records mOS holds, and how one incoming record changes them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::ledger::{Outcome, RejectCode};
use crate::request::{Fields, Incoming};
use crate::schema::{FieldKind, FieldSpec, RecordType};
use crate::value::{Held, Refusal, accept};

/// One record as mOS holds it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StoredRecord {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: RecordType,
    /// Its Salesforce id, 18 characters.
    pub external_id: String,
    /// The version last written.
    pub version: String,
    /// Its fields; a field that is empty is absent. Decimals are strings.
    pub fields: Map<String, Value>,
}

/// What the store keeps of a record. Small, because thousands of them live beside the product.
#[derive(Debug, Clone)]
struct Row {
    version: Box<str>,
    values: Vec<(&'static str, Held)>,
    /// An mOS admin removed it; kept so that it is not created again by accident.
    deleted: bool,
}

impl Row {
    fn get(&self, name: &str) -> Option<&Held> {
        self.values
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, held)| held)
    }

    fn set(&mut self, name: &'static str, value: Option<Held>) {
        self.values.retain(|(known, _)| *known != name);
        if let Some(value) = value {
            self.values.push((name, value));
        }
    }

    fn fields(&self, kind: RecordType) -> Map<String, Value> {
        kind.fields()
            .iter()
            .filter_map(|spec| Some((spec.name.to_owned(), self.get(spec.name)?.to_json())))
            .collect()
    }

    fn points_at(&self, field: &str, external_id: &str) -> bool {
        self.get(field).and_then(Held::as_text) == Some(external_id)
    }
}

/// Why one record was not written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rejection {
    pub(crate) code: RejectCode,
    pub(crate) field: Option<String>,
    pub(crate) message: String,
}

/// All records.
#[derive(Debug, Default)]
pub(crate) struct Store {
    rows: BTreeMap<(RecordType, Box<str>), Row>,
    /// How many of each type are there, those deleted in mOS left out.
    counts: BTreeMap<RecordType, usize>,
}

impl Store {
    /// Compares and writes one record.
    pub(crate) fn apply(&mut self, incoming: &Incoming) -> Result<Outcome, Rejection> {
        let Ok(kind) = incoming.kind.parse::<RecordType>() else {
            return Err(reject(
                RejectCode::UnknownType,
                None,
                "mOS has no such record type",
            ));
        };
        let key = (kind, Box::from(incoming.external_id.as_str()));
        let stored = self.rows.get(&key);
        let present = stored.is_some_and(|row| !row.deleted);
        let deleted = stored.is_some_and(|row| row.deleted);
        if incoming.if_exists && !present && !(deleted && incoming.restore) {
            return Ok(Outcome::Skipped);
        }
        if deleted && !incoming.restore {
            return Err(reject(
                RejectCode::DeletedInMos,
                None,
                "an mOS admin removed this record; only a restore brings it back",
            ));
        }
        if stored.is_some_and(|row| incoming.version.as_str() < row.version.as_ref()) {
            return Ok(Outcome::Stale);
        }

        let changes = accept_all(kind, incoming)?;
        self.check_references(kind, stored, &changes)?;
        let differs = stored.is_none_or(|row| {
            row.deleted
                || changes
                    .iter()
                    .any(|(spec, value)| row.get(spec.name) != value.as_ref())
        });
        let existed = stored.is_some();
        if !present {
            *self.counts.entry(kind).or_default() += 1;
        }
        let row = self.rows.entry(key).or_insert_with(|| Row {
            version: Box::default(),
            values: Vec::new(),
            deleted: false,
        });
        row.version = incoming.version.as_str().into();
        row.deleted = false;
        for (spec, value) in changes {
            row.set(spec.name, value);
        }
        Ok(match (existed, differs) {
            (false, _) => Outcome::Created,
            (true, true) => Outcome::Updated,
            (true, false) => Outcome::Unchanged,
        })
    }

    /// Hard references: named at least once, and their targets are here.
    fn check_references(
        &self,
        kind: RecordType,
        stored: Option<&Row>,
        changes: &[(&'static FieldSpec, Option<Held>)],
    ) -> Result<(), Rejection> {
        for spec in kind.fields() {
            let FieldKind::HardReference(target) = spec.kind else {
                continue;
            };
            let sent = changes
                .iter()
                .find(|(changed, _)| changed.name == spec.name)
                .and_then(|(_, value)| value.as_ref());
            let Some(held) = sent.or_else(|| stored.and_then(|row| row.get(spec.name))) else {
                return Err(reject(
                    RejectCode::InvalidField,
                    Some(spec.name),
                    "a new record needs this reference",
                ));
            };
            let there = held.as_text().is_some_and(|id| self.has(target, id));
            if !there {
                return Err(reject(
                    RejectCode::ParentMissing,
                    Some(spec.name),
                    &format!("the {target} this field names is not in mOS"),
                ));
            }
        }
        Ok(())
    }

    fn has(&self, kind: RecordType, external_id: &str) -> bool {
        self.rows
            .get(&(kind, Box::from(external_id)))
            .is_some_and(|row| !row.deleted)
    }

    /// What an mOS admin does in the product: the record goes, and a company takes its contacts
    /// and opportunities with it, an opportunity or contact its roles. Says how many went.
    pub(crate) fn delete(&mut self, kind: RecordType, external_id: &str) -> usize {
        let Some(row) = self.rows.get_mut(&(kind, Box::from(external_id))) else {
            return 0;
        };
        if row.deleted {
            return 0;
        }
        row.deleted = true;
        if let Some(count) = self.counts.get_mut(&kind) {
            *count = count.saturating_sub(1);
        }
        let children: &[(RecordType, &str)] = match kind {
            RecordType::Company => &[
                (RecordType::Contact, "company_id"),
                (RecordType::Opportunity, "company_id"),
            ],
            RecordType::Contact => &[(RecordType::ContactRole, "contact_id")],
            RecordType::Opportunity => &[(RecordType::ContactRole, "opportunity_id")],
            RecordType::User | RecordType::ContactRole => &[],
        };
        let gone: Vec<(RecordType, Box<str>)> = self
            .rows
            .iter()
            .filter(|((child, _), row)| {
                children
                    .iter()
                    .any(|(kind, field)| kind == child && row.points_at(field, external_id))
            })
            .map(|(key, _)| key.clone())
            .collect();
        1 + gone
            .into_iter()
            .map(|(child, id)| self.delete(child, &id))
            .sum::<usize>()
    }

    /// How many records of a type are there.
    pub(crate) fn count(&self, kind: RecordType) -> usize {
        self.counts.get(&kind).copied().unwrap_or_default()
    }

    /// One record, unless it is not there or was deleted.
    pub(crate) fn get(&self, kind: RecordType, external_id: &str) -> Option<StoredRecord> {
        let row = self.rows.get(&(kind, Box::from(external_id)))?;
        (!row.deleted).then(|| view(kind, external_id, row))
    }

    /// The records of a type after an id, in the order of ids.
    pub(crate) fn after(
        &self,
        kind: RecordType,
        after: &str,
    ) -> impl Iterator<Item = StoredRecord> + '_ {
        let after: Box<str> = after.into();
        self.rows
            .range((kind, after.clone())..)
            .take_while(move |((other, _), _)| *other == kind)
            .filter(move |((_, id), row)| *id != after && !row.deleted)
            .map(move |((_, id), row)| view(kind, id, row))
    }
}

fn view(kind: RecordType, external_id: &str, row: &Row) -> StoredRecord {
    StoredRecord {
        kind,
        external_id: external_id.to_owned(),
        version: row.version.as_ref().to_owned(),
        fields: row.fields(kind),
    }
}

/// Every field that was sent, checked. The first fault rejects the record whole.
fn accept_all(
    kind: RecordType,
    incoming: &Incoming,
) -> Result<Vec<(&'static FieldSpec, Option<Held>)>, Rejection> {
    let Ok(Fields(fields)) = serde_json::from_str::<Fields>(incoming.fields.get()) else {
        return Err(reject(
            RejectCode::InvalidField,
            None,
            "fields is not an object",
        ));
    };
    fields
        .into_iter()
        .map(|(name, raw)| {
            let Some(spec) = kind.field(&name) else {
                return Err(reject(
                    RejectCode::InvalidField,
                    Some(&name),
                    &format!("mOS has no such field on {kind}"),
                ));
            };
            match accept(spec, &raw) {
                Ok(value) => Ok((spec, value)),
                Err(Refusal::Invalid(why)) => {
                    Err(reject(RejectCode::InvalidField, Some(&name), why))
                }
                Err(Refusal::TooLong(max)) => Err(reject(
                    RejectCode::ValueTooLong,
                    Some(&name),
                    &format!("at most {max} characters"),
                )),
            }
        })
        .collect()
}

fn reject(code: RejectCode, field: Option<&str>, message: &str) -> Rejection {
    Rejection {
        code,
        field: field.map(str::to_owned),
        message: message.to_owned(),
    }
}
