//! The fields of mOS's ingest contract and what fills them unless an administrator says otherwise.

use crate::object::ObjectKind;

/// What the contract wants a field to look like. It depends on the mOS field alone, whatever
/// Salesforce field is mapped to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Text, number or checkbox: as Salesforce wrote it.
    Plain,
    /// A record's id in its 18-character form.
    Id,
    /// A point in time as `2026-01-01T00:00:00.000Z`.
    Moment,
}

/// One field of the contract.
#[derive(Debug, Clone, Copy)]
pub(super) struct ContractField {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    /// The Salesforce field of the default mapping; some fields have none.
    pub(super) default: Option<&'static str>,
}

const fn plain(name: &'static str, default: &'static str) -> ContractField {
    ContractField {
        name,
        shape: Shape::Plain,
        default: Some(default),
    }
}

const fn id(name: &'static str, default: &'static str) -> ContractField {
    ContractField {
        name,
        shape: Shape::Id,
        default: Some(default),
    }
}

const fn moment(name: &'static str, default: &'static str) -> ContractField {
    ContractField {
        name,
        shape: Shape::Moment,
        default: Some(default),
    }
}

const fn unmapped(name: &'static str) -> ContractField {
    ContractField {
        name,
        shape: Shape::Plain,
        default: None,
    }
}

const USER: &[ContractField] = &[
    plain("name", "Name"),
    plain("first_name", "FirstName"),
    plain("last_name", "LastName"),
    plain("email", "Email"),
    plain("username", "Username"),
    plain("title", "Title"),
    plain("is_active", "IsActive"),
    plain("time_zone", "TimeZoneSidKey"),
];

const COMPANY: &[ContractField] = &[
    plain("name", "Name"),
    plain("website", "Website"),
    plain("phone", "Phone"),
    plain("industry", "Industry"),
    plain("type", "Type"),
    plain("employees", "NumberOfEmployees"),
    plain("annual_revenue", "AnnualRevenue"),
    plain("billing_street", "BillingStreet"),
    plain("billing_city", "BillingCity"),
    plain("billing_state", "BillingState"),
    plain("billing_postal_code", "BillingPostalCode"),
    plain("billing_country", "BillingCountry"),
    plain("description", "Description"),
    id("owner_id", "OwnerId"),
    id("parent_id", "ParentId"),
];

const CONTACT: &[ContractField] = &[
    plain("first_name", "FirstName"),
    plain("last_name", "LastName"),
    plain("name", "Name"),
    plain("email", "Email"),
    plain("phone", "Phone"),
    plain("mobile_phone", "MobilePhone"),
    plain("title", "Title"),
    plain("department", "Department"),
    id("company_id", "AccountId"),
];

const OPPORTUNITY: &[ContractField] = &[
    plain("name", "Name"),
    plain("stage", "StageName"),
    plain("amount", "Amount"),
    plain("currency", "CurrencyIsoCode"),
    plain("probability", "Probability"),
    plain("close_date", "CloseDate"),
    plain("type", "Type"),
    plain("lead_source", "LeadSource"),
    plain("next_step", "NextStep"),
    plain("forecast_category", "ForecastCategoryName"),
    plain("description", "Description"),
    plain("is_closed", "IsClosed"),
    plain("is_won", "IsWon"),
    id("owner_id", "OwnerId"),
    id("company_id", "AccountId"),
    moment("created_at", "CreatedDate"),
    moment("last_modified_at", "LastModifiedDate"),
    unmapped("arr"),
    unmapped("contract_term"),
    unmapped("contract_term_type"),
    unmapped("total_contract_value"),
    unmapped("one_off_cost"),
];

const CONTACT_ROLE: &[ContractField] = &[
    id("opportunity_id", "OpportunityId"),
    id("contact_id", "ContactId"),
    plain("role", "Role"),
    plain("is_primary", "IsPrimary"),
];

/// The contract's fields of an object's mOS type, in the order in which they are written.
pub(super) const fn fields(object: ObjectKind) -> &'static [ContractField] {
    match object {
        ObjectKind::User => USER,
        ObjectKind::Account => COMPANY,
        ObjectKind::Contact => CONTACT,
        ObjectKind::Opportunity => OPPORTUNITY,
        ObjectKind::OpportunityContactRole => CONTACT_ROLE,
    }
}

/// The place and the field of a name.
pub(super) fn find(object: ObjectKind, mos_field: &str) -> Option<(usize, &'static ContractField)> {
    fields(object)
        .iter()
        .enumerate()
        .find(|(_, field)| field.name == mos_field)
}
