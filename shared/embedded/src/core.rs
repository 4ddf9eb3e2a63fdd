//! The database and the one way to it: steps, each atomic, run in the order they were submitted,
//! several to a commit.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;

use domain::Timestamp;
use domain::unit::QueueName;
use ports::Clock;
use ports::queue::LinkLost;
use ports::stores::StoreError;
use rusqlite::Connection;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Notify, oneshot};

use crate::{Location, schema};

/// Steps that share one commit, at most.
const MAX_STEPS_PER_COMMIT: usize = 256;

/// Why the database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error(
        "the folder {} is in use by another mosync process; stop that one, or give this one a folder of its own (with RabbitMQ and Redis, mosync runs as several processes)",
        .0.display()
    )]
    InUse(PathBuf),
    /// The folder cannot be made, read or written.
    #[error(
        "the folder {} cannot be used; make sure that mosync may write there",
        .folder.display()
    )]
    Folder {
        /// Which folder.
        folder: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A newer version wrote it.
    #[error(
        "the database has shape {found}, this version of mosync knows shape {known} at most; run the newer version again"
    )]
    Newer {
        /// The shape on disk.
        found: i64,
        /// The newest shape this version knows.
        known: i64,
    },
    /// A version from before the first release wrote it.
    #[error(
        "the database has shape {found}, which was in use before the first release; move its folder away, start again with an empty one, and everything is loaded anew"
    )]
    Older {
        /// The shape on disk.
        found: i64,
    },
    /// `SQLite` refuses it.
    #[error("the database cannot be opened; if its file is damaged, restore it from a backup")]
    Database(#[from] rusqlite::Error),
    /// The writer thread could not be started.
    #[error("the system refused a thread for the database")]
    Thread(#[source] std::io::Error),
}

/// Why a step was not done: nothing of it is in the database.
#[derive(Debug, Clone)]
pub(crate) struct Fault(pub(crate) StoreError);

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        let unreadable = matches!(
            error,
            rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..)
        );
        let words = error.to_string();
        Self(if unreadable {
            StoreError::Corrupt(words)
        } else {
            StoreError::Unreachable(words)
        })
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self(StoreError::Corrupt(error.to_string()))
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self(error)
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        fault.0
    }
}

impl From<Fault> for LinkLost {
    fn from(fault: Fault) -> Self {
        Self(fault.0.to_string())
    }
}

/// What a step works on.
pub(crate) struct Tx<'db> {
    /// The database, inside a transaction.
    pub(crate) db: &'db Connection,
    /// The time at which the step runs.
    pub(crate) now: Timestamp,
    wake: RefCell<BTreeSet<String>>,
}

impl Tx<'_> {
    /// Wakes the queue's subscriptions once the step is committed.
    pub(crate) fn wake(&self, queue: &str) {
        self.wake.borrow_mut().insert(queue.to_owned());
    }
}

