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
//! * The zone and locale of the running user: relative dates are written as the days that they are
//!   at the moment of asking, and a date on a date/time field as two moments in UTC.
//! * The running user's currency, and how converted amounts are rounded: each currency is asked for
//!   by a number of its own.
//! * How letters are folded whose cases are no simple pair, how a backslash is read in a LIKE
//!   pattern, whether blanks at a value's ends count, and in which order a multi-select value is
//!   stored: such values are asked for by a pattern that fits in any case.
//!
//! What it relies on: the integration user's locale does not fold the letter i the Turkish way, and
//! a filtered text field is not one of the unique fields that Salesforce compares case-sensitively.

mod piece;
mod text;
mod tree;
mod value;

use std::collections::BTreeSet;

use self::piece::{Piece, listed};
use self::text::{selection, texts_to_soql};
use self::tree::Tree;
use super::compile::{Operands, items};
use super::date::DateValue;
use super::kinds::{FieldType, Operator};
use super::logic::Logic;
use super::matching::{CompiledCondition, CompiledFilter, TermsAt};
use super::meaning::BlankRule;
use crate::soql;
use crate::time::Timestamp;

/// What a filter says in SOQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushdown {
    /// A WHERE condition that can be joined to others by AND as it stands; `None`: nothing to ask
    /// for, every row is let through. It is satisfied by every row that the filter matches.
    pub condition: Option<String>,
    /// Whether it is satisfied by no other row, so that rows need not be judged again and can be
    /// counted. Otherwise it lets through too much, never too little.
    pub exact: bool,
    /// For people, why it is not exact: each condition and what SOQL cannot say of it. Values are
    /// never repeated, they may be personal. Empty when exact.
    pub why_not: Vec<String>,
}

/// The longest condition, in bytes of a URL; longer ones are asked for in part. It leaves room for
/// the fields and for ids in a URL ([`soql::MAX_IN_URL`]).
const MAX_CONDITION: usize = 6_000;

const ID_PREFIX: &str = "SOQL cannot compare the beginning of an id";
const WHOLE: &str = "with it, the condition would be too long for a query";

/// Which rows are wanted of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    /// Those for which it holds, or those for which it does not.
    holds: bool,
    /// With those for which nobody knows ([`BlankRule::Drop`]).
    unknown: bool,
}

/// A filter at a moment: the rows that it matches, or those that it does not.
pub(crate) struct Asked<'f> {
    filter: &'f CompiledFilter,
    at: Timestamp,
    wanted: Wanted,
    /// What lets a row through beside, each by itself.
    beside: Vec<String>,
    /// Whose conditions they are, for people.
    of: &'static str,
}

impl<'f> Asked<'f> {
    /// The rows that it matches.
    pub(crate) const fn matched(
        filter: &'f CompiledFilter,
        at: Timestamp,
        of: &'static str,
    ) -> Self {
        Self {
            filter,
            at,
            wanted: Wanted {
                holds: true,
                unknown: false,
            },
            beside: Vec::new(),
            of,
        }
    }

    /// The rows that it does not match, and those that satisfy one of the other conditions.
    pub(crate) const fn not_matched(
        filter: &'f CompiledFilter,
        at: Timestamp,
        beside: Vec<String>,
        of: &'static str,
    ) -> Self {
        Self {
            filter,
            at,
            wanted: Wanted {
                holds: false,
                unknown: true,
            },
            beside,
            of,
        }
    }
}

impl CompiledFilter {
    /// The condition that the rows matched by this filter at `at` satisfy, each field prefixed by
    /// `path`: `""` for queries of Opportunity, `"Opportunity."` for those of its children.
    #[must_use]
    pub fn to_soql(&self, path: &str, at: Timestamp) -> Pushdown {
        all_of(&[Asked::matched(self, at, "")], path)
    }
}

/// The rows that are wanted of every one of these.
pub(crate) fn all_of(asked: &[Asked<'_>], path: &str) -> Pushdown {
    let mut left_out = BTreeSet::new();
    loop {
        let terms: Vec<Terms<'_>> = asked
            .iter()
            .enumerate()
            .map(|(number, asked)| Terms {
                number,
                asked,
                path,
                left_out: &left_out,
            })
            .collect();
        let tree = Tree::all(terms.iter().map(Terms::whole).collect());
        let text = tree.text(path);
        let length = text.as_deref().map_or(0, soql::length_in_url);
        if length > MAX_CONDITION
            && let Some((_, longest)) = terms.iter().filter_map(Terms::longest).max()
        {
            left_out.insert(longest);
            continue;
        }
        let why_not: Vec<String> = terms.iter().flat_map(Terms::why_not).collect();
        return Pushdown {
            condition: text,
            exact: why_not.is_empty(),
            why_not,
        };
    }
}

/// A filter's conditions on the way to SOQL.
struct Terms<'a> {
    /// Which of the filters.
    number: usize,
    asked: &'a Asked<'a>,
    path: &'a str,
    /// Conditions that are not asked for because all together would be too long: of which filter,
    /// and which.
    left_out: &'a BTreeSet<(usize, usize)>,
}

