//! The sync rule's word on permission: who counts as a holder, decided once, from what Salesforce
//! says of assignments.
//!
//! * A permission set is held by an assignment of its own, or of a group that has it as a member.
//!   Groups do not contain groups.
//! * **Members decide, not a group's `Status`.** `Outdated`, `Updating` and `Failed` say how far
//!   Salesforce is with computing the group's permissions. Who is a member of what is the
//!   administrator's decision and stands meanwhile; a scope that shrank for every recalculation
//!   would stop thousands of deals for minutes and bring them all back after. The status is kept as
//!   a remark.
//! * **Muting sets do not matter.** They take permissions away from a group, never members; the
//!   rule asks who holds the set.
//! * **What needs a session's activation does not count** (`HasActivationRequired`, of the set or of
//!   the group): it is in force within a session that activated it and in no other, and mosync works
//!   without any of its owner's sessions.
//! * **A deactivated user does not count, a frozen one does.** Freezing (`UserLogin.IsFrozen`) bars
//!   the way in while an administrator sorts out what the user owns; the user stays active, keeps
//!   permission and licence, and the deals go on.
//! * A revoked assignment (`IsRevoked`), and one that Salesforce calls inactive, does not count,
//!   whatever its expiry says.
//! * An expiry holds from its very moment on, and is judged again at every use.
//! * Where a licence is asked for, the user must be assigned it too.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Grant;
use crate::id::SalesforceId;
use crate::time::Timestamp;

/// Of how many users a snapshot keeps grants that do not count, active users first.
pub const MAX_NEAR_MISS_USERS: usize = 1_000;

/// User to grants that count.
pub type Holders = BTreeMap<SalesforceId, BTreeSet<Grant>>;
/// User to grants that do not count, with the reasons.
pub type NearMisses = BTreeMap<SalesforceId, BTreeSet<NearMiss>>;

/// A row of `PermissionSetAssignment`, once for each set that it gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// `AssigneeId`.
    pub user: SalesforceId,
    /// `Assignee.IsActive`.
    pub user_is_active: bool,
    /// The set, by its API name with namespace, the group, and `ExpirationDate`.
    pub grant: Grant,
    /// `IsActive` of the assignment.
    pub is_active: bool,
    /// `IsRevoked`.
    pub is_revoked: bool,
    /// `HasActivationRequired` of the set.
    pub set_needs_activation: bool,
    /// `HasActivationRequired` of the group.
    pub group_needs_activation: bool,
}

/// Those who have a licence that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Licensed {
    /// The permission set licence's developer name, or the package's namespace.
    pub name: String,
    /// Who is assigned it.
    pub users: BTreeSet<SalesforceId>,
}

/// What a poll has read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reading {
    /// All assignments of the sets and of the groups that have them, of whomever.
    pub assignments: Vec<Assignment>,
    /// Groups that have the sets and whose `Status` is not `Updated`.
    pub unsettled_groups: BTreeMap<String, String>,
    /// Where a permission set licence is asked for.
    pub permission_set_licence: Option<Licensed>,
    /// Where a licence of a package is asked for.
    pub package_licence: Option<Licensed>,
}

/// Why a grant does not count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Obstacle {
    /// The user is deactivated.
    UserInactive,
    /// The assignment's `ExpirationDate` has come.
    Expired,
    /// The assignment's `IsActive` is false.
    NotActive,
    /// The assignment's `IsRevoked` is true.
    Revoked,
    /// The set is in force only in a session that activates it.
    SetNeedsActivation,
    /// The group is in force only in a session that activates it.
    GroupNeedsActivation,
    /// The user lacks the permission set licence that is asked for.
    NoPermissionSetLicence {
        /// Its developer name.
        licence: String,
    },
    /// The user lacks a licence of the package.
    NoPackageLicence {
        /// Its namespace.
        namespace: String,
    },
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UserInactive => f.write_str("the user is deactivated in Salesforce"),
            Self::Expired => f.write_str("the assignment has expired"),
            Self::NotActive => f.write_str("Salesforce says that the assignment is not active"),
            Self::Revoked => f.write_str("the assignment is revoked"),
            Self::SetNeedsActivation => f.write_str(
                "the permission set is in force only in sessions that activate it, which does not count",
            ),
            Self::GroupNeedsActivation => f.write_str(
                "the group is in force only in sessions that activate it, which does not count",
            ),
            Self::NoPermissionSetLicence { licence } => {
                write!(f, "the user lacks the permission set licence {licence}")
            }
            Self::NoPackageLicence { namespace } => {
                write!(f, "the user lacks a licence of the package {namespace}")
            }
        }
    }
}

