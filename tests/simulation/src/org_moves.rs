//! What moves in the org while the listener goes on, without anybody starting it again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use domain::ObjectKind;
use domain::job::{Job, JobKind};
use domain::mapping::Mapping;
use domain::settings::{MOSYNC, SettingsRevision};
use fake_mos::RecordType;
use ports::Clock;
use ports::stores::{SettingsStore, StoreError, WorkerState};
use runtime::figures;
use serde_json::{Value, json};

use crate::entering::told;
use crate::moves::{
    add_accounts, figure, frequency, listening, published, rename_all, save, stream, until, world,
};
use crate::office::Office;
use crate::salesforce::update;
use crate::world::{Service, World};

/// How soon after a worker met it the listener must have looked.
const SOON: Duration = Duration::from_secs(6 * 60);
/// How soon after a field is back it must be read again, and the alarm be over.
const RESTORED: Duration = Duration::from_secs(25 * 60);

fn zone(world: &World, zone: &str) {
    let zone = json!({ "TimeZoneSidKey": zone });
    update(&world.org, "Organization", world.org.org_id(), &zone);
}

async fn next_window(world: &World) -> Option<String> {
    let next = figure(world, figures::NEXT_WINDOW).await?;
    Some(domain::Timestamp::from_micros(next).to_soql())
}

/// Waits until that time of the script's clock.
async fn at(world: &World, time: &str) {
    let time = domain::Timestamp::parse(time).unwrap();
    tokio::time::sleep(time.since(world.clock.now())).await;
}

/// The world begins at noon on the 15th, in UTC. The org is looked at once a day, and soon after the
/// rules have moved.
#[tokio::test(start_paused = true)]
async fn daily_windows_keep_to_the_orgs_zone_and_follow_it() {
    let mut world = world(1);
    world.poll([ObjectKind::Account].into());
    zone(&world, "Asia/Kolkata");
    save(&world, frequency("daily_at_07:00")).await;
    add_accounts(&world, 1);
    let mut taker = listening(&mut world).await;
    assert_eq!(
        next_window(&world).await.as_deref(),
        Some("2026-06-16T01:30:00Z")
    );
    zone(&world, "America/Los_Angeles");
    save(&world, |settings| settings.sync_closed = true).await;
    until("the window in Los Angeles", async || {
        next_window(&world).await.as_deref() == Some("2026-06-15T14:00:00Z")
    })
    .await;
    published(&world, &mut *taker).await;
    rename_all(&world, "in Los Angeles");
    at(&world, "2026-06-15T13:59:00Z").await;
    assert_eq!(published(&world, &mut *taker).await.read, 0);
    let before = stream(&world).await.unwrap().heard;
    at(&world, "2026-06-15T14:01:00Z").await;
    assert_eq!(published(&world, &mut *taker).await.read, 1, "by a poll");
    assert!(stream(&world).await.unwrap().heard > before, "the stream");
}

/// No rule moves, no worker misses a field and nobody starts it again: the day alone makes it look.
#[tokio::test(start_paused = true)]
async fn what_has_moved_in_the_org_is_noticed_within_a_day() {
    let mut world = world(1);
    zone(&world, "Asia/Kolkata");
    save(&world, frequency("daily_at_07:00")).await;
    listening(&mut world).await;
    until("the first look", async || {
        let kept = world.stores.notes.note("org").await.unwrap();
        kept.is_some_and(|kept| kept.contains("Asia/Kolkata"))
    })
    .await;
    zone(&world, "America/Los_Angeles");
    tokio::time::sleep(Duration::from_secs(25 * 3_600)).await;
    assert_eq!(
        next_window(&world).await.as_deref(),
        Some("2026-06-16T14:00:00Z")
    );
    let moved = "the org's time zone is America/Los_Angeles now and was Asia/Kolkata";
    assert_eq!(told(&world, "org").await, [moved]);
    let refreshed = "the org has changed: everything is read again".to_owned();
    assert!(told(&world, "refresh").await.contains(&refreshed));
}

