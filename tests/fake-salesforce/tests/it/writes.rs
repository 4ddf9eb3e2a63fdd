//! Writes in process: defaults, cascades, merges, the ledger.
use std::sync::{Arc, Mutex};

use fake_salesforce::commit::ChangeKind;
use fake_salesforce::dml::Dml;
use fake_salesforce::org::Org;
use fake_salesforce::pubsub::EventLog;
use serde_json::{Value, json};

use crate::common::{fields, insert, one, org, update};

fn opportunity(org: &Org, account: Option<&str>) -> String {
    insert(
        org,
        "Opportunity",
        json!({"Name": "Deal", "StageName": "Value Proposition", "CloseDate": "2026-08-31",
               "Amount": 1000, "AccountId": account}),
    )
}

/// The steps of the newest commit: object, kind, id.
fn last_steps(org: &Org) -> Vec<(String, ChangeKind, String)> {
    let commits = org.commits_since(0);
    let steps = commits.last().unwrap().changes.iter();
    steps
        .map(|step| (step.entity.clone(), step.kind, step.id.clone()))
        .collect()
}

#[test]
fn an_opportunity_takes_its_defaults_from_its_stage() {
    let (org, _) = org();
    let id = opportunity(&org, None);
    let row = org.record("Opportunity", &id).unwrap().row();
    assert_eq!(row["Probability"], json!(50.0));
    assert_eq!(row["ExpectedRevenue"], json!(500.0));
    assert_eq!(row["IsClosed"], json!(false));
    assert_eq!(row["ForecastCategoryName"], json!("Pipeline"));
    assert_eq!(row["OwnerId"], json!(org.admin_id()));
    assert_eq!(row["CreatedDate"], json!("2026-06-15T12:00:00.000+0000"));
    assert_eq!(row["Fiscal"], json!("2026 3"));
    assert_eq!(row["AccountId"], json!(null));
    assert!(id.starts_with("006") && id.len() == 18);
}

#[test]
fn closing_a_deal_reports_the_derived_fields_with_it() {
    let (org, hands) = org();
    let id = opportunity(&org, None);
    hands.forward_s(5);
    update(
        &org,
        "Opportunity",
        &id,
        json!({"StageName": "Closed Lost"}),
    );
    let commits = org.commits_since(0);
    let commit = commits.last().unwrap();
    let step = &commit.changes[0];
    assert_eq!(
        step.changed,
        [
            "StageName",
            "Probability",
            "ExpectedRevenue",
            "IsClosed",
            "ForecastCategory",
            "ForecastCategoryName",
            "LastModifiedDate",
            "LastStageChangeDate"
        ]
    );
    assert_eq!(step.after.get("ForecastCategory"), json!("Omitted"));
    assert_eq!(step.before.as_ref().unwrap().get("IsClosed"), json!(false));
    assert_eq!(commit.stamp_ms, 1_781_524_805_000);
    assert_eq!(commit.at_micros, 1_781_524_805_250_000);
}

#[test]
fn a_write_that_is_refused_leaves_nothing() {
    let (org, _) = org();
    let commits = org.commits_since(0).len();
    let bad = |entity: &str, value| {
        let op = Dml::Insert {
            entity: entity.to_owned(),
            fields: fields(value),
        };
        org.transact(org.admin_id(), "", vec![op]).unwrap_err().code
    };
    assert_eq!(bad("Account", json!({})), "REQUIRED_FIELD_MISSING");
    assert_eq!(
        bad("Account", json!({"Name": "x", "Nope": 1})),
        "INVALID_FIELD"
    );
    assert_eq!(bad("Nope", json!({})), "INVALID_TYPE");
    assert_eq!(
        bad("Contact", json!({"LastName": "x".repeat(81)})),
        "STRING_TOO_LONG"
    );
    assert_eq!(
        bad(
            "Contact",
            json!({"LastName": "x", "AccountId": "001000000000001AAA"})
        ),
        "INVALID_CROSS_REFERENCE_KEY"
    );
    assert_eq!(
        bad(
            "Contact",
            json!({"LastName": "x", "AccountId": "003000000000001AAA"})
        ),
        "MALFORMED_ID"
    );
    assert_eq!(
        bad(
            "Opportunity",
            json!({"Name": "x", "StageName": "y", "CloseDate": "2026-02-30"})
        ),
        "JSON_PARSER_ERROR"
    );
    assert_eq!(
        bad("Opportunity", json!({"Name": "x", "IsClosed": true})),
        "INVALID_FIELD_FOR_INSERT_UPDATE"
    );
    assert_eq!(org.commits_since(0).len(), commits);
}

