//! Amounts in an org with several currencies.
//!
//! An amount is in its record's own currency (`CurrencyIsoCode`); a value of the filter is in the
//! corporate currency, or in the one whose code stands before it (`EUR5000`). They are compared by
//! the org's rates, exactly, without rounding. Where rates are dated, those of an opportunity's close date count for its own
//! fields. An amount whose currency has no rate counts as blank.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use jiff::civil::Date;

use super::date::ValueFault;
use super::decimal::Decimal;
use crate::org::Currencies;

/// A value of the filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Money {
    pub(super) currency: String,
    pub(super) amount: Decimal,
}

/// An org's rates, read.
#[derive(Debug, Clone)]
pub(super) struct Rates {
    corporate: String,
    fixed: BTreeMap<String, Decimal>,
    dated: BTreeMap<String, Vec<Dated>>,
}

#[derive(Debug, Clone)]
struct Dated {
    start: Date,
    next: Option<Date>,
    rate: Decimal,
}

impl Rates {
    /// Rates that cannot be read, or are not above zero, are left out.
    pub(super) fn of(currencies: &Currencies) -> Self {
        let read = |text: &str| Decimal::parse(text).filter(Decimal::is_positive);
        let mut fixed: BTreeMap<String, Decimal> = currencies
            .rates
            .iter()
            .filter_map(|(code, rate)| Some((code.clone(), read(rate)?)))
            .collect();
        fixed
            .entry(currencies.corporate.clone())
            .or_insert_with(Decimal::one);
        let mut dated: BTreeMap<String, Vec<Dated>> = BTreeMap::new();
        for rate in &currencies.dated {
            if let Some(read) = read(&rate.rate) {
                dated.entry(rate.currency.clone()).or_default().push(Dated {
                    start: rate.start,
                    next: rate.next,
                    rate: read,
                });
            }
        }
        Self {
            corporate: currencies.corporate.clone(),
            fixed,
            dated,
        }
    }

    /// Reads `5000` or `EUR5000`.
    pub(super) fn money(&self, text: &str) -> Result<Money, ValueFault> {
        let (code, number) = split(text);
        let amount = Decimal::parse(number).ok_or(ValueFault::Unreadable)?;
        let currency = code.map_or_else(|| self.corporate.clone(), str::to_ascii_uppercase);
        if !self.fixed.contains_key(&currency) {
            return Err(ValueFault::UnknownCurrency);
        }
        Ok(Money { currency, amount })
    }

    /// Where an amount lies, seen from a value; both have rates.
    pub(super) fn place(
        &self,
        met: &Decimal,
        met_currency: &str,
        value: &Money,
        day: Option<Date>,
    ) -> Option<Ordering> {
        let met_rate = self.rate(met_currency, day)?;
        let own_rate = self.rate(&value.currency, day)?;
        Some(met.times(own_rate).cmp(&value.amount.times(met_rate)))
    }

    /// What a currency is worth; on a day, where rates are dated.
    pub(super) fn rate(&self, currency: &str, day: Option<Date>) -> Option<&Decimal> {
        let fixed = self.fixed.get(currency)?;
        let on = |dated: &&Dated, day: Date| {
            dated.start <= day && dated.next.is_none_or(|next| day < next)
        };
        let dated = day.and_then(|day| {
            let rates = self.dated.get(currency)?;
            rates.iter().find(|dated| on(dated, day))
        });
        Some(dated.map_or(fixed, |dated| &dated.rate))
    }

    /// The currencies that have a rate.
    pub(super) fn codes(&self) -> impl Iterator<Item = &str> {
        self.fixed.keys().map(String::as_str)
    }

    /// Whether a field's amounts are converted by dated rates: those of an opportunity's own fields.
    pub(super) fn is_dated(&self, field: &str) -> bool {
        !self.dated.is_empty() && !field.contains('.')
    }
}

/// Whether a number has a currency's code before it.
pub(super) fn has_code(text: &str) -> bool {
    let (code, number) = split(text);
    code.is_some() && Decimal::parse(number).is_some()
}

fn split(text: &str) -> (Option<&str>, &str) {
    match text.split_at_checked(3) {
        Some((code, number)) if code.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
            (Some(code), number)
        }
        _ => (None, text),
    }
}

/// The field with the currency of an amount's record.
pub(super) fn currency_field(field: &str) -> String {
    match field.rsplit_once('.') {
        Some((parent, _)) => format!("{parent}.CurrencyIsoCode"),
        None => "CurrencyIsoCode".to_owned(),
    }
}
