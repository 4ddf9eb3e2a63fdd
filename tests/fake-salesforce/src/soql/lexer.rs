//! SOQL text to tokens.
use crate::error::ApiError;

/// A token and the column, from 1, where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) column: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// A keyword or a name.
    Word(String),
    /// A quoted text. Outside LIKE its escapes are resolved by the reader of `raw`.
    Text(String),
    /// A number, date or datetime.
    Literal(String),
    /// Punctuation and operators.
    Sign(&'static str),
}

const SIGNS: [&str; 12] = [
    "<>", "!=", "<=", ">=", "<", ">", "=", "(", ")", ",", ".", ":",
];

/// The tokens of a query. Quoted texts keep their backslashes: LIKE reads them otherwise than `=`.
pub(crate) fn tokens(soql: &str) -> Result<Vec<Token>, ApiError> {
    let mut found = Vec::new();
    let mut rest = soql;
    while let Some(first) = rest.chars().next() {
        let column = soql.len() - rest.len() + 1;
        if first.is_whitespace() {
            rest = rest.trim_start();
            continue;
        }
        let (kind, length) = next(rest, first, column)?;
        found.push(Token { kind, column });
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(found)
}

fn next(rest: &str, first: char, column: usize) -> Result<(Kind, usize), ApiError> {
    if first == '\'' {
        return quoted(rest, column);
    }
    if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
        return Ok((Kind::Sign(sign), sign.len()));
    }
    let length_of = |belongs: fn(char) -> bool| rest.find(|c| !belongs(c)).unwrap_or(rest.len());
    let second_is_digit = rest
        .chars()
        .nth(1)
        .is_some_and(|c| c.is_ascii_digit() || c == '.');
    if first.is_ascii_digit() || (matches!(first, '-' | '+') && second_is_digit) {
        let length = length_of(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.' | ':'));
        let text = rest.get(..length).unwrap_or_default();
        return Ok((Kind::Literal(text.to_owned()), length));
    }
    if first.is_alphabetic() || first == '_' {
        let length = length_of(|c| c.is_alphanumeric() || c == '_');
        let text = rest.get(..length).unwrap_or_default();
        return Ok((Kind::Word(text.to_owned()), length));
    }
    Err(malformed(format!(
        "line 1:{column} no viable alternative at character '{first}'"
    )))
}

fn quoted(rest: &str, column: usize) -> Result<(Kind, usize), ApiError> {
    let mut escaped = false;
    for (place, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '\'' => {
                let text = rest.get(1..place).unwrap_or_default();
                if text.chars().count() > 4000 {
                    return Err(malformed(
                        "maximum SOQL string literal length of 4000 exceeded",
                    ));
                }
                return Ok((Kind::Text(text.to_owned()), place + 1));
            }
            _ => {}
        }
    }
    Err(malformed(format!(
        "line 1:{column} mismatched character '<EOF>' expecting '''"
    )))
}

/// A quoted text with its escapes resolved. With `like`, `\_` and `\%` stay as they are.
pub(crate) fn unescape(raw: &str, like: bool) -> Result<String, ApiError> {
    let mut text = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some('n' | 'N') => text.push('\n'),
            Some('r' | 'R') => text.push('\r'),
            Some('t' | 'T') => text.push('\t'),
            Some('b' | 'B') => text.push('\u{8}'),
            Some('f' | 'F') => text.push('\u{c}'),
            Some('\'') => text.push('\''),
            Some('"') => text.push('"'),
            Some('\\') if like => text.push_str("\\\\"),
            Some('\\') => text.push('\\'),
            Some(sign @ ('_' | '%')) if like => {
                text.push('\\');
                text.push(sign);
            }
            other => {
                let other = other.map(String::from).unwrap_or_default();
                return Err(ApiError::new(
                    "MALFORMED_QUERY",
                    format!("Illegal character sequence '\\{other}' in string literal"),
                ));
            }
        }
    }
    Ok(text)
}

pub(crate) fn malformed(message: impl Into<String>) -> ApiError {
    ApiError::new("MALFORMED_QUERY", message)
}
