//! Whose permission runs out soon, and what leaves the scope with them: counted by whoever polls
//! permissions, told in the figures of its report, shown in the status.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::filter;
use domain::permission::{Leaving, PermissionSnapshot};
use domain::rule::{Rules, Visible};
use domain::{SalesforceId, Timestamp};
use ports::source::Source;
use ports::stores::Stores;

use crate::by_owner;
use crate::worker::Outage;

/// In a worker's figures: the users that were counted.
const USERS: &str = "expiring_users";
/// In a worker's figures: when the first of them leaves, microseconds since 1970.
const FIRST: &str = "expiring_first";
/// In a worker's figures: their opportunities in scope.
const OPPORTUNITIES: &str = "expiring_opportunities";
/// Deals come and go: counted again after this time, and tried again where it failed.
pub const COUNTED_AGAIN: Duration = Duration::from_secs(3_600);

/// What leaves the scope within [`domain::permission::WARNED_BEFORE`], as it was counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiring {
    counted: Timestamp,
    users: BTreeSet<SalesforceId>,
    first: Timestamp,
    opportunities: u64,
}

impl Expiring {
    /// Counts what leaves the scope with those whose permission runs out soon; nothing is asked of
    /// Salesforce while nobody leaves, or as long as `before` is of the same users and young.
    ///
    /// # Errors
    /// Salesforce's and the stores'.
    pub async fn look(
        source: &dyn Source,
        stores: &Stores,
        snapshot: &PermissionSnapshot,
        now: Timestamp,
        before: Option<Self>,
    ) -> Result<Option<Self>, Outage> {
        let Some(leaving) = snapshot.leaving(now) else {
            return Ok(None);
        };
        if let Some(before) = before
            && before.is_of(&leaving)
            && now.since(before.counted) < COUNTED_AGAIN
        {
            return Ok(Some(before));
        }
        let revision = stores.settings.current().await?;
        let rules = Rules::of(&revision, Visible::new()).map_err(|faults| {
            Outage::Other(format!(
                "the stored filter cannot be used: {}",
                filter::in_words(&faults)
            ))
        })?;
        let counted = by_owner::count(source, &rules, now, Some(&leaving.users)).await?;
        Ok(Some(Self {
            counted: now,
            users: leaving.users,
            first: leaving.first,
            opportunities: counted.opportunities.values().sum(),
        }))
    }

    fn is_of(&self, leaving: &Leaving) -> bool {
        self.users == leaving.users && self.first == leaving.first
    }

    /// As figures of a report.
    #[must_use]
    pub fn figures(&self) -> BTreeMap<String, i64> {
        let users = u64::try_from(self.users.len()).unwrap_or(u64::MAX);
        let figure = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        BTreeMap::from([
            (USERS.to_owned(), figure(users)),
            (FIRST.to_owned(), self.first.as_micros()),
            (OPPORTUNITIES.to_owned(), figure(self.opportunities)),
        ])
    }
}

/// How many opportunities leave, by a report's figures; `None` where these were counted for others
/// than those who leave now.
#[must_use]
pub fn opportunities(figures: &BTreeMap<String, i64>, leaving: &Leaving) -> Option<u64> {
    let users = usize::try_from(*figures.get(USERS)?).ok()?;
    let first = Timestamp::from_micros(*figures.get(FIRST)?);
    if users != leaving.users.len() || first != leaving.first {
        return None;
    }
    u64::try_from(*figures.get(OPPORTUNITIES)?).ok()
}
