//! What a person is told of a record agrees with the oracle, of a thousand ids.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use console::Operations;
use console::views::{ExplainCode, ExplainView};
use domain::filter::{Condition, FieldType, FieldTypes, Filter, Operator};
use domain::job::Job;
use domain::settings::Settings;
use fake_mos::{Fault, RecordType, RejectCode};
use oracle::{History, Kind, Reason, Timeline};
use ports::Clock;
use serde_json::{Value, json};

use crate::office::Office;
use crate::target::SimTarget;
use crate::world::TOPIC;

/// Enough for a thousand ids.
const USERS: usize = 25;
const ACCOUNTS: usize = 120;
const CONTACTS: usize = 200;
const DEALS: usize = 400;
const ROLES: usize = 270;

/// The records by their type in mOS, and those that the integration user cannot see.
#[derive(Default)]
struct Town {
    records: Vec<(Kind, String)>,
    hidden: Vec<String>,
}

impl Town {
    fn of(&self, wanted: Kind) -> Vec<String> {
        let records = self.records.iter();
        let records = records.filter(|(kind, _)| *kind == wanted);
        records.map(|(_, id)| id.clone()).collect()
    }

    fn add(&mut self, kind: Kind, id: String) -> String {
        self.records.push((kind, id.clone()));
        id
    }
}

fn operations(office: &Office) -> Operations {
    let world = &office.world;
    let target = SimTarget {
        mos: Arc::clone(&world.mos),
        chance: Arc::clone(&world.chance),
        unguarded: None,
    };
    Operations::new(
        world.stores.clone(),
        world.embedded.queue(),
        Arc::clone(&world.clock) as Arc<dyn Clock>,
        Arc::new(world.salesforce.clone()),
        TOPIC,
    )
    .asking(Arc::new(target))
}

async fn save(office: &Office, change: impl FnOnce(&mut Settings)) {
    let stores = &office.world.stores;
    let current = stores.settings.current().await.unwrap();
    let mut settings = current.settings.clone();
    change(&mut settings);
    let types = FieldTypes::from([("Amount".to_owned(), FieldType::Currency)]);
    let now = office.world.clock.now();
    let next = current.next(settings, types, current.org.clone(), "a test", now);
    let job = Job::of_save(&current, &next);
    stores.settings.save(&next, job.as_ref()).await.unwrap();
}

fn large_ones() -> Filter {
    Filter {
        conditions: vec![Condition {
            field: "Amount".to_owned(),
            operator: Operator::GreaterThan,
            values: vec!["100".to_owned()],
        }],
        logic: None,
    }
}

/// Owners of every kind; what they own is as various.
fn settle(office: &Office, town: &mut Town) {
    let soon = office.world.clock.now().after(Duration::from_secs(600));
    let soon = soon.to_string().replace('Z', "+0000");
    for number in 0..USERS {
        let user = town.add(Kind::User, office.user(&format!("u{number}")));
        match number % 5 {
            // Holds nothing.
            2 => {}
            3 => {
                let fields = json!({
                    "AssigneeId": user, "PermissionSetId": office.set, "ExpirationDate": soon,
                });
                office.insert("PermissionSetAssignment", &fields);
            }
            _ => {
                office.grant(&user);
            }
        }
    }
    for number in 0..ACCOUNTS {
        let fields = json!({"Name": format!("Account {number}")});
        town.add(Kind::Company, office.insert("Account", &fields));
    }
    for number in 0..CONTACTS {
        let fields = json!({"LastName": format!("Contact {number}")});
        town.add(Kind::Contact, office.insert("Contact", &fields));
    }
    let (users, accounts) = (town.of(Kind::User), town.of(Kind::Company));
    for number in 0..DEALS {
        // The last user owns nothing, the last accounts and contacts are on nothing.
        let owner = &users[number % (USERS - 1)];
        let account = &accounts[number * 7 % (ACCOUNTS - 20)];
        let amount = if number % 3 == 0 { 50 } else { 500 };
        let more = json!({"AccountId": account, "Amount": amount});
        town.add(Kind::Opportunity, office.deal(owner, &more));
    }
    let (deals, contacts) = (town.of(Kind::Opportunity), town.of(Kind::Contact));
    for number in 0..ROLES {
        let fields = json!({
            "OpportunityId": deals[number * 11 % DEALS],
            "ContactId": contacts[number % (CONTACTS - 30)],
        });
        town.add(
            Kind::ContactRole,
            office.insert("OpportunityContactRole", &fields),
        );
    }
}

