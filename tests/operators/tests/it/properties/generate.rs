//! Requests made from the document: right ones, wrong ones, and some that no program would send.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Method;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::string::string_regex;
use serde_json::{Map, Number, Value};

use super::description::{Description, Operation};

/// Values that are there, by the name of the parameter or property that they are for: what no schema
/// can say.
pub(super) type Known = BTreeMap<&'static str, Vec<String>>;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Nobody,
    /// With a token that is none.
    Stranger,
    /// With one that was revoked.
    Revoked,
    Reader,
    Operator,
    Administrator,
    /// With the token whose hash is configured.
    Configured,
}

/// A name twice, of which JSON Schema knows nothing.
pub(super) const REPEATED: &str = "{\"reason\": \"a\", \"reason\": \"b\"}";

/// A request.
#[derive(Clone)]
pub(super) struct Ask {
    /// Which operation is meant, by its place in the document.
    pub(super) operation: usize,
    pub(super) method: Method,
    /// The path as it is sent.
    pub(super) path: String,
    /// What stands after `?`, not yet encoded.
    pub(super) query: Vec<(String, String)>,
    pub(super) who: Who,
    pub(super) content_type: Option<&'static str>,
    pub(super) body: Vec<u8>,
}

impl Ask {
    /// Path and query as they are sent.
    pub(super) fn target(&self) -> String {
        let mut target = self.path.clone();
        for (place, (name, value)) in self.query.iter().enumerate() {
            target.push(if place == 0 { '?' } else { '&' });
            target.push_str(&encoded(name));
            target.push('=');
            target.push_str(&encoded(value));
        }
        target
    }
}

/// As somebody would type it, so that a failure can be asked again.
impl std::fmt::Debug for Ask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "curl -X {} \"$CONSOLE{}\"", self.method, self.target())?;
        if self.who != Who::Nobody {
            write!(f, " -H 'Authorization: Bearer ({:?})'", self.who)?;
        }
        if let Some(media) = self.content_type {
            write!(f, " -H 'Content-Type: {media}'")?;
        }
        if self.body.is_empty() {
            return Ok(());
        }
        let shown = match std::str::from_utf8(&self.body) {
            Ok(text) if text.len() <= 2_000 => text.replace('\'', "'\\''"),
            Ok(text) => {
                let beginning: String = text.chars().take(200).collect();
                format!("{beginning}... ({} bytes)", text.len())
            }
            Err(_) => format!("(bytes) {:?}", self.body),
        };
        write!(f, " -d '{shown}'")
    }
}

