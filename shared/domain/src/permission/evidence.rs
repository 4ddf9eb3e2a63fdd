//! Why a user counts as a holder of mOS permission, or does not, in data and in words.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Grant, NearMiss, Obstacle, PermissionSnapshot};
use crate::id::SalesforceId;
use crate::time::Timestamp;

/// What a snapshot says of a user at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Whom.
    pub user: SalesforceId,
    /// As of when expiry was judged.
    pub at: Timestamp,
    /// The snapshot's number.
    pub snapshot: u64,
    /// Whether the user counts.
    pub standing: Standing,
    /// What does not decide and is good to know.
    pub remarks: Vec<String>,
}

/// Whether a user counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Standing {
    /// They do.
    Permitted {
        /// Through each of these.
        grants: Vec<Grant>,
        /// When the last of these runs out.
        until: Option<Timestamp>,
    },
    /// They do not.
    Not {
        /// What they hold that does not count; none: they hold nothing.
        reasons: Vec<NearMiss>,
        /// Whether all of it is known: a snapshot keeps what does not count of so many users only.
        known: bool,
    },
}

impl PermissionSnapshot {
    /// Why the user counts at that time, or does not.
    #[must_use]
    pub fn evidence(&self, user: &SalesforceId, at: Timestamp) -> Evidence {
        let held = || self.holders.get(user).into_iter().flatten();
        let grants: Vec<Grant> = held().filter(|grant| grant.counts(at)).cloned().collect();
        let ran_out = held()
            .filter(|grant| !grant.counts(at))
            .map(|grant| NearMiss {
                grant: grant.clone(),
                because: BTreeSet::from([Obstacle::Expired]),
            });
        let misses = self.near_misses.get(user).into_iter().flatten().cloned();
        let reasons: Vec<NearMiss> = misses.chain(ran_out).collect();
        let groups = grants
            .iter()
            .chain(reasons.iter().map(|miss| &miss.grant))
            .filter_map(|grant| grant.group.as_ref())
            .collect::<BTreeSet<_>>();
        let remarks = groups
            .into_iter()
            .filter_map(|group| {
                let status = self.unsettled_groups.get(group)?;
                Some(format!(
                    "the group {group} is {status} in Salesforce, not Updated; its members count all the same"
                ))
            })
            .collect();
        let standing = if grants.is_empty() {
            let known = !reasons.is_empty() || self.near_misses_left_off == 0;
            Standing::Not { reasons, known }
        } else {
            let until = self.ends(user, at);
            Standing::Permitted { grants, until }
        };
        Evidence {
            user: *user,
            at,
            snapshot: self.number,
            standing,
            remarks,
        }
    }
}

impl Evidence {
    /// Whether the user counts.
    #[must_use]
    pub const fn is_permitted(&self) -> bool {
        matches!(self.standing, Standing::Permitted { .. })
    }

    /// The groups through which anything is held, what counts and what does not.
    #[must_use]
    pub fn groups(&self) -> BTreeSet<&str> {
        let (grants, reasons): (&[Grant], &[NearMiss]) = match &self.standing {
            Standing::Permitted { grants, .. } => (grants, &[]),
            Standing::Not { reasons, .. } => (&[], reasons),
        };
        let held = grants.iter().chain(reasons.iter().map(|miss| &miss.grant));
        held.filter_map(|grant| grant.group.as_deref()).collect()
    }

    /// In words, a line for each grant, then the remarks.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let mut words = match &self.standing {
            Standing::Permitted { grants, .. } => grants.iter().map(Grant::words).collect(),
            Standing::Not { reasons, known } if reasons.is_empty() => vec![if *known {
                "holds none of the mOS permission sets".to_owned()
            } else {
                "holds none of the mOS permission sets, or only what does not count; there are too many such users to keep each"
                    .to_owned()
            }],
            Standing::Not { reasons, .. } => reasons.iter().map(NearMiss::words).collect(),
        };
        words.extend(self.remarks.iter().cloned());
        words
    }
}

