//! The settings journal: every revision of the settings, a line each, in a file beside the store.
//!
//! A revision is written down, and on the disk, *before* it is saved in the store. Killed between
//! the two, the store has one revision less than the file. When mosync looks next, the store tells
//! which case it is: if it knows the revision before, the save has not been done, and its line is
//! taken back; if it knows nothing that a person saved, it has been lost, and everything is put
//! back from the file, the last line included, so that no number that was ever in force is given
//! again. The other way round, a revision in the store that the file lacks (somebody saved where
//! the file is not) is written down as soon as it is seen.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::settings::SettingsRevision;
use ports::stores::{SettingsStore, StoreError};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// The file's name where the configuration names a folder only.
pub const FILE: &str = "settings.jsonl";

/// Another process writes a few lines at a time.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
const LOCK_AGAIN: Duration = Duration::from_millis(20);
/// Revisions read from the store at a time.
const PAGE: usize = 100;

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be opened, read or written.
    #[error(
        "the settings journal {} cannot be used ({source}); make room, or correct its rights or console.journal in the configuration",
        .path.display()
    )]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A line that is whole and no entry.
    #[error(
        "line {line} of the settings journal {} cannot be read ({reason}); another version of mosync wrote it, or it is damaged: correct the line, or move the file away and import the settings again",
        .path.display()
    )]
    Line {
        /// Which file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// Why not.
        reason: String,
    },
    /// Another process holds it.
    #[error(
        "the settings journal {} is held by another mosync process for longer than {} s; try again",
        .0.display(),
        LOCK_PATIENCE.as_secs()
    )]
    Held(PathBuf),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    /// A revision that is, or is about to be, in force.
    Saved(Box<SettingsRevision>),
    /// That revision never came into force.
    Void(u64),
}

/// What was needed to have file and store say the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reconciled {
    /// The store had lost its settings: the revision that is in force again.
    pub restored: Option<u64>,
    /// Revisions that were written down.
    pub written: usize,
    /// Revisions that were taken back.
    pub taken_back: usize,
}

/// The file, opened for each use.
#[derive(Debug, Clone)]
pub struct Journal {
    path: PathBuf,
    /// How long the file was, and what was in force, when both last said the same.
    in_step: Arc<Mutex<Option<(u64, SettingsRevision)>>>,
}

impl Journal {
    /// Touches nothing yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            in_step: Arc::default(),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Has file and store say the same: what the store lacks because it was lost is put back, what
    /// the file lacks is written down.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn reconcile(&self, store: &dyn SettingsStore) -> Result<Reconciled, JournalError> {
        // Nobody changes lines, they are only added: as long as nothing is new, nothing is read.
        let current = store.current().await?;
        if self
            .length()
            .is_some_and(|length| self.knows(length, &current))
        {
            return Ok(Reconciled::default());
        }
        let mut turn = self.take_turn().await?;
        let done = turn.reconcile(store).await?;
        // What the file says, not what the store says by now: it may have been lost since. The file
        // is still locked, so what somebody adds later makes it longer.
        if let (Some(length), Some(newest)) = (self.length(), turn.newest()) {
            *self.in_step() = Some((length, newest.clone()));
        }
        drop(turn);
        Ok(done)
    }

    fn length(&self) -> Option<u64> {
        let known = std::fs::metadata(&self.path).ok()?;
        Some(known.len())
    }

    fn knows(&self, length: u64, current: &SettingsRevision) -> bool {
        let in_step = self.in_step();
        let known = in_step.as_ref();
        known.is_some_and(|(known, revision)| *known == length && revision == current)
    }

    fn in_step(&self) -> MutexGuard<'_, Option<(u64, SettingsRevision)>> {
        self.in_step.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file for this process alone, until the turn is dropped.
    pub(crate) async fn take_turn(&self) -> Result<Turn, JournalError> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.path)
            .map_err(|source| self.file(source))?;
        let deadline = Instant::now() + LOCK_PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(source)) => return Err(self.file(source)),
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                    return Err(JournalError::Held(self.path.clone()));
                }
                Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_AGAIN).await,
            }
        }
        let mut turn = Turn {
            journal: self.clone(),
            file,
            kept: BTreeMap::new(),
        };
        turn.read()?;
        Ok(turn)
    }

    fn file(&self, source: std::io::Error) -> JournalError {
        JournalError::File {
            path: self.path.clone(),
            source,
        }
    }
}

