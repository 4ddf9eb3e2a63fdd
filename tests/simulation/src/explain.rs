//! What a person is told of a record agrees with the oracle, of a thousand ids.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use console::Operations;
use console::views::ExplainCode;
use domain::filter::{Condition, FieldType, FieldTypes, Filter, Operator};
use domain::job::Job;
use domain::settings::Settings;
use fake_mos::{Fault, RejectCode};
use oracle::{History, Kind, Reason, Timeline};
use ports::Clock;
use serde_json::json;

use crate::judge::{self, Epoch};
use crate::office::Office;
use crate::target::SimTarget;
use crate::world::TOPIC;

/// Enough for a thousand ids.
const USERS: usize = 32;
const ACCOUNTS: usize = 120;
const CONTACTS: usize = 200;
const DEALS: usize = 400;
const ROLES: usize = 270;

/// The records by their type in mOS, and those that the integration user cannot see.
#[derive(Default)]
struct Town {
    records: Vec<(Option<Kind>, String)>,
    hidden: BTreeSet<String>,
}

impl Town {
    fn of(&self, wanted: Kind) -> Vec<String> {
        let records = self.records.iter();
        let records = records.filter(|(kind, _)| *kind == Some(wanted));
        records.map(|(_, id)| id.clone()).collect()
    }

