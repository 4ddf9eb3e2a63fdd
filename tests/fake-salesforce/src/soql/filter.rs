//! WHERE: conditions checked against the fields' types, and their truth for a record.
//!
//! Logic is two-valued: a comparison with an empty field is false and its negation true; an empty
//! text equals null.
use std::cmp::Ordering;
use std::collections::BTreeSet;

use jiff::civil::Date;

use crate::error::ApiError;
use crate::id;
use crate::record::{Cell, Record};
use crate::schema::{Entity, FieldType};
use crate::soql::join::Join;
use crate::soql::lexer::{malformed, unescape};
use crate::soql::parser::{Comparison, Condition, Item, Literal, Names};
use crate::soql::path::{Path, Scope};
use crate::time;

/// A literal in the form that its field is compared in.
#[derive(Clone, Debug)]
pub(crate) enum Operand {
    Null,
    Bool(bool),
    Num(f64),
    /// Lower case.
    Text(String),
    /// Compared letter for letter: ids, dates and datetimes.
    Exact(String),
    /// From the first to before the second, both in the field's stored form.
    Span(String, String),
    Like(Vec<Pattern>),
}

/// A piece of a LIKE pattern.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pattern {
    Any,
    One,
    Char(char),
}

/// A condition ready to be asked.
#[derive(Debug)]
pub(crate) enum Test {
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
    Compare(Path, Comparison, Operand),
    In(Path, bool, Operands),
    /// A semi- or anti-join.
    Joined(Path, bool, Join),
    /// Each set must be contained whole.
    Includes(Path, bool, Vec<Vec<String>>),
}

/// The operands of IN: texts compared to the letter are looked up, others gone through.
#[derive(Debug, Default)]
pub(crate) struct Operands {
    pub(crate) exact: BTreeSet<String>,
    /// Lower case.
    texts: BTreeSet<String>,
    pub(crate) others: Vec<Operand>,
}

impl Operands {
    fn of(list: Vec<Operand>) -> Self {
        let mut operands = Operands::default();
        for operand in list {
            match operand {
                Operand::Exact(text) => {
                    operands.exact.insert(text);
                }
                Operand::Text(text) => {
                    operands.texts.insert(text);
                }
                operand @ (Operand::Null
                | Operand::Bool(_)
                | Operand::Num(_)
                | Operand::Span(..)
                | Operand::Like(_)) => operands.others.push(operand),
            }
        }
        operands
    }

    fn include(&self, cell: &Cell) -> bool {
        if let Cell::Text(text) = cell {
            let lower = !self.texts.is_empty() && self.texts.contains(&text.to_lowercase());
            if lower || self.exact.contains(text.as_ref()) {
                return true;
            }
        }
        let mut others = self.others.iter();
        others.any(|operand| compares(cell, Comparison::Equal, operand))
    }
}

/// Checks conditions of a query on one object.
pub(crate) struct Compiler<'s, 'a> {
    pub(crate) scope: &'s Scope<'a>,
    pub(crate) root: &'static Entity,
    pub(crate) alias: Option<&'s str>,
    pub(crate) inside_join: bool,
    pub(crate) joins: usize,
}

impl Compiler<'_, '_> {
    /// `top`: whether only AND stands above, so that semi-joins are allowed.
    pub(crate) fn test(&mut self, condition: &Condition, top: bool) -> Result<Test, ApiError> {
        Ok(match condition {
            Condition::All(parts) => Test::All(self.tests(parts, top)?),
            Condition::Any(parts) => Test::Any(self.tests(parts, false)?),
            Condition::Not(inner) => Test::Not(Box::new(self.test(inner, false)?)),
            Condition::Compare(item, comparison, literal) => {
                let path = self.filterable(item)?;
                let typed = Typed::of(&path);
                check_operator(&typed, *comparison)?;
                let operand = self.scope.operand(&typed, *comparison, literal)?;
                Test::Compare(path, *comparison, operand)
            }
            Condition::In(item, negated, literals) => {
                let path = self.filterable(item)?;
                let typed = Typed::of(&path);
                let operands = literals
                    .iter()
                    .map(|literal| self.scope.operand(&typed, Comparison::Equal, literal))
                    .collect::<Result<_, _>>()?;
                Test::In(path, *negated, Operands::of(operands))
            }
            Condition::Includes(names, negated, literals) => {
                let path = self.filterable_field(names)?;
                if path.field.kind != FieldType::MultiPicklist {
                    return Err(operator_error(&Typed::of(&path), "includes and excludes"));
                }
                let sets = literals.iter().map(wanted).collect::<Result<_, _>>()?;
                Test::Includes(path, *negated, sets)
            }
            Condition::Join(names, negated, query) => {
                if !top {
                    return Err(malformed(
                        "Semi join sub-selects are only allowed at the top level WHERE expressions and not in nested WHERE expressions.",
                    ));
                }
                if self.inside_join {
                    return Err(malformed(
                        "Nesting of semi join sub-selects is not supported",
                    ));
                }
                self.joins += 1;
                if self.joins > 2 {
                    return Err(malformed("Maximum 2 semi join sub-selects are allowed"));
                }
                let path = self.filterable_field(names)?;
                if !path.field.kind.is_id() || !path.is_own() {
                    return Err(malformed(format!(
                        "The left operand field in the where expression for outer query should be an id field, cannot use: '{}'",
                        names.parts.join(".")
                    )));
                }
                let join = Join::new(self.scope, self.root, &path, query)?;
                Test::Joined(path, *negated, join)
            }
        })
    }

