//! What SOQL can say of a field and one value.

use super::super::kinds::Operator;
use super::tree::Tree;

/// What SOQL can say of one value, for fields that are not blank.
pub(super) struct Piece {
    /// Satisfied wherever the operator holds.
    pub(super) holds: Tree,
    /// Satisfied wherever it does not.
    pub(super) fails: Tree,
    pub(super) why_not: Option<&'static str>,
}

impl Piece {
    pub(super) fn exact(holds: String, fails: String) -> Self {
        Self {
            holds: Tree::Leaf(holds),
            fails: Tree::Leaf(fails),
            why_not: None,
        }
    }

    /// Where only something weaker can be asked for.
    pub(super) fn weak(holds: Tree, why_not: &'static str) -> Self {
        Self {
            holds,
            fails: Tree::True,
            why_not: Some(why_not),
        }
    }

    /// Nothing can be asked for but that the field is not blank.
    pub(super) fn unknown(field: &str, why_not: &'static str) -> Self {
        Self::weak(Tree::Leaf(format!("{field} != null")), why_not)
    }
}

/// A field among literals; none for no literals.
pub(super) fn listed(field: &str, literals: &[String]) -> Option<Piece> {
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

/// A field compared with a value that SOQL can say, or with one between two that it can.
pub(super) fn bracketed(
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
pub(super) fn stretch(field: &str, operator: Operator, start: &str, end: &str) -> Piece {
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
