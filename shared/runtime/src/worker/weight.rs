//! How many units a worker has in hand at a time: as many as its memory is meant for.

use std::collections::VecDeque;

use domain::unit::Stage;

/// What the units in hand on a lane may weigh together, in bytes of their messages as they come or
/// as they are sent on; one more is taken while they weigh less. Each is in memory several times
/// over: as it came, read, and as it is sent on.
const MOST_BYTES: usize = 4 << 20;
/// From how many units before it is known what the next one grows to.
const GROWN: usize = 16;

/// What the units in hand weigh. One that comes as a list of ids may grow to megabytes when its
/// rows are read; it is taken to weigh what the heaviest of those before it came to.
pub(super) struct Weight {
    in_hand: usize,
    /// What the last units grew to; nothing is known at first.
    grown: VecDeque<usize>,
    unknown: usize,
}

impl Weight {
    /// One is taken until it is known what it grows to, but by the loader, which sends nothing on.
    pub(super) fn of(stage: Stage) -> Self {
        Self {
            in_hand: 0,
            grown: VecDeque::with_capacity(GROWN),
            unknown: match stage {
                Stage::Filter | Stage::Permission => MOST_BYTES,
                Stage::Load => 0,
            },
        }
    }

    pub(super) const fn has_room(&self) -> bool {
        self.in_hand < MOST_BYTES
    }

    /// Takes a unit whose message has so many bytes: what it is taken to weigh.
    pub(super) fn take(&mut self, message: usize) -> usize {
        let grown = self.grown.iter().copied().max();
        let weight = message.max(grown.unwrap_or(self.unknown));
        self.in_hand = self.in_hand.saturating_add(weight);
        weight
    }

    pub(super) const fn put_down(&mut self, weight: usize) {
        self.in_hand = self.in_hand.saturating_sub(weight);
    }

    pub(super) fn learn(&mut self, grown: usize) {
        // A unit of which nothing was read, such as a cancelled one, says nothing of others.
        if grown == 0 {
            return;
        }
        if self.grown.len() == GROWN {
            self.grown.pop_front();
        }
        self.grown.push_back(grown);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many units whose messages are small are taken at a time, at most.
    fn taken(weight: &mut Weight) -> Vec<usize> {
        let mut taken = Vec::new();
        while weight.has_room() && taken.len() < 8 {
            taken.push(weight.take(1_000));
        }
        taken
    }

    #[test]
    fn units_that_grow_heavy_are_taken_one_at_a_time() {
        let mut weight = Weight::of(Stage::Filter);
        let mut at_once = Vec::new();
        // Nothing is known, then they stay small, then one grows to all there is room for.
        for grown in [50_000, 50_000, 2 * MOST_BYTES, 1_000] {
            let taken = taken(&mut weight);
            at_once.push(taken.len());
            for taken in taken {
                weight.put_down(taken);
            }
            weight.learn(grown);
        }
        assert_eq!(at_once, [1, 8, 8, 1]);
        assert_eq!(weight.in_hand, 0);
        for _ in 0..GROWN {
            weight.learn(1_000);
        }
        assert_eq!(taken(&mut weight).len(), 8);
    }

    #[test]
    fn units_of_which_nothing_was_read_say_nothing_of_others() {
        let mut weight = Weight::of(Stage::Filter);
        weight.learn(MOST_BYTES);
        for _ in 0..2 * GROWN {
            weight.learn(0);
        }
        assert_eq!(taken(&mut weight).len(), 1);
    }

    #[test]
    fn the_loader_weighs_what_comes() {
        let mut weight = Weight::of(Stage::Load);
        assert_eq!(taken(&mut weight).len(), 8);
        weight.take(MOST_BYTES);
        assert!(!weight.has_room());
    }
}
