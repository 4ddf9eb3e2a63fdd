//! The org around the records: what decides, beside the settings, what a filter means.

mod currency;
mod weekday;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

pub use currency::{Currencies, DatedRate};
pub use weekday::Weekday;

use crate::id::SalesforceId;

/// What an org's calendars and currencies are, as they were read when the settings were saved. The
/// default is UTC, weeks from Sunday, fiscal years from January and one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OrgProfile {
    /// The org's id; `None` before it was read for the first time.
    pub id: Option<SalesforceId>,
    /// A sandbox or scratch org (`Organization.IsSandbox`).
    pub is_sandbox: bool,
    /// The org's default zone, such as `America/New_York` (`Organization.TimeZoneSidKey`).
    pub time_zone: String,
    /// The first day of the week in the org's default locale (`Organization.DefaultLocaleSidKey`).
    pub first_weekday: Weekday,
    /// The integration user's zone (`User.TimeZoneSidKey`).
    pub user_time_zone: String,
    /// The first day of the week in the integration user's locale (`User.LocaleSidKey`).
    pub user_first_weekday: Weekday,
    /// The fiscal years.
    pub fiscal: Fiscal,
    /// The currencies and their rates; `None` in an org with a single currency.
    pub currencies: Option<Currencies>,
}

impl Default for OrgProfile {
    fn default() -> Self {
        Self {
            id: None,
            is_sandbox: false,
            time_zone: "UTC".to_owned(),
            first_weekday: Weekday::default(),
            user_time_zone: "UTC".to_owned(),
            user_first_weekday: Weekday::default(),
            fiscal: Fiscal::default(),
            currencies: None,
        }
    }
}

/// An org's fiscal years.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Fiscal {
    /// Twelve calendar months, quarters of three.
    Standard {
        /// The first month, 1 to 12 (`Organization.FiscalYearStartMonth`).
        start_month: u8,
    },
    /// Years and quarters as an administrator defined them, of any length; what was not defined has
    /// none.
    Custom {
        /// The years and quarters (`Period`), in any order.
        periods: Vec<Period>,
    },
}

impl Default for Fiscal {
    fn default() -> Self {
        Self::Standard { start_month: 1 }
    }
}

/// A year or quarter of a custom fiscal year (`Period`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Period {
    /// What it is.
    pub kind: PeriodKind,
    /// Its first day.
    pub start: Date,
    /// Its last day.
    pub end: Date,
}

/// What a [`Period`] is. Salesforce also has months and weeks, which no date literal names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeriodKind {
    /// `Year`
    Year,
    /// `Quarter`
    Quarter,
}

/// The rules of a zone such as `Europe/Berlin`, from the database that is compiled in.
pub(crate) fn zone(name: &str) -> Option<jiff::tz::TimeZone> {
    jiff::tz::TimeZoneDatabase::bundled().get(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_that_salesforce_offers_are_known() {
        for name in [
            "GMT",
            "UTC",
            "America/New_York",
            "America/Sao_Paulo",
            "Asia/Kolkata",
            "Asia/Calcutta",
            "Asia/Kathmandu",
            "Pacific/Kiritimati",
            "Pacific/Chatham",
            "Africa/Cairo",
            "Europe/Kiev",
        ] {
            assert!(zone(name).is_some(), "{name}");
        }
        assert!(zone("Europe/Nowhere").is_none() && zone("").is_none());
    }

    #[test]
    fn what_an_older_version_left_out_is_the_default() {
        assert_eq!(
            serde_json::from_str::<OrgProfile>("{}").unwrap(),
            OrgProfile::default()
        );
    }
}
