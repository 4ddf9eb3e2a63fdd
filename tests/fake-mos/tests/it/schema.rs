//! As much of JSON Schema as `deploy/mos-openapi.yaml` uses. A keyword or pattern it does not know
//! is a panic, so that nothing in the document goes unchecked.

use serde_json::Value;

pub(crate) struct Document(pub(crate) Value);

impl Document {
    pub(crate) fn resolve<'a>(&'a self, mut node: &'a Value) -> &'a Value {
        while let Some(reference) = node.get("$ref") {
            let pointer = reference.as_str().unwrap().strip_prefix('#').unwrap();
            node = self
                .0
                .pointer(pointer)
                .unwrap_or_else(|| panic!("{pointer} leads nowhere"));
        }
        node
    }

    /// What is wrong with an instance, each with its place.
    pub(crate) fn faults(&self, schema: &Value, instance: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        self.walk(self.resolve(schema), instance, "", &mut faults);
        faults
    }

    fn walk(&self, schema: &Value, instance: &Value, place: &str, faults: &mut Vec<String>) {
        for (keyword, rule) in schema.as_object().unwrap() {
            let good = match keyword.as_str() {
                "description" | "default" | "format" => true,
                "type" => match rule.as_array() {
                    Some(names) => names.iter().any(|name| is(instance, name)),
                    None => is(instance, rule),
                },
                "enum" => rule.as_array().unwrap().contains(instance),
                "const" => rule == instance,
                "pattern" => instance
                    .as_str()
                    .is_none_or(|text| matches(rule.as_str().unwrap(), text)),
                "minLength" => instance
                    .as_str()
                    .is_none_or(|text| text.chars().count() >= size(rule)),
                "maxLength" => instance
                    .as_str()
                    .is_none_or(|text| text.chars().count() <= size(rule)),
                "minItems" => instance
                    .as_array()
                    .is_none_or(|items| items.len() >= size(rule)),
                "maxItems" => instance
                    .as_array()
                    .is_none_or(|items| items.len() <= size(rule)),
                "minimum" => instance
                    .as_f64()
                    .is_none_or(|number| number >= rule.as_f64().unwrap()),
                "maximum" => instance
                    .as_f64()
                    .is_none_or(|number| number <= rule.as_f64().unwrap()),
                "required" => instance.as_object().is_none_or(|object| {
                    rule.as_array()
                        .unwrap()
                        .iter()
                        .all(|name| object.contains_key(name.as_str().unwrap()))
                }),
                "additionalProperties" => {
                    assert_eq!(rule, &Value::Bool(false));
                    instance.as_object().is_none_or(|object| {
                        object
                            .keys()
                            .all(|name| schema["properties"].get(name).is_some())
                    })
                }
                "properties" => {
                    for (name, inner) in rule.as_object().unwrap() {
                        if let Some(value) = instance.get(name) {
                            self.walk(
                                self.resolve(inner),
                                value,
                                &format!("{place}/{name}"),
                                faults,
                            );
                        }
                    }
                    true
                }
                "items" => {
                    for (index, value) in instance.as_array().into_iter().flatten().enumerate() {
                        self.walk(
                            self.resolve(rule),
                            value,
                            &format!("{place}/{index}"),
                            faults,
                        );
                    }
                    true
                }
                "oneOf" => {
                    let alternatives = rule.as_array().unwrap();
                    alternatives
                        .iter()
                        .filter(|inner| self.faults(inner, instance).is_empty())
                        .count()
                        == 1
                }
                unknown => panic!("{place}: this validator does not know {unknown}"),
            };
            if !good {
                faults.push(format!("{place}: {keyword} {rule} against {instance}"));
            }
        }
    }
}

fn size(rule: &Value) -> usize {
    usize::try_from(rule.as_u64().unwrap()).unwrap()
}

fn is(instance: &Value, name: &Value) -> bool {
    match name.as_str().unwrap() {
        "null" => instance.is_null(),
        "boolean" => instance.is_boolean(),
        "string" => instance.is_string(),
        "number" => instance.is_number(),
        "integer" => instance.is_i64() || instance.is_u64(),
        "array" => instance.is_array(),
        "object" => instance.is_object(),
        unknown => panic!("no such type: {unknown}"),
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match pattern {
        "^[a-zA-Z0-9]{18}$" => {
            text.len() == 18 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        }
        "^[0-9]{1,32}$" => digits(text) && text.len() <= 32,
        "^[0-9a-f]{64}$" => {
            text.len() == 64
                && text
                    .bytes()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        }
        "^[A-Z]{3}$" => text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()),
        "@" => text.contains('@'),
        "^[0-9]{4}-[0-9]{2}-[0-9]{2}$" => {
            let parts: Vec<&str> = text.split('-').collect();
            parts.iter().all(|part| digits(part))
                && parts.iter().map(|part| part.len()).eq([4, 2, 2])
        }
        "^-?[0-9]+(\\.[0-9]+)?([eE][+-]?[0-9]+)?$" => {
            let unsigned = text.strip_prefix('-').unwrap_or(text);
            let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
            let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
            digits(whole)
                && digits(fraction)
                && digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))
        }
        unknown => panic!("this validator does not know the pattern {unknown}"),
    }
}
