//! The digest an audit compares: SHA-256 of the canonical JSON (RFC 8785) of named fields.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// The digest of `names` of a record's fields, in lower-case hexadecimal. A field the record does
/// not have counts as null, so an empty field and one never sent are the same.
pub(crate) fn digest<'a>(
    names: impl IntoIterator<Item = &'a str>,
    fields: &Map<String, Value>,
) -> String {
    let mut names: Vec<&str> = names.into_iter().collect();
    // RFC 8785 sorts by UTF-16 units; every field name is ASCII, where that is the order of bytes.
    names.sort_unstable();
    names.dedup();
    let mut canonical = String::from("{");
    for (position, name) in names.into_iter().enumerate() {
        if position > 0 {
            canonical.push(',');
        }
        canonical.push_str(&Value::from(name).to_string());
        canonical.push(':');
        // Values are null, booleans, integers within 2^53 and strings: serde_json writes each of
        // these as RFC 8785 asks (shortest escapes, lower-case \u00xx, no escaped slash).
        canonical.push_str(&fields.get(name).unwrap_or(&Value::Null).to_string());
    }
    canonical.push('}');
    hex(&Sha256::digest(canonical.as_bytes()))
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a String cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_sorted_and_missing_fields_are_null() {
        let fields = json!({"name": "A\"é\u{1}", "amount": "12.5", "is_won": false});
        let expected = hex(&Sha256::digest(
            "{\"amount\":\"12.5\",\"is_won\":false,\"name\":\"A\\\"é\\u0001\",\"next_step\":null}"
                .as_bytes(),
        ));
        let got = digest(
            ["name", "next_step", "is_won", "amount", "name"],
            fields.as_object().unwrap(),
        );
        assert_eq!(got, expected);
        assert_eq!(got.len(), 64);
    }
}