/// The locked file, and what it says.
#[derive(Debug)]
pub(crate) struct Turn {
    journal: Journal,
    file: File,
    kept: BTreeMap<u64, SettingsRevision>,
}

impl Turn {
    /// Reads every line. A last one without its end was being written when the process was killed:
    /// nobody was told that it is saved.
    fn read(&mut self) -> Result<(), JournalError> {
        let mut bytes = Vec::new();
        let read = self
            .file
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.file.read_to_end(&mut bytes));
        read.map_err(|source| self.journal.file(source))?;
        let whole = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        if whole < bytes.len() {
            tracing::warn!(
                file = %self.journal.path.display(),
                "the last line of the settings journal was only half written and is dropped"
            );
            let length = u64::try_from(whole).unwrap_or(u64::MAX);
            let cut = self
                .file
                .set_len(length)
                .and_then(|()| self.file.sync_all());
            cut.map_err(|source| self.journal.file(source))?;
        }
        let lines = bytes.get(..whole).unwrap_or_default();
        for (line, text) in (1..).zip(lines.split(|byte| *byte == b'\n')) {
            if text.is_empty() {
                continue;
            }
            match serde_json::from_slice(text) {
                Ok(Entry::Saved(revision)) => {
                    self.kept.insert(revision.revision, *revision);
                }
                Ok(Entry::Void(number)) => {
                    self.kept.remove(&number);
                }
                Err(error) => {
                    return Err(JournalError::Line {
                        path: self.journal.path.clone(),
                        line,
                        reason: error.to_string(),
                    });
                }
            }
        }
        Ok(())
    }

    /// The revision in force, as far as the file knows.
    fn newest(&self) -> Option<&SettingsRevision> {
        self.kept.values().next_back()
    }

    /// Writes a line to the disk.
    fn append(&mut self, entry: &Entry) -> Result<(), JournalError> {
        let written = serde_json::to_vec(entry)
            .map_err(std::io::Error::other)
            .and_then(|mut line| {
                line.push(b'\n');
                self.file.write_all(&line)?;
                self.file.sync_all()
            });
        written.map_err(|source| self.journal.file(source))
    }

    /// Writes a revision down, before it is saved.
    pub(crate) fn write_down(&mut self, revision: &SettingsRevision) -> Result<(), JournalError> {
        self.append(&Entry::Saved(Box::new(revision.clone())))?;
        self.kept.insert(revision.revision, revision.clone());
        Ok(())
    }

    /// Takes a revision back that the store has refused.
    pub(crate) fn take_back(&mut self, revision: u64) -> Result<(), JournalError> {
        self.append(&Entry::Void(revision))?;
        self.kept.remove(&revision);
        Ok(())
    }

    /// See [`Journal::reconcile`].
    pub(crate) async fn reconcile(
        &mut self,
        store: &dyn SettingsStore,
    ) -> Result<Reconciled, JournalError> {
        let mut reconciled = Reconciled::default();
        let current = store.current().await?;
        let known = self.kept.get(&current.revision) == Some(&current);
        if !known && !self.kept.is_empty() {
            let kept = self.kept.values().cloned().collect::<Vec<_>>();
            match store.restore(&kept).await {
                Ok(()) => {
                    reconciled.restored = kept.last().map(|last| last.revision);
                    return Ok(reconciled);
                }
                // Somebody has saved since, elsewhere: the store is right.
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let beyond = self.kept.range(current.revision + 1..);
        for number in beyond.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.take_back(number)?;
            reconciled.taken_back += 1;
        }
        for revision in self.missing(store).await? {
            self.write_down(&revision)?;
            reconciled.written += 1;
        }
        Ok(reconciled)
    }

    /// What the store has after the newest revision that both have, oldest first.
    async fn missing(
        &self,
        store: &dyn SettingsStore,
    ) -> Result<Vec<SettingsRevision>, JournalError> {
        let mut missing = Vec::new();
        let mut before = None;
        'pages: loop {
            let page = store.history(before, PAGE).await?;
            if page.is_empty() {
                break;
            }
            for revision in page {
                if self.kept.get(&revision.revision) == Some(&revision) {
                    break 'pages;
                }
                before = Some(revision.revision);
                missing.push(revision);
            }
        }
        missing.reverse();
        Ok(missing)
    }
}
