//! Who holds mOS permission and who does not, with what hangs on it; and the warning before it
//! runs out. Permissions are read by the poll itself, from a stand-in org.

use std::time::Duration;

use console::OpsError;
use console::views::{UsersView, Verdict};
use domain::Timestamp;
use domain::filter::{Condition, FieldType, Filter, Operator};
use domain::permission::Obstacle;
use permission::poll::{Poll, closed_gate};
use ports::stores::{Report, WorkerState};
use runtime::holders::Requirements;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::desk::Desk;
use crate::salesforce::{id, insert, insert_all, update, user};

const DAY: u64 = 86_400;

pub(crate) struct Office {
    pub(crate) desk: Desk,
    pub(crate) poll: Poll,
    set: String,
}

impl Office {
    pub(crate) fn open() -> Self {
        let desk = Desk::open();
        let set = insert(
            &desk.salesforce,
            "PermissionSet",
            &json!({"Name": "mOS_User"}),
        );
        let poll = Poll {
            source: desk.source(),
            stores: desk.stores.clone(),
            clock: desk.clock(),
            requirements: Requirements {
                permission_sets: vec!["mOS_Admin".to_owned(), "mOS_User".to_owned()],
                namespace: String::new(),
                permission_set_licence: None,
                package_namespace: None,
            },
            every: Duration::from_secs(60),
            gate: closed_gate(),
            expiring: watch::Sender::new(None),
        };
        Self { desk, poll, set }
    }

    pub(crate) fn insert(&self, entity: &str, fields: &Value) -> String {
        insert(&self.desk.salesforce, entity, fields)
    }

    pub(crate) fn user(&self, name: &str) -> String {
        user(&self.desk.salesforce, name)
    }

    pub(crate) fn grant(&self, user: &str, more: &Value) {
        let mut fields = json!({"AssigneeId": user});
        for (name, value) in more.as_object().unwrap() {
            fields[name] = value.clone();
        }
        if fields.get("PermissionSetGroupId").is_none() {
            fields["PermissionSetId"] = json!(self.set);
        }
        self.insert("PermissionSetAssignment", &fields);
    }

    fn deals(&self, owner: &str, count: usize, stage: &str) {
        for _ in 0..count {
            let fields = json!({"Name": "Deal", "StageName": stage, "CloseDate": "2027-01-01", "OwnerId": owner});
            self.insert("Opportunity", &fields);
        }
    }

    fn later(&self, seconds: u64) -> (Timestamp, Value) {
        let at = self.desk.now().after(Duration::from_secs(seconds));
        (
            at,
            json!({"ExpirationDate": at.to_string().replace('Z', "+0000")}),
        )
    }

    pub(crate) async fn users(&self) -> UsersView {
        self.poll.once().await.unwrap();
        self.desk.ops.users().await.unwrap()
    }

    async fn report(&self) {
        self.poll.look_ahead().await.unwrap();
        let expiring = self.poll.expiring.borrow().clone();
        let report = Report {
            at: self.desk.now(),
            state: WorkerState::Running,
            figures: expiring.map(|soon| soon.figures()).unwrap_or_default(),
            out_of_reach: std::collections::BTreeSet::new(),
        };
        let reports = &self.desk.stores.reports;
        reports.report("permission", &report).await.unwrap();
    }
}

#[tokio::test]
async fn holders_are_told_with_their_grants_and_their_opportunities_in_scope() {
    let office = Office::open();
    let (ada, bea, cyd) = (office.user("Ada"), office.user("Bea"), office.user("Cyd"));
    let group = office.insert("PermissionSetGroup", &json!({"DeveloperName": "Sales"}));
    office.insert(
        "PermissionSetGroupComponent",
        &json!({"PermissionSetGroupId": group, "PermissionSetId": office.set}),
    );
    let (end, expires) = office.later(30 * DAY);
    office.grant(&ada, &expires);
    office.grant(&ada, &json!({"PermissionSetGroupId": group}));
    office.grant(&bea, &json!({}));
    office.deals(&ada, 2, "Prospecting");
    office.deals(&bea, 3, "Prospecting");
    office.deals(&bea, 4, "Closed Won");
    office.deals(&cyd, 5, "Prospecting");
    let users = office.users().await;
    assert_eq!(users.why_not_exact, [""; 0]);
    let told: Vec<_> = users
        .holders
        .iter()
        .map(|holder| (holder.user.id, holder.opportunities, holder.until))
        .collect();
    assert_eq!(told, [(id(&bea), 3, None), (id(&ada), 2, None)]);
    let ada = &users.holders[1];
    assert_eq!(ada.user.username.as_deref(), Some("Ada@example.com"));
    assert_eq!(
        ada.words,
        [
            format!("holds mOS_User until {end}"),
            "holds mOS_User through the group Sales".to_owned()
        ]
    );
    let others: Vec<_> = users
        .others
        .iter()
        .map(|other| (other.user.id, other.opportunities, other.words.join("; ")))
        .collect();
    let none = "holds none of the mOS permission sets".to_owned();
    assert_eq!(others, [(id(&cyd), 5, none)]);
    assert_eq!(users.others_opportunities, 5);
}