    fn tests(&mut self, parts: &[Condition], top: bool) -> Result<Vec<Test>, ApiError> {
        parts.iter().map(|part| self.test(part, top)).collect()
    }

    fn filterable_field(&self, names: &Names) -> Result<Path, ApiError> {
        self.filterable(&Item::Field(names.clone()))
    }

    fn filterable(&self, item: &Item) -> Result<Path, ApiError> {
        let path = self.scope.resolve_item(self.root, self.alias, item)?;
        if path.field.filterable {
            return Ok(path);
        }
        Err(ApiError::new(
            "INVALID_FIELD",
            format!(
                "field '{}' can not be filtered in a query call",
                path.field.name
            ),
        ))
    }
}

/// What a literal is compared with: a name for errors, and a type.
pub(crate) struct Typed<'n> {
    pub(crate) name: &'n str,
    pub(crate) kind: FieldType,
}

impl Typed<'static> {
    fn of(path: &Path) -> Self {
        Typed {
            name: path.field.name,
            kind: path.kind(),
        }
    }
}

impl Scope<'_> {
    /// A literal in the form that values of this type are compared in.
    pub(crate) fn operand(
        &self,
        field: &Typed<'_>,
        comparison: Comparison,
        literal: &Literal,
    ) -> Result<Operand, ApiError> {
        if *literal == Literal::Null {
            return Ok(Operand::Null);
        }
        let operand = match field.kind {
            FieldType::Boolean => literal.flag().map(Operand::Bool),
            FieldType::Int | FieldType::Double | FieldType::Currency | FieldType::Percent => {
                let number = literal.plain().and_then(|text| text.parse().ok());
                number.map(Operand::Num)
            }
            FieldType::Date => match literal.date_name() {
                Some((name, number)) => Some(self.days(name, number, false)?),
                None => {
                    let day = literal.plain().filter(|text| text.len() == 10);
                    day.and_then(time::date).map(Operand::Exact)
                }
            },
            FieldType::DateTime => match literal.date_name() {
                Some((name, number)) => Some(self.days(name, number, true)?),
                None => literal.plain().and_then(time::datetime).map(Operand::Exact),
            },
            FieldType::Time => literal.plain().and_then(time::of_day).map(Operand::Exact),
            FieldType::Id | FieldType::Reference => literal
                .raw()
                .map(|raw| id_operand(field, comparison, raw))
                .transpose()?,
            FieldType::Text
            | FieldType::TextArea
            | FieldType::Picklist
            | FieldType::MultiPicklist
            | FieldType::Email
            | FieldType::Phone
            | FieldType::Url => literal
                .raw()
                .map(|raw| text_operand(comparison, raw))
                .transpose()?,
        };
        operand.ok_or_else(|| wrong_type(field))
    }

    /// The span of a date literal; for datetimes, from midnight to midnight in the user's zone.
    fn days(&self, name: &str, number: Option<i64>, instants: bool) -> Result<Operand, ApiError> {
        let (from, to) = self
            .calendar
            .days(name, number)
            .ok_or_else(|| malformed(format!("unexpected token: '{name}'")))?;
        let form = |date: Date| {
            if !instants {
                return Some(date.to_string());
            }
            let midnight = date.to_zoned(self.zone.clone()).ok()?;
            Some(time::datetime_text(midnight.timestamp().as_millisecond()))
        };
        match (form(from), form(to)) {
            (Some(from), Some(to)) => Ok(Operand::Span(from, to)),
            _ => Err(malformed(format!("unexpected token: '{name}'"))),
        }
    }
}

