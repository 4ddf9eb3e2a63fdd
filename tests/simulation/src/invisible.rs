//! Records that the integration user may not see: counted and parked, told apart from deleted
//! ones, and brought by themselves once they can be seen.

use domain::ObjectKind;
use domain::failure::FailureKind;
use domain::tally::Count;
use fake_mos::RecordType;
use serde_json::json;

use crate::entering::{alarm, told, view_all_data, view_all_users};
use crate::office::Office;
use crate::rest;

async fn parked(office: &Office) -> Vec<(ObjectKind, String, FailureKind)> {
    let parked = rest::parked(&office.world).await.into_iter();
    parked
        .map(|parked| (parked.object, parked.id.to_string(), parked.kind))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn an_opportunity_that_is_hidden_is_parked_and_one_that_is_deleted_is_gone() {
    let (office, owner) = Office::with_owner(|_, _| {}).await;
    let hidden = office.deal(&owner, &json!({}));
    office.world.org.hide_record(&hidden, true).unwrap();
    let deleted = office.deal(&owner, &json!({}));
    office.delete("Opportunity", &deleted);
    office.rest().await;
    let only = (
        ObjectKind::Opportunity,
        hidden.clone(),
        FailureKind::Unreadable,
    );
    assert_eq!(parked(&office).await, [only]);
    assert_eq!(
        office
            .counted(ObjectKind::Opportunity, Count::Unreadable)
            .await,
        1
    );
    assert!(office.counted(ObjectKind::Opportunity, Count::Gone).await >= 1);
    assert!(!office.has(RecordType::Opportunity, &hidden));

    office.world.org.hide_record(&hidden, false).unwrap();
    let hour = std::time::Duration::from_secs(3_700);
    let came = office
        .comes_within(hour, |office| office.has(RecordType::Opportunity, &hidden))
        .await;
    assert!(came, "brought by itself once it can be seen");
    office.rest().await;
    assert_eq!(parked(&office).await, []);
}

/// A deleted opportunity may be hidden too: the event says that it is gone, and that settles it.
#[tokio::test(start_paused = true)]
async fn a_hidden_record_whose_deletion_was_told_is_gone_and_not_parked() {
    let (office, owner) = Office::with_owner(|_, _| {}).await;
    let deal = office.deal(&owner, &json!({}));
    office.rest().await;
    office.world.org.hide_record(&deal, true).unwrap();
    office.delete("Opportunity", &deal);
    office.rest().await;
    assert_eq!(parked(&office).await, []);
    assert!(
        office.has(RecordType::Opportunity, &deal),
        "nothing is ever deleted"
    );
}

#[tokio::test(start_paused = true)]
async fn a_contact_that_is_hidden_is_parked_with_its_role_and_both_come_when_it_is_shown() {
    let mut contact = String::new();
    let (office, owner) = Office::with_owner(|office, _| {
        contact = office.insert("Contact", &json!({ "LastName": "Cid" }));
        office.world.org.hide_record(&contact, true).unwrap();
    })
    .await;
    let deal = office.deal(&owner, &json!({}));
    let role = office.insert(
        "OpportunityContactRole",
        &json!({ "OpportunityId": deal, "ContactId": contact }),
    );
    office.rest().await;
    assert!(
        office.has(RecordType::Opportunity, &deal),
        "the deal waits for nobody"
    );
    let found = parked(&office).await;
    let unreadable = (
        ObjectKind::Contact,
        contact.clone(),
        FailureKind::Unreadable,
    );
    let waits = (
        ObjectKind::OpportunityContactRole,
        role.clone(),
        FailureKind::ParentMissing,
    );
    assert_eq!(found, [unreadable, waits]);

    office.world.org.hide_record(&contact, false).unwrap();
    let hour = std::time::Duration::from_secs(3_700);
    let came = office
        .comes_within(hour, |office| {
            office.has(RecordType::Contact, &contact)
                && office
                    .world
                    .mos
                    .record(RecordType::ContactRole, &role)
                    .is_some()
        })
        .await;
    assert!(came);
    office.rest().await;
    assert_eq!(parked(&office).await, []);
}

/// By a full load too: a role names a contact that no query shows.
#[tokio::test(start_paused = true)]
async fn a_full_load_is_not_silent_about_what_it_cannot_see() {
    let (mut contact, mut role) = (String::new(), String::new());
    let (office, _) = Office::with_owner(|office, owner| {
        contact = office.insert("Contact", &json!({ "LastName": "Cid" }));
        office.world.org.hide_record(&contact, true).unwrap();
        let deal = office.deal(owner, &json!({}));
        role = office.insert(
            "OpportunityContactRole",
            &json!({ "OpportunityId": deal, "ContactId": contact }),
        );
    })
    .await;
    let found = parked(&office).await;
    assert!(
        found.contains(&(ObjectKind::Contact, contact, FailureKind::Unreadable)),
        "{found:?}"
    );
}

/// Nothing ever changes and nothing names what is hidden, so that only the missing permission tells of
/// it.
#[tokio::test(start_paused = true)]
async fn an_integration_user_who_does_not_see_every_record_is_an_alarm_from_the_first_day() {
    let mut deal = String::new();
    let (office, _) = Office::with_owner(|office, owner| {
        deal = office.deal(owner, &json!({}));
        office.world.org.hide_record(&deal, true).unwrap();
        view_all_data(&office.world, false);
        let set = office.insert("PermissionSet", &json!({ "Name": "Integration" }));
        let rights = json!({ "ParentId": set, "SobjectType": "Account", "PermissionsRead": true, "PermissionsViewAllRecords": true });
        office.insert("ObjectPermissions", &rights);
        let user = office.world.org.admin_id().to_owned();
        let assigned = json!({ "AssigneeId": user, "PermissionSetId": set });
        office.insert("PermissionSetAssignment", &assigned);
    })
    .await;
    assert!(!office.has(RecordType::Opportunity, &deal));
    assert_eq!(parked(&office).await, [], "nothing has named it");
    let why = alarm(&office.world).await.expect("an alarm");
    let words = "neither View All Data nor View All Records of Contact, Opportunity:";
    assert!(why.contains(words), "{why}");
    assert_eq!(told(&office.world, "org").await, [why]);

    view_all_data(&office.world, true);
    office.world.org.hide_record(&deal, false).unwrap();
    let soon = std::time::Duration::from_secs(25 * 60);
    let came = office
        .comes_within(soon, |office| office.has(RecordType::Opportunity, &deal))
        .await;
    assert!(came, "brought by itself once it can be seen");
    office.rest().await;
    assert_eq!(alarm(&office.world).await, None);
}

/// Salesforce tells the changes of users to nobody else, however much else the user may see, and says
/// nothing.
#[tokio::test(start_paused = true)]
async fn an_integration_user_who_does_not_hear_of_users_is_an_alarm_from_the_first_day() {
    let office = Office::open(|office| view_all_users(&office.world, false)).await;
    let why = alarm(&office.world).await.expect("an alarm");
    assert!(why.contains("does not have View All Users:"), "{why}");
    assert_eq!(told(&office.world, "org").await, [why]);

    view_all_users(&office.world, true);
    tokio::time::sleep(std::time::Duration::from_secs(25 * 60)).await;
    assert_eq!(alarm(&office.world).await, None);
    let given = "the integration user has View All Users of users now".to_owned();
    assert!(told(&office.world, "org").await.contains(&given));

    let polled = Office::open(|office| {
        view_all_users(&office.world, false);
        office.world.poll([ObjectKind::User].into());
    })
    .await;
    assert_eq!(alarm(&polled.world).await, None);
}
