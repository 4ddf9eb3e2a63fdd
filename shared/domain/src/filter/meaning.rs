//! What the texts of a filter mean beside the types of its fields: whose days, whose currencies, and
//! what a blank field is to a negative operator.

use serde::{Deserialize, Serialize};

use super::date::DateValue;
use super::kinds::FieldType;
use super::literal::CalendarUnit;
use super::{FieldTypes, Filter};
use crate::org::{Currencies, Fiscal, OrgProfile, Weekday};

/// Whose zone and whose first day of the week a filter's dates are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ZoneOf {
    /// The org's default ones.
    #[default]
    Org,
    /// Those of the user as whom mosync reads.
    User,
}

/// What a blank field is to a condition with a value, of which Salesforce's own reports differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlankRule {
    /// It does not have the value, so every negation keeps it: `not_equal`, `not_contain`,
    /// `excludes` and a NOT of the logic. What list views do.
    #[default]
    Keep,
    /// Nobody knows, so neither a condition nor its negation holds, as with nulls in SQL. To ask
    /// for blank fields beside, add a condition that says so.
    Drop,
}

/// What a filter is read with.
#[derive(Debug, Clone, Copy)]
pub struct Meaning<'o> {
    /// The calendars and currencies.
    pub org: &'o OrgProfile,
    /// Whose calendar.
    pub zone: ZoneOf,
    /// What blank fields are.
    pub blanks: BlankRule,
}

impl<'o> Meaning<'o> {
    /// The name of the zone.
    pub(super) fn time_zone(&self) -> &'o str {
        match self.zone {
            ZoneOf::Org => &self.org.time_zone,
            ZoneOf::User => &self.org.user_time_zone,
        }
    }

    /// The first day of weeks.
    pub(super) const fn first_weekday(&self) -> Weekday {
        match self.zone {
            ZoneOf::Org => self.org.first_weekday,
            ZoneOf::User => self.org.user_first_weekday,
        }
    }
}

/// The parts of an org's profile that a filter depends on; where two are equal, the filter means
/// the same.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DependsOn<'o> {
    zone: Option<&'o str>,
    first_weekday: Option<Weekday>,
    fiscal: Option<&'o Fiscal>,
    currencies: Option<&'o Currencies>,
}

impl Filter {
    /// The parts of the org's profile that this filter depends on.
    #[must_use]
    pub fn depends_on<'o>(&self, types: &FieldTypes, meaning: Meaning<'o>) -> DependsOn<'o> {
        let mut parts = DependsOn::default();
        for condition in &self.conditions {
            let moments = match types.get(&condition.field) {
                Some(FieldType::Currency) => {
                    parts.currencies = meaning.org.currencies.as_ref();
                    continue;
                }
                Some(FieldType::Date) => false,
                Some(FieldType::DateTime) => true,
                _ => continue,
            };
            for value in &condition.values {
                let Ok(value) = DateValue::parse(value.trim(), moments) else {
                    continue;
                };
                let literal = value.literal();
                if literal.is_some() || (moments && matches!(value, DateValue::Day(_))) {
                    parts.zone = Some(meaning.time_zone());
                }
                match literal.map(|literal| literal.unit) {
                    Some(CalendarUnit::Week) => {
                        parts.first_weekday = Some(meaning.first_weekday());
                    }
                    Some(CalendarUnit::FiscalQuarter | CalendarUnit::FiscalYear) => {
                        parts.fiscal = Some(&meaning.org.fiscal);
                    }
                    _ => {}
                }
            }
        }
        parts
    }
}
