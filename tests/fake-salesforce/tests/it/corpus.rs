//! SOQL that the product never sends, on a small fixed org. The answers were worked out without
//! this engine: `corpus/work_out.py` has SQL written by hand for every statement and asks `SQLite`.
use std::path::Path;

use fake_salesforce::org::Org;
use fake_salesforce::setup_fields::CustomField;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::common::org;

#[derive(Deserialize)]
struct Statement {
    soql: String,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    columns: Vec<String>,
    #[serde(default)]
    ordered: bool,
    #[serde(default)]
    rows: Vec<Vec<Value>>,
}

#[test]
fn every_statement_is_answered_as_worked_out_elsewhere() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/corpus");
    let (org, _) = org();
    let regions: CustomField = serde_json::from_value(json!({
        "entity": "Opportunity", "name": "Regions__c", "type": "multipicklist",
        "values": ["APAC", "AMER", "EMEA"],
    }))
    .unwrap();
    org.add_field(&regions).unwrap();
    org.load_dir(&folder.join("org")).unwrap();
    let answers = std::fs::read(folder.join("answers.json")).unwrap();
    let statements: Vec<Statement> = serde_json::from_slice(&answers).unwrap();
    assert!(statements.len() >= 200, "{}", statements.len());
    let wrong: Vec<String> = statements
        .iter()
        .filter_map(|statement| fault(&org, statement))
        .collect();
    assert!(
        wrong.is_empty(),
        "{}\n{} wrong",
        wrong.join("\n"),
        wrong.len()
    );
}

fn fault(org: &Org, statement: &Statement) -> Option<String> {
    let soql = &statement.soql;
    let answer = org.query(soql, false);
    let rows = match (answer, &statement.error) {
        (Ok(rows), None) => rows,
        (Err(error), Some(code)) if error.code == code => return None,
        (Err(error), wanted) => return Some(format!("{soql}\n  {error}, wanted {wanted:?}")),
        (Ok(rows), Some(code)) => {
            return Some(format!("{soql}\n  {} rows, wanted {code}", rows.len()));
        }
    };
    let mut found: Vec<Vec<Value>> = rows
        .into_iter()
        .map(|row| {
            let row = Value::Object(row);
            let columns = statement.columns.iter();
            columns.map(|column| plain(&at(&row, column))).collect()
        })
        .collect();
    let mut wanted: Vec<Vec<Value>> = statement
        .rows
        .iter()
        .map(|row| row.iter().map(plain).collect())
        .collect();
    if !statement.ordered {
        found.sort_by_key(|row| json!(row).to_string());
        wanted.sort_by_key(|row| json!(row).to_string());
    }
    (found != wanted).then(|| {
        format!(
            "{soql}\n  found  {}\n  wanted {}",
            json!(found),
            json!(wanted)
        )
    })
}

/// A column of a row: over parents by dots, of children by `[]`.
fn at(row: &Value, column: &str) -> Value {
    if let Some((children, field)) = column.split_once("[].") {
        return match row[children]["records"].as_array() {
            Some(records) => records.iter().map(|record| record[field].clone()).collect(),
            None => Value::Null,
        };
    }
    let mut value = row;
    for name in column.split('.') {
        value = match value.as_object() {
            Some(row) => row
                .get(name)
                .unwrap_or_else(|| panic!("no {column} in {value}")),
            None => &Value::Null,
        };
    }
    value.clone()
}

/// One form for numbers and checkboxes: `SQLite` writes the latter as 0 and 1, and sums in an order
/// of its own.
fn plain(value: &Value) -> Value {
    match value {
        Value::Bool(flag) => json!(format!("{:.4}", f64::from(u8::from(*flag)))),
        Value::Number(number) => json!(format!("{:.4}", number.as_f64().unwrap())),
        other @ (Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_)) => {
            other.clone()
        }
    }
}
