use serde_json::Value;

/// What is wrong with a value, each fault with its place. A keyword of the schema that is not known
/// here is a fault too.
///
/// # Panics
/// When the schema is none.
#[must_use]
pub fn faults(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    faults_of(document, schema, value)
}

fn faults_of(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    check(document, schema, value, "", &mut faults);
    faults
}

fn check(document: &Value, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    for (keyword, wanted) in schema.as_object().unwrap() {
        match keyword.as_str() {
            "description" | "default" | "format" => {}
            "$ref" => {
                let path = wanted.as_str().unwrap().strip_prefix('#').unwrap();
                let target = document.pointer(path).unwrap();
                check(document, target, value, at, faults);
                return;
            }
            "oneOf" => {
                let fitting = wanted.as_array().unwrap().iter();
                let fitting = fitting.filter(|one| faults_of(document, one, value).is_empty());
                match fitting.count() {
                    1 => {}
                    many => add(faults, at, format!("{value} fits {many} of {wanted}")),
                }
            }
            "type" => {
                let types = wanted
                    .as_array()
                    .cloned()
                    .unwrap_or_else(|| vec![wanted.clone()]);
                if !types.iter().any(|one| is(one.as_str().unwrap(), value)) {
                    add(faults, at, format!("{value} is no {wanted}"));
                }
            }
            "enum" => {
                if !wanted.as_array().unwrap().contains(value) {
                    add(faults, at, format!("{value} is none of {wanted}"));
                }
            }
            "minimum" | "maximum" => {
                if let Some(number) = value.as_f64() {
                    let bound = wanted.as_f64().unwrap();
                    if (keyword == "minimum" && number < bound)
                        || (keyword == "maximum" && number > bound)
                    {
                        add(
                            faults,
                            at,
                            format!("{number} is beyond the {keyword} {bound}"),
                        );
                    }
                }
            }
            "minLength" | "maxLength" => {
                if let Some(text) = value.as_str() {
                    let length = text.chars().count();
                    let bound = usize::try_from(wanted.as_u64().unwrap()).unwrap();
                    if (keyword == "minLength" && length < bound)
                        || (keyword == "maxLength" && length > bound)
                    {
                        add(
                            faults,
                            at,
                            format!("{text:?} is beyond the {keyword} {bound}"),
                        );
                    }
                }
            }
            "pattern" => {
                let pattern = regex_lite::Regex::new(wanted.as_str().unwrap()).unwrap();
                if value.as_str().is_some_and(|text| !pattern.is_match(text)) {
                    add(faults, at, format!("{value} does not match {wanted}"));
                }
            }
            "maxItems" => {
                if value.as_array().is_some_and(|items| {
                    items.len() > usize::try_from(wanted.as_u64().unwrap()).unwrap()
                }) {
                    add(faults, at, format!("more items than {wanted}"));
                }
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(document, wanted, item, &format!("{at}/{index}"), faults);
                }
            }
            "required" => {
                for name in wanted.as_array().unwrap() {
                    let name = name.as_str().unwrap();
                    if value.is_object() && value.get(name).is_none() {
                        faults.push(format!("{at}: lacks {name}"));
                    }
                }
            }
            "properties" => {
                for (name, schema) in wanted.as_object().unwrap() {
                    if let Some(value) = value.get(name) {
                        check(document, schema, value, &format!("{at}/{name}"), faults);
                    }
                }
            }
            "propertyNames" => {
                for name in value
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(name, _)| name)
                {
                    check(document, wanted, &Value::from(name.as_str()), at, faults);
                }
            }
            "additionalProperties" => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    if schema["properties"].get(name).is_some() {
                        continue;
                    }
                    match wanted.as_bool() {
                        Some(true) => {}
                        Some(false) => faults.push(format!("{at}: has {name}")),
                        None => {
                            check(document, wanted, value, &format!("{at}/{name}"), faults);
                        }
                    }
                }
            }
            unknown => faults.push(format!("{at}: the keyword {unknown} is not known here")),
        }
    }
}

fn add(faults: &mut Vec<String>, at: &str, what: String) {
    faults.push(format!("{at}: {what}"));
}

fn is(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

#[test]
fn a_value_that_does_not_fit_is_found() {
    let document = serde_json::json!({"S": {"type": "string", "maxLength": 2, "pattern": "^x"}});
    let schema = serde_json::json!({
        "type": "object", "required": ["a"], "additionalProperties": false,
        "properties": {"a": {"oneOf": [{"$ref": "#/S"}, {"type": "null"}]}, "b": {"type": "array", "items": {"type": ["integer", "null"], "minimum": 1}}},
    });
    let faults = |value| faults(&document, &schema, &value).len();
    for good in [
        serde_json::json!({"a": "xy"}),
        serde_json::json!({"a": null, "b": [1, null]}),
    ] {
        assert_eq!(faults(good), 0);
    }
    for bad in [
        serde_json::json!({"a": "xyz"}),
        serde_json::json!({"a": "y"}),
        serde_json::json!({}),
        serde_json::json!([]),
        serde_json::json!({"a": null, "b": [0]}),
        serde_json::json!({"a": null, "c": 1}),
    ] {
        assert!(faults(bad.clone()) > 0, "{bad}");
    }
}