async fn alarm(office: &Office) -> Option<String> {
    let reports = office.world.stores.reports.reports().await.unwrap();
    match &reports["listener"].state {
        WorkerState::Failing(why) => Some(why.clone()),
        WorkerState::Running | WorkerState::Paused(_) => None,
    }
}

/// Waits for the listener's alarm about this field; says whether it came within that time.
async fn alarms_within(office: &Office, time: Duration, field: &str) -> bool {
    let end = tokio::time::Instant::now() + time;
    until("the alarm", async || {
        let why = alarm(office).await;
        why.is_some_and(|why| why.contains(field))
    })
    .await;
    tokio::time::Instant::now() <= end
}

async fn refreshes(office: &Office) -> usize {
    let jobs = office.world.stores.jobs.list(1_000).await.unwrap();
    let refreshes = jobs.iter().filter(|job| job.kind == JobKind::Refresh);
    refreshes.count()
}

fn next_step(office: &Office, deal: &str) -> Option<Value> {
    office.in_mos(RecordType::Opportunity, deal, "next_step")
}

/// An office with a deal in mOS.
async fn with_a_deal(more: &Value) -> (Office, String) {
    let (office, owner) = Office::with_owner(|_, _| {}).await;
    let deal = office.deal(&owner, more);
    office.rest().await;
    (office, deal)
}

/// The first worker that meets it stops reading the field: mOS holds an old value from then on, and
/// somebody has to know.
#[tokio::test(start_paused = true)]
async fn a_mapped_field_that_is_lost_alarms_as_soon_as_a_worker_meets_it() {
    let (office, deal) = with_a_deal(&json!({ "NextStep": "call" })).await;
    assert_eq!(next_step(&office, &deal), Some(json!("call")));
    office.world.salesforce.hide("Opportunity", "NextStep");
    office.update(
        "Opportunity",
        &deal,
        &json!({ "NextStep": "secret", "Description": "seen" }),
    );
    assert!(alarms_within(&office, SOON, "Opportunity.NextStep").await);
    office.rest().await;
    assert_eq!(next_step(&office, &deal), Some(json!("call")));
    let revision = office.world.stores.settings.current().await.unwrap();
    assert_eq!(revision.author, MOSYNC);
}

/// Lost and found again between two looks: without a look nobody would read it any more.
#[tokio::test(start_paused = true)]
async fn a_field_that_was_lost_for_a_moment_is_read_again() {
    let (office, deal) = with_a_deal(&json!({ "NextStep": "call" })).await;
    office.world.salesforce.hide("Opportunity", "NextStep");
    office.update(
        "Opportunity",
        &deal,
        &json!({ "NextStep": "write", "Description": "seen" }),
    );
    let described = || office.in_mos(RecordType::Opportunity, &deal, "description");
    until("a worker has met it", async || {
        described() == Some(json!("seen"))
    })
    .await;
    office.world.salesforce.hide_nothing();
    let end = tokio::time::Instant::now() + SOON;
    until("the value", async || {
        next_step(&office, &deal) == Some(json!("write"))
    })
    .await;
    assert!(tokio::time::Instant::now() <= end);
    office.rest().await;
    let looked = refreshes(&office).await;
    tokio::time::sleep(4 * SOON).await;
    assert_eq!(refreshes(&office).await, looked, "once");
    assert_eq!(alarm(&office).await, None);
}

