//! From adapters to running services.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use domain::unit::Lane;
use ports::source::Source;
use ports::target::Target;
use runtime::calls::Counting;
use runtime::condition::Condition;
use runtime::config::Config;
use runtime::expiring::Expiring;
use runtime::gate::{Gate, Gates};
use runtime::health::Readiness;
use runtime::holders::Requirements;
use runtime::in_hand::InHand;
use runtime::lifecycle::Lifecycle;
use runtime::outages::Outages;
use runtime::worker::{Handler, Worker};
use tokio::sync::watch;

use crate::Adapters;

/// Units in hand per lane and worker.
const CONCURRENCY: u16 = 8;
/// How often a worker says how it is.
const REPORT_EVERY: Duration = Duration::from_secs(2);

/// A service that a process can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Salesforce to units.
    Listener,
    /// The opportunity filter.
    Filter,
    /// Permissions and companions.
    Permission,
    /// Units to mOS.
    Loader,
}

impl Service {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Listener, Self::Filter, Self::Permission, Self::Loader];

    /// Its name in reports and readiness.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Listener => "listener",
            Self::Filter => "filter",
            Self::Permission => "permission",
            Self::Loader => "loader",
        }
    }
}

/// Counts the API requests through a source, for the share of the org's allowance.
pub fn count_calls(adapters: &Adapters, source: &Arc<dyn Source>, lifecycle: &Lifecycle) {
    let Adapters { stores, clock, .. } = adapters.clone();
    let counting = Counting::new(Arc::clone(source), stores.calls, clock);
    let stop = lifecycle.soft().clone();
    lifecycle.spawn("API requests", async move {
        counting.keep(stop).await;
        Ok::<_, Infallible>(())
    });
}

/// Starts a service within the process's lifecycle.
pub fn start(
    service: Service,
    config: &Config,
    adapters: &Adapters,
    source: &Arc<dyn Source>,
    target: &Arc<dyn Target>,
    lifecycle: &Lifecycle,
    readiness: &Readiness,
) {
    let Adapters {
        queue,
        stores,
        clock,
        ..
    } = adapters.clone();
    let source = Arc::clone(source);
    let stop = lifecycle.soft().clone();
    match service {
        Service::Listener => {
            // Two processes never have the same id at the same time on one machine; the time tells
            // machines and restarts apart.
            let holder = format!(
                "listener-{}-{}",
                std::process::id(),
                clock.now().as_micros()
            );
            let listener = listener::Listener::new(
                source,
                queue,
                stores,
                clock,
                &config.salesforce.topic,
                holder,
            );
            let listener = listener
                .with_bulk_from(config.salesforce.bulk_from)
                .keeping(config.retention)
                .refreshing(config.salesforce.refreshed_every)
                .watching(listener::PermissionSets {
                    names: config.salesforce.permission_sets.clone(),
                    namespace: config.salesforce.namespace.clone(),
                })
                .polling(listener::Polling {
                    objects: config.salesforce.polled_objects.clone(),
                    every: config.salesforce.polled_every,
                });
            let listener = Arc::new(listener);
            lifecycle.spawn("listener", async move {
                listener.run(stop).await;
                Ok::<_, Infallible>(())
            });
            readiness.set(service.name(), Ok(()));
        }
        Service::Filter => {
            let handler = Arc::new(filter::Filter::new(source, stores));
            run_worker(service, handler, adapters, lifecycle, readiness, None);
        }
        Service::Permission => {
            let gate = permission::poll::closed_gate();
            let handler = Arc::new(permission::Permission::new(
                Arc::clone(&source),
                stores.clone(),
                gate.subscribe(),
            ));
            let expiring = watch::Sender::new(None);
            let soon = expiring.subscribe();
            let poll = permission::poll::Poll {
                source,
                stores,
                clock,
                requirements: requirements(config),
                every: config.permissions.poll,
                gate,
                expiring,
            };
            lifecycle.spawn("permission poll", async move {
                poll.run(stop).await;
                Ok::<_, Infallible>(())
            });
            run_worker(service, handler, adapters, lifecycle, readiness, Some(soon));
        }
        Service::Loader => {
            let permissions_for = permission::poll::too_old(config.permissions.poll);
            let max_age = config.permissions.poll + config.mos.request_timeout / 2;
            let gates = Arc::new(Gates::default());
            let circuit = Arc::new(loader::Circuit::new(Arc::clone(&gates)));
            let handler = loader::Loader::new(
                Arc::clone(target),
                Arc::clone(&source),
                stores.clone(),
                Arc::clone(&clock),
                Arc::clone(&circuit),
                gates.watch(),
            );
            let handler = Arc::new(handler.max_age(max_age));
            let (probing, probe_stop) = (Arc::clone(target), stop.clone());
            lifecycle.spawn("mOS circuit", async move {
                circuit.run(probing, probe_stop).await;
                Ok::<_, Infallible>(())
            });
            lifecycle.spawn("loader gates", async move {
                loader::gates::keep(gates, stores, source, clock, permissions_for, stop).await;
                Ok::<_, Infallible>(())
            });
            run_worker(service, handler, adapters, lifecycle, readiness, None);
        }
    }
}

