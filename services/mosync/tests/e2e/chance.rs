//! The dice of a script, and what it did.

use std::sync::Mutex;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

#[derive(Debug)]
pub(crate) struct Chance {
    random: Mutex<StdRng>,
    trace: Mutex<Vec<String>>,
}

impl Chance {
    pub(crate) fn of_seed(seed: u64) -> Self {
        Self {
            random: Mutex::new(StdRng::seed_from_u64(seed)),
            trace: Mutex::default(),
        }
    }

    /// A number below `end`; 0 for an empty range.
    pub(crate) fn below(&self, end: usize) -> usize {
        if end == 0 {
            0
        } else {
            self.random.lock().unwrap().random_range(0..end)
        }
    }

    pub(crate) fn between(&self, from: u64, to: u64) -> u64 {
        self.random.lock().unwrap().random_range(from..=to)
    }

    pub(crate) fn happens(&self, share: f64) -> bool {
        self.random.lock().unwrap().random_bool(share)
    }

    pub(crate) fn pick<'a, T>(&self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }

    /// Writes down what happens.
    pub(crate) fn note(&self, what: impl std::fmt::Display) {
        self.trace.lock().unwrap().push(what.to_string());
    }

    /// What happened, line by line.
    pub(crate) fn trace(&self) -> String {
        self.trace.lock().unwrap().join("\n")
    }
}
