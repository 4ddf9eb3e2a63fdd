//! What people call things that have a short name in stores and JSON.

use domain::failure::FailureKind;
use domain::job::JobKind;
use domain::tally::Count;
use domain::unit::Stage;
use ports::stores::GapCause;

/// What people call a kind of job.
pub(super) const fn job(kind: JobKind) -> &'static str {
    match kind {
        JobKind::SyncAll => "Sync all data",
        JobKind::Backfill => "Backfill",
        JobKind::CatchUp => "Catch up a gap",
        JobKind::Sweep => "Sweep of relative dates",
        JobKind::Refresh => "Refresh",
        JobKind::Retry => "Retry of parked records",
        JobKind::Live => "Live changes",
    }
}

/// What became of a record.
pub(super) const fn count(count: Count) -> &'static str {
    match count {
        Count::Read => "Read",
        Count::Added => "Related records added",
        Count::Skipped => "Skipped: nothing of interest changed",
        Count::Collapsed => "Merged with a later change",
        Count::Gone => "Deleted in Salesforce",
        Count::Unreadable => "Not readable",
        Count::Filtered => "Filtered out",
        Count::NotPermitted => "Owner without permission",
        Count::Created => "Created",
        Count::Updated => "Updated",
        Count::Unchanged => "Unchanged",
        Count::Stale => "mOS had a newer version",
        Count::Parked => "Parked",
        Count::Cancelled => "Cancelled",
    }
}

/// Why a record is parked.
pub(super) const fn failure(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::RetryLater => "mOS was busy or did not answer",
        FailureKind::ParentMissing => "A record it refers to is not in mOS",
        FailureKind::InvalidField => "mOS does not accept a field's value",
        FailureKind::ValueTooLong => "A text is too long for mOS",
        FailureKind::DeletedInMos => "Deleted in mOS by an administrator",
        FailureKind::UnknownType => "mOS does not know this type of record",
        FailureKind::Refused => "Refused by mOS",
        FailureKind::Unprocessable => "mOS cannot read the record",
        FailureKind::Unmappable => "A value does not fit its mapping",
        FailureKind::Poison => "mosync cannot process it",
        FailureKind::Unreadable => "Not visible to the integration user",
    }
}

/// Every reason.
pub(super) const FAILURES: [FailureKind; 11] = [
    FailureKind::RetryLater,
    FailureKind::ParentMissing,
    FailureKind::InvalidField,
    FailureKind::ValueTooLong,
    FailureKind::DeletedInMos,
    FailureKind::UnknownType,
    FailureKind::Refused,
    FailureKind::Unprocessable,
    FailureKind::Unmappable,
    FailureKind::Poison,
    FailureKind::Unreadable,
];

/// A stage of the way to mOS.
pub(super) const fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Filter => "Filter",
        Stage::Permission => "Permission",
        Stage::Load => "Loader",
    }
}

/// What makes a gap.
pub(super) const fn gap(cause: GapCause) -> &'static str {
    match cause {
        GapCause::PositionRejected => "Salesforce no longer accepts the stored position",
        GapCause::Overflow => "More changes in a transaction than the stream carries",
        GapCause::Wildcard => "An event about every record of an object",
        GapCause::Undecodable => "An event that could not be decoded",
        GapCause::NotHeard => "An object that is polled from now on",
        GapCause::UnitsLost => "Changes that the queue has lost",
    }
}

/// A status of either side, by its name.
pub(super) fn state(name: &str) -> String {
    // Everything is read; what is read is on its way.
    let words = name.replace('_', " ").replace("sealed", "all read");
    super::fault::capital(&words)
}
