//! The connected org.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::Timestamp;

use super::Operations;
use crate::OpsError;
use crate::views::OrgView;

/// How long what Salesforce said of itself is shown before it is asked again.
const FRESH: Duration = Duration::from_secs(300);
/// How long Salesforce is left alone after it has not answered.
const LEFT_ALONE: Duration = Duration::from_secs(60);
/// A page waits no longer for Salesforce.
const PATIENCE: Duration = Duration::from_secs(3);

/// When Salesforce was asked, and what it said of itself; `None` when it did not answer.
type Answered = (Timestamp, Option<OrgView>);

/// Keeps the answer for a while: every page shows it.
#[derive(Clone, Default)]
pub(super) struct OrgMemory(Arc<Memory>);

#[derive(Default)]
struct Memory {
    /// Held by whoever asks. What was answered before is read meanwhile.
    turn: tokio::sync::Mutex<()>,
    last: Mutex<Option<Answered>>,
}

impl Memory {
    fn last(&self) -> Option<Answered> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.clone()
    }

    fn keep(&self, answered: Answered) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(answered);
    }
}

impl Operations {
    /// The connected org; what the settings say of it while Salesforce does not answer.
    ///
    /// # Errors
    /// [`OpsError::OutOfReach`] when the store does not answer.
    pub async fn org(&self) -> Result<OrgView, OpsError> {
        if let Some(view) = self.asked_org().await {
            return Ok(view);
        }
        let revision = self.stores.settings.current().await?;
        Ok(OrgView {
            id: revision.settings.org.or(revision.org.id),
            name: None,
            is_sandbox: revision.org.is_sandbox,
            time_zone: revision.org.id.map(|_known| revision.org.time_zone),
        })
    }

    /// As Salesforce says it, or said it a while ago.
    async fn asked_org(&self) -> Option<OrgView> {
        let memory = &self.org_memory.0;
        let _turn = match (memory.turn.try_lock(), memory.last()) {
            (Ok(turn), _) => turn,
            // Whoever comes while another one asks is not kept waiting where there was an answer.
            (Err(_taken), Some((_, view))) => return view,
            (Err(_taken), None) => memory.turn.lock().await,
        };
        let now = self.now();
        if let Some((at, view)) = memory.last() {
            let fresh = if view.is_some() { FRESH } else { LEFT_ALONE };
            if now.since(at) < fresh {
                return view;
            }
        }
        let answer = tokio::time::timeout(PATIENCE, self.source.organization()).await;
        let view = answer.ok().and_then(Result::ok).map(|org| OrgView {
            id: Some(org.id),
            name: Some(org.name),
            is_sandbox: org.is_sandbox,
            time_zone: Some(org.time_zone),
        });
        memory.keep((now, view.clone()));
        view
    }
}