type Answer = Box<dyn FnOnce(Option<Fault>) + Send>;
type Step = Box<dyn FnOnce(&Tx<'_>) -> (bool, Answer) + Send>;

/// The answer to a submitted step.
pub(crate) struct Pending<T>(oneshot::Receiver<Result<T, Fault>>);

impl<T> Pending<T> {
    /// Waits for the commit. Can be called again when it was cancelled, not when it has answered.
    pub(crate) async fn answer(&mut self) -> Result<T, Fault> {
        match (&mut self.0).await {
            Ok(answer) => answer,
            Err(_closed) => Err(Fault(StoreError::Unreachable(
                "the embedded database did not run the step".to_owned(),
            ))),
        }
    }
}

/// The open database.
pub(crate) struct Core {
    location: Location,
    shared: Arc<Shared>,
    backend: Mutex<Option<Backend>>,
    /// Raised with every restart; a subscription of an earlier epoch has lost its link.
    epoch: AtomicI64,
    last_link: AtomicI64,
}

/// What steps need besides the database.
struct Shared {
    clock: Arc<dyn Clock>,
    arrivals: BTreeMap<&'static str, Arc<Notify>>,
    /// The time of the last ticket in microseconds; 0 before the first since it was opened.
    last_ticket: Arc<AtomicI64>,
    #[cfg(test)]
    commits: AtomicI64,
}

enum Backend {
    /// Steps run on the caller's thread.
    Inline(Connection),
    /// Steps run on the writer thread, which ends when the sender is dropped.
    Writer {
        steps: mpsc::Sender<Step>,
        thread: JoinHandle<()>,
        _lock: File,
    },
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core")
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}

impl Core {
    pub(crate) fn open(location: Location, clock: Arc<dyn Clock>) -> Result<Arc<Self>, OpenError> {
        let shared = Arc::new(Shared {
            clock,
            arrivals: QueueName::ALL
                .into_iter()
                .map(|queue| (queue.name(), Arc::default()))
                .collect(),
            last_ticket: Arc::default(),
            #[cfg(test)]
            commits: AtomicI64::default(),
        });
        let backend = Backend::open(&location, &shared)?;
        Ok(Arc::new(Self {
            location,
            shared,
            backend: Mutex::new(Some(backend)),
            epoch: AtomicI64::new(0),
            last_link: AtomicI64::new(0),
        }))
    }

    pub(crate) fn restart(&self) -> Result<(), OpenError> {
        let mut backend = self.backend();
        self.epoch.fetch_add(1, Ordering::SeqCst);
        let reopened = match backend.take() {
            Some(Backend::Inline(db)) => {
                db.execute_batch(TAKE_BACK)?;
                Backend::Inline(db)
            }
            closing => {
                if let Some(closing) = closing {
                    closing.close();
                }
                Backend::open(&self.location, &self.shared)?
            }
        };
        *backend = Some(reopened);
        drop(backend);
        self.shared.last_ticket.store(0, Ordering::SeqCst);
        for arrivals in self.shared.arrivals.values() {
            arrivals.notify_waiters();
        }
        Ok(())
    }

    /// How many transactions there were.
    #[cfg(test)]
    pub(crate) fn commits(&self) -> i64 {
        self.shared.commits.load(Ordering::SeqCst)
    }

    /// The time by the clock given at opening.
    pub(crate) fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Told whenever there may be something new for the queue's subscriptions.
    pub(crate) fn arrivals(&self, queue: QueueName) -> Arc<Notify> {
        self.shared
            .arrivals
            .get(queue.name())
            .cloned()
            .unwrap_or_default()
    }

    pub(crate) fn epoch(&self) -> i64 {
        self.epoch.load(Ordering::SeqCst)
    }

    /// The number of a new subscription.
    pub(crate) fn new_link(&self) -> i64 {
        self.last_link.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(crate) fn last_ticket(&self) -> Arc<AtomicI64> {
        Arc::clone(&self.shared.last_ticket)
    }

    /// Runs a step and waits until it is committed.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        step: impl FnOnce(&Tx<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        self.submit(step).answer().await
    }

    /// Submits a step. It is done whether or not anybody waits for the answer, after all steps
    /// submitted before.
    pub(crate) fn submit<T: Send + 'static>(
        &self,
        step: impl FnOnce(&Tx<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Pending<T> {
        let (sender, receiver) = oneshot::channel();
        let step: Step = Box::new(move |tx| {
            let result = step(tx);
            let keep = result.is_ok();
            let answer: Answer = Box::new(move |commit_fault| {
                // Nobody may be waiting any more; the step is done all the same.
                drop(sender.send(match commit_fault {
                    Some(fault) => Err(fault),
                    None => result,
                }));
            });
            (keep, answer)
        });
        let mut backend = self.backend();
        let done = match backend.as_mut() {
            Some(Backend::Inline(db)) => Some(run_together(db, &self.shared, vec![step])),
            Some(Backend::Writer { steps, .. }) => {
                // A writer that has ended drops the step, and the waiting side is told so.
                drop(steps.send(step));
                None
            }
            None => None,
        };
        drop(backend);
        if let Some(done) = done {
            done.tell(&self.shared);
        }
        Pending(receiver)
    }

    fn backend(&self) -> MutexGuard<'_, Option<Backend>> {
        self.backend.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if let Some(backend) = self.backend().take() {
            backend.close();
        }
    }
}

impl Backend {
    fn open(location: &Location, shared: &Arc<Shared>) -> Result<Self, OpenError> {
        match location {
            Location::Memory => {
                let db = Connection::open_in_memory()?;
                prepare(&db)?;
                Ok(Self::Inline(db))
            }
            Location::File(folder) => {
                let lock = lock(folder)?;
                let db = Connection::open(folder.join("mosync.db"))?;
                db.pragma_update(None, "journal_mode", "WAL")?;
                db.pragma_update(None, "synchronous", "FULL")?;
                prepare(&db)?;
                let (steps, submitted) = mpsc::channel();
                let shared = Arc::clone(shared);
                let thread = std::thread::Builder::new()
                    .name("embedded".to_owned())
                    .spawn(move || write(db, &shared, &submitted))
                    .map_err(OpenError::Thread)?;
                Ok(Self::Writer {
                    steps,
                    thread,
                    _lock: lock,
                })
            }
        }
    }

    /// Finishes what was submitted, then closes.
    fn close(self) {
        if let Self::Writer {
            steps,
            thread,
            _lock,
        } = self
        {
            drop(steps);
            // A writer that panicked has answered nobody, so nobody relies on it.
            drop(thread.join());
        }
    }
}

/// Locks the folder against other processes; the lock ends with the process, however it ends.
fn lock(folder: &Path) -> Result<File, OpenError> {
    let unusable = |source| OpenError::Folder {
        folder: folder.to_owned(),
        source,
    };
    std::fs::create_dir_all(folder).map_err(unusable)?;
    let file = File::options()
        .create(true)
        .write(true)
        .truncate(false)
        .open(folder.join("mosync.lock"))
        .map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(folder.to_owned())),
        Err(TryLockError::Error(source)) => Err(unusable(source)),
    }
}