impl Terms<'_> {
    fn whole(&self) -> Tree {
        let Asked {
            filter, at, wanted, ..
        } = *self.asked;
        let tree = if filter.is_defined(at) {
            self.tree(&filter.logic, wanted)
        } else if wanted.holds {
            Tree::False
        } else {
            Tree::True
        };
        let beside = self.asked.beside.iter().cloned().map(Tree::Leaf);
        Tree::any([tree].into_iter().chain(beside).collect())
    }

    /// What satisfies the logic, or what does not.
    fn tree(&self, logic: &Logic, wanted: Wanted) -> Tree {
        let parts = |parts: &[Logic]| parts.iter().map(|part| self.tree(part, wanted)).collect();
        match (logic, wanted.holds) {
            (Logic::Condition(index), _) => self.term(*index, wanted).tree,
            (Logic::Not(inner), holds) => self.tree(
                inner,
                Wanted {
                    holds: !holds,
                    ..wanted
                },
            ),
            (Logic::All(inner), true) | (Logic::Any(inner), false) => Tree::all(parts(inner)),
            (Logic::Any(inner), true) | (Logic::All(inner), false) => Tree::any(parts(inner)),
        }
    }

    fn term(&self, index: usize, wanted: Wanted) -> Term {
        let whole = Term {
            tree: Tree::True,
            why_not: Some(WHOLE),
        };
        let filter = self.asked.filter;
        match filter.conditions.get(index) {
            Some(condition) if !self.left_out.contains(&(self.number, index)) => {
                let field = format!("{}{}", self.path, condition.field);
                condition.to_soql(&field, wanted, filter.at(self.asked.at))
            }
            _ => whole,
        }
    }

    /// The condition that takes most room, and how much.
    fn longest(&self) -> Option<(usize, (usize, usize))> {
        (0..self.asked.filter.conditions.len())
            .map(|index| (self.number, index))
            .filter(|place| !self.left_out.contains(place))
            .map(|place| {
                let text = self.term(place.1, self.asked.wanted).tree.text(self.path);
                (text.map_or(0, |text| text.len()), place)
            })
            .max()
    }

    fn why_not(&self) -> Vec<String> {
        let Asked { filter, at, of, .. } = *self.asked;
        let reason = |index: usize| {
            // A condition is exact in both senses or in neither.
            let reason = self.term(index, self.asked.wanted).why_not?;
            let condition = filter.conditions.get(index)?;
            Some(format!(
                "condition {} (`{}` {}){of}: {reason}",
                index + 1,
                condition.field,
                condition.operator
            ))
        };
        if !filter.is_defined(at) {
            return Vec::new();
        }
        (0..filter.conditions.len()).filter_map(reason).collect()
    }
}

/// A condition in SOQL.
struct Term {
    tree: Tree,
    /// Why it lets through more than it should.
    why_not: Option<&'static str>,
}

impl CompiledCondition {
    /// Fields that satisfy this condition, or those that do not. `field` is its name in the query.
    fn to_soql(&self, field: &str, wanted: Wanted, now: TermsAt<'_>) -> Term {
        let (operator, wanted) = match self.operator.negated() {
            Some(positive) => (
                positive,
                Wanted {
                    holds: !wanted.holds,
                    ..wanted
                },
            ),
            None => (self.operator, wanted),
        };
        if let Operands::Flag(values) = &self.operands {
            return Term {
                tree: value::flags(field, values, wanted),
                why_not: None,
            };
        }
        let (pieces, asks_blank) = self.pieces(field, operator, now);
        let why_not = pieces.iter().find_map(|piece| piece.why_not);
        // A blank field either has the blank value, or lacks the others, or nobody knows.
        let with_blank = match (asks_blank, now.terms.blanks) {
            (true, _) => wanted.holds,
            (false, BlankRule::Keep) => !wanted.holds,
            (false, BlankRule::Drop) => wanted.unknown,
        };
        let (holds, fails): (Vec<Tree>, Vec<Tree>) = pieces
            .into_iter()
            .map(|piece| (piece.holds, piece.fails))
            .unzip();
        let tree = match (wanted.holds, with_blank) {
            // A comparison never holds for a blank field.
            (true, false) => Tree::any(holds),
            (true, true) => Tree::any([holds, vec![self.blank(field, now, true)]].concat()),
            (false, false) => Tree::all([fails, vec![self.blank(field, now, false)]].concat()),
            (false, true) => Tree::any(vec![Tree::all(fails), self.blank(field, now, true)]),
        };
        Term { tree, why_not }
    }

    /// A blank field, or one that is not.
    fn blank(&self, field: &str, now: TermsAt<'_>, blank: bool) -> Tree {
        match (&self.operands, &now.terms.rates) {
            (Operands::Money(_), Some(rates)) => value::blank_money(field, rates, blank),
            _ if blank => Tree::Leaf(format!("{field} = null")),
            _ => Tree::Leaf(format!("{field} != null")),
        }
    }

    /// A positive operator with each value that is not blank, and whether one is blank.
    fn pieces(&self, field: &str, operator: Operator, now: TermsAt<'_>) -> (Vec<Piece>, bool) {
        let TermsAt { terms, at } = now;
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
                each(values, |value| value::number(field, operator, value, whole))
            }
            Operands::Money(values) => {
                let Some(rates) = &terms.rates else {
                    return (Vec::new(), false);
                };
                let dated = rates.is_dated(&self.field);
                each(values, |value| {
                    value::money(field, operator, value, rates, dated)
                })
            }
            Operands::Date(values) => each(values, |value| {
                value::date(field, operator, terms.calendar.days(value, at))
            }),
            Operands::DateTime(values) => each(values, |value| {
                let single = matches!(value, DateValue::Instant(_));
                let time = terms.calendar.stretch(value, at);
                value::moment(field, operator, time, single)
            }),
            Operands::Time(values) => each(values, |value| value::time(field, operator, *value)),
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

#[cfg(test)]
mod tests;
