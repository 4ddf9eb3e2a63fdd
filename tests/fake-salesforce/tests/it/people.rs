//! What the integration user may see, person accounts, and what belongs to users and groups.
use fake_salesforce::commit::ChangeKind;
use fake_salesforce::dml::Dml;
use fake_salesforce::org::Org;
use fake_salesforce::pubsub::EventLog;
use serde_json::{Value, json};

use crate::common::{fields, insert, one, org, update};

fn ids(org: &Org, soql: &str, all_rows: bool) -> Vec<String> {
    let rows = org.query(soql, all_rows).unwrap();
    let id = |row: &fake_salesforce::commit::Row| row["Id"].as_str().unwrap().to_owned();
    rows.iter().map(id).collect()
}

fn deal(org: &Org, account: Option<&str>) -> String {
    insert(
        org,
        "Opportunity",
        json!({"Name": "Deal", "StageName": "Prospecting", "CloseDate": "2026-08-31", "AccountId": account}),
    )
}

#[test]
fn a_hidden_record_is_found_by_nobody_and_shown_again() {
    let (org, _) = org();
    let (open, hidden) = (deal(&org, None), deal(&org, None));
    let contact = insert(&org, "Contact", json!({"LastName": "Cid"}));
    let role = json!({"OpportunityId": hidden, "ContactId": contact});
    let role = insert(&org, "OpportunityContactRole", role);
    org.hide_record(&hidden, true).unwrap();
    let all = "SELECT Id FROM Opportunity ORDER BY Id";
    assert_eq!(ids(&org, all, false), [open.clone()]);
    assert_eq!(ids(&org, all, true), [open.clone()], "queryAll neither");
    let by_id = [hidden.clone()];
    let found = org.retrieve("Opportunity", &by_id, &["Id".to_owned()]);
    assert_eq!(found.unwrap(), [None]);
    let roles = "SELECT Id FROM OpportunityContactRole";
    assert_eq!(ids(&org, roles, false), [""; 0], "its roles go with it");
    assert!(org.hide_record("006000000000000AAA", true).is_err());
    org.hide_record(&hidden, false).unwrap();
    assert_eq!(ids(&org, all, false).len(), 2);
    assert_eq!(ids(&org, roles, false), [role]);
}

#[test]
fn a_reference_to_a_hidden_record_leads_nowhere() {
    let (org, _) = org();
    let contact = insert(&org, "Contact", json!({"LastName": "Cid"}));
    let role = json!({"OpportunityId": deal(&org, None), "ContactId": contact});
    insert(&org, "OpportunityContactRole", role);
    org.hide_record(&contact, true).unwrap();
    let soql = "SELECT ContactId, Contact.Name FROM OpportunityContactRole";
    let rows = org.query(soql, false).unwrap();
    assert_eq!(rows[0]["ContactId"], json!(contact));
    assert_eq!(rows[0]["Contact"], Value::Null);
}

#[test]
fn an_account_stays_visible_as_long_as_one_of_its_children_is() {
    let (org, _) = org();
    let account = insert(&org, "Account", json!({"Name": "Acme"}));
    let deal = deal(&org, Some(&account));
    org.hide_record(&account, true).unwrap();
    let accounts = "SELECT Id FROM Account";
    assert_eq!(ids(&org, accounts, false), [account]);
    org.hide_record(&deal, true).unwrap();
    assert_eq!(ids(&org, accounts, false), [""; 0]);
}

/// Change Data Capture passes over sharing.
#[test]
fn events_tell_of_hidden_records() {
    let (org, _) = org();
    let log = EventLog::attach(&org);
    let deal = deal(&org, None);
    org.hide_record(&deal, true).unwrap();
    let before = log.latest_replay_id();
    update(&org, "Opportunity", &deal, json!({"Amount": 5}));
    assert_eq!(log.events_after(Some(&before), 10).unwrap().len(), 1);
}

#[test]
fn an_org_without_person_accounts_has_none_of_their_fields() {
    let (org, _) = org();
    assert!(
        org.query("SELECT IsPersonAccount FROM Account", false)
            .is_err()
    );
    let refused = Dml::Insert {
        entity: "Account".to_owned(),
        fields: fields(json!({"LastName": "Prima"})),
    };
    assert!(org.transact(org.admin_id(), "", vec![refused]).is_err());
}

