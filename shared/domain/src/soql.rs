//! SOQL text: literals and id lists, within Salesforce's limits.

/// The longest text literal that a condition may hold, in characters (SOQL limits).
pub const MAX_LITERAL: usize = 4_000;
/// The longest query, in characters (SOQL limits).
pub const MAX_QUERY: usize = 100_000;
/// How many ids go into one condition. A query travels in a URL, where Salesforce takes 16,384 bytes
/// with all headers and a quoted id with its comma is 27 bytes once encoded; this leaves 5,000 bytes
/// for the rest of the query.
pub const IDS_PER_CONDITION: usize = 400;

/// How many bytes of a URL a query may fill, so that host, path and headers find room beside it.
pub const MAX_IN_URL: usize = 13_500;

/// A text as a SOQL literal with its quotes. Longer ones than [`MAX_LITERAL`] are refused by
/// Salesforce; where a person writes the text, check that before.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('\'');
    for character in text.chars() {
        push_escaped(&mut literal, character);
    }
    literal.push('\'');
    literal
}

/// Adds a character to the inside of a literal, escaped where it would end or change it.
pub(crate) fn push_escaped(literal: &mut String, character: char) {
    match character {
        '\\' => literal.push_str("\\\\"),
        '\'' => literal.push_str("\\'"),
        '\n' => literal.push_str("\\n"),
        '\r' => literal.push_str("\\r"),
        '\t' => literal.push_str("\\t"),
        '\u{8}' => literal.push_str("\\b"),
        '\u{c}' => literal.push_str("\\f"),
        other => literal.push(other),
    }
}

/// Whether Salesforce takes a literal of this length, escapes and quotes counted.
#[must_use]
pub fn literal_fits(literal: &str) -> bool {
    literal.chars().count() <= MAX_LITERAL
}

/// How many bytes a text fills in a URL: letters, digits and four signs one each, the rest three.
#[must_use]
pub fn length_in_url(text: &str) -> usize {
    text.bytes()
        .map(|byte| {
            let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'*');
            if plain { 1 } else { 3 }
        })
        .sum()
}

/// A bracketed list of texts, for `IN` and `NOT IN`.
#[must_use]
pub fn in_list<'text>(texts: impl IntoIterator<Item = &'text str>) -> String {
    let quoted: Vec<String> = texts.into_iter().map(quote).collect();
    format!("({})", quoted.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What Salesforce makes of a literal.
    fn unquote(literal: &str) -> Option<String> {
        let mut inner = literal.strip_prefix('\'')?.strip_suffix('\'')?.chars();
        let mut text = String::new();
        while let Some(character) = inner.next() {
            text.push(match character {
                '\'' => return None,
                '\\' => match inner.next()? {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    same @ ('\\' | '\'') => same,
                    _ => return None,
                },
                other => other,
            });
        }
        Some(text)
    }

    #[test]
    fn quotes_and_backslashes_do_not_end_a_literal() {
        assert_eq!(quote("O'Neill \\ Söhne"), r"'O\'Neill \\ Söhne'");
        assert_eq!(quote("' OR Name != '"), r"'\' OR Name != \''");
        assert_eq!(in_list(["a", "b'"]), r"('a','b\'')");
    }

    proptest! {
        #[test]
        fn a_literal_always_says_the_text_and_nothing_else(text in any::<String>()) {
            let literal = quote(&text);
            prop_assert_eq!(unquote(&literal), Some(text));
        }
    }
}
