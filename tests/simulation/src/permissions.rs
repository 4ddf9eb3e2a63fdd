//! Every way in which permission comes and goes: what then belongs to mOS is there within a poll,
//! and what does not gets nothing more.

use std::time::Duration;

use domain::permission::{Grant, PermissionSnapshot};
use domain::unit::{Lane, QueueName, Stage};
use domain::{SalesforceId, Timestamp};
use fake_mos::RecordType;
use ports::Clock as _;
use serde_json::{Value, json};

use crate::moves::until;
use crate::office::{Office, WITHIN_A_POLL};
use crate::source::Slow;
use crate::world::{POLL, Service};

/// A change of a deal in scope waits for no poll.
const SOON: Duration = Duration::from_secs(15);

/// A user who does not count yet, and a deal of theirs.
struct Case {
    office: Office,
    user: String,
    deal: String,
}

impl Case {
    /// `furnish` is given the office and the user, before anything runs.
    async fn open(furnish: impl FnOnce(&Office, &str)) -> Self {
        let (mut user, mut deal) = (String::new(), String::new());
        let office = Office::open(|office| {
            user = office.user("Ada");
            furnish(office, &user);
            deal = office.deal(&user, &json!({}));
        })
        .await;
        Self { office, user, deal }
    }

    fn is_in_mos(&self) -> bool {
        self.office.has(RecordType::Opportunity, &self.deal)
    }

    async fn enters(&self, because: &str) {
        let deal = &self.deal;
        let came = self
            .office
            .comes_within(WITHIN_A_POLL, |office| {
                office.has(RecordType::Opportunity, deal)
            })
            .await;
        assert!(came, "{because}: not within a poll");
        let owner = self.office.has(RecordType::User, &self.user);
        assert!(owner, "{because}: the owner comes along");
    }

    /// After a poll, a change of the deal goes nowhere, and what mOS had stays.
    async fn has_left(&self, because: &str) {
        assert!(self.is_in_mos(), "{because}: it was there before");
        tokio::time::sleep(WITHIN_A_POLL).await;
        self.gets_nothing(because).await;
    }

    async fn gets_nothing(&self, because: &str) {
        let office = &self.office;
        let before = office.in_mos(RecordType::Opportunity, &self.deal, "next_step");
        office.update("Opportunity", &self.deal, &json!({ "NextStep": because }));
        office.rest().await;
        let after = office.in_mos(RecordType::Opportunity, &self.deal, "next_step");
        assert_eq!(before, after, "{because}");
    }

    async fn gets_changes(&self, because: &str) {
        let office = &self.office;
        let fields = json!({ "NextStep": because });
        office.update("Opportunity", &self.deal, &fields);
        let came = office
            .comes_within(SOON, |office| {
                let next = office.in_mos(RecordType::Opportunity, &self.deal, "next_step");
                next == Some(json!(because))
            })
            .await;
        assert!(came, "{because}: the change is not in mOS");
    }
}

fn group(office: &Office, more: &Value) -> String {
    let mut fields = json!({ "DeveloperName": "Sales", "MasterLabel": "Sales" });
    for (name, value) in more.as_object().unwrap() {
        fields[name] = value.clone();
    }
    office.insert("PermissionSetGroup", &fields)
}

fn member(office: &Office, group: &str) -> String {
    let fields = json!({ "PermissionSetGroupId": group, "PermissionSetId": office.set });
    office.insert("PermissionSetGroupComponent", &fields)
}

fn assign(office: &Office, user: &str, group: &str) -> String {
    let fields = json!({ "AssigneeId": user, "PermissionSetGroupId": group });
    office.insert("PermissionSetAssignment", &fields)
}

