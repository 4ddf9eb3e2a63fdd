//! Why a record is in mOS, or is not: the verdict, what it rests on, and what would change it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use console::Operations;
use console::views::{ExplainCode, ExplainView, Found};
use domain::filter::{BlankRule, Condition, FieldType, FieldTypes, Filter, Operator};
use domain::job::{Job, JobKind, SalesforceStatus};
use domain::mapping::Mapping;
use domain::parked::Dismissal;
use domain::permission::{Grant, NearMiss, Obstacle, PermissionSnapshot};
use domain::settings::Settings;
use domain::{ObjectKind, SalesforceId, Timestamp, Version};
use fake_mos::Mos;
use ports::source::ReplayId;
use ports::stores::{PollState, StreamState, WorkerState};
use ports::target::{Held, Listed, Outcome, Target, TargetError, Upsert};
use serde_json::{Value, json};

use crate::desk::{Desk, TOPIC};
use crate::salesforce::{delete, id, insert, update, user};

/// mOS as the port, to be read.
struct DeskMos(Option<Arc<Mos>>);

#[async_trait]
impl Target for DeskMos {
    async fn upsert(&self, _: &str, _: &[Upsert]) -> Result<Vec<Outcome>, TargetError> {
        Err(TargetError::Unreachable("nobody writes here".to_owned()))
    }
    async fn has_answered(&self, _: &str) -> Result<bool, TargetError> {
        Ok(false)
    }
    async fn probe(&self) -> Result<(), TargetError> {
        Ok(())
    }
    async fn record(
        &self,
        object: ObjectKind,
        id: &SalesforceId,
    ) -> Result<Option<Held>, TargetError> {
        let mos = self.0.as_ref();
        let mos = mos.ok_or_else(|| TargetError::Unreachable("connection refused".to_owned()))?;
        let record = mos.record(object.mos_type().parse().unwrap(), id.as_str());
        Ok(record.map(|record| Held {
            version: Version::at(Timestamp::from_micros(record.version.parse().unwrap())),
            fields: record.fields,
        }))
    }
    async fn list(&self, _: ObjectKind, _: &str, _: usize) -> Result<Vec<Listed>, TargetError> {
        Err(TargetError::Unreachable("nobody lists here".to_owned()))
    }
}

struct Case {
    desk: Desk,
    mos: Arc<Mos>,
    ops: Operations,
    owner: String,
    account: String,
    snapshot: PermissionSnapshot,
}

fn grant(expires: Option<Timestamp>) -> Grant {
    Grant {
        permission_set: "mOS_User".to_owned(),
        group: Some("Sales".to_owned()),
        expires,
    }
}

impl Case {
    /// An owner with permission, and an account.
    async fn open() -> Self {
        let desk = Desk::open();
        let clock = desk.clock();
        let mos = Mos::new(Arc::new(move || clock.now().as_micros()), "key");
        let ops = operations(&desk, DeskMos(Some(Arc::clone(&mos))));
        let owner = user(&desk.salesforce, "Ada");
        let account = insert(&desk.salesforce, "Account", &json!({"Name": "Acme"}));
        let mut case = Self {
            desk,
            mos,
            ops,
            snapshot: PermissionSnapshot::default(),
            account,
            owner,
        };
        let holder = id(&case.owner);
        case.permissions(|snapshot| {
            snapshot.holders.insert(holder, [grant(None)].into());
        })
        .await;
        case
    }

    async fn permissions(&mut self, change: impl FnOnce(&mut PermissionSnapshot)) {
        self.snapshot.number += 1;
        self.snapshot.taken = self.desk.now();
        change(&mut self.snapshot);
        let permissions = &self.desk.stores.permissions;
        permissions.store(&self.snapshot, None).await.unwrap();
    }

    fn deal(&self, more: &Value) -> String {
        let mut fields = json!({
            "Name": "Deal", "StageName": "Prospecting", "CloseDate": "2027-01-01",
            "OwnerId": self.owner, "AccountId": self.account, "Amount": 500,
        });
        for (name, value) in more.as_object().unwrap() {
            fields[name] = value.clone();
        }
        insert(&self.desk.salesforce, "Opportunity", &fields)
    }

    async fn save(&self, change: impl FnOnce(&mut Settings)) {
        let types = FieldTypes::from([("Amount".to_owned(), FieldType::Currency)]);
        self.desk.save_as("Ada", types, change).await;
    }

