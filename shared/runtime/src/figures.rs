//! The names of the figures in the listener's reports. Times are microseconds since 1970.

/// When the next window begins; absent in real time.
pub const NEXT_WINDOW: &str = "next_window";
/// Changes that the last window brought.
pub const WINDOW_CHANGES: &str = "window_changes";
/// Records that they were changes of.
pub const WINDOW_RECORDS: &str = "window_records";
/// API requests that the org may make in 24 hours.
pub const API_MAX: &str = "api_max";
/// Those that all its clients together have made.
pub const API_USED: &str = "api_used";
/// Those that mosync has made.
pub const API_OURS: &str = "api_ours";
/// When bulk reading is tried again that waits for the allowance; absent while it does not wait.
pub const API_BULK_HELD_UNTIL: &str = "api_bulk_held_until";
/// The same for live changes.
pub const API_LIVE_HELD_UNTIL: &str = "api_live_held_until";