/// An aggregate query answers 2,000 groups and has no further pages.
#[tokio::test]
async fn more_owners_than_one_answer_holds_are_all_counted() {
    const OWNERS: usize = 2_001;
    let office = Office::open();
    let org = &office.desk.salesforce;
    let users = (0..OWNERS).map(|number| {
        let name = format!("user{number}@example.com");
        json!({"LastName": name, "Username": name, "Email": name})
    });
    let users = insert_all(org, "User", users);
    let (_, expires) = office.later(DAY);
    let grants = users.iter().map(|user| {
        json!({"AssigneeId": user, "PermissionSetId": office.set,
            "ExpirationDate": expires["ExpirationDate"]})
    });
    insert_all(org, "PermissionSetAssignment", grants);
    let deals = users.iter().map(|user| {
        json!({"Name": "Deal", "StageName": "Prospecting", "CloseDate": "2027-01-01",
            "OwnerId": user})
    });
    insert_all(org, "Opportunity", deals);
    let holders = office.users().await.holders;
    assert_eq!(holders.len(), OWNERS);
    assert!(holders.iter().all(|holder| holder.opportunities == 1));
    // What leaves with them is asked for in several queries.
    office.report().await;
    let status = office.desk.ops.status().await.unwrap();
    let leaving = status.expiring.unwrap().opportunities;
    assert_eq!(leaving, Some(2_001));
}

#[tokio::test]
async fn what_is_held_and_does_not_count_is_told_with_the_reason() {
    let office = Office::open();
    let (gone, session, ran_out) = (office.user("Gone"), office.user("Ses"), office.user("Ran"));
    let group = office.insert(
        "PermissionSetGroup",
        &json!({"DeveloperName": "Night", "HasActivationRequired": true}),
    );
    office.insert(
        "PermissionSetGroupComponent",
        &json!({"PermissionSetGroupId": group, "PermissionSetId": office.set}),
    );
    office.grant(&gone, &json!({}));
    update(
        &office.desk.salesforce,
        "User",
        &gone,
        &json!({"IsActive": false}),
    );
    office.grant(&session, &json!({"PermissionSetGroupId": group}));
    office.grant(&ran_out, &office.later(60).1);
    office.deals(&session, 1, "Prospecting");
    office.desk.pass(60);
    let users = office.users().await;
    assert_eq!(users.holders, []);
    let because = |user: &str| {
        let other = users.others.iter().find(|other| other.user.id == id(user));
        other.unwrap().not_counted[0].because.clone()
    };
    assert_eq!(because(&gone), [Obstacle::UserInactive].into());
    assert_eq!(because(&session), [Obstacle::GroupNeedsActivation].into());
    assert_eq!(because(&ran_out), [Obstacle::Expired].into());
    assert_eq!(
        users.others[0].user.id,
        id(&session),
        "the most deals first"
    );
}

/// A frozen user is active, keeps permission and licence, and cannot sign in: the deals go on.
#[tokio::test]
async fn a_frozen_user_counts_and_is_remarked() {
    let office = Office::open();
    let ada = office.user("Ada");
    office.grant(&ada, &json!({}));
    let org = &office.desk.salesforce;
    let login = org.records("UserLogin");
    let login = login
        .iter()
        .find(|login| login.text("UserId") == Some(&ada));
    update(
        org,
        "UserLogin",
        login.unwrap().id(),
        &json!({"IsFrozen": true}),
    );
    let users = office.users().await;
    let holder = &users.holders[0];
    assert_eq!(holder.user.is_frozen, Some(true));
    assert!(holder.words[1].contains("frozen"), "{:?}", holder.words);
}

