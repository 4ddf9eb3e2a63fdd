//! The filter as a SOQL condition.
//!
//! The condition lets through every row that the filter matches, and where SOQL can say it, no
//! other. What SOQL cannot say, or what is not known for certain of an org, becomes a weaker
//! condition; a weaker one under a NOT would lose rows, so every NOT is carried down to the
//! conditions first, and what is left is made of AND and OR alone.
//!
//! What the condition does not depend on:
//! * Whether `!=`, `NOT IN`, `EXCLUDES` and `NOT (... LIKE ...)` keep blank fields, of which the
//!   reports differ: blank is always asked for, or shut out, in words of its own.
//! * The zone of the running user: a date on a date/time field is written as two moments in UTC.
//! * How letters are folded whose cases are no simple pair, how a backslash is read in a LIKE
//!   pattern, whether blanks at a value's ends count, and in which order a multi-select value is
//!   stored: such values are asked for by a pattern that fits in any case.
//!
//! What it relies on: the integration user's locale does not fold the letter i the Turkish way, and
//! a filtered text field is not one of the unique fields that Salesforce compares case-sensitively.

use std::collections::BTreeSet;

use jiff::civil;

use super::compile::{Operands, items};
use super::date::{DateValue, start_of};
use super::decimal::Decimal;
use super::kinds::{FieldType, Operator};
use super::logic::Logic;
use super::matching::{CompiledCondition, CompiledFilter};
use crate::soql;
use crate::time::Timestamp;

/// What a filter says in SOQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushdown {
    /// A WHERE condition that can be joined to others by AND as it stands; `None`: nothing to ask
    /// for, every row is let through. It is satisfied by every row that the filter matches.
    pub condition: Option<String>,
    /// Whether it is satisfied by no other row, so that rows need not be judged again and can be
    /// counted.
    pub exact: bool,
    /// For people, why it is not exact: each condition and what SOQL cannot say of it. Values are
    /// never repeated, they may be personal. Empty when exact.
    pub why_not: Vec<String>,
}

/// The longest condition, in bytes of a URL; longer ones are asked for in part. It leaves room for
/// the fields and for ids in a URL ([`soql::MAX_IN_URL`]).
const MAX_CONDITION: usize = 6_000;

const COLLATION: &str = "SOQL orders texts by the locale of the running user";
const LETTERS: &str =
    "a value holds characters that SOQL may fold or cut otherwise, or a backslash";
const TOO_LONG: &str = "a value is longer than a SOQL literal may be";
const DIGITS: &str =
    "a value has more digits, or is larger, than Salesforce is known to compare exactly";
const RANGE: &str = "a value lies outside what SOQL takes, or is finer";
const SETS: &str = "SOQL may compare several selected items in the order in which they are stored";
const ID_PREFIX: &str = "SOQL cannot compare the beginning of an id";
const WHOLE: &str = "with it, the condition would be too long for a query";

impl CompiledFilter {
    /// The condition that the rows matched by this filter satisfy, each field prefixed by `path`:
    /// `""` for queries of Opportunity, `"Opportunity."` for those of its children.
    #[must_use]
    pub fn to_soql(&self, path: &str) -> Pushdown {
        let mut left_out = BTreeSet::new();
        loop {
            let terms = Terms {
                filter: self,
                path,
                left_out: &left_out,
            };
            let tree = terms.tree(&self.logic, true);
            let text = tree.text(path);
            let length = text.as_deref().map_or(0, soql::length_in_url);
            if length > MAX_CONDITION
                && let Some(longest) = terms.longest()
            {
                left_out.insert(longest);
                continue;
            }
            let why_not = terms.why_not();
            return Pushdown {
                condition: text,
                exact: why_not.is_empty(),
                why_not,
            };
        }
    }
}

/// The filter's conditions on the way to SOQL.
struct Terms<'a> {
    filter: &'a CompiledFilter,
    path: &'a str,
    /// Conditions that are not asked for because all together would be too long.
    left_out: &'a BTreeSet<usize>,
}

