//! The mapping: which Salesforce field each mOS field comes from, and when the two agree.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::filter::instant;
use crate::history::{Cell, History, Row};
use crate::ledger::Kind;
use crate::number::Number;

/// How a field's two sides are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Like {
    /// Character by character (text, ids, dates).
    Text,
    Flag,
    Number,
    /// As points in time.
    Instant,
}

/// One row of the settings' mapping.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct MappingRow {
    /// API name of the Salesforce object.
    pub object: String,
    /// Name of the mOS field.
    pub mos_field: String,
    /// API name of the Salesforce field.
    pub salesforce_field: String,
    /// Only active rows are sent.
    #[serde(default = "yes")]
    pub active: bool,
    /// Of `contract_term`: what the Salesforce field counts; mOS counts months.
    #[serde(default)]
    pub contract_term_type: Option<TermType>,
}

/// What a contract term is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it all")]
pub enum TermType {
    Monthly,
    Quarterly,
    HalfYearly,
    Yearly,
}

fn yes() -> bool {
    true
}

/// One row of the mapping in force.
#[derive(Debug, Clone)]
pub(crate) struct Mapped {
    pub(crate) mos: String,
    pub(crate) salesforce: String,
    like: Like,
    /// What the number is multiplied by.
    times: u8,
}

/// A row of the default mapping.
struct Default {
    mos: &'static str,
    salesforce: &'static str,
    like: Like,
}

const fn text(mos: &'static str, salesforce: &'static str) -> Default {
    mapped(mos, salesforce, Like::Text)
}

const fn mapped(mos: &'static str, salesforce: &'static str, like: Like) -> Default {
    Default {
        mos,
        salesforce,
        like,
    }
}

const USER: &[Default] = &[
    text("name", "Name"),
    text("first_name", "FirstName"),
    text("last_name", "LastName"),
    text("email", "Email"),
    text("username", "Username"),
    text("title", "Title"),
    mapped("is_active", "IsActive", Like::Flag),
    text("time_zone", "TimeZoneSidKey"),
];

const COMPANY: &[Default] = &[
    text("name", "Name"),
    text("website", "Website"),
    text("phone", "Phone"),
    text("industry", "Industry"),
    text("type", "Type"),
    mapped("employees", "NumberOfEmployees", Like::Number),
    mapped("annual_revenue", "AnnualRevenue", Like::Number),
    text("billing_street", "BillingStreet"),
    text("billing_city", "BillingCity"),
    text("billing_state", "BillingState"),
    text("billing_postal_code", "BillingPostalCode"),
    text("billing_country", "BillingCountry"),
    text("description", "Description"),
    text("owner_id", "OwnerId"),
    text("parent_id", "ParentId"),
];

const CONTACT: &[Default] = &[
    text("first_name", "FirstName"),
    text("last_name", "LastName"),
    text("name", "Name"),
    text("email", "Email"),
    text("phone", "Phone"),
    text("mobile_phone", "MobilePhone"),
    text("title", "Title"),
    text("department", "Department"),
    text("company_id", "AccountId"),
];

const OPPORTUNITY: &[Default] = &[
    text("name", "Name"),
    text("stage", "StageName"),
    mapped("amount", "Amount", Like::Number),
    text("currency", "CurrencyIsoCode"),
    mapped("probability", "Probability", Like::Number),
    text("close_date", "CloseDate"),
    text("type", "Type"),
    text("lead_source", "LeadSource"),
    text("next_step", "NextStep"),
    text("forecast_category", "ForecastCategoryName"),
    text("description", "Description"),
    mapped("is_closed", "IsClosed", Like::Flag),
    mapped("is_won", "IsWon", Like::Flag),
    text("owner_id", "OwnerId"),
    text("company_id", "AccountId"),
    mapped("created_at", "CreatedDate", Like::Instant),
    mapped("last_modified_at", "LastModifiedDate", Like::Instant),
];

const CONTACT_ROLE: &[Default] = &[
    text("opportunity_id", "OpportunityId"),
    text("contact_id", "ContactId"),
    text("role", "Role"),
    mapped("is_primary", "IsPrimary", Like::Flag),
];

/// mOS fields that hold numbers and have no default row.
const UNMAPPED_NUMBERS: [&str; 4] = [
    "arr",
    "contract_term",
    "total_contract_value",
    "one_off_cost",
];

fn defaults(kind: Kind) -> &'static [Default] {
    match kind {
        Kind::User => USER,
        Kind::Company => COMPANY,
        Kind::Contact => CONTACT,
        Kind::Opportunity => OPPORTUNITY,
        Kind::ContactRole => CONTACT_ROLE,
    }
}