fn requirements(config: &Config) -> Requirements {
    let some = |text: &String| (!text.is_empty()).then(|| text.clone());
    Requirements {
        permission_sets: config.salesforce.permission_sets.clone(),
        namespace: config.salesforce.namespace.clone(),
        permission_set_licence: some(&config.salesforce.permission_set_licence),
        package_namespace: some(&config.salesforce.package_namespace),
    }
}

/// Whose permission runs out soon, told with the report of who polls permissions.
type Soon = watch::Receiver<Option<Expiring>>;

/// Runs a handler on both lanes, and reports how it is.
fn run_worker(
    service: Service,
    handler: Arc<dyn Handler>,
    adapters: &Adapters,
    lifecycle: &Lifecycle,
    readiness: &Readiness,
    soon: Option<Soon>,
) {
    let Adapters {
        queue,
        stores,
        clock,
        apart,
        ..
    } = adapters.clone();
    let gate = handler.gate();
    let (in_hand, outages) = (InHand::default(), Outages::default());
    for lane in [Lane::Live, Lane::Bulk] {
        let worker = Worker {
            queue: Arc::clone(&queue),
            stores: stores.clone(),
            clock: Arc::clone(&clock),
            handler: Arc::clone(&handler),
            lane,
            concurrency: CONCURRENCY,
            in_hand: in_hand.clone(),
            outages: outages.clone(),
            apart: apart.clone(),
        };
        let stop = lifecycle.soft().clone();
        lifecycle.spawn(service.name(), async move {
            worker.run(stop).await;
            Ok::<_, Infallible>(())
        });
    }
    let adapters = adapters.clone();
    let (stop, readiness) = (lifecycle.soft().clone(), readiness.clone());
    lifecycle.spawn(service.name(), async move {
        let Adapters { stores, clock, .. } = &adapters;
        let condition = Condition {
            gate: gate.clone(),
            outages,
            in_hand,
            soon,
        };
        let reasons = || condition.reasons(clock.now());
        let told = runtime::interruptions::tell(service.name(), stores, &**clock, reasons);
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = report(service, &adapters, gate, &condition, &readiness) => {}
            () = told => {}
        }
        Ok::<_, Infallible>(())
    });
}

/// Says how a worker is, at every change of its gate and every few seconds.
async fn report(
    service: Service,
    adapters: &Adapters,
    mut gate: watch::Receiver<Gate>,
    condition: &Condition,
    readiness: &Readiness,
) {
    loop {
        gate.mark_unchanged();
        let report = condition.report(adapters.clock.now());
        // Readiness asks whether the worker reaches what it works with; a pause is not a fault.
        let reached = adapters
            .stores
            .reports
            .report(service.name(), &report)
            .await
            .map_err(|error| error.to_string());
        readiness.set(service.name(), reached);
        tokio::select! {
            biased;
            changed = gate.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(REPORT_EVERY) => {}
        }
    }
}
