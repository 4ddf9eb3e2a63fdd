//! Keeps the permission snapshot: permission sets have no change events, so they are read again
//! and again, and whenever an assignment runs out. Whoever newly holds permission gets a backfill,
//! stored together with the snapshot that lets them in.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use domain::job::{Job, JobId, JobKind, JobScope};
use domain::permission::PermissionSnapshot;
use domain::{SalesforceId, Timestamp};
use ports::Clock;
use ports::source::Source;
use ports::stores::{LogEntry, LogLevel, StoreError, Stores};
use runtime::expiring::{COUNTED_AGAIN, Expiring};
use runtime::gate::Gate;
use runtime::holders::{self, Requirements};
use runtime::reasons::{Reason, Reasons};
use runtime::worker::Outage;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What the gate's reasons are about.
const PERMISSIONS: &str = "permissions";
/// However soon an assignment runs out, Salesforce is not asked more often than this.
const SHORTEST: Duration = Duration::from_millis(200);
/// A grant that runs out within this time of a poll counts as run out where it is renewed.
const RENEWAL_MARGIN: Duration = Duration::from_secs(300);
/// How far before the last poll a backfill looks for deals that have closed: stamps have whole
/// seconds and become visible late.
const CLOSED_MARGIN: Duration = Duration::from_secs(600);

/// From when on permissions that could not be read again are too old to act on.
#[must_use]
pub fn too_old(every: Duration) -> Duration {
    every * 2 + Duration::from_secs(30)
}

/// The poller.
pub struct Poll {
    /// Salesforce.
    pub source: Arc<dyn Source>,
    /// The stores.
    pub stores: Stores,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What counts.
    pub requirements: Requirements,
    /// How often.
    pub every: Duration,
    /// Opened with the first snapshot.
    pub gate: watch::Sender<Gate>,
    /// What leaves the scope soon, for the report.
    pub expiring: watch::Sender<Option<Expiring>>,
}

impl std::fmt::Debug for Poll {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Poll")
            .field("every", &self.every)
            .finish_non_exhaustive()
    }
}

/// The gate before the first poll.
#[must_use]
pub fn closed_gate() -> watch::Sender<Gate> {
    watch::Sender::new(Gate::Closed(Reasons::of(
        PERMISSIONS,
        "permissions have not been read from Salesforce yet",
    )))
}

impl Poll {
    /// Polls until `stop`, and looks ahead beside that.
    pub async fn run(self, stop: CancellationToken) {
        let polled = Notify::new();
        tokio::select! {
            biased;
            () = self.keep_polling(&polled, &stop) => {}
            () = self.keep_looking_ahead(&polled) => {}
        }
    }

