//! Event schemas by id. An id stands for one schema for ever, so nothing is ever thrown away;
//! loading takes about a second and fails under bursts, so each is loaded by one task at a time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::avro::EventSchema;

type Slot = Arc<OnceCell<Arc<EventSchema>>>;

/// The schemas loaded so far.
#[derive(Debug, Default)]
pub(crate) struct SchemaCache {
    slots: Mutex<BTreeMap<String, Slot>>,
}

impl SchemaCache {
    /// The schema of this id; `load` is called by the first who asks, the others wait for it. A
    /// failure is not kept.
    pub(crate) async fn get<E, F>(
        &self,
        id: &str,
        load: impl FnOnce() -> F,
    ) -> Result<Arc<EventSchema>, E>
    where
        F: Future<Output = Result<EventSchema, E>>,
    {
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            match slots.get(id) {
                Some(slot) => Arc::clone(slot),
                None => Arc::clone(slots.entry(id.to_owned()).or_default()),
            }
        };
        let schema = slot
            .get_or_try_init(|| async { load().await.map(Arc::new) })
            .await?;
        Ok(Arc::clone(schema))
    }
}
