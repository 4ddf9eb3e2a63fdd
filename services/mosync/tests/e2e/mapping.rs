//! A mapping as an administrator has it: taken from the org's own custom metadata, with a field of a
//! parent, a formula, and a contract term counted in quarters.

use fake_mos::RecordType;
use serde_json::{Value, json};

use crate::steps::updating;
use crate::world::{Options, World};

fn install(world: &World) {
    let org = &world.salesforce.org;
    for field in [
        json!({"entity": "Opportunity", "name": "Term__c", "type": "double", "precision": 5, "scale": 1}),
        json!({"entity": "Opportunity", "name": "ARR__c", "type": "double", "precision": 9, "scale": 2, "calculated": true}),
    ] {
        org.add_field(&serde_json::from_value(field).unwrap())
            .unwrap();
    }
    let record = |name: &str, mos_field: &str, salesforce_field: &str, is_active: bool| {
        let record = json!({
            "developer_name": name, "object": "Opportunity", "mos_field": mos_field,
            "salesforce_field": salesforce_field, "is_active": is_active,
            "contract_term_type": "Quarterly",
        });
        serde_json::from_value(record).unwrap()
    };
    let records = [
        record("Contract_Term", "Contract Term", "Term__c", true),
        record("ARR", "ARR", "ARR__c", true),
        record("Industry", "lead_source", "Account.Industry", true),
        record("Description", "description", "Description", false),
    ];
    org.deploy_field_mapping(&records).unwrap();
}

fn deals(world: &World) -> Vec<String> {
    let deals = world.salesforce.org.records("Opportunity").into_iter();
    deals
        .filter(|deal| !deal.flag("IsDeleted"))
        .map(|deal| deal.id().to_owned())
        .collect()
}

/// Gives every deal a term, and what its formula then says.
fn terms(world: &World, term: &Value, arr: f64) {
    let org = &world.salesforce.org;
    let ids = deals(world);
    let values = ids.iter().map(|id| (id.clone(), json!(arr))).collect();
    org.recalculate(&fake_salesforce::setup_fields::Recalculation {
        entity: "Opportunity".to_owned(),
        field: "ARR__c".to_owned(),
        values,
    })
    .unwrap();
    let term = json!({"Term__c": term});
    let updates = ids.iter().map(|id| updating("Opportunity", id, &term));
    org.transact(org.admin_id(), "test", updates.collect())
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_orgs_own_mapping_reaches_mos_with_parents_formulas_and_terms() {
    let mut world = World::prepare(Options::default()).await;
    install(&world);
    terms(&world, &json!(2.5), 1_200.5);
    let import = ["settings", "import-mapping"];
    let look = world.mosync(&[&import[..], &["--dry-run"]].concat()).await;
    assert_eq!(look.code, Some(0), "{look:?}");
    for words in [
        "mOS_Field_Mapping__mdt has 4 records",
        "the record Description is not active",
        "nothing was changed",
    ] {
        assert!(look.stdout.contains(words), "{words}: {look:?}");
    }
    let taken = world.mosync(&import).await;
    assert_eq!(taken.code, Some(0), "{taken:?}");
    for words in [
        "settings revision 1 saved",
        "warning: the field mapping names ARR__c of Opportunity, a formula or roll-up",
        "warning: the field mapping names Account.Industry of Opportunity, a field of another record",
    ] {
        assert!(taken.stdout.contains(words), "{words}: {taken:?}");
    }
    let row = |mos_field: &str, salesforce_field: &str, active: bool| {
        json!({"object": "Opportunity", "mos_field": mos_field,
            "salesforce_field": salesforce_field, "active": active})
    };
    let mut term = row("contract_term", "Term__c", true);
    term["contract_term_type"] = json!("quarterly");
    world.settings = json!({"mapping": [
        term,
        row("arr", "ARR__c", true),
        row("lead_source", "Account.Industry", true),
        row("description", "Description", false),
    ]})
    .to_string();
    world.start_all();
    world.rest_and_audit("the mapping was there first").await;
    let held = |world: &World| {
        let records = world.mos.mos.records(RecordType::Opportunity).into_iter();
        let records = records.map(|record| serde_json::to_value(record).unwrap());
        records
            .map(|record| record["fields"].clone())
            .collect::<Vec<_>>()
    };
    let first = held(&world);
    assert!(!first.is_empty());
    let industries = first
        .iter()
        .filter(|fields| fields["lead_source"].is_string());
    assert!(industries.count() > 0, "no deal has its account's industry");
    for fields in &first {
        assert_eq!(fields["contract_term"], "7.5", "quarters as months");
        assert_eq!(fields["arr"], "1200.5");
        assert!(fields.get("description").is_none(), "left alone: {fields}");
    }

    // Changed while everything runs: the formula is read with the record that was saved.
    terms(&world, &json!(4), 99.0);
    world.rest_and_audit("terms were changed").await;
    for fields in held(&world)
        .iter()
        .filter(|fields| fields["is_closed"] != true)
    {
        assert_eq!(fields["contract_term"], "12");
        assert_eq!(fields["arr"], "99");
    }

    // A unit that is none is told by the record's name, and nothing is changed.
    let wrong = json!({"developer_name": "Contract_Term", "object": "Opportunity",
        "mos_field": "Contract Term", "salesforce_field": "Term__c", "is_active": true,
        "contract_term_type": "Weekly"});
    let wrong = [serde_json::from_value(wrong).unwrap()];
    world.salesforce.org.deploy_field_mapping(&wrong).unwrap();
    let refused = world.mosync(&import).await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused.stderr.contains("the record Contract_Term counts"),
        "{refused:?}"
    );
}