fn text_operand(comparison: Comparison, raw: &str) -> Result<Operand, ApiError> {
    if comparison == Comparison::Like {
        return Ok(Operand::Like(pattern(&unescape(raw, true)?)));
    }
    let text = unescape(raw, false)?.to_lowercase();
    Ok(if text.is_empty() {
        Operand::Null
    } else {
        Operand::Text(text)
    })
}

fn id_operand(field: &Typed<'_>, comparison: Comparison, raw: &str) -> Result<Operand, ApiError> {
    let text = unescape(raw, false)?;
    if text.is_empty() {
        return Ok(Operand::Null);
    }
    if comparison == Comparison::Like {
        return Err(operator_error(field, "like"));
    }
    id::to_18(&text).map(Operand::Exact).ok_or_else(|| {
        ApiError::new(
            "INVALID_QUERY_FILTER_OPERATOR",
            format!("invalid ID field: {text}"),
        )
    })
}

pub(crate) fn check_operator(field: &Typed<'_>, comparison: Comparison) -> Result<(), ApiError> {
    let equality = matches!(comparison, Comparison::Equal | Comparison::NotEqual);
    let fine = match field.kind {
        FieldType::Boolean | FieldType::MultiPicklist => equality,
        FieldType::Int
        | FieldType::Double
        | FieldType::Currency
        | FieldType::Percent
        | FieldType::Date
        | FieldType::DateTime
        | FieldType::Time
        | FieldType::Id
        | FieldType::Reference => comparison != Comparison::Like,
        FieldType::Text
        | FieldType::TextArea
        | FieldType::Picklist
        | FieldType::Email
        | FieldType::Phone
        | FieldType::Url => true,
    };
    if fine {
        Ok(())
    } else {
        Err(operator_error(field, "this operator"))
    }
}

fn operator_error(field: &Typed<'_>, what: &str) -> ApiError {
    ApiError::new(
        "INVALID_QUERY_FILTER_OPERATOR",
        format!(
            "field '{}' of type {} cannot be filtered with {what}",
            field.name,
            field.kind.name()
        ),
    )
}

fn wrong_type(field: &Typed<'_>) -> ApiError {
    let (kind, quotes) = match field.kind {
        FieldType::Boolean => ("boolean", "should not be enclosed in quotes"),
        FieldType::Int => ("int", "should not be enclosed in quotes"),
        FieldType::Double | FieldType::Currency | FieldType::Percent => {
            (field.kind.name(), "should not be enclosed in quotes")
        }
        FieldType::Date => ("date", "should not be enclosed in quotes"),
        FieldType::DateTime => ("dateTime", "should not be enclosed in quotes"),
        FieldType::Time => ("time", "should not be enclosed in quotes"),
        FieldType::Id
        | FieldType::Reference
        | FieldType::Text
        | FieldType::TextArea
        | FieldType::Picklist
        | FieldType::MultiPicklist
        | FieldType::Email
        | FieldType::Phone
        | FieldType::Url => ("string", "should be enclosed in quotes"),
    };
    ApiError::new(
        "INVALID_FIELD",
        format!(
            "value of filter criterion for field '{}' must be of type {kind} and {quotes}",
            field.name
        ),
    )
}

/// One operand of INCLUDES: `a;b` wants both.
fn wanted(literal: &Literal) -> Result<Vec<String>, ApiError> {
    let Some(raw) = literal.raw() else {
        return Err(malformed("includes and excludes take texts in quotes"));
    };
    let text = unescape(raw, false)?.to_lowercase();
    Ok(text.split(';').map(|part| part.trim().to_owned()).collect())
}

fn pattern(text: &str) -> Vec<Pattern> {
    let mut pieces = Vec::new();
    let lower = text.to_lowercase();
    let mut chars = lower.chars();
    while let Some(c) = chars.next() {
        pieces.push(match c {
            '%' => Pattern::Any,
            '_' => Pattern::One,
            '\\' => Pattern::Char(chars.next().unwrap_or('\\')),
            c => Pattern::Char(c),
        });
    }
    pieces
}

/// Whether a lower-case text has the form of a pattern.
fn like(text: &str, pattern: &[Pattern]) -> bool {
    let chars: Vec<char> = text.chars().collect();
    let (mut place, mut piece) = (0, 0);
    // Where to go on when a run of any characters has to take one more.
    let mut retry: Option<(usize, usize)> = None;
    while place < chars.len() {
        let fits = match pattern.get(piece) {
            Some(Pattern::Any) => {
                retry = Some((place, piece));
                piece += 1;
                continue;
            }
            Some(Pattern::One) => true,
            Some(Pattern::Char(c)) => chars.get(place) == Some(c),
            None => false,
        };
        if fits {
            place += 1;
            piece += 1;
        } else if let Some((from, any)) = retry {
            retry = Some((from + 1, any));
            place = from + 1;
            piece = any + 1;
        } else {
            return false;
        }
    }
    pattern
        .iter()
        .skip(piece)
        .all(|piece| *piece == Pattern::Any)
}

