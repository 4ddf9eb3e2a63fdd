//! Which fields of a record a change event can have altered.
//!
//! Change events name fields after their own schema: a contact's `FirstName` changes as part of
//! `Name`, an account's `BillingStreet` as part of `BillingAddress`; some fields follow others and
//! some are in no event at all. Where in doubt the answer is yes: a record read once too often
//! costs a call, a change passed over is lost.

use std::collections::BTreeSet;

use crate::object::ObjectKind;

/// In every update event, whatever changed.
const STAMPS: [&str; 2] = ["LastModifiedDate", "LastModifiedById"];

/// The parts of a person's name.
const NAME_PARTS: [&str; 5] = [
    "FirstName",
    "LastName",
    "Salutation",
    "MiddleName",
    "Suffix",
];

/// The parts of an address; leaf fields are named by the address's prefix and the part.
const ADDRESS_PARTS: [&str; 10] = [
    "Street",
    "City",
    "State",
    "PostalCode",
    "Country",
    "StateCode",
    "CountryCode",
    "Latitude",
    "Longitude",
    "GeocodeAccuracy",
];

/// Event fields that list names of flags; the flags' own fields begin with them.
const FLAG_LISTS: [&str; 3] = ["UserPreferences", "UserPermissions", "EmailPreferences"];

/// Standard fields that no event carries, so that any event may stand for their change.
const IN_NO_EVENT: [&str; 15] = [
    "SystemModstamp",
    "IsDeleted",
    "LastActivityDate",
    "LastActivityInDays",
    "LastViewedDate",
    "LastReferencedDate",
    "LastStageChangeInDays",
    "AgeInDays",
    "PushCount",
    "HasOpenActivity",
    "HasOverdueTask",
    "Fiscal",
    "FiscalQuarter",
    "FiscalYear",
    "PhotoUrl",
];

/// What a stage decides.
const OF_STAGE: [&str; 7] = [
    "IsClosed",
    "IsWon",
    "Probability",
    "ForecastCategory",
    "ForecastCategoryName",
    "ExpectedRevenue",
    "LastStageChangeDate",
];

/// Whether an event with these changed fields may have altered any of the leaf fields of the record
/// that the event is about. A leaf field may be a path such as `Owner.IsActive`, which is altered
/// when the event's record points to another parent; changes of the parent are the parent's events.
///
/// * Events of `OpportunityContactRole` always do: they never carry `IsPrimary`.
/// * An event that names no field, or only who changed the record when, always does: what changed
///   is something that the event cannot name.
/// * `LastModifiedDate` counts like any field where it is a leaf field. The default mapping has it
///   as `last_modified_at` of opportunities, so there every update does.
/// * Formulas cannot be told from other custom fields by name and their changes are in no event:
///   who asks about a formula must know it for one.
#[must_use]
pub fn touches(
    object: ObjectKind,
    changed: &BTreeSet<String>,
    leaf_fields: &BTreeSet<String>,
) -> bool {
    if leaf_fields.is_empty() {
        return false;
    }
    if object == ObjectKind::OpportunityContactRole
        || changed.iter().all(|field| STAMPS.contains(&field.as_str()))
    {
        return true;
    }
    leaf_fields
        .iter()
        .any(|leaf| changed.iter().any(|field| alters(object, field, leaf)))
}

/// Whether a change of the event's field may alter the leaf field.
fn alters(object: ObjectKind, changed: &str, leaf: &str) -> bool {
    if changed == leaf || IN_NO_EVENT.contains(&leaf) {
        return true;
    }
    if let Some((parent, _)) = leaf.split_once('.') {
        return is_reference(changed, parent);
    }
    let (whole, part) = match changed.split_once('.') {
        Some((whole, part)) => (whole, Some(part)),
        None => (changed, None),
    };
    leaf == whole || is_part(whole, part, leaf) || follows(object, changed, leaf)
}

/// Whether the field refers to the parent of that name: `OwnerId` to `Owner`, `Deal__c` to `Deal__r`.
fn is_reference(field: &str, parent: &str) -> bool {
    match parent.strip_suffix("__r") {
        Some(custom) => field.strip_suffix("__c") == Some(custom),
        None => field.strip_suffix("Id") == Some(parent),
    }
}