/// Without it nobody can judge a deal: nothing is sent by half a filter, and nothing is lost.
#[tokio::test(start_paused = true)]
async fn a_filtered_field_that_is_lost_holds_up_deals_until_it_is_back() {
    let (office, owner) = Office::with_owner(|office, _| {
        let field =
            json!({ "entity": "Opportunity", "name": "Tier__c", "type": "string", "length": 20 });
        let field = serde_json::from_value(field).unwrap();
        office.world.org.add_field(&field).unwrap();
    })
    .await;
    let gold = json!({ "field": "Tier__c", "operator": "equals", "values": ["gold"] });
    office
        .save(&json!({ "filter": { "conditions": [gold] } }))
        .await;
    let deal = office.deal(&owner, &json!({ "Tier__c": "gold", "NextStep": "call" }));
    let lead = office.deal(&owner, &json!({ "Tier__c": "lead", "NextStep": "call" }));
    office.rest().await;
    assert_eq!(next_step(&office, &deal), Some(json!("call")));

    office.world.salesforce.hide("Opportunity", "Tier__c");
    for deal in [&deal, &lead] {
        office.update("Opportunity", deal, &json!({ "NextStep": "write" }));
    }
    assert!(alarms_within(&office, SOON, "Opportunity.Tier__c").await);
    assert_eq!(next_step(&office, &deal), Some(json!("call")));
    assert!(!office.has(RecordType::Opportunity, &lead));

    office.world.salesforce.hide_nothing();
    let end = tokio::time::Instant::now() + RESTORED;
    until("the change", async || {
        next_step(&office, &deal) == Some(json!("write"))
    })
    .await;
    until("the alarm is over", async || alarm(&office).await.is_none()).await;
    assert!(tokio::time::Instant::now() <= end);
    office.rest().await;
    assert!(!office.has(RecordType::Opportunity, &lead));
}

/// The same, and an administrator who takes the field out of the filter.
#[tokio::test(start_paused = true)]
async fn a_filter_without_the_lost_field_goes_on() {
    let (office, deal) = with_a_deal(&json!({ "NextStep": "gold" })).await;
    let gold = json!({ "field": "NextStep", "operator": "equals", "values": ["gold"] });
    office
        .save(&json!({ "filter": { "conditions": [gold] } }))
        .await;
    office.rest().await;
    office.world.salesforce.hide("Opportunity", "NextStep");
    office.update("Opportunity", &deal, &json!({ "Description": "seen" }));
    assert!(alarms_within(&office, SOON, "Opportunity.NextStep").await);
    let described = || office.in_mos(RecordType::Opportunity, &deal, "description");
    assert_ne!(described(), Some(json!("seen")));
    // The mapping names it too.
    let mut rows = Mapping::default().rows().to_vec();
    let named = rows
        .iter_mut()
        .filter(|row| row.salesforce_field == "NextStep");
    named.for_each(|row| row.active = false);
    office.save(&json!({ "mapping": rows })).await;
    until("the change", async || described() == Some(json!("seen"))).await;
    until("the alarm is over", async || alarm(&office).await.is_none()).await;
    office.rest().await;
    assert_eq!(next_step(&office, &deal), Some(json!("gold")));
}

/// The year that the 15th of June 2026 is in ends with December, or, where years begin in July, with
/// that very month.
#[tokio::test(start_paused = true)]
async fn another_fiscal_year_moves_what_the_filter_means_by_it() {
    let (mut office, owner) =
        Office::with_owner(|office, _| fiscal_years_begin_in(office, 1)).await;
    let year =
        json!({ "field": "CloseDate", "operator": "equals", "values": ["THIS_FISCAL_YEAR"] });
    office
        .save(&json!({ "filter": { "conditions": [year] } }))
        .await;
    let [before, after] =
        ["2025-08-01", "2026-08-01"].map(|day| office.deal(&owner, &json!({ "CloseDate": day })));
    office.rest().await;
    assert!(!office.has(RecordType::Opportunity, &before));
    assert!(office.has(RecordType::Opportunity, &after));
    let rules = office.world.stores.settings.current().await.unwrap();

    fiscal_years_begin_in(&office, 7);
    office.world.kill(Service::Listener).await;
    office.world.start(Service::Listener);
    let came = office
        .comes_within(SOON, |office| office.has(RecordType::Opportunity, &before))
        .await;
    assert!(came, "not let in");
    office.update("Opportunity", &after, &json!({ "NextStep": "next year" }));
    office.rest().await;
    assert_ne!(next_step(&office, &after), Some(json!("next year")));
    let moved = office.world.stores.settings.current().await.unwrap();
    assert_eq!(moved.author, MOSYNC);
    assert_eq!(moved.rule_revision, rules.rule_revision + 1);
}

