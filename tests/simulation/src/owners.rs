//! Users who own more opportunities than are to be read: where SOQL cannot say the filter, it is found
//! out by the opportunities themselves whether a user owns one that matches.

use domain::job::Job;
use domain::tally::{Count, Tally};
use domain::{ObjectKind, SalesforceId};
use ports::Clock as _;
use serde_json::json;

use crate::office::Office;

/// More than are read of somebody who is known to own a matching one.
const MANY: usize = 2_100;

/// The statements that ask for the opportunities of these users, and what became of the users.
async fn asked(office: &Office, users: &[&String]) -> (Vec<String>, Tally) {
    let records = users.iter().map(|id| {
        let id = SalesforceId::parse(id).unwrap();
        (ObjectKind::User, id)
    });
    let now = office.world.clock.now();
    let job = Job::retry(records.collect(), &format!("{users:?}"), now);
    office.world.salesforce.reads();
    let jobs = &office.world.stores.jobs;
    jobs.create(&job).await.unwrap();
    office.rest().await;
    let mut made = office.world.salesforce.reads();
    made.retain(|made| {
        made.contains(" FROM Opportunity WHERE OwnerId IN ") && made.ends_with(" ORDER BY Id")
    });
    let job = jobs.get(&job.id).await.unwrap().unwrap();
    (made, job.tally)
}

#[tokio::test(start_paused = true)]
async fn a_user_who_owns_a_matching_deal_is_asked_for_no_longer() {
    let mut office = Office::closed();
    let [many, few, other] = ["Ada", "Bob", "Cid"].map(|name| office.user(name));
    let [named, another] =
        ["Acme", "Bolt"].map(|name| office.insert("Account", &json!({ "Name": name })));
    for _ in 0..MANY {
        office.deal(&many, &json!({ "AccountId": named }));
    }
    for (owner, account) in [(&few, &named), (&few, &named), (&other, &another)] {
        office.deal(owner, &json!({ "AccountId": account }));
    }
    // SOQL has no words for the beginning of an id.
    let condition = json!({ "field": "AccountId", "operator": "starts_with", "values": [named] });
    office
        .save(&json!({ "filter": { "conditions": [condition] } }))
        .await;
    office.world.start_all();
    office.rest().await;

    let (made, tally) = asked(&office, &[&many, &few, &other]).await;
    let [first, second] = &made[..] else {
        panic!("{made:#?}");
    };
    assert!(first.contains(&many) && !first.contains(" AND Id > "));
    assert!(!second.contains(&many) && second.contains(" AND Id > "));
    assert!(second.contains(&few) && second.contains(&other));
    // Nobody holds mOS permission, which is asked of those alone who own what matches.
    let of_users = |tally: &Tally, count| tally.get(ObjectKind::User, count);
    assert_eq!(of_users(&tally, Count::NotPermitted), 2);
    assert_eq!(of_users(&tally, Count::Filtered), 1);

    // Who reads on to the end of an answer meets that it is short, and has to ask once more.
    let salesforce = &office.world.salesforce;
    salesforce.cut_short(&format!("OwnerId IN ('{few}')"), 1);
    let (made, tally) = asked(&office, &[&few]).await;
    assert_eq!(salesforce.to_be_cut_short(), 0);
    assert_eq!(made.len(), 1, "{made:#?}");
    assert_eq!(of_users(&tally, Count::NotPermitted), 1);
}