/// Whether the leaf is a part of the compound field, and of the named part of it if one is named.
fn is_part(whole: &str, part: Option<&str>, leaf: &str) -> bool {
    if whole == "Name" {
        return NAME_PARTS.contains(&leaf) && part.is_none_or(|part| part == leaf);
    }
    if FLAG_LISTS.contains(&whole) {
        return leaf.starts_with(whole);
    }
    if let Some(prefix) = whole.strip_suffix("Address") {
        return leaf.strip_prefix(prefix).is_some_and(|own| {
            ADDRESS_PARTS.contains(&own) && part.is_none_or(|part| same_place(part, own))
        });
    }
    // Custom addresses and locations: Site__c has Site__Street__s, Site__Latitude__s, ...
    if let Some(prefix) = whole.strip_suffix("__c") {
        let own = leaf
            .strip_prefix(prefix)
            .and_then(|rest| rest.strip_prefix("__"))
            .and_then(|rest| rest.strip_suffix("__s"));
        return own.is_some_and(|own| part.is_none_or(|part| same_place(part, own)));
    }
    part == Some(leaf)
}

/// `State` and `StateCode` change together, and so do `Country` and `CountryCode`; the position is
/// computed from the rest of the address.
fn same_place(changed: &str, own: &str) -> bool {
    without_code(changed) == without_code(own)
        || matches!(own, "Latitude" | "Longitude" | "GeocodeAccuracy")
}

fn without_code(part: &str) -> &str {
    part.strip_suffix("Code").unwrap_or(part)
}

