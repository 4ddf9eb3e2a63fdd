//! Parked records grouped by cause, for people: a thousand records, one thing to do.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::failure::FailureKind;
use crate::id::SalesforceId;
use crate::object::ObjectKind;
use crate::parked::Parked;
use crate::time::Timestamp;
use crate::unit::Stage;

/// Records of a group that are named.
pub const SAMPLES: usize = 5;

/// What waits for what: of parked records that wait for a parent, that parent. A role waits for its
/// deal, and the deal may wait for its owner.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chains(BTreeMap<(ObjectKind, SalesforceId), (ObjectKind, SalesforceId)>);

impl Chains {
    /// Takes note of what a parked record waits for.
    pub fn add(&mut self, record: &Parked) {
        if let Some(parent) = record.parent {
            self.0.insert(record.record(), parent);
        }
    }

    /// What a record waits for in the end: the one above it that waits for no other.
    #[must_use]
    pub fn root(&self, record: &Parked) -> Option<(ObjectKind, SalesforceId)> {
        let mut root = record.parent?;
        // No chain is longer than there are objects; a damaged one may have no end.
        for _ in ObjectKind::ALL {
            let Some(above) = self.0.get(&root) else {
                break;
            };
            root = *above;
        }
        Some(root)
    }
}

/// Parked records with the same cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorGroup {
    /// Where they failed.
    pub stage: Stage,
    /// Why.
    pub kind: FailureKind,
    /// What they have in common: the record they wait for in the end (`User 005...`), else mOS's
    /// code, else the kind's name.
    pub cause: String,
    /// What to do.
    pub advice: &'static str,
    /// How many records.
    pub count: u64,
    /// When the first of them was parked.
    pub first: Timestamp,
    /// When the newest row that failed was read, or the last of them was parked.
    pub last: Timestamp,
    /// The first of them in the order they came, [`SAMPLES`] at most.
    pub samples: Vec<(ObjectKind, SalesforceId)>,
    /// Whether somebody has dismissed them; those dismissed and those open are two groups.
    pub dismissed: bool,
}

impl ErrorGroup {
    /// Groups parked records: open ones first, then the largest group first. Those that wait for
    /// one another are one group with what all of them wait for, as far as the chains tell.
    #[must_use]
    pub fn of<'p>(parked: impl IntoIterator<Item = &'p Parked>, chains: &Chains) -> Vec<Self> {
        let mut groups = BTreeMap::<(bool, Stage, FailureKind, String), Self>::new();
        for record in parked {
            let dismissed = !record.is_open();
            let cause = cause(record, chains);
            let key = (dismissed, record.stage, record.kind, cause.clone());
            let last = record.since.max(record.version.time());
            let group = groups.entry(key).or_insert_with(|| Self {
                stage: record.stage,
                kind: record.kind,
                cause,
                advice: record.kind.advice(),
                count: 0,
                first: record.since,
                last,
                samples: Vec::new(),
                dismissed,
            });
            group.count += 1;
            group.first = group.first.min(record.since);
            group.last = group.last.max(last);
            if group.samples.len() < SAMPLES {
                group.samples.push(record.record());
            }
        }
        let mut groups = groups.into_values().collect::<Vec<_>>();
        // Stable: of groups of a size the order of stage, kind and cause stays.
        groups.sort_by_key(|group| (group.dismissed, std::cmp::Reverse(group.count)));
        groups
    }
}

