//! The previews whose list may still be asked for.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::Foreseen;
use crate::OpsError;

/// So many are kept, the newest.
const KEPT: usize = 20;

/// The newest previews, in memory: who asks later than that, or another process, asks anew.
#[derive(Debug, Default)]
pub(crate) struct Previews(Mutex<VecDeque<Arc<Foreseen>>>);

impl Previews {
    pub(super) fn keep(&self, foreseen: Arc<Foreseen>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|other| other.id != foreseen.id);
        kept.push_front(foreseen);
        kept.truncate(KEPT);
    }

    /// # Errors
    /// [`OpsError::NotFound`].
    pub(super) fn find(&self, id: &str) -> Result<Arc<Foreseen>, OpsError> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().find(|foreseen| foreseen.id == id);
        found.map(Arc::clone).ok_or_else(|| {
            OpsError::NotFound(format!(
                "there is no preview `{id}`, or none any more: the last {KEPT} are kept, until mosync starts anew; ask for the preview again"
            ))
        })
    }
}
