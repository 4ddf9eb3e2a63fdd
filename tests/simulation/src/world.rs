//! Everything a script plays with: the org, mOS, the stores, and the four services as processes
//! that can be killed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use domain::ObjectKind;
use domain::unit::{Lane, Stage};
use embedded::{Embedded, Location};
use fake_mos::Mos;
use fake_salesforce::org::Org;
use fake_salesforce::pubsub::EventLog;
use ports::Clock;
use ports::queue::Queue;
use ports::source::Source;
use ports::stores::Stores;
use ports::target::Target;
use runtime::config::Retention;
use runtime::gate::Gates;
use runtime::worker::{Handler, Worker};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::chance::{Chance, Rates};
use crate::clock::SimClock;
use crate::jobs::SimJobs;
use crate::lanes;
use crate::mutants::{Fault, Faulty, Mutant, counts_early, loses_companions};
use crate::queue::{SimQueue, SimTickets, Units};
use crate::rule_mutants::{self, loses_last_words};
use crate::source::SimSource;
use crate::target::SimTarget;

pub(crate) const TOPIC: &str = "/data/ChangeEvents";
pub(crate) const POLL: Duration = Duration::from_secs(60);
const AT_A_TIME: u16 = 3;

/// A service, as one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Listener,
    Filter,
    Permission,
    Loader,
}

impl Service {
    pub(crate) const ALL: [Self; 4] =
        [Self::Listener, Self::Filter, Self::Permission, Self::Loader];
}

struct Process {
    service: Service,
    tasks: Vec<JoinHandle<()>>,
}

pub(crate) struct World {
    pub(crate) clock: Arc<SimClock>,
    pub(crate) chance: Arc<Chance>,
    pub(crate) org: Arc<Org>,
    pub(crate) log: Arc<EventLog>,
    pub(crate) mos: Arc<Mos>,
    pub(crate) embedded: Embedded,
    /// As the services see it.
    queue: Arc<dyn Queue>,
    /// What the listener has published.
    pub(crate) units: Arc<Units>,
    /// As the services see them, from their next start on.
    pub(crate) service_stores: Stores,
    /// As they are.
    pub(crate) stores: Stores,
    source: Arc<dyn Source>,
    /// The same, to say how it is.
    pub(crate) salesforce: SimSource,
    target: Arc<dyn Target>,
    mutant: Mutant,
    /// Objects without change capture.
    pub(crate) polled: BTreeSet<ObjectKind>,
    tracker: TaskTracker,
    processes: Vec<Process>,
    lives: u32,
    /// Whether any service was ended in the middle of its work.
    killed: bool,
    /// Statements with more rows are read by bulk queries.
    pub(crate) bulk_from: u64,
    /// How often formulas are read again.
    pub(crate) refreshed_every: Duration,
    /// How long what is over is kept.
    pub(crate) retention: Retention,
    /// What counts as permission, for the permission service's next start.
    pub(crate) requirements: runtime::holders::Requirements,
}

