//! What happens in the stand-in org behind the desk's.

use fake_salesforce::dml::Dml;
use fake_salesforce::org::Org;
use serde_json::Value;

/// Inserts a record, and answers its id.
pub(crate) fn insert(org: &Org, entity: &str, fields: &Value) -> String {
    let op = Dml::Insert {
        entity: entity.to_owned(),
        fields: fields.as_object().cloned().unwrap(),
    };
    let results = org.transact(org.admin_id(), "test", vec![op]).unwrap();
    results.into_iter().next().unwrap().id.unwrap()
}

/// Changes a record.
pub(crate) fn update(org: &Org, entity: &str, id: &str, fields: &Value) {
    let op = Dml::Update {
        entity: entity.to_owned(),
        id: id.to_owned(),
        fields: fields.as_object().cloned().unwrap(),
    };
    org.transact(org.admin_id(), "test", vec![op]).unwrap();
}
