//! What an administrator turns on in Setup for the whole org: several currencies, record types,
//! custom fiscal years.
use serde::Deserialize;

use crate::commit::Row;
use crate::dml::Dml;
use crate::error::ApiError;
use crate::org::{Org, State};
use crate::record::{Cell, Record};
use crate::schema;
use crate::setup_fields::SchemaChange;
use crate::transaction::{Transaction, row};

/// The currencies of an org and what they are worth.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrgCurrencies {
    /// The ISO code of the corporate currency, whose rate is 1.
    pub corporate: String,
    /// Code and rate of the others: how many of them are worth one of the corporate currency.
    pub others: Vec<(String, f64)>,
    /// Rates for a stretch of time (advanced currency management): code, first day, first day of
    /// the next rate where there is one, rate.
    #[serde(default)]
    pub dated: Vec<(String, String, Option<String>, f64)>,
}

/// A record type to be made.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRecordType {
    /// API name of the object.
    pub entity: String,
    /// API name of the record type.
    pub developer_name: String,
    /// Its label.
    pub name: String,
}

/// A custom fiscal year to be defined.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewFiscalYear {
    /// Such as `FY 2027`.
    pub name: String,
    /// The first day of each quarter.
    pub quarters: Vec<String>,
    /// The last day.
    pub end: String,
}

/// The objects whose records have a currency.
const WITH_CURRENCY: [&str; 5] = [
    "Account",
    "Contact",
    "Opportunity",
    "OpportunityContactRole",
    "User",
];

impl Org {
    /// Turns several currencies on: records have a currency, the corporate one where they were
    /// there before.
    ///
    /// # Errors
    /// They are on already, or a rate is refused.
    pub fn enable_currencies(&self, wanted: &OrgCurrencies) -> Result<(), ApiError> {
        self.turn_on("CurrencyType")?;
        for entity in WITH_CURRENCY {
            self.add_to(
                entity,
                String::leak(format!("CurrencyIsoCode picklist(3) ={}", wanted.corporate)),
                "DynamicEnum",
            );
            self.fill(entity, "CurrencyIsoCode", &wanted.corporate);
        }
        let others = wanted
            .others
            .iter()
            .map(|(code, rate)| (code, *rate, false));
        let rates = [(&wanted.corporate, 1.0, true)].into_iter().chain(others);
        let types = rates.map(|(code, rate, corporate)| {
            row([
                ("IsoCode", code.clone()),
                ("ConversionRate", rate.to_string()),
                ("IsCorporate", corporate.to_string()),
            ])
        });
        self.install("CurrencyType", types.collect())?;
        if wanted.dated.is_empty() {
            return Ok(());
        }
        self.turn_on("DatedConversionRate")?;
        let dated = wanted.dated.iter().map(|(code, start, next, rate)| {
            row([
                ("IsoCode", code.clone()),
                ("StartDate", start.clone()),
                ("NextStartDate", next.clone().unwrap_or_default()),
                ("ConversionRate", rate.to_string()),
            ])
        });
        self.install("DatedConversionRate", dated.collect())
    }

    /// Makes a record type; with the first one of an object its records have a `RecordTypeId`. The
    /// answer is its id.
    ///
    /// # Errors
    /// An unknown object, or a record type that is refused.
    pub fn add_record_type(&self, wanted: &NewRecordType) -> Result<String, ApiError> {
        let entity = self.entity(&wanted.entity).ok_or_else(|| {
            ApiError::new(
                "INVALID_TYPE",
                format!("sObject type '{}' is not supported.", wanted.entity),
            )
        })?;
        if self.entity("RecordType").is_none() {
            self.turn_on("RecordType")?;
        }
        if entity.position("RecordTypeId").is_none() {
            self.add_to(
                entity.name,
                "RecordTypeId ref(RecordType,RecordType)",
                "EntityId",
            );
        }
        let fields = row([
            ("Name", wanted.name.clone()),
            ("DeveloperName", wanted.developer_name.clone()),
            ("SobjectType", entity.name.to_owned()),
        ]);
        let insert = Dml::Insert {
            entity: "RecordType".to_owned(),
            fields,
        };
        let made = self.transact(self.admin_id(), "", vec![insert])?;
        made.into_iter()
            .find_map(|made| made.id)
            .ok_or_else(|| ApiError::new("UNKNOWN_EXCEPTION", "the record type was not made"))
    }