impl Terms<'_> {
    /// What satisfies the logic, or with `wanted` false what does not.
    fn tree(&self, logic: &Logic, wanted: bool) -> Tree {
        let parts = |parts: &[Logic]| parts.iter().map(|part| self.tree(part, wanted)).collect();
        match (logic, wanted) {
            (Logic::Condition(index), _) => self.term(*index, wanted).tree,
            (Logic::Not(inner), _) => self.tree(inner, !wanted),
            (Logic::All(inner), true) | (Logic::Any(inner), false) => Tree::all(parts(inner)),
            (Logic::Any(inner), true) | (Logic::All(inner), false) => Tree::any(parts(inner)),
        }
    }

    fn term(&self, index: usize, wanted: bool) -> Term {
        let whole = Term {
            tree: Tree::True,
            why_not: Some(WHOLE),
        };
        match self.filter.conditions.get(index) {
            Some(condition) if !self.left_out.contains(&index) => {
                let field = format!("{}{}", self.path, condition.field);
                condition.to_soql(&field, wanted)
            }
            _ => whole,
        }
    }

    /// The condition that takes most room.
    fn longest(&self) -> Option<usize> {
        let room = |index: &usize| {
            self.term(*index, true)
                .tree
                .text(self.path)
                .map(|t| t.len())
        };
        (0..self.filter.conditions.len())
            .filter(|index| !self.left_out.contains(index))
            .max_by_key(room)
    }

    fn why_not(&self) -> Vec<String> {
        let reason = |index: usize| {
            // A condition is exact in both senses or in neither.
            let reason = self.term(index, true).why_not?;
            let condition = self.filter.conditions.get(index)?;
            Some(format!(
                "condition {} (`{}` {}): {reason}",
                index + 1,
                condition.field,
                condition.operator
            ))
        };
        (0..self.filter.conditions.len())
            .filter_map(reason)
            .collect()
    }
}

/// A condition in SOQL.
struct Term {
    tree: Tree,
    /// Why it lets through more than it should.
    why_not: Option<&'static str>,
}

/// A condition of SOQL without NOT above its leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Tree {
    True,
    False,
    Leaf(String),
    All(Vec<Tree>),
    Any(Vec<Tree>),
}

impl Tree {
    fn all(parts: Vec<Self>) -> Self {
        let mut kept = Vec::new();
        for part in parts {
            match part {
                Self::True => {}
                Self::False => return Self::False,
                Self::All(inner) => kept.extend(inner),
                part @ (Self::Leaf(_) | Self::Any(_)) => kept.push(part),
            }
        }
        Self::one_or(kept, Self::All, Self::True)
    }

    fn any(parts: Vec<Self>) -> Self {
        let mut kept = Vec::new();
        for part in parts {
            match part {
                Self::False => {}
                Self::True => return Self::True,
                Self::Any(inner) => kept.extend(inner),
                part @ (Self::Leaf(_) | Self::All(_)) => kept.push(part),
            }
        }
        Self::one_or(kept, Self::Any, Self::False)
    }

    fn one_or(mut kept: Vec<Self>, many: fn(Vec<Self>) -> Self, none: Self) -> Self {
        match (kept.pop(), kept.is_empty()) {
            (None, _) => none,
            (Some(only), true) => only,
            (Some(last), false) => {
                kept.push(last);
                many(kept)
            }
        }
    }

    /// As it can stand beside an AND; `None` for what always holds.
    fn text(&self, path: &str) -> Option<String> {
        match self {
            Self::True => None,
            // No record is without an id.
            Self::False => Some(format!("{path}Id = null")),
            Self::Leaf(text) => Some(text.clone()),
            Self::All(parts) => Some(joined(parts, path, " AND ")),
            Self::Any(parts) => Some(format!("({})", joined(parts, path, " OR "))),
        }
    }
}