    /// The stream was taken to its end at that time.
    async fn heard(&self, at: Timestamp) {
        let state = StreamState {
            position: ReplayId(vec![1]),
            at_end: true,
            window_over: false,
            heard: at,
            last_event: None,
        };
        let position = &self.desk.stores.position;
        position.store_stream(TOPIC, &state).await.unwrap();
    }

    /// Brings a record to mOS as it is now, as far as the integration user sees it.
    async fn bring(&self, object: ObjectKind, record: &str) {
        let source = self.desk.source();
        let mapping = Mapping::default();
        let seen = source.describe(object.api_name()).await.unwrap();
        let mut fields = mapping.salesforce_fields(object);
        fields.retain(|field| seen.iter().any(|known| known.name == *field));
        fields.extend(["Id".to_owned()]);
        if object == ObjectKind::Opportunity {
            fields.extend(["OwnerId", "AccountId", "IsClosed"].map(str::to_owned));
        }
        let fields: Vec<String> = fields.into_iter().collect();
        let rows = source.retrieve(object, &[id(record)], &fields).await;
        let row = rows.unwrap().remove(0).unwrap();
        let fields = mapping.map(object, &row.fields().unwrap()).unwrap();
        let version = Version::at(self.desk.now()).to_string();
        let body = json!({"records": [{
            "type": object.mos_type(), "external_id": record, "version": version,
            "fields": serde_json::from_str::<Value>(fields.get()).unwrap(), "if_exists": false,
        }]});
        let key = format!("{record} {version}");
        let (status, answer) = self
            .mos
            .handle_upsert(Some(&key), body.to_string().as_bytes());
        assert_eq!(status, 200);
        assert_eq!(answer["results"][0]["status"], "created", "{answer}");
    }

    async fn told(&self, asked: &str) -> ExplainView {
        self.ops.explain(asked).await.unwrap()
    }

    async fn code(&self, asked: &str) -> ExplainCode {
        self.told(asked).await.code
    }
}

fn operations(desk: &Desk, mos: DeskMos) -> Operations {
    Operations::new(
        desk.stores.clone(),
        Arc::clone(&desk.queue),
        desk.clock(),
        desk.source(),
        TOPIC,
    )
    .asking(Arc::new(mos))
}

/// Deals over 100 alone.
pub(crate) fn large_ones() -> Filter {
    Filter {
        conditions: vec![Condition {
            field: "Amount".to_owned(),
            operator: Operator::GreaterThan,
            values: vec!["100".to_owned()],
        }],
        logic: None,
    }
}

#[tokio::test]
async fn a_deal_that_mos_holds_as_it_is_is_current_until_it_changes() {
    let case = Case::open().await;
    case.save(|settings| settings.filter = large_ones()).await;
    let deal = case.deal(&json!({}));
    let view = case.told(&deal).await;
    assert_eq!(view.code, ExplainCode::InScopeNotYet);
    assert_eq!(view.in_scope, Some(true));
    case.bring(ObjectKind::User, &case.owner).await;
    case.bring(ObjectKind::Opportunity, &deal).await;
    let page = format!("https://acme.lightning.force.com/lightning/r/Opportunity/{deal}/view");
    let short = deal.chars().take(15).collect::<String>();
    for asked in [&deal, &short, &page] {
        let view = case.told(asked).await;
        assert_eq!(view.code, ExplainCode::InScopeAndCurrent, "{view:#?}");
        assert_eq!(view.id, id(&deal));
        let owner = view.owner.unwrap();
        assert_eq!(owner.grants, [grant(None)]);
        assert_eq!(owner.words, ["holds mOS_User through the group Sales"]);
        let settings = view.settings.unwrap();
        assert_eq!(settings.author, "Ada");
        assert_eq!((settings.revision, settings.rule_revision), (1, 1));
        let judged = view.opportunity.unwrap();
        assert_eq!(judged.conditions[0].met.as_deref(), Some("500.0"));
        assert!(judged.matches && judged.conditions[0].holds == Some(true));
    }
    update(
        &case.desk.salesforce,
        "Opportunity",
        &deal,
        &json!({"Amount": 600}),
    );
    let view = case.told(&deal).await;
    assert_eq!(view.code, ExplainCode::InScopeNotYet);
    assert_eq!(view.mos.unwrap().differs.unwrap(), ["amount"]);
    assert!(
        view.verdict
            .contains("an older state of it (amount differ)"),
        "{}",
        view.verdict
    );
}

