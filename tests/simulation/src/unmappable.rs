//! Values that mean nothing in mOS: their record is parked by name and counted, what travels with it
//! arrives, and it comes by itself once the value does.

use domain::ObjectKind;
use domain::failure::FailureKind;
use domain::mapping::{Mapping, MappingRow};
use domain::tally::Count;
use fake_mos::RecordType;
use serde_json::json;

use crate::office::Office;
use crate::rest;

#[tokio::test(start_paused = true)]
async fn a_record_with_a_value_that_mos_cannot_take_parks_alone() {
    let (office, owner) = Office::with_owner(|office, _| {
        // A picklist may list numbers, and anything else.
        let field = json!({
            "entity": "Opportunity", "name": "Seats__c", "type": "picklist",
            "values": ["12.50", "3", "plenty"],
        });
        let field = serde_json::from_value(field).unwrap();
        office.world.org.add_field(&field).unwrap();
    })
    .await;
    let mut rows = Mapping::default().rows().to_vec();
    rows.push(MappingRow {
        object: ObjectKind::Opportunity,
        mos_field: "arr".to_owned(),
        salesforce_field: "Seats__c".to_owned(),
        active: true,
        contract_term_type: None,
    });
    office.save(&json!({ "mapping": rows })).await;
    office.rest().await;
    // All three at once, so that they travel in one unit.
    let deals = [json!("12.50"), json!("plenty"), json!(null)]
        .map(|value| office.deal(&owner, &json!({ "Seats__c": value })));
    office.rest().await;
    let arr = |deal: &str| office.in_mos(RecordType::Opportunity, deal, "arr");
    assert_eq!(arr(&deals[0]), Some(json!("12.5")));
    assert_eq!(arr(&deals[2]), Some(json!(null)));
    assert!(!office.has(RecordType::Opportunity, &deals[1]));
    let parked = rest::parked(&office.world).await;
    let [parked] = &parked[..] else {
        panic!("one alone: {parked:?}");
    };
    assert_eq!(
        (parked.id.as_str(), parked.kind),
        (deals[1].as_str(), FailureKind::Unmappable)
    );
    for word in ["arr", "Seats__c", "number"] {
        assert!(parked.message.contains(word), "{}", parked.message);
    }
    assert!(!parked.message.contains("plenty"), "{}", parked.message);
    let counted = office.counted(ObjectKind::Opportunity, Count::Parked);
    assert_eq!(counted.await, 1);
    let jobs = office.world.stores.jobs.list(100).await.unwrap();
    for job in jobs {
        assert!(job.tally.difference().is_empty(), "{job:?}");
    }

    office.update("Opportunity", &deals[1], &json!({ "Seats__c": "3" }));
    office.rest().await;
    assert_eq!(arr(&deals[1]), Some(json!("3")));
    assert_eq!(rest::parked(&office.world).await, []);
}