/// Whether Salesforce sets the leaf when the field changes.
fn follows(object: ObjectKind, changed: &str, leaf: &str) -> bool {
    if object != ObjectKind::Opportunity {
        return false;
    }
    match changed {
        "StageName" => OF_STAGE.contains(&leaf),
        "Amount" | "Probability" => leaf == "ExpectedRevenue",
        "ForecastCategory" => leaf == "ForecastCategoryName",
        "ForecastCategoryName" => leaf == "ForecastCategory",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Mapping;
    use ObjectKind::{Account, Contact, Opportunity, OpportunityContactRole, User};

    fn set(fields: &[&str]) -> BTreeSet<String> {
        fields.iter().map(|field| (*field).to_owned()).collect()
    }

    /// With the stamp that every update carries.
    fn touched(object: ObjectKind, changed: &[&str], leaf: &str) -> bool {
        let mut changed = set(changed);
        changed.insert("LastModifiedDate".to_owned());
        touches(object, &changed, &set(&[leaf]))
    }

    #[test]
    fn plain_fields_touch_themselves_alone() {
        assert!(touched(Opportunity, &["Amount"], "Amount"));
        assert!(!touched(Opportunity, &["Amount"], "NextStep"));
        assert!(touched(Opportunity, &["Fax__c", "Deal__c"], "Deal__c"));
        assert!(!touched(Opportunity, &["Name"], "FirstName__c"));
        assert!(!touched(Account, &["Phone"], "Name"));
        assert!(!touches(Account, &set(&["Phone"]), &BTreeSet::new()));
    }

    #[test]
    fn names_of_persons() {
        for object in [Contact, User, Account] {
            for leaf in [
                "Name",
                "FirstName",
                "LastName",
                "Salutation",
                "MiddleName",
                "Suffix",
            ] {
                assert!(touched(object, &["Name"], leaf), "{object} {leaf}");
            }
            assert!(touched(object, &["Name.FirstName"], "FirstName"));
            assert!(
                touched(object, &["Name.FirstName"], "Name"),
                "the whole name has the part in it"
            );
            assert!(!touched(object, &["Name.FirstName"], "LastName"));
            assert!(!touched(object, &["Name"], "Username"));
        }
    }

    #[test]
    fn addresses() {
        assert!(touched(Account, &["BillingAddress"], "BillingStreet"));
        assert!(touched(
            Account,
            &["BillingAddress.Street"],
            "BillingStreet"
        ));
        assert!(touched(
            Account,
            &["BillingAddress.Street"],
            "BillingAddress"
        ));
        assert!(!touched(Account, &["BillingAddress.Street"], "BillingCity"));
        assert!(!touched(Account, &["BillingAddress"], "ShippingStreet"));
        assert!(!touched(Account, &["BillingAddress"], "BillingNote__c"));
        assert!(touched(
            Account,
            &["BillingAddress.StateCode"],
            "BillingState"
        ));
        assert!(touched(
            Account,
            &["BillingAddress.Country"],
            "BillingCountryCode"
        ));
        assert!(touched(
            Account,
            &["BillingAddress.City"],
            "BillingLatitude"
        ));
        assert!(touched(
            Account,
            &["BillingAddress.PostalCode"],
            "BillingPostalCode"
        ));
        assert!(!touched(
            Account,
            &["BillingAddress.PostalCode"],
            "BillingState"
        ));
        assert!(touched(Contact, &["MailingAddress"], "MailingCity"));
        assert!(touched(User, &["Address"], "City"));
        assert!(!touched(User, &["Address"], "Title"));
        assert!(touched(Account, &["Site__c"], "Site__Street__s"));
        assert!(touched(Account, &["Site__c.Street"], "Site__Street__s"));
        assert!(!touched(Account, &["Site__c.Street"], "Site__City__s"));
        assert!(!touched(Account, &["Site__c"], "Site2__Street__s"));
    }

    #[test]
    fn flag_lists_of_users() {
        assert!(touched(
            User,
            &["UserPreferences"],
            "UserPreferencesDarkMode"
        ));
        assert!(!touched(
            User,
            &["UserPreferences"],
            "UserPermissionsMobileUser"
        ));
    }

    #[test]
    fn a_stage_decides_other_fields() {
        for leaf in [
            "IsClosed",
            "IsWon",
            "Probability",
            "ForecastCategory",
            "ForecastCategoryName",
            "ExpectedRevenue",
            "StageName",
        ] {
            assert!(touched(Opportunity, &["StageName"], leaf), "{leaf}");
        }
        assert!(!touched(Opportunity, &["StageName"], "Amount"));
        assert!(touched(Opportunity, &["Amount"], "ExpectedRevenue"));
        assert!(touched(Opportunity, &["Probability"], "ExpectedRevenue"));
        assert!(touched(
            Opportunity,
            &["ForecastCategory"],
            "ForecastCategoryName"
        ));
    }

    #[test]
    fn fields_of_parents_change_with_the_reference() {
        assert!(touched(Opportunity, &["OwnerId"], "Owner.IsActive"));
        assert!(touched(Opportunity, &["AccountId"], "Account.Owner.Name"));
        assert!(touched(Opportunity, &["Deal__c"], "Deal__r.Size__c"));
        assert!(!touched(Opportunity, &["Deal__c"], "Dealer__r.Size__c"));
        assert!(!touched(Opportunity, &["AccountId"], "Owner.IsActive"));
        assert!(!touched(Opportunity, &["Name"], "Owner.Name"));
    }

    #[test]
    fn events_that_cannot_name_what_changed() {
        let leaf = set(&["Name"]);
        assert!(touches(Account, &set(&["LastModifiedDate"]), &leaf));
        assert!(touches(
            Account,
            &set(&["LastModifiedDate", "LastModifiedById"]),
            &leaf
        ));
        assert!(touches(Account, &BTreeSet::new(), &leaf));
        assert!(touches(
            OpportunityContactRole,
            &set(&["LastModifiedDate", "Note__c"]),
            &set(&["IsPrimary"])
        ));
        assert!(touched(Opportunity, &["NextStep"], "SystemModstamp"));
        assert!(touched(Opportunity, &["CloseDate"], "FiscalYear"));
    }

    #[test]
    fn every_update_touches_the_default_mapping_of_opportunities() {
        let mapping = Mapping::default();
        let changed = set(&["Fax__c", "LastModifiedDate"]);
        assert!(touches(
            Opportunity,
            &changed,
            &mapping.salesforce_fields(Opportunity)
        ));
        assert!(!touches(
            Account,
            &changed,
            &mapping.salesforce_fields(Account)
        ));
        assert!(!touches(
            Contact,
            &changed,
            &mapping.salesforce_fields(Contact)
        ));
        assert!(!touches(User, &changed, &mapping.salesforce_fields(User)));
    }
}
