//! The mapping as the loader sees it: rows in, mOS fields out.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::filter::FieldType;
use crate::row::Row;

fn row(json: &str) -> Row {
    Row::new(RawValue::from_string(json.to_owned()).unwrap())
}

fn map(object: ObjectKind, json: &str) -> Result<String, MapError> {
    Mapping::default()
        .map(object, &row(json).fields().unwrap())
        .map(|raw| raw.get().to_owned())
}

fn mapping_row(
    object: ObjectKind,
    mos_field: &str,
    salesforce_field: &str,
    active: bool,
) -> MappingRow {
    MappingRow {
        object,
        mos_field: mos_field.to_owned(),
        salesforce_field: salesforce_field.to_owned(),
        active,
        contract_term_type: None,
    }
}

#[test]
fn all_five_objects_in_the_contracts_order() {
    use ObjectKind::*;
    assert_eq!(
        map(User, r#"{"attributes":{"type":"User"},"TimeZoneSidKey":"Europe/London","IsActive":true,"Title":null,"Username":"a@b.c","Email":"a@b.c","LastName":"Lovelace","FirstName":"Ada","Name":"Ada Lovelace","Id":"005Dp000000PpjsIAC"}"#).unwrap(),
        r#"{"name":"Ada Lovelace","first_name":"Ada","last_name":"Lovelace","email":"a@b.c","username":"a@b.c","title":null,"is_active":true,"time_zone":"Europe/London"}"#
    );
    assert_eq!(
        map(Account, r#"{"Name":"Acme","Website":"acme.example","Phone":"1","Industry":"Banking","Type":"Customer","NumberOfEmployees":12,"AnnualRevenue":1.5E7,"BillingStreet":"1 High St\nFloor 2","BillingCity":"Leeds","BillingState":null,"BillingPostalCode":"LS1","BillingCountry":"UK","Description":"d","OwnerId":"005Dp000000Ppjs","ParentId":null}"#).unwrap(),
        r#"{"name":"Acme","website":"acme.example","phone":"1","industry":"Banking","type":"Customer","employees":12,"annual_revenue":1.5E7,"billing_street":"1 High St\nFloor 2","billing_city":"Leeds","billing_state":null,"billing_postal_code":"LS1","billing_country":"UK","description":"d","owner_id":"005Dp000000PpjsIAC","parent_id":null}"#
    );
    assert_eq!(
        map(Contact, r#"{"FirstName":"A","LastName":"B","Name":"A B","Email":"e","Phone":"p","MobilePhone":"m","Title":"t","Department":"d","AccountId":"001Dp00000H8YVW"}"#).unwrap(),
        r#"{"first_name":"A","last_name":"B","name":"A B","email":"e","phone":"p","mobile_phone":"m","title":"t","department":"d","company_id":"001Dp00000H8YVWIA3"}"#
    );
    assert_eq!(
        map(Opportunity, r#"{"Name":"Deal","StageName":"Prospecting","Amount":0.10,"CurrencyIsoCode":"EUR","Probability":75.0,"CloseDate":"2026-01-31","Type":null,"LeadSource":"Web","NextStep":"call","ForecastCategoryName":"Pipeline","Description":"","IsClosed":false,"IsWon":false,"OwnerId":"005Dp000000PpjsIAC","AccountId":"001Dp00000H8YVWIA3","CreatedDate":"2026-01-01T00:00:00.000+0000","LastModifiedDate":"2026-01-02T03:04:05Z"}"#).unwrap(),
        r#"{"name":"Deal","stage":"Prospecting","amount":0.10,"currency":"EUR","probability":75.0,"close_date":"2026-01-31","type":null,"lead_source":"Web","next_step":"call","forecast_category":"Pipeline","description":null,"is_closed":false,"is_won":false,"owner_id":"005Dp000000PpjsIAC","company_id":"001Dp00000H8YVWIA3","created_at":"2026-01-01T00:00:00.000Z","last_modified_at":"2026-01-02T03:04:05.000Z"}"#
    );
    assert_eq!(
        map(OpportunityContactRole, r#"{"OpportunityId":"006000000000001","ContactId":"003000000000001","Role":"Evaluator","IsPrimary":true}"#).unwrap(),
        r#"{"opportunity_id":"006000000000001AAA","contact_id":"003000000000001AAA","role":"Evaluator","is_primary":true}"#
    );
}

#[test]
fn what_the_row_does_not_have_is_left_out() {
    assert_eq!(
        map(
            ObjectKind::Opportunity,
            r#"{"Amount":null,"Id":"006000000000001AAA"}"#
        )
        .unwrap(),
        r#"{"amount":null}"#
    );
    assert_eq!(map(ObjectKind::User, "{}").unwrap(), "{}");
}

#[test]
fn what_does_not_fit_is_refused_without_its_value() {
    for (object, json, message) in [
        (
            ObjectKind::Opportunity,
            r#"{"OwnerId":"secret"}"#,
            "`OwnerId` of this Opportunity is not a record id, but fills `owner_id`; correct the record, or map a lookup field to it",
        ),
        (
            ObjectKind::Opportunity,
            r#"{"CreatedDate":"secret"}"#,
            "`CreatedDate` of this Opportunity is not a date and time, but fills `created_at`; correct the record, or map a date/time field to it",
        ),
        (
            ObjectKind::Opportunity,
            r#"{"CreatedDate":17}"#,
            "`CreatedDate` of this Opportunity is not a date and time, but fills `created_at`; correct the record, or map a date/time field to it",
        ),
        (
            ObjectKind::Contact,
            r#"{"Name":{"FirstName":"secret"}}"#,
            "`Name` of this Contact has several values, but fills the single field `name`; map one of its parts, such as BillingStreet",
        ),
    ] {
        assert_eq!(map(object, json).unwrap_err().to_string(), message);
    }
}

#[test]
fn administrators_may_map_otherwise() {
    let mut rows = Mapping::default().rows().to_vec();
    rows.retain(|row| row.mos_field != "stage");
    rows.insert(
        0,
        mapping_row(ObjectKind::Opportunity, "arr", "ARR__c", true),
    );
    rows.insert(
        0,
        mapping_row(
            ObjectKind::Opportunity,
            "contract_term",
            "Contract.ContractTerm",
            true,
        ),
    );
    rows.push(mapping_row(
        ObjectKind::Opportunity,
        "stage",
        "Phase__c",
        true,
    ));
    rows.push(mapping_row(
        ObjectKind::Opportunity,
        "stage",
        "StageName",
        false,
    ));
    let mapping = Mapping::new(rows).unwrap();
    let fields = row(
        r#"{"ARR__c":12.50,"Phase__c":"3","StageName":"Prospecting","Name":"n","Contract":{"ContractTerm":24}}"#,
    );
    assert_eq!(
        mapping
            .map(ObjectKind::Opportunity, &fields.fields().unwrap())
            .unwrap()
            .get(),
        r#"{"name":"n","stage":"3","arr":12.50,"contract_term":24,"contract_term_type":"Monthly"}"#
    );
    assert!(
        mapping
            .salesforce_fields(ObjectKind::Opportunity)
            .contains("Contract.ContractTerm")
    );
    assert!(
        !mapping
            .salesforce_fields(ObjectKind::Opportunity)
            .contains("StageName")
    );

    let written = serde_json::to_string(&mapping).unwrap();
    assert_eq!(serde_json::from_str::<Mapping>(&written).unwrap(), mapping);
    assert_eq!(
        written,
        concat!(
            r#"[{"object":"Opportunity","mos_field":"stage","salesforce_field":"Phase__c","active":true},"#,
            r#"{"object":"Opportunity","mos_field":"stage","salesforce_field":"StageName","active":false},"#,
            r#"{"object":"Opportunity","mos_field":"arr","salesforce_field":"ARR__c","active":true},"#,
            r#"{"object":"Opportunity","mos_field":"contract_term","salesforce_field":"Contract.ContractTerm","active":true}]"#
        )
    );
    assert_eq!(serde_json::to_string(&Mapping::default()).unwrap(), "[]");
}

fn filled(
    object: ObjectKind,
    mos_field: &str,
    unit: Option<ContractTermType>,
    value: &str,
) -> Result<String, MapError> {
    let mut row_of_mapping = mapping_row(object, mos_field, "X__c", true);
    row_of_mapping.contract_term_type = unit;
    let mapping = Mapping::new(vec![row_of_mapping]).unwrap();
    let row = row(&format!(r#"{{"X__c":{value}}}"#));
    mapping
        .map(object, &row.fields().unwrap())
        .map(|raw| raw.get().to_owned())
}

#[test]
fn values_become_what_mos_wants() {
    use ObjectKind::{Account, Opportunity, OpportunityContactRole, User};
    for (object, mos_field, value, written) in [
        (User, "title", "12.50", r#""12.50""#),
        (User, "title", "true", r#""true""#),
        (Opportunity, "arr", "1.5E3", "1.5E3"),
        (Opportunity, "arr", r#"" 24.10 ""#, "24.10"),
        (Opportunity, "arr", r#""""#, "null"),
        (Account, "employees", "12.0", "12"),
        (Account, "employees", "1.2E3", "1200"),
        (Account, "employees", r#""100""#, "100"),
        (OpportunityContactRole, "is_primary", r#""True""#, "true"),
        (
            Opportunity,
            "close_date",
            r#""2026-02-28""#,
            r#""2026-02-28""#,
        ),
    ] {
        assert_eq!(
            filled(object, mos_field, None, value).unwrap(),
            format!(r#"{{"{mos_field}":{written}}}"#)
        );
    }
}

#[test]
fn values_that_mean_nothing_there_are_refused_by_name() {
    use ObjectKind::{Account, Opportunity, OpportunityContactRole};
    for (object, mos_field, value, wanted) in [
        (Opportunity, "arr", r#""about 5""#, Wanted::Number),
        (Opportunity, "arr", r#""1,000""#, Wanted::Number),
        (Opportunity, "arr", "true", Wanted::Number),
        (
            Opportunity,
            "contract_term",
            r#""two years""#,
            Wanted::Number,
        ),
        (Account, "employees", "12.5", Wanted::WholeNumber),
        (
            OpportunityContactRole,
            "is_primary",
            r#""yes""#,
            Wanted::Checkbox,
        ),
        (OpportunityContactRole, "is_primary", "1", Wanted::Checkbox),
        (Opportunity, "close_date", r#""2026-02-30""#, Wanted::Date),
        (
            Opportunity,
            "close_date",
            r#""2026-02-28T00:00:00Z""#,
            Wanted::Date,
        ),
        (
            Opportunity,
            "created_at",
            r#""2026-02-28""#,
            Wanted::DateTime,
        ),
    ] {
        match filled(object, mos_field, None, value) {
            Err(MapError::Value(fault)) => {
                assert_eq!(fault.wanted, wanted, "{value} for {mos_field}");
                let words = fault.to_string();
                assert!(
                    words.starts_with("`X__c` of this ") && words.contains(mos_field),
                    "{words}"
                );
                assert!(!words.contains(value.trim_matches('"')), "{words}");
            }
            other => panic!("{value} for {mos_field} became {other:?}"),
        }
    }
}

#[test]
fn contract_terms_are_written_in_months() {
    for (unit, value, months) in [
        (None, "24", "24"),
        (Some(ContractTermType::Monthly), "24.0", "24"),
        (Some(ContractTermType::Quarterly), "2", "6"),
        (Some(ContractTermType::HalfYearly), "1.5", "9"),
        (Some(ContractTermType::Yearly), "0.1", "1.2"),
        (Some(ContractTermType::Yearly), r#""3""#, "36"),
        (Some(ContractTermType::Yearly), "1E1", "120"),
    ] {
        assert_eq!(
            filled(ObjectKind::Opportunity, "contract_term", unit, value).unwrap(),
            format!(r#"{{"contract_term":{months},"contract_term_type":"Monthly"}}"#)
        );
    }
    assert_eq!(
        filled(ObjectKind::Opportunity, "contract_term", None, "null").unwrap(),
        r#"{"contract_term":null,"contract_term_type":null}"#
    );
}

#[test]
fn only_a_term_is_counted_in_a_unit() {
    let mut arr = mapping_row(ObjectKind::Opportunity, "arr", "ARR__c", true);
    arr.contract_term_type = Some(ContractTermType::Yearly);
    assert_eq!(
        Mapping::new(vec![arr]).unwrap_err(),
        [MappingRowFault::TermTypeElsewhere {
            object: ObjectKind::Opportunity,
            mos_field: "arr".to_owned()
        }]
    );
}

#[test]
fn a_mapping_fits_an_org_or_says_why_not() {
    let described = |field_type, targets: &[&str]| Described {
        field_type: Some(field_type),
        reference_to: targets.iter().map(|&target| target.to_owned()).collect(),
    };
    let org = |_object, field: &str| {
        Some(match field {
            "IsClosed" | "IsWon" | "IsPrimary" | "IsActive" => described(FieldType::Boolean, &[]),
            "OwnerId" => described(FieldType::Reference, &["Group", "User"]),
            "AccountId" | "ParentId" => described(FieldType::Reference, &["Account"]),
            "OpportunityId" => described(FieldType::Reference, &["Opportunity"]),
            "ContactId" => described(FieldType::Reference, &["Contact"]),
            "CreatedDate" | "LastModifiedDate" => described(FieldType::DateTime, &[]),
            "CloseDate" => described(FieldType::Date, &[]),
            "NumberOfEmployees" => described(FieldType::Number, &[]),
            "Amount" | "AnnualRevenue" => described(FieldType::Currency, &[]),
            "Probability" => described(FieldType::Percent, &[]),
            "Term__c" => described(FieldType::Picklist, &[]),
            "BillingAddress" => Described {
                field_type: None,
                reference_to: BTreeSet::new(),
            },
            "CurrencyIsoCode" => return None,
            field if field.ends_with("__c") => return None,
            _ => described(FieldType::Text, &[]),
        })
    };
    let default = Mapping::default();
    assert_eq!(default.fit(org), []);
    let changed = |mos_field: &str, salesforce_field: &str, object| {
        let row = if salesforce_field.is_empty() {
            mapping_row(object, mos_field, "Id", false)
        } else {
            mapping_row(object, mos_field, salesforce_field, true)
        };
        let faults = Mapping::new(vec![row]).unwrap().fit(org);
        faults.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let opportunity = ObjectKind::Opportunity;
    assert!(changed("contract_term", "Term__c", opportunity).is_empty());
    assert!(changed("next_step", "Amount", opportunity).is_empty());
    for (mos_field, salesforce_field, object, fault) in [
        (
            "arr",
            "ARR__c",
            opportunity,
            "the field mapping fills `arr` of Opportunity from `ARR__c`, which Opportunity does not have or the integration user may not see; check the spelling of its API name, capitals included, and the user's field-level security",
        ),
        (
            "amount",
            "Name",
            opportunity,
            "the field mapping fills `amount` of Opportunity from `Name`, a text field, but mOS wants a number; choose another field",
        ),
        (
            "amount",
            "IsClosed",
            opportunity,
            "the field mapping fills `amount` of Opportunity from `IsClosed`, a checkbox field, but mOS wants a number; choose another field",
        ),
        (
            "close_date",
            "CreatedDate",
            opportunity,
            "the field mapping fills `close_date` of Opportunity from `CreatedDate`, a date/time field, but mOS wants a date; choose another field",
        ),
        (
            "created_at",
            "CloseDate",
            opportunity,
            "the field mapping fills `created_at` of Opportunity from `CloseDate`, a date field, but mOS wants a date/time; choose another field",
        ),
        (
            "company_id",
            "OwnerId",
            opportunity,
            "the field mapping fills `company_id` of Opportunity from `OwnerId`, a lookup to Group or User field, but mOS wants a lookup to Account; choose another field",
        ),
        (
            "description",
            "BillingAddress",
            ObjectKind::Account,
            "the field mapping fills `description` of Account from `BillingAddress`, a compound or binary field, but mOS wants a text; choose another field",
        ),
        (
            "owner_id",
            "",
            opportunity,
            "the field mapping does not fill `owner_id` of Opportunity, without which mOS takes no such record; map OwnerId to it",
        ),
    ] {
        assert_eq!(changed(mos_field, salesforce_field, object), [fault]);
    }
}

#[test]
fn fields_to_select() {
    let mapping = Mapping::default();
    assert_eq!(
        mapping
            .salesforce_fields(ObjectKind::OpportunityContactRole)
            .into_iter()
            .collect::<Vec<_>>(),
        ["ContactId", "IsPrimary", "OpportunityId", "Role"]
    );
    assert_eq!(mapping.salesforce_fields(ObjectKind::Opportunity).len(), 17);
}

#[test]
fn rows_that_no_mapping_may_have() {
    let faults = Mapping::new(vec![
        mapping_row(ObjectKind::OpportunityContactRole, "rank", "Rank__c", true),
        mapping_row(ObjectKind::User, "title", "Title", true),
        mapping_row(ObjectKind::User, "title", "Position__c", true),
        mapping_row(ObjectKind::User, "title", "Job__c", false),
        mapping_row(ObjectKind::User, "email", "Email, Password", true),
        mapping_row(ObjectKind::User, "name", "", true),
    ])
    .unwrap_err();
    assert_eq!(
        faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "the field mapping fills `rank` of OpportunityContactRole, but mOS has no such field there; use one of opportunity_id, contact_id, role, is_primary",
            "the field mapping fills `title` of User twice; deactivate one of the two rows",
            "the field mapping fills `email` of User from `Email, Password`, which cannot be a field; write its API name, such as Amount or ARR__c",
            "the field mapping fills `name` of User from ``, which cannot be a field; write its API name, such as Amount or ARR__c",
        ]
    );
    let refused = serde_json::from_str::<Mapping>(
        r#"[{"object":"User","mos_field":"rank","salesforce_field":"X","active":true}]"#,
    )
    .unwrap_err();
    assert!(
        refused
            .to_string()
            .starts_with("the field mapping fills `rank` of User"),
        "{refused}"
    );
    assert!(serde_json::from_str::<Mapping>(r#"[{"object":"User","mos_field":"name","salesforce_field":"Name","active":true,"x":1}]"#).is_err());
}

#[test]
fn the_default_is_a_mapping_that_may_be_saved() {
    let mapping = Mapping::default();
    assert_eq!(Mapping::new(mapping.rows().to_vec()), Ok(mapping));
}

proptest! {
    #[test]
    fn texts_and_numbers_pass_unchanged(name in ".{1,20}", amount in "-?(0|[1-9][0-9]{0,15})(\\.[0-9]{1,4})?([eE][+-]?[0-9]{1,2})?") {
        let json = format!(r#"{{"Amount":{amount},"Name":{}}}"#, serde_json::to_string(&name).unwrap());
        let mapped = map(ObjectKind::Opportunity, &json).unwrap();
        prop_assert_eq!(&mapped, &format!(r#"{{"name":{},"amount":{amount}}}"#, serde_json::to_string(&name).unwrap()));
        prop_assert!(serde_json::from_str::<Value>(&mapped).is_ok() || amount.contains(['e', 'E']));
    }
}