#[test]
fn all_or_none_rolls_back_and_partial_keeps_what_succeeded() {
    let (org, _) = org();
    let ops = || {
        vec![
            Dml::Insert {
                entity: "Account".to_owned(),
                fields: fields(json!({"Name": "Good"})),
            },
            Dml::Insert {
                entity: "Account".to_owned(),
                fields: fields(json!({})),
            },
        ]
    };
    let all = org.write(org.admin_id(), "", ops(), true);
    let codes: Vec<_> = all
        .iter()
        .map(|result| result.error.as_ref().unwrap().code)
        .collect();
    assert_eq!(
        codes,
        [
            "ALL_OR_NONE_OPERATION_ROLLED_BACK",
            "REQUIRED_FIELD_MISSING"
        ]
    );
    assert!(org.records("Account").is_empty());
    let some = org.write(org.admin_id(), "", ops(), false);
    assert!(some[0].success() && !some[1].success());
    assert_eq!(org.records("Account").len(), 1);
}

#[test]
fn deleting_an_account_takes_what_hangs_on_it_and_undelete_brings_it_back() {
    let (org, _) = org();
    let account = insert(&org, "Account", json!({"Name": "A"}));
    let contact = insert(
        &org,
        "Contact",
        json!({"LastName": "C", "AccountId": account}),
    );
    let deal = opportunity(&org, Some(&account));
    let role = insert(
        &org,
        "OpportunityContactRole",
        json!({"OpportunityId": deal, "ContactId": contact, "IsPrimary": true}),
    );
    let delete = |entity: &str, id: &str| Dml::Delete {
        entity: entity.to_owned(),
        id: id.to_owned(),
    };
    one(&org, delete("Account", &account));
    let expected = |kind| {
        [
            ("Account", &account),
            ("Opportunity", &deal),
            ("OpportunityContactRole", &role),
            ("Contact", &contact),
        ]
        .map(|(entity, id)| (entity.to_owned(), kind, id.clone()))
    };
    assert_eq!(last_steps(&org), expected(ChangeKind::Delete));
    assert!(
        org.record("OpportunityContactRole", &role)
            .unwrap()
            .flag("IsDeleted")
    );
    let again = org.transact(org.admin_id(), "", vec![delete("Account", &account)]);
    assert_eq!(again.unwrap_err().code, "ENTITY_IS_DELETED");
    one(
        &org,
        Dml::Undelete {
            entity: "Account".to_owned(),
            id: account.clone(),
        },
    );
    assert_eq!(last_steps(&org), expected(ChangeKind::Undelete));
    assert_eq!(
        org.record("Opportunity", &deal).unwrap().text("AccountId"),
        Some(account.as_str())
    );
}

