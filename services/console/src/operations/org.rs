//! The connected org.

use std::sync::Arc;
use std::time::Duration;

use domain::Timestamp;
use tokio::sync::Mutex;

use super::Operations;
use crate::OpsError;
use crate::views::OrgView;

/// How long what Salesforce said of itself is shown before it is asked again.
const FRESH: Duration = Duration::from_secs(300);
/// How long Salesforce is left alone after it has not answered.
const LEFT_ALONE: Duration = Duration::from_secs(60);
/// A page waits no longer for Salesforce.
const PATIENCE: Duration = Duration::from_secs(3);

/// What Salesforce last said of itself; `None` when it did not answer.
type Answered = Arc<Mutex<Option<(Timestamp, Option<OrgView>)>>>;

/// Keeps the answer for a while: every page shows it.
#[derive(Clone, Default)]
pub(super) struct OrgMemory(Answered);

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
        // Whoever comes while another one asks is not kept waiting.
        let Ok(mut known) = self.org_memory.0.try_lock() else {
            return None;
        };
        let now = self.now();
        if let Some((at, view)) = &*known {
            let fresh = if view.is_some() { FRESH } else { LEFT_ALONE };
            if now.since(*at) < fresh {
                return view.clone();
            }
        }
        let answer = tokio::time::timeout(PATIENCE, self.source.organization()).await;
        let view = answer.ok().and_then(Result::ok).map(|org| OrgView {
            id: Some(org.id),
            name: Some(org.name),
            is_sandbox: org.is_sandbox,
            time_zone: Some(org.time_zone),
        });
        *known = Some((now, view.clone()));
        view
    }
}
