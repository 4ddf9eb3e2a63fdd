//! Whether Salesforce would still let somebody in who has a session here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::{SalesforceId, Timestamp};

use super::Operations;

/// How long an answer counts before Salesforce is asked again.
const FRESH: Duration = Duration::from_secs(5 * 60);
/// How long Salesforce is left alone after it has not answered.
const LEFT_ALONE: Duration = Duration::from_secs(60);
/// A page waits no longer for Salesforce.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is known of somebody.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// Until when it counts.
    until: Timestamp,
    is_let_in: bool,
}

/// What was answered lately, by user.
#[derive(Clone, Default)]
pub(super) struct StandingMemory(Arc<Mutex<BTreeMap<SalesforceId, Known>>>);

impl Operations {
    /// Whether a user is neither deactivated nor frozen, as of five minutes ago at most. What cannot
    /// be asked or seen is as it was: somebody who has signed in was let in then.
    pub(crate) async fn is_let_in(&self, user: SalesforceId) -> bool {
        let now = self.now();
        let before = {
            let mut memory = self.memory();
            let before = memory.get(&user).copied();
            if let Some(known) = before.filter(|known| now < known.until) {
                return known.is_let_in;
            }
            // Those of sessions that are long over.
            memory.retain(|_, known| now < known.until.after(FRESH));
            let before = before.is_none_or(|known| known.is_let_in);
            // Whoever comes while Salesforce is asked is not kept waiting.
            let known = Known {
                until: now.after(LEFT_ALONE),
                is_let_in: before,
            };
            memory.insert(user, known);
            before
        };
        let only = BTreeSet::from([user]);
        let asked = tokio::time::timeout(PATIENCE, self.named(&only)).await;
        let Some(users) = asked.ok().and_then(Result::ok) else {
            return before;
        };
        let is_out = users
            .get(&user)
            .is_some_and(|user| user.is_active == Some(false) || user.is_frozen == Some(true));
        self.note_standing(user, !is_out);
        !is_out
    }

    /// Salesforce has just let somebody in.
    pub(crate) fn was_let_in(&self, user: SalesforceId) {
        self.note_standing(user, true);
    }

    fn note_standing(&self, user: SalesforceId, is_let_in: bool) {
        let until = self.now().after(FRESH);
        self.memory().insert(user, Known { until, is_let_in });
    }

    fn memory(&self) -> MutexGuard<'_, BTreeMap<SalesforceId, Known>> {
        let memory = self.standing_memory.0.lock();
        memory.unwrap_or_else(PoisonError::into_inner)
    }
}
