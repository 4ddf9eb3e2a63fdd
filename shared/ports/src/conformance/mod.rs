//! The promises of the ports as tests, one function for each, for every adapter to run. A function
//! panics when its promise is broken. An adapter gives a harness and expands
//! [`queue_conformance!`](crate::queue_conformance) or
//! [`store_conformance!`](crate::store_conformance) in its tests; there is no way to leave a
//! clause out.
//!
//! Waits are for conditions, under a deadline that only a broken adapter reaches.

pub mod queue;
pub mod stores;

use std::time::Duration;

/// How long an adapter may take for anything. A message that is to be retried may be late by a
/// step of its ladder, so this is longer than the shortest step.
const DEADLINE: Duration = Duration::from_secs(60);
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// What the future answers, if it does before the deadline.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(answer) => answer,
        Err(_elapsed) => panic!("{what}: not within {DEADLINE:?}"),
    }
}

/// Looks until it is so, or the deadline has passed.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    soon(what, async {
        while !is_so().await {
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    })
    .await;
}