    fn add(&mut self, kind: Kind, id: String) -> String {
        self.records.push((Some(kind), id.clone()));
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
    let activated = json!({"Name": "mOS_Admin", "HasActivationRequired": true});
    let activated = office.insert("PermissionSet", &activated);
    for number in 0..USERS {
        let user = town.add(Kind::User, office.user(&format!("u{number}")));
        match number % 6 {
            // Holds nothing.
            2 => {}
            // In a session that activates it.
            5 => {
                let fields = json!({"AssigneeId": user, "PermissionSetId": activated});
                office.insert("PermissionSetAssignment", &fields);
            }
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
    for user in users.iter().skip(4).step_by(6) {
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
        town.hidden.insert(deal.clone());
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
    for other in ["500000000000001", "0PS000000000001", "00Q000000000001"] {
        town.records.push((None, other.to_owned()));
    }
    for number in 0..5 {
        for (kind, prefix) in [(Kind::Opportunity, "006"), (Kind::Company, "001")] {
            let id =
                domain::SalesforceId::parse(&format!("{prefix}zzzzzzzzzz{number:02}")).unwrap();
            town.add(kind, id.to_string());
        }
    }
}

/// What a reason is told as.
const fn told_as(reason: Reason) -> ExplainCode {
    match reason {
        Reason::Current => ExplainCode::InScopeAndCurrent,
        Reason::Behind => ExplainCode::InScopeNotYet,
        Reason::Disabled => ExplainCode::Disabled,
        Reason::Rejected => ExplainCode::Parked,
        Reason::NeverSeen => ExplainCode::NotVisible,
        Reason::Deleted => ExplainCode::Deleted,
        Reason::Filtered => ExplainCode::FilterDoesNotMatch,
        Reason::Closed => ExplainCode::Closed,
        Reason::LastWord => ExplainCode::LastWordSent,
        Reason::OwnerInactive => ExplainCode::OwnerInactive,
        Reason::Expired => ExplainCode::PermissionExpired,
        Reason::NotInForce => ExplainCode::PermissionDoesNotCount,
        Reason::NoPermission => ExplainCode::OwnerWithoutPermission,
        Reason::NoOpportunity => ExplainCode::NoOpportunity,
        Reason::NoneWanted => ExplainCode::NoOpportunityMatches,
        Reason::NobodyPermitted => ExplainCode::NoOwnerWithPermission,
        Reason::OtherObject => ExplainCode::NotASyncedObject,
    }
}

/// Whether the rule wants the record in mOS, where that can be known.
const fn wanted(reason: Reason) -> Option<bool> {
    match reason {
        Reason::Current | Reason::Behind | Reason::Disabled | Reason::Rejected => Some(true),
        Reason::NeverSeen | Reason::OtherObject => None,
        Reason::Deleted
        | Reason::Filtered
        | Reason::Closed
        | Reason::LastWord
        | Reason::OwnerInactive
        | Reason::Expired
        | Reason::NotInForce
        | Reason::NoPermission
        | Reason::NoOpportunity
        | Reason::NoneWanted
        | Reason::NobodyPermitted => Some(false),
    }
}

/// What happened, as far as the integration user can see it.
fn visible_history(office: &Office, town: &Town) -> History {
    let org = &office.world.org;
    let roles = org.records("OpportunityContactRole").into_iter();
    // The roles of a hidden deal are hidden with it.
    let roles = roles.filter(|role| {
        let of = role.text("OpportunityId");
        of.is_some_and(|of| town.hidden.contains(of))
    });
    let mut hidden: BTreeSet<String> = roles.map(|role| role.id().to_owned()).collect();
    hidden.extend(town.hidden.iter().cloned());
    let commits = org.commits_since(0);
    let commits = commits.iter().map(|commit| &**commit).collect::<Vec<_>>();
    let mut commits = serde_json::to_value(commits).unwrap();
    for commit in commits.as_array_mut().unwrap() {
        for changes in ["changes", "silent"] {
            if let Some(changes) = commit[changes].as_array_mut() {
                changes.retain(|change| !hidden.contains(change["id"].as_str().unwrap()));
            }
        }
    }
    History::from_json(&commits.to_string()).unwrap()
}

/// The reasons of the oracle for these ids, which share nothing with what is told.
async fn reasons(office: &Office, town: &Town, ids: &[(Option<Kind>, String)]) -> Vec<Reason> {
    let world = &office.world;
    let history = visible_history(office, town);
    let mut revision = world.stores.settings.current().await.unwrap();
    let disabled = std::mem::take(&mut revision.settings.disabled);
    let now = world.clock.micros();
    let epoch = Epoch {
        from: now,
        revision,
    };
    let settings = judge::settings_of(world, &history, &epoch);
    let timeline = Timeline::new(&history, &settings, now).unwrap();
    let (mos, ledger) = (judge::state(world), judge::ledger(world));
    let reasons = timeline
        .reasons((&settings, disabled), now, &mos, &ledger)
        .unwrap();
    ids.iter().map(|(kind, id)| reasons.of(*kind, id)).collect()
}

/// Everything that is told of these ids, held against the oracle; and how often it has each reason.
async fn compared(
    office: &Office,
    town: &Town,
    ids: &[(Option<Kind>, String)],
) -> BTreeMap<Reason, usize> {
    let ops = operations(office);
    let reasons = reasons(office, town, ids).await;
    let mut faults = Vec::new();
    let mut counts = BTreeMap::new();
    for ((kind, id), reason) in ids.iter().zip(reasons) {
        let view = ops.explain(id).await.unwrap();
        if (view.code, view.in_scope) != (told_as(reason), wanted(reason)) {
            faults.push(format!("{kind:?} {id}: {reason:?}, told {view:?}"));
        }
        assert!(
            !view.verdict.is_empty() && !view.advice.is_empty(),
            "{view:?}"
        );
        *counts.entry(reason).or_default() += 1;
    }
    assert_eq!(faults, [""; 0], "{counts:?}");
    counts
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
    let counts = compared(&office, &town, &town.records).await;
    let ids: usize = counts.values().sum();
    assert!(ids >= 1_000, "{counts:?}");
    assert!(counts.len() >= 15, "{counts:?}");

    save(&office, |settings| settings.disabled = true).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let deals = town.of(Kind::Opportunity);
    let deals: Vec<&String> = deals.iter().skip(3).step_by(7).collect();
    for deal in &deals {
        let row = office.world.org.record("Opportunity", deal);
        if row.is_some_and(|row| !row.flag("IsDeleted")) {
            office.update("Opportunity", deal, &json!({"NextStep": "Wait"}));
        }
    }
    let deals: Vec<_> = deals
        .into_iter()
        .map(|deal| (Some(Kind::Opportunity), deal.clone()))
        .collect();
    let while_disabled = compared(&office, &town, &deals).await;
    assert!(
        while_disabled.contains_key(&Reason::Disabled),
        "{while_disabled:?}"
    );
}
