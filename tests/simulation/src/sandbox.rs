//! Run In Sandbox: with an org that is a sandbox every service works, or keeps still, as the switch
//! says at the time.

use std::time::Duration;

use domain::unit::QueueName;
use fake_mos::RecordType;
use ports::stores::WorkerState;
use serde_json::{Value, json};

use crate::moves::until;
use crate::office::Office;
use crate::world::Service;

/// What is promised of a switch, and a request that was on its way.
const SWITCHED: Duration = Duration::from_secs(2 + 5);

async fn waits(office: &Office, worker: &str) -> bool {
    let reports = office.world.stores.reports.reports().await.unwrap();
    let state = reports.get(worker).map(|report| &report.state);
    matches!(state, Some(WorkerState::Paused(why)) if why.contains("Run In Sandbox"))
}

async fn queued(office: &Office) -> u64 {
    let queue = office.world.embedded.queue();
    let mut all = 0;
    for name in QueueName::ALL {
        all += queue.depth(name).await.unwrap();
    }
    all
}

fn next_step(office: &Office, deal: &str) -> Option<Value> {
    office.in_mos(RecordType::Opportunity, deal, "next_step")
}

#[tokio::test(start_paused = true)]
async fn a_sandbox_is_served_while_the_switch_is_on_and_no_longer() {
    let mut office = Office::closed();
    let org = office.world.org.org_id().to_owned();
    office.update("Organization", &org, &json!({ "IsSandbox": true }));
    let owner = office.user("Ada");
    office.grant(&owner);
    let deal = office.deal(&owner, &json!({ "NextStep": "first" }));
    office.world.start_all();
    until("the listener waits", async || {
        waits(&office, "listener").await
    })
    .await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(queued(&office).await, 0, "nothing is taken");
    assert_eq!(office.world.mos.ledger_len(), 0, "nothing is sent");

    office.save(&json!({ "run_in_sandbox": true })).await;
    office.rest().await;
    assert_eq!(next_step(&office, &deal), Some(json!("first")));

    // Off, with a change on its way that is kept back before the last step.
    office.world.kill(Service::Loader).await;
    office.update("Opportunity", &deal, &json!({ "NextStep": "on its way" }));
    until("it waits for mOS", async || queued(&office).await > 0).await;
    office.save(&json!({})).await;
    office.world.start(Service::Loader);
    until("the listener waits", async || {
        waits(&office, "listener").await
    })
    .await;
    office.update("Opportunity", &deal, &json!({ "NextStep": "unheard" }));
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(next_step(&office, &deal), Some(json!("first")));

    office.save(&json!({ "run_in_sandbox": true })).await;
    office.rest().await;
    assert_eq!(next_step(&office, &deal), Some(json!("unheard")));

    // Off while everything runs and changes come all the time: soon nothing arrives any more.
    let changes = async |office: &Office, word: &str, times: u32| {
        for time in 0..times {
            let step = format!("{word} {time}");
            office.update("Opportunity", &deal, &json!({ "NextStep": step }));
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    changes(&office, "on", 25).await;
    office.save(&json!({})).await;
    let switched = u32::try_from(SWITCHED.as_millis() / 200).unwrap();
    changes(&office, "at once", switched).await;
    let sent = office.world.mos.ledger_len();
    changes(&office, "off", 100).await;
    assert_eq!(office.world.mos.ledger_len(), sent, "sent while it was off");
    assert!(sent > 0);
}
