//! What the tests of the operators' API share: as much of JSON Schema as its document uses.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test tool: it panics where a test would"
)]

mod schema;

pub use schema::faults;
