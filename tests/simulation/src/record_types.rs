//! Filters that name the record type of an opportunity: what hangs on it is judged by a field of its
//! parent.

use fake_mos::RecordType;
use serde_json::json;

use crate::office::Office;

fn record_type(office: &Office, name: &str) -> String {
    let wanted = json!({ "entity": "Opportunity", "developer_name": name, "name": name });
    let wanted = serde_json::from_value(wanted).unwrap();
    office.world.org.add_record_type(&wanted).unwrap()
}

/// The contact of a new contact role, and the role.
fn on(office: &Office, deal: &str) -> [String; 2] {
    let contact = office.insert("Contact", &json!({ "LastName": "Cid" }));
    let role = json!({ "OpportunityId": deal, "ContactId": contact });
    let role = office.insert("OpportunityContactRole", &role);
    [contact, role]
}

fn came(office: &Office, [contact, role]: &[String; 2]) -> [bool; 2] {
    [
        office.has(RecordType::Contact, contact),
        office
            .world
            .mos
            .record(RecordType::ContactRole, role)
            .is_some(),
    ]
}

#[tokio::test(start_paused = true)]
async fn contact_roles_come_through_a_filter_on_the_record_type_of_their_deal() {
    let mut office = Office::closed();
    let [renewal, other] = ["Renewal", "New_Business"].map(|name| record_type(&office, name));
    let owner = office.user("Ada");
    office.grant(&owner);
    let [matching, not] =
        [&renewal, &other].map(|of| office.deal(&owner, &json!({ "RecordTypeId": of })));
    let condition = json!({
        "field": "RecordType.DeveloperName", "operator": "equals", "values": ["Renewal"],
    });
    let document = json!({ "filter": { "conditions": [condition] } });
    office.save(&document).await;
    let loaded = on(&office, &matching);
    let left_out = on(&office, &not);
    office.world.start_all();
    office.rest().await;
    assert_eq!(came(&office, &loaded), [true; 2], "by the full load");
    assert_eq!(came(&office, &left_out), [false; 2]);

    let live = on(&office, &matching);
    let live_left_out = on(&office, &not);
    office.rest().await;
    assert_eq!(came(&office, &live), [true; 2], "by a change of its own");
    assert_eq!(came(&office, &live_left_out), [false; 2]);

    office.update("Opportunity", &not, &json!({ "RecordTypeId": renewal }));
    office.rest().await;
    for brought in [left_out, live_left_out] {
        assert_eq!(came(&office, &brought), [true; 2], "with its deal");
    }
}
