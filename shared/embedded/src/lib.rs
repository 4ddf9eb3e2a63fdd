//! Queue and stores in one `SQLite` database: mosync on one machine without a broker, the first
//! five minutes, and the core of the simulation. It does what the ports promise and nothing else;
//! whatever `RabbitMQ` or Redis can do beyond that has no place here.
//!
//! In a folder it is durable: write-ahead log, an fsync for every commit, and one writer thread
//! that puts everything submitted meanwhile into one commit. In memory every step runs at once on
//! the caller's own thread, so that nothing but the given clock and tokio's timers decides what
//! happens when.

mod calls;
mod core;
mod jobs;
mod last_words;
mod log;
mod notes;
mod outbox;
mod parked;
mod queue;
mod schema;
mod sessions;
mod stores;
#[cfg(test)]
mod tests;
mod tokens;
mod trials;

use std::path::PathBuf;
use std::sync::Arc;

use domain::unit::QueueName;
use ports::Clock;
use ports::queue::{LinkLost, Queue};
use ports::stores::Stores;

pub use crate::core::OpenError;
pub use crate::queue::{MAX_READY_BULK, MAX_READY_LIVE};

use crate::core::Core;

/// Where the database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// In this folder, which is made when it is missing. One process at a time.
    File(PathBuf),
    /// Nowhere: it is gone with the last handle.
    Memory,
}

/// One database with its queues and stores. Clones are handles to the same one; it is closed when
/// the last handle, subscription and delivery are gone.
#[derive(Debug, Clone)]
pub struct Embedded {
    core: Arc<Core>,
}

impl Embedded {
    /// Opens the database, or makes it. Messages that were in hand when it was last closed are
    /// ready again, attempt + 1.
    ///
    /// # Errors
    /// [`OpenError`]: the folder is in use by another process, cannot be used, or was written by a
    /// newer mosync.
    pub fn open(location: Location, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        Ok(Self {
            core: Core::open(location, clock)?,
        })
    }

    /// The queues.
    #[must_use]
    pub fn queue(&self) -> Arc<dyn Queue> {
        Arc::new(queue::Tables(Arc::clone(&self.core)))
    }

    /// The stores.
    #[must_use]
    pub fn stores(&self) -> Stores {
        let tables = || Arc::new(stores::Tables(Arc::clone(&self.core)));
        Stores {
            position: tables(),
            ticket: tables(),
            settings: tables(),
            permissions: tables(),
            jobs: tables(),
            parked: tables(),
            last_words: tables(),
            trials: tables(),
            log: tables(),
            lease: tables(),
            reports: tables(),
            notes: tables(),
            calls: tables(),
            sessions: tables(),
            tokens: tables(),
            outbox: tables(),
        }
    }

    /// Does what a broker's restart does: every subscription loses its link, everything unsettled
    /// is delivered again, attempt + 1. A database in a folder is closed and opened anew. For
    /// tests and simulated faults.
    ///
    /// # Errors
    /// [`OpenError`] when the folder cannot be opened again.
    pub fn restart(&self) -> Result<(), OpenError> {
        self.core.restart()
    }

    /// Removes a queue, so that publishing to it is refused as unroutable; what is in it stays
    /// out of reach. For tests and simulated faults.
    ///
    /// # Errors
    /// [`LinkLost`] when the database did not take it.
    pub async fn remove_queue(&self, name: QueueName) -> Result<(), LinkLost> {
        queue::remove(&self.core, name).await
    }
}
