//! What happens when the rules move: exactly what enters is read, nothing that is missed stays
//! missing.

mod around;
mod midnights;

use std::collections::BTreeSet;
use std::time::Duration;

use domain::filter::{Condition, FieldType, FieldTypes, Filter, Operator};
use domain::job::{Job, JobKind, MosStatus};
use domain::settings::Settings;
use domain::tally::Count;
use domain::{ObjectKind, SalesforceId};
use fake_mos::RecordType;
use fake_salesforce::record::Record;
use ports::Clock;
use ports::stores::WorkerState;
use runtime::figures;
use serde_json::{Value, json};

pub(crate) use around::{alarm, noticed, told, view_all_data, view_all_users};

use crate::judge::{self, Epoch};
use crate::moves::{at_rest, figure, people, touch_deals, until, world};
use crate::office::Office;
use crate::rest;
use crate::salesforce::inserting;
use crate::world::World;

fn condition(field: &str, operator: Operator, value: &str) -> Condition {
    Condition {
        field: field.to_owned(),
        operator,
        values: vec![value.to_owned()],
    }
}

fn filter(conditions: Vec<Condition>) -> Filter {
    Filter {
        conditions,
        logic: None,
    }
}

/// Saves changed rules with the job that the save causes, as every way to save does.
async fn save(
    world: &World,
    epochs: &mut Vec<Epoch>,
    change: impl FnOnce(&mut Settings),
) -> Option<Job> {
    save_ahead(world, epochs, Duration::ZERO, change).await
}

/// The same by a clock that is so far ahead.
async fn save_ahead(
    world: &World,
    epochs: &mut Vec<Epoch>,
    ahead: Duration,
    change: impl FnOnce(&mut Settings),
) -> Option<Job> {
    let types = FieldTypes::from([
        ("StageName".to_owned(), FieldType::Picklist),
        ("AccountId".to_owned(), FieldType::Reference),
        ("Amount".to_owned(), FieldType::Currency),
        ("CloseDate".to_owned(), FieldType::Date),
        ("NextStep".to_owned(), FieldType::Text),
    ]);
    let current = world.stores.settings.current().await.unwrap();
    let mut settings = current.settings.clone();
    change(&mut settings);
    let now = world.clock.now().after(ahead);
    let org = runtime::profile::read(&world.salesforce).await.unwrap();
    let next = current.next(settings, types, org, "an administrator", now);
    let job = Job::of_save(&current, &next);
    let stored = world.stores.settings.save(&next, job.as_ref()).await;
    stored.unwrap();
    epochs.push(Epoch {
        from: world.clock.micros(),
        revision: next,
    });
    job
}

/// Gives everybody permission for good, so that what is expected does not run out on the way.
fn permit_everybody(world: &World) {
    let sets = world.org.records("PermissionSet");
    let set = sets
        .iter()
        .find(|set| set.text("Name") == Some("mOS_User"))
        .unwrap();
    let user = world.org.admin_id();
    for person in world.org.records("User") {
        let granted = json!({ "AssigneeId": person.id(), "PermissionSetId": set.id() });
        let granted = inserting("PermissionSetAssignment", &granted);
        // Refused where it is assigned already.
        drop(world.org.transact(user, "entering", vec![granted]));
    }
}

async fn quiet(world: &World) {
    rest::wait(world, world.clock.now()).await.unwrap();
}

/// Ids of the deals that an owner with permission has and for which this is so.
async fn deals(world: &World, is_so: impl Fn(&Record) -> bool) -> BTreeSet<String> {
    let snapshot = world.stores.permissions.latest().await.unwrap();
    let now = world.clock.now();
    let permitted = |deal: &&Record| {
        let owner = SalesforceId::parse(deal.text("OwnerId").unwrap()).unwrap();
        snapshot.permits(&owner, now)
    };
    let deals = world.org.records("Opportunity");
    let deals = deals.iter().filter(|deal| !deal.flag("IsDeleted"));
    let deals = deals.filter(permitted).filter(|deal| is_so(deal));
    deals.map(|deal| deal.id().to_owned()).collect()
}