#[test]
fn a_person_account_comes_with_a_contact_that_follows_it() {
    let (org, _) = org();
    insert(&org, "Account", json!({"Name": "Older than persons"}));
    org.enable_person_accounts();
    org.enable_person_accounts();
    let person = json!({"FirstName": "Pia", "LastName": "Prima", "PersonEmail": "pia@example.com"});
    let person = insert(&org, "Account", person);
    let commit = org.commits_since(0).pop().unwrap();
    let steps = commit.changes.iter();
    let steps: Vec<_> = steps
        .map(|step| (step.entity.as_str(), step.kind))
        .collect();
    assert_eq!(
        steps,
        [
            ("Account", ChangeKind::Create),
            ("Contact", ChangeKind::Create)
        ]
    );
    let account = org.record("Account", &person).unwrap();
    assert_eq!(account.text("Name"), Some("Pia Prima"));
    assert!(account.flag("IsPersonAccount"));
    let contact = account.text("PersonContactId").unwrap().to_owned();
    let soql = format!(
        "SELECT Name, Email, IsPersonAccount, AccountId FROM Contact WHERE Id = '{contact}'"
    );
    let row = org.query(&soql, false).unwrap().pop().unwrap();
    assert_eq!(row["Name"], json!("Pia Prima"));
    assert_eq!(row["Email"], json!("pia@example.com"));
    assert_eq!(
        (&row["IsPersonAccount"], &row["AccountId"]),
        (&json!(true), &json!(person))
    );

    update(
        &org,
        "Account",
        &person,
        json!({"LastName": "Seconda", "PersonEmail": null}),
    );
    let row = org.query(&soql, false).unwrap().pop().unwrap();
    assert_eq!(
        (&row["Name"], &row["Email"]),
        (&json!("Pia Seconda"), &Value::Null)
    );
    update(&org, "Account", &person, json!({"Description": "x"}));
    assert_eq!(
        org.commits_since(0).pop().unwrap().changes.len(),
        1,
        "nothing of the contact's"
    );
    one(
        &org,
        Dml::Delete {
            entity: "Account".to_owned(),
            id: person,
        },
    );
    assert!(org.record("Contact", &contact).unwrap().flag("IsDeleted"));
}

#[test]
fn a_person_is_written_by_the_parts_of_the_name_and_through_the_account() {
    let (org, _) = org();
    org.enable_person_accounts();
    let person = insert(&org, "Account", json!({"LastName": "Prima"}));
    let business = insert(&org, "Account", json!({"Name": "Acme"}));
    assert!(
        !org.record("Account", &business)
            .unwrap()
            .flag("IsPersonAccount")
    );
    let contact = org.record("Account", &person).unwrap();
    let contact = contact.text("PersonContactId").unwrap().to_owned();
    for (entity, id, change) in [
        ("Account", &person, json!({"Name": "Other"})),
        ("Account", &business, json!({"LastName": "Other"})),
        ("Contact", &contact, json!({"LastName": "Other"})),
    ] {
        let op = Dml::Update {
            entity: entity.to_owned(),
            id: id.clone(),
            fields: fields(change),
        };
        let refused = org.transact(org.admin_id(), "", vec![op]).unwrap_err();
        assert_eq!(refused.code, "INVALID_FIELD_FOR_INSERT_UPDATE", "{entity}");
    }
}

#[test]
fn everybody_has_a_login_that_can_be_frozen() {
    let (org, _) = org();
    let user = json!({"Username": "a@b.c", "LastName": "A", "Email": "a@b.c"});
    let user = insert(&org, "User", user);
    let soql = format!("SELECT Id, IsFrozen FROM UserLogin WHERE UserId = '{user}'");
    let row = org.query(&soql, false).unwrap().pop().unwrap();
    assert_eq!(row["IsFrozen"], json!(false));
    update(
        &org,
        "UserLogin",
        row["Id"].as_str().unwrap(),
        json!({"IsFrozen": true}),
    );
    assert_eq!(org.query(&soql, false).unwrap()[0]["IsFrozen"], json!(true));
}

/// A component refers to a set or to a muting set; the latter has no `PermissionSet.Name`.
#[test]
fn a_muting_set_in_a_group_is_no_permission_set() {
    let (org, _) = org();
    let group = insert(
        &org,
        "PermissionSetGroup",
        json!({"DeveloperName": "Sales"}),
    );
    let muting = json!({"DeveloperName": "mOS_User"});
    let muting = insert(&org, "MutingPermissionSet", muting);
    let component = json!({"PermissionSetGroupId": group, "PermissionSetId": muting});
    insert(&org, "PermissionSetGroupComponent", component);
    let soql = "SELECT PermissionSetId, PermissionSet.Name FROM PermissionSetGroupComponent";
    let row = org.query(soql, false).unwrap().pop().unwrap();
    assert_eq!(row["PermissionSetId"], json!(muting));
    assert_eq!(row["PermissionSet"], Value::Null);
}
