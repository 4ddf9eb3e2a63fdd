//! Counts the process's API requests in the store, where those of all processes come together.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ports::Clock;
use ports::source::Source;
use ports::stores::CallStore;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// How often.
const EVERY: Duration = Duration::from_secs(10);

/// What a process has asked of Salesforce, and how much of it is counted.
pub struct Counting {
    source: Arc<dyn Source>,
    calls: Arc<dyn CallStore>,
    clock: Arc<dyn Clock>,
    counted: Mutex<u64>,
}

impl fmt::Debug for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counting")
    }
}

impl Counting {
    /// Nothing is counted yet.
    #[must_use]
    pub fn new(source: Arc<dyn Source>, calls: Arc<dyn CallStore>, clock: Arc<dyn Clock>) -> Self {
        Self {
            source,
            calls,
            clock,
            counted: Mutex::new(0),
        }
    }

    /// Counts what was asked since the last time. Requests that could not be counted are counted the
    /// next time.
    pub async fn count(&self) {
        let mut counted = self.counted.lock().await;
        let made = self.source.api_calls();
        let Some(new) = made.checked_sub(*counted).filter(|new| *new > 0) else {
            return;
        };
        match self.calls.add_calls(self.clock.now(), new).await {
            Ok(()) => *counted = made,
            Err(error) => tracing::info!("API requests are counted later: {error}"),
        }
    }

    /// Counts until `stop`.
    pub async fn keep(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
            self.count().await;
            if stop.is_cancelled() {
                return;
            }
        }
    }
}
