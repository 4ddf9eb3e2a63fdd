//! The stores on Redis.
//!
//! Every step is one Lua script (`scripts/`), so it is atomic; and every script may be repeated
//! with the same arguments, because a lost answer leaves open whether it ran. All keys begin with
//! `mosync:{deployment}:`; the hash tag keeps them on one node of a cluster.

mod calls;
mod jobs;
mod last_words;
mod link;
mod log;
mod notes;
mod outbox;
mod parked;
mod sessions;
mod tables;
mod tokens;
mod trials;

use std::sync::Arc;

use ports::stores::{StoreError, Stores};

use link::Link;

/// Connects [`Stores`] to Redis.
#[derive(Debug)]
pub struct RedisStore;

impl RedisStore {
    /// Connects to the Redis at `redis://` or `rediss://` and answers the stores of a deployment.
    /// What is wrong with the server's durability goes to the log, see [`Self::warnings`].
    ///
    /// # Errors
    /// [`StoreError::Unreachable`] when it does not answer.
    pub async fn connect(url: &str, deployment: &str) -> Result<Stores, StoreError> {
        let link = Arc::new(Link::open(url, deployment).await?);
        for warning in link.warnings().await? {
            tracing::warn!("{warning}");
        }
        Ok(Stores {
            position: Arc::clone(&link) as Arc<_>,
            ticket: Arc::clone(&link) as Arc<_>,
            settings: Arc::clone(&link) as Arc<_>,
            permissions: Arc::clone(&link) as Arc<_>,
            jobs: Arc::clone(&link) as Arc<_>,
            parked: Arc::clone(&link) as Arc<_>,
            last_words: Arc::clone(&link) as Arc<_>,
            trials: Arc::clone(&link) as Arc<_>,
            log: Arc::clone(&link) as Arc<_>,
            lease: Arc::clone(&link) as Arc<_>,
            reports: Arc::clone(&link) as Arc<_>,
            notes: Arc::clone(&link) as Arc<_>,
            calls: Arc::clone(&link) as Arc<_>,
            sessions: Arc::clone(&link) as Arc<_>,
            tokens: Arc::clone(&link) as Arc<_>,
            outbox: link,
        })
    }

    /// What in the server's configuration lets it forget, as sentences for a person; empty when
    /// all is well.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`] when it does not answer.
    pub async fn warnings(url: &str) -> Result<Vec<String>, StoreError> {
        Link::open(url, "doctor").await?.warnings().await
    }
}
