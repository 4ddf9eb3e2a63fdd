//! Ending in two stages. The soft token says: take nothing new, finish what runs. The hard token
//! says: stop where you are. Nothing's correctness depends on either: a killed process is right
//! too, this only saves the repeated work.

use std::any::Any;
use std::collections::BTreeMap;
use std::error::Error;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long tasks may finish after the soft token.
pub const SOFT_DEADLINE: Duration = Duration::from_secs(20);
/// How long tasks may react to the hard token before they are dropped at their next await.
pub const HARD_GRACE: Duration = Duration::from_secs(2);

/// Why a process ends other than it should.
#[derive(Debug, thiserror::Error)]
pub enum TaskFailed {
    /// It returned an error.
    #[error("the task {task} failed, so mosync ends")]
    Error {
        /// Its name.
        task: &'static str,
        /// What it returned.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// It panicked; the log has the place.
    #[error("the task {task} panicked, so mosync ends; the log names the place, please report it")]
    Panic {
        /// Its name.
        task: &'static str,
    },
    /// It did not finish in time and was dropped.
    #[error(
        "the task {task} did not finish within the time for an orderly end and was cut off; its work is done again at the next start"
    )]
    CutOff {
        /// Its name.
        task: &'static str,
    },
    /// It blocks its thread and cannot be dropped.
    #[error(
        "the task {task} could not be stopped; the process ends around it, and its work is done again at the next start"
    )]
    Stuck {
        /// Its name.
        task: &'static str,
    },
    /// The system does not let this process listen for signals.
    #[error("this process cannot listen for SIGTERM and SIGINT")]
    Signals(#[source] std::io::Error),
}

/// The tasks of a process and the tokens that end them.
#[derive(Debug)]
pub struct Lifecycle {
    soft: CancellationToken,
    hard: CancellationToken,
    tracker: TaskTracker,
    soft_deadline: Duration,
    ledger: Arc<Mutex<Ledger>>,
    signals: Option<Signals>,
}

#[derive(Debug, Default)]
struct Ledger {
    next: u64,
    running: BTreeMap<u64, &'static str>,
    /// The first failure; later ones follow from it and are only logged.
    failed: Option<TaskFailed>,
}

impl Lifecycle {
    /// For a process: SIGTERM or SIGINT ends it softly, a second one hard. Signals are caught from
    /// here on.
    ///
    /// # Errors
    /// [`TaskFailed::Signals`].
    pub fn with_signals() -> Result<Self, TaskFailed> {
        let signals = Signals::catch().map_err(TaskFailed::Signals)?;
        let mut lifecycle = Self::with_tokens(CancellationToken::new(), CancellationToken::new());
        lifecycle.signals = Some(signals);
        Ok(lifecycle)
    }

    /// Without signals: somebody else holds the tokens.
    #[must_use]
    pub fn with_tokens(soft: CancellationToken, hard: CancellationToken) -> Self {
        Self {
            soft,
            hard,
            tracker: TaskTracker::new(),
            soft_deadline: SOFT_DEADLINE,
            ledger: Arc::default(),
            signals: None,
        }
    }

    /// Another time for tasks to finish than [`SOFT_DEADLINE`].
    #[must_use]
    pub const fn soft_deadline(mut self, soft_deadline: Duration) -> Self {
        self.soft_deadline = soft_deadline;
        self
    }

    /// Cancelled when nothing new is to be taken.
    #[must_use]
    pub const fn soft(&self) -> &CancellationToken {
        &self.soft
    }

    /// Cancelled when everything is to stop at once.
    #[must_use]
    pub const fn hard(&self) -> &CancellationToken {
        &self.hard
    }

