//! Who holds mOS permission.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::id::SalesforceId;
use crate::time::Timestamp;

/// One way in which a user holds a permission set: an assignment, direct or through a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Grant {
    /// The permission set's API name, with namespace where it has one.
    pub permission_set: String,
    /// The permission set group it comes through.
    pub group: Option<String>,
    /// From then on it does not count.
    pub expires: Option<Timestamp>,
}

/// All active users who hold mOS permission, with the evidence, as of one poll. Expiry is judged at
/// the moment of use, so a snapshot stays right while assignments run out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PermissionSnapshot {
    /// Increases with every stored snapshot; 0 before the first poll.
    pub number: u64,
    /// When the poll was begun.
    pub taken: Timestamp,
    /// User to grants.
    pub holders: BTreeMap<SalesforceId, BTreeSet<Grant>>,
}

impl PermissionSnapshot {
    /// Whether the user holds permission at that time.
    #[must_use]
    pub fn permits(&self, user: &SalesforceId, at: Timestamp) -> bool {
        self.holders.get(user).is_some_and(|grants| {
            grants
                .iter()
                .any(|grant| grant.expires.is_none_or(|end| end > at))
        })
    }

    /// Everybody who holds permission at that time.
    #[must_use]
    pub fn permitted(&self, at: Timestamp) -> BTreeSet<SalesforceId> {
        self.holders
            .keys()
            .filter(|user| self.permits(user, at))
            .copied()
            .collect()
    }

    /// Those who hold permission now and did not in `before`, each judged at its own time.
    #[must_use]
    pub fn entered_since(
        &self,
        now: Timestamp,
        before: &Self,
        then: Timestamp,
    ) -> BTreeSet<SalesforceId> {
        self.permitted(now)
            .into_iter()
            .filter(|user| !before.permits(user, then))
            .collect()
    }

    /// The next moment at which an assignment runs out.
    #[must_use]
    pub fn next_expiry(&self, after: Timestamp) -> Option<Timestamp> {
        self.holders
            .values()
            .flatten()
            .filter_map(|grant| grant.expires)
            .filter(|end| *end > after)
            .min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(n: u32) -> SalesforceId {
        SalesforceId::parse(&format!("0050000000000{n:02}")).unwrap()
    }

    fn snapshot(holders: &[(u32, Option<i64>)]) -> PermissionSnapshot {
        let mut snapshot = PermissionSnapshot::default();
        for (who, expires) in holders {
            let grant = Grant {
                permission_set: "mOS_User".to_owned(),
                group: None,
                expires: expires.map(Timestamp::from_micros),
            };
            snapshot
                .holders
                .entry(user(*who))
                .or_default()
                .insert(grant);
        }
        snapshot
    }

    #[test]
    fn a_grant_counts_until_it_expires_and_another_may_stand_in() {
        let snapshot = snapshot(&[(1, Some(10)), (2, Some(10)), (2, None)]);
        assert!(snapshot.permits(&user(1), Timestamp::from_micros(9)));
        assert!(!snapshot.permits(&user(1), Timestamp::from_micros(10)));
        assert!(snapshot.permits(&user(2), Timestamp::from_micros(10)));
        assert!(!snapshot.permits(&user(3), Timestamp::from_micros(0)));
        assert_eq!(
            snapshot.next_expiry(Timestamp::from_micros(3)),
            Some(Timestamp::from_micros(10))
        );
        assert_eq!(snapshot.next_expiry(Timestamp::from_micros(10)), None);
    }

    #[test]
    fn a_renewal_after_expiry_enters_again() {
        let before = snapshot(&[(1, Some(10))]);
        let after = snapshot(&[(1, Some(30)), (2, None)]);
        let at = Timestamp::from_micros;
        assert_eq!(
            after.entered_since(at(9), &before, at(9)),
            BTreeSet::from([user(2)])
        );
        assert_eq!(
            after.entered_since(at(12), &before, at(11)),
            BTreeSet::from([user(1), user(2)])
        );
    }
}