#[tokio::test]
async fn a_filter_that_does_not_match_is_told_with_the_value_it_met() {
    let case = Case::open().await;
    case.save(|settings| settings.filter = large_ones()).await;
    let deal = case.deal(&json!({"Amount": 7}));
    let view = case.told(&deal).await;
    assert_eq!(view.code, ExplainCode::FilterDoesNotMatch);
    assert_eq!(
        view.verdict,
        "the opportunity does not match the filter: condition 1 (Amount greater than 100) met `7.0`"
    );
    assert_eq!(view.in_scope, Some(false));
    assert_eq!(
        case.code(&case.deal(&json!({"Amount": null}))).await,
        ExplainCode::FilterDoesNotMatch
    );
}

#[tokio::test]
async fn a_closed_deal_has_had_its_last_word_or_not() {
    let case = Case::open().await;
    let deal = case.deal(&json!({}));
    case.bring(ObjectKind::User, &case.owner).await;
    update(
        &case.desk.salesforce,
        "Opportunity",
        &deal,
        &json!({"StageName": "Closed Won"}),
    );
    assert_eq!(case.code(&deal).await, ExplainCode::Closed);
    case.bring(ObjectKind::Opportunity, &deal).await;
    assert_eq!(case.code(&deal).await, ExplainCode::LastWordSent);
    case.save(|settings| settings.sync_closed = true).await;
    assert_eq!(case.code(&deal).await, ExplainCode::InScopeAndCurrent);
}

#[tokio::test]
async fn an_owner_who_does_not_count_is_told_with_every_reason() {
    let mut case = Case::open().await;
    let end = case.desk.now().after(Duration::from_secs(60));
    let names = ["none", "expiring", "inactive", "revoked", "both"];
    let owners = names.map(|name| user(&case.desk.salesforce, name));
    let deals = owners
        .clone()
        .map(|owner| case.deal(&json!({"OwnerId": owner})));
    let miss = |because: Obstacle| NearMiss {
        grant: grant(None),
        because: [because].into(),
    };
    case.permissions(|snapshot| {
        snapshot
            .holders
            .insert(id(&owners[1]), [grant(Some(end))].into());
        let misses = &mut snapshot.near_misses;
        misses.insert(id(&owners[2]), [miss(Obstacle::UserInactive)].into());
        misses.insert(id(&owners[3]), [miss(Obstacle::Revoked)].into());
        // Renewed alone, it would not count either.
        let both = NearMiss {
            because: [Obstacle::Expired, Obstacle::Revoked].into(),
            ..miss(Obstacle::Expired)
        };
        misses.insert(id(&owners[4]), [both].into());
    })
    .await;
    let before = case.told(&deals[1]).await;
    assert_eq!(before.in_scope, Some(true));
    assert_eq!(before.owner.unwrap().until, Some(end));
    case.desk.pass(60);
    let codes = [
        ExplainCode::OwnerWithoutPermission,
        ExplainCode::PermissionExpired,
        ExplainCode::OwnerInactive,
        ExplainCode::PermissionDoesNotCount,
        ExplainCode::PermissionDoesNotCount,
    ];
    for ((deal, owner), code) in deals.iter().zip(&owners).zip(codes) {
        let view = case.told(deal).await;
        assert_eq!(
            (view.code, view.in_scope),
            (code, Some(false)),
            "{}",
            view.verdict
        );
        // The owner alone does not come either, for the same reason.
        assert_eq!(case.code(owner).await, code);
    }
    let revoked = case.told(&deals[3]).await;
    assert!(
        revoked.verdict.contains("but the assignment is revoked"),
        "{}",
        revoked.verdict
    );
}

#[tokio::test]
async fn nobody_holds_permission_before_it_was_read() {
    let mut case = Case::open().await;
    let deal = case.deal(&json!({}));
    let desk = Desk::open();
    case.desk.stores.permissions = desk.stores.permissions;
    let ops = operations(&case.desk, DeskMos(None));
    let view = ops.explain(&deal).await.unwrap();
    assert_eq!(view.code, ExplainCode::PermissionsNotRead);
}

