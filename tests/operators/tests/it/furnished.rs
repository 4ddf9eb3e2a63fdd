//! A desk with something of everything that can be shown.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use console::Operations;
use domain::ObjectKind;
use domain::failure::FailureKind;
use domain::job::{Extracted, JobId, JobKind, PausedBy, SalesforceStatus};
use domain::parked::Dismissal;
use domain::permission::{Grant, NearMiss, Obstacle, PermissionSnapshot};
use ports::queue::Message;
use ports::source::ReplayId;
use ports::stores::{GapCause, OLDEST, PollState, StreamState, WorkerState};
use runtime::figures;
use serde_json::json;

use crate::desk::{Desk, TOPIC, record};
use crate::left::{hold, open_mos};
use crate::salesforce::{id, insert, user};
use crate::told::{courier, round};

/// An org's worth of everything that can be shown.
pub(crate) async fn furnished() -> Desk {
    let mut desk = Desk::open();
    let (_mos, target) = open_mos().await;
    let owner = record(ObjectKind::User, 7).to_string();
    hold(
        &*target,
        ObjectKind::User,
        &owner,
        r#"{"name": "Somebody"}"#,
    )
    .await;
    for number in 1..3 {
        let deal = record(ObjectKind::Opportunity, number).to_string();
        let fields = json!({"name": "Gone", "owner_id": owner}).to_string();
        hold(&*target, ObjectKind::Opportunity, &deal, &fields).await;
    }
    desk.ops = desk
        .ops
        .asking(target)
        .polling([ObjectKind::User, ObjectKind::Contact].into());
    let now = desk.now();
    let stores = &desk.stores;
    let stream = StreamState {
        position: ReplayId(vec![7]),
        at_end: false,
        window_over: false,
        heard: now,
        last_event: Some(now),
    };
    stores.position.store_stream(TOPIC, &stream).await.unwrap();
    let poll = PollState {
        from: now,
        under_way: None,
        polled: Some(now),
        found: None,
        hole: false,
    };
    stores
        .position
        .store_poll(ObjectKind::User, &poll)
        .await
        .unwrap();
    for (worker, state) in [
        ("listener", WorkerState::Running),
        ("filter", WorkerState::Paused("disabled".to_owned())),
        ("loader", WorkerState::Failing("no mOS".to_owned())),
    ] {
        let figures = [
            OLDEST,
            figures::NEXT_WINDOW,
            figures::API_MAX,
            figures::API_USED,
            figures::API_OURS,
            figures::API_BULK_HELD_UNTIL,
            figures::API_LIVE_HELD_UNTIL,
        ];
        let figures = figures.map(|name| (name, now.as_micros()));
        desk.report(worker, state, &figures).await;
    }
    desk.save(|settings| settings.frequency = "every_15_min".parse().unwrap())
        .await;
    let load = desk.job(JobKind::SyncAll, "load").await;
    for to in [SalesforceStatus::Counting, SalesforceStatus::Extracting] {
        desk.transition(&load.id, to, None).await;
    }
    let mut progress = load.progress.clone();
    (progress.announced, progress.next_index) = (2, 2);
    let extracted = Extracted {
        total: Some(500),
        read: 300,
        units: 2,
        errors: 1,
        last_error: Some("a query failed".to_owned()),
        started: Some(now),
        finished: Some(now),
        ..Extracted::default()
    };
    progress.objects.insert(ObjectKind::Contact, extracted);
    stores
        .jobs
        .advance(&load.id, &progress, None, now)
        .await
        .unwrap();
    let unit = desk.unit(&load.id, 0, 3);
    let tally = &unit.tally;
    desk.pass(5);
    stores
        .jobs
        .count(&load.id, 0, None, tally, desk.now())
        .await
        .unwrap();
    let held = desk.job(JobKind::Backfill, "held").await;
    let (why, until) = ("the allowance is used up", Some(desk.now()));
    desk.pause(&held.id, PausedBy::Quota, why, until).await;
    let failed = desk.job(JobKind::CatchUp, "failed").await;
    let (to, why) = (SalesforceStatus::Failed, Some("no access"));
    desk.transition(&failed.id, to, why).await;
    stores
        .jobs
        .open_live_unit(&JobId::live(now), now)
        .await
        .unwrap();
    for (id, cause) in [
        ("overflow", GapCause::Overflow),
        ("poll", GapCause::NotHeard),
    ] {
        desk.gap(id, cause, "seen by a test", &failed).await;
    }
    desk.park(1, |parked| {
        parked.parent = Some((ObjectKind::Account, record(ObjectKind::Account, 1)));
        parked.retry_at = Some(now);
        parked.job = Some(load.id.clone());
    })
    .await;
    let dismissed = desk.park(2, |_| {}).await;
    let dismissal = Dismissal {
        at: now,
        by: "somebody".to_owned(),
        reason: "a test".to_owned(),
    };
    stores
        .parked
        .dismiss(&[dismissed.record()], &dismissal)
        .await
        .unwrap();
    desk.park(3, |_| {}).await;
    desk.park(4, |parked| parked.kind = FailureKind::Unreadable)
        .await;
    let unit = desk.unit(&load.id, 1, 2);
    desk.die("unit", unit.encode().unwrap()).await;
    desk.die("garbage", b"?".to_vec()).await;
    let event = Message {
        id: "event".to_owned(),
        kind: "salesforce.event".to_owned(),
        version: 1,
        body: Vec::new(),
    };
    desk.queue
        .publish_dead(&event, "the stream", "no schema")
        .await
        .unwrap();
    desk
}

/// A holder who leaves soon, with a deal, and another whose assignment does not count.
pub(crate) async fn store_permissions(desk: &Desk) {
    let org = &desk.salesforce;
    let (ada, bea) = (user(org, "Ada"), user(org, "Bea"));
    let deal = json!({"Name": "Deal", "StageName": "Prospecting", "CloseDate": "2027-01-01", "OwnerId": ada});
    insert(org, "Opportunity", &deal);
    let grant = Grant {
        permission_set: "mOS_User".to_owned(),
        group: Some("Sales".to_owned()),
        expires: Some(desk.now().after(Duration::from_secs(60))),
    };
    let miss = NearMiss {
        grant: grant.clone(),
        because: [
            Obstacle::UserInactive,
            Obstacle::NoPackageLicence {
                namespace: "mos".to_owned(),
            },
        ]
        .into(),
    };
    let snapshot = PermissionSnapshot {
        number: 1,
        taken: desk.now(),
        holders: [(id(&ada), [grant].into())].into(),
        near_misses: [(id(&bea), [miss].into())].into(),
        ..PermissionSnapshot::default()
    };
    let permissions = &desk.stores.permissions;
    permissions.store(&snapshot, None).await.unwrap();
}

/// The desk's operations, with mails that go into a folder; what is to be told there was.
pub(crate) async fn telling(desk: &Desk, folder: &Path) -> Operations {
    let courier = courier(desk, Some(folder));
    let ops = desk.ops.clone().telling(Arc::clone(&courier));
    round(&ops, &courier).await;
    ops
}