/// Whether a condition holds for a record.
pub(crate) fn holds(scope: &Scope<'_>, test: &Test, record: &Record) -> bool {
    match test {
        Test::All(tests) => tests.iter().all(|test| holds(scope, test, record)),
        Test::Any(tests) => tests.iter().any(|test| holds(scope, test, record)),
        Test::Not(inner) => !holds(scope, inner, record),
        Test::Compare(path, comparison, operand) => {
            compares(&scope.value(record, path), *comparison, operand)
        }
        Test::In(path, negated, operands) => {
            operands.include(&scope.value(record, path)) != *negated
        }
        Test::Joined(path, negated, join) => {
            let cell = scope.value(record, path);
            cell.text().is_some_and(|id| join.contains(scope, id)) != *negated
        }
        Test::Includes(path, negated, sets) => {
            let cell = scope.value(record, path);
            let lower = cell.text().unwrap_or_default().to_lowercase();
            let has: BTreeSet<&str> = lower.split(';').collect();
            let found = sets
                .iter()
                .any(|set| set.iter().all(|wanted| has.contains(wanted.as_str())));
            found != *negated
        }
    }
}

pub(crate) fn compares(cell: &Cell, comparison: Comparison, operand: &Operand) -> bool {
    match comparison {
        Comparison::NotEqual => !compares(cell, Comparison::Equal, operand),
        Comparison::Like => match (cell, operand) {
            (Cell::Text(text), Operand::Like(pattern)) => like(&text.to_lowercase(), pattern),
            _ => false,
        },
        Comparison::Equal
        | Comparison::Less
        | Comparison::LessOrEqual
        | Comparison::Greater
        | Comparison::GreaterOrEqual => ordered(cell, comparison, operand),
    }
}

fn ordered(cell: &Cell, comparison: Comparison, operand: &Operand) -> bool {
    let order = match (cell, operand) {
        (Cell::Null | Cell::Bool(false), Operand::Null) => {
            return comparison == Comparison::Equal;
        }
        // A checkbox of a missing parent counts as not ticked.
        (Cell::Null, Operand::Bool(wanted)) => return !wanted,
        (Cell::Bool(flag), Operand::Bool(wanted)) => flag.cmp(wanted),
        (Cell::Int(number), Operand::Num(wanted)) => {
            #[expect(
                clippy::cast_precision_loss,
                reason = "whole numbers here have 32 bits"
            )]
            let number = *number as f64;
            number.total_cmp(wanted)
        }
        (Cell::Num(number), Operand::Num(wanted)) => {
            number.partial_cmp(wanted).unwrap_or(Ordering::Equal)
        }
        (Cell::Text(text), Operand::Text(wanted)) => text.to_lowercase().as_str().cmp(wanted),
        (Cell::Text(text), Operand::Exact(wanted)) => text.as_ref().cmp(wanted),
        (Cell::Text(text), Operand::Span(from, to)) => {
            if text.as_ref() < from.as_str() {
                Ordering::Less
            } else if text.as_ref() < to.as_str() {
                Ordering::Equal
            } else {
                Ordering::Greater
            }
        }
        _ => return false,
    };
    match comparison {
        Comparison::Equal => order == Ordering::Equal,
        Comparison::Less => order == Ordering::Less,
        Comparison::LessOrEqual => order != Ordering::Greater,
        Comparison::Greater => order == Ordering::Greater,
        Comparison::GreaterOrEqual => order != Ordering::Less,
        Comparison::NotEqual | Comparison::Like => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_takes_runs_single_characters_and_escapes() {
        let fits = |text: &str, form: &str| like(text, &pattern(form));
        assert!(fits("acme corp", "acme%"));
        assert!(fits("acme corp", "%CORP"));
        assert!(fits("acme corp", "a%e%p"));
        assert!(fits("acme", "____"));
        assert!(!fits("acme", "___"));
        assert!(fits("", "%"));
        assert!(!fits("", "_"));
        assert!(fits("100% cotton_co", "100\\%%\\_co"));
        assert!(!fits("100 cotton", "100\\%%"));
        assert!(fits("mississippi", "%iss%ppi"));
        assert!(!fits("mississippi", "%iss%ppo"));
        assert!(fits("zürich", "Z_RICH"));
    }
}