/// What happens to some of them once mOS has them.
fn trouble(office: &Office, town: &mut Town) {
    let (users, deals) = (town.of(Kind::User), town.of(Kind::Opportunity));
    for user in users.iter().skip(4).step_by(5) {
        office.update("User", user, &json!({"IsActive": false}));
    }
    for deal in deals.iter().skip(1).step_by(10) {
        office.update("Opportunity", deal, &json!({"StageName": "Closed Won"}));
    }
    for deal in deals.iter().skip(2).step_by(17) {
        office.delete("Opportunity", deal);
    }
    for account in town.of(Kind::Company).iter().rev().step_by(19) {
        office.delete("Account", account);
    }
    for deal in deals.iter().skip(4).step_by(37) {
        office.world.org.hide_record(deal, true).unwrap();
        town.hidden.push(deal.clone());
    }
    // Born closed: mOS is never told of it.
    for user in users.iter().take(10) {
        let more = json!({"StageName": "Closed Won", "Amount": 500});
        town.add(Kind::Opportunity, office.deal(user, &more));
    }
    let refused = deals
        .iter()
        .skip(5)
        .step_by(23)
        .cloned()
        .collect::<Vec<_>>();
    let fault = Fault::Reject {
        code: RejectCode::InvalidField,
        field: None,
        probability: None,
        ids: refused.clone(),
        count: None,
    };
    office.world.mos.fault(fault).unwrap();
    for deal in &refused {
        let row = office.world.org.record("Opportunity", deal);
        if row.is_some_and(|row| !row.flag("IsDeleted")) {
            office.update("Opportunity", deal, &json!({"NextStep": "Call"}));
        }
    }
    for number in 0..5 {
        for (kind, prefix) in [(Kind::Opportunity, "006"), (Kind::Company, "001")] {
            let id =
                domain::SalesforceId::parse(&format!("{prefix}zzzzzzzzzz{number:02}")).unwrap();
            town.records.push((kind, id.to_string()));
        }
    }
}

/// The codes that a reason may be told as.
fn told_as(reason: Reason) -> &'static [ExplainCode] {
    use ExplainCode as Code;
    match reason {
        Reason::InScope => &[
            Code::InScopeAndCurrent,
            Code::Parked,
            Code::Disabled,
            Code::InScopeNotYet,
        ],
        Reason::NeverSeen => &[Code::NotVisible],
        Reason::Deleted => &[Code::Deleted],
        Reason::Filtered => &[Code::FilterDoesNotMatch],
        Reason::Closed => &[Code::Closed, Code::LastWordSent],
        Reason::OwnerInactive => &[Code::OwnerInactive],
        Reason::Expired => &[Code::PermissionExpired],
        Reason::NoPermission => &[Code::OwnerWithoutPermission],
        Reason::NothingBringsIt => &[Code::NoOpportunityInScope],
    }
}

struct Judge {
    history: History,
    settings: oracle::Settings,
    now: i64,
}

impl Judge {
    async fn of(office: &Office) -> Self {
        let commits = office.world.org.commits_since(0);
        let commits = commits.iter().map(|commit| &**commit).collect::<Vec<_>>();
        let revision = office.world.stores.settings.current().await.unwrap();
        let mut settings = serde_json::to_value(&revision.settings).unwrap();
        // The gate is no part of the rule.
        settings["disabled"] = json!(false);
        Self {
            history: History::from_json(&serde_json::to_string(&commits).unwrap()).unwrap(),
            settings: oracle::Settings::from_json(&settings.to_string()).unwrap(),
            now: office.world.clock.micros(),
        }
    }
}