impl Grant {
    /// In words: `mOS_User through the group Sales until 2027-01-01T00:00:00.000Z`.
    #[must_use]
    pub fn words(&self) -> String {
        let through = match &self.group {
            Some(group) => format!(" through the group {group}"),
            None => String::new(),
        };
        let until = match self.expires {
            Some(end) => format!(" until {end}"),
            None => String::new(),
        };
        format!("holds {}{through}{until}", self.permission_set)
    }
}

impl NearMiss {
    /// In words, with every reason.
    #[must_use]
    pub fn words(&self) -> String {
        let because = self.because.iter().map(ToString::to_string);
        let because = because.collect::<Vec<_>>().join(", and ");
        format!("{}, but {because}", self.grant.words())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_000_000);

    fn user(n: u32) -> SalesforceId {
        SalesforceId::parse(&format!("0050000000000{n:02}")).unwrap()
    }

    fn grant(group: Option<&str>, expires: Option<i64>) -> Grant {
        Grant {
            permission_set: "mOS_User".to_owned(),
            group: group.map(str::to_owned),
            expires: expires.map(Timestamp::from_micros),
        }
    }

    fn snapshot() -> PermissionSnapshot {
        let miss = NearMiss {
            grant: grant(None, None),
            because: [Obstacle::UserInactive, Obstacle::Revoked].into(),
        };
        PermissionSnapshot {
            number: 7,
            holders: [
                (user(1), [grant(Some("Sales"), Some(2_000_000))].into()),
                (user(2), [grant(None, Some(1_000_000))].into()),
            ]
            .into(),
            near_misses: [(user(3), [miss].into())].into(),
            unsettled_groups: [("Sales".to_owned(), "Updating".to_owned())].into(),
            ..PermissionSnapshot::default()
        }
    }

    #[test]
    fn who_counts_is_told_through_what_and_until_when() {
        let evidence = snapshot().evidence(&user(1), NOW);
        assert!(evidence.is_permitted());
        assert_eq!(
            evidence.words(),
            [
                "holds mOS_User through the group Sales until 1970-01-01T00:00:02.000Z",
                "the group Sales is Updating in Salesforce, not Updated; its members count all the same",
            ]
        );
        assert_eq!(evidence.groups(), ["Sales"].into());
        let Standing::Permitted { until, .. } = evidence.standing else {
            panic!("{evidence:?}")
        };
        assert_eq!(until, Some(Timestamp::from_micros(2_000_000)));
    }

    #[test]
    fn who_does_not_count_is_told_why() {
        let snapshot = snapshot();
        let told = |n| snapshot.evidence(&user(n), NOW).words();
        assert_eq!(
            told(2),
            ["holds mOS_User until 1970-01-01T00:00:01.000Z, but the assignment has expired"],
            "it ran out since it was read"
        );
        assert_eq!(
            told(3),
            [
                "holds mOS_User, but the user is deactivated in Salesforce, and the assignment is revoked"
            ]
        );
        assert_eq!(told(4), ["holds none of the mOS permission sets"]);
    }

    #[test]
    fn what_is_not_kept_is_not_denied() {
        let mut snapshot = snapshot();
        snapshot.near_misses_left_off = 1;
        let evidence = snapshot.evidence(&user(4), NOW);
        let Standing::Not { known, .. } = evidence.standing else {
            panic!("{evidence:?}")
        };
        assert!(!known);
    }

    #[test]
    fn evidence_and_rule_never_differ() {
        let snapshot = snapshot();
        for n in 1..=4 {
            for micros in [999_999, 1_000_000, 1_999_999, 2_000_000] {
                let at = Timestamp::from_micros(micros);
                assert_eq!(
                    snapshot.evidence(&user(n), at).is_permitted(),
                    snapshot.permits(&user(n), at)
                );
            }
        }
    }
}