/// Everything in hand is ready again.
const TAKE_BACK: &str = "UPDATE messages SET link = NULL, attempt = attempt + 1,
     returned = returned + 1 WHERE link IS NOT NULL";

fn prepare(db: &Connection) -> Result<(), OpenError> {
    db.set_prepared_statement_cache_capacity(128);
    let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > schema::VERSION {
        return Err(OpenError::Newer {
            found,
            known: schema::VERSION,
        });
    }
    if (1..schema::VERSION).contains(&found) {
        return Err(OpenError::Older { found });
    }
    if found == 0 {
        let begin = db.unchecked_transaction()?;
        begin.execute_batch(schema::TABLES)?;
        for queue in QueueName::ALL {
            begin.execute("INSERT INTO queues (name) VALUES (?1)", [queue.name()])?;
        }
        begin.pragma_update(None, "user_version", schema::VERSION)?;
        begin.commit()?;
    }
    db.execute_batch(TAKE_BACK)?;
    Ok(())
}

/// The writer thread: takes whatever has been submitted while the last commit was written.
fn write(mut db: Connection, shared: &Shared, submitted: &mpsc::Receiver<Step>) {
    while let Ok(first) = submitted.recv() {
        let mut steps = vec![first];
        steps.extend(submitted.try_iter().take(MAX_STEPS_PER_COMMIT - 1));
        run_together(&mut db, shared, steps).tell(shared);
    }
}

/// What is to be told once the database is free again.
struct Done {
    answers: Vec<Answer>,
    wake: BTreeSet<String>,
    fault: Option<Fault>,
}

impl Done {
    fn tell(self, shared: &Shared) {
        for answer in self.answers {
            answer(self.fault.clone());
        }
        for queue in &self.wake {
            if let Some(arrivals) = shared.arrivals.get(queue.as_str()) {
                arrivals.notify_waiters();
            }
        }
    }
}

/// Runs steps in one transaction. A step that fails leaves nothing behind and harms no other.
fn run_together(db: &mut Connection, shared: &Shared, steps: Vec<Step>) -> Done {
    let mut answers = Vec::with_capacity(steps.len());
    let tx = Tx {
        db,
        now: shared.clock.now(),
        wake: RefCell::default(),
    };
    #[cfg(test)]
    shared.commits.fetch_add(1, Ordering::SeqCst);
    let mut outcome = sql(tx.db, "BEGIN");
    for step in steps {
        outcome = outcome.and_then(|()| sql(tx.db, "SAVEPOINT step"));
        if outcome.is_err() {
            // Steps that are not run are dropped, and whoever waits for them is told so.
            break;
        }
        let (keep, answer) = step(&tx);
        answers.push(answer);
        if !keep {
            outcome = sql(tx.db, "ROLLBACK TO step");
        }
        outcome = outcome.and_then(|()| sql(tx.db, "RELEASE step"));
    }
    outcome = outcome.and_then(|()| sql(tx.db, "COMMIT"));
    if outcome.is_err() && !tx.db.is_autocommit() {
        // What made the transaction fail is what gets reported.
        drop(sql(tx.db, "ROLLBACK"));
    }
    Done {
        answers,
        wake: tx.wake.into_inner(),
        fault: outcome.err().map(Fault::from),
    }
}

fn sql(db: &Connection, statement: &str) -> rusqlite::Result<()> {
    db.prepare_cached(statement)?.execute([]).map(drop)
}

/// A value as a stored document.
pub(crate) fn to_doc<T: Serialize>(value: &T) -> Result<String, Fault> {
    Ok(serde_json::to_string(value)?)
}

/// A stored document as a value.
pub(crate) fn of_doc<T: DeserializeOwned>(doc: &str) -> Result<T, Fault> {
    Ok(serde_json::from_str(doc)?)
}

/// A number as `SQLite` keeps it.
pub(crate) fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number that `SQLite` kept.
pub(crate) fn of_sql(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// How many rows a caller wants, as `SQLite` takes it.
pub(crate) fn limit(max: usize) -> i64 {
    i64::try_from(max).unwrap_or(i64::MAX)
}
