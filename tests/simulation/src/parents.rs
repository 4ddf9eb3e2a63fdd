//! A record whose parent mOS lacks: it is read again at once, and its parent comes along. Where mOS
//! refuses the parent, its children wait for it.

use std::time::Duration;

use console::Caller;
use console::views::{GroupSearch, Selection};
use domain::failure::FailureKind;
use domain::job::{JobKind, MosStatus};
use domain::{ObjectKind, SalesforceId};
use fake_mos::{Fault, LedgerRecord, Outcome, RecordType, RejectCode};
use ports::Clock;
use serde_json::json;

use crate::moves::{people, world};
use crate::office::Office;
use crate::rest;
use crate::salesforce::update;
use crate::world::World;

async fn rest(world: &World) {
    rest::wait(world, world.clock.now()).await.unwrap();
}

/// The records of every request since that one, in the order of the answers.
fn sent(world: &World, since: usize) -> Vec<LedgerRecord> {
    let entries = world.mos.ledger_since(since as u64);
    let records = entries.iter().flat_map(|entry| entry.records.clone());
    records.collect()
}

#[tokio::test(start_paused = true)]
async fn a_record_whose_parent_mos_lacks_is_read_again_with_it() {
    let mut world = world(1);
    people(&world).set_up();
    world.start_all();
    rest(&world).await;
    let deal = world.mos.records(RecordType::Opportunity).remove(0);
    world
        .mos
        .fault(Fault::Reject {
            code: RejectCode::ParentMissing,
            field: Some("owner_id".to_owned()),
            probability: None,
            ids: vec![deal.external_id.clone()],
            count: Some(1),
        })
        .unwrap();
    // Soon after the rules were saved, a change brings along what belongs to it in any case.
    tokio::time::sleep(Duration::from_secs(20 * 60)).await;
    let before = world.mos.ledger_len();
    let renamed = json!({ "Name": "renamed" });
    update(&world.org, "Opportunity", &deal.external_id, &renamed);
    rest(&world).await;
    // What is parked is taken up after ten minutes at the earliest: this was read again at once.
    assert_eq!(rest::parked(&world).await, []);
    let sent = sent(&world, before);
    let place = |kind: &str, id: &str, outcome: Outcome| {
        sent.iter().position(|record| {
            (record.kind.as_str(), record.external_id.as_str()) == (kind, id)
                && record.outcome == Some(outcome)
        })
    };
    let owner = deal.fields["owner_id"].as_str().unwrap();
    let refused = place("opportunity", &deal.external_id, Outcome::Rejected);
    let owner = place("user", owner, Outcome::Unchanged);
    let written = place("opportunity", &deal.external_id, Outcome::Updated);
    assert!(
        refused.is_some() && refused < owner && owner < written,
        "{sent:?}"
    );
}

/// Deals of one owner, each with a role of the same contact.
const DEALS: usize = 20;

struct Family {
    office: Office,
    /// The owner whom mOS refuses.
    refused: SalesforceId,
    /// Deals and roles of each owner, of the refused one last.
    children: [Vec<(String, String)>; 2],
}

impl Family {
    /// The first load of an org, of whose owners mOS refuses one.
    async fn load() -> Self {
        let mut refused = String::new();
        let mut children = [Vec::new(), Vec::new()];
        let office = Office::open(|office| {
            let contact = office.insert("Contact", &json!({ "LastName": "C" }));
            for (name, children) in ["Ada", "Bob"].into_iter().zip(&mut children) {
                let owner = office.user(name);
                office.grant(&owner);
                for _ in 0..DEALS {
                    let deal = office.deal(&owner, &json!({}));
                    let role = json!({ "OpportunityId": deal, "ContactId": contact });
                    let role = office.insert("OpportunityContactRole", &role);
                    children.push((deal, role));
                }
                refused = owner;
            }
            let reject = Fault::Reject {
                code: RejectCode::InvalidField,
                field: Some("name".to_owned()),
                probability: None,
                ids: vec![refused.clone()],
                count: None,
            };
            office.world.mos.fault(reject).unwrap();
        })
        .await;
        let refused = SalesforceId::parse(&refused).unwrap();
        Self {
            office,
            refused,
            children,
        }
    }

