//! What happens when the rules move, the calendar does, or what is around the records: exactly what
//! enters is read, nothing that is missed stays missing.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::filter::{Condition, FieldType, FieldTypes, Filter, Operator};
use domain::job::{Job, JobKind, MosStatus};
use domain::mapping::{Mapping, MappingRow};
use domain::org::OrgProfile;
use domain::settings::{MOSYNC, Settings};
use domain::tally::Count;
use domain::{ObjectKind, SalesforceId, Timestamp};
use fake_mos::RecordType;
use fake_salesforce::dml::Dml;
use fake_salesforce::record::Record;
use ports::Clock;
use ports::stores::{LogQuery, WorkerState};
use runtime::figures;
use serde_json::{Value, json};

use crate::judge::{self, Epoch};
use crate::moves::{at_rest, fields, figure, people, touch_deals, until, world};
use crate::office::Office;
use crate::rest;
use crate::world::{Service, World};

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
        let granted = Dml::Insert {
            entity: "PermissionSetAssignment".to_owned(),
            fields: fields(&json!({ "AssigneeId": person.id(), "PermissionSetId": set.id() })),
        };
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

/// Sets the org's zone; one hour before midnight it is there when the world begins.
fn an_hour_before_midnight(world: &World) {
    let update = Dml::Update {
        entity: "Organization".to_owned(),
        id: world.org.org_id().to_owned(),
        fields: fields(&json!({ "TimeZoneSidKey": "Pacific/Guadalcanal" })),
    };
    let user = world.org.admin_id();
    world.org.transact(user, "entering", vec![update]).unwrap();
}

/// Closes the deals on these days from the 16th on, the day that begins after an hour.
fn close_on(world: &World, days: &[u32]) {
    let deals = world.org.records("Opportunity");
    let updates = deals
        .iter()
        .filter(|deal| !deal.flag("IsDeleted"))
        .zip(days.iter().cycle())
        .map(|(deal, day)| Dml::Update {
            entity: "Opportunity".to_owned(),
            id: deal.id().to_owned(),
            fields: fields(&json!({
                "CloseDate": format!("2026-06-{:02}", 15 + day),
                "StageName": "Prospecting",
            })),
        });
    let user = world.org.admin_id();
    world
        .org
        .transact(user, "entering", updates.collect())
        .unwrap();
}

async fn open_on(world: &World, day: u32) -> BTreeSet<String> {
    let day = format!("2026-06-{:02}", 15 + day);
    deals(world, |deal| {
        !deal.flag("IsClosed") && deal.text("CloseDate") == Some(day.as_str())
    })
    .await
}

/// A world in which deals that close today are in scope, and today is the 15th for an hour.
async fn today_only(seed: u64) -> (World, Vec<Epoch>) {
    let mut world = world(seed);
    an_hour_before_midnight(&world);
    people(&world).set_up();
    permit_everybody(&world);
    close_on(&world, &[0, 1, 2, 3, 4]);
    let mut epochs = Vec::new();
    save(&world, &mut epochs, |settings| {
        settings.filter = filter(vec![condition("CloseDate", Operator::Equals, "TODAY")]);
    })
    .await;
    world.start_all();
    quiet(&world).await;
    assert!(open_on(&world, 0).await.is_subset(&in_mos(&world)));
    let tomorrow = open_on(&world, 1).await;
    assert!(!tomorrow.is_empty() && tomorrow.is_disjoint(&in_mos(&world)));
    (world, epochs)
}

async fn of_kind(world: &World, kind: JobKind) -> Vec<Job> {
    let jobs = world.stores.jobs.list(1_000).await.unwrap();
    jobs.into_iter().filter(|job| job.kind == kind).collect()
}

#[tokio::test(start_paused = true)]
async fn midnight_brings_what_the_new_day_lets_in() {
    let (world, _) = today_only(21).await;
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    until("the sweep", async || {
        !of_kind(&world, JobKind::Sweep).await.is_empty()
    })
    .await;
    quiet(&world).await;
    let [sweep] = &of_kind(&world, JobKind::Sweep).await[..] else {
        panic!("one midnight, one sweep");
    };
    let entered = open_on(&world, 1).await;
    assert_eq!(read_by(&world, sweep).await, entered.len() as u64);
    assert!(entered.is_subset(&in_mos(&world)));
    assert!(open_on(&world, 2).await.is_disjoint(&in_mos(&world)));
}