/// As the poll stores it the first time, where this user alone holds the permission set.
pub(crate) fn held_by(user: SalesforceId, taken: Timestamp) -> PermissionSnapshot {
    let grant = Grant {
        permission_set: "mOS_User".to_owned(),
        group: None,
        expires: None,
    };
    PermissionSnapshot {
        number: 1,
        taken,
        holders: [(user, [grant].into())].into(),
        ..PermissionSnapshot::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_grant_brings_and_a_revoke_stops() {
    let case = Case::open(|_, _| {}).await;
    assert!(!case.is_in_mos());
    let grant = case.office.grant(&case.user);
    case.enters("granted").await;
    case.gets_changes("it is in scope").await;
    case.office.delete("PermissionSetAssignment", &grant);
    case.has_left("revoked").await;
    case.office.grant(&case.user);
    let caught_up = case
        .office
        .comes_within(WITHIN_A_POLL, |office| {
            let next = office.in_mos(RecordType::Opportunity, &case.deal, "next_step");
            next == Some(json!("revoked"))
        })
        .await;
    assert!(caught_up, "what changed meanwhile follows");
}

#[tokio::test(start_paused = true)]
async fn a_set_that_joins_a_group_brings_and_one_that_leaves_stops() {
    let mut of_user = String::new();
    let case = Case::open(|office, user| {
        of_user = group(office, &json!({}));
        assign(office, user, &of_user);
    })
    .await;
    assert!(!case.is_in_mos());
    let member = member(&case.office, &of_user);
    case.enters("the set joins the group").await;
    let component = "PermissionSetGroupComponent";
    case.office.delete(component, &member);
    case.has_left("the set leaves the group").await;
}

#[tokio::test(start_paused = true)]
async fn membership_of_a_group_brings_and_its_end_stops_and_so_does_the_group() {
    let mut sales = String::new();
    let case = Case::open(|office, _| {
        sales = group(office, &json!({}));
        member(office, &sales);
    })
    .await;
    let assignment = assign(&case.office, &case.user, &sales);
    case.enters("assigned the group").await;
    // Salesforce deletes a group that nobody is assigned, and with it its components.
    case.office.delete("PermissionSetAssignment", &assignment);
    case.office.delete("PermissionSetGroup", &sales);
    case.has_left("the group is deleted").await;
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_being_computed_goes_on_and_one_that_needs_a_session_never_begins() {
    let mut sales = String::new();
    let case = Case::open(|office, user| {
        sales = group(office, &json!({}));
        member(office, &sales);
        assign(office, user, &sales);
    })
    .await;
    for status in ["Outdated", "Updating", "Failed"] {
        let office = &case.office;
        office.update("PermissionSetGroup", &sales, &json!({ "Status": status }));
        tokio::time::sleep(WITHIN_A_POLL).await;
        case.gets_changes(status).await;
    }
    let fields = json!({ "HasActivationRequired": true });
    case.office.update("PermissionSetGroup", &sales, &fields);
    case.has_left("the group needs a session").await;
}

#[tokio::test(start_paused = true)]
async fn a_set_that_needs_a_session_does_not_count_until_it_needs_none() {
    let case = Case::open(|office, user| {
        let fields = json!({ "HasActivationRequired": true });
        office.update("PermissionSet", &office.set, &fields);
        office.grant(user);
    })
    .await;
    assert!(!case.is_in_mos());
    let office = &case.office;
    office.update(
        "PermissionSet",
        &office.set,
        &json!({ "HasActivationRequired": false }),
    );
    case.enters("the set needs no session any more").await;
}

#[tokio::test(start_paused = true)]
async fn deactivation_stops_and_reactivation_brings() {
    let case = Case::open(|office, user| {
        office.grant(user);
    })
    .await;
    let office = &case.office;
    office.update("User", &case.user, &json!({ "IsActive": false }));
    case.has_left("deactivated").await;
    office.update("User", &case.user, &json!({ "IsActive": true }));
    let back = office
        .comes_within(WITHIN_A_POLL, |office| {
            let next = office.in_mos(RecordType::Opportunity, &case.deal, "next_step");
            next == Some(json!("deactivated"))
        })
        .await;
    assert!(back, "what changed meanwhile follows");
}

#[tokio::test(start_paused = true)]
async fn a_frozen_user_counts() {
    let case = Case::open(|office, user| {
        office.grant(user);
    })
    .await;
    let logins = case.office.world.org.records("UserLogin");
    let login = logins
        .iter()
        .find(|login| login.text("UserId") == Some(&case.user));
    let fields = json!({ "IsFrozen": true });
    case.office
        .update("UserLogin", login.unwrap().id(), &fields);
    tokio::time::sleep(WITHIN_A_POLL).await;
    case.gets_changes("frozen").await;
}

/// The timer: an assignment runs out between two polls, and nothing of its owner is sent from that
/// moment on; a poll is made then, not at its turn.
#[tokio::test(start_paused = true)]
async fn an_expiry_stops_at_its_very_time() {
    let case = Case::open(|office, user| {
        office.grant(user);
    })
    .await;
    let office = &case.office;
    let assignments = office.world.org.records("PermissionSetAssignment");
    let assignment = assignments.iter().find(|row| {
        row.text("AssigneeId") == Some(&case.user)
            && row.text("PermissionSetId") == Some(&office.set)
    });
    let clock = office.clock();
    let end = clock.now().after(Duration::from_secs(205));
    // Salesforce's times have whole seconds.
    let end = Timestamp::from_micros(end.as_micros() / 1_000_000 * 1_000_000);
    let fields = json!({ "ExpirationDate": end.to_string().replace('Z', "+0000") });
    office.update("PermissionSetAssignment", assignment.unwrap().id(), &fields);
    let until_end = end.since(clock.now());
    tokio::time::sleep(until_end.saturating_sub(Duration::from_secs(30))).await;
    case.gets_changes("half a minute before").await;
    let left = end.since(clock.now());
    assert!(
        left > Duration::from_millis(500),
        "the time is not over: {left:?}"
    );
    tokio::time::sleep(left).await;
    case.gets_nothing("at the very time").await;
    let poll = office.world.stores.permissions.last_poll().await.unwrap();
    assert!(poll.unwrap() >= end);
}

#[tokio::test(start_paused = true)]
async fn who_polls_is_up_when_an_assignment_runs_out() {
    let case = Case::open(|_, _| {}).await;
    let office = &case.office;
    let clock = office.clock();
    let permissions = &office.world.stores.permissions;
    let last = async || permissions.last_poll().await.unwrap().unwrap();
    let begun = last().await;
    // Longer than it may be late.
    office.world.salesforce.slow_down(Some(Slow {
        words: "FROM PermissionSetAssignment",
        time: Duration::from_secs(6),
        gives_up: false,
    }));
    while last().await == begun {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // A poll has just been; the next one knows of an assignment that runs out 20 s after it.
    let end = clock.now().after(Duration::from_secs(80));
    let end = Timestamp::from_micros(end.as_micros() / 1_000_000 * 1_000_000);
    let fields = json!({
        "AssigneeId": case.user, "PermissionSetId": office.set,
        "ExpirationDate": end.to_string().replace('Z', "+0000"),
    });
    office.insert("PermissionSetAssignment", &fields);
    tokio::time::sleep(end.since(clock.now()) + Duration::from_secs(10)).await;
    let poll = last().await;
    assert!(
        poll >= end && poll.since(end) < Duration::from_secs(4),
        "{poll} is not the end {end}"
    );
}

/// Counts on an unselective filter are given up on by Salesforce after two minutes.
#[tokio::test(start_paused = true)]
async fn a_count_of_what_leaves_soon_keeps_no_poll_waiting() {
    let count = "GROUP BY OwnerId ORDER BY OwnerId";
    let case = Case::open(|office, user| {
        office.world.salesforce.slow_down(Some(Slow {
            words: count,
            time: Duration::from_secs(120),
            gives_up: true,
        }));
        let end = office.clock().now().after(Duration::from_secs(3 * 86_400));
        let end = Timestamp::from_micros(end.as_micros() / 1_000_000 * 1_000_000);
        let fields = json!({
            "AssigneeId": user, "PermissionSetId": office.set,
            "ExpirationDate": end.to_string().replace('Z', "+0000"),
        });
        office.insert("PermissionSetAssignment", &fields);
    })
    .await;
    let office = &case.office;
    let (clock, permissions) = (office.clock(), &office.world.stores.permissions);
    for _ in 0..50 {
        tokio::time::sleep(POLL).await;
        let polled = permissions.last_poll().await.unwrap().unwrap();
        let age = clock.now().since(polled);
        assert!(age < WITHIN_A_POLL, "polled {age:?} ago");
    }
    case.gets_changes("somebody leaves in three days").await;
    let statements = office.world.salesforce.reads();
    let counted = statements.iter().filter(|soql| soql.contains(count));
    assert_eq!(counted.count(), 1, "not with every poll");
}

#[tokio::test(start_paused = true)]
async fn a_slow_poll_takes_nothing_back_that_a_later_one_has_read() {
    let office = Office::closed();
    let (slow, quick) = (
        office.world.permission_poll(),
        office.world.permission_poll(),
    );
    quick.once().await.unwrap();
    let (ada, bea) = (office.user("Ada"), office.user("Bea"));
    office.grant(&ada);
    office.world.salesforce.slow_down(Some(Slow {
        words: "FROM PermissionSetAssignment",
        time: Duration::from_secs(30),
        gives_up: false,
    }));
    let later = async {
        // By now the slow one has read of Ada.
        tokio::time::sleep(Duration::from_secs(10)).await;
        office.world.salesforce.slow_down(None);
        office.grant(&bea);
        quick.once().await
    };
    let (slow, quick) = tokio::join!(slow.once(), later);
    slow.unwrap();
    quick.unwrap();
    let permissions = &office.world.stores.permissions;
    let snapshot = permissions.latest().await.unwrap();
    let permitted = snapshot.permitted(office.clock().now());
    let both = [ada, bea].map(|user| SalesforceId::parse(&user).unwrap());
    assert_eq!(permitted, both.into());
    assert_eq!(snapshot.number, 2, "nothing came after it");
}

#[tokio::test(start_paused = true)]
async fn an_owner_transfer_brings_to_who_counts_and_stops_with_who_does_not() {
    let mut holder = String::new();
    let case = Case::open(|office, _| {
        holder = office.user("Bea");
        office.grant(&holder);
    })
    .await;
    assert!(!case.is_in_mos());
    let office = &case.office;
    office.update("Opportunity", &case.deal, &json!({ "OwnerId": holder }));
    office.rest().await;
    assert!(case.is_in_mos(), "at once: the change is an event");
    assert!(office.has(RecordType::User, &holder));
    office.update("Opportunity", &case.deal, &json!({ "OwnerId": case.user }));
    office.rest().await;
    case.gets_nothing("it belongs to somebody without permission")
        .await;
    let owner = office.in_mos(RecordType::Opportunity, &case.deal, "owner_id");
    assert_eq!(owner, Some(json!(holder)), "mOS has it as it was in scope");
}

/// Its event was judged by the permissions before. Nobody polls for longer than a backfill looks back
/// in any case.
#[tokio::test(start_paused = true)]
async fn a_deal_that_closes_between_a_grant_and_its_poll_has_its_last_word() {
    let (mut granted, mut deal) = (String::new(), String::new());
    let mut office = Office::open(|office| {
        granted = office.user("Ada");
        let holder = office.user("Bea");
        office.grant(&holder);
        deal = office.deal(&holder, &json!({}));
    })
    .await;
    let is_closed = |office: &Office| office.in_mos(RecordType::Opportunity, &deal, "is_closed");
    assert_eq!(is_closed(&office), Some(json!(false)));
    office.world.kill(Service::Permission).await;
    office.grant(&granted);
    let won = json!({ "OwnerId": granted, "StageName": "Closed Won" });
    office.update("Opportunity", &deal, &won);
    let queue = office.world.embedded.queue();
    let waits = QueueName::new(Stage::Permission, Lane::Live);
    until("its event waits", async || {
        queue.depth(waits).await.unwrap() > 0
    })
    .await;
    tokio::time::sleep(Duration::from_secs(15 * 60)).await;
    office.world.start(Service::Permission);
    office.rest().await;
    assert_eq!(is_closed(&office), Some(json!(true)));
}
