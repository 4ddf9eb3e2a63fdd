//! What became of the records of a unit or a job, per object.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::object::ObjectKind;

/// What can become of a record. `Read` and `Added` are the two ways in, all others the ways out;
/// at the end both sides are equal for every object ([`Tally::difference`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Count {
    /// In: a change or row that the listener published.
    Read,
    /// In: a companion that the permission worker added.
    Added,
    /// Out: the change touches nothing that is filtered, mapped or a relation.
    Skipped,
    /// Out: another change of the same record in the same unit stands for it.
    Collapsed,
    /// Out: deleted in Salesforce.
    Gone,
    /// Out: the integration user cannot see it.
    Unreadable,
    /// Out: no opportunity it is or hangs on matches the filter.
    Filtered,
    /// Out: no matching opportunity's owner holds mOS permission.
    NotPermitted,
    /// Out: mOS has it now and did not before.
    Created,
    /// Out: mOS changed at least one field.
    Updated,
    /// Out: mOS had it so already, or (`if_exists`) never had it.
    Unchanged,
    /// Out: mOS holds a newer version.
    Stale,
    /// Out: kept with a reason, see the parked records.
    Parked,
    /// Out: its job was cancelled.
    Cancelled,
}

impl Count {
    /// All, ways in first.
    pub const ALL: [Self; 14] = [
        Self::Read,
        Self::Added,
        Self::Skipped,
        Self::Collapsed,
        Self::Gone,
        Self::Unreadable,
        Self::Filtered,
        Self::NotPermitted,
        Self::Created,
        Self::Updated,
        Self::Unchanged,
        Self::Stale,
        Self::Parked,
        Self::Cancelled,
    ];

    /// The name used in stores, JSON and pages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Added => "added",
            Self::Skipped => "skipped",
            Self::Collapsed => "collapsed",
            Self::Gone => "gone",
            Self::Unreadable => "unreadable",
            Self::Filtered => "filtered",
            Self::NotPermitted => "not_permitted",
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Stale => "stale",
            Self::Parked => "parked",
            Self::Cancelled => "cancelled",
        }
    }

    /// From its name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|count| count.name() == name)
    }

    /// Whether records come in this way; otherwise it is a way out.
    #[must_use]
    pub const fn is_way_in(self) -> bool {
        matches!(self, Self::Read | Self::Added)
    }
}

/// Counts per object.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tally(BTreeMap<ObjectKind, BTreeMap<Count, u64>>);

impl Tally {
    /// One more record.
    pub fn add(&mut self, object: ObjectKind, count: Count) {
        self.add_many(object, count, 1);
    }

    /// That many more records.
    pub fn add_many(&mut self, object: ObjectKind, count: Count, records: u64) {
        if records > 0 {
            *self.0.entry(object).or_default().entry(count).or_default() += records;
        }
    }

    /// All of another tally.
    pub fn merge(&mut self, other: &Self) {
        for (object, count, records) in other.iter() {
            self.add_many(object, count, records);
        }
    }

    /// How many records of an object met this.
    #[must_use]
    pub fn get(&self, object: ObjectKind, count: Count) -> u64 {
        self.0
            .get(&object)
            .and_then(|counts| counts.get(&count))
            .copied()
            .unwrap_or(0)
    }

    /// How many records met this, over all objects.
    #[must_use]
    pub fn total(&self, count: Count) -> u64 {
        ObjectKind::ALL
            .into_iter()
            .map(|object| self.get(object, count))
            .sum()
    }

    /// Every count that is not zero.
    pub fn iter(&self) -> impl Iterator<Item = (ObjectKind, Count, u64)> + '_ {
        self.0.iter().flat_map(|(object, counts)| {
            counts
                .iter()
                .map(|(count, records)| (*object, *count, *records))
        })
    }

    /// Ways in minus ways out per object, where they differ: what is still pending, or, at the
    /// end, what is wrong.
    #[must_use]
    pub fn difference(&self) -> BTreeMap<ObjectKind, i128> {
        let mut difference = BTreeMap::<ObjectKind, i128>::new();
        for (object, count, records) in self.iter() {
            let sign = if count.is_way_in() { 1 } else { -1 };
            *difference.entry(object).or_default() += sign * i128::from(records);
        }
        difference.retain(|_, records| *records != 0);
        difference
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_close_or_name_the_object() {
        let mut tally = Tally::default();
        tally.add_many(ObjectKind::Opportunity, Count::Read, 3);
        tally.add(ObjectKind::Account, Count::Added);
        tally.add(ObjectKind::Account, Count::Created);
        tally.add_many(ObjectKind::Opportunity, Count::Filtered, 2);
        assert_eq!(
            tally.difference(),
            BTreeMap::from([(ObjectKind::Opportunity, 1)])
        );
        tally.add(ObjectKind::Opportunity, Count::Parked);
        assert!(tally.difference().is_empty());
    }

    #[test]
    fn names_and_json_agree() {
        for count in Count::ALL {
            assert_eq!(Count::of_name(count.name()), Some(count));
            assert_eq!(serde_json::to_value(count).unwrap(), count.name());
        }
    }
}