#[test]
fn a_merge_moves_the_children_and_names_the_master() {
    let (org, _) = org();
    let winner = insert(&org, "Account", json!({"Name": "W"}));
    let loser = insert(&org, "Account", json!({"Name": "L", "Phone": "1"}));
    let deal = opportunity(&org, Some(&loser));
    let contact = insert(
        &org,
        "Contact",
        json!({"LastName": "C", "AccountId": loser}),
    );
    one(
        &org,
        Dml::Merge {
            entity: "Account".to_owned(),
            winner: winner.clone(),
            losers: vec![loser.clone()],
        },
    );
    let steps: Vec<_> = last_steps(&org)
        .into_iter()
        .map(|(_, kind, id)| (kind, id))
        .collect();
    assert_eq!(
        steps,
        [
            (ChangeKind::Update, winner.clone()),
            (ChangeKind::Delete, loser.clone()),
            (ChangeKind::Update, deal.clone()),
            (ChangeKind::Update, contact)
        ]
    );
    let gone = org.record("Account", &loser).unwrap();
    assert_eq!(gone.text("MasterRecordId"), Some(winner.as_str()));
    assert_eq!(
        org.record("Account", &winner).unwrap().get("Phone"),
        json!("1")
    );
    assert_eq!(
        org.record("Opportunity", &deal).unwrap().text("AccountId"),
        Some(winner.as_str())
    );
}

#[test]
fn one_primary_role_at_a_time() {
    let (org, _) = org();
    let deal = opportunity(&org, None);
    let contact = insert(&org, "Contact", json!({"LastName": "C"}));
    let role = |primary: bool| {
        insert(
            &org,
            "OpportunityContactRole",
            json!({"OpportunityId": deal, "ContactId": contact, "IsPrimary": primary}),
        )
    };
    let (first, second) = (role(true), role(true));
    assert!(
        !org.record("OpportunityContactRole", &first)
            .unwrap()
            .flag("IsPrimary")
    );
    update(
        &org,
        "OpportunityContactRole",
        &first,
        json!({"IsPrimary": true}),
    );
    assert!(
        !org.record("OpportunityContactRole", &second)
            .unwrap()
            .flag("IsPrimary")
    );
    assert_eq!(last_steps(&org).len(), 2);
}

#[test]
fn a_retyped_stage_turns_its_opportunities_without_a_change() {
    let (org, _) = org();
    let deal = opportunity(&org, None);
    let stage = org
        .records("OpportunityStage")
        .into_iter()
        .find(|row| row.text("ApiName") == Some("Value Proposition"))
        .unwrap();
    let stamp = org
        .record("Opportunity", &deal)
        .unwrap()
        .get("SystemModstamp");
    update(
        &org,
        "OpportunityStage",
        stage.id(),
        json!({"IsClosed": true, "IsWon": true, "ForecastCategory": "Closed", "ForecastCategoryName": "Closed"}),
    );
    let row = org.record("Opportunity", &deal).unwrap();
    assert!(row.flag("IsClosed") && row.flag("IsWon"));
    assert_eq!(row.get("SystemModstamp"), stamp);
    let commits = org.commits_since(0);
    assert_eq!(commits.last().unwrap().changes.len(), 1);
    assert_eq!(commits.last().unwrap().silent[0].id, deal);
}

#[test]
fn a_formula_says_something_else_without_a_change() {
    let (org, _) = org();
    let deal = opportunity(&org, None);
    let log = EventLog::attach(&org);
    let field = json!({"entity": "Opportunity", "name": "Score__c", "type": "double", "scale": 1, "calculated": true});
    org.add_field(&serde_json::from_value(field).unwrap())
        .unwrap();
    let before = org.record("Opportunity", &deal).unwrap();
    let wish = |field: &str, value: Value| {
        let wish =
            json!({"entity": "Opportunity", "field": field, "values": {(deal.clone()): value}});
        org.recalculate(&serde_json::from_value(wish).unwrap())
    };
    wish("Score__c", json!(12.5)).unwrap();
    let after = org.record("Opportunity", &deal).unwrap();
    assert_eq!(after.get("Score__c"), json!(12.5));
    assert_eq!(after.get("SystemModstamp"), before.get("SystemModstamp"));
    let commit = org.commits_since(0).pop().unwrap();
    assert!(commit.changes.is_empty());
    assert_eq!(commit.silent[0].changed.last().unwrap(), "Score__c");
    assert_eq!(log.events_after(None, 10).unwrap().len(), 0);
    assert!(wish("Amount", json!(1)).is_err(), "nobody calculates it");
    assert!(wish("Score__c", json!("high")).is_err());
    // Nobody writes it, describe says so, and it can be asked for.
    let write = org.transact(
        org.admin_id(),
        "",
        vec![Dml::Update {
            entity: "Opportunity".to_owned(),
            id: deal.clone(),
            fields: json!({"Score__c": 1}).as_object().unwrap().clone(),
        }],
    );
    assert!(write.is_err());
    let found = org.query("SELECT Id FROM Opportunity WHERE Score__c > 12", false);
    assert_eq!(found.unwrap().len(), 1);
}