#[tokio::test]
async fn what_hangs_on_deals_is_told_through_which() {
    let case = Case::open().await;
    case.save(|settings| settings.filter = large_ones()).await;
    let org = &case.desk.salesforce;
    let other = user(org, "Bea");
    let contact = insert(org, "Contact", &json!({"LastName": "Cid"}));
    for (object, id) in [
        ("account", &case.account),
        ("contact", &contact),
        ("user", &case.owner),
    ] {
        let view = case.told(id).await;
        assert_eq!(view.code, ExplainCode::NoOpportunity, "{object}");
        assert_eq!(view.through.unwrap().all, 0);
    }
    let small = case.deal(&json!({"Amount": 1}));
    assert_eq!(
        case.code(&case.account).await,
        ExplainCode::NoOpportunityMatches
    );
    let foreign = case.deal(&json!({"OwnerId": other}));
    let view = case.told(&case.account).await;
    assert_eq!(view.code, ExplainCode::NoOwnerWithPermission);
    assert!(
        view.verdict
            .contains("1 of the 2 opportunities of this account"),
        "{}",
        view.verdict
    );
    let deal = case.deal(&json!({}));
    let role = |deal: &str| {
        let fields = json!({"OpportunityId": deal, "ContactId": contact});
        insert(org, "OpportunityContactRole", &fields)
    };
    let (of_small, of_foreign) = (role(&small), role(&foreign));
    let out = case.told(&contact).await;
    assert_eq!(
        out.code,
        ExplainCode::NoOwnerWithPermission,
        "{}",
        out.verdict
    );
    let of_deal = role(&deal);
    for asked in [&case.account, &contact, &case.owner] {
        let view = case.told(asked).await;
        assert_eq!(view.in_scope, Some(true), "{}", view.verdict);
        let through = view.through.unwrap();
        assert_eq!(through.examples, [id(&deal)]);
        assert_eq!(through.in_scope, 1);
        assert!(through.owners[0].permitted);
    }
    let through = case.told(&case.account).await.through.unwrap();
    assert_eq!(
        (through.all, through.matching, through.owners.len()),
        (3, 2, 2)
    );
    assert_eq!(case.told(&of_deal).await.in_scope, Some(true));
    for (role, obstacle) in [
        (of_small, ExplainCode::FilterDoesNotMatch),
        (of_foreign, ExplainCode::OwnerWithoutPermission),
    ] {
        let view = case.told(&role).await;
        assert_eq!(view.code, obstacle, "{view:?}");
        assert!(view.opportunity.is_some() && view.owner.is_some());
    }
}

#[tokio::test]
async fn what_is_gone_hidden_or_was_never_there_is_told_apart() {
    let case = Case::open().await;
    let (deleted, hidden) = (case.deal(&json!({})), case.deal(&json!({})));
    case.bring(ObjectKind::User, &case.owner).await;
    case.bring(ObjectKind::Opportunity, &deleted).await;
    delete(&case.desk.salesforce, "Opportunity", &deleted);
    case.desk.salesforce.hide_record(&hidden, true).unwrap();
    let view = case.told(&deleted).await;
    assert_eq!(
        (view.code, view.found),
        (ExplainCode::Deleted, Some(Found::Deleted))
    );
    assert!(
        view.verdict.contains("mOS still holds it"),
        "{}",
        view.verdict
    );
    for asked in [hidden.as_str(), "006zzzzzzzzzz01"] {
        let view = case.told(asked).await;
        assert_eq!(
            (view.code, view.found),
            (ExplainCode::NotVisible, Some(Found::Absent))
        );
        assert_eq!(view.in_scope, None, "nobody knows");
    }
}

#[tokio::test]
async fn a_role_whose_deal_is_hidden_is_judged_by_nothing() {
    let case = Case::open().await;
    let org = &case.desk.salesforce;
    let contact = insert(org, "Contact", &json!({"LastName": "Cid"}));
    let deal = case.deal(&json!({}));
    let role = json!({"OpportunityId": deal, "ContactId": contact});
    let role = insert(org, "OpportunityContactRole", &role);
    assert_eq!(case.told(&role).await.in_scope, Some(true));
    case.desk.org.hides_record(id(&deal));
    let view = case.told(&role).await;
    assert_eq!(
        (view.code, view.found, view.in_scope),
        (
            ExplainCode::OpportunityNotVisible,
            Some(Found::Row),
            Some(false)
        )
    );
    assert_eq!(view.obstacles, [ExplainCode::OpportunityNotVisible]);
    assert!(view.opportunity.is_none() && view.owner.is_none());
    assert!(
        view.verdict.contains("the opportunity of this role"),
        "{}",
        view.verdict
    );
}

