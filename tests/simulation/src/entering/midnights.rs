//! The calendar moves: what a new day lets in is read, also where its midnight was missed.

use domain::Timestamp;
use domain::org::OrgProfile;
use domain::settings::MOSYNC;

use super::*;
use crate::salesforce::{transact, update, updating};
use crate::world::Service;

/// Sets the org's zone; one hour before midnight it is there when the world begins.
fn an_hour_before_midnight(world: &World) {
    let zone = json!({ "TimeZoneSidKey": "Pacific/Guadalcanal" });
    update(&world.org, "Organization", world.org.org_id(), &zone);
}

/// Closes the deals on these days from the 16th on, the day that begins after an hour.
fn close_on(world: &World, days: &[u32]) {
    let deals = world.org.records("Opportunity");
    let updates = deals
        .iter()
        .filter(|deal| !deal.flag("IsDeleted"))
        .zip(days.iter().cycle())
        .map(|(deal, day)| {
            let closes = json!({
                "CloseDate": format!("2026-06-{:02}", 15 + day),
                "StageName": "Prospecting",
            });
            updating("Opportunity", deal.id(), &closes)
        });
    transact(&world.org, updates);
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

#[tokio::test(start_paused = true)]
async fn an_org_in_another_zone_moves_rules_that_depend_on_it() {
    let (mut world, _) = today_only(34).await;
    // Two hours further east, where the 16th has begun.
    let zone = json!({ "TimeZoneSidKey": "Pacific/Tongatapu" });
    update(&world.org, "Organization", world.org.org_id(), &zone);
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