/// Muting sets take permissions from a group, never its members.
#[tokio::test]
async fn a_muting_set_in_the_group_changes_nothing() {
    let office = Office::open();
    let ada = office.user("Ada");
    let group = office.insert("PermissionSetGroup", &json!({"DeveloperName": "Sales"}));
    let muting = office.insert(
        "MutingPermissionSet",
        &json!({"DeveloperName": "mOS_User", "MasterLabel": "mOS_User"}),
    );
    let member = |set: &str| {
        let fields = json!({"PermissionSetGroupId": group, "PermissionSetId": set});
        office.insert("PermissionSetGroupComponent", &fields);
    };
    member(&muting);
    office.grant(&ada, &json!({"PermissionSetGroupId": group}));
    assert_eq!(
        office.users().await.holders,
        [],
        "a muting set gives nothing"
    );
    member(&office.set);
    let holders = office.users().await.holders;
    assert_eq!(holders.len(), 1, "and takes no membership away");
}

#[tokio::test]
async fn a_filter_that_soql_cannot_say_is_said() {
    let office = Office::open();
    let ada = office.user("Ada");
    office.grant(&ada, &json!({}));
    office.deals(&ada, 1, "Prospecting");
    let condition = Condition {
        field: "Name".to_owned(),
        operator: Operator::Equals,
        values: vec!["Straße".to_owned()],
    };
    let filter = Filter {
        conditions: vec![condition],
        logic: None,
    };
    let types = [("Name".to_owned(), FieldType::Text)].into();
    let saved = office.desk.save_as("a test", types, |settings| {
        settings.filter = filter;
    });
    saved.await;
    let users = office.users().await;
    assert_eq!(users.why_not_exact.len(), 1, "{:?}", users.why_not_exact);
}

#[tokio::test]
async fn before_the_first_reading_nobody_is_told_of() {
    let office = Office::open();
    let refused = office.desk.ops.users().await.unwrap_err();
    assert!(matches!(&refused, OpsError::Conflict(_)), "{refused:?}");
}

#[tokio::test]
async fn a_warning_comes_a_week_before_and_goes_when_it_is_renewed() {
    let office = Office::open();
    let (ada, bea) = (office.user("Ada"), office.user("Bea"));
    let (end, expires) = office.later(7 * DAY + 60);
    office.grant(&ada, &expires);
    office.grant(&bea, &json!({}));
    office.deals(&ada, 3, "Prospecting");
    office.deals(&ada, 1, "Closed Lost");
    office.poll.once().await.unwrap();
    office.report().await;
    let status = office.desk.ops.status().await.unwrap();
    assert_eq!((status.expiring, status.warnings.len()), (None, 0));

    office.desk.pass(60);
    let status = office.desk.ops.status().await.unwrap();
    let expiring = status.expiring.unwrap();
    assert_eq!((expiring.users, expiring.first), (1, end));
    assert_eq!(expiring.opportunities, None, "not counted yet");

    office.poll.once().await.unwrap();
    office.report().await;
    let status = office.desk.ops.status().await.unwrap();
    assert_eq!(status.expiring.unwrap().opportunities, Some(3));
    let [warning] = &status.warnings[..] else {
        panic!("{:?}", status.warnings)
    };
    assert!(
        warning.contains("1 users runs out within 7 days"),
        "{warning}"
    );
    assert!(warning.contains("3 opportunities"), "{warning}");
    assert!(
        !status.reason.contains("runs out"),
        "a warning is no trouble"
    );

    let assignments = office.desk.salesforce.records("PermissionSetAssignment");
    let row = assignments
        .iter()
        .find(|row| row.text("AssigneeId") == Some(&ada) && row.text("ExpirationDate").is_some());
    let renewed = office.later(30 * DAY).1;
    let org = &office.desk.salesforce;
    update(org, "PermissionSetAssignment", row.unwrap().id(), &renewed);
    office.poll.once().await.unwrap();
    office.report().await;
    let status = office.desk.ops.status().await.unwrap();
    assert_eq!((status.expiring, status.warnings.len()), (None, 0));
}

#[tokio::test]
async fn a_warning_leaves_the_verdict_as_it_is() {
    let office = Office::open();
    office.desk.workers_run().await;
    let ada = office.user("Ada");
    office.grant(&ada, &office.later(60).1);
    office.poll.once().await.unwrap();
    let status = office.desk.ops.status().await.unwrap();
    assert!(status.expiring.is_some());
    assert_eq!(status.verdict, Verdict::Healthy, "{}", status.reason);
}