#[tokio::test]
async fn what_is_no_id_is_refused_and_an_id_of_another_object_is_told() {
    let case = Case::open().await;
    for (asked, words) in [
        ("Acme", "15 or 18 characters"),
        ("006dp00000h8yvwia3", "capital letters"),
        ("00600000000-001", "letters and digits"),
        ("https://acme.my.salesforce.com/", "no Salesforce id"),
    ] {
        let refused = case.ops.explain(asked).await.unwrap_err();
        assert_eq!(refused.code(), "invalid", "{asked}");
        let words_said = refused.to_string();
        assert!(words_said.contains(words), "{words_said}");
    }
    let view = case.told("500000000000001").await;
    assert_eq!(view.code, ExplainCode::NotASyncedObject);
    assert_eq!((view.in_scope, view.object), (None, None));
    assert!(view.verdict.contains("500"), "{}", view.verdict);
}

#[tokio::test]
async fn what_holds_everything_up_is_told_of_what_is_in_scope() {
    let case = Case::open().await;
    let deal = case.deal(&json!({}));
    let small = case.deal(&json!({"OwnerId": user(&case.desk.salesforce, "Bea")}));
    case.heard(case.desk.now().before(Duration::from_secs(60)))
        .await;
    case.save(|settings| settings.frequency = "every_15_min".parse().unwrap())
        .await;
    let view = case.told(&deal).await;
    assert_eq!(view.code, ExplainCode::WaitingForWindow);
    let next = view.next_window.unwrap();
    assert!(view.advice.contains(&next.to_string()), "{}", view.advice);
    case.save(|settings| settings.disabled = true).await;
    assert_eq!(case.code(&deal).await, ExplainCode::Disabled);
    assert_eq!(
        case.code(&small).await,
        ExplainCode::OwnerWithoutPermission,
        "it would not come anyway"
    );
    case.save(|settings| settings.org = Some(id("00D000000000009")))
        .await;
    let view = case.told(&deal).await;
    assert_eq!(view.code, ExplainCode::OtherOrg);
    assert!(view.verdict.contains("confirm-org"), "{}", view.verdict);
    let codes: Vec<_> = view.gates.iter().filter_map(|gate| gate.code).collect();
    assert_eq!(codes, [ExplainCode::OtherOrg, ExplainCode::Disabled]);
}

/// What was taken already is held up by something else, a job that is held for one.
#[tokio::test]
async fn only_what_changed_since_the_last_window_waits_for_the_next() {
    let case = Case::open().await;
    case.save(|settings| settings.frequency = "every_15_min".parse().unwrap())
        .await;
    let deal = case.deal(&json!({}));
    let changed = case.desk.now();
    let (waits, not_yet) = (ExplainCode::WaitingForWindow, ExplainCode::InScopeNotYet);
    assert_eq!(case.code(&deal).await, not_yet, "nothing was ever taken");
    let within = changed.after(Duration::from_millis(900));
    let after = changed.after(Duration::from_secs(1));
    // Stamped down to the second, it may have changed just behind the window.
    for (heard, code) in [(changed, waits), (within, waits), (after, not_yet)] {
        case.heard(heard).await;
        assert_eq!(case.code(&deal).await, code, "{heard}");
    }
    let view = case.told(&deal).await;
    let next = view.next_window.unwrap().to_string();
    for words in [next.as_str(), "mosync sync-all"] {
        assert!(view.advice.contains(words), "{}", view.advice);
    }

    let mos = DeskMos(Some(Arc::clone(&case.mos)));
    let polled = operations(&case.desk, mos).polling([ObjectKind::Opportunity].into());
    for (begun, code) in [
        (None, not_yet),
        (Some(changed), waits),
        (Some(after), not_yet),
    ] {
        let state = PollState {
            from: changed,
            under_way: None,
            polled: begun,
            found: None,
            hole: false,
        };
        let position = &case.desk.stores.position;
        let stored = position.store_poll(ObjectKind::Opportunity, &state);
        stored.await.unwrap();
        let view = polled.explain(&deal).await.unwrap();
        assert_eq!(view.code, code, "{begun:?}");
    }
}

