//! What the tests of the operators' API share: as much of JSON Schema as its document uses.
#![expect(
    clippy::unwrap_used,
    reason = "a test tool: it panics where a test would"
)]

mod schema;

pub use schema::faults;
