//! Texts and selections in SOQL.

use super::super::compile::items;
use super::super::kinds::Operator;
use super::piece::{Piece, listed};
use super::tree::Tree;
use crate::soql;

const COLLATION: &str = "SOQL orders texts by the locale of the running user";
const LETTERS: &str =
    "a value holds characters that SOQL may fold or cut otherwise, or a backslash";
const TOO_LONG: &str = "a value is longer than a SOQL literal may be";
const SETS: &str = "SOQL may compare several selected items in the order in which they are stored";

pub(super) fn texts_to_soql<'t>(
    field: &str,
    operator: Operator,
    texts: impl Iterator<Item = &'t String>,
) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut literals = Vec::new();
    for text in texts {
        match operator {
            Operator::Equals if is_plain(text) => {
                let literal = soql::quote(text);
                if soql::literal_fits(&literal) {
                    literals.push(literal);
                } else {
                    pieces.push(Piece::unknown(field, TOO_LONG));
                }
            }
            Operator::Equals => pieces.push(like(field, "", text, "")),
            Operator::StartsWith => pieces.push(like(field, "", text, "%")),
            Operator::Contains => pieces.push(like(field, "%", text, "%")),
            Operator::LessThan
            | Operator::GreaterThan
            | Operator::LessOrEqual
            | Operator::GreaterOrEqual => pieces.push(Piece::unknown(field, COLLATION)),
            Operator::NotEqual | Operator::NotContain | Operator::Includes | Operator::Excludes => {
            }
        }
    }
    pieces.extend(listed(field, &literals));
    pieces
}

fn like(field: &str, before: &str, text: &str, after: &str) -> Piece {
    let pattern = pattern(text);
    let plain = is_plain(text) && !text.contains('\\');
    let literal = format!("'{before}{pattern}{after}'");
    if !soql::literal_fits(&literal) {
        return Piece::unknown(field, TOO_LONG);
    }
    if !literal.contains(|c: char| !matches!(c, '%' | '\'')) {
        return Piece::unknown(field, LETTERS);
    }
    let holds = format!("{field} LIKE {literal}");
    if plain {
        let fails = format!("(NOT {holds})");
        Piece::exact(holds, fails)
    } else {
        Piece::weak(Tree::Leaf(holds), LETTERS)
    }
}

/// A text in a LIKE pattern, quotes and wildcards escaped; `%` for what may be folded or cut, `_`
/// for a backslash.
fn pattern(text: &str) -> String {
    let mut pattern = String::new();
    if text.trim_start() != text {
        pattern.push('%');
    }
    for character in text.trim().chars() {
        match character {
            '%' => pattern.push_str("\\%"),
            '_' => pattern.push_str("\\_"),
            '\\' => pattern.push('_'),
            plain if has_plain_case(plain) => soql::push_escaped(&mut pattern, plain),
            _ => pattern.push('%'),
        }
    }
    if text.trim_end() != text {
        pattern.push('%');
    }
    pattern
}

/// Whether it is certain which texts equal this one in SOQL.
fn is_plain(text: &str) -> bool {
    text.trim() == text && text.chars().all(has_plain_case)
}

/// Whether the character is no letter, or one of a pair of cases of a single character each, and
/// nothing that a query cannot carry.
fn has_plain_case(character: char) -> bool {
    if character.is_control() {
        return matches!(character, '\n' | '\r' | '\t' | '\u{8}' | '\u{c}');
    }
    // The small sigma is spelled otherwise at a word's end.
    if matches!(character, '\u{3a3}' | '\u{3c3}' | '\u{3c2}') {
        return false;
    }
    let (Some(lower), Some(upper)) = (
        single(character.to_lowercase()),
        single(character.to_uppercase()),
    ) else {
        return false;
    };
    single(lower.to_uppercase()) == Some(upper) && single(upper.to_lowercase()) == Some(lower)
}

fn single(mut characters: impl Iterator<Item = char>) -> Option<char> {
    let first = characters.next()?;
    characters.next().is_none().then_some(first)
}

/// A value of a condition on a multi-select picklist, such as `a;b`.
pub(super) fn selection(field: &str, operator: Operator, text: &str) -> Piece {
    let wanted: Vec<&str> = text
        .split(';')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .collect();
    let literal = soql::quote(&wanted.join(";"));
    if !soql::literal_fits(&literal) {
        return Piece::unknown(field, TOO_LONG);
    }
    if !wanted.iter().all(|item| is_plain(item)) {
        return Piece::unknown(field, LETTERS);
    }
    if operator == Operator::Includes {
        return Piece::exact(
            format!("{field} INCLUDES ({literal})"),
            format!("{field} EXCLUDES ({literal})"),
        );
    }
    if items(text).len() == 1 {
        let literal = soql::quote(wanted.first().copied().unwrap_or_default());
        return Piece::exact(
            format!("{field} = {literal}"),
            format!("{field} != {literal}"),
        );
    }
    Piece::weak(Tree::Leaf(format!("{field} INCLUDES ({literal})")), SETS)
}
