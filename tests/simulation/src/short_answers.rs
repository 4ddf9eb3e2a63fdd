//! Answers of Salesforce that have fewer rows than they promise: what is not in them is not taken to
//! be out of scope.

use domain::job::{JobKind, MosStatus};
use domain::tally::Count;
use fake_mos::RecordType;
use serde_json::json;

use crate::office::Office;

/// Which of the records that a first load reads hang on opportunities in scope.
#[tokio::test(start_paused = true)]
async fn what_a_short_answer_about_the_scope_leaves_out_is_asked_for_again() {
    for about in [
        "SELECT Id FROM User WHERE Id IN ",
        "GROUP BY AccountId, OwnerId",
        "GROUP BY ContactId, Opportunity.OwnerId",
    ] {
        let mut ids = <[String; 2]>::default();
        let (office, owner) = Office::with_owner(|office, owner| {
            let account = office.insert("Account", &json!({ "Name": "Acme" }));
            let contact = office.insert("Contact", &json!({ "LastName": "Bell" }));
            let deal = office.deal(owner, &json!({ "AccountId": account }));
            let role = json!({ "OpportunityId": deal, "ContactId": contact });
            office.insert("OpportunityContactRole", &role);
            office.world.salesforce.cut_short(about, 2);
            ids = [account, contact];
        })
        .await;
        assert_eq!(office.world.salesforce.to_be_cut_short(), 0, "{about}");
        let jobs = office.world.stores.jobs.list(10).await.unwrap();
        let load = jobs.iter().find(|job| job.kind == JobKind::SyncAll);
        let load = load.unwrap();
        assert_eq!(load.outcome(), Some(MosStatus::Completed), "{about}");
        let left_out = load.tally.total(Count::Filtered);
        assert_eq!(left_out, 0, "{about}: {:?}", load.tally);
        let [account, contact] = &ids;
        for (kind, id) in [
            (RecordType::User, &owner),
            (RecordType::Company, account),
            (RecordType::Contact, contact),
        ] {
            let record = office.world.mos.record(kind, id);
            assert!(record.is_some(), "{about}: {kind:?}");
        }
    }
}