/// What is told against what is known otherwise; what a hidden deal brings is not the oracle's.
fn disagreements(office: &Office, judge: &Judge, told: &[(Kind, ExplainView)]) -> Vec<String> {
    let timeline = Timeline::new(&judge.history, &judge.settings, judge.now).unwrap();
    let mut faults = Vec::new();
    for (kind, view) in told {
        let id = view.id.unwrap();
        let reason = timeline
            .reason(&judge.settings, judge.now, *kind, id.as_str())
            .unwrap();
        let agrees = told_as(reason).contains(&view.code)
            && view.in_scope == Some(reason == Reason::InScope);
        let closed = office.in_mos(RecordType::Opportunity, id.as_str(), "is_closed");
        let word = closed == Some(Value::Bool(true));
        let word_is_right =
            reason != Reason::Closed || word == (view.code == ExplainCode::LastWordSent);
        if !agrees || !word_is_right {
            faults.push(format!("{kind} {id}: {reason:?}, told {:?}", view.code));
        }
    }
    faults
}

#[tokio::test(start_paused = true)]
async fn a_thousand_ids_are_explained_as_the_oracle_sees_them() {
    let mut town = Town::default();
    let office = Office::open(|office| settle(office, &mut town)).await;
    save(&office, |settings| settings.filter = large_ones()).await;
    office.rest().await;
    trouble(&office, &mut town);
    // Past the expiry.
    tokio::time::sleep(Duration::from_secs(900)).await;
    office.rest().await;
    let ops = operations(&office);
    let judge = Judge::of(&office).await;

    let mut told = Vec::new();
    let mut codes = BTreeMap::<ExplainCode, usize>::new();
    for (kind, id) in &town.records {
        let view = ops.explain(id).await.unwrap();
        assert!(
            !view.verdict.is_empty() && !view.advice.is_empty(),
            "{view:?}"
        );
        *codes.entry(view.code).or_default() += 1;
        if town.hidden.contains(id) {
            let code = view.code;
            let expected = [ExplainCode::NotVisible, ExplainCode::Deleted];
            assert!(expected.contains(&code), "{id}: {code:?}");
        } else if !hangs_on_hidden(&office, &town, *kind, id) {
            told.push((*kind, view));
        }
    }
    for other in [
        "500000000000001",
        "0PS000000000001",
        "006",
        "006dp00000H8YVWIA3",
        "?",
    ] {
        let view = ops.explain(other).await.unwrap();
        *codes.entry(view.code).or_default() += 1;
    }
    assert_eq!(disagreements(&office, &judge, &told), [""; 0]);
    assert!(told.len() >= 950, "{}", told.len());

    save(&office, |settings| settings.disabled = true).await;
    for deal in town.of(Kind::Opportunity).iter().skip(3).step_by(29) {
        let row = office.world.org.record("Opportunity", deal);
        if row.is_some_and(|row| !row.flag("IsDeleted")) {
            office.update("Opportunity", deal, &json!({"NextStep": "Wait"}));
        }
        let view = ops.explain(deal).await.unwrap();
        *codes.entry(view.code).or_default() += 1;
        if view.in_scope == Some(true) {
            let held = [ExplainCode::Disabled, ExplainCode::Parked];
            assert!(held.contains(&view.code), "{view:?}");
        }
    }
    let ids: usize = codes.values().sum();
    assert!(ids >= 1_000, "{ids}");
    assert!(codes.len() >= 12, "{codes:?}");
}

/// Whether the record is brought, if at all, by a deal that the integration user cannot see.
fn hangs_on_hidden(office: &Office, town: &Town, kind: Kind, id: &str) -> bool {
    let org = &office.world.org;
    let deal = |field: &str| {
        let mut hidden = town.hidden.iter();
        hidden.any(|deal| {
            let row = org.record("Opportunity", deal);
            row.is_some_and(|row| row.text(field) == Some(id))
        })
    };
    let role = |field: &str| {
        let roles = org.records("OpportunityContactRole");
        roles.iter().any(|role| {
            let of = role.text("OpportunityId");
            let of_hidden = of.is_some_and(|of| town.hidden.iter().any(|deal| deal == of));
            of_hidden && (role.id() == id || role.text(field) == Some(id))
        })
    };
    match kind {
        Kind::Company => deal("AccountId"),
        Kind::User => deal("OwnerId"),
        Kind::Contact | Kind::ContactRole => role("ContactId"),
        Kind::Opportunity => false,
    }
}