fn joined(parts: &[Tree], path: &str, word: &str) -> String {
    let part = |part: &Tree| match (part, part.text(path)) {
        (Tree::All(_), Some(text)) => Some(format!("({text})")),
        (_, text) => text,
    };
    parts.iter().filter_map(part).collect::<Vec<_>>().join(word)
}

/// What SOQL can say of one value, for fields that are not blank.
struct Piece {
    /// Satisfied wherever the operator holds.
    holds: Tree,
    /// Satisfied wherever it does not.
    fails: Tree,
    why_not: Option<&'static str>,
}

impl Piece {
    fn exact(holds: String, fails: String) -> Self {
        Self {
            holds: Tree::Leaf(holds),
            fails: Tree::Leaf(fails),
            why_not: None,
        }
    }

    /// Where only something weaker can be asked for.
    fn weak(holds: Tree, why_not: &'static str) -> Self {
        Self {
            holds,
            fails: Tree::True,
            why_not: Some(why_not),
        }
    }

    /// Nothing can be asked for but that the field is not blank.
    fn unknown(field: &str, why_not: &'static str) -> Self {
        Self::weak(Tree::Leaf(format!("{field} != null")), why_not)
    }
}

impl CompiledCondition {
    /// Fields that satisfy this condition, or with `wanted` false those that do not. `field` is its
    /// name in the query.
    fn to_soql(&self, field: &str, wanted: bool) -> Term {
        let (operator, wanted) = match self.operator.negated() {
            Some(positive) => (positive, !wanted),
            None => (self.operator, wanted),
        };
        if let Operands::Flag(values) = &self.operands {
            return flags(field, values, wanted);
        }
        let (pieces, blank) = self.pieces(field, operator);
        let why_not = pieces.iter().find_map(|piece| piece.why_not);
        let is_blank = |sign: &str| Tree::Leaf(format!("{field} {sign} null"));
        let tree = match (wanted, blank) {
            (true, blank) => {
                let holds = pieces.into_iter().map(|piece| piece.holds);
                let blank = blank.then(|| is_blank("="));
                Tree::any(holds.chain(blank).collect())
            }
            (false, true) => {
                let fails = pieces.into_iter().map(|piece| piece.fails);
                Tree::all(fails.chain([is_blank("!=")]).collect())
            }
            (false, false) => {
                let fails = Tree::all(pieces.into_iter().map(|piece| piece.fails).collect());
                Tree::any(vec![fails, is_blank("=")])
            }
        };
        Term { tree, why_not }
    }

    /// A positive operator with each value that is not blank, and whether one is blank.
    fn pieces(&self, field: &str, operator: Operator) -> (Vec<Piece>, bool) {
        match &self.operands {
            Operands::Text(values) => {
                let texts = self.texts.iter().filter(|text| !text.is_empty());
                let pieces = texts_to_soql(field, operator, texts);
                (pieces, values.iter().any(Option::is_none))
            }
            Operands::Items(values) => {
                let texts = self.texts.iter().filter(|text| !items(text).is_empty());
                let pieces = texts.map(|text| selection(field, operator, text)).collect();
                (pieces, values.iter().any(Option::is_none))
            }
            Operands::Number(values) => {
                let whole = self.field_type == FieldType::Number && !field.ends_with("__c");
                each(values, |value| number(field, operator, value, whole))
            }
            Operands::Date(values) => each(values, |value| date(field, operator, value)),
            Operands::DateTime(values) => each(values, |value| moment(field, operator, value)),
            Operands::Time(values) => each(values, |value| time(field, operator, *value)),
            Operands::Id(values) => {
                let ids: Vec<String> = values
                    .iter()
                    .flatten()
                    .map(|id| soql::quote(id.as_str()))
                    .collect();
                let listed = listed(field, &ids);
                (listed.into_iter().collect(), values.contains(&None))
            }
            Operands::IdPrefix(prefixes) => {
                let unknown = |_prefix| Piece::unknown(field, ID_PREFIX);
                (prefixes.iter().map(unknown).collect(), false)
            }
            // A checkbox is never blank and has been answered for.
            Operands::Flag(_) => (Vec::new(), false),
        }
    }
}