async fn all_asleep_for(world: &mut World, length: Duration) {
    for service in Service::ALL {
        world.kill(service).await;
    }
    tokio::time::sleep(length).await;
}

#[tokio::test(start_paused = true)]
async fn midnights_that_were_missed_are_one_sweep() {
    let (mut world, mut epochs) = today_only(22).await;
    save(&world, &mut epochs, |settings| {
        settings.filter = filter(vec![condition(
            "CloseDate",
            Operator::Equals,
            "LAST_N_DAYS:3",
        )]);
    })
    .await;
    quiet(&world).await;
    all_asleep_for(&mut world, Duration::from_secs(49 * 3_600)).await;
    world.start_all();
    quiet(&world).await;
    // It is the 18th there now, and the last three days end with it.
    let [sweep] = &of_kind(&world, JobKind::Sweep).await[..] else {
        panic!("some midnights, one sweep");
    };
    let mut entered = open_on(&world, 1).await;
    entered.extend(open_on(&world, 2).await);
    entered.extend(open_on(&world, 3).await);
    assert_eq!(read_by(&world, sweep).await, entered.len() as u64);
    assert!(entered.is_subset(&in_mos(&world)));
}

/// The rules before had let it in at a midnight that nobody saw, and the save leaves out what they
/// had let in.
#[tokio::test(start_paused = true)]
async fn a_midnight_that_was_missed_before_a_save_is_made_up_for() {
    let (mut world, mut epochs) = today_only(23).await;
    all_asleep_for(&mut world, Duration::from_secs(2 * 3_600)).await;
    save(&world, &mut epochs, |settings| {
        settings.filter = Filter::default();
    })
    .await;
    world.start_all();
    quiet(&world).await;
    let open = deals(&world, |deal| !deal.flag("IsClosed")).await;
    assert!(open.is_subset(&in_mos(&world)));
}

