//! One broker and one Redis for all tests, for one test at a time: some of them kill both.

use std::sync::{Arc, LazyLock};

use testkit::{Rabbit, Redis};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::spawn_blocking;

static SERVERS: LazyLock<Arc<Mutex<Servers>>> = LazyLock::new(|| {
    Arc::new(Mutex::new(Servers {
        rabbit: Rabbit::start(),
        redis: Redis::start(),
    }))
});

#[derive(Debug)]
pub(crate) struct Servers {
    pub(crate) rabbit: Rabbit,
    pub(crate) redis: Redis,
}

/// The servers, until the guard is dropped.
pub(crate) async fn take() -> OwnedMutexGuard<Servers> {
    let servers = spawn_blocking(|| Arc::clone(&*SERVERS)).await.unwrap();
    servers.lock_owned().await
}
