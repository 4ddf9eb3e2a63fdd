//! The fields of mOS's ingest contract and what fills them unless an administrator says otherwise.

use crate::object::ObjectKind;

/// What the contract wants a field to look like. It depends on the mOS field alone, whatever
/// Salesforce field is mapped to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    /// Any number.
    Number,
    /// A number without a fraction.
    Whole,
    /// The contract's term, counted in the unit of its row; mOS gets months.
    Term,
    Flag,
    /// A calendar day.
    Day,
    /// A point in time as `2026-01-01T00:00:00.000Z`.
    Moment,
    /// The id of a record of this object in its 18-character form.
    Id(ObjectKind),
}

/// One field of the contract.
#[derive(Debug, Clone, Copy)]
pub(super) struct ContractField {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    /// The Salesforce field of the default mapping; some fields have none.
    pub(super) default: Option<&'static str>,
    /// mOS takes no record without it.
    pub(super) required: bool,
}

const fn field(name: &'static str, shape: Shape, default: &'static str) -> ContractField {
    ContractField {
        name,
        shape,
        default: Some(default),
        required: false,
    }
}

const fn required(name: &'static str, target: ObjectKind, default: &'static str) -> ContractField {
    ContractField {
        name,
        shape: Shape::Id(target),
        default: Some(default),
        required: true,
    }
}

const fn unmapped(name: &'static str, shape: Shape) -> ContractField {
    ContractField {
        name,
        shape,
        default: None,
        required: false,
    }
}

const USER: &[ContractField] = &[
    field("name", Shape::Text, "Name"),
    field("first_name", Shape::Text, "FirstName"),
    field("last_name", Shape::Text, "LastName"),
    field("email", Shape::Text, "Email"),
    field("username", Shape::Text, "Username"),
    field("title", Shape::Text, "Title"),
    field("is_active", Shape::Flag, "IsActive"),
    field("time_zone", Shape::Text, "TimeZoneSidKey"),
];

const COMPANY: &[ContractField] = &[
    field("name", Shape::Text, "Name"),
    field("website", Shape::Text, "Website"),
    field("phone", Shape::Text, "Phone"),
    field("industry", Shape::Text, "Industry"),
    field("type", Shape::Text, "Type"),
    field("employees", Shape::Whole, "NumberOfEmployees"),
    field("annual_revenue", Shape::Number, "AnnualRevenue"),
    field("billing_street", Shape::Text, "BillingStreet"),
    field("billing_city", Shape::Text, "BillingCity"),
    field("billing_state", Shape::Text, "BillingState"),
    field("billing_postal_code", Shape::Text, "BillingPostalCode"),
    field("billing_country", Shape::Text, "BillingCountry"),
    field("description", Shape::Text, "Description"),
    field("owner_id", Shape::Id(ObjectKind::User), "OwnerId"),
    field("parent_id", Shape::Id(ObjectKind::Account), "ParentId"),
];

const CONTACT: &[ContractField] = &[
    field("first_name", Shape::Text, "FirstName"),
    field("last_name", Shape::Text, "LastName"),
    field("name", Shape::Text, "Name"),
    field("email", Shape::Text, "Email"),
    field("phone", Shape::Text, "Phone"),
    field("mobile_phone", Shape::Text, "MobilePhone"),
    field("title", Shape::Text, "Title"),
    field("department", Shape::Text, "Department"),
    field("company_id", Shape::Id(ObjectKind::Account), "AccountId"),
];

const OPPORTUNITY: &[ContractField] = &[
    field("name", Shape::Text, "Name"),
    field("stage", Shape::Text, "StageName"),
    field("amount", Shape::Number, "Amount"),
    field("currency", Shape::Text, "CurrencyIsoCode"),
    field("probability", Shape::Number, "Probability"),
    field("close_date", Shape::Day, "CloseDate"),
    field("type", Shape::Text, "Type"),
    field("lead_source", Shape::Text, "LeadSource"),
    field("next_step", Shape::Text, "NextStep"),
    field("forecast_category", Shape::Text, "ForecastCategoryName"),
    field("description", Shape::Text, "Description"),
    field("is_closed", Shape::Flag, "IsClosed"),
    field("is_won", Shape::Flag, "IsWon"),
    required("owner_id", ObjectKind::User, "OwnerId"),
    field("company_id", Shape::Id(ObjectKind::Account), "AccountId"),
    field("created_at", Shape::Moment, "CreatedDate"),
    field("last_modified_at", Shape::Moment, "LastModifiedDate"),
    unmapped("arr", Shape::Number),
    unmapped("contract_term", Shape::Term),
    unmapped("total_contract_value", Shape::Number),
    unmapped("one_off_cost", Shape::Number),
];

const CONTACT_ROLE: &[ContractField] = &[
    required("opportunity_id", ObjectKind::Opportunity, "OpportunityId"),
    required("contact_id", ObjectKind::Contact, "ContactId"),
    field("role", Shape::Text, "Role"),
    field("is_primary", Shape::Flag, "IsPrimary"),
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
