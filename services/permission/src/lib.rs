//! The permission worker: keeps the records that have an owner with mOS permission, and completes
//! the opportunities that may have entered the scope with their companions. It also keeps the
//! permission snapshot up to date ([`poll`]).

mod companions;
pub mod poll;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use domain::permission::PermissionSnapshot;
use domain::rule::is_permitted;
use domain::tally::Count;
use domain::unit::{Envelope, QueueName, Stage, UnitCopy};
use ports::source::Source;
use ports::stores::Stores;
use runtime::gate::Gate;
use runtime::readback::{self, RulesInForce};
use runtime::worker::{Handler, Outage, Verdict, Void};
use tokio::sync::watch;

/// The permission stage.
pub struct Permission {
    source: Arc<dyn Source>,
    stores: Stores,
    rules: RulesInForce,
    cached: Mutex<Option<Arc<PermissionSnapshot>>>,
    gate: watch::Receiver<Gate>,
}

impl std::fmt::Debug for Permission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Permission")
    }
}

impl Permission {
    /// `gate` opens with the first snapshot, see [`poll::Poll`].
    #[must_use]
    pub fn new(source: Arc<dyn Source>, stores: Stores, gate: watch::Receiver<Gate>) -> Self {
        let rules = RulesInForce::new(stores.clone(), Arc::clone(&source));
        Self {
            source,
            rules,
            stores,
            cached: Mutex::new(None),
            gate,
        }
    }

    /// The snapshot that a ticket names. A ticket from before the first poll is judged by the first
    /// snapshot, and one whose snapshot is no longer kept by the latest: whoever entered in
    /// between has been given a backfill.
    async fn snapshot(&self, number: u64) -> Result<Arc<PermissionSnapshot>, Outage> {
        let number = number.max(1);
        let cached = self
            .cached
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(snapshot) = cached.filter(|snapshot| snapshot.number == number) {
            return Ok(snapshot);
        }
        let found = match self.stores.permissions.snapshot(number).await? {
            Some(snapshot) => snapshot,
            None => self.stores.permissions.latest().await?,
        };
        if found.number == 0 {
            return Err(Outage::Other(
                "permissions have not been read from Salesforce yet".to_owned(),
            ));
        }
        let found = Arc::new(found);
        *self.cached.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&found));
        Ok(found)
    }
}

#[async_trait]
impl Handler for Permission {
    fn stage(&self) -> Stage {
        Stage::Permission
    }

    fn gate(&self) -> watch::Receiver<Gate> {
        self.gate.clone()
    }

    async fn handle(&self, unit: Envelope, _copy: &UnitCopy) -> Result<Verdict, Outage> {
        self.rules.seen_anew_if_refused(self.permit(unit).await)
    }
}

impl Permission {
    async fn permit(&self, mut unit: Envelope) -> Result<Verdict, Outage> {
        let Some(ticket) = unit.ticket else {
            return Err(Outage::Other(
                "a unit came to the permission stage without a ticket; it was not filtered"
                    .to_owned(),
            ));
        };
        let snapshot = self.snapshot(ticket.snapshot).await?;
        let tally = &mut unit.tally;
        let mut void = Vec::new();
        unit.records.retain(|record| {
            let permitted = is_permitted(&record.owners, &snapshot, ticket.version.time());
            if !permitted {
                tally.add(record.object, Count::NotPermitted);
                void.push((record.object, record.id));
            }
            permitted
        });
        let void = Void {
            records: void,
            version: ticket.version,
        };
        if unit.records.is_empty() {
            return Ok(Verdict {
                unpark: void,
                ..Verdict::finished(unit)
            });
        }
        let (now, rules) = self.rules.ticket().await?;
        let at = now.version.time();
        let unreadable = companions::add(&*self.source, &mut unit, &rules, at).await?;
        let next = if companions::still_belong(&*self.source, &unit, &rules, at).await? {
            Verdict::pass_on(QueueName::new(Stage::Load, unit.lane), unit)
        } else {
            tracing::info!(unit = %unit.id, "an opportunity has left the scope since this unit was read; it is read again");
            Verdict::read_again(unit)
        };
        let park = unreadable.into_iter();
        Ok(Verdict {
            unpark: void,
            park: park
                .map(|(object, id)| readback::unreadable(object, id, Stage::Permission, ticket))
                .collect(),
            ..next
        })
    }
}
