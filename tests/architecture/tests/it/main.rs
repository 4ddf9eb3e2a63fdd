//! The rules. Each is a function that lists faults, is held against the workspace, and is seen
//! finding a planted fault.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "the rules are tests, and panic where a test would"
)]

mod compose;
mod directions;
mod manifests;
mod sources;

/// A rule holds.
#[track_caller]
fn holds(faults: &[String]) {
    assert!(faults.is_empty(), "\n  {}\n", faults.join("\n  "));
}

/// A planted fault is found, and it alone.
#[track_caller]
fn finds(faults: &[String], fault: &str) {
    assert_eq!(faults, [fault]);
}