#[test]
fn a_group_assignment_carries_the_groups_own_set_and_names_are_unique() {
    let (org, _) = org();
    let group = insert(
        &org,
        "PermissionSetGroup",
        json!({"DeveloperName": "Sales_Apps"}),
    );
    let user = insert(
        &org,
        "User",
        json!({"LastName": "U", "Username": "u@x.example", "Email": "u@x.example"}),
    );
    let assignment = insert(
        &org,
        "PermissionSetAssignment",
        json!({"AssigneeId": user, "PermissionSetGroupId": group}),
    );
    let row = org.record("PermissionSetAssignment", &assignment).unwrap();
    let set = org
        .record("PermissionSet", row.text("PermissionSetId").unwrap())
        .unwrap();
    assert_eq!(set.text("Type"), Some("Group"));
    assert_eq!(set.text("PermissionSetGroupId"), Some(group.as_str()));
    let twin = Dml::Insert {
        entity: "PermissionSetAssignment".to_owned(),
        fields: fields(json!({"AssigneeId": user, "PermissionSetGroupId": group})),
    };
    assert_eq!(
        org.transact(&user, "", vec![twin]).unwrap_err().code,
        "DUPLICATE_VALUE"
    );
    one(
        &org,
        Dml::Delete {
            entity: "PermissionSetAssignment".to_owned(),
            id: assignment.clone(),
        },
    );
    assert!(org.record("PermissionSetAssignment", &assignment).is_none());
}

#[test]
fn hooks_hear_commits_in_order_and_may_read() {
    let (org, _) = org();
    let heard = Arc::new(Mutex::new(Vec::new()));
    {
        let (heard, reader) = (Arc::clone(&heard), Arc::downgrade(&org));
        org.on_commit(Box::new(move |commit| {
            let org = reader.upgrade().unwrap();
            let id = &commit.changes[0].id;
            let seen = org.record("Account", id).is_some();
            heard.lock().unwrap().push((commit.number, seen));
        }));
    }
    insert(&org, "Account", json!({"Name": "A"}));
    insert(&org, "Account", json!({"Name": "B"}));
    let heard = heard.lock().unwrap();
    assert_eq!(heard.len(), 2);
    assert!(heard[0].0 < heard[1].0 && heard.iter().all(|(_, seen)| *seen));
}

#[test]
fn a_generated_org_is_the_same_for_the_same_seed() {
    let (left, _) = org();
    let (right, _) = org();
    left.generate(200, 3);
    right.generate(200, 3);
    for entity in [
        "User",
        "Account",
        "Contact",
        "Opportunity",
        "OpportunityContactRole",
    ] {
        assert_eq!(left.records(entity), right.records(entity));
    }
    assert_eq!(left.records("Opportunity").len(), 200);
    assert_eq!(left.records("Account").len(), 80);
    assert_eq!(left.records("Contact").len(), 240);
    assert_eq!(left.records("User").len(), 31);
    let roles = left.records("OpportunityContactRole").len();
    assert!((150..=320).contains(&roles), "{roles}");
}
