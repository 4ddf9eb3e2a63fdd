//! What is written in the simulated org.

use fake_salesforce::dml::Dml;
use fake_salesforce::org::Org;
use serde_json::Value;

pub(crate) use crate::steps::{deleting, inserting, updating};

/// The administrator writes this in one transaction; answers the records' ids.
pub(crate) fn transact(org: &Org, steps: impl IntoIterator<Item = Dml>) -> Vec<String> {
    let steps = steps.into_iter().collect();
    let results = org.transact(org.admin_id(), "test", steps).unwrap();
    results.into_iter().filter_map(|result| result.id).collect()
}

/// Inserts a record, and answers its id.
pub(crate) fn insert(org: &Org, entity: &str, fields: &Value) -> String {
    transact(org, [inserting(entity, fields)]).remove(0)
}

/// Inserts many records in one transaction, and answers their ids.
pub(crate) fn insert_all(
    org: &Org,
    entity: &str,
    rows: impl IntoIterator<Item = Value>,
) -> Vec<String> {
    transact(org, rows.into_iter().map(|row| inserting(entity, &row)))
}

/// Changes a record.
pub(crate) fn update(org: &Org, entity: &str, id: &str, fields: &Value) {
    transact(org, [updating(entity, id, fields)]);
}
