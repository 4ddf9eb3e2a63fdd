//! What is asked of the message broker by somebody who waits for the answer. A broker that does not
//! answer holds nobody up for long, and nothing up that needs it not.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::Timestamp;
use ports::queue::LinkLost;

use super::Operations;

/// Nobody waits longer for its answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long it is left alone after it has not answered, so that not every page waits for it.
const LEFT_ALONE: Duration = Duration::from_secs(5);

/// When the broker did not answer lately, until when it is left alone, and why.
#[derive(Clone, Default)]
pub(super) struct BrokerMemory(Arc<Mutex<Option<(Timestamp, LinkLost)>>>);

impl Operations {
    /// What the broker answers, if it does so soon.
    ///
    /// # Errors
    /// [`LinkLost`] when it does not, or has not a moment ago.
    pub(super) async fn of_broker<T>(
        &self,
        asked: impl Future<Output = Result<T, LinkLost>>,
    ) -> Result<T, LinkLost> {
        let silent = self.broker().clone();
        if let Some((_, lost)) = silent.filter(|(until, _)| self.now() < *until) {
            return Err(lost);
        }
        let answered = tokio::time::timeout(PATIENCE, asked).await;
        let answered = answered.unwrap_or_else(|_elapsed| {
            Err(LinkLost(format!(
                "no answer within {} s",
                PATIENCE.as_secs()
            )))
        });
        let silent = answered.as_ref().err();
        *self.broker() = silent.map(|lost| (self.now().after(LEFT_ALONE), lost.clone()));
        answered
    }

    fn broker(&self) -> MutexGuard<'_, Option<(Timestamp, LinkLost)>> {
        let memory = self.broker_memory.0.lock();
        memory.unwrap_or_else(PoisonError::into_inner)
    }
}
