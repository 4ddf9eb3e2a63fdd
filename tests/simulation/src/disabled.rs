//! Disabled while a unit is being sent that needs several requests: what is left of it goes back.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use domain::tally::Count;
use domain::unit::{Cause, Envelope, UnitCopy, UnitRecord};
use domain::{ObjectKind, Row, SalesforceId, Ticket};
use loader::{Circuit, Loader};
use ports::Clock;
use ports::source::Source;
use ports::target::{Held, Listed, Outcome, Target, TargetError, Upsert};
use runtime::gate::{Gate, Gates};
use runtime::worker::{Handler, Settle};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::moves::{save, until, world};
use crate::permissions::held_by;
use crate::poison;

/// As many as a request may have, and what is left for a second one.
const FIRST: usize = 500;
const SECOND: usize = 100;
/// How long mOS takes: longer than a save may take to be heeded.
const SLOW: Duration = Duration::from_secs(5);

/// Takes everything, slowly.
#[derive(Default)]
struct SlowMos {
    /// How many records each request had.
    requests: Mutex<Vec<usize>>,
}

impl SlowMos {
    fn requests(&self) -> Vec<usize> {
        let requests = self.requests.lock();
        requests.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Target for SlowMos {
    async fn upsert(
        &self,
        _idempotency_key: &str,
        records: &[Upsert],
    ) -> Result<Vec<Outcome>, TargetError> {
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(records.len());
        tokio::time::sleep(SLOW).await;
        Ok(vec![Outcome::Created; records.len()])
    }

    async fn has_answered(&self, _idempotency_key: &str) -> Result<bool, TargetError> {
        Ok(false)
    }

    async fn probe(&self) -> Result<(), TargetError> {
        Ok(())
    }

    async fn list(
        &self,
        _object: ObjectKind,
        _after: &str,
        _limit: usize,
    ) -> Result<Vec<Listed>, TargetError> {
        Ok(Vec::new())
    }

    async fn record(
        &self,
        _object: ObjectKind,
        _id: &SalesforceId,
    ) -> Result<Option<Held>, TargetError> {
        Ok(None)
    }
}

/// Accounts that came with deals of this owner.
fn unit(owner: SalesforceId, ticket: Ticket) -> Envelope {
    let account = |number: usize| {
        let id = SalesforceId::parse(&format!("001{number:012}")).unwrap();
        let row = json!({ "Id": id.as_str(), "Name": format!("Account {number}") });
        UnitRecord {
            object: ObjectKind::Account,
            id,
            cause: Cause::Companion,
            row: Some(Row::of(&row).unwrap()),
            owners: BTreeSet::from([owner]),
            last_word: false,
            entering: false,
        }
    };
    Envelope {
        ticket: Some(ticket),
        records: (1..=FIRST + SECOND).map(account).collect(),
        ..poison::unit(&[])
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_more_of_a_unit_is_sent_once_it_is_disabled_between_its_requests() {
    let world = world(1);
    let stores = &world.stores;
    let owner = SalesforceId::parse(world.org.admin_id()).unwrap();
    let snapshot = held_by(owner, world.clock.now());
    stores.permissions.store(&snapshot, None).await.unwrap();
    let source = Arc::new(world.salesforce.clone()) as Arc<dyn Source>;
    let clock = Arc::clone(&world.clock) as Arc<dyn Clock>;
    let mos = Arc::new(SlowMos::default());
    let gates = Arc::new(Gates::default());
    let mut gate = gates.watch();
    let loader = Loader::new(
        Arc::clone(&mos) as Arc<dyn Target>,
        Arc::clone(&source),
        stores.clone(),
        Arc::clone(&clock),
        Arc::new(Circuit::new(Arc::clone(&gates))),
        gates.watch(),
    );
    let keeping = loader::gates::keep(
        gates,
        stores.clone(),
        source,
        clock,
        Duration::from_secs(3_600),
        CancellationToken::new(),
    );
    let script = async {
        drop(gate.wait_for(|gate| *gate == Gate::Open).await.unwrap());
        let unit = unit(owner, stores.ticket.take().await.unwrap());
        let copy = UnitCopy {
            step: unit.step,
            content: None,
        };
        let disabling = async {
            until("the first request", async || mos.requests() == [FIRST]).await;
            save(&world, |settings| settings.disabled = true).await;
        };
        let (verdict, ()) = tokio::join!(loader.handle(unit, &copy), disabling);
        assert_eq!(mos.requests(), [FIRST], "nothing more is sent");
        let Settle::RetryAfter(_, left) = verdict.unwrap().settle else {
            panic!("the rest is given up");
        };
        assert_eq!(left.records.len(), SECOND);
        let created = left.tally.get(ObjectKind::Account, Count::Created);
        assert_eq!(created, FIRST as u64);

        save(&world, |settings| settings.disabled = false).await;
        drop(gate.wait_for(|gate| *gate == Gate::Open).await.unwrap());
        let copy = UnitCopy {
            step: left.step,
            content: None,
        };
        let verdict = loader.handle(*left, &copy).await.unwrap();
        assert_eq!(mos.requests(), [FIRST, SECOND]);
        let counted = verdict.count.expect("it is done").tally;
        let created = counted.get(ObjectKind::Account, Count::Created);
        assert_eq!(created, (FIRST + SECOND) as u64);
    };
    tokio::select! {
        biased;
        () = keeping => panic!("nobody has ended it"),
        () = script => {}
    }
}
