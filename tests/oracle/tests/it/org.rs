//! Writes a history and the requests mOS received, in few words.

use std::collections::BTreeMap;

use oracle::{
    ChangeKind, History, Kind, LedgerEntry, LedgerRecord, MosLedger, MosRecord, MosState, Outcome,
    Settings,
};
use serde_json::{Map, Value, json};

pub(crate) const SECOND: i64 = 1_000_000;

/// A history in the making, and the rows as they are now.
#[derive(Default)]
pub(crate) struct Org {
    pub(crate) history: History,
    pub(crate) rows: BTreeMap<(String, String), Map<String, Value>>,
}

impl Org {
    /// Permission sets `set` (`mOS_User`) and `other`, a group `group` with the first of them.
    pub(crate) fn new() -> Self {
        let mut org = Self::default();
        org.at(0);
        org.create("PermissionSet", "set", json!({ "Name": "mOS_User" }));
        org.create("PermissionSet", "other", json!({ "Name": "Reports" }));
        org.create(
            "PermissionSetGroupComponent",
            "part",
            json!({ "PermissionSetGroupId": "group", "PermissionSetId": "set" }),
        );
        org
    }

    /// Begins a commit.
    pub(crate) fn at(&mut self, seconds: i64) -> &mut Self {
        self.history.begin(seconds * SECOND).unwrap();
        self
    }

    pub(crate) fn create(&mut self, entity: &str, id: &str, fields: Value) -> &mut Self {
        self.write(entity, id, ChangeKind::Create, fields)
    }

    pub(crate) fn update(&mut self, entity: &str, id: &str, fields: Value) -> &mut Self {
        self.write(entity, id, ChangeKind::Update, fields)
    }

    pub(crate) fn delete(&mut self, entity: &str, id: &str) -> &mut Self {
        self.write(entity, id, ChangeKind::Delete, json!({}))
    }

    pub(crate) fn undelete(&mut self, entity: &str, id: &str) -> &mut Self {
        self.write(entity, id, ChangeKind::Undelete, json!({}))
    }

    fn write(&mut self, entity: &str, id: &str, kind: ChangeKind, fields: Value) -> &mut Self {
        let row = self
            .rows
            .entry((entity.to_owned(), id.to_owned()))
            .or_default();
        row.insert("IsDeleted".to_owned(), json!(kind == ChangeKind::Delete));
        row.extend(fields.as_object().unwrap().clone());
        self.history.change(entity, id, kind, row);
        self
    }

    /// A user; permitted when `grant` names an assignment.
    pub(crate) fn user(&mut self, id: &str) -> &mut Self {
        self.create(
            "User",
            id,
            json!({ "Name": format!("User {id}"), "IsActive": true }),
        )
    }

    pub(crate) fn grant(&mut self, id: &str, user: &str) -> &mut Self {
        self.create(
            "PermissionSetAssignment",
            id,
            json!({ "AssigneeId": user, "PermissionSetId": "set", "IsActive": true }),
        )
    }

    /// An open opportunity with an account `a`.
    pub(crate) fn deal(&mut self, id: &str, owner: &str) -> &mut Self {
        self.create(
            "Opportunity",
            id,
            json!({ "Name": format!("Deal {id}"), "OwnerId": owner, "AccountId": "a", "StageName": "Qualification", "IsClosed": false, "IsWon": false, "Amount": 1200.5, "CreatedDate": "2026-01-01T00:00:00.000+0000" }),
        )
    }

    /// One permitted user `u`, account `a`, contacts `c` and `d`, deal `o` with role `r` of `c`.
    pub(crate) fn family() -> Self {
        let mut org = Self::new();
        org.user("u")
            .user("v")
            .grant("g", "u")
            .create(
                "Account",
                "a",
                json!({ "Name": "Acme", "NumberOfEmployees": 12, "AnnualRevenue": 5e6 }),
            )
            .create(
                "Contact",
                "c",
                json!({ "LastName": "Bell", "AccountId": "a" }),
            )
            .create(
                "Contact",
                "d",
                json!({ "LastName": "Cole", "AccountId": "a" }),
            )
            .deal("o", "u")
            .create(
                "OpportunityContactRole",
                "r",
                json!({ "OpportunityId": "o", "ContactId": "c", "IsPrimary": true }),
            );
        org
    }

    /// What is in scope after so many seconds, as `type id` words.
    pub(crate) fn scope(&self, settings: &Settings, seconds: i64) -> Vec<String> {
        oracle::in_scope(&self.history, seconds * SECOND, settings)
            .unwrap()
            .keys()
            .map(|record| format!("{} {}", record.kind, record.id))
            .collect()
    }
}

pub(crate) fn settings(document: Value) -> Settings {
    Settings::from_json(&document.to_string()).unwrap()
}

/// mOS holding exactly what the oracle expects at a moment.
pub(crate) fn perfect(org: &Org, settings: &Settings, seconds: i64) -> MosState {
    oracle::in_scope(&org.history, seconds * SECOND, settings)
        .unwrap()
        .into_iter()
        .map(|(record, fields)| MosRecord {
            kind: record.kind,
            external_id: record.id,
            version: format!("{:019}", seconds * SECOND),
            fields,
        })
        .collect()
}

/// mOS with other fields in one record.
pub(crate) fn changed(
    state: &MosState,
    ids: &[(Kind, &str)],
    change: (Kind, &str, Value),
) -> MosState {
    ids.iter()
        .map(|(kind, id)| {
            let mut record = state.get(*kind, id).unwrap().clone();
            if (*kind, *id) == (change.0, change.1) {
                record.fields.extend(change.2.as_object().unwrap().clone());
            }
            record
        })
        .collect()
}

/// A request with one record, arriving (and answered half a second later) at a moment.
pub(crate) fn sent(seconds: f64, kind: &str, id: &str, version_seconds: f64) -> LedgerEntry {
    LedgerEntry {
        at_micros: micros(seconds),
        answered_micros: micros(seconds) + SECOND / 2,
        status: 200,
        records: vec![LedgerRecord {
            kind: kind.to_owned(),
            external_id: id.to_owned(),
            version: format!("{:019}", micros(version_seconds)),
            if_exists: false,
            outcome: Some(Outcome::Updated),
        }],
    }
}

pub(crate) fn if_exists(mut entry: LedgerEntry) -> LedgerEntry {
    entry.records[0].if_exists = true;
    entry
}

pub(crate) fn ledger(entries: Vec<LedgerEntry>) -> MosLedger {
    MosLedger { entries }
}

fn micros(seconds: f64) -> i64 {
    format!("{:.0}", seconds * 1e6).parse().unwrap()
}