    async fn keep_polling(&self, polled: &Notify, stop: &CancellationToken) {
        let mut succeeded = Instant::now();
        loop {
            let pause = match self.once().await {
                Ok(until_expiry) => {
                    succeeded = Instant::now();
                    self.gate.send_replace(Gate::Open);
                    polled.notify_one();
                    self.every
                        .min(until_expiry.unwrap_or(self.every).max(SHORTEST))
                }
                Err(error) => {
                    tracing::warn!("permissions could not be read: {error}");
                    if succeeded.elapsed() > too_old(self.every) {
                        // Who has lost permission since would still be sent.
                        let why = format!("permissions cannot be read from Salesforce: {error}");
                        let out_of_reach = match &error {
                            Outage::Source(error) => Reason::from(error).out_of_reach,
                            Outage::Store(_) | Outage::Other(_) => None,
                        };
                        let reason = Reason { why, out_of_reach };
                        let closed = Gate::Closed(Reasons::of(PERMISSIONS, reason));
                        self.gate.send_replace(closed);
                    }
                    self.every.min(Duration::from_secs(5))
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// One poll; answers how long from now until the next assignment runs out.
    ///
    /// # Errors
    /// Salesforce's and the stores'. Another poller being first is none.
    pub async fn once(&self) -> Result<Option<Duration>, Outage> {
        // Before anything is read: whoever stores meanwhile may have read later.
        let before = self.stores.permissions.latest().await?;
        // The time of the stores, not of this machine: snapshots and tickets are compared.
        let begun = self.stores.ticket.take().await?.version.time();
        let begun_here = Instant::now();
        let until = |end: Timestamp| end.since(begun).saturating_sub(begun_here.elapsed());
        let reading = holders::read(&*self.source, &self.requirements).await?;
        let now = PermissionSnapshot::following(&before, &reading, begun);
        if before.number > 0 && before.says_the_same(&now) {
            self.stores.permissions.mark_polled(begun).await?;
            return Ok(before.next_expiry(begun).map(until));
        }
        let entered = if before.number == 0 {
            BTreeSet::new()
        } else {
            // An old grant that runs out before this snapshot is in force may already have kept
            // something back: its renewal enters anew.
            now.entered_since(begun, &before, begun.after(RENEWAL_MARGIN))
        };
        let backfill = (!entered.is_empty()).then(|| {
            backfill(
                now.number,
                &entered,
                begun,
                before.taken.before(CLOSED_MARGIN),
            )
        });
        match self.stores.permissions.store(&now, backfill.as_ref()).await {
            Ok(()) if before.number > 0 && before.holders == now.holders => {
                tracing::info!(
                    snapshot = now.number,
                    "what does not count as permission has changed"
                );
            }
            Ok(()) => {
                self.log(&before, &now, &entered, backfill.as_ref()).await?;
            }
            Err(StoreError::Conflict { .. }) => {
                tracing::info!("another permission worker stored its snapshot first");
            }
            Err(
                error @ (StoreError::Unreachable(_)
                | StoreError::Corrupt(_)
                | StoreError::ClockSteppedBack(_)),
            ) => return Err(error.into()),
        }
        Ok(now.next_expiry(begun).map(until))
    }

    /// Looks ahead after each poll and keeps none waiting: Salesforce may take minutes for a count.
    /// One that it gives up on is not asked for again with every poll.
    async fn keep_looking_ahead(&self, polled: &Notify) {
        loop {
            polled.notified().await;
            if let Err(error) = self.look_ahead().await {
                tracing::warn!("what leaves the scope soon could not be counted: {error}");
                if matches!(error, Outage::Source(_)) {
                    tokio::time::sleep(COUNTED_AGAIN).await;
                }
            }
        }
    }

    /// Counts what leaves with those whose permission runs out soon.
    ///
    /// # Errors
    /// Salesforce's and the stores'.
    pub async fn look_ahead(&self) -> Result<(), Outage> {
        let snapshot = self.stores.permissions.latest().await?;
        let (now, before) = (self.clock.now(), self.expiring.borrow().clone());
        let expiring = Expiring::look(&*self.source, &self.stores, &snapshot, now, before).await?;
        self.expiring.send_replace(expiring);
        Ok(())
    }

    async fn log(
        &self,
        before: &PermissionSnapshot,
        now: &PermissionSnapshot,
        entered: &BTreeSet<SalesforceId>,
        backfill: Option<&Job>,
    ) -> Result<(), StoreError> {
        let left = before
            .permitted(now.taken)
            .iter()
            .filter(|user| !now.permits(user, now.taken))
            .count();
        let message = format!(
            "{} users hold mOS permission; {} newly, {left} no longer",
            now.permitted(now.taken).len(),
            entered.len()
        );
        tracing::info!(snapshot = now.number, "{message}");
        let entry = LogEntry {
            at: now.taken,
            level: LogLevel::Info,
            topic: PERMISSIONS.to_owned(),
            job: backfill.map(|job| job.id.clone()),
            record: None,
            message,
        };
        self.stores.log.append(&entry).await
    }
}

fn backfill(
    snapshot: u64,
    owners: &BTreeSet<SalesforceId>,
    at: Timestamp,
    since: Timestamp,
) -> Job {
    // The same snapshot stored twice asks for the same job.
    let uuid = domain::job::uuid_of(&format!(
        "permission snapshot {snapshot} of {}",
        at.as_micros()
    ));
    let scope = JobScope::Owners {
        owners: owners.clone(),
        since,
    };
    Job::queued(
        JobId::new(JobKind::Backfill, uuid),
        JobKind::Backfill,
        scope,
        at,
    )
}