fn each<T>(values: &[Option<T>], piece: impl Fn(&T) -> Piece) -> (Vec<Piece>, bool) {
    let pieces = values.iter().flatten().map(piece).collect();
    (pieces, values.iter().any(Option::is_none))
}

/// A checkbox that is one of the values, or none of them. That of a missing parent is not ticked.
fn flags(field: &str, values: &[bool], wanted: bool) -> Term {
    let meets = |flag: bool| values.contains(&flag) == wanted;
    let mut parts = Vec::new();
    if meets(true) {
        parts.push(Tree::Leaf(format!("{field} = true")));
    }
    if meets(false) {
        parts.push(Tree::Leaf(format!("{field} = false")));
    }
    let tree = if parts.len() == 2 {
        Tree::True
    } else {
        Tree::any(parts)
    };
    Term {
        tree,
        why_not: None,
    }
}

/// A field among literals; none for no literals.
fn listed(field: &str, literals: &[String]) -> Option<Piece> {
    Some(match literals {
        [] => return None,
        [one] => Piece::exact(format!("{field} = {one}"), format!("{field} != {one}")),
        many => {
            let list = many.join(",");
            Piece::exact(
                format!("{field} IN ({list})"),
                format!("{field} NOT IN ({list})"),
            )
        }
    })
}

