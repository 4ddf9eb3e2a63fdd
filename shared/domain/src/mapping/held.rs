//! Whether what mOS holds is what would be written.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::filter::Decimal;

/// The mOS fields in which what mOS `holds` differs from what would be `sent`, by name. Both are in the
/// ingest contract's terms: an empty field is null or absent, decimals are numbers or texts. A field
/// that would not be sent is left alone in mOS and never differs. `None` when `sent` is no JSON
/// object.
#[must_use]
pub fn differing(sent: &RawValue, holds: &Map<String, Value>) -> Option<Vec<String>> {
    let sent: std::collections::BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(sent.get()).ok()?;
    let differs = sent
        .into_iter()
        .filter(|(field, sent)| !agree(sent, holds.get(field)));
    Some(differs.map(|(field, _)| field).collect())
}

fn agree(sent: &RawValue, held: Option<&Value>) -> bool {
    let Ok(value) = serde_json::from_str::<Value>(sent.get()) else {
        return false;
    };
    match (&value, held.unwrap_or(&Value::Null)) {
        // The spelling decides, not a floating-point number made of it.
        (Value::Number(_), Value::String(held)) => number(sent.get()) == number(held),
        (Value::Number(_), Value::Number(held)) => number(sent.get()) == number(&held.to_string()),
        (sent, held) => sent == held,
    }
}

/// What is no number equals only itself.
fn number(text: &str) -> Result<Decimal, &str> {
    Decimal::parse(text).ok_or(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn differ(sent: &str, held: &Value) -> Vec<String> {
        let sent = RawValue::from_string(sent.to_owned()).unwrap();
        differing(&sent, held.as_object().unwrap()).unwrap()
    }

    #[test]
    fn spelling_does_not_count_and_values_do() {
        let sent = r#"{"amount":1.50E3,"employees":3.0,"name":"A","stage":null,"is_won":false}"#;
        let held = json!({"amount": "1500", "employees": 3, "name": "A", "is_won": false});
        assert_eq!(differ(sent, &held), [""; 0]);
        let held = json!({"amount": "1500.01", "employees": 4, "name": "a", "stage": "x"});
        assert_eq!(
            differ(sent, &held),
            ["amount", "employees", "is_won", "name", "stage"]
        );
    }

    #[test]
    fn what_is_not_sent_is_left_alone() {
        assert_eq!(differ("{}", &json!({"next_step": "Call"})), [""; 0]);
    }

    #[test]
    fn large_amounts_are_told_apart() {
        let sent = r#"{"amount":123456789012345678.1}"#;
        assert_eq!(
            differ(sent, &json!({"amount": "123456789012345678.1"})),
            [""; 0]
        );
        assert_eq!(
            differ(sent, &json!({"amount": "123456789012345678"})),
            ["amount"]
        );
    }
}