    fn has(&self, (deal, role): &(String, String)) -> [bool; 2] {
        let mos = &self.office.world.mos;
        [
            mos.record(RecordType::Opportunity, deal).is_some(),
            mos.record(RecordType::ContactRole, role).is_some(),
        ]
    }

    /// What mOS said of a record when it refused it last.
    fn mos_said(&self, id: &SalesforceId) -> String {
        let sent = sent(&self.office.world, 0);
        let of_record = sent
            .into_iter()
            .rfind(|sent| sent.external_id == id.as_str());
        of_record.unwrap().error_message.unwrap()
    }
}

/// The children of an owner whom mOS refuses park under him, and the children of these under them;
/// the load goes on to its end with the others. Once mOS takes the owner, all of them arrive.
#[tokio::test(start_paused = true)]
async fn a_parked_parent_holds_up_its_children_in_a_full_load_and_nobody_else() {
    let family = Family::load().await;
    let Family {
        office,
        refused,
        children: [others, children],
    } = &family;
    let jobs = &office.world.stores.jobs;
    let job = jobs.newest(JobKind::SyncAll).await.unwrap().unwrap();
    assert_eq!(job.outcome(), Some(MosStatus::CompletedWithErrors));
    let plan = jobs.plan(&job.id).await.unwrap().unwrap();
    assert_eq!(job.progress.phase as usize, plan.phases.len() - 1);
    for object in ObjectKind::ALL {
        let is_read = job.progress.objects.get(&object);
        let is_read = is_read.is_some_and(|extracted| extracted.finished.is_some());
        assert!(is_read, "{object}");
    }
    assert!(others.iter().all(|pair| family.has(pair) == [true; 2]));
    assert!(children.iter().all(|pair| family.has(pair) == [false; 2]));

    let parked = rest::parked(&office.world).await;
    let mut expected = vec![(
        (ObjectKind::User, *refused),
        FailureKind::InvalidField,
        None,
    )];
    for (deal, role) in children {
        let parse = |id: &String| SalesforceId::parse(id).unwrap();
        let deal = (ObjectKind::Opportunity, parse(deal));
        let role = (ObjectKind::OpportunityContactRole, parse(role));
        let owner = (ObjectKind::User, *refused);
        expected.push((deal, FailureKind::ParentMissing, Some(owner)));
        expected.push((role, FailureKind::ParentMissing, Some(deal)));
    }
    expected.sort_by_key(|(record, ..)| *record);
    let seen = parked.iter();
    let seen = seen.map(|parked| (parked.record(), parked.kind, parked.parent));
    assert_eq!(seen.collect::<Vec<_>>(), expected);
    for parked in &parked {
        assert_eq!(parked.message, family.mos_said(&parked.id));
        assert_eq!((parked.job.as_ref(), parked.retries), (Some(&job.id), 0));
    }
    // For people it is one thing that is wrong.
    let ops = office.world.operations();
    let groups = ops.parked_groups(&GroupSearch::default()).await.unwrap();
    let seen = groups.groups.into_iter();
    let seen = seen.map(|group| (group.cause, group.count));
    let expected = [
        (format!("User {refused}"), 2 * DEALS as u64),
        ("invalid_field".to_owned(), 1),
    ];
    assert_eq!(seen.collect::<Vec<_>>(), expected);

    // One who is tried again brings all.
    office.world.mos.fault(Fault::Clear).unwrap();
    let owner = Selection {
        records: vec![refused.to_string()],
        ..Selection::default()
    };
    let retried = ops.retry_parked(&owner, Caller::CommandLine).await;
    assert_eq!(retried.unwrap().records, 1);
    // Long before anything is taken up again by its schedule.
    let at_once = Duration::from_secs(120);
    let now = office.world.clock.now().after(at_once);
    assert!(
        parked
            .iter()
            .all(|it| it.retry_at.is_none_or(|at| at > now))
    );
    let all_came = office.comes_within(at_once, |_office| {
        children.iter().all(|pair| family.has(pair) == [true; 2])
    });
    assert!(all_came.await);
    office.rest().await;
    assert_eq!(rest::parked(&office.world).await, []);
}