/// A grant that does not count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NearMiss {
    /// What is held.
    pub grant: Grant,
    /// Why it does not count; at least one.
    pub because: BTreeSet<Obstacle>,
}

/// What the rule makes of a [`Reading`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decision {
    /// Those who count, through what.
    pub holders: Holders,
    /// What is held and does not count, of at most [`MAX_NEAR_MISS_USERS`].
    pub near_misses: NearMisses,
    /// How many further users hold something that does not count.
    pub near_misses_left_off: u64,
}

/// Who holds mOS permission at that time.
#[must_use]
pub fn decide(reading: &Reading, at: Timestamp) -> Decision {
    let mut holders = Holders::new();
    let (mut of_active, mut of_inactive) = (NearMisses::new(), NearMisses::new());
    for assignment in &reading.assignments {
        let (user, grant) = (assignment.user, assignment.grant.clone());
        let because = obstacles(assignment, reading, at);
        if because.is_empty() {
            holders.entry(user).or_default().insert(grant);
        } else {
            let misses = if assignment.user_is_active {
                &mut of_active
            } else {
                &mut of_inactive
            };
            let miss = NearMiss { grant, because };
            misses.entry(user).or_default().insert(miss);
        }
    }
    let all = of_active.len() + of_inactive.len();
    let near_misses: NearMisses = of_active
        .into_iter()
        .chain(of_inactive)
        .take(MAX_NEAR_MISS_USERS)
        .collect();
    let left_off = all.saturating_sub(near_misses.len());
    Decision {
        holders,
        near_misses,
        near_misses_left_off: u64::try_from(left_off).unwrap_or(u64::MAX),
    }
}

