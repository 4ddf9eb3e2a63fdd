//! The opportunity filter: the language administrators know from Salesforce list views.
//!
//! A [`Filter`] is what an administrator saves: conditions and, optionally, how they combine.
//! [`Filter::compile`] checks it against the fields' types and gives a [`CompiledFilter`], which
//! judges rows and says in SOQL which rows to ask for. What the operators mean:
//!
//! * Several values in one condition: `equals`, `contains`, `starts_with`, `includes` and the
//!   comparisons hold when they hold for any of them; `not_equal`, `not_contain` and `excludes`
//!   hold when their positive form holds for none.
//! * Logic is two-valued, as in SOQL. A blank field satisfies no positive operator but `equals`
//!   blank, therefore every negative one but `not_equal` blank. A blank value (no value at all, or
//!   an empty text) goes with `equals` and `not_equal` only. A checkbox is never blank: null and
//!   blank mean false. With [`BlankRule::Drop`] a blank field satisfies no negative operator either.
//! * Texts and picklists compare without regard to case; `<` and `>` compare lower-cased texts by
//!   code point, not by the collation of a locale.
//! * Numbers are exact decimals. A percent of 75 % is 75. In an org with several currencies an
//!   amount is compared by the org's rates with a value in the corporate currency, or in the one
//!   whose code stands before it: `EUR5000`.
//! * A date literal (`TODAY`, `LAST_N_DAYS:30`, `THIS FISCAL QUARTER`) names days, counted from the
//!   day that it is in the chosen zone ([`ZoneOf`]): equal inside them, less before the first,
//!   greater after the last. With a custom fiscal year that the org has not defined, it names none,
//!   and the whole filter matches nothing.
//! * A date against a date/time field means that day in the chosen zone: equal inside it, less
//!   before its start, greater from its end on.
//! * A multi-select value `a;b` names a set: `equals` wants exactly it, in any order; `includes`
//!   wants all of it.
//! * Ids compare in their 18-character form and are never case-folded. `starts_with` on an id
//!   compares its first characters, case-sensitively.
//! * A row's value that is missing or cannot be read as the field's type counts as blank, so who
//!   selects rows must select [`CompiledFilter::fields`].

mod calendar;
mod compile;
mod date;
mod decimal;
mod kinds;
mod literal;
mod logic;
mod matching;
mod meaning;
mod money;
mod to_soql;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use compile::{FilterFault, in_words};
pub(crate) use decimal::Decimal;
pub use kinds::{FieldType, Operator, operators};
pub use logic::LogicFault;
pub use matching::{CompiledFilter, ConditionResult};
pub use meaning::{BlankRule, DependsOn, Meaning, ZoneOf};
pub use to_soql::Pushdown;
pub(crate) use to_soql::{Asked, all_of};

/// As many conditions as the settings page takes.
pub const MAX_CONDITIONS: usize = 10;

/// The type of every field that a filter may name, from describe. Parent fields are named by their
/// path, such as `Account.Industry`.
pub type FieldTypes = BTreeMap<String, FieldType>;

/// Which opportunities are kept in step. The default has no condition and matches all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// At most [`MAX_CONDITIONS`].
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// How the conditions combine, such as `1 AND (2 OR 3)`; absent or empty: all must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logic: Option<String>,
}

/// One row of the filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The API name of a field of Opportunity, or a path to a parent's field.
    pub field: String,
    /// How the field is compared.
    pub operator: Operator,
    /// With what, as texts; none, or one empty text, means blank.
    #[serde(default)]
    pub values: Vec<String>,
}

impl Filter {
    /// Checks the filter against the fields' types and prepares it for judging rows.
    ///
    /// # Errors
    /// Everything that is wrong with it, not only the first fault. What is wrong at a moment only,
    /// [`CompiledFilter::undefined`] tells.
    pub fn compile(
        &self,
        types: &FieldTypes,
        meaning: Meaning<'_>,
    ) -> Result<CompiledFilter, Vec<FilterFault>> {
        compile::compile(self, types, meaning)
    }

    /// The fields that the conditions name.
    #[must_use]
    pub fn fields(&self) -> BTreeSet<String> {
        self.conditions
            .iter()
            .map(|condition| condition.field.clone())
            .collect()
    }
}

#[cfg(test)]
mod org_tests;
#[cfg(test)]
mod tests;
