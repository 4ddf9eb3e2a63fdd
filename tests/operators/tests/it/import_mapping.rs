//! The field mapping of the org's custom metadata, taken over as a revision of the settings.

use console::views::{ImportMapping, ImportedView};
use console::{Author, Caller, OpsError};
use domain::ObjectKind;
use domain::mapping::{ContractTermType, Mapping};
use fake_salesforce::setup_mapping::FieldMapping;

use crate::desk::Desk;

fn record(name: &str, mos_field: &str, salesforce_field: &str) -> FieldMapping {
    FieldMapping {
        developer_name: name.to_owned(),
        object: "Opportunity".to_owned(),
        mos_field: mos_field.to_owned(),
        salesforce_field: salesforce_field.to_owned(),
        is_active: true,
        // The type's default, which stands in every record.
        contract_term_type: "Monthly".to_owned(),
    }
}

fn inactive(mut record: FieldMapping) -> FieldMapping {
    record.is_active = false;
    record
}

fn deploy(desk: &Desk, records: &[FieldMapping]) {
    desk.salesforce.deploy_field_mapping(records).unwrap();
}

async fn import(desk: &Desk, base: Option<u64>) -> Result<ImportedView, OpsError> {
    let asked = ImportMapping {
        metadata_type: None,
        base,
        dry_run: base.is_none(),
    };
    let author = Author::of(Caller::CommandLine, Some("ada"));
    desk.ops.import_mapping(&asked, &author).await
}

async fn mapping(desk: &Desk) -> Mapping {
    desk.stores
        .settings
        .current()
        .await
        .unwrap()
        .settings
        .mapping
}

#[tokio::test]
async fn the_orgs_mapping_is_shown_first_and_then_saved_as_a_revision() {
    let desk = Desk::open();
    let mut term = record("Contract_Term", "Contract Term", "Amount");
    term.contract_term_type = "Half Yearly".to_owned();
    deploy(
        &desk,
        &[
            // As it comes anyway.
            record("Amount", "amount", "Amount"),
            record("ARR", "ARR", "Amount"),
            term,
            inactive(record("Next_Step", "next_step", "NextStep")),
            inactive(record("Old_ARR", "arr", "Gone__c")),
            inactive(record("Nonsense", "no such field", "")),
        ],
    );
    let before = desk.stores.settings.current().await.unwrap();
    let effect = import(&desk, None).await.unwrap();
    assert_eq!((effect.records, effect.outcome.saved), (6, false));
    assert_eq!(
        desk.stores.settings.current().await.unwrap(),
        before,
        "a dry run"
    );
    for (name, words) in [
        (
            "Next_Step",
            "`next_step` of Opportunity stays in mOS as it is",
        ),
        ("Old_ARR", "ARR fills `arr` of Opportunity"),
        ("Nonsense", "is left out"),
    ] {
        let of = |remark: &&String| remark.contains(&format!("the record {name} is not active"));
        let remark = effect.remarks.iter().find(of);
        assert!(remark.unwrap().contains(words), "{:?}", effect.remarks);
    }
    assert_eq!(effect.remarks.len(), 3, "{:?}", effect.remarks);

    let saved = import(&desk, Some(before.revision)).await.unwrap().outcome;
    assert!(saved.saved);
    assert_eq!(saved.changes, effect.outcome.changes);
    assert!(
        saved.job.unwrap().starts_with("backfill-"),
        "a change backfills"
    );
    let now = desk.stores.settings.current().await.unwrap();
    assert_eq!(now.author, "ada (command line)");
    assert!(now.rule_revision > before.rule_revision);
    let rows = mapping(&desk).await.deviations();
    let rows: Vec<_> = rows
        .iter()
        .map(|row| (row.mos_field.as_str(), row.active, row.contract_term_type))
        .collect();
    assert_eq!(
        rows,
        [
            ("next_step", false, None),
            ("arr", true, None),
            ("contract_term", true, Some(ContractTermType::HalfYearly)),
        ]
    );

    let again = import(&desk, Some(now.revision)).await.unwrap().outcome;
    assert!(!again.saved, "nothing differs");
    assert_eq!(again.changes, []);
    // What the metadata no longer names is mapped as standard again.
    let current = desk.ops.settings().await.unwrap().revision;
    deploy(
        &desk,
        &[FieldMapping {
            is_active: true,
            ..record("Next_Step", "next_step", "NextStep")
        }],
    );
    let refused = import(&desk, Some(current)).await;
    let by = refused.unwrap().outcome;
    assert_eq!(by.changes.len(), 1, "{:?}", by.changes);
    let mut rows = mapping(&desk).await.deviations();
    rows.retain(|row| row.object == ObjectKind::Opportunity && row.mos_field == "next_step");
    assert_eq!(rows, []);
}