fn standard(kind: Kind) -> Vec<Mapped> {
    let rows = defaults(kind).iter().map(|row| Mapped {
        mos: row.mos.to_owned(),
        salesforce: row.salesforce.to_owned(),
        like: row.like,
        times: 1,
    });
    rows.collect()
}

fn kind_of(object: &str) -> Option<Kind> {
    Some(match object {
        "User" => Kind::User,
        "Account" => Kind::Company,
        "Contact" => Kind::Contact,
        "Opportunity" => Kind::Opportunity,
        "OpportunityContactRole" => Kind::ContactRole,
        _ => return None,
    })
}

/// The mapping in force.
#[derive(Debug, Clone)]
pub(crate) struct Mapping(BTreeMap<Kind, Vec<Mapped>>);

impl Mapping {
    /// The standard mapping, with these rows in the place of the standard ones of their fields.
    pub(crate) fn of(rows: Option<&[MappingRow]>) -> Self {
        let standard = Kind::ALL.into_iter().map(|kind| (kind, standard(kind)));
        let standard: BTreeMap<Kind, Vec<Mapped>> = standard.collect();
        let Some(rows) = rows else {
            return Self(standard);
        };
        // A row, active or not, takes the place of the standard one of its field.
        let mut mapping = standard.clone();
        for row in rows {
            if let Some(fields) = kind_of(&row.object).and_then(|kind| mapping.get_mut(&kind)) {
                fields.retain(|field| field.mos != row.mos_field);
            }
        }
        for row in rows.iter().filter(|row| row.active) {
            let Some(kind) = kind_of(&row.object) else {
                continue;
            };
            let known = standard.get(&kind).into_iter().flatten();
            let like = known
                .filter(|field| field.mos == row.mos_field)
                .map(|field| field.like)
                .next();
            let number = UNMAPPED_NUMBERS.contains(&row.mos_field.as_str());
            mapping.entry(kind).or_default().push(Mapped {
                mos: row.mos_field.clone(),
                salesforce: row.salesforce_field.clone(),
                like: like.unwrap_or(if number { Like::Number } else { Like::Text }),
                times: match row.contract_term_type {
                    None | Some(TermType::Monthly) => 1,
                    Some(TermType::Quarterly) => 3,
                    Some(TermType::HalfYearly) => 6,
                    Some(TermType::Yearly) => 12,
                },
            });
        }
        Self(mapping)
    }

    /// The mapped fields of a type.
    pub(crate) fn fields(&self, kind: Kind) -> &[Mapped] {
        self.0.get(&kind).map_or(&[], Vec::as_slice)
    }
}

impl Mapped {
    /// What mOS should hold of a record's own field, as JSON.
    pub(crate) fn expected(&self, history: &History, row: &Row) -> Value {
        self.of_cell(history.cell(row, &self.salesforce))
    }

    /// Whether the field is a parent's, such as `Account.Industry`.
    pub(crate) fn is_path(&self) -> bool {
        self.salesforce.contains('.')
    }

    /// What mOS should hold where the field says this.
    pub(crate) fn of_cell(&self, cell: Option<&Cell>) -> Value {
        match cell {
            None => Value::Null,
            Some(Cell::Flag(flag)) => Value::from(*flag),
            Some(Cell::Number(number)) => {
                let times = Number::parse(&self.times.to_string());
                let product = Number::parse(number)
                    .zip(times)
                    .and_then(|(number, times)| number.times(times));
                product.map_or_else(|| Value::from(number.as_ref()), |p| p.plain().into())
            }
            Some(Cell::Text(text)) => Value::from(text.as_ref()),
        }
    }

    /// Whether what mOS holds says the same. `got` is `None` where mOS has no such field.
    pub(crate) fn agrees(&self, expected: &Value, got: Option<&Value>) -> bool {
        let got = got.unwrap_or(&Value::Null);
        if expected.is_null() || got.is_null() {
            return expected.is_null() && got.is_null();
        }
        match self.like {
            Like::Text | Like::Flag => expected == got,
            Like::Number => match (number(expected), number(got)) {
                (Some(expected), Some(got)) => expected == got,
                _ => false,
            },
            Like::Instant => match (
                expected.as_str().and_then(instant),
                got.as_str().and_then(instant),
            ) {
                (Some(expected), Some(got)) => expected == got,
                _ => false,
            },
        }
    }
}

fn number(value: &Value) -> Option<Number> {
    match value {
        Value::String(text) => Number::parse(text),
        Value::Number(number) => Number::parse(&number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
