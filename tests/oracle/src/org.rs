//! What the rule needs to know of the org around the records: zones, weeks, fiscal years,
//! currencies.

use std::collections::BTreeMap;

use crate::history::{Entity, History, Row};

/// The org as it stood at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrgProfile {
    /// The org's zone, by its name in the time zone database.
    pub time_zone: String,
    /// The integration user's.
    pub user_time_zone: String,
    /// Where a week begins in the org's locale: 0 is Sunday.
    pub first_weekday: u8,
    /// The same in the integration user's.
    pub user_first_weekday: u8,
    /// The fiscal years.
    pub fiscal: Fiscal,
    /// Rates, in an org of several currencies.
    pub currencies: Option<Currencies>,
}

/// How a fiscal year is cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fiscal {
    /// Twelve months.
    Standard {
        /// The first of them: 1 is January.
        start_month: u8,
    },
    /// As somebody has written down.
    Custom {
        /// The years.
        years: Vec<Period>,
        /// The quarters.
        quarters: Vec<Period>,
    },
}

/// A period of a custom fiscal year.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// Its first day, as `2026-02-01`.
    pub start: String,
    /// Its last day.
    pub end: String,
}

/// What a currency is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Currencies {
    /// The ISO code of the currency the others are measured in.
    pub corporate: String,
    /// By ISO code: how many of it make one of the corporate currency, as a decimal.
    pub rates: BTreeMap<String, String>,
}

impl Default for OrgProfile {
    fn default() -> Self {
        Self {
            time_zone: "UTC".to_owned(),
            user_time_zone: "UTC".to_owned(),
            first_weekday: 0,
            user_first_weekday: 0,
            fiscal: Fiscal::Standard { start_month: 1 },
            currencies: None,
        }
    }
}

impl OrgProfile {
    /// What the org's own rows say at a moment (microseconds since 1970). `user` is the id of the
    /// integration user.
    #[must_use]
    pub fn at(history: &History, user: &str, micros: i64) -> Self {
        let rows = rows_at(history, micros);
        let all = |entity: Entity| {
            rows.range((entity, "")..)
                .take_while(move |((other, _), _)| *other == entity)
                .map(|(_, row)| *row)
        };
        let text = |row: &Row, field: &str| history.text(row, field).map(str::to_owned);
        let mut profile = Self::default();
        if let Some(org) = all(Entity::Organization).next() {
            profile.time_zone = text(org, "TimeZoneSidKey").unwrap_or(profile.time_zone);
            let locale = text(org, "DefaultLocaleSidKey").unwrap_or_default();
            profile.first_weekday = first_weekday(&locale);
            let start = history.number(org, "FiscalYearStartMonth");
            if let Some(start_month) = start.and_then(|start| start.parse().ok()) {
                profile.fiscal = Fiscal::Standard { start_month };
            }
        }
        if let Some(user) = rows.get(&(Entity::User, user)) {
            profile.user_time_zone = text(user, "TimeZoneSidKey").unwrap_or(profile.user_time_zone);
            let locale = text(user, "LocaleSidKey").unwrap_or_default();
            profile.user_first_weekday = first_weekday(&locale);
        }
        let periods = |kind: &str| -> Vec<Period> {
            let rows = all(Entity::Period).filter(|row| history.text(row, "Type") == Some(kind));
            rows.filter_map(|row| {
                Some(Period {
                    start: text(row, "StartDate")?,
                    end: text(row, "EndDate")?,
                })
            })
            .collect()
        };
        // Standard years have rows of Period as well.
        let custom =
            all(Entity::FiscalYearSettings).any(|row| !history.flag(row, "IsStandardYear"));
        if custom {
            profile.fiscal = Fiscal::Custom {
                years: periods("Year"),
                quarters: periods("Quarter"),
            };
        }
        profile.currencies = currencies(history, all(Entity::CurrencyType));
        profile
    }
}

fn currencies<'h>(history: &'h History, rows: impl Iterator<Item = &'h Row>) -> Option<Currencies> {
    let mut corporate = None;
    let mut rates = BTreeMap::new();
    for row in rows {
        let Some(code) = history.text(row, "IsoCode") else {
            continue;
        };
        if history.flag(row, "IsCorporate") {
            corporate = Some(code.to_owned());
        }
        let rate = history.number(row, "ConversionRate").unwrap_or("1");
        rates.insert(code.to_owned(), rate.to_owned());
    }
    Some(Currencies {
        corporate: corporate?,
        rates,
    })
}

/// Every record that exists at a moment.
fn rows_at(history: &History, micros: i64) -> BTreeMap<(Entity, &str), &Row> {
    let mut rows = BTreeMap::new();
    let steps = history
        .moments()
        .iter()
        .take_while(|moment| moment.at_micros <= micros)
        .flat_map(|moment| &moment.steps);
    for step in steps {
        let key = (step.entity, step.id.as_ref());
        if step.is_gone(history) {
            rows.remove(&key);
        } else {
            rows.insert(key, &step.row);
        }
    }
    rows
}

/// Where the week begins in a locale, as the Unicode locale data have it for the countries at hand.
fn first_weekday(locale: &str) -> u8 {
    let country = locale.split(['_', '-']).nth(1).unwrap_or_default();
    match country {
        "GB" | "DE" | "FR" | "ES" | "IT" | "NL" | "SE" | "NO" | "DK" | "FI" | "AT" | "CH"
        | "PL" | "BE" | "IE" | "AU" | "NZ" => 1,
        "AE" | "EG" => 6,
        _ => 0,
    }
}