#[tokio::test]
async fn whatever_does_not_fit_is_told_by_its_name_and_nothing_is_changed() {
    let desk = Desk::open();
    let mut weekly = record("Weekly", "contract_term", "Amount");
    weekly.contract_term_type = "Weekly".to_owned();
    let mut lead = record("Lead_Score", "arr", "Amount");
    lead.object = "Lead".to_owned();
    deploy(
        &desk,
        &[
            weekly,
            lead,
            record("Colour", "colour", "Amount"),
            record("No_Field", "one_off_cost", ""),
            record("First", "total_contract_value", "Amount"),
            record("Second", "Total Contract Value", "Amount"),
        ],
    );
    let before = desk.stores.settings.current().await.unwrap();
    for base in [None, Some(before.revision)] {
        let Err(OpsError::Refused(faults)) = import(&desk, base).await else {
            panic!("refused")
        };
        let told: Vec<&str> = faults.iter().map(|fault| fault.at.as_str()).collect();
        assert_eq!(
            told,
            ["Colour", "Lead_Score", "No_Field", "Second", "Weekly"]
        );
        for (at, words) in [
            (
                0,
                "the record Colour fills `colour`, but mOS has no such field",
            ),
            (1, "the record Lead_Score is of the object `Lead`"),
            (2, "the record No_Field leaves its Salesforce field empty"),
            (
                3,
                "the records First and Second both fill `total_contract_value`",
            ),
            (4, "the record Weekly counts the contract term in `Weekly`"),
        ] {
            let message = &faults[at].message;
            assert!(message.contains(words), "{message}");
        }
    }
    assert_eq!(desk.stores.settings.current().await.unwrap(), before);
}

/// Fields that the org does not have, or of another type.
#[tokio::test]
async fn what_does_not_fit_the_org_is_told_by_the_name_of_the_record() {
    let desk = Desk::open();
    deploy(
        &desk,
        &[
            record("ARR", "arr", "ARR__c"),
            record("Cost", "one_off_cost", "Name"),
            record("Good", "total_contract_value", "Amount"),
            inactive(record("Gone", "next_step", "Gone__c")),
        ],
    );
    let before = desk.stores.settings.current().await.unwrap();
    let Err(OpsError::Refused(faults)) = import(&desk, Some(before.revision)).await else {
        panic!("refused")
    };
    let told: Vec<&str> = faults.iter().map(|fault| fault.at.as_str()).collect();
    assert_eq!(told, ["ARR", "Cost"]);
    assert!(
        faults[0]
            .message
            .contains("`ARR__c`, which Opportunity does not have")
    );
    assert!(
        faults[1]
            .message
            .contains("a text field, but mOS wants a number"),
        "{faults:?}"
    );
    assert_eq!(desk.stores.settings.current().await.unwrap(), before);
}

#[tokio::test]
async fn without_the_type_it_says_so() {
    let desk = Desk::open();
    let missing = import(&desk, None).await.unwrap_err();
    assert!(matches!(&missing, OpsError::NotFound(_)), "{missing:?}");
    assert!(
        missing.to_string().contains("mOS_Field_Mapping__mdt"),
        "{missing}"
    );
    let asked = |name: &str| ImportMapping {
        metadata_type: Some(name.to_owned()),
        base: None,
        dry_run: true,
    };
    let author = Author::of(Caller::Api, None);
    for name in ["Opportunity", "__mdt", "a b__mdt", "x, Id FROM User__mdt"] {
        let refused = desk.ops.import_mapping(&asked(name), &author).await;
        assert!(
            matches!(refused, Err(OpsError::Invalid(_))),
            "{name}: {refused:?}"
        );
    }
    let asked = ImportMapping::default();
    let refused = desk.ops.import_mapping(&asked, &author).await;
    assert!(matches!(refused, Err(OpsError::Invalid(_))), "{refused:?}");
    deploy(&desk, &[]);
    let none = import(&desk, None).await.unwrap();
    assert_eq!((none.records, none.outcome.changes), (0, Vec::new()));
    desk.org.answers(false);
    let out = import(&desk, None).await.unwrap_err();
    assert!(matches!(&out, OpsError::OutOfReach(_)), "{out:?}");
}

/// Somebody else saved between the look and the save.
#[tokio::test]
async fn a_save_in_between_is_not_overwritten() {
    let desk = Desk::open();
    deploy(&desk, &[record("ARR", "arr", "Amount")]);
    let seen = import(&desk, None).await.unwrap().outcome.revision;
    desk.save(|settings| settings.sync_closed = true).await;
    let refused = import(&desk, Some(seen)).await.unwrap_err();
    assert!(
        matches!(&refused, OpsError::SettingsConflict(_)),
        "{refused:?}"
    );
    assert_eq!(mapping(&desk).await, Mapping::default());
}
