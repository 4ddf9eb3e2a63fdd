//! Numbers, amounts, dates and checkboxes in SOQL.

use jiff::civil;

use super::super::date::{Days, Stretch};
use super::super::decimal::Decimal;
use super::super::kinds::Operator;
use super::super::money::{Money, Rates, currency_field};
use super::Wanted;
use super::piece::{Piece, bracketed, stretch};
use super::tree::Tree;
use crate::soql;
use crate::time::Timestamp;

const DIGITS: &str =
    "a value has more digits, or is larger, than Salesforce is known to compare exactly";
const RANGE: &str = "a value lies outside what SOQL takes, or is finer";
const DATED: &str = "it is not known by which of the org's dated rates SOQL converts an amount";

/// A checkbox that is one of the values, or none of them. That of a missing parent is not ticked.
pub(super) fn flags(field: &str, values: &[bool], wanted: Wanted) -> Tree {
    let meets = |flag: bool| values.contains(&flag) == wanted.holds;
    let mut parts = Vec::new();
    if meets(true) {
        parts.push(Tree::Leaf(format!("{field} = true")));
    }
    if meets(false) {
        parts.push(Tree::Leaf(format!("{field} = false")));
    }
    if parts.len() == 2 {
        Tree::True
    } else {
        Tree::any(parts)
    }
}

/// `whole`: the field may be one of whole numbers of 32 bits, which SOQL compares with such alone.
pub(super) fn number(field: &str, operator: Operator, value: &Decimal, whole: bool) -> Piece {
    let bracket = value.bracket(if whole { 0 } else { 15 });
    let fits = |text: &str| !whole || text.parse::<i32>().is_ok();
    match bracket {
        Some((low, high)) if fits(&low) && fits(&high) => {
            bracketed(field, operator, (&low, &high), DIGITS)
        }
        _ => Piece::unknown(field, DIGITS),
    }
}

/// `field` is the name in the query, `dated` whether its amounts are converted by dated rates.
///
/// A number without a code is compared with the amounts as they stand, whatever their currency
/// (SOQL reference, multicurrency organizations); so each currency is asked for by its own number,
/// and nothing depends on how Salesforce rounds what it converts.
pub(super) fn money(
    field: &str,
    operator: Operator,
    value: &Money,
    rates: &Rates,
    dated: bool,
) -> Piece {
    if dated {
        return Piece::unknown(field, DATED);
    }
    let currency = currency_field(field);
    let (mut holds, mut fails, mut why_not) = (Vec::new(), Vec::new(), None);
    for code in rates.codes() {
        let of_code = |tree| {
            let code = Tree::Leaf(format!("{currency} = {}", soql::quote(code)));
            Tree::all(vec![code, tree])
        };
        let piece = match converted(value, code, rates) {
            Some(converted) => number(field, operator, &converted, false),
            None => Piece::unknown(field, DIGITS),
        };
        holds.push(of_code(piece.holds));
        fails.push(of_code(piece.fails));
        why_not = why_not.or(piece.why_not);
    }
    Piece {
        holds: Tree::any(holds),
        fails: Tree::any(fails),
        why_not,
    }
}

fn converted(value: &Money, code: &str, rates: &Rates) -> Option<Decimal> {
    let (to, from) = (rates.rate(code, None)?, rates.rate(&value.currency, None)?);
    value.amount.times(to).over(from)
}

/// A blank amount, or one that is not: an amount without a rate is blank, too.
pub(super) fn blank_money(field: &str, rates: &Rates, blank: bool) -> Tree {
    let known = soql::in_list(rates.codes());
    let currency = currency_field(field);
    if blank {
        Tree::any(vec![
            Tree::Leaf(format!("{field} = null")),
            Tree::Leaf(format!("{currency} NOT IN {known}")),
        ])
    } else {
        Tree::all(vec![
            Tree::Leaf(format!("{field} != null")),
            Tree::Leaf(format!("{currency} IN {known}")),
        ])
    }
}

/// `None`: the filter is not asked for where a literal has no days.
pub(super) fn date(field: &str, operator: Operator, days: Option<Days>) -> Piece {
    let Some(Days { first, last }) = days else {
        return Piece::unknown(field, RANGE);
    };
    if !is_in_range(first.year()) || !is_in_range(last.year()) {
        return Piece::unknown(field, RANGE);
    }
    if first == last {
        let day = first.to_string();
        return bracketed(field, operator, (&day, &day), RANGE);
    }
    match last.tomorrow() {
        Ok(after) if is_in_range(after.year()) => {
            stretch(field, operator, &first.to_string(), &after.to_string())
        }
        _ => Piece::unknown(field, RANGE),
    }
}

/// `single`: it is a moment, not a stretch of days.
pub(super) fn moment(
    field: &str,
    operator: Operator,
    time: Option<Stretch>,
    single: bool,
) -> Piece {
    let second = 1_000_000;
    let Some(Stretch { start, end }) = time else {
        return Piece::unknown(field, RANGE);
    };
    let (start, end) = if single {
        let begun = start.as_micros().div_euclid(second).saturating_mul(second);
        let parts = i64::from(begun != start.as_micros());
        (begun, begun.saturating_add(parts * second))
    } else {
        (start.as_micros(), end.as_micros())
    };
    // Zones of long ago are no whole seconds away from UTC everywhere.
    let whole = start % second == 0 && end % second == 0;
    let [start, end] = [start, end].map(|micros| Timestamp::from_micros(micros).to_soql());
    let year = |text: &str| text.get(..4)?.parse::<i16>().ok();
    let in_range = |text: &String| year(text).is_some_and(is_in_range);
    if !whole || !in_range(&start) || !in_range(&end) {
        return Piece::unknown(field, RANGE);
    }
    if single {
        bracketed(field, operator, (&start, &end), RANGE)
    } else {
        stretch(field, operator, &start, &end)
    }
}

/// The years that SOQL takes.
fn is_in_range(year: i16) -> bool {
    (1700..=4000).contains(&year)
}

pub(super) fn time(field: &str, operator: Operator, value: civil::Time) -> Piece {
    if value.subsec_nanosecond() % 1_000_000 != 0 {
        return Piece::unknown(field, RANGE);
    }
    let literal = value.strftime("%H:%M:%S%.3fZ").to_string();
    bracketed(field, operator, (&literal, &literal), RANGE)
}
