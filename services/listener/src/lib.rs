//! The listener: Salesforce in, units out. One is active per org; it follows the event stream, polls
//! the objects that no events come from, runs the jobs that read snapshots, and takes parked
//! records up again.

mod gaps;
mod poll;
mod publish;
mod schedule;
mod seen;
mod snapshot;
mod stream;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::{ObjectKind, SalesforceId};
use ports::Clock;
use ports::queue::Queue;
use ports::source::{Organization, Source};
use ports::stores::{LogEntry, LogLevel, Report, StoreError, Stores, WorkerState};
use runtime::config::Retention;
use runtime::readback::RulesInForce;
use tokio_util::sync::CancellationToken;

const LEASE: &str = "listener";
const LEASE_FOR: Duration = Duration::from_secs(15);
const LEASE_RENEWED: Duration = Duration::from_secs(4);
const PAUSE: Duration = Duration::from_secs(2);
/// Fewer rows are read sooner by REST than a bulk query is ready.
const BULK_FROM: u64 = 10_000;

/// Which objects are polled, beside what is heard of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Polling {
    /// Those without change capture.
    pub objects: BTreeSet<ObjectKind>,
    /// From the beginning of a poll to that of the next.
    pub every: Duration,
}

/// Everything the listener works with.
pub struct Listener {
    source: Arc<dyn Source>,
    queue: Arc<dyn Queue>,
    stores: Stores,
    clock: Arc<dyn Clock>,
    topic: String,
    holder: String,
    bulk_from: u64,
    retention: Retention,
    polling: Polling,
    state: Mutex<WorkerState>,
    /// Why objects cannot be polled.
    poll_failures: Mutex<BTreeMap<ObjectKind, String>>,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener")
            .field("topic", &self.topic)
            .field("holder", &self.holder)
            .finish_non_exhaustive()
    }
}

/// What the parts of an active listener share.
struct Active {
    listener: Arc<Listener>,
    org: SalesforceId,
    rules: RulesInForce,
    /// Held by who publishes live units, see [`publish::LiveTurn`].
    live: tokio::sync::Mutex<()>,
}

impl Listener {
    /// A listener of a change event channel that polls nothing; `holder` names this process in the
    /// lease.
    #[must_use]
    pub fn new(
        source: Arc<dyn Source>,
        queue: Arc<dyn Queue>,
        stores: Stores,
        clock: Arc<dyn Clock>,
        topic: &str,
        holder: String,
    ) -> Self {
        let state = Mutex::new(WorkerState::Failing(
            "the event stream is not open yet".to_owned(),
        ));
        Self {
            source,
            queue,
            stores,
            clock,
            topic: topic.to_owned(),
            holder,
            bulk_from: BULK_FROM,
            retention: Retention::default(),
            polling: Polling {
                objects: BTreeSet::new(),
                every: Duration::ZERO,
            },
            state,
            poll_failures: Mutex::default(),
        }
    }

    /// Polls these objects too.
    #[must_use]
    pub fn polling(mut self, polling: Polling) -> Self {
        self.polling = polling;
        self
    }

    /// Statements with more rows than this are read by the Bulk API, others by REST pages.
    #[must_use]
    pub const fn with_bulk_from(mut self, rows: u64) -> Self {
        self.bulk_from = rows;
        self
    }

    /// Keeps history for so long, and not for as long as by default.
    #[must_use]
    pub fn keeping(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// Follows the stream until `stop`, whenever this process holds the lease.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(reason) = self.lease_and_work(&stop).await {
                tracing::warn!("{reason}");
                self.report(WorkerState::Failing(reason)).await;
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
        if let Err(error) = self.stores.lease.release(LEASE, &self.holder).await {
            tracing::info!("the listener's lease runs out by itself: {error}");
        }
    }