    /// Runs a task that [`Self::wait`] waits for. When it panics or returns an error, everything
    /// ends softly and `wait` names it. Returning well is fine at any time.
    pub fn spawn<F, E>(&self, task: &'static str, future: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let number = lock(&self.ledger).enter(task);
        let ledger = Arc::clone(&self.ledger);
        let soft = self.soft.clone();
        let hard = self.hard.clone();
        self.tracker.spawn(async move {
            let ended = tokio::select! {
                biased;
                ended = AssertUnwindSafe(future).catch_unwind() => of_end(task, ended),
                () = grace_after(&hard) => Err(TaskFailed::CutOff { task }),
            };
            if let Err(failure) = &ended {
                tracing::error!(task, cause = cause(failure), "{failure}");
                soft.cancel();
            }
            lock(&ledger).leave(number, ended);
        });
    }

    /// Waits until every task has ended: by itself, or after the soft token, at the latest after
    /// the deadline and the grace that follows the hard token.
    ///
    /// # Errors
    /// The first [`TaskFailed`].
    pub async fn wait(mut self) -> Result<(), TaskFailed> {
        self.tracker.close();
        tokio::select! {
            // In this order, so that a signal after the soft token counts as the second one.
            biased;
            () = self.tracker.wait() => return self.verdict(),
            () = self.soft.cancelled() => {}
            () = self.hard.cancelled() => {}
            () = next_signal(&mut self.signals) => {}
        }
        tracing::info!("ending: nothing new is taken, what runs is finished");
        self.soft.cancel();
        tokio::select! {
            () = self.tracker.wait() => return self.verdict(),
            () = self.hard.cancelled() => {}
            () = tokio::time::sleep(self.soft_deadline) => {}
            () = next_signal(&mut self.signals) => {}
        }
        tracing::warn!(
            "ending at once: what still runs is cut off and done again at the next start"
        );
        self.hard.cancel();
        // Twice the grace: a task that could be dropped has been dropped by then.
        if tokio::time::timeout(HARD_GRACE * 2, self.tracker.wait())
            .await
            .is_err()
        {
            tracing::error!("a task blocks its thread and is left behind");
        }
        self.verdict()
    }

    fn verdict(&self) -> Result<(), TaskFailed> {
        let mut ledger = lock(&self.ledger);
        match ledger.failed.take() {
            Some(failure) => Err(failure),
            None => ledger
                .running
                .values()
                .next()
                .map_or(Ok(()), |task| Err(TaskFailed::Stuck { task })),
        }
    }
}

impl Ledger {
    fn enter(&mut self, task: &'static str) -> u64 {
        let number = self.next;
        self.next += 1;
        self.running.insert(number, task);
        number
    }

    fn leave(&mut self, number: u64, ended: Result<(), TaskFailed>) {
        self.running.remove(&number);
        if let Err(failure) = ended {
            self.failed.get_or_insert(failure);
        }
    }
}

fn lock(ledger: &Mutex<Ledger>) -> std::sync::MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

fn of_end<E: Into<Box<dyn Error + Send + Sync>>>(
    task: &'static str,
    ended: Result<Result<(), E>, Box<dyn Any + Send>>,
) -> Result<(), TaskFailed> {
    match ended {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(TaskFailed::Error {
            task,
            source: error.into(),
        }),
        Err(_panic) => Err(TaskFailed::Panic { task }),
    }
}

fn cause(failure: &TaskFailed) -> Option<String> {
    failure.source().map(ToString::to_string)
}

async fn grace_after(hard: &CancellationToken) {
    hard.cancelled().await;
    tokio::time::sleep(HARD_GRACE).await;
}

async fn next_signal(signals: &mut Option<Signals>) {
    match signals {
        Some(signals) => signals.next().await,
        None => std::future::pending().await,
    }
}