fn cause(record: &Parked, chains: &Chains) -> String {
    match (chains.root(record), &record.code) {
        (Some((object, id)), _) => format!("{object} {id}"),
        (None, Some(code)) => code.clone(),
        (None, None) => record.kind.name().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parked::Dismissal;
    use crate::ticket::Version;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn parked(object: ObjectKind, number: u32, kind: FailureKind) -> Parked {
        let id = format!("{}0000000{number:05}", object.key_prefix());
        Parked {
            object,
            id: SalesforceId::parse(&id).unwrap(),
            stage: Stage::Load,
            kind,
            code: None,
            message: format!("record {number}"),
            parent: None,
            rule_revision: 0,
            version: Version::at(at(i64::from(number))),
            since: at(i64::from(number)),
            retries: 0,
            retry_at: None,
            released: None,
            job: None,
            dismissed: None,
        }
    }

    #[test]
    fn children_of_a_parent_are_one_group_named_by_it() {
        let account = parked(ObjectKind::Account, 1, FailureKind::InvalidField);
        let children = (2..10).rev().map(|number| Parked {
            parent: Some(account.record()),
            ..parked(ObjectKind::Contact, number, FailureKind::ParentMissing)
        });
        let other = Parked {
            parent: Some((ObjectKind::User, account.id)),
            ..parked(ObjectKind::Opportunity, 20, FailureKind::ParentMissing)
        };
        let all = children.chain([account.clone(), other]).collect::<Vec<_>>();
        let groups = ErrorGroup::of(&all, &Chains::default());
        assert_eq!(groups.len(), 3);
        let group = &groups[0];
        assert_eq!(group.cause, format!("Account {}", account.id));
        assert_eq!((group.count, group.samples.len()), (8, SAMPLES));
        assert_eq!((group.first, group.last), (at(2), at(9)));
        assert_eq!(group.advice, FailureKind::ParentMissing.advice());
    }

    #[test]
    fn what_waits_for_what_waits_is_in_the_group_of_the_first_of_all() {
        let child = |object, number, parent| Parked {
            parent: Some(parent),
            ..parked(object, number, FailureKind::ParentMissing)
        };
        let owner = parked(ObjectKind::User, 1, FailureKind::InvalidField).record();
        let deals = [2, 3].map(|number| child(ObjectKind::Opportunity, number, owner));
        let roles = [4, 5, 6].map(|number| {
            let deal = deals[usize::from(number > 4)].record();
            child(ObjectKind::OpportunityContactRole, number, deal)
        });
        // Its deal waits for nobody that is known of.
        let elsewhere = parked(ObjectKind::Opportunity, 9, FailureKind::Refused).record();
        let other = child(ObjectKind::OpportunityContactRole, 7, elsewhere);
        let mut chains = Chains::default();
        for deal in &deals {
            chains.add(deal);
        }
        let all = roles.iter().chain(&deals).chain([&other]);
        let groups = ErrorGroup::of(all, &chains).into_iter();
        let seen = groups.map(|group| (group.cause, group.count));
        let expected = [(owner, 5), (elsewhere, 1)];
        let expected = expected.map(|((object, id), count)| (format!("{object} {id}"), count));
        assert_eq!(seen.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_chain_without_an_end_is_followed_no_further() {
        let child = |number, parent| Parked {
            parent: Some(parent),
            ..parked(ObjectKind::Opportunity, number, FailureKind::ParentMissing)
        };
        let ids = [1, 2]
            .map(|number| parked(ObjectKind::Opportunity, number, FailureKind::Refused).record());
        let both = [child(1, ids[1]), child(2, ids[0])];
        let mut chains = Chains::default();
        both.iter().for_each(|record| chains.add(record));
        assert!(both.iter().all(|record| chains.root(record).is_some()));
    }

    #[test]
    fn the_code_names_the_cause_and_dismissed_ones_stand_apart() {
        let coded = |number, code: &str| Parked {
            code: Some(code.to_owned()),
            ..parked(ObjectKind::Account, number, FailureKind::Refused)
        };
        let mut gone = coded(3, "frozen");
        gone.dismissed = Some(Dismissal {
            at: at(9),
            by: "ada".to_owned(),
            reason: "a test account".to_owned(),
        });
        let mut newer = coded(4, "frozen");
        newer.version = Version::at(at(40));
        let plain = parked(ObjectKind::Account, 5, FailureKind::Poison);
        let all = [coded(1, "frozen"), coded(2, "locked"), gone, newer, plain];
        let seen = ErrorGroup::of(&all, &Chains::default())
            .into_iter()
            .map(|group| (group.cause, group.count, group.dismissed, group.last))
            .collect::<Vec<_>>();
        let expected = [
            ("frozen", 2, false, at(40)),
            ("locked", 1, false, at(2)),
            ("poison", 1, false, at(5)),
            ("frozen", 1, true, at(3)),
        ];
        assert_eq!(
            seen,
            expected.map(|(cause, count, dismissed, last)| {
                (cause.to_owned(), count, dismissed, last)
            })
        );
    }
}
