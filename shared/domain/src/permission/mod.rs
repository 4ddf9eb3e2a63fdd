//! Who holds mOS permission: [`decide`](decide()) says who counts, a snapshot keeps it with what does
//! not count, and [`PermissionSnapshot::evidence`] tells why.

mod decide;
mod evidence;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::SalesforceId;
use crate::time::Timestamp;

pub use decide::{
    Assignment, Decision, Holders, Licensed, MAX_NEAR_MISS_USERS, NearMiss, NearMisses, Obstacle,
    Reading, decide,
};
pub use evidence::{Evidence, Standing};

/// How long before an assignment runs out it is warned of.
pub const WARNED_BEFORE: Duration = Duration::from_secs(7 * 86_400);

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

/// All users who hold mOS permission, with the evidence, as of one poll. Expiry is judged at
/// the moment of use, so a snapshot stays right while assignments run out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PermissionSnapshot {
    /// Increases with every stored snapshot; 0 before the first poll.
    pub number: u64,
    /// When the poll was begun.
    pub taken: Timestamp,
    /// User to grants that count.
    pub holders: Holders,
    /// User to grants that do not count.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub near_misses: NearMisses,
    /// How many further users hold something that does not count.
    #[serde(default, skip_serializing_if = "is_none")]
    pub near_misses_left_off: u64,
    /// Groups that have the sets and whose status is not `Updated`, with their status.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unsettled_groups: BTreeMap<String, String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
const fn is_none(count: &u64) -> bool {
    *count == 0
}

impl Grant {
    /// Whether it has not run out at that time.
    #[must_use]
    pub fn counts(&self, at: Timestamp) -> bool {
        self.expires.is_none_or(|end| end > at)
    }
}

/// Those whose permission runs out within [`WARNED_BEFORE`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaving {
    /// Who.
    pub users: BTreeSet<SalesforceId>,
    /// When the first of them leaves.
    pub first: Timestamp,
}

impl PermissionSnapshot {
    /// What a poll has found, as the snapshot that follows `before`.
    #[must_use]
    pub fn following(before: &Self, reading: &Reading, taken: Timestamp) -> Self {
        let decision = decide(reading, taken);
        Self {
            number: before.number + 1,
            taken,
            holders: decision.holders,
            near_misses: decision.near_misses,
            near_misses_left_off: decision.near_misses_left_off,
            unsettled_groups: reading.unsettled_groups.clone(),
        }
    }

    /// Whether the other says the same of everybody.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        let relabelled = Self {
            number: other.number,
            taken: other.taken,
            ..self.clone()
        };
        relabelled == *other
    }

    /// When the user's permission runs out, if it ever does; asked of who holds it at `at`.
    #[must_use]
    pub fn ends(&self, user: &SalesforceId, at: Timestamp) -> Option<Timestamp> {
        let grants = self.holders.get(user)?.iter();
        let ends = grants
            .filter(|grant| grant.counts(at))
            .map(|grant| grant.expires);
        // One that never runs out stands in for all others.
        ends.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// Whose permission runs out soon after `at`; `None`: nobody's.
    #[must_use]
    pub fn leaving(&self, at: Timestamp) -> Option<Leaving> {
        let horizon = at.after(WARNED_BEFORE);
        let leaving: BTreeMap<SalesforceId, Timestamp> = self
            .holders
            .keys()
            .filter_map(|user| Some((*user, self.ends(user, at)?)))
            .filter(|(_, end)| *end <= horizon)
            .collect();
        let first = leaving.values().min().copied()?;
        let users = leaving.into_keys().collect();
        Some(Leaving { users, first })
    }

    /// Whether the user holds permission at that time.
    #[must_use]
    pub fn permits(&self, user: &SalesforceId, at: Timestamp) -> bool {
        self.holders
            .get(user)
            .is_some_and(|grants| grants.iter().any(|grant| grant.counts(at)))
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

    #[test]
    fn who_leaves_soon_is_known_and_who_holds_another_grant_does_not_leave() {
        let week = 7 * 86_400_000_000;
        let snapshot = snapshot(&[
            (1, Some(week)),
            (2, Some(5)),
            (2, None),
            (3, Some(week + 1)),
            (4, Some(9)),
            (4, Some(20)),
            (5, None),
        ]);
        let at = Timestamp::from_micros;
        let leaving = snapshot.leaving(at(0)).unwrap();
        assert_eq!(leaving.users, [user(1), user(4)].into());
        assert_eq!(leaving.first, at(20), "when the last of two grants ends");
        assert_eq!(snapshot.ends(&user(2), at(0)), None);
        let later = snapshot.leaving(at(20)).unwrap();
        assert_eq!(
            later.users,
            [user(1), user(3)].into(),
            "who has left is not leaving"
        );
        assert_eq!(snapshot.leaving(at(week + 1)), None);
    }

    #[test]
    fn a_poll_that_finds_the_same_says_the_same() {
        let before = snapshot(&[(1, None)]);
        let mut after = PermissionSnapshot {
            number: 9,
            taken: Timestamp::from_micros(9),
            ..before.clone()
        };
        assert!(before.says_the_same(&after));
        after
            .unsettled_groups
            .insert("Sales".to_owned(), "Failed".to_owned());
        assert!(!before.says_the_same(&after));
    }
}
