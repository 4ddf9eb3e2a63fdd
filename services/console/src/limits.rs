//! How often somebody may ask, in whole minutes of the clock: a program gone wild, or somebody who
//! guesses, is told to wait.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    /// What Salesforce is asked for each time, by session or token, beside the others.
    Salesforce,
}

impl Kind {
    /// How many a minute.
    const fn most(self) -> u32 {
        match self {
            Self::SignIn | Self::Order | Self::Salesforce => 60,
            Self::Guess => 120,
            Self::Look => 600,
            Self::Api => 1_200,
        }
    }

    /// What there were too many of.
    const fn what(self) -> &'static str {
        match self {
            Self::SignIn | Self::Guess | Self::Look | Self::Order | Self::Api => "requests",
            Self::Salesforce => "requests that Salesforce has to answer",
        }
    }
}

const MINUTE: i64 = 60_000_000;

/// For so many minutes somebody is remembered who got in. A session that nobody uses has ended by then.
const REMEMBERED: i64 = 60;

/// What was counted in a minute.
#[derive(Debug, Default)]
struct Counted {
    minute: i64,
    counts: BTreeMap<(Kind, String), u32>,
    /// Who got in lately, and in which minute.
    known: BTreeMap<String, i64>,
}

/// Counts of the minute that runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Limits(Arc<Mutex<Counted>>);

impl Limits {
    /// Counts one before anything is read for it. Whether it is counted: who got in lately is, by the
    /// `key` that they show. Of anybody else nobody knows yet whether they get in; an address that
    /// has guessed too often is not even asked.
    ///
    /// # Errors
    /// [`OpsError::TooMany`] when there were too many this minute.
    pub(crate) fn knock(
        &self,
        kind: Kind,
        key: Option<&str>,
        peer: &str,
        now: Timestamp,
    ) -> Result<bool, OpsError> {
        let key = key.filter(|key| self.counted(now).known.contains_key(*key));
        if let Some(key) = key {
            return self.admit(kind, key, now).map(|()| true);
        }
        let guesses = (Kind::Guess, peer.to_owned());
        let guesses = self.counted(now).counts.get(&guesses).copied();
        if guesses.is_some_and(|guesses| guesses >= Kind::Guess.most()) {
            self.admit(Kind::Guess, peer, now)?;
        }
        Ok(false)
    }

    /// Somebody got in.
    pub(crate) fn know(&self, key: &str, now: Timestamp) {
        let mut counted = self.counted(now);
        let minute = counted.minute;
        counted.known.insert(key.to_owned(), minute);
    }

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
            "there were more than {} {} within this minute; wait {wait} s and try again",
            kind.most(),
            kind.what()
        )))
    }

    fn count(&self, kind: Kind, who: &str, now: Timestamp) -> u32 {
        let mut counted = self.counted(now);
        let count = counted.counts.entry((kind, who.to_owned())).or_default();
        *count = count.saturating_add(1);
        *count
    }

    /// What was counted in this minute.
    fn counted(&self, now: Timestamp) -> MutexGuard<'_, Counted> {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = now.as_micros().div_euclid(MINUTE);
        // What was counted in other minutes decides nothing any more, and takes no memory.
        if counted.minute != minute {
            counted.minute = minute;
            counted.counts.clear();
            counted
                .known
                .retain(|_, known| minute - *known <= REMEMBERED);
        }
        counted
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

    #[test]
    fn an_address_that_guesses_is_not_asked_any_more_and_who_got_in_before_is() {
        let limits = Limits::default();
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let knock = |key, seconds| limits.knock(Kind::Look, key, "peer", at(seconds));
        assert_eq!(knock(Some("anna"), 60), Ok(false));
        limits.know("anna", at(60));
        for _ in 0..Kind::Guess.most() {
            assert_eq!(knock(Some("a guess"), 61), Ok(false));
            assert_eq!(limits.admit(Kind::Guess, "peer", at(61)), Ok(()));
        }
        assert!(knock(Some("a guess"), 62).is_err());
        assert!(knock(None, 62).is_err());
        assert_eq!(limits.knock(Kind::Look, None, "other", at(62)), Ok(false));
        for _ in 0..Kind::Look.most() {
            assert_eq!(knock(Some("anna"), 63), Ok(true));
        }
        assert!(knock(Some("anna"), 64).is_err());
        assert_eq!(knock(Some("anna"), 120), Ok(true));
        assert_eq!(knock(Some("a guess"), 120), Ok(false));
        let later = 60 * (REMEMBERED + 3);
        assert_eq!(knock(Some("anna"), later), Ok(false));
    }
}
