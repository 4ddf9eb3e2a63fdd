//! What is in scope and waits: for a window, for a switch, for mOS.

use std::sync::Arc;
use std::time::Duration;

use console::views::ExplainCode;
use domain::parked::Dismissal;
use domain::{ObjectKind, Timestamp};
use ports::stores::{PollState, WorkerState};
use serde_json::json;

use super::case::{Case, DeskMos, operations};
use crate::salesforce::{id, user};

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
