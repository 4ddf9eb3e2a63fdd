//! The listener: Salesforce in, units out. One is active per org; it follows the event stream, runs
//! the jobs that read snapshots, and takes parked records up again.

mod gaps;
mod publish;
mod schedule;
mod snapshot;
mod stream;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::SalesforceId;
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

/// Everything the listener works with.
pub struct Listener {
    source: Arc<dyn Source>,
    queue: Arc<dyn Queue>,
    stores: Stores,
    clock: Arc<dyn Clock>,
    topic: String,
    holder: String,
    retention: Retention,
    state: Mutex<WorkerState>,
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
}

impl Listener {
    /// A listener of a change event channel; `holder` names this process in the lease.
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
            retention: Retention::default(),
            state,
        }
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
        self.wait_for_sandbox_switch(&org, stop).await?;
        let active = Arc::new(Active {
            listener: Arc::clone(self),
            org: org.id,
            rules: RulesInForce::new(self.stores.clone(), Arc::clone(&self.source)),
        });
        let stop = stop.child_token();
        tokio::select! {
            biased;
            ended = self.keep_lease() => { stop.cancel(); ended }
            ended = stream::follow(&active, &stop) => ended,
            ended = schedule::run(&active, &stop) => ended,
            () = stop.cancelled() => Ok(()),
        }
    }

    /// Renews the lease for ever; ends when it is lost.
    async fn keep_lease(&self) -> Result<(), String> {
        loop {
            tokio::time::sleep(LEASE_RENEWED).await;
            self.renew_lease().await?;
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

    async fn wait_for_sandbox_switch(
        &self,
        org: &Organization,
        stop: &CancellationToken,
    ) -> Result<(), String> {
        while org.is_sandbox
            && !self
                .stores
                .settings
                .current()
                .await
                .map_err(in_words)?
                .settings
                .run_in_sandbox
        {
            self.report(WorkerState::Paused(
                "the connected org is a sandbox and Run In Sandbox is off in mOS Settings"
                    .to_owned(),
            ))
            .await;
            self.renew_lease().await?;
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
        Ok(())
    }

    async fn report(&self, state: WorkerState) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        self.report_again().await;
    }

    /// Says how it is; that nobody hears it is no reason to stop.
    async fn report_again(&self) {
        let state = self
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let report = Report {
            at: self.clock.now(),
            state,
            figures: std::collections::BTreeMap::new(),
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