async fn read_by(world: &World, job: &Job) -> u64 {
    let job = world.stores.jobs.get(&job.id).await.unwrap().unwrap();
    let outcome = job.outcome();
    assert_eq!(outcome, Some(MosStatus::Completed), "{job:?}");
    job.tally.get(ObjectKind::Opportunity, Count::Read)
}

fn in_mos(world: &World) -> BTreeSet<String> {
    let records = world.mos.records(RecordType::Opportunity);
    let ids = records.iter().map(|record| {
        let record = serde_json::to_value(record).unwrap();
        record["external_id"].as_str().unwrap().to_owned()
    });
    ids.collect()
}

async fn of_kind(world: &World, kind: JobKind) -> Vec<Job> {
    let jobs = world.stores.jobs.list(1_000).await.unwrap();
    jobs.into_iter().filter(|job| job.kind == kind).collect()
}

fn add_field(world: &World, field: &Value) {
    let field = serde_json::from_value(field.clone()).unwrap();
    world.org.add_field(&field).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_save_brings_exactly_what_enters() {
    let mut all_entered = 0;
    for seed in 0..4 {
        let mut world = world(seed);
        // By REST pages and by bulk queries.
        world.bulk_from = if seed % 2 == 0 { 0 } else { 1_000 };
        let mut epochs = Vec::new();
        save(&world, &mut epochs, |settings| {
            settings.filter = filter(vec![condition("Amount", Operator::GreaterThan, "5000")]);
        })
        .await;
        at_rest(&mut world).await;
        permit_everybody(&world);
        quiet(&world).await;
        let amount = |deal: &Record| deal.get("Amount").as_f64();
        let wider = save(&world, &mut epochs, |settings| {
            settings.filter = filter(vec![condition("Amount", Operator::GreaterThan, "2000")]);
        })
        .await;
        let entered = deals(&world, |deal| {
            !deal.flag("IsClosed")
                && amount(deal).is_some_and(|amount| amount > 2_000.0 && amount <= 5_000.0)
        });
        let entered = entered.await.len() as u64;
        all_entered += entered;
        quiet(&world).await;
        assert_eq!(read_by(&world, &wider.unwrap()).await, entered, "{seed}");
        let closed_too = save(&world, &mut epochs, |settings| settings.sync_closed = true).await;
        let entered = deals(&world, |deal| {
            deal.flag("IsClosed") && amount(deal).is_some_and(|amount| amount > 2_000.0)
        });
        let entered = entered.await.len() as u64;
        quiet(&world).await;
        assert_eq!(read_by(&world, &closed_too.unwrap()).await, entered);
        let narrower = save(&world, &mut epochs, |settings| {
            settings.filter = filter(vec![condition("Amount", Operator::GreaterThan, "9000")]);
        })
        .await;
        quiet(&world).await;
        assert_eq!(read_by(&world, &narrower.unwrap()).await, 0);
        assert_eq!(judge::faults(&world, &epochs).await, [""; 0], "{seed}");
    }
    assert!(all_entered > 0);
}

/// SOQL has no words for the beginning of an id, so it cannot leave out what the rules before let
/// in.
#[tokio::test(start_paused = true)]
async fn what_soql_cannot_leave_out_is_left_out_here() {
    for (seed, bulk_from) in [(11, 0), (12, 1_000)] {
        let mut world = world(seed);
        world.bulk_from = bulk_from;
        people(&world).set_up();
        permit_everybody(&world);
        let accounts = world.org.records("Account");
        let some = accounts.first().unwrap().id().to_owned();
        let mut epochs = Vec::new();
        save(&world, &mut epochs, |settings| {
            settings.filter = filter(vec![condition("AccountId", Operator::StartsWith, &some)]);
        })
        .await;
        world.start_all();
        quiet(&world).await;
        let everything = save(&world, &mut epochs, |settings| {
            settings.filter = Filter::default();
        })
        .await
        .unwrap();
        let entered = deals(&world, |deal| {
            !deal.flag("IsClosed") && deal.text("AccountId") != Some(some.as_str())
        });
        let entered = entered.await.len() as u64;
        quiet(&world).await;
        assert_eq!(read_by(&world, &everything).await, entered);
        let plan = world
            .stores
            .jobs
            .plan(&everything.id)
            .await
            .unwrap()
            .unwrap();
        assert!(plan.leaves_out && !plan.notes.is_empty(), "{plan:?}");
        assert!(
            deals(&world, |deal| !deal.flag("IsClosed"))
                .await
                .is_subset(&in_mos(&world))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn rules_that_change_while_it_is_disabled_hold_when_it_is_enabled() {
    let mut world = world(13);
    let mut epochs = at_rest(&mut world).await;
    save(&world, &mut epochs, |settings| settings.disabled = true).await;
    until("the listener pauses", async || {
        let reports = world.stores.reports.reports().await.unwrap();
        matches!(&reports["listener"].state, WorkerState::Paused(why) if why.contains("disabled"))
    })
    .await;
    for amount in ["9000", "4000", "1000"] {
        save(&world, &mut epochs, |settings| {
            settings.sync_closed = !settings.sync_closed;
            settings.filter = filter(vec![condition("Amount", Operator::GreaterThan, amount)]);
        })
        .await;
        people(&world).step();
        touch_deals(&world, &json!({ "NextStep": amount }));
    }
    save(&world, &mut epochs, |settings| settings.disabled = false).await;
    quiet(&world).await;
    assert_eq!(judge::faults(&world, &epochs).await, [""; 0]);
}

/// A document whose filter has one condition.
fn document(field: &str, operator: &str, value: &str) -> Value {
    let condition = json!({ "field": field, "operator": operator, "values": [value] });
    json!({ "filter": { "conditions": [condition] } })
}

/// Two deals of one account, whose owner holds permission, and the contact role of the second. Once
/// the first is in mOS, nobody misses the account or the owner of the second.
fn two_deals(office: &Office, [first, second]: [&Value; 2]) -> [String; 3] {
    let owner = office.user("Ada");
    office.grant(&owner);
    let account = office.insert("Account", &json!({ "Name": "Acme" }));
    let deal = |more: &Value| {
        let mut fields = json!({ "Amount": 500, "AccountId": account });
        merge(&mut fields, more);
        office.deal(&owner, &fields)
    };
    let (first, second) = (deal(first), deal(second));
    let contact = json!({ "LastName": "Cid", "AccountId": account });
    let contact = office.insert("Contact", &contact);
    let role = json!({ "OpportunityId": second, "ContactId": contact });
    let role = office.insert("OpportunityContactRole", &role);
    [first, second, role]
}

/// The settings let in new customers. One is in mOS, another deal is no new customer yet: that deal,
/// and its role.
async fn before_it_is_a_new_customer(more: &Value) -> (Office, String, String) {
    let mut office = Office::closed();
    let types = ["New Customer", "Existing Customer - Upgrade"];
    let [new, old] = types.map(|of_type| json!({ "Type": of_type }));
    let [known, deal, role] = two_deals(&office, [&new, &old]);
    let mut first = document("Type", "equals", "New Customer");
    merge(&mut first, more);
    office.save(&first).await;
    office.world.start_all();
    office.rest().await;
    assert!(office.has(RecordType::Opportunity, &known));
    assert!(!office.has(RecordType::Opportunity, &deal));
    (office, deal, role)
}

fn merge(document: &mut Value, more: &Value) {
    let document = document.as_object_mut().unwrap();
    document.extend(more.as_object().unwrap().clone());
}

/// Its rows match the rules before, so the job of the save leaves it out; and its change, when it is
/// heard of, is none of a field that the new rules judge.
#[tokio::test(start_paused = true)]
async fn a_change_before_a_save_that_is_heard_of_after_it_brings_the_deal_with_its_roles() {
    let unmapped = [("type", "Type"), ("last_modified_at", "LastModifiedDate")];
    let unmapped = unmapped.map(|(mos_field, salesforce_field)| {
        json!({ "object": "Opportunity", "mos_field": mos_field,
            "salesforce_field": salesforce_field, "active": false })
    });
    for mapping in [json!([]), json!(unmapped)] {
        let more = json!({ "frequency": "every_60_min", "mapping": mapping });
        let (office, deal, role) = before_it_is_a_new_customer(&more).await;
        office.update("Opportunity", &deal, &json!({ "Type": "New Customer" }));
        tokio::time::sleep(Duration::from_secs(60)).await;
        let mut large = document("Amount", "greater_than", "100");
        merge(&mut large, &more);
        office.save(&large).await;
        office.rest().await;
        assert!(office.has(RecordType::Opportunity, &deal), "{mapping}");
        assert!(office.has(RecordType::ContactRole, &role), "{mapping}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_after_a_save_takes_no_deal_out_of_its_job() {
    let (office, deal, role) = before_it_is_a_new_customer(&json!({})).await;
    // Less than twice the reserve is left of the org's allowance: jobs wait, live changes do not.
    office.world.salesforce.allow(10_000, 1_500);
    until("bulk reading waits", async || {
        let held = figure(&office.world, figures::API_BULK_HELD_UNTIL).await;
        held.is_some()
    })
    .await;
    office
        .save(&document("Amount", "greater_than", "100"))
        .await;
    // So long that it cannot have been stamped before the save.
    tokio::time::sleep(Duration::from_secs(1_200)).await;
    office.update("Opportunity", &deal, &json!({ "Type": "New Customer" }));
    until("the change arrives", async || {
        office.has(RecordType::Opportunity, &deal)
    })
    .await;
    assert!(!office.has(RecordType::ContactRole, &role), "it waits");
    office.world.salesforce.allow(100_000, 100_000);
    office.rest().await;
    assert!(office.has(RecordType::ContactRole, &role));
}

fn score(office: &Office, deal: &str, score: u32) {
    let wish = json!({ "entity": "Opportunity", "field": "Score__c", "values": { (deal): score } });
    let wish = serde_json::from_value(wish).unwrap();
    office.world.org.recalculate(&wish).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_deal_that_enters_through_a_formula_brings_what_belongs_to_it() {
    let mut office = Office::closed();
    add_field(
        &office.world,
        &json!({ "entity": "Opportunity", "name": "Score__c", "type": "double", "precision": 5, "calculated": true }),
    );
    let [known, deal, role] = two_deals(&office, [&json!({}), &json!({})]);
    score(&office, &known, 60);
    score(&office, &deal, 40);
    office
        .save(&document("Score__c", "greater_or_equal", "50"))
        .await;
    office.world.start_all();
    office.rest().await;
    assert!(office.has(RecordType::Opportunity, &known));
    assert!(!office.has(RecordType::Opportunity, &deal));
    // So long that the change is none from before the save.
    tokio::time::sleep(Duration::from_secs(1_200)).await;
    score(&office, &deal, 60);
    office.update("Opportunity", &deal, &json!({ "Amount": 900 }));
    let brought = |office: &Office| office.has(RecordType::ContactRole, &role);
    // The refresh of formulas is hours away.
    assert!(office.comes_within(Duration::from_secs(60), brought).await);
}

/// A window collapses the changes of a record; the last of them may be about nothing.
#[tokio::test(start_paused = true)]
async fn of_several_changes_in_a_window_each_may_let_a_deal_in() {
    let mut office = Office::closed();
    let [known, deal, role] = two_deals(&office, [&json!({}), &json!({})]);
    office.update("Opportunity", &known, &json!({ "Amount": 900 }));
    office.update("Opportunity", &deal, &json!({ "Amount": 10 }));
    let mut rules = document("Amount", "greater_than", "500");
    rules["frequency"] = json!("every_15_min");
    office.save(&rules).await;
    office.world.start_all();
    office.rest().await;
    assert!(office.has(RecordType::Opportunity, &known));
    assert!(!office.has(RecordType::Opportunity, &deal));
    // So long that the changes are none from before the save.
    tokio::time::sleep(Duration::from_secs(1_200)).await;
    office.update("Opportunity", &deal, &json!({ "Amount": 900 }));
    office.update("Opportunity", &deal, &json!({ "NextStep": "call" }));
    let brought = |office: &Office| office.has(RecordType::ContactRole, &role);
    assert!(
        office
            .comes_within(Duration::from_secs(1_200), brought)
            .await
    );
}