/// What the settings have of the org is of the day on which they were saved.
#[tokio::test]
async fn the_next_daily_window_is_told_by_the_orgs_clock() {
    let case = Case::open().await;
    let deal = case.deal(&json!({}));
    case.heard(case.desk.now().before(Duration::from_secs(60)))
        .await;
    case.save(|settings| settings.frequency = "daily_at_13:00".parse().unwrap())
        .await;
    // The desk's clock stands at 14:13:20 in UTC on the 21st.
    let next = async || case.told(&deal).await.next_window.unwrap().to_soql();
    assert_eq!(next().await, "2026-09-22T13:00:00Z");
    case.desk.org.is_in("Asia/Kolkata");
    assert_eq!(next().await, "2026-09-22T07:30:00Z");
    case.desk.org.is_in("America/Los_Angeles");
    assert_eq!(next().await, "2026-09-21T20:00:00Z");
    let view = case.told(&deal).await;
    assert_eq!(view.code, ExplainCode::WaitingForWindow);
    assert!(
        view.advice.contains(&view.next_window.unwrap().to_string()),
        "{}",
        view.advice
    );
    // Whoever takes the windows knows best: it may not have heard of the new zone yet.
    let said = case.desk.now().after(Duration::from_secs(90));
    let says = async |next: Timestamp| {
        let figures = [("next_window", next.as_micros())];
        let running = WorkerState::Running;
        case.desk.report("listener", running, &figures).await;
    };
    says(said).await;
    assert_eq!(case.told(&deal).await.next_window, Some(said));
    // What it said last before it fell silent is over.
    says(case.desk.now()).await;
    assert_eq!(next().await, "2026-09-21T20:00:00Z");
}

#[tokio::test]
async fn a_sandbox_is_told() {
    let case = Case::open().await;
    let deal = case.deal(&json!({}));
    case.desk.org.is_sandbox();
    assert_eq!(case.code(&deal).await, ExplainCode::Sandbox);
    case.save(|settings| settings.run_in_sandbox = true).await;
    assert_eq!(case.code(&deal).await, ExplainCode::InScopeNotYet);
}

#[tokio::test]
async fn a_parked_record_is_told_with_mos_s_answer_and_who_dismissed_it() {
    let case = Case::open().await;
    let deal = case.deal(&json!({}));
    let parked = case
        .desk
        .park(1, |parked| {
            parked.object = ObjectKind::Opportunity;
            parked.id = id(&deal);
        })
        .await;
    let view = case.told(&deal).await;
    assert_eq!(view.code, ExplainCode::Parked);
    assert!(
        view.verdict.contains("title is too long"),
        "{}",
        view.verdict
    );
    assert_eq!(view.parked.unwrap().code.as_deref(), Some("value_too_long"));
    let dismissal = Dismissal {
        at: case.desk.now(),
        by: "Ada".to_owned(),
        reason: "known".to_owned(),
    };
    let store = &case.desk.stores.parked;
    store.dismiss(&[parked.record()], &dismissal).await.unwrap();
    let view = case.told(&deal).await;
    assert_eq!(view.code, ExplainCode::Dismissed);
    assert!(
        view.verdict.contains("Ada dismissed it"),
        "{}",
        view.verdict
    );
    assert!(
        view.advice.contains("mosync parked retry"),
        "{}",
        view.advice
    );
}

#[tokio::test]
async fn silence_of_mos_is_told_and_does_not_stop_the_rest() {
    let case = Case::open().await;
    let deal = case.deal(&json!({}));
    let paused = WorkerState::Paused("mOS does not answer".to_owned());
    case.desk.report("loader", paused, &[]).await;
    let ops = operations(&case.desk, DeskMos(None));
    let view = ops.explain(&deal).await.unwrap();
    assert_eq!(
        (view.code, view.in_scope),
        (ExplainCode::InScopeNotYet, Some(true))
    );
    assert!(
        view.verdict.contains("connection refused"),
        "{}",
        view.verdict
    );
    assert_eq!(view.gates[0].words, "the loader waits: mOS does not answer");
    case.desk.pass(16);
    let view = ops.explain(&deal).await.unwrap();
    let gone = "the loader has not been heard of for 16 s; is it running?";
    assert_eq!(view.gates[0].words, gone);
    case.desk.org.answers(false);
    assert_eq!(ops.explain(&deal).await.unwrap_err().code(), "out_of_reach");
}