impl World {
    pub(crate) fn new(seed: u64, rates: Rates, mutant: Mutant) -> Self {
        let clock = SimClock::begin();
        let chance = Chance::of_seed(seed, rates, Arc::clone(&clock));
        let org = Org::new(clock.closure(), seed);
        let bulk_from = chance.bulk_from();
        let log = EventLog::attach(&org);
        let mos = Mos::new(clock.closure(), "key");
        let embedded =
            Embedded::open(Location::Memory, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        let stores = embedded.stores();
        let mut service_stores = stores.clone();
        service_stores.ticket = Arc::new(SimTickets {
            inner: Arc::clone(&stores.ticket),
            chance: Arc::clone(&chance),
        });
        service_stores.jobs = Arc::new(SimJobs::new(
            Arc::clone(&stores.jobs),
            Arc::clone(&chance),
            mutant,
        ));
        rule_mutants::of_services(&mut service_stores, mutant);
        let units = Arc::new(Units::default());
        let queue = Arc::new(SimQueue {
            inner: embedded.queue(),
            chance: Arc::clone(&chance),
            units: Arc::clone(&units),
            acks_first: mutant == Mutant::AcksFirst,
        });
        let salesforce = SimSource::new(Arc::clone(&org), Arc::clone(&log), Arc::clone(&chance));
        let source = Arc::new(salesforce.clone());
        let target = Arc::new(SimTarget {
            mos: Arc::clone(&mos),
            chance: Arc::clone(&chance),
            unguarded: (mutant == Mutant::NoVersionGuard).then(|| AtomicI64::new(1)),
        });
        Self {
            clock,
            chance,
            org,
            log,
            mos,
            embedded,
            queue,
            units,
            service_stores,
            stores,
            source,
            salesforce,
            target,
            mutant,
            polled: BTreeSet::new(),
            tracker: TaskTracker::new(),
            processes: Vec::new(),
            lives: 0,
            killed: false,
            bulk_from,
            refreshed_every: Duration::from_secs(24 * 3_600),
            retention: Retention::default(),
            requirements: runtime::holders::Requirements {
                permission_sets: vec!["mOS_Admin".to_owned(), "mOS_User".to_owned()],
                namespace: String::new(),
                permission_set_licence: None,
                package_namespace: None,
            },
        }
    }

    /// What an administrator has at hand.
    pub(crate) fn operations(&self) -> console::Operations {
        let mut stores = self.stores.clone();
        rule_mutants::of_administrators(&mut stores, self.mutant);
        console::Operations::new(
            stores,
            self.embedded.queue(),
            Arc::clone(&self.clock) as Arc<dyn Clock>,
            Arc::clone(&self.source),
            TOPIC,
        )
        .with_bulk_from(self.bulk_from)
    }

    /// Takes these objects out of the event stream, and lets the listener poll them from its next
    /// start on.
    pub(crate) fn poll(&mut self, objects: BTreeSet<ObjectKind>) {
        for object in ObjectKind::ALL {
            self.log
                .select(object.api_name(), !objects.contains(&object));
        }
        self.polled = objects;
    }

    /// Whether nothing has ever gone wrong in this script. After a kill, events that came again may
    /// be sent again and counted once.
    pub(crate) fn is_faultless(&self) -> bool {
        self.chance.is_faultless() && !self.killed
    }

    pub(crate) fn start_all(&mut self) {
        for service in Service::ALL {
            self.start(service);
        }
    }

    /// Starts a service, unless it runs.
    pub(crate) fn start(&mut self, service: Service) {
        if self
            .processes
            .iter()
            .any(|process| process.service == service)
        {
            return;
        }
        self.lives += 1;
        self.chance.note(format!("{service:?} starts"));
        let tasks = match service {
            Service::Listener => self.listener(),
            Service::Filter => {
                let handler =
                    filter::Filter::new(Arc::clone(&self.source), self.service_stores.clone());
                self.workers(Arc::new(handler))
            }
            Service::Permission => self.permission(),
            Service::Loader => self.loader(),
        };
        self.processes.push(Process { service, tasks });
    }

    /// Kills a service, wherever it is. Says whether it ran.
    pub(crate) async fn kill(&mut self, service: Service) -> bool {
        let Some(place) = self
            .processes
            .iter()
            .position(|process| process.service == service)
        else {
            return false;
        };
        self.chance.note(format!("{service:?} is killed"));
        self.killed = true;
        let process = self.processes.remove(place);
        for task in &process.tasks {
            task.abort();
        }
        for task in process.tasks {
            // Aborted, or already at its end.
            drop(task.await);
        }
        true
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.tracker.spawn(task)
    }

    fn listener(&self) -> Vec<JoinHandle<()>> {
        let listener = listener::Listener::new(
            Arc::clone(&self.source),
            Arc::clone(&self.queue),
            self.service_stores.clone(),
            Arc::clone(&self.clock) as Arc<dyn Clock>,
            TOPIC,
            format!("life {}", self.lives),
        );
        let listener = listener
            .with_bulk_from(self.bulk_from)
            .watching(listener::PermissionSets {
                names: vec!["mOS_Admin".to_owned(), "mOS_User".to_owned()],
                namespace: String::new(),
            })
            .refreshing(self.refreshed_every)
            .keeping(self.retention);
        let listener = Arc::new(listener.polling(listener::Polling {
            objects: self.polled.clone(),
            every: POLL,
        }));
        vec![self.spawn(listener.run(CancellationToken::new()))]
    }

    fn workers(&self, stage: Arc<dyn Handler>) -> Vec<JoinHandle<()>> {
        let outages = runtime::outages::Outages::default();
        let apart = runtime::worker::Apart::default();
        let name = match stage.stage() {
            Stage::Filter => "filter",
            Stage::Permission => "permission",
            Stage::Load => "loader",
        };
        let gate = stage.gate();
        let (handlers, telling) = lanes::of(stage, Arc::clone(&self.chance));
        let workers = [Lane::Live, Lane::Bulk].into_iter().zip(handlers);
        let mut tasks = workers
            .map(|(lane, handler)| {
                let worker = Worker {
                    queue: Arc::clone(&self.queue),
                    stores: self.service_stores.clone(),
                    clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
                    handler,
                    lane,
                    concurrency: AT_A_TIME,
                    in_hand: runtime::in_hand::InHand::default(),
                    outages: outages.clone(),
                    apart: apart.clone(),
                };
                self.spawn(worker.run(CancellationToken::new()))
            })
            .collect::<Vec<_>>();
        tasks.push(self.spawn(telling));
        let (stores, clock) = (self.service_stores.clone(), Arc::clone(&self.clock));
        tasks.push(self.spawn(async move {
            let reasons = || gate.borrow().reasons().and(outages.reasons(clock.now()));
            runtime::interruptions::tell(name, &stores, &*clock, reasons).await;
        }));
        tasks
    }

    /// Who polls permissions.
    pub(crate) fn permission_poll(&self) -> permission::poll::Poll {
        permission::poll::Poll {
            source: Arc::clone(&self.source),
            stores: self.service_stores.clone(),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            requirements: self.requirements.clone(),
            every: POLL,
            gate: permission::poll::closed_gate(),
            expiring: tokio::sync::watch::Sender::new(None),
        }
    }

    fn permission(&self) -> Vec<JoinHandle<()>> {
        let poll = self.permission_poll();
        let stage = permission::Permission::new(
            Arc::clone(&self.source),
            self.service_stores.clone(),
            poll.gate.subscribe(),
        );
        let mut stage: Arc<dyn Handler> = Arc::new(stage);
        let faults: [(Mutant, Fault); 3] = [
            (Mutant::LosesCompanions, loses_companions),
            (Mutant::CountsEarly, counts_early),
            (Mutant::LosesLastWords, loses_last_words),
        ];
        for (_, fault) in faults.into_iter().filter(|(of, _)| *of == self.mutant) {
            stage = Arc::new(Faulty { stage, fault });
        }
        let mut tasks = self.workers(stage);
        tasks.push(self.spawn(poll.run(CancellationToken::new())));
        tasks
    }

    fn loader(&self) -> Vec<JoinHandle<()>> {
        let gates = Arc::new(Gates::default());
        let circuit = Arc::new(loader::Circuit::new(Arc::clone(&gates)));
        let stage = loader::Loader::new(
            Arc::clone(&self.target),
            Arc::clone(&self.source),
            self.service_stores.clone(),
            Arc::clone(&self.clock) as Arc<dyn Clock>,
            Arc::clone(&circuit),
            gates.watch(),
        );
        let mut tasks = self.workers(Arc::new(stage));
        tasks.push(self.spawn(loader::gates::keep(
            gates,
            self.service_stores.clone(),
            Arc::clone(&self.source),
            Arc::clone(&self.clock) as Arc<dyn Clock>,
            permission::poll::too_old(POLL),
            CancellationToken::new(),
        )));
        tasks.push(self.spawn(circuit.run(Arc::clone(&self.target), CancellationToken::new())));
        tasks
    }
}