/// SIGTERM and SIGINT of this process.
#[derive(Debug)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn catch() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tokio::sync::oneshot;

    use super::*;

    fn lifecycle() -> Lifecycle {
        Lifecycle::with_tokens(CancellationToken::new(), CancellationToken::new())
    }

    #[tokio::test]
    async fn tasks_that_end_well_end_the_run_well() {
        let lifecycle = lifecycle();
        lifecycle.spawn("one", async { Ok::<(), Infallible>(()) });
        lifecycle.wait().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn the_soft_token_lets_tasks_finish() {
        let lifecycle = lifecycle();
        let soft = lifecycle.soft().clone();
        let (finished, was_finished) = oneshot::channel();
        lifecycle.spawn("worker", {
            let soft = soft.clone();
            async move {
                soft.cancelled().await;
                tokio::time::sleep(Duration::from_secs(19)).await;
                finished.send(()).unwrap();
                Ok::<(), Infallible>(())
            }
        });
        soft.cancel();
        lifecycle.wait().await.unwrap();
        was_finished.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_ends_the_others_and_is_named() {
        let lifecycle = lifecycle();
        let soft = lifecycle.soft().clone();
        lifecycle.spawn("other", async move {
            soft.cancelled().await;
            Ok::<(), Infallible>(())
        });
        lifecycle.spawn("reader", async { Err("the file is gone") });
        let failure = lifecycle.wait().await.unwrap_err();
        assert_eq!(
            failure.to_string(),
            "the task reader failed, so mosync ends"
        );
        assert_eq!(failure.source().unwrap().to_string(), "the file is gone");
    }

    #[tokio::test]
    async fn a_panic_ends_the_others_and_is_named() {
        let lifecycle = lifecycle();
        let soft = lifecycle.soft().clone();
        lifecycle.spawn("other", async move {
            soft.cancelled().await;
            Ok::<(), Infallible>(())
        });
        lifecycle.spawn("reader", async {
            assert!(std::hint::black_box(false), "on purpose");
            Ok::<(), Infallible>(())
        });
        let failure = lifecycle.wait().await.unwrap_err();
        assert!(matches!(failure, TaskFailed::Panic { task: "reader" }));
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_deadline_comes_the_hard_token() {
        let lifecycle = lifecycle().soft_deadline(Duration::from_secs(5));
        let hard = lifecycle.hard().clone();
        lifecycle.soft().cancel();
        let began = tokio::time::Instant::now();
        lifecycle.spawn("heeds it", {
            let hard = hard.clone();
            async move {
                hard.cancelled().await;
                Ok::<(), Infallible>(())
            }
        });
        lifecycle.wait().await.unwrap();
        assert_eq!(began.elapsed().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn who_ignores_the_hard_token_is_cut_off_and_named() {
        let lifecycle = lifecycle();
        lifecycle.hard().cancel();
        lifecycle.spawn("sleeper", std::future::pending::<Result<(), Infallible>>());
        let failure = lifecycle.wait().await.unwrap_err();
        assert!(matches!(failure, TaskFailed::CutOff { task: "sleeper" }));
    }

    #[tokio::test]
    async fn a_signal_ends_softly() {
        let lifecycle = Lifecycle::with_signals().unwrap();
        let soft = lifecycle.soft().clone();
        lifecycle.spawn("worker", async move {
            soft.cancelled().await;
            Ok::<(), Infallible>(())
        });
        terminate_this_process();
        lifecycle.wait().await.unwrap();
    }

    #[tokio::test]
    async fn a_signal_after_the_soft_token_ends_hard() {
        let lifecycle = Lifecycle::with_signals().unwrap();
        let hard = lifecycle.hard().clone();
        lifecycle.spawn("worker", async move {
            hard.cancelled().await;
            Ok::<(), Infallible>(())
        });
        lifecycle.soft().cancel();
        terminate_this_process();
        tokio::time::timeout(SOFT_DEADLINE / 2, lifecycle.wait())
            .await
            .expect("the signal counts, not the deadline")
            .unwrap();
    }

    /// The caller has caught the signal.
    fn terminate_this_process() {
        let killed = std::process::Command::new("kill")
            .args(["-TERM", &std::process::id().to_string()])
            .status()
            .unwrap();
        assert!(killed.success());
    }
}
