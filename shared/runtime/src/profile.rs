//! The org's profile, read from Salesforce: what its calendars and currencies are.

use std::collections::BTreeMap;

use domain::org::{Currencies, DatedRate, Fiscal, OrgProfile, Period, PeriodKind, Weekday};
use domain::row::Fields;
use domain::{Row, soql};
use ports::source::{Source, SourceError};

use crate::readback::{self, fields};

/// Reads the profile. Orgs without several currencies do not have the objects of currencies, and
/// those without dated rates not the one of these.
///
/// # Errors
/// Salesforce's.
pub async fn read(source: &dyn Source) -> Result<OrgProfile, SourceError> {
    let org = only(
        source,
        "SELECT Id, IsSandbox, TimeZoneSidKey, DefaultLocaleSidKey, FiscalYearStartMonth \
         FROM Organization",
    )
    .await?;
    let user = source.user().await?;
    let user = only(
        source,
        &format!(
            "SELECT TimeZoneSidKey, LocaleSidKey FROM User WHERE Id = {}",
            soql::quote(user.as_str())
        ),
    )
    .await?;
    let (org, user) = (fields(&org)?, fields(&user)?);
    let zone = |row: &Fields<'_>| text(row, "TimeZoneSidKey");
    let week = |locale: String| Weekday::first_of_week(&locale);
    Ok(OrgProfile {
        id: org.id("Id"),
        is_sandbox: org.flag("IsSandbox"),
        time_zone: zone(&org)?,
        first_weekday: week(text(&org, "DefaultLocaleSidKey")?),
        user_time_zone: zone(&user)?,
        user_first_weekday: week(text(&user, "LocaleSidKey")?),
        fiscal: fiscal(source, &org).await?,
        currencies: currencies(source).await?,
    })
}

/// Custom fiscal years where an administrator has defined one, standard ones otherwise.
async fn fiscal(source: &dyn Source, org: &Fields<'_>) -> Result<Fiscal, SourceError> {
    let custom = rows(
        source,
        "SELECT Id FROM FiscalYearSettings WHERE IsStandardYear = false LIMIT 1",
    )
    .await?;
    if custom.is_none_or(|rows| rows.is_empty()) {
        let month = org.raw("FiscalYearStartMonth");
        return Ok(Fiscal::Standard {
            start_month: month.and_then(|month| month.parse().ok()).unwrap_or(1),
        });
    }
    let soql = "SELECT Type, StartDate, EndDate FROM Period WHERE Type IN ('Year','Quarter') \
                ORDER BY StartDate";
    let mut periods = Vec::new();
    for row in rows(source, soql).await?.unwrap_or_default() {
        let row = fields(&row)?;
        let kind = match text(&row, "Type")?.as_str() {
            "Year" => PeriodKind::Year,
            _ => PeriodKind::Quarter,
        };
        periods.push(Period {
            kind,
            start: day(&row, "StartDate")?,
            end: day(&row, "EndDate")?,
        });
    }
    periods.sort_unstable();
    Ok(Fiscal::Custom { periods })
}

async fn currencies(source: &dyn Source) -> Result<Option<Currencies>, SourceError> {
    let soql = "SELECT IsoCode, ConversionRate, IsCorporate FROM CurrencyType";
    let Some(types) = rows(source, soql).await? else {
        return Ok(None);
    };
    let mut corporate = None;
    let mut rates = BTreeMap::new();
    for row in &types {
        let row = fields(row)?;
        let code = text(&row, "IsoCode")?;
        if row.flag("IsCorporate") {
            corporate = Some(code.clone());
        }
        rates.insert(code, number(&row, "ConversionRate")?);
    }
    let Some(corporate) = corporate else {
        return Ok(None);
    };
    let soql = "SELECT IsoCode, StartDate, NextStartDate, ConversionRate FROM DatedConversionRate";
    let mut dated = Vec::new();
    for row in rows(source, soql).await?.unwrap_or_default() {
        let row = fields(&row)?;
        dated.push(DatedRate {
            currency: text(&row, "IsoCode")?,
            start: day(&row, "StartDate")?,
            next: day(&row, "NextStartDate").ok(),
            rate: number(&row, "ConversionRate")?,
        });
    }
    dated.sort_unstable();
    Ok(Some(Currencies {
        corporate,
        rates,
        dated,
    }))
}

/// Every row of a query; `None` where the org does not have the object.
async fn rows(source: &dyn Source, soql: &str) -> Result<Option<Vec<Row>>, SourceError> {
    match readback::rows(source, soql).await {
        Ok(rows) => Ok(Some(rows)),
        Err(SourceError::Refused { code, .. }) if code == "INVALID_TYPE" => Ok(None),
        Err(error) => Err(error),
    }
}

async fn only(source: &dyn Source, soql: &str) -> Result<Row, SourceError> {
    let first = rows(source, soql)
        .await?
        .unwrap_or_default()
        .into_iter()
        .next();
    first.ok_or_else(|| SourceError::Garbled(format!("no row answers `{soql}`")))
}

fn text(row: &Fields<'_>, field: &str) -> Result<String, SourceError> {
    row.text(field).ok_or_else(|| lacking(field))
}

fn day<T: std::str::FromStr>(row: &Fields<'_>, field: &str) -> Result<T, SourceError> {
    text(row, field)?.parse().map_err(|_no_day| lacking(field))
}

/// The shortest spelling, so that one rate has one.
fn number(row: &Fields<'_>, field: &str) -> Result<String, SourceError> {
    let raw = row.raw(field).filter(|raw| raw != "null");
    let raw = raw.ok_or_else(|| lacking(field))?;
    let number = raw.trim_matches('"');
    let plain = number.contains('.') && !number.contains(['e', 'E']);
    Ok(if plain {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
    }
    .to_owned())
}

fn lacking(field: &str) -> SourceError {
    SourceError::Garbled(format!(
        "a record of the org's set-up has no {field} that can be read"
    ))
}
