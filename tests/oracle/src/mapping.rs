//! The default mapping: which Salesforce field each mOS field comes from, and when the two agree.

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

/// One row of the mapping.
#[derive(Debug)]
pub(crate) struct Mapped {
    pub(crate) mos: &'static str,
    pub(crate) salesforce: &'static str,
    like: Like,
}

const fn text(mos: &'static str, salesforce: &'static str) -> Mapped {
    mapped(mos, salesforce, Like::Text)
}

const fn mapped(mos: &'static str, salesforce: &'static str, like: Like) -> Mapped {
    Mapped {
        mos,
        salesforce,
        like,
    }
}

const USER: &[Mapped] = &[
    text("name", "Name"),
    text("first_name", "FirstName"),
    text("last_name", "LastName"),
    text("email", "Email"),
    text("username", "Username"),
    text("title", "Title"),
    mapped("is_active", "IsActive", Like::Flag),
    text("time_zone", "TimeZoneSidKey"),
];

const COMPANY: &[Mapped] = &[
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

const CONTACT: &[Mapped] = &[
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

const OPPORTUNITY: &[Mapped] = &[
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

const CONTACT_ROLE: &[Mapped] = &[
    text("opportunity_id", "OpportunityId"),
    text("contact_id", "ContactId"),
    text("role", "Role"),
    mapped("is_primary", "IsPrimary", Like::Flag),
];

/// The mapped fields of a type.
pub(crate) fn fields(kind: Kind) -> &'static [Mapped] {
    match kind {
        Kind::User => USER,
        Kind::Company => COMPANY,
        Kind::Contact => CONTACT,
        Kind::Opportunity => OPPORTUNITY,
        Kind::ContactRole => CONTACT_ROLE,
    }
}

impl Mapped {
    /// What mOS should hold, as JSON.
    pub(crate) fn expected(&self, history: &History, row: &Row) -> Value {
        match history.cell(row, self.salesforce) {
            None => Value::Null,
            Some(Cell::Flag(flag)) => Value::from(*flag),
            Some(Cell::Number(number)) => Value::from(number.as_ref()),
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
