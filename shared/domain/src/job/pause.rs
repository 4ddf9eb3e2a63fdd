//! Pauses: held by a person, or by the org's API allowance.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Why a job makes no progress on purpose. It survives restarts; live changes go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Since when.
    pub since: Timestamp,
    /// Who holds it.
    pub by: PausedBy,
    /// Why, in words.
    pub why: String,
    /// When it is tried again by itself; absent when a person has to resume it.
    pub until: Option<Timestamp>,
}

/// Who holds a paused job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PausedBy {
    /// Somebody, who also has to resume it.
    Person,
    /// The org's API allowance.
    Quota,
}

impl PausedBy {
    /// The name in stores, JSON and pages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Quota => "quota",
        }
    }

    /// Whether a pause held by `other` may be replaced or lifted: a person wins over the quota,
    /// the quota never over a person.
    #[must_use]
    pub const fn overrules(self, other: Self) -> bool {
        matches!(
            (self, other),
            (Self::Person, _) | (Self::Quota, Self::Quota)
        )
    }
}

/// A duration as whole microseconds.
pub(super) mod micros {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_micros)
    }
}
