//! The listener: Salesforce in, units out. One is active per org; it follows the event stream, polls
//! the objects that no events come from, runs the jobs that read snapshots, and takes parked
//! records up again.

mod allowance;
mod around;
mod gaps;
mod lost_live;
mod missing;
mod poll;
mod publish;
mod refresh;
mod schedule;
mod seen;
mod settled;
mod snapshot;
mod stream;
mod sweep;
mod switches;
mod told;
mod window;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::{ObjectKind, SalesforceId, Timestamp};
use ports::Clock;
use ports::queue::Queue;
use ports::source::{Organization, Source, SourceError};
use ports::stores::{Dependency, LogEntry, LogLevel, Report, StoreError, Stores, WorkerState};
use runtime::config::Retention;
use runtime::readback::RulesInForce;
use runtime::reasons::{Reason, Reasons};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use crate::around::PermissionSets;
use crate::switches::Switches;

const LEASE: &str = "listener";
const LEASE_FOR: Duration = Duration::from_secs(15);
const LEASE_RENEWED: Duration = Duration::from_secs(4);
const PAUSE: Duration = Duration::from_secs(2);
/// Formulas are read again once a day.
const REFRESHED_EVERY: Duration = Duration::from_secs(24 * 3_600);
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
    /// Why it does not follow the stream, where it was to.
    interrupted: Mutex<Reasons>,
    refreshed_every: Duration,
    permission_sets: PermissionSets,
    /// Why objects cannot be polled, and what else somebody should look at.
    alarms: Mutex<BTreeMap<&'static str, String>>,
    /// By their names in [`figures`].
    figures: Mutex<BTreeMap<&'static str, i64>>,
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
    is_sandbox: bool,
    rules: RulesInForce,
    switches: watch::Sender<Switches>,
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
            interrupted: Mutex::default(),
            refreshed_every: REFRESHED_EVERY,
            permission_sets: PermissionSets::default(),
            alarms: Mutex::default(),
            figures: Mutex::default(),
        }
    }

    /// Polls these objects too.
    #[must_use]
    pub fn polling(mut self, polling: Polling) -> Self {
        self.polling = polling;
        self
    }

    /// Reads formulas again that often, and not once a day.
    #[must_use]
    pub const fn refreshing(mut self, every: Duration) -> Self {
        self.refreshed_every = every;
        self
    }

    /// Looks once a day what became of these permission sets, and not of none.
    #[must_use]
    pub fn watching(mut self, permission_sets: PermissionSets) -> Self {
        self.permission_sets = permission_sets;
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
        let told = runtime::interruptions::tell("listener", &self.stores, &*self.clock, || {
            self.interrupted().clone()
        });
        tokio::select! {
            biased;
            () = self.work(stop) => {}
            () = told => {}
        }
    }

    async fn work(self: &Arc<Self>, stop: CancellationToken) {
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
        let was_disabled = self.wait_while_disabled(stop).await?;
        let org = match self.organization().await? {
            Ok(org) => org,
            Err(error) => {
                tracing::warn!("{error}");
                self.report_outage(&error).await;
                return Ok(());
            }
        };
        self.wait_for_leave(&org, stop).await?;
        let revision = self.stores.settings.current().await.map_err(in_words)?;
        let active = Arc::new(Active {
            listener: Arc::clone(self),
            org: org.id,
            is_sandbox: org.is_sandbox,
            switches: watch::Sender::new(Switches::of(&revision.settings, &org.time_zone)),
            rules: RulesInForce::new(self.stores.clone(), Arc::clone(&self.source)),
            live: tokio::sync::Mutex::default(),
        });
        self.alarms().clear();
        if was_disabled {
            sweep::look(&active, sweep::By::SyncAll).await?;
        }
        let stop = stop.child_token();
        tokio::select! {
            biased;
            ended = self.keep_lease(&org) => { stop.cancel(); ended }
            ended = switches::follow(&active) => { stop.cancel(); ended }
            ended = allowance::watch(&active) => ended,
            ended = stream::follow(&active, &stop) => ended,
            ended = poll::run(&active, &stop) => ended,
            ended = schedule::run(&active, &stop) => ended,
            () = stop.cancelled() => Ok(()),
        }
    }

    /// Asks which org it is. An answer may take longer than the lease lasts, and than one that is
    /// not heard of is taken to run.
    async fn organization(&self) -> Result<Result<Organization, SourceError>, String> {
        let mut asked = self.source.organization();
        loop {
            tokio::select! {
                biased;
                answer = &mut asked => return Ok(answer),
                () = tokio::time::sleep(LEASE_RENEWED) => {}
            }
            self.renew_lease().await?;
            self.report_again().await;
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

    /// While it is disabled nothing is taken from Salesforce: what changes meanwhile is after the
    /// stored position, and comes when it is enabled again. Whether it was disabled.
    async fn wait_while_disabled(&self, stop: &CancellationToken) -> Result<bool, String> {
        let mut was_disabled = false;
        loop {
            let revision = self.stores.settings.current().await.map_err(in_words)?;
            if !revision.settings.disabled || stop.is_cancelled() {
                return Ok(was_disabled);
            }
            was_disabled = true;
            let why = "mOS Sync is disabled in mOS Settings".to_owned();
            self.report(WorkerState::Paused(why)).await;
            self.renew_lease().await?;
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = tokio::time::sleep(PAUSE) => {}
            }
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
        let reason = match &state {
            WorkerState::Running => None,
            WorkerState::Paused(why) | WorkerState::Failing(why) => Some(why.as_str().into()),
        };
        self.report_for(state, reason).await;
    }

    /// Salesforce does not let it follow the stream.
    async fn report_outage(&self, error: &SourceError) {
        let state = WorkerState::Failing(error.to_string());
        self.report_for(state, Some(error.into())).await;
    }

    async fn report_for(&self, state: WorkerState, reason: Option<Reason>) {
        *self.interrupted() = reason
            .map(|reason| Reasons::of("stream", reason))
            .unwrap_or_default();
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        self.report_again().await;
    }

    /// The stream is well: it is open, or waits for its next window.
    async fn report_window(&self, next: Option<Timestamp>) {
        let next = next.map(|next| next.as_micros());
        self.figure(runtime::figures::NEXT_WINDOW, next);
        self.report(WorkerState::Running).await;
    }

    /// Sets a figure of the reports, or leaves it out.
    fn figure(&self, name: &'static str, value: Option<i64>) {
        let mut figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        match value {
            Some(value) => figures.insert(name, value),
            None => figures.remove(name),
        };
    }

    fn figures(&self) -> BTreeMap<String, i64> {
        let figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        figures
            .iter()
            .map(|(name, value)| ((*name).to_owned(), *value))
            .collect()
    }

    /// Says why an object cannot be polled, or that it can.
    async fn report_poll(&self, object: ObjectKind, failure: Option<String>) {
        self.alarm(object.api_name(), failure).await;
    }

    /// Says what somebody should look at, or that nobody need any more.
    async fn alarm(&self, about: &'static str, what: Option<String>) {
        match what {
            Some(what) => self.alarms().insert(about, what),
            None => self.alarms().remove(about),
        };
        self.report_again().await;
    }

    fn alarms(&self) -> MutexGuard<'_, BTreeMap<&'static str, String>> {
        self.alarms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn interrupted(&self) -> MutexGuard<'_, Reasons> {
        self.interrupted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn out_of_reach(&self) -> BTreeSet<Dependency> {
        let interrupted = self.interrupted();
        let out_of_reach = interrupted.iter();
        out_of_reach
            .filter_map(|(_, reason)| reason.out_of_reach)
            .collect()
    }

    /// How the stream is, and the polls where it is well.
    fn state(&self) -> WorkerState {
        let stream = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let alarms = self.alarms();
        if *stream == WorkerState::Running && !alarms.is_empty() {
            let alarms = alarms.values().cloned().collect::<Vec<_>>();
            return WorkerState::Failing(alarms.join("; "));
        }
        stream.clone()
    }

    /// Says how it is; that nobody hears it is no reason to stop.
    async fn report_again(&self) {
        let report = Report {
            at: self.clock.now(),
            state: self.state(),
            figures: self.figures(),
            out_of_reach: self.out_of_reach(),
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
