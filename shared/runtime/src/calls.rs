//! Counts the process's API requests in the store, where those of all processes come together.

use std::sync::Arc;
use std::time::Duration;

use ports::Clock;
use ports::source::Source;
use ports::stores::CallStore;
use tokio_util::sync::CancellationToken;

/// How often.
const EVERY: Duration = Duration::from_secs(10);

/// Counts until `stop`. Requests that could not be counted are counted the next time.
pub async fn keep(
    source: Arc<dyn Source>,
    calls: Arc<dyn CallStore>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) {
    let mut counted = 0;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
        let made = source.api_calls();
        if made > counted {
            match calls.add_calls(clock.now(), made - counted).await {
                Ok(()) => counted = made,
                Err(error) => tracing::info!("API requests are counted later: {error}"),
            }
        }
        if stop.is_cancelled() {
            return;
        }
    }
}