    async fn lease_and_work(self: &Arc<Self>, stop: &CancellationToken) -> Result<(), String> {
        if !self
            .stores
            .lease
            .hold(LEASE, &self.holder, LEASE_FOR)
            .await
            .map_err(in_words)?
        {
            return Ok(());
        }
        // Units of an earlier life that were announced but perhaps never published: their events
        // come again, after the stored position.
        self.stores
            .jobs
            .abandon_live_units()
            .await
            .map_err(in_words)?;
        let org = self.source.organization().await.map_err(in_words)?;
        self.wait_for_leave(&org, stop).await?;
        let active = Arc::new(Active {
            listener: Arc::clone(self),
            org: org.id,
            rules: RulesInForce::new(self.stores.clone(), Arc::clone(&self.source)),
            live: tokio::sync::Mutex::default(),
        });
        self.poll_failures().clear();
        let stop = stop.child_token();
        tokio::select! {
            biased;
            ended = self.keep_lease(&org) => { stop.cancel(); ended }
            ended = stream::follow(&active, &stop) => ended,
            ended = poll::run(&active, &stop) => ended,
            ended = schedule::run(&active, &stop) => ended,
            () = stop.cancelled() => Ok(()),
        }
    }

    /// Renews the lease for ever; ends when it is lost, or when the settings forbid the org.
    async fn keep_lease(&self, org: &Organization) -> Result<(), String> {
        loop {
            tokio::time::sleep(LEASE_RENEWED).await;
            self.renew_lease().await?;
            let settled = runtime::org::settle(&self.stores, org, self.clock.now()).await;
            if let Some(why) = settled.map_err(in_words)?.refused {
                return Err(why);
            }
            self.report_again().await;
        }
    }

    async fn renew_lease(&self) -> Result<(), String> {
        let lease = &self.stores.lease;
        let held = lease.hold(LEASE, &self.holder, LEASE_FOR).await;
        if held.map_err(in_words)? {
            Ok(())
        } else {
            Err("another listener has taken over".to_owned())
        }
    }

    /// Waits until the settings allow to work with this org.
    async fn wait_for_leave(
        &self,
        org: &Organization,
        stop: &CancellationToken,
    ) -> Result<(), String> {
        loop {
            let settled = runtime::org::settle(&self.stores, org, self.clock.now()).await;
            let Some(why) = settled.map_err(in_words)?.refused else {
                return Ok(());
            };
            self.report(WorkerState::Paused(why)).await;
            self.renew_lease().await?;
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    async fn report(&self, state: WorkerState) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        self.report_again().await;
    }

    /// Says why an object cannot be polled, or that it can.
    async fn report_poll(&self, object: ObjectKind, failure: Option<String>) {
        match failure {
            Some(why) => self.poll_failures().insert(object, why),
            None => self.poll_failures().remove(&object),
        };
        self.report_again().await;
    }

    fn poll_failures(&self) -> MutexGuard<'_, BTreeMap<ObjectKind, String>> {
        let failures = self.poll_failures.lock();
        failures.unwrap_or_else(PoisonError::into_inner)
    }

    /// How the stream is, and the polls where it is well.
    fn state(&self) -> WorkerState {
        let stream = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = self.poll_failures();
        if *stream == WorkerState::Running && !failures.is_empty() {
            let failures = failures.values().cloned().collect::<Vec<_>>();
            return WorkerState::Failing(failures.join("; "));
        }
        stream.clone()
    }

    /// Says how it is; that nobody hears it is no reason to stop.
    async fn report_again(&self) {
        let report = Report {
            at: self.clock.now(),
            state: self.state(),
            figures: BTreeMap::new(),
        };
        if let Err(error) = self.stores.reports.report("listener", &report).await {
            tracing::warn!("the listener's state could not be reported: {error}");
        }
    }
}

impl Active {
    async fn log(
        &self,
        level: LogLevel,
        topic: &str,
        job: Option<&domain::job::JobId>,
        message: String,
    ) -> Result<(), StoreError> {
        tracing::info!(topic, "{message}");
        let at = self.listener.clock.now();
        self.listener
            .stores
            .log
            .append(&LogEntry {
                at,
                level,
                topic: topic.to_owned(),
                job: job.cloned(),
                record: None,
                message,
            })
            .await
    }
}

fn in_words(error: impl std::fmt::Display) -> String {
    error.to_string()
}