fn obstacles(assignment: &Assignment, reading: &Reading, at: Timestamp) -> BTreeSet<Obstacle> {
    let expired = assignment.grant.expires.is_some_and(|end| end <= at);
    let lacks = |licensed: &Option<Licensed>| {
        let licensed = licensed.as_ref()?;
        (!licensed.users.contains(&assignment.user)).then(|| licensed.name.clone())
    };
    let found = [
        (!assignment.user_is_active).then_some(Obstacle::UserInactive),
        expired.then_some(Obstacle::Expired),
        // Salesforce calls what has expired inactive too; that is said once.
        (!assignment.is_active && !expired).then_some(Obstacle::NotActive),
        assignment.is_revoked.then_some(Obstacle::Revoked),
        assignment
            .set_needs_activation
            .then_some(Obstacle::SetNeedsActivation),
        assignment
            .group_needs_activation
            .then_some(Obstacle::GroupNeedsActivation),
        lacks(&reading.permission_set_licence)
            .map(|licence| Obstacle::NoPermissionSetLicence { licence }),
        lacks(&reading.package_licence).map(|namespace| Obstacle::NoPackageLicence { namespace }),
    ];
    found.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_000);

    fn user(n: usize) -> SalesforceId {
        SalesforceId::parse(&format!("005{n:012}")).unwrap()
    }

    fn assignment(n: usize, change: impl FnOnce(&mut Assignment)) -> Assignment {
        let mut assignment = Assignment {
            user: user(n),
            user_is_active: true,
            grant: Grant {
                permission_set: "mOS_User".to_owned(),
                group: None,
                expires: None,
            },
            is_active: true,
            is_revoked: false,
            set_needs_activation: false,
            group_needs_activation: false,
        };
        change(&mut assignment);
        assignment
    }

    fn decided(change: impl FnOnce(&mut Assignment)) -> Decision {
        let reading = Reading {
            assignments: vec![assignment(1, change)],
            ..Reading::default()
        };
        decide(&reading, NOW)
    }

    fn reasons(decision: &Decision) -> Vec<Obstacle> {
        assert!(decision.holders.is_empty());
        let misses = decision.near_misses.values().flatten();
        misses.flat_map(|miss| miss.because.clone()).collect()
    }

    #[test]
    fn an_assignment_of_an_active_user_counts_direct_or_through_a_group() {
        assert!(decided(|_| {}).holders.contains_key(&user(1)));
        let through = decided(|one| one.grant.group = Some("Sales".to_owned()));
        assert!(through.holders.contains_key(&user(1)));
        assert!(through.near_misses.is_empty());
    }

    #[test]
    fn each_obstacle_is_one_by_itself_and_is_named() {
        let at = |micros| Some(Timestamp::from_micros(micros));
        type Change = Box<dyn FnOnce(&mut Assignment)>;
        let cases: [(Change, Obstacle); 7] = [
            (
                Box::new(|one| one.user_is_active = false),
                Obstacle::UserInactive,
            ),
            (
                Box::new(move |one| one.grant.expires = at(1_000)),
                Obstacle::Expired,
            ),
            (Box::new(|one| one.is_active = false), Obstacle::NotActive),
            (
                Box::new(move |one| {
                    one.grant.expires = at(1_001);
                    one.is_active = false;
                }),
                Obstacle::NotActive,
            ),
            (Box::new(|one| one.is_revoked = true), Obstacle::Revoked),
            (
                Box::new(|one| one.set_needs_activation = true),
                Obstacle::SetNeedsActivation,
            ),
            (
                Box::new(|one| one.group_needs_activation = true),
                Obstacle::GroupNeedsActivation,
            ),
        ];
        for (change, obstacle) in cases {
            assert_eq!(reasons(&decided(change)), [obstacle]);
        }
    }

    #[test]
    fn an_assignment_counts_to_the_last_microsecond_before_its_expiry() {
        let counts = decided(|one| one.grant.expires = Some(Timestamp::from_micros(1_001)));
        assert!(counts.holders.contains_key(&user(1)));
        let over = decided(|one| {
            one.grant.expires = Some(NOW);
            one.is_active = false;
        });
        assert_eq!(reasons(&over), [Obstacle::Expired], "and is named once");
    }

    #[test]
    fn a_status_of_a_group_decides_nothing() {
        for status in ["Outdated", "Updating", "Failed"] {
            let reading = Reading {
                assignments: vec![assignment(1, |one| {
                    one.grant.group = Some("Sales".to_owned());
                })],
                unsettled_groups: [("Sales".to_owned(), status.to_owned())].into(),
                ..Reading::default()
            };
            assert!(decide(&reading, NOW).holders.contains_key(&user(1)));
        }
    }

    #[test]
    fn licences_are_asked_for_where_they_are_configured_and_all_of_them() {
        let licensed = |name: &str, users: &[usize]| {
            Some(Licensed {
                name: name.to_owned(),
                users: users.iter().map(|n| user(*n)).collect(),
            })
        };
        let assignments = (1..=4).map(|n| assignment(n, |_| {})).collect();
        let reading = Reading {
            assignments,
            permission_set_licence: licensed("mOS", &[1, 2]),
            package_licence: licensed("mos", &[1, 3]),
            ..Reading::default()
        };
        let decision = decide(&reading, NOW);
        assert_eq!(decision.holders.keys().collect::<Vec<_>>(), [&user(1)]);
        let because = |n| {
            decision.near_misses[&user(n)]
                .first()
                .unwrap()
                .because
                .len()
        };
        assert_eq!((because(2), because(3), because(4)), (1, 1, 2));
    }

    #[test]
    fn one_grant_that_counts_is_enough_and_the_others_are_told() {
        let reading = Reading {
            assignments: vec![
                assignment(1, |_| {}),
                assignment(1, |one| one.grant.expires = Some(NOW)),
            ],
            ..Reading::default()
        };
        let decision = decide(&reading, NOW);
        assert_eq!(decision.holders[&user(1)].len(), 1);
        assert_eq!(decision.near_misses[&user(1)].len(), 1);
    }

    #[test]
    fn near_misses_are_bounded_and_those_of_active_users_come_first() {
        let inactive = |n| assignment(n, |one| one.user_is_active = false);
        let mut assignments: Vec<_> = (0..MAX_NEAR_MISS_USERS).map(inactive).collect();
        assignments.push(assignment(99_999, |one| one.is_revoked = true));
        let reading = Reading {
            assignments,
            ..Reading::default()
        };
        let decision = decide(&reading, NOW);
        assert_eq!(decision.near_misses.len(), MAX_NEAR_MISS_USERS);
        assert_eq!(decision.near_misses_left_off, 1);
        assert!(decision.near_misses.contains_key(&user(99_999)));
    }
}
