//! What a change of the rules does to the opportunities that are there.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Match, Rules};
use crate::filter::{self, Asked, Pushdown};
use crate::row::Fields;
use crate::time::Timestamp;

/// What becomes of an opportunity when the rules change, owners apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It qualifies by the new rules and does not by those before: it is brought to mOS.
    Enters,
    /// It qualifies by the rules before and not by the new ones: it stays in mOS as it was and
    /// receives nothing more.
    Leaves,
    /// It qualifies by both, and is sent again where the mapping differs.
    SentAgain,
}

impl Effect {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Enters, Self::Leaves, Self::SentAgain];

    /// The name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enters => "enters",
            Self::Leaves => "leaves",
            Self::SentAgain => "sent_again",
        }
    }
}

/// Rules and those before them, both at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Effects<'r> {
    /// The rules in force.
    pub before: &'r Rules,
    /// The rules that would take their place.
    pub after: &'r Rules,
    /// From which relative dates are counted, in both.
    pub at: Timestamp,
}

impl Effects<'_> {
    /// The SOQL condition of the opportunities of which this becomes; `None` is every opportunity.
    /// Where SOQL cannot say it, it lets through more, and [`Self::has`] tells which.
    #[must_use]
    pub fn condition(&self, effect: Effect) -> Pushdown {
        let Self { before, after, at } = *self;
        match effect {
            Effect::Enters => after.entering(before, "", at, at),
            Effect::Leaves => before.entering(after, "", at, at),
            Effect::SentAgain => {
                let new = Asked::matched(&after.filter, at, "");
                let old = Asked::matched(&before.filter, at, " of the rules before");
                let mut found = filter::all_of(&[new, old], "");
                let open = after.open_condition("", None);
                if let Some(open) = open.or_else(|| before.open_condition("", None)) {
                    found.condition = Some(match found.condition {
                        Some(condition) => format!("{condition} AND {open}"),
                        None => open,
                    });
                }
                found
            }
        }
    }

    /// Whether this becomes of an opportunity that is not deleted, by its current row.
    #[must_use]
    pub fn has(&self, effect: Effect, opportunity: &Fields<'_>) -> bool {
        let Self { before, after, at } = *self;
        match effect {
            Effect::Enters => after.enters(before, opportunity, at, at),
            Effect::Leaves => before.enters(after, opportunity, at, at),
            Effect::SentAgain => [before, after]
                .into_iter()
                .all(|rules| rules.judge(opportunity, at) == Match::Qualifies),
        }
    }

    /// The fields of an opportunity by which it is judged.
    #[must_use]
    pub fn judged_fields(&self) -> BTreeSet<String> {
        let mut fields = self.before.judged_fields();
        fields.extend(self.after.judged_fields());
        fields
    }
}
