//! The console's doors over real HTTP, with the stand-in org's own sign-in.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "harness and tests panic where a test would"
)]

mod browser;
mod forms;
mod house;
mod limits;
mod pages;
mod roles;
mod sign_in;
mod tokens;
