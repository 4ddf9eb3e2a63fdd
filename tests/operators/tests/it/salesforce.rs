//! What happens in the stand-in org behind the desk's.

use domain::SalesforceId;
use fake_salesforce::dml::Dml;
use fake_salesforce::org::Org;
use serde_json::{Value, json};

/// Inserts a record, and answers its id.
pub(crate) fn insert(org: &Org, entity: &str, fields: &Value) -> String {
    let op = Dml::Insert {
        entity: entity.to_owned(),
        fields: fields.as_object().cloned().unwrap(),
    };
    let results = org.transact(org.admin_id(), "test", vec![op]).unwrap();
    results.into_iter().next().unwrap().id.unwrap()
}

/// Inserts many records in one transaction, and answers their ids.
pub(crate) fn insert_all(
    org: &Org,
    entity: &str,
    rows: impl IntoIterator<Item = Value>,
) -> Vec<String> {
    let op = |row: Value| Dml::Insert {
        entity: entity.to_owned(),
        fields: row.as_object().cloned().unwrap(),
    };
    let ops = rows.into_iter().map(op).collect();
    let results = org.transact(org.admin_id(), "test", ops).unwrap();
    results
        .into_iter()
        .map(|result| result.id.unwrap())
        .collect()
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

/// Deletes a record.
pub(crate) fn delete(org: &Org, entity: &str, id: &str) {
    let op = Dml::Delete {
        entity: entity.to_owned(),
        id: id.to_owned(),
    };
    org.transact(org.admin_id(), "test", vec![op]).unwrap();
}

/// Inserts a user of that name, and answers the id.
pub(crate) fn user(org: &Org, name: &str) -> String {
    let username = format!("{name}@example.com");
    let fields = json!({"LastName": name, "Username": username, "Email": username});
    insert(org, "User", &fields)
}

pub(crate) fn id(text: &str) -> SalesforceId {
    SalesforceId::parse(text).unwrap()
}
