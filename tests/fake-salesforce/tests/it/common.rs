//! What the tests share.
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use fake_salesforce::commit::{Clock, Row};
use fake_salesforce::dml::Dml;
use fake_salesforce::org::Org;
use serde_json::Value;

/// 2026-06-15T12:00:00.250Z, a Monday.
pub(crate) const NOW: i64 = 1_781_524_800_250_000;

/// A clock that stands still until it is moved.
#[derive(Clone)]
pub(crate) struct Hands(Arc<AtomicI64>);

impl Hands {
    pub(crate) fn forward_s(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::Relaxed);
    }
}

pub(crate) fn standing_clock() -> (Clock, Hands) {
    let micros = Arc::new(AtomicI64::new(NOW));
    let clock: Clock = {
        let micros = Arc::clone(&micros);
        Arc::new(move || micros.load(Ordering::Relaxed))
    };
    (clock, Hands(micros))
}

pub(crate) fn org() -> (Arc<Org>, Hands) {
    let (clock, hands) = standing_clock();
    (Org::new(clock, 7), hands)
}

pub(crate) fn fields(value: Value) -> Row {
    value.as_object().cloned().unwrap()
}

pub(crate) fn insert(org: &Org, entity: &str, value: Value) -> String {
    let op = Dml::Insert {
        entity: entity.to_owned(),
        fields: fields(value),
    };
    one(org, op)
}

pub(crate) fn update(org: &Org, entity: &str, id: &str, value: Value) {
    one(
        org,
        Dml::Update {
            entity: entity.to_owned(),
            id: id.to_owned(),
            fields: fields(value),
        },
    );
}

/// Does one step and answers the record's id.
pub(crate) fn one(org: &Org, op: Dml) -> String {
    let results = org.transact(org.admin_id(), "test", vec![op]).unwrap();
    results[0].id.clone().unwrap()
}
