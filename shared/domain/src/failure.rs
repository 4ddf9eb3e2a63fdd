//! One place that says what to do about each kind of failure: for the workers, and in words for
//! the person who has to act.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::object::ObjectKind;

/// Why a record could not be brought to mOS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// mOS was busy or did not answer, three times.
    RetryLater,
    /// A record it refers to is not in mOS.
    ParentMissing,
    /// mOS does not accept a field's value.
    InvalidField,
    /// A text is longer than mOS takes.
    ValueTooLong,
    /// An mOS administrator deleted it there.
    DeletedInMos,
    /// mOS does not know this type of record.
    UnknownType,
    /// mOS refused it with a code that this version does not know.
    Refused,
    /// mOS cannot read the record at all, or it is too large.
    Unprocessable,
    /// The row from Salesforce cannot be turned into mOS's fields.
    Unmappable,
    /// mosync itself fails over this record.
    Poison,
    /// Salesforce keeps refusing to show it.
    Unreadable,
}

/// What becomes of a record that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Parked, and taken up again by itself.
    RetryByItself,
    /// Parked until its parent arrives.
    WaitForParent,
    /// Parked until a person has acted.
    Person,
}

/// How often the loader tries a record before it parks it.
pub const MAX_ATTEMPTS: u32 = 3;
/// How often a unit goes back for a missing parent before the child is parked.
pub const MAX_PARENT_REREADS: u32 = 1;
/// The scheduler stops taking a record up after this many times: 10 min, 1 h, then hourly for a day.
pub const MAX_RETRIES_BY_ITSELF: u32 = 26;

impl FailureKind {
    /// What happens next.
    #[must_use]
    pub const fn policy(self) -> Policy {
        match self {
            Self::RetryLater | Self::Unreadable => Policy::RetryByItself,
            Self::ParentMissing => Policy::WaitForParent,
            Self::InvalidField
            | Self::ValueTooLong
            | Self::DeletedInMos
            | Self::UnknownType
            | Self::Refused
            | Self::Unprocessable
            | Self::Unmappable
            | Self::Poison => Policy::Person,
        }
    }

    /// Why, for a person.
    #[must_use]
    pub const fn cause(self) -> &'static str {
        match self {
            Self::RetryLater => "mOS was busy or did not answer, three times",
            Self::ParentMissing => "a record that they refer to is not in mOS",
            Self::InvalidField => "mOS does not accept the value of a field",
            Self::ValueTooLong => "a text is longer than mOS takes",
            Self::DeletedInMos => "an mOS administrator deleted them in mOS",
            Self::UnknownType => "mOS does not know their type",
            Self::Refused => "mOS refuses them with a code that mosync does not know",
            Self::Unprocessable => "mOS cannot read them, or they are too large",
            Self::Unmappable => "a value does not fit its mapping",
            Self::Poison => "mosync itself fails over them",
            Self::Unreadable => "Salesforce does not show them to the integration user",
        }
    }

    /// What to do, for a person.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::RetryLater => {
                "Nothing to do: mosync tries again after 10 minutes, an hour, then hourly for a day. If it stays, ask mOS support whether the service is healthy."
            }
            Self::ParentMissing => {
                "It follows by itself when the record it refers to arrives in mOS. If that record is parked too, deal with that one first."
            }
            Self::InvalidField => {
                "Correct the field named in the message in Salesforce, or map another field to it, then retry."
            }
            Self::ValueTooLong => {
                "Shorten the field named in the message in Salesforce, then retry."
            }
            Self::DeletedInMos => {
                "An mOS administrator deleted it in mOS. Restore it there if it should come back, then retry."
            }
            Self::UnknownType => {
                "This mOS account does not know the type of record. Ask mOS support whether the account is set up for it."
            }
            Self::Refused => {
                "Read mOS's message; if it does not help, send it to mOS support with the record's id."
            }
            Self::Unprocessable => {
                "mOS cannot read this record. Look for an unusually large or odd value in it, then retry."
            }
            Self::Unmappable => {
                "A value in Salesforce does not fit its mapping. Check the record and the field mapping, then retry."
            }
            Self::Poison => {
                "mosync fails over this record. Send its id and the message to the maintainers; all other records go on."
            }
            Self::Unreadable => {
                "Give the integration user read access to the record's object and fields. mosync tries again by itself."
            }
        }
    }

    /// The name in stores and pages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RetryLater => "retry_later",
            Self::ParentMissing => "parent_missing",
            Self::InvalidField => "invalid_field",
            Self::ValueTooLong => "value_too_long",
            Self::DeletedInMos => "deleted_in_mos",
            Self::UnknownType => "unknown_type",
            Self::Refused => "refused",
            Self::Unprocessable => "unprocessable",
            Self::Unmappable => "unmappable",
            Self::Poison => "poison",
            Self::Unreadable => "unreadable",
        }
    }
}

/// What to do about a record of this object that the integration user cannot see.
#[must_use]
pub const fn unreadable_advice(object: ObjectKind) -> &'static str {
    match object {
        ObjectKind::Opportunity => {
            "Give the integration user View All Records on Opportunity, or share these with it by a sharing rule; then mosync brings them by itself."
        }
        ObjectKind::OpportunityContactRole => {
            "A contact role is visible with its opportunity and its contact: give the integration user View All Records on both; then mosync brings it by itself."
        }
        ObjectKind::Account => {
            "Give the integration user View All Records on Account, or share these with it by a sharing rule; then mosync brings them by itself."
        }
        ObjectKind::Contact => {
            "Give the integration user View All Records on Contact; a contact without an account is private to its owner, and only View All Data shows it. Then mosync brings them by itself."
        }
        ObjectKind::User => {
            "Give the integration user View All Users, where users are private in this org; then mosync brings them by itself."
        }
    }
}

/// How long until a parked record is taken up again, after so many retries already; `None`: no more.
#[must_use]
pub const fn retry_delay(retries: u32) -> Option<Duration> {
    match retries {
        0 => Some(Duration::from_secs(600)),
        1..MAX_RETRIES_BY_ITSELF => Some(Duration::from_secs(3600)),
        _ => None,
    }
}

/// How long the acceptance of one and the same parent does not release a child again. mOS may accept
/// a parent and yet say that it is missing: its child would be retried without a pause.
pub const RELEASED_AGAIN: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_minutes_then_hourly_for_a_day() {
        assert_eq!(retry_delay(0), Some(Duration::from_secs(600)));
        assert_eq!(retry_delay(1), Some(Duration::from_secs(3600)));
        assert_eq!(retry_delay(25), Some(Duration::from_secs(3600)));
        assert_eq!(retry_delay(26), None);
    }

    #[test]
    fn the_stored_name_is_the_serialised_name() {
        for kind in [
            FailureKind::RetryLater,
            FailureKind::ParentMissing,
            FailureKind::ValueTooLong,
            FailureKind::Poison,
        ] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }
}
