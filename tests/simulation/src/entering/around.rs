//! What is around the records moves: stages, formulas, fields, access, permission sets, rates.

use domain::mapping::{Mapping, MappingRow};
use domain::settings::MOSYNC;
use ports::stores::LogQuery;

use super::*;
use crate::salesforce::{insert, transact, update, updating};
use crate::world::Service;

/// Gives a stage another meaning.
fn retype(world: &World, stage: &str, what: &Value) {
    let stages = world.org.records("OpportunityStage");
    let stage = stages
        .iter()
        .find(|row| row.text("ApiName") == Some(stage))
        .unwrap();
    update(&world.org, "OpportunityStage", stage.id(), what);
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
    update(&world.org, entity, row.unwrap().id(), what);
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
    let group = insert(
        &world.org,
        "PermissionSetGroup",
        &json!({ "DeveloperName": "Late" }),
    );
    insert(
        &world.org,
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
    let set = insert(
        &world.org,
        "PermissionSet",
        &json!({ "Name": "Integration" }),
    );
    let rights = insert(
        &world.org,
        "ObjectPermissions",
        &json!({ "ParentId": set, "SobjectType": "Account", "PermissionsRead": true, "PermissionsViewAllRecords": true }),
    );
    let assigned = json!({ "AssigneeId": world.org.admin_id(), "PermissionSetId": set });
    insert(&world.org, "PermissionSetAssignment", &assigned);
    at_rest(&mut world).await;
    let change = |world: &World, view_all: bool| {
        let seen = json!({ "PermissionsViewAllRecords": view_all });
        update(&world.org, "ObjectPermissions", &rights, &seen);
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
    let industry = json!({ "Industry": industry });
    let updates = accounts.iter();
    let updates = updates.map(|account| updating("Account", account.id(), &industry));
    transact(&world.org, updates);
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
    let rate = json!({ "ConversionRate": rate });
    update(&world.org, "CurrencyType", euro.unwrap().id(), &rate);
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
