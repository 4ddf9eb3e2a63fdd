//! Whether Salesforce would still let somebody in who has a session here, and whether they still hold
//! what makes them administrators.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::permission::decide;
use domain::{SalesforceId, Timestamp};
use ports::source::SourceError;
use runtime::holders::{self, Requirements};

use super::Operations;
use crate::OpsError;

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

/// Whether somebody holds a permission set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holding {
    /// As of five minutes ago at most.
    Held,
    /// Not any more.
    Gone,
    /// Salesforce does not answer.
    Unknown,
}

/// What was answered lately, by user.
#[derive(Clone, Default)]
pub(super) struct StandingMemory(Arc<Mutex<BTreeMap<SalesforceId, Known>>>);

/// What Salesforce said lately of who holds a permission set, and until when it counts.
#[derive(Clone, Default)]
pub(super) struct HoldingMemory(Arc<Mutex<BTreeMap<SalesforceId, (Timestamp, Holding)>>>);

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

    /// Whether somebody whom the newest snapshot of permissions knows as a holder of a permission set
    /// (its API name with namespace) holds it still. The snapshot is believed while the permission
    /// worker reads; after five minutes without it Salesforce is asked for this one user.
    ///
    /// # Errors
    /// [`OpsError::OutOfReach`] when a store does not answer.
    pub(crate) async fn holding(&self, user: SalesforceId, set: &str) -> Result<Holding, OpsError> {
        let now = self.now();
        let polled = self.stores.permissions.last_poll().await?;
        if polled.is_some_and(|polled| now.since(polled) <= FRESH) {
            return Ok(Holding::Held);
        }
        let known = self.holdings().get(&user).copied();
        if let Some((_, holding)) = known.filter(|(until, _)| now < *until) {
            return Ok(holding);
        }
        let asked = tokio::time::timeout(PATIENCE, self.assigned(user, set)).await;
        let (holding, life) = match asked {
            Ok(Ok(true)) => (Holding::Held, FRESH),
            Ok(Ok(false)) => (Holding::Gone, LEFT_ALONE),
            Ok(Err(_)) | Err(_) => (Holding::Unknown, LEFT_ALONE),
        };
        let mut memory = self.holdings();
        memory.retain(|_, (until, _)| now < *until);
        memory.insert(user, (now.after(life), holding));
        Ok(holding)
    }

    /// Whether an assignment of the set (with its namespace), or of a group that has it, counts for
    /// the user.
    async fn assigned(&self, user: SalesforceId, set: &str) -> Result<bool, SourceError> {
        // No API name has two underscores in a row.
        let (namespace, set) = set.split_once("__").unwrap_or(("", set));
        let requirements = Requirements {
            permission_sets: vec![set.to_owned()],
            namespace: namespace.to_owned(),
            permission_set_licence: None,
            package_namespace: None,
        };
        let reading = holders::read_of(&*self.source, &requirements, user).await?;
        Ok(decide(&reading, self.now()).holders.contains_key(&user))
    }

    fn holdings(&self) -> MutexGuard<'_, BTreeMap<SalesforceId, (Timestamp, Holding)>> {
        let memory = self.holding_memory.0.lock();
        memory.unwrap_or_else(PoisonError::into_inner)
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
