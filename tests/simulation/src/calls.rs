//! The requests that a preview tells of are those that the job of the save then makes.

use console::views::{PreviewView, SaveSettings};
use fake_mos::RecordType;
use serde_json::{Value, json};

use crate::office::Office;

async fn preview(office: &Office, document: &Value) -> PreviewView {
    let current = office.world.stores.settings.current().await.unwrap();
    let asked = json!({ "base": current.revision, "settings": document });
    let asked: SaveSettings = serde_json::from_value(asked).unwrap();
    let operations = office.world.operations();
    operations.preview_settings(&asked).await.unwrap()
}

/// The statements and reads of the five objects' rows since the last time. Nobody but a job makes
/// any while all is quiet, apart from who looks at the org around them and asks for the zone of the
/// integration user.
fn made(office: &Office) -> Vec<String> {
    let mut made = office.world.salesforce.reads();
    made.retain(|made| !made.starts_with("SELECT TimeZoneSidKey, LocaleSidKey FROM User "));
    made
}

/// What the services ask about rules and the org whenever anything is saved is not the job's, nor is
/// what is asked all the time.
#[tokio::test(start_paused = true)]
async fn a_previewed_job_makes_the_calls_that_were_told() {
    let mut office = Office::closed();
    office.world.bulk_from = 1_000;
    let owner = office.user("Ada");
    office.grant(&owner);
    let account = office.insert("Account", &json!({ "Name": "Acme" }));
    let contact = json!({ "LastName": "Cid", "AccountId": account });
    let contact = office.insert("Contact", &contact);
    let condition = json!({ "field": "Amount", "operator": "greater_than", "values": ["500"] });
    let large = json!({ "filter": { "conditions": [condition] } });
    office.save(&large).await;
    // More than travel in one unit.
    let deals: Vec<String> = (0..250)
        .map(|_| office.deal(&owner, &json!({ "Amount": 10, "AccountId": account })))
        .collect();
    // A contact in each of the two units.
    for deal in [&deals[0], &deals[249]] {
        let role = json!({ "OpportunityId": deal, "ContactId": contact });
        office.insert("OpportunityContactRole", &role);
    }
    office.world.start_all();
    office.rest().await;
    // Another mapping has all five objects read.
    let row = json!({ "object": "Opportunity", "mos_field": "next_step", "salesforce_field": "Name", "active": true });
    let mapped = json!({ "mapping": [row] });
    for all in [json!({}), json!({ "sync_closed": true }), mapped] {
        office.save(&large).await;
        office.rest().await;
        let told = preview(&office, &all).await;
        let cost = told.job.unwrap().api_calls;
        assert!(!cost.at_least);
        made(&office);
        office.save(&all).await;
        office.rest().await;
        let made = made(&office);
        assert!(office.has(RecordType::Opportunity, &deals[249]));
        let counting = made
            .iter()
            .filter(|made| made.starts_with("SELECT COUNT() "));
        assert_eq!(counting.count() as u64, cost.counting, "{made:#?}");
        assert_eq!(made.len() as u64, cost.total, "{cost:?} {made:#?}");
    }
    let mapped = office.in_mos(RecordType::Opportunity, &deals[249], "next_step");
    assert_eq!(mapped, Some(json!("Deal")));
}