/// Percent-encoded, whatever it is.
fn encoded(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_~".contains(byte);
    let escape = |byte: u8| {
        if plain(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(escape).collect()
}

/// Requests of one operation.
pub(super) fn asks(
    document: &Arc<Description>,
    number: usize,
    known: &Arc<Known>,
) -> BoxedStrategy<Ask> {
    let operation = document.operations[number].clone();
    let maker = Maker {
        document: Arc::clone(document),
        known: Arc::clone(known),
    };
    let path = maker.path(&operation);
    let query = maker.query(&operation);
    let body = maker.body(&operation);
    let method = prop_oneof![
        60 => Just(operation.method.clone()),
        1 => select(vec![Method::DELETE, Method::PUT, Method::PATCH]),
    ];
    (path, query, body, who(), method)
        .prop_map(
            move |(path, query, (content_type, body), who, method)| Ask {
                operation: number,
                method,
                path,
                query,
                who,
                content_type,
                body,
            },
        )
        .boxed()
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![
        10 => Just(Who::Configured),
        10 => Just(Who::Administrator),
        4 => Just(Who::Operator),
        4 => Just(Who::Reader),
        1 => Just(Who::Nobody),
        1 => Just(Who::Stranger),
        1 => Just(Who::Revoked),
    ]
}

/// What people and programs send that nobody had in mind.
fn odd_texts() -> BoxedStrategy<String> {
    let odd = [
        "",
        " ",
        "null",
        "-1",
        "0",
        "18446744073709551616",
        "9223372036854775807",
        "1e999",
        "NaN",
        "\u{0}",
        "\r\nset-cookie: a=b",
        "\u{202e}dlrow olleh",
        "\u{feff}",
        "\u{10ffff}",
        "ἀ\u{0301}🜨𐍈",
        "' OR 1=1 --",
        "<script>alert(1)</script>",
        "../../etc/passwd",
        "%2e%2e%2f",
        "{{7*7}}",
        "2026-02-30T25:61:61Z",
        "9999-12-31T23:59:59Z",
        "-009999-01-01T00:00:00Z",
        "00Q000000000001AAA",
        "006000000000001AAB",
    ];
    prop_oneof![
        6 => select(odd.to_vec()).prop_map(str::to_owned),
        3 => vec(any::<char>(), 0..40).prop_map(String::from_iter),
        1 => (100_usize..6_000).prop_map(|length| "x".repeat(length)),
        1 => (50_usize..2_000).prop_map(|length| "🜨".repeat(length)),
    ]
    .boxed()
}

/// Any JSON, a little of it.
fn any_json() -> BoxedStrategy<Value> {
    let numbers = select(vec![
        Number::from(0),
        Number::from(-1),
        Number::from(u64::MAX),
        Number::from(i64::MIN),
        Number::from_f64(1e308).unwrap(),
        Number::from_f64(0.5).unwrap(),
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        numbers.prop_map(Value::Number),
        odd_texts().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((odd_texts(), inner), 0..3)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
    .boxed()
}

struct Maker {
    document: Arc<Description>,
    known: Arc<Known>,
}

impl Maker {
    /// A text that is right by its schema, and as often as not one that means something.
    fn text(&self, name: &str, schema: &Value) -> BoxedStrategy<String> {
        let by_schema = if let Some(pattern) = schema["pattern"].as_str() {
            let inner = pattern.trim_start_matches('^').trim_end_matches('$');
            string_regex(inner).unwrap().boxed()
        } else if schema["format"] == "date-time" {
            string_regex("20[2-3][0-9]-0[1-9]-[12][0-9]T[01][0-9]:[0-5][0-9]:[0-5][0-9]Z")
                .unwrap()
                .boxed()
        } else {
            let shortest = schema["minLength"].as_u64().unwrap_or(0);
            odd_texts()
                .prop_map(move |text| {
                    if shortest > 0 && text.is_empty() {
                        "x".to_owned()
                    } else {
                        text
                    }
                })
                .boxed()
        };
        match self.known.get(name) {
            Some(known) => prop_oneof![
                4 => select(known.clone()),
                1 => by_schema,
            ]
            .boxed(),
            None => by_schema,
        }
    }

    /// Values that are right by their schema.
    fn right(&self, name: &str, schema: &Value) -> BoxedStrategy<Value> {
        let schema = self.document.resolved(schema);
        if let Some(ways) = schema["oneOf"].as_array() {
            let ways = ways.iter().map(|way| self.right(name, way));
            return proptest::strategy::Union::new(ways.collect::<Vec<_>>()).boxed();
        }
        if let Some(values) = schema["enum"].as_array() {
            return select(values.clone()).boxed();
        }
        let types = &schema["type"];
        if types.is_null() {
            // Whatever it is: mostly a settings document, which is only looked at.
            let settings = &self.document.json["components"]["schemas"]["SettingsDocument"];
            return prop_oneof![4 => self.right(name, settings), 1 => any_object()].boxed();
        }
        let types = types
            .as_array()
            .cloned()
            .unwrap_or_else(|| vec![types.clone()]);
        let of_types = types.iter().map(|one| self.of_type(name, one, &schema));
        proptest::strategy::Union::new(of_types.collect::<Vec<_>>()).boxed()
    }

    fn of_type(&self, name: &str, one: &Value, schema: &Value) -> BoxedStrategy<Value> {
        match one.as_str().unwrap() {
            "null" => Just(Value::Null).boxed(),
            "boolean" => any::<bool>().prop_map(Value::from).boxed(),
            "integer" => {
                let least = schema["minimum"].as_i64().unwrap_or(-3);
                let most = schema["maximum"].as_i64();
                let small =
                    (least..=most.unwrap_or(least + 12).min(least + 12)).prop_map(Value::from);
                let any = (least..=most.unwrap_or(i64::MAX)).prop_map(Value::from);
                prop_oneof![5 => small, 1 => any].boxed()
            }
            "string" => self.text(name, schema).prop_map(Value::from).boxed(),
            "array" => {
                let most = schema["maxItems"].as_u64().unwrap_or(4).min(4);
                let most = usize::try_from(most).unwrap();
                let items = self.right(name, &schema["items"]);
                vec(items, 0..=most).prop_map(Value::from).boxed()
            }
            "object" => self.object(name, schema),
            other => panic!("the type {other} of {name} is not known here"),
        }
    }

    fn object(&self, name: &str, schema: &Value) -> BoxedStrategy<Value> {
        let properties = schema["properties"].as_object();
        let properties = properties.unwrap_or_else(|| panic!("{name} has no properties"));
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let mut all: BoxedStrategy<Map<String, Value>> = Just(Map::new()).boxed();
        for (property, schema) in properties {
            let value = self.right(property, schema);
            let value = if required.contains(&Value::from(property.as_str())) {
                value.prop_map(Some).boxed()
            } else {
                option::weighted(0.4, value).boxed()
            };
            let property = property.clone();
            all = (all, value)
                .prop_map(move |(mut all, value)| {
                    if let Some(value) = value {
                        all.insert(property.clone(), value);
                    }
                    all
                })
                .boxed();
        }
        all.prop_map(Value::Object).boxed()
    }

    fn path(&self, operation: &Operation) -> BoxedStrategy<String> {
        let mut path: BoxedStrategy<String> = Just(operation.path.clone()).boxed();
        for parameter in operation.parameters_in("path") {
            let name = parameter["name"].as_str().unwrap().to_owned();
            let value = self
                .text(&name, &parameter["schema"])
                .prop_filter("a path without the name is another one", |text| {
                    !text.is_empty()
                });
            let value = prop_oneof![
                30 => value.prop_map(|text| encoded(&text)),
                // No text at all.
                1 => Just("%FF%C3".to_owned()),
            ];
            path = (path, value)
                .prop_map(move |(path, value)| path.replace(&format!("{{{name}}}"), &value))
                .boxed();
        }
        path
    }

    fn query(&self, operation: &Operation) -> BoxedStrategy<Vec<(String, String)>> {
        let mut query: BoxedStrategy<Vec<(String, String)>> = Just(Vec::new()).boxed();
        for parameter in operation.parameters_in("query") {
            let name = parameter["name"].as_str().unwrap().to_owned();
            let right = self.right(&name, &parameter["schema"]).prop_map(|value| {
                value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned)
            });
            let value = prop_oneof![8 => right, 1 => odd_texts()];
            query = (query, option::weighted(0.3, value))
                .prop_map(move |(mut query, value)| {
                    query.extend(value.map(|value| (name.clone(), value)));
                    query
                })
                .boxed();
        }
        let twice = (query.clone(), any::<Index>()).prop_map(|(mut query, which)| {
            if !query.is_empty() {
                query.push(which.get(&query).clone());
            }
            query
        });
        let unknown =
            (query.clone(), odd_texts(), odd_texts()).prop_map(|(mut query, name, value)| {
                query.push((name, value));
                query
            });
        let endless = query.clone().prop_map(|mut query| {
            query.push(("x".to_owned(), "y".repeat(9_000)));
            query
        });
        prop_oneof![30 => query, 2 => twice, 2 => unknown, 1 => endless].boxed()
    }

    fn body(&self, operation: &Operation) -> BoxedStrategy<(Option<&'static str>, Vec<u8>)> {
        let json = Some("application/json");
        let Some(schema) = operation.body_schema() else {
            // None is wanted, and one that comes all the same changes nothing. A long one that nobody
            // reads may cost the connection, and with it the answer: TCP knows no other way.
            let short = raw().prop_filter("short", |body| body.len() < 1_000);
            return prop_oneof![
                8 => Just((None, Vec::new())),
                1 => Just((json, Vec::new())),
                1 => short.prop_map(move |body| (json, body)),
            ]
            .boxed();
        };
        let right = self.right("", schema);
        let wrong = (right.clone(), any::<Index>(), damage())
            .prop_map(|(value, place, damage)| damaged(value, &place, damage));
        let written = |value: &Value| serde_json::to_vec(value).unwrap();
        let other = select(vec![
            None,
            Some("text/plain"),
            Some("application/x-www-form-urlencoded"),
            Some("multipart/form-data; boundary=x"),
            Some("application/json; charset=utf-8"),
            Some("?"),
        ]);
        prop_oneof![
            10 => right.clone().prop_map(move |value| (json, written(&value))),
            6 => wrong.prop_map(move |value| (json, written(&value))),
            2 => raw().prop_map(move |body| (json, body)),
            1 => any_json().prop_map(move |value| (json, written(&value))),
            1 => (right, other).prop_map(move |(value, media)| (media, written(&value))),
            1 => Just((json, Vec::new())),
        ]
        .boxed()
    }
}

fn any_object() -> BoxedStrategy<Value> {
    vec((odd_texts(), any_json()), 0..3)
        .prop_map(|pairs| Value::Object(pairs.into_iter().collect()))
        .boxed()
}

/// What is done to a value that was right.
#[derive(Debug, Clone)]
enum Damage {
    /// Something else stands there.
    Replaced(Value),
    /// It is gone.
    Removed,
    /// Something stands beside it.
    Added(String, Value),
}

fn damage() -> BoxedStrategy<Damage> {
    prop_oneof![
        3 => any_json().prop_map(Damage::Replaced),
        1 => Just(Damage::Removed),
        1 => (odd_texts(), any_json()).prop_map(|(name, value)| Damage::Added(name, value)),
    ]
    .boxed()
}

/// The value with one of its places damaged.
fn damaged(mut value: Value, place: &Index, damage: Damage) -> Value {
    let mut places = Vec::new();
    list_places(&value, "", &mut places);
    let place = place.get(&places).clone();
    match damage {
        Damage::Replaced(other) => *value.pointer_mut(&place).unwrap() = other,
        Damage::Added(name, other) => match value.pointer_mut(&place).unwrap() {
            Value::Object(object) => {
                object.insert(name, other);
            }
            Value::Array(list) => list.push(other),
            it @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
                *it = other;
            }
        },
        Damage::Removed => {
            let Some((parent, name)) = place.rsplit_once('/') else {
                return Value::Null;
            };
            let name = name.replace("~1", "/").replace("~0", "~");
            match value.pointer_mut(parent).unwrap() {
                Value::Object(object) => {
                    object.remove(&name);
                }
                Value::Array(list) => {
                    list.remove(name.parse().unwrap());
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
    }
    value
}

fn list_places(value: &Value, at: &str, places: &mut Vec<String>) {
    places.push(at.to_owned());
    match value {
        Value::Object(object) => {
            for (name, inner) in object {
                let name = name.replace('~', "~0").replace('/', "~1");
                list_places(inner, &format!("{at}/{name}"), places);
            }
        }
        Value::Array(list) => {
            for (place, inner) in list.iter().enumerate() {
                list_places(inner, &format!("{at}/{place}"), places);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Bodies that are no JSON, or hardly.
fn raw() -> BoxedStrategy<Vec<u8>> {
    let texts = [
        "{",
        "[",
        "\"",
        "nul",
        REPEATED,
        "{\"reason\": \"a\"} {",
        "{'reason': 1}",
        "\u{feff}{}",
        "NaN",
        "1e999",
        "{\"reason\": \"\\ud800\"}",
        "{\"base\": 99999999999999999999999999, \"settings\": {}}",
        "<reason>a</reason>",
        "reason=a",
    ];
    let texts = texts.map(|text| text.as_bytes().to_vec());
    prop_oneof![
        6 => select(texts.to_vec()),
        1 => vec(any::<u8>(), 1..60),
        1 => Just("[".repeat(30_000).into_bytes()),
        1 => Just(b"{\"a\":".repeat(10_000)),
        1 => Just(format!("{{\"reason\": \"{}\"}}", "x".repeat(70_000)).into_bytes()),
    ]
    .boxed()
}
