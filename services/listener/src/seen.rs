//! What polls have seen already. They overlap; what has not changed since is published once.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{SalesforceId, Timestamp};
use tokio::time::Instant;

/// A stamp has whole seconds: a record may change once more under the stamp that was seen. That is
/// over once this has passed since, by Salesforce's clock or by ours.
const SETTLED: Duration = Duration::from_secs(10);
/// How many records are remembered, at about 100 bytes each. Further ones are published again by
/// every poll that sees them, which costs work and changes nothing.
const MOST: usize = 100_000;

/// A record and its `SystemModstamp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamped {
    pub(crate) id: SalesforceId,
    pub(crate) stamp: Timestamp,
}

/// What a page says that is not known yet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Which records are to be published.
    pub(crate) ids: Vec<SalesforceId>,
    /// Whether any of them was not seen before, or under another stamp.
    pub(crate) any_new: bool,
}

/// The records of the overlap.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    sightings: BTreeMap<SalesforceId, Sighting>,
    /// The newest stamp so far: Salesforce's clock showed that much.
    newest: Timestamp,
}

#[derive(Debug)]
struct Sighting {
    stamp: Timestamp,
    first: Instant,
    settled: bool,
}

impl Seen {
    /// Takes note of a page, in the order of stamps, that was asked for at that moment.
    pub(crate) fn changes(&mut self, rows: &[Stamped], asked: Instant) -> Changes {
        let last = rows.last().map(|row| row.stamp);
        self.newest = self.newest.max(last.unwrap_or_default());
        let mut changes = Changes {
            ids: Vec::new(),
            any_new: false,
        };
        for Stamped { id, stamp } in rows.iter().copied() {
            let over = self.newest >= stamp.after(SETTLED);
            match self.sightings.get_mut(&id) {
                Some(seen) if seen.stamp == stamp => {
                    if seen.settled {
                        continue;
                    }
                    seen.settled = over || asked.duration_since(seen.first) >= SETTLED;
                }
                _ => {
                    changes.any_new = true;
                    self.remember(
                        id,
                        Sighting {
                            stamp,
                            first: asked,
                            settled: over,
                        },
                    );
                }
            }
            changes.ids.push(id);
        }
        changes
    }

    /// No poll sees those any more.
    pub(crate) fn forget_before(&mut self, stamp: Timestamp) {
        self.sightings.retain(|_, seen| seen.stamp >= stamp);
    }

    fn remember(&mut self, id: SalesforceId, sighting: Sighting) {
        if self.sightings.len() < MOST {
            self.sightings.insert(id, sighting);
        } else {
            // What is known of it is no longer so.
            self.sightings.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: u32, second: i64) -> Stamped {
        Stamped {
            id: SalesforceId::parse(&format!("005{number:012}")).unwrap(),
            stamp: at(second),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(1_790_000_000_000_000 + second * 1_000_000)
    }

    /// Numbers of the rows that are to be published.
    fn numbers(seen: &mut Seen, rows: &[Stamped], asked: Instant) -> Vec<usize> {
        let ids = seen.changes(rows, asked).ids;
        ids.iter()
            .map(|id| rows.iter().position(|row| row.id == *id).unwrap())
            .collect()
    }

    #[test]
    fn a_record_is_published_again_under_a_new_stamp_only() {
        let mut seen = Seen::default();
        let asked = Instant::now();
        let rows = [row(1, 0), row(2, 5), row(3, 20)];
        assert_eq!(numbers(&mut seen, &rows, asked), [0, 1, 2]);
        let changed = [row(1, 0), row(3, 20), row(2, 21)];
        let later = asked + Duration::from_secs(60);
        assert_eq!(numbers(&mut seen, &changed, later), [1, 2]);
        let again = seen.changes(&changed, later + Duration::from_secs(60));
        assert_eq!(again.ids, [row(2, 0).id]);
        assert!(!again.any_new);
        let settled = numbers(&mut seen, &changed, later + Duration::from_secs(120));
        assert!(settled.is_empty(), "{settled:?}");
    }

    #[test]
    fn a_second_change_within_the_same_second_is_published() {
        let mut seen = Seen::default();
        let asked = Instant::now();
        let rows = [row(1, 0)];
        assert_eq!(numbers(&mut seen, &rows, asked), [0]);
        // As far as anybody can tell, that second was not over.
        assert_eq!(numbers(&mut seen, &rows, asked + SETTLED / 2), [0]);
        assert_eq!(numbers(&mut seen, &rows, asked + SETTLED), [0]);
        assert!(numbers(&mut seen, &rows, asked + SETTLED * 2).is_empty());
    }

    #[test]
    fn what_polls_see_no_more_is_forgotten_and_memory_is_bounded() {
        let mut seen = Seen::default();
        let asked = Instant::now();
        let many = (0..u32::try_from(MOST).unwrap() + 2)
            .map(|number| row(number, i64::from(number / 1_000)))
            .collect::<Vec<_>>();
        assert_eq!(seen.changes(&many, asked).ids.len(), many.len());
        assert_eq!(seen.sightings.len(), MOST);
        // What there was no room for, and what was stamped in the newest ten seconds.
        let again = seen.changes(&many, asked + SETTLED).ids;
        assert_eq!(again.len(), 2 + 9_000);
        seen.forget_before(at(100));
        assert_eq!(seen.sightings.len(), 0);
    }
}