    /// Defines custom fiscal years; from then on an org has no others.
    ///
    /// # Errors
    /// A date that is none.
    pub fn define_fiscal_years(&self, years: &[NewFiscalYear]) -> Result<(), ApiError> {
        for year in years {
            let start = year.quarters.first().cloned().unwrap_or_default();
            let settings = row([
                ("Name", year.name.clone()),
                ("IsStandardYear", "false".to_owned()),
                ("YearType", "Custom".to_owned()),
                ("StartDate", start.clone()),
                ("EndDate", year.end.clone()),
            ]);
            self.install("FiscalYearSettings", vec![settings])?;
            let settings = self.records("FiscalYearSettings");
            let settings = settings
                .iter()
                .find(|row| row.text("Name") == Some(&year.name))
                .map(|row| row.id().to_owned())
                .unwrap_or_default();
            let period = |kind: &str, number: usize, start: &str, end: &str| {
                row([
                    ("FiscalYearSettingsId", settings.clone()),
                    ("Type", kind.to_owned()),
                    ("Number", number.to_string()),
                    ("StartDate", start.to_owned()),
                    ("EndDate", end.to_owned()),
                ])
            };
            let mut periods = vec![period("Year", 1, &start, &year.end)];
            for (place, first) in year.quarters.iter().enumerate() {
                let end = match year.quarters.get(place + 1) {
                    Some(next) => day_before(next)?,
                    None => year.end.clone(),
                };
                periods.push(period("Quarter", place + 1, first, &end));
            }
            self.install("Period", periods)?;
        }
        Ok(())
    }

    /// Gives the org an object that it did not have.
    pub(crate) fn turn_on(&self, object: &str) -> Result<(), ApiError> {
        let writer = self.writer();
        let known = schema::entity(object).filter(|_| self.entity(object).is_none());
        let Some(entity) = known else {
            return Err(ApiError::new(
                "UNKNOWN_EXCEPTION",
                format!("the org has {object} already, or no such object"),
            ));
        };
        self.describe_anew(entity, entity.fields.clone());
        drop(writer);
        Ok(())
    }

    fn add_to(&self, object: &str, line: &'static str, event_type: &'static str) {
        let writer = self.writer();
        if let Some(entity) = self.entity(object) {
            let field = schema::field_line(line);
            let name = field.name.to_owned();
            let mut fields = entity.fields.clone();
            fields.push(field);
            self.describe_anew(entity, fields);
            self.tell(&SchemaChange::Added {
                entity: object.to_owned(),
                field: name,
                event_type,
            });
        }
        drop(writer);
    }

    /// Gives every record of an object a value, as nobody's work: no stamp moves, no event is sent.
    fn fill(&self, object: &str, field: &str, value: &str) {
        let writer = self.writer();
        self.alter(|state: &mut State| {
            let Some(entity) = state.entity(object) else {
                return;
            };
            let (Some(position), Some(table)) =
                (entity.position(field), state.tables.get_mut(entity.name))
            else {
                return;
            };
            let records: Vec<Record> = table.all().cloned().collect();
            for record in records {
                let mut cells = record.cells_for(entity);
                if let Some(cell) = cells.get_mut(position) {
                    *cell = Cell::from(value);
                }
                table.put(Record::new(entity, &cells));
            }
        });
        drop(writer);
    }

    /// Records as Setup makes them, read-only fields included.
    fn install(&self, object: &str, rows: Vec<Row>) -> Result<(), ApiError> {
        let mut writer = self.writer();
        let at = self.now_micros();
        let entity = self
            .entity(object)
            .ok_or_else(|| ApiError::new("INVALID_TYPE", object))?;
        let written = {
            let state = self.state();
            let mut transaction = Transaction::trusted(&state, &mut writer, self.admin_id(), at);
            for row in rows {
                transaction.insert(entity, &row)?;
            }
            transaction.finish()
        };
        self.commit(&mut writer, at, self.admin_id(), "", written);
        Ok(())
    }
}

fn day_before(text: &str) -> Result<String, ApiError> {
    let day = text.parse::<jiff::civil::Date>().ok();
    day.and_then(|day| day.yesterday().ok())
        .map(|day| day.to_string())
        .ok_or_else(|| ApiError::new("INVALID_FIELD", format!("{text} is no date")))
}