fn texts_to_soql<'t>(
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
fn selection(field: &str, operator: Operator, text: &str) -> Piece {
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

/// A field compared with a value that SOQL can say, or with one between two that it can.
fn bracketed(
    field: &str,
    operator: Operator,
    (low, high): (&str, &str),
    why_not: &'static str,
) -> Piece {
    let one = |sign: &str, value: &str| format!("{field} {sign} {value}");
    if low == high {
        let (holds, fails) = match operator {
            Operator::LessThan => ("<", ">="),
            Operator::LessOrEqual => ("<=", ">"),
            Operator::GreaterThan => (">", "<="),
            Operator::GreaterOrEqual => (">=", "<"),
            Operator::Equals
            | Operator::NotEqual
            | Operator::StartsWith
            | Operator::Contains
            | Operator::NotContain
            | Operator::Includes
            | Operator::Excludes => ("=", "!="),
        };
        return Piece::exact(one(holds, low), one(fails, low));
    }
    let (below, above) = (Tree::Leaf(one("<", high)), Tree::Leaf(one(">", low)));
    let why_not = Some(why_not);
    match operator {
        Operator::LessThan | Operator::LessOrEqual => Piece {
            holds: below,
            fails: above,
            why_not,
        },
        Operator::GreaterThan | Operator::GreaterOrEqual => Piece {
            holds: above,
            fails: below,
            why_not,
        },
        Operator::Equals
        | Operator::NotEqual
        | Operator::StartsWith
        | Operator::Contains
        | Operator::NotContain
        | Operator::Includes
        | Operator::Excludes => Piece {
            holds: Tree::all(vec![above, below]),
            fails: Tree::True,
            why_not,
        },
    }
}

/// A field compared with a stretch of time that begins at `start` and ends before `end`.
fn stretch(field: &str, operator: Operator, start: &str, end: &str) -> Piece {
    let [before, begun, not_over, over] = [("<", start), (">=", start), ("<", end), (">=", end)]
        .map(|(sign, moment)| Tree::Leaf(format!("{field} {sign} {moment}")));
    let (holds, fails) = match operator {
        Operator::LessThan => (before, begun),
        Operator::GreaterOrEqual => (begun, before),
        Operator::LessOrEqual => (not_over, over),
        Operator::GreaterThan => (over, not_over),
        Operator::Equals
        | Operator::NotEqual
        | Operator::StartsWith
        | Operator::Contains
        | Operator::NotContain
        | Operator::Includes
        | Operator::Excludes => (
            Tree::all(vec![begun, not_over]),
            Tree::any(vec![before, over]),
        ),
    };
    Piece {
        holds,
        fails,
        why_not: None,
    }
}

/// `whole`: the field may be one of whole numbers of 32 bits, which SOQL compares with such alone.
fn number(field: &str, operator: Operator, value: &Decimal, whole: bool) -> Piece {
    let bracket = value.bracket(if whole { 0 } else { 15 });
    let fits = |text: &str| !whole || text.parse::<i32>().is_ok();
    match bracket {
        Some((low, high)) if fits(&low) && fits(&high) => {
            bracketed(field, operator, (&low, &high), DIGITS)
        }
        _ => Piece::unknown(field, DIGITS),
    }
}

fn date(field: &str, operator: Operator, value: &DateValue) -> Piece {
    match value {
        DateValue::Day(day) if is_in_range(day.year()) => {
            let day = day.to_string();
            bracketed(field, operator, (&day, &day), RANGE)
        }
        DateValue::Day(_) | DateValue::Instant(_) => Piece::unknown(field, RANGE),
    }
}

fn moment(field: &str, operator: Operator, value: &DateValue) -> Piece {
    let second = 1_000_000;
    let (start, end) = match value {
        DateValue::Day(day) => (start_of(*day), day.tomorrow().map_or(i64::MAX, start_of)),
        DateValue::Instant(at) => {
            let start = at.as_micros().div_euclid(second).saturating_mul(second);
            let parts = i64::from(start != at.as_micros());
            (start, start.saturating_add(parts * second))
        }
    };
    let [start, end] = [start, end].map(|micros| Timestamp::from_micros(micros).to_soql());
    let year = |text: &str| text.get(..4)?.parse::<i16>().ok();
    if ![&start, &end]
        .iter()
        .all(|text| year(text).is_some_and(is_in_range))
    {
        return Piece::unknown(field, RANGE);
    }
    match value {
        DateValue::Day(_) => stretch(field, operator, &start, &end),
        DateValue::Instant(_) => bracketed(field, operator, (&start, &end), RANGE),
    }
}

/// The years that SOQL takes.
fn is_in_range(year: i16) -> bool {
    (1700..=4000).contains(&year)
}

fn time(field: &str, operator: Operator, value: civil::Time) -> Piece {
    if value.subsec_nanosecond() % 1_000_000 != 0 {
        return Piece::unknown(field, RANGE);
    }
    let literal = value.strftime("%H:%M:%S%.3fZ").to_string();
    bracketed(field, operator, (&literal, &literal), RANGE)
}

#[cfg(test)]
mod tests {
    use super::super::{Condition, FieldTypes, Filter};
    use super::*;

    fn pushed(
        conditions: &[(&str, Operator, &[&str])],
        logic: Option<&str>,
        path: &str,
    ) -> Pushdown {
        let types: FieldTypes = [
            ("Name", FieldType::Text),
            ("StageName", FieldType::Picklist),
            ("Regions__c", FieldType::MultiPicklist),
            ("IsPrivate", FieldType::Boolean),
            ("PushCount", FieldType::Number),
            ("Score__c", FieldType::Number),
            ("Amount", FieldType::Currency),
            ("CloseDate", FieldType::Date),
            ("CreatedDate", FieldType::DateTime),
            ("Call__c", FieldType::Time),
            ("OwnerId", FieldType::Reference),
        ]
        .into_iter()
        .map(|(field, field_type)| (field.to_owned(), field_type))
        .collect();
        let conditions = conditions
            .iter()
            .map(|(field, operator, values)| Condition {
                field: (*field).to_owned(),
                operator: *operator,
                values: values.iter().map(|value| (*value).to_owned()).collect(),
            })
            .collect();
        let logic = logic.map(str::to_owned);
        let filter = Filter { conditions, logic };
        filter.compile(&types).unwrap().to_soql(path)
    }

    fn says(condition: (&str, Operator, &[&str]), exact: bool, soql: &str) {
        let found = pushed(&[condition], None, "");
        assert_eq!(found.condition.as_deref(), Some(soql), "{condition:?}");
        assert_eq!(found.exact, exact, "{condition:?}");
        assert_eq!(found.why_not.len(), usize::from(!exact), "{condition:?}");
    }

    #[test]
    fn texts_are_quoted_and_wildcards_escaped() {
        use Operator::*;
        says(
            ("Name", Equals, &["O'Neill \\"]),
            true,
            r"Name = 'O\'Neill \\'",
        );
        says(
            ("Name", Equals, &["a", "b", ""]),
            true,
            "(Name IN ('a','b') OR Name = null)",
        );
        says(
            ("Name", NotEqual, &["a"]),
            true,
            "(Name != 'a' OR Name = null)",
        );
        says(
            ("Name", NotEqual, &["a", "b", ""]),
            true,
            "Name NOT IN ('a','b') AND Name != null",
        );
        says(("Name", Equals, &[]), true, "Name = null");
        says(("Name", NotEqual, &[]), true, "Name != null");
        says(
            ("Name", StartsWith, &["100%_"]),
            true,
            r"Name LIKE '100\%\_%'",
        );
        says(
            ("StageName", Contains, &["it's", "é"]),
            true,
            r"(StageName LIKE '%it\'s%' OR StageName LIKE '%é%')",
        );
        says(
            ("Name", NotContain, &["a", "b"]),
            true,
            "(((NOT Name LIKE '%a%') AND (NOT Name LIKE '%b%')) OR Name = null)",
        );
    }

    #[test]
    fn what_may_be_compared_otherwise_is_asked_for_by_more() {
        use Operator::*;
        says(("Name", Equals, &["Straße"]), false, "Name LIKE 'Stra%e'");
        says(("Name", Equals, &["Acme "]), false, "Name LIKE 'Acme%'");
        says(("Name", StartsWith, &["a\\b"]), false, "Name LIKE 'a_b%'");
        says(("Name", LessThan, &["m"]), false, "Name != null");
        let long = "x".repeat(4_000);
        says(("Name", Equals, &[&long]), false, "Name != null");
        says(("Name", Contains, &[&long]), false, "Name != null");
        let none = pushed(&[("Name", NotEqual, &["Straße"])], None, "");
        assert_eq!((none.condition, none.exact), (None, false));
        assert_eq!(
            pushed(&[("Name", LessThan, &["secret"])], None, "").why_not,
            ["condition 1 (`Name` less_than): SOQL orders texts by the locale of the running user"]
        );
    }

    #[test]
    fn numbers_have_no_exponent_and_no_more_digits_than_are_certain() {
        use Operator::*;
        says(("Amount", GreaterThan, &["1.5E3"]), true, "Amount > 1500");
        says(("Amount", LessOrEqual, &["-.50"]), true, "Amount <= -0.5");
        says(
            ("Amount", NotEqual, &["75"]),
            true,
            "(Amount != 75 OR Amount = null)",
        );
        says(
            ("Amount", Equals, &["9007199254740993"]),
            false,
            "Amount > 9007199254740990 AND Amount < 9007199254741000",
        );
        says(("Amount", LessThan, &["1e30"]), false, "Amount != null");
        says(("Score__c", Equals, &["1.5"]), true, "Score__c = 1.5");
        says(("PushCount", GreaterThan, &["1.5"]), false, "PushCount > 1");
        says(
            ("PushCount", Equals, &["3000000000"]),
            false,
            "PushCount != null",
        );
    }

    #[test]
    fn days_on_moments_are_stretches_of_utc() {
        use Operator::*;
        says(
            ("CloseDate", LessThan, &["2026-01-31"]),
            true,
            "CloseDate < 2026-01-31",
        );
        says(
            ("CloseDate", Equals, &["1600-01-01"]),
            false,
            "CloseDate != null",
        );
        says(
            ("CreatedDate", Equals, &["2026-01-31"]),
            true,
            "CreatedDate >= 2026-01-31T00:00:00Z AND CreatedDate < 2026-02-01T00:00:00Z",
        );
        says(
            ("CreatedDate", NotEqual, &["2026-01-31"]),
            true,
            "(CreatedDate < 2026-01-31T00:00:00Z OR CreatedDate >= 2026-02-01T00:00:00Z OR CreatedDate = null)",
        );
        says(
            ("CreatedDate", GreaterThan, &["2026-01-31T13:00:00+01:00"]),
            true,
            "CreatedDate > 2026-01-31T12:00:00Z",
        );
        says(
            ("CreatedDate", GreaterThan, &["2026-01-31T12:00:00.25Z"]),
            false,
            "CreatedDate > 2026-01-31T12:00:00Z",
        );
        says(
            ("Call__c", LessThan, &["10:15"]),
            true,
            "Call__c < 10:15:00.000Z",
        );
    }

    #[test]
    fn choices_checkboxes_and_ids() {
        use Operator::*;
        says(
            ("Regions__c", Includes, &["a; b", "c"]),
            true,
            "(Regions__c INCLUDES ('a;b') OR Regions__c INCLUDES ('c'))",
        );
        says(
            ("Regions__c", Excludes, &["a"]),
            true,
            "(Regions__c EXCLUDES ('a') OR Regions__c = null)",
        );
        says(("Regions__c", Equals, &["a"]), true, "Regions__c = 'a'");
        says(
            ("Regions__c", Equals, &["b;a"]),
            false,
            "Regions__c INCLUDES ('b;a')",
        );
        says(("IsPrivate", Equals, &["TRUE"]), true, "IsPrivate = true");
        says(("IsPrivate", NotEqual, &[]), true, "IsPrivate = true");
        says(
            ("IsPrivate", NotEqual, &["true", "false"]),
            true,
            "Id = null",
        );
        says(
            ("OwnerId", Equals, &["005Dp000000Ppjs"]),
            true,
            "OwnerId = '005Dp000000PpjsIAC'",
        );
        says(("OwnerId", StartsWith, &["005"]), false, "OwnerId != null");
    }

    #[test]
    fn a_not_is_carried_to_the_conditions_before_anything_is_weakened() {
        use Operator::*;
        let three = [
            ("Name", LessThan, &["m"][..]),
            ("Amount", GreaterThan, &["10"]),
            ("IsPrivate", Equals, &["true"]),
        ];
        let found = pushed(&three, Some("NOT (1 OR NOT 2) AND 3"), "Opportunity.");
        assert_eq!(
            found.condition.as_deref(),
            Some("Opportunity.Amount > 10 AND Opportunity.IsPrivate = true"),
            "what is not less than m may be blank or anything else"
        );
        assert!(!found.exact);
        let found = pushed(&three[1..], Some("NOT (1 AND (2 OR NOT 2))"), "");
        assert_eq!(
            found.condition.as_deref(),
            Some("(Amount <= 10 OR Amount = null OR (IsPrivate = false AND IsPrivate = true))")
        );
        assert!(found.exact);
        let found = pushed(&three, Some("1 OR 2 OR (2 AND 3)"), "");
        assert_eq!(
            found.condition.as_deref(),
            Some("(Name != null OR Amount > 10 OR (Amount > 10 AND IsPrivate = true))")
        );
        let nothing = pushed(&[], None, "");
        assert_eq!((nothing.condition, nothing.exact), (None, true));
    }

    #[test]
    fn a_condition_too_long_for_a_query_is_left_out_alone() {
        use Operator::*;
        let many: Vec<String> = (0..2_000).map(|number| format!("Deal {number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let found = pushed(
            &[("Name", Equals, &many), ("IsPrivate", Equals, &["true"])],
            None,
            "",
        );
        assert_eq!(found.condition.as_deref(), Some("IsPrivate = true"));
        assert_eq!(
            found.why_not,
            ["condition 1 (`Name` equals): with it, the condition would be too long for a query"]
        );
        let found = pushed(&[("Name", Equals, &many)], Some("NOT 1"), "");
        assert_eq!((found.condition, found.exact), (None, false));
    }
}