/// Somebody saves settings just before the first save that is made through it.
struct Overtaken {
    inner: Arc<dyn SettingsStore>,
    once: AtomicBool,
}

#[async_trait]
impl SettingsStore for Overtaken {
    async fn save(
        &self,
        next: &SettingsRevision,
        backfill: Option<&Job>,
    ) -> Result<(), StoreError> {
        if !self.once.swap(true, Ordering::SeqCst) {
            let current = self.inner.current().await?;
            let (same, types) = (current.settings.clone(), current.field_types.clone());
            let org = current.org.clone();
            let theirs = current.next(same, types, org, "a person", next.saved);
            self.inner.save(&theirs, None).await?;
        }
        self.inner.save(next, backfill).await
    }

    async fn current(&self) -> Result<SettingsRevision, StoreError> {
        self.inner.current().await
    }

    async fn revision(&self, number: u64) -> Result<Option<SettingsRevision>, StoreError> {
        self.inner.revision(number).await
    }

    async fn history(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<SettingsRevision>, StoreError> {
        self.inner.history(before, limit).await
    }

    async fn restore(&self, revisions: &[SettingsRevision]) -> Result<(), StoreError> {
        self.inner.restore(revisions).await
    }
}

/// How often the stream was opened so far.
fn subscriptions(office: &Office) -> usize {
    let trace = office.world.chance.trace();
    let opened = trace
        .iter()
        .filter(|line| line.contains("subscribed after"));
    opened.count()
}

/// The org is looked at once more, under what was saved, and the stream is followed all the time.
#[tokio::test(start_paused = true)]
async fn settings_that_somebody_saves_during_a_look_do_not_interrupt_the_listener() {
    let mut office = Office::closed();
    let owner = office.user("Ada");
    office.grant(&owner);
    fiscal_years_begin_in(&office, 1);
    let year =
        json!({ "field": "CloseDate", "operator": "equals", "values": ["THIS_FISCAL_YEAR"] });
    office
        .save(&json!({ "filter": { "conditions": [year] } }))
        .await;
    office.world.start_all();
    office.rest().await;
    let before = office.world.stores.settings.current().await.unwrap();

    fiscal_years_begin_in(&office, 7);
    let world = &mut office.world;
    world.service_stores.settings = Arc::new(Overtaken {
        inner: Arc::clone(&world.service_stores.settings),
        once: AtomicBool::new(false),
    });
    world.kill(Service::Listener).await;
    let opened = subscriptions(&office);
    office.world.start(Service::Listener);
    let settings = &office.world.stores.settings;
    until("the rules have moved", async || {
        settings.current().await.unwrap().rule_revision == before.rule_revision + 1
    })
    .await;
    let revisions = settings.history(None, 2).await.unwrap();
    let authors = revisions.iter().map(|revision| revision.author.as_str());
    assert_eq!(authors.collect::<Vec<_>>(), [MOSYNC, "a person"]);
    assert_eq!(revisions[1].revision, before.revision + 1);
    assert_eq!(subscriptions(&office), opened + 1);
    let moved = "the fiscal years are others now";
    until("it is told", async || {
        !told(&office.world, "org").await.is_empty()
    })
    .await;
    assert_eq!(told(&office.world, "org").await, [moved], "once");
}

fn fiscal_years_begin_in(office: &Office, month: u8) {
    let org = office.world.org.org_id().to_owned();
    office.update(
        "Organization",
        &org,
        &json!({ "FiscalYearStartMonth": month }),
    );
}
