//! Why something does not work: what a gate, an outage, a report and the integration log share.

use std::collections::BTreeMap;
use std::fmt;

use ports::source::SourceError;
use ports::stores::Dependency;

/// Reasons by what each is about, which is a topic of the integration log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reasons(BTreeMap<&'static str, Reason>);

/// Why, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The sentence.
    pub why: String,
    /// What does not answer, when that is why.
    pub out_of_reach: Option<Dependency>,
}

impl From<String> for Reason {
    fn from(why: String) -> Self {
        Self {
            why,
            out_of_reach: None,
        }
    }
}

impl From<&str> for Reason {
    fn from(why: &str) -> Self {
        why.to_owned().into()
    }
}

impl From<&SourceError> for Reason {
    fn from(error: &SourceError) -> Self {
        Self {
            why: error.to_string(),
            out_of_reach: matches!(error, SourceError::Unreachable(_))
                .then_some(Dependency::Salesforce),
        }
    }
}

impl Reasons {
    /// One reason.
    #[must_use]
    pub fn of(about: &'static str, reason: impl Into<Reason>) -> Self {
        Self(BTreeMap::from([(about, reason.into())]))
    }

    /// Adds a reason, or replaces the one about the same.
    pub fn insert(&mut self, about: &'static str, reason: impl Into<Reason>) {
        self.0.insert(about, reason.into());
    }

    /// Removes the reason about something.
    pub fn remove(&mut self, about: &str) {
        self.0.remove(about);
    }

    /// Whether there is one about this.
    #[must_use]
    pub fn contains(&self, about: &str) -> bool {
        self.0.contains_key(about)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each with what it is about.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Reason)> {
        self.0.iter().map(|(about, reason)| (*about, reason))
    }

    /// These, and those of others about anything else.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        for (about, reason) in others.0 {
            self.0.entry(about).or_insert(reason);
        }
        self
    }
}

impl fmt::Display for Reasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, reason) in self.0.values().enumerate() {
            if place > 0 {
                f.write_str("; ")?;
            }
            f.write_str(&reason.why)?;
        }
        Ok(())
    }
}
