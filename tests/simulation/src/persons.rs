//! Person accounts: a company in mOS and, with a role on a deal, a contact as well.

use fake_mos::RecordType;
use serde_json::json;

use crate::office::Office;

#[tokio::test(start_paused = true)]
async fn a_person_account_is_a_company_and_with_a_role_a_contact() {
    let mut owner = String::new();
    let office = Office::open(|office| {
        office.world.org.enable_person_accounts();
        owner = office.user("Ada");
        office.grant(&owner);
    })
    .await;
    let person = office.insert(
        "Account",
        &json!({ "FirstName": "Pia", "LastName": "Prima", "PersonEmail": "pia@example.com", "Phone": "1" }),
    );
    let contact = office.world.org.record("Account", &person).unwrap();
    let contact = contact.text("PersonContactId").unwrap().to_owned();
    let deal = office.deal(&owner, &json!({ "AccountId": person }));
    office.rest().await;
    let company = |field| office.in_mos(RecordType::Company, &person, field);
    assert_eq!(company("name"), Some(json!("Pia Prima")));
    assert!(
        !office.has(RecordType::Contact, &contact),
        "no role, no contact"
    );

    office.insert(
        "OpportunityContactRole",
        &json!({ "OpportunityId": deal, "ContactId": contact, "Role": "Decision Maker" }),
    );
    office.rest().await;
    let of_contact = |field| office.in_mos(RecordType::Contact, &contact, field);
    assert_eq!(of_contact("name"), Some(json!("Pia Prima")));
    assert_eq!(of_contact("email"), Some(json!("pia@example.com")));
    assert_eq!(of_contact("company_id"), Some(json!(person)));

    let fields = json!({ "LastName": "Seconda", "PersonTitle": "Dr", "PersonEmail": null });
    office.update("Account", &person, &fields);
    office.rest().await;
    let company = |field| office.in_mos(RecordType::Company, &person, field);
    let of_contact = |field| office.in_mos(RecordType::Contact, &contact, field);
    assert_eq!(company("name"), Some(json!("Pia Seconda")));
    assert_eq!(of_contact("name"), Some(json!("Pia Seconda")));
    assert_eq!(of_contact("title"), Some(json!("Dr")));
    assert_eq!(of_contact("email"), Some(json!(null)));
}

#[tokio::test(start_paused = true)]
async fn a_full_load_brings_persons_as_companies_and_contacts() {
    let (mut person, mut contact, mut business) = Default::default();
    let office = Office::open(|office| {
        office.world.org.enable_person_accounts();
        let owner = office.user("Ada");
        office.grant(&owner);
        person = office.insert("Account", &json!({ "LastName": "Prima" }));
        let row = office.world.org.record("Account", &person).unwrap();
        contact = row.text("PersonContactId").unwrap().to_owned();
        business = office.insert("Account", &json!({ "Name": "Acme" }));
        office.deal(&owner, &json!({ "AccountId": business }));
        let deal = office.deal(&owner, &json!({ "AccountId": person }));
        office.insert(
            "OpportunityContactRole",
            &json!({ "OpportunityId": deal, "ContactId": contact }),
        );
    })
    .await;
    let name = |kind, id: &str| office.in_mos(kind, id, "name");
    assert_eq!(name(RecordType::Company, &person), Some(json!("Prima")));
    assert_eq!(name(RecordType::Contact, &contact), Some(json!("Prima")));
    assert_eq!(name(RecordType::Company, &business), Some(json!("Acme")));
}