#[tokio::test]
async fn a_blank_that_is_dropped_leaves_a_condition_unknown() {
    let case = Case::open().await;
    let other_than = Filter {
        conditions: vec![Condition {
            field: "Amount".to_owned(),
            operator: Operator::NotEqual,
            values: vec!["7".to_owned()],
        }],
        logic: None,
    };
    case.save(|settings| settings.filter = other_than).await;
    let (blank, seven) = (
        case.deal(&json!({"Amount": null})),
        case.deal(&json!({"Amount": 7})),
    );
    let holds = async |deal: &str| {
        let view = case.told(deal).await;
        let condition = view.opportunity.unwrap().conditions.remove(0);
        (condition.holds, view.verdict)
    };
    assert_eq!(holds(&blank).await.0, Some(true));
    case.save(|settings| settings.blanks = BlankRule::Drop)
        .await;
    let (unknown, verdict) = holds(&blank).await;
    assert_eq!(unknown, None);
    assert!(verdict.contains("unknown"), "{verdict}");
    assert_eq!(holds(&seven).await.0, Some(false));
}

#[tokio::test]
async fn what_decides_nothing_about_a_permission_has_its_line() {
    let mut case = Case::open().await;
    let org = &Arc::clone(&case.desk.salesforce);
    let group = insert(
        org,
        "PermissionSetGroup",
        &json!({"DeveloperName": "Sales", "MasterLabel": "Sales"}),
    );
    let muting = json!({"DeveloperName": "Quiet", "MasterLabel": "Quiet"});
    let muting = insert(org, "MutingPermissionSet", &muting);
    let set = insert(org, "PermissionSet", &json!({"Name": "mOS_User"}));
    let member = |group: &str, set: &str| {
        let fields = json!({"PermissionSetGroupId": group, "PermissionSetId": set});
        insert(org, "PermissionSetGroupComponent", &fields)
    };
    member(&group, &set);
    let deal = case.deal(&json!({}));
    let words = async |case: &Case| case.told(&deal).await.owner.unwrap().words;
    let said = words(&case).await;
    assert_eq!(said, ["holds mOS_User through the group Sales"]);
    member(&group, &muting);
    let logins = org.records("UserLogin");
    let mut logins = logins.iter();
    let login = logins.find(|login| login.text("UserId") == Some(&case.owner));
    let login = login.unwrap().id();
    update(org, "UserLogin", login, &json!({"IsFrozen": true}));
    let said = words(&case).await;
    assert!(said[1].contains("is frozen"), "{said:?}");
    assert!(said[2].contains("group Sales has a muting"), "{said:?}");
    assert_eq!(case.told(&deal).await.in_scope, Some(true));

    // A package has a group of the same name.
    let folder = tempfile::tempdir().unwrap();
    let groups = "DeveloperName,NamespacePrefix\nSales,acme\n";
    std::fs::write(folder.path().join("PermissionSetGroup.csv"), groups).unwrap();
    org.load_dir(folder.path()).unwrap();
    let groups = org.records("PermissionSetGroup");
    let mut groups = groups.iter();
    let packaged = groups.find(|group| group.text("NamespacePrefix") == Some("acme"));
    let owner = id(&case.owner);
    case.permissions(|snapshot| {
        let through = Grant {
            group: Some("acme__Sales".to_owned()),
            ..grant(None)
        };
        snapshot.holders.insert(owner, [through].into());
    })
    .await;
    assert_eq!(words(&case).await.len(), 2, "nothing of the group is muted");
    member(packaged.unwrap().id(), &muting);
    let said = words(&case).await;
    assert!(
        said[2].contains("group acme__Sales has a muting"),
        "{said:?}"
    );
}

#[tokio::test]
async fn what_decides_against_a_permission_has_its_line() {
    let mut case = Case::open().await;
    let deal = case.deal(&json!({}));
    let owner = id(&case.owner);
    for (because, words) in [
        (Obstacle::SetNeedsActivation, "session"),
        (Obstacle::GroupNeedsActivation, "session"),
        (
            Obstacle::NoPermissionSetLicence {
                licence: "mOS_Licence".to_owned(),
            },
            "mOS_Licence",
        ),
        (
            Obstacle::NoPackageLicence {
                namespace: "medd".to_owned(),
            },
            "medd",
        ),
    ] {
        case.permissions(|snapshot| {
            snapshot.holders.clear();
            let miss = NearMiss {
                grant: grant(None),
                because: [because.clone()].into(),
            };
            snapshot.near_misses = [(owner, [miss].into())].into();
        })
        .await;
        let view = case.told(&deal).await;
        assert_eq!(view.code, ExplainCode::PermissionDoesNotCount);
        let owner = view.owner.unwrap();
        assert!(owner.not_counted[0].because.contains(&because));
        assert!(owner.words[0].contains(words), "{:?}", owner.words);
    }
}

