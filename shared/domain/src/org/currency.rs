//! An org's currencies.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// The currencies of an org with more than one, and what they are worth. Rates are decimal numbers
/// as texts, as Salesforce has them: how many units of the currency are worth one unit of the
/// corporate currency.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Currencies {
    /// The corporate currency, such as `USD` (`CurrencyType.IsCorporate`).
    pub corporate: String,
    /// The rate of each currency by its ISO code, inactive ones included, for records have them too
    /// (`CurrencyType.ConversionRate`).
    pub rates: BTreeMap<String, String>,
    /// Rates that hold for a stretch of time (`DatedConversionRate`, advanced currency management);
    /// the currency fields of an opportunity are converted by the rate of its close date. Empty
    /// where an org has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dated: Vec<DatedRate>,
}

/// A currency's rate during a stretch of time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DatedRate {
    /// ISO code.
    pub currency: String,
    /// The first day.
    pub start: Date,
    /// The first day of the rate after it; `None` for the last one.
    pub next: Option<Date>,
    /// The rate, as in [`Currencies::rates`].
    pub rate: String,
}
