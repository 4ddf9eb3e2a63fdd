//! How often somebody may ask, in whole minutes of the clock: a program gone wild, or somebody who
//! guesses, is told to wait.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::Timestamp;

use crate::OpsError;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Steps of a sign-in, by address.
    SignIn,
    /// Tokens and cookies that are none, by address.
    Guess,
    /// Pages and reads, by session.
    Look,
    /// Orders, by session.
    Order,
    /// Requests to the API, by token.
    Api,
}

impl Kind {
    /// How many a minute.
    const fn most(self) -> u32 {
        match self {
            Self::SignIn => 60,
            Self::Guess => 120,
            Self::Look => 600,
            Self::Order => 60,
            Self::Api => 1_200,
        }
    }
}

const MINUTE: i64 = 60_000_000;

/// What was counted in a minute.
#[derive(Debug, Default)]
struct Counted {
    minute: i64,
    counts: BTreeMap<(Kind, String), u32>,
}

/// Counts of the minute that runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Limits(Arc<Mutex<Counted>>);

impl Limits {
    /// Counts one.
    ///
    /// # Errors
    /// [`OpsError::TooMany`] when there were too many this minute.
    pub(crate) fn admit(&self, kind: Kind, who: &str, now: Timestamp) -> Result<(), OpsError> {
        let count = self.count(kind, who, now);
        if count <= kind.most() {
            return Ok(());
        }
        let wait = 60 - now.as_micros().rem_euclid(MINUTE) / 1_000_000;
        Err(OpsError::TooMany(format!(
            "there were more than {} requests within this minute; wait {wait} s and try again",
            kind.most()
        )))
    }

    fn count(&self, kind: Kind, who: &str, now: Timestamp) -> u32 {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = now.as_micros().div_euclid(MINUTE);
        // What was counted in other minutes decides nothing any more, and takes no memory.
        if counted.minute != minute {
            counted.minute = minute;
            counted.counts.clear();
        }
        let count = counted.counts.entry((kind, who.to_owned())).or_default();
        *count = count.saturating_add(1);
        *count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_so_many_a_minute() {
        let limits = Limits::default();
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let most = Kind::Order.most();
        for _ in 0..most {
            assert_eq!(limits.admit(Kind::Order, "a", at(61)), Ok(()));
        }
        let refused = limits.admit(Kind::Order, "a", at(90)).unwrap_err();
        assert!(refused.to_string().contains("wait 30 s"), "{refused}");
        assert_eq!(limits.admit(Kind::Order, "b", at(90)), Ok(()));
        assert_eq!(limits.admit(Kind::Look, "a", at(90)), Ok(()));
        assert_eq!(limits.admit(Kind::Order, "a", at(120)), Ok(()));
    }
}