#[tokio::test(start_paused = true)]
async fn a_save_by_a_clock_that_is_past_midnight_already_misses_no_day() {
    let (world, mut epochs) = today_only(25).await;
    save(&world, &mut epochs, |settings| {
        settings.filter = filter(vec![condition("Amount", Operator::LessThan, "0")]);
    })
    .await;
    // Ten to midnight.
    let ten_to = Timestamp::parse("2026-06-15T12:50:00Z").unwrap();
    tokio::time::sleep(ten_to.since(world.clock.now())).await;
    save_ahead(&world, &mut epochs, Duration::from_secs(900), |settings| {
        settings.filter = filter(vec![condition("CloseDate", Operator::Equals, "TODAY")]);
    })
    .await;
    quiet(&world).await;
    assert!(world.clock.now() < ten_to.after(Duration::from_secs(600)));
    assert!(open_on(&world, 1).await.is_disjoint(&in_mos(&world)));
    tokio::time::sleep(Duration::from_secs(1_200)).await;
    quiet(&world).await;
    assert!(open_on(&world, 1).await.is_subset(&in_mos(&world)));
    assert_eq!(of_kind(&world, JobKind::Sweep).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_midnight_while_it_is_disabled_brings_a_sync_all() {
    let (world, mut epochs) = today_only(24).await;
    let loads = of_kind(&world, JobKind::SyncAll).await.len();
    save(&world, &mut epochs, |settings| settings.disabled = true).await;
    tokio::time::sleep(Duration::from_secs(2 * 3_600)).await;
    assert_eq!(of_kind(&world, JobKind::SyncAll).await.len(), loads);
    save(&world, &mut epochs, |settings| settings.disabled = false).await;
    quiet(&world).await;
    assert_eq!(of_kind(&world, JobKind::SyncAll).await.len(), loads + 1);
    assert!(of_kind(&world, JobKind::Sweep).await.is_empty());
    assert!(open_on(&world, 1).await.is_subset(&in_mos(&world)));
}

/// Gives a stage another meaning.
fn retype(world: &World, stage: &str, what: &Value) {
    let stages = world.org.records("OpportunityStage");
    let stage = stages
        .iter()
        .find(|row| row.text("ApiName") == Some(stage))
        .unwrap();
    let retype = Dml::Update {
        entity: "OpportunityStage".to_owned(),
        id: stage.id().to_owned(),
        fields: fields(what),
    };
    let user = world.org.admin_id();
    world.org.transact(user, "entering", vec![retype]).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stage_of_another_type_refreshes_its_deals() {
    let mut world = world(31);
    let epochs = at_rest(&mut world).await;
    permit_everybody(&world);
    let stage = "Qualification";
    touch_deals(&world, &json!({ "StageName": stage }));
    quiet(&world).await;
    retype(&world, stage, &json!({ "IsClosed": true, "IsWon": false }));
    until("the refresh", async || {
        !of_kind(&world, JobKind::Refresh).await.is_empty()
    })
    .await;
    quiet(&world).await;
    assert_eq!(judge::faults(&world, &epochs).await, [""; 0]);
    let [refresh] = &of_kind(&world, JobKind::Refresh).await[..] else {
        panic!("one stage, one refresh");
    };
    assert!(refresh.tally.total(Count::Read) > 0);
}

/// More follows from a stage than whether its deals are closed.
#[tokio::test(start_paused = true)]
async fn a_stage_that_is_won_or_forecast_otherwise_refreshes_its_deals() {
    let mut world = world(35);
    let mut epochs = at_rest(&mut world).await;
    permit_everybody(&world);
    save(&world, &mut epochs, |settings| settings.sync_closed = true).await;
    let stage = "Closed Lost";
    touch_deals(&world, &json!({ "StageName": stage }));
    quiet(&world).await;
    let closed = deals(&world, |_| true).await;
    assert!(!closed.is_empty());
    let forecast = json!({ "ForecastCategory": "BestCase", "ForecastCategoryName": "Best Case" });
    for (round, (what, field, value)) in [
        (json!({ "IsWon": true }), "is_won", json!(true)),
        (forecast, "forecast_category", json!("Best Case")),
    ]
    .into_iter()
    .enumerate()
    {
        retype(&world, stage, &what);
        until(field, async || {
            of_kind(&world, JobKind::Refresh).await.len() == round + 1
        })
        .await;
        quiet(&world).await;
        assert_eq!(judge::faults(&world, &epochs).await, [""; 0], "{field}");
        for id in &closed {
            let held = world.mos.record(RecordType::Opportunity, id).unwrap();
            assert_eq!(held.fields.get(field), Some(&value), "{id}");
        }
    }
}

/// Changes deals so that nobody hears of it.
fn change_unheard(world: &World, what: &Value) {
    world.log.select("Opportunity", false);
    touch_deals(world, what);
    world.log.select("Opportunity", true);
}

#[tokio::test(start_paused = true)]
async fn formulas_are_read_again_at_their_interval() {
    let mut world = world(32);
    world.refreshed_every = Duration::from_secs(1_800);
    world.salesforce.calculate("Opportunity", "NextStep");
    let epochs = at_rest(&mut world).await;
    change_unheard(&world, &json!({ "NextStep": "by a formula" }));
    until("the refresh", async || {
        !of_kind(&world, JobKind::Refresh).await.is_empty()
    })
    .await;
    quiet(&world).await;
    assert_eq!(judge::faults(&world, &epochs).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn formulas_of_accounts_are_read_again_too() {
    let mut world = world(36);
    world.refreshed_every = Duration::from_secs(1_800);
    world.salesforce.calculate("Account", "Industry");
    let epochs = at_rest(&mut world).await;
    permit_everybody(&world);
    quiet(&world).await;
    world.log.select("Account", false);
    industries(&world, "Media");
    world.log.select("Account", true);
    until("the refresh", async || {
        !of_kind(&world, JobKind::Refresh).await.is_empty()
    })
    .await;
    quiet(&world).await;
    let companies = world.mos.records(RecordType::Company);
    let media = json!("Media");
    let mut industries = companies.iter().map(|held| held.fields.get("industry"));
    assert!(industries.any(|held| held == Some(&media)));
    assert_eq!(judge::faults(&world, &epochs).await, [""; 0]);
}

fn next_steps(world: &World) -> BTreeSet<String> {
    let records = world.mos.records(RecordType::Opportunity);
    let steps = records.iter().map(|record| {
        let record = serde_json::to_value(record).unwrap();
        record["fields"]["next_step"].to_string()
    });
    steps.collect()
}

#[tokio::test(start_paused = true)]
async fn a_field_that_is_lost_alarms_and_keeps_its_value_in_mos() {
    let mut world = world(33);
    at_rest(&mut world).await;
    permit_everybody(&world);
    touch_deals(
        &world,
        &json!({ "NextStep": "call", "StageName": "Prospecting" }),
    );
    quiet(&world).await;
    let before = next_steps(&world);
    assert!(before.contains("\"call\""), "{before:?}");
    world.salesforce.hide("Opportunity", "NextStep");
    touch_deals(
        &world,
        &json!({ "NextStep": "secret", "Description": "seen" }),
    );
    quiet(&world).await;
    assert_eq!(next_steps(&world), before, "neither nulls nor news");
    // It is looked at once a day, and when the listener starts.
    world.kill(Service::Listener).await;
    world.start(Service::Listener);
    until("the alarm", async || {
        let reports = world.stores.reports.reports().await.unwrap();
        matches!(&reports["listener"].state, WorkerState::Failing(why) if why.contains("Opportunity.NextStep"))
    })
    .await;
    let log = world
        .stores
        .log
        .search(&LogQuery::default(), None, 1_000)
        .await;
    let lines = log.unwrap().entries;
    assert!(lines.iter().any(|(_, line)| {
        line.topic == "org"
            && line
                .message
                .contains("Opportunity.NextStep can no longer be seen")
    }));
    let revision = world.stores.settings.current().await.unwrap();
    assert_eq!(revision.author, MOSYNC);
    world.salesforce.hide_nothing();
    world.kill(Service::Listener).await;
    world.start(Service::Listener);
    until("the refresh", async || {
        of_kind(&world, JobKind::Refresh).await.len() == 2
    })
    .await;
    quiet(&world).await;
    let in_scope = deals(&world, |deal| !deal.flag("IsClosed")).await;
    assert!(!in_scope.is_empty());
    for id in in_scope {
        let held = world.mos.record(RecordType::Opportunity, &id).unwrap();
        let held = serde_json::to_value(held).unwrap();
        assert_eq!(held["fields"]["next_step"], "secret");
    }
    let reports = world.stores.reports.reports().await.unwrap();
    assert_eq!(reports["listener"].state, WorkerState::Running);
}

#[tokio::test(start_paused = true)]
async fn an_org_in_another_zone_moves_rules_that_depend_on_it() {
    let (mut world, _) = today_only(34).await;
    let update = Dml::Update {
        entity: "Organization".to_owned(),
        id: world.org.org_id().to_owned(),
        // Two hours further east, where the 16th has begun.
        fields: fields(&json!({ "TimeZoneSidKey": "Pacific/Tongatapu" })),
    };
    let user = world.org.admin_id();
    world.org.transact(user, "entering", vec![update]).unwrap();
    let before = world.stores.settings.current().await.unwrap();
    world.kill(Service::Listener).await;
    world.start(Service::Listener);
    until("the new rules", async || {
        world.stores.settings.current().await.unwrap().revision > before.revision
    })
    .await;
    quiet(&world).await;
    let after = world.stores.settings.current().await.unwrap();
    assert_eq!(after.author, MOSYNC);
    assert_eq!(after.settings, before.settings);
    assert_eq!(after.rule_revision, before.rule_revision + 1);
    assert_ne!(after.org, OrgProfile::default());
    assert!(open_on(&world, 1).await.is_subset(&in_mos(&world)));
}

/// What the integration log has of a topic.
pub(crate) async fn told(world: &World, topic: &str) -> Vec<String> {
    let log = &world.stores.log;
    let page = log.search(&LogQuery::default(), None, 1_000).await;
    let lines = page.unwrap().entries.into_iter().map(|(_, line)| line);
    lines
        .filter(|line| line.topic == topic)
        .map(|line| line.message)
        .collect()
}

/// The org around the records is looked at once a day, and when the listener starts.
async fn look_around(world: &mut World) {
    world.kill(Service::Listener).await;
    world.start(Service::Listener);
}

pub(crate) async fn alarm(world: &World) -> Option<String> {
    let reports = world.stores.reports.reports().await.unwrap();
    match &reports["listener"].state {
        WorkerState::Failing(why) => Some(why.clone()),
        WorkerState::Running | WorkerState::Paused(_) => None,
    }
}

/// Waits until the org was looked at and something about it was told, with the refresh that is
/// begun for it; nothing is told the next time.
pub(crate) async fn noticed(world: &mut World, words: &str) {
    let refreshes = of_kind(world, JobKind::Refresh).await.len();
    look_around(world).await;
    until(words, async || {
        let lines = told(world, "org").await;
        lines.iter().any(|line| line.contains(words))
    })
    .await;
    until("the refresh", async || {
        of_kind(world, JobKind::Refresh).await.len() == refreshes + 1
    })
    .await;
    quiet(world).await;
    let lines = told(world, "org").await.len();
    look_around(world).await;
    quiet(world).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(told(world, "org").await.len(), lines, "once");
    assert_eq!(of_kind(world, JobKind::Refresh).await.len(), refreshes + 1);
}

fn add_field(world: &World, field: &Value) {
    let field = serde_json::from_value(field.clone()).unwrap();
    world.org.add_field(&field).unwrap();
}

fn map(settings: &mut Settings, mos_field: &str, salesforce_field: &str) {
    let mut rows = settings.mapping.rows().to_vec();
    rows.retain(|row| (row.object, row.mos_field.as_str()) != (ObjectKind::Opportunity, mos_field));
    rows.push(MappingRow {
        object: ObjectKind::Opportunity,
        mos_field: mos_field.to_owned(),
        salesforce_field: salesforce_field.to_owned(),
        active: true,
        contract_term_type: None,
    });
    settings.mapping = Mapping::new(rows).unwrap();
}

#[tokio::test(start_paused = true)]
async fn other_values_of_a_mapped_picklist_begin_a_refresh_and_are_told() {
    let mut world = world(41);
    for name in ["Region__c", "Colour__c"] {
        add_field(
            &world,
            &json!({ "entity": "Opportunity", "name": name, "type": "picklist", "values": ["North", "South"] }),
        );
    }
    let mut epochs = at_rest(&mut world).await;
    save(&world, &mut epochs, |settings| {
        map(settings, "next_step", "Region__c");
    })
    .await;
    quiet(&world).await;
    // From now on the values of the mapped field are known.
    look_around(&mut world).await;
    quiet(&world).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    let values = |field: &str| {
        let wanted =
            json!({ "entity": "Opportunity", "field": field, "values": ["South", "East", "West"] });
        let wanted = serde_json::from_value(wanted).unwrap();
        world.org.set_picklist_values(&wanted).unwrap();
    };
    values("Colour__c");
    values("Region__c");
    noticed(
        &mut world,
        "Opportunity.Region__c has other picklist values now: 2 new, 1 gone",
    )
    .await;
    let lines = told(&world, "org").await;
    assert!(
        lines.iter().all(|line| !line.contains("Colour__c")),
        "no rule reads it: {lines:?}"
    );
    assert!(
        lines.iter().all(|line| !line.contains("North")),
        "no values: {lines:?}"
    );
    assert_eq!(judge::faults(&world, &epochs).await, [""; 0]);
}

fn update_one(world: &World, entity: &str, name: &str, what: &Value) {
    let rows = world.org.records(entity);
    let row = rows.iter().find(|row| row.text("Name") == Some(name));
    let update = Dml::Update {
        entity: entity.to_owned(),
        id: row.unwrap().id().to_owned(),
        fields: fields(what),
    };
    let user = world.org.admin_id();
    world.org.transact(user, "entering", vec![update]).unwrap();
}

fn insert_one(world: &World, entity: &str, what: &Value) -> String {
    let insert = Dml::Insert {
        entity: entity.to_owned(),
        fields: fields(what),
    };
    let user = world.org.admin_id();
    let made = world.org.transact(user, "entering", vec![insert]).unwrap();
    made.into_iter().find_map(|made| made.id).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_permission_set_of_another_name_alarms_until_it_is_back() {
    let mut world = world(42);
    at_rest(&mut world).await;
    update_one(
        &world,
        "PermissionSet",
        "mOS_User",
        &json!({ "Name": "mOS_Seller" }),
    );
    noticed(
        &mut world,
        "the permission set mOS_User is called mOS_Seller now",
    )
    .await;
    let why = alarm(&world).await.expect("an alarm");
    assert!(why.contains("no permission set mOS_User any more"), "{why}");
    update_one(
        &world,
        "PermissionSet",
        "mOS_Seller",
        &json!({ "Name": "mOS_User" }),
    );
    noticed(&mut world, "there is a permission set mOS_User now").await;
    assert_eq!(alarm(&world).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_takes_a_permission_set_in_is_told() {
    let mut world = world(43);
    at_rest(&mut world).await;
    let sets = world.org.records("PermissionSet");
    let set = sets.iter().find(|set| set.text("Name") == Some("mOS_User"));
    let group = insert_one(
        &world,
        "PermissionSetGroup",
        &json!({ "DeveloperName": "Late" }),
    );
    insert_one(
        &world,
        "PermissionSetGroupComponent",
        &json!({ "PermissionSetGroupId": group, "PermissionSetId": set.unwrap().id() }),
    );
    noticed(&mut world, "the permission set group Late has mOS_User now").await;
    assert_eq!(alarm(&world).await, None);
}

/// The profile of the integration user shows all data, or no longer does.
pub(crate) fn view_all_data(world: &World, on: bool) {
    let all_data = json!({ "PermissionsViewAllData": on, "PermissionsModifyAllData": on });
    update_profile(world, &all_data);
}

/// The profile of the integration user shows all users, or no longer does.
pub(crate) fn view_all_users(world: &World, on: bool) {
    update_profile(world, &json!({ "PermissionsViewAllUsers": on }));
}

/// What the profile of the integration user gives.
fn update_profile(world: &World, permissions: &Value) {
    let user = world.org.record("User", world.org.admin_id()).unwrap();
    let profile = user.text("ProfileId").unwrap();
    let sets = world.org.records("PermissionSet");
    let own = sets
        .iter()
        .find(|set| set.text("ProfileId") == Some(profile));
    update_one(
        world,
        "PermissionSet",
        own.unwrap().text("Name").unwrap(),
        permissions,
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_integration_user_may_read_is_watched() {
    let mut world = world(44);
    view_all_data(&world, false);
    let set = insert_one(&world, "PermissionSet", &json!({ "Name": "Integration" }));
    let rights = insert_one(
        &world,
        "ObjectPermissions",
        &json!({ "ParentId": set, "SobjectType": "Account", "PermissionsRead": true, "PermissionsViewAllRecords": true }),
    );
    let assigned = json!({ "AssigneeId": world.org.admin_id(), "PermissionSetId": set });
    insert_one(&world, "PermissionSetAssignment", &assigned);
    at_rest(&mut world).await;
    let change = |world: &World, view_all: bool| {
        let update = Dml::Update {
            entity: "ObjectPermissions".to_owned(),
            id: rights.clone(),
            fields: fields(&json!({ "PermissionsViewAllRecords": view_all })),
        };
        let user = world.org.admin_id();
        world.org.transact(user, "entering", vec![update]).unwrap();
    };
    change(&world, false);
    noticed(&mut world, "no longer has View All Records of Account").await;
    change(&world, true);
    noticed(&mut world, "has View All Records of Account now").await;
    update_one(
        &world,
        "PermissionSet",
        "Integration",
        &json!({ "PermissionsViewAllData": true }),
    );
    noticed(&mut world, "has View All Data of all data now").await;
    assert_eq!(alarm(&world).await, None);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_cannot_be_seen_alarms_and_everything_is_read_when_it_can() {
    let mut world = world(45);
    let epochs = at_rest(&mut world).await;
    world.salesforce.hide_object("Contact");
    look_around(&mut world).await;
    until("the alarm", async || {
        let why = alarm(&world).await;
        why.is_some_and(|why| why.contains("one of the five objects"))
    })
    .await;
    let refreshes = of_kind(&world, JobKind::Refresh).await.len();
    world.salesforce.hide_nothing();
    until("the refresh", async || {
        of_kind(&world, JobKind::Refresh).await.len() == refreshes + 1
    })
    .await;
    quiet(&world).await;
    assert_eq!(alarm(&world).await, None);
    let lines = told(&world, "org").await;
    assert!(
        lines
            .iter()
            .any(|line| line.contains("can see all objects again")),
        "{lines:?}"
    );
    assert_eq!(judge::faults(&world, &epochs).await, [""; 0]);
}

fn industries(world: &World, industry: &str) {
    let accounts = world.org.records("Account");
    let update = accounts.iter().map(|account| Dml::Update {
        entity: "Account".to_owned(),
        id: account.id().to_owned(),
        fields: fields(&json!({ "Industry": industry })),
    });
    let user = world.org.admin_id();
    world
        .org
        .transact(user, "entering", update.collect())
        .unwrap();
}

/// A field of a parent is looked up by its path, and lost with the field.
#[tokio::test(start_paused = true)]
async fn a_path_to_a_parent_that_is_lost_alarms_and_keeps_its_value_in_mos() {
    let mut world = world(46);
    world.refreshed_every = Duration::from_secs(1_800);
    let mut epochs = at_rest(&mut world).await;
    permit_everybody(&world);
    save(&world, &mut epochs, |settings| {
        map(settings, "next_step", "Account.Industry");
    })
    .await;
    industries(&world, "Energy");
    touch_deals(&world, &json!({ "StageName": "Prospecting" }));
    quiet(&world).await;
    look_around(&mut world).await;
    quiet(&world).await;
    let before = next_steps(&world);
    assert!(before.contains("\"Energy\""), "{before:?}");
    assert_eq!(judge::faults(&world, &epochs).await, [""; 0]);
    // The account alone changes: its deals are read again at the interval of formulas.
    industries(&world, "Media");
    let refreshes = of_kind(&world, JobKind::Refresh).await.len();
    until("the refresh", async || {
        of_kind(&world, JobKind::Refresh).await.len() > refreshes
    })
    .await;
    quiet(&world).await;
    assert_eq!(judge::faults(&world, &epochs).await, [""; 0]);
    let before = next_steps(&world);
    assert!(before.contains("\"Media\""), "{before:?}");

    world.org.hide_field("Account", "Industry", true).unwrap();
    touch_deals(&world, &json!({ "Description": "seen" }));
    quiet(&world).await;
    assert_eq!(next_steps(&world), before, "neither nulls nor news");
    look_around(&mut world).await;
    until("the alarm", async || {
        let why = alarm(&world).await;
        why.is_some_and(|why| why.contains("Opportunity.Account.Industry"))
    })
    .await;
    quiet(&world).await;
    assert_eq!(next_steps(&world), before, "the refresh sends no nulls");

    world.org.hide_field("Account", "Industry", false).unwrap();
    industries(&world, "Retail");
    let refreshes = of_kind(&world, JobKind::Refresh).await.len();
    look_around(&mut world).await;
    until("the refresh", async || {
        of_kind(&world, JobKind::Refresh).await.len() > refreshes
    })
    .await;
    quiet(&world).await;
    assert_eq!(alarm(&world).await, None);
    assert_eq!(judge::faults(&world, &epochs).await, [""; 0]);
}

/// Rules that cannot be used would stop every worker.
#[tokio::test(start_paused = true)]
async fn a_filtered_field_of_another_type_alarms_and_nothing_stops() {
    let mut world = world(44);
    let mut epochs = at_rest(&mut world).await;
    permit_everybody(&world);
    touch_deals(
        &world,
        &json!({ "NextStep": "gold", "StageName": "Prospecting" }),
    );
    quiet(&world).await;
    let gold = filter(vec![condition("NextStep", Operator::Equals, "gold")]);
    save(&world, &mut epochs, |settings| settings.filter = gold).await;
    quiet(&world).await;
    let before = world.stores.settings.current().await.unwrap();

    world.salesforce.retype("NextStep", FieldType::Number);
    look_around(&mut world).await;
    let mut why = None;
    until("the alarm", async || {
        why = alarm(&world).await.filter(|why| why.contains("NextStep"));
        why.is_some()
    })
    .await;
    let why = why.unwrap();
    let fault = "condition 1: value 1 for the number field `NextStep` cannot be read";
    assert!(why.contains(fault), "{why}");
    assert!(why.contains("change the filter"), "{why}");
    assert!(told(&world, "settings").await.contains(&why));
    let current = world.stores.settings.current().await.unwrap();
    assert_eq!(current, before, "what cannot be used is not saved");
    touch_deals(&world, &json!({ "Description": "goes on" }));
    quiet(&world).await;
    let held = world.mos.records(RecordType::Opportunity);
    let goes_on = held.iter().filter(|held| {
        let held = serde_json::to_value(held).unwrap();
        held["fields"]["description"] == "goes on"
    });
    assert!(goes_on.count() > 0);

    save(&world, &mut epochs, |settings| {
        settings.filter = Filter::default();
    })
    .await;
    until("the alarm is over", async || alarm(&world).await.is_none()).await;
    quiet(&world).await;
}

fn another_rate(world: &World, rate: f64) {
    let types = world.org.records("CurrencyType");
    let euro = types.iter().find(|one| one.text("IsoCode") == Some("EUR"));
    let update = Dml::Update {
        entity: "CurrencyType".to_owned(),
        id: euro.unwrap().id().to_owned(),
        fields: fields(&json!({ "ConversionRate": rate })),
    };
    let user = world.org.admin_id();
    world.org.transact(user, "entering", vec![update]).unwrap();
}

/// Amounts are read in the currency of their record, which no rate changes.
#[tokio::test(start_paused = true)]
async fn another_rate_brings_a_refresh_only_where_it_changes_something() {
    let mut world = world(45);
    let currencies = json!({ "corporate": "USD", "others": [["EUR", 0.9]] });
    let currencies = serde_json::from_value(currencies).unwrap();
    world.org.enable_currencies(&currencies).unwrap();
    let mut epochs = at_rest(&mut world).await;
    permit_everybody(&world);
    quiet(&world).await;

    another_rate(&world, 0.8);
    look_around(&mut world).await;
    until("the rate is told", async || {
        let lines = told(&world, "org").await;
        lines.iter().any(|line| line.contains("rates are others"))
    })
    .await;
    quiet(&world).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(of_kind(&world, JobKind::Refresh).await, []);

    // An amount that Salesforce calculates, it may convert too.
    world.salesforce.calculate("Opportunity", "Amount");
    another_rate(&world, 0.7);
    look_around(&mut world).await;
    until("a refresh", async || {
        of_kind(&world, JobKind::Refresh).await.len() == 1
    })
    .await;
    quiet(&world).await;

    // A filter that compares amounts is another one by another rate.
    let large = filter(vec![condition("Amount", Operator::GreaterOrEqual, "EUR1")]);
    save(&world, &mut epochs, |settings| settings.filter = large).await;
    quiet(&world).await;
    let before = world.stores.settings.current().await.unwrap();
    another_rate(&world, 0.6);
    look_around(&mut world).await;
    until("the new rules", async || {
        let now = world.stores.settings.current().await.unwrap();
        now.author == MOSYNC && now.rule_revision == before.rule_revision + 1
    })
    .await;
    quiet(&world).await;
    assert_eq!(of_kind(&world, JobKind::Refresh).await.len(), 2);
}
