//! The document, as far as requests are made from it and answers are held to it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use console::rights::Right;
use http::Method;
use jsonschema::Validator;
use serde_json::{Value, json};

/// One path asked by one method.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    pub(super) path: String,
    pub(super) method: Method,
    /// As it stands in the document.
    pub(super) described: Value,
    /// The scope that a token must have; `None`: everybody may.
    pub(super) needs: Option<Right>,
}

impl Operation {
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub(super) fn parameters_in<'a>(&'a self, place: &'a str) -> impl Iterator<Item = &'a Value> {
        let all = self.described["parameters"].as_array();
        all.into_iter()
            .flatten()
            .filter(move |parameter| parameter["in"] == place)
    }

    pub(super) fn body_schema(&self) -> Option<&Value> {
        let body = self.described.get("requestBody")?;
        Some(&body["content"]["application/json"]["schema"])
    }

    pub(super) fn needs_body(&self) -> bool {
        self.described["requestBody"]["required"] == json!(true)
    }
}

/// The document.
pub(super) struct Description {
    pub(super) json: Value,
    pub(super) operations: Vec<Operation>,
    validators: Mutex<BTreeMap<String, Arc<Validator>>>,
}

impl Description {
    pub(super) fn read() -> Self {
        let json: Value = serde_json::from_str(console::api::DOCUMENT).unwrap();
        let mut operations = Vec::new();
        for (path, methods) in json["paths"].as_object().unwrap() {
            for (method, described) in methods.as_object().unwrap() {
                operations.push(Operation {
                    path: path.clone(),
                    method: method.to_uppercase().parse().unwrap(),
                    needs: scope(&json, described),
                    described: described.clone(),
                });
            }
        }
        Self {
            json,
            operations,
            validators: Mutex::default(),
        }
    }

    /// The schema itself where this one only names it.
    pub(super) fn resolved(&self, schema: &Value) -> Value {
        match schema["$ref"].as_str() {
            Some(name) => {
                let target = self.json.pointer(name.trim_start_matches('#')).unwrap();
                self.resolved(target)
            }
            None => schema.clone(),
        }
    }

    /// What is wrong with a value.
    pub(super) fn faults(&self, schema: &Value, value: &Value) -> Vec<String> {
        let validator = self.validator(schema);
        let errors = validator.iter_errors(value);
        errors
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect()
    }

    fn validator(&self, schema: &Value) -> Arc<Validator> {
        let mut validators = self.validators.lock().unwrap();
        let key = schema.to_string();
        let known = validators.entry(key).or_insert_with(|| {
            // `OpenAPI` 3.1: a schema is JSON Schema 2020-12, and names others of the document.
            let whole = json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "allOf": [schema],
                "components": self.json["components"],
            });
            let made = jsonschema::options()
                .should_validate_formats(true)
                .build(&whole);
            Arc::new(made.unwrap_or_else(|error| panic!("{schema}: {error}")))
        });
        Arc::clone(known)
    }
}

/// The scope that the document names for an operation.
fn scope(document: &Value, described: &Value) -> Option<Right> {
    let security = described.get("security").unwrap_or(&document["security"]);
    let ways = security.as_array().unwrap();
    let way = ways.first()?;
    let scopes = way["token"].as_array().unwrap();
    let name = scopes.first().and_then(Value::as_str);
    let name = name.unwrap_or_else(|| panic!("{described} names no scope"));
    Some(Right::of_name(name).unwrap())
}