#[tokio::test]
async fn what_was_last_seen_and_which_job_it_was_is_told() {
    let case = Case::open().await;
    let deal = case.deal(&json!({}));
    let changed = case.desk.now();
    let stores = &case.desk.stores;
    let heard = StreamState {
        position: ReplayId(vec![1, 2]),
        at_end: true,
        window_over: false,
        heard: changed,
        last_event: Some(changed),
    };
    stores.position.store_stream(TOPIC, &heard).await.unwrap();
    let early = case.desk.job(JobKind::SyncAll, "early").await;
    let (failed, why) = (SalesforceStatus::Failed, Some("no access"));
    case.desk.transition(&early.id, failed, why).await;
    case.desk.pass(10);
    let meanwhile = case.desk.job(JobKind::Backfill, "meanwhile").await;
    case.desk.pass(10);
    case.bring(ObjectKind::User, &case.owner).await;
    case.bring(ObjectKind::Opportunity, &deal).await;
    let version = Version::at(case.desk.now()).to_string();
    case.desk.pass(10);
    case.desk.job(JobKind::Retry, "late").await;

    let view = case.told(&deal).await;
    let mos = view.mos.unwrap();
    assert_eq!(mos.version, Some(version));
    assert_eq!(view.possible_jobs, [meanwhile.id.to_string()]);
    let seen = view.seen.unwrap();
    // Salesforce stamps to the second.
    assert_eq!(
        seen.modified.map(|at| at.as_micros() / 1_000_000),
        Some(changed.as_micros() / 1_000_000)
    );
    assert_eq!(seen.stream.unwrap().last_event, Some(changed));
    assert_eq!(seen.poll, None);

    let polled = operations(&case.desk, DeskMos(None)).polling([ObjectKind::Opportunity].into());
    let seen = polled.explain(&deal).await.unwrap().seen.unwrap();
    assert_eq!((seen.stream, seen.poll), (None, None), "not polled yet");
}

#[tokio::test]
async fn the_last_job_that_named_it_is_told() {
    let case = Case::open().await;
    let (deal, other) = (case.deal(&json!({})), case.deal(&json!({})));
    let desk = &case.desk;
    let line = async |record: &str, job: Option<&Job>| {
        desk.write("about a record", |line| {
            line.topic = "parked".to_owned();
            line.job = job.map(|job| job.id.clone());
            line.record = Some((ObjectKind::Opportunity, id(record)));
        })
        .await;
        desk.pass(10);
    };
    let last = async || case.told(&deal).await.last_job;
    assert_eq!(last().await, None);
    let first = desk.job(JobKind::Backfill, "first").await;
    line(&deal, Some(&first)).await;
    assert_eq!(last().await, Some(first.id.to_string()));
    line(&deal, None).await;
    let foreign = desk.job(JobKind::Backfill, "foreign").await;
    line(&other, Some(&foreign)).await;
    assert_eq!(last().await, Some(first.id.to_string()));
    let second = desk.job(JobKind::Retry, "second").await;
    desk.park(1, |parked| {
        parked.object = ObjectKind::Opportunity;
        parked.id = id(&deal);
        parked.job = Some(second.id.clone());
    })
    .await;
    assert_eq!(last().await, Some(second.id.to_string()));
    desk.pass(10);
    line(&deal, Some(&first)).await;
    assert_eq!(last().await, Some(first.id.to_string()));
}

#[tokio::test]
async fn a_field_that_vanishes_meanwhile_is_left_out() {
    let case = Case::open().await;
    let deal = case.deal(&json!({"NextStep": "Call"}));
    let contact = json!({"LastName": "Cid"});
    let contact = insert(&case.desk.salesforce, "Contact", &contact);
    assert_eq!(case.told(&contact).await.found, Some(Found::Row));
    let org = &case.desk.salesforce;
    org.hide_field("Contact", "Phone", true).unwrap();
    assert_eq!(case.told(&contact).await.found, Some(Found::Row));
    assert_eq!(case.told(&deal).await.found, Some(Found::Row));
}
