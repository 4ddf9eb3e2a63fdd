//! The circuit to mOS: after repeated failures nothing more is sent but a probe, until mOS answers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ports::stores::Dependency;
use ports::target::{Target, TargetError};
use runtime::gate::Gates;
use runtime::reasons::Reason;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const GATE: &str = "mos";
/// Failures in a row that open the circuit.
const FAILURES: u32 = 3;
const FIRST_PROBE: Duration = Duration::from_secs(1);
const LAST_PROBE: Duration = Duration::from_secs(30);
/// How long a unit waits that met an outage; the circuit decides when anything is sent at all.
pub(crate) const UNIT_WAIT: Duration = Duration::from_secs(5);

/// Watches requests and closes the loader's gate while mOS does not answer, refuses the key or asks
/// for a pause.
#[derive(Debug)]
pub struct Circuit {
    gates: Arc<Gates>,
    state: Mutex<State>,
    opened: Notify,
}

#[derive(Debug)]
enum State {
    Closed { failures: u32 },
    Pausing { until: Instant },
    Probing,
}

/// Why the gate is closed.
fn reason(trouble: &TargetError) -> Reason {
    Reason {
        why: trouble.to_string(),
        out_of_reach: matches!(trouble, TargetError::Unreachable(_)).then_some(Dependency::Mos),
    }
}

impl Circuit {
    /// Closes and opens these gates.
    #[must_use]
    pub fn new(gates: Arc<Gates>) -> Self {
        Self {
            gates,
            state: Mutex::new(State::Closed { failures: 0 }),
            opened: Notify::new(),
        }
    }

    /// Whether the settings forbid to send anything more, whatever is in hand.
    pub(crate) fn is_stopped(&self) -> bool {
        crate::gates::closed_by_settings(&self.gates)
    }

    /// A request was answered.
    pub fn succeeded(&self) {
        let mut state = self.lock();
        if let State::Closed { failures } = &mut *state {
            *failures = 0;
        }
    }

    /// A request failed as a whole: how long its unit waits.
    pub fn failed(&self, trouble: &TargetError) -> Duration {
        let mut state = self.lock();
        match trouble {
            TargetError::Throttled(pause) => {
                *state = State::Pausing {
                    until: Instant::now() + *pause,
                };
                self.gates.close(GATE, reason(trouble));
                self.opened.notify_one();
                return *pause;
            }
            TargetError::Forbidden(_) => self.probe(&mut state, trouble),
            TargetError::Unreachable(_) | TargetError::TooLarge | TargetError::Unprocessable(_) => {
                match &mut *state {
                    State::Closed { failures } => {
                        *failures += 1;
                        if *failures >= FAILURES {
                            self.probe(&mut state, trouble);
                        }
                    }
                    State::Pausing { .. } | State::Probing => {}
                }
            }
        }
        UNIT_WAIT
    }

    fn probe(&self, state: &mut State, trouble: &TargetError) {
        *state = State::Probing;
        self.gates.close(GATE, reason(trouble));
        self.opened.notify_one();
    }

    /// Ends pauses and probes mOS, until `stop`.
    pub async fn run(self: Arc<Self>, target: Arc<dyn Target>, stop: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.opened.notified() => {}
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.until_mos_answers(&*target) => {}
            }
        }
    }

    async fn until_mos_answers(&self, target: &dyn Target) {
        let mut pause = FIRST_PROBE;
        loop {
            let until = match &*self.lock() {
                State::Closed { .. } => return,
                State::Pausing { until } => *until,
                State::Probing => Instant::now() + pause,
            };
            tokio::time::sleep_until(until).await;
            match target.probe().await {
                Ok(()) => {
                    *self.lock() = State::Closed { failures: 0 };
                    self.gates.open(GATE);
                    tracing::info!("mOS answers again");
                    return;
                }
                Err(TargetError::Throttled(pause)) => {
                    *self.lock() = State::Pausing {
                        until: Instant::now() + pause,
                    }
                }
                Err(trouble) => {
                    self.gates.close(GATE, reason(&trouble));
                    *self.lock() = State::Probing;
                }
            }
            pause = (pause * 2).min(LAST_PROBE);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
